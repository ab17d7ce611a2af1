"""TLS of the server: certificate and key come from files, which are read again when they change."""

import logging
from pathlib import Path

import grpc

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
