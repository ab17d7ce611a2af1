"""Files whose coordinates are not metres, y up, right-handed: what they say, what callers say, how people stand."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.conventions import METRES, Conventions, Unit
from gfp_serve.errors import DamagedFileError
from gfp_serve.formats import Clip, Remark, read_clips, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.bvh_person import write_person

CLIPS = Path(__file__).parents[3] / "examples" / "clips" / "cmu_sample.npz"


@pytest.fixture(scope="module")
def upright() -> list[Clip]:
    return list(read_clips(CLIPS))[:12]


def z_up(clips: list[Clip], unit: Unit = "m") -> list[Clip]:
    """The clips as a source with z up gives them."""
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32)  # rows times this: x, -z, y
    return [replace(clip, sequence=clip.sequence @ turn / np.float32(METRES[unit])) for clip in clips]


def read_with_remarks(path: Path, **said: str) -> tuple[list[Clip], list[str]]:
    remarks: list[Remark] = []
    clips = list(read_clips(path, conventions=Conventions(**said), report=remarks.append))  # type: ignore[arg-type]
    return clips, [remark.text for remark in remarks]


def check_same(found: list[Clip], expected: list[Clip]) -> None:
    for mine, yours in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.sequence, yours.sequence, atol=1e-5)


def test_a_clip_file_says_its_conventions(upright: list[Clip], tmp_path: Path) -> None:
    meant = Conventions(up="z", unit="cm", hand="right")
    write_clip_file(tmp_path / "clips.npz", z_up(upright, "cm"), conventions=meant)
    found, said = read_with_remarks(tmp_path / "clips.npz")
    check_same(found, upright)
    assert said == ["read as z up, centimetres, right-handed."]


def test_what_a_caller_says_wins(upright: list[Clip], tmp_path: Path) -> None:
    write_clip_file(tmp_path / "clips.npz", z_up(upright, "cm"), conventions=Conventions(up="-y", unit="mm"))
    found, said = read_with_remarks(tmp_path / "clips.npz", up="z", unit="cm")
    check_same(found, upright)
    assert said == ["read as z up, centimetres, right-handed."]


def test_a_clip_file_that_says_nothing_is_read_as_its_format_says_and_doubts_are_told(
    upright: list[Clip], tmp_path: Path
) -> None:
    turned = z_up(upright, "cm")
    write_clip_file(tmp_path / "clips.npz", turned)
    found, said = read_with_remarks(tmp_path / "clips.npz")
    for mine, given in zip(found, turned, strict=True):
        np.testing.assert_array_equal(mine.sequence, given.sequence)
    assert said == [
        "people look as if z were up in it; if so, say --up z.",
        "people have the size of people in centimetres; if so, say --unit cm.",
    ]
    mirrored = [replace(clip, sequence=clip.sequence * np.float32([1, 1, -1])) for clip in upright]
    write_clip_file(tmp_path / "clips.npz", mirrored)
    assert read_with_remarks(tmp_path / "clips.npz")[1] == [
        "people look mirrored; if axes are left-handed, say --hand left."
    ]
    assert read_with_remarks(CLIPS)[1] == []


def test_y_down_is_the_older_way_to_say_minus_y(upright: list[Clip], tmp_path: Path) -> None:
    write_clip_file(tmp_path / "plain.npz", upright)
    with np.load(tmp_path / "plain.npz") as arrays:
        np.savez(tmp_path / "down.npz", **arrays, y_down=np.array(True))
    found, said = read_with_remarks(tmp_path / "down.npz")
    assert said == ["read as -y up, metres, right-handed."]
    np.testing.assert_array_equal(found[0].sequence, upright[0].sequence * np.float32([-1, -1, 1]))


def test_conventions_that_do_not_exist_are_named_with_the_file(upright: list[Clip], tmp_path: Path) -> None:
    write_clip_file(tmp_path / "plain.npz", upright)
    with np.load(tmp_path / "plain.npz") as arrays:
        np.savez(tmp_path / "odd.npz", **arrays, unit=np.array("furlong"))
    with pytest.raises(DamagedFileError, match=r"odd.npz: unit is 'furlong'; choose one of m, dm, cm"):
        list(read_clips(tmp_path / "odd.npz"))


def test_joints_with_a_z_of_0_are_2d(upright: list[Clip], tmp_path: Path) -> None:
    pixels = [
        replace(clip, sequence=clip.sequence * np.float32([100, -100, 0]) + np.float32([320, 240, 0]))
        for clip in upright
    ]
    write_clip_file(tmp_path / "flat.npz", pixels)
    found, said = read_with_remarks(tmp_path / "flat.npz")
    assert said[0] == "read as 2-D joints, -y up."
    assert {clip.dimensions for clip in found} == {2}
    for mine, yours in zip(found, upright, strict=True):
        # The same motion up to scale and place.
        drawn, meant = (clip.sequence[..., :2] - clip.sequence[:1, :, :1, :2] for clip in (mine, yours))
        np.testing.assert_allclose(drawn / np.abs(drawn).max(), meant / np.abs(meant).max(), atol=1e-4)
        assert (mine.sequence[..., 2] == 0).all()


def test_2d_joints_have_a_confidence_and_an_image(upright: list[Clip], tmp_path: Path) -> None:
    parts = [
        replace(clip, sequence=clip.sequence * np.float32([0.1, -0.1, 0]) + np.float32([0.5, 0.5, 0]))
        for clip in upright
    ]
    write_clip_file(tmp_path / "plain.npz", parts)
    rows = sum(len(clip.sequence) for clip in upright)
    seen = np.ones((rows, 25), dtype=np.float32)
    seen[3, 7] = 0.1
    sizes = np.tile([1920, 1080], (len(upright), 1))
    with np.load(tmp_path / "plain.npz") as arrays:
        np.savez(tmp_path / "wide.npz", **arrays, visibility=seen, image_size=sizes)
    square, said = read_with_remarks(tmp_path / "plain.npz")
    assert (
        "joints are parts of an image whose size is not known; it was taken to be square. Say it with --image-size."
        in said
    )
    wide, said = read_with_remarks(tmp_path / "wide.npz")
    assert said == ["read as 2-D joints, -y up."]
    assert np.argwhere(np.isnan(wide[0].sequence[..., 0])).tolist() == [[3, 0, 7]]

    def shape(clip: Clip) -> float:
        sides = np.nanmax(clip.sequence, axis=(0, 1, 2)) - np.nanmin(clip.sequence, axis=(0, 1, 2))
        return float(sides[0] / sides[1])

    assert shape(wide[1]) == pytest.approx(shape(square[1]) * 16 / 9, rel=1e-3)


def test_clips_of_one_name_are_told_apart_by_a_number(upright: list[Clip], tmp_path: Path) -> None:
    write_clip_file(tmp_path / "plain.npz", upright[:5])
    with np.load(tmp_path / "plain.npz") as arrays:
        np.savez(tmp_path / "same.npz", **{**arrays, "clip_name": np.array(["a", "b", "a", "a#2", "a"])})
    found, said = read_with_remarks(tmp_path / "same.npz")
    assert [clip.name for clip in found] == ["a", "b", "a#3", "a#2", "a#4"]
    assert said == ["2 clips have the name of an earlier one; they are called NAME#2, NAME#3 and so on."]
    check_same(found, upright[:5])


def cycled(text: str) -> str:
    """A BVH file with x, y, z called y, z, x: then z is up."""
    turned = re.sub(r"OFFSET\s+(\S+)\s+(\S+)\s+(\S+)", lambda found: f"OFFSET {found[3]} {found[1]} {found[2]}", text)
    return re.sub("([XYZ])(position|rotation)", lambda found: "YZX"["XYZ".index(found[1])] + found[2], turned)


def test_a_bvh_file_is_turned_upright_and_says_how_it_was_read(tmp_path: Path) -> None:
    (expected,), said = read_with_remarks(write_person(tmp_path / "y.bvh"))
    assert said == ["read as y up, centimetres, right-handed."]
    (tmp_path / "z.bvh").write_text(cycled((tmp_path / "y.bvh").read_text()))
    (found,), said = read_with_remarks(tmp_path / "z.bvh")
    assert said == ["read as z up, centimetres, right-handed."]
    front = CleanConfig(align_view=True)
    positions = (clean(clip.sequence, NTU25, front).positions for clip in (found, expected))
    np.testing.assert_allclose(*positions, atol=1e-4)


def test_a_bvh_files_conventions_can_be_said(tmp_path: Path) -> None:
    (as_decided,), _ = read_with_remarks(write_person(tmp_path / "y.bvh"))
    (found,), said = read_with_remarks(tmp_path / "y.bvh", unit="in", hand="left")
    assert said == ["read as y up, inches, left-handed."]
    np.testing.assert_allclose(found.sequence, as_decided.sequence * np.float32([2.54, 2.54, -2.54]), rtol=1e-5)


def test_a_bvh_file_in_which_nobody_ever_stands_is_refused_with_what_to_say(tmp_path: Path) -> None:
    text = write_person(tmp_path / "y.bvh").read_text()
    (tmp_path / "x.bvh").write_text(cycled(cycled(text)))  # x is up
    with pytest.raises(DamagedFileError, match=r"x.bvh: nothing says which way is up.*for example --up z"):
        list(read_clips(tmp_path / "x.bvh"))
    (found,), _ = read_with_remarks(tmp_path / "x.bvh", up="x")
    (expected,), _ = read_with_remarks(tmp_path / "y.bvh")
    front = CleanConfig(align_view=True)
    positions = (clean(clip.sequence, NTU25, front).positions for clip in (found, expected))
    np.testing.assert_allclose(*positions, atol=1e-4)
