"""S-JEPA: predict what a slowly following copy of the encoder computes for hidden segments.

"S-JEPA: A Joint Embedding Predictive Architecture for Skeletal Action Recognition", ECCV 2024. It has no public code,
and its text could not be read. Its project page and the cost tables of later papers tell this much: a motion-aware
mask, a target encoder that sees all 750 tokens and is an exponential moving average, a predictor of 5 blocks on 750
tokens, targets that are centred and sharpened, and cross-entropy. The rest is chosen here, after DINO (ICCV 2021, arXiv
2104.14294, section 3.1 and appendix):

- The encoder's own features are the classes, and the last block of the predictor predicts them: the cost tables leave
  no room for a projection. Features and predictions are first scaled to unit vectors, as in DINO's head. So its
  temperatures mean the same here: 0.04 for targets, 0.1 for predictions.
- The centre is the mean of the batch's targets, not a running mean. DINO has a few hundred targets in a batch; a batch
  here has a hundred thousand. So the loss depends on batch and weights only.
- The momentum of the average rises from 0.996 to 1 along half a cosine over the run.
"""

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.encoders.encoder import MaskableEncoder
from trainer.encoders.transformer import gather_tokens
from trainer.objectives.objective import MotionMaskConfig, Objective, ObjectiveConfig, Outcome
from trainer.objectives.reconstruction import TokenDecoder
from trainer.parallel import moments, total


@dataclass(frozen=True, slots=True, kw_only=True)
class SJepaConfig(MotionMaskConfig):
    """S-JEPA's own settings. Its published runs have 1200 epochs (`--epochs 1200`), those of other objectives 400."""

    target_momentum: float = setting(0.996, "Share of itself that the target encoder keeps; it rises to 1.")
    target_temperature: float = setting(0.04, "Sharpness of targets; lower is sharper.")
    prediction_temperature: float = setting(0.1, "Sharpness of predictions; not below that of targets.")

    def __post_init__(self) -> None:
        MotionMaskConfig.__post_init__(self)
        if not 0 <= self.target_momentum <= 1:
            raise ValueError(
                f"--target-momentum is {self.target_momentum}; it must lie between 0 and 1. DINO's: 0.996."
            )
        if not 0 < self.target_temperature <= self.prediction_temperature < math.inf:
            raise ValueError(
                f"--target-temperature is {self.target_temperature} and --prediction-temperature is "
                f"{self.prediction_temperature}; they must be finite, with 0 < target <= prediction: otherwise "
                f"nothing sharpens the targets, and all become the same. DINO has 0.04 and 0.1."
            )


class SJepa(Objective):
    """Cross-entropy between predicted and target features at the hidden tokens. The target encoder is not trained."""

    config_type: ClassVar[type[ObjectiveConfig]] = SJepaConfig
    config: SJepaConfig

    def __init__(self, encoder: MaskableEncoder, config: SJepaConfig) -> None:
        super().__init__(encoder, config)
        self.decoder = TokenDecoder(encoder, config.decoder_depth, nn.Identity())
        self.target_encoder = copy.deepcopy(encoder).requires_grad_(False)

    def forward(self, batch: Batch) -> Outcome:
        bodies, uniform = batch.bodies, batch.uniform
        config = self.config
        segments, seen = self.encoder.known_segments(bodies)
        visible, target = self.mask(segments, uniform, seen)
        prediction = self.decoder(self.encoder(segments, visible), visible, target).flatten(0, 1)
        with torch.no_grad():
            features = gather_tokens(self.target_encoder(segments), target).flatten(0, 1)
        with torch.autocast(bodies.device.type, enabled=False):
            wanted = centred_and_sharpened(features.float(), config.target_temperature)
            logits = F.normalize(prediction.float(), dim=1) / config.prediction_temperature
            count = total(logits.new_full((), len(logits)))
            loss = total(F.cross_entropy(logits, wanted, reduction="sum")) / count
        # What is compared, times the number of features: 1 if all odds are equal, a scale that health.py expects.
        width = logits.shape[1]
        levels = {"features": (width * logits.detach().softmax(dim=1), width * wanted)}
        return Outcome(loss, {"prediction": loss.detach()}, levels)

    def after_update(self, done: float) -> None:
        follow = get_ema_multi_avg_fn(target_momentum(done, start=self.config.target_momentum))  # type: ignore[no-untyped-call]
        follow(list(self.target_encoder.parameters()), list(self.encoder.parameters()), None)


def centred_and_sharpened(
    features: Float[Tensor, "targets features"], temperature: float
) -> Float[Tensor, "targets features"]:
    """Softmax over the features of unit vectors, minus their mean over all processes, divided by the temperature."""
    _, _, centred = moments(F.normalize(features, dim=1))
    return (centred / temperature).softmax(dim=1)


def target_momentum(done: float, *, start: float) -> float:
    """Half a cosine from `start` up to 1. `done` is the share of the run that is done."""
    return 1 - (1 - start) * 0.5 * (1 + math.cos(math.pi * done))
