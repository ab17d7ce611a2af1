"""Raw sequence -> model input, the same code for training and serving. numpy only.

`clean` fills, maps, chooses and centres; `resample` changes the frame count; `prepare` is both, as the server runs it.
Training calls `clean` once at import and then draws its own windows and rotations for `resample`.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.settings import setting
from gfp_serve.skeleton import NTU25, Layout, check_sequence, map_joints

# Raised when the same config would give another result than before, so that old stores and bundles are refused.
PREPROCESS_VERSION = 1

# The layout that models see. Data in other layouts is mapped to it by joint name.
MODEL_LAYOUT = NTU25
MAX_BODIES = 2

_SPINE_BASE, _SPINE_MID, _SPINE_SHOULDER = (
    NTU25.joint_names.index(n) for n in ("SpineBase", "SpineMid", "SpineShoulder")
)
_HIPS = tuple(NTU25.joint_names.index(name) for name in ("HipRight", "HipLeft"))
_SHOULDERS = tuple(NTU25.joint_names.index(name) for name in ("ShoulderRight", "ShoulderLeft"))

# A body seen in no more frames than this is a slip of the tracker where another is seen longer (MAMP's denoising).
MAX_GHOST_FRAMES = 11

# A body whose joints are never further apart than this (in metres) shows no pose.
MIN_EXTENT_M = 0.01

# A trunk longer than this is no person measured in metres (the usual cause: centimetres or millimetres).
MAX_TRUNK_M = 3.0
# With `scale_torso`, every trunk (spine base to spine shoulder) is brought to this length: a common adult's.
NOMINAL_TRUNK_M = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """How a sequence becomes model input. Travels in every store, checkpoint and bundle."""

    num_frames: int = setting(120, "Frames that every clip is resampled to.")
    crop: float = setting(0.95, "Share of a clip's frames, from its middle, that evaluation and serving use.")
    align_view: bool = setting(
        False, "Turn each clip about the vertical so that the hips of its first frame face one way."
    )
    scale_torso: bool = setting(False, "Scale each clip so that the trunk of its first body is 0.5 m long.")
    keep_absent_bodies: bool = setting(
        False, "Always give two bodies to the encoder, zeros where there is none (as MAMP)."
    )

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"--num-frames is {self.num_frames}; it must be at least 1. The published runs use 120.")
        if not 0.0 < self.crop <= 1.0:
            raise ValueError(f"--crop is {self.crop}; it must lie in (0, 1]. The published runs use 0.95.")

    def to_json(self) -> dict[str, object]:
        return {"version": PREPROCESS_VERSION, "layout": MODEL_LAYOUT.name, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "PreprocessConfig":
        """The config that `to_json` wrote; `ValueError` if it was written for another version or layout."""
        rest = dict(values)
        version, layout = rest.pop("version", None), rest.pop("layout", None)
        if (version, layout) != (PREPROCESS_VERSION, MODEL_LAYOUT.name):
            raise ValueError(
                f"preprocessing version {version} for layout {layout!r} is not the version {PREPROCESS_VERSION} for "
                f"{MODEL_LAYOUT.name!r} that this release runs; import or export again with this release."
            )
        return cls(**rest)  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """Twelve hex digits that are equal only for equal preprocessing."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]


def prepare(
    sequence: np.ndarray, layout: Layout, config: PreprocessConfig
) -> Float32[np.ndarray, "bodies num_frames joints 3"]:
    """Raw sequence in any layout -> model input of 1 or 2 bodies, most moving first (see `clean`, `finish`)."""
    return finish(clean(sequence, layout, config), config)


def clean(
    sequence: np.ndarray, layout: Layout, config: PreprocessConfig
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """Fill gaps, map to the model's layout, keep the one or two bodies that move most, centre (align, scale).

    The origin is the mid-spine of the first body in its first frame (MAMP's `seq_translation`).
    Raises `InvalidSkeletonError` when nobody is seen, when the first body's joints are all in one point, and when its
    trunk is too long to be in metres.
    """
    sequence = check_sequence(sequence, layout)
    bodies = choose_bodies(map_joints(fill_gaps(sequence), layout, MODEL_LAYOUT))  # frames, bodies, 25, 3
    bodies = bodies - bodies[0, 0, _SPINE_MID]
    if _extent(bodies[:, 0]) < MIN_EXTENT_M:
        raise InvalidSkeletonError(
            f"all joints of the body are within {100 * MIN_EXTENT_M:g} cm of each other in every frame, so there is no "
            f"pose; check that the joints were read, and that coordinates are metres."
        )
    trunk = _trunk_length(bodies)
    if trunk > MAX_TRUNK_M:
        raise InvalidSkeletonError(
            f"the trunk is {trunk:.3g} m long, more than the {MAX_TRUNK_M:g} m that a person can have; coordinates are "
            f"metres: divide by 100 if yours are centimetres, by 1000 if they are millimetres."
        )
    if config.align_view:
        bodies = rotate_about_vertical(bodies, -_facing_angle(bodies[0, 0]))
    if config.scale_torso and trunk > 1e-3:
        bodies = bodies * np.float32(NOMINAL_TRUNK_M / trunk)
    return np.ascontiguousarray(bodies, dtype=np.float32)


def finish(
    cleaned: Float32[np.ndarray, "frames bodies joints 3"], config: PreprocessConfig
) -> Float32[np.ndarray, "out_bodies num_frames joints 3"]:
    """The part of `prepare` after `clean`: centre crop and resample, in model axes."""
    start, length = centre_window(len(cleaned), config.crop)
    resampled = resample(cleaned[start : start + length], config.num_frames)
    model_input = np.ascontiguousarray(resampled.transpose(1, 0, 2, 3))  # bodies, frames, joints, 3
    if config.keep_absent_bodies and len(model_input) < MAX_BODIES:
        absent = np.zeros((MAX_BODIES - len(model_input), *model_input.shape[1:]), dtype=np.float32)
        model_input = np.concatenate([model_input, absent])
    return model_input


def fill_gaps(
    sequence: Float32[np.ndarray, "frames bodies joints 3"],
) -> Float32[np.ndarray, "frames seen_bodies joints 3"]:
    """Interpolate in time, joint by joint, over what was not seen; hold the nearest value at both ends.

    Not seen is a joint with a NaN, or a body whose joints are all zero in a frame. A joint that is never seen takes
    the place of the body's other joints' mean. A body that is never seen is left out, and so is one that is seen in at
    most `MAX_GHOST_FRAMES` frames while another is seen in more. A sequence without any body raises
    `InvalidSkeletonError`.
    """
    # The common case at a tenth of the cost. Many trackers write zeros where they lost the body.
    if np.isfinite(sequence).all() and sequence.reshape(*sequence.shape[:2], -1).any(axis=2).all():
        return sequence
    seen = np.isfinite(sequence).all(axis=-1)  # frames, bodies, joints
    seen &= (np.nan_to_num(sequence) != 0).any(axis=(2, 3))[:, :, None]
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
        return sequence
    filled = sequence.copy()
    for body in range(sequence.shape[1]):
        for joint in np.flatnonzero(~seen[:, body].all(axis=0)):
            filled[:, body, joint] = _interpolate(sequence[:, body, joint], seen[:, body, joint])
        never = ~seen[:, body].any(axis=0)
        if never.any():
            filled[:, body, never] = filled[:, body, ~never].mean(axis=1, keepdims=True)
    return filled


def choose_bodies(
    sequence: Float32[np.ndarray, "frames bodies joints 3"],
) -> Float32[np.ndarray, "frames chosen joints 3"]:
    """The two bodies that move most, most moving first; motion is the variance of all joints over time (MAMP)."""
    if sequence.shape[1] == 1:
        return sequence
    # One long axis at the end, which numpy sums ten times faster than two short ones.
    tracks = sequence.transpose(1, 3, 0, 2).reshape(sequence.shape[1], 3, -1)
    motion = tracks.var(axis=2, dtype=np.float64).sum(axis=1)
    return sequence[:, np.argsort(-motion, kind="stable")[:MAX_BODIES]]


def centre_window(num_frames: int, share: float) -> tuple[int, int]:
    """First frame and length of the middle `share` of a clip, rounded as MAMP's `valid_crop_resize` does."""
    bias = int((1 - share) * num_frames / 2)
    return bias, num_frames - 2 * bias


def resample(sequence: Float32[np.ndarray, "frames *rest"], num_frames: int) -> Float32[np.ndarray, "num_frames *rest"]:
    """Stretch or shrink in time by linear interpolation between neighbouring frames, without smoothing.

    Half-pixel sampling, not end-point sampling: frame i of the result is taken at (i + 0.5) · L / N − 0.5. Equal to
    `torch.nn.functional.interpolate(mode="linear", align_corners=False)`, which the published runs use; positions are
    rounded to float32 where torch rounds them.
    """
    length = len(sequence)
    step = np.float64(np.float32(length) / np.float32(num_frames))
    position = np.maximum(step * (np.arange(num_frames) + 0.5) - 0.5, 0).astype(np.float32)
    before = np.minimum(position.astype(np.int64), length - 1)
    after = np.minimum(before + 1, length - 1)
    weight = np.clip(position - before.astype(np.float32), 0, 1).reshape(-1, *[1] * (sequence.ndim - 1))
    return sequence[before] * (1 - weight) + sequence[after] * weight


def rotate_about_vertical(sequence: Float32[np.ndarray, "*axes 3"], angle: float) -> Float32[np.ndarray, "*axes 3"]:
    """Turn about the y axis by `angle` radians, from x towards z."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=np.float32)
    return sequence @ turn


def _facing_angle(pose: Float32[np.ndarray, "joints 3"]) -> float:
    # Hips give the direction; where they coincide (a bad frame), shoulders do; else the clip stays as it is.
    for right, left in (_HIPS, _SHOULDERS):
        across = pose[left] - pose[right]
        if np.hypot(across[0], across[2]) > 1e-3:
            return float(np.arctan2(across[2], across[0]))
    return 0.0


def _extent(body: Float32[np.ndarray, "frames joints 3"]) -> float:
    """The largest distance along an axis between two joints in one frame."""
    joints = body.transpose(1, 0, 2).reshape(body.shape[1], -1)  # reducing the first axis is what numpy does fast
    return float((joints.max(axis=0) - joints.min(axis=0)).max())


def _trunk_length(bodies: Float32[np.ndarray, "frames bodies joints 3"]) -> float:
    trunk = bodies[:, 0, _SPINE_SHOULDER] - bodies[:, 0, _SPINE_BASE]
    return float(np.median(np.linalg.norm(trunk, axis=-1)))


def _interpolate(
    track: Float32[np.ndarray, "frames 3"], seen: Bool[np.ndarray, " frames"]
) -> Float32[np.ndarray, "frames 3"]:
    if not seen.any():
        return track
    frames, known = np.arange(len(track)), np.flatnonzero(seen)
    return np.stack([np.interp(frames, known, track[known, axis]) for axis in range(3)], axis=-1).astype(np.float32)
