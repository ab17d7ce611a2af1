from typing import Literal

import numpy as np
import pytest
import torch

from gfp_serve.encoder import Encoder
from gfp_serve.formats import Clip
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import MODEL_LAYOUT, PreprocessConfig, SampleConfig
from tests.support.small_runs import moving_body
from trainer.embedding import ClipEmbedding, sampling_for
from trainer.encoders.slim import SlimEncoder, SlimEncoderConfig
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.export import Origin, export_bundle
from trainer.readout import GridMeans
from trainer.token_choice import KINDS, Budget, FewTokens, Kind, TokenChoice

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def encoder() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(width=16, depth=1, num_heads=2), num_frames=60).eval()


@pytest.fixture(scope="module")
def bodies() -> torch.Tensor:
    clips = [moving_body(seed, num_frames=60)[:, 0] for seed in (0, 1, 2)]
    return torch.from_numpy(np.stack(clips).astype(np.float32))


@torch.inference_mode()
def chosen(encoder: Transformer, bodies: torch.Tensor, num_tokens: int, kind: Kind) -> np.ndarray:
    segments, known = encoder.known_segments(bodies)
    return TokenChoice(encoder, Budget(num_tokens, kind))(segments, known).numpy()


@every_kind
def test_each_token_is_chosen_once_and_a_larger_budget_has_those_of_a_smaller(
    kind: Kind, encoder: Transformer, bodies: torch.Tensor
) -> None:
    few, many, every = (chosen(encoder, bodies, count, kind) for count in (40, 90, 375))
    assert few.shape == (3, 40)
    for row_few, row_many, row_every in zip(few, many, every, strict=True):
        assert set(row_few) < set(row_many)
        assert sorted(row_every) == list(range(375))


def test_kinds_choose_what_they_say(encoder: Transformer, bodies: torch.Tensor) -> None:
    segments = np.unique(chosen(encoder, bodies, 75, "time")[0] // 25, return_counts=True)
    assert segments[0].tolist() == [0, 4, 8]  # of 15
    assert segments[1].tolist() == [25, 25, 25]
    joints = np.unique(chosen(encoder, bodies, 60, "joints")[0] % 25)
    assert {MODEL_LAYOUT.joint_names[joint] for joint in joints} == {
        "WristLeft",
        "WristRight",
        "AnkleLeft",
        "AnkleRight",
    }
    still = bodies[:, :1].repeat(1, 60, 1, 1)
    still[:, :, 5:10] += torch.randn(3, 60, 5, 3, generator=torch.Generator().manual_seed(0))
    assert set(chosen(encoder, still, 75, "motion")[1] % 25) == set(range(5, 10))
    spread = chosen(encoder, bodies, 75, "spread")[0]
    assert np.bincount(spread % 25).tolist() == [3] * 25


@every_kind
def test_all_tokens_in_another_order_give_the_features_and_means_of_the_whole_encoder(
    kind: Kind, encoder: Transformer, bodies: torch.Tensor
) -> None:
    whole = FewTokens(encoder, Budget(375, kind))
    with torch.inference_mode():
        torch.testing.assert_close(whole.features(bodies), encoder.features(bodies), rtol=1e-4, atol=1e-5)
        for per_joint in (False, True):
            few, all_tokens = (GridMeans(each, 3, per_joint=per_joint).features(bodies) for each in (whole, encoder))
            torch.testing.assert_close(few, all_tokens, rtol=1e-4, atol=1e-5)


def test_means_are_of_the_chosen_tokens_of_a_cell_and_zero_without_any(
    encoder: Transformer, bodies: torch.Tensor
) -> None:
    few = FewTokens(encoder, Budget(60, "joints"))
    with torch.inference_mode():
        grid = GridMeans(few, 3).features(bodies).view(3, 3, 25, 16)
        tokens, visible = few.encoded(bodies)
    wrist = MODEL_LAYOUT.joint_names.index("WristLeft")
    first_part = (visible[0] % 25 == wrist) & (visible[0] // 25 < 5)
    torch.testing.assert_close(grid[0, 0, wrist], tokens[0, first_part].mean(dim=0))
    assert (grid[:, :, MODEL_LAYOUT.joint_names.index("Head")] == 0).all()


def test_tokens_of_lacking_joints_are_left_out_of_the_choice(bodies: torch.Tensor) -> None:
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame="body"), num_frames=60)
    lacking = bodies.clone()
    lacking[:, :, 7] = torch.nan
    for kind in KINDS:
        assert not np.isin(chosen(encoder, lacking, 200, kind) % 25, 7).any(), kind


def test_a_joint_that_comes_and_goes_does_not_seem_to_move_most(bodies: torch.Tensor) -> None:
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame="body"), num_frames=60)
    lost = bodies.clone()
    lost[:, 20:28, 7] = torch.nan
    beside = [5 * 25 - 25 + 7, 7 * 25 + 7]  # the last segment before, and the first after the gap
    assert np.isin(beside, chosen(encoder, lost, 375, "motion")[0]).all()
    assert not np.isin(7 * 25 + 7, chosen(encoder, lost, 60, "motion")).any()


@pytest.mark.parametrize(("kind", "frame"), [("spread", "room"), ("motion", "body")])
def test_the_exported_graph_makes_the_same_choice(kind: Kind, frame: Literal["room", "body"]) -> None:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame=frame), num_frames=60).eval()
    clips = [
        Clip(name=str(seed), sequence=moving_body(seed, num_frames=70, num_bodies=1 + seed), layout=NTU25, fps=30.0)
        for seed in (0, 1)
    ]
    model = FewTokens(encoder, Budget(40, kind))
    preprocess = PreprocessConfig(sampling=sampling_for(model, SampleConfig(num_frames=60)))
    origin = Origin(name="few", objective="gfp", step=1, data={}, training=None)
    bundle = export_bundle(model, clips, preprocess, origin, {}, form="fused").bundle
    drawn = np.random.default_rng(0).normal(size=(5, 2, 60, 25, 3)).astype(np.float32)
    if frame == "body":
        drawn[1, :, :, 7] = np.nan
        drawn[2, 0, 20:28, 11] = np.nan
    with torch.inference_mode():
        expected = ClipEmbedding(model)(torch.from_numpy(drawn)).numpy()
    np.testing.assert_allclose(Encoder(bundle, device="cpu").encode(drawn), expected, atol=1e-5)


def test_a_budget_that_does_not_fit_is_refused(encoder: Transformer) -> None:
    for count in (0, 376):
        with pytest.raises(ValueError, match="must be from 1 to 375"):
            FewTokens(encoder, Budget(count))
    slim = SlimEncoder(SlimEncoderConfig(width=16, depth=1, num_heads=2), num_frames=64)
    with pytest.raises(ValueError, match="can leave tokens out and embeds their mean"):
        FewTokens(slim, Budget(10))
