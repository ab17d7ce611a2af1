"""Read-outs that users ask for: their options, checked before anything is fitted, and the fitting in front of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress
from torch import nn

from gfp_serve.cli.options import options_from, with_options_of
from gfp_serve.encoder import Device
from gfp_serve.preprocess import PreprocessConfig
from trainer.checkpoint import data_summary
from trainer.data.store import ClipStore
from trainer.devices import pick_device
from trainer.evaluate.candidates import Fit, check_cleaned_alike
from trainer.evaluate.folds import Fold, check_not_fitted_on
from trainer.readout import PUBLISHED, ReadoutConfig, fit_readout, grid_of


@dataclass(frozen=True, slots=True)
class AskedReadout:
    """The read-out that a command was asked for, and the clips to fit it on; none for a mean."""

    config: ReadoutConfig
    store: ClipStore | None

    def to_json(self) -> dict[str, Any]:
        """Kind, settings and clips, for a bundle's manifest or a report."""
        about = self.config.to_json()
        return about if self.store is None else about | {"data": data_summary(self.store)}

    def putting(
        self, device: Device, progress: Progress, *, tested: tuple[ClipStore, list[Fold]] | None = None
    ) -> Fit | None:
        """A function that puts the read-out on a model, and shows how far it is; None for the mean as published.

        The function raises `InvalidRequestError` when the store was cleaned otherwise than the model needs, has too
        few clips or labels, or holds `tested` clips among those that it fits on.
        """
        config, store = self.config, self.store
        if config.is_published:
            return None

        def put(model: nn.Module, preprocess: PreprocessConfig) -> nn.Module:
            if store is None:
                return grid_of(model, config)
            check_cleaned_alike(store, preprocess.cleaning)
            if tested is not None:
                check_not_fitted_on(*tested, store)
            task = progress.add_task(f"fit read-out to {type(model).__name__}", total=None)
            return fit_readout(
                model,
                store,
                preprocess.sampling,
                config,
                pick_device(device),
                show=lambda done, total: progress.update(task, completed=done, total=total),
            )

        return put


def readout_options(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--fit STORE` with that help and the settings of read-outs; it is called with `readout=`.

    Without `--fit` the start is the mean as published, with it what `ReadoutConfig` begins with.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @with_options_of(command)
        def call(fit_store: Path | None, readout_config: ReadoutConfig, **given: Any) -> Any:
            fitted = readout_config.readout != "mean"
            if fitted and fit_store is None:
                raise click.UsageError(
                    f"--readout {readout_config.readout} is fitted on clips: name a store with --fit STORE."
                )
            if not fitted and fit_store is not None:
                raise click.UsageError("--readout mean is fitted on nothing: leave --fit out, or choose another kind.")
            if not fitted and (readout_config.readout_size, readout_config.shrinkage) != (
                PUBLISHED.readout_size,
                PUBLISHED.shrinkage,
            ):
                raise click.UsageError("--readout-size and --shrinkage have no effect on a mean: leave them out.")
            store = None if fit_store is None else ClipStore.open(fit_store)
            return command(readout=AskedReadout(readout_config, store), **given)

        with_settings = options_from(ReadoutConfig, into="readout_config", start=_start)(call)
        return click.option("--fit", "fit_store", metavar="STORE", type=click.Path(path_type=Path), help=help_text)(
            with_settings
        )

    return decorate


def _start(given: Any) -> ReadoutConfig:
    return PUBLISHED if given["fit_store"] is None else ReadoutConfig()
