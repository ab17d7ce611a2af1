"""Where galleries lie below a root folder, and how to read the items of one, even while a server uses it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gfp_serve.errors import GalleryError
from gfp_serve.gallery.embedded.item_codec import read_item
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.schema import DATABASE_FILE
from gfp_serve.items import DEFAULT_GALLERY, Item


def gallery_folder(root: Path, name: str) -> Path:
    """The folder of a gallery with this name, whether it exists or not: ROOT/NAME.

    The first release made a gallery in the root itself. If there is one, it is the default gallery.
    """
    if name == DEFAULT_GALLERY and (root / DATABASE_FILE).exists():
        return root
    return root / name


def gallery_folders(root: Path) -> list[Path]:
    """The folders below `root` that have a gallery. Hidden ones are of galleries that are dropped or restored."""
    found = [database.parent for database in root.glob(f"*/{DATABASE_FILE}")]
    return sorted(folder for folder in found if not folder.name.startswith("."))


def existing_folder(root: Path, name: str = DEFAULT_GALLERY) -> Path:
    """The folder of an existing gallery below `root`, the folder that `gfp-serve --gallery` names.

    Raises `GalleryError` if there is no such gallery.
    """
    folder = gallery_folder(root, name)
    if not (folder / DATABASE_FILE).is_file():
        found = sorted(place.name for place in gallery_folders(root))
        advice = f"its galleries are {', '.join(found)}" if found else "name the folder of gfp-serve --gallery"
        raise GalleryError(f"{root} has no gallery {name!r}: there is no {folder / DATABASE_FILE}; {advice}.")
    return folder


def stored_items(folder: Path) -> Iterator[Item]:
    """Yield every item in the order of the last upserts, as the gallery is when the first item is requested.

    Nothing is locked or changed. Raises `GalleryError` if an item is damaged, or if an earlier release wrote the
    gallery.
    """
    with closing(ItemStore.open_for_reading(folder)) as store:
        for rows in store.rows():
            yield from map(read_item, rows)
