"""Galleries as Parquet and Arrow files: what other tools can read, and which of their files can be read."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from gfp_serve.cli.ask import gfp
from gfp_serve.errors import GfpError
from gfp_serve.gallery.care.table_export import export_table
from gfp_serve.gallery.care.table_import import import_table
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item, Source

DIGEST, OTHER_DIGEST = "5e" * 32, "0b" * 32


def drawn(num_items: int, embedding_size: int = 8) -> list[Item]:
    vectors = np.random.default_rng(0).standard_normal((num_items, embedding_size)).astype(np.float32)
    every = [{}, {"who": "Zoë", "take": 3.5}, {"left": True, "tags": ["a", "ä"]}]
    return [
        Item(
            f"動作 {n}",
            vector,
            ["", "gehen"][n % 2],
            every[n % 3],
            Source("ä.npz", n / 2, n / 2 + 1) if n % 2 else None,
        )
        for n, vector in enumerate(vectors)
    ]


def contents(folder: Path) -> list[tuple[object, ...]]:
    with FaissGallery.open(folder) as gallery:
        return [(i.id, i.label, i.attributes, i.source, i.vector.round(5).tolist()) for i in gallery.items()]


def run(*words: object, code: int = 0) -> str:
    result: Result = CliRunner().invoke(gfp, ["gallery", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a default gallery of 50 items."""
    folder = tmp_path / "root" / "default"
    with FaissGallery.create(folder, encoder_digest=DIGEST, embedding_size=8, index_kind="exact") as gallery:
        gallery.upsert(drawn(50))
    return folder.parent


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_what_was_exported_is_imported_as_it_was(root, tmp_path, ending, monkeypatch):
    monkeypatch.setattr("gfp_serve.gallery.care.table_import.rows_at_once", lambda _, **__: 7)
    file, other = tmp_path / f"items.{ending}", tmp_path / "other"
    with FaissGallery.open(root / "default"):  # as a server would have it open
        assert run("export", root, file) == f"{file} has 50 items.\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("import", other, file, "--gallery", "people") == f"50 items of {file} are in people.\n"
    assert contents(other / "people") == contents(root / "default")
    with FaissGallery.open(other / "people") as gallery:
        assert (gallery.encoder_digest, gallery.describe().index_kind) == (DIGEST, "exact")
        generation = gallery.generation
    assert json.loads(run("import", other, file, "--gallery", "people", "--json")) == {"imported": 50}
    with FaissGallery.open(other / "people") as gallery:
        assert (len(gallery), gallery.generation) == (50, 2 * generation)  # replaced, batch by batch


def test_others_read_the_columns_and_what_they_are_of(root, tmp_path):
    file = tmp_path / "items.parquet"
    run("export", root, file)
    metadata = pyarrow.parquet.read_schema(file).metadata
    assert metadata[b"gfp_serve.encoder_digest"] == DIGEST.encode()
    assert (metadata[b"gfp_serve.embedding_size"], metadata[b"gfp_serve.format_version"]) == (b"8", b"1")
    table = pandas.read_parquet(file)
    columns = ["id", "vector", "label", "attributes", "source_recording", "source_start_s", "source_end_s"]
    assert list(table.columns) == columns
    assert (table["id"][1], table["label"][1]) == ("動作 1", "gehen")
    assert json.loads(table["attributes"][1]) == {"who": "Zoë", "take": 3.5}
    assert tuple(table.loc[1, columns[4:]]) == ("ä.npz", 0.5, 1.5)
    assert table["source_recording"].isna().sum() == 25
    np.testing.assert_allclose(
        np.stack(list(table["vector"])), [row[-1] for row in contents(root / "default")], atol=1e-5
    )


def test_a_file_of_pandas_with_ids_and_vectors_alone_is_imported_once_its_encoder_is_named(tmp_path):
    file, root = tmp_path / "theirs.parquet", tmp_path / "root"
    vectors = np.eye(3, 8)
    pandas.DataFrame({"vector": list(vectors), "id": ["a", "b", "c"], "mine": 1}).to_parquet(file)
    assert "does not say which encoder" in run("import", root, file, code=1)
    assert not root.exists()
    run("import", root, file, "--encoder-digest", DIGEST)
    assert contents(root / "default") == [(id, "", {}, None, list(v)) for id, v in zip("abc", vectors, strict=True)]


def test_attributes_as_records_categories_and_missing_values_are_understood(tmp_path):
    file = tmp_path / "theirs.parquet"
    table = pandas.DataFrame({"id": ["a", "b"], "vector": [[1.0, 0], [0, 1]], "label": pandas.Categorical(["x", None])})
    table["attributes"] = [{"who": "Ada"}, {"take": 2}]
    table.to_parquet(file)
    import_table(file, tmp_path / "root", encoder_digest=DIGEST, on_progress=lambda *_: None)
    assert [row[:3] for row in contents(tmp_path / "root" / "default")] == [
        ("a", "x", {"who": "Ada"}),
        ("b", "", {"take": 2}),
    ]


def test_another_encoders_vectors_are_refused_and_the_gallery_stays(root, tmp_path):
    file, before = tmp_path / "theirs.parquet", contents(root / "default")
    pandas.DataFrame({"id": ["a"], "vector": [np.ones(8)]}).to_parquet(file)
    said = run("import", root, file, "--encoder-digest", OTHER_DIGEST, code=1)
    assert DIGEST[:12] in said
    assert OTHER_DIGEST[:12] in said
    run("export", root, tmp_path / "ours.arrow")
    assert "leave the option out" in run("import", root, tmp_path / "ours.arrow", "--encoder-digest", "beef", code=1)
    assert contents(root / "default") == before


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"name": ["a"], "vector": [[1.0]]},
            "has no column 'id'; 'id' (text) and 'vector' (lists of numbers) are required",
        ),
        ({"id": ["a"], "embedding": [[1.0]]}, "has no column 'vector'"),
        ({"id": [7], "vector": [[1.0]]}, "the column 'id' of"),
        ({"id": ["a"], "vector": ["1, 2"]}, "it must be lists of numbers"),
        ({"id": ["a", "b"], "vector": [[1.0, 0], [1.0]]}, "row 2: the vector has 1 numbers"),
        ({"id": ["a", None], "vector": [[1.0], [1.0]]}, "row 2: the id is missing"),
        ({"id": ["a", "b"], "vector": [[1.0], None]}, "row 2: the vector has 0 numbers"),
        ({"id": ["a", "b"], "vector": [[1.0], [0.0]]}, "item 'b'"),
        ({"id": ["a"], "vector": [[None]]}, "item 'a'"),
        ({"id": ["a"], "vector": [[1.0]], "attributes": ["{who"]}, "the attributes of 'a' are not JSON"),
        ({"id": ["a"], "vector": [[1.0]], "attributes": ["[1]"]}, "they must be a JSON object"),
        ({"id": [], "vector": []}, "has no rows"),
    ],
)
def test_what_is_no_item_is_named_with_its_row(tmp_path, columns, expected):
    file = tmp_path / "theirs.parquet"
    types = {"id": pyarrow.string(), "vector": pyarrow.list_(pyarrow.float64())} if not columns.get("id", [1]) else {}
    arrays = {name: pyarrow.array(values, types.get(name)) for name, values in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(arrays), file)
    assert expected in run("import", tmp_path / "root", file, "--encoder-digest", DIGEST, code=1)


def test_files_that_are_no_tables_are_refused_by_name(root, tmp_path):
    (tmp_path / "one.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "two.arrow").write_bytes(b"")
    for name in ("one.parquet", "two.arrow"):
        assert f"{tmp_path / name} is damaged, or not of the type" in run("import", root, tmp_path / name, code=1)
    assert "there is no file" in run("import", root, tmp_path / "three.arrow", code=1)
    assert "ends in .parquet or .arrow" in run("export", root, tmp_path / "items.csv", code=1)
    assert "is not overwritten" in run("export", root, tmp_path / "one.parquet", code=1)
    run("export", root, tmp_path / "cut.parquet")
    content = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:200] + bytes(400) + content[600:])
    assert str(tmp_path / "cut.parquet") in run("import", tmp_path / "new", tmp_path / "cut.parquet", code=1)


def refused(tmp_path: Path, columns: dict[str, object]) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "odd.parquet")
    return run("import", tmp_path / "root", tmp_path / "odd.parquet", "--encoder-digest", DIGEST, code=1)


def test_tables_of_odd_content_get_a_line_that_names_the_row(tmp_path):
    vector = pyarrow.array([[1.0, 2.0]])
    deep = "[" * 100_000 + "]" * 100_000
    assert "row 1: the attributes of 'a' are not JSON" in refused(
        tmp_path, {"id": ["a"], "vector": vector, "attributes": [deep]}
    )
    assert "is not the digest of an encoder" in run(
        "import", tmp_path / "root", tmp_path / "odd.parquet", "--encoder-digest", "\x1b[2J" + "x" * 1000, code=1
    )
    pair = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"]), vector], names=["id", "id", "vector"])
    pyarrow.parquet.write_table(pair, tmp_path / "pair.parquet")
    assert "has 2 columns 'id'" in run(
        "import", tmp_path, tmp_path / "pair.parquet", "--encoder-digest", DIGEST, code=1
    )


def test_whole_numbers_of_any_size_are_vectors(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"], "vector": [[2**62, 0]]}), tmp_path / "ints.parquet")
    run("import", tmp_path / "root", tmp_path / "ints.parquet", "--encoder-digest", DIGEST)
    with FaissGallery.open(tmp_path / "root" / "default") as gallery:
        assert gallery.get(["a"])[0].vector.tolist() == [1.0, 0.0]


def test_a_long_text_that_many_rows_share_is_refused_without_a_copy_for_each(tmp_path):
    rows = 500
    columns = {
        "id": [str(row) for row in range(rows)],
        "vector": [[1.0, 2.0]] * rows,
        "label": pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows), ["x" * 3_000_000]),
    }
    table = pyarrow.table(columns)
    with pyarrow.ipc.new_file(str(tmp_path / "bomb.arrow"), table.schema) as file:
        file.write_table(table)
    before = pyarrow.default_memory_pool().max_memory()
    out = run("import", tmp_path / "root", tmp_path / "bomb.arrow", "--encoder-digest", DIGEST, code=1)
    assert "row 1: the id, label, attributes and source of item '0' have 3000001 bytes" in out
    assert pyarrow.default_memory_pool().max_memory() - before < 500 * 3_000_000 / 3


def test_a_damaged_arrow_file_is_refused_or_read_and_never_ends_the_process(tmp_path):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=8) as gallery:
        gallery.upsert(drawn(20))
    export_table(tmp_path / "g", tmp_path / "sound.arrow", on_progress=lambda *_: None)
    content = (tmp_path / "sound.arrow").read_bytes()
    for place in np.random.default_rng(0).integers(8, len(content) - 8, 25):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "damaged.arrow").write_bytes(damaged)
        with contextlib.suppress(GfpError):
            import_table(tmp_path / "damaged.arrow", tmp_path / "into", on_progress=lambda *_: None)
