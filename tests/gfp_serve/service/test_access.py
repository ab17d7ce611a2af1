"""Who may call what: every RPC that the server has, with no token, a bad one, and one of each role."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.client import AsyncClient, StreamSettings, Tls
from gfp_serve.config import Security, ServeConfig
from gfp_serve.errors import ForbiddenError, SettingsError, UnauthenticatedError, UnavailableError
from gfp_serve.server import Server
from gfp_serve.service import access, guard
from gfp_serve.service.access import OPEN_SERVICES, RULES, Tokens
from gfp_serve.service.tls import expiry_of
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc
from tests.support.frame_streams import FRAMES, bring, opening, stub_of
from tests.support.reflection import listed_methods
from tests.support.servers import channel_to, running, running_in_thread, small_config
from tests.support.tiny_bundle import walk

READ, WRITE, BAD = "reads-and-no-more", "writes-and-reads-too", "nobody-knows-this"
ADMIN = "may-do-everything"
OF_ROLE = {"read": READ, "write": WRITE, "admin": ADMIN}  # each may do what those before it may


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# of the tests\n\nread {READ}\nwrite   {WRITE}\nadmin {ADMIN}\n")
    return path


def config_with(**security: Path) -> ServeConfig:
    return dataclasses.replace(small_config(), security=Security(**security))


@pytest.fixture
async def guarded(tmp_path: Path, tokens: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, config_with(tokens=tokens)) as server:
        yield server


async def status_of(server: Server, method: str, token: str | None) -> grpc.StatusCode:
    """Return the status of a call with an empty message. Most are refused as empty, after the check of the token."""
    return await asyncio.to_thread(_status_of, f"127.0.0.1:{server.port}", method, token)


def _status_of(address: str, method: str, token: str | None) -> grpc.StatusCode:
    # Not asyncio's channel: it hides the status if the call is refused before its message is written.
    header = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(f"/{method}")(iter([b""]), metadata=header, timeout=20)
        if method.endswith("/Watch"):
            next(call)
            return grpc.StatusCode.OK
        try:
            for _ in call:
                pass
        except grpc.RpcError as error:
            return error.code()
        return call.code()


REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


async def test_every_rpc_has_a_rule_that_holds_for_every_kind_of_token(guarded: Server) -> None:
    async with channel_to(guarded) as channel:
        methods = await listed_methods(channel, READ)
        assert len(methods) >= 10
        for method in sorted(methods):
            if method.split("/")[0] in OPEN_SERVICES:
                for token in (None, BAD, *OF_ROLE.values()):
                    assert await status_of(guarded, method, token) not in REFUSED, method
                continue
            assert method in RULES, f"{method} has no rule: say in service/access.py who may call it"
            assert await status_of(guarded, method, None) == grpc.StatusCode.UNAUTHENTICATED, method
            assert await status_of(guarded, method, BAD) == grpc.StatusCode.UNAUTHENTICATED, method
            enough = list(OF_ROLE).index(RULES[method])
            for rank, token in enumerate(OF_ROLE.values()):
                status = await status_of(guarded, method, token)
                assert (status == grpc.StatusCode.PERMISSION_DENIED) == (rank < enough), (method, token)
                assert status != grpc.StatusCode.UNAUTHENTICATED, (method, token)


async def test_nobody_may_call_an_rpc_without_a_rule(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "gfp_serve.v1.EmbeddingService/Embed")
    found = await status_of(guarded, "gfp_serve.v1.EmbeddingService/Embed", WRITE)
    assert found == grpc.StatusCode.PERMISSION_DENIED


async def test_clients_send_their_token_and_hear_what_it_does_not_allow(guarded: Server) -> None:
    address = f"127.0.0.1:{guarded.port}"
    async with AsyncClient(address) as client:
        assert await client.health(), "health needs no token"
        with pytest.raises(UnauthenticatedError, match="came without a token; send the header"):
            await client.info()
    async with AsyncClient(address, token=BAD) as client:
        with pytest.raises(UnauthenticatedError, match="a token that this server knows"):
            await client.embed(walk(1))
    async with AsyncClient(address, token=READ) as client:
        await client.embed(walk(1))
        with pytest.raises(ForbiddenError, match="needs a token with the role write; this token has the role read"):
            await client.delete(["x"])
    async with AsyncClient(address, token=WRITE) as client:
        assert await client.delete(["x"]) == 0


async def test_a_caller_hears_what_its_token_may_do_and_without_tokens_everybody_may_do_all(
    guarded: Server, tmp_path: Path
) -> None:
    for role, token in OF_ROLE.items():
        async with AsyncClient(f"127.0.0.1:{guarded.port}", token=token) as client:
            assert (await client.info()).role == role
    async with running(tmp_path / "open") as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        assert (await client.info()).role == "admin"


async def test_a_refused_stream_says_why_although_the_event_loop_is_busy(tmp_path: Path, tokens: Path) -> None:
    async def keep_busy() -> None:
        while True:
            time.sleep(0.002)  # noqa: ASYNC251  (others of the loop wait)
            await asyncio.sleep(0)

    async def frames() -> AsyncIterator[np.ndarray]:
        yield walk(1)

    with running_in_thread(tmp_path, config_with(tokens=tokens)) as address:
        async with AsyncClient(address, token=READ) as client:
            await client.info()
            await asyncio.to_thread(tokens.write_text, f"read {WRITE}\n")
            busy = asyncio.create_task(keep_busy())
            for _ in range(20):
                with pytest.raises(UnauthenticatedError):
                    async for _ in client.stream(frames(), StreamSettings(window_frames=8, stride_frames=8)):
                        pass
            busy.cancel()


def test_tokens_can_be_added_and_withdrawn_while_the_server_runs(
    tokens: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = Tokens(tokens)
    assert (known.role_of(READ), known.role_of(WRITE), known.role_of(BAD)) == ("read", "write", None)
    tokens.write_text(f"write {READ}\n")
    assert (known.role_of(READ), known.role_of(WRITE)) == ("write", None)
    tokens.write_text("write")
    assert known.role_of(READ) == "write", "a damaged file must not lock everybody out"
    tokens.unlink()
    for _ in range(3):
        assert known.role_of(READ) == "write"
    assert caplog.text.count("stay valid") == 2, "once for the damage and once for the loss, not at every call"
    tokens.write_text(f"read {WRITE}\n")
    assert (known.role_of(READ), known.role_of(WRITE)) == (None, "read")
    assert READ not in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no token"),
        (b"# nobody\n", "has no token"),
        (b"read short", "the token of line 1 must have 16 or more"),
        (b"owner 0123456789abcdef", "line 1 must be `read TOKEN`, `write TOKEN` or `admin TOKEN`"),
        (b"read 0123456789abcdef more words", "line 1 must be"),
        (b"read 0123456789abcdef 0123456789abcdef", "the name at the end of line 1 must have at most 15 characters"),
        (b"read 0123456789abcdef a/b", "the name at the end of line 1"),
        ("read 0123456789abcdé".encode(), "must have 16 or more ASCII"),
        (b"\xff\xfe", "is not a text file"),
    ],
)
def test_a_file_of_tokens_that_is_damaged_is_refused_and_never_quoted(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_bytes(content)
    with pytest.raises(SettingsError, match=said) as refused:
        Tokens(tmp_path / "tokens")
    assert "0123456789" not in str(refused.value)


def test_a_token_has_the_name_at_the_end_of_its_line_or_that_of_the_line(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"# first\nread {READ} camera-1\nwrite {WRITE}\n")
    known = Tokens(tmp_path / "tokens")
    assert [known.name_of(token) for token in (READ, WRITE, BAD)] == ["camera-1", "line 3", None]


def test_a_file_of_tokens_that_every_user_can_read_is_warned_of(tokens: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens.chmod(0o644)
    Tokens(tokens)
    assert f"every user of this machine can read the tokens in {tokens}; run: chmod o= {tokens}" in caplog.text
    caplog.clear()
    tokens.chmod(0o640)
    Tokens(tokens)
    assert "can read" not in caplog.text


# TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def write_certificate(folder: Path, authority: trustme.CA, name: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """PEM files of a certificate, its key, and the authority."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue_cert(name)
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "certificate.pem", folder / "key.pem", folder / "ca.pem"


async def test_with_tls_calls_are_encrypted_and_strangers_are_not_trusted(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certificate, key, ca = write_certificate(tmp_path / "server", authority)
    *_, other_ca = write_certificate(tmp_path / "other", trustme.CA())
    async with running(tmp_path, config_with(tls_certificate=certificate, tls_key=key)) as server:
        address = f"127.0.0.1:{server.port}"
        async with AsyncClient(address, tls=Tls(ca=ca)) as client:
            assert (await client.embed(walk(1))).ndim == 1
        for wrong, said in (
            (Tls(ca=other_ca), "is not valid for the authorities that are trusted"),
            (Tls(), "is not valid for the authorities that are trusted"),
            (None, "closed the connection at once .* If it encrypts, use TLS"),
        ):
            async with AsyncClient(address, timeout_s=30, tls=wrong) as client:
                with pytest.raises(UnavailableError, match=said):
                    await client.health()


async def test_mutual_tls_asks_callers_for_a_certificate_of_the_right_authority(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certificate, key, ca = write_certificate(tmp_path / "server", authority)
    of_client, key_of_client, _ = write_certificate(tmp_path / "client", authority, "client.example")
    of_stranger, key_of_stranger, _ = write_certificate(tmp_path / "stranger", trustme.CA(), "client.example")
    config = config_with(tls_certificate=certificate, tls_key=key, tls_client_ca=ca)
    async with running(tmp_path, config) as server:
        address = f"127.0.0.1:{server.port}"
        async with AsyncClient(address, tls=Tls(ca=ca, certificate=of_client, key=key_of_client)) as client:
            await client.info()
        for wrong in (Tls(ca=ca), Tls(ca=ca, certificate=of_stranger, key=key_of_stranger)):
            async with AsyncClient(address, timeout_s=30, tls=wrong) as client:
                with pytest.raises(UnavailableError, match="if it asks for a client's certificate, show one that it"):
                    await client.health()


async def test_a_certificate_for_another_name_is_refused_unless_the_client_asks_for_that_name(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certificate, key, ca = write_certificate(tmp_path / "server", authority, "gfp.example")
    async with running(tmp_path, config_with(tls_certificate=certificate, tls_key=key)) as server:
        address = f"127.0.0.1:{server.port}"
        async with AsyncClient(address, tls=Tls(ca=ca, server_name="gfp.example")) as client:
            assert await client.health()
        for other in (None, "other.example"):
            async with AsyncClient(address, timeout_s=30, tls=Tls(ca=ca, server_name=other)) as client:
                with pytest.raises(UnavailableError, match=f"the certificate of {address} is for another name"):
                    await client.health()


def test_the_image_checks_its_health_over_mutual_tls_as_its_environment_says(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certificate, key, ca = write_certificate(tmp_path / "server", authority, "gfp.example")
    config = config_with(tls_certificate=certificate, tls_key=key, tls_client_ca=ca)
    with running_in_thread(tmp_path, config) as address:
        environment = {
            "GFP_ADDRESS": address,
            "GFP_TLS_CA": str(ca),
            "GFP_TLS_SERVER_NAME": "gfp.example",
            "GFP_TLS_CERTIFICATE": str(certificate),
            "GFP_TLS_KEY": str(key),
        }
        healthy = CliRunner().invoke(gfp, ["health"], env=environment)
        assert (healthy.exit_code, healthy.output) == (0, "serving\n")
        without = CliRunner().invoke(gfp, ["health"], env={"GFP_ADDRESS": address})
        assert without.exit_code == 1
        assert "If it encrypts, use TLS (gfp: --tls-ca)" in without.output


async def test_an_open_stream_ends_when_its_token_is_withdrawn(
    guarded: Server, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_CHECK_EACH_S", 0.01)
    async with channel_to(guarded) as channel:
        idle, busy = (
            stub_of(channel).EmbedStream(metadata=[("authorization", f"Bearer {token}")]) for token in (READ, WRITE)
        )
        for call in (idle, busy):
            await call.write(opening())
            await call.initial_metadata()
        await asyncio.to_thread(tokens.write_text, f"write {WRITE}\n")
        with pytest.raises(grpc.aio.AioRpcError, match="did not bring a token that this server knows") as caught:
            await idle.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await busy.write(bring(FRAMES[:8]))
        assert (await busy.read()).embedding.values
        await busy.done_writing()


async def test_a_stream_whose_token_is_withdrawn_gets_no_answer_to_its_next_frames(
    guarded: Server, tokens: Path
) -> None:
    async with channel_to(guarded) as channel:
        call = stub_of(channel).EmbedStream(metadata=[("authorization", f"Bearer {READ}")])
        await call.write(opening())
        await call.initial_metadata()
        await asyncio.to_thread(tokens.write_text, f"write {WRITE}\n")
        await call.write(bring(FRAMES[:8]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_calls_and_open_streams_end_when_the_callers_certificate_expires(
    tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_CHECK_EACH_S", 0.01)
    certificate, key, ca = write_certificate(tmp_path / "server", authority)
    of_client, key_of_client, _ = write_certificate(tmp_path / "client", authority, "client.example")
    config = config_with(tls_certificate=certificate, tls_key=key, tls_client_ca=ca)
    shown = grpc.ssl_channel_credentials(ca.read_bytes(), key_of_client.read_bytes(), of_client.read_bytes())
    async with (
        running(tmp_path, config) as server,
        grpc.aio.secure_channel(f"127.0.0.1:{server.port}", shown) as channel,
    ):
        call = stub_of(channel).EmbedStream()
        await call.write(opening())
        await call.initial_metadata()
        monkeypatch.setattr(access, "expiry_of", lambda _: datetime(2020, 2, 29, 12, tzinfo=UTC))
        with pytest.raises(grpc.aio.AioRpcError, match="expired on 2020-02-29 at 12:00 UTC") as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError, match="expired on 2020-02-29"):
            await embedding_pb2_grpc.EmbeddingServiceStub(channel).GetInfo(embedding_pb2.GetInfoRequest())


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2077])
def test_the_expiry_of_a_certificate_is_read(year: int) -> None:
    expiry = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    issued = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("client.example", not_after=expiry)
    assert expiry_of(issued.cert_chain_pems[0].bytes().decode()) == expiry


async def test_a_renewed_certificate_is_shown_to_new_connections_without_a_restart(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certificate, key, _ = write_certificate(tmp_path / "server", authority)
    async with running(tmp_path, config_with(tls_certificate=certificate, tls_key=key)) as server:
        renewed = trustme.CA()
        *_, new_ca = write_certificate(tmp_path / "server", renewed)
        async with AsyncClient(f"127.0.0.1:{server.port}", tls=Tls(ca=new_ca)) as client:
            await client.info()
        # The server ignores half-written files.
        key.write_bytes(b"")
        async with AsyncClient(f"127.0.0.1:{server.port}", tls=Tls(ca=new_ca)) as client:
            await client.info()


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"tls_certificate": Path("a.pem")}, "belong together"),
        ({"tls_key": Path("a.pem")}, "belong together"),
        ({"tls_client_ca": Path("a.pem")}, "--tls-client-ca needs TLS"),
    ],
)
def test_half_of_a_tls_setup_is_refused(security: dict[str, Path], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Security(**security)


def test_listening_beyond_loopback_needs_tls_and_tokens_or_insecure(tokens: Path) -> None:
    tls = {"tls_certificate": Path("a.pem"), "tls_key": Path("b.pem")}
    for half in (Security(), Security(**tls), Security(tokens=tokens)):
        with pytest.raises(ValueError, match="which other machines can reach"):
            ServeConfig(host="0.0.0.0", security=half)
        assert ServeConfig(host="0.0.0.0", security=half, insecure=True)
    assert ServeConfig(host="0.0.0.0", security=Security(**tls, tokens=tokens))


async def test_a_certificate_that_is_not_pem_stops_the_server_before_it_serves(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("hello")
    for path, said in ((tmp_path / "a.pem", "is not a PEM file"), (tmp_path / "none.pem", "No such file")):
        with pytest.raises(SettingsError, match=said):
            async with running(tmp_path / path.stem, config_with(tls_certificate=path, tls_key=path)):
                pass
