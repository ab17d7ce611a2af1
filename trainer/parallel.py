"""One run on several processes (torchrun): which process this is, and sums over the batches of all of them.

In a run of one process everything here is plain arithmetic. In a run of several, each process computes the loss of the
whole batch from sums that they exchange, and gradients flow back through the exchange. So the number of processes
changes only the speed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


@contextmanager
def processes(*, cuda: bool) -> Iterator[None]:
    """Join the other processes of this run, if torchrun started several. Each has a GPU of its own."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # With CUDA gloo too: for what processes agree on outside the device.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def anyone(flag: bool) -> bool:
    """Whether the flag is set in any process. All processes get the same answer."""
    if not _is_parallel():
        return flag
    flags = torch.tensor(float(flag))
    distributed.all_reduce(flags)
    return bool(flags)


def num_processes() -> int:
    return distributed.get_world_size() if _is_parallel() else 1


def rank() -> int:
    """The number of this process. Process 0 writes checkpoints and shows progress."""
    return distributed.get_rank() if _is_parallel() else 0


def total(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The sum of `x` over all processes. The gradients of all of them come back to each."""
    return _Total.apply(x) if _is_parallel() else x  # type: ignore[no-untyped-call]


def moments(
    rows: Float[Tensor, "rows features"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " features"], Float[Tensor, "rows features"]]:
    """The number of rows of all processes, the mean of these rows, and this process's rows minus that mean."""
    count = total(rows.new_full((), rows.shape[0]))
    mean = total(rows.sum(dim=0)) / count
    return count, mean, rows - mean


def in_order(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "all_rows features"]:
    """The rows of all processes in the order in which one process would have them: every n-th is of one process."""
    if not _is_parallel():
        return rows
    count = torch.tensor(float(len(rows)), device=rows.device)
    distributed.all_reduce(count)
    places = torch.arange(rank(), int(count), num_processes(), device=rows.device)
    return total(rows.new_zeros((int(count), rows.shape[1])).index_copy(0, places, rows))


def mean_square(difference: Float[Tensor, "rows features"]) -> Float[Tensor, ""]:
    """The mean of the squares of all numbers in all processes."""
    count = total(difference.new_full((), difference.shape[0])) * difference.shape[1]
    return total(difference.square().sum()) / count


class GlobalBatchNorm(nn.BatchNorm1d):
    """Batch norm over the rows of all processes. (torch's SyncBatchNorm does the same, but on CUDA only.)"""

    def forward(self, x: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
        if not self.training or not _is_parallel():
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            count, mean, centred = moments(x.float())
            variance = total(centred.square().sum(dim=0)) / count
            with torch.no_grad():
                momentum = self.momentum or 0.0
                self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
                self.running_var.lerp_(variance * count / (count - 1), momentum)  # type: ignore[union-attr]
                self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            return (centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias).to(x.dtype)


def _is_parallel() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _Total(torch.autograd.Function):
    """All-reduce with an all-reduce as its gradient: the loss of each process depends on the parts of all."""

    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(_: object, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient
