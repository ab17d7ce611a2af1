import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gfp_serve.memory import CAN_GIVE_BACK, MemoryReturn, resident_pages

MIB = 2**20


@pytest.mark.skipif(not CAN_GIVE_BACK, reason="only glibc can give memory back")
def test_memory_that_was_freed_goes_back_to_the_machine() -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    memory = MemoryReturn()
    memory._least = 1  # whatever the tests before this one used, the process has grown
    # Small enough for the heap, and every eighth stays, so that the heap cannot just end earlier.
    blocks = [np.ones(12_800) for _ in range(1024)]
    kept = blocks[::8]
    del blocks
    before = resident_pages()
    memory.give_back()
    assert (before - resident_pages()) * page > 32 * MIB
    assert len(kept) == 128


@pytest.mark.skipif(not CAN_GIVE_BACK, reason="only glibc can give memory back")
def test_memory_goes_back_after_a_peak_that_lasted_past_an_earlier_try(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100, 300, 300, 300, 120])  # before the peak, twice in it, twice after it
    trimmed: list[int] = []
    monkeypatch.setattr("gfp_serve.memory.resident_pages", lambda: next(sizes))
    monkeypatch.setattr("gfp_serve.memory._LIBC", SimpleNamespace(malloc_trim=trimmed.append))
    memory = MemoryReturn()
    memory.give_back()
    memory.give_back()
    assert len(trimmed) == 2


@pytest.mark.skipif(not CAN_GIVE_BACK, reason="only glibc can give memory back")
def test_a_process_that_has_not_grown_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryReturn()
    memory._least = 2 * resident_pages()
    memory.give_back()
    assert memory._least > resident_pages()


# Prints how many pages of a block of 128 MiB the machine hands out when the second one of that size is filled.
SECOND_BLOCK = """
import resource
import sys

import numpy as np

from gfp_serve.memory import keep_what_is_freed

if sys.argv[1] == "keep":
    keep_what_is_freed()
np.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not CAN_GIVE_BACK, reason="only glibc can keep memory")
def test_a_training_gets_memory_that_it_freed_again() -> None:
    def pages(keeps: str) -> int:
        command = [sys.executable, "-c", SECOND_BLOCK, keeps]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    # Pages may be large ones, so the number of a process that gives memory back differs between machines.
    assert pages("keep") <= pages("give back") // 4
