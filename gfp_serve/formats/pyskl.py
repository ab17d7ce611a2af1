"""The annotation pickles of PYSKL and MMAction2 (`ntu60_3danno.pkl`): all clips of a data set and its splits.

A file is a list of annotations, or {"split": {name: [frame_dir]}, "annotations": [...]}. An annotation is a dict with
`frame_dir` (the clip's name), `label` (a number from 0), `total_frames` and `keypoint` [bodies, frames, joints, 3].
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import ntu
from gfp_serve.formats.bodies import without_empty_places
from gfp_serve.formats.clip import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.formats.plain_pickle import PickledArray, load
from gfp_serve.layouts import NTU25

FPS = 30.0

_SPLIT_NAME = re.compile(r"(?P<protocol>.*?)_?(?P<side>train|val|test)(?P<fold>\d*)")
# Our names for the splits of NTU RGB+D; the first is its usual protocol.
_PROTOCOLS = {"xsub": "x-sub", "xview": "x-view", "xset": "x-set"}
_NAMELESS_PROTOCOL = "own"  # of a file whose splits are just train and val
_LARGEST_LABEL = 100_000
# Real files have far fewer. Comparing each pair of thousands of bodies, or sorting all names for thousands of protocols
# that share one list, would take too much time and memory.
_MAX_BODIES, _MAX_PROTOCOLS = 64, 100


def read(path: Path) -> Iterator[Clip]:
    """Yield the clips of an annotation file, in its order. The file is never unpickled: see `plain_pickle`.

    Joints must be 3-D and in the order of NTU RGB+D. 2-D joints are refused: they are pixels, and their depth is not
    known. Subject and camera come from names like S001C002P003R002A013. If the file numbers its classes as NTU RGB+D
    does, they get its names; otherwise they are A001 and so on. The split of a clip is that of the cross-subject
    protocol. Without such a protocol it is that of the file's first protocol; without any splits the name decides.
    The file is held in memory, about twice its size. Raises `DamagedFileError`, which names the annotation.
    """
    content = load(path)
    if isinstance(content, dict):
        annotations, splits = content.get("annotations"), content.get("split", {})
    else:
        annotations, splits = content, {}
    if not isinstance(annotations, list) or not annotations or not isinstance(splits, dict):
        raise DamagedFileError(
            f"{path} is not an annotation file: expected a list of annotations, or a dict with such a list in "
            f"'annotations' and lists of names in 'split'."
        )
    checked = [_annotation(path, number, fields) for number, fields in enumerate(annotations)]
    _check_names(path, checked)
    protocols = _protocols(path, splits)
    # What the names say is used only if it agrees with the numbers in all clips.
    fields_of_names = [ntu.fields_of_name(annotation.name) for annotation in checked]
    as_ntu = all(
        annotation.label is None or ACTIONS[annotation.label : annotation.label + 1] == (fields.get("label"),)
        for annotation, fields in zip(checked, fields_of_names, strict=True)
    )
    for annotation, fields in zip(checked, fields_of_names, strict=True):
        if not as_ntu:
            fields["label"] = None if annotation.label is None else f"A{annotation.label + 1:03}"
        if protocols:
            splits_of_it = {
                name: sides[annotation.name] for name, sides in protocols.items() if annotation.name in sides
            }
            usual = next(iter(protocols))
            fields |= {"splits": splits_of_it, "split": splits_of_it.get(usual, NO_SPLIT)}
        joints = annotation.keypoint.array().astype(np.float32).transpose(1, 0, 2, 3)  # frames, bodies, 25, 3
        yield Clip(name=annotation.name, sequence=without_empty_places(joints), layout=NTU25, fps=FPS, **fields)


@dataclass(frozen=True, slots=True)
class _Annotation:
    name: str
    label: int | None
    keypoint: PickledArray


def _annotation(path: Path, number: int, fields: Any) -> _Annotation:
    """The checked fields of one annotation."""
    if not isinstance(fields, dict) or not isinstance(fields.get("frame_dir"), str):
        raise DamagedFileError(f"{path}: annotation {number} is not a dict with a name in 'frame_dir'.")
    where = f"{path}: annotation {number} ({fields['frame_dir'][:80]!r})"
    label = fields.get("label")
    if label is not None and not (type(label) is int and 0 <= label <= _LARGEST_LABEL):
        raise DamagedFileError(f"{where} must have a class number from 0 in 'label'.")
    keypoint = fields.get("keypoint")
    if not isinstance(keypoint, PickledArray) or keypoint.dtype.kind != "f" or len(keypoint.shape) != 4:
        raise DamagedFileError(
            f"{where} must have an array of floating-point numbers, bodies × frames × joints × 3, in 'keypoint'."
        )
    num_bodies, num_frames, num_joints, num_axes = keypoint.shape
    if num_axes == 2:
        raise DamagedFileError(
            f"{where} has 2-D joints, in pixels; expected 3-D joints in metres. Take the 3-D file of the data set "
            f"(for NTU RGB+D: ntu60_3danno.pkl), or lift these joints to 3-D first."
        )
    if (num_joints, num_axes) != (NTU25.num_joints, 3) or 0 in keypoint.shape:
        raise DamagedFileError(
            f"{where} has joints of shape {' × '.join(map(str, keypoint.shape))}; expected bodies × frames × "
            f"{NTU25.num_joints} × 3, as in NTU RGB+D."
        )
    if num_bodies > _MAX_BODIES:
        raise DamagedFileError(f"{where} has {num_bodies} bodies in 'keypoint'; expected at most {_MAX_BODIES}.")
    if fields.get("total_frames", num_frames) != num_frames:
        raise DamagedFileError(f"{where} has {num_frames} frames in 'keypoint', but another number in 'total_frames'.")
    return _Annotation(fields["frame_dir"], label, keypoint)


def _check_names(path: Path, annotations: Sequence[_Annotation]) -> None:
    seen: dict[str, int] = {}
    for number, annotation in enumerate(annotations):
        if seen.setdefault(annotation.name, number) != number:
            raise DamagedFileError(
                f"{path}: annotations {seen[annotation.name]} and {number} have the same name {annotation.name[:80]!r}."
            )


def _protocols(path: Path, splits: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The sides in each protocol by the names of the clips, the usual protocol first."""
    protocols: dict[str, dict[str, int]] = {}
    for split, names in splits.items():
        named = _SPLIT_NAME.fullmatch(split)
        if named is None:
            continue  # not a side of a protocol, for example 'all'
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DamagedFileError(f"{path}: split {split!r} must be a list of names.")
        protocol = named["protocol"] + named["fold"]
        sides = protocols.setdefault(_PROTOCOLS.get(protocol, protocol or _NAMELESS_PROTOCOL), {})
        if len(protocols) > _MAX_PROTOCOLS:
            raise DamagedFileError(f"{path}: 'split' has more than {_MAX_PROTOCOLS} protocols.")
        side = TRAIN_SPLIT if named["side"] == "train" else TEST_SPLIT
        for name in names:
            if sides.setdefault(name, side) != side:
                raise DamagedFileError(f"{path}: split {split!r} has {name[:80]!r}, which is also on the other side.")
    return dict(sorted(protocols.items(), key=lambda item: item[0] != _PROTOCOLS["xsub"]))
