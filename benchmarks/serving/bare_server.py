"""The smallest server of the encoder over gRPC, to measure what gRPC itself costs.

It has no batching, no limits and no preprocessing.

python -m benchmarks.serving.bare_server BUNDLE [--remember]

With --remember it encodes only the first clip, and answers every other call with that vector.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np

from gfp_serve.bundle import Bundle
from gfp_serve.v1 import open_inference_pb2 as oip
from gfp_serve.v1 import open_inference_pb2_grpc

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import; gfp_serve/runtime.py says why
import onnxruntime


class Encoder(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, model: bytes, *, remembers: bool) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._worker = ThreadPoolExecutor(1)
        self._remembers = remembers
        self._remembered: np.ndarray | None = None

    async def ModelInfer(self, request: oip.ModelInferRequest, _context: object) -> oip.ModelInferResponse:  # noqa: N802
        clips = np.frombuffer(request.raw_input_contents[0], "<f4").reshape(request.inputs[0].shape)
        vectors = self._remembered
        if vectors is None:
            (vectors,) = await asyncio.get_running_loop().run_in_executor(
                self._worker, self._session.run, None, {"clips": clips}
            )
        if self._remembers:
            self._remembered = vectors
        reply = oip.ModelInferResponse(model_name=request.model_name, raw_output_contents=[vectors.tobytes()])
        reply.outputs.add(name="embeddings", datatype="FP32", shape=vectors.shape)
        return reply


async def main() -> None:
    server = grpc.aio.server()
    model = Bundle.read(Path(sys.argv[1])).model
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
        Encoder(model, remembers="--remember" in sys.argv), server
    )
    print(f"serving on 127.0.0.1:{server.add_insecure_port('127.0.0.1:0')} ", flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
