"""Which threads wait when cores are short."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_NICE = 10


def give_way() -> None:
    """Let this thread, and those that it makes, come after the process's other threads.

    An encoder takes every core for as long as clips wait; refusals, health checks and streams must not wait with them.
    Does nothing where threads have no priority of their own, which is everywhere but on Linux.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def in_thread_that_gives_way(function: Callable[[], T]) -> T:
    """What the function returns or raises; the threads that it makes give way too."""
    with ThreadPoolExecutor(1, initializer=give_way) as worker:
        return worker.submit(function).result()
