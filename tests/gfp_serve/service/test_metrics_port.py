"""Who can do what at the port of metrics."""

import asyncio
import dataclasses
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from gfp_serve.config import Security, ServeConfig
from gfp_serve.service import metrics_port
from gfp_serve.service.access import Tokens
from gfp_serve.service.metrics_port import MAX_CONNECTIONS, expose_metrics
from tests.support.servers import HANG_S, running, small_config

TOKEN = "reads-and-no-more"
HALF = b"GET /metrics HTTP/1.0\r\nx: "

Expose = Callable[..., int]


@pytest.fixture
def expose() -> Iterator[Expose]:
    """Serve the metrics of an empty registry; give the port."""
    with ExitStack() as stack:

        def start(**security: object) -> int:
            port, stop = expose_metrics(CollectorRegistry(), "127.0.0.1", 0, **security)
            stack.callback(stop)
            return port

        yield start


@pytest.fixture
def security(tmp_path: Path) -> Security:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return write_certificate(tmp_path, authority)


def write_certificate(folder: Path, authority: trustme.CA) -> Security:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    (folder / "tokens").write_text(f"read {TOKEN}\n")
    return Security(tls_certificate=folder / "certificate.pem", tls_key=folder / "key.pem", tokens=folder / "tokens")


def scrape(port: int, ca: Path | None = None, token: str | None = None) -> int:
    """Return the status of a scrape."""
    request = urllib.request.Request(f"{'https' if ca else 'http'}://127.0.0.1:{port}/metrics")
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        with urllib.request.urlopen(request, timeout=HANG_S, context=context) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code


def until_closed(connection: socket.socket) -> None:
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass


@pytest.mark.parametrize(
    ("encrypted", "sent"),
    [(False, b""), (False, HALF), (True, b""), (True, b"\x16\x03\x01\x02")],
    ids=["nothing", "half a scrape", "no greeting", "half a greeting"],
)
def test_connections_that_never_ask_keep_nobody_out(
    expose: Expose, tmp_path: Path, security: Security, encrypted: bool, sent: bytes
) -> None:
    port = expose(tls=security) if encrypted else expose()
    with ExitStack() as opened:
        held = [opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HANG_S))]
        for _ in range(MAX_CONNECTIONS):
            held.append(opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=HANG_S)))
            held[-1].sendall(sent)
        until_closed(held[0])  # the oldest made room
        assert scrape(port, tmp_path / "ca.pem" if encrypted else None) == 200


def test_a_scrape_that_is_sent_slowly_is_cut_off(expose: Expose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "CONNECTION_S", 0.1)
    with socket.create_connection(("127.0.0.1", expose()), timeout=HANG_S) as slow:
        slow.sendall(HALF)
        until_closed(slow)


def test_with_tokens_metrics_are_for_those_who_have_one(expose: Expose, security: Security) -> None:
    assert security.tokens is not None
    port = expose(tokens=Tokens(security.tokens))
    assert [scrape(port, token=token) for token in (None, "nobody-knows-this", TOKEN)] == [401, 401, 200]


def test_a_renewed_certificate_is_shown_to_the_next_scrape(expose: Expose, tmp_path: Path, security: Security) -> None:
    port = expose(tls=security)
    assert scrape(port, tmp_path / "ca.pem") == 200
    renewed = trustme.CA()
    write_certificate(tmp_path, renewed)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        scrape(port, tmp_path / "ca.pem")
    renewed.cert_pem.write_to_path(tmp_path / "ca.pem")
    assert scrape(port, tmp_path / "ca.pem") == 200
    (tmp_path / "key.pem").write_bytes(b"")  # half-written
    assert scrape(port, tmp_path / "ca.pem") == 200


async def test_beyond_loopback_metrics_are_encrypted_and_need_a_token(tmp_path: Path, security: Security) -> None:
    for host, answers in (("127.0.0.1", [200]), ("0.0.0.0", [401, 200])):
        config = dataclasses.replace(small_config(), metrics_port=0, metrics_host=host, security=security)
        async with running(tmp_path, config) as server:
            if host == "127.0.0.1":
                found = [await asyncio.to_thread(scrape, server.metrics_port)]
            else:
                found = [
                    await asyncio.to_thread(scrape, server.metrics_port, tmp_path / "ca.pem", token)
                    for token in (None, TOKEN)
                ]
        assert found == answers


def test_metrics_beyond_loopback_without_tls_and_tokens_need_insecure() -> None:
    with pytest.raises(ValueError, match=r"--metrics-host is 0\.0\.0\.0, which other machines can reach"):
        ServeConfig(metrics_port=9464, metrics_host="0.0.0.0")
    assert ServeConfig(metrics_port=9464, metrics_host="0.0.0.0", insecure=True)
    assert ServeConfig(metrics_host="0.0.0.0")  # there is no such port
