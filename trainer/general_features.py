"""What a clip shows as a whole, counted and not learned, and a small network that learns from it.

The encoder sees tokens: a joint for a few frames. Few labelled clips do not teach it what a whole clip shows. Here that
is given: where each joint is on the whole, how far and how fast it moves, through which places it goes, no matter
when, and which way round. A network of two layers learns from labels which of these numbers tell actions apart.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.body_frame import SPINE_BASE, bodies_turned, in_body_frame
from trainer.embedding import PoseStatistics, at_joints
from trainer.swept_areas import NUM_AREAS, swept_areas

# Numbers of `PoseStatistics`.
NUM_STATISTICS = 618
# Of a joint's places along an axis, sorted: the least, the greatest, and what lies between at these shares.
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
# Places are sorted in every fourth frame: neighbours in time are nearly equal.
_STRIDE = 4
# Features that spread less over the training clips are rounding errors, which must not be magnified.
_SMALLEST_SPREAD = 1e-3
_NUM_ORDERED = len(_SHARES) * 3 * MODEL_LAYOUT.num_joints


class GeneralFeatures(nn.Module):
    """1,296 numbers a body: pose statistics, scaled to length 1, order statistics of its joints, and swept areas.

    Order statistics are the sorted places of a joint along each axis, in its body's frame (`body_frame`), in metres.
    They do not know when a joint was somewhere, so a clip that is cut elsewhere, or in which people rest before and
    after, changes them little. Frames in which a joint is lacking take its mean; a joint that is lacking throughout
    stands to its parent as in an upright person. Swept areas (`swept_areas`) tell apart what goes the other way round.
    Runs of earlier releases learned without them; `areas` is False for these.
    """

    def __init__(self, *, areas: bool) -> None:
        super().__init__()
        self.statistics = PoseStatistics()
        self.areas = areas

    @property
    def parts(self) -> dict[str, slice]:
        """The places of each kind of numbers."""
        ends = [0, NUM_STATISTICS, NUM_STATISTICS + _NUM_ORDERED, NUM_STATISTICS + _NUM_ORDERED + NUM_AREAS]
        kinds = ("statistics", "order", "areas") if self.areas else ("statistics", "order")
        return {kind: slice(ends[at], ends[at + 1]) for at, kind in enumerate(kinds)}

    @property
    def size(self) -> int:
        return max(part.stop for part in self.parts.values())

    def forward(
        self, bodies: Float[Tensor, "rows frames joints 3"], turns: Float[Tensor, "rows 3 3"] | None = None
    ) -> Float[Tensor, "rows size"]:
        """`turns` are applied to bodies in their own frame, see `general_views.draw_turns`."""
        counted = F.normalize(self.statistics.features(bodies), dim=1)
        placed, known = in_body_frame(bodies)
        if turns is not None:
            placed = bodies_turned(placed, turns)
        places, has = placed[:, ::_STRIDE].permute(0, 3, 2, 1), known[:, ::_STRIDE].transpose(1, 2)[:, None]
        count = has.sum(dim=3, keepdim=True)
        mean = (places * has).sum(dim=3, keepdim=True) / count.clamp_min(1)
        ordered = torch.where(has, places, mean).sort(dim=3).values
        ordered = ordered[..., [round(share * (ordered.shape[3] - 1)) for share in _SHARES]]
        ordered = ordered.transpose(2, 3)  # rows, 3, shares, joints
        # At the spine base's place is its path, from which nothing hangs: joints stand to the base itself, at 0.
        is_base = torch.arange(ordered.shape[3], device=ordered.device) == SPINE_BASE
        standing = torch.where(is_base, 0.0, ordered)
        has_joint = count[..., 0] > 0  # rows, 1, joints
        nearest, way = self.statistics.nearest_known(has_joint)
        standing = at_joints(standing, nearest) + way[:, :, None]
        ordered = torch.where(is_base | has_joint[:, :, None], ordered, standing)
        swept = [swept_areas(placed, known)] if self.areas else []
        return torch.cat([counted, ordered.flatten(1), *swept], dim=1)


class GeneralHead(nn.Module):
    """General features, through two layers that learn from labels: one vector a body.

    `mean` and `scale` of the features are those of the training clips; each kind of numbers has one scale.
    """

    mean: Tensor
    scale: Tensor
    keep_lacking = True  # see `embedding.sampling_for`

    def __init__(self, hidden_size: int, size: int, *, areas: bool) -> None:
        super().__init__()
        self.general = GeneralFeatures(areas=areas)
        self.register_buffer("mean", torch.zeros(self.general.size))
        self.register_buffer("scale", torch.ones(self.general.size))
        self.hidden = nn.Linear(self.general.size, hidden_size)
        self.out = nn.Linear(hidden_size, size)

    def fit(self, features: Float[Tensor, "clips size"]) -> None:
        """Take mean and scale from these general features."""
        self.mean.copy_(features.mean(dim=0))
        centred = features - self.mean
        for part in self.general.parts.values():
            self.scale[part] = 1 / centred[:, part].square().mean().sqrt().clamp_min(_SMALLEST_SPREAD)

    def features(
        self, bodies: Float[Tensor, "rows frames joints 3"], turns: Float[Tensor, "rows 3 3"] | None = None
    ) -> Float[Tensor, "rows size"]:
        return self.of(self.general(bodies, turns))

    def of(self, features: Float[Tensor, "rows numbers"]) -> Float[Tensor, "rows size"]:
        """Of general features that are counted already; those with areas will do for a head without."""
        scaled = (features[:, : self.general.size] - self.mean) * self.scale
        return self.out(F.gelu(self.hidden(scaled)))


def general_heads(hidden_size: int, size: int, *, areas: bool) -> dict[str, GeneralHead]:
    """The heads that learn beside each other, with random weights, by the names of parts of `terms.Terms`.

    One learns without swept areas, the other with them, if there are to be `areas`. None if `size` is 0.
    """
    if not size:
        return {}
    kinds = {"general": False, "areas": True} if areas else {"general": False}
    return {name: GeneralHead(hidden_size, size, areas=has_areas) for name, has_areas in kinds.items()}
