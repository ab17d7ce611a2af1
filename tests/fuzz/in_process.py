"""Calls our methods without sockets: bytes in, status and bytes out, through the server's own guard and switch."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc

from gfp_serve.batching.admission import Admission
from gfp_serve.batching.turns import Turns
from gfp_serve.encoder import Encoder
from gfp_serve.server import SERVICES
from gfp_serve.service.access import Access
from gfp_serve.service.access_log import AccessLog
from gfp_serve.service.deployment import Deployment, Switch
from gfp_serve.service.guard import Guard
from gfp_serve.service.metrics import Metrics
from gfp_serve.service.open_places import OpenPlaces
from gfp_serve.service.shares import Shares
from tests.support.any_requests import LIMITS
from tests.support.servers import galleries_of, small_config
from tests.support.tiny_bundle import tiny_bundle
from tests.support.without_processes import without_processes


class Methods:
    """A server with the tiny encoder. Calls raise the faults that the server would hide from its callers."""

    def __init__(self, folder: Path) -> None:
        self._faults = _Faults()
        self._here = ExitStack()
        self._here.enter_context(without_processes())
        logging.getLogger("gfp_serve").addHandler(self._faults)
        self._loop = asyncio.new_event_loop()
        metrics = Metrics()
        self._turns = turns = self._loop.run_until_complete(_taking_turns())
        self._switch = self._loop.run_until_complete(_deployed(folder, metrics, turns))
        self._guard = Guard(
            SERVICES,
            places=Shares(2, what="calls in progress", setting="--max-calls"),
            max_idle_s=20.0,
            other_places=OpenPlaces(1),
            access=Access(None),
            metrics=metrics,
            access_log=AccessLog(),
            turns=turns,
        )

    def call(self, name: str, contents: Iterable[bytes]) -> tuple[grpc.StatusCode, list[bytes]]:
        """Make a call; return its status and replies. A method that takes a stream may get several messages."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(name, contents), 20))

    def close(self) -> None:
        """End all that was started."""
        logging.getLogger("gfp_serve").removeHandler(self._faults)
        deployment = self._switch.current
        self._loop.run_until_complete(deployment.close())
        self._loop.run_until_complete(self._turns.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        deployment.galleries.close()
        self._here.close()
        self._loop.close()

    async def _call(self, name: str, contents: Iterable[bytes]) -> tuple[grpc.StatusCode, list[bytes]]:
        async def find(details: Any) -> Any:
            return self._switch.service(details)

        handler = await self._guard.intercept_service(find, SimpleNamespace(method=name, invocation_metadata=()))
        context = _Context(contents)
        try:
            if handler.response_streaming:
                async for _ in handler.stream_stream(None, context):
                    raise AssertionError("the guard writes replies of streams itself")
            elif (reply := await handler.stream_unary(None, context)) is not None:
                context.written.append(reply)
        except grpc.aio.AbortError:
            pass
        finally:
            context.end()
        self._faults.raise_last()
        return context.code, context.written


async def _taking_turns() -> Turns:
    return Turns(1, Admission(2**20, what="neighbours wait", setting="--max-admitted-neighbours"))


async def _deployed(folder: Path, metrics: Metrics, turns: Turns) -> Switch:
    bundle = tiny_bundle()
    deployment = Deployment(
        small_config(**LIMITS),
        bundle.manifest,
        Encoder(bundle, num_threads=1),
        galleries_of(bundle, folder / "galleries"),
        metrics=metrics,
        turns=turns,
        reading=turns,
        searches=turns,
        is_ready=lambda: True,
    )
    await deployment.prepare()
    return Switch(deployment)


class _Context:
    """Stands for gRPC's context, with all that the guard and the servicers use of it."""

    def __init__(self, contents: Iterable[bytes]) -> None:
        self.code = grpc.StatusCode.OK
        self.written: list[bytes] = []
        self._contents = iter(contents)
        self._told: list[Callable[[], object]] = []

    def when_over(self, tell: Callable[[], object]) -> None:
        self._told.append(tell)

    def end(self) -> None:
        for tell in self._told:
            tell()

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def read(self) -> Any:
        await asyncio.sleep(0)  # let other tasks run, as reading from a socket does
        return next(self._contents, grpc.aio.EOF)

    async def write(self, reply: bytes) -> None:
        self.written.append(reply)

    async def send_initial_metadata(self, _metadata: object) -> None: ...

    async def abort(self, code: grpc.StatusCode, details: str, _trailing_metadata: object) -> None:
        assert details
        self.code = code
        raise grpc.aio.AbortError(details)

    def set_trailing_metadata(self, _metadata: object) -> None: ...

    def time_remaining(self) -> None: ...


class _Faults(logging.Handler):
    """Keeps the exceptions that the server logs and hides from its callers."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._last: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._last = (record.exc_info and record.exc_info[1]) or RuntimeError(record.getMessage())

    def raise_last(self) -> None:
        fault, self._last = self._last, None
        if fault is not None:
            raise fault
