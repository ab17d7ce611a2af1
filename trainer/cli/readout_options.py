"""Read-outs that users choose: their options, checked before anything is fitted, and the fitting of a read-out.

Also the shares of a learned embedding's parts.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from torch import nn

from gfp_serve.cli.options import options_from, with_options_of
from gfp_serve.cli.progress import Bars, warn
from gfp_serve.devices import Device
from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import Checkpoint, data_summary
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.candidates import AddReadout, check_cleaned_alike
from trainer.evaluate.folds import Fold, check_not_fitted_on
from trainer.learned_head import SERVED_SHARES, Shares
from trainer.readout import ENOUGH_TO_FIT, PUBLISHED, ReadoutConfig, fit_readout, grid_of


@dataclass(frozen=True, slots=True)
class ReadoutChoice:
    """The read-out that a user chose, and the clips to fit it on; `store` is None for a mean."""

    config: ReadoutConfig
    store: ClipStore | None

    def to_json(self) -> dict[str, Any]:
        """Kind, settings and clips, for a bundle's manifest or a report."""
        values = self.config.to_json()
        return values if self.store is None else values | {"data": data_summary(self.store)}

    def adder(
        self, device: Device, bars: Bars, *, tested: tuple[ClipStore, list[Fold]] | None = None
    ) -> AddReadout | None:
        """A function that puts the read-out on a model, with a bar for the fitting; None for the published mean.

        The function raises `InvalidRequestError` when the store's clips were not cleaned as the model needs them, when
        it has too few clips or labels, and when `tested` clips are among those that it fits on.
        """
        config, store = self.config, self.store
        if config.is_published:
            return None
        if store is not None and (num_clips := int((store.splits != TEST_SPLIT).sum())) < ENOUGH_TO_FIT:
            warn(
                f"warning: {store.path} has {num_clips} clips to fit on; a read-out of fewer than {ENOUGH_TO_FIT:,} "
                f"may find less than the plain mean does. gfp-evaluate retrieval --fit shows both."
            )

        def add_readout(model: nn.Module, preprocess: PreprocessConfig) -> nn.Module:
            if store is None:
                return grid_of(model, config)
            check_cleaned_alike(store, preprocess.cleaning)
            if tested is not None:
                check_not_fitted_on(*tested, store)
            bar = bars.add(f"fit read-out to {type(model).__name__}", "clips")
            return fit_readout(model, store, preprocess.sampling, config, pick_device(device), show=bar.reach)

        return add_readout


def readout_options(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--fit STORE`, with this help, and the settings of read-outs. It is called with `readout=...`.

    Without `--fit` the defaults are the published mean, with `--fit` those of `ReadoutConfig`.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @with_options_of(command)
        def call(fit_store: Path | None, readout_config: ReadoutConfig, **given: Any) -> Any:
            is_fitted = readout_config.readout != "mean"
            if is_fitted and fit_store is None:
                raise click.UsageError(
                    f"--readout {readout_config.readout} is fitted on clips: name a store with --fit STORE."
                )
            if not is_fitted and fit_store is not None:
                raise click.UsageError("--readout mean needs no fitting: leave --fit out, or choose another kind.")
            if not is_fitted and (readout_config.readout_size, readout_config.shrinkage) != (
                PUBLISHED.readout_size,
                PUBLISHED.shrinkage,
            ):
                raise click.UsageError("--readout-size and --shrinkage have no effect on a mean: leave them out.")
            store = None if fit_store is None else ClipStore.open(fit_store)
            return command(readout=ReadoutChoice(readout_config, store), **given)

        with_settings = options_from(ReadoutConfig, into="readout_config", start=_defaults)(call)
        return click.option("--fit", "fit_store", metavar="STORE", type=click.Path(path_type=Path), help=help_text)(
            with_settings
        )

    return decorate


def _defaults(given: Any) -> ReadoutConfig:
    return PUBLISHED if given["fit_store"] is None else ReadoutConfig()


def shares_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--shares`. It is called with `shares=Shares(...)`."""
    return click.option(
        "--shares",
        nargs=3,
        type=click.FloatRange(0, 1),
        default=SERVED_SHARES,
        callback=_as_shares,
        metavar="TOKENS GENERAL STATISTICS",
        show_default=True,
        help="Of a run that learned an embedding, the weights in the similarity of what tokens learned, of what "
        "general features learned, and of pose statistics. 0 leaves a part out.",
    )(command)


def _as_shares(_context: click.Context, _option: click.Parameter, value: tuple[float, float, float]) -> Shares:
    if any(map(math.isnan, value)):
        raise click.UsageError("--shares has NaN; give three numbers from 0 to 1.")
    return Shares(*value)


def check_shares(checkpoint: Checkpoint) -> None:
    """Raise `UsageError` for shares of a run that learned nothing beside its encoder."""
    if not checkpoint.config.terms.learns_embedding:
        raise click.UsageError(
            "--shares is of runs that learned an embedding from labels or views; this one has its encoder alone. Leave "
            "it out, or give the run --label-weight or --view-weight."
        )


def embedding_of(readout: ReadoutChoice, shares: Shares) -> dict[str, Any]:
    """Which embedding of a run these choose, as JSON reads it back."""
    return json.loads(json.dumps({"read_out": readout.to_json(), "shares": shares}))
