"""A real `gfp-serve` process with tokens, a folder of its own, and a bundle that can be changed while it runs."""

import dataclasses
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import psutil

from gfp_serve.bundle import Bundle, CanonicalClip
from gfp_serve.config import SHIPPED_BUNDLES
from gfp_serve.layouts import layout_named
from gfp_serve.preprocess import prepare
from gfp_serve.v1 import embedding_pb2, embedding_pb2_grpc

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from gfp_serve.cli.serve import gfp_serve; gfp_serve()")
SAMPLE_S = 0.1  # between two looks at the server's memory
START_S = 120.0  # the longest that a start may take
# The longest that a change of the bundle may take: galleries that FAISS still trains for are not free meanwhile.
RELOAD_S = 600.0
STOP_S = 60.0  # the longest that an end may take; calls in progress have DRAIN_S of it
DRAIN_S = 5
BUNDLES = ("first", "second")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What an attacker may know: where the server is, and the tokens of the callers that some attackers are."""

    address: str  # HOST:PORT
    metrics_port: int
    pid: int
    work: Path  # has galleries, tokens, bundles and the log
    read: str
    write: str
    admin: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def galleries(self) -> Path:
        """The folder of the galleries of the bundle that is served first."""
        digest = Bundle.read(self.work / BUNDLES[0]).manifest.encoder_digest
        return self.work / "galleries" / digest[:12]

    def as_reader(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.read}")]

    def as_writer(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.write}")]

    def as_admin(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.admin}")]


@dataclass
class Memory:
    """Reads the resident memory of the server in a thread. Each reading is (monotonic time, megabytes)."""

    readings: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pid: int | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def now(self) -> float:
        return self.readings[-1][1] if self.readings else 0.0

    def between(self, start: float, end: float) -> list[float]:
        return [megabytes for when, megabytes in self.readings if start <= when <= end]

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            if (pid := self.pid) is None:
                continue
            try:
                self.readings.append((time.monotonic(), psutil.Process(pid).memory_info().rss / 1e6))
            except psutil.Error:  # it has just ended
                continue


class Scene:
    """Use it in a `with` block: the server runs at its beginning, and has ended at its end."""

    def __init__(self, work: Path, options: tuple[object, ...] = (), files: int | None = None) -> None:
        """`files` is the most files that the system lets the server open."""
        self.work = work
        self.memory = Memory()
        self._options = options
        self._files = files
        self._port = self._metrics_port = 0
        self._process: subprocess.Popen[str] | None = None
        work.mkdir(parents=True)
        write_bundles(work)
        self.choose_bundle(BUNDLES[0])
        self._roles = {role: secrets.token_hex(16) for role in ("read", "write", "admin")}
        # The attackers' tokens are others than those of the honest callers, so that each can lose its own.
        self.honest = secrets.token_hex(16)
        lines = [f"{role} {token} {role}er" for role, token in self._roles.items()]
        (work / "tokens").write_text("\n".join([*lines, f"write {self.honest} honest", ""]))
        (work / "tokens").chmod(0o600)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def target(self) -> Target:
        return Target(
            address=f"127.0.0.1:{self._port}",
            metrics_port=self._metrics_port,
            pid=self._running().pid,
            work=self.work,
            **self._roles,
        )

    def start(self) -> float:
        """Start the server; how many seconds that took. It gets the same ports again."""
        begin = time.monotonic()
        places = {
            "bundle": self.work / "bundle",
            "gallery": self.work / "galleries" / "{encoder}",
            "tokens": self.work / "tokens",
            "port": self._port,
            "metrics-port": self._metrics_port,
            "drain-s": DRAIN_S,
        }
        given = [word for name, value in places.items() for word in (f"--{name}", str(value))]
        command = [*COMMAND, *given, "--device", "cpu", "--log-format", "text", *map(str, self._options)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                start_new_session=True,  # otherwise Ctrl-C would end it too
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                preexec_fn=self._bound_files if self._files else None,  # noqa: PLW1509  (no thread holds a lock here)
            )
        process = self._process
        line = process.stdout.readline() if process.stdout else ""
        ready = re.match(r"serving \S+ on \S+:(\d+) ", line)
        ports = re.findall(r"metrics=http://\S+:(\d+)/", self.log.read_text())
        if not ready or not ports:
            raise RuntimeError(f"the server ended before it was ready; {self.log} says why:\n{self.log_end()}")
        self._port, self._metrics_port = int(ready[1]), int(ports[-1])
        self.memory.pid = process.pid
        return time.monotonic() - begin

    @property
    def log(self) -> Path:
        return self.work / "server.log"

    def log_end(self, most: int = 2000) -> str:
        return self.log.read_text(errors="replace")[-most:] if self.log.exists() else ""

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self) -> tuple[float, bool]:
        """Send SIGTERM; how many seconds the server took to end, and whether it did so by itself, with exit code 0."""
        process, begin = self._running(), time.monotonic()
        self.memory.pid = None
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if process.stdout:
            process.stdout.close()
        return time.monotonic() - begin, process.returncode == 0

    def kill(self) -> None:
        """End the server at once, as a crash or the machine's memory killer would."""
        process = self._running()
        self.memory.pid = None
        process.kill()
        process.wait()

    def close(self) -> None:
        if not self.has_ended():
            self.stop()
        self.memory.stop()

    def choose_bundle(self, name: str) -> str:
        """Put this bundle where the server looks for its own; its digest. `reload` lets the server read it."""
        link, fresh = self.work / "bundle", self.work / "bundle.new"
        fresh.symlink_to(self.work / name)
        fresh.rename(link)
        return Bundle.read(link).manifest.encoder_digest

    def reload(self, digest: str) -> float:
        """Send SIGHUP and wait until the server has the encoder of this digest; how many seconds that took."""
        begin = time.monotonic()
        self._running().send_signal(signal.SIGHUP)
        # A flood may close its connections for a while; gRPC would wait longer after each.
        soon = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)]
        with grpc.insecure_channel(self.target.address, options=soon) as channel:
            stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
            while time.monotonic() < begin + RELOAD_S:
                try:
                    info = stub.GetInfo(embedding_pb2.GetInfoRequest(), metadata=self.target.as_reader(), timeout=10)
                except grpc.RpcError:  # its places may be taken by an attack
                    info = None
                if info is not None and info.encoder_digest == digest:
                    return time.monotonic() - begin
                time.sleep(0.05)
        raise RuntimeError(
            f"the server did not change its bundle within {RELOAD_S:g} s; the end of its log: {self.log_end(2000)}"
        )

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    def _bound_files(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))


def write_bundles(work: Path) -> None:
    """Write two small bundles, whose encoders differ in what they cut away at the ends of a clip."""
    from gfp_serve.encoder import Encoder  # not above, because processes of attackers need no onnxruntime

    first = Bundle.read(SHIPPED_BUNDLES / "pose-statistics")
    first.write(work / BUNDLES[0])
    sampling = dataclasses.replace(first.manifest.preprocess.sampling, crop=0.9)
    preprocess = dataclasses.replace(first.manifest.preprocess, sampling=sampling)
    encoder = Encoder(first, device="cpu", num_threads=1)
    canonical = tuple(
        CanonicalClip(
            clip.sequence,
            clip.layout,
            encoder.encode_first(prepare(clip.sequence, layout_named(clip.layout), preprocess)[None])[0],
        )
        for clip in first.canonical
    )
    manifest = dataclasses.replace(first.manifest, name="pose-statistics-90", preprocess=preprocess)
    Bundle(manifest, first.model, canonical).write(work / BUNDLES[1])
