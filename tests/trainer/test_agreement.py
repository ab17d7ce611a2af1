"""What is enough of an embedding in fewer bits, and the cosine that says it."""

import numpy as np
import pytest

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import InvalidRequestError
from tests.support.small_runs import write_store
from trainer.agreement import Agreement, HeldOut, centred_cosine
from trainer.data.store import ClipStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.mark.parametrize(
    ("cosine", "accuracy", "is_enough"),
    [(0.99, 79.5, True), (0.9899, 80.0, False), (1.0, 79.4, False), (0.999, 85.0, True), (np.nan, 80.0, False)],
)
def test_what_is_enough(cosine: float, accuracy: float, is_enough: bool) -> None:
    assert Agreement(cosine, accuracy, 80.0).is_enough == is_enough


def test_the_centred_cosine_sees_what_the_mean_of_all_clips_hides() -> None:
    draws = np.random.default_rng(0)
    before = (np.array([10.0, 0, 0]) + draws.normal(0, 0.1, (200, 3))).astype(np.float32)
    after = (np.array([10.0, 0, 0]) + draws.normal(0, 0.1, (200, 3))).astype(np.float32)
    plain = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert plain.min() > 0.99
    assert abs(centred_cosine(before, after)) < 0.2
    assert centred_cosine(before, before) == pytest.approx(1)


def test_too_few_clips_cannot_tell_what_is_lost(
    small_attention_bundle: Bundle, store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.agreement.LEAST_CLIPS", 1000)
    encoder = Encoder(small_attention_bundle, device="cpu", num_threads=1)
    with pytest.raises(InvalidRequestError, match=r"has \d+ labelled test clips, and 1000 or more must be asked"):
        HeldOut(small_attention_bundle, encoder, store, lambda _: pytest.fail("embedded"))


def test_clips_with_one_vector_cannot_tell_what_is_lost(small_attention_bundle: Bundle, store: ClipStore) -> None:
    class Same(Encoder):
        def encode(self, clips: np.ndarray) -> np.ndarray:
            return np.full((len(clips), self.embedding_size), 0.1, dtype=np.float32)

    encoder = Same(small_attention_bundle, device="cpu", num_threads=1)
    with pytest.raises(InvalidRequestError, match="have nearly the same vector"):
        HeldOut(small_attention_bundle, encoder, store, lambda _: None)
