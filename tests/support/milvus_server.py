"""A real Milvus server for tests: the standalone server of the wheel `milvus`, in its own environment."""

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

# A parameter of tests that only `make test-milvus` runs.
MILVUS = pytest.param("milvus", marks=[pytest.mark.milvus, pytest.mark.timeout(600)])

# The wheel's own command does not print the port of its health checks, so we start the server through its package.
# This program ends when its input ends, which happens when we end, or when the server ends.
START = """
import os, socket, sys, threading
from milvus import MilvusServer, MilvusServerConfig

def try_bind_port(config, port):
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None

# For a minute after a crash the original believes that the port is taken. The server can use it.
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
    """Return a prefix of collections that no other test has."""
    return f"test_{uuid.uuid4().hex}"


class MilvusServer:
    """A server that keeps its files in `folder`. GFP_TEST_MILVUS_PYTHON is the interpreter of the wheel's environment.

    Its store always takes the ports 2379 and 2380, so a machine can run only one server at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server, and return when it is ready."""
        python = os.environ.get("GFP_TEST_MILVUS_PYTHON")
        assert python, "run `make test-milvus`: it makes the environment that this test needs."
        command = [python, "-c", START, str(self._folder), str(self._port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        health_port = int(self._process.stdout.readline())
        _wait_until_healthy(f"http://127.0.0.1:{health_port}/healthz", self._process)

    def kill(self) -> None:
        """Stop the server as a crash would."""
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
