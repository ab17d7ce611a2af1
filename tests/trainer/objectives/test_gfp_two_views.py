"""What objectives beside GFP have in common that see a second window."""

import pytest
import torch

from tests.support.small_objectives import SETTINGS, SMALL, batch, build
from trainer.data.batches import Batch
from trainer.encoders.transformer import Transformer
from trainer.objectives import build_objective
from trainer.objectives.gfp import GfpConfig


@pytest.mark.parametrize(("name", "term"), [("gfp_contrast", "contrast"), ("gfp_prototypes", "prototypes")])
def test_the_first_window_learns_as_gfp_does_and_the_term_comes_on_top(name: str, term: str) -> None:
    model = build(name)
    torch.manual_seed(0)
    widths = {setting: SETTINGS[name][setting] for setting in ("local_width", "global_width")}
    alone = build_objective(Transformer(SMALL, num_frames=120), GfpConfig(**widths))
    given = batch(model)
    outcome = model(given)
    own = alone(Batch.of_bodies(given.uniform[:, :750], given.views[0]))
    for known, value in own.terms.items():
        torch.testing.assert_close(outcome.terms[known], value)
    assert outcome.total.item() == pytest.approx(own.total.item() + outcome.terms[term].item(), rel=1e-5)
