"""The project's own interchange format: many clips of one layout in a `.npz` without pickles.

Required arrays: `positions` [rows, joints, 3], `offsets` [clips + 1] (clip i is rows `offsets[i]:offsets[i + 1]`),
`joint_names`, `parents`, `fps` (one number, or one for each clip). Optional: `positions2` (a second body, NaN where
there is none), `label` with `class_names`, `subject`, `camera`, `split`, `clip_name`, `description`, and the
conventions `up`, `unit`, `hand`. Other arrays are ignored.
"""

import itertools
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfp_serve.array_files import UNREADABLE_ARCHIVE, check_size, opened_zip, read_arrays, words_of
from gfp_serve.conventions import STANDARD, Conventions, decide, to_standard
from gfp_serve.errors import (
    DamagedFileError,
    InvalidRequestError,
    UnknownLayoutError,
)
from gfp_serve.files import open_ordinary
from gfp_serve.formats.clip import UNKNOWN_SUBJECT, Clip
from gfp_serve.formats.image_clips import image_axis, standard_clip
from gfp_serve.formats.remark import Remark
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import LAYOUTS, STANDARD_NAMES, Layout, layout_of, standard_name

_REQUIRED = ("positions", "offsets", "joint_names", "parents", "fps")
_CONVENTIONS = ("up", "unit", "hand")
_OPTIONAL = (
    *_CONVENTIONS,
    "y_down",
    "visibility",
    "image_size",
    "positions2",
    "label",
    "class_names",
    "subject",
    "camera",
    "split",
    "clip_name",
    "description",
)

# What a numpy dtype's kind is called in messages.
_KINDS = {
    "b": "true or false",
    "f": "floating-point numbers",
    "iu": "integers",
    "U": "text",
    "iuU": "integers or text",
    "fiu": "a number",
    "iuf": "numbers",
}


def read(
    path: Path,
    said: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> Iterator[Clip | Remark]:
    """Yield the clips of a clip file. A body that is NaN in all frames of a clip is left out of it.

    Coordinates are metres, y up, right-handed, if neither caller nor file say otherwise. A remark says it if people do
    not stand so in the file. Where z is 0 (or NaN) everywhere, these are 2-D joints: see `image_joints`. Then
    `visibility` is their confidence, and `image_size` the width and height of each clip's images.
    Raises `DamagedFileError`, which names the file and the array, for everything that contradicts the format.
    """
    file = _Arrays(path, _load(path))
    conventions = said.or_else(_conventions(file))
    clips = list(_clips(file, joint_map))
    if joint_map is not None and (absent := joint_map.about_absent(file.arrays["joint_names"].tolist())):
        yield Remark(absent)
    if repeated := _num_repeated(file):
        yield Remark(f"{repeated} clips have the name of an earlier one; they are called NAME#2, NAME#3 and so on.")
    if _is_flat(clips):
        yield from _flat_clips(file, clips, conventions, joint_map)
        return
    if not (found := conventions.or_else(STANDARD)).is_standard:
        yield Remark(f"read as {found}.")
    clips = [replace(clip, sequence=to_standard(clip.sequence, found)) for clip in clips]
    if not any(conventions.axes):
        yield from _doubts(clips)
    yield from clips


def _is_flat(clips: Sequence[Clip]) -> bool:
    seen = [clip.sequence[np.isfinite(clip.sequence).all(axis=-1)] for clip in clips]  # joints, 3
    return not any(joints[:, 2].any() for joints in seen) and any(joints.any() for joints in seen)


def _flat_clips(
    file: "_Arrays", clips: Sequence[Clip], conventions: Conventions, joint_map: JointMap | None
) -> Iterator[Clip | Remark]:
    """The same clips, of 2-D joints, made standard. y points down, as in images, if nothing says or shows otherwise."""
    layout = clips[0].layout
    up = conventions.up or decide([clip.sequence for clip in clips], layout, Conventions()).up or "-y"
    image_axis(file.path, up)  # before anything is said
    rows, count = sum(len(clip.sequence) for clip in clips), len(clips)
    confidence = file.optional("visibility", "f", (rows, len(file.arrays["joint_names"])))
    _, kept = _layout(file, joint_map)
    if confidence is not None and kept is not None:
        confidence = confidence[:, kept]
    sizes = file.optional("image_size", "iuf", (count, 2))
    yield Remark(f"read as 2-D joints, {up} up.")
    start = 0
    for number, clip in enumerate(clips):
        end = start + len(clip.sequence)
        # The file has the confidence of the first body only.
        known = None if confidence is None or clip.sequence.shape[1] > 1 else confidence[start:end, None]
        yield from standard_clip(
            file.path,
            clip,
            clip.sequence[..., :2],
            replace(conventions, up=up),
            confidence=known,
            image_size=None if sizes is None else (float(sizes[number, 0]), float(sizes[number, 1])),
        )
        start = end


def _doubts(clips: Sequence[Clip]) -> Iterator[Remark]:
    """What speaks against the conventions of the format, in how people stand in the file."""
    seems = decide([clip.sequence for clip in clips], clips[0].layout, Conventions())
    if seems.up not in (None, STANDARD.up):
        yield Remark(f"people look as if {seems.up} were up in it; if so, say --up {seems.up}.")
    if seems.unit not in (None, STANDARD.unit):
        yield Remark(f"people have the size of people in {seems.unit_name}; if so, say --unit {seems.unit}.")
    if seems.hand not in (None, STANDARD.hand):
        yield Remark("people look mirrored; if axes are left-handed, say --hand left.")


def _clips(file: "_Arrays", joint_map: JointMap | None) -> Iterator[Clip]:
    layout, kept = _layout(file, joint_map)
    positions = file.take("positions", "f", (None, len(file.arrays["joint_names"]), 3))
    second = file.optional("positions2", "f", positions.shape)
    offsets = _offsets(file, num_rows=len(positions))
    count = len(offsets) - 1
    rates = _rates(file, count)
    labels = _labels(file, count)
    subjects = file.optional("subject", "iuU", (count,))
    cameras = file.optional("camera", "iu", (count,))
    splits = file.optional("split", "iu", (count,))
    if splits is not None and not np.isin(splits, (-1, 0, 1)).all():
        raise file.damaged("split", "holds values other than 0 (train), 1 (test) and -1 (none)")
    names = _clip_names(file, count)
    descriptions = file.optional("description", "U", (count,))

    for index in range(count):
        rows = slice(offsets[index], offsets[index + 1])
        bodies = [positions[rows]]
        if second is not None and not np.isnan(second[rows]).all():
            bodies.append(second[rows])
        bodies = bodies if kept is None else [body[:, kept] for body in bodies]
        yield Clip(
            name=names[index],
            sequence=np.stack(bodies, axis=1).astype(np.float32, copy=False),  # frames, bodies, joints, 3
            layout=layout,
            fps=rates[index],
            label=labels[index],
            subject=UNKNOWN_SUBJECT if subjects is None else str(subjects[index]),
            camera=0 if cameras is None else int(cameras[index]),
            split=-1 if splits is None else int(splits[index]),
            description="" if descriptions is None else str(descriptions[index]),
        )


def guess(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names of a file's joints, and the standard names of those that are known. Raises `DamagedFileError`."""
    names = [str(name) for name in _Arrays(path, _load(path)).take("joint_names", "U", (None,))]
    known = next((layout.canonical for layout in LAYOUTS.values() if layout.joint_names == tuple(names)), {})
    guessed: dict[str, str] = {}
    for name in names:
        standard = known.get(name) or standard_name(name)
        if standard in STANDARD_NAMES and standard not in guessed.values():
            guessed[name] = standard
    return names, guessed


class _Arrays:
    """The arrays of one file, each checked as it is taken."""

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        self.path, self.arrays = path, arrays

    def take(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The array with this name, checked: its dtype's kind is one of `kinds`, its shape is this (None: any size)."""
        if name not in self.arrays:
            raise DamagedFileError(
                f"{self.path} is not a clip file: it has no array {name!r}; a clip file has {', '.join(_REQUIRED)}. "
                f"gfp_serve.formats.write_clip_file makes one of arrays."
            )
        array = self.arrays[name]
        if array.dtype.kind not in kinds:
            raise self.damaged(name, f"holds {array.dtype}; expected {_KINDS[kinds]}")
        sizes_fit = all(want is None or want == size for want, size in zip(shape, array.shape, strict=False))
        if array.ndim != len(shape) or not sizes_fit:
            want_text = " × ".join("n" if size is None else str(size) for size in shape) or "one number"
            raise self.damaged(name, f"has shape {_shape(array.shape)}; expected {want_text}")
        return array

    def optional(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray | None:
        return self.take(name, kinds, shape) if name in self.arrays else None

    def damaged(self, name: str, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path}: array {name!r} {what}.")


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_ordinary(path) as file:
            if not zipfile.is_zipfile(file):
                raise DamagedFileError(
                    f"{path} is not a clip file: it is not a zip archive, or was cut off; copy it again."
                )
            with opened_zip(file) as archive:
                check_size(path, archive, path.stat().st_size)
                return read_arrays(archive, (*_REQUIRED, *_OPTIONAL))
    except UNREADABLE_ARCHIVE as error:
        raise DamagedFileError(f"{path}: {words_of(error)}; copy it, or write it again.") from error


def _layout(file: _Arrays, joint_map: JointMap | None) -> tuple[Layout, list[int] | None]:
    """The layout of the file's clips, and which of its joints they have; None: all."""
    names = [str(name) for name in file.take("joint_names", "U", (None,))]
    parents = [int(parent) for parent in file.take("parents", "iu", (len(names),))]
    if len(set(names)) < len(names):
        raise file.damaged("joint_names", f"names {next(n for n in names if names.count(n) > 1)!r} twice")
    if not all(-1 <= parent < len(names) for parent in parents):
        raise file.damaged("parents", f"must hold joint numbers from 0 to {len(names) - 1}, or -1 for a root")
    if (circle := _in_a_circle(parents)) is not None:
        raise file.damaged("parents", f"must make a tree, and joint {names[circle]!r} is its own ancestor")
    if joint_map is not None:
        try:
            return joint_map.layout_of(names, parents)
        except DamagedFileError as error:
            raise DamagedFileError(f"{file.path}: {error}") from error
    try:
        return layout_of(names, parents), None
    except UnknownLayoutError as error:
        raise file.damaged(
            "joint_names", f"is not a usable layout: {error} Say which joint is which with --joint-map"
        ) from error


def _in_a_circle(parents: Sequence[int]) -> int | None:
    """A joint that is above itself; None if there is none."""
    for joint in range(len(parents)):
        above = parents[joint]
        for _ in parents:
            if above < 0:
                break
            if above == joint:
                return joint
            above = parents[above]
    return None


def _offsets(file: _Arrays, *, num_rows: int) -> list[int]:
    offsets = file.take("offsets", "iu", (None,)).tolist()
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != num_rows:
        raise file.damaged(
            "offsets",
            f"must run from 0 to the {num_rows} rows of 'positions', got {_ends(offsets)}; the file is cut off",
        )
    for clip, (start, stop) in enumerate(itertools.pairwise(offsets)):
        if stop <= start:
            raise file.damaged("offsets", f"must rise, but goes from {start} to {stop} at clip {clip}")
    return offsets


def _rates(file: _Arrays, count: int) -> list[float]:
    """Frames a second of each clip: the file has one number for all, or one for each."""
    is_one = np.ndim(file.arrays.get("fps", 0)) == 0
    rates = np.broadcast_to(file.take("fps", "fiu", () if is_one else (count,)), count).astype(float)
    for rate in rates.tolist():
        if not 0 < rate < np.inf:
            raise file.damaged("fps", f"is {rate}; expected a finite number above 0")
    return rates.tolist()


def _labels(file: _Arrays, count: int) -> list[str | None]:
    numbers = file.optional("label", "iu", (count,))
    if numbers is None:
        return [None] * count
    if (numbers < 0).all():
        return [None] * count
    classes = file.take("class_names", "U", (None,))
    wrong = np.flatnonzero((numbers < -1) | (numbers >= len(classes)))
    if len(wrong):
        clip = int(wrong[0])
        raise file.damaged(
            "label",
            f"gives clip {clip} class {numbers[clip]}; expected 0 to {len(classes) - 1} (see 'class_names') or -1",
        )
    return [None if number < 0 else str(classes[number]) for number in numbers]


def _conventions(file: _Arrays) -> Conventions:
    """What the file says. An empty text is not known; `y_down` is the older way to say that -y is up."""
    said = {name: file.optional(name, "U", ()) for name in _CONVENTIONS}
    known = {name: "" if value is None else str(value) for name, value in said.items()}
    y_down = file.optional("y_down", "b", ())
    if not known["up"] and y_down is not None and y_down:
        known["up"] = "-y"
    try:
        return Conventions.from_texts(**known)
    except InvalidRequestError as error:
        raise DamagedFileError(f"{file.path}: {error}") from error


def _clip_names(file: _Arrays, count: int) -> list[str]:
    given = file.optional("clip_name", "U", (count,))
    if given is None:
        return [f"{number:0{len(str(count - 1))}}" for number in range(count)]
    names = [str(name) for name in given]
    taken, counts = set(names), Counter[str]()
    for clip, name in enumerate(names):
        counts[name] += 1
        if counts[name] > 1:
            while (other := f"{name}#{counts[name]}") in taken:
                counts[name] += 1
            taken.add(other)
            names[clip] = other
    return names


def _num_repeated(file: _Arrays) -> int:
    given = file.optional("clip_name", "U", (None,))
    return 0 if given is None else len(given) - len(set(given.tolist()))


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _ends(offsets: list[int]) -> str:
    return f"{offsets[0]} to {offsets[-1]}" if offsets else "nothing"
