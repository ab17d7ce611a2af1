"""Indexes of each kind, compared with exact search: what they find, how they change, and how they are opened."""

import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from gfp_serve.errors import DeviceError
from gfp_serve.filters import AnyOf, Filter, Range
from gfp_serve.gallery.embedded import index_building
from gfp_serve.gallery.embedded.copies import Copies
from gfp_serve.gallery.embedded.exact import search_exactly
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.gpu import _resources
from gfp_serve.gallery.embedded.hnsw import HnswIndex
from gfp_serve.gallery.embedded.index import choose_kind
from gfp_serve.gallery.embedded.rows import Vectors
from gfp_serve.items import Effort, IndexKind, Item

SIZE, NUM_ITEMS = 16, 6000
KINDS = ("exact", "hnsw", "ivf_sq8", "ivf_pq")


def clustered(number: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).standard_normal((40, SIZE))
    draw = np.random.default_rng(seed)
    vectors = centres[draw.integers(0, 40, number)] + 0.3 * draw.standard_normal((number, SIZE))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS, QUERIES = clustered(NUM_ITEMS, 1), clustered(50, 2)


def items(rows: Iterator[int] | range) -> list[Item]:
    return [Item(f"{row}", VECTORS[row], f"label-{row % 7}", {"row": float(row)}) for row in rows]


def new_gallery(folder: Path, kind: IndexKind) -> FaissGallery:
    return FaissGallery.create(folder, encoder_digest="5e" * 32, embedding_size=SIZE, index_kind=kind)


def true_ids(mask: np.ndarray, top_k: int = 10) -> list[set[str]]:
    rows = np.flatnonzero(mask)
    nearest = np.argsort(-(QUERIES @ VECTORS[rows].T), axis=1)[:, :top_k]
    return [{str(row) for row in rows[ours]} for ours in nearest]


def share_found(gallery: FaissGallery, mask: np.ndarray, **options) -> float:
    found = gallery.search(QUERIES, top_k=10, **options)
    assert {len(each) for each in found} == {min(10, int(mask.sum()))}
    return float(
        np.mean([len({n.id for n in ours} & true) / 10 for ours, true in zip(found, true_ids(mask), strict=True)])
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, IndexKind], Path]:
    """Put a gallery with all items into a folder. Each kind is made once and copied: an index takes long to make."""

    @cache
    def original(kind: IndexKind) -> Path:
        folder = tmp_path_factory.mktemp(kind) / "g"
        with new_gallery(folder, kind) as gallery:
            gallery.upsert(items(range(NUM_ITEMS)))
            gallery.settle(60)
        return folder

    return lambda folder, kind: shutil.copytree(original(kind), folder)


@pytest.fixture(scope="module", params=KINDS)
def gallery(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, filled: Callable[[Path, IndexKind], Path]
) -> Iterator[FaissGallery]:
    with FaissGallery.open(filled(tmp_path_factory.mktemp("gallery") / "g", request.param)) as made:
        assert made.describe().serving_kind == request.param
        yield made


def test_an_index_finds_the_true_neighbours_of_queries_that_it_does_not_hold(gallery):
    everything = np.ones(NUM_ITEMS, dtype=bool)
    assert share_found(gallery, everything) >= 0.97
    assert share_found(gallery, everything, effort=Effort(exact=True)) == 1


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        (Filter(must=(Range("row", below=6),)), lambda row: row < 6),
        (Filter(must=(Range("row", at_least=3000),)), lambda row: row >= 3000),
        (Filter(must_not=(AnyOf("", ("label-1", "label-2")),)), lambda row: row % 7 not in (1, 2)),
    ],
    ids=["a thousandth", "half", "most"],
)
def test_a_filter_loses_no_neighbours(gallery, where, passes):
    mask = np.array([passes(row) for row in range(NUM_ITEMS)])
    if mask.sum() < 10:
        found = gallery.search(QUERIES, top_k=10, where=where)
        assert [{n.id for n in ours} for ours in found] == [{str(row) for row in np.flatnonzero(mask)}] * len(QUERIES)
    else:
        assert share_found(gallery, mask, where=where) >= 0.97


@pytest.mark.parametrize("top_k", [100, 1000])
def test_an_index_finds_many_neighbours_too(gallery, top_k):
    index = gallery._settler.view.index
    if index is not None:
        lowest = np.sort(QUERIES @ VECTORS.T, axis=1)[:, -top_k]
        _, found = index.search(QUERIES, top_k=top_k, passing=None, share=1.0, effort=Effort())
        assert np.mean(found >= lowest[:, None] - 1e-6) > 0.9


def test_more_effort_finds_more(gallery):
    everything = np.ones(NUM_ITEMS, dtype=bool)
    little = share_found(gallery, everything, effort=Effort(ef_search=1, nprobe=1))
    much = share_found(gallery, everything, effort=Effort(ef_search=2000, nprobe=200))
    assert much >= max(little, 0.99)
    if gallery.describe().serving_kind != "exact":
        assert little < 0.99


def test_similarities_are_cosines_whatever_the_index(gallery):
    for query, found in zip(QUERIES, gallery.search(QUERIES, top_k=3), strict=True):
        for neighbour in found:
            assert neighbour.similarity == pytest.approx(float(query @ VECTORS[int(neighbour.id)]), abs=1e-5)


@pytest.mark.parametrize("in_one_piece", [True, False])
@pytest.mark.parametrize("num_queries", [1, 300])  # FAISS loops over one query, and multiplies matrices for many
@pytest.mark.parametrize("num_passing", [None, 19_900, 18_000, 10_000, 3, 0])
def test_exact_search_finds_all_however_many_rows_it_must_pass_over(num_queries, num_passing, in_one_piece):
    given, queries = clustered(20_000, 3), clustered(num_queries, 4)
    vectors = Vectors(SIZE, given if in_one_piece else None)
    if not in_one_piece:
        vectors.append(given)
    start, end = 100, 19_990
    passing = None
    similarities = queries @ given.T
    if num_passing is not None:
        passing = np.random.default_rng(0).permutation(20_000) < num_passing
        similarities[:, ~passing] = -np.inf
    rows, found = search_exactly(vectors, queries, start=start, end=end, top_k=10, passing=passing)
    expected = -np.sort(-similarities[:, start:end], axis=1)[:, :10]
    there = rows >= 0
    assert there.sum() == np.isfinite(expected).sum()
    np.testing.assert_allclose(found[there], expected[np.isfinite(expected)], atol=1e-5)
    np.testing.assert_allclose(found[there], np.take_along_axis(similarities, rows, 1)[there], atol=1e-5)
    assert ((start <= rows[there]) & (rows[there] < end)).all()


def test_answers_are_copied_without_the_gallery(gallery):
    answers = gallery.search(QUERIES[:1], top_k=3)
    written = pickle.dumps(answers)
    assert len(written) < 1000
    assert pickle.loads(written) == list(answers)


def test_no_queries_have_no_answers(gallery):
    assert gallery.search(QUERIES[:0], top_k=3) == []


@pytest.mark.parametrize("kind", KINDS)
def test_answers_stay_as_they_were_found_whatever_happens_to_the_gallery(tmp_path, kind):
    with new_gallery(tmp_path / "g", kind) as gallery:
        gallery.upsert(items(range(2000)))
        gallery.settle(60)
        read, unread = (gallery.search(QUERIES, top_k=10) for _ in range(2))
        before = list(read)
        gallery.delete([f"{row}" for row in range(0, 2000, 2)])
        gallery.upsert([replace(item, label="other") for item in items(range(1, 2000, 2))])
        gallery.settle(60)  # the rows were copied together, and the earlier files are gone
        assert {n.label for each in gallery.search(QUERIES, top_k=10) for n in each} == {"other"}
    assert (len(unread), list(unread), unread[3:5]) == (50, before, before[3:5])


@pytest.mark.parametrize("kind", KINDS)
def test_deletes_and_upserts_show_at_once_and_after_the_index_was_made_again(tmp_path, kind):
    mask = np.ones(NUM_ITEMS, dtype=bool)
    mask[100:400] = mask[5000:] = False
    with new_gallery(tmp_path / "g", kind) as gallery:
        gallery.upsert(items(range(5000)))
        gallery.settle(60)
        gallery.delete([str(row) for row in range(100, 400)])
        assert share_found(gallery, mask) >= 0.97
        gallery.upsert(items(range(5000, NUM_ITEMS)))
        mask[5000:] = True
        assert share_found(gallery, mask) >= 0.97
        # So many items are removed that the rows are copied together.
        gallery.delete([str(row) for row in range(1000, 3000)])
        mask[1000:3000] = False
        assert share_found(gallery, mask) >= 0.97
        gallery.settle(60)
        assert gallery._settler.view.num_rows == len(gallery) == mask.sum()
        assert share_found(gallery, mask) >= 0.97
        before = gallery.search(QUERIES, top_k=10)
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert gallery.search(QUERIES, top_k=10) == before
        assert gallery.describe().serving_kind == kind
        assert [item.id for item in gallery.get(["4999", "0"])] == ["4999", "0"]


def test_items_replaced_while_an_index_is_made_are_found_as_they_are(tmp_path, monkeypatch):
    from gfp_serve.gallery.embedded import settling

    real = settling.make_index
    with new_gallery(tmp_path / "g", "hnsw") as gallery:

        def meanwhile(*given, **named):
            made = real(*given, **named)
            if made is not None and gallery.get(["7"])[0].label != "moved":
                gallery.upsert([Item("7", -VECTORS[7], "moved")])
                gallery.delete(["8"])
                gallery.upsert([Item("new", VECTORS[8], "new")])
            return made

        monkeypatch.setattr(settling, "make_index", meanwhile)
        gallery.upsert(items(range(2000)))
        gallery.settle(60)
        assert gallery.describe().serving_kind == "hnsw"
        (opposite, same) = gallery.search(np.stack([-VECTORS[7], VECTORS[8]]), top_k=1)
        assert (opposite[0].id, opposite[0].label) == ("7", "moved")
        assert same[0].id == "new"
        assert len(gallery) == 2000


def with_copies(share: float, *, spread: float = 0.0, number: int = 2600) -> np.ndarray:
    """Clustered vectors. A share of them are one vector, moved by `spread`; of the rest, every tenth is there twice."""
    vectors, draw = clustered(number, 5), np.random.default_rng(6)
    copies = draw.permutation(number)[: int(share * number)]
    rest = np.setdiff1d(np.arange(number), copies)
    if share:
        vectors[rest[10::10]] = vectors[rest[: len(rest[10::10])]]
        vectors[copies] = vectors[copies[0]] + spread * draw.standard_normal((len(copies), SIZE))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def check_own_vectors(gallery: FaissGallery, vectors: dict[str, np.ndarray], where: Filter | None = None) -> None:
    """Each item is found by its own vector; of those with equal vectors, the first is. Exact search says the same."""
    queries = np.stack(list(vectors.values()))
    _, first, which = np.unique(queries, axis=0, return_index=True, return_inverse=True)
    firsts = [list(vectors)[row] for row in first[which.ravel()]]
    # The few that pass a filter, and those that came after the index, are compared one by one, which rounds otherwise.
    view = gallery._settler.view
    by_index = where is None and view.index is not None and view.index.num_rows == view.num_rows
    found = gallery.search(queries, top_k=1, where=where)
    right = gallery.search(queries, top_k=1, where=where, effort=Effort(exact=True))
    for expected, (ours,), (true,) in zip(firsts, found, right, strict=True):
        assert ours.similarity > true.similarity - 1e-6
        # Which of nearly equal vectors is nearest depends on rounding.
        assert np.abs(vectors[ours.id] - vectors[expected]).max() < 1e-3
        if by_index and np.array_equal(vectors[ours.id], vectors[expected]):
            assert ours.id == expected
    for row in range(0, len(queries), 100):
        (((ours,),), ((true,),)) = (
            gallery.search(queries[row][None], top_k=1, where=where, effort=Effort(exact=exact))
            for exact in (False, True)
        )
        if np.array_equal(vectors[ours.id], vectors[true.id]):
            assert (ours.id, ours.label) == (true.id, true.label)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("share", "spread"), [(0.0, 0.0), (0.3, 0.0), (0.5, 0.0), (0.9, 0.0), (0.5, 1e-7), (0.5, 1e-2)]
)
def test_every_item_is_found_by_its_own_vector_however_many_are_equal(tmp_path, kind, share, spread):
    given = {str(row): vector for row, vector in enumerate(with_copies(share, spread=spread))}
    with new_gallery(tmp_path / "g", kind) as gallery:
        gallery.upsert([Item(id, vector, f"label-{int(id) % 7}") for id, vector in given.items()])
        gallery.settle(60)
        described = gallery.describe()
        assert described.serving_kind == (kind if described.unsuited_kind is None else "exact")
        if spread == 0 and share < 0.9:
            assert described.serving_kind == kind
        check_own_vectors(gallery, given)
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert gallery.describe() == replace(described, is_building=False)
        check_own_vectors(gallery, given)


@pytest.mark.parametrize("kind", ["ivf_sq8", "ivf_pq"])
def test_queries_beside_many_nearly_equal_vectors_find_the_nearest_of_them(tmp_path, kind):
    vectors = with_copies(0.8, spread=1e-4, number=NUM_ITEMS)
    draw = np.random.default_rng(7)
    queries = vectors[draw.integers(0, len(vectors), 100)] + 0.05 * draw.standard_normal((100, SIZE))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    with new_gallery(tmp_path / "g", kind) as gallery:
        gallery.upsert([Item(str(row), vector) for row, vector in enumerate(vectors)])
        gallery.settle(60)
        found, right = (gallery.search(queries, top_k=10, effort=Effort(exact=exact)) for exact in (False, True))
        tenth = [each[-1].similarity - 1e-6 for each in right]
        shares = [np.mean([n.similarity >= lowest for n in ours]) for ours, lowest in zip(found, tenth, strict=True)]
        assert np.mean(shares) > 0.97


@pytest.mark.parametrize("kind", ["hnsw", "ivf_sq8", "ivf_pq"])
def test_copies_are_found_in_the_order_in_which_they_came_while_items_come_and_go(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 500)
    vectors = with_copies(0.5, number=3000)
    given = {str(row): vector for row, vector in enumerate(vectors)}
    different, counts = np.unique(vectors, axis=0, return_counts=True)
    copied = different[np.argmax(counts)]
    half = Filter(must=(Range("row", below=1500),))

    def upsert(ids: list[str]) -> None:
        gallery.upsert([Item(id, given[id], f"label-{int(id) % 7}", {"row": float(id)}) for id in ids])

    def check() -> None:
        check_own_vectors(gallery, given)
        passing = {id: vector for id, vector in given.items() if int(id) < 1500}
        check_own_vectors(gallery, passing, half)
        for where in (None, half):
            found, right = (
                gallery.search(copied[None], top_k=50, where=where, effort=Effort(exact=exact))[0]
                for exact in (False, True)
            )
            assert [n.similarity for n in found] == pytest.approx([n.similarity for n in right], abs=1e-6)
            equal = [id for id in order if np.array_equal(given[id], copied) and (not where or int(id) < 1500)]
            assert [n.id for n in found] == equal[:50]

    order = list(given)
    with new_gallery(tmp_path / "g", kind) as gallery:
        upsert(order[:2400])
        gallery.settle(60)
        upsert(order[2400:])
        gallery.settle(60)  # the index was extended
        assert gallery.describe().serving_kind == kind
        check()
        gone = order[:200:2]
        gallery.delete(gone)
        order, given = [id for id in order if id not in gone], {id: given[id] for id in given if id not in gone}
        upsert(order[:100])
        order = order[100:] + order[:100]
        given = {id: given[id] for id in order}
        check()
        gallery.settle(60)
        check()
    with FaissGallery.open(tmp_path / "g") as gallery:
        check()


def test_searches_look_through_all_rows_once_for_each_change_or_filter(tmp_path, monkeypatch):
    real, masks = Copies._numbers_of, []

    def noted(self, passing):
        masks.append(int(np.count_nonzero(passing)))
        return real(self, passing)

    monkeypatch.setattr(Copies, "_numbers_of", noted)
    monkeypatch.setattr("gfp_serve.gallery.embedded.view._FEW_ROWS", 100)
    half = Filter(must=(AnyOf("", ("label-0", "label-1", "label-2")),))
    vectors = with_copies(0.5, number=3000)
    with new_gallery(tmp_path / "g", "hnsw") as gallery:
        gallery.upsert([Item(str(row), vector, f"label-{row % 7}") for row, vector in enumerate(vectors)])
        gallery.settle(60)
        gallery.delete(["3", "4"])
        for _ in range(3):
            found = gallery.search(QUERIES, top_k=10)
            fewer = gallery.search(QUERIES, top_k=10, where=half)
            for ours in (*found, *fewer):
                assert not {"3", "4"} & {neighbour.id for neighbour in ours}
            assert {int(neighbour.id) % 7 for ours in fewer for neighbour in ours} <= {0, 1, 2}
        passing_half = sum(row % 7 < 3 for row in range(3000) if row not in (3, 4))
        assert masks == [2998, passing_half]
        gallery.delete(["5"])
        gallery.search(QUERIES, top_k=10)
        assert masks == [2998, passing_half, 2997]


def test_an_index_with_copies_says_what_its_own_vectors_take(tmp_path):
    sizes = {}
    for share in (0.0, 0.5):
        vectors = with_copies(share, number=3000)
        with new_gallery(tmp_path / f"g{share}", "hnsw") as gallery:
            gallery.upsert([Item(str(row), vector) for row, vector in enumerate(vectors)])
            gallery.settle(60)
            assert gallery.describe().serving_kind == "hnsw"
            sizes[share] = gallery.describe().num_bytes
            num_different = len(np.unique(vectors, axis=0))
    links = sizes[0.0] - 3000 * SIZE * 4
    assert sizes[0.5] > 3000 * SIZE * 4 + num_different * SIZE * 4 + links * num_different / 3000 * 0.9


def test_a_search_with_a_filter_says_how_many_items_it_may_compare_and_then_how_many_it_does(
    tmp_path, monkeypatch, filled
):
    monkeypatch.setattr("gfp_serve.gallery.embedded.view._FEW_ROWS", 100)
    few, half = Filter(must=(Range("row", below=6),)), Filter(must=(Range("row", below=NUM_ITEMS / 2),))
    for kind in ("exact", "hnsw", "ivf_sq8"):
        with FaissGallery.open(filled(tmp_path / kind, kind)) as gallery:
            without = gallery.num_compared()
            assert without == NUM_ITEMS if kind == "exact" else without < NUM_ITEMS / 2
            most = gallery.num_compared(where=few)
            assert most == gallery.num_compared(where=half)
            assert max(without, 6, NUM_ITEMS // 16) <= most <= NUM_ITEMS
            gallery.search(QUERIES, top_k=10, where=few)
            gallery.search(QUERIES, top_k=10, where=half)
            assert gallery.num_compared(where=few) == 6
            among_half = NUM_ITEMS // 2 if kind == "exact" else min(NUM_ITEMS, 2 * without)
            assert abs(gallery.num_compared(where=half) - among_half) <= 1
            assert gallery.num_compared(Effort(exact=True), few) == 6
            gallery.delete(["0"])
            assert gallery.num_compared(where=few) > 5, "the filter is not known of the new state"


def test_what_is_remembered_of_a_filter_does_not_grow_with_its_texts(tmp_path):
    with new_gallery(tmp_path / "g", "exact") as gallery:
        gallery.upsert(items(range(100)))
        for n in range(3):
            gallery.search(QUERIES, top_k=1, where=Filter(must_not=(AnyOf("x", ("y" * 100_000, str(n))),)))
            gallery.num_compared(where=Filter(must_not=(AnyOf("x", ("y" * 100_000, str(n))),)))
        keys = list(gallery._settler.view._filters)
        assert len(keys) == 3
        assert sum(map(len, keys)) < 100


def test_a_kind_that_did_not_suit_is_not_named_when_there_are_too_few_items_for_any(tmp_path):
    with new_gallery(tmp_path / "g", "hnsw") as gallery:
        gallery.upsert([Item(str(row), VECTORS[row % 50]) for row in range(1200)])
        gallery.settle(60)
        assert gallery.describe().unsuited_kind == "hnsw"
        gallery.delete([str(row) for row in range(300)])
        assert gallery.describe().unsuited_kind is None
        gallery.upsert([Item(str(row), VECTORS[row % 50]) for row in range(300)])
        gallery.settle(60)
        assert gallery.describe().unsuited_kind == "hnsw"


def test_what_an_index_misses_is_compared_with_every_query(tmp_path, monkeypatch):
    real = index_building.numbers_missed

    def as_if_missed(index, vectors, first_rows, numbers):
        missed = {*np.concatenate([*real(index, vectors, first_rows, numbers)]).tolist(), 5, 70}
        yield np.array(sorted(missed & {*numbers.tolist()}), dtype=np.int64)

    def hidden(self, queries, *, top_k, **named):
        rows, similarities = search(self, queries, top_k=top_k, **named)
        is_hidden = np.isin(rows, [5, 70])
        return np.where(is_hidden, -1, rows), np.where(is_hidden, np.float32(-np.inf), similarities)

    search = HnswIndex.search
    monkeypatch.setattr(index_building, "numbers_missed", as_if_missed)
    monkeypatch.setattr(HnswIndex, "search", hidden)
    with new_gallery(tmp_path / "g", "hnsw") as gallery:
        gallery.upsert(items(range(2000)))
        gallery.settle(60)
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert gallery.describe().serving_kind == "hnsw"
        found = gallery.search(VECTORS[[5, 70, 6]], top_k=3)
        assert [each[0].id for each in found] == ["5", "70", "6"]
        assert all(len({n.id for n in each}) == 3 for each in found)
        gallery.delete(["5"])
        assert gallery.search(VECTORS[5:6], top_k=1)[0][0].id != "5"


def test_an_index_that_misses_too_much_is_not_used_and_that_is_said_and_remembered(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(index_building, "_SHARE_FOUND", 1.01)
    with new_gallery(tmp_path / "g", "hnsw") as gallery:
        gallery.upsert(items(range(2000)))
        gallery.settle(60)
        described = gallery.describe()
        assert (described.serving_kind, described.unsuited_kind, described.is_building) == ("exact", "hnsw", False)
        assert share_found(gallery, np.arange(NUM_ITEMS) < 2000) == 1
    assert "is searched exactly: an index of the kind hnsw misses too many" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    with FaissGallery.open(tmp_path / "g") as gallery:
        gallery.settle(60)
        assert gallery.describe().unsuited_kind == "hnsw"
        gallery.upsert(items(range(2000, 3001)))  # half as many again
        gallery.settle(60)
        assert (gallery.describe().serving_kind, gallery.describe().unsuited_kind) == ("hnsw", None)
    assert caplog.text == ""


def test_an_index_that_finds_earlier_items_no_more_after_it_was_extended_is_checked_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 50)
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_SHARE", 0.0)
    real, checked = index_building.numbers_missed, []
    lost: list[int] = []

    def noted(index, vectors, first_rows, numbers):
        checked.append(len(numbers))
        missed = {*np.concatenate([*real(index, vectors, first_rows, numbers)]).tolist(), *lost}
        yield np.array(sorted(missed & {*numbers.tolist()}), dtype=np.int64)

    monkeypatch.setattr(index_building, "numbers_missed", noted)
    with new_gallery(tmp_path / "g", "ivf_sq8") as gallery:
        gallery.upsert(items(range(2000)))
        gallery.settle(60)
        gallery.upsert(items(range(2000, 2100)))
        gallery.settle(60)
        lost += range(0, 2000, 20)
        gallery.upsert(items(range(2100, 2200)))
        gallery.settle(60)
        assert gallery.describe().serving_kind == "ivf_sq8"
    assert checked == [2000, 1024, 100, 1024, 2200]


def test_auto_goes_from_exact_to_hnsw_to_ivf_as_items_and_memory_have_it():
    gigabyte = 2**30
    assert choose_kind("auto", 19_999, 256, gigabyte) == "exact"
    assert choose_kind("auto", 20_000, 256, gigabyte) == "hnsw"
    assert choose_kind("auto", 2_000_000, 256, gigabyte) == "ivf_sq8"
    assert choose_kind("auto", 10_000_000, 256, gigabyte) == "ivf_pq"
    assert choose_kind("hnsw", 10_000_000, 256, gigabyte) == "hnsw"
    assert choose_kind("auto", 500_000, 256, gigabyte, on_gpu=True) == "exact"
    assert choose_kind("auto", 2_000_000, 256, gigabyte, on_gpu=True) == "ivf_sq8"


def test_a_gpu_that_is_not_there_is_refused_in_words(tmp_path):
    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus():
        pytest.skip("this machine has a GPU, so there is none to refuse")
    with pytest.raises(DeviceError, match="--gallery-device cpu"):
        FaissGallery.create(tmp_path / "g", encoder_digest="5e" * 32, embedding_size=SIZE, device="cuda")


class Gpu:
    """Stands in for FAISS's classes for GPUs: it copies an index as it is, with a GPU's limits, and notes searches.

    This tests which of the two is searched, and for what.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []  # queries and neighbours of each search
        self.resources: list[object] = []
        self.options: list[object] = []
        self.error: str | None = None

    def index_cpu_to_gpu(self, resources: object, _number: int, index: faiss.Index, options: object = None) -> object:
        self.check()
        self.resources.append(resources)
        self.options.append(options)
        return Copy(self, index)

    def check(self) -> None:
        if self.error is not None:
            raise RuntimeError(self.error)


class Copy:
    def __init__(self, gpu: Gpu, index: faiss.Index) -> None:
        self._gpu, self._index, self.nlist, self.nprobe = gpu, index, getattr(index, "nlist", 0), 0

    def search(self, queries, top_k):
        assert max(top_k, self.nprobe) <= 2048
        self._gpu.check()
        self._gpu.asked.append((len(queries), top_k))
        parameters = faiss.SearchParametersIVF(nprobe=self.nprobe) if self.nprobe else None
        return self._index.search(queries, top_k, params=parameters)


@pytest.fixture
def gpu(monkeypatch) -> Iterator[Gpu]:
    made = Gpu()
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "GpuClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", made.index_cpu_to_gpu, raising=False)
    _resources.cache_clear()
    yield made
    _resources.cache_clear()


@pytest.mark.parametrize("kind", ["exact", "ivf_sq8"])
def test_copies_on_a_gpu_answer_what_the_index_answers(tmp_path, monkeypatch, gpu, kind, filled):
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 500)
    half = Filter(must=(Range("row", below=3000),))
    with FaissGallery.open(filled(tmp_path / "g", kind)) as gallery:
        expected = gallery.search(QUERIES, top_k=5)
        filtered = gallery.search(QUERIES, top_k=5, where=half)
    with FaissGallery.open(tmp_path / "g", device="cuda") as gallery:
        gpu.asked.clear()  # whether the copy finds its own items
        assert [[n.id for n in each] for each in gallery.search(QUERIES, top_k=5)] == [
            [n.id for n in each] for each in expected
        ]
        assert len(gpu.asked) == 1
        assert gallery.search(QUERIES, top_k=5, where=half) == filtered
        assert len(gpu.asked) == 1
        gallery.upsert([replace(items(range(1))[0], id="late")])
        assert "late" in {n.id for n in gallery.search(VECTORS[:1], top_k=2)[0]}
        gallery.upsert([replace(item, id=f"late-{item.id}") for item in items(range(NUM_ITEMS // 2))])
        gallery.settle(60)
        gpu.asked.clear()
        found = gallery.search(VECTORS[:1], top_k=3)[0]
        assert {n.id for n in found} == {"late", items(range(1))[0].id, f"late-{items(range(1))[0].id}"}
        assert (gallery.describe().serving_kind, len(gpu.asked)) == (kind, 1)


@pytest.mark.parametrize("kind", ["exact", "ivf_sq8", "ivf_pq"])
def test_removed_items_are_not_found_on_a_gpu_and_do_not_send_searches_to_the_cpu(tmp_path, gpu, kind, filled):
    mask = np.ones(NUM_ITEMS, dtype=bool)
    with FaissGallery.open(filled(tmp_path / "g", kind), device="cuda") as gallery:
        nearest = [each[0].id for each in gallery.search(QUERIES, top_k=10)]
        removed = sorted({*map(int, nearest), *range(700)})
        mask[removed] = False
        gallery.delete([str(row) for row in removed])
        before = len(gpu.asked)
        assert share_found(gallery, mask) >= 0.97
        assert [queries for queries, _ in gpu.asked[before:]] == [len(QUERIES)]


def test_removed_items_beyond_what_a_gpu_can_be_asked_for_are_searched_past(tmp_path, monkeypatch, gpu, filled):
    monkeypatch.setattr("gfp_serve.gallery.embedded.gpu._MOST_NEIGHBOURS", 20)
    with FaissGallery.open(filled(tmp_path / "g", "exact"), device="cuda") as gallery:
        nearest = {n.id for n in gallery.search(VECTORS[:1], top_k=20)[0]}
        gallery.delete(sorted(nearest))
        query = np.concatenate([VECTORS[:1], QUERIES])
        asked, found = len(gpu.asked), gallery.search(query, top_k=10)
        assert gpu.asked[asked:] == [(len(query), 20)]
        rows = np.array([row for row in range(NUM_ITEMS) if str(row) not in nearest])
        for ours, vector in zip(found, query, strict=True):
            true = rows[np.argsort(-(VECTORS[rows] @ vector))[:10]]
            assert {n.id for n in ours} == {str(row) for row in true}


@pytest.mark.parametrize(("kind", "top_k"), [("exact", 2048), ("ivf_sq8", 512)])
def test_more_neighbours_than_a_gpu_gives_are_found_on_the_cpu(tmp_path, gpu, kind, top_k, filled):
    with FaissGallery.open(filled(tmp_path / "g", kind)) as gallery:
        expected = gallery.search(QUERIES[:2], top_k=top_k + 1)
    with FaissGallery.open(tmp_path / "g", device="cuda") as gallery:
        gpu.asked.clear()
        assert gallery.search(QUERIES[:2], top_k=top_k + 1) == expected
        assert gpu.asked == []
        gallery.search(QUERIES[:2], top_k=top_k)
        assert gpu.asked == [(2, 2048)]


def test_more_lists_than_a_gpu_reads_are_read_on_the_cpu(tmp_path, monkeypatch, gpu, filled):
    monkeypatch.setattr("gfp_serve.gallery.embedded.gpu._MOST_LISTS", 4)
    with FaissGallery.open(filled(tmp_path / "g", "ivf_sq8"), device="cuda") as gallery:
        gpu.asked.clear()
        gallery.search(QUERIES, top_k=5, effort=Effort(nprobe=5))
        assert gpu.asked == []
        gallery.search(QUERIES, top_k=5, effort=Effort(nprobe=4))
        assert len(gpu.asked) == 1


def test_all_copies_on_a_gpu_share_its_memory_and_the_codes_have_small_tables(tmp_path, gpu, filled):
    folders = [filled(tmp_path / kind, kind) for kind in ("exact", "ivf_sq8", "ivf_pq")]
    opened = [FaissGallery.open(folder, device="cuda") for folder in folders]
    for gallery in opened:
        gallery.close()
    assert len(set(map(id, gpu.resources))) == 1
    assert gpu.options == [None, None, SimpleNamespace(useFloat16=True)]


@pytest.mark.parametrize("kind", ["exact", "ivf_sq8"])
def test_an_index_that_a_gpu_does_not_take_stays_on_the_cpu_with_a_warning(tmp_path, gpu, caplog, kind, filled):
    with FaissGallery.open(filled(tmp_path / "g", kind)) as gallery:
        expected = gallery.search(QUERIES, top_k=5)
    gpu.error = "not enough shared memory"
    with FaissGallery.open(tmp_path / "g", device="cuda") as gallery:
        assert gallery.search(QUERIES, top_k=5) == expected
    (record,) = caplog.records
    assert (record.levelname, "not enough shared memory" in record.getMessage()) == ("WARNING", True)


@pytest.mark.parametrize("kind", ["exact", "ivf_sq8"])
def test_a_gallery_whose_gpu_fails_in_a_search_answers_on_the_cpu_from_then_on(tmp_path, gpu, caplog, kind, filled):
    with FaissGallery.open(filled(tmp_path / "g", kind)) as gallery:
        expected = gallery.search(QUERIES, top_k=5)
    with FaissGallery.open(tmp_path / "g", device="cuda") as gallery:
        gpu.error = "the device is lost"
        assert gallery.search(QUERIES, top_k=5) == expected
        assert gallery.search(QUERIES, top_k=5) == expected
    (record,) = caplog.records
    assert "the device is lost" in record.getMessage()
