"""How a step changes clips so that only what people do counts: not when, how fast, from where, or by which sensor.

The clips are cut, warped in time, mirrored, shaken and turned; people hold still before and after; joints are taken
away as other sensors lack them; and some clips lose their travel or their depth. All draws are a function of the step.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from gfp_serve.layouts import LAYOUTS, joint_sources
from gfp_serve.preprocess import MODEL_LAYOUT
from gfp_serve.settings import setting
from trainer.body_frame import bodies_turned
from trainer.data.rotations import rotations

# A window has at least this many frames, if its clip has them.
_MIN_FRAMES = 24
# Points at which the speed of time is drawn; it goes straight between them.
_WARP_POINTS = 6
# Of logarithms. Beyond it, the numbers of a step overflow.
_LARGEST_SPREAD = 2.0
# Of a clip that loses joints, the share of joints, and the largest share of its frames in which one is lost.
_LOST_JOINTS = 0.2
_LONGEST_LOSS = 0.6
# A turn is about the vertical first, then about x, then about z.
_YAW_FIRST = (1, 0, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralViewsConfig:
    """Strengths of the changes. Angles are in radians and lengths in metres. Raises `ValueError` for a wrong one."""

    window_share: float = setting(0.5, "Least share of a clip that a window takes; the most is all.")
    time_warp: float = setting(0.35, "Spread (std) of the logarithm of speed along a window.")
    rest_odds: float = setting(0.4, "Odds that a person holds still before and after.")
    rest_share: float = setting(0.6, "Largest share of a window in which a person holds still.")
    other_motion_odds: float = setting(0.4, "Odds that a person does something else instead of holding still.")
    mirror_odds: float = setting(0.5, "Odds that left and right are swapped.")
    yaw: float = setting(0.4, "Spread (std) of turns about the vertical.")
    tilt: float = setting(0.08, "Spread (std) of turns about the other two axes.")
    scale: float = setting(0.12, "Spread (std) of sizes.")
    limb_lengths: float = setting(0.1, "Spread (std) of the logarithm of each limb's length, the same on both sides.")
    offset_m: float = setting(0.01, "Spread (std) of a joint's constant error.")
    noise_m: float = setting(0.02, "Largest spread (std) of a joint's error in each frame.")
    no_travel_odds: float = setting(0.25, "Odds that each frame is seen from its root, as MediaPipe's are.")
    other_layout_odds: float = setting(0.4, "Odds that a clip has the joints that another layout gives.")
    hidden_legs_odds: float = setting(0.15, "Odds that legs are not seen; half of the time hips are not either.")
    lost_joints_odds: float = setting(0.35, "Odds that some joints are lost for a while.")
    flat_odds: float = setting(0.25, "Odds that a camera takes the depth away.")

    def __post_init__(self) -> None:
        shares = ("rest_odds", "rest_share", "other_motion_odds", "mirror_odds", "no_travel_odds", "other_layout_odds")
        for name in (*shares, "hidden_legs_odds", "lost_joints_odds", "flat_odds"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to 1.")
        if not 0 < self.window_share <= 1:
            raise ValueError(f"--window-share is {self.window_share}; it must be above 0 and at most 1.")
        if self.rest_share == 1:
            raise ValueError("--rest-share is 1, so nobody would move; it must be below 1.")
        for name in ("time_warp", "limb_lengths"):
            if not 0 <= getattr(self, name) <= _LARGEST_SPREAD:
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be from 0 to {_LARGEST_SPREAD:g}, "
                    f"a spread by factors of seven."
                )
        for name in ("yaw", "tilt", "scale", "offset_m", "noise_m"):
            if not 0 <= getattr(self, name) < math.inf:  # NaN too
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be 0 or more.")


class Moments(NamedTuple):
    """When a step sees its clips."""

    in_clip: Float64[Tensor, "clips num_frames"]  # what each frame of a view shows: 0 is the first frame of its clip
    before: Int[Tensor, " clips"]  # number of a view's frames before its window begins, in which nothing moves
    after: Int[Tensor, " clips"]  # the same after it ended


class Seen(NamedTuple):
    """What a step sees of its clips."""

    bodies: Float[Tensor, "clips frames joints 3"]  # NaN = lacking
    mirrored: Bool[Tensor, " clips"]


def draw_moments(
    length: Int[Tensor, " clips"], num_frames: int, config: GeneralViewsConfig, draws: torch.Generator
) -> Moments:
    """Windows of clips of these lengths in frames, with warped time, and rest before and after."""
    count, frames = len(length), length.double()
    share = _uniform(count, draws, config.window_share, 1.0).double()
    window = torch.minimum((frames * share).clamp_min(_MIN_FRAMES), frames)
    start = _uniform(count, draws).double() * (frames - window)
    speed = (config.time_warp * _normal((count, _WARP_POINTS), draws)).exp()
    speed = torch.nn.functional.interpolate(speed[:, None], num_frames, mode="linear", align_corners=True)[:, 0]
    time = speed.cumsum(dim=1)
    time = (time - time[:, :1]) / (time[:, -1:] - time[:, :1])  # from 0 to 1
    rests = _uniform(count, draws) < config.rest_odds
    rest = torch.where(rests, _uniform(count, draws, 0.0, config.rest_share), 0.0)
    before = rest * _uniform(count, draws)
    # Time is warped: the share of a view's frames that hold still is not that of its time.
    held_before = (time < before[:, None]).sum(dim=1)
    held_after = (time > (1 - (rest - before))[:, None]).sum(dim=1)
    time = ((time - before[:, None]) / (1 - rest)[:, None]).clamp(0, 1)
    return Moments(start[:, None] + time.double() * (window - 1)[:, None], held_before, held_after)


def with_other_motion(
    bodies: Float[Tensor, "clips frames joints 3"],
    moments: Moments,
    may_join: Bool[Tensor, "clips clips"],
    config: GeneralViewsConfig,
    draws: torch.Generator,
) -> Float[Tensor, "clips frames joints 3"]:
    """Some of the clips do something else where they held still: the end of another clip, and the beginning of a third.

    `may_join` says for each clip which others may join it. They are moved on the ground so that the body goes on from
    where it was. Clips that no other may join stay as they are.
    """
    count, frames = bodies.shape[:2]
    is_joined = may_join.any(dim=1) & (_uniform(count, draws) < config.other_motion_odds)
    clip, frame = torch.arange(count, device=bodies.device), torch.arange(frames, device=bodies.device)
    root, on_ground = _roots(bodies)[:, :, 0], _on(bodies.device).on_ground
    joined = bodies
    for length, is_before in ((moments.before, True), (moments.after, False)):
        odds = torch.rand((count, count), generator=draws, device=draws.device)
        other = odds.masked_fill(~may_join, -1).argmax(dim=1)
        # The other's last frames come before, and its first ones after.
        place = frame + (frames - length)[:, None] * (1 if is_before else -1)
        taken = (place < frames if is_before else place >= 0) & is_joined[:, None]
        edge = length.clamp_max(frames - 1) if is_before else (frames - 1 - length).clamp_min(0)
        shift = (root[clip, edge] - root[other, -1 if is_before else 0]) * on_ground
        theirs = bodies[other[:, None], place.clamp(0, frames - 1)] + shift[:, None, None]
        joined = torch.where(taken[..., None, None], theirs, joined)
    return joined


def change(
    bodies: Float[Tensor, "clips frames joints 3"],
    config: GeneralViewsConfig,
    draws: torch.Generator,
    *,
    in_pairs: bool = False,
) -> Seen:
    """Windows of clips (see `draw_moments`), changed in space. Joints of an image, which have no depth, get none.

    With `in_pairs`, the second half are other windows of the first half's clips, and are mirrored with these: a
    mirrored action is another action.
    """
    count, frames, joints, _ = bodies.shape
    mirrored = _uniform(count, draws) < config.mirror_odds
    if in_pairs:
        mirrored = mirrored[: count // 2].repeat(2)
    seen = torch.where(_each(mirrored), mirror(bodies), bodies)
    seen = with_limb_lengths(seen, (config.limb_lengths * _normal((count, joints), draws)).exp())
    noise = config.noise_m * _uniform(count, draws)
    seen = seen + config.offset_m * _normal((count, 1, joints, 3), draws)
    seen = seen + _each(noise) * _normal((count, frames, joints, 3), draws)
    deep = _have_depth(bodies)
    seen = torch.where(_each(deep), seen, seen * _on(bodies.device).in_plane)
    stays = _uniform(count, draws) < config.no_travel_odds
    seen = torch.where(_each(stays), seen - _roots(seen), seen)
    others = _uniform(count, draws) < config.other_layout_odds
    chosen = torch.randint(len(LAYOUT_WEIGHTS), (count,), generator=draws, device=bodies.device)
    seen = torch.where(_each(others), as_other_layout(seen, chosen), seen)
    hidden = _uniform(count, draws)
    legs, hips = _on(bodies.device).legs, _on(bodies.device).hips
    unseen = (legs & (hidden < config.hidden_legs_odds)[:, None]) | (
        hips & (hidden < config.hidden_legs_odds / 2)[:, None]
    )
    seen = seen.masked_fill(unseen[:, None, :, None], torch.nan)
    seen = torch.where(_lost(count, frames, joints, config, draws)[..., None], torch.nan, seen)
    flat = (_uniform(count, draws) < config.flat_odds) & deep  # a camera beside an image would see a line
    yaw, pitch = _uniform(count, draws, -math.pi, math.pi), _uniform(count, draws, -0.35, 0.2)
    roll = 0.1 * _normal((count,), draws)
    image = bodies_turned(seen, rotations(torch.stack([pitch, yaw, roll], dim=1), _YAW_FIRST))
    image = torch.cat([image[..., :2], torch.where(image[..., 2:].isnan(), torch.nan, 0.0)], dim=-1)
    return Seen(torch.where(_each(flat), image, seen), mirrored)


def draw_turns(
    bodies: Float[Tensor, "clips frames joints 3"], config: GeneralViewsConfig, draws: torch.Generator
) -> Float[Tensor, "clips 3 3"]:
    """Small turns and scales for bodies that were put into their own frame (see `body_frame`), which is wrong at times.

    They are applied to column vectors. Bodies without depth are turned in their plane alone.
    """
    count = len(bodies)
    deep = _have_depth(bodies).to(bodies.dtype)
    yaw, pitch, roll = (_normal((count,), draws) for _ in range(3))
    angles = torch.stack([config.tilt * pitch * deep, config.yaw * yaw * deep, config.tilt * roll], dim=1)
    turn = rotations(angles, _YAW_FIRST)
    size = (1 + config.scale * _normal((count,), draws)).clamp(0.5, 1.5)
    return turn * size[:, None, None]


def mirror(bodies: Float[Tensor, "clips frames joints 3"]) -> Float[Tensor, "clips frames joints 3"]:
    """Left and right swapped."""
    tables = _on(bodies.device)
    return bodies[:, :, tables.partners] * tables.other_side


def with_limb_lengths(
    bodies: Float[Tensor, "clips frames joints 3"], factors: Float[Tensor, "clips joints"]
) -> Float[Tensor, "clips frames joints 3"]:
    """Each joint further from its parent by its factor, and all that hangs on it moved along.

    Of two partners, the second takes the factor of the first. Where the parent is lacking, a joint keeps its
    way from there.
    """
    tables = _on(bodies.device)
    bones = (bodies - bodies[:, :, tables.parents]).nan_to_num()
    longer = bones * (factors[:, tables.first_partners] - 1)[:, None, :, None]
    return bodies + _made_of(longer, tables.on_the_way)


def as_other_layout(
    bodies: Float[Tensor, "clips frames joints 3"], chosen: Int[Tensor, " clips"]
) -> Float[Tensor, "clips frames joints 3"]:
    """The model's joints as other layouts give them: some are lacking, some are made of others, as a neck of shoulders.

    `chosen` counts those of `LAYOUT_WEIGHTS`. What is made of a lacking joint is lacking.
    """
    weights = _on(bodies.device).layouts[chosen]
    is_used = weights != 0
    made = _made_of(bodies.nan_to_num(), weights)
    lacking = bodies[..., :1].isnan().to(bodies.dtype)
    spoiled = _made_of(lacking, is_used.to(bodies.dtype)) > 0
    return made.masked_fill(spoiled | ~is_used.any(dim=2)[:, None, :, None], torch.nan)


def _have_depth(bodies: Float[Tensor, "clips frames joints 3"]) -> Bool[Tensor, " clips"]:
    """Whether any joint has depth. Joints of an image have z = 0 in every frame."""
    return (bodies[..., 2].nan_to_num() != 0).flatten(1).any(dim=1)


def _roots(bodies: Float[Tensor, "clips frames joints 3"]) -> Float[Tensor, "clips frames 1 3"]:
    """The spine base of each frame, or the middle of what is seen, or 0 where nothing is."""
    return torch.where(bodies[:, :, :1].isnan(), bodies.nanmean(dim=2, keepdim=True).nan_to_num(), bodies[:, :, :1])


def _made_of(
    bodies: Float[Tensor, "clips frames joints values"], weights: Float[Tensor, "*clips joints joints"]
) -> Float[Tensor, "clips frames joints values"]:
    """Each joint as a mix of the joints. One product a clip: one for each frame is several times as slow."""
    of_joints = bodies.transpose(1, 2)  # clips, joints, frames, values
    return (weights @ of_joints.flatten(2)).view(of_joints.shape).transpose(1, 2)


def _lost(
    count: int, frames: int, joints: int, config: GeneralViewsConfig, draws: torch.Generator
) -> Bool[Tensor, "clips frames joints"]:
    """Which joints are lost in which frames: each of some joints for one span."""
    loses = (_uniform(count, draws) < config.lost_joints_odds)[:, None]
    is_lost = loses & (torch.rand((count, joints), generator=draws, device=draws.device) < _LOST_JOINTS)
    span = torch.rand((2, count, joints), generator=draws, device=draws.device)
    length = _LONGEST_LOSS * span[0]
    start = (1 - length) * span[1]
    time = (torch.arange(frames, device=draws.device) / frames)[None, :, None]
    return is_lost[:, None] & (time >= start[:, None]) & (time < (start + length)[:, None])


def _on_the_way() -> Tensor:
    """Row j has a 1 for each joint on the way from joint j to the root, and for j itself."""
    rows = torch.eye(MODEL_LAYOUT.num_joints)
    for joint in range(MODEL_LAYOUT.num_joints):
        at = joint
        while (at := MODEL_LAYOUT.parents[at]) >= 0:
            rows[joint, at] = 1
    return rows


def _partners() -> Tensor:
    pairs = dict(MODEL_LAYOUT.pairs) | {right: left for left, right in MODEL_LAYOUT.pairs}
    return torch.tensor([pairs.get(joint, joint) for joint in range(MODEL_LAYOUT.num_joints)])


def _named(*beginnings: str) -> Tensor:
    return torch.tensor([name.startswith(beginnings) for name in MODEL_LAYOUT.joint_names])


def _layout_weights() -> Tensor:
    """How each known layout makes the model's joints of those of the model's that it has; 0 for joints that it lacks.

    A joint that it makes of others which the model does not have, as a head of ears, is one that it has.
    """
    names = MODEL_LAYOUT.joint_names
    found: list[Tensor] = []
    for layout in LAYOUTS.values():
        canonical = dict(zip(layout.joint_names, layout.canonical_names, strict=True))
        rows = torch.eye(len(names))
        for row, made in zip(rows, joint_sources(layout, MODEL_LAYOUT), strict=True):
            parts = {canonical[joint]: weight for joint, weight in made.weights.items()}
            if made.status == "lacking":
                row.zero_()
            elif made.status == "derived" and parts.keys() <= set(names):
                row.zero_()
                for joint, weight in parts.items():
                    row[names.index(joint)] = weight
        if not any(torch.equal(rows, other) for other in found):
            found.append(rows)
    return torch.stack(found)


_PARTNERS = _partners()
# The layouts that differ in what the model sees of them.
LAYOUT_WEIGHTS = _layout_weights()


class _Tables(NamedTuple):
    partners: Int[Tensor, " joints"]
    first_partners: Int[Tensor, " joints"]
    parents: Int[Tensor, " joints"]
    on_the_way: Float[Tensor, "joints joints"]
    other_side: Float[Tensor, " 3"]  # factors that swap left and right
    on_ground: Float[Tensor, " 3"]  # factors that take the height away
    in_plane: Float[Tensor, " 3"]  # factors that take the depth away
    legs: Bool[Tensor, " joints"]
    hips: Bool[Tensor, " joints"]
    layouts: Float[Tensor, "layouts joints joints"]


@functools.cache
def _on(device: torch.device) -> _Tables:
    """What never changes, copied to a device once: a copy in each step would wait for it."""
    tables = _Tables(
        partners=_PARTNERS,
        first_partners=torch.minimum(_PARTNERS, torch.arange(MODEL_LAYOUT.num_joints)),
        parents=torch.tensor([max(parent, 0) for parent in MODEL_LAYOUT.parents]),
        on_the_way=_on_the_way(),
        other_side=torch.tensor([-1.0, 1.0, 1.0]),
        on_ground=torch.tensor([1.0, 0.0, 1.0]),
        in_plane=torch.tensor([1.0, 1.0, 0.0]),
        legs=_named("Knee", "Ankle", "Foot"),
        hips=_named("Hip", "SpineBase"),
        layouts=LAYOUT_WEIGHTS,
    )
    return _Tables(*(table.to(device) for table in tables))


def _each(values: Float[Tensor, " clips"] | Bool[Tensor, " clips"]) -> Tensor:
    return values[:, None, None, None]


def _uniform(count: int, draws: torch.Generator, low: float = 0.0, high: float = 1.0) -> Float[Tensor, " count"]:
    return low + (high - low) * torch.rand(count, generator=draws, device=draws.device)


def _normal(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=draws, device=draws.device)
