"""Galleries in Milvus, for more items or more servers than one machine holds. Needs the extra `milvus`.

A gallery is a collection; what it is stands in the collection's properties. Storage, sharding, replicas and consistency
are Milvus's. Any number of servers may use the same galleries.
"""

import threading
import uuid
from contextlib import suppress
from typing import get_args

from gfp_serve.errors import (
    EncoderMismatchError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from gfp_serve.gallery.milvus.connection import Connection, Identity
from gfp_serve.gallery.milvus.gallery import MilvusGallery
from gfp_serve.gallery.protocols import Galleries, check_name
from gfp_serve.items import DEFAULT_GALLERY, IndexKind


def open_milvus(address: str, *, encoder_digest: str, embedding_size: int) -> "MilvusGalleries":
    """The galleries at `milvus://HOST:PORT/PREFIX`, or in the file of `milvus+lite://PATH.db`.

    PREFIX begins the names of all their collections: the default gallery's is the prefix itself. A file is for one
    process, for trials without a server; it needs milvus-lite and has no index kind "ivf_pq".

    Raises `InvalidRequestError` for another address, `UnavailableError` when no server answers there within seconds,
    `EncoderMismatchError` when another encoder filled the default gallery, `GalleryError` when the collection of this
    name is no gallery, `MissingExtraError` when pymilvus or milvus-lite is not installed.
    """
    return MilvusGalleries(Connection(address), encoder_digest=encoder_digest, embedding_size=embedding_size)


def encoder_of(address: str, name: str = DEFAULT_GALLERY) -> tuple[str, int]:
    """Digest and embedding size of the encoder that filled a gallery, for who does not run it.

    Raises `GalleryNotFoundError`, and what `open_milvus` raises.
    """
    connection = Connection(address)
    try:
        identity = connection.identity(name)
        if identity is None:
            raise GalleryNotFoundError(f"there is no gallery {name[:80]!r} at {address}; check the address.")
        return identity.encoder_digest, identity.embedding_size
    finally:
        connection.close()


class MilvusGalleries(Galleries):
    """The galleries below one prefix; the default one is made if it is not there. See `open_milvus`."""

    def __init__(self, connection: Connection, *, encoder_digest: str, embedding_size: int) -> None:
        self._connection = connection
        self._encoder_digest = encoder_digest
        self._embedding_size = embedding_size
        self._lock = threading.Lock()
        self._open: dict[str, MilvusGallery] = {}
        try:
            connection.create_changes()
            connection.load(connection.changes, "exact", 2)
            if connection.identity(DEFAULT_GALLERY) is None:
                with suppress(GalleryExistsError):  # by another server, just now
                    self.create(DEFAULT_GALLERY)
            self[DEFAULT_GALLERY]
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> "MilvusGalleries":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> "MilvusGallery":
        name = name or DEFAULT_GALLERY
        opened = self._open.get(name)
        if opened is not None and not opened.is_gone:
            return opened
        with self._lock:
            # Another server may have made it since, or dropped it and made another.
            if name not in self._open or self._open[name].is_gone:
                self._open.pop(name, None)
                self._open[name] = self._opened(name)
            return self._open[name]

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> "MilvusGallery":
        check_name(name)
        if index_kind not in get_args(IndexKind):
            raise InvalidRequestError(f"{index_kind!r} is no index kind; choose one of {get_args(IndexKind)}.")
        if index_kind == "ivf_pq" and self._connection.is_lite:
            raise InvalidRequestError("milvus-lite has no index kind 'ivf_pq'; choose another, or use a Milvus server.")
        wanted = Identity(
            name=name,
            uid=uuid.uuid4().hex,
            encoder_digest=self._encoder_digest,
            embedding_size=self._embedding_size,
            index_kind=index_kind,
        )
        with self._lock:
            if self._connection.identity(name) is None:
                self._connection.create(wanted)
            if self._connection.identity(name) != wanted:
                raise GalleryExistsError(f"there is a gallery {name!r} already; choose another name, or drop it first.")
            self._open[name] = self._opened(name)
            return self._open[name]

    def encoder_digests(self) -> dict[str, str]:
        identities = {name: self._connection.identity(name) for name in self._connection.names()}
        return {name: identity.encoder_digest for name, identity in identities.items() if identity is not None}

    def drop(self, name: str) -> int:
        if name in ("", DEFAULT_GALLERY):
            raise InvalidRequestError("the default gallery is always there; delete its items instead.")
        self[name]
        with self._lock:
            gallery = self._open.pop(name)
            num_items = len(gallery)
            gallery.drop()
        return num_items

    def close(self) -> None:
        for gallery in self._open.values():
            gallery.close()
        self._connection.close()

    def _opened(self, name: str) -> "MilvusGallery":
        identity = self._connection.identity(name)
        if identity is None:
            raise GalleryNotFoundError(f"there is no gallery {name[:80]!r}; list the galleries, or create it.")
        if (identity.encoder_digest, identity.embedding_size) != (self._encoder_digest, self._embedding_size):
            raise EncoderMismatchError(
                f"the gallery {name!r} was filled by encoder {identity.encoder_digest[:12]} "
                f"({identity.embedding_size} numbers a vector), this server runs {self._encoder_digest[:12]} "
                f"({self._embedding_size} numbers); their vectors cannot be compared. Serve the bundle that filled it, "
                f"or create another gallery."
            )
        return MilvusGallery(self._connection, identity)
