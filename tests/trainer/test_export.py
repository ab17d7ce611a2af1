import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gfp_serve.bundle import Bundle, Encode
from gfp_serve.config import DEFAULT_BUNDLE, SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25, layout_named
from gfp_serve.preprocess import PreprocessConfig, SampleConfig, prepare
from tests.support.small_runs import TINY_ENCODER, moving_body
from trainer.embedding import ClipEmbedding, PoseStatistics
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.export import PARITY_TOLERANCE, Exported, Origin, choose_canonical, export_bundle
from trainer.onnx_graph import FORMS, OPSETS, Form, in_form, quickest
from trainer.timing import time_in_turns


def clip(seed: int, *, num_frames: int = 70, num_bodies: int = 1) -> Clip:
    sequence = moving_body(seed, num_frames=num_frames, num_bodies=num_bodies)
    return Clip(name=f"clip{seed}", sequence=sequence, layout=NTU25, fps=30.0)


def export(model: torch.nn.Module, clips: list[Clip], *, half: bool = False, form: Form | None = "fused") -> Exported:
    origin = Origin(name="test", objective="gfp", step=7, data={}, training=None)
    return export_bundle(model, clips, PreprocessConfig(), origin, {"kind": "mean"}, half=half, form=form)


@pytest.fixture(scope="module")
def encoder() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TINY_ENCODER, num_frames=120)


@pytest.fixture(scope="module")
def exported(encoder: Transformer) -> Exported:
    return export(encoder, [clip(1), clip(2, num_bodies=2), clip(3, num_frames=1)])


def test_onnxruntime_gives_torchs_vectors_for_raw_clips(exported: Exported) -> None:
    bundle, difference, _ = exported
    assert 0 <= difference <= PARITY_TOLERANCE
    assert bundle.check(Encoder(bundle, device="cpu").encode) <= PARITY_TOLERANCE


@pytest.mark.parametrize(("batch", "bodies"), [(1, 1), (5, 1), (2, 2), (1, 4)])
def test_the_axes_of_batch_and_bodies_may_have_any_size(
    encoder: Transformer, exported: Exported, batch: int, bodies: int
) -> None:
    clips = np.random.default_rng(0).normal(size=(batch, bodies, 120, 25, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = ClipEmbedding(encoder).eval()(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(Encoder(exported.bundle, device="cpu").encode(clips), expected, atol=PARITY_TOLERANCE)


def test_the_model_file_opens_in_plain_onnxruntime(exported: Exported, tmp_path: Path) -> None:
    exported.bundle.write(tmp_path / "bundle")
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "encoder.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("clips", ["batch", "bodies", 120, 25, 3])]
    (vectors,) = session.run(None, {"clips": np.ones((3, 1, 120, 25, 3), np.float32)})
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_opset_producer_and_model_digest_are_recorded(exported: Exported) -> None:
    bundle = exported.bundle
    model = onnx.load_from_string(bundle.model)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [bundle.manifest.opset]
    assert torch.__version__ in bundle.manifest.producer
    assert bundle.manifest.model_sha256 == hashlib.sha256(bundle.model).hexdigest()


def test_every_form_of_the_graph_gives_the_same_vectors_and_is_the_same_encoder(exported: Exported) -> None:
    fused = onnx.load_from_string(exported.bundle.model)
    assert {node.op_type for node in fused.graph.node if node.domain} == {"MultiHeadAttention"}
    clips = np.random.default_rng(0).normal(size=(3, 2, 120, 25, 3)).astype(np.float32)
    expected = Encoder(exported.bundle, device="cpu").encode(clips)
    digests = set()
    for form in FORMS:
        model = in_form(fused, form)
        onnx.checker.check_model(model, full_check=form != "fused")
        names = {node.op_type for node in model.graph.node}
        assert ("Softmax" in names, "Attention" in names) == (form == "standard", form == "attention")
        content = model.SerializeToString()
        other = {"graph": form, "opset": OPSETS[form], "model_sha256": hashlib.sha256(content).hexdigest()}
        if form == "standard":
            other["standard_sha256"] = ""
        manifest = replace(exported.bundle.manifest, **other)
        digests.add(manifest.encoder_digest)
        bundle = Bundle(manifest, content, exported.bundle.canonical)
        np.testing.assert_allclose(Encoder(bundle, device="cpu").encode(clips), expected, atol=1e-6)
    assert len(digests) == 1


def test_linear_layers_have_their_bias_in_one_operator(exported: Exported) -> None:
    graph = onnx.load_from_string(exported.bundle.model).graph
    linear = 1 + 4 * TINY_ENCODER.depth
    assert sum(node.op_type == "Gemm" for node in graph.node) == linear
    # Weights keep their names, so that they can be found again.
    assert "model.blocks.0.mlp.0.weight" in {stored.name for stored in graph.initializer}


def test_the_quickest_form_is_taken_and_the_standard_one_where_nothing_is_gained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def taking(seconds: float) -> Encode:
        def encode(clips: np.ndarray) -> np.ndarray:
            nonlocal now
            now += seconds
            return clips[:, 0, 0, 0]

        return encode

    monkeypatch.setattr("trainer.timing.time.perf_counter", lambda: now)
    clip = np.zeros((1, 2, 25, 3), dtype=np.float32)
    quick: dict[Form, float] = {"standard": 0.02, "attention": 0.01, "fused": 0.015}
    seconds = time_in_turns({form: taking(each) for form, each in quick.items()}, clip)
    assert seconds == pytest.approx(quick)
    assert quickest(seconds) == "attention"
    assert quickest({"standard": 0.0202, "attention": 0.02, "fused": 0.03}) == "standard"


@pytest.mark.parametrize("form", FORMS)
def test_a_bundle_has_the_form_that_was_measured_as_the_quickest(
    encoder: Transformer, monkeypatch: pytest.MonkeyPatch, form: Form
) -> None:
    measured = {each: 0.01 if each == form else 0.02 for each in FORMS}
    monkeypatch.setattr("trainer.export.time_in_turns", lambda encoders, _: {each: measured[each] for each in encoders})
    bundle, _, seconds = export(encoder, [clip(1)], form=None)
    assert seconds == measured
    assert bundle.manifest.graph == form
    graph = onnx.load_from_string(bundle.model).graph
    has = {(node.domain, node.op_type) for node in graph.node}
    assert (("com.microsoft", "MultiHeadAttention") in has, ("", "Attention") in has) == (
        form == "fused",
        form == "attention",
    )


def test_a_standard_graph_has_operators_of_its_opset_alone(encoder: Transformer) -> None:
    model = onnx.load_from_string(export(encoder, [clip(1)], form="standard").bundle.model)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSETS["standard"])]
    onnx.checker.check_model(model, full_check=True)


def test_a_model_without_attention_has_nothing_to_choose() -> None:
    exported = export(PoseStatistics(), [clip(1)], form=None)
    assert exported.seconds == {}
    assert exported.bundle.manifest.graph == "standard"
    assert exported.bundle.manifest.standard_sha256 == ""


def test_an_absent_body_is_a_constant_of_the_graph(encoder: Transformer) -> None:
    always_two = PreprocessConfig(sampling=SampleConfig(keep_absent_bodies=True))
    clips = [clip(1), clip(2, num_bodies=2)]
    origin = Origin(name="test", objective="mamp", step=7, data={}, training=None)
    bundle = export_bundle(encoder, clips, always_two, origin, {}, form="standard").bundle
    assert not bundle.manifest.preprocess.sampling.keep_absent_bodies
    onnxs, torchs = Encoder(bundle, device="cpu"), ClipEmbedding(encoder).eval()
    for each in clips:
        shown = prepare(each.sequence, each.layout, bundle.manifest.preprocess)
        assert len(shown) == each.sequence.shape[1]
        with torch.inference_mode():
            expected = torchs(torch.from_numpy(prepare(each.sequence, each.layout, always_two)[None])).numpy()
        np.testing.assert_allclose(onnxs.encode(shown[None]), expected, atol=PARITY_TOLERANCE)


def test_a_bundle_holds_no_path_of_the_machine_that_made_it(exported: Exported) -> None:
    content = exported.bundle.model
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b".py" not in content


def test_a_model_that_gives_nan_is_not_exported(encoder: Transformer) -> None:
    broken = Transformer(TINY_ENCODER, num_frames=120)
    with torch.no_grad():
        broken.norm.weight.fill_(torch.nan)
    with pytest.raises(BundleError, match="no bundle is written"):
        export(broken, [clip(1)])


def test_canonical_clips_include_the_shortest_and_one_of_two_bodies() -> None:
    clips = [clip(seed, num_frames=40 + seed) for seed in range(20)]
    clips[13] = clip(13, num_frames=300, num_bodies=2)
    names = [each.name for each in choose_canonical(clips)]
    assert "clip0" in names
    assert "clip13" in names
    assert len(names) <= 5


def test_a_bundle_without_a_canonical_clip_is_refused() -> None:
    with pytest.raises(BundleError, match="at least one raw clip"):
        choose_canonical([])


def test_the_shipped_bundle_equals_a_new_export_of_pose_statistics() -> None:
    bundle = Bundle.read(SHIPPED_BUNDLES / "pose-statistics")
    assert bundle.manifest.name == "pose-statistics"
    graph = ClipEmbedding(PoseStatistics())
    for canonical in bundle.canonical:
        bodies = prepare(canonical.sequence, layout_named(canonical.layout), bundle.manifest.preprocess)
        np.testing.assert_allclose(graph(torch.from_numpy(bodies[None]))[0], canonical.embedding, atol=1e-6)


@pytest.mark.parametrize("name", ["general-features", "general-features-free"])
def test_a_shipped_encoder_takes_clips_of_all_kinds_and_says_what_it_learned_from(name: str) -> None:
    bundle = Bundle.read(SHIPPED_BUNDLES / name)
    manifest = bundle.manifest
    assert (manifest.name, manifest.dimensions, manifest.sees_travel) == (name, [2, 3], False)
    assert manifest.embedding_size <= 512
    assert len(bundle.model) < 14e6
    licences = {source["name"]: source["licence"] for source in manifest.data["sources"]}
    assert all(licences.values())
    assert not any("NC" in licence for licence in licences.values())
    assert ("none stated" in licences.values()) == (name == "general-features")
    assert bundle.check(Encoder(bundle, device="cpu").encode) < 1e-5


def test_the_model_card_names_what_the_shipped_encoder_learned_from() -> None:
    card = (Path(__file__).parents[2] / "docs" / "shipped_encoder.md").read_text()
    for source in Bundle.read(DEFAULT_BUNDLE).manifest.data["sources"]:
        assert f"| {source['name']} | {source['num_clips']:,} | {source['licence']} |" in card


def test_weights_in_16_bits_halve_the_file_and_hardly_change_the_vectors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=128, depth=4, num_heads=2), num_frames=120)
    before = {name: weight.clone() for name, weight in encoder.named_parameters()}
    clips = [clip(1), clip(2, num_bodies=2)]
    (whole, *_), (halved, difference, _) = (export(encoder, clips, half=half) for half in (False, True))
    assert difference <= PARITY_TOLERANCE
    assert len(halved.model) < 0.6 * len(whole.model)
    for name, weight in encoder.named_parameters():
        assert torch.equal(weight, before[name]), name  # the trained weights are unchanged
    for a, b in zip(whole.canonical, halved.canonical, strict=True):
        assert 1e-6 < np.abs(a.embedding - b.embedding).max() < 1e-3
    halved.write(tmp_path / "bundle.zip")
    again = Bundle.read(tmp_path / "bundle.zip")
    assert again.check(Encoder(again, device="cpu").encode) <= PARITY_TOLERANCE


def test_a_weight_that_16_bits_cannot_hold_is_named() -> None:
    model = Transformer(TINY_ENCODER, num_frames=120)
    with torch.no_grad():
        model.norm.weight[3] = 1e6
    with pytest.raises(BundleError, match=r"norm\.weight are beyond 65504"):
        export(model, [clip(1)], half=True)
