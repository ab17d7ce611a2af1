"""Embedded engines that store the same items: SQLite, LMDB, DuckDB and LanceDB."""

import json
import os
import sqlite3
import struct
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.galleries.made import SIZE


class Batch(NamedTuple):
    """Items that are written together, column by column."""

    seqs: list[int]
    ids: list[str]
    labels: list[str]
    attributes: list[str]
    vectors: np.ndarray
    crcs: list[int]


class Item(NamedTuple):
    id: str
    label: str
    attributes: str
    vector: np.ndarray


class Items(NamedTuple):
    """All items in the order of their numbers, column by column."""

    ids: list[str]
    labels: list[str]
    attributes: list[str]
    vectors: np.ndarray


class Engine(ABC):
    """One table of items in a folder. Acknowledged writes should survive a power cut."""

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    @abstractmethod
    def upsert(self, batch: Batch) -> None: ...

    @abstractmethod
    def delete(self, ids: list[str]) -> None: ...

    @abstractmethod
    def get(self, id: str) -> Item: ...

    @abstractmethod
    def scan(self) -> Items: ...

    @abstractmethod
    def close(self) -> None: ...

    def compact(self) -> bool:
        """Release the space of deleted and replaced items; return False if the engine has no call for it."""
        return False


class Sqlite(Engine):
    """With the gallery's settings: a write-ahead log of up to 64 MiB, and a full sync for each commit."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "items.sqlite", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 16384"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS items (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL,"
            " attributes TEXT NOT NULL, vector BLOB NOT NULL, crc INTEGER NOT NULL) STRICT"
        )

    def upsert(self, batch: Batch) -> None:
        rows = zip(*batch[:4], [vector.tobytes() for vector in batch.vectors], batch.crcs, strict=True)
        self._commit("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)", rows)

    def delete(self, ids: list[str]) -> None:
        self._commit("DELETE FROM items WHERE id = ?", [(id,) for id in ids])

    def _commit(self, statement: str, rows: Iterable[Any]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")

    def get(self, id: str) -> Item:
        found = self._connection.execute("SELECT id, label, attributes, vector FROM items WHERE id = ?", (id,))
        id, label, attributes, vector = found.fetchone()
        return Item(id, label, attributes, np.frombuffer(vector, np.float32))

    def scan(self) -> Items:
        return items_of(self._connection.execute("SELECT id, label, attributes, vector FROM items ORDER BY seq"))

    def compact(self) -> bool:
        self._connection.execute("VACUUM")
        return True

    def close(self) -> None:
        self._connection.close()


class Lmdb(Engine):
    """Two tables of keys and values: items by number, and numbers by id.

    A value consists of lengths, a checksum and the bytes.
    """

    _HEAD = struct.Struct("<HHII")

    def __init__(self, folder: Path) -> None:
        import lmdb

        # By default, each commit syncs the pages and then the page that lists them. The map itself takes no space.
        self._env = lmdb.open(str(folder / "items.lmdb"), map_size=2**36, max_dbs=2)
        self._items = self._env.open_db(b"items")
        self._seqs = self._env.open_db(b"seqs")

    def upsert(self, batch: Batch) -> None:
        with self._env.begin(write=True) as transaction:
            for seq, *texts, vector, crc in zip(*batch, strict=True):
                id, label, attributes = (text.encode() for text in texts)
                number = struct.pack(">Q", seq)
                if before := transaction.get(id, db=self._seqs):
                    transaction.delete(before, db=self._items)
                transaction.put(id, number, db=self._seqs)
                head = self._HEAD.pack(len(id), len(label), len(attributes), crc)
                value = b"".join((head, id, label, attributes, vector.tobytes()))
                transaction.put(number, value, db=self._items, append=True)

    def delete(self, ids: list[str]) -> None:
        with self._env.begin(write=True) as transaction:
            for id in ids:
                transaction.delete(transaction.pop(id.encode(), db=self._seqs), db=self._items)

    def get(self, id: str) -> Item:
        with self._env.begin() as transaction:
            value = transaction.get(transaction.get(id.encode(), db=self._seqs), db=self._items)
            id, label, attributes, vector = self._read(value)
            return Item(id, label, attributes, np.frombuffer(vector, np.float32))

    def scan(self) -> Items:
        with self._env.begin() as transaction:
            return items_of(map(self._read, transaction.cursor(self._items).iternext(keys=False)))

    def _read(self, value: bytes) -> tuple[str, str, str, bytes]:
        id = self._HEAD.size
        id_length, label_length, attributes_length, _ = self._HEAD.unpack_from(value)
        label = id + id_length
        attributes = label + label_length
        vector = attributes + attributes_length
        return (
            value[id:label].decode(),
            value[label:attributes].decode(),
            value[attributes:vector].decode(),
            value[vector:],
        )

    def close(self) -> None:
        self._env.close()


class DuckDb(Engine):
    """Batches are written as Arrow tables, single items as parameters: the faster way for each."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._connection = duckdb.connect(str(folder / "items.duckdb"))
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS items (seq BIGINT NOT NULL, id VARCHAR PRIMARY KEY, label VARCHAR NOT NULL,"
            f" attributes VARCHAR NOT NULL, vector FLOAT[{SIZE}] NOT NULL, crc UINTEGER NOT NULL)"
        )

    def upsert(self, batch: Batch) -> None:
        if len(batch.ids) == 1:
            values = [*(column[0] for column in batch[:4]), batch.vectors[0].tolist(), batch.crcs[0]]
            self._connection.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)", values)
        else:
            self._connection.register("batch", arrow_of(batch))
            self._connection.execute("INSERT OR REPLACE INTO items SELECT * FROM batch")
            self._connection.unregister("batch")

    def delete(self, ids: list[str]) -> None:
        self._connection.execute("DELETE FROM items WHERE id IN (SELECT unnest(?))", [ids])

    def get(self, id: str) -> Item:
        found = self._connection.execute("SELECT id, label, attributes, vector FROM items WHERE id = ?", [id])
        id, label, attributes, vector = found.fetchone()
        return Item(id, label, attributes, np.array(vector, np.float32))

    def scan(self) -> Items:
        return items_of_arrow(self._connection.sql("SELECT * FROM items ORDER BY seq").to_arrow_table())

    def close(self) -> None:
        self._connection.close()


class LanceDb(Engine):
    """With the engine's own settings and an index on the ids. The engine decides what it syncs."""

    def __init__(self, folder: Path) -> None:
        import lancedb
        from lancedb.index import BTree

        connection = lancedb.connect(folder)
        if (folder / "items.lance").exists():
            self._table = connection.open_table("items")
        else:
            self._table = connection.create_table("items", schema=arrow_of(batch_of([], 0)).schema)
            self._table.create_index("id", config=BTree())

    def upsert(self, batch: Batch) -> None:
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(arrow_of(batch))

    def delete(self, ids: list[str]) -> None:
        self._table.delete(f"id IN ({', '.join(map(repr, ids))})")

    def get(self, id: str) -> Item:
        found = items_of_arrow(self._table.search().where(f"id = '{id}'").limit(1).to_arrow())
        return Item(found.ids[0], found.labels[0], found.attributes[0], found.vectors[0])

    def scan(self) -> Items:
        return items_of_arrow(self._table.to_arrow().sort_by("seq"))

    def compact(self) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that older versions are removed, which is the purpose
            self._table.optimize(cleanup_older_than=timedelta(0))
        return True

    def close(self) -> None:
        self._table = None


class SyncedLanceDb(LanceDb):
    """Makes each write durable: new files are synced here, and the folders that contain them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._known = folder, {str(file) for file in folder.rglob("*")}
        super().__init__(folder)
        self._sync()

    def upsert(self, batch: Batch) -> None:
        super().upsert(batch)
        self._sync()

    def delete(self, ids: list[str]) -> None:
        super().delete(ids)
        self._sync()

    def compact(self) -> bool:
        super().compact()
        self._sync()
        return True

    def _sync(self) -> None:
        for folder, _, names in os.walk(self._folder):
            new = {f"{folder}/{name}" for name in names} - self._known
            self._known |= new
            for name in (*new, folder) if new else ():
                descriptor = os.open(name, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)


ENGINES: dict[str, type[Engine]] = {
    "SQLite": Sqlite,
    "LMDB": Lmdb,
    "DuckDB": DuckDb,
    "LanceDB": LanceDb,
    "LanceDB, synced": SyncedLanceDb,
}
PACKAGES = {"LMDB": "lmdb", "DuckDB": "duckdb", "LanceDB": "lancedb"}
ENGINE_NOTES = {
    "SQLite": [
        "one writer at a time and readers beside it, from any number of processes",
        "the log is moved into the database at a set length; pages of deleted items are used again, VACUUM shrinks",
    ],
    "LMDB": [
        "one writer at a time and readers beside it, from any number of processes; a reader that stays keeps old pages",
        "the map's size bounds the database and must be set at opening; a write beyond it fails",
        "keys of at most 511 bytes: longer ids would need a table of hashes",
        "no schema, no queries, no checksums; nothing shrinks the file in place, only copy(compact=True) into another",
        "no log, so nothing to be made good after a crash",
    ],
    "DuckDB": [
        "one process at a time: another cannot even read while one may write",
        "the log is moved in at 16 MiB and at closing, and each time the index on ids is written whole",
        "the file never shrinks; there are reports of one that grew without end under a unique index",
    ],
    "LanceDB": [
        "does not sync: when power goes, an acknowledged write can be lost, or a file left empty",
        "each write is a new version with files of its own; they pile up, and reads get slower, until optimize()",
        "optimize() is the user's to call, and takes away versions that other readers may use",
        "several processes may write: commits that meet are retried",
        "a library of 185 MB, with pyarrow beside it",
    ],
    "LanceDB, synced": ["LanceDB, whose new files and their folders the caller syncs after each call"],
}


def arrow_of(batch: Batch) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "seq": pa.array(batch.seqs, pa.int64()),
            "id": pa.array(batch.ids, pa.string()),
            "label": pa.array(batch.labels, pa.string()),
            "attributes": pa.array(batch.attributes, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(batch.vectors.reshape(-1), pa.float32()), SIZE),
            "crc": pa.array(batch.crcs, pa.uint32()),
        }
    )


def items_of_arrow(table: Any) -> Items:
    ids, labels, attributes = (table[name].to_pylist() for name in ("id", "label", "attributes"))
    return Items(ids, labels, attributes, table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, SIZE))


def items_of(rows: Iterable[tuple[str, str, str, bytes]]) -> Items:
    """Collect rows into columns one by one: tuples of all rows would mostly keep Python's garbage collector busy."""
    items = Items([], [], [], np.empty(0))
    vectors = []
    for id, label, attributes, vector in rows:
        items.ids.append(id)
        items.labels.append(label)
        items.attributes.append(attributes)
        vectors.append(vector)
    return items._replace(vectors=np.frombuffer(b"".join(vectors), np.float32).reshape(-1, SIZE))


def id_of(number: int) -> str:
    """Ids are in no order, like those of users."""
    return f"clip-{number * 2654435761 % 2**32:08x}"


def batch_of(numbers: Sequence[int], first_seq: int) -> Batch:
    """The items with these numbers. Their vectors differ from one write to the next."""
    vectors = np.random.default_rng(first_seq).standard_normal((len(numbers), SIZE), dtype=np.float32)
    return Batch(
        seqs=list(range(first_seq, first_seq + len(numbers))),
        ids=[id_of(number) for number in numbers],
        labels=[f"label-{number % 60}" for number in numbers],
        attributes=[json.dumps({"camera": number % 3, "take": float(number % 17)}) for number in numbers],
        vectors=vectors,
        crcs=[zlib.crc32(vector.tobytes()) for vector in vectors],
    )
