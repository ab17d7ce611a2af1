"""Coverage-guided fuzzing of every RPC of ours, without sockets.

An answer that is not documented, or a fault that the server would hide from its caller, ends it with a traceback and
the input in a file crash-*, which is tried again when it is named.

An input's first byte chooses the RPC, or that Hypothesis makes the call of the rest (`wild.calls`); else the rest is
the call: one message, or of a method that takes a stream several, each behind two bytes of its length.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import atheris
import click
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

with atheris.instrument_imports(include=["gfp_serve", "google.protobuf.json_format"]):
    from gfp_serve.server import SERVICES
    from gfp_serve.wire.status import STATUS_CODES
    from tests.fuzz.in_process import Methods
from grpc import StatusCode

from gfp_serve.v1 import gallery_pb2
from tests.support.any_requests import RPCS, SET_UP, calls, good

OURS = sorted(name for name in RPCS if name.startswith(tuple(f"/{service}/" for service in SERVICES)))
# A first byte that stands for no RPC: the call is made by Hypothesis.
MADE_UP = 255
ANSWERS = {StatusCode.OK, *STATUS_CODES.values()} - {StatusCode.INTERNAL, StatusCode.DEADLINE_EXCEEDED}

LONGEST_INPUT = 2**14

# So many inputs find the galleries that others have left; then they are as the good requests want them.
INPUTS_BETWEEN_SET_UPS = 200


def packed(contents: Sequence[bytes]) -> bytes:
    """The messages of a stream as one input."""
    return b"".join(len(content).to_bytes(2, "big") + content for content in contents)


def unpacked(rest: bytes) -> Iterator[bytes]:
    """What `packed` packed; of any other bytes, something."""
    at = 0
    while at < len(rest):
        end = at + 2 + int.from_bytes(rest[at : at + 2], "big")
        yield rest[at + 2 : end]
        at = end


def seeds() -> Iterator[bytes]:
    """Inputs to start from: good calls, and some that Hypothesis makes."""
    for number, name in enumerate(OURS):
        contents = [request.SerializeToString() for request in good(RPCS[name])]
        if RPCS[name].client_streaming:
            yield bytes([number]) + packed(contents)
        else:
            yield from (bytes([number]) + content for content in contents)
    yield from (bytes([MADE_UP]) + bytes(length) for length in (10, 100, 1000))


class Fuzzer:
    """Tries inputs until its time or their number is over, and then says how the calls ended."""

    def __init__(self, *, seconds: float, inputs: float) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self._methods = Methods(self.folder)
        self._ended: Counter[str] = Counter()
        self._until = time.monotonic() + seconds
        self._inputs, self._left = 0, inputs

        @settings(database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.sampled_from(OURS).flatmap(lambda name: st.tuples(st.just(name), calls(RPCS[name]))))
        def made_up(made: tuple[str, list[bytes]]) -> None:
            self._call(*made)

        self._made_up = made_up.hypothesis.fuzz_one_input

    def try_next(self, content: bytes) -> None:
        """For libFuzzer, which would end the process without a word to Python and in the middle of its threads."""
        if self._inputs >= self._left or time.monotonic() > self._until:
            self.end()
            os._exit(0)
        try:
            self.try_input(content)
        except BaseException:
            self.end()
            raise

    def try_input(self, content: bytes) -> None:
        """Raises for what is a finding."""
        if self._inputs % INPUTS_BETWEEN_SET_UPS == 0:
            self._set_up()
        self._inputs += 1
        number, rest = (content[0], content[1:]) if content else (MADE_UP, b"")
        if number < len(OURS):
            name = OURS[number]
            self._call(name, list(unpacked(rest)) if RPCS[name].client_streaming else [rest])
        else:
            self._made_up(rest)

    def _set_up(self) -> None:
        """Also keeps galleries few: each has its files, and there is a most of them."""
        galleries = "/gfp_serve.v1.GalleryService"
        _, (listed,) = self._methods.call(f"{galleries}/ListGalleries", [b""])
        for each in gallery_pb2.ListGalleriesResponse.FromString(listed).galleries:
            if each.name != "default":
                drop = gallery_pb2.DropGalleryRequest(gallery=each.name)
                self._methods.call(f"{galleries}/DropGallery", [drop.SerializeToString()])
        for name, request in SET_UP:
            self._methods.call(name, [request.SerializeToString()])

    def _call(self, name: str, contents: list[bytes]) -> None:
        code, _ = self._methods.call(name, contents)
        self._ended[f"{name} {code.name}"] += 1
        if code not in ANSWERS:
            raise AssertionError(f"{name} ended with {code.name}")

    def end(self) -> None:
        """Clean up, and say how the calls ended."""
        self._folder.cleanup()
        for line, count in sorted(self._ended.items()):
            click.echo(f"{count:8d} {line}")
        click.echo(f"{self._ended.total():8d} calls of {self._inputs} inputs")


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, help="How long to look.", show_default=True)
@click.option("--inputs", default=float("inf"), help="How many inputs to try at most.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Folder of inputs to start from, and to keep new ones.")
@click.argument("again", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def fuzz_wire(seconds: float, inputs: float, corpus: Path | None, again: tuple[Path, ...]) -> None:
    fuzzer = Fuzzer(seconds=seconds, inputs=inputs)
    for path in again:
        fuzzer.try_input(path.read_bytes())
    if again:
        fuzzer.end()
        return
    found, start = corpus or fuzzer.folder / "found", fuzzer.folder / "seeds"
    for made in (found, start):
        made.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (start / str(number)).write_bytes(seed)
    limits = [f"-max_len={LONGEST_INPUT}", "-timeout=30", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *limits, str(found), str(start)], fuzzer.try_next)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz_wire()
