"""What a server can be told. Layout, frame count and preprocessing are not here: the bundle knows them."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gfp_serve.preprocess import MAX_BODIES
from gfp_serve.settings import setting, settings_of

DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "pose-statistics"

# Stands for the encoder's digest in the path of the galleries.
ENCODER = "{encoder}"

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
    max_item_bytes: int = setting(2**16, "Bytes of one item's id, label, attributes and source.")

    def __post_init__(self) -> None:
        _require_between(1, MAX_COUNT, self, "max_sequences", "max_frames", "max_bodies", "max_top_k", "max_item_bytes")
        _require_between(2**10, MAX_COUNT, self, "max_message_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Files of certificates and tokens; all are read again when they change."""

    tls_certificate: Path | None = setting(None, "PEM file of the server's certificate and those that vouch for it.")
    tls_key: Path | None = setting(None, "PEM file of the certificate's key.")
    tls_client_ca: Path | None = setting(
        None, "PEM file of authorities; callers must then show a certificate from one of them (mutual TLS)."
    )
    tokens: Path | None = setting(
        None, "File of bearer tokens, a line each: read TOKEN or write TOKEN. Calls without one are then refused."
    )

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("--tls-certificate and --tls-key belong together; name both or neither.")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "--tls-client-ca asks callers for certificates, so --tls-certificate and --tls-key are due."
            )

    @property
    def is_complete(self) -> bool:
        """Whether calls are both encrypted and authorised."""
        return self.tls_certificate is not None and self.tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """The options of `gfp-serve`."""

    bundle: Path | None = setting(
        None, "Encoder to serve: a bundle folder or zip, read again at SIGHUP. Without it, pose statistics (shipped)."
    )
    gallery: str | None = setting(
        None,
        "Folder that keeps the galleries, made if absent, or milvus://HOST:PORT/PREFIX; {encoder} in it stands for the "
        "encoder's digest. Without it, items are lost at exit.",
    )
    gallery_device: Literal["cpu", "cuda"] = setting(
        "cpu", "Where galleries in a folder are searched; cuda refuses to start without it."
    )
    host: str = setting("127.0.0.1", "Address to listen on; any other than loopback needs TLS and tokens.")
    port: int = setting(50051, "Port to listen on; 0 takes a free one and prints it.")
    insecure: bool = setting(False, "Listen beyond this machine although calls are not encrypted or not authorised.")
    security: Security = settings_of(Security)
    metrics_port: int | None = setting(
        None, "Port of Prometheus metrics, over HTTP at the same address; 0 takes a free one. Without it, none."
    )
    trace_to: str | None = setting(
        None, "OTLP collector that traces go to, e.g. http://127.0.0.1:4317; needs the extra 'trace'."
    )
    log_format: Literal["auto", "text", "json"] = setting("auto", "auto is text on a terminal and JSON else.")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "The least that is logged.")
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "Where the encoder runs; cuda refuses to start without it."
    )
    num_threads: int = setting(0, "Threads that the encoder may have on the CPU; 0 takes every core.")
    lanes: int = setting(
        0,
        "Encoder calls side by side on the CPU, a core each, while many clips wait; 0 measures at the start whether "
        "they pay, 1 is never.",
    )
    max_batch_bodies: int = setting(
        0, "Bodies in one encoder call; 0 measures at the start which batch pays on this device."
    )
    max_admitted_bodies: int = setting(1024, "Bodies that wait or are computed; more are refused at once.")
    max_calls: int = setting(256, "Calls in progress at once; more are refused at once. Health checks do not count.")
    max_streams: int = setting(64, "Streams open at once; each is a call in progress too.")
    notice_s: float = setting(
        0.0,
        "Seconds at SIGTERM in which health is NOT_SERVING and calls are still taken, for load balancers to notice.",
    )
    drain_s: float = setting(30.0, "Seconds that calls in progress are given to finish at SIGTERM.")
    limits: Limits = settings_of(Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"--port is {self.port}; it must lie between 0 (any free port) and 65535.")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65_535:
            raise ValueError(f"--metrics-port is {self.metrics_port}; it must lie between 0 (any free port) and 65535.")
        _require_between(0, MAX_THREADS, self, "num_threads", "lanes")
        _require_between(0, MAX_DRAIN_S, self, "drain_s", "notice_s")
        _require_between(1, MAX_COUNT, self, "max_calls", "max_streams")
        _require_between(MAX_BODIES, MAX_COUNT, self, "max_admitted_bodies")
        if self.max_batch_bodies:
            _require_between(MAX_BODIES, MAX_COUNT, self, "max_batch_bodies")
        largest = self.limits.max_sequences * MAX_BODIES
        if self.max_admitted_bodies < largest:
            raise ValueError(
                f"--max-admitted-bodies is {self.max_admitted_bodies}; a request of --max-sequences "
                f"{self.limits.max_sequences} can hold {largest} bodies and would always be refused. Raise the one or "
                f"lower the other."
            )
        if not self.insecure and not self.security.is_complete and not is_loopback(self.host):
            raise ValueError(
                f"--host is {self.host}, which others can reach: name --tls-certificate, --tls-key and --tokens, so "
                f"that calls are encrypted and authorised. Or add --insecure if the network itself is trusted, e.g. "
                f"between containers; without either only loopback (127.0.0.1) is listened on."
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
