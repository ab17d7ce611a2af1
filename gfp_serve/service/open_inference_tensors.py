"""Tensors of the Open Inference Protocol: the inputs of a request as arrays, and arrays as the outputs of a reply."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfp_serve.errors import InvalidRequestError, in_field, quoted
from gfp_serve.service.reply_budget import ReplyBudget
from gfp_serve.v1 import open_inference_pb2 as oip

# A size in a tensor's shape that may be anything.
ANY = -1

# More axes than any tensor has. numpy takes 64, and multiplying thousands of sizes would take minutes.
_MAX_AXES = 8
# Typed contents that are read at a time; and up to how many numbers a request is read faster than handed to a thread.
_VALUES_AT_ONCE, _FEW_VALUES = 2**13, 2**13
# The numpy type of a datatype's raw bytes, and the field of its typed contents. BYTES holds lengths between its texts.
_TYPES = {"FP32": (np.dtype("<f4"), "fp32_contents"), "INT32": (np.dtype("<i4"), "int_contents")}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as ModelMetadata describes it. Its first axis is that of clips."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def check_outputs(request: oip.ModelInferRequest, known: tuple[Tensor, ...]) -> None:
    """Raise `InvalidRequestError` when the request asks for an output that the model does not have."""
    names = [tensor.name for tensor in known]
    for wanted in request.outputs:
        if wanted.name not in names:
            with in_field("outputs"):
                raise InvalidRequestError(
                    f"{quoted(wanted.name)} is not an output; {request.model_name} gives {', '.join(names)}."
                )


def is_large(request: oip.ModelInferRequest) -> bool:
    """Whether reading the inputs takes long enough to hold up other calls, by the sizes that the request says."""
    return sum(math.prod(each.shape) for each in request.inputs if len(each.shape) <= _MAX_AXES) > _FEW_VALUES


def read_tensors(request: oip.ModelInferRequest, known: tuple[Tensor, ...]) -> dict[str, np.ndarray]:
    """The inputs by name. Raises `InvalidRequestError` for one that is unknown, or whose type or size is wrong."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequestError(
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs; send one for each, or none."
        )
    tensors: dict[str, np.ndarray] = {}
    expected = {tensor.name: tensor for tensor in known}
    for number, message in enumerate(request.inputs):
        with in_field(f"inputs[{number}]"):
            if message.name not in expected or message.name in tensors:
                raise InvalidRequestError(
                    f"input {quoted(message.name)} is {'there twice' if message.name in tensors else 'unknown'}; "
                    f"{request.model_name} takes {', '.join(expected)}."
                )
            tensors[message.name] = _read_tensor(message, expected[message.name], raw[number] if raw else None)
    return tensors


def _read_tensor(message: oip.ModelInferRequest.InferInputTensor, expected: Tensor, raw: bytes | None) -> np.ndarray:
    if message.datatype != expected.datatype:
        raise InvalidRequestError(
            f"{message.name} has datatype {quoted(message.datatype)}; it must be {expected.datatype}."
        )
    if not 1 <= len(message.shape) <= _MAX_AXES:
        raise InvalidRequestError(f"{message.name} has {len(message.shape)} axes; it must have 1 to {_MAX_AXES}.")
    kind, typed = _TYPES[expected.datatype]
    shape = tuple(message.shape)
    # An axis of 0 leaves nothing to compute, and numpy refuses some shapes that have one.
    if min(shape) < 1:
        raise InvalidRequestError(f"{message.name} has shape {list(shape)}; every axis must be 1 or more.")
    # Of Python integers, whose product cannot overflow.
    size = math.prod(shape)
    if raw is None:
        values: Any = getattr(message.contents, typed)
        if len(values) != size:
            raise InvalidRequestError(
                f"{message.name} has {len(values)} numbers in contents.{typed}; its shape {list(shape)} asks for "
                f"{size}."
            )
        array = np.empty(size, kind)
        # Piece by piece, because no other thread can run while numpy reads a list.
        for start in range(0, size, _VALUES_AT_ONCE):
            array[start : start + _VALUES_AT_ONCE] = values[start : start + _VALUES_AT_ONCE]
        return array.reshape(shape)
    if message.HasField("contents"):
        raise InvalidRequestError(f"{message.name} has both raw and typed contents; send one of both.")
    if len(raw) != size * kind.itemsize:
        raise InvalidRequestError(
            f"{message.name} has {len(raw)} raw bytes; its shape {list(shape)} of {expected.datatype} asks for "
            f"{size * kind.itemsize}."
        )
    return np.frombuffer(raw, kind).reshape(shape)


def write_output(reply: oip.ModelInferResponse, name: str, values: np.ndarray, budget: ReplyBudget) -> None:
    """Add an output to a reply: FP32, or BYTES for texts. Raises `InvalidRequestError` if there is no room for it."""
    datatype = "BYTES" if values.dtype == object else "FP32"
    described = oip.ModelInferResponse.InferOutputTensor(name=name, datatype=datatype, shape=values.shape)
    reply.outputs.append(budget.fit(described))
    reply.raw_output_contents.append(_raw_bytes(values, budget))


def _raw_bytes(values: np.ndarray, budget: ReplyBudget) -> bytes:
    """Numbers as they are; before each text its length, in four bytes."""
    if values.dtype != object:
        budget.spend(values.nbytes)
        return values.astype("<f4", copy=False).tobytes()
    parts = []
    for text in values.reshape(-1):
        encoded = str(text).encode()
        budget.spend(len(encoded) + 4)
        parts += [len(encoded).to_bytes(4, "little"), encoded]
    return b"".join(parts)
