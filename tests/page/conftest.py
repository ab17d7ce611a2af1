"""A server with a small gallery, and a browser that opens its page."""

import base64
import dataclasses
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

from gfp_serve.client import Client, ClipItem
from gfp_serve.config import Security
from gfp_serve.formats import Clip, read_clips, write_clip_file
from gfp_serve.items import Item
from gfp_serve.layouts import NTU25
from gfp_serve.server import Server
from tests.support.browser import AFTER_FRAMES, WEBGL, launched
from tests.support.drawn_video import drawn
from tests.support.http_calls import http_config
from tests.support.servers import HANG_S, server_in_thread
from tests.support.tiny_bundle import SIZE, walk

ROOT = Path(__file__).parents[2]
LABELS = ("wave", "walk", "jump")
expect.set_options(timeout=HANG_S * 1000)
WITHOUT_MOTION = "old/without-motion"
REFUSAL = {"code": "unavailable", "message": "the server is too busy."}


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page's sources, with the packages that its lock file pins."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js")
    folder = tmp_path_factory.mktemp("sources") / "page"
    shutil.copytree(ROOT / "page", folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the page's packages cannot be had ({(done.stdout + done.stderr).strip()[-300:]})")
    return folder


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake camera sees, again and again: a drawn person, as pictures of motion JPEG."""
    from PIL import Image

    clip = next(clip for clip in read_clips(ROOT / "examples" / "clips" / "cmu_sample.npz") if clip.label == "walk")
    path = tmp_path_factory.mktemp("camera") / "person.mjpeg"
    with path.open("wb") as file:
        for picture in drawn(clip.sequence[:40, 0], 320):
            Image.fromarray(picture).save(file, "JPEG", quality=80)
    return path


# As long as Playwright runs, its event loop is that of the thread: tests of other files need the thread for themselves.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, camera: Path) -> Iterator[Browser]:
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    folder = tmp_path_factory.mktemp("browser")
    with launched(folder, *WEBGL, *fake, hosts="MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as browser:
        yield browser


def fill(server: Server, token: str | None = None) -> None:
    """Add twelve items with their motions, of three classes and four people, and one without a motion."""
    items = [
        ClipItem(
            f"set/{label}{n}",
            walk(10 * kind + n, frames=30),
            label,
            fps=30.0,
            attributes={"subject": n, "set": "tests"},
        )
        for kind, label in enumerate(LABELS)
        for n in range(4)
    ]
    old = Item(WITHOUT_MOTION, np.ones(SIZE, dtype=np.float32), "jump", {"set": "old"})
    with Client(f"127.0.0.1:{server.port}", token=token) as client:
        client.upsert([*items, old])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_in_thread(tmp_path_factory.mktemp("server"), http_config()) as server:
        fill(server)
        yield server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token for each role: read-token-of-tests, write-token-of-tests."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens"
    tokens.write_text("read read-token-of-tests\nwrite write-token-of-tests\n")
    config = dataclasses.replace(http_config(), security=Security(tokens=tokens))
    with server_in_thread(folder, config) as server:
        fill(server, "write-token-of-tests")
        yield server


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip file with a short recording and one of six seconds."""
    path = tmp_path_factory.mktemp("recordings") / "dropped.npz"
    clips = [
        Clip(name="short", sequence=walk(3, frames=30), layout=NTU25, fps=30.0, label="wave"),
        Clip(name="long", sequence=np.concatenate([walk(12, frames=90), walk(1, frames=90)]), layout=NTU25, fps=30.0),
    ]
    write_clip_file(path, clips)
    return path


def drop(page: Page, path: Path, on: str = "body") -> None:
    """Drop a file onto an element of the page, as a pointer does."""
    handle = page.evaluate_handle(
        """([name, letters]) => {
          const bytes = Uint8Array.from(atob(letters), letter => letter.charCodeAt(0));
          const moved = new DataTransfer();
          moved.items.add(new File([bytes], name));
          return moved;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(on, event, {"dataTransfer": handle})


class Held:
    """Holds back the first answer to a method of the server, so that the answer to a later call comes before it.

    `is_wanted` gets the request's message; calls that it refuses are not held.
    """

    def __init__(self, page: Page, method: str, is_wanted: Callable[[dict], bool]) -> None:
        self._page, self._is_wanted = page, is_wanted
        self._url = f"/gfp_serve.v1.{method}"
        self._route: Route | None = None
        page.route(f"**{self._url}", self._answer)

    def _answer(self, route: Route) -> None:
        if self._route is None and self._is_wanted(route.request.post_data_json):
            self._route = route
        else:
            route.fallback()

    def call(self, act: Callable[[], object]) -> dict:
        """Do what makes the page call the method, and wait until it has. Return the request's message."""

        def is_call(request: Request) -> bool:
            return request.url.endswith(self._url) and self._is_wanted(request.post_data_json)

        with self._page.expect_request(is_call) as made:
            act()
        return made.value.post_data_json

    def release(self, **refusal: object) -> None:
        """Let the answer go, or a refusal in its place, and wait until the page has dealt with it."""
        route = self._route
        assert route is not None
        with self._page.expect_event("requestfinished", lambda request: request == route.request):
            if refusal:
                route.fulfill(status=503, json=refusal)
            else:
                route.continue_()
        self._page.evaluate(AFTER_FRAMES, 2)


@dataclass
class Watched:
    """What the pages of a test did."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Opened]:
    """A function that opens a view of the page, in which nothing moves until it is asked to.

    Fails if the page complained on the console, or asked anybody for anything but the server that it came from.
    """
    watched, contexts, homes = Watched(), [], {server.http_url}

    def opened(view: str = "", *, of: Server = server, ready: str = "main > .view", **how: object) -> Page:
        homes.add(of.http_url)
        contexts.append(_watched_context(browser, watched, how))
        page = contexts[-1].new_page()
        page.set_default_timeout(HANG_S * 1000)
        page.goto(f"{of.http_url}/{view}")
        if ready:
            page.wait_for_selector(ready)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.complaints == []
    own = tuple(home + "/" for home in homes)
    assert [url for url in watched.requests if not url.startswith((*own, "blob:", "data:"))] == []


def _watched_context(browser: Browser, watched: Watched, how: dict[str, object]) -> BrowserContext:
    context = browser.new_context(**({"viewport": {"width": 1120, "height": 600}, "reduced_motion": "reduce"} | how))  # type: ignore[arg-type]

    def hear(message: object) -> None:
        # MediaPipe tells the console how it works, and the browser which calls were refused.
        url = message.location["url"]  # type: ignore[attr-defined]
        if url.endswith("/page/vision_wasm_internal.js"):
            return
        if "/gfp_serve.v1." in url and message.text.startswith("Failed to load resource"):  # type: ignore[attr-defined]
            return
        watched.complaints.append(message.text)  # type: ignore[attr-defined]

    context.on("console", hear)
    context.on("weberror", lambda error: watched.complaints.append(str(error.error)))
    context.on("request", lambda request: watched.requests.append(request.url))
    return context
