"""What every gallery does: the same tests for each backend.

Milvus always runs within this process (milvus-lite); with `make test-milvus` it also runs as a server.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import get_args

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from gfp_serve.classify import nearest
from gfp_serve.errors import (
    ClosedError,
    EmptyGalleryError,
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    ItemNotFoundError,
)
from gfp_serve.filters import LABEL, AnyOf, Filter, Range
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.milvus.galleries import open_milvus
from gfp_serve.gallery.protocols import Galleries, Gallery
from gfp_serve.items import (
    DEFAULT_GALLERY,
    Effort,
    IndexKind,
    Item,
    Source,
)
from tests.support.kept_motions import kept_motion, same_motion
from tests.support.milvus_server import MILVUS, new_prefix

DIGEST, OTHER_DIGEST = "5e" * 32, "0b" * 32
EAST, NORTH, NORTH_EAST = (np.float32(vector) for vector in ((1, 0), (0, 1), (1, 1)))
KINDS = get_args(IndexKind)
# Ids and labels that have a meaning in a database, a path or an expression.
ODD_TEXTS = [
    "'",
    '"',
    "\\",
    '\\"',
    "a' or 1 == 1",
    'b"] or true or id in ["',
    "%",
    "日本語",
    "é😀",
    "a\nb\r\t",
    "\0",
    " ",
]

# Opens the galleries of one place, with another digest as the server of another encoder.
Opener = Callable[..., Galleries]


@pytest.fixture(scope="module", params=["faiss", "milvus-lite", MILVUS])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def new_place(
    backend: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Opener]]:
    """Makes places without galleries."""
    opened = []

    def new() -> Opener:
        folder, prefix = tmp_path_factory.mktemp("place"), new_prefix()

        def opener(*, encoder_digest: str = DIGEST, embedding_size: int = 2) -> Galleries:
            encoder = {"encoder_digest": encoder_digest, "embedding_size": embedding_size}
            if backend == "faiss":
                opened.append(FolderGalleries(folder / "galleries", **encoder))
            elif backend == "milvus-lite":
                opened.append(open_milvus(f"milvus+lite://{folder}/galleries.db", **encoder))
            else:
                server = request.getfixturevalue("milvus_server")
                opened.append(open_milvus(f"milvus://{server.address}/{prefix}", **encoder))
            return opened[-1]

        return opener

    yield new
    for galleries in opened:
        galleries.close()


@pytest.fixture
def place(new_place: Callable[[], Opener]) -> Opener:
    return new_place()


@pytest.fixture(scope="module")
def galleries(new_place: Callable[[], Opener]) -> Galleries:
    """Galleries that tests share, because a Milvus server takes seconds to make the first ones of a place."""
    return new_place()()


@pytest.fixture
def gallery(galleries: Galleries) -> Iterator[Gallery]:
    """An empty gallery that compares with every item."""
    name = f"exact-{next(_numbers)}"
    yield galleries.create(name, index_kind="exact")
    galleries.drop(name)


_numbers = count()


def ids_near(gallery: Gallery, vector: np.ndarray, top_k: int = 10, **options: object) -> list[str]:
    return [neighbour.id for neighbour in gallery.search(vector[None], top_k=top_k, **options)[0]]


def contents(items: list[Item]) -> list[tuple[object, ...]]:
    return [(item.id, item.vector.tolist(), item.label, item.attributes, item.source) for item in items]


def test_a_new_gallery_is_empty_and_says_what_it_is(gallery):
    described = gallery.describe()

    assert (len(gallery), gallery.generation, gallery.embedding_size, gallery.encoder_digest) == (0, 0, 2, DIGEST)
    assert (described.encoder_digest, described.embedding_size, described.metric) == (DIGEST, 2, "cosine")
    assert (described.index_kind, described.serving_kind, described.is_building) == ("exact", "exact", False)
    assert (described.num_items, described.generation, described.durable) == (0, 0, True)
    assert (list(gallery.items()), gallery.label_counts()) == ([], {})


def test_neighbours_come_nearest_first_with_all_that_the_items_have(gallery):
    attributes = {"fps": 30.0, "indoors": True, "camera": "left", "tags": ["a", "b"]}
    source = Source("walk.npz", 1.5, 2.25)
    gallery.upsert([Item("n", NORTH, "sit"), Item("w", -3 * EAST), Item("ne", NORTH_EAST)])
    gallery.upsert([Item("e", 5 * EAST, "walk", attributes, source)])

    (found,) = gallery.search(2 * EAST[None], top_k=4)

    assert [(n.id, n.label) for n in found] == [("e", "walk"), ("ne", ""), ("n", "sit"), ("w", "")]
    assert [neighbour.similarity for neighbour in found] == pytest.approx([1, 0.5**0.5, 0, -1])
    assert (found[0].similarity, found[-1].similarity) == (1, -1)
    assert [neighbour.attributes for neighbour in found] == [attributes, {}, {}, {}]
    assert [neighbour.source for neighbour in found] == [source, None, None, None]


def test_similarities_are_cosines_between_minus_one_and_one(place):
    gallery = place(embedding_size=64).create("wide", index_kind="exact")
    rng = np.random.default_rng(0)
    vectors, queries = (rng.standard_normal((count, 64)).astype(np.float32) for count in (200, 5))
    queries[0], queries[1] = vectors[7], -vectors[7]
    gallery.upsert([Item(str(row), vector) for row, vector in enumerate(vectors)])

    found = gallery.search(queries, top_k=200)

    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(queries, axis=1)[:, None]
    cosines = queries @ vectors.T / lengths
    for row, neighbours in enumerate(found):
        assert [n.similarity for n in neighbours] == pytest.approx(
            [cosines[row, int(n.id)] for n in neighbours], abs=1e-5
        )
        assert [n.similarity for n in neighbours] == sorted((n.similarity for n in neighbours), reverse=True)
        assert all(-1 <= neighbour.similarity <= 1 for neighbour in neighbours)
    assert found[0][0].id == found[1][-1].id == "7"


def test_lengths_at_the_ends_of_float32_keep_their_direction(gallery):
    gallery.upsert([Item("huge", 3e38 * NORTH_EAST), Item("tiny", 1e-40 * EAST)])

    for query in (NORTH_EAST, 3e38 * NORTH_EAST, 1e-40 * NORTH_EAST):
        (found,) = gallery.search(query[None], top_k=2)
        assert [neighbour.similarity for neighbour in found] == pytest.approx([1, 0.5**0.5])


@pytest.mark.parametrize(
    "lay_out", [np.asfortranarray, lambda array: np.repeat(array, 2, axis=0)[::2], lambda array: array.astype(">f4")]
)
def test_queries_may_lie_in_memory_as_they_like(gallery, lay_out):
    gallery.upsert([Item("e", EAST), Item("n", NORTH)])
    queries = lay_out(np.stack([EAST, NORTH, EAST]))
    assert [found[0].id for found in gallery.search(queries, top_k=1)] == ["e", "n", "e"]


def test_each_query_gets_its_own_neighbours_and_none_gets_none(gallery):
    gallery.upsert([Item("e", EAST), Item("n", NORTH)])

    assert [[n.id for n in row] for row in gallery.search(np.stack([NORTH, EAST]), top_k=1)] == [["n"], ["e"]]
    assert list(gallery.search(np.empty((0, 2), dtype=np.float32), top_k=1)) == []


def test_asking_for_more_than_there_is_gives_all_there_is(gallery):
    gallery.upsert([Item("e", EAST), Item("n", NORTH)])

    assert ids_near(gallery, EAST, top_k=1000) == ["e", "n"]


def test_equal_similarities_come_in_the_order_of_the_last_upsert(gallery):
    gallery.upsert([Item(name, EAST) for name in "abcd"])
    gallery.upsert([Item("b", EAST)])

    assert ids_near(gallery, EAST) == ["a", "c", "d", "b"]


def test_an_upsert_replaces_the_item_of_the_same_id_wholly(gallery):
    gallery.upsert([Item("a", EAST, "walk", {"take": 1.0}, Source("one")), Item("b", NORTH_EAST)])
    gallery.upsert([Item("a", NORTH, "sit")])

    assert len(gallery) == 2
    assert contents(gallery.get(["a"])) == [("a", [0, 1], "sit", {}, None)]
    assert ids_near(gallery, EAST) == ["b", "a"]
    (found,) = gallery.search(NORTH[None], top_k=5)
    assert [(n.id, n.label, n.attributes, n.source) for n in found] == [("a", "sit", {}, None), ("b", "", {}, None)]


def test_the_same_upsert_again_changes_no_answer(gallery):
    items = [Item("a", EAST, "walk", {"take": 1.0}), Item("b", NORTH, "sit", {}, Source("one"))]
    gallery.upsert(items)
    before = list(gallery.search(EAST[None], top_k=5))
    gallery.upsert(items)

    assert list(gallery.search(EAST[None], top_k=5)) == before
    assert len(gallery) == 2


def test_the_last_of_the_same_id_in_one_upsert_is_kept(gallery):
    gallery.upsert([Item("a", EAST, "walk"), Item("b", NORTH), Item("a", NORTH, "sit")])

    assert [item.label for item in gallery.get(["a"])] == ["sit"]
    assert len(gallery) == 2


def test_only_the_last_of_the_same_id_in_one_upsert_is_checked_and_errors_name_its_place(gallery):
    gallery.upsert([Item("a", np.float32([0, 0])), Item("a", NORTH, "bad\ud800"), Item("a", NORTH, "sit")])
    assert [item.label for item in gallery.get(["a"])] == ["sit"]

    for bad in (Item("b", np.float32([0, 0])), Item("b", NORTH, "bad\ud800")):
        with pytest.raises(InvalidRequestError) as refused:
            gallery.upsert([Item("a", EAST), Item("a", EAST), bad])
        assert refused.value.field == "items[2]"
    assert gallery.generation == 1


def test_motions_are_given_back_only_where_they_are_asked_for(gallery):
    kept = {"a": kept_motion(1), "c": kept_motion(2, bodies=2, fps=None)}
    gallery.upsert([Item("a", EAST, "walk", motion=kept["a"]), Item("b", NORTH), Item("c", EAST, motion=kept["c"])])

    found = {item.id: item for item in gallery.get_with_motions(["c", "b", "a"])}
    assert list(found) == ["c", "b", "a"]
    assert found["b"].motion is None
    assert all(same_motion(found[id].motion, kept[id]) for id in kept)
    assert contents([found["a"]]) == [("a", [1, 0], "walk", {}, None)]
    assert (
        [item.motion for item in gallery.get(["a", "b", "c"])]
        == [item.motion for item in gallery.items()]
        == 3 * [None]
    )
    listed = {item.id: item.motion for item in gallery.items(with_motions=True)}
    assert list(listed) == ["a", "b", "c"]
    assert all(same_motion(listed[id], kept[id]) for id in kept)
    assert gallery.describe().num_motions == 2
    with pytest.raises(ItemNotFoundError):
        gallery.get_with_motions(["a", "nobody"])


def test_a_motion_is_gone_when_its_item_is_replaced_or_removed(gallery):
    gallery.upsert([Item(id, EAST, motion=kept_motion(seed)) for seed, id in enumerate("abc")])
    gallery.upsert([Item("a", EAST), Item("b", EAST, motion=kept_motion(9))])
    gallery.delete(["c"])
    gallery.upsert([Item("c", EAST)])

    a, b, c = gallery.get_with_motions(["a", "b", "c"])
    assert a.motion is c.motion is None
    assert same_motion(b.motion, kept_motion(9))
    assert gallery.describe().num_motions == 1


def test_an_upsert_with_a_motion_that_cannot_be_kept_writes_nothing(gallery):
    far = kept_motion(1)
    far.positions[0, 0, 3] = 1e6
    with pytest.raises(InvalidRequestError, match="beyond 4000 m") as refused:
        gallery.upsert([Item("a", EAST, motion=kept_motion(2)), Item("b", EAST, motion=far)])
    assert refused.value.field == "items[1]"
    assert len(gallery) == gallery.describe().num_motions == 0


def test_each_change_is_a_generation_and_nothing_else_is(gallery):
    assert gallery.upsert([Item("a", EAST), Item("b", EAST)]) == 1
    assert gallery.upsert([Item("a", EAST)]) == 2
    assert gallery.upsert([]) == 2
    assert gallery.delete(["nobody"]) == gallery.delete([]) == 0
    gallery.search(EAST[None], top_k=1)
    assert gallery.generation == 2
    gallery.delete(["a", "b"])
    assert gallery.generation == gallery.describe().generation == 3


def test_delete_counts_each_item_that_it_removed_once_and_its_id_can_be_used_again(gallery):
    gallery.upsert([Item(name, EAST, "walk") for name in "abc"])

    assert gallery.delete(["a", "nobody", "a", "c"]) == 2
    assert ids_near(gallery, EAST) == ["b"]
    gallery.upsert([Item("a", NORTH, "sit")])
    assert [(n.id, n.label) for n in gallery.search(NORTH[None], top_k=3)[0]] == [("a", "sit"), ("b", "walk")]


def test_get_gives_items_in_the_order_asked_with_vectors_of_length_one(gallery):
    gallery.upsert([Item("a", 2 * EAST, "walk", {"tags": ["x", "y"]}, Source("one", 0, 2)), Item("b", NORTH_EAST)])

    b, a, again = gallery.get(["b", "a", "b"])

    assert contents([a]) == [("a", [1, 0], "walk", {"tags": ["x", "y"]}, Source("one", 0, 2))]
    assert (b.id, again.id) == ("b", "b")
    np.testing.assert_allclose(b.vector, [0.5**0.5, 0.5**0.5], rtol=1e-6)
    assert gallery.get([]) == []


@pytest.mark.parametrize(("ids", "expected"), [("abc", "'b', 'c';"), ("1234a567", "'4', '5' and 2 more;")])
def test_the_ids_that_no_item_has_are_named(gallery, ids, expected):
    gallery.upsert([Item("a", EAST)])

    with pytest.raises(ItemNotFoundError, match=expected):
        gallery.get(list(ids))


def test_an_id_or_a_label_can_be_any_text_and_means_no_other(gallery):
    texts = [*ODD_TEXTS, "x" * 256, "😀" * 256]
    gallery.upsert([Item(text, EAST, text, {text: text}) for text in texts])

    assert [(item.id, item.label, item.attributes) for item in gallery.get(texts)] == [(t, t, {t: t}) for t in texts]
    assert sorted(ids_near(gallery, EAST, top_k=100)) == sorted(texts)
    for text in ODD_TEXTS:
        for where in (Filter(must=(AnyOf(LABEL, (text,)),)), Filter(must=(AnyOf(text, (text,)),))):
            assert ids_near(gallery, EAST, where=where) == [text]
    for number, text in enumerate(texts):
        assert gallery.delete([text]) == 1
        assert len(gallery) == len(texts) - number - 1


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("", EAST), "has 0 characters"),
        (Item("x" * 257, EAST), "has 257 characters"),
        (Item("bad\ud800", EAST), "UTF-8"),
        (Item("clip-7", EAST, "bad\ud800"), "'clip-7' cannot be encoded as UTF-8"),
        (Item("clip-7", np.float32([0, 0])), "'clip-7' is all zeros"),
        (Item("clip-7", np.float32([1, np.nan])), "'clip-7' contains NaN or infinity"),
        (Item("clip-7", np.float32([1, np.inf])), "'clip-7' contains NaN or infinity"),
        (Item("clip-7", np.ones(3, dtype=np.float32)), "'clip-7' has shape"),
        (Item("clip-7", EAST, "", {"fps": float("nan")}), "'fps' of item 'clip-7' is nan"),
        (Item("clip-7", EAST, "", {"fps": -float("inf")}), "'fps' of item 'clip-7' is -inf"),
        (Item("clip-7", EAST, "", {"take": 10**400}), "'take' of item 'clip-7' is 1000"),
        (Item("clip-7", EAST, "", {"who": "bad\ud800"}), "'who' of item 'clip-7'"),
        (Item("clip-7", EAST, "", {"tags": ["good", "bad\ud800"]}), "'tags' of item 'clip-7'"),
        (Item("clip-7", EAST, "", {"bad\ud800": True}), "of item 'clip-7' is True"),
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
        (np.ones((1, 3)), 1, "of this gallery have 2 numbers"),
        ([[1, 0], [0, 0]], 1, "query 1 is all zeros"),
        ([[np.nan, 0]], 1, "query 0 contains NaN"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(gallery, queries, top_k, expected):
    gallery.upsert([Item("a", EAST)])

    with pytest.raises(InvalidRequestError, match=expected):
        gallery.search(np.asarray(queries, dtype=np.float32), top_k=top_k)


def test_an_empty_gallery_says_so_but_a_filter_that_nothing_passes_finds_nothing(gallery):
    with pytest.raises(EmptyGalleryError, match="add recordings"):
        gallery.search(EAST[None], top_k=1)
    gallery.upsert([Item("a", EAST, "walk")])
    assert ids_near(gallery, EAST, where=Filter(must=(AnyOf(LABEL, ("run",)),))) == []
    gallery.delete(["a"])
    with pytest.raises(EmptyGalleryError):
        gallery.search(EAST[None], top_k=1)


def test_threads_find_what_they_have_written_and_every_change_counts(gallery):
    def write_and_look(thread: int) -> None:
        angle = 2 * np.pi * thread / 4
        own = np.float32([np.cos(angle), np.sin(angle)])
        for turn in range(3):
            generation = gallery.upsert([Item(f"{thread}", own, f"turn {turn}"), Item(f"{thread} of {turn}", own)])
            assert gallery.generation >= generation
            (found,) = gallery.search(own[None], top_k=turn + 2)
            assert {n.id for n in found} == {f"{thread}", *(f"{thread} of {past}" for past in range(turn + 1))}
            assert f"turn {turn}" in {n.label for n in found}
            assert [item.label for item in gallery.get([f"{thread}"])] == [f"turn {turn}"]
        assert gallery.delete([f"{thread} of 0"]) == 1
        assert f"{thread} of 0" not in ids_near(gallery, own, top_k=100)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write_and_look, range(4)))

    assert (len(gallery), gallery.generation) == (12, 16)


def test_no_search_sees_a_part_of_an_upsert(gallery):
    gallery.upsert([Item(name, EAST, "0") for name in "abc"])
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            gallery.upsert([Item(name, EAST, f"{turn}") for name in "abc"])

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        try:
            seen = [gallery.search(EAST[None], top_k=10)[0] for _ in range(15)]
        finally:
            stop.set()
        writing.result()

    assert [sorted(n.id for n in found) for found in seen] == [["a", "b", "c"]] * 15
    assert [len({n.label for n in found}) for found in seen] == [1] * 15


def test_labels_are_counted_among_what_a_filter_lets_pass(gallery):
    gallery.upsert(
        [Item("a", EAST, "walk"), Item("b", EAST, "walk", {"take": 2.0}), Item("c", EAST, "sit"), Item("d", EAST)]
    )

    assert gallery.label_counts() == {"walk": 2, "sit": 1}
    assert gallery.label_counts(Filter(must_not=(Range("take", at_least=1),))) == {"walk": 1, "sit": 1}


def test_items_come_in_the_order_of_the_last_upserts_however_many_there_are(gallery):
    gallery.upsert([Item(f"{number}", NORTH, "", {"at": float(number)}) for number in range(1100)])
    gallery.upsert([Item("17", NORTH_EAST, "moved", {}, Source("one"))])
    gallery.delete(["5"])

    items = list(gallery.items())

    assert [item.id for item in items] == [f"{n}" for n in range(1100) if n not in (5, 17)] + ["17"]
    assert contents(items[-1:]) == contents(gallery.get(["17"]))
    assert items[100].attributes == {"at": 102.0}
    assert list(items[0].vector) == [0, 1]


@pytest.fixture(scope="module")
def gallery_of(galleries: Galleries) -> Callable[[np.ndarray], Gallery]:
    """One gallery, emptied and filled with rows whose ids are their numbers."""
    gallery = galleries.create("numbered", index_kind="exact")

    def fill(rows: np.ndarray) -> Gallery:
        gallery.delete([str(row) for row in range(40)])
        gallery.upsert([Item(str(row), vector) for row, vector in enumerate(rows)])
        return gallery

    return fill


small = st.integers(-2, 2)
directed = st.tuples(small, small).filter(any)
vectors = st.lists(directed, min_size=1, max_size=40).map(np.float32)
# Their unit vectors need no rounding, so equal cosines are exactly equal.
axes = st.sampled_from([(1, 0), (3, 0), (-1, 0), (0, 1), (0, -2)])
axis_parallel = st.lists(axes, min_size=1, max_size=40).map(np.float32)


@settings(max_examples=20)
@given(stored=vectors, asked=vectors, top_k=st.integers(1, 50))
def test_search_finds_what_looking_at_every_item_finds(gallery_of, stored, asked, top_k):
    found = gallery_of(stored).search(asked, top_k=top_k)

    _, similarities = nearest(asked, stored, top_k=top_k)
    cosines = asked @ stored.T / np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(stored, axis=1))
    assert len(found) == len(asked)
    for query, neighbours in enumerate(found):
        rows = [int(neighbour.id) for neighbour in neighbours]
        assert len(set(rows)) == len(rows) == min(top_k, len(stored))
        np.testing.assert_allclose([neighbour.similarity for neighbour in neighbours], similarities[query], atol=1e-6)
        np.testing.assert_allclose(cosines[query, rows], similarities[query], atol=1e-6)


@settings(max_examples=20)
@given(stored=axis_parallel, asked=axis_parallel)
def test_ties_are_broken_as_the_trainers_evaluation_breaks_them(gallery_of, stored, asked):
    found = gallery_of(stored).search(asked, top_k=50)

    indices, _ = nearest(asked, stored, top_k=50)
    assert [[int(neighbour.id) for neighbour in row] for row in found] == indices.tolist()


# Filters -------------------------------------------------------------------------------------------------------------

RICH = [
    ("one", "walk", {"x": 1.0, "t": "hi"}),
    ("two", "sit", {"x": 2.5, "tags": ["hi", "there"]}),
    ("text", "walk", {"x": "1.0"}),
    ("true", "", {"x": True}),
    ("false", "1.0", {"x": False}),
    ("list", "walk", {"x": ["1.0", "hi"]}),
    ("empty list", "sit", {"x": []}),
    ("without", "sit", {}),
    ("small", "true", {"x": -1e-300}),
    ("large", "walk", {"x": 1e300, "": 1.0}),
    ("zero", "walk", {"x": -0.0}),
    ("odd key", "walk", {"a.b/~[0]": 3.0, "123": 4.0, "é\"'\\": 5.0}),
]


@pytest.mark.parametrize(
    "condition",
    [
        AnyOf("x", (1.0,)),
        AnyOf("x", (1,)),
        AnyOf("x", ("1.0",)),
        AnyOf("x", (True,)),
        AnyOf("x", (False, "hi")),
        AnyOf("x", (0.0,)),
        AnyOf("x", (2.5, 1e300, "1.0")),
        AnyOf("tags", ("there",)),
        AnyOf(LABEL, ("walk", "true")),
        AnyOf(LABEL, ("",)),
        AnyOf(LABEL, (1.0, True)),
        AnyOf("nowhere", ("x",)),
        Range("x", above=1.0),
        Range("x", at_least=1.0),
        Range("x", below=1.0),
        Range("x", at_most=1.0, above=-1.0),
        Range("x", below=0.0),
        Range("x", above=1e-05, at_most=1e16),
        Range("x", at_least=float("-inf")),
        Range("x", at_most=float("inf"), above=2),
        Range("x", above=float("inf")),
        Range("x", at_most=float("-inf")),
        Range(LABEL, above=0.0),
        Range("a.b/~[0]", at_least=3.0),
        Range("123", at_least=4.0),
        Range("é\"'\\", at_least=5.0),
    ],
    ids=str,
)
def test_a_condition_means_in_every_backend_what_it_says(rich, condition):
    for where in (Filter(must=(condition,)), Filter(any_of=(condition,)), Filter(must_not=(condition,))):
        passing = {id for id, label, attributes in RICH if where.passes(label, attributes)}
        assert set(ids_near(rich, EAST, top_k=100, where=where)) == passing


@pytest.fixture(scope="module")
def rich(galleries: Galleries) -> Gallery:
    """A gallery with the items of RICH, written once and then only read."""
    gallery = galleries.create("rich", index_kind="exact")
    gallery.upsert([Item(id, EAST, label, attributes) for id, label, attributes in RICH])
    return gallery


NUM_CROWD = 2000


@pytest.fixture(scope="module")
def crowd() -> list[Item]:
    """Items with random labels, numbers, texts, booleans and lists; two values are rare."""
    rng = np.random.default_rng(7)

    def attributes(number: int) -> dict[str, object]:
        some = {
            "take": float(rng.integers(5)),
            "speed": float(rng.normal()),
            "camera": str(rng.choice(["left", "right", "top"])),
            "indoors": bool(rng.integers(2)),
            "tags": [str(tag) for tag in rng.choice(list("abcdef"), size=rng.integers(4), replace=False)],
        }
        kept = {name: value for name, value in some.items() if rng.random() < 0.8}
        return kept | ({"rare": True} if number in (3, 1500) else {})

    vectors = rng.standard_normal((NUM_CROWD, 8)).astype(np.float32)
    labels = rng.choice(["walk", "sit", "fall", ""], size=NUM_CROWD)
    return [
        Item(str(n), vector, str(label), attributes(n))
        for n, (vector, label) in enumerate(zip(vectors, labels, strict=True))
    ]


@pytest.fixture(scope="module")
def crowded(new_place: Callable[[], Opener], crowd: list[Item]) -> Callable[[IndexKind], Gallery]:
    """Galleries of each kind with the crowd's items, filled when they are first used."""
    galleries = new_place()(embedding_size=8)
    filled: dict[IndexKind, Gallery] = {}

    def of(kind: IndexKind) -> Gallery:
        if kind not in filled:
            filled[kind] = galleries.create(kind, index_kind=kind)
            for start in range(0, NUM_CROWD, 500):
                filled[kind].upsert(crowd[start : start + 500])
        return filled[kind]

    return of


def random_filter(rng: np.random.Generator) -> Filter:
    def condition() -> AnyOf | Range:
        match rng.integers(6):
            case 0:
                return AnyOf(LABEL, tuple(map(str, rng.choice(["walk", "sit", "fall", ""], size=rng.integers(1, 3)))))
            case 1:
                return AnyOf("tags", tuple(map(str, rng.choice(list("abcdefg"), size=rng.integers(1, 4)))))
            case 2:
                return AnyOf("camera", ("left", "top", True))
            case 3:
                return AnyOf("indoors", (bool(rng.integers(2)),))
            case 4:
                return Range("speed", above=float(rng.normal()) - 1, at_most=float(rng.normal()) + 1)
            case _:
                return Range("take", at_least=float(rng.integers(5)))

    return Filter(*(tuple(condition() for _ in range(rng.integers(3))) for _ in range(3)))


def test_random_filters_find_exactly_those_that_pass_in_order(new_place, crowd):
    rng = np.random.default_rng(11)
    few = crowd[:120]
    gallery = new_place()(embedding_size=8).create("few", index_kind="exact")
    gallery.upsert(few)
    query = rng.standard_normal((1, 8)).astype(np.float32)
    order = [neighbour.id for neighbour in gallery.search(query, top_k=1000)[0]]
    assert len(order) == 120

    for _ in range(15):
        where = random_filter(rng)
        passing = {item.id for item in few if where.passes(item.label, item.attributes)}
        found = [neighbour.id for neighbour in gallery.search(query, top_k=1000, where=where)[0]]
        assert found == [id for id in order if id in passing], where


@pytest.mark.parametrize("kind", KINDS)
def test_every_index_finds_what_few_items_pass_and_the_nearest_of_all_with_exact_effort(crowded, crowd, kind, backend):
    if (backend, kind) == ("milvus-lite", "ivf_pq"):
        with pytest.raises(InvalidRequestError, match="milvus-lite does not support the index kind 'ivf_pq'"):
            crowded(kind)
        return
    gallery = crowded(kind)
    queries = np.random.default_rng(5).standard_normal((8, 8)).astype(np.float32)
    units = np.array([item.vector / np.linalg.norm(item.vector) for item in crowd])
    cosines = queries @ units.T / np.linalg.norm(queries, axis=1, keepdims=True)
    true = [[str(n) for n in row[:10]] for row in np.argsort(-cosines, axis=1)]

    rare = gallery.search(queries, top_k=10, where=Filter(must=(AnyOf("rare", (True,)),)))
    exact = gallery.search(queries, top_k=10, effort=Effort(exact=True))
    usual = gallery.search(queries, top_k=10, effort=Effort(ef_search=256, nprobe=64))

    assert [{n.id for n in row} for row in rare] == [{"3", "1500"}] * 8
    assert [[n.id for n in row] for row in exact] == true
    recall = np.mean([len({n.id for n in row} & set(of)) / 10 for row, of in zip(usual, true, strict=True)])
    assert recall >= (0.7 if kind == "ivf_pq" else 0.9)
    for row, neighbours in enumerate(usual):
        assert [n.similarity for n in neighbours] == pytest.approx(
            [cosines[row, int(n.id)] for n in neighbours], abs=1e-5
        )
    described = gallery.describe()
    assert described.index_kind == kind
    assert described.serving_kind != "auto"
    assert described.num_bytes > 0


# Galleries -----------------------------------------------------------------------------------------------------------


def test_the_default_gallery_is_there_and_meant_where_none_is_named(place):
    galleries = place()

    assert galleries[""] is galleries[DEFAULT_GALLERY]
    assert galleries.encoder_digests() == {DEFAULT_GALLERY: DIGEST}
    with pytest.raises(InvalidRequestError, match="cannot be dropped"):
        galleries.drop("")
    with pytest.raises(InvalidRequestError, match="cannot be dropped"):
        galleries.drop(DEFAULT_GALLERY)


def test_galleries_have_items_of_their_own_and_are_gone_when_dropped(place):
    galleries = place()
    names = ["a-b", "a_b", "a_mb", "a__b", "0", "x" * 64]
    for name in names:
        galleries.create(name).upsert([Item("one", EAST, name)])

    assert list(galleries.encoder_digests()) == sorted([*names, DEFAULT_GALLERY])
    assert [galleries[name].get(["one"])[0].label for name in names] == names
    assert len(galleries[""]) == 0
    with pytest.raises(GalleryExistsError, match="'a-b'"):
        galleries.create("a-b")
    dropped = galleries["a-b"]
    assert galleries.drop("a-b") == 1
    with pytest.raises(GalleryNotFoundError, match="'a-b' was dropped"):
        dropped.get(["one"])
    for call in (galleries.drop, galleries.__getitem__):
        with pytest.raises(GalleryNotFoundError, match="'a-b'"):
            call("a-b")
    made_again = galleries.create("a-b")
    assert (len(made_again), made_again.generation, len(galleries["a_b"])) == (0, 0, 1)


def test_of_threads_that_create_the_same_gallery_one_makes_it(galleries):
    def create(_: int) -> bool:
        try:
            galleries.create("wanted").upsert([Item("a", EAST)])
        except GalleryExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(create, range(4)))

    assert sum(made) == len(galleries["wanted"]) == 1


@pytest.mark.parametrize("name", ["", "-a", "_a", "a/b", "..", "a b", "é", "x" * 65])
def test_what_is_no_name_is_refused(galleries, name):
    with pytest.raises(InvalidRequestError, match="not a valid gallery name"):
        galleries.create(name)


def test_galleries_are_as_they_were_when_opened_again_but_not_for_another_encoder(place):
    def state(gallery: Gallery) -> list[object]:
        found = gallery.search(np.stack([EAST, NORTH]), top_k=10)
        about = gallery.describe()
        return [contents(list(gallery.items())), *found, about.index_kind, about.generation, about.num_items]

    galleries = place()
    galleries.create("other", index_kind="hnsw").upsert([Item("a", EAST, "walk", {"x": 1.0}, Source("one"))])
    galleries[""].upsert([Item("b", NORTH, "sit"), Item("c", EAST), Item("d", EAST, "fall", {"take": 2.0})])
    galleries[""].upsert([Item("b", NORTH_EAST, "moved")])
    galleries[""].delete(["c"])
    before = [state(galleries[name]) for name in ("other", "")]
    galleries.close()
    for call in (lambda: galleries[""].get(["b"]), lambda: galleries["other"].search(EAST[None], top_k=1)):
        with pytest.raises(ClosedError):
            call()

    again = place()
    assert [state(again[name]) for name in ("other", "")] == before
    assert before[0][-3:] == ["hnsw", 1, 1]
    assert before[1][-2:] == [3, 2]
    assert again[""].upsert([Item("e", NORTH)]) == 4
    again.close()

    with pytest.raises(EncoderMismatchError, match=f"{DIGEST[:12]}.*{OTHER_DIGEST[:12]}"):
        place(encoder_digest=OTHER_DIGEST)


@pytest.fixture(scope="module")
def same_place(new_place: Callable[[], Opener]) -> Opener:
    return new_place()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False)
attributes = st.dictionaries(text, text | st.booleans() | finite | st.lists(text, max_size=3), max_size=3)
seconds = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
sources = st.none() | st.builds(
    lambda recording, times: Source(recording, *sorted(times)), text.filter(len), st.tuples(seconds, seconds)
)
drafts = st.lists(st.tuples(text.filter(len), directed.map(np.float32), text, attributes, sources), max_size=8)


@settings(max_examples=25)
@given(upserts=st.lists(drafts, max_size=3), deleted=st.sets(st.integers(0, 9)))
def test_what_was_upserted_and_not_deleted_is_there_unchanged_when_opened_again(same_place, upserts, deleted):
    expected = {}
    galleries = same_place()
    gallery = galleries[""]
    gallery.delete([item.id for item in gallery.items()])
    for items in ([Item(*draft) for draft in drafted] for drafted in upserts):
        new = {item.id: item for item in items}
        expected = {id: item for id, item in expected.items() if id not in new} | new
        gallery.upsert(items)
    gone = [id for place, id in enumerate(expected) if place in deleted]
    assert gallery.delete(gone) == len(gone)
    generation = gallery.generation
    galleries.close()
    kept = [item for id, item in expected.items() if id not in gone]

    galleries = same_place()
    gallery = galleries[""]
    found = list(gallery.items())

    assert (len(gallery), gallery.generation) == (len(kept), generation)
    for item, was in zip(found, kept, strict=True):
        assert (item.id, item.label, item.attributes, item.source) == (was.id, was.label, was.attributes, was.source)
        np.testing.assert_allclose(item.vector, was.vector / np.linalg.norm(was.vector), atol=1e-6)
    assert contents(gallery.get([item.id for item in kept])) == contents(found)
    galleries.close()


def test_a_closed_gallery_says_so(place):
    gallery = place()[""]
    gallery.upsert([Item("a", EAST)])
    gallery.close()
    gallery.close()
    for call in (
        lambda: gallery.upsert([Item("b", EAST)]),
        lambda: gallery.delete(["a"]),
        lambda: gallery.get(["a"]),
        lambda: gallery.search(EAST[None], top_k=1),
        gallery.label_counts,
        gallery.describe,
        lambda: len(gallery),
        lambda: list(gallery.items()),
    ):
        with pytest.raises(ClosedError, match="is closed"):
            call()


def test_a_sample_is_all_items_or_so_many_of_them_always_the_same_ones(gallery):
    gallery.upsert([Item(f"i{number}", EAST, str(number), {"n": number}) for number in range(400)])
    gallery.delete(["i7"])

    sample = gallery.sample(1000)
    assert (sample.generation, sample.num_items) == (gallery.generation, 399)
    assert contents([item for piece in sample.pieces for item in piece]) == contents(list(gallery.items()))

    some = [[item.id for piece in gallery.sample(100).pieces for item in piece] for _ in range(2)]
    assert some[0] == some[1]
    assert len(set(some[0])) == 100
    assert some[0] == sorted(some[0], key=lambda id: int(id[1:]))
    # By chance, each tenth of the items has about ten; with the first ones only, the last tenths would have none.
    assert min(sum(int(id[1:]) // 40 == tenth for id in some[0]) for tenth in range(10)) >= 3

    gallery.delete([some[0][0]])
    after = {item.id for piece in gallery.sample(100).pieces for item in piece}
    assert len(after & set(some[0])) == 99
