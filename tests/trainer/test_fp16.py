"""Bundles whose blocks compute in 16 bits: what is lost is measured, and too much is refused."""

import dataclasses

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from tests.support.small_runs import write_store
from tests.support.tiny_bundle import tiny_bundle
from trainer.data.store import ClipStore
from trainer.embedding import ClipEmbedding
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.fp16 import in_16_bits, in_fp16
from trainer.onnx_graph import FORMS, Form, in_form, to_onnx
from trainer.readout import GridMeans
from trainer.token_choice import Budget, FewTokens


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("clips") / "store", num_clips=24)


@pytest.fixture(scope="module")
def wholes(small_attention_bundle: Bundle) -> dict[Form, Bundle]:
    """Return a small encoder in each form of its graph, in 32 bits."""
    fused = onnx.load_from_string(small_attention_bundle.model)
    return {
        form: dataclasses.replace(small_attention_bundle, model=in_form(fused, form).SerializeToString())
        for form in FORMS
    }


def kinds_of(bundle: Bundle) -> dict[str, int]:
    """Return the type of each stored array."""
    return {each.name: each.data_type for each in onnx.load_from_string(bundle.model).graph.initializer}


def test_a_bundle_in_16_bits_is_another_encoder_and_says_what_it_lost(
    wholes: dict[Form, Bundle], store: ClipStore
) -> None:
    whole, embedded = wholes["fused"], []
    halved, agreement = in_fp16(whole, store, show=embedded.append)
    assert sum(embedded) == 2 * len(store)
    assert agreement.centred_cosine > 0.999
    assert halved.manifest.graph == "fp16"
    assert halved.manifest.readout == {"kind": "mean", "fp16": agreement.to_json()}
    assert halved.manifest.encoder_digest != whole.manifest.encoder_digest
    assert len(halved.model) < 0.7 * len(whole.model)
    encoder = Encoder(halved, device="cpu", num_threads=1)
    assert halved.check(encoder.encode) < 1e-6
    assert 1e-7 < np.abs(halved.canonical[0].embedding - whole.canonical[0].embedding).max() < 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_in_16_bits_and_input_sums_and_output_in_32(wholes: dict[Form, Bundle], form: Form) -> None:
    halved = in_16_bits(wholes[form])
    model = onnx.load_from_string(halved.model)
    if form != "fused":  # the checker does not know onnxruntime's own operators
        onnx.checker.check_model(model, full_check=True)
    ports = [*model.graph.input, *model.graph.output]
    assert {port.type.tensor_type.elem_type for port in ports} == {onnx.TensorProto.FLOAT}
    kinds = kinds_of(halved)
    for name in ("attention.qkv", "attention.proj", "mlp.0", "mlp.2"):
        assert kinds[f"model.blocks.0.{name}.weight"] == onnx.TensorProto.FLOAT16
    for name in ("embed.weight", "blocks.0.norm1.weight", "norm.weight"):
        assert kinds[f"model.{name}"] == onnx.TensorProto.FLOAT
    halves = {
        name
        for node in model.graph.node
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16
        for name in node.output
    }
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax", "ReduceMean", "ReduceL2", "Add", "Div"):
            assert not halves & {*node.input, *node.output}
        if node.op_type == "Attention":
            told = {each.name: each.i for each in node.attribute}
            assert told["softmax_precision"] == onnx.TensorProto.FLOAT
    clip = np.random.default_rng(0).normal(size=(3, 2, 32, 25, 3)).astype(np.float32)
    whole, half = (Encoder(each, device="cpu", num_threads=1).encode(clip) for each in (wholes[form], halved))
    assert 1e-7 < np.abs(whole - half).max() < 2e-3


def test_the_means_of_chosen_tokens_are_in_32_bits() -> None:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, segment_frames=8), num_frames=32)
    graph = ClipEmbedding(GridMeans(FewTokens(encoder, Budget(30)), time_parts=2)).eval()
    model = to_onnx(graph, 32)
    halved = onnx.load_from_string(
        in_16_bits(dataclasses.replace(tiny_bundle(), model=model.SerializeToString())).model
    )
    last = [place for place, node in enumerate(halved.graph.node) if node.op_type == "LayerNormalization"][-1]
    later, kinds = set(halved.graph.node[last].output), set()
    for node in halved.graph.node[last + 1 :]:
        if later & {*node.input}:
            later.update(node.output)
            kinds.add(node.op_type)
    assert "MatMul" in kinds
    assert "Cast" not in kinds


def test_coordinates_keep_their_digits(wholes: dict[Form, Bundle]) -> None:
    encoder = Encoder(in_16_bits(wholes["fused"]), device="cpu", num_threads=1)
    clip = np.random.default_rng(0).normal(size=(1, 1, 32, 25, 3)).astype(np.float32)
    # Half a millimetre at ten metres, in steps that 16 bits have: they cannot say the half a millimetre.
    moved = (np.round(64 * clip) / 64 + np.float32(10)).astype(np.float32)
    a_little = moved + np.float32(5e-4) * (np.arange(3) == 0)
    np.testing.assert_array_equal(a_little.astype(np.float16), moved.astype(np.float16))
    assert np.abs(encoder.encode(a_little) - encoder.encode(moved)).max() > 0


def test_an_embedding_that_16_bits_destroy_is_refused_with_what_was_measured(
    wholes: dict[Form, Bundle], store: ClipStore
) -> None:
    """One weight of a norm makes numbers that 16 bits cannot hold."""
    model = onnx.load_from_string(wholes["fused"].model)
    for stored in model.graph.initializer:
        if stored.name == "model.blocks.0.norm1.weight":
            stored.CopyFrom(onnx.numpy_helper.from_array(1e6 * onnx.numpy_helper.to_array(stored), stored.name))
    large = dataclasses.replace(wholes["fused"], model=model.SerializeToString())
    with pytest.raises(BundleError, match=r"16 bits lose too much .*centred cosine nan.*without --fp16"):
        in_fp16(large, store)


def test_an_encoder_without_blocks_is_refused(store: ClipStore) -> None:
    with pytest.raises(BundleError, match="no blocks of attention and linear layers"):
        in_fp16(tiny_bundle(), store)
