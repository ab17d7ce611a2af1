"""The windows of one stream that wait for their answers."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gfp_serve.errors import GfpError
from gfp_serve.windows import Window

# Windows that wait while others are answered: enough for a short delay, and little memory.
MAX_WAITING = 4


class WindowQueue:
    """A bounded queue between the reader of a stream and its answers.

    When it is full, it makes the reader wait (`lossless`, or while the caller does not take its replies), or drops the
    oldest window.
    """

    def __init__(self) -> None:
        self.lossless = False
        self.num_dropped = 0  # since the last reply
        self._windows: deque[Window] = deque()
        self._arrived, self._has_room = asyncio.Event(), asyncio.Event()
        self._is_sending = False
        self._ended = False
        self._error: GfpError | None = None

    async def put(self, window: Window) -> None:
        """Add a window, once there is room for it."""
        while len(self._windows) >= MAX_WAITING:
            # A caller that does not take its replies makes its own frames wait. When the encoder is too slow, the
            # oldest window goes, because the newest matters most.
            if not self.lossless and not self._is_sending:
                self._windows.popleft()
                self.num_dropped += 1
                break
            self._has_room.clear()
            await self._has_room.wait()
        self._windows.append(window)
        self._arrived.set()
        await asyncio.sleep(0)  # lets answers go out even if frames come faster than they can be read

    async def take(self) -> Window | None:
        """The next window; None at the end. Raises the error that the stream was ended with."""
        while not self._windows:
            if self._ended:
                if self._error is not None:
                    try:
                        raise self._error
                    finally:
                        # Its traceback refers to this stream: a circle that would keep the last message for long.
                        self._error = None
                return None
            self._arrived.clear()
            await self._arrived.wait()
        self._has_room.set()
        return self._windows.popleft()

    def end(self, error: GfpError | None = None) -> None:
        """Say that no more windows come, and why. Only the first call counts."""
        if not self._ended:
            self._ended, self._error = True, error
        self._arrived.set()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Use this around the sending of a reply."""
        self._is_sending = True
        self._has_room.set()
        try:
            yield
        finally:
            self._is_sending = False
            self._has_room.set()
