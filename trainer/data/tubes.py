"""Semantic tube masks: neighbouring joints of a limb are hidden together, over neighbouring segments (SLiM).

Single hidden tokens can be guessed from the joints and the moments beside them. Tubes leave less of that.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gfp_serve.preprocess import MODEL_LAYOUT

_ARMS = ("Shoulder", "Elbow", "Wrist", "Hand", "Thumb")
_LEGS = ("Hip", "Knee", "Ankle", "Foot")

# A mask is done after this many tubes in a row that would hide too much or nothing new.
_MOST_FAILURES = 10
_DRAWS_OF_TUBE = 5
# A share, and the numbers of as many tubes as nearly always suffice.
NUM_TUBE_DRAWS = 1 + _DRAWS_OF_TUBE * 40


def semantic_tubes(
    uniform: Float[Tensor, "rows draws"],
    num_segments: Int[Tensor, " rows"],
    most_segments: int,
    *,
    least: float = 0.5,
    most: float = 0.9,
) -> Bool[Tensor, "rows tokens"]:
    """Which of the tokens of `most_segments` segments are hidden, after SLiM's public code.

    A row has `num_segments` segments; those beyond are not hidden. Its share of hidden tokens is drawn from `least` to
    `most`. Tube after tube is tried: a limb of five, a run of its joints, an area up to what is left to hide (at most
    half of `most_segments`), the run of segments that makes up that area, and where it begins. A tube is laid if it
    hides something new, and no more than is left. Ten failures in a row end the mask.

    `uniform` has numbers in [0, 1): the share, then five for each tube. A row whose numbers are used up keeps what was
    hidden until then; with `NUM_TUBE_DRAWS` numbers that is rare.
    """
    return _laid(uniform, num_segments, most_segments, least, most)


# One operator for torch.compile, which would otherwise take a minute to look at a thousand small ones.
@torch.library.custom_op(
    "gfp::semantic_tubes",
    mutates_args=(),
    schema="(Tensor uniform, Tensor num_segments, int most_segments, float least, float most) -> Tensor",
)
def _laid(uniform: Tensor, num_segments: Tensor, most_segments: int, least: float, most: float) -> Tensor:
    rows, joints = len(uniform), MODEL_LAYOUT.num_joints
    limbs = torch.tensor(_LIMBS, device=uniform.device)  # limbs, joints: the place in its limb, or -1
    sizes = (limbs >= 0).sum(dim=1)
    wanted = (joints * num_segments * (least + (most - least) * uniform[:, 0])).long()
    largest = most_segments * joints // 2
    hidden = torch.zeros((rows, most_segments, joints), dtype=torch.bool, device=uniform.device)
    count, failures = torch.zeros_like(wanted), torch.zeros_like(wanted)
    segment = torch.arange(most_segments, device=uniform.device)
    for tube in uniform[:, 1:].unfold(1, _DRAWS_OF_TUBE, _DRAWS_OF_TUBE).unbind(1):
        limb = _one_of(tube[:, 0], torch.full_like(count, len(_LIMBS)))
        width = 1 + _one_of(tube[:, 1], sizes[limb])
        first = _one_of(tube[:, 2], sizes[limb] - width + 1)
        left = (wanted - count).clamp_max(largest)
        area = num_segments + (left - num_segments) * tube[:, 3]
        length = torch.minimum((area / width).round().long().clamp_min(1), num_segments)
        start = _one_of(tube[:, 4], num_segments - length + 1)
        place = limbs[limb] - first[:, None]
        of_joints = (place >= 0) & (place < width[:, None]) & (limbs[limb] >= 0)
        of_time = (segment >= start[:, None]) & (segment < (start + length)[:, None])
        covered = of_time[:, :, None] & of_joints[:, None, :]
        new = (covered & ~hidden).sum(dim=(1, 2))
        is_laid = (new > 0) & (new <= left) & (failures < _MOST_FAILURES)
        hidden = hidden | (covered & is_laid[:, None, None])
        count = count + new * is_laid
        failures = torch.where(is_laid, 0, failures + 1)
    return hidden.flatten(1)


@_laid.register_fake
def _(uniform: Tensor, _num_segments: Tensor, most_segments: int, _least: float, _most: float) -> Tensor:
    return uniform.new_empty((len(uniform), most_segments * MODEL_LAYOUT.num_joints), dtype=torch.bool)


def _one_of(uniform: Float[Tensor, " rows"], count: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """A whole number from 0 to `count` − 1."""
    # Rounding may give the count itself.
    return torch.minimum((uniform * count).long(), count - 1)


def _groups() -> list[int]:
    """For each joint 0 for the trunk with the head, 1 for arms, 2 for legs."""
    return [1 if name.startswith(_ARMS) else 2 if name.startswith(_LEGS) else 0 for name in MODEL_LAYOUT.joint_names]


def _limbs() -> list[list[int]]:
    """For each of five limbs, the place of each joint in it, from the trunk outwards; -1 for joints of other limbs."""
    found = []
    for group, side in ((0, ""), (1, "Left"), (1, "Right"), (2, "Left"), (2, "Right")):
        named = enumerate(MODEL_LAYOUT.joint_names)
        of_limb = [joint for joint, name in named if GROUP_OF_JOINT[joint] == group and name.endswith(side)]
        of_limb.sort(key=_depth)
        found.append([of_limb.index(joint) if joint in of_limb else -1 for joint in range(MODEL_LAYOUT.num_joints)])
    return found


def _depth(joint: int) -> int:
    parent = MODEL_LAYOUT.parents[joint]
    return 0 if parent < 0 else 1 + _depth(parent)


GROUP_OF_JOINT = _groups()
_LIMBS = _limbs()
