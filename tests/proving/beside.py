"""Searches during writes, verified after the run: each answer must be the exact one at some possible moment.

A moment is possible if it contains all changes that were acknowledged before the search began, and no change that began
after the search ended. All queries of one search must be answered at the same moment.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice, product
from typing import Protocol

import faiss
import numpy as np

from gfp_serve.filters import AnyOf, Filter, Range
from gfp_serve.items import Effort, Item, Neighbour
from tests.proving.changes import COPIED, SIZE, Change, Oracle, draw_change

TOP_K = 10
QUERIES_OF_A_SEARCH = 2
NUM_WRITERS, NUM_SEARCHERS = 2, 4
# A search with more possible moments than this is skipped and counted.
_MOST_MOMENTS = 64

# The longest pause between two searches of a thread. Without pauses, four searchers leave writers little of the GIL.
_LONGEST_PAUSE_S = 0.01

EXACT, BY_INDEX = Effort(exact=True), Effort()
# These counts must be 0. An index may miss neighbours, so that is not among them.
ERRORS = ("wrong neighbours, exact", "missing neighbours, exact", "wrong neighbours, index")


class Searched(Protocol):
    """The part of a gallery that is tested. The canary has only this."""

    def upsert(self, items: list[Item]) -> int: ...
    def delete(self, ids: list[str]) -> int: ...
    def search(self, queries: np.ndarray, *, top_k: int, where: Filter | None, effort: Effort) -> list[list[Neighbour]]:
        """See `Gallery.search`."""


@dataclass(slots=True)
class Made:
    """A change, with the times when it began and ended."""

    change: Change
    begin: float
    end: float = float("inf")


@dataclass(frozen=True, slots=True)
class Search:
    begin: float
    end: float
    queries: np.ndarray
    where: Filter | None
    effort: Effort
    answers: list[list[Neighbour]]


def run(
    gallery: Searched,
    *,
    num_places: int,
    enough: Callable[[int, int], bool],
    most: int = sys.maxsize,
    efforts: tuple[Effort, ...],
    seed: int = 0,
) -> dict[str, int]:
    """Fill the empty gallery, let threads search and write, and count missing and wrong neighbours in the answers.

    The threads continue until `enough` says so. It is called with the number of changes, and with the number of
    searches of the rarest effort. Writers and searchers stop at `most` changes or searches, so that the faster side
    does not do much more than the other.
    """
    made: list[list[Made]] = [[] for _ in range(NUM_WRITERS)]
    for writer in range(NUM_WRITERS):
        for start in range(0, num_places, 250):
            _make(
                gallery, made[writer], Change(writer, len(made[writer]) + 1, True, start, min(250, num_places - start))
            )
    searches: list[list[Search]] = [[] for _ in range(NUM_SEARCHERS)]
    failures: list[BaseException] = []
    stop, writers_ended = threading.Event(), threading.Event()
    counted: Counter[Effort | None] = Counter()  # searches by their effort; None: changes
    counting = threading.Lock()

    def guarded(work: Callable[[int, np.random.Generator], Effort | None], number: int, ends: threading.Event) -> None:
        draw = np.random.default_rng((seed, number))
        try:
            while not ends.is_set():
                done = work(number, draw)
                with counting:
                    counted[done] += 1
                    if enough(counted[None], min(counted[effort] for effort in efforts)):
                        stop.set()
                    if counted[done] >= most:
                        return
        except BaseException as error:
            failures.append(error)
            stop.set()
            writers_ended.set()

    def write(writer: int, draw: np.random.Generator) -> None:
        _make(gallery, made[writer], draw_change(draw, writer, len(made[writer]) + 1, num_places))

    def search(searcher: int, draw: np.random.Generator) -> Effort:
        queries = draw.standard_normal((QUERIES_OF_A_SEARCH, SIZE)).astype(np.float32)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        if draw.random() < 0.5:
            queries[0] = COPIED[draw.integers(len(COPIED))]
        where, effort = _draw_filter(draw, num_places), efforts[int(draw.integers(len(efforts)))]
        begin = time.perf_counter()
        answers = gallery.search(queries, top_k=TOP_K, where=where, effort=effort)
        searches[searcher - NUM_WRITERS].append(Search(begin, time.perf_counter(), queries, where, effort, answers))
        time.sleep(_LONGEST_PAUSE_S * draw.random())
        return effort

    writers = [threading.Thread(target=guarded, args=(write, n, stop)) for n in range(NUM_WRITERS)]
    searchers = [
        threading.Thread(target=guarded, args=(search, NUM_WRITERS + n, writers_ended)) for n in range(NUM_SEARCHERS)
    ]
    for thread in (*writers, *searchers):
        thread.start()
    stop.wait()
    for thread in writers:
        thread.join()
    writers_ended.set()
    for thread in searchers:
        thread.join()
    counts = Counter({"changes": sum(map(len, made)), "failures": len(failures)})
    if failures:
        print(f"first failure: {failures[0]!r}")
    verify(made, sorted((each for ours in searches for each in ours), key=lambda each: each.begin), num_places, counts)
    return dict(counts)


def verify(made: list[list[Made]], searches: list[Search], num_places: int, counts: Counter[str]) -> None:
    """Verify searches, in the order in which they began."""
    oracle = Oracle(NUM_WRITERS, num_places)
    done = [0] * NUM_WRITERS  # changes of each writer that are in the oracle
    for search in searches:
        begun = list(done)
        for writer, ours in enumerate(made):
            while done[writer] < len(ours) and ours[done[writer]].end <= search.begin:
                oracle.apply(ours[done[writer]].change)
                done[writer] += 1
            begun[writer] = max(begun[writer], done[writer])
            while begun[writer] < len(ours) and ours[begun[writer]].begin <= search.end:
                begun[writer] += 1
        beside = [[each.change for each in ours[low:high]] for ours, low, high in zip(made, done, begun, strict=True)]
        if np.prod([len(changes) + 1 for changes in beside]) > _MOST_MOMENTS:
            counts["searches passed over"] += 1
            continue
        kind = "exact" if search.effort.exact else "index"
        wrong, missing = min(_compared(search, moment) for moment in _moments(oracle, beside))
        counts[f"searches, {kind}"] += 1
        counts[f"searches beside a change, {kind}"] += any(beside)
        counts[f"searches with a filter, {kind}"] += search.where is not None
        counts[f"neighbours, {kind}"] += sum(map(len, search.answers))
        counts[f"wrong neighbours, {kind}"] += wrong
        counts[f"missing neighbours, {kind}"] += missing


def _moments(oracle: Oracle, beside: list[list[Change]]) -> Iterator[Oracle]:
    for numbers in product(*(range(len(changes) + 1) for changes in beside)):
        if not any(numbers):
            yield oracle
            continue
        moment = Oracle(0, 0)
        moment.numbers, moment.vectors = oracle.numbers.copy(), oracle.vectors.copy()
        for changes, number in zip(beside, numbers, strict=True):
            for change in changes[:number]:
                moment.apply(change)
        yield moment


def _compared(search: Search, moment: Oracle) -> tuple[int, int]:
    passing = _passing(search.where, moment)
    each = [
        moment.compare(query, found, TOP_K, passing)
        for query, found in zip(search.queries, search.answers, strict=True)
    ]
    return sum(wrong for wrong, _ in each), sum(missing for _, missing in each)


def _draw_filter(draw: np.random.Generator, num_places: int) -> Filter | None:
    match int(draw.integers(4)):
        case 0:
            return Filter(must=(AnyOf("writer", (f"writer-{draw.integers(NUM_WRITERS)}",)),))
        case 1:  # few items or many
            start = float(draw.integers(num_places))
            return Filter(must=(Range("place", at_least=start, below=start + int(num_places ** draw.random())),))
        case 2:
            return Filter(must_not=(AnyOf("even", (True,)),))
        case _:
            return None


def _passing(where: Filter | None, moment: Oracle) -> np.ndarray | None:
    """The items that a filter of `_draw_filter` lets pass, computed independently of the gallery."""
    if where is None:
        return None
    if where.must_not:
        return moment.numbers % 2 == 1
    (condition,) = where.must
    writers, places = np.indices(moment.numbers.shape)
    if isinstance(condition, Range):
        return (places >= (condition.at_least or 0)) & (places < (condition.below or 0))
    return writers == int(str(condition.values[0]).removeprefix("writer-"))


def _make(gallery: Searched, made: list[Made], change: Change) -> None:
    made.append(Made(change, time.perf_counter()))
    change.make(gallery)  # type: ignore[arg-type]
    made[-1].end = time.perf_counter()


class Unguarded:
    """A canary: a FAISS index that is written during searches, which FAISS's documentation forbids."""

    def __init__(self) -> None:
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(SIZE))
        self._items: dict[int, Item] = {}
        self._numbers: dict[str, int] = {}
        self._naming = threading.Lock()
        self._guard: AbstractContextManager[object] = nullcontext()

    def upsert(self, items: list[Item]) -> int:
        with self._naming:
            numbers = np.array([self._numbers.setdefault(item.id, len(self._numbers)) for item in items])
        with self._guard:
            self._index.remove_ids(numbers)
        self._items.update(zip(numbers.tolist(), items, strict=True))
        self._pause()
        with self._guard:
            self._index.add_with_ids(np.stack([item.vector for item in items]), numbers)
        return 0

    def delete(self, ids: list[str]) -> int:
        with self._guard:
            return int(self._index.remove_ids(np.array([self._numbers[id] for id in ids if id in self._numbers])))

    def search(self, queries: np.ndarray, *, top_k: int, where: Filter | None, effort: Effort) -> list[list[Neighbour]]:
        del effort
        with self._guard:
            similarities, numbers = self._index.search(queries, top_k if where is None else len(self._numbers))
        return [
            list(islice(self._passing(*each, where), top_k))
            for each in zip(similarities.tolist(), numbers.tolist(), strict=True)
        ]

    def _pause(self) -> None:
        time.sleep(0)

    def _passing(self, similarities: list[float], numbers: list[int], where: Filter | None) -> Iterator[Neighbour]:
        for similarity, number in zip(similarities, numbers, strict=True):
            item = self._items.get(number)
            if item is not None and (where is None or where.passes(item.label, item.attributes)):
                yield Neighbour(item.id, item.label, similarity, item.attributes, item.source)


class NotInOnePiece(Unguarded):
    """Another canary: a lock protects FAISS, but a search between two of its calls sees half of an upsert.

    After the first search, every upsert waits for a search in the middle.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._searched = threading.Condition()
        self._num_searches = 0

    def search(self, queries: np.ndarray, *, top_k: int, where: Filter | None, effort: Effort) -> list[list[Neighbour]]:
        found = super().search(queries, top_k=top_k, where=where, effort=effort)
        with self._searched:
            self._num_searches += 1
            self._searched.notify_all()
        return found

    def _pause(self) -> None:
        with self._searched:
            before = self._num_searches
            if before:
                # One more than the searchers, because each may have begun a search before.
                self._searched.wait_for(lambda: self._num_searches > before + NUM_SEARCHERS, timeout=60)
