"""What galleries store and what searches return, as plain values: items, sources, neighbours, descriptions.

`check_item` is the one gate for what is stored, whichever way it comes: by the wire, from Python, from a table, or with
a snapshot.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.kept_motion import KeptMotion, check_motion

MAX_ID_LENGTH = 256
MAX_RECORDING_LENGTH = 256
# The most bytes of an item's texts and attributes, so that an answer has room for it. Servers may allow less.
MAX_ITEM_BYTES = 2**20

# The gallery that always exists. A request that names no gallery means this one.
DEFAULT_GALLERY = "default"

# How many neighbours a search finds unless a request says otherwise.
DEFAULT_TOP_K = 5

# A value that a client can store with an item: JSON without nesting.
Attribute = str | float | bool | list[str]

# How vectors are searched. "auto" decides by the number of items and the available memory.
IndexKind = Literal["auto", "exact", "hnsw", "ivf_sq8", "ivf_pq"]
ServingKind = Literal["exact", "hnsw", "ivf_sq8", "ivf_pq"]


@dataclass(frozen=True, slots=True)
class Source:
    """The part of a recording that an item was cut from.

    `start_s` and `end_s` are seconds from the beginning of the recording. If both are 0, the item is the whole
    recording.
    """

    recording: str
    start_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly a search looks. The index chooses what is not set, and ignores settings that it does not have.

    `exact` compares with every item. `ef_search` is the number of candidates that HNSW follows, `nprobe` the number of
    lists that IVF reads. Higher numbers find more of the true neighbours and take longer.
    """

    exact: bool = False
    ef_search: int | None = None
    nprobe: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a gallery is and what state it is in.

    `index_kind` is what was asked for. `serving_kind` is what searches use now: it differs while an index is built, and
    is never "auto". `unsuited_kind` is a kind of index that was made but misses too much among these items, so that
    searches compare with all of them; None if there was none. `num_bytes` is the memory that vectors and index take.
    `num_motions` is the number of items of which the gallery keeps the motion.
    """

    encoder_digest: str
    embedding_size: int
    metric: Literal["cosine"]
    index_kind: IndexKind
    serving_kind: IndexKind
    is_building: bool
    num_items: int
    generation: int
    num_bytes: int
    durable: bool
    unsuited_kind: IndexKind | None = None
    num_motions: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A labelled embedding. The client chooses the id, which has 1 to 256 characters. The label "" means no label.

    `motion` is a small copy of the clip that it was made from. Only what asks for it gets it.
    """

    id: str
    vector: Float32[np.ndarray, " embedding_size"]
    label: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: Source | None = None
    motion: KeptMotion | None = None


class Neighbour(NamedTuple):
    """An item that a search found. `similarity` is its cosine to the query, in [-1, 1].

    This is a tuple because searches make thousands: objects of any other class take longer than the search itself.
    """

    id: str
    label: str
    similarity: float
    attributes: Mapping[str, Attribute]
    source: Source | None = None


def check_item(item: Item) -> None:
    """Raise `InvalidRequestError` for an item that cannot be stored, found again and sent. The vector is not checked.

    Id, label, attributes and source are text that UTF-8 can encode, of at most `MAX_ITEM_BYTES` together. The motion is
    one that `check_motion` takes.
    """
    if not (is_text(item.id) and 1 <= len(item.id) <= MAX_ID_LENGTH):
        if not is_text(item.id):
            raise InvalidRequestError(f"the id of an item, {_shown(item.id)}, {_TEXT}.")
        shown = f"{item.id[:40]}…" if item.id else ""
        raise InvalidRequestError(
            f"the item id {shown!r} has {len(item.id)} characters; an id has 1 to {MAX_ID_LENGTH}."
        )
    if not is_text(item.label):
        raise InvalidRequestError(f"the label of item {quoted(item.id)} {_TEXT}.")
    check_attributes(item.id, item.attributes)
    if item.source is not None:
        check_source(item.source)
    if item.motion is not None:
        check_motion(item.motion)
    size = _num_bytes(item)
    if size > MAX_ITEM_BYTES:
        raise InvalidRequestError(
            f"the id, label, attributes and source of item {quoted(item.id)} have {size} bytes; an item has at most "
            f"{MAX_ITEM_BYTES}. Keep large facts elsewhere."
        )


def check_attributes(id: str, attributes: Mapping[str, Any]) -> None:
    """Raise `InvalidRequestError` for the first value that is not an attribute; `id` is for the message."""
    for key, value in attributes.items():
        if not (is_text(key) and _is_attribute(value)):
            raise InvalidRequestError(
                f"attribute {_shown(key)} of item {quoted(id)} is {_shown(value)}; an attribute is a text, a finite "
                f"number, true or false, or a list of texts."
            )


def check_source(source: Source) -> None:
    """Raise `InvalidRequestError` for a recording or seconds that cannot be."""
    if not is_text(source.recording):
        raise InvalidRequestError(f"the recording of its source, {_shown(source.recording)}, {_TEXT}.")
    if not 1 <= len(source.recording) <= MAX_RECORDING_LENGTH:
        raise InvalidRequestError(
            f"the recording of its source has {len(source.recording)} characters; the name of a recording has 1 to "
            f"{MAX_RECORDING_LENGTH}."
        )
    start, end = source.start_s, source.end_s
    if not (_is_number(start) and _is_number(end) and 0 <= start <= end):
        raise InvalidRequestError(
            f"its source starts at {_seconds(start)} s and ends at {_seconds(end)} s; both are finite seconds from the "
            f"start of the recording, and the end is not before the start."
        )


_TEXT = "cannot be encoded as UTF-8; send text without lone surrogates"


def is_text(value: object) -> bool:
    """Whether this is text that UTF-8 can encode. Lone surrogates are the only part of a str that it cannot."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object) -> bool:
    """Whether this is a finite number that a float can hold."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # type: ignore[arg-type]  # false for NaN


def _is_attribute(value: object) -> bool:
    if isinstance(value, bool):
        return True
    return _is_number(value) or (all(map(is_text, value)) if isinstance(value, list) else is_text(value))


def _num_bytes(item: Item) -> int:
    texts = [item.id, item.label, *item.attributes]
    for value in item.attributes.values():
        texts += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    if item.source is not None:
        texts.append(item.source.recording)
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)


def _seconds(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else _shown(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:40]}…{text[-40:]}"
