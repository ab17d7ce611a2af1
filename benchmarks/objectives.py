"""Compare all objectives at equal clips seen and an equal encoder, on clips whose classes are known.

    python benchmarks/objectives.py prepare --data CLIPS --work WORK   make the store that is learned from
    python benchmarks/objectives.py run --data CLIPS --work WORK       train and measure; the same call goes on
    python benchmarks/objectives.py longer --data CLIPS --work WORK    the best three again, with ten times the steps
    python benchmarks/objectives.py cost --work WORK                   memory and time of a step beside gfp
    python benchmarks/objectives.py table                              the report as Markdown

CLIPS is a folder with the clip files that `SETS` names. Each set is split as `gfp-evaluate suite` splits it: clips that
answer are learned from, without their labels, and clips that are asked never are; of Florence, whose people are all
asked, none is. Seeds are the outer loop, so that what is missing when time runs out is a whole seed.

What is measured: 1-NN by the mean of all tokens, as published, and by a grid of them, whitened on the clips that are
learned from; both on queries as they are, on windows and with rest added; and a linear probe on the mean. An objective
that needs an encoder of its own (`OWN`) has it in the same width and depth.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, cast

import click
import numpy as np
import torch
from rich.console import Console
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.encoder_terms import OfSteps
from benchmarks.made_up_clips import write_store
from benchmarks.reproducing.rows import config_of
from gfp_serve.cli.options import Group
from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import write_whole
from gfp_serve.preprocess import CleanConfig, PreprocessConfig
from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.importing import ImportConfig, find_sources, import_recordings
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics, sampling_for
from trainer.encoders import Encoder
from trainer.evaluate.candidates import untrained
from trainer.evaluate.embeddings import Embed, torch_embedder
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import SuiteConfig, choose_changes, describe_settings, measure_sets, open_sets
from trainer.evaluate.suite.sets import find_sets
from trainer.loop import Trainer
from trainer.objectives import OBJECTIVES
from trainer.readout import GridMeans, Projected, ReadoutConfig, fit_readout
from trainer.speed import measure_steps

REPORT = Path("benchmarks/objectives.json")
SETS = ("cad60", "florence3d", "kindergator_adults", "msrc12", "utdmhad")
CHANGES = ("clean", "window", "rest")
CLEANING = CleanConfig(align_view=True, scale_torso=True)
CPU = torch.device("cpu")
# More than any set has: all clips that may be asked.
ALL_CLIPS = 1_000_000
# Of time, in the whitened grid: fewer if an encoder's segments cannot be divided into this many.
MOST_PARTS = 6

# The same for all: the encoder and the schedule of accuracy.py. Decoders of tokens have the 3 blocks of MAMP's script.
SHARED = ("--width", "64", "--depth", "3", "--num-heads", "2", "--batch-clips", "32", "--peak-lr", "2e-3")
_SPECIAL = {
    **dict.fromkeys(("mamp", "nat", "s_jepa", "skeleton_mae"), ("--decoder-depth", "3")),
    "slim": ("--encoder", "slim", "--num-frames", "64"),  # as published, half as many frames as the others
}
OWN = {name: words for name, words in _SPECIAL.items() if name in OBJECTIVES}
STEPS, TIMES_LONGER, BEST = 182, 10, 3
UNTRAINED, POSE_STATISTICS = "untrained", "pose statistics"


def settings_of(objective: str, seed: int) -> TrainConfig:
    """The settings of a run; `OfSteps` gives it its steps."""
    run = ("--epochs", "2", "--warmup-epochs", "1", "--save-every-epochs", "1", "--log-every-steps", "20")
    words = ["--objective", objective, *SHARED, *OWN.get(objective, ()), *run]
    return config_of([*words, "--seed", str(seed), "--device", "cpu"])


@click.group(cls=Group, help=__doc__)
def main() -> None:
    """Keep `table` apart from what takes hours."""


_data_option = click.option(
    "--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of sets."
)
_work_option = click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder of store and runs.")
_out_option = click.option("--out", type=click.Path(path_type=Path), default=REPORT, show_default=True)
_threads_option = click.option("--threads", default=1, show_default=True)
_sets_option = click.option("--set", "sets", multiple=True, default=SETS, show_default=True, help="May be repeated.")
_seeds_option = click.option("--seeds", default=3, show_default=True)
_clips_option = click.option(
    "--clips", default=400, show_default=True, help="Clips of a set that answer, and that are asked, at most."
)


@main.command()
@_data_option
@_work_option
@_sets_option
def prepare(data: Path, work: Path, sets: tuple[str, ...]) -> None:
    """Import the clips that are never asked into the store of WORK."""
    work.mkdir(parents=True, exist_ok=True)
    config = SuiteConfig(gallery_clips=ALL_CLIPS, query_clips=ALL_CLIPS)
    found = find_sets(data, sets)
    asked = {
        given.clips.clips[int(query)].name
        for given in open_sets(found, config, click.echo, must_all=True)
        for fold in given.folds
        for query in fold.test
    }
    importing = ImportConfig(read=ReadConfig(cleaning=CLEANING), leave_out=frozenset(asked))
    files = [each.path for each in found]
    click.echo(f"{import_recordings(find_sources(files), work / 'store', importing, overwrite=True)}")


@main.command()
@_data_option
@_work_option
@_out_option
@_threads_option
@_sets_option
@_seeds_option
@_clips_option
@click.option("--steps", default=STEPS, show_default=True, help="Steps of 32 clips, the same number for all.")
@click.option("--only", "names", multiple=True, type=click.Choice(list(OBJECTIVES)), default=tuple(OBJECTIVES))
def run(
    data: Path,
    work: Path,
    out: Path,
    threads: int,
    sets: tuple[str, ...],
    seeds: int,
    clips: int,
    steps: int,
    names: tuple[str, ...],
) -> None:
    """Train and measure what the report lacks."""
    bench = _Bench(work, out, threads, _Asked(data, sets, clips))
    bench.measure_untrained(seeds)
    bench.measure(names, steps, seeds)


@main.command()
@_data_option
@_work_option
@_out_option
@_threads_option
@_sets_option
@_seeds_option
@_clips_option
@click.option("--steps", default=STEPS, show_default=True, help="Steps of the runs to choose the best by.")
@click.option("--times", default=TIMES_LONGER, show_default=True, help="How many times as many steps.")
@click.option("--best", default=BEST, show_default=True, help="How many objectives, by 1-NN with the mean of tokens.")
def longer(
    data: Path,
    work: Path,
    out: Path,
    threads: int,
    sets: tuple[str, ...],
    seeds: int,
    clips: int,
    steps: int,
    times: int,
    best: int,
) -> None:
    """Train the best objectives of `run` again, with many times the steps."""
    bench = _Bench(work, out, threads, _Asked(data, sets, clips))
    known = bench.report.get("runs", {}).get(str(steps), {})
    if not known:
        raise click.UsageError(f"{out} has no runs of {steps} steps to choose the best of; call `run` first.")
    if differing := sorted(name for name, rows in known.items() if len(rows) < seeds):
        raise click.UsageError(f"{', '.join(differing)} have fewer than {seeds} seeds yet; call `run` again first.")
    ranked = sorted(known, key=lambda name: -mean(row["plain"]["means"]["clean"] for row in known[name].values()))
    click.echo(f"The best of {steps} steps: {', '.join(ranked[:best])}.", err=True)
    bench.measure(tuple(ranked[:best]), steps * times, seeds)


class _Stopped(click.exceptions.Exit):
    """A run was stopped; the same call goes on."""


class _Bench:
    """The report, and what is trained and measured for it."""

    def __init__(self, work: Path, out: Path, threads: int, asked: "_Asked") -> None:
        torch.set_num_threads(threads)
        self.work, self.out, self.asked = work, out, asked
        self.store = ClipStore.open(work / "store")
        self.report = json.loads(out.read_text()) if out.exists() else {}
        about = {
            "shared": " ".join(SHARED),
            "own": {name: " ".join(words) for name, words in OWN.items()},
            "training_clips": len(self.store),
            "clips_sha256": self.store.content_digest,
            **asked.about,
        }
        if self.report.setdefault("about", about) != about:
            raise click.UsageError(f"{out} was measured with other clips or settings; name another file for --out.")
        self.report |= {"threads": threads, "torch": torch.__version__}

    def measure_untrained(self, seeds: int) -> None:
        """Pose statistics, and the encoder with the weights that training starts from."""
        if POSE_STATISTICS not in self.report:
            scores = self._scores(PoseStatistics(), PreprocessConfig(cleaning=CLEANING), data=None)
            self._keep(POSE_STATISTICS, scores)
        for seed in range(seeds):
            rows = self.report.get(UNTRAINED, {})
            if str(seed) not in rows:
                model = untrained(settings_of("gfp", seed))
                scores = self._scores(model, PreprocessConfig(cleaning=CLEANING), data=None)
                self._keep(UNTRAINED, {**rows, str(seed): scores})

    def measure(self, names: tuple[str, ...], steps: int, seeds: int) -> None:
        """Add the rows that the report lacks. Raises `_Stopped` after Ctrl-C."""
        of_steps = self.report.setdefault("runs", {}).setdefault(str(steps), {})
        for seed in range(seeds):
            for name in names:
                rows = of_steps.setdefault(name, {})
                if str(seed) in rows:
                    continue
                checkpoint, wall_s = self._trained(name, seed, steps)
                began = time.monotonic()
                model = checkpoint.build_embedding()
                row = self._scores(model, checkpoint.preprocess, data=checkpoint.data)
                row |= {"wall_s": wall_s, "clips_seen": steps * checkpoint.config.batch_clips}
                row["evaluation_s"] = round(time.monotonic() - began, 1)
                rows[str(seed)] = row
                self._write()
                means = row["plain"]["means"]
                click.echo(f"{name}, {steps} steps, seed {seed}: {wall_s:.0f} s, 1-NN {means['clean']:.1f}")

    def _trained(self, name: str, seed: int, steps: int) -> tuple[Checkpoint, float]:
        """The run at its last step, and the seconds that it took in all its parts."""
        folder = self.work / "runs" / f"{name}-{steps}-{seed}"
        trainer = OfSteps(settings_of(name, seed), self.store, folder, steps)
        seconds = folder / "seconds.json"
        before = json.loads(seconds.read_text()) if seconds.exists() and trainer.step else 0.0
        began = time.monotonic()
        ended = trainer.fit() if trainer.step < steps else None
        wall_s = before + (time.monotonic() - began if ended else 0.0)
        write_whole(seconds, f"{wall_s:.2f}\n")
        if ended is not None and ended.signal is not None:
            click.echo("Stopped; the same call goes on.", err=True)
            raise _Stopped(128 + ended.signal)
        return Checkpoint.read(folder), wall_s

    def _scores(
        self, model: torch.nn.Module, preprocess: PreprocessConfig, data: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The scores of the mean of tokens, and of a whitened grid of them where the encoder has one."""
        row: dict[str, Any] = {}
        embeds: dict[str, Embed] = {"plain": torch_embedder(model, CPU)}
        segments = getattr(model, "num_segments", MOST_PARTS)
        parts = max(count for count in range(1, MOST_PARTS + 1) if segments % count == 0)
        try:
            fitted = fit_readout(model, self.store, preprocess.sampling, ReadoutConfig(time_parts=parts), CPU)
        except InvalidRequestError as error:
            row["not whitened"] = str(error)
        else:
            embeds["whitened"] = torch_embedder(fitted, CPU)
            if isinstance(model, Encoder):
                both = _Both(model, fitted)
                embeds = {"plain": both.plain, "whitened": both.whitened}
        sampling = sampling_for(model, preprocess.sampling)
        wanted = PreprocessConfig(cleaning=preprocess.cleaning, sampling=sampling)
        encoders = [SuiteEncoder(kind, embed, wanted, kind, {}, data) for kind, embed in embeds.items()]
        return row | self.asked.scores(encoders)

    def _keep(self, name: str, value: Any) -> None:
        self.report[name] = value
        self._write()

    def _write(self) -> None:
        write_whole(self.out, json.dumps(self.report, indent=1) + "\n")


class _Both:
    """The mean of an encoder's tokens, and a read-out that was fitted on them, by one pass of the encoder.

    The suite asks for the same clips by one and then by the other.
    """

    def __init__(self, encoder: Encoder, fitted: Projected) -> None:
        self._encoder, self._fitted, self._grid = encoder.eval(), fitted, cast(GridMeans, fitted.model)
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def plain(self, clips: np.ndarray) -> np.ndarray:
        return self._of(clips)[0]

    def whitened(self, clips: np.ndarray) -> np.ndarray:
        return self._of(clips)[1]

    def _of(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = hashlib.sha256(clips.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._computed(torch.from_numpy(clips))
        return self._known[key]

    @torch.inference_mode()
    def _computed(self, clips: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        tokens = self._encoder.tokens(clips.flatten(0, 1))
        means = self._encoder.means(tokens, self._grid.time_parts, per_joint=self._grid.per_joint)
        found = self._encoder.pooled(tokens), (means - self._fitted.mean) @ self._fitted.directions
        of_clips = (each.view(*clips.shape[:2], -1).mean(dim=1) for each in found)
        plain, whitened = (F.normalize(each, dim=1).numpy() for each in of_clips)
        return plain, whitened


class _Asked:
    """The sets, and how they are asked."""

    def __init__(self, data: Path, names: tuple[str, ...], clips: int) -> None:
        self._config = SuiteConfig(gallery_clips=clips, query_clips=clips)
        self._changes = choose_changes(CHANGES)
        self._sets = open_sets(find_sets(data, names), self._config, click.echo, must_all=True)
        self.about = {"sets": {each.clips.name: each.says for each in self._sets}, "asked_clips": clips}

    def scores(self, encoders: list[SuiteEncoder]) -> dict[str, dict[str, Any]]:
        """For each encoder 1-NN in percent by set and change, the linear probe, and the means over sets."""
        state = SuiteState(None, describe_settings(self._config, self._changes), resume=False)
        found = measure_sets(self._sets, encoders, self._changes, self._config, state=state, with_moments=False)
        return {encoder.name: self._of_encoder(encoder.name, found) for encoder in encoders}

    def _of_encoder(self, encoder: str, found: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
        by_set = {
            name: {change: of_set[encoder]["changes"][change]["1nn_percent"] for change in CHANGES}
            | {"linear": of_set[encoder]["linear_probe_percent"]}
            for name, of_set in found.items()
        }
        means = {each: mean(scores[each] for scores in by_set.values()) for each in (*CHANGES, "linear")}
        return {"means": means, "sets": by_set}


@main.command()
@_work_option
@_out_option
@_threads_option
@click.option("--rounds", default=9, show_default=True, help="Turns of each objective.")
@click.option("--only", "names", multiple=True, type=click.Choice(list(OBJECTIVES)), default=tuple(OBJECTIVES))
def cost(work: Path, out: Path, threads: int, rounds: int, names: tuple[str, ...]) -> None:
    """Measure time and memory of a step of each objective beside gfp. Without a store in WORK, on made-up clips."""
    torch.set_num_threads(threads)
    names = tuple(dict.fromkeys(("gfp", *names)))
    report = json.loads(out.read_text()) if out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        store = work / "store"
        if not store.exists():
            store = write_store(Path(folder) / "store", num_clips=64, one_body_share=1.0).path
        clips = ClipStore.open(store)
        trainers = {name: Trainer(settings_of(name, 0), clips, Path(folder) / name) for name in names}
        times = measure_steps(trainers, rounds=rounds, show=lambda done, of: click.echo(f"{done} of {of}", err=True))
        seconds = {name: median(each.seconds) for name, each in times.items()}
        report["cost"] = {
            name: {
                "step_s": seconds[name],
                "time_of_gfp": seconds[name] / seconds["gfp"],
                **_memory(name, store, threads),
            }
            for name in names
        }
    write_whole(out, json.dumps(report, indent=1) + "\n")
    for name, facts in report["cost"].items():
        click.echo(
            f"{name}: {facts['time_of_gfp']:.2f} times gfp, {facts['step_mb']:.0f} MB more than before its steps"
        )


def _memory(name: str, store: Path, threads: int) -> dict[str, float]:
    """What `step` prints, in a process of its own."""
    command = [sys.executable, __file__, "step", name, str(store), "--threads", str(threads)]
    measured: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


@main.command(hidden=True)
@click.argument("name")
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@_threads_option
def step(name: str, store: Path, threads: int) -> None:
    """Take three steps and print the largest memory of this process, and by how much they raised it, in MB."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings_of(name, 0), ClipStore.open(store), Path(folder))
        before = _largest_mb()
        for _ in range(3):
            trainer.train_step()
    click.echo(json.dumps({"peak_mb": _largest_mb(), "step_mb": _largest_mb() - before}))


def _largest_mb() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table: rows by seed."""

    name: str
    rows: list[dict[str, Any]]

    def cell(self, kind: str, what: str) -> str:
        found = [row[kind]["means"][what] for row in self.rows if kind in row]
        return _spread(found) if found else ""


@main.command()
@click.option("--out", type=click.Path(path_type=Path, exists=True), default=REPORT, show_default=True)
def table(out: Path) -> None:
    """Print the report as Markdown: the mean of the sets, mean ± standard deviation over seeds."""
    report = json.loads(out.read_text())
    console = Console(width=250, soft_wrap=True, highlight=False)
    columns = [("plain", change) for change in CHANGES] + [("whitened", change) for change in CHANGES]
    columns.append(("plain", "linear"))
    heads = [f"1-NN {kind}, {what}" if what in CHANGES else "linear probe" for kind, what in columns]
    for steps, lines in _tables(report):
        console.print(f"\n{steps} steps\n\n| objective | training | seeds | {' | '.join(heads)} |")
        console.print("|---" * (3 + len(heads)) + "|")
        for line in lines:
            seconds = [row["wall_s"] for row in line.rows if "wall_s" in row]
            start = [line.name, f"{median(seconds):.0f} s" if seconds else "", str(len(line.rows))]
            console.print(f"| {' | '.join([*start, *(line.cell(kind, what) for kind, what in columns)])} |")
    if "cost" in report:
        console.print("\n| objective | time of a step, × gfp | step, s | memory of a step, MB | process, MB |")
        console.print("|---|---|---|---|---|")
        for name, facts in report["cost"].items():
            cells = (facts["time_of_gfp"], facts["step_s"], facts["step_mb"], facts["peak_mb"])
            console.print(f"| `{name}` | {cells[0]:.2f} | {cells[1]:.2f} | {cells[2]:.0f} | {cells[3]:.0f} |")


def _tables(report: dict[str, Any]) -> Iterator[tuple[str, list[_Line]]]:
    first = [_Line(name, [report[name]]) for name in (POSE_STATISTICS,) if name in report]
    first += [_Line(UNTRAINED, list(report[UNTRAINED].values()))] if UNTRAINED in report else []
    for steps, by_name in report.get("runs", {}).items():
        yield steps, [*first, *(_Line(f"`{name}`", list(rows.values())) for name, rows in by_name.items() if rows)]


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
