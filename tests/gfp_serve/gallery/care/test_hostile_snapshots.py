"""Snapshots that a stranger made: their digests are right, and they are no galleries all the same."""

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.care.backup import create_snapshot, restore_snapshot, verify_snapshot
from gfp_serve.gallery.care.repair import check_gallery, repair_gallery
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.schema import INSERT_ITEM, GalleryState, ItemRow, read_state
from gfp_serve.items import Item, Source

DIGEST, SIZE = "5e" * 32, 4
UNIT = np.eye(1, SIZE, dtype=np.float32)[0]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Return the snapshot of a gallery with the items a and b."""
    with FaissGallery.create(tmp_path / "made", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([Item("a", UNIT, "x", {"n": 1}, Source("r", 0, 1)), Item("b", UNIT)])
    create_snapshot(tmp_path / "made", tmp_path / "taken.sqlite")
    return tmp_path / "taken.sqlite"


def changed(snapshot: Path, *statements: tuple[str, tuple[object, ...]] | str) -> Path:
    """Change a snapshot by SQL, and write the digest that belongs to the change."""
    with closing(sqlite3.connect(snapshot, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))
    signed(snapshot)
    return snapshot


def signed(snapshot: Path) -> None:
    digest = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    snapshot.with_name(f"{snapshot.name}.sha256").write_text(f"{digest}  {snapshot.name}\n")


ENDLESS = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END"], "the trigger 't'"),
        (["ALTER TABLE items RENAME TO i", "CREATE VIEW items AS SELECT * FROM i"], "the view 'items'"),
        (["ALTER TABLE items RENAME TO i", f"CREATE VIEW items AS {ENDLESS} SELECT i.* FROM i, r"], "the view 'items'"),
        (
            ["ALTER TABLE gallery RENAME TO g", f"CREATE VIEW gallery AS {ENDLESS} SELECT g.* FROM g, r"],
            "the view 'gallery'",
        ),
        (["ALTER TABLE items ADD COLUMN z INTEGER AS (abs(-9223372036854775808)) VIRTUAL"], "table 'items' is not"),
        (["CREATE TABLE junk(x)"], "the table 'junk'"),
        (["CREATE INDEX slow ON items (label)"], "the index 'slow'"),
        (["DROP TABLE removed"], "it has no removed"),
        (["DROP TABLE removed", "CREATE TABLE removed (seq PRIMARY KEY, generation)"], "removed"),
    ],
    ids=["trigger", "view", "endless view", "endless state", "column", "table", "index", "missing", "other rules"],
)
def test_a_snapshot_with_other_parts_than_a_gallery_is_refused_by_their_names(tmp_path, snapshot, statements, words):
    changed(snapshot, *statements)
    for refuse in (verify_snapshot, lambda file: restore_snapshot(file, tmp_path / "new")):
        with pytest.raises(GalleryError, match=f"is damaged, or not made by gfp-serve: .*{words}"):
            refuse(snapshot)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("rules", ["COLLATE NOCASE", "CHECK (length(id) < 9)"], ids=["collation", "check"])
def test_a_table_with_other_rules_is_refused(snapshot, rules):
    made = (
        f"CREATE TABLE items (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE {rules}, label TEXT NOT NULL, "
        "attributes TEXT NOT NULL, vector BLOB NOT NULL, crc32 INTEGER NOT NULL, "
        "source TEXT NOT NULL DEFAULT '') STRICT"
    )
    changed(snapshot, "ALTER TABLE items RENAME TO i", made, "INSERT INTO items SELECT * FROM i", "DROP TABLE i")
    with pytest.raises(GalleryError, match="its table 'items' is not made as a gallery's is"):
        verify_snapshot(snapshot)


def test_neither_a_server_nor_check_works_on_a_gallery_with_a_trigger_and_repair_keeps_its_items(tmp_path, snapshot):
    folder = restored(tmp_path, snapshot)
    changed(folder / "gallery.sqlite", "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END")
    with pytest.raises(GalleryError, match="the trigger 't'"):
        FaissGallery.open(folder)
    assert "the trigger 't'" in check_gallery(folder).problems[0]
    assert repair_gallery(folder).findings.num_items == 2
    with FaissGallery.open(folder) as gallery:
        gallery.upsert([Item("c", UNIT)])
        assert [item.id for item in gallery.items()] == ["a", "b", "c"]


def restored(tmp_path: Path, snapshot: Path) -> Path:
    restore_snapshot(snapshot, tmp_path / "restored")
    return tmp_path / "restored" / "default"


def test_a_log_beside_a_snapshot_is_not_read(tmp_path, snapshot):
    with closing(sqlite3.connect(snapshot, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        signed(snapshot)
        connection.execute("CREATE TABLE junk(x)")  # in the log alone
        assert verify_snapshot(snapshot).num_items == 2


VECTOR = UNIT.astype("<f4").tobytes()
ROW = ItemRow(3, "c", "y", "{}", "", VECTOR)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW._replace(source=json.dumps(["r", 5, 1])), "starts at 5 s and ends at 1 s"),
        (ROW._replace(source='["r", NaN, 1]'), "starts at nan s"),
        (ROW._replace(source='["r"'), "its source is damaged"),
        (ROW._replace(source="[1, 2, 3, 4, 5]"), "not a recording and two numbers"),
        (ROW._replace(source=json.dumps(["r" * 257, 0, 1])), "has 257 characters"),
        (ROW._replace(source='["\\ud800", 0, 1]'), "without lone surrogates"),
        (ROW._replace(attributes="{"), "its attributes are damaged"),
        (ROW._replace(attributes="[" * 100_000), "its attributes are damaged"),
        (ROW._replace(attributes='["a"]'), "not an object of JSON"),
        (ROW._replace(attributes='{"a": {"b": 1}}'), "attribute 'a'"),
        (ROW._replace(attributes='{"a": Infinity}'), "attribute 'a'"),
        (ROW._replace(label="x" * (2**20 + 1)), "an item has at most 1048576"),
        (ROW._replace(id="c" * 257), "has 257 characters"),
        (ROW._replace(vector=(3 * UNIT).astype("<f4").tobytes()), "has the length 3, and not 1"),
        (ROW._replace(vector=(np.nan * UNIT).astype("<f4").tobytes()), "has the length nan, and not 1"),
        (ROW._replace(seq=99), "the highest should be 3"),
    ],
)
def test_items_that_no_gallery_takes_are_not_restored(tmp_path, snapshot, row, words):
    state = state_in(snapshot)
    state = GalleryState(DIGEST, SIZE, num_items=3, last_seq=3, generation=2, uid=state.uid)
    changed(snapshot, (INSERT_ITEM, (*row[:6], row.crc32)), "DELETE FROM gallery", insertion_of(state))
    with pytest.raises(GalleryError, match=words):
        restore_snapshot(snapshot, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def insertion_of(state: GalleryState) -> tuple[str, tuple[str | int, ...]]:
    row = state.row()
    return f"INSERT INTO gallery VALUES ({', '.join('?' * len(row))})", row


def state_in(snapshot: Path) -> GalleryState:
    with closing(sqlite3.connect(snapshot)) as connection:
        state = read_state(connection.execute("SELECT * FROM gallery").fetchone())
    assert state is not None
    return state


@pytest.mark.parametrize(
    "state",
    [
        GalleryState(DIGEST, SIZE, "other", 1, 2, 2, "u"),
        GalleryState(DIGEST, SIZE, "auto", -1, 2, 2, "u"),
        GalleryState(DIGEST, SIZE, "auto", 1, 2, 1, "u"),
        GalleryState(DIGEST, SIZE, "auto", 2**63 - 1, 2, 2, "u"),
        GalleryState("x" * 257, SIZE, "auto", 1, 2, 2, "u"),
    ],
    ids=["kind", "generation", "numbers", "last change", "digest"],
)
def test_a_state_that_no_gallery_can_be_in_is_refused(snapshot, state):
    changed(snapshot, "DELETE FROM gallery", insertion_of(state))
    with pytest.raises(GalleryError, match="the row that says what it is was altered"):
        verify_snapshot(snapshot)


def test_pages_that_are_entered_again_and_again_do_not_fill_the_memory(tmp_path):
    folder = tmp_path / "g"
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=256) as gallery:
        vectors = np.random.default_rng(0).normal(size=(600, 256)).astype(np.float32)
        gallery.upsert([Item(f"i{number}", vector) for number, vector in enumerate(vectors)])
    enter_first_page_of_items_many_times(folder / "gallery.sqlite")
    with pytest.raises(GalleryError, match="it gives more items than it has room for"):
        FaissGallery.open(folder)


def enter_first_page_of_items_many_times(database: Path) -> None:
    """Let all entries of the items' root page point to a copy of it, whose entries point to the first of their pages.

    The format is described at https://www.sqlite.org/fileformat2.html#b_tree_pages.
    """
    with closing(sqlite3.connect(database)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'")
    content = bytearray(database.read_bytes())
    page = content[4096 * (root - 1) : 4096 * root]
    assert page[0] == 5, "the items have several pages"
    places = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n]) for n in range(int.from_bytes(page[3:5]))]
    first, copy = bytes(page[places[0] : places[0] + 4]), (len(content) // 4096 + 1).to_bytes(4)

    def pointing_to(target: bytes) -> bytes:
        changed = bytearray(page)
        for place in (8, *places):
            changed[place : place + 4] = target
        return bytes(changed)

    content[4096 * (root - 1) : 4096 * root] = pointing_to(copy)
    content[28:32] = copy  # how many pages there are
    database.write_bytes(bytes(content) + pointing_to(first))


def test_a_pipe_in_the_place_of_a_snapshot_or_of_its_digest_is_not_waited_for(tmp_path, snapshot):
    digest_file = snapshot.with_name(f"{snapshot.name}.sha256")
    digest_file.unlink()
    os.mkfifo(digest_file)
    with pytest.raises(GalleryError, match="is missing"):
        verify_snapshot(snapshot)
    snapshot.unlink()
    os.mkfifo(snapshot)
    with pytest.raises(GalleryError, match="there is no snapshot"):
        verify_snapshot(snapshot)
