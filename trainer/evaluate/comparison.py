"""Fine-tuning beside what it must beat: a linear layer on pose statistics, and the same recipe untrained."""

import hashlib
from collections.abc import Callable

from trainer.checkpoint import Checkpoint
from trainer.embedding import PoseStatistics
from trainer.encoders import Encoder
from trainer.evaluate.candidates import POSE_STATISTICS, TRAINED, UNTRAINED, untrained
from trainer.evaluate.fine_tune import FineTuneConfig, clips_read, fine_tune
from trainer.evaluate.folds import Fold, answers
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import HeadResult, Show
from trainer.evaluate.linear_probe import LinearProbeConfig, linear_probe
from trainer.evaluate.report import Row
from trainer.evaluate.resume import EvaluationState


def compare_fine_tuned(
    checkpoint: Checkpoint,
    clips: LabelledClips,
    folds: list[Fold],
    config: FineTuneConfig,
    *,
    state: EvaluationState,
    prefix: str = "",
    show: Show = lambda *_: None,
) -> list[Row]:
    """Learn from and test pose statistics, the untrained and the trained encoder, each on every fold.

    `prefix` keeps the runs of several calls with one `state` apart.
    """
    encoders: dict[str, Callable[[], Encoder]] = {
        UNTRAINED: lambda: untrained(checkpoint.config),
        TRAINED: checkpoint.build_encoder,
    }
    rows = []
    for name in (POSE_STATISTICS, UNTRAINED, TRAINED):
        found: list[HeadResult] = []
        for number, fold in enumerate(folds):
            key = f"{prefix}{name}, fold {number + 1}"
            run = f"{prefix}{name}" + (f", fold {number + 1} of {len(folds)}" if len(folds) > 1 else "")

            def show_run(done: int, text: str, run: str = run) -> None:
                show(done, f"{run}, {text}")

            result = state.result(key)
            if result is not None:
                show(0 if name == POSE_STATISTICS else clips_read(len(fold.train), config), f"{run}, finished before")
            elif name == POSE_STATISTICS:
                probe = LinearProbeConfig(epochs=config.epochs, seed=config.seed)
                result = linear_probe(PoseStatistics(), clips, fold, probe, show=lambda _, text: show_run(0, text))
                state.add_result(key, result, keep_features=False)
            else:
                result = fine_tune(encoders[name](), clips, fold, config, state=state, key=key, show=show_run)
                is_last = name == TRAINED and fold is folds[-1]  # the map is drawn from its features
                state.add_result(key, result, keep_features=is_last)
            found.append(result)
        rows.append(Row(name, "plain", answers(clips.store, folds, [each.predictions for each in found]), tuple(found)))
    return rows


def weights_digest(checkpoint: Checkpoint) -> str:
    """sha256 of the encoder's weights, by which a resumed evaluation recognises the encoder."""
    digest = hashlib.sha256()
    for name, weight in checkpoint.encoder.items():
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    return digest.hexdigest()
