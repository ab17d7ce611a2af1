"""Writers that are killed at any moment, and what the gallery must contain afterwards.

The process that writes reports every change through a pipe, before it makes it and when it is acknowledged. Another
process has the oracle. A change that was reported but not acknowledged may be missing or present, but not in part.
"""

import multiprocessing
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from gfp_serve.errors import ItemNotFoundError
from gfp_serve.filters import AnyOf, Filter
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort, Item
from tests.proving.changes import SIZE, Change, Oracle, draw_change, id_of

DIGEST = "5e" * 32
NUM_WRITERS = 4
MOST_MESSAGES = 1000  # before a kill: as many as two cores send in a second

# Index kinds and places per writer, which take turns: some galleries have derived files, others have none.
SHAPES = (("exact", 300), ("hnsw", 6000), ("exact", 5000), ("ivf_sq8", 5000), ("hnsw", 1500))

MUST_BE_NONE = (
    *("half", "ghosts", "lost", "generation went back", "wrong number of items"),
    *("not got by id", "wrong neighbours", "missing neighbours, exact"),
)


@dataclass
class Crashes:
    """A gallery, what it must contain, and what was counted."""

    folder: Path
    index_kind: str
    num_places: int
    draw: np.random.Generator
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.oracle = Oracle(NUM_WRITERS, self.num_places)
        self.generation = 0  # the highest that was reported
        self._next_number = 1
        self._opening_s = 0.2  # how long the gallery took to open and settle, the last time
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.proving.crash"])

    def round(self, messages: int) -> None:
        """Write, kill soon after this many messages, open again (sometimes killed during that too), and check.

        Each change sends two messages: when it begins, and when it was acknowledged.
        """
        pending = self._write_until_killed(messages)
        while self.draw.random() < 0.3:
            self._open_until_killed()
        self.check(pending)
        self.counts["rounds"] += 1

    def check(self, pending: list[Change]) -> None:
        """Open the gallery and compare it with the oracle, which learns which of the pending changes are there."""
        begin = time.monotonic()
        with FaissGallery.open(self.folder) as gallery:
            self._opening_s = time.monotonic() - begin
            items = {item.id: item for item in gallery.items()}
            for change in pending:
                self._settle_pending(change, items)
            self._check_items(items)
            self.counts["generation went back"] += gallery.generation < self.generation
            self.counts["wrong number of items"] += len(gallery) != len(self.oracle)
            self.generation = gallery.generation
            self.counts["most items"] = max(self.counts["most items"], len(gallery))
            if len(self.oracle):
                self._check_searches(gallery)
            self._check_get(gallery, items)
            if self.draw.random() < 0.2:
                gallery.settle()
                self.counts["checked again on a new index"] += 1
                if len(self.oracle):
                    self._check_searches(gallery)

    def _write_until_killed(self, messages: int) -> list[Change]:
        """Return the changes that were reported but not acknowledged. The oracle gets the acknowledged ones."""
        seed = int(self.draw.integers(2**31))
        told = self._run(write, (self.folder, self.index_kind, self.num_places, self._next_number, seed))
        begun: dict[int, Change] = {}
        heard, first, deadline, was_building = 0, 0.0, float("inf"), False
        for message, process in told:
            now = time.monotonic()
            if now >= deadline:
                process.kill()
            if message is None:
                continue
            heard += 1
            first = first or now
            if heard == messages:
                # Kill at any moment before the next message, which comes as fast as this machine sends them.
                deadline = now + self.draw.random() * (now - first) / heard
            is_done, generation, is_building, change = message[0], message[1], message[2], Change(*message[3:])
            if not is_done:
                begun[change.writer] = change
                self._next_number = max(self._next_number, change.number + 1)
                continue
            self.oracle.apply(begun.pop(change.writer))
            self.generation = max(self.generation, generation)
            self.counts["acknowledged changes"] += 1
            was_building = is_building
        self.counts["killed beside background work"] += was_building
        self.counts["killed while derived files were written"] += any(self.folder.glob("derived.new*"))
        return list(begun.values())

    def _open_until_killed(self) -> None:
        deadline = None
        for message, process in self._run(open_only, (self.folder,)):
            if message is not None:  # it is sent before the gallery is opened
                deadline = time.monotonic() + 2 * self._opening_s * self.draw.random() ** 2
            if deadline is None:
                continue
            if time.monotonic() >= deadline:
                process.kill()
        self.counts["killed while opening or settling"] += 1

    def _run(self, target: Callable[..., None], arguments: tuple[object, ...]):  # type: ignore[no-untyped-def]
        """Yield what the process sends, or None every millisecond, until it is killed; then the rest of the pipe."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=target, args=(sender, *arguments))
        process.start()
        sender.close()
        try:
            while True:
                try:
                    yield (receiver.recv() if receiver.poll(0.001) else None), process
                except (EOFError, OSError):  # OSError: cut off in the middle of a message
                    break
        finally:
            process.kill()
            process.join()
            if process.exitcode != -9:
                raise RuntimeError(f"the process ended with {process.exitcode} before it was killed")

    def _settle_pending(self, change: Change, items: dict[str, Item]) -> None:
        ids = [id_of(change.writer, place) for place in change.places]
        if change.is_upsert:
            there = [id in items and items[id].label == str(change.number) for id in ids]
        else:
            before = self.oracle.numbers[change.writer, change.start : change.start + change.count] > 0
            there = [id not in items for id, was in zip(ids, before, strict=True) if was]
        self.counts["pending changes"] += 1
        self.counts["pending changes that were there"] += all(there)
        self.counts["half"] += any(there) and not all(there)
        if any(there):
            self.oracle.apply(change)

    def _check_items(self, items: dict[str, Item]) -> None:
        expected = self.oracle.ids()
        self.counts["items checked"] += len(expected)
        self.counts["ghosts"] += len(items.keys() - expected)
        self.counts["lost"] += sum(id not in items or not self.oracle.is_right(items[id]) for id in expected)

    def _check_searches(self, gallery: FaissGallery) -> None:
        drawn = self.draw.standard_normal((8, SIZE)).astype(np.float32)
        there = np.argwhere(self.oracle.numbers > 0)
        chosen = there[self.draw.integers(0, len(there), 24)]
        queries = np.concatenate([drawn, self.oracle.vectors[chosen[:, 0], chosen[:, 1]]])
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        writer = int(self.draw.integers(NUM_WRITERS))
        passing = np.zeros(self.oracle.numbers.shape, dtype=bool)
        passing[writer] = True
        where = Filter(must=(AnyOf("writer", (f"writer-{writer}",)),))
        for where_, mask in ((None, None), (where, passing)):
            for effort in (Effort(exact=True), Effort()):
                for query, found in zip(
                    queries, gallery.search(queries, top_k=10, where=where_, effort=effort), strict=True
                ):
                    wrong, missing = self.oracle.compare(query, found, 10, mask)
                    self.counts["searches"] += 1
                    self.counts["wrong neighbours"] += wrong
                    self.counts["missing neighbours, exact" if effort.exact else "missing neighbours, index"] += missing
                    self.counts["neighbours, exact" if effort.exact else "neighbours, index"] += len(found)

    def _check_get(self, gallery: FaissGallery, items: dict[str, Item]) -> None:
        for writer, place in np.argwhere(self.oracle.numbers == 0)[:: self.oracle.numbers.size // 50 + 1].tolist():
            try:
                gallery.get([id_of(writer, place)])
                self.counts["ghosts"] += 1
            except ItemNotFoundError:
                self.counts["absent ids asked for"] += 1
        ids = sorted(self.oracle.ids() & items.keys())[:: 1 + len(self.oracle) // 500]
        self.counts["not got by id"] += sum(not self.oracle.is_right(item) for item in gallery.get(ids))


def write(sender: Connection, folder: Path, index_kind: str, num_places: int, first_number: int, seed: int) -> None:
    """Open the gallery and change it in several threads until the process is killed."""
    if folder.exists() and any(folder.iterdir()):
        gallery = FaissGallery.open(folder)
    else:
        gallery = FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE, index_kind=index_kind)  # type: ignore[arg-type]
    telling = threading.Lock()

    def tell(is_done: bool, generation: int, change: Change) -> None:
        with telling:
            sender.send((is_done, generation, gallery.describe().is_building, *astuple(change)))

    def change_on(writer: int) -> None:
        draw = np.random.default_rng((seed, writer))
        number = first_number
        while True:
            change = draw_change(draw, writer, number, num_places)
            tell(False, 0, change)
            generation = change.make(gallery)
            tell(True, generation, change)
            number += 1

    threads = [threading.Thread(target=change_on, args=(writer,)) for writer in range(NUM_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def open_only(sender: Connection, folder: Path) -> None:
    """Open the gallery and let it work in the background until the process is killed."""
    sender.send("opening")
    gallery = FaissGallery.open(folder)
    gallery.settle()
    threading.Event().wait()


def run(folder: Path, rounds: int, *, seed: int = 0, rounds_of_a_gallery: int = 20) -> dict[str, int]:
    """Run this many rounds in galleries of all shapes; return what was counted."""
    counts: Counter[str] = Counter()
    draw = np.random.default_rng(seed)
    for first in range(0, rounds, rounds_of_a_gallery):
        kind, num_places = SHAPES[first // rounds_of_a_gallery % len(SHAPES)]
        crashes = Crashes(folder, kind, num_places, draw, counts)
        for _ in range(min(rounds_of_a_gallery, rounds - first)):
            crashes.round(int(draw.integers(1, MOST_MESSAGES)))
    return dict.fromkeys(MUST_BE_NONE, 0) | dict(sorted(counts.items()))
