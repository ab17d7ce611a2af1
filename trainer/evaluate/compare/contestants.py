"""The encoders of a comparison: those of its runs, and what these must beat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import Checkpoint
from trainer.embedding import PoseStatistics
from trainer.encoders import Encoder, config_to_json
from trainer.evaluate.candidates import POSE_STATISTICS, UNTRAINED, untrained
from trainer.evaluate.compare.runs import Run, RunsOfRow, told_apart


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contestant:
    """An encoder to measure; its weights are read when they are needed."""

    name: str  # for the progress bar
    identity: Mapping[str, Any]  # equal only for the same encoder
    seed: int
    preprocess: PreprocessConfig
    embedding: Callable[[], nn.Module]
    encoder: Callable[[], Encoder] | None  # to train on; None for pose statistics
    settings: Mapping[str, Any]  # what it is made with, by the names of settings of a run


def contestants_of(
    rows: Sequence[RunsOfRow], *, with_untrained: bool, with_statistics: bool
) -> dict[str, list[Contestant]]:
    """The encoders of each row by its name: first, as far as they are wanted, pose statistics and untrained encoders.

    These have the seeds of their runs: so a head on them begins as one on a run. There is a row of pose statistics for
    each number of frames, which is called by it where there are several. There is an untrained row for each shape of
    encoder. Where there are several, they are called by the encoder, and by what else tells them apart.
    """
    runs = [run for row in rows for run in row.runs]
    found: dict[str, list[Contestant]] = {}
    if with_statistics:
        found |= _rows_of_pose_statistics(runs)
    shapes: dict[str, dict[int, Run]] = {}
    for run in runs if with_untrained else ():
        if run.config.learns_from_tokens:
            shapes.setdefault(repr(_shape(run.config.to_json())), {}).setdefault(run.seed, run)
    settings = [_settings_of_shape(next(iter(of_shape.values()))) for of_shape in shapes.values()]
    for of_shape, called in zip(shapes.values(), told_apart(settings, ["encoder"]), strict=True):
        name = UNTRAINED if len(shapes) == 1 else f"{UNTRAINED} {called}"
        found[name] = [_untrained(name, of_shape[seed]) for seed in sorted(of_shape)]
    if taken := [row.name for row in rows if row.name in found]:
        raise InvalidRequestError(f"--name {taken[0]!r} is the name of a row that is always called so; choose another.")
    return found | {row.name: [_trained(row.name, run) for run in row.runs] for row in rows}


def _shape(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights of an untrained encoder follow from, besides its seed."""
    return {name: settings[name] for name in ("encoder", "num_frames")}


def _settings_of_shape(run: Run) -> dict[str, Any]:
    """The same by the names of settings, as rows of runs have them."""
    chosen = config_to_json(run.config.encoder)
    return {name: run.settings[name] for name in ("encoder", "num_frames", *chosen) if name in run.settings}


def _rows_of_pose_statistics(runs: Sequence[Run]) -> dict[str, list[Contestant]]:
    """A row for each number of frames, with the seeds of the runs that have it.

    Where these differ in more, clips are prepared as pose statistics take them best, whatever the order of runs is:
    without absent bodies, and with lacking joints that are known to lack.
    """
    of_frames: dict[int, list[Run]] = {}
    for run in runs:
        of_frames.setdefault(run.preprocess.sampling.num_frames, []).append(run)
    found = {}
    for num_frames, own in sorted(of_frames.items()):
        name = POSE_STATISTICS if len(of_frames) == 1 else f"{POSE_STATISTICS}, {num_frames} frames"
        best = min((run.preprocess for run in own), key=_for_pose_statistics)
        found[name] = [_pose_statistics(name, best, seed) for seed in sorted({run.seed for run in own})]
    return found


def _for_pose_statistics(preprocess: PreprocessConfig) -> tuple[bool, bool, str]:
    sampling = preprocess.sampling
    return sampling.keep_absent_bodies, not sampling.keep_lacking, preprocess.digest


def _pose_statistics(name: str, preprocess: PreprocessConfig, seed: int) -> Contestant:
    return Contestant(
        name=name,
        identity={"kind": POSE_STATISTICS, "preprocess": preprocess.digest},
        seed=seed,
        preprocess=preprocess,
        embedding=PoseStatistics,
        encoder=None,
        settings={"num_frames": preprocess.sampling.num_frames},
    )


def _untrained(name: str, run: Run) -> Contestant:
    shape = _shape(run.config.to_json())
    return Contestant(
        name=name,
        identity={"kind": UNTRAINED, **shape, "seed": run.seed, "preprocess": run.preprocess.digest},
        seed=run.seed,
        preprocess=run.preprocess,
        embedding=lambda: untrained(run.config),
        encoder=lambda: untrained(run.config),
        settings=_settings_of_shape(run),
    )


def _trained(name: str, run: Run) -> Contestant:
    def checkpoint() -> Checkpoint:
        read = Checkpoint.read(run.path)
        if read.step != run.step:
            raise InvalidRequestError(
                f"{run.path} was trained on since this comparison began (step {run.step}, now {read.step}); wait until "
                f"its training is done, then compare again."
            )
        return read

    return Contestant(
        name=name,
        identity={"kind": "run", "weights": run.digest, "preprocess": run.preprocess.digest},
        seed=run.seed,
        preprocess=run.preprocess,
        embedding=lambda: checkpoint().build_embedding(),
        encoder=lambda: checkpoint().build_encoder(),
        settings=run.settings,
    )
