"""Serves the encoder over gRPC as a user of Ray Serve would, with the stubs of the Open Inference Protocol.

    python ray_app.py MODEL PORT

Runs in a separate environment, with this project's generated stubs and nothing else of it.
"""

import os
import sys
import time

import numpy as np

from gfp_serve.v1 import open_inference_pb2 as oip

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import; gfp_serve/runtime.py says why
import onnxruntime

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray reports to its makers too
import ray
from ray import serve
from ray.serve.config import gRPCOptions


@serve.deployment(max_ongoing_requests=128, ray_actor_options={"num_cpus": 1})
class Encoder:
    def __init__(self, model: str) -> None:
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def ModelInfer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:  # noqa: N802
        clips = np.frombuffer(request.raw_input_contents[0], "<f4").reshape(request.inputs[0].shape)
        (vectors,) = self._session.run(None, {"clips": clips})
        reply = oip.ModelInferResponse(model_name=request.model_name, raw_output_contents=[vectors.tobytes()])
        reply.outputs.add(name="embeddings", datatype="FP32", shape=vectors.shape)
        return reply


if __name__ == "__main__":
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    stub = "gfp_serve.v1.open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server"
    serve.start(
        grpc_options=gRPCOptions(port=int(sys.argv[2]), grpc_servicer_functions=[stub]),
        http_options={"port": int(sys.argv[2]) + 1},  # gRPC comes through the same proxy, so it must run
    )
    serve.run(Encoder.bind(sys.argv[1]))
    print("ray serve is ready", flush=True)
    time.sleep(1e9)
