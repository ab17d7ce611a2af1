"""What callers can do to the HTTP port: they hold nothing for ever, and nothing of others."""

import asyncio
import dataclasses
import json
import logging
import signal
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
import trustme

from gfp_serve.config import Security
from gfp_serve.service import guard
from gfp_serve.service.http import call, port
from tests.support.http_calls import EMBED, JSON, Connect, ask, head, http_config, sequence_of, write_tokens
from tests.support.server_processes import COMMAND
from tests.support.servers import HANG_S, GatedEncoder, calls_in, running, until
from tests.support.tiny_bundle import tiny_bundle, walk

READ = "reads-and-no-more"


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection."""
    got = b""
    with suppress(ConnectionResetError):
        async with asyncio.timeout(HANG_S):
            while piece := await reader.read(2**16):
                got += piece
    return got


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config(max_message_bytes=2**16)) as server:
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", f"content-length: {2**16 + 1}"))
        answer = await until_closed(reader)  # without a byte of the body
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"larger than the 65536 bytes that this server takes" in answer
        assert (await ask(server, EMBED, b" " * 2**16)).code == 400


async def test_a_body_in_chunks_is_read_up_to_the_limit(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config(max_message_bytes=2**16)) as server:
        content = json.dumps({"sequences": [sequence_of(walk(1))]}).encode()
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "transfer-encoding: chunked", "connection: close"))
        for start in range(0, len(content), 1000):
            piece = content[start : start + 1000]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 200 ")
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "transfer-encoding: chunked"))
        sent = 0
        with suppress(ConnectionError):
            while sent < 2**26:  # more than buffers on the way hold
                writer.write(b"1000\r\n%s\r\n" % (b" " * 0x1000))
                sent += 0x1000
                await writer.drain()
        assert sent < 2**26
        await calls_in(server, 0)


async def test_chunks_of_single_bytes_are_cut_off(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config()) as server:
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "transfer-encoding: chunked"))
        writer.write(b"1\r\n \r\n" * 10_000)  # and the body goes on
        assert await until_closed(reader) == b""
        await calls_in(server, 0)


async def test_a_body_that_stops_half_way_ends_the_call(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_FIRST_MESSAGE_S", 0.2)
    async with running(tmp_path, http_config()) as server:
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "content-length: 1000") + b"{")
        answer = await until_closed(reader)
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"no whole message came within 0.2 s" in answer


async def test_headers_that_never_end_and_silent_connections_are_cut_off(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(port, "IDLE_CONNECTION_S", 0.5)
    async with running(tmp_path, http_config()) as server:
        silent, _ = await connect(server)
        slow, to_slow = await connect(server)
        used, to_used = await connect(server)
        to_used.write(head("/healthz", method="GET"))

        async def drip() -> None:
            with suppress(ConnectionError):
                for number in range(1000):
                    to_slow.write(b"GET / HTTP/1.1\r\nhost: x\r\n" if number == 0 else b"a: b\r\n")
                    await to_slow.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await until_closed(silent) == b""
        assert await until_closed(slow) == b""
        assert b"SERVING" in await until_closed(used)
        dripping.cancel()
        await until(lambda: not server._http._serving)


async def test_headers_that_are_too_long_are_refused(
    tmp_path: Path, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, http_config()) as server:
        for sent in (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000, b"hello\r\n\r\n", b"\x16\x03\x01\x00\xff" * 50):
            reader, writer = await connect(server)
            writer.write(sent)
            assert (await until_closed(reader))[:12] in (b"HTTP/1.1 400", b"")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_there_are_no_more_connections_than_the_setting_says(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, dataclasses.replace(http_config(), max_connections=4)) as server:
        held = [await connect(server) for _ in range(4)]
        await until(lambda: len(server._http._serving) == 4)
        reader, _ = await connect(server)
        assert await until_closed(reader) == b""
        held[0][1].close()
        await until(lambda: len(server._http._serving) < 4)
        assert (await ask(server, "/healthz")).code == 200


async def test_no_part_of_a_reply_waits_for_another(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config()) as server:
        await connect(server)
        await until(lambda: len(server._http._connections) == 1)
        (connection,) = server._http._connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_caller_who_takes_no_reply_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "TRANSFER_S", 0.3)
    async with running(tmp_path, http_config()) as server:
        held = socket.create_connection(("127.0.0.1", server.http_port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = head("/openapi.json", method="GET")
        with held, suppress(ConnectionError):
            held.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(held, request * 200)
            await until(lambda: not server._http._serving)
        assert (await ask(server, "/healthz")).code == 200


@pytest.mark.parametrize(("padding", "more"), [(2**17, b""), (0, b"G"), (2**20, b"G"), (0, b" " * 2**20)])
async def test_a_caller_who_leaves_is_noticed_whatever_it_has_sent(
    tmp_path: Path, connect: Connect, padding: int, more: bytes
) -> None:
    encoder = GatedEncoder(tiny_bundle())
    body = json.dumps({"sequences": [sequence_of(walk(1))]}).encode() + b" " * padding
    async with running(tmp_path, http_config(), encoder) as server:
        encoder.shut()
        try:
            _, writer = await connect(server)
            writer.write(head(EMBED, f"content-type: {JSON}", f"content-length: {len(body)}"))
            await calls_in(server, 1)
            (connection,) = server._http._connections
            connection.data_received(body)  # in one burst, as a fast line may bring it
            assert await asyncio.to_thread(encoder.entered.wait, HANG_S)
            writer.write(more)
            writer.close()
            await calls_in(server, 0)
        finally:
            encoder.gate.set()


async def test_requests_that_are_sent_ahead_are_answered_in_their_order(tmp_path: Path, connect: Connect) -> None:
    body = json.dumps({"sequences": [sequence_of(walk(1))]}).encode()
    embed = head(EMBED, f"content-type: {JSON}", f"content-length: {len(body)}") + body
    health = head("/healthz", method="GET")
    last = head("/v2", "connection: close", method="GET")
    async with running(tmp_path, http_config()) as server:
        for at_a_time in (2**20, 700):
            reader, writer = await connect(server)
            sent = embed + health + embed + embed + health * 20 + last
            for start in range(0, len(sent), at_a_time):
                writer.write(sent[start : start + at_a_time])
                await writer.drain()
                await asyncio.sleep(0)
            got = await until_closed(reader)
            assert got.count(b"HTTP/1.1 200 ") == got.count(b"HTTP/1.1 ") == 25
            kinds = [b"embeddings" in answer for answer in got.split(b"HTTP/1.1 ")[1:]]
            assert kinds == [True, False, True, True, *[False] * 21]


async def test_a_caller_who_sends_too_much_ahead_gets_its_answer_and_no_more(tmp_path: Path, connect: Connect) -> None:
    encoder = GatedEncoder(tiny_bundle())
    body = json.dumps({"sequences": [sequence_of(walk(1))]}).encode()
    embed = head(EMBED, f"content-type: {JSON}", f"content-length: {len(body)}") + body
    async with running(tmp_path, http_config(), encoder) as server:
        encoder.shut()
        reader, writer = await connect(server)
        writer.write(embed)
        await calls_in(server, 1)
        for _ in range(2**20 // len(embed)):
            writer.write(embed)
            await writer.drain()
        (connection,) = server._http._connections
        await until(lambda: connection._skipped > 0)
        encoder.gate.set()
        got = await until_closed(reader)
        assert got.count(b"HTTP/1.1 200 ") == 1
        assert b"connection: close" in got
        reader, writer = await connect(server)
        encoder.shut()
        writer.write(embed)
        await calls_in(server, 1)
        with suppress(ConnectionError):
            while True:  # until it is cut off
                writer.write(bytes(2**20))
                await writer.drain()
        await calls_in(server, 0)
        encoder.gate.set()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_caller_hears_why_its_body_is_refused_while_it_sends(tmp_path: Path, method: str) -> None:
    async with running(tmp_path, http_config(max_message_bytes=2**23)) as server:
        # Larger than what buffers on the way hold: this client reads the answer when it has sent all.
        reply = await ask(server, EMBED, bytes(2**23 + 2**22), method=method)
        assert (reply.code, reply.headers["connection"]) == (413 if method == "POST" else 404, "close")


async def test_a_refused_body_is_read_on_for_a_moment_only(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "REST_S", 0.2)
    async with running(tmp_path, http_config(max_message_bytes=2**16)) as server:
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "content-length: 1000000000"))
        assert b"413" in await until_closed(reader)  # it sends nothing
        monkeypatch.setattr(call, "REST_S", HANG_S)
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "content-length: 1000000000"))
        with suppress(ConnectionError):
            while True:  # it sends until it is cut off
                writer.write(bytes(2**16))
                await writer.drain()
        await until(lambda: not server._http._serving)


async def test_what_a_reply_takes_of_the_kernel_is_bounded(tmp_path: Path, connect: Connect) -> None:
    async with running(tmp_path, http_config()) as server:
        await connect(server)
        await until(lambda: len(server._http._connections) == 1)
        (connection,) = server._http._connections
        accepted = connection.transport.get_extra_info("socket")
        # Linux gives twice of what it is asked for.
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * port._SEND_BYTES


async def test_others_have_their_turn_between_the_pieces_of_a_reply() -> None:
    turns: list[str] = []

    async def send(event: dict[str, object]) -> None:  # as when the kernel takes all at once
        turns.append(str(event["type"]))

    async def others() -> None:
        for _ in range(3):
            turns.append("others")
            await asyncio.sleep(0)

    connection = SimpleNamespace(has_rest=lambda: False, sent=AsyncMock())
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [], "state": {"connection": connection}}
    exchange = call.Exchange(scope, AsyncMock(), send, max_bytes=1)
    beside = asyncio.create_task(others())
    await exchange.answer(200, {}, bytes(3 * call._PIECE_BYTES))
    await beside
    body = "http.response.body"
    assert turns == ["http.response.start", body, "others", body, "others", body, "others"]


async def test_a_stranger_s_body_is_not_read(tmp_path: Path, connect: Connect) -> None:
    security = Security(tokens=write_tokens(tmp_path, f"read {READ}"))
    async with running(tmp_path, dataclasses.replace(http_config(), security=security)) as server:
        reader, writer = await connect(server)
        writer.write(head(EMBED, f"content-type: {JSON}", "content-length: 30000000"))
        answer = await until_closed(reader)
        assert answer.startswith(b"HTTP/1.1 401 ")


async def test_pages_of_other_hosts_may_call_only_where_the_setting_says(tmp_path: Path) -> None:
    body = {"sequences": [sequence_of(walk(1))]}
    mine, other = "https://mine.example", "https://other.example"
    async with running(tmp_path / "closed", http_config()) as server:
        reply = await ask(server, EMBED, body, origin=other)
        assert (reply.code, reply.said["reason"]) == (403, "FORBIDDEN")
        assert "--http-allow-origin https://other.example" in reply.said["message"]
        assert (await ask(server, EMBED, body, origin=server.http_url)).code == 200
        # A name of another host that leads to this machine, as after DNS rebinding.
        reply = await ask(server, EMBED, body, host="other.example")
        assert (reply.code, "a server without tokens answers to localhost" in reply.said["message"]) == (403, True)
        for host in ("localhost", "[::1]:8080", "192.168.0.7", "gfp-server"):
            assert (await ask(server, EMBED, body, host=host)).code == 200
    config = dataclasses.replace(http_config(), http_allow_origin=f"{mine}, http://localhost:8000")
    async with running(tmp_path / "open", config) as server:
        asked = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
        allowed = await ask(server, EMBED, method="OPTIONS", origin=mine, **asked)
        assert (allowed.code, allowed.headers["access-control-allow-origin"]) == (204, mine)
        assert "authorization" in allowed.headers["access-control-allow-headers"]
        reply = await ask(server, EMBED, body, origin=mine)
        assert (reply.code, reply.headers["access-control-allow-origin"]) == (200, mine)
        assert "x-request-id" in reply.headers["access-control-expose-headers"]
        assert (await ask(server, EMBED, method="OPTIONS", origin=other, **asked)).code == 403
        assert (await ask(server, EMBED, body, host="mine.example")).code == 200
        assert (await ask(server, EMBED, body, host="other.example")).code == 403


async def test_a_server_that_listens_everywhere_without_tokens_does_not_answer_to_any_name(tmp_path: Path) -> None:
    config = dataclasses.replace(http_config(), host="0.0.0.0", insecure=True)
    async with running(tmp_path, config) as server:
        reply = await ask(server, EMBED, {"sequences": [sequence_of(walk(1))]}, host="other.example:8080")
        assert reply.code == 403


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/page", "ftp://example.org"])
def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    with pytest.raises(ValueError, match="it must be a scheme and a host"):
        dataclasses.replace(http_config(), http_allow_origin=origin)


async def test_tls_is_that_of_grpc_and_its_files_are_read_again(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate, key, ca = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))

    def write(issuer: trustme.CA) -> None:
        issued = issuer.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))

    write(authority)
    authority.cert_pem.write_to_path(ca)
    security = Security(tls_certificate=certificate, tls_key=key, tls_client_ca=ca)
    config = dataclasses.replace(http_config(), security=security)
    body = {"sequences": [sequence_of(walk(1))]}

    def context(trusts: trustme.CA, shows: trustme.CA | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=trusts.cert_pem.bytes().decode())
        if shows is not None:
            shows.issue_cert("client.example").configure_cert(made)
        return made

    async with running(tmp_path, config) as server:
        assert server.http_url.startswith("https://")
        assert (await ask(server, EMBED, body, tls=context(authority, authority))).code == 200
        for wrong in (context(authority, None), context(authority, other)):
            with pytest.raises(OSError):  # noqa: PT011  (by the moment, it has several names)
                await ask(server, EMBED, body, tls=wrong)
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(server, EMBED, body, tls=context(other, authority))
        write(other)
        other.cert_pem.write_to_path(ca)
        assert (await ask(server, EMBED, body, tls=context(other, other))).code == 200
        with pytest.raises(OSError):  # noqa: PT011
            await ask(server, EMBED, body, tls=context(other, authority))
        key.write_text("damaged")
        assert (await ask(server, EMBED, body, tls=context(other, other))).code == 200


async def test_a_server_that_stops_answers_what_it_accepted_and_refuses_more(tmp_path: Path, connect: Connect) -> None:
    encoder = GatedEncoder(tiny_bundle())
    body = {"sequences": [sequence_of(walk(1))]}
    async with running(tmp_path, http_config(), encoder) as server:
        encoder.shut()
        accepted = asyncio.create_task(ask(server, EMBED, body))
        await calls_in(server, 1)
        stopping = asyncio.create_task(server.stop())
        await until(lambda: server._guard._closed)
        refused = await ask(server, EMBED, body)
        assert (refused.code, refused.said["reason"]) == (503, "CLOSED")
        assert (await ask(server, "/healthz")).code == 503
        encoder.gate.set()
        assert (await accepted).code == 200
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await connect(server)


async def test_sigterm_ends_a_server_with_open_connections(bundle_path: Path) -> None:
    command = (*COMMAND, "--bundle", str(bundle_path), "--port", "0", "--http-port", "0")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    async with asyncio.timeout(HANG_S):
        line = (await process.stdout.readline()).decode()
        url = line.strip().rpartition(", ")[2]
        assert url.startswith("http://127.0.0.1:")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(head("/healthz", method="GET"))
        assert b"200 OK" in await reader.readline()
        process.send_signal(signal.SIGTERM)
        await until_closed(reader)
        writer.close()
        assert await process.wait() == 0
