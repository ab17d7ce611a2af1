"""How clients reach a server: in the clear or by TLS, with a token or without, and again when it cannot be reached."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from gfp_serve.errors import SettingsError

# A server that is being replaced is tried again; every call can be, for none does more when it is done twice. gRPC's
# servers answer CANCELLED to a call that reaches them in the moment of their end (grpc/grpc#41785).
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "gfp_serve.v1.EmbeddingService"}, {"service": "gfp_serve.v1.GalleryService"}],
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

CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    # The server's limits hold; a client's own would only refuse what the server has already sent.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.service_config", json.dumps(_RETRIES)),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a client knows of a server's certificate, and shows of its own (mutual TLS)."""

    ca: Path | None = None  # PEM of the authorities that are trusted; None trusts those that gRPC comes with
    certificate: Path | None = None  # PEM of the client's own certificate
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises `SettingsError` for a file that cannot be read, and for a certificate without key."""
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("a client's certificate and its key belong together; name both or neither.")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))


def read_token(path: Path) -> str:
    """The token in a file, without the line's end. Raises `SettingsError` when there is none."""
    token = (_read(path) or b"").decode("ascii", errors="replace").strip()
    if not token or not token.isascii() or len(token.split()) != 1:
        raise SettingsError(f"{path} must hold one token, in one line.")
    return token


def metadata_of(token: str | None) -> tuple[tuple[str, str], ...]:
    """Headers of each call."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
