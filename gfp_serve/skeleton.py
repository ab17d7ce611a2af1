"""Joint layouts, how they map to each other by joint names, and which sequences are valid.

A sequence is float32 with axes frames, bodies, joints, 3: metres, y up, right-handed; NaN = not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from jaxtyping import Float, Float32

from gfp_serve.errors import InvalidSkeletonError, UnknownLayoutError, quoted

# A coordinate beyond this is not of a person near a sensor, or its unit is not the metre.
MAX_COORDINATE_M = 1_000.0


@dataclass(frozen=True, slots=True)
class Layout:
    """A named order of joints. `canonical` renames joints to the names of the Kinect, in which mappings are written."""

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]  # index of each joint's parent, -1 for the root
    canonical: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    @property
    def canonical_names(self) -> tuple[str, ...]:
        return tuple(self.canonical.get(name, name) for name in self.joint_names)


def _limbs(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{side}" for side in ("Left", "Right") for name in names)


NTU25 = Layout(
    "ntu25",
    ("SpineBase", "SpineMid", "Neck", "Head")
    + ("ShoulderLeft", "ElbowLeft", "WristLeft", "HandLeft", "ShoulderRight", "ElbowRight", "WristRight", "HandRight")
    + ("HipLeft", "KneeLeft", "AnkleLeft", "FootLeft", "HipRight", "KneeRight", "AnkleRight", "FootRight")
    + ("SpineShoulder", "HandTipLeft", "ThumbLeft", "HandTipRight", "ThumbRight"),
    (-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11),
)
KINECT20 = Layout(
    "kinect20",
    ("SpineBase", "SpineMid", "SpineShoulder", "Head") + NTU25.joint_names[4:20],
    (-1, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
)
FLORENCE15 = Layout(
    "florence15",
    ("Head", "Neck", "Torso", *_limbs("Shoulder", "Elbow", "Wrist"), *_limbs("Hip", "Knee", "Ankle")),
    (1, 2, -1, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13),
    {"Torso": "SpineMid"},
)
# Motion capture names a joint after the bone that starts there: its `UpperArm` is the shoulder, its `Hand` the wrist.
_BANDAI_CANONICAL = {"Hips": "SpineBase", "Spine": "SpineMid", "Chest": "Chest", "Neck": "Neck", "Head": "Head"} | {
    f"{bone}_{side[0]}": f"{joint}{side}"
    for side in ("Left", "Right")
    for bone, joint in {
        "Shoulder": "Clavicle",
        "UpperArm": "Shoulder",
        "LowerArm": "Elbow",
        "Hand": "Wrist",
        "UpperLeg": "Hip",
        "LowerLeg": "Knee",
        "Foot": "Ankle",
        "Toes": "Foot",
    }.items()
}
BANDAI21 = Layout(
    "bandai21",
    ("Hips", "Spine", "Chest", "Neck", "Head")
    + ("Shoulder_L", "UpperArm_L", "LowerArm_L", "Hand_L", "Shoulder_R", "UpperArm_R", "LowerArm_R", "Hand_R")
    + ("UpperLeg_L", "LowerLeg_L", "Foot_L", "Toes_L", "UpperLeg_R", "LowerLeg_R", "Foot_R", "Toes_R"),
    (-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19),
    _BANDAI_CANONICAL,
)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (NTU25, KINECT20, FLORENCE15, BANDAI21)}

# How a joint that a layout lacks is made: by the first recipe whose joints all exist, as weights over joints.
_RECIPES: dict[str, tuple[dict[str, float], ...]] = {
    "SpineBase": ({"HipLeft": 0.5, "HipRight": 0.5},),
    "SpineShoulder": ({"ShoulderLeft": 0.5, "ShoulderRight": 0.5},),
    "SpineMid": ({"SpineBase": 0.5, "SpineShoulder": 0.5},),
    "Neck": ({"SpineShoulder": 0.5, "Head": 0.5},),
    "Head": ({"Neck": 1.0},),
    **{f"Hand{side}": ({f"Wrist{side}": 1.0},) for side in ("Left", "Right")},
    **{f"HandTip{side}": ({f"Hand{side}": 1.0},) for side in ("Left", "Right")},
    **{f"Thumb{side}": ({f"Hand{side}": 1.0},) for side in ("Left", "Right")},
    **{f"Foot{side}": ({f"Ankle{side}": 1.0},) for side in ("Left", "Right")},
}


def layout_named(name: str) -> Layout:
    """The layout with this name. Raises `UnknownLayoutError`, which lists the names, if there is none."""
    try:
        return LAYOUTS[name]
    except KeyError:
        known = ", ".join(sorted(LAYOUTS))
        raise UnknownLayoutError(f"there is no joint layout {quoted(name)}; choose one of {known}.") from None


def layout_of(joint_names: Sequence[str], parents: Sequence[int]) -> Layout:
    """The known layout with exactly these joints in this order; otherwise a new one, with these as canonical names.

    Raises `UnknownLayoutError` when ntu25 cannot be derived from the names.
    """
    for layout in LAYOUTS.values():
        if layout.joint_names == tuple(joint_names):
            return layout
    layout = Layout("custom", tuple(map(str, joint_names)), tuple(map(int, parents)))
    mapping_matrix(layout, NTU25)
    return layout


@cache
def mapping_matrix(source: Layout, target: Layout) -> Float32[np.ndarray, "target_joints source_joints"]:
    """Weights that make each target joint from the source joint of the same name, or from its nearest relatives.

    A missing hand is the wrist, a missing foot the ankle, and a missing spine point lies between its neighbours.
    Raises `UnknownLayoutError`, which names the first joint that cannot be made.
    """
    rows = dict(zip(source.canonical_names, np.eye(source.num_joints), strict=True))

    def row_of(name: str, above: frozenset[str]) -> Float[np.ndarray, " source_joints"] | None:
        if name in rows:
            return rows[name]
        for recipe in _RECIPES.get(name, ()):
            parts = [(weight, row_of(part, above | {name})) for part, weight in recipe.items() if part not in above]
            found = [weight * row for weight, row in parts if row is not None]
            if len(found) == len(recipe):
                return np.sum(found, axis=0)
        return None

    matrix = []
    for name in target.canonical_names:
        row = row_of(name, frozenset())
        if row is None:
            raise UnknownLayoutError(
                f"layout {source.name!r} cannot be mapped to {target.name!r}: it has neither a joint {name!r} nor the "
                f"joints from which it can be derived; its joints are {', '.join(source.joint_names)}."
            )
        matrix.append(row)
    return np.asarray(matrix, dtype=np.float32)


def map_joints(
    sequence: Float32[np.ndarray, "frames bodies source_joints 3"], source: Layout, target: Layout
) -> Float32[np.ndarray, "frames bodies target_joints 3"]:
    """A sequence without gaps in another layout; see `mapping_matrix`."""
    if source == target:
        return sequence
    return np.einsum("ts,fbsc->fbtc", mapping_matrix(source, target), sequence)


def check_sequence(sequence: np.ndarray, layout: Layout) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """The sequence as float32 with a body axis.

    It may be frames × joints × 3 or frames × bodies × joints × 3. NaN means "not seen" and is allowed; infinity is not.
    Raises `InvalidSkeletonError`, which says what is wrong.
    """
    if not isinstance(sequence, np.ndarray) or sequence.dtype.kind not in "fiu":
        kind = getattr(sequence, "dtype", type(sequence).__name__)
        raise InvalidSkeletonError(f"a sequence must be an array of numbers, got {kind}; send float32 metres.")
    shape = sequence.shape
    if sequence.ndim == 3:
        sequence = sequence[:, None]
    if sequence.ndim != 4 or sequence.shape[2:] != (layout.num_joints, 3):
        raise InvalidSkeletonError(
            f"a {layout.name} sequence must have shape frames × bodies × {layout.num_joints} × 3 (or frames × "
            f"{layout.num_joints} × 3 for one body), got {' × '.join(map(str, shape)) or 'a single number'}; "
            f"check the axis order and the layout's name."
        )
    if 0 in sequence.shape:
        raise InvalidSkeletonError(
            f"the sequence has {shape[0]} frames and {sequence.shape[1]} bodies; send at least 1."
        )
    # A float64 beyond the range of float32 becomes infinite, which the next check finds.
    with np.errstate(over="ignore"):
        sequence = sequence.astype(np.float32)
    too_far = np.abs(sequence) > MAX_COORDINATE_M  # infinity too, NaN not
    if too_far.any():
        bad = np.argwhere(too_far)
        frame, body, joint, axis = (int(index) for index in bad[0])
        raise InvalidSkeletonError(
            f"{len(bad)} coordinates are infinite or beyond {MAX_COORDINATE_M:g} m, the first at frame {frame}, "
            f"body {body}, joint {layout.joint_names[joint]!r}, axis {'xyz'[axis]}; coordinates are metres (divide "
            f"millimetres by 1000), and joints that the tracker lost are NaN."
        )
    return sequence
