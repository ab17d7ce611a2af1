"""The clips of recordings, or windows of them, as a server takes them: read, sent in batches, answered one by one.

A clip that the server refuses is reported and left out; the rest of its batch is sent again.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.client.conversation import ClipItem
from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import Clip, NamedFile, Remark, find_named_files, read_clips
from gfp_serve.formats.annotations import Annotation, label_of
from gfp_serve.formats.folder_labels import label_files
from gfp_serve.formats.remark import Remarks
from gfp_serve.formats.sendable import as_sent, attributes_of, usable_fps
from gfp_serve.items import Source
from gfp_serve.joint_map import JointMap
from gfp_serve.layouts import Layout
from gfp_serve.windows import WindowCutter

# Clips that are sent together: few enough for a progress bar to move.
CLIPS_PER_REQUEST = 32

T = TypeVar("T")
R = TypeVar("R", bound="RecordedClip")


@dataclass(frozen=True, slots=True, eq=False)
class RecordedClip:
    """A clip of a recording, or a window of one, as it is sent: `sequence` is in `layout`."""

    id: str  # FILE/CLIP, or FILE/CLIP@FIRST-END for a window, by its first frame and the frame after its last
    file: Path
    clip: Clip
    sequence: Float32[np.ndarray, "frames bodies joints 3"]
    layout: Layout
    source: Source | None  # where a window was cut from
    num_new_bytes: float  # of the recording, without those that windows before it held too

    def as_item(self) -> ClipItem:
        """The item that `gfp add` adds: the clip under its id, with all that its recording says about it."""
        clip = self.clip
        attributes = attributes_of(clip)
        return ClipItem(
            *(self.id, self.sequence, clip.label or "", attributes, self.layout, self.source), fps=usable_fps(clip)
        )


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """How clips are cut into windows.

    `sizes` are lengths and strides in frames. `annotations` label windows, by the FILE/CLIP that they are cut from; a
    clip without annotations labels its windows itself.
    """

    sizes: Sequence[tuple[int, int]]
    annotations: Mapping[str, Sequence[Annotation]] = field(default_factory=dict)


class Recordings:
    """The recordings at these paths, which are files or folders of files.

    With `split`, only the clips on that side of their own split are used. `label_from` is a rule of
    `folder_labels`. `conventions` says how coordinates are meant, where files and formats do not or are wrong.
    `report` is told what is left out, and why. `remarks` collects how files were read.
    Raises `DamagedFileError` for a path that has no recordings, and what `folder_labels.label_files` does.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        split: int | None = None,
        label_from: str | None = None,
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
        joint_map: JointMap | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.files = find_named_files(paths)
        self.num_bytes = sum(file.path.stat().st_size for file in self.files)
        self.labels = None if label_from is None else label_files(label_from, self.files)
        self.remarks = Remarks()
        self._split = split
        self._conventions, self._joint_map = conventions, joint_map
        self._report = report

    def answered(
        self,
        send: Callable[[list[RecordedClip]], Iterable[T]],
        windows: WindowPlan | None = None,
        *,
        clips_per_request: int = CLIPS_PER_REQUEST,
        advance: Callable[[float], None] = lambda _: None,
    ) -> Iterator[tuple[RecordedClip, T]]:
        """Each clip, or with `windows` each window, with the server's answer to it.

        `send` gets at most `clips_per_request` clips, of one layout and of 2 or of 3 dimensions, and returns an answer
        for each. This number must not be above the server's `max_sequences`: then `send` would make several requests,
        and a refusal of the last would repeat the others. `advance` is told how many bytes of `num_bytes` are done.
        Clips are read while others are sent, so that a file may be larger than memory.

        Raises what `send` does, except for `InvalidRequestError` and `InvalidSkeletonError` that are about clips:

        - If the field names one of the clips, that clip is left out.
        - If there is no field, the clips are sent again in smaller requests; a clip that is refused alone is left out.
        - If the field is an option, such as `top_k`, the error is the same for every clip and is raised.
        """
        for file in self.files:
            # How many clips a file holds is not known before its end, so bytes in memory stand for bytes of the file.
            # A video says itself how much of it has been read: that takes nearly all of its time.
            rest = _Rest(file.path.stat().st_size, advance)
            problems = _Problems(file, self._report)
            for _, same_layout in groupby(
                self._clips_of(file, windows, problems, rest), key=lambda each: (each.layout, each.clip.dimensions)
            ):
                for clip, answer in answered_in_batches(same_layout, send, clips_per_request):
                    if isinstance(answer, Refused):
                        problems.add(clip.id, clip.source, answer.reason)
                    else:
                        yield clip, answer
                    rest.take(clip.num_new_bytes)
            problems.report_windows()
            rest.take(math.inf)

    def _clips_of(
        self, file: NamedFile, windows: WindowPlan | None, problems: "_Problems", rest: "_Rest"
    ) -> Iterator[RecordedClip]:
        def report(remark: Remark) -> None:
            if remark.left_out:
                self._report(f"{file.path}, {remark}")
            else:
                self.remarks.add(file.path, remark.text)

        try:
            for read in read_clips(
                file.path,
                conventions=self._conventions,
                joint_map=self._joint_map,
                report=report,
                advance=lambda share: rest.take(share * rest.size),
            ):
                clip = read if self.labels is None else self.labels.applied_to(read, file.path)
                if self._split is not None and clip.split != self._split:
                    continue
                whole = _Part(file.name_of(clip.name), clip, None, float(clip.sequence.nbytes))
                for part in [whole] if windows is None else _cut(whole, windows, problems):
                    try:
                        yield _recorded(file.path, part)
                    except InvalidSkeletonError as error:
                        problems.add(part.id, part.source, error.message)
        except DamagedFileError as error:
            self._report(str(error))


class _Rest:
    """What is left of a file, in bytes."""

    def __init__(self, size: float, advance: Callable[[float], None]) -> None:
        self.size = self._left = float(size)
        self._advance = advance

    def take(self, num_bytes: float) -> None:
        """These are done, or as many of them as are left."""
        done = min(self._left, num_bytes)
        self._left -= done
        self._advance(done)


class Refused(NamedTuple):
    """Why the server does not take a clip."""

    reason: str


class _Part(NamedTuple):
    """A clip, or a window of one, as it was read; see `RecordedClip`."""

    id: str
    clip: Clip
    source: Source | None
    num_new_bytes: float


class _Problems:
    """Why clips of a file are left out. Clips are reported at once, windows of a clip together and at the end."""

    def __init__(self, file: NamedFile, report: Callable[[str], None]) -> None:
        self.num_windows: Counter[str] = Counter()  # of each clip, by its id
        self._file = file
        self._report = report
        self._of_windows: dict[str, list[str]] = {}  # by the id of their clip

    def add(self, id: str, source: Source | None, problem: str) -> None:
        if source is None:
            self._report(f"{self._file.path}, clip {self._name(id)!r}: {problem}")
        else:
            self._of_windows.setdefault(source.recording, []).append(f"{self._name(id)!r}: {problem}")

    def report_windows(self) -> None:
        for id, problems in self._of_windows.items():
            self.add(id, None, f"{len(problems)} of {self.num_windows[id]} windows, the first {problems[0]}")

    def _name(self, id: str) -> str:
        return id.removeprefix(self._file.name_of(""))


def _cut(whole: _Part, windows: WindowPlan, problems: _Problems) -> Iterator[_Part]:
    """The windows of a clip, of each size in turn."""
    clip, recording = whole.clip, whole.id
    annotations = windows.annotations.get(recording)
    for length, stride in windows.sizes:
        if len(clip.sequence) < length:
            problems.add(recording, None, f"it has {len(clip.sequence)} frames, fewer than a window of {length}.")
        num_new_bytes = whole.num_new_bytes * min(1.0, stride / len(clip.sequence)) / len(windows.sizes)
        for window in WindowCutter(length, stride).add(clip.sequence):
            end = window.first_frame + length
            source = Source(recording, window.first_frame / clip.fps, end / clip.fps)
            label = clip.label if annotations is None else label_of(annotations, source.start_s, source.end_s)
            frames = f"@{window.first_frame}-{end}"
            part = dataclasses.replace(clip, name=clip.name + frames, sequence=window.sequence, label=label)
            problems.num_windows[recording] += 1
            yield _Part(recording + frames, part, source, num_new_bytes)


def _recorded(file: Path, part: _Part) -> RecordedClip:
    return RecordedClip(part.id, file, part.clip, *as_sent(part.clip), part.source, part.num_new_bytes)


def answered_in_batches(
    clips: Iterator[R], send: Callable[[list[R]], Iterable[T]], clips_per_request: int
) -> Iterator[tuple[R, "T | Refused"]]:
    """Each clip with its answer, or with the reason why the server refuses it. See `Recordings.answered` for `send`."""
    most = largest = clips_per_request  # clips of the next request, and of any later one
    num_refusals = 0  # since the last answer
    held: list[R] = []
    while True:
        held += islice(clips, max(0, most - len(held)))
        batch, held = held[:most], held[most:]
        if not batch:
            return
        try:
            answers = list(send(batch))
        except (InvalidRequestError, InvalidSkeletonError) as error:
            if error.index is None and error.field:
                raise  # it is about an option, and the same for every clip
            if error.index is None and len(batch) > 1:
                # Perhaps a proxy takes smaller messages than the server.
                most = largest = len(batch) // 2
                held = batch + held
                continue
            if error.index is None:
                largest = clips_per_request  # this clip alone is too much, so smaller requests would not help others
            yield batch.pop(error.index or 0), Refused(error.message)
            held = batch + held
            # A person who leaves the picture is away for many windows. Each costs a request, so requests become smaller
            # until clips are good again.
            num_refusals += 1
            most = max(1, most // 2) if num_refusals > 1 else most
            continue
        yield from zip(batch, answers, strict=True)
        most, num_refusals = min(largest, 2 * most), 0
