from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tensors here are small: on a busy machine two threads wait for each other ten times longer than one computes."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def threads_given_back() -> Iterator[None]:
    """A test that trains with `num_threads` leaves it to no other."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
