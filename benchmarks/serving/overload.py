"""Callers who do not wait for answers: they send a fixed number of calls a second.

    python -m benchmarks.serving.overload ADDRESS

Reads a line of JSON for each turn, {"seconds": S, "rate": CALLS_A_SECOND}, and answers with a line of JSON: for
each status, the seconds that its calls took.
"""

import asyncio
import gc
import json
import sys
import time
from collections import defaultdict

import grpc
import numpy as np

from benchmarks.serving.load import EMBED, NUM_CLIPS, embed_request, vector_of


async def turn(address: str, seconds: float, rate: float) -> dict[str, list[float]]:
    latencies: dict[str, list[float]] = defaultdict(list)
    requests = [embed_request(seed) for seed in range(NUM_CLIPS)]
    # Several connections, like several callers.
    channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(8)]
    calls = [channel.unary_unary(EMBED) for channel in channels]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    going: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        started = time.perf_counter()
        try:
            await calls[number % len(calls)](requests[number % NUM_CLIPS], timeout=60)
            status = "OK"
        except grpc.RpcError as error:
            status = error.code().name
        latencies[status].append(time.perf_counter() - started)

    started = time.perf_counter()
    number = 0
    while (now := time.perf_counter() - started) < seconds:
        while number < now * rate:
            going.add(task := asyncio.create_task(one(number)))
            task.add_done_callback(going.discard)
            number += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*going)
    for channel in channels:
        await channel.close()
    return {"sent": [number], **latencies}


async def main(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        reply = await channel.unary_unary(EMBED)(embed_request(), timeout=60, wait_for_ready=True)
    print(json.dumps({"vector": np.asarray(vector_of(EMBED, reply)).tolist()}), flush=True)
    gc.freeze()  # so that garbage collection in this process is not timed
    for line in sys.stdin:
        print(json.dumps(await turn(address, **json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
