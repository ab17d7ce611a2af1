"""The similarity below which a query is called unknown, measured on a gallery's own items.

Two questions are asked of every labelled item. As a known action: how similar is the nearest voter if the item itself
is left out? As a stranger: how similar is it if the item's whole class is left out, so that nothing in the gallery is
what the item is?
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from gfp_serve.classify import (
    BLOCK_SIMILARITIES,
    DEFAULT_NUM_NEIGHBOURS,
    DEFAULT_TEMPERATURE,
    DEFAULT_WEIGHTING,
    Weighting,
    most_similar,
    unit_vectors,
    vote,
)
from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.items import Item

# The value of `leave_out` that means `Source.recording`. Every other value is the name of an attribute.
RECORDING = "recording"

# The sum of the same products in another order differs by at most this.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """A threshold for `gfp_serve.classify.vote`, and its effect on the items that it was measured on.

    Every labelled item is asked once as a stranger. It is also asked once as known, unless no other item has its class:
    then no item could name it. Each similarity is that of the nearest voter, or -inf if nobody votes, which no
    threshold accepts.
    """

    unknown_below: float
    num_items: int
    num_classes: int
    num_groups: int  # recordings, or values of the attribute, left out together; 0 if items were left out one by one
    known: Float32[np.ndarray, " known"]
    known_right: Bool[np.ndarray, " known"]  # whether the vote named the item's own class
    strangers: Float32[np.ndarray, " strangers"]

    @property
    def strangers_accepted(self) -> float:
        """Share of strangers that get the name of a class, in [0, 1]."""
        return float((self.strangers >= np.float32(self.unknown_below)).mean())

    @property
    def known_rejected(self) -> float:
        """Share of known items that are called unknown, in [0, 1]."""
        return float(1 - self._accepted.mean())

    @property
    def accuracy(self) -> float:
        """Share of known items that get the right name without a threshold, in [0, 1]."""
        return float(self.known_right.mean())

    @property
    def accuracy_of_accepted(self) -> float | None:
        """Share of right names among the known items that pass the threshold; None if none passes."""
        return float(self.known_right[self._accepted].mean()) if self._accepted.any() else None

    @property
    def wrong_accepted(self) -> float:
        """Share of known items that get the name of a wrong class, in [0, 1]."""
        return float((self._accepted & ~self.known_right).mean())

    @property
    def separation(self) -> float:
        """How often a known item is nearer than a stranger, in [0, 1]. At 0.5, no threshold tells them apart."""
        strangers = np.sort(self.strangers)
        below = np.searchsorted(strangers, self.known, side="left")
        not_above = np.searchsorted(strangers, self.known, side="right")
        return float((below + not_above).mean() / (2 * len(strangers)))  # a tie counts half

    def to_json(self) -> dict[str, float | int | None]:
        """The threshold, its effect and what it was measured on, as `gfp gallery calibrate --json` prints them."""
        return {
            "unknown_below": self.unknown_below,
            "strangers_accepted": self.strangers_accepted,
            "known_rejected": self.known_rejected,
            "accuracy": self.accuracy,
            "accuracy_of_accepted": self.accuracy_of_accepted,
            "wrong_accepted": self.wrong_accepted,
            "separation": self.separation,
            "num_items": self.num_items,
            "num_classes": self.num_classes,
            "num_known": len(self.known),
            "num_strangers": len(self.strangers),
            "num_left_out_together": self.num_groups,
        }

    @property
    def _accepted(self) -> Bool[np.ndarray, " known"]:
        return self.known >= np.float32(self.unknown_below)


def calibrate_unknown(
    items: Iterable[Item],
    *,
    false_accept: float = 0.05,
    num_neighbours: int = DEFAULT_NUM_NEIGHBOURS,
    weighting: Weighting = DEFAULT_WEIGHTING,
    temperature: float = DEFAULT_TEMPERATURE,
    balanced: bool = False,
    leave_out: str | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Calibration:
    """Find the lowest `unknown_below` at which at most the share `false_accept` of strangers, in [0, 1), pass as known.

    The vote is that of the server with the same settings. Items without a label count among the neighbours but do not
    vote. Windows of one recording are each other's nearest neighbours, so they say little about new recordings. With
    `leave_out` "recording", or the name of an attribute such as "subject", all items that share it with the item are
    left out too. An item without it is left out alone. All items count the same, so frequent classes count more.

    Every labelled item is compared with every item, in blocks of bounded memory. After each block, `advance` is called
    with its number of items.

    Raises `InvalidRequestError` if a setting is out of range, or if the items are not enough: no labels, only one
    class, no item that has what is left out, no class with two items, or strangers that equal items of other classes.
    """
    if not 0 <= false_accept < 1:
        raise InvalidRequestError(
            f"the share of strangers to accept is {false_accept}; it must be at least 0 and below 1, for example 0.05."
        )
    if num_neighbours < 1:
        raise InvalidRequestError(f"num_neighbours is {num_neighbours}; it must be at least 1.")
    items = list(items)
    labels = [item.label for item in items]
    classes = {label: number for number, label in enumerate(dict.fromkeys(filter(None, labels)))}
    _check(len(items), classes)
    class_of = np.array([classes.get(label, -1) for label in labels])
    group_of, num_groups = _groups(items, leave_out)
    vectors = unit_vectors(np.stack([item.vector for item in items]), lambda row: f"item {items[row].id!r}")
    class_counts = Counter(filter(None, labels))
    counts_in_group = Counter(zip(group_of.tolist(), labels, strict=True))

    labelled = np.flatnonzero(class_of >= 0)
    top_k = min(num_neighbours, len(items))
    known, known_right, strangers = [], [], []
    block = max(1, BLOCK_SIMILARITIES // len(items))
    for start in range(0, len(labelled), block):
        asked = labelled[start : start + block]
        similarities = vectors[asked] @ vectors.T  # asked, items
        np.clip(similarities, -1, 1, out=similarities)
        similarities[group_of[asked, None] == group_of] = -np.inf
        for item, (voters, theirs) in zip(asked.tolist(), _voters(similarities, top_k, labels), strict=True):
            label, group = labels[item], group_of[item]
            if class_counts[label] == counts_in_group[group, label]:
                continue
            counts = {voter: class_counts[voter] - counts_in_group[group, voter] for voter in voters}
            named = vote(
                voters,
                theirs,
                weighting=weighting,
                temperature=temperature,
                class_counts=counts if balanced else None,
            )
            known.append(max(theirs, default=-math.inf))
            known_right.append(named.label == label)
        similarities[class_of[asked, None] == class_of] = -np.inf
        strangers += [max(theirs, default=-math.inf) for _, theirs in _voters(similarities, top_k, labels)]
        advance(len(asked))
    if not known:
        raise InvalidRequestError(
            "each class of the gallery has only one item, so no item can be named by another; add items."
            if leave_out is None
            else f"no class of the gallery has items with two different values of {quoted(leave_out)}, so no item can "
            f"be named by others; add items, or leave out something else."
        )
    of_strangers = np.array(strangers, dtype=np.float32)
    return Calibration(
        unknown_below=_threshold(of_strangers, false_accept),
        num_items=len(items),
        num_classes=len(classes),
        num_groups=num_groups,
        known=np.array(known, dtype=np.float32),
        known_right=np.array(known_right, dtype=bool),
        strangers=of_strangers,
    )


def _check(num_items: int, classes: Mapping[str, int]) -> None:
    if num_items < 2:
        raise InvalidRequestError(
            f"the gallery has {num_items} items, but each item is compared with others; add labelled items of two "
            f"classes."
        )
    if not classes:
        raise InvalidRequestError(
            f"none of the {num_items} items of the gallery has a label, so nobody votes; add labelled items."
        )
    if len(classes) == 1:
        raise InvalidRequestError(
            f"all labelled items of the gallery have the same class, {quoted(next(iter(classes)))}, but strangers are "
            f"measured between classes; add items of another class."
        )


def _groups(items: Sequence[Item], leave_out: str | None) -> tuple[Int64[np.ndarray, " items"], int]:
    """Number the items so that items that are left out together have the same number; also return how many values
    they share.
    """
    if leave_out is None:
        return np.arange(len(items)), 0
    values = [_shared(item, leave_out) for item in items]
    numbered = enumerate(dict.fromkeys(values))
    numbers: dict[str | None, int] = {value: number for number, value in numbered if value is not None}
    if not numbers:
        kind = "a source recording" if leave_out == RECORDING else f"an attribute {quoted(leave_out)}"
        names = sorted({name for item in items for name in item.attributes})
        raise InvalidRequestError(
            f"none of the {len(items)} items of the gallery has {kind}; leave out {RECORDING!r} or one of the items' "
            f"attributes: {', '.join(map(quoted, names[:10])) or 'they have none'}."
        )
    alone = len(items)  # numbers from here on belong to one item each
    return np.array([numbers.get(value, alone + place) for place, value in enumerate(values)]), len(numbers)


def _shared(item: Item, leave_out: str) -> str | None:
    if leave_out == RECORDING:
        return None if item.source is None else item.source.recording
    # As JSON, True differs from 1, and a list can be a key.
    return json.dumps(item.attributes[leave_out]) if leave_out in item.attributes else None


def _voters(
    similarities: Float32[np.ndarray, "asked items"], top_k: int, labels: Sequence[str]
) -> Iterator[tuple[list[str], list[float]]]:
    """Yield, for each row, the labels and similarities of the voters among its nearest. -inf marks items left out."""
    places = most_similar(similarities, top_k=top_k)
    for row, nearest in zip(places.tolist(), np.take_along_axis(similarities, places, axis=1).tolist(), strict=True):
        voters = [
            (labels[item], near) for item, near in zip(row, nearest, strict=True) if labels[item] and near > -math.inf
        ]
        yield [label for label, _ in voters], [near for _, near in voters]


def _threshold(strangers: Float32[np.ndarray, " strangers"], false_accept: float) -> float:
    """The lowest threshold in [-1, 1], to six decimals, that at most this share of strangers reaches.

    It holds however similarities are rounded.
    """
    # How many may pass. The margin is for products such as 0.29 * 100, which is slightly below 29.
    passing = math.floor(false_accept * len(strangers) + 1e-9)
    nearest_refused = float(np.sort(strangers)[len(strangers) - 1 - passing])
    threshold = max(-1.0, math.ceil((max(-2.0, nearest_refused) + _ROUNDING) / _ROUNDING) * _ROUNDING)
    if threshold > 1:
        raise InvalidRequestError(
            f"{np.mean(strangers >= 1 - 2 * _ROUNDING):.1%} of the labelled items equal an item of another class, so "
            f"no threshold keeps {1 - false_accept:.1%} of strangers out; look for items that were added twice with "
            f"two labels."
        )
    return round(threshold, 6)
