"""Does a gallery ever give a wrong answer, or lose an item? It is killed, searched during writes, and damaged.

    python benchmarks/gallery_proof.py crash --work W       kill −9 while several threads write; 200 rounds
    python benchmarks/gallery_proof.py oracle --work W      answers during writes, compared with brute force; canaries
    python benchmarks/gallery_proof.py damage --work W      one wrong byte anywhere in any file

W is a folder for galleries; each run makes them anew. A command exits with 1 if a gallery gave a wrong answer or lost
an item. The code that does this is in tests/proving.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))
from gfp_serve.gallery.embedded.gallery import FaissGallery
from tests.proving import beside, crash, damage

OUT = Path("benchmarks/gallery_proof.json")

# Places of each of the two writers: too few for derived files, and enough that indexes are made all the time.
PLACES = {"exact": 1500, "hnsw": 6000}
CANARIES = {"unguarded": beside.Unguarded, "not in one piece": beside.NotInOnePiece}

work_option = click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for galleries.")
out_option = click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
seed_option = click.option("--seed", default=0, show_default=True)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command("crash")
@work_option
@out_option
@seed_option
@click.option("--rounds", default=200, show_default=True)
def crash_command(work: Path, out: Path, seed: int, rounds: int) -> None:
    """Kill the process while it writes or opens, and compare the gallery with what was acknowledged."""
    counts = crash.run(work / "crash", rounds, seed=seed)
    finish(out, "crash", counts, {name: counts[name] for name in crash.MUST_BE_NONE})


@main.command()
@work_option
@out_option
@seed_option
@click.option("--seconds", default=60.0, show_default=True, help="Length of the run for each index kind.")
def oracle(work: Path, out: Path, seed: int, seconds: float) -> None:
    """Four threads search and two write. Every search is verified after the run; canaries show that this can fail."""
    report: dict[str, dict[str, Any]] = {}
    for kind, num_places in PLACES.items():
        folder = damage.emptied(work / "oracle")
        with FaissGallery.create(
            folder / kind, encoder_digest=damage.DIGEST, embedding_size=beside.SIZE, index_kind=kind
        ) as gallery:
            efforts = (beside.EXACT,) if kind == "exact" else (beside.EXACT, beside.BY_INDEX)
            report[kind] = beside.run(gallery, num_places=num_places, enough=after(seconds), efforts=efforts, seed=seed)
        print(kind, report[kind])
    for name in CANARIES:
        report[f"canary, {name}"] = canary_of(name, min(seconds, 5.0))
        print(name, report[f"canary, {name}"])
    errors = {f"{kind}: {name}": report[kind].get(name, 0) for kind in PLACES for name in ("failures", *beside.ERRORS)}
    for name in CANARIES:
        found = any(report[f"canary, {name}"].get(error) for error in ("ended by signal", "failures", *beside.ERRORS))
        errors[f"canary, {name}, found nothing"] = int(not found)
    finish(out, "oracle", report, errors)


@main.command("damage")
@work_option
@out_option
@click.option(
    "--places", default=30, show_default=True, help="Bytes to alter in each file; ten times as many in the database."
)
def damage_command(work: Path, out: Path, places: int) -> None:
    """Alter one byte at a time. The gallery must answer correctly or refuse."""
    report = damage.run(work / "damage", places)
    finish(out, "damage", report, {name: counts["wrong"] for name, counts in report.items()})


@main.command(hidden=True)
@click.argument("name", type=click.Choice(list(CANARIES)))
@click.argument("seconds", type=float)
def canary(name: str, seconds: float) -> None:
    """Print the counts of a canary as JSON, if it survives."""
    counts = beside.run(CANARIES[name](), num_places=PLACES["exact"], enough=after(seconds), efforts=(beside.EXACT,))
    click.echo(json.dumps(counts))


def after(seconds: float) -> Callable[[int, int], bool]:
    """A function that says that it is enough when this time, beginning now, is over."""
    end = time.monotonic() + seconds
    return lambda *_: time.monotonic() > end


def canary_of(name: str, seconds: float) -> dict[str, Any]:
    """Run the canary in a process of its own; return its counts, or the signal that ended it."""
    ran = subprocess.run(
        [sys.executable, __file__, "canary", name, str(seconds)], stdout=subprocess.PIPE, text=True, check=False
    )
    return {"ended by signal": -ran.returncode} if ran.returncode else json.loads(ran.stdout.splitlines()[-1])


def finish(out: Path, section: str, report: dict[str, Any], errors: dict[str, int]) -> None:
    """Add the section to the report; exit with 1 if an error was counted."""
    known = json.loads(out.read_text()) if out.exists() else {}
    known[section] = {"python": platform.python_version(), "machine": platform.machine(), **report}
    out.write_text(json.dumps(known, indent=2) + "\n")
    click.echo(f"{section}: {json.dumps(report, indent=1)}\n{out}")
    if any(errors.values()):
        counted = ", ".join(f"{name}: {number}" for name, number in errors.items() if number)
        raise click.ClickException(f"the gallery gave wrong answers or lost items: {counted}")


if __name__ == "__main__":
    main()
