"""The wire does not depend on Python: the Node.js example reads the protos and calls a real server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.servers import running_in_thread

ROOT = Path(__file__).parents[2]


@pytest.mark.install
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js")
def test_a_nodejs_client_embeds_classifies_streams_and_reads_errors(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "node" / "client.mjs", tmp_path)
    packages = ["@grpc/grpc-js@1.13.4", "@grpc/proto-loader@0.7.15"]
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=tmp_path, check=True)
    with running_in_thread(tmp_path) as address:
        done = subprocess.run(
            ["node", "client.mjs", address, ROOT / "proto"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("length") == pytest.approx(1, abs=1e-5)
    refused = told.pop("refused")
    assert refused["code"] == "INVALID_ARGUMENT"
    assert refused["details"].startswith("sequences[0]: positions has")
    assert told == {"encoder": "tiny", "label": "phase 1", "windows": [0, 15, 30]}
