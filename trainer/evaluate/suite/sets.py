"""The labelled sets of a folder: clip files, and the sources of stores, as clips that a server could be sent."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gfp_serve.array_files import UNREADABLE_ARCHIVE, open_archive, read_arrays, words_of
from gfp_serve.errors import DamagedFileError, GfpError, InvalidRequestError
from gfp_serve.formats import TEST_SPLIT, UNKNOWN_SUBJECT, Clip, read_clips
from gfp_serve.layouts import Layout, without_joints
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import MODEL_LAYOUT, CleanConfig
from trainer.data.store import ClipStore, is_store

# What files say of people whom they do not know.
_NOBODY = ("", "-1", UNKNOWN_SUBJECT)
# Pieces of one recording, as clip files and `gfp add --windows` name them.
_PIECE = re.compile(r"[#@][\d-]+$")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSet:
    """The labelled clips of a file, or of a source of a store. Joints that were lost are NaN."""

    name: str
    path: Path
    sha256: str  # of the file; of a store: of its content
    clips: tuple[Clip, ...]
    people: tuple[str, ...]  # who moves in each clip; "" = not known
    recordings: tuple[str, ...]  # the recording that each clip is of, or a piece of
    cleaning: CleanConfig | None = None  # of a store: how its clips were cleaned
    tested: tuple[bool, ...] = ()  # of a store: which clips are of its test split


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A set that is yet to be read."""

    name: str
    path: Path
    source: int | None = None  # of a store


def find_sets(folder: Path, chosen: Sequence[str] = ()) -> list[FoundSet]:
    """The clip files and stores of a folder, or the store that it is, in the order of their names.

    A store has a set for each of its sources. Raises `InvalidRequestError` when there is none, when two have one name,
    and when one of the `chosen` names is not there.
    """
    if not folder.is_dir():
        raise InvalidRequestError(f"--data {folder} is not a folder; name one with clip files (.npz) or stores.")
    found: list[FoundSet] = []
    for path in [folder] if is_store(folder) else sorted(folder.iterdir()):
        if is_store(path):
            sources = ClipStore.open(path).sources
            found += [FoundSet(source.name, path, number) for number, source in enumerate(sources)]
        elif path.suffix == ".npz" and path.is_file():
            found.append(FoundSet(path.stem, path))
    if not found:
        raise InvalidRequestError(
            f"--data {folder} has neither clip files (.npz) nor stores; `gfp-data import` makes a store of recordings."
        )
    names = [each.name for each in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidRequestError(f"--data {folder} has two sets of the name {repeated[0]!r}; take one of them away.")
    if missing := [name for name in chosen if name not in names]:
        raise InvalidRequestError(f"--data {folder} has no set {missing[0]!r}; it has {', '.join(names)}.")
    return sorted((each for each in found if not chosen or each.name in chosen), key=lambda each: each.name)


def read_set(found: FoundSet, labels: Sequence[str], say: Say) -> LabelledSet:
    """Read a set; `labels` are the arrays of a clip file that together are a clip's class.

    `say` gets what the reader remarks. Raises `InvalidRequestError` for a set without labels, and `DamagedFileError`
    for a file that is not a clip file.
    """
    whole = _read_file(found, labels, say) if found.source is None else _read_source(found, found.source)
    kept = [number for number, clip in enumerate(whole.clips) if clip.label is not None]
    if not kept:
        raise InvalidRequestError(f"none of the {len(whole.clips)} clips of {found.name} has a label.")
    return replace(
        whole,
        clips=tuple(whole.clips[number] for number in kept),
        people=tuple(whole.people[number] for number in kept),
        recordings=tuple(whole.recordings[number] for number in kept),
        tested=tuple(whole.tested[number] for number in kept) if whole.tested else (),
    )


def _read_file(found: FoundSet, labels: Sequence[str], say: Say) -> LabelledSet:
    try:
        clips = list(read_clips(found.path, report=lambda remark: say(f"{found.name}: {remark}")))
    except DamagedFileError:
        raise
    except GfpError as error:
        raise DamagedFileError(f"{found.path}: {error}") from error
    if tuple(labels) != ("label",):
        classes = _classes(found.path, labels, len(clips))
        clips = [replace(clip, label=label) for clip, label in zip(clips, classes, strict=True)]
    with found.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return _labelled(found, sha256, clips, None)


def _classes(path: Path, labels: Sequence[str], num_clips: int) -> list[str]:
    """What these arrays say of each clip, together."""
    try:
        with open_archive(path) as archive:
            arrays = read_arrays(archive, labels)
    except UNREADABLE_ARCHIVE as error:
        raise DamagedFileError(f"{path}: {words_of(error)}; copy it again.") from error
    if missing := [name for name in labels if name not in arrays or arrays[name].shape != (num_clips,)]:
        raise InvalidRequestError(
            f"the protocol of {path.stem} needs an array {missing[0]!r} with a value for each of its {num_clips} "
            f"clips; copy the file again, or give it another name."
        )
    columns = [arrays[name].tolist() for name in labels]
    return [" / ".join(map(str, values)) for values in zip(*columns, strict=True)]


def _read_source(found: FoundSet, source: int) -> LabelledSet:
    store = ClipStore.open(found.path)
    chosen = np.flatnonzero(store.clip_sources == source)
    clips = [_stored(store, int(index)) for index in chosen]
    tested = tuple((store.splits[chosen] == TEST_SPLIT).tolist())
    return replace(_labelled(found, store.content_digest, clips, store.cleaning), tested=tested)


def _stored(store: ClipStore, index: int) -> Clip:
    """A clip of a store, in a layout of those joints that its recording had."""
    cleaned = store.cleaned(index)
    sequence = np.where(cleaned.known[..., None], cleaned.positions, np.float32(np.nan))
    lacking = frozenset(joint for joint, letter in enumerate(store.joints[index]) if letter == "l")
    layout, kept = _layout_without(lacking)
    label = int(store.labels[index])
    return Clip(
        name=str(store.names[index]).partition("/")[2],
        sequence=np.ascontiguousarray(sequence[:, :, kept]),
        layout=layout,
        fps=float(store.fps[index]),
        label=None if label < 0 else store.class_names[label],
        subject=str(store.subjects[index]).partition("/")[2],
        dimensions=3 if cleaned.positions[..., 2].any() else 2,
    )


def _layout_without(lacking: frozenset[int]) -> tuple[Layout, list[int]]:
    """The model's layout without these joints. Hips and shoulders stay in it, because there is no layout without."""
    needed = {joint for joint, name in enumerate(MODEL_LAYOUT.joint_names) if name.startswith(("Hip", "Shoulder"))}
    layout, kept = without_joints(MODEL_LAYOUT, lacking - needed)
    return layout, list(kept)


def _labelled(found: FoundSet, sha256: str, clips: Sequence[Clip], cleaning: CleanConfig | None) -> LabelledSet:
    return LabelledSet(
        found.name,
        found.path,
        sha256,
        tuple(replace(clip, sequence=lost_as_nan(clip.sequence, clip.layout)) for clip in clips),
        tuple("" if clip.subject in _NOBODY else clip.subject for clip in clips),
        tuple(_PIECE.sub("", clip.name) for clip in clips),
        cleaning,
    )
