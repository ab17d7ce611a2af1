"""Layouts of what finds people in images: pose estimators, and data sets that were annotated by hand."""

import itertools
from collections.abc import Mapping, Sequence

from gfp_serve.layouts.layout import Layout, parents_of
from gfp_serve.layouts.names import standard_name


def _layout(
    name: str, joints: Sequence[tuple[str, str]], source: str, called: Mapping[str, str] | None = None
) -> Layout:
    """A layout of pairs of joint and parent. `called` has the standard names that the joints' own do not say."""
    names = tuple(joint for joint, _ in joints)
    standard = {joint: standard_name(joint) for joint in names} | dict(called or {})
    differing = {joint: found for joint, found in standard.items() if found != joint}
    return Layout(name, names, parents_of(joints), differing, source)


_COCO = (
    ("nose", ""),
    ("left_eye", "nose"),
    ("right_eye", "nose"),
    ("left_ear", "left_eye"),
    ("right_ear", "right_eye"),
    ("left_shoulder", "nose"),
    ("right_shoulder", "nose"),
    ("left_elbow", "left_shoulder"),
    ("right_elbow", "right_shoulder"),
    ("left_wrist", "left_elbow"),
    ("right_wrist", "right_elbow"),
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
    ("left_knee", "left_hip"),
    ("right_knee", "right_hip"),
    ("left_ankle", "left_knee"),
    ("right_ankle", "right_knee"),
)
COCO17 = _layout(
    "coco17", _COCO, "COCO, the keypoints of the category person; MoveNet, YOLO-pose and MMPose have it too"
)

_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _hand(side: str) -> list[tuple[str, str]]:
    root = f"{side}_hand_root"
    joints = [(root, f"{side}_wrist")]
    for finger in _FINGERS:
        chain = [root, *(f"{side}_{finger}{number}" for number in range(1, 5))]
        joints += [(joint, above) for above, joint in itertools.pairwise(chain)]
    return joints


COCO_WHOLEBODY133 = _layout(
    "coco_wholebody133",
    [
        *_COCO,
        *(
            (f"{side}_{part}", f"{side}_ankle")
            for side in ("left", "right")
            for part in ("big_toe", "small_toe", "heel")
        ),
        *((f"face-{number}", "nose") for number in range(68)),
        *_hand("left"),
        *_hand("right"),
    ],
    "COCO-WholeBody, README; names as in MMPose, configs/_base_/datasets/coco_wholebody.py",
    {
        f"{own}_{part}": f"{standard}{own.title()}"
        for own in ("left", "right")
        for part, standard in {
            "middle_finger1": "MiddleKnuckle",
            "middle_finger4": "HandTip",
            "thumb4": "Thumb",
        }.items()
    },
)

_OPENPOSE_LIMBS = [
    ("RShoulder", "Neck"),
    ("RElbow", "RShoulder"),
    ("RWrist", "RElbow"),
    ("LShoulder", "Neck"),
    ("LElbow", "LShoulder"),
    ("LWrist", "LElbow"),
]
_OPENPOSE_FACE = [("REye", "Nose"), ("LEye", "Nose"), ("REar", "REye"), ("LEar", "LEye")]
# OpenPose has no annotation of a neck: its Neck is the middle of the shoulders.
_OPENPOSE_NECK = {"Neck": "SpineShoulder"}


def _openpose_leg(side: str, hips: str) -> list[tuple[str, str]]:
    return [(f"{side}Hip", hips), (f"{side}Knee", f"{side}Hip"), (f"{side}Ankle", f"{side}Knee")]


OPENPOSE18 = _layout(
    "openpose18",
    [
        ("Nose", "Neck"),
        ("Neck", ""),
        *_OPENPOSE_LIMBS,
        *_openpose_leg("R", "Neck"),
        *_openpose_leg("L", "Neck"),
        *_OPENPOSE_FACE,
    ],
    "OpenPose, doc/02_output.md, POSE_COCO_BODY_PARTS",
    _OPENPOSE_NECK,
)
BODY25 = _layout(
    "body25",
    [
        ("Nose", "Neck"),
        ("Neck", "MidHip"),
        *_OPENPOSE_LIMBS,
        ("MidHip", ""),
        *_openpose_leg("R", "MidHip"),
        *_openpose_leg("L", "MidHip"),
        *_OPENPOSE_FACE,
        *((f"{side}{part}", f"{side}Ankle") for side in "LR" for part in ("BigToe", "SmallToe", "Heel")),
    ],
    "OpenPose, doc/02_output.md, POSE_BODY_25_BODY_PARTS",
    _OPENPOSE_NECK,
)
HALPE26 = _layout(
    "halpe26",
    [
        ("Nose", "Head"),
        ("LEye", "Nose"),
        ("REye", "Nose"),
        ("LEar", "LEye"),
        ("REar", "REye"),
        ("LShoulder", "Neck"),
        ("RShoulder", "Neck"),
        ("LElbow", "LShoulder"),
        ("RElbow", "RShoulder"),
        ("LWrist", "LElbow"),
        ("RWrist", "RElbow"),
        ("LHip", "Hip"),
        ("RHip", "Hip"),
        ("LKnee", "LHip"),
        ("RKnee", "RHip"),
        ("LAnkle", "LKnee"),
        ("RAnkle", "RKnee"),
        ("Head", "Neck"),
        ("Neck", "Hip"),
        ("Hip", ""),
        *((f"{side}{part}", f"{side}Ankle") for part in ("BigToe", "SmallToe", "Heel") for side in "LR"),
    ],
    "Halpe-FullBody, README: the first 26 keypoints",
    {"Head": "HeadTop", "Neck": "SpineShoulder"},
)

_MEDIAPIPE = (
    ("nose", ""),
    ("left_eye_inner", "nose"),
    ("left_eye", "left_eye_inner"),
    ("left_eye_outer", "left_eye"),
    ("right_eye_inner", "nose"),
    ("right_eye", "right_eye_inner"),
    ("right_eye_outer", "right_eye"),
    ("left_ear", "left_eye_outer"),
    ("right_ear", "right_eye_outer"),
    ("mouth_left", "nose"),
    ("mouth_right", "nose"),
    ("left_shoulder", "nose"),
    ("right_shoulder", "nose"),
    ("left_elbow", "left_shoulder"),
    ("right_elbow", "right_shoulder"),
    ("left_wrist", "left_elbow"),
    ("right_wrist", "right_elbow"),
    ("left_pinky", "left_wrist"),
    ("right_pinky", "right_wrist"),
    ("left_index", "left_wrist"),
    ("right_index", "right_wrist"),
    ("left_thumb", "left_wrist"),
    ("right_thumb", "right_wrist"),
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
    ("left_knee", "left_hip"),
    ("right_knee", "right_hip"),
    ("left_ankle", "left_knee"),
    ("right_ankle", "right_knee"),
    ("left_heel", "left_ankle"),
    ("right_heel", "right_ankle"),
    ("left_foot_index", "left_ankle"),
    ("right_foot_index", "right_ankle"),
)
MEDIAPIPE33 = _layout(
    "mediapipe33",
    _MEDIAPIPE,
    "MediaPipe, Pose Landmarker, the 33 pose landmarks",
    # Its finger points are knuckles (Bazarevsky et al., BlazePose, 2020).
    {
        f"{own}_{part}": f"{standard}{own.title()}"
        for own in ("left", "right")
        for part, standard in {
            "pinky": "PinkyKnuckle",
            "index": "IndexKnuckle",
            "thumb": "Thumb",
            "foot_index": "Foot",
        }.items()
    },
)
MPII16 = _layout(
    "mpii16",
    [
        ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"),
        ("right_hip", "pelvis"),
        ("left_hip", "pelvis"),
        ("left_knee", "left_hip"),
        ("left_ankle", "left_knee"),
        ("pelvis", ""),
        ("thorax", "pelvis"),
        ("upper_neck", "thorax"),
        ("head_top", "upper_neck"),
        ("right_wrist", "right_elbow"),
        ("right_elbow", "right_shoulder"),
        ("right_shoulder", "thorax"),
        ("left_shoulder", "thorax"),
        ("left_elbow", "left_shoulder"),
        ("left_wrist", "left_elbow"),
    ],
    "MPII Human Pose Dataset, annotation description, joint ids",
)
PENN13 = _layout(
    "penn13",
    [
        ("head", ""),
        *((f"{side}_shoulder", "head") for side in ("left", "right")),
        *((f"{side}_elbow", f"{side}_shoulder") for side in ("left", "right")),
        *((f"{side}_wrist", f"{side}_elbow") for side in ("left", "right")),
        *((f"{side}_hip", f"{side}_shoulder") for side in ("left", "right")),
        *((f"{side}_knee", f"{side}_hip") for side in ("left", "right")),
        *((f"{side}_ankle", f"{side}_knee") for side in ("left", "right")),
    ],
    "Penn Action, README",
)
JHMDB15 = _layout(
    "jhmdb15",
    [
        ("neck", "belly"),
        ("belly", ""),
        ("face", "neck"),
        *((f"{side}_shoulder", "neck") for side in ("right", "left")),
        *((f"{side}_hip", "belly") for side in ("right", "left")),
        *((f"{side}_elbow", f"{side}_shoulder") for side in ("right", "left")),
        *((f"{side}_knee", f"{side}_hip") for side in ("right", "left")),
        *((f"{side}_wrist", f"{side}_elbow") for side in ("right", "left")),
        *((f"{side}_ankle", f"{side}_knee") for side in ("right", "left")),
    ],
    "JHMDB, README of the joint positions",
)
