"""The wire does not depend on Python: the Node.js example reads the protos and calls a real server."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme

from gfp_serve.client import Client
from gfp_serve.config import Security
from tests.support.servers import running_in_thread, small_config

ROOT = Path(__file__).parents[2]


pytestmark = [
    pytest.mark.install,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js"),
]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example and the packages that it needs."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(ROOT / "examples" / "node" / "client.mjs", folder)
    packages = ["@grpc/grpc-js@1.13.4", "@grpc/proto-loader@0.7.15"]
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=folder, check=True)
    return folder


def run(example: Path, address: str, **environment: str) -> dict[str, Any]:
    """Run the example against a server; return what it prints."""
    done = subprocess.run(
        ["node", "client.mjs", address, ROOT / "proto"],
        cwd=example,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_nodejs_client_embeds_classifies_streams_and_reads_errors(example: Path, tmp_path: Path) -> None:
    with running_in_thread(tmp_path) as address:
        told = run(example, address)
        with Client(address) as client:
            assert [(each.name, each.description.num_items) for each in client.list_galleries()] == [("default", 0)]
    assert told.pop("length") == pytest.approx(1, abs=1e-5)
    refused = told.pop("refused")
    assert refused["code"] == "INVALID_ARGUMENT"
    assert refused["details"].startswith("sequences[0]: positions has")
    assert told == {"encoder": "tiny", "label": "phase 1", "windows": [0, 15, 30]}


@pytest.mark.parametrize("line", ["0123456789abcdef", "write 0123456789abcdef node"])
def test_a_nodejs_client_calls_a_server_with_tls_and_tokens(example: Path, tmp_path: Path, line: str) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("gfp.example")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "token").write_text(f"# of the example\n{line}\n")
    (tmp_path / "tokens").write_text("write 0123456789abcdef node\n")
    security = Security(
        tls_certificate=tmp_path / "certificate.pem", tls_key=tmp_path / "key.pem", tokens=tmp_path / "tokens"
    )
    with running_in_thread(tmp_path, dataclasses.replace(small_config(), security=security)) as address:
        told = run(
            example,
            address,
            GFP_TLS_CA=str(tmp_path / "ca.pem"),
            GFP_TLS_SERVER_NAME="gfp.example",
            GFP_TOKEN_FILE=str(tmp_path / "token"),
        )
    assert (told["encoder"], told["label"], told["windows"]) == ("tiny", "phase 1", [0, 15, 30])
