"""The archives of VideoPose3D: `data_3d_h36m.npz`, `data_2d_h36m_gt.npz`, `data_2d_custom_mine.npz`.

`positions_3d` is a mapping person -> action -> frames × 32 × 3: Human3.6M in metres, z up, 50 frames a second.
`positions_2d` is person -> action -> a list with an array of frames × 17 × 2 for each camera, in pixels. `metadata`
says in `layout_name` or `keypoints_symmetry` whose joints these are (VideoPose3D, DATASETS.md and
data/prepare_data_h36m.py). A mapping is a pickle inside the archive; it is never unpickled, see `plain_pickle`.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.array_files import (
    UNREADABLE_ARCHIVE,
    check_size,
    open_archive,
    open_member,
    read_header,
    shown,
    words_of,
)
from gfp_serve.conventions import Conventions, to_standard
from gfp_serve.errors import DamagedFileError, InvalidSkeletonError
from gfp_serve.formats.clip import NO_FRAMES, NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.image_clips import standard_clip
from gfp_serve.formats.pickled_array import PickledArray
from gfp_serve.formats.plain_pickle import PickledDict, load_stream
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import COCO17, H36M17, H36M32, Layout

FPS = 50.0  # of Human3.6M
_VIDEO_FPS = 30.0
_SOLID, _FLAT = "positions_3d", "positions_2d"
_CONVENTIONS = Conventions(up="z", unit="m", hand="right")
_LAYOUTS = {layout.num_joints: layout for layout in (H36M32, H36M17)}
_LAYOUTS_2D = {"h36m": H36M17, "coco": COCO17}
# The left joints in the metadata of archives that do not name their layout.
_LEFT_JOINTS = {(4, 5, 6, 11, 12, 13): H36M17, (1, 3, 5, 7, 9, 11, 13, 15): COCO17}
# The usual protocol of Human3.6M.
_SIDES = dict.fromkeys(("S1", "S5", "S6", "S7", "S8"), TRAIN_SPLIT) | dict.fromkeys(("S9", "S11"), TEST_SPLIT)
_PROTOCOL = "x-sub"
# Actions may share an array. This many times the archive's content are given out at most.
_MAX_SHARING = 10


def is_data_set(path: Path) -> bool:
    """Whether this is such an archive. A clip file is not."""
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
    except UNREADABLE_ARCHIVE:
        return False
    return "positions.npy" not in names and (f"{_SOLID}.npy" in names or f"{_FLAT}.npy" in names)


def read(path: Path, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield a clip for each action, in 2-D for each camera too. Its label is the action without its number.

    Raises `DamagedFileError`, which names the person and the action.
    """
    with _reading(path), open_archive(path) as archive:
        check_size(path, archive, path.stat().st_size)
        content = {
            name: _content(path, archive, name)
            for name in (_SOLID, _FLAT, "metadata")
            if f"{name}.npy" in archive.namelist()
        }
        num_bytes = sum(member.file_size for member in archive.infolist())
    takes = [take for name in (_SOLID, _FLAT) if name in content for take in _takes(path, name, content[name])]
    if sum(take.array.num_bytes for take in takes) > _MAX_SHARING * num_bytes:
        raise DamagedFileError(f"{path}: its actions share their arrays; write each action with an array of its own.")
    if not takes:
        raise DamagedFileError(
            f"{path} has no action; expected a mapping person -> action -> positions. Copy it again."
        )
    layout_2d, assumed = _layout_2d(path, content.get("metadata")) if _FLAT in content else (H36M17, "")
    taken: Counter[str] = Counter()
    for take in takes:
        _check_shape(take, layout_2d)
    if assumed:
        yield Remark(assumed)
    known = all(re.fullmatch(r"S\d+", take.subject) for take in takes)
    if not known and said.fps is None:
        yield Remark(
            f"it does not say how many frames a second it has; {_VIDEO_FPS:g} were assumed. Say it with --fps."
        )
    for take in takes:
        split = _SIDES.get(take.subject, NO_SPLIT)
        taken[take.name] += 1  # names that differ in blanks alone become one
        name = take.name if taken[take.name] == 1 else f"{take.name}#{taken[take.name]}"
        clip = Clip(
            name=name,
            sequence=NO_FRAMES,
            layout=layout_2d if take.is_flat else _LAYOUTS[take.array.shape[1]],
            fps=FPS if known else _VIDEO_FPS,
            label=None if take.action == "custom" else re.sub(r"[ _]\d+$", "", take.action),
            subject=take.subject,
            camera=take.camera,
            split=split,
            splits={} if split == NO_SPLIT else {_PROTOCOL: split},
        )
        try:
            yield from _flat_clip(path, take, clip, said) if take.is_flat else _solid_clip(take, clip, said)
        except InvalidSkeletonError as error:
            yield Remark(error.message, left_out=name)


@dataclass(frozen=True, slots=True, eq=False)
class _Take:
    """An action as one array has it."""

    where: str
    subject: str
    action: str
    is_flat: bool
    camera: int
    array: PickledArray

    @property
    def name(self) -> str:
        stem = f"{self.subject}_{self.action}".replace(" ", "_")
        return f"{stem}_cam{self.camera}" if self.is_flat else stem


def _content(path: Path, archive: zipfile.ZipFile, name: str) -> PickledDict:
    """The mapping in an array of the archive."""
    where = f"{path}: array {name!r}"
    with open_member(archive, f"{name}.npy") as file:
        shape, _, dtype = read_header(file)
        if dtype.kind != "O" or shape != ():
            raise DamagedFileError(f"{where} is {dtype} of shape {shown(shape)}; expected one mapping by person.")
        value = load_stream(file, archive.getinfo(f"{name}.npy").file_size, where)
    if isinstance(value, PickledArray) and value.dtype.kind == "O" and value.shape == ():
        (value,) = value.values()
    if not isinstance(value, PickledDict):
        raise DamagedFileError(f"{where} is not a mapping; expected person -> action -> positions.")
    return value


def _takes(path: Path, name: str, people: Mapping[str, Any]) -> Iterator[_Take]:
    is_flat = name == _FLAT
    for subject, actions in _named(f"{path}: array {name!r}", people):
        for action, value in _named(f"{path}: {name}, {subject[:80]!r}", actions):
            where = f"{path}: {name}, {subject[:80]!r}, {action[:80]!r}"
            arrays = _cameras(value) if is_flat else [value]
            if arrays is None:
                raise DamagedFileError(f"{where} must be a list with an array for each camera.")
            for camera, array in enumerate(arrays):
                place = f"{where}, camera {camera}" if is_flat else where
                if not isinstance(array, PickledArray) or array.dtype.kind not in "fiu":
                    raise DamagedFileError(f"{place} must be an array of numbers.")
                yield _Take(place, subject, action, is_flat, camera, array)


def _named(where: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, PickledDict) or value.num_left_out:
        raise DamagedFileError(f"{where} must be a mapping by names, which are text.")
    return list(value.items())


def _cameras(value: Any) -> Sequence[Any] | None:
    if isinstance(value, PickledArray) and value.dtype.kind == "O" and len(value.shape) == 1:
        return value.values()
    return value if isinstance(value, list | tuple) else None


def _layout_2d(path: Path, metadata: Mapping[str, Any] | None) -> tuple[Layout, str]:
    """The layout of 2-D joints, and what was assumed for it."""
    if metadata is None:
        return H36M17, "it has no metadata; its joints were taken for the 17 of Human3.6M."
    name, symmetry = metadata.get("layout_name"), metadata.get("keypoints_symmetry")
    if name is not None:
        layout = _LAYOUTS_2D.get(str(name)[:80])
    else:
        left = symmetry[0] if isinstance(symmetry, list | tuple) and symmetry else ()
        numbers = left.values() if isinstance(left, PickledArray) else left
        plain = isinstance(numbers, list | tuple) and all(type(number) is int for number in numbers)
        layout = _LEFT_JOINTS.get(tuple(numbers)) if plain else None
    if layout is None:
        said = f"the layout {str(name)[:80]!r}" if name is not None else "left joints of an unknown layout"
        raise DamagedFileError(
            f"{path}: 'metadata' has {said}; expected h36m or coco. Make a clip file of other joints: "
            f"gfp_serve.formats.write_clip_file."
        )
    return layout, ""


def _check_shape(take: _Take, layout_2d: Layout) -> None:
    shape = take.array.shape
    if take.is_flat:
        fits = len(shape) == 3 and shape[1] == layout_2d.num_joints and shape[2] in (2, 3)
        expected = f"frames × {layout_2d.num_joints} × 2, or × 3 with confidence"
    else:
        fits = len(shape) == 3 and shape[1] in _LAYOUTS and shape[2] == 3
        expected = "frames × 32 × 3 or frames × 17 × 3, the joints of Human3.6M"
    if not fits or not shape[0]:
        raise DamagedFileError(f"{take.where} has shape {shown(shape)}; expected {expected}.")


def _solid_clip(take: _Take, clip: Clip, said: Conventions) -> Iterator[Clip | Remark]:
    found = said.or_else(_CONVENTIONS)
    if not found.is_standard:
        yield Remark(f"read as {found}.")
    sequence = _numbers(take)
    yield replace(clip, sequence=to_standard(sequence, found))


def _flat_clip(path: Path, take: _Take, clip: Clip, said: Conventions) -> Iterator[Clip | Remark]:
    yield Remark(f"read as 2-D joints of the layout {clip.layout.name}.")
    joints = _numbers(take)
    confidence = joints[..., 2] if joints.shape[-1] == 3 else None
    yield from standard_clip(path, clip, joints[..., :2], said, confidence=confidence)


def _numbers(take: _Take) -> np.ndarray:
    """The numbers of a take with an axis for bodies. Raises `InvalidSkeletonError` for infinite ones."""
    with np.errstate(over="ignore"):
        joints = np.array(take.array.array()[:, None], dtype=np.float32)
    if np.isinf(joints).any():
        raise InvalidSkeletonError("a coordinate is infinite; what was not seen is NaN.")
    return joints


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE_ARCHIVE as error:
        raise DamagedFileError(f"{path} cannot be read: {words_of(error)}; copy it again.") from error
