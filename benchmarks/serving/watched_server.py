"""`gfp-serve` that prints its numbers of tasks, threads and open files as JSON at SIGUSR1. A leak would raise them.

python -m benchmarks.serving.watched_server BUNDLE [OPTION ...]
"""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path

import click

from gfp_serve.cli.options import options_from
from gfp_serve.config import ServeConfig
from gfp_serve.server_process import serve


def print_counts() -> None:
    gc.collect()
    tasks = sorted(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))
    counts = {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "named_tasks": tasks,
    }
    print("counts", json.dumps(counts), flush=True)


@click.command()
@options_from(ServeConfig)
def main(config: ServeConfig) -> None:
    async def run() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print_counts)
        await serve(config, lambda line: print(line, flush=True))

    asyncio.run(run())


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
