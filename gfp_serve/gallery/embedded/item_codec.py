"""Items as rows of the database: attributes and source as JSON texts, the vector as bytes."""

import json
import logging

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import GfpError, InvalidRequestError, quoted
from gfp_serve.gallery.embedded.schema import ItemRow
from gfp_serve.gallery.protocols import say_left_out
from gfp_serve.items import Item, Source, check_attributes, check_item, check_source
from gfp_serve.kept_motion import KeptMotion, unpack

_log = logging.getLogger(__name__)

# Vectors are stored at length 1, up to the rounding of single precision.
_ROUNDING = 1e-3
# JSON may write 1.0 as 1.
_SOURCE_TYPES = {(str, start, end) for start in (int, float) for end in (int, float)}


def write_item(item: Item, vector: Float32[np.ndarray, " embedding_size"]) -> ItemRow:
    """The row of an item, with this vector instead of its own. The row has no number yet."""
    attributes = json.dumps(dict(item.attributes)) if item.attributes else "{}"
    source = item.source
    written = "" if source is None else json.dumps([source.recording, source.start_s, source.end_s])
    motion = b"" if item.motion is None else item.motion.packed
    return ItemRow(0, item.id, item.label, attributes, written, vector.astype("<f4").tobytes(), motion)


def read_item(row: ItemRow) -> Item:
    """The item that `write_item` wrote, without a source or motion that no caller could be sent; see `read_source`."""
    vector = np.frombuffer(row.vector, "<f4").astype(np.float32)
    motion = read_motion(row.id, row.motion) if row.motion else None
    return Item(row.id, vector, row.label, json.loads(row.attributes), read_source(row.source), motion)


def read_motion(id: str, packed: bytes) -> KeptMotion | None:
    """The motion of the item with this id; None where the log says why."""
    try:
        return unpack(packed)
    except InvalidRequestError as error:
        # Its checksum is right: whoever made the database made that too.
        _log.warning("answers leave out the motion of item %s: %s", quoted(id), error.message)
    return None


def read_source(text: str) -> Source | None:
    """The source that a row stores as this text; None for the empty text, and where `say_left_out` says why."""
    if not text:
        return None
    try:
        return _checked_source(text)
    except InvalidRequestError as error:
        say_left_out(text, error.message)
    return None


def problem_of(row: ItemRow) -> str | None:
    """Why the texts of an item are not those of one that a gallery takes, although its checksum is right; or None.

    An earlier release may have taken it. Also, whoever makes a database can make checksums too. What passes here cannot
    make a later search or export fail.
    """
    problem = problem_of_attributes(row.id, row.attributes) or (problem_of_source(row.source) if row.source else None)
    if problem is not None:
        return problem
    try:
        check_item(read_item(row))
    except InvalidRequestError as error:
        return error.message
    return None


def problem_of_attributes(id: str, text: str) -> str | None:
    """Why this text is not that of attributes that an item may have, or None; `id` is for the message."""
    try:
        attributes = json.loads(text)
        if not isinstance(attributes, dict):
            return "its attributes are not an object of JSON."
        check_attributes(id, attributes)
    except (ValueError, TypeError, RecursionError, GfpError) as error:  # of JSON with other things in it
        return error.message if isinstance(error, GfpError) else f"its attributes are damaged ({error})."
    return None


def problem_of_source(text: str) -> str | None:
    """Why this text is not that of a source that an item may have; or None."""
    try:
        _checked_source(text)
    except InvalidRequestError as error:
        return error.message
    return None


def _checked_source(text: str) -> Source:
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"its source is damaged ({error}).") from error
    if not (isinstance(parts, list) and tuple(map(type, parts)) in _SOURCE_TYPES):
        raise InvalidRequestError("its source is not a recording and two numbers of seconds.")
    source = Source(*parts)
    check_source(source)
    return source


def problem_of_vector(row: ItemRow) -> str | None:
    """Why the vector of an item is not one that a gallery stores, although its checksum is right; or None."""
    vector = np.frombuffer(row.vector, "<f4")
    # NaN, and what is too large for the product, are not near 1 either.
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.sqrt(np.square(vector, dtype=np.float64).sum()))
    return None if abs(length - 1) < _ROUNDING else f"its vector has the length {length:g}, and not 1."
