"""`gfp-export`: a checkpoint, or the embedding without learning, as a bundle for the server."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
from click.core import ParameterSource
from torch import nn

from gfp_serve.bundle import Bundle
from gfp_serve.cli.options import Command, version_option
from gfp_serve.cli.printing import say
from gfp_serve.cli.progress import progress, status, warn
from gfp_serve.errors import InvalidRequestError
from gfp_serve.formats import TEST_SPLIT, Clip, find_files, read_clips
from gfp_serve.preprocess import MODEL_LAYOUT, PreprocessConfig, SampleConfig
from trainer.agreement import LEAST_COSINE, MOST_POINTS
from trainer.checkpoint import Checkpoint
from trainer.cli.readout_options import ReadoutChoice, check_shares, embedding_of, readout_options, shares_option
from trainer.cli.tokens import read_token_table
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics, sampling_for
from trainer.evaluate.comparison import weights_digest
from trainer.evaluate.folds import split_folds
from trainer.export import Origin, choose_canonical, export_bundle
from trainer.fp16 import in_fp16
from trainer.int8 import LEAST_GAIN, in_int8
from trainer.learned_head import SERVED_TOKENS, Shares
from trainer.objectives import name_of
from trainer.objectives.none import NoObjectiveConfig
from trainer.onnx_graph import FORMS, Form, has_attention
from trainer.token_choice import KINDS, Budget, Kind, TokenChoice

_PATH = click.Path(path_type=Path)
# Among which canonical clips are chosen where no recording is named.
_STORED_CLIPS = 64


@click.command(cls=Command, no_args_is_help=True)
@version_option
@click.argument("run", metavar="[RUN]", required=False, type=_PATH)
@click.option("--pose-statistics", is_flag=True, help="Export the embedding without learning instead of a run.")
@click.option("--out", metavar="BUNDLE", required=True, type=_PATH, help="Folder, or file ending in .zip, to write.")
@click.option(
    "--clips",
    "recordings",
    metavar="FILE",
    multiple=True,
    type=_PATH,
    help="Recording whose raw clips show that torch and onnxruntime agree; a few of them go into the bundle. May be "
    "given several times. [default: clips of --fit]",
)
@readout_options(
    "Fit a read-out on the clips of this store outside its test split, and put it into the model. By default it is "
    "means over a grid of time and joints, whitened without labels. Without --fit the embedding is the mean of tokens, "
    "as published."
)
@click.option(
    "--half",
    is_flag=True,
    help="Round weights to 16 bits, which halves the file; it still computes in 32 bits.",
)
@click.option(
    "--int8",
    "int8_store",
    metavar="STORE",
    type=_PATH,
    help="Multiply in 8 bits. Labelled clips of this store's test split are asked, and the bundle is refused if their "
    f"vectors have a centred cosine below {LEAST_COSINE} to those in 32 bits, or 1-NN falls by more than {MOST_POINTS} "
    "points. It is also refused where it is not "
    f"{LEAST_GAIN} times as fast.",
)
@click.option(
    "--fp16",
    "fp16_store",
    metavar="STORE",
    type=_PATH,
    help="Compute the encoder's blocks in 16 bits, for GPUs; on a CPU it is slower than in 32. Refused where clips of "
    "this store lose more than --int8 may. --graph is fused unless another is named.",
)
@click.option(
    "--graph",
    type=click.Choice(["measured", *FORMS]),
    default="measured",
    show_default=True,
    help="Which operators attention is: those of opset 20, which every runtime knows, Attention of opset 23, or the "
    "fused one of onnxruntime. The vectors are the same. measured takes what is quickest on one core of this machine.",
)
@shares_option
@click.option(
    "--tokens",
    "num_tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Embed this many tokens of each body: cheaper, and a little worse; `gfp-evaluate tokens` measures both. "
    f"[default: all, or {SERVED_TOKENS} of a run that learned an embedding]",
)
@click.option(
    "--token-choice",
    type=click.Choice(KINDS),
    default="spread",
    show_default=True,
    help="Which tokens are embedded: spread evenly over joints and time, random ones, some segments of time, some "
    "joints, or those that move most.",
)
@click.option(
    "--token-table",
    metavar="FILE",
    type=_PATH,
    help="Put the table that `gfp-evaluate tokens --out FILE` measured of this run into the manifest.",
)
@click.option(
    "--name", help="What the encoder is called in the server's replies. [default: its objective, or the name of RUN]"
)
@click.option("--overwrite", is_flag=True, help="Replace the bundle if it exists.")
def gfp_export(
    run: Path | None,
    pose_statistics: bool,
    out: Path,
    recordings: tuple[Path, ...],
    readout: ReadoutChoice,
    half: bool,
    int8_store: Path | None,
    fp16_store: Path | None,
    graph: Literal["measured"] | Form,
    shares: Shares,
    num_tokens: int | None,
    token_choice: Kind,
    token_table: Path | None,
    name: str | None,
    overwrite: bool,
) -> None:
    """Export the encoder of RUN (a run folder or checkpoint) as a bundle for gfp-serve.

    The bundle is written only if onnxruntime and torch give the same vectors for raw clips, to 1e-5; with --int8 or
    --fp16, if clips that were held out lose little. Its encoder.onnx runs in plain onnxruntime: input "clips" [batch,
    bodies, frames, joints, 3], output "embeddings" [batch, size] of length 1.
    """
    if (run is None) != pose_statistics:
        raise click.UsageError("name either a RUN, or --pose-statistics for the embedding without learning.")
    shares_given = _is_given("shares")
    if shares_given and run is None:
        raise click.UsageError("--shares has no effect on --pose-statistics, which are one part alone; leave it out.")
    if num_tokens is None and _is_given("token_choice"):
        raise click.UsageError("--token-choice has no effect without --tokens; say how many, or leave it out.")
    if (num_tokens is not None or token_table is not None) and run is None:
        raise click.UsageError(
            "--pose-statistics have no tokens; leave --tokens, --token-table and --token-choice out."
        )
    if int8_store is not None and fp16_store is not None:
        raise click.UsageError("--int8 is for CPUs and --fp16 is for GPUs; leave one of them out.")
    if int8_store is not None and half:
        raise click.UsageError("--int8 stores most weights in 8 bits; leave --half out.")
    if fp16_store is not None and half:
        raise click.UsageError("--fp16 stores most weights in 16 bits; leave --half out.")
    if fp16_store is not None and _is_given("graph") and graph == "measured":
        raise click.UsageError("--graph measured times graphs on this CPU, and --fp16 is for GPUs; name a graph.")
    if int8_store is not None and _is_given("graph"):
        raise click.UsageError("--graph has no effect beside --int8, which has a graph of its own; leave it out.")
    held_out = int8_store or fp16_store
    if held_out is not None and token_table is not None:
        raise click.UsageError(
            "--token-table was measured in 32 bits, and --int8 and --fp16 compute in fewer; leave one of them out."
        )
    held_clips = None if held_out is None else _held_clips(held_out, "--int8" if int8_store is not None else "--fp16")
    if out.exists() and not overwrite:
        raise click.UsageError(f"{out} exists; name another place for --out, or add --overwrite to replace it.")
    if not recordings and readout.store is None:
        raise click.UsageError("name a recording for --clips, or a store for --fit: a bundle checks itself with clips.")
    raw = _stored_clips(readout.store) if readout.store is not None and not recordings else _raw_clips(recordings)
    canonical = choose_canonical(raw)
    table: dict[str, Any] | None = None
    if run is None:
        model: nn.Module = PoseStatistics()
        origin = Origin(
            name=name or "pose-statistics", objective="none", step=0, data={}, training=None, sees_travel=False
        )
        preprocess = PreprocessConfig(sampling=sampling_for(model, SampleConfig()))
    else:
        checkpoint = Checkpoint.read(run)
        if shares_given:
            check_shares(checkpoint)
        tokens = None if num_tokens is None else Budget(num_tokens, token_choice)
        if token_table is not None:
            table = _token_table(token_table, checkpoint, embedding_of(readout, shares), tokens)
        model = checkpoint.build_embedding(shares, tokens)
        # Lacking joints as evaluations give them to this model, whatever its encoder alone takes.
        preprocess = replace(checkpoint.preprocess, sampling=sampling_for(model, checkpoint.preprocess.sampling))
        origin = Origin(
            name=name or _default_name(run, checkpoint),
            objective=name_of(checkpoint.config.objective),
            step=checkpoint.step,
            data=checkpoint.data,
            training=checkpoint.config.to_json(),
            dimensions=_dimensions(checkpoint),
            sees_travel=checkpoint.config.encoder.frame == "room",
        )
    if graph in ("attention", "fused") and not has_attention(model):
        raise click.UsageError(f"--graph {graph} has no effect on an encoder without attention; leave it out.")
    with progress() as bars:
        if add_readout := readout.adder("cpu", bars):
            model = add_readout(model, preprocess)
    with status("turning the model into ONNX"):
        form: Form | None = None if graph == "measured" else graph
        if held_clips is not None and form is None:
            form = "fused"
        said = {**readout.to_json(), **_budget_of(model), **({} if table is None else {"token_table": table})}
        exported = export_bundle(model, canonical, preprocess, origin, said, half=half, form=form)
    bundle = exported.bundle
    if held_clips is not None:
        bundle = _in_fewer_bits(bundle, held_clips, bits=8 if int8_store is not None else 16)
    bundle.write(out)
    manifest = bundle.manifest
    before = "" if held_clips is None else "before 8 bits, " if int8_store is not None else "before 16 bits, "
    say(
        f"{out}: {manifest.name}, {manifest.embedding_size} numbers a clip, {len(bundle.model) / 1e6:.2f} MB, digest "
        f"{manifest.encoder_digest[:12]}; {before}onnxruntime and torch differ by at most {exported.difference:.1e} "
        f"on {len(canonical)} raw clips."
    )
    if held_clips is None and exported.seconds:
        times = ", ".join(f"{form} {1000 * each:.1f} ms" for form, each in exported.seconds.items())
        say(f"Attention is written as {manifest.graph!r}. A clip on one core: {times}.")
    if num_tokens is not None and table is None:
        warn(
            f"It embeds {num_tokens} tokens of a body. What that saves and costs is not in the manifest: gfp-evaluate "
            f"tokens --tokens {num_tokens} --out FILE measures it, and --token-table FILE adds it."
        )


def _budget_of(model: nn.Module) -> dict[str, Any]:
    """How many tokens are embedded, and which; nothing if it is all of them, or none."""
    choice = next((part for part in model.modules() if isinstance(part, TokenChoice)), None)
    return {} if choice is None else {"tokens": choice.count, "token_choice": choice.kind}


def _token_table(
    path: Path, checkpoint: Checkpoint, embedding: dict[str, Any], tokens: Budget | None
) -> dict[str, Any]:
    """What was measured of this run and embedding. Raises `UsageError` for that of another, or without `tokens`."""
    table = read_token_table(path)
    if table.pop("weights_sha256") != weights_digest(checkpoint):
        raise click.UsageError(f"{path} was measured with other weights; call gfp-evaluate tokens with this run.")
    if table.pop("embedding") != embedding:
        raise click.UsageError(
            f"{path} was measured with another read-out or other --shares; call gfp-evaluate tokens with those that "
            f"the bundle gets."
        )
    measured = [Budget(row["tokens"], row["choice"]) for row in table["rows"]]
    if tokens is not None and tokens not in measured:
        raise click.UsageError(
            f"{path} has no row of {tokens.title}; it has {'; '.join(each.title for each in measured) or 'none'}. "
            f"Choose one of these, or measure it with gfp-evaluate tokens."
        )
    return table


def _held_clips(store: Path, option: str) -> ClipStore:
    """The clips that show what fewer bits lose. Raises `UsageError` for a store without a test split."""
    clips = ClipStore.open(store)
    try:
        split_folds(clips)
    except InvalidRequestError as error:
        raise click.UsageError(
            f"{option} asks labelled test clips of its store what is lost, and {store} cannot be asked: {error}"
        ) from error
    return clips


def _in_fewer_bits(bundle: Bundle, store: ClipStore, *, bits: Literal[8, 16]) -> Bundle:
    with progress() as bars:
        bar = bars.add(f"embed clips in 32 bits, then in {bits}", "clips")
        smaller, found = (in_int8 if bits == 8 else in_fp16)(bundle, store, show=bar.advance)
    say(f"In {bits} bits, {found}.")
    return smaller


def _is_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _dimensions(checkpoint: Checkpoint) -> list[int]:
    """Those of the clips it learned from. Runs that began before November 2026 do not say it."""
    if "dimensions" not in checkpoint.data:
        return [2, 3]
    config, own = checkpoint.config, int(checkpoint.data["dimensions"])
    loses_depth = own == 3 and config.terms.are_used and config.views.flat_odds > 0
    return [2, 3] if loses_depth else [own]


def _raw_clips(recordings: tuple[Path, ...]) -> list[Clip]:
    clips = [clip for path in recordings for file in find_files(path) for clip in read_clips(file)]
    # A canonical clip must show somebody, because preprocessing refuses empty ones.
    return [clip for clip in clips if np.nan_to_num(clip.sequence).any()]


def _stored_clips(store: ClipStore) -> list[Clip]:
    """Clips of a store as if they had been recorded so, spread over those outside its test split."""
    places = np.flatnonzero(store.splits != TEST_SPLIT)
    chosen = places[np.linspace(0, len(places) - 1, min(len(places), _STORED_CLIPS)).astype(np.int64)]
    clips = []
    for place in chosen:
        clip = store.cleaned(int(place))
        sequence = np.where(clip.known[..., None], clip.positions, np.float32(np.nan))
        clips.append(
            Clip(name=str(store.names[place]), sequence=sequence, layout=MODEL_LAYOUT, fps=float(store.fps[place]))
        )
    return clips


def _default_name(run: Path, checkpoint: Checkpoint) -> str:
    """The objective; of a run that learned from labels or views alone, the name of its folder."""
    if not isinstance(checkpoint.config.objective, NoObjectiveConfig):
        return name_of(checkpoint.config.objective)
    return (run if run.is_dir() else run.parent).resolve().name
