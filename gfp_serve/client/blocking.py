"""The client that waits for its answers."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import grpc
import numpy as np
from grpc_health.v1 import health_pb2_grpc

from gfp_serve.classify import Weighting
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
from gfp_serve.v1 import embedding_pb2_grpc, gallery_pb2_grpc, stream_pb2, stream_pb2_grpc
from gfp_serve.wire.status import to_error

DEFAULT_ADDRESS = "127.0.0.1:50051"

T = TypeVar("T")


def methods_of(channel: grpc.Channel | grpc.aio.Channel) -> dict[str, Callable[..., Any]]:
    """Every RPC that clients call, by name."""
    return {
        **vars(embedding_pb2_grpc.EmbeddingServiceStub(channel)),  # type: ignore[no-untyped-call]
        **vars(gallery_pb2_grpc.GalleryServiceStub(channel)),  # type: ignore[no-untyped-call]
        **vars(stream_pb2_grpc.StreamServiceStub(channel)),  # type: ignore[no-untyped-call]
        "Check": health_pb2_grpc.HealthStub(channel).Check,
    }


class Client:
    """Calls a server and waits for its answers. Use it in a `with` block, or `close` it.

    `timeout_s` bounds each request. Lists beyond the server's limits are sent as several requests. A client stays with
    the encoder that it first met: when the server at its address has another one, calls raise `EncoderMismatchError`,
    and a new client is needed.

    Every method raises `UnavailableError` when no server answers, `OutOfTimeError`, `OverloadedError` (it says when to
    try again), and the errors that the server raised, as the same classes with the server's message. An empty address
    or a timeout that is not above 0 and at most a day is an `InvalidRequestError` at once. A server that is not
    reached is tried again for about a second. `token` is sent with each call; with `tls` the connection is encrypted.
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
            grpc.secure_channel(address, tls.credentials(), CHANNEL_OPTIONS)
            if tls
            else grpc.insecure_channel(address, CHANNEL_OPTIONS)
        )
        self._methods = methods_of(self._channel)
        self._conversation = Conversation()

    def embed(self, sequences: np.ndarray | Sequence[np.ndarray], layout: str = "ntu25") -> np.ndarray:
        """Unit vectors: one of [embedding_size] for one array, [sequences, embedding_size] for a list of arrays.

        An array is frames × bodies × joints × 3 (or frames × joints × 3) in metres, y up, NaN for what was not seen.
        Raises `InvalidSkeletonError` when one cannot be used; its message names the place in the list.
        """
        return self._run(self._conversation.embed(sequences, layout))

    @overload
    def search(
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
    def search(
        self,
        query: list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[list[Neighbour]]: ...
    def search(
        self,
        query: Query | list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> list[Neighbour] | list[list[Neighbour]]:
        """The nearest items, nearest first; for a list of queries one list each.

        A query is a sequence (see `embed`), an embedding [embedding_size], or the id of a stored item, which is left
        out of its own neighbours. `gallery` is the name of the one to look in, without it the default one; only items
        that `where` lets pass are found, and `effort` is how hard an approximate index looks for them. Raises
        `EmptyGalleryError`, `ItemNotFoundError`, `GalleryNotFoundError`.
        """
        queries = query if isinstance(query, list) else [query]
        found = self._run(self._conversation.search(queries, top_k, layout, gallery, where, effort))
        return found if isinstance(query, list) else found[0]

    @overload
    def search_moments(
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
    def search_moments(
        self,
        query: list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = ...,
    ) -> list[list[Moment]]: ...
    def search_moments(
        self,
        query: Query | list[Any],
        top_k: int = 5,
        layout: str = "ntu25",
        *,
        gallery: str = "",
        where: Filter | None = None,
        effort: Effort = Effort(),  # noqa: B008  (it cannot be changed)
    ) -> list[Moment] | list[list[Moment]]:
        """Where in recordings what is asked for happens, nearest first; for a list of queries one list each.

        The gallery holds windows of recordings, items with a source (`gfp add --windows` makes them); those that
        belong together are one moment. Of a stored item, the moment that it lies in is left out. There are fewer than
        `top_k` when the gallery holds no more, or the server's `max_top_k` nearest items belong to fewer. `search` says
        what the rest means.
        """
        queries = query if isinstance(query, list) else [query]
        found = self._run(self._conversation.search_moments(queries, top_k, layout, gallery, where, effort))
        return found if isinstance(query, list) else found[0]

    @overload
    def classify(
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
    def classify(
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
    def classify(
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
        """The class of a query by vote of its `num_neighbours` nearest items; for a list of queries one each.

        `search` says what a query is, `gfp_serve.classify.vote` what the rest means; `balanced` lets it know how many
        items each class has. `gfp gallery calibrate` finds an `unknown_below`.
        """
        queries = query if isinstance(query, list) else [query]
        classified = self._run(
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

    def upsert(self, items: Iterable[Item | ClipItem], *, gallery: str = "") -> int:
        """Add items, or replace those of the same id; durable when this returns. Gives the gallery's generation.

        All or nothing within one request; a list beyond the server's limits is several.
        """
        return self._run(self._conversation.upsert(items, gallery))

    def delete(self, ids: Sequence[str], *, gallery: str = "") -> int:
        """Remove items; gives how many of the ids there were."""
        return self._run(self._conversation.delete(ids, gallery))

    def get(self, ids: Sequence[str], *, gallery: str = "") -> list[Item]:
        """Stored items with their vectors, in the order of the ids. `ItemNotFoundError` names the missing."""
        return self._run(self._conversation.get(ids, gallery))

    def create_gallery(self, name: str, index_kind: IndexKind = "auto") -> Description:
        """Make an empty gallery for the server's encoder, searched by `index_kind`.

        Raises `GalleryExistsError`, or `InvalidRequestError` for what is no name: 1 to 64 letters, digits, "-" and "_".
        """
        return self._run(self._conversation.create_gallery(name, index_kind))

    def describe_gallery(self, name: str = "") -> Description:
        """What a gallery is and how it stands; `GalleryNotFoundError` when there is none of that name."""
        return self._run(self._conversation.describe_gallery(name))

    def list_galleries(self) -> list[ListedGallery]:
        """The server's galleries, in the order of their names."""
        return self._run(self._conversation.list_galleries())

    def drop_gallery(self, name: str) -> int:
        """Remove a gallery with all its items, for ever; gives how many there were.

        Raises `GalleryNotFoundError`, or `InvalidRequestError` for the default gallery, which is always there.
        """
        return self._run(self._conversation.drop_gallery(name))

    def stream(self, frames: Iterable[np.ndarray], settings: StreamSettings) -> Iterator[StreamedWindow]:
        """Windows of frames as they come, each as soon as the server has answered it.

        `frames` gives arrays of any number of frames × bodies × joints × 3 (or frames × joints × 3), from a thread of
        its own: it may wait for a camera. What it raises is raised here. Leaving the loop ends the stream. `timeout_s`
        does not hold: a stream lasts as long as its frames.
        """
        said = StreamConversation(self._run(self._conversation.meet()), settings)
        problems: list[Exception] = []

        def messages() -> Iterator[stream_pb2.EmbedStreamRequest]:
            try:
                for part in frames:
                    yield from said.write(part)
            except Exception as error:  # gRPC would only say that there was one
                problems.append(error)

        call = self._methods["EmbedStream"](messages(), metadata=self._metadata)
        try:
            for reply in call:
                yield said.read(reply)
        except grpc.RpcError as failure:
            raise (problems[0] if problems else to_error(failure, self.address)) from failure
        finally:
            call.cancel()
        if problems:
            raise problems[0]

    def info(self) -> Info:
        """What the server is: encoder, device, gallery, limits."""
        return self._run(self._conversation.info())

    def health(self, service: str = "") -> bool:
        """Whether the server takes calls now; False while it warms up or shuts down.

        `service` is the full name of one of its services; `ServerError` when it has none of that name.
        """
        return self._run(self._conversation.health(service))

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Generator[Call, Any, T]) -> T:
        try:
            call = next(steps)
            while True:
                try:
                    reply = self._methods[call.method](call.request, timeout=self._timeout_s, metadata=self._metadata)
                except grpc.RpcError as failure:
                    call = steps.throw(to_error(failure, self.address))
                else:
                    call = steps.send(reply)
        except StopIteration as done:
            return done.value
