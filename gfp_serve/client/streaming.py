"""What both clients send in a stream, and how they read the windows that come back, without a network."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import DEFAULT_TEMPERATURE, DEFAULT_WEIGHTING, Weighting
from gfp_serve.client.conversation import Info, check_solid, is_of_image, known_layout, sendable_name
from gfp_serve.conventions import Conventions
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError, check_type, in_field
from gfp_serve.filters import Filter
from gfp_serve.items import Effort, Neighbour
from gfp_serve.layouts import Layout
from gfp_serve.skeleton import check_image_joints
from gfp_serve.v1 import stream_pb2
from gfp_serve.wire.arrays import read_embedding, write_conventions, write_layout, write_positions
from gfp_serve.wire.items import read_neighbour
from gfp_serve.wire.searches import (
    Classification,
    Scope,
    Voting,
    read_classification,
    write_classify,
    write_search,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How a stream's frames are cut into windows, and what each window comes with."""

    window_frames: int  # frames of a window
    stride_frames: int  # frames from the start of one window to the start of the next
    fps: float = 30.0  # frames a second, for the times of windows
    layout: str | Layout = "ntu25"  # names the joints; see `Client.embed`
    top_k: int = 0  # nearest items that each window comes with; 0 = none
    num_neighbours: int = 0  # items that vote for the class of each window; 0 = no class
    weighting: Weighting = DEFAULT_WEIGHTING  # of the votes; this and the next three as in `Client.classify`
    temperature: float = DEFAULT_TEMPERATURE
    unknown_below: float | None = None
    balanced: bool = False
    gallery: str = ""  # of neighbours and voters; this and the next two as in `Client.search`
    where: Filter | None = None
    effort: Effort = Effort()  # noqa: RUF009  (it cannot be changed)
    # 2: joints of an image, whose arrays end in x, y or x, y, confidence; None: if the first array ends in two numbers.
    dimensions: Literal[2, 3] | None = None
    image_size: tuple[float, float] | None = None  # width and height, for 2-D joints that are parts of the image
    # Of joints of an image, `up` and `min_confidence` count; its `dimensions` and `image_size` do what those above do.
    conventions: Conventions = Conventions()  # noqa: RUF009  (it cannot be changed)
    lossless: bool = False  # a server that is too slow makes the client wait, instead of leaving out windows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamedWindow:
    """A window of a stream, and the server's answer to it."""

    first_frame: int  # counted from 0 at the start of the stream
    start_s: float  # seconds from the start of the stream
    end_s: float
    embedding: Float32[np.ndarray, " embedding_size"] | None  # None when it cannot be embedded
    problem: str  # why it cannot be embedded, e.g. nobody is seen; otherwise empty
    neighbours: tuple[Neighbour, ...]  # nearest first
    classification: Classification | None  # None when it was not asked for
    num_dropped: int  # windows that the server left out just before this one, because it was too slow


class StreamConversation:
    """The messages of one stream. Every array of frames must hold as many bodies as the first."""

    def __init__(self, info: Info, settings: StreamSettings) -> None:
        self._info = info
        self._settings = settings
        self._layout = known_layout(settings.layout)
        self._num_bodies = 0
        self._said = _conventions_of(settings)
        self._is_flat: bool | None = None  # not known before the first frames

    def write(self, frames: np.ndarray) -> Iterator[stream_pb2.EmbedStreamRequest]:
        """The messages that send these frames; before the first frames, the message that opens the stream.

        Raises `InvalidSkeletonError` for an array that is not a sequence of the layout, and when the number of bodies
        changes; `InvalidRequestError` for settings that cannot be used.
        """
        if self._is_flat is None:
            self._is_flat = is_of_image(frames, self._said)
        if self._is_flat:
            sequence = check_image_joints(frames, self._layout)
        else:
            sequence = check_solid(frames, self._layout, self._said)
        if self._num_bodies == 0:
            self._num_bodies = sequence.shape[1]
            yield self._opening()
        if sequence.shape[1] != self._num_bodies:
            raise InvalidSkeletonError(
                f"these frames hold {sequence.shape[1]} bodies, those before held {self._num_bodies}; give every frame "
                f"the same number, NaN where one is not there."
            )
        # Within both limits of a message.
        bytes_per_frame = sequence[0].nbytes
        most = max(1, min(self._info.limits.max_frames, self._info.limits.max_message_bytes // 2 // bytes_per_frame))
        for start in range(0, len(sequence), most):
            part = sequence[start : start + most]
            message = stream_pb2.Frames(positions=write_positions(part), num_frames=len(part))
            yield stream_pb2.EmbedStreamRequest(frames=message)

    def read(self, reply: stream_pb2.EmbedStreamResponse) -> StreamedWindow:
        """The window of a reply."""
        return StreamedWindow(
            first_frame=reply.first_frame,
            start_s=reply.start_s,
            end_s=reply.end_s,
            embedding=read_embedding(reply.embedding, self._info.embedding_size)
            if reply.HasField("embedding")
            else None,
            problem=reply.problem,
            neighbours=tuple(map(read_neighbour, reply.neighbours)),
            classification=read_classification(reply.classification) if reply.HasField("classification") else None,
            num_dropped=reply.num_dropped,
        )

    def _opening(self) -> stream_pb2.EmbedStreamRequest:
        settings = self._settings
        for name in ("window_frames", "stride_frames", "top_k", "num_neighbours"):
            number = getattr(settings, name)
            if not 0 <= number < 2**31:
                with in_field(name):
                    raise InvalidRequestError(f"it is {number}; it must be 0 or more, and below 2^31.")
        config = stream_pb2.StreamConfig(
            **write_layout(self._layout),
            num_bodies=self._num_bodies,
            fps=settings.fps,
            window_frames=settings.window_frames,
            stride_frames=settings.stride_frames,
            lossless=settings.lossless,
            expected_encoder_digest=self._info.encoder_digest,
        )
        if self._is_flat:
            config.dimensions = 2
            config.image_width, config.image_height = self._said.image_size or (0.0, 0.0)
        if (said := write_conventions(self._said)) is not None:
            config.conventions.CopyFrom(said)
        scope = Scope(sendable_name(settings.gallery), settings.where, settings.effort)
        if settings.top_k:
            config.search.CopyFrom(write_search(scope, settings.top_k))
        if settings.num_neighbours:
            voting = Voting(
                settings.num_neighbours,
                settings.weighting,
                settings.temperature,
                settings.unknown_below,
                settings.balanced,
            )
            config.classify.CopyFrom(write_classify(scope, voting))
        return stream_pb2.EmbedStreamRequest(config=config)


def _conventions_of(settings: StreamSettings) -> Conventions:
    """All that settings say of how numbers are meant. Raises `InvalidRequestError` where they contradict themselves."""
    with in_field("conventions"):
        check_type(settings.conventions, Conventions, 'give Conventions, such as Conventions(up="-y")')
    said = settings.conventions
    for name in ("dimensions", "image_size"):
        mine, theirs = getattr(settings, name), getattr(said, name)
        if mine is not None and theirs is not None and mine != theirs:
            with in_field(name):
                raise InvalidRequestError(f"it is {mine}, and that of `conventions` is {theirs}; say it once.")
        said = replace(said, **{name: theirs if mine is None else mine})
    with in_field("fps"):
        if said.fps is not None:
            raise InvalidRequestError("conventions.fps is for files; the rate of a stream is StreamSettings.fps.")
        Conventions(fps=settings.fps)
    return said
