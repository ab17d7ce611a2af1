"""Would another engine serve the gallery better? SQLite and FAISS's HNSW are compared with alternatives.

    python benchmarks/gallery_peers.py engines --work W     SQLite, LMDB, DuckDB and LanceDB with the same work
    python benchmarks/gallery_peers.py hnsw --work W        FAISS, hnswlib and usearch with the same vectors and queries

The alternatives need an environment of their own:

    python -m venv V && V/bin/pip install -c constraints.txt -e '.[cpu,train]' lmdb duckdb lancedb hnswlib usearch

hnswlib comes as source and needs a C++ compiler. If `strace` is installed, it counts the system calls of a commit. W is
a folder for data, on the disk that is to be measured; indexes are kept there between runs. The sides take turns within
one run. Figures are medians over rounds, and ratios are medians of each round's ratio.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.galleries.made import NUM_QUERIES, TOP_K, exact_of, vectors_of
from benchmarks.galleries.writing import ITEMS_AT_ONCE, rate_of
from benchmarks.gallery import clips_option, rounds_option, work_option, write
from benchmarks.peers.engines import ENGINE_NOTES, ENGINES, PACKAGES, Batch, Engine, Items, batch_of, id_of
from benchmarks.peers.libraries import CONSTRUCTION, EFFORTS, GOAL, LIBRARIES, LIBRARY_NOTES, LINKS, Library

OUT = Path("benchmarks/gallery_peers.json")

out_option = click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)


@click.group(help=__doc__)
def main() -> None:
    pass


def seconds_of(do: Callable[[], Any]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def legible(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.4g}"


@dataclass(frozen=True)
class Workload:
    """What every engine does in a round. It is the same for all of them."""

    filling: Batch
    batches: list[Batch]  # half of the items replace others, half are new; `singles` alternate
    singles: list[Batch]
    wanted: list[str]
    removals: list[list[str]]

    @property
    def num_upserted(self) -> int:
        return sum(len(batch.ids) for batch in self.batches)

    @property
    def num_items(self) -> int:
        """Number of items after all upserts."""
        return len(self.filling.ids) + self.num_upserted // 2 + (len(self.singles) + 1) // 2

    @property
    def num_removed(self) -> int:
        return sum(map(len, self.removals))


# The time of a single scan depends on whether its memory was allocated already.
SCANS = 5


def workload_of(number: int, num_batches: int, num_singles: int, num_gets: int) -> Workload:
    draw = np.random.default_rng(number)
    old = draw.permutation(number).tolist()
    new = seq = number

    def upserts(how_often: int, at_once: int) -> list[Batch]:
        nonlocal new, seq
        made = []
        for turn in range(how_often):
            replaced = at_once // 2 if at_once > 1 else turn % 2
            numbers = [old.pop() for _ in range(replaced)] + list(range(new, new + at_once - replaced))
            made.append(batch_of(draw.permutation(numbers).tolist(), seq))
            new += at_once - replaced
            seq += at_once
        return made

    return Workload(
        filling=batch_of(range(number), 0),
        batches=upserts(num_batches, ITEMS_AT_ONCE),
        singles=upserts(num_singles, 1),
        wanted=[id_of(each) for each in draw.choice(number, num_gets, replace=False).tolist()],
        removals=[[id_of(old.pop()) for _ in range(ITEMS_AT_ONCE)] for _ in range(num_batches)],
    )


@main.command()
@work_option
@out_option
@rounds_option
@click.option("--number", default=40_091, show_default=True, help="Items at the beginning.")
@click.option("--batches", default=16, show_default=True, help="Number of upserts of 256 items, and of deletions.")
@click.option("--singles", default=64, show_default=True, help="Upserts of one item.")
@click.option("--gets", default=500, show_default=True, help="Items that are read by id.")
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(ENGINES)[1:]), default=tuple(ENGINES)[1:])
def engines(
    work: Path, out: Path, rounds: int, number: int, batches: int, singles: int, gets: int, peers: tuple[str, ...]
) -> None:
    """Acknowledged upserts and deletions, reads, opening, and bytes on disk, for engines with the same items."""
    if number < max(2 * batches * ITEMS_AT_ONCE + singles, gets):
        raise click.UsageError("--number is too low for these --batches, --singles and --gets; raise it")
    names = ("SQLite", *peers)
    workload = workload_of(number, batches, singles, gets)
    figures: list[dict[str, dict[str, float]]] = []
    for turn in range(rounds):
        order = np.random.default_rng(turn).permutation(names).tolist()  # no engine always follows the same one
        figures.append(round_of(work / "engines", order, workload))
        click.echo(f"round {turn + 1} of {rounds} done")
    facts: dict[str, dict[str, Any]] = {}
    for name in names:
        kinds = figures[0][name]
        facts[name] = {kind: median(each[name][kind] for each in figures) for kind in kinds}
        # Higher rates are better; fewer milliseconds and megabytes are better.
        facts[name]["of_sqlite"] = {
            kind: median(each[name][kind] / each["SQLite"][kind] for each in figures) for kind in kinds
        }
        facts[name]["rounds"] = {kind: [each[name][kind] for each in figures] for kind in kinds}
        facts[name]["a_commit_asks_the_disk"] = commits_of(work / "commits", name)
        facts[name]["notes"] = ENGINE_NOTES[name]
    show_engines(number, facts)
    versions = {"SQLite": sqlite3.sqlite_version} | {name: version(package) for name, package in PACKAGES.items()}
    counts = {"rounds": rounds, "batches_of_256": batches, "singles": singles, "gets": gets}
    write(out, "engines", {"versions": versions, f"{number} items": {**counts, "sides": facts}})


def round_of(folder: Path, names: list[str], workload: Workload) -> dict[str, dict[str, float]]:
    """Figures of each engine. All engines do one part of the work before any does the next."""
    shutil.rmtree(folder, ignore_errors=True)
    figures: dict[str, dict[str, float]] = {name: {} for name in names}
    opened: dict[str, Engine] = {}

    def open_one(name: str) -> None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        opened[name] = ENGINES[name](folder / name)

    def open_and_get(name: str) -> None:
        open_one(name)
        opened[name].get(workload.singles[0].ids[0])

    def rates(part: str, count: int, do: Callable[[Engine], Any]) -> None:
        for name in names:
            figures[name][f"{part}_items_per_s"] = count / seconds_of(partial(do, opened[name]))

    def upsert_all(batches: list[Batch], engine: Engine) -> None:
        for batch in batches:
            engine.upsert(batch)

    def scan_often(engine: Engine) -> None:
        for _ in range(SCANS):
            engine.scan()

    def get_all(engine: Engine) -> None:
        for id in workload.wanted:
            engine.get(id)

    def delete_all(engine: Engine) -> None:
        for ids in workload.removals:
            engine.delete(ids)

    for name in names:
        open_one(name)
    rates("fill", len(workload.filling.ids), partial(upsert_all, [workload.filling]))
    for name in names:  # as after a restart
        opened[name].compact()
        opened[name].close()
        open_one(name)
    rates("upsert_256", workload.num_upserted, partial(upsert_all, workload.batches))
    rates("upsert_1", len(workload.singles), partial(upsert_all, workload.singles))
    rates("scan", SCANS * workload.num_items, scan_often)
    rates("get", len(workload.wanted), get_all)
    rates("delete_256", workload.num_removed, delete_all)
    must_agree({name: engine.scan() for name, engine in opened.items()}, workload.num_items - workload.num_removed)
    for name in names:
        opened[name].close()
        figures[name]["disk_mb"] = megabytes_of(folder / name)
    for name in names:
        figures[name]["open_ms"] = 1e3 * seconds_of(partial(open_and_get, name))
    for name in names:
        started = time.perf_counter()
        compacted = opened[name].compact()
        spent = time.perf_counter() - started
        opened[name].close()
        if compacted:
            figures[name] |= {"compact_ms": 1e3 * spent, "compacted_mb": megabytes_of(folder / name)}
    return figures


def megabytes_of(folder: Path) -> float:
    """Megabytes that the folder's files take on the disk."""
    return sum(512 * file.stat().st_blocks for file in folder.rglob("*") if file.is_file()) / 1e6


def must_agree(scans: dict[str, Items], num_items: int) -> None:
    """Stop unless all engines have the same items in the same order."""
    first = next(iter(scans.values()))
    for name, items in scans.items():
        same = items[:3] == first[:3] and np.array_equal(items.vectors, first.vectors)
        if not same or len(items.ids) != num_items:
            raise click.ClickException(f"{name} does not have the items that it should have")


# System calls that make writes durable. For io_uring, a trace shows the calls but not what they do.
SYNCS = ("fsync", "fdatasync", "msync", "sync_file_range", "syncfs", "sync", "io_uring_enter")
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
COMMITS = 20
# A file that does not exist. Opening it marks the first and the last commit in a trace.
MARK = "commits-begin-or-end"


def commits_of(folder: Path, name: str) -> dict[str, Any] | str:
    """Calls per commit that make it durable, for 256 items and for one. Writes to files opened with O_DSYNC count."""
    if not shutil.which("strace"):
        return "not measured: no strace"
    counts: dict[str, Any] = {}
    for at_once in (ITEMS_AT_ONCE, 1):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "items").mkdir(parents=True)
        trace, traced = folder / "trace", ",".join((*SYNCS, *WRITES, "openat"))
        command = [sys.executable, __file__, "commits", name, str(folder / "items"), str(at_once)]
        subprocess.run(
            ["strace", "--follow-forks", "--seccomp-bpf", f"--trace={traced}", f"--output={trace}", *command],
            check=True,
        )
        counts[f"upsert_{at_once}"] = count_calls(trace.read_text())
    return counts


def count_calls(trace: str) -> dict[str, float]:
    counting = False
    syncing: set[str] = set()
    counted: Counter[str] = Counter()
    for line in trace.splitlines():
        if f'"{MARK}"' in line:
            counting = not counting
        elif opened := re.search(r"openat\(.*O_D?SYNC.* = (\d+)$", line):
            syncing.add(opened[1])
        elif counting and (called := re.match(r"\d+ +(\w+)\((\d*)", line)):
            if called[1] in SYNCS:
                counted[called[1]] += 1
            elif called[1] in WRITES and called[2] in syncing:
                counted["write to a file opened with O_DSYNC"] += 1
    return {call: number / COMMITS for call, number in sorted(counted.items())}


@main.command(hidden=True)
@click.argument("name", type=click.Choice(list(ENGINES)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("at_once", type=int)
def commits(name: str, folder: Path, at_once: int) -> None:
    """Make one upsert that is not counted, then others between two marks."""
    workload = workload_of(10_000, COMMITS + 1 if at_once > 1 else 0, COMMITS + 1, 0)
    batches = workload.batches or workload.singles
    engine = ENGINES[name](folder)
    engine.upsert(workload.filling)
    for at, batch in enumerate(batches):
        if at == 1:
            mark()
        engine.upsert(batch)
    mark()
    engine.close()


def mark() -> None:
    with suppress(FileNotFoundError):
        os.open(MARK, os.O_RDONLY)


def show_engines(number: int, facts: dict[str, dict[str, Any]]) -> None:
    columns = [name for name, figure in facts["SQLite"].items() if isinstance(figure, float)]
    ratios = {name: fact["of_sqlite"] for name, fact in facts.items()}
    for title, rows in ((f"engines, {number} items", facts), ("the same, relative to SQLite", ratios)):
        table = Table("", *(column.replace("_items_per_s", " /s").replace("_", " ") for column in columns), title=title)
        for name, figures in rows.items():
            table.add_row(name, *(legible(figures[column]) if column in figures else "" for column in columns))
        Console(width=140).print(table)
    for name, fact in facts.items():
        click.echo(f"{name}: a commit asks the disk {json.dumps(fact['a_commit_asks_the_disk'])}")


@main.command()
@work_option
@out_option
@clips_option
@rounds_option
@click.option("--number", "numbers", multiple=True, type=int, default=(40_091,), show_default=True)
@click.option(
    "--threads", default=2, show_default=True, help="Threads for building and for batches; single queries use one."
)
@click.option("--seconds", default=0.08, show_default=True, help="Length of a turn.")
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(LIBRARIES)[1:]), default=tuple(LIBRARIES)[1:])
def hnsw(
    work: Path,
    out: Path,
    clips: Path,
    rounds: int,
    numbers: tuple[int, ...],
    threads: int,
    seconds: float,
    peers: tuple[str, ...],
) -> None:
    """Build time, bytes, recall and rates of HNSW indexes with the same settings, and the rates at a recall of 0.99."""
    for number in numbers:
        vectors, queries = vectors_of(work, clips, number)
        comparison = Comparison(vectors, queries, threads=threads, rounds=rounds, seconds=seconds)
        for name in ("FAISS", *peers):
            comparison.add(name, work)
        comparison.rates()
        comparison.filters()
        show_libraries(number, comparison.facts)
        packages = {library.package for library in comparison.libraries.values()}
        versions = {package: version(package) for package in sorted(packages)}
        about = {"threads": threads, "rounds": rounds, "links": LINKS, "construction": CONSTRUCTION}
        write(out, "hnsw", {"versions": versions, f"{number} items": {**about, "sides": comparison.facts}})


class Comparison:
    """Libraries with the same vectors, and the figures of each."""

    def __init__(self, vectors: np.ndarray, queries: np.ndarray, *, threads: int, rounds: int, seconds: float) -> None:
        self.libraries: dict[str, Library] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self._vectors, self._queries = vectors, queries
        self._threads, self._rounds, self._seconds = threads, rounds, seconds
        _, self._true = exact_of(vectors, queries)

    def add(self, name: str, work: Path) -> None:
        """Add a library and measure building, opening and recall. Its index is built once and then read from a file."""
        library = LIBRARIES[name](self._vectors)
        file = work / f"hnsw-{len(self._vectors)}-{self._threads}-{library.file_name}"
        made = file.with_name(f"{file.name}.json")
        if not made.exists():
            build_s = seconds_of(lambda: library.build(self._vectors, self._threads))
            library.save(file)
            made.write_text(json.dumps({"build_s": build_s}))
            library = LIBRARIES[name](self._vectors)
        facts = json.loads(made.read_text()) | {"file_mb": file.stat().st_size / 1e6}
        facts["load_ms"] = 1e3 * seconds_of(lambda: library.load(file))
        with suppress(NotImplementedError):
            facts["map_ms"] = 1e3 * seconds_of(lambda: library.map(file))
        found = {effort: library.search(self._queries, effort, self._threads) for effort in EFFORTS}
        facts["recall_at_10"] = {effort: recall_of(each, self._true) for effort, each in found.items()}
        self.libraries[name] = library
        self.facts[name] = {"notes": LIBRARY_NOTES[name]} | facts
        click.echo(f"{name} is made")

    def rates(self) -> None:
        """Measure queries per second at each effort, and at the fastest that reaches the goal, relative to FAISS."""
        rates: dict[tuple[str, int, int], list[float]] = {}
        for turn in range(self._rounds + 1):
            for effort in EFFORTS:
                for batch in (1, 64):
                    for name, library in self.libraries.items():
                        rate = rate_of(partial(self._ask, library, effort, batch), self._seconds)
                        if turn:  # the first warms up
                            rates.setdefault((name, effort, batch), []).append(rate)
        for name, facts in self.facts.items():
            facts["single_per_s"] = {effort: median(rates[name, effort, 1]) for effort in EFFORTS}
            facts["batch_of_64_per_s"] = {effort: median(rates[name, effort, 64]) for effort in EFFORTS}
            enough = [effort for effort in EFFORTS if facts["recall_at_10"][effort] >= GOAL]
            if enough:
                best = max(enough, key=lambda effort: facts["single_per_s"][effort])
                kinds = ("recall_at_10", "single_per_s", "batch_of_64_per_s")
                facts["at_goal"] = {"effort": best} | {kind: facts[kind][best] for kind in kinds}
                facts["at_goal"] |= self._of_faiss(name, rates)

    def _of_faiss(self, name: str, rates: dict[tuple[str, int, int], list[float]]) -> dict[str, float]:
        """Rates at the goal, relative to FAISS in the same round: at the best effort, and interpolated to the goal."""
        faiss_goal = self.facts["FAISS"].get("at_goal")
        if faiss_goal is None:
            return {}
        ratios: dict[str, list[float]] = {}
        efforts = {name: self.facts[name]["at_goal"]["effort"], "FAISS": faiss_goal["effort"]}
        for turn in range(self._rounds):
            for kind, batch in (("single_of_faiss", 1), ("batch_of_faiss", 64)):
                ours, theirs = (rates[each, efforts[each], batch][turn] for each in (name, "FAISS"))
                ratios.setdefault(kind, []).append(ours / theirs)
                ours, theirs = (self._between(each, rates, batch, turn) for each in (name, "FAISS"))
                ratios.setdefault(f"{kind}_between", []).append(ours / theirs)
        return {kind: median(each) for kind, each in ratios.items()}

    def _between(self, name: str, rates: dict[tuple[str, int, int], list[float]], batch: int, turn: int) -> float:
        """The rate at exactly the goal, interpolated between the efforts just below and just above it."""
        recalls = np.maximum.accumulate(list(self.facts[name]["recall_at_10"].values()))
        return float(np.interp(GOAL, recalls, [rates[name, effort, batch][turn] for effort in EFFORTS]))

    def _ask(self, library: Library, effort: int, batch: int, number: int) -> int:
        start = number * batch % (NUM_QUERIES - batch)
        library.search(self._queries[start : start + batch], effort, self._threads if batch > 1 else 1)
        return batch

    def filters(self) -> None:
        """Measure single queries that half of the items pass, at the effort that reaches the goal without a filter."""
        true = 2 * exact_of(np.ascontiguousarray(self._vectors[::2]), self._queries)[1]
        rates: dict[str, list[float]] = {}
        for name, library in self.libraries.items():
            if type(library).search_half is Library.search_half:
                self.facts[name]["half_pass"] = "no filter in Python"
            elif "at_goal" in self.facts[name]:
                effort = self.facts[name]["at_goal"]["effort"]
                found = np.concatenate([library.search_half(query[None], effort) for query in self._queries])
                self.facts[name]["half_pass"] = {"recall_at_10": recall_of(found, true)}
                rates[name] = []
        for _ in range(self._rounds):
            for name, each in rates.items():
                effort = self.facts[name]["at_goal"]["effort"]
                each.append(rate_of(partial(self._ask_half, self.libraries[name], effort), self._seconds))
        for name, each in rates.items():
            unfiltered = self.facts[name]["at_goal"]["single_per_s"]
            self.facts[name]["half_pass"] |= {"single_per_s": median(each), "of_unfiltered": median(each) / unfiltered}

    def _ask_half(self, library: Library, effort: int, number: int) -> int:
        library.search_half(self._queries[number % NUM_QUERIES][None], effort)
        return 1


def recall_of(found: np.ndarray, true: np.ndarray) -> float:
    shares = [len(set(ours) & set(theirs)) / TOP_K for ours, theirs in zip(found.tolist(), true.tolist(), strict=True)]
    return float(np.mean(shares))


def show_libraries(number: int, facts: dict[str, dict[str, Any]]) -> None:
    costs = ("build_s", "file_mb", "load_ms", "map_ms")
    at_goal = ("effort", "recall_at_10", "single_per_s", "batch_of_64_per_s")
    ratios = ("single_of_faiss", "single_of_faiss_between", "batch_of_faiss", "batch_of_faiss_between")
    kinds = (*costs, *at_goal, *ratios)
    table = Table("", *(kind.replace("_", " ") for kind in kinds), title=f"{number} items, at a recall of {GOAL}")
    for name, fact in facts.items():
        shown = {kind: fact[kind] for kind in costs if kind in fact} | fact.get("at_goal", {})
        table.add_row(name, *(legible(shown[kind]) if kind in shown else "" for kind in kinds))
    Console(width=140).print(table)
    table = Table("effort", *facts, title="recall@10, single queries per second, queries per second in batches of 64")
    for effort in EFFORTS:
        rows = [
            [fact[kind][effort] for kind in ("recall_at_10", "single_per_s", "batch_of_64_per_s")]
            for fact in facts.values()
        ]
        table.add_row(str(effort), *(f"{found:.4f} {single:6.0f} {batch:6.0f}" for found, single, batch in rows))
    Console(width=180).print(table)
    for name, fact in facts.items():
        click.echo(f"{name}, half of the items pass: {json.dumps(fact.get('half_pass', 'not measured'))}")


if __name__ == "__main__":
    main()
