"""Clips, changed or not, become vectors as the server makes them, on every core."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from gfp_serve.errors import InvalidSkeletonError
from gfp_serve.formats import Clip
from gfp_serve.lost_joints import lost_as_nan
from gfp_serve.preprocess import PreprocessConfig, clean, sample
from trainer.evaluate.embeddings import BATCH_CLIPS
from trainer.evaluate.suite.changes import CLEAN, Change, Draws
from trainer.evaluate.suite.encoders import SuiteEncoder
from trainer.evaluate.suite.measures import Vectors

# Gets the number of clips that were just embedded, and what for.
Show = Callable[[int, str], None]
_Input = Float32[np.ndarray, "_bodies num_frames joints 3"]


@contextmanager
def embedding_threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch would use, each of which embeds a batch by itself.

    On a machine that does other work too, threads that share a batch wait for each other most of the time.
    """
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)


@dataclass(frozen=True, slots=True, eq=False)
class Embedder:
    """Embeds the clips of a suite."""

    threads: ThreadPoolExecutor
    show: Show = lambda *_: None

    def embed(
        self,
        clips: Iterable[tuple[Clip | None, Draws]],
        encoders: Sequence[SuiteEncoder],
        *,
        change: Change = CLEAN,
        text: str = "",
    ) -> dict[str, Vectors]:
        """Unit vectors of clips by the name of the encoder; all zeros for a clip that no server would take, and None.

        Of `change` only what comes after cleaning is done here. `text` says what the clips are for.
        """
        wanted = {encoder.preprocess.digest: encoder.preprocess for encoder in encoders}
        prepared: dict[str, list[_Input | None]] = {digest: [] for digest in wanted}
        for clip, draws in clips:
            # The same draws for each preprocessing.
            seed = int(draws.numbers.integers(2**32))
            for digest, preprocess in wanted.items():
                again = Draws(np.random.default_rng(seed))
                prepared[digest].append(None if clip is None else prepare(clip, preprocess, change, again))
        return {encoder.name: self._vectors(encoder, prepared[encoder.preprocess.digest], text) for encoder in encoders}

    def _vectors(self, encoder: SuiteEncoder, inputs: Sequence[_Input | None], text: str) -> Vectors:
        vectors: dict[int, Float32[np.ndarray, " size"]] = {}
        batches = list(_batches(inputs))
        self.show(sum(each is None for each in inputs), text)
        for places, found in zip(
            batches, self.threads.map(lambda batch: encoder.embed(_stacked(inputs, batch)), batches), strict=True
        ):
            vectors.update(zip(places, found, strict=True))
            self.show(len(places), text)
        size = len(next(iter(vectors.values()))) if vectors else 1
        nothing = np.zeros(size, dtype=np.float32)
        return np.stack([vectors.get(place, nothing) for place in range(len(inputs))])


def prepare(clip: Clip, preprocess: PreprocessConfig, change: Change, draws: Draws) -> _Input | None:
    """A clip as the server prepares it; None if it refuses it."""
    try:
        cleaned = clean(lost_as_nan(clip.sequence, clip.layout), clip.layout, preprocess.cleaning)
    except InvalidSkeletonError:
        return None
    if change.after_cleaning is not None:
        cleaned = change.after_cleaning(cleaned, draws)
    return sample(cleaned, preprocess.sampling)


def _batches(inputs: Sequence[_Input | None]) -> Iterator[list[int]]:
    """Places of inputs that can be embedded together, because they have as many bodies."""
    by_bodies: dict[int, list[int]] = {}
    for place, each in enumerate(inputs):
        if each is not None:
            by_bodies.setdefault(len(each), []).append(place)
    for places in by_bodies.values():
        for start in range(0, len(places), BATCH_CLIPS):
            yield places[start : start + BATCH_CLIPS]


def _stacked(
    inputs: Sequence[_Input | None], places: Sequence[int]
) -> Float32[np.ndarray, "batch bodies num_frames joints 3"]:
    return np.stack([each for place in places if (each := inputs[place]) is not None])
