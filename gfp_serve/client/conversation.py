"""What a client sends and how it reads the answers, without a network. Both clients carry out these conversations.

A conversation is a generator: it yields calls, is sent their replies (or thrown their errors), and returns the result.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from jaxtyping import Float32

from gfp_serve.client.snapshot_download import SnapshotDownload
from gfp_serve.config import MAX_COUNT, Limits
from gfp_serve.conventions import Conventions
from gfp_serve.errors import GfpError, InvalidRequestError, check_type, in_field
from gfp_serve.filters import Filter
from gfp_serve.items import DEFAULT_GALLERY, Attribute, Description, Effort, IndexKind, Item, Neighbour, Source
from gfp_serve.kept_motion import KeptMotion, check_fps
from gfp_serve.layouts import LAYOUTS, Layout, layout_named
from gfp_serve.moments import Moment
from gfp_serve.skeleton import check_image_joints, check_sequence, check_shape
from gfp_serve.v1 import embedding_pb2, gallery_pb2, snapshot_pb2, view_pb2
from gfp_serve.wire.arrays import read_embedding, write_embedding, write_image_joints, write_sequence
from gfp_serve.wire.galleries import read_description, write_index_kind
from gfp_serve.wire.items import read_item, read_moment, read_neighbour, read_struct, write_item
from gfp_serve.wire.maps import GalleryMap, read_map
from gfp_serve.wire.searches import (
    Classification,
    Scope,
    Voting,
    read_classification,
    write_classify,
    write_filter,
    write_search,
)
from gfp_serve.wire.snapshots import Snapshot, read_snapshot
from gfp_serve.wire.warnings import ServerWarning, read_warning

_log = logging.getLogger(__name__)

# Longer timeouts overflow in gRPC, which then gives up at once.
MAX_TIMEOUT_S = 86_400.0

# A sequence (3 or 4 axes), an embedding (1 axis), or the id of a stored item.
Query = np.ndarray | str

# Bytes that a request needs beside its list: digests, numbers, lengths.
_ENVELOPE_BYTES = 1024
# Bytes that an entry of a list needs beside its content: tag and length.
_ENTRY_BYTES = 16

# Bytes that an item with the largest motion needs in a reply, beside its texts.
_MOTION_BYTES = 2**16

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send, by the name of its RPC."""

    method: str
    request: Message


@dataclass(frozen=True, slots=True)
class Chore:
    """Long work on this machine, which must not hold up an event loop."""

    do: Callable[[], Any]


@dataclass(frozen=True, slots=True, eq=False)
class ClipItem:
    """An item given as a clip, which the server embeds; see `Client.embed` for the array."""

    id: str
    sequence: np.ndarray
    label: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    layout: str | Layout = "ntu25"
    source: Source | None = None
    conventions: Conventions = Conventions()  # noqa: RUF009  (it cannot be changed)  how the coordinates are meant
    fps: float | None = None  # frames a second, for the times of a motion that is kept; None = not known


@dataclass(frozen=True, slots=True)
class ListedGallery:
    """A gallery of a server. One that another encoder filled cannot be used, and has no description."""

    name: str
    encoder_digest: str
    description: Description | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a server is; the fields are those of `GetInfoResponse`."""

    server_version: str
    encoder_name: str
    encoder_digest: str
    embedding_size: int
    preprocessing: dict[str, Any]
    preprocessing_digest: str
    layouts: tuple[str, ...]
    dimensions: tuple[int, ...]  # of the joints that the encoder takes: 2, 3 or both
    compares_dimensions: bool  # whether it can compare 2-D and 3-D joints
    provider: str
    device: str
    num_items: int
    generation: int
    durable: bool
    limits: Limits
    role: str  # what this client may do: read, write or admin; empty for servers of earlier releases
    reads_videos: bool  # whether it finds the skeletons of videos that are sent to it


def check_connection(address: str, timeout_s: float, *, encrypted: bool) -> None:
    """Raise `InvalidRequestError` for an address or timeout that gRPC would misunderstand."""
    with in_field("address"):
        check_type(address, str, "give the text HOST:PORT, e.g. '127.0.0.1:50051'")
    with in_field("timeout_s"):
        check_type(timeout_s, (int, float), "give a number of seconds; 30 is usual")
    if not address.strip():
        raise InvalidRequestError("the server's address is empty; give HOST:PORT, e.g. 127.0.0.1:50051.")
    if ":" not in address and not encrypted:  # with TLS, gRPC's own port, 443, may be meant
        raise InvalidRequestError(f"the address {address!r} has no port; give HOST:PORT, e.g. {address}:50051.")
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise InvalidRequestError(
            f"timeout_s is {timeout_s}; it must be above 0 and at most {MAX_TIMEOUT_S:g} seconds. 30 is usual."
        )


class Conversation:
    """The conversations of one client with one encoder."""

    def __init__(self, on_warning: Callable[[ServerWarning], None] | None = None) -> None:
        self._met: Info | None = None
        self._on_warning = on_warning or (lambda warning: _log.warning("%s", warning))
        self._warned: set[str] = set()

    def warn(self, warnings: Iterable[embedding_pb2.Warning], start: int = 0) -> None:
        """Tell each kind of warning once, because a program sends many clips of one source."""
        for message in warnings:
            if message.kind not in self._warned:
                self._warned.add(message.kind)
                self._on_warning(read_warning(message, start))

    def meet(self) -> Generator[Call, Any, Info]:
        """The server as it was when it was first asked: its limits, and the encoder that this client stays with."""
        return self._met or (yield from self.info())

    def info(self) -> Generator[Call, Any, Info]:
        reply = yield Call("GetInfo", embedding_pb2.GetInfoRequest())
        info = _read_info(reply)
        self._met = self._met or info
        return info

    def health(self, service: str) -> Generator[Call, Any, bool]:
        reply = yield Call("Check", health_pb2.HealthCheckRequest(service=service))
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def embed(
        self, sequences: np.ndarray | Sequence[np.ndarray], layout: str | Layout, conventions: Conventions
    ) -> Generator[Call, Any, Float32[np.ndarray, "*sequences embedding_size"]]:
        single = isinstance(sequences, np.ndarray)
        given = [sequences] if isinstance(sequences, np.ndarray) else sequences
        info = yield from self.meet()
        vectors = []
        messages = (_write_sequence(sequence, layout, conventions) for sequence in given)
        for start, part in _split("sequences", messages, info.limits):
            request = embedding_pb2.EmbedRequest(sequences=part, expected_encoder_digest=info.encoder_digest)
            reply = yield from self._call("Embed", request, start)
            vectors += [read_embedding(embedding, info.embedding_size) for embedding in reply.embeddings]
        stacked = np.array(vectors, dtype=np.float32).reshape(len(vectors), info.embedding_size)
        return stacked[0] if single else stacked

    def search(
        self, queries: Sequence[Query], layout: str | Layout, conventions: Conventions, scope: Scope, top_k: int
    ) -> Generator[Call, Any, list[list[Neighbour]]]:
        results = yield from self._search(queries, layout, conventions, write_search(_sendable(scope), top_k))
        return [list(map(read_neighbour, result.neighbours)) for result in results]

    def search_moments(
        self, queries: Sequence[Query], layout: str | Layout, conventions: Conventions, scope: Scope, top_k: int
    ) -> Generator[Call, Any, list[list[Moment]]]:
        results = yield from self._search(
            queries, layout, conventions, write_search(_sendable(scope), top_k, merge_windows=True)
        )
        return [list(map(read_moment, result.moments)) for result in results]

    def _search(
        self,
        queries: Sequence[Query],
        layout: str | Layout,
        conventions: Conventions,
        request: gallery_pb2.SearchRequest,
    ) -> Generator[Call, Any, list[gallery_pb2.SearchResult]]:
        info = yield from self.meet()
        request.expected_encoder_digest = info.encoder_digest
        results: list[gallery_pb2.SearchResult] = []
        for start, part in _split(
            "queries", (_write_query(query, layout, conventions) for query in queries), info.limits
        ):
            request.ClearField("queries")
            request.queries.extend(part)
            reply = yield from self._call("Search", request, start)
            results += reply.results
        return results

    def classify(
        self, queries: Sequence[Query], layout: str | Layout, conventions: Conventions, scope: Scope, voting: Voting
    ) -> Generator[Call, Any, list[Classification]]:
        request = write_classify(_sendable(scope), voting)
        info = yield from self.meet()
        request.expected_encoder_digest = info.encoder_digest
        results = []
        for start, part in _split(
            "queries", (_write_query(query, layout, conventions) for query in queries), info.limits
        ):
            request.ClearField("queries")
            request.queries.extend(part)
            reply = yield from self._call("Classify", request, start)
            results += [read_classification(result) for result in reply.results]
        return results

    def upsert(self, items: Iterable[Item | ClipItem], gallery: str) -> Generator[Call, Any, int]:
        with in_field("items"):
            check_type(items, Iterable, "give a list of items, even for one")
        info = yield from self.meet()
        generation = None
        for start, part in _split("items", map(_write_item, items), info.limits):
            request = gallery_pb2.UpsertRequest(
                items=part, expected_encoder_digest=info.encoder_digest, gallery=sendable_name(gallery)
            )
            reply = yield from self._call("Upsert", request, start)
            generation = reply.generation
        if generation is None:
            return (yield from self.describe_gallery(gallery)).generation
        return generation

    def delete(self, ids: Sequence[str], gallery: str) -> Generator[Call, Any, int]:
        info = yield from self.meet()
        num_deleted = 0
        for part in _split_ids(ids, info.limits):
            request = gallery_pb2.DeleteRequest(
                ids=part, expected_encoder_digest=info.encoder_digest, gallery=sendable_name(gallery)
            )
            reply = yield Call("Delete", request)
            num_deleted += reply.num_deleted
        return num_deleted

    def get(self, ids: Sequence[str], gallery: str, *, with_motions: bool = False) -> Generator[Call, Any, list[Item]]:
        info = yield from self.meet()
        items = []
        most = info.limits.max_message_bytes // _MOTION_BYTES if with_motions else info.limits.max_sequences
        for part in _split_ids(ids, info.limits, max(1, most)):
            request = gallery_pb2.GetRequest(
                ids=part,
                with_embeddings=True,
                with_motions=with_motions,
                expected_encoder_digest=info.encoder_digest,
                gallery=sendable_name(gallery),
            )
            reply = yield Call("Get", request)
            items += [read_item(each, read_embedding(each.embedding, info.embedding_size)) for each in reply.items]
        return items

    def map_items(self, gallery: str, where: Filter | None) -> Generator[Call, Any, GalleryMap]:
        request = view_pb2.MapItemsRequest(
            gallery=sendable_name(gallery), filter=None if where is None else write_filter(where)
        )
        reply = yield Call("MapItems", request)
        return read_map(reply)

    def create_gallery(self, name: str, index_kind: IndexKind) -> Generator[Call, Any, Description]:
        info = yield from self.meet()
        with in_field("index_kind"):
            kind = write_index_kind(index_kind)
        request = gallery_pb2.CreateGalleryRequest(
            gallery=sendable_name(name),
            metric=gallery_pb2.METRIC_COSINE,
            index_kind=kind,
            expected_encoder_digest=info.encoder_digest,
        )
        reply = yield Call("CreateGallery", request)
        return read_description(reply.description)

    def describe_gallery(self, name: str) -> Generator[Call, Any, Description]:
        reply = yield Call("DescribeGallery", gallery_pb2.DescribeGalleryRequest(gallery=sendable_name(name)))
        return read_description(reply.description)

    def list_galleries(self) -> Generator[Call, Any, list[ListedGallery]]:
        info = yield from self.meet()
        reply = yield Call("ListGalleries", gallery_pb2.ListGalleriesRequest())
        return [
            ListedGallery(
                each.name,
                each.encoder_digest,
                read_description(each) if each.encoder_digest == info.encoder_digest else None,
            )
            for each in reply.galleries
        ]

    def drop_gallery(self, name: str) -> Generator[Call, Any, int]:
        info = yield from self.meet()
        request = gallery_pb2.DropGalleryRequest(
            gallery=sendable_name(name), expected_encoder_digest=info.encoder_digest
        )
        reply = yield Call("DropGallery", request)
        return reply.num_items

    def create_snapshot(self, name: str, gallery: str) -> Generator[Call, Any, Snapshot]:
        reply = yield Call(
            "CreateSnapshot",
            snapshot_pb2.CreateSnapshotRequest(gallery=sendable_name(gallery), name=sendable_name(name, "name")),
        )
        return read_snapshot(reply.snapshot)

    def list_snapshots(self) -> Generator[Call, Any, list[Snapshot]]:
        reply = yield Call("ListSnapshots", snapshot_pb2.ListSnapshotsRequest())
        return [read_snapshot(each) for each in reply.snapshots]

    def fetch_snapshot(
        self, name: str, file: Path, gallery: str, on_progress: Callable[[int, int], None] | None
    ) -> Generator[Call | Chore, Any, str]:
        download = SnapshotDownload(Path(file))
        while True:
            request = snapshot_pb2.ReadSnapshotRequest(
                gallery=sendable_name(gallery), name=sendable_name(name, "name"), offset=download.offset
            )
            download.take((yield Call("ReadSnapshot", request)))
            if on_progress is not None:
                on_progress(download.offset, download.num_bytes)
            if download.is_whole:
                return str((yield Chore(download.finish)))

    def delete_snapshot(self, name: str, gallery: str) -> Generator[Call, Any, None]:
        yield Call(
            "DeleteSnapshot",
            snapshot_pb2.DeleteSnapshotRequest(gallery=sendable_name(gallery), name=sendable_name(name, "name")),
        )

    def prune_snapshots(self, keep: int, gallery: str) -> Generator[Call, Any, list[str]]:
        with in_field("keep"):
            check_type(keep, int, "give the number of snapshots to keep")
            if keep < 1:
                raise InvalidRequestError(f"it is {keep}; keep at least 1, and remove single ones by their names.")
        found = yield from self.list_snapshots()
        of_gallery = [each.name for each in found if each.gallery == (gallery or DEFAULT_GALLERY)]
        removed = of_gallery[:-keep]
        for name in removed:
            yield from self.delete_snapshot(name, gallery)
        return removed

    def restore_snapshot(self, name: str, into: str, gallery: str) -> Generator[Call, Any, Description]:
        request = snapshot_pb2.RestoreSnapshotRequest(
            gallery=sendable_name(gallery), name=sendable_name(name, "name"), into=sendable_name(into, "into")
        )
        reply = yield Call("RestoreSnapshot", request)
        return read_description(reply.description)

    def _call(self, method: str, request: Message, start: int) -> Generator[Call, Any, Any]:
        """Send a part of a list that begins at `start`; fields of errors count from the beginning of the whole list."""
        try:
            reply = yield Call(method, request)
        except GfpError as error:
            error.count_from(start)
            raise
        self.warn(reply.warnings, start)
        return reply


def sendable_name(given: str, field: str = "gallery") -> str:
    """The same name. Raises `InvalidRequestError` for one that cannot be sent."""
    with in_field(field):
        _check_text("it", given)
    return given


def _sendable(scope: Scope) -> Scope:
    sendable_name(scope.gallery)
    with in_field("where"):
        texts = "give a Filter; gfp_serve.filter_text.read_filter(['subject!=1']) makes one of texts"
        check_type(scope.where, (Filter, NoneType), texts)
    with in_field("effort"):
        check_type(scope.effort, Effort, "give an Effort, such as Effort(exact=True)")
    return scope


def _split(field: str, messages: Iterable[M], limits: Limits) -> Iterator[tuple[int, list[M]]]:
    """Parts of a list that the server takes in one request, each with the place where it begins."""
    room = limits.max_message_bytes - _ENVELOPE_BYTES
    start, num_bytes = 0, 0
    part: list[M] = []
    remaining = iter(messages)
    while True:
        number = start + len(part)
        with in_field(f"{field}[{number}]"):
            message = next(remaining, None)  # which may raise: it is made when it is asked for
            if message is None:
                break
            size = message.ByteSize() + _ENTRY_BYTES
            if size > room:
                raise InvalidRequestError(
                    f"it has {size} bytes; the server takes messages of at most {limits.max_message_bytes}. Cut it, or "
                    f"raise --max-message-bytes of the server."
                )
        if part and (len(part) == limits.max_sequences or num_bytes + size > room):
            yield start, part
            start, part, num_bytes = number, [], 0
        part.append(message)
        num_bytes += size
    if part:
        yield start, part


def _split_ids(ids: Sequence[str], limits: Limits, most: int = MAX_COUNT) -> Iterator[Sequence[str]]:
    """Parts of a list of ids that the server takes in one request, of at most `most` ids."""
    if isinstance(ids, str):
        with in_field("ids"):
            raise InvalidRequestError(f"it is the text {ids!r}; give a list of ids, even for one.")
    with in_field("ids"):
        check_type(ids, Sequence, "give a list of ids, even for one")
    for number, id in enumerate(ids):
        with in_field(f"ids[{number}]"):
            _check_text("it", id)
    step = min(limits.max_sequences, most)
    for start in range(0, len(ids), step):
        yield ids[start : start + step]


def _check_text(name: str, value: str) -> None:
    """Raise `InvalidRequestError` for text that cannot be sent, such as the name of a file that is not UTF-8."""
    check_type(value, str, "give a text", name=name)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(f"{name} is {value!r}, which is not UTF-8; choose another, or rename it.") from error


def _write_sequence(
    sequence: np.ndarray,
    layout: str | Layout,
    conventions: Conventions = Conventions(),  # noqa: B008  (it cannot be changed)
) -> embedding_pb2.Sequence:
    known = known_layout(layout)
    with in_field("conventions"):
        check_type(conventions, Conventions, 'give Conventions, such as Conventions(up="-y")')
    if conventions.fps is not None:
        with in_field("conventions"):
            raise InvalidRequestError("fps is for files; the rate of an array changes nothing. Leave it out.")
    if is_of_image(sequence, conventions):
        return write_image_joints(check_image_joints(sequence, known), known, conventions)
    return write_sequence(check_solid(sequence, known, conventions), known, conventions)


def is_of_image(sequence: np.ndarray, conventions: Conventions) -> bool:
    """Whether an array has joints of an image: if it is said, or if nothing is said and it ends in two numbers."""
    if conventions.dimensions is not None:
        return conventions.dimensions == 2
    return isinstance(sequence, np.ndarray) and sequence.ndim >= 3 and sequence.shape[-1] == 2


def check_solid(
    sequence: np.ndarray, layout: Layout, conventions: Conventions
) -> Float32[np.ndarray, "frames bodies joints 3"]:
    """Joints in space as float32 with a body axis, see `skeleton.check_sequence`.

    The limit of coordinates is in metres, so that in another unit only the server can check it. Raises
    `InvalidRequestError` for what is said of images.
    """
    with in_field("conventions"):
        for name in ("image_size", "min_confidence"):
            if getattr(conventions, name) is not None:
                raise InvalidRequestError(
                    f"{name} is for joints of an image, and this array ends in x, y, z; add dimensions=2 if it ends in "
                    f"x, y, confidence, or leave {name} out."
                )
    in_metres = conventions.is_standard or not any(conventions.axes)
    return check_sequence(sequence, layout) if in_metres else check_shape(sequence, layout)


def known_layout(layout: str | Layout) -> Layout:
    """The layout with this name, or the layout itself. Raises `UnknownLayoutError`, `InvalidRequestError`."""
    with in_field("layout"):
        check_type(layout, (str, Layout), f"give a Layout or a name: {', '.join(sorted(LAYOUTS))}")
    return layout_named(layout) if isinstance(layout, str) else layout


def _write_query(query: Query, layout: str | Layout, conventions: Conventions) -> gallery_pb2.Query:
    if isinstance(query, str):
        _check_text("the id", query)
        return gallery_pb2.Query(id=query)
    if isinstance(query, np.ndarray) and query.ndim == 1:
        return gallery_pb2.Query(embedding=write_embedding(query.astype(np.float32)))
    return gallery_pb2.Query(sequence=_write_sequence(query, layout, conventions))


def _write_item(item: Item | ClipItem) -> gallery_pb2.Item:
    check_type(item, (Item, ClipItem), "give a ClipItem, which has a sequence, or an Item, which has a vector")
    _check_text("the id", item.id)
    _check_text("the label", item.label)
    check_type(
        item.attributes, Mapping, "give a dict of texts, numbers, booleans and lists of texts", name="attributes"
    )
    check_type(item.source, (Source, NoneType), "give a Source, or None for all of a recording", name="the source")
    vector = motion = None
    if isinstance(item, Item):
        vector, motion = item.vector, item.motion
        check_type(motion, (KeptMotion, NoneType), "give a KeptMotion, or None", name="the motion")
    message = write_item(item.id, item.label, item.attributes, item.source, vector, motion)
    if isinstance(item, ClipItem):
        check_type(item.fps, (int, float, NoneType), "give frames a second, or None if not known", name="fps")
        check_fps(item.fps)
        message.sequence.CopyFrom(_write_sequence(item.sequence, item.layout, item.conventions))
        message.sequence.fps = item.fps or 0.0
    return message


def _read_info(reply: embedding_pb2.GetInfoResponse) -> Info:
    return Info(
        server_version=reply.server_version,
        encoder_name=reply.encoder.name,
        encoder_digest=reply.encoder_digest,
        embedding_size=reply.encoder.embedding_size,
        preprocessing=read_struct(reply.encoder.preprocessing),
        preprocessing_digest=reply.encoder.preprocessing_digest,
        layouts=tuple(reply.encoder.layouts),
        dimensions=tuple(reply.encoder.dimensions),
        compares_dimensions=reply.encoder.compares_dimensions,
        provider=reply.encoder.provider,
        device=reply.encoder.device,
        num_items=reply.gallery.num_items,
        generation=reply.gallery.generation,
        durable=reply.gallery.durable,
        limits=Limits(**{limit.name: getattr(reply.limits, limit.name) for limit in fields(Limits)}),
        role=reply.role,
        reads_videos=reply.reads_videos,
    )
