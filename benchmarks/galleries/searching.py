"""Searches, compared with plain FAISS and with each other at the same time."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from statistics import median
from typing import Any

import faiss
import numpy as np

from benchmarks.galleries.made import NUM_QUERIES, SIZE, TOP_K, recall
from gfp_serve.filters import Filter, Range
from gfp_serve.gallery.embedded.cores import CORES
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort

# FAISS's own threshold, which the gallery lowers.
FAISS_THRESHOLD = 128_000
GALLERY_THRESHOLD = faiss.cvar.distance_compute_blas_threshold


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
