"""`gfp gallery calibrate`: the similarity below which a query is called unknown."""

from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.arguments import PATH, folder_argument, gallery_in_folder_option, json_option, votes
from gfp_serve.cli.options import Command
from gfp_serve.cli.printing import print_facts, print_json, say
from gfp_serve.cli.progress import progress


@click.command(cls=Command)
@folder_argument
@gallery_in_folder_option
@click.option(
    "--false-accept", default=0.05, show_default=True, help="Share of strangers that may be given a class after all."
)
@votes
@click.option(
    "--leave-out",
    metavar="recording|ATTRIBUTE",
    help="Query each item without the items that have the same source recording, or the same value of this attribute, "
    "such as subject.",
)
@click.option("--plot", metavar="FILE.png", type=PATH, help="Draw the similarities that were found.")
@json_option
def calibrate(folder: Path, gallery: str, plot: Path | None, as_json: bool, **how: Any) -> None:
    """Find the similarity below which a clip is called unknown.

    It is the --unknown-below of `gfp classify` that keeps strangers out, found with the gallery's own items. FOLDER
    is the one given to gfp-serve --gallery; a server may have it open. Each labelled item is a query twice: once as
    a known item, without itself, and once as a stranger, without its whole class. Give the same options of the vote
    to `gfp classify` afterwards.
    """
    from gfp_serve.gallery.care.rejection_threshold import calibrate_unknown
    from gfp_serve.gallery.embedded.folders import existing_folder, stored_items

    if plot is not None:
        if plot.suffix != ".png":
            raise click.BadParameter(f"{plot} must end in .png.", param_hint="--plot")
        # Before anything is computed, because matplotlib may be missing.
        from gfp_serve.gallery.care.threshold_figure import draw_calibration
    items = list(stored_items(existing_folder(folder, gallery)))
    with progress() as bars:
        bar = bars.add("query", "items", total=sum(bool(item.label) for item in items))
        found = calibrate_unknown(items, advance=bar.advance, **how)
    if plot is not None:
        draw_calibration(found, plot)
    if as_json:
        print_json(found.to_json())
        return
    of_accepted = found.accuracy_of_accepted
    together = f", {found.num_groups} values of {how['leave_out']}" if found.num_groups else ""
    print_facts(
        {
            "unknown below": f"{found.unknown_below:.6f}",
            "strangers given a class": f"{_percent(found.strangers_accepted)} of {len(found.strangers)}",
            "known items called unknown": f"{_percent(found.known_rejected)} of {len(found.known)}",
            "right among known items given a class": "none" if of_accepted is None else _percent(of_accepted),
            "right without this threshold": _percent(found.accuracy),
            "known items given a wrong class": f"{_percent(found.wrong_accepted)}; without this threshold "
            f"{_percent(1 - found.accuracy)}",
            "known items nearer than a stranger": f"{_percent(found.separation)} of pairs; by chance 50 %",
            "measured on": f"{found.num_items} items, {found.num_classes} classes{together}",
        }
    )
    if found.known_rejected > 0.5:
        say(
            "Most known items would be called unknown too. Accept more strangers with --false-accept, or serve an "
            "encoder whose similarity tells them apart."
        )
    if found.num_groups == 0:
        say(
            "Items of one recording or one person are alike whatever they do, and say little about new ones. If the "
            "gallery knows recordings or persons, leave these out together: --leave-out recording, or an attribute "
            "such as subject."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
