"""Honest callers in a process of their own: what they ask for, how long it took, and whether the answer was right.

They use the clients of this project, as users do. What they write goes into a ledger when the server acknowledges it,
and every answer is compared with brute force over that ledger.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.attacks.scene import BUNDLES
from gfp_serve.bundle import CANONICAL_TOLERANCE, Bundle, CanonicalClip
from gfp_serve.client import AsyncClient
from gfp_serve.errors import EncoderMismatchError, GalleryExistsError, GfpError, ItemNotFoundError
from gfp_serve.items import Item, Neighbour

GALLERY = "honest"
NUM_WRITERS, PLACES_OF_WRITER, BATCH = 2, 400, 4
TOP_K = 10
TIMEOUT_S = 30.0
LATE_S = TIMEOUT_S + 10  # after this time no server does a change that it did not acknowledge
TOLERANCE = 1e-4  # of a cosine: queries and items are float32, and the server may add in another order
PAUSES_S = {"health": 0.02, "embed": 0.05, "search": 0.03, "upsert": 0.03, "new connection": 0.25}
AGAIN_S = 0.25  # before a caller tries again what failed
MOST_NOTES = 10

# What is known of one call: when it ended (monotonic seconds), which it was, how many seconds it took, and the result:
# "OK", or the name of the error.
Record = tuple[float, str, float, str]


def id_of(place: int) -> str:
    return f"place {place}"


@dataclass
class Ledger:
    """What the gallery of one encoder must hold, by place. A place has one item, which is replaced now and then."""

    size: int
    vectors: np.ndarray = field(init=False)  # [places, size], unit vectors
    is_there: np.ndarray = field(init=False)
    in_doubt: np.ndarray = field(init=False)  # a change was sent and not acknowledged
    versions: np.ndarray = field(init=False)  # grows when a change is sent, and when it is acknowledged
    sent: np.ndarray = field(init=False)  # when the newest change was sent, monotonic seconds

    def __post_init__(self) -> None:
        places = NUM_WRITERS * PLACES_OF_WRITER
        self.vectors = np.zeros((places, self.size), np.float32)
        self.is_there, self.in_doubt = np.zeros(places, bool), np.zeros(places, bool)
        self.versions, self.sent = np.zeros(places, int), np.zeros(places)
        # For each place in doubt: all vectors that it may have, None for nothing.
        self._possible: dict[int, list[np.ndarray | None]] = {}

    def begin(self, places: np.ndarray, vectors: np.ndarray) -> None:
        """Say that these vectors are about to be sent."""
        for place, vector in zip(places.tolist(), vectors, strict=True):
            known = self.vectors[place].copy() if self.is_there[place] else None
            self._possible.setdefault(place, [known]).append(vector)
        self.versions[places] += 1
        self.sent[places] = time.monotonic()
        self.in_doubt[places] = True

    def acknowledged(self, places: np.ndarray, vectors: np.ndarray) -> None:
        self.vectors[places] = vectors
        self.is_there[places] = True
        self.in_doubt[places] = False
        self.versions[places] += 1
        for place in places.tolist():
            self._possible.pop(place, None)

    def refused(self, places: np.ndarray) -> None:
        """Say that the newest change was refused for certain, so that nothing of it can be there."""
        for place in places.tolist():
            possible = self._possible[place]
            possible.pop()
            if len(possible) == 1:
                del self._possible[place]
                self.in_doubt[place] = False

    def is_possible(self, place: int, vector: np.ndarray | None) -> bool:
        """Whether this may be what the gallery holds at the place, None for nothing."""
        known = self._possible.get(place, [self.vectors[place] if self.is_there[place] else None])
        return any(
            (vector is None and each is None)
            or (vector is not None and each is not None and bool(np.abs(vector - each).max() < TOLERANCE))
            for each in known
        )

    def may_be_changed(self) -> np.ndarray:
        """The places to which no earlier change can come late any more."""
        changed: np.ndarray = ~self.in_doubt | (time.monotonic() - self.sent > LATE_S)
        return changed


@dataclass
class Answers:
    """Counts what was verified, and keeps a few notes of what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def wrong(self, what: str, note: str) -> None:
        self.counts[f"wrong: {what}"] += 1
        if len(self.notes) < MOST_NOTES:
            self.notes.append(note)


class Honest:
    """All honest callers. `run` works until the other end of the pipe says "stop"."""

    def __init__(self, address: str, token: str, work: Path, pipe: Connection, seed: int) -> None:
        self._address, self._token, self._pipe = address, token, pipe
        bundles = [Bundle.read(work / name) for name in BUNDLES]
        self._clips: dict[str, CanonicalClip] = {each.manifest.encoder_digest: each.canonical[0] for each in bundles}
        self._ledgers = {each.manifest.encoder_digest: Ledger(each.manifest.embedding_size) for each in bundles}
        self._draw = np.random.default_rng(seed)
        self._records: list[Record] = []
        self._answers = Answers()
        self._go_on = asyncio.Event()
        self._num_busy, self._quiet = 0, asyncio.Condition()

    async def run(self) -> None:
        deeds: dict[str, Callable[[_Session], Awaitable[None]]] = {
            "embed": self._embed,
            "search": self._search,
            **{f"upsert {writer}": self._writer(writer) for writer in range(NUM_WRITERS)},
        }
        tasks = [asyncio.create_task(self._work(name, deed)) for name, deed in deeds.items()]
        tasks += [asyncio.create_task(self._watch_health()), asyncio.create_task(self._connect_anew())]
        self._go_on.set()
        try:
            while (word := await self._next_word(tasks)) != "stop":
                if word == "check":
                    self._pipe.send(("checked", await self._check()))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._report()
        self._pipe.send(("answers", (dict(self._answers.counts), self._answers.notes)))

    async def _next_word(self, tasks: list[asyncio.Task[None]]) -> str:
        while not self._pipe.poll():
            for task in tasks:
                if task.done():
                    task.result()  # raises what ended it: a mistake of this program
            self._report()
            await asyncio.sleep(0.1)
        return str(self._pipe.recv())

    def _report(self) -> None:
        records, self._records = self._records, []
        self._pipe.send(("calls", records))

    async def _work(self, name: str, deed: Callable[["_Session"], Awaitable[None]]) -> None:
        """Do it again and again, with a client that is made anew when the server has another encoder."""
        what = name.split(" ")[0]
        session: _Session | None = None
        while True:
            await self._go_on.wait()
            self._num_busy += 1
            begin = time.monotonic()
            try:
                session = session or await self._session()
                await deed(session)
                result = "OK"
            except GfpError as error:
                result = type(error).__name__
                if isinstance(error, EncoderMismatchError) and session is not None:
                    await session.client.close()
                    session = None
            finally:
                self._num_busy -= 1
                async with self._quiet:
                    self._quiet.notify_all()
            self._record(what, begin, result)
            await asyncio.sleep(PAUSES_S[what] if result == "OK" else AGAIN_S)

    async def _session(self) -> "_Session":
        client = AsyncClient(self._address, TIMEOUT_S, token=self._token)
        try:
            info = await client.info()
            if all(each.name != GALLERY for each in await client.list_galleries()):
                with suppress(GalleryExistsError):  # another session made it meanwhile
                    await client.create_gallery(GALLERY)
            return _Session(client, self._ledgers[info.encoder_digest], self._clips[info.encoder_digest])
        except BaseException:
            await client.close()
            raise

    async def _embed(self, session: "_Session") -> None:
        vector = await session.client.embed(session.clip.sequence, session.clip.layout)
        self._answers.counts["embeddings verified"] += 1
        difference = float(np.abs(vector - session.clip.embedding).max())
        if not difference <= CANONICAL_TOLERANCE:
            self._answers.wrong("embedding", f"an embedding is {difference:.2g} from the right one")

    async def _search(self, session: "_Session") -> None:
        ledger = session.ledger
        there = np.flatnonzero(ledger.is_there)
        if not len(there):
            return
        query = ledger.vectors[self._draw.choice(there)] + 0.02 * self._draw.standard_normal(ledger.size)
        query = (query / np.linalg.norm(query)).astype(np.float32)
        versions, known = ledger.versions.copy(), ~ledger.in_doubt
        found = await session.client.search(query, TOP_K, gallery=GALLERY)
        # Where nothing was changed meanwhile, it is certain what the answer must say.
        self._compare(ledger, query, found, known & (versions == ledger.versions))

    def _compare(self, ledger: Ledger, query: np.ndarray, found: list[Neighbour], certain: np.ndarray) -> None:
        self._answers.counts["searches verified"] += 1
        cosines = np.where(ledger.is_there, ledger.vectors @ query, -2.0)
        places = {int(each.id.split(" ")[1]): each.similarity for each in found}
        for place, similarity in places.items():
            if certain[place] and not abs(cosines[place] - similarity) < TOLERANCE:
                self._answers.wrong("neighbour", f"{id_of(place)} has cosine {similarity}, not {cosines[place]:.6f}")
        least = min(places.values(), default=-1.0) if len(places) >= TOP_K else -1.0
        missing = set(np.flatnonzero(certain & (cosines > least + TOLERANCE)).tolist()) - places.keys()
        if missing:
            self._answers.wrong("neighbours missing", f"a search did not find {sorted(map(id_of, missing))[:3]}")

    def _writer(self, writer: int) -> Callable[["_Session"], Awaitable[None]]:
        async def upsert(session: "_Session") -> None:
            ledger = session.ledger
            first = writer * PLACES_OF_WRITER
            free = first + np.flatnonzero(ledger.may_be_changed()[first : first + PLACES_OF_WRITER])
            if len(free) < BATCH:  # because the server has refused this many
                return
            places = self._draw.choice(free, BATCH, replace=False)
            vectors = self._draw.standard_normal((BATCH, ledger.size)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            items = [Item(id_of(place), vector) for place, vector in zip(places.tolist(), vectors, strict=True)]
            ledger.begin(places, vectors)
            try:
                await session.client.upsert(items, gallery=GALLERY)
            except EncoderMismatchError:
                ledger.refused(places)
                raise
            ledger.acknowledged(places, vectors)
            self._answers.counts["items acknowledged"] += len(items)

        return upsert

    async def _watch_health(self) -> None:
        """Ask as a load balancer does, over one connection and without trying again."""
        async with grpc.aio.insecure_channel(self._address, [("grpc.max_reconnect_backoff_ms", 500)]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                await self._go_on.wait()
                begin = time.monotonic()
                try:
                    await stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
                    result = "OK"
                except grpc.aio.AioRpcError as error:
                    result = error.code().name
                self._record("health", begin, result)
                await asyncio.sleep(PAUSES_S["health"] if result == "OK" else AGAIN_S)

    async def _connect_anew(self) -> None:
        """Make one call over a fresh connection each time, as a command does."""
        while True:
            await self._go_on.wait()
            begin = time.monotonic()
            try:
                async with AsyncClient(self._address, TIMEOUT_S, token=self._token) as client:
                    await client.info()
                result = "OK"
            except GfpError as error:
                result = type(error).__name__
            self._record("new connection", begin, result)
            await asyncio.sleep(PAUSES_S["new connection"])

    def _record(self, what: str, begin: float, result: str) -> None:
        now = time.monotonic()
        self._records.append((now, what, now - begin, result))

    async def _check(self) -> dict[str, int]:
        """Compare every place of the encoder that is served with the ledger, while no honest caller works."""
        with self._pause():
            async with self._quiet:
                await self._quiet.wait_for(lambda: self._num_busy == 0)
            session = await self._session()
            ledger = session.ledger
            counts = Counter[str]()
            for place in np.flatnonzero(ledger.is_there | ledger.in_doubt).tolist():
                vector: np.ndarray | None = None
                try:
                    (item,) = await session.client.get([id_of(place)], gallery=GALLERY)
                    vector = item.vector
                except ItemNotFoundError:
                    pass
                in_doubt = bool(ledger.in_doubt[place])
                counts["not acknowledged and verified" if in_doubt else "acknowledged and verified"] += 1
                if not ledger.is_possible(place, vector):
                    counts["lost"] += 1
                    self._answers.wrong("write lost", f"{id_of(place)} does not have what was acknowledged")
            await session.client.close()
            return dict(counts)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        self._go_on.clear()
        try:
            yield
        finally:
            self._go_on.set()


@dataclass(frozen=True)
class _Session:
    """A client, and what is known about the encoder that it stays with."""

    client: AsyncClient
    ledger: Ledger
    clip: CanonicalClip


def call_honestly(address: str, token: str, work: Path, pipe: Connection, seed: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    asyncio.run(Honest(address, token, work, pipe, seed).run())


def result_counts(records: list[Record]) -> dict[str, Any]:
    """For each call: how many there were, p50 and p99 in ms of those that were answered, and the other results."""
    facts: dict[str, Any] = {}
    for what in PAUSES_S:
        mine = [record for record in records if record[1] == what]
        seconds = [record[2] for record in mine if record[3] == "OK"]
        others = Counter(record[3] for record in mine if record[3] != "OK")
        facts[what] = {
            "answered": len(seconds),
            "p50_ms": round(1e3 * float(np.quantile(seconds, 0.5)), 1) if seconds else None,
            "p99_ms": round(1e3 * float(np.quantile(seconds, 0.99)), 1) if seconds else None,
            "worst_ms": round(1e3 * max(seconds), 1) if seconds else None,
            "failed": dict(others),
        }
    return facts
