"""2-D joints, as pose estimators and annotators give them, as sequences that everything else takes: y up, depth 0.

An image has no metre. A clip is scaled so that a trunk is as long as in 3-D clips with `scale_torso`: 0.5 m.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.layouts import NTU25, Layout, joint_sources, layout_named

# `scale_torso` makes trunks this long too (see `preprocess`). The others have the same adult's proportions.
_TRUNK_M, _SHOULDERS_M, _HEIGHT_M = 0.5, 0.36, 1.6

ImageAxis = Literal["y", "-y"]

# Pose estimators give a confidence from 0 to 1, and a place even where they saw nothing.
MIN_CONFIDENCE = 0.3

# Coordinates of a clip within these are parts of the image's width and height, not pixels. Joints may be outside it.
_PARTS = (-1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A clip of 2-D joints, made standard, and what had to be assumed for it: empty, or a sentence."""

    sequence: Float32[np.ndarray, "frames bodies joints 3"]
    assumed: str = ""


def from_image(
    points: Float[np.ndarray, "*axes"],  # frames, bodies, joints, 2
    layout: Layout | str,
    *,
    confidence: Float[np.ndarray, "*_axes"] | None = None,  # frames, bodies, joints
    image_size: tuple[float, float] | None = None,
    min_confidence: float | None = None,  # None: MIN_CONFIDENCE
    up: ImageAxis = "-y",
) -> Placed:
    """Joints of an image as a sequence in metres, y up, with z = 0. x points to the right; `up` says where y points.

    A joint is lost (NaN in the result) if it is NaN, exactly 0 0 or -1 -1, or has less confidence than
    `min_confidence`. Coordinates that are parts of the image are stretched by its `image_size` (width, height); without
    one the image is taken to be square. The scale is one for the whole clip: the median length of the trunk becomes 0.5
    m; where hips or shoulders are never seen, the median width of the shoulders 0.36 m, or the median height of what is
    seen 1.6 m.

    `points` may be frames × joints × 2 for one body, and `layout` the name of a layout. Raises `InvalidSkeletonError`
    when no two joints of a body are seen in one frame and for another shape, and `UnknownLayoutError`.
    """
    layout = layout_named(layout) if isinstance(layout, str) else layout
    if points.ndim == 3:
        points = points[:, None]
        confidence = confidence if confidence is None else confidence[:, None]
    if points.ndim != 4 or points.shape[2:] != (layout.num_joints, 2):
        raise InvalidSkeletonError(
            f"2-D {layout.name} joints must have shape frames × bodies × {layout.num_joints} × 2 (without bodies for "
            f"one body), got {' × '.join(map(str, points.shape))}. A confidence is an array of its own."
        )
    places = np.array(points, dtype=np.float64)
    lost = ~np.isfinite(places).all(axis=-1) | (places == 0).all(axis=-1) | (places == -1).all(axis=-1)
    if confidence is not None:
        lost |= ~(confidence >= (MIN_CONFIDENCE if min_confidence is None else min_confidence))
    places[lost] = np.nan
    assumed = ""
    if _are_parts(places, lost):
        if image_size is not None:
            places[..., 0] *= image_size[0] / image_size[1]
        elif up == "-y":
            assumed = "joints are parts of an image whose size is not known; it was taken to be square."
    if up == "-y":
        places[..., 1] *= -1
    places *= _metres_per_unit(places, layout)
    places -= np.nanmedian(places, axis=(0, 1, 2))
    return Placed(np.concatenate([places, np.where(lost, np.nan, 0)[..., None]], axis=-1).astype(np.float32), assumed)


def _are_parts(
    places: Float[np.ndarray, "frames bodies joints 2"], lost: Bool[np.ndarray, "frames bodies joints"]
) -> bool:
    seen = places[~lost]
    return bool(len(seen)) and bool((seen >= _PARTS[0]).all() and (seen <= _PARTS[1]).all())


def _metres_per_unit(places: Float[np.ndarray, "frames bodies joints 2"], layout: Layout) -> float:
    trunk = _length(_at(places, layout, "SpineShoulder") - _at(places, layout, "SpineBase"))
    shoulders = _length(_at(places, layout, "ShoulderLeft") - _at(places, layout, "ShoulderRight"))
    seen = np.isfinite(places[..., 1])
    height = np.where(seen, places[..., 1], -np.inf).max(axis=2) - np.where(seen, places[..., 1], np.inf).min(axis=2)
    for lengths, metres in ((trunk, _TRUNK_M), (shoulders, _SHOULDERS_M), (height, _HEIGHT_M)):
        found = lengths[np.isfinite(lengths) & (lengths > 0)]
        if len(found):
            return metres / float(np.median(found))
    raise InvalidSkeletonError(
        "no two joints of a body are seen in one frame; drop the clip, or check how it was read."
    )


def _at(
    places: Float[np.ndarray, "frames bodies joints 2"], layout: Layout, name: str
) -> Float[np.ndarray, "frames bodies 2"]:
    """The place of a joint of the model, NaN where one that it is made of was lost."""
    made = joint_sources(layout, NTU25)[NTU25.joint_names.index(name)]
    parts = [weight * places[:, :, layout.joint_names.index(joint)] for joint, weight in made.weights.items()]
    return np.sum(parts, axis=0)


def _length(vectors: Float[np.ndarray, "frames bodies 2"]) -> Float[np.ndarray, "frames bodies"]:
    return np.linalg.norm(vectors, axis=-1)
