"""Settling a gallery: an index and derived files are made in the background from what was written since the last time.

Meanwhile, searches go on with the rows and the index that they have. When the new ones are ready, they take over.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Bool

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.build_queue import BUILDS
from gfp_serve.gallery.embedded.change import Change
from gfp_serve.gallery.embedded.derived import INDEX_FILE, Derived, remove_others, write_derived
from gfp_serve.gallery.embedded.derived_check import check_derived, check_file
from gfp_serve.gallery.embedded.distinct_index import DistinctIndex
from gfp_serve.gallery.embedded.file_room import check_files_of_derived
from gfp_serve.gallery.embedded.gpu import copy_to_gpu
from gfp_serve.gallery.embedded.index import Index, choose_kind
from gfp_serve.gallery.embedded.index_building import Unsuited, extend_index, make_index
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.opening import read_view, room_on_disk
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.embedded.schema import GalleryState
from gfp_serve.gallery.embedded.view import RowColumns, View
from gfp_serve.gallery.embedded.writer import Writer
from gfp_serve.items import ServingKind

_log = logging.getLogger(__name__)

# The derived files are written again when at least this many rows came after them, and this share of all rows. Fewer
# rows are read from the items in a tenth of a second at the next open. Rows that came after the index are searched one
# by one, which soon takes longer than the index, so the share is lower with one.
_NEW_ROWS, _NEW_SHARE, _NEW_SHARE_WITHOUT_INDEX = 8192, 0.01, 0.1
# The same for rows whose items were removed: they are then dropped from memory. Without an index that costs one copy,
# and many such rows slow down searches with many queries.
_REMOVED_ROWS, _REMOVED_SHARE, _REMOVED_SHARE_WITHOUT_INDEX = 1024, 1 / 8, 1 / 64
_ROWS_AT_ONCE = 65536
# A kind of index that missed too much is tried again when there are this many times as many items.
_TRY_AGAIN_ABOVE, _TRY_AGAIN_BELOW = 1.5, 0.5


# A kind of index that missed too much, and the number of items that it was made of.
_TooMuchMissed = tuple[ServingKind, int]


@dataclass(slots=True)
class _Made:
    """Rows and an index that can take over from those that are served; `removed` says which rows are gone already."""

    rows: Rows
    removed: Bool[np.ndarray, " num_rows"]
    index: Index | None
    unsuited: _TooMuchMissed | None
    derived: Derived | None = None


class Settler:
    """Holds the view that searches run on, and makes indexes and derived files for it.

    `publish` shows changes and `settle` replaces rows and index; both run in the writer's thread, so a plain attribute
    holds the view. Searches read it without a lock.
    """

    def __init__(self, folder: Path, store: ItemStore, *, memory_bytes: int, on_gpu: bool) -> None:
        self._folder = folder
        self._store = store
        self._memory_bytes = memory_bytes
        self._on_gpu = on_gpu
        # Derived files whose rows are the first rows of the view. None if there are none.
        self._derived, view = read_view(folder, store)
        self.view = replace(view, index=self._on_device(view.index, view.rows))
        self._unsuited: _TooMuchMissed | None = None
        if self._derived is not None and self._derived.inventory.unsuited_kind:
            self._unsuited = (self._derived.inventory.unsuited_kind, self._derived.inventory.unsuited_items)

    def publish(self, change: Change) -> None:
        """Show a change that has become durable."""
        now = self.view
        now.rows.append(change.added)
        self.view = now.after(change)

    def is_needed(self) -> bool:
        now = self.view
        num_new = now.num_rows - (0 if self._derived is None else self._derived.inventory.num_rows)
        share = _NEW_SHARE_WITHOUT_INDEX if now.index is None else _NEW_SHARE
        must_write = num_new > max(_NEW_ROWS, share * now.num_rows) and not self._store.is_read_only
        return self._wanted_kind(now.num_items) != now.serving_kind or must_write or self._must_drop_removed(now)

    @property
    def unsuited_kind(self) -> ServingKind | None:
        """The kind of index that is not used, because it missed too much. Searches compare with every item instead."""
        now = self.view
        if self._unsuited is None or now.serving_kind != "exact":
            return None
        kind, _ = self._unsuited
        return kind if self._chosen_kind(now.num_items) == kind else None

    def settle(self, writer: Writer[Change], should_stop: Callable[[], bool]) -> None:
        """Make the index and the files for the rows that are there now, and let them take over.

        Raises `GalleryError` if too few files may be opened for them.
        """
        with BUILDS.turn(self.view.rows.vectors.num_bytes, should_stop) as is_ours:
            if is_ours and not should_stop():
                self._settle(writer, should_stop)

    def _settle(self, writer: Writer[Change], should_stop: Callable[[], bool]) -> None:
        if self._derived is None and not self._store.is_read_only:
            check_files_of_derived(f"the gallery {self._folder} cannot have an index now", GalleryError)
        now, state = writer.run_between_changes(self._begin)
        try:
            made = self._make_from_memory(now, state, should_stop)
        except GalleryError as error:
            _log.warning("%s It is made again from the items.", error)
            # Not from memory: derived files are mapped into it, and their damage would get a checksum of its own.
            made = self._make_from_items(state, should_stop)
        if should_stop():
            return
        made.index = self._on_device(made.index, made.rows)
        writer.run_between_changes(lambda: self._take_over(now, state, made))
        if made.derived is not None:
            remove_others(self._folder, made.derived.folder)

    def _begin(self) -> tuple[View, GalleryState]:
        # Removals must be remembered from here on, whether files are written in the end or not.
        self._store.remember_removed_up_to = self._store.state.last_seq
        return self.view, self._store.state

    def _make_from_memory(self, now: View, state: GalleryState, should_stop: Callable[[], bool]) -> _Made:
        """Make them from the rows in memory. Raises `GalleryError` if a derived file that is used for it is damaged."""
        kind = self._wanted_kind(now.num_items)
        before = self._derived
        if self._must_drop_removed(now):
            if before is not None:
                check_derived(before.folder, state)  # rows are picked one by one from all files
            kept = np.flatnonzero(~now.removed)
            rows = Rows(state.embedding_size)
            for start in range(0, len(kept), _ROWS_AT_ONCE):
                rows.extend(now.rows, kept[start : start + _ROWS_AT_ONCE])
            index = make_index(kind, rows.vectors, rows.num_rows, should_stop=should_stop)
            return self._write(state, self._made(rows, np.zeros(len(kept), dtype=bool), index), None, should_stop)
        vectors, num_rows = now.rows.vectors, now.num_rows
        if before is not None and before.index is not None and before.index.kind == kind:
            check_file(before.folder, before.inventory, INDEX_FILE)
            index = extend_index(before.index_file, before.index, vectors, num_rows, should_stop=should_stop)
        else:
            if kind != "exact" and before is not None:
                check_derived(before.folder, state)  # the index is made of their vectors
            index = make_index(kind, vectors, num_rows, should_stop=should_stop)
        return self._write(state, self._made(now.rows, now.removed, index), before, should_stop)

    def _make_from_items(self, state: GalleryState, should_stop: Callable[[], bool]) -> _Made:
        rows = Rows(state.embedding_size, room_on_disk(self._folder, self._store))
        for chunk in self._store.rows(up_to=state.last_seq):
            rows.append(chunk)
        index = make_index(self._wanted_kind(rows.num_rows), rows.vectors, rows.num_rows, should_stop=should_stop)
        return self._write(state, self._made(rows, np.zeros(rows.num_rows, dtype=bool), index), None, should_stop)

    def _made(
        self, rows: Rows, removed: Bool[np.ndarray, " num_rows"], index: DistinctIndex | Unsuited | None
    ) -> _Made:
        if isinstance(index, Unsuited):
            _log.warning("the gallery %s is searched exactly: %s", self._folder, index.reason)
            return _Made(rows, removed, None, (index.kind, len(removed) - int(np.count_nonzero(removed))))
        # Without an index, the reason for that stays.
        return _Made(rows, removed, index, self._unsuited if index is None else None)

    def _write(
        self, state: GalleryState, made: _Made, before: Derived | None, should_stop: Callable[[], bool]
    ) -> _Made:
        """Write derived files if that is worth it, and return the rows and the index that the files contain."""
        num_rows = len(made.removed)
        is_worth_it = made.index is not None or made.unsuited != self._unsuited or num_rows > _NEW_ROWS
        # A copy on a GPU is made later, of what the files contain.
        index = cast(DistinctIndex | None, made.index)
        if is_worth_it and not self._store.is_read_only and not should_stop():
            removed = np.flatnonzero(made.removed)
            made.derived = write_derived(
                *(self._folder, state, made.rows, num_rows, removed, index),
                unsuited=made.unsuited,
                before=before,
            )
            made.rows, made.index = made.derived.rows, made.derived.index
        return made

    def _take_over(self, then: View, state: GalleryState, made: _Made) -> None:
        """Let rows and index that were made from `then` replace those that are served."""
        now = self.view
        rows, num_rows, removed = made.rows, len(made.removed), now.removed
        if rows is not now.rows:
            came = np.arange(then.num_rows, now.num_rows)
            rows.extend(now.rows, came[~now.removed[came]])
            went = np.flatnonzero(now.removed[: then.num_rows] & ~then.removed)
            removed = np.zeros(rows.num_rows, dtype=bool)
            removed[:num_rows] = made.removed
            removed[rows.find(now.rows.seqs(now.num_rows)[went], rows.num_rows)] = True
        self.view = replace(
            now,
            rows=rows,
            columns=now.columns if rows is now.rows else RowColumns(rows),
            num_rows=rows.num_rows,
            removed=removed,
            index=made.index,
        )
        self._unsuited = made.unsuited
        if made.derived is not None:
            self._derived = made.derived
            self._store.forget_removed(state.generation)
        elif rows is not now.rows:
            self._derived = None

    def _must_drop_removed(self, now: View) -> bool:
        share = _REMOVED_SHARE if now.index is not None else _REMOVED_SHARE_WITHOUT_INDEX
        return now.num_rows - now.num_items > max(_REMOVED_ROWS, share * now.num_rows)

    def _wanted_kind(self, num_items: int) -> ServingKind:
        kind = self._chosen_kind(num_items)
        if self._unsuited is not None and kind == self._unsuited[0]:
            share = num_items / self._unsuited[1]
            return "exact" if _TRY_AGAIN_BELOW <= share <= _TRY_AGAIN_ABOVE else kind
        return kind

    def _chosen_kind(self, num_items: int) -> ServingKind:
        state = self._store.state
        return choose_kind(state.index_kind, num_items, state.embedding_size, self._memory_bytes, on_gpu=self._on_gpu)

    def _on_device(self, index: Index | None, rows: Rows) -> Index | None:
        return copy_to_gpu(index, rows.vectors, rows.num_rows) if self._on_gpu else index
