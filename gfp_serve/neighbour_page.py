"""The page of a search: each query beside the motion of what was found for it.

What an item looks like is read from the recording that it was made from, which its id names: `gfp add` gives FILE/CLIP
to a clip, and FILE/CLIP@FIRST-END to a window of one. FILE is an end of the file's path (see
`gfp_serve.formats.file_names`), so it is found in whatever folder the file is now. Where it is not found, the page
shows the small copy that the gallery may keep.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InvalidSkeletonError
from gfp_serve.formats import Clip, Remark, find_named_files, read_clips
from gfp_serve.formats.file_names import ends_of
from gfp_serve.items import Neighbour, Source
from gfp_serve.joint_map import JointMap
from gfp_serve.kept_motion import LAYOUT, KeptMotion
from gfp_serve.moments import Moment
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, write_motion_page
from gfp_serve.rerun_file import write_rerun_file
from gfp_serve.skeleton import check_sequence

# More than these make a page that nobody looks at to its end.
MAX_QUERIES, MAX_NEIGHBOURS = 12, 12

_TITLE = "Queries and what is nearest to them"
_WINDOW = re.compile(r"(.+)@(\d{1,9})-(\d{1,9})", flags=re.DOTALL)


# Frames a second of a copy whose clip's are not known, as most cameras have.
_USUAL_FPS = 30.0

# A clip that is embedded twice is at least this similar to itself; other settings of reading change it a little.
_SAME_MOTION = 0.97


@dataclass(frozen=True, slots=True)
class Origin:
    """What an answer of a search says about where its motion is: the id of an item, a source, or both."""

    id: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """What a page that was written shows."""

    num_shown: int  # queries
    num_queries: int  # that were added
    num_bytes: int  # of the page
    num_neighbours: int  # different items or moments
    num_without_motion: int  # neighbours whose recording was not found, and of which the gallery keeps no copy
    num_copies: int  # neighbours that are shown by the gallery's copy


@dataclass
class NeighbourPage:
    """Takes queries with what was found for them, the first `MAX_QUERIES` and their `MAX_NEIGHBOURS` nearest each."""

    num_queries: int = 0
    _rows: list[tuple[str, Clip, Sequence[Neighbour | Moment]]] = field(default_factory=list)

    def add(self, name: str, clip: Clip, found: Sequence[Neighbour | Moment]) -> None:
        """A query, called FILE/CLIP, and its neighbours or moments, nearest first."""
        self.num_queries += 1
        if len(self._rows) < MAX_QUERIES:
            self._rows.append((name, clip, found[:MAX_NEIGHBOURS]))

    def write(
        self,
        path: Path | None,
        recordings: Iterable[Path],
        report: Callable[[str], None],
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
        joint_map: JointMap | None = None,
        *,
        of_queries: Iterable[Path] = (),
        kept: Callable[[Sequence[str]], Mapping[str, KeptMotion]] = lambda _: {},
        rerun: Path | None = None,
    ) -> WrittenPage:
        """Write the page, with motion from `recordings` (files and folders) of these conventions.

        `rerun` is where the same goes as a recording of Rerun, if anywhere; with it, `path` may be None.

        Where these do not have it, it is that of the files `of_queries`, unless what was found shows that items of
        that name were made from other files. A damaged recording is left out, and `report` is called with the reason.
        `kept` gives the gallery's copies of items, by id, for those whose recording is nowhere.
        """
        origins = {_origin(answer) for _, _, found in self._rows for answer in found}
        queries = {name: _motion(clip, clip.sequence) for name, clip, _ in self._rows}
        motions = find_motions(origins, named_files(recordings), report, conventions, joint_map)
        namesakes = self._namesakes()
        mine = {origin for origin in origins - motions.keys() if _file_of(origin) not in namesakes}
        motions |= {origin: queries[origin.id] for origin in mine if origin.id in queries}
        motions |= find_motions(mine - motions.keys(), named_files(of_queries), report, conventions, joint_map)
        copies = self._copies(origins - motions.keys(), kept)
        motions |= {origin: copy.motion for origin, copy in copies.items()}
        remarks = {origin: copy.remark for origin, copy in copies.items()}
        rows = [
            MotionRow(
                query=MotionPanel(title=clip.label or "", subtitle=name, motion=queries[name]),
                neighbours=[
                    found_panel(answer, clip.label, motions.get(_origin(answer)), remarks.get(_origin(answer), ""))
                    for answer in found
                ],
            )
            for name, clip, found in self._rows
        ]
        num_shown, num_queries = len(rows), self.num_queries
        note = f"This page shows {num_shown} of {num_queries} queries." if num_shown < num_queries else ""
        num_bytes = 0 if path is None else write_motion_page(path, rows, title=_TITLE, note=note)
        if rerun is not None:
            write_rerun_file(rerun, rows, title=_TITLE)
        num_without = len(origins - motions.keys())
        return WrittenPage(num_shown, num_queries, num_bytes, len(origins), num_without, len(copies))

    def _copies(
        self, origins: set[Origin], kept: Callable[[Sequence[str]], Mapping[str, KeptMotion]]
    ) -> dict[Origin, "ShownCopy"]:
        """The gallery's copies of what has one of these origins; of a moment, that of its nearest item."""
        answers = {_origin(answer): answer for _, _, found in self._rows for answer in found}
        items = {origin: _item_of(answers[origin]) for origin in origins}
        motions = kept(sorted(set(items.values()))) if items else {}
        copies = {}
        for origin, id in items.items():
            if id in motions and (copy := shown_copy(motions[id])) is not None:
                is_part = isinstance(answer := answers[origin], Moment) and len(answer.ids) > 1
                copies[origin] = replace(copy, remark=f"{copy.remark}, of its nearest window") if is_part else copy
        return copies

    def _namesakes(self) -> set[str]:
        """FILEs of queries whose items were made from other files: a query is not like the item that has its name."""
        ids = {answer.id for _, _, found in self._rows for answer in found if isinstance(answer, Neighbour)}
        like_itself = {
            name
            for name, _, found in self._rows
            for answer in found
            if isinstance(answer, Neighbour) and answer.id == name and answer.similarity > _SAME_MOTION
        }
        return {name.rpartition("/")[0] for name, _, _ in self._rows if name in ids - like_itself}


def _item_of(answer: Neighbour | Moment) -> str:
    return answer.id if isinstance(answer, Neighbour) else answer.ids[0]


@dataclass(frozen=True, slots=True)
class ShownCopy:
    """A gallery's copy of a motion as a page shows it, and what the page says about it."""

    motion: Motion
    remark: str


def shown_copy(kept: KeptMotion) -> ShownCopy | None:
    """The copy as a page shows it; None for one that a page cannot draw, because it lies too far out."""
    try:
        sequence = check_sequence(kept.positions, LAYOUT)
    except InvalidSkeletonError:
        return None
    num_frames = int(kept.frame_numbers[-1]) + 1  # of the clip: its last frame is always in the copy
    remark = f"the gallery's copy, {len(sequence)} of {num_frames} frames"
    if kept.fps is None:
        remark += ", speed not known"
    fps = (kept.fps or _USUAL_FPS) * len(sequence) / num_frames
    return ShownCopy(Motion(sequence=sequence, layout=LAYOUT, fps=fps), remark)


def found_panel(
    answer: Neighbour | Moment, query_label: str | None, motion: Motion | None, remark: str = ""
) -> MotionPanel:
    """The panel of a neighbour or moment, marked as right or wrong where both it and the query have a label.

    `remark` says where the motion is from, if that is not the recording.
    """
    right = answer.label == query_label if answer.label and query_label else None
    return MotionPanel(
        title=answer.label,
        subtitle=f"{_name(answer)} · {remark}" if remark else _name(answer),
        motion=motion,
        missing="" if motion else advice_about(_origin(answer)),
        similarity=answer.similarity,
        right=right,
        verdict="" if right is None else "same class" if right else "another class",
    )


def find_motions(
    origins: Iterable[Origin],
    files: Iterable[Path],
    report: Callable[[str], None],
    conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    joint_map: JointMap | None = None,
) -> dict[Origin, Motion]:
    """Read the motion of each origin whose recording is one of the files. Files that no origin names are not read.

    An id is the name of a clip or of a window of a clip. If it is neither, the source is used: its recording is
    FILE/CLIP, and its seconds count from the clip's first frame. If several files can be the one that FILE names, the
    first one that has the clip is used. A damaged file or clip is left out, and `report` is called with the reason.
    """
    # What to cut from a clip, by the clip's name. If several clips may have an origin's motion, the likeliest is used.
    wanted: dict[str, list[tuple[int, Origin, Callable[[Clip], Motion | None]]]] = defaultdict(list)
    for origin in origins:
        for place, (name, cut) in enumerate(_ways(origin)):
            wanted[name].append((place, origin, cut))
    clips_by_file: dict[str, list[str]] = defaultdict(list)  # FILE -> CLIPs; each / of a name may be the one between
    for name in wanted:
        for slash in (place for place, letter in enumerate(name) if letter == "/"):
            clips_by_file[name[:slash]].append(name[slash + 1 :])
    found: dict[Origin, tuple[int, Motion]] = {}
    for file in files:
        names: dict[str, list[str]] = defaultdict(list)  # wanted names, by the clip of this file that they would be
        for end in ends_of(file):
            for clip_name in clips_by_file.get(end, ()):
                if (name := f"{end}/{clip_name}") in wanted:
                    names[clip_name].append(name)
        try:
            for clip in (
                read_clips(file, conventions=conventions, joint_map=joint_map, report=_told_before) if names else ()
            ):
                for place, origin, cut in (way for name in names.pop(clip.name, ()) for way in wanted.pop(name, ())):
                    motion = cut(clip)
                    if motion is None or place > found.get(origin, (place,))[0]:
                        continue
                    try:
                        check_sequence(motion.sequence, motion.layout)
                    except InvalidSkeletonError as error:
                        report(f"{file}, clip {clip.name!r}: {error}")
                    else:
                        found[origin] = place, motion
                if not names:
                    break
        except DamagedFileError as error:
            report(str(error))
    return {origin: motion for origin, (_, motion) in found.items()}


def named_files(places: Iterable[Path]) -> list[Path]:
    """The files at these places, which are files and folders."""
    places = list(places)
    return [file.path for file in find_named_files(places)] if places else []


def _file_of(origin: Origin) -> str:
    recording = origin.source.recording if origin.source else origin.id
    return recording.rpartition("/")[0]


def _told_before(_: Remark) -> None:
    """`gfp add` or `gfp search` said it when it read these recordings."""


def _ways(origin: Origin) -> Iterable[tuple[str, Callable[[Clip], Motion | None]]]:
    """Names of clips that may have the motion, the likeliest first, and what to cut from them."""
    yield origin.id, lambda clip: _motion(clip, clip.sequence)
    if window := _WINDOW.fullmatch(origin.id):
        first, end = int(window[2]), int(window[3])
        yield window[1], lambda clip: _part(clip, first, end)
    if source := origin.source:
        if source.start_s == source.end_s == 0:
            yield source.recording, lambda clip: _motion(clip, clip.sequence)
        else:
            yield source.recording, lambda clip: _part(clip, _frame(source.start_s, clip), _frame(source.end_s, clip))


def _frame(seconds: float, clip: Clip) -> int:
    return round(seconds * clip.fps)


def _part(clip: Clip, first: int, end: int) -> Motion | None:
    """These frames of a clip. None if the clip is shorter, because then the item was not made from it."""
    return _motion(clip, clip.sequence[first:end].copy()) if first < end <= len(clip.sequence) else None


def _motion(clip: Clip, sequence: np.ndarray) -> Motion:
    return Motion(sequence=sequence, layout=clip.layout, fps=clip.fps)


def _origin(answer: Neighbour | Moment) -> Origin:
    if isinstance(answer, Neighbour):
        return Origin(answer.id, answer.source)
    # A moment lasts longer than each of its windows, whose ids would name a part of it.
    return Origin("" if answer.source else answer.ids[0], answer.source)


def _name(answer: Neighbour | Moment) -> str:
    if isinstance(answer, Neighbour):
        return answer.id
    source = answer.source
    if source is None:
        return answer.ids[0]
    if source.start_s == source.end_s == 0:
        return source.recording
    return f"{source.recording}, {source.start_s:.2f} to {source.end_s:.2f} s"


def advice_about(origin: Origin) -> str:
    """What to do about an origin whose motion was not found."""
    file = _file_of(origin)
    if not file:
        return (
            "Its recording is not known: neither its id nor its source is FILE/CLIP, as gfp add writes them. The "
            "gallery keeps no copy of its motion either."
        )
    return (
        f"Its recording {file!r} was not found, and the gallery keeps no copy of its motion. Give the file or its "
        f"folder: --recordings FILE_OR_FOLDER."
    )
