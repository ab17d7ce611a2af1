"""What galleries store and what searches return, as plain values: items, sources, neighbours, descriptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

MAX_ID_LENGTH = 256

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
    is never "auto". `num_bytes` is the memory that vectors and index take.
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


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A labelled embedding. The client chooses the id, which has 1 to 256 characters. The label "" means no label."""

    id: str
    vector: Float32[np.ndarray, " embedding_size"]
    label: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: Source | None = None


class Neighbour(NamedTuple):
    """An item that a search found. `similarity` is its cosine to the query, in [-1, 1].

    This is a tuple because searches make thousands: objects of any other class take longer than the search itself.
    """

    id: str
    label: str
    similarity: float
    attributes: Mapping[str, Attribute]
    source: Source | None = None
