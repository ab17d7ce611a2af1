"""What both clients say in a stream, and how they read the windows that come back, without a network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from gfp_serve.classify import Weighting
from gfp_serve.client.conversation import WEIGHTINGS, Classification, Info, checked_name, read_classification
from gfp_serve.errors import InvalidRequestError, InvalidSkeletonError
from gfp_serve.filters import Filter
from gfp_serve.items import Effort, Neighbour
from gfp_serve.skeleton import check_sequence, layout_named
from gfp_serve.v1 import gallery_pb2, stream_pb2
from gfp_serve.wire.convert import (
    read_embedding,
    read_neighbour,
    write_effort,
    write_filter,
    write_sequence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How a stream's frames are cut into windows, and what each window comes with."""

    window_frames: int
    stride_frames: int
    fps: float = 30.0  # of the frames, for the times of windows
    layout: str = "ntu25"
    top_k: int = 0  # nearest items of each window
    num_neighbours: int = 0  # that vote for the class of each window
    weighting: Weighting = "similarity"  # of their votes; see `Client.classify`
    temperature: float = 0.07
    unknown_below: float | None = None
    balanced: bool = False
    gallery: str = ""  # of neighbours and voters; see `Client.search`
    where: Filter | None = None
    effort: Effort = Effort()  # noqa: RUF009  (it cannot be changed)
    lossless: bool = False  # wait for a server that is too slow, instead of leaving out windows: for recordings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamedWindow:
    """A window of a stream, and what the server made of it."""

    first_frame: int
    start_s: float
    end_s: float
    embedding: Float32[np.ndarray, " embedding_size"] | None  # None: `problem` says why
    problem: str
    neighbours: tuple[Neighbour, ...]
    classification: Classification | None  # None when it was not asked for
    num_dropped: int  # windows left out just before this one


class StreamConversation:
    """What is said in one stream; every array of frames must hold as many bodies as the first."""

    def __init__(self, info: Info, settings: StreamSettings) -> None:
        self._info = info
        self._settings = settings
        self._layout = layout_named(settings.layout)
        self._num_bodies = 0

    def write(self, frames: np.ndarray) -> Iterator[stream_pb2.EmbedStreamRequest]:
        """The messages that bring these frames, after the opening one the first time.

        Raises `InvalidSkeletonError` for what is no sequence of the layout, and when the number of bodies changes.
        """
        sequence = check_sequence(frames, self._layout)
        if self._num_bodies == 0:
            self._num_bodies = sequence.shape[1]
            yield self._opening()
        if sequence.shape[1] != self._num_bodies:
            raise InvalidSkeletonError(
                f"these frames hold {sequence.shape[1]} bodies, those before held {self._num_bodies}; give every frame "
                f"the same number, NaN where one is not there."
            )
        # Within both limits of a message.
        bytes_a_frame = sequence[0].nbytes
        most = max(1, min(self._info.limits.max_frames, self._info.limits.max_message_bytes // 2 // bytes_a_frame))
        for start in range(0, len(sequence), most):
            part = sequence[start : start + most]
            positions = write_sequence(part, self._layout).positions
            yield stream_pb2.EmbedStreamRequest(frames=stream_pb2.Frames(positions=positions, num_frames=len(part)))

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
            if not 0 <= getattr(settings, name) < 2**31:
                raise InvalidRequestError(f"{name} is {getattr(settings, name)}; it must be 0 or more, and below 2^31.")
        config = stream_pb2.StreamConfig(
            layout=settings.layout,
            num_bodies=self._num_bodies,
            fps=settings.fps,
            window_frames=settings.window_frames,
            stride_frames=settings.stride_frames,
            lossless=settings.lossless,
            expected_encoder_digest=self._info.encoder_digest,
        )
        gallery, effort = checked_name(settings.gallery), write_effort(settings.effort)
        where = None if settings.where is None else write_filter(settings.where)
        if settings.top_k:
            search = gallery_pb2.SearchRequest(top_k=settings.top_k, gallery=gallery, filter=where, effort=effort)
            config.search.CopyFrom(search)
        if settings.num_neighbours:
            config.classify.CopyFrom(
                gallery_pb2.ClassifyRequest(
                    num_neighbours=settings.num_neighbours,
                    weighting=WEIGHTINGS[settings.weighting],
                    temperature=settings.temperature,
                    unknown_below=settings.unknown_below,
                    balanced=settings.balanced,
                    gallery=gallery,
                    filter=where,
                    effort=effort,
                )
            )
        return stream_pb2.EmbedStreamRequest(config=config)
