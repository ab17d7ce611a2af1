"""Looking after a gallery's folder: what check finds, what repair keeps, and what a snapshot gives back."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli import gfp
from gfp_serve.errors import GalleryError
from gfp_serve.gallery import FaissGallery, FolderGalleries, Item, Source
from gfp_serve.gallery.items import ItemStore
from gfp_serve.gallery.pages import Pages
from gfp_serve.gallery.repair import check_gallery, repair_gallery

DIGEST = "5e" * 32
SIZE = 24


def drawn(num_items: int, start: int = 0, embedding_size: int = SIZE) -> list[Item]:
    vectors = np.random.default_rng(start).standard_normal((num_items, embedding_size)).astype(np.float32)
    return [
        Item(f"Aufnahme {n} – 動作", vector, f"label-{n % 5}", {"take": n, "tags": ["a", "b"]}, Source("one.npz", n, n + 1))
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
    with closing(ItemStore.beside(folder)) as store:
        return [tuple(row) for chunk in store.rows() for row in chunk]


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
    for place in [*range(0, 100, 3), *rng.choice(used, 170, replace=False)]:
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
    assert num_damaged > 130
    assert 30 < num_lost < num_damaged


def _place_of(content: bytes, row: tuple[object, ...]) -> tuple[int, int]:
    """Where the bytes of an item are: size, number, header, then its values, the last of which is its source."""
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
