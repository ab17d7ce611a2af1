"""What the gallery costs compared with plain FAISS and SQLite, at 40 091 and 1 000 000 items of 256 numbers.

    python benchmarks/gallery.py search --work W     searches, compared with the plain FAISS index of the same kind
    python benchmarks/gallery.py write --work W      acknowledged upserts, also over gRPC, compared with plain SQLite
    python benchmarks/gallery.py open --work W       opening a gallery, and its memory
    python benchmarks/gallery.py growth --work W     how costs grow with the number of items, also as a picture
    python benchmarks/gallery.py cores --work W      searches at the same time, with and without sharing the cores

W is a folder for vectors and galleries, which are kept between runs. Vectors are distributed like real embeddings (see
galleries/vectors.py), and queries are not among the items. The two sides of a comparison take turns within one run;
medians are over rounds.
"""

import json
import platform
import sys
from pathlib import Path
from statistics import median
from typing import Any

import click
import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.galleries.growing import draw_growth, measure_costs
from benchmarks.galleries.made import folder_of, gallery_of, vectors_of
from benchmarks.galleries.opening import measure_opening
from benchmarks.galleries.searching import compare_search, search_at_once
from benchmarks.galleries.writing import compare_writes

OUT = Path("benchmarks/gallery.json")

work_option = click.option(
    "--work", type=click.Path(path_type=Path), required=True, help="Folder for vectors and galleries."
)
out_option = click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
clips_option = click.option(
    "--clips",
    type=click.Path(path_type=Path),
    default=Path("examples/clips"),
    show_default=True,
    help="Recordings. The vectors are distributed like their embeddings.",
)
number_option = click.option("--number", "numbers", multiple=True, type=int, default=(40_091, 1_000_000))
rounds_option = click.option("--rounds", default=7, show_default=True)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@work_option
@out_option
@clips_option
@number_option
@rounds_option
@click.option("--kind", "kinds", multiple=True, default=("auto", "exact", "ivf_sq8"), show_default=True)
def search(work: Path, out: Path, clips: Path, numbers: tuple[int, ...], rounds: int, kinds: tuple[str, ...]) -> None:
    """Queries per second, single and in batches of 64, and the share of the true ten nearest that is found."""
    report: dict[str, Any] = {}
    for number in numbers:
        vectors, queries = vectors_of(work, clips, number)
        for kind in kinds:
            with gallery_of(work, vectors, kind) as gallery:
                facts = compare_search(gallery, vectors, queries, rounds)
            report[f"{kind}, {number} items"] = facts
            show(f"{kind} ({facts['serving_kind']}), {number} items", facts["sides"], ("queries_per_s", "of_plain"))
            click.echo(f"recall@10 {facts['recall_at_10']:.4f}, with half of the items {facts['recall_filtered']:.4f}")
            write(out, "search", report)


@main.command()
@work_option
@out_option
@clips_option
@click.option("--number", default=40_091, show_default=True)
@rounds_option
@click.option("--kind", "kinds", multiple=True, default=("auto", "exact"), show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Length of a turn.")
def cores(work: Path, out: Path, clips: Path, number: int, rounds: int, kinds: tuple[str, ...], seconds: float) -> None:
    """Queries per second of 1, 2 and 4 threads that search 32 at a time, and without sharing the cores."""
    report: dict[str, Any] = {}
    vectors, queries = vectors_of(work, clips, number)
    for kind in kinds:
        with gallery_of(work, vectors, kind) as gallery:
            rates: dict[str, list[float]] = {}
            for _ in range(rounds):
                for threads in (1, 2, 4):
                    for name, shared in (("shared", True), ("not shared", False)):
                        rate = search_at_once(gallery, queries, threads, seconds, shared=shared)
                        rates.setdefault(f"{threads} threads, {name}", []).append(rate)
        facts = {name: {"queries_per_s": median(each)} for name, each in rates.items()}
        report[kind] = facts
        show(f"{kind}, {number} items, searches at once", facts, ("queries_per_s",))
    write(out, "cores", report)


@main.command(name="write")
@work_option
@out_option
@rounds_option
@click.option("--seconds", default=3.0, show_default=True, help="Length of a turn.")
@click.option("--callers", default=16, show_default=True, help="Over gRPC.")
def write_command(work: Path, out: Path, rounds: int, seconds: float, callers: int) -> None:
    """Upserts per second. Each is durable and searchable when its call returns."""
    facts = compare_writes(work, rounds, seconds, callers)
    show("upserts", facts, ("items_per_s", "p50_ms"))
    write(out, "write", facts)


@main.command(name="open")
@work_option
@out_option
@clips_option
@number_option
@click.option("--rounds", default=3, show_default=True)
@click.option("--kind", "kinds", multiple=True, default=("auto", "ivf_sq8"), show_default=True)
def open_command(
    work: Path, out: Path, clips: Path, numbers: tuple[int, ...], rounds: int, kinds: tuple[str, ...]
) -> None:
    """Opening in a process of its own, compared with reading the same bytes; and memory after a thousand queries."""
    report: dict[str, Any] = {}
    for number in numbers:
        vectors, queries = vectors_of(work, clips, number)
        np.save(work / "queries.npy", queries)
        for kind in kinds:
            facts = measure_opening(work, vectors, work / "queries.npy", kind, rounds)
            report[f"{kind}, {number} items"] = facts
            click.echo(f"{kind}, {number} items: {json.dumps(facts, indent=2)}")
            write(out, "open", report)


@main.command()
@work_option
@out_option
@clips_option
@click.option("--number", "numbers", multiple=True, type=int, default=(10_000, 40_000, 160_000, 400_000, 1_000_000))
@click.option("--picture", type=click.Path(path_type=Path), default=Path("benchmarks/gallery.png"), show_default=True)
def growth(work: Path, out: Path, clips: Path, numbers: tuple[int, ...], picture: Path) -> None:
    """Query time, opening, building and memory, from ten thousand to a million items."""
    report: dict[str, Any] = {}
    for number in numbers:
        vectors, queries = vectors_of(work, clips, number)
        made = (folder_of(work, number, "auto") / "made.json").exists()
        report[str(number)] = facts = measure_costs(work, vectors, queries)
        click.echo(f"{number} ({'kept' if made else 'made'}): {facts}")
    write(out, "growth", report)
    draw_growth({int(number): facts for number, facts in report.items()}, picture)
    click.echo(picture)


def show(title: str, facts: dict[str, dict[str, Any]], columns: tuple[str, ...]) -> None:
    table = Table("", *columns, title=title)
    for name, fact in facts.items():
        table.add_row(name, *(f"{fact[column]:.4g}" if column in fact else "" for column in columns))
    Console(width=120).print(table)


def write(out: Path, section: str, report: dict[str, Any]) -> None:
    """Add the section's parts to the report."""
    known = json.loads(out.read_text()) if out.exists() else {}
    about = {"python": platform.python_version(), "machine": platform.machine(), "faiss": faiss.__version__}
    known[section] = known.get(section, {}) | about | report
    out.write_text(json.dumps(known, indent=2) + "\n")
    click.echo(out)


if __name__ == "__main__":
    main()
