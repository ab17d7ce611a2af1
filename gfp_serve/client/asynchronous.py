"""The client for asyncio: `blocking.Client` with `await`, whose docstrings hold here too."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Sequence
from typing import Any, TypeVar, overload

import grpc
import numpy as np

from gfp_serve.classify import Weighting
from gfp_serve.client.blocking import DEFAULT_ADDRESS, methods_of
from gfp_serve.client.connection import CHANNEL_OPTIONS, Tls, metadata_of
from gfp_serve.client.conversation import (
    Call,
    Classification,
    ClipItem,
    Conversation,
    Info,
    ListedGallery,
    Query,
    check_connection,
)
from gfp_serve.client.streaming import StreamConversation, StreamedWindow, StreamSettings
from gfp_serve.filters import Filter
from gfp_serve.items import (
    Description,
    Effort,
    IndexKind,
    Item,
    Neighbour,
)
from gfp_serve.moments import Moment
from gfp_serve.wire.status import to_error

T = TypeVar("T")


class AsyncClient:
    """Calls a server without blocking the event loop. Use it in an `async with` block, or `await close()`.

    Methods, arguments, results and errors are those of `Client`.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout_s: float = 30.0,
        *,
        token: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        check_connection(address, timeout_s)
        self.address = address
        self._timeout_s = timeout_s
        self._metadata = metadata_of(token)
        self._channel = (
            grpc.aio.secure_channel(address, tls.credentials(), CHANNEL_OPTIONS)
            if tls
            else grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
        )
        self._methods = methods_of(self._channel)
        self._conversation = Conversation()

    async def embed(self, sequences: np.ndarray | Sequence[np.ndarray], layout: str = "ntu25") -> np.ndarray:
        return await self._run(self._conversation.embed(sequences, layout))

    @overload
    async def search(
        self,
        query: Query,
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[Neighbour]: ...
    @overload
    async def search(
        self,
        query: list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[list[Neighbour]]: ...
    async def search(
        self,
        query: Query | list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> list[Neighbour] | list[list[Neighbour]]:
        queries = query if isinstance(query, list) else [query]
        found = await self._run(self._conversation.search(queries, top_k, layout, gallery, where, effort))
        return found if isinstance(query, list) else found[0]

    @overload
    async def search_moments(
        self,
        query: Query,
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[Moment]: ...
    @overload
    async def search_moments(
        self,
        query: list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[list[Moment]]: ...
    async def search_moments(
        self,
        query: Query | list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> list[Moment] | list[list[Moment]]:
        queries = query if isinstance(query, list) else [query]
        found = await self._run(self._conversation.search_moments(queries, top_k, layout, gallery, where, effort))
        return found if isinstance(query, list) else found[0]

    @overload
    async def classify(
        self,
        query: Query,
        *,
        num_neighbours: int = 5,
        weighting: Weighting = "similarity",
        temperature: float = 0.07,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> Classification: ...
    @overload
    async def classify(
        self,
        query: list[Any],
        *,
        num_neighbours: int = 5,
        weighting: Weighting = "similarity",
        temperature: float = 0.07,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[Classification]: ...
    async def classify(
        self,
        query: Query | list[Any],
        *,
        num_neighbours: int = 5,
        weighting: Weighting = "similarity",
        temperature: float = 0.07,
        unknown_below: float | None = None,
        balanced: bool = False,
        layout: str = "ntu25",
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> Classification | list[Classification]:
        queries = query if isinstance(query, list) else [query]
        classified = await self._run(
            self._conversation.classify(
                queries,
                num_neighbours,
                weighting,
                temperature,
                unknown_below,
                balanced,
                layout,
                gallery,
                where,
                effort,
            )
        )
        return classified if isinstance(query, list) else classified[0]

    async def upsert(self, items: Iterable[Item | ClipItem], *, gallery: str = "") -> int:
        return await self._run(self._conversation.upsert(items, gallery))

    async def delete(self, ids: Sequence[str], *, gallery: str = "") -> int:
        return await self._run(self._conversation.delete(ids, gallery))

    async def get(self, ids: Sequence[str], *, gallery: str = "") -> list[Item]:
        return await self._run(self._conversation.get(ids, gallery))

    async def create_gallery(self, name: str, index_kind: IndexKind = "auto") -> Description:
        return await self._run(self._conversation.create_gallery(name, index_kind))

    async def describe_gallery(self, name: str = "") -> Description:
        return await self._run(self._conversation.describe_gallery(name))

    async def list_galleries(self) -> list[ListedGallery]:
        return await self._run(self._conversation.list_galleries())

    async def drop_gallery(self, name: str) -> int:
        return await self._run(self._conversation.drop_gallery(name))

    async def stream(
        self, frames: AsyncIterable[np.ndarray], settings: StreamSettings
    ) -> AsyncGenerator[StreamedWindow, None]:
        """As `Client.stream`, with frames that are waited for in the event loop."""
        said = StreamConversation(await self._run(self._conversation.meet()), settings)
        call = self._methods["EmbedStream"](metadata=self._metadata)

        async def write() -> None:
            try:
                async for part in frames:
                    for message in said.write(part):
                        await call.write(message)
                        # Headers come when the opening was taken. What is written into a stream that has ended hides
                        # why it did.
                        await call.initial_metadata()
                await call.done_writing()
            except (asyncio.InvalidStateError, grpc.RpcError):
                pass  # the stream has ended; its reader is told why
            except BaseException:
                call.cancel()
                raise

        writing = asyncio.create_task(write())
        try:
            async for reply in call:
                yield said.read(reply)
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
        return await self._run(self._conversation.info())

    async def health(self, service: str = "") -> bool:
        return await self._run(self._conversation.health(service))

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Generator[Call, Any, T]) -> T:
        try:
            call = next(steps)
            while True:
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
