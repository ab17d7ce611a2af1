"""Writing a clip file; see `clip_file` for the format."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType

import numpy as np

from gfp_serve.conventions import STANDARD, Conventions
from gfp_serve.errors import InvalidRequestError, check_type, in_field
from gfp_serve.files import written_whole
from gfp_serve.formats.clip import UNKNOWN_SUBJECT, Clip
from gfp_serve.layouts import LAYOUTS, Layout

# A clip file has them in 32 bits.
_LEAST_FPS, _MOST_FPS = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def write(path: Path | str, clips: Sequence[Clip], *, conventions: Conventions = STANDARD) -> None:
    """Write clips of one layout as a clip file, which appears complete or not at all.

    `conventions` says how the coordinates of these clips are meant; the file says it too. What is not known is decided
    when the file is read.

    Raises `InvalidRequestError` when there is no clip, when layouts differ, when names repeat, when a
    clip has more than two bodies, and when its frames a second cannot be.
    """
    _check_writable(clips)
    layout = clips[0].layout
    rates = [clip.fps for clip in clips]
    classes = sorted({clip.label for clip in clips if clip.label is not None})
    arrays: dict[str, np.ndarray] = {
        "positions": np.concatenate([clip.sequence[:, 0] for clip in clips]),
        "offsets": np.cumsum([0, *(len(clip.sequence) for clip in clips)], dtype=np.int64),
        # A reader knows joints by their names alone, so those of a layout of one's own are written as standard names.
        "joint_names": np.array(layout.joint_names if LAYOUTS.get(layout.name) == layout else layout.canonical_names),
        "parents": np.array(layout.parents, dtype=np.int16),
        "fps": np.array(rates if len(set(rates)) > 1 else rates[0], dtype=np.float32),
        "subject": _subject_array([clip.subject for clip in clips]),
        "camera": np.array([clip.camera for clip in clips], dtype=np.int16),
        "split": np.array([clip.split for clip in clips], dtype=np.int8),
        "clip_name": np.array([clip.name for clip in clips]),
        "description": np.array([clip.description for clip in clips]),
    }
    for name in ("up", "unit", "hand"):
        if (value := getattr(conventions, name)) != getattr(STANDARD, name):
            arrays[name] = np.array(value or "")
    if classes:
        arrays["class_names"] = np.array(classes)
        arrays["label"] = np.array([-1 if c.label is None else classes.index(c.label) for c in clips], dtype=np.int16)
    if any(clip.sequence.shape[1] == 2 for clip in clips):
        arrays["positions2"] = np.concatenate(
            [c.sequence[:, 1] if c.sequence.shape[1] == 2 else np.full_like(c.sequence[:, 0], np.nan) for c in clips]
        )
    with written_whole(Path(path)) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _check_writable(clips: Sequence[Clip]) -> None:
    if not clips:
        raise InvalidRequestError("there are no clips to write; give at least one.")
    names = set()
    for number, clip in enumerate(clips):
        with in_field(f"clips[{number}]"):
            check_type(clip, Clip, "give a Clip")
        _check_fields(clip)
        if clip.layout != clips[0].layout:
            raise InvalidRequestError(
                f"clip {clip.name!r} has layout {clip.layout.name}, clip {clips[0].name!r} has "
                f"{clips[0].layout.name}; write one file for each."
            )
        if clip.sequence.shape[1] > 2:
            raise InvalidRequestError(
                f"clip {clip.name!r} has {clip.sequence.shape[1]} bodies; a clip file holds at most 2: choose two."
            )
        if clip.name in names:
            raise InvalidRequestError(f"two clips are named {clip.name!r}; names must differ within a file.")
        names.add(clip.name)


def _check_fields(clip: Clip) -> None:
    """Raise `InvalidRequestError` for a clip that a reader could not give back."""
    for name, types, advice in (
        ("name", str, "give a text"),
        ("label", (str, NoneType), "give the action's name, or None where it is not known"),
        ("subject", str, f"give a text; {UNKNOWN_SUBJECT!r} says that it is not known"),
        ("camera", (int, np.integer), "give a whole number; 0 says that it is not known"),
        ("split", (int, np.integer), "give TRAIN_SPLIT, TEST_SPLIT or NO_SPLIT"),
        ("description", str, "give a text"),
        ("layout", Layout, "give a Layout, such as LAYOUTS['ntu25']"),
        ("fps", (int, float, np.integer, np.floating), "give frames a second"),
    ):
        with in_field(f"{name} of clip {clip.name!r}"):
            check_type(getattr(clip, name), types, advice)
    # Written so that NaN does not pass.
    if not _LEAST_FPS <= clip.fps <= _MOST_FPS:
        with in_field(f"fps of clip {clip.name!r}"):
            raise InvalidRequestError(f"it is {clip.fps:g}; a clip has a finite number of frames a second above 0.")
    shape = np.shape(clip.sequence)
    if len(shape) != 4 or shape[2:] != (clip.layout.num_joints, 3) or 0 in shape:
        given = " × ".join(map(str, shape)) or "one number"
        raise InvalidRequestError(
            f"clip {clip.name!r} has an array of shape {given}; a clip of layout {clip.layout.name} has frames × "
            f"bodies × {clip.layout.num_joints} × 3."
        )


def _subject_array(subjects: Sequence[str]) -> np.ndarray:
    # Numbers, as the format has them, if all are plain numbers; otherwise text, so that none is changed.
    limit = np.iinfo(np.int16).max
    if all(subject.isdecimal() and str(int(subject)) == subject and int(subject) <= limit for subject in subjects):
        return np.array([int(subject) for subject in subjects], dtype=np.int16)
    return np.array(subjects)
