"""Notes about clips that a server warns of: commands name the clip, where a reply names its place in the request."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gfp_serve.cli.progress import warn
from gfp_serve.client import ServerWarning
from gfp_serve.client.recordings import RecordedClip

T = TypeVar("T")

# The clips of the request that is being sent; nothing while warnings are muted. A command sends one request at a time.
_sent: dict[str, list[RecordedClip]] = {"clips": []}


def noting(send: Callable[[list[RecordedClip]], Iterable[T]]) -> Callable[[list[RecordedClip]], Iterable[T]]:
    """`send`, remembering which clips are sent."""

    def call(clips: list[RecordedClip]) -> Iterable[T]:
        _sent["clips"] = clips
        return send(clips)

    return call


@contextmanager
def muted() -> Iterator[None]:
    """Print no warning meanwhile."""
    clips = _sent.pop("clips", [])
    try:
        yield
    finally:
        _sent["clips"] = clips


def note_warning(warning: ServerWarning) -> None:
    """Print a warning with the name of the clip. A client passes on the first of each kind only."""
    if "clips" not in _sent:
        return
    clips = _sent["clips"]
    place = re.search(r"\[(\d+)\]", warning.field)
    name = clips[int(place[1])].id if place is not None and int(place[1]) < len(clips) else warning.field
    others = f" and {warning.num_others} more of its request" if warning.num_others else ""
    warn(f"note: {name}{others}: {warning.text}")
