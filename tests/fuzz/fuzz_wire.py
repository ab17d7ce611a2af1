"""Coverage-guided fuzzing of every RPC of ours, without sockets.

It stops with a traceback at an undocumented answer, or at a fault that the server would hide from its caller. The input
is then in a file crash-*. Name that file as an argument to try it again.

The first byte of an input chooses the RPC; the rest is the call: one message, or for a method that takes a stream
several, each after two bytes with its length. With another first byte, Hypothesis makes the call from the rest
(`any_requests.calls`).
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
# A first byte that is not an RPC's: Hypothesis makes the call.
MADE_UP = 255
ANSWERS = {StatusCode.OK, *STATUS_CODES.values()} - {StatusCode.INTERNAL, StatusCode.DEADLINE_EXCEEDED}

LONGEST_INPUT = 2**14

# After this many inputs the galleries are set up again, as the good requests need them.
INPUTS_BETWEEN_SET_UPS = 200


def packed(contents: Sequence[bytes]) -> bytes:
    """Join the messages of a stream to one input."""
    return b"".join(len(content).to_bytes(2, "big") + content for content in contents)


def unpacked(rest: bytes) -> Iterator[bytes]:
    """Split what `packed` joined. Other bytes give some messages too."""
    at = 0
    while at < len(rest):
        end = at + 2 + int.from_bytes(rest[at : at + 2], "big")
        yield rest[at + 2 : end]
        at = end


def seeds() -> Iterator[bytes]:
    """Give inputs to start from: good calls, and some that Hypothesis makes."""
    for number, name in enumerate(OURS):
        contents = [request.SerializeToString() for request in good(RPCS[name])]
        if RPCS[name].client_streaming:
            yield bytes([number]) + packed(contents)
        else:
            yield from (bytes([number]) + content for content in contents)
    yield from (bytes([MADE_UP]) + bytes(length) for length in (10, 100, 1000))


class Fuzzer:
    """Tries inputs until its time or their number is used up, and then prints how the calls ended."""

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
        """Try an input of libFuzzer, and end the process in time: libFuzzer would end it while threads are running."""
        if self._inputs >= self._left or time.monotonic() > self._until:
            self.end()
            os._exit(0)
        try:
            self.try_input(content)
        except BaseException:
            self.end()
            raise

    def try_input(self, content: bytes) -> None:
        """Try an input. Raises if it finds a fault."""
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
        """Send what the good requests need, and drop other galleries: their number is limited, and each has files."""
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
        """Clean up, and print how the calls ended."""
        self._folder.cleanup()
        for line, count in sorted(self._ended.items()):
            click.echo(f"{count:8d} {line}")
        click.echo(f"{self._ended.total():8d} calls of {self._inputs} inputs")


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, help="How long to try inputs.", show_default=True)
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
