"""The report of a suite: plain values for JSON, and the same as Markdown."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from gfp_serve import __version__
from trainer.evaluate.suite.changes import CHANGES, CLEAN, Change
from trainer.evaluate.suite.differences import MIN_GROUPS, Asked, Difference, compare, mean_of
from trainer.evaluate.suite.encoders import POSE_STATISTICS, SuiteEncoder
from trainer.evaluate.suite.measures import NUM_BINS
from trainer.evaluate.suite.protocols import SplitSet
from trainer.evaluate.suite.run import SuiteConfig, describe_settings, fold_of, gallery_and_queries
from trainer.evaluate.suite.training_clips import TrainingStores

_OF_CLEAN = (
    f"Calibration error: expected, of the vote's score, in {NUM_BINS} bins. Unknown: how often (AUROC) queries of "
    "known classes are nearer to the gallery than those of classes that it lacks, a third of all. Moments: the nearest "
    "one in a recording of several actions overlaps the action that was asked for by at least half."
)

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by set and encoder


def make_report(
    sets: Sequence[SplitSet],
    encoders: Sequence[SuiteEncoder],
    changes: Sequence[Change],
    config: SuiteConfig,
    figures: Figures,
    stores: TrainingStores,
) -> dict[str, Any]:
    """Everything that was found, with what is needed to find it again."""
    asked_of = {given.clips.name: _asked(given, seed=config.seed + number) for number, given in enumerate(sets)}
    return {
        "protocol": "suite",
        "made_with": {"gfp_serve": __version__, "torch": torch.__version__},
        "config": describe_settings(config, changes),
        "encoders": [
            {
                "name": each.name,
                "digest": each.digest,
                "preprocess": each.preprocess.to_json(),
                "identity": each.identity,
            }
            for each in encoders
        ],
        "sets": {given.clips.name: _describe(given, encoders, stores) for given in sets},
        "changes": {change.name: change.meaning for change in changes},
        "figures": figures,
        "differences": [
            _difference(first, other, sets, figures, asked_of) for first, other in _pairs([e.name for e in encoders])
        ],
    }


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the figures: training clips among the queries, and people on both sides."""
    found = []
    for name, about in report["sets"].items():
        found += [
            f"{name}: {encoder}: {overlap['says']}."
            for encoder, overlap in about["trained_on"].items()
            if overlap["is_doubtful"]
        ]
        if about["same_people"]:
            found.append(f"{name}: gallery and queries may be of the same people, which makes figures better.")
    return found


def mean_percent(report: Mapping[str, Any], encoder: str, change: str) -> float | None:
    """The mean over sets of an encoder's 1-NN accuracy; None if no set has this change."""
    found = [each[encoder]["changes"].get(change) for each in report["figures"].values()]
    measured = [each["1nn_percent"] for each in found if each is not None]
    return float(np.mean(measured)) if measured else None


def difference_to(report: Mapping[str, Any], first: str, other: str) -> Mapping[str, Any]:
    """What the report says of a pair of encoders."""
    return next(each for each in report["differences"] if (each["first"], each["other"]) == (first, other))


def interval(difference: Mapping[str, Any]) -> str:
    """A difference in points, with the interval that holds it with 95 % confidence."""
    return f"{difference['points']:+.1f} [{difference['low']:+.1f}, {difference['high']:+.1f}]"


def queries_of(difference: Mapping[str, Any]) -> str:
    """Which queries a difference over all sets is of: an untrained encoder is asked clean ones alone."""
    return "clean queries alone" if set(difference["changes"]) == {CLEAN.name} else "all changes"


def columns_of(report: Mapping[str, Any], encoders: Sequence[str]) -> list[str]:
    """The changes of which one of these encoders was asked, in the order of the table of changes."""
    figures = report["figures"].values()
    asked = {change for of_set in figures for encoder in encoders for change in of_set[encoder]["changes"]}
    return [change.name for change in CHANGES if change.name in asked]


def to_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown: who is better, all figures, and how they were found."""
    encoders = [each["name"] for each in report["encoders"]]
    names = columns_of(report, encoders)
    sets = report["figures"]
    parts = ["# Evaluation suite", _settings_line(report), ""]
    parts += ["".join(f"- {line}\n" for line in warnings_of(report))]
    parts += ["## Which is better", "", _who_is_better(report), ""]
    parts += ["## 1-NN, mean over sets, in %", "", _means(report, encoders, names), ""]
    for key, title in (("1nn_percent", "1-NN"), ("5nn_percent", "5-NN")):
        for encoder in encoders:
            own = columns_of(report, [encoder])
            cells = {
                name: [_number(each[encoder]["changes"].get(change), key) for change in own]
                for name, each in sets.items()
            }
            parts += [f"## {title} in %: {encoder}", "", _table(["set", *own], cells), ""]
    for pair in report["differences"]:
        own = [change for change in names if change in pair["changes"]]
        cells = {
            name: [interval(of_set[change]) if change in of_set else "" for change in own]
            for name, of_set in pair["sets"].items()
        }
        parts += [
            f"## {pair['first']} less {pair['other']}, 1-NN in points",
            "",
            f"In brackets the interval of 95 %.{_drawn_by_query(pair)}",
            "",
            _table(["set", *own], cells),
            "",
        ]
    parts += ["## Of clean queries", "", _of_clean(report, encoders), ""]
    parts += [_OF_CLEAN, ""]
    parts += ["## The sets", "", _of_sets(report), ""]
    parts += ["## The changes", "", *(f"- **{name}**: {meaning}" for name, meaning in report["changes"].items()), ""]
    return "\n".join(parts)


def _drawn_by_query(pair: Mapping[str, Any]) -> str:
    """Which sets' intervals do not know that queries of one person are alike; empty if there are none."""
    sets = [name for name, changes in pair["sets"].items() if any(e["drawn"] == "queries" for e in changes.values())]
    if not sets:
        return ""
    return (
        f" Of {', '.join(sets)} single queries were drawn, because fewer than {MIN_GROUPS} people or recordings ask: "
        f"what other people would give may lie outside."
    )


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each pair of encoders once; pose statistics, and then untrained, are what others are compared with."""
    return [(later, earlier) for earlier, later in combinations(names, 2)]


def _describe(given: SplitSet, encoders: Sequence[SuiteEncoder], stores: TrainingStores) -> dict[str, Any]:
    gallery, queries = gallery_and_queries(given)
    clips = given.clips.clips
    asked = [clips[index] for index in queries]
    return {
        "file": given.clips.path.name,
        "sha256": given.clips.sha256,
        "protocol": given.says,
        "same_people": given.same_people,
        "num_folds": len(given.folds),
        "num_classes": len({clips[index].label for index in gallery}),
        "num_classes_asked": len({clip.label for clip in asked}),
        "num_gallery": [len(fold.train) for fold in given.folds],
        "num_queries": len(queries),
        "num_people": len({given.clips.people[index] for index in queries} - {""}),
        "copies_left_out": given.num_copies,
        "trained_on": {each.name: stores.overlap(each, given.clips, asked).to_json() for each in encoders},
    }


def _difference(
    first: str, other: str, sets: Sequence[SplitSet], figures: Figures, asked_of: Mapping[str, Asked]
) -> dict[str, Any]:
    of_sets: dict[str, dict[str, Any]] = {}
    by_change: dict[str, list[tuple[Difference, np.ndarray]]] = {}
    of_all: list[tuple[Difference, np.ndarray]] = []
    for name in (given.clips.name for given in sets):
        mine, theirs = figures[name][first]["changes"], figures[name][other]["changes"]
        # The same draws for all changes of a set, so that means over changes are right too.
        found = {
            change: compare(_right(mine[change]), _right(theirs[change]), asked_of[name])
            for change in mine
            if change in theirs
        }
        of_sets[name] = {change: each.to_json() for change, (each, _) in found.items()}
        for change, each in found.items():
            by_change.setdefault(change, []).append(each)
        of_all.append(_mean_of_changes(list(found.values())))
    verdicts = [difference.verdict for difference, _ in of_all]
    return {
        "first": first,
        "other": other,
        "over_all": mean_of(of_all).to_json(),
        "sets_better": verdicts.count("better"),
        "sets_worse": verdicts.count("worse"),
        "sets_not_told_apart": verdicts.count("not told apart"),
        "changes": {change: mean_of(found).to_json() for change, found in by_change.items()},
        "sets": of_sets,
    }


def _mean_of_changes(found: list[tuple[Difference, np.ndarray]]) -> tuple[Difference, np.ndarray]:
    """The mean over the changes of one set."""
    draws = np.mean([each for _, each in found], axis=0)
    mean = mean_of(found)
    any_one = found[0][0]
    counts = sum(each.better for each, _ in found), sum(each.worse for each, _ in found)
    return Difference(mean.points, mean.low, mean.high, *counts, None, any_one.num_queries, any_one.drawn), draws


def _asked(given: SplitSet, *, seed: int) -> Asked:
    queries = gallery_and_queries(given)[1]
    names = [given.clips.people[index] or given.clips.recordings[index] for index in queries]
    return Asked(fold_of(given), np.unique(names, return_inverse=True)[1], seed=seed)


def _right(figures: Mapping[str, Any]) -> np.ndarray:
    return np.array([letter == "1" for letter in figures["right_by_1"]])


def _settings_line(report: Mapping[str, Any]) -> str:
    config = report["config"]
    return (
        f"\nFrozen encoders; at most {config['gallery_clips']} clips in a gallery, and {config['query_clips']} queries "
        f"of a set; seed {config['seed']}; gfp-serve {report['made_with']['gfp_serve']}. Only queries are "
        f"changed, unless a change says otherwise.\n"
    )


def _who_is_better(report: Mapping[str, Any]) -> str:
    rows = {
        f"{pair['first']} against {pair['other']}": [
            queries_of(pair),
            interval(pair["over_all"]),
            pair["over_all"]["verdict"],
            f"{pair['sets_better']} / {pair['sets_worse']} / {pair['sets_not_told_apart']}",
        ]
        for pair in report["differences"]
    }
    if not rows:
        return f"Only {POSE_STATISTICS} was measured."
    heads = ["", "queries", "1-NN in points, all sets", "verdict", "sets better / worse / not told apart"]
    return _table(heads, rows)


def _means(report: Mapping[str, Any], encoders: Sequence[str], changes: Sequence[str]) -> str:
    rows = {}
    for change in changes:
        of_encoders = [mean_percent(report, encoder, change) for encoder in encoders]
        rows[change] = ["" if mean is None else f"{mean:.1f}" for mean in of_encoders]
    return _table(["change", *encoders], rows)


def _of_clean(report: Mapping[str, Any], encoders: Sequence[str]) -> str:
    rows = {}
    for name, of_set in report["figures"].items():
        for encoder in encoders:
            found = of_set[encoder]
            moments = found["moments"]
            rows[f"{name}, {encoder}"] = [
                _number(found, "linear_probe_percent"),
                f"{found['changes']['clean']['calibration_error']:.3f}",
                "" if found["unknown_auroc"] is None else f"{found['unknown_auroc']:.3f}",
                "" if moments is None else f"{moments['hit_percent']:.1f} of {moments['num_questions']}",
                "" if moments is None else f"{moments['mean_overlap']:.2f}",
            ]
    heads = ["", "linear probe in %", "calibration error", "unknown", "moments found in %", "mean overlap"]
    return _table(heads, rows)


def _of_sets(report: Mapping[str, Any]) -> str:
    rows = {}
    for name, about in report["sets"].items():
        gallery = " + ".join(map(str, sorted(set(about["num_gallery"]))))
        trained = "; ".join(f"{encoder}: {each['says']}" for encoder, each in about["trained_on"].items())
        rows[name] = [
            about["protocol"] + ("; the same people" if about["same_people"] else ""),
            gallery,
            str(about["num_queries"]),
            f"{about['num_classes_asked']} of {about['num_classes']}",
            str(about["num_people"] or "not known"),
            str(about["copies_left_out"]),
            trained,
        ]
    heads = ["set", "protocol", "gallery", "queries", "classes asked", "people asked", "copies left out", "trained on"]
    return _table(heads, rows)


def _number(found: Mapping[str, Any] | None, key: str) -> str:
    return "" if found is None or found[key] is None else f"{found[key]:.1f}"


def _table(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([name, *cells] for name, cells in rows.items())]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
