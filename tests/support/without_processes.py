"""What a server does in processes of their own, done in threads of this one: for tests that make many calls."""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gfp_serve.own_process import Bounds
from gfp_serve.service import item_maps, sent_files


async def _run(module: str, folder: Path, _bounds: Bounds, **_how: object) -> None:
    await asyncio.to_thread(importlib.import_module(module).main, folder)


@contextmanager
def without_processes() -> Iterator[None]:
    """Within this, an error that a process would end with is one of the server."""
    with pytest.MonkeyPatch.context() as patch:
        for user in (item_maps, sent_files):
            patch.setattr(user, "run", _run)
        yield
