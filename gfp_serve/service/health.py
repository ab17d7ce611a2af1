"""The health service (grpc.health.v1), which waits for nobody.

The one of grpcio-health-checking holds a lock while it writes to a watcher. A watcher that takes no replies would keep
the server from saying anything to anybody, and from stopping.
"""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

NOT_SERVING, SERVING = health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Tells the status of each of the `services`, NOT_SERVING until `say`. Made inside an event loop."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._statuses = dict.fromkeys(services, NOT_SERVING)
        self._changed = asyncio.Event()

    def say(self, status: int) -> None:
        """Give all services this status, and tell those who watch."""
        self._statuses = dict.fromkeys(self._statuses, status)
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request: Any, context: Any) -> Any:
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: Any, context: Any) -> None:
        told = None
        while True:
            changed, status = self._changed, self._statuses.get(request.service, _UNKNOWN)
            if status == told:
                await changed.wait()
            else:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
