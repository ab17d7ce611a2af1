"""Galleries that an earlier release filled with what an upsert would refuse today: they answer, and can be mended."""

import json
import logging
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.client import AsyncClient
from gfp_serve.gallery import protocols
from gfp_serve.gallery.care import backup, mending
from gfp_serve.gallery.care.mending import mended
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_codec import problem_of
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.schema import ItemRow
from gfp_serve.gallery.milvus.rows import item_of, row_of
from gfp_serve.gallery.protocols import say_left_out
from gfp_serve.items import MAX_ITEM_BYTES, Item, Source, check_item
from tests.support.servers import running
from tests.support.tiny_bundle import SIZE

DIGEST = "5e" * 32
VECTORS = np.eye(SIZE, dtype=np.float32)
ROW = ItemRow(0, "a", "l", '{"n": 1}', "", VECTORS[0].astype("<f4").tobytes())
LARGE = "x" * (MAX_ITEM_BYTES // 2 + 1)
SOURCES = [
    '["r", 5, 1]',
    '["r", NaN, 1]',
    '["", 0, 1]',
    json.dumps(["r" * 257, 0, 1]),
    '["\\ud800", 0, 1]',
    '["r"',
    "7",
]


IDS = [f"s{number}" for number in range(len(SOURCES))]


def store(folder: Path, rows: list[ItemRow]) -> None:
    """Write rows as they are, as releases did that had no such checks."""
    with closing(ItemStore.open(folder)) as opened, opened.transaction() as change:
        change.upsert(rows)


def filled(root: Path) -> Path:
    """Make a gallery of a sound item and one with each of the sources."""
    folder = root / "default"
    root.mkdir(exist_ok=True)
    FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=SIZE).close()
    store(folder, [ROW._replace(id=f"s{n}", source=source) for n, source in enumerate(SOURCES)])
    store(folder, [ROW._replace(source='["r", 1, 2]')])
    return root


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(gfp, ["gallery", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    with FaissGallery.open(folder) as gallery:
        return {i.id: (i.label, dict(i.attributes), i.source, i.vector.tobytes()) for i in gallery.items()}


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_said", set())


@pytest.mark.usefixtures("nothing_said")
async def test_searches_and_readings_answer_without_the_sources_that_no_client_would_take(tmp_path, caplog):
    async with running(tmp_path):
        pass  # makes the gallery of the encoder
    store(tmp_path / "galleries" / "default", [ROW._replace(id=f"s{n}", source=text) for n, text in enumerate(SOURCES)])
    store(tmp_path / "galleries" / "default", [ROW._replace(source='["r", 1, 2]')])
    async with running(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        found = await client.search(VECTORS[0], top_k=20)
        assert {each.id: each.source for each in found} == dict.fromkeys(IDS) | {"a": Source("r", 1, 2)}
        assert [item.source for item in await client.get(["s0", "a"])] == [None, Source("r", 1, 2)]
        moments = await client.search_moments(VECTORS[0], top_k=20)
        assert Source("r", 1, 2) in [moment.source for moment in moments]
    for number, text in enumerate(SOURCES):
        said = [record for record in caplog.records if repr(text)[1:20] in record.getMessage()]
        assert len(said) == 1, f"source {number} is named once"


def test_check_names_each_such_item_and_repair_clears_only_what_is_refused(tmp_path):
    root = filled(tmp_path)
    store(root / "default", [ROW._replace(id="n", attributes='{"a": 1, "b": {"c": 1}}'), ROW._replace(id="x" * 300)])
    before = contents(root / "default")
    said = run("check", root, code=1)
    assert "9 items that an upsert would refuse today" in said
    assert "Item 's0': a repair clears the source: its source starts at 5 s and ends at 1 s" in said
    assert "Item 'n': a repair clears the attribute 'b'" in said
    assert f"Item '{'x' * 300}' is lost." in said
    assert "9 items are sound but for the parts of 8; `gfp gallery repair` keeps them." in said
    assert json.loads(run("check", root, "--json", code=1))["cleared"].keys() == {*IDS, "n"}
    said = run("repair", root)
    assert "Item 's1' lost the source: its source starts at nan s" in said
    assert "gallery.sqlite.damaged-1" in said
    del before["x" * 300]
    assert contents(root / "default") == before | {"n": ("l", {"a": 1}, None, ROW.vector)}
    assert "9 items, each as it was written" in run("check", root)


def test_a_snapshot_of_such_a_gallery_is_made_and_what_restores_it_says_what_it_clears(tmp_path, caplog):
    root = filled(tmp_path / "old")
    run("snapshot", "create", root, "before")
    assert "has 7 items that an upsert would refuse today, such as 's0'" in caplog.text
    file, new = root / "_snapshots" / "default" / "before.sqlite", tmp_path / "new"
    for refused in (["verify", file], ["restore", file, new]):
        said = run("snapshot", *refused, code=1)
        assert "cannot be restored as it is: item 's0'" in said
        assert "--repair" in said
    assert not new.exists()
    said = run("snapshot", "restore", file, new, "--repair")
    assert said.count("lost the source") == len(SOURCES)
    assert contents(new / "default") == contents(root / "default")
    assert [path.name for path in (new / "default").glob("*damaged*")] == []
    assert "is sound" in run("check", new)


def test_what_is_sound_of_a_damaged_snapshot_can_be_restored(tmp_path):
    root = filled(tmp_path / "old")
    run("snapshot", "create", root, "before")
    file, new = root / "_snapshots" / "default" / "before.sqlite", tmp_path / "new"
    content = file.read_bytes()
    place = content.index(b'"r", 1, 2')
    file.write_bytes(content[:place] + b"X" + content[place + 1 :])
    assert "has another SHA-256" in run("snapshot", "restore", file, new, code=1)
    assert "Item 'a' is lost." in run("snapshot", "restore", file, new, "--repair")
    assert contents(new / "default").keys() == set(IDS)
    file.write_bytes(b"")
    assert "nothing of" in run("snapshot", "restore", file, tmp_path / "newer", "--repair", code=1)
    assert not list((tmp_path / "newer").iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_restore_that_is_interrupted_leaves_no_gallery_that_was_not_mended(tmp_path, monkeypatch, error):
    root = filled(tmp_path / "old")
    run("snapshot", "create", root, "before")

    def interrupted(folder: Path) -> None:
        assert (folder / "gallery.sqlite").exists()
        raise error

    monkeypatch.setattr(backup, "repair_gallery", interrupted)
    with pytest.raises(type(error)):
        backup.restore_what_is_sound(root / "_snapshots" / "default" / "before.sqlite", tmp_path / "new")
    assert not (tmp_path / "new" / "default").exists()


def test_such_a_gallery_is_copied_and_exported_as_far_as_others_can_hold_it(tmp_path):
    root = filled(tmp_path / "old")
    assert "does not fit into a table" in run("export", root, tmp_path / "out.parquet", code=1)
    assert not (tmp_path / "out.parquet").exists()
    run("copy", root, tmp_path / "copied")
    assert contents(tmp_path / "copied" / "default") == contents(root / "default")
    store(root / "default", [ROW._replace(id=f"s{n}", source=SOURCES[0]) for n in range(1, len(SOURCES))])
    assert "has 8 items" in run("export", root, tmp_path / "out.parquet")
    said = run("import", tmp_path / "new", tmp_path / "out.parquet", code=1)
    assert "row 1: its source starts at 5 s" in said


def test_an_export_names_the_items_among_which_is_one_with_a_source_nested_too_deeply(tmp_path):
    FaissGallery.create(tmp_path / "default", encoder_digest=DIGEST, embedding_size=SIZE).close()
    store(tmp_path / "default", [ROW, ROW._replace(id="deep", source="[" * 100_000)])
    assert "one of 'a' to 'deep' does not fit into a table" in run("export", tmp_path, tmp_path / "out.parquet", code=1)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("row", "kept", "cleared"),
    [
        (ROW, ROW, []),
        (ROW._replace(source="[1]"), ROW, ["the source: "]),
        (ROW._replace(attributes="{"), ROW._replace(attributes="{}"), ["all attributes: "]),
        (ROW._replace(attributes="[" * 100_000), ROW._replace(attributes="{}"), ["all attributes: "]),
        (ROW._replace(attributes='{"n": 1, "\\ud800": 2}'), ROW, ["the attribute '\\ud800': "]),
        (
            ROW._replace(attributes=json.dumps({"n": 1, "m": LARGE, "o": 2 * LARGE})),
            {"n", "m"},
            ["the attribute 'o': "],
        ),
        (ROW._replace(label=2 * LARGE), ROW._replace(label="", attributes="{}"), ["the attribute 'n'", "the label: "]),
        (ROW._replace(id=""), None, []),
    ],
)
def test_a_mended_item_has_all_that_a_gallery_takes(row, kept, cleared):
    found = mended(row)
    if kept is None:
        assert found is None
        return
    assert found is not None
    assert problem_of(found[0]) is None
    if isinstance(kept, set):
        assert json.loads(found[0].attributes).keys() == kept
    else:
        assert found[0] == kept
    assert len(found[1]) == len(cleared)
    assert all(part.startswith(start) for part, start in zip(found[1], cleared, strict=True))


@pytest.mark.usefixtures("nothing_said")
def test_a_gallery_with_many_such_sources_does_not_fill_the_log(caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        for number in range(1000):
            say_left_out(f'["r{number}", 5, 1]', "it starts at 5 s and ends at 1 s.")
    assert len(caplog.records) == 257
    assert '["r255", 5, 1]' in caplog.records[-2].getMessage()
    assert "more than 256 sources" in caplog.records[-1].getMessage()


def test_an_item_with_many_attributes_too_many_is_looked_at_a_few_times_only(monkeypatch):
    looks = []
    monkeypatch.setattr(mending, "check_item", lambda item: looks.append(item.id) or check_item(item))
    large = {f"large{number}": "x" * (MAX_ITEM_BYTES // 1000) for number in range(1500)}
    small = {f"small{number}": "x" for number in range(500)}
    found = mended(ROW._replace(attributes=json.dumps(small | large)))
    assert found is not None
    kept = json.loads(found[0].attributes)
    assert small.keys() < kept.keys()
    assert len(kept) + len(found[1]) == 2000
    assert problem_of(found[0]) is None
    one_more = next(name for name in reversed(large) if name not in kept)
    assert problem_of(ROW._replace(attributes=json.dumps(kept | {one_more: large[one_more]}))) is not None
    assert len(looks) < 20


@pytest.mark.usefixtures("nothing_said")
def test_milvus_leaves_out_such_a_source_too(caplog):
    item = Item("a", VECTORS[0], source=Source("r", 1, 2))
    row = row_of(item, item.vector, 1)
    assert item_of(row).source == item.source
    assert item_of(row | {"source": {"recording": "r", "start_s": 5.0, "end_s": 1.0}}).source is None
    assert "starts at 5 s and ends at 1 s" in caplog.text
