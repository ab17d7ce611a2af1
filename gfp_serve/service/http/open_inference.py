"""The REST form of the Open Inference Protocol: its paths and JSON, for the calls of `service.open_inference`.

Tensors are JSON (`data`), or raw bytes behind the JSON, by the protocol's binary extension: the header
`inference-header-content-length` says where these begin, `binary_data_size` how many each tensor has.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from gfp_serve.batching.turns import Work
from gfp_serve.errors import InvalidRequestError, in_field, quoted
from gfp_serve.service.http.answers import JSON, Answer, json_answer, said_of, status_answer
from gfp_serve.service.http.json_messages import array_of, numbers_of
from gfp_serve.service.http.json_text import check_texts, read_json
from gfp_serve.v1 import open_inference_pb2 as oip

SERVICE = "inference.GRPCInferenceService"
LENGTH_HEADER = "inference-header-content-length"
_BINARY = "application/octet-stream"

_MODEL = r"/v2/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?"
# Paths, each with the call that answers it and the message that it takes.
_PATHS: tuple[tuple[str, re.Pattern[str], str, type[Message]], ...] = tuple(
    (method, re.compile(path), rpc, message)
    for method, path, rpc, message in (
        ("GET", r"/v2/?", "ServerMetadata", oip.ServerMetadataRequest),
        ("GET", r"/v2/health/live", "ServerLive", oip.ServerLiveRequest),
        ("GET", r"/v2/health/ready", "ServerReady", oip.ServerReadyRequest),
        ("GET", r"/v2/models/stats", "ModelStatistics", oip.ModelStatisticsRequest),
        ("GET", _MODEL, "ModelMetadata", oip.ModelMetadataRequest),
        ("GET", rf"{_MODEL}/ready", "ModelReady", oip.ModelReadyRequest),
        ("GET", rf"{_MODEL}/config", "ModelConfig", oip.ModelConfigRequest),
        ("GET", rf"{_MODEL}/stats", "ModelStatistics", oip.ModelStatisticsRequest),
        ("POST", rf"{_MODEL}/infer", "ModelInfer", oip.ModelInferRequest),
    )
)
_REPLIES: dict[str, Any] = {
    "ServerMetadata": oip.ServerMetadataResponse,
    "ServerLive": oip.ServerLiveResponse,
    "ServerReady": oip.ServerReadyResponse,
    "ModelMetadata": oip.ModelMetadataResponse,
    "ModelReady": oip.ModelReadyResponse,
    "ModelConfig": oip.ModelConfigResponse,
    "ModelStatistics": oip.ModelStatisticsResponse,
}
# Numbers that become text at a time.
_NUMBERS_AT_ONCE = 2**13


class _Asked:
    """The form of a call about the server or a model: the path says all, and there is no body."""

    few_bytes = 2**15

    def __init__(self, rpc: str, request: Message) -> None:
        self.rpc = rpc
        self._request = request

    def reading(self, _content: bytes, read: list[bytes]) -> Work:
        read.append(self._request.SerializeToString())
        yield

    def writing(self, content: bytes, written: list[bytes]) -> Work:
        written.append(content)
        yield

    def answer(self, content: bytes) -> Answer:
        """The answer that holds the reply."""
        reply: Any = _REPLIES[self.rpc].FromString(content)
        if self.rpc in ("ServerLive", "ServerReady", "ModelReady"):
            (field,) = reply.DESCRIPTOR.fields
            is_so = getattr(reply, field.name)
            return json_answer(200 if is_so else 400, {field.name: is_so})
        if self.rpc == "ModelConfig":
            return json_answer(200, _plain(reply.config))
        said = _plain(reply)
        if self.rpc == "ServerMetadata":
            said["extensions"] = ["binary_tensor_data", *said["extensions"]]
        return json_answer(200, said)


class _Infer:
    """The form of an inference: JSON, and bytes behind it."""

    rpc = "ModelInfer"
    few_bytes = 2**12

    def __init__(self, name: str, version: str, json_bytes: str | None) -> None:
        self._request = oip.ModelInferRequest(model_name=name, model_version=version)
        self._json_bytes = json_bytes
        self._all_binary = False
        self._binary: dict[str, bool] = {}  # by the name of the output, what the request says of it
        self._length: int | None = None  # of the reply's JSON, if bytes follow it

    def reading(self, content: bytes, read: list[bytes]) -> Work:
        length = self._json_bytes or str(len(content))
        # Not longer than the number of bytes itself: Python refuses to read thousands of digits.
        most = str(len(content))
        if not (length.isascii() and length.isdecimal()) or len(length) > len(most) or int(length) > len(content):
            raise InvalidRequestError(
                f"the header {LENGTH_HEADER} is {quoted(length)}; it must be a number up to {len(content)}, the bytes "
                f"of the body."
            )
        said = read_json(content[: int(length)])
        check_texts(said)
        yield
        rest = _Rest(content, int(length))
        request = self._request
        _check_names(said, ("id", "parameters", "inputs", "outputs"), "")
        with _types_of("id"):
            request.id = said.get("id") or ""
        self._all_binary = _set_parameters(request.parameters, said.get("parameters"), "parameters") is True
        for number, each in enumerate(_entries(said, "inputs")):
            path = f"inputs[{number}]"
            _check_names(each, ("name", "datatype", "shape", "parameters", "data"), path)
            about = dict(_object(each.get("parameters"), f"{path}.parameters"))
            num_bytes = about.pop("binary_data_size", None)
            with _types_of(path):
                added = request.inputs.add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
            _set_parameters(added.parameters, about, f"{path}.parameters")
            with in_field(path):
                raw = _raw(each.get("data"), added.datatype) if num_bytes is None else rest.take(num_bytes)
            request.raw_input_contents.append(raw)
            yield
        rest.check_empty()
        for number, each in enumerate(_entries(said, "outputs")):
            path = f"outputs[{number}]"
            _check_names(each, ("name", "parameters"), path)
            with _types_of(path):
                output = request.outputs.add(name=each["name"])
            is_binary = _set_parameters(output.parameters, each.get("parameters"), f"{path}.parameters")
            if is_binary is not None:
                self._binary[output.name] = is_binary
        read.append(request.SerializeToString())
        yield

    def writing(self, content: bytes, written: list[bytes]) -> Work:
        reply = oip.ModelInferResponse.FromString(content)
        outputs, behind = [], []
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True):
            about: dict[str, Any] = {
                "name": output.name,
                "datatype": output.datatype,
                "shape": list(output.shape),
            }
            if self._binary.get(output.name, self._all_binary):
                about["parameters"] = {"binary_data_size": len(raw)}
                behind.append(raw)
            elif output.datatype == "BYTES":
                about["data"] = list(_texts(raw))
            else:
                about["data"] = []
                values = np.frombuffer(raw, "<f4")
                for start in range(0, len(values), _NUMBERS_AT_ONCE):
                    about["data"] += numbers_of(values[start : start + _NUMBERS_AT_ONCE])
                    yield
            outputs.append(about)
            yield
        said: dict[str, Any] = {"model_name": reply.model_name, "model_version": reply.model_version}
        said |= {"id": reply.id} if reply.id else {}
        if reply.parameters:
            said["parameters"] = {name: _value(each) for name, each in reply.parameters.items()}
        text = json.dumps({**said, "outputs": outputs}).encode()
        self._length = len(text) if behind else None
        written.append(b"".join((text, *behind)))
        yield

    def answer(self, content: bytes) -> Answer:
        """The answer that holds the reply."""
        if self._length is None:
            return Answer(200, content, {"content-type": JSON})
        return Answer(200, content, {"content-type": _BINARY, LENGTH_HEADER: str(self._length)})


def form_of(method: str, path: str, headers: Mapping[str, str]) -> _Asked | _Infer | None:
    """The form of the call that a request of HTTP makes; None if the protocol has no such path."""
    for its_method, pattern, rpc, message in _PATHS:
        found = pattern.fullmatch(path)
        if found is None or its_method != method:
            continue
        said = {name: value for name, value in found.groupdict().items() if value is not None}
        if rpc == "ModelInfer":
            return _Infer(said["name"], said.get("version", ""), headers.get(LENGTH_HEADER))
        return _Asked(rpc, message(**said))
    return None


def refusal(status: Status, code: int | None = None) -> Answer:
    """The answer to a call that failed: the protocol's `error`, beside what other calls say."""
    usual = status_answer(status, code)
    return json_answer(usual.code, {"error": status.message, **said_of(status)}, usual.headers)


class _Rest:
    """The bytes behind the JSON, which tensors take in their order."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content, self._at = content, start

    def take(self, num_bytes: Any) -> bytes:
        left = len(self._content) - self._at
        if not isinstance(num_bytes, int) or not 0 <= num_bytes <= left:
            raise InvalidRequestError(
                f"its binary_data_size is {quoted(str(num_bytes))}; {left} bytes are left behind the JSON, of which "
                f"{LENGTH_HEADER} gives the length."
            )
        self._at += num_bytes
        return self._content[self._at - num_bytes : self._at]

    def check_empty(self) -> None:
        left = len(self._content) - self._at
        if left:
            raise InvalidRequestError(f"{left} bytes behind the JSON belong to no input; say binary_data_size of each.")


def _raw(data: Any, datatype: str) -> bytes:
    """The bytes of a tensor that came as JSON; none for a type that no model takes, which is then refused as such."""
    if not isinstance(data, list):
        raise InvalidRequestError("it has no data; send a list of numbers, or bytes behind the JSON.")
    if datatype == "INT32":
        return _whole_numbers(data).tobytes()
    return array_of(data).tobytes() if datatype == "FP32" else b""


def _whole_numbers(data: list[Any]) -> np.ndarray:
    """The numbers as int32. Raises `InvalidRequestError` for what they are not exactly."""
    try:
        said = np.array(data)
        # Texts and truth values would become numbers, and fractions would be cut off.
        if said.size == 0 or said.dtype.kind in "iuf":
            with np.errstate(invalid="ignore"):
                whole = said.astype("<i4")
            if (whole == said).all():
                return whole
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidRequestError("its data must be whole numbers of 32 bits.") from error
    raise InvalidRequestError("its data must be whole numbers of 32 bits.")


def _check_names(said: Mapping[str, Any], known: tuple[str, ...], path: str) -> None:
    for name in said:
        if name not in known:
            with in_field(f"{path}.{name[:80]}" if path else name[:80]):
                raise InvalidRequestError(f"there is no field {quoted(name)}; the protocol has {', '.join(known)}.")


def _entries(said: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = said.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        with in_field(name):
            raise InvalidRequestError("it must be a list of objects.")
    return found


def _set_parameters(parameters: Any, said: Any, path: str) -> bool | None:
    """Set parameters. What is said of binary outputs is for this port, and given back."""
    is_binary: bool | None = None
    for name, value in _object(said, path).items():
        if name in ("binary_data", "binary_data_output"):
            is_binary = bool(value)
            continue
        kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
        with _types_of(f"{path}.{name[:80]}"):
            setattr(parameters[name], kinds[type(value)], value)
    return is_binary


def _object(said: Any, path: str) -> dict[str, Any]:
    """The parameters; none if nothing is said. Raises `InvalidRequestError` for what is not an object."""
    if not isinstance(said or {}, dict):
        with in_field(path):
            raise InvalidRequestError("it must be an object of parameters.")
    return said or {}


@contextmanager
def _types_of(path: str) -> Iterator[None]:
    """Raise `InvalidRequestError` for a value of the wrong type."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        with in_field(path):
            raise InvalidRequestError(
                f"a value is missing or has the wrong type ({error}); see the Open Inference Protocol."
            ) from error


def _value(parameter: oip.InferParameter) -> Any:
    kind = parameter.WhichOneof("parameter_choice")
    return None if kind is None else getattr(parameter, kind)


def _texts(raw: bytes) -> Iterator[str]:
    """The texts of a BYTES tensor, each behind its length."""
    at = 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        yield raw[at + 4 : end].decode(errors="replace")
        at = end


def _plain(message: Any) -> dict[str, Any]:
    """A message as JSON of this protocol, in which all integers are numbers."""

    def shown(field: Any, value: Any) -> Any:
        if field.message_type is not None:
            return _plain(value)
        return field.enum_type.values_by_number[value].name if field.enum_type is not None else value

    return {
        field.name: [shown(field, each) for each in value] if field.is_repeated else shown(field, value)
        for field, value in message.ListFields()
    }
