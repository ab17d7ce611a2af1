import torch

from trainer.objectives.recent_vectors import RecentVectors


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor([[float(number)] * 2 for number in numbers])


def test_vectors_wait_until_newer_ones_take_their_places() -> None:
    recent = RecentVectors(4, 2)
    recent.add(numbered(1, 2, 3))
    assert recent.are_real.tolist() == [True, True, True, False]
    recent.add(numbered(4, 5))
    assert recent.are_real.all()
    assert sorted(recent.vectors[:, 0].tolist()) == [2, 3, 4, 5]
    assert torch.equal(recent.newest(3), numbered(5, 4, 3))
    assert int(recent.added) == 5


def test_of_more_vectors_than_there_are_places_the_last_stay() -> None:
    recent = RecentVectors(3, 2)
    recent.add(numbered(1, 2, 3, 4, 5))
    assert torch.equal(recent.newest(3), numbered(5, 4, 3))
