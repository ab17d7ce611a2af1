"""`gfp-serve bundle`: what a bundle embeds, what that costs here, and what was given up for it."""

import timeit
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.table import Table

from gfp_serve.bundle import FP16_GRAPH, INT8_GRAPH, Bundle
from gfp_serve.cli.arguments import PATH, json_option
from gfp_serve.cli.printing import output, print_facts, print_json, say
from gfp_serve.cli.progress import warn
from gfp_serve.config import DEFAULT_BUNDLE, bundle_at
from gfp_serve.errors import BundleError, MissingExtraError
from gfp_serve.extras import load
from gfp_serve.layouts import layout_named
from gfp_serve.preprocess import prepare

_BITS = {INT8_GRAPH: 8, FP16_GRAPH: 16}
# Of which the time is the median.
_CALLS = 11


@click.command("bundle")
@click.argument("bundle", type=PATH, default=DEFAULT_BUNDLE)
@click.option("--time/--no-time", "is_timed", default=True, show_default=True, help="Measure what a clip takes here.")
@json_option
def bundle_command(bundle: Path, is_timed: bool, as_json: bool) -> None:
    """Say what a bundle embeds, and what that costs here.

    Also what was given up for the cost: by fewer bits, or by fewer tokens.

    BUNDLE is a bundle, or the name of one in the package. Times are of its shortest canonical clip, on one core.
    """
    read = Bundle.read(bundle_at(bundle))
    facts = _facts(read)
    if is_timed:
        try:
            load("gfp_serve.encoder")  # and not onnxruntime itself, which would report to its maker
        except MissingExtraError as error:
            warn(f"Nothing is timed: {error}")
        else:
            facts |= _times(read)
    table = read.manifest.readout.get("token_table")
    if as_json:
        print_json(facts if table is None else {**facts, "token_table": table})
        return
    print_facts({_title(name): _in_words(value) for name, value in facts.items()})
    if table is not None:
        try:
            print_token_table(table, read.manifest.readout)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"the table of tokens in the manifest of {bundle} is damaged ({error!r}); export it again."
            ) from error


def _facts(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    readout, sampling = manifest.readout, manifest.preprocess.sampling
    facts: dict[str, Any] = {
        "name": manifest.name,
        "digest": manifest.encoder_digest[:12],
        "objective": manifest.objective,
        "steps": manifest.step,
        "numbers_a_clip": manifest.embedding_size,
        "frames": sampling.num_frames,
        "model_mb": round(len(bundle.model) / 1e6, 2),
        "graph": manifest.graph,
        "bits": _BITS.get(manifest.graph, 32),
        "read_out": readout.get("kind", "mean"),
    }
    if "tokens" in readout:
        facts["tokens_of_a_body"] = f"{readout['tokens']}, {readout.get('token_choice', 'spread')}"
        if "token_table" not in readout:
            facts["lost_by_fewer_tokens"] = "not measured"
    for name in ("int8", "fp16"):
        if name in readout:
            facts["lost_by_fewer_bits"] = readout[name]
    return facts


def _times(bundle: Bundle) -> dict[str, float]:
    """Milliseconds to prepare and to embed the shortest canonical clip, with the bodies that it has."""
    from gfp_serve.encoder import Encoder  # not installed everywhere

    encoder = Encoder(bundle, device="cpu", num_threads=1)
    clip = min(bundle.canonical, key=lambda each: each.sequence.size)
    layout, preprocess = layout_named(clip.layout), bundle.manifest.preprocess
    given = prepare(clip.sequence, layout, preprocess)[None]
    return {
        "bodies_of_the_timed_clip": given.shape[1],
        "preparing_ms": _milliseconds(lambda: prepare(clip.sequence, layout, preprocess)),
        "embedding_ms": _milliseconds(lambda: encoder.encode(given)),
    }


def _milliseconds(call: Callable[[], object]) -> float:
    """The median of calls, without the first, which is slow."""
    return round(1e3 * median(timeit.repeat(call, number=1, repeat=1 + _CALLS)[1:]), 3)


def _title(name: str) -> str:
    words, unit = name.rpartition("_")[::2]
    return f"{words.replace('_', ' ')}, {unit.replace('mb', 'MB')}" if unit in ("mb", "ms") else name.replace("_", " ")


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {inner}" for name, inner in value.items())
    return str(value)


def print_token_table(table: Mapping[str, Any], served: Mapping[str, Any] | None = None) -> None:
    """What fewer tokens save and cost: the report of `gfp-evaluate tokens`, or what a manifest keeps of it.

    The row of the bundle whose read-out is `served` is marked.
    """
    # A manifest keeps no order: clean first, then windows, rest, and others by name.
    places = {"clean": 0, "window": 1, "rest": 2}
    measured = sorted(
        table["whole"],
        key=lambda what: (what.startswith("linear"), places.get(what.removeprefix("linear, "), len(places)), what),
    )
    shown = Table("tokens", "which", "times as fast", *measured)
    shown.add_row("by default", "", "1.0", *(f"{table['whole'][what]:.1f}" for what in measured))
    for row in table["rows"]:
        cells = (f"{row['percent'][what]:.1f} ({row['points'][what]:+.1f})" for what in measured)
        is_this = served is not None and (served.get("tokens"), served.get("token_choice")) == (
            row["tokens"],
            row["choice"],
        )
        which = f"{row['choice']}, this bundle" if is_this else row["choice"]
        shown.add_row(str(row["tokens"]), which, f"{row['speed_up']:.1f}", *cells)
    output().print(shown)
    sets = ", ".join(table.get("sets", ())) or "sets"
    say(f"Right in %, the mean of {sets}; in brackets, points more or less than without --tokens.")
    for name, says in table.get("doubts", {}).items():
        warn(f"warning: {name}: {says}. What fewer tokens cost on clips that were learned says little.")
