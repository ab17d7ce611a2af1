"""From many callers' clips to few model calls: a bounded queue and one worker thread. Knows no gRPC and no model.

There is no timer: a batch is what waits when the worker becomes free.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import ClosedError, OverloadedError

Encode = Callable[[Float32[np.ndarray, "batch bodies frames joints 3"]], Float32[np.ndarray, "batch embedding_size"]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A clip's vector, how long it waited for the worker, and how long its batch took there."""

    vector: Float32[np.ndarray, " embedding_size"]
    queue_s: float
    inference_s: float


@dataclass(frozen=True, slots=True)
class _Entry:
    clip: Float32[np.ndarray, "bodies frames joints 3"]
    future: asyncio.Future[Encoded]
    since: float


class Batcher:
    """Groups waiting clips by shape, runs `encode` in one worker thread, and answers each caller.

    `max_batch_bodies` bounds one model call, `max_admitted_bodies` all clips that callers have in the house. Made and
    used inside one event loop; `close` must be awaited.
    """

    def __init__(self, encode: Encode, *, max_batch_bodies: int, max_admitted_bodies: int) -> None:
        self._encode = encode
        self._max_batch_bodies = max_batch_bodies
        self._max_admitted_bodies = max_admitted_bodies
        self._admitted_bodies = 0
        self._waiting: list[_Entry] = []
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._closed = False
        self._seconds_per_body = 0.05  # a guess until the first batch is measured
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._task = asyncio.create_task(self._run(), name="batcher")

    @contextmanager
    def admit(self, num_bodies: int) -> Iterator[None]:
        """Room for that many bodies, from before they are prepared until they are answered.

        Raises `OverloadedError` at once when there is none, `ClosedError` after `close`.
        """
        if self._closed:
            raise ClosedError(
                "the server is shutting down and takes no more clips; ask another one, or try again later."
            )
        if self._admitted_bodies + num_bodies > self._max_admitted_bodies:
            raise OverloadedError(
                f"{self._admitted_bodies} bodies wait for the encoder, and {num_bodies} more would pass the limit of "
                f"{self._max_admitted_bodies}; try again later, or raise --max-admitted-bodies.",
                retry_after_s=max(0.1, self._admitted_bodies * self._seconds_per_body),
            )
        self._admitted_bodies += num_bodies
        try:
            yield
        finally:
            self._admitted_bodies -= num_bodies
            self._left.set()

    async def encode(self, clip: Float32[np.ndarray, "bodies frames joints 3"]) -> Encoded:
        """The clip's vector. Call it inside `admit`. A cancelled call that still waits is never computed.

        What `encode` raised is raised to every caller of that batch, and to no other.
        """
        entry = _Entry(clip, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._waiting.append(entry)
        self._arrived.set()
        return await entry.future

    async def close(self) -> None:
        """Refuse new clips, answer those that were admitted, and end the worker."""
        self._closed = True
        while self._admitted_bodies:
            self._left.clear()
            await self._left.wait()
        self._task.cancel()
        await asyncio.wait([self._task])
        # In a thread, because a batch whose callers have all left may still be running.
        await asyncio.to_thread(self._worker.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            if not batch:
                self._arrived.clear()
                continue
            started = time.perf_counter()
            try:
                vectors = await loop.run_in_executor(self._worker, self._encode_batch, batch)
            # The one place that catches everything: what a batch raises belongs to its callers, and the next must run.
            except Exception as error:
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(error)
                continue
            inference_s = time.perf_counter() - started
            num_bodies = sum(len(entry.clip) for entry in batch)
            self._seconds_per_body += 0.2 * (inference_s / num_bodies - self._seconds_per_body)
            for entry, vector in zip(batch, vectors, strict=True):
                if not entry.future.done():
                    entry.future.set_result(Encoded(vector, started - entry.since, inference_s))

    def _next_batch(self) -> list[_Entry]:
        # A caller that hung up must cost no model time, and must not stop its neighbours' answers.
        live = [entry for entry in self._waiting if not entry.future.done()]
        batch: list[_Entry] = []
        num_bodies = 0
        for entry in live:
            # The oldest clip chooses the shape, so that no shape starves.
            if entry.clip.shape != live[0].clip.shape:
                continue
            num_bodies += len(entry.clip)
            if batch and num_bodies > self._max_batch_bodies:
                break
            batch.append(entry)
        taken = {id(entry) for entry in batch}
        self._waiting = [entry for entry in live if id(entry) not in taken]
        return batch

    def _encode_batch(self, batch: list[_Entry]) -> Float32[np.ndarray, "batch embedding_size"]:
        vectors = self._encode(np.stack([entry.clip for entry in batch]))
        if len(vectors) != len(batch):
            raise RuntimeError(f"the encoder gave {len(vectors)} vectors for {len(batch)} clips")
        return vectors
