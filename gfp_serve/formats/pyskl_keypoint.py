"""The array of joints in an annotation of PYSKL: the order of its axes, where its frames end, and whether it is 2-D.

The documented order is M T V C: bodies, frames, joints, coordinates. Files of others have the order of ST-GCN (C T V M)
or frames first (T M V C), and files with one body a clip may have no M.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.pickled_array import PickledArray

_PYSKL, _ST_GCN, _FRAMES_FIRST = "MTVC", "CTVM", "TMVC"
_ORDERS = (_PYSKL, _ST_GCN, _FRAMES_FIRST, "TVC", "CTV")
_WORDS = {"M": "bodies", "T": "frames", "V": "joints", "C": "coordinates"}
# Of the layouts that are common for 2-D and 3-D joints: from Penn Action's 13 to the 133 of COCO-WholeBody.
_JOINT_COUNTS = frozenset({13, 14, 15, 16, 17, 18, 20, 21, 22, 24, 25, 26, 32, 33, 133, 136})
# Real files have far fewer. Comparing each pair of thousands of bodies would take too much time.
_MAX_BODIES = 64
# No person is this many metres from a sensor, and images have more pixels.
_FARTHEST_M = 20
# Confidences are peaks of heat maps, which lie a little beyond 1 at times.
_MOST_CONFIDENT = 1.1


@dataclass(frozen=True, slots=True)
class Keypoint:
    """What an annotation says of its joints."""

    where: str  # the annotation, for messages
    array: PickledArray  # numbers
    total_frames: int | None
    score: PickledArray | None
    image_size: tuple[int, int] | None  # width, height


@dataclass(frozen=True, slots=True, eq=False)
class Joints2d:
    """The 2-D joints of an annotation, as they are in the file: y grows downwards in images."""

    joints: Float32[np.ndarray, "frames bodies joints 2"]  # pixels, or 0..1 of the image's width and height
    scores: Float32[np.ndarray, "frames bodies joints"] | None  # confidence, 0 = not found
    image_size: tuple[int, int] | None  # width, height in pixels

    @property
    def num_joints(self) -> int:
        return self.joints.shape[2]


def axis_orders(keypoints: Sequence[Keypoint]) -> dict[int, str]:
    """The order of the axes, such as "MTVC", for each number of axes that arrays of the file have.

    All arrays with equally many axes have one order. It is found from the sizes of all of them, from `total_frames` and
    from the number of joints. Raises `DamagedFileError` if no order fits, and if two orders fit.
    """
    same: dict[int, list[Keypoint]] = defaultdict(list)
    for keypoint in keypoints:
        same[len(keypoint.array.shape)].append(keypoint)
    return {num_axes: _order_of(group) for num_axes, group in same.items()}


def frames_first(keypoint: Keypoint, order: str) -> Float32[np.ndarray, "frames bodies joints coordinates"]:
    """The joints without padding: what is after `total_frames`, and frames at the end in which all numbers are 0."""
    values = _float32(_in_order(keypoint.array, order, "TMVC"))
    return values[: _num_frames(keypoint, values)]


def check_frames(keypoint: Keypoint, order: str) -> None:
    """Raise `DamagedFileError` if frames after `total_frames` have other numbers than 0: they may be part of it."""
    if keypoint.total_frames in (None, keypoint.array.shape[order.index("T")]):
        return
    values = _in_order(keypoint.array, order, "TMVC")
    if (values[keypoint.total_frames :] != 0).any():
        raise DamagedFileError(
            f"{keypoint.where} has {len(values)} frames in 'keypoint', but another number in 'total_frames': "
            f"{keypoint.total_frames}, and frames after those are not zero. Cut the array, or correct the number."
        )


def first_2d(keypoints: Iterable[Keypoint], orders: dict[int, str]) -> Keypoint | None:
    """The first annotation with 2-D joints, in a file of which `axis_orders` gives the orders; None if all are 3-D.

    Joints are 2-D if they have two coordinates, or three of which the third is 0 everywhere. They are 2-D with a
    confidence, too, if in all annotations the third is in 0..1.1, and x and y are either pixels (further away than any
    person from a sensor) or in 0..1: a person whose joints all lie in one cubic metre beside the sensor is not likely.
    """
    with_confidence: Keypoint | None = None
    only_confidence = True
    for keypoint in keypoints:
        values = _in_order(keypoint.array, orders[len(keypoint.array.shape)], "TMVC")
        if values.shape[-1] == 2:
            return keypoint
        # The first joint is enough for nearly all 3-D joints.
        depth = values[..., 2]
        if depth.item(0) > _MOST_CONFIDENT or _beyond(depth, 0, _MOST_CONFIDENT):
            only_confidence = False
        elif not (depth > 0).any():
            if _beyond(values, 0, 0):
                return keypoint
        elif _is_image(values[..., :2]):
            with_confidence = with_confidence or keypoint
        else:
            only_confidence = False
    return with_confidence if only_confidence else None


def joints_2d(keypoint: Keypoint, order: str) -> Joints2d:
    """The 2-D joints of an annotation that `first_2d` finds. Raises `DamagedFileError` for scores of another shape."""
    values = frames_first(keypoint, order)
    joints, scores = values[..., :2], None
    if keypoint.score is not None:
        expected = tuple(size for size, axis in zip(keypoint.array.shape, order, strict=True) if axis != "C")
        if keypoint.score.shape != expected:
            raise DamagedFileError(
                f"{keypoint.where} has scores of shape {_shown(keypoint.score.shape)} in 'keypoint_score'; expected "
                f"{_shown(expected)}, one for each joint."
            )
        scores = _float32(_in_order(keypoint.score, order.replace("C", ""), "TMV"))[: len(values)]
    elif values.shape[-1] == 3 and (values[..., 2] > 0).any():
        scores = values[..., 2]
    return Joints2d(joints, scores, keypoint.image_size)


def _order_of(group: Sequence[Keypoint]) -> str:
    """The order of arrays that have equally many axes."""
    left: set[str] = set(_ORDERS)
    for keypoint in group:
        fitting = _fitting(keypoint.array.shape, keypoint.total_frames)
        if not fitting:
            raise _misfit(keypoint)
        if left.isdisjoint(fitting):
            raise DamagedFileError(
                f"{keypoint.where} has joints of shape {_shown(keypoint.array.shape)}, {_spelt(fitting[0])}; those "
                f"before it are {_spelt(min(left, key=_ORDERS.index))}. Write all in the same order of axes."
            )
        left.intersection_update(fitting)
    order = _chosen(group, left)
    for keypoint in group:
        if (num_bodies := _num_bodies(keypoint.array.shape, order)) > _MAX_BODIES:
            raise DamagedFileError(
                f"{keypoint.where} has {num_bodies} bodies in 'keypoint'; expected at most {_MAX_BODIES}."
            )
    return order


def _chosen(group: Sequence[Keypoint], left: set[str]) -> str:
    """The order of arrays that all fit the orders that are left."""
    if {_PYSKL, _ST_GCN} <= left and all((*it.array.shape[:1], *it.array.shape[3:]) == (3, 2) for it in group):
        # Three bodies in two dimensions, or two bodies in three.
        found = {_order_by_values(keypoint) for keypoint in group} - {None}
        if len(found) != 1:
            raise _two_fit(group[0], _PYSKL, _ST_GCN, "write it with bodies first, and 'keypoint_score' if it is 2-D")
        return found.pop() or _PYSKL
    for keypoint in group:
        num_bodies, num_frames = keypoint.array.shape[:2]
        if {_PYSKL, _FRAMES_FIRST} <= left and keypoint.total_frames is None and num_bodies > num_frames:
            raise _two_fit(keypoint, _PYSKL, _FRAMES_FIRST, "write the number of frames into 'total_frames'")
    return min(left, key=_ORDERS.index)


@lru_cache(maxsize=4096)
def _fitting(shape: tuple[int, ...], total_frames: int | None) -> tuple[str, ...]:
    """The orders that an array may have, the documented one first. Those with exactly `total_frames` exclude others."""
    exact, padded = [], []
    for order in _ORDERS:
        if len(order) != len(shape):
            continue
        size = dict(zip(order, shape, strict=True))
        # In the documented order, any number of joints will do.
        joints_fit = size["V"] in _JOINT_COUNTS or (order == _PYSKL and size["V"] > 3)
        if size["C"] not in (2, 3) or not joints_fit or min(shape) < 1:
            continue
        if total_frames is None or total_frames == size["T"]:
            exact.append(order)
        elif total_frames < size["T"]:
            padded.append(order)
    fitting = exact or padded
    return tuple([order for order in fitting if _num_bodies(shape, order) <= _MAX_BODIES] or fitting)


def _num_bodies(shape: tuple[int, ...], order: str) -> int:
    return shape[order.index("M")] if "M" in order else 1


def _misfit(keypoint: Keypoint) -> DamagedFileError:
    shape = keypoint.array.shape
    fitting = _fitting(shape, None)
    if fitting:
        num_frames = shape[fitting[0].index("T")]
        return DamagedFileError(
            f"{keypoint.where} has {num_frames} frames in 'keypoint', but another number in 'total_frames': "
            f"{keypoint.total_frames}. Copy the file again, or correct the number."
        )
    orders = "; ".join(map(_spelt, _ORDERS))
    return DamagedFileError(
        f"{keypoint.where} has joints of shape {_shown(shape)} in 'keypoint'; expected one of: {orders}; with 2 or 3 "
        f"coordinates."
    )


def _two_fit(keypoint: Keypoint, first: str, second: str, advice: str) -> DamagedFileError:
    return DamagedFileError(
        f"{keypoint.where} has joints of shape {_shown(keypoint.array.shape)} in 'keypoint', which can be "
        f"{_spelt(first)} and {_spelt(second)}. To say which, {advice}."
    )


def _order_by_values(keypoint: Keypoint) -> str | None:
    """Whether an array of 3 × frames × joints × 2 has three bodies or three coordinates; None if either may be."""
    if keypoint.score is not None and keypoint.score.shape == keypoint.array.shape[:3]:
        return _PYSKL
    values = _float32(keypoint.array.array())
    largest = values.max(where=np.isfinite(values), initial=0)
    if (values < min(-0.05, -0.1 * largest if largest > _FARTHEST_M else 0)).any():
        return _ST_GCN  # image coordinates are hardly ever below 0
    third = values[2]
    if largest > _MOST_CONFIDENT and (third > 0).any() and not _beyond(third, 0, _MOST_CONFIDENT):
        return _ST_GCN  # x, y and a confidence
    return _PYSKL if largest > _FARTHEST_M and (third > _FARTHEST_M).any() else None


def _in_order(array: PickledArray, order: str, wanted: str) -> np.ndarray:
    """The array with its axes in the wanted order. A missing body axis is added."""
    values = array.array() if "M" in order else array.array()[np.newaxis]
    return values.transpose(_axes(order, wanted))


@cache
def _axes(order: str, wanted: str) -> tuple[int, ...]:
    return tuple(order.rjust(len(wanted), "M").index(axis) for axis in wanted)


def _num_frames(keypoint: Keypoint, values: np.ndarray) -> int:
    if keypoint.total_frames is not None and keypoint.total_frames < len(values):
        return keypoint.total_frames
    if values[-1, 0, 0, 0] != 0 or (values[-1] != 0).any():
        return len(values)
    seen = np.flatnonzero((values != 0).any(axis=(1, 2, 3)))
    return int(seen[-1]) + 1 if len(seen) else len(values)


def _float32(values: np.ndarray) -> Float32[np.ndarray, "..."]:
    # Numbers beyond float32 become infinite, and are refused as coordinates later.
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32, copy=False)


def _beyond(values: np.ndarray, least: float, most: float) -> bool:
    """Whether some number is outside this range. NaN is not."""
    return bool(((values < least) | (values > most)).any())


def _is_image(values: np.ndarray) -> bool:
    """Whether x and y are pixels, or parts of an image's width and height."""
    return bool((values > _FARTHEST_M).any()) or not _beyond(values, 0, 1)


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _spelt(order: str) -> str:
    return " × ".join(_WORDS[axis] for axis in order)
