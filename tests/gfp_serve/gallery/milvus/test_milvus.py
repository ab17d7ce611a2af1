"""What only galleries in Milvus do: addresses, errors, several servers, expressions, crashes."""

import importlib.util
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pymilvus import DataType, MilvusClient

from gfp_serve.errors import (
    EncoderMismatchError,
    GalleryError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    MissingExtraError,
    UnavailableError,
)
from gfp_serve.filters import AnyOf, Filter, Range
from gfp_serve.gallery.milvus.galleries import MilvusGalleries, encoder_of, open_milvus
from gfp_serve.gallery.milvus.rows import MAX_FACTS, expression
from gfp_serve.gallery.protocols import Gallery
from gfp_serve.items import DEFAULT_GALLERY, Item
from tests.support.milvus_server import MILVUS, MilvusServer, new_prefix

DIGEST, OTHER_DIGEST = "5e" * 32, "0b" * 32
EAST = np.float32([1, 0])


def opened(address: str) -> MilvusGalleries:
    return open_milvus(address, encoder_digest=DIGEST, embedding_size=2)


@pytest.fixture(params=["milvus-lite", MILVUS])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a place without galleries."""
    if request.param == "milvus-lite":
        return f"milvus+lite://{tmp_path}/galleries.db"
    return f"milvus://{request.getfixturevalue('milvus_server').address}/{new_prefix()}"


@pytest.fixture
def two_servers(address: str) -> Iterator[tuple[MilvusGalleries, MilvusGalleries]]:
    """Two servers with the same galleries."""
    one, other = opened(address), opened(address)
    yield one, other
    other.close()
    one.close()


@pytest.mark.parametrize(
    "address",
    [
        "milvus://127.0.0.1/gfp",
        "milvus://127.0.0.1:19530",
        "milvus://127.0.0.1:19530/",
        "milvus://127.0.0.1:19530/a__b",
        "milvus://127.0.0.1:19530/a-b",
        "milvus://127.0.0.1:19530/a/b",
        "milvus://user:secret@127.0.0.1:19530/a",
        "milvus+lite://file",
        "http://127.0.0.1:19530/gfp",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(address):
    with pytest.raises(InvalidRequestError, match="milvus://HOST:PORT/PREFIX"):
        opened(address)


def test_without_pymilvus_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)

    with pytest.raises(MissingExtraError, match="extra 'milvus'"):
        opened("milvus://127.0.0.1:19530/gfp")


def test_without_milvus_lite_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", {"milvus_lite": None}.get)

    with pytest.raises(MissingExtraError, match="pip install milvus-lite"):
        opened(f"milvus+lite://{tmp_path}/galleries.db")


@pytest.mark.parametrize("backlog", [None, 8], ids=["nobody listens", "nobody answers"])
def test_a_server_that_cannot_be_reached_is_named_and_not_waited_for(backlog):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        if backlog is not None:
            reserved.listen(backlog)
        with pytest.raises(
            UnavailableError, match=f"no Milvus answers at milvus://127.0.0.1:{reserved.getsockname()[1]}"
        ):
            opened(f"milvus://127.0.0.1:{reserved.getsockname()[1]}/gfp")


def test_a_write_of_one_server_is_seen_by_the_next_and_both_count(two_servers):
    here, there = (galleries[""] for galleries in two_servers)

    assert here.upsert([Item("a", EAST)]) == 1
    assert there.upsert([Item("b", EAST)]) == 2
    assert here.delete(["b"]) == 1
    assert (here.generation, there.generation, len(there)) == (3, 3, 1)
    threads = [
        threading.Thread(target=lambda gallery=gallery: [gallery.upsert([Item("c", EAST)]) for _ in range(4)])
        for gallery in (here, there)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here.generation == there.generation == 11
    assert [item.id for item in there.items()] == ["a", "c"]


def test_a_gallery_that_another_server_made_or_dropped_is_known_as_such(two_servers):
    here, there = two_servers

    here.create("new").upsert([Item("a", EAST)])
    assert there["new"].get(["a"])[0].id == "a"
    here.drop("new")
    with pytest.raises(GalleryNotFoundError, match="dropped"):
        there["new"].search(EAST[None], top_k=1)
    with pytest.raises(GalleryNotFoundError, match="there is no gallery 'new'"):
        there["new"]
    assert list(there.encoder_digests()) == [DEFAULT_GALLERY]
    assert here.create("new").upsert([Item("b", EAST)]) == 1
    assert (there["new"].generation, [item.id for item in there["new"].items()]) == (1, ["b"])


@pytest.mark.milvus
@pytest.mark.timeout(600)
def test_servers_that_start_at_the_same_time_share_what_the_first_has_made(milvus_server):
    address = f"milvus://{milvus_server.address}/{new_prefix()}"

    def start(number: int) -> MilvusGalleries:
        galleries = opened(address)
        galleries[""].upsert([Item(f"{number}", EAST)])
        return galleries

    def create(galleries: MilvusGalleries) -> bool:
        try:
            galleries.create("new")
        except GalleryExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        servers = list(threads.map(start, range(4)))
        made = list(threads.map(create, servers))

    assert {(galleries[""].generation, len(galleries[""])) for galleries in servers} == {(4, 4)}
    assert sum(made) == 1
    for galleries in servers:
        galleries.close()


def test_a_gallery_of_another_encoder_is_listed_and_refused(tmp_path):
    address = f"milvus+lite://{tmp_path}/galleries.db"
    theirs = open_milvus(address, encoder_digest=OTHER_DIGEST, embedding_size=3)
    theirs.create("theirs")
    theirs.close()
    assert encoder_of(address, "theirs") == (OTHER_DIGEST, 3)
    with raw(tmp_path) as client:
        client.drop_collection("gfp")

    with opened(address) as galleries:
        assert galleries.encoder_digests() == {DEFAULT_GALLERY: DIGEST, "theirs": OTHER_DIGEST}
        with pytest.raises(EncoderMismatchError, match=f"'theirs'.*{OTHER_DIGEST[:12]}"):
            galleries["theirs"]
        with pytest.raises(EncoderMismatchError):
            galleries.drop("theirs")
    with pytest.raises(GalleryNotFoundError, match="'nowhere'"):
        encoder_of(address, "nowhere")


@pytest.mark.parametrize(
    ("properties", "expected"), [({}, "'gfp'.*is not a gallery"), ({"gfp.format": "2"}, "has format 2.*reads format 1")]
)
def test_a_collection_that_is_no_gallery_of_this_release_is_left_alone(tmp_path, properties, expected):
    with raw(tmp_path) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        client.create_collection("gfp", schema=schema, properties=properties)

    with pytest.raises(GalleryError, match=expected):
        opened(f"milvus+lite://{tmp_path}/galleries.db")


def raw(folder: Path) -> "RawClient":
    return RawClient(f"{folder}/galleries.db")


class RawClient:
    """Milvus's own client, without our galleries."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> MilvusClient:
        self._client = MilvusClient(self._path, dedicated=True)
        return self._client

    def __exit__(self, *_: object) -> None:
        from milvus_lite.server_manager import server_manager_instance

        self._client.close()
        server_manager_instance.release_server(self._path)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.lists(texts | st.booleans() | st.floats(allow_nan=False), min_size=1, max_size=3).map(tuple)
WORDS = r'"[0-9a-f]{32}"|"n[0-9a-f]{32}"|array_contains_any|numbers|facts|and|or|not|[()\[\], <>=]|-?\d[\d.e+-]*'


@given(keys=st.tuples(texts, texts, texts), values=values, bound=st.floats(allow_nan=False))
def test_no_text_of_a_caller_stands_in_an_expression(keys, values, bound):
    one_of, above, at_most = AnyOf(keys[0], values), Range(keys[1], above=bound), Range(keys[2], at_most=bound)

    for where in (Filter((one_of, at_most), (above,), (one_of,)), Filter((), (one_of, above), (at_most, above))):
        assert re.fullmatch(f"(?:{WORDS})*", expression(where))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("a", EAST, "", {"tags": [str(n) for n in range(MAX_FACTS)]}), "attributes of item 'a' has 4097 values"),
        (Item("a", EAST, "", {"text": "é" * 33_000}), "attributes of item 'a' has 660.. bytes"),
        (Item("a", EAST, "", {str(n): 1.0 for n in range(2000)}), "numbers of item 'a' has"),
        (Item("a", EAST, "é" * 33_000), "label of item 'a' has 66000 bytes"),
    ],
)
def test_an_item_that_is_larger_than_milvus_takes_is_refused_by_name(tmp_path, item, expected):
    with opened(f"milvus+lite://{tmp_path}/galleries.db") as galleries:
        with pytest.raises(InvalidRequestError, match=expected):
            galleries[""].upsert([Item("good", EAST), item])
        assert len(galleries[""]) == 0


def test_an_upsert_that_does_not_fit_into_one_message_is_refused_as_a_whole(tmp_path):
    with opened(f"milvus+lite://{tmp_path}/galleries.db") as galleries:
        with pytest.raises(InvalidRequestError, match=r"1000 items have .* bytes together, but Milvus accepts"):
            galleries[""].upsert([Item(str(n), EAST, "", {"text": "x" * 65_000}) for n in range(1000)])
        assert len(galleries[""]) == 0


@pytest.mark.milvus
@pytest.mark.timeout(600)
def test_what_was_answered_is_there_after_a_crash_and_meanwhile_calls_fail_within_seconds(milvus_server: MilvusServer):
    with opened(f"milvus://{milvus_server.address}/{new_prefix()}") as galleries:
        gallery: Gallery = galleries.create("kept", index_kind="hnsw")
        gallery.upsert([Item(str(n), EAST, f"{n}") for n in range(500)])
        gallery.upsert([Item("7", np.float32([0, 1]), "moved")])
        assert gallery.delete(["8"]) == 1
        milvus_server.kill()
        try:
            for call in (
                lambda: gallery.search(EAST[None], top_k=1),
                lambda: gallery.upsert([Item("lost", EAST)]),
                lambda: len(gallery),
            ):
                begin = time.monotonic()
                with pytest.raises(UnavailableError, match="does not answer"):
                    call()
                assert time.monotonic() - begin < 12
        finally:
            milvus_server.start()
        deadline = time.monotonic() + 60
        while True:  # Milvus calls itself healthy before its collections are loaded
            try:
                found = gallery.search(np.float32([[0, 1]]), top_k=1)
                break
            except (UnavailableError, GalleryError):
                assert time.monotonic() < deadline
        assert [(n.id, n.label) for n in found[0]] == [("7", "moved")]
        assert {item.id for item in gallery.items()} == {str(n) for n in range(500)} - {"8"}
        assert gallery.generation == 3
        assert gallery.upsert([Item("next", EAST)]) == 4
