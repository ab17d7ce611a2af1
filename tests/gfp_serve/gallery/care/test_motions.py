"""Kept motions and their items: formats of databases, damage, repair, snapshots, tables, copies."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli.ask import gfp
from gfp_serve.errors import GalleryError, InvalidRequestError
from gfp_serve.gallery.care.backup import create_snapshot, restore_snapshot, verify_snapshot
from gfp_serve.gallery.care.repair import check_gallery, repair_gallery
from gfp_serve.gallery.care.table_export import export_table
from gfp_serve.gallery.care.table_import import import_table
from gfp_serve.gallery.embedded import item_store
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.schema import motion_row
from gfp_serve.items import Item
from gfp_serve.kept_motion import KeptMotion
from tests.support.kept_motions import kept_motion, same_motion

DIGEST, SIZE = "5e" * 32, 8
GOLDEN = Path(__file__).parents[3] / "golden"
IDS = [f"clip {n}" for n in range(12)]


def item(n: int, motion: KeptMotion | None = None) -> Item:
    vector = np.random.default_rng(n).standard_normal(SIZE).astype(np.float32)
    return Item(IDS[n], vector, "walk", {"take": n}, motion=motion)


def motion(n: int) -> KeptMotion | None:
    """Return the motion of item n. Every third item has none."""
    return None if n % 3 == 2 else kept_motion(n, bodies=1 + n % 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of 12 items, of which 8 have motions."""
    folder = tmp_path / "root" / "default"
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item(n, motion(n)) for n in range(12)])
    return folder


def kept_in(folder: Path) -> dict[str, KeptMotion | None]:
    with FaissGallery.open(folder) as gallery:
        assert gallery.describe().num_motions == sum(
            each.motion is not None for each in gallery.items(with_motions=True)
        )
        return {each.id: each.motion for each in gallery.items(with_motions=True)}


def all_are_kept(found: dict[str, KeptMotion | None], but: tuple[int, ...] = ()) -> bool:
    wanted = {IDS[n]: None if n in but else motion(n) for n in range(12)}
    return found.keys() == wanted.keys() and all(
        found[id] is None if kept is None else same_motion(found[id], kept) for id, kept in wanted.items()
    )


def format_of(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def change(file: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(*((statement,) if isinstance(statement, str) else statement))


def run(*words: object, code: int = 0) -> str:
    result: Result = CliRunner().invoke(gfp, ["gallery", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_gallery_keeps_its_motions_when_it_is_opened_again(folder: Path) -> None:
    assert all_are_kept(kept_in(folder))
    assert check_gallery(folder).is_sound


def test_a_gallery_has_the_format_of_earlier_releases_until_it_keeps_a_motion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gallery"
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item(0)])
    assert format_of(folder) == 2
    with monkeypatch.context() as earlier:
        earlier.setattr(item_store, "FORMAT_VERSION", 2)
        with FaissGallery.open(folder) as gallery:
            gallery.upsert([item(1)])
    with FaissGallery.open(folder) as gallery:
        gallery.upsert([item(2, kept_motion(2))])
        gallery.delete([IDS[2]])
    assert format_of(folder) == 3
    monkeypatch.setattr(item_store, "FORMAT_VERSION", 2)
    with pytest.raises(GalleryError, match="has format 3; this release reads formats 1 to 2: use the release that"):
        FaissGallery.open(folder)


@pytest.mark.parametrize("release", ["gallery-format-1.sqlite", "gallery-format-2"])
def test_a_gallery_of_an_earlier_release_keeps_motions_from_now_on(tmp_path: Path, release: str) -> None:
    folder = tmp_path / "gallery"
    if (GOLDEN / release).is_dir():
        shutil.copytree(GOLDEN / release, folder)
    else:
        folder.mkdir()
        shutil.copy(GOLDEN / release, folder / "gallery.sqlite")
    with FaissGallery.open(folder) as gallery:
        before = list(gallery.items())
        assert format_of(folder) == 2
        gallery.upsert([Item("new", np.ones(4, np.float32), motion=kept_motion(1))])
    found = kept_in(folder)
    assert [*found] == [*(each.id for each in before), "new"]
    assert same_motion(found["new"], kept_motion(1))
    assert check_gallery(folder).is_sound
    create_snapshot(folder, tmp_path / "snapshot.sqlite")
    restore_snapshot(tmp_path / "snapshot.sqlite", tmp_path / "root")
    assert kept_in(tmp_path / "root" / "default").keys() == found.keys()


DAMAGE = {
    "another motion": ("UPDATE motions SET motion = zeroblob(9) WHERE seq = 2", f"the motion of item {IDS[1]!r}"),
    "that of another item": (
        "UPDATE motions SET motion = (SELECT motion FROM motions WHERE seq = 1) WHERE seq = 2",
        f"the motion of item {IDS[1]!r}",
    ),
    "lost": ("DELETE FROM motions WHERE seq = 2", "should keep 8 motions but has 7"),
}


@pytest.mark.parametrize(("statement", "words"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_motion_is_named_and_costs_no_more_than_itself(folder: Path, statement: str, words: str) -> None:
    change(folder / "gallery.sqlite", statement)
    findings = check_gallery(folder)
    assert (findings.num_items, findings.num_motions_lost) == (12, 1)
    assert words in findings.problems[0]
    with pytest.raises(GalleryError, match=words.replace("(", ".")):
        create_snapshot(folder, folder.parent / "snapshot.sqlite")

    with FaissGallery.open(folder) as gallery:  # what needs no motion goes on
        assert len(gallery.search(item(1).vector[None], top_k=12)[0]) == len(gallery.get(IDS)) == 12
    assert "The motions of 1 item are lost." in run("repair", folder.parent)
    assert all_are_kept(kept_in(folder), but=(1,))
    assert check_gallery(folder).is_sound


def test_a_motion_without_an_item_is_damage_and_gone_after_repair(folder: Path) -> None:
    change(folder / "gallery.sqlite", ("INSERT INTO motions VALUES (?, ?, ?)", motion_row(77, b"somebody's")))
    assert "the motion of an item that is not there" in check_gallery(folder).problems[0]
    repair_gallery(folder)
    assert all_are_kept(kept_in(folder))
    assert b"somebody's" not in (folder / "gallery.sqlite").read_bytes()


def test_motions_are_salvaged_from_a_database_that_sqlite_does_not_open(folder: Path) -> None:
    content = bytearray((folder / "gallery.sqlite").read_bytes())
    content[:100] = bytes(100)
    (folder / "gallery.sqlite").write_bytes(content)
    repair = repair_gallery(folder)
    assert (repair.findings.num_items, repair.findings.num_motions_lost) == (12, 0)
    assert all_are_kept(kept_in(folder))


def test_wherever_a_byte_is_wrong_no_sound_motion_is_lost_and_none_is_another(folder: Path, tmp_path: Path) -> None:
    sound = (folder / "gallery.sqlite").read_bytes()
    for place in np.random.default_rng(0).integers(100, len(sound), 12).tolist():
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        content = bytearray(sound)
        content[place] ^= 0xFF
        (copy / "gallery.sqlite").write_bytes(content)
        lost = repair_gallery(copy).findings.num_motions_lost
        found = kept_in(copy)
        wrong = [id for id, kept in found.items() if kept and not same_motion(kept, motion(IDS.index(id)))]  # type: ignore[arg-type]
        assert wrong == []
        assert sum(kept is not None for kept in found.values()) == 8 - lost


def test_a_motion_that_no_gallery_keeps_is_left_out_of_answers_and_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever makes a database makes its checksums too."""
    change(
        folder / "gallery.sqlite",
        "DELETE FROM motions WHERE seq = 2",
        ("INSERT INTO motions VALUES (?, ?, ?)", motion_row(2, bytes(20))),
    )
    with FaissGallery.open(folder) as gallery:
        assert next(gallery.get_with_motions([IDS[1]])).motion is None
    assert f"leave out the motion of item '{IDS[1]}'" in caplog.text
    assert "format 0" in caplog.text


def test_snapshots_hold_the_motions_and_are_refused_when_these_were_altered(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.sqlite"
    create_snapshot(folder, file)
    restore_snapshot(file, tmp_path / "new")
    assert all_are_kept(kept_in(tmp_path / "new" / "default"))
    change(file, "DROP TABLE motions")
    with pytest.raises(GalleryError):
        verify_snapshot(file)


def test_a_snapshot_that_says_to_keep_more_motions_than_items_is_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.sqlite"
    row = replace(create_snapshot(folder, file), num_motions=13).row()
    change(file, "DELETE FROM gallery", (f"INSERT INTO gallery VALUES ({', '.join('?' * len(row))})", row))
    file.with_name(f"{file.name}.sha256").write_text(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    with pytest.raises(GalleryError, match="the row that says what it is was altered"):
        verify_snapshot(file)


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_tables_hold_the_motions(folder: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"items.{ending}"
    export_table(folder, file, on_progress=lambda *_: None)
    import_table(file, tmp_path / "new", on_progress=lambda *_: None)
    assert all_are_kept(kept_in(tmp_path / "new" / "default"))


def test_a_table_of_a_gallery_without_motions_has_no_column_for_them(tmp_path: Path) -> None:
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item(0)])
    export_table(tmp_path / "g", tmp_path / "items.parquet", on_progress=lambda *_: None)
    assert "kept_motion" not in pyarrow.parquet.read_schema(tmp_path / "items.parquet").names


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pyarrow.array([b"\1\2"]), r"row 1: the motion is damaged.*Leave out the column 'kept_motion'"),
        (pyarrow.array(["a text"]), "'kept_motion' .* has the type string; it must be bytes"),
    ],
)
def test_what_is_no_motion_is_refused_by_its_row(tmp_path: Path, column: pyarrow.Array, words: str) -> None:
    table = pyarrow.table({"id": ["a"], "vector": [[1.0] * SIZE], "kept_motion": column})
    pyarrow.parquet.write_table(table, tmp_path / "items.parquet")
    with pytest.raises(InvalidRequestError, match=words):
        import_table(tmp_path / "items.parquet", tmp_path / "new", encoder_digest=DIGEST, on_progress=lambda *_: None)


def test_a_copy_has_the_motions_also_of_items_that_were_copied_without_them(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with FaissGallery.create(other / "default", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item(n) for n in range(12)])
    said = json.loads(run("copy", folder.parent, other, "--json"))
    assert said == {"copied": 8, "items": 12}
    assert all_are_kept(kept_in(other / "default"))
    assert json.loads(run("copy", folder.parent, other, "--json"))["copied"] == 0


def test_motions_come_along_to_milvus_and_back(folder: Path, tmp_path: Path) -> None:
    place = f"milvus+lite://{tmp_path / 'galleries.db'}"
    run("copy", folder.parent, place)
    run("copy", place, tmp_path / "back")
    assert all_are_kept(kept_in(tmp_path / "back" / "default"))
