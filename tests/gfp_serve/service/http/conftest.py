"""Connections to the HTTP port, which are closed when their test ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from gfp_serve.server import Server
from tests.support.http_calls import Connect


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Give a function that opens a connection in the clear."""
    writers: list[asyncio.StreamWriter] = []

    async def open_one(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
