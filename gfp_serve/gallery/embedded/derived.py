"""Files made from a gallery's items so that it opens quickly: rows as arrays, vectors, and an index.

They lie in a folder `derived-GENERATION` beside the database, with an inventory of their checksums. They are never the
source of truth: files that are missing, damaged, or made from another gallery are made again.

Every byte is verified before it is used. `read_derived` verifies all files. When the next files are written, the rows
of the last ones are verified as they are copied, and its index before FAISS reads it; see `write_derived` and
`check_file`. In between, nothing is read again. So damage that comes while a gallery is open is not noticed at once,
and searches, which read mapped files, may return it. But it is noticed at the next open, and before it could be written
into the next files.
"""

import json
import logging
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int64

from gfp_serve.errors import GalleryError
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.gallery.embedded.derived_check import (
    FORMAT_VERSION,
    INVENTORY_FILE,
    PREFIX,
    Inventory,
    check_derived,
    damaged,
    derived_folders,
)
from gfp_serve.gallery.embedded.hnsw import HnswIndex
from gfp_serve.gallery.embedded.index import Index
from gfp_serve.gallery.embedded.ivf import IvfIndex
from gfp_serve.gallery.embedded.rows import RowArrays, Rows
from gfp_serve.gallery.embedded.schema import GalleryState
from gfp_serve.items import ServingKind

_log = logging.getLogger(__name__)

UNFINISHED_FOLDER = "derived.new"
INDEX_FILE = "index.faiss"
_VECTORS_FILE = "vectors.f32"
_SEQS_FILE, _TEXTS_FILE, _ENDS_FILE, _REMOVED_FILE = "seqs.i64", "texts.utf8", "ends.i64", "removed.i64"


@dataclass(frozen=True, slots=True)
class Derived:
    """The content of the files. Arrays are mapped into memory and stay valid when the files are removed."""

    folder: Path
    inventory: Inventory
    rows: Rows
    removed: Int64[np.ndarray, " num_removed"]  # rows whose items were removed before the files were written
    index: Index | None

    @property
    def index_file(self) -> Path:
        return self.folder / INDEX_FILE


def write_derived(
    gallery: Path,
    state: GalleryState,
    rows: Rows,
    num_rows: int,
    removed: Int64[np.ndarray, " num_removed"],
    index: Index | None,
    *,
    before: Derived | None = None,
) -> Derived:
    """Write the files of a gallery's first rows, as they were at `state`, and map them into memory.

    `before` are earlier files whose rows are the first of these rows. Those rows are verified while they are copied.
    Raises `GalleryError` that names the earlier file if they are damaged; otherwise damage would get a new checksum.
    """
    folder = gallery / UNFINISHED_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        inventory = _write_files(folder, state, rows, num_rows, removed, index, before)
        finished = gallery / f"{PREFIX}{state.generation}"
        shutil.rmtree(finished, ignore_errors=True)
        folder.rename(finished)
    except BaseException:
        # On a full disk, new items need the space.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync_directory(gallery)
    return _open(finished, inventory)


def read_derived(gallery: Path, state: GalleryState) -> Derived | None:
    """Map the newest undamaged files of this gallery into memory and remove all others. None if there are none."""
    shutil.rmtree(gallery / UNFINISHED_FOLDER, ignore_errors=True)
    found: Derived | None = None
    for folder in derived_folders(gallery):
        if found is None:
            try:
                found = _open(folder, check_derived(folder, state))
                continue
            except GalleryError as error:
                _log.warning("%s It is made again from the items.", error)
            except (OSError, ValueError, RuntimeError) as error:  # a broken disk; files of another FAISS release
                _log.warning("%s cannot be read (%s). It is made again from the items.", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
    return found


def remove_others(gallery: Path, keep: Path) -> None:
    """Remove all folders of derived files except this one. What is mapped into memory stays valid."""
    for folder in derived_folders(gallery):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


def _write_files(
    folder: Path,
    state: GalleryState,
    rows: Rows,
    num_rows: int,
    removed: Int64[np.ndarray, " num_removed"],
    index: Index | None,
    before: Derived | None,
) -> Inventory:
    folder.mkdir(mode=0o700)
    arrays = rows.arrays(num_rows)
    pieces: dict[str, Iterable[np.ndarray]] = {
        _SEQS_FILE: [arrays.seqs],
        _TEXTS_FILE: [arrays.texts],
        _ENDS_FILE: [arrays.ends],
    }
    kind: ServingKind = "exact" if index is None else index.kind
    if kind != "hnsw":  # its index contains the vectors
        pieces[_VECTORS_FILE] = (piece for _, piece in rows.vectors.pieces(0, num_rows))
    files = {}
    for name, its_pieces in pieces.items():
        num_bytes, crc32 = (0, 0) if before is None else before.inventory.files.get(name, (0, 0))
        earlier = None if before is None else (before.folder / name, num_bytes, crc32)
        files[name] = _write_arrays(folder / name, its_pieces, earlier)
    files[_REMOVED_FILE] = _write_arrays(folder / _REMOVED_FILE, [removed])
    if index is not None:
        # Not by its name: FAISS does not report a disk that becomes full with the last bytes.
        with (folder / INDEX_FILE).open("wb") as opened:
            file = _SummedFile(opened)
            index.write(file.write)
        files[INDEX_FILE] = [file.num_bytes, file.crc32]
    inventory = Inventory(
        FORMAT_VERSION,
        state.uid,
        state.generation,
        state.last_seq,
        num_rows,
        state.embedding_size,
        kind,
        0 if index is None else index.default_effort,
        dict(sorted(files.items())),
    )
    (folder / INVENTORY_FILE).write_text(json.dumps(inventory.to_json(), indent=1))
    for path in folder.iterdir():
        path.chmod(0o600)
        sync_file(path)
    sync_directory(folder)
    return inventory


def _write_arrays(file: Path, arrays: Iterable[np.ndarray], earlier: tuple[Path, int, int] | None = None) -> list[int]:
    """Write arrays one after the other; return the number of bytes and their crc32.

    If the arrays begin with the content of an `earlier` file, with these bytes and this crc32, it is verified.
    """
    earlier_file, num_known, expected = earlier or (file, 0, 0)
    # Not with `tofile`: numpy does not report a disk that becomes full with the last bytes.
    with file.open("wb") as opened:
        written = _SummedFile(opened)
        for array in arrays:
            content = array.reshape(-1).view(np.uint8)
            split = max(0, num_known - written.num_bytes)
            written.write(content[:split].data)
            if split and written.num_bytes == num_known and written.crc32 != expected:
                raise damaged(earlier_file)
            written.write(content[split:].data)
    return [written.num_bytes, written.crc32]


class _SummedFile:
    """Counts the bytes that are written to a file, and sums them up."""

    def __init__(self, file: BinaryIO) -> None:
        self.num_bytes = self.crc32 = 0
        self._file = file

    def write(self, content: bytes | memoryview) -> int:
        num_bytes = self._file.write(content)
        self.num_bytes += num_bytes
        self.crc32 = zlib.crc32(content, self.crc32)
        return num_bytes


def _open(folder: Path, inventory: Inventory) -> Derived:
    size = inventory.embedding_size
    num_rows = inventory.num_rows
    arrays = RowArrays(
        _mapped(folder / _SEQS_FILE, np.dtype("<i8")),
        _mapped(folder / _TEXTS_FILE, np.dtype(np.uint8)),
        _mapped(folder / _ENDS_FILE, np.dtype("<i8")),
    )
    removed = _mapped(folder / _REMOVED_FILE, np.dtype("<i8"))
    if inventory.serving_kind == "hnsw":
        hnsw = HnswIndex.read(folder / INDEX_FILE, inventory.default_effort)
        return Derived(folder, inventory, Rows.from_arrays(hnsw.vectors, arrays), removed, hnsw)
    rows = Rows.from_arrays(_mapped(folder / _VECTORS_FILE, np.dtype("<f4")).reshape(num_rows, size), arrays)
    if inventory.serving_kind == "exact":
        return Derived(folder, inventory, rows, removed, None)
    ivf = IvfIndex.read(inventory.serving_kind, folder / INDEX_FILE, rows.vectors, inventory.default_effort)
    return Derived(folder, inventory, rows, removed, ivf)


def _mapped(file: Path, dtype: np.dtype[Any]) -> np.ndarray:
    if file.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(file, dtype=dtype, mode="r"))
