import os

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
def test_a_process_that_has_not_grown_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryReturn()
    memory._least = 2 * resident_pages()
    memory.give_back()
    assert memory._least > resident_pages()
