"""Layouts of depth sensors and of data sets that were recorded with them, and of motion capture."""

from gfp_serve.layouts.layout import Layout, parents_of
from gfp_serve.layouts.names import standard_name


def _limbs(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{side}" for side in ("Left", "Right") for name in names)


NTU25 = Layout(
    "ntu25",
    ("SpineBase", "SpineMid", "Neck", "Head")
    + ("ShoulderLeft", "ElbowLeft", "WristLeft", "HandLeft", "ShoulderRight", "ElbowRight", "WristRight", "HandRight")
    + ("HipLeft", "KneeLeft", "AnkleLeft", "FootLeft", "HipRight", "KneeRight", "AnkleRight", "FootRight")
    + ("SpineShoulder", "HandTipLeft", "ThumbLeft", "HandTipRight", "ThumbRight"),
    (-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11),
    source="Kinect for Windows SDK 2.0, JointType; NTU RGB+D and PKU-MMD have it too",
)
KINECT20 = Layout(
    "kinect20",
    ("SpineBase", "SpineMid", "SpineShoulder", "Head") + NTU25.joint_names[4:20],
    (-1, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
    source="Kinect for Windows SDK 1.8, JointType (its HipCenter, Spine and ShoulderCenter come first)",
)

_AZURE_ARM = [("CLAVICLE", "SPINE_CHEST"), ("SHOULDER", "CLAVICLE"), ("ELBOW", "SHOULDER"), ("WRIST", "ELBOW")]
_AZURE_ARM += [("HAND", "WRIST"), ("HANDTIP", "HAND"), ("THUMB", "WRIST")]
_AZURE_LEG = [("HIP", "PELVIS"), ("KNEE", "HIP"), ("ANKLE", "KNEE"), ("FOOT", "ANKLE")]


def _azure_side(side: str, *joints: tuple[str, str]) -> list[tuple[str, str]]:
    middle = ("PELVIS", "SPINE_CHEST")
    return [(f"{name}_{side}", parent if parent in middle else f"{parent}_{side}") for name, parent in joints]


_AZURE_JOINTS = [
    ("PELVIS", ""),
    ("SPINE_NAVEL", "PELVIS"),
    ("SPINE_CHEST", "SPINE_NAVEL"),
    ("NECK", "SPINE_CHEST"),
    *(joint for side in ("LEFT", "RIGHT") for joint in _azure_side(side, *_AZURE_ARM)),
    *(joint for side in ("LEFT", "RIGHT") for joint in _azure_side(side, *_AZURE_LEG)),
    ("HEAD", "NECK"),
    *((name, "HEAD") for name in ("NOSE", "EYE_LEFT", "EAR_LEFT", "EYE_RIGHT", "EAR_RIGHT")),
]
AZURE32 = Layout(
    "azure32",
    tuple(name for name, _ in _AZURE_JOINTS),
    parents_of(_AZURE_JOINTS),
    {name: standard_name(name) for name, _ in _AZURE_JOINTS}
    | {f"HANDTIP_{side.upper()}": f"HandTip{side}" for side in ("Left", "Right")}
    | {f"THUMB_{side.upper()}": f"Thumb{side}" for side in ("Left", "Right")},
    source="Azure Kinect Body Tracking SDK, k4abt_joint_id_t",
)

# NiTE calls the palm "hand" and the ankle "foot"; both are the last joints of their limbs.
OPENNI15 = Layout(
    "openni15",
    ("HEAD", "NECK", "LEFT_SHOULDER", "RIGHT_SHOULDER", "LEFT_ELBOW", "RIGHT_ELBOW", "LEFT_HAND", "RIGHT_HAND")
    + ("TORSO", "LEFT_HIP", "RIGHT_HIP", "LEFT_KNEE", "RIGHT_KNEE", "LEFT_FOOT", "RIGHT_FOOT"),
    (1, 8, 1, 1, 2, 3, 4, 5, -1, 8, 8, 9, 10, 11, 12),
    {"HEAD": "Head", "NECK": "Neck", "TORSO": "SpineMid"}
    | {
        f"{side.upper()}_{name.upper()}": f"{standard}{side}"
        for side in ("Left", "Right")
        for name, standard in {
            "Shoulder": "Shoulder",
            "Elbow": "Elbow",
            "Hand": "Wrist",
            "Hip": "Hip",
            "Knee": "Knee",
            "Foot": "Ankle",
        }.items()
    },
    source="NiTE 2, JointType in NiteCEnums.h",
)
FLORENCE15 = Layout(
    "florence15",
    ("Head", "Neck", "Torso", *_limbs("Shoulder", "Elbow", "Wrist"), *_limbs("Hip", "Knee", "Ankle")),
    (1, 2, -1, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13),
    {"Torso": "SpineMid"},
    source="Florence 3D Actions dataset, Readme.txt",
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
    source="Bandai-Namco-Research-Motiondataset, the hierarchy of its BVH files",
)
