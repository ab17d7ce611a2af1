"""Items as the database has them: attributes and source are texts, the vector is bytes."""

import json

import numpy as np
from jaxtyping import Float32

from gfp_serve.gallery.embedded.item_store import ItemRow
from gfp_serve.items import Item, Source


def write_item(item: Item, vector: Float32[np.ndarray, " embedding_size"]) -> ItemRow:
    """The item's row, which has no number yet, with this vector instead of its own."""
    attributes = json.dumps(dict(item.attributes)) if item.attributes else "{}"
    source = item.source
    written = "" if source is None else json.dumps([source.recording, source.start_s, source.end_s])
    return ItemRow(0, item.id, item.label, attributes, written, vector.astype("<f4").tobytes())


def read_item(row: ItemRow) -> Item:
    """The item that `write_item` wrote."""
    vector = np.frombuffer(row.vector, "<f4").astype(np.float32)
    return Item(row.id, vector, row.label, json.loads(row.attributes), read_source(row.source))


def read_source(text: str) -> Source | None:
    """The source of a row that has this text."""
    return Source(*json.loads(text)) if text else None
