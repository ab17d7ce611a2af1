import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gfp_serve.bundle import Bundle
from gfp_serve.config import DEFAULT_BUNDLE, SHIPPED_BUNDLES
from gfp_serve.encoder import Encoder
from gfp_serve.errors import BundleError
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25, layout_named
from gfp_serve.preprocess import PreprocessConfig, prepare
from tests.support.small_runs import TINY_ENCODER, moving_body
from trainer.embedding import ClipEmbedding, PoseStatistics
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.export import PARITY_TOLERANCE, Origin, choose_canonical, export_bundle


def clip(seed: int, *, num_frames: int = 70, num_bodies: int = 1) -> Clip:
    sequence = moving_body(seed, num_frames=num_frames, num_bodies=num_bodies)
    return Clip(name=f"clip{seed}", sequence=sequence, layout=NTU25, fps=30.0)


def export(model: torch.nn.Module, clips: list[Clip], *, half: bool = False) -> tuple[Bundle, float]:
    origin = Origin(name="test", objective="gfp", step=7, data={}, training=None)
    return export_bundle(model, clips, PreprocessConfig(), origin, {"kind": "mean"}, half=half)


@pytest.fixture(scope="module")
def encoder() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TINY_ENCODER, num_frames=120)


@pytest.fixture(scope="module")
def exported(encoder: Transformer) -> tuple[Bundle, float]:
    return export(encoder, [clip(1), clip(2, num_bodies=2), clip(3, num_frames=1)])


def test_onnxruntime_gives_torchs_vectors_for_raw_clips(exported: tuple[Bundle, float]) -> None:
    bundle, difference = exported
    assert 0 <= difference <= PARITY_TOLERANCE
    assert bundle.check(Encoder(bundle, device="cpu").encode) <= PARITY_TOLERANCE


@pytest.mark.parametrize(("batch", "bodies"), [(1, 1), (5, 1), (2, 2), (1, 4)])
def test_the_axes_of_batch_and_bodies_may_have_any_size(
    encoder: Transformer, exported: tuple[Bundle, float], batch: int, bodies: int
) -> None:
    clips = np.random.default_rng(0).normal(size=(batch, bodies, 120, 25, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = ClipEmbedding(encoder).eval()(torch.from_numpy(clips)).numpy()
    np.testing.assert_allclose(Encoder(exported[0], device="cpu").encode(clips), expected, atol=PARITY_TOLERANCE)


def test_the_model_file_opens_in_plain_onnxruntime(exported: tuple[Bundle, float], tmp_path: Path) -> None:
    exported[0].write(tmp_path / "bundle")
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "encoder.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("clips", ["batch", "bodies", 120, 25, 3])]
    (vectors,) = session.run(None, {"clips": np.ones((3, 1, 120, 25, 3), np.float32)})
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_opset_producer_and_model_digest_are_recorded(exported: tuple[Bundle, float]) -> None:
    bundle, _ = exported
    model = onnx.load_from_string(bundle.model)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [bundle.manifest.opset]
    assert torch.__version__ in bundle.manifest.producer
    assert bundle.manifest.model_sha256 == hashlib.sha256(bundle.model).hexdigest()


def test_a_bundle_holds_no_path_of_the_machine_that_made_it(exported: tuple[Bundle, float]) -> None:
    content = exported[0].model
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
    (whole, _), (halved, difference) = (export(encoder, clips, half=half) for half in (False, True))
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
    with pytest.raises(BundleError, match=r"model\.norm\.weight are beyond 65504"):
        export(model, [clip(1)], half=True)
