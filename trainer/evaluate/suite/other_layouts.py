"""Clips as a source with other joints would have given them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32

from gfp_serve.errors import UnknownLayoutError
from gfp_serve.formats import Clip
from gfp_serve.layouts import Layout, joint_sources, needed_joints
from gfp_serve.preprocess import MODEL_LAYOUT

# Joints of other layouts, by standard name, at places that the model's own joints tell: `layouts` makes the model's of
# these by the same rules, the other way round.
_PLACES: Mapping[str, Mapping[str, float]] = {
    "EarLeft": {"Head": 1.0},
    "EarRight": {"Head": 1.0},
    **{
        f"{finger}Knuckle{side}": {f"Hand{side}": 2.0, f"Wrist{side}": -1.0}
        for finger in ("Index", "Pinky")
        for side in ("Left", "Right")
    },
}
# A conversion may lack these: few sources have them.
_MAY_LACK = ("ThumbLeft", "ThumbRight")


def can_be_seen_as(source: Layout, target: Layout) -> bool:
    """Whether `source` has, but for thumbs, what `target` needs to make the model's joints, and is another layout."""
    if set(source.canonical_names) == set(target.canonical_names):
        return False
    needed, _ = needed_joints(target, MODEL_LAYOUT)
    return all(_weights(source, name) is not None for name in needed.joint_names if name not in _MAY_LACK)


def seen_as(clip: Clip, target: Layout) -> Clip:
    """The clip with the joints of another layout. Those that cannot be made of its own are lost (NaN)."""
    frames, bodies = clip.sequence.shape[:2]
    sequence = np.full((frames, bodies, target.num_joints, 3), np.nan, dtype=np.float32)
    for joint, name in enumerate(target.canonical_names):
        if (weights := _weights(clip.layout, name)) is not None:
            sequence[:, :, joint] = _mixed(clip.sequence, clip.layout, weights)
    return replace(clip, sequence=sequence, layout=target)


def without(clip: Clip, beginnings: Sequence[str]) -> Clip:
    """The clip with those joints lost (NaN) whose standard names begin so."""
    lost = [name.startswith(tuple(beginnings)) for name in clip.layout.canonical_names]
    return replace(clip, sequence=np.where(np.array(lost)[:, None], np.float32(np.nan), clip.sequence))


def place_of(
    sequence: Float[np.ndarray, "frames bodies joints 3"], layout: Layout, name: str
) -> Float[np.ndarray, "frames bodies 3"]:
    """A joint by its standard name; NaN where a joint that it is made of is NaN.

    Raises `UnknownLayoutError` if it cannot be made.
    """
    weights = _weights(layout, name)
    if weights is None:
        raise UnknownLayoutError(f"layout {layout.name!r} has no joint {name!r}, nor joints of which it is made.")
    return _mixed(sequence, layout, weights)


def root_of(clip: Clip) -> Float32[np.ndarray, "frames 3"]:
    """The middle of the first body's hips in each frame; where it is not seen, between the frames that show it.

    If it is never seen, the mean of the body's joints over the whole clip.
    """
    left, right = (place_of(clip.sequence, clip.layout, f"Hip{side}")[:, 0] for side in ("Left", "Right"))
    root = (left + right) / 2
    seen = np.flatnonzero(np.isfinite(root).all(axis=1))
    if not len(seen):
        return np.tile(np.nanmean(clip.sequence[:, 0], axis=(0, 1)), (len(clip.sequence), 1)).astype(np.float32)
    frames = np.arange(len(clip.sequence))
    return np.stack([np.interp(frames, seen, root[seen, axis]) for axis in range(3)], axis=1).astype(np.float32)


@lru_cache(maxsize=4096)
def _weights(source: Layout, name: str) -> Mapping[str, float] | None:
    """How a joint is made of those of `source`, by their own names; None if it cannot be."""
    try:
        (made,) = joint_sources(source, Layout(name, (name,), (-1,)))
    except UnknownLayoutError:
        made = None
    if made is not None and made.status != "lacking":
        return made.weights
    if name not in _PLACES:
        return None
    weights: dict[str, float] = {}
    for part, share in _PLACES[name].items():
        if (inner := _weights(source, part)) is None:
            return None
        for joint, weight in inner.items():
            weights[joint] = weights.get(joint, 0.0) + share * weight
    return weights


def _mixed(
    sequence: Float[np.ndarray, "frames bodies joints 3"], layout: Layout, weights: Mapping[str, float]
) -> Float[np.ndarray, "frames bodies 3"]:
    # Not as a product of matrices: 0 times NaN is NaN.
    parts = [weight * sequence[:, :, layout.joint_names.index(joint)] for joint, weight in weights.items()]
    return np.sum(parts, axis=0)
