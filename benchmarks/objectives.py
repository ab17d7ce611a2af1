"""Compare all objectives at equal clips seen and an equal encoder, on clips whose classes are known.

    python benchmarks/objectives.py prepare --data CLIPS --work WORK   make the store that is learned from
    python benchmarks/objectives.py run --data CLIPS --work WORK       train and measure; the same call goes on
    python benchmarks/objectives.py run ... --only usdrl               some rows, while other processes measure others
    python benchmarks/objectives.py longer --data CLIPS --work WORK    the best three again, with ten times the steps
    python benchmarks/objectives.py robustness --data CLIPS --work WORK   ask with all changes of the suite
    python benchmarks/objectives.py cost --work WORK                   memory and time of a step beside gfp
    python benchmarks/objectives.py table                              the report as Markdown

CLIPS is a folder with the clip files that `SETS` names. Each set is split as `gfp-evaluate suite` splits it: clips that
answer are learned from, without their labels, and clips that are asked never are; of Florence, whose people are all
asked, none is. Seeds are the outer loop, so that what is missing when time runs out is a whole seed.

What is measured: 1-NN by the vector that the encoder embeds, and by a grid of its tokens, whitened on the clips that
are learned from; both on queries as they are, on windows and with rest added; and a linear probe on the former.
`robustness` asks the runs of one seed with all changes of the suite. All rows have the same encoder, which embeds the
mean of its tokens; SLiM has one more on its own encoder. An objective of an installed package is a row by its name.

A run of 182 steps has another length than the published ones, which see up to ten thousand times as many clips. What
published values count in steps or clips is shortened (`_SHORTER` in comparing/rows.py), so that each objective does in
this run what it does in a long one.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.comparing.asked import Asked
from benchmarks.comparing.bench import CLEANING, Bench, read_report
from benchmarks.comparing.cost import beside, costs, step_memory
from benchmarks.comparing.rows import ROBUSTNESS, ROWS
from benchmarks.comparing.tables import draw, markdown
from gfp_serve.cli.options import Group
from gfp_serve.files import write_whole
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.reading import ReadConfig
from trainer.evaluate.suite.run import SuiteConfig, open_sets
from trainer.evaluate.suite.sets import find_sets

REPORT = Path("benchmarks/objectives.json")
PICTURE = Path("docs/images/objectives.png")
SETS = ("cad60", "florence3d", "kindergator_adults", "msrc12", "utdmhad")
# More than any set has: all clips that may be asked.
ALL_CLIPS = 1_000_000
STEPS, TIMES_LONGER, BEST = 182, 10, 3


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """Keep `table` apart from what takes hours."""


_data_option = click.option(
    "--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of sets."
)
_work_option = click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of store and runs.")
_out_option = click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
_threads_option = click.option("--threads", default=1, show_default=True)
_sets_option = click.option("--set", "sets", multiple=True, default=SETS, show_default=True, help="May be repeated.")
_seeds_option = click.option("--seeds", default=3, show_default=True)
_only_option = click.option(
    "--only", "names", multiple=True, type=click.Choice(list(ROWS)), default=tuple(ROWS), help="May be repeated."
)
_clips_option = click.option(
    "--clips", default=400, show_default=True, help="Clips of a set that answer, and that are asked, at most."
)


@main.command()
@_data_option
@_work_option
@_sets_option
def prepare(data: Path, work: Path, sets: tuple[str, ...]) -> None:
    """Import the clips that are never asked into the store of WORK."""
    work.mkdir(parents=True, exist_ok=True)
    config = SuiteConfig(gallery_clips=ALL_CLIPS, query_clips=ALL_CLIPS)
    found = find_sets(data, sets)
    asked = {
        given.clips.clips[int(query)].name
        for given in open_sets(found, config, click.echo, must_all=True)
        for fold in given.folds
        for query in fold.test
    }
    importing = ImportConfig(read=ReadConfig(cleaning=CLEANING), leave_out=frozenset(asked))
    files = [each.path for each in found]
    click.echo(f"{import_recordings(find_sources(files), work / 'store', importing, overwrite=True)}")


def _measures(part: str | None = None, **asked: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options of a command that trains and measures; it gets them as its bench, beside options of its own."""

    def with_bench(command: Callable[..., None]) -> Callable[..., None]:
        @_data_option
        @_work_option
        @_out_option
        @_threads_option
        @_sets_option
        @_clips_option
        @_only_option
        @wraps(command)
        def called(
            *, data: Path, work: Path, out: Path, threads: int, sets: tuple[str, ...], clips: int, **own: Any
        ) -> None:
            command(Bench(work, out, threads, Asked(data, sets, clips, **asked), part), **own)

        return called

    return with_bench


@main.command()
@_measures()
@_seeds_option
@click.option("--steps", default=STEPS, show_default=True, help="Steps of 32 clips, the same number for all.")
def run(bench: Bench, names: tuple[str, ...], seeds: int, steps: int) -> None:
    """Train and measure what the report lacks."""
    bench.measure_untrained(range(seeds))
    bench.measure(names, steps, range(seeds))


@main.command()
@_measures()
@_seeds_option
@click.option("--steps", default=STEPS, show_default=True, help="Steps of the runs to choose the best by.")
@click.option("--times", default=TIMES_LONGER, show_default=True, help="How many times as many steps.")
@click.option("--best", default=BEST, show_default=True, help="How many rows, by 1-NN with the mean of tokens.")
def longer(bench: Bench, names: tuple[str, ...], seeds: int, steps: int, times: int, best: int) -> None:
    """Train the best rows of `run` again, with many times the steps."""
    known = bench.rows_of(steps)
    whole = {name: rows for name, rows in known.items() if len(rows) >= seeds}
    if not whole:
        raise click.UsageError(
            f"{bench.work} has no row of {steps} steps with {seeds} seeds to choose from; call `run` first."
        )
    if others := sorted(known.keys() - whole.keys()):
        click.echo(f"Not chosen from, because they have fewer than {seeds} seeds: {', '.join(others)}.", err=True)
    ranked = sorted(whole, key=lambda name: -mean(row["plain"]["means"]["clean"] for row in whole[name].values()))
    click.echo(f"The best of {steps} steps: {', '.join(ranked[:best])}.", err=True)
    bench.measure(tuple(name for name in ranked[:best] if name in names), steps * times, range(seeds))


@main.command()
@_measures(ROBUSTNESS, changes=())
@click.option("--seed", default=0, show_default=True, help="Of the runs that are asked.")
@click.option("--steps", default=STEPS, show_default=True, help="Steps of the runs that are asked.")
def robustness(bench: Bench, names: tuple[str, ...], seed: int, steps: int) -> None:
    """Ask the runs of one seed with all changes of the evaluation suite. Runs that WORK lacks are trained."""
    bench.measure_untrained([seed])
    bench.measure(names, steps, [seed])


@main.command()
@_work_option
@_out_option
@_threads_option
@click.option("--rounds", default=9, show_default=True, help="Turns of each row.")
@_only_option
def cost(work: Path, out: Path, threads: int, rounds: int, names: tuple[str, ...]) -> None:
    """Measure time and memory of a step of each row beside gfp. Without a store in WORK, on made-up clips.

    With --only the other rows of the report stay, and seconds are given for a machine that takes as long for gfp.
    """
    torch.set_num_threads(threads)
    store = work / "store"
    step = [sys.executable, __file__, "step", "--threads", str(threads)]
    measured = costs(names, store if store.exists() else None, rounds=rounds, step_command=step)
    report = read_report(out) if out.exists() else {}
    known = {} if set(names) == set(ROWS) else report.get("cost", {})
    write_whole(out, json.dumps({**report, "cost": beside(known, measured)}, indent=1) + "\n")
    for name, facts in measured.items():
        click.echo(
            f"{name}: {facts['time_of_gfp']:.2f} times gfp, {facts['step_mb']:.0f} MB more than before its steps"
        )


@main.command(hidden=True)
@click.argument("name")
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@_threads_option
def step(name: str, store: Path, threads: int) -> None:
    """Take three steps and print the largest memory of this process, and by how much they raised it, in MB."""
    torch.set_num_threads(threads)
    click.echo(json.dumps(step_memory(name, store)))


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help=f"Also draw it, as in {PICTURE}.")
def table(out: Path, picture: Path | None) -> None:
    """Print the report as Markdown: the mean of the sets, mean ± standard deviation over seeds."""
    report = read_report(out)
    for line in markdown(report):
        click.echo(line)
    if picture is not None:
        draw(report, picture)


if __name__ == "__main__":
    main()
