"""Raw sequence -> model input, by the same code in training and serving. numpy only.

`clean` fills gaps, maps joints, chooses bodies and centres them. `sample` crops and resamples in time. `prepare` does
both, as the server does. Training calls `clean` once, at import; it then draws its own windows and rotations.

Every joint has a place in every frame, and each clip says which of these places are known. A joint is *lacking* where
the layout does not have it, or where it was lost for longer than can be filled honestly. Its place is then a place
holder. An encoder that was made for it gets NaN there instead (`SampleConfig.keep_lacking`).
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped

from gfp_serve.errors import InvalidSkeletonError, UnknownLayoutError
from gfp_serve.layouts import NTU25, Layout, map_joints, mapping_matrix, statuses, without_joints
from gfp_serve.settings import setting, settings_of
from gfp_serve.skeleton import check_sequence

# It goes up when the same config gives another result than before for clips that show every joint at some time. Then
# old stores and bundles are refused.
PREPROCESS_VERSION = 1

# The layout that models see. Data in other layouts is mapped to it by joint name.
MODEL_LAYOUT = NTU25
MAX_BODIES = 2
# So that a bundle cannot ask for more memory than a clip needs: 2.5 MB for two bodies.
MAX_NUM_FRAMES = 4096

_SPINE_BASE, _SPINE_MID, _SPINE_SHOULDER = (
    NTU25.joint_names.index(n) for n in ("SpineBase", "SpineMid", "SpineShoulder")
)
_HIPS = tuple(NTU25.joint_names.index(name) for name in ("HipRight", "HipLeft"))
_SHOULDERS = tuple(NTU25.joint_names.index(name) for name in ("ShoulderRight", "ShoulderLeft"))

# If another body is seen longer, a body seen in at most this many frames is a slip of the tracker (MAMP's denoising).
MAX_GHOST_FRAMES = 11

# A joint that was lost for more frames in a row is lacking there: what it did meanwhile is a guess.
MAX_GAP_FRAMES = 15

# A body shows no pose if its joints are never further apart than this, in metres.
MIN_EXTENT_M = 0.01

# A longer trunk is not a person's in metres; the usual cause is a file in centimetres or millimetres.
MAX_TRUNK_M = 3.0
# `scale_torso` gives every trunk (spine base to spine shoulder) this length, which is common in adults.
NOMINAL_TRUNK_M = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanConfig:
    """How a raw sequence is cleaned. The clips of a store were all cleaned in one way."""

    align_view: bool = setting(
        False, "Turn each clip about the vertical so that the hips of its first frame face one way."
    )
    scale_torso: bool = setting(False, "Scale each clip so that the trunk of its first body is 0.5 m long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """How a cleaned sequence is cut and resampled. Raises `ValueError` for a value out of range."""

    num_frames: int = setting(120, "Frames that every clip is resampled to.")
    crop: float = setting(0.95, "Share of a clip's frames, from its middle, that evaluation and serving use.")
    keep_absent_bodies: bool = setting(
        False, "Always give two bodies to the encoder, with zeros for an absent one, as MAMP does."
    )
    keep_lacking: bool = setting(
        False,
        "Give joints that are lacking to the encoder as NaN, for one that leaves them out. Otherwise as place holders.",
    )

    def __post_init__(self) -> None:
        if not 1 <= self.num_frames <= MAX_NUM_FRAMES:
            raise ValueError(
                f"num_frames is {self.num_frames}; it must be from 1 to {MAX_NUM_FRAMES}. The published runs use 120."
            )
        if not 0.0 < self.crop <= 1.0:
            raise ValueError(f"crop is {self.crop}; it must be above 0 and at most 1. The published runs use 0.95.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """How a raw sequence becomes model input. Checkpoints and bundles carry it."""

    cleaning: CleanConfig = settings_of(CleanConfig)
    sampling: SampleConfig = settings_of(SampleConfig)

    def to_json(self) -> dict[str, object]:
        """Version, layout and all settings, flat and in the order of every release: its digest is an identity."""
        # A setting of a later release is written only where it is used, so that older digests stay as they are.
        later = {"keep_lacking": True} if self.sampling.keep_lacking else {}
        return {
            "version": PREPROCESS_VERSION,
            "layout": MODEL_LAYOUT.name,
            "num_frames": self.sampling.num_frames,
            "crop": self.sampling.crop,
            "align_view": self.cleaning.align_view,
            "scale_torso": self.cleaning.scale_torso,
            "keep_absent_bodies": self.sampling.keep_absent_bodies,
            **later,
        }

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "PreprocessConfig":
        """The config that `to_json` wrote. A setting that is not there has its default.

        Raises `ValueError` if it was written for another version or layout or has a value out of range, and
        `TypeError` for an unknown setting.
        """
        rest = dict(values)
        version, layout = rest.pop("version", None), rest.pop("layout", None)
        if (version, layout) != (PREPROCESS_VERSION, MODEL_LAYOUT.name):
            raise ValueError(
                f"preprocessing version {version} for layout {layout!r} is not the version {PREPROCESS_VERSION} for "
                f"{MODEL_LAYOUT.name!r} that this release runs; import or export again with this release."
            )
        names = [field.name for field in dataclasses.fields(CleanConfig) if field.name in rest]
        cleaning = CleanConfig(**{name: rest.pop(name) for name in names})  # type: ignore[arg-type]
        return cls(cleaning=cleaning, sampling=SampleConfig(**rest))  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """Twelve hex digits that are equal only for equal preprocessing."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A clip after `clean`, in the model's layout."""

    positions: Float32[np.ndarray, "frames bodies joints 3"]  # metres, y up; most moving body first; no NaN
    known: Bool[np.ndarray, "frames bodies joints"]  # False where a joint is lacking: its place is a place holder
    # What a store does not keep of its clips:
    trunk_m: float = math.nan  # median length of the first body's trunk before it was scaled
    has_depth: bool = True  # False if z is 0 everywhere, as in joints of an image


def prepare(
    sequence: np.ndarray, layout: Layout, config: PreprocessConfig
) -> Float32[np.ndarray, "bodies num_frames joints 3"]:
    """Raw sequence in any layout -> model input of 1 or 2 bodies, most moving first (see `clean` and `sample`)."""
    return sample(clean(sequence, layout, config.cleaning), config.sampling)


def clean(sequence: np.ndarray, layout: Layout, config: CleanConfig) -> Cleaned:
    """Fill gaps, map to the model's layout, keep the one or two bodies that move most, centre (align, scale).

    Coordinates are metres, y up. The origin becomes the mid-spine of the first body in its first frame (MAMP's
    `seq_translation`). A clip without depth has z = 0 in every frame. It is not turned, because nothing tells where its
    people look, and its trunk may have any length, because images have no metres. Raises `InvalidSkeletonError` when
    nobody is seen, when all joints of the first body are in one point, and when its trunk is too long to be in metres.
    """
    filled, seen = fill_gaps(check_sequence(sequence, layout))
    bodies = map_joints(filled, layout, MODEL_LAYOUT)  # frames, bodies, 25, 3
    chosen = choose_bodies(bodies)
    bodies, known = bodies.take(chosen, axis=1), known_joints(seen.take(chosen, axis=1), layout)
    for place, body in enumerate(() if seen.all() else chosen.tolist()):
        if (smaller := _seen_layout(seen[:, body], layout)) is not None:
            fewer, kept = smaller
            bodies[:, [place]] = map_joints(filled[:, [body]][:, :, kept], fewer, MODEL_LAYOUT)
            known[:, [place]] = known_joints(seen[:, [body]][:, :, kept], fewer)
    has_depth = bool(bodies[..., 2].any())
    bodies = _moved(bodies, -bodies[0, 0, _SPINE_MID])
    # The first frame nearly always tells, and all of them cost more.
    if _extent(bodies[:1, 0]) < MIN_EXTENT_M and _extent(bodies[:, 0]) < MIN_EXTENT_M:
        raise InvalidSkeletonError(
            f"all joints of the body are within {100 * MIN_EXTENT_M:g} cm of each other in every frame, so there is no "
            f"pose; check that the joints were read, and that coordinates are metres."
        )
    trunk = _trunk_length(bodies)
    if has_depth and trunk > MAX_TRUNK_M:
        raise InvalidSkeletonError(
            f"the trunk is {trunk:.3g} m long; a person's is at most {MAX_TRUNK_M:g} m. Coordinates are metres: divide "
            f"by 100 if yours are centimetres, by 1000 if they are millimetres, or say their unit. Joints of an image "
            f"are sent with dimensions=2."
        )
    if config.align_view and has_depth:
        bodies = rotate_about_vertical(bodies, -_facing_angle(bodies[0, 0]))
    if config.scale_torso and trunk > 1e-3:
        bodies = bodies * np.float32(NOMINAL_TRUNK_M / trunk)
    return Cleaned(np.ascontiguousarray(bodies, dtype=np.float32), known, trunk, has_depth)


def sample(cleaned: Cleaned, config: SampleConfig) -> Float32[np.ndarray, "out_bodies num_frames joints 3"]:
    """Cleaned sequence -> model input: the centre crop, resampled, bodies first; absent bodies are zeros if kept.

    With `keep_lacking`, a joint is NaN in the frames that are made of one in which it is lacking. A body of which
    nothing is known within the crop keeps its place holders.
    """
    start, length = centre_window(len(cleaned.positions), config.crop)
    window = slice(start, start + length)
    resampled = resample(cleaned.positions[window], config.num_frames)
    model_input = np.ascontiguousarray(resampled.transpose(1, 0, 2, 3))  # bodies, frames, joints, 3
    if config.keep_lacking and not cleaned.known.all():
        lacking = _resampled_from_any(~cleaned.known[window], config.num_frames)
        lacking[:, lacking.all(axis=(0, 2))] = False
        model_input[lacking.transpose(1, 0, 2)] = np.nan
    if config.keep_absent_bodies and len(model_input) < MAX_BODIES:
        absent = np.zeros((MAX_BODIES - len(model_input), *model_input.shape[1:]), dtype=np.float32)
        model_input = np.concatenate([model_input, absent])
    return model_input


def fill_gaps(
    sequence: Float32[np.ndarray, "frames bodies joints 3"],
) -> tuple[Float32[np.ndarray, "frames seen_bodies joints 3"], Bool[np.ndarray, "frames seen_bodies joints"]]:
    """Interpolate in time, joint by joint, over what was not seen; hold the nearest value at both ends.

    Returns the sequence, and which of its joints are known: those that were seen and those in gaps of at most
    `MAX_GAP_FRAMES` frames. A joint was not seen if it has a NaN, or if all joints of its body are zero in that frame.
    A joint that is never seen gets the mean of the body's other joints. A body that is never seen is left out. So is
    one that is seen in at most `MAX_GHOST_FRAMES` frames if another is seen in more. Raises `InvalidSkeletonError` when
    no body is seen.
    """
    # The common case, at a tenth of the cost. Many trackers write zeros where they lost the body.
    if np.isfinite(sequence).all() and _shows_all_bodies(sequence):
        return sequence, np.ones(sequence.shape[:-1], dtype=bool)
    x, y, z = np.moveaxis(np.isfinite(sequence), -1, 0)  # numpy reduces an axis of three slowly
    seen = x & y & z  # frames, bodies, joints
    is_number = (sequence != 0) & ~np.isnan(sequence)
    seen &= is_number.reshape(*sequence.shape[:2], -1).any(axis=2)[:, :, None]
    present = seen.any(axis=(0, 2))
    if not present.any():
        raise InvalidSkeletonError(
            f"nobody is seen in any of the {len(sequence)} frames: every coordinate is NaN or every joint of every "
            f"frame is zero; drop the clip, or check how it was read."
        )
    num_seen = seen.any(axis=2).sum(axis=0)  # frames of each body
    if num_seen.max() > MAX_GHOST_FRAMES:
        present = num_seen > MAX_GHOST_FRAMES
    sequence, seen = sequence[:, present], seen[:, present]
    if seen.all():
        return sequence, seen
    before, after = _nearest_seen(seen)
    filled = _interpolated(sequence, seen, before, after)
    for body, never in enumerate(~seen.any(axis=0)):
        if never.any():
            filled[:, body, never] = filled[:, body, ~never].mean(axis=1, keepdims=True)
    is_short_gap = ~seen & (after - before - 1 <= MAX_GAP_FRAMES) & seen.any(axis=0)
    return filled, seen | is_short_gap


def _shows_all_bodies(sequence: Float32[np.ndarray, "frames bodies joints 3"]) -> bool:
    """Whether no body is zero as a whole in any frame."""
    if sequence[:, :, 0, 0].all():  # nearly always, and quick
        return True
    return bool(sequence.reshape(*sequence.shape[:2], -1).any(axis=2).all())


def known_joints(
    seen: Bool[np.ndarray, "frames bodies source_joints"], layout: Layout
) -> Bool[np.ndarray, "frames bodies joints"]:
    """Which of the model's joints are known where these of `layout` are: all that they are made of must be."""
    needs, has = _needs_of_model(layout)
    if seen.all():
        known = np.empty((*seen.shape[:2], len(has)), dtype=bool)
        known[:] = has
        return known
    return ((~seen).astype(np.float32) @ needs.T == 0) & has


@lru_cache(maxsize=64)
def _needs_of_model(
    layout: Layout,
) -> tuple[Float32[np.ndarray, "joints source_joints"], Bool[np.ndarray, " joints"]]:
    """For each of the model's joints: 1 for the joints of `layout` that it is made of, else 0; whether it has it."""
    needs = (mapping_matrix(layout, MODEL_LAYOUT) != 0).astype(np.float32)
    has = np.array([status != "lacking" for status in statuses(layout, MODEL_LAYOUT)])
    for each in (needs, has):
        each.setflags(write=False)  # they are kept
    return needs, has


def choose_bodies(sequence: Float32[np.ndarray, "frames bodies joints 3"]) -> Int[np.ndarray, " chosen"]:
    """Which two bodies move most, most moving first; motion is the variance of all joints over time (MAMP)."""
    if sequence.shape[1] == 1:
        return np.zeros(1, dtype=np.int64)
    # One long axis at the end: numpy sums it ten times faster than two short ones.
    tracks = sequence.transpose(1, 3, 0, 2).astype(np.float64, order="C").reshape(sequence.shape[1], 3, -1)
    tracks -= tracks.mean(axis=2, keepdims=True)
    motion = np.einsum("btn,btn->b", tracks, tracks)  # in one pass, where `var` takes three
    return np.argsort(-motion, kind="stable")[:MAX_BODIES]


def centre_window(num_frames: int, share: float) -> tuple[int, int]:
    """First frame and length of the middle `share` of a clip, rounded as in MAMP's `valid_crop_resize`."""
    bias = int((1 - share) * num_frames / 2)
    return bias, num_frames - 2 * bias


def resample(sequence: Shaped[np.ndarray, "frames *rest"], num_frames: int) -> Float32[np.ndarray, "num_frames *rest"]:
    """Stretch or shrink in time by linear interpolation between neighbouring frames, without smoothing.

    It samples at half pixels, not at end points: frame i of the result is taken at (i + 0.5) · L / N − 0.5. The result
    equals `torch.nn.functional.interpolate(mode="linear", align_corners=False)`, which the published runs use:
    positions are rounded to float32 where torch rounds them.
    """
    before, after, weight = _places_in_time(len(sequence), num_frames)
    rows, weight = sequence.reshape(len(sequence), -1), weight[:, None]  # numpy is faster with one long axis
    resampled = rows.take(before, axis=0) * (1 - weight)
    resampled += rows.take(after, axis=0) * weight
    return resampled.reshape(num_frames, *sequence.shape[1:])


def _resampled_from_any(
    marks: Bool[np.ndarray, "frames *rest"], num_frames: int
) -> Bool[np.ndarray, "num_frames *rest"]:
    """Which new frames are made of one that is marked."""
    before, after, weight = _places_in_time(len(marks), num_frames)
    rows, weight = marks.reshape(len(marks), -1), weight[:, None]
    made_of = (rows.take(before, axis=0) & (weight < 1)) | (rows.take(after, axis=0) & (weight > 0))
    return made_of.reshape(num_frames, *marks.shape[1:])


@lru_cache(maxsize=1024)
def _places_in_time(
    length: int, num_frames: int
) -> tuple[Int[np.ndarray, " num_frames"], Int[np.ndarray, " num_frames"], Float32[np.ndarray, " num_frames"]]:
    """The frames before and after each new one, and the weight of the latter."""
    step = np.float64(np.float32(length) / np.float32(num_frames))
    position = np.maximum(step * (np.arange(num_frames) + 0.5) - 0.5, 0).astype(np.float32)
    before = np.minimum(position.astype(np.int64), length - 1)
    after = np.minimum(before + 1, length - 1)
    places = before, after, np.clip(position - before.astype(np.float32), 0, 1)
    for each in places:
        each.setflags(write=False)  # they are kept
    return places


def rotate_about_vertical(sequence: Float32[np.ndarray, "*axes 3"], angle: float) -> Float32[np.ndarray, "*axes 3"]:
    """Turn about the y axis by `angle` radians, from x towards z."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=np.float32)
    return sequence @ turn


def _facing_angle(pose: Float32[np.ndarray, "joints 3"]) -> float:
    # Hips give the direction. If they coincide (a bad frame), shoulders do. If these do too, the clip stays as it is.
    for right, left in (_HIPS, _SHOULDERS):
        across = pose[left] - pose[right]
        if np.hypot(across[0], across[2]) > 1e-3:
            return float(np.arctan2(across[2], across[0]))
    return 0.0


def _moved(
    bodies: Float32[np.ndarray, "frames bodies joints 3"], by: Float32[np.ndarray, " 3"]
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """All joints, moved. numpy adds a long row much faster than 3 numbers many times."""
    frames, num_bodies, joints, _ = bodies.shape
    return (bodies.reshape(frames, -1) + np.tile(by, num_bodies * joints)).reshape(bodies.shape)


def _extent(body: Float32[np.ndarray, "frames joints 3"]) -> float:
    """The largest distance along an axis between two joints in one frame."""
    joints = body.transpose(1, 0, 2).reshape(body.shape[1], -1)  # numpy reduces the first axis fast
    return float((joints.max(axis=0) - joints.min(axis=0)).max())


def _trunk_length(bodies: Float32[np.ndarray, "frames bodies joints 3"]) -> float:
    x, y, z = (bodies[:, 0, _SPINE_SHOULDER] - bodies[:, 0, _SPINE_BASE]).T  # numpy sums an axis of three slowly
    lengths = np.sort(np.sqrt(x * x + y * y + z * z))  # as np.median, which is slower for a clip
    return float((lengths[(len(lengths) - 1) // 2] + lengths[len(lengths) // 2]) / 2)


def _seen_layout(
    seen: Bool[np.ndarray, "frames source_joints"], layout: Layout
) -> tuple[Layout, tuple[int, ...]] | None:
    """A layout of those joints that a body ever shows, and their indices, so that none is made of one never seen.

    None if it shows all, and if hips or shoulders are missing, without which there is no layout.
    """
    ever = seen.any(axis=0)
    if ever.all():
        return None
    smaller, kept = without_joints(layout, frozenset(np.flatnonzero(~ever).tolist()))
    try:
        mapping_matrix(smaller, MODEL_LAYOUT)
    except UnknownLayoutError:
        return None
    return smaller, kept


def _nearest_seen(
    seen: Bool[np.ndarray, "frames bodies joints"],
) -> tuple[Int[np.ndarray, "frames bodies joints"], Int[np.ndarray, "frames bodies joints"]]:
    """The nearest frame up to each one, and from each one on, in which a joint was seen: -1 and the length if none."""
    frame = np.arange(len(seen))[:, None, None]
    before = np.maximum.accumulate(np.where(seen, frame, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, frame, len(seen))[::-1], axis=0)[::-1]
    return before, after


def _interpolated(
    sequence: Float32[np.ndarray, "frames bodies joints 3"],
    seen: Bool[np.ndarray, "frames bodies joints"],
    before: Int[np.ndarray, "frames bodies joints"],
    after: Int[np.ndarray, "frames bodies joints"],
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """A copy in which joints that are seen in some frame have places in all, as `np.interp` gives them.

    All gaps at once: a call of `np.interp` for each joint and axis takes several times as long.
    """
    tracks = seen[0].size
    lost = np.flatnonzero(~seen & seen.any(axis=0))
    frame, track = np.divmod(lost, tracks)
    first, last = before.reshape(-1).take(lost), after.reshape(-1).take(lost)
    first, last = np.where(first < 0, last, first), np.where(last == len(seen), first, last)  # held at both ends
    filled = sequence.reshape(-1, 3).copy()
    start, end = (filled.take(each * tracks + track, axis=0).astype(np.float64) for each in (first, last))
    slope = (end - start) / np.maximum(last - first, 1)[:, None]
    filled[lost] = slope * (frame - first)[:, None] + start
    return filled.reshape(sequence.shape)
