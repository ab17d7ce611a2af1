"""Galleries as tables for other tools: Parquet (`.parquet`) and Arrow (`.arrow`) files. Needs the extra `parquet`.

Required columns: `id`, text; `vector`, a list of numbers, of the same length in every row. Optional columns: `label`,
text; `attributes`, JSON; `source_recording`, text; `source_start_s` and `source_end_s`, seconds; `kept_motion`, the
bytes of `kept_motion.KeptMotion.packed`. Other columns are ignored. The schema's metadata says which encoder made the
vectors.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gfp_serve.errors import InvalidRequestError
from gfp_serve.extras import load

FORMAT_VERSION = 1
PARQUET_ENDING = ".parquet"
# The optional column of motions, which may be most of the file.
MOTION_COLUMN = "kept_motion"
_ENDINGS = (PARQUET_ENDING, ".arrow")
# Our keys in the schema's metadata begin with this.
METADATA_PREFIX = "gfp_serve."

# Bytes of vectors that are in memory at a time, and the bounds of their number.
_BATCH_BYTES = 2**24
_FEWEST_ROWS, _MOST_ROWS = 256, 16384
# What the motion of two bodies takes.
_MOTION_BYTES = 2**13


def rows_at_once(embedding_size: int, *, with_motions: bool = False) -> int:
    """How many rows of this vector length are read or written at a time."""
    row_bytes = 4 * embedding_size + (_MOTION_BYTES if with_motions else 0)
    return min(max(_BATCH_BYTES // row_bytes, _FEWEST_ROWS), _MOST_ROWS)


def check_ending(file: Path) -> None:
    """Raise `InvalidRequestError` for a file name that is not that of a table."""
    if file.suffix not in _ENDINGS:
        raise InvalidRequestError(
            f"{file} ends in {file.suffix!r}; the name of a table ends in {' or '.join(_ENDINGS)}."
        )


def check_columns(file: Path, schema: Any) -> None:
    """Raise `InvalidRequestError` for a column that is missing or has the wrong type."""
    types = dict(zip(schema.names, schema.types, strict=True))
    for name in COLUMNS:
        if schema.names.count(name) > 1:
            raise InvalidRequestError(f"{file} has {schema.names.count(name)} columns {name!r}; write it with one.")
    for name in ("id", "vector"):
        if name not in types:
            raise InvalidRequestError(
                f"{file} has no column {name!r}; 'id' (text) and 'vector' (lists of numbers) are required, and "
                f"{', '.join(map(repr, list(COLUMNS)[2:]))} are optional. It has the columns "
                f"{', '.join(map(repr, schema.names[:20])) or '(none)'}."
            )
    for name, (fits, expected) in COLUMNS.items():
        if name in types and not fits(types[name]):
            raise InvalidRequestError(
                f"the column {name!r} of {file} has the type {types[name]}; it must be {expected}."
            )


def is_nested(column_type: Any) -> bool:
    """Whether each value is a record or a map."""
    types = load("pyarrow").types
    return bool(types.is_struct(column_type) or types.is_map(column_type))


def _is_text(column_type: Any) -> bool:
    types = load("pyarrow").types
    column_type = column_type.value_type if types.is_dictionary(column_type) else column_type
    return bool(types.is_string(column_type) or types.is_large_string(column_type) or types.is_null(column_type))


def _is_number(column_type: Any) -> bool:
    types = load("pyarrow").types
    return bool(types.is_floating(column_type) or types.is_integer(column_type) or types.is_null(column_type))


def _is_vector(column_type: Any) -> bool:
    types = load("pyarrow").types
    is_list = types.is_list(column_type) or types.is_large_list(column_type) or types.is_fixed_size_list(column_type)
    return bool(is_list) and _is_number(column_type.value_type)


def _is_bytes(column_type: Any) -> bool:
    types = load("pyarrow").types
    return bool(types.is_binary(column_type) or types.is_large_binary(column_type) or types.is_null(column_type))


def _is_json(column_type: Any) -> bool:
    return _is_text(column_type) or is_nested(column_type)


# What each column must be: a check of its type, and the type as an error names it.
COLUMNS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text, "text"),
    "vector": (_is_vector, "lists of numbers"),
    "label": (_is_text, "text"),
    "attributes": (_is_json, "JSON as text"),
    "source_recording": (_is_text, "text"),
    "source_start_s": (_is_number, "seconds as numbers"),
    "source_end_s": (_is_number, "seconds as numbers"),
    MOTION_COLUMN: (_is_bytes, "bytes"),
}
