"""Everything that wants a GPU, in one call with a time limit, in the order of worth.

    python benchmarks/gpu.py --minutes 14 --out build/gpu --store STORE     on the first NVIDIA GPU
    python benchmarks/gpu.py --minutes 5 --out build/try --device cpu --tiny     a rehearsal on a CPU

Each phase is a process of its own with a time limit, and writes PHASE.json into the folder of --out as it ends; what it
prints is in PHASE.log. A phase that fails writes PHASE.failed.json, and the next one begins. The same call again passes
over the phases that have a file, tries those again that failed, and goes on with the training. summary.md has what was
found so far.

One phase trains the general encoder for as long as there is time, but for a little that it leaves to the phases behind
it. It evaluates the encoder, and cuts its checkpoint into pieces of at most 16 MiB, which join.sh beside them joins.
The phases that serve run only where onnxruntime-gpu and faiss-gpu are installed. Without --store, clips are made up:
they show the speed, not how good an encoder gets.
"""

import contextlib
import importlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.on_gpu.settings import Settings
from benchmarks.on_gpu.summary import summary

ROOT = Path(__file__).parents[1]

# With less time left, a phase is not begun.
LEAST_S = 15.0
# On a CPU torch compiles C++, which takes many times as long.
TIMES_ON_A_CPU = 4


@dataclass(frozen=True)
class Phase:
    """A function of benchmarks/on_gpu, how many seconds it may take, and what it needs.

    Without a limit it may take all that are left but `leaves_s`, if phases come behind it. `needs` has a package for
    each device.
    """

    function: str
    limit_s: float | None
    needs: dict[str, str] = field(default_factory=dict)
    leaves_s: float = 0.0


ONNXRUNTIME = {"cuda": "onnxruntime-gpu", "cpu": "onnxruntime"}
ONNXRUNTIME_GPU = dict.fromkeys(("cuda", "cpu"), "onnxruntime-gpu")
PHASES = {
    "machine": Phase("machine.run", 60),
    "parity": Phase("parity.run", 110),
    "gfp_fused": Phase("steps.gfp_fused", 180),
    "mamp_fused": Phase("steps.mamp_fused", 150),
    "general": Phase("general.run", None, leaves_s=150),
    "attention": Phase("attention.run", 45),
    "gfp_graphs": Phase("steps.gfp_graphs", 130),
    "encoder": Phase("serving.encoder", 60, ONNXRUNTIME),
    "galleries": Phase("serving.galleries", 90, {"cuda": "faiss-gpu", "cpu": "faiss-cpu"}),
    "published_run": Phase("published.session_run", 90, ONNXRUNTIME),
    "published_bound": Phase("published.bound", 45, ONNXRUNTIME),
    "published_graphs": Phase("published.graphs", 45, ONNXRUNTIME),
    "published_fp16": Phase("published.fp16", 45, ONNXRUNTIME),
    "published_fp16_graphs": Phase("published.fp16_graphs", 45, ONNXRUNTIME),
    # A rehearsal on a CPU passes over these.
    "published_tensorrt": Phase("published.tensorrt", 150, ONNXRUNTIME_GPU),
    "published_tensorrt_fp16": Phase("published.tensorrt_fp16", 150, ONNXRUNTIME_GPU),
}


@click.command(help=__doc__)
@click.option("--minutes", type=float, required=True, help="Time for everything.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the reports.")
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--tiny", is_flag=True, help="Tiny sizes and a few epochs, to see whether everything runs.")
@click.option(
    "--store", type=click.Path(path_type=Path, exists=True), help="Labelled clips that the training learns from."
)
@click.option(
    "--phase", "only", multiple=True, type=click.Choice(list(PHASES)), help="Only this phase; may be repeated."
)
@click.option("--in-this-process", hidden=True, type=float, help="Seconds of the one phase that is run here.")
def main(
    minutes: float,
    out: Path,
    device: Literal["cuda", "cpu"],
    tiny: bool,
    store: Path | None,
    only: tuple[str, ...],
    in_this_process: float | None,
) -> None:
    if in_this_process is not None:
        _run_here(only[0], Settings(out, device, tiny, in_this_process, store))
        return
    end = time.monotonic() + 60 * minutes
    out.mkdir(parents=True, exist_ok=True)
    names = list(only or PHASES)
    for name in names:
        left_s = end - time.monotonic()
        _run(name, left_s - (PHASES[name].leaves_s if name != names[-1] else 0), out, device, tiny, store)
        (out / "summary.md").write_text(summary(out, PHASES))
    click.echo((out / "summary.md").read_text())


def _run(name: str, left_s: float, out: Path, device: str, tiny: bool, store: Path | None) -> None:
    """Run a phase in a process of its own, unless it is done, cannot be run, or there is no time for it."""
    phase = PHASES[name]
    report, failed = out / f"{name}.json", out / f"{name}.failed.json"
    needed = phase.needs.get(device)
    lacks = needed is not None and not _is_installed(needed)
    is_done = report.exists() and not json.loads(report.read_text()).get("unfinished")
    if is_done or lacks or left_s < LEAST_S:
        why = "has its file" if is_done else f"needs {needed}" if lacks else "has no time left"
        click.echo(f"{name}: passed over, it {why}")
        return
    failed.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    limit_s = left_s
    if phase.limit_s is not None:
        limit_s = min(left_s, phase.limit_s * (TIMES_ON_A_CPU if device == "cpu" else 1))
    words = ["--minutes", "0", "--out", str(out), "--device", device, "--phase", name]
    # A phase that takes all the time ends by itself a little earlier, so that its report is written.
    own_s = limit_s if phase.limit_s is not None else limit_s - min(10.0, 0.1 * limit_s)
    words += ["--in-this-process", str(own_s), *(["--tiny"] if tiny else [])]
    words += [] if store is None else ["--store", str(store)]
    start = time.monotonic()
    with (out / f"{name}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What one phase compiled, the next one finds.
            env={
                "TORCHINDUCTOR_CACHE_DIR": f"{tempfile.gettempdir()}/gfp-compiled",
                **os.environ,
                "PYTHONPATH": str(ROOT),
            },
        )
        ended = _wait(process, limit_s)
    took = time.monotonic() - start
    if not report.exists():
        tail = (out / f"{name}.log").read_text(errors="replace")[-3000:]
        failed.write_text(json.dumps({"why": ended, "seconds": took, "log": tail}, indent=2) + "\n")
    click.echo(f"{name}: {'done' if report.exists() else f'failed, {ended}'} after {took:.0f} s")


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> str:
    """How the process ended; after its limit, or on Ctrl-C, it and its children are ended."""
    try:
        return f"exit code {process.wait(limit_s)}"
    except subprocess.TimeoutExpired:
        return f"ended at its limit of {limit_s:.0f} s"
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                os.killpg(process.pid, number)  # also what it left behind
                process.wait(5)


def _run_here(name: str, settings: Settings) -> None:
    start = time.perf_counter()
    module, function = PHASES[name].function.split(".")
    found: dict[str, Any] = getattr(importlib.import_module(f"benchmarks.on_gpu.{module}"), function)(settings)
    written = settings.out / f"{name}.json.part"
    written.write_text(json.dumps({"phase_s": time.perf_counter() - start, **found}, indent=2) + "\n")
    written.replace(settings.out / f"{name}.json")


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
