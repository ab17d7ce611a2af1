"""Joint maps: files in which people say which joints of their skeleton are which."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.conventions import Conventions
from gfp_serve.errors import DamagedFileError, InvalidRequestError
from gfp_serve.formats import Clip, Remark, read_clips, write_clip_file
from gfp_serve.joint_map import JointMap, read_joint_map, write_guess
from gfp_serve.layouts import LAYOUTS, NTU25, STANDARD_NAMES, Layout, map_joints
from tests.support.bvh_person import write_person
from tests.support.tiny_bundle import walk
from trainer.cli.data import gfp_data

MAP = """
[joints]
"b 1" = "HipLeft"
b2 = "HipRight"
"b \\"3\\"" = "ShoulderLeft"
b4 = "ShoulderRight"

[conventions]
up = "z"
unit = "cm"
"""
NAMES = {"b 1": "HipLeft", "b2": "HipRight", 'b "3"': "ShoulderLeft", "b4": "ShoulderRight"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_map_names_joints_and_conventions(tmp_path: Path) -> None:
    found = read_joint_map(write(tmp_path / "map.toml", MAP))
    assert found == JointMap(NAMES, Conventions(up="z", unit="cm"))
    layout, kept = found.layout_of(["tail", *NAMES, "b2"], [-1, 0, 1, 2, 3, 0])
    assert layout.canonical_names == tuple(NAMES.values())
    assert (layout.parents, kept) == ((-1, 0, 1, 2), [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("joints", "map.toml is not TOML: "),
        ("", 'map.toml names no joint yet; it needs lines like "LeftArm" = "ShoulderLeft" in [joints]'),
        ("joints = 3", "it needs a table [joints]"),
        ("[bones]\na = 'Head'", "it needs a table [joints]"),
        (
            "[joints]\na = 'LeftShoulder'",
            "'a' is called 'LeftShoulder', which is not one of our names; did you mean ShoulderLeft?",
        ),
        ("[joints]\na = 'q'", "not one of our names; ours are AnkleLeft, "),
        ("[joints]\na = 3", "'a' must be called by one of our names, as a text"),
        ("[joints]\na = 'Head'\n[conventions]\nup = 'down'", "map.toml: up is 'down'; choose one of x, y, z"),
        ("[joints]\na = 'Head'\n[conventions]\nscale = '1'", "[conventions] has up, unit and hand, which are texts"),
        ("[joints]\na = 'Head'\n[conventions]\nup = 1", "[conventions] has up, unit and hand, which are texts"),
    ],
)
def test_what_is_wrong_in_a_map_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(said)):
        read_joint_map(write(tmp_path / "map.toml", text))


def test_a_map_that_does_not_fit_says_what_is_missing() -> None:
    with pytest.raises(
        DamagedFileError, match=r"the joint map says too little.* It does not have hip, which the joint map names\."
    ):
        JointMap({"a": "Head", "hip": "HipLeft"}).layout_of(["a", "b"], [-1, 0])
    with pytest.raises(DamagedFileError, match=r"the joint map says too little: .* neither a joint 'SpineBase'"):
        JointMap({"a": "HipLeft"}).layout_of(["a", "b"], [-1, 0])
    with pytest.raises(DamagedFileError, match=r"calls 'a' and 'b' 'Head'\. Only markers \(\.trc, \.c3d\) may"):
        JointMap({"a": "Head", "b": "Head"}).layout_of(["a", "b"], [-1, 0])


def test_a_clip_file_with_names_that_nobody_knows_is_read_with_a_map(tmp_path: Path) -> None:
    clip = Clip(name="a", sequence=walk(3, frames=20), layout=NTU25, fps=30.0)
    write_clip_file(tmp_path / "known.npz", [clip])
    strange = {f"p{number}": name for number, name in enumerate(NTU25.joint_names)}
    with np.load(tmp_path / "known.npz") as arrays:
        np.savez(tmp_path / "strange.npz", **{**arrays, "joint_names": np.array(list(strange))})
    with pytest.raises(DamagedFileError, match="Say which joint is which with --joint-map"):
        list(read_clips(tmp_path / "strange.npz"))
    (found,) = read_clips(tmp_path / "strange.npz", joint_map=JointMap(strange))
    assert found.layout.canonical_names == NTU25.joint_names
    np.testing.assert_array_equal(found.sequence, clip.sequence)
    some = {name: standard for name, standard in strange.items() if standard not in ("Head", "Neck")}
    (found,) = read_clips(tmp_path / "strange.npz", joint_map=JointMap(some))
    assert found.sequence.shape == (20, 1, 23, 3)


def test_a_rig_that_nobody_knows_is_read_with_a_map_that_a_guess_began(tmp_path: Path) -> None:
    text = write_person(tmp_path / "known.bvh").read_text()
    (expected,) = read_clips(tmp_path / "known.bvh")
    # The names of arms mean nothing now.
    strange = re.sub(r"(Left|Right)(Shoulder|Arm|ForeArm|Hand)\b", lambda found: f"{found[1]}_q{len(found[2])}", text)
    path = write(tmp_path / "strange.bvh", strange)
    with pytest.raises(DamagedFileError, match="gfp-data joint-map FILE` writes a map to start from"):
        list(read_clips(path))
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(path)])
    assert begun.exit_code == 0, begun.output
    assert '"LeftUpLeg" = "HipLeft"\n' in begun.stdout
    assert '# "Left_q3" = ""\n' in begun.stdout
    mended = begun.stdout
    for length, standard in ((3, "Shoulder"), (7, "Elbow"), (4, "Wrist")):
        for side in ("Left", "Right"):
            mended = mended.replace(f'# "{side}_q{length}" = ""', f'"{side}_q{length}" = "{standard}{side}"')
    (found,) = read_clips(path, joint_map=read_joint_map(write(tmp_path / "map.toml", mended)))
    # The end sites of the arms, which are the hands of known rigs, have names that mean nothing either.
    kept = [joint for joint, name in enumerate(NTU25.joint_names) if not name.startswith(("Hand", "Thumb"))]
    np.testing.assert_allclose(found.sequence[:, :, kept], expected.sequence[:, :, kept], atol=1e-5)
    result = CliRunner().invoke(gfp_data, ["info", str(path), "--joint-map", str(tmp_path / "map.toml")])
    assert result.exit_code == 0, result.output
    assert "read as y up, centimetres, right-handed." in result.stderr


def test_a_file_with_none_of_a_maps_joints_is_read_by_its_own_names(tmp_path: Path) -> None:
    path = write_person(tmp_path / "known.bvh")
    (expected,) = read_clips(path)
    said: list[Remark] = []
    of_another = JointMap({"Cadera": "SpineBase"}, Conventions(unit="mm"))
    (found,) = read_clips(path, joint_map=of_another, report=said.append)
    np.testing.assert_array_equal(found.sequence, expected.sequence)
    assert "has no joint of the joint map" in str(said[-1])
    strange = write(tmp_path / "strange.bvh", path.read_text().replace("Left", "q").replace("Right", "w"))
    with pytest.raises(DamagedFileError, match="it has no joint of the joint map; its joints are"):
        list(read_clips(strange, joint_map=of_another))


def test_a_guess_is_a_map(tmp_path: Path) -> None:
    guess = write_guess([*NAMES, 'od"d', "é"], NAMES)
    assert read_joint_map(write(tmp_path / "map.toml", guess)) == JointMap(NAMES)
    filled = guess.replace('# "od\\"d" = ""', '"od\\"d" = "Head"').replace('# unit = "cm"', 'unit = "in"')
    expected = replace(JointMap({**NAMES, 'od"d': "Head"}), conventions=Conventions(unit="in"))
    assert read_joint_map(write(tmp_path / "map.toml", filled)) == expected


def test_only_files_that_name_their_joints_have_a_map(tmp_path: Path) -> None:
    result = CliRunner().invoke(gfp_data, ["joint-map", str(write(tmp_path / "a.skeleton", "1"))])
    assert result.exit_code == 2
    assert "must end in .bvh, .amc, .npz, .trc, .c3d, .csv; other formats say what their joints are" in result.stderr


@pytest.mark.parametrize(
    "layout", [layout for layout in LAYOUTS.values() if set(layout.canonical_names) <= STANDARD_NAMES]
)
def test_the_guess_of_a_clip_file_changes_nothing(layout: Layout, tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(5, 1, layout.num_joints, 3)).astype(np.float32)
    write_clip_file(tmp_path / "a.npz", [Clip(name="a", sequence=joints, layout=layout, fps=30.0)])
    begun = CliRunner().invoke(gfp_data, ["joint-map", str(tmp_path / "a.npz")])
    assert begun.exit_code == 0, begun.output
    mapped = read_joint_map(write(tmp_path / "map.toml", begun.stdout))
    (expected,) = read_clips(tmp_path / "a.npz")
    (found,) = read_clips(tmp_path / "a.npz", joint_map=mapped)
    np.testing.assert_array_equal(
        map_joints(found.sequence, found.layout, NTU25), map_joints(expected.sequence, expected.layout, NTU25)
    )


def test_maps_that_are_deep_or_hold_other_things_are_refused(tmp_path: Path) -> None:
    for text in ("a=" + "[" * 5_000, "[joints]\na" + ".a" * 2_000 + "=1"):
        with pytest.raises(InvalidRequestError, match=r"map\.toml"):
            read_joint_map(write(tmp_path / "map.toml", text))
    odd = write_guess(["a\x7f"], {"a\x7f": "Head"})
    assert read_joint_map(write(tmp_path / "map.toml", odd)).joints == {"a\x7f": "Head"}
