"""General features of a clip, and the network that learns from them."""

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import MODEL_LAYOUT
from tests.support.person import waving
from trainer.body_frame import in_body_frame
from trainer.embedding import PoseStatistics
from trainer.general_features import NUM_STATISTICS, GeneralFeatures, GeneralHead

WRIST = MODEL_LAYOUT.joint_names.index("WristLeft")


@pytest.fixture
def bodies() -> torch.Tensor:
    return torch.from_numpy(waving(frames=120).transpose(1, 0, 2, 3).copy())


def order_statistics(bodies: torch.Tensor) -> torch.Tensor:
    """[rows, 3, 7 shares, joints]"""
    return GeneralFeatures(areas=False)(bodies)[:, NUM_STATISTICS:].view(len(bodies), 3, 7, 25)


def test_pose_statistics_come_first_and_have_length_1(bodies: torch.Tensor) -> None:
    model = GeneralFeatures(areas=True)
    found = model(bodies)
    assert found.shape == (1, model.size) == (1, 1296)
    counted = PoseStatistics().features(bodies)
    torch.testing.assert_close(found[:, :NUM_STATISTICS], counted / counted.norm())


def test_order_statistics_are_the_sorted_places_of_a_joint(bodies: torch.Tensor) -> None:
    height = in_body_frame(bodies)[0][0, ::4, WRIST, 1].numpy()
    found = order_statistics(bodies)[0, 1, :, WRIST].numpy()
    np.testing.assert_allclose(found, np.sort(height)[[0, 3, 7, 14, 22, 26, 29]], atol=1e-6)


def test_order_statistics_do_not_know_when(bodies: torch.Tensor) -> None:
    sampled = bodies.view(1, 30, 4, 25, 3)[:, torch.randperm(30, generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(
        order_statistics(sampled.reshape(bodies.shape)), order_statistics(bodies), atol=1e-5, rtol=0
    )


def test_frames_in_which_a_joint_is_lost_count_as_its_mean(bodies: torch.Tensor) -> None:
    lost = bodies.clone()
    lost[:, 40:, WRIST] = torch.nan
    height = in_body_frame(bodies)[0][0, :40:4, WRIST, 1]
    expected = torch.cat([height, height.mean().expand(20)]).sort().values[[0, 3, 7, 14, 22, 26, 29]]
    torch.testing.assert_close(order_statistics(lost)[0, 1, :, WRIST], expected, atol=1e-5, rtol=0)


def test_a_joint_that_is_lacking_throughout_stands_to_its_parent(bodies: torch.Tensor) -> None:
    lacking = bodies.clone()
    tip = MODEL_LAYOUT.joint_names.index("HandTipLeft")
    lacking[:, :, tip] = torch.nan
    found = order_statistics(lacking)
    torch.testing.assert_close(found[..., tip], found[..., MODEL_LAYOUT.parents[tip]])
    assert torch.isfinite(GeneralFeatures(areas=True)(torch.full_like(bodies, torch.nan))).all()


def test_hips_that_are_lacking_throughout_do_not_go_where_the_root_went(bodies: torch.Tensor) -> None:
    hips = [MODEL_LAYOUT.joint_names.index(name) for name in ("SpineBase", "HipLeft", "HipRight")]
    walking = bodies + torch.linspace(0, 3, 120)[None, :, None, None] * torch.tensor([1.0, 0.0, 0.0])
    staying, walking = bodies.clone(), walking.clone()
    staying[:, :, hips] = walking[:, :, hips] = torch.nan
    found, moved = order_statistics(staying), order_statistics(walking)
    torch.testing.assert_close(found[..., hips[1:]], moved[..., hips[1:]], atol=1e-5, rtol=0)
    assert (found[..., hips[0]] - moved[..., hips[0]]).abs().max() > 0.5


def test_the_head_scales_each_kind_of_features_by_those_it_was_fitted_to(bodies: torch.Tensor) -> None:
    torch.manual_seed(0)
    head = GeneralHead(8, 4, areas=True)
    clips = bodies + 0.1 * torch.randn((50, 1, 25, 3))
    features = head.general(clips)
    head.fit(features)
    scaled = (features - head.mean) * head.scale
    for part in (scaled[:, :NUM_STATISTICS], scaled[:, NUM_STATISTICS:1143], scaled[:, 1143:]):
        torch.testing.assert_close(part.mean(), torch.tensor(0.0), atol=1e-4, rtol=0)
        torch.testing.assert_close(part.square().mean(), torch.tensor(1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(head.features(clips), head.out(torch.nn.functional.gelu(head.hidden(scaled))))


def test_turns_reach_all_but_pose_statistics(bodies: torch.Tensor) -> None:
    model = GeneralFeatures(areas=True)
    larger, plain = model(bodies, 1.5 * torch.eye(3)[None]), model(bodies)
    parts = model.parts
    torch.testing.assert_close(larger[:, parts["statistics"]], plain[:, parts["statistics"]])
    torch.testing.assert_close(larger[:, parts["order"]], 1.5 * plain[:, parts["order"]])
    assert (larger[:, parts["areas"]].abs() >= plain[:, parts["areas"]].abs() - 1e-6).all()
    assert larger[:, parts["areas"]].norm() > 1.2 * plain[:, parts["areas"]].norm()
