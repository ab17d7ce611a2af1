"""Files made from a gallery's items so that it opens quickly: rows as arrays, vectors, and an index.

They lie in a folder `derived.GENERATION` beside the database, with an inventory of their checksums. They are never the
source of truth: files that are missing, damaged, or made from another gallery are made again.

Every byte is verified before it is used. `read_derived` verifies all files. When the next files are written, the rows
of the last ones are verified as they are copied, and its index before FAISS reads it; see `write_derived` and
`check_file`. In between, nothing is read again. So damage that comes while a gallery is open is not noticed at once,
and searches, which read mapped files, may return it. But it is noticed at the next open, and before it could be written
into the next files.
"""

import json
import logging
import secrets
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
from gfp_serve.gallery.embedded.copies import Copies
from gfp_serve.gallery.embedded.derived_check import (
    FORMAT_VERSION,
    INVENTORY_FILE,
    PREFIX,
    Inventory,
    check_derived,
    damaged,
    derived_folders,
    earlier_derived_folders,
)
from gfp_serve.gallery.embedded.distinct_index import DistinctIndex
from gfp_serve.gallery.embedded.hnsw import HnswIndex
from gfp_serve.gallery.embedded.ivf import IvfIndex
from gfp_serve.gallery.embedded.rows import RowArrays, Rows
from gfp_serve.gallery.embedded.schema import GalleryState
from gfp_serve.items import ServingKind

_log = logging.getLogger(__name__)

# While they are written, the folder's name begins with this. Each has a name of its own: if a gallery is dropped while
# they are written, and another gets its name, the files do not mix.
UNFINISHED = "derived.new"
INDEX_FILE = "index.faiss"
_VECTORS_FILE = "vectors.f32"
_SEQS_FILE, _TEXTS_FILE, _ENDS_FILE, _REMOVED_FILE = "seqs.i64", "texts.utf8", "ends.i64", "removed.i64"
# With an index: the number of each row's vector, if some are equal, and the vectors that it does not find.
_COPIES_FILE, _MISSED_FILE = "copies.i64", "missed.i64"


@dataclass(frozen=True, slots=True)
class Derived:
    """The content of the files. Arrays are mapped into memory and stay valid when the files are removed."""

    folder: Path
    inventory: Inventory
    rows: Rows
    removed: Int64[np.ndarray, " num_removed"]  # rows whose items were removed before the files were written
    index: DistinctIndex | None

    @property
    def index_file(self) -> Path:
        return self.folder / INDEX_FILE


def write_derived(
    gallery: Path,
    state: GalleryState,
    rows: Rows,
    num_rows: int,
    removed: Int64[np.ndarray, " num_removed"],
    index: DistinctIndex | None,
    *,
    unsuited: tuple[ServingKind, int] | None = None,
    before: Derived | None = None,
) -> Derived:
    """Write the files of a gallery's first rows, as they were at `state`, and map them into memory.

    `unsuited` is the kind of index that did not suit this many items, if that is why there is none.

    `before` are earlier files whose rows are the first of these rows. Those rows are verified while they are copied.
    Raises `GalleryError` that names the earlier file if they are damaged; otherwise damage would get a new checksum.
    """
    folder = gallery / f"{UNFINISHED}-{secrets.token_hex(4)}"
    try:
        inventory = _write_files(folder, state, rows, num_rows, removed, index, unsuited, before)
        finished = gallery / f"{PREFIX}{state.generation}"
        if folder.exists():  # see UNFINISHED
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
    for leftover in (*gallery.glob(f"{UNFINISHED}*"), *earlier_derived_folders(gallery)):
        shutil.rmtree(leftover, ignore_errors=True)
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
    index: DistinctIndex | None,
    unsuited: tuple[ServingKind, int] | None,
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
    if index is None or not _holds_all_vectors(kind, index.copies):
        pieces[_VECTORS_FILE] = (piece for _, piece in rows.vectors.pieces(0, num_rows))
    files = {}
    for name, its_pieces in pieces.items():
        num_bytes, crc32 = (0, 0) if before is None else before.inventory.files.get(name, (0, 0))
        earlier = None if before is None else (before.folder / name, num_bytes, crc32)
        files[name] = _write_arrays(folder / name, its_pieces, earlier)
    files[_REMOVED_FILE] = _write_arrays(folder / _REMOVED_FILE, [removed])
    if index is not None:
        if index.copies is not None:
            files[_COPIES_FILE] = _write_arrays(folder / _COPIES_FILE, [index.copies.number_of_row])
        files[_MISSED_FILE] = _write_arrays(folder / _MISSED_FILE, [index.missed])
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
        *(unsuited or ()),
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
    kind = inventory.serving_kind
    copies = Copies(_mapped(folder / _COPIES_FILE, np.dtype("<i8"))) if _COPIES_FILE in inventory.files else None
    hnsw = HnswIndex.read(folder / INDEX_FILE, inventory.default_effort) if kind == "hnsw" else None
    if hnsw is not None and _holds_all_vectors(kind, copies):
        vectors = hnsw.vectors
    else:
        vectors = _mapped(folder / _VECTORS_FILE, np.dtype("<f4")).reshape(num_rows, size)
    rows = Rows.from_arrays(vectors, arrays)
    if kind == "exact":
        return Derived(folder, inventory, rows, removed, None)
    first_rows = None if copies is None else copies.first_rows
    missed = np.array(_mapped(folder / _MISSED_FILE, np.dtype("<i8")))
    index = DistinctIndex(
        inner=hnsw or IvfIndex.read(kind, folder / INDEX_FILE, rows.vectors, first_rows, inventory.default_effort),
        copies=copies,
        missed=missed,
        missed_vectors=rows.vectors.take(missed if first_rows is None else first_rows[missed]),
    )
    return Derived(folder, inventory, rows, removed, index)


def _holds_all_vectors(kind: ServingKind, copies: Copies | None) -> bool:
    """Whether an index contains the vector of every row, so that they are not written beside it."""
    return kind == "hnsw" and copies is None


def _mapped(file: Path, dtype: np.dtype[Any]) -> np.ndarray:
    if file.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(file, dtype=dtype, mode="r"))
