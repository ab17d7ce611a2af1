"""The clip store: added clips come back as views, and other files are not accepted as a store."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfp_serve.errors import StoreError
from gfp_serve.preprocess import PREPROCESS_VERSION, CleanConfig, Cleaned, PreprocessConfig
from trainer.data import import_journal
from trainer.data.store import ClipStore, is_store
from trainer.data.store_writer import StoreWriter

CLEANING = CleanConfig(align_view=True)
PREPROCESS = PreprocessConfig(cleaning=CLEANING)


def make_clip(num_frames: int = 3, num_bodies: int = 1, start: float = 0.0) -> np.ndarray:
    shape = (num_frames, num_bodies, 25, 3)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + np.float32(start)


def add(writer: StoreWriter, clip: np.ndarray, **values: Any) -> None:
    defaults = {"source": "lab", "name": "a", "label": "walk", "subject": "1", "camera": 0, "split": -1, "fps": 30.0}
    writer.add(Cleaned(clip, np.ones(clip.shape[:-1], dtype=bool)), **(defaults | values))


def make_store(path: Path, **writing: Any) -> ClipStore:
    """A store of three clips of two sources, which share the class "walk"."""
    with StoreWriter(path, CLEANING, **writing) as writer:
        writer.add_source("lab", sha256="00", licence="MIT")
        add(writer, make_clip(3, 1), name="a", label="walk", subject="7", camera=2, split=1)
        add(writer, make_clip(2, 2, 1000), name="b", label=None, subject="8")
        writer.add_source("street", sha256="11")
        add(writer, make_clip(4, 1, 2000), source="street", name="a", label="bow", subject="7", fps=25.0)
        add(writer, make_clip(1, 1, 3000), source="street", name="c", label="walk", subject="9")
    return ClipStore.open(path)


def test_added_clips_come_back(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    assert len(store) == 4
    for index, clip in enumerate([make_clip(3, 1), make_clip(2, 2, 1000), make_clip(4, 1, 2000)]):
        np.testing.assert_array_equal(store.clip(index), clip)
    assert store.class_names == ("bow", "walk")
    assert store.labels.tolist() == [1, -1, 0, 1]
    assert store.names.tolist() == ["lab/a", "lab/b", "street/a", "street/c"]
    assert store.subjects.tolist() == ["lab/7", "lab/8", "street/7", "street/9"]
    assert store.splits.tolist() == [1, -1, -1, -1]
    assert store.cameras.tolist() == [2, 0, 0, 0]
    assert store.fps.tolist() == [30.0, 30.0, 25.0, 30.0]
    assert store.num_frames.tolist() == [3, 2, 4, 1]
    assert store.num_bodies.tolist() == [1, 2, 1, 1]
    assert store.cleaning == CLEANING
    assert [(s.name, s.licence, s.num_clips) for s in store.sources] == [("lab", "MIT", 2), ("street", "", 2)]


arrays = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 2), st.just(25), st.just(3)),
    elements=st.floats(-9, 9, width=32),
)


@given(clips=st.lists(arrays, min_size=1, max_size=5))
def test_any_clips_come_back_bit_for_bit(clips: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("stores") / "store"
    with StoreWriter(path, CLEANING) as writer:
        writer.add_source("lab", sha256="00")
        for number, clip in enumerate(clips):
            add(writer, clip, name=str(number))
    store = ClipStore.open(path)
    store.verify()
    for index, clip in enumerate(clips):
        assert store.clip(index).tobytes() == clip.tobytes()


masks = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 2), st.just(25)))


@given(known=st.lists(masks, min_size=1, max_size=4))
def test_what_is_known_of_any_clips_comes_back(
    known: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("stores") / "store"
    with StoreWriter(path, CLEANING) as writer:
        writer.add_source("lab", sha256="00")
        about = {"source": "lab", "label": None, "subject": "1", "camera": 0, "split": -1, "fps": 30.0}
        for number, each in enumerate(known):
            writer.add(Cleaned(np.zeros((*each.shape, 3), np.float32), each), name=str(number), **about)
    store = ClipStore.open(path)
    store.verify()
    for index, each in enumerate(known):
        np.testing.assert_array_equal(store.cleaned(index).known, each)
    rows = np.concatenate([~each.transpose(1, 0, 2).reshape(-1, 25) for each in known])
    lacking = store.lacking_rows()
    assert (lacking is None) == (not rows.any())
    if lacking is not None:
        np.testing.assert_array_equal(lacking, rows)


@pytest.mark.parametrize(
    "lacking",
    [
        [[9, 0, 0, 0, 1]],
        [[0, 1, 0, 0, 1]],
        [[0, 0, 25, 0, 1]],
        [[0, 0, 0, 2, 99]],
        [[0, 0, 0, -1, 1]],
        [[1, 0, 0, 0, 1], [0, 0, 0, 0, 1]],
        [[0.0, 0.0, 0.0, 0.0, 1.0]],
        [[0, 0, 0]],
    ],
)
def test_runs_of_lacking_joints_that_no_clip_has_are_refused(lacking: list[list[float]], tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    file = tmp_path / "store" / "clips.npz"
    with np.load(file) as archive:
        columns = dict(archive)
    np.savez(file, **columns | {"lacking": np.array(lacking)})
    with pytest.raises(StoreError, match=r"what clips.npz says of lacking joints does not fit its clips"):
        ClipStore.open(tmp_path / "store")


def test_the_digest_covers_what_is_known(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        with StoreWriter(tmp_path / str(number), CLEANING) as writer:
            writer.add_source("lab", sha256="00")
            known = np.ones((3, 1, 25), dtype=bool)
            known[0, 0, 0] = number
            about = {"source": "lab", "name": "a", "label": None, "subject": "1", "camera": 0, "split": -1, "fps": 30.0}
            writer.add(Cleaned(make_clip(3, 1), known), **about)
        digests.add(ClipStore.open(tmp_path / str(number)).content_digest)
    assert len(digests) == 2


def test_clips_are_read_only_views_of_one_map(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    assert np.shares_memory(store.clip(1), store.rows)
    with pytest.raises(ValueError, match="read-only"):
        store.clip(1)[0, 0, 0, 0] = 1.0


def test_each_body_lies_in_one_piece_on_disk(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    on_disk = np.fromfile(tmp_path / "store" / "positions.f32", dtype="<f4").reshape(-1, 25, 3)
    assert store.offsets.tolist() == [0, 3, 7, 11, 12]
    np.testing.assert_array_equal(on_disk[3:5], make_clip(2, 2, 1000)[:, 0])
    np.testing.assert_array_equal(on_disk[5:7], make_clip(2, 2, 1000)[:, 1])


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    digest = make_store(tmp_path / "a").content_digest
    assert make_store(tmp_path / "b").content_digest == digest
    for number, change in enumerate(({"label": "run"}, {"split": 0}, {"clip": make_clip(3, 1, 1)})):
        path = tmp_path / f"changed{number}"
        changed = {"clip": make_clip(3, 1), "label": "walk", "split": 1} | change
        with StoreWriter(path, CLEANING) as writer:
            writer.add_source("lab", sha256="00")
            add(writer, changed.pop("clip"), subject="7", camera=2, **changed)
        assert ClipStore.open(path).content_digest != digest


def test_verify_finds_a_changed_byte(tmp_path: Path) -> None:
    make_store(tmp_path / "store").verify()
    positions = tmp_path / "store" / "positions.f32"
    content = bytearray(positions.read_bytes())
    content[100] ^= 1
    positions.write_bytes(content)
    with pytest.raises(StoreError, match="are not those that were written"):
        ClipStore.open(tmp_path / "store").verify()


def test_a_store_cut_off_or_with_a_missing_file_is_refused(tmp_path: Path) -> None:
    for number, file in enumerate(["positions.f32", "clips.npz", "store.json"]):
        path = tmp_path / str(number)
        make_store(path)
        content = (path / file).read_bytes()
        (path / file).write_bytes(content[:-100])
        with pytest.raises(StoreError, match=str(path)):
            ClipStore.open(path)
        (path / file).unlink()
        with pytest.raises(StoreError, match=str(path)):
            ClipStore.open(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 3}, "store format 3; this release reads formats 1 and 2"),
        ({"preprocess": PREPROCESS.to_json() | {"version": PREPROCESS_VERSION + 1}}, "preprocessing version 2"),
        ({"preprocess": PREPROCESS.to_json() | {"scale_torso": True}}, "preprocessing in store.json was altered"),
        ({"preprocess": PREPROCESS.to_json() | {"unheard_of": True}}, "unheard_of"),
        ({"class_names": None}, "not a usable clip store"),
    ],
)
def test_another_version_or_an_altered_description_is_refused(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    make_store(tmp_path / "store")
    file = tmp_path / "store" / "store.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(StoreError, match=said):
        ClipStore.open(tmp_path / "store")


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_nothing(interruption: type[BaseException], tmp_path: Path) -> None:
    def write_half() -> None:
        with StoreWriter(tmp_path / "store", CLEANING) as writer:
            writer.add_source("lab", sha256="00")
            add(writer, make_clip())
            raise interruption

    with pytest.raises(interruption):
        write_half()
    assert not list(tmp_path.iterdir())


def test_an_interrupted_overwriting_leaves_the_old_store(tmp_path: Path) -> None:
    digest = make_store(tmp_path / "store").content_digest
    with pytest.raises(RuntimeError), StoreWriter(tmp_path / "store", CLEANING, overwrite=True):
        raise RuntimeError
    assert ClipStore.open(tmp_path / "store").content_digest == digest
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_a_store_is_replaced_only_on_request_and_other_folders_never(tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    with pytest.raises(StoreError, match="--overwrite"):
        make_store(tmp_path / "store")
    assert len(make_store(tmp_path / "store", overwrite=True)) == 4
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("precious")
    with pytest.raises(StoreError, match="not a clip store"):
        make_store(tmp_path / "letters", overwrite=True)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "precious"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["letters", "store"]
    assert is_store(tmp_path / "store")
    assert not is_store(tmp_path / "letters")


@pytest.mark.parametrize(
    ("sources", "names", "said"),
    [
        (["lab"], ["a", "a"], "two clips named 'lab/a'"),
        (["lab", "lab"], ["a"], "two sources are named 'lab'"),
        (["lab"], [], "no usable clip"),
    ],
)
def test_repeated_names_repeated_sources_and_an_empty_store_are_refused(
    sources: list[str], names: list[str], said: str, tmp_path: Path
) -> None:
    def write() -> None:
        with StoreWriter(tmp_path / "store", CLEANING) as writer:
            for source in sources:
                writer.add_source(source, sha256="00")
            for name in names:
                add(writer, make_clip(), name=name)

    with pytest.raises(StoreError, match=said):
        write()
    assert not list(tmp_path.iterdir())


JOB = {"files": "two"}


def write_some(path: Path, names: str, *, job: dict[str, str] = JOB) -> None:
    """Commit a clip for each name, then start another and be interrupted."""

    def write() -> None:
        with StoreWriter(path, CLEANING, job=job) as writer:
            for name in names:
                add(writer, make_clip(start=float(ord(name))), name=name)
                writer.commit({"name": name})
            add(writer, make_clip(), name="never committed")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()


def write_rest(path: Path, names: str) -> list[str]:
    """Go on until the store has all names; return those that it had before."""
    with StoreWriter(path, CLEANING, job=JOB) as writer:
        there = [note["name"] for note in writer.notes]
        for name in names[len(there) :]:
            add(writer, make_clip(start=float(ord(name))), name=name)
            writer.commit({"name": name})
        writer.add_source("lab", sha256="00")
    return there


def test_a_writer_with_a_job_goes_on_after_the_last_commit(tmp_path: Path) -> None:
    assert write_rest(tmp_path / "whole", "abc") == []
    write_some(tmp_path / "s", "ab")
    assert write_rest(tmp_path / "s", "abc") == ["a", "b"]
    store, whole = ClipStore.open(tmp_path / "s"), ClipStore.open(tmp_path / "whole")
    store.verify()
    assert store.content_digest == whole.content_digest
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s", "whole"]


@pytest.mark.parametrize(
    ("file", "cut", "kept"),
    [
        ("journal.jsonl", 1, ["a"]),  # the line of b is cut off
        ("journal.jsonl", 10_000, []),
        ("positions.f32", 3 * 300 + 1, ["a"]),  # the clip that was never committed, and one byte of b
        ("positions.f32", 10_000, []),
    ],
)
def test_clips_that_a_crash_left_incomplete_are_written_again(
    file: str, cut: int, kept: list[str], tmp_path: Path
) -> None:
    write_rest(tmp_path / "whole", "abc")
    write_some(tmp_path / "s", "ab")
    damaged = tmp_path / ".s.partial" / file
    content = damaged.read_bytes()
    damaged.write_bytes(content[: max(0, len(content) - cut)])
    assert write_rest(tmp_path / "s", "abc") == kept
    assert ClipStore.open(tmp_path / "s").content_digest == ClipStore.open(tmp_path / "whole").content_digest


def test_clips_whose_bytes_changed_after_their_commit_are_written_again(tmp_path: Path) -> None:
    write_some(tmp_path / "s", "ab")
    positions = tmp_path / ".s.partial" / "positions.f32"
    content = bytearray(positions.read_bytes())
    content[3 * 300 + 5] ^= 1
    positions.write_bytes(content)
    assert write_rest(tmp_path / "s", "abc") == ["a"]
    ClipStore.open(tmp_path / "s").verify()


def test_a_commit_larger_than_memory_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rest(tmp_path / "whole", "abc")
    write_some(tmp_path / "s", "ab")
    monkeypatch.setattr(import_journal, "_CHUNK_BYTES", 500)
    interrupted = import_journal.ImportJournal(tmp_path / "s", "positions.f32", JOB)
    interrupted.open()
    assert [[len(chunk) for chunk in chunks] for _, chunks in interrupted.resume()] == [[500, 400]] * 2
    interrupted.close(keep=True)
    assert write_rest(tmp_path / "s", "abc") == ["a", "b"]
    assert ClipStore.open(tmp_path / "s").content_digest == ClipStore.open(tmp_path / "whole").content_digest


def test_a_kill_between_the_two_renames_is_repaired_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rest(tmp_path / "s", "a")
    renames = 0

    def rename_once(path: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == 2:
            raise KeyboardInterrupt
        return rename(path, target)

    def overwrite() -> None:
        with StoreWriter(tmp_path / "s", CLEANING, job=JOB, overwrite=True) as writer:
            if not writer.notes:
                add(writer, make_clip(start=9.0), name="b")
                writer.commit({"name": "b"})
            writer.add_source("lab", sha256="00")

    rename = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_once)
        with pytest.raises(KeyboardInterrupt):
            overwrite()
    assert sorted(file.name for file in tmp_path.iterdir()) == [".s.old", ".s.partial"]
    overwrite()
    assert [file.name for file in tmp_path.iterdir()] == ["s"]
    assert ClipStore.open(tmp_path / "s").names.tolist() == ["lab/b"]


def test_another_job_does_not_resume_and_two_writers_do_not_mix(tmp_path: Path) -> None:
    write_some(tmp_path / "s", "a")
    with pytest.raises(StoreError, match="files was two, is three"):
        write_some(tmp_path / "s", "a", job={"files": "three"})
    assert write_rest(tmp_path / "s", "ab") == ["a"]
    with StoreWriter(tmp_path / "t", CLEANING) as writer:
        writer.add_source("lab", sha256="00")
        add(writer, make_clip())
        with pytest.raises(StoreError, match="another process is writing"):
            write_some(tmp_path / "t", "a")
    assert len(ClipStore.open(tmp_path / "t")) == 1
