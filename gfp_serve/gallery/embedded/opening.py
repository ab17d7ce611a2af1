"""What happens when a gallery is opened: its folder is locked, and what is on the disk is read into a `View`."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.derived import Derived, read_derived
from gfp_serve.gallery.embedded.item_store import ItemStore, unfinished_databases
from gfp_serve.gallery.embedded.lock import LOCK_FILE, locked_folder
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState
from gfp_serve.gallery.embedded.sqlite_log import check_log
from gfp_serve.gallery.embedded.view import RowColumns, View

_log = logging.getLogger(__name__)

# Vectors that take more than this are not held in memory when derived files are lacking: after an upgrade or a restored
# backup that may be so for all galleries at once.
_MOST_IN_MEMORY = 2**28


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
        checked = pool.submit(store.check_structure, with_motions=False)  # takes as long as the rest
        derived = read_derived(path, store.state)
        try:
            view = _view_of(path, store, derived)
        except GalleryError as error:
            if derived is None:
                raise
            _log.warning("%s It is tried again without %s.", error, derived.folder)
            view = _view_of(path, store, None)
            shutil.rmtree(derived.folder, ignore_errors=True)
            derived = None
        checked.result()
    return derived, view


def room_on_disk(path: Path, store: ItemStore) -> Float32[np.ndarray, "_rows embedding_size"] | None:
    """Room for the vectors of a large gallery in a file without a name, which is gone when nobody uses it.

    None if they take little memory, or if the disk does not have the room.
    """
    state = store.state
    # The database has the vectors too, so it is as large as they are. What it says of itself may be wrong.
    num_rows = min(state.num_items, store.num_bytes // (4 * max(1, state.embedding_size)))
    num_bytes = 4 * num_rows * state.embedding_size
    if num_bytes <= _MOST_IN_MEMORY or store.is_read_only:
        return None
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            # Not only as a hole: writing to mapped memory that the disk has no room for would end the process.
            os.posix_fallocate(file.fileno(), 0, num_bytes)
            return np.asarray(np.memmap(file, "<f4", "r+", shape=(num_rows, state.embedding_size)))
    except OSError as error:
        _log.warning("the %d items of %s are read into memory (%s)", state.num_items, path, error.strerror)
        return None


def _view_of(path: Path, store: ItemStore, derived: Derived | None) -> View:
    state = store.state
    after, since = 0, state.generation
    if derived is None:
        rows = Rows(state.embedding_size, room_on_disk(path, store))
    else:
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
