"""The guard, which every call passes: access, parsing, deadline, errors, metrics, and how many calls run."""

import asyncio
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gfp_serve.batching.turns import Turns, Work
from gfp_serve.errors import (
    ClosedError,
    ForbiddenError,
    GfpError,
    InvalidRequestError,
    OutOfTimeError,
    OverloadedError,
    ServerError,
    UnauthenticatedError,
)
from gfp_serve.service.access import CALLER, ROLE, Access, caller_of
from gfp_serve.service.access_log import AccessLog, Call
from gfp_serve.service.grpc_log import quiet_grpc
from gfp_serve.service.message_size import checking_num_values
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.open_places import OpenPlaces
from gfp_serve.service.shares import Shares
from gfp_serve.wire.status import is_answerable, reason_of, to_status

_log = logging.getLogger(__name__)

Parse = Callable[[bytes, Any], Awaitable[Any]]

# A clip of two bodies has 72 KB and is parsed in 2 µs, much less than it takes to hand it to a thread and back. The
# worst message of this many bytes, 65,000 empty parts, takes 2 ms.
_FEW_BYTES = 2**17

REQUEST_ID = "x-request-id"
# A call that needs no token must send its request within this time, and take its reply.
_REQUEST_S = 10.0
# Any other call must send its first message within this time, which may be a large one on a slow line.
_FIRST_MESSAGE_S = 60.0
# When the server ends, calls have this time for the message that they had sent already.
_ON_ITS_WAY_S = 0.5
# How often it is checked that an open stream may go on.
_CHECK_EACH_S = 1.0
# An id that the caller chose is used if it looks like this, because it ends up in logs.
_VALID_ID = re.compile(r"[A-Za-z0-9._:/-]{1,64}")

# Refusals before any work. Metrics count them by reason.
_REJECTIONS = (OverloadedError, ClosedError, UnauthenticatedError, ForbiddenError)


@runtime_checkable
class Form(Protocol):
    """How the messages of a call are written, where that is not gRPC's form. Each method does its work in pieces."""

    # A message of at most this many bytes is read or written in less time than it takes to hand it to a thread.
    few_bytes: int

    def reading(self, content: bytes, read: list[bytes]) -> Work:
        """Add gRPC's form of a message that the caller sent. Raises `InvalidRequestError` for what is none."""
        ...

    def writing(self, content: bytes, written: list[bytes]) -> Work:
        """Add the form in which the caller gets a reply that is given in gRPC's."""
        ...


@runtime_checkable
class TellsItsEnd(Protocol):
    """A context that is not gRPC's, and says itself when its call is over."""

    def when_over(self, tell: Callable[[], object]) -> None:
        """Call `tell` then."""
        ...


@dataclass(slots=True)
class _Outcome:
    """How a call ends, and when it began to cost time of the server."""

    status: Status = field(default_factory=Status)
    started: float = field(default_factory=time.perf_counter)


class Guard(grpc.aio.ServerInterceptor):
    """Wraps each method of the `services` (full names), so that servicers need no error handling of their own.

    A call takes one of the `places` before its request is read, so that calls without a request are bounded too, and
    until its reply is taken. A stream whose caller sends nothing for `max_idle_s` seconds ends.

    For methods of the service of health, which needs no token, it only parses the requests, and gives them
    `other_places`.
    """

    def __init__(
        self,
        services: tuple[str, ...],
        *,
        places: Shares,
        max_idle_s: float,
        other_places: OpenPlaces,
        access: Access,
        metrics: Metrics,
        access_log: AccessLog,
        turns: Turns,
    ) -> None:
        quiet_grpc()
        self.num_calls = 0
        self._turns = turns
        self._places = places
        self._max_idle_s = max_idle_s
        self._other_places = other_places
        self._access = access
        self._metrics = metrics
        self._access_log = access_log
        self._prefixes = tuple(f"/{service}/" for service in services)
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._reading: set[asyncio.Timeout] = set()  # of each call that waits for a message of its caller

    async def close(self, grace_s: float) -> None:
        """Refuse new calls and more messages, and wait until those in progress are answered, at most `grace_s`."""
        self._closed = True
        # A message that is on its way is still taken.
        end = asyncio.get_running_loop().time() + min(grace_s, _ON_ITS_WAY_S)
        for reading in self._reading:
            if not reading.expired():  # such a one ends by itself, and cannot be changed any more
                reading.reschedule(min(end, reading.when() or end))
        try:
            await asyncio.wait_for(self._idle.wait(), grace_s)
        except TimeoutError:
            _log.warning("%d calls did not finish within %g s and are cut off", self.num_calls, grace_s)

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], call_details: Any) -> Any:
        handler = await continuation(call_details)
        if handler is None:
            return None
        return self.guarded(handler, call_details.method, dict(call_details.invocation_metadata or ()))

    def guarded(self, handler: Any, method: str, metadata: Mapping[str, Any], form: Form | None = None) -> Any:
        """The handler of a call that this guards; its messages have the `form`, or else gRPC's."""
        authorization = metadata.get("authorization")
        request_id = _request_id(metadata)
        call = self._call(method, request_id, authorization)
        try:
            self._access.check(method, authorization)
        except GfpError as error:
            return self._refusing(method, error, call)
        parse = _parser(method, call.reading(handler.request_deserializer), self._turns, form)
        if not method.startswith(self._prefixes):
            return self._with_our_parser(handler, parse)

        def to_bytes(reply: Any) -> bytes:
            # Large replies come as bytes, see `ReplyParts`.
            return reply if isinstance(reply, bytes) else handler.response_serializer(reply)

        serialize = call.writing(to_bytes)
        write = _writer(form, self._turns)

        identity, role = self._access.identity(authorization), self._access.role_of(authorization)

        def check(context: Any) -> None:
            self._access.check(method, authorization)
            self._access.check_certificate(context)

        async def unary(_contents: AsyncIterator[bytes], context: Any) -> bytes | None:
            CALLER.set(identity)
            ROLE.set(role)
            held = ExitStack()
            # gRPC sends the reply after this has returned, in one piece with the status: a caller must not hear of a
            # call that a dying server has answered but not ended. A caller who does not take it keeps its place.
            _when_over(context, held.close)
            reply = None
            async with self._in_progress(method, request_id, context, call) as outcome:
                self._access.check_certificate(context)
                held.enter_context(self._admitted(context))
                content = await self._read(context, _FIRST_MESSAGE_S)
                if content is grpc.aio.EOF:
                    raise InvalidRequestError("the call ended without a request; send one message.")
                outcome.started = time.perf_counter()  # not while the caller sent it
                request = await parse(content, context)
                del content
                reply = await write(serialize(await handler.unary_unary(request, context)), context)
                del request
            if outcome.status.code:
                reply = None
                await _abort(context, outcome.status, request_id)
            return reply

        async def stream(_contents: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            CALLER.set(identity)
            async with (
                self._in_progress(method, request_id, context, call) as outcome,
                _while_passing(partial(check, context)),
            ):
                with self._admitted(context):
                    async with (
                        aclosing(self._requests(parse, context, partial(check, context))) as requests,
                        # Otherwise the servicer's cleaning up would wait for the garbage collector.
                        aclosing(handler.stream_stream(requests, context)) as replies,
                    ):
                        async for reply in replies:
                            with _cancelled_if_caller_left():
                                await context.write(await write(serialize(reply), context))
            if outcome.status.code:
                reply = None
                await _abort(context, outcome.status, request_id)
            return
            yield

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        # As if requests came in a stream: gRPC reads that of another method without a limit of time, and before the
        # call has a place.
        return grpc.stream_unary_rpc_method_handler(unary)

    async def _requests(self, parse: Parse, context: Any, check: Callable[[], None]) -> AsyncGenerator[Any, None]:
        """The requests of a stream, each after a `check` that it may still be made."""
        limit_s = min(_FIRST_MESSAGE_S, self._max_idle_s)
        while (content := await self._read(context, limit_s)) is not grpc.aio.EOF:
            check()
            yield await parse(content, context)
            limit_s = self._max_idle_s

    async def _read(self, context: Any, limit_s: float) -> Any:
        """The next message of the caller. Raises `OutOfTimeError`, and `ClosedError` when the server stops."""
        self._refuse_if_closed()
        try:
            async with asyncio.timeout(limit_s) as reading:
                self._reading.add(reading)
                try:
                    # Not gRPC's own iterator, which warns when it is left before its end.
                    return await context.read()
                finally:
                    self._reading.discard(reading)
        except TimeoutError:
            self._refuse_if_closed()
            if limit_s == self._max_idle_s:
                words = (
                    f"no message came for {limit_s:g} s, so the call was ended; call again when there is something to "
                    f"send, or raise --max-idle-s of the server."
                )
            else:
                words = (
                    f"no whole message came within {limit_s:g} s, so the call was ended; send less at once, or over a "
                    f"faster line."
                )
            raise OutOfTimeError(words) from None

    def _call(self, method: str, request_id: str, authorization: str | None) -> Call:
        caller = self._access.name_of(authorization) if self._access_log.is_on else None
        return Call(self._access_log, method.removeprefix("/"), request_id, caller)

    def _refusing(self, method: str, error: GfpError, call: Call) -> Any:
        async def refuse(_contents: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            self._count(method, to_status(error), 0.0, error, call, context)
            await _abort(context, to_status(error))
            return
            yield  # never reached: it makes this a stream, which can be refused before the caller has sent anything

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _with_our_parser(self, handler: Any, parse: Parse) -> Any:
        """The handler of a method of health, with an error of ours for bytes that are not its message."""
        places = self._other_places

        # As a stream, whatever the method is, because then this parses.
        async def answer(_contents: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            status, peer = Status(), context.peer()
            try:
                with _cancelled_if_caller_left(), places.while_waiting(peer):
                    async with asyncio.timeout(_REQUEST_S):
                        content = await context.read()
                        if content is grpc.aio.EOF:  # the caller has nothing to ask
                            return
                        request = await parse(content, context)
                        if not handler.response_streaming:
                            await context.write(await handler.unary_unary(request, context))
                            return
                # Until the reply is written: whoever takes no replies must not take the places of others.
                with _cancelled_if_caller_left(), places.while_open(peer):
                    await handler.unary_stream(request, context)  # Watch writes its replies itself
            except (InvalidRequestError, OverloadedError) as error:
                status.CopyFrom(to_status(error))
            except TimeoutError:
                status.CopyFrom(
                    to_status(OutOfTimeError(f"no request came within {_REQUEST_S:g} s; send it with the call."))
                )
            if status.code:
                await _abort(context, status)
            return
            yield

        return grpc.stream_stream_rpc_method_handler(answer, None, handler.response_serializer)

    @asynccontextmanager
    async def _in_progress(self, method: str, request_id: str, context: Any, call: Call) -> AsyncIterator[_Outcome]:
        """Count the call. If something goes wrong in it, fill the status that this gives, for the caller to get."""
        outcome = _Outcome()
        status = outcome.status
        self.num_calls += 1
        self._idle.clear()
        failure: Exception | None = None
        try:
            context.set_trailing_metadata(((REQUEST_ID, request_id),))
            try:
                # A caller whose deadline passes is treated like one that hangs up: its clips are not encoded.
                async with asyncio.timeout(context.time_remaining()):
                    yield outcome
            except TimeoutError:
                failure = OutOfTimeError(
                    "the call's deadline passed before its answer; give it more time, or send less at once."
                )
            except Exception as error:
                failure = error
            if failure is not None:
                status.CopyFrom(_status_of(failure, request_id))
        except asyncio.CancelledError:
            status.code = grpc.StatusCode.CANCELLED.value[0]
            raise
        finally:
            self._count(method, status, time.perf_counter() - outcome.started, failure, call, context)
            failure = None  # its traceback refers to this frame and the request: see `_abort`
            self.num_calls -= 1
            if self.num_calls == 0:
                self._idle.set()

    @contextmanager
    def _admitted(self, context: Any) -> Iterator[None]:
        self._refuse_if_closed()
        with self._places.place(context):
            yield

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError(
                "the server is shutting down and takes no more calls; ask another server, or try again later."
            )

    def _count(
        self, method: str, status: Status, seconds: float, failure: Exception | None, call: Call, context: Any
    ) -> None:
        self._metrics.answered(method.removeprefix("/"), _CODES[status.code], seconds)
        by_stranger = isinstance(failure, UnauthenticatedError) and call.caller is None
        call.end(_CODES[status.code], status, seconds, context, by_stranger=by_stranger)
        if isinstance(failure, _REJECTIONS):
            self._metrics.rejected(reason_of(type(failure)).lower())


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


async def _abort(context: Any, status: Status, request_id: str | None = None) -> None:
    """Tell the caller about a failure, and return; gRPC ends the call as soon as the handler has returned too.

    The context keeps the exception of `context.abort`, whose traceback refers to the context. While it does, the call
    with its stream and its request stays in memory until the garbage collector runs, and counts as open for
    `grpc.max_concurrent_streams`. Therefore the traceback is removed here, and gRPC raises the exception again itself.
    """
    told = rpc_status.to_status(status)
    trailing = told.trailing_metadata if request_id is None else (*told.trailing_metadata, (REQUEST_ID, request_id))
    try:
        await context.abort(told.code, told.details, trailing)
    except grpc.aio.AbortError as error:
        error.with_traceback(None)


def _when_over(context: Any, tell: Callable[[], object]) -> None:
    """Call `tell` when the present call is over: when its reply has been sent, or none will be.

    gRPC's own `add_done_callback` would tie the call to itself. Its stream would then count until the garbage collector
    comes by, and a connection with too many such streams is refused each further one. (And the collector does not come
    by where no call runs.) So for gRPC it is the end of the task that answers the call and sends the reply.
    """
    if isinstance(context, TellsItsEnd):
        context.when_over(tell)
    elif (task := asyncio.current_task()) is not None:
        task.add_done_callback(lambda _: tell())


@contextmanager
def _cancelled_if_caller_left() -> Iterator[None]:
    """End what runs in here as cancelled when a reply cannot be written: its caller left, and nothing failed."""
    try:
        yield
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None


def _parser(method: str, deserialize: Callable[[bytes], Any], turns: Turns, form: Form | None) -> Parse:
    """What makes a message of a call's bytes. Large ones are parsed in turns, so that other calls go on meanwhile."""
    message_type = descriptor_pool.Default().FindMethodByName(method.removeprefix("/").replace("/", ".")).input_type

    few_bytes = _FEW_BYTES if form is None else form.few_bytes

    def parsing(content: bytes, parsed: list[Any]) -> Work:
        if form is not None:
            read: list[bytes] = []
            yield from form.reading(content, read)
            content = read.pop()
        yield from checking_num_values(content, message_type)
        try:
            parsed.append(deserialize(content))
        except DecodeError as error:
            raise InvalidRequestError(f"the bytes are not a message of this call ({error}); see the .proto.") from error
        yield

    async def parse(content: bytes, context: Any) -> Any:
        parsed: list[Any] = []
        await _do(parsing(content, parsed), turns, context, is_long=len(content) > few_bytes)
        return parsed.pop()

    return parse


def _writer(form: Form | None, turns: Turns) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """What gives a reply the form that the caller asked for."""

    async def write(content: bytes, context: Any) -> bytes:
        if form is None:
            return content
        written: list[bytes] = []
        await _do(form.writing(content, written), turns, context, is_long=len(content) > form.few_bytes)
        return written.pop()

    return write


async def _do(work: Work, turns: Turns, context: Any, *, is_long: bool) -> None:
    if is_long:
        await turns.run(work, caller=caller_of(context))
    else:
        deque(work, maxlen=0)


@asynccontextmanager
async def _while_passing(check: Callable[[], None]) -> AsyncIterator[None]:
    """End what runs in here with the error that `check` raises, soon after it begins to raise one.

    A stream may be open for days, after its token was withdrawn or its caller's certificate has expired.
    """
    refusals: list[GfpError] = []

    async def watch() -> None:
        while not refusals:
            await asyncio.sleep(_CHECK_EACH_S)
            try:
                check()
            except GfpError as error:
                refusals.append(error)
                scope.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as scope:
            watching = asyncio.create_task(watch(), name="watch over a stream")
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not refusals:
            raise
        raise refusals[0] from None


def _request_id(metadata: Mapping[str, Any]) -> str:
    asked = metadata.get(REQUEST_ID, "")
    return asked if isinstance(asked, str) and _VALID_ID.fullmatch(asked) else secrets.token_hex(6)


def _status_of(failure: Exception, request_id: str) -> Status:
    if isinstance(failure, GfpError) and is_answerable(failure):
        return to_status(failure)
    _log.error("request_id=%s failed", request_id, exc_info=failure, extra={"request_id": request_id})
    return to_status(
        ServerError(f"the server failed inside; its log has the reason under request_id={request_id}. Report it there.")
    )
