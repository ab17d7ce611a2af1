"""The project's own `.npz` of clips: clips are read as they were written, and an error names the array."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfp_serve import array_files
from gfp_serve.errors import DamagedFileError, InvalidRequestError
from gfp_serve.formats import Clip, find_files, read_clips, write_clip_file
from gfp_serve.layouts import BANDAI21, FLORENCE15, KINECT20, NTU25, Layout

EXAMPLES = Path(__file__).parents[3] / "examples" / "clips"

coordinates = st.one_of(st.floats(-900, 900, width=32), st.just(float("nan")))
# No NUL: numpy's text arrays cut texts off at a NUL.
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=6)


@st.composite
def clips_of_one_file(draw: st.DrawFn) -> list[Clip]:
    layout = draw(st.sampled_from([NTU25, KINECT20, FLORENCE15, BANDAI21]))
    names = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    rates = st.floats(1, 240, width=32)
    rates = rates if draw(st.booleans()) else st.just(draw(rates))
    clips = []
    for name in names:
        shape = (draw(st.integers(1, 4)), draw(st.integers(1, 2)), layout.num_joints, 3)
        sequence = draw(hnp.arrays(np.float32, shape, elements=coordinates))
        sequence[0, -1, 0] = 1.0  # a last body that is seen
        clip = Clip(
            name=name,
            sequence=sequence,
            layout=layout,
            fps=draw(rates),
            label=draw(st.none() | texts),
            subject=draw(texts | st.integers(0, 99).map(str)),
            camera=draw(st.integers(0, 99)),
            split=draw(st.integers(-1, 1)),
            description=draw(texts),
        )
        clips.append(clip)
    return clips


@given(clips=clips_of_one_file())
def test_what_is_written_is_read_back(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("clips") / "some.npz"
    write_clip_file(path, clips)
    back = list(read_clips(path))
    assert len(back) == len(clips)
    for read, written in zip(back, clips, strict=True):
        np.testing.assert_array_equal(read.sequence, written.sequence)
        for field in ("name", "layout", "fps", "label", "subject", "camera", "split", "description"):
            assert getattr(read, field) == getattr(written, field)
    assert [file.name for file in path.parent.iterdir()] == ["some.npz"]


def test_the_shipped_recordings_are_read() -> None:
    assert [file.name for file in find_files(EXAMPLES)] == ["cmu_sample.npz", "precog.npz"]
    clips = list(read_clips(EXAMPLES / "precog.npz"))
    assert len(clips) == 72
    assert clips[0].layout == KINECT20
    assert clips[0].sequence.shape == (232, 1, 20, 3)
    assert (clips[0].name, clips[0].label, clips[0].subject, clips[0].fps) == ("Seq1_1", "sequence 1", "1", 30.0)


def make_arrays() -> dict[str, np.ndarray]:
    """Return two clips of 2 and 3 frames with all arrays. The second clip has a second body."""
    rows = np.arange(5 * 25 * 3, dtype=np.float32).reshape(5, 25, 3) / 100
    second = rows + 1
    second[:2] = np.nan
    return {
        "positions": rows,
        "positions2": second,
        "offsets": np.array([0, 2, 5]),
        "joint_names": np.array(NTU25.joint_names),
        "parents": np.array(NTU25.parents, dtype=np.int16),
        "fps": np.array(30, dtype=np.float32),
        "label": np.array([1, -1], dtype=np.int16),
        "class_names": np.array(["sit", "walk"]),
        "subject": np.array([7, 8], dtype=np.int16),
        "camera": np.array([1, 2], dtype=np.int16),
        "split": np.array([0, 1], dtype=np.int8),
        "clip_name": np.array(["a", "b"]),
        "description": np.array(["first", "second"]),
    }


def write_arrays(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


def test_each_clip_has_its_own_rows_and_a_second_body_only_if_there_is_one(tmp_path: Path) -> None:
    arrays = make_arrays()
    first, second = read_clips(write_arrays(tmp_path / "two.npz", arrays))
    np.testing.assert_array_equal(first.sequence, arrays["positions"][:2, None])
    assert second.sequence.shape == (3, 2, 25, 3)
    np.testing.assert_array_equal(second.sequence[:, 1], arrays["positions2"][2:])
    assert (first.label, first.subject, first.camera, first.split, first.description) == ("walk", "7", 1, 0, "first")
    assert second.label is None


def test_optional_arrays_may_be_absent_and_unknown_ones_present(tmp_path: Path) -> None:
    required = {name: make_arrays()[name] for name in ("positions", "offsets", "joint_names", "parents", "fps")}
    first, second = read_clips(write_arrays(tmp_path / "bare.npz", required | {"fold": np.array([1, 2])}))
    assert (first.name, second.name) == ("0", "1")
    assert (first.label, first.subject, first.camera, first.split) == (None, "unknown", 0, -1)


def test_joints_in_another_order_are_recognised_by_name(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["joint_names"] = arrays["joint_names"][::-1]
    arrays["parents"] = np.full(25, -1)
    clip = next(read_clips(write_arrays(tmp_path / "own.npz", arrays)))
    assert clip.layout.joint_names == NTU25.joint_names[::-1]


# The damaged array, and its new content.
DAMAGES: dict[str, tuple[str, np.ndarray | Callable[[np.ndarray], np.ndarray]]] = {
    "whole numbers as positions": ("positions", lambda a: a.astype(int)),
    "positions of other joints": ("positions", lambda a: a[:, :24]),
    "positions without axes": ("positions", lambda a: a.reshape(-1)),
    "a second body of other length": ("positions2", lambda a: a[:4]),
    "offsets that fall": ("offsets", np.array([0, 4, 3, 5])),
    "an empty clip": ("offsets", np.array([0, 2, 2, 5])),
    "offsets beyond the rows": ("offsets", np.array([0, 2, 6])),
    "offsets short of the rows": ("offsets", np.array([0, 2, 4])),
    "offsets that start late": ("offsets", np.array([1, 2, 5])),
    "no clip": ("offsets", np.array([0])),
    "offsets as floats": ("offsets", lambda a: a.astype(float)),
    "unknown joints": ("joint_names", np.array([f"joint {i}" for i in range(25)])),
    "a joint twice": ("joint_names", lambda a: np.array(["Head", *a[1:3], "Head", *a[4:]])),
    "a parent beyond the joints": ("parents", lambda a: np.where(a == 20, 25, a)),
    "too few parents": ("parents", lambda a: a[:3]),
    "a frame rate of zero": ("fps", np.array(0.0)),
    "too many frame rates": ("fps", np.array([30.0, 30.0, 30.0])),
    "a frame rate of zero among others": ("fps", np.array([30.0, 0.0])),
    "a label beyond the classes": ("label", np.array([0, 2])),
    "too few labels": ("label", lambda a: a[:1]),
    "text as labels": ("label", np.array(["sit", "walk"])),
    "numbers as classes": ("class_names", np.array([1, 2])),
    "too many subjects": ("subject", np.array([1, 2, 3])),
    "cameras as floats": ("camera", np.array([0.5, 1.0])),
    "an unknown split": ("split", np.array([0, 2])),
    "bytes as descriptions": ("description", np.array([b"x", b"y"])),
    "objects": ("clip_name", np.array([{"a": 1}, None], dtype=object)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_contradiction_is_refused_with_file_and_array(damage: str, tmp_path: Path) -> None:
    name, instead = DAMAGES[damage]
    arrays = make_arrays()
    arrays[name] = instead(arrays[name]) if callable(instead) else instead
    path = write_arrays(tmp_path / "bad.npz", arrays)
    with pytest.raises(DamagedFileError, match=re.escape(f"{path}: array {name!r}")):
        next(read_clips(path))


@pytest.mark.parametrize("name", ["positions", "offsets", "joint_names", "parents", "fps"])
def test_a_missing_array_is_named(name: str, tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays[name]
    with pytest.raises(DamagedFileError, match=f"no array '{name}'"):
        next(read_clips(write_arrays(tmp_path / "bad.npz", arrays)))


def test_labels_without_class_names_are_refused(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["class_names"]
    with pytest.raises(DamagedFileError, match="no array 'class_names'"):
        next(read_clips(write_arrays(tmp_path / "bad.npz", arrays)))


@given(share=st.floats(0, 0.999))
def test_a_cut_off_file_is_refused(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_arrays(tmp_path_factory.mktemp("clips") / "cut.npz", make_arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedFileError, match=r"cut\.npz"):
        next(read_clips(path))


def test_a_flipped_bit_in_the_positions_is_found(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flipped.npz", make_arrays())
    content = bytearray(path.read_bytes())
    content[400] ^= 1  # inside the first array, behind its header
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="'positions'"):
        next(read_clips(path))


def test_a_small_file_that_would_take_all_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_files, "_FREE_BYTES", 1_000_000)
    bomb = tmp_path / "bomb.npz"
    np.savez_compressed(bomb, positions=np.zeros((10_000, 25, 3), dtype=np.float32))
    with pytest.raises(DamagedFileError, match="would take 3 MB of memory, more than 50 times its own size"):
        list(read_clips(bomb))


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "new.npz", make_arrays())
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # in each member's header, and in the directory
        content[content.index(mark) + offset] = 77
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="compression"):
        next(read_clips(path))


def test_text_named_npz_an_unknown_suffix_nothing_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "film.doc").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, said in {"text.npz": "not a zip", "film.doc": "format", "none.npz": "exist"}.items():
        with pytest.raises(DamagedFileError, match=said):
            next(read_clips(tmp_path / name))
    for name, said in {"film.doc": "format", "none": "exist", "empty": "without recordings"}.items():
        with pytest.raises(DamagedFileError, match=said):
            find_files(tmp_path / name)


def make_clip(layout: Layout = NTU25, **values: Any) -> Clip:
    sequence = np.ones((2, values.pop("bodies", 1), layout.num_joints, 3), dtype=np.float32)
    return Clip(**{"name": "a", "sequence": sequence, "layout": layout, "fps": 30.0} | values)


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ([], "no clip"),
        ([make_clip(), make_clip()], "two clips are named 'a'"),
        ([make_clip(), make_clip(KINECT20, name="b")], "layout"),
        ([make_clip(bodies=3)], "3 bodies"),
        *(
            ([make_clip(), make_clip(name="b", fps=fps)], f"fps of clip 'b': it is {fps:g}".replace("+", r"\+"))
            for fps in (0.0, -1.0, math.nan, math.inf, 1e-310, 1e300)
        ),
    ],
)
def test_clips_that_do_not_fit_into_one_file_are_refused_and_no_file_is_left(
    clips: list[Clip], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        write_clip_file(tmp_path / "out.npz", clips)
    assert not list(tmp_path.iterdir())


def test_parents_in_a_circle_are_refused(tmp_path: Path) -> None:
    write_clip_file(
        tmp_path / "a.npz", [Clip(name="a", sequence=np.ones((3, 1, 25, 3), np.float32), layout=NTU25, fps=30.0)]
    )
    with np.load(tmp_path / "a.npz") as arrays:
        content = dict(arrays)
    content["parents"][0] = 20
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DamagedFileError, match="'parents' must make a tree, and joint 'SpineBase' is its own ancestor"):
        list(read_clips(tmp_path / "a.npz"))
