"""Callers of a server, in a separate process. Each upserts one item after another.

    python -m benchmarks.serving.upserts ADDRESS EMBEDDING_SIZE

Reads a line of JSON for each turn, {"seconds": S, "callers": N}, and answers with one. Messages are made before
the clock starts. Every item is a new one.
"""

import asyncio
import gc
import itertools
import json
import sys
import time
from typing import Any

import grpc
import numpy as np

from gfp_serve.v1 import embedding_pb2, gallery_pb2

UPSERT = "/gfp_serve.v1.GalleryService/Upsert"


def requests(number: int, turn: int, size: int) -> list[bytes]:
    vectors = np.random.default_rng(turn).standard_normal((number, size)).astype("<f4")
    return [
        gallery_pb2.UpsertRequest(
            items=[
                gallery_pb2.Item(
                    id=f"{turn}-{row}",
                    embedding=embedding_pb2.Embedding(values=vector.tobytes(), size=size),
                    label=f"label-{row % 60}",
                )
            ]
        ).SerializeToString()
        for row, vector in enumerate(vectors)
    ]


async def turn(channels: list[grpc.aio.Channel], number: int, size: int, seconds: float, callers: int) -> Any:
    waiting = iter(requests(int(6000 * seconds), number, size))
    latencies: list[float] = []
    gc.freeze()
    end = time.perf_counter() + seconds

    async def caller(call: Any) -> None:
        while (started := time.perf_counter()) < end and (request := next(waiting, None)) is not None:
            await call(request, timeout=60)
            latencies.append(time.perf_counter() - started)

    calls = itertools.cycle([channel.unary_unary(UPSERT) for channel in channels])
    started = time.perf_counter()
    await asyncio.gather(*(caller(next(calls)) for _ in range(callers)))
    return {"items_per_s": len(latencies) / (time.perf_counter() - started), "latencies_s": latencies}


async def main(address: str, size: str) -> None:
    channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
    print(json.dumps({"vector": []}), flush=True)
    for number, line in enumerate(sys.stdin):
        print(json.dumps(await turn(channels, number, int(size), **json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
