"""GFP with windows that follow the motion of each body: short where it moves much, long where it rests.

Ours; the literature has windows of equal length only. GFP's targets are means over 6, 3 and 1 windows in time. Here the
number of windows and targets stays, and their ends move: each of the windows of a level has an equal share of the
body's time and motion, blended by `--motion-share`. At 0 windows are equally long, and the objective is `gfp`. At 1
each has as much motion as the others, so that a quick gesture in a long rest gets most of the targets.

- **Motion** of a segment is the mean size of what targets average: the differences to the next segment, over the joints
  that are seen in both. It is that of all tokens, hidden ones too, and of each body by itself, as masks are. Windows
  are counted, not learned: no gradient flows into them, and nothing can collapse.
- **Ends** lie between the frames, too. A segment that an end cuts belongs to both windows, with the shares of its time.
  So small changes of a clip move the windows by little. A mean over a window is one over its time.
- **Levels** stay nested: a window of ten segments consists of two windows of five, whatever their length.
- **The decoder** averages tokens, positions and mask tokens over the same windows as targets. So it is told when a
  window begins and ends, and with this how much the whole body moves in it, but not how, nor which joints.

Pooling by weights costs 0.016 GFLOP a clip, which `gfp-cost` does not count: it counts layers, as the papers do.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gfp_serve.settings import setting
from trainer.encoders.encoder import MaskableEncoder
from trainer.objectives.gfp import Gfp, GfpConfig
from trainer.objectives.gfp_targets import WINDOWS, TargetWindows, segment_motion
from trainer.objectives.objective import ObjectiveConfig

# Added to the motion of each segment, so that a body at rest has windows of equal length: a tenth of a millimetre.
_REST = 1e-4
# Beside a jump of kilometres, a segment at rest would be shorter than a rounding error.
_SHORTEST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class GfpAdaptiveConfig(GfpConfig):
    """The settings of GFP, and how far windows follow motion."""

    motion_share: float = setting(
        0.5, "How far windows follow motion: 0 = equally long, as in gfp; 1 = each with the same share of motion."
    )

    def __post_init__(self) -> None:
        GfpConfig.__post_init__(self)
        if not 0 <= self.motion_share <= 1:
            raise ValueError(f"--motion-share is {self.motion_share}; it must be from 0 to 1. With 0 it is gfp.")


class GfpAdaptive(Gfp):
    """GFP with windows of motion. Targets, terms and other settings are the same.

    Raises `ValueError` without a level that has more than one window in a clip.
    """

    config_type: ClassVar[type[ObjectiveConfig]] = GfpAdaptiveConfig
    config: GfpAdaptiveConfig

    def __init__(self, encoder: MaskableEncoder, config: GfpAdaptiveConfig) -> None:
        super().__init__(encoder, config)
        if all(WINDOWS.get(level, encoder.num_segments) == encoder.num_segments for level in config.level_names):
            raise ValueError(
                f"--levels is {config.levels!r}, in which one window is the whole clip; add short or mid, or choose "
                f"--objective gfp."
            )

    def windows(
        self, segments: Float[Tensor, "rows tokens coordinates"], seen: Bool[Tensor, "rows tokens"] | None
    ) -> TargetWindows:
        if not self.config.motion_share:  # gfp to the last bit
            return super().windows(segments, seen)
        joints = self.encoder.num_joints
        return MotionWindows(joints, stretched_time(motion_in_time(segments, joints, seen), self.config.motion_share))


class MotionWindows(TargetWindows):
    """Windows with equal shares of a time that goes faster where a body moves, see `stretched_time`.

    `steps` are the lengths of each body's segments in that time. All sums are float32.
    """

    def __init__(self, num_joints: int, steps: Float[Tensor, "rows segments"]) -> None:
        super().__init__(num_joints)
        self._ends = steps.cumsum(dim=1)

    def shares(self, window: int) -> Float[Tensor, "rows windows segments"]:
        """The share of each segment's time that belongs to each window; those of a segment sum to 1."""
        ends = self._ends[:, None]  # rows, 1, segments
        starts = torch.cat([torch.zeros_like(ends[..., :1]), ends[..., :-1]], dim=2)
        first = torch.arange(0, ends.shape[2], window, device=ends.device, dtype=ends.dtype)[:, None]
        # Sums are rounded, so the last window goes on to wherever the last segment ends.
        last = torch.cat([first[1:], first.new_full((1, 1), torch.inf)])
        common = (torch.minimum(ends, last) - torch.maximum(starts, first)).clamp_min(0)
        return common / (ends - starts)

    def lengths(self, window: int) -> Float[Tensor, "rows windows"]:
        """The length of each window, in segments."""
        return self.shares(window).sum(dim=2)

    def mean(self, tokens: Float[Tensor, "_ tokens width"], window: int) -> Float[Tensor, "_ pooled width"]:
        with torch.autocast(tokens.device.type, enabled=False):
            rows, _, width = tokens.shape
            grid = tokens.float().reshape(rows, -1, self.num_joints * width)
            return (self._weights(window) @ grid).reshape(len(self._ends), -1, width)

    def with_visible(
        self,
        pooled: Float[Tensor, "_ pooled width"],
        tokens: Float[Tensor, "rows visible width"],
        visible: Int[Tensor, "rows visible"],
        window: int,
    ) -> Float[Tensor, "rows pooled width"]:
        with torch.autocast(tokens.device.type, enabled=False):
            weights = self._weights(window)
            segment, joint = visible // self.num_joints, visible % self.num_joints
            in_window = weights.gather(2, segment[:, None].expand(-1, weights.shape[1], -1))  # rows, windows, visible
            is_joint = joint[:, None] == torch.arange(self.num_joints, device=joint.device)[:, None]
            share = (in_window[:, :, None] * is_joint[:, None]).flatten(1, 2)  # rows, pooled, visible
            return pooled + share @ tokens.float()

    def merged(
        self, level: Float[Tensor, "rows pooled width"], window: int, wider: int
    ) -> Float[Tensor, "rows merged width"]:
        with torch.autocast(level.device.type, enabled=False):
            rows, _, width = level.shape
            lengths = self.lengths(window).reshape(rows, -1, wider // window)
            share = (lengths / lengths.sum(dim=2, keepdim=True))[..., None, None]
            parts = level.float().reshape(*lengths.shape, self.num_joints, width)
            return (share * parts).sum(dim=2).flatten(1, 2)

    def _weights(self, window: int) -> Float[Tensor, "rows windows segments"]:
        shares = self.shares(window)
        return shares / shares.sum(dim=2, keepdim=True)


def motion_in_time(
    segments: Float[Tensor, "rows tokens coordinates"],
    num_joints: int,
    seen: Bool[Tensor, "rows tokens"] | None = None,
) -> Float[Tensor, "rows segments"]:
    """How much each body moves from a segment to the next, in metres: the mean over coordinates of joints seen in both.

    The last segment has no next one and 0.
    """
    size = segment_motion(segments.detach().float(), num_joints).abs().mean(dim=2)
    motion = size.reshape(len(size), -1, num_joints)  # rows, segments, joints
    if seen is None:
        return motion.mean(dim=2)
    is_seen = seen.reshape(motion.shape)
    in_both = is_seen & torch.cat([is_seen[:, 1:], is_seen[:, -1:]], dim=1)
    return (motion * in_both).sum(dim=2) / in_both.sum(dim=2).clamp_min(1)


def stretched_time(motion: Float[Tensor, "rows segments"], motion_share: float) -> Float[Tensor, "rows segments"]:
    """The length of each segment in a time that goes faster where a body moves; on average 1.

    It is 1 − `motion_share`, plus `motion_share` times the segment's motion over the mean motion of the body, and at
    least `_SHORTEST`.
    """
    moved = motion + _REST
    relative = moved / moved.mean(dim=1, keepdim=True)
    return (1 + motion_share * (relative - 1)).clamp_min(_SHORTEST)
