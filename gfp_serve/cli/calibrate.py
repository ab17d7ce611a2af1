"""`gfp gallery calibrate`: the similarity below which a query is called unknown."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gfp_serve.cli.options import Command
from gfp_serve.cli.progress import progress
from gfp_serve.items import DEFAULT_GALLERY


@click.command(cls=Command)
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
    from gfp_serve.gallery.care.rejection_threshold import calibrate_unknown
    from gfp_serve.gallery.embedded.folders import existing_folder, stored_items

    if plot is not None:
        if plot.suffix != ".png":
            raise click.BadParameter(f"{plot} must end in .png.", param_hint="--plot")
        # Before anything is computed: it may not be installed.
        from gfp_serve.gallery.care.threshold_figure import draw_calibration
    items = list(stored_items(existing_folder(folder, name)))
    with progress() as bars:
        bar = bars.add("compare", "items", total=sum(bool(item.label) for item in items))
        found = calibrate_unknown(items, advance=bar.advance, **how)
    if plot is not None:
        draw_calibration(found, plot)
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


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
