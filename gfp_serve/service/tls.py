"""TLS of the server: certificate and key come from files, which are read again when they change."""

import logging
import ssl
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import grpc

from gfp_serve.config import Security
from gfp_serve.errors import SettingsError
from gfp_serve.files import MAX_SMALL_FILE_BYTES, read_ordinary

_log = logging.getLogger(__name__)


class Certificates:
    """Certificate, key and, for mutual TLS, the authorities that clients' certificates must come from.

    New connections use the files as they are now, or as they were read last while they are damaged. Raises
    `SettingsError` when they cannot be read the first time, or are not PEM files.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._files = [key, certificate, *([client_ca] if client_ca else [])]
        self._mutual = client_ca is not None
        self._contents = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC needs to open a secure port."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._changed,  # type: ignore[arg-type]  # None is documented, and missing in the stubs
            require_client_authentication=self._mutual,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new files; None if nothing changed. gRPC calls this for every new connection."""
        try:
            contents = self._read()
        except SettingsError as error:
            _log.error("the certificate that was read last stays in use: %s", error)
            return None
        if contents == self._contents:
            return None
        self._contents = contents
        _log.info("certificate read again from %s", self._files[1])
        return self._configuration()

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        key, certificate, *authorities = self._contents
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=authorities[0] if authorities else None
        )

    def _read(self) -> list[bytes]:
        contents = []
        for path in self._files:
            try:
                content = read_ordinary(path, at_most=MAX_SMALL_FILE_BYTES)
            except OSError as error:
                raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
            if b"-----BEGIN" not in content:
                raise SettingsError(f"{path} is not a PEM file, which starts with -----BEGIN; convert it with openssl.")
            contents.append(content)
        return contents


class Contexts:
    """The same for ports of HTTP: TLS as the server's files say now, or as they said last while they are damaged.

    Raises `SettingsError` when the files cannot be used the first time.
    """

    def __init__(self, files: Security) -> None:
        self._paths = [path for path in (files.tls_certificate, files.tls_key, files.tls_client_ca) if path is not None]
        self._files = files
        try:
            self._stamps = self._stamp()
            self._context = self._read()
        except OSError as error:
            raise SettingsError(
                f"--tls-certificate {files.tls_certificate} and --tls-key {files.tls_key} cannot be used together: "
                f"{error.strerror or error}."
            ) from error
        self._is_damaged = False

    def current(self) -> ssl.SSLContext:
        """The context for a new connection."""
        try:
            stamps = self._stamp()
            if stamps != self._stamps:
                self._context = self._read()
                self._stamps = stamps
            self._is_damaged = False
        except OSError as error:
            if not self._is_damaged:  # logged once, not at every connection
                _log.error("the certificate that was read last stays in use: %s", error)
            self._is_damaged = True
        return self._context

    def _stamp(self) -> list[tuple[int, int, int]]:
        found = [path.stat() for path in self._paths]
        return [(each.st_mtime_ns, each.st_size, each.st_ino) for each in found]

    def _read(self) -> ssl.SSLContext:
        if self._files.tls_certificate is None:
            raise ValueError("TLS needs a certificate")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.tls_certificate, self._files.tls_key)
        if self._files.tls_client_ca is not None:
            context.load_verify_locations(self._files.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


# Tags of DER.
_VERSION, _UTC_TIME = 0xA0, 0x17


@lru_cache(maxsize=256)
def expiry_of(certificate: str) -> datetime:
    """When a certificate, as PEM text, stops being valid. TLS must have verified it, so that its form is right."""
    content = ssl.PEM_cert_to_DER_cert(certificate)
    # RFC 5280: Certificate { tbsCertificate { [0] version, serialNumber, signature, issuer, validity { from, to } } }
    _, at, _ = _element(content, 0)
    _, at, _ = _element(content, at)
    if content[at] == _VERSION:
        _, _, at = _element(content, at)
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, at = _element(content, at)
    _, at, _ = _element(content, at)
    _, _, at = _element(content, at)
    tag, start, end = _element(content, at)
    text = content[start:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if text[:2] < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(content: bytes, at: int) -> tuple[int, int, int]:
    """Tag of the DER element that begins here, where its content begins, and where it ends."""
    length, start = content[at + 1], at + 2
    if length > 127:
        start += length & 127
        length = int.from_bytes(content[at + 2 : start])
    return content[at], start, start + length
