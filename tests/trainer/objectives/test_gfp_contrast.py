"""GFP beside contrast: GFP's part is GFP's, and the contrast is InfoNCE, written again in numpy."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support.small_objectives import batch, build
from trainer.objectives.gfp_contrast import GfpContrastConfig, told_apart


def test_vectors_of_a_clip_are_told_apart_from_those_of_others_in_both_directions() -> None:
    one, other = F.normalize(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)), dim=2)
    logits = (one @ other.T).double().numpy() / 0.2
    wanted = 0.0
    for rows in (logits, logits.T):
        wanted -= np.mean(np.diag(rows) - np.log(np.exp(rows).sum(axis=1))) / 2
    assert told_apart(one, other, 0.2).item() == pytest.approx(wanted, rel=1e-5)


def test_both_windows_teach_the_encoder_by_their_visible_tokens() -> None:
    model = build("gfp_contrast")
    given = batch(model)
    before = model(given).terms["contrast"].item()
    for view in (0, 1):
        uniform = given.uniform[:, 750 * view :][:, :750]
        segments = model.encoder.segments(given.views[view])
        visible, hidden = model.mask(segments, uniform)
        for places, matters in ((visible, True), (hidden, False)):
            # Only the order of joints changes, so that the mask stays.
            t, j = divmod(int(places[0, -1 if matters else 5]), 25)
            changed = [each.clone() for each in given.views]
            changed[view][0, 4 * t : 4 * t + 4, j] += 0.001
            after = model(given._replace(views=tuple(changed))).terms["contrast"].item()
            assert (abs(after - before) > 1e-7) == matters, (view, matters)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contrast_weight": 0.0}, "choose --objective gfp"),
        ({"contrast_temperature": 0.0}, "--contrast-temperature is 0"),
        ({"projection_size": 0}, "--projection-size is 0"),
        ({"stop_gradient": "prediction"}, "makes no sense here"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GfpContrastConfig(**settings)  # type: ignore[arg-type]
