"""`gfp-evaluate`: one command for each protocol by which encoders are compared on labelled clips."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.options import Group, options_from, version_option
from gfp_serve.cli.printing import say
from gfp_serve.cli.progress import Bars, progress, warn
from trainer.checkpoint import Checkpoint
from trainer.cli.compare import compare_command
from trainer.cli.evaluation import EvaluationRequest, exit_on_ctrl_c, learning_progress, protocol
from trainer.cli.readout_options import ReadoutChoice, readout_options
from trainer.cli.suite import suite_command
from trainer.cli.tables import print_rows, print_semi_supervised
from trainer.cli.tokens import tokens_command
from trainer.devices import pick_device
from trainer.evaluate.candidates import (
    AddReadout,
    candidate_models,
    candidates,
    check_cleaned_alike,
    describe_encoder,
    read_run,
    read_run_of_tokens,
)
from trainer.evaluate.comparison import compare_fine_tuned, compare_probes, weights_digest
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.fine_tune import clips_read as fine_tune_reads
from trainer.evaluate.folds import used_clips
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learned_labels import learned_labels
from trainer.evaluate.linear_probe import LinearProbeConfig
from trainer.evaluate.linear_probe import clips_read as linear_probe_reads
from trainer.evaluate.mistakes import write_head_page, write_retrieval_page
from trainer.evaluate.report import Row, describe_evaluation, results
from trainer.evaluate.resume import EvaluationState
from trainer.evaluate.retrieval import retrieval
from trainer.evaluate.semi_supervised import draw, learn_from_draws, summary
from trainer.evaluate.transfer import names, source_and_target


@click.group(cls=Group, name="gfp-evaluate")
@version_option
def gfp_evaluate() -> None:
    """Measure an encoder on labelled clips, beside chance, pose statistics without learning, and itself untrained.

    An encoder that does not beat these is not worth serving. If a head learns, its result is that after the last
    epoch: the best epoch would be chosen by the test clips, which makes it look too good.
    """


gfp_evaluate.add_command(suite_command)
gfp_evaluate.add_command(compare_command)
gfp_evaluate.add_command(tokens_command)

_READOUT = readout_options(
    "Also measure with a read-out that is fitted on the clips of this store outside its test split (see gfp-export "
    "--fit)."
)


@protocol(gfp_evaluate, "retrieval", bundles=True)
@_READOUT
def retrieval_command(request: EvaluationRequest, readout: ReadoutChoice) -> None:
    """Is the nearest training clip of the test clip's class?

    Nearest is by cosine (1-NN). ENCODER is a run folder, a checkpoint, a bundle, or the name of a bundle
    in the package. Nothing is learned from labels.
    """
    store, folds = request.store, request.folds
    with progress() as bars:
        tested = candidates(request.encoder, request.device, _readout_adder(request, readout, bars))
        _warn_of_labels(request, tested[-1].identity)
        bar = bars.add("embed", "clips", total=len(used_clips(folds)) * len(tested))
        found = retrieval(store, folds, tested, show=bar.advance)
    last = found[-1]
    rows = [Row(each.candidate.name, each.candidate.readout, each.answers) for each in found]
    report = describe_evaluation(
        "retrieval",
        store,
        folds,
        config={"readout": readout.to_json()},
        seed=(last.candidate.identity.get("training") or {}).get("seed"),
        preprocess=last.candidate.preprocess,
        encoder=last.candidate.identity,
    ) | results(rows)

    def draw_pictures(out: Path) -> None:
        from trainer.evaluate.figures import draw_retrieval

        draw_retrieval(out, store, rows[-1], last.vectors)

    request.write_report(report, draw_pictures)
    embedded = "the published mean of tokens, or what the run learned beside it"
    is_fitted = bool(report["top1_percent_readout"])
    _print_rows(request, report, f"plain is without a read-out: {embedded}" if is_fitted else f"by {embedded}")
    request.write_page(lambda path: write_retrieval_page(path, store, folds, rows[-1], last.vectors))


_RESUME = click.option(
    "--resume",
    is_flag=True,
    help="Go on with the unfinished evaluation in the folder of --out; give the same settings as then.",
)


@protocol(gfp_evaluate, "linear-probe")
@_READOUT
@_RESUME
@options_from(LinearProbeConfig)
def linear_probe_command(
    request: EvaluationRequest, readout: ReadoutChoice, resume: bool, config: LinearProbeConfig
) -> None:
    """Train a linear layer on the frozen encoder's features.

    It gets the mean of the tokens, and learns by MAMP's recipe. RUN is a run folder or a checkpoint. With --out,
    Ctrl-C loses little, and --resume goes on.
    """
    store, folds = request.store, request.folds
    checkpoint = read_run(request.encoder)
    clips = _labelled_clips(request, checkpoint)
    settings = asdict(config) | {"readout": readout.to_json()}
    state = _open_state(request, checkpoint, "linear-probe", settings, resume)
    with progress() as bars:
        tested = candidate_models(checkpoint, _readout_adder(request, readout, bars))
    num_reads = len(tested) * sum(linear_probe_reads(fold, config) for fold in folds)
    with learning_progress(num_reads) as show, exit_on_ctrl_c(request.out):
        rows = compare_probes(tested, clips, folds, config, state=state, show=show)
    report = _describe(request, checkpoint, "linear-probe", settings) | results(rows)
    _write_learned(request, report, rows)
    state.remove()
    _print_rows(request, report, "a linear layer on the frozen encoder's feature, after its last epoch")
    request.write_page(lambda path: write_head_page(path, store, folds, rows[-1]))


@protocol(gfp_evaluate, "fine-tune")
@_RESUME
@options_from(FineTuneConfig)
def fine_tune_command(request: EvaluationRequest, resume: bool, config: FineTuneConfig) -> None:
    """Train the encoder and a head on top together.

    The recipe is MAMP's. RUN is a run folder or a checkpoint. `untrained` learns by the same recipe, from the
    weights with which pre-training began; pose statistics get a linear layer. With --out, Ctrl-C loses little, and
    --resume goes on.
    """
    _fine_tune(
        request, read_run_of_tokens(request.encoder), "fine-tune", resume, config, {}, "encoder and head together"
    )


@protocol(gfp_evaluate, "transfer")
@_RESUME
@options_from(FineTuneConfig)
def transfer_command(request: EvaluationRequest, resume: bool, config: FineTuneConfig) -> None:
    """Fine-tune on a STORE that is new to the encoder.

    Recipe and comparison are those of fine-tune. A STORE with the content of the one of pre-training is refused.
    """
    checkpoint = read_run_of_tokens(request.encoder)
    transfer = source_and_target(checkpoint, request.store)
    source, target = names(transfer["source"]), names(transfer["target"])
    say(f"from {source} to {target}", err=True)
    if transfer["shared_sources"]:
        say(
            f"Warning: the encoder, or one that it started from or that taught it, was trained on recordings that "
            f"{request.store.path} has too: {', '.join(transfer['shared_sources'])}.",
            err=True,
        )
    _fine_tune(request, checkpoint, "transfer", resume, config, {"transfer": transfer}, f"from {source} to {target}")


@protocol(gfp_evaluate, "semi-supervised")
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
    help="Runs of each ratio. The first has --seed, each next one a seed that is 1 higher.",
)
@click.option("--balanced", is_flag=True, help="Draw equally from all classes; published draws ignore classes.")
@_RESUME
@options_from(FineTuneConfig)
def semi_supervised_command(
    request: EvaluationRequest,
    ratios: tuple[float, ...],
    num_seeds: int,
    balanced: bool,
    resume: bool,
    config: FineTuneConfig,
) -> None:
    """Fine-tune on 1 % and on 10 % of the labels.

    The report has mean and deviation over five draws. RUN is a run folder or a checkpoint. A draw depends on its
    seed only; the report has the hash of its clips' names.
    """
    store = request.store
    checkpoint = read_run_of_tokens(request.encoder)
    clips = _labelled_clips(request, checkpoint)
    seeds = [config.seed + number for number in range(num_seeds)]
    draws = {
        (ratio, seed): [draw(store, fold, ratio, seed=seed, balanced=balanced) for fold in request.folds]
        for ratio in ratios
        for seed in seeds
    }
    settings = asdict(config) | {"ratios": list(ratios), "num_seeds": num_seeds, "balanced": balanced}
    state = _open_state(request, checkpoint, "semi-supervised", settings, resume)
    num_reads = sum(2 * fine_tune_reads(len(fold.train), config) for folds in draws.values() for fold in folds)
    with learning_progress(num_reads) as show, exit_on_ctrl_c(request.out):
        rows = learn_from_draws(checkpoint, clips, draws, config, state=state, show=show)
    report = _describe(request, checkpoint, "semi-supervised", settings)
    report["ratios"] = {
        f"{ratio:g}": summary(store, [draws[ratio, seed] for seed in seeds], seeds, of_ratio)
        for ratio, of_ratio in rows.items()
    }

    def draw_pictures(out: Path) -> None:
        from trainer.evaluate.figures import draw_semi_supervised

        draw_semi_supervised(out, store, request.folds, rows, chance_percent=report["chance_percent"])

    request.write_report(report, draw_pictures)
    state.remove()
    request.print_report(report, print_semi_supervised)
    largest = max(ratios)
    last = rows[largest][-1][-1]
    request.write_page(lambda path: write_head_page(path, store, draws[largest, seeds[-1]], last))


def _fine_tune(
    request: EvaluationRequest,
    checkpoint: Checkpoint,
    protocol_name: str,
    resume: bool,
    config: FineTuneConfig,
    more: dict[str, Any],
    caption: str,
) -> None:
    """Fine-tune on the folds of the request. `more` goes into the report."""
    clips = _labelled_clips(request, checkpoint)
    state = _open_state(request, checkpoint, protocol_name, asdict(config), resume)
    num_reads = sum(2 * fine_tune_reads(len(fold.train), config) for fold in request.folds)
    with learning_progress(num_reads) as show, exit_on_ctrl_c(request.out):
        rows = compare_fine_tuned(checkpoint, clips, request.folds, config, state=state, show=show)
    report = _describe(request, checkpoint, protocol_name, asdict(config)) | more | results(rows)
    _write_learned(request, report, rows)
    state.remove()
    _print_rows(request, report, f"{caption}, after the last epoch")
    request.write_page(lambda path: write_head_page(path, request.store, request.folds, rows[-1]))


def _readout_adder(request: EvaluationRequest, readout: ReadoutChoice, bars: Bars) -> AddReadout | None:
    return readout.adder(request.device, bars, tested=(request.store, request.folds))


def _warn_of_labels(request: EvaluationRequest, encoder: dict[str, Any]) -> None:
    if said := learned_labels(encoder, request.store, request.folds):
        warn(f"Warning: {said}")


def _labelled_clips(request: EvaluationRequest, checkpoint: Checkpoint) -> LabelledClips:
    check_cleaned_alike(request.store, checkpoint.preprocess.cleaning)
    _warn_of_labels(request, describe_encoder(checkpoint))
    return LabelledClips(request.store, checkpoint.preprocess.sampling, pick_device(request.device))


def _open_state(
    request: EvaluationRequest, checkpoint: Checkpoint, protocol_name: str, settings: dict[str, Any], resume: bool
) -> EvaluationState:
    identity = {
        "protocol": protocol_name,
        "folds": len(request.folds),
        "store_content_sha256": request.store.content_digest,
        "encoder_sha256": weights_digest(checkpoint),
        **settings,
    }
    return EvaluationState(request.out, identity, resume=resume)


def _describe(
    request: EvaluationRequest, checkpoint: Checkpoint, protocol_name: str, settings: dict[str, Any]
) -> dict[str, Any]:
    return describe_evaluation(
        protocol_name,
        request.store,
        request.folds,
        config=settings,
        seed=settings["seed"],
        preprocess=checkpoint.preprocess,
        encoder=describe_encoder(checkpoint),
    )


def _write_learned(request: EvaluationRequest, report: dict[str, Any], rows: list[Row]) -> None:
    def draw_pictures(out: Path) -> None:
        from trainer.evaluate.figures import draw_learned

        draw_learned(out, request.store, request.folds, rows, chance_percent=report["chance_percent"])

    request.write_report(report, draw_pictures)


def _print_rows(request: EvaluationRequest, report: dict[str, Any], caption: str) -> None:
    request.print_report(report, lambda report: print_rows(report, caption=caption))
