"""The page of what is answered wrongly: test clips beside the training clips that they were taken for."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from gfp_serve.classify import nearest
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, write_motion_page
from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.data.store import ClipStore
from trainer.evaluate.folds import Answers, Fold
from trainer.evaluate.report import Row

# More than these make a page that nobody looks at to its end.
MAX_MISTAKES, MAX_CONFUSIONS, MAX_CLIPS_OF_A_CONFUSION = 24, 24, 6
NUM_NEIGHBOURS = 5

# Frames a second of a clip whose recording did not say it, as most cameras have.
_USUAL_FPS = 30.0
_TITLE = "What is answered wrongly"

Confusion = tuple[int, int]  # a class, and the class that its clips were taken for


@dataclass(frozen=True, slots=True)
class MistakesPage:
    """What a page that was written shows."""

    num_shown: int
    num_wrong: int  # test clips that are answered wrongly
    num_bytes: int


def write_retrieval_page(
    path: Path, store: ClipStore, folds: Sequence[Fold], row: Row, vectors: Float32[np.ndarray, "clips size"]
) -> MistakesPage:
    """Write the page of a retrieval: each wrongly answered clip beside the training clips that are nearest to it.

    `vectors` has a row for each clip of the store. The most frequent confusions come first, and of each the clips that
    are most surely wrong, by how much nearer the wrong clip is than any of the right class. Each confusion gives a clip
    in turn, until there are `MAX_MISTAKES`. Where none of the `NUM_NEIGHBOURS` nearest is of the right class, the
    nearest that is stands in the place of the last.
    """
    clips, fold_of = _tested(folds)
    wrong = _wrong_by_confusion(row.answers, store)
    of_pair = {pair: _surest_first(places, clips, fold_of, store, folds, vectors) for pair, places in wrong.items()}
    chosen = _in_turn(of_pair, MAX_MISTAKES)
    motion = _motions(store)
    rows = []
    for pair, places in chosen.items():
        for number, place in enumerate(places):
            clip, train = int(clips[place]), folds[fold_of[place]].train
            near, similarities = nearest(vectors[[clip]], vectors[train], top_k=len(train))
            same_class = np.flatnonzero(store.labels[train[near[0]]] == pair[0])
            shown = list(range(min(NUM_NEIGHBOURS, len(train))))
            if len(same_class) and same_class[0] not in shown:
                shown[-1] = int(same_class[0])
            panels = []
            for rank in shown:
                found = int(train[near[0, rank]])
                right = bool(store.labels[found] == pair[0])
                panels.append(
                    MotionPanel(
                        title=_class(store, int(store.labels[found])),
                        subtitle=str(store.names[found]),
                        motion=motion(found),
                        similarity=float(similarities[0, rank]),
                        right=right,
                        verdict="same class" if right else "another class",
                        rank=rank + 1,
                    )
                )
            query = _mistake(store, clip, pair, motion(clip))
            heading = "" if number else _heading(store, row.answers, pair, len(of_pair[pair]))
            rows.append(MotionRow(query=query, neighbours=panels, heading=heading))
    num_wrong = sum(map(len, wrong.values()))
    note = _note(row, num_wrong)
    if rows:
        note += (
            f" {_how_many(len(rows), num_wrong)} here, the most frequent confusions first. Beside each are the nearest "
            f"training clips, at least one of its own class. Numbers are places among all training clips."
        )
    return MistakesPage(len(rows), num_wrong, write_motion_page(path, rows, title=_TITLE, note=note))


def write_head_page(path: Path, store: ClipStore, folds: Sequence[Fold], row: Row) -> MistakesPage:
    """Write the page of a learned head: what it confuses, a row of test clips for each confusion, the frequent first.

    At most `MAX_CONFUSIONS` rows of `MAX_CLIPS_OF_A_CONFUSION` clips; beside them stands a training clip of the class
    that they were taken for.
    """
    clips, fold_of = _tested(folds)
    wrong = _wrong_by_confusion(row.answers, store)
    motion = _motions(store)
    rows = []
    for pair, places in list(wrong.items())[:MAX_CONFUSIONS]:
        shown = places[:MAX_CLIPS_OF_A_CONFUSION]
        panels = [_mistake(store, int(clip), pair, motion(int(clip))) for clip in clips[shown]]
        train = folds[fold_of[shown[0]]].train
        if len(taken_for := train[store.labels[train] == pair[1]]):
            example = int(taken_for[0])
            panels.append(
                MotionPanel(
                    title=_class(store, pair[1]),
                    subtitle=str(store.names[example]),
                    motion=motion(example),
                    verdict="a training clip",
                )
            )
        rows.append(MotionRow(query=None, neighbours=panels, heading=_heading(store, row.answers, pair, len(places))))
    num_wrong = sum(map(len, wrong.values()))
    num_shown = sum(min(len(places), MAX_CLIPS_OF_A_CONFUSION) for places in list(wrong.values())[:MAX_CONFUSIONS])
    note = _note(row, num_wrong)
    if rows:
        note += (
            f" {_how_many(num_shown, num_wrong)} here, a row for each confusion, the most frequent first. The last of "
            f"each row is a training clip of the class that the others were taken for."
        )
    return MistakesPage(num_shown, num_wrong, write_motion_page(path, rows, title=_TITLE, note=note))


def _tested(folds: Sequence[Fold]) -> tuple[Int64[np.ndarray, " test"], Int64[np.ndarray, " test"]]:
    """The test clips in the order of the answers, and the fold of each."""
    return (
        np.concatenate([fold.test for fold in folds]).astype(np.int64),
        np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds]),
    )


def _wrong_by_confusion(answers: Answers, store: ClipStore) -> dict[Confusion, Int64[np.ndarray, " wrong"]]:
    """Places among the answers of those that are wrong, by confusion, the most frequent first."""
    pairs = list(zip(answers.labels.tolist(), answers.predictions.tolist(), strict=True))
    counts = Counter(pair for pair in pairs if pair[0] != pair[1])
    order = sorted(counts, key=lambda pair: (-counts[pair], [_class(store, label) for label in pair]))
    return {pair: np.flatnonzero([each == pair for each in pairs]) for pair in order}


def _surest_first(
    places: Int64[np.ndarray, " wrong"],
    clips: Int64[np.ndarray, " test"],
    fold_of: Int64[np.ndarray, " test"],
    store: ClipStore,
    folds: Sequence[Fold],
    vectors: Float32[np.ndarray, "clips size"],
) -> Int64[np.ndarray, " wrong"]:
    """Places of one confusion, by how much nearer the nearest clip is than any of the right class; none is far."""
    lead = np.empty(len(places))
    for number in np.unique(fold_of[places]):
        of_fold = fold_of[places] == number
        tested, train = clips[places[of_fold]], folds[number].train
        same_class = train[store.labels[train] == store.labels[tested[0]]]
        _, best = nearest(vectors[tested], vectors[train], top_k=1)
        right = nearest(vectors[tested], vectors[same_class], top_k=1)[1] if len(same_class) else np.float32(-1)
        lead[of_fold] = (best - right)[:, 0]
    return places[np.argsort(-lead, kind="stable")]


def _in_turn(of_pair: dict[Confusion, Int64[np.ndarray, " wrong"]], most: int) -> dict[Confusion, list[int]]:
    """The first places of each confusion: one of each in turn, until there are `most`."""
    turns = sorted((turn, number) for number, places in enumerate(of_pair.values()) for turn in range(len(places)))
    taken = Counter(number for _, number in turns[:most])
    return {pair: places[: taken[number]].tolist() for number, (pair, places) in enumerate(of_pair.items())}


def _mistake(store: ClipStore, clip: int, pair: Confusion, motion: Motion) -> MotionPanel:
    return MotionPanel(
        title=_class(store, pair[0]),
        subtitle=str(store.names[clip]),
        motion=motion,
        right=False,
        verdict=f"taken for {_class(store, pair[1])}",
    )


def _heading(store: ClipStore, answers: Answers, pair: Confusion, num_wrong: int) -> str:
    truth, taken_for = (_class(store, label) for label in pair)
    num_clips = int((answers.labels == pair[0]).sum())
    return f"{truth}, taken for {taken_for}: {num_wrong} of {num_clips} test clips"


def _note(row: Row, num_wrong: int) -> str:
    num_clips = len(row.answers.labels)
    if not num_wrong:
        return f"{row.title}: all {num_clips} test clips are answered rightly."
    are = "is" if num_wrong == 1 else "are"
    return f"{row.title}: {num_wrong} of {num_clips} test clips {are} answered wrongly."


def _how_many(num_shown: int, num_wrong: int) -> str:
    return f"{num_shown} of them are" if num_shown < num_wrong else "All of them are" if num_wrong > 1 else "It is"


def _class(store: ClipStore, label: int) -> str:
    return store.class_names[label]


def _motions(store: ClipStore) -> Callable[[int], Motion]:
    """What clips of a store look like, as they were prepared: a function of the clip's index."""

    @cache  # a motion that several panels show is written once
    def motion(clip: int) -> Motion:
        cleaned = store.cleaned(clip)
        positions = np.where(cleaned.known[..., None], cleaned.positions, np.float32(np.nan))
        return Motion(sequence=positions, layout=MODEL_LAYOUT, fps=float(store.fps[clip]) or _USUAL_FPS)

    return motion
