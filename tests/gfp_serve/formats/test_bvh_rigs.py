"""The rigs of common programs are recognised by their joint names."""

from pathlib import Path

import numpy as np
import pytest

from gfp_serve.conventions import METRES
from gfp_serve.formats import read_clips
from gfp_serve.formats.bvh import read_motion
from gfp_serve.formats.bvh_body import body_of, unit_of
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.bvh_rigs import RIGS, places_of, roles_of, write_rig
from trainer.data.description import describe_clips


@pytest.mark.parametrize("program", RIGS)
def test_the_joints_of_a_programs_rig_are_known(program: str, tmp_path: Path) -> None:
    rig = RIGS[program]
    path = write_rig(tmp_path / "rig.bvh", rig)
    motion = read_motion(path)
    layout, kept = body_of(motion.names, motion.parents, motion.lengths)
    found = {ours: motion.names[joint] for ours, joint in zip(layout.joint_names, kept, strict=True)}
    assert found == roles_of(rig)
    unit = METRES[unit_of(motion.positions(kept), layout)]
    assert unit == pytest.approx(rig.centimetres / 100)
    (clip,) = read_clips(path)
    raw = motion.positions()
    for ours, joint in zip(layout.joint_names, kept, strict=True):
        place = clip.sequence[:, 0, NTU25.joint_names.index(ours)]
        np.testing.assert_allclose(place, raw[:, joint] * unit, atol=1e-6)
        np.testing.assert_allclose(place[0], places_of(ours), atol=1e-5)  # at rest
    assert clean(clip.sequence, clip.layout, CleanConfig()).positions.shape == (3, 1, 25, 3)


def test_a_rig_without_head_and_neck_lacks_both_and_they_are_held_between_the_shoulders(tmp_path: Path) -> None:
    (clip,) = read_clips(write_rig(tmp_path / "headless.bvh", RIGS["a rig without head and neck"]))
    of_head = [NTU25.joint_names.index(name) for name in ("Head", "Neck")]
    shoulders = NTU25.joint_names.index("SpineShoulder")
    assert np.isnan(clip.sequence[:, :, of_head]).all()
    cleaned = clean(clip.sequence, clip.layout, CleanConfig())
    assert not cleaned.known[:, :, of_head].any()
    assert {"Head", "Neck"} <= describe_clips([clip])["joints_lacking"].keys()
    assert cleaned.known[:, :, shoulders].all()
    for joint in of_head:
        np.testing.assert_array_equal(cleaned.positions[:, 0, joint], cleaned.positions[:, 0, shoulders])
