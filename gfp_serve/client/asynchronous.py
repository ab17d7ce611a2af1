"""The client for asyncio: `blocking.Client` with `await`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import grpc
import numpy as np

from gfp_serve.classify import DEFAULT_NUM_NEIGHBOURS, DEFAULT_TEMPERATURE, DEFAULT_WEIGHTING, Weighting
from gfp_serve.client.blocking import DEFAULT_ADDRESS, methods_of
from gfp_serve.client.connection import Tls, channel_options, metadata_of
from gfp_serve.client.conversation import (
    Call,
    Chore,
    ClipItem,
    Conversation,
    Info,
    ListedGallery,
    Query,
    check_connection,
)
from gfp_serve.client.streaming import StreamConversation, StreamedWindow, StreamSettings
from gfp_serve.conventions import Conventions
from gfp_serve.filters import Filter
from gfp_serve.items import DEFAULT_TOP_K, Description, Effort, IndexKind, Item, Neighbour
from gfp_serve.layouts import Layout
from gfp_serve.moments import Moment
from gfp_serve.wire.maps import GalleryMap
from gfp_serve.wire.searches import Classification, Scope, Voting
from gfp_serve.wire.snapshots import Snapshot
from gfp_serve.wire.status import to_error
from gfp_serve.wire.warnings import ServerWarning

T = TypeVar("T")

# Turns of the event loop in which gRPC takes in what it has received. Four were enough in every try, two were not.
_TURNS = 8


class AsyncClient:
    """Calls a server without blocking the event loop. Use it in an `async with` block, or `await close()`.

    Methods, arguments, results and errors are those of `Client`, whose docstring also says what the arguments here
    mean. Calls may run at the same time. Cancelling one cancels it on the server too.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout_s: float = 30.0,
        *,
        token: str | None = None,
        tls: Tls | None = None,
        on_warning: Callable[[ServerWarning], None] | None = None,
    ) -> None:
        check_connection(address, timeout_s, encrypted=tls is not None)
        self.address = address
        self._timeout_s = timeout_s
        self._metadata = metadata_of(token)
        options = channel_options(tls)
        self._channel = (
            grpc.aio.secure_channel(address, tls.credentials(), options)
            if tls
            else grpc.aio.insecure_channel(address, options)
        )
        self._methods = methods_of(self._channel)
        self._conversation = Conversation(on_warning)

    async def embed(
        self,
        sequences: np.ndarray | Sequence[np.ndarray],
        layout: str | Layout = "ntu25",
        *,
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    ) -> np.ndarray:
        """Embed sequences, so that sequences of similar motion have similar vectors.

        `sequences` is one array or a list of arrays of numbers, each of axes frames × bodies × joints × 3, or frames ×
        joints × 3 for one body: metres within ±1000, y up, NaN where a joint was not seen. The arrays of a list may
        differ in frames and bodies. `layout` names their joints; `info().layouts` lists the names. A `Layout` of your
        own is sent with the names of its joints. `conventions` says how the coordinates are meant, if they are not in
        metres, y up and right-handed: `Conventions(up="-y")` for MediaPipe's world landmarks, `Conventions(up="z",
        unit="mm")` for much motion capture. Arrays that end in 2 are joints of an image, x to the right and y down, in
        pixels or as parts of it: `Conventions(image_size=(1280, 720))`. Joints of x, y and confidence need
        `Conventions(dimensions=2)`.

        Returns unit vectors as float32: [embedding_size] for one array, [sequences, embedding_size] for a list.

        Raises `InvalidSkeletonError` for a sequence that cannot be used (wrong shape, infinite, nobody in it),
        `UnknownLayoutError`, and `InvalidRequestError` for one beyond the server's limits. The error's `field` is the
        place in the list, such as `sequences[3]`.
        """
        return await self._run(self._conversation.embed(sequences, layout, conventions))

    @overload
    async def search(
        self,
        query: Query,
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> list[Neighbour]: ...
    @overload
    async def search(
        self,
        query: list[Any],
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> list[list[Neighbour]]: ...
    async def search(
        self,
        query: Query | list[Any],
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    ) -> list[Neighbour] | list[list[Neighbour]]:
        """Find the items that are nearest to a query. For a list of queries, one list each.

        - `query`: a sequence (3 or 4 axes, see `embed`), an embedding ([embedding_size], any length but 0), or the id
          of a stored item, which is left out of its own neighbours.
        - `top_k`: neighbours of each query, from 1 to `info().limits.max_top_k`.
        - `layout`, `conventions`: name the joints of sequences and say how they are meant, see `embed`.
        - `gallery`: name of the gallery to search; "" is the default one.
        - `where`: conditions on label and attributes; only items that meet them are found. None finds all.
        - `effort`: how hard an approximate index looks. More effort misses fewer items and takes longer.

        Returns neighbours, nearest first, each with its cosine to the query in [-1, 1]. There are fewer than `top_k`
        when the gallery has fewer.

        Raises `EmptyGalleryError`, `GalleryNotFoundError`, `ItemNotFoundError` for an id that no item has,
        `InvalidRequestError` for a value out of range, and for sequences what `embed` raises. The error's `field` says
        which value or query, such as `top_k` or `queries[3]`.
        """
        queries = query if isinstance(query, list) else [query]
        found = await self._run(
            self._conversation.search(queries, layout, conventions, Scope(gallery, where, effort), top_k)
        )
        return found if isinstance(query, list) else found[0]

    @overload
    async def search_moments(
        self,
        query: Query,
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> list[Moment]: ...
    @overload
    async def search_moments(
        self,
        query: list[Any],
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> list[list[Moment]]: ...
    async def search_moments(
        self,
        query: Query | list[Any],
        top_k: int = DEFAULT_TOP_K,
        layout: str | Layout = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    ) -> list[Moment] | list[list[Moment]]:
        """Find the moments of recordings that are nearest to a query. For a list of queries, one list each.

        The gallery must hold windows of recordings, which are items with a source (`gfp add --windows` adds such
        items). Near windows that overlap become one moment, with the seconds from when to when in the recording.
        Arguments are those of `search`; `top_k` counts moments. A query that is the id of a stored item leaves out the
        moment that the item lies in.

        Returns moments, nearest first. There are fewer than `top_k` when the gallery has fewer, or when the server's
        `max_top_k` nearest items belong to fewer.

        Raises what `search` raises.
        """
        queries = query if isinstance(query, list) else [query]
        found = await self._run(
            self._conversation.search_moments(queries, layout, conventions, Scope(gallery, where, effort), top_k)
        )
        return found if isinstance(query, list) else found[0]

    @overload
    async def classify(
        self,
        query: Query,
        *,
        num_neighbours: int = DEFAULT_NUM_NEIGHBOURS,
        weighting: Weighting = DEFAULT_WEIGHTING,
        temperature: float = DEFAULT_TEMPERATURE,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str | Layout = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> Classification: ...
    @overload
    async def classify(
        self,
        query: list[Any],
        *,
        num_neighbours: int = DEFAULT_NUM_NEIGHBOURS,
        weighting: Weighting = DEFAULT_WEIGHTING,
        temperature: float = DEFAULT_TEMPERATURE,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str | Layout = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
        conventions: Conventions = ...,
    ) -> list[Classification]: ...
    async def classify(
        self,
        query: Query | list[Any],
        *,
        num_neighbours: int = DEFAULT_NUM_NEIGHBOURS,
        weighting: Weighting = DEFAULT_WEIGHTING,
        temperature: float = DEFAULT_TEMPERATURE,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str | Layout = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
        conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
    ) -> Classification | list[Classification]:
        """Name the class of a query by vote of its nearest items. For a list of queries, one answer each.

        - `query`, `layout`, `conventions`, `gallery`, `where`, `effort`: as for `search`.
        - `num_neighbours`: items that vote, from 1 to `info().limits.max_top_k`. Items without a label do not vote.
        - `weighting`: "similarity" weighs a vote with exp(cosine / `temperature`), "uniform" counts all the same.
        - `temperature`: above 0; the smaller, the more the nearest item counts.
        - `unknown_below`: a cosine in [-1, 1]. The class is unknown (None) when no voter is at least this near. `gfp
          gallery calibrate` finds a value. None never says unknown for that reason.
        - `balanced`: divide each vote by the number of items that its class has, so that large classes do not win by
          size.

        Returns the class, the scores of all classes that got votes (they sum to 1, best first), and the neighbours that
        voted. `gfp_serve.classify.vote` has the formula and its source.

        Raises what `search` raises.
        """
        queries = query if isinstance(query, list) else [query]
        voting = Voting(num_neighbours, weighting, temperature, unknown_below, balanced)
        scope = Scope(gallery, where, effort)
        found = await self._run(self._conversation.classify(queries, layout, conventions, scope, voting))
        return found if isinstance(query, list) else found[0]

    async def upsert(self, items: Iterable[Item | ClipItem], *, gallery: str = "") -> int:
        """Add items, or replace the items that have the same ids. They are durable and found when this returns.

        An item is a `ClipItem`, which the server embeds, or an `Item` with a vector [embedding_size] of the server's
        encoder. Each request adds all of its items or none; a list beyond the server's limits is sent as several
        requests, and after an error those before the failing one stay added.

        Returns the gallery's generation, which rises with each change.

        Raises `GalleryNotFoundError`, `InvalidSkeletonError` and `InvalidRequestError` for an item that cannot be
        stored, `NotWritableError` when the server's disk is full. The error's `field` is the item's place in the list,
        such as `items[3]`.
        """
        return await self._run(self._conversation.upsert(items, gallery))

    async def delete(self, ids: Sequence[str], *, gallery: str = "") -> int:
        """Remove the items that have these ids; ids that no item has are ignored.

        Returns how many items were removed. Raises `GalleryNotFoundError`.
        """
        return await self._run(self._conversation.delete(ids, gallery))

    async def get(self, ids: Sequence[str], *, gallery: str = "", with_motions: bool = False) -> list[Item]:
        """Get stored items by id, in the order of the ids.

        Returns items with their vectors, float32 [embedding_size] of length 1. With `with_motions`, they come with
        their `motion` too, a small copy of the clip, where the gallery keeps one; otherwise it is None. An item that
        is sent back without its motion loses it. Raises `GalleryNotFoundError`, and `ItemNotFoundError`, which names
        the ids that no item has.
        """
        return await self._run(self._conversation.get(ids, gallery, with_motions=with_motions))

    async def create_gallery(self, name: str, index_kind: IndexKind = "auto") -> Description:
        """Make an empty gallery for the server's encoder.

        `name` has 1 to 64 letters, digits, "-" and "_", of which the first is a letter or a digit. `index_kind` says
        how vectors are searched: "exact" compares with all; "hnsw", "ivf_sq8" and "ivf_pq" are faster for many items
        and may miss some; "auto" chooses by the number of items.

        Returns what `describe_gallery` does. Raises `GalleryExistsError`, and `InvalidRequestError` for a name or kind
        that cannot be.
        """
        return await self._run(self._conversation.create_gallery(name, index_kind))

    async def describe_gallery(self, name: str = "") -> Description:
        """Say what a gallery is: its encoder, index, number of items, size in bytes, and whether it is durable.

        "" is the default gallery. Raises `GalleryNotFoundError`.
        """
        return await self._run(self._conversation.describe_gallery(name))

    async def map_items(self, *, gallery: str = "", where: Filter | None = None) -> GalleryMap:
        """Give each item of a gallery a place in the plane, near to those of similar items.

        With `where`, only items that pass come back, at the same places as without it. The first map of a gallery is by
        principal components, at once. Where scikit-learn is installed on the server, t-SNE makes a better one then, and
        `is_improving` says that it is not there yet.

        Raises `EmptyGalleryError`, `GalleryNotFoundError`, and `InvalidRequestError` for a map that is larger than the
        server's messages.
        """
        return await self._run(self._conversation.map_items(gallery, where))

    async def list_galleries(self) -> list[ListedGallery]:
        """List the server's galleries in the order of their names, also those that other encoders filled."""
        return await self._run(self._conversation.list_galleries())

    async def drop_gallery(self, name: str) -> int:
        """Remove a gallery and all its items, for ever.

        Returns how many items it had. Raises `GalleryNotFoundError`, and `InvalidRequestError` for the default gallery,
        which is always there.
        """
        return await self._run(self._conversation.drop_gallery(name))

    async def create_snapshot(self, name: str, *, gallery: str = "") -> Snapshot:
        """Copy a gallery as it is now, and verify every item of the copy, while other calls go on.

        The server keeps the snapshot beside its galleries. `name` has 1 to 100 letters, digits, ".", "-" and "_", of
        which the first is a letter or a digit. All of the gallery is read: give a large one a longer `timeout_s`. After
        a timeout there is no snapshot.

        Where the server asks for tokens, this and the other calls about snapshots need one with the role admin.

        Raises `GalleryNotFoundError`, `SnapshotExistsError`, `InvalidRequestError` for a name that cannot be,
        `SnapshotError` when the gallery is damaged, and `NotWritableError` when the server's disk is full.
        """
        return await self._run(self._conversation.create_snapshot(name, gallery))

    async def list_snapshots(self) -> list[Snapshot]:
        """List the snapshots of all galleries, also of those that were dropped: by gallery, the oldest first."""
        return await self._run(self._conversation.list_snapshots())

    async def fetch_snapshot(
        self,
        name: str,
        file: Path,
        *,
        gallery: str = "",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Copy a snapshot from the server into a new file, and its SHA-256 into FILE.sha256 beside it.

        The file comes in pieces, each with a checksum. It appears when it is whole and its SHA-256 was verified. If
        this is interrupted, the pieces stay in a file beside it whose name ends in .part, and the next call with the
        same `file` goes on there. `on_progress` is called with the number of bytes that are there, and of all.

        Returns the SHA-256. Raises `SnapshotNotFoundError`, `SnapshotExistsError` if there is a file of this name,
        `SnapshotError` for bytes that are damaged, and `OSError` when the file cannot be written.
        """
        return await self._run(self._conversation.fetch_snapshot(name, file, gallery, on_progress))

    async def delete_snapshot(self, name: str, *, gallery: str = "") -> None:
        """Remove a snapshot. Raises `SnapshotNotFoundError`."""
        await self._run(self._conversation.delete_snapshot(name, gallery))

    async def prune_snapshots(self, keep: int, *, gallery: str = "") -> list[str]:
        """Remove the snapshots of a gallery but the newest `keep`, which is 1 or more.

        Returns the names of those that were removed.
        """
        return await self._run(self._conversation.prune_snapshots(keep, gallery))

    async def restore_snapshot(self, name: str, into: str, *, gallery: str = "") -> Description:
        """Verify a snapshot and make a new gallery called `into` from it, while other calls go on.

        `gallery` is the one that the snapshot is of. Nothing is ever replaced. Returns what `describe_gallery` does.

        Raises `SnapshotNotFoundError`, `GalleryExistsError` if there is a gallery called `into`,
        `EncoderMismatchError`, and `SnapshotError` when the snapshot is damaged; then nothing is made.
        """
        return await self._run(self._conversation.restore_snapshot(name, into, gallery))

    async def stream(
        self, frames: AsyncIterable[np.ndarray], settings: StreamSettings
    ) -> AsyncGenerator[StreamedWindow, None]:
        """Send frames as they come, and get each window of them as soon as the server has answered it.

        `frames` gives arrays of axes frames × bodies × joints × 3 (or frames × joints × 3), see `embed`; each array may
        hold any number of frames, and all the same number of bodies. They are awaited in the event loop.
        `settings` says how frames become windows, and what each window comes with.

        Yields windows in order. Leaving the loop ends the stream. `timeout_s` does not apply: a stream lasts as long as
        its frames.

        Raises what `frames` raises, `InvalidSkeletonError` for frames that cannot be used, `InvalidRequestError` for
        settings that cannot be used, and `ClosedError` when the server shuts down.
        """
        conversation = StreamConversation(await self._run(self._conversation.meet()), settings)
        call = self._methods["EmbedStream"](metadata=self._metadata)

        async def write() -> None:
            try:
                await call.wait_for_connection()
                async for part in frames:
                    for message in conversation.write(part):
                        # Writing into a stream that has ended hides why it ended, so let the loop hear of an end first.
                        for _ in range(_TURNS):
                            await asyncio.sleep(0)
                        await call.write(message)
                        # Headers come when the server has accepted the first message.
                        await call.initial_metadata()
                await call.done_writing()
            except (asyncio.InvalidStateError, grpc.RpcError):
                pass  # the stream has ended; the loop below gets the reason
            except BaseException:
                call.cancel()
                raise

        writing = asyncio.create_task(write())
        try:
            async for reply in call:
                self._conversation.warn(reply.warnings)
                yield conversation.read(reply)
        except grpc.RpcError as failure:
            raise to_error(failure, self.address) from failure
        except asyncio.CancelledError:
            if writing.done() and not writing.cancelled() and writing.exception() is not None:
                await writing  # raises what the frames raised, which is why the call was cancelled
            raise
        finally:
            call.cancel()
            writing.cancel()
            await asyncio.wait([writing])
        if not writing.cancelled() and writing.exception() is not None:
            await writing

    async def info(self) -> Info:
        """Say what the server is: release, encoder, preprocessing, device, default gallery, limits."""
        return await self._run(self._conversation.info())

    async def health(self, service: str = "") -> bool:
        """Say whether the server takes calls now; False while it warms up or shuts down.

        `service` is the full name of one of its services, such as "gfp_serve.v1.EmbeddingService"; "" asks about all.
        Raises `ServerError` when the server has no service of that name.
        """
        return await self._run(self._conversation.health(service))

    async def close(self) -> None:
        """End the connection. The client cannot be used after that."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Generator[Call | Chore, Any, T]) -> T:
        try:
            call = next(steps)
            while True:
                if isinstance(call, Chore):
                    call = steps.send(await asyncio.to_thread(call.do))
                    continue
                try:
                    reply = await self._methods[call.method](
                        call.request, timeout=self._timeout_s, metadata=self._metadata
                    )
                except grpc.RpcError as failure:
                    call = steps.throw(to_error(failure, self.address))
                else:
                    call = steps.send(reply)
        except StopIteration as done:
            return done.value
