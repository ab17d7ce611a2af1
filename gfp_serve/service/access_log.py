"""The access log has a line for each call that the metrics count, the audit log for each that may change something.

A line says who called what, with which sizes, how it ended and how long it took. It never has a token. The server's own
log has the same at the level debug.
"""

import json
import logging
import time
from collections.abc import Callable, MutableSequence, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from gfp_serve.items import DEFAULT_GALLERY
from gfp_serve.logs import JsonLines
from gfp_serve.service.access import RULES

_log = logging.getLogger(__name__)

# Callers without a token could fill the disk with refused calls: in a second, no more than this many are written.
MAX_STRANGERS_PER_SECOND = 10

# Of a name or id that a caller chose, which may be as long as a message.
_MAX_NAME_LENGTH = 256

# A reply of at most this many bytes is read in less than a millisecond.
_FEW_BYTES = 2**15

# Numbers of requests and replies that lines show as they are.
_SHOWN = ("top_k", "num_neighbours", "num_deleted", "num_items", "generation")
# Calls that need the role admin and change nothing.
_READS_OF_ADMINS = ("gfp_serve.v1.SnapshotService/ListSnapshots", "gfp_serve.v1.SnapshotService/ReadSnapshot")
# Names of requests about snapshots, beside the gallery.
_NAMES = {"name": "snapshot", "into": "into"}
_TIMES = ("queue", "preprocess", "inference", "search")


class AccessLog:
    """Writes a line for each call, where the settings say so: `access` for all, `audit` for those that may write.

    Raises `SettingsError` when a file cannot be opened.
    """

    def __init__(self, access: Path | None = None, audit: Path | None = None) -> None:
        self._access = None if access is None else JsonLines(access, "--access-log")
        self._audit = None if audit is None else JsonLines(audit, "--audit-log")
        self._second = self._num_strangers = self._num_left_out = 0

    @property
    def is_on(self) -> bool:
        """Whether any line is written. If not, `Call` notes nothing."""
        return self._access is not None or self._audit is not None or _log.isEnabledFor(logging.DEBUG)

    def close(self) -> None:
        """Write what waits, for at most `JsonLines.CLOSE_S`, and close the files."""
        JsonLines.close_all([log for log in (self._access, self._audit) if log is not None])

    def write(self, rpc: str, facts: dict[str, Any], ids: Sequence[str], *, by_stranger: bool) -> None:
        """Write the lines of a call. `by_stranger`: it was refused because the server does not know its token."""
        if by_stranger and not self._has_room_for_stranger():
            return
        if self._num_left_out:
            facts["refused_calls_not_written"], self._num_left_out = self._num_left_out, 0
        _log.debug("%s", " ".join(f"{name}={_as_word(value)}" for name, value in facts.items()), extra=facts)
        if self._access is not None:
            self._access.write(facts)
        if self._audit is not None and not by_stranger and _may_change(rpc):
            self._audit.write({**facts, "ids": [_shortened(each) for each in ids]} if ids else facts)

    def _has_room_for_stranger(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._num_strangers = second, 0
        self._num_strangers += 1
        if self._num_strangers <= MAX_STRANGERS_PER_SECOND:
            return True
        self._num_left_out += 1
        return False


def _may_change(rpc: str) -> bool:
    return RULES.get(rpc, "read") != "read" and rpc not in _READS_OF_ADMINS


class Call:
    """What the log says of one call. It is filled while the call goes on, and written when it has ended.

    Notes sizes and names only, because requests and replies must not stay in memory.
    """

    def __init__(self, log: AccessLog, rpc: str, request_id: str, caller: str | None) -> None:
        self._log, self._rpc, self._request_id, self.caller = log, rpc, request_id, caller
        self._sizes = {"request_bytes": 0, "reply_bytes": 0}
        self._num_messages = {"num_requests": 0, "num_replies": 0}
        self._facts: dict[str, Any] = {}
        self._ids: list[str] = []

    def reading(self, deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """A function that does the same and notes what it read."""
        if not self._log.is_on:
            return deserialize

        def deserialize_and_note(content: bytes) -> Any:
            self._sizes["request_bytes"] += len(content)
            self._num_messages["num_requests"] += 1
            message = deserialize(content)
            if self._num_messages["num_requests"] == 1:
                gallery = _gallery_of(message)
                self._facts |= {} if gallery is None else {"gallery": _shortened(gallery or DEFAULT_GALLERY)}
                self._facts |= _counts(message) | _names_of(message)
                self._ids = _ids_of(message)
            return message

        return deserialize_and_note

    def writing(self, serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        """A function that does the same and notes what it wrote."""
        if not self._log.is_on:
            return serialize

        def serialize_and_note(reply: Any) -> bytes:
            content = serialize(reply)
            self._sizes["reply_bytes"] += len(content)
            self._num_messages["num_replies"] += 1
            if self._num_messages["num_replies"] == 1:
                message = reply if isinstance(reply, Message) else self._read_again(content)
                self._facts |= {} if message is None else _counts(message) | _times(message)
            return content

        return serialize_and_note

    def _read_again(self, content: bytes) -> Message | None:
        """A reply that was made as bytes; None if reading it would keep other calls waiting."""
        if len(content) > _FEW_BYTES:
            return None
        method = descriptor_pool.Default().FindMethodByName(self._rpc.replace("/", "."))
        return message_factory.GetMessageClass(method.output_type).FromString(content)

    def end(self, code: str, status: Status, seconds: float, context: Any, *, by_stranger: bool) -> None:
        """Write the lines. `code` is gRPC's name of the status, `context` gRPC's of the call."""
        if not self._log.is_on:
            return
        streamed = self._num_messages if max(self._num_messages.values()) > 1 else {}
        facts = {
            "rpc": self._rpc,
            "code": code,
            "duration_ms": round(1000 * seconds, 3),
            "caller": self.caller,
            "peer": unquote(context.peer()),
            "request_id": self._request_id,
            **self._facts,
            **streamed,
            **self._sizes,
        }
        if status.message:
            facts["error"] = status.message
        self._log.write(self._rpc, facts, self._ids, by_stranger=by_stranger)


def _gallery_of(message: Message) -> str | None:
    """The name of the gallery that a request is about; "" is the default one, None if it is about none."""
    if "gallery" in message.DESCRIPTOR.fields_by_name:
        return str(message.gallery)  # type: ignore[attr-defined]
    # The settings of a stream hold a search or a vote, and parameters of the Open Inference Protocol may name it.
    for field, value in message.ListFields():
        if field.name == "parameters":
            return str(value["gallery"].string_param) if "gallery" in value else None
        if isinstance(value, Message) and (found := _gallery_of(value)) is not None:
            return found
    return None


def _counts(message: Message) -> dict[str, int]:
    """How many entries each list of the message has, by `num_` and its name, and the numbers that lines show."""
    counts = {}
    for field, value in message.ListFields():
        if isinstance(value, MutableSequence):
            counts[f"num_{field.name}"] = len(value)
        elif field.name in _SHOWN and isinstance(value, int):
            counts[field.name] = value
    return counts


def _times(message: Message) -> dict[str, float]:
    """How long the parts of the call took, if its reply says so."""
    if "timing" not in message.DESCRIPTOR.fields_by_name:
        return {}
    timing = message.timing  # type: ignore[attr-defined]
    return {f"{part}_ms": round(ns / 1e6, 3) for part in _TIMES if (ns := getattr(timing, f"{part}_ns"))}


def _names_of(message: Message) -> dict[str, str]:
    """The snapshot, and the gallery that is made of it."""
    fields = message.DESCRIPTOR.fields_by_name
    return {word: _shortened(getattr(message, name)) for name, word in _NAMES.items() if name in fields}


def _ids_of(message: Message) -> list[str]:
    """The ids that a request adds or removes."""
    lists = message.DESCRIPTOR.fields_by_name
    if "items" in lists:
        return [each.id for each in message.items]  # type: ignore[attr-defined]
    return list(message.ids) if "ids" in lists else []  # type: ignore[attr-defined]


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:_MAX_NAME_LENGTH]}…"


def _as_word(value: Any) -> str:
    """The value without spaces around it that could be taken for the next name, and without control characters."""
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)
