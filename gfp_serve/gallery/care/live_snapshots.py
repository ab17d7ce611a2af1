"""Snapshots of the galleries that a server has open: made, listed, read, removed and restored while calls go on."""

import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gfp_serve.errors import (
    GalleryError,
    InvalidRequestError,
    NotWritableError,
    SnapshotError,
    SnapshotExistsError,
    in_field,
)
from gfp_serve.files import remove_abandoned
from gfp_serve.gallery.care.backup import (
    SnapshotFile,
    create_snapshot,
    delete_snapshot,
    describe_snapshot,
    list_snapshots,
    no_such_snapshot,
    restore_snapshot,
    snapshot_file,
    written_digest,
)
from gfp_serve.gallery.embedded.folders import existing_folder
from gfp_serve.gallery.embedded.galleries import RESTORING, FolderGalleries
from gfp_serve.gallery.protocols import Gallery, check_name, filled_by_another_encoder, gallery_exists
from gfp_serve.items import DEFAULT_GALLERY


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snapshot's file. `num_bytes` and `sha256` are those of the whole file."""

    content: bytes
    num_bytes: int
    sha256: str

    @property
    def crc32(self) -> int:
        return zlib.crc32(self.content)


class LiveSnapshots:
    """The snapshots beside these galleries. The gallery "" is the default one. Names never lead out of their folder."""

    def __init__(self, galleries: FolderGalleries) -> None:
        self._galleries = galleries
        self._root = galleries.root

    def create(self, gallery: str, name: str, *, should_stop: Callable[[], bool]) -> SnapshotFile:
        """Copy a gallery as it is now, and verify the copy.

        Raises `GalleryNotFoundError`, `EncoderMismatchError`, `SnapshotExistsError`, `SnapshotError` if the gallery is
        damaged, `NotWritableError` if the disk refuses, and `ClosedError` when `should_stop` says so.
        """
        gallery = gallery or DEFAULT_GALLERY
        file = self._file(gallery, name)
        with in_field("gallery"):
            self._galleries[gallery]
        with self._in_words(f"no snapshot of the gallery {gallery!r} was made"):
            remove_abandoned(file.parent)  # each has a name of its own, which no later one would clean up
            try:
                create_snapshot(existing_folder(self._root, gallery), file, should_stop=should_stop)
            except SnapshotExistsError as error:  # whose own words name a path of the server
                raise SnapshotExistsError(
                    f"the gallery {gallery!r} has a snapshot {name!r} already, and snapshots are not overwritten; "
                    f"choose another name."
                ) from error
            except GalleryError:
                self._galleries[gallery]  # if it was dropped meanwhile, that is what went wrong
                raise
            return describe_snapshot(file)

    def gallery_names(self) -> list[str]:
        """The galleries of which snapshots can be made."""
        ours, _ = self._galleries.encoder
        return [name for name, digest in self._galleries.encoder_digests().items() if digest == ours]

    def list_all(self) -> list[SnapshotFile]:
        """The snapshots of all galleries, by gallery and time. They are not verified."""
        return list_snapshots(self._root)

    def read(self, gallery: str, name: str, offset: int, most_bytes: int) -> Piece:
        """At most `most_bytes` of a snapshot's file.

        Raises `SnapshotNotFoundError`, `InvalidRequestError` for an offset behind the end, and `SnapshotError` if the
        snapshot's SHA-256 is lost.
        """
        file = self._file(gallery, name)
        with self._in_words(f"the snapshot {name!r} cannot be read"):
            sha256 = written_digest(file)
            try:
                with file.open("rb") as opened:
                    num_bytes = opened.seek(0, 2)
                    if offset > num_bytes:
                        raise InvalidRequestError(
                            f"it is {offset}, but the snapshot has {num_bytes} bytes; begin again at 0.", field="offset"
                        )
                    opened.seek(offset)
                    return Piece(opened.read(most_bytes), num_bytes, sha256)
            except FileNotFoundError:
                raise no_such_snapshot(file) from None

    def delete(self, gallery: str, name: str) -> None:
        """Remove a snapshot. Raises `SnapshotNotFoundError`, and `NotWritableError` if the disk refuses."""
        with self._in_words(f"the snapshot {name!r} was not removed"):
            delete_snapshot(self._file(gallery, name))

    def restore(self, gallery: str, name: str, into: str, *, should_stop: Callable[[], bool]) -> Gallery:
        """Verify a snapshot and make the gallery `into` from it, which must not exist.

        Raises `SnapshotNotFoundError`, `GalleryExistsError`, `EncoderMismatchError`, `SnapshotError` if the snapshot is
        damaged, `NotWritableError` if the disk refuses, and `ClosedError` when `should_stop` says so; then nothing is
        made.
        """
        file = self._file(gallery, name)
        with in_field("into"):
            check_name(into)
            if into in self._galleries.encoder_digests():
                raise gallery_exists(into)
        staged = self._root / f"{RESTORING}{uuid.uuid4().hex}"
        try:
            with self._in_words(f"the snapshot {name!r} was not restored"):
                written_digest(file)
                state = describe_snapshot(file).state
                found = None if state is None else (state.encoder_digest, state.embedding_size)
                if found is not None and found != self._galleries.encoder:
                    raise filled_by_another_encoder(f"of the snapshot {name!r}", *found, ours=self._galleries.encoder)
                restore_snapshot(file, staged, into, should_stop=should_stop)
                with in_field("into"):
                    return self._galleries.adopt(staged / into, into)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _file(self, gallery: str, name: str) -> Path:
        gallery = gallery or DEFAULT_GALLERY
        with in_field("gallery"):
            check_name(gallery)
        with in_field("name"):
            return snapshot_file(self._root, gallery, name)

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        """Tell the caller of damage and of a disk that refuses, which would otherwise be failures of the server."""
        try:
            yield
        except OSError as error:
            raise NotWritableError(
                f"{what}: {error.strerror} ({error.filename}); check the disk's free space and the permissions of "
                f"{self._root}."
            ) from error
        except GalleryError as error:
            if type(error) is not GalleryError:
                raise
            raise SnapshotError(f"{what}: {error.message}") from error
