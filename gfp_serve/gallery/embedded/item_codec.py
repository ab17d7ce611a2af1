"""Items as rows of the database: attributes and source as JSON texts, the vector as bytes."""

import json

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import GfpError
from gfp_serve.gallery.embedded.schema import ItemRow
from gfp_serve.items import Item, Source, check_attributes, check_item

# Vectors are stored at length 1, up to the rounding of single precision.
_ROUNDING = 1e-3
# JSON may write 1.0 as 1.
_SOURCE_TYPES = [[str, start, end] for start in (int, float) for end in (int, float)]


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


def problem_of(row: ItemRow) -> str | None:
    """Why an item is not one that a gallery takes, although its checksum is right; None if it is one.

    Whoever makes a database can make checksums too. What passes here cannot make a later search or export fail.
    """
    try:
        attributes, source = json.loads(row.attributes), json.loads(row.source or '["", 0, 0]')
        if not isinstance(attributes, dict):
            return "its attributes are not an object of JSON."
        if not (isinstance(source, list) and list(map(type, source)) in _SOURCE_TYPES):
            return "its source is not a recording and two numbers of seconds."
        check_attributes(row.id, attributes)
        item = read_item(row)
        check_item(item)
    except (
        ValueError,
        TypeError,
        RecursionError,
        GfpError,
    ) as error:  # of JSON with other things in it
        return error.message if isinstance(error, GfpError) else f"its attributes or source are damaged ({error})."
    # NaN, and what is too large for the product, are not near 1 either.
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.sqrt(np.square(item.vector, dtype=np.float64).sum()))
    return None if abs(length - 1) < _ROUNDING else f"its vector has the length {length:g}, and not 1."
