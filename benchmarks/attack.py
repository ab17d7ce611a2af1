"""Attack a server in every way that is known to have hurt one, beside honest callers, and measure what these notice.

    python benchmarks/attack.py run             each kind of attack on a server of its own, one after another
    python benchmarks/attack.py soak            attacks, kills, bundle switches and honest callers beside each other
    python benchmarks/attack.py bare            large messages to a server of gRPC alone, which nothing can beat
    python benchmarks/attack.py table           the reports as Markdown
    python benchmarks/attack.py picture         memory and health during the soak

Everything happens on loopback, in a temporary folder, and needs nothing outside the repository. Each attack states the
most that it may cost (`Bounds`). Attackers, server and honest callers share the machine's cores, so times are worse
than where attackers have machines of their own.

`run` and `soak` end with exit code 1 when the server ended, an acknowledged write was lost or an answer was wrong, and
`run` also when an attack got through: with what does not depend on the machine's speed. In the soak, kills cut attacks
off, so what these say is only noted. Whether each bound held is in the report.
"""

import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.attacks.bare import beside_large_messages
from benchmarks.attacks.every import ATTACKS
from benchmarks.attacks.honest import result_counts
from benchmarks.attacks.kinds import Tally
from benchmarks.attacks.parties import Attackers, Honesty
from benchmarks.attacks.report import attack_table, bare_table, broken, draw_soak, judged, one_line, soak_table
from benchmarks.attacks.scene import Scene
from benchmarks.attacks.soak import Soak

RUN_REPORT, SOAK_REPORT = Path("benchmarks/attack.json"), Path("benchmarks/soak.json")
PICTURE = Path("benchmarks/soak.png")
CALM_S = 5.0  # how long honest callers are measured before an attack, and after it
BACK_S = 60.0  # memory must be back after this time
MOST_MB = 6000.0  # an attack ends early when the server has grown to this


@click.group(help=__doc__)
def main() -> None:
    # So that the processes that this one has started end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=RUN_REPORT, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(ATTACKS)), help="Only this attack; may be repeated.")
@click.option("--seconds", type=float, help="Length of each attack, instead of its own.")
@click.option("--back-s", default=BACK_S, show_default=True, help="Most seconds to wait until memory is back.")
@click.option("--seed", default=0, show_default=True)
def run(out: Path, only: tuple[str, ...], seconds: float | None, back_s: float, seed: int) -> None:
    """Run each kind of attack on a server of its own. The report is written after each."""
    names = only or tuple(ATTACKS)
    report = read(out)
    begin = time.monotonic()
    for number, name in enumerate(names):
        left = (time.monotonic() - begin) / number * (len(names) - number) if number else None
        note = f", about {left / 60:.0f} minutes left" if left is not None else ""
        click.echo(f"{number + 1} of {len(names)}: {name}{note}")
        with tempfile.TemporaryDirectory(prefix="gfp-attack-") as folder:
            found = run_one(name, Path(folder) / "scene", seconds, back_s, seed)
        report["attacks"] = {**report.get("attacks", {}), name: found}
        write(out, report)
        click.echo(one_line(found))
    faults = [f"{name}: {fault}" for name in names for fault in report["attacks"][name]["faults"]]
    if not_held := [f"{name}: {each}" for name in names for each in broken(report["attacks"][name]["bounds"])]:
        click.echo("bounds that did not hold:\n  " + "\n  ".join(not_held))
    click.echo(out)
    if faults:
        raise click.ClickException("the server or its answers failed:\n  " + "\n  ".join(faults))


@main.command()
@click.option("--minutes", default=30.0, show_default=True, help="Time of the attacks; comparing comes in addition.")
@click.option("--parts", default=4, show_default=True, help="After each, what was written is compared and saved.")
@click.option("--out", type=click.Path(path_type=Path), default=SOAK_REPORT, show_default=True)
@click.option("--seed", default=0, show_default=True)
def soak(minutes: float, parts: int, out: Path, seed: int) -> None:
    """Attack, kill and reload one server for a long time, beside honest callers.

    After each part all that honest callers wrote is compared with the server, under both bundles. Ctrl-C ends the soak
    after that.
    """
    with tempfile.TemporaryDirectory(prefix="gfp-soak-") as folder, Scene(Path(folder) / "scene") as scene:
        soaking = Soak(
            scene, 60 * minutes, parts, seed, say=click.echo, save=lambda report: write(out, {"soak": report})
        )
        soaking.run()
    click.echo("\n".join([*soak_table(soaking.report()), str(out)]))
    if soaking.faults:
        raise click.ClickException("the server or its answers failed:\n  " + "\n  ".join(soaking.faults))


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=RUN_REPORT, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long health is asked beside each size.")
def bare(out: Path, seconds: float) -> None:
    """Send large messages to a server of gRPC alone, and ask for its health meanwhile. Adds to the report of `run`."""
    report = read(out)
    report["bare"] = beside_large_messages(seconds)
    write(out, report)
    click.echo("\n".join([*bare_table(report["bare"]), str(out)]))


@main.command()
@click.option("--report", type=click.Path(path_type=Path), default=RUN_REPORT, show_default=True)
@click.option("--soak", "soak_report", type=click.Path(path_type=Path), default=SOAK_REPORT, show_default=True)
def table(report: Path, soak_report: Path) -> None:
    """Print the reports as Markdown; what did not hold is bold."""
    attacks = read(report)
    click.echo("\n".join(attack_table(attacks)))
    if "bare" in attacks:
        click.echo("\n" + "\n".join(bare_table(attacks["bare"])))
    if found := read(soak_report):
        click.echo("\n" + "\n".join(soak_table(found["soak"])))


@main.command()
@click.option("--out", "picture", type=click.Path(path_type=Path), default=PICTURE, show_default=True)
@click.option("--soak", "report", type=click.Path(path_type=Path, exists=True), default=SOAK_REPORT, show_default=True)
def picture(picture: Path, report: Path) -> None:
    """Draw memory and health during the soak, with attacks, kills and bundle switches."""
    draw_soak(read(report)["soak"], picture)
    click.echo(picture)


def run_one(name: str, work: Path, seconds: float | None, back_s: float, seed: int) -> dict[str, Any]:
    """Run one attack on a fresh server; what was measured, and what was wrong."""
    attack = ATTACKS[name]
    tally = Tally()
    with Scene(work, attack.options, attack.files) as scene:
        attackers = Attackers(name, scene.target)
        honest = Honesty(scene, seed)
        try:
            honest.wait_for_work()
            calm = CALM_S if seconds is None else min(CALM_S, seconds)
            started = time.monotonic()
            time.sleep(calm)
            attacked = time.monotonic()
            attackers.begin()
            if attack.by_operator is not None:
                attack.by_operator(scene, honest.first_answers, tally)
            end = attacked + (seconds or attack.seconds)
            while time.monotonic() < end and not scene.has_ended() and scene.memory.now() < MOST_MB:
                time.sleep(0.1)
            found = attackers.stop()
            left = time.monotonic()
            before = median_of(scene.memory.between(started, attacked))
            back = wait_until_back(scene, before * (1 + (attack.bounds.stays or 0.0)), left, back_s, calm)
            ended = time.monotonic()
            survived = not scene.has_ended()
            checked = honest.check() if survived else {}
        finally:
            honest.stop()
        stop_s, stopped_well = scene.stop() if survived else (0.0, False)
        if attack.afterwards is not None:
            attack.afterwards(scene, tally)
        facts = {
            "does": attack.does,
            "seconds": round(left - attacked, 1),
            "memory_mb": {
                "before": round(before),
                "peak": round(max(scene.memory.between(attacked, ended), default=before)),
                "after": round(back[0]),
                "after_s": round(back[1], 1),
            },
            "calls": {
                "before": result_counts(honest.between(started, attacked)),
                "during": result_counts(honest.between(attacked, left)),
                "after": result_counts(honest.between(left, ended)),
            },
            "attackers": {"got": found["got"], **found["facts"], **tally.facts},
            "answers": {**honest.answers, **checked},
            "stop_s": round(stop_s, 1),
        }
        faults = [*found["faults"], *tally.faults, *honest.wrong(), *honest.notes]
        if not survived:
            faults.append(f"the server ended; the end of its log: {scene.log_end(500)}")
        elif not stopped_well:
            faults.append(f"the server did not end well at SIGTERM, after {stop_s:.0f} s")
    facts["faults"] = faults
    facts["bounds"] = judged(facts, attack.bounds)
    return facts


def wait_until_back(scene: Scene, most: float, since: float, back_s: float, least_s: float) -> tuple[float, float]:
    """Wait until the server's memory is at most `most`; megabytes then, and seconds after `since`."""
    while True:
        time.sleep(0.2)
        now, waited = scene.memory.now(), time.monotonic() - since
        if scene.has_ended() or waited >= max(back_s, least_s) or (now <= most and waited >= least_s):
            return now, waited


def median_of(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def read(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    return found


def write(out: Path, report: dict[str, Any]) -> None:
    report |= {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(report, indent=1) + "\n")
    unfinished.replace(out)


if __name__ == "__main__":
    main()
