"""Whatever a caller sends, the answer is a documented one, and the next good call is answered as usual.

`pytest --hypothesis-show-statistics` says how many calls of each RPC were made and how they ended;
`--hypothesis-profile explore` makes ten times as many. tests/fuzz searches further, guided by the code's coverage.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gfp_serve.client import Client
from gfp_serve.server import SERVICES
from gfp_serve.wire.status import DOMAIN
from tests.support.any_requests import LIMITS, RPCS, SET_UP, calls, good
from tests.support.reflection import listed_methods
from tests.support.servers import channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import embedding_of, walk
from tests.support.without_processes import without_processes

CODE = grpc.StatusCode
# The documented statuses for a single caller with small clips: it is refused only because of what it sends.
ANSWERS = {CODE.OK, CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION, CODE.NOT_FOUND, CODE.ALREADY_EXISTS}

CLIP = walk(5)
ITS_EMBEDDING = embedding_of(CLIP)

PARAMETERS = [pytest.param(name, method, id=name.rpartition(".")[2]) for name, method in sorted(RPCS.items())]
# Methods whose requests hold other messages, and those whose requests are a few texts and numbers.
NESTED = [each for each in PARAMETERS if any(field.message_type for field in each.values[1].input_type.fields)]
FLAT = [each for each in PARAMETERS if each not in NESTED]


@dataclass(frozen=True, slots=True)
class Ended:
    """The status of a call, its replies, and its error if it failed."""

    code: grpc.StatusCode
    replies: list[bytes]
    failure: grpc.RpcError | None = None


class Wire:
    """A caller of the tested server that sends bytes unchanged."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = Client(address)
        self._channel = grpc.insecure_channel(address)

    def send(self, name: str, contents: list[bytes]) -> Ended:
        # Every method is called as a stream: on the wire there is no difference.
        call = self._channel.stream_stream(name)(iter(contents), timeout=20)
        replies: list[bytes] = []
        try:
            for reply in call:
                replies.append(reply)
                if name.endswith("/Watch"):  # it never ends by itself
                    call.cancel()
                    return Ended(CODE.OK, replies)
        except grpc.RpcError as failure:
            return Ended(failure.code(), replies, failure)
        return Ended(call.code(), replies)

    def close(self) -> None:
        self.client.close()
        self._channel.close()


def set_up(wire: Wire) -> None:
    """Bring the server into the state that the good requests need."""
    for name, request in SET_UP:
        wire.send(name, [request.SerializeToString()])


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    assert set(LIMITS) < set(small_config().limits.__dataclass_fields__)
    folder = tmp_path_factory.mktemp("fuzz")
    with without_processes(), running_in_thread(folder, small_config(**LIMITS)) as address:
        wire = Wire(address)
        set_up(wire)
        yield wire
        wire.close()


def check_reason(failure: grpc.RpcError) -> None:
    """Every refusal has a message for people, and a reason for programs."""
    status = rpc_status.from_call(failure)
    info = ErrorInfo()
    assert status is not None, failure
    assert status.message
    assert status.details[0].Unpack(info)
    assert info.domain == DOMAIN


def check_answer(wire: Wire, name: str, method: MethodDescriptor, contents: list[bytes]) -> None:
    ended = wire.send(name, contents)
    event(f"{method.name} {ended.code.name}")
    assert ended.code in ANSWERS, ended.failure
    if ended.failure is not None and name.startswith(tuple(f"/{service}/" for service in SERVICES)):
        check_reason(ended.failure)
    np.testing.assert_allclose(wire.client.embed(CLIP), ITS_EMBEDDING, atol=1e-5)


@pytest.mark.parametrize(("name", "method"), NESTED)
@given(data=st.data())
def test_any_request_and_the_next_good_one_are_answered(
    wire: Wire, name: str, method: MethodDescriptor, data: st.DataObject
) -> None:
    check_answer(wire, name, method, data.draw(calls(method)))


@pytest.mark.parametrize(("name", "method"), FLAT)
@settings(max_examples=settings().max_examples // 4)  # fewer fields can be wrong
@given(data=st.data())
def test_any_request_of_a_small_message_and_the_next_good_one_are_answered(
    wire: Wire, name: str, method: MethodDescriptor, data: st.DataObject
) -> None:
    check_answer(wire, name, method, data.draw(calls(method)))


@pytest.mark.parametrize(("name", "method"), PARAMETERS)
def test_the_requests_from_which_others_are_made_are_good(wire: Wire, name: str, method: MethodDescriptor) -> None:
    set_up(wire)
    contents = [request.SerializeToString() for request in good(method)]
    for sent in [contents] if method.client_streaming else [[content] for content in contents]:
        ended = wire.send(name, sent)
        assert ended.code is CODE.OK, ended.failure
        assert ended.replies


async def test_every_rpc_that_the_server_lists_is_tested(tmp_path: Path) -> None:
    async with running(tmp_path) as server, channel_to(server) as channel:
        assert {f"/{method}" for method in await listed_methods(channel, "")} == set(RPCS)


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame. Settings (4) belong to the connection, all others here to its first stream."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + (0 if kind == 4 else 1).to_bytes(4, "big") + payload


@pytest.mark.parametrize("path", [b"/\xff\xfe/\xff", b"", b"/", b"\0", b"/gfp_serve.v1.EmbeddingService/\xc3"])
def test_a_path_that_is_not_a_method_does_not_stop_the_server(wire: Wire, path: bytes) -> None:
    """gRPC's own clients send no such path. grpcio from 1.84 on stops serving at a path that is not UTF-8."""
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"x",
        b"content-type": b"application/grpc",
        b"te": b"trailers",  # codespell:ignore te
    }
    # A literal header, without Huffman code and index (RFC 7541, 6.2.2).
    packed = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(text)]) + text for name, text in headers.items())
    host, port = wire.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b""))
        connection.sendall(frame(1, 4, packed) + frame(0, 1, bytes(5)))
        # The server answered the stream: with headers (1) or with its end (3).
        heard = connection.makefile("rb")
        while head := heard.read(9):
            heard.read(int.from_bytes(head[:3], "big"))
            if head[3] in (1, 3):
                break
    assert wire.client.embed(CLIP).size
