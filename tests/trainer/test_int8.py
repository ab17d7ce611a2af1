"""Bundles in 8 bits: what is lost is measured, and too much is refused. Speed is made up: machines are noisy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError, InvalidRequestError
from gfp_serve.runtime import quantize_dynamic
from tests.support.small_runs import write_store
from trainer.data.store import ClipStore
from trainer.int8 import in_int8, quantized


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.fixture(scope="module")
def whole(small_attention_bundle: Bundle) -> Bundle:
    return small_attention_bundle


def taking(**seconds: float) -> Callable[..., Any]:
    """Return a stand-in for `time_in_turns` on a machine that takes these times."""
    return lambda _encoders, _clip: seconds


@pytest.fixture
def twice_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.int8.time_in_turns", taking(whole=0.02, smaller=0.01))


@pytest.mark.usefixtures("twice_as_fast")
def test_a_bundle_in_8_bits_is_another_encoder_and_says_what_it_lost(whole: Bundle, store: ClipStore) -> None:
    embedded = []
    smaller, found = in_int8(whole, store, show=embedded.append)
    assert sum(embedded) == 3 * len(store)
    assert 0.99 <= found.agreement.centred_cosine < 1
    assert found.gain == 2
    assert smaller.manifest.readout == {"kind": "mean", "int8": found.to_json()}
    assert smaller.manifest.encoder_digest != whole.manifest.encoder_digest
    assert len(smaller.model) < 0.6 * len(whole.model)
    encoder = Encoder(smaller, device="cpu")
    assert smaller.check(encoder.encode) < 1e-6
    assert whole.check(Encoder(whole, device="cpu").encode) < 1e-6
    assert np.abs(smaller.canonical[0].embedding - whole.canonical[0].embedding).max() > 1e-6


@pytest.mark.usefixtures("twice_as_fast")
def test_a_vector_does_not_depend_on_the_clips_beside_it(whole: Bundle, store: ClipStore) -> None:
    encoder = Encoder(in_int8(whole, store)[0], device="cpu")
    clips = np.random.default_rng(0).normal(size=(3, 1, 32, 25, 3)).astype(np.float32)
    clips[2] *= 100  # would spoil the rounding of the others
    for encode in (encoder.encode, encoder.open_on(1), encoder.encode_first):
        np.testing.assert_array_equal(encode(clips), np.concatenate([encode(clip[None]) for clip in clips]))


def test_signed_weights_leave_a_bit_free_so_that_no_processor_overflows(whole: Bundle) -> None:
    graph = onnx.load_from_string(quantized(whole, "signed").model).graph
    matrices = [
        onnx.numpy_helper.to_array(each) for each in graph.initializer if each.data_type == onnx.TensorProto.INT8
    ]
    matrices = [each for each in matrices if each.ndim == 2]
    assert len(matrices) == 4  # all linear layers of the block, but not the first of all
    assert max(np.abs(each.astype(int)).max() for each in matrices) == 64


@pytest.mark.usefixtures("twice_as_fast")
def test_an_embedding_that_8_bits_destroy_is_refused_with_what_was_measured(
    whole: Bundle, store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def destroy(model: Path, out: Path, **words: Any) -> None:
        """Overflow, as signed weights of eight bits do on processors without VNNI."""
        quantize_dynamic(model, out, **words)
        broken = onnx.load(out)
        for stored in broken.graph.initializer:
            if stored.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) and len(stored.dims) == 2:
                weights = onnx.numpy_helper.to_array(stored)
                stored.CopyFrom(onnx.numpy_helper.from_array(np.roll(weights, 7, axis=0), stored.name))
        onnx.save(broken, out)

    monkeypatch.setattr("trainer.int8.quantize_dynamic", destroy)
    with pytest.raises(BundleError, match=r"8 bits lose too much .*signed weights: centred cosine .*without --int8"):
        in_int8(whole, store)


@pytest.mark.parametrize(("smaller", "gain"), [(0.011, "0.91"), (0.0095, "1.05")])
def test_eight_bits_that_are_hardly_faster_are_refused(
    whole: Bundle, store: ClipStore, monkeypatch: pytest.MonkeyPatch, smaller: float, gain: str
) -> None:
    monkeypatch.setattr("trainer.int8.time_in_turns", taking(whole=0.01, smaller=smaller))
    said = rf"less than 1\.1 times as fast on this machine: signed weights: .* {gain} times as fast"
    with pytest.raises(BundleError, match=said):
        in_int8(whole, store)


def test_a_store_without_labels_cannot_say_what_is_lost(whole: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="has a label"):
        in_int8(whole, write_store(tmp_path / "store", labelled=False))
