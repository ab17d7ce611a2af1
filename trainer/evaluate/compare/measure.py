"""What is measured of each encoder of a comparison: one score for each protocol, by the code of its own command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from gfp_serve import __version__
from gfp_serve.errors import InvalidRequestError
from gfp_serve.preprocess import PreprocessConfig
from gfp_serve.settings import setting
from trainer.checkpoint import Checkpoint
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics, sampling_for
from trainer.encoder import SkeletonEncoder
from trainer.evaluate.candidates import POSE_STATISTICS, UNTRAINED, Candidate, untrained
from trainer.evaluate.compare.runs import Run, RunsOfRow
from trainer.evaluate.compare.scores import Figures, Scores, key_of
from trainer.evaluate.comparison import fine_tuned, probed
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.fine_tune import clips_read as fine_tune_reads
from trainer.evaluate.folds import Fold, used_clips
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import TOP, Show
from trainer.evaluate.linear_probe import LinearProbeConfig, check_positive
from trainer.evaluate.linear_probe import clips_read as probe_reads
from trainer.evaluate.report import Row
from trainer.evaluate.resume import EvaluationState
from trainer.evaluate.retrieval import retrieval, retrieve
from trainer.evaluate.semi_supervised import draw
from trainer.schedule import LARGEST_SEED

Protocol = Literal["retrieval", "linear-probe", "semi-supervised", "fine-tune", "transfer"]
PROTOCOLS: tuple[Protocol, ...] = ("retrieval", "linear-probe", "semi-supervised", "fine-tune", "transfer")
QUICK: tuple[Protocol, ...] = ("retrieval", "linear-probe")
FINE_TUNED = frozenset(("semi-supervised", "fine-tune", "transfer"))

# Reading a clip and learning from it takes about as long as reading three.
_LEARNING = 3
# Of a run's seed, the seeds of its draws of labels are this far apart.
_NEXT_DRAW = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """Settings of the protocols. What is not here is as published. Raises `ValueError` for a value out of range."""

    linear_epochs: int = setting(100, "Passes of the linear probe over the training clips.")
    linear_augment: bool = setting(
        False,
        "Let the linear probe learn from random windows and rotations, as published, which takes a hundred times as "
        "long.",
    )
    fine_tune_epochs: int = setting(
        100, "Passes of fine-tuning over the clips that it learns from, also in semi-supervised and transfer."
    )
    num_draws: int = setting(1, "Draws of labels for each run and share in semi-supervised.")
    balanced: bool = setting(False, "Draw labels equally from all classes; published draws ignore classes.")
    ratios: tuple[float, ...] = (0.01, 0.1)  # shares of the training clips whose labels semi-supervised uses

    def __post_init__(self) -> None:
        check_positive(self, "linear_epochs", "fine_tune_epochs", "num_draws")

    def probe(self, seed: int) -> LinearProbeConfig:
        """Settings of the linear probe for a run of this seed."""
        return LinearProbeConfig(epochs=self.linear_epochs, augment=self.linear_augment, seed=seed)

    def fine_tune(self, seed: int) -> FineTuneConfig:
        """Settings of fine-tuning for a run of this seed. A short one has a warm-up of the published share."""
        epochs, published = self.fine_tune_epochs, FineTuneConfig()
        warmup = min(published.warmup_epochs, round(published.warmup_epochs * epochs / published.epochs))
        # Only the last epoch counts, so no other one is tested.
        return replace(published, epochs=epochs, warmup_epochs=warmup, test_every_epochs=epochs, seed=seed)

    def draw_seeds(self, seed: int) -> list[int]:
        """Seeds of the draws of labels for a run of this seed; runs of one seed get the same labels."""
        return [(seed + number * _NEXT_DRAW) % (LARGEST_SEED + 1) for number in range(self.num_draws)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Labelled clips to learn from and to test."""

    store: ClipStore
    folds: list[Fold]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contestant:
    """An encoder to measure; its weights are read when they are needed."""

    name: str  # for the progress bar
    identity: Mapping[str, Any]  # equal only for the same encoder
    seed: int
    preprocess: PreprocessConfig
    embedding: Callable[[], nn.Module]
    encoder: Callable[[], SkeletonEncoder] | None  # to train on; None for pose statistics


# Measures a score; the state is that of the part that was done before.
Measure = Callable[[EvaluationState, Show], Figures]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One score of one encoder that is to be measured."""

    text: str
    key: str
    of_what: Mapping[str, Any]
    clips_read: int  # for a progress bar
    measure: Measure


def contestants_of(
    rows: Sequence[RunsOfRow], *, with_untrained: bool, with_statistics: bool
) -> dict[str, list[Contestant]]:
    """The encoders of each row by its name: first, as far as they are wanted, pose statistics and untrained encoders.

    These have the seeds of all runs: so a head on them begins as one on a run. There is an untrained row for each shape
    of encoder.
    """
    runs = [run for row in rows for run in row.runs]
    by_seed = {run.seed: run for run in sorted(runs, key=lambda run: run.seed)}
    found: dict[str, list[Contestant]] = {}
    if with_statistics:
        found[POSE_STATISTICS] = [_pose_statistics(run) for run in by_seed.values()]
    shapes: dict[str, dict[int, Run]] = {}
    for run in runs if with_untrained else ():
        if run.config.learns_from_tokens:
            shapes.setdefault(repr(_shape(run.config.to_json())), {}).setdefault(run.seed, run)
    for number, of_shape in enumerate(shapes.values()):
        name = f"{UNTRAINED} {number + 1}" if len(shapes) > 1 else UNTRAINED
        found[name] = [_untrained(name, of_shape[seed]) for seed in sorted(of_shape)]
    return found | {row.name: [_trained(row.name, run) for run in row.runs] for row in rows}


def jobs_of(
    contestant: Contestant,
    protocols: Sequence[Protocol],
    config: CompareConfig,
    data: Data,
    transfer: Data | None,
    device: torch.device,
) -> list[Job]:
    """What is to be measured of an encoder. `transfer` has the clips to transfer to.

    Raises `InvalidRequestError` when there are too few clips to learn from.
    """
    return [
        _job(contestant, protocol, ratio, config, transfer if protocol == "transfer" and transfer else data, device)
        for protocol in protocols
        for ratio in (config.ratios if protocol == "semi-supervised" else (None,))
    ]


def settings_of_protocols(protocols: Sequence[Protocol], config: CompareConfig) -> dict[str, dict[str, Any]]:
    """The settings of each protocol, for the report; the seed of a head is that of its run."""
    return {name: {**_settings(name, None, config, 0), "seed": "that of the run"} for name in protocols}


def columns_of(protocols: Sequence[Protocol], config: CompareConfig) -> list[str]:
    """The names of the figures that these protocols give, in the order of the table."""
    names: list[str] = []
    for protocol in protocols:
        if protocol == "retrieval":
            names += ["1-NN", f"{TOP}-NN"]
        elif protocol == "semi-supervised":
            names += [_name_of_share(ratio) for ratio in config.ratios]
        else:
            names.append(_COLUMNS[protocol])
    return names


def measure_all(
    contestants: Mapping[str, Sequence[Contestant]],
    jobs: Mapping[str, Sequence[Sequence[Job]]],
    scores: Scores,
    *,
    show: Show = lambda *_: None,
) -> dict[str, list[Figures]]:
    """The figures of every encoder, by its row. `jobs` has those of each encoder. What `scores` knows is not measured.

    Figures of the first encoders of all rows come first, so that a comparison that is stopped has whole rows.
    """
    planned = [job for each in _in_turn(jobs) for job in each]
    for job in planned:
        if scores.get(job.key) is not None:
            show(job.clips_read, f"{job.text}, measured before")
            continue

        def show_job(clips: int, text: str, job: Job = job) -> None:
            show(clips, f"{job.text}: {text}" if text else job.text)

        scores.add(job.key, job.of_what, job.measure(scores.state(job.key), show_job))
    found: dict[str, list[Figures]] = {}
    for name in contestants:
        found[name] = [
            {title: figure for job in of_one for title, figure in (scores.get(job.key) or {}).items()}
            for of_one in jobs[name]
        ]
    return found


_COLUMNS = {"linear-probe": "linear", "fine-tune": "fine-tuned", "transfer": "transfer"}


def _in_turn(jobs: Mapping[str, Sequence[Sequence[Job]]]) -> list[Sequence[Job]]:
    """The jobs of the first encoder of each row, then those of the second ones, and so on."""
    most = max(map(len, jobs.values()), default=0)
    return [of_row[number] for number in range(most) for of_row in jobs.values() if number < len(of_row)]


def _name_of_share(ratio: float) -> str:
    return f"semi {100 * ratio:g} %"


def _settings(protocol: Protocol, ratio: float | None, config: CompareConfig, seed: int) -> dict[str, Any]:
    """What a score depends on besides encoder and clips."""
    if protocol == "retrieval":
        return {"num_neighbours": [1, TOP]}
    if protocol == "linear-probe":
        return asdict(config.probe(seed))
    settings = asdict(config.fine_tune(seed))
    if protocol == "semi-supervised":
        settings |= {"num_draws": config.num_draws, "balanced": config.balanced}
        settings |= {"ratios": list(config.ratios)} if ratio is None else {"ratio": ratio}
    return settings


def _job(
    contestant: Contestant,
    protocol: Protocol,
    ratio: float | None,
    config: CompareConfig,
    data: Data,
    device: torch.device,
) -> Job:
    store, folds, seed = data.store, data.folds, contestant.seed
    of_what: dict[str, Any] = {
        "gfp_serve": __version__,
        "encoder": dict(contestant.identity),
        "protocol": protocol,
        "settings": _settings(protocol, ratio, config, seed),
        "store_content_sha256": store.content_digest,
        "folds": len(folds),
        "device": device.type,
    }
    title = _name_of_share(ratio) if ratio is not None else _COLUMNS.get(protocol, protocol)
    if protocol == "retrieval":
        reads, measure = _retrieval(contestant, data, device)
    elif protocol == "linear-probe":
        reads, measure = _probe(contestant, title, config.probe(seed), data, device)
    else:
        drawn = {seed: folds}
        if ratio is not None:
            drawn = {
                each: [draw(store, fold, ratio, seed=each, balanced=config.balanced) for fold in folds]
                for each in config.draw_seeds(seed)
            }
        reads, measure = _fine_tuning(contestant, title, config.fine_tune(seed), drawn, store, device)
    return Job(
        text=f"{contestant.name}, seed {seed}, {title}",
        key=key_of(of_what),
        of_what=of_what,
        clips_read=reads,
        measure=measure,
    )


def _retrieval(contestant: Contestant, data: Data, device: torch.device) -> tuple[int, Measure]:
    store, folds = data.store, data.folds

    def measure(_: EvaluationState, show: Show) -> Figures:
        model = contestant.embedding()
        preprocess = replace(contestant.preprocess, sampling=sampling_for(model, contestant.preprocess.sampling))
        candidate = Candidate(contestant.name, "plain", torch_embedder(model, device), preprocess)
        (found,) = retrieval(store, folds, [candidate], show=lambda clips: show(clips, ""))
        voted = retrieve(found.vectors, store, folds, num_neighbours=TOP)
        return {
            "1-NN": _percents([found.answers.accuracy], [None]),
            f"{TOP}-NN": _percents([voted.accuracy], [voted.top5]),
        }

    return len(used_clips(folds)), measure


def _probe(
    contestant: Contestant, title: str, config: LinearProbeConfig, data: Data, device: torch.device
) -> tuple[int, Measure]:
    def measure(state: EvaluationState, show: Show) -> Figures:
        clips = LabelledClips(data.store, contestant.preprocess.sampling, device)
        row = probed(title, "plain", contestant.embedding(), clips, data.folds, config, state=state, show=show)
        return {title: _figure([row])}

    return sum(probe_reads(fold, config) for fold in data.folds), measure


def _fine_tuning(
    contestant: Contestant,
    title: str,
    config: FineTuneConfig,
    drawn: Mapping[int, list[Fold]],
    store: ClipStore,
    device: torch.device,
) -> tuple[int, Measure]:
    """Fine-tune on the folds of each seed."""

    def measure(state: EvaluationState, show: Show) -> Figures:
        clips = LabelledClips(store, contestant.preprocess.sampling, device)
        rows = [
            fine_tuned(
                title,
                contestant.encoder,
                clips,
                folds,
                replace(config, seed=seed),
                state=state,
                prefix=f"draw {seed}, " if len(drawn) > 1 else "",
                show=lambda done, text: show(_LEARNING * done, text),
            )
            for seed, folds in drawn.items()
        ]
        return {title: _figure(rows)}

    learned = [fine_tune_reads(len(fold.train), config) for folds in drawn.values() for fold in folds]
    # Of pose statistics only a linear layer is learned, which takes no time.
    return 0 if contestant.encoder is None else _LEARNING * sum(learned), measure


def _figure(rows: Sequence[Row]) -> dict[str, float | None]:
    return _percents([row.answers.accuracy for row in rows], [row.answers.top5 for row in rows])


def _percents(top1: Sequence[float], top5: Sequence[float | None]) -> dict[str, float | None]:
    """The means over draws of labels."""
    known = [each for each in top5 if each is not None]
    return {
        "top1_percent": sum(top1) / len(top1),
        "top5_percent": sum(known) / len(known) if len(known) == len(top5) else None,
    }


def _shape(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights of an untrained encoder follow from, besides its seed."""
    return {name: settings[name] for name in ("encoder", "num_frames")}


def _pose_statistics(run: Run) -> Contestant:
    return Contestant(
        name=POSE_STATISTICS,
        identity={"kind": POSE_STATISTICS, "preprocess": run.preprocess.digest},
        seed=run.seed,
        preprocess=run.preprocess,
        embedding=PoseStatistics,
        encoder=None,
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
    )
