"""The page that a browser gets at `/`, and its files: a fixed list, which no request adds to. They need no token."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from gfp_serve.layouts import LAYOUTS
from gfp_serve.motion_page import drawn_skeleton
from gfp_serve.service.http.answers import JSON, Answer

_PACKAGE = Path(__file__).parents[2]
_FILES = _PACKAGE / "page"

# What the page may load and call: this port, and nothing else. Videos that are dropped stay in the browser as blobs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
# A worker has the policy that its own file comes with. The finding of poses is compiled code.
_WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
_PERMISSIONS = "camera=(self), microphone=(), geolocation=(), display-capture=()"

_HTML, _SCRIPT, _STYLE, _TEXT = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css", "plain"))
_BYTES = "application/octet-stream"


def _layouts() -> bytes:
    """Bones, sides and names of every joint layout, as the page draws them."""
    told = {name: drawn_skeleton(layout) for name, layout in LAYOUTS.items()}
    return json.dumps(told, separators=(",", ":")).encode()


# Path of a request: what it gets, and of which type.
_FOUND: Mapping[str, tuple[Path | Callable[[], bytes], str]] = {
    "/": (_FILES / "index.html", _HTML),
    "/page/page.js": (_FILES / "page.js", _SCRIPT),
    "/page/page.css": (_FILES / "page.css", _STYLE),
    "/page/licences.txt": (_FILES / "licences.txt", _TEXT),
    "/page/layouts.json": (_layouts, JSON),
    "/page/pose_worker.js": (_FILES / "pose_worker.js", _SCRIPT),
    "/page/vision_wasm_internal.js": (_FILES / "vision_wasm_internal.js", _SCRIPT),
    "/page/vision_wasm_internal.wasm": (_FILES / "vision_wasm_internal.wasm", "application/wasm"),
    "/page/pose.task": (_PACKAGE / "pose_model" / "pose.task", _BYTES),
}


def page_answer(path: str, headers: Mapping[str, str]) -> Answer | None:
    """What a browser gets that asks for a file of the page; None if the page has no such file."""
    if path not in _FOUND:
        return None
    _, kind = _FOUND[path]
    told = {
        "etag": _tag(path),
        "cache-control": "no-cache",  # it asks each time, and gets 304 if the file is the same
        "content-security-policy": _WORKER_POLICY if path == "/page/pose_worker.js" else _POLICY,
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": _PERMISSIONS,
        "referrer-policy": "no-referrer",
    }
    if _tag(path) in headers.get("if-none-match", ""):
        return Answer(304, headers=told)
    told["content-type"] = kind
    if kind in (_SCRIPT, _STYLE) and "gzip" in headers.get("accept-encoding", ""):
        return Answer(200, _small(path), told | {"content-encoding": "gzip", "vary": "accept-encoding"})
    return Answer(200, _content(path), told)


# Kept, so that slow readers of one file, whom nobody asks for a token, share its bytes.
@cache
def _content(path: str) -> bytes:
    found, _ = _FOUND[path]
    return found.read_bytes() if isinstance(found, Path) else found()


@cache
def _tag(path: str) -> str:
    return f'"{hashlib.sha256(_content(path)).hexdigest()[:32]}"'


@cache
def _small(path: str) -> bytes:
    return gzip.compress(_content(path), mtime=0)
