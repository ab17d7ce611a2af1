"""The joints of common programs' rigs, by their real names, and BVH files of them.

A rig is lines of joints. Each joint hangs on the one before it; a line with `>` hangs on the joint before that sign. A
line with `<` is written twice, with the program's words for left and right. `name=Joint` says which of ntu25's joints
it is, `end=Joint` that the end site of the joint before it is. `~` stands for a space in a name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Where ntu25's joints are, in metres: a person with stretched arms, facing z. Those of the left; the right has -x.
PLACES = {
    "SpineBase": (0.0, 1.0, 0.0),
    "Neck": (0.0, 1.5, 0.0),
    "Head": (0.0, 1.6, 0.02),
    "Shoulder": (0.2, 1.45, 0.0),
    "Elbow": (0.48, 1.45, 0.0),
    "Wrist": (0.73, 1.45, 0.0),
    "Hand": (0.81, 1.45, 0.01),
    "Hip": (0.1, 0.95, 0.0),
    "Knee": (0.1, 0.52, 0.0),
    "Ankle": (0.1, 0.1, 0.0),
    "Foot": (0.1, 0.02, 0.14),
}
WORDS, SMALL_WORDS, LETTERS, SMALL_LETTERS = ("Left", "Right"), ("left", "right"), ("L", "R"), ("l", "r")


@dataclass(frozen=True)
class Rig:
    """A program's rig."""

    sides: tuple[str, str]
    lines: str
    centimetres: float = 1.0  # one unit of the file


@dataclass(frozen=True)
class Bone:
    """A joint of a rig, or an end site."""

    name: str
    parent: int
    role: str  # ntu25's name, or empty
    is_end: bool


def bones_of(rig: Rig) -> list[Bone]:
    """Parents first."""
    bones: list[Bone] = []
    for line, side in _sided(rig):
        start, _, chain = line.rpartition(">")
        parent = (
            next(i for i, bone in enumerate(bones) if bone.name == start.strip().replace("~", " ")) if start else -1
        )
        for word in chain.split():
            name, _, role = word.replace("~", " ").partition("=")
            one_of_two = role if role in ("", "SpineBase", "Neck", "Head") else role + side
            bones.append(Bone(name, parent, one_of_two, name == "end"))
            parent = len(bones) - 1
    return bones


def _sided(rig: Rig) -> Iterator[tuple[str, str]]:
    for line in rig.lines.strip().splitlines():
        if "<" not in line:
            yield line, ""
        else:
            yield from ((line.replace("<", word), side) for word, side in zip(rig.sides, WORDS, strict=True))


def write_rig(path: Path, rig: Rig, num_frames: int = 3, seed: int = 0) -> Path:
    """Return a BVH file of the rig: each joint with a role is at its place at rest, then all joints turn a little."""
    bones = bones_of(rig)
    children = {index: [i for i, bone in enumerate(bones) if bone.parent == index] for index in range(-1, len(bones))}
    places: list[np.ndarray] = []
    for bone in bones:
        above = places[bone.parent] if bone.parent >= 0 else np.array(PLACES["SpineBase"])
        # Twist bones, points of the spine and so on are anywhere.
        places.append(places_of(bone.role) if bone.role else above + (0.01, 0.01, 0.01))
    lines = ["HIERARCHY"]

    def add(index: int) -> None:
        bone = bones[index]
        offset = places[index] - places[bone.parent] if bone.parent >= 0 else np.zeros(3)
        heading = "End Site" if bone.is_end else f"{'ROOT' if bone.parent < 0 else 'JOINT'} {bone.name}"
        lines.extend([heading, "{", "OFFSET " + " ".join(f"{part * 100 / rig.centimetres:.6f}" for part in offset)])
        if not bone.is_end:
            position = "Xposition Yposition Zposition " if bone.parent < 0 else ""
            lines.append(f"CHANNELS {6 if position else 3} {position}Zrotation Xrotation Yrotation")
        for child in children[index]:
            add(child)
        if not bone.is_end and not children[index]:
            lines.extend(["End Site", "{", "OFFSET 0 0 0", "}"])
        lines.append("}")

    for root in children[-1]:
        add(root)
    num_joints = sum(not bone.is_end for bone in bones)
    turns = np.random.default_rng(seed).uniform(-20, 20, size=(num_frames, 3 * num_joints))
    turns[0] = 0
    hips = " ".join(f"{part * 100 / rig.centimetres:.6f}" for part in places[0])
    rows = [f"{hips} " + " ".join(f"{turn:.4f}" for turn in row) for row in turns]
    lines += ["MOTION", f"Frames: {num_frames}", "Frame Time: 0.0333333", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def places_of(role: str) -> np.ndarray:
    """Where a joint of ntu25 is at rest."""
    x, y, z = PLACES[role.removesuffix("Left").removesuffix("Right")]
    return np.array([-x if role.endswith("Right") else x, y, z])


def roles_of(rig: Rig) -> dict[str, str]:
    """ntu25's name -> the name in the file; an end site is called after its joint."""
    bones = bones_of(rig)
    return {b.role: f"{bones[b.parent].name} end" if b.is_end else b.name for b in bones if b.role}


_MOTION_BUILDER: Sequence[str] = (
    "{0}Hips=SpineBase {0}Spine {0}Spine1 {0}Spine2 {0}Neck {0}Head=Head end",
    "{0}Spine2 > {0}<Shoulder {0}<Arm=Shoulder {0}<ForeArm=Elbow {0}<Hand=Wrist {0}<HandMiddle1=Hand",
    "{0}<Hand > {0}<HandThumb1 {0}<HandThumb2",
    "{0}Hips > {0}<UpLeg=Hip {0}<Leg=Knee {0}<Foot=Ankle {0}<ToeBase=Foot end",
)


def _motion_builder(prefix: str = "") -> str:
    return "\n".join(line.format(prefix) for line in _MOTION_BUILDER)


RIGS = {
    "MotionBuilder": Rig(WORDS, _motion_builder()),
    "MotionBuilder, with the name of the character": Rig(WORDS, _motion_builder("Character1_")),
    "Mixamo": Rig(WORDS, _motion_builder("mixamorig:")),
    "Mixamo, a prop beside the body": Rig(
        WORDS, _motion_builder("mixamorig1:") + "\nmixamorig1:RightHand > Sword_joint Tip"
    ),
    "Perception Neuron": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Spine1 Spine2 Neck Neck1 Head=Head end
        Spine2 > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist <InHandMiddle <HandMiddle1=Hand <HandMiddle2
        <Hand > <HandThumb1 <HandThumb2 <HandThumb3
        Hips > <UpLeg=Hip <Leg=Knee <Foot=Ankle end=Foot
        """,
    ),
    "CMU, by cgspeed": Rig(
        WORDS,
        """
        Hips=SpineBase LowerBack Spine Spine1 Neck Neck1 Head=Head end
        Spine1 > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist <FingerBase <HandIndex1=Hand end
        <Hand > <Thumb end
        Hips > <HipJoint <UpLeg=Hip <Leg=Knee <Foot=Ankle <ToeBase=Foot end
        """,
        centimetres=2.54 / 0.45,
    ),
    "CMU, Acclaim's names": Rig(
        SMALL_LETTERS,
        """
        root=SpineBase lowerback upperback thorax lowerneck upperneck head=Head end
        thorax > <clavicle <humerus=Shoulder <radius=Elbow <wrist=Wrist <hand=Hand <fingers end
        root > <hipjoint <femur=Hip <tibia=Knee <foot=Ankle <toes=Foot end
        """,
    ),
    "LaFAN1": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Spine1 Spine2 Neck Head=Head end
        Spine2 > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist end=Hand
        Hips > <UpLeg=Hip <Leg=Knee <Foot=Ankle <Toe=Foot end
        """,
    ),
    "Bandai Namco": Rig(
        LETTERS,
        """
        joint_Root Hips=SpineBase Spine Chest Neck Head=Head end
        Chest > Shoulder_< UpperArm_<=Shoulder LowerArm_<=Elbow Hand_<=Wrist end=Hand
        Hips > UpperLeg_<=Hip LowerLeg_<=Knee Foot_<=Ankle Toes_<=Foot end
        """,
    ),
    "Xsens MVN": Rig(
        WORDS,
        """
        Hips=SpineBase Chest Chest2 Chest3 Chest4 Neck Head=Head end
        Chest4 > <Collar <Shoulder=Shoulder <Elbow=Elbow <Wrist=Wrist end=Hand
        Hips > <Hip=Hip <Knee=Knee <Ankle=Ankle <Toe=Foot end
        """,
    ),
    "Xsens, names of the segments": Rig(
        WORDS,
        """
        Pelvis=SpineBase L5 L3 T12 T8 Neck Head=Head end
        T8 > <Shoulder <UpperArm=Shoulder <ForeArm=Elbow <Hand=Wrist end=Hand
        Pelvis > <UpperLeg=Hip <LowerLeg=Knee <Foot=Ankle <Toe=Foot end
        """,
    ),
    "Rokoko": Rig(
        WORDS,
        """
        Root Hips=SpineBase Spine1 Spine2 Spine3 Spine4 Neck Head=Head end
        Spine4 > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist <Finger1Metacarpal <Finger1Proximal <Finger1Distal
        <Hand > <Finger3Metacarpal <Finger3Proximal=Hand <Finger3Medial <Finger3Distal end
        Hips > <Thigh=Hip <Shin=Knee <Foot=Ankle <Toe=Foot end
        """,
        centimetres=100,
    ),
    "Sony mocopi": Rig(
        SMALL_LETTERS,
        """
        root=SpineBase torso_1 torso_2 torso_3 torso_4 torso_5 torso_6 torso_7 neck_1 neck_2 head=Head end
        torso_7 > <_shoulder <_up_arm=Shoulder <_low_arm=Elbow <_hand=Wrist end=Hand
        root > <_up_leg=Hip <_low_leg=Knee <_foot=Ankle <_toes=Foot end
        """,
    ),
    "DeepMotion": Rig(
        SMALL_LETTERS,
        """
        hips_JNT=SpineBase spine_JNT spine1_JNT spine2_JNT neck_JNT head_JNT=Head end
        spine2_JNT > <_shoulder_JNT <_arm_JNT=Shoulder <_forearm_JNT=Elbow <_hand_JNT=Wrist <_handMiddle1_JNT=Hand
        <_hand_JNT > <_handThumb1_JNT <_handThumb2_JNT
        hips_JNT > <_upleg_JNT=Hip <_leg_JNT=Knee <_foot_JNT=Ankle <_toebase_JNT=Foot end
        """,
    ),
    "VRoid": Rig(
        LETTERS,
        """
        Root J_Bip_C_Hips=SpineBase J_Bip_C_Spine J_Bip_C_Chest J_Bip_C_UpperChest J_Bip_C_Neck J_Bip_C_Head=Head
        J_Bip_C_Head > J_Adj_<_FaceEye
        J_Bip_C_Head > J_Sec_Hair1_01 J_Sec_Hair2_01
        J_Bip_C_UpperChest > J_Sec_<_Bust1
        J_Bip_C_UpperChest > J_Bip_<_Shoulder J_Bip_<_UpperArm=Shoulder J_Bip_<_LowerArm=Elbow J_Bip_<_Hand=Wrist
        J_Bip_<_Hand > J_Bip_<_Thumb1 J_Bip_<_Thumb2
        J_Bip_<_Hand > J_Bip_<_Middle1=Hand J_Bip_<_Middle2
        J_Bip_C_Hips > J_Bip_<_UpperLeg=Hip J_Bip_<_LowerLeg=Knee J_Bip_<_Foot=Ankle J_Bip_<_ToeBase=Foot
        """,
        centimetres=100,
    ),
    "VRM": Rig(
        SMALL_WORDS,
        """
        hips=SpineBase spine chest upperChest neck head=Head end
        upperChest > <Shoulder <UpperArm=Shoulder <LowerArm=Elbow <Hand=Wrist end=Hand
        hips > <UpperLeg=Hip <LowerLeg=Knee <Foot=Ankle <Toes=Foot end
        """,
    ),
    "MocapNET": Rig(
        SMALL_LETTERS,
        """
        hip=SpineBase abdomen chest neck neck1 head=Head __jaw jaw
        chest > <Collar <Shldr=Shoulder <ForeArm=Elbow <Hand=Wrist metacarpal1.< finger2-1.< finger2-2.<
        <Hand > metacarpal2.< finger3-1.<=Hand finger3-2.<
        <Hand > __<thumb <thumb
        hip > <Buttock <Thigh=Hip <Shin=Knee <Foot=Ankle toe1-1.<=Foot toe1-2.<
        """,
    ),
    "Poser": Rig(
        SMALL_LETTERS,
        """
        hip=SpineBase abdomen chest neck head=Head end
        chest > <Collar <Shldr=Shoulder <ForeArm=Elbow <Hand=Wrist end=Hand
        hip > <Buttock <Thigh=Hip <Shin=Knee <Foot=Ankle <Toe=Foot end
        """,
        centimetres=2.54,
    ),
    "Daz Genesis 3 and 8": Rig(
        SMALL_LETTERS,
        """
        hip pelvis=SpineBase
        hip > abdomenLower abdomenUpper chestLower chestUpper neckLower neckUpper head=Head lowerJaw
        chestUpper > <Collar <ShldrBend=Shoulder <ShldrTwist <ForearmBend=Elbow <ForearmTwist <Hand=Wrist <Thumb1
        <Hand > <Carpal2 <Mid1=Hand <Mid2 <Mid3
        pelvis > <ThighBend=Hip <ThighTwist <Shin=Knee <Foot=Ankle <Metatarsals <Toe=Foot <BigToe
        """,
    ),
    "MakeHuman, default rig": Rig(
        LETTERS,
        """
        root=SpineBase spine05 spine04 spine03 spine02 spine01 neck01 neck02 neck03 head=Head jaw
        spine01 > clavicle.< shoulder01.< upperarm01.<=Shoulder upperarm02.< lowerarm01.<=Elbow
        lowerarm01.< > lowerarm02.< wrist.<=Wrist
        wrist.< > metacarpal2.< finger3-1.<=Hand finger3-2.<
        wrist.< > finger1-1.< finger1-2.<
        root > pelvis.< upperleg01.<=Hip upperleg02.< lowerleg01.<=Knee lowerleg02.< foot.<=Ankle
        foot.< > toe1-1.<=Foot toe1-2.<
        foot.< > toe2-1.< toe2-2.<
        """,
        centimetres=10,
    ),
    "MakeHuman, old rig": Rig(
        LETTERS,
        """
        Root Spine1 Spine2 Spine3 Neck Head=Head Jaw
        Spine3 > Clavicle_< UpArm_<=Shoulder LoArm_<=Elbow Hand_<=Wrist Finger-3-1_<=Hand
        Root > Hips=SpineBase
        Hips > Hip_< UpLeg_<=Hip LoLeg_<=Knee Foot_<=Ankle Toe_<=Foot
        """,
        centimetres=10,
    ),
    "GENEA 2022 and 2023": Rig(
        SMALL_LETTERS,
        """
        body_world b_root=SpineBase b_spine0 b_spine1 b_spine2 b_spine3 b_neck0 b_head=Head b_head_null
        b_spine3 > b_<_shoulder p_<_scap b_<_arm=Shoulder b_<_arm_twist b_<_forearm=Elbow
        b_<_forearm > b_<_wrist_twist b_<_wrist=Wrist
        b_<_wrist > b_<_thumb0 b_<_thumb1
        b_<_wrist > b_<_middle1=Hand b_<_middle2
        b_root > b_<_upleg=Hip b_<_leg=Knee b_<_foot_twist b_<_foot=Ankle end=Foot
        """,
    ),
    "GENEA 2020": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Spine1 Spine2 Spine3 Neck Neck1 Head=Head end
        Spine3 > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist <HandMiddle1=Hand
        Hips > <UpLeg=Hip <Leg=Knee <Foot=Ankle <ForeFoot <ToeBase=Foot end
        """,
    ),
    "Blender, Rigify's human": Rig(
        LETTERS,
        """
        spine=SpineBase spine.001 spine.002 spine.003 spine.004 spine.005 spine.006=Head face jaw
        spine.003 > shoulder.< upper_arm.<=Shoulder forearm.<=Elbow hand.<=Wrist palm.01.<
        hand.< > palm.02.< f_middle.01.<=Hand f_middle.02.<
        spine > thigh.<=Hip shin.<=Knee foot.<=Ankle toe.<=Foot
        foot.< > heel.02.<
        """,
        centimetres=100,
    ),
    "Blender, Rigify's deforming bones": Rig(
        LETTERS,
        """
        root DEF-spine=SpineBase DEF-spine.001 DEF-spine.002 DEF-spine.003
        DEF-spine.003 > DEF-spine.004 DEF-spine.005 DEF-spine.006=Head
        DEF-spine.003 > DEF-shoulder.< DEF-upper_arm.<=Shoulder DEF-upper_arm.<.001
        DEF-upper_arm.<.001 > DEF-forearm.<=Elbow DEF-forearm.<.001 DEF-hand.<=Wrist
        DEF-spine > DEF-thigh.<=Hip DEF-thigh.<.001 DEF-shin.<=Knee DEF-shin.<.001 DEF-foot.<=Ankle DEF-toe.<=Foot
        """,
        centimetres=100,
    ),
    "Character Creator": Rig(
        LETTERS,
        """
        RL_BoneRoot CC_Base_Hip CC_Base_Pelvis=SpineBase
        CC_Base_Hip > CC_Base_Waist CC_Base_Spine01 CC_Base_Spine02
        CC_Base_Spine02 > CC_Base_NeckTwist01 CC_Base_NeckTwist02 CC_Base_Head=Head
        CC_Base_Head > CC_Base_FacialBone CC_Base_JawRoot
        CC_Base_Spine02 > CC_Base_<_Clavicle CC_Base_<_Upperarm=Shoulder CC_Base_<_Forearm=Elbow CC_Base_<_Hand=Wrist
        CC_Base_<_Upperarm > CC_Base_<_UpperarmTwist01
        CC_Base_<_Hand > CC_Base_<_Thumb1
        CC_Base_<_Hand > CC_Base_<_Mid1=Hand CC_Base_<_Mid2
        CC_Base_Pelvis > CC_Base_<_Thigh=Hip CC_Base_<_Calf=Knee CC_Base_<_Foot=Ankle CC_Base_<_ToeBase=Foot
        CC_Base_<_Calf > CC_Base_<_CalfTwist01
        """,
    ),
    "Character Creator, dressed": Rig(
        LETTERS,
        """
        RL_BoneRoot CC_Base_Hip=SpineBase CC_Base_Waist CC_Base_Spine01 CC_Base_NeckTwist01 CC_Base_Head=Head Hair_01
        CC_Base_Spine01 > CC_Base_<_Clavicle CC_Base_<_Upperarm=Shoulder CC_Base_<_Forearm=Elbow CC_Base_<_Hand=Wrist
        CC_Base_Hip > CC_Base_<_Thigh=Hip CC_Base_<_Calf=Knee CC_Base_<_Foot=Ankle CC_Base_<_ToeBase=Foot
        """,
    ),
    "OptiTrack Motive": Rig(
        LETTERS,
        """
        Hip=SpineBase Ab Chest Neck Head=Head end
        Chest > <Shoulder <UArm=Shoulder <FArm=Elbow <Hand=Wrist <Middle1=Hand
        Hip > <Thigh=Hip <Shin=Knee <Foot=Ankle <Toe=Foot end
        """,
        centimetres=100,
    ),
    "OptiTrack Motive, without fingers and with the skeleton's name": Rig(
        LETTERS,
        """
        Anna:Hip=SpineBase Anna:Ab Anna:Chest Anna:Neck Anna:Head=Head end
        Anna:Chest > Anna:<Shoulder Anna:<UArm=Shoulder Anna:<FArm=Elbow Anna:<Hand=Wrist end=Hand
        Anna:Hip > Anna:<Thigh=Hip Anna:<Shin=Knee Anna:<Foot=Ankle end=Foot
        """,
        centimetres=0.1,
    ),
    "Character Studio's biped": Rig(
        LETTERS,
        """
        Bip01 Bip01~Pelvis=SpineBase Bip01~Spine Bip01~Spine1 Bip01~Neck Bip01~Head=Head end
        Bip01~Neck > Bip01~<~Clavicle Bip01~<~UpperArm=Shoulder Bip01~<~Forearm=Elbow Bip01~<~Hand=Wrist Bip01~<~Finger0
        Bip01~<~Hand > Bip01~<~Finger2=Hand Bip01~<~Finger21
        Bip01~Pelvis > Bip01~<~Thigh=Hip Bip01~<~Calf=Knee Bip01~<~Foot=Ankle Bip01~<~Toe0=Foot end
        """,
        centimetres=2.54,
    ),
    "Unreal": Rig(
        SMALL_LETTERS,
        """
        root pelvis=SpineBase spine_01 spine_02 spine_03 neck_01 head=Head end
        spine_03 > clavicle_< upperarm_<=Shoulder lowerarm_<=Elbow hand_<=Wrist thumb_01_<
        hand_< > middle_01_<=Hand middle_02_<
        pelvis > thigh_<=Hip calf_<=Knee foot_<=Ankle ball_<=Foot
        """,
    ),
    "a rig without head and neck": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Chest
        Chest > <Shoulder <Arm=Shoulder <ForeArm=Elbow <Hand=Wrist
        Hips > <UpLeg=Hip <Leg=Knee <Foot=Ankle
        """,
    ),
    "a rig whose head, hands and feet are end sites": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Chest Neck Neck1 end=Head
        Chest > <Collar <Shoulder=Shoulder <Elbow=Elbow <Wrist=Wrist end=Hand
        Hips > <Hip=Hip <Knee=Knee <Ankle=Ankle end=Foot
        """,
    ),
    "a rig whose wrists and ankles are end sites": Rig(
        WORDS,
        """
        Hips=SpineBase Spine Chest Neck=Neck
        Chest > <Collar <Shoulder=Shoulder <Elbow=Elbow end=Wrist
        Hips > <Hip=Hip <Knee=Knee end=Ankle
        """,
    ),
}
