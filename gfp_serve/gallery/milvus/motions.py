"""The motions that galleries in Milvus keep. They have a collection of their own, so that no search reads them.

A motion has the number (`seq`) of the version of its item that it belongs to. One with another number is of a version
that was replaced, and counts as none. So earlier releases may write to the same galleries.
"""

import base64
import binascii
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from gfp_serve.errors import InvalidRequestError, quoted
from gfp_serve.gallery.milvus.connection import CALL_S, Connection
from gfp_serve.kept_motion import KeptMotion, unpack

_log = logging.getLogger(__name__)

# The largest motion comes to 52 kB as a text, and Milvus takes messages of 64 MiB.
_AT_ONCE = 256


class MilvusMotions:
    """The motions of one gallery. The caller translates errors of Milvus."""

    def __init__(self, connection: Connection, uid: str) -> None:
        self._connection = connection
        self._uid = uid
        self._ours = f'gallery == "{uid}"'
        self._is_there = False  # the collection: the first motion of any gallery makes it

    def put(self, motions: Sequence[tuple[str, int, KeptMotion]]) -> None:
        """Keep motions of items, each with the id and the number of its item, in place of earlier ones."""
        if motions and not self._has_collection():
            self._connection.create_motions()
        for start in range(0, len(motions), _AT_ONCE):
            rows = [
                {
                    "key": self._key(id),
                    "vector": [1.0, 0.0],
                    "gallery": self._uid,
                    "seq": seq,
                    "motion": base64.b64encode(motion.packed).decode(),
                }
                for id, seq, motion in motions[start : start + _AT_ONCE]
            ]
            self._connection.client.upsert(self._connection.motions, rows, timeout=CALL_S)

    def get(self, seqs: Mapping[str, int]) -> dict[str, KeptMotion]:
        """The motions of items with these ids and numbers, by id, as far as they are kept."""
        ids = {self._key(id): id for id in seqs}
        found = {}
        for row in self._rows(list(ids)):
            id = ids[row["key"]]
            if row["seq"] == seqs[id] and (motion := _read(id, row["motion"])) is not None:
                found[id] = motion
        return found

    def remove(self, ids: Sequence[str]) -> None:
        """Remove the motions of items with these ids."""
        if ids and self._has_collection():
            for start in range(0, len(ids), _AT_ONCE):
                keys = list(map(self._key, ids[start : start + _AT_ONCE]))
                self._connection.client.delete(self._connection.motions, ids=keys, timeout=CALL_S)

    def remove_all(self) -> None:
        """Remove the motions of all items."""
        if self._has_collection():
            self._connection.client.delete(self._connection.motions, filter=self._ours, timeout=CALL_S)

    def count(self) -> int:
        """How many motions there are."""
        if not self._has_collection():
            return 0
        (row,) = self._connection.client.query(
            self._connection.motions,
            filter=self._ours,
            output_fields=["count(*)"],
            consistency_level="Strong",
            timeout=CALL_S,
        )
        return int(row["count(*)"])

    def _has_collection(self) -> bool:
        if not self._is_there and self._connection.has_motions():
            self._connection.load(self._connection.motions, "exact", 2)
            self._is_there = True
        return self._is_there

    def _rows(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if keys and self._has_collection():
            for start in range(0, len(keys), _AT_ONCE):
                listed = ", ".join(f'"{key}"' for key in keys[start : start + _AT_ONCE])
                rows += self._connection.client.query(
                    self._connection.motions,
                    filter=f"key in [{listed}]",
                    output_fields=["key", "seq", "motion"],
                    consistency_level="Strong",
                    timeout=CALL_S,
                )
        return rows

    def _key(self, id: str) -> str:
        return hashlib.sha256(f"{self._uid}/{id}".encode()).hexdigest()


def _read(id: str, text: str) -> KeptMotion | None:
    try:
        return unpack(base64.b64decode(text, validate=True))
    except (binascii.Error, InvalidRequestError) as error:
        _log.warning("answers leave out the motion of item %s: %s", quoted(id), error)
    return None
