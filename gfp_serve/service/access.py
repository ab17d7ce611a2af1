"""Who may call what: bearer tokens that have roles, and the role that each RPC needs."""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from gfp_serve.errors import ForbiddenError, SettingsError, UnauthenticatedError
from gfp_serve.files import MAX_SMALL_FILE_BYTES, read_by_others, read_ordinary
from gfp_serve.service.tls import expiry_of

# Each role may do what those before it may.
Role = Literal["read", "write", "admin"]

_ROLES = get_args(Role)

MIN_TOKEN_LENGTH = 16
# A token's name is shorter than any token, so that a second token in the line is never taken for a name, and logged.
_NAME = re.compile(rf"[A-Za-z0-9._@-]{{1,{MIN_TOKEN_LENGTH - 1}}}")

# Which role each RPC needs. An RPC without a rule is refused to everybody, unless its service is open.
RULES: dict[str, Role] = {
    "gfp_serve.v1.EmbeddingService/Embed": "read",
    "gfp_serve.v1.EmbeddingService/GetInfo": "read",
    "gfp_serve.v1.StreamService/EmbedStream": "read",
    "gfp_serve.v1.GalleryService/Search": "read",
    "gfp_serve.v1.GalleryService/Classify": "read",
    "gfp_serve.v1.GalleryService/Get": "read",
    "gfp_serve.v1.GalleryService/Upsert": "write",
    "gfp_serve.v1.GalleryService/Delete": "write",
    "gfp_serve.v1.GalleryService/DescribeGallery": "read",
    "gfp_serve.v1.GalleryService/ListGalleries": "read",
    "gfp_serve.v1.GalleryService/CreateGallery": "write",
    "gfp_serve.v1.GalleryService/DropGallery": "write",
    **{
        f"gfp_serve.v1.ViewService/{method}": "read"
        for method in ("MapItems", "ReadFile", "Compare", "CountRepetitions")
    },
    **{
        f"gfp_serve.v1.SnapshotService/{method}": "admin"
        for method in ("CreateSnapshot", "ListSnapshots", "ReadSnapshot", "DeleteSnapshot", "RestoreSnapshot")
    },
    **{
        f"inference.GRPCInferenceService/{method}": "read"
        for method in (
            *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig"),
            *("ModelInfer", "ModelStreamInfer", "ModelStatistics"),
        )
    },
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "read",
}
# Container runtimes and load balancers check health, and have no token.
OPEN_SERVICES = ("grpc.health.v1.Health",)

_log = logging.getLogger(__name__)


class _Line(NamedTuple):
    """A line of the file: its token's digest, the role, and the name by which logs call its holder."""

    digest: bytes
    role: Role
    name: str


class Tokens:
    """A file of tokens, one a line: `read TOKEN NAME`, `write TOKEN NAME` or `admin TOKEN NAME`.

    Empty lines and comments (#) are ignored. Names are for the logs and may be left out, and two tokens may have the
    same.

    The file is read again when it changes, so that a token can be withdrawn without a restart. While the file is
    damaged, the tokens that were read last stay valid. Raises `SettingsError` when it cannot be read the first time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = _stamp(path)
        self._lines = _read(path)

    def role_of(self, token: str) -> Role | None:
        """The role of a token; None if the token is not in the file."""
        self._follow()
        found = self._find(token)
        return None if found is None else found.role

    def name_of(self, token: str) -> str | None:
        """The name of a token's holder; None if the token is not in the file."""
        self._follow()
        found = self._find(token)
        return None if found is None else found.name

    def _find(self, token: str) -> _Line | None:
        asked, found = _digest(token), None
        # Every line is compared, each in constant time, so that the time it takes tells nothing about any token.
        for line in self._lines:
            if hmac.compare_digest(line.digest, asked):
                found = line
        return found

    def role_of_bearer(self, authorization: str | None) -> Role | None:
        """The role of the token in a header "Bearer TOKEN"; None if there is none that is in the file."""
        token = _token_of(authorization)
        return self.role_of(token) if token else None

    def _follow(self) -> None:
        try:
            stamp = _stamp(self._path)
        except SettingsError as error:
            if self._stamp is not None:  # logged once, not at every call
                _log.error("the tokens that were read last stay valid: %s", error)
            self._stamp = None
            return
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._lines = _read(self._path)
        except SettingsError as error:
            _log.error("the tokens that were read last stay valid: %s", error)
        else:
            _log.info("tokens=%d read again from %s", len(self._lines), self._path)


class Access:
    """Decides which calls are allowed. Without `tokens`, all are.

    With `mutual_tls`, TLS asks callers for a certificate and verifies it, but only when they connect.
    """

    def __init__(self, tokens: Tokens | None, *, mutual_tls: bool = False) -> None:
        self._tokens = tokens
        self._mutual_tls = mutual_tls

    def check(self, method: str, authorization: str | None) -> None:
        """Raise `UnauthenticatedError` or `ForbiddenError` for a call that is not allowed.

        `method` is gRPC's, "/package.Service/Method"; `authorization` is the header of that name, "Bearer TOKEN".
        """
        name = method.removeprefix("/")
        if self._tokens is None or name.split("/")[0] in OPEN_SERVICES:
            return
        role = self._tokens.role_of_bearer(authorization)
        if role is None:
            if authorization:
                raise UnauthenticatedError(
                    "the call did not bring a token that this server knows: it was withdrawn, or is of another server; "
                    "ask the operator for one, and send it whole."
                )
            raise UnauthenticatedError(
                'the call came without a token; send the header "authorization: Bearer TOKEN" (gfp: --token-file).'
            )
        needed = RULES.get(name)
        if needed is None or _ROLES.index(role) < _ROLES.index(needed):
            raise ForbiddenError(
                f"{name} needs a token with the role {needed}; this token has the role {role}."
                if needed
                else f"no role may call {name}."
            )

    def identity(self, authorization: str | None) -> str | None:
        """The same for all calls of one token, however its header is written; None on servers without tokens."""
        return _digest(_token_of(authorization)).hex() if self._tokens is not None else None

    def role_of(self, authorization: str | None) -> Role | None:
        """What the caller may do; None for a token that the server does not know. Without tokens, everything."""
        return "admin" if self._tokens is None else self._tokens.role_of_bearer(authorization)

    def name_of(self, authorization: str | None) -> str | None:
        """How logs call the holder of the token in the header; None for a token that the server does not know."""
        token = _token_of(authorization)
        return self._tokens.name_of(token) if self._tokens is not None and token else None

    def check_certificate(self, context: Any) -> None:
        """Raise `UnauthenticatedError` when the caller's certificate has expired since the caller connected."""
        if not self._mutual_tls:
            return
        for certificate in context.auth_context().get("x509_pem_cert", ()):
            expiry = expiry_of(certificate.decode())
            if datetime.now(UTC) > expiry:
                raise UnauthenticatedError(
                    f"the caller's certificate expired on {expiry:%Y-%m-%d at %H:%M} UTC; connect again with a valid "
                    f"one (gfp: --tls-certificate)."
                )


# In a call that the guard let through: the identity of its caller, if the server has tokens.
CALLER: ContextVar[str | None] = ContextVar("caller", default=None)
# In the same call, what its caller may do.
ROLE: ContextVar[Role | None] = ContextVar("role", default=None)


def caller_of(context: Any) -> str:
    """Who makes a call, as far as turns between callers go: the holder of a known token, or else an address."""
    return CALLER.get() or str(context.peer().rpartition(":")[0])


def _token_of(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _read(path: Path) -> list[_Line]:
    try:
        lines = read_ordinary(path, at_most=MAX_SMALL_FILE_BYTES).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"--tokens {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"--tokens {path} is not a text file in UTF-8; it must have lines such as: read TOKEN"
        ) from error
    found = list(_parse(path, lines))
    if not found:
        raise SettingsError(f"--tokens {path} has no token, so nobody could call; add a line: read TOKEN")
    if read_by_others(path):
        _log.warning("every user of this machine can read the tokens in %s; run: chmod o= %s", path, path)
    return found


def _parse(path: Path, lines: Iterable[str]) -> Iterable[_Line]:
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        # The line is not quoted, because it may hold a token, and messages end up in logs.
        if len(fields) not in (2, 3) or fields[0] not in _ROLES:
            raise SettingsError(
                f"--tokens {path}: line {number} must be `read TOKEN`, `write TOKEN` or `admin TOKEN`, and may end in "
                f"a name."
            )
        if len(fields[1]) < MIN_TOKEN_LENGTH or not fields[1].isascii():
            raise SettingsError(
                f"--tokens {path}: the token of line {number} must have {MIN_TOKEN_LENGTH} or more ASCII characters; "
                f"make one with: openssl rand -hex 32"
            )
        name = fields[2] if len(fields) == 3 else f"line {number}"
        if len(fields) == 3 and not _NAME.fullmatch(name):
            raise SettingsError(
                f"--tokens {path}: the name at the end of line {number} must have at most {MIN_TOKEN_LENGTH - 1} "
                f"characters, of A-Z, a-z, 0-9 and . _ @ -"
            )
        yield _Line(_digest(fields[1]), cast(Role, fields[0]), name)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116  (follows links, which containers use for secrets)
    except OSError as error:
        raise SettingsError(f"--tokens {path} cannot be read: {error.strerror}.") from error
    return found.st_mtime_ns, found.st_size, found.st_ino
