"""The mistakes that a caller can make, one class each; the gRPC status of each is chosen in `service/status.py`.

Every message says what was wrong, what was expected and what to do.
"""


def quoted(text: str) -> str:
    """A text that a caller sent, as errors show it: of a long one both ends."""
    return repr(text if len(text) <= 80 else f"{text[:40]}…{text[-40:]}")


class GfpError(Exception):
    """Root of every error that this project raises on purpose."""

    # Path of the request's field that is wrong, as `sequences[3]`; empty where there is none.
    field = ""


class InvalidSkeletonError(GfpError):
    """A sequence that cannot be used: wrong shape, infinite coordinates, nobody in it."""


class UnknownLayoutError(InvalidSkeletonError):
    """A joint layout that has no entry in `skeleton.LAYOUTS`."""


class InvalidRequestError(GfpError):
    """A request whose fields contradict each other or leave their range."""


class DamagedFileError(GfpError):
    """A recording that cannot be read; the message names the file and the line or array."""


class BundleError(GfpError):
    """A bundle that is incomplete, altered, or whose encoder does not give its canonical vectors."""


class DeviceError(GfpError):
    """The device that was asked for cannot be used."""


class OverloadedError(GfpError):
    """The queue is full; `retry_after_s` is a guess at when there is room."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ClosedError(GfpError):
    """The server is shutting down and takes no more work."""


class GalleryError(GfpError):
    """A gallery folder that cannot be opened or written: damaged, locked, or not a gallery."""


class NotWritableError(GalleryError):
    """A gallery's disk is full, or cannot be written; the gallery is as it was, and goes on answering."""


class EncoderMismatchError(GalleryError):
    """The gallery was filled by another encoder than the one that asks."""


class EmptyGalleryError(GfpError):
    """A search in a gallery that holds nothing."""


class ItemNotFoundError(GfpError):
    """No item of the gallery has this id."""


class GalleryNotFoundError(GfpError):
    """The server has no gallery of that name."""


class GalleryExistsError(GfpError):
    """There is a gallery of that name already."""


class ModelNotFoundError(GfpError):
    """No model of the server has this name and version."""


class UnauthenticatedError(GfpError):
    """A call without a token that the server knows."""


class ForbiddenError(GfpError):
    """A call that its token does not allow."""


class MissingExtraError(GfpError):
    """A package that an extra of gfp-serve brings is not installed."""


class SettingsError(GfpError):
    """A file that the server's settings name cannot be used: tokens, certificate, key."""


class UnavailableError(GfpError):
    """No server answers at the client's address."""


class OutOfTimeError(GfpError):
    """The answer did not come within the client's timeout."""


class ServerError(GfpError):
    """The server failed inside, or answered what this release does not understand."""


class StoreError(GfpError):
    """A clip store that cannot be opened or written: damaged, cleaned by other preprocessing, or not a store."""


class InterruptedImportError(StoreError):
    """An import that stopped half-way through no fault of its own; the same command goes on where it stopped."""
