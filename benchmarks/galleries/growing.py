"""How costs grow with the number of items, also as a picture."""

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.galleries.made import SIZE, TOP_K, exact_of, folder_of, gallery_of, recall
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort


def measure_costs(work: Path, vectors: np.ndarray, queries: np.ndarray) -> dict[str, Any]:
    """Query time, opening, building and memory of a gallery of these vectors."""
    folder = folder_of(work, len(vectors), "auto")
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
    return facts


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
