"""This release reads the files of earlier releases, and writes the same content."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfp_serve.bundle import Bundle
from gfp_serve.encoder import Encoder
from gfp_serve.gallery.care.repair import check_gallery
from gfp_serve.gallery.embedded.gallery import FaissGallery
from gfp_serve.items import Effort
from gfp_serve.preprocess import PreprocessConfig
from tests.golden import write
from trainer.checkpoint import Checkpoint
from trainer.data.store import ALL_MEASURED, READABLE_VERSIONS, ClipStore
from trainer.loop import StepReport, Trainer

GOLDEN = Path(__file__).parents[1] / "golden"


def expected_of(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(f"{path.name}.json").read_text())


def check_answers(gallery: FaissGallery, effort: Effort, expected: list[list[tuple[str, float]]]) -> None:
    for found, right in zip(write.answers(gallery, effort), expected, strict=True):
        assert [id for id, _ in found] == [id for id, _ in right]
        assert [each for _, each in found] == pytest.approx([each for _, each in right], abs=1e-5)


@pytest.mark.parametrize("kind", write.INDEX_KINDS)
def test_a_gallery_opens_with_the_index_of_an_earlier_release(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    golden = GOLDEN / f"gallery-format-2-derived-2-{kind}"
    folder = shutil.copytree(golden, tmp_path / "gallery")
    index_file = folder / "derived.1" / "index.faiss"
    number = index_file.stat().st_ino
    check_gallery_of(golden, folder, kind, is_there_at_once=True)
    assert index_file.stat().st_ino == number, "the index was made anew"
    assert caplog.text == ""
    assert check_gallery(folder).is_sound


@pytest.mark.parametrize("kind", write.INDEX_KINDS)
def test_a_gallery_whose_index_an_earlier_release_did_not_check_opens_and_gets_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    golden = GOLDEN / f"gallery-format-2-{kind}"
    folder = shutil.copytree(golden, tmp_path / "gallery")
    assert check_gallery(folder).is_sound
    check_gallery_of(golden, folder, kind, is_there_at_once=False)
    assert not (folder / "derived-1").exists()
    assert caplog.text == ""


def check_gallery_of(golden: Path, folder: Path, kind: str, *, is_there_at_once: bool) -> None:
    expected = expected_of(golden)
    with FaissGallery.open(folder) as gallery:
        if is_there_at_once:
            assert gallery.describe().serving_kind == kind
        gallery.settle()
        assert gallery.describe().serving_kind == kind
        assert (gallery.generation, len(gallery)) == (expected["generation"], expected["num_items"])
        assert gallery.label_counts() == expected["label_counts"]
        check_answers(gallery, Effort(exact=True), expected["exact"])
        check_answers(gallery, Effort(), expected["by_index"])
        items = {item.id: item for item in gallery.items()}
        numbers = [n for n in range(write.NUM_ITEMS + write.NUM_LATE) if n not in (7, 8)]
        assert items.keys() == {"8", *map(str, numbers)}
        for n in numbers:
            found, right = items[str(n)], write.item(n)
            np.testing.assert_allclose(found.vector, right.vector, atol=1e-7)
            assert (found.label, found.attributes, found.source) == (right.label, right.attributes, right.source)
        assert items["8"].label == "ersetzt"


def test_a_gallery_with_motions_gives_the_motions_that_it_kept(tmp_path: Path) -> None:
    golden = GOLDEN / "gallery-format-3"
    expected = expected_of(golden)
    folder = shutil.copytree(golden, tmp_path / "gallery")
    assert check_gallery(folder).is_sound
    with FaissGallery.open(folder) as gallery:
        items = list(gallery.items(with_motions=True))
        assert (gallery.generation, [item.id for item in items]) == (expected["generation"], expected["ids"])
        assert {item.id: write.facts(item.motion) for item in items if item.motion} == expected["motions"]


def check_store(folder: Path, expected: dict[str, Any]) -> None:
    store = ClipStore.open(folder)
    store.verify()
    assert store.content_digest == expected["content_sha256"]
    assert PreprocessConfig(cleaning=store.cleaning).digest == expected["preprocess_digest"]
    assert list(store.class_names) == expected["class_names"]
    for column in ("names", "subjects", "labels", "splits", "cameras", "num_frames", "num_bodies"):
        assert getattr(store, column).tolist() == expected[column], column
    assert hashlib.sha256(store.rows.tobytes()).hexdigest() == expected["positions_sha256"]
    assert store.joints.tolist() == expected.get("joints", [ALL_MEASURED] * len(store))
    lacking = store.lacking_rows()
    assert (None if lacking is None else np.argwhere(lacking).tolist()) == expected.get("lacking")


@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_a_store_of_an_earlier_release_has_its_clips(version: int) -> None:
    check_store(GOLDEN / f"store-format-{version}", expected_of(GOLDEN / f"store-format-{version}"))


def test_a_resumed_run_of_an_earlier_release_has_the_losses_of_that_release(tmp_path: Path) -> None:
    golden = GOLDEN / "checkpoint-format-2.pt"
    expected = expected_of(golden)
    saved = Checkpoint.read(golden)
    assert saved.step == expected["step"]
    assert saved.preprocess.digest == expected["preprocess_digest"]
    assert saved.data["content_sha256"] == expected["content_sha256"]
    assert {name: float(weight.double().sum()) for name, weight in saved.encoder.items()} == expected["encoder"]
    losses = []

    def show(now: StepReport) -> None:
        losses.append(now.metrics["loss"])

    Trainer(saved.config, ClipStore.open(GOLDEN / "store-format-1"), tmp_path / "run", resume=saved).fit(show)
    assert losses == pytest.approx(expected["losses"], rel=1e-3)
    for name, weight in Checkpoint.read(tmp_path / "run").encoder.items():
        assert float(weight.double().sum()) == pytest.approx(expected["encoder_afterwards"][name], abs=1e-2), name


def check_bundle(folder: Path, expected: dict[str, Any]) -> Bundle:
    bundle = Bundle.read(folder)
    assert bundle.manifest.preprocess.digest == expected["preprocess_digest"]
    assert (bundle.manifest.embedding_size, bundle.manifest.step) == (expected["embedding_size"], expected["step"])
    for clip, right in zip(bundle.canonical, expected["canonical"], strict=True):
        assert clip.sequence.shape == (right["frames"], right["bodies"], 25, 3)
        np.testing.assert_allclose(clip.embedding, right["embedding"], atol=1e-5)
    return bundle


def test_a_bundle_of_an_earlier_release_gives_the_same_vectors() -> None:
    bundle = check_bundle(GOLDEN / "bundle-format-1", expected := expected_of(GOLDEN / "bundle-format-1"))
    assert bundle.manifest.encoder_digest == expected["encoder_digest"]
    assert bundle.check(Encoder(bundle, device="cpu").encode) < 1e-5


def test_this_release_writes_what_the_golden_files_hold(tmp_path: Path) -> None:
    """So nobody can change a format without adding files of the new format."""
    write.main(tmp_path / "written")
    written = {path.name: path for path in (tmp_path / "written").iterdir()}
    assert written.keys() <= {path.name for path in GOLDEN.iterdir()}
    for kind in write.INDEX_KINDS:
        now, then = (
            expected_of(root / f"gallery-format-2-derived-2-{kind}") for root in (tmp_path / "written", GOLDEN)
        )
        for key in ("generation", "num_items", "label_counts"):
            assert now[key] == then[key]
        assert [[id for id, _ in found] for found in now["exact"]] == [
            [id for id, _ in found] for found in then["exact"]
        ]
    check_store(written["store-format-2"], expected_of(GOLDEN / "store-format-2"))
    check_bundle(written["bundle-format-1"], expected_of(GOLDEN / "bundle-format-1"))
    now, then = (expected_of(root / "checkpoint-format-2.pt") for root in (tmp_path / "written", GOLDEN))
    assert now["losses"] == pytest.approx(then["losses"], rel=1e-3)
