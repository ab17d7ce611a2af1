"""Predictions of MMPose and RTMPose: {"meta_info": {...}, "instance_info": [{"frame_id": 1, "instances": [...]}]}.

An instance is {"keypoints": [[x, y], ...], "keypoint_scores": [...], "bbox": ..., "bbox_score": ...}, with a `track_id`
where people were tracked (MMPose 1.x, mmpose/structures/utils.py, `split_instances`, as its demos and inferencers save
it). `meta_info` names the joints. The inferencers save the list alone. For an image, both
save its instances without a frame around them. Lifted 3-D joints have three coordinates.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfp_serve.errors import DamagedFileError, UnknownLayoutError
from gfp_serve.formats.json_text import numbers, one_number, table
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import (
    COCO17,
    COCO_WHOLEBODY133,
    H36M17,
    HALPE26,
    JHMDB15,
    MPII16,
    Layout,
    layout_of,
    standard_name,
)

# By the number of joints, where the file does not name them.
_LAYOUTS_2D = {layout.num_joints: layout for layout in (COCO17, HALPE26, COCO_WHOLEBODY133, MPII16, JHMDB15)}
_LAYOUTS_3D = {H36M17.num_joints: H36M17}
_TRUNK = ("HipLeft", "HipRight", "ShoulderLeft", "ShoulderRight")


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    frames = _frames(content)
    if _are_instances(frames):
        return True
    return isinstance(frames, list) and bool(frames) and all(_is_frame(frame) for frame in frames[:10])


def videos_of(path: Path, content: Any) -> list[Video]:
    """The video of a file. Raises `DamagedFileError`, which names the frame and the person."""
    frames: dict[int, list[Person]] = {}
    shape: tuple[int, ...] = ()
    given = _frames(content)
    if _are_instances(given):
        given = [{"frame_id": 0, "instances": given}]
    for place, frame in enumerate(given):
        if not _is_frame(frame):
            raise DamagedFileError(f"{path}: frame {place} must have 'frame_id' and a list 'instances'.")
        number = one_number(frame["frame_id"])
        if number is None or number != int(number) or int(number) in frames:
            raise DamagedFileError(f"{path}: frame {place} must have a number of its own in 'frame_id'.")
        people = frames.setdefault(int(number), [])
        for index, instance in enumerate(frame["instances"]):
            where = f"{path}: frame {int(number)}, person {index}"
            person = _person(instance, where)
            if shape not in ((), person.joints.shape):
                raise DamagedFileError(f"{where} has {len(person.joints)} joints; the people before have {shape[0]}.")
            shape = person.joints.shape
            people.append(person)
    layout = _layout(path, content, shape) if shape else COCO17
    return [Video(name=path.stem, frames=frames, layout=layout)]


def _frames(content: Any) -> Any:
    return content.get("instance_info") if isinstance(content, dict) else content


def _are_instances(content: Any) -> bool:
    """Whether this is a list of people, as the inferencers save it for an image."""
    first = content[0] if isinstance(content, list) and content else None
    points = first.get("keypoints") if isinstance(first, dict) else None
    return isinstance(points, list) and bool(points) and isinstance(points[0], list)


def _is_frame(frame: Any) -> bool:
    return isinstance(frame, dict) and "frame_id" in frame and isinstance(frame.get("instances"), list)


def _person(instance: Any, where: str) -> Person:
    if not isinstance(instance, dict):
        raise DamagedFileError(f"{where} must have fields such as 'keypoints'.")
    joints = table(instance.get("keypoints"), where, "keypoints")
    if joints.ndim != 2 or joints.shape[1] not in (2, 3):
        shape = " × ".join(map(str, joints.shape))
        raise DamagedFileError(f"{where} has {shape} numbers in 'keypoints'; expected joints × 2, or joints × 3.")
    scores = None
    if instance.get("keypoint_scores") is not None:
        scores = numbers(instance["keypoint_scores"], where, "keypoint_scores")
        if scores.shape != joints.shape[:1]:
            raise DamagedFileError(f"{where} has {len(joints)} joints and {len(scores)} 'keypoint_scores'.")
    track = one_number(instance.get("track_id"))
    return Person(joints, scores, None if track is None or track < 0 else str(track))


def _layout(path: Path, content: Any, shape: tuple[int, ...]) -> Layout:
    """The layout with the joints that the file names, or with this many."""
    count, axes = shape
    about = content.get("meta_info") if isinstance(content, dict) else None
    about = about if isinstance(about, dict) else {}
    by_count = _LAYOUTS_2D if axes == 2 else _LAYOUTS_3D
    if str(about.get("dataset_name", "")).startswith("h36m") and count == H36M17.num_joints:
        return H36M17
    known = by_count.get(count)
    names = _names(about, count)
    if names is None or (known is not None and _are_those_of(names, known)):
        if known is None:
            raise DamagedFileError(
                f"{path} has people of {count} {axes}-D joints and does not name them in 'meta_info'; expected "
                f"{', '.join(f'{each} ({layout.name})' for each, layout in by_count.items())}."
            )
        return known
    try:
        return layout_of(names, [-1] * count)
    except UnknownLayoutError as error:
        raise DamagedFileError(f"{path}: 'meta_info' does not name a usable layout: {error}") from error


def _names(about: Mapping[str, Any], count: int) -> list[str] | None:
    """The names of the joints in `meta_info`, in order."""
    by_number = about.get("keypoint_id2name")
    if not isinstance(by_number, dict):
        return None
    names = [name for number in range(count) if isinstance(name := by_number.get(str(number)), str)]
    return names if len(set(names)) == count else None


def _are_those_of(names: list[str], layout: Layout) -> bool:
    """Whether hips and shoulders have the places that they have in a layout; spellings differ between projects."""
    pairs = zip(names, layout.canonical_names, strict=True)
    return all(standard_name(mine) == yours for mine, yours in pairs if yours in _TRUNK)
