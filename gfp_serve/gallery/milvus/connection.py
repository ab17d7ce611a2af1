"""The connection to Milvus: addresses, collections and their properties, errors. Only this file imports pymilvus."""

import importlib.util
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfp_serve.errors import (
    ClosedError,
    GalleryError,
    GalleryNotFoundError,
    GfpError,
    InvalidRequestError,
    MissingExtraError,
    UnavailableError,
)
from gfp_serve.extras import missing
from gfp_serve.gallery.milvus.index_parameters import index_parameters
from gfp_serve.gallery.milvus.rows import (
    FACT_LENGTH,
    KEY_LENGTH,
    MAX_FACTS,
    MAX_ID_BYTES,
    MAX_LABEL_BYTES,
)
from gfp_serve.items import DEFAULT_GALLERY, IndexKind

FORMAT_VERSION = 1

# Time limits in seconds: to reach a server, for one call, and to load a collection into the memory of Milvus.
_CONNECT_S = 3.0
CALL_S = 5.0
_LOAD_S = 300.0

# The names of our properties of a collection begin with this.
_PROPERTY_PREFIX = "gfp."
# The gallery "a-b" is the collection PREFIX__a_mb. No gallery name begins with "_", so these are free.
_CHANGES = "_changes"
_MOTIONS = "_motions"
# Milvus's limit of a text. The largest motion that is kept needs less.
_MAX_MOTION_BYTES = 65_535
_LITE_PREFIX = "gfp"

# How many connections use each file. milvus-lite runs one server per file in this process, and does not count itself.
_lite_files: Counter[Path] = Counter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a gallery is, as the properties of its collection say. No two galleries ever have the same `uid`."""

    name: str
    uid: str
    encoder_digest: str
    embedding_size: int
    index_kind: IndexKind

    def properties(self) -> dict[str, str]:
        values = {name: str(getattr(self, name)) for name in self.__slots__}
        return {f"{_PROPERTY_PREFIX}{name}": value for name, value in {"format": str(FORMAT_VERSION), **values}.items()}

    @classmethod
    def from_properties(cls, collection: str, properties: dict[str, str]) -> "Identity":
        found = {name.removeprefix(_PROPERTY_PREFIX): value for name, value in properties.items()}
        version = found.pop("format", None)
        if version is None:
            raise GalleryError(
                f"the collection {collection!r} exists already and is not a gallery; choose another prefix."
            )
        if version != str(FORMAT_VERSION):
            raise GalleryError(
                f"the gallery in the collection {collection!r} has format {version}; this release reads format "
                f"{FORMAT_VERSION}: use the release that wrote it, or fill a new gallery."
            )
        return cls(**{**found, "embedding_size": int(found["embedding_size"])})  # type: ignore[arg-type]


class Connection:
    """The collections with one prefix on one server. Errors of Milvus become ours, and every call has a time limit."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lite, uri, self.prefix = _parsed(address)
        try:
            import pymilvus
        except ModuleNotFoundError as error:
            raise missing(error) from error
        if self._lite is not None and importlib.util.find_spec("milvus_lite") is None:
            raise MissingExtraError(
                f"{address} needs milvus-lite, which is not installed. It is not part of any extra, because it brings "
                f"faiss-cpu. Install it with pip install milvus-lite, or name a server: milvus://HOST:PORT/PREFIX."
            )
        # pymilvus logs each error with a traceback before it raises it. Our errors say the same in one line.
        for name in ("pymilvus", "pymilvus.milvus_client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._pymilvus = pymilvus
        if self._lite is not None:
            _lite_files[self._lite] += 1
        try:
            self.client = pymilvus.MilvusClient(uri, timeout=_CONNECT_S, dedicated=True)
        except pymilvus.MilvusException as error:
            self._release()
            raise UnavailableError(
                f"no Milvus answers at {address} ({error.message}); start it, or check the address."
            ) from error
        self.closed = False

    @property
    def changes(self) -> str:
        """The collection that counts changes. It has a row for each gallery and each process that wrote to it."""
        return f"{self.prefix}__{_CHANGES}"

    @property
    def motions(self) -> str:
        """The collection of the motions that galleries keep. It is made when the first one is kept."""
        return f"{self.prefix}__{_MOTIONS}"

    @property
    def is_lite(self) -> bool:
        return self._lite is not None

    def collection(self, name: str) -> str:
        if name == DEFAULT_GALLERY:
            return self.prefix
        return f"{self.prefix}__{name.replace('_', '__').replace('-', '_m')}"

    def names(self) -> list[str]:
        """The names of the galleries, sorted. Collections that are not galleries are skipped."""
        with self.errors_translated():
            collections = self.client.list_collections(timeout=CALL_S)
        ours = [name for name in collections if name == self.prefix or name.startswith(f"{self.prefix}__")]
        found = {
            collection: self._properties(collection)
            for collection in ours
            if collection not in (self.changes, self.motions)
        }
        return sorted(
            Identity.from_properties(name, properties).name for name, properties in found.items() if properties
        )

    def identity(self, name: str) -> Identity | None:
        """What the gallery with this name is; None if there is none."""
        properties = self._properties(self.collection(name))
        return None if properties is None else Identity.from_properties(self.collection(name), properties)

    def _properties(self, collection: str) -> dict[str, str] | None:
        with self.errors_translated():
            if not self.client.has_collection(collection, timeout=CALL_S):
                return None
            described = self.client.describe_collection(collection, timeout=CALL_S)
        return {name: value for name, value in described["properties"].items() if name.startswith(_PROPERTY_PREFIX)}

    def create(self, identity: Identity) -> None:
        """Make the gallery's collection, unless another server has just made it; call `identity` to find out.

        `load` then makes its index, also if an earlier `create` was interrupted.
        """
        types = self._pymilvus.DataType
        schema = self._schema(identity.embedding_size)
        schema.add_field("id", types.VARCHAR, max_length=MAX_ID_BYTES)
        schema.add_field("label", types.VARCHAR, max_length=MAX_LABEL_BYTES)
        schema.add_field("attributes", types.JSON)
        schema.add_field("source", types.JSON)
        schema.add_field(
            "facts", types.ARRAY, element_type=types.VARCHAR, max_length=FACT_LENGTH, max_capacity=MAX_FACTS
        )
        schema.add_field("numbers", types.JSON)
        schema.add_field("seq", types.INT64)
        self._create(self.collection(identity.name), schema, identity.properties())

    def create_changes(self) -> None:
        with self.errors_translated():
            if self.client.has_collection(self.changes, timeout=CALL_S):
                return
        types = self._pymilvus.DataType
        schema = self._schema(embedding_size=2)  # Milvus requires a vector in every collection
        schema.add_field("gallery", types.VARCHAR, max_length=KEY_LENGTH)
        schema.add_field("count", types.INT64)
        self._create(self.changes, schema, {})

    def has_motions(self) -> bool:
        """Whether the collection of motions is there."""
        with self.errors_translated():
            return bool(self.client.has_collection(self.motions, timeout=CALL_S))

    def create_motions(self) -> None:
        """Make the collection of motions, unless another server has just made it, and load it."""
        types = self._pymilvus.DataType
        schema = self._schema(embedding_size=2)
        schema.add_field("gallery", types.VARCHAR, max_length=KEY_LENGTH)
        schema.add_field("seq", types.INT64)
        schema.add_field("motion", types.VARCHAR, max_length=_MAX_MOTION_BYTES)
        self._create(self.motions, schema, {})
        self.load(self.motions, "exact", 2)

    def load(self, collection: str, kind: IndexKind, embedding_size: int) -> None:
        """Make the collection's index if it has none yet, and load it into the memory of Milvus."""
        with self.errors_translated():
            if not self.client.list_indexes(collection, timeout=CALL_S):
                index = self.client.prepare_index_params()
                index.add_index("vector", metric_type="COSINE", **index_parameters(kind, embedding_size))
                self.client.create_index(collection, index, sync=False, timeout=CALL_S)
            self.client.load_collection(collection, timeout=_LOAD_S)

    @contextmanager
    def errors_translated(self) -> Iterator[None]:
        """Turn errors of Milvus, or of the connection to it, into ours during the `with` block."""
        if self.closed:
            raise ClosedError(f"the galleries at {self.address} are closed; open them again.")
        try:
            yield
        except GfpError:
            raise
        except Exception as error:
            raise self._translated(error) from error

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.client.close()
        self._release()

    def _release(self) -> None:
        if self._lite is None:
            return
        _lite_files[self._lite] -= 1
        if not _lite_files[self._lite]:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(str(self._lite))

    def _schema(self, embedding_size: int) -> Any:
        types = self._pymilvus.DataType
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", types.VARCHAR, is_primary=True, max_length=KEY_LENGTH)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=embedding_size)
        return schema

    def _create(self, collection: str, schema: Any, properties: dict[str, str]) -> None:
        try:
            with self.errors_translated():
                self.client.create_collection(
                    collection, schema=schema, consistency_level="Strong", properties=properties, timeout=CALL_S
                )
        except GalleryError:
            # If several servers make it at the same time, the first one succeeds and Milvus refuses the others.
            with self.errors_translated():
                if not self.client.has_collection(collection, timeout=CALL_S):
                    raise

    def _translated(self, error: Exception) -> GfpError:
        code = getattr(error, "code", None)
        code = code() if callable(code) else code  # gRPC errors have it as a method
        if code == 100:
            return GalleryNotFoundError(
                f"a gallery at {self.address} does not exist any more, because it was dropped; create it again."
            )
        # Codes of Milvus are numbers: 1 means "not ready", 2 "unavailable". Other codes are those of gRPC.
        if not isinstance(code, int) or code in (1, 2):
            return UnavailableError(
                f"Milvus at {self.address} does not answer ({_first_line(error)}); check that it runs, then try again."
            )
        return GalleryError(f"Milvus at {self.address} refused: {_first_line(error)}; check its log.")


def _parsed(address: str) -> tuple[Path | None, str, str]:
    """Split an address into milvus-lite's file (or None), the URI for pymilvus, and the prefix of the collections."""
    lite = re.fullmatch(r"milvus\+lite://(.+\.db)", address)
    if lite:
        path = Path(lite[1]).absolute()
        return path, str(path), _LITE_PREFIX
    # Two underscores separate prefix and name, so a prefix has only single ones.
    server = re.fullmatch(r"milvus://([^/@\s]+:\d+)/([A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*)", address)
    if server is None:
        raise InvalidRequestError(
            f"{address!r} is not an address of galleries in Milvus; write milvus://HOST:PORT/PREFIX, where the prefix "
            f"has letters, digits and single underscores between them, or milvus+lite://PATH.db for a file."
        )
    return None, f"http://{server[1]}", server[2]


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", None) or getattr(error, "details", None) or str(error)
    return str(text() if callable(text) else text).strip().partition("\n")[0][:300]
