"""Reading the items of a table into a gallery; see `table_format`."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float32, Int64

from gfp_serve.errors import DamagedFileError, EncoderMismatchError, InvalidRequestError, quoted
from gfp_serve.extras import load
from gfp_serve.files import open_ordinary
from gfp_serve.gallery.care.table_format import (
    COLUMNS,
    FORMAT_VERSION,
    METADATA_PREFIX,
    MOTION_COLUMN,
    PARQUET_ENDING,
    check_columns,
    check_ending,
    is_nested,
    rows_at_once,
)
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.schema import DATABASE_FILE
from gfp_serve.gallery.protocols import check_name
from gfp_serve.items import DEFAULT_GALLERY, IndexKind, Item, Source
from gfp_serve.kept_motion import unpack

_TEXTS = ("id", "label", "attributes", "source_recording")

# How many attributes are read at once if they are records or maps, whose texts cannot be measured before.
_MOST_NESTED_ROWS = 256
# Bytes of texts that are in memory at a time.
_BATCH_TEXT_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class _About:
    """What a table says about itself; None where it says nothing."""

    num_rows: int
    encoder_digest: str | None
    index_kind: IndexKind | None


def import_table(
    file: Path,
    root: Path,
    name: str = DEFAULT_GALLERY,
    *,
    encoder_digest: str | None = None,
    on_progress: Callable[[int, int], None],
) -> int:
    """Read the rows of a table into the gallery ROOT/NAME, which no server has open; return how many there are.

    The gallery is made if it does not exist. Items with the same ids are replaced, so an import that was interrupted
    can simply be repeated. `encoder_digest` is required if the table does not say which encoder made its vectors. One
    batch of rows and the gallery are in memory. `on_progress` is called with the number of rows that are done, and the
    number of all rows.

    Raises `DamagedFileError` for a file that is not a table, `InvalidRequestError` for a row that is not a valid item,
    `EncoderMismatchError` if another encoder filled the gallery, and the errors of opening it. The rows before an
    invalid row are then in the gallery.
    """
    check_name(name)
    folder = gallery_folder(root, name)
    with ExitStack() as opened:
        about, batches = _read(file, opened)
        digest = _encoder_digest(file, about.encoder_digest, encoder_digest)
        gallery: FaissGallery | None = None
        num_rows = 0
        for items in batches:
            if gallery is None:
                gallery = opened.enter_context(_gallery_at(root, folder, digest, len(items[0].vector), about))
            try:
                gallery.upsert(items)
            except InvalidRequestError as error:
                where = f"rows {num_rows + 1} to {num_rows + len(items)}"
                if error.index is not None:
                    where = f"row {num_rows + error.index + 1}"
                raise InvalidRequestError(f"{file}, {where}: {error.message}") from error
            num_rows += len(items)
            on_progress(num_rows, about.num_rows)
    if gallery is None:
        raise InvalidRequestError(f"{file} has no rows, so there is nothing to import; check the file.")
    return num_rows


def _encoder_digest(file: Path, in_file: str | None, asked: str | None) -> str:
    if in_file is not None and asked is not None and in_file != asked:
        raise EncoderMismatchError(
            f"{file} says that its vectors come from encoder {in_file[:12]}, but --encoder-digest says {asked[:12]}; "
            f"leave the option out."
        )
    digest = in_file or asked
    if digest is None:
        raise InvalidRequestError(
            f"{file} does not say which encoder made its vectors; give --encoder-digest, as `gfp info` shows it for a "
            f"server with that encoder."
        )
    if not re.fullmatch(r"[\x21-\x7e]{1,256}", digest):
        raise InvalidRequestError(
            f"{quoted(digest)} is not the digest of an encoder; it has letters and digits, as `gfp info` shows it."
        )
    return digest


def _gallery_at(root: Path, folder: Path, encoder_digest: str, embedding_size: int, about: _About) -> FaissGallery:
    if not root.exists():
        root.mkdir(mode=0o700, parents=True)
    if (folder / DATABASE_FILE).exists():
        return FaissGallery.open_or_create(folder, encoder_digest=encoder_digest, embedding_size=embedding_size)
    return FaissGallery.create(
        folder, encoder_digest=encoder_digest, embedding_size=embedding_size, index_kind=about.index_kind or "auto"
    )


def _read(file: Path, opened: ExitStack) -> tuple[_About, Iterator[list[Item]]]:
    """What the table says about itself, and its items in batches. It is closed together with `opened`."""
    arrow = load("pyarrow")
    check_ending(file)
    try:
        open_ordinary(file).close()
    except FileNotFoundError:
        raise InvalidRequestError(f"there is no file {file}; check the path.") from None
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}.") from error
    try:
        if file.suffix == PARQUET_ENDING:
            parquet = load("pyarrow.parquet")
            check_columns(file, schema := parquet.read_schema(file))
            # Texts stay as they are in the file, where a text that many rows share takes little.
            texts = [name for name in _TEXTS if name in schema.names and not is_nested(schema.field(name).type)]
            table = opened.enter_context(parquet.ParquetFile(file, read_dictionary=texts))
            schema, num_rows = table.schema_arrow, table.metadata.num_rows
        else:
            mapped = opened.enter_context(arrow.memory_map(str(file)))
            table = opened.enter_context(load("pyarrow.ipc").open_file(mapped))
            check_columns(file, schema := table.schema)
            num_rows = sum(table.get_batch(n).num_rows for n in range(table.num_record_batches))
    except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise DamagedFileError(f"{file} is damaged, or not of the type that its name says: {error}") from error
    metadata = {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()
    }
    version = metadata.get(f"{METADATA_PREFIX}format_version", str(FORMAT_VERSION))
    if version != str(FORMAT_VERSION):
        raise InvalidRequestError(
            f"{file} has format {version}; this release reads format {FORMAT_VERSION}: use the release that wrote it."
        )
    index_kind = metadata.get(f"{METADATA_PREFIX}index_kind")
    about = _About(
        num_rows,
        metadata.get(f"{METADATA_PREFIX}encoder_digest"),
        index_kind if index_kind in get_args(IndexKind) else None,
    )
    return about, _items(file, _record_batches(file, table, [name for name in schema.names if name in COLUMNS]))


def _record_batches(file: Path, table: Any, columns: list[str]) -> Iterator[Any]:
    """Yield batches of these columns, small enough for memory."""
    arrow = load("pyarrow")
    try:
        if file.suffix == PARQUET_ENDING:
            # A batch is read at once, but the length of the vectors is not known yet: the first row tells.
            size = next((_vector_length(batch) for batch in table.iter_batches(1, columns=["vector"])), 1)
            nested = any(map(is_nested, table.schema_arrow.types))
            most = rows_at_once(size, with_motions=MOTION_COLUMN in columns)
            step = min(most, _MOST_NESTED_ROWS) if nested else most
            yield from table.iter_batches(step, columns=columns)
            return
        for number in range(table.num_record_batches):
            batch = table.get_batch(number).select(columns)
            step = rows_at_once(_vector_length(batch), with_motions=MOTION_COLUMN in columns)
            yield from (batch.slice(start, step) for start in range(0, batch.num_rows, step))
    except (arrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise DamagedFileError(f"{file} is damaged: {error}") from error


def _vector_length(batch: Any) -> int:
    if not batch.num_rows:
        return 1
    return load("pyarrow.compute").list_value_length(batch.column("vector")[:1])[0].as_py() or 1


def _items(file: Path, batches: Iterator[Any]) -> Iterator[list[Item]]:
    arrow = load("pyarrow")
    num_rows, embedding_size = 0, None
    for batch in itertools.chain.from_iterable(_parts(file, each) for each in batches):
        try:
            columns = {name: batch.column(name) for name in batch.schema.names}
            for name in _TEXTS:
                if name in columns and not is_nested(columns[name].type):
                    columns[name] = columns[name].cast(arrow.string())
            vectors = _vectors_of(file, columns.pop("vector"), num_rows, embedding_size)
            embedding_size = vectors.shape[1]
            texts = (column.to_pylist() for column in columns.values())
            rows = [dict(zip(columns, values, strict=True)) for values in zip(*texts, strict=True)]
        except (arrow.ArrowException, ValueError, TypeError, OverflowError, MemoryError) as error:
            where = f"rows {num_rows + 1} to {num_rows + batch.num_rows}"
            raise DamagedFileError(f"{file}, {where}, cannot be read: {error}; write the table again.") from error
        yield [
            _item(file, num_rows + number, row, vector)
            for number, (row, vector) in enumerate(zip(rows, vectors, strict=True), 1)
        ]
        num_rows += batch.num_rows


def _parts(file: Path, batch: Any) -> Iterator[Any]:
    """The batch in parts whose texts fit into memory together. Everything in it is checked first."""
    arrow = load("pyarrow")
    try:
        # What a damaged file says of its own places would otherwise be read without a look.
        batch.validate(full=True)
    except (arrow.ArrowException, ValueError) as error:
        raise DamagedFileError(f"{file} is damaged: {error}; write the table again.") from error
    lengths = np.zeros(batch.num_rows, dtype=np.int64)
    for name in (*_TEXTS, MOTION_COLUMN):
        if name in batch.schema.names and not is_nested(batch.schema.field(name).type):
            lengths += _text_lengths(batch.column(name))
    groups = np.cumsum(lengths) // _BATCH_TEXT_BYTES
    starts = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist()]
    for start, end in itertools.pairwise([*starts, batch.num_rows]):
        if end > start:
            yield batch.slice(start, end - start)


def _text_lengths(column: Any) -> Int64[np.ndarray, " rows"]:
    """The bytes of each text of a column."""
    arrow, compute = load("pyarrow"), load("pyarrow.compute")
    if arrow.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.int64)
    if not arrow.types.is_dictionary(column.type):
        return np.asarray(compute.binary_length(column).cast(arrow.int64()).fill_null(0))
    known = np.asarray(compute.binary_length(column.dictionary).cast(arrow.int64()).fill_null(0))
    places = np.asarray(column.indices.cast(arrow.int64()).fill_null(-1))
    return np.where(places < 0, 0, np.append(known, 0)[places])


def _vectors_of(
    file: Path, column: Any, num_before: int, embedding_size: int | None
) -> Float32[np.ndarray, "num_rows embedding_size"]:
    lengths = np.asarray(load("pyarrow.compute").list_value_length(column).fill_null(0))
    size = int(lengths[0]) if embedding_size is None else embedding_size
    wrong = np.flatnonzero(lengths != size)
    if size == 0 or len(wrong):
        row = 0 if size == 0 else int(wrong[0])
        expected = "the embedding size of the encoder" if size == 0 else f"{size}, like the rows before"
        raise InvalidRequestError(
            f"{file}, row {num_before + row + 1}: the vector has {lengths[row]} numbers; it must have {expected}."
        )
    # Whole numbers beyond 2**53 are rounded. What float32 cannot hold becomes infinite, which no vector may be.
    numbers = column.flatten().cast(load("pyarrow").float64(), safe=False).fill_null(float("nan"))
    with np.errstate(over="ignore"):
        return np.asarray(numbers).astype(np.float32).reshape(len(lengths), size)


def _item(file: Path, number: int, row: dict[str, Any], vector: Float32[np.ndarray, " embedding_size"]) -> Item:
    where = f"{file}, row {number}"
    id, recording = row["id"], row.get("source_recording")
    if id is None:
        raise InvalidRequestError(f"{where}: the id is missing; every row needs one.")
    attributes = row.get("attributes") or {}
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes)
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError(
                f"{where}: the attributes of {quoted(id)} are not JSON that can be read ({error})."
            ) from error
    elif isinstance(attributes, list):  # pairs of an Arrow map
        attributes = dict(attributes)
    if not isinstance(attributes, dict):
        raise InvalidRequestError(
            f"{where}: the attributes of {id!r} are {quoted(repr(attributes))}; they must be a JSON object."
        )
    source = None
    if recording is not None:
        start_s, end_s = (float(row.get(key) or 0.0) for key in ("source_start_s", "source_end_s"))
        source = Source(recording, start_s, end_s)
    # A column of records has every key in each row, with null where a row has no value.
    kept = {key: value for key, value in attributes.items() if value is not None}
    motion = None
    if packed := row.get(MOTION_COLUMN):
        try:
            motion = unpack(packed)
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"{where}: {error.message} Leave out the column {MOTION_COLUMN!r}, or the bytes of this row."
            ) from error
    return Item(id, vector, row.get("label") or "", kept, source, motion)
