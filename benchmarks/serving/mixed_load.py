"""Callers who embed clips and callers who search, at the same time, in a separate process.

    python -m benchmarks.serving.mixed_load ADDRESS EMBEDDING_SIZE

Fills the gallery first. Reads a line of JSON for each turn, {"seconds": S, "embedding": N, "searching": M,
"exact": false}, and answers with one.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import grpc
import numpy as np

from benchmarks.serving.load import EMBED, NUM_CLIPS, embed_request, vector_of
from gfp_serve.client import AsyncClient
from gfp_serve.items import Item
from gfp_serve.v1 import embedding_pb2, gallery_pb2

SEARCH = "/gfp_serve.v1.GalleryService/Search"
# As many clips as NTU RGB+D 60 has for training, and some queries of a data set that is classified.
NUM_ITEMS, NUM_QUERIES = 40_091, 32


def unit_vectors(number: int, size: int, seed: int) -> np.ndarray:
    """Vectors with the spread of real embeddings: most of their length lies in few directions."""
    draws = np.random.default_rng(seed)
    vectors = draws.standard_normal((number, size)) / np.sqrt(1 + np.arange(size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


def search_request(size: int, seed: int, *, exact: bool) -> bytes:
    queries = [
        gallery_pb2.Query(embedding=embedding_pb2.Embedding(values=vector.tobytes(), size=size))
        for vector in unit_vectors(NUM_QUERIES, size, seed)
    ]
    return gallery_pb2.SearchRequest(queries=queries, top_k=10, effort={"exact": exact}).SerializeToString()


async def fill(address: str, size: int) -> None:
    async with AsyncClient(address, timeout_s=120) as client:
        vectors = unit_vectors(NUM_ITEMS, size, 0)
        await client.upsert(Item(str(row), vector, f"label-{row % 60}") for row, vector in enumerate(vectors))
        while (await client.describe_gallery()).is_building:  # noqa: ASYNC110  (another process builds it)
            await asyncio.sleep(0.2)


async def ask(call: Any, requests: Sequence[bytes], end: float, latencies: list[float]) -> None:
    waiting = cycle(requests)
    while (started := time.perf_counter()) < end:
        await call(next(waiting), timeout=60)
        latencies.append(time.perf_counter() - started)


async def main(address: str, size: str) -> None:
    await fill(address, int(size))
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(2)]
    embed, search = channels[0].unary_unary(EMBED), channels[1].unary_unary(SEARCH)
    clips = [embed_request(seed) for seed in range(NUM_CLIPS)]
    queries = {exact: [search_request(int(size), seed, exact=exact) for seed in range(1, 9)] for exact in (False, True)}
    print(json.dumps({"vector": vector_of(EMBED, await embed(clips[0])).tolist()}), flush=True)
    gc.freeze()
    for line in sys.stdin:
        turn = json.loads(line)
        embedded: list[float] = []
        searched: list[float] = []
        started = time.perf_counter()
        end = started + turn["seconds"]
        await asyncio.gather(
            *(ask(embed, clips[number:] + clips[:number], end, embedded) for number in range(turn["embedding"])),
            *(ask(search, queries[turn["exact"]], end, searched) for _ in range(turn["searching"])),
        )
        spent = time.perf_counter() - started
        facts = {"clips_per_s": len(embedded) / spent, "queries_per_s": NUM_QUERIES * len(searched) / spent}
        print(json.dumps({**facts, "latencies_s": embedded, "search_latencies_s": searched}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
