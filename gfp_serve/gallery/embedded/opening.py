"""What happens when a gallery is opened: its folder is locked, and what is on the disk is read into a `View`."""

import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.derived import Derived, read_derived
from gfp_serve.gallery.embedded.item_store import ItemStore, unfinished_databases
from gfp_serve.gallery.embedded.lock import LOCK_FILE, locked_folder
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState
from gfp_serve.gallery.embedded.sqlite_log import check_log
from gfp_serve.gallery.embedded.view import RowColumns, View

_log = logging.getLogger(__name__)


def make_folder(path: Path) -> None:
    """Make the folder of a new gallery, readable by its owner only.

    Raises `GalleryError` if it exists and contains anything that is not part of a gallery.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = {path / LOCK_FILE, path / DATABASE_FILE, *unfinished_databases(path)}
    foreign = sorted(file.name for file in path.iterdir() if file not in own)
    if foreign:
        raise GalleryError(
            f"{path} contains {foreign[0]!r}, which is not part of a gallery; name a new or an empty folder."
        )


@contextmanager
def opened_store(path: Path, new: GalleryState | None = None) -> Iterator[ItemStore]:
    """Lock a gallery's folder and open its database for the `with` block; make the database if `new` is given.

    Raises `GalleryError` if the gallery is open already, is damaged, or exists although it should be new.
    """
    writable = os.access(path, os.W_OK)
    with locked_folder(path):
        # Under the lock: if two processes create a gallery, the second must not replace the first one's.
        if new is not None and (path / DATABASE_FILE).exists():
            raise GalleryError(f"{path} contains a gallery already; open it, or name another folder.")
        try:
            if new is not None:
                ItemStore.create(path, new)
            check_log(path)
            store = ItemStore.open(path, read_only=not writable)
        except BaseException:
            if new is not None:
                remove_new_gallery(path)
            raise
        with closing(store):
            yield store


def remove_new_gallery(path: Path) -> None:
    """Remove what `opened_store` made for a new gallery that cannot be opened. Half a gallery would be in the way."""
    for name in (f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", DATABASE_FILE, LOCK_FILE):
        (path / name).unlink(missing_ok=True)


def read_view(path: Path, store: ItemStore) -> tuple[Derived | None, View]:
    """Read the derived files, and the items that came after them."""
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(store.check_structure)  # takes as long as the rest
        derived = read_derived(path, store.state)
        try:
            view = _view_of(store, derived)
        except GalleryError as error:
            if derived is None:
                raise
            _log.warning("%s It is tried again without %s.", error, derived.folder)
            view = _view_of(store, None)
            shutil.rmtree(derived.folder, ignore_errors=True)
            derived = None
        checked.result()
    return derived, view


def _view_of(store: ItemStore, derived: Derived | None) -> View:
    state = store.state
    rows, after, since = Rows(state.embedding_size), 0, state.generation
    if derived is not None:
        rows, after, since = derived.rows, derived.inventory.last_seq, derived.inventory.generation
        store.remember_removed_up_to = after
    for chunk in store.rows(after=after):
        rows.append(chunk)
    removed = np.zeros(rows.num_rows, dtype=bool)
    if derived is not None:
        removed[derived.removed] = True
        removed[rows.find(store.removed_since(since), rows.num_rows)] = True
    else:
        store.forget_removed(since)
    num_items = rows.num_rows - int(np.count_nonzero(removed))
    store.check_count(store.count())
    store.check_count(num_items)
    return View(
        generation=state.generation,
        rows=rows,
        columns=RowColumns(rows),
        num_rows=rows.num_rows,
        num_items=num_items,
        removed=removed,
        index=None if derived is None else derived.index,
    )
