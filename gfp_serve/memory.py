"""Memory that was freed: a server gives it back to the machine, a training keeps it. Does nothing without glibc.

glibc keeps what was freed, for the next time: after a flood of large requests a server would stay large for ever. Six
requests of 54 MB at once, then searches, left 223 MB of memory to a server that had 130 MB before. With `malloc_trim`
188 MB were left, and 143 MB with `malloc_trim` and large blocks apart. (`MALLOC_ARENA_MAX=2` does as much, but makes
threads wait for each other.)

Blocks above 32 MiB it gives back at once, and a training step asks for the same ones again and again. The machine hands
each out page by page, as zeros. With what was freed kept, a step of SLiM on two cores takes about a quarter less, one
of GFP or MAMP some percent; the process is at most a tenth larger.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
CAN_GIVE_BACK = hasattr(_LIBC, "malloc_trim")

# Blocks from this size on come from the machine and go back to it one by one. Otherwise glibc raises this limit up to
# 32 MiB when it sees such blocks.
_LARGE_BYTES = 2**20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
# Memory that grew by less is not worth the time to look through it.
_GROWTH = 1.1


def keep_large_blocks_apart() -> None:
    """Let every large block of this process go back to the machine when it is freed."""
    if CAN_GIVE_BACK:
        _LIBC.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def keep_what_is_freed() -> None:
    """Let this process keep all memory that it frees from now on, for what it needs next, until it ends."""
    if CAN_GIVE_BACK:
        _LIBC.mallopt(_M_MMAP_MAX, 0)  # no block comes from the machine by itself
        _LIBC.mallopt(_M_TRIM_THRESHOLD, -1)  # and the heap never becomes smaller


class MemoryReturn:
    """Gives memory back when the process has grown. Takes some milliseconds, so do it now and then, in a thread."""

    def __init__(self) -> None:
        self._least = resident_pages()

    def give_back(self) -> None:
        """Give back what is free, if the process is larger than it once was.

        Not "than it was the last time": a peak may have lasted that long.
        """
        if CAN_GIVE_BACK and resident_pages() > _GROWTH * self._least:
            _LIBC.malloc_trim(0)
            self._least = min(self._least, resident_pages())


def resident_pages() -> int:
    """The memory that this process has, in the machine's pages; 0 where Linux does not tell."""
    return int(Path("/proc/self/statm").read_text().split()[1]) if CAN_GIVE_BACK else 0
