"""What a store or recordings hold, as plain values for a table or JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gfp_serve.errors import UnknownLayoutError
from gfp_serve.formats import Clip
from gfp_serve.layouts import statuses, without_joints
from gfp_serve.preprocess import MODEL_LAYOUT, PreprocessConfig
from trainer.data.store import ClipStore, letters_of

_SPLIT_NAMES = {0: "train", 1: "test", -1: "none"}


def describe_store(store: ClipStore) -> dict[str, Any]:
    """A store's clips by class, subject and split, their lengths, their joints, and how they were cleaned."""
    counts = _count_clips(
        num_frames=store.num_frames.tolist(),
        num_bodies=store.num_bodies.tolist(),
        labels=[None if label < 0 else store.class_names[label] for label in store.labels],
        subjects=store.subjects.tolist(),
        splits=store.splits.tolist(),
        fps=store.fps.tolist(),
    )
    preprocess = PreprocessConfig(cleaning=store.cleaning)
    lacking = store.lacking_rows()
    return counts | {
        "dimensions": store.dimensions,
        **_count_joints(store.joints.tolist()),
        "lacking_percent": 0.0 if lacking is None else round(100 * float(lacking.mean()), 2),
        "sources": [asdict(source) for source in store.sources],
        "preprocess": {"digest": preprocess.digest, **preprocess.to_json()},
        "content_sha256": store.content_digest,
    }


def describe_clips(clips: Sequence[Clip]) -> dict[str, Any]:
    """Raw clips by class, subject and split, their lengths, and their joint layouts."""
    counts = _count_clips(
        num_frames=[len(clip.sequence) for clip in clips],
        num_bodies=[clip.sequence.shape[1] for clip in clips],
        labels=[clip.label for clip in clips],
        subjects=[clip.subject for clip in clips],
        splits=[clip.split for clip in clips],
        fps=[clip.fps for clip in clips],
    )
    unseen = sum(not np.nan_to_num(clip.sequence).any() for clip in clips)
    return counts | {
        "layouts": dict(Counter(clip.layout.name for clip in clips)),
        "dimensions": _dimensions([clip.dimensions for clip in clips]),
        **_count_joints([_letters(clip) for clip in clips]),
        "clips_with_nobody": unseen,
    }


def _dimensions(of_clips: Sequence[int]) -> int | dict[str, int]:
    """Those of all clips; where they differ, the number of clips that have 2 and that have 3."""
    counts = Counter(of_clips)
    if len(counts) > 1:
        return {str(dimensions): counts[dimensions] for dimensions in sorted(counts)}
    return next(iter(counts), 3)


def _letters(clip: Clip) -> str:
    """As `store.letters_of`, for the layout of those joints that the clip ever shows."""
    ever = np.isfinite(clip.sequence).all(axis=3).any(axis=(0, 1))
    smaller, _ = without_joints(clip.layout, frozenset(np.flatnonzero(~ever).tolist()))
    try:
        return letters_of(statuses(smaller, MODEL_LAYOUT))
    except UnknownLayoutError:  # without hips or shoulders nothing can be made of the others
        return letters_of(statuses(clip.layout, MODEL_LAYOUT))


def _count_joints(letters: Sequence[str]) -> dict[str, dict[str, int]]:
    """The joints of the model that are derived, and those that are lacking, each with its number of clips."""
    counted: dict[str, Counter[str]] = {"d": Counter(), "l": Counter()}
    for of_clip, times in Counter(letters).items():
        for name, letter in zip(MODEL_LAYOUT.joint_names, of_clip, strict=True):
            if letter in counted:
                counted[letter][name] += times
    return {"joints_derived": dict(counted["d"]), "joints_lacking": dict(counted["l"])}


def _count_clips(
    *,
    num_frames: Sequence[int],
    num_bodies: Sequence[int],
    labels: Sequence[str | None],
    subjects: Sequence[str],
    splits: Sequence[int],
    fps: Sequence[float],
) -> dict[str, Any]:
    classes = Counter(label for label in labels if label is not None)
    return {
        "clips": len(num_frames),
        "frames": sum(num_frames),
        "frames_a_clip": {
            "least": min(num_frames, default=0),
            "median": float(np.median(num_frames)) if num_frames else 0.0,
            "most": max(num_frames, default=0),
        },
        "fps": sorted(set(fps)),
        "bodies_a_clip": {str(number): count for number, count in sorted(Counter(num_bodies).items())},
        "labelled": classes.total(),
        "classes": dict(sorted(classes.items())),
        "subjects": dict(sorted(Counter(subjects).items(), key=_by_number)),
        "splits": {name: splits.count(value) for value, name in _SPLIT_NAMES.items()},
    }


def _by_number(subject_and_count: tuple[str, int]) -> tuple[str, int, str]:
    source, _, subject = subject_and_count[0].rpartition("/")
    return source, len(subject), subject  # 9 before 10
