"""Where galleries lie below a folder, and the items of one as its folder holds them, also while a server serves it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.item_codec import read_item
from gfp_serve.gallery.embedded.item_store import DATABASE_FILE, ItemStore
from gfp_serve.items import DEFAULT_GALLERY, Item


def gallery_folder(root: Path, name: str) -> Path:
    """Where a gallery of this name lies, or would: ROOT/NAME.

    A root that is a gallery itself, as the first release made it, is the default gallery.
    """
    if name == DEFAULT_GALLERY and (root / DATABASE_FILE).exists():
        return root
    return root / name


def existing_folder(root: Path, name: str = DEFAULT_GALLERY) -> Path:
    """The folder of a gallery that is there, below `root`, the folder of `gfp-serve --gallery`.

    Raises `GalleryError` when there is none.
    """
    folder = gallery_folder(root, name)
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
