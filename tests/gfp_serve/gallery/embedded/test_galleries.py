"""The galleries of a folder: they do not wait for each other, keep to the limit of open files, and have any name."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gfp_serve import open_files
from gfp_serve.errors import (
    ClosedError,
    GalleryError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    NotWritableError,
    OverloadedError,
    StillClosingError,
)
from gfp_serve.gallery.embedded import background, opening, settling
from gfp_serve.gallery.embedded.background import is_building
from gfp_serve.gallery.embedded.build_queue import BuildQueue
from gfp_serve.gallery.embedded.change import Change
from gfp_serve.gallery.embedded.derived_check import derived_folders
from gfp_serve.gallery.embedded.folders import existing_folder
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item

DIGEST, SIZE = "5e" * 32, 16
HANG_S = 60


def items(number: int) -> list[Item]:
    vectors = np.random.default_rng(0).standard_normal((number, SIZE)).astype(np.float32)
    return [Item(f"clip-{row}", vector, f"label-{row % 3}") for row, vector in enumerate(vectors)]


def opened(root: Path) -> FolderGalleries:
    return FolderGalleries(root, encoder_digest=DIGEST, embedding_size=SIZE)


class Endless:
    """Stands in for the making of an index that cannot be interrupted, as FAISS cannot, until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.num_calls = 0

    def __call__(self, *_: object, **__: object) -> None:
        self.num_calls += 1
        self.begun.set()
        assert self.let_go.wait(HANG_S)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endless]:
    made = Endless()
    until(lambda: not is_building())  # or an index of an earlier test would be the one that begins
    monkeypatch.setattr(settling, "make_index", made)
    yield made
    made.let_go.set()


class HeldUpserts:
    """Upserts that have begun wait until they may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        real = Change.upsert

        def upsert(change, rows):
            self.begun.set()
            assert self.go_on.wait(HANG_S)
            return real(change, rows)

        monkeypatch.setattr(Change, "upsert", upsert)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldUpserts:
    return HeldUpserts(monkeypatch)


def until(condition) -> None:
    """Wait for what a thread does that nobody waits for."""
    waiting = threading.Event()
    for _ in range(HANG_S * 100):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not happen")


def test_nothing_waits_for_an_index_that_is_made_and_a_drop_is_cleaned_up_when_it_is(tmp_path, endless):
    galleries = opened(tmp_path)
    building = galleries.create("a", index_kind="ivf_pq")
    building.upsert(items(1000))
    assert endless.begun.wait(HANG_S)
    assert building.describe().is_building

    assert galleries.drop("a") == 1000
    assert list(galleries.encoder_digests()) == ["default"]
    with pytest.raises(GalleryNotFoundError, match="was dropped"):
        building.search(np.ones((1, SIZE), dtype=np.float32), top_k=1)
    again = galleries.create("a", index_kind="exact")
    again.upsert(items(5))
    assert galleries.drop("a") == 5
    again = galleries.create("a", index_kind="exact")
    again.upsert(items(7))
    # A listing may miss it while the other dropped folder is removed; one that is gone does not come back.
    until(lambda: any(tmp_path.glob(".dropped-*")))

    endless.let_go.set()
    until(lambda: not any(tmp_path.glob(".dropped-*")))
    assert len(again.search(np.ones((1, SIZE), dtype=np.float32), top_k=10)[0]) == 7
    galleries.close()
    with FaissGallery.open(tmp_path / "a") as gallery:
        assert len(gallery) == 7


def test_galleries_close_while_an_index_is_made_and_keep_its_folder_locked_until_then(tmp_path, endless, caplog):
    galleries = opened(tmp_path)
    galleries.create("a", index_kind="hnsw").upsert(items(1000))
    assert endless.begun.wait(HANG_S)
    galleries.close()
    assert "gallery=a is closed while an index is made" in caplog.text
    assert is_building()
    with pytest.raises(StillClosingError, match="was closed while its index was made"):
        FaissGallery.open(tmp_path / "a")
    endless.let_go.set()
    until(lambda: not is_building())

    def can_be_opened() -> bool:
        try:
            FaissGallery.open(tmp_path / "a").close()
        except GalleryError:
            return False
        return True

    until(can_be_opened)


def test_two_cannot_make_or_drop_the_same_gallery_at_once(tmp_path, monkeypatch):
    real, begun, go_on = FaissGallery.create, threading.Event(), threading.Event()

    def slow(*given, **named):
        begun.set()
        assert go_on.wait(HANG_S)
        return real(*given, **named)

    galleries = opened(tmp_path)
    monkeypatch.setattr(FaissGallery, "create", slow)
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(galleries.create, "a")
        assert begun.wait(HANG_S)
        assert list(galleries.encoder_digests()) == ["default"]
        with pytest.raises(GalleryExistsError, match="exists already"):
            galleries.create("a")
        with pytest.raises(GalleryNotFoundError):
            galleries.drop("a")
        go_on.set()
        making.result()
    assert list(galleries.encoder_digests()) == ["a", "default"]
    galleries.close()


def test_what_a_crash_left_of_a_dropped_gallery_is_removed_and_is_not_a_gallery(tmp_path):
    galleries = opened(tmp_path)
    galleries.create("a").upsert(items(3))
    galleries.close()
    (tmp_path / "a").rename(tmp_path / ".dropped-0123")
    galleries = opened(tmp_path)
    assert list(galleries.encoder_digests()) == ["default"]
    until(lambda: not (tmp_path / ".dropped-0123").exists())
    galleries.close()


def test_upserts_that_had_begun_when_their_gallery_was_dropped_are_told_that(tmp_path, held):
    galleries = opened(tmp_path)
    gallery = galleries.create("a")
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(gallery.upsert, items(1))
        assert held.begun.wait(HANG_S)
        galleries.drop("a")
        held.go_on.set()
        with pytest.raises(GalleryNotFoundError, match="'a' was dropped, so"):
            early.result()
    for late in (lambda: gallery.upsert(items(1)), lambda: gallery.search(np.ones((1, SIZE), np.float32), top_k=1)):
        with pytest.raises(GalleryNotFoundError, match="'a' was dropped, so"):
            late()
    galleries.close()
    with pytest.raises(ClosedError):
        len(galleries["default"])


def test_a_gallery_that_could_not_be_dropped_takes_items_as_before(tmp_path, monkeypatch):
    galleries = opened(tmp_path)
    gallery = galleries.create("a")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(NotWritableError, match="cannot be removed"):
            galleries.drop("a")
    gallery.upsert(items(3))
    assert len(gallery) == 3


def test_what_was_written_while_a_drop_failed_is_kept_and_more_can_follow(tmp_path, held, monkeypatch):
    galleries = opened(tmp_path)
    gallery = galleries.create("a")
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(gallery.upsert, items(2))
        assert held.begun.wait(HANG_S)

        def refuse(*_: object) -> None:
            held.go_on.set()
            early.result()
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", refuse)
            with pytest.raises(NotWritableError, match="cannot be removed"):
                galleries.drop("a")
    gallery.upsert(items(5))
    assert len(gallery) == 5
    galleries.close()


def test_a_long_read_of_a_gallery_that_is_dropped_or_moved_meanwhile_gives_all_items(tmp_path):
    galleries = opened(tmp_path)
    gallery = galleries.create("a")
    gallery.upsert(items(6000))
    read = gallery.items()
    assert next(read).id == "clip-0"
    galleries.drop("a")
    assert len([*read]) == 5999


def test_an_error_that_lists_galleries_leaves_out_what_is_dropped(tmp_path):
    opened(tmp_path).close()
    (tmp_path / "default").rename(tmp_path / ".dropped-1")
    opened(tmp_path).close()
    with pytest.raises(GalleryError, match=r"its galleries are default\.$"):
        existing_folder(tmp_path, "other")


def test_a_gallery_whose_folder_was_moved_is_not_dropped_and_that_is_said(tmp_path):
    galleries = opened(tmp_path / "root")
    galleries.create("a").upsert(items(3))
    (tmp_path / "root" / "a").rename(tmp_path / "elsewhere")
    with pytest.raises(NotWritableError, match="'a' cannot be removed"):
        galleries.drop("a")
    (tmp_path / "elsewhere").rename(tmp_path / "root" / "a")
    assert galleries.drop("a") == 3
    galleries.close()


@pytest.mark.parametrize("name", ["derived-1", "derived-2", "0", "a" * 64])
def test_a_gallery_of_any_name_is_safe_where_the_default_one_lies_in_the_same_folder(tmp_path, monkeypatch, name):
    """As in the first release, whose gallery lay in the root itself."""
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 10)
    with FaissGallery.create(tmp_path, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert(items(20))
        gallery.settle(HANG_S)
    for _ in range(2):
        galleries = opened(tmp_path)
        if name not in galleries.encoder_digests():
            galleries.create(name)
        galleries[name].upsert(items(3))
        galleries["default"].upsert(items(40))
        galleries["default"].settle(HANG_S)
        galleries.close()
    galleries = opened(tmp_path)
    assert {each: len(galleries[each]) for each in galleries.encoder_digests()} == {"default": 40, name: 3}
    assert all(folder.name.startswith("derived.") for folder in derived_folders(tmp_path))
    assert any(derived_folders(tmp_path))
    galleries.close()


def test_derived_files_of_an_earlier_release_are_removed_although_galleries_can_have_their_name(tmp_path):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert(items(3))
    (tmp_path / "g" / "derived-1").mkdir()
    (tmp_path / "g" / "derived-1" / "manifest.json").write_text("{}")
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert len(gallery) == 3
    assert not (tmp_path / "g" / "derived-1").exists()


def test_more_galleries_than_files_allow_are_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(open_files, "_promised", 192)
    monkeypatch.setattr(open_files, "limit", lambda: open_files.OWN + 192 + 3 * 14)
    galleries = opened(tmp_path)
    for name in "ab":
        galleries.create(name)
    with pytest.raises(InvalidRequestError, match=r"3 galleries already.* open 362 files.*LimitNOFILE"):
        galleries.create("c")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["a", "b", "default"]
    galleries.drop("a")
    galleries.create("c")
    galleries.close()
    opened(tmp_path).close()


def test_galleries_leave_the_last_files_to_others(tmp_path, monkeypatch):
    galleries = opened(tmp_path)
    monkeypatch.setattr(open_files, "num_open", lambda: open_files.limit() - 20)
    with pytest.raises(OverloadedError, match=r"another gallery cannot be opened now: .* raise the limit"):
        galleries.create("a")
    monkeypatch.undo()
    galleries.create("a")
    galleries.close()
    monkeypatch.setattr(open_files, "num_open", lambda: open_files.limit() - 20)
    with pytest.raises(GalleryError, match=r"the 2 galleries in .* cannot all be opened: .* raise the limit"):
        opened(tmp_path)


def test_a_folder_that_opened_can_be_opened_again_when_its_indexes_are_made(tmp_path, monkeypatch, caplog):
    for name in ("default", "a", "b"):
        new = FaissGallery.create(tmp_path / name, encoder_digest=DIGEST, embedding_size=SIZE, index_kind="ivf_sq8")
        new.upsert(items(1200))
        new.close()
    for folder in (tmp_path / "default", tmp_path / "a", tmp_path / "b"):
        for derived in derived_folders(folder):
            shutil.rmtree(derived)
    # Room for all galleries, and for the derived files of one, with what is left to others.
    before = open_files.num_open()
    monkeypatch.setattr(open_files, "limit", lambda: before + 3 * 7 + 7 + 64)
    monkeypatch.setattr(background, "_TRY_AGAIN_S", 1e6)
    galleries = opened(tmp_path)
    told = []
    for name in ("default", "a", "b"):
        try:
            galleries[name].settle(HANG_S)
        except GalleryError as error:
            told.append(str(error))
            assert galleries[name].describe().serving_kind == "exact"
        assert len(galleries[name].search(np.ones((1, SIZE), dtype=np.float32), top_k=3)[0]) == 3
    assert len(told) == 2
    assert all("cannot have an index now" in each and "raise the limit" in each for each in told)
    assert "Traceback" not in caplog.text
    galleries.close()
    assert sum(len(derived_folders(tmp_path / name)) for name in ("default", "a", "b")) == 1
    opened(tmp_path).close()


def test_indexes_are_made_one_after_the_other_while_exact_search_answers(tmp_path, endless):
    galleries = opened(tmp_path)
    galleries.create("a", index_kind="hnsw").upsert(items(1000))
    assert endless.begun.wait(HANG_S)
    for name in "bc":
        galleries.create(name, index_kind="hnsw").upsert(items(1000))
    for name in "abc":
        assert galleries[name].describe().is_building
        assert galleries[name].describe().serving_kind == "exact"
        assert len(galleries[name].search(np.ones((1, SIZE), dtype=np.float32), top_k=3)[0]) == 3
    assert endless.num_calls == 1
    for name in "bc":
        assert galleries[name].close_within(HANG_S), "those that wait end at once"
    assert endless.num_calls == 1


def test_the_smallest_of_those_that_wait_builds_next_and_small_ones_do_not_wait_for_large_ones():
    queue, order = BuildQueue(), list[int]()

    def build(num_bytes: int, begun: threading.Event, go_on: threading.Event) -> None:
        with queue.turn(num_bytes, lambda: False) as is_ours:
            assert is_ours
            order.append(num_bytes)
            begun.set()
            assert go_on.wait(HANG_S)

    go_on = threading.Event()
    begun = {num_bytes: threading.Event() for num_bytes in (3, 5, 2, 2**30, 2**29, 2**31)}
    with ThreadPoolExecutor(6) as pool:
        for first in (3, 2**30):
            pool.submit(build, first, begun[first], go_on)
            assert begun[first].wait(HANG_S)
        for others in (5, 2, 2**31, 2**29):
            pool.submit(build, others, begun[others], go_on)
        until(lambda: len(queue._waiting) == 4)
        with queue.turn(1, lambda: True) as is_ours:
            assert not is_ours
        assert order == [3, 2**30]
        go_on.set()
    assert [size for size in order if size < 10] == [3, 2, 5]
    assert [size for size in order if size > 10] == [2**30, 2**29, 2**31]


def test_a_large_gallery_without_derived_files_does_not_take_memory_for_its_vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_MOST_IN_MEMORY", 0)
    monkeypatch.setattr(settling.Settler, "is_needed", lambda _: False)
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert(items(3000))
        gallery.delete(["clip-1", "clip-2999"])
        expected = [*gallery.search(np.ones((2, SIZE), dtype=np.float32), top_k=20)]
    with FaissGallery.open(tmp_path / "g") as gallery:
        vectors = gallery._settler.view.rows.vectors
        assert isinstance(vectors._blocks[0].base, np.memmap)
        assert [*gallery.search(np.ones((2, SIZE), dtype=np.float32), top_k=20)] == expected
        gallery.upsert(items(3))
        assert gallery.search(np.ones((1, SIZE), dtype=np.float32), top_k=5000)[0][0].id == expected[0][0].id
        assert len(gallery) == 2999
    assert sorted(file.name for file in (tmp_path / "g").iterdir()) == ["gallery.lock", "gallery.sqlite"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert len(gallery) == 2999


@pytest.mark.parametrize("fails", ["ItemStore.create", "ItemStore.open", "check_log", "make_folder"])
def test_nothing_of_a_gallery_that_could_not_be_made_stays_behind(tmp_path, monkeypatch, fails):
    def no_files(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    galleries = opened(tmp_path)
    with monkeypatch.context() as patch:
        place = "gallery.make_folder" if fails == "make_folder" else f"opening.{fails}"
        patch.setattr(f"gfp_serve.gallery.embedded.{place}", no_files)
        with pytest.raises(GalleryError, match="Too many open files"):
            galleries.create("a")
    assert [folder.name for folder in tmp_path.iterdir()] == ["default"]
    galleries.create("a").upsert(items(3))
    galleries.close()
    with pytest.raises(GalleryError, match="contains a gallery already"):
        FaissGallery.create(tmp_path / "a", encoder_digest=DIGEST, embedding_size=SIZE)
    with FaissGallery.open(tmp_path / "a") as gallery:
        assert len(gallery) == 3


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows():
    code = (
        "import resource; from gfp_serve import open_files\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 100)); print(open_files.raise_limit(), open_files.limit())\n"
        "print(open_files.num_open() > 2)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["100", "100", "True"]
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert open_files.limit() == soft
