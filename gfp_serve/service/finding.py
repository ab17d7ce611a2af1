"""What a gallery has that is near to the queries of a request: neighbours, moments, and the class they vote for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import vote
from gfp_serve.errors import in_field
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import Neighbour
from gfp_serve.moments import Moment, are_settled, merge
from gfp_serve.wire.searches import Classification, Scope, Voting


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What is searched for: vectors, and for a query that names a stored item the id of that item, else None.

    Such an item is left out of what is found, because it would be its own nearest neighbour.
    """

    vectors: Float32[np.ndarray, "queries embedding_size"]
    own_ids: Sequence[str | None]


def find_gallery(galleries: Galleries, name: str, path: str = "gallery") -> Gallery:
    """The gallery that the request's field `path` names. Raises what `Galleries` does, with that field."""
    with in_field(path):
        return galleries[name]


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
