"""A queue of vectors of earlier steps, in buffers that a checkpoint has."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class RecentVectors(nn.Module):
    """The newest `size` vectors of length 1, each until a newer one takes its place. At first they are random.

    `added` is how many were ever added.
    """

    vectors: Tensor
    added: Tensor

    def __init__(self, size: int, num_features: int) -> None:
        super().__init__()
        self.register_buffer("vectors", F.normalize(torch.randn(size, num_features), dim=1))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64))

    @property
    def are_real(self) -> Bool[Tensor, " size"]:
        """Which of the vectors were added."""
        return torch.arange(len(self.vectors), device=self.vectors.device) < self.added

    @torch.no_grad()
    def add(self, vectors: Float[Tensor, "new features"]) -> int:
        """Put in the newest, in their order, and return how many these are."""
        newest = vectors[-len(self.vectors) :]
        self.vectors[self._places(len(newest), self.added)] = newest
        self.added += len(newest)
        return len(newest)

    def newest(self, count: int) -> Float[Tensor, "count features"]:
        """The newest `count`, the last one first."""
        return self.vectors[self._places(count, self.added - count).flip(0)]

    def _places(self, count: int, first: Tensor) -> Tensor:
        return (first + torch.arange(count, device=self.vectors.device)) % len(self.vectors)
