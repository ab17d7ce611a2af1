"""Which tokens of a body are embedded. The cost grows with their number; what they tell grows much less.

An encoder that learned from a tenth of the tokens can embed a part of them too. How much that costs in accuracy is
measured for each encoder (`gfp-evaluate tokens`).
"""

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.encoders import Encoder, MaskableEncoder
from trainer.masking import first_known, motion_of

# spread: evenly over joints and over time, the same for all clips. random: any, the same for all clips. time: all
# joints of some segments, evenly over time. joints: all of some joints, ends of limbs first. motion: those of a clip
# that move most.
Kind = Literal["spread", "random", "time", "joints", "motion"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Budget(NamedTuple):
    """How many tokens of a body are embedded, and which."""

    num_tokens: int
    kind: Kind = "spread"

    @property
    def title(self) -> str:
        """What an embedding of these tokens is called in tables."""
        return f"{self.num_tokens} tokens, {self.kind}"


# By how much of a body's largest motion the first token in time comes before the last, if both move alike.
_A_LITTLE = 1e-3

# Joints of the model's layout, ends of limbs and the head first, then what lies between; fingers tell least.
_JOINTS_BY_WORTH = (6, 10, 14, 18, 3, 5, 9, 13, 17, 20, 0, 4, 8, 12, 16, 7, 11, 15, 19, 1, 2, 21, 23, 22, 24)


class TokenChoice(nn.Module):
    """The tokens that are embedded, by their places. Those of joints that are known to lack are left out.

    Raises `ValueError` for fewer than one token, or more than a body has.
    """

    order: Tensor | None

    def __init__(self, encoder: MaskableEncoder, budget: Budget) -> None:
        super().__init__()
        count, kind = budget
        if not 1 <= count <= encoder.num_tokens:
            raise ValueError(f"--tokens is {count}; it must be from 1 to {encoder.num_tokens}, which a body has here.")
        self.num_joints, self.count, self.kind = encoder.num_joints, count, kind
        self.register_buffer("order", _order(kind, encoder.num_segments, encoder.num_joints))

    def forward(
        self, segments: Float[Tensor, "rows tokens coordinates"], known: Bool[Tensor, "rows tokens"] | None
    ) -> Int[Tensor, "rows count"]:
        rows = segments.shape[0]  # not len(segments), which the exporter takes for a constant
        order = self._by_motion(segments, known) if self.order is None else self.order
        if known is None:
            return order.argsort(dim=1)[:, : self.count].expand(rows, -1)
        return first_known(order.expand(rows, -1), known, self.count)

    def _by_motion(
        self, segments: Float[Tensor, "rows tokens coordinates"], known: Bool[Tensor, "rows tokens"] | None
    ) -> Float[Tensor, "rows tokens"]:
        """The tokens that move most first; of like ones the first in time, so that every runtime chooses the same."""
        place = torch.arange(segments.shape[1], device=segments.device)
        motion = motion_of(segments, self.num_joints)
        if known is not None:
            # Next to a gap a joint seems to jump.
            joints = self.num_joints
            followed = torch.cat([known[:, :joints], known[:, joints:] & known[:, :-joints]], dim=1)
            motion = torch.where(followed, motion, 0.0)
        return place * (_A_LITTLE / segments.shape[1]) - motion


class FewTokens(nn.Module):
    """An encoder that embeds the chosen tokens of a body, as if it had no others.

    Raises `ValueError` for an encoder that cannot leave tokens out, or whose vector of a body is not their mean.
    """

    def __init__(self, encoder: Encoder, budget: Budget) -> None:
        super().__init__()
        is_mean = type(encoder).features is Encoder.features and type(encoder).pooled is Encoder.pooled
        if not isinstance(encoder, MaskableEncoder) or not is_mean:
            raise ValueError(
                "--tokens needs an encoder that can leave tokens out and embeds their mean, as transformer."
            )
        self.encoder = encoder
        self.choice = TokenChoice(encoder, budget)
        self.keep_lacking = encoder.keep_lacking
        self.num_segments, self.num_joints = encoder.num_segments, encoder.num_joints

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        return self.encoded(bodies)[0].mean(dim=1)

    def encoded(
        self, bodies: Float[Tensor, "rows frames joints 3"]
    ) -> tuple[Float[Tensor, "rows count width"], Int[Tensor, "rows count"]]:
        """The chosen tokens, and which they are."""
        segments, known = self.encoder.known_segments(bodies)
        visible = self.choice(segments, known)
        return self.encoder(segments, visible), visible

    def means(
        self, bodies: Float[Tensor, "rows frames joints 3"], time_parts: int, *, per_joint: bool
    ) -> Float[Tensor, "rows size"]:
        """As `Encoder.means` of the chosen tokens; 0 where none of a part, or of a joint in it, was chosen."""
        tokens, visible = self.encoded(bodies)
        part = visible // self.num_joints * time_parts // self.num_segments
        joints = self.num_joints if per_joint else 1
        cell = part * joints + visible % self.num_joints if per_joint else part
        belongs = F.one_hot(cell, time_parts * joints).to(tokens.dtype).transpose(1, 2)  # rows, cells, count
        return (belongs @ tokens / belongs.sum(dim=2, keepdim=True).clamp_min(1)).flatten(1)


def _order(kind: Kind, num_segments: int, num_joints: int) -> Float[Tensor, "1 tokens"] | None:
    """The place of each token in the order in which tokens are taken; None if each clip has its own.

    Whole numbers, which 16 bits hold too.
    """
    if kind == "motion":
        return None
    if kind == "spread":
        return spread_order(num_segments, num_joints)
    if kind == "random":
        draws = torch.Generator().manual_seed(0)
        return torch.randperm(num_segments * num_joints, generator=draws).float()[None]
    place_in_time = _evenly(num_segments)
    if kind == "time":
        return (place_in_time[:, None] * num_joints + torch.arange(num_joints)).float().flatten()[None]
    worth = torch.empty(num_joints, dtype=torch.long)
    worth[torch.tensor(_JOINTS_BY_WORTH)] = torch.arange(num_joints)
    return (place_in_time[:, None] + worth * num_segments).float().flatten()[None]


def _evenly(count: int) -> Int[Tensor, " count"]:
    """The rank of each of these places in an order that halves gaps: the first ones are spread evenly."""
    digits = (count - 1).bit_length()
    return torch.tensor([int(f"{place:0{digits}b}"[::-1], 2) for place in range(count)]).argsort().argsort()


def spread_order(num_segments: int, num_joints: int) -> Float[Tensor, "1 tokens"]:
    """An order of tokens in which the first ones are spread evenly over joints and over time."""
    draws = torch.Generator().manual_seed(0)
    ranks = torch.stack([torch.randperm(num_segments, generator=draws) for _ in range(num_joints)], dim=1)
    places = (ranks + torch.rand(ranks.shape, generator=draws)).flatten()
    return places.argsort().argsort().float()[None]
