"""Reports as tables on a terminal."""

from typing import Any

from rich.table import Table

from gfp_serve.cli.printing import cell, output
from gfp_serve.printable import printable


def print_rows(report: dict[str, Any], *, caption: str) -> None:
    """Print a line for chance and for each embedding, and below them the accuracies of the best epochs."""
    plain, other = report["top1_percent"], report["top1_percent_readout"]
    table = Table("embedding", *(("plain", "with read-out") if other else ("right in %",)))
    table.add_row("chance", f"{report['chance_percent']:.1f}")
    for name in dict.fromkeys([*plain, *other]):
        shown = (plain, other) if other else (plain,)
        table.add_row(cell(name), *(f"{column[name]:.1f}" if name in column else "" for column in shown))
    _print(table, report, caption)
    if best := dict(report.get("best_epoch_on_test_percent", {})):
        warning = best.pop("warning")
        figures = "; ".join(f"{name} {percent:.1f}" for name, percent in best.items())
        output().print(f"Best epoch, {warning}: {figures}.", style="dim", highlight=False)


def print_semi_supervised(report: dict[str, Any]) -> None:
    """Print a line for chance and for each embedding, with a column for each ratio."""
    ratios = report["ratios"].values()
    table = Table("embedding")
    for ratio, found in report["ratios"].items():
        classes = sorted({draw["num_classes"] for draw in found["draws"]})
        span = f"{classes[0]}" if len(classes) == 1 else f"{classes[0]}-{classes[-1]}"
        table.add_column(f"{100 * float(ratio):g} %: {found['draws'][0]['num_clips']} clips, {span} classes")
    table.add_row("chance", *[f"{report['chance_percent']:.1f}"] * len(ratios))
    for name in next(iter(ratios))["top1_percent"]:
        figures = [found["top1_percent"][name] for found in ratios]
        table.add_row(cell(name), *(f"{figure['mean']:.1f} ± {figure['deviation']:.1f}" for figure in figures))
    _print(table, report, f"mean ± deviation of {report['config']['num_seeds']} seeds, after the last epoch")


def _print(table: Table, report: dict[str, Any], caption: str) -> None:
    console = output()
    # Not as the table's own title, which would be broken into lines as narrow as the table.
    console.print(
        f"{report['protocol']}: right in % of {report['num_test_clips']} test clips ({report['folds']})",
        style="bold",
        highlight=False,
    )
    console.print(table)
    # A caption may have names of recordings in it, and these may have brackets.
    console.print(printable(f"{caption[0].upper()}{caption[1:]}."), style="dim", markup=False, highlight=False)
