"""Measure the memory of training on a CPU for stores of several sizes. Clips are mapped from their file, not loaded.

    python benchmarks/train_memory.py

Each size is trained for the same number of steps, in a separate process. `anonymous` is the process's own memory.
`mapped` are pages of files, such as the store's; the kernel takes them back when memory is short.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.made_up_clips import write_store
from trainer.config import PRESETS
from trainer.data.store import ClipStore
from trainer.loop import Trainer

STEPS = 40


@click.command(help=__doc__)
@click.option("--clips", "sizes", multiple=True, default=(500, 2000, 8000), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/train_memory.json"), show_default=True)
def main(sizes: tuple[int, ...], out: Path) -> None:
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            store = write_store(Path(folder) / "store", num_clips=size, one_body_share=0.8)
            command = [sys.executable, __file__, "measure", str(store.path)]
            measured = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append({"clips": size, "store_mb": store.rows.nbytes / 1e6, "steps": STEPS, **json.loads(measured)})
        click.echo(" ".join(f"{name} {value:.0f}" for name, value in rows[-1].items()))
    out.write_text(json.dumps(rows, indent=2) + "\n")


def measure(store: Path) -> None:
    """Train some steps and print what `/proc` says of this process, in MB."""
    with tempfile.TemporaryDirectory() as run:
        trainer = Trainer(PRESETS["demo"], ClipStore.open(store), Path(run))
        for _ in range(STEPS):
            trainer.train_step()
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {name: int(lines[name].split()[0]) for name in ("VmHWM", "RssAnon", "RssFile")}
    named = {"peak_mb": "VmHWM", "anonymous_mb": "RssAnon", "mapped_mb": "RssFile"}
    click.echo(json.dumps({name: kilobytes[key] / 1024 for name, key in named.items()}))


if __name__ == "__main__":
    measure(Path(sys.argv[2])) if sys.argv[1:2] == ["measure"] else main()
