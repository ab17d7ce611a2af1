"""What the gallery costs compared with plain FAISS and SQLite, at 40 091 and 1 000 000 items of 256 numbers.

    python benchmarks/gallery.py search --work W     searches, compared with the plain FAISS index of the same kind
    python benchmarks/gallery.py write --work W      acknowledged upserts, also over gRPC, compared with plain SQLite
    python benchmarks/gallery.py open --work W       opening a gallery, and its memory
    python benchmarks/gallery.py growth --work W     how costs grow with the number of items, also as a picture
    python benchmarks/gallery.py cores --work W      searches at the same time, with and without sharing the cores

W is a folder for vectors and galleries, which are kept between runs. Vectors are distributed like real embeddings (see
gallery_vectors.py), and queries are not among the items. The two sides of a comparison take turns within one run;
medians are over rounds.
"""

import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import click
import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.gallery_vectors import Mixture, real_embeddings
from benchmarks.serving.bundles import SIZES, write_bundle
from benchmarks.serving.processes import gfp_serve, side
from gfp_serve.filters import Filter, Range
from gfp_serve.gallery.embedded.cores import CORES
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort, Item

OUT = Path("benchmarks/gallery.json")
SIZE = 256
NUM_QUERIES = 1000
TOP_K = 10
ITEMS_AT_ONCE = 256
# FAISS's own threshold, which the gallery lowers.
FAISS_THRESHOLD = 128_000
GALLERY_THRESHOLD = faiss.cvar.distance_compute_blas_threshold

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


def search_at_once(
    gallery: FaissGallery, queries: np.ndarray, num_threads: int, seconds: float, *, shared: bool
) -> float:
    """Queries per second of threads that search, 32 queries at a time."""
    end = time.perf_counter() + seconds

    def searching(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            start = 32 * (number + done) % (len(queries) - 32)
            gallery.search(queries[start : start + 32], top_k=TOP_K)
            done += 32
        return done

    usual = CORES.shared
    if not shared:
        CORES.shared = nullcontext  # type: ignore[assignment, method-assign]
    try:
        with ThreadPoolExecutor(num_threads) as threads:
            return sum(threads.map(searching, range(num_threads))) / seconds
    finally:
        CORES.shared = usual  # type: ignore[method-assign]


def compare_search(gallery: FaissGallery, vectors: np.ndarray, queries: np.ndarray, rounds: int) -> dict[str, Any]:
    index = gallery._settler.view.index  # the very index that the gallery uses, searched without the gallery
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(vectors)
    plain, parameters = plain_index(index, flat)
    ids = [f"i{row}" for row in range(len(vectors))]
    labels = [f"label-{row % 60}" for row in range(len(vectors))]

    def by_gallery(batch: int, **options: Any) -> Callable[[int], Any]:
        return lambda start: gallery.search(queries[start : start + batch], top_k=TOP_K, **options)

    def read(batch: int) -> Callable[[int], Any]:
        return lambda start: list(gallery.search(queries[start : start + batch], top_k=TOP_K))

    def by_faiss(batch: int, index: Any, parameters: Any = None) -> Callable[[int], Any]:
        return lambda start: index.search(queries[start : start + batch], TOP_K, params=parameters)

    def looked_up(batch: int) -> Callable[[int], Any]:
        def run(start: int) -> Any:
            similarities, rows = plain.search(queries[start : start + batch], TOP_K, params=parameters)
            return [
                [(ids[row], labels[row], similarity) for row, similarity in zip(*each, strict=True)]
                for each in zip(rows.tolist(), similarities.tolist(), strict=True)
            ]

        return run

    def as_it_comes(start: int) -> None:
        faiss.cvar.distance_compute_blas_threshold = FAISS_THRESHOLD
        flat.search(queries[start : start + 64], TOP_K)
        faiss.cvar.distance_compute_blas_threshold = GALLERY_THRESHOLD

    half = Filter(must=(Range("half", below=1),))
    sides = {
        "plain FAISS, 1": (1, by_faiss(1, plain, parameters)),
        "gallery, 1": (1, by_gallery(1)),
        "plain FAISS, 64": (64, by_faiss(64, plain, parameters)),
        "gallery, 64": (64, by_gallery(64)),
        "plain FAISS and lists of ids and labels, 1": (1, looked_up(1)),
        "gallery, neighbours read, 1": (1, read(1)),
        "plain FAISS and lists of ids and labels, 64": (64, looked_up(64)),
        "gallery, neighbours read, 64": (64, read(64)),
        "exact FAISS, 1": (1, by_faiss(1, flat)),
        "gallery, 1, half pass": (1, by_gallery(1, where=half)),
        "gallery, 64, half pass": (64, by_gallery(64, where=half)),
        "exact FAISS with its own settings, 64": (64, as_it_comes),
        "gallery, 64, exact": (64, by_gallery(64, effort=Effort(exact=True))),
    }
    seconds_of_turn = 0.5
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (batch, ask) in sides.items():
            done, started = 0, time.perf_counter()
            while (spent := time.perf_counter() - started) < seconds_of_turn:
                ask(done * batch % (NUM_QUERIES - batch))
                done += 1
            if turn:  # the first warms up
                rates[name].append(done * batch / spent)
    facts = {name: {"queries_per_s": median(each)} for name, each in rates.items()}
    for batch in (1, 64):
        ratios = np.array(rates[f"gallery, {batch}"]) / rates[f"plain FAISS, {batch}"]
        facts[f"gallery, {batch}"]["of_plain"] = float(np.median(ratios))
        ratios = np.array(rates[f"gallery, neighbours read, {batch}"])
        ratios /= rates[f"plain FAISS and lists of ids and labels, {batch}"]
        facts[f"gallery, neighbours read, {batch}"]["of_plain"] = float(np.median(ratios))
    ratios = np.array(rates["gallery, 64, exact"]) / rates["exact FAISS with its own settings, 64"]
    facts["gallery, 64, exact"]["of_faiss_settings"] = float(np.median(ratios))
    for name in ("gallery, 1", "gallery, neighbours read, 1"):
        facts[name]["of_exact_single"] = float(np.median(np.array(rates[name]) / rates["exact FAISS, 1"]))
    _, true = flat.search(queries, TOP_K)
    halves = np.arange(len(vectors)) % 2 == 0
    flat_half = faiss.IndexFlatIP(SIZE)
    flat_half.add(vectors[halves])
    _, true_half = flat_half.search(queries, TOP_K)
    return {
        "serving_kind": gallery.describe().serving_kind,
        "default_effort": None if index is None else index.default_effort,
        "recall_at_10": recall(gallery.search(queries, top_k=TOP_K), true),
        "recall_filtered": recall(gallery.search(queries, top_k=TOP_K, where=half), 2 * true_half),
        "sides": facts,
    }


def plain_index(index: Any, flat: Any) -> tuple[Any, Any]:
    """The FAISS index that the gallery searches, and the parameters with which FAISS alone finds the same.

    As in the gallery, what IVF's codes find is compared again with the vectors.
    """
    if index is None:
        return flat, None
    if index.kind == "hnsw":
        return index.faiss_index, faiss.SearchParametersHNSW(efSearch=index.default_effort)
    lists = faiss.SearchParametersIVF(nprobe=index.default_effort)
    refined = faiss.IndexRefine(index.faiss_index, flat)
    return refined, faiss.IndexRefineSearchParameters(k_factor=index.num_candidates(1), base_index_params=lists)


def recall(found: list[Any], true: np.ndarray) -> float:
    shares = [
        len({int(neighbour.id[1:]) for neighbour in ours} & set(theirs)) / TOP_K
        for ours, theirs in zip(found, true.tolist(), strict=True)
    ]
    return float(np.mean(shares))


@main.command(name="write")
@work_option
@out_option
@rounds_option
@click.option("--seconds", default=3.0, show_default=True, help="Length of a turn.")
@click.option("--callers", default=16, show_default=True, help="Over gRPC.")
def write_command(work: Path, out: Path, rounds: int, seconds: float, callers: int) -> None:
    """Upserts per second. Each is durable and searchable when its call returns."""
    draw = np.random.default_rng(0)
    batches = draw.standard_normal((64, ITEMS_AT_ONCE, SIZE)).astype(np.float32)
    rates: dict[str, list[float]] = {}
    latencies: list[float] = []
    with ExitStack() as stack:
        folder = work / "writes"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        gallery = stack.enter_context(
            FaissGallery.create(folder / "gallery", encoder_digest="5e" * 32, embedding_size=SIZE, index_kind="exact")
        )
        write_bundle(SIZES["small"], work / "small.zip")
        _, address = stack.enter_context(gfp_serve(work / "small.zip", "--gallery", folder / "served"))
        wire = stack.enter_context(side("upserts", address, embedding_size_of(work / "small.zip")))
        databases = {many: PlainSqlite(folder / f"plain-{many}.sqlite") for many in (ITEMS_AT_ONCE, 1)}

        def by_gallery(turn: int) -> float:
            def upsert(number: int) -> int:
                ids = f"{turn}-{number}-"
                gallery.upsert(
                    [
                        Item(f"{ids}{row}", vector, f"label-{row % 60}")
                        for row, vector in enumerate(batches[number % 64])
                    ]
                )
                return ITEMS_AT_ONCE

            return rate_of(upsert, seconds)

        def by_wire(_: int) -> float:
            done = wire.turn(seconds=seconds, callers=callers)
            latencies.extend(done["latencies_s"])
            return done["items_per_s"]

        sides: dict[str, Callable[[int], float]] = {
            f"gallery, {ITEMS_AT_ONCE} at once": by_gallery,
            f"plain SQLite, {ITEMS_AT_ONCE} at once": lambda turn: rate_of(
                lambda number: databases[ITEMS_AT_ONCE].insert(turn, number, batches[number % 64]), seconds
            ),
            f"gRPC, {callers} callers, one item each": by_wire,
            "plain SQLite, one at once": lambda turn: rate_of(
                lambda number: databases[1].insert(turn, number, batches[0, number % 256][None]), seconds
            ),
        }
        for turn in range(rounds + 1):
            for name, run in sides.items():
                rate = run(turn)
                if turn:
                    rates.setdefault(name, []).append(rate)
    facts = {name: {"items_per_s": median(each), "rounds": each} for name, each in rates.items()}
    facts[f"gRPC, {callers} callers, one item each"]["p50_ms"] = 1e3 * median(latencies)
    show("upserts", facts, ("items_per_s", "p50_ms"))
    write(out, "write", facts)


class PlainSqlite:
    """The least that stores vectors durably: a table, a write-ahead log, and a full sync for each commit."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE items (id TEXT PRIMARY KEY, label TEXT, vector BLOB)")

    def insert(self, turn: int, number: int, vectors: np.ndarray) -> int:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT OR REPLACE INTO items VALUES (?, ?, ?)",
            [(f"{turn}-{number}-{row}", f"label-{row % 60}", vector.tobytes()) for row, vector in enumerate(vectors)],
        )
        self._connection.execute("COMMIT")
        return len(vectors)


def rate_of(run: Callable[[int], int], seconds: float) -> float:
    done = number = 0
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        done += run(number)
        number += 1
    return done / spent


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
            with gallery_of(work, vectors, kind) as gallery:
                index = gallery._settler.view.index
                kind_bytes = (0 if index is None else index.num_bytes) + (
                    0 if gallery.describe().serving_kind.startswith("ivf") else vectors.nbytes
                )
            folder = folder_of(work, number, kind) / "gallery"
            opened: list[dict[str, float]] = []
            reads: list[float] = []
            for _ in range(rounds):
                started = time.perf_counter()
                num_bytes = sum(len(file.read_bytes()) for file in folder.glob("derived.*/*"))
                reads.append(time.perf_counter() - started)
                child = subprocess.run(
                    [sys.executable, "-c", _OPEN, str(folder), str(work / "queries.npy")],
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                    env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
                )
                opened.append(json.loads(child.stdout))
            facts = {name: median(each[name] for each in opened) for name in opened[0]}
            facts |= {"read_s": median(reads), "file_mb": num_bytes / 1e6, "index_kind_mb": kind_bytes / 1e6}
            facts["open_of_read"] = facts["open_s"] / facts["read_s"]
            facts["memory_of_index_kind"] = facts["resident_mb"] / facts["index_kind_mb"]
            facts["memory_of_index_kind_unshared"] = facts["anonymous_mb"] / facts["index_kind_mb"]
            report[f"{kind}, {number} items"] = facts
            click.echo(f"{kind}, {number} items: {json.dumps(facts, indent=2)}")
            write(out, "open", report)


_OPEN = """
import json, sys, time
from pathlib import Path
import numpy as np
from gfp_serve.gallery.embedded.gallery import FaissGallery

def memory():
    lines = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    return {words[0][:-1]: int(words[1]) / 1e3 for words in lines}

queries = np.load(sys.argv[2])
before = memory()
started = time.perf_counter()
gallery = FaissGallery.open(Path(sys.argv[1]))
opened = time.perf_counter() - started
for query in queries:
    gallery.search(query[None], top_k=10)
after = memory()
print(json.dumps({
    "open_s": opened,
    "resident_mb": after["Rss"] - before["Rss"],
    "anonymous_mb": after["Anonymous"] - before["Anonymous"],
}))
gallery.close()
"""


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
        folder = folder_of(work, number, "auto")
        made = (folder / "made.json").exists()
        with gallery_of(work, vectors, "auto") as gallery:
            description = gallery.describe()
            _, true = exact_of(vectors, queries)
            facts: dict[str, Any] = {
                "serving_kind": description.serving_kind,
                "recall_at_10": recall(gallery.search(queries, top_k=TOP_K), true),
                "memory_mb": description.num_bytes / 1e6,
            }
            for name, effort in (("query_ms", Effort()), ("exact_query_ms", Effort(exact=True))):
                spent = []
                for query in queries[:200]:
                    started = time.perf_counter()
                    gallery.search(query[None], top_k=TOP_K, effort=effort)
                    spent.append(time.perf_counter() - started)
                facts[name] = 1e3 * median(spent)
        started = time.perf_counter()
        FaissGallery.open(folder / "gallery").close()
        facts["open_s"] = time.perf_counter() - started
        facts |= json.loads((folder / "made.json").read_text())
        report[str(number)] = facts
        click.echo(f"{number} ({'kept' if made else 'made'}): {facts}")
    write(out, "growth", report)
    draw_growth({int(number): facts for number, facts in report.items()}, picture)


def draw_growth(report: dict[int, dict[str, Any]], picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    numbers = sorted(report)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    for name, label in (("query_ms", "as chosen by auto"), ("exact_query_ms", "comparing with every item")):
        axes[0].plot(numbers, [report[n][name] for n in numbers], marker="o", label=label)
    for number in numbers:
        kind = report[number]["serving_kind"]
        axes[0].annotate(
            kind,
            (number, report[number]["query_ms"]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes[0].set(title="one query", ylabel="milliseconds")
    axes[0].legend()
    for name, label in (("upsert_s", "upserting all"), ("index_s", "making the index"), ("open_s", "opening")):
        axes[1].plot(numbers, [max(report[n][name], 1e-3) for n in numbers], marker="o", label=label)
    axes[1].set(title="once", ylabel="seconds")
    axes[1].legend()
    axes[2].plot(numbers, [report[n]["memory_mb"] for n in numbers], marker="o", label="vectors and index")
    axes[2].plot(numbers, [n * SIZE * 4 / 1e6 for n in numbers], linestyle="--", label="vectors alone")
    axes[2].set(title="memory", ylabel="MB")
    axes[2].legend()
    for each in axes:
        each.set(xscale="log", yscale="log", xlabel="items of 256 numbers")
        each.grid(visible=True, which="both", alpha=0.2)
    figure.savefig(picture, dpi=120)
    click.echo(picture)


def exact_of(vectors: np.ndarray, queries: np.ndarray) -> Any:
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(vectors)
    return flat.search(queries, TOP_K)


def vectors_of(work: Path, clips: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """This many vectors, and queries that are not among them. They are made once."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"vectors-{number}.npy"
    if not file.exists():
        embeddings = work / "embeddings.npy"
        if not embeddings.exists():
            np.save(embeddings, real_embeddings(clips))
        np.save(file, Mixture(np.load(embeddings), SIZE).sample(number + NUM_QUERIES))
    vectors = np.load(file, mmap_mode="r")
    return np.ascontiguousarray(vectors[:number]), np.ascontiguousarray(vectors[number:])


def folder_of(work: Path, number: int, kind: str) -> Path:
    return work / f"gallery-{number}-{kind}"


def gallery_of(work: Path, vectors: np.ndarray, kind: str) -> FaissGallery:
    """A gallery of these vectors with its index. It is kept; made.json says how many seconds it took."""
    folder = folder_of(work, len(vectors), kind)
    if not (folder / "made.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        with FaissGallery.create(
            folder / "gallery",
            encoder_digest="5e" * 32,
            embedding_size=SIZE,
            index_kind=kind,  # type: ignore[arg-type]
        ) as gallery:
            for start in range(0, len(vectors), 4096):
                part = vectors[start : start + 4096]
                gallery.upsert(
                    [
                        Item(f"i{row}", vector, f"label-{row % 60}", {"half": float(row % 2)})
                        for row, vector in enumerate(part, start)
                    ]
                )
            upserted = time.perf_counter()
            gallery.settle()
            made = {"upsert_s": upserted - started, "index_s": time.perf_counter() - upserted}
        (folder / "made.json").write_text(json.dumps(made))
    return FaissGallery.open(folder / "gallery")


def embedding_size_of(bundle: Path) -> int:
    from gfp_serve.bundle import Bundle

    return Bundle.read(bundle).manifest.embedding_size


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
