"""Items as rows of the database: attributes and source as JSON texts, the vector as bytes."""

import json

import numpy as np
from jaxtyping import Float32

from gfp_serve.gallery.embedded.schema import ItemRow
from gfp_serve.items import Item, Source


def write_item(item: Item, vector: Float32[np.ndarray, " embedding_size"]) -> ItemRow:
    """The row of an item, with this vector instead of its own. The row has no number yet."""
    attributes = json.dumps(dict(item.attributes)) if item.attributes else "{}"
    source = item.source
    written = "" if source is None else json.dumps([source.recording, source.start_s, source.end_s])
    return ItemRow(0, item.id, item.label, attributes, written, vector.astype("<f4").tobytes())


def read_item(row: ItemRow) -> Item:
    """The item that `write_item` wrote."""
    vector = np.frombuffer(row.vector, "<f4").astype(np.float32)
    return Item(row.id, vector, row.label, json.loads(row.attributes), read_source(row.source))


def read_source(text: str) -> Source | None:
    """The source that a row stores as this text; None for the empty text."""
    return Source(*json.loads(text)) if text else None
