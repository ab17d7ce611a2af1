"""What only a gallery in a folder does.

What survives crashes and damage, who may open it, what threads see meanwhile, and the order of equal neighbours.
"""

import errno
import fcntl
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.classify import nearest
from gfp_serve.errors import ClosedError, EncoderMismatchError, GalleryError, ItemNotFoundError
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item
from tests.support.full_disk import file_size_limit

DIGEST, OTHER_DIGEST = "5e" * 32, "0b" * 32


def new_gallery(folder: Path, embedding_size: int = 2) -> FaissGallery:
    return FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=embedding_size)


def on_circle(number: int, of: int = 8) -> np.ndarray:
    angle = 2 * np.pi * number / of
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def fill(folder: Path, num_items: int = 8) -> None:
    with new_gallery(folder) as gallery:
        gallery.upsert([Item(f"clip-{n}", on_circle(n, num_items), f"label-{n}") for n in range(num_items)])


def answers(gallery: FaissGallery) -> list[object]:
    return [gallery.generation, len(gallery), *gallery.search(np.stack([on_circle(0), on_circle(3)]), top_k=100)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


def test_a_gallery_knows_what_it_is_when_it_is_opened(folder):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        assert (gallery.encoder_digest, gallery.embedding_size) == (DIGEST, 2)


def test_of_equally_near_items_the_first_is_the_nearest_as_in_the_trainers_evaluation(folder):
    # Their unit vectors need no rounding, so equal cosines are exactly equal.
    axes = np.float32([(1, 0), (3, 0), (-1, 0), (0, 1), (0, -2)])
    stored = np.random.default_rng(0).choice(axes, 300)
    with new_gallery(folder) as gallery:
        gallery.upsert([Item(str(row), vector) for row, vector in enumerate(stored)])
        for asked in (axes[:1], axes, stored):
            indices, _ = nearest(asked, stored, top_k=1)
            assert [int(found.id) for (found,) in gallery.search(asked, top_k=1)] == indices[:, 0].tolist()


def test_numbers_of_deleted_items_are_not_used_again_after_reopening(folder):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        gallery.delete(["clip-7"])
    with FaissGallery.open(folder) as gallery:
        gallery.upsert([Item("new", on_circle(0))])
    with sqlite3.connect(folder / "gallery.sqlite") as database:
        assert [seq for (seq,) in database.execute("SELECT seq FROM items ORDER BY seq")] == [1, 2, 3, 4, 5, 6, 7, 9]
    database.close()


def test_only_the_owner_can_read_a_new_gallery(folder):
    with new_gallery(folder) as gallery:
        gallery.upsert([Item("a", on_circle(0))])
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_open_or_create_makes_a_gallery_once_and_opens_it_then(folder):
    for generation in range(3):
        with FaissGallery.open_or_create(folder, encoder_digest=DIGEST, embedding_size=2) as gallery:
            assert gallery.generation == generation
            gallery.upsert([Item("a", on_circle(generation))])


def test_a_gallery_of_another_encoder_is_refused_with_both_digests_and_the_folder(folder):
    fill(folder)
    with pytest.raises(EncoderMismatchError) as error:
        FaissGallery.open_or_create(folder, encoder_digest=OTHER_DIGEST, embedding_size=2)
    assert all(part in str(error.value) for part in (DIGEST[:12], OTHER_DIGEST[:12], str(folder)))
    FaissGallery.open(folder).close()  # the lock was released


def test_a_gallery_is_open_once_at_a_time(folder):
    with new_gallery(folder) as first:
        with pytest.raises(GalleryError, match="open already"):
            FaissGallery.open(folder)
        first.upsert([Item("a", on_circle(0))])
    FaissGallery.open(folder).close()


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    for attempt in (
        lambda: new_gallery(tmp_path),
        lambda: FaissGallery.open_or_create(tmp_path, encoder_digest=DIGEST, embedding_size=2),
    ):
        with pytest.raises(GalleryError, match=r"'holiday.jpg'"):
            attempt()
    with pytest.raises(GalleryError, match="not a gallery"):
        FaissGallery.open(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_gallery_is_not_made_over_another(folder):
    fill(folder)
    with pytest.raises(GalleryError, match="contains a gallery already"):
        new_gallery(folder)
    with FaissGallery.open(folder) as gallery:
        assert len(gallery) == 8


@pytest.mark.parametrize(
    "left",
    [
        [".gallery.sqlite.01234567.new"],
        ["gallery.sqlite.new", "gallery.sqlite.new-journal"],  # of earlier releases
    ],
)
@pytest.mark.parametrize("make", [FaissGallery.create, FaissGallery.open_or_create])
def test_what_a_crash_left_of_an_unfinished_gallery_is_no_obstacle(folder, left, make):
    folder.mkdir()
    for name in left:
        (folder / name).write_bytes(b"half a page")
    (folder / "gallery.lock").touch()
    make(folder, encoder_digest=DIGEST, embedding_size=2).close()
    assert {file.name for file in folder.iterdir()} == {"gallery.lock", "gallery.sqlite"}


def test_a_file_system_without_locks_is_told(folder, monkeypatch):
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(GalleryError, match=r"cannot be used \(its file system cannot lock it"):
        new_gallery(folder)


def test_a_file_in_the_place_of_the_folder_is_a_gallery_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GalleryError, match="cannot be used"):
        new_gallery(tmp_path / "file")


def test_another_database_is_not_a_gallery(folder):
    folder.mkdir()
    with sqlite3.connect(folder / "gallery.sqlite") as database:
        database.execute("CREATE TABLE photos (id)")
    database.close()
    with pytest.raises(GalleryError, match="not that of a gallery"):
        FaissGallery.open(folder)


def test_a_gallery_of_a_later_format_is_refused(folder):
    fill(folder)
    with sqlite3.connect(folder / "gallery.sqlite") as database:
        database.execute("PRAGMA user_version = 4")
    database.close()
    with pytest.raises(GalleryError, match="format 4; this release reads formats 1 to 3"):
        FaissGallery.open(folder)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE items SET vector = zeroblob(8) WHERE id = 'clip-3'", "'clip-3' is not as it was written"),
        ("UPDATE items SET label = 'label-4' WHERE id = 'clip-3'", "'clip-3' is not as it was written"),
        ("UPDATE items SET attributes = '{\"a\": 1}' WHERE id = 'clip-3'", "'clip-3' is not as it was written"),
        ("UPDATE items SET id = 'clip-x' WHERE id = 'clip-3'", "'clip-x' is not as it was written"),
        ("DELETE FROM items WHERE id = 'clip-3'", "should have 8 items but has 7"),
        ("UPDATE gallery SET encoder_digest = 'beef'", "says what it is was altered"),
        ("UPDATE gallery SET generation = 7", "says what it is was altered"),
        ("DELETE FROM gallery", "says what it is was altered"),
        ("DROP TABLE items", "it has no items"),
    ],
)
def test_whatever_else_altered_a_gallery_is_named(folder, statement, expected):
    fill(folder)
    with sqlite3.connect(folder / "gallery.sqlite") as database:
        database.execute(statement)
    database.close()
    with pytest.raises(GalleryError, match=expected):
        FaissGallery.open(folder)


def test_a_flipped_bit_of_a_vector_is_named(folder):
    fill(folder)
    database = folder / "gallery.sqlite"
    content = bytearray(database.read_bytes())
    content[content.index(on_circle(3).tobytes())] ^= 1
    database.write_bytes(content)
    with pytest.raises(GalleryError, match="'clip-3' is not as it was written"):
        FaissGallery.open(folder)


def test_no_flipped_byte_changes_an_answer(folder):
    fill(folder)
    with FaissGallery.open(folder) as gallery:
        right = answers(gallery)
    database = folder / "gallery.sqlite"
    sound = database.read_bytes()
    used = [place for place, byte in enumerate(sound) if byte]  # zeros are mostly free space
    refused = 0
    for place in np.random.default_rng(0).choice(used, 200, replace=False):
        for left_over in folder.glob("gallery.sqlite-*"):
            left_over.unlink()
        damaged = bytearray(sound)
        damaged[place] ^= 0xFF
        database.write_bytes(damaged)
        try:
            with FaissGallery.open(folder) as gallery:
                assert answers(gallery) == right, f"byte {place}"
        except GalleryError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_gallery_that_was_cut_off_is_refused(folder, share):
    fill(folder, num_items=500)
    database = folder / "gallery.sqlite"
    content = database.read_bytes()
    database.write_bytes(content[: int(share * len(content))])
    with pytest.raises(GalleryError):
        FaissGallery.open(folder)


def test_an_upsert_that_finds_the_disk_full_changes_nothing(folder):
    fill(folder)
    many = [Item(f"more-{n}", on_circle(n, 20_000), "more") for n in range(20_000)]
    with FaissGallery.open(folder) as gallery:
        before = answers(gallery)
        with file_size_limit(300_000), pytest.raises(GalleryError, match="is as it was before"):
            gallery.upsert(many)
        assert answers(gallery) == before
        gallery.upsert([Item("afterwards", on_circle(1))])
        assert len(gallery) == 9
    with FaissGallery.open(folder) as gallery:
        assert len(gallery) == 9


def test_when_memory_fails_after_the_disk_the_gallery_answers_no_more_until_reopened(folder, monkeypatch):
    def out_of_memory(*_: object) -> None:
        raise MemoryError

    fill(folder)
    gallery = FaissGallery.open(folder)
    with monkeypatch.context() as patch:
        patch.setattr("gfp_serve.gallery.embedded.rows.Rows.append", out_of_memory)
        with pytest.raises(MemoryError):
            gallery.upsert([Item("clip-3", on_circle(0), "moved")])
    with pytest.raises(ClosedError, match="open the gallery again"):
        gallery.search(on_circle(0)[None], top_k=1)
    assert gallery.describe().num_items == len(gallery)  # so a server can list and drop it
    gallery.close()
    with FaissGallery.open(folder) as gallery:
        assert gallery.get(["clip-3"])[0].label == "moved"


def test_items_are_those_of_the_moment_when_the_first_was_asked_for(folder):
    with new_gallery(folder) as gallery:
        gallery.upsert([Item(str(n), on_circle(n), "then") for n in range(5000)])
        items = gallery.items()
        seen = [next(items)]
        gallery.delete([str(n) for n in range(0, 4999, 2)])
        gallery.upsert([Item(name, on_circle(1), "now") for name in ("4999", "new")])
        seen += items
    assert [(item.id, item.label) for item in seen] == [(str(n), "then") for n in range(5000)]


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from gfp_serve.gallery.embedded.gallery import FaissGallery
from tests.support.full_disk import file_size_limit
from gfp_serve.items import Item
with FaissGallery.open_or_create(Path(sys.argv[1]), encoder_digest="5e" * 32, embedding_size=64) as gallery:
    for number in range(int(sys.argv[2]), 1_000_000):
        rows = np.random.default_rng(number).standard_normal((3, 64)).astype("f4")
        gallery.upsert([Item(f"{number}.{part}", row, str(number)) for part, row in enumerate(rows)])
        if number % 3 == 2:
            gallery.delete([f"{number - 1}.0"])
        print(number, flush=True)
"""


def test_what_was_acknowledged_is_there_after_kill_9_and_no_upsert_is_there_in_part(folder):
    acknowledged = -1
    for num_lines in (1, 4, 9):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder), str(acknowledged + 1)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout is not None
            for _ in range(num_lines):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
        with FaissGallery.open(folder) as gallery:
            for number in range(acknowledged):
                deleted = number % 3 == 1
                assert [_has(gallery, f"{number}.{part}") for part in range(3)] == [not deleted, True, True]
            # Upserts after the last answer may have reached the disk, but only as a whole.
            assert _has(gallery, f"{acknowledged + 1}.1") == _has(gallery, f"{acknowledged + 1}.2")
            query = np.random.default_rng(acknowledged).standard_normal((3, 64)).astype("f4")[2:]
            (found,) = gallery.search(query, top_k=1)[0]
            assert (found.id, found.similarity) == (f"{acknowledged}.2", pytest.approx(1))


def _has(gallery: FaissGallery, id: str) -> bool:
    try:
        return bool(gallery.get([id]))
    except ItemNotFoundError:
        return False


def test_searches_beside_writes_see_whole_upserts_and_no_finished_delete(folder):
    """Two writers each move a group of items together, add and delete; four searchers check what they see.

    All of them continue until each has had enough turns.
    """
    rng = np.random.default_rng(0)
    size, num_fixed = 32, 300
    fixed = rng.standard_normal((num_fixed, size)).astype(np.float32)
    groups = rng.standard_normal((2, 5, size)).astype(np.float32) * 0.01 + rng.standard_normal((2, 1, size)).astype(
        "f4"
    )
    deleted: set[str] = set()  # ids whose delete has returned; they are never used again
    failures: list[str] = []
    stop = threading.Event()
    turns = [0] * 6  # of each thread

    def guarded(work):
        def run(thread: int, number: int) -> None:
            try:
                while not stop.is_set():
                    work(number, turns[thread])
                    turns[thread] += 1
                    if min(turns) >= 20:
                        stop.set()
            except BaseException as error:
                failures.append(repr(error))
                stop.set()

        return run

    with new_gallery(folder, size) as gallery:
        gallery.upsert([Item(f"fixed-{n}", vector, f"label-{n}") for n, vector in enumerate(fixed)])

        @guarded
        def write(writer: int, turn: int) -> None:
            group = [Item(f"group-{writer}-{part}", v, str(turn)) for part, v in enumerate(groups[writer])]
            passing = [Item(f"passing-{writer}-{turn}-{n}", fixed[n] + 0.01, "passing") for n in range(20)]
            gallery.upsert(group + passing)
            gallery.delete([item.id for item in passing])
            deleted.update(item.id for item in passing)

        @guarded
        def search(searcher: int, turn: int) -> None:
            gone = set(deleted)
            rows = np.random.default_rng((searcher, turn)).integers(0, num_fixed, 4)
            found = gallery.search(np.concatenate([fixed[rows], groups[:, 0]]), top_k=7)
            for row, neighbours in zip(rows, found[:4], strict=True):
                assert (neighbours[0].id, neighbours[0].label) == (f"fixed-{row}", f"label-{row}")
                assert abs(neighbours[0].similarity - 1) < 1e-5
            for writer, neighbours in enumerate(found[4:]):
                labels = [n.label for n in neighbours if n.id.startswith(f"group-{writer}")]
                assert len(labels) in (0, 5), "a part of an upsert"
                assert len(set(labels)) <= 1, "parts of two upserts"
            for neighbours in found:
                assert len({n.id for n in neighbours}) == 7
                assert not gone & {n.id for n in neighbours}, "a finished delete"

        threads = [threading.Thread(target=write, args=(n, n)) for n in range(2)]
        threads += [threading.Thread(target=search, args=(2 + n, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(deleted) >= 20 * 20 * 2
        assert len(gallery) == num_fixed + 10
