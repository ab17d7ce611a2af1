"""A gallery never gives a wrong answer and never loses an item: when it is killed, searched during writes or damaged,
on a full disk and on one that cannot be written. benchmarks/gallery_proof.py tests the first three for longer."""

import itertools
import logging
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import GalleryError, NotWritableError
from gfp_serve.gallery.embedded.background import Background
from gfp_serve.gallery.embedded.change import Change
from gfp_serve.gallery.embedded.derived import UNFINISHED, write_derived
from gfp_serve.gallery.embedded.derived_check import derived_folders
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.items import (
    Effort,
    IndexKind,
    Item,
    Neighbour,
)
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from tests.proving import beside, crash
from tests.proving.damage import LOG, Damaged
from tests.support.full_disk import file_size_limit
from tests.support.refusals import CODE, refused
from tests.support.servers import channel_to, running
from tests.support.tiny_bundle import SIZE as TINY_SIZE

DIGEST, SIZE = "5e" * 32, 16
# A few more than the fewest items for which an index is made.
NUM_ITEMS = 1100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


def vectors(number: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((number, SIZE)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def items(number: int, *, first: int = 0, label: str = "first") -> list[Item]:
    """Items that are the same each time they are made."""
    return [Item(f"clip-{n}", vector, label) for n, vector in enumerate(vectors(number, first), first)]


def new_gallery(folder: Path, index_kind: IndexKind = "exact") -> FaissGallery:
    return FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE, index_kind=index_kind)


def fill(folder: Path, index_kind: IndexKind = "hnsw") -> None:
    """Make a gallery with derived files; it has enough items for an index."""
    with new_gallery(folder, index_kind) as gallery:
        gallery.upsert(items(NUM_ITEMS))
        gallery.settle()


def answers(gallery: FaissGallery) -> list[list[Neighbour]]:
    return gallery.search(vectors(20, 99), top_k=20, effort=Effort(exact=True))


def rounded(found: list[list[Neighbour]]) -> list[list[tuple[str, str, float]]]:
    """Answers without the last digits, which depend on how many vectors are multiplied at once."""
    return [[(n.id, n.label, round(n.similarity, 4)) for n in neighbours] for neighbours in found]


def flip(file: Path, place: int) -> None:
    """Alter one byte in place, as a disk may do: mapped memory changes with it."""
    with file.open("r+b") as opened:
        opened.seek(place)
        (byte,) = opened.read(1)
        opened.seek(place)
        opened.write(bytes([byte ^ 0x01]))


# --- killed ---


@pytest.mark.parametrize(("index_kind", "num_places"), [("exact", 100), ("hnsw", 2500)])
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there_after_kill_9(folder, index_kind, num_places):
    killed = crash.Crashes(folder, index_kind, num_places, np.random.default_rng(0))
    for messages in (1, 100, 25):
        killed.round(messages)
    assert {name: killed.counts[name] for name in crash.MUST_BE_NONE} == dict.fromkeys(crash.MUST_BE_NONE, 0)
    # At most the last message of each writer is not followed by its acknowledgement.
    assert killed.counts["acknowledged changes"] >= (1 + 100 + 25 - 3 * crash.NUM_WRITERS) // 2


def test_the_crash_oracle_sees_a_lost_item_a_ghost_and_half_an_upsert(folder):
    killed = crash.Crashes(folder, "exact", 100, np.random.default_rng(0))
    with crash_gallery(folder) as gallery:
        known = [crash.Change(0, 1, True, 0, 10), crash.Change(1, 2, True, 0, 10)]
        for change in known:
            change.make(gallery)
            killed.oracle.apply(change)
        gallery.delete(["0/3"])
        crash.Change(2, 3, True, 5, 1).make(gallery)
        crash.Change(3, 4, True, 0, 5).make(gallery)
    killed.check([crash.Change(3, 4, True, 0, 10)])
    # The oracle takes the half upsert for a whole one, so the other half counts as lost.
    assert [killed.counts[name] for name in ("lost", "ghosts", "half")] == [6, 1, 1]


def crash_gallery(folder: Path) -> FaissGallery:
    return FaissGallery.create(folder, encoder_digest=crash.DIGEST, embedding_size=SIZE)


# --- searched beside writes ---


@pytest.mark.parametrize("index_kind", ["exact", "hnsw"])
def test_every_answer_beside_writes_is_the_exact_one_of_a_moment_that_it_can_be_of(folder, index_kind):
    with new_gallery(folder, index_kind) as gallery:
        counts = beside.run(
            gallery,
            num_places=1000,
            enough=lambda changes, searches: changes >= 30 and searches >= 30,
            most=100,
            efforts=(beside.EXACT, beside.BY_INDEX),
        )
    assert [counts.get(name, 0) for name in ("failures", *beside.ERRORS)] == [0, 0, 0, 0]
    assert counts["searches beside a change, exact"] > 0


def test_a_gallery_whose_upserts_are_seen_in_part_is_found_out():
    counts = beside.run(
        beside.NotInOnePiece(), num_places=150, enough=lambda changes, _: changes >= 200, efforts=(beside.EXACT,)
    )
    assert counts["failures"] == 0
    assert counts["missing neighbours, exact"] > 0


def test_many_items_are_read_from_one_moment(folder, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.embedded.change._IDS_AT_ONCE", 2)
    ids = [item.id for item in items(60)]
    stop = threading.Event()
    with new_gallery(folder) as gallery, ThreadPoolExecutor(1) as pool:
        gallery.upsert(items(60))

        def write() -> None:
            for turn in itertools.count():
                if stop.is_set():
                    return
                gallery.upsert(items(60, label=str(turn)))

        writing = pool.submit(write)
        seen: Counter[str] = Counter()
        try:
            while len(seen) <= 3 or seen.total() < 200:
                (label,) = {item.label for item in gallery.get(ids)}
                seen[label] += 1
        finally:
            stop.set()
        writing.result()


# --- damaged ---


def test_no_wrong_byte_in_any_file_makes_a_wrong_answer(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    damaged = Damaged(tmp_path / "damage", index_kind="hnsw", num_places=NUM_ITEMS)
    outcomes = {file: damaged.counts(file, 2) for file in [*damaged.files(), Path(LOG)]}
    # Rows (4 files), removed rows, copies, index and inventory; the database and its log. The index misses nothing.
    assert len(outcomes) == 10
    assert {file: counts["wrong"] for file, counts in outcomes.items()} == dict.fromkeys(outcomes, 0)


@pytest.mark.parametrize("name", ["index.faiss", "seqs.i64", "texts.utf8", "ends.i64", "manifest.json"])
def test_a_damaged_derived_file_is_named_and_made_again(folder, name, caplog):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        right = rounded(answers(gallery))
    (derived,) = derived_folders(folder)
    flip(derived / name, (derived / name).stat().st_size // 2)
    with FaissGallery.open(folder) as gallery:
        assert rounded(answers(gallery)) == right
        gallery.settle()
        assert rounded(answers(gallery)) == right
        assert gallery.describe().serving_kind == "hnsw"
    assert str(derived / name) in caplog.text
    caplog.clear()
    FaissGallery.open(folder).close()
    assert caplog.text == ""


def test_derived_files_of_another_gallery_or_of_a_later_state_are_not_used(folder, tmp_path, caplog):
    fill(folder)
    early = shutil.copytree(folder, tmp_path / "early")
    with FaissGallery.open(folder) as gallery:
        gallery.upsert(items(NUM_ITEMS, label="second"))
        gallery.settle()
    other = tmp_path / "other"
    with new_gallery(other, "hnsw") as gallery:
        gallery.upsert(items(20, label="other"))
        right = rounded(answers(gallery))
    for target, number in ((early, 1), (other, NUM_ITEMS)):
        (derived,) = derived_folders(folder)
        shutil.copytree(derived, target / derived.name)
        with FaissGallery.open(target) as gallery:
            assert {n.label for found in answers(gallery) for n in found} == {"first" if number == 1 else "other"}
        assert "from another gallery, or from a later state" in caplog.text
        caplog.clear()
    with FaissGallery.open(other) as gallery:
        assert rounded(answers(gallery)) == right


def test_older_derived_files_are_not_used_when_what_was_removed_since_is_forgotten(folder, tmp_path, caplog):
    """This is the state after a crash between two steps of the background work, and damage to the newer files."""
    fill(folder)
    (older,) = derived_folders(folder)
    shutil.copytree(older, tmp_path / older.name)
    with FaissGallery.open(folder) as gallery:
        gallery.delete([f"clip-{n}" for n in range(50)])
        gallery.upsert(items(10_000, first=2000, label="new"))
        gallery.settle()
        right = rounded(answers(gallery))
    (newer,) = derived_folders(folder)
    assert newer != older
    shutil.copytree(tmp_path / older.name, older)
    flip(newer / "manifest.json", 20)
    with FaissGallery.open(folder) as gallery:
        assert rounded(answers(gallery)) == right
        gallery.settle()
        assert rounded(answers(gallery)) == right
    assert str(older) in caplog.text


def test_a_wrong_number_among_the_removed_items_hides_no_other_item(folder):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        gallery.delete(["clip-7"])
        right = rounded(answers(gallery))
    with sqlite3.connect(folder / "gallery.sqlite") as database:
        assert database.execute("UPDATE removed SET seq = seq + 1").rowcount == 1
    database.close()
    with FaissGallery.open(folder) as gallery:
        assert rounded(answers(gallery)) == right


def test_damage_to_the_index_of_ids_is_named(folder):
    with new_gallery(folder) as gallery:
        gallery.upsert(items(20))
    database = folder / "gallery.sqlite"
    content = database.read_bytes()
    places = [place for place in range(len(content)) if content[place : place + 7] == b"clip-13"]
    (in_index,) = (place for place in places if content[place + 7 : place + 12] != b"first")
    flip(database, in_index + 6)
    with pytest.raises(GalleryError, match=r"is damaged: .*gfp gallery repair"):
        FaissGallery.open(folder)


def test_damage_done_meanwhile_is_not_written_into_the_next_derived_files(folder, caplog):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        (derived,) = derived_folders(folder)
        texts = derived / "texts.utf8"
        flip(texts, texts.read_bytes().index(b"first"))
        gallery.upsert(items(9000, first=2000, label="new"))
        gallery.settle()
        assert gallery.search(vectors(1), top_k=1)[0][0].label == "first"
    assert str(texts) in caplog.text
    with FaissGallery.open(folder) as gallery:
        assert gallery.search(vectors(1), top_k=1)[0][0].label == "first"


@pytest.mark.parametrize(
    ("index_kind", "name"),
    [
        *(("hnsw", name) for name in ("seqs.i64", "texts.utf8", "ends.i64", "index.faiss")),
        ("ivf_sq8", "index.faiss"),
        ("ivf_sq8", "vectors.f32"),
        ("exact", "vectors.f32"),
    ],
)
def test_no_damaged_byte_of_any_derived_file_is_written_into_the_next_ones(
    folder, index_kind, name, caplog, monkeypatch
):
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 500)
    with new_gallery(folder, index_kind) as gallery:
        gallery.upsert(items(NUM_ITEMS))
        gallery.settle()
        (derived,) = derived_folders(folder)
        flip(derived / name, (derived / name).stat().st_size // 2)
        gallery.upsert(items(700, first=NUM_ITEMS, label="new"))
        gallery.settle()
        right = rounded(answers(gallery))
    assert f"{derived / name} is damaged" in caplog.text
    assert not derived.exists()
    caplog.clear()
    for made_again in derived_folders(folder):
        shutil.rmtree(made_again)
    with FaissGallery.open(folder) as gallery:
        assert rounded(answers(gallery)) == right  # as the items say
    assert caplog.text == ""


def test_damage_is_not_picked_up_when_removed_items_are_dropped_from_memory(folder, caplog):
    fill(folder, "ivf_sq8")
    with FaissGallery.open(folder) as gallery:
        (derived,) = derived_folders(folder)
        flip(derived / "vectors.f32", SIZE * 4 * 1099)
        gallery.upsert(items(2000, first=2000))
        gallery.delete([f"clip-{n}" for n in range(1099)])
        gallery.settle()
        assert gallery._settler.view.num_rows == 2001
        assert gallery.search(vectors(NUM_ITEMS)[1099:], top_k=1)[0][0].similarity == pytest.approx(1, abs=1e-6)
    assert f"{derived / 'vectors.f32'} is damaged" in caplog.text


@pytest.mark.parametrize(
    ("index_kind", "expected"), [("exact", []), ("hnsw", ["index.faiss"]), ("ivf_sq8", ["index.faiss"])]
)
def test_settling_reads_no_derived_file_again_but_the_index_that_it_extends(folder, index_kind, expected, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 500)
    read: list[Path] = []

    def read_again(file: Path) -> int:
        read.append(file)
        return zlib.crc32(file.read_bytes())

    with new_gallery(folder, index_kind) as gallery:
        gallery.upsert(items(NUM_ITEMS))
        gallery.settle()
        (before,) = derived_folders(folder)
        monkeypatch.setattr("gfp_serve.gallery.embedded.derived_check._crc32_of", read_again)
        gallery.upsert(items(700, first=NUM_ITEMS))
        gallery.settle()
        (after,) = derived_folders(folder)
    assert after != before
    assert read == [before / name for name in expected]


def test_derived_files_that_faiss_does_not_read_are_made_again(folder, monkeypatch):
    def of_another_release(*_: object) -> None:
        raise RuntimeError("Index type 0x0 not recognized")

    fill(folder)
    with monkeypatch.context() as patch:
        patch.setattr("gfp_serve.gallery.embedded.hnsw.HnswIndex.read", of_another_release)
        FaissGallery.open(folder).close()
    with FaissGallery.open(folder) as gallery:
        gallery.settle()
        assert gallery.search(vectors(1), top_k=1)[0][0].id == "clip-0"


# --- a full disk ---


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of its own for the folder; skip the test if that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can only be mounted by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # files may still be mapped


def test_on_a_full_disk_writes_are_refused_and_reads_go_on_until_there_is_space(tmp_path):
    with small_disk(tmp_path / "disk", "2m"):
        ballast = tmp_path / "disk" / "ballast"
        with new_gallery(tmp_path / "disk" / "gallery") as gallery:
            gallery.upsert(items(100))
            ballast.write_bytes(bytes(1_200_000))
            right = answers(gallery)
            with pytest.raises(NotWritableError, match=r"as it was before; check the disk's free space"):
                gallery.upsert(items(10_000, first=100))
            assert answers(gallery) == right
            assert gallery.generation == 1
            ballast.unlink()
            gallery.upsert(items(1000, first=100))
            gallery.delete(["clip-0"])
        with FaissGallery.open(tmp_path / "disk" / "gallery") as gallery:
            assert len(gallery) == 1099


def test_a_checkpoint_that_finds_the_disk_full_loses_nothing(folder, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.embedded.item_store._LOG_PAGES", 20)
    with new_gallery(folder) as gallery:
        gallery.upsert(items(3000))
    database, log = folder / "gallery.sqlite", folder / "gallery.sqlite-wal"
    with FaissGallery.open(folder) as gallery:
        size = database.stat().st_size
        with file_size_limit(size):  # the log has room, the database has none
            for turn in range(8):
                gallery.upsert(items(20, first=10_000 + 20 * turn))
            assert log.stat().st_size > 2 * 20 * 4096
            right = answers(gallery)
            with pytest.raises(NotWritableError, match="check the disk's free space"):
                gallery.upsert(items(5000, first=20_000))
            assert answers(gallery) == right
        assert database.stat().st_size == size
    with FaissGallery.open(folder) as gallery:
        assert answers(gallery) == right
        assert len(gallery) == 3160
        gallery.upsert(items(100, first=50_000))
        assert database.stat().st_size > size


@pytest.mark.parametrize("index_kind", ["hnsw", "ivf_sq8"])
def test_a_disk_that_gets_full_with_any_derived_file_leaves_none_of_them(folder, index_kind, monkeypatch):
    fill(folder, index_kind)
    (derived,) = derived_folders(folder)
    # Cut off the last byte, which libraries write when they close the file; some of them ignore the error.
    limits = sorted({file.stat().st_size - 1 for file in derived.iterdir() if file.stat().st_size})
    shutil.rmtree(derived)
    for limit in [10, *limits]:
        with monkeypatch.context() as patch:
            patch.setattr("gfp_serve.gallery.embedded.settling.write_derived", on_full_disk(limit))
            with FaissGallery.open(folder) as gallery:
                with pytest.raises(GalleryError, match="index could not be made"):
                    gallery.settle()
                assert not derived_folders(folder), f"at {limit} bytes"
                assert not list(folder.glob(f"{UNFINISHED}*"))
                assert gallery.search(vectors(1), top_k=1)[0][0].id == "clip-0"
                gallery.upsert([Item("written", np.ones(SIZE, dtype=np.float32), str(limit))])
    with FaissGallery.open(folder) as gallery:
        gallery.settle()
        assert gallery.describe().serving_kind == index_kind
        assert gallery.get(["written"])[0].label == str(limits[-1])
        assert len(gallery) == NUM_ITEMS + 1


def on_full_disk(limit: int) -> Callable[..., object]:
    def write(*arguments: object, **named: object) -> object:
        with file_size_limit(limit):
            return write_derived(*arguments, **named)  # type: ignore[arg-type]

    return write


def test_work_that_failed_is_tried_again_by_itself(monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.embedded.background._TRY_AGAIN_S", 0.0)
    tries: list[str] = []
    was_told, done = threading.Event(), threading.Event()

    def work(_: object) -> None:
        tries.append("")
        if len(tries) == 1:
            raise OSError("no space left")
        assert was_told.wait(60)
        if len(tries) == 2:
            raise OSError("no space left")
        done.set()

    background = Background(work, lambda: not done.is_set())
    with pytest.raises(GalleryError, match="no space left"):
        background.wait(60)
    was_told.set()
    assert done.wait(60)
    background.stop()
    assert background.ended()
    background.wait(0)
    assert len(tries) == 3


def test_work_that_comes_while_the_last_ends_is_not_passed_over():
    waiting, done = ["first"], []
    has_looked, is_told = threading.Event(), threading.Event()

    class Told(threading.Condition):
        """Notices that another thread wants the lock."""

        def __enter__(self) -> bool:
            if has_looked.is_set():
                is_told.set()
            return super().__enter__()

    def has_work() -> bool:
        found = bool(waiting)
        if not found and not has_looked.is_set():
            has_looked.set()
            assert is_told.wait(60)  # of the second piece of work, while the thread ends
        return found

    background = Background(lambda _: done.append(waiting.pop()), has_work)
    background._changed = Told()
    background.start_if_needed()
    assert has_looked.wait(60)
    waiting.append("second")
    background.start_if_needed()
    background.wait(60)
    background.stop()
    assert background.ended()
    assert done == ["first", "second"]


# --- a folder that cannot be written ---


@pytest.fixture(params=["simulated", "mounted"])
def read_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Make a folder read-only. chmod would not stop root."""
    mounted: list[Path] = []

    def make(folder: Path) -> None:
        if request.param == "simulated":
            monkeypatch.setattr("os.access", lambda *_: False)
        elif subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
            pytest.skip("a folder can only be mounted by root")
        else:
            mounted.append(folder)
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)  # files may still be mapped


@pytest.mark.parametrize("has_derived", [True, False])
def test_a_gallery_that_cannot_be_written_answers_and_refuses_writes(folder, read_only, has_derived, monkeypatch):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        right = rounded(answers(gallery))
    if not has_derived:
        shutil.rmtree(derived_folders(folder)[0])
    before = sorted(file.name for file in folder.iterdir())
    read_only(folder)
    monkeypatch.setattr("gfp_serve.gallery.embedded.settling._NEW_ROWS", 500)  # so that derived files would be written
    with FaissGallery.open(folder) as gallery:
        gallery.settle(60)
        assert gallery.describe().serving_kind == "hnsw"
        assert rounded(answers(gallery)) == right
        assert gallery.get(["clip-3"])[0].label == "first"
        assert sum(1 for _ in gallery.items()) == NUM_ITEMS
        for write in (lambda: gallery.upsert(items(1)), lambda: gallery.delete(["clip-0"])):
            with pytest.raises(NotWritableError, match="make the folder writable, then start again"):
                write()
        assert rounded(answers(gallery)) == right
    assert sorted(file.name for file in folder.iterdir()) == before


async def test_over_the_wire_a_gallery_that_cannot_be_written_answers_and_says_failed_precondition(tmp_path, read_only):
    item = gallery_pb2.Item(id="a", embedding={"values": np.eye(TINY_SIZE, dtype=np.float32)[0].tobytes()})
    item.embedding.size = TINY_SIZE
    query = gallery_pb2.Query(embedding=item.embedding)
    async with running(tmp_path) as server, channel_to(server) as channel:
        await gallery_pb2_grpc.GalleryServiceStub(channel).Upsert(gallery_pb2.UpsertRequest(items=[item]))
    read_only(tmp_path / "galleries")
    async with running(tmp_path) as server, channel_to(server) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        for call in (
            stub.Upsert(gallery_pb2.UpsertRequest(items=[item])),
            stub.Delete(gallery_pb2.DeleteRequest(ids=["a"])),
        ):
            message, _ = await refused(call, CODE.FAILED_PRECONDITION, "NOT_WRITABLE")
            assert "make the folder writable" in message
        found = await stub.Search(gallery_pb2.SearchRequest(queries=[query], top_k=1))
        assert found.results[0].neighbours[0].id == "a"


# --- one process, few syncs ---


def test_a_second_process_is_refused_the_folder(folder):
    open_it = (
        "import sys; from pathlib import Path; from gfp_serve.gallery.embedded.gallery import FaissGallery\n"
        "FaissGallery.open(Path(sys.argv[1]))"
    )
    with new_gallery(folder) as gallery:
        second = subprocess.run([sys.executable, "-c", open_it, folder], capture_output=True, text=True)
        assert second.returncode == 1
        assert "is open already" in second.stderr
        gallery.upsert(items(1))
    assert subprocess.run([sys.executable, "-c", open_it, folder]).returncode == 0


def test_many_that_write_at_once_share_few_syncs(folder, monkeypatch):
    syncs, all_wait = [], threading.Event()
    transaction = ItemStore.transaction

    @contextmanager
    def slow(store: ItemStore) -> Iterator[Change]:
        with transaction(store) as change:
            yield change
            assert all_wait.wait(60)  # as if the disk were slower than the writers
        syncs.append(change)

    monkeypatch.setattr(ItemStore, "transaction", slow)
    with new_gallery(folder) as gallery:
        waiting = [gallery.upsert_soon([item]) for item in items(64)]
        all_wait.set()
        assert [each.result() for each in waiting] == list(range(1, 65))
        assert len(gallery) == 64
    assert len(syncs) == 2  # one for the first upserts, and one for all that came meanwhile
