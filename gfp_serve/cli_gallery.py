"""The commands `gfp gallery`: galleries as wholes."""

import dataclasses
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.cli_gallery_folder import COMMANDS
from gfp_serve.cli_options import Connect, talks_to_server
from gfp_serve.gallery import DEFAULT_GALLERY, Description, IndexKind
from gfp_serve.gallery.copying import copy_items, source_at, target_at
from gfp_serve.gallery.stored import folder_of, stored_items
from gfp_serve.gallery.unknown import Calibration, calibrate_unknown
from gfp_serve.options import Group


@click.group(cls=Group)
def gallery() -> None:
    """Make galleries, look at them, and remove them; the one named "default" is always there."""


for each in COMMANDS:
    gallery.add_command(each)


@gallery.command()
@click.argument("name")
@click.option(
    "--index-kind",
    type=click.Choice(get_args(IndexKind)),
    default="auto",
    show_default=True,
    help="How vectors are searched: exact compares with all; hnsw and ivf are faster and may miss some, of which ivf "
    "takes less memory; auto chooses by the number of items.",
)
@talks_to_server
def create(name: str, index_kind: IndexKind, connect: Connect, as_json: bool) -> None:
    """Make an empty gallery for the server's encoder."""
    with connect() as client:
        description = client.create_gallery(name, index_kind)
    if as_json:
        click.echo(json.dumps(_values(name, description)))
    else:
        click.echo(f"The gallery {name} was made; name it with --gallery {name}.")


@gallery.command(name="list")
@talks_to_server
def list_galleries(connect: Connect, as_json: bool) -> None:
    """Show all galleries of the server, those that another encoder filled too."""
    with connect() as client:
        found = client.list_galleries()
    table = Table("gallery", "index", Column("items", justify="right"), Column("MB", justify="right"), "note", box=None)
    for each in found:
        described = each.description
        if as_json:
            known = {} if described is None else dataclasses.asdict(described)
            click.echo(json.dumps({"name": each.name, "encoder_digest": each.encoder_digest, **known}))
        elif described is None:
            table.add_row(each.name, "", "", "", f"of encoder {each.encoder_digest[:12]}, which is not served")
        else:
            numbers = (str(described.num_items), f"{described.num_bytes / 1e6:.1f}")
            table.add_row(
                each.name, _index(described), *numbers, "" if described.durable else "lost at the server's exit"
            )
    if not as_json:
        Console().print(table)


@gallery.command()
@click.argument("name", default=DEFAULT_GALLERY)
@talks_to_server
def describe(name: str, connect: Connect, as_json: bool) -> None:
    """Say what a gallery is and how it stands; without a NAME, the default one."""
    with connect() as client:
        values = _values(name, client.describe_gallery(name))
    if as_json:
        click.echo(json.dumps(values))
        return
    table = Table("name", Column("value", overflow="fold"), show_header=False, box=None)
    for key, value in values.items():
        table.add_row(key, str(value))
    Console().print(table)


@gallery.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@talks_to_server
def drop(name: str, yes: bool, connect: Connect, as_json: bool) -> None:
    """Remove a gallery with all its items, for ever."""
    with connect() as client:
        if not yes:
            num_items = client.describe_gallery(name).num_items
            click.confirm(f"Remove the gallery {name} and its {num_items} items, for ever?", abort=True, err=True)
        num_items = client.drop_gallery(name)
    click.echo(json.dumps({"dropped": num_items}) if as_json else f"The gallery {name} had {num_items} items.")


@gallery.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--gallery", "name", default=DEFAULT_GALLERY, show_default=True, help="Name of the gallery, in both.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a sentence.")
def copy(source: str, target: str, name: str, as_json: bool) -> None:
    """Copy a gallery's items from one place to another, such as from a folder to Milvus.

    SRC and DST are what gfp-serve --gallery takes: a folder that no server has open, milvus://HOST:PORT/PREFIX, or
    milvus+lite://PATH.db. A gallery that DST does not have is made. What DST holds already stays, so that the same
    command goes on with a copy that was interrupted.
    """
    console = Console(stderr=True)
    with source_at(source, name) as original, target_at(target, name, like=original) as copied:
        total = len(original)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("items", total=total)
            num_written = copy_items(original, copied, on_progress=lambda done: progress.update(task, completed=done))
    if as_json:
        click.echo(json.dumps({"copied": num_written, "items": total}))
    else:
        click.echo(f"{num_written} of {total} items were copied; the others were there already.")


@gallery.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--gallery", "name", default=DEFAULT_GALLERY, show_default=True, help="Name of the gallery.")
@click.option("--false-accept", default=0.05, show_default=True, help="Share of strangers that may be given a name.")
@click.option("--num-neighbours", default=5, show_default=True, help="Nearest items that vote.")
@click.option(
    "--weighting",
    type=click.Choice(["similarity", "uniform"]),
    default="similarity",
    show_default=True,
    help="Whether nearer items have more votes.",
)
@click.option("--temperature", default=0.07, show_default=True, help="The smaller, the more the nearest item counts.")
@click.option("--balanced", is_flag=True, help="Divide each vote by the number of items that its class has.")
@click.option(
    "--leave-out",
    metavar="recording|ATTRIBUTE",
    help="Ask for an item without all that share its source recording, or this attribute, such as subject.",
)
@click.option("--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw the similarities found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def calibrate(folder: Path, name: str, plot: Path | None, as_json: bool, **how: Any) -> None:
    """Find the --unknown-below of `gfp classify` that keeps strangers out, on the gallery's own items.

    FOLDER is that of gfp-serve --gallery; a server may be running on it. Each labelled item is asked for twice: while
    it is left out itself, as one that is known, and while its whole class is left out, as a stranger. The settings of
    the vote must be those that `gfp classify` is then given.
    """
    save = None if plot is None else _picture(plot)
    items = list(stored_items(folder_of(folder, name)))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("items", total=sum(bool(item.label) for item in items))
        found = calibrate_unknown(items, advance=lambda done: progress.advance(task, done), **how)
    if save is not None:
        save(found)
    measured = {
        "unknown_below": found.unknown_below,
        "strangers_accepted": found.strangers_accepted,
        "known_rejected": found.known_rejected,
        "accuracy": found.accuracy,
        "accuracy_of_accepted": found.accuracy_of_accepted,
        "wrong_accepted": found.wrong_accepted,
        "separation": found.separation,
        "num_items": found.num_items,
        "num_classes": found.num_classes,
        "num_known": len(found.known),
        "num_strangers": len(found.strangers),
        "num_left_out_together": found.num_groups,
    }
    if as_json:
        click.echo(json.dumps(measured))
        return
    of_accepted = found.accuracy_of_accepted
    together = f", {found.num_groups} values of {how['leave_out']}" if found.num_groups else ""
    rows = {
        "unknown below": f"{found.unknown_below:.6f}",
        "strangers that are given a name": f"{_percent(found.strangers_accepted)} of {len(found.strangers)}",
        "known items that are called unknown": f"{_percent(found.known_rejected)} of {len(found.known)}",
        "right among the known that are named": "none is named" if of_accepted is None else _percent(of_accepted),
        "right among all known, without it": _percent(found.accuracy),
        "known that are named wrong": f"{_percent(found.wrong_accepted)}; without it {_percent(1 - found.accuracy)}",
        "known nearer than a stranger": f"{_percent(found.separation)} of pairs; by chance 50 %",
        "measured on": f"{found.num_items} items, {found.num_classes} classes{together}",
    }
    table = Table("name", Column("value", overflow="fold"), show_header=False, box=None)
    for each in rows.items():
        table.add_row(*map(Text, each))
    Console().print(table)
    if found.known_rejected > 0.5:
        click.echo(
            "Most known items would be called unknown too. Accept more strangers with --false-accept, or serve an "
            "encoder whose similarity tells them apart."
        )
    if found.num_groups == 0:
        click.echo(
            "Items of one recording or one person are alike whatever they do, and say little about new ones: where "
            "both are known, --leave-out recording, or an attribute such as subject, asks without them."
        )


def _values(name: str, description: Description) -> dict[str, object]:
    return {"name": name, **dataclasses.asdict(description)}


def _index(description: Description) -> str:
    asked, serving = description.index_kind, description.serving_kind
    building = ", building" if description.is_building else ""
    return f"{serving}{building}" if asked == serving else f"{asked} (now {serving}{building})"


def _picture(path: Path) -> Callable[[Calibration], None]:
    """What draws a calibration into this file. Found out before anything is computed: whether it can."""
    if path.suffix != ".png":
        raise click.BadParameter(f"{path} must end in .png.", param_hint="--plot")
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise click.ClickException(
            "matplotlib is not installed, which --plot draws with; install gfp-serve[train], or leave --plot out."
        ) from error

    def save(found: Calibration) -> None:
        kinds = {
            "known, named right": found.known[found.known_right],
            "known, named wrong": found.known[~found.known_right],
            "strangers": found.strangers,
        }
        names = [f"{name} ({len(kind)})" for name, kind in kinds.items()]
        # In % of the known and of the strangers, for there are more of these. Who got no vote is counted, not drawn.
        shares = (100 / len(found.known), 100 / len(found.known), 100 / len(found.strangers))
        places = [_stretched(kind[np.isfinite(kind)]) for kind in kinds.values()]
        weights = [np.full(len(kind), share) for kind, share in zip(places, shares, strict=True)]
        threshold = _stretched(np.array([found.unknown_below]))
        bins = np.histogram_bin_edges(np.concatenate([*places, threshold]), 40)
        figure = figure_module.Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.hist(places[:2], bins, weights=weights[:2], stacked=True, color=["#0072B2", "#9FC9E4"], label=names[:2])
        outline = {"histtype": "step", "linewidth": 1.8, "color": "#D55E00"}
        axes.hist(places[2], bins, weights=weights[2], label=names[2], **outline)
        axes.axvline(threshold[0], color="#222222", linestyle="--", linewidth=1.2)
        axes.set_title(
            f"unknown below {found.unknown_below:.4f}: {_percent(found.strangers_accepted)} of strangers are given a "
            f"name, {_percent(found.known_rejected)} of the known are not",
            fontsize=10,
        )
        ticks = np.array([-1, 0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999])
        drawn = ticks[(_stretched(ticks) >= bins[0]) & (_stretched(ticks) <= bins[-1])]
        axes.set_xticks(_stretched(drawn), [f"{tick:g}" for tick in drawn])
        axes.set_xlabel("similarity of the nearest item that votes (stretched towards 1)")
        axes.set_ylabel("% of the known, % of the strangers")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9, loc="upper left")
        figure.savefig(path, dpi=150)

    return save


def _stretched(similarities: Float[np.ndarray, " similarities"]) -> Float[np.ndarray, " similarities"]:
    # Similarities crowd below 1, where what matters would be a line.
    return -np.log10(np.maximum(1 - similarities.astype(np.float64), 1e-6))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
