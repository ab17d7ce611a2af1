"""A person, and BVH files of him or her in the names of several programs."""

import re
from collections.abc import Sequence
from pathlib import Path

# A person of 1.6 m at rest, in centimetres, y up, facing z: joint, parent, offset.
PERSON = (
    ("hips", "", (0, 0, 0)),
    ("spine", "hips", (0, 20, 0)),
    ("chest", "spine", (0, 20, 0)),
    ("neck", "chest", (0, 10, 0)),
    ("head", "neck", (0, 10, 0)),
    *(
        joint
        for side, x in (("l", 1), ("r", -1))
        for joint in (
            (f"{side} collar", "chest", (5 * x, 5, 0)),
            (f"{side} shoulder", f"{side} collar", (15 * x, 0, 0)),
            (f"{side} elbow", f"{side} shoulder", (30 * x, 0, 0)),
            (f"{side} wrist", f"{side} elbow", (25 * x, 0, 0)),
            (f"{side} hip", "hips", (10 * x, -5, 0)),
            (f"{side} knee", f"{side} hip", (0, -40, 0)),
            (f"{side} ankle", f"{side} knee", (0, -40, 0)),
            (f"{side} toe", f"{side} ankle", (0, -5, 15)),
        )
    ),
)
LEAVES = ("head", "l wrist", "r wrist", "l toe", "r toe")
LIMB = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
# Names of these joints in each family. < and > stand for the side, at the start or the end of a name.
FAMILIES = {
    "MotionBuilder": "<Shoulder <Arm <ForeArm <Hand <UpLeg <Leg <Foot <ToeBase",
    "Biovision": "<Collar <Shoulder <Elbow <Wrist <Hip <Knee <Ankle <Toe",
    "SOMA": "<Shoulder <Arm <ForeArm <Hand <Leg <Shin <Foot <ToeBase",
    "Bandai Namco": "Shoulder_> UpperArm_> LowerArm_> Hand_> UpperLeg_> LowerLeg_> Foot_> Toes_>",
    "Unreal": "clavicle_> upperarm_> lowerarm_> hand_> thigh_> calf_> foot_> ball_>",
    "Rigify": "shoulder.> upper_arm.> forearm.> hand.> thigh.> shin.> foot.> toe.>",
    "Poser": "<Collar <Shldr <ForeArm <Hand <Thigh <Shin <Foot <Toe",
    "SMPL": "<_collar <_shoulder <_elbow <_wrist <_hip <_knee <_ankle <_foot",
    "Acclaim": "<clavicle <humerus <radius <wrist <femur <tibia <foot <toes",
    "Character Studio": "<_Clavicle <_UpperArm <_Forearm <_Hand <_Thigh <_Calf <_Foot <_Toe0",
    "one word": "<collar <shoulder <elbow <wrist <hip <knee <ankle <toe",
}
SIDES = {"Unreal": "lr", "Poser": "lr", "Acclaim": "lr", "SMPL": ("left", "right"), "one word": ("left", "right")}
WORDS, LETTERS = ("Left", "Right"), "LR"


def names_of(family: str, prefix: str = "") -> dict[str, str]:
    """Return the name of each joint of PERSON in a family."""
    names = {joint: prefix + joint.capitalize() for joint in ("hips", "spine", "chest", "neck", "head")}
    for number, side in enumerate("lr"):
        for joint, name in zip(LIMB, FAMILIES[family].split(), strict=True):
            marks = SIDES.get(family, LETTERS if ">" in name or "<_" in name else WORDS)
            names[f"{side} {joint}"] = prefix + re.sub("[<>]", marks[number], name)
    return names


def write_person(
    path: Path,
    rows: Sequence[Sequence[float]] | None = None,
    *,
    names: dict[str, str] | None = None,
    scale: float = 1.0,
    without: Sequence[str] = (),
) -> Path:
    """Return a file of PERSON. A row has the root's position, then each joint's rotations about z, x, y."""
    names = names or names_of("MotionBuilder")
    joints = [joint for joint in PERSON if joint[0] not in without]
    lines = ["HIERARCHY"]

    def add(joint: str, offset: Sequence[float], depth: int) -> None:
        tabs = "\t" * depth
        lines.append(f"{tabs}{'JOINT' if depth else 'ROOT'} {names[joint]}")
        lines.append(tabs + "{")
        lines.append(f"{tabs}\tOFFSET {' '.join(str(part * scale) for part in offset)}")
        position = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{tabs}\tCHANNELS {3 if depth else 6} {position}Zrotation Xrotation Yrotation")
        for child, parent, its_offset in joints:
            if parent == joint:
                add(child, its_offset, depth + 1)
        if joint in LEAVES or not any(parent == joint for _, parent, _ in joints):
            end = (0.0, 0.0, 15.0) if "ankle" in joint else (0.0, 5.0, 0.0)
            lines.extend(
                [f"{tabs}\tEnd Site", tabs + "\t{", f"{tabs}\t\tOFFSET {' '.join(str(p * scale) for p in end)}"]
            )
            lines.append(tabs + "\t}")
        lines.append(tabs + "}")

    add("hips", (0, 0, 0), 0)
    if rows is None:
        rows = [[0, 90 * scale, 0, *[0] * 3 * len(joints)]]
    lines += ["MOTION", f"Frames: {len(rows)}", "Frame Time: 0.0333333"]
    lines += [" ".join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def walk(joint: str) -> list[str]:
    """Return PERSON's joints in the order of the file."""
    return [joint, *(name for child, parent, _ in PERSON if parent == joint for name in walk(child))]
