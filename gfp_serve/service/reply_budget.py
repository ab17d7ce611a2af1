"""How large a reply may become, counted while it is built: a reply that is too large is refused before it exists."""

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

    def spend(self, num_bytes: int) -> None:
        """Count bytes. Raises `InvalidRequestError` when the reply has no room for them."""
        self._left -= num_bytes
        if self._left < 0:
            raise InvalidRequestError(
                f"the reply would be larger than the {self._most} bytes that this server sends at once; {self._remedy}."
            )
