"""The page finds each item's motion in the recordings, and says what to do if there is none."""

from pathlib import Path

import numpy as np
import pytest

from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.items import Neighbour, Source
from gfp_serve.layouts import NTU25
from gfp_serve.moments import Moment
from gfp_serve.neighbour_page import MAX_NEIGHBOURS, MAX_QUERIES, NeighbourPage, Origin, find_motions, found_panel
from tests.support.page_data import data_of
from tests.support.tiny_bundle import walk


def clip(name: str, seed: int, *, frames: int = 60, label: str | None = "wave") -> Clip:
    return Clip(name=name, sequence=walk(seed, frames=frames), layout=NTU25, fps=30.0, label=label)


@pytest.fixture
def recordings(tmp_path) -> list[Path]:
    """Files with clips c1 and c2 in a.npz, and c1 in b.npz. One more clip is named like a window."""
    write_clip_file(tmp_path / "a.npz", [clip("c1", 1), clip("c2", 2), clip("c2@0-10", 3)])
    write_clip_file(tmp_path / "b.npz", [clip("c1", 4)])
    return [tmp_path / "a.npz", tmp_path / "b.npz"]


def none_damaged(problem: str) -> None:
    raise AssertionError(problem)


def frames_of(origin: Origin, recordings: list[Path]) -> np.ndarray | None:
    motion = find_motions([origin], recordings, none_damaged).get(origin)
    return None if motion is None else motion.sequence


@pytest.mark.parametrize(
    ("origin", "seed", "frames"),
    [
        (Origin("a/c1"), 1, (0, 60)),
        (Origin("b/c1"), 4, (0, 60)),
        (Origin("a/c1@12-30"), 1, (12, 30)),
        (Origin("a/c1@12-30", Source("a/c1", 0.4, 1.0)), 1, (12, 30)),
        (Origin("a/c2@0-10"), 3, (0, 60)),  # a clip has this name
        (Origin("mine", Source("a/c2")), 2, (0, 60)),
        (Origin("mine", Source("a/c2", 0.5, 2.0)), 2, (15, 60)),
        (Origin("", Source("b/c1", 0.0, 1 / 30)), 4, (0, 1)),
    ],
)
def test_an_id_or_a_source_leads_to_a_clip_or_to_a_part_of_it(recordings, origin, seed, frames):
    np.testing.assert_array_equal(frames_of(origin, recordings), walk(seed, frames=60)[slice(*frames)])


@pytest.mark.parametrize(
    "origin",
    [
        Origin("c/c1"),
        Origin("a/c3"),
        Origin("a"),
        Origin("mine"),
        Origin("a/c1@50-61"),  # the recording has 60 frames
        Origin("a/c1@10-10"),
        Origin("mine", Source("a/c1", 1.0, 5.0)),
    ],
)
def test_an_item_that_no_recording_has_is_not_found(recordings, origin):
    assert frames_of(origin, recordings) is None


def test_the_first_of_files_with_one_name_is_used_and_damaged_files_are_named(tmp_path):
    for folder, seed in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        write_clip_file(tmp_path / folder / "a.npz", [clip("c1", seed)])
    files = [tmp_path / "one" / "a.npz", tmp_path / "two" / "a.npz"]
    np.testing.assert_array_equal(frames_of(Origin("a/c1"), files), walk(1, frames=60))

    files[0].write_bytes(b"no archive")
    problems: list[str] = []
    found = find_motions([Origin("a/c1")], files, problems.append)
    np.testing.assert_array_equal(found[Origin("a/c1")].sequence, walk(2, frames=60))
    assert len(problems) == 1
    assert str(files[0]) in problems[0]


def test_a_file_is_known_by_any_end_of_its_path(tmp_path):
    files = []
    for folder, seed in (("s1", 1), ("s2", 2)):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "walk.npz")
        write_clip_file(files[-1], [clip("c1", seed), clip("walk/c1", seed + 2)])
    for id, seed in {
        "s2/walk/c1": 2,
        "walk/walk/c1": 3,
        "s2/walk/walk/c1": 4,
        "walk.npz/c1": 1,
        f"{tmp_path.name}/s2/walk.npz/c1@5-9": 2,
    }.items():
        frames = slice(5, 9) if "@" in id else slice(None)
        np.testing.assert_array_equal(frames_of(Origin(id), files), walk(seed, frames=60)[frames])
    assert frames_of(Origin("s3/walk/c1"), files) is None
    both = find_motions([Origin("walk/c1"), Origin("s1/walk/c1")], files, none_damaged)
    assert len(both) == 2


def test_a_clip_that_cannot_be_drawn_is_reported_and_the_others_are_found(tmp_path):
    infinite = walk(1, frames=60)
    infinite[5, 0, 0, 1] = np.inf
    broken = Clip(name="c1", sequence=infinite, layout=NTU25, fps=30.0, label="wave")
    write_clip_file(tmp_path / "a.npz", [broken, clip("c2", 2)])
    problems: list[str] = []
    found = find_motions([Origin("a/c1"), Origin("a/c2")], [tmp_path / "a.npz"], problems.append)
    assert list(found) == [Origin("a/c2")]
    assert len(problems) == 1
    assert "a.npz, clip 'c1'" in problems[0]


def test_files_that_no_item_names_are_not_read(tmp_path):
    (tmp_path / "unrelated.npz").write_bytes(b"no archive")
    assert find_motions([Origin("a/c1")], [tmp_path / "unrelated.npz"], none_damaged) == {}


def neighbour(id: str, label: str = "wave", similarity: float = 0.9, source: Source | None = None) -> Neighbour:
    return Neighbour(id, label, similarity, {}, source)


@pytest.mark.parametrize(
    ("label", "query_label", "right", "verdict"),
    [
        ("wave", "wave", True, "same class"),
        ("sit", "wave", False, "another class"),
        ("", "wave", None, ""),
        ("wave", None, None, ""),
        ("wave", "", None, ""),
    ],
)
def test_a_neighbour_is_right_or_wrong_only_if_both_have_labels(label, query_label, right, verdict):
    panel = found_panel(neighbour("a/c1", label), query_label, None)
    assert (panel.right, panel.verdict) == (right, verdict)


def test_a_neighbour_without_a_motion_says_what_to_give():
    assert found_panel(neighbour("ntu/c1"), None, None).missing.startswith("Its recording 'ntu' was not found,")
    assert found_panel(neighbour("s1/walk/c1"), None, None).missing.startswith("Its recording 's1/walk' was not found,")
    assert "--recordings" in found_panel(neighbour("ntu/c1"), None, None).missing
    assert "not known" in found_panel(neighbour("mine"), None, None).missing


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        (Moment(Source("a/c1", 1.5, 3.25), 0.9, "", ("a/c1@45-75", "a/c1@60-97")), "a/c1, 1.50 to 3.25 s"),
        (Moment(Source("a/c1"), 0.9, "", ("a/c1",)), "a/c1"),
        (Moment(None, 0.9, "", ("a/c1",)), "a/c1"),
    ],
)
def test_the_title_of_a_moment_is_its_recording_and_time(moment, name):
    assert found_panel(moment, None, None).subtitle == name


def test_the_page_has_a_row_for_each_query_with_the_motion_that_the_recordings_have(tmp_path, recordings):
    page = NeighbourPage()
    page.add("a/c1", clip("c1", 1), [neighbour("a/c1"), neighbour("b/c1", "sit", 0.5), neighbour("c/c1")])
    page.add("x/c9", clip("c9", 9, label=None), [Moment(Source("a/c2", 0.0, 1.0), 0.7, "sit", ("a/c2@0-30",))])
    written = page.write(tmp_path / "page.html", recordings, none_damaged)
    first, second = data_of((tmp_path / "page.html").read_text())["rows"]

    assert [each["subtitle"] for each in (first["query"], *first["neighbours"])] == ["a/c1", "a/c1", "b/c1", "c/c1"]
    assert [each["motion"] for each in first["neighbours"]] == [1, 2, None]  # the query is 0
    assert second["neighbours"][0]["motion"] is not None
    assert (written.num_shown, written.num_queries) == (2, 2)
    assert (written.num_neighbours, written.num_without_motion) == (4, 1)
    assert written.num_bytes == (tmp_path / "page.html").stat().st_size


def test_without_recordings_the_motion_is_that_of_the_queries_files_if_items_are_of_these(tmp_path, recordings):
    for similarity, shown in ((1.0, True), (0.8, False)):
        page = NeighbourPage()
        page.add("a/c1", clip("c1", 1), [neighbour("a/c1", similarity=similarity), neighbour("a/c2")])
        page.add("b/c1", clip("c1", 1), [neighbour("a/c1", similarity=0.7)])
        written = page.write(tmp_path / "page.html", [], none_damaged, of_queries=recordings)
        first, second = data_of((tmp_path / "page.html").read_text())["rows"]
        motions = [each["motion"] is not None for each in (*first["neighbours"], *second["neighbours"])]
        assert motions == [shown] * 3
        assert written.num_without_motion == (0 if shown else 2)


def test_the_page_shows_only_the_first_of_many_queries_and_neighbours_and_says_so(tmp_path, recordings):
    page = NeighbourPage()
    for _ in range(MAX_QUERIES + 3):
        page.add("a/c1", clip("c1", 1), [neighbour("a/c1")] * (MAX_NEIGHBOURS + 1))
    written = page.write(tmp_path / "page.html", recordings, none_damaged)
    data = data_of((tmp_path / "page.html").read_text())

    assert len(data["rows"]) == MAX_QUERIES
    assert {len(row["neighbours"]) for row in data["rows"]} == {MAX_NEIGHBOURS}
    assert "12 of 15 queries" in data["note"]
    assert (written.num_shown, written.num_queries) == (12, 15)
