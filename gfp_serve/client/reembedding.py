"""Filling a gallery for another encoder: each item of an old gallery is embedded again, from its recording.

Vectors of two encoders cannot be compared, so the recordings must be there. An item's source names its recording
FILE/CLIP, as `gfp add` calls it; an item without a source is itself called after it. FILE is an end of the file's path
(see `gfp_serve.formats.file_names`), so the file may have moved. Of a recording that is not found, the copy of the
motion does that the old gallery may keep, if it has every frame of its clip.
"""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gfp_serve.client.blocking import Client
from gfp_serve.client.conversation import ClipItem
from gfp_serve.client.recordings import (
    CLIPS_PER_REQUEST,
    RecordedClip,
    Refused,
    answered_in_batches,
)
from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InvalidSkeletonError, ItemNotFoundError
from gfp_serve.formats import Clip, NamedFile, Remark, find_named_files, read_clips
from gfp_serve.formats.file_names import ends_of
from gfp_serve.formats.remark import Remarks
from gfp_serve.formats.sendable import as_sent, usable_fps
from gfp_serve.items import Item, Source
from gfp_serve.joint_map import JointMap
from gfp_serve.kept_motion import LAYOUT

_WINDOW = re.compile(r"(.+)@(\d{1,9})-(\d{1,9})", flags=re.DOTALL)


@dataclass
class Reembedded:
    """What became of the items of the old gallery."""

    num_embedded: int = 0
    num_present: int = 0  # that the new gallery had already
    num_from_copies: int = 0  # of those embedded, the ones whose recording was not found
    refused: list[str] = field(default_factory=list)  # ids of items whose clips the server does not take
    missing: Counter[str] = field(default_factory=Counter)  # how many items each recording has that was not found


class Origin(NamedTuple):
    """Where an item came from."""

    id: str
    source: Source | None

    @property
    def recording(self) -> str:
        """FILE/CLIP."""
        return self.id if self.source is None else self.source.recording

    def part_of(self, clip: Clip) -> Clip | None:
        """The frames of its recording that the item was made of. None if the recording is shorter."""
        if self.source is None or self.source.start_s == self.source.end_s == 0:
            return clip
        window = _WINDOW.fullmatch(self.id)
        if window and window[1] == self.recording:
            first, end = int(window[2]), int(window[3])
        else:
            first, end = round(self.source.start_s * clip.fps), round(self.source.end_s * clip.fps)
        if not first < end <= len(clip.sequence):
            return None
        return dataclasses.replace(clip, name=f"{clip.name}@{first}-{end}", sequence=clip.sequence[first:end])


@dataclass(frozen=True, slots=True, eq=False)
class _OldClip(RecordedClip):
    """The clip of an item of the old gallery."""

    old: Item

    def as_item(self) -> ClipItem:
        """The new item: only its vector differs."""
        old = self.old
        return ClipItem(
            *(self.id, self.sequence, old.label, old.attributes, self.layout, old.source), fps=usable_fps(self.clip)
        )


class Reembedding:
    """Embeds the items of an old gallery again, with the encoder that `client`'s server has.

    `origins` are those of all its items, `get` gives the items themselves, as they are now, by id: one that was removed
    meanwhile is left out. `get_with_motions` gives them with the motions that the old gallery keeps. `paths` are files
    and folders of recordings. `report` is told what is left out, and why. Raises `DamagedFileError` for a path that has
    no recordings.
    """

    def __init__(
        self,
        client: Client,
        origins: Iterable[tuple[str, Source | None]],
        get: Callable[[Sequence[str]], Mapping[str, Item]],
        paths: Iterable[Path],
        *,
        get_with_motions: Callable[[Sequence[str]], Mapping[str, Item]] = lambda _: {},
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
        joint_map: JointMap | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.done = Reembedded()
        self.remarks = Remarks()  # how files were read
        self.num_items = 0
        self._client = client
        self._get, self._get_with_motions = get, get_with_motions
        self._conventions, self._joint_map = conventions, joint_map
        self._report = report
        self._missing: list[Origin] = []
        self._wanted: dict[str, list[Origin]] = defaultdict(list)  # by recording
        for id, source in origins:
            origin = Origin(id, source)
            self._wanted[origin.recording].append(origin)
            self.num_items += 1
        paths = list(paths)
        self._plan = self._found_in(find_named_files(paths) if paths else [])

    def run(self, gallery: str, *, advance: Callable[[int], None] = lambda _: None) -> Reembedded:
        """Fill this gallery of the server. `advance` is told how many more of `num_items` are done.

        An item that the gallery has already, with the same label, source and attributes, stays as it is. So what was
        interrupted goes on when it is run again. Raises the errors of `Client.get` and `Client.upsert`, except for
        those about single clips.
        """
        advance(self.done.missing.total())
        if self._client.describe_gallery(gallery).num_items:
            self._leave_out_present(gallery, advance)
        limits = self._client.info().limits

        def send(batch: list[_OldClip]) -> Iterable[str]:
            self._client.upsert([each.as_item() for each in batch], gallery=gallery)
            return [each.id for each in batch]

        clips_per_request = min(CLIPS_PER_REQUEST, limits.max_sequences)
        for clip, answer in answered_in_batches(self._clips(advance), send, clips_per_request):
            if isinstance(answer, Refused):
                self._refuse(clip.id, answer.reason)
            else:
                self.done.num_embedded += 1
            advance(1)
        for clip, answer in answered_in_batches(self._copies(gallery), send, clips_per_request):
            if isinstance(answer, Refused):
                self._refuse(clip.id, answer.reason)
            else:
                self.done.num_embedded += 1
                self.done.num_from_copies += 1
        return self.done

    def _found_in(self, files: Sequence[NamedFile]) -> dict[Path, dict[str, list[Origin]]]:
        """The items that can be made of each file, by the name of the clip; the others are missing."""
        by_name = {file.name: file.path for file in files}
        by_end: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            for end in ends_of(file.path):
                by_end[end].append(file.path)
        plan: dict[Path, dict[str, list[Origin]]] = {file.path: {} for file in files}
        for recording, origins in self._wanted.items():
            found = []
            for slash in (place for place, letter in enumerate(recording) if letter == "/"):  # each may be the one
                name, clip = recording[:slash], recording[slash + 1 :]
                paths = [by_name[name]] if name in by_name else by_end.get(name, [])
                found += [(path, clip) for path in paths]
            if len(found) > 1:
                self._report(
                    f"{recording!r} may be in {found[0][0]} or in {found[1][0]}; name the files as when they were "
                    f"added, so that only one of them is called so."
                )
            if len(found) == 1:
                path, clip = found[0]
                plan[path][clip] = origins
            else:
                self.done.missing[recording] += len(origins)
                self._missing += origins
        return {path: clips for path, clips in plan.items() if clips}

    def _leave_out_present(self, gallery: str, advance: Callable[[int], None]) -> None:
        """Take out of the plan what the new gallery has. Items are asked for together: all of a batch, or none."""
        origins = [origin for clips in self._plan.values() for each in clips.values() for origin in each]
        present: set[str] = set()
        for batch in _in_batches(origins, min(CLIPS_PER_REQUEST, self._client.info().limits.max_sequences)):
            ids = [origin.id for origin in batch]
            same = self._present(self._get(ids), gallery)
            present |= same
            advance(len(same))
        self.done.num_present = len(present)
        for path, clips in self._plan.items():
            rest = {clip: [each for each in origins if each.id not in present] for clip, origins in clips.items()}
            self._plan[path] = {clip: origins for clip, origins in rest.items() if origins}

    def _present(self, old: Mapping[str, Item], gallery: str) -> set[str]:
        """The ids of these items that the new gallery has, if it has all of them."""
        try:
            new = self._client.get(list(old), gallery=gallery)
        except ItemNotFoundError:
            return set()
        return {each.id for each in new if _is_made_of(each, old[each.id])}

    def _copies(self, gallery: str) -> Iterator[_OldClip]:
        """The copies of what was missed, as far as the old gallery keeps whole ones. They are missing no longer."""
        for some in _in_batches(self._missing, min(CLIPS_PER_REQUEST, self._client.info().limits.max_sequences)):
            recordings = {origin.id: origin.recording for origin in some}
            kept = {
                id: item
                for id, item in self._get_with_motions(list(recordings)).items()
                if item.motion is not None and item.motion.is_whole
            }
            self.done.missing -= Counter(recordings[id] for id in kept)
            present = self._present(kept, gallery) if kept else set()
            self.done.num_present += len(present)
            yield from (_copied(item) for id, item in kept.items() if id not in present)

    def _clips(self, advance: Callable[[int], None]) -> Iterator[_OldClip]:
        for path, wanted in self._plan.items():
            if not wanted:
                continue
            try:
                for clip in read_clips(
                    path, conventions=self._conventions, joint_map=self._joint_map, report=self._told(path)
                ):
                    yield from self._clips_of(path, clip, wanted.pop(clip.name, ()), advance)
                    if not wanted:
                        break
            except DamagedFileError as error:
                self._report(str(error))
            for origins in wanted.values():  # the file no longer has these clips, or not all of it can be read
                self._miss(origins, advance)

    def _clips_of(
        self, path: Path, clip: Clip, origins: Sequence[Origin], advance: Callable[[int], None]
    ) -> Iterator[_OldClip]:
        for some in _in_batches(origins, CLIPS_PER_REQUEST):
            items = self._get([origin.id for origin in some])
            for origin in some:
                part = origin.part_of(clip)
                if origin.id not in items:  # it was removed meanwhile
                    advance(1)
                elif part is None:
                    self._miss([origin], advance)
                else:
                    try:
                        sequence, layout = as_sent(part)
                    except InvalidSkeletonError as error:
                        self._refuse(origin.id, error.message)
                        advance(1)
                        continue
                    yield _OldClip(origin.id, path, part, sequence, layout, origin.source, 0.0, items[origin.id])

    def _miss(self, origins: Sequence[Origin], advance: Callable[[int], None]) -> None:
        for origin in origins:
            self.done.missing[origin.recording] += 1
        self._missing += origins
        advance(len(origins))

    def _refuse(self, id: str, reason: str) -> None:
        self.done.refused.append(id)
        self._report(f"item {id!r}: {reason}")

    def _told(self, path: Path) -> Callable[[Remark], None]:
        def told(remark: Remark) -> None:
            if remark.left_out:
                self._report(f"{path}, {remark}")
            else:
                self.remarks.add(path, remark.text)

        return told


def _copied(item: Item) -> _OldClip:
    """The copy that is kept of an item's clip, as it is sent."""
    motion = item.motion
    if motion is None:
        raise ValueError(f"{item.id} has no motion")
    # The first body's mid-spine is 0 0 0 in the first frame, which would count as lost. Cleaning takes the shift back.
    sequence = motion.positions + np.array([1, 1, 0], dtype=np.float32)
    clip = Clip(name=item.id, sequence=sequence, layout=LAYOUT, fps=motion.fps or 0.0)
    return _OldClip(item.id, Path(), clip, sequence, LAYOUT, item.source, 0.0, item)


def _in_batches(origins: Sequence[Origin], size: int) -> Iterator[Sequence[Origin]]:
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def _is_made_of(new: Item, old: Item) -> bool:
    # The server adds attributes of its own, such as `dimensions`.
    kept = {name: new.attributes.get(name) for name in old.attributes}
    return (new.label, kept, new.source) == (old.label, dict(old.attributes), old.source)
