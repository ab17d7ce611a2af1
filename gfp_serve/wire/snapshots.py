"""Snapshots, as the wire describes them <-> values."""

from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gfp_serve.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy of a gallery, which the server keeps. `created` is in UTC, `sha256` that of its file, in hexadecimal.

    `sha256` is empty if the server has lost it: the snapshot then cannot be used. `encoder_digest` is empty if the file
    is damaged: `num_items` and `generation` are then 0.
    """

    gallery: str
    name: str
    created: datetime
    num_bytes: int
    sha256: str
    encoder_digest: str
    num_items: int
    generation: int


def write_snapshot(snapshot: Snapshot) -> snapshot_pb2.SnapshotDescription:
    """The message that `read_snapshot` reads."""
    created = Timestamp()
    created.FromDatetime(snapshot.created)
    return snapshot_pb2.SnapshotDescription(
        gallery=snapshot.gallery,
        name=snapshot.name,
        created=created,
        num_bytes=snapshot.num_bytes,
        sha256=snapshot.sha256,
        encoder_digest=snapshot.encoder_digest,
        num_items=snapshot.num_items,
        generation=snapshot.generation,
    )


def read_snapshot(message: snapshot_pb2.SnapshotDescription) -> Snapshot:
    """What a server says about a snapshot."""
    return Snapshot(
        gallery=message.gallery,
        name=message.name,
        created=message.created.ToDatetime(UTC),
        num_bytes=message.num_bytes,
        sha256=message.sha256,
        encoder_digest=message.encoder_digest,
        num_items=message.num_items,
        generation=message.generation,
    )
