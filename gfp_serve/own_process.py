"""Work in a process of its own: what takes minutes of a core, and what reads files of strangers.

`run` starts a module of this package as `python -m MODULE` in a folder. The module reads what it needs from files
there, and leaves there what it found. Its process has bounds, reaches no network where the system can see to that, and
never outlives whoever started it.
"""

import asyncio
import ctypes
import itertools
import json
import logging
import math
import os
import resource
import runpy
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gfp_serve.cores import num_cores
from gfp_serve.errors import GfpError
from gfp_serve.files import lock
from gfp_serve.priority import lower_thread_priority

_log = logging.getLogger(__name__)

# What folders of processes, and of galleries that are lost when their server exits, are called.
_PROCESS, GALLERY = "gfp-process-", "gfp-gallery-"

# Where a process of its own writes what it has to say to whoever reads the log.
_SAID = "said.txt"
_MAX_SAID = 2_000

# How the process says that its memory did not suffice; no interpreter and no shell ends with this.
_OUT_OF_MEMORY = 77

# Of Linux: prctl(2), unshare(2).
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class OwnProcessError(GfpError):
    """The process did not do its work; the message says why, after the word "it"."""


class BoundPassedError(OwnProcessError):
    """The process took more time or memory than it may: less work might fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the process may take, at most. On other systems than Linux, `memory_bytes` may not be kept to."""

    seconds: float
    memory_bytes: int
    file_bytes: int  # of each file that it writes


@contextmanager
def folder_of_its_own(prefix: str = _PROCESS) -> Iterator[Path]:
    """A new folder that only this user can read, and that is removed with all that is in it.

    Where whoever uses it is killed first, `remove_abandoned_folders` does that later.
    """
    folder, held = _new_folder(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _new_folder(prefix: str) -> tuple[Path, int | None]:
    """A folder, and what holds its lock; None where the file system has no locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            return folder, lock(folder)
        except (BlockingIOError, FileNotFoundError):  # it was taken for an abandoned one before it was locked
            continue
        except OSError:
            return folder, None


def remove_abandoned_folders() -> None:
    """Remove the folders whose owner was killed: what callers sent lies there.

    Folders of living owners hold a lock. Those of other users stay, and so do all where the file system has no locks.
    """
    place = Path(tempfile.gettempdir())
    for folder in itertools.chain.from_iterable(place.glob(f"{prefix}*") for prefix in (_PROCESS, GALLERY)):
        with suppress(OSError):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            held = lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)


async def run(module: str, folder: Path, bounds: Bounds, *, is_low: bool = True, num_threads: int = 1) -> None:
    """Run the module in the folder until it ends; its priority is low, unless somebody waits for little work.

    Raises `BoundPassedError` if it passes a bound of time or memory, and `OwnProcessError` if it fails otherwise.

    When this is cancelled, the process is killed first.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(num_threads))
    with (folder / _SAID).open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            # -P: what lies in the folder is not taken for a module.
            *(sys.executable, "-P", "-m", __name__, module, json.dumps(asdict(bounds)), "low" * is_low),
            cwd=folder,
            env={**os.environ, **threads, "TMPDIR": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            # Ctrl-C in a terminal is for the server, which ends it in time.
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(bounds.seconds):
            code = await process.wait()
    except TimeoutError:
        raise BoundPassedError(f"it took longer than {bounds.seconds:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    if code == _OUT_OF_MEMORY:
        raise BoundPassedError(f"it took more than {bounds.memory_bytes // 2**20} MiB of memory")
    if code == -signal.SIGKILL:  # by the system
        raise BoundPassedError("it was killed, as happens when the machine's memory runs out")
    if code:
        _log.warning("%s ended with status %d: %s", module, code, await asyncio.to_thread(_said_in, folder))
        raise OwnProcessError(f"it ended with status {code}")


async def in_thread(function: Callable[[], None]) -> None:
    """Call a function in a thread. Unlike `asyncio.to_thread`, it has ended when this is cancelled."""
    working = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        with suppress(Exception):
            await working
        raise


def _said_in(folder: Path) -> str:
    said = (folder / _SAID).read_bytes()[-_MAX_SAID:].decode(errors="replace").strip()
    return said or "it said nothing"


def _main(module: str, bounds: Bounds, *, is_low: bool) -> None:
    """Run the module within the bounds. This is the whole life of the process."""
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        # However the server ends, this ends with it.
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A network of its own has no way out. Some systems and containers do not let everybody have one.
        system.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        # Where memory runs out, the system ends this and not the server.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
    if is_low:
        lower_thread_priority()
    # Of all cores together. Whoever started this waits no longer than `seconds`, unless it was killed a moment ago.
    _limit(resource.RLIMIT_CPU, math.ceil(bounds.seconds) * num_cores())
    # Of data and not of addresses: libraries map much that they never use.
    _limit(resource.RLIMIT_DATA, bounds.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, bounds.file_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except MemoryError:
        # At once: there may be no memory for the usual end.
        os._exit(_OUT_OF_MEMORY)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    _main(sys.argv[1], Bounds(**json.loads(sys.argv[2])), is_low=bool(sys.argv[3]))
