"""One thread that makes a gallery's changes: what waits together is made durable together."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from gfp_serve.errors import ClosedError

T = TypeVar("T")
C = TypeVar("C")

# Writes that are made durable together at most: the first of them must not wait for ever.
_WRITES_AT_ONCE = 256


class Writer(Generic[C]):
    """Makes changes in groups: each group in one `changing()`, whose `C` every change is given, then `publish(C)`.

    The thread starts with the first change.
    """

    def __init__(self, changing: Callable[[], AbstractContextManager[C]], publish: Callable[[C], None]) -> None:
        self._changing = changing
        self._publish = publish
        self._waiting: deque[tuple[Callable[[C], Any], Future[Any]]] = deque()
        self._between: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def change(self, apply: Callable[[C], T]) -> T:
        """What `apply` returns, once its change is durable and published. All of the group's callers see an error."""
        return self.change_soon(apply).result()

    def change_soon(self, apply: Callable[[C], T]) -> Future[T]:
        """The same as a future, for callers that have something else to do until then."""
        return self._put(self._waiting, apply)

    def between(self, act: Callable[[], T]) -> T:
        """What `act` returns; it runs in the writer's thread, between two groups."""
        return self._put(self._between, act).result()

    def close(self) -> None:
        """Make the changes that wait, then end. Later ones raise `ClosedError`."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _put(self, queue: deque[Any], act: Callable[..., T]) -> Future[T]:
        future: Future[T] = Future()
        with self._wake:
            if self._closed:
                raise ClosedError("the gallery is closed; open it again.")
            queue.append((act, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gallery writer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._between or self._closed)
                if not (self._waiting or self._between):
                    return
                between = list(self._between)
                self._between.clear()
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _WRITES_AT_ONCE))]
            # Whoever has gone before their turn gets nothing written.
            group = [(apply, future) for apply, future in group if future.set_running_or_notify_cancel()]
            for act, future in between:
                try:
                    future.set_result(act())
                except BaseException as error:
                    future.set_exception(error)
            if group:
                self._make(group)

    def _make(self, group: list[tuple[Callable[[C], Any], Future[Any]]]) -> None:
        try:
            with self._changing() as change:
                results = [apply(change) for apply, _ in group]
            # Only now: what a search has shown must not be lost.
            self._publish(change)
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)
