"""NTU RGB+D text: bodies are followed by ID in true time, errors name the line, and both readers give the same."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import NO_SPLIT, TEST_SPLIT, TRAIN_SPLIT, ntu, read_clips
from gfp_serve.formats.ntu.text import parse, parse_carefully
from gfp_serve.formats.ntu_actions import ACTIONS
from gfp_serve.layouts import NTU25
from tests.support.ntu_files import NAME, as_array, lines_of, make_lines, read_plainly, write_lines


def test_a_body_that_vanishes_leaves_nan_and_comes_back_in_its_own_place_and_time(tmp_path: Path) -> None:
    frames = [{"72001": 1.0}, {"72002": 5.0, "72001": 2.0}, {}, {"72002": 6.0}]
    sequence = parse(write_lines(tmp_path / NAME, make_lines(frames)))
    nan = float("nan")
    assert sequence.shape == (4, 2, 25, 3)
    np.testing.assert_array_equal(sequence[:, :, 0, 0], [[1, nan], [2, 5], [nan, nan], [nan, 6]])
    np.testing.assert_array_equal(sequence[1, 1, 4], [5.0, 9.0, -5.0])
    np.testing.assert_array_equal(np.isnan(sequence).all(axis=(2, 3)), np.isnan(sequence).any(axis=(2, 3)))


def test_a_clip_holds_the_actors_in_true_time_or_closed_up_as_published(tmp_path: Path) -> None:
    frames = [{"1": x, "9": 5.0} for x in (1.0, 2.0)] + [{}] + [{"1": float(x)} for x in range(3, 13)]
    path = write_lines(tmp_path / NAME, make_lines(frames))
    (clip,) = read_clips(path)
    nan = float("nan")
    np.testing.assert_array_equal(clip.sequence[:, 0, 0, 0], [1, 2, nan, *range(3, 13)])
    assert clip.sequence.shape == (13, 1, 25, 3)  # the other body was a ghost
    (published,) = read_clips(path, as_published=True)
    np.testing.assert_array_equal(published.sequence[:, 0, 0, 0], range(1, 13))
    assert (published.name, published.label, published.split) == (clip.name, clip.label, clip.split)


def test_action_subject_and_camera_come_from_the_name(tmp_path: Path) -> None:
    (clip,) = read_clips(write_lines(tmp_path / NAME, make_lines([{"1": 1.0}])))
    assert (clip.name, clip.label, clip.subject, clip.camera) == ("S003C002P007R001A023", "hand waving", "7", 2)
    assert (clip.layout, clip.fps) == (NTU25, 30.0)
    assert clip.description == "setup 3, replication 1"
    (other,) = read_clips(write_lines(tmp_path / "mine.skeleton", make_lines([{"1": 1.0}])))
    assert (other.name, other.label, other.subject, other.split) == ("mine", None, "unknown", NO_SPLIT)


def test_the_performer_decides_the_part_of_the_cross_subject_split(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("S001C001P001R001A001", {"x-sub": TRAIN_SPLIT, "x-view": TEST_SPLIT, "x-set": TEST_SPLIT}),
        ("S002C002P003R001A001", {"x-sub": TEST_SPLIT, "x-view": TRAIN_SPLIT, "x-set": TRAIN_SPLIT}),
        ("S032C003P106R002A120", {"x-sub": TEST_SPLIT, "x-view": TRAIN_SPLIT, "x-set": TRAIN_SPLIT}),
    ],
)
def test_performer_camera_and_setup_decide_the_parts_of_the_three_protocols(name: str, sides: dict[str, int]) -> None:
    fields = ntu.fields_of_name(name)
    assert fields["splits"] == sides
    assert fields["split"] == sides["x-sub"]


def test_the_authors_list_of_incomplete_recordings_has_302_names_of_the_first_set_and_535_of_both() -> None:
    names = ntu.incomplete_recordings()
    assert len(names) == 535
    assert sum(int(name[1:4]) <= 17 for name in names) == 302  # setups 1 to 17 are NTU RGB+D 60
    assert all(ntu.fields_of_name(name) for name in names)
    assert {"S001C002P005R002A008", "S032C003P067R002A077"} <= names


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


def test_bodies_in_many_empty_frames_of_a_small_file_take_no_memory(tmp_path: Path) -> None:
    lines = make_lines([{str(body): 1.0 for body in range(60)}])
    num_empty = 1_000_000 // 60
    path = write_lines(tmp_path / NAME, [str(num_empty + 1), *lines[1:], *["0"] * num_empty])
    with pytest.raises(DamagedFileError, match=f"has 60 different bodies in {num_empty + 1} frames"):
        parse(path)


def test_a_field_that_is_not_used_need_not_be_a_number(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.5}])
    expected = parse(write_lines(tmp_path / "a.skeleton", lines))
    lines[4] = "1.5 1.5 -1.5 -1.#IND NaN 900.5 400.25 0.1 0.2 0.3 0.4 2"
    np.testing.assert_array_equal(parse(write_lines(tmp_path / "b.skeleton", lines)), expected)


def test_a_joint_with_a_coordinate_of_nan_counts_as_not_seen(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.5}])
    lines[4] = "1.5 NaN -1.5 250.1 190.2 900.5 400.25 0.1 0.2 0.3 0.4 2"
    sequence = parse(write_lines(tmp_path / "a.skeleton", lines))
    assert np.argwhere(np.isnan(sequence)).tolist() == [[0, 0, 0, 1]]


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
        (8, "0 0 1e39 0 0 0 0 0 0 0 0 2", "line 8 must hold numbers, got '1e39'"),
        (8, "-Infinity 0 0 0 0 0 0 0 0 0 0 2", "line 8 must hold numbers, got '-Infinity'"),
        (9, "", "line 9 must give a joint in 12 fields, has 0"),
    ],
)
def test_a_malformed_line_is_named(line: int, text: str, said: str, tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0}, {"1": 2.0}])
    lines[line - 1] = text
    path = write_lines(tmp_path / "bad.skeleton", lines)
    with pytest.raises(DamagedFileError, match=re.escape(f"{path}: {said}")):
        next(read_clips(path))


def test_fields_moved_to_the_next_line_are_not_read_as_another_joint(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0}])
    moved = lines[5].split()
    lines[5], lines[6] = " ".join(moved[:-1]), f"{moved[-1]} {lines[6]}"
    with pytest.raises(DamagedFileError, match="line 6 must give a joint in 12 fields, has 11"):
        next(read_clips(write_lines(tmp_path / "slipped.skeleton", lines)))


def test_a_body_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    lines = make_lines([{"1": 1.0, "2": 2.0}])
    lines[29] = lines[2]
    with pytest.raises(DamagedFileError, match="line 30 has a body of this frame a second time"):
        next(read_clips(write_lines(tmp_path / "twice.skeleton", lines)))


def test_a_file_without_anybody_or_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="shows nobody: each of its 2 frames"):
        next(read_clips(write_lines(tmp_path / "nobody.skeleton", ["2", "0", "0"])))
    (tmp_path / "binary.skeleton").write_bytes(b"1\n\xff\xfe")
    with pytest.raises(DamagedFileError, match="byte 2 is not ASCII"):
        next(read_clips(tmp_path / "binary.skeleton"))
    (tmp_path / "empty.skeleton").write_bytes(b"")
    with pytest.raises(DamagedFileError, match="ends at line 0"):
        next(read_clips(tmp_path / "empty.skeleton"))


# Forms of numbers: those of the sensor's software, and all other valid ones.
coordinates = st.floats(-9, 9).filter(lambda number: number == 0 or abs(number) > 1e-9)
plain_numbers = st.one_of(
    coordinates.map("{:.7g}".format),
    st.floats(-5000, 5000).map("{:.4f}".format),
    coordinates.map("{:.6e}".format),
    st.integers(-20, 20).map(str),
    st.sampled_from(["0", "-0", "-0.0", "0.5", ".5", "5.", "1E-3", "-1.25e+2", "0.00000001", "0.123456789012", "00.5"]),
)
odd_numbers = st.one_of(
    st.floats(-9, 9).map(repr),
    st.sampled_from(["NaN", "nan", "+1.5", "1e-30", "0.1234567890123456789", "12345678e12", "12345678e122"]),
)
presences = st.lists(
    st.lists(st.sampled_from(["1", "72057594037940001", "72057594037940002"]), unique=True), min_size=1
)


def make_text(numbers: list[str], present: list[list[str]], seed: int, end: str, last_end: bool) -> str:
    draw = random.Random(seed)
    frames = [{body: [draw.choices(numbers, k=3) for _ in range(25)] for body in frame} for frame in present]
    return end.join(lines_of(frames)) + end * last_end


@given(
    numbers=st.lists(plain_numbers, min_size=5),
    present=presences,
    seed=st.integers(0, 9999),
    end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
)
def test_machine_code_line_by_line_and_the_simplest_reader_give_the_same(
    numbers: list[str], present: list[list[str]], seed: int, end: str, last_end: bool
) -> None:
    compiled = pytest.importorskip("gfp_serve.formats.ntu.compiled", exc_type=ImportError)
    text = make_text(numbers, present, seed, end, last_end)
    fast = compiled.scan(bytearray(text.encode() + compiled.PADDING))
    if not any(present):
        assert fast is None
        return
    np.testing.assert_array_equal(fast, parse_carefully(Path("made-up"), text.encode()))
    np.testing.assert_array_equal(fast, as_array(read_plainly(text)))


@given(
    numbers=st.lists(plain_numbers | odd_numbers, min_size=5),
    present=presences.filter(any),
    seed=st.integers(0, 9999),
    damage=st.data(),
)
def test_what_machine_code_reads_of_odd_and_damaged_files_is_what_line_by_line_reads(
    numbers: list[str], present: list[list[str]], seed: int, damage: st.DataObject
) -> None:
    compiled = pytest.importorskip("gfp_serve.formats.ntu.compiled", exc_type=ImportError)
    text = bytearray(make_text(numbers, present, seed, "\n", last_end=True).encode())
    place = damage.draw(st.integers(0, len(text) - 1))
    kind = damage.draw(st.sampled_from(["none", "cut", "byte", "gone", "twice"]))
    if kind == "cut":
        del text[place:]
    elif kind == "byte":
        text[place] = damage.draw(st.sampled_from(b" \n\r\t\0\x1c019.-+eExN\xff\x80"))
    elif kind == "gone":
        del text[place]
    elif kind == "twice":
        text.insert(place, text[place])
    fast = compiled.scan(text + compiled.PADDING)
    try:
        careful = parse_carefully(Path("made-up"), text)
    except DamagedFileError:
        assert fast is None
    else:
        if fast is not None:
            np.testing.assert_array_equal(fast, careful)


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_damage_gives_an_error_that_names_the_file_or_does_no_harm(place: int, byte: int) -> None:
    text = bytearray("\n".join(make_lines([{"1": 1.0}, {"1": 2.0, "2": 3.0}])).encode())
    text[place % len(text)] = byte
    try:
        said = f"made-up: {parse_carefully(Path('made-up'), text).shape[2:]}"
    except DamagedFileError as error:
        said = str(error)
    assert re.match(r"made-up(: (line|the file ends|\(25, 3\))| is not a text file| shows nobody)", said)
