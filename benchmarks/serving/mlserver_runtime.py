"""Serves the encoder as a user of MLServer would. Runs in a separate environment, without this project."""

import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import; gfp_serve/runtime.py says why
import onnxruntime


class Encoder(MLModel):
    async def load(self) -> bool:
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        clips = NumpyCodec.decode_input(payload.inputs[0])
        (vectors,) = self._session.run(None, {"clips": clips})
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("embeddings", vectors)])
