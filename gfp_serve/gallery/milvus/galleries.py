"""Galleries in Milvus, for more items or more servers than one machine can handle. Needs the extra `milvus`.

Each gallery is a collection, whose properties say what it is. Milvus takes care of storage, sharding, replicas and
consistency. Any number of servers may use the same galleries.
"""

import threading
import uuid
from contextlib import suppress
from typing import get_args

from gfp_serve.errors import GalleryExistsError, GalleryNotFoundError, InvalidRequestError
from gfp_serve.gallery.milvus.connection import Connection, Identity
from gfp_serve.gallery.milvus.gallery import MilvusGallery
from gfp_serve.gallery.protocols import (
    Galleries,
    check_droppable,
    check_name,
    filled_by_another_encoder,
    gallery_exists,
    no_such_gallery,
)
from gfp_serve.items import DEFAULT_GALLERY, IndexKind


def open_milvus(address: str, *, encoder_digest: str, embedding_size: int) -> "MilvusGalleries":
    """Open the galleries at `milvus://HOST:PORT/PREFIX`, or in the file of `milvus+lite://PATH.db`.

    The names of all their collections begin with PREFIX; the default gallery is the collection PREFIX itself. A file is
    for one process, for trials without a server. It needs milvus-lite and does not support the index kind "ivf_pq".

    Raises `InvalidRequestError` for another address, `UnavailableError` if no server answers there within seconds,
    `EncoderMismatchError` if another encoder filled the default gallery, `GalleryError` if the collection with this
    name is not a gallery, and `MissingExtraError` if pymilvus or milvus-lite is not installed.
    """
    return MilvusGalleries(Connection(address), encoder_digest=encoder_digest, embedding_size=embedding_size)


def encoder_of(address: str, name: str = DEFAULT_GALLERY) -> tuple[str, int]:
    """Read the digest and embedding size of the encoder that filled a gallery.

    Raises `GalleryNotFoundError`, and the errors of `open_milvus`.
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
    """The galleries with one prefix. The default gallery is made if it does not exist. See `open_milvus`."""

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
                with suppress(GalleryExistsError):  # another server may make it at the same moment
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
        if opened is not None and not opened.was_dropped:
            return opened
        with self._lock:
            # Another server may have made the gallery since then, or dropped it and made a new one.
            if name not in self._open or self._open[name].was_dropped:
                self._open.pop(name, None)
                self._open[name] = self._open_gallery(name)
            return self._open[name]

    def create(self, name: str, *, index_kind: IndexKind = "auto") -> "MilvusGallery":
        check_name(name)
        if index_kind not in get_args(IndexKind):
            raise InvalidRequestError(f"{index_kind!r} is not an index kind; choose one of {get_args(IndexKind)}.")
        if index_kind == "ivf_pq" and self._connection.is_lite:
            raise InvalidRequestError(
                "milvus-lite does not support the index kind 'ivf_pq'; choose another, or use a Milvus server."
            )
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
                raise gallery_exists(name)
            self._open[name] = self._open_gallery(name)
            return self._open[name]

    def encoder_digests(self) -> dict[str, str]:
        identities = {name: self._connection.identity(name) for name in self._connection.names()}
        return {name: identity.encoder_digest for name, identity in identities.items() if identity is not None}

    def drop(self, name: str) -> int:
        check_droppable(name)
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

    def _open_gallery(self, name: str) -> "MilvusGallery":
        identity = self._connection.identity(name)
        if identity is None:
            raise no_such_gallery(name)
        ours = (self._encoder_digest, self._embedding_size)
        if (identity.encoder_digest, identity.embedding_size) != ours:
            raise filled_by_another_encoder(repr(name), identity.encoder_digest, identity.embedding_size, ours=ours)
        return MilvusGallery(self._connection, identity)
