"""What a server can be told. Layout, frame count and preprocessing are not here: the bundle knows them."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gfp_serve.options import setting, settings_of
from gfp_serve.preprocess import MAX_BODIES

DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "pose-statistics"

# gRPC and protobuf hold sizes in 32 bits with a sign.
MAX_COUNT = 2**31 - 1
# onnxruntime makes every thread that it is told to, each with its own stack.
MAX_THREADS = 1024
MAX_DRAIN_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may hold at most; `GetInfo` tells them to clients."""

    max_message_bytes: int = setting(64 * 2**20, "Bytes of one message, in either direction.")
    max_sequences: int = setting(256, "Sequences, queries, items or ids of one request.")
    max_frames: int = setting(10_000, "Frames of one sequence.")
    max_bodies: int = setting(8, "Bodies of one sequence; the encoder sees the two that move most.")
    max_top_k: int = setting(1000, "Neighbours that one query may ask for.")
    max_item_bytes: int = setting(2**16, "Bytes of one item's id, label and attributes.")

    def __post_init__(self) -> None:
        _require_between(1, MAX_COUNT, self, "max_sequences", "max_frames", "max_bodies", "max_top_k", "max_item_bytes")
        _require_between(2**10, MAX_COUNT, self, "max_message_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """The options of `gfp-serve`."""

    bundle: Path | None = setting(
        None, "Encoder to serve: a bundle folder or zip. Without it, pose statistics (shipped)."
    )
    gallery: Path | None = setting(None, "Folder of the gallery, made if absent. Without it, items are lost at exit.")
    host: str = setting("127.0.0.1", "Address to listen on; any other than loopback needs --insecure.")
    port: int = setting(50051, "Port to listen on; 0 takes a free one and prints it.")
    insecure: bool = setting(False, "Listen beyond this machine although calls are neither encrypted nor authorised.")
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "Where the encoder runs; cuda refuses to start without it."
    )
    num_threads: int = setting(0, "Threads of one encoder call on the CPU; 0 takes every core.")
    max_batch_bodies: int = setting(32, "Bodies in one encoder call.")
    max_admitted_bodies: int = setting(1024, "Bodies that wait or are computed; more are refused at once.")
    max_calls: int = setting(256, "Calls in progress at once; more are refused at once. Health checks do not count.")
    drain_s: float = setting(30.0, "Seconds that calls in progress are given to finish at SIGTERM.")
    limits: Limits = settings_of(Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"--port is {self.port}; it must lie between 0 (any free port) and 65535.")
        _require_between(0, MAX_THREADS, self, "num_threads")
        _require_between(0, MAX_DRAIN_S, self, "drain_s")
        _require_between(1, MAX_COUNT, self, "max_calls")
        _require_between(MAX_BODIES, MAX_COUNT, self, "max_batch_bodies", "max_admitted_bodies")
        largest = self.limits.max_sequences * MAX_BODIES
        if self.max_admitted_bodies < largest:
            raise ValueError(
                f"--max-admitted-bodies is {self.max_admitted_bodies}; a request of --max-sequences "
                f"{self.limits.max_sequences} can hold {largest} bodies and would always be refused. Raise the one or "
                f"lower the other."
            )
        if not self.insecure and not is_loopback(self.host):
            raise ValueError(
                f"--host is {self.host}; calls are neither encrypted nor authorised, so that only loopback (127.0.0.1) "
                f"is listened on. Add --insecure if the network itself is trusted, e.g. between containers."
            )


def is_loopback(host: str) -> bool:
    """Whether an address or `localhost` reaches only this machine; other names count as not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare_host(host)).is_loopback
    except ValueError:
        return False


def bare_host(host: str) -> str:
    """An address without the brackets that IPv6 has in front of a port: `[::1]` is `::1`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _require_between(least: float, most: float, config: object, *names: str) -> None:
    for name in names:
        # Written so that NaN, which is neither below nor above, does not pass.
        if not least <= getattr(config, name) <= most:
            raise ValueError(
                f"--{name.replace('_', '-')} is {getattr(config, name)}; it must lie between {least} and {most}."
            )
