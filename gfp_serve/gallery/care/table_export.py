"""Writing a gallery's items into a table; see `table_format`."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from gfp_serve.errors import GalleryError, quoted
from gfp_serve.extras import load
from gfp_serve.files import replacing
from gfp_serve.gallery.care.table_format import (
    FORMAT_VERSION,
    METADATA_PREFIX,
    MOTION_COLUMN,
    PARQUET_ENDING,
    check_ending,
    rows_at_once,
)
from gfp_serve.gallery.embedded.item_store import ItemStore
from gfp_serve.gallery.embedded.schema import GalleryState, ItemRow


def export_table(folder: Path, file: Path, *, on_progress: Callable[[int, int], None]) -> int:
    """Write a gallery's items into a new table, in the order of the last upserts; return how many there are.

    A server may have the gallery open: the table contains it as it was at the beginning. `on_progress` is called with
    the number of rows that are written, and the number of all rows. Items that an upsert would refuse today, which an
    earlier release took, are written as they are.

    Raises `GalleryError` if the gallery is damaged or the file exists already, and `MissingExtraError` if pyarrow is
    not installed.
    """
    check_ending(file)
    _refuse_existing(file)
    with closing(ItemStore.open_for_reading(folder)) as store:
        state = store.state
        schema = _schema(state)
        num_rows = 0
        # Motion of people: only the owner may read it.
        with replacing(file, mode=0o600) as unfinished, _writer(file, unfinished, schema) as writer:
            with_motions = bool(state.num_motions)
            chunk = rows_at_once(state.embedding_size, with_motions=with_motions)
            for rows in store.rows(chunk=chunk, with_motions=with_motions):
                try:
                    batch = _batch_of(rows, schema)
                except (ValueError, TypeError, OverflowError, LookupError, RecursionError) as error:
                    raise GalleryError(
                        f"one of {quoted(rows[0].id)} to {quoted(rows[-1].id)} does not fit into a table ({error}); "
                        f"`gfp gallery check` names it, and `gfp gallery repair` clears what an upsert would refuse."
                    ) from error
                writer.write_batch(batch)
                num_rows += len(rows)
                on_progress(num_rows, state.num_items)
            _refuse_existing(file)  # another process may have written it meanwhile
    return num_rows


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise GalleryError(f"{file} exists already and is not overwritten; remove it, or name another file.")


def _schema(state: GalleryState) -> Any:
    arrow = load("pyarrow")
    about = {
        "format_version": str(FORMAT_VERSION),
        "encoder_digest": state.encoder_digest,
        "embedding_size": str(state.embedding_size),
        "index_kind": state.index_kind,
    }
    return arrow.schema(
        {
            "id": arrow.string(),
            "vector": arrow.list_(arrow.float32(), state.embedding_size),
            "label": arrow.string(),
            "attributes": arrow.string(),
            "source_recording": arrow.string(),
            "source_start_s": arrow.float64(),
            "source_end_s": arrow.float64(),
            **({MOTION_COLUMN: arrow.binary()} if state.num_motions else {}),
        },
        metadata={f"{METADATA_PREFIX}{key}": value for key, value in about.items()},
    )


def _writer(file: Path, unfinished: Path, schema: Any) -> Any:
    if file.suffix == PARQUET_ENDING:
        # Numbers of vectors hardly repeat, and looking for repetitions takes time.
        texts = ["label", "attributes", "source_recording"]
        return load("pyarrow.parquet").ParquetWriter(unfinished, schema, use_dictionary=texts)
    return load("pyarrow.ipc").new_file(str(unfinished), schema)


def _batch_of(rows: Sequence[ItemRow], schema: Any) -> Any:
    arrow = load("pyarrow")
    sources = [json.loads(row.source) if row.source else (None, None, None) for row in rows]
    numbers = arrow.array(np.frombuffer(b"".join(row.vector for row in rows), "<f4"))
    columns = [
        arrow.array([row.id for row in rows], arrow.string()),
        arrow.FixedSizeListArray.from_arrays(numbers, schema.field("vector").type.list_size),
        arrow.array([row.label for row in rows], arrow.string()),
        arrow.array([row.attributes for row in rows], arrow.string()),
        *(
            arrow.array([source[place] for source in sources], kind)
            for place, kind in enumerate((arrow.string(), arrow.float64(), arrow.float64()))
        ),
    ]
    if MOTION_COLUMN in schema.names:
        columns.append(arrow.array([row.motion or None for row in rows], arrow.binary()))
    return arrow.record_batch(columns, schema=schema)
