"""Turns, with work that says which piece it does. One thread does it all, so that the order is known."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from gfp_serve.batching import turns as module
from gfp_serve.batching.admission import Admission
from gfp_serve.batching.turns import Turns, Work
from gfp_serve.errors import ClosedError, OverloadedError

HANG_S = 60  # longer than any wait on a busy machine: a test that reaches this hangs


class Pieces:
    """Remembers the pieces in the order in which they were done. Every piece waits at the gate."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def work(self, name: str, number: int = 1) -> Work:
        for piece in range(number):
            self.entered.set()
            assert self.gate.wait(HANG_S)
            self.done.append(f"{name}{piece}")
            yield


@asynccontextmanager
async def taking_turns(pieces: Pieces, most: int = 99) -> AsyncIterator[Turns]:
    turns = Turns(1, Admission(most, what="pieces wait", setting="--pieces"))
    try:
        yield turns
    finally:
        pieces.gate.set()
        await turns.close()


async def run(turns: Turns, work: Work, *, cost: int, caller: str) -> None:
    with turns.admit(cost):
        await turns.run(work, caller=caller)


@pytest.fixture(autouse=True)
def every_piece_is_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", -1.0)


async def occupy(turns: Turns, pieces: Pieces) -> asyncio.Task[None]:
    """Begin work that waits at the gate, so that what follows has to wait for its turn."""
    first = asyncio.create_task(run(turns, pieces.work("first"), cost=1, caller="first"))
    assert await asyncio.to_thread(pieces.entered.wait, HANG_S)
    return first


async def test_light_work_waits_for_one_piece_of_long_work() -> None:
    pieces = Pieces()
    async with taking_turns(pieces) as turns:
        long = asyncio.create_task(run(turns, pieces.work("long", 5), cost=5, caller="a"))
        assert await asyncio.to_thread(pieces.entered.wait, HANG_S)
        light = asyncio.create_task(run(turns, pieces.work("light"), cost=1, caller="b"))
        await asyncio.sleep(0)
        pieces.gate.set()
        await light
        await long
    assert pieces.done == ["long0", "light0", "long1", "long2", "long3", "long4"]


async def test_many_calls_of_one_caller_do_not_hold_up_another_caller() -> None:
    pieces = Pieces()
    async with taking_turns(pieces) as turns:
        await_first = await occupy(turns, pieces)
        calls = [
            asyncio.create_task(run(turns, pieces.work(name, 2), cost=2, caller=caller))
            for name, caller in (("a", "many"), ("b", "many"), ("c", "many"), ("x", "few"))
        ]
        await asyncio.sleep(0)
        pieces.gate.set()
        await asyncio.gather(await_first, *calls)
    assert pieces.done == ["first0", "a0", "x0", "b0", "x1", "c0", "a1", "b1", "c1"]


async def test_work_whose_caller_left_ends_after_its_piece_and_gives_its_room_back() -> None:
    pieces = Pieces()
    async with taking_turns(pieces) as turns:
        left = asyncio.create_task(run(turns, pieces.work("left", 50), cost=50, caller="a"))
        assert await asyncio.to_thread(pieces.entered.wait, HANG_S)
        waiting = asyncio.create_task(run(turns, pieces.work("waiting", 40), cost=40, caller="b"))
        await asyncio.sleep(0)
        for call in (left, waiting):
            call.cancel()
        await asyncio.wait([left, waiting])
        assert turns.admitted == 0
        pieces.gate.set()
        await run(turns, pieces.work("next"), cost=99, caller="c")
    assert pieces.done == ["left0", "next0"]


async def test_what_has_no_room_is_refused_at_once_with_the_option_that_gives_more() -> None:
    pieces = Pieces()
    async with taking_turns(pieces, most=3) as turns:
        held = ExitStack()
        for _ in range(3):
            held.enter_context(turns.admit(1))
        with (
            pytest.raises(OverloadedError, match=r"3 pieces wait, and 1 more .* limit of 3; .* --pieces") as caught,
            turns.admit(1),
        ):
            pass
        assert caught.value.retry_after_s > 0
        held.close()
        pieces.gate.set()
        await run(turns, pieces.work("later"), cost=3, caller="a")
    assert pieces.done == ["later0"]


async def test_any_work_has_room_at_some_time_and_light_work_beside_three_of_the_largest() -> None:
    async with taking_turns(Pieces(), most=640) as turns:
        with turns.admit(10**9), turns.admit(10**9), turns.admit(10**9):
            with pytest.raises(OverloadedError, match="and 81 more would pass"), turns.admit(81):
                pass
            with pytest.raises(OverloadedError, match=r"and 1000 \(counted as 160\) more"), turns.admit(1000):
                pass
            with ExitStack() as held:
                for _ in range(16):  # 640 - 3 × 160 is 160
                    held.enter_context(turns.admit(10))
                with pytest.raises(OverloadedError), turns.admit(1):
                    pass


async def test_an_error_is_raised_to_its_caller_and_to_no_other() -> None:
    def failing() -> Work:
        yield
        raise RuntimeError("thirteen")

    pieces = Pieces()
    pieces.gate.set()
    async with taking_turns(pieces) as turns:
        other = asyncio.create_task(run(turns, pieces.work("other", 3), cost=3, caller="b"))
        with pytest.raises(RuntimeError, match="thirteen"):
            await run(turns, failing(), cost=1, caller="a")
        await other
        assert turns.admitted == 0
    assert pieces.done == ["other0", "other1", "other2"]


async def test_close_finishes_what_was_admitted_and_refuses_the_rest() -> None:
    pieces = Pieces()
    async with taking_turns(pieces) as turns:
        first = await occupy(turns, pieces)
        closing = asyncio.create_task(turns.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await run(turns, pieces.work("late"), cost=1, caller="a")
        pieces.gate.set()
        await closing
        await first
    assert pieces.done == ["first0"]
