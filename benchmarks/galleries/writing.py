"""Acknowledged upserts, also over gRPC, compared with plain SQLite."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.galleries.made import SIZE
from benchmarks.serving.bundles import SIZES, write_bundle
from benchmarks.serving.processes import gfp_serve, side
from gfp_serve.bundle import Bundle
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item

ITEMS_AT_ONCE = 256


def compare_writes(work: Path, rounds: int, seconds: float, callers: int) -> dict[str, Any]:
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
        wire = stack.enter_context(side("upserts", address, Bundle.read(work / "small.zip").manifest.embedding_size))
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
    return facts


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
