"""The batcher, with a fake encoder that returns each clip's number: clip i is filled with i, and its vector is [i]."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from gfp_serve.batching.batcher import Batcher, Pace
from gfp_serve.errors import ClosedError, OverloadedError

HANG_S = 60  # longer than any wait on a busy machine: a test that reaches this hangs


class Fake:
    """Waits at a gate, remembers the numbers of each batch, and raises for a batch with number 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._another = threading.Condition()  # batch
        self.gate = threading.Event()
        self.entered = threading.Event()

    def encode(self, clips: np.ndarray) -> np.ndarray:
        numbers = clips[:, 0, 0, 0, 0]
        with self._another:
            self.batches.append(numbers.astype(int).tolist())
            self._another.notify_all()
        self.entered.set()
        assert self.gate.wait(HANG_S)
        if 13 in numbers:
            raise RuntimeError("thirteen")
        return numbers[:, None]

    def wait_for_batches(self, number: int) -> None:
        with self._another:
            assert self._another.wait_for(lambda: len(self.batches) >= number, HANG_S)


def clip(number: int, bodies: int = 1) -> np.ndarray:
    return np.full((bodies, 2, 3, 3), number, dtype=np.float32)


@asynccontextmanager
async def batching(fake: Fake, *, max_batch_bodies: int = 8, max_admitted_bodies: int = 8) -> AsyncIterator[Batcher]:
    batcher = Batcher(fake.encode, pace=Pace(max_batch_bodies), max_admitted_bodies=max_admitted_bodies)
    try:
        yield batcher
    finally:
        fake.gate.set()
        await batcher.close()


async def start(batcher: Batcher, *clips: np.ndarray) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(batcher.encode(each)) for each in clips]
    await asyncio.sleep(0)
    return tasks


async def occupy(batcher: Batcher, fake: Fake) -> asyncio.Task:
    """Send clip 0 and wait until it is in the encoder, so that what follows has to queue."""
    (task,) = await start(batcher, clip(0))
    assert await asyncio.to_thread(fake.entered.wait, HANG_S)
    return task


async def answers(*tasks: asyncio.Task) -> list[float]:
    return [float((await task).vector[0]) for task in tasks]


async def test_waiting_clips_go_into_one_batch_and_each_caller_gets_their_own_answer():
    fake = Fake()
    async with batching(fake) as batcher:
        first = await occupy(batcher, fake)
        others = await start(batcher, clip(1), clip(2), clip(3))
        fake.gate.set()
        assert await answers(first, *others) == [0, 1, 2, 3]
    assert fake.batches == [[0], [1, 2, 3]]


async def test_a_client_that_hangs_up_does_not_stop_its_neighbours_answers():
    fake = Fake()
    async with batching(fake) as batcher:
        first = await occupy(batcher, fake)
        others = await start(batcher, clip(1), clip(2), clip(3))
        others[1].cancel()
        fake.gate.set()
        assert await answers(first, others[0], others[2]) == [0, 1, 3]
    assert fake.batches == [[0], [1, 3]], "the clip of the caller who left was computed"


async def test_a_caller_who_leaves_during_their_batch_does_not_stop_their_neighbours():
    fake = Fake()
    async with batching(fake) as batcher:
        first = await occupy(batcher, fake)
        first.cancel()
        (second,) = await start(batcher, clip(2))
        fake.gate.set()
        assert await answers(second) == [2]


async def test_a_batch_that_fails_does_not_stop_the_next_one():
    fake = Fake()
    async with batching(fake, max_batch_bodies=2) as batcher:
        first = await occupy(batcher, fake)
        one, thirteen, next_one = await start(batcher, clip(1), clip(13), clip(2))
        fake.gate.set()
        assert await answers(first, next_one) == [0, 2]
        for failed in (one, thirteen):
            with pytest.raises(RuntimeError, match="thirteen"):
                await failed


async def test_an_encoder_that_gives_too_few_vectors_fails_its_batch_only():
    calls = []

    def encode(clips: np.ndarray) -> np.ndarray:
        calls.append(len(clips))
        return clips[: len(clips) - (len(calls) == 1), 0, 0, 0, :1]

    batcher = Batcher(encode, pace=Pace(8), max_admitted_bodies=8)
    with pytest.raises(RuntimeError, match="0 vectors for 1 clips"):
        await batcher.encode(clip(1))
    assert (await batcher.encode(clip(2))).vector == [2]
    await batcher.close()


async def test_clips_with_one_body_and_with_two_go_into_separate_batches_oldest_first():
    fake = Fake()
    async with batching(fake) as batcher:
        first = await occupy(batcher, fake)
        others = await start(batcher, clip(1, bodies=2), clip(2), clip(3, bodies=2), clip(4))
        fake.gate.set()
        assert await answers(first, *others) == [0, 1, 2, 3, 4]
    assert fake.batches == [[0], [1, 3], [2, 4]]


async def test_equal_clips_of_a_batch_are_encoded_once_and_each_caller_is_answered():
    fake = Fake()
    lost = clip(4)
    lost[:, 0, 1] = np.nan
    hardly_other = clip(3)
    hardly_other[0, 1, 2, 2] += 1e-6
    async with batching(fake, max_admitted_bodies=16) as batcher:
        tasks = await start(batcher, clip(1))
        await asyncio.to_thread(fake.entered.wait, HANG_S)
        tasks += await start(batcher, clip(3), lost, clip(3), clip(2), hardly_other, lost.copy(), clip(3))
        fake.gate.set()
        found = [(await task).vector.tolist() for task in tasks]
    assert fake.batches == [[1], [3, 4, 2, 3]]
    assert found == [[1], [3], [4], [3], [2], [3], [4], [3]]


async def test_equal_clips_that_wait_are_encoded_once_however_few_bodies_a_batch_holds():
    fake = Fake()
    async with batching(fake, max_batch_bodies=1, max_admitted_bodies=16) as batcher:
        first = await occupy(batcher, fake)
        many = [asyncio.create_task(batcher.encode(clip(number), call="many")) for number in (5, 6, 5, 5)]
        await asyncio.sleep(0)
        ones = await start(batcher, clip(7), clip(5), clip(6))
        fake.gate.set()
        assert await answers(first, *many, *ones) == [0, 5, 6, 5, 5, 7, 5, 6]
    assert fake.batches == [[0], [5], [7], [6]]


async def test_a_lone_clip_that_several_wait_for_is_still_a_lone_clip():
    fake, alone = Fake(), []

    def encode_alone(clips: np.ndarray) -> np.ndarray:
        alone.append(clips[:, 0, 0, 0, 0].tolist())
        return clips[:, 0, 0, 0, :1]

    batcher = Batcher(fake.encode, pace=Pace(1, encode_alone=None), max_admitted_bodies=8)
    try:
        first = await occupy(batcher, fake)
        batcher.pace = Pace(1, encode_alone=encode_alone)
        others = await start(batcher, clip(5), clip(5), clip(5))
        fake.gate.set()
        assert await answers(first, *others) == [0, 5, 5, 5]
    finally:
        fake.gate.set()
        await batcher.close()
    assert alone == [[5]]


async def test_what_waits_for_another_vector_keeps_its_turn():
    fake = Fake()
    async with batching(fake, max_batch_bodies=1, max_admitted_bodies=16) as batcher:
        first = await occupy(batcher, fake)
        calls = [
            asyncio.create_task(batcher.encode(clip(number), call=call))
            for call, number in (("a", 1), ("b", 1), ("b", 2), ("c", 3))
        ]
        await asyncio.sleep(0)
        fake.gate.set()
        assert await answers(first, *calls) == [0, 1, 1, 2, 3]
    assert fake.batches == [[0], [1], [2], [3]]


@pytest.mark.parametrize(("num_nearly", "found"), [(3, True), (12, False)])
async def test_clips_that_only_look_equal_are_encoded_apart_and_many_end_the_search(num_nearly: int, found: bool):
    fake = Fake()
    nearly = [np.full((1, 40, 3, 3), 5, dtype=np.float32) for _ in range(1 + num_nearly)]
    for number, each in enumerate(nearly):
        each[0, 0, 0, 1] += number  # not among the numbers that are looked at first
    async with batching(fake, max_batch_bodies=1, max_admitted_bodies=32) as batcher:
        first = await occupy(batcher, fake)
        tasks = await start(batcher, *nearly, nearly[0].copy())
        fake.gate.set()
        await answers(first, *tasks)
    assert len(fake.batches) == 1 + len(nearly) + (not found)


async def test_a_batch_holds_no_more_bodies_than_allowed():
    fake = Fake()
    async with batching(fake, max_batch_bodies=4) as batcher:
        first = await occupy(batcher, fake)
        others = await start(batcher, *(clip(number, bodies=2) for number in (1, 2, 3)))
        fake.gate.set()
        assert await answers(first, *others) == [0, 1, 2, 3]
    assert fake.batches == [[0], [1, 2], [3]]


async def test_a_call_of_many_clips_and_calls_of_one_take_turns():
    fake = Fake()
    async with batching(fake, max_batch_bodies=4, max_admitted_bodies=99) as batcher:
        first = await occupy(batcher, fake)
        many = [asyncio.create_task(batcher.encode(clip(number), call="many")) for number in range(20, 30)]
        await asyncio.sleep(0)
        ones = await start(batcher, *(clip(number) for number in range(1, 6)))
        fake.gate.set()
        assert await answers(first, *ones) == [0, 1, 2, 3, 4, 5]
        assert await answers(*many) == list(range(20, 30))
    # A call of one clip is served before the second clip of a call of many, and no batch leaves room unused.
    assert fake.batches == [[0], [20, 1, 2, 3], [4, 5, 21, 22], [23, 24, 25, 26], [27, 28, 29]]


async def test_a_batch_starts_with_the_call_after_the_last_one_served():
    fake = Fake()
    async with batching(fake, max_batch_bodies=2, max_admitted_bodies=99) as batcher:
        first = await occupy(batcher, fake)
        tasks = [
            asyncio.create_task(batcher.encode(clip(10 * call + place), call=call))
            for call in (1, 2, 3)
            for place in range(2)
        ]
        await asyncio.sleep(0)
        fake.gate.set()
        await answers(first, *tasks)
    assert fake.batches == [[0], [10, 20], [30, 11], [21, 31]]


class Lanes(Fake):
    """Tells the whole device from lanes. `most` is the largest number of calls that ran in lanes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[list[int]] = []
        self.most = self._now = 0
        self._lock = threading.Lock()

    def encode(self, clips: np.ndarray) -> np.ndarray:
        self.alone.append(clips[:, 0, 0, 0, 0].astype(int).tolist())
        return super().encode(clips)

    def encode_beside(self, clips: np.ndarray) -> np.ndarray:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return super().encode(clips)
        finally:
            with self._lock:
                self._now -= 1

    def batcher(self, *, num_lanes: int, max_bodies: int = 8, split_from: int = 2) -> Batcher:
        pace = Pace(max_bodies, num_lanes, split_from, self.encode_beside)
        return Batcher(self.encode, pace=pace, max_lanes=num_lanes, max_admitted_bodies=99)


async def test_a_lone_clip_gets_the_whole_device_and_many_clips_get_lanes():
    fake = Lanes()
    batcher = fake.batcher(num_lanes=2)
    first = await occupy(batcher, fake)
    crowd = await start(batcher, *map(clip, range(1, 9)))
    assert fake.batches == [[0]], "nothing may run beside what has the whole device"
    fake.gate.set()
    assert await answers(first, *crowd) == list(range(9))
    assert await answers(*await start(batcher, clip(9, bodies=2))) == [9]
    await batcher.close()
    assert fake.alone == [[0], [9]]
    # Each lane took its share, so neither was idle.
    assert sorted(fake.batches[1:3]) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert fake.most <= 2


async def test_a_lone_clip_is_encoded_by_what_is_quickest_for_it_and_several_as_usual():
    fake, lone = Lanes(), Lanes()
    fake.gate.set()
    lone.gate.set()
    batcher = Batcher(fake.encode, pace=Pace(8, encode_alone=lone.encode), max_admitted_bodies=99)
    assert await answers(*await start(batcher, clip(1))) == [1]
    assert await answers(*await start(batcher, clip(2), clip(3))) == [2, 3]
    await batcher.close()
    assert (lone.alone, fake.alone) == ([[1]], [[2, 3]])


async def test_a_free_lane_takes_new_clips_while_the_others_are_busy():
    fake = Lanes()
    batcher = fake.batcher(num_lanes=3, max_bodies=1, split_from=2)
    tasks = await start(batcher, clip(1), clip(2))
    await asyncio.to_thread(fake.wait_for_batches, 2)
    tasks += await start(batcher, clip(3), clip(4))
    await asyncio.to_thread(fake.wait_for_batches, 3)
    # Before the gate opens: once all three are done, clip 4 would be alone.
    assert sorted(fake.batches) == [[1], [2], [3]]
    assert fake.alone == []
    fake.gate.set()
    assert await answers(*tasks) == [1, 2, 3, 4]
    await batcher.close()
    assert fake.most == 3


async def test_a_lane_that_fails_does_not_stop_the_others():
    fake = Lanes()
    batcher = fake.batcher(num_lanes=2, max_bodies=1)
    thirteen, other, later = await start(batcher, clip(13), clip(1), clip(2))
    fake.gate.set()
    assert await answers(other, later) == [1, 2]
    with pytest.raises(RuntimeError, match="thirteen"):
        await thirteen
    await batcher.close()


async def test_an_observer_hears_of_batches_and_of_clips_that_nobody_waits_for():
    class Watcher:
        def __init__(self) -> None:
            self.seen: list[object] = []

        def computed(self, num_bodies, queue_s, inference_s):
            self.seen.append((num_bodies, len(queue_s)))
            assert min(*queue_s, inference_s, 1) >= 0

        def dropped(self, num_clips):
            self.seen.append(num_clips)

    fake, watcher = Fake(), Watcher()
    batcher = Batcher(fake.encode, pace=Pace(8), max_admitted_bodies=8, watcher=watcher)
    first = await occupy(batcher, fake)
    stays, leaves = await start(batcher, clip(1, bodies=2), clip(2))
    leaves.cancel()
    fake.gate.set()
    await answers(first, stays)
    await batcher.close()
    assert watcher.seen == [(1, 1), 1, (2, 1)]


async def test_bodies_beyond_the_limit_are_refused_at_once_and_taken_when_others_have_left():
    async with batching(Fake(), max_admitted_bodies=3) as batcher:
        with batcher.admit(2):
            with pytest.raises(OverloadedError, match=r"2 bodies wait.*limit of 3") as refused, batcher.admit(2):
                pass
            assert refused.value.retry_after_s > 0
            with batcher.admit(1):
                pass
        with batcher.admit(3):
            pass


async def test_closing_answers_admitted_clips_and_refuses_later_ones():
    fake = Fake()
    async with batching(fake) as batcher:

        async def caller() -> float:
            with batcher.admit(1):
                return float((await batcher.encode(clip(5))).vector[0])

        admitted = asyncio.create_task(caller())
        assert await asyncio.to_thread(fake.entered.wait, HANG_S)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError), batcher.admit(1):
            pass
        assert not closing.done()
        fake.gate.set()
        assert await admitted == 5
        await closing


async def test_waiting_and_computing_are_timed_separately(monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            return self.now

    clock, fake = Clock(), Fake()
    monkeypatch.setattr("gfp_serve.batching.batcher.time", clock)
    async with batching(fake) as batcher:
        first = await occupy(batcher, fake)
        clock.now = 2.0
        (second,) = await start(batcher, clip(1))
        clock.now = 5.0
        fake.gate.set()
        assert ((await first).queue_s, (await first).inference_s) == (0.0, 5.0)
        assert ((await second).queue_s, (await second).inference_s) == (3.0, 0.0)
