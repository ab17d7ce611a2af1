"""Heads that learn, of a trained encoder beside what it must beat: pose statistics and the untrained encoder."""

import hashlib
from collections.abc import Callable, Sequence

from torch import nn

from trainer.checkpoint import Checkpoint
from trainer.embedding import PoseStatistics
from trainer.encoders import Encoder
from trainer.evaluate.candidates import POSE_STATISTICS, TRAINED, UNTRAINED, Readout, untrained
from trainer.evaluate.fine_tune import FineTuneConfig, clips_read, fine_tune
from trainer.evaluate.folds import Fold, answers
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import HeadResult, Show
from trainer.evaluate.linear_probe import LinearProbeConfig, linear_probe
from trainer.evaluate.linear_probe import clips_read as probe_reads
from trainer.evaluate.report import Row
from trainer.evaluate.resume import EvaluationState


def compare_probes(
    tested: Sequence[tuple[str, Readout, nn.Module]],
    clips: LabelledClips,
    folds: list[Fold],
    config: LinearProbeConfig,
    *,
    state: EvaluationState,
    show: Show = lambda *_: None,
) -> list[Row]:
    """Probe each model (its name, read-out and module) on every fold."""
    return [
        probed(name, readout, model, clips, folds, config, state=state, is_last=model is tested[-1][2], show=show)
        for name, readout, model in tested
    ]


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
    encoders: dict[str, Callable[[], Encoder] | None] = {
        POSE_STATISTICS: None,
        UNTRAINED: lambda: untrained(checkpoint.config),
        TRAINED: checkpoint.build_encoder,
    }
    return [
        fine_tuned(name, encoder, clips, folds, config, state=state, prefix=prefix, is_last=name == TRAINED, show=show)
        for name, encoder in encoders.items()
    ]


def probed(
    name: str,
    readout: Readout,
    model: nn.Module,
    clips: LabelledClips,
    folds: list[Fold],
    config: LinearProbeConfig,
    *,
    state: EvaluationState,
    is_last: bool = False,
    show: Show = lambda *_: None,
) -> Row:
    """Probe one model on every fold. The features of the last fold are kept if it `is_last`, for a map."""

    def learn_fold(fold: Fold, key: str, show: Show) -> HeadResult:
        return linear_probe(model, clips, fold, config, state=state, key=key, show=show)

    title = name if readout == "plain" else f"{name}, with read-out"
    reads = [probe_reads(fold, config) for fold in folds]
    return _on_folds(
        title, clips, folds, reads, learn_fold, state=state, is_last=is_last, show=show, row=(name, readout)
    )


def fine_tuned(
    name: str,
    encoder: Callable[[], Encoder] | None,
    clips: LabelledClips,
    folds: list[Fold],
    config: FineTuneConfig,
    *,
    state: EvaluationState,
    prefix: str = "",
    is_last: bool = False,
    show: Show = lambda *_: None,
) -> Row:
    """Fine-tune a new copy of an encoder on every fold; without one, a linear layer learns from pose statistics.

    The features of the last fold are kept if it `is_last`, for a map.
    """

    def learn_fold(fold: Fold, key: str, show: Show) -> HeadResult:
        if encoder is not None:
            return fine_tune(encoder(), clips, fold, config, state=state, key=key, show=show)
        probe = LinearProbeConfig(epochs=config.epochs, seed=config.seed)
        return linear_probe(PoseStatistics(), clips, fold, probe, show=lambda _, text: show(0, text))

    reads = [0 if encoder is None else clips_read(len(fold.train), config) for fold in folds]
    return _on_folds(
        f"{prefix}{name}", clips, folds, reads, learn_fold, state=state, is_last=is_last, show=show, row=(name, "plain")
    )


def _on_folds(
    title: str,
    clips: LabelledClips,
    folds: list[Fold],
    reads: Sequence[int],
    learn_fold: Callable[[Fold, str, Show], HeadResult],
    *,
    state: EvaluationState,
    is_last: bool,
    show: Show,
    row: tuple[str, Readout],
) -> Row:
    """Learn on each fold that `state` does not know yet. `reads` are the clips that each fold takes, for `show`."""
    found: list[HeadResult] = []
    for number, (fold, clips_of_fold) in enumerate(zip(folds, reads, strict=True)):
        key = f"{title}, fold {number + 1}"
        run = title + (f", fold {number + 1} of {len(folds)}" if len(folds) > 1 else "")

        def show_run(done: int, text: str, run: str = run) -> None:
            show(done, f"{run}, {text}")

        if (result := state.result(key)) is not None:
            show(clips_of_fold, f"{run}, finished before")
        else:
            result = learn_fold(fold, key, show_run)
            state.add_result(key, result, keep_features=is_last and fold is folds[-1])
        found.append(result)
    predictions, among_five = [each.predictions for each in found], [each.among_five for each in found]
    return Row(*row, answers(clips.store, folds, predictions, among_five), tuple(found))


def weights_digest(checkpoint: Checkpoint) -> str:
    """sha256 of the weights that a run embeds with, by which a resumed evaluation recognises them."""
    digest = hashlib.sha256()
    terms = {name: weight for name, weight in checkpoint.objective.items() if name.startswith("terms.")}
    for name, weight in (checkpoint.build_encoder().state_dict() | terms).items():
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    return digest.hexdigest()
