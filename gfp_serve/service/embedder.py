"""Sequences of the wire -> embeddings: limits, admission, preprocessing, batcher. Every servicer uses it."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from gfp_serve.batching.batcher import Batcher
from gfp_serve.batching.turns import Turns, Work
from gfp_serve.bundle import Manifest
from gfp_serve.config import Limits
from gfp_serve.doubts import Doubt, Look, look_at
from gfp_serve.errors import EncoderMismatchError, GfpError, InvalidRequestError, InvalidSkeletonError, in_field
from gfp_serve.kept_motion import KeptMotion, motion_of
from gfp_serve.layouts import Layout
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import MAX_BODIES, clean, sample
from gfp_serve.v1 import embedding_pb2
from gfp_serve.wire.arrays import check_size, read_fps, read_sequence

# Preparing this many takes half a millisecond (four hundred frames of two bodies), which is less than it takes to hand
# them to a thread and back while the encoder is busy.
_FEW_COORDINATES = 2**16


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors, what their sequences look like, and how long they took.

    The times of queue and inference are those of the slowest sequence.
    """

    vectors: Float32[np.ndarray, "sequences embedding_size"]
    looks: Sequence[Look] = ()
    fields: Sequence[str] = ()
    motions: Sequence[KeptMotion | None] = ()  # of the sequences, if they were asked for
    further: Sequence[tuple[str, Doubt]] = ()  # doubts from how the sequences were read
    preprocess_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0

    @property
    def doubts(self) -> list[tuple[str, Doubt]]:
        """What may be wrong with the sequences, each with the field of its sequence."""
        of_looks = zip(self.fields, self.looks, strict=True)
        return [*self.further, *((field, doubt) for field, look in of_looks for doubt in look.doubts)]


# Requests with more names of joints are read in a thread.
_FEW_NAMES = 1_000


class Embedder:
    """Embeds sequences as the bundle asks, within `limits`."""

    def __init__(self, manifest: Manifest, batcher: Batcher, limits: Limits, turns: Turns) -> None:
        self.embedding_size = manifest.embedding_size
        self.encoder_digest = manifest.encoder_digest
        self.limits = limits
        self.compares_dimensions = manifest.compares_dimensions
        self.sees_travel = manifest.sees_travel
        self._dimensions = manifest.dimensions
        self._preprocess = manifest.preprocess
        self._batcher = batcher
        self._turns = turns

    def check_encoder(self, encoder_digest: str) -> None:
        """Raise `EncoderMismatchError` when the caller expects another encoder than this one; "" expects none."""
        if encoder_digest not in ("", self.encoder_digest):
            raise EncoderMismatchError(
                f"the caller expects encoder {encoder_digest[:12]}…, this server runs {self.encoder_digest[:12]}…; "
                f"their embeddings cannot be compared. Connect to a server that runs that encoder, or embed again."
            )

    def check_count(self, field: str, count: int) -> None:
        """Raise `InvalidRequestError` when a repeated field is empty or too long."""
        if not 1 <= count <= self.limits.max_sequences:
            with in_field(field):
                raise InvalidRequestError(
                    f"a request holds 1 to {self.limits.max_sequences} of them, got {count}; split it into several."
                    if count
                    else f"the request holds none; send 1 to {self.limits.max_sequences}."
                )

    async def embed(
        self, messages: Sequence[tuple[str, embedding_pb2.Sequence]], *, caller: str, with_motions: bool = False
    ) -> Embedded:
        """Embeddings of the sequences, in order; each sequence comes with its field in the request, for errors.

        With motions, there is one for each sequence, or None for a sequence of which none can be kept.

        Raises `InvalidSkeletonError` or `InvalidRequestError` for the first that cannot be used, `OverloadedError`, and
        `ClosedError`. Sequences of cancelled calls are not encoded.
        """
        # To read many joints, or many names of joints, takes long enough to hold up other calls. The counts are those
        # that the caller says: to ask for the length of `positions` would copy it.
        joints = sum(message.num_frames * message.num_bodies * message.num_joints for _, message in messages)
        names = sum(len(message.joint_names) for _, message in messages)
        is_long = 3 * joints > _FEW_COORDINATES or names > _FEW_NAMES
        sequences: list[tuple[str, Float32[np.ndarray, "_frames _bodies _joints 3"], Layout]] = []
        further: list[tuple[str, Doubt]] = []
        await self._do(_reading(messages, self.limits, sequences, further), is_long=is_long, caller=caller)
        fps = [read_fps(message) for _, message in messages] if with_motions else None
        return replace(await self._embed(sequences, caller, fps), further=further)

    async def embed_arrays(
        self, sequences: Sequence[tuple[str, Float32[np.ndarray, "_frames _bodies _joints 3"], Layout]], *, caller: str
    ) -> Embedded:
        """The same for sequences that have been read already."""
        for field, sequence, _ in sequences:
            with in_field(field):
                check_size(sequence.shape[0], sequence.shape[1], self.limits)
        return await self._embed(sequences, caller)

    async def _embed(
        self,
        sequences: Sequence[tuple[str, Float32[np.ndarray, "_frames _bodies _joints 3"], Layout]],
        caller: str,
        fps_for_motions: Sequence[float | None] | None = None,
    ) -> Embedded:
        if not sequences:
            return Embedded(np.zeros((0, self.embedding_size), dtype=np.float32))
        fields = [field for field, _, _ in sequences]
        raw = [(sequence, layout) for _, sequence, layout in sequences]
        always_two = self._preprocess.sampling.keep_absent_bodies
        num_bodies = sum(MAX_BODIES if always_two else min(sequence.shape[1], MAX_BODIES) for sequence, _ in raw)
        # Before preprocessing, so that a request that will be refused costs nothing.
        with self._batcher.admit(num_bodies):
            started = time.perf_counter()
            is_long = sum(sequence.size for sequence, _ in raw) > _FEW_COORDINATES
            clips: list[Float32[np.ndarray, "_out_bodies num_frames joints 3"]] = []
            looks: list[Look] = []
            motions: list[KeptMotion | None] = []
            work = self._preparing(fields, raw, clips, looks, motions, fps_for_motions)
            await self._do(work, is_long=is_long, caller=caller)
            preprocess_s = time.perf_counter() - started
            call = object()
            encoded = await asyncio.gather(*(self._batcher.encode(clip, call=call) for clip in clips))
        vectors = np.stack([clip.vector for clip in encoded])
        _check_directions(fields, vectors)
        return Embedded(
            vectors,
            looks,
            fields,
            motions,
            preprocess_s=preprocess_s,
            queue_s=max(clip.queue_s for clip in encoded),
            inference_s=max(clip.inference_s for clip in encoded),
        )

    async def _do(self, work: Work, *, is_long: bool, caller: str) -> None:
        """Do the work here, or in turns with that of others if it would hold up other calls."""
        if is_long:
            await self._turns.run(work, caller=caller)
        else:
            deque(work, maxlen=0)

    def _preparing(
        self,
        fields: list[str],
        raw: list[tuple[Float32[np.ndarray, "_frames _bodies _joints 3"], Layout]],
        clips: list[Float32[np.ndarray, "_out_bodies num_frames joints 3"]],
        looks: list[Look],
        motions: list[KeptMotion | None],
        fps_for_motions: Sequence[float | None] | None,
    ) -> Work:
        for number, (field, (sequence, layout)) in enumerate(zip(fields, raw, strict=True)):
            with in_field(field):
                cleaned = clean(lost_as_nan(sequence, layout), layout, self._preprocess.cleaning)
                look = look_at(cleaned)
                self._check_dimensions(look)
                clips.append(sample(cleaned, self._preprocess.sampling))
                looks.append(look)
                if fps_for_motions is not None:
                    motions.append(motion_of(cleaned.positions, cleaned.known, fps_for_motions[number]))
            yield

    def _check_dimensions(self, look: Look) -> None:
        if look.dimensions not in self._dimensions:
            taken = " and ".join(f"{number}-D" for number in self._dimensions)
            raise InvalidSkeletonError(
                f"its joints are {look.dimensions}-D, and this server's encoder takes {taken} ones. Send joints in "
                f"space to an encoder for 3-D, and joints of an image to one for 2-D; GetInfo says what one takes."
            )


def _reading(
    messages: Sequence[tuple[str, embedding_pb2.Sequence]],
    limits: Limits,
    sequences: list[tuple[str, Float32[np.ndarray, "_frames _bodies _joints 3"], Layout]],
    further: list[tuple[str, Doubt]],
) -> Work:
    """Add the sequences of messages, each with its field, and doubts about how they were read."""
    for field, message in messages:
        try:
            sequence, layout, doubts = read_sequence(message, limits)
        except GfpError as error:
            error.field = f"{field}.{error.field}" if error.field else field
            raise
        sequences.append((field, sequence, layout))
        further += [(field, doubt) for doubt in doubts]
        yield


def write_timing(started_ns: int, embedded: Embedded | None = None, search_s: float = 0.0) -> embedding_pb2.Timing:
    """The timing of a call that began at `started_ns`, by `time.perf_counter_ns`, and ends now."""
    timing = embedding_pb2.Timing(search_ns=round(search_s * 1e9), total_ns=time.perf_counter_ns() - started_ns)
    if embedded is not None:
        timing.queue_ns = round(embedded.queue_s * 1e9)
        timing.preprocess_ns = round(embedded.preprocess_s * 1e9)
        timing.inference_ns = round(embedded.inference_s * 1e9)
    return timing


def _check_directions(fields: list[str], vectors: Float32[np.ndarray, "sequences embedding_size"]) -> None:
    for field, length in zip(fields, np.linalg.norm(vectors, axis=1), strict=True):
        # Written so that NaN does not pass.
        if not abs(length - 1) < 1e-3:
            with in_field(field):
                raise InvalidSkeletonError(
                    f"the encoder gives it no direction (a vector of length {length:.3g}, not 1), which happens when "
                    f"all joints are in one point. Check how the sequence was read."
                )
