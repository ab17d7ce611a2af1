"""What every gallery does; the contract is written against `Gallery`, and run on a gallery in a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from gfp_serve.classify import nearest
from gfp_serve.errors import ClosedError, EmptyGalleryError, InvalidRequestError, ItemNotFoundError
from gfp_serve.gallery import FaissGallery, Gallery, Item

DIGEST = "5e" * 32
EAST, NORTH, NORTH_EAST = (np.array(vector, dtype=np.float32) for vector in ((1, 0), (0, 1), (1, 1)))


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with FaissGallery.create(tmp_path / "gallery", encoder_digest=DIGEST, embedding_size=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def gallery_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[np.ndarray], Gallery]]:
    """One gallery, emptied and filled with rows whose ids are their numbers: making a new one syncs disks."""
    with FaissGallery.create(tmp_path_factory.mktemp("g"), encoder_digest=DIGEST, embedding_size=2) as gallery:

        def fill(rows: np.ndarray) -> Gallery:
            gallery.delete([str(row) for row in range(100)])
            gallery.upsert([Item(str(row), vector) for row, vector in enumerate(rows)])
            return gallery

        yield fill


def ids_near(gallery: Gallery, vector: np.ndarray, top_k: int = 10) -> list[str]:
    return [neighbour.id for neighbour in gallery.search(vector[None], top_k=top_k)[0]]


def test_a_new_gallery_is_empty_and_knows_its_encoder(gallery):
    assert (len(gallery), gallery.generation, gallery.embedding_size, gallery.encoder_digest) == (0, 0, 2, DIGEST)


def test_neighbours_come_nearest_first_with_their_cosine_label_and_attributes(gallery):
    gallery.upsert([Item("n", NORTH, "sit"), Item("ne", NORTH_EAST), Item("e", 5 * EAST, "walk", {"fps": 30.0})])
    (found,) = gallery.search(2 * EAST[None], top_k=3)
    assert [(neighbour.id, neighbour.label) for neighbour in found] == [("e", "walk"), ("ne", ""), ("n", "sit")]
    assert [neighbour.similarity for neighbour in found] == pytest.approx([1, 0.5**0.5, 0])
    assert [neighbour.attributes for neighbour in found] == [{"fps": 30.0}, {}, {}]


def test_an_opposite_vector_has_similarity_minus_one(gallery):
    gallery.upsert([Item("w", -3 * EAST)])
    assert gallery.search(EAST[None], top_k=1)[0][0].similarity == -1


def test_each_query_gets_its_own_neighbours(gallery):
    gallery.upsert([Item("e", EAST), Item("n", NORTH)])
    first, second = gallery.search(np.stack([NORTH, EAST]), top_k=1)
    assert ([n.id for n in first], [n.id for n in second]) == (["n"], ["e"])


def test_no_queries_have_no_answers(gallery):
    gallery.upsert([Item("e", EAST)])
    assert gallery.search(np.empty((0, 2), dtype=np.float32), top_k=1) == []


def test_asking_for_more_than_there_is_gives_all_there_is(gallery):
    gallery.upsert([Item("e", EAST), Item("n", NORTH)])
    assert ids_near(gallery, EAST, top_k=100) == ["e", "n"]


def test_equal_similarities_come_in_the_order_of_the_last_upsert(gallery):
    gallery.upsert([Item(name, EAST) for name in "abcd"])
    gallery.upsert([Item("b", EAST)])
    assert ids_near(gallery, EAST) == ["a", "c", "d", "b"]


def test_an_upsert_replaces_the_item_of_the_same_id(gallery):
    gallery.upsert([Item("a", EAST, "walk", {"take": 1.0}), Item("b", NORTH)])
    gallery.upsert([Item("a", NORTH, "sit")])
    assert len(gallery) == 2
    assert [(n.id, n.label, n.attributes) for n in gallery.search(NORTH[None], top_k=5)[0]] == [
        ("b", "", {}),
        ("a", "sit", {}),
    ]


def test_the_same_upsert_again_changes_no_answer(gallery):
    items = [Item("a", EAST, "walk"), Item("b", NORTH, "sit")]
    gallery.upsert(items)
    before = gallery.search(EAST[None], top_k=5)
    gallery.upsert(items)
    assert gallery.search(EAST[None], top_k=5) == before
    assert len(gallery) == 2


def test_the_last_of_the_same_id_in_one_upsert_is_kept(gallery):
    gallery.upsert([Item("a", EAST, "walk"), Item("b", NORTH), Item("a", NORTH, "sit")])
    assert [item.label for item in gallery.get(["a"])] == ["sit"]
    assert len(gallery) == 2


def test_each_change_is_a_generation_and_nothing_else_is(gallery):
    assert gallery.upsert([Item("a", EAST), Item("b", EAST)]) == 1
    assert gallery.upsert([]) == 1
    assert gallery.delete(["nobody"]) == 0
    assert gallery.generation == 1
    gallery.delete(["a", "b"])
    assert gallery.generation == 2


def test_delete_counts_each_item_that_it_removed_once(gallery):
    gallery.upsert([Item(name, EAST) for name in "abc"])
    assert gallery.delete(["a", "nobody", "a", "c"]) == 2
    assert ids_near(gallery, EAST) == ["b"]


def test_a_deleted_id_can_be_used_again(gallery):
    gallery.upsert([Item("a", EAST, "walk")])
    gallery.delete(["a"])
    gallery.upsert([Item("a", NORTH, "sit")])
    assert [(n.id, n.label) for n in gallery.search(NORTH[None], top_k=3)[0]] == [("a", "sit")]


def test_get_gives_items_in_the_order_asked_with_vectors_of_length_one(gallery):
    gallery.upsert([Item("a", 2 * EAST, "walk", {"tags": ["x", "y"]}), Item("b", NORTH_EAST)])
    b, a, again = gallery.get(["b", "a", "b"])
    assert (b.id, a.id, again.id, a.label, a.attributes) == ("b", "a", "b", "walk", {"tags": ["x", "y"]})
    np.testing.assert_array_equal(a.vector, EAST)
    np.testing.assert_allclose(b.vector, [0.5**0.5, 0.5**0.5], rtol=1e-6)
    assert gallery.get([]) == []


def test_the_ids_that_do_not_exist_are_named(gallery):
    gallery.upsert([Item("a", EAST)])
    with pytest.raises(ItemNotFoundError, match="'b', 'c'"):
        gallery.get(["a", "b", "c"])


def test_an_empty_gallery_says_so(gallery):
    with pytest.raises(EmptyGalleryError, match="upsert"):
        gallery.search(EAST[None], top_k=1)
    gallery.upsert([Item("a", EAST)])
    gallery.delete(["a"])
    with pytest.raises(EmptyGalleryError):
        gallery.search(EAST[None], top_k=1)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("", EAST), "has 0 characters"),
        (Item("x" * 257, EAST), "has 257 characters"),
        (Item("bad\ud800", EAST), "UTF-8"),
        (Item("clip-7", EAST, "bad\ud800"), "'clip-7'"),
        (Item("clip-7", np.zeros(2, dtype=np.float32)), "'clip-7' is all zeros"),
        (Item("clip-7", np.array([1, np.nan], dtype=np.float32)), "'clip-7' holds NaN or infinity"),
        (Item("clip-7", np.array([1, np.inf], dtype=np.float32)), "'clip-7' holds NaN or infinity"),
        (Item("clip-7", np.ones(3, dtype=np.float32)), "'clip-7' has shape"),
        (Item("clip-7", EAST, "", {"fps": float("nan")}), "'fps' of item 'clip-7' is nan"),
        (Item("clip-7", EAST, "", {"bad\ud800": True}), "'clip-7'"),
    ],
)
def test_an_item_that_cannot_be_stored_is_named_and_its_whole_upsert_refused(gallery, item, expected):
    with pytest.raises(InvalidRequestError, match=expected):
        gallery.upsert([Item("good", EAST), item])
    assert (len(gallery), gallery.generation) == (0, 0)


@pytest.mark.parametrize(
    ("queries", "top_k", "expected"),
    [
        (np.ones((1, 2)), 0, "top_k is 0"),
        (np.ones((1, 3)), 1, "vectors of 2 numbers"),
        ([[1, 0], [0, 0]], 1, "query 1 is all zeros"),
        ([[np.nan, 0]], 1, "query 0 holds NaN"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(gallery, queries, top_k, expected):
    gallery.upsert([Item("a", EAST)])
    with pytest.raises(InvalidRequestError, match=expected):
        gallery.search(np.asarray(queries, dtype=np.float32), top_k=top_k)


def test_lengths_at_the_ends_of_float32_keep_their_direction(gallery):
    gallery.upsert([Item("huge", 3e38 * NORTH_EAST), Item("tiny", 1e-40 * EAST)])
    assert [neighbour.similarity for neighbour in gallery.search(NORTH_EAST[None], top_k=2)[0]] == pytest.approx(
        [1, 0.5**0.5]
    )


def test_a_closed_gallery_says_so(gallery):
    gallery.upsert([Item("a", EAST)])
    gallery.close()
    gallery.close()
    for call in (
        lambda: gallery.upsert([Item("b", EAST)]),
        lambda: gallery.delete(["a"]),
        lambda: gallery.get(["a"]),
        lambda: gallery.search(EAST[None], top_k=1),
    ):
        with pytest.raises(ClosedError, match="is closed"):
            call()


small = st.integers(-2, 2)
vectors = st.lists(st.tuples(small, small).filter(any), min_size=1, max_size=40).map(np.float32)
# Their unit vectors have no rounding, so that equal cosines are truly equal.
axis_parallel = st.lists(st.sampled_from([(1, 0), (3, 0), (-1, 0), (0, 1), (0, -2)]), min_size=1, max_size=40).map(
    np.float32
)


@settings(max_examples=20)
@given(stored=vectors, asked=vectors, top_k=st.integers(1, 50))
def test_search_finds_what_looking_at_every_item_finds(gallery_of, stored, asked, top_k):
    found = gallery_of(stored).search(asked, top_k=top_k)
    _, similarities = nearest(asked, stored, top_k=top_k)
    lengths = np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(stored, axis=1))
    cosines = asked @ stored.T / lengths
    for query, neighbours in enumerate(found):
        rows = [int(neighbour.id) for neighbour in neighbours]
        assert len(set(rows)) == len(rows) == min(top_k, len(stored))
        np.testing.assert_allclose([neighbour.similarity for neighbour in neighbours], similarities[query], atol=1e-6)
        np.testing.assert_allclose(cosines[query, rows], similarities[query], atol=1e-6)


@settings(max_examples=20)
@given(stored=axis_parallel, asked=axis_parallel, top_k=st.sampled_from([1, 50]))
def test_ties_are_broken_as_the_trainers_evaluation_breaks_them(gallery_of, stored, asked, top_k):
    found = gallery_of(stored).search(asked, top_k=top_k)
    indices, _ = nearest(asked, stored, top_k=top_k)
    assert [[int(neighbour.id) for neighbour in row] for row in found] == indices.tolist()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False)
attributes = st.dictionaries(text, text | st.booleans() | finite | st.lists(text, max_size=3), max_size=3)
drafts = st.lists(st.tuples(text.filter(len), st.tuples(small, small).filter(any), text, attributes), max_size=8)


@settings(max_examples=25)
@given(upserts=st.lists(drafts, max_size=3), deleted=st.sets(st.integers(0, 9)))
def test_what_was_upserted_and_not_deleted_is_there_unchanged_after_reopening(tmp_path_factory, upserts, deleted):
    folder = tmp_path_factory.mktemp("gallery")
    expected = {}
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=2) as gallery:
        for drafted in upserts:
            items = [Item(id, np.float32(vector), label, attributes) for id, vector, label, attributes in drafted]
            expected |= {item.id: item for item in items}
            gallery.upsert(items)
        gone = [id for place, id in enumerate(expected) if place in deleted]
        assert gallery.delete(gone) == len(gone)
        generation = gallery.generation
    kept = [item for id, item in expected.items() if id not in gone]
    with FaissGallery.open(folder) as gallery:
        assert (len(gallery), gallery.generation) == (len(kept), generation)
        for item, was in zip(gallery.get([item.id for item in kept]), kept, strict=True):
            assert (item.id, item.label, item.attributes) == (was.id, was.label, was.attributes)
            np.testing.assert_allclose(item.vector, was.vector / np.linalg.norm(was.vector), atol=1e-6)
