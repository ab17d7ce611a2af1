"""Files that are made from a gallery's items, so that it opens at once: rows as arrays, vectors, and an index.

They stand in a folder `derived-GENERATION` beside the database, with a manifest of checksums. They are never the truth:
one that is missing, damaged, or of another gallery is made again.
"""

import json
import logging
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from gfp_serve.errors import GalleryError
from gfp_serve.files import sync_directory, sync_file
from gfp_serve.gallery.embedded.index import Index, ServingKind, read_index
from gfp_serve.gallery.embedded.item_store import GalleryState
from gfp_serve.gallery.embedded.rows import RowArrays, Rows

_log = logging.getLogger(__name__)

PREFIX = "derived-"
UNFINISHED = "derived.new"
MANIFEST = "manifest.json"
INDEX_FILE = "index.faiss"
_VECTORS_FILE = "vectors.f32"
_SEQS_FILE, _TEXTS_FILE, _ENDS_FILE, _REMOVED_FILE = "seqs.i64", "texts.utf8", "ends.i64", "removed.i64"
_FORMAT_VERSION = 1
_CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the files are of: rows [0, num_rows) of the gallery `uid` as it was at `generation`."""

    format_version: int
    uid: str
    generation: int
    last_seq: int
    num_rows: int
    embedding_size: int
    serving_kind: ServingKind
    looks: int  # see `index._tune`
    files: dict[str, list[int]]  # name -> bytes, crc32


@dataclass(frozen=True, slots=True)
class Derived:
    """What the files hold; arrays are mapped into memory and stay valid when the files are removed."""

    folder: Path
    manifest: Manifest
    rows: Rows
    removed: Int64[np.ndarray, " num_removed"]  # rows whose items were gone already
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
) -> Derived:
    """Write the files of a gallery's first rows as they were at `state`, and read them again."""
    folder = gallery / UNFINISHED
    shutil.rmtree(folder, ignore_errors=True)
    try:
        manifest = _write_files(folder, state, rows, num_rows, removed, index)
        finished = gallery / f"{PREFIX}{state.generation}"
        shutil.rmtree(finished, ignore_errors=True)
        folder.rename(finished)
    except BaseException:
        # On a full disk, items need the space more.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync_directory(gallery)
    return _open(finished, manifest)


def read_derived(gallery: Path, state: GalleryState) -> Derived | None:
    """The newest files that are sound and of this gallery; the rest is removed. None when there are none."""
    shutil.rmtree(gallery / UNFINISHED, ignore_errors=True)
    found: Derived | None = None
    for folder in folders_of(gallery):
        if found is None:
            try:
                found = _open(folder, check_derived(folder, state))
                continue
            except GalleryError as error:
                _log.warning("%s It is made again from the items.", error)
            except (OSError, ValueError, RuntimeError) as error:  # a broken disk; files of another release of FAISS
                _log.warning("%s cannot be read (%s). It is made again from the items.", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
    return found


def folders_of(gallery: Path) -> list[Path]:
    """Folders of derived files, the newest first."""
    found = [folder for folder in gallery.glob(f"{PREFIX}*") if folder.name.removeprefix(PREFIX).isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name.removeprefix(PREFIX)), reverse=True)


def check_derived(folder: Path, state: GalleryState) -> Manifest:
    """What the manifest says, after every byte was checked. Raises `GalleryError` that names the file."""
    manifest = _read_manifest(folder)
    if manifest.uid != state.uid or manifest.generation > state.generation:
        raise GalleryError(f"{folder} was made from another gallery, or from a later state of this one.")
    for name, (num_bytes, crc32) in manifest.files.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            raise GalleryError(f"{file} is missing.")
        if file.stat().st_size != num_bytes or _crc32_of(file) != crc32:
            raise GalleryError(f"{file} is damaged: its bytes are not those that were written.")
    return manifest


def remove_others(gallery: Path, keep: Path) -> None:
    """Remove all folders of derived files but this. What is mapped into memory stays valid."""
    for folder in folders_of(gallery):
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


def _write_files(
    folder: Path,
    state: GalleryState,
    rows: Rows,
    num_rows: int,
    removed: Int64[np.ndarray, " num_removed"],
    index: Index | None,
) -> Manifest:
    folder.mkdir(mode=0o700)
    arrays = rows.arrays(num_rows)
    written = {_SEQS_FILE: arrays.seqs, _TEXTS_FILE: arrays.texts, _ENDS_FILE: arrays.ends, _REMOVED_FILE: removed}
    for name, array in written.items():
        _write(folder / name, [array])
    if index is not None:
        index.write(folder / INDEX_FILE)
    kind: ServingKind = "exact" if index is None else index.kind
    if kind != "hnsw":  # its index holds them
        _write(folder / _VECTORS_FILE, (piece for _, piece in rows.vectors.pieces(0, num_rows)))
    files = {}
    for path in sorted(folder.iterdir()):
        path.chmod(0o600)
        sync_file(path)
        files[path.name] = [path.stat().st_size, _crc32_of(path)]
    manifest = Manifest(
        _FORMAT_VERSION,
        state.uid,
        state.generation,
        state.last_seq,
        num_rows,
        state.embedding_size,
        kind,
        0 if index is None else index.looks,
        files,
    )
    content = asdict(manifest)
    with (folder / MANIFEST).open("w") as file:
        json.dump(content | {"crc32": _crc32_of_json(content)}, file, indent=1)
    sync_file(folder / MANIFEST)
    sync_directory(folder)
    return manifest


def _read_manifest(folder: Path) -> Manifest:
    file = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
        crc32 = content.pop("crc32")
        manifest = Manifest(**content)
        sound = crc32 == _crc32_of_json(asdict(manifest)) and manifest.format_version == _FORMAT_VERSION
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise GalleryError(f"{file} is damaged: it cannot be read ({error}).") from error
    if not sound:
        raise GalleryError(f"{file} is damaged, or of another release.")
    return manifest


def _open(folder: Path, manifest: Manifest) -> Derived:
    size = manifest.embedding_size
    num_rows = manifest.num_rows
    arrays = RowArrays(
        _mapped(folder / _SEQS_FILE, np.dtype("<i8")),
        _mapped(folder / _TEXTS_FILE, np.dtype(np.uint8)),
        _mapped(folder / _ENDS_FILE, np.dtype("<i8")),
    )
    removed = _mapped(folder / _REMOVED_FILE, np.dtype("<i8"))
    if manifest.serving_kind == "hnsw":
        index = read_index("hnsw", folder / INDEX_FILE, None, manifest.looks)
        vectors = index.vectors  # type: ignore[attr-defined]
        return Derived(folder, manifest, Rows.of_arrays(vectors, arrays), removed, index)
    rows = Rows.of_arrays(_mapped(folder / _VECTORS_FILE, np.dtype("<f4")).reshape(num_rows, size), arrays)
    if manifest.serving_kind == "exact":
        return Derived(folder, manifest, rows, removed, None)
    index = read_index(manifest.serving_kind, folder / INDEX_FILE, rows.vectors, manifest.looks)
    return Derived(folder, manifest, rows, removed, index)


def _write(file: Path, arrays: Iterable[np.ndarray]) -> None:
    # Not with `tofile`: of a disk that gets full with the last bytes, numpy does not say a word.
    with file.open("wb") as opened:
        for array in arrays:
            opened.write(array.data)


def _mapped(file: Path, dtype: np.dtype[Any]) -> np.ndarray:
    if file.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.asarray(np.memmap(file, dtype=dtype, mode="r"))


def _crc32_of(file: Path) -> int:
    crc32 = 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32


def _crc32_of_json(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
