"""How sets are read and split: never the same person, recording or clip on both sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import GfpError, InvalidRequestError
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.layouts import NTU25
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.small_runs import moving_body, write_store
from trainer.evaluate.suite.changes import CHANGES
from trainer.evaluate.suite.protocols import PROTOCOLS, Protocol, draw_by_class, split_of, split_set
from trainer.evaluate.suite.recordings import join_recordings, overlap, overlaps
from trainer.evaluate.suite.run import changed, changes_of, gallery_and_queries
from trainer.evaluate.suite.sets import FoundSet, LabelledSet, find_sets, read_set

ALL = {"gallery_clips": 1000, "query_clips": 1000, "seed": 0}


def labelled(
    people: list[str], *, classes: int = 3, recordings: list[str] | None = None, name: str = "made-up"
) -> LabelledSet:
    """A clip of each class for each of these people, or recordings."""
    names = people if recordings is None else recordings
    clips = tuple(
        Clip(
            name=f"{one}-{label}",
            sequence=moving_body(100 * number + label, num_frames=40),
            layout=NTU25,
            fps=30.0,
            label=f"class{label}",
        )
        for number, one in enumerate(names)
        for label in range(classes)
    )
    of_people = tuple(one for one in (people or [""] * len(names)) for _ in range(classes))
    return LabelledSet(
        name, Path("made-up.npz"), "0" * 64, clips, of_people, tuple(o for o in names for _ in range(classes))
    )


def sides(given: LabelledSet, groups: tuple[str, ...], protocol: Protocol | None = None) -> list[tuple[set, set]]:
    split = split_set(given, protocol or Protocol(), **ALL)
    return [({groups[i] for i in fold.train}, {groups[i] for i in fold.test}) for fold in split.folds]


def test_odd_subjects_answer_and_even_ones_ask() -> None:
    given = labelled(["1", "2", "3", "4"])
    assert split_of(given, Protocol()) == "odd subjects"
    assert sides(given, given.people) == [({"1", "3"}, {"2", "4"})]


@pytest.mark.parametrize("people", [["565", "577", "604", "1000"], ["anna", "bert", "cleo", "dora"]])
def test_where_numbers_have_gaps_or_are_names_every_second_subject_answers(people: list[str]) -> None:
    given = labelled(people)
    assert split_of(given, Protocol()) == "every second subject"
    assert sides(given, given.people) == [({people[0], people[2]}, {people[1], people[3]})]


def test_without_people_recordings_alternate_and_the_report_says_so() -> None:
    given = labelled([], recordings=["a", "b", "c", "d"])
    split = split_set(given, Protocol(), **ALL)
    assert sides(given, given.recordings) == [({"a", "c"}, {"b", "d"})]
    assert split.same_people


@pytest.mark.parametrize(
    ("people", "shared"), [(["1", "2", "3", "4"], False), (["1", "2", "3", "1"], True), (["1", "2", "3", ""], True)]
)
def test_a_stores_own_test_split_asks_even_where_a_set_has_a_protocol(people: list[str], shared: bool) -> None:
    given = labelled(people, name="florence3d")
    tested = tuple(number >= 9 for number in range(12))  # the clips of the last one
    split = split_set(replace(given, tested=tested), PROTOCOLS["florence3d"], **ALL)
    assert split.says == "queries: the store's test split; gallery: its other clips"
    assert [(fold.test.tolist(), fold.train.tolist()) for fold in split.folds] == [([9, 10, 11], list(range(9)))]
    assert split.same_people == shared
    for nobody in (False, True):  # without both sides there is nothing to split by
        whole = replace(given, tested=(nobody,) * 12)
        assert split_of(whole, PROTOCOLS["florence3d"]) == "two folds of subjects"


def test_clips_of_people_who_are_not_known_are_on_neither_side() -> None:
    given = labelled(["1", "2", "3", ""])
    assert sides(given, given.people) == [({"1", "3"}, {"2"})]


@pytest.mark.parametrize(
    ("split", "num_folds"),
    [
        ("two folds of subjects", 2),
        ("one subject left out", 6),
        ("five folds of recordings", 5),
        ("every second subject", 1),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_no_person_is_ever_on_both_sides(split, num_folds: int, seed: int) -> None:
    people = [str(number) for number in np.random.default_rng(seed).permutation(40)[:6]]
    given = labelled(people)
    found = sides(given, given.people, Protocol(split=split))
    assert len(found) == num_folds
    assert [gallery & queries for gallery, queries in found] == [set()] * num_folds
    if num_folds > 1:
        assert set.union(*(queries for _, queries in found)) == set(people)


def test_queries_are_of_classes_that_the_gallery_has() -> None:
    given = labelled(["1", "2"])
    clips = tuple(replace(clip, label="rare") if i == 3 else clip for i, clip in enumerate(given.clips))
    split = split_set(replace(given, clips=clips), Protocol(), **ALL)
    assert split.folds[0].test.tolist() == [4, 5]


def test_copies_of_a_clip_of_the_gallery_are_not_asked() -> None:
    given = labelled(["1", "2"])
    copy = replace(given.clips[4], sequence=given.clips[0].sequence.copy())
    split = split_set(replace(given, clips=(*given.clips[:4], copy, given.clips[5])), Protocol(), **ALL)
    assert split.folds[0].test.tolist() == [3, 5]
    assert split.num_copies == 1


def test_a_draw_by_class_keeps_shares_and_one_of_each_class() -> None:
    labels = np.array(["a"] * 80 + ["b"] * 19 + ["c"])
    chosen = draw_by_class(np.arange(100), labels, 20, np.random.default_rng(0))
    counts = [int((labels[chosen] == label).sum()) for label in "abc"]
    assert sum(counts) == 20
    assert counts[0] in (15, 16)
    assert counts[2] == 1
    again = draw_by_class(np.arange(100), labels, 20, np.random.default_rng(0))
    other = draw_by_class(np.arange(100), labels, 20, np.random.default_rng(1))
    assert chosen.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (labelled(["1", "2"], classes=1), "of one class"),
        (labelled(["1", "3"]), "on both sides"),
        (labelled([], recordings=["a"]), "on both sides"),
    ],
)
def test_a_set_without_a_question_is_refused(given: LabelledSet, said: str) -> None:
    given = replace(given, people=tuple({"3": "5"}.get(one, one) for one in given.people))
    with pytest.raises(InvalidRequestError, match=said):
        split_set(given, Protocol(split="odd subjects" if any(given.people) else None), **ALL)


def test_the_table_names_known_splits_only() -> None:
    for name, protocol in PROTOCOLS.items():
        people = labelled([str(number) for number in range(1, 11)], name=name)
        assert split_set(people, protocol, **ALL).folds


def clips_for_a_file() -> list[Clip]:
    return [
        Clip(
            name=f"r{number // 2}@{number}",
            sequence=moving_body(number, num_frames=30),
            layout=NTU25,
            fps=30.0,
            label=f"class{number % 2}",
            subject=str(number // 4 + 1),
        )
        for number in range(8)
    ]


def test_a_clip_file_is_read_with_people_and_with_pieces_of_recordings_together(tmp_path: Path) -> None:
    write_clip_file(tmp_path / "walks.npz", clips_for_a_file())
    (found,) = find_sets(tmp_path)
    given = read_set(found, ("label",), print)
    assert given.people == ("1",) * 4 + ("2",) * 4
    assert given.recordings == ("r0", "r0", "r1", "r1", "r2", "r2", "r3", "r3")
    np.testing.assert_array_equal(given.clips[3].sequence, clips_for_a_file()[3].sequence)


def test_labels_can_be_made_of_two_arrays_of_a_file(tmp_path: Path) -> None:
    write_clip_file(tmp_path / "walks.npz", clips_for_a_file())
    with np.load(tmp_path / "walks.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "walks.npz", **arrays, correct=np.arange(8) < 4)
    given = read_set(FoundSet("walks", tmp_path / "walks.npz"), ("label", "correct"), print)
    assert [clip.label for clip in given.clips][:5] == ["0 / True", "1 / True", "0 / True", "1 / True", "0 / False"]
    with pytest.raises(InvalidRequestError, match="needs an array 'coarse_label'"):
        read_set(FoundSet("walks", tmp_path / "walks.npz"), ("coarse_label",), print)


def test_clips_of_a_store_are_cleaned_to_what_the_store_has(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", num_clips=6, gaps=True)
    (found,) = find_sets(tmp_path)
    given = read_set(found, ("label",), print)
    assert (found.name, given.people[:4]) == ("made-up", ("0", "1", "2", "3"))
    for index, clip in enumerate(given.clips):
        cleaned = clean(clip.sequence, clip.layout, CleanConfig())
        np.testing.assert_array_equal(cleaned.known, store.cleaned(index).known)
        known = cleaned.known
        shift = cleaned.positions[known] - store.cleaned(index).positions[known]
        np.testing.assert_allclose(shift, np.broadcast_to(shift[:1], shift.shape), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "chosen", "said"),
    [
        (lambda folder: folder.rmdir(), (), "is not a folder"),
        (lambda _: None, (), "neither clip files"),
        (
            lambda folder: write_clip_file(folder / "walks.npz", clips_for_a_file()),
            ("runs",),
            "no set 'runs'; it has walks",
        ),
    ],
)
def test_a_folder_without_what_was_asked_for_is_refused(make, chosen, said: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data")
    with pytest.raises(InvalidRequestError, match=said):
        find_sets(tmp_path / "data", chosen)


def test_two_sets_of_one_name_and_a_file_without_labels_are_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "store", num_clips=4)
    write_clip_file(tmp_path / "made-up.npz", [replace(clip, label=None) for clip in clips_for_a_file()])
    with pytest.raises(InvalidRequestError, match="two sets of the name 'made-up'"):
        find_sets(tmp_path)
    with pytest.raises(InvalidRequestError, match="none of the 8 clips of made-up has a label"):
        read_set(FoundSet("made-up", tmp_path / "made-up.npz"), ("label",), print)


def test_a_file_that_is_not_a_clip_file_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", keypoints=np.zeros(3))
    with pytest.raises(GfpError, match=r"other\.npz is not a clip file"):
        read_set(FoundSet("other", tmp_path / "other.npz"), ("label",), print)


def test_recordings_have_each_class_once_and_ask_by_other_people() -> None:
    given = split_set(labelled(["1", "2", "3", "4"], classes=5), Protocol(), **ALL)
    recordings = join_recordings(given, seed=0)
    assert recordings is not None
    assert set(recordings.recording_of) == {0, 1}
    for number in (0, 1):
        questions = [each for each in recordings.questions if each.recording == number]
        asked = [given.clips.clips[each.asked_by].label for each in questions]
        assert sorted(asked) == [f"class{label}" for label in range(5)]
        assert [each.first_frame for each in questions] == [0, 40, 80, 120, 160]
    assert {given.clips.people[each.asked_by] for each in recordings.questions} <= {"1", "3"}
    assert recordings.spans[:3] == ((0, 40), (10, 50), (20, 60))


def test_another_motion_is_not_asked_where_all_queries_are_of_one_class() -> None:
    given = labelled(["1", "2"], classes=2)
    whole = split_set(given, Protocol(), **ALL)
    one = split_set(replace(given, clips=(*given.clips[:3], replace(given.clips[3], label="rare"))), Protocol(), **ALL)
    names = [[change.name for change in changes_of(each, CHANGES)] for each in (whole, one)]
    assert set(names[0]) - set(names[1]) == {"other-motion"}


def test_another_motion_comes_from_queries_of_the_same_fold() -> None:
    given = split_set(labelled(["1", "2", "3", "4"]), Protocol(split="two folds of subjects"), **ALL)
    change = next(change for change in CHANGES if change.name == "other-motion")
    queries = gallery_and_queries(given)[1]
    for index, (_, draws) in zip(queries, changed(given, queries, change, 0), strict=True):
        fold = next(fold for fold in given.folds if index in fold.test)
        own = {given.clips.clips[place].name for place in fold.test}
        assert len(draws.others) == 4
        assert {clip.name for clip in draws.others} < own


def test_people_with_two_classes_make_no_recording() -> None:
    assert join_recordings(split_set(labelled(["1", "2"], classes=2), Protocol(), **ALL), seed=0) is None


def test_the_nearest_moment_is_compared_with_the_action_that_was_asked_for() -> None:
    given = split_set(labelled(["1", "2"], classes=3), Protocol(), **ALL)
    recordings = join_recordings(given, seed=0)
    assert recordings is not None
    # The windows begin at frames 0, 10, ... 80 of 120; actions last from 0 to 40, 40 to 80 and 80 to 120.
    windows = np.zeros((9, 3), dtype=np.float32)
    windows[[0, 1, 2, 3], 0] = windows[[4, 5, 6, 7], 1] = windows[8, 2] = 1
    one = {
        recordings.questions[0].asked_by: 0,
        recordings.questions[1].asked_by: 0,
        recordings.questions[2].asked_by: 2,
    }
    gallery = {clip: np.eye(3, dtype=np.float32)[axis] for clip, axis in one.items()}
    # The first four windows make one moment, of frames 0 to 70.
    assert overlaps(recordings, windows, gallery, fps=10.0) == pytest.approx([40 / 70, 30 / 80, 1])


@pytest.mark.parametrize(("other", "share"), [((0, 2), 1.0), ((1, 3), 1 / 3), ((2, 4), 0.0), ((0.5, 1), 0.25)])
def test_overlap_is_intersection_over_union(other: tuple[float, float], share: float) -> None:
    assert overlap((0, 2), other) == pytest.approx(share)
