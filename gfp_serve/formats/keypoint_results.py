"""Lists of people with `image_id` and `keypoints`: COCO's keypoint results, and what AlphaPose writes.

An entry is {"image_id": 12, "category_id": 1, "keypoints": [x, y, confidence, ...], "score": 0.9} (cocodataset.org,
"Results format"). AlphaPose names images ("12.jpg") and may add `idx`, who it is (AlphaPose, docs/output.md and
alphapose/utils/pPose_nms.py); other trackers add `track_id`. Joints are those of COCO (17), Halpe (26, or 136 with face
and hands) or COCO-WholeBody (133), in pixels.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from gfp_serve.errors import DamagedFileError, quoted
from gfp_serve.formats.json_text import numbers, one_number
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video
from gfp_serve.layouts import COCO17, COCO_WHOLEBODY133, HALPE26, Layout

_PERSON = 1  # COCO's number of the category person
# By the number of joints. The first 26 of Halpe's 136 are those of its body.
_LAYOUTS: dict[int, Layout] = {17: COCO17, 26: HALPE26, 133: COCO_WHOLEBODY133, 136: HALPE26}
_IMAGE = re.compile(r"(?P<video>.*?)[_.-]?(?P<frame>\d{1,15})(?:\.[A-Za-z]+)?")


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, list) and bool(content) and all(_is_entry(each) for each in content[:10])


def videos_of(path: Path, content: Any) -> list[Video]:
    """The videos of a file: images whose names differ in the number at their end are the frames of one.

    Raises `DamagedFileError`, which names the entry.
    """
    videos: dict[str, dict[int, list[Person]]] = defaultdict(lambda: defaultdict(list))
    count, others = 0, 0
    for number, entry in enumerate(content):
        where = f"{path}: entry {number}"
        if not _is_entry(entry):
            raise DamagedFileError(f"{where} must have 'image_id' and 'keypoints'.")
        if entry.get("category_id", _PERSON) != _PERSON:
            others += 1
            continue
        row = numbers(entry["keypoints"], f"{where}, image {quoted(str(entry['image_id']))}", "keypoints")
        if len(row) % 3 or len(row) // 3 not in _LAYOUTS or count not in (0, len(row) // 3):
            known = ", ".join(str(3 * each) for each in _LAYOUTS)
            raise DamagedFileError(
                f"{where} has {len(row)} numbers in 'keypoints'; expected x, y and confidence of each joint, {known} "
                f"in all, the same for all entries."
            )
        count = len(row) // 3
        table = row.reshape(-1, 3)[: _LAYOUTS[count].num_joints]
        video, frame = _image(entry["image_id"], where)
        videos[video][frame].append(Person(table[:, :2], table[:, 2], _track(entry)))
    notes: tuple[str, ...] = ("its points of face and hands were left out.",) if count == 136 else ()
    notes += ("entries that are not people were left out.",) if others else ()
    names = {video: path.stem if len(videos) == 1 else video or path.stem for video in videos}
    return [
        Video(name=names[video], frames=frames, layout=_LAYOUTS[count], notes=notes) for video, frames in videos.items()
    ] or [Video(name=path.stem, frames={}, layout=COCO17)]


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and "image_id" in entry and "keypoints" in entry


def _image(image: Any, where: str) -> tuple[str, int]:
    """The video of an image, and the number of its frame."""
    number = one_number(image)
    if number is not None and number == int(number):
        return "", int(number)
    found = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if found is None:
        raise DamagedFileError(
            f"{where} is of the image {quoted(str(image))}; expected a number, or a name that ends in the number of "
            f"the frame, such as 12.jpg."
        )
    return found["video"], int(found["frame"])


def _track(entry: dict[str, Any]) -> str | None:
    """Who it is. AlphaPose writes a number, or a list of one."""
    value = entry.get("track_id", entry.get("idx"))
    number = one_number(value[0] if isinstance(value, list) and len(value) == 1 else value)
    return None if number is None or number < 0 else str(number)
