"""The HTTP port's application: it finds the call that a request makes, passes it through the guard, and answers.

POST /gfp_serve.v1.SERVICE/METHOD      every call with one request and one reply, by the Connect protocol
/v2/...                                the Open Inference Protocol, REST form
GET / and /page/...                    the web page; needs no token, but its calls do
GET /healthz                           200 while calls are taken, otherwise 503; needs no token
GET /openapi.json                      a description of all this; needs no token
"""

import asyncio
import ipaddress
import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import grpc
from google.protobuf import descriptor_pool

from gfp_serve.config import ServeConfig, bare_host
from gfp_serve.errors import ForbiddenError, GfpError, InvalidRequestError, OutOfTimeError, quoted
from gfp_serve.service.access import Access
from gfp_serve.service.deployment import Switch
from gfp_serve.service.guard import REQUEST_ID, Form, Guard
from gfp_serve.service.http import grpc_web, open_inference
from gfp_serve.service.http.answers import JSON, Answer, error_answer, json_answer, status_answer
from gfp_serve.service.http.call import TRANSFER_S, Context, Exchange, Receive, Send, ending
from gfp_serve.service.http.deadlines import deadline_s, grpc_deadline_s
from gfp_serve.service.http.json_messages import JsonMessages
from gfp_serve.service.http.live import EMBED_STREAM, LiveStream, OpenStreams
from gfp_serve.service.http.page import page_answer
from gfp_serve.wire.status import to_status

_log = logging.getLogger(__name__)

_DESCRIPTION = Path(__file__).parent / "openapi.json"
_PROTO = "application/proto"
# How long browsers remember what they may send from other pages.
_CORS_S = 3600
# What pages of other hosts may send, and read, when they are allowed.
_ASKED_HEADERS = (
    "authorization, content-type, connect-protocol-version, connect-timeout-ms, inference-header-content-length, "
    "x-request-id, x-grpc-web, x-user-agent, grpc-timeout"
)
_SHOWN_HEADERS = (
    "x-request-id, retry-after, inference-header-content-length, grpc-status, grpc-message, grpc-status-details-bin"
)
_CALL = re.compile(r"/[\w.]+/\w+")
_OURS = "/gfp_serve.v1."


class Application:
    """An ASGI application.

    `is_ready` says whether the server takes calls at this moment. With a `tracer`, each call makes a span, as it does
    over gRPC.
    """

    def __init__(
        self,
        config: ServeConfig,
        access: Access,
        guard: Guard,
        switch: Switch,
        is_ready: Callable[[], bool],
        tracer: grpc.aio.ServerInterceptor | None = None,
    ) -> None:
        self._access = access
        self._guard = guard
        self._tracer = tracer
        self._open_streams = OpenStreams()
        self._switch = switch
        self._is_ready = is_ready
        self._max_bytes = config.limits.max_message_bytes
        self._origins = config.allowed_origins
        # A page of another host could reach the server by a name of its own that leads to this machine (DNS rebinding).
        # Tokens, which it does not have, keep it out; without, the request must not be for such a name.
        self._needs_own_name = config.security.tokens is None and not config.behind_proxy
        self._names = {origin.partition("://")[2] for origin in self._origins}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, max_bytes=self._max_bytes)
        exchange.connection.answering(asyncio.current_task())
        try:
            await self._answer(exchange)
            await exchange.finish()
        except asyncio.CancelledError:
            # The caller left, or was cut off. Nobody waits for this task.
            exchange.connection.abort()
        except Exception:
            _log.exception("a request of %s failed", exchange.connection.peer())
            exchange.connection.abort()

    async def _answer(self, exchange: Exchange) -> None:
        refusal = self._strange(exchange)
        if refusal is not None:
            await _send(exchange, refusal)
        elif exchange.method == "OPTIONS":
            await _send(exchange, Answer(204, headers=_preflight() if exchange.always else {}))
        elif exchange.path == EMBED_STREAM:
            await self._live(exchange)
        elif (inference := open_inference.form_of(exchange.method, exchange.path, exchange.headers)) is not None:
            await self._infer(exchange, inference)
        elif exchange.method == "POST" and _CALL.fullmatch(exchange.path):
            await self._call(exchange)
        else:
            await _send(exchange, self._page(exchange))

    def _strange(self, exchange: Exchange) -> Answer | None:
        """The refusal of a request that a page of another host may have made without its reader's knowledge."""
        host, origin = exchange.headers.get("host", ""), exchange.headers.get("origin")
        if self._needs_own_name and not (
            _is_private(_without_port(host)) or host in self._names or "*" in self._origins
        ):
            return error_answer(
                ForbiddenError(
                    f"the request is for the host {quoted(host)}; a server without tokens answers to localhost, to "
                    f"addresses such as 127.0.0.1, and to names without a dot. Call it by one of these, give it "
                    f"--tokens, or start it with --http-allow-origin and this host."
                )
            )
        if origin is None or origin.partition("://")[2] == host:
            return None
        if origin in self._origins or "*" in self._origins:
            exchange.always = {
                "access-control-allow-origin": origin,
                "access-control-expose-headers": _SHOWN_HEADERS,
                "vary": "origin",
            }
            return None
        return error_answer(
            ForbiddenError(
                f"a page of {quoted(origin)} made this request, and this server does not answer pages of other hosts; "
                f"start it with --http-allow-origin {origin[:80]} if it should."
            )
        )

    def _page(self, exchange: Exchange) -> Answer:
        if exchange.method not in ("GET", "HEAD"):
            return _no_such(exchange)
        if (found := page_answer(exchange.path, exchange.headers)) is not None:
            return found
        if exchange.path == "/healthz":
            is_ready = self._is_ready()
            said = {"status": "SERVING" if is_ready else "NOT_SERVING"}
            return json_answer(200 if is_ready else 503, said, {"cache-control": "no-store"})
        if exchange.path == "/openapi.json":
            return Answer(200, _description(), {"content-type": JSON})
        return _no_such(exchange)

    async def _call(self, exchange: Exchange) -> None:
        """Answer a call of one of our services, by Connect's protocol or that of gRPC-Web."""
        handler, kind = self._switch.service(SimpleNamespace(method=exchange.path)), _kind_of(exchange)
        if handler is None or handler.request_streaming:
            await _send(exchange, _no_such(exchange))
        elif kind in grpc_web.TYPES:
            web = grpc_web.GrpcWeb(kind)
            try:
                context = Context(exchange, grpc_deadline_s(exchange.headers))
            except InvalidRequestError as error:
                await _send(exchange, web.answer(None, to_status(error), ""))
                return
            async with ending(context):
                reply = await self._reply(handler, exchange.path, context, web)
                await _send(exchange, web.answer(reply, context.status, context.request_id), context)
        elif kind in (JSON, _PROTO):
            try:
                context = Context(exchange, deadline_s(exchange.headers))
            except InvalidRequestError as error:
                await _send(exchange, error_answer(error))
                return
            form = self._json(exchange) if kind == JSON else None
            async with ending(context):
                reply = await self._reply(handler, exchange.path, context, form)
                answer = _refused(context) if reply is None else Answer(200, reply, {"content-type": kind})
                await _send(exchange, answer, context)
        else:
            await _send(exchange, _wrong_type(kind))

    async def _infer(self, exchange: Exchange, form: Any) -> None:
        """Answer a call of the Open Inference Protocol."""
        method = f"/{open_inference.SERVICE}/{form.rpc}"
        try:
            context = Context(exchange, deadline_s(exchange.headers))
        except InvalidRequestError as error:
            await _send(exchange, open_inference.refusal(to_status(error)))
            return
        async with ending(context):
            reply = await self._reply(self._switch.service(SimpleNamespace(method=method)), method, context, form)
            answer = (
                open_inference.refusal(context.status, _too_large(context)) if reply is None else form.answer(reply)
            )
            await _send(exchange, answer, context)

    async def _live(self, exchange: Exchange) -> None:
        """Open a stream of live windows, or take frames of one."""
        stream_id = parse_qs(exchange.query).get("stream", [""])[0]
        try:
            if exchange.method == "POST" and _kind_of(exchange) != JSON:
                await _send(exchange, _wrong_type(_kind_of(exchange)))
            elif exchange.method == "POST" and not stream_id:
                await self._open_stream(exchange)
            elif exchange.method in ("POST", "DELETE"):
                authorization = exchange.headers.get("authorization")
                self._access.check(EMBED_STREAM, authorization)
                self._access.check_certificate(Context(exchange, None))
                stream = self._open_streams.find(stream_id, self._access.identity(authorization))
                if exchange.method == "DELETE":
                    stream.finish()
                else:
                    limit_s = deadline_s(exchange.headers)
                    with stream.offering():
                        async with asyncio.timeout(limit_s):
                            async with asyncio.timeout(TRANSFER_S):
                                frames = await exchange.body()
                            await stream.offer(frames)
                await _send(exchange, json_answer(200, {}))
            else:
                await _send(exchange, _no_such(exchange))
        except TimeoutError:
            error = OutOfTimeError(
                f"no whole message came within {TRANSFER_S:g} s, or the call's deadline passed before the frames were "
                f"taken; send fewer at once."
            )
            await _send(exchange, error_answer(error))
        except GfpError as error:
            await _send(exchange, error_answer(error, 413 if exchange.is_too_large else None))

    async def _open_stream(self, exchange: Exchange) -> None:
        owner = self._access.identity(exchange.headers.get("authorization"))
        stream = LiveStream(exchange, owner, deadline_s(exchange.headers))
        handler = self._switch.service(SimpleNamespace(method=EMBED_STREAM))
        guarded = await self._guarded(handler, EMBED_STREAM, stream, self._json(exchange))
        async with ending(stream):
            with self._open_streams.opened(stream):
                await _exhaust(guarded, stream)
            if exchange.has_begun:
                await stream.close()
            else:
                await _send(exchange, _refused(stream), stream)

    async def _guarded(self, handler: Any, method: str, context: Context, form: Form | None) -> Any:
        """The handler of a call as gRPC would have it after its interceptors."""

        async def guard(_details: Any) -> Any:
            return self._guard.guarded(handler, method, context.exchange.headers, form)

        if self._tracer is None:
            return await guard(None)
        details = SimpleNamespace(method=method, invocation_metadata=context.invocation_metadata())
        return await self._tracer.intercept_service(guard, details)

    def _json(self, exchange: Exchange) -> Form:
        method = descriptor_pool.Default().FindMethodByName(exchange.path[1:].replace("/", "."))
        return JsonMessages(method, as_lists=parse_qs(exchange.query).get("arrays") == ["lists"])

    async def _reply(self, handler: Any, method: str, context: Context, form: Form | None) -> bytes | None:
        """The reply to a call with one request; None if it failed, as the context then says."""
        guarded = await self._guarded(handler, method, context, form)
        if guarded.response_streaming:  # it is refused before it begins
            await _exhaust(guarded, context)
            return None
        reply: bytes | None = await guarded.stream_unary(None, context)
        return reply


@cache
def _description() -> bytes:
    """The description of this port; all its readers share the bytes."""
    return _DESCRIPTION.read_bytes()


async def _exhaust(guarded: Any, context: Context) -> None:
    """Make a call that writes its replies itself."""
    async for _ in guarded.stream_stream(None, context):
        raise AssertionError("the guard writes replies itself")


async def _send(exchange: Exchange, answer: Answer, context: Context | None = None) -> None:
    headers = dict(answer.headers)
    if context is not None and context.request_id:
        headers[REQUEST_ID] = context.request_id
    await exchange.answer(answer.code, headers, answer.body)


def _refused(context: Context) -> Answer:
    return status_answer(context.status, _too_large(context))


def _too_large(context: Context) -> int | None:
    return 413 if context.exchange.is_too_large else None


def _wrong_type(kind: str) -> Answer:
    wrong = InvalidRequestError(
        f"the content-type is {quoted(kind)}; send {JSON}, or for messages of protobuf {_PROTO} or {grpc_web.TYPES[0]}."
    )
    return error_answer(wrong, 415)


def _kind_of(exchange: Exchange) -> str:
    return exchange.headers.get("content-type", "").partition(";")[0].strip().lower()


def _preflight() -> dict[str, str]:
    return {
        "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
        "access-control-allow-headers": _ASKED_HEADERS,
        "access-control-max-age": str(_CORS_S),
    }


def _no_such(exchange: Exchange) -> Answer:
    said: dict[str, Any]
    if exchange.method in ("GET", "HEAD") and _CALL.fullmatch(exchange.path) and exchange.path.startswith(_OURS):
        said = {"code": "unimplemented", "message": "a call is a POST with a body of JSON, {} if it needs none."}
        return json_answer(405, said, {"allow": "POST"})
    said = {
        "code": "unimplemented",
        "message": f"there is no {exchange.method} {exchange.path[:200]}; /openapi.json lists all calls.",
        "details": [],
    }
    return json_answer(404, said)


def _is_private(name: str) -> bool:
    """Whether nobody can make the name lead elsewhere: an address, or a name of this machine or of its network."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return bare_host(name if name and port.isdecimal() else host)
