"""SnapshotService of the wire."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gfp_serve.config import Limits
from gfp_serve.errors import ClosedError, SnapshotError
from gfp_serve.gallery.care.backup import SnapshotFile
from gfp_serve.gallery.care.live_snapshots import LiveSnapshots
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.service.reply_budget import ReplyBudget
from gfp_serve.v1 import gallery_pb2, snapshot_pb2, snapshot_pb2_grpc
from gfp_serve.wire.galleries import write_description
from gfp_serve.wire.snapshots import Snapshot, write_snapshot

# Clients that know only gRPC take messages of 4 MiB.
_PIECE_BYTES = 2**20

T = TypeVar("T")


class SnapshotServicer(snapshot_pb2_grpc.SnapshotServiceServicer):
    """Makes and restores snapshots one after another, in a thread, until `close`; the others wait for their turn.

    A caller who leaves ends its making or restoring, and so does `close`. Lists and pieces are read at once.
    """

    def __init__(self, galleries: Galleries, limits: Limits) -> None:
        self._limits = limits
        self._kept = LiveSnapshots(galleries) if isinstance(galleries, FolderGalleries) else None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._closed = threading.Event()

    def close(self) -> None:
        """End the making or restoring of a snapshot, of which nothing stays."""
        self._closed.set()
        self._worker.shutdown()

    async def create(self, gallery: str, name: str) -> SnapshotFile:
        """See `LiveSnapshots.create`. Raises `SnapshotError` if the galleries are not in a folder."""
        kept = self._snapshots()
        return await self._in_turn(lambda should_stop: kept.create(gallery, name, should_stop=should_stop))

    def gallery_names(self) -> list[str]:
        """See `LiveSnapshots.gallery_names`. Raises `SnapshotError` if the galleries are not in a folder."""
        return self._snapshots().gallery_names()

    async def list_all(self) -> list[SnapshotFile]:
        """See `LiveSnapshots.list_all`. Raises `SnapshotError` if the galleries are not in a folder."""
        return await asyncio.to_thread(self._snapshots().list_all)

    async def delete(self, gallery: str, name: str) -> None:
        """See `LiveSnapshots.delete`. Raises `SnapshotError` if the galleries are not in a folder."""
        await asyncio.to_thread(self._snapshots().delete, gallery, name)

    async def CreateSnapshot(
        self, request: snapshot_pb2.CreateSnapshotRequest, _context: object
    ) -> snapshot_pb2.CreateSnapshotResponse:
        made = await self.create(request.gallery, request.name)
        return snapshot_pb2.CreateSnapshotResponse(snapshot=_write(made))

    async def ListSnapshots(
        self, _request: snapshot_pb2.ListSnapshotsRequest, _context: object
    ) -> snapshot_pb2.ListSnapshotsResponse:
        budget = ReplyBudget(self._limits, "remove some, or raise --max-message-bytes of the server")
        found = await self.list_all()
        return snapshot_pb2.ListSnapshotsResponse(snapshots=[budget.fit(_write(each)) for each in found])

    async def ReadSnapshot(
        self, request: snapshot_pb2.ReadSnapshotRequest, _context: object
    ) -> snapshot_pb2.ReadSnapshotResponse:
        most = min(_PIECE_BYTES, self._limits.max_message_bytes // 2)
        piece = await asyncio.to_thread(self._snapshots().read, request.gallery, request.name, request.offset, most)
        return snapshot_pb2.ReadSnapshotResponse(
            piece=piece.content, crc32=piece.crc32, num_bytes=piece.num_bytes, sha256=piece.sha256
        )

    async def DeleteSnapshot(
        self, request: snapshot_pb2.DeleteSnapshotRequest, _context: object
    ) -> snapshot_pb2.DeleteSnapshotResponse:
        await self.delete(request.gallery, request.name)
        return snapshot_pb2.DeleteSnapshotResponse()

    async def RestoreSnapshot(
        self, request: snapshot_pb2.RestoreSnapshotRequest, _context: object
    ) -> snapshot_pb2.RestoreSnapshotResponse:
        kept = self._snapshots()

        def restore(should_stop: Callable[[], bool]) -> gallery_pb2.GalleryDescription:
            restored = kept.restore(request.gallery, request.name, request.into, should_stop=should_stop)
            return write_description(request.into, restored.describe())

        return snapshot_pb2.RestoreSnapshotResponse(description=await self._in_turn(restore))

    def _snapshots(self) -> LiveSnapshots:
        if self._kept is None:
            raise SnapshotError(
                "this server keeps its galleries in Milvus, and makes snapshots only of galleries in a folder; back up "
                "Milvus with its own tools."
            )
        return self._kept

    async def _in_turn(self, work: Callable[[Callable[[], bool]], T]) -> T:
        """Do the work in the thread. It is given a function that says whether to stop."""
        given_up = threading.Event()

        def should_stop() -> bool:
            return given_up.is_set() or self._closed.is_set()

        try:
            turn = asyncio.get_running_loop().run_in_executor(self._worker, work, should_stop)
        except RuntimeError as error:  # after `close`
            raise ClosedError("another encoder took over; make the call again.") from error
        try:
            return await turn
        finally:
            given_up.set()


def _write(found: SnapshotFile) -> snapshot_pb2.SnapshotDescription:
    state = found.state
    return write_snapshot(
        Snapshot(
            gallery=found.gallery,
            name=found.name,
            created=found.created,
            num_bytes=found.num_bytes,
            sha256=found.sha256,
            encoder_digest="" if state is None else state.encoder_digest,
            num_items=0 if state is None else state.num_items,
            generation=0 if state is None else state.generation,
        )
    )
