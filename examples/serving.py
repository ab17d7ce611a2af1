"""A server for one example: it starts with the example and stops when the example is done."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

LOG = Path("runs/server.log")

console = Console(highlight=False, soft_wrap=True)


@contextmanager
def serving(bundle: Path | str, *, gallery: Path | None = None, http_port: int | None = None) -> Iterator[str]:
    """Run `gfp-serve` on a free port of this machine, and give its address.

    Without `gallery`, a folder, items are kept in memory only. With `http_port` it serves its page there too.
    """
    command = ["gfp-serve", "--bundle", str(bundle), "--port", "0"]
    command += [] if gallery is None else ["--gallery", str(gallery)]
    command += [] if http_port is None else ["--http-port", str(http_port)]
    console.print(f"$ {' '.join(command)}", style="bold")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        server = subprocess.Popen(
            [Path(sys.executable).parent / command[0], *command[1:]], stdout=subprocess.PIPE, stderr=log, text=True
        )
        # Whoever ends this program ends the server too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            ready = server.stdout.readline() if server.stdout else ""
            if not ready:
                raise SystemExit(f"gfp-serve did not start; its log is {LOG}")
            console.print(ready.strip())
            yield ready.split(" on ")[1].split()[0].rstrip(",")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
