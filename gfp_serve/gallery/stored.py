"""A gallery's items as its folder holds them, for commands that need all of them: also while a server serves it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.contract import DEFAULT_GALLERY, Item
from gfp_serve.gallery.items import DATABASE_FILE, ItemStore
from gfp_serve.gallery.written import read_item


def folder_of(root: Path, name: str = DEFAULT_GALLERY) -> Path:
    """Where below the folder of `gfp-serve --gallery` a gallery lies: ROOT/NAME, or the root if it is one itself.

    Raises `GalleryError` when there is none.
    """
    folder = root if name == DEFAULT_GALLERY and (root / DATABASE_FILE).is_file() else root / name
    if not (folder / DATABASE_FILE).is_file():
        found = sorted(file.parent.name for file in root.glob(f"*/{DATABASE_FILE}"))
        advice = f"its galleries are {', '.join(found)}" if found else "name the folder of gfp-serve --gallery"
        raise GalleryError(f"{root} holds no gallery {name!r}: there is no {folder / DATABASE_FILE}; {advice}.")
    return folder


def stored_items(folder: Path) -> Iterator[Item]:
    """Every item in the order of the last upserts, as the gallery stands when the first is asked for.

    Nothing is locked or changed. Raises `GalleryError` when an item is damaged, or the gallery of an earlier release.
    """
    with closing(ItemStore.beside(folder)) as store:
        for rows in store.rows():
            yield from map(read_item, rows)
