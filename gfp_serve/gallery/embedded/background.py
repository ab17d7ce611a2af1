"""Work that a gallery does while it serves: a thread that runs as long as there is something to do."""

import logging
import threading
from collections.abc import Callable

from gfp_serve.errors import GalleryError
from gfp_serve.priority import lower_thread_priority

_log = logging.getLogger(__name__)

# Work that failed, for example on a full disk, is tried again after this time.
_TRY_AGAIN_S = 30.0
_THREAD = "gallery background"


def is_building() -> bool:
    """Whether a gallery of this process, open or closed, is at such work."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


class Background:
    """Runs `work` in a thread of its own, again and again, as long as `has_work` says so.

    `work` is called with a function that says whether it should stop, because the gallery is being closed. Failures are
    logged, and the work is tried again later; the gallery goes on without it.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], None], has_work: Callable[[], bool]) -> None:
        self._work = work
        self._has_work = has_work
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._failure: Exception | None = None

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._failure is None

    def start_if_needed(self) -> None:
        """Start the thread if there is something to do and it is not running."""
        with self._changed:
            if self._thread is None and not self._closed and self._has_work():
                self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until nothing is left to do. Raises `TimeoutError`, or `GalleryError` if the work failed."""
        self.start_if_needed()
        with self._changed:
            if not self._changed.wait_for(lambda: self._thread is None or self._failure is not None, timeout_s):
                raise TimeoutError(f"the gallery's background work did not end within {timeout_s:g} s")
            failure = self._failure
        if failure is not None:
            raise GalleryError(f"the gallery's index could not be made: {failure}") from failure

    def stop(self) -> None:
        """Ask the work to stop, for good. It may go on for a while: FAISS cannot be interrupted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def ended(self, timeout_s: float | None = None) -> bool:
        """Wait until the work has stopped, as long as `timeout_s`; whether it has."""
        with self._changed:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        lower_thread_priority()
        while not self._end_if_done():
            try:
                self._work(self._is_closed)
                self._failure = None
            except Exception as error:
                if self._closed:  # its folder may be gone
                    continue
                # An error in words says all; of others, the place matters.
                _log.error(
                    "the gallery's index could not be made; the next try is in %g s: %s",
                    *(_TRY_AGAIN_S, error),
                    exc_info=None if isinstance(error, GalleryError) else error,
                )
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                    self._changed.wait_for(self._is_closed, _TRY_AGAIN_S)

    def _end_if_done(self) -> bool:
        # Under the lock: a change that comes now is seen either here or by `start_if_needed`.
        with self._changed:
            if not self._closed and self._has_work():
                return False
            self._thread = self._failure = None
            self._changed.notify_all()
        return True

    def _is_closed(self) -> bool:
        return self._closed
