"""HaLP: contrast a clip with earlier clips, and with positives that are made up in the space of vectors.

"HaLP: Hallucinating Latent Positives for Skeleton-based Self-Supervised Learning of Actions", CVPR 2023, arXiv
2304.00387, with the values of its public code. Two views of a clip are a query and a key. The key's network follows the
query's slowly, and keys of earlier clips wait in a queue as negatives (MoCo, CVPR 2020, arXiv 1911.05722). After a part
of the run, the newest keys are sorted into prototypes. From each key, points on the way to other prototypes, which
still belong to the key's own, are more positives of the query.

Differences to the public code, which are meant:

- A prototype is the mean of its keys, scaled to length 1 (spherical k-means), where the code takes the mean along the
  sphere.
- The farthest point of a way that belongs to the key's prototype is found by the arctangent of two arguments. That of
  one argument, in the code, walks away from the other prototype when this is more than a right angle away.
- A run is one: the code goes on from the weights of a first run without prototypes, with a new queue and optimiser.
- The projector starts as torch starts it; in the code its last layer starts at Xavier's numbers.
- Each body is a row, and the mean of a clip's bodies is projected; there, the encoder reads both bodies at once.
- Clips are turned to one view only if their store is (`gfp-data import --align-view`); there, they always are, and the
  trunk is made upright too.
"""

import copy
import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.views import View
from trainer.encoders import Encoder
from trainer.objectives.objective import ObjectiveConfig, Outcome
from trainer.objectives.recent_vectors import RecentVectors
from trainer.objectives.whole_clips import STRONG_VIEW, WholeClips, WholeClipsConfig
from trainer.parallel import in_order, total

# Keys are sorted until no prototype moves by more than this, or this many times.
_TOLERANCE, _MOST_ROUNDS = 1e-3, 100
# The way from a key to a prototype that is the same has no direction, so angles are not taken to be smaller.
_SMALLEST_ANGLE = 1e-4
# Before the queue has been filled this often, it has keys of a network that knew nothing.
_FILLINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HalpConfig(WholeClipsConfig):
    """HaLP's own settings. `--preset halp-ntu60` has the published encoder and schedule."""

    projection_size: int = setting(128, "Numbers of the vectors that are compared.")
    key_momentum: float = setting(0.999, "Share of itself that the key's network keeps in each step.")
    queue_keys: int = setting(16384, "Keys of earlier clips that are negatives.")
    contrast_temperature: float = setting(0.07, "Sharpness of the contrast; lower is sharper.")
    num_prototypes: int = setting(20, "Prototypes that clips are sorted into.")
    prototype_keys: int = setting(256, "Newest keys that are sorted.")
    prototype_every_steps: int = setting(10, "Steps after which keys are sorted again.")
    plain_share: float = setting(0.444, "Share of the run before prototypes are used; published are 201 of 451 epochs.")
    num_hallucinations: int = setting(100, "Positives that are made up for each key.")
    hallucination_reach: float = setting(0.8, "Largest share of the way by which they stay nearer to the key.")
    hallucination_weight: float = setting(2.0, "Weight of the made-up positives; published are 2 (NTU) and 1 (PKU).")

    def __post_init__(self) -> None:
        WholeClipsConfig.__post_init__(self)
        for name in ("projection_size", "queue_keys", "prototype_every_steps", "num_hallucinations"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1.")
        if not 2 <= self.num_prototypes <= self.prototype_keys <= self.queue_keys:
            raise ValueError(
                f"--num-prototypes is {self.num_prototypes}, --prototype-keys {self.prototype_keys} and --queue-keys "
                f"{self.queue_keys}; the first must be at least 2, and none larger than the next."
            )
        for name in ("key_momentum", "plain_share", "hallucination_reach"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to 1.")
        if not 0 < self.contrast_temperature < math.inf:
            raise ValueError(f"--contrast-temperature is {self.contrast_temperature}; it must be above 0 and finite.")
        if not 0 <= self.hallucination_weight < math.inf:
            raise ValueError(f"--hallucination-weight is {self.hallucination_weight}; it must be 0 or more.")


@dataclass(slots=True)
class _Progress:
    """What the counting buffers say. To read these in each step would wait for the device."""

    num_updates: int
    keys_added: int
    has_prototypes: bool


class Halp(WholeClips):
    """InfoNCE of a query with its key against the queue, and with positives that are made up around the key."""

    config_type: ClassVar[type[ObjectiveConfig]] = HalpConfig
    config: HalpConfig

    num_updates: Tensor
    prototypes: Tensor
    has_prototypes: Tensor

    def __init__(self, encoder: Encoder, config: HalpConfig) -> None:
        super().__init__(encoder, config)
        width = encoder.feature_size
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.projection_size))
        self.key_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.key_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self.queue = RecentVectors(config.queue_keys, config.projection_size)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("prototypes", torch.zeros(config.num_prototypes, config.projection_size))
        self.register_buffer("has_prototypes", torch.zeros(()))
        self._new_keys: Tensor | None = None
        self._progress: _Progress | None = None  # None until the buffers are read: before the first update
        self.register_load_state_dict_post_hook(_read_buffers_anew)  # type: ignore[no-untyped-call]

    @property
    def views(self) -> tuple[View, ...]:
        return STRONG_VIEW, STRONG_VIEW

    @property
    def num_draws(self) -> int:
        """Those of the tokens, and for each made-up positive the prototype and how far it goes there."""
        return self.num_view_draws + 2 * self.config.num_hallucinations

    def forward(self, batch: Batch) -> Outcome:
        config = self.config
        query = self.projector(self.clip_vectors(self.encoder, batch, 0))
        with torch.no_grad():
            key = self.key_projector(self.clip_vectors(self.key_encoder, batch, 1))
        with torch.autocast(query.device.type, enabled=False):
            query, key = F.normalize(query.float(), dim=1), F.normalize(key.float(), dim=1)
            self._new_keys = key.detach().clone()  # a CUDA graph overwrites it
            count = total(query.new_full((), len(query)))
            alike = (query * key).sum(dim=1, keepdim=True)
            logits = torch.cat([alike, query @ self.queue.vectors.T], dim=1) / config.contrast_temperature
            contrast = -total(logits.log_softmax(dim=1)[:, 0].sum()) / count
            made, is_kept = self._hallucinations(key, batch)
            # The logarithm of an exponential: what is left of InfoNCE with a positive and no negative.
            alike = torch.einsum("cd,chd->ch", query, made) / config.contrast_temperature
            kept = total(is_kept.sum().to(query.dtype)).clamp_min(1)
            hallucinated = -total((alike * is_kept).sum()) / kept
            loss = contrast + config.hallucination_weight * hallucinated
        terms = {"contrast": contrast.detach(), "hallucinated": hallucinated.detach()}
        # So scaled, the numbers of unit vectors have a spread of 1, which health.py expects.
        size = math.sqrt(query.shape[1])
        return Outcome(loss, terms, {"keys": (size * query.detach(), size * key.detach())})

    @torch.no_grad()
    def _hallucinations(
        self, key: Float[Tensor, "clips size"], batch: Batch
    ) -> tuple[Float[Tensor, "clips made size"], Bool[Tensor, "clips made"]]:
        """Positives around each key, and which of them count: those that still belong to the key's prototype."""
        draws = batch.uniform[batch.first_row, self.num_view_draws :].view(len(key), 2, -1)
        made = hallucinate(key, self.prototypes, draws[:, 0], draws[:, 1], reach=self.config.hallucination_reach)
        is_kept = nearest(made, self.prototypes) == nearest(key, self.prototypes)[:, None]
        return made, is_kept & (self.has_prototypes > 0)

    def never_reached(self, num_clips: int) -> str:
        needed = _FILLINGS * self.config.queue_keys
        if self.config.plain_share == 1:
            return "--objective halp makes up no positives with --plain-share 1: it learns by contrast alone."
        if num_clips > needed:
            return ""
        return (
            f"--objective halp makes up no positives before --queue-keys are filled twice, by {needed:,} clips, and "
            f"this run sees {num_clips:,}: it learns by contrast alone. Choose --queue-keys below "
            f"{max(1, num_clips // 4):,}, or more --epochs."
        )

    @torch.no_grad()
    def after_update(self, done: float) -> None:
        config = self.config
        follow = get_ema_multi_avg_fn(config.key_momentum)  # type: ignore[no-untyped-call]
        for copied, original in ((self.key_encoder, self.encoder), (self.key_projector, self.projector)):
            follow(list(copied.parameters()), list(original.parameters()), None)
        if self._progress is None:
            self._progress = _Progress(int(self.num_updates), int(self.queue.added), bool(self.has_prototypes))
        progress = self._progress
        self.num_updates += 1
        progress.num_updates += 1
        if self._new_keys is None:
            return
        progress.keys_added += self.queue.add(in_order(self._new_keys))
        self._new_keys = None
        step = progress.num_updates
        # A run that was made longer may be before its plain share again; prototypes that it has go on to be sorted.
        is_due = done >= config.plain_share or progress.has_prototypes
        is_ready = is_due and progress.keys_added > _FILLINGS * config.queue_keys
        if is_ready and (step % config.prototype_every_steps == 0 or not progress.has_prototypes):
            newest = self.queue.newest(config.prototype_keys)
            draws = torch.Generator().manual_seed(step)
            self.prototypes.copy_(spherical_k_means(newest, config.num_prototypes, draws))
            self.has_prototypes.fill_(1)
            progress.has_prototypes = True


def _read_buffers_anew(halp: nn.Module, _: object) -> None:
    cast(Halp, halp)._progress = None


def hallucinate(
    keys: Float[Tensor, "clips size"],
    prototypes: Float[Tensor, "prototypes size"],
    which: Float[Tensor, "clips made"],
    how_far: Float[Tensor, "clips made"],
    *,
    reach: float,
) -> Float[Tensor, "clips made size"]:
    """Points on the sphere between each key and other prototypes than its own (section 3.2 of the paper).

    All are of length 1. `which` and `how_far` have numbers in [0, 1): the first chooses among the other prototypes; the
    second, times `reach`, is the share of the farthest step by which a point stays nearer to the key. The farthest
    step ends where the key's own prototype and the other are equally near.
    """
    own = nearest(keys, prototypes)
    others = len(prototypes) - 1
    chosen = (which * others).long().clamp_max(others - 1)
    chosen = chosen + (chosen >= own[:, None])
    towards, mine = prototypes[chosen], prototypes[own][:, None]
    cosine = (towards * keys[:, None]).sum(dim=2).clamp(-1, 1)
    angle = torch.acos(cosine).clamp(_SMALLEST_ANGLE, math.pi - _SMALLEST_ANGLE)
    # Where sin((1 − t) angle) / sin(t angle) has this value, both prototypes are equally near.
    ratio = (1 - (towards * mine).sum(dim=2)) / (keys[:, None] * (mine - towards)).sum(dim=2).clamp_min(1e-12)
    farthest = torch.atan2(angle.sin(), ratio + angle.cos()) / angle
    step = (1 - reach * how_far) * farthest
    along = ((1 - step) * angle).sin()[..., None] * keys[:, None] + (step * angle).sin()[..., None] * towards
    return F.normalize(along, dim=2)


def nearest(
    vectors: Float[Tensor, "*vectors size"], prototypes: Float[Tensor, "prototypes size"]
) -> Int[Tensor, "*vectors"]:
    """The number of the prototype that is nearest to each vector, all of length 1."""
    return (vectors @ prototypes.T).argmax(dim=-1)


def spherical_k_means(
    vectors: Float[Tensor, "vectors size"], count: int, draws: torch.Generator
) -> Float[Tensor, "count size"]:
    """`count` unit vectors, around which these unit vectors lie.

    They begin at vectors that are drawn one after the other, far ones more often (k-means++: by the square of the
    angle to the nearest that was drawn before). Then each vector goes to its nearest, and each of these to the mean of
    its vectors, until none moves by more than 1e-3. One that is nobody's nearest stays.
    """
    first = int(torch.randint(len(vectors), (1,), generator=draws))
    chosen = [vectors[first]]
    while len(chosen) < count:
        angle = torch.acos((vectors @ torch.stack(chosen).T).amax(dim=1).clamp(-1, 1))
        odds = angle.square().cpu() + 1e-12
        chosen.append(vectors[int(torch.multinomial(odds, 1, generator=draws))])
    centres = torch.stack(chosen)
    for _ in range(_MOST_ROUNDS):
        mine = F.one_hot(nearest(vectors, centres), count).to(vectors.dtype)
        sums = mine.T @ vectors
        moved = torch.where(mine.any(dim=0)[:, None], F.normalize(sums, dim=1), centres)
        shift = cast(Tensor, (moved - centres).norm(dim=1).max())
        centres = moved
        if shift <= _TOLERANCE:
            break
    return centres
