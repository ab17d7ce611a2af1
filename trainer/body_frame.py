"""Bodies as they are seen from themselves: from their own root, turned to the front, with a trunk of one length.

Where a person stands, in which direction a camera looks and how tall they are then counts for nothing. A NaN is a joint
that is lacking. Coordinates go before frames and joints: over long axes onnxruntime is several times as fast.
"""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from gfp_serve.preprocess import MODEL_LAYOUT, NOMINAL_TRUNK_M

SPINE_BASE, _SPINE_SHOULDER = (MODEL_LAYOUT.joint_names.index(name) for name in ("SpineBase", "SpineShoulder"))
# In this order they lie equally far apart, so one slice takes them all.
_SIDES = [MODEL_LAYOUT.joint_names.index(f"{name}{side}") for name in ("Shoulder", "Hip") for side in ("Left", "Right")]
# Shorter lengths are noise of joints in one place.
_SMALLEST_M = 1e-3


def in_body_frame(
    bodies: Float[Tensor, "rows frames joints 3"],
) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
    """Joints from the root of each frame, and which of them are known; 0 where they are not.

    At the spine base's place is the way of the root from its mean over the clip. Left is at larger x in the mean over
    the clip, unless the body has no depth, and the trunk is `NOMINAL_TRUNK_M` long.
    """
    given = bodies.permute(0, 3, 1, 2)
    known = ~torch.isnan(given[:, :1])
    joints, known = with_middles(torch.where(known, given, 0.0), known)
    trunk = trunk_length(joints, known)
    root, has_root = root_of(joints, known, trunk)
    scale = (NOMINAL_TRUNK_M / trunk)[:, None, None]
    turn = turn_to_front(joints, known)
    joints = turned((joints - root[..., None]) * scale[..., None], turn)
    # Where nobody is seen, there is no root.
    mean = (root * has_root).sum(dim=2, keepdim=True) / has_root.sum(dim=2, keepdim=True).clamp_min(1)
    path = turned((root - mean) * scale, turn)
    is_root = torch.arange(joints.shape[3], device=joints.device) == SPINE_BASE
    joints = torch.where(is_root, path[..., None], joints)
    known = (known & ~is_root) | (has_root[..., None] & is_root)  # onnxruntime has no Where of booleans
    return torch.where(known, joints, 0.0).permute(0, 2, 3, 1), known[:, 0]


def with_middles(
    joints: Float[Tensor, "rows 3 frames joints"], known: Bool[Tensor, "rows 1 frames joints"]
) -> tuple[Float[Tensor, "rows 3 frames joints"], Bool[Tensor, "rows 1 frames joints"]]:
    """The spine base between the hips, and the spine shoulder between the shoulders, where these are known.

    Where only one of the two is known, as in a view from the side, the middle is there. Joints are 0 where they are not
    known.
    """
    has_side = sides(known)
    between = sides(joints).sum(dim=4) / has_side.sum(dim=4).clamp_min(1)
    has_between = has_side.any(dim=4)
    place = torch.arange(joints.shape[3], device=joints.device)
    for number, middle in enumerate((_SPINE_SHOULDER, SPINE_BASE)):
        made = has_between[..., number, None] & ~known & (place == middle)
        joints, known = torch.where(made, between[..., number, None], joints), known | made
    return joints, known


def sides(of_joints: Shaped[Tensor, "rows coordinates frames joints"]) -> Shaped[Tensor, "rows coordinates frames 2 2"]:
    """What is given of the shoulders, then of the hips; of each the left one, then the right one."""
    return torch.unflatten(of_joints[..., _SIDES[0] : _SIDES[-1] + 1 : _SIDES[1] - _SIDES[0]], 3, (2, 2))


def trunk_length(
    joints: Float[Tensor, "rows 3 frames joints"], known: Bool[Tensor, "rows 1 frames joints"]
) -> Float[Tensor, " rows"]:
    """The mean length of the trunk; `NOMINAL_TRUNK_M` where it is never known."""
    both = (known[..., SPINE_BASE] & known[..., _SPINE_SHOULDER]).to(joints.dtype)
    length = (joints[..., _SPINE_SHOULDER] - joints[..., SPINE_BASE]).square().sum(dim=1, keepdim=True).sqrt()
    mean = (length * both).sum(dim=(1, 2)) / both.sum(dim=(1, 2)).clamp_min(1)
    return torch.where(mean > _SMALLEST_M, mean, NOMINAL_TRUNK_M)


def root_of(
    joints: Float[Tensor, "rows 3 frames joints"],
    known: Bool[Tensor, "rows 1 frames joints"],
    trunk: Float[Tensor, " rows"],
) -> tuple[Float[Tensor, "rows 3 frames"], Bool[Tensor, "rows 1 frames"]]:
    """The spine base; without it, a trunk's length below the shoulders; without these, the middle of what is known."""
    has_base, has_shoulders = known[..., SPINE_BASE], known[..., _SPINE_SHOULDER]
    up = torch.stack([torch.zeros_like(trunk), trunk, torch.zeros_like(trunk)], dim=1)
    below = joints[..., _SPINE_SHOULDER] - up[..., None]
    middle = (joints * known).sum(dim=3) / known.sum(dim=3).clamp_min(1)
    root = torch.where(has_base, joints[..., SPINE_BASE], torch.where(has_shoulders, below, middle))
    return root, known.any(dim=3)


def has_depth(joints: Float[Tensor, "rows 3 frames joints"]) -> Bool[Tensor, " rows"]:
    return joints[:, 2].abs().amax(dim=(1, 2)) > 0


def turn_to_front(
    joints: Float[Tensor, "rows 3 frames joints"], known: Bool[Tensor, "rows 1 frames joints"]
) -> Float[Tensor, "rows 3 3"]:
    """The turn about the vertical after which hips and shoulders lie along x over the clip, left at larger x."""
    left, right = sides(joints).unbind(dim=4)
    across = ((left - right) * sides(known).all(dim=4)).sum(dim=(2, 3))
    x, z = across[:, 0], across[:, 2]
    length = (x.square() + z.square()).sqrt()
    is_turned = (length > _SMALLEST_M) & has_depth(joints)
    cos = torch.where(is_turned, x / length.clamp_min(_SMALLEST_M), 1.0)
    sin = torch.where(is_turned, z / length.clamp_min(_SMALLEST_M), 0.0)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], dim=1).view(-1, 3, 3)


def turned(places: Float[Tensor, "rows 3 *points"], turn: Float[Tensor, "rows 3 3"]) -> Float[Tensor, "rows 3 *points"]:
    return exact_product(turn, places.flatten(2)).view(places.shape)


def bodies_turned(
    bodies: Float[Tensor, "rows frames joints 3"], turns: Float[Tensor, "rows 3 3"]
) -> Float[Tensor, "rows frames joints 3"]:
    """Each body by its turn, which is applied to column vectors."""
    # One product a body: one for each frame is several times as slow.
    return exact_product(bodies.flatten(1, 2), turns.transpose(1, 2)).view(bodies.shape)


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right` as they are. Autocast would round coordinates to bf16, by up to 4 mm between 1 m and 2 m."""
    if not is_autocast(left):
        return left @ right
    with torch.autocast(left.device.type, enabled=False):
        return left @ right


def is_autocast(given: Tensor) -> bool:
    """Whether autocast is on where this tensor is."""
    kind = given.device.type
    # torch.amp.is_autocast_available would ask the same for any device, but torch 2.11 cannot compile it.
    return kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind)
