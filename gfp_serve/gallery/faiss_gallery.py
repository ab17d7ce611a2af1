"""The embedded gallery: a folder with items in SQLite, held and searched in memory with FAISS.

Reads never touch the disk. The index is made from the items at every start and is not stored: a file of it would hold
the same vectors once more, save an eighth of the start (0.7 s against 0.8 s for 100 000 items of 256 numbers), and
could be stale, damaged or hostile.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    EncoderMismatchError,
    GalleryError,
    ItemNotFoundError,
    quoted,
)
from gfp_serve.gallery.contract import Gallery, Item, Neighbour, check_items, check_queries
from gfp_serve.gallery.index import ExactIndex
from gfp_serve.gallery.items import DATABASE_FILE, UNFINISHED_FILES, GalleryState, ItemRow, ItemStore
from gfp_serve.gallery.readers_writer import ReadersWriterLock

_LOCK_FILE = "gallery.lock"


class _Known(NamedTuple):
    """What a search answers about an item besides its similarity."""

    id: str
    label: str
    attributes: str  # JSON: read only for the few items that are found


class FaissGallery(Gallery):
    """A gallery in one folder, for one process. Open it with `create`, `open` or `open_or_create`.

    Searches run side by side; a write makes them wait only while it changes what is in memory, not while it is made
    durable. Replacing or deleting costs a pass over the vectors in memory (17 ms for 100 000 of 256 numbers).
    """

    def __init__(self, path: Path, store: ItemStore) -> None:
        self._path = path
        self._store = store
        self._resources = ExitStack()  # what `close` gives back
        self._closed = False
        self._write = threading.Lock()  # held by the one write at a time, from its checks to its end
        self._memory = ReadersWriterLock()  # held for what follows
        self._generation = store.state.generation
        self._index = ExactIndex(store.state.embedding_size)
        self._known: dict[int, _Known] = {}  # by seq
        self._seq_of: dict[str, int] = {}  # by id
        for rows in store.rows():
            vectors = np.frombuffer(b"".join(row.vector for row in rows), "<f4").astype(np.float32)
            self._remember(rows, vectors.reshape(len(rows), -1))

    @classmethod
    def create(cls, path: Path, *, encoder_digest: str, embedding_size: int) -> "FaissGallery":
        """Make an empty gallery in a new or empty folder, readable by its owner only.

        Raises `GalleryError` when the folder holds anything else, a gallery included.
        """
        with _reachable(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            foreign = sorted({file.name for file in path.iterdir()} - {_LOCK_FILE, DATABASE_FILE, *UNFINISHED_FILES})
        if foreign:
            raise GalleryError(
                f"{path} holds {foreign[0]!r}, which is no part of a gallery; name a new or an empty folder."
            )
        return cls._take(path, new=GalleryState(encoder_digest, embedding_size))

    @classmethod
    def open(cls, path: Path) -> "FaissGallery":
        """Open a gallery, which knows what it is, and verify every item.

        Raises `GalleryError` when the folder is no gallery, is damaged, or is open already.
        """
        if not (path / DATABASE_FILE).is_file():
            raise GalleryError(f"{path} is not a gallery: it holds no {DATABASE_FILE}; check the path.")
        return cls._take(path)

    @classmethod
    def open_or_create(cls, path: Path, *, encoder_digest: str, embedding_size: int) -> "FaissGallery":
        """Open the gallery in this folder, or make one if the folder is new or empty.

        Raises `EncoderMismatchError` when another encoder filled it, and what `open` and `create` raise.
        """
        if not (path / DATABASE_FILE).exists():
            return cls.create(path, encoder_digest=encoder_digest, embedding_size=embedding_size)
        gallery = cls.open(path)
        if (gallery.encoder_digest, gallery.embedding_size) == (encoder_digest, embedding_size):
            return gallery
        gallery.close()
        raise EncoderMismatchError(
            f"the gallery {path} was filled by encoder {gallery.encoder_digest[:12]} ({gallery.embedding_size} numbers "
            f"a vector), this one is {encoder_digest[:12]} ({embedding_size} numbers); their vectors cannot be "
            f"compared: serve the bundle that filled it, or fill a gallery in another folder."
        )

    @classmethod
    def _take(cls, path: Path, *, new: GalleryState | None = None) -> "FaissGallery":
        with _reachable(path), ExitStack() as undo:
            undo.callback(os.close, _lock(path))
            if new is not None:
                # Looked up under the lock: of two processes that create, the second must not replace the first's.
                if (path / DATABASE_FILE).exists():
                    raise GalleryError(f"{path} holds a gallery already; open it, or name another folder.")
                ItemStore.create(path, new)
            store = ItemStore.open(path)
            undo.callback(store.close)
            gallery = cls(path, store)
            gallery._resources = undo.pop_all()
        return gallery

    def __enter__(self) -> "FaissGallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def encoder_digest(self) -> str:
        return self._store.state.encoder_digest

    @property
    def embedding_size(self) -> int:
        return self._store.state.embedding_size

    @property
    def generation(self) -> int:
        return self._generation

    def __len__(self) -> int:
        return len(self._known)

    def upsert(self, items: Sequence[Item]) -> int:
        items = list({item.id: item for item in items}.values())
        vectors = check_items(items, self.embedding_size)
        with self._write:
            self._refuse_if_closed()
            if items:
                replaced = [self._seq_of[item.id] for item in items if item.id in self._seq_of]
                rows = [
                    ItemRow(seq, item.id, item.label, json.dumps(dict(item.attributes)), vector.astype("<f4").tobytes())
                    for seq, (item, vector) in enumerate(
                        zip(items, vectors, strict=True), self._store.state.last_seq + 1
                    )
                ]
                self._change(replaced, rows, vectors)
            return self._generation

    def delete(self, ids: Sequence[str]) -> int:
        with self._write:
            self._refuse_if_closed()
            found = [self._seq_of[id] for id in dict.fromkeys(ids) if id in self._seq_of]
            if found:
                self._change(found, [], np.empty((0, self.embedding_size), dtype=np.float32))
            return len(found)

    def get(self, ids: Sequence[str]) -> list[Item]:
        with self._memory.shared():
            self._refuse_if_closed()
            missing = [id for id in ids if id not in self._seq_of]
            if missing:
                shown = ", ".join(map(quoted, missing[:5])) + (f" and {len(missing) - 5} more" if missing[5:] else "")
                raise ItemNotFoundError(
                    f"no item of the gallery has the id {shown}; check the ids, or upsert them first."
                )
            seqs = [self._seq_of[id] for id in ids]
            found = [self._known[seq] for seq in seqs]
            vectors = self._index.vectors(np.array(seqs, dtype=np.int64))
        return [
            Item(known.id, vector, known.label, json.loads(known.attributes))
            for known, vector in zip(found, vectors, strict=True)
        ]

    def search(
        self, queries: Float32[np.ndarray, "num_queries embedding_size"], *, top_k: int
    ) -> list[list[Neighbour]]:
        queries = check_queries(queries, self.embedding_size, top_k=top_k)
        with self._memory.shared():
            self._refuse_if_closed()
            if not self._known:
                raise EmptyGalleryError("the gallery is empty, so nothing can be near; upsert labelled items first.")
            seqs, similarities = self._index.search(queries, top_k=top_k)
            found = [[self._known[seq] for seq in row] for row in seqs.tolist()]
        # Queries find the same items: read once each, they take no more memory than the gallery, however many ask.
        written = {known.id: known.attributes for neighbours in found for known in neighbours}
        attributes = {id: json.loads(text) for id, text in written.items()}
        return [
            [
                Neighbour(known.id, known.label, similarity, attributes[known.id])
                for known, similarity in zip(*neighbours, strict=True)
            ]
            for neighbours in zip(found, similarities.tolist(), strict=True)
        ]

    def close(self) -> None:
        with self._write, self._memory.exclusive():
            self._closed = True
            self._resources.close()

    def _change(
        self,
        remove: list[int],
        add: list[ItemRow],
        vectors: Float32[np.ndarray, "num_added embedding_size"],
    ) -> None:
        # First on disk: what a search has shown must not be lost.
        self._store.change(remove=remove, add=add)
        with self._memory.exclusive():
            try:
                self._index.remove(np.array(remove, dtype=np.int64))
                for seq in remove:
                    del self._seq_of[self._known.pop(seq).id]
                self._remember(add, vectors)
                self._generation = self._store.state.generation
            except BaseException:
                # Memory (it may have run out) is now behind the disk: no answer is better than a wrong one.
                self._closed = True
                raise

    def _remember(self, rows: list[ItemRow], vectors: Float32[np.ndarray, "num_rows embedding_size"]) -> None:
        self._index.add(np.array([row.seq for row in rows], dtype=np.int64), vectors)
        self._known.update((row.seq, _Known(row.id, row.label, row.attributes)) for row in rows)
        self._seq_of.update((row.id, row.seq) for row in rows)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError(f"the gallery {self._path} is closed; open it again.")


@contextmanager
def _reachable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery folder {path} cannot be used ({error.strerror}); check the path and its permissions."
        ) from error


def _lock(path: Path) -> int:
    """Take the folder for this process; the file descriptor that holds it until it is closed, by a crash too."""
    descriptor = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise GalleryError(
            f"the gallery {path} is open already, here or in another process; close that one, or name another folder."
        ) from None
    return descriptor
