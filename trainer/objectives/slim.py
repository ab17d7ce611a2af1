"""SLiM: a slow copy of the encoder teaches it whole clips from short views, and hidden tokens from their surroundings.

"Less is More: Decoder-Free Masked Modeling for Efficient Skeleton Representation Learning", arXiv 2603.10648, with the
values of its public code. The copy sees two long views of a clip. The encoder sees the same, one of them with hidden
tokens, and eight shorter views that are cut out of these, all with hidden tokens. From each it learns what the copy
says of the clip as a whole, as odds over prototypes; and at the hidden tokens of the long view, what the copy says of
them. No decoder is needed: a learned token stands where one is hidden. What is served is the copy.

As published, a step sees one body of a clip, chosen at random.

Differences to the public code, which are meant:

- Of each clip one of the two long views has hidden tokens; there, any half of all long views. So all processes have
  batches of one shape.
- With --frame body, tokens of lacking joints are left out of all views; there, all joints are always known.
- The share of hidden tokens is drawn for each view by itself; there, so that a batch has all shares.
- The term that spreads vectors compares the clips of all processes; there, those of each process.
- Windows are resampled in the way of all objectives here; there, frames are picked.
- The prototypes learn from the first step on; there, from the second of 150 epochs on.
- The layers of the heads start at Xavier's numbers; there, with a spread of 0.02.
- The clip keeps its origin, the middle of the first body's spine; there, the body that is seen is put at the origin.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.data.tubes import NUM_TUBE_DRAWS, semantic_tubes
from trainer.data.views import Mirror, Noise, ScaleLimbs, Sometimes, Turn, View, WithoutAxis
from trainer.encoders import Encoder, FillableEncoder
from trainer.encoders.transformer import gather_tokens
from trainer.objectives.objective import Objective, ObjectiveConfig, Outcome
from trainer.objectives.prototypes import SHARPEST, balanced_odds
from trainer.objectives.s_jepa import target_momentum
from trainer.objectives.self_distillation import PrototypeHead, cross_entropy, crowding
from trainer.parallel import total

_NUM_LONG = 2
# Short views: what their segments are of those of a long view, how many are cut out of each long view, and which
# shares of it they are.
_SHORT = ((2, 1, 0.35, 0.7), (4, 2, 0.15, 0.4), (8, 1, 0.05, 0.2))
# Windows have at least this many frames, those of the shortest views half of it.
_LEAST_FRAMES = 16
_ANYWHERE = (Sometimes(Mirror()), Sometimes(ScaleLimbs()), Sometimes(Turn()))
_FIRST = (*_ANYWHERE, Noise(0.01))
_SECOND = (*_ANYWHERE, Sometimes(Noise(0.05), 0.1), Sometimes(WithoutAxis(), 0.2))
_OF_SHORT = (*_ANYWHERE, Sometimes(Noise(0.01)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimConfig(ObjectiveConfig):
    """SLiM's own settings. The published size of the heads is in the preset `slim-ntu60`; it takes a large GPU."""

    target_momentum: float = setting(0.994, "Share of itself that the target encoder keeps; it rises to 1.")
    target_temperature: float = setting(0.07, "Sharpness of targets; lower is sharper.")
    first_target_temperature: float = setting(0.04, "Sharpness of targets in the first step.")
    temperature_share: float = setting(0.2, "Share of the run in which that of the first step becomes the later one.")
    prediction_temperature: float = setting(0.1, "Sharpness of predictions; not below that of targets.")
    clip_weight: float = setting(1.0, "Weight of what is predicted of whole clips.")
    token_weight: float = setting(1.0, "Weight of what is predicted of hidden tokens.")
    crowding_weight: float = setting(0.1, "Weight of the term that keeps clips apart (KoLeo).")
    least_hidden: float = setting(0.5, "Smallest share of tokens that are hidden in a view that has hidden ones.")
    most_hidden: float = setting(0.9, "Largest share of tokens that are hidden in a view.")
    num_prototypes: int = setting(0, "Prototypes of each head; 0 = 16 times the encoder's width. Published: 65536.")
    head_width: int = setting(0, "Width of each head; 0 = 8 times the encoder's, as published.")
    head_size: int = setting(0, "Numbers of the vectors that are compared with prototypes; 0 = the encoder's width.")

    def __post_init__(self) -> None:
        for name in ("target_momentum", "temperature_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to 1.")
        first, later, prediction = self.first_target_temperature, self.target_temperature, self.prediction_temperature
        if not (SHARPEST <= first <= prediction < math.inf and SHARPEST <= later <= prediction):
            raise ValueError(
                f"--first-target-temperature is {first}, --target-temperature {later} and --prediction-temperature "
                f"{prediction}; they must be at least {SHARPEST} and finite, and those of targets at most that of "
                f"predictions. SLiM has 0.04, 0.07 and 0.1."
            )
        for name in ("clip_weight", "token_weight", "crowding_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more, and finite."
                )
        if not 0 < self.least_hidden <= self.most_hidden < 1:
            raise ValueError(
                f"--least-hidden is {self.least_hidden} and --most-hidden {self.most_hidden}; they must be above 0 and "
                f"below 1, and the first at most the second. SLiM has 0.5 and 0.9."
            )
        if self.num_prototypes == 1:
            raise ValueError("--num-prototypes is 1, which every clip is nearest to; it must be 0, or 2 or more.")
        for name in ("num_prototypes", "head_width", "head_size"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more.")


class _Seen(NamedTuple):
    """One body of each clip in a view."""

    segments: Float[Tensor, "clips _ coordinates"]
    known: Bool[Tensor, "clips _"]  # those whose joint is lacking do not count, nor those that come again
    place: Int[Tensor, "clips _"] | None  # of the segments among all of a body; None if they are all, in their order

    def at_its_tokens(self, of_all: Bool[Tensor, "clips _"]) -> Bool[Tensor, "clips _"]:
        """What is given of all tokens, of those that are seen."""
        return of_all if self.place is None else of_all.gather(1, self.place)


class Slim(Objective):
    """Cross-entropy with the odds of a slow copy: of whole clips in ten views, and of the hidden tokens of one."""

    config_type: ClassVar[type[ObjectiveConfig]] = SlimConfig
    config: SlimConfig
    served: ClassVar[str] = "target_encoder"

    target_encoder: FillableEncoder
    temperature: Tensor

    def __init__(self, encoder: FillableEncoder, config: SlimConfig) -> None:
        super().__init__(encoder, config)
        width = encoder.width
        size = config.head_width or 8 * width, config.head_size or width, config.num_prototypes or 16 * width
        self.clip_head = PrototypeHead(width, *size)
        self.token_head = PrototypeHead(width, *size)
        self.hidden_token = nn.Parameter(torch.zeros(width))
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.target_clip_head = copy.deepcopy(self.clip_head).requires_grad_(False)
        self.target_token_head = copy.deepcopy(self.token_head).requires_grad_(False)
        self.register_buffer("temperature", torch.tensor(config.first_target_temperature))
        self._segments = [max(1, encoder.num_segments // part) for part, *_ in _SHORT]

    @classmethod
    def needed_encoder(cls, config: Any) -> type[Encoder]:  # noqa: ARG003 (the same for all settings)
        """One in which a learned token can stand for hidden ones."""
        return FillableEncoder

    @property
    def views(self) -> tuple[View, ...]:
        """Two long ones; then the short ones, long before short, those of the first long one first."""
        views = [View(min_frames=_LEAST_FRAMES, changes=changes) for changes in (_FIRST, _SECOND)]
        for (part, count, least, most), segments in zip(_SHORT, self._segments, strict=True):
            views += [
                View(
                    min_share=least,
                    max_share=most,
                    min_frames=_LEAST_FRAMES if part < 8 else _LEAST_FRAMES // 2,
                    within=number,
                    num_frames=segments * self.encoder.config.segment_frames,
                    changes=_OF_SHORT,
                )
                for number in range(_NUM_LONG)
                for _ in range(count)
            ]
        return tuple(views)

    @property
    def num_draws(self) -> int:
        """Which body is seen, which long view has hidden tokens, and the tubes of this one and of each short view."""
        return 2 + (len(self.views) - 1) * NUM_TUBE_DRAWS

    def forward(self, batch: Batch) -> Outcome:
        config, encoder = self.config, self.encoder
        row = one_body(batch)
        views = [self._seen(view[row]) for view in batch.views]
        draws = batch.uniform[row]
        which = (_NUM_LONG * draws[:, 1]).long().clamp_max(_NUM_LONG - 1)
        tubes = self._tubes(draws[:, 2:])
        clips = torch.arange(len(row), device=row.device)

        long, place = _together(views[:_NUM_LONG])
        is_it = torch.cat([which == number for number in range(_NUM_LONG)])
        of_long = torch.stack([view.at_its_tokens(tubes[0]) for view in views[:_NUM_LONG]])  # views, clips, tokens
        hidden = of_long.flatten(0, 1) & is_it[:, None]
        whole, tokens = encoder.filled(long, hidden, self.hidden_token, place)
        with torch.no_grad():
            target_whole, target_tokens = self.target_encoder.filled(long, place=place)
            target_vectors, target_cosines = self.target_clip_head(target_whole)
            odds = balanced_odds(target_cosines, self.temperature)
        vectors, cosines = self.clip_head(torch.cat([whole, *self._short(views, tubes)]))
        clip_loss = self._clip_loss(cosines, odds, len(row))

        # Tokens that count come first, and as many are taken as may be hidden at most: so all steps have one shape.
        at = which * len(row) + clips
        known = torch.stack([view.known for view in views[:_NUM_LONG]])[which, clips]
        counts = of_long[which, clips] & known
        first = counts.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        first = first[:, : max(1, int(config.most_hidden * encoder.num_tokens))]
        counts = counts.gather(1, first)
        predicted, token_cosines = self.token_head(gather_tokens(tokens[at], first).flatten(0, 1))
        with torch.no_grad():
            wanted, wanted_cosines = self.target_token_head(gather_tokens(target_tokens[at], first).flatten(0, 1))
            token_odds = balanced_odds(wanted_cosines, self.temperature, counts.flatten())
        token_loss = self._token_loss(token_cosines, token_odds, counts)

        crowded = torch.stack([crowding(each) for each in whole.chunk(_NUM_LONG)]).sum()
        loss = config.clip_weight * clip_loss + config.token_weight * token_loss + config.crowding_weight * crowded
        terms = {"clips": clip_loss, "tokens": token_loss, "crowding": crowded}
        # So scaled, the numbers of unit vectors have a spread of 1, which health.py expects.
        size = math.sqrt(vectors.shape[1])
        levels = {
            "clips": (size * vectors[: len(long)].detach(), size * other_view(target_vectors)),
            "tokens": (size * predicted.detach(), size * wanted),
        }
        return Outcome(loss, {name: term.detach() for name, term in terms.items()}, levels)

    def _seen(self, bodies: Float[Tensor, "clips _ joints 3"]) -> _Seen:
        segments, known = self.encoder.cut(*self.encoder.shown(bodies))
        segments, place = self.encoder.without_lacking(segments, known)
        if place is not None:
            # Known ones come first, and then again.
            known = torch.arange(known.shape[1], device=known.device) < known.sum(dim=1, keepdim=True)
        return _Seen(segments, known, place)

    def _tubes(self, draws: Float[Tensor, "clips draws"]) -> list[Bool[Tensor, "clips _"]]:
        """The hidden tokens of a long view, and of each short one."""
        most, joints = self.encoder.num_segments, self.encoder.num_joints
        counts = [most, *(self._segments_of_short())]
        number = torch.tensor(counts, device=draws.device).repeat(len(draws))
        hidden = semantic_tubes(
            draws.reshape(len(draws) * len(counts), NUM_TUBE_DRAWS),
            number,
            most,
            least=self.config.least_hidden,
            most=self.config.most_hidden,
        ).view(len(draws), len(counts), -1)
        return [hidden[:, view, : count * joints] for view, count in enumerate(counts)]

    def _segments_of_short(self) -> list[int]:
        counts = [count for _, count, _, _ in _SHORT]
        return [
            segments for segments, count in zip(self._segments, counts, strict=True) for _ in range(_NUM_LONG * count)
        ]

    def _short(
        self,
        views: list[_Seen],
        tubes: list[Bool[Tensor, "clips _"]],
    ) -> list[Float[Tensor, "_ width"]]:
        """The vectors of bodies in the short views, those of one length in one pass."""
        vectors, place = [], _NUM_LONG
        for _, count, _, _ in _SHORT:
            same = range(place, place + _NUM_LONG * count)
            place = same.stop
            # Of the long views only one has tubes.
            hidden = torch.cat([views[view].at_its_tokens(tubes[view - _NUM_LONG + 1]) for view in same])
            segments, places = _together([views[view] for view in same])
            vectors.append(self.encoder.filled(segments, hidden, self.hidden_token, places)[0])
        return vectors

    def _clip_loss(
        self, cosines: Float[Tensor, "seen prototypes"], odds: Float[Tensor, "targets prototypes"], num_clips: int
    ) -> Float[Tensor, ""]:
        """The mean over all pairs of a view and a target: of a long view the other one's, of a short view both."""
        both = odds[:num_clips] + odds[num_clips:]
        short = len(cosines) // num_clips - _NUM_LONG
        wanted = torch.cat([other_view(odds), both.repeat(short, 1)])
        pairs = _NUM_LONG + _NUM_LONG * short
        entropy = cross_entropy(cosines, wanted, self.config.prediction_temperature)
        return total(entropy.sum()) / (pairs * total(entropy.new_full((), num_clips)))

    def _token_loss(
        self,
        cosines: Float[Tensor, "targets prototypes"],
        odds: Float[Tensor, "targets prototypes"],
        counts: Bool[Tensor, "clips tokens"],
    ) -> Float[Tensor, ""]:
        """The mean of a view's hidden tokens, averaged over long views; those without hidden tokens have none."""
        entropy = cross_entropy(cosines, odds, self.config.prediction_temperature).view(counts.shape)
        means = entropy.sum(dim=1) / counts.sum(dim=1).clamp_min(1)
        return total(means.sum()) / (_NUM_LONG * total(means.new_full((), len(means))))

    @torch.no_grad()
    def after_update(self, done: float) -> None:
        config = self.config
        follow = get_ema_multi_avg_fn(target_momentum(done, start=config.target_momentum))  # type: ignore[no-untyped-call]
        for copied, original in (
            (self.target_encoder, self.encoder),
            (self.target_clip_head, self.clip_head),
            (self.target_token_head, self.token_head),
        ):
            follow(list(copied.parameters()), list(original.parameters()), None)
        first, later = config.first_target_temperature, config.target_temperature
        share = 1.0 if done >= config.temperature_share else done / config.temperature_share
        self.temperature.fill_(first + (later - first) * share)


def _together(
    views: Sequence[_Seen],
) -> tuple[Float[Tensor, "seen _ coordinates"], Int[Tensor, "seen _"] | None]:
    """The segments of several views of one length as one batch, and their places."""
    places = [view.place for view in views if view.place is not None]
    return torch.cat([view.segments for view in views]), torch.cat(places) if places else None


def one_body(batch: Batch) -> Int[Tensor, " clips"]:
    """The row of one body of each clip, drawn among those that are there. An absent body is zeros in all frames."""
    is_there = (batch.bodies != 0).flatten(1).any(dim=1)
    draw = 0.9 * batch.uniform[:, 0]
    # In order of clips, and in a clip of the draws; those that are absent last.
    order = (batch.clip + torch.where(is_there, draw, 0.95)).argsort()
    return order[batch.first_row]


def other_view(rows: Float[Tensor, "rows size"]) -> Float[Tensor, "rows size"]:
    """Rows of the first view in the places of those of the second, and the other way round."""
    return rows.roll(len(rows) // _NUM_LONG, dims=0)
