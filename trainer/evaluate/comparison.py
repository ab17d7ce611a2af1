"""Fine-tuning beside its bars: a linear layer on pose statistics, and the same recipe from untrained weights."""

import hashlib
from collections.abc import Callable

from trainer.checkpoint import Checkpoint
from trainer.embedding import PoseStatistics
from trainer.encoder import SkeletonEncoder
from trainer.evaluate.candidates import POSE_STATISTICS, TRAINED, UNTRAINED, untrained
from trainer.evaluate.fine_tune import FineTuneConfig, clips_read, fine_tune
from trainer.evaluate.folds import Fold, answers
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import Learned, Show
from trainer.evaluate.linear_probe import LinearProbeConfig, linear_probe
from trainer.evaluate.report import Row
from trainer.evaluate.resume import Unfinished


def compare_fine_tuned(
    checkpoint: Checkpoint,
    clips: LabelledClips,
    folds: list[Fold],
    config: FineTuneConfig,
    *,
    unfinished: Unfinished,
    prefix: str = "",
    show: Show = lambda *_: None,
) -> list[Row]:
    """Pose statistics, the untrained and the trained encoder, each on every fold.

    `prefix` tells the runs of several calls with one `unfinished` apart.
    """
    encoders: dict[str, Callable[[], SkeletonEncoder]] = {
        UNTRAINED: lambda: untrained(checkpoint.config),
        TRAINED: checkpoint.build_encoder,
    }
    rows = []
    for name in (POSE_STATISTICS, UNTRAINED, TRAINED):
        learned: list[Learned] = []
        for number, fold in enumerate(folds):
            key = f"{prefix}{name}, fold {number + 1}"
            run = f"{prefix}{name}" + (f", fold {number + 1} of {len(folds)}" if len(folds) > 1 else "")

            def show_run(done: int, said: str, run: str = run) -> None:
                show(done, f"{run}, {said}")

            found = unfinished.finished(key)
            if found is not None:
                show(0 if name == POSE_STATISTICS else clips_read(len(fold.train), config), f"{run}, finished before")
            elif name == POSE_STATISTICS:
                probe = LinearProbeConfig(epochs=config.epochs, seed=config.seed)
                found = linear_probe(PoseStatistics(), clips, fold, probe, show=lambda _, said: show_run(0, said))
                unfinished.finish(key, found, keep_features=False)
            else:
                found = fine_tune(encoders[name](), clips, fold, config, unfinished=unfinished, key=key, show=show_run)
                is_last = name == TRAINED and fold is folds[-1]  # whose features become the map
                unfinished.finish(key, found, keep_features=is_last)
            learned.append(found)
        rows.append(
            Row(name, "plain", answers(clips.store, folds, [each.predictions for each in learned]), tuple(learned))
        )
    return rows


def weights_digest(checkpoint: Checkpoint) -> str:
    """sha256 of the encoder's weights, by which a resumed evaluation knows that it is the same encoder."""
    digest = hashlib.sha256()
    for name, weight in checkpoint.encoder.items():
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    return digest.hexdigest()
