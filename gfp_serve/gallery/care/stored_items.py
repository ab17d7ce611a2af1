"""The items of a gallery in a folder or a snapshot, by id, read while a server uses the gallery."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from gfp_serve.gallery.embedded.folders import existing_folder
from gfp_serve.gallery.embedded.item_codec import read_item, read_source
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.schema import GalleryState
from gfp_serve.items import DEFAULT_GALLERY, Item, Source


class StoredItems:
    """The items that a database has now. `opened_items` opens it."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store

    @property
    def state(self) -> GalleryState:
        """What the gallery was when it was opened."""
        return self._store.state

    def sources(self) -> Iterator[tuple[str, Source | None]]:
        """The id and the source of every item, in the order of the last upserts."""
        for rows in self._store.rows():
            for row in rows:
                yield row.id, read_source(row.source)

    def get(self, ids: Sequence[str], *, with_motions: bool = False) -> dict[str, Item]:
        """The items that have one of these ids now, if asked with the motions that are kept."""
        return {id: read_item(row) for id, row in self._store.rows_by_id(ids, with_motions=with_motions).items()}


@contextmanager
def opened_items(place: Path, gallery: str = DEFAULT_GALLERY) -> Iterator[StoredItems]:
    """Open a snapshot's file, or a gallery below the folder of `gfp-serve --gallery`. Nothing is locked or changed.

    Raises `GalleryError` if there is none, if it is damaged, or if an earlier release wrote it.
    """
    found = place if place.is_file() else existing_folder(place, gallery)
    with closing(ItemStore.open_for_reading(found)) as store:
        yield StoredItems(store)
