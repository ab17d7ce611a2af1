"""Real `gfp-serve` processes, for tests of signals, exit codes and kills."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

COMMAND = (sys.executable, "-c", "from gfp_serve.cli.serve import gfp_serve; gfp_serve()")


@contextmanager
def process(
    *arguments: object, wrapper: Sequence[str] = (), **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `gfp-serve`; give it and its address when it is ready. `wrapper` is a command to run it."""
    command = [*wrapper, *COMMAND, *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as running_process:
        try:
            line = running_process.stdout.readline()
            ready = re.fullmatch(r"serving [\w-]+ on (127\.0\.0\.1:\d+) \(cpu\)\n", line)
            assert ready, (line, running_process.stderr.read() if not line else "")
            yield running_process, ready[1]
        finally:
            running_process.kill()
