"""The camera: a fake one, in which a drawn person walks."""

import base64
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import expect

from gfp_serve.client import Client, ClipItem
from gfp_serve.layouts import LAYOUTS
from gfp_serve.server import Server
from tests.support.http_calls import http_config
from tests.support.servers import server_in_thread
from tests.support.tiny_bundle import walk

FRAME_BYTES = 33 * 3 * 4  # joints of three float32
# The pose model runs on the CPU, and so does the drawing.
pytestmark = pytest.mark.timeout(600)


def test_a_person_in_the_camera_gets_a_class_and_only_joints_leave_the_browser(opened):
    page = opened("#live?count=set/walk1", permissions=["camera"])
    sent = []
    page.context.on("request", lambda request: sent.append((request.url, request.post_data or "")))
    page.get_by_role("button", name="Start the camera").click()
    canvas = page.get_by_role("img", name="Your skeleton, live")
    expect(canvas).to_be_visible()
    expect(page.locator(".live .problems")).to_be_empty()
    look = canvas.evaluate("canvas => canvas.toDataURL()")
    page.wait_for_function(
        "([canvas, look]) => canvas.toDataURL() !== look", arg=[canvas.element_handle(), look], polling=200
    )
    expect(page.locator(".history li, .live .problems .error").first).to_be_visible()
    expect(page.locator(".live .problems")).to_be_empty()
    expect(page.locator(".now-card")).to_contain_text("similarity")
    page.locator(".repetitions").evaluate("number => { number.textContent = 'no reply yet' }")
    expect(page.locator(".repetitions")).to_have_text(re.compile(r"^\d+$"))
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
    assert page.evaluate("document.querySelector('.live video').srcObject") is None

    bodies = [json.loads(body) for url, body in sent if "stream=" in url]
    assert bodies
    for body in bodies:
        assert body.keys() == {"frames"}
        assert body["frames"].keys() == {"positions", "num_frames"}
        assert len(base64.b64decode(body["frames"]["positions"])) == body["frames"]["num_frames"] * FRAME_BYTES
    assert {url.rsplit("/", 1)[1].partition("?")[0] for url, body in sent if body} <= {"EmbedStream", "Get"}


def test_the_camera_can_be_started_again_after_leaving_while_the_model_loaded(opened):
    page = opened("#live", permissions=["camera"])
    # A worker that never says that its model is ready.
    page.context.route("**/page/pose_worker.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    start = page.get_by_role("button", name="Start the camera")
    with page.expect_worker():
        start.click()
    expect(start).to_be_disabled()
    page.get_by_role("link", name="Query", exact=True).click()
    page.get_by_role("link", name="Live", exact=True).click()
    expect(start).to_be_enabled()
    expect(page.locator(".live .problems")).to_be_empty()


# Stands for the pose model: says every POSE_MS milliseconds that somebody, or nobody, is seen.
WORKER = """
let n = 0;
onmessage = ({data}) => {
  data.bitmap.close();
  const landmarks = SEEN ? Float32Array.from({length: 132}, (_, i) => i % 4 === 3 ? 1 : Math.sin(i + n / 9) / 3) : null;
  n += 1;
  setTimeout(() => postMessage({kind: "pose", time: data.time, landmarks}), POSE_MS);
};
postMessage({kind: "ready"});
"""


def with_poses(page, *, seen, every_ms):
    body = WORKER.replace("SEEN", str(seen).lower()).replace("POSE_MS", str(every_ms))
    page.context.route("**/page/pose_worker.js", lambda route: route.fulfill(body=body, content_type="text/javascript"))
    page.get_by_role("button", name="Start the camera").click()


def test_an_empty_picture_is_said_in_words_of_who_stands_before_the_camera(opened):
    page = opened("#live", permissions=["camera"])
    with_poses(page, seen=False, every_ms=1)
    expect(page.locator(".now-card")).to_contain_text(
        "Nobody is in the picture. Step back until your whole body is seen."
    )
    expect(page.locator(".history li")).to_have_count(0)


def test_a_browser_that_finds_few_poses_says_so(opened):
    page = opened("#live", permissions=["camera"])
    with_poses(page, seen=True, every_ms=900)
    expect(page.locator(".now-card")).to_contain_text(re.compile(r"finds only [01]\.\d poses a second"))


def test_a_class_needs_the_similarity_that_is_asked_for_and_what_is_counted_is_shown(opened):
    page = opened("#live?count=set/walk1", permissions=["camera"])
    expect(page.get_by_role("img", name="Moving skeleton: the wanted movement walk")).to_be_visible()
    with_poses(page, seen=True, every_ms=1)
    expect(page.locator(".now-card .class")).to_have_text(re.compile("wave|walk|jump"))
    page.get_by_label("Similarity that a class needs").fill("100")
    expect(page.locator(".now-card .class")).to_have_text("unknown")


@pytest.fixture(scope="module")
def two_galleries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an item of the class "first" in one gallery, and one of "second" in another."""
    with server_in_thread(tmp_path_factory.mktemp("server"), http_config()) as server:
        with Client(f"127.0.0.1:{server.port}") as client:
            client.create_gallery("other")
            client.upsert([ClipItem("set/1", walk(1), "first", fps=30.0)])
            client.upsert([ClipItem("set/2", walk(2), "second", fps=30.0)], gallery="other")
        yield server


def seen_by_model() -> str:
    """Return a script that stands for the model: it sees somebody who moves, whatever the picture is."""
    body = walk(3, frames=40, layout=LAYOUTS["mediapipe33"])[:, 0]
    landmarks = np.concatenate([body, np.ones((*body.shape[:2], 1))], axis=2).round(3).reshape(len(body), -1).tolist()
    return f"""
      const poses = {json.dumps(landmarks)};
      let number = 0;
      onmessage = ({{data: {{bitmap, time}}}}) => {{
        bitmap.close();
        postMessage({{kind: 'pose', time, landmarks: Float32Array.from(poses[number++ % poses.length])}});
      }};
      postMessage({{kind: 'ready'}});"""


def test_another_gallery_forgets_what_was_seen_in_the_first(opened, two_galleries):
    page = opened("#live", of=two_galleries, permissions=["camera"])
    model = seen_by_model()
    page.context.route(
        "**/page/pose_worker.js", lambda route: route.fulfill(body=model, content_type="text/javascript")
    )
    page.get_by_role("button", name="Start the camera").click()
    before, nearest = page.locator(".history .name"), page.locator(".live-row .card").nth(1)
    expect(before).to_have_text(["first"])
    expect(nearest).to_contain_text("set/1")
    page.get_by_label("Gallery", exact=True).select_option("other")
    expect(page.locator(".now-card .class")).to_have_text("second")
    expect(before).to_have_text(["second"])
    expect(nearest).to_contain_text("set/2")
    page.get_by_role("button", name="Stop the camera").click()
