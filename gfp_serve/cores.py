"""How many cores this process may use.

Less than the machine has: a scheduler, `taskset` or a container may give it some of them only. `docker run --cpus 2`
leaves all cores visible and stops the process for the rest of each period in which it used up its share; threads on all
of them would then wait for each other.
"""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def num_cores() -> int:
    """The cores that this process may run on, or fewer if a container's limit of CPU time is lower, rounded up."""
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(visible, cpu_limit())))


def cpu_limit() -> float:
    """Cores that the container may use on average (cgroup version 2, else 1); infinite without a limit."""
    try:
        quota, period = (_CGROUPS / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((_CGROUPS / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return math.inf
    try:
        limit = int(quota) / int(period)  # quota is "max" or -1 without a limit
    except (ValueError, ZeroDivisionError):
        return math.inf
    return limit if limit > 0 else math.inf
