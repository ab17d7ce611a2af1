"""NW-UCLA as CTR-GCN keeps it: a JSON file for each clip, `a01_s01_e00_v01.json`.

A file is {"file_name": "a01_s01_e00_v01", "skeletons": [...], "label": 1}. `skeletons` has frames × 20 joints × 3, in
the order of the first Kinect. The name says action, subject, repetition and camera; `label` numbers the ten actions
from 1 (CTR-GCN, feeders/feeder_ucla.py).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.conventions import STANDARD, Conventions, decide, to_standard
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats.clip import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, UNKNOWN_SUBJECT, Clip
from gfp_serve.formats.json_text import one_number, table
from gfp_serve.formats.remark import Remark
from gfp_serve.layouts import KINECT20

FPS = 30.0  # of the first Kinect
_NAME = re.compile(r"a(?P<action>\d+)_s(?P<subject>\d+)_e(?P<repetition>\d+)_v(?P<camera>\d+)", re.IGNORECASE)
# The data set has no actions 7 and 10 (Wang et al., Cross-view Action Modeling, Learning and Recognition, 2014).
_ACTIONS = {1: "pick up with one hand", 2: "pick up with two hands", 3: "drop trash", 4: "walk around", 5: "sit down"}
_ACTIONS |= {6: "stand up", 8: "donning", 9: "doffing", 11: "throw", 12: "carry"}
# Its usual protocol trains on the first two cameras.
_PROTOCOL, _SIDES = "x-view", {1: TRAIN_SPLIT, 2: TRAIN_SPLIT, 3: TEST_SPLIT}


def is_one(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, dict) and "skeletons" in content and ("label" in content or "file_name" in content)


def read(path: Path, content: Any, said: Conventions) -> Iterator[Clip | Remark]:
    """Yield the clip of a file: y up, right-handed; the unit is that of legs, and metres where legs do not tell.

    Joints that are null are lost. Raises `DamagedFileError`.
    """
    skeletons = table(content["skeletons"], str(path), "skeletons")
    if skeletons.ndim != 3 or skeletons.shape[1:] != (KINECT20.num_joints, 3) or not len(skeletons):
        raise DamagedFileError(
            f"{path} has {' × '.join(map(str, skeletons.shape))} numbers in 'skeletons'; expected frames × "
            f"{KINECT20.num_joints} × 3, as NW-UCLA has them."
        )
    sequence = skeletons[:, None].astype(np.float32)
    if not np.nan_to_num(sequence).any():
        yield Remark("nobody is seen in it.", left_out=path.stem)
        return
    upright = said.or_else(replace(STANDARD, unit=None))
    found = decide([sequence], KINECT20, upright).or_else(STANDARD)
    if not found.is_standard:
        yield Remark(f"read as {found}.")
    clip = Clip(name=path.stem, sequence=to_standard(sequence, found), layout=KINECT20, fps=FPS)
    named = _NAME.fullmatch(path.stem) or _NAME.fullmatch(str(content.get("file_name")))
    if named is None:
        label = one_number(content.get("label"))
        yield replace(clip, label=None if label is None else f"A{int(label):03}")
        return
    action, subject, camera = int(named["action"]), int(named["subject"]), int(named["camera"])
    split = _SIDES.get(camera, NO_SPLIT)
    yield replace(
        clip,
        label=_ACTIONS.get(action, f"A{action:03}"),
        subject=str(subject) if subject else UNKNOWN_SUBJECT,
        camera=camera,
        split=split,
        splits={} if split == NO_SPLIT else {_PROTOCOL: split},
        description=f"repetition {int(named['repetition'])}",
    )
