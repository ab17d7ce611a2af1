"""Training and measuring what the report lacks, row by row."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.comparing.asked import Asked, Both
from benchmarks.comparing.rows import POSE_STATISTICS, ROBUSTNESS, ROWS, SHARED, UNTRAINED, settings_of
from benchmarks.encoder_terms import OfSteps
from gfp_serve.errors import InvalidRequestError
from gfp_serve.files import write_whole
from gfp_serve.preprocess import CleanConfig, PreprocessConfig, SampleConfig
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.embedding import PoseStatistics, sampling_for
from trainer.encoders import Encoder
from trainer.evaluate.candidates import untrained
from trainer.evaluate.embeddings import Embed, torch_embedder
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.loop import RunEnd
from trainer.readout import ReadoutConfig, fit_readout

CLEANING = CleanConfig(align_view=True, scale_torso=True)
CPU = torch.device("cpu")
# Parts of the report that other commands than `run` and `longer` write.
PARTS = ("cost", ROBUSTNESS)
# Of time, in the whitened grid: fewer if an encoder's segments cannot be divided into this many.
MOST_PARTS = 6


class _Stopped(click.exceptions.Exit):
    """A run was stopped; the same call goes on."""


class Bench:
    """Rows in a folder of WORK, one file each, so that several processes can share them; and their report.

    A part of the report keeps its rows in a folder of its name, the rest in `rows`. All of them share the runs. When
    two processes write one report at once, it may lack a row until the next call, which reads all rows.
    Raises `click.UsageError` for rows of other clips or settings.
    """

    def __init__(self, work: Path, out: Path, threads: int, asked: Asked, part: str | None = None) -> None:
        torch.set_num_threads(threads)
        self.work, self.out, self.asked, self.part = work, out, asked, part
        self.store = ClipStore.open(work / "store")
        self.kept = work / (part or "rows")
        self.kept.mkdir(exist_ok=True)
        self.about = {
            "shared": " ".join(SHARED),
            "training_clips": len(self.store),
            "clips_sha256": self.store.content_digest,
            **asked.about,
            "torch": torch.__version__,
        }
        if part is not None:
            self.about["changes"] = asked.changes
        self._write()

    def measure_untrained(self, seeds: Iterable[int]) -> None:
        """Pose statistics, and encoders with the weights that training starts from."""
        self._once(POSE_STATISTICS, 0, 0, lambda: self._scores(PoseStatistics(), _prepared(SampleConfig()), data=None))
        for seed in seeds:
            for name, row in UNTRAINED.items():
                self._once(name, 0, seed, lambda row=row, seed=seed: self._of_untrained(settings_of(row, seed)))

    def measure(self, names: tuple[str, ...], steps: int, seeds: Iterable[int]) -> None:
        """Add the rows that the report lacks. Raises `_Stopped` after Ctrl-C."""
        for seed in seeds:
            for name in names:
                self._once(name, steps, seed, lambda name=name, seed=seed: self._of_run(name, steps, seed))

    def rows_of(self, steps: int) -> dict[str, dict[str, Any]]:
        """By name and seed what was measured of the runs of this many steps."""
        return _by_name(self._rows(), steps)

    def _once(self, name: str, steps: int, seed: int, measured: Callable[[], dict[str, Any]]) -> None:
        """Measure a row that is not there yet, keep it, and write the report anew."""
        path = self.kept / f"{self._folder(name, steps, seed)}.json"
        if path.exists():
            return
        about = {"name": name, "steps": steps, "seed": seed, "settings": " ".join(ROWS.get(name, ()))}
        row = {**about, "threads": torch.get_num_threads(), **measured()}
        write_whole(path, json.dumps({"about": self.about, **row}, indent=1) + "\n")
        self._write()
        took = f"{row['wall_s']:.0f} s, " if "wall_s" in row else ""
        click.echo(f"{name}, {steps} steps, seed {seed}: {took}1-NN {row['plain']['means']['clean']:.1f}")

    @staticmethod
    def _folder(name: str, steps: int, seed: int) -> str:
        return f"{name.replace(', ', '-').replace(' ', '-')}-{steps}-{seed}"

    def _rows(self) -> list[dict[str, Any]]:
        rows = [read_report(path) for path in sorted(self.kept.glob("*.json"))]
        for row in rows:
            name, settings = row["name"], " ".join(ROWS.get(row["name"], ()))
            if row.pop("about") != self.about or row["settings"] != settings:
                raise click.UsageError(
                    f"the row {name!r} of {row['steps']} steps and seed {row['seed']} in {self.work} was measured with "
                    f"other clips or settings; name another folder for --work, or remove this row and its run."
                )
        return rows

    def _write(self) -> None:
        before = read_report(self.out) if self.out.exists() else {}
        if self.part is None:
            report = self._report() | {name: value for name, value in before.items() if name in PARTS}
        else:
            report = before | {self.part: self._report()}
        write_whole(self.out, json.dumps(report, indent=1) + "\n")

    def _report(self) -> dict[str, Any]:
        report: dict[str, Any] = {"about": self.about}
        rows = self._rows()
        untrained_rows = _by_name(rows, steps=0)
        if POSE_STATISTICS in untrained_rows:
            report[POSE_STATISTICS] = untrained_rows.pop(POSE_STATISTICS)["0"]
        report |= untrained_rows
        report["runs"] = {str(steps): _by_name(rows, steps) for steps in sorted({row["steps"] for row in rows} - {0})}
        return report

    def _of_untrained(self, config: TrainConfig) -> dict[str, Any]:
        return self._scores(untrained(config), _prepared(SampleConfig(num_frames=config.num_frames)), data=None)

    def _of_run(self, name: str, steps: int, seed: int) -> dict[str, Any]:
        checkpoint, wall_s = self._trained(name, steps, seed)
        began = time.monotonic()
        row = self._scores(checkpoint.build_embedding(), checkpoint.preprocess, data=checkpoint.data)
        row |= {"wall_s": wall_s, "clips_seen": steps * checkpoint.config.batch_clips}
        return row | {"evaluation_s": round(time.monotonic() - began, 1)}

    def _trained(self, name: str, steps: int, seed: int) -> tuple[Checkpoint, float]:
        """The run at its last step, and the seconds that it took in all its parts."""
        folder = self.work / "runs" / self._folder(name, steps, seed)
        config = settings_of(name, seed)
        self._check_run(folder, config)
        trainer = OfSteps(config, self.store, folder, steps)
        seconds = folder / "seconds.json"
        if trainer.step and not seconds.exists():
            raise click.UsageError(
                f"{folder} was killed after its checkpoint and before {seconds.name}, so nobody knows how long it "
                f"took; remove this folder, and the same call trains it again."
            )
        before = json.loads(seconds.read_text()) if seconds.exists() and trainer.step else 0.0
        began = time.monotonic()

        def keep_seconds(_: RunEnd | None) -> None:  # with each checkpoint, so that a part that is killed counts
            write_whole(seconds, f"{before + time.monotonic() - began:.2f}\n")

        ended = trainer.fit(after_save=keep_seconds) if trainer.step < steps else None
        if ended is not None and ended.signal is not None:
            click.echo("Stopped; the same call goes on.", err=True)
            raise _Stopped(128 + ended.signal)
        return Checkpoint.read(folder), float(json.loads(seconds.read_text()))

    def _check_run(self, folder: Path, config: TrainConfig) -> None:
        """Raise `click.UsageError` for a run of other clips or settings."""
        if (folder / CHECKPOINT_FILE).exists():
            known = Checkpoint.read(folder)
            is_same = known.config.settings() == config.settings()
            if not is_same or known.data["content_sha256"] != self.store.content_digest:
                raise click.UsageError(
                    f"{folder} was trained on other clips or with other settings; remove it, or name another folder "
                    f"for --work."
                )

    def _scores(
        self, model: torch.nn.Module, preprocess: PreprocessConfig, data: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The scores of what a model embeds, and of a whitened grid of its tokens where it has some."""
        row: dict[str, Any] = {}
        embeds: dict[str, Embed] = {"plain": torch_embedder(model, CPU)}
        segments = getattr(model, "num_segments", MOST_PARTS)
        parts = max(count for count in range(1, MOST_PARTS + 1) if segments % count == 0)
        sampling = sampling_for(model, preprocess.sampling)
        try:
            fitted = fit_readout(model, self.store, sampling, ReadoutConfig(time_parts=parts), CPU)
        except InvalidRequestError as error:
            row["not whitened"] = str(error)
        else:
            embeds["whitened"] = torch_embedder(fitted, CPU)
            if isinstance(model, Encoder):
                both = Both(model, fitted)
                embeds = {"plain": both.plain, "whitened": both.whitened}
        wanted = replace(preprocess, sampling=sampling)
        encoders = [SuiteEncoder(kind, embed, wanted, kind, {}, data) for kind, embed in embeds.items()]
        return row | self.asked.scores(encoders)


def _by_name(rows: list[dict[str, Any]], steps: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["name"], row["seed"])):
        if row["steps"] == steps:
            found.setdefault(row["name"], {})[str(row["seed"])] = row
    return found


def _prepared(sampling: SampleConfig) -> PreprocessConfig:
    return PreprocessConfig(cleaning=CLEANING, sampling=sampling)


def read_report(path: Path) -> dict[str, Any]:
    """The report that was written before. Raises `click.UsageError` for one that was damaged."""
    try:
        report = json.loads(path.read_text())
    except ValueError as error:
        raise click.UsageError(f"{path} is damaged ({error}); remove it: `run` writes it anew from WORK.") from error
    if not isinstance(report, dict):
        raise click.UsageError(f"{path} is not a report of this benchmark; name another file for --out.")
    return report
