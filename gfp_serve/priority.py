"""Which threads wait when there are too few cores for all of them."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_NICE = 10


def lower_thread_priority() -> None:
    """Let this thread, and the threads that it makes, run after the other threads of the process.

    An encoder takes every core for as long as clips wait, and refusals, health checks and streams must not wait with
    them. Does nothing where threads have no priority of their own, which is everywhere but on Linux.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def call_at_low_priority(function: Callable[[], T]) -> T:
    """Return or raise what the function does. The threads that it makes have low priority too."""
    with ThreadPoolExecutor(1, initializer=lower_thread_priority) as worker:
        return worker.submit(function).result()
