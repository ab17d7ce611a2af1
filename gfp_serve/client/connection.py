"""How clients connect to a server: TLS, tokens, and trying again when the server cannot be reached."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from gfp_serve.errors import SettingsError
from gfp_serve.files import MAX_SMALL_FILE_BYTES, read_ordinary

# While a server is being replaced, calls are tried again. Each of these can be: making it twice has the same effect as
# making it once. gRPC's servers answer CANCELLED to a call that reaches them as they end (grpc/grpc#41785).
_RETRIES = {
    "methodConfig": [
        {
            "name": [
                {"service": "gfp_serve.v1.EmbeddingService"},
                {"service": "gfp_serve.v1.GalleryService"},
                {"service": "gfp_serve.v1.SnapshotService", "method": "ListSnapshots"},
                {"service": "gfp_serve.v1.SnapshotService", "method": "ReadSnapshot"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}

# A server that was away is found again within two seconds: gRPC adds a fifth to the longest pause, by chance. Without
# these, it pauses for up to two minutes.
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1500),
    # How long one attempt may take. An address where nothing answers at all would hold up the next attempt for 20 s.
    ("grpc.min_reconnect_backoff_ms", 5000),
]

# A server that vanished without closing its connections, or was frozen, is given up after this time of silence while
# calls wait for it. Otherwise the same dead connection would be used until the system gives it up, after 15 minutes.
_SIGN_OF_LIFE = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]

CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    # The server has limits; a limit of the client's own would only refuse what the server has already sent.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.service_config", json.dumps(_RETRIES)),
    *_RECONNECT,
    *_SIGN_OF_LIFE,
]

# The first word of a line in the server's file of tokens.
_ROLES = ("read", "write", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """An encrypted connection: which authorities to trust, and the certificate to show if the server asks for one."""

    ca: Path | None = None  # PEM file of the authorities to trust; None trusts those that gRPC comes with
    certificate: Path | None = None  # PEM file of the client's own certificate (mutual TLS)
    key: Path | None = None  # PEM file of its key
    server_name: str | None = None  # the name that the server's certificate must have; None is that of the address

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC needs. Raises `SettingsError` for a file that cannot be read, and a certificate without its key."""
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("a client's certificate and its key belong together; name both or neither.")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))


def channel_options(tls: Tls | None) -> list[tuple[str, Any]]:
    """The options of a client's channel."""
    if tls is None or tls.server_name is None:
        return CHANNEL_OPTIONS
    return [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", tls.server_name)]


def read_token(path: Path) -> str:
    """The token in a file: alone, or in a line of the server's file of tokens, `read TOKEN NAME`.

    Empty lines and comments (#) are ignored. Raises `SettingsError` when the file cannot be read or does not hold one
    token.
    """
    content = (_read(path) or b"").decode("ascii", errors="replace")
    lines = [fields for line in content.splitlines() if (fields := line.split()) and not fields[0].startswith("#")]
    if len(lines) > 1:
        raise SettingsError(
            f"{path} has {len(lines)} lines, as a server's file of tokens may have; give a file with the one line that "
            f"is yours."
        )
    fields = lines[0] if lines else []
    if len(fields) in (2, 3) and fields[0] in _ROLES:
        fields = fields[1:2]
    if len(fields) != 1 or not fields[0].isascii():
        raise SettingsError(f"{path} must hold one token, in one line of ASCII: TOKEN, or read TOKEN.")
    return fields[0]


def metadata_of(token: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of each call."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return read_ordinary(path, at_most=MAX_SMALL_FILE_BYTES)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
