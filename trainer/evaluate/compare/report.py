"""The report of a comparison as plain values for JSON: scores and costs of each row, and differences between rows."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from gfp_serve import __version__
from trainer.evaluate.compare.contestants import Contestant
from trainer.evaluate.compare.measure import Data
from trainer.evaluate.compare.runs import Run, RunsOfRow, differing_settings, setting_text
from trainer.evaluate.compare.scores import Figures
from trainer.evaluate.compare.settings import CompareConfig, Protocol, columns_of, settings_of_protocols
from trainer.evaluate.compare.significance import MIN_SEEDS, difference
from trainer.evaluate.folds import chance
from trainer.evaluate.learned_labels import learned_labels
from trainer.evaluate.semi_supervised import mean_and_deviation
from trainer.evaluate.trainings import tested_clips, tested_clips_learned
from trainer.flops import ENCODER_ALL_TOKENS, cost_table, not_counted, parameter_table
from trainer.objectives import config_to_json

REPORT_FILE = "compare.json"
# Forward, and back at twice the cost.
_PASSES = 3


def make_report(
    rows: Sequence[RunsOfRow],
    contestants: Mapping[str, Sequence[Contestant]],
    figures: Mapping[str, Sequence[Figures]],
    protocols: Sequence[Protocol],
    config: CompareConfig,
    data: Data,
    transfer: Data | None,
    *,
    device: str,
) -> dict[str, Any]:
    """Everything that was found, with what is needed to find it again."""
    columns = columns_of(protocols, config)
    found = [_row(name, contestants[name], figures[name], columns) for name in contestants]
    of_name = {row.name: row for row in rows}
    differing = differing_settings([row.runs[0].settings for row in rows])
    for values in found:
        row = of_name.get(values["name"])
        values["settings_that_differ"] = _chosen(contestants[values["name"]][0].settings, differing)
        values["runs"] = [] if row is None else [_run(run) for run in row.runs]
        values["cost"] = None if row is None else _cost(row.runs)
    return {
        "protocol": "compare",
        "made_with": {"gfp_serve": __version__, "torch": torch.__version__, "device": device},
        "store": _describe(data),
        "transfer_store": None if transfer is None else _describe(transfer),
        "protocols": settings_of_protocols(protocols, config),
        "columns": columns,
        "rows": found,
        "differences": [
            {"first": first["name"], "other": other["name"], "column": column, **_difference(first, other, column)}
            for other, first in combinations(found, 2)
            for column in columns
        ],
    }


def warnings_of(report: Mapping[str, Any], rows: Sequence[RunsOfRow], tested: Sequence[Data]) -> list[str]:
    """What a reader must know before the figures.

    That is: unfinished runs, labels of tested clips that runs learned, tested clips that they learned from, clips that
    runs, or encoders before them, were trained on in another store than the one that is tested, rows that saw other
    numbers of clips, settings that rows differ in unseen, seeds that were not trained alike, runs that were made longer
    or shorter, and few seeds.
    """
    found = [
        f"{run.path} was stopped at step {run.step} of {run.record['of_steps']}; go on with gfp-train --resume."
        for row in rows
        for run in row.runs
        if run.stopped_early
    ]
    labels = dict.fromkeys(
        (row.name, learned_labels({"data": run.data, "training": run.config.to_json()}, data.store, data.folds))
        for data in tested
        for row in rows
        for run in row.runs
    )
    found += [f"{name}: {said}" for name, said in labels if said]
    knowing = {name for name, said in labels if said}
    found += [said for data in tested if (said := _learned_without_labels(rows, data, knowing))]
    found += [
        f"runs, or encoders that they started from or that taught them, were trained on recordings that {store.path} "
        f"has too: {', '.join(shared)}."
        for store in (data.store for data in tested)
        if (shared := dict.fromkeys(name for row in rows for run in row.runs for name in run.recordings_of(store)))
    ]
    if hidden := _hidden_settings(rows):
        found.append(f"the rows also differ in settings that their names do not show: {'; '.join(hidden)}.")
    seen = {row.name: list(dict.fromkeys(_clips_seen(run) for run in row.runs)) for row in rows}
    if len({each for of_row in seen.values() for each in of_row}) > 1:
        counts = "; ".join(f"{name}: {' and '.join(each)}" for name, each in seen.items())
        found.append(f"the runs saw different numbers of clips: {counts}.")
    for row in rows:
        if differing := differing_settings([run.trained_by for run in row.runs]):
            each = "; ".join(
                f"{run.path} {', '.join(f'{name} {run.trained_by[name]}' for name in differing)}" for run in row.runs
            )
            found.append(
                f"the seeds of {row.name} were not trained alike, so their clips/s and wall time are left out: {each}."
            )
    every = {row.name: tuple(dict.fromkeys(run.config.evaluate_every_epochs for run in row.runs)) for row in rows}
    if len(set(every.values())) > 1:
        each = "; ".join(f"{name}: {' and '.join(map(_how_often, own))}" for name, own in every.items())
        found.append(f"wall time and clips/s include evaluations, which not all rows did alike: {each}.")
    runs = [run for row in rows for run in row.runs]
    if len({tuple(run.lengths) for run in runs}) > 1:
        each = "; ".join(f"{run.path}: {', '.join(run.lengths)}" for run in runs if run.lengths)
        found.append(
            f"some runs were made longer or shorter with --resume, so their learning rate fell otherwise than that of "
            f"the others: {each}."
        )
    seeds = {row.name: [run.seed for run in row.runs] for row in rows}
    if len({tuple(each) for each in seeds.values()}) > 1:
        each = "; ".join(f"{name}: {', '.join(map(str, own))}" for name, own in seeds.items())
        found.append(f"the rows have different seeds: {each}.")
    if len(report["rows"]) > 1 and all(len(row["seeds"]) < MIN_SEEDS for row in report["rows"]):
        found.append(f"differences have no p-value: a test needs {MIN_SEEDS} seeds of each row.")
    return found


def _learned_without_labels(rows: Sequence[RunsOfRow], data: Data, knowing: Collection[str]) -> str:
    """Which rows were trained on clips that are tested, and on how many; empty if none was.

    Not of the rows in `knowing`, of which it is said that they know labels.
    """
    counts = {
        row.name: max(tested_clips_learned(run.data, data.store, data.folds) for run in row.runs)
        for row in rows
        if row.name not in knowing
    }
    if not (names := [name for name, count in counts.items() if count]):
        return ""
    count, num_tested = max(counts.values()), len(tested_clips(data.folds))
    return (
        f"{count} of the {num_tested} clips that are tested ({100 * count / num_tested:.0f} %) were learned from in "
        f"pre-training, without labels, by these rows: {'; '.join(names)}. Their figures may be better than for clips "
        f"that they have not seen."
    )


def _hidden_settings(rows: Sequence[RunsOfRow]) -> list[str]:
    """The settings that differ between rows and that not all names show, with the value of each row.

    Settings that only some rows have, and those of objectives, are not meant: they follow from what a row is.
    """
    of_rows = {row.name: row.runs[0].settings for row in rows}
    own = {"objective"} | {name for row in rows for name in config_to_json(row.runs[0].config.objective)}
    found = []
    for name in differing_settings(list(of_rows.values())):
        if name in own or any(name not in settings for settings in of_rows.values()):
            continue
        if all(setting_text(name, settings[name]) in called for called, settings in of_rows.items()):
            continue
        values = "; ".join(
            f"{called}: {'none' if settings[name] == '' else settings[name]}" for called, settings in of_rows.items()
        )
        found.append(f"{name.replace('_', '-')} ({values})")
    return found


def _how_often(epochs: int) -> str:
    return f"every {epochs} epochs" if epochs > 1 else "every epoch" if epochs else "never"


def _clips_seen(run: Run) -> str:
    before = run.clips_seen_before
    if before == 0:
        return f"{run.clips_seen:,}"
    return f"{run.clips_seen:,} after {'an unknown number' if before is None else f'{before:,}'} of its start"


def text_of(score: Mapping[str, Any] | None, *, plus_minus: str = " ± ") -> str:
    """A score in percent, with its deviation if there are several seeds; empty for none."""
    if score is None:
        return ""
    mean = f"{score['mean']:.1f}"
    return f"{mean}{plus_minus}{score['deviation']:.1f}" if len(score["seeds"]) > 1 else mean


def best_of(report: Mapping[str, Any], column: str, which: str) -> set[str]:
    """The names of the rows that have the best mean of a figure, as it is printed."""
    means = {
        row["name"]: round(score["mean"], 1)
        for row in report["rows"]
        if (score := row["scores"][column][which]) is not None
    }
    return {name for name, mean in means.items() if mean == max(means.values())}


def difference_to(report: Mapping[str, Any], name: str, other: str, column: str) -> Mapping[str, Any]:
    """The difference of a row to another one, whichever of both the report has first."""
    for each in report["differences"]:
        if each["column"] == column and {each["first"], each["other"]} == {name, other}:
            return each if each["first"] == name else {**each, "points": -each["points"]}
    raise KeyError((name, other, column))


def _row(
    name: str, contestants: Sequence[Contestant], figures: Sequence[Figures], columns: Sequence[str]
) -> dict[str, Any]:
    scores: dict[str, dict[str, Any]] = {}
    for column in columns:
        scores[column] = {}
        for which in ("top1_percent", "top5_percent"):
            values = [of_seed[column][which] for of_seed in figures]
            known = [value for value in values if value is not None]
            scores[column][which] = mean_and_deviation(known) if known and len(known) == len(values) else None
    return {"name": name, "seeds": [each.seed for each in contestants], "scores": scores}


def _run(run: Run) -> dict[str, Any]:
    return {
        "path": str(run.path),
        "seed": run.seed,
        "steps": run.step,
        "lengths": run.data.get("lengths"),
        "clips_seen": run.clips_seen,
        "clips_seen_before": run.clips_seen_before,
        "wall_s": run.wall_s,
        **run.trained_by,
        "weights_sha256": run.digest,
        "settings": run.config.settings(),
        "versions": run.record.get("versions"),
        "packages": run.config.packages(),
    }


def _cost(runs: Sequence[Run]) -> dict[str, Any]:
    """What a row costs. GFLOP are of a forward pass for one clip of two bodies, as `gfp-cost` counts them.

    What runs also learn from labels, statistics or views is not counted: they have None for a training step and their
    weights, and for an embedding if it is more than the encoder. The whole training is three times the forward pass of
    each clip that was seen, since going back takes about twice as much. It is None for runs that start from another.
    All three are None where a layer of another package cannot be counted. Runs that were not trained alike have no mean
    of their seconds.
    """
    config = runs[0].config
    counted = cost_table(config.encoder, config.objective, num_frames=config.num_frames)
    parameters = parameter_table(config.encoder, config.objective, num_frames=config.num_frames)
    is_counted = not not_counted(config.encoder, config.objective, num_frames=config.num_frames)
    embedding = counted.pop(ENCODER_ALL_TOKENS)
    timed = [run for run in runs if run.wall_s] if not differing_settings([run.trained_by for run in runs]) else []
    speeds = [run.clips_seen / run.wall_s for run in timed if run.wall_s]
    walls = [run.wall_s for run in timed if run.wall_s]
    clips_seen = float(np.mean([run.clips_seen for run in runs]))
    step = None if config.terms.are_used or not is_counted else sum(counted.values())
    is_whole = all(run.clips_seen_before == 0 for run in runs)
    return {
        "step_gflop": step,
        "training_pflop": None if step is None or not is_whole else _PASSES * step * clips_seen / 1e6,
        "embedding_gflop": None if config.terms.learns_embedding or not is_counted else embedding,
        "parameters": None if config.terms.are_used else sum(parameters.values()),
        "encoder_parameters": parameters["encoder"],
        "clips_seen": clips_seen,
        "clips_per_s": float(np.mean(speeds)) if speeds else None,
        "wall_s": float(np.mean(walls)) if walls else None,
    }


def _difference(first: Mapping[str, Any], other: Mapping[str, Any], column: str) -> dict[str, Any]:
    scores = [
        dict(zip(row["seeds"], row["scores"][column]["top1_percent"]["seeds"], strict=True)) for row in (first, other)
    ]
    return difference(*scores).to_json()


def _describe(data: Data) -> dict[str, Any]:
    return {
        "content_sha256": data.store.content_digest,
        "num_clips": len(data.store),
        "num_classes": len(data.store.class_names),
        "sources": [source.name for source in data.store.sources],
        "num_folds": len(data.folds),
        "num_train_clips": sum(len(fold.train) for fold in data.folds),
        "num_test_clips": sum(len(fold.test) for fold in data.folds),
        "chance_percent": chance(data.store, data.folds),
    }


def _chosen(settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}
