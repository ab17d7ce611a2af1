"""The mistakes that a caller can make, one class each. `wire/status.py` says which gRPC status each becomes.

Every message says what was wrong, what was expected and what to do.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager


def quoted(text: str) -> str:
    """Text that a caller sent, as errors show it: a long text is shortened to its two ends."""
    return repr(text if len(text) <= 80 else f"{text[:40]}…{text[-40:]}")


class GfpError(Exception):
    """Root of every error that this project raises on purpose.

    `message` says what is wrong; `field` is the path of the request's field that is wrong, such as
    `sequences[3].positions`, or empty. `str(error)` shows both: "field: message".
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    def __repr__(self) -> str:
        field = f", field={self.field!r}" if self.field else ""
        return f"{type(self).__name__}({self.message!r}{field})"

    @property
    def index(self) -> int | None:
        """Which entry of the request's list is wrong: 3 for `sequences[3].positions`. None if it is not about one."""
        found = _ENTRY.match(self.field)
        return None if found is None else int(found[2])

    def count_from(self, start: int) -> None:
        """Change the field's index to one in a longer list, of which the request's list began at `start`."""
        self.field = _ENTRY.sub(lambda found: f"{found[1]}[{start + int(found[2])}]", self.field)


_ENTRY = re.compile(r"^(\w+)\[(\d+)\]")


@contextmanager
def in_field(path: str) -> Iterator[None]:
    """Set the field of every error that the block raises, unless it has one already."""
    try:
        yield
    except GfpError as error:
        error.field = error.field or path
        raise


def check_type(value: object, types: type | tuple[type, ...], advice: str, *, name: str = "it") -> None:
    """Raise `InvalidRequestError` for a value of another type, with `advice` on what to give instead."""
    if not isinstance(value, types):
        shown = repr(value)
        short = f"{shown}, " if len(shown) <= 40 else ""
        raise InvalidRequestError(f"{name} is {short}of type {type(value).__name__}; {advice}.")


class InvalidSkeletonError(GfpError):
    """A sequence that cannot be used: wrong shape, infinite coordinates, nobody in it."""


class UnknownLayoutError(InvalidSkeletonError):
    """A joint layout that `skeleton.LAYOUTS` does not have."""


class InvalidRequestError(GfpError):
    """A request whose fields contradict each other or are out of range."""


class DamagedFileError(GfpError):
    """A recording that cannot be read; the message names the file and the line or array."""


class BundleError(GfpError):
    """A bundle that is incomplete or altered, or whose encoder does not give its canonical vectors."""


class DeviceError(GfpError):
    """The device that was asked for cannot be used."""


class OverloadedError(GfpError):
    """The server has no room for the call; `retry_after_s` is a guess at when it will have."""

    def __init__(self, message: str, *, retry_after_s: float, field: str = "") -> None:
        super().__init__(message, field=field)
        self.retry_after_s = retry_after_s


class ClosedError(GfpError):
    """The server is shutting down and takes no more work."""


class GalleryError(GfpError):
    """A gallery folder that cannot be opened or written: damaged, locked, or not a gallery."""


class StillClosingError(GalleryError):
    """A gallery that this process has closed, whose folder stays locked until the making of an index has ended."""


class NotWritableError(GalleryError):
    """A gallery's disk is full or cannot be written. The gallery is unchanged and still answers."""


class SnapshotError(GalleryError):
    """A snapshot that cannot be made or used: it is damaged, or its gallery is, or the server keeps none."""


class SnapshotNotFoundError(SnapshotError):
    """There is no snapshot of this name."""


class SnapshotExistsError(SnapshotError):
    """There is a snapshot of this name already."""


class EncoderMismatchError(GalleryError):
    """The gallery was filled by another encoder than the one that the caller uses."""


class EmptyGalleryError(GfpError):
    """A search in a gallery that holds nothing."""


class ItemNotFoundError(GfpError):
    """The gallery has no item with this id."""


class GalleryNotFoundError(GfpError):
    """The server has no gallery of this name."""


class GalleryExistsError(GfpError):
    """The server already has a gallery of this name."""


class ModelNotFoundError(GfpError):
    """The server has no model of this name and version."""


class UnauthenticatedError(GfpError):
    """A call without a token that the server knows."""


class ForbiddenError(GfpError):
    """A call that its token does not allow."""


class MissingExtraError(GfpError):
    """A package that an extra of gfp-serve brings is not installed."""


class SettingsError(GfpError):
    """A file that the settings name (tokens, certificate, key) cannot be used."""


class UnavailableError(GfpError):
    """No server answers at the client's address."""


class OutOfTimeError(GfpError):
    """The answer did not come within the client's timeout."""


class ServerError(GfpError):
    """The server failed inside, or answered something that this release does not understand."""


class StoreError(GfpError):
    """A clip store that cannot be opened or written: damaged, cleaned by other preprocessing, or not a store."""


class InterruptedImportError(StoreError):
    """An import that stopped half-way through no fault of its own. The same command continues where it stopped."""
