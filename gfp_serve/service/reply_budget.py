"""A large reply, made part by part: it is counted while it is built, and refused before it is too large."""

from typing import TypeVar

from google.protobuf.message import Message

from gfp_serve.config import Limits
from gfp_serve.errors import InvalidRequestError

# What a reply needs beside its list: the encoder's digest and the timing.
_ENVELOPE_BYTES = 256
# What a part of a message needs beside its content: its tag and its length.
PART_BYTES = 6

M = TypeVar("M", bound=Message)


class ReplyBudget:
    """The bytes that a reply may still take. `remedy` tells a caller what to do when they do not suffice."""

    def __init__(self, limits: Limits, remedy: str) -> None:
        self._most = limits.max_message_bytes
        self._left = limits.max_message_bytes - _ENVELOPE_BYTES
        self._remedy = remedy

    def fit(self, message: M) -> M:
        """The same message, counted. Raises `InvalidRequestError` when the reply has no room for it."""
        self.spend(message.ByteSize() + PART_BYTES)
        return message

    def has_room(self, num_bytes: int) -> bool:
        """Whether the reply has room for this number of bytes."""
        return num_bytes <= self._left

    def spend(self, num_bytes: int) -> None:
        """Count bytes. Raises `InvalidRequestError` when the reply has no room for them."""
        self._left -= num_bytes
        if self._left < 0:
            raise InvalidRequestError(
                f"the reply would be larger than the {self._most} bytes that this server sends at once; {self._remedy}."
            )


class ReplyParts:
    """The bytes of a reply, made of messages of its type that each hold a part of it.

    To make one large message into bytes keeps all other calls waiting; so do its many objects when they are freed.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, part: Message) -> None:
        """Add a part. Lists go on where the last part ended; other fields are set."""
        self._parts.append(part.SerializeToString())

    def joined(self) -> bytes:
        """The reply. `guard` sends it as it is."""
        return b"".join(self._parts)
