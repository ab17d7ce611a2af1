"""How the clips of a set are labelled and split: the table of known sets, and the rule for all others."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from gfp_serve.errors import InvalidRequestError
from trainer.evaluate.folds import Fold
from trainer.evaluate.suite.sets import LabelledSet

Split = Literal[
    "odd subjects",
    "every second subject",
    "two folds of subjects",
    "one subject left out",
    "every second recording",
    "five folds of recordings",
    "test split",
]
_SAYS: Mapping[Split, str] = {
    "odd subjects": "gallery: odd subjects; queries: even ones",
    "every second subject": "gallery: every second subject in sorted order; queries: the others",
    "two folds of subjects": "two folds of subjects, each once the queries; the mean of both",
    "one subject left out": "each subject once the queries, all others the gallery; the mean",
    "every second recording": "gallery: every second recording; queries: the others",
    "five folds of recordings": "five folds of recordings, each once the queries; the mean",
    "test split": "queries: the store's test split; gallery: its other clips",
}
_OF_SAME_PEOPLE: tuple[Split, ...] = ("every second recording", "five folds of recordings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What is special about a set."""

    labels: tuple[str, ...] = ("label",)  # the arrays of the clip file that together are a clip's class
    split: Split | None = None  # None: by the rule, see `split_of`
    people_differ: bool = False  # recordings are of different people, though the file does not name them


# Sets that have a protocol in common use, by the name of their file without its suffix.
PROTOCOLS: Mapping[str, Protocol] = {
    # Three known people and many unknown ones, who are all called 0.
    "cdta": Protocol(split="every second recording"),
    # Numbers have gaps, because few of the subjects are in the file.
    "cmu_mocap": Protocol(split="odd subjects"),
    "florence3d": Protocol(split="two folds of subjects"),
    "kindergator_adults": Protocol(labels=("coarse_label",), split="every second subject"),
    # Few words are shared by two signers.
    "mediapipe33_signs": Protocol(split="one subject left out"),
    # Videos from the web.
    "penn_action_train": Protocol(split="five folds of recordings", people_differ=True),
    # A subject is a video.
    "tennis2d": Protocol(split="one subject left out"),
    "uiprmd_kinect": Protocol(labels=("label", "correct")),
}


@dataclass(frozen=True, slots=True, eq=False)
class SplitSet:
    """A set, which of its clips are asked, and which answer. Folds have clips by their numbers in the set."""

    clips: LabelledSet
    folds: tuple[Fold, ...]
    says: str  # the protocol in words
    same_people: bool  # people, or recordings, may be on both sides
    num_copies: int  # queries that were left out because the gallery has an identical clip


def split_of(given: LabelledSet, protocol: Protocol) -> Split:
    """The split of a set: of a store its own, else by its protocol, else by what it knows about its people.

    So an encoder that was trained on a store is not asked what it learned there.
    """
    if any(given.tested) and not all(given.tested):
        return "test split"
    if protocol.split is not None:
        return protocol.split
    known = sorted(set(given.people) - {""})
    if len(known) < 2:
        return "every second recording"
    if not all(person.isdigit() for person in known):
        return "every second subject"
    numbers = sorted(map(int, known))
    has_gaps = numbers != list(range(numbers[0], numbers[0] + len(numbers)))
    return "every second subject" if has_gaps else "odd subjects"


def split_set(given: LabelledSet, protocol: Protocol, *, gallery_clips: int, query_clips: int, seed: int) -> SplitSet:
    """Folds of a set. Of each, at most `gallery_clips` answer, and of all together at most `query_clips` are asked.

    Draws keep the shares of the classes. Queries are of classes that the gallery has. Clips of one group, a person or a
    recording, are never on both sides, and queries that are copies of a clip of the gallery are left out. Raises
    `InvalidRequestError` when nothing is left to ask, or only one class.
    """
    split = split_of(given, protocol)
    by_person = "subject" in split
    groups = np.array(given.people if by_person else given.recordings)
    usable = groups != "" if split != "test split" else np.ones(len(groups), dtype=bool)
    digests = np.array([_digest(clip.sequence) for clip in given.clips])
    labels = np.array([clip.label for clip in given.clips])
    asked_of_folds = [np.array(given.tested)] if split == "test split" else _SPLITS[split](groups)
    sides = [(tested & usable, ~tested & usable) for tested in asked_of_folds]
    draws = np.random.default_rng([seed, 1])
    folds, num_copies = [], 0
    for tested, rest in sides:
        gallery = draw_by_class(np.flatnonzero(rest), labels, gallery_clips, draws)
        asked = np.flatnonzero(tested & np.isin(labels, labels[gallery]))
        copies = np.isin(digests[asked], digests[rest])
        num_copies += int(copies.sum())
        queries = draw_by_class(asked[~copies], labels, max(1, query_clips // len(sides)), draws)
        if len(queries) and len(gallery):
            folds.append(Fold(test=queries, train=gallery))
    _check(given, folds, labels)
    same_people = not by_person and not protocol.people_differ
    if split == "test split":
        same_people = _shares_people(np.array(given.people), np.array(given.tested))
    return SplitSet(given, tuple(folds), _SAYS[split], same_people, num_copies)


def draw_by_class(
    clips: Int[np.ndarray, " clips"], labels: np.ndarray, most: int, draws: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """At most `most` of the clips, in order, with the shares of the classes kept and at least one clip of each class.

    There may be one of each class only if there are as many classes as clips to draw, or more.
    """
    if len(clips) <= most:
        return clips
    place = np.empty(len(clips))
    for label in np.unique(labels[clips]):
        own = np.flatnonzero(labels[clips] == label)
        place[draws.permutation(own)] = np.arange(len(own)) / len(own)
    return np.sort(clips[np.lexsort((draws.random(len(clips)), place))[:most]])


def with_clips(given: SplitSet, kept: Bool[np.ndarray, " clips"]) -> SplitSet:
    """The same folds with only these clips in them. Raises what `split_set` does."""
    labels = np.array([clip.label for clip in given.clips.clips])
    folds = []
    for fold in given.folds:
        gallery = fold.train[kept[fold.train]]
        queries = fold.test[kept[fold.test] & np.isin(labels[fold.test], labels[gallery])]
        if len(queries) and len(gallery):
            folds.append(Fold(test=queries, train=gallery))
    _check(given.clips, folds, labels)
    return replace(given, folds=tuple(folds))


def _check(given: LabelledSet, folds: Sequence[Fold], labels: np.ndarray) -> None:
    if not folds:
        raise InvalidRequestError(
            f"no class of {given.name} is on both sides of its split, so there is nothing to ask; the suite needs "
            f"classes of two or more people, or recordings."
        )
    if len(np.unique(np.concatenate([labels[fold.train] for fold in folds]))) < 2:
        raise InvalidRequestError(
            f"all clips of {given.name} that answer are of one class, so every answer would be right; the suite needs "
            f"two or more classes."
        )


def _digest(sequence: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(sequence).tobytes(), digest_size=16).hexdigest()


def _shares_people(people: np.ndarray, tested: Bool[np.ndarray, " clips"]) -> bool:
    """Whether somebody may be on both sides: also where it is not known who moves."""
    asked, others = set(people[tested].tolist()), set(people[~tested].tolist())
    return bool(asked & others) or "" in asked | others


def _odd_answer(groups: np.ndarray) -> list[Bool[np.ndarray, " clips"]]:
    return [np.array([group.isdigit() and int(group) % 2 == 0 for group in groups])]


def _dealt(groups: np.ndarray, num_hands: int) -> Int[np.ndarray, " clips"]:
    """Groups are dealt in turn in sorted order, numbers by their size: the hand of each clip."""
    order = sorted({*groups.tolist()} - {""}, key=lambda group: (len(group) if group.isdigit() else 0, group))
    hand = {group: place % num_hands for place, group in enumerate(order)}
    return np.array([hand.get(group, -1) for group in groups.tolist()])


def _each_of(num_hands: int) -> Callable[[np.ndarray], list[Bool[np.ndarray, " clips"]]]:
    return lambda groups: [_dealt(groups, num_hands) == number for number in range(num_hands)]


def _second(groups: np.ndarray) -> list[Bool[np.ndarray, " clips"]]:
    return [_dealt(groups, 2) == 1]


# Which clips are asked, for each fold, from each clip's person or recording.
_SPLITS: Mapping[Split, Callable[[np.ndarray], list[Bool[np.ndarray, " clips"]]]] = {
    "odd subjects": _odd_answer,
    "every second subject": _second,
    "two folds of subjects": _each_of(2),
    "one subject left out": lambda groups: [groups == one for one in sorted({*groups.tolist()} - {""})],
    "every second recording": _second,
    "five folds of recordings": _each_of(5),
}
