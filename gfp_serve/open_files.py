"""How many files and connections this process may have open at once, and how many it has.

Every connection, and every gallery in a folder, takes some. At the limit nothing works any more: callers are not let
in, and databases cannot be opened. So galleries are refused before.
"""

import os
import resource
from pathlib import Path

# Where the system lists the open files of this process. Only Linux has it.
_OPEN = Path("/proc/self/fd")
# Python and the system keep a table of this many in some calls, so more are not asked for.
_MOST = 2**20


def raise_limit() -> int:
    """Raise the limit as far as the system lets this process; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """How many files may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def num_open() -> int:
    """How many files are open now; 0 where the system does not say."""
    return len(os.listdir(_OPEN)) if _OPEN.is_dir() else 0  # noqa: PTH208  (the entry of the listing itself is gone)
