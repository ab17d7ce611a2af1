"""`gfp-evaluate`: one command for each protocol by which encoders are compared on labelled clips."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from gfp_serve.cli.options import Group, options_from, with_options_of
from gfp_serve.encoder import Device
from gfp_serve.errors import InvalidRequestError
from trainer.checkpoint import Checkpoint
from trainer.cli.progress import clip_progress, learning_progress
from trainer.cli.readout_options import AskedReadout, readout_options
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.candidates import (
    Fit,
    candidate_models,
    candidates,
    check_cleaned_alike,
    describe_encoder,
    read_run,
)
from trainer.evaluate.comparison import compare_fine_tuned, weights_digest
from trainer.evaluate.figures import draw_learned, draw_retrieval, draw_semi_supervised
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.fine_tune import clips_read as fine_tune_reads
from trainer.evaluate.folds import Fold, answers, cross_subject_folds, split_folds, used_clips
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.linear_probe import LinearProbeConfig, linear_probe
from trainer.evaluate.linear_probe import clips_read as linear_probe_reads
from trainer.evaluate.report import Row, describe, results
from trainer.evaluate.resume import STATE_FILE, EvaluationState
from trainer.evaluate.retrieval import retrieval
from trainer.evaluate.semi_supervised import draw, learn_from_draws, summary
from trainer.evaluate.tables import print_rows, print_semi_supervised
from trainer.evaluate.transfer import names, source_and_target

_PATH = click.Path(path_type=Path)


@click.group(cls=Group, name="gfp-evaluate")
def gfp_evaluate() -> None:
    """Measure an encoder on labelled clips, beside chance, pose statistics without learning, and itself untrained.

    An encoder that does not beat all three is not worth serving. Where a head learns, the figure is that after the last
    epoch: choosing the best epoch by the test clips flatters.
    """


@dataclass(frozen=True, slots=True)
class Asked:
    """What all protocols are told."""

    encoder: Path
    store: ClipStore
    folds: list[Fold]
    device: Device
    out: Path | None
    as_json: bool


_READOUT = readout_options(
    "Also measure with a read-out fitted on this store's clips, its test split left out (see gfp-export --fit)."
)


def _protocol(name: str, *, bundles: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """A command of the group, with what all of them share; it is called with `asked=Asked(...)`."""

    def decorate(command: Callable[..., None]) -> click.Command:
        @with_options_of(command)
        def call(
            encoder: Path,
            store: Path,
            folds: int | None,
            device: Device,
            out: Path | None,
            as_json: bool,
            **others: Any,
        ) -> None:
            clips = ClipStore.open(store)
            parts = split_folds(clips) if folds is None else cross_subject_folds(clips, folds)
            if out is not None:
                _check_writable(out)
            command(asked=Asked(encoder, clips, parts, device, out, as_json), **others)

        shared = (
            click.argument("encoder", metavar="ENCODER" if bundles else "RUN", type=_PATH),
            click.argument("store", metavar="STORE", type=_PATH),
            click.option(
                "--folds",
                metavar="N",
                type=int,
                help="Cross-subject: deal the subjects to N groups, and test each group once while the others are "
                "learned from. [default: the store's own split]",
            ),
            click.option(
                "--device",
                type=click.Choice(["auto", "cpu", "cuda"]),
                default="auto",
                show_default=True,
                help="Where to run.",
            ),
            click.option(
                "--out", metavar="FOLDER", type=_PATH, help="Write report.json and pictures of what was found."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of a table."),
        )
        for option in reversed(shared):
            call = option(call)
        return gfp_evaluate.command(name, no_args_is_help=True)(call)

    return decorate


@_protocol("retrieval", bundles=True)
@_READOUT
def retrieval_command(asked: Asked, readout: AskedReadout) -> None:
    """Is the nearest training clip (1-NN by cosine) of the test clip's class?

    ENCODER is a run folder, a checkpoint or a bundle. Nothing is learned from labels.
    """
    store, folds = asked.store, asked.folds
    with clip_progress() as progress:
        tested = candidates(asked.encoder, asked.device, _put(readout, asked, progress))
        task = progress.add_task("embed", total=len(used_clips(folds)) * len(tested))
        found = retrieval(store, folds, tested, show=lambda done: progress.advance(task, done))
    last = found[-1].candidate
    rows = [Row(each.candidate.name, each.candidate.readout, each.answers) for each in found]
    report = describe(
        "retrieval",
        store,
        folds,
        config=_about(readout),
        seed=(last.identity.get("training") or {}).get("seed"),
        preprocess=last.preprocess,
        encoder=last.identity,
    ) | results(rows)
    if asked.out is not None:
        _write(asked.out, report)
        draw_retrieval(asked.out, store, rows[-1], found[-1].vectors)
    click.echo(json.dumps(report)) if asked.as_json else print_rows(
        report, caption="plain is the mean of tokens, as published"
    )


@_protocol("linear-probe")
@_READOUT
@options_from(LinearProbeConfig)
def linear_probe_command(asked: Asked, readout: AskedReadout, config: LinearProbeConfig) -> None:
    """Train a linear layer on the frozen encoder's mean feature (MAMP's recipe).

    RUN is a run folder or a checkpoint.
    """
    store, folds = asked.store, asked.folds
    checkpoint = read_run(asked.encoder)
    clips = _labelled(asked, checkpoint)
    with clip_progress() as progress:
        tested = candidate_models(checkpoint, _put(readout, asked, progress))
    rows = []
    reads = len(tested) * sum(linear_probe_reads(fold, config) for fold in folds)
    with learning_progress(reads) as show, _stopped_by_ctrl_c(None):
        for name, kind, model in tested:

            def show_model(done: int, said: str, name: str = name) -> None:
                show(done, f"{name}, {said}")

            learned = tuple(linear_probe(model, clips, fold, config, show=show_model) for fold in folds)
            rows.append(Row(name, kind, answers(store, folds, [each.predictions for each in learned]), learned))
    report = describe(
        "linear-probe",
        store,
        folds,
        config=asdict(config) | _about(readout),
        seed=config.seed,
        preprocess=checkpoint.preprocess,
        encoder=describe_encoder(checkpoint),
    ) | results(rows)
    if asked.out is not None:
        _write(asked.out, report)
        draw_learned(asked.out, asked.store, asked.folds, rows, chance_percent=report["chance_percent"])
    click.echo(json.dumps(report)) if asked.as_json else print_rows(
        report, caption="a linear layer on the frozen encoder's feature, after its last epoch"
    )


_RESUME = click.option(
    "--resume", is_flag=True, help="Go on with the unfinished evaluation in the folder of --out, said the same way."
)


@_protocol("fine-tune")
@_RESUME
@options_from(FineTuneConfig)
def fine_tune_command(asked: Asked, resume: bool, config: FineTuneConfig) -> None:
    """Train the encoder and a head on top together (MAMP's recipe).

    RUN is a run folder or a checkpoint. `untrained` learns by the same recipe from the weights that pre-training began
    with; pose statistics get a linear layer. With --out, Ctrl-C loses little: --resume goes on.
    """
    _fine_tune(asked, read_run(asked.encoder), "fine-tune", resume, config, {}, caption="encoder and head together")


@_protocol("transfer")
@_RESUME
@options_from(FineTuneConfig)
def transfer_command(asked: Asked, resume: bool, config: FineTuneConfig) -> None:
    """Fine-tune on a STORE other than the one of pre-training.

    The recipe and the bars are those of fine-tune. The store that RUN was pre-trained on is refused, by its content.
    """
    checkpoint = read_run(asked.encoder)
    about = source_and_target(checkpoint, asked.store)
    source, target = names(about["source"]), names(about["target"])
    click.echo(f"from {source} to {target}", err=True)
    if about["shared_sources"]:
        click.echo(f"Warning: both hold the same {', '.join(about['shared_sources'])}.", err=True)
    _fine_tune(asked, checkpoint, "transfer", resume, config, {"transfer": about}, caption=f"from {source} to {target}")


@_protocol("semi-supervised")
@click.option(
    "--ratio",
    "ratios",
    metavar="SHARE",
    type=float,
    multiple=True,
    default=(0.01, 0.1),
    show_default=True,
    help="Share of the training clips whose labels are used; may be given several times.",
)
@click.option(
    "--num-seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Runs of each ratio; the first has --seed, each next one a seed that is one higher.",
)
@click.option("--balanced", is_flag=True, help="Draw equally from all classes; the published draws are blind to them.")
@_RESUME
@options_from(FineTuneConfig)
def semi_supervised_command(
    asked: Asked, ratios: tuple[float, ...], num_seeds: int, balanced: bool, resume: bool, config: FineTuneConfig
) -> None:
    """Fine-tune on 1 % and on 10 % of the labels: mean and deviation over five draws.

    RUN is a run folder or a checkpoint. A draw is a function of its seed; the report has the hash of its clips' names.
    """
    store = asked.store
    checkpoint = read_run(asked.encoder)
    clips = _labelled(asked, checkpoint)
    seeds = [config.seed + number for number in range(num_seeds)]
    draws = {
        (ratio, seed): [draw(store, fold, ratio, seed=seed, balanced=balanced) for fold in asked.folds]
        for ratio in ratios
        for seed in seeds
    }
    told = asdict(config) | {"ratios": list(ratios), "num_seeds": num_seeds, "balanced": balanced}
    unfinished = _unfinished(asked, checkpoint, "semi-supervised", told, resume)
    reads = sum(2 * fine_tune_reads(len(fold.train), config) for folds in draws.values() for fold in folds)
    with learning_progress(reads) as show, _stopped_by_ctrl_c(asked.out):
        rows = learn_from_draws(checkpoint, clips, draws, config, unfinished=unfinished, show=show)
    report = describe(
        "semi-supervised",
        store,
        asked.folds,
        config=told,
        seed=config.seed,
        preprocess=checkpoint.preprocess,
        encoder=describe_encoder(checkpoint),
    )
    report["ratios"] = {
        f"{ratio:g}": summary(store, [draws[ratio, seed] for seed in seeds], seeds, of_ratio)
        for ratio, of_ratio in rows.items()
    }
    if asked.out is not None:
        _write(asked.out, report)
        draw_semi_supervised(asked.out, store, asked.folds, rows, chance_percent=report["chance_percent"])
    unfinished.remove()
    click.echo(json.dumps(report)) if asked.as_json else print_semi_supervised(report)


def _fine_tune(
    asked: Asked,
    checkpoint: Checkpoint,
    protocol: str,
    resume: bool,
    config: FineTuneConfig,
    about: dict[str, Any],
    *,
    caption: str,
) -> None:
    clips = _labelled(asked, checkpoint)
    unfinished = _unfinished(asked, checkpoint, protocol, asdict(config), resume)
    reads = sum(2 * fine_tune_reads(len(fold.train), config) for fold in asked.folds)
    with learning_progress(reads) as show, _stopped_by_ctrl_c(asked.out):
        rows = compare_fine_tuned(checkpoint, clips, asked.folds, config, unfinished=unfinished, show=show)
    report = (
        describe(
            protocol,
            asked.store,
            asked.folds,
            config=asdict(config),
            seed=config.seed,
            preprocess=checkpoint.preprocess,
            encoder=describe_encoder(checkpoint),
        )
        | about
        | results(rows)
    )
    if asked.out is not None:
        _write(asked.out, report)
        draw_learned(asked.out, asked.store, asked.folds, rows, chance_percent=report["chance_percent"])
    unfinished.remove()
    _tell(asked, report, f"{caption}, after the last epoch")


def _labelled(asked: Asked, checkpoint: Checkpoint) -> LabelledClips:
    check_cleaned_alike(asked.store, checkpoint.preprocess.cleaning)
    return LabelledClips(asked.store, checkpoint.preprocess.sampling, pick_device(asked.device))


def _unfinished(
    asked: Asked, checkpoint: Checkpoint, protocol: str, config: dict[str, Any], resume: bool
) -> EvaluationState:
    identity = {
        "protocol": protocol,
        "folds": len(asked.folds),
        "store_content_sha256": asked.store.content_digest,
        "encoder_sha256": weights_digest(checkpoint),
        **config,
    }
    return EvaluationState(asked.out, identity, resume=resume)


@contextmanager
def _stopped_by_ctrl_c(resume_from: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = resume_from is not None and (resume_from / STATE_FILE).exists()
        how = f"; the same command with --resume goes on from what {resume_from} holds." if kept else "."
        click.echo(f"Stopped by Ctrl-C{how}", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def _put(readout: AskedReadout, asked: Asked, progress: Progress) -> Fit | None:
    return readout.putting(asked.device, progress, tested=(asked.store, asked.folds))


def _about(readout: AskedReadout) -> dict[str, Any]:
    return {"readout": readout.to_json()}


def _tell(asked: Asked, report: dict[str, Any], caption: str) -> None:
    click.echo(json.dumps(report)) if asked.as_json else print_rows(report, caption=caption)


def _check_writable(out: Path) -> None:
    """A folder that takes no report is told before anything is learned, not hours later."""
    if out.exists() and not out.is_dir():
        raise InvalidRequestError(f"--out {out} is a file; name a folder, which is made if absent.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass


def _write(out: Path, report: dict[str, Any]) -> None:
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
