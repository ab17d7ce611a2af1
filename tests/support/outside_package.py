"""A package outside this one that brings an encoder and an objective by entry points: a module and its dist-info."""

from pathlib import Path

MODULE = '''
"""An encoder of one layer, and an objective: two windows of a clip give the same vector."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from gfp_serve.settings import setting
from trainer.data.views import MASKED_VIEW
from trainer.encoders import Encoder, EncoderConfig
from trainer.objectives import Objective, ObjectiveConfig, Outcome
from trainer.parallel import mean_square


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesConfig(EncoderConfig):
    width: int = setting(16, "Numbers in a token.")


class Frames(Encoder):
    config_type: ClassVar[type[EncoderConfig]] = FramesConfig

    def __init__(self, config, *, num_frames):
        super().__init__(config, num_frames=num_frames)
        self.width, self.num_segments, self.num_joints = config.width, num_frames, 1
        self.layer = nn.Linear(75, config.width)

    def tokens(self, bodies, draws=None):
        return self.layer(self.shown(bodies)[0].flatten(2)).tanh()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeConfig(ObjectiveConfig):
    alike_weight: float = setting(1.0, "Weight of the distance between two windows.")


class Alike(Objective):
    config_type: ClassVar[type[ObjectiveConfig]] = AlikeConfig

    @property
    def views(self):
        return MASKED_VIEW, MASKED_VIEW

    @property
    def num_draws(self):
        return 0

    def forward(self, batch):
        first, second = (self.encoder.features(view) for view in batch.views)
        loss = self.config.alike_weight * mean_square(first - second)
        return Outcome(loss, {"distance": loss.detach()}, {})
'''

ENTRY_POINTS = """
[gfp.encoders]
frames = outside_gfp:Frames

[gfp.objectives]
alike = outside_gfp:Alike
"""


def write_package(folder: Path, *, module: str = MODULE, entry_points: str = ENTRY_POINTS) -> Path:
    """Write the module and what an installer would write beside it, and return the folder, which goes on the path."""
    about = folder / "outside_gfp-1.2.dist-info"
    about.mkdir(parents=True)
    (folder / "outside_gfp.py").write_text(module)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-gfp\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(entry_points)
    return folder
