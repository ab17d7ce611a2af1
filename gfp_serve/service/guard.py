"""What every call of ours passes through: parsing, deadline, errors, and the count of calls in progress."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gfp_serve.errors import ClosedError, GfpError, InvalidRequestError, OutOfTimeError, OverloadedError, ServerError
from gfp_serve.service.status import is_answerable, to_status

_log = logging.getLogger(__name__)


class Guard(grpc.aio.ServerInterceptor):
    """Wraps each method of the `services` (full names), so that no servicer needs error handling of its own."""

    def __init__(self, services: tuple[str, ...], *, max_calls: int) -> None:
        self._max_calls = max_calls
        self._prefixes = tuple(f"/{service}/" for service in services)
        self._num_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def close(self, grace_s: float) -> None:
        """Refuse new calls and wait until those in progress are answered, at most `grace_s`."""
        self._closed = True
        try:
            await asyncio.wait_for(self._idle.wait(), grace_s)
        except TimeoutError:
            _log.warning("%d calls did not finish within %g s and are cut off", self._num_calls, grace_s)

    async def intercept_service(self, continuation: Callable[..., Awaitable[Any]], call_details: Any) -> Any:
        handler = await continuation(call_details)
        if handler is None or not call_details.method.startswith(self._prefixes):
            return handler

        async def guarded(content: bytes, context: Any) -> Any:
            self._num_calls += 1
            self._idle.clear()
            try:
                return await self._answer(handler, content, context)
            except _RefusedError as refused:
                await context.abort_with_status(rpc_status.to_status(refused.status))
            finally:
                self._num_calls -= 1
                if self._num_calls == 0:
                    self._idle.set()

        # Parsing happens inside, because gRPC's own answer to bytes that are no message names no cause.
        return grpc.unary_unary_rpc_method_handler(guarded, None, handler.response_serializer)

    async def _answer(self, handler: Any, content: bytes, context: Any) -> Any:
        try:
            if self._closed:
                raise ClosedError(
                    "the server is shutting down and takes no more calls; ask another, or try again later."
                )
            if self._num_calls > self._max_calls:
                raise OverloadedError(
                    f"the server has {self._max_calls} calls in progress and takes no more; try again in a second.",
                    retry_after_s=1.0,
                )
            try:
                request = handler.request_deserializer(content)
            except DecodeError as error:
                raise InvalidRequestError(
                    f"the bytes are no message of this call ({error}); see the .proto."
                ) from error
            # A caller whose deadline passes is treated as one that hangs up: its clips are not computed.
            async with asyncio.timeout(context.time_remaining()):
                return await handler.unary_unary(request, context)
        except TimeoutError as error:
            late = OutOfTimeError("the call's deadline passed before its answer; raise it, or send less at once.")
            raise _RefusedError(to_status(late)) from error
        except GfpError as error:
            if not is_answerable(error):
                raise _RefusedError(_internal(error)) from error
            raise _RefusedError(to_status(error)) from error
        except Exception as error:
            raise _RefusedError(_internal(error)) from error


class _RefusedError(Exception):
    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def _internal(error: Exception) -> Status:
    request_id = secrets.token_hex(6)
    _log.error("request_id=%s failed", request_id, exc_info=error)
    return to_status(
        ServerError(f"the server failed inside; its log tells more under request_id={request_id}. Report it there.")
    )
