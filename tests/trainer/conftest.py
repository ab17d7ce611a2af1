from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads_given_back() -> Iterator[None]:
    """Set the number of threads back after each test, because training changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
