"""Which sequences are valid.

A sequence is float32 with axes frames, bodies, joints, 3: metres, y up, right-handed; NaN = not seen.
"""

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.layouts import Layout

# A coordinate beyond this is not of a person near a sensor, or its unit is not the metre.
MAX_COORDINATE_M = 1_000.0


def check_image_joints(joints: np.ndarray, layout: Layout) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """Joints of an image as float32 with axes frames, bodies, joints, and x, y and confidence, which is 1 if not given.

    They may come without a body axis, and without confidence. Raises `InvalidSkeletonError` for another shape.
    """
    numbers = joints.shape[-1] if isinstance(joints, np.ndarray) and joints.ndim else 0
    if numbers not in (2, 3) or joints.ndim not in (3, 4) or joints.shape[-2] != layout.num_joints:
        shape = " × ".join(map(str, np.shape(joints))) or "a single number"
        raise InvalidSkeletonError(
            f"2-D {layout.name} joints must be an array of frames × bodies × {layout.num_joints} × 2, or × 3 with a "
            f"confidence (without bodies for one body), got {shape}."
        )
    if numbers == 2:
        joints = np.concatenate([joints, np.ones((*joints.shape[:-1], 1), dtype=joints.dtype)], axis=-1)
    return check_shape(joints, layout)


def check_sequence(sequence: np.ndarray, layout: Layout) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The sequence as float32 with a body axis.

    It may be frames × joints × 3 or frames × bodies × joints × 3. NaN means "not seen" and is allowed; infinity is not.
    Raises `InvalidSkeletonError`, which says what is wrong.
    """
    sequence = check_shape(sequence, layout)
    if sequence.max() <= MAX_COORDINATE_M and sequence.min() >= -MAX_COORDINATE_M:  # no NaN either: the usual case
        return sequence
    too_far = np.abs(sequence) > MAX_COORDINATE_M  # infinity too, NaN not
    if too_far.any():
        bad = np.argwhere(too_far)
        frame, body, joint, axis = (int(index) for index in bad[0])
        raise InvalidSkeletonError(
            f"{len(bad)} coordinates are infinite or beyond {MAX_COORDINATE_M:g} m, the first at frame {frame}, "
            f"body {body}, joint {layout.joint_names[joint]!r}, axis {'xyz'[axis]}; coordinates are metres (divide "
            f"millimetres by 1000, or say their unit), joints that the tracker lost are NaN, and joints of an image "
            f"need dimensions=2."
        )
    return sequence


def check_shape(sequence: np.ndarray, layout: Layout) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """As `check_sequence`, for coordinates whose unit may be another than the metre: they may be of any size."""
    if not isinstance(sequence, np.ndarray) or sequence.dtype.kind not in "fiu":
        kind = getattr(sequence, "dtype", type(sequence).__name__)
        raise InvalidSkeletonError(f"a sequence must be an array of numbers, got {kind}; send float32 metres.")
    shape = sequence.shape
    if sequence.ndim == 3:
        sequence = sequence[:, None]
    if sequence.ndim != 4 or sequence.shape[2:] != (layout.num_joints, 3):
        raise InvalidSkeletonError(
            f"a {layout.name} sequence must have shape frames × bodies × {layout.num_joints} × 3 (or frames × "
            f"{layout.num_joints} × 3 for one body), got {' × '.join(map(str, shape)) or 'a single number'}; "
            f"check the axis order and the layout's name."
        )
    if 0 in sequence.shape:
        raise InvalidSkeletonError(
            f"the sequence has {shape[0]} frames and {sequence.shape[1]} bodies; send at least 1."
        )
    # A float64 beyond the range of float32 becomes infinite, which the next check finds.
    with np.errstate(over="ignore"):
        return sequence.astype(np.float32)
