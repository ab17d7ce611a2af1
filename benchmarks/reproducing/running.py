"""Trains what a row needs, measures it by the row's protocol, and keeps what was found in the folder of the work."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.reproducing.rows import KnownStore, Row, RowsError, training_digest
from gfp_serve import __version__
from gfp_serve.files import write_whole
from trainer.checkpoint import CHECKPOINT_FILE, Checkpoint
from trainer.cli.train import gfp_train
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.candidates import candidate_models, candidates, check_cleaned_alike
from trainer.evaluate.comparison import weights_digest
from trainer.evaluate.fine_tune import fine_tune
from trainer.evaluate.folds import Fold, answers, split_folds
from trainer.evaluate.labelled import LabelledClips
from trainer.evaluate.learning import HeadResult
from trainer.evaluate.linear_probe import linear_probe
from trainer.evaluate.resume import STATE_FILE, EvaluationState
from trainer.evaluate.retrieval import retrieval
from trainer.evaluate.semi_supervised import draw, mean_and_deviation
from trainer.evaluate.transfer import source_and_target
from trainer.objectives import name_of
from trainer.run_record import RECORD_FILE, read_record

# A store whose numbers of clips differ by more than this from the published ones is of other clips.
CLOSE = 0.01


class Stopped(click.exceptions.Exit):
    """The run was stopped by Ctrl-C, with a checkpoint."""


@dataclass(frozen=True, slots=True)
class Work:
    """The folder that keeps runs, results, times, and where stores are."""

    path: Path

    def result(self, row: Row) -> dict[str, Any] | None:
        """What was measured; None if nothing was, or with other settings than the row has now."""
        found = _read(self._result_path(row))
        if found is None or found.get("settings") != _settings_of(row, tiny=bool(found.get("tiny"))):
            return None
        return found

    def keep_result(self, row: Row, result: dict[str, Any]) -> None:
        self._write(self._result_path(row), result)

    def stores(self) -> dict[str, dict[str, Any]]:
        """Path and numbers of clips of each store that was used, by its name in the rows."""
        return _read(self.path / "stores.json") or {}

    def keep_store(self, name: str, store: ClipStore) -> None:
        self._write(self.path / "stores.json", self.stores() | {name: describe(store)})

    def times(self) -> dict[str, dict[str, Any]]:
        """What was timed, by the kind of step."""
        return _read(self.path / "times.json") or {}

    def keep_time(self, kind: str, timed: dict[str, Any]) -> None:
        self._write(self.path / "times.json", self.times() | {kind: timed})

    def run_folder(self, row: Row, store: ClipStore, *, tiny: bool) -> Path:
        """The run of a row. Rows with equal settings on the same clips have the same one."""
        config = row.train_config(tiny=tiny)
        name = f"{name_of(config.objective)}-{training_digest(config)}-{store.content_digest[:10]}"
        return self.path / "runs" / name

    def evaluation_folder(self, key: str) -> Path:
        """Of a protocol on a run. Rows that measure the same have the same one."""
        return self.path / "evaluations" / key

    def evaluation(self, key: str) -> dict[str, Any] | None:
        """What a protocol found, for a row before; None if nobody asked yet."""
        return _read(self.evaluation_folder(key) / "found.json")

    def keep_evaluation(self, key: str, found: dict[str, Any]) -> None:
        self._write(self.evaluation_folder(key) / "found.json", found)

    def _result_path(self, row: Row) -> Path:
        return self.path / "results" / f"{row.name.replace('/', '-')}.json"

    def _write(self, path: Path, values: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(values, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise RowsError(f"{path} is damaged: {error}; delete it, and what it held is measured again.") from error
    if not isinstance(values, dict):
        raise RowsError(f"{path} is damaged; delete it, and what it held is measured again.")
    return values


def describe(store: ClipStore) -> dict[str, Any]:
    """Where a store is, and how many labelled clips it has to learn from and to test."""
    (fold,) = split_folds(store)
    return {
        "path": str(store.path.resolve()),
        "content_sha256": store.content_digest,
        "train": len(fold.train),
        "test": len(fold.test),
        "classes": len(store.class_names),
        "align_view": store.cleaning.align_view,
    }


def differs(known: KnownStore, found: dict[str, Any]) -> str:
    """In what a store is not the published one, in words; empty if it is, as far as that is known."""
    said = [("train", "clips to learn from"), ("test", "test clips"), ("classes", "classes")]
    wanted = asdict(known)
    differing = [
        f"{found[name]:,} {what} instead of {wanted[name]:,}"
        for name, what in said
        if wanted[name] is not None and abs(found[name] - wanted[name]) > CLOSE * wanted[name]
    ]
    if found.get("align_view", False) != known.align_view:
        differing.append(f"clips {'not ' * known.align_view}turned to one view")
    return ", ".join(differing)


def _settings_of(row: Row, *, tiny: bool) -> dict[str, Any]:
    """What a row's figure depends on beside its clips, as JSON gives it back."""
    settings = {"training": row.arguments(tiny=tiny), "protocol": row.protocol, "options": row.options}
    given_back: dict[str, Any] = json.loads(json.dumps(settings))
    return given_back


def measure(row: Row, store: ClipStore, target: ClipStore | None, work: Work, *, device: str, tiny: bool) -> float:
    """Train unless that is done, measure, and keep the value. Raises `Stopped` after Ctrl-C."""
    tested = store if target is None else target
    # Tiny steps are shorter than handing them to threads takes.
    with _threads(1 if tiny else torch.get_num_threads()):
        folder, command = _trained(row, store, work, device=device, tiny=tiny)
        key = _evaluation_key(row, folder, tested, tiny=tiny)
        found = work.evaluation(key)
        if found is None:
            found = _evaluated(row, folder, tested, work.evaluation_folder(key), device, tiny)
            work.keep_evaluation(key, found)
    record = read_record(folder)
    result = {
        "row": row.name,
        "value": found["value"],
        "published": row.published,
        "unit": row.unit,
        "source": row.source,
        "commands": [command, row.evaluate_command(folder, tested.path)],
        "protocol": row.protocol,
        "settings": _settings_of(row, tiny=tiny),
        "run": folder.name,
        "training": {name: record.get(name) for name in ("steps", "clips_seen", "wall_s", "device", "precision")},
        "trained_on": describe(store),
        "tested_on": describe(tested),
        "tiny": tiny,
    }
    work.keep_result(row, result | {name: value for name, value in found.items() if name != "value"})
    return float(found["value"])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _evaluation_key(row: Row, run: Path, tested: ClipStore, *, tiny: bool) -> str:
    """Equal for rows that measure the same, of the same training."""
    config = row.protocol_config(tiny=tiny)
    draws = row.draws(tiny=tiny) if row.protocol == "semi-supervised" else {}
    # The name of a run stays when its folder is removed and it is trained anew.
    trained = read_record(run).get("begun") if row.protocol == "hours" else weights_digest(Checkpoint.read(run))
    about = [run.name, trained, row.protocol, {} if config is None else asdict(config), draws, tested.content_digest]
    return f"{row.protocol}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:10]}"


def _evaluated(row: Row, run: Path, tested: ClipStore, out: Path, device: str, tiny: bool) -> dict[str, Any]:
    """What the row's protocol finds, with what it took."""
    start = time.monotonic()
    value, details = PROTOCOLS[row.protocol](row, run, tested, out, device, tiny)
    return {
        "value": value,
        "details": details,
        "evaluation_s": round(time.monotonic() - start, 1),
        "device": device_name(device),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"gfp-serve": __version__, "torch": torch.__version__},
    }


def device_name(device: str) -> str:
    """The device in words."""
    found = pick_device(device)  # type: ignore[arg-type]
    return torch.cuda.get_device_name(found) if found.type == "cuda" else f"a CPU, {torch.get_num_threads()} threads"


def _trained(row: Row, store: ClipStore, work: Work, *, device: str, tiny: bool) -> tuple[Path, str]:
    """The folder of the run, which is at its end, and its command."""
    folder = work.run_folder(row, store, tiny=tiny)
    words = [str(store.path), "--out", str(folder), *row.arguments(tiny=tiny)]
    command = " ".join(["gfp-train", *words])
    record = read_record(folder)
    is_done = "steps" in record and record["steps"] == record.get("of_steps")
    if not (folder / CHECKPOINT_FILE).exists() or not is_done:
        resume = ["--resume"] if (folder / CHECKPOINT_FILE).exists() else []
        if code := gfp_train.main([*words, "--device", device, *resume], standalone_mode=False):
            raise Stopped(code)
    return folder, command


Measured = tuple[float, dict[str, Any]]


def _retrieval(_row: Row, run: Path, store: ClipStore, _out: Path, device: str, _tiny: bool) -> Measured:
    folds = split_folds(store)
    trained = candidates(run, device, None)[-1]  # type: ignore[arg-type]
    return retrieval(store, folds, [trained])[0].answers.accuracy, {}


def _linear_probe(row: Row, run: Path, store: ClipStore, out: Path, device: str, tiny: bool) -> Measured:
    checkpoint = Checkpoint.read(run)
    *_, (_, _, model) = candidate_models(checkpoint, None)
    (fold,) = folds = split_folds(store)
    config = row.protocol_config(tiny=tiny)
    state = _state(row, checkpoint, store, out, asdict(config))
    found = linear_probe(model, _labelled(checkpoint, store, device), fold, config, state=state, key="whole")
    state.remove()
    return _accuracy(store, folds, found), {"config": asdict(config)}


def _fine_tune(row: Row, run: Path, store: ClipStore, out: Path, device: str, tiny: bool) -> Measured:
    checkpoint = Checkpoint.read(run)
    if row.protocol == "transfer" and not tiny:  # a rehearsal has one store
        source_and_target(checkpoint, store)
    config = row.protocol_config(tiny=tiny)
    folds = split_folds(store)
    state = _state(row, checkpoint, store, out, asdict(config))
    found = _learned(checkpoint, _labelled(checkpoint, store, device), folds[0], config, state, "whole")
    state.remove()
    return _accuracy(store, folds, found), {"config": asdict(config)}


def _semi_supervised(row: Row, run: Path, store: ClipStore, out: Path, device: str, tiny: bool) -> Measured:
    checkpoint = Checkpoint.read(run)
    config, draws = row.protocol_config(tiny=tiny), row.draws(tiny=tiny)
    (whole,) = split_folds(store)
    clips = _labelled(checkpoint, store, device)
    state = _state(row, checkpoint, store, out, asdict(config) | draws)
    percents = []
    for seed in range(config.seed, config.seed + draws["num_seeds"]):
        fold = draw(store, whole, draws["ratio"], seed=seed, balanced=False)
        found = _learned(checkpoint, clips, fold, replace(config, seed=seed), state, f"seed {seed}")
        percents.append(_accuracy(store, [fold], found))
    state.remove()
    over_seeds = mean_and_deviation(percents)
    return over_seeds["mean"], {"config": asdict(config) | draws, **over_seeds}


def _hours(_row: Row, run: Path, _store: ClipStore, _out: Path, _device: str, _tiny: bool) -> Measured:
    record = read_record(run)
    if "wall_s" not in record:
        raise RowsError(
            f"{run / RECORD_FILE} does not say how long the run took, because an earlier one was lost or damaged; "
            f"delete {run} and train again to measure hours."
        )
    return record["wall_s"] / 3600, {}


PROTOCOLS: dict[str, Callable[[Row, Path, ClipStore, Path, str, bool], Measured]] = {
    "retrieval": _retrieval,
    "linear-probe": _linear_probe,
    "fine-tune": _fine_tune,
    "semi-supervised": _semi_supervised,
    "transfer": _fine_tune,
    "hours": _hours,
}


def _labelled(checkpoint: Checkpoint, store: ClipStore, device: str) -> LabelledClips:
    check_cleaned_alike(store, checkpoint.preprocess.cleaning)
    return LabelledClips(store, checkpoint.preprocess.sampling, pick_device(device))  # type: ignore[arg-type]


def _learned(
    checkpoint: Checkpoint, clips: LabelledClips, fold: Fold, config: Any, state: EvaluationState, key: str
) -> HeadResult:
    """The result of fine-tuning the trained encoder, if it is not known from before."""
    if (found := state.result(key)) is None:
        found = fine_tune(checkpoint.build_encoder(), clips, fold, config, state=state, key=key)
        state.add_result(key, found, keep_features=False)
    return found


def _state(row: Row, checkpoint: Checkpoint, store: ClipStore, out: Path, settings: dict[str, Any]) -> EvaluationState:
    identity = {
        "protocol": row.protocol,
        "encoder_sha256": weights_digest(checkpoint),
        "store_content_sha256": store.content_digest,
        **settings,
    }
    return EvaluationState(out, identity, resume=(out / STATE_FILE).exists())


def _accuracy(store: ClipStore, folds: list[Fold], found: HeadResult) -> float:
    return answers(store, folds, [np.asarray(found.predictions)]).accuracy
