"""A gallery in a collection of Milvus."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import ClosedError, GalleryNotFoundError, in_field
from gfp_serve.filters import Filter
from gfp_serve.gallery.milvus.connection import CALL_S, Connection, Identity
from gfp_serve.gallery.milvus.index_parameters import bytes_of_an_item, search_parameters
from gfp_serve.gallery.milvus.motions import MilvusMotions
from gfp_serve.gallery.milvus.rows import (
    check_upsert_size,
    expression,
    item_of,
    key_of,
    row_of,
    source_of,
)
from gfp_serve.gallery.protocols import (
    Gallery,
    Sample,
    check_found,
    check_items,
    check_queries,
    empty_gallery,
    sampled,
    was_dropped,
)
from gfp_serve.items import (
    Description,
    Effort,
    Item,
    Neighbour,
)

# Milvus returns at most this many rows, and accepts messages of up to 64 MiB. A little is left for what is not rows.
_MAX_ROWS = 16_384
_MAX_UPSERT_BYTES = 60 * 2**20
# Complete rows that are read at a time: at most 64 MiB.
_ITEMS_AT_A_TIME = 500

# If an index compresses vectors, this many candidates per neighbour are read and compared exactly.
_REFINE = 4


class MilvusGallery(Gallery):
    """A gallery in a collection of Milvus.

    Every read waits until Milvus has all writes that were answered before, no matter who made them. On a server, that
    takes up to its time tick (0.2 s). An upsert is one message, so searches see all of it or nothing; an upsert that
    was answered is in Milvus's log. "auto" is HNSW.

    Milvus 2.3 has a defect: a read during the replacement of an item may return an older version of that item than the
    last one. It does not affect other items, or reads that begin after the write has ended.

    If several servers write at the same time, `delete` may count an item that another server has just deleted. `items`
    then returns items that change meanwhile as they are when their turn comes, without those that were deleted.
    `Effort.exact` reads all vectors of a gallery whose index is not "exact"; use it to measure what an index misses.

    Motions are written before their items and read after them. An item that is replaced meanwhile, or whose upsert
    fails halfway, comes without its motion, and never with that of another version.
    """

    def __init__(self, connection: Connection, identity: Identity) -> None:
        self._connection = connection
        self._identity = identity
        self._collection = connection.collection(identity.name)
        self._closed = False
        self.was_dropped = False  # here, or by another server
        self._write = threading.Lock()
        self._last_seq = 0
        # Each process counts its own changes, so that no count is lost. The generation is the sum of all counts.
        self._counter = uuid.uuid4().hex
        self._num_changes = 0
        # While a count is replaced, Milvus 2.3 may return a much older one. Counts only rise, so the highest is right.
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._own_changes = f'gallery == "{identity.uid}"'
        self._motions = MilvusMotions(connection, identity.uid)
        connection.load(self._collection, identity.index_kind, identity.embedding_size)

    @property
    def encoder_digest(self) -> str:
        return self._identity.encoder_digest

    @property
    def embedding_size(self) -> int:
        return self._identity.embedding_size

    @property
    def generation(self) -> int:
        with self._milvus_client() as client:
            rows = client.query(
                self._connection.changes,
                filter=self._own_changes,
                output_fields=["key", "count"],
                limit=_MAX_ROWS,
                consistency_level="Strong",
                timeout=CALL_S,
            )
        with self._counting:
            for row in rows:
                self._counts[row["key"]] = max(row["count"], self._counts[row["key"]])
            return self._counts.total()

    def __len__(self) -> int:
        return self._count("")

    def describe(self) -> Description:
        num_items = len(self)
        with self._milvus_client() as client:
            index = client.describe_index(self._collection, "vector", timeout=CALL_S)
            num_motions = self._motions.count()
        kind = self._identity.index_kind
        return Description(
            encoder_digest=self.encoder_digest,
            embedding_size=self.embedding_size,
            metric="cosine",
            index_kind=kind,
            serving_kind="hnsw" if kind == "auto" else kind,
            is_building=bool(index.get("pending_index_rows")),
            num_items=num_items,
            generation=self.generation,
            num_bytes=num_items * bytes_of_an_item(kind, self.embedding_size),
            durable=True,
            num_motions=num_motions,
        )

    def upsert(self, items: Sequence[Item]) -> int:
        places, vectors = check_items(items, self.embedding_size)
        with self._write, self._milvus_client() as client:
            if items:
                # Numbers follow the clock, so that items of several servers have an order.
                first = max(time.time_ns(), self._last_seq + 1)
                rows = []
                for seq, (place, vector) in enumerate(zip(places, vectors, strict=True), start=first):
                    with in_field(f"items[{place}]"):
                        rows.append(row_of(items[place], vector, seq))
                check_upsert_size([items[place] for place in places], rows, _MAX_UPSERT_BYTES)
                self._last_seq = first + len(rows)
                kept = [items[place] for place in places]
                motions = [(item.id, seq, item.motion) for seq, item in enumerate(kept, first) if item.motion]
                self._motions.put(motions)
                client.upsert(self._collection, rows, timeout=CALL_S)
                self._motions.remove([item.id for item in kept if item.motion is None])
                self._count_change(client)
        return self.generation

    def delete(self, ids: Sequence[str]) -> int:
        keys = list(dict.fromkeys(map(key_of, ids)))
        with self._write, self._milvus_client() as client:
            # Milvus counts the keys that it should delete, not those that existed.
            found = [row["key"] for row in self._rows(keys, ["key"])]
            for start in range(0, len(found), _MAX_ROWS):
                client.delete(self._collection, ids=found[start : start + _MAX_ROWS], timeout=CALL_S)
            self._motions.remove(ids)
            if found:
                self._count_change(client)
            return len(found)

    def get(self, ids: Sequence[str]) -> list[Item]:
        found = self._rows_by_id(ids)
        return [item_of(found[id]) for id in ids]

    def get_with_motions(self, ids: Sequence[str]) -> Iterator[Item]:
        found = self._rows_by_id(ids)
        with self._milvus_client():
            motions = self._motions.get({id: row["seq"] for id, row in found.items()})
        return (replace(item_of(found[id]), motion=motions.get(id)) for id in ids)

    def label_counts(self, where: Filter | None = None) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for rows in self._pages(expression(where), ["label"], _MAX_ROWS):
            counts.update(row["label"] for row in rows if row["label"])
        return dict(counts)

    def items(self, *, with_motions: bool = False) -> Iterator[Item]:
        for items in self._items_of(self._order(), with_motions=with_motions):
            yield from items

    def sample(self, most: int) -> Sample:
        generation = self.generation
        order = self._order()
        chosen = sampled(np.array([seq for seq, _ in order], dtype=np.int64), most)
        return Sample(generation, len(order), self._items_of([order[place] for place in chosen.tolist()]))

    def _order(self) -> list[tuple[int, str]]:
        """Number and key of each item, in the order of the last upserts."""
        return sorted((row["seq"], row["key"]) for rows in self._pages("", ["seq"], _MAX_ROWS) for row in rows)

    def _items_of(self, order: list[tuple[int, str]], *, with_motions: bool = False) -> Iterator[list[Item]]:
        for start in range(0, len(order), _ITEMS_AT_A_TIME):
            keys = [key for _, key in order[start : start + _ITEMS_AT_A_TIME]]
            with self._milvus_client():
                rows = self._rows(keys, ["key", "id", "vector", "label", "attributes", "source", "seq"])
                motions = self._motions.get({row["id"]: row["seq"] for row in rows}) if with_motions else {}
            found = {row["key"]: row for row in rows}
            items = (item_of(found[key]) for key in keys if key in found)
            yield [replace(item, motion=motions[item.id]) if item.id in motions else item for item in items]

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> list[list[Neighbour]]:
        queries = check_queries(queries, self.embedding_size, top_k=top_k)
        if not len(queries):
            self._refuse_if_closed()
            return []
        filtered = expression(where)
        is_exact = self._identity.index_kind == "exact"
        if (effort.exact and not is_exact) or top_k > _MAX_ROWS:
            found = self._search_exactly(queries, top_k, filtered)
        else:
            found = self._search_index(queries, top_k, filtered, effort)
            fewest = min(map(len, found))
            # An index can miss items because of a filter, or because they are in lists that it did not read.
            if not is_exact and fewest < top_k and fewest < self._count(filtered):
                found = self._search_exactly(queries, top_k, filtered)
        if not any(found) and len(self) == 0:
            raise empty_gallery()
        return found

    def num_compared(
        self,
        effort: Effort = Effort(),  # noqa: ARG002, B008  (Milvus compares)
        where: Filter | None = None,  # noqa: ARG002
    ) -> int:
        return 0

    def drop(self) -> None:
        """Remove the collection and the counts of its changes."""
        self._closed = True
        with self._connection.errors_translated():
            self._connection.client.drop_collection(self._collection, timeout=CALL_S)
            self.was_dropped = True
            self._connection.client.delete(self._connection.changes, filter=self._own_changes, timeout=CALL_S)
            self._motions.remove_all()

    def close(self) -> None:
        self._closed = True

    def _search_index(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], top_k: int, filtered: str, effort: Effort
    ) -> list[list[Neighbour]]:
        kind = self._identity.index_kind
        is_quantized = kind.startswith("ivf")
        limit = min(_REFINE * top_k if is_quantized else top_k, _MAX_ROWS)
        with self._milvus_client() as client:
            results = client.search(
                self._collection,
                data=list(queries),
                filter=filtered,
                limit=limit,
                output_fields=["id", "label", "attributes", "source", "seq", *(["vector"] if is_quantized else [])],
                search_params={"metric_type": "COSINE", "params": search_parameters(kind, effort, limit)},
                consistency_level="Strong",
                timeout=CALL_S,
            )
        neighbours = []
        for query, hits in zip(queries, results, strict=True):
            rows = [hit["entity"] for hit in hits]
            if is_quantized and rows:
                similarities = np.array([row["vector"] for row in rows], dtype=np.float32) @ query
            else:
                similarities = np.array([hit["distance"] for hit in hits], dtype=np.float32)
            order = np.lexsort(([row["seq"] for row in rows], -similarities))[:top_k]
            neighbours.append([_neighbour(rows[place], float(similarities[place])) for place in order])
        return neighbours

    def _search_exactly(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], top_k: int, filtered: str
    ) -> list[list[Neighbour]]:
        num_queries = len(queries)
        similarities = np.empty((num_queries, 0), dtype=np.float32)
        seqs = np.empty((num_queries, 0), dtype=np.int64)
        keys = np.empty((num_queries, 0), dtype=object)
        for rows in self._pages(filtered, ["vector", "seq"], 4096):
            vectors = np.array([row["vector"] for row in rows], dtype=np.float32)
            shape = (num_queries, len(rows))
            similarities = np.hstack([similarities, queries @ vectors.T])
            seqs = np.hstack([seqs, np.broadcast_to([row["seq"] for row in rows], shape)])
            keys = np.hstack([keys, np.broadcast_to(np.array([row["key"] for row in rows], dtype=object), shape)])
            order = np.lexsort((seqs, -similarities), axis=1)[:, :top_k]
            similarities, seqs, keys = (np.take_along_axis(of, order, axis=1) for of in (similarities, seqs, keys))
        with self._milvus_client():
            wanted = sorted(set(keys.ravel()))
            rows = self._rows(wanted, ["key", "id", "label", "attributes", "source"])
        found = {row["key"]: row for row in rows}
        return [
            [_neighbour(found[key], float(similarity)) for key, similarity in zip(*row, strict=True) if key in found]
            for row in zip(keys, similarities, strict=True)
        ]

    def _count_change(self, client: Any) -> None:
        self._num_changes += 1
        row = {
            "key": self._counter,
            "vector": [1.0, 0.0],
            "gallery": self._identity.uid,
            "count": self._num_changes,
        }
        client.upsert(self._connection.changes, [row], timeout=CALL_S)
        with self._counting:
            self._counts[self._counter] = self._num_changes

    def _count(self, filtered: str) -> int:
        with self._milvus_client() as client:
            (row,) = client.query(
                self._collection,
                filter=filtered,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=CALL_S,
            )
        return int(row["count(*)"])

    def _rows_by_id(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        fields = ["id", "vector", "label", "attributes", "source", "seq"]
        with self._milvus_client():
            rows = self._rows(list(dict.fromkeys(map(key_of, ids))), fields)
        found = {row["id"]: row for row in rows}
        check_found(ids, found)
        return found

    def _rows(self, keys: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for start in range(0, len(keys), _ITEMS_AT_A_TIME):
            listed = ", ".join(f'"{key}"' for key in keys[start : start + _ITEMS_AT_A_TIME])
            rows += self._connection.client.query(
                self._collection,
                filter=f"key in [{listed}]",
                output_fields=fields,
                consistency_level="Strong",
                timeout=CALL_S,
            )
        return rows

    def _pages(self, filtered: str, fields: list[str], size: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows that pass, in lists of `size`, in the order of their keys."""
        with self._milvus_client() as client:
            pages = client.query_iterator(
                self._collection,
                batch_size=size,
                filter=filtered,
                output_fields=["key", *fields],
                consistency_level="Strong",
                timeout=CALL_S,
            )
        try:
            while True:
                with self._milvus_client():
                    rows = pages.next()
                if not rows:
                    return
                yield rows
        finally:
            pages.close()

    @contextmanager
    def _milvus_client(self) -> Iterator[Any]:
        self._refuse_if_closed()
        try:
            with self._connection.errors_translated():
                yield self._connection.client
        except GalleryNotFoundError:
            self.was_dropped = True
            raise

    def _refuse_if_closed(self) -> None:
        if self.was_dropped:
            raise was_dropped(self._identity.name)
        if self._closed:
            raise ClosedError(f"the gallery {self._identity.name!r} is closed; open it again.")


def _neighbour(row: dict[str, Any], similarity: float) -> Neighbour:
    return Neighbour(row["id"], row["label"], min(1.0, max(-1.0, similarity)), row["attributes"], source_of(row))
