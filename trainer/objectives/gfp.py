"""GFP: predict 251 general features of a clip instead of its 750 segments.

"Towards Efficient General Feature Prediction in Masked Skeleton Modeling", ICCV 2025, arXiv 2509.03609. The paper has
no public code. Where its text leaves a choice, a comment says what was chosen and why.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gfp_serve.settings import setting
from trainer.data.batches import Batch
from trainer.encoders.encoder import MaskableEncoder
from trainer.encoders.transformer import Block, Positions, init_weights
from trainer.objectives.gfp_targets import (
    LEVELS,
    WINDOWS,
    LowLevelTargets,
    MotionPooling,
    TargetInput,
    TargetNetwork,
    TargetWindows,
    level_inputs,
    mlp,
    target_input,
)
from trainer.objectives.objective import (
    MotionMaskConfig,
    Objective,
    ObjectiveConfig,
    Outcome,
    decoder_depth_setting,
)
from trainer.objectives.vicreg import variance_and_covariance
from trainer.parallel import mean_square

VARIANCE_WEIGHT, COVARIANCE_WEIGHT = 5.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpConfig(MotionMaskConfig):
    """GFP's own settings. The paper prints the weights 5 (prediction), 5 (covariance) and 1 (variance).

    The defaults swap the last two, as in the first author's earlier code and in VICReg: with the printed weights the
    targets shrink within the first hundred steps. `--preset published-weights` has the printed ones.
    """

    decoder_depth: int = decoder_depth_setting(1)
    prediction_weight: float = setting(5.0, "Weight of the prediction term.")
    variance_weight: float = setting(VARIANCE_WEIGHT, "Weight of the variance term (the paper prints 1).")
    covariance_weight: float = setting(COVARIANCE_WEIGHT, "Weight of the covariance term (the paper prints 5).")
    levels: str = setting(",".join(LEVELS), "Levels at which targets are predicted; any of those in the default.")
    local_width: int = setting(
        0, "Features of a short-, mid- or long-term target; 0 = twice --width (published: 512 for 256)."
    )
    global_width: int = setting(0, "Features of the global target; 0 = eight times --width (published: 2048 for 256).")
    mlp_layers: int = setting(3, "Linear layers of each MLP that makes a target or a prediction.")
    target_input: TargetInput = setting("motion", "What targets are made of; in masked-joints hidden joints are zeros.")
    motion_pooling: MotionPooling = setting("signed", "What is averaged over a window: motion, its size or its square.")
    targets: Literal["network", "low-level"] = setting(
        "network",
        "Made by a learned network, or the pooled input itself, standardised over the batch.",
    )
    stop_gradient: Literal["none", "target", "prediction"] = setting(
        "none", "Side of the prediction term that does not learn; with prediction the encoder stays untrained."
    )

    def __post_init__(self) -> None:
        MotionMaskConfig.__post_init__(self)
        weights = (self.prediction_weight, self.variance_weight, self.covariance_weight)
        if not all(0 <= weight < math.inf for weight in weights):  # NaN too
            raise ValueError(
                f"--prediction-weight, --variance-weight and --covariance-weight are {weights}; each must be 0 or "
                f"more, and finite."
            )
        if not {self.local_width, self.global_width}.isdisjoint({1}) or min(self.local_width, self.global_width) < 0:
            raise ValueError(
                "--local-width and --global-width must each be at least 2, or 0 to follow --width; the published runs "
                "use 512 and 2048."
            )
        if self.mlp_layers < 2:
            raise ValueError(f"--mlp-layers is {self.mlp_layers}; it must be at least 2 (the paper tries 2, 3 and 4).")
        if not self.levels or ",".join(name for name in LEVELS if name in self.level_names) != self.levels:
            raise ValueError(
                f"--levels is {self.levels!r}; it must name one or more of {', '.join(LEVELS)}, each once, in this "
                f"order, separated by commas without spaces: --levels short,mid,long"
            )
        self._check_ablations()

    def _check_ablations(self) -> None:
        """Raise `ValueError` for settings that would have no effect."""
        if self.motion_pooling != "signed" and (self.target_input != "motion" or self.level_names == ("global",)):
            raise ValueError(
                f"--motion-pooling {self.motion_pooling} has no effect: with --target-input {self.target_input} and "
                f"--levels {self.levels} no motion is pooled. Leave it out, or pool motion at short, mid or long."
            )
        if self.targets == "network":
            return
        if self.stop_gradient != "none":
            raise ValueError(
                f"--stop-gradient {self.stop_gradient} makes no sense with --targets low-level: these targets do not "
                f"learn, so only the prediction can. Leave it out."
            )
        if (self.variance_weight, self.covariance_weight) != (VARIANCE_WEIGHT, COVARIANCE_WEIGHT):
            raise ValueError(
                "--variance-weight and --covariance-weight have no effect with --targets low-level: these targets do "
                "not learn, so they cannot collapse. Leave both out (and --preset published-weights)."
            )

    @property
    def level_names(self) -> tuple[str, ...]:
        return tuple(self.levels.split(","))

    def level_widths(self, encoder_width: int) -> tuple[int, ...]:
        """The features of a target of each level, for an encoder with tokens of this width."""
        local, whole = self.local_width or 2 * encoder_width, self.global_width or 8 * encoder_width
        return tuple(whole if level == "global" else local for level in self.level_names)


class LevelHeads(nn.Module):
    """Layer norm and projector of each level."""

    def __init__(self, width: int, config: GfpConfig, output_widths: Sequence[int]) -> None:
        super().__init__()
        hidden = config.mlp_layers - 1
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in output_widths)
        self.projectors = nn.ModuleList(
            mlp(width, *[inner] * hidden, out)
            for inner, out in zip(config.level_widths(width), output_widths, strict=True)
        )

    def forward(self, levels: Sequence[Float[Tensor, "rows _ width"]]) -> list[Float[Tensor, "targets features"]]:
        """Predictions [targets, features] of each level, row after row as in `level_inputs`."""
        return [
            project(norm(level).flatten(0, 1))
            for project, norm, level in zip(self.projectors, self.norms, levels, strict=True)
        ]


class Decoder(nn.Module):
    """Visible tokens → predictions at each level. Pooling comes before every block, which makes it cheap.

    A level reads the output of the level before it. A level that is left out has no block and no head.
    """

    def __init__(self, encoder: MaskableEncoder, config: GfpConfig, output_widths: Sequence[int]) -> None:
        super().__init__()
        width, num_heads = encoder.config.width, encoder.config.num_heads
        self.levels = config.level_names
        self.first_window = WINDOWS.get(self.levels[0], WINDOWS["long"])
        self.embed = nn.Linear(width, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.04, b=0.04)
        self.positions = Positions(encoder.num_segments, encoder.num_joints, width, std=encoder.config.position_std)
        # The paper's FLOPs do not show whether the single global token has a block (0.003 GFLOP). Here it has one.
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(width, num_heads) for _ in range(config.decoder_depth))) for _ in self.levels
        )
        self.heads = LevelHeads(width, config, output_widths)
        self.apply(init_weights)

    def forward(
        self,
        tokens: Float[Tensor, "rows visible width"],
        visible: Int[Tensor, "rows visible"],
        windows: TargetWindows,
    ) -> list[Float[Tensor, "targets features"]]:
        """Predictions [targets, features] of each level."""
        level = self._first_pool(self.embed(tokens), visible, windows)
        window = self.first_window
        outputs = []
        for name, blocks in zip(self.levels, self.blocks, strict=True):
            if name == "global":
                level = level.mean(dim=1, keepdim=True)
            elif WINDOWS[name] > window:
                level = windows.merged(level, window, WINDOWS[name])
                window = WINDOWS[name]
            level = blocks(level)
            outputs.append(level)
        return self.heads(outputs)

    def _first_pool(
        self, tokens: Float[Tensor, "rows visible width"], visible: Int[Tensor, "rows visible"], windows: TargetWindows
    ) -> Float[Tensor, "rows pooled width"]:
        """The mean over the first windows of all 750 tokens, with mask tokens where they are hidden.

        The 750 tokens are never made, because pooling is linear. The mean of a clip whose tokens are all hidden comes
        first. Each visible token adds its difference from the mask token, times its share of the window.
        """
        hidden = (self.positions() + self.mask_token).unsqueeze(0)  # 1, tokens, width
        pooled = windows.mean(hidden, self.first_window)
        return windows.with_visible(pooled, tokens - self.mask_token, visible, self.first_window)


class Gfp(Objective):
    """The objective: encoder, decoder and target network, with L = λ·prediction + variance + covariance.

    The three terms have the weights of the config. Raises `ValueError` when the longest window does not divide the
    segments of the encoder's clips.
    """

    config_type: ClassVar[type[ObjectiveConfig]] = GfpConfig
    config: GfpConfig

    def __init__(self, encoder: MaskableEncoder, config: GfpConfig) -> None:
        super().__init__(encoder, config)
        if encoder.num_segments % WINDOWS["long"]:
            raise ValueError(
                f"--num-frames divided by --segment-frames gives {encoder.num_segments} segments; gfp needs a multiple "
                f"of {WINDOWS['long']}, for example --num-frames {WINDOWS['long'] * encoder.config.segment_frames} "
                f"(the published clip has 120 frames in segments of 4)."
            )
        coordinates = 3 * encoder.config.segment_frames
        whole_clip = encoder.num_tokens * coordinates
        input_widths = [whole_clip if level == "global" else coordinates for level in config.level_names]
        if config.targets == "network":
            level_widths = config.level_widths(encoder.config.width)
            self.decoder = self.build_decoder(level_widths)
            self.target_network: nn.Module = TargetNetwork(
                input_widths, level_widths, config.mlp_layers, of_places=config.target_input != "motion"
            )
        else:
            self.decoder = self.build_decoder(input_widths)
            self.target_network = LowLevelTargets()
        if config.stop_gradient == "prediction":
            # No other term reaches these weights. Processes that share a run would wait for their gradients.
            self.encoder.requires_grad_(False)
            self.decoder.requires_grad_(False)

    def build_decoder(self, output_widths: Sequence[int]) -> nn.Module:
        """The part that predicts from visible tokens and their places, with this many features at each level."""
        return Decoder(self.encoder, self.config, output_widths)

    def forward(self, batch: Batch) -> Outcome:
        return self.predicted(batch.bodies, batch.uniform)[0]

    def predicted(
        self, bodies: Float[Tensor, "rows frames joints 3"], uniform: Float[Tensor, "rows tokens"]
    ) -> tuple[Outcome, Float[Tensor, "rows visible width"]]:
        """The loss of bodies, with a random number for each token, and what the encoder made of the visible ones."""
        config = self.config
        segments, seen = self.encoder.known_segments(bodies)
        visible, _ = self.mask(segments, uniform, seen)
        tokens = self.encoder(segments, visible)
        windows = self.windows(segments, seen)
        predictions = self.decoder(tokens, visible, windows)
        # Encoder and target network see the same augmented clip. By default no gradient is stopped: both sides learn,
        # and the regularising terms keep the targets from collapsing.
        given = target_input(segments, self.encoder.num_joints, visible, config.target_input)
        targets = self.target_network(level_inputs(given, windows, config.level_names, config.motion_pooling))
        # In bf16 the squares of 2048 × 2048 covariances lose their small entries, so statistics are always float32.
        with torch.autocast(bodies.device.type, enabled=False):
            predictions, targets = [p.float() for p in predictions], [t.float() for t in targets]
            zero = bodies.new_zeros((), dtype=torch.float32)
            terms = {
                "prediction": sum((self._prediction(p, t) for p, t in zip(predictions, targets, strict=True)), zero)
            }
            loss = config.prediction_weight * terms["prediction"]
            if config.targets == "network":
                variances, covariances = zip(*(variance_and_covariance(t) for t in targets), strict=True)
                terms["variance"], terms["covariance"] = sum(variances, zero), sum(covariances, zero)
                loss = (
                    loss + config.variance_weight * terms["variance"] + config.covariance_weight * terms["covariance"]
                )
        levels = {
            name: (p.detach(), t.detach()) for name, p, t in zip(config.level_names, predictions, targets, strict=True)
        }
        return Outcome(loss, {name: term.detach() for name, term in terms.items()}, levels), tokens

    def windows(
        self, _segments: Float[Tensor, "rows tokens coordinates"], _seen: Bool[Tensor, "rows tokens"] | None
    ) -> TargetWindows:
        """The windows of these bodies. `_seen` says which segments have a joint that is not lacking; None if all do."""
        return TargetWindows(self.encoder.num_joints)

    def _prediction(
        self, prediction: Float[Tensor, "targets features"], target: Float[Tensor, "targets features"]
    ) -> Float[Tensor, ""]:
        # Over all 251 positions, because a pooled target mixes hidden and visible segments.
        if self.config.stop_gradient == "target":
            target = target.detach()
        return mean_square(prediction - target)
