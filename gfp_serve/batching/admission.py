"""Admission: a bounded amount of work that waits or is done. What has no room is refused at once."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from gfp_serve.errors import ClosedError, OverloadedError


class Admission:
    """Room for `most` units of work. `what` says in errors what waits, and `setting` which option gives it more room.
    Nobody is told to come back later than after `longest_wait_s`.

    Used inside one event loop.
    """

    def __init__(self, most: int, *, what: str, setting: str, longest_wait_s: float = math.inf) -> None:
        self.admitted = 0
        self.most = most
        self._what = what
        self._setting = setting
        self._longest_wait_s = longest_wait_s
        self._left = asyncio.Event()
        self._closed = False
        self._seconds_per_unit = 0.0

    @contextmanager
    def admit(self, amount: int, *, leave: int = 0, asked: int | None = None) -> Iterator[None]:
        """Take room for this many units until the block ends, and leave room for `leave` others.

        `asked` is what errors call the amount, where less is taken than what was asked for.

        Raises `OverloadedError` at once when there is no room, `ClosedError` after `close`.
        """
        if self._closed:
            raise ClosedError(
                "the server is shutting down and takes no more work; ask another server, or try again later."
            )
        if self.admitted + amount + leave > self.most:
            wanted = f"{amount}" if asked in (None, amount) else f"{asked} (counted as {amount})"
            raise OverloadedError(
                f"{self.admitted} {self._what}, and {wanted} more would pass the limit of {self.most - leave}; try "
                f"again later, or raise {self._setting}.",
                retry_after_s=min(self._longest_wait_s, max(0.1, self.admitted * self._seconds_per_unit)),
            )
        self.admitted += amount
        try:
            yield
        finally:
            self.admitted -= amount
            self._left.set()

    def measured(self, seconds_per_unit: float) -> None:
        """Take a measurement into account when callers are told how long to wait."""
        weight = 0.2 if self._seconds_per_unit else 1.0
        self._seconds_per_unit += weight * (seconds_per_unit - self._seconds_per_unit)

    async def close(self) -> None:
        """Refuse more work, and wait until what was admitted is done."""
        self._closed = True
        while self.admitted:
            self._left.clear()
            await self._left.wait()
