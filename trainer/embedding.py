"""From bodies to the embedding of a clip: the one graph that is evaluated, exported and served."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gfp_serve.preprocess import MAX_BODIES, MODEL_LAYOUT, NOMINAL_TRUNK_M, SampleConfig
from trainer.body_frame import (
    SPINE_BASE,
    has_depth,
    root_of,
    sides,
    trunk_length,
    turn_to_front,
    turned,
    with_middles,
)

# Hips or shoulders further apart than this part of the trunk are not seen from the side.
_SIDE_VIEW = 0.4


def sampling_for(model: nn.Module, sampling: SampleConfig) -> SampleConfig:
    """`sampling`, with lacking joints as the model takes them: as NaN if it has a true `keep_lacking`."""
    return replace(sampling, keep_lacking=getattr(model, "keep_lacking", False))


class ClipEmbedding(nn.Module):
    """Clips → unit vectors: the mean of the features of a clip's bodies, scaled to length 1.

    `model.features` gives one vector a body. Every body counts, so the caller leaves out absent ones. `absent` are the
    features of an absent body, for a model to which every clip has two bodies: they stand for those that are left out.
    """

    absent: Tensor | None

    def __init__(self, model: nn.Module, *, absent: Float[Tensor, " size"] | None = None) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("absent", absent)

    def forward(self, clips: Float[Tensor, "batch bodies frames joints 3"]) -> Float[Tensor, "batch size"]:
        batch, bodies = clips.shape[:2]
        features = self.model.features(clips.flatten(0, 1))  # type: ignore[operator]
        features = features.view(batch, bodies, -1)
        if self.absent is None:
            return F.normalize(features.mean(dim=1), dim=1)
        num_absent = torch.sym_max(MAX_BODIES - bodies, 0)  # type: ignore[no-untyped-call]
        return F.normalize(features.sum(dim=1) + num_absent * self.absent, dim=1)


@torch.inference_mode()
def of_absent_body(model: nn.Module, num_frames: int) -> Float[Tensor, " size"]:
    """The features of a body that is zero in all frames, as `keep_absent_bodies` gives it to a model."""
    nobody = torch.zeros(1, num_frames, MODEL_LAYOUT.num_joints, 3)
    features: Tensor = model.eval().features(nobody)  # type: ignore[operator]
    return features[0].clone()


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
# From a fingertip to the root are fewer than 2 to this power joints.
_DOUBLINGS = 3


class PoseStatistics(nn.Module):
    """An embedding without learning that every encoder must beat: where the joints are, how far and how fast they move.

    Each frame is seen from its own root, the spine base, so that travel through the room counts little. The body is
    turned so that hips and shoulders face one way in the mean of the clip, unless it has no depth, and scaled so that
    its trunk is 0.5 m long. 618 numbers a body: each joint's mean position in six equal parts of the clip, twice its
    standard deviation over the clip, and eight times its mean absolute displacement over four frames (0.13 s at 30
    frames a second); last, at half weight, the mean position of the root in the six parts.

    NaN means that a joint is lacking (`preprocess.SampleConfig.keep_lacking`). Frames in which a joint is lacking do
    not count for it. A joint that is lacking throughout stands to its parent as in an upright person. In a clip without
    depth that is seen from the side, left and right overlap: a joint that is lacking while its partner on the other
    side is known stands where the partner is. Where the spine base is lacking, the root is a trunk's length below the
    shoulders; where these are lacking too, it is the middle of what is known.
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
        self.register_buffer("is_root", torch.arange(MODEL_LAYOUT.num_joints) == SPINE_BASE)
        self.register_buffer("partners", torch.tensor(_partners()))
        self.register_buffer("parents", torch.tensor([max(parent, 0) for parent in MODEL_LAYOUT.parents]))
        ways = [_way_from_parent(name) for name in MODEL_LAYOUT.joint_names]
        self.register_buffer("from_parent", torch.tensor(ways).T[:, None])  # 3, 1, joints

    def features(self, bodies: Float[Tensor, "rows frames joints 3"]) -> Float[Tensor, "rows size"]:
        # Coordinates go before frames and joints: over long axes onnxruntime is several times as fast.
        given = bodies.permute(0, 3, 1, 2)
        known = ~torch.isnan(given[:, :1])
        joints = torch.where(known, given, 0.0)
        joints, known = with_middles(*self._with_partners(joints, known))
        trunk = trunk_length(joints, known)
        root, has_root = root_of(joints, known, trunk)
        scale = (NOMINAL_TRUNK_M / trunk)[:, None, None]
        turn = turn_to_front(joints, known)
        joints = turned((joints - root[..., None]) * scale[..., None], turn) * ~self.is_root
        path = turned(root * scale, turn)[..., None]
        known = (known | self.is_root) & has_root[..., None]
        has = known.any(dim=2)
        parts = self._means_of_parts(joints, known)
        deviation = _mean((joints - _mean(joints, known)[:, :, None]).square(), known).sqrt()
        lag = self.lag_frames
        displacement = _mean((joints[:, :, lag:] - joints[:, :, :-lag]).abs(), known[:, :, lag:] & known[:, :, :-lag])
        nearest, way = self.nearest_known(has)
        parts = torch.where(has[:, :, None], parts, at_joints(parts, nearest) + way[:, :, None])
        deviation, displacement = at_joints(deviation, nearest), at_joints(displacement, nearest)
        path_parts = self._means_of_parts(path, has_root[..., None])
        return torch.cat(
            [
                parts.permute(0, 2, 3, 1).flatten(1),
                self.deviation_weight * deviation.permute(0, 2, 1).flatten(1),
                self.displacement_weight * displacement.permute(0, 2, 1).flatten(1),
                self.path_weight * path_parts.permute(0, 2, 3, 1).flatten(1),
            ],
            dim=1,
        )

    def nearest_known(
        self, has: Bool[Tensor, "rows 1 joints"]
    ) -> tuple[Int[Tensor, "rows joints"], Float[Tensor, "rows 3 joints"]]:
        """The joint that stands for each one: itself if it is known, or else the next one towards the root that is.

        And the way from there in an upright person. Where none is known, it is the root.
        """
        numbers = torch.arange(has.shape[2], device=has.device)
        nearest = torch.where(has[:, 0], numbers, self.parents)
        way = torch.where(has, 0.0, self.from_parent[:, 0])
        # One step is done. Steps of those that are already reached are added, so each round doubles them.
        for _ in range(_DOUBLINGS):
            way = way + at_joints(way, nearest)
            nearest = nearest.gather(1, nearest)
        return nearest, way

    def _with_partners(
        self, joints: Float[Tensor, "rows 3 frames joints"], known: Bool[Tensor, "rows 1 frames joints"]
    ) -> tuple[Float[Tensor, "rows 3 frames joints"], Bool[Tensor, "rows 1 frames joints"]]:
        """Without depth, each lacking joint at the place of its partner, in frames that are seen from the side."""
        left, right = sides(joints[:, :1]).unbind(dim=4)
        is_wide = (left - right).abs() > _SIDE_VIEW * trunk_length(joints, known)[:, None, None, None]
        from_the_front = (is_wide & sides(known).all(dim=4)).any(dim=3, keepdim=True)
        from_the_side = ~(from_the_front | has_depth(joints)[:, None, None, None])
        taken = ~known & known[..., self.partners] & from_the_side
        return torch.where(taken, joints[..., self.partners], joints), known | taken

    def _means_of_parts(
        self, places: Float[Tensor, "rows 3 frames points"], known: Bool[Tensor, "rows 1 frames points"]
    ) -> Float[Tensor, "rows 3 parts points"]:
        """The mean of each part of the clip; of a part in which nothing is known, that of the clip.

        Where the parts do not divide the frames, some have a frame more than others.
        """
        rows, _, frames, points = places.shape
        if frames % self.num_parts:
            part = torch.arange(frames, device=places.device) * self.num_parts // frames
            belongs = F.one_hot(part, self.num_parts).to(places.dtype).T
            weight = known.to(places.dtype)
            count, total = belongs @ weight, belongs @ (places * weight)
        else:
            split = self.num_parts, frames // self.num_parts, points
            weight = known.view(rows, 1, *split).to(places.dtype)
            count = weight.sum(dim=3)
            total = (places.reshape(rows, 3, *split) * weight).sum(dim=3)
        return torch.where(count > 0, total / count.clamp_min(1), _mean(places, known)[:, :, None])


def at_joints(
    values: Float[Tensor, "rows 3 *parts joints"], numbers: Int[Tensor, "rows joints"]
) -> Float[Tensor, "rows 3 *parts joints"]:
    """The values of the joints with these numbers."""
    numbers = numbers[:, None] if values.dim() == 3 else numbers[:, None, None]
    return values.gather(-1, numbers.expand(values.shape))


def _partners() -> list[int]:
    """The joint on the other side for each joint of the model; itself for one in the middle."""
    pairs = dict(MODEL_LAYOUT.pairs) | {right: left for left, right in MODEL_LAYOUT.pairs}
    return [pairs.get(joint, joint) for joint in range(MODEL_LAYOUT.num_joints)]


def _way_from_parent(name: str) -> tuple[float, float, float]:
    side = -1.0 if name.endswith("Right") else 1.0
    x, y, z = _FROM_PARENT.get(name.removesuffix("Left").removesuffix("Right"), (0.0, 0.0, 0.0))
    return side * x, y, z


def _mean(
    values: Float[Tensor, "rows 3 frames points"], known: Bool[Tensor, "rows 1 frames points"]
) -> Float[Tensor, "rows 3 points"]:
    """The mean over the frames that are known; 0 if none is."""
    weight = known.to(values.dtype)
    return (values * weight).sum(dim=2) / weight.sum(dim=2).clamp_min(1)
