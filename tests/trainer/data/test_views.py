"""Views: what each change does to bodies, that a step's draws are a function of the step, and who asks for which."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import MODEL_LAYOUT
from tests.support.small_objectives import build
from trainer.data.views import (
    Change,
    CorruptJoints,
    Draws,
    Either,
    Mirror,
    Noise,
    ScaleLimbs,
    Shear,
    Sometimes,
    Turn,
    WithoutAxis,
)
from trainer.objectives import OBJECTIVES

DOCS = Path(__file__).parents[3] / "docs" / "train.md"
NAMES = list(MODEL_LAYOUT.joint_names)


def bodies(rows: int = 40) -> torch.Tensor:
    return torch.randn(rows, 12, 25, 3, generator=torch.Generator().manual_seed(0))


def draws(rows: int = 40, seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.arange(rows), rows)


ALL: list[Change] = [
    Shear(),
    CorruptJoints(),
    Mirror(),
    ScaleLimbs(),
    Turn(),
    Noise(),
    WithoutAxis(),
    Either(CorruptJoints(), Shear()),
    Sometimes(Noise()),
]
every_change = pytest.mark.parametrize("change", ALL, ids=lambda change: type(change).__name__)


@every_change
def test_a_change_is_a_function_of_its_draws_and_keeps_what_is_lacking(change: Change) -> None:
    clips = bodies()
    clips[:, 3:5, 7] = torch.nan
    seen = change(clips, draws())
    torch.testing.assert_close(change(clips, draws()), seen, equal_nan=True)
    partner = NAMES.index("HandRight") if isinstance(change, Mirror) else 7
    assert seen[:, 3:5, partner].isnan().all()
    assert seen.isnan().sum() == clips.isnan().sum()
    assert not torch.equal(seen.nan_to_num(), clips.nan_to_num())


@every_change
def test_both_bodies_of_a_clip_get_the_same_change(change: Change) -> None:
    clip = torch.tensor([0, 0, 1, 2, 2])
    pair = bodies(1).expand(5, -1, -1, -1)
    seen = change(pair, Draws(torch.Generator().manual_seed(1), clip, 3))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[3], seen[4])


def test_a_share_of_the_clips_gets_the_draws_that_it_has_among_all() -> None:
    def drawn(clips: list[int]) -> torch.Tensor:
        return Draws(torch.Generator().manual_seed(0), torch.tensor(clips), 6).uniform(4)

    assert torch.equal(drawn([1, 3, 5]), drawn([0, 1, 2, 3, 4, 5])[[1, 3, 5]])


def matrix_of(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """The linear map between the points of a body, which must be one."""
    points, moved = (each.reshape(-1, 3).double().numpy() for each in (before, after))
    found, *_ = np.linalg.lstsq(points, moved, rcond=None)
    np.testing.assert_allclose(points @ found, moved, atol=1e-4)
    return found.T


def test_a_shear_has_ones_on_the_diagonal_and_up_to_one_beside_it() -> None:
    clips = bodies(300)
    matrices = np.stack([matrix_of(*pair) for pair in zip(clips, Shear()(clips, draws(300)), strict=True)])
    np.testing.assert_allclose(matrices[:, range(3), range(3)], 1, atol=1e-4)
    beside = matrices[:, ~np.eye(3, dtype=bool)]
    assert (abs(beside) <= 1.0001).all()
    assert beside.min() < -0.95 < 0.95 < beside.max()


def test_fifteen_joints_are_corrupted_in_all_frames_half_of_the_time_to_zero() -> None:
    clips = bodies(200)
    seen = CorruptJoints()(clips, draws(200))
    changed = (seen != clips).any(dim=3)
    assert (changed.sum(dim=2) == 15).all()
    assert (changed == changed[:, :1]).all()
    is_zero = torch.stack([(each[0, which[0]] == 0).all() for each, which in zip(seen, changed, strict=True)])
    assert 70 < int(is_zero.sum()) < 130
    mixed = int((~is_zero).nonzero()[0])
    assert abs(matrix_of(clips[mixed][:, changed[mixed, 0]], seen[mixed][:, changed[mixed, 0]])).max() <= 1.0001


def test_a_turn_keeps_distances_and_stays_within_its_angles() -> None:
    clips = bodies(200)
    for before, after in zip(clips, Turn(0.3)(clips, draws(200)), strict=True):
        matrix = matrix_of(before, after)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-4)
        # Of three turns of 0.3 rad, the whole turn is at most 0.9.
        assert math.acos(min(1.0, (np.trace(matrix) - 1) / 2)) <= 0.9


def test_trunk_arms_and_legs_each_get_one_size_along_the_bones() -> None:
    clips = bodies()
    seen = ScaleLimbs(0.85, 1.15)(clips, draws())

    def lengths(of: torch.Tensor, joint: str) -> torch.Tensor:
        place = NAMES.index(joint)
        return (of[:, :, place] - of[:, :, MODEL_LAYOUT.parents[place]]).norm(dim=2)

    factors = {joint: lengths(seen, joint) / lengths(clips, joint) for joint in NAMES[1:]}
    for factor in factors.values():
        torch.testing.assert_close(factor, factor[:, :1].expand_as(factor), atol=1e-3, rtol=0)
        assert (factor >= 0.849).all()
        assert (factor <= 1.151).all()
    for alike in (("ElbowLeft", "WristRight"), ("KneeLeft", "FootRight"), ("SpineMid", "Head")):
        torch.testing.assert_close(factors[alike[0]], factors[alike[1]], atol=1e-3, rtol=0)
    assert not torch.allclose(factors["ElbowLeft"], factors["KneeLeft"], atol=1e-3)
    torch.testing.assert_close(seen[:, :, 0], clips[:, :, 0])


def test_without_an_axis_one_coordinate_is_zero_each_as_often() -> None:
    gone = (WithoutAxis()(bodies(600), draws(600)) == 0).all(dim=(1, 2))
    assert (gone.sum(dim=1) == 1).all()
    assert gone.sum(dim=0).min() > 150


@pytest.mark.parametrize(
    ("change", "odds"), [(Sometimes(Noise(), 0.2), 0.2), (Either(Noise(0.0), Noise(), 0.2), 0.8)], ids=["one", "two"]
)
def test_the_odds_of_a_change_are_those_that_were_said(change: Change, odds: float) -> None:
    clips = bodies(1000)
    changed = (change(clips, draws(1000)) != clips).any(dim=(1, 2, 3)).float().mean().item()
    assert changed == pytest.approx(odds, abs=0.05)


def test_noise_leaves_an_absent_body_at_zero() -> None:
    clips = bodies()
    clips[3] = 0.0
    seen = Noise()(clips, draws())
    assert (seen[3] == 0).all()
    assert (seen[2] != clips[2]).all()


def test_noise_has_the_spread_that_was_said() -> None:
    assert (Noise(0.05)(bodies(), draws()) - bodies()).std().item() == pytest.approx(0.05, rel=0.02)


def parts(change: Change) -> set[str]:
    """The names of the changes that a change is made of."""
    inner = {Either: ("first", "second"), Sometimes: ("change",)}.get(type(change))  # type: ignore[call-overload]
    return {type(change).__name__} if inner is None else set().union(*(parts(getattr(change, name)) for name in inner))


def test_the_page_about_training_says_which_objectives_ask_for_each_change() -> None:
    table = DOCS.read_text().split("### Views\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    said = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in rows}
    asked: dict[str, set[str]] = {}
    for name in OBJECTIVES:
        changes = {part for view in build(name).views for change in view.changes for part in parts(change)}
        for change in changes:
            asked.setdefault(change, set()).add(name)
    assert {change: said[change] for change in said.keys() - {"View", "semantic_tubes"}} == asked
    assert {type(change).__name__ for change in ALL} - {"Either", "Sometimes"} == asked.keys()
