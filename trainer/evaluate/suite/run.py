"""Measures encoders on labelled sets: splits, changes, embeds as the server does, and answers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gfp_serve import __version__
from gfp_serve.errors import GfpError, InvalidRequestError, InvalidSkeletonError
from gfp_serve.formats import Clip
from gfp_serve.preprocess import CleanConfig, clean
from gfp_serve.settings import setting
from trainer.evaluate.suite.changes import CHANGES, CLEAN, Change, Draws, draws_of
from trainer.evaluate.suite.embedding import Embedder, Show, embedding_threads
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.evaluate.suite.measures import (
    Vectors,
    answer,
    calibration_error,
    classes_left_out,
    mean_over_folds,
    nearest_similarities,
    probe_percents,
    separation,
)
from trainer.evaluate.suite.protocols import PROTOCOLS, Protocol, SplitSet, split_set, with_clips
from trainer.evaluate.suite.recordings import join_recordings, overlaps
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.sets import FoundSet, Say, read_set
from trainer.schedule import LARGEST_SEED

HIT = 0.5  # a moment that overlaps the action by at least this share has found it


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """How much is measured. Raises `ValueError` for a value out of range."""

    gallery_clips: int = setting(800, "Clips of a set that answer, at most, for each fold; drawn by class.")
    query_clips: int = setting(400, "Clips of a set that are asked, at most; drawn by class.")
    seed: int = setting(0, "Seed of all random draws: clips, changes, classes left out, recordings, intervals.")

    def __post_init__(self) -> None:
        for name in ("gallery_clips", "query_clips"):
            if getattr(self, name) < 2:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 2.")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"--seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}.")


def describe_settings(config: SuiteConfig, changes: Sequence[Change]) -> dict[str, Any]:
    """What must be equal so that figures can stand in one report."""
    return {"gfp_serve": __version__, **asdict(config), "changes": [change.name for change in changes]}


def choose_changes(names: Sequence[str]) -> tuple[Change, ...]:
    """The changes of these names, or all, in the order of the table; clean is always among them."""
    return tuple(change for change in CHANGES if not names or change.name in names or change is CLEAN)


def open_sets(found: Sequence[FoundSet], config: SuiteConfig, say: Say, *, must_all: bool) -> list[SplitSet]:
    """Read and split sets; keep of each only the clips that are used.

    `say` gets what is said about files and why sets are left out. With `must_all` a set that cannot be used raises the
    `GfpError` that says why; otherwise `InvalidRequestError` is raised when none can be used.
    """
    opened = []
    for each in found:
        protocol = PROTOCOLS.get(each.name, Protocol())
        try:
            whole = split_set(read_set(each, protocol.labels, say), protocol, **asdict(config))
            opened.append(_used_only(_without_unusable(whole, say)))
        except GfpError as error:
            if must_all:
                raise
            say(f"{each.name} is left out: {error}")
    if not opened:
        raise InvalidRequestError(
            f"none of the {len(found)} sets can be used; the lines above say why. The suite needs labelled clips of "
            f"two or more classes, and of two or more people or recordings."
        )
    return opened


def count_clips(
    given: SplitSet,
    encoders: Sequence[SuiteEncoder],
    changes: Sequence[Change],
    *,
    seed: int,
    with_moments: bool = True,
) -> int:
    """How many times a clip, or a window of a recording, is embedded for a set."""
    recordings = join_recordings(given, seed=seed) if with_moments else None
    windows = 0 if recordings is None else len(recordings.windows)
    gallery, queries = map(len, gallery_and_queries(given))
    kept = changes_of(given, changes)
    whole = gallery * sum(change.of_gallery or change is CLEAN for change in kept) + queries * len(kept)
    return sum(windows + (gallery + queries if encoder.only_clean else whole) for encoder in encoders)


def measure_sets(
    sets: Sequence[SplitSet],
    encoders: Sequence[SuiteEncoder],
    changes: Sequence[Change],
    config: SuiteConfig,
    *,
    state: SuiteState,
    show: Show = lambda *_: None,
    with_moments: bool = True,
) -> dict[str, dict[str, dict[str, Any]]]:
    """What was found, by the names of set and encoder. What `state` knows is not measured again.

    Windows of joined recordings are most of the clips; without `with_moments` they are left out.

    Raises `InvalidRequestError` when a store's clips were cleaned as an encoder cannot take them.
    """
    for given in sets:
        for encoder in encoders:
            _check_cleaning(given, encoder)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    with embedding_threads() as threads:
        embedder = Embedder(threads, show)
        for given in sets:
            digest = f"{given.clips.name} {given.clips.sha256} {given.says}"
            known = {encoder.name: state.get(digest, encoder.digest) for encoder in encoders}
            done = [encoder for encoder in encoders if known[encoder.name] is not None]
            show(
                count_clips(given, done, changes, seed=config.seed, with_moments=with_moments),
                f"{given.clips.name}, measured before",
            )
            missing = [encoder for encoder in encoders if known[encoder.name] is None]
            found = measure_set(given, missing, changes, config.seed, embedder, with_moments) if missing else {}
            for encoder in missing:
                state.add(digest, encoder.digest, found[encoder.name])
            results[given.clips.name] = {name: each or found[name] for name, each in known.items()}
    return results


def measure_set(
    given: SplitSet,
    encoders: Sequence[SuiteEncoder],
    changes: Sequence[Change],
    seed: int,
    embedder: Embedder,
    with_moments: bool,
) -> dict[str, dict[str, Any]]:
    """What each encoder finds on a set, as plain values for JSON."""
    name = given.clips.name
    gallery, queries = gallery_and_queries(given)
    galleries = embedder.embed(changed(given, gallery, CLEAN, seed), encoders, text=f"{name}, gallery")
    found: dict[str, dict[str, Any]] = {encoder.name: {"changes": {}} for encoder in encoders}
    of_one_gallery: dict[str, dict[str, list[_Fold]]] = {encoder.name: {} for encoder in encoders}
    for change in changes_of(given, changes):
        told: dict[str, Any] = {"change": change, "text": f"{name}, {change.name}"}
        asking = [encoder for encoder in encoders if change is CLEAN or not encoder.only_clean]
        asked = embedder.embed(changed(given, queries, change, seed), asking, **told)
        answering = galleries
        if change.of_gallery:
            answering = embedder.embed(changed(given, gallery, change, seed), asking, **told)
        for encoder in asking:
            rows = _by_fold(given, asked[encoder.name], answering[encoder.name], gallery)
            found[encoder.name]["changes"][change.name] = _answered(rows, fold_of(given))
            if not change.of_gallery:
                of_one_gallery[encoder.name][change.name] = rows
            if change is CLEAN:
                found[encoder.name] |= _unknown(rows, seed)
    for encoder in encoders:
        for change_name, percent in _probed(of_one_gallery[encoder.name], seed).items():
            found[encoder.name]["changes"][change_name]["linear_percent"] = percent
        found[encoder.name]["linear_probe_percent"] = found[encoder.name]["changes"][CLEAN.name].get("linear_percent")
    of_recordings = _moments(given, encoders, gallery, galleries, seed, embedder) if with_moments else {}
    for encoder in encoders:
        found[encoder.name]["moments"] = of_recordings.get(encoder.name)
    return found


def gallery_and_queries(given: SplitSet) -> tuple[np.ndarray, np.ndarray]:
    """The clips of all galleries, once each, and the queries fold after fold, by their numbers in the set."""
    gallery = np.unique(np.concatenate([fold.train for fold in given.folds]))
    return gallery, np.concatenate([fold.test for fold in given.folds])


def fold_of(given: SplitSet) -> np.ndarray:
    """The fold of each query."""
    return np.repeat(np.arange(len(given.folds)), [len(fold.test) for fold in given.folds])


def changes_of(given: SplitSet, changes: Sequence[Change]) -> list[Change]:
    """The changes that can be made of all clips that they would change."""
    gallery, queries = gallery_and_queries(given)
    clips = given.clips.clips
    asked = [clips[index] for index in queries]
    one_layout = len({clip.layout for clip in asked}) == 1
    have_others = one_layout and all(len({clips[index].label for index in fold.test}) > 1 for fold in given.folds)
    return [
        change
        for change in changes
        if all(change.fits(clip) for clip in asked)
        and all(change.fits(clips[index]) for index in gallery if change.of_gallery)
        and (have_others or not change.needs_others)
    ]


def changed(given: SplitSet, chosen: np.ndarray, change: Change, seed: int) -> Iterator[tuple[Clip | None, Draws]]:
    """Each chosen clip as it is changed, with its draws; None where nothing is left that could be sent."""
    # A query is joined by queries of its own fold: others are clips of the gallery that answers it.
    asked = (
        {int(query): fold.test.tolist() for fold in given.folds for query in fold.test} if change.needs_others else {}
    )
    for index in chosen.tolist():
        clip = given.clips.clips[index]
        beside = [given.clips.clips[other] for other in asked.get(index, ())]
        others = [each for each in beside if each.label != clip.label]
        draws = draws_of(seed, given.clips.name, change.name, index, others)
        try:
            yield change.apply(clip, draws), draws
        except InvalidSkeletonError:
            yield None, draws


def _without_unusable(given: SplitSet, say: Say) -> SplitSet:
    """Without clips that no server would take."""
    kept = np.ones(len(given.clips.clips), dtype=bool)
    for index in np.unique(np.concatenate(gallery_and_queries(given))):
        clip = given.clips.clips[index]
        try:
            clean(clip.sequence, clip.layout, CleanConfig())
        except InvalidSkeletonError as error:
            say(f"{given.clips.name}, clip {clip.name!r} is left out: {error}")
            kept[index] = False
    return given if kept.all() else with_clips(given, kept)


def _used_only(given: SplitSet) -> SplitSet:
    """The same with the other clips' joints forgotten, which may be many."""
    used = set(np.concatenate(gallery_and_queries(given)).tolist())
    clips = tuple(
        clip if number in used else replace(clip, sequence=clip.sequence[:0].copy())
        for number, clip in enumerate(given.clips.clips)
    )
    return replace(given, clips=replace(given.clips, clips=clips))


def _check_cleaning(given: SplitSet, encoder: SuiteEncoder) -> None:
    """An encoder that learned must see clips as it did then. One that learned nothing is asked them as they are."""
    if given.clips.cleaning is None or encoder.data is None:
        return
    for name, was in asdict(given.clips.cleaning).items():
        if was and not getattr(encoder.preprocess.cleaning, name):
            flag = name.replace("_", "-")
            raise InvalidRequestError(
                f"the clips of {given.clips.path} were imported with --{flag}, which cannot be undone, and "
                f"{encoder.name} takes clips without; import them again with --no-{flag}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """The vectors and classes of a fold."""

    queries: Vectors
    gallery: Vectors
    asked: np.ndarray  # classes of the queries
    labels: np.ndarray  # classes of the gallery


def _by_fold(given: SplitSet, queries: Vectors, vectors: Vectors, gallery: np.ndarray) -> list[_Fold]:
    """`gallery` are the clips of `vectors`, in order. Of these, those that could not be embedded are left out."""
    labels = np.array([clip.label for clip in given.clips.clips])
    folds, start = [], 0
    for fold in given.folds:
        rows = np.searchsorted(gallery, fold.train)
        kept = vectors[rows].any(axis=1)
        own = queries[start : start + len(fold.test)]
        folds.append(_Fold(own, vectors[rows[kept]], labels[fold.test], labels[fold.train[kept]]))
        start += len(fold.test)
    return folds


def _answered(folds: Sequence[_Fold], fold_of_query: np.ndarray) -> dict[str, Any]:
    answers = [answer(fold.queries, fold.gallery, fold.asked, fold.labels) for fold in folds]
    by_1 = np.concatenate([each.right_by_1 for each in answers])
    by_5 = np.concatenate([each.right_by_5 for each in answers])
    return {
        "1nn_percent": mean_over_folds(by_1.tolist(), fold_of_query),
        "5nn_percent": mean_over_folds(by_5.tolist(), fold_of_query),
        "calibration_error": calibration_error(np.concatenate([each.confidence for each in answers]), by_5),
        "right_by_1": "".join(map(str, by_1.astype(int))),
        "right_by_5": "".join(map(str, by_5.astype(int))),
    }


def _probed(by_change: dict[str, list[_Fold]], seed: int) -> dict[str, float]:
    """A linear probe of the gallery, asked the queries of each change; nothing if the gallery has too few clips."""
    percents = [
        probe_percents([fold.queries for fold in folds], folds[0].gallery, folds[0].asked, folds[0].labels, seed=seed)
        for folds in zip(*by_change.values(), strict=True)
        if len(folds[0].gallery) >= 2
    ]
    return dict(zip(by_change, np.mean(percents, axis=0).tolist(), strict=True)) if percents else {}


def _unknown(folds: Sequence[_Fold], seed: int) -> dict[str, Any]:
    """How well queries of classes that the gallery lacks are told from others."""
    left_out = list(classes_left_out(np.concatenate([fold.labels for fold in folds]).tolist(), seed=seed))
    known: list[float] = []
    strangers: list[float] = []
    for fold in folds:
        kept = ~np.isin(fold.labels, left_out)
        if kept.any():
            near = nearest_similarities(fold.queries, fold.gallery[kept])
            is_stranger = np.isin(fold.asked, left_out)
            known += near[~is_stranger].tolist()
            strangers += near[is_stranger].tolist()
    return {"unknown_auroc": separation(known, strangers) if known and strangers else None}


def _moments(
    given: SplitSet,
    encoders: Sequence[SuiteEncoder],
    gallery: np.ndarray,
    galleries: dict[str, Vectors],
    seed: int,
    embedder: Embedder,
) -> dict[str, dict[str, Any]]:
    """How well actions are found in recordings, for each encoder; nothing if no recording can be made."""
    recordings = join_recordings(given, seed=seed)
    if recordings is None:
        return {}
    cut = ((window, Draws(np.random.default_rng(0))) for window in recordings.windows)
    windows = embedder.embed(cut, encoders, text=f"{given.clips.name}, moments")
    found = {}
    for encoder in encoders:
        answering = dict(zip(gallery.tolist(), galleries[encoder.name], strict=True))
        shares = overlaps(recordings, windows[encoder.name], answering, recordings.windows[0].fps)
        found[encoder.name] = {
            "mean_overlap": float(np.mean(shares)),
            "hit_percent": 100 * float(np.mean(np.array(shares) >= HIT)),
            "num_questions": len(shares),
            "num_recordings": max(recordings.recording_of) + 1,
        }
    return found
