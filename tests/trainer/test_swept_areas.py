"""Areas that joints sweep, compared with circles whose area is known."""

import math

import numpy as np
import pytest
import torch

from gfp_serve.preprocess import MODEL_LAYOUT
from trainer.swept_areas import NUM_AREAS, swept_areas

NAMES = ("SpineBase", "Head", "WristLeft", "WristRight", "AnkleLeft", "AnkleRight")
PLACES = [MODEL_LAYOUT.joint_names.index(name) for name in NAMES]
RADIUS_M, AREA = 0.3, math.pi * 0.3**2


def circle(turns: float = 1.0, frames: int = 120, start: float = 0.0) -> torch.Tensor:
    """A body whose left wrist goes round from x to y: [1, frames, joints, 3]."""
    angle = start + 2 * math.pi * turns * torch.arange(frames) / (frames - 1)
    body = torch.zeros(1, frames, MODEL_LAYOUT.num_joints, 3)
    body[0, :, PLACES[2]] = RADIUS_M * torch.stack([angle.cos(), angle.sin(), torch.zeros(frames)], dim=1)
    return body


def area(body: torch.Tensor, known: torch.Tensor | None = None, pair: tuple[int, int] = (6, 7)) -> float:
    """The area in square metres between two of the 18 coordinates; x and y of the left wrist unless told."""
    known = torch.ones(body.shape[:3], dtype=torch.bool) if known is None else known
    found = swept_areas(body, known)[0]
    assert found.shape == (NUM_AREAS,)
    rows, columns = np.triu_indices(18, 1)
    (place,) = np.flatnonzero((rows == pair[0]) & (columns == pair[1]))
    value = float(found[place])
    # a / sqrt(|a| + c) = v  =>  |a| = (v² + sqrt(v⁴ + 4 c v²)) / 2
    return math.copysign((value**2 + math.sqrt(value**4 + 4 * 0.01 * value**2)) / 2, value)


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_a_circle_sweeps_its_area_and_the_other_way_round_less_than_nothing(start: float) -> None:
    assert area(circle(start=start)) == pytest.approx(AREA, rel=0.05)
    assert area(circle(-1.0, start=start)) == pytest.approx(-AREA, rel=0.05)
    assert area(circle(2.0, start=start)) == pytest.approx(2 * AREA, rel=0.1)


def test_a_path_that_goes_back_on_itself_sweeps_nothing() -> None:
    there = circle(0.5, 60)
    assert abs(area(torch.cat([there, there.flip(1)], dim=1))) < 1e-3


def test_warped_time_and_rest_change_nothing() -> None:
    place = (torch.linspace(0, 1, 120) ** 2 * 239).long()
    assert area(circle(frames=240)[:, place]) == pytest.approx(AREA, rel=0.05)
    resting = torch.cat([circle()[:, :1].expand(-1, 40, -1, -1), circle(), circle()[:, -1:].expand(-1, 80, -1, -1)], 1)
    assert area(resting) == pytest.approx(area(circle()), rel=1e-3)


def test_which_joint_moves_first_is_told() -> None:
    """The left wrist goes up by a metre, then the right one, then the left one down: heights go round a square."""
    body = torch.zeros(1, 120, MODEL_LAYOUT.num_joints, 3)
    body[0, 30:90, PLACES[2], 1] = 1.0
    body[0, 60:, PLACES[3], 1] = 1.0
    assert area(body, pair=(7, 10)) == pytest.approx(1.0, rel=0.05)
    assert area(body.flip(1), pair=(7, 10)) == pytest.approx(-1.0, rel=0.05)


def test_a_path_goes_straight_on_where_its_joint_is_lacking() -> None:
    known = torch.ones(1, 120, MODEL_LAYOUT.num_joints, dtype=torch.bool)
    known[0, 30:60, PLACES[2]] = False
    body = torch.where(known[..., None], circle(), 0.0)
    quarter = RADIUS_M**2 * (math.pi / 4 - 0.5)
    assert area(body, known) == pytest.approx(AREA - quarter, rel=0.06)
    known[:] = False
    assert torch.equal(swept_areas(body, known), torch.zeros(1, NUM_AREAS))


def test_a_joint_that_is_first_seen_late_starts_there() -> None:
    known = torch.ones(1, 160, MODEL_LAYOUT.num_joints, dtype=torch.bool)
    known[:, :40] = False
    late = torch.cat([torch.zeros(1, 40, MODEL_LAYOUT.num_joints, 3), circle()], dim=1)
    assert area(late, known) == pytest.approx(area(circle()), rel=1e-4)


def test_any_number_of_frames_will_do() -> None:
    assert area(circle(frames=90)) == pytest.approx(AREA, rel=0.1)
    assert swept_areas(circle(frames=6), torch.ones(1, 6, 25, dtype=torch.bool)).shape == (1, NUM_AREAS)
