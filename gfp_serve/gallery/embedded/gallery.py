"""The embedded gallery: a folder with items in SQLite, searched in memory with FAISS.

Searches run on a `View`, which never changes. One thread writes, makes the changes durable, and then shows the next
view. In the background, a `Settler` makes indexes and derived files from the items; they take over when they are ready.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import ClosedError, GalleryError, GfpError
from gfp_serve.filters import Filter
from gfp_serve.gallery.embedded.answers import Answers
from gfp_serve.gallery.embedded.background import Background
from gfp_serve.gallery.embedded.change import Change
from gfp_serve.gallery.embedded.cores import CORES
from gfp_serve.gallery.embedded.gpu import check_gpu
from gfp_serve.gallery.embedded.index import physical_memory
from gfp_serve.gallery.embedded.item_codec import read_item, write_item
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.lock import still_closing, usable_folder
from gfp_serve.gallery.embedded.opening import make_folder, opened_store, remove_new_gallery
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState, ItemRow
from gfp_serve.gallery.embedded.settling import Settler
from gfp_serve.gallery.embedded.view import View
from gfp_serve.gallery.embedded.writer import Writer
from gfp_serve.gallery.protocols import (
    Gallery,
    Sample,
    check_found,
    check_items,
    check_queries,
    empty_gallery,
    filled_by_another_encoder,
    was_dropped,
)
from gfp_serve.items import Description, Effort, IndexKind, Item, Neighbour

Device = Literal["cpu", "cuda"]


class FaissGallery(Gallery):
    """A gallery in one folder, for one process. Open it with `create`, `open` or `open_or_create`.

    Searches run in parallel with each other and with writes. Writes that wait at the same time share one sync of the
    disk. `memory_bytes` is the memory that vectors and index may take, for the choice of "auto"; the default is half of
    the machine's memory. With `device` "cuda", searches without a filter run on the first GPU; `DeviceError` is raised
    if there is none.
    """

    def __init__(
        self, path: Path, store: ItemStore, *, durable: bool, memory_bytes: int | None, device: Device
    ) -> None:
        if device == "cuda":
            check_gpu()
        self._path = path
        self._store = store
        self._durable = durable
        self._resources = ExitStack()  # released by `close`
        self._closed = False
        self._is_stale = False  # memory is older than the database
        memory_bytes = physical_memory() // 2 if memory_bytes is None else memory_bytes
        self._settler = Settler(path, store, memory_bytes=memory_bytes, on_gpu=device == "cuda")
        self._writer = Writer(store.transaction, self._publish, self._no_longer)
        self._background = Background(
            lambda should_stop: self._settler.settle(self._writer, should_stop), self._settler.is_needed
        )
        self._background.start_if_needed()

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

        Raises `GalleryError` if the folder contains anything else, even a gallery. After an error, nothing is left.
        """
        with usable_folder(path):
            was_there = path.exists()
            make_folder(path)
        new = GalleryState(encoder_digest, embedding_size, index_kind)
        try:
            return cls._open(path, new=new, durable=durable, memory_bytes=memory_bytes, device=device)
        except BaseException:
            if not was_there:
                with suppress(OSError):  # it is not empty if another process uses it
                    path.rmdir()
            raise

    @classmethod
    def open(
        cls, path: Path, *, durable: bool = True, memory_bytes: int | None = None, device: Device = "cpu"
    ) -> "FaissGallery":
        """Open a gallery of any encoder. Every byte that is used is verified.

        Raises `GalleryError` if the folder is not a gallery, is damaged, or is open already.
        """
        if not (path / DATABASE_FILE).is_file():
            raise GalleryError(f"{path} is not a gallery: it has no {DATABASE_FILE}; check the path.")
        return cls._open(path, durable=durable, memory_bytes=memory_bytes, device=device)

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
        """Open a gallery that this encoder filled, or create it.

        Raises the errors of both, and `EncoderMismatchError`.
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
        ours = (encoder_digest, embedding_size)
        if (gallery.encoder_digest, gallery.embedding_size) == ours:
            return gallery
        gallery.close()
        raise filled_by_another_encoder(path, gallery.encoder_digest, gallery.embedding_size, ours=ours)

    @classmethod
    def _open(
        cls, path: Path, *, new: GalleryState | None = None, durable: bool, memory_bytes: int | None, device: Device
    ) -> "FaissGallery":
        with usable_folder(path), ExitStack() as undo:
            store = undo.enter_context(opened_store(path, new))
            try:
                gallery = cls(path, store, durable=durable, memory_bytes=memory_bytes, device=device)
            except BaseException:
                if new is not None:
                    remove_new_gallery(path)
                raise
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
        return self._settler.view.generation

    def __len__(self) -> int:
        return self._view_unless_closed().num_items

    def describe(self) -> Description:
        view = self._view_unless_closed()
        state = self._store.state
        return Description(
            encoder_digest=state.encoder_digest,
            embedding_size=state.embedding_size,
            metric="cosine",
            index_kind=state.index_kind,  # type: ignore[arg-type]
            serving_kind=view.serving_kind,
            is_building=self._background.is_busy,
            num_items=view.num_items,
            generation=view.generation,
            num_bytes=view.rows.vectors.num_bytes + (0 if view.index is None else view.index.num_bytes),
            durable=self._durable,
            unsuited_kind=self._settler.unsuited_kind,
            num_motions=state.num_motions or 0,
        )

    def upsert(self, items: Sequence[Item]) -> int:
        return self.upsert_soon(items).result()

    def upsert_soon(self, items: Sequence[Item]) -> Future[int]:
        """Do `upsert` in the background and return its generation as a future.

        The items are checked at once. They are written while the caller does something else.
        """
        places, vectors = check_items(items, self.embedding_size)
        now = self._current_view()
        if not items:
            unchanged: Future[int] = Future()
            unchanged.set_result(now.generation)
            return unchanged
        rows = [write_item(items[place], vector) for place, vector in zip(places, vectors, strict=True)]
        return self._writer.change_soon(lambda change: change.upsert(rows))

    def delete(self, ids: Sequence[str]) -> int:
        self._current_view()
        unique = list(dict.fromkeys(ids))
        return self._writer.change(lambda change: change.delete(unique)) if unique else 0

    def get(self, ids: Sequence[str]) -> list[Item]:
        return [read_item(row) for row in self._rows_of(ids)]

    def get_with_motions(self, ids: Sequence[str]) -> Iterator[Item]:
        return map(read_item, self._rows_of(ids, with_motions=True))

    def label_counts(self, where: Filter | None = None) -> dict[str, int]:
        view = self._current_view()
        passing = view.passing(where)
        mask = np.ones(view.num_rows, dtype=bool) if passing is None else passing.mask
        return view.columns.up_to(view.num_rows).label_counts(mask)

    def items(self, *, with_motions: bool = False) -> Iterator[Item]:
        self._current_view()
        # A motion takes more memory than the rest of its item.
        for rows in self._store.rows(with_motions=True, chunk=256) if with_motions else self._store.rows():
            yield from map(read_item, rows)

    def sample(self, most: int) -> Sample:
        view = self._current_view()
        return Sample(view.generation, view.num_items, view.sample(most))

    def search(
        self,
        queries: Float32[np.ndarray, "num_queries embedding_size"],
        *,
        top_k: int,
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> Sequence[list[Neighbour]]:
        queries = check_queries(queries, self.embedding_size, top_k=top_k)
        view = self._current_view()
        if not view.num_items:
            raise empty_gallery()
        with CORES.shared():
            return Answers(view.search(queries, top_k=top_k, where=where, effort=effort), view.rows)

    def num_compared(
        self,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
        where: Filter | None = None,
    ) -> int:
        return self._view_unless_closed().num_compared(effort, where)

    def settle(self, timeout_s: float = 3600.0) -> None:
        """Wait until the background work is done. Searches then use the index kind that was asked for.

        Raises `TimeoutError`, or `GalleryError` if the work failed.
        """
        self._background.wait(timeout_s)

    def close(self) -> None:
        """See `Gallery.close`. Background work is abandoned; it starts again at the next open."""
        self.close_within(None)

    def be_dropped(self, name: str | None) -> None:
        """Note the name by which the gallery is being dropped, before its files are moved; None if it was not."""
        self._store.dropped_as = name

    def begin_to_close(self) -> None:
        """Let calls raise `ClosedError` from now on, and ask background work to stop, without waiting for it.

        Of a gallery that is dropped, they raise `GalleryNotFoundError`.
        """
        self._closed = True
        self._background.stop()

    def close_within(self, timeout_s: float | None) -> bool:
        """Do `close`, but wait for background work no longer than this; return whether it has ended.

        If it has not, the folder stays locked until it has, or until the process ends.
        """
        self.begin_to_close()
        has_ended = self._background.ended(timeout_s)
        self._writer.close()
        if has_ended:
            self._resources.close()
        else:
            # Known before this returns, and until the folder is free.
            waiting = ExitStack()
            waiting.enter_context(still_closing(self._path))
            threading.Thread(target=self._close_later, args=(waiting,), name="gallery closing", daemon=True).start()
        return has_ended

    def _close_later(self, waiting: ExitStack) -> None:
        with waiting:
            self.close()

    def _rows_of(self, ids: Sequence[str], *, with_motions: bool = False) -> list[ItemRow]:
        self._current_view()
        found = self._store.rows_by_id(list(dict.fromkeys(ids)), with_motions=with_motions)
        check_found(ids, found)
        return [found[id] for id in ids]

    def _current_view(self) -> View:
        if self._is_stale:
            raise ClosedError("the gallery's memory could not follow its database; open the gallery again.")
        return self._view_unless_closed()

    def _view_unless_closed(self) -> View:
        if self._closed:
            raise self._no_longer()
        return self._settler.view

    def _no_longer(self) -> GfpError:
        """The error of calls to a gallery that is closed."""
        name = self._store.dropped_as
        return ClosedError("the gallery is closed; open it again.") if name is None else was_dropped(name)

    def _publish(self, change: Change) -> None:
        """Show a change that has become durable. Runs in the writer's thread."""
        if not (change.added or change.removed):
            return
        try:
            self._settler.publish(change)
        except BaseException:
            # Memory ran out, for example, and is now older than the database: no answer is better than a wrong one.
            self._is_stale = True
            raise
        self._background.start_if_needed()
