"""Looking after a gallery's folder: what check finds, what repair keeps, and what a snapshot gives back."""

import errno
import fcntl
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli.ask import gfp
from gfp_serve.errors import ClosedError, GalleryError
from gfp_serve.gallery.care.backup import create_snapshot, verify_snapshot
from gfp_serve.gallery.care.repair import check_gallery, repair_gallery
from gfp_serve.gallery.care.sqlite_salvage import Pages
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.items import Item, Source

DIGEST = "5e" * 32
SIZE = 24
GOLDEN = Path(__file__).parents[3] / "golden"


def drawn(num_items: int, start: int = 0, embedding_size: int = SIZE) -> list[Item]:
    vectors = np.random.default_rng(start).standard_normal((num_items, embedding_size)).astype(np.float32)
    return [
        Item(
            f"Aufnahme {n} – 動作",
            vector,
            f"label-{n % 5}",
            {"take": n, "tags": ["a", "b"]},
            Source("one.npz", n, n + 1),
        )
        for n, vector in enumerate(vectors, start)
    ]


def fill(folder: Path, num_items: int = 60, embedding_size: int = SIZE) -> None:
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=embedding_size) as gallery:
        gallery.upsert(drawn(num_items, embedding_size=embedding_size))
        gallery.upsert(drawn(num_items // 4, embedding_size=embedding_size))  # these come last now
        gallery.delete([item.id for item in drawn(num_items // 10, num_items // 2, embedding_size)])


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    with FaissGallery.open(folder) as gallery:
        return {i.id: (i.label, i.attributes, i.source, i.vector.tobytes()) for i in gallery.items()}


def rows_in(folder: Path) -> list[tuple[object, ...]]:
    with closing(ItemStore.open_for_reading(folder)) as store:
        return [tuple(row[:6]) for chunk in store.rows() for row in chunk]


def overwrite(file: Path, place: int, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


@pytest.mark.parametrize("embedding_size", [2, SIZE, 256, 1024, 3000])
def test_pages_hold_the_same_rows_as_sqlite_says(folder, embedding_size):
    fill(folder, 40, embedding_size)
    with closing(Pages(folder / "gallery.sqlite")) as pages:
        found = {
            record.rowid: record.values[1:5]
            for record in pages.records()
            if record.rowid is not None and len(record.values) == 7
        }
        known = {tuple(record.values) for record in pages.records() if record.rowid is None}
    assert found == {seq: [id, label, attributes, vector] for seq, id, label, attributes, _, vector in rows_in(folder)}
    assert known == {(id, seq) for seq, id, *_ in rows_in(folder)}


def test_pages_that_are_still_in_the_log_take_the_place_of_those_in_the_file(folder):
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert(drawn(60))
        crashed = shutil.copytree(folder, folder.with_name("crashed"))
    with closing(Pages(crashed / "gallery.sqlite")) as pages:
        found = sorted(record.values[1] for record in pages.records() if len(record.values) == 7)
    assert found == sorted(item.id for item in drawn(60))


def test_no_sound_item_is_lost_wherever_a_byte_is_wrong(folder, tmp_path):
    fill(folder)
    before = rows_in(folder)
    database = folder / "gallery.sqlite"
    sound = database.read_bytes()
    place_of = {row[1]: _place_of(sound, row) for row in before}
    damaged = tmp_path / "damaged"
    rng = np.random.default_rng(0)
    used = [place for place, byte in enumerate(sound) if byte]
    num_damaged = num_lost = 0
    for place in [*range(0, 100, 3), *rng.choice(used, 66, replace=False)]:
        shutil.rmtree(damaged, ignore_errors=True)
        damaged.mkdir()
        wrong = bytearray(sound)
        wrong[place] ^= int(rng.integers(1, 256))
        (damaged / "gallery.sqlite").write_bytes(wrong)

        repair = repair_gallery(damaged, encoder_digest=DIGEST)

        after = rows_in(damaged)
        assert set(after) <= set(before), f"byte {place}"
        kept = {row[1] for row in after}
        untouched = {id for id, (begin, end) in place_of.items() if not begin <= place < end}
        assert untouched <= kept, f"byte {place}: {untouched - kept}"
        assert set(place_of) - kept == set(repair.findings.lost), f"byte {place}"
        num_damaged += repair.kept is not None
        num_lost += len(repair.findings.lost)
    assert num_damaged > 50
    assert 10 < num_lost < num_damaged


def _place_of(content: bytes, row: tuple[object, ...]) -> tuple[int, int]:
    """The place of an item's bytes: size, number, header, then its values. The source is the last value."""
    _, id, label, attributes, source, vector = row
    values = f"{id}{label}{attributes}".encode() + vector
    begin = content.index(values)
    assert content.count(values) == 1
    return begin - 16, begin + len(values) + 8 + len(str(source))


@pytest.mark.parametrize("embedding_size", [SIZE, 1500])
def test_pages_that_cannot_be_read_cost_only_the_items_that_were_in_them(folder, embedding_size):
    fill(folder, 60, embedding_size)
    before = rows_in(folder)
    database = folder / "gallery.sqlite"
    rng = np.random.default_rng(1)
    num_pages = database.stat().st_size // 4096
    for page in (0, *rng.choice(num_pages, 3, replace=False)):
        overwrite(database, int(page) * 4096, bytes(4096))

    repair = repair_gallery(folder, encoder_digest=DIGEST)

    after = rows_in(folder)
    assert set(after) <= set(before)
    assert len(after) == repair.findings.num_items >= len(before) * (num_pages - 4) // num_pages - 10
    with FaissGallery.open(folder) as gallery:
        assert [item.id for item in gallery.items()] == [row[1] for row in after]
        gallery.upsert(drawn(1, 1000, embedding_size))
        assert len(gallery) == len(after) + 1


def test_a_database_that_was_cut_off_keeps_the_items_before_the_cut(folder):
    fill(folder, 200)
    before = rows_in(folder)
    database = folder / "gallery.sqlite"
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])
    repair = repair_gallery(folder, encoder_digest=DIGEST)
    after = rows_in(folder)
    assert 60 < len(after) < len(before)
    assert set(after) <= set(before)
    assert repair.findings.num_items == len(after)
    assert repair.findings.num_lost >= len(repair.findings.lost) > 0


def test_repair_tells_a_sound_gallery_and_leaves_it_as_it_was(folder):
    fill(folder)
    before = (folder / "gallery.sqlite").read_bytes()
    repair = repair_gallery(folder)
    assert repair.findings.is_sound
    assert repair.kept is None
    assert (folder / "gallery.sqlite").read_bytes() == before


def test_repair_does_not_bring_back_what_was_deleted(folder):
    fill(folder, 300)
    with closing(sqlite3.connect(folder / "gallery.sqlite", isolation_level=None)) as database:
        # As with other builds of SQLite: deleted rows stay in the file until their space is needed.
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("BEGIN")
        database.execute("DELETE FROM items WHERE seq % 50 < 40")
        database.execute("COMMIT")
    kept = rows_in(folder)
    assert (folder / "gallery.sqlite").read_bytes().count(b"Aufnahme") > 2 * len(kept) + 100
    repair = repair_gallery(folder)  # the number of items is wrong
    assert repair.findings.problems
    assert rows_in(folder) == kept


def test_a_repaired_gallery_keeps_the_damaged_database_beside_it(folder):
    fill(folder)
    for expected in ("gallery.sqlite.damaged-1", "gallery.sqlite.damaged-2"):
        (*_, last) = rows_in(folder)
        with closing(sqlite3.connect(folder / "gallery.sqlite")) as database, database:
            database.execute("UPDATE items SET label = 'other' WHERE id = ?", (last[1],))
        damaged = (folder / "gallery.sqlite").read_bytes()
        repair = repair_gallery(folder)
        assert repair.findings.lost == (last[1],)
        assert repair.kept == folder / expected
        assert repair.kept.read_bytes() == damaged
        assert last[1] not in contents(folder)


def test_the_row_that_says_what_a_gallery_is_can_be_made_again_but_not_guessed(folder):
    fill(folder)
    before = contents(folder)
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as database, database:
        database.execute("UPDATE gallery SET encoder_digest = 'beef'")
    damaged = (folder / "gallery.sqlite").read_bytes()
    with pytest.raises(GalleryError, match="--encoder-digest"):
        repair_gallery(folder)
    assert (folder / "gallery.sqlite").read_bytes() == damaged
    assert {file.name for file in folder.iterdir()} <= {"gallery.sqlite", "gallery.lock"}

    repair = repair_gallery(folder, encoder_digest=DIGEST)

    assert (repair.findings.state, repair.findings.lost) == (None, ())
    assert contents(folder) == before
    with FaissGallery.open(folder) as gallery:
        assert (gallery.encoder_digest, gallery.embedding_size) == (DIGEST, SIZE)


def test_damaged_derived_files_are_named_and_removed_and_the_items_stay(tmp_path):
    folder = shutil.copytree(GOLDEN / "gallery-format-2-derived-2-hnsw", tmp_path / "gallery")
    before = contents(folder)
    overwrite(folder / "derived.1" / "texts.utf8", 5, b"!")
    findings = check_gallery(folder)
    ((derived, why),) = findings.damaged_derived
    assert (derived.name, findings.problems, findings.num_items) == ("derived.1", (), 1004)
    assert "texts.utf8 is damaged" in why
    assert repair_gallery(folder).kept is None
    assert not derived.exists()
    assert check_gallery(folder).is_sound
    assert contents(folder) == before


def test_what_was_in_the_log_when_the_server_died_is_kept_too(folder):
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        for start in (0, 30, 60):
            gallery.upsert(drawn(30, start))
        crashed = shutil.copytree(folder, folder.with_name("crashed"))
        whole = shutil.copytree(folder, folder.with_name("whole"))
    log = crashed / "gallery.sqlite-wal"
    damaged_id = drawn(30)[7].id
    overwrite(log, log.read_bytes().index(damaged_id.encode()), b"?")

    repair = repair_gallery(crashed)

    assert check_gallery(whole).num_items == 90
    assert "the log of its last writes" in repair.findings.problems[0]
    assert {"Aufnahme 89 – 動作"} <= set(contents(crashed)) <= set(contents(whole))
    assert repair.kept is not None
    assert Path(f"{repair.kept}-wal").stat().st_size > 10_000


def test_a_log_whose_last_write_was_broken_off_is_not_damaged(folder):
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert(drawn(30))
        size = (folder / "gallery.sqlite-wal").stat().st_size
        gallery.upsert(drawn(30, 30))
        crashed = shutil.copytree(folder, folder.with_name("crashed"))
    overwrite(crashed / "gallery.sqlite-wal", size + 500, b"?")
    findings = check_gallery(crashed)
    assert (findings.is_sound, findings.num_items) == (True, 30)


def golden(n: int) -> Item:
    """Item n, as golden/README.md describes it."""
    if n == 2:
        return Item("動作/Übung 2", np.array([0, 0, 0, 1], dtype=np.float32), "ersetzt", {"take": -1})
    angle = 2 * np.pi * n / 12
    vector = np.array([np.cos(angle), np.sin(angle), n % 3 / 4, 1])
    attributes = [{}, {"who": "Zoë"}, {}, {"left": True}, {"tags": ["a", "ä"]}, {}][n % 6]
    if n == 8:
        attributes = {"take": 3.5}
    if n == 11:
        attributes = {"take": 7, "left": False, "who": ""}
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Item(f"動作/Übung {n}", vector, ["", "gehen", "歩く"][n % 3], attributes)


@pytest.mark.parametrize("release", ["gallery-format-1.sqlite", "gallery-format-2"])
def test_a_gallery_of_an_earlier_release_answers_as_it_did(tmp_path, release):
    folder = tmp_path / "gallery"
    if (GOLDEN / release).is_dir():
        shutil.copytree(GOLDEN / release, folder)
    else:
        folder.mkdir()
        shutil.copy(GOLDEN / release, folder / "gallery.sqlite")
    with FaissGallery.open(folder) as gallery:
        assert gallery._settler._derived is None  # derived files of the first format are made again
        assert (gallery.generation, len(gallery), gallery.encoder_digest) == (14, 11, DIGEST)
        items = list(gallery.items())
        for item, n in zip(items, [0, 1, 3, 4, 6, 7, 8, 9, 10, 11, 2], strict=True):
            expected = golden(n)
            assert (item.id, item.label, item.attributes) == (expected.id, expected.label, expected.attributes)
            np.testing.assert_allclose(item.vector, expected.vector, atol=1e-7)
            sourced = release == "gallery-format-2" and n % 2
            assert item.source == (Source("Aufnahme ä.npz", n / 2, n / 2 + 1) if sourced else None)
        (found,) = gallery.search(golden(3).vector[None], top_k=3)
        assert [each.id for each in found] == ["動作/Übung 3", "動作/Übung 4", "動作/Übung 1"]
        assert [each.similarity for each in found] == pytest.approx(
            [float(golden(3).vector @ golden(n).vector) for n in (3, 4, 1)], abs=1e-6
        )
        assert gallery.label_counts() == {"gehen": 4, "歩く": 2, "ersetzt": 1}
        gallery.upsert([golden(5)])
        assert len(gallery) == 12
    assert check_gallery(folder).is_sound


def test_galleries_of_format_1_are_repaired_with_all_that_is_sound(tmp_path):
    shutil.copy(GOLDEN / "gallery-format-1.sqlite", tmp_path / "gallery.sqlite")
    content = (tmp_path / "gallery.sqlite").read_bytes()
    overwrite(tmp_path / "gallery.sqlite", content.index("動作/Übung 7".encode()), b"?")
    overwrite(tmp_path / "gallery.sqlite", 0, bytes(100))
    repair = repair_gallery(tmp_path)
    assert (repair.findings.num_items, repair.findings.lost) == (10, ("動作/Übung 7",))
    assert len(contents(tmp_path)) == 10


def run(*words: object, code: int = 0) -> str:
    result: Result = CliRunner().invoke(gfp, ["gallery", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def galleries_at(root: Path) -> FolderGalleries:
    return FolderGalleries(root, encoder_digest=DIGEST, embedding_size=SIZE)


def test_check_and_repair_say_what_is_sound_what_is_lost_and_what_to_do(tmp_path):
    root = tmp_path / "root"
    galleries = galleries_at(root)
    galleries.create("people").upsert(drawn(3))
    assert "is open already" in run("check", root, "--gallery", "people", code=2)
    galleries.close()
    assert run("check", root, "--gallery", "people") == (
        "The gallery people is sound: 3 items, each as it was written.\n"
    )
    with closing(sqlite3.connect(root / "people" / "gallery.sqlite")) as database, database:
        database.execute("UPDATE items SET label = 'other' WHERE seq = 2")
    said = run("check", root, "--gallery", "people", code=1)
    assert "Item 'Aufnahme 1 – 動作' is lost.\n2 items are sound; `gfp gallery repair` keeps them.\n" in said
    said = json.loads(run("check", root, "--gallery", "people", "--json", code=1))
    assert (said["sound"], said["items"], said["lost_ids"]) == (False, 2, ["Aufnahme 1 – 動作"])
    said = run("repair", root, "--gallery", "people")
    assert "The gallery people now has 2 items, all of them sound.\n" in said
    assert f"kept as {root / 'people' / 'gallery.sqlite.damaged-1'}" in said
    assert "2 items" in run("check", root, "--gallery", "people")
    assert "has no gallery 'other'" in run("check", root, "--gallery", "other", code=2)


def test_a_restored_gallery_answers_as_the_one_did_whose_snapshot_was_taken_while_it_was_open(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    queries = np.stack([item.vector for item in drawn(5, 500)])
    galleries = galleries_at(root)
    people = galleries.create("people")
    people.upsert(drawn(60))
    people.delete([drawn(1)[0].id])
    before = list(people.search(queries, top_k=20))
    file = root / "_snapshots" / "people" / "monday.sqlite"
    assert run("snapshot", "create", root, "monday", "--gallery", "people") == (
        f"{file} has the 59 items of the gallery people, generation 2.\n"
    )
    people.upsert(drawn(60, 500))
    assert run("snapshot", "verify", file) == f"{file} is sound: 59 items, generation 2.\n"
    galleries.close()
    galleries_at(root).close()  # snapshots are not galleries

    run("snapshot", "restore", file, other, "--gallery", "people")

    restored = galleries_at(other)
    assert list(restored["people"].search(queries, top_k=20)) == before
    restored.close()
    assert {path.stat().st_mode & 0o777 for path in (file, other / "people" / "gallery.sqlite")} == {0o600}
    (listed,) = run("snapshot", "list", root, "--json").splitlines()
    assert (json.loads(listed)["gallery"], json.loads(listed)["items"]) == ("people", 59)
    assert "monday" in run("snapshot", "list", root)


def test_a_snapshot_is_not_taken_twice_nor_of_a_damaged_gallery_nor_outside_its_place(tmp_path):
    fill(tmp_path / "default")
    run("snapshot", "create", tmp_path, "one")
    assert "exists already" in run("snapshot", "create", tmp_path, "one", code=1)
    for name in ("../../x", "a/b", "..", ".hidden", "x" * 101):
        assert "is not a valid snapshot name" in run("snapshot", "create", tmp_path, name, code=1)
    assert "is not a valid gallery name" in run("snapshot", "create", tmp_path, "x", "--gallery", "../default", code=1)
    assert "either a NAME" in run("snapshot", "create", tmp_path, code=2)
    with closing(sqlite3.connect(tmp_path / "default" / "gallery.sqlite")) as database, database:
        database.execute("UPDATE items SET label = 'other' WHERE seq = 20")
    said = run("snapshot", "create", tmp_path, "--out", tmp_path / "elsewhere" / "two.sqlite", code=1)
    assert "is damaged, so no snapshot was made" in said
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_two_snapshots_of_one_name_at_once_do_not_replace_each_other(tmp_path, monkeypatch):
    fill(tmp_path / "default")
    file = tmp_path / "monday.sqlite"
    copy, num_items = ItemStore.copy_to, list[int]()

    def copy_while_another_does_it_all(store: ItemStore, unfinished: Path) -> None:
        copy(store, unfinished)
        monkeypatch.undo()
        with FaissGallery.open(tmp_path / "default") as gallery:
            gallery.upsert(drawn(1, start=500))
            num_items.append(len(gallery))
        create_snapshot(tmp_path / "default", file)

    monkeypatch.setattr(ItemStore, "copy_to", copy_while_another_does_it_all)
    with pytest.raises(GalleryError, match="exists already"):
        create_snapshot(tmp_path / "default", file)
    assert [verify_snapshot(file).num_items] == num_items


def test_check_tells_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fill(tmp_path / "default")
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert "its file system cannot lock it" in run("check", tmp_path, code=2)


def test_a_damaged_snapshot_is_refused_by_name_and_nothing_is_restored(tmp_path):
    fill(tmp_path / "default")
    file = tmp_path / "one.sqlite"
    run("snapshot", "create", tmp_path, "--out", file)
    sound = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(sound), 20, replace=False):
        wrong = bytearray(sound)
        wrong[place] ^= 0xFF
        file.write_bytes(wrong)
        assert f"{file} is damaged" in run("snapshot", "restore", file, tmp_path / "new", code=1)
    assert not (tmp_path / "new").exists()
    file.write_bytes(sound)
    assert "is not empty" in run("snapshot", "restore", file, tmp_path, code=1)
    (tmp_path / "one.sqlite.sha256").unlink()
    assert "copy both files" in run("snapshot", "verify", file, code=1)
    assert "there is no snapshot" in run("snapshot", "verify", tmp_path / "none", code=1)


def test_sqlite_stops_a_long_copy_and_a_long_check_when_it_is_told_to(tmp_path):
    fill(tmp_path / "default", num_items=3000)
    num_questions = 0

    def should_stop():
        nonlocal num_questions
        num_questions += 1
        return True

    with pytest.raises(ClosedError, match="was stopped before its end"):
        create_snapshot(tmp_path / "default", tmp_path / "one.sqlite", should_stop=should_stop)
    assert num_questions > 1, "SQLite asked, not only we"
    assert [path.name for path in tmp_path.iterdir()] == ["default"]
