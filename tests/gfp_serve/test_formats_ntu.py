"""NTU RGB+D text: bodies are followed by their ID in true time, and damage is named by its line."""

import re
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, read_clips
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.skeleton import NTU25

NAME = "S003C002P007R001A023.skeleton"


def make_lines(frames: list[dict[str, float]]) -> list[str]:
    """A file's lines; each frame maps body IDs to a number x, and joint j of the body is at (x, x + j, -x)."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, x in bodies.items():
            lines += [f"{body} 0 1 1 1 1 0 0.02 -0.4 2", "25"]
            lines += [f"{x} {x + joint} {-x} 250.1 190.2 900.5 400.25 0.1 0.2 0.3 0.4 2" for joint in range(25)]
    return lines


def write_lines(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def test_a_body_that_vanishes_leaves_nan_and_comes_back_in_its_own_place_and_time(tmp_path: Path) -> None:
    frames = [{"72001": 1.0}, {"72002": 5.0, "72001": 2.0}, {}, {"72002": 6.0}]
    (clip,) = read_clips(write_lines(tmp_path / NAME, make_lines(frames)))
    nan = float("nan")
    assert clip.sequence.shape == (4, 2, 25, 3)
    np.testing.assert_array_equal(clip.sequence[:, :, 0, 0], [[1, nan], [2, 5], [nan, nan], [nan, 6]])
    np.testing.assert_array_equal(clip.sequence[1, 1, 4], [5.0, 9.0, -5.0])
    np.testing.assert_array_equal(np.isnan(clip.sequence).all(axis=(2, 3)), np.isnan(clip.sequence).any(axis=(2, 3)))


def test_action_subject_and_camera_come_from_the_name(tmp_path: Path) -> None:
    (clip,) = read_clips(write_lines(tmp_path / NAME, make_lines([{"1": 1.0}])))
    assert (clip.name, clip.label, clip.subject, clip.camera) == ("S003C002P007R001A023", "hand waving", "7", 2)
    assert (clip.layout, clip.fps) == (NTU25, 30.0)
    assert clip.description == "setup 3, replication 1"
    (other,) = read_clips(write_lines(tmp_path / "mine.skeleton", make_lines([{"1": 1.0}])))
    assert (other.name, other.label, other.subject, other.split) == ("mine", None, "unknown", NO_SPLIT)


def test_the_performer_decides_the_side_of_the_cross_subject_split(tmp_path: Path) -> None:
    def side(performer: int) -> int:
        (clip,) = read_clips(
            write_lines(tmp_path / f"S001C001P{performer:03}R001A001.skeleton", make_lines([{"1": 1.0}]))
        )
        return clip.split

    sides = {performer: side(performer) for performer in range(1, 107)}
    assert set(sides.values()) == {TRAIN_SPLIT, TEST_SPLIT}
    # Half of the 40 performers of NTU RGB+D 60, half of the 106 of NTU RGB+D 120.
    assert sum(sides[p] == TRAIN_SPLIT for p in range(1, 41)) == 20
    assert sum(sides[p] == TRAIN_SPLIT for p in range(1, 107)) == 53
    assert (sides[1], sides[3], sides[38], sides[103], sides[106]) == (0, 1, 0, 0, 1)


def test_there_are_120_different_actions() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS) == 120
    assert (ACTIONS[0], ACTIONS[59], ACTIONS[60]) == (
        "drink water",
        "walking apart from each other",
        "put on headphone",
    )


def test_line_ends_of_windows_and_a_missing_last_one_make_no_difference(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.5}, {"1": 2.5}])
    (plain,) = read_clips(write_lines(tmp_path / "a.skeleton", lines))
    (windows,) = read_clips(write_lines(tmp_path / "b.skeleton", lines, end="\r\n"))
    (tmp_path / "c.skeleton").write_text("\n".join(lines))
    (endless,) = read_clips(tmp_path / "c.skeleton")
    np.testing.assert_array_equal(plain.sequence, windows.sequence)
    np.testing.assert_array_equal(plain.sequence, endless.sequence)


def test_a_file_cut_off_after_any_line_is_refused_with_the_line(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0}, {}, {"1": 2.0, "2": 3.0}])
    for kept in range(1, len(lines)):
        path = write_lines(tmp_path / "cut.skeleton", lines[:kept])
        with pytest.raises(DamagedFileError, match=f"ends at line {kept},"):
            next(read_clips(path))


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (1, "two", "line 1 must be the number of frames"),
        (1, "0", "line 1 must be the number of frames"),
        (1, "1", "line 30 goes on after the 1 frames"),
        (1, "9" * 5000, "line 1 must be the number of frames"),
        (2, "-1", "line 2 must be the number of bodies"),
        (3, "1 2 3", "line 3 must describe a body in 10 fields, has 3"),
        (4, "20", "line 4 says 20 joints; expected 25"),
        (7, "0.5 0.5 0.5", "line 7 must give a joint in 12 fields, has 3"),
        (8, "0 0 x 0 0 0 0 0 0 0 0 2", "line 8 must hold numbers, got 'x'"),
        (9, "", "line 9 must give a joint in 12 fields, has 0"),
    ],
)
def test_a_malformed_line_is_named(line: int, text: str, said: str, tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0}, {"1": 2.0}])
    lines[line - 1] = text
    path = write_lines(tmp_path / "bad.skeleton", lines)
    with pytest.raises(DamagedFileError, match=re.escape(f"{path}: {said}")):
        next(read_clips(path))


def test_fields_that_slipped_to_the_next_line_are_not_taken_for_numbers_of_another_joint(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0}])
    moved = lines[5].split()
    lines[5], lines[6] = " ".join(moved[:-1]), f"{moved[-1]} {lines[6]}"
    with pytest.raises(DamagedFileError, match="line 6 must give a joint in 12 fields, has 11"):
        next(read_clips(write_lines(tmp_path / "slipped.skeleton", lines)))


def test_a_body_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0, "2": 2.0}])
    lines[29] = lines[2]
    with pytest.raises(DamagedFileError, match="line 30 gives a body of this frame a second time"):
        next(read_clips(write_lines(tmp_path / "twice.skeleton", lines)))


def test_a_file_without_anybody_or_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="holds nobody: each of its 2 frames"):
        next(read_clips(write_lines(tmp_path / "nobody.skeleton", ["2", "0", "0"])))
    (tmp_path / "binary.skeleton").write_bytes(b"1\n\xff\xfe")
    with pytest.raises(DamagedFileError, match="byte 2 is not ASCII"):
        next(read_clips(tmp_path / "binary.skeleton"))
    (tmp_path / "empty.skeleton").write_bytes(b"")
    with pytest.raises(DamagedFileError, match="ends at line 0"):
        next(read_clips(tmp_path / "empty.skeleton"))
