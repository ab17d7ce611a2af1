"""The rows of `reproduce.toml`: what is trained, how it is measured, and what was published."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from gfp_serve.cli.options import options_from
from trainer.config import CHANGEABLE, PRESETS, TrainConfig
from trainer.evaluate.fine_tune import FineTuneConfig
from trainer.evaluate.linear_probe import LinearProbeConfig

FILE = Path(__file__).parents[1] / "reproduce.toml"

# The settings of each protocol of gfp-evaluate. Hours of training have none: they are read from the run.
PROTOCOLS: dict[str, type[LinearProbeConfig] | type[FineTuneConfig] | None] = {
    "retrieval": None,
    "linear-probe": LinearProbeConfig,
    "fine-tune": FineTuneConfig,
    "semi-supervised": FineTuneConfig,
    "transfer": FineTuneConfig,
    "hours": None,
}
# Of semi-supervised alone: the share of labels, and the draws that the mean is over.
DRAWS = ("ratio", "num_seeds")

# For a rehearsal: sizes with which each row takes a second on a made-up store. Settings that a run lacks are left out.
TINY: dict[str, Any] = {
    "width": 16,
    "depth": 1,
    "num_heads": 2,
    "epochs": 1,
    "warmup_epochs": 0,
    "batch_clips": 4,
    "decoder_depth": 1,
    "local_width": 8,
    "global_width": 16,
    "projection_size": 8,
    "queue_keys": 8,
    "prototype_keys": 6,
    "num_prototypes": 3,
    "compared_width": 8,
    "head_width": 16,
    "head_size": 8,
    "recent_clips": 8,
}
TINY_PROTOCOL: dict[str, Any] = {"epochs": 2, "warmup_epochs": 0, "batch_clips": 8, "head_width": 8}
TINY_DRAWS: dict[str, Any] = {"ratio": 0.5, "num_seeds": 2}


class RowsError(click.ClickException):
    """What is wrong with the file of rows, or with what was asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStore:
    """A store that rows are trained or measured on. Numbers of clips are the published ones; None = not at hand."""

    name: str
    make: str
    dataset: str
    classes: int
    train: int | None = None
    test: int | None = None
    align_view: bool = False  # whether its clips are turned to one view

    def aligned(self) -> "KnownStore":
        """The store of the same clips that are turned to one view."""
        return replace(self, name=f"{self.name}-aligned", make=f"{self.make} --align-view", align_view=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published value of a method that cannot be trained here."""

    table: str
    method: str
    store: str
    value: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A cell of a published table: a method on a store."""

    name: str  # table/method/store
    table: str
    method: str
    store: str  # of pre-training, and of the protocol where there is no target
    target: str | None  # the store that is transferred to
    protocol: str
    options: dict[str, Any]  # of the protocol
    settings: dict[str, Any]  # of gfp-train, with the preset
    published: float | None  # per cent, or hours
    source: str
    notes: tuple[str, ...]  # in what it differs from how the published value was made

    @property
    def unit(self) -> str:
        return "h" if self.protocol == "hours" else "%"

    def arguments(self, *, tiny: bool = False) -> list[str]:
        """The options of gfp-train."""
        words = _as_options(self.settings)
        if tiny:
            known = config_of(words).settings()
            words += _as_options({name: value for name, value in TINY.items() if name in known})
        return words

    def train_config(self, *, tiny: bool = False) -> TrainConfig:
        """The settings of the run. Raises click's `UsageError` for those that gfp-train refuses."""
        return config_of(self.arguments(tiny=tiny))

    def protocol_config(self, *, tiny: bool = False) -> Any:
        """The settings of the protocol; None if it has none. Raises `ValueError` and `TypeError` for wrong ones."""
        config_type = PROTOCOLS[self.protocol]
        if config_type is None:
            return None
        options = {name: value for name, value in self.options.items() if name not in DRAWS}
        known = config_type.__dataclass_fields__
        smaller = {name: value for name, value in TINY_PROTOCOL.items() if name in known} if tiny else {}
        return config_type(**{**options, **smaller})

    def draws(self, *, tiny: bool = False) -> dict[str, Any]:
        """Share of labels and number of draws of semi-supervised."""
        return dict(TINY_DRAWS) if tiny else {name: self.options[name] for name in DRAWS}

    def evaluate_command(self, run: Path | str, store: Path | str) -> str:
        """The command of gfp-evaluate that measures the same, beside chance, pose statistics and no training."""
        if self.protocol == "hours":
            return f"read wall_s of {run}/run.json"
        return " ".join(["gfp-evaluate", self.protocol, str(run), str(store), *_as_options(self.options)])


@click.command()
@options_from(TrainConfig, presets=PRESETS)
def _config(config: TrainConfig) -> TrainConfig:
    return config


def config_of(arguments: list[str]) -> TrainConfig:
    """The settings that gfp-train makes of these options. Raises click's `UsageError` for wrong ones."""
    config: TrainConfig = _config.main(arguments, prog_name="gfp-train", standalone_mode=False)
    return config


def training_digest(config: TrainConfig) -> str:
    """Equal for runs that compute the same on the same clips."""
    settings = {name: value for name, value in config.settings().items() if name not in CHANGEABLE}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


class Rows:
    """The rows of a file, in its order."""

    def __init__(self, path: Path = FILE) -> None:
        """Raises `RowsError` when something in the file does not fit together, or a setting is refused."""
        try:
            values = tomllib.loads(path.read_text())
            self.sources: dict[str, str] = values["sources"]
            self.stores = {name: KnownStore(name=name, **about) for name, about in values["stores"].items()}
            self.stores |= {each.name: each for each in [store.aligned() for store in self.stores.values()]}
            self.rows = tuple(row for entry in values["rows"] for row in self._cells(entry, values))
            self.published = tuple(each for entry in values.get("published", ()) for each in self._published(entry))
            # Those that no row is of are left out.
            used = {name for row in self.rows for name in (row.store, row.target)}
            self.stores = {name: store for name, store in self.stores.items() if name in used}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RowsError(
                f"{path} is not a file of rows: {type(error).__name__}: {error}. {FILE.name} beside reproduce.py is "
                f"one, and says what a row has."
            ) from error
        names = [row.name for row in self.rows]
        if twice := {name for name in names if names.count(name) > 1}:
            raise RowsError(f"{path}: {', '.join(sorted(twice))} are there twice; a method has one value on a store.")
        for row in self.rows:
            self._check(row)

    def matching(self, pattern: str) -> list[Row]:
        """The rows whose names match a pattern such as `linear/gfp/*`. Raises `RowsError` when none does."""
        found = [row for row in self.rows if fnmatchcase(row.name, pattern)]
        if not found:
            raise RowsError(
                f"no row is called {pattern!r}; `reproduce.py list` shows all, and `linear/*` means several."
            )
        return found

    def _cells(self, entry: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Row]:
        table = values["tables"][entry["table"]]
        cells = {**entry.get("published", {}), **dict.fromkeys(entry.get("unknown", ()))}
        for name, published in cells.items():
            store = f"{name}-aligned" if entry.get("aligned") else name
            dataset = self.stores[store].dataset
            target = table.get("target")
            training = values["trainings"][entry["training"]]
            settings = {**training[dataset], **entry.get("changes", {})}
            of_training = {} if table.get("compares") else training.get("notes", {})
            notes = (*of_training.get("all", ()), *of_training.get(dataset, ()), *entry.get("notes", ()))
            of_table = table.get("options", {})
            yield Row(
                name=f"{entry['table']}/{re.sub('[^a-z0-9]+', '-', entry['method'].lower())}/{store}",
                table=entry["table"],
                method=entry["method"],
                store=store,
                target=target,
                protocol=table["protocol"],
                options={
                    **of_table.get("all", {}),
                    **of_table.get(self.stores[target or store].dataset, {}),
                    **entry.get("options", {}),
                },
                settings=settings,
                published=published,
                source=self.sources[entry["source"]] if published is not None else "",
                notes=tuple(values["notes"][note] for note in notes),
            )

    def _published(self, entry: Mapping[str, Any]) -> Iterator[Published]:
        for store, value in entry["values"].items():
            yield Published(
                table=entry["table"],
                method=entry["method"],
                store=self.stores[store].name,
                value=value,
                source=self.sources[entry["source"]],
            )

    def _check(self, row: Row) -> None:
        try:
            row.protocol_config()
            row.train_config()
        except click.ClickException as error:
            raise RowsError(f"{row.name}: gfp-train refuses its settings: {error.format_message()}") from error
        except (TypeError, ValueError) as error:
            raise RowsError(f"{row.name}: {row.protocol} refuses its options: {error}") from error


def _as_options(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of a command line."""
    words = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words
