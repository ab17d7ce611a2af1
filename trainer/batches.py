"""The clips of a step as one tensor, a pure function of the step."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gfp_serve.formats import TEST_SPLIT
from gfp_serve.preprocess import MAX_BODIES, PreprocessConfig
from trainer.augment import augment
from trainer.schedule import augmentation_draws, clips_of_step
from trainer.store import ClipStore


class TrainingClips:
    """The clips of a store that may be trained on: all that are not of its test split."""

    def __init__(self, store: ClipStore, preprocess: PreprocessConfig, *, batch_clips: int, seed: int) -> None:
        self.store, self.preprocess = store, preprocess
        self.index = np.flatnonzero(store.splits != TEST_SPLIT)
        if len(self.index) < batch_clips:
            raise ValueError(
                f"--batch-clips is {batch_clips}, but the store has only {len(self.index)} clips that are not of its "
                f"test split; choose at most {len(self.index)} or import more clips."
            )
        self.batch_clips, self.seed = batch_clips, seed

    def of_step(self, step: int) -> Int[np.ndarray, " batch"]:
        """Store indices of the clips of a step."""
        place = clips_of_step(step, num_clips=len(self.index), batch_clips=self.batch_clips, seed=self.seed)
        return self.index[place]

    def names_of_step(self, step: int) -> list[str]:
        return [str(self.store.names[clip]) for clip in self.of_step(step)]

    def batch(self, step: int) -> Float[Tensor, "rows frames joints 3"]:
        """The augmented clips of a step, one row a body; absent bodies have no row unless they are kept."""
        draws = augmentation_draws(step, seed=self.seed)
        config = self.preprocess
        rows = []
        for clip in self.of_step(step):
            bodies = augment(self.store.clip(int(clip)), num_frames=config.num_frames, draws=draws)
            rows.append(bodies)
            if config.keep_absent_bodies and len(bodies) < MAX_BODIES:
                rows.append(np.zeros_like(bodies[:1]))
        return torch.from_numpy(np.concatenate(rows))
