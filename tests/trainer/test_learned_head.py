"""The learned embedding, alone and beside pose statistics."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gfp_serve.preprocess import MODEL_LAYOUT
from tests.support.person import waving
from trainer.embedding import PoseStatistics
from trainer.encoders.transformer import Transformer, TransformerConfig
from trainer.general_features import GeneralFeatures, general_heads
from trainer.learned_head import SERVED_TOKENS, CountedStatistics, LearnedHead, SideBySide
from trainer.masking import first_known


@pytest.fixture(scope="module")
def model() -> LearnedHead:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame="body"), num_frames=60)
    return LearnedHead(encoder, nn.Linear(16, 8)).eval()


@pytest.fixture
def bodies() -> torch.Tensor:
    return torch.from_numpy(waving().transpose(1, 0, 2, 3).copy())  # 60 frames


def test_tokens_that_are_served_are_spread_over_joints_and_time(model: LearnedHead) -> None:
    first = model.choice.order[0].argsort()[:SERVED_TOKENS]
    per_joint = np.bincount(first % 25, minlength=25)
    per_segment = np.bincount(first // 25, minlength=15)
    assert per_joint.min() == per_joint.max() == SERVED_TOKENS / 25
    assert per_segment.min() > 0


@pytest.mark.parametrize("frame", ["body", "room"])
def test_lacking_joints_are_left_out(frame: Literal["body", "room"], bodies: torch.Tensor) -> None:
    torch.manual_seed(0)
    encoder = Transformer(TransformerConfig(width=16, depth=1, num_heads=2, frame=frame), num_frames=60)
    model = LearnedHead(encoder, nn.Linear(16, 8)).eval()
    assert model.keep_lacking
    without = bodies.clone()
    hands = [joint for joint, name in enumerate(MODEL_LAYOUT.joint_names) if name.startswith(("HandTip", "Thumb"))]
    without[:, :, hands] = torch.nan
    with torch.inference_mode():
        expected = model.features(without)
        segments, known = model.encoder.cut(*model.encoder.shown(without))
        assert known is not None
        visible = model.choice(segments, known)
        assert not np.isin(visible.numpy() % 25, hands).any()
        by_hand = model.head(model.encoder(segments, visible).mean(dim=1))
    torch.testing.assert_close(expected, by_hand)
    assert torch.isfinite(expected).all()


def test_a_row_with_few_known_tokens_has_all_of_them_and_some_again() -> None:
    known = torch.tensor([[True, False, True, False], [True] * 4, [False] * 4])
    order = torch.tensor([[0.3, 0.1, 0.2, 0.4]])
    assert first_known(order, known, 3).tolist() == [[2, 0, 2], [1, 2, 0], [1, 2, 0]]
    in_time = torch.arange(9.0)[None]
    assert first_known(in_time, in_time % 3 > 0, 9).tolist() == [[1, 2, 4, 5, 7, 8, 1, 4, 7]]
    (often,) = first_known(in_time, in_time == 4, 9)
    assert often.tolist() == [4] * 9


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_side_by_side_cosines_are_a_weighted_mean(model: LearnedHead, bodies: torch.Tensor, share: float) -> None:
    torch.manual_seed(1)
    clips = bodies + 0.2 * torch.randn((6, *bodies.shape[1:]))
    parts = [model, CountedStatistics(torch.eye(618))]
    with torch.inference_mode():
        both = F.normalize(SideBySide(parts, [1 - share, share]).features(clips), dim=1)
        learned = F.normalize(model.features(clips), dim=1)
        counted = F.normalize(PoseStatistics().features(clips), dim=1)
    expected = (1 - share) * learned @ learned.T + share * counted @ counted.T
    torch.testing.assert_close(both @ both.T, expected, atol=1e-5, rtol=0)


def test_shares_need_not_add_up_to_one(model: LearnedHead, bodies: torch.Tensor) -> None:
    parts = [model, CountedStatistics(torch.eye(618))]
    with torch.inference_mode():
        some, more = (SideBySide(parts, shares).features(bodies) for shares in ([0.1, 0.3], [1.0, 3.0]))
    torch.testing.assert_close(some, more)
    torch.testing.assert_close(some.norm(dim=1), torch.ones(1))


def test_general_features_are_counted_once_for_all_that_read_them(
    model: LearnedHead, bodies: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    heads = list(general_heads(8, 4, areas=True).values())
    parts = [model, *heads, CountedStatistics(torch.randn(618, 5))]
    with torch.inference_mode():
        apart = [F.normalize(part.features(bodies), dim=1) for part in parts]  # type: ignore[operator]
        counted, count = [], GeneralFeatures.forward
        monkeypatch.setattr(
            GeneralFeatures, "forward", lambda self, *given: counted.append(self) or count(self, *given)
        )
        found = SideBySide([parts[0], SideBySide(heads, [1, 1]), parts[3]], [0.25, 0.5, 0.25]).features(bodies)
    assert counted == [heads[1].general]  # the one with areas
    torch.testing.assert_close(found, torch.cat(apart, dim=1) / 2)
