"""From bodies to the embedding of a clip: the one graph that is evaluated, exported and served."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.preprocess import MODEL_LAYOUT, NOMINAL_TRUNK_M, SampleConfig

_SPINE_BASE, _SPINE_SHOULDER = (MODEL_LAYOUT.joint_names.index(name) for name in ("SpineBase", "SpineShoulder"))
_HIPS, _SHOULDERS = (
    (MODEL_LAYOUT.joint_names.index(f"{name}Right"), MODEL_LAYOUT.joint_names.index(f"{name}Left"))
    for name in ("Hip", "Shoulder")
)
# Shorter lengths are noise of joints in one place.
_SMALLEST_M = 1e-3


def sampling_for(model: nn.Module, sampling: SampleConfig) -> SampleConfig:
    """`sampling`, with lacking joints as the model takes them: as NaN if it has a true `keep_lacking`."""
    return replace(sampling, keep_lacking=getattr(model, "keep_lacking", False))


class ClipEmbedding(nn.Module):
    """Clips → unit vectors: the mean of the features of a clip's bodies, scaled to length 1.

    `model.features` gives one vector a body. Every body counts, so the caller leaves out absent ones.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Float[Tensor, "batch bodies frames joints 3"]) -> Float[Tensor, "batch size"]:
        batch, bodies = clips.shape[:2]
        features = self.model.features(clips.flatten(0, 1))  # type: ignore[operator]
        return F.normalize(features.view(batch, bodies, -1).mean(dim=1), dim=1)


# Where each joint is when a person stands upright with hanging arms and faces along z: the way from its parent, in
# metres, for a trunk of `NOMINAL_TRUNK_M`. Limbs have the lengths of Drillis and Contini (1966), as given by Winter,
# *Biomechanics and Motor Control of Human Movement*. Hands are at the wrists: nothing tells where they point.
_FROM_PARENT = {
    "SpineMid": (0.0, 0.25, 0.0),
    "SpineShoulder": (0.0, 0.25, 0.0),
    "Neck": (0.0, 0.09, 0.0),
    "Head": (0.0, 0.14, 0.0),
    "Shoulder": (0.18, 0.0, 0.0),
    "Elbow": (0.0, -0.32, 0.0),
    "Wrist": (0.0, -0.25, 0.0),
    "Hip": (0.09, 0.0, 0.0),
    "Knee": (0.0, -0.43, 0.0),
    "Ankle": (0.0, -0.43, 0.0),
    "Foot": (0.0, -0.07, 0.12),
}
# From a fingertip to the root.
_DEPTH_OF_TREE = 8


class PoseStatistics(nn.Module):
    """An embedding without learning that every encoder must beat: where the joints are, how far and how fast they move.

    Each frame is seen from its own root, the spine base, so that travel through the room does not count. The body is
    turned so that hips and shoulders face one way in the mean of the clip, unless it has no depth, and scaled so that
    its trunk is 0.5 m long. 618 numbers a body: each joint's mean position in six equal parts of the clip, twice its
    standard deviation over the clip, and eight times its mean absolute displacement over four frames (0.13 s at 30
    frames a second); last, at half weight, the mean position of the root in the six parts.

    NaN means that a joint is lacking (`preprocess.SampleConfig.keep_lacking`). Frames in which a joint is lacking do
    not count for it. A joint that is lacking throughout stands to its parent as in an upright person. In a clip without
    depth, a joint that is lacking while its partner on the other side is known stands where the partner is: in a view
    from the side the two overlap. Where the spine base is lacking, the root is a trunk's length below the shoulders.
    """

    keep_lacking = True  # see `sampling_for`
    num_parts = 6
    lag_frames = 4
    deviation_weight, displacement_weight, path_weight = 2.0, 8.0, 0.5

    is_root: Tensor
    partners: Tensor
    parents: Tensor
    from_parent: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("is_root", torch.arange(MODEL_LAYOUT.num_joints) == _SPINE_BASE)
        self.register_buffer("partners", torch.tensor(_partners()))
        self.register_buffer("parents", torch.tensor([max(parent, 0) for parent in MODEL_LAYOUT.parents]))
        self.register_buffer("from_parent", torch.tensor([_way_from_parent(name) for name in MODEL_LAYOUT.joint_names]))

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        known = ~torch.isnan(bodies[..., 0])
        joints = torch.where(known[..., None], bodies, 0.0)
        joints, known = _with_middles(*self._with_partners(joints, known))
        trunk = _trunk(joints, known)
        root, has_root = self._root(joints, known, trunk)
        scale = (NOMINAL_TRUNK_M / trunk)[:, None, None]
        facing = _facing(joints, known)
        joints = _turned((joints - root[:, :, None]) * scale[..., None], facing) * ~self.is_root[:, None]
        path = _turned(root * scale, facing)
        joints, known = self._with_lacking(joints, (known | self.is_root) & has_root[..., None])
        mean = _mean(joints, known)
        deviation = _mean((joints - mean[:, None]).square(), known).sqrt()
        lag = self.lag_frames
        displacement = _mean((joints[:, lag:] - joints[:, :-lag]).abs(), known[:, lag:] & known[:, :-lag])
        return torch.cat(
            [
                self._means_of_parts(joints, known).flatten(1),
                self.deviation_weight * deviation.flatten(1),
                self.displacement_weight * displacement.flatten(1),
                self.path_weight * self._means_of_parts(path[:, :, None], has_root[..., None]).flatten(1),
            ],
            dim=1,
        )

    def _with_partners(
        self, joints: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
        """Without depth, each lacking joint at the place of its partner."""
        taken = ~known & known[:, :, self.partners] & ~_has_depth(joints)[:, :, None]
        return torch.where(taken[..., None], joints[:, :, self.partners], joints), known | taken

    def _root(
        self,
        joints: Float[Tensor, "rows frames joints 3"],
        known: Bool[Tensor, "rows frames joints"],
        trunk: Float[Tensor, " rows"],
    ) -> tuple[Float[Tensor, "rows frames 3"], Bool[Tensor, "rows frames"]]:
        has_base, has_shoulders = known[:, :, _SPINE_BASE], known[:, :, _SPINE_SHOULDER]
        up = torch.stack([torch.zeros_like(trunk), trunk, torch.zeros_like(trunk)], dim=1)
        below = joints[:, :, _SPINE_SHOULDER] - up[:, None]
        root = torch.where(has_base[..., None], joints[:, :, _SPINE_BASE], below)
        return root, has_base | has_shoulders

    def _with_lacking(
        self, joints: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
    ) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
        """The joints that are never known, placed by their parents."""
        has = known.any(dim=1)
        for _ in range(_DEPTH_OF_TREE):
            joints = torch.where(has[:, None, :, None], joints, joints[:, :, self.parents] + self.from_parent)
            # onnxruntime cannot choose between truth values.
            known = known | (~has[:, None] & known[:, :, self.parents])
            has = has | has[:, self.parents]
        return joints, known

    def _means_of_parts(
        self, places: Float[Tensor, "rows frames points 3"], known: Bool[Tensor, "rows frames points"]
    ) -> Float[Tensor, "rows parts points 3"]:
        """The mean of each part of the clip; of a part in which nothing is known, that of the clip."""
        rows, frames, points, _ = places.shape
        split = rows, self.num_parts, frames // self.num_parts, points
        weight = known.view(split).to(places.dtype)[..., None]
        count = weight.sum(dim=2)
        total = (places.view(*split, 3) * weight).sum(dim=2)
        return torch.where(count > 0, total / count.clamp_min(1), _mean(places, known)[:, None])


def _partners() -> list[int]:
    """The joint on the other side for each joint of the model; itself for one in the middle."""
    pairs = dict(MODEL_LAYOUT.pairs) | {right: left for left, right in MODEL_LAYOUT.pairs}
    return [pairs.get(joint, joint) for joint in range(MODEL_LAYOUT.num_joints)]


def _way_from_parent(name: str) -> tuple[float, float, float]:
    side = -1.0 if name.endswith("Right") else 1.0
    x, y, z = _FROM_PARENT.get(name.removesuffix("Left").removesuffix("Right"), (0.0, 0.0, 0.0))
    return side * x, y, z


def _mean(
    values: Float[Tensor, "rows frames points 3"], known: Bool[Tensor, "rows frames points"]
) -> Float[Tensor, "rows points 3"]:
    """The mean over the frames that are known; 0 if none is."""
    weight = known.to(values.dtype)[..., None]
    return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)


def _with_middles(
    joints: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
) -> tuple[Float[Tensor, "rows frames joints 3"], Bool[Tensor, "rows frames joints"]]:
    """The spine base between the hips, and the spine shoulder between the shoulders, where these are known."""
    place = torch.arange(joints.shape[2], device=joints.device)
    for middle, (right, left) in ((_SPINE_BASE, _HIPS), (_SPINE_SHOULDER, _SHOULDERS)):
        made = (known[:, :, right] & known[:, :, left] & ~known[:, :, middle])[..., None] & (place == middle)
        between = (joints[:, :, right] + joints[:, :, left]) / 2
        joints, known = torch.where(made[..., None], between[:, :, None], joints), known | made
    return joints, known


def _trunk(
    joints: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
) -> Float[Tensor, " rows"]:
    """The mean length of the trunk; `NOMINAL_TRUNK_M` where it is never known."""
    both = (known[:, :, _SPINE_BASE] & known[:, :, _SPINE_SHOULDER]).to(joints.dtype)
    length = (joints[:, :, _SPINE_SHOULDER] - joints[:, :, _SPINE_BASE]).square().sum(dim=2).sqrt()
    mean = (length * both).sum(dim=1) / both.sum(dim=1).clamp_min(1)
    return torch.where(mean > _SMALLEST_M, mean, NOMINAL_TRUNK_M)


def _has_depth(joints: Float[Tensor, "rows frames joints 3"]) -> Bool[Tensor, "rows 1"]:
    return joints[..., 2].abs().flatten(1).amax(dim=1, keepdim=True) > 0


def _facing(
    joints: Float[Tensor, "rows frames joints 3"], known: Bool[Tensor, "rows frames joints"]
) -> Float[Tensor, "rows 2"]:
    """Cosine and sine of the angle from x towards z at which hips and shoulders lie, right to left, over the clip."""
    across = torch.zeros_like(joints[:, 0, 0])
    for right, left in (_HIPS, _SHOULDERS):
        both = (known[:, :, right] & known[:, :, left]).to(joints.dtype)[..., None]
        across = across + ((joints[:, :, left] - joints[:, :, right]) * both).sum(dim=1)
    floor = torch.stack([across[:, 0], across[:, 2]], dim=1)
    length = floor.square().sum(dim=1, keepdim=True).sqrt()
    return torch.where(
        (length > _SMALLEST_M) & _has_depth(joints), floor / length.clamp_min(_SMALLEST_M), floor.new_tensor([1.0, 0.0])
    )


def _turned(
    places: Float[Tensor, "rows *points 3"], facing: Float[Tensor, "rows 2"]
) -> Float[Tensor, "rows *points 3"]:
    """Turned about the vertical, so that what lies at this angle lies along x."""
    cos, sin = (column.view(-1, *[1] * (places.ndim - 2)) for column in (facing[:, 0], facing[:, 1]))
    x, y, z = places.unbind(dim=-1)
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], dim=-1)
