"""The generated code in gfp_serve/v1 is up to date, and loads with every protobuf that we support."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLDEST_PROTOBUF, NEWEST_PROTOBUF = "6.31.1", "7.36.2"

USE_THE_STUBS = """
import google.protobuf
import gfp_serve.v1.embedding_pb2_grpc, gfp_serve.v1.gallery_pb2_grpc
from gfp_serve.v1 import embedding_pb2
message = embedding_pb2.EmbedRequest()
assert embedding_pb2.EmbedRequest.FromString(message.SerializeToString()) == message
print(google.protobuf.__version__)
"""


def test_the_committed_stubs_equal_what_make_proto_generates(tmp_path):
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", *outputs, *protos], check=True)

    fresh = {path.name: path.read_text() for path in (tmp_path / "gfp_serve" / "v1").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "gfp_serve" / "v1").glob("*_pb2*")}
    assert protos
    assert sorted(fresh) == sorted(committed)
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, "run `make proto` and commit what it writes"


@pytest.mark.install
@pytest.mark.parametrize("version", [OLDEST_PROTOBUF, NEWEST_PROTOBUF])
def test_the_stubs_load_with_the_oldest_and_the_newest_protobuf(tmp_path, version):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path]
    subprocess.run([*install, f"protobuf=={version}"], check=True)

    # -W error: if protobuf warns today that the stubs are old, its next major version will refuse them.
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-W", "error", "-c", USE_THE_STUBS]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == version
