"""A snapshot on its way from a server into a file: pieces that are verified, and an interrupted copy that goes on."""

import hashlib
import os
import re
import zlib
from pathlib import Path

from gfp_serve.errors import SnapshotError, SnapshotExistsError
from gfp_serve.files import sync_directory, sync_file, write_whole
from gfp_serve.v1 import snapshot_pb2


class SnapshotDownload:
    """Takes the pieces of a snapshot, asked for at `offset`, until it `is_whole`; then `finish` it.

    Until then the pieces are in `.FILE.SHA256.part`. The digest in this name keeps pieces of two snapshots apart.

    Raises `SnapshotExistsError` if the file exists.
    """

    def __init__(self, file: Path) -> None:
        self.offset = 0  # where the next piece begins
        self.num_bytes = 0  # of the whole file
        self._file = file
        self._sha256 = ""
        self._part: Path | None = None
        self._refuse_existing()

    @property
    def is_whole(self) -> bool:
        """Whether all pieces are there."""
        return self._part is not None and self.offset == self.num_bytes

    def take(self, reply: snapshot_pb2.ReadSnapshotResponse) -> None:
        """Write a piece. Raises `SnapshotError` for a piece that is damaged or of another snapshot."""
        if zlib.crc32(reply.piece) != reply.crc32 or not re.fullmatch("[0-9a-f]{64}", reply.sha256):
            raise SnapshotError(f"the piece at byte {self.offset} was damaged on its way; fetch the snapshot again.")
        if self._part is None:
            self._begin(reply)
            return
        if (reply.sha256, reply.num_bytes) != (self._sha256, self.num_bytes):
            raise SnapshotError("another snapshot took the place of this one while it was fetched; fetch it again.")
        if not reply.piece:
            raise SnapshotError(f"the server sent no more after {self.offset} of {self.num_bytes} bytes; try again.")
        self._write(self._part, reply.piece)

    def finish(self) -> str:
        """Verify the whole and give it its name; return its SHA-256. Raises `SnapshotError` if it is damaged."""
        if self._part is None:
            raise ValueError("no piece was taken yet")
        with self._part.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != self._sha256:
            self._part.unlink()
            raise SnapshotError(
                f"the copy of the snapshot has SHA-256 {found[:12]} and not {self._sha256[:12]}, so it was removed; "
                f"fetch it again, and check the server's disk with `gfp gallery snapshot verify` if this happens again."
            )
        self._refuse_existing()
        sync_file(self._part)
        write_whole(self._file.with_name(f"{self._file.name}.sha256"), f"{found}  {self._file.name}\n")
        self._part.rename(self._file)
        sync_directory(self._file.parent)
        return found

    def _begin(self, first: snapshot_pb2.ReadSnapshotResponse) -> None:
        """Open the file of the pieces. If an earlier try left one, go on behind it."""
        self._sha256, self.num_bytes = first.sha256, first.num_bytes
        self._part = part = self._file.with_name(f".{self._file.name}.{first.sha256[:16]}.part")
        # Motion of people: only the owner may read it.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600))
        self.offset = part.stat().st_size
        if self.offset > self.num_bytes:
            os.truncate(part, 0)
            self.offset = 0
        if self.offset == 0:
            self._write(part, first.piece)

    def _write(self, part: Path, piece: bytes) -> None:
        with part.open("ab") as opened:
            opened.write(piece)
        self.offset += len(piece)

    def _refuse_existing(self) -> None:
        if self._file.exists():
            raise SnapshotExistsError(f"{self._file} exists already, and nothing is overwritten; choose another file.")
