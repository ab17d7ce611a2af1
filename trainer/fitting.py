"""Read-outs fitted to models in front of the user: checked first, and shown how far they are."""

from collections.abc import Callable

from rich.progress import Progress
from torch import nn

from gfp_serve.encoder import Device
from gfp_serve.preprocess import PreprocessConfig
from trainer.devices import pick_device
from trainer.evaluate.candidates import check_cleaned_alike
from trainer.evaluate.folds import Fold, check_not_fitted_on
from trainer.readout import ReadoutConfig, Whitened, fit_readout
from trainer.store import ClipStore


def fitting(
    store: ClipStore, device: Device, progress: Progress, *, tested: tuple[ClipStore, list[Fold]] | None = None
) -> Callable[[nn.Module, PreprocessConfig], Whitened]:
    """A function that fits a read-out to a model on the store's clips, and shows how far it is.

    It raises `InvalidRequestError` when the store was cleaned otherwise than the model needs, or holds `tested` clips
    among those that it fits on.
    """

    def fit(model: nn.Module, preprocess: PreprocessConfig) -> Whitened:
        check_cleaned_alike(store, preprocess)
        if tested is not None:
            check_not_fitted_on(*tested, store)
        task = progress.add_task(f"fit read-out to {type(model).__name__}", total=None)
        return fit_readout(
            model,
            store,
            preprocess,
            ReadoutConfig(),
            pick_device(device),
            show=lambda done, total: progress.update(task, completed=done, total=total),
        )

    return fit
