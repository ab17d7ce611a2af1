"""GFP's targets: what is pooled from a clip at each level, and the network (TGN) that turns it into features."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainer.encoders.transformer import gather_tokens, init_weights
from trainer.parallel import GlobalBatchNorm, moments, total

# Segments that a target of each level spans: 30 / 5 · 25 = 150 targets, then 75 and 25. With the global one these are
# the paper's 251.
WINDOWS = {"short": 5, "mid": 10, "long": 30}
LEVELS = (*WINDOWS, "global")

TargetInput = Literal["motion", "joints", "masked-joints"]
MotionPooling = Literal["signed", "absolute", "rms"]


def target_input(
    segments: Float[Tensor, "rows tokens coordinates"],
    num_joints: int,
    visible: Int[Tensor, "rows visible"],
    given: TargetInput,
) -> Float[Tensor, "rows tokens coordinates"]:
    """What targets are made of: the motion or the coordinates of all segments, or the coordinates of visible ones.

    In "masked-joints" the segments that the encoder does not see are zeros.
    """
    if given == "motion":
        return segment_motion(segments, num_joints)
    if given == "joints":
        return segments
    index = visible.unsqueeze(-1).expand(-1, -1, segments.shape[-1])
    return torch.zeros_like(segments).scatter(1, index, gather_tokens(segments, visible))


def segment_motion(
    segments: Float[Tensor, "rows tokens coordinates"], num_joints: int
) -> Float[Tensor, "rows tokens coordinates"]:
    """The next segment of each joint minus this one.

    The last segment has zeros, so that windows of 5, 10 and 30 stay whole. The paper takes the difference on the
    segment tensor, not on frames; its FLOPs agree (12 numbers a token).
    """
    motion = torch.zeros_like(segments)
    motion[:, :-num_joints] = segments[:, num_joints:] - segments[:, :-num_joints]
    return motion


class TargetWindows:
    """The windows in time over which tokens are averaged: all equally long, as published.

    Another kind of windows has the same three methods. Targets and decoder use the same object, so a target and what
    the decoder reads where it predicts this target are means over the same part of a clip.
    """

    def __init__(self, num_joints: int) -> None:
        self.num_joints = num_joints

    def mean(self, tokens: Float[Tensor, "_ tokens width"], window: int) -> Float[Tensor, "_ pooled width"]:
        """The mean of each joint over each window of `window` segments; one row may stand for all bodies."""
        rows, count, width = tokens.shape
        grid = tokens.reshape(rows, count // (window * self.num_joints), window, self.num_joints, width)
        return grid.mean(dim=2).flatten(1, 2)

    def with_visible(
        self,
        pooled: Float[Tensor, "_ pooled width"],
        tokens: Float[Tensor, "rows visible width"],
        visible: Int[Tensor, "rows visible"],
        window: int,
    ) -> Float[Tensor, "rows pooled width"]:
        """Means over windows (one row may stand for all bodies), plus the share that visible tokens have in them."""
        joints = self.num_joints
        slot = visible // (window * joints) * joints + visible % joints
        share = (tokens / window).to(pooled.dtype)
        index = slot.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        return pooled.expand(len(tokens), -1, -1).scatter_add(1, index, share)

    def merged(
        self, level: Float[Tensor, "rows pooled width"], window: int, wider: int
    ) -> Float[Tensor, "rows merged width"]:
        """The means over wider windows, from those over the windows of `window` segments that they consist of."""
        return TargetWindows.mean(self, level, wider // window)


# How the motion of a window becomes one target. The mean of signed differences is the way from the first segment of the
# window to the one after its last, divided by its length: for a joint that swings and returns it is zero. The other two
# see that motion.
POOLINGS: dict[MotionPooling, Callable[[Tensor, TargetWindows, int], Tensor]] = {
    "signed": lambda motion, windows, window: windows.mean(motion, window),
    "absolute": lambda motion, windows, window: windows.mean(motion.abs(), window),
    "rms": lambda motion, windows, window: windows.mean(motion.square(), window).sqrt(),
}


def level_inputs(
    given: Float[Tensor, "rows tokens coordinates"],
    windows: TargetWindows,
    levels: Sequence[str],
    pooling: MotionPooling,
) -> list[Float[Tensor, "targets numbers"]]:
    """One matrix for each level. Its rows go body by body, within a body window by window, within that joint by joint.

    The target of the global level is not pooled: it is the whole clip in one row, as the paper's FLOPs show.
    """
    return [
        given.flatten(1) if level == "global" else POOLINGS[pooling](given, windows, WINDOWS[level]).flatten(0, 1)
        for level in levels
    ]


def mlp(*widths: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, ..., linear: for the projectors and the heads of the target network."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), GlobalBatchNorm(outer), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


class TargetNetwork(nn.Module):
    """TGN: an MLP for each level, trained together with the encoder.

    With `of_places` the numbers are coordinates, not motion, and the first layers work in float32 also where the others
    work in bf16, which would round them by up to 4 mm.
    """

    def __init__(
        self, input_widths: Sequence[int], level_widths: Sequence[int], num_layers: int, *, of_places: bool = False
    ) -> None:
        super().__init__()
        self.of_places = of_places
        self.heads = nn.ModuleList(
            mlp(into, *[out] * num_layers) for into, out in zip(input_widths, level_widths, strict=True)
        )
        self.apply(init_weights)

    def forward(self, inputs: list[Float[Tensor, "_ _"]]) -> list[Float[Tensor, "_ _"]]:
        """The targets [targets, features] for the `level_inputs` [targets, numbers] of each level."""
        return [self._target(head, x) for head, x in zip(self.heads, inputs, strict=True)]

    def _target(self, head: nn.Module, x: Float[Tensor, "targets numbers"]) -> Float[Tensor, "targets features"]:
        if not self.of_places:
            return head(x)
        first, *others = head.children()
        with torch.autocast(x.device.type, enabled=False):
            x = first(x.float())
        for layer in others:
            x = layer(x)
        return x


class LowLevelTargets(nn.Module):
    """Targets without a network: the pooled numbers, standardised over the batch.

    The paper does not say how it scales them. Here each number gets the spread that the variance term gives to the
    features of a network; without this, levels with more motion (in metres) would weigh more. Nothing is learned, so
    nothing collapses.
    """

    def forward(self, inputs: list[Float[Tensor, "_ _"]]) -> list[Float[Tensor, "_ _"]]:
        """The targets [targets, numbers] for the `level_inputs` [targets, numbers] of each level."""
        return [_standardised(x) for x in inputs]


def _standardised(x: Float[Tensor, "targets numbers"]) -> Float[Tensor, "targets numbers"]:
    rows, _, centred = moments(x)
    variance = total(centred.square().sum(dim=0)) / (rows - 1)
    return centred * torch.rsqrt(variance + 1e-6)  # 1e-6: a spread below a millimetre is noise and stays small
