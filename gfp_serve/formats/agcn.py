"""The arrays of ST-GCN, 2s-AGCN and their relatives: `train_data.npy` or `train_data_joint.npy`, `val_...`.

An array has the axes clips, 3, frames, joints, bodies. 25 joints are those of NTU RGB+D (x, y, z); 18 are those of
Kinetics-skeleton (x, y, confidence). Beside it lies `train_label.pkl`: the names of the clips, and their class numbers
from 0. Short clips are filled up with zeros (ST-GCN), or by repeating them (2s-AGCN). 2s-AGCN turns clips of NTU RGB+D
so that z is up, and centres each frame on the spine.
"""

import glob
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.array_files import shown
from gfp_serve.conventions import STANDARD, Conventions, decide, to_standard
from gfp_serve.errors import DamagedFileError, InvalidSkeletonError
from gfp_serve.formats import ntu
from gfp_serve.formats.bodies import without_empty_places
from gfp_serve.formats.clip import TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.image_clips import image_axis
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.formats.pickled_array import PickledArray
from gfp_serve.formats.plain_pickle import load
from gfp_serve.formats.remark import Remark
from gfp_serve.image_joints import from_image
from gfp_serve.layouts import NTU25, OPENPOSE18, Layout

FPS = 30.0
NUM_AXES = 5
_LAYOUTS = {layout.num_joints: layout for layout in (NTU25, OPENPOSE18)}
# Kinetics-skeleton has videos of this width and height; coordinates are parts of these.
_IMAGE_SIZE = np.array([340, 256], dtype=np.float32)
_MAX_BODIES, _MAX_FRAMES = 8, 100_000
_LARGEST_LABEL = 100_000
# Clips by which it is decided how people stand, spread over the file.
_CLIPS_LOOKED_AT = 200

# What comes before "data" is the side of the split.
_NAME = re.compile(r"(?P<start>(?:.*[_-])?(?P<side>train|val|test)[_-]?)data(?:[_-]joints?)?", re.IGNORECASE)
_NOT_JOINTS = re.compile(r"[_-](?:bones?|motion)(?![a-z])", re.IGNORECASE)
_SIDES = {"train": TRAIN_SPLIT, "val": TEST_SPLIT, "test": TEST_SPLIT}
# The protocol is the name of the folder.
_PROTOCOLS = {"xsub": "x-sub", "xview": "x-view", "xset": "x-set", "xsetup": "x-set"}


def label_file_of(path: Path) -> Path | None:
    """The pickle with the labels of this array; None if there is none."""
    named = _NAME.fullmatch(path.stem)
    beside = None if named is None else path.with_name(f"{named['start']}label.pkl")
    return beside if beside is not None and beside.is_file() else None


def is_label_file(path: Path) -> bool:
    """Whether a pickle has the labels of an array beside it."""
    return path.stem.lower().endswith("label") and any(
        label_file_of(array) == path
        for array in path.parent.glob(f"{glob.escape(path.stem[: -len('label')])}data*.npy")
    )


def read(path: Path, array: np.ndarray, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield the clips of the array of a file, one at a time: a file of 20 GB takes no more memory than a few clips.

    Padding is left out: frames of zeros at the end, and what repeats the clip from its beginning. So is a body that is
    zero in all frames or a copy of an earlier one. Clips of zeros give a remark. Which way is up is decided over the
    whole file, because 2s-AGCN turns clips; where nobody stands it is y for 25 joints and -y for 18. Subject, camera
    and label come from names like S001C002P003R002A013, if the numbers of the classes agree with all of them; other
    classes are A001 and so on. The name of the file says the split. Without labels, clips are numbered.
    Raises `DamagedFileError` when the shape is wrong, and when the labels do not fit.
    """
    if _NOT_JOINTS.search(path.stem):
        raise DamagedFileError(
            f"{path} has bones or motion between frames, by its name, and not the places of joints; give "
            f"train_data.npy or train_data_joint.npy. Rename the file if it has joints."
        )
    layout = _checked_layout(path, array)
    named = _NAME.fullmatch(path.stem)
    beside = label_file_of(path)
    if beside is None:
        start = named["side"].lower() if named else path.stem
        width = len(str(max(len(array) - 1, 1)))
        samples = [_Sample(f"{start}_{number:0{width}}", None) for number in range(len(array))]
        wanted = f"{named['start']}label.pkl" if named else "train_label.pkl beside train_data.npy"
        yield Remark(f"there is no {wanted}, so its clips have numbers for names, and no labels.")
    else:
        samples = _samples(beside, len(array))
    details = _details(samples)
    if named is not None:
        side = _SIDES[named["side"].lower()]
        protocol = _PROTOCOLS.get(path.absolute().parent.name.lower(), "own")
        for fields in details:
            others = {name: split for name, split in fields.get("splits", {}).items() if name != protocol}
            fields |= {"split": side, "splits": {protocol: side} | others}
    found = _conventions(array, layout, said)
    yield from _found_remarks(path, layout, found, said)
    for number, (sample, fields) in enumerate(zip(samples, details, strict=True)):
        raw = _frames_first(array[number])
        bodies, repeats = _without_padding(raw)
        if not len(bodies):
            yield Remark("all of its numbers are zero: nobody is seen in it.", left_out=sample.name)
            continue
        if not np.isfinite(bodies).all():
            yield Remark("a coordinate is infinite or not a number; zero is what was not seen.", left_out=sample.name)
            continue
        if repeats:
            yield Remark("short clips were filled up by repeating them; the repetitions were left out.")
        clip = Clip(name=sample.name, sequence=bodies, layout=layout, fps=FPS, **fields)
        try:
            yield _placed(clip, found)
        except InvalidSkeletonError as error:
            yield Remark(error.message, left_out=sample.name)


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    label: int | None


def _checked_layout(path: Path, array: np.ndarray) -> Layout:
    clips, channels, frames, joints, bodies = array.shape
    fits = channels == 3 and joints in _LAYOUTS and 1 <= bodies <= _MAX_BODIES and 1 <= frames <= _MAX_FRAMES
    if not fits or not clips or array.dtype.kind != "f":
        raise DamagedFileError(
            f"{path} holds {array.dtype} of shape {shown(array.shape)}; expected floating-point clips × 3 × frames × "
            f"joints × bodies, with 25 joints (NTU RGB+D) or 18 (Kinetics-skeleton), at most {_MAX_FRAMES} frames and "
            f"{_MAX_BODIES} bodies. Make a clip file of other joints: gfp_serve.formats.write_clip_file."
        )
    return _LAYOUTS[joints]


def _samples(path: Path, count: int) -> list[_Sample]:
    """The names and classes in a label file. Raises `DamagedFileError`, which names it."""
    content = load(path)
    names, labels = map(_listed, content) if isinstance(content, list | tuple) and len(content) == 2 else (None, None)
    if names is None or labels is None:
        raise DamagedFileError(
            f"{path} has no labels of ST-GCN; expected a pair: the list of the clips' names, and that of their classes."
        )
    if not len(names) == len(labels) == count:
        raise DamagedFileError(
            f"{path} has {len(names)} names and {len(labels)} labels for {count} clips; take the file that was written "
            f"together with the array."
        )
    samples: dict[str, _Sample] = {}
    for number, (given, label) in enumerate(zip(names, labels, strict=True)):
        text = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
        if not isinstance(text, str) or type(label) is not int or not 0 <= label <= _LARGEST_LABEL:
            raise DamagedFileError(f"{path}: clip {number} must have a text as its name and a class number from 0.")
        name = re.sub(r"\.(?:skeleton|json|npy)$", "", text)
        if name in samples:
            raise DamagedFileError(f"{path}: the name {name[:80]!r} comes twice; names must differ.")
        samples[name] = _Sample(name, label)
    return list(samples.values())


def _listed(value: Any) -> list[Any] | None:
    if isinstance(value, PickledArray):
        return value.values() if len(value.shape) == 1 else None
    if not isinstance(value, list | tuple):
        return None
    return [each.values()[0] if isinstance(each, PickledArray) and each.shape == () else each for each in value]


def _details(samples: Sequence[_Sample]) -> list[dict[str, Any]]:
    """The further fields of each clip. What the names say is used only if it agrees with the classes of all clips."""
    of_names = [ntu.fields_of_name(sample.name) for sample in samples]
    as_ntu = all(
        sample.label is None or ACTIONS[sample.label : sample.label + 1] == (fields.get("label"),)
        for sample, fields in zip(samples, of_names, strict=True)
    )
    if as_ntu:
        return of_names
    return [
        fields | {"label": f"A{(sample.label or 0) + 1:03}"} for sample, fields in zip(samples, of_names, strict=True)
    ]


def _frames_first(clip: np.ndarray) -> Float32[np.ndarray, "frames bodies joints 3"]:
    return np.ascontiguousarray(clip.transpose(1, 3, 2, 0), dtype=np.float32)


def _without_padding(
    clip: Float32[np.ndarray, "frames places joints 3"],
) -> tuple[Float32[np.ndarray, "kept bodies joints 3"], bool]:
    """The bodies until the last frame that has one, and whether any was repeated; no frames without bodies."""
    repeats = False
    for place in range(clip.shape[1]):
        period = _period(clip[:, place])
        if period < len(clip):
            clip[period:, place], repeats = 0, True
    seen = np.flatnonzero(clip.any(axis=(1, 2, 3)))
    return without_empty_places(clip[: seen[-1] + 1 if len(seen) else 0]), repeats


_MAX_TRIES = 64


def _period(body: Float32[np.ndarray, "frames joints 3"]) -> int:
    """After how many frames a body begins again, and goes on so to the end; all frames if it does not."""
    as_first = (body == body[0]).all(axis=(1, 2))
    if not as_first.all():
        # Someone who stands still is often as in the first frame; a clip that is repeated needs few tries.
        for frames in np.flatnonzero(as_first)[1 : 1 + _MAX_TRIES]:
            # A body that is absent in the first and the last frames is not a repetition.
            if body[frames:].any() and np.array_equal(body[frames:], body[:-frames]):
                return int(frames)
    return len(body)


def _conventions(array: np.ndarray, layout: Layout, said: Conventions) -> Conventions:
    """How people stand in the file. What is not decided stays unknown."""
    step = math.ceil(len(array) / _CLIPS_LOOKED_AT)
    clips = []
    for number in range(0, len(array), step):
        bodies = _without_padding(_frames_first(array[number]))[0]
        bodies[~bodies.any(axis=(2, 3))] = np.nan
        if layout is OPENPOSE18:
            bodies[..., 2] = np.where(np.isnan(bodies[..., 2]), np.nan, 0)
        if np.isinf(bodies).any():
            continue
        clips.append(bodies)
    if layout is OPENPOSE18:
        return replace(said, up=decide(clips, layout, Conventions(up=said.up)).up)
    return decide(clips, layout, said)


def _found_remarks(path: Path, layout: Layout, found: Conventions, said: Conventions) -> Iterator[Remark]:
    if layout is OPENPOSE18:
        image_axis(path, said.up)
        yield Remark(
            f"read as 2-D joints of the layout {layout.name}, {'y' if found.up == 'y' else '-y'} up, in images of "
            + (
                "340 × 256 pixels, as those of Kinetics-skeleton."
                if said.image_size is None
                else f"{said.image_size[0]:g} × {said.image_size[1]:g} pixels."
            )
        )
    elif not found.or_else(STANDARD).is_standard:
        yield Remark(f"read as {found.or_else(STANDARD)}.")


def _placed(clip: Clip, found: Conventions) -> Clip:
    """The clip, made standard."""
    if clip.layout is not OPENPOSE18:
        return replace(clip, sequence=to_standard(clip.sequence, found.or_else(STANDARD)))
    placed = from_image(
        clip.sequence[..., :2] * (found.image_size or _IMAGE_SIZE),
        clip.layout,
        confidence=clip.sequence[..., 2],
        min_confidence=found.min_confidence,
        up="y" if found.up == "y" else "-y",
    )
    return replace(clip, sequence=placed.sequence, dimensions=2)
