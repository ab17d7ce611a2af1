"""Turns: long work of many callers, done in pieces by a few threads. Knows neither gRPC nor galleries.

Work is an iterator: each step does a piece of it. A thread does pieces of one work for a short time; then, if others
wait, it is their turn. So light work waits for a few short times, however long the work of others is. Callers take
turns first, then the calls of each caller, so that many calls of one caller do not hold up another.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from gfp_serve.batching.admission import Admission

Work = Generator[None, None, None]

T = TypeVar("T")

# How long a thread works for one call while others wait.
TURN_S = 0.01

# Work is light if it costs at most this part of all room, and this part of the room is kept for it.
_LIGHT, _KEPT = 64, 8


@dataclass(slots=True, eq=False)
class _Entry:
    work: Work
    caller: Hashable
    future: asyncio.Future[None]
    seconds: float = field(default=0.0)  # that threads have worked on it


class Turns:
    """Does work in `num_threads` threads, while `room` admits what it costs.

    Made and used inside one event loop; `close` must be awaited.
    """

    def __init__(self, num_threads: int, room: Admission) -> None:
        self._room = room
        self._num_free = num_threads
        # The waiting work of each caller. The caller whose turn is next is in front.
        self._lines: OrderedDict[Hashable, deque[_Entry]] = OrderedDict()
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="turns")

    @property
    def admitted(self) -> int:
        """The cost of the work that waits or is done."""
        return self._room.admitted

    @contextmanager
    def admit(self, cost: int) -> Iterator[None]:
        """Take room for work of this cost, from before it is prepared until it is done.

        No work takes more than a quarter of the room, so that there is room for any work at some time; and some room is
        kept for light work. Raises what `Admission.admit` does.
        """
        most = self._room.most
        leave = most // _KEPT if cost > most // _LIGHT else 0
        with self._room.admit(min(cost, max(1, most // 4)), leave=leave, asked=cost):
            before, started = self._room.admitted, perf_counter()
            yield
            self._room.measured((perf_counter() - started) / before)

    async def run(self, work: Work, *, caller: Hashable) -> float:
        """Do the work; how many seconds it took, without those in which others had their turn. Raises what it raises.

        Use it inside `admit`, unless something else bounds it, as the limit of calls does. When this is cancelled, the
        work ends after the piece that is being done.
        """
        entry = _Entry(work, caller, asyncio.get_running_loop().create_future())
        self._wait(entry)
        await entry.future
        return entry.seconds

    async def do(self, function: Callable[[], T], *, caller: Hashable) -> T:
        """What a function gives that is done in one piece. Raises what it raises. See `run`."""
        given: list[T] = []

        def work() -> Work:
            given.append(function())
            yield

        await self.run(work(), caller=caller)
        return given.pop()

    async def close(self) -> None:
        """Refuse more work, finish what was admitted, and end the threads."""
        await self._room.close()
        await asyncio.to_thread(self._threads.shutdown)

    def _wait(self, entry: _Entry) -> None:
        self._lines.setdefault(entry.caller, deque()).append(entry)
        self._next()

    def _next(self) -> None:
        while self._num_free and self._lines:
            caller, line = next(iter(self._lines.items()))
            entry = line.popleft()
            self._lines.move_to_end(caller)
            if not line:
                del self._lines[caller]
            if entry.future.done():  # its caller left
                entry.work.close()
                continue
            self._num_free -= 1
            turn = asyncio.get_running_loop().run_in_executor(self._threads, self._take_turn, entry)
            turn.add_done_callback(lambda turn, entry=entry: self._end(entry, turn))  # type: ignore[misc]

    def _take_turn(self, entry: _Entry) -> bool:
        """Do pieces until the turn is over. Whether the work is done. Runs in a thread."""
        started = perf_counter()
        try:
            for _ in entry.work:
                if entry.future.done():
                    entry.work.close()
                    return True
                if self._lines and perf_counter() - started > TURN_S:
                    return False
            return True
        finally:
            entry.seconds += perf_counter() - started

    def _end(self, entry: _Entry, turn: asyncio.Future[bool]) -> None:
        self._num_free += 1
        error = turn.exception()
        if error is None and not turn.result():
            self._wait(entry)
            return
        future = entry.future
        # An error's traceback refers to the entry. If the entry still referred to the future, and so to the error, this
        # circle would keep the request in memory.
        del entry.future
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        self._next()
