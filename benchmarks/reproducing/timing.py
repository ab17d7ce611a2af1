"""How long what is missing takes, from steps that were timed for a minute."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.reproducing.rows import Row, Rows
from benchmarks.reproducing.running import Work, device_name
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.labelled import LabelledClips, frozen_features
from trainer.loop import Trainer
from trainer.objectives import name_of
from trainer.run_record import read_record
from trainer.speed import measure_steps

# A step of learning reads a clip, and goes back through it at twice the cost.
READS_OF_A_STEP = 3
READ_CLIPS = 16  # at a time, while reading is timed


def kind_of_step(row: Row) -> str:
    """Rows of one kind take as long for a clip. Ablations are of the kind of what they change."""
    config = row.train_config()
    settings, sizes = config.settings(), config.to_json()["encoder"]
    sizes |= {name: settings[name] for name in ("decoder_depth", "keep_absent_bodies") if name in settings}
    shape = ", ".join(f"{name} {sizes[name]}" for name in sorted(sizes) if isinstance(sizes[name], int | str))
    return f"{name_of(config.objective)}, {config.num_frames} frames, {config.batch_clips} clips, {shape}"


def time_row(row: Row, store: ClipStore, *, minutes: float, device: str, tiny: bool) -> dict[str, Any]:
    """Clips a second of training and of reading by the trained encoder, on these clips, in about that many minutes."""
    config = row.train_config(tiny=tiny)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(replace(config, device=device), store, Path(folder))
        first = measure_steps({"": trainer}, rounds=2)[""]
        rounds = max(1, round(minutes * 60 / 2 / max(median(first.seconds), 1e-3)))
        steps = measure_steps({"": trainer}, rounds=rounds, warmup_steps=0)[""]
    clips = LabelledClips(store, trainer.preprocess.sampling, pick_device(device))  # type: ignore[arg-type]
    encoder = trainer.objective.encoder.eval()
    chosen = np.arange(min(READ_CLIPS, len(store)))
    seconds, until = [], time.monotonic() + minutes * 60 / 2
    while len(seconds) < 2 or time.monotonic() < until:
        start = time.monotonic()
        frozen_features(encoder, clips.views(chosen)).cpu()  # it waits for the device
        seconds.append(time.monotonic() - start)
    return {
        "train_clips_per_s": steps.clips_per_s,
        "read_clips_per_s": len(chosen) / median(seconds[1:]),
        "device": device_name(device),
        "minutes": minutes,
        "tiny": tiny,
    }


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hours that are missing, of devices of one name, and what they cannot be said of."""

    hours: float
    devices: tuple[str, ...]
    runs: int  # trainings that are missing
    untimed: tuple[str, ...]  # the first row of each kind of step that nobody timed
    unsized: tuple[str, ...]  # stores whose number of clips is not known


def estimate(rows: list[Row], known: Rows, work: Work) -> Estimate:
    """The hours of these rows, none of which is measured. A run that several share counts once."""
    times, stores = work.times(), work.stores()
    runs: dict[tuple[str, str], float] = {}
    hours, devices, untimed, unsized = 0.0, {}, {}, {}
    for row in rows:
        kind = kind_of_step(row)
        sizes = [_clips_of(name, known, stores) for name in (row.store, row.target or row.store)]
        unsized |= dict.fromkeys(name for name, size in zip((row.store, row.target), sizes, strict=True) if not size)
        timed = times.get(kind)
        if timed is None or timed["tiny"]:
            untimed.setdefault(kind, row.name)
        key = (_settings_key(row), row.store)
        if timed is None or timed["tiny"] or not all(sizes):
            runs.setdefault(key, 0.0)
            continue
        devices[timed["device"]] = True
        (own, _), tested = sizes
        left = row.train_config().epochs * own * _share_left(row, work, stores)
        runs[key] = left / timed["train_clips_per_s"] / 3600
        hours += _clips_read(row, *tested) / timed["read_clips_per_s"] / 3600
    return Estimate(
        hours + sum(runs.values()), tuple(devices), len(runs), tuple(untimed.values()), tuple(filter(None, unsized))
    )


def _settings_key(row: Row) -> str:
    return " ".join(row.arguments())


def _clips_of(name: str, known: Rows, stores: dict[str, Any]) -> tuple[int, int] | None:
    """Clips to learn from and to test: of the store as it was used, else as published; None if neither is known."""
    if name in stores:
        return stores[name]["train"], stores[name]["test"]
    published = known.stores[name]
    return None if published.train is None or published.test is None else (published.train, published.test)


def _share_left(row: Row, work: Work, stores: dict[str, Any]) -> float:
    """Of a run's steps, the share that it has not done yet."""
    place = Path(stores[row.store]["path"]) if row.store in stores else None
    if place is None or not place.exists():
        return 1.0
    record = read_record(work.run_folder(row, ClipStore.open(place), tiny=False))
    return 1.0 - record.get("steps", 0) / max(1, record.get("of_steps", 1))


def _clips_read(row: Row, train: int, test: int) -> float:
    """How many clips a protocol reads, where one that is learned from counts as `READS_OF_A_STEP`."""
    config = row.protocol_config()
    if row.protocol == "hours":
        return 0
    if row.protocol == "retrieval":
        return train + test
    if row.protocol == "linear-probe":
        return config.epochs * train + test
    draws, share = (row.options["num_seeds"], row.options["ratio"]) if row.protocol == "semi-supervised" else (1, 1.0)
    tests = -(-config.epochs // config.test_every_epochs)
    return draws * (config.epochs * train * share * READS_OF_A_STEP + tests * test)
