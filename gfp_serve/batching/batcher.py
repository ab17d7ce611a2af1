"""The batcher: a bounded queue of clips and the threads that encode them in batches. Knows neither gRPC nor the model.

There is no timer: a batch is what waits when the encoder becomes free. Callers take turns, clip by clip, so that a
request of five hundred clips does not keep a request of one clip waiting for all of them.

On a CPU, an encoder call on many cores answers one caller soonest, if the encoder is large, but its threads wait for
each other. Calls on one core each, at the same time, answer more callers per second; each such core is called a lane.
So a lone clip gets as many cores as help it, and many waiting clips get lanes.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32

from gfp_serve.batching.admission import Admission
from gfp_serve.bundle import Encode
from gfp_serve.priority import lower_thread_priority

_log = logging.getLogger(__name__)

# To find equal clips, this many numbers of each are looked at before clips are compared whole.
_LOOKED_AT = 64
# Comparisons of clips that only look equal end the search for equal ones that wait, so that nobody can make it long.
_MOST_UNEQUAL = 8

_ModelInput = Float32[np.ndarray, "bodies frames joints 3"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip's vector, how long the clip waited for the encoder, and how long its batch took there."""

    vector: Float32[np.ndarray, " embedding_size"]
    queue_s: float
    inference_s: float


@runtime_checkable
class Watcher(Protocol):
    """Is told what the batcher does, for metrics."""

    def computed(self, num_bodies: int, queue_s: Sequence[float], inference_s: float) -> None:
        """A batch of this many bodies was encoded; `queue_s` is how long each of its clips had waited."""

    def dropped(self, num_clips: int) -> None:
        """The callers of this many clips left before the encoder saw the clips."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How waiting clips become calls of the encoder.

    A call encodes at most `max_bodies`. Once `split_from` clips wait for a free encoder, up to `num_lanes` calls of
    `encode_in_lane` run at the same time, if there is such a function. Fewer clips are encoded by one call after
    another; a call of one clip is `encode_alone`, if there is such a function.
    """

    max_bodies: int
    num_lanes: int = 1
    split_from: int = 2
    encode_in_lane: Encode | None = None
    encode_alone: Encode | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    clip: Float32[np.ndarray, "bodies frames joints 3"]
    glance: bytes  # is equal for equal clips
    future: asyncio.Future[Encoded]
    since: float


class Batcher:
    """Groups waiting clips by shape, runs `encode` in worker threads, and answers each caller.

    `pace` may be changed at any time, to at most `max_lanes`. `max_admitted_bodies` bounds the bodies of all clips that
    are being prepared, wait, or are encoded. Made and used inside one event loop; `close` must be awaited.
    """

    def __init__(
        self,
        encode: Encode,
        *,
        pace: Pace,
        max_admitted_bodies: int,
        max_lanes: int = 1,
        watcher: Watcher | None = None,
    ) -> None:
        self.pace = pace
        self._encode = encode
        self._room = Admission(max_admitted_bodies, what="bodies wait for the encoder", setting="--max-admitted-bodies")
        self._room.measured(0.05)  # a guess until the first batch is measured
        self._watcher = watcher
        # The waiting clips of each request. The request whose turn is next is in front.
        self._lines: OrderedDict[Hashable, deque[_Entry]] = OrderedDict()
        self._wake = asyncio.Event()  # a clip has come, or a call of the encoder has ended
        self._workers = ThreadPoolExecutor(max_lanes, thread_name_prefix="encoder", initializer=lower_thread_priority)
        self._running: set[asyncio.Task[None]] = set()
        self._whole_device = False  # whether the call that runs has all cores
        self._task = asyncio.create_task(self._run(), name="batcher")

    @property
    def admitted_bodies(self) -> int:
        """The bodies that are being prepared, wait, or are encoded."""
        return self._room.admitted

    def admit(self, num_bodies: int) -> AbstractContextManager[None]:
        """Take room for this many bodies, from before they are prepared until they are answered.

        Raises what `Admission.admit` does.
        """
        return self._room.admit(num_bodies)

    async def encode(
        self, clip: Float32[np.ndarray, "bodies frames joints 3"], *, call: Hashable | None = None
    ) -> Encoded:
        """The clip's vector. Use it inside `admit`. A clip whose caller has left is not encoded.

        Clips of one request have the same `call`; requests take turns. Without `call`, the clip is a request of its
        own. What `encode` raises is raised to every caller of that batch, and to no other.
        """
        entry = _Entry(clip, _glance(clip), asyncio.get_running_loop().create_future(), time.perf_counter())
        self._lines.setdefault(id(entry) if call is None else call, deque()).append(entry)
        self._wake.set()
        return await entry.future

    async def close(self) -> None:
        """Refuse new clips, answer those that were admitted, and end the threads."""
        await self._room.close()
        self._task.cancel()
        # A batch whose callers have all left may still be running.
        await asyncio.wait([self._task, *self._running])
        self._workers.shutdown()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (batch := self._next_batch()) is not None:
                call = asyncio.create_task(self._compute(*batch), name="encoder call")
                self._running.add(call)
                call.add_done_callback(self._free)

    def _free(self, call: asyncio.Task[None]) -> None:
        self._running.discard(call)
        self._wake.set()

    async def _compute(self, encode: Encode, batch: list[_Entry]) -> None:
        started = time.perf_counter()
        try:
            vectors, num_bodies = await asyncio.get_running_loop().run_in_executor(
                self._workers, _encode_batch, encode, batch
            )
        # Everything is caught here: what a batch raises is for its callers, and the next batch must run.
        except Exception as error:
            for entry in batch:
                if not entry.future.done():
                    entry.future.set_exception(error)
            return
        inference_s = time.perf_counter() - started
        self._room.measured(inference_s / num_bodies / max(1, len(self._running)))
        waited = [started - entry.since for entry in batch]
        if self._watcher is not None:
            self._watcher.computed(num_bodies, waited, inference_s)
        _log.debug(
            "batch: clips=%d bodies=%d longest_wait_ms=%.1f encoder_ms=%.1f",
            *(len(batch), num_bodies, 1000 * max(waited), 1000 * inference_s),
        )
        for entry, vector, queue_s in zip(batch, vectors, waited, strict=True):
            if not entry.future.done():
                entry.future.set_result(Encoded(vector, queue_s, inference_s))

    def _next_batch(self) -> tuple[Encode, list[_Entry]] | None:
        """The next batch, and the function that encodes it; None when nothing is free or nothing waits."""
        pace = self.pace
        if self._running and (self._whole_device or len(self._running) >= pace.num_lanes):
            return None
        self._drop_abandoned()
        if not self._lines:
            return None
        if not self._running:
            num_clips = sum(map(len, self._lines.values()))
            self._whole_device = pace.encode_in_lane is None or num_clips < pace.split_from
        if self._whole_device or pace.encode_in_lane is None:
            batch = self._take(pace.max_bodies)
            encode = pace.encode_alone if len(batch) == 1 and pace.encode_alone else self._encode
            return encode, batch + self._take_equal(batch)
        # A share of what waits, so that there is work for the other lanes too.
        num_bodies = sum(map(_count_bodies, self._lines.values()))
        share = math.ceil(num_bodies / (pace.num_lanes - len(self._running)))
        batch = self._take(min(share, pace.max_bodies))
        return pace.encode_in_lane, batch + self._take_equal(batch)

    def _take(self, max_bodies: int) -> list[_Entry]:
        """Take the next batch from the lines: at least one clip, and as many of its shape as fit."""
        # The clip whose turn is next decides the shape, so that every shape gets its turn.
        shape = next(iter(self._lines.values()))[0].clip.shape
        batch: list[_Entry] = []
        turns = deque(self._lines)
        while turns and (not batch or (len(batch) + 1) * shape[0] <= max_bodies):
            call = turns.popleft()
            line = self._lines[call]
            entry = next((entry for entry in line if entry.clip.shape == shape), None)
            if entry is None:
                continue
            line.remove(entry)
            batch.append(entry)
            if line:
                self._lines.move_to_end(call)
                turns.append(call)
            else:
                del self._lines[call]
        return batch

    def _take_equal(self, batch: list[_Entry]) -> list[_Entry]:
        """Take from the lines what waits for a vector of this batch: it costs the encoder nothing."""
        taken: list[_Entry] = []
        num_unequal = 0
        alike: dict[bytes, list[_Entry]] = {}
        for entry in batch:
            alike.setdefault(entry.glance, []).append(entry)
        for call, line in list(self._lines.items()):
            left: deque[_Entry] = deque()
            for entry in line:
                is_equal = False
                for other in alike.get(entry.glance, ()):
                    if is_equal or num_unequal >= _MOST_UNEQUAL:
                        break
                    is_equal = _are_equal(entry.clip, other.clip)
                    num_unequal += not is_equal
                (taken if is_equal else left).append(entry)
            if not left:
                del self._lines[call]
            elif len(left) < len(line):
                self._lines[call] = left  # its turn stays
        return taken

    def _drop_abandoned(self) -> None:
        # A caller who hung up must not cost time of the encoder, nor stop the answers of others.
        num_dropped = 0
        for call, line in list(self._lines.items()):
            live = deque(entry for entry in line if not entry.future.done())
            num_dropped += len(line) - len(live)
            if live:
                self._lines[call] = live
            else:
                del self._lines[call]
        if num_dropped and self._watcher is not None:
            self._watcher.dropped(num_dropped)


def _encode_batch(encode: Encode, batch: list[_Entry]) -> tuple[Float32[np.ndarray, "batch embedding_size"], int]:
    """The vectors of a batch, and how many bodies were encoded for them."""
    different, places = _once_each([entry.clip for entry in batch])
    vectors = encode(np.stack(different))
    if len(vectors) != len(different):
        raise RuntimeError(f"the encoder gave {len(vectors)} vectors for {len(different)} clips")
    return vectors[places], sum(map(len, different))


def _once_each(clips: list[_ModelInput]) -> tuple[list[_ModelInput], list[int]]:
    """Clips without repeats, and the place of each given clip among them."""
    different: list[_ModelInput] = []
    alike: dict[bytes, list[int]] = {}
    places = []
    for clip in clips:
        seen = alike.setdefault(_glance(clip), [])
        place = next((each for each in seen if _are_equal(different[each], clip)), len(different))
        if place == len(different):
            different.append(clip)
            seen.append(place)
        places.append(place)
    return different, places


def _glance(clip: _ModelInput) -> bytes:
    whole = _numbers(clip)
    return whole[:: max(1, whole.size // _LOOKED_AT)].tobytes()


def _are_equal(one: _ModelInput, other: _ModelInput) -> bool:
    """Whether all bytes are: NaN is not equal to itself."""
    return one.shape == other.shape and np.array_equal(_numbers(one), _numbers(other))


def _numbers(clip: _ModelInput) -> Int32[np.ndarray, " numbers"]:
    return np.ascontiguousarray(clip).reshape(-1).view(np.int32)


def _count_bodies(entries: Iterable[_Entry]) -> int:
    return sum(len(entry.clip) for entry in entries)
