"""What cannot be stored, found and sent is refused at every door: the wire, Python and tables. Snapshots have a test of
their own.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from gfp_serve.client import AsyncClient
from gfp_serve.errors import InvalidRequestError
from gfp_serve.gallery.care.table_export import export_table
from gfp_serve.gallery.care.table_import import import_table
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import MAX_ITEM_BYTES, Item, Source
from gfp_serve.v1 import gallery_pb2, gallery_pb2_grpc
from gfp_serve.wire.items import write_item
from tests.support.servers import channel_to, running
from tests.support.tiny_bundle import SIZE

DIGEST = "5e" * 32
VECTOR = np.eye(1, SIZE, dtype=np.float32)[0]
SOUND = Item("sound\0", VECTOR, "l\0ä", {"a": "x\0", "n": 1e308, "": True, "many": ["b", ""]}, Source("r\0", 0.5, 0.5))

EVERYWHERE = [
    (replace(SOUND, id=""), "has 0 characters"),
    (replace(SOUND, id="x" * 257), "has 257 characters"),
    (replace(SOUND, label="x" * (MAX_ITEM_BYTES + 1)), "bytes; "),
    (replace(SOUND, attributes={"a": "x" * MAX_ITEM_BYTES}), "bytes; "),
    (replace(SOUND, attributes={"a": math.nan}), "attribute 'a'"),
    (replace(SOUND, attributes={"a": -math.inf}), "attribute 'a'"),
    (replace(SOUND, source=Source("", 0, 1)), "has 0 characters"),
    (replace(SOUND, source=Source("r" * 257, 0, 1)), "has 257 characters"),
    (replace(SOUND, source=Source("r", 5, 1)), "starts at 5"),
    (replace(SOUND, source=Source("r", -1, 1)), "starts at -1"),
    (replace(SOUND, source=Source("r", math.nan, 1)), "starts at nan"),
    (replace(SOUND, source=Source("r", 0, math.inf)), "ends at inf"),
]
# Neither the wire nor a column can have these, but JSON in a column can have those of the attributes.
IN_ATTRIBUTES = [
    (replace(SOUND, attributes={"\ud800": 1}), "attribute"),
    (replace(SOUND, attributes={"a": "\ud800"}), "attribute"),
    (replace(SOUND, attributes={"a": ["b", "\ud800"]}), "attribute"),
    (replace(SOUND, attributes={"a": 10**400}), "attribute"),
]
IN_PYTHON = [
    (replace(SOUND, vector=VECTOR * np.float32(math.nan)), "NaN or infinity"),
    (replace(SOUND, vector=VECTOR * 0), "zero"),
    (replace(SOUND, id="\ud800"), "the id of an item, .*cannot be encoded"),
    (replace(SOUND, label="\udcff"), "the label of item"),
    (replace(SOUND, source=Source("\ud800", 0, 1)), "the recording of its source"),
    (replace(SOUND, source=Source("r", 0, 10**400)), "starts at 0 s"),
]


@pytest.mark.parametrize(("item", "words"), EVERYWHERE + IN_ATTRIBUTES + IN_PYTHON)
def test_python_is_told_what_is_wrong_with_an_item(tmp_path, item, words):
    with FaissGallery.create(tmp_path / "g", encoder_digest=DIGEST, embedding_size=SIZE) as gallery:
        with pytest.raises(InvalidRequestError, match=words):
            gallery.upsert([item])
        assert len(gallery) == 0


@pytest.mark.parametrize(("item", "words"), EVERYWHERE + IN_ATTRIBUTES)
def test_a_table_is_refused_by_the_row_of_such_an_item(tmp_path, item, words):
    table = written(tmp_path, [SOUND, item])
    with pytest.raises(InvalidRequestError, match=f"row 2: .*{words}"):
        import_table(table, tmp_path, encoder_digest=DIGEST, on_progress=lambda *_: None)


def written(folder: Path, items: list[Item]) -> Path:
    """Write a table as another program would."""
    sources = [item.source for item in items if item.source is not None]
    columns = {
        "id": [item.id for item in items],
        "vector": [item.vector.tolist() for item in items],
        "label": [item.label for item in items],
        "attributes": [json.dumps(dict(item.attributes)) for item in items],
        "source_recording": [source.recording for source in sources],
        "source_start_s": [float(source.start_s) for source in sources],
        "source_end_s": [float(source.end_s) for source in sources],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "items.parquet")
    return folder / "items.parquet"


async def test_the_wire_refuses_such_items_by_their_place_and_stores_none_of_their_request(tmp_path):
    async with running(tmp_path) as server, channel_to(server) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        for bad, words in EVERYWHERE:
            messages = [write_item(i.id, i.label, i.attributes, i.source, i.vector) for i in (SOUND, bad)]
            with pytest.raises(grpc.RpcError) as caught:
                await stub.Upsert(gallery_pb2.UpsertRequest(items=messages))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert caught.value.details().startswith("items[1]")
            assert words in caught.value.details()
        described = await stub.DescribeGallery(gallery_pb2.DescribeGalleryRequest())
        assert described.description.num_items == 0


async def test_what_is_stored_at_the_limits_can_be_found_listed_and_exported(tmp_path):
    large = replace(SOUND, id="large", label="ä" * (MAX_ITEM_BYTES // 2 - 50))
    import_table(
        written(tmp_path, [SOUND, large]),
        tmp_path / "galleries",
        encoder_digest=DIGEST,
        on_progress=lambda *_: None,
    )
    with FaissGallery.open(tmp_path / "galleries" / "default") as gallery:
        assert [item.source for item in gallery.items()] == [SOUND.source] * 2
        assert {found.id for found in gallery.search(VECTOR[None], top_k=2)[0]} == {SOUND.id, "large"}
        assert gallery.label_counts() == {SOUND.label: 1, large.label: 1}
    assert export_table(tmp_path / "galleries" / "default", tmp_path / "out.parquet", on_progress=lambda *_: None) == 2
    async with running(tmp_path / "server") as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await client.upsert([SOUND])
        (found,) = await client.get([SOUND.id])
        assert (found.label, found.source, found.attributes) == (SOUND.label, SOUND.source, SOUND.attributes)
