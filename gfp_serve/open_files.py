"""How many files and connections this process may have open at once, how many it has, and who may take them.

Every connection, and every gallery in a folder, takes some. At the limit nothing works any more: callers are not let
in, and databases cannot be opened. So there is one account: the process itself has `OWN` files, connections have what
was promised to them, and galleries have the rest, and are refused beyond it.
"""

import os
import resource
from pathlib import Path

# Where the system lists the open files of this process. Only Linux has it.
_OPEN = Path("/proc/self/fd")
# Files that neither galleries nor connections have: logs, scrapes, snapshots, and what is opened for a short time.
OWN = 128
# Python and the system keep a table of this many in some calls, so more are not asked for.
_MOST = 2**20


_promised = 0


def promise(num_connections: int) -> None:
    """Keep this many files for connections. What was promised before is forgotten."""
    global _promised  # noqa: PLW0603  (the limit is one of the whole process too)
    _promised = num_connections


def left_for_galleries() -> int:
    """How many files all galleries together may have."""
    return limit() - OWN - _promised


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
