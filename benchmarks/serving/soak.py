"""Does in ten minutes what callers do in a day.

It sends clips of every shape and layout, and nonsense; it hangs up; it gives calls too little time.

    python -m benchmarks.serving.soak ADDRESS

Reads a line of JSON for each turn, {"seconds": S, "callers": N, "seed": I}, and answers with one: how often it did
each thing, and how often it got each status.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.serving.load import EMBED, embed_request, vector_of
from gfp_serve.layouts import LAYOUTS
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc, gallery_pb2, gallery_pb2_grpc, stream_pb2, stream_pb2_grpc
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.v1 import open_inference_pb2_grpc as oip_grpc
from gfp_serve.wire.arrays import write_sequence

# Items are replaced and removed, so that the gallery itself does not grow.
NUM_ITEMS = 200

Deed = Callable[["Caller"], Awaitable[None]]


class Caller:
    """Does one thing after another, and counts the results."""

    def __init__(self, address: str, seed: int) -> None:
        self.address = address
        self.random = random.Random(seed)
        self.draws = np.random.default_rng(seed)
        self.deeds: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()

    async def work(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        self.channel = grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])
        while time.perf_counter() < end:
            deed = self.random.choice(DEEDS)
            self.deeds[deed.__name__] += 1
            try:
                await deed(self)
                self.statuses["OK"] += 1
            except grpc.RpcError as error:
                self.statuses[error.code().name] += 1
            except asyncio.CancelledError:
                self.statuses["left"] += 1
        await self.channel.close()

    def sequence(self) -> embedding_pb2.Sequence:
        layout = self.random.choice(list(LAYOUTS.values()))
        shape = (self.random.choice((1, 2, 9, 40, 120, 300, 900)), self.random.choice((1, 1, 2, 3)), layout.num_joints)
        joints = (self.draws.uniform(-0.8, 0.8, (*shape, 3)) + self.draws.uniform(-2, 2, 3)).astype(np.float32)
        if self.random.random() < 0.3:
            joints[self.draws.random(shape) < 0.2] = np.nan
        return write_sequence(joints, layout)

    def embed(self, **settings: float) -> grpc.aio.UnaryUnaryCall:
        sequences = [self.sequence() for _ in range(self.random.choice((1, 1, 1, 2, 7)))]
        stub = embedding_pb2_grpc.EmbeddingServiceStub(self.channel)
        return stub.Embed(embedding_pb2.EmbedRequest(sequences=sequences), **{"timeout": 30, **settings})


async def embeds(caller: Caller) -> None:
    await caller.embed()


async def hangs_up(caller: Caller) -> None:
    call = caller.embed()
    await asyncio.sleep(caller.random.random() * 0.05)
    call.cancel()
    await call


async def has_no_time(caller: Caller) -> None:
    await caller.embed(timeout=caller.random.choice((0.001, 0.005, 0.02)))


async def vanishes(caller: Caller) -> None:
    """The connection breaks in the middle of a call."""
    async with grpc.aio.insecure_channel(caller.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.unary_unary(EMBED)(embed_request(), timeout=30)
        await asyncio.sleep(caller.random.random() * 0.02)
    await call


async def sends_nonsense(caller: Caller) -> None:
    content = bytearray(embed_request())
    for _ in range(caller.random.choice((1, 5))):
        content[caller.random.randrange(min(len(content), 60))] = caller.random.randrange(256)
    if caller.random.random() < 0.5:
        del content[caller.random.randrange(len(content)) :]
    await caller.channel.unary_unary(EMBED)(bytes(content), timeout=30)


async def sends_a_wrong_clip(caller: Caller) -> None:
    sequence = caller.sequence()
    match caller.random.randrange(4):
        case 0:
            sequence.positions = sequence.positions[:-4]
        case 1:
            sequence.layout = "octopus8"
        case 2:
            sequence.num_frames = 2**31
        case _:
            sequence.positions = np.full(len(sequence.positions) // 4, np.nan, "<f4").tobytes()
    stub = embedding_pb2_grpc.EmbeddingServiceStub(caller.channel)
    await stub.Embed(embedding_pb2.EmbedRequest(sequences=[sequence]), timeout=30)


async def keeps_items(caller: Caller) -> None:
    stub = gallery_pb2_grpc.GalleryServiceStub(caller.channel)
    ids = [f"item {caller.random.randrange(NUM_ITEMS)}" for _ in range(3)]
    items = [gallery_pb2.Item(id=each, label="x", sequence=caller.sequence()) for each in dict.fromkeys(ids)]
    await stub.Upsert(gallery_pb2.UpsertRequest(items=items), timeout=30)
    await stub.Delete(gallery_pb2.DeleteRequest(ids=ids[:1]), timeout=30)


async def asks_for_neighbours(caller: Caller) -> None:
    stub = gallery_pb2_grpc.GalleryServiceStub(caller.channel)
    queries = [gallery_pb2.Query(sequence=caller.sequence())]
    await stub.Search(gallery_pb2.SearchRequest(queries=queries, top_k=caller.random.choice((1, 50, 5000))), timeout=30)
    await stub.Classify(gallery_pb2.ClassifyRequest(queries=queries), timeout=30)


async def streams(caller: Caller) -> None:
    call = stream_pb2_grpc.StreamServiceStub(caller.channel).EmbedStream(timeout=30)
    config = stream_pb2.StreamConfig(
        layout="ntu25",
        num_bodies=1,
        fps=30,
        window_frames=caller.random.choice((1, 20, 60)),
        stride_frames=caller.random.choice((5, 20)),
        lossless=caller.random.random() < 0.5,
    )
    await call.write(stream_pb2.EmbedStreamRequest(config=config))
    for _ in range(caller.random.randrange(8)):
        frames = caller.draws.uniform(-0.8, 0.8, (30, 1, 25, 3)).astype("<f4")
        part = stream_pb2.Frames(positions=frames.tobytes(), num_frames=30)
        await call.write(stream_pb2.EmbedStreamRequest(frames=part))
    match caller.random.randrange(3):
        case 0:
            call.cancel()
        case 1:
            await call.read()
            call.cancel()
        case _:
            await call.done_writing()
            async for _ in call:
                pass


async def speaks_the_open_protocol(caller: Caller) -> None:
    clip = caller.draws.uniform(-0.8, 0.8, (1, caller.random.choice((3, 120)), 25, 3)).astype("<f4")
    request = oip.ModelInferRequest(model_name=caller.random.choice(("gfp-encoder", "gfp-knn", "no-such")))
    request.inputs.add(name="skeleton", datatype="FP32", shape=clip.shape)
    request.raw_input_contents.append(clip.tobytes()[: -4 * caller.random.randrange(2) or None])
    await oip_grpc.GRPCInferenceServiceStub(caller.channel).ModelInfer(request, timeout=30)


async def watches_health(caller: Caller) -> None:
    stub = health_pb2_grpc.HealthStub(caller.channel)
    await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    watch.cancel()


DEEDS: tuple[Deed, ...] = (
    *(embeds, hangs_up, has_no_time, vanishes, sends_nonsense, sends_a_wrong_clip, keeps_items, asks_for_neighbours),
    *(streams, speaks_the_open_protocol, watches_health),
)


async def main(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        reply = await channel.unary_unary(EMBED)(embed_request(), timeout=60, wait_for_ready=True)
    print(json.dumps({"vector": vector_of(EMBED, reply).tolist()}), flush=True)
    for line in sys.stdin:
        turn = json.loads(line)
        callers = [Caller(address, turn["seed"] * 1000 + number) for number in range(turn["callers"])]
        await asyncio.gather(*(caller.work(turn["seconds"]) for caller in callers))
        deeds, statuses = Counter[str](), Counter[str]()
        for caller in callers:
            deeds.update(caller.deeds)
            statuses.update(caller.statuses)
        print(json.dumps({"deeds": deeds, "statuses": statuses}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
