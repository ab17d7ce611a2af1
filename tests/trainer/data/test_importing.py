"""`gfp-data` imports recordings into a store, and names what it leaves out."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gfp_serve.conventions import Conventions
from gfp_serve.errors import InterruptedImportError, StoreError
from gfp_serve.formats import READERS, Clip, Remark, ntu, write_clip_file
from gfp_serve.layouts import KINECT20, NTU25
from gfp_serve.preprocess import NOMINAL_TRUNK_M, CleanConfig, clean
from tests.support.bvh_person import write_person
from trainer.cli.data import gfp_data
from trainer.data import reading
from trainer.data.import_journal import ImportJournal
from trainer.data.importing import (
    ImportConfig,
    find_sources,
    import_recordings,
    total_bytes,
)
from trainer.data.reading import ReadConfig
from trainer.data.store import ClipStore

EXAMPLES = Path(__file__).parents[3] / "examples" / "clips"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(gfp_data, [str(argument) for argument in arguments])


def make_sequence(seed: int, num_frames: int = 4, joints: int = 25) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_frames, 1, joints, 3)).astype(np.float32) / 4


def make_file(path: Path, subjects: str = "123", *, split: int = -1, label: str | None = "walk") -> Path:
    clips = [
        Clip(name=f"clip{s}", sequence=make_sequence(i), layout=NTU25, fps=30.0, label=label, subject=s, split=split)
        for i, s in enumerate(subjects)
    ]
    write_clip_file(path, clips)
    return path


def make_skeleton_file(path: Path, num_frames: int = 2) -> Path:
    frame = ["1", "72001 0 1 1 1 1 0 0 0 2", "25"] + [f"{j / 100} {j / 50} 2 0 0 0 0 0 0 0 0 2" for j in range(25)]
    path.write_text("\n".join([str(num_frames)] + frame * num_frames) + "\n")
    return path


def test_the_shipped_recordings_become_a_store_and_the_two_empty_clips_are_named(tmp_path: Path) -> None:
    result = run("import", EXAMPLES, "--out", tmp_path / "store")
    assert result.exit_code == 0
    assert "131 clips" in result.stdout
    assert "0 files and 2 clips were left out" in result.stdout
    for name in ("precog/Seq2_10", "precog/Seq4_10"):
        assert f"left out: {name}: nobody is seen" in result.stderr
    store = ClipStore.open(tmp_path / "store")
    store.verify()
    assert len(store) == 131
    digest = hashlib.sha256((EXAMPLES / "precog.npz").read_bytes()).hexdigest()
    assert [source.sha256 for source in store.sources if source.name == "precog"] == [digest]


def test_the_store_holds_the_cleaned_clip(tmp_path: Path) -> None:
    raw = make_sequence(0, joints=20)
    raw[2, 0, 5] = np.nan
    write_clip_file(tmp_path / "lab.npz", [Clip(name="a", sequence=raw, layout=KINECT20, fps=30.0)])
    for flags, config in [([], CleanConfig()), (["--align-view"], CleanConfig(align_view=True))]:
        assert run("import", tmp_path / "lab.npz", "--out", tmp_path / "s", "--overwrite", *flags).exit_code == 0
        store = ClipStore.open(tmp_path / "s")
        expected = clean(raw, KINECT20, config)
        np.testing.assert_array_equal(store.clip(0), expected.positions)
        np.testing.assert_array_equal(store.cleaned(0).known, expected.known)
        assert store.joints.tolist() == ["mmdmmmmmmmmmmmmmmmmmmllll"]  # no fingers; the neck is derived
        assert store.cleaning == config


def test_scale_torso_gives_all_trunks_the_same_length(tmp_path: Path) -> None:
    make_file(tmp_path / "lab.npz")
    assert run("import", tmp_path / "lab.npz", "--out", tmp_path / "s", "--scale-torso").exit_code == 0
    store = ClipStore.open(tmp_path / "s")
    for index in range(len(store)):
        trunk = np.linalg.norm(store.clip(index)[:, 0, 20] - store.clip(index)[:, 0, 0], axis=-1)
        assert np.median(trunk) == pytest.approx(NOMINAL_TRUNK_M, rel=1e-5)


def test_a_test_subject_splits_its_source_and_other_sources_keep_their_split(
    tmp_path: Path,
) -> None:
    lab, street = make_file(tmp_path / "lab.npz", split=1), make_file(tmp_path / "street.npz", "12", split=-1)
    assert run("import", lab, street, "--out", tmp_path / "s", "--test-subject", "lab/2").exit_code == 0
    assert ClipStore.open(tmp_path / "s").splits.tolist() == [0, 1, 0, -1, -1]
    assert run("import", lab, street, "--out", tmp_path / "t").exit_code == 0
    assert ClipStore.open(tmp_path / "t").splits.tolist() == [1, 1, 1, -1, -1]


def test_classes_of_one_name_in_two_sources_are_one_class(tmp_path: Path) -> None:
    lab, street = make_file(tmp_path / "lab.npz", "1"), make_file(tmp_path / "street.npz", "1")
    assert run("import", lab, street, "--out", tmp_path / "s").exit_code == 0
    store = ClipStore.open(tmp_path / "s")
    assert store.class_names == ("walk",)
    assert store.subjects.tolist() == ["lab/1", "street/1"]


def test_a_folder_of_single_clip_files_is_one_source_named_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "ntu"
    folder.mkdir()
    first = make_skeleton_file(folder / "S001C001P003R001A008.skeleton")
    second = make_skeleton_file(folder / "S001C002P004R001A009.skeleton")
    assert find_sources([folder]) == find_sources([first, second]) == {"ntu": [first, second]}
    assert run("import", folder, "--out", tmp_path / "s", "--test-subject", "ntu/4").exit_code == 0
    store = ClipStore.open(tmp_path / "s")
    assert store.names.tolist() == ["ntu/S001C001P003R001A008", "ntu/S001C002P004R001A009"]
    assert store.class_names == ("sitting down", "standing up (from sitting position)")
    assert store.splits.tolist() == [0, 1]
    listing = "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in (first, second))
    assert store.sources[0].sha256 == hashlib.sha256(listing.encode()).hexdigest()


def test_recordings_of_one_name_in_the_folders_of_a_source_are_called_after_these_too(tmp_path: Path) -> None:
    for folder in ("ntu/a", "ntu/b"):
        (tmp_path / folder).mkdir(parents=True)
        make_skeleton_file(tmp_path / folder / "S001C001P001R001A001.skeleton")
    (tmp_path / "ntu" / "b" / "S001C001P001R001A002.SKELETON").write_text("2\n0\n0\n")  # nobody
    (tmp_path / "ntu" / "a" / "S001C001P001R001A002.skeleton").write_text("2\n0\n0\n")
    make_skeleton_file(tmp_path / "ntu" / "S001C001P001R001A003.SKELETON")
    listed = tmp_path / "bad.txt"
    listed.write_text("S001C001P001R001A003\n")
    result = run("import", tmp_path / "ntu", "--out", tmp_path / "s", "--leave-out", listed)
    assert result.exit_code == 0
    assert ClipStore.open(tmp_path / "s").names.tolist() == [
        "ntu/a/S001C001P001R001A001/S001C001P001R001A001",
        "ntu/b/S001C001P001R001A001/S001C001P001R001A001",
    ]
    assert "and 1 clips that were listed" in result.stdout
    assert "S001C001P001R001A002.skeleton" in result.stderr


def test_a_file_that_is_named_twice_is_imported_once(tmp_path: Path) -> None:
    (tmp_path / "ntu").mkdir()
    file = make_skeleton_file(tmp_path / "ntu" / "a.skeleton")
    result = run("import", tmp_path, file.parent, file, "--out", tmp_path / "s")
    assert "1 clip (2 frames) of 1 file; 0 files and 0 clips were left out" in result.stdout


def test_a_second_clip_of_one_name_is_left_out_and_named(tmp_path: Path) -> None:
    file = make_skeleton_file(tmp_path / "a.skeleton")
    summary = import_recordings({"lab": [file, file]}, tmp_path / "s", ImportConfig())
    (problem,) = summary.problems
    assert str(problem).endswith(f"{file} has a second clip of this name; rename one of them.")
    assert summary.num_clips == 1


def test_labels_of_a_folder_replace_those_of_the_files(tmp_path: Path) -> None:
    for folder, name in (("sit", "a"), ("stand", "b")):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        make_file(tmp_path / "raw" / folder / f"{name}.npz", "12", split=0)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label,subject,camera,split\na.npz,rest,ada,3,test\nstand/b,,bob,,\n")
    result = run("import", tmp_path / "raw", "--out", tmp_path / "s", "--label-from", labels)
    assert result.exit_code == 0, result.output
    store = ClipStore.open(tmp_path / "s")
    assert [store.class_names[label] for label in store.labels] == ["rest", "rest", "walk", "walk"]
    assert store.subjects.tolist() == ["a/ada", "a/ada", "b/bob", "b/bob"]
    assert store.splits.tolist() == [1, 1, 0, 0]
    assert "note: --label-from gives no label to 1 of 2 files: stand/b.npz." in result.stderr
    assert run("import", tmp_path / "raw", "--out", tmp_path / "t", "--label-from", "folder").exit_code == 0
    assert ClipStore.open(tmp_path / "t").class_names == ("sit", "stand")
    refused = run("import", tmp_path / "raw", "--out", tmp_path / "u", "--label-from", "(?P<label>x)")
    assert (refused.exit_code, "--label-from: '(?P<label>x)' gives no label" in refused.stderr) == (1, True)


def test_going_on_with_other_labels_is_refused(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 4)
    with pytest.raises(KeyboardInterrupt):
        import_recordings(find_sources([folder]), tmp_path / "s", CONFIG, advance=stop_after(2, KeyboardInterrupt()))
    result = run("import", folder, "--out", tmp_path / "s", "--label-from", "folder")
    assert "--label-from was not set, is" in " ".join(result.stderr.split())


def test_what_readers_say_is_in_the_summary_also_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Iterator[Clip | Remark]:
        yield Remark("it was turned.")
        yield Clip(name=path.stem, sequence=make_sequence(0), layout=NTU25, fps=30.0)
        yield Remark("it is cut off.", left_out="end")

    monkeypatch.setitem(READERS, ".bvh", read)
    (tmp_path / "lab").mkdir()
    for name in "abc":
        (tmp_path / "lab" / f"{name}.bvh").write_text("x")
    sources, config = find_sources([tmp_path / "lab"]), ImportConfig(leave_out=ntu.incomplete_recordings())
    with pytest.raises(KeyboardInterrupt):
        import_recordings(sources, tmp_path / "s", config, advance=stop_after(1, KeyboardInterrupt()))
    result = run("import", tmp_path / "lab", "--out", tmp_path / "s")
    assert f"note: {tmp_path / 'lab' / 'a.bvh'} and 2 other files: it was turned." in result.stderr
    assert ["left out: lab/end: it is cut off." in result.stderr, "0 files and 3 clips" in result.stdout] == [True] * 2
    assert run("import", tmp_path / "lab", "--out", tmp_path / "t", "--strict").exit_code == 1
    said = run("info", tmp_path / "lab").stderr
    assert f"left out: {tmp_path / 'lab' / 'b.bvh'}, clip 'end': it is cut off." in said
    assert "and 2 other files: it was turned." in said


def make_damaged_folder(folder: Path) -> Path:
    folder.mkdir()
    make_file(folder / "good.npz")
    content = (folder / "good.npz").read_bytes()
    (folder / "cut.npz").write_bytes(content[: len(content) // 2])
    make_skeleton_file(folder / "S001C001P001R001A001.skeleton")
    lines = (folder / "S001C001P001R001A001.skeleton").read_text().splitlines()
    (folder / "S001C001P001R001A002.skeleton").write_text("\n".join(lines[:20]))
    return folder


def test_damaged_files_are_named_with_line_or_array_and_the_others_are_imported(tmp_path: Path) -> None:
    folder = make_damaged_folder(tmp_path / "mixed")
    result = run("import", folder, "--out", tmp_path / "s")
    assert result.exit_code == 0
    assert f"left out: {folder / 'cut.npz'} is not a clip file" in result.stderr
    assert f"left out: {folder / 'S001C001P001R001A002.skeleton'}: the file ends at line 20" in result.stderr
    assert "4 clips" in result.stdout
    assert "of 4 files; 2 files and 0 clips were left out" in result.stdout
    assert [s.name for s in ClipStore.open(tmp_path / "s").sources] == ["mixed", "good"]


def test_strict_writes_nothing_but_still_names_all_problems(tmp_path: Path) -> None:
    folder = make_damaged_folder(tmp_path / "mixed")
    result = run("import", folder, "--out", tmp_path / "s", "--strict")
    assert result.exit_code == 1
    assert result.stderr.count("left out: ") == 2
    assert "--strict" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["mixed"]


def test_without_a_usable_clip_the_import_fails_and_leaves_nothing(tmp_path: Path) -> None:
    empty = np.zeros((3, 1, 25, 3), dtype=np.float32)
    write_clip_file(tmp_path / "lab.npz", [Clip(name="a", sequence=empty, layout=NTU25, fps=30.0)])
    result = run("import", tmp_path / "lab.npz", "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "no usable clip" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["lab.npz"]


@pytest.mark.parametrize(
    ("options", "exit_code", "said"),
    [
        (
            ["--test-subject", "lab/9"],
            1,
            "lab/9 has no usable clip; subjects of this source with clips: lab/1",
        ),
        (["--test-subject", "street/1"], 1, "no source 'street'; the sources are lab"),
        (["--test-subject", "9"], 2, "SOURCE/SUBJECT"),
        (["--licence", "street=MIT"], 1, "no source 'street'; the sources are lab"),
        (["--licence", "MIT"], 2, "SOURCE=TEXT"),
    ],
)
def test_an_unknown_subject_or_source_is_an_error_and_leaves_nothing(
    options: list[str], exit_code: int, said: str, tmp_path: Path
) -> None:
    result = run("import", make_file(tmp_path / "lab.npz"), "--out", tmp_path / "s", *options)
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["lab.npz"]


def test_files_of_one_name_are_sources_that_are_called_after_their_folders_too(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        make_file(tmp_path / "raw" / folder / "lab.npz", "12")
    result = run(
        "import", tmp_path / "raw", "--out", tmp_path / "s", "--test-subject", "y/lab/1", "--licence", "x/lab=MIT"
    )
    assert result.exit_code == 0, result.stderr
    store = ClipStore.open(tmp_path / "s")
    assert store.names.tolist() == ["x/lab/clip1", "x/lab/clip2", "y/lab/clip1", "y/lab/clip2"]
    assert store.splits.tolist() == [-1, -1, 1, 0]
    assert [(source.name, source.licence) for source in store.sources] == [("x/lab", "MIT"), ("y/lab", "")]
    plotted = run("plot", tmp_path / "raw" / "x" / "..", "--clip", "y/lab/clip2", "--out", tmp_path / "p.png")
    assert plotted.exit_code == 0, plotted.stderr


def test_a_folder_and_a_file_that_would_be_one_source_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    make_skeleton_file(tmp_path / "lab" / "S001C001P001R001A001.skeleton")
    result = run("import", tmp_path / "lab", make_file(tmp_path / "lab.npz"), "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "would both be the source 'lab'; rename one of them" in result.stderr


def test_a_folder_with_two_kinds_of_recordings_is_one_source(tmp_path: Path) -> None:
    for part in ("bvh", "ntu"):
        (tmp_path / "raw" / part).mkdir(parents=True)
    write_person(tmp_path / "raw" / "bvh" / "walk.bvh")
    make_skeleton_file(tmp_path / "raw" / "ntu" / "S001C001P001R001A001.skeleton")
    result = run("import", tmp_path / "raw", "--out", tmp_path / "s")
    assert result.exit_code == 0, result.stderr
    store = ClipStore.open(tmp_path / "s")
    assert [source.name for source in store.sources] == ["raw"]
    assert store.names.tolist() == ["raw/walk", "raw/S001C001P001R001A001"]


def test_folders_of_one_name_with_different_kinds_of_recordings_are_refused(tmp_path: Path) -> None:
    for part in ("x", "y"):
        (tmp_path / part / "raw").mkdir(parents=True)
    write_person(tmp_path / "x" / "raw" / "walk.bvh")
    make_skeleton_file(tmp_path / "y" / "raw" / "S001C001P001R001A001.skeleton")
    result = run("import", tmp_path / "x" / "raw", tmp_path / "y" / "raw", "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "would both be the source 'raw'; rename one of them, or its folder" in result.stderr


def test_clips_of_two_and_of_three_dimensions_do_not_go_into_one_store(tmp_path: Path) -> None:
    clip = Clip(name="a", sequence=make_sequence(1), layout=NTU25, fps=30.0)
    flat = replace(clip, sequence=clip.sequence * np.float32([100, -100, 0]) + np.float32([300, 300, 0]))
    write_clip_file(tmp_path / "space.npz", [clip])
    write_clip_file(tmp_path / "image.npz", [flat])
    result = run("import", tmp_path / "space.npz", tmp_path / "image.npz", "--out", tmp_path / "store")
    assert result.exit_code == 1
    assert "image.npz has 2-D joints and " in result.stderr
    assert not (tmp_path / "store").exists()
    assert run("import", tmp_path / "image.npz", "--out", tmp_path / "store").exit_code == 0


def test_progress_adds_up_to_all_bytes(tmp_path: Path) -> None:
    sources = find_sources([make_damaged_folder(tmp_path / "mixed")])
    steps: list[float] = []
    import_recordings(sources, tmp_path / "s", ImportConfig(), advance=steps.append)
    assert sum(steps) == pytest.approx(total_bytes(sources))
    assert len(steps) == 8  # one step for each clip, and one for each file's remaining bytes
    assert all(step >= 0 for step in steps)


def test_the_licence_is_kept(tmp_path: Path) -> None:
    lab = make_file(tmp_path / "lab.npz")
    assert run("import", lab, "--out", tmp_path / "s", "--licence", "lab=CC BY 4.0, a=b").exit_code == 0
    assert ClipStore.open(tmp_path / "s").sources[0].licence == "CC BY 4.0, a=b"
    assert "CC BY 4.0, a=b" in run("info", tmp_path / "s").stdout


def test_info_counts_what_is_in_a_store_and_in_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = make_file(tmp_path / "lab.npz", split=1)
    assert run("import", lab, "--out", tmp_path / "s").exit_code == 0
    facts = json.loads(run("info", tmp_path / "s", "--json", "--verify").stdout)
    assert (facts["clips"], facts["frames"], facts["classes"]) == (3, 12, {"walk": 3})
    assert facts["subjects"] == {"lab/1": 1, "lab/2": 1, "lab/3": 1}
    assert "lab/1: 1, lab/2: 1, lab/3: 1" in run("info", tmp_path / "s").stdout
    monkeypatch.setattr("trainer.cli.data._MOST_PEOPLE", 2)
    assert "3, with 1 clip each; --json lists them" in run("info", tmp_path / "s").stdout
    assert facts["splits"] == {"train": 0, "test": 3, "none": 0}
    assert facts["frames_a_clip"] == {"least": 4, "median": 4.0, "most": 4}
    assert facts["content_sha256"] == ClipStore.open(tmp_path / "s").content_digest
    raw = json.loads(run("info", lab, "--json").stdout)
    assert {name: raw[name] for name in ("clips", "frames", "classes", "splits")} == {
        name: facts[name] for name in ("clips", "frames", "classes", "splits")
    }
    assert raw["layouts"] == {"ntu25": 3}
    both = run("info", lab, EXAMPLES / "precog.npz", "--label-from", "(?P<label>[a-z]+).npz", "--json")
    assert json.loads(both.stdout)["classes"] == {"lab": 3, "precog": 72}
    picture = run("plot", lab, EXAMPLES / "precog.npz", "--clip", "both", "--out", tmp_path / "a.png")
    assert (picture.exit_code, "both" in picture.stderr) == (1, True)
    flat = tmp_path / "flat.npz"
    joints = make_sequence(1) * np.float32([1, 1, 0])
    write_clip_file(flat, [Clip(name="flat", sequence=joints, layout=NTU25, fps=30.0)])
    assert json.loads(run("info", lab, flat, "--json").stdout)["dimensions"] == {"2": 1, "3": 3}
    unlabelled = make_file(tmp_path / "unlabelled.npz", label=None)
    assert ": 3 clips." in run("plot", unlabelled, "--out", tmp_path / "b.png").stdout
    (tmp_path / "bad.bvh").touch()
    refused = run("plot", tmp_path / "bad.bvh", tmp_path / "bad.bvh", "--out", tmp_path / "c.png")
    assert refused.exit_code == 1
    refused = run("info", tmp_path / "s", "--fps", "25")
    assert (refused.exit_code, "is a store, whose clips were read when they were imported" in refused.stderr) == (
        2,
        True,
    )
    refused = run("info", lab, tmp_path / "s")
    assert (refused.exit_code, "is a store; name it alone, or recordings" in refused.stderr) == (2, True)
    shown = json.loads(run("info", EXAMPLES / "precog.npz", "--json").stdout)
    assert shown["clips_with_nobody"] == 2
    assert shown["joints_derived"] == {"Neck": 72}
    assert shown["joints_lacking"] == {"HandTipLeft": 72, "ThumbLeft": 72, "HandTipRight": 72, "ThumbRight": 72}


def test_a_camera_with_too_large_a_number_costs_its_clip_alone(tmp_path: Path) -> None:
    for camera in (1, 20260101):
        text = json.dumps({"file_name": "a01", "skeletons": make_sequence(0, joints=20)[:, 0].tolist(), "label": 1})
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"a01_s01_e00_v{camera:02}.json").write_text(text)
    result = run("import", tmp_path / "in", "--out", tmp_path / "s", "--up", "y", "--unit", "m")
    assert result.exit_code == 0, result.output
    assert "its camera has the number 20260101; a store keeps numbers up to 32767" in " ".join(result.stderr.split())
    assert len(ClipStore.open(tmp_path / "s")) == 1


def test_info_says_which_joints_of_a_store_are_lacking_and_for_how_long(tmp_path: Path) -> None:
    raw = make_sequence(0, joints=20)
    raw = np.concatenate([raw] * (40 // len(raw) + 1))[:40]
    raw[10:30, 0, KINECT20.joint_names.index("HandLeft")] = np.nan
    write_clip_file(tmp_path / "lab.npz", [Clip(name="a", sequence=raw, layout=KINECT20, fps=30.0)])
    assert run("import", tmp_path / "lab.npz", "--out", tmp_path / "s").exit_code == 0
    shown = json.loads(run("info", tmp_path / "s", "--json").stdout)
    assert shown["dimensions"] == 3
    assert shown["joints_derived"] == {"Neck": 1}
    assert sorted(shown["joints_lacking"]) == ["HandTipLeft", "HandTipRight", "ThumbLeft", "ThumbRight"]
    assert shown["lacking_percent"] == 100 * (4 * 40 + 20) / (25 * 40)


def test_info_says_when_a_store_was_altered(tmp_path: Path) -> None:
    run("import", make_file(tmp_path / "lab.npz"), "--out", tmp_path / "s")
    positions = tmp_path / "s" / "positions.f32"
    positions.write_bytes(bytes(positions.stat().st_size))
    result = run("info", tmp_path / "s", "--verify")
    assert result.exit_code == 1
    assert "are not those that were written" in result.stderr


def test_plot_draws_named_clips_of_stores_and_recordings(tmp_path: Path) -> None:
    lab = make_file(tmp_path / "lab.npz")
    run("import", lab, "--out", tmp_path / "s")
    for path, name in [(lab, "clip2"), (tmp_path / "s", "lab/clip2")]:
        result = run("plot", path, "--out", tmp_path / "p.png", "--clip", name)
        assert result.exit_code == 0
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "p.png").unlink()
    result = run("plot", lab, "--out", tmp_path / "p.png", "--clip", "clip9")
    assert result.exit_code == 1
    assert "no clip is named 'clip9'; similar names are clip" in result.stderr
    assert run("plot", lab, "--out", tmp_path / "p.doc").exit_code == 2


def test_info_shows_names_with_brackets_as_they_are(tmp_path: Path) -> None:
    clip = Clip(name="a", sequence=make_sequence(0), layout=NTU25, fps=30.0, label="[/wave] [b]x[/b]", subject="1")
    write_clip_file(tmp_path / "[red].npz", [clip])
    run("import", tmp_path / "[red].npz", "--out", tmp_path / "s")
    for path in (tmp_path / "[red].npz", tmp_path / "s"):
        assert "[/wave] [b]x[/b]" in run("info", path).stdout
    assert "│ [red] " in run("info", tmp_path / "s").stdout


def test_the_table_of_info_wraps_a_digest_instead_of_cutting_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    run("import", make_file(tmp_path / "mine.npz"), "--out", tmp_path / "store")
    words = "".join(run("info", tmp_path / "store").stdout.replace("│", "").split())
    assert ClipStore.open(tmp_path / "store").content_digest in words


CONFIG = ImportConfig()


def make_ntu_folder(folder: Path, num_files: int) -> Path:
    """Make files of one body. File n has n frames. Cameras are 1, 2, 3; setups are 1 and 2."""
    folder.mkdir()
    for n in range(num_files):
        make_skeleton_file(folder / f"S{n % 2 + 1:03}C{n % 3 + 1:03}P{n % 5 + 1:03}R001A{n + 1:03}.skeleton", n % 7 + 1)
    return folder


def test_any_number_of_processes_makes_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 70)
    lines = (folder / "S001C001P001R001A001.skeleton").read_text().splitlines()
    (folder / "S001C001P001R001A119.skeleton").write_text("\n".join(lines[:20]))
    make_file(folder / "lab.npz", "12")
    stores, problems = [], []
    for num_workers, pooled in ((1, 1 << 20), (2, 1 << 20), (2, 700)):  # some files are bigger than 700 bytes
        monkeypatch.setattr(reading, "MAX_POOLED_BYTES", pooled)
        out = tmp_path / f"s{len(stores)}"
        summary = import_recordings(find_sources([folder]), out, CONFIG, num_workers=num_workers)
        stores.append(ClipStore.open(out))
        problems.append([str(problem) for problem in summary.problems])
    assert len(stores[0]) == 72
    assert len({store.content_digest for store in stores}) == 1
    assert stores[0].sources == stores[1].sources == stores[2].sources
    assert problems[0] == problems[1] == problems[2]
    assert "ends at line 20" in problems[0][0]


def stop_after(num_files: int, error: BaseException) -> Callable[[float], None]:
    """Return an `advance` that fails after this many files of one clip each."""
    steps = 0

    def advance(num_bytes: float) -> None:
        nonlocal steps
        steps += 1
        if steps > 2 * num_files:
            raise error

    return advance


def test_an_interrupted_import_goes_on_where_it_stopped_and_makes_the_same_store(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 6)
    (folder / "S001C001P001R001A001.skeleton").write_text("2\n0\n0\n")  # nobody
    sources = find_sources([folder])
    whole = import_recordings(sources, tmp_path / "whole", CONFIG)
    with pytest.raises(KeyboardInterrupt):
        import_recordings(sources, tmp_path / "s", CONFIG, advance=stop_after(3, KeyboardInterrupt()))
    assert not (tmp_path / "s").exists()
    reported: list[object] = []
    done: list[float] = []
    again = import_recordings(sources, tmp_path / "s", CONFIG, advance=done.append, report=reported.append)
    assert again.num_resumed == 3
    again.num_resumed = 0
    assert again == whole
    assert [str(problem) for problem in reported] == [str(problem) for problem in whole.problems]
    assert sum(done) == pytest.approx(total_bytes(sources))
    stores = [ClipStore.open(tmp_path / name) for name in ("whole", "s")]
    assert stores[0].content_digest == stores[1].content_digest
    assert stores[0].sources == stores[1].sources
    stores[1].verify()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ntu", "s", "whole"]
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["clips.npz", "positions.f32", "store.json"]


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from trainer.data.importing import ImportConfig, find_sources, import_recordings

done = 0

def advance(num_bytes):
    global done
    done += num_bytes > 0
    if done > 90:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    config = ImportConfig()
    import_recordings(find_sources([Path(sys.argv[1])]), Path(sys.argv[2]), config, num_workers=2, advance=advance)
"""


@pytest.mark.parametrize("said", [{"fps": 5}, {"min_confidence": 0.9}, {"image_size": (10, 20)}, {"up": "z"}])
def test_an_import_with_other_conventions_does_not_go_on_with_this_one(said: dict[str, Any]) -> None:
    other = ImportConfig(read=ReadConfig(conventions=Conventions(**said)))
    assert other.to_json() != ImportConfig().to_json()


def test_an_import_that_was_killed_goes_on_where_it_stopped_and_makes_the_same_store(tmp_path: Path) -> None:
    sources = find_sources([make_ntu_folder(tmp_path / "ntu", 70)])
    (tmp_path / "killed.py").write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "ntu"), str(tmp_path / "s")]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    summary = import_recordings(sources, tmp_path / "s", CONFIG)
    assert 0 < summary.num_resumed < 70
    import_recordings(sources, tmp_path / "whole", CONFIG)
    assert ClipStore.open(tmp_path / "s").content_digest == ClipStore.open(tmp_path / "whole").content_digest


def test_going_on_with_other_settings_or_changed_files_is_refused_with_each_difference(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 4)
    with pytest.raises(KeyboardInterrupt):
        import_recordings(
            find_sources([folder]),
            tmp_path / "s",
            ImportConfig(read=CONFIG.read, leave_out=ntu.incomplete_recordings()),
            advance=stop_after(2, KeyboardInterrupt()),
        )
    result = run("import", folder, "--out", tmp_path / "s", "--protocol", "x-set", "--second-body", "copy")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "unfinished import with other settings: --protocol was usual, is x-set; --second-body was absent" in said
    assert "sources was" not in said
    make_skeleton_file(folder / "S001C001P001R001A100.skeleton")
    result = run("import", folder, "--out", tmp_path / "s")
    assert "sources was 4 files" in " ".join(result.stderr.split())
    make_ntu_folder(tmp_path / "other", 4)
    assert run("import", tmp_path / "other", "--out", tmp_path / "t").exit_code == 0


def test_changed_labels_are_found_when_an_import_of_pku_mmd_goes_on(tmp_path: Path) -> None:
    folder, labels = tmp_path / "pku" / "skeleton", tmp_path / "pku" / "label" / "0002-L.txt"
    folder.mkdir(parents=True)
    labels.parent.mkdir()
    row = " ".join(f"{number / 100:.2f}" for number in range(75)) + " 0" * 75 + "\n"
    (folder / "0002-L.txt").write_text(row * 5)
    labels.write_text("1,0,3,2\n")
    with pytest.raises(KeyboardInterrupt):
        import_recordings(find_sources([folder]), tmp_path / "s", CONFIG, advance=stop_after(0, KeyboardInterrupt()))
    labels.write_text("1,0,3,2\n1,3,5,2\n")
    with pytest.raises(StoreError, match="sources was 1 files"):
        import_recordings(find_sources([folder]), tmp_path / "s", CONFIG)


def test_a_file_whose_name_is_not_utf_8_is_imported(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 2)
    make_skeleton_file(folder / os.fsdecode(b"x\xff.skeleton"))
    result = run("import", folder, "--out", tmp_path / "s")
    assert "3 clips" in result.stdout, result.stderr
    assert ClipStore.open(tmp_path / "s").names[-1] == r"ntu/x\udcff"  # half a character, which no message takes


def test_a_full_disk_is_reported_and_finished_clips_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = find_sources([make_ntu_folder(tmp_path / "ntu", 5)])
    commit, commits = ImportJournal.commit, 0

    def commit_until_full(journal: ImportJournal, entry: dict[str, object]) -> None:
        nonlocal commits
        commits += 1
        if commits > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        commit(journal, entry)

    with monkeypatch.context() as patch:
        patch.setattr(ImportJournal, "commit", commit_until_full)
        with pytest.raises(InterruptedImportError, match=r"disk is full.*The 3 files that are done are kept"):
            import_recordings(sources, tmp_path / "s", CONFIG)
    assert import_recordings(sources, tmp_path / "s", CONFIG).num_resumed == 3


def test_the_protocol_decides_the_split_and_the_store_names_it(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 6)
    sides = {"x-sub": [0, 0, 1, 0, 0, 0], "x-view": [1, 0, 0, 1, 0, 0], "x-set": [1, 0, 1, 0, 1, 0]}
    for protocol, expected in sides.items():
        assert run("import", folder, "--out", tmp_path / protocol, "--protocol", protocol).exit_code == 0
        store = ClipStore.open(tmp_path / protocol)
        assert store.sources[0].protocol == protocol
        assert protocol in run("info", tmp_path / protocol).stdout
        by_name = dict(zip(store.names.tolist(), store.splits.tolist(), strict=True))
        assert [by_name[name] for name in sorted(by_name, key=lambda name: int(name[-3:]))] == expected
    assert run("import", folder, "--out", tmp_path / "usual").exit_code == 0
    usual = ClipStore.open(tmp_path / "usual")
    assert usual.sources[0].protocol == "x-sub"
    assert usual.content_digest == ClipStore.open(tmp_path / "x-sub").content_digest


def test_a_protocol_that_no_clip_has_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    lab = make_file(tmp_path / "lab.npz")
    result = run("import", lab, "--out", tmp_path / "s", "--protocol", "x-view")
    assert result.exit_code == 1
    assert "--protocol x-view: no clip has this protocol; protocols of these clips: none" in " ".join(
        result.stderr.split()
    )
    assert [file.name for file in tmp_path.iterdir()] == ["lab.npz"]


def test_clips_on_a_list_and_known_incomplete_recordings_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = make_ntu_folder(tmp_path / "ntu", 3)
    make_skeleton_file(folder / "S001C002P005R002A008.skeleton")  # on the authors' list
    listed = tmp_path / "bad.txt"
    listed.write_text("2 of the recordings are incomplete.\n\nS002C002P002R001A002\nS009C009P009R009A009\n")
    result = run("import", folder, "--out", tmp_path / "s", "--leave-out", listed, "--strict")
    assert result.exit_code == 0
    assert "of 4 files; 0 files and 0 clips were left out, and 2 clips that were listed" in result.stdout
    assert ClipStore.open(tmp_path / "s").names.tolist() == ["ntu/S001C001P001R001A001", "ntu/S001C003P003R001A003"]


def test_compat_closes_gaps_in_time_and_second_body_copy_repeats_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "ntu"
    folder.mkdir()
    path = make_skeleton_file(folder / "S001C001P001R001A001.skeleton", 4)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["6", *lines[1:29], "0", "0", *lines[29:]]) + "\n")
    shapes = {}
    for name, flags in {"true": [], "compat": ["--compat"], "copy": ["--second-body", "copy"]}.items():
        assert run("import", folder, "--out", tmp_path / name, *flags).exit_code == 0
        shapes[name] = ClipStore.open(tmp_path / name).clip(0).shape
    assert shapes == {"true": (6, 1, 25, 3), "compat": (4, 1, 25, 3), "copy": (6, 2, 25, 3)}
    copied = ClipStore.open(tmp_path / "copy").clip(0)
    np.testing.assert_array_equal(copied[:, 0], copied[:, 1])
