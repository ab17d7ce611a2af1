"""The health service tells everybody, also beside those who take no replies."""

import asyncio
from types import SimpleNamespace

import grpc
from grpc_health.v1 import health_pb2

from gfp_serve.service.health import NOT_SERVING, SERVING, HealthServicer

REQUEST = health_pb2.HealthCheckRequest(service="")


class Watcher:
    """A caller of Watch, who takes replies only while `takes` is set."""

    def __init__(self, *, takes: bool) -> None:
        self.told: list[int] = []
        self.changed = asyncio.Event()
        self._takes = takes

    async def write(self, reply: health_pb2.HealthCheckResponse) -> None:
        if not self._takes:
            await asyncio.Event().wait()
        self.told.append(reply.status)
        self.changed.set()


async def test_a_watcher_who_takes_no_replies_holds_up_nobody() -> None:
    health = HealthServicer(("",))
    deaf, other = Watcher(takes=False), Watcher(takes=True)
    watching = [asyncio.create_task(health.Watch(REQUEST, each)) for each in (deaf, other)]
    for status in (SERVING, NOT_SERVING):
        await asyncio.wait_for(other.changed.wait(), 30)
        other.changed.clear()
        health.say(status)
    await asyncio.wait_for(other.changed.wait(), 30)
    assert other.told == [NOT_SERVING, SERVING, NOT_SERVING]
    assert (await health.Check(REQUEST, None)).status == NOT_SERVING
    for each in watching:
        each.cancel()


async def test_a_watcher_who_leaves_takes_nothing_from_the_others() -> None:
    health = HealthServicer(("",))
    first, other = Watcher(takes=True), Watcher(takes=True)
    watching = [asyncio.create_task(health.Watch(REQUEST, each)) for each in (first, other)]
    await asyncio.wait_for(other.changed.wait(), 30)
    other.changed.clear()
    watching[0].cancel()
    health.say(SERVING)
    await asyncio.wait_for(other.changed.wait(), 30)
    assert other.told == [NOT_SERVING, SERVING]
    watching[1].cancel()


async def test_a_service_that_does_not_exist_is_not_found_and_may_be_watched() -> None:
    health = HealthServicer(("",))
    unknown = health_pb2.HealthCheckRequest(service="nothing")
    codes: list[grpc.StatusCode] = []

    async def abort(code: grpc.StatusCode) -> None:
        codes.append(code)
        raise grpc.aio.AbortError

    try:
        await health.Check(unknown, SimpleNamespace(abort=abort))
    except grpc.aio.AbortError:
        assert codes == [grpc.StatusCode.NOT_FOUND]
    watcher = Watcher(takes=True)
    watching = asyncio.create_task(health.Watch(unknown, watcher))
    await asyncio.wait_for(watcher.changed.wait(), 30)
    assert watcher.told == [health_pb2.HealthCheckResponse.SERVICE_UNKNOWN]
    assert codes
    watching.cancel()
