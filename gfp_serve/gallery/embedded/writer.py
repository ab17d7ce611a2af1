"""The one thread that changes a gallery. Changes that wait at the same time are made durable together."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C")

# At most this many writes are made durable together, so that the first of them does not wait too long.
_WRITES_AT_ONCE = 256


class Writer(Generic[C]):
    """Makes changes in groups. Each group is one `transaction()`, which gives an object `C` to make the changes with.

    After the transaction, `publish(C)` is called. `closed` makes the error for changes that come after `close`. The
    thread starts with the first change.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractContextManager[C]],
        publish: Callable[[C], None],
        closed: Callable[[], Exception],
    ) -> None:
        self._transaction = transaction
        self._publish = publish
        self._closed_error = closed
        self._waiting: deque[tuple[Callable[[C], Any], Future[Any]]] = deque()
        self._actions: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def change(self, apply: Callable[[C], T]) -> T:
        """Return what `apply` returns, when its change is durable and published.

        If the transaction fails, all callers of the group get the error.
        """
        return self.change_soon(apply).result()

    def change_soon(self, apply: Callable[[C], T]) -> Future[T]:
        """Like `change`, but return a future, for callers that do something else until then."""
        return self._enqueue(self._waiting, apply)

    def run_between_changes(self, act: Callable[[], T]) -> T:
        """Run `act` in the writer's thread, between two groups, and return what it returns."""
        return self._enqueue(self._actions, act).result()

    def close(self) -> None:
        """Make the changes that wait, then end. Later changes raise what `closed` gives."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _enqueue(self, queue: deque[Any], act: Callable[..., T]) -> Future[T]:
        future: Future[T] = Future()
        with self._wake:
            if self._closed:
                raise self._closed_error()
            queue.append((act, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gallery writer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._actions or self._closed)
                if not (self._waiting or self._actions):
                    return
                actions = list(self._actions)
                self._actions.clear()
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _WRITES_AT_ONCE))]
            # If a caller has cancelled by now, nothing of its change is written.
            group = [(apply, future) for apply, future in group if future.set_running_or_notify_cancel()]
            for act, future in actions:
                try:
                    future.set_result(act())
                except BaseException as error:
                    future.set_exception(error)
            if group:
                self._make(group)

    def _make(self, group: list[tuple[Callable[[C], Any], Future[Any]]]) -> None:
        try:
            with self._transaction() as change:
                results = [apply(change) for apply, _ in group]
            # Only now: what a search has shown must not be lost.
            self._publish(change)
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)
