"""Indexes and derived files are made one after the other, whatever gallery they are for.

After an upgrade or a restored backup, all galleries may want theirs at once. Together they would take the memory of all
of them, and the cores from searches. Meanwhile, exact search serves.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Galleries whose vectors take less do not wait for larger ones, which may take an hour.
_LARGE_BYTES = 2**28
# How often one that waits asks whether it should stop.
_ASK_EACH_S = 0.1


class BuildQueue:
    """Lets one small and one large gallery of the process build at a time; of those that wait, the smallest next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._building: set[bool] = set()  # whether a small and a large one are at it
        self._waiting: list[tuple[int, object]] = []  # bytes, and who waits

    @contextmanager
    def turn(self, num_bytes: int, should_stop: Callable[[], bool]) -> Iterator[bool]:
        """Wait for the turn to build a gallery with vectors of this size; yield False if it should stop instead."""
        is_large, me = num_bytes >= _LARGE_BYTES, (num_bytes, object())
        with self._changed:
            self._waiting.append(me)
            try:
                while not (is_next := self._is_next(me, is_large)) and not should_stop():
                    self._changed.wait(_ASK_EACH_S)
            finally:
                self._waiting.remove(me)
            if is_next:
                self._building.add(is_large)
        try:
            yield is_next
        finally:
            if is_next:
                with self._changed:
                    self._building.discard(is_large)
                    self._changed.notify_all()

    def _is_next(self, me: tuple[int, object], is_large: bool) -> bool:
        rivals = [each for each in self._waiting if (each[0] >= _LARGE_BYTES) == is_large]
        return is_large not in self._building and min(rivals, key=lambda each: each[0]) is me


# One for all galleries of the process: they share its memory and cores.
BUILDS = BuildQueue()
