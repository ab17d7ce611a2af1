import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gfp_serve.bundle import (
    CANONICAL_FILE,
    CANONICAL_TOLERANCE,
    FP16_GRAPH,
    INT8_GRAPH,
    MANIFEST_FILE,
    MODEL_FILE,
    ROUNDED_TOLERANCE,
    Bundle,
)
from gfp_serve.errors import BundleError
from gfp_serve.preprocess import PreprocessConfig, SampleConfig
from tests.support.tiny_bundle import CONFIG, SIZE, tiny_bundle, tiny_encode


@pytest.fixture(params=["bundle", "bundle.zip"], ids=["folder", "zip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "out" / request.param
    assert not list(tmp_path.rglob(".*")), "a temporary file was left"


def test_what_is_written_is_what_is_read(path):
    bundle = tiny_bundle(data={"clips": 12, "licences": ["CC BY 4.0"]})
    bundle.write(path)
    read = Bundle.read(path)
    assert read.manifest == bundle.manifest
    assert read.model == bundle.model
    for clip, original in zip(read.canonical, bundle.canonical, strict=True):
        assert clip.layout == original.layout
        np.testing.assert_array_equal(clip.sequence, original.sequence)
        np.testing.assert_array_equal(clip.embedding, original.embedding)


def test_writing_the_same_bundle_twice_gives_the_same_file(tmp_path):
    tiny_bundle().write(tmp_path / "first.zip")
    tiny_bundle().write(tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_a_bundle_replaces_another(path):
    tiny_bundle(step=1).write(path)
    tiny_bundle(step=2).write(path)
    assert Bundle.read(path).manifest.step == 2


def test_a_kill_between_two_files_does_not_stop_the_next_export(path):
    bundle = tiny_bundle()
    killed = f"""
import os, signal
from pathlib import Path
from tests.support.tiny_bundle import tiny_bundle
def die_before_the_model(file, target, replace=Path.replace):
    if {MODEL_FILE!r} in file.name or target.suffix == ".zip":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(file, target)
Path.replace = die_before_the_model
tiny_bundle().write(Path({str(path)!r}))
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    (left,) = path.parent.rglob(".*.new")
    bundle.write(path)
    assert Bundle.read(path).manifest == bundle.manifest
    if path.suffix == ".zip":
        left.unlink()  # beside the bundle it waits for a later export
    else:
        assert {file.name for file in path.iterdir()} == {MODEL_FILE, MANIFEST_FILE, CANONICAL_FILE}


def test_a_folder_with_other_files_is_not_written_into(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BundleError, match=r"'thesis.tex'"):
        tiny_bundle().write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_zip_is_not_replaced(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.jpg", b"")
    before = (tmp_path / "photos.zip").read_bytes()
    with pytest.raises(BundleError, match=r"'photo.jpg'"):
        tiny_bundle().write(tmp_path / "photos.zip")
    assert (tmp_path / "photos.zip").read_bytes() == before


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_another_file_is_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BundleError, match="is not a bundle"):
        tiny_bundle().write(tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE, CANONICAL_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    tiny_bundle().write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.read(tmp_path)


def test_a_path_without_a_bundle_is_a_bundle_error(tmp_path):
    with pytest.raises(BundleError, match="does not exist"):
        Bundle.read(tmp_path / "nowhere")


def test_an_altered_model_is_refused(tmp_path):
    tiny_bundle().write(tmp_path)
    content = bytearray((tmp_path / MODEL_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(BundleError, match="was altered or cut off"):
        Bundle.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format_version": 2}, "format 2; this release reads format 1"),
        ({"preprocess": {**CONFIG.to_json(), "version": 99}}, "preprocessing version 99"),
        ({"preprocess": {**CONFIG.to_json(), "layout": "smpl25"}}, "'smpl25'"),
        ({"preprocess": {**CONFIG.to_json(), "crop": 2.0}}, "crop is 2.0"),
        ({"preprocess": {**CONFIG.to_json(), "blur": 1}}, "blur"),
        ({"colour": "red"}, "colour"),
        ({"name": 7}, "name is 7; it must be of type str"),
        ({"step": "many"}, "step is 'many'; it must be of type int"),
        ({"step": True}, "step is True"),
        ({"opset": 17.5}, "opset is 17.5"),
        ({"embedding_size": "8"}, "embedding_size is '8'"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"data": []}, r"data is \[\]; it must be of type dict"),
        ({"training": "long"}, "training is 'long'; it must be of type dict or NoneType"),
        ({"preprocess": {**CONFIG.to_json(), "num_frames": 6.5}}, "num_frames is 6.5"),
        ({"preprocess": {**CONFIG.to_json(), "align_view": "no"}}, "align_view is 'no'"),
        ({"preprocess": ["num_frames"]}, "is not a usable bundle"),
        ({"preprocess": {**CONFIG.to_json(), "num_frames": 10**9}}, "num_frames is 1000000000; it must be from 1 to"),
        ({"step": 10**30}, "step is a number of more than 63 bits"),
        ({"embedding_size": 10**12}, r"must be float32 of shape \(1000000000000,\)"),
        ({"name": "\ud800"}, "name has halves of characters"),
        ({"format_version": [[[]]]}, "bundle format"),
        ({"graph": "quick"}, "graph is 'quick'; it must be one of standard, attention, fused, int8, fp16"),
        ({"graph": "fused"}, "standard_sha256 is '', which does not fit the graph 'fused'"),
        ({"graph": "fused", "standard_sha256": "0" * 63}, "does not fit the graph 'fused'"),
        ({"standard_sha256": "0" * 64}, "does not fit the graph 'standard'"),
        ({"graph": "int8", "standard_sha256": "0" * 64}, "does not fit the graph 'int8'"),
        ({"graph": "fp16", "standard_sha256": "0" * 64}, "does not fit the graph 'fp16'"),
    ],
)
def test_a_manifest_that_this_release_does_not_understand_is_refused(tmp_path, change, expected):
    tiny_bundle().write(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text())
    (tmp_path / MANIFEST_FILE).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(BundleError, match=expected):
        Bundle.read(tmp_path)


def test_a_manifest_that_is_nested_without_end_is_refused(tmp_path):
    tiny_bundle().write(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("[" * 100_000)
    with pytest.raises(BundleError, match="is not a usable bundle"):
        Bundle.read(tmp_path)


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE, CANONICAL_FILE])
def test_a_pipe_or_a_hole_in_the_place_of_a_file_is_refused_by_name(tmp_path, name):
    tiny_bundle().write(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(BundleError, match=f"{name}: it is a pipe"):
        Bundle.read(tmp_path)
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match=f"{name}: it has more than"):
        Bundle.read(tmp_path)


def test_a_pipe_in_the_place_of_a_bundle_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "bundle.zip")
    with pytest.raises(BundleError, match="it is a pipe"):
        Bundle.read(tmp_path / "bundle.zip")


@pytest.mark.parametrize("name", [MANIFEST_FILE, CANONICAL_FILE])
def test_a_zip_with_a_member_that_unpacks_to_far_more_is_refused_before_it_is_unpacked(tmp_path, name):
    tiny_bundle().write(tmp_path / "sound.zip")
    with zipfile.ZipFile(tmp_path / "sound.zip") as sound, zipfile.ZipFile(tmp_path / "bomb.zip", "w") as bomb:
        for each in sound.namelist():
            content = bytes(65 * 2**20) if each == name else sound.read(each)
            bomb.writestr(each, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    with pytest.raises(BundleError, match=f"{name} has {65 * 2**20} bytes, and at most"):
        Bundle.read(tmp_path / "bomb.zip")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("embedding_0", np.zeros(SIZE + 1, dtype=np.float32)),
        ("embedding_1", np.zeros((1, SIZE), dtype=np.float32)),
        ("embedding_0", np.zeros(SIZE)),
        ("embedding_0", np.array(["wave"] * SIZE)),
        ("sequence_0", np.zeros((9, 25, 3), dtype=np.float32)),
        ("sequence_0", np.zeros((9, 1, 20, 3), dtype=np.float32)),
        ("sequence_0", np.zeros((0, 1, 25, 3), dtype=np.float32)),
        ("sequence_0", np.zeros(4, dtype=np.int64)),
        ("layout_0", np.array("smpl25")),
    ],
)
def test_a_canonical_array_that_contradicts_the_manifest_is_named(tmp_path, name, array):
    tiny_bundle().write(tmp_path)
    with np.load(tmp_path / CANONICAL_FILE) as sound:
        arrays = dict(sound)
    np.savez(tmp_path / CANONICAL_FILE, **{**arrays, name: array})
    with pytest.raises(BundleError, match=name):
        Bundle.read(tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("Fail"), ValueError("InvalidArgument")])
def test_a_model_that_cannot_be_run_is_a_bundle_error(error):
    def encode(_clips):
        raise error

    with pytest.raises(BundleError, match=f"canonical clip 0: {error}"):
        tiny_bundle().check(encode)


def test_a_canonical_clip_with_nobody_in_it_is_a_bundle_error():
    bundle = tiny_bundle()
    nobody = dataclasses.replace(bundle.canonical[0], sequence=np.full_like(bundle.canonical[0].sequence, np.nan))
    with pytest.raises(BundleError, match="canonical clip 0: nobody is seen"):
        dataclasses.replace(bundle, canonical=(nobody,)).check(tiny_encode)


def test_a_model_with_another_embedding_size_than_the_manifest_is_refused():
    with pytest.raises(BundleError, match=r"shape \(1, 1\).*embedding_size 8"):
        tiny_bundle().check(lambda clips: tiny_encode(clips)[:, :1])


def test_a_flipped_byte_of_a_zip_gives_the_same_bundle_or_a_bundle_error(tmp_path):
    sound, path = tiny_bundle(), tmp_path / "bundle.zip"
    sound.write(path)
    content = path.read_bytes()
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read = Bundle.read(path)
        except BundleError:
            refused += 1
        else:
            assert (read.manifest, read.model) == (sound.manifest, sound.model)
            assert read.check(tiny_encode) < CANONICAL_TOLERANCE
    assert refused > 100


def test_a_flipped_byte_of_the_canonical_clips_is_a_bundle_error_or_harmless(tmp_path):
    tiny_bundle().write(tmp_path)
    content = (tmp_path / CANONICAL_FILE).read_bytes()
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / CANONICAL_FILE).write_bytes(damaged)
        try:
            assert Bundle.read(tmp_path).check(tiny_encode) < CANONICAL_TOLERANCE
        except BundleError:
            refused += 1
    assert refused > 100


def test_the_encoder_that_was_exported_passes_the_check():
    assert tiny_bundle().check(tiny_encode) == 0


@pytest.mark.parametrize("error", [2 * CANONICAL_TOLERANCE, -2 * CANONICAL_TOLERANCE, np.nan, np.inf])
@pytest.mark.parametrize("wrong_clip", [0, 1])
def test_an_encoder_that_gives_another_vector_for_any_canonical_clip_is_refused(error, wrong_clip):
    calls = iter(range(2))

    def encode(clips):
        vector = tiny_encode(clips)
        vector[0, 3] += np.float32(error) if next(calls) == wrong_clip else 0
        return vector

    with pytest.raises(BundleError, match="other vectors here"):
        tiny_bundle().check(encode)


@pytest.mark.parametrize("graph", [INT8_GRAPH, FP16_GRAPH])
@pytest.mark.parametrize(("error", "is_refused"), [(0.9 * ROUNDED_TOLERANCE, False), (1.1 * ROUNDED_TOLERANCE, True)])
def test_a_model_in_fewer_bits_may_differ_by_a_step_of_rounding(error, is_refused, graph):
    bundle = tiny_bundle()
    bundle = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, graph=graph))
    refusal = pytest.raises(BundleError, match="other vectors here") if is_refused else contextlib.nullcontext()
    with refusal:
        bundle.check(lambda clips: tiny_encode(clips) + np.float32(error))


def test_the_check_finds_other_preprocessing():
    bundle = tiny_bundle()
    other = dataclasses.replace(
        bundle.manifest, preprocess=PreprocessConfig(sampling=SampleConfig(num_frames=6, crop=0.3))
    )
    with pytest.raises(BundleError, match="other vectors here"):
        dataclasses.replace(bundle, manifest=other).check(tiny_encode)


def test_the_encoder_digest_changes_with_the_model_and_with_the_preprocessing_only():
    digest = tiny_bundle().manifest.encoder_digest
    assert tiny_bundle(name="renamed", step=7).manifest.encoder_digest == digest
    assert tiny_bundle(model_sha256="0" * 64).manifest.encoder_digest != digest
    assert (
        tiny_bundle(preprocess=PreprocessConfig(sampling=SampleConfig(num_frames=6, crop=0.9))).manifest.encoder_digest
        != digest
    )
