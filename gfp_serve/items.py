"""What galleries hold and searches find, as plain values: items, where they come from, neighbours, descriptions."""

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

# What a client can keep with an item: JSON without nesting.
Attribute = str | float | bool | list[str]

# How vectors are searched; "auto" is chosen from their number and the memory that they may take.
IndexKind = Literal["auto", "exact", "hnsw", "ivf_sq8", "ivf_pq"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item was cut from: a recording's name, and the seconds from its begin, `start_s` before `end_s`."""

    recording: str
    start_s: float = 0.0
    end_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a search looks; what is not set is the index's choice, and what the index has not is passed over.

    `exact` compares with every item. `ef_search` are the candidates that HNSW follows, `nprobe` the lists that IVF
    reads; more of them find more of the true neighbours, later.
    """

    exact: bool = False
    ef_search: int | None = None
    nprobe: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a gallery is and how it stands.

    `index_kind` is what was asked for, `serving_kind` what searches run on now: another one while an index is built,
    and never "auto". `num_bytes` is what its vectors and its index take in memory.
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
    """A labelled embedding. The client chooses the id, of 1 to 256 characters; the label "" means none."""

    id: str
    vector: Float32[np.ndarray, " embedding_size"]
    label: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: Source | None = None


class Neighbour(NamedTuple):
    """An item that a search found, with its cosine to the query, in [-1, 1].

    A tuple, since searches make thousands: objects of any other class take longer than the search itself.
    """

    id: str
    label: str
    similarity: float
    attributes: Mapping[str, Attribute]
    source: Source | None = None
