"""Bodies seen from themselves: what does not count, and what a lacking joint makes."""

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import MODEL_LAYOUT, NOMINAL_TRUNK_M, rotate_about_vertical
from tests.support.person import waving
from trainer.body_frame import SPINE_BASE, in_body_frame

SHOULDER = MODEL_LAYOUT.joint_names.index("SpineShoulder")
HIPS = [MODEL_LAYOUT.joint_names.index(f"Hip{side}") for side in ("Left", "Right")]


@pytest.fixture
def bodies() -> torch.Tensor:
    """One body: rows, frames, joints, 3."""
    return torch.from_numpy(waving().transpose(1, 0, 2, 3).copy())


def test_place_direction_and_size_do_not_count(bodies: torch.Tensor) -> None:
    expected, known = in_body_frame(bodies)
    assert known.all()
    turned = torch.from_numpy(rotate_about_vertical(bodies.numpy(), 2.0)) * 1.3 + torch.tensor([3.0, 0.4, -2.0])
    found, _ = in_body_frame(turned)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_autocast_does_not_round_coordinates(bodies: torch.Tensor) -> None:
    expected, _ = in_body_frame(bodies)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = in_body_frame(bodies)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_joints_are_seen_from_the_root_of_their_frame_and_the_way_of_the_root_is_kept(bodies: torch.Tensor) -> None:
    way = torch.linspace(0, 2, bodies.shape[1])[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    still, _ = in_body_frame(bodies)
    walks, _ = in_body_frame(bodies + way)
    others = [joint for joint in range(MODEL_LAYOUT.num_joints) if joint != SPINE_BASE]
    torch.testing.assert_close(walks[:, :, others], still[:, :, others], atol=1e-4, rtol=0)
    moved = (walks - still)[0, :, SPINE_BASE]
    assert float((moved[-1] - moved[0]).norm()) > 1.5
    torch.testing.assert_close(moved.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    trunk = walks[0, :, SHOULDER].norm(dim=1)
    torch.testing.assert_close(trunk.mean(), torch.tensor(NOMINAL_TRUNK_M), atol=1e-3, rtol=0)


def test_frames_in_which_nobody_is_seen_do_not_move_the_way(bodies: torch.Tensor) -> None:
    walks = bodies + torch.tensor([5.0, 0.0, 0.0])
    walks[:, walks.shape[1] // 2 :] = torch.nan
    way = in_body_frame(walks)[0][0, : walks.shape[1] // 2, SPINE_BASE]
    torch.testing.assert_close(way.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)


def test_lacking_joints_are_zero_and_known_ones_do_not_change(bodies: torch.Tensor) -> None:
    expected, _ = in_body_frame(bodies)
    without = bodies.clone()
    hands = [joint for joint, name in enumerate(MODEL_LAYOUT.joint_names) if "Hand" in name]
    without[:, :, hands] = torch.nan
    found, known = in_body_frame(without)
    assert not known[:, :, hands].any()
    assert (found[:, :, hands] == 0).all()
    torch.testing.assert_close(found[known], expected[known])


def test_without_hips_the_root_is_below_the_shoulders(bodies: torch.Tensor) -> None:
    without = bodies.clone()
    without[:, :, [SPINE_BASE, *HIPS]] = torch.nan
    found, known = in_body_frame(without)
    assert known[:, :, SPINE_BASE].all()
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found[0, :, SHOULDER], np.tile([0, NOMINAL_TRUNK_M, 0], (bodies.shape[1], 1)), atol=1e-4)


def test_a_body_without_depth_is_not_turned(bodies: torch.Tensor) -> None:
    flat = bodies * torch.tensor([1.0, 1.0, 0.0])
    found, _ = in_body_frame(flat.flip(-1).flip(-1))
    assert (found[..., 2] == 0).all()
    mirrored, _ = in_body_frame(flat * torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(mirrored, found * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-5, rtol=0)
