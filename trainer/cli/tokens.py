"""`gfp-evaluate tokens`: what embedding some of a body's tokens saves and costs."""

import json
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import click
from torch import nn

from gfp_serve.cli.bundle import print_token_table
from gfp_serve.cli.options import Command, options_from
from gfp_serve.cli.printing import print_json
from gfp_serve.cli.progress import progress, status, warn
from gfp_serve.errors import DamagedFileError
from gfp_serve.files import check_writable, read_ordinary, write_whole
from trainer.cli.evaluation import LINE_EVERY_S, exit_on_ctrl_c, of_sets
from trainer.cli.readout_options import ReadoutChoice, check_shares, embedding_of, readout_options, shares_option
from trainer.data.store import ClipStore
from trainer.embedding import sampling_for
from trainer.evaluate.candidates import read_run
from trainer.evaluate.comparison import weights_digest
from trainer.evaluate.suite.changes import CHANGES
from trainer.evaluate.suite.resume import SuiteState
from trainer.evaluate.suite.run import (
    SuiteConfig,
    choose_changes,
    count_clips,
    describe_settings,
    gallery_and_queries,
    measure_sets,
    open_sets,
)
from trainer.evaluate.suite.sets import find_sets
from trainer.evaluate.suite.training_clips import TrainingStores, of_fitted_clips
from trainer.learned_head import SERVED_SHARES, Shares
from trainer.readout import PUBLISHED
from trainer.token_budgets import budget_encoders, budget_models, table_of, time_budgets
from trainer.token_choice import KINDS, Budget, Kind

_PATH = click.Path(path_type=Path)
_LARGEST_TABLE = 4 * 2**20


@click.command("tokens", cls=Command, no_args_is_help=True)
@click.argument("run", metavar="RUN", type=_PATH)
@of_sets
@click.option(
    "--tokens",
    "numbers",
    type=click.IntRange(min=1),
    multiple=True,
    default=(375, 188, 75),
    show_default=True,
    help="How many tokens of a body are embedded; may be given several times.",
)
@click.option(
    "--token-choice",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    default=("spread",),
    show_default=True,
    help="Which tokens are embedded, as for gfp-export; may be given several times.",
)
@click.option(
    "--change",
    "changes",
    type=click.Choice([change.name for change in CHANGES]),
    metavar="NAME",
    multiple=True,
    default=("window", "rest"),
    show_default=True,
    help="Ask clean queries and this change, as for gfp-evaluate suite; may be given several times.",
)
@readout_options("Fit a read-out for each number of tokens on the clips of this store, as gfp-export does.")
@shares_option
@click.option("--out", metavar="FILE", type=_PATH, help="Write the table as JSON, for gfp-export --token-table.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@options_from(SuiteConfig)
def tokens_command(
    run: Path,
    data: Path,
    sets: tuple[str, ...],
    numbers: tuple[int, ...],
    kinds: tuple[Kind, ...],
    changes: tuple[str, ...],
    trained_on: tuple[Path, ...],
    readout: ReadoutChoice,
    shares: Shares,
    out: Path | None,
    as_json: bool,
    config: SuiteConfig,
) -> None:
    """What do fewer tokens save, and what do they cost?

    Each number of tokens is measured on every labelled set of the folder, clean and changed, beside the whole
    embedding of RUN: right nearest neighbours, the linear probe, and the time of the exported graph on one core. Give
    --fit and --shares as the bundle gets them.
    """
    if out is not None:
        check_writable(out)
    checkpoint = read_run(run)
    budgets = [Budget(number, kind) for number, kind in product(dict.fromkeys(numbers), dict.fromkeys(kinds))]
    if shares != SERVED_SHARES:
        check_shares(checkpoint)
    opened = open_sets(find_sets(data, sets), config, warn, must_all=bool(sets))
    with progress() as bars:
        add_readout = readout.adder("cpu", bars)

        def build(budget: Budget | None) -> nn.Module:
            model = checkpoint.build_embedding(shares, budget)
            if add_readout is None:
                return model
            sampling = sampling_for(model, checkpoint.preprocess.sampling)
            return add_readout(model, replace(checkpoint.preprocess, sampling=sampling))

        models = budget_models(build, budgets)
    tested = budget_encoders(checkpoint, models)
    chosen = choose_changes(changes)
    stores = TrainingStores([ClipStore.open(path) for path in trained_on], tested)
    trained = {}
    for given in opened:
        asked = [given.clips.clips[int(query)] for query in gallery_and_queries(given)[1]]
        fitted = None if readout.store is None else of_fitted_clips(readout.store, asked)
        trained[given.clips.name] = fitted or stores.overlap(tested[0], given.clips, asked)
    for name, overlap in trained.items():
        if overlap.is_doubtful:
            warn(f"warning: {name}: {overlap.says}. What fewer tokens cost on clips that were learned says little.")
    with status("timing exported graphs"):
        speed_ups = time_budgets(checkpoint, models, budgets, opened[0].clips.clips[0])
    state = SuiteState(None, describe_settings(config, chosen), resume=False)
    with exit_on_ctrl_c(None), progress() as bars:
        total = sum(count_clips(given, tested, chosen, seed=config.seed, with_moments=False) for given in opened)
        bar = bars.add("embed", "clips", total=total, line_every_s=LINE_EVERY_S)

        def show(clips: int, text: str) -> None:
            bar.describe(text)
            bar.advance(clips)

        figures = measure_sets(opened, tested, chosen, config, state=state, show=show, with_moments=False)
    whole, rows = table_of(figures, budgets, speed_ups)
    report = {
        "protocol": "tokens",
        "weights_sha256": weights_digest(checkpoint),
        "embedding": embedding_of(readout, shares),
        "sets": {given.clips.name: given.says for given in opened},
        "trained_on": {name: overlap.to_json() for name, overlap in trained.items()},
        "settings": describe_settings(config, chosen),
        "whole": whole,
        "rows": [asdict(row) for row in rows],
    }
    if out is not None:
        write_whole(out, json.dumps(report, indent=1) + "\n")
    print_json(report) if as_json else print_token_table(report)


def read_token_table(path: Path) -> dict[str, Any]:
    """What a bundle says of the report that `--out` wrote, and which run and embedding it is of.

    Raises `BadParameter`.
    """
    try:
        report = json.loads(read_ordinary(path, at_most=_LARGEST_TABLE))
        rows = [
            {name: row[name] for name in ("tokens", "choice", "speed_up", "percent", "points")}
            for row in report["rows"]
        ]
        known = {"sets": sorted(report["sets"]), "whole": dict(report["whole"]), "rows": rows}
        learned = report.get("trained_on", {})
        if doubts := {name: str(each["says"]) for name, each in learned.items() if each["is_doubtful"]}:
            known["doubts"] = doubts
        # Tables of before December 2026 are all of what a run gives by itself.
        embedding = report.get("embedding", embedding_of(ReadoutChoice(PUBLISHED, None), SERVED_SHARES))
        return {"weights_sha256": str(report["weights_sha256"]), "embedding": embedding, **known}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedFileError) as error:
        raise click.BadParameter(
            f"{path} is not a table that gfp-evaluate tokens --out wrote ({error}).", param_hint="--token-table"
        ) from error
