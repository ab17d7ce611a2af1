"""What large messages cost a gRPC server that does nothing with them: no server of gRPC's asyncio can do better.

gRPC's Python core copies a message into one block while it holds the interpreter's lock, in the thread of the event
loop. Nothing else is answered until that is done.
"""

import asyncio
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.attacks.kinds import OWN_CONNECTION, Stop
from benchmarks.attacks.parties import CONTEXT

SIZES_MB = (4, 16, 30, 60)
NUM_CALLERS = 2
WARM_S = 2.0  # after which callers send as fast as they will
ASK_EACH_S = 0.02
_ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_SINK = "/bare.Sink/Take"


def beside_large_messages(seconds: float) -> list[dict[str, float]]:
    """For no messages, and for each size: p50 and p99 of health in ms, and how many messages were taken a second."""
    pipe, theirs = CONTEXT.Pipe()
    server = CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        address = f"127.0.0.1:{pipe.recv()}"
        alone = {"message_mb": 0.0, **asyncio.run(_ask(address, seconds)), "messages_per_s": 0.0}
        return [alone, *(_beside(address, size_mb, seconds) for size_mb in SIZES_MB)]
    finally:
        server.kill()
        server.join()


def _beside(address: str, size_mb: int, seconds: float) -> dict[str, float]:
    stop, count = CONTEXT.Event(), CONTEXT.Value("i", 0)
    callers = CONTEXT.Process(target=_send, args=(address, size_mb * 10**6, stop, count), daemon=True)
    callers.start()
    try:
        while not count.value:
            time.sleep(0.1)
        time.sleep(WARM_S)
        before, begin = count.value, time.monotonic()
        found = asyncio.run(_ask(address, seconds))
        rate = (count.value - before) / (time.monotonic() - begin)
        return {"message_mb": float(size_mb), **found, "messages_per_s": round(rate, 1)}
    finally:
        stop.set()
        callers.join(30)
        callers.kill()


async def _ask(address: str, seconds: float) -> dict[str, float]:
    took_s = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        end = time.monotonic() + seconds
        while (begin := time.monotonic()) < end:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
            took_s.append(time.monotonic() - begin)
            await asyncio.sleep(ASK_EACH_S)
    p50, p99 = np.quantile(took_s, [0.5, 0.99])
    return {"health_p50_ms": round(1e3 * float(p50), 1), "health_p99_ms": round(1e3 * float(p99), 1)}


def _send(address: str, num_bytes: int, stop: Stop, count: Any) -> None:
    message = bytes(num_bytes)

    def send() -> None:
        with grpc.insecure_channel(address, [*OWN_CONNECTION, *_ANY_SIZE]) as channel:
            call = channel.unary_unary(_SINK)
            while not stop.is_set():
                call(message, timeout=60)
                with count.get_lock():
                    count.value += 1

    threads = [threading.Thread(target=send) for _ in range(NUM_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_serving(pipe))


async def _serving(pipe: Connection) -> None:
    class Health(health_pb2_grpc.HealthServicer):
        async def Check(self, _request: Any, _context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def take(_message: bytes, _context: Any) -> bytes:
        return b""

    server = grpc.aio.server(options=_ANY_SIZE)
    health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
    _, service, method = _SINK.split("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(take)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pipe.send(port)
    await server.wait_for_termination()
