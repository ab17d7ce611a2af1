"""The embedded gallery: a folder with items in SQLite, searched in memory with FAISS.

Searches run on a `Snapshot`, which never changes; one thread writes, makes durable, and then shows the next one. In the
background, indexes are made and files derived from the items, which take over when they are ready.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    EncoderMismatchError,
    GalleryError,
    ItemNotFoundError,
    quoted,
)
from gfp_serve.filters import Filter
from gfp_serve.gallery.embedded.answers import Answers
from gfp_serve.gallery.embedded.background import Background
from gfp_serve.gallery.embedded.derived import (
    Derived,
    check_derived,
    remove_others,
    write_derived,
)
from gfp_serve.gallery.embedded.gpu import check_gpu, copy_to_gpu
from gfp_serve.gallery.embedded.index import (
    Index,
    ServingKind,
    choose_kind,
    extend_index,
    make_index,
    physical_memory,
)
from gfp_serve.gallery.embedded.item_codec import read_item, write_item
from gfp_serve.gallery.embedded.item_store import (
    DATABASE_FILE,
    UNFINISHED_FILE,
    Change,
    GalleryState,
    ItemStore,
)
from gfp_serve.gallery.embedded.lock import LOCK_FILE, lock_folder, reachable
from gfp_serve.gallery.embedded.opening import read_snapshot
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.embedded.sqlite_log import check_log
from gfp_serve.gallery.embedded.view import RowColumns, Snapshot
from gfp_serve.gallery.embedded.writer import Writer
from gfp_serve.gallery.protocols import Gallery, check_items, check_queries
from gfp_serve.items import (
    Description,
    Effort,
    IndexKind,
    Item,
    Neighbour,
)

_log = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]

# Rows that came after the derived files were written, from which on they are written again: at least so many, and this
# share of all. Fewer are read from the items in a tenth of a second at the next open. Beside an index they are searched
# one by one, which soon takes longer than the index.
_NEW_ROWS, _NEW_SHARE, _NEW_SHARE_WITHOUT_INDEX = 8192, 0.01, 0.1
# The same for rows whose items are gone, which then leave memory. Without an index that costs a copy, and searches of
# many queries are slow beside many such rows.
_REMOVED_ROWS, _REMOVED_SHARE, _REMOVED_SHARE_WITHOUT_INDEX = 1024, 1 / 8, 1 / 64
_ROWS_AT_ONCE = 65536


class FaissGallery(Gallery):
    """A gallery in one folder, for one process. Open it with `create`, `open` or `open_or_create`.

    Searches run side by side and beside writes. Writes that wait together share one sync of the disk. `memory_bytes`
    is what vectors and index may take, for the choice of "auto"; half of the machine's memory when it is not set. With
    `device` "cuda" searches without a filter run on the first GPU; `DeviceError` when there is none.
    """

    def __init__(
        self, path: Path, store: ItemStore, *, durable: bool, memory_bytes: int | None, device: Device
    ) -> None:
        self._path = path
        self._store = store
        self._durable = durable
        self._memory_bytes = physical_memory() // 2 if memory_bytes is None else memory_bytes
        self._resources = ExitStack()  # what `close` gives back
        self._closed = False
        self._is_behind = False  # memory, of the database
        self._on_gpu = device == "cuda"
        if self._on_gpu:
            check_gpu()
        self._derived, self._snapshot = read_snapshot(path, store)
        self._snapshot = replace(self._snapshot, index=self._placed(self._snapshot.index, self._snapshot.rows))
        self._writer = Writer(store.changing, self._publish)
        self._background = Background(self._settle, self._has_to_settle)
        self._background.look()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        encoder_digest: str,
        embedding_size: int,
        index_kind: IndexKind = "auto",
        durable: bool = True,
        memory_bytes: int | None = None,
        device: Device = "cpu",
    ) -> "FaissGallery":
        """Make an empty gallery in a new or empty folder, readable by its owner only.

        Raises `GalleryError` when the folder holds anything else, a gallery included.
        """
        with reachable(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            foreign = sorted({file.name for file in path.iterdir()} - {LOCK_FILE, DATABASE_FILE, UNFINISHED_FILE})
        if foreign:
            raise GalleryError(
                f"{path} holds {foreign[0]!r}, which is no part of a gallery; name a new or an empty folder."
            )
        new = GalleryState(encoder_digest, embedding_size, index_kind)
        return cls._take(path, new=new, durable=durable, memory_bytes=memory_bytes, device=device)

    @classmethod
    def open(
        cls, path: Path, *, durable: bool = True, memory_bytes: int | None = None, device: Device = "cpu"
    ) -> "FaissGallery":
        """Open a gallery, which knows what it is. Every byte that is used is verified.

        Raises `GalleryError` when the folder is no gallery, is damaged, or is open already.
        """
        if not (path / DATABASE_FILE).is_file():
            raise GalleryError(f"{path} is not a gallery: it holds no {DATABASE_FILE}; check the path.")
        return cls._take(path, durable=durable, memory_bytes=memory_bytes, device=device)

    @classmethod
    def open_or_create(
        cls,
        path: Path,
        *,
        encoder_digest: str,
        embedding_size: int,
        durable: bool = True,
        memory_bytes: int | None = None,
        device: Device = "cpu",
    ) -> "FaissGallery":
        """Open the gallery in this folder, or make one if the folder is new or empty.

        Raises `EncoderMismatchError` when another encoder filled it, and what `open` and `create` raise.
        """
        if not (path / DATABASE_FILE).exists():
            return cls.create(
                path,
                encoder_digest=encoder_digest,
                embedding_size=embedding_size,
                durable=durable,
                memory_bytes=memory_bytes,
                device=device,
            )
        gallery = cls.open(path, durable=durable, memory_bytes=memory_bytes, device=device)
        if (gallery.encoder_digest, gallery.embedding_size) == (encoder_digest, embedding_size):
            return gallery
        gallery.close()
        raise EncoderMismatchError(
            f"the gallery {path} was filled by encoder {gallery.encoder_digest[:12]} ({gallery.embedding_size} numbers "
            f"a vector), this one is {encoder_digest[:12]} ({embedding_size} numbers); their vectors cannot be "
            f"compared: serve the bundle that filled it, or fill a gallery in another folder."
        )

    @classmethod
    def _take(
        cls, path: Path, *, new: GalleryState | None = None, durable: bool, memory_bytes: int | None, device: Device
    ) -> "FaissGallery":
        with reachable(path), ExitStack() as undo:
            writable = os.access(path, os.W_OK)
            undo.callback(os.close, lock_folder(path))
            if new is not None:
                # Looked up under the lock: of two processes that create, the second must not replace the first's.
                if (path / DATABASE_FILE).exists():
                    raise GalleryError(f"{path} holds a gallery already; open it, or name another folder.")
                ItemStore.create(path, new)
            check_log(path)
            store = ItemStore.open(path, read_only=not writable)
            undo.callback(store.close)
            gallery = cls(path, store, durable=durable, memory_bytes=memory_bytes, device=device)
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
        return self._snapshot.generation

    def __len__(self) -> int:
        return self._unclosed().num_items

    def describe(self) -> Description:
        snapshot = self._unclosed()
        state = self._store.state
        return Description(
            encoder_digest=state.encoder_digest,
            embedding_size=state.embedding_size,
            metric="cosine",
            index_kind=state.index_kind,  # type: ignore[arg-type]
            serving_kind=snapshot.serving_kind,
            is_building=self._background.is_busy,
            num_items=snapshot.num_items,
            generation=snapshot.generation,
            num_bytes=snapshot.rows.vectors.num_bytes + (0 if snapshot.index is None else snapshot.index.num_bytes),
            durable=self._durable,
        )

    def upsert(self, items: Sequence[Item]) -> int:
        return self.upsert_soon(items).result()

    def upsert_soon(self, items: Sequence[Item]) -> Future[int]:
        """`upsert` as a future: items are checked at once, and written while the caller does something else."""
        vectors = check_items(items, self.embedding_size)
        now = self._opened()
        if not items:
            unchanged: Future[int] = Future()
            unchanged.set_result(now.generation)
            return unchanged
        kept = {item.id: place for place, item in enumerate(items)}
        rows = [write_item(items[place], vectors[place]) for place in kept.values()]

        def apply(change: Change) -> int:
            change.upsert(rows)
            return change.state.generation

        return self._writer.change_soon(apply)

    def delete(self, ids: Sequence[str]) -> int:
        self._opened()
        unique = list(dict.fromkeys(ids))
        return self._writer.change(lambda change: change.delete(unique)) if unique else 0

    def get(self, ids: Sequence[str]) -> list[Item]:
        self._opened()
        found = self._store.rows_of(list(dict.fromkeys(ids)))
        missing = [id for id in ids if id not in found]
        if missing:
            shown = ", ".join(map(quoted, missing[:5])) + (f" and {len(missing) - 5} more" if missing[5:] else "")
            raise ItemNotFoundError(f"no item of the gallery has the id {shown}; check the ids, or upsert them first.")
        return [read_item(found[id]) for id in ids]

    def label_counts(self, where: Filter | None = None) -> dict[str, int]:
        snapshot = self._opened()
        passing = snapshot.passing(where)
        mask = np.ones(snapshot.num_rows, dtype=bool) if passing is None else passing.mask
        return snapshot.columns.up_to(snapshot.num_rows).label_counts(mask)

    def items(self) -> Iterator[Item]:
        self._opened()
        for rows in self._store.rows():
            yield from map(read_item, rows)

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> Sequence[list[Neighbour]]:
        queries = check_queries(queries, self.embedding_size, top_k=top_k)
        snapshot = self._opened()
        if not snapshot.num_items:
            raise EmptyGalleryError("the gallery is empty, so nothing can be near; upsert labelled items first.")
        return Answers(snapshot.search(queries, top_k=top_k, where=where, effort=effort), snapshot.rows)

    def settle(self, timeout_s: float = 3600.0) -> None:
        """Wait until the background work is done: searches then run on the index that was asked for.

        Raises `TimeoutError`.
        """
        self._background.wait(timeout_s)

    def close(self) -> None:
        """See `Gallery.close`. Work in the background is given up; it begins again at the next open."""
        self._closed = True
        self._background.close()
        self._writer.close()
        self._resources.close()

    def _opened(self) -> Snapshot:
        if self._is_behind:
            raise ClosedError("the gallery could not follow its own database; open it again.")
        return self._unclosed()

    def _unclosed(self) -> Snapshot:
        if self._closed:
            raise ClosedError("the gallery is closed; open it again.")
        return self._snapshot

    def _publish(self, change: Change) -> None:
        """Show what has become durable. Runs in the writer's thread."""
        if not (change.added or change.removed):
            return
        now = self._snapshot
        try:
            now.rows.append(change.added)
            self._snapshot = _next(now, change)
        except BaseException:
            # Memory (it may have run out) is now behind the disk: no answer is better than a wrong one.
            self._is_behind = True
            raise
        self._background.look()

    def _has_to_settle(self) -> bool:
        now = self._snapshot
        kind = self._kind_of(now.num_items)
        new = now.num_rows - (0 if self._derived is None else self._derived.manifest.num_rows)
        share = _NEW_SHARE_WITHOUT_INDEX if now.index is None else _NEW_SHARE
        has_to_write = new > max(_NEW_ROWS, share * now.num_rows) and not self._store.is_read_only
        return kind != now.serving_kind or has_to_write or self._has_to_forget(now)

    def _has_to_forget(self, now: Snapshot) -> bool:
        share = _REMOVED_SHARE_WITHOUT_INDEX if now.index is None else _REMOVED_SHARE
        return now.num_rows - now.num_items > max(_REMOVED_ROWS, share * now.num_rows)

    def _settle(self) -> None:
        """Make the index and the files for what is there now, and let them take over. Runs in the background."""
        now, state = self._writer.between(self._begin)
        kind = self._kind_of(now.num_items)
        rows, num_rows, removed = now.rows, now.num_rows, now.removed
        index: Index | None = None
        if not self._derived_is_sound(state):
            # Not from what is in memory: the damage is mapped into it, and would get a checksum of its own.
            rows = Rows(state.embedding_size)
            for chunk in self._store.rows(up_to=state.last_seq):
                rows.append(chunk)
            num_rows, removed = rows.num_rows, np.zeros(rows.num_rows, dtype=bool)
        elif self._has_to_forget(now):
            kept = np.flatnonzero(~removed)
            rows, num_rows, removed = Rows(state.embedding_size), len(kept), np.zeros(len(kept), dtype=bool)
            for start in range(0, len(kept), _ROWS_AT_ONCE):
                rows.extend(now.rows, kept[start : start + _ROWS_AT_ONCE])
        elif self._derived is not None and now.index is not None and now.index.kind == kind:
            file = self._derived.index_file
            index = extend_index(now.index, file, rows.vectors, num_rows, should_stop=self._background.is_closed)
        if index is None:
            index = make_index(kind, rows.vectors, num_rows, should_stop=self._background.is_closed)
        if self._background.is_closed():
            return
        derived = None
        if (index is not None or num_rows > _NEW_ROWS) and not self._store.is_read_only:
            derived = write_derived(self._path, state, rows, num_rows, np.flatnonzero(removed), index)
            rows, index = derived.rows, derived.index
        index = self._placed(index, rows)
        self._writer.between(lambda: self._take_over(now, state, rows, removed, index, derived))
        if derived is not None:
            remove_others(self._path, derived.folder)

    def _placed(self, index: Index | None, rows: Rows) -> Index | None:
        return copy_to_gpu(index, rows.vectors, rows.num_rows) if self._on_gpu else index

    def _kind_of(self, num_items: int) -> ServingKind:
        state = self._store.state
        return choose_kind(state.index_kind, num_items, state.embedding_size, self._memory_bytes, on_gpu=self._on_gpu)

    def _derived_is_sound(self, state: GalleryState) -> bool:
        if self._derived is not None:
            try:
                check_derived(self._derived.folder, state)
            except GalleryError as error:
                _log.warning("%s It is made again from the items.", error)
                return False
        return True

    def _begin(self) -> tuple[Snapshot, GalleryState]:
        # From here on: whether the files will be written is not known yet.
        self._store.remember_up_to = self._store.state.last_seq
        return self._snapshot, self._store.state

    def _take_over(
        self,
        then: Snapshot,
        state: GalleryState,
        rows: Rows,
        removed: Bool[np.ndarray, " num_rows"],
        index: Index | None,
        derived: Derived | None,
    ) -> None:
        """Let other rows and another index, made from `then`, take the place of those that are served."""
        now = self._snapshot
        num_rows = len(removed)
        if rows is not now.rows:
            came = np.arange(then.num_rows, now.num_rows)
            rows.extend(now.rows, came[~now.removed[came]])
        went = np.flatnonzero(now.removed[: then.num_rows] & ~then.removed)
        gone = np.zeros(rows.num_rows, dtype=bool)
        gone[:num_rows] = removed
        gone[rows.rows_of(now.rows.seqs(now.num_rows)[went], rows.num_rows)] = True
        self._snapshot = replace(
            now,
            rows=rows,
            columns=now.columns if rows is now.rows else RowColumns(rows),
            num_rows=rows.num_rows,
            removed=now.removed if rows is now.rows else gone,
            index=index,
        )
        if derived is not None:
            self._derived = derived
            self._store.forget_removed(state.generation)


def _next(now: Snapshot, change: Change) -> Snapshot:
    """The snapshot after a change, whose added rows were appended already."""
    num_rows = now.rows.num_rows
    removed = np.zeros(num_rows, dtype=bool)
    removed[: now.num_rows] = now.removed
    removed[now.rows.rows_of(change.removed, num_rows)] = True
    return replace(
        now,
        generation=change.state.generation,
        num_rows=num_rows,
        num_items=change.state.num_items,
        removed=removed,
    )
