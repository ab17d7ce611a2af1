"""Snapshots: a gallery's database in one file, as it was at one moment, with its SHA-256 in a second file.

`FILE.sha256` has the format of `sha256sum`, which can verify it too.
"""

import hashlib
import io
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gfp_serve.errors import (
    ClosedError,
    GalleryError,
    InvalidRequestError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    quoted,
)
from gfp_serve.files import (
    MAX_SMALL_FILE_BYTES,
    open_ordinary,
    read_ordinary,
    replacing,
    sync_directory,
    write_whole,
)
from gfp_serve.gallery.care.repair import Repair, repair_gallery
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.item_store import ItemStore, OnUnfit, peek
from gfp_serve.gallery.embedded.lock import locked_folder
from gfp_serve.gallery.embedded.schema import DATABASE_FILE, GalleryState, ItemRow
from gfp_serve.gallery.protocols import check_name
from gfp_serve.items import DEFAULT_GALLERY

_log = logging.getLogger(__name__)

# Below the folder of `gfp-serve --gallery`. No gallery can have this name, and dropping a gallery keeps its snapshots.
_FOLDER = "_snapshots"
_ENDING = ".sqlite"
# Read, hashed and written between two questions whether to stop: some hundredths of a second of a slow disk.
_PIECE_BYTES = 2**22


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One snapshot. `state` is None if it cannot be read; `created` is when the file was written, in UTC.

    `sha256` is what the file beside it says, or empty if that is missing or damaged.
    """

    file: Path
    gallery: str
    name: str
    created: datetime
    num_bytes: int
    sha256: str
    state: GalleryState | None


def snapshot_file(root: Path, gallery: str, name: str) -> Path:
    """The file of a snapshot with this name. Raises `InvalidRequestError` for an invalid name."""
    check_name(gallery)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InvalidRequestError(
            f"{name[:120]!r} is not a valid snapshot name; use 1 to 100 letters, digits, '.', '-' and '_', beginning "
            f"with a letter or digit."
        )
    return root / _FOLDER / gallery / f"{name}{_ENDING}"


def create_snapshot(folder: Path, file: Path, *, should_stop: Callable[[], bool] = _never) -> GalleryState:
    """Write the gallery in `folder` into a new file, as it is now, even while a server has it open.

    Every item is verified. Items that an upsert would refuse today, which an earlier release took, are kept as they
    are, and the log says so. Raises `GalleryError` if the gallery is damaged, `SnapshotExistsError` if the file exists
    already, and `ClosedError` when `should_stop` says so. It is asked often, also while SQLite works.
    """
    _refuse_existing(file)
    for missing in reversed([parent for parent in file.parents if not parent.exists()]):
        missing.mkdir(mode=0o700)
    # Motion of people: only the owner may read it.
    with replacing(file, mode=0o600) as unfinished:
        with _stopped_when(should_stop), closing(ItemStore.open_for_reading(folder)) as store:
            store.stop_when(should_stop)
            store.copy_to(unfinished)
        unfit: list[str] = []
        try:
            with _stopped_when(should_stop):
                state = _verify(unfinished, lambda row, _: unfit.append(row.id), should_stop)
        except GalleryError as error:
            raise GalleryError(
                f"the gallery {folder} is damaged, so no snapshot was made; `gfp gallery check` lists everything that "
                f"is wrong ({error})"
            ) from error
        digest = _sha256_of(unfinished, should_stop)
        _refuse_existing(file)  # another process may have written it meanwhile
        write_whole(_digest_file(file), f"{digest}  {file.name}\n")
    if unfit:
        _log.warning(
            "%s has %d items that an upsert would refuse today, such as %s. `gfp gallery snapshot restore FILE FOLDER "
            "--repair` clears what is refused; `gfp gallery repair` does it in the gallery itself.",
            *(file, len(unfit), quoted(unfit[0])),
        )
    return state


def list_snapshots(root: Path) -> list[SnapshotFile]:
    """The snapshots of all galleries, sorted by gallery and time. They are not verified."""
    found = []
    for file in (root / _FOLDER).glob(f"*/*{_ENDING}"):
        with suppress(FileNotFoundError):  # removed a moment ago
            found.append(describe_snapshot(file))
    return sorted(found, key=lambda each: (each.gallery, each.created, each.name))


def describe_snapshot(file: Path) -> SnapshotFile:
    """What is known of a snapshot that was made under a name. Nothing is verified. Raises `FileNotFoundError`."""
    about = file.stat()
    try:
        state = peek(file, alone=True)
    except GalleryError:
        state = None
    try:
        sha256 = written_digest(file)
    except GalleryError:
        sha256 = ""
    created = datetime.fromtimestamp(about.st_mtime, UTC)
    return SnapshotFile(file, file.parent.name, file.name.removesuffix(_ENDING), created, about.st_size, sha256, state)


def delete_snapshot(file: Path) -> None:
    """Remove a snapshot and its SHA-256. Raises `SnapshotNotFoundError`, and `OSError` if the disk refuses."""
    try:
        file.unlink()
    except FileNotFoundError:
        raise no_such_snapshot(file) from None
    _digest_file(file).unlink(missing_ok=True)
    sync_directory(file.parent)


def verify_snapshot(file: Path, *, should_stop: Callable[[], bool] = _never) -> GalleryState:
    """Verify every byte and item of a snapshot and return its state.

    Raises `GalleryError` that names the file, also for an item that an upsert would refuse, and `ClosedError` when
    `should_stop` says so, which is asked often.
    """
    digest = written_digest(file)
    if _sha256_of(file, should_stop) != digest:
        raise GalleryError(
            f"{file} is damaged: {_digest_file(file)} has another SHA-256; use another snapshot, or keep what is sound "
            f"of this one: `gfp gallery snapshot restore FILE FOLDER --repair`."
        )

    def refuse(row: ItemRow, problem: str) -> None:
        raise GalleryError(
            f"{file} cannot be restored as it is: item {quoted(row.id)} is not one that a gallery takes: {problem} An "
            f"earlier release may have taken it. `gfp gallery snapshot restore FILE FOLDER --repair` clears what is "
            f"refused, keeps the rest, and names every such item."
        )

    with _stopped_when(should_stop):
        return _verify(file, refuse, should_stop)


def restore_snapshot(
    file: Path, root: Path, name: str = DEFAULT_GALLERY, *, should_stop: Callable[[], bool] = _never
) -> GalleryState:
    """Make the gallery ROOT/NAME from a snapshot. Its folder must be new or empty.

    Raises `GalleryError` if the snapshot is damaged or the folder is not empty, and `ClosedError` when `should_stop`
    says so, which is asked often; then there is no gallery.
    """
    folder = _new_folder(root, name)
    state = verify_snapshot(file, should_stop=should_stop)
    _copy(file, root, folder, written_digest(file), should_stop)
    return state


def restore_what_is_sound(file: Path, root: Path, name: str = DEFAULT_GALLERY) -> Repair:
    """Make the gallery ROOT/NAME from a snapshot that may be damaged, or have items that are refused today.

    This is `restore_snapshot` and `repair_gallery` in one. Raises `GalleryError` if nothing can be kept. After any
    error or interruption, there is no gallery.
    """
    folder = _new_folder(root, name)
    if not file.is_file():
        raise no_such_snapshot(file)
    _copy(file, root, folder, _sha256_of(file))
    try:
        done = repair_gallery(folder)
    except BaseException as error:
        # Also if it was interrupted: a server would take the copy, which nobody verified, for a gallery.
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, GalleryError):
            raise GalleryError(f"nothing of {file} can be restored: {error.message}") from error
        raise
    if done.kept is not None:
        done.kept.unlink()  # the snapshot itself is kept
    return replace(done, kept=None)


def _new_folder(root: Path, name: str) -> Path:
    """The folder of a gallery that is not there yet."""
    check_name(name)
    folder = gallery_folder(root, name)
    if folder.exists() and any(folder.iterdir()):
        raise GalleryError(
            f"{folder} is not empty, and restoring replaces nothing; choose another folder, or another name with "
            f"--gallery."
        )
    return folder


def _copy(file: Path, root: Path, folder: Path, digest: str, should_stop: Callable[[], bool] = _never) -> None:
    for new in (root, folder):
        if not new.exists():
            new.mkdir(mode=0o700, parents=True)
    with _locked_for_new_gallery(folder), replacing(folder / DATABASE_FILE, mode=0o600) as unfinished:
        with open_ordinary(file) as opened, unfinished.open("wb") as copy:
            for piece in _pieces(opened, should_stop):
                copy.write(piece)
        if _sha256_of(unfinished, should_stop) != digest:
            raise GalleryError(f"the copy of {file} in {folder} differs from the snapshot; check the disk.")
    sync_directory(root)


def _verify(file: Path, on_unfit: OnUnfit, should_stop: Callable[[], bool] = _never) -> GalleryState:
    # Alone: its digest says nothing about a log that somebody put beside it.
    with closing(ItemStore.open_for_reading(file, alone=True)) as store:
        store.stop_when(should_stop)
        store.check_structure()
        store.check_items(on_unfit)
        store.check_motions()
        return store.state


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise SnapshotExistsError(f"{file} exists already, and snapshots are not overwritten; choose another name.")


def no_such_snapshot(file: Path) -> SnapshotNotFoundError:
    """The error for a snapshot that does not exist."""
    return SnapshotNotFoundError(f"there is no snapshot {file}; `gfp gallery snapshot list` shows those that exist.")


def _digest_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def written_digest(file: Path) -> str:
    """The SHA-256 of a snapshot, as the file beside it says. Raises `GalleryError` if it does not say it."""
    if not file.is_file():
        raise no_such_snapshot(file)
    digest_file = _digest_file(file)
    if not digest_file.is_file():
        raise GalleryError(
            f"{digest_file} is missing, so {file.name} cannot be verified; copy both files to the same folder."
        )
    found = re.match(r"([0-9a-f]{64}) ", _text_of(digest_file))
    if found is None:
        raise GalleryError(f"{digest_file} is damaged: it does not begin with a SHA-256 and a space.")
    return found[1]


def _text_of(digest_file: Path) -> str:
    try:
        return read_ordinary(digest_file, at_most=MAX_SMALL_FILE_BYTES).decode(errors="replace")
    except OSError as error:
        raise GalleryError(f"{digest_file} cannot be read: {error.strerror}.") from error


def _sha256_of(file: Path, should_stop: Callable[[], bool] = _never) -> str:
    digest = hashlib.sha256()
    with open_ordinary(file) as opened:
        for piece in _pieces(opened, should_stop):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(opened: io.BufferedReader, should_stop: Callable[[], bool]) -> Iterator[bytes]:
    """What a file holds, piece by piece. Raises `ClosedError` before a piece when `should_stop` says so."""
    while piece := opened.read(_PIECE_BYTES):
        if should_stop():
            raise _stopped()
        yield piece


@contextmanager
def _stopped_when(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Say of a read that was stopped that it was stopped, and not that the gallery is damaged."""
    try:
        yield
    except GalleryError as error:
        if should_stop():
            raise _stopped() from error
        raise
    if should_stop():  # a short read asks nobody
        raise _stopped()


def _stopped() -> ClosedError:
    return ClosedError("this was stopped before its end, so nothing was made; do it again.")


@contextmanager
def _locked_for_new_gallery(folder: Path) -> Iterator[None]:
    with locked_folder(folder):
        if (folder / DATABASE_FILE).exists():
            raise GalleryError(f"{folder} contains a gallery already; choose another folder.")
        yield
