"""Fine-tuning: the encoder and a head of two layers learn the classes together, end to end.

The recipe is MAMP's (main_finetune.py, script_finetune.sh). Its learning rates fall layer by layer towards the input,
as in MAE (He et al. 2022, appendix A.1), and every block has drop-path (Huang et al. 2016). MAMP reports the best epoch
on the test clips; here the last epoch counts.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from gfp_serve.settings import setting
from trainer.data.model_input import ClipRows
from trainer.encoders import Encoder, MaskableEncoder
from trainer.encoders.slim import GatedBlock, SlimEncoder
from trainer.encoders.transformer import Block, init_weights
from trainer.evaluate.folds import Fold
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import Epoch, HeadResult, Passes, Show, among_five, learn
from trainer.evaluate.linear_probe import check_positive
from trainer.evaluate.resume import EvaluationState
from trainer.schedule import LARGEST_SEED, mask_seed, warmup_cosine, window_draws
from trainer.step import ids_of_matrices

# The classifier reads this many test clips at a time.
TEST_CLIPS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """Settings of fine-tuning. Defaults are MAMP's for NTU RGB+D. Raises `ValueError` for a value out of range."""

    epochs: int = setting(100, "Passes over the training clips.")
    warmup_epochs: int = setting(5, "Epochs in which the learning rate rises from 0.")
    batch_clips: int = setting(48, "Clips in a step.")
    peak_lr: float = setting(3e-4, "Learning rate of the head after warm-up.")
    floor_lr: float = setting(1e-5, "Learning rate of the head at the end.")
    layer_decay: float = setting(0.8, "Learning rate of each block as a share of the next block's.")
    weight_decay: float = setting(0.05, "Decay of matrices; biases, norms and embeddings have none.")
    drop_path: float = setting(0.3, "Share of updates that the last block drops; it rises from 0 in the first.")
    head_dropout: float = setting(0.3, "Share of the tokens' numbers that are hidden from the head.")
    head_width: int = setting(2048, "Features of the head's first layer.")
    label_smoothing: float = setting(0.1, "Share of each label that is spread over all classes.")
    test_every_epochs: int = setting(1, "Epochs between two tests; the last epoch, which counts, is always tested.")
    seed: int = setting(0, "Seed of all random draws: weights, order, windows, rotations, dropout.")

    def __post_init__(self) -> None:
        check_positive(self, "epochs", "batch_clips", "head_width", "test_every_epochs")
        if self.batch_clips < 2:
            raise ValueError("--batch-clips is 1; batch norm needs at least 2 clips (the published runs use 48).")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise ValueError(
                f"--warmup-epochs is {self.warmup_epochs}; it must lie between 0 and --epochs, which is {self.epochs}."
            )
        if not 0 < self.floor_lr <= self.peak_lr < math.inf:
            raise ValueError(
                f"--floor-lr is {self.floor_lr:g} and --peak-lr {self.peak_lr:g}; they must be finite, with 0 < floor "
                f"<= peak (the published runs fall from 3e-4 to 1e-5)."
            )
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"--layer-decay is {self.layer_decay}; it must be above 0 and at most 1 (published: 0.8).")
        for name in ("drop_path", "head_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more and below 1."
                )
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"--weight-decay is {self.weight_decay}; it must be 0 or more, and finite.")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"--seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}.")


class ActionClassifier(nn.Module):
    """ClipRows → logits: an encoder, the means of its tokens over time for each joint, and two layers on these.

    Of an encoder with a class token they read that and the mean of all tokens, as SLiM's public code does; of one whose
    tokens do not tell both joints and time, the vector of a body, as its paper does.
    """

    def __init__(self, encoder: Encoder, num_classes: int, config: FineTuneConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(config.head_dropout)
        self.hidden = nn.Sequential(
            nn.Linear(self._num_read(), config.head_width),
            nn.BatchNorm1d(config.head_width),
            nn.ReLU(),
        )
        self.classify = nn.Linear(config.head_width, num_classes)
        self.hidden.apply(init_weights)
        init_weights(self.classify)

    @property
    def _reads_joints(self) -> bool:
        return isinstance(self.encoder, MaskableEncoder) and not isinstance(self.encoder, SlimEncoder)

    def _num_read(self) -> int:
        if isinstance(self.encoder, SlimEncoder):
            return 2 * self.encoder.width
        return self.encoder.num_joints * self.encoder.width if self._reads_joints else self.encoder.feature_size

    def features(self, views: ClipRows) -> Float[Tensor, "clips head_width"]:
        """The input of the last layer for each clip."""
        encoder = self.encoder
        by_chance = self.training and encoder.num_draws > 0
        draws = torch.rand(len(views.bodies), encoder.num_draws, device=views.bodies.device) if by_chance else None
        if isinstance(encoder, SlimEncoder):
            read = self.dropout(encoder.features(views.bodies))
        else:
            tokens = self.dropout(encoder.tokens(views.bodies, draws))
            read = encoder.means(tokens, 1, per_joint=True) if self._reads_joints else encoder.pooled(tokens)
        return self.hidden(views.mean_of_bodies(read))

    def forward(self, views: ClipRows) -> Float[Tensor, "clips classes"]:
        return self.classify(self.features(views))


def fine_tune(
    encoder: Encoder,
    clips: LabelledClips,
    fold: Fold,
    config: FineTuneConfig,
    *,
    state: EvaluationState,
    key: str,
    show: Show = lambda *_: None,
) -> HeadResult:
    """Train an encoder and a new head on the training clips of a fold, and test them. The encoder is changed.

    `state` keeps the state of this run under `key`. `show` gets the number of clips of each step.
    """
    device = clips.device
    passes = Passes(len(fold.train), config.batch_clips, config.epochs, config.seed)
    torch.manual_seed(config.seed)
    classifier = ActionClassifier(encoder, len(clips.store.class_names), config).to(device)
    add_drop_path(classifier.encoder, config.drop_path)
    optimizer = torch.optim.AdamW(
        list(parameter_groups(classifier, layer_decay=config.layer_decay, weight_decay=config.weight_decay)),
        lr=config.peak_lr,
        betas=(0.9, 0.999),
        fused=True,
    )
    done: list[Epoch] = []
    if (saved := state.run_state(key)) is not None:
        classifier.load_state_dict(saved["classifier"])
        optimizer.load_state_dict(saved["optimizer"])
        done = [Epoch(**epoch) for epoch in saved["epochs"]]
        show(len(done) * passes.steps_per_epoch * passes.batch, "resumed")
    features: list[Tensor] = []
    labels = clips.store.labels[fold.test]

    def loss_of(step: int) -> Float[Tensor, ""]:
        chosen = fold.train[passes.places(step)]
        views = clips.views(chosen, window_draws(step, seed=config.seed))
        # Dropout has no generator of its own. Seeded by the step, a resumed run draws the same as an unbroken one.
        torch.manual_seed(mask_seed(step, seed=config.seed))
        classifier.train()
        with _autocast(device):
            return F.cross_entropy(classifier(views), clips.labels(chosen), label_smoothing=config.label_smoothing)

    @torch.no_grad()
    def scores() -> Float[Tensor, "test classes"]:
        return classifier.classify(torch.cat(features))

    @torch.no_grad()
    def predict() -> Int[np.ndarray, " test"]:
        classifier.eval()
        features[:] = []
        for start in range(0, len(fold.test), TEST_CLIPS):
            with _autocast(device):
                features.append(classifier.features(clips.views(fold.test[start : start + TEST_CLIPS])).float())
        return scores().argmax(dim=1).cpu().numpy()

    def save(epochs: Sequence[Epoch]) -> None:
        state.save_if_due(
            key, lambda: {"classifier": classifier.state_dict(), "optimizer": optimizer.state_dict()}, epochs
        )

    result = learn(
        passes,
        optimizer,
        learning_rate=lambda step: warmup_cosine(
            step + 1,
            peak=config.peak_lr,
            floor=config.floor_lr,
            warmup_steps=config.warmup_epochs * passes.steps_per_epoch,
            total_steps=passes.total_steps,
        ),
        loss_of=loss_of,
        predict=predict,
        labels=labels,
        test_every_epochs=config.test_every_epochs,
        done=done,
        after_epoch=save,
        show=show,
    )
    return replace(result, features=torch.cat(features).cpu().numpy(), among_five=among_five(scores(), labels))


def parameter_groups(
    classifier: ActionClassifier, *, layer_decay: float, weight_decay: float
) -> Iterator[dict[str, Any]]:
    """The weights of the classifier in groups for AdamW, each with the `scale` of its learning rate.

    The head and what has no layer above it, such as a final norm, have the full rate. Each layer of the encoder has
    `layer_decay` of the next one's: the last block of the head's, and the embedding of segments and positions, which
    lies below all blocks, of the first block's.
    """
    matrices = ids_of_matrices(classifier)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in classifier.named_parameters():
        below, _, weight = name.partition("encoder.")
        scale = 1.0 if below or not weight else layer_decay ** classifier.encoder.layers_above(weight)
        groups.setdefault((scale, id(parameter) in matrices), []).append(parameter)
    for (scale, is_matrix), parameters in groups.items():
        yield {"params": parameters, "scale": scale, "weight_decay": weight_decay if is_matrix else 0.0}


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """The share of updates that each block drops, in equal steps from 0 in the first to `rate` in the last."""
    return [rate * block / max(1, depth - 1) for block in range(depth)]


def add_drop_path(encoder: Encoder, rate: float) -> list[RemovableHandle]:
    """Make attention and MLP of each block skip rows at random in training, by hooks on this encoder only.

    An encoder without such blocks stays as it is; it may leave out what its own settings say.

    Hooks change neither the names of the weights nor the code of pre-training.
    """
    handles: list[RemovableHandle] = []
    blocks = [part for part in encoder.modules() if isinstance(part, Block | GatedBlock)]
    for block, share in zip(blocks, drop_path_rates(rate, len(blocks)), strict=True):
        if share > 0:

            def drop(branch: nn.Module, _: object, update: Tensor, share: float = share) -> Tensor:
                return drop_rows(update, share) if branch.training else update

            handles += [branch.register_forward_hook(drop) for branch in (block.attention, block.mlp)]
    return handles


def drop_rows(update: Float[Tensor, "rows tokens width"], share: float) -> Float[Tensor, "rows tokens width"]:
    """Set a random `share` of the rows to zero, and scale the others so that the mean stays the same."""
    kept = torch.rand(update.shape[0], 1, 1, device=update.device) >= share
    return update * kept / (1 - share)


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def clips_read(num_train_clips: int, config: FineTuneConfig) -> int:
    """The number of clips that one run learns from, repeats included, for a progress bar."""
    passes = Passes(num_train_clips, config.batch_clips, config.epochs, config.seed)
    return passes.total_steps * passes.batch
