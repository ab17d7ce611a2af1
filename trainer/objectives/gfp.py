"""GFP: predict 251 general features of a clip instead of its 750 segments.

"Towards Efficient General Feature Prediction in Masked Skeleton Modeling", ICCV 2025, arXiv 2509.03609. The paper has
no public code; where its text leaves a choice, the comment at that line says what was chosen and why.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.options import setting
from trainer.encoder import Block, Positions, SkeletonEncoder, init_weights
from trainer.masking import motion_aware_mask
from trainer.objectives.objective import Objective, ObjectiveConfig, Outcome
from trainer.parallel import GlobalBatchNorm, mean_square, moments, total

# Segments that one target of the short-, mid- and long-term level spans: 30 / 5 · 25 = 150, 75 and 25 targets; with
# the global one they are the paper's 251.
WINDOWS = (5, 10, 30)
LEVEL_NAMES = ("short", "mid", "long", "global")


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpConfig(ObjectiveConfig):
    """GFP's own settings. The paper prints weights 5 (prediction), 5 (covariance), 1 (variance).

    The defaults swap the last two, as the first author's earlier code and VICReg have them: as printed, the targets
    shrink within the first hundred steps. `--preset published-weights` is the printed setting.
    """

    mask_temperature: float = setting(0.8, "Lower hides moving joints more; 0 or less hides all joints alike.")
    prediction_weight: float = setting(5.0, "Weight of the prediction term.")
    variance_weight: float = setting(5.0, "Weight of the variance term (the paper prints 1).")
    covariance_weight: float = setting(1.0, "Weight of the covariance term (the paper prints 5).")
    local_width: int = setting(512, "Features of a short-, mid- or long-term target.")
    global_width: int = setting(2048, "Features of the global target.")
    stop_gradient: Literal["none", "target", "prediction"] = setting(
        "none", "Side of the prediction term that does not learn from it."
    )

    def __post_init__(self) -> None:
        ObjectiveConfig.__post_init__(self)
        weights = (self.prediction_weight, self.variance_weight, self.covariance_weight)
        if not all(0 <= weight < math.inf for weight in weights):  # NaN too
            raise ValueError(
                f"--prediction-weight, --variance-weight and --covariance-weight are {weights}; none may be negative "
                f"or infinite."
            )
        if math.isnan(self.mask_temperature):
            raise ValueError("--mask-temperature is nan; the published runs use 0.8 and 0.75.")
        if min(self.local_width, self.global_width) < 2:
            raise ValueError(
                "--local-width and --global-width must be at least 2; the published runs use 512 and 2048."
            )

    @property
    def level_widths(self) -> tuple[int, ...]:
        return (self.local_width, self.local_width, self.local_width, self.global_width)


def mlp(*widths: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, ..., linear: the projectors and the target network's heads."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), GlobalBatchNorm(outer), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


class Decoder(nn.Module):
    """Visible tokens → predictions at four levels. Pooling comes before every block, which is what makes it cheap."""

    def __init__(self, encoder: SkeletonEncoder, level_widths: tuple[int, ...]) -> None:
        super().__init__()
        config = encoder.config
        width = config.width
        if encoder.num_segments % WINDOWS[-1]:
            raise ValueError(
                f"GFP needs a multiple of {WINDOWS[-1]} segments, got {encoder.num_segments}; "
                f"the published clip of 120 frames in segments of 4 has 30."
            )
        self.num_joints, self.num_tokens = encoder.num_joints, encoder.num_tokens
        self.embed = nn.Linear(width, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.04, b=0.04)
        self.positions = Positions(encoder.num_segments, encoder.num_joints, width, std=config.position_std)
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in WINDOWS)
        # The FLOPs of the paper do not tell whether the single global token has a block; with one, it costs 0.003 G.
        self.global_block = Block(width, config.num_heads)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in LEVEL_NAMES)
        self.projectors = nn.ModuleList(mlp(width, out, out, out) for out in level_widths)
        self.apply(init_weights)

    def forward(
        self, tokens: Float[Tensor, "rows visible width"], visible: Int[Tensor, "rows visible"]
    ) -> list[Float[Tensor, "targets features"]]:
        """One matrix a level; its rows are body by body, within a body window by window, joint by joint."""
        level = self._first_pool(self.embed(tokens), visible)
        outputs = []
        previous = WINDOWS[0]
        for window, block in zip(WINDOWS, self.blocks, strict=True):
            level = block(_pool_windows(level, self.num_joints, window // previous))
            outputs.append(level)
            previous = window
        outputs.append(self.global_block(level.mean(dim=1, keepdim=True)))
        return [
            project(norm(out).flatten(0, 1))
            for project, norm, out in zip(self.projectors, self.norms, outputs, strict=True)
        ]

    def _first_pool(
        self, tokens: Float[Tensor, "rows visible width"], visible: Int[Tensor, "rows visible"]
    ) -> Float[Tensor, "rows pooled width"]:
        """Mean over the first windows of all 750 tokens, mask tokens where hidden, without ever making the 750.

        Pooling is linear: the mean of an all-hidden clip is the same for every row, and each visible token adds its
        difference to the mask token, divided by the window.
        """
        rows, _, width = tokens.shape
        window, joints = WINDOWS[0], self.num_joints
        hidden = (self.positions() + self.mask_token).unsqueeze(0)  # 1, tokens, width
        pooled = _pool_windows(hidden, joints, window).expand(rows, -1, -1)
        slot = visible // (window * joints) * joints + visible % joints
        share = ((tokens - self.mask_token) / window).to(pooled.dtype)
        return pooled.scatter_add(1, slot.unsqueeze(-1).expand(-1, -1, width), share)


class TargetNetwork(nn.Module):
    """TGN: inter-frame motion → targets at four levels, learned online together with the encoder."""

    def __init__(self, encoder: SkeletonEncoder, level_widths: tuple[int, ...]) -> None:
        super().__init__()
        self.num_joints = encoder.num_joints
        coordinates = 3 * encoder.config.segment_frames
        given = [coordinates, coordinates, coordinates, encoder.num_tokens * coordinates]
        self.heads = nn.ModuleList(mlp(into, out, out, out) for into, out in zip(given, level_widths, strict=True))
        self.apply(init_weights)

    def forward(self, segments: Float[Tensor, "rows tokens coordinates"]) -> list[Float[Tensor, "targets features"]]:
        """One matrix a level, rows as in `Decoder.forward`."""
        motion = segment_motion(segments, self.num_joints)
        pooled = [_pool_windows(motion, self.num_joints, window).flatten(0, 1) for window in WINDOWS]
        return [head(x) for head, x in zip(self.heads, [*pooled, motion.flatten(1)], strict=True)]


def segment_motion(
    segments: Float[Tensor, "rows tokens coordinates"], num_joints: int
) -> Float[Tensor, "rows tokens coordinates"]:
    """Each joint's next segment minus this one; zeros in the last, so that windows of 5, 10 and 30 stay whole.

    The paper writes the difference on the segment tensor, not on frames; its FLOPs agree (12 numbers a token).
    """
    motion = torch.zeros_like(segments)
    motion[:, :-num_joints] = segments[:, num_joints:] - segments[:, :-num_joints]
    return motion


def _pool_windows(
    tokens: Float[Tensor, "rows tokens width"], num_joints: int, window: int
) -> Float[Tensor, "rows pooled width"]:
    """Mean over `window` neighbouring segments of the same joint."""
    rows, count, width = tokens.shape
    grid = tokens.reshape(rows, count // (window * num_joints), window, num_joints, width)
    return grid.mean(dim=2).flatten(1, 2)


def variance_term(features: Float[Tensor, "targets features"]) -> Float[Tensor, ""]:
    """Mean of max(0, 1 − std) over features (VICReg): pushes every feature's spread over the batch up to 1.

    The std is sqrt(var + 1e-4), over the rows of all processes.
    """
    rows, _, centred = moments(features)
    variance = total(centred.square().sum(dim=0)) / (rows - 1)
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean()


def covariance_term(features: Float[Tensor, "targets features"]) -> Float[Tensor, ""]:
    """Sum of squared off-diagonal covariances over the number of features (VICReg): keeps features from repeating."""
    rows, _, centred = moments(features)
    covariance = total(centred.T @ centred) / (rows - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / features.shape[1]


class Gfp(Objective):
    """The objective: encoder, decoder and target network, and the loss L = λ·prediction + variance + covariance."""

    config_type: ClassVar[type[ObjectiveConfig]] = GfpConfig
    config: GfpConfig

    def __init__(self, encoder: SkeletonEncoder, config: GfpConfig) -> None:
        super().__init__(encoder, config)
        self.decoder = Decoder(encoder, config.level_widths)
        self.target_network = TargetNetwork(encoder, config.level_widths)

    def forward(self, bodies: Float[Tensor, "rows frames joints 3"], uniform: Float[Tensor, "rows tokens"]) -> Outcome:
        config = self.config
        segments = self.encoder.segments(bodies)
        visible, _ = motion_aware_mask(
            segments,
            self.encoder.num_joints,
            uniform,
            mask_ratio=config.mask_ratio,
            temperature=config.mask_temperature,
        )
        predictions = self.decoder(self.encoder(segments, visible), visible)
        # Encoder and target network see the same augmented clip. No gradient is stopped by default: both sides learn,
        # and the regularising terms on the targets prevent collapse.
        targets = self.target_network(segments)
        # Squares of 2048 × 2048 covariances lose their small entries in bf16, so statistics are always float32.
        with torch.autocast(bodies.device.type, enabled=False):
            predictions, targets = [p.float() for p in predictions], [t.float() for t in targets]
            zero = bodies.new_zeros((), dtype=torch.float32)
            terms = {
                "prediction": sum((self._prediction(p, t) for p, t in zip(predictions, targets, strict=True)), zero),
                "variance": sum((variance_term(t) for t in targets), zero),
                "covariance": sum((covariance_term(t) for t in targets), zero),
            }
            loss = (
                config.prediction_weight * terms["prediction"]
                + config.variance_weight * terms["variance"]
                + config.covariance_weight * terms["covariance"]
            )
        return Outcome(loss, terms, dict(zip(LEVEL_NAMES, zip(predictions, targets, strict=True), strict=True)))

    def _prediction(
        self, prediction: Float[Tensor, "targets features"], target: Float[Tensor, "targets features"]
    ) -> Float[Tensor, ""]:
        # Over all 251 positions: a pooled target mixes hidden and visible segments.
        if self.config.stop_gradient == "target":
            target = target.detach()
        if self.config.stop_gradient == "prediction":
            prediction = prediction.detach()
        return mean_square(prediction - target)
