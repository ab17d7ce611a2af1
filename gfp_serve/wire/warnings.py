"""Doubts about the clips of a request, as warnings of its reply."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gfp_serve.doubts import Doubt
from gfp_serve.v1 import embedding_pb2


@dataclass(frozen=True, slots=True)
class ServerWarning:
    """What a server says may be wrong with the clips of a request, although it used them."""

    field: str  # the first that it is about, such as "items[3]"
    kind: str  # "up", "unit", "hand", "image", "dimensions" or "travel"; a later server may have more
    text: str  # what is wrong, and what to do
    num_others: int = 0  # other fields that it is about

    def __str__(self) -> str:
        """For example "items[3] and 2 others: it looks as if z were up …"."""
        others = f" and {self.num_others} other{'s' if self.num_others > 1 else ''}" if self.num_others else ""
        return f"{self.field}{others}: {self.text}"


def gathered(doubts: Iterable[tuple[str, Doubt]]) -> list[ServerWarning]:
    """One warning for each kind of doubt, from doubts and the fields that they are about."""
    by_kind: dict[str, list[tuple[str, Doubt]]] = {}
    for field, doubt in doubts:
        by_kind.setdefault(doubt.kind, []).append((field, doubt))
    return [ServerWarning(found[0][0], kind, found[0][1].text, len(found) - 1) for kind, found in by_kind.items()]


def write_warnings(doubts: Iterable[tuple[str, Doubt]]) -> list[embedding_pb2.Warning]:
    """The messages of `gathered`."""
    return [
        embedding_pb2.Warning(field=each.field, kind=each.kind, text=each.text, num_others=each.num_others)
        for each in gathered(doubts)
    ]


def read_warning(message: embedding_pb2.Warning, start: int = 0) -> ServerWarning:
    """A warning about a part of a list that begins at `start`: its field counts from the beginning of the list."""
    field = re.sub(r"\[(\d+)\]", lambda number: f"[{int(number[1]) + start}]", message.field, count=1)
    return ServerWarning(field, message.kind, message.text, message.num_others)
