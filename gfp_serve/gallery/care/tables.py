"""Galleries as tables for other tools: Parquet (`.parquet`) and Arrow (`.arrow`). Needs the extra `parquet`.

Columns that are needed: `id`, text; `vector`, a list of as many numbers in every row. Those that may be there:
`label`, text; `attributes`, JSON; `source_recording`, text; `source_start_s` and `source_end_s`, seconds. Others are
passed over. The schema's metadata says which encoder gave the vectors.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float32

from gfp_serve.errors import DamagedFileError, EncoderMismatchError, GalleryError, InvalidRequestError
from gfp_serve.extras import load
from gfp_serve.files import replacing
from gfp_serve.gallery.embedded.folders import gallery_folder
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.gallery.embedded.item_codec import read_source
from gfp_serve.gallery.embedded.item_store import DATABASE_FILE, ItemRow, ItemStore
from gfp_serve.gallery.protocols import check_name
from gfp_serve.items import (
    DEFAULT_GALLERY,
    IndexKind,
    Item,
    Source,
)

FORMAT_VERSION = 1
_ENDINGS = (".parquet", ".arrow")
_METADATA = "gfp_serve."
_TEXTS = ("id", "label", "attributes", "source_recording")

# Vectors that are in memory at a time, in bytes, and the bounds of their number.
_BATCH_BYTES = 2**24
_FEWEST_ROWS, _MOST_ROWS = 256, 16384


@dataclass(frozen=True, slots=True)
class About:
    """What a table says of itself; None where it does not."""

    num_rows: int
    encoder_digest: str | None
    index_kind: IndexKind | None


def export_table(folder: Path, file: Path, *, on_progress: Callable[[int, int], None]) -> int:
    """Write a gallery's items into a new table, in the order of the last upserts; return how many there are.

    A server may have the gallery open: the table has it as it is at the begin. `on_progress` is told how many rows of
    how many are written. Raises `GalleryError` when the gallery is damaged or the file is there already,
    `MissingExtraError` when pyarrow is not installed.
    """
    arrow, write = load("pyarrow"), _writer_of(file)
    if file.exists():
        raise GalleryError(f"{file} exists already, and is not replaced; remove it, or name another file.")
    with closing(ItemStore.beside(folder)) as store:
        state = store.state
        about = {
            "format_version": str(FORMAT_VERSION),
            "encoder_digest": state.encoder_digest,
            "embedding_size": str(state.embedding_size),
            "index_kind": state.index_kind,
        }
        schema = arrow.schema(
            {
                "id": arrow.string(),
                "vector": arrow.list_(arrow.float32(), state.embedding_size),
                "label": arrow.string(),
                "attributes": arrow.string(),
                "source_recording": arrow.string(),
                "source_start_s": arrow.float64(),
                "source_end_s": arrow.float64(),
            },
            metadata={f"{_METADATA}{key}": value for key, value in about.items()},
        )
        num_rows = 0
        # Motion of people: only the owner may read it.
        with replacing(file, mode=0o600) as unfinished, write(unfinished, schema) as writer:
            for rows in store.rows(chunk=_rows_at_once(state.embedding_size)):
                writer.write_batch(_batch_of(rows, schema))
                num_rows += len(rows)
                on_progress(num_rows, state.num_items)
    return num_rows


def import_table(
    file: Path,
    root: Path,
    name: str = DEFAULT_GALLERY,
    *,
    encoder_digest: str | None = None,
    on_progress: Callable[[int, int], None],
) -> int:
    """Bring the rows of a table into the gallery ROOT/NAME, which no server has open; return how many there are.

    A gallery that is not there is made. Items of the same ids are replaced, so that an import that was interrupted is
    just made again. `encoder_digest` is needed where the table does not say which encoder gave its vectors. Memory is
    that of a batch and of the gallery.

    Raises `DamagedFileError` for a file that is no such table, `InvalidRequestError` for a row that is no item,
    `EncoderMismatchError` when another encoder filled the gallery, and what opening it raises. Rows before the wrong
    one are in the gallery then.
    """
    check_name(name)
    folder = gallery_folder(root, name)
    with ExitStack() as opened:
        about, batches = _read(file, opened)
        said, asked = about.encoder_digest, encoder_digest
        if said is not None and asked is not None and said != asked:
            raise EncoderMismatchError(
                f"{file} says that its vectors are of encoder {said[:12]}, --encoder-digest says {asked[:12]}; leave "
                f"the option out."
            )
        digest = said or asked
        if digest is None:
            raise InvalidRequestError(
                f"{file} does not say which encoder gave its vectors; give --encoder-digest, which `gfp info` shows of "
                f"a server that runs it."
            )
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


def _gallery_at(root: Path, folder: Path, encoder_digest: str, embedding_size: int, about: About) -> FaissGallery:
    if not root.exists():
        root.mkdir(mode=0o700, parents=True)
    if (folder / DATABASE_FILE).exists():
        return FaissGallery.open_or_create(folder, encoder_digest=encoder_digest, embedding_size=embedding_size)
    return FaissGallery.create(
        folder, encoder_digest=encoder_digest, embedding_size=embedding_size, index_kind=about.index_kind or "auto"
    )


def _batch_of(rows: Sequence[ItemRow], schema: Any) -> Any:
    arrow = load("pyarrow")
    sources = [read_source(row.source) for row in rows]
    numbers = arrow.array(np.frombuffer(b"".join(row.vector for row in rows), "<f4"))
    columns = [
        arrow.array([row.id for row in rows], arrow.string()),
        arrow.FixedSizeListArray.from_arrays(numbers, schema.field("vector").type.list_size),
        arrow.array([row.label for row in rows], arrow.string()),
        arrow.array([row.attributes for row in rows], arrow.string()),
        arrow.array([source and source.recording for source in sources], arrow.string()),
        arrow.array([source and source.start_s for source in sources], arrow.float64()),
        arrow.array([source and source.end_s for source in sources], arrow.float64()),
    ]
    return arrow.record_batch(columns, schema=schema)


def _read(file: Path, opened: ExitStack) -> tuple[About, Iterator[list[Item]]]:
    """What the table says of itself, and its items in batches. It is closed with `opened`."""
    arrow = load("pyarrow")
    _check_ending(file)
    if not file.is_file():
        raise InvalidRequestError(f"there is no file {file}; check the path.")
    try:
        if file.suffix == ".parquet":
            table = opened.enter_context(load("pyarrow.parquet").ParquetFile(file))
            schema, num_rows = table.schema_arrow, table.metadata.num_rows
        else:
            mapped = opened.enter_context(arrow.memory_map(str(file)))
            table = opened.enter_context(load("pyarrow.ipc").open_file(mapped))
            schema, num_rows = table.schema, sum(table.get_batch(n).num_rows for n in range(table.num_record_batches))
    except (arrow.ArrowException, OSError) as error:
        raise DamagedFileError(f"{file} is damaged, or not of the kind that its name says: {error}") from error
    _check_columns(file, schema)
    said = {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()
    }
    version = said.get(f"{_METADATA}format_version", str(FORMAT_VERSION))
    if version != str(FORMAT_VERSION):
        raise InvalidRequestError(
            f"{file} has format {version}, this release reads format {FORMAT_VERSION}; use the release that wrote it."
        )
    index_kind = said.get(f"{_METADATA}index_kind")
    about = About(
        num_rows,
        said.get(f"{_METADATA}encoder_digest"),
        index_kind if index_kind in get_args(IndexKind) else None,
    )
    return about, _items(file, _record_batches(file, table, [name for name in schema.names if name in _COLUMNS]))


def _record_batches(file: Path, table: Any, columns: list[str]) -> Iterator[Any]:
    """Batches of the columns that are used, small enough for memory."""
    arrow = load("pyarrow")
    try:
        if file.suffix == ".parquet":
            # How long vectors are is not known yet, and a batch is read at once: a few rows tell.
            size = next((_length_of(batch) for batch in table.iter_batches(1, columns=["vector"])), 1)
            yield from table.iter_batches(_rows_at_once(size), columns=columns)
            return
        for number in range(table.num_record_batches):
            batch = table.get_batch(number).select(columns)
            step = _rows_at_once(_length_of(batch))
            yield from (batch.slice(start, step) for start in range(0, batch.num_rows, step))
    except (arrow.ArrowException, OSError) as error:
        raise DamagedFileError(f"{file} is damaged: {error}") from error


def _items(file: Path, batches: Iterator[Any]) -> Iterator[list[Item]]:
    arrow = load("pyarrow")
    num_rows, embedding_size = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name in _TEXTS:
            kind = columns[name].type if name in columns else None
            if kind is not None and not (name == "attributes" and _is_nested(kind)):
                columns[name] = columns[name].cast(arrow.string())
        vectors = _vectors_of(file, columns.pop("vector"), num_rows, embedding_size)
        embedding_size = vectors.shape[1]
        texts = (column.to_pylist() for column in columns.values())
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*texts, strict=True)]
        yield [
            _item(file, num_rows + number, row, vector)
            for number, (row, vector) in enumerate(zip(rows, vectors, strict=True), 1)
        ]
        num_rows += batch.num_rows


def _vectors_of(
    file: Path, column: Any, num_before: int, embedding_size: int | None
) -> Float32[np.ndarray, "num_rows embedding_size"]:
    lengths = np.asarray(load("pyarrow.compute").list_value_length(column).fill_null(0))
    size = int(lengths[0]) if embedding_size is None else embedding_size
    wrong = np.flatnonzero(lengths != size)
    if size == 0 or len(wrong):
        row = 0 if size == 0 else int(wrong[0])
        raise InvalidRequestError(
            f"{file}, row {num_before + row + 1}: the vector has {lengths[row]} numbers; every row needs as many as "
            f"the encoder gives" + ("." if size == 0 else f", {size} as the rows before.")
        )
    numbers = column.flatten().cast(load("pyarrow").float64()).fill_null(float("nan"))
    return np.asarray(numbers).astype(np.float32).reshape(len(lengths), size)


def _item(file: Path, number: int, row: dict[str, Any], vector: Float32[np.ndarray, " embedding_size"]) -> Item:
    where = f"{file}, row {number}"
    id, recording = row["id"], row.get("source_recording")
    if id is None:
        raise InvalidRequestError(f"{where}: it has no id; every row needs one.")
    attributes = row.get("attributes") or {}
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes)
        except ValueError as error:
            raise InvalidRequestError(f"{where}: the attributes of {id!r} are no JSON ({error}).") from error
    elif isinstance(attributes, list):  # pairs of an Arrow map
        attributes = dict(attributes)
    if not isinstance(attributes, dict):
        raise InvalidRequestError(f"{where}: the attributes of {id!r} are {attributes!r}; a JSON object is needed.")
    source = None
    if recording is not None:
        start_s, end_s = (float(row.get(key) or 0.0) for key in ("source_start_s", "source_end_s"))
        source = Source(recording, start_s, end_s)
    # A column of records has every key in each row, with null where there is none.
    kept = {key: value for key, value in attributes.items() if value is not None}
    return Item(id, vector, row.get("label") or "", kept, source)


def _check_columns(file: Path, schema: Any) -> None:
    kinds = dict(zip(schema.names, schema.types, strict=True))
    for name in ("id", "vector"):
        if name not in kinds:
            raise InvalidRequestError(
                f"{file} has no column {name!r}; needed are 'id' (text) and 'vector' (lists of numbers), and "
                f"{', '.join(map(repr, list(_COLUMNS)[2:]))} may be there. It has "
                f"{', '.join(map(repr, schema.names[:20])) or 'none'}."
            )
    for name, (fits, expected) in _COLUMNS.items():
        if name in kinds and not fits(kinds[name]):
            raise InvalidRequestError(f"the column {name!r} of {file} is of type {kinds[name]}; {expected} is needed.")


def _is_text(kind: Any) -> bool:
    is_kind = load("pyarrow").types
    kind = kind.value_type if is_kind.is_dictionary(kind) else kind
    return bool(is_kind.is_string(kind) or is_kind.is_large_string(kind) or is_kind.is_null(kind))


def _is_number(kind: Any) -> bool:
    is_kind = load("pyarrow").types
    return bool(is_kind.is_floating(kind) or is_kind.is_integer(kind) or is_kind.is_null(kind))


def _is_vector(kind: Any) -> bool:
    is_kind = load("pyarrow").types
    is_list = is_kind.is_list(kind) or is_kind.is_large_list(kind) or is_kind.is_fixed_size_list(kind)
    return bool(is_list) and _is_number(kind.value_type)


def _is_nested(kind: Any) -> bool:
    is_kind = load("pyarrow").types
    return bool(is_kind.is_struct(kind) or is_kind.is_map(kind))


def _is_json(kind: Any) -> bool:
    return _is_text(kind) or _is_nested(kind)


# What each column must be, and that in words.
_COLUMNS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text, "text"),
    "vector": (_is_vector, "a list of numbers"),
    "label": (_is_text, "text"),
    "attributes": (_is_json, "JSON as text"),
    "source_recording": (_is_text, "text"),
    "source_start_s": (_is_number, "seconds"),
    "source_end_s": (_is_number, "seconds"),
}


def _length_of(batch: Any) -> int:
    if not batch.num_rows:
        return 1
    return load("pyarrow.compute").list_value_length(batch.column("vector")[:1])[0].as_py() or 1


def _rows_at_once(embedding_size: int) -> int:
    return min(max(_BATCH_BYTES // (4 * embedding_size), _FEWEST_ROWS), _MOST_ROWS)


def _writer_of(file: Path) -> Callable[[Path, Any], Any]:
    _check_ending(file)
    if file.suffix == ".parquet":
        parquet = load("pyarrow.parquet")
        # Numbers of vectors hardly repeat, and looking for repeats costs time.
        texts = ["label", "attributes", "source_recording"]
        return lambda path, schema: parquet.ParquetWriter(path, schema, use_dictionary=texts)
    ipc = load("pyarrow.ipc")
    return lambda path, schema: ipc.new_file(str(path), schema)


def _check_ending(file: Path) -> None:
    if file.suffix not in _ENDINGS:
        raise InvalidRequestError(f"{file} ends in {file.suffix!r}; a table's name ends in {' or '.join(_ENDINGS)}.")
