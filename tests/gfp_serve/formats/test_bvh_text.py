"""BVH is read word by word; errors name the line."""

import codecs
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import read_clips
from gfp_serve.formats.bvh_text import parse
from tests.support.bvh_person import PERSON, write_person
from tests.support.damaged_files import check_gives_clips_or_is_refused_by_name, damaged


def test_spaces_line_ends_braces_and_case_make_no_difference(tmp_path: Path) -> None:
    plain = write_person(tmp_path / "plain.bvh")
    text = plain.read_text().replace("\n", "\r\n").replace("JOINT ", "joint  ").replace("End Site", "End site")
    text = re.sub(r"\s*\{", " {", text).replace("Zrotation", "ZROTATION").replace("Frames: ", "FRAMES:\t")
    (tmp_path / "other.bvh").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n \r\n")
    (expected,), (clip,) = read_clips(plain), read_clips(tmp_path / "other.bvh")
    np.testing.assert_array_equal(clip.sequence, expected.sequence)


def same_as_plain(tmp_path: Path, change: Callable[[str], str | bytes]) -> None:
    """Check that a file of two frames is read as before after a change of its text."""
    rows = [[0, 90, 0, *range(3 * len(PERSON))], [1, 91, 0, *range(3 * len(PERSON))]]
    plain = write_person(tmp_path / "plain.bvh", rows)
    changed = change(plain.read_text())
    (tmp_path / "other.bvh").write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    (expected,), (clip,) = read_clips(plain), read_clips(tmp_path / "other.bvh")
    np.testing.assert_array_equal(clip.sequence, expected.sequence)
    assert clip.fps == expected.fps


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: re.sub("\n", "\n \t\n", text), id="a blank line after every line"),
        pytest.param(lambda text: text.replace("\n", "\r"), id="line ends of old Macs"),
        pytest.param(lambda text: text.replace("\t", "\f\v "), id="form feeds"),
        pytest.param(lambda text: "\n".join(text.split()), id="a word a line"),
        pytest.param(lambda text: " ".join(text.split()), id="all in one line"),
        pytest.param(lambda text: text.replace("91 0", "91\n0"), id="one frame of two lines"),
        pytest.param(lambda text: re.sub(r"( \d+){3}(?=[\n ])", r"\g<0>\n", text), id="frames wrapped"),
        pytest.param(lambda text: text.replace("\n1 91", " 1 91"), id="two frames in a line"),
        pytest.param(lambda text: text.replace("End Site", "End Site tip"), id="named end sites"),
        pytest.param(lambda text: text.replace("End Site", "END SITE the tip"), id="names of two words"),
        pytest.param(lambda text: text.replace("Frames: ", "Frames : "), id="a blank before the colon"),
        pytest.param(lambda text: text.replace("Frames: ", "frames:"), id="no blank after the colon"),
        pytest.param(lambda text: text.replace("Frames: ", "Frames "), id="no colon"),
        pytest.param(lambda text: text.replace("Frame Time: ", "FrameTime:\n"), id="FrameTime"),
        pytest.param(lambda text: text.replace("Frame Time: ", "FRAME  TIME :\t"), id="FRAME TIME"),
        pytest.param(lambda text: text.replace("Spine", "R\u00fccken").encode("latin-1"), id="Latin-1"),
        pytest.param(lambda text: text.replace("Spine", "R\u00fccken").encode("utf-8-sig"), id="UTF-8 with its mark"),
        pytest.param(lambda text: text.encode("utf-16"), id="UTF-16"),
        pytest.param(lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), id="UTF-16, big-endian"),
        pytest.param(lambda text: text.encode("utf-32"), id="UTF-32"),
    ],
)
def test_line_ends_white_space_and_encoding_make_no_difference(
    change: Callable[[str], str | bytes], tmp_path: Path
) -> None:
    same_as_plain(tmp_path, change)


@given(spaces=st.lists(st.text(" \t\n\r\f\v", min_size=1, max_size=3), min_size=1, max_size=9))
def test_any_white_space_may_stand_between_words(spaces: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    turns = itertools.cycle(spaces)
    same_as_plain(tmp_path_factory.mktemp("space"), lambda text: re.sub(r"\s+", lambda _: next(turns), text.rstrip()))


def test_joints_have_the_names_of_the_file_and_end_sites_their_own_or_their_joints(tmp_path: Path) -> None:
    path = tmp_path / "some.bvh"
    path.write_text(
        "HIERARCHY ROOT Bip01 Pelvis { OFFSET 1 2 3 CHANNELS 1 Yposition JOINT Offset { OFFSET 0 1 0 CHANNELS 2 "
        "Xrotation zROTATION End Site { OFFSET 0 1 0 } End Site a tip { OFFSET 0 2 0 } } } "
        "MOTION Frames: 1 Frame Time: 0.5 7 8 9"
    )
    joints, rows, fps = parse(path)
    assert [joint.name for joint in joints] == ["Bip01 Pelvis", "Offset", "Offset end", "a tip end"]
    assert [joint.parent for joint in joints] == [-1, 0, 1, 1]
    assert [joint.first_column for joint in joints] == [0, 1, 3, 3]
    assert joints[1].channels == (("rotation", 0), ("rotation", 2))
    assert joints[0].offset == (1, 2, 3)
    assert (rows.tolist(), fps) == ([[7, 8, 9]], 2.0)


def test_text_that_is_not_of_the_encoding_it_begins_with_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.bvh").write_bytes(codecs.BOM_UTF16_LE + b"H\x00I")
    with pytest.raises(DamagedFileError, match=r"some\.bvh begins as UTF-16 text, but byte 4 is not; copy it again"):
        parse(tmp_path / "some.bvh")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"some\.bvh cannot be read: No such file"):
        parse(tmp_path / "some.bvh")


def test_joints_without_any_channel_are_refused(tmp_path: Path) -> None:
    text = "HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 0 End Site { OFFSET 0 1 0 } } MOTION Frames: 1 Frame Time: 1 7"
    (tmp_path / "some.bvh").write_text(text)
    with pytest.raises(DamagedFileError, match="announces 1 frames of 0 channels, so 0 numbers, but 1 follow"):
        parse(tmp_path / "some.bvh")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HIERARCHY", "SKELETON", "line 1 must be 'HIERARCHY', got 'SKELETON'"),
        ("ROOT Hips", "JOINT Hips", "line 2 must open or close a joint"),
        ("JOINT Spine", "BONE Spine", "line 6 must open or close a joint, got 'BONE Spine'"),
        ("JOINT Spine", "JOINT", "line 6 must open or close a joint, got 'JOINT'"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0", "line 4 must be OFFSET and three numbers"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0 left", "line 4 must be OFFSET and three numbers"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0 nan", "line 4 must be OFFSET and three numbers"),
        ("CHANNELS 6", "CHANNELS 5", "line 5 must be CHANNELS, their number"),
        ("Xposition Y", "Wposition Y", "line 5 must be CHANNELS, their number"),
        ("Xposition Y", "Yposition Y", "line 5 names a channel twice"),
        ("MOTION", "", "must be 'MOTION', got 'Frames: 1'"),
        ("Frames: 1", "Frames: one", "must be 'Frames:' and their number"),
        ("Frames: 1", "Frames: 2", "line 128 announces 2 frames of 66 channels, so 132 numbers, but 66 follow"),
        ("Frames: 1", "Frames: 0", "announces 0 frames of 66 channels, so 0 numbers, but 66 follow"),
        ("Frames: 1\n", "", "line 128 must be 'Frames:' and their number, got 'Frame Time"),
        ("Frame Time: 0.0333333", "Frame Time: 0", "must be 'Frame Time:' and seconds above 0"),
        ("Frame Time: 0.0333333", "Frame Time: 0,0333", "got 'Frame Time: 0,0333'; numbers need a decimal point"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0,0 0,0 0,0", "line 4 must be OFFSET and three numbers, got 'OFFSET 0,0 0,0"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0,0 0,0 0,0", "; numbers need a decimal point and no comma: export"),
        ("\n0 90.0 0", "\n0 90,0 0", "line 130 must hold numbers, got '90,0'; numbers need a decimal point"),
        ("\n0 90.0 0", "\n\n\f\n0\n90.0 high", "line 133 must hold numbers, got 'high'"),
        ("\n0 90.0 0", "\n\n0\n90.0 1e10", "line 132 holds a number that is not finite or beyond 1e9, got '1e10"),
        ("ROOT Hips\n{", "ROOT Hips\n", "line 4 must be '{', got 'OFFSET"),
        ("CHANNELS 6", "CHANNELS six", "line 5 must be CHANNELS, their number"),
        ("Frame Time: 0.0333333", "Frame Rate: 30", "must be 'Frame Time:' and seconds above 0"),
        ("\n0 90.0 0", "\n90.0 0", "must hold 66 numbers, has 65"),
        ("\n0 90.0 0", "\n0 high 0", "must hold numbers, got 'high'"),
        ("\n0 90.0 0", "\n0 inf 0", "holds a number that is not finite"),
    ],
)
def test_a_wrong_line_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = write_person(tmp_path / "bad.bvh")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DamagedFileError, match=re.escape(str(path))) as refusal:
        next(read_clips(path))
    assert said in str(refusal.value)


def test_a_file_cut_off_after_any_line_is_refused(tmp_path: Path) -> None:
    lines = write_person(tmp_path / "whole.bvh").read_text().splitlines()
    for kept in range(len(lines)):
        (tmp_path / "cut.bvh").write_text("\n".join(lines[:kept]))
        with pytest.raises(DamagedFileError, match=r"cut\.bvh"):
            next(read_clips(tmp_path / "cut.bvh"))


def test_a_file_with_too_many_nested_joints_is_refused(tmp_path: Path) -> None:
    joint = "{{\nOFFSET 0 1 0\nCHANNELS 0\n{}\n"
    tower = "HIERARCHY\nROOT a\n" + "".join(joint.format("JOINT a") for _ in range(2_000))
    (tmp_path / "tower.bvh").write_text(tower)
    with pytest.raises(DamagedFileError, match="opens more than 1000 joints"):
        next(read_clips(tmp_path / "tower.bvh"))


@given(data=st.data())
def test_a_file_cut_off_or_with_wrong_bytes_gives_a_clip_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_person(tmp_path_factory.mktemp("fuzz") / "some.bvh")
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check_gives_clips_or_is_refused_by_name(path)
