"""Joints that a tracker lost and wrote as a number: 0 0 0 or -1 -1 -1 for a joint of a body that it saw."""

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.layouts import Layout

# Where sources put their origin.
_ORIGINS = ("SpineBase", "SpineMid", "Chest", "SpineShoulder", "Neck")


def lost_as_nan(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], layout: Layout
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The same sequence, with NaN in each joint of a frame that is exactly 0 0 0 or -1 -1 -1 while others are not.

    A joint of spine or neck may be the origin: it keeps its zeros if it has them in the first frame that shows the
    body. Bodies that are zero as a whole stay as they are; `preprocess.fill_gaps` takes them for not seen. The array
    that was given is not changed.
    """
    x = sequence[..., 0]
    if not ((x == 0).any() or (x == -1).any()):  # the usual case, in a tenth of the time
        return sequence
    marks = [_is(sequence, value) for value in (0.0, -1.0)]
    seen = ~(marks[0].all(axis=2) | ~np.isfinite(sequence).any(axis=(2, 3)))  # frames, bodies
    lost = (marks[0] | marks[1]) & seen[:, :, None]
    for joint, name in enumerate(layout.canonical_names):
        if name in _ORIGINS:
            for body in np.flatnonzero(lost[:, :, joint].any(axis=0)):
                first = int(np.argmax(seen[:, body]))
                if marks[0][first, body, joint]:
                    lost[:, body, joint] = False
    if not lost.any():
        return sequence
    found = sequence.copy()
    found[lost] = np.nan
    return found


def _is(
    sequence: Float32[np.ndarray, "frames bodies joints 3"], value: float
) -> Bool[np.ndarray, "frames bodies joints"]:
    # Axis by axis, which numpy does much faster than a reduction of so short an axis.
    x, y, z = (sequence[..., axis] == value for axis in range(3))
    return x & y & z
