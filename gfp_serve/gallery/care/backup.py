"""Snapshots: a gallery's database in one file, as it was at one moment, with its SHA-256 beside it.

`FILE.sha256` is in the format of `sha256sum`, which verifies it too.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gfp_serve.errors import GalleryError, InvalidRequestError
from gfp_serve.files import replacing, sync_directory, write_whole
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.item_store import (
    DATABASE_FILE,
    GalleryState,
    ItemStore,
    peek,
)
from gfp_serve.gallery.embedded.lock import locked_folder
from gfp_serve.gallery.protocols import check_name
from gfp_serve.items import DEFAULT_GALLERY

# Below the folder of `gfp-serve --gallery`. No gallery can have this name, and dropping one leaves its snapshots.
_FOLDER = "_snapshots"
_ENDING = ".sqlite"


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One snapshot; `state` is None when it cannot be read, and `created` is when the file was written, UTC."""

    file: Path
    gallery: str
    name: str
    created: datetime
    num_bytes: int
    state: GalleryState | None


def snapshot_file(root: Path, gallery: str, name: str) -> Path:
    """Where a snapshot of this name lies. Raises `InvalidRequestError` for what is no name."""
    check_name(gallery)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InvalidRequestError(
            f"{name[:120]!r} is no name for a snapshot; use 1 to 100 letters, digits, '.', '-' and '_', a letter or a "
            f"digit first, or name a file with --out."
        )
    return root / _FOLDER / gallery / f"{name}{_ENDING}"


def create_snapshot(folder: Path, file: Path) -> GalleryState:
    """Write the gallery in `folder` into a new file, as it is now; also while a server has it open.

    Every item is verified on the way. Raises `GalleryError` when the gallery is damaged or the file is there already.
    """
    if file.exists():
        raise GalleryError(f"{file} exists already, and snapshots are not replaced; choose another name.")
    for missing in reversed([parent for parent in file.parents if not parent.exists()]):
        missing.mkdir(mode=0o700)
    with replacing(file, mode=0o600) as unfinished:  # it holds motion of people; SQLite fills the empty file
        with closing(ItemStore.beside(folder)) as store:
            store.copy_to(unfinished)
        try:
            state = _verified(unfinished)
        except GalleryError as error:
            raise GalleryError(
                f"the gallery {folder} is damaged, so no snapshot was made; `gfp gallery check` names all that is "
                f"wrong ({error})"
            ) from error
        write_whole(_digest_file(file), f"{_sha256_of(unfinished)}  {file.name}\n")
    return state


def list_snapshots(root: Path) -> list[SnapshotFile]:
    """The snapshots of all galleries, by gallery and time. They are not verified."""
    found = [_described(file) for file in (root / _FOLDER).glob(f"*/*{_ENDING}")]
    return sorted(found, key=lambda each: (each.gallery, each.created, each.name))


def verify_snapshot(file: Path) -> GalleryState:
    """What a snapshot holds, once every byte and every item was verified. Raises `GalleryError` that names the file."""
    digest = _written_digest(file)
    if _sha256_of(file) != digest:
        raise GalleryError(f"{file} is damaged: its SHA-256 is not that in {_digest_file(file)}; use another snapshot.")
    return _verified(file)


def restore_snapshot(file: Path, root: Path, name: str = DEFAULT_GALLERY) -> GalleryState:
    """Make the gallery ROOT/NAME from a snapshot; its folder must be new or empty.

    Raises `GalleryError` when the snapshot is damaged or the folder is neither; nothing is made then.
    """
    check_name(name)
    folder = gallery_folder(root, name)
    if folder.exists() and any(folder.iterdir()):
        raise GalleryError(
            f"{folder} is not empty, and nothing is replaced by restoring; choose another folder, or another name with "
            f"--gallery."
        )
    state = verify_snapshot(file)
    for new in (root, folder):
        if not new.exists():
            new.mkdir(mode=0o700, parents=True)
    with _taken(folder), replacing(folder / DATABASE_FILE, mode=0o600) as unfinished:
        shutil.copyfile(file, unfinished)
        if _sha256_of(unfinished) != _written_digest(file):
            raise GalleryError(f"the copy of {file} in {folder} is not as it was written; look at the disk.")
    sync_directory(root)
    return state


def _described(file: Path) -> SnapshotFile:
    about = file.stat()
    try:
        state = peek(file)
    except GalleryError:
        state = None
    created = datetime.fromtimestamp(about.st_mtime, UTC)
    return SnapshotFile(file, file.parent.name, file.name.removesuffix(_ENDING), created, about.st_size, state)


def _verified(file: Path) -> GalleryState:
    with closing(ItemStore.beside(file)) as store:
        store.check()
        store.verify_items()
        return store.state


def _digest_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _written_digest(file: Path) -> str:
    if not file.is_file():
        raise GalleryError(f"there is no snapshot {file}; `gfp gallery snapshot list` shows those of a folder.")
    beside = _digest_file(file)
    if not beside.is_file():
        raise GalleryError(
            f"{beside} is missing, which tells whether {file.name} is as it was written; bring both files."
        )
    found = re.match(r"([0-9a-f]{64}) ", beside.read_text(errors="replace"))
    if found is None:
        raise GalleryError(f"{beside} is damaged: it does not begin with a SHA-256 and a space.")
    return found[1]


def _sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    with locked_folder(folder):
        if (folder / DATABASE_FILE).exists():
            raise GalleryError(f"{folder} holds a gallery already; choose another folder.")
        yield
