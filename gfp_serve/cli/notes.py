"""Notes about clips that a server warns of: commands name the clip, where a reply names its place in the request."""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from gfp_serve.cli.progress import warn
from gfp_serve.client import ServerWarning
from gfp_serve.client.recordings import RecordedClip

T = TypeVar("T")

# The clips of the request that is being sent. A command sends one request at a time.
_sent: list[RecordedClip] = []


def noting(send: Callable[[list[RecordedClip]], Iterable[T]]) -> Callable[[list[RecordedClip]], Iterable[T]]:
    """`send`, remembering which clips are sent."""

    def call(clips: list[RecordedClip]) -> Iterable[T]:
        _sent[:] = clips
        return send(clips)

    return call


def note_warning(warning: ServerWarning) -> None:
    """Print a warning with the name of the clip. A client passes on the first of each kind only."""
    place = re.search(r"\[(\d+)\]", warning.field)
    name = _sent[int(place[1])].id if place is not None and int(place[1]) < len(_sent) else warning.field
    others = f" and {warning.num_others} more of its request" if warning.num_others else ""
    warn(f"note: {name}{others}: {warning.text}")
