"""Copies of galleries between folders and Milvus, and the command that makes them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.gallery import gallery as gallery_commands
from gfp_serve.errors import EncoderMismatchError
from gfp_serve.gallery.care.migration import copy_items, gallery_to_fill
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.milvus.galleries import open_milvus
from gfp_serve.gallery.places import opened_gallery
from gfp_serve.gallery.protocols import Gallery
from gfp_serve.items import Item, Source

DIGEST, OTHER_DIGEST = "5e" * 32, "0b" * 32


def some_items(num_items: int) -> list[Item]:
    vectors = np.random.default_rng(0).standard_normal((num_items, 8)).astype(np.float32)
    return [
        Item(
            f"clip-{n}",
            vector,
            f"label-{n % 3}",
            {"take": float(n), "tags": ["a"]},
            Source("one.npz", float(n), n + 1.0),
        )
        for n, vector in enumerate(vectors)
    ]


def filled(folder: Path, num_items: int = 600) -> str:
    galleries = FolderGalleries(folder, encoder_digest=DIGEST, embedding_size=8)
    galleries.create("copied", index_kind="exact").upsert(some_items(num_items))
    galleries.close()
    return str(folder)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Gallery, Gallery]]:
    """A gallery of 600 items in a folder, and an empty one in Milvus."""
    file = f"milvus+lite://{tmp_path}/file.db"
    with (
        opened_gallery(filled(tmp_path / "folder"), "copied") as source,
        gallery_to_fill(file, "copied", like=source) as target,
    ):
        yield source, target


def contents(gallery: Gallery) -> list[tuple[object, ...]]:
    return [(i.id, i.label, i.attributes, i.source, [round(float(n), 5) for n in i.vector]) for i in gallery.items()]


def test_a_copy_holds_the_same_items_in_the_same_order(pair):
    source, target = pair
    told = []

    assert copy_items(source, target, on_progress=told.append) == 600
    assert contents(target) == contents(source)
    assert told == [256, 512, 600]
    assert target.describe().index_kind == "exact"


def test_a_second_copy_writes_only_what_is_not_there_or_differs(pair):
    source, target = pair
    copy_items(source, target, on_progress=lambda _: None)
    target.delete(["clip-3"])
    target.upsert([Item("clip-300", -source.get(["clip-300"])[0].vector), Item("of its own", np.ones(8, np.float32))])
    relabelled = source.get(["clip-599"])[0]
    target.upsert([Item(relabelled.id, relabelled.vector, "other", relabelled.attributes, relabelled.source)])

    assert copy_items(source, target, on_progress=lambda _: None) == 3
    assert copy_items(source, target, on_progress=lambda _: None) == 0
    assert sorted(map(str, contents(target)))[:600] == sorted(map(str, contents(source)))
    assert len(target) == 601


def test_a_copy_that_was_interrupted_goes_on_where_it_stopped(pair):
    source, target = pair

    def stop_after_first(num_done: int) -> None:
        if num_done == 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_items(source, target, on_progress=stop_after_first)

    assert len(target) == 512
    assert copy_items(source, target, on_progress=lambda _: None) == 88
    assert contents(target) == contents(source)


def test_items_are_not_copied_to_another_encoder(tmp_path, pair):
    source, _ = pair
    others = FolderGalleries(tmp_path / "other", encoder_digest=OTHER_DIGEST, embedding_size=8)
    with pytest.raises(EncoderMismatchError, match=f"{DIGEST[:12]}.*{OTHER_DIGEST[:12]}"):
        copy_items(source, others[""], on_progress=lambda _: None)
    assert len(others[""]) == 0
    others.close()


def test_the_command_copies_a_folder_to_milvus_and_back(tmp_path):
    folder, back, file = filled(tmp_path / "folder", 20), str(tmp_path / "back"), f"milvus+lite://{tmp_path}/file.db"

    def copy(*arguments: str) -> str:
        result = CliRunner().invoke(gallery_commands, ["copy", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert copy(folder, file, "--gallery", "copied") == "20 of 20 items were copied; the others were there already.\n"
    assert copy(folder, file, "--gallery", "copied").startswith("0 of 20 items were copied")
    assert copy(file, back, "--gallery", "copied").startswith("20 of 20")
    with opened_gallery(folder, "copied") as one, opened_gallery(back, "copied") as other:
        assert contents(one) == contents(other)
        assert other.describe().index_kind == "exact"
    with open_milvus(file, encoder_digest=DIGEST, embedding_size=8) as galleries:
        assert len(galleries["copied"]) == 20


@pytest.mark.parametrize(
    ("source", "expected"),
    [("milvus://127.0.0.1:1/gfp", "no Milvus answers"), ("nowhere", "has no gallery 'default'")],
)
def test_the_command_says_why_it_cannot(tmp_path, source, expected):
    result = CliRunner().invoke(gallery_commands, ["copy", source, str(tmp_path / "new")])

    assert result.exit_code == 1
    assert expected in result.output
    assert not (tmp_path / "new").exists()
