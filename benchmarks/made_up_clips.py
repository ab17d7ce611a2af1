"""Made-up clips with the sizes of NTU RGB+D, for measuring time, not for learning."""

from pathlib import Path

import numpy as np

from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from trainer.data.store import ClipStore
from trainer.data.store_writer import StoreWriter

# NTU RGB+D 60 has about 80 frames a clip, 30 to 300.
MEAN_FRAMES, MIN_FRAMES, MAX_FRAMES = 80, 30, 300


def write_store(path: Path, *, num_clips: int, one_body_share: float, num_classes: int = 0, seed: int = 0) -> ClipStore:
    """Write a store of random walks. A share of `one_body_share` of the clips has one body; the others have two.

    With classes, the joints of a class swing alike besides, clips have labels, and every fifth is of the test split.
    """
    draws = np.random.default_rng(seed)
    swings = draws.normal(0, 0.2, (max(1, num_classes), 25, 3)) if num_classes else np.zeros((1, 25, 3))
    cleaning = CleanConfig()
    with StoreWriter(path, cleaning) as writer:
        writer.add_source("made-up", sha256="0" * 64)
        for number in range(num_clips):
            frames = int(np.clip(draws.gamma(4.0, MEAN_FRAMES / 4.0), MIN_FRAMES, MAX_FRAMES))
            bodies = 1 if number < round(one_body_share * num_clips) else 2
            rest = draws.normal(0, 0.3, (25, 3)) + [0, 0, 3]
            rest[0], rest[1], rest[20] = (0, 0, 3), (0, 0.25, 3), (0, 0.5, 3)
            steps = draws.normal(0, 0.01, (frames, bodies, 25, 3)).cumsum(axis=0)
            kind = number % len(swings)
            phase = np.linspace(0, 3 * np.pi, frames)[:, None, None, None]
            writer.add(
                clean((rest + steps + np.sin(phase) * swings[kind]).astype(np.float32), NTU25, cleaning),
                source="made-up",
                name=str(number),
                label=f"class {kind}" if num_classes else None,
                subject="nobody",
                camera=0,
                split=int(num_classes > 0 and number % 5 == 4),
                fps=30.0,
            )
    return ClipStore.open(path)
