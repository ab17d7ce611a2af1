"""What a gallery has that is near to the queries of a request: neighbours, moments, and the class they vote for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import vote
from gfp_serve.doubts import DIMENSIONS, Doubt, Look, doubts_about_found
from gfp_serve.errors import in_field
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Neighbour
from gfp_serve.moments import Moment, are_settled, merge
from gfp_serve.wire.searches import Classification, Scope, Voting

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What is searched for: vectors, and for a query that names a stored item the id of that item, else None.

    Such an item is left out of what is found, because it would be its own nearest neighbour.
    """

    vectors: Float32[np.ndarray, "queries embedding_size"]
    own_ids: Sequence[str | None]
    looks: Sequence[Look | None]  # None for a query that is not a sequence

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
            (f"{field}[{row}]", doubt)
            for row, (look, each) in enumerate(zip(self.looks, found, strict=True))
            if look is not None and (not each or isinstance(each[0], Neighbour))
            for doubt in doubts_about_found(
                look, [one for one in each if isinstance(one, Neighbour)], sees_travel=sees_travel
            )
        ]


def find_gallery(galleries: Galleries, name: str, path: str = "gallery") -> Gallery:
    """The gallery that the request's field `path` names. Raises what `Galleries` does, with that field."""
    with in_field(path):
        return galleries[name]


def find_parted(
    queries: Queries, scope: Scope, find: Callable[[Scope, Queries], Sequence[T]], *, compares_dimensions: bool
) -> list[T]:
    """What `find` gives for each query, which looks where `Queries.parted` says."""
    parts = queries.parted(scope, compares_dimensions=compares_dimensions)
    if len(parts) == 1:
        return list(find(parts[0][0], queries))
    found: dict[int, T] = {}
    for part, rows in parts:
        chosen = Queries(
            queries.vectors[rows], [queries.own_ids[row] for row in rows], [queries.looks[row] for row in rows]
        )
        found.update(zip(rows, find(part, chosen), strict=True))
    return [found[row] for row in sorted(found)]


def count_classes(
    gallery: Gallery, queries: Queries, scope: Scope, *, compares_dimensions: bool
) -> list[Mapping[str, int]]:
    """How many items each class has among those at which each query looks, see `Queries.parted`."""
    found: dict[int, Mapping[str, int]] = {}
    for part, rows in queries.parted(scope, compares_dimensions=compares_dimensions):
        counts = gallery.label_counts(part.where)
        found |= dict.fromkeys(rows, counts)
    return [found[row] for row in sorted(found)]


def find_neighbours(gallery: Gallery, scope: Scope, queries: Queries, top_k: int) -> Sequence[list[Neighbour]]:
    """The nearest items of each query, nearest first."""
    one_more = any(queries.own_ids)
    found = gallery.search(queries.vectors, top_k=top_k + one_more, where=scope.where, effort=scope.effort)
    if not one_more:
        return found
    return [
        [neighbour for neighbour in neighbours if neighbour.id != own_id][:top_k]
        for own_id, neighbours in zip(queries.own_ids, found, strict=True)
    ]


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
