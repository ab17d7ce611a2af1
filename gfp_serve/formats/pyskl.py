"""The annotation pickles of PYSKL and MMAction2 (`ntu60_3danno.pkl`): all clips of a data set and its splits.

A file is a list of annotations, {"split": {name: [frame_dir]}, "annotations": [...]}, or one annotation. An annotation
is a dict with `frame_dir` or `filename` (the clip's name), `label` (a number from 0), `total_frames` and `keypoint`
[bodies, frames, joints, 3]. Further fields are ignored.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfp_serve.conventions import STANDARD, Conventions, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import ntu, pyskl_keypoint
from gfp_serve.formats.bodies import without_empty_places
from gfp_serve.formats.clip import NO_FRAMES, NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, Clip
from gfp_serve.formats.image_clips import image_axis, standard_clip
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.formats.pickled_array import PickledArray
from gfp_serve.formats.plain_pickle import PickledDict, load
from gfp_serve.formats.pyskl_keypoint import Keypoint
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import BODY25, COCO17, COCO_WHOLEBODY133, HALPE26, JHMDB15, NTU25, OPENPOSE18, PENN13

FPS = 30.0

# 2-D joints: pose estimators and data sets whose annotations have this form.
_LAYOUTS_2D = {
    layout.num_joints: layout for layout in (COCO17, OPENPOSE18, BODY25, HALPE26, COCO_WHOLEBODY133, JHMDB15, PENN13)
}

_SPLIT_NAME = re.compile(r"(?P<protocol>.*?)_?(?P<side>train|val|test)(?P<fold>\d*)")
# Our names for the splits of NTU RGB+D; the first is its usual protocol.
_PROTOCOLS = {"xsub": "x-sub", "xview": "x-view", "xset": "x-set"}
_NAMELESS_PROTOCOL = "own"  # of a file whose splits are just train and val
_LARGEST_LABEL = 100_000
# Real files have far fewer. Sorting all names for thousands of protocols that share one list would take too much time.
_MAX_PROTOCOLS = 100
# Annotations may share an array. This many times the file are given out at most.
_MAX_SHARING = 10


def read(path: Path, said: Conventions = Conventions()) -> Iterator[Clip | Remark]:  # noqa: B008 (it cannot be changed)
    """Yield the clips of an annotation file, in its order. The file is never unpickled: see `plain_pickle`.

    3-D joints are in the order of NTU RGB+D. 2-D joints (see `pyskl_keypoint.first_2d`) have the layout with this many
    joints, such as coco17, and are made standard by `image_joints`; the first remark says so. The axes of `keypoint`
    may have other orders: see `pyskl_keypoint.axis_orders`. Frames after `total_frames` and frames of zeros at the end
    are padding and are left out; PYSKL's own script cuts such frames, so that its files do not change. Subject and
    camera come from names like S001C002P003R002A013. If the file numbers its classes as NTU RGB+D does, they get its
    names; otherwise they are A001 and so on. The split of a clip is that of the cross-subject protocol. Without such a
    protocol it is that of the file's first protocol; without any splits the name decides. The file is held in memory,
    about twice its size. Raises `DamagedFileError`, which names the annotation.
    """
    annotations, splits = _content(path)
    checked = [_annotation(path, number, fields) for number, fields in enumerate(annotations)]
    _check_names(path, checked)
    orders, is_flat = _checked_orders(path, [annotation.keypoint for annotation in checked])
    protocols = _protocols(path, splits)
    # What the names say is used only if it agrees with the numbers in all clips.
    fields_of_names = [ntu.fields_of_name(annotation.name) for annotation in checked]
    as_ntu = all(
        annotation.label is None or ACTIONS[annotation.label : annotation.label + 1] == (fields.get("label"),)
        for annotation, fields in zip(checked, fields_of_names, strict=True)
    )
    if not is_flat and not (found := said.or_else(STANDARD)).is_standard:
        yield Remark(f"read as {found}.")
    for annotation, fields in zip(checked, fields_of_names, strict=True):
        if not as_ntu:
            fields["label"] = None if annotation.label is None else f"A{annotation.label + 1:03}"
        if protocols:
            splits_of_it = {
                name: sides[annotation.name] for name, sides in protocols.items() if annotation.name in sides
            }
            usual = next(iter(protocols))
            fields |= {"splits": splits_of_it, "split": splits_of_it.get(usual, NO_SPLIT)}
        keypoint = annotation.keypoint
        order = orders[len(keypoint.array.shape)]
        if is_flat:
            joints = pyskl_keypoint.joints_2d(keypoint, order)
            layout = _LAYOUTS_2D[joints.num_joints]
            image_axis(path, said.up)
            yield Remark(f"read as 2-D joints of the layout {layout.name}.")
            clip = Clip(name=annotation.name, sequence=NO_FRAMES, layout=layout, fps=FPS, **fields)
            yield from standard_clip(
                path, clip, joints.joints, said, confidence=joints.scores, image_size=joints.image_size
            )
        else:
            sequence = without_empty_places(pyskl_keypoint.frames_first(keypoint, order))
            sequence = to_standard(sequence, said.or_else(STANDARD))
            yield Clip(name=annotation.name, sequence=sequence, layout=NTU25, fps=FPS, **fields)


@dataclass(frozen=True, slots=True)
class _Annotation:
    name: str
    label: int | None
    keypoint: Keypoint


def _content(path: Path) -> tuple[list[Any] | tuple[Any, ...], PickledDict]:
    """The annotations of a file and its splits."""
    content = load(path)
    splits: Any = PickledDict()
    if isinstance(content, PickledDict):
        splits = content.get("split", splits)
        content = content.get("annotations", [content] if "keypoint" in content else None)
    if isinstance(content, PickledArray) and content.dtype.kind == "O" and len(content.shape) == 1:
        content = content.values()
    if not isinstance(content, list | tuple) or not content or not isinstance(splits, PickledDict):
        raise DamagedFileError(
            f"{path} is not an annotation file: expected a list of annotations, or a dict with such a list in "
            f"'annotations' and lists of names in 'split', or one annotation."
        )
    return content, splits


def _annotation(path: Path, number: int, fields: Any) -> _Annotation:
    """The checked fields of one annotation."""
    name = _text(fields.get("frame_dir", fields.get("filename"))) if isinstance(fields, PickledDict) else None
    if name is None:
        raise DamagedFileError(f"{path}: annotation {number} is not a dict with a name in 'frame_dir'.")
    where = f"{path}: annotation {number} ({name[:80]!r})"
    label, total_frames = _single(fields.get("label")), _single(fields.get("total_frames"))
    if label is not None and not (type(label) is int and 0 <= label <= _LARGEST_LABEL):
        raise DamagedFileError(f"{where} must have a class number from 0 in 'label'.")
    if total_frames is not None and (type(total_frames) is not int or total_frames < 1):
        raise DamagedFileError(f"{where} must have a number of frames from 1 in 'total_frames'.")
    array = fields.get("keypoint")
    if "raw_file" in fields or "frame_inds" in fields:
        raise DamagedFileError(
            f"{where} has joints in the packed form of Kinetics-400, in which each person of each frame has a row or "
            f"which points to other files; it is not read. Expected the joints of all frames, 2-D or 3-D, in "
            f"'keypoint', as in ntu60_hrnet.pkl or ntu60_3danno.pkl. gfp_serve.formats.write_clip_file makes a clip "
            f"file of arrays."
        )
    if not _is_numbers(array):
        raise DamagedFileError(f"{where} must have an array of numbers, bodies × frames × joints × 3, in 'keypoint'.")
    score = fields.get("keypoint_score")
    size = _image_size(fields.get("original_shape")) or _image_size(fields.get("img_shape"))
    return _Annotation(name, label, Keypoint(where, array, total_frames, score if _is_numbers(score) else None, size))


def _checked_orders(path: Path, keypoints: Sequence[Keypoint]) -> tuple[dict[int, str], bool]:
    """The order of the axes of each array, by how many it has; and whether the joints are 2-D.

    3-D joints are those of NTU RGB+D, 2-D ones those of the layout with this many joints.
    """
    if sum(keypoint.array.num_bytes for keypoint in keypoints) > _MAX_SHARING * path.stat().st_size:
        raise DamagedFileError(
            f"{path} has annotations that share arrays, more than {_MAX_SHARING} times the file in all: write each "
            f"array once."
        )
    orders = pyskl_keypoint.axis_orders(keypoints)
    is_flat = pyskl_keypoint.first_2d(keypoints, orders) is not None
    for keypoint in keypoints:
        order = orders[len(keypoint.array.shape)]
        num_joints = keypoint.array.shape[order.index("V")]
        if num_joints not in (_LAYOUTS_2D if is_flat else (NTU25.num_joints,)):
            known = ", ".join(map(str, sorted(_LAYOUTS_2D))) if is_flat else f"{NTU25.num_joints}, those of NTU RGB+D"
            raise DamagedFileError(
                f"{keypoint.where} has {num_joints} {'2-D' if is_flat else '3-D'} joints; expected {known}. Make a "
                f"clip file of them, which says what its joints are: gfp_serve.formats.write_clip_file."
            )
        pyskl_keypoint.check_frames(keypoint, order)
    return orders, is_flat


def _single(value: Any) -> Any:
    """The entry of an array without axes, other values as they are."""
    return value.values()[0] if isinstance(value, PickledArray) and value.shape == () else value


def _text(value: Any) -> str | None:
    """A name: text of Python or numpy, or its UTF-8. None for anything else."""
    value = _single(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def _is_numbers(value: Any) -> bool:
    return isinstance(value, PickledArray) and value.dtype.kind in "fiu"


def _image_size(shape: Any) -> tuple[int, int] | None:
    """Width and height from a pair of height and width."""
    values = shape.values() if isinstance(shape, PickledArray) and shape.shape == (2,) else shape
    if not isinstance(values, list | tuple) or len(values) != 2:
        return None
    height, width = map(_single, values)
    return (width, height) if type(height) is type(width) is int and min(width, height) > 0 else None


def _check_names(path: Path, annotations: Sequence[_Annotation]) -> None:
    seen: dict[str, int] = {}
    for number, annotation in enumerate(annotations):
        if seen.setdefault(annotation.name, number) != number:
            raise DamagedFileError(
                f"{path}: annotations {seen[annotation.name]} and {number} have the same name {annotation.name[:80]!r}."
            )


def _protocols(path: Path, splits: PickledDict) -> dict[str, dict[str, int]]:
    """The sides in each protocol by the names of the clips, the usual protocol first."""
    if splits.num_left_out:
        raise DamagedFileError(f"{path}: 'split' has names that are not text; expected names such as 'xsub_train'.")
    protocols: dict[str, dict[str, int]] = {}
    for split, entries in splits.items():
        named = _SPLIT_NAME.fullmatch(split)
        if named is None:
            continue  # not a side of a protocol, for example 'all'
        names = _names(entries)
        if names is None:
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


def _names(entries: Any) -> list[str] | None:
    """The names of a split: a list, a tuple, a set or an array of text. None for anything else."""
    if isinstance(entries, PickledArray) and len(entries.shape) == 1 and entries.dtype.kind in "USO":
        entries = entries.values()
    if not isinstance(entries, list | tuple):
        return None
    names = [_text(entry) for entry in entries]
    return None if None in names else [name for name in names if name is not None]
