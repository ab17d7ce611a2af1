"""What a gallery has that is near to the queries of a request: neighbours, moments, and the class they vote for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.batching.turns import Turns
from gfp_serve.classify import vote
from gfp_serve.doubts import DIMENSIONS, Doubt, Look, doubts_about_found
from gfp_serve.errors import in_field
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Effort, Neighbour
from gfp_serve.moments import Moment, are_settled, merge
from gfp_serve.wire.searches import Classification, Scope, Voting

T = TypeVar("T")

# One piece of a search compares about this many numbers, which takes a core some hundredths of a second.
_NUMBERS_AT_ONCE = 2**28
# Neighbours that are made from rows at a time.
_NEIGHBOURS_AT_ONCE = 1024
# A query whose neighbours become moments may need many times as many as it asks for.
_QUERIES_OF_MOMENTS_AT_ONCE = 4
# Making a neighbour takes as long as comparing a query with this many items, and as looking at this many items by one
# condition of a filter.
_COMPARED_PER_NEIGHBOUR, _FILTERED_PER_NEIGHBOUR = 200, 1000


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What is searched for: vectors, and for a query that names a stored item the id of that item, else None.

    Such an item is left out of what is found, because it would be its own nearest neighbour.
    """

    vectors: Float32[np.ndarray, "queries embedding_size"]
    own_ids: Sequence[str | None]
    looks: Sequence[Look | None]  # None for a query that is not a sequence

    def blocks(self, gallery: Gallery, scope: Scope, *, for_moments: bool = False) -> "Iterator[Queries]":
        """The queries in their order, as many at a time as a gallery compares with its items in one piece."""
        num_rows = len(self.own_ids)
        per_query = gallery.num_compared(scope.effort, scope.where) * gallery.embedding_size
        at_once = max(1, _NUMBERS_AT_ONCE // per_query) if per_query else num_rows
        at_once = min(at_once, _QUERIES_OF_MOMENTS_AT_ONCE) if for_moments else at_once
        for start in range(0, num_rows, max(1, at_once)):
            rows = slice(start, start + at_once)
            yield Queries(self.vectors[rows], self.own_ids[rows], self.looks[rows])

    def parted(self, scope: Scope, *, compares_dimensions: bool) -> list[tuple[Scope, list[int]]]:
        """Where each query looks: one of 2-D joints only at 2-D items, unless these can be compared with others.

        A query of 3-D joints looks everywhere, because a filter makes a search slower and few galleries have both. A
        scope that has a condition on the dimensions of items stays as it is.
        """
        rows = range(len(self.own_ids))
        where = scope.where or Filter()
        is_said = any(each.key == DIMENSIONS for each in (*where.must, *where.any_of, *where.must_not))
        flat = [row for row in rows if (look := self.looks[row]) is not None and look.dimensions == 2]
        if compares_dimensions or is_said or not flat:
            return [(scope, list(rows))]
        rest = sorted(set(rows) - set(flat))
        only_flat = replace(where, must=(*where.must, AnyOf(DIMENSIONS, (2,))))
        return [(replace(scope, where=only_flat), flat), *([(scope, rest)] if rest else [])]

    def doubts(
        self, found: Sequence[Sequence[object]], *, sees_travel: bool, field: str = "queries"
    ) -> list[tuple[str, Doubt]]:
        """What may be wrong with the queries and what was found for each, with their fields in the request.

        `sees_travel` says whether travel counts for the encoder. Of moments only their absence can be doubted.
        """
        return [
            doubt
            for row, each in enumerate(found)
            for doubt in self.doubts_about(row, each, sees_travel=sees_travel, field=field)
        ]

    def doubts_about(
        self, row: int, found: Sequence[object], *, sees_travel: bool, field: str = "queries"
    ) -> list[tuple[str, Doubt]]:
        """The same for one query."""
        look = self.looks[row]
        if look is None or (found and not isinstance(found[0], Neighbour)):
            return []
        neighbours = [one for one in found if isinstance(one, Neighbour)]
        return [(f"{field}[{row}]", doubt) for doubt in doubts_about_found(look, neighbours, sees_travel=sees_travel)]


def find_gallery(galleries: Galleries, name: str, path: str = "gallery") -> Gallery:
    """The gallery that the request's field `path` names. Raises what `Galleries` does, with that field."""
    with in_field(path):
        return galleries[name]


async def ask_gallery(
    galleries: Galleries, name: str, searches: Turns, *, caller: str, path: str = "gallery"
) -> Gallery:
    """The same without holding up other calls: a gallery on another machine may have to be asked for."""
    if isinstance(galleries, FolderGalleries):
        return find_gallery(galleries, name, path)
    return await searches.do(partial(find_gallery, galleries, name, path), caller=caller)


def cost_of(gallery: Gallery, scope: Scope, num_queries: int, top_k: int) -> int:
    """What a search costs, in neighbours: those that it may find, and the items that it compares and filters."""
    num_items = gallery.num_compared(Effort(exact=True))
    most_found = min(top_k, num_items) if num_items else top_k
    per_query = max(1, most_found) + gallery.num_compared(scope.effort, scope.where) // _COMPARED_PER_NEIGHBOUR
    where = scope.where or Filter()
    num_conditions = len((*where.must, *where.any_of, *where.must_not))
    filtered = num_conditions * num_items // _FILTERED_PER_NEIGHBOUR
    return num_queries * per_query + filtered


def find_parted(
    queries: Queries, scope: Scope, find: Callable[[Scope, Queries], Iterable[T]], *, compares_dimensions: bool
) -> Iterator[T]:
    """What `find` gives for each query, which looks where `Queries.parted` says."""
    parts = queries.parted(scope, compares_dimensions=compares_dimensions)
    if len(parts) == 1:
        yield from find(parts[0][0], queries)
        return
    found: dict[int, T] = {}
    for part, rows in parts:
        chosen = Queries(
            queries.vectors[rows], [queries.own_ids[row] for row in rows], [queries.looks[row] for row in rows]
        )
        found.update(zip(rows, find(part, chosen), strict=True))
    yield from (found[row] for row in sorted(found))


def count_classes(
    gallery: Gallery, queries: Queries, scope: Scope, *, compares_dimensions: bool
) -> list[Mapping[str, int]]:
    """How many items each class has among those at which each query looks, see `Queries.parted`."""
    found: dict[int, Mapping[str, int]] = {}
    for part, rows in queries.parted(scope, compares_dimensions=compares_dimensions):
        counts = gallery.label_counts(part.where)
        found |= dict.fromkeys(rows, counts)
    return [found[row] for row in sorted(found)]


def find_neighbours(gallery: Gallery, scope: Scope, queries: Queries, top_k: int) -> Iterator[list[Neighbour]]:
    """The nearest items of each query, nearest first; made when they are asked for, a few queries at a time."""
    one_more = any(queries.own_ids)
    found = gallery.search(queries.vectors, top_k=top_k + one_more, where=scope.where, effort=scope.effort)
    at_once = max(1, _NEIGHBOURS_AT_ONCE // top_k)
    for start in range(0, len(found), at_once):
        rows = slice(start, start + at_once)
        for own_id, neighbours in zip(queries.own_ids[rows], found[rows], strict=True):
            yield [each for each in neighbours if each.id != own_id][:top_k] if one_more else neighbours


def find_moments(
    gallery: Gallery, scope: Scope, queries: Queries, top_k: int, *, max_neighbours: int
) -> list[list[Moment]]:
    """The nearest moments of each query, nearest first; the moment that the query's own item lies in is left out.

    Searches for no more neighbours than it needs. There are fewer than `top_k` moments when the gallery has fewer, or
    when the `max_neighbours` nearest items belong to fewer.
    """
    one_more = any(queries.own_ids)
    max_neighbours += one_more
    moments: list[list[Moment]] = [[] for _ in queries.own_ids]
    unsettled, num_neighbours = list(range(len(moments))), 0
    while unsettled and num_neighbours < max_neighbours:
        # Windows overlap, and in a recording where little happens all are alike. So begin with a guess, then take more.
        num_neighbours = min(max_neighbours, 4 * num_neighbours or 16 * top_k)
        found = gallery.search(queries.vectors[unsettled], top_k=num_neighbours, where=scope.where, effort=scope.effort)
        rows, unsettled = unsettled, []
        for row, neighbours in zip(rows, found, strict=True):
            moments[row] = merge(neighbours, top_k + one_more)
            if len(neighbours) == num_neighbours and not are_settled(moments[row], neighbours, top_k + one_more):
                unsettled.append(row)
    return [
        [moment for moment in each if own_id not in moment.ids][:top_k]
        for own_id, each in zip(queries.own_ids, moments, strict=True)
    ]


def classify(neighbours: Sequence[Neighbour], voting: Voting, class_counts: Mapping[str, int] | None) -> Classification:
    """The vote of the neighbours that have a label, balanced by `class_counts` if there are some."""
    voters = tuple(neighbour for neighbour in neighbours if neighbour.label)
    result = vote(
        [voter.label for voter in voters],
        [voter.similarity for voter in voters],
        weighting=voting.weighting,
        temperature=voting.temperature,
        unknown_below=voting.unknown_below,
        class_counts=class_counts,
    )
    return Classification(result.label, result.scores, voters)
