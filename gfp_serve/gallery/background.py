"""Work that a gallery does while it serves: a thread that runs as long as there is something to do."""

import logging
import threading
import time
from collections.abc import Callable

from gfp_serve.errors import GalleryError
from gfp_serve.priority import give_way

_log = logging.getLogger(__name__)

# After work that failed, as on a full disk, until it is tried again.
_TRY_AGAIN_S = 30.0


class Background:
    """Does `work` as long as `has_work`. Failures are logged; the gallery goes on as it is."""

    def __init__(self, work: Callable[[], None], has_work: Callable[[], bool]) -> None:
        self._work = work
        self._has_work = has_work
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._not_before = 0.0
        self._failure: Exception | None = None

    @property
    def is_busy(self) -> bool:
        return self._thread is not None

    def is_closed(self) -> bool:
        return self._closed

    def look(self) -> None:
        """Begin when there is something to do."""
        if self._thread is not None or self._closed or time.monotonic() < self._not_before or not self._has_work():
            return
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="gallery background", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Until nothing is left to do. Raises `TimeoutError`, and `GalleryError` when the work failed."""
        self.look()
        with self._changed:
            if not self._changed.wait_for(lambda: self._thread is None, timeout_s):
                raise TimeoutError(f"the gallery's background work did not end within {timeout_s:g} s")
        if self._failure is not None and self._has_work():
            raise GalleryError(f"the gallery's index could not be made: {self._failure}") from self._failure

    def close(self) -> None:
        """Ask the work to stop, and wait until it has."""
        self._closed = True
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        give_way()
        try:
            while not self._closed and self._has_work():
                self._work()
            self._failure = None
        except Exception as error:
            _log.exception("the gallery's index could not be made; it is tried again in %g s", _TRY_AGAIN_S)
            self._failure = error
            self._not_before = time.monotonic() + _TRY_AGAIN_S
        finally:
            with self._changed:
                self._thread = None
                self._changed.notify_all()
