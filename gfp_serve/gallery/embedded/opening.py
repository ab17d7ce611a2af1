"""What a gallery begins with when it is opened: derived files, and the items that came after them."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.derived import Derived, read_derived
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.rows import Rows
from gfp_serve.gallery.embedded.view import RowColumns, Snapshot

_log = logging.getLogger(__name__)


def read_snapshot(path: Path, store: ItemStore) -> tuple[Derived | None, Snapshot]:
    """What is on the disk: derived files, and the items that they do not have."""
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(store.check)  # takes as long as the rest
        derived = read_derived(path, store.state)
        try:
            snapshot = _snapshot_of(path, store, derived)
        except GalleryError as error:
            if derived is None:
                raise
            _log.warning("%s Without %s it is tried again.", error, derived.folder)
            snapshot = _snapshot_of(path, store, None)
            shutil.rmtree(derived.folder, ignore_errors=True)
            derived = None
        checked.result()
    return derived, snapshot


def _snapshot_of(path: Path, store: ItemStore, derived: Derived | None) -> Snapshot:
    state = store.state
    rows, after, since = Rows(state.embedding_size), 0, state.generation
    if derived is not None:
        rows, after, since = derived.rows, derived.manifest.last_seq, derived.manifest.generation
        store.remember_up_to = after
    for chunk in store.rows(after=after):
        rows.append(chunk)
    removed = np.zeros(rows.num_rows, dtype=bool)
    if derived is not None:
        removed[derived.removed] = True
        removed[rows.rows_of(store.removed_since(since), rows.num_rows)] = True
    else:
        store.forget_removed(since)
    num_items = rows.num_rows - int(np.count_nonzero(removed))
    if not num_items == store.count() == state.num_items:
        raise GalleryError(
            f"the gallery {path} is damaged: it should hold {state.num_items} items and holds {store.count()}; restore "
            f"the folder from a snapshot, or keep what is sound with `gfp gallery repair`."
        )
    return Snapshot(
        generation=state.generation,
        rows=rows,
        columns=RowColumns(rows),
        num_rows=rows.num_rows,
        num_items=num_items,
        removed=removed,
        index=None if derived is None else derived.index,
    )
