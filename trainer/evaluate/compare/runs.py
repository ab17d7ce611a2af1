"""The runs of a comparison: read and checked before anything long begins, and put together as rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfp_serve.errors import GfpError, InvalidRequestError
from gfp_serve.preprocess import PreprocessConfig
from trainer.config import TrainConfig
from trainer.data.store import ClipStore
from trainer.evaluate.candidates import check_cleaned_alike, read_run, read_run_of_tokens
from trainer.evaluate.comparison import weights_digest
from trainer.evaluate.trainings import recordings_learned, trainings
from trainer.evaluate.transfer import source_and_target

# Rows are named by these settings if they differ, and by others only if these do not tell them apart.
_NAMING = ("objective", "encoder", "init")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run of gfp-train, without its weights: many runs would not fit into memory together."""

    path: Path
    config: TrainConfig
    preprocess: PreprocessConfig
    data: Mapping[str, Any]  # see `checkpoint.data_summary`
    step: int
    digest: str  # of the weights
    record: Mapping[str, Any]  # run.json; empty for a run that has none

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def clips_seen(self) -> int:
        return self.step * self.config.batch_clips

    @property
    def clips_seen_before(self) -> int | None:
        """Clips that the run saw before its first step, by the one that it starts from; None if that is not known."""
        seen, start = 0, self.data.get("started_from")
        while start is not None:
            if "clips_seen" not in start:
                return None
            seen += int(start["clips_seen"])
            start = (start.get("data") or {}).get("started_from")
        return seen

    @property
    def lengths(self) -> list[str]:
        """What is said of a run, or of an encoder before it, that was made longer or shorter; nothing if none was.

        Its settings are those of an unbroken run, but its learning rate fell otherwise.
        """
        found = []
        for training in trainings(self.data, who="it"):
            if lengths := training.data.get("lengths"):
                each = (f"--epochs {epochs} from step {step} on" for epochs, step in lengths)
                found.append(f"{training.who} had {' and '.join(each)}")
        return found

    @property
    def trained_by(self) -> dict[str, Any]:
        """What the seconds of the run depend on besides its settings. None is what its record does not say."""
        recorded = {name: self.record.get(name) for name in ("device", "precision", "processes", "machine")}
        chosen = {name: getattr(self.config, name) for name in ("compile", "num_threads", "evaluate_every_epochs")}
        return {**recorded, **chosen}

    @property
    def wall_s(self) -> float | None:
        """Seconds of training; None if the run does not say it."""
        return float(self.record.get("wall_s") or 0) or None

    def recordings_of(self, store: ClipStore) -> list[str]:
        """The recordings of a store that the run, or an encoder before it, was trained on in another store."""
        return recordings_learned(self.data, store)

    @property
    def stopped_early(self) -> bool:
        return self.step < int(self.record.get("of_steps") or 0)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes runs comparable as one row: every setting but the seed, and those of where and how often.

        Of a run that starts from another, `init` is the objective of that one and digests of its settings without the
        seed and of its clips: each seed may start from a run of its own. Of one with a teacher, `teacher` is that one.
        """
        teacher = self.data.get("taught_by")
        by = {"teacher": "" if teacher is None else f"by {teacher['name']} {teacher['digest'][:6]}"}
        start = self.data.get("started_from")
        if start is None:
            return {"init": "", **by, **self.config.comparable()}
        # Checkpoints of earlier releases do not say with which settings their start was made.
        made_by = start.get("settings_sha256", start["digest"])
        clips = str(start.get("data", {}).get("content_sha256", ""))
        init = f"from {start.get('objective', start['name'])} {made_by[:6]} {clips[:6]}".rstrip()
        return {"init": init, **by, **self.config.comparable()}


@dataclass(frozen=True, slots=True, eq=False)
class RunsOfRow:
    """Runs whose settings differ in the seed alone, in the order of their seeds."""

    name: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What every run must fit."""

    store: ClipStore
    transfer_store: ClipStore | None = None  # the one to transfer to
    trained_elsewhere: bool = False  # whether runs were trained on another store, all on the same
    fine_tuned: bool = False  # whether their encoders are trained on


def read_runs(
    paths: Sequence[Path], wanted: Requirements, *, read_record: Callable[[Path], Mapping[str, Any]]
) -> list[Run]:
    """Read runs and check that they can be compared.

    Raises `InvalidRequestError` that names each run that cannot: it is damaged or no run, was trained on another store,
    needs clips that were cleaned otherwise, has no encoder to fine-tune, or has the weights of another one.
    """
    runs: list[Run] = []
    refused: list[str] = []
    for path in paths:
        try:
            runs.append(_read(path, wanted, read_record))
        except GfpError as error:
            text = str(error)
            refused.append(text if str(path) in text else f"{path}: {text}")
    refused += _not_comparable(runs, trained_elsewhere=wanted.trained_elsewhere)
    if refused:
        many = f"{len(refused)} of {len(paths)} runs cannot be compared: " if len(refused) > 1 else ""
        raise InvalidRequestError(many + "; ".join(refused))
    return runs


def _read(path: Path, wanted: Requirements, read_record: Callable[[Path], Mapping[str, Any]]) -> Run:
    checkpoint = read_run_of_tokens(path) if wanted.fine_tuned else read_run(path)
    trained_on, store = str(checkpoint.data["content_sha256"]), wanted.store
    if trained_on != store.content_digest and not wanted.trained_elsewhere:
        raise InvalidRequestError(
            f"{path} was trained on a store with content {trained_on[:12]}…, and {store.path} has "
            f"{store.content_digest[:12]}…; name the store that it was trained on, or add --trained-elsewhere."
        )
    for each in filter(None, (store, wanted.transfer_store)):
        check_cleaned_alike(each, checkpoint.preprocess.cleaning)
    if wanted.transfer_store is not None:
        source_and_target(checkpoint, wanted.transfer_store)  # refuses the store of pre-training
    weights = checkpoint.build_embedding().state_dict().values()  # refuses weights that do not fit the settings
    if not all(weight.isfinite().all() for weight in weights):
        raise InvalidRequestError(f"{path} has weights that are NaN or infinite: its training failed. Train it again.")
    return Run(
        path=path,
        config=checkpoint.config,
        preprocess=checkpoint.preprocess,
        data=checkpoint.data,
        step=checkpoint.step,
        digest=weights_digest(checkpoint),
        record=read_record(path if path.is_dir() else path.parent),
    )


def _not_comparable(runs: Sequence[Run], *, trained_elsewhere: bool) -> list[str]:
    """What is wrong with runs beside others."""
    found: list[str] = []
    first_of: dict[str, Run] = {}
    for run in runs:
        key = repr((sorted(run.settings.items(), key=str), run.seed))
        if (first := first_of.setdefault(key, run)) is not run:
            found.append(f"{run.path} has the settings and the seed of {first.path}; leave one of them out")
    if trained_elsewhere:
        found += [
            f"{run.path} was trained on another store than {runs[0].path}, so that they saw other clips"
            for run in runs[1:]
            if run.data["content_sha256"] != runs[0].data["content_sha256"]
        ]
    return found


def rows_of(runs: Sequence[Run], names: Mapping[Path, str]) -> list[RunsOfRow]:
    """Put runs whose settings differ in the seed alone together, in the order in which they were named.

    A row is called by what differs between rows: the objective, the encoder, and if these do not tell it from others,
    other settings. `names` has another name for the row that a run is in. Raises `InvalidRequestError` for two names of
    one row, one name for two, and a name for a run that is not there.
    """
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(repr(sorted(run.settings.items(), key=str)), []).append(run)
    groups = list(grouped.values())
    rows = []
    for group, name in zip(groups, _names([group[0].settings for group in groups]), strict=True):
        given = {names[run.path] for run in group if run.path in names}
        if len(given) > 1:
            raise InvalidRequestError(
                f"--name gives one row several names: {', '.join(sorted(given))}. Its runs differ in the seed alone: "
                f"{', '.join(str(run.path) for run in group)}."
            )
        rows.append(RunsOfRow(next(iter(given), name), tuple(sorted(group, key=lambda run: run.seed))))
    if missing := [path for path in names if path not in {run.path for run in runs}]:
        raise InvalidRequestError(f"--name names {missing[0]}, which is not among the runs; write it as there.")
    called = [row.name for row in rows]
    if twice := [name for name in called if called.count(name) > 1]:
        raise InvalidRequestError(f"two rows are called {twice[0]!r}; give one of them another --name.")
    return rows


def differing_settings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of settings that differ between rows which have them, in the order of the options."""
    known = dict.fromkeys(name for row in rows for name in row)
    return [name for name in known if len({repr(row[name]) for row in rows if name in row}) > 1]


def setting_text(name: str, value: Any) -> str:
    """What a row's name says of a setting that tells it from others."""
    return str(value) if name in _NAMING else f"{name.replace('_', '-')} {value}"


def _names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each row of settings, by what tells it from the others."""
    named_by = [name for name in _NAMING if name in differing_settings(settings)]
    found = told_apart(settings, named_by)
    return [name or str(row["objective"]) for row, name in zip(settings, found, strict=True)]


def told_apart(settings: Sequence[Mapping[str, Any]], named_by: Sequence[str]) -> list[str]:
    """What tells each row of settings from the others: those that it is named by, and others if these do not."""
    first = [tuple(str(row.get(name, "")) for name in named_by) for row in settings]
    names = []
    for row, own in zip(settings, first, strict=True):
        alike = [other for other, theirs in zip(settings, first, strict=True) if theirs == own]
        more = [name for name in differing_settings(alike) if name not in named_by]
        parts = [*own, *(setting_text(name, row[name]) for name in more if name in row)]
        names.append(", ".join(filter(None, parts)))
    return names
