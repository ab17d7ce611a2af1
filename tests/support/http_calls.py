"""Requests over HTTP/1.1 to a server of this event loop."""

import asyncio
import dataclasses
import http.client
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from gfp_serve.config import ServeConfig
from gfp_serve.server import Server
from tests.support.servers import HANG_S, small_config

JSON = "application/json"
EMBED = "/gfp_serve.v1.EmbeddingService/Embed"


# Opens a connection in the clear, which is closed when the test ends.
Connect = Callable[[Server], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(frozen=True)
class Reply:
    code: int
    headers: dict[str, str]
    content: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.content)


def http_config(**limits: int) -> ServeConfig:
    return dataclasses.replace(small_config(**limits), http_port=0)


def sequence_of(clip: np.ndarray, layout: str = "ntu25") -> dict[str, Any]:
    """Return a Sequence as JSON, with its positions as lists; NaN is null."""
    return {"positions": json.loads(json.dumps(clip.tolist()).replace("NaN", "null")), "layout": layout}


async def ask(
    server: Server,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    *,
    method: str = "",
    tls: ssl.SSLContext | None = None,
    **headers: str,
) -> Reply:
    """Make a request: with a body POST, else GET. Underscores in names of headers stand for dashes."""
    return await asyncio.to_thread(_ask, server.http_url, path, body, method, tls, headers)


def _ask(
    url: str,
    path: str,
    body: bytes | dict[str, Any] | None,
    method: str,
    tls: ssl.SSLContext | None,
    headers: dict[str, str],
) -> Reply:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"content-type": JSON} if body is not None else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    place = urlsplit(url).netloc
    connection = (
        http.client.HTTPConnection(place, timeout=HANG_S)
        if tls is None
        else http.client.HTTPSConnection(place, timeout=HANG_S, context=tls)
    )
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, content, sent)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    """Return the head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *lines, "", "")).encode()


def write_tokens(folder: Path, *lines: str) -> Path:
    path = folder / "tokens"
    path.write_text("\n".join(lines) + "\n")
    return path
