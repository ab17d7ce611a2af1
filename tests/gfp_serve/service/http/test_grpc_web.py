"""gRPC-Web and Connect: frames by hand, and the stock clients of both, as they run in browsers, in Node.js."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.rpc.status_pb2 import Status

from gfp_serve.client import Client
from gfp_serve.layouts import NTU25
from gfp_serve.service.http.deadlines import grpc_deadline_s
from gfp_serve.v1 import embedding_pb2
from gfp_serve.wire.arrays import write_sequence
from tests.support.http_calls import EMBED, ask, http_config
from tests.support.servers import running, server_in_thread
from tests.support.tiny_bundle import walk

ROOT = Path(__file__).parents[4]
WEB = "application/grpc-web+proto"


def frame(content: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(content).to_bytes(4) + content


def frames_of(body: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(body):
        end = at + 5 + int.from_bytes(body[at + 1 : at + 5])
        found.append((body[at], body[at + 5 : end]))
        at = end
    return found


def trailers_of(content: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in content.decode().splitlines())


async def test_a_call_in_frames_gives_the_reply_and_the_status_in_frames(tmp_path: Path) -> None:
    request = embedding_pb2.EmbedRequest(sequences=[write_sequence(walk(1), NTU25)]).SerializeToString()
    async with running(tmp_path, http_config()) as server:
        reply = await ask(server, EMBED, frame(request), content_type=WEB)
        (kind, message), (end, trailers) = frames_of(reply.content)
        assert (reply.code, reply.headers["content-type"], kind, end) == (200, WEB, 0, 0x80)
        assert len(embedding_pb2.EmbedResponse.FromString(message).embeddings) == 1
        told = trailers_of(trailers)
        assert (told["grpc-status"], told["x-request-id"]) == ("0", reply.headers["x-request-id"])
        text = await ask(server, EMBED, base64.b64encode(frame(request)), content_type="application/grpc-web-text")
        assert frames_of(base64.b64decode(text.content))[0][0] == 0


async def test_a_call_that_fails_has_grpc_s_status_and_details(tmp_path: Path) -> None:
    async with running(tmp_path, http_config()) as server:
        reply = await ask(server, EMBED, frame(b""), content_type=WEB)
        ((_, trailers),) = frames_of(reply.content)
        told = trailers_of(trailers)
        assert (reply.code, told["grpc-status"]) == (200, "3")
        details = base64.b64decode(f"{told['grpc-status-details-bin']}==")
        assert Status.FromString(details).message.startswith("sequences: the request holds none")
        for wrong in (b"", b"\0\0\0", frame(b"")[:-1] + b"\1", frame(b"", flags=1)):
            reply = await ask(server, EMBED, wrong, content_type=WEB)
            assert b"the body is not one frame of gRPC-Web" in reply.content


@pytest.mark.parametrize(("said", "seconds"), [("2S", 2), ("50m", 0.05), ("1H", 3600), (None, None)])
def test_the_deadline_of_a_call_is_read(said: str | None, seconds: float | None) -> None:
    assert grpc_deadline_s({} if said is None else {"grpc-timeout": said}) == seconds


STOCK_CLIENT = """
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

const [url, protos, positions] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(protos)));
const clip = new Uint8Array(readFileSync(positions));
const told = {};
for (const [name, transport] of Object.entries({
  json: createConnectTransport({ baseUrl: url, useBinaryFormat: false }),
  binary: createConnectTransport({ baseUrl: url, useBinaryFormat: true }),
  web: createGrpcWebTransport({ baseUrl: url }),
})) {
  const embedding = createClient(registry.getService("gfp_serve.v1.EmbeddingService"), transport);
  const gallery = createClient(registry.getService("gfp_serve.v1.GalleryService"), transport);
  const sequence = { positions: clip, numFrames: 9, numBodies: 1, numJoints: 25, layout: "ntu25" };
  const reply = await embedding.embed({ sequences: [sequence] });
  const content = { case: "embedding", value: reply.embeddings[0] };
  await gallery.upsert({ items: [{ id: name, content, label: name }] });
  const found = await gallery.search({ queries: [{ by: { case: "sequence", value: sequence } }], topK: 3 });
  let failure = "";
  try {
    await gallery.get({ ids: ["nobody"] });
  } catch (error) {
    failure = [Code[error.code], error.rawMessage, error.details.length];
  }
  told[name] = {
    values: Buffer.from(reply.embeddings[0].values).toString("base64"),
    found: found.results[0].neighbours.map((each) => each.id).sort(),
    failure,
  };
}
console.log(JSON.stringify(told));
"""


@pytest.mark.install
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js")
def test_the_stock_clients_of_connect_and_grpc_web_call_the_server(tmp_path: Path) -> None:
    packages = ["@bufbuild/protobuf@2.9.0", "@connectrpc/connect@2.2.0", "@connectrpc/connect-web@2.2.0"]
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=tmp_path, check=True)
    (tmp_path / "client.mjs").write_text(STOCK_CLIENT)
    # Not from the modules, which do not say the fields' names in JSON.
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", "--include_imports"]
    files = ["gfp_serve/v1/embedding.proto", "gfp_serve/v1/gallery.proto"]
    subprocess.run([*protoc, f"--descriptor_set_out={tmp_path / 'protos'}", *files], check=True)
    (tmp_path / "clip").write_bytes(walk(1).tobytes())
    with server_in_thread(tmp_path, http_config()) as server:
        with Client(f"127.0.0.1:{server.port}") as ours:
            expected = ours.embed(walk(1))
        done = subprocess.run(
            ["node", "client.mjs", server.http_url, "protos", "clip"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    added: list[str] = []
    for name in ("json", "binary", "web"):
        added.append(name)
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(told[name]["values"]), "<f4"), expected)
        assert told[name]["found"] == sorted(added)
        code, message, num_details = told[name]["failure"]
        assert (code, num_details) == ("NotFound", 1)
        assert "no item of the gallery has the id 'nobody'" in message
