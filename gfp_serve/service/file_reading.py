"""Reads a file that a caller sent: `python -m gfp_serve.service.file_reading`, in a process of its own.

The file may be made to do harm: it lies alone in a folder, under a name that this chose, and is read within bounds.
`sent_files` is the side of the server.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gfp_serve.conventions import Conventions
from gfp_serve.errors import GfpError, InvalidSkeletonError
from gfp_serve.formats import Remark, VideoPart, read_clips
from gfp_serve.formats.sendable import as_sent, attributes_of, usable_fps
from gfp_serve.pose import WHOLE
from gfp_serve.skeleton import check_sequence
from gfp_serve.v1 import view_pb2
from gfp_serve.wire.arrays import write_sequence
from gfp_serve.wire.items import write_struct

# In the folder: what is asked, where the file lies, what came of it, or why nothing did.
ASKED, SENT, REPLY, PROBLEM = "asked.json", Path("in", "sent"), "reply", "problem.txt"

# What a part of a reply takes beside its own bytes.
_PART_BYTES = 6
# A reader that says something else about each of many clips would fill the reply: remarks have this part of it.
_MOST_REMARKS = 50
_REMARKS_SHARE, _REMARKS_BYTES = 8, 2**14


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which file is read, and how."""

    name: str
    is_video: bool
    max_bytes: int  # of the reply
    up: str = ""
    unit: str = ""
    hand: str = ""
    min_confidence: float | None = None
    start_s: float = 0.0
    end_s: float | None = None

    def write(self, folder: Path) -> None:
        """Tell the process that runs in this folder."""
        (folder / ASKED).write_text(json.dumps(asdict(self)))


def main(folder: Path) -> None:
    """Read the file that lies in this folder, as `Asked` says."""
    asked = Asked(**json.loads((folder / ASKED).read_text()))
    path = folder / SENT / asked.name
    try:
        reply = _reply(path, asked)
    except GfpError as error:
        (folder / PROBLEM).write_text(error.message.replace(str(path), asked.name))
        return
    (folder / REPLY).write_bytes(reply)


def _reply(path: Path, asked: Asked) -> bytes:
    reply = view_pb2.ReadFileResponse()
    remarks: dict[str, None] = {}  # each once, in order
    remarks_left = min(asked.max_bytes // _REMARKS_SHARE, _REMARKS_BYTES)
    left = most = asked.max_bytes - remarks_left - _PART_BYTES  # for recordings; a part is `num_left_out`

    def say(remark: Remark | str) -> None:
        nonlocal remarks_left
        text = str(remark).replace(str(path), asked.name)
        size = len(text.encode()) + _PART_BYTES
        if text not in remarks and len(remarks) < _MOST_REMARKS and size <= remarks_left:
            remarks_left -= size
            remarks[text] = None

    parts: list[bytes] = []
    for recording in _recordings(path, asked, say):
        size = recording.ByteSize() + _PART_BYTES
        if size > most:
            bodies = "1 body" if recording.sequence.num_bodies == 1 else f"{recording.sequence.num_bodies} bodies"
            say(
                f"the recording {recording.name!r} has {recording.sequence.num_frames} frames and {bodies}, {size} "
                f"bytes, and this server sends recordings of at most {most} at once: cut it into parts, or start the "
                f"server with a larger --max-message-bytes."
            )
        # Those that come later may be smaller, but a page shows the first ones of a file.
        if size > left or reply.num_left_out:
            reply.num_left_out += 1
            continue
        left -= size
        parts.append(view_pb2.ReadFileResponse(recordings=[recording]).SerializeToString())
    reply.remarks.extend(remarks)
    return b"".join([*parts, reply.SerializeToString()])


def _recordings(path: Path, asked: Asked, say: Callable[[Remark | str], None]) -> Iterator[view_pb2.Recording]:
    said = replace(Conventions.from_texts(asked.up, asked.unit, asked.hand), min_confidence=asked.min_confidence)
    part = VideoPart(start=asked.start_s, end=asked.end_s) if asked.is_video else WHOLE
    for clip in read_clips(path, conventions=said, report=say, part=part):
        try:
            check_sequence(clip.sequence, clip.layout)
            sequence, layout = as_sent(clip)
        except InvalidSkeletonError as error:
            say(Remark(error.message, left_out=clip.name))
            continue
        message = view_pb2.Recording(
            name=clip.name,
            label=clip.label or "",
            sequence=write_sequence(sequence, layout),
            bones=[joint for line in layout.bones for joint in line],
            attributes=write_struct(attributes_of(clip)),
            dimensions=clip.dimensions,
        )
        message.sequence.fps = usable_fps(clip) or 0.0
        yield message


if __name__ == "__main__":
    main(Path.cwd())
