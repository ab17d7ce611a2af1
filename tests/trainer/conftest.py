from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads_given_back() -> Iterator[None]:
    """A test that trains with `num_threads` leaves it to no other."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
