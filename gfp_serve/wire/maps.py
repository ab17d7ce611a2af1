"""Maps of galleries: messages -> values."""

from collections.abc import Mapping
from dataclasses import dataclass

from gfp_serve.items import Attribute
from gfp_serve.v1 import view_pb2
from gfp_serve.wire.items import read_attributes


@dataclass(frozen=True, slots=True)
class MappedItem:
    """An item and its place in the plane: `x` and `y` lie between -1 and 1."""

    id: str
    label: str  # empty: not labelled
    x: float
    y: float
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class GalleryMap:
    """A place for each item of a gallery, near to those of similar items; of large galleries, for a sample of items.

    `projection` is "PCA" or "t-SNE". `is_improving` says that a better map is being made; ask for it later. The map has
    `num_mapped` of the gallery's `num_items`, and `items` are those of them that the filter lets pass.
    `attributes_left_out` says that the reply had no room for attributes, so that no item has any.
    """

    items: tuple[MappedItem, ...]
    projection: str
    is_improving: bool
    generation: int
    num_items: int
    num_mapped: int
    attributes_left_out: bool


def read_map(message: view_pb2.MapItemsResponse) -> GalleryMap:
    """The map of a reply."""
    return GalleryMap(
        tuple(
            MappedItem(each.id, each.label, each.x, each.y, read_attributes(each.attributes)) for each in message.items
        ),
        message.projection,
        message.is_improving,
        message.generation,
        message.num_items,
        message.num_mapped,
        message.attributes_left_out,
    )
