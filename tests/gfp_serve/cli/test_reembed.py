"""`gfp gallery reembed` fills a gallery for another encoder from the recordings of an old one."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfp_serve.cli.ask import gfp
from gfp_serve.client import Client, ClipItem, reembedding
from gfp_serve.errors import UnavailableError
from gfp_serve.formats import Clip, write_clip_file
from gfp_serve.gallery.care.backup import create_snapshot
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Item, Source
from gfp_serve.kept_motion import KeptMotion, motion_of
from gfp_serve.layouts import KINECT20, NTU25, Layout
from gfp_serve.preprocess import CleanConfig, clean
from tests.support.kept_motions import same_motion
from tests.support.servers import running_in_thread
from tests.support.tiny_bundle import embedding_of, tiny_bundle, walk

Run = Callable[..., str]

OLD_VECTOR = np.ones(4, dtype=np.float32)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with running_in_thread(tmp_path / "new") as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


@pytest.fixture
def run(address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GFP_ADDRESS", address)

    def run(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(gfp, ["gallery", "reembed", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return run


def clip(name: str, seed: int, frames: int = 9) -> Clip:
    return Clip(name=name, sequence=walk(seed, frames=frames), layout=NTU25, fps=30.0, label="as in the file")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """The files s1/walk.npz with the clips c1, c2 and long, and other.npz with the clip c3."""
    folder = tmp_path / "moved" / "here"
    (folder / "s1").mkdir(parents=True)
    write_clip_file(folder / "s1" / "walk.npz", [clip("c1", 1), clip("c2", 2), clip("long", 4, frames=30)])
    write_clip_file(folder / "other.npz", [clip("c3", 3)])
    return folder


def items_of(*ids: str) -> list[Item]:
    return [Item(id, OLD_VECTOR, f"label of {id}", {"who": id, "take": 3, "tags": ["a"]}) for id in ids]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[FaissGallery]:
    """A gallery of another encoder, which its server has open."""
    folder = tmp_path / "old" / "default"
    with FaissGallery.create(folder, encoder_digest="5e" * 32, embedding_size=4, index_kind="hnsw") as gallery:
        yield gallery


def test_every_item_is_embedded_again_and_keeps_label_attributes_and_times(
    run: Run, client: Client, old: FaissGallery, recordings: Path, tmp_path: Path
) -> None:
    windows = [
        Item("walk/long@10-19", OLD_VECTOR, "turn", {"x": 1.5}, Source("walk/long", 10 / 30, 19 / 30)),
        Item("my own name", OLD_VECTOR, "", {}, Source("walk/long", 0.1, 0.5)),
        Item("another name", OLD_VECTOR, "all", {"dimensions": 3.0}, Source("walk/c2")),
    ]
    items = [*items_of("walk/c1", "walk/c2", "other/c3"), *windows]
    old.upsert(items)
    said = run(tmp_path / "old", recordings, "--into", "fresh")
    assert said == "6 of the 6 items of default are in fresh: 6 were embedded now."
    assert client.describe_gallery("fresh").index_kind == "hnsw"
    found = {each.id: each for each in client.get([each.id for each in items], gallery="fresh")}
    for item in items:
        new = found[item.id]
        assert (new.label, new.attributes, new.source) == (item.label, item.attributes, item.source), item.id
    long = walk(4, frames=30)
    for id, sequence in {
        "walk/c1": walk(1),
        "walk/c2": walk(2),
        "other/c3": walk(3),
        "another name": walk(2),
        "walk/long@10-19": long[10:19],
        "my own name": long[3:15],
    }.items():
        np.testing.assert_allclose(found[id].vector, embedding_of(sequence), atol=1e-5, err_msg=id)
    assert len(old) == 6
    old.upsert(items_of("x"))  # it is still open and takes writes


def test_recordings_that_have_none_of_the_items_are_an_error(
    run: Run, old: FaissGallery, recordings: Path, tmp_path: Path
) -> None:
    old.upsert(items_of("elsewhere/c1"))
    said = run(tmp_path / "old", recordings, "--into", "fresh", code=1)
    assert "nothing was embedded, and fresh has none of the 1 items of default; name the recordings" in said


def test_items_without_a_recording_are_counted_and_named(
    run: Run, client: Client, old: FaissGallery, recordings: Path, tmp_path: Path
) -> None:
    beyond = Item("walk/c1@5-99", OLD_VECTOR, "", {}, Source("walk/c1", 5 / 30, 99 / 30))
    old.upsert([*items_of("walk/c1", "walk/gone", "gone/c1", "no name"), beyond])
    said = run(tmp_path / "old", recordings)
    assert "1 of the 5 items of default are in default: 1 were embedded now." in said
    assert "The recordings of 4 items were not found" in said
    for recording in ("walk/gone", "gone/c1", "no name", "walk/c1"):
        assert f"not found: {recording!r}, of 1 item" in said
    values = json.loads(run(tmp_path / "old", recordings, "--json"))
    missing = {"walk/gone": 1, "gone/c1": 1, "no name": 1, "walk/c1": 1}
    assert (values["gallery"], values["items"], values["refused"]) == ("default", 5, [])
    assert (values["embedded"] + values["present"], values["missing"]) == (1, missing)


def kept(sequence: np.ndarray, layout: Layout = NTU25, fps: float | None = 30.0) -> KeptMotion:
    cleaned = clean(sequence, layout, CleanConfig())
    motion = motion_of(cleaned.positions, cleaned.known, fps)
    assert motion is not None
    return motion


def test_without_a_recording_the_copy_of_a_clip_is_embedded_if_it_has_every_frame(
    run: Run, client: Client, old: FaissGallery, recordings: Path, tmp_path: Path
) -> None:
    lost = walk(6, frames=40)
    lost[5:30, 0, 7] = np.nan  # lost for too long to be filled
    clips = {
        "gone/c1": (walk(5, frames=64), NTU25),
        "gone/lost": (lost, NTU25),
        "gone/two": (walk(7, bodies=2, layout=KINECT20), KINECT20),
    }
    items = [dataclasses.replace(item, motion=kept(*clips[item.id])) for item in items_of(*clips)]
    long = dataclasses.replace(items_of("gone/long")[0], motion=kept(walk(8, frames=65)))
    old.upsert([*items, long, *items_of("walk/c1", "gone/none")])
    said = run(tmp_path / "old", recordings)
    assert "4 of the 6 items of default are in default: 4 were embedded now." in said
    assert "Of 3 items the recording was not found, and the gallery's copy was embedded." in said
    assert "The recordings of 2 items were not found" in said
    found = {each.id: each for each in client.get(list(clips), with_motions=True)}
    for item in items:
        new = found[item.id]
        assert (new.label, new.attributes, new.source) == (item.label, item.attributes, item.source)
        np.testing.assert_allclose(new.vector, embedding_of(*clips[item.id]), atol=2e-3, err_msg=item.id)
        assert same_motion(new.motion, item.motion)
    values = json.loads(run(tmp_path / "old", recordings, "--json"))
    assert (values["embedded"], values["present"], values["from_copies"]) == (0, 4, 0)
    assert values["missing"] == {"gone/long": 1, "gone/none": 1}
    assert json.loads(run(tmp_path / "old", "--into", "fresh", "--json"))["from_copies"] == 3


def test_a_clip_that_the_server_refuses_costs_only_its_item(
    run: Run, client: Client, old: FaissGallery, tmp_path: Path
) -> None:
    nobody = dataclasses.replace(clip("nobody", 5), sequence=np.full((9, 1, 25, 3), np.nan, np.float32))
    write_clip_file(tmp_path / "a.npz", [clip("c1", 1), nobody, clip("c2", 2)])
    old.upsert(items_of("a/c1", "a/nobody", "a/c2"))
    said = run(tmp_path / "old", tmp_path / "a.npz")
    assert "skipped: item 'a/nobody':" in said
    assert "2 of the 3 items" in said
    assert "The server does not take the clips of 1 item." in said
    assert client.describe_gallery().num_items == 2


def test_an_interrupted_run_goes_on_and_brings_what_was_changed_since(
    run: Run, client: Client, old: FaissGallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reembedding, "CLIPS_PER_REQUEST", 2)
    names = [f"c{number}" for number in range(7)]
    write_clip_file(tmp_path / "a.npz", [clip(name, seed) for seed, name in enumerate(names)])
    old.upsert(items_of(*(f"a/{name}" for name in names)))
    upsert, sent = Client.upsert, []

    def counted(self: Client, items: list[ClipItem], *, gallery: str = "") -> int:
        sent.append([each.id for each in items])
        if len(sent) == 3:
            raise UnavailableError("the server went away.")
        return upsert(self, items, gallery=gallery)

    monkeypatch.setattr(Client, "upsert", counted)
    assert "the server went away" in run(tmp_path / "old", tmp_path / "a.npz", code=1)
    sent[:] = [[]] * 3
    old.upsert([dataclasses.replace(items_of("a/c1")[0], label="changed")])
    said = run(tmp_path / "old", tmp_path / "a.npz")
    assert "7 of the 7 items of default are in default: 5 were embedded now, 2 were there already." in said
    # In the old gallery c1 comes last now. So the batches that are asked for are c0 and c2, c3 and c4, c5 and c6, c1.
    assert [id for batch in sent[3:] for id in batch] == ["a/c1", "a/c3", "a/c4", "a/c5", "a/c6"]
    assert client.get(["a/c1"])[0].label == "changed"
    assert "0 were embedded now, 7 were there already" in run(tmp_path / "old", tmp_path / "a.npz")


def test_a_name_that_two_files_can_have_is_not_guessed(
    run: Run, client: Client, old: FaissGallery, tmp_path: Path
) -> None:
    for folder, seed in (("s1", 1), ("s2", 2)):
        (tmp_path / "r" / folder).mkdir(parents=True)
        write_clip_file(tmp_path / "r" / folder / "walk.npz", [clip("c", seed)])
    old.upsert(items_of("walk/c", "s2/walk/c"))
    said = run(tmp_path / "old", tmp_path / "r")
    assert "'walk/c' may be in" in said
    assert "1 of the 2 items" in said
    np.testing.assert_allclose(client.get(["s2/walk/c"])[0].vector, embedding_of(walk(2)), atol=1e-5)
    assert "1 of the 2 items of default are in named: 1 were" in run(
        tmp_path / "old", tmp_path / "r" / "s1" / "walk.npz", "--into", "named"
    )
    np.testing.assert_allclose(client.get(["walk/c"], gallery="named")[0].vector, embedding_of(walk(1)), atol=1e-5)


def test_the_old_gallery_may_be_a_snapshot_and_must_be_of_another_encoder(
    run: Run, client: Client, old: FaissGallery, recordings: Path, tmp_path: Path
) -> None:
    old.upsert(items_of("walk/c1"))
    create_snapshot(tmp_path / "old" / "default", tmp_path / "one.sqlite")
    assert "1 of the 1 item of default" in run(tmp_path / "one.sqlite", recordings)
    said = run(tmp_path / "new" / "galleries", recordings, code=1)
    assert f"has the encoder {tiny_bundle().manifest.encoder_digest[:12]}, which filled the old gallery" in said
    assert "has no gallery 'none'" in run(tmp_path / "old", recordings, "--gallery", "none", code=1)


def test_clips_of_other_layouts_are_sent_as_gfp_add_sends_them(
    run: Run, client: Client, old: FaissGallery, tmp_path: Path
) -> None:
    sequence = walk(6, layout=KINECT20)
    write_clip_file(tmp_path / "k.npz", [Clip(name="c", sequence=sequence, layout=KINECT20, fps=30.0)])
    old.upsert(items_of("k/c"))
    run(tmp_path / "old", tmp_path / "k.npz")
    np.testing.assert_allclose(client.get(["k/c"])[0].vector, embedding_of(sequence, KINECT20), atol=1e-5)
