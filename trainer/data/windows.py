"""Windows of a store's clips as tensors: cut, resampled and turned where the store's rows lie.

The rows lie on the GPU where they fit, and are mapped from the file elsewhere. The resampling is that of
`preprocess.resample`, for many windows at once.
"""

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT, SampleConfig, centre_window
from trainer.data.augmentation import Views
from trainer.data.store import POSITIONS_FILE, ClipStore

_ROW_NUMBERS = 3 * MODEL_LAYOUT.num_joints

# Memory of a GPU that stays free for the model, when the store is put beside it.
SPARE_DEVICE_BYTES = 8 << 30


class ClipWindows:
    """Cuts windows out of a store. A row is a body of a clip; absent bodies have no row unless they are kept."""

    def __init__(self, store: ClipStore, sampling: SampleConfig, device: torch.device) -> None:
        self.store, self.sampling = store, sampling
        count = int(store.offsets[-1])
        # A private map of the file: reads what is used, and torch may hold it.
        mapped = torch.from_file(
            str(store.path / POSITIONS_FILE), shared=False, size=count * _ROW_NUMBERS, dtype=torch.float32
        ).view(count, _ROW_NUMBERS)
        fits = device.type == "cuda" and mapped.nbytes + SPARE_DEVICE_BYTES <= torch.cuda.mem_get_info(device)[0]
        self._rows = mapped.to(device) if fits else mapped

    @property
    def place(self) -> torch.device:
        """Where the store's rows lie, and windows are cut."""
        return self._rows.device

    def clip_of_rows(self, clips: Int[np.ndarray, " clips"]) -> Int64[np.ndarray, " rows"]:
        """Which of the given clips each row belongs to; the rows of a clip follow each other."""
        seen = self.store.num_bodies[clips]
        return np.repeat(np.arange(len(clips)), np.full_like(seen, MAX_BODIES) if self._keeps_absent else seen)

    def centre_views(self, clips: Int[np.ndarray, " clips"]) -> Views:
        """The centre crop of each clip, unturned: what `preprocess.sample` gives, and is served."""
        crops = [centre_window(int(frames), self.sampling.crop) for frames in self.store.num_frames[clips]]
        start, length = np.array(crops, dtype=np.int64).reshape(-1, 2).T
        return Views(start, length, None)

    def cut(
        self, clips: Int[np.ndarray, " clips"], views: Views, chosen: Int[np.ndarray, " chosen"] | None = None
    ) -> Float[Tensor, "rows frames joints 3"]:
        """The rows of these clips (or the chosen ones of them), each clip as its view says; zeros for absent bodies."""
        store = self.store
        clip = self.clip_of_rows(clips)
        body = np.arange(len(clip)) - np.searchsorted(clip, clip)  # its number within its clip
        if chosen is not None:
            clip, body = clip[chosen], body[chosen]
        present = body < store.num_bodies[clips][clip]
        first_row = store.offsets[clips][clip] + body * present * store.num_frames[clips][clip] + views.start[clip]
        bodies = cut_windows(
            self._rows, self._placed(first_row), self._placed(views.length[clip]), self.sampling.num_frames
        )
        if views.rotation is not None:
            turn = self._placed(views.rotation[clip])
            bodies = (bodies.flatten(1, 2) @ turn.transpose(1, 2)).view(bodies.shape)
        return bodies if present.all() else bodies * self._placed(present)[:, None, None, None]

    @property
    def _keeps_absent(self) -> bool:
        return self.sampling.keep_absent_bodies

    def _placed(self, column: np.ndarray) -> Tensor:
        return to_device(column, self.place)


def cut_windows(
    rows: Float[Tensor, "stored numbers"],
    first_row: Int[Tensor, " rows"],
    length: Int[Tensor, " rows"],
    num_frames: int,
) -> Float[Tensor, "rows num_frames joints 3"]:
    """Rows first_row:first_row + length of the store, each window resampled to `num_frames` (`preprocess.resample`)."""
    frames = torch.arange(num_frames, device=rows.device, dtype=torch.float64) + 0.5
    # The roundings to float32 are those of `resample`, which are torch's.
    scale = (length.float() / num_frames).double()
    position = (scale[:, None] * frames - 0.5).clamp_min(0).float()
    last = (length - 1)[:, None]
    before = torch.minimum(position.long(), last)
    after = torch.minimum(before + 1, last)
    weight = (position - before).clamp(0, 1)[..., None]
    start = first_row[:, None]
    window = torch.lerp(rows[start + before], rows[start + after], weight)
    return window.view(*window.shape[:2], -1, 3)


def to_device(column: np.ndarray, device: torch.device) -> Tensor:
    """A numpy array as a tensor on a device, without waiting for it."""
    tensor = torch.from_numpy(column)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
