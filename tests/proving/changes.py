"""Changes of a gallery, computed from few numbers, and an oracle that knows what the gallery must contain.

A writer owns the items `WRITER/0`, `WRITER/1`, ... Each of its changes has a rising number, and upserts or deletes the
items of several consecutive places. The label, attributes and source of an item say which change wrote it.
"""

from dataclasses import dataclass

import numpy as np

from gfp_serve.gallery.protocols import Gallery
from gfp_serve.items import Item, Neighbour, Source

SIZE = 16  # length of a vector: small, so that much happens in little time
MOST_ITEMS = 300
# How much equal similarities may differ, because their products are added in another order.
ROUNDING = 2e-6
# Vectors that many items have, and the share of the items of a change that have one of them.
COPIED = np.random.default_rng(0).standard_normal((3, SIZE)).astype(np.float32)
COPIED /= np.linalg.norm(COPIED, axis=1, keepdims=True)
_SHARE_COPIED = 0.4


@dataclass(frozen=True, slots=True)
class Change:
    """Upserts or deletes a writer's items of places [start, start + count)."""

    writer: int
    number: int  # at least 1
    is_upsert: bool
    start: int
    count: int

    @property
    def places(self) -> range:
        return range(self.start, self.start + self.count)

    @property
    def vectors(self) -> np.ndarray:
        """Unit vectors [count, SIZE]. Many of them are the same."""
        drawn = np.random.default_rng((self.writer, self.number)).standard_normal((self.count, SIZE))
        vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
        # From another generator, so that a part of the change has the vectors of the whole.
        share = np.random.default_rng((self.writer, self.number, 1)).random(self.count) / _SHARE_COPIED
        vectors[share < 1] = COPIED[(share[share < 1] * len(COPIED)).astype(int)]
        return vectors

    def make(self, gallery: Gallery) -> int:
        """Make the change; return the generation after an upsert, or 0 after a delete."""
        if not self.is_upsert:
            gallery.delete([id_of(self.writer, place) for place in self.places])
            return 0
        return gallery.upsert(
            [
                item_of(self.writer, place, self.number, vector)
                for place, vector in zip(self.places, self.vectors, strict=True)
            ]
        )


def draw_change(draw: np.random.Generator, writer: int, number: int, num_places: int) -> Change:
    """Draw a change of few or many items, new or existing. Some changes are deletes."""
    count = min(int(MOST_ITEMS ** draw.random()), num_places)
    return Change(writer, number, bool(draw.random() < 0.8), int(draw.integers(0, num_places - count + 1)), count)


def id_of(writer: int, place: int) -> str:
    return f"{writer}/{place}"


def item_of(writer: int, place: int, number: int, vector: np.ndarray) -> Item:
    """The item as the change with this number wrote it."""
    attributes = {"writer": f"writer-{writer}", "place": float(place), "even": number % 2 == 0}
    return Item(
        id_of(writer, place),
        vector,
        str(number),
        attributes,
        Source(f"recording-{number}", float(place), float(place + 1)),
    )


class Oracle:
    """What a gallery must contain, by writer and place: the number of the change that wrote the item, or 0 for none."""

    def __init__(self, num_writers: int, num_places: int) -> None:
        self.numbers = np.zeros((num_writers, num_places), dtype=np.int64)
        self.vectors = np.zeros((num_writers, num_places, SIZE), dtype=np.float32)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.numbers))

    def apply(self, change: Change) -> None:
        places = slice(change.start, change.start + change.count)
        self.numbers[change.writer, places] = change.number if change.is_upsert else 0
        if change.is_upsert:
            self.vectors[change.writer, places] = change.vectors

    def ids(self) -> set[str]:
        return {id_of(writer, place) for writer, place in np.argwhere(self.numbers > 0).tolist()}

    def is_right(self, found: Item | Neighbour) -> bool:
        """Whether the item is there, with this label, these attributes, this source, and this vector if it has one."""
        writer, place = map(int, found.id.split("/"))
        number = int(self.numbers[writer, place])
        expected = item_of(writer, place, number, self.vectors[writer, place])
        return (
            number > 0
            and (found.label, found.attributes, found.source) == (expected.label, expected.attributes, expected.source)
            and (isinstance(found, Neighbour) or np.allclose(found.vector, expected.vector, rtol=0, atol=1e-6))
        )

    def compare(
        self, query: np.ndarray, found: list[Neighbour], top_k: int, passing: np.ndarray | None = None
    ) -> tuple[int, int]:
        """Count the wrong neighbours of an answer (the item or its similarity is wrong), and the nearer items missing.

        `passing` [writers, places] are the items that a filter lets pass. Of equally near items, any may be found.
        """
        alive = self.numbers > 0 if passing is None else (self.numbers > 0) & passing
        similarities = np.where(alive, self.vectors @ query, -np.inf)
        wrong = 0
        for neighbour in found:
            writer, place = map(int, neighbour.id.split("/"))
            near = abs(similarities[writer, place] - neighbour.similarity) <= ROUNDING
            wrong += not (alive[writer, place] and near and self.is_right(neighbour))
        wrong += len(found) - len({neighbour.id for neighbour in found})
        num_wanted = min(top_k, int(np.count_nonzero(alive)))
        if num_wanted == 0:
            return wrong, 0
        flat = similarities.ravel()
        furthest = np.partition(flat, len(flat) - num_wanted)[len(flat) - num_wanted]
        near_enough = sum(neighbour.similarity >= furthest - ROUNDING for neighbour in found)
        return wrong, max(0, num_wanted - int(near_enough))
