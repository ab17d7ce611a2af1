"""Attacks on galleries by those who may write: copies, drops while an index is made, and as many as there may be."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import grpc
import numpy as np

from benchmarks.attacks.callers import drawn, filled
from benchmarks.attacks.http2 import ELSEWHERE, HERE
from benchmarks.attacks.kinds import OWN_CONNECTION, Attack, Bounds, Stop, Tally, code_of
from benchmarks.attacks.scene import Scene, Target
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.arrays import write_embedding

COPIED, QUERIES, CLASSES = 4000, 128, 7
COPIED_KINDS = {"hnsw": gallery_pb2.INDEX_KIND_HNSW, "ivf_sq8": gallery_pb2.INDEX_KIND_IVF_SQ8}
SAME = 0.9999  # the least cosine of a vector with itself
DROPPED = 1536  # items: enough for ivf_pq to be trained
PATIENCE_S = 20.0  # nothing may wait for an index for this long
FILES = 1024  # the usual soft limit, as the hard one
MOST_CREATED = 400
IDLE = 200  # connections beside many galleries


def copied_vectors() -> np.ndarray:
    """Vectors in clusters, of which every second one is a copy of one."""
    draw = np.random.default_rng(2)
    centres = drawn(200)
    vectors = centres[draw.integers(len(centres), size=COPIED)] + 0.03 * draw.standard_normal((COPIED, 1))
    vectors = vectors + 0.03 * draw.standard_normal(vectors.shape)
    copies = draw.permutation(COPIED)[: COPIED // 2]
    vectors[copies] = vectors[copies[0]]
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def galleries_of_copies(target: Target) -> np.ndarray:
    vectors = copied_vectors()
    for name, kind in COPIED_KINDS.items():
        filled(target, f"copies-{name}", vectors, kind, CLASSES)
    return vectors


def copies(target: Target, vectors: np.ndarray, stop: Stop, tally: Tally) -> None:
    """Search for stored items by their own vectors; compare what indexes find with exact search."""
    draw = np.random.default_rng(3)
    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        while not stop.is_set():
            for name in COPIED_KINDS:
                rows = draw.choice(COPIED, QUERIES, replace=False)
                queries = [gallery_pb2.Query(embedding=write_embedding(vectors[row])) for row in rows.tolist()]
                try:
                    _compare(stub, target, f"copies-{name}", vectors, rows, queries, tally)
                except grpc.RpcError as error:
                    tally.count(str(error.code().name))
                    stop.wait(0.2)


def _compare(
    stub: Any,
    target: Target,
    gallery: str,
    vectors: np.ndarray,
    rows: np.ndarray,
    queries: list[gallery_pb2.Query],
    tally: Tally,
) -> None:
    given = {"metadata": target.as_reader(), "timeout": 60}
    described = stub.DescribeGallery(gallery_pb2.DescribeGalleryRequest(gallery=gallery), **given).description
    state = "while its index is made" if described.is_building else f"kind {described.serving_kind}"
    found = stub.Search(gallery_pb2.SearchRequest(gallery=gallery, queries=queries, top_k=5), **given)
    voted = stub.Classify(gallery_pb2.ClassifyRequest(gallery=gallery, queries=queries, num_neighbours=1), **given)
    for row, result, vote in zip(rows.tolist(), found.results, voted.results, strict=True):
        tally.count(f"{gallery}: searched for, {state}")
        if not result.neighbours or result.neighbours[0].similarity < SAME:
            tally.count(f"{gallery}: not found")
            tally.fault(f"{gallery}: item i{row} is not found by its own vector, {state}")
        same = np.flatnonzero((vectors == vectors[row]).all(axis=1)).tolist()
        labels = {f"class {each % CLASSES}" for each in same}
        if vote.label not in labels:
            tally.fault(f"{gallery}: the nearest item of i{row} has another class, {state}")


def drops_during_builds(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Let ivf_pq be trained and drop the gallery meanwhile; see who waits."""
    vectors = drawn(DROPPED, seed=1)
    waits: dict[str, float] = {}

    def timed(what: str, call: Callable[[], object]) -> None:
        begin = time.monotonic()
        code = code_of(call)
        waits[what] = max(waits.get(what, 0.0), time.monotonic() - begin)
        tally.count(f"{what}: {code}")
        if code == "DEADLINE_EXCEEDED":
            tally.fault(f"{what} had no answer within {PATIENCE_S:g} s while an index was made")

    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        given = {"metadata": target.as_writer(), "timeout": PATIENCE_S}
        for number in range(10_000):
            if stop.is_set():
                break
            name, other = f"dropped-{number}", f"other-{number}"
            if code_of(lambda: filled(target, name, vectors, gallery_pb2.INDEX_KIND_IVF_PQ)) != "OK":  # noqa: B023
                stop.wait(0.2)
                continue
            stop.wait(0.5)
            for what, call in (
                ("drop", lambda: stub.DropGallery(gallery_pb2.DropGalleryRequest(gallery=name), **given)),  # noqa: B023
                ("list", lambda: stub.ListGalleries(gallery_pb2.ListGalleriesRequest(), **given)),
                ("create", lambda: stub.CreateGallery(gallery_pb2.CreateGalleryRequest(gallery=other), **given)),  # noqa: B023
                ("drop", lambda: stub.DropGallery(gallery_pb2.DropGalleryRequest(gallery=other), **given)),  # noqa: B023
            ):
                timed(what, call)
    tally.facts["slowest, s"] = {what: round(seconds, 2) for what, seconds in waits.items()}


def many_galleries(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Make galleries until the server refuses, beside idle connections."""
    vectors = drawn(1)
    with ExitStack() as opened, grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        for _connection in range(IDLE):
            with suppress(OSError):
                opened.enter_context(
                    socket.create_connection((HERE, target.port), timeout=5, source_address=(ELSEWHERE, 0))
                )
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        for number in range(MOST_CREATED):
            if stop.is_set():
                break
            request = gallery_pb2.CreateGalleryRequest(gallery=f"many-{number}")
            code = code_of(lambda: stub.CreateGallery(request, metadata=target.as_writer(), timeout=60))  # noqa: B023
            tally.count(f"create: {code}")
            if code in ("INTERNAL", "UNKNOWN"):
                tally.fault(f"gallery {number} was refused with {code}")
            if code != "OK":
                break
            item = gallery_pb2.Item(id="a", embedding=write_embedding(vectors[0]))
            upsert = gallery_pb2.UpsertRequest(gallery=request.gallery, items=[item])
            tally.count(f"upsert: {code_of(lambda: stub.Upsert(upsert, metadata=target.as_writer(), timeout=60))}")  # noqa: B023
        stop.wait()


def opens_again(scene: Scene, tally: Tally) -> None:
    """Start the server on the folder that it has made, with the same limit of files."""
    try:
        tally.facts["start with all galleries, s"] = round(scene.start(), 1)
    except RuntimeError as error:
        tally.fault(f"the server cannot open again what it has made: {error}")
    else:
        scene.stop()


GALLERIES = {
    "copies": Attack(
        does=f"searches in galleries of {COPIED} items of which half are copies",
        prepare=galleries_of_copies,
        run=copies,
        bounds=Bounds(health_p99_ms=500),
    ),
    "drops-during-builds": Attack(
        does="galleries of kind ivf_pq that are dropped while they are trained",
        run=drops_during_builds,
        bounds=Bounds(health_p99_ms=500),
    ),
    "many-galleries": Attack(
        does=f"as many galleries as the server makes with {FILES} open files",
        run=many_galleries,
        afterwards=opens_again,
        files=FILES,
        seconds=30,
        beside_others=False,
    ),
}
