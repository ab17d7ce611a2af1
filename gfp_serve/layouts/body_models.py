"""Layouts of body models: SMPL's family, and Human3.6M's."""

import itertools
from collections.abc import Mapping, Sequence

from gfp_serve.layouts.layout import Layout, parents_of

_SMPL = (
    ("pelvis", ""),
    ("left_hip", "pelvis"),
    ("right_hip", "pelvis"),
    ("spine1", "pelvis"),
    ("left_knee", "left_hip"),
    ("right_knee", "right_hip"),
    ("spine2", "spine1"),
    ("left_ankle", "left_knee"),
    ("right_ankle", "right_knee"),
    ("spine3", "spine2"),
    ("left_foot", "left_ankle"),
    ("right_foot", "right_ankle"),
    ("neck", "spine3"),
    ("left_collar", "spine3"),
    ("right_collar", "spine3"),
    ("head", "neck"),
    ("left_shoulder", "left_collar"),
    ("right_shoulder", "right_collar"),
    ("left_elbow", "left_shoulder"),
    ("right_elbow", "right_shoulder"),
    ("left_wrist", "left_elbow"),
    ("right_wrist", "right_elbow"),
    ("left_hand", "left_wrist"),
    ("right_hand", "right_wrist"),
)
_SMPL_STANDARD = {"pelvis": "SpineBase", "spine2": "SpineMid", "spine3": "Chest", "neck": "Neck", "head": "Head"} | {
    f"{side}_{part}": f"{standard}{side.title()}"
    for side in ("left", "right")
    for part, standard in {
        "hip": "Hip",
        "knee": "Knee",
        "ankle": "Ankle",
        "foot": "Foot",
        "collar": "Clavicle",
        "shoulder": "Shoulder",
        "elbow": "Elbow",
        "wrist": "Wrist",
        "hand": "Hand",
    }.items()
}


def _layout(name: str, joints: Sequence[tuple[str, str]], standard: Mapping[str, str], source: str) -> Layout:
    names = tuple(joint for joint, _ in joints)
    called = {joint: found for joint, found in standard.items() if joint in names and joint != found}
    return Layout(name, names, parents_of(joints), called, source)


SMPL24 = _layout("smpl24", _SMPL, _SMPL_STANDARD, "SMPL, the order of the joints of its model files")
# Names with a 22 are those of one tree. They are kept apart because people look for the name of their own data.
SMPL22 = _layout("smpl22", _SMPL[:22], _SMPL_STANDARD, "SMPL without hands; AMASS's body joints")
SMPLX22 = _layout("smplx22", _SMPL[:22], _SMPL_STANDARD, "SMPL-X, joint_names.py: the first 22")
HUMANML22 = _layout("humanml22", _SMPL[:22], _SMPL_STANDARD, "HumanML3D, README and paramUtil.py: t2m_kinematic_chain")

_H36M_STANDARD = {
    "Hip": "SpineBase",
    "Spine": "SpineMid",
    "Thorax": "SpineShoulder",
    # Between neck and face, at the lower end of the head; Head is the top.
    "Neck/Nose": "HeadBase",
    "Head": "HeadTop",
} | {
    f"{side[0]}{part}": f"{standard}{side}"
    for side in ("Left", "Right")
    for part, standard in {
        "Hip": "Hip",
        "Knee": "Knee",
        "Foot": "Ankle",
        "Shoulder": "Shoulder",
        "Elbow": "Elbow",
        "Wrist": "Wrist",
    }.items()
}
H36M17 = _layout(
    "h36m17",
    (
        ("Hip", ""),
        ("RHip", "Hip"),
        ("RKnee", "RHip"),
        ("RFoot", "RKnee"),
        ("LHip", "Hip"),
        ("LKnee", "LHip"),
        ("LFoot", "LKnee"),
        ("Spine", "Hip"),
        ("Thorax", "Spine"),
        ("Neck/Nose", "Thorax"),
        ("Head", "Neck/Nose"),
        ("LShoulder", "Thorax"),
        ("LElbow", "LShoulder"),
        ("LWrist", "LElbow"),
        ("RShoulder", "Thorax"),
        ("RElbow", "RShoulder"),
        ("RWrist", "RElbow"),
    ),
    _H36M_STANDARD,
    "Human3.6M: names of 3d-pose-baseline, data_utils.py; order of VideoPose3D, h36m_dataset.py",
)
_H36M32_ARM = (("Shoulder", "Neck"), ("Arm", "Shoulder"), ("ForeArm", "Arm"), ("Hand", "ForeArm"))


def _h36m32_leg(side: str) -> list[tuple[str, str]]:
    chain = ["Hips", *(f"{side}{part}" for part in ("UpLeg", "Leg", "Foot", "ToeBase", "ToeBase end"))]
    return [(joint, above) for above, joint in itertools.pairwise(chain)]


def _h36m32_arm(side: str) -> list[tuple[str, str]]:
    joints = [(f"{side}{part}", above if above == "Neck" else f"{side}{above}") for part, above in _H36M32_ARM]
    thumb, wrist = f"{side}HandThumb", f"{side[0]}_Wrist_End"
    return [
        *joints,
        (thumb, f"{side}Hand"),
        (f"{thumb} end", thumb),
        (wrist, f"{side}Hand"),
        (f"{wrist} end", wrist),
    ]


H36M32 = _layout(
    "h36m32",
    [
        ("Hips", ""),
        *_h36m32_leg("Right"),
        *_h36m32_leg("Left"),
        ("Spine", "Hips"),
        ("Spine1", "Spine"),
        ("Neck", "Spine1"),
        ("Head", "Neck"),
        ("Head end", "Head"),
        *_h36m32_arm("Left"),
        *_h36m32_arm("Right"),
    ],
    # The joints of h36m17 are some of these: its Thorax is called Neck here.
    {"Hips": "SpineBase", "Spine1": "SpineMid", "Neck": "SpineShoulder", "Head": "HeadBase", "Head end": "HeadTop"}
    | {
        f"{side}{part}": f"{standard}{side}"
        for side in ("Left", "Right")
        for part, standard in {
            "UpLeg": "Hip",
            "Leg": "Knee",
            "Foot": "Ankle",
            "ToeBase": "Foot",
            "Shoulder": "Clavicle",
            "Arm": "Shoulder",
            "ForeArm": "Elbow",
            "Hand": "Wrist",
            "HandThumb": "Thumb",
        }.items()
    },
    "Human3.6M, the 32 joints of its skeleton (metadata.xml); sites are called after their joint here",
)
