"""What OpenPose writes with --write_json: a file `NAME_000000000012_keypoints.json` for each frame of a video NAME.

A file is {"people": [{"pose_keypoints_2d": [x, y, confidence, ...], "pose_keypoints_3d": [x, y, z, confidence, ...],
"person_id": [number]}]}, with the joints of BODY-25 or of COCO (OpenPose, doc/02_output.md). AlphaPose can write such
files too (--format open). The files of one video in one folder are one recording.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import Clip
from gfp_serve.formats.frame_files import by_number, has_number, siblings_of, video_of
from gfp_serve.formats.json_text import head_of, load, numbers, one_number
from gfp_serve.formats.people import Person
from gfp_serve.formats.recorded_people import Video, clips_of
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import BODY25, COCO17, OPENPOSE18, Layout

_PEOPLE = re.compile(rb'"people"\s*:\s*\[')
# AlphaPose has COCO's own 17.
_LAYOUTS = {layout.num_joints: layout for layout in (BODY25, OPENPOSE18, COCO17)}


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, dict) and isinstance(content.get("people"), list)


def is_frame(path: Path) -> bool:
    """Whether this is the file of a frame: it has such a name, and people at its beginning."""
    if path.suffix.lower() != ".json" or not has_number(path):
        return False
    return _PEOPLE.search(head_of(path)) is not None


def read(path: Path, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield the clip of the video to which this frame belongs; 3-D joints if there are any, 2-D ones otherwise.

    A missing frame is a gap. The files name neither frame rate nor size of the images. Raises `DamagedFileError`, which
    names the frame's file and the person.
    """
    people = {number: _people(file) for number, file in by_number(siblings_of(path)).items()}
    key = "pose_keypoints_3d" if any(p.get("pose_keypoints_3d") for each in people.values() for p, _ in each) else ""
    key, axes = (key, 3) if key else ("pose_keypoints_2d", 2)
    frames: dict[int, list[Person]] = {}
    found: Layout | None = None
    notes: tuple[str, ...] = ()
    for number, each in people.items():
        frames[number] = []
        for fields, where in each:
            if fields.get(key) == []:  # only a face or hands, or the views do not agree
                notes = (f"people without joints in {key!r} were left out.",)
                continue
            person = _person(fields, where, key, axes)
            layout = _LAYOUTS.get(len(person.joints))
            if layout is None or found not in (None, layout):
                known = ", ".join(f"{(axes + 1) * count} for {each.name}" for count, each in _LAYOUTS.items())
                raise DamagedFileError(
                    f"{where} has {(axes + 1) * len(person.joints)} numbers in {key!r}; expected {known}, the same for "
                    f"all people."
                )
            found = layout
            frames[number].append(person)
    yield from clips_of(path, Video(name=video_of(path), frames=frames, layout=found or BODY25, notes=notes), said)


def _people(file: Path) -> list[tuple[dict[str, Any], str]]:
    content = load(file)
    if not is_one(content):
        raise DamagedFileError(f"{file} is not a frame of OpenPose: it has no list 'people'.")
    people = []
    for number, fields in enumerate(content["people"]):
        where = f"{file}: person {number}"
        if not isinstance(fields, dict):
            raise DamagedFileError(f"{where} must have fields such as 'pose_keypoints_2d'.")
        people.append((fields, where))
    return people


def _person(fields: dict[str, Any], where: str, key: str, axes: int) -> Person:
    row = numbers(fields.get(key), where, key)
    if len(row) % (axes + 1):
        raise DamagedFileError(f"{where} has {len(row)} numbers in {key!r}; expected {axes + 1} for each joint.")
    table = row.reshape(-1, axes + 1)
    return Person(table[:, :axes], table[:, axes], _track(fields.get("person_id")))


def _track(value: Any) -> str | None:
    """OpenPose writes [-1] for people that it does not track."""
    number = one_number(value[0] if isinstance(value, list) and len(value) == 1 else value)
    return None if number is None or number < 0 else str(number)
