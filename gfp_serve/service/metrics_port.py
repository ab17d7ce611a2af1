"""The port of Prometheus metrics: few connections, each for a short time, and TLS and tokens where it is asked."""

import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from gfp_serve.config import Security
from gfp_serve.service.access import Tokens
from gfp_serve.service.tls import Contexts

_log = logging.getLogger(__name__)

# A scrape takes milliseconds. When as many connections are open, a new one ends the oldest, so a client that is
# silent or slow keeps nobody out.
MAX_CONNECTIONS = 16
CONNECTION_S = 10.0

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def expose_metrics(
    registry: CollectorRegistry, host: str, port: int, *, tls: Security | None = None, tokens: Tokens | None = None
) -> tuple[int, Callable[[], None]]:
    """Serve /metrics in a thread of its own. Port 0 takes a free one. Returns the port, and how to stop.

    With `tls`, over HTTPS with the server's certificate, and with certificates of clients if it asks for these. With
    `tokens`, only to those who send one of them, of any role.

    Raises `OSError` when it cannot listen on the address.
    """
    application: Application = make_wsgi_app(registry)
    server = _HttpServer(host, port, application if tokens is None else _for_tokens(tokens, application), tls)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


class _HttpServer(socketserver.ThreadingMixIn, WSGIServer):
    """Prometheus's own application, in a server with bounds.

    The server of prometheus_client has none: it lets a TLS client that says nothing keep all others out, reads its
    certificate once, and asks a resolver for the name of its address.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, application: Application, tls: Security | None) -> None:
        self._contexts = None if tls is None else Contexts(tls)
        self._until: dict[socket.socket, float] = {}  # when each open connection ends, the oldest first
        self._lock = threading.Lock()
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        super().__init__(address, _SilentHandler)  # type: ignore[arg-type]
        self.set_app(application)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._contexts is not None:
            # The handshake waits for the client, so it is left to the connection's own thread.
            connection = self._contexts.current().wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._until) >= MAX_CONNECTIONS:
                self._end(next(iter(self._until)))
            self._until[request] = time.monotonic() + CONNECTION_S
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._until.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ends connections whose time is over. The loop of the server calls this twice a second."""
        with self._lock:
            for connection in [each for each, end in self._until.items() if end < time.monotonic()]:
                self._end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  (called by name)
        """Does not print what goes wrong with one connection: it was cut off, or is not what it should be."""
        _log.debug("a scrape by %s failed", client_address, exc_info=True)

    def _end(self, connection: socket.socket) -> None:
        """End a connection, whose thread then closes it. The lock must be held."""
        del self._until[connection]
        try:
            # Not the method of an SSLSocket, which would change it under the feet of the other thread.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        except OSError:
            _log.debug("the caller was faster", exc_info=True)


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *_: object) -> None:
        """Does not log scrapes."""


def _for_tokens(tokens: Tokens, application: Application) -> Application:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if tokens.role_of_bearer(environ.get("HTTP_AUTHORIZATION")) is None:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
            return [b'Send the header "authorization: Bearer TOKEN" with a token that this server knows.\n']
        return application(environ, start_response)

    return answer
