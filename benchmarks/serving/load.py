"""Callers of a server, in a separate process. Each sends its next clip when the last one is answered.

Reads a line of JSON for each turn, {"seconds": S, "callers": N}, and answers with a line of JSON. The messages are made
once, and replies are only counted, so that only the server is timed. Clips in progress differ from each other: the
server encodes equal clips of a batch once.
"""

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import grpc
import numpy as np

from benchmarks.serving.bundles import MIX, made_up_clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import PreprocessConfig, SampleConfig, prepare
from gfp_serve.v1 import embedding_pb2
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.wire.arrays import write_sequence

EMBED = "/gfp_serve.v1.EmbeddingService/Embed"
INFER = "/inference.GRPCInferenceService/ModelInfer"


# This many clips are sent in turn; no benchmark has more callers at once that are timed.
NUM_CLIPS = 64


def embed_request(seed: int = 0, bodies: int = 2) -> bytes:
    sequence = write_sequence(made_up_clip(seed)[:, :bodies], NTU25)
    return embedding_pb2.EmbedRequest(sequences=[sequence]).SerializeToString()


def infer_request(model: str, tensor: str, values: np.ndarray) -> bytes:
    """Return a request of the Open Inference Protocol, which every server here understands."""
    request = oip.ModelInferRequest(model_name=model, raw_input_contents=[values.tobytes()])
    request.inputs.add(name=tensor, datatype="FP32", shape=values.shape)
    return request.SerializeToString()


def vector_of(method: str, reply: bytes) -> np.ndarray:
    if method == EMBED:
        return np.frombuffer(embedding_pb2.EmbedResponse.FromString(reply).embeddings[0].values, "<f4")
    answer = oip.ModelInferResponse.FromString(reply)
    raw = answer.raw_output_contents
    return np.frombuffer(raw[0], "<f4") if raw else np.array(answer.outputs[0].contents.fp32_contents, np.float32)


class Load:
    """Makes calls to one method, with one call in progress for each caller."""

    def __init__(self, address: str, method: str, requests: Sequence[bytes]) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.aio.insecure_channel(address, options)
        self._call = self._channel.unary_unary(method)
        self._requests = requests

    async def once(self) -> bytes:
        """Return the reply for the first clip."""
        return await self._call(self._requests[0], timeout=60, wait_for_ready=True)

    async def turn(self, seconds: float, callers: int) -> dict[str, Any]:
        latencies: list[float] = []
        failures: Counter[str] = Counter()
        end = time.perf_counter() + seconds
        requests = cycle(self._requests)

        async def caller() -> None:
            is_first = True  # on a busy machine a short turn may be over before it begins
            while (started := time.perf_counter()) < end or is_first:
                is_first = False
                try:
                    await self._call(next(requests), timeout=60)
                except grpc.RpcError as error:
                    failures[error.code().name] += 1
                else:
                    latencies.append(time.perf_counter() - started)

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        # The last calls end after `end`, so the time is taken here.
        spent = time.perf_counter() - started
        return {"clips_per_s": len(latencies) / spent, "latencies_s": latencies, "failures": dict(failures)}


async def main(address: str, kind: str, num_frames: str = "120") -> None:
    """`num_frames` is the model's number of frames, for servers whose callers do the preprocessing."""
    seeds = range(NUM_CLIPS)
    if kind in ("embed", "embed-mix"):
        bodies = MIX if kind == "embed-mix" else (2,)
        method, requests = EMBED, [embed_request(seed, bodies[seed % len(bodies)]) for seed in seeds]
    elif kind == "raw-clip":
        method = INFER
        requests = [infer_request("gfp-encoder", "skeleton", made_up_clip(seed)[None]) for seed in seeds]
    else:  # servers of bare models take preprocessed clips, which have the same number of bytes
        bodies = MIX if kind == "model-mix" else (2,)
        config = PreprocessConfig(sampling=SampleConfig(num_frames=int(num_frames)))
        clips = (prepare(made_up_clip(seed)[:, : bodies[seed % len(bodies)]], NTU25, config) for seed in seeds)
        method, requests = INFER, [infer_request("encoder", "clips", clip[None]) for clip in clips]
    load = Load(address, method, requests)
    print(json.dumps({"vector": vector_of(method, await load.once()).tolist()}), flush=True)
    gc.freeze()  # so that garbage collection in this process is not timed
    for line in sys.stdin:
        print(json.dumps(await load.turn(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
