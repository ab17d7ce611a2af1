"""A folder that is moved or removed while its gallery is open: no write is acknowledged that would be lost."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.errors import NotWritableError
from gfp_serve.gallery.embedded.galleries import FolderGalleries
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.protocols import Galleries
from gfp_serve.items import Item

DIGEST, SIZE = "5e" * 32, 4


def item(id: str) -> Item:
    return Item(id, np.arange(1, SIZE + 1, dtype=np.float32))


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder: Path) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)


def without_its_log(folder: Path) -> None:
    (folder / "gallery.sqlite-wal").unlink()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Galleries]:
    galleries = FolderGalleries(tmp_path / "root", encoder_digest=DIGEST, embedding_size=SIZE)
    yield galleries
    galleries.close()


@pytest.mark.parametrize("happen", [moved, shutil.rmtree, replaced, without_its_log])
def test_a_write_to_a_folder_that_is_gone_is_refused(tmp_path, happen: Callable[[Path], object]):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item("before")])
        happen(tmp_path / "g")
        with pytest.raises(NotWritableError, match=r"was moved, removed or replaced .* put the folder back"):
            gallery.upsert([item("after")])
        with pytest.raises(NotWritableError):
            gallery.delete(["before"])
        assert [found.id for found in gallery.search(item("q").vector[None], top_k=5)[0]] == ["before"]


def test_a_folder_that_comes_back_is_written_again(tmp_path):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        moved(tmp_path / "g")
        with pytest.raises(NotWritableError):
            gallery.upsert([item("refused")])
        (tmp_path / "elsewhere").rename(tmp_path / "g")
        gallery.upsert([item("taken")])
    with FaissGallery.open(tmp_path / "g") as gallery:
        assert [each.id for each in gallery.items()] == ["taken"]


def test_a_folder_that_goes_during_a_write_stops_all_later_writes(tmp_path):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        gallery.upsert([item("before")])
    store = ItemStore.open(tmp_path / "g")

    def delete_while(happens: Callable[[Path], object]) -> None:
        with store.transaction() as change:
            change.delete(["before"])
            happens(tmp_path / "g")

    with pytest.raises(NotWritableError, match="was moved, removed or replaced"):
        delete_while(moved)
    (tmp_path / "elsewhere").rename(tmp_path / "g")
    with pytest.raises(NotWritableError, match="were away for a while"):
        delete_while(Path.exists)
    store.close()


def test_no_gallery_is_made_or_dropped_below_a_folder_that_is_gone(tmp_path, opened):
    opened.create("known")
    moved(tmp_path / "root")
    with pytest.raises(NotWritableError, match=r"the folder of the galleries, .* was moved, removed or replaced"):
        opened.create("new")
    with pytest.raises(NotWritableError):
        opened.drop("known")
    assert not (tmp_path / "root").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "root")
    assert opened.drop("known") == 0
