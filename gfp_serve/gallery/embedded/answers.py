"""The neighbours that a search found, made when a caller first reads them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from gfp_serve.gallery.embedded.exact import Found, in_order
from gfp_serve.gallery.embedded.item_codec import read_source
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.items import Neighbour


class Answers(Sequence[list[Neighbour]]):
    """A list of neighbours for each query. All of them are made when one is first read; those of a slice, on their own.

    In a large batch, making the `Neighbour` objects takes as long as the search, and not every caller needs them.
    They are made from the gallery's rows at the moment of the search, which later changes do not touch. Once all of
    them are made, the rows are released.
    """

    def __init__(self, found: Found, rows: Rows) -> None:
        self._num_queries = len(found[0])
        self._unread: tuple[Found, Rows] | None = (found, rows)
        self._neighbours: list[list[Neighbour]] = []

    def __len__(self) -> int:
        return self._num_queries

    @overload
    def __getitem__(self, place: int) -> list[Neighbour]: ...

    @overload
    def __getitem__(self, place: slice) -> list[list[Neighbour]]: ...

    def __getitem__(self, place: int | slice) -> list[Neighbour] | list[list[Neighbour]]:
        unread = self._unread
        if unread is not None and isinstance(place, slice):
            (rows, similarities), all_rows = unread
            return _neighbours_of((rows[place], similarities[place]), all_rows)
        return self._read()[place]

    def __iter__(self) -> Iterator[list[Neighbour]]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        return self._read() == list(other) if isinstance(other, Answers | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a list can be changed, so it has no hash

    def __repr__(self) -> str:
        return repr(self._read())

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self._read(),)  # a copy or pickle must not include the gallery's rows

    def _read(self) -> list[list[Neighbour]]:
        unread = self._unread
        if unread is not None:  # several threads may be here at once; they make the same lists
            self._neighbours = _neighbours_of(*unread)
            self._unread = None
        return self._neighbours


def _neighbours_of(found: Found, all_rows: Rows) -> list[list[Neighbour]]:
    num_queries, top_k = found[0].shape
    rows, similarities = in_order(found, top_k)
    cosines = np.minimum(np.maximum(similarities, -1), 1).ravel().tolist()
    # Queries often find the same items. Each item is read once, so memory stays below that of the gallery.
    different, places = (rows[0], None) if num_queries == 1 else np.unique(rows, return_inverse=True)
    texts = all_rows.texts_of(different)
    # Parsing one JSON text takes a fifth of the time of many.
    attributes = json.loads(f"[{','.join(texts.attributes)}]")
    columns: list[list[Any]] = [texts.ids, texts.labels, attributes, list(map(read_source, texts.sources))]
    if places is not None:
        columns = [[column[place] for place in places.ravel().tolist()] for column in columns]
    ids, labels, *others = columns
    neighbours = list(map(Neighbour._make, zip(ids, labels, cosines, *others, strict=True)))
    return [neighbours[query * top_k : (query + 1) * top_k] for query in range(num_queries)]
