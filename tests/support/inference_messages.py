"""Messages of the Open Inference Protocol: tensors written into requests and read from replies."""

import numpy as np

from gfp_serve.v1 import open_inference_pb2 as oip


def inference_request(model: str = "gfp-encoder", **tensors: np.ndarray) -> oip.ModelInferRequest:
    """Add a tensor in raw contents, as tritonclient sends it."""
    message = oip.ModelInferRequest(model_name=model)
    for name, values in tensors.items():
        datatype = "INT32" if values.dtype == np.int32 else "FP32"
        message.inputs.add(name=name, datatype=datatype, shape=values.shape)
        message.raw_input_contents.append(values.tobytes())
    return message


def outputs_of(reply: oip.ModelInferResponse) -> dict[str, np.ndarray]:
    found = {}
    for described, raw in zip(reply.outputs, reply.raw_output_contents, strict=True):
        if described.datatype == "FP32":
            values = np.frombuffer(raw, "<f4")
        else:
            texts, place = [], 0
            while place < len(raw):
                length = int.from_bytes(raw[place : place + 4], "little")
                texts.append(raw[place + 4 : place + 4 + length].decode())
                place += 4 + length
            values = np.array(texts)
        found[described.name] = values.reshape(tuple(described.shape))
    return found
