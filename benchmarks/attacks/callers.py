"""Attacks of those who have a token."""

import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import numpy as np

from benchmarks.attacks.kinds import OWN_CONNECTION, Attack, Bounds, Stop, Tally, code_of, in_threads
from benchmarks.attacks.scene import Target
from benchmarks.attacks.strangers import EMBED, SEARCH, hold_calls
from gfp_serve.layouts import NTU25
from gfp_serve.v1 import embedding_pb2, gallery_pb2, gallery_pb2_grpc, stream_pb2, stream_pb2_grpc
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import write_embedding

UPSERT = "/gfp_serve.v1.GalleryService/Upsert"
INFER = "/inference.GRPCInferenceService/ModelInfer"
BIG, BIG_ITEMS, EMBEDDING_SIZE = "big", 4000, 618  # the size is that of the shipped pose statistics
WITHDRAWN_S = 1.0


def filled(
    target: Target, gallery: str, vectors: np.ndarray, index_kind: int = gallery_pb2.INDEX_KIND_AUTO, classes: int = 7
) -> None:
    """Make a gallery that has these vectors (rows) under ids "i0" to "iN", labelled "class 0" to "class 6" in turns."""
    with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        metadata = target.as_writer()
        made = gallery_pb2.CreateGalleryRequest(gallery=gallery, index_kind=index_kind)
        # In a soak it may be there from an earlier attack.
        code_of(
            lambda: stub.DropGallery(gallery_pb2.DropGalleryRequest(gallery=gallery), metadata=metadata, timeout=60)
        )
        stub.CreateGallery(made, metadata=metadata, timeout=60)
        for first in range(0, len(vectors), 256):
            rows = range(first, min(first + 256, len(vectors)))
            items = [
                gallery_pb2.Item(id=f"i{row}", label=f"class {row % classes}", embedding=write_embedding(vectors[row]))
                for row in rows
            ]
            stub.Upsert(gallery_pb2.UpsertRequest(gallery=gallery, items=items), metadata=metadata, timeout=60)


def drawn(rows: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, EMBEDDING_SIZE)).astype(np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def big_gallery(target: Target) -> None:
    filled(target, BIG, drawn(BIG_ITEMS))


def heavy_searches(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Six callers ask for 1000 neighbours of 256 items each, in 2 kB."""
    queries = [gallery_pb2.Query(id=f"i{row}") for row in range(256)]
    request = gallery_pb2.SearchRequest(gallery=BIG, queries=queries, top_k=1000)

    def attack(_: int) -> None:
        with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
            stub = gallery_pb2_grpc.GalleryServiceStub(channel)
            while not stop.is_set():
                call = stub.Search.future(request, metadata=target.as_reader(), timeout=60)
                while not call.done() and not stop.wait(0.05):
                    pass
                if call.done():
                    tally.count(str(call.code().name))
                    if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                        stop.wait(0.2)
                else:
                    call.cancel()
                    tally.count("left")

    in_threads(6, attack)


def repeated(number: int, messages: dict[str, bytes]) -> Callable[[Target, Any, Stop, Tally], None]:
    """An attack of this many callers who send the messages (by method) in turns, as fast as they are answered."""

    def attack(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
        def send(place: int) -> None:
            with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
                for method, message in itertools.islice(itertools.cycle(messages.items()), place, None):
                    if stop.is_set():
                        return
                    call = channel.unary_unary(method)
                    tally.count(code_of(lambda: call(message, metadata=target.as_writer(), timeout=60)))  # noqa: B023

        in_threads(number, send)

    return attack


def typed_clips(_: Target) -> bytes:
    """30 MB of numbers in the form that Python must walk through one by one."""
    return _typed_tensor([10, 10_000, 25, 3])


def overlong_clip(_: Target) -> bytes:
    """60 MB, which is more than the server takes."""
    return _typed_tensor([1, 200_000, 25, 3])


def _typed_tensor(shape: list[int]) -> bytes:
    request = oip.ModelInferRequest(model_name="gfp-encoder")
    tensor = request.inputs.add(name="skeleton", datatype="FP32", shape=shape)
    tensor.contents.fp32_contents.extend(drawn_numbers(math.prod(shape)))
    return request.SerializeToString()


def drawn_numbers(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count, np.float32)


def large_messages(target: Target, message: bytes, stop: Stop, tally: Tally) -> None:
    repeated(2, {INFER: message})(target, None, stop, tally)


def empty_parts(_: Target) -> dict[str, bytes]:
    """Messages of half a megabyte to a megabyte that have a hundred thousand parts and more."""
    item = gallery_pb2.Item(id="x", embedding=write_embedding(drawn(1)[0]))
    item.attributes.update({f"attribute {number}": float(number) for number in range(240)})
    return {
        SEARCH: gallery_pb2.SearchRequest(queries=[gallery_pb2.Query(id="")] * 131_000).SerializeToString(),
        EMBED: embedding_pb2.EmbedRequest(sequences=[embedding_pb2.Sequence()] * 262_000).SerializeToString(),
        UPSERT: gallery_pb2.UpsertRequest(items=[item] * 256).SerializeToString(),
    }


def many_parts(target: Target, messages: dict[str, bytes], stop: Stop, tally: Tally) -> None:
    repeated(4, messages)(target, None, stop, tally)


def unsent_messages(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    hold_calls(target, target.read, stop, tally)


def configured(num_bodies: int, window: int, stride: int) -> stream_pb2.EmbedStreamRequest:
    config = stream_pb2.StreamConfig(
        layout="ntu25", num_bodies=num_bodies, fps=30, window_frames=window, stride_frames=stride, lossless=True
    )
    return stream_pb2.EmbedStreamRequest(config=config)


def frames_of(num_frames: int, num_bodies: int) -> stream_pb2.EmbedStreamRequest:
    shape = (num_frames, num_bodies, NTU25.num_joints, 3)
    positions = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype("<f4").tobytes()
    return stream_pb2.EmbedStreamRequest(frames=stream_pb2.Frames(positions=positions, num_frames=num_frames))


def idle_streams(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open streams and send nothing."""
    _hold_streams(target, 200, lambda: iter(()), stop, tally)


def stream_memory(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Open streams with the largest window, fill it, and read no answer."""
    large, single = frames_of(2500, 8), frames_of(1, 8)

    def frames() -> Iterator[stream_pb2.EmbedStreamRequest]:
        yield configured(8, 10_000, 1)
        yield from itertools.repeat(large, 4)
        yield from itertools.repeat(single, 40)

    _hold_streams(target, 64, frames, stop, tally)


def _hold_streams(
    target: Target,
    number: int,
    first: Callable[[], Iterator[stream_pb2.EmbedStreamRequest]],
    stop: Stop,
    tally: Tally,
) -> None:
    ended = threading.Event()

    def requests() -> Iterator[stream_pb2.EmbedStreamRequest]:
        yield from first()
        ended.wait()

    with ExitStack() as opened:
        channels = [opened.enter_context(grpc.insecure_channel(target.address, OWN_CONNECTION)) for _ in range(4)]
        calls = [
            stream_pb2_grpc.StreamServiceStub(channels[place % 4]).EmbedStream(requests(), metadata=target.as_reader())
            for place in range(number)
        ]
        stop.wait()
        for call in calls:
            if call.is_active():
                tally.count("held")
                call.cancel()
            else:
                tally.count(str(call.code().name))
        ended.set()


def withdrawn_token(target: Target, _: Any, stop: Stop, tally: Tally) -> None:
    """Keep streams open, and go on sending, after the token of their caller was withdrawn."""
    tokens = target.work / "tokens"
    whole = tokens.read_text()
    others = "".join(line for line in whole.splitlines(keepends=True) if not line.startswith("read "))
    ended_s: list[float] = []
    withdrawn = [float("inf")]

    def stream(_: int) -> None:
        def requests() -> Iterator[stream_pb2.EmbedStreamRequest]:
            yield configured(1, 10, 10)
            while not stop.is_set() and not done.is_set():
                yield frames_of(10, 1)
                done.wait(0.1)

        done = threading.Event()
        with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
            call = stream_pb2_grpc.StreamServiceStub(channel).EmbedStream(requests(), metadata=target.as_reader())
            tally.count(code_of(lambda: [None for _ in call]))
            done.set()
            ended_s.append(time.monotonic() - withdrawn[0])

    def withdraw() -> None:
        stop.wait(WITHDRAWN_S)
        withdrawn[0] = time.monotonic()
        _replaced(tokens, others)
        with grpc.insecure_channel(target.address, OWN_CONNECTION) as channel:
            search = channel.unary_unary(SEARCH)
            while not stop.wait(0.1):
                tally.count(f"call {code_of(lambda: search(b'', metadata=target.as_reader(), timeout=30))}")

    in_threads(9, lambda place: withdraw() if place == 0 else stream(place))
    _replaced(tokens, whole)
    tally.facts["streams ended after, s"] = [round(min(ended_s, default=0), 1), round(max(ended_s, default=0), 1)]
    if tally.got["UNAUTHENTICATED"] != 8:
        tally.fault(f"of 8 streams, {tally.got['UNAUTHENTICATED']} ended with UNAUTHENTICATED")


def _replaced(tokens: os.PathLike[str], content: str) -> None:
    """Write the file in place, as an editor may."""
    with open(tokens, "w") as file:  # noqa: PTH123  (it must keep its rights)
        file.write(content)


# What two callers may send: two messages of 60 MB, as they came, as they were parsed, and as an array.
LARGE = Bounds(memory_mb=800, health_p99_ms=50)

CALLERS = {
    "heavy-searches": Attack(
        does="6 callers with 256 queries for 1000 neighbours each", prepare=big_gallery, run=heavy_searches
    ),
    "large-messages": Attack(
        does="2 callers with messages of 30 MB, number by number",
        prepare=typed_clips,
        run=large_messages,
        bounds=LARGE,
    ),
    "too-large-messages": Attack(
        does="2 callers with messages of 60 MB, which the server does not take",
        prepare=overlong_clip,
        run=large_messages,
        bounds=LARGE,
    ),
    "empty-parts": Attack(
        does="4 callers with messages of 61,000 to 262,000 parts", prepare=empty_parts, run=many_parts, bounds=LARGE
    ),
    "unsent-messages-with-a-token": Attack(does="800 calls whose messages never come", run=unsent_messages),
    "idle-streams": Attack(does="200 streams that send nothing", run=idle_streams),
    "stream-memory": Attack(
        does="64 streams of the largest window that read no answer",
        run=stream_memory,
        bounds=Bounds(memory_mb=1500),  # --max-stream-bytes, and what gRPC holds of each connection
    ),
    "withdrawn-token": Attack(
        does="8 streams go on after their token was withdrawn", run=withdrawn_token, beside_others=False
    ),
}
