"""What is measured of each encoder of a comparison: one score for each protocol, by the code of its own command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gfp_serve import __version__
from trainer.data.store import ClipStore
from trainer.embedding import sampling_for
from trainer.evaluate.candidates import Candidate
from trainer.evaluate.compare.contestants import Contestant
from trainer.evaluate.compare.scores import Figures, Scores, key_of
from trainer.evaluate.compare.settings import CompareConfig, Protocol, settings_of_score, title_of
from trainer.evaluate.comparison import fine_tuned, probed
from trainer.evaluate.embeddings import torch_embedder
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.fine_tune import clips_read as fine_tune_reads
from trainer.evaluate.folds import Fold, used_clips
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import TOP, Show
from trainer.evaluate.linear_probe import LinearProbeConfig
from trainer.evaluate.linear_probe import clips_read as probe_reads
from trainer.evaluate.report import Row
from trainer.evaluate.resume import EvaluationState
from trainer.evaluate.retrieval import retrieval, retrieve
from trainer.evaluate.semi_supervised import draw

# Reading a clip and learning from it takes about as long as reading three.
_LEARNING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Labelled clips to learn from and to test."""

    store: ClipStore
    folds: list[Fold]


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


def _in_turn(jobs: Mapping[str, Sequence[Sequence[Job]]]) -> list[Sequence[Job]]:
    """The jobs of the first encoder of each row, then those of the second ones, and so on."""
    most = max(map(len, jobs.values()), default=0)
    return [of_row[number] for number in range(most) for of_row in jobs.values() if number < len(of_row)]


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
        "settings": settings_of_score(protocol, ratio, config, seed),
        "store_content_sha256": store.content_digest,
        "folds": len(folds),
        "device": device.type,
    }
    title = title_of(protocol, ratio)
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
