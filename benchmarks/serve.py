"""Compare gfp-serve with onnxruntime alone, MLServer and Ray Serve; overload it; run it for a long time.

    python benchmarks/serve.py throughput --work W       1, 8 and 64 callers, compared with onnxruntime alone
    python benchmarks/serve.py lone --work W             single calls, each after all sides have been silent
    python benchmarks/serve.py peers --work W            the same small model in MLServer and Ray Serve
    python benchmarks/serve.py http --work W             the same calls over gRPC and over HTTP, in each form
    python benchmarks/serve.py mixed --work W            embedding and searching at once, by the threads of FAISS
    python benchmarks/serve.py overload --work W         ten times the capacity for a minute
    python benchmarks/serve.py soak --work W             ten minutes of every mistake that callers make

W is a folder for encoders and environments; it is kept between runs. Sides take turns within one run. Callers run in a
separate process.
"""

import json
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.serving.bundles import SIZES, write_bundle
from benchmarks.serving.peers import bare, mlserver, ray_serve
from benchmarks.serving.processes import Side, child, gfp_serve, side
from gfp_serve import __version__
from gfp_serve.bundle import Bundle
from gfp_serve.cores import num_cores

OUT = Path("benchmarks/serve.json")

work_option = click.option(
    "--work", type=click.Path(path_type=Path), required=True, help="Folder for encoders and environments."
)
out_option = click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@work_option
@out_option
@click.option("--size", "sizes", multiple=True, type=click.Choice(list(SIZES)), default=list(SIZES))
@click.option("--callers", multiple=True, type=int, default=(1, 8, 64), show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Length of a turn.")
@click.option("--option", "options", multiple=True, help="Option of gfp-serve, e.g. --option=--num-threads=1.")
@click.option("--mix/--no-mix", default=False, help="Four clips of ten have one body, not two.  [default: no-mix]")
def throughput(
    work: Path,
    out: Path,
    sizes: tuple[str, ...],
    callers: tuple[int, ...],
    rounds: int,
    seconds: float,
    options: tuple[str, ...],
    mix: bool,
) -> None:
    """Compare gfp-serve with onnxruntime alone, on the same cores."""
    report = {}
    suffix = "-mix" if mix else ""
    for name in sizes:
        bundle = bundle_of(work, name)
        with ExitStack() as stack:
            raw = stack.enter_context(side("raw", bundle))
            _, address = stack.enter_context(gfp_serve(bundle, *options))
            served = stack.enter_context(side("load", address, f"embed{suffix}"))
            least = stack.enter_context(
                side("load", stack.enter_context(bare(bundle))[1], f"model{suffix}", SIZES[name].num_frames)
            )
            check_alike({"raw": raw, "served": served, "bare gRPC": least})
            turns: dict[str, Callable[[], dict[str, Any]]] = {
                f"raw, batches of {batch}": lambda batch=batch, raw=raw: raw.turn(seconds=seconds, batch=batch, mix=mix)
                for batch in (1, 8)
            }
            for number in callers:
                for label, load in (("bare gRPC", least), ("served", served)):
                    turns[f"{label}, {number} callers"] = lambda number=number, load=load: load.turn(
                        seconds=seconds, callers=number
                    )
            facts = take_turns(turns, rounds)
        best = max(fact["clips_per_s"] for label, fact in facts.items() if label.startswith("raw"))
        for fact in facts.values():
            fact["of_raw"] = fact["clips_per_s"] / facts["raw, batches of 1"]["clips_per_s"]
            fact["of_best_raw"] = fact["clips_per_s"] / best
            fact["p50_above_raw_ms"] = fact["p50_ms"] - facts["raw, batches of 1"]["p50_ms"]
        report[name] = facts
        show(name, facts, ("clips_per_s", "of_raw", "of_best_raw", "p50_ms", "p99_ms", "p50_above_raw_ms", "failures"))
    write(out, "throughput of a mix" if mix else "throughput", report)


@main.command()
@work_option
@out_option
@click.option("--size", "sizes", multiple=True, type=click.Choice(list(SIZES)), default=list(SIZES))
@click.option("--rounds", default=300, show_default=True, help="Calls of each side.")
@click.option("--option", "options", multiple=True, help="Option of gfp-serve, e.g. --option=--num-threads=1.")
@click.option(
    "--before", metavar="CHECKOUT", type=click.Path(path_type=Path, exists=True), help="Serve an older one too."
)
def lone(
    work: Path, out: Path, sizes: tuple[str, ...], rounds: int, options: tuple[str, ...], before: Path | None
) -> None:
    """Measure what a single call costs more than onnxruntime alone. The sides take turns.

    A turn is a call after 30 ms of silence, and the calls that follow it at once for 20 ms. Because sides take turns, a
    machine that becomes slower or faster meanwhile does so for all of them. `gRPC, no encoder` answers at once with a
    remembered vector: no server in Python can be faster.

    `sleeps_a_call` is how often threads of the server went to sleep for each call, counted in turns of their own. The
    kernel counts each wait, also one for a timer or a lock.
    """
    report = {}
    for name in sizes:
        bundle = bundle_of(work, name)
        with ExitStack() as stack:
            started = {
                "gRPC, no encoder": stack.enter_context(bare(bundle, "--remember")),
                "bare gRPC": stack.enter_context(bare(bundle)),
                "served": stack.enter_context(gfp_serve(bundle, *options)),
            }
            if before is not None:
                started["served before"] = stack.enter_context(gfp_serve(bundle, *options, checkout=before))
            sides = {"raw": stack.enter_context(side("raw", bundle))}
            for label, (_, address) in started.items():
                given = ("embed",) if label.startswith("served") else ("model", SIZES[name].num_frames)
                sides[label] = stack.enter_context(side("load", address, *given))
            check_alike(sides)
            # Wait until other sides' threads have stopped spinning, because the first call of a short turn counts.
            turns = {label: {"batch": 1} if label == "raw" else {"callers": 1} for label in sides}
            seconds: dict[str, list[float]] = {label: [] for label in sides}
            follow: dict[str, list[float]] = {label: [] for label in sides}
            for _ in range(rounds):
                for label, each in sides.items():
                    time.sleep(0.03)
                    first, *others = each.turn(seconds=0.02, **turns[label])["latencies_s"]
                    seconds[label].append(first)
                    follow[label] += others
            slept: dict[str, list[float]] = {label: [] for label in started}
            for _ in range(min(rounds, 100)):  # not in the turns that are timed: to count takes time
                for label, (process, _) in started.items():
                    time.sleep(0.03)
                    before_turn = num_sleeps(process.pid)
                    calls = len(sides[label].turn(seconds=0, callers=1)["latencies_s"])
                    slept[label].append((num_sleeps(process.pid) - before_turn) / calls)
        above = {label: 1e3 * (np.array(each) - seconds["raw"]) for label, each in seconds.items()}
        facts: dict[str, dict[str, Any]] = {
            label: {"p50_ms": quantile_ms(each, 0.5), "p99_ms": quantile_ms(each, 0.99), "calls": len(each)}
            for label, each in seconds.items()
        }
        for label, fact in facts.items():
            fact["above_raw_ms"] = float(median(above[label]))
            fact["following_p50_ms"] = quantile_ms(follow[label], 0.5) if follow[label] else None
            fact["sleeps_a_call"] = median(slept[label]) if label in slept else None
        report[name] = facts
        show(name, facts, ("p50_ms", "p99_ms", "above_raw_ms", "following_p50_ms", "sleeps_a_call"))
    write(out, "lone", report)


@main.command()
@work_option
@out_option
@click.option("--callers", multiple=True, type=int, default=(1, 8, 64), show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Length of a turn.")
def peers(work: Path, out: Path, callers: tuple[int, ...], rounds: int, seconds: float) -> None:
    """Compare with other servers of the small encoder, through the Open Inference Protocol.

    gfp-serve gets raw clips and preprocesses them. The others get preprocessed clips, of the same number of bytes.
    """
    bundle = bundle_of(work, "small")
    with ExitStack() as stack:
        addresses = {
            "bare grpc.aio": stack.enter_context(bare(bundle))[1],
            "MLServer 1.7.1, in one process": stack.enter_context(mlserver(work, bundle, workers=0, port=18_081)),
            "MLServer 1.7.1, one worker": stack.enter_context(mlserver(work, bundle, workers=1, port=18_091)),
            "Ray Serve 2.60.0": stack.enter_context(ray_serve(work, bundle, port=19_000)),
        }
        sides = {name: stack.enter_context(side("load", address, "model")) for name, address in addresses.items()}
        _, address = stack.enter_context(gfp_serve(bundle))
        sides["gfp-serve"] = stack.enter_context(side("load", address, "raw-clip"))
        check_alike(sides)
        turns = {
            f"{name}, {number} callers": lambda side=each, number=number: side.turn(seconds=seconds, callers=number)
            for number in callers
            for name, each in sides.items()
        }
        facts = take_turns(turns, rounds)
    for name, fact in facts.items():
        own = facts[f"gfp-serve, {name.split(', ')[-1]}"]
        fact["gfp_serve_is_times"] = own["clips_per_s"] / fact["clips_per_s"]
    show("the small encoder", facts, ("clips_per_s", "gfp_serve_is_times", "p50_ms", "p99_ms", "failures"))
    write(out, "peers", facts)


@main.command()
@work_option
@out_option
@click.option(
    "--bundle", default="pose-statistics", show_default=True, help="Bundle; this one takes least time itself."
)
@click.option("--callers", multiple=True, type=int, default=(1, 8), show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Length of a turn.")
def http(work: Path, out: Path, bundle: str, callers: tuple[int, ...], rounds: int, seconds: float) -> None:
    """Compare calls over HTTP with the same calls over gRPC, of one server: Embed with a clip of 18,000 numbers.

    What JSON writes is rounded, so its vectors differ a little.
    """
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "from gfp_serve.cli.serve import gfp_serve; gfp_serve()"]
    given = ["--bundle", bundle, "--port", "0", "--http-port", "0", "--device", "cpu"]
    with ExitStack() as stack:
        ready = r"serving \S+ on (\S+ \S+ http://\S+)"
        _, addresses = stack.enter_context(child([*command, *given], ready, PYTHONUNBUFFERED="1"))
        address, _, url = addresses.split()
        sides = {"gRPC": stack.enter_context(side("load", address, "embed"))}
        for name, form in (("Connect", "connect"), ("JSON, base64", "base64"), ("JSON, lists", "json")):
            sides[name] = stack.enter_context(side("http_load", url.removeprefix("http://"), form))
        check_alike({name: each for name, each in sides.items() if name != "JSON, lists"})
        turns = {
            f"{name}, {number} callers": lambda side=each, number=number: side.turn(seconds=seconds, callers=number)
            for number in callers
            for name, each in sides.items()
        }
        facts = take_turns(turns, rounds)
    for name, fact in facts.items():
        of_grpc = facts[f"gRPC, {name.split(', ')[-1]}"]
        fact["of_grpc"] = fact["clips_per_s"] / of_grpc["clips_per_s"]
    show(f"one server of {bundle}", facts, ("clips_per_s", "of_grpc", "p50_ms", "p99_ms", "failures"))
    write(out, "http", facts)


@main.command()
@work_option
@out_option
@click.option("--size", default="small", show_default=True, type=click.Choice(list(SIZES)))
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Length of a turn.")
def mixed(work: Path, out: Path, size: str, rounds: int, seconds: float) -> None:
    """Measure callers who embed beside callers who search, with FAISS's and BLAS's threads as they are and with one.

    Two servers with the same 40,091 items: one as it is, one whose libraries were told to use one thread for a call.
    """
    bundle = bundle_of(work, size)
    width = str(Bundle.read(bundle).manifest.embedding_size)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with ExitStack() as stack:
        sides = {}
        for name, environment in (("as it is", {}), ("one thread a call", one)):
            _, address = stack.enter_context(gfp_serve(bundle, **environment))
            sides[name] = stack.enter_context(side("mixed_load", address, width))
        check_alike(sides)
        loads = {
            "8 embed": {"embedding": 8, "searching": 0, "exact": False},
            "1 searches": {"embedding": 0, "searching": 1, "exact": False},
            "1 searches exactly": {"embedding": 0, "searching": 1, "exact": True},
            "8 embed, 4 search": {"embedding": 8, "searching": 4, "exact": False},
            "8 embed, 4 search exactly": {"embedding": 8, "searching": 4, "exact": True},
        }
        done: dict[str, list[dict[str, Any]]] = {}
        for _ in range(rounds):
            for load, given in loads.items():
                for name, each in sides.items():
                    done.setdefault(f"{load}, {name}", []).append(each.turn(seconds=seconds, **given))
    facts = {
        name: {
            **{rate: median(turn[rate] for turn in turns) for rate in ("clips_per_s", "queries_per_s")},
            **{
                f"{label}_p50_ms": quantile_ms(seconds_taken, 0.5)
                for label, key in (("embed", "latencies_s"), ("search", "search_latencies_s"))
                if (seconds_taken := [each for turn in turns for each in turn[key]])
            },
        }
        for name, turns in done.items()
    }
    show(f"embedding with {size}, and searching", facts, tuple(next(reversed(facts.values()))))
    write(out, "mixed", facts)


@main.command()
@work_option
@out_option
@click.option("--seconds", default=60.0, show_default=True)
@click.option(
    "--times", default=10.0, show_default=True, help="How many times more calls to send than the server can answer."
)
def overload(work: Path, out: Path, seconds: float, times: float) -> None:
    """Send many times more calls than the server can answer."""
    room = 32  # in bodies: sixteen clips of two
    with ExitStack() as stack:
        options = ("--max-admitted-bodies", room, "--max-sequences", room // 2)
        process, address = stack.enter_context(gfp_serve(bundle_of(work, "tokens-75"), *options))
        patient, flood = (
            stack.enter_context(side(name, *given))
            for name, *given in (("load", address, "embed"), ("overload", address))
        )
        full = [patient.turn(seconds=seconds / 6, callers=room // 2) for _ in range(4)][1:]
        capacity = median(turn["clips_per_s"] for turn in full)
        memory = Memory(process.pid)
        turn = flood.turn(seconds=seconds, rate=times * capacity)
        facts = {
            "capacity_clips_per_s": capacity,
            "calls_per_s": turn["sent"][0] / seconds,
            "answers": {status: len(each) for status, each in turn.items() if status != "sent"},
            "admitted_p99_ms": quantile_ms(turn["OK"], 0.99),
            "admitted_p99_ms_at_full_queue_without_overload": quantile_ms(
                [s for t in full for s in t["latencies_s"]], 0.99
            ),
            "refused_p50_ms": quantile_ms(turn["RESOURCE_EXHAUSTED"], 0.5),
            "refused_p99_ms": quantile_ms(turn["RESOURCE_EXHAUSTED"], 0.99),
            "resident_mb": memory.stop(),
        }
        facts["admitted_p99_of_unloaded"] = (
            facts["admitted_p99_ms"] / facts["admitted_p99_ms_at_full_queue_without_overload"]
        )
        facts["resident_growth"] = growth(facts["resident_mb"], first=0.1)
    click.echo(json.dumps({name: value for name, value in facts.items() if name != "resident_mb"}, indent=2))
    write(out, "overload", facts)


@main.command()
@work_option
@out_option
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--callers", default=8, show_default=True)
def soak(work: Path, out: Path, minutes: float, callers: int) -> None:
    """Do everything that callers do, above all mistakes, and measure what the server still holds afterwards."""
    bundle = bundle_of(work, "small")
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.serving.watched_server", "--bundle", str(bundle), "--port", "0"]
        process, address = stack.enter_context(
            child(command, r"serving \S+ on (\S+) ", log := work / "soak.log", PYTHONUNBUFFERED="1")
        )
        world = stack.enter_context(side("soak", address))
        world.turn(seconds=10, callers=callers, seed=1)
        before = counts_of(process, log)
        memory = Memory(process.pid)
        done = world.turn(seconds=60 * minutes, callers=callers, seed=2)
        resident = memory.stop()
        time.sleep(5)  # until the server has closed abandoned connections
        facts = {
            **done,
            "before": before,
            "after": counts_of(process, log),
            "resident_mb": resident,
            "resident_growth_after_minute_2": growth(resident, first=min(0.2, 2 / minutes)),
        }
    click.echo(json.dumps({name: value for name, value in facts.items() if name != "resident_mb"}, indent=2))
    write(out, "soak", facts)


def num_sleeps(pid: int) -> int:
    """How often the threads of a process that live have gone to sleep so far."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            found += int((task / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


class Memory:
    """Reads the resident memory of a process every second until `stop`."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._megabytes: list[float] = []
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> list[float]:
        self._done.set()
        self._thread.join()
        return self._megabytes

    def _watch(self) -> None:
        while not self._done.wait(1):
            self._megabytes.append(round(self._process.memory_info().rss / 1e6, 1))


def growth(resident: list[float], *, first: float) -> float:
    """Return the growth from the tenth that begins at the share `first` of the time to the last tenth."""
    tenth = max(1, len(resident) // 10)
    start = int(first * len(resident))
    return median(resident[-tenth:]) / median(resident[start : start + tenth]) - 1


def counts_of(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    seen = log.stat().st_size
    process.send_signal(signal.SIGUSR1)
    while not (found := re.findall(r"^counts (.*)$", log.read_text()[seen:], re.MULTILINE)):
        time.sleep(0.05)
    return json.loads(found[-1])


def quantile_ms(seconds: list[float], share: float) -> float:
    return 1e3 * float(np.quantile(seconds, share))


def bundle_of(work: Path, name: str) -> Path:
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{name}.zip"
    write_bundle(SIZES[name], path)
    return path


def check_alike(sides: dict[str, Side]) -> None:
    """Raise `RuntimeError` if two sides do not compute the same vector."""
    (first, expected), *others = ((name, each.vector) for name, each in sides.items())
    for name, vector in others:
        if vector.shape != expected.shape or np.abs(vector - expected).max() > 1e-5:
            raise RuntimeError(f"{name} and {first} give different vectors: {vector[:3]} and {expected[:3]}")


def take_turns(turns: dict[str, Callable[[], dict[str, Any]]], rounds: int) -> dict[str, dict[str, Any]]:
    """Give each side a turn in each round, after one that is not counted. Medians of rounds, percentiles of calls."""
    for turn in turns.values():
        turn()
    done: dict[str, list[dict[str, Any]]] = {name: [] for name in turns}
    for number in range(rounds):
        for name, turn in turns.items():
            done[name].append(turn())
            print(f"round {number + 1}, {name}: {done[name][-1]['clips_per_s']:.2f} clips/s", file=sys.stderr)
    return {name: facts_of(each) for name, each in done.items()}


def facts_of(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    latencies = np.concatenate([each["latencies_s"] for each in rounds])
    return {
        "clips_per_s": median(each["clips_per_s"] for each in rounds),
        "clips_per_s_of_rounds": [round(each["clips_per_s"], 2) for each in rounds],
        "p50_ms": 1e3 * float(np.quantile(latencies, 0.5)),
        "p99_ms": 1e3 * float(np.quantile(latencies, 0.99)),
        "calls": len(latencies),
        "failures": dict(sum((Counter(each.get("failures", {})) for each in rounds), Counter[str]())),
    }


def show(title: str, facts: dict[str, dict[str, Any]], columns: tuple[str, ...]) -> None:
    table = Table("", *columns, title=title)
    for name, fact in facts.items():
        table.add_row(name, *(_cell(fact.get(column, "")) for column in columns))
    Console(width=120).print(table)


def _cell(value: object) -> str:
    if isinstance(value, dict):  # calls that failed, by code
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)


def _commit() -> str:
    ended = subprocess.run(["git", "describe", "--always", "--dirty"], check=False, capture_output=True, text=True)
    return f"commit {ended.stdout.strip()}" if ended.returncode == 0 else "outside a repository"


def write(out: Path, section: str, report: dict[str, Any]) -> None:
    """Write the section into the report, and keep the other sections, and what this run did not measure of its own.

    `measured` says of each part when it was measured, and of which version.
    """
    known = json.loads(out.read_text()) if out.exists() else {}
    before = known.get(section, {})
    now = f"{datetime.now(UTC):%Y-%m-%d}, gfp-serve {__version__}, {_commit()}"
    measured = {**before.get("measured", {}), **dict.fromkeys(report, now)}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": num_cores()}
    known[section] = {**before, **machine, **report, "measured": measured}
    out.write_text(json.dumps(known, indent=2) + "\n")
    click.echo(out)


if __name__ == "__main__":
    main()
