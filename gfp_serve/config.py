"""The settings of a server. Layout, frame count and preprocessing are not among them: the bundle has them."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gfp_serve.devices import EncoderDevice
from gfp_serve.items import MAX_ITEM_BYTES
from gfp_serve.preprocess import MAX_BODIES
from gfp_serve.settings import setting, settings_of

# The bundles that come with the package, by their folders' names.
SHIPPED_BUNDLES = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE = SHIPPED_BUNDLES / "general-features"

# In the path of the galleries, this stands for the encoder's digest.
ENCODER = "{encoder}"

# gRPC and protobuf hold sizes in signed 32-bit numbers.
MAX_COUNT = 2**31 - 1
# onnxruntime makes as many threads as it is told to, each with a stack of its own.
MAX_THREADS = 1024
MAX_DRAIN_S = 86_400
MAX_SNAPSHOT_H = 24 * 366
# Of a web page: what browsers send as the header `origin`.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+")

# Motions of this many items come to about 400 MB.
AUTO_MOTION_ITEMS = 100_000


def shipped_bundles() -> list[str]:
    """The names of the bundles that come with the package."""
    return sorted(each.name for each in SHIPPED_BUNDLES.iterdir() if each.is_dir())


def bundle_at(path: Path) -> Path:
    """`path`, or the shipped bundle of that name if nothing lies there."""
    shipped = SHIPPED_BUNDLES / path
    return shipped if len(path.parts) == 1 and not path.exists() and shipped.is_dir() else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a request may hold. `GetInfo` tells it to clients."""

    # Enough for the longest sequence of most bodies, in the layout with most joints (32 MB). While gRPC puts a message
    # together, no other call is answered: 1 to 4 ms for each MB (docs/benchmarks.md).
    max_message_bytes: int = setting(32 * 2**20, "Most bytes of one message, in either direction.")
    max_sequences: int = setting(256, "Most sequences, queries, items or ids of one request.")
    max_frames: int = setting(10_000, "Most frames of one sequence.")
    max_bodies: int = setting(8, "Most bodies of one sequence. The encoder sees the two that move most.")
    max_top_k: int = setting(1000, "Most neighbours that one query may ask for.")
    max_item_bytes: int = setting(2**16, "Most bytes of one item's id, label, attributes and source.")

    def __post_init__(self) -> None:
        _require_between(1, MAX_COUNT, self, "max_sequences", "max_frames", "max_bodies", "max_top_k")
        _require_between(1, MAX_ITEM_BYTES, self, "max_item_bytes")
        _require_between(2**10, MAX_COUNT, self, "max_message_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Files of certificates and tokens. They are read again when they change."""

    tls_certificate: Path | None = setting(
        None, "PEM file of the server's certificate and the chain that vouches for it."
    )
    tls_key: Path | None = setting(None, "PEM file of the certificate's key.")
    tls_client_ca: Path | None = setting(
        None, "PEM file of authorities. Callers must then show a certificate from one of them (mutual TLS)."
    )
    tokens: Path | None = setting(
        None,
        "File of bearer tokens, one a line: read TOKEN, write TOKEN or admin TOKEN. Calls without a token are then "
        "refused.",
    )

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("--tls-certificate and --tls-key belong together; give both or neither.")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError(
                "--tls-client-ca needs TLS, to ask callers for certificates; give --tls-certificate and --tls-key too."
            )

    @property
    def is_complete(self) -> bool:
        """Whether calls are both encrypted and authorised."""
        return self.tls_certificate is not None and self.tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """The options of `gfp-serve`."""

    bundle: Path | None = setting(
        None,
        "Encoder to serve: a bundle folder or zip, read again at SIGHUP, or the name of a shipped one: "
        "general-features (the default), general-features-free or pose-statistics, which learned nothing.",
    )
    gallery: str | None = setting(
        None,
        "Folder that keeps the galleries, which is made if it does not exist, or milvus://HOST:PORT/PREFIX. {encoder} "
        "in it stands for the encoder's digest. Without it, items are lost when the server exits.",
    )
    keep_motion: Literal["auto", "on", "off"] = setting(
        "auto",
        "Whether a gallery keeps a small copy of the motion of each clip that is added, to look at: about 4 kB for a "
        f"body. auto keeps it in galleries in a folder, while they have fewer than {AUTO_MOTION_ITEMS:,} items.",
    )
    gallery_device: Literal["cpu", "cuda"] = setting(
        "cpu", "Where galleries in a folder are searched. With cuda, the server does not start without a GPU."
    )
    snapshot_every_h: float = setting(
        0.0,
        "Hours from one snapshot of each gallery to the next, which the server makes by itself below the folder of the "
        "galleries. 0 makes none.",
    )
    keep_snapshots: int = setting(
        7, "How many snapshots that the server made by itself are kept of each gallery. Older ones are removed."
    )
    host: str = setting("127.0.0.1", "Address to listen on. Any but a loopback address needs TLS and tokens.")
    port: int = setting(50051, "Port to listen on. 0 takes a free one and prints it.")
    insecure: bool = setting(False, "Listen beyond this machine without TLS or without tokens.")
    behind_proxy: bool = setting(
        False,
        "Say that all calls come through a proxy, which bounds the connections and calls of each address. Health "
        "checks are then not bounded by address and connection, since all are the proxy's.",
    )
    security: Security = settings_of(Security)
    http_port: int | None = setting(
        None,
        "Port of the same calls over HTTP, as JSON, on the same address; 0 takes a free one and prints it. Without it, "
        "there is none.",
    )
    http_allow_origin: str | None = setting(
        None,
        "Web pages of other hosts that may make calls over HTTP, e.g. https://example.org, with commas between several "
        "of them; * is every page. Without it, none may.",
    )
    metrics_port: int | None = setting(
        None, "Port of Prometheus metrics; 0 takes a free one. Without it, there are none."
    )
    metrics_host: str = setting(
        "127.0.0.1",
        "Address of the metrics port. On a loopback address metrics are in the clear, on any other they are encrypted "
        "and need a token as calls do.",
    )
    trace_to: str | None = setting(
        None, "OTLP collector that traces go to, e.g. http://127.0.0.1:4317; needs the extra 'trace'."
    )
    log_format: Literal["auto", "text", "json"] = setting(
        "auto", "Form of the log: auto is text on a terminal and JSON otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "The least important messages that are logged. With debug, each call is one of them."
    )
    access_log: Path | None = setting(
        None,
        "File that gets a line of JSON for each call: who called what, sizes, status, times. - is standard output. "
        "Without it, there is none.",
    )
    audit_log: Path | None = setting(
        None,
        "File that gets a line of JSON for each call that may change a gallery: who, which gallery, which ids. - is "
        "standard output. Without it, there is none.",
    )
    device: EncoderDevice = setting(
        "auto",
        "Where the encoder runs: auto is CUDA where it works, or else the CPU. With cuda or tensorrt, the server does "
        "not start without it.",
    )
    cuda_graphs: bool = setting(
        False, "Record each size of batch on CUDA, and replay it. Where that fails, the log says so once. Not measured."
    )
    tensorrt_cache: Path | None = setting(
        None,
        "Folder in which TensorRT keeps its engines, which take minutes to build. Nobody else may write to it: engines "
        "are code. By default it is gfp-serve/tensorrt in the user's cache folder.",
    )
    num_threads: int = setting(
        0, "Threads that the encoder may use on the CPU, at most. 0 is all cores that the process has."
    )
    lanes: int = setting(
        0,
        "Encoder calls that run at the same time on the CPU, on one core each, while many clips wait. 0 measures at "
        "the start whether that is faster; 1 never does it.",
    )
    max_batch_bodies: int = setting(
        0, "Most bodies in one encoder call. 0 measures at the start which number is fastest."
    )
    max_admitted_bodies: int = setting(1024, "Most bodies that wait or are encoded. More are refused at once.")
    max_admitted_neighbours: int = setting(
        2**20,
        "Most neighbours that searches in progress may find, all together; comparing a query with 200 items counts as "
        "one. More are refused at once.",
    )
    max_calls: int = setting(
        256,
        "Most calls in progress. More are refused at once. One caller may hold half of them, and beside that one "
        "another a quarter: a token, or without tokens a connection and the address of another machine. Health checks "
        "do not count.",
    )
    max_connections: int = setting(
        1024,
        "Most connections. More are closed at once. At most half of the files that the system lets the server open, "
        "and no more than its galleries leave.",
    )
    max_streams: int = setting(64, "Most open streams, shared by callers as calls are. Each is a call in progress too.")
    max_idle_s: float = setting(
        300.0,
        "Seconds after which an open stream ends when its caller sends nothing.",
    )
    max_stream_bytes: int = setting(
        2**30,
        "Most memory that open streams may hold, all together: for each the frames of eight windows, and its messages.",
    )
    max_file_reads: int = setting(
        2,
        "Most files that are read at the same time for callers who send them, each in a process of its own. Three more "
        "for each of these may wait; others are refused. 0 reads none.",
    )
    notice_s: float = setting(
        0.0,
        "Seconds after SIGTERM in which calls are still taken but health is NOT_SERVING, for load balancers to notice.",
    )
    drain_s: float = setting(30.0, "Seconds that calls in progress may take to finish after SIGTERM.")
    limits: Limits = settings_of(Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"--port is {self.port}; it must lie between 0 (any free port) and 65535.")
        for name in ("http_port", "metrics_port"):
            port = getattr(self, name)
            if port is not None and not 0 <= port <= 65_535:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} is {port}; it must lie between 0 (any free port) and 65535.")
        for origin in self.allowed_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"--http-allow-origin has {origin!r}; it must be a scheme and a host, as in https://example.org or "
                    f"http://localhost:8000, or *."
                )
        _require_between(0, MAX_SNAPSHOT_H, self, "snapshot_every_h")
        _require_between(1, 10_000, self, "keep_snapshots")
        if self.snapshot_every_h and (self.gallery is None or "://" in self.gallery):
            raise ValueError(
                "--snapshot-every-h needs --gallery FOLDER, where galleries and their snapshots are kept. Give a "
                "folder, or leave out --snapshot-every-h."
            )
        if self.cuda_graphs and self.device not in ("auto", "cuda"):
            raise ValueError(
                f"--cuda-graphs has no effect with --device {self.device}; leave it out, or choose --device cuda."
            )
        if self.tensorrt_cache is not None and self.device != "tensorrt":
            raise ValueError(
                f"--tensorrt-cache has no effect with --device {self.device}; leave it out, or choose --device "
                f"tensorrt."
            )
        _require_between(0, MAX_THREADS, self, "num_threads", "lanes")
        _require_between(0, MAX_DRAIN_S, self, "drain_s", "notice_s")
        _require_between(1, MAX_COUNT // 4, self, "max_calls")  # gRPC gets a multiple of it
        _require_between(1, MAX_COUNT, self, "max_connections", "max_streams")
        _require_between(1, MAX_DRAIN_S, self, "max_idle_s")
        _require_between(0, 64, self, "max_file_reads")
        _require_between(1, MAX_COUNT, self, "max_admitted_neighbours", "max_stream_bytes")
        _require_between(MAX_BODIES, MAX_COUNT, self, "max_admitted_bodies")
        if self.max_batch_bodies:
            _require_between(MAX_BODIES, MAX_COUNT, self, "max_batch_bodies")
        largest = self.limits.max_sequences * MAX_BODIES
        if self.max_admitted_bodies < largest:
            raise ValueError(
                f"--max-admitted-bodies is {self.max_admitted_bodies}; a request of --max-sequences "
                f"{self.limits.max_sequences} can hold {largest} bodies and would always be refused. Raise the first "
                f"or lower the second."
            )
        if (
            self.metrics_port is not None
            and not self.insecure
            and not self.security.is_complete
            and not is_loopback(self.metrics_host)
        ):
            raise ValueError(
                f"--metrics-host is {self.metrics_host}, which other machines can reach; give --tls-certificate, "
                f"--tls-key and --tokens, so that metrics are encrypted and need a token. If the network itself is "
                f"trusted, add --insecure instead."
            )
        if not self.insecure and not self.security.is_complete and not is_loopback(self.host):
            raise ValueError(
                f"--host is {self.host}, which other machines can reach; give --tls-certificate, --tls-key and "
                f"--tokens, so that calls are encrypted and authorised. If the network itself is trusted, e.g. between "
                f"containers, add --insecure instead. Or listen on a loopback address, such as 127.0.0.1."
            )

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of `http_allow_origin`."""
        said = (self.http_allow_origin or "").split(",")
        return tuple(origin.strip().rstrip("/") for origin in said if origin.strip())


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, reaches only this machine. False for all other names."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare_host(host)).is_loopback
    except ValueError:
        return False


def bare_host(host: str) -> str:
    """An address without the brackets that IPv6 needs before a port: `::1` for `[::1]`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _require_between(least: float, most: float, config: object, *names: str) -> None:
    for name in names:
        # Written so that NaN, which is neither below nor above, does not pass.
        if not least <= getattr(config, name) <= most:
            raise ValueError(
                f"--{name.replace('_', '-')} is {getattr(config, name)}; it must lie between {least} and {most}."
            )
