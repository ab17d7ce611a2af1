"""Windows of recordings that are near a query, merged into moments. Times are seconds that are easy to add up."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfp_serve.items import Neighbour, Source
from gfp_serve.moments import Moment, are_settled, merge


def window(id, similarity, start_s, end_s, *, recording="kitchen", label=""):
    return Neighbour(id, label, similarity, {}, source=Source(recording, start_s, end_s))


def test_windows_that_overlap_or_touch_and_are_about_equally_near_become_one_moment():
    found = [
        window("b", 0.9, 2, 6, label="wash"),
        window("c", 0.88, 4, 8),
        window("d", 0.875, 8, 12, label="dry"),
        window("far", 0.86, 13, 17),
        window("other", 0.85, 4, 8, recording="hall"),
    ]
    assert merge(found, 5) == [
        Moment(Source("kitchen", 2, 12), 0.9, "wash", ("b", "c", "d")),
        Moment(Source("kitchen", 13, 17), 0.86, "", ("far",)),
        Moment(Source("hall", 4, 8), 0.85, "", ("other",)),
    ]


def test_windows_more_than_three_tenths_farther_than_the_nearest_do_not_join_it():
    # 1 - 0.9 is 0.1, so the limit is 0.13. The last window overlaps a moment, so it does not become one.
    found = [window("a", 0.9, 2, 6), window("near", 0.8701, 4, 8), window("farther", 0.8699, 5, 9)]
    assert merge(found, 5) == [Moment(Source("kitchen", 2, 8), 0.9, "", ("a", "near"))]


def test_a_window_beyond_one_that_is_too_far_does_not_join():
    found = [window("a", 0.9, 0, 4), window("c", 0.89, 6, 10), window("b", 0.7, 3, 7)]
    assert [moment.ids for moment in merge(found, 5)] == [("a",), ("c",)]


def test_an_exact_match_is_a_moment_alone():
    found = [window("a", 1.0000001, 2, 6), window("b", 0.99, 4, 8)]
    assert merge(found, 5) == [Moment(Source("kitchen", 2, 6), 1.0000001, "", ("a",))]


def test_items_without_a_source_and_whole_recordings_are_separate_moments():
    found = [
        Neighbour("x", "wave", 0.9, {}),
        Neighbour("y", "", 0.9, {}),
        Neighbour("whole", "", 0.8, {}, source=Source("kitchen")),
        window("a", 0.8, 2, 6),
        Neighbour("again", "", 0.1, {}, source=Source("kitchen")),
    ]
    assert merge(found, 9) == [
        Moment(None, 0.9, "wave", ("x",)),
        Moment(None, 0.9, "", ("y",)),
        Moment(Source("kitchen"), 0.8, "", ("whole",)),
        Moment(Source("kitchen", 2, 6), 0.8, "", ("a",)),
    ]


# Recording, begin, length, and similarity in hundredths.
windows = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 8), st.integers(-100, 100)), max_size=30
)


def ranked(drawn):
    found = [
        window(str(number), similarity / 100, start_s, start_s + length, recording=recording)
        for number, (recording, start_s, length, similarity) in enumerate(drawn)
    ]
    return sorted(found, key=lambda neighbour: -neighbour.similarity)


@given(windows, st.integers(1, 12))
def test_moments_never_overlap_cover_their_items_and_keep_the_best_similarity(drawn, top_k):
    found = ranked(drawn)
    moments = merge(found, top_k)
    by_id = {neighbour.id: neighbour for neighbour in found}
    assert len(moments) <= top_k
    assert [moment.similarity for moment in moments] == sorted((m.similarity for m in moments), reverse=True)
    for one, other in combinations(moments, 2):
        apart = one.source.end_s <= other.source.start_s or other.source.end_s <= one.source.start_s
        assert one.source.recording != other.source.recording or apart
        assert not set(one.ids) & set(other.ids)
    for moment in moments:
        items = [by_id[id] for id in moment.ids]
        assert {item.source.recording for item in items} == {moment.source.recording}
        assert min(item.source.start_s for item in items) == moment.source.start_s
        assert max(item.source.end_s for item in items) == moment.source.end_s
        assert items[0].similarity == moment.similarity == max(item.similarity for item in items)
    if len(moments) < top_k:  # only windows that overlap a moment are dropped
        for neighbour in found:
            assert any(
                moment.source.recording == neighbour.source.recording
                and moment.source.start_s < neighbour.source.end_s
                and neighbour.source.start_s < moment.source.end_s
                for moment in moments
            )


@given(windows, st.integers(1, 4), st.integers(0, 30))
def test_settled_moments_stay_the_same_with_more_neighbours(drawn, top_k, seen):
    found = ranked(drawn)
    first = found[:seen]
    moments = merge(first, top_k)
    if are_settled(moments, first, top_k):
        assert merge(found, top_k) == moments


@pytest.mark.parametrize("last", [0.88, 0.86])
def test_moments_are_settled_if_all_later_items_are_too_far_to_join(last):
    found = [window("a", 0.9, 2, 6), window("b", last, 20, 24)]
    assert are_settled(merge(found, 1), found, 1) == (last < 0.87)
    assert not are_settled(merge(found, 3), found, 3)
