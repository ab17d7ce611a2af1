"""The web page's files: a fixed list, under a policy that lets them ask only this port."""

import dataclasses
import gzip
import json
from pathlib import Path

import pytest

from gfp_serve.config import Security
from gfp_serve.layouts import LAYOUTS
from gfp_serve.service.http.page import page_answer
from tests.support.http_calls import ask, http_config, write_tokens
from tests.support.servers import running

FILES = [
    ("/", "text/html; charset=utf-8"),
    ("/page/page.js", "text/javascript; charset=utf-8"),
    ("/page/page.css", "text/css; charset=utf-8"),
    ("/page/pose_worker.js", "text/javascript; charset=utf-8"),
    ("/page/vision_wasm_internal.js", "text/javascript; charset=utf-8"),
    ("/page/vision_wasm_internal.wasm", "application/wasm"),
    ("/page/pose.task", "application/octet-stream"),
    ("/page/layouts.json", "application/json"),
    ("/page/licences.txt", "text/plain; charset=utf-8"),
]


async def test_the_page_and_its_files_are_there_without_a_token_and_their_calls_are_not(tmp_path):
    tokens = write_tokens(tmp_path, "read letmein-letmein-letmein")
    config = dataclasses.replace(http_config(), security=Security(tokens=tokens))
    async with running(tmp_path, config) as server:
        for path, kind in FILES:
            reply = await ask(server, path)
            assert (reply.code, reply.headers["content-type"]) == (200, kind), path
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert len(reply.content) == int(reply.headers["content-length"]) > 500
        assert (await ask(server, "/gfp_serve.v1.EmbeddingService/GetInfo", {})).code == 401


async def test_the_policy_lets_the_page_ask_only_its_own_port(tmp_path):
    async with running(tmp_path, http_config()) as server:
        told = (await ask(server, "/")).headers
        policy = dict(part.strip().split(" ", 1) for part in told["content-security-policy"].split(";"))
        assert (
            policy["default-src"]
            == policy["base-uri"]
            == policy["form-action"]
            == policy["frame-ancestors"]
            == "'none'"
        )
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
        assert "unsafe" not in told["content-security-policy"]
        assert "camera=(self)" in told["permissions-policy"]
        worker = (await ask(server, "/page/pose_worker.js")).headers["content-security-policy"]
        assert worker == "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


async def test_a_file_that_did_not_change_is_not_sent_again_and_scripts_are_sent_small(tmp_path):
    async with running(tmp_path, http_config()) as server:
        whole = await ask(server, "/page/page.js")
        assert whole.headers["cache-control"] == "no-cache"
        again = await ask(server, "/page/page.js", if_none_match=whole.headers["etag"])
        assert (again.code, again.content) == (304, b"")
        small = await ask(server, "/page/page.js", accept_encoding="gzip, br")
        assert small.headers["content-encoding"] == "gzip"
        assert gzip.decompress(small.content) == whole.content
        head = await ask(server, "/page/page.js", method="HEAD")
        assert (head.code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/page/", "/page/made_of.txt", "/page/../config.py", "/page/%2e%2e/config.py", "/page"]
)
async def test_no_other_file_can_be_had(tmp_path, path):
    async with running(tmp_path, http_config()) as server:
        assert (await ask(server, path)).code == 404
        assert (await ask(server, "/page/page.js", b"", method="POST")).code == 404


async def test_the_page_knows_how_every_layout_is_drawn(tmp_path):
    async with running(tmp_path, http_config()) as server:
        told = json.loads((await ask(server, "/page/layouts.json")).content)
    assert set(told) == set(LAYOUTS)
    for name, layout in LAYOUTS.items():
        assert told[name]["joints"] == len(told[name]["names"]) == layout.num_joints
        assert len(told[name]["bones"]) == len(told[name]["sides"])


def test_readers_of_a_file_share_its_bytes():
    for path, _ in FILES:
        one, other = page_answer(path, {}), page_answer(path, {})
        assert one.body
        assert one.body is other.body, path


async def test_each_file_is_read_from_disk_once(tmp_path, monkeypatch):
    async with running(tmp_path, http_config()) as server:
        paths = ["/openapi.json", *(path for path, _ in FILES)]
        before = [(await ask(server, path)).content for path in paths]
        monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read again"))
        assert [(await ask(server, path)).content for path in paths] == before
