"""Tensors of the Open Inference Protocol: the inputs of a request as arrays, and arrays as the outputs of a reply."""

import math
from dataclasses import dataclass

import numpy as np

from gfp_serve.batching.turns import Work
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


def check_inputs(request: oip.ModelInferRequest, known: tuple[Tensor, ...]) -> None:
    """Raise `InvalidRequestError` for an input that is unknown or there twice, or whose type, shape or size is wrong.

    This looks at what the request says of its inputs, and at no number of them.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequestError(
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs; send one for each, or none."
        )
    expected = {tensor.name: tensor for tensor in known}
    seen: set[str] = set()
    for number, message in enumerate(request.inputs):
        with in_field(f"inputs[{number}]"):
            if message.name not in expected or message.name in seen:
                raise InvalidRequestError(
                    f"input {quoted(message.name)} is {'there twice' if message.name in seen else 'unknown'}; "
                    f"{request.model_name} takes {', '.join(expected)}."
                )
            seen.add(message.name)
            _check_input(message, expected[message.name], is_raw=bool(raw))


def _check_input(message: oip.ModelInferRequest.InferInputTensor, expected: Tensor, *, is_raw: bool) -> None:
    if message.datatype != expected.datatype:
        raise InvalidRequestError(
            f"{message.name} has datatype {quoted(message.datatype)}; it must be {expected.datatype}."
        )
    if not 1 <= len(message.shape) <= _MAX_AXES:
        raise InvalidRequestError(f"{message.name} has {len(message.shape)} axes; it must have 1 to {_MAX_AXES}.")
    shape = list(message.shape)
    # An axis of 0 leaves nothing to compute, and numpy refuses some shapes that have one.
    if min(shape) < 1:
        raise InvalidRequestError(f"{message.name} has shape {shape}; every axis must be 1 or more.")
    if is_raw and message.HasField("contents"):
        raise InvalidRequestError(f"{message.name} has both raw and typed contents; send one of both.")


def reading_tensors(request: oip.ModelInferRequest, tensors: dict[str, np.ndarray]) -> Work:
    """Add the inputs of a request that `check_inputs` passed to `tensors`, by name, in pieces.

    Raises `InvalidRequestError` for an input that has more numbers or fewer than its shape says.
    """
    raw = request.raw_input_contents
    for number, message in enumerate(request.inputs):
        kind, typed = _TYPES[message.datatype]
        # Of Python integers, whose product cannot overflow.
        size = math.prod(message.shape)
        with in_field(f"inputs[{number}]"):
            if raw:
                content = raw[number]
                if len(content) != size * kind.itemsize:
                    raise InvalidRequestError(
                        f"{message.name} has {len(content)} raw bytes; its shape {list(message.shape)} of "
                        f"{message.datatype} asks for {size * kind.itemsize}."
                    )
                array = np.frombuffer(content, kind)
                yield
            else:
                values = getattr(message.contents, typed)
                if len(values) != size:
                    raise InvalidRequestError(
                        f"{message.name} has {len(values)} numbers in contents.{typed}; its shape "
                        f"{list(message.shape)} asks for {size}."
                    )
                array = np.empty(size, kind)
                # Python walks through the numbers one by one, and no other thread can run while numpy reads a list.
                for start in range(0, size, _VALUES_AT_ONCE):
                    array[start : start + _VALUES_AT_ONCE] = values[start : start + _VALUES_AT_ONCE]
                    yield
        tensors[message.name] = array.reshape(tuple(message.shape))


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
