"""A real Milvus server for tests: the standalone one of the wheel `milvus`, in an environment of its own."""

import os
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# A parameter of tests that `make test-milvus` runs, and nobody else.
MILVUS = pytest.param("milvus", marks=[pytest.mark.milvus, pytest.mark.timeout(600)])

# The wheel's own command does not say where it answers health checks, so the server is started through its package.
# It ends when its input does, with us, or when the server has.
START = """
import os, socket, sys, threading
from milvus import MilvusServer, MilvusServerConfig

def try_bind_port(config, port):
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None

# The original finds a port taken for a minute after a crash, which the server does not.
MilvusServerConfig.try_bind_port = try_bind_port
server = MilvusServer(wait_for_started=False, data_dir=sys.argv[1], proxy_port=int(sys.argv[2]))
server.start()
print(server.webservice_port, flush=True)
process = server.server_proc
threading.Thread(target=lambda: os._exit(process.wait() and 1), daemon=True).start()
sys.stdin.read()
process.kill()
process.wait()
"""


def new_prefix() -> str:
    """Of collections that no other test has."""
    return f"test_{uuid.uuid4().hex}"


class MilvusServer:
    """A server that keeps its files in `folder`. GFP_TEST_MILVUS_PYTHON is the interpreter of the wheel's environment.

    Its store takes the ports 2379 and 2380 whatever it is told, so a machine can run one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when the server is ready."""
        python = os.environ.get("GFP_TEST_MILVUS_PYTHON")
        assert python, "run `make test-milvus`: it makes the environment that this test needs."
        command = [python, "-c", START, str(self._folder), str(self._port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        health_port = int(self._process.stdout.readline())
        _wait_until_healthy(f"http://127.0.0.1:{health_port}/healthz", self._process)

    def kill(self) -> None:
        """As a crash does."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(30)
            self._process = None


@contextmanager
def running(folder: Path) -> Iterator[MilvusServer]:
    server = MilvusServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def _wait_until_healthy(url: str, process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "Milvus ended; see whether another runs, which takes the ports 2379 and 2380."
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if b"OK" in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"Milvus is not ready after {seconds} s.")
