"""Two motions side by side."""

import base64

import numpy as np
import pytest
from playwright.sync_api import expect

from gfp_serve.client import Client, ClipItem
from gfp_serve.layouts import NTU25
from tests.page.conftest import REFUSAL, Held, drop
from tests.support.browser import AFTER_FRAMES
from tests.support.tiny_bundle import walk

LOOKS = "() => [...document.querySelectorAll('.pair canvas')].map(canvas => canvas.toDataURL())"


def test_two_items_are_compared_joint_by_joint_and_moments_jump(opened):
    page = opened("#compare?motion=set/wave1&wanted=set/walk1")
    expect(page.locator(".pair canvas")).to_have_count(2)
    expect(page.locator(".summary")).to_contain_text("mean difference")
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.locator(".curve canvas")).to_be_visible()
    expect(page.get_by_text("This is not medical advice.")).to_be_visible()
    before = page.evaluate(LOOKS)
    page.locator(".curve-card .actions button").first.click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.wait_for_function(
        f"before => ({LOOKS})().every((look, place) => look !== before[place])", arg=before, polling=200
    )


def test_a_wanted_motion_is_found_by_its_name(opened, recording):
    page = opened("#compare")
    page.set_input_files("section[aria-label='Your motion'] input[type=file]", recording)
    expect(page.get_by_role("heading", name="dropped.npz")).to_be_visible()
    page.get_by_label("Wanted motion: find an item").fill("jump1")
    page.locator("section[aria-label='Wanted motion'] .items button").first.click()
    expect(page.locator(".summary")).to_contain_text("mean difference")


def test_a_moment_has_the_time_of_the_playback_and_brings_the_skeletons_into_view(opened):
    page = opened()
    seconds = []

    def answer(route):
        reply = route.fetch()
        said = reply.json()
        seconds.append(said["motion"]["num_frames"] / said["motion"]["fps"])
        for moment in said["worst_moments"]:
            moment["motion_s"] = 9.9  # the alignment may let the motion wait, and is then not a time of the playback
        route.fulfill(response=reply, json=said)

    page.route("**/gfp_serve.v1.ViewService/Compare", answer)
    page.evaluate("location.hash = '#compare?motion=set/wave1&wanted=set/walk1'")
    moments = page.locator(".curve-card .actions button")
    for moment in moments.all() or [moments.first]:
        moment.click()
        # The playback is drawn, and its place shown, at the next frame of the screen.
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        share = int(page.get_by_label("Place in the motion").input_value()) / 1000
        assert float(moment.inner_text().split(" s ")[0]) == pytest.approx(share * seconds[0], abs=0.06)
        for stage in page.locator(".pair .stage").all():
            expect(stage).to_be_in_viewport(ratio=1)


def test_a_dropped_file_goes_to_the_card_below_it_and_is_the_readers_own_in_a_result(opened, recording):
    page = opened("#compare")
    yours, wanted = (f"section[aria-label='{title}']" for title in ("Your motion", "Wanted motion"))
    drop(page, recording, on=wanted)
    expect(page.locator(wanted).get_by_role("heading", name="dropped.npz")).to_be_visible()
    drop(page, recording, on=wanted)
    expect(page.locator(yours).get_by_text("Nothing is chosen yet.")).to_be_visible()
    page.evaluate("location.hash = '#compare?motion=set/wave1&wanted=set/walk1'")
    expect(page.locator(".pair h2")).to_have_text(["wave", "walk"])
    drop(page, recording, on=".pair")
    expect(page.locator(".pair h2")).to_have_text(["dropped.npz", "walk"])


def test_an_item_is_chosen_by_keys(opened):
    page = opened("#compare")
    search = page.get_by_label("Wanted motion: find an item")
    search.fill("jump1")
    search.press("Enter")
    expect(page.locator("section[aria-label='Wanted motion'] .words")).to_contain_text("set/jump1")
    search.fill("jump")
    search.press("ArrowDown")
    first = page.locator("section[aria-label='Wanted motion'] .items button").first
    expect(first).to_be_focused()
    first.evaluate("hit => hit.classList.add('old')")
    search.dispatch_event("input")  # as the last letter did: hits are shown anew a moment after it
    expect(page.locator(".old")).to_have_count(0)
    expect(first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(search).to_be_focused()


@pytest.mark.parametrize(
    ("newer", "refusal"),
    [("set/jump1", {}), ("set/walk1", {}), ("set/walk1", REFUSAL), ("file", {}), ("file", REFUSAL)],
)
def test_a_late_answer_does_not_replace_a_newer_choice(opened, recording, newer, refusal):
    page = opened("#compare?wanted=set/walk1")
    slot = "section[aria-label='Wanted motion']"
    words = page.locator(slot).locator(".words")
    expect(words).to_contain_text("set/walk1")
    held = Held(page, "GalleryService/Get", lambda message: message["ids"] == ["set/wave1"])
    held.call(lambda: page.evaluate("location.hash = '#compare?wanted=set/wave1'"))
    if newer == "file":
        drop(page, recording, on=slot)
        newer = "dropped.npz"
    else:
        page.evaluate("id => { location.hash = `#compare?wanted=${id}` }", newer)
    expect(words).to_contain_text(newer)
    held.release(**refusal)
    expect(words).to_contain_text(newer)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_item_that_is_sought_no_more_is_not_taken_by_keys(opened, recording):
    page = opened("#compare")
    slot = "section[aria-label='Wanted motion']"
    words, search = page.locator(slot).locator(".words"), page.get_by_label("Wanted motion: find an item")
    search.fill("jump1")
    search.press("Enter")
    expect(words).to_contain_text("set/jump1")
    expect(search).to_have_value("")
    drop(page, recording, on=slot)
    expect(words).to_contain_text("dropped.npz")
    search.press("Enter")
    search.press("ArrowDown")
    page.evaluate(AFTER_FRAMES, 2)
    expect(search).to_be_focused()
    expect(words).to_contain_text("dropped.npz")


def test_hits_of_another_gallery_go(opened, server):
    with Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("later")
        try:
            client.upsert([ClipItem("set/other", walk(1), "jump", fps=30.0)], gallery="later")
            page = opened("#compare")
            search = page.get_by_label("Wanted motion: find an item")
            hits = page.locator("section[aria-label='Wanted motion'] .items button")
            search.fill("jump")
            expect(hits).to_have_count(5)
            page.get_by_label("Gallery", exact=True).select_option("later")
            expect(hits).to_have_count(0)
            search.fill("jump")
            expect(hits).to_have_text(["jumpset/other"])
        finally:
            client.drop_gallery("later")


HEAD = """([canvas]) => {
  const {width, height} = canvas;
  const half = Math.floor(height / 2);
  const copy = new OffscreenCanvas(width, half).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  const {data} = copy.getImageData(0, 0, width, half);
  let [left, right, top, bottom] = [width, 0, half, 0];
  for (let y = 0; y < half; y++) for (let x = 0; x < width; x++) {
    const at = 4 * (y * width + x);
    if (data[at + 3] < 200 || data[at] > 130) continue;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return [right - left + 1, bottom - top + 1];
}"""


def test_a_head_is_round_in_frames_of_every_shape(opened, recording):
    page = opened("#compare")
    positions = np.full((8, 1, NTU25.num_joints, 3), np.nan, dtype="<f4")
    positions[:, 0, NTU25.canonical_names.index("Head")] = (0, 1.7, 0)
    positions[:, 0, NTU25.canonical_names.index("FootLeft")] = (0, 0.05, 0)  # alone, it is not drawn
    sequence = {
        "positions": base64.b64encode(positions.tobytes()).decode(),
        "num_frames": 8,
        "num_bodies": 1,
        "num_joints": NTU25.num_joints,
        "layout": "ntu25",
        "fps": 30.0,
    }
    reply = {"recordings": [{"name": "head", "label": "", "sequence": sequence}], "num_left_out": 0, "remarks": []}
    page.route("**/gfp_serve.v1.ViewService/ReadFile", lambda route: route.fulfill(json=reply))
    drop(page, recording)
    canvas = page.locator("section[aria-label='Your motion'] canvas").element_handle()
    for width, height in ((480, 320), (500, 160), (160, 300)):
        page.evaluate(
            """([canvas, width, height]) => {
              const {style} = canvas.parentElement;
              Object.assign(style, {width: `${width}px`, height: `${height}px`, aspectRatio: "auto", border: "0"});
              dispatchEvent(new Event("resize"));
            }""",
            [canvas, width, height],
        )
        page.wait_for_function(
            f"([canvas, wide, high]) => canvas.width === wide && canvas.height === high && ({HEAD})([canvas])[1] > 0",
            arg=[canvas, width, height],
            polling=200,
        )
        wide, high = page.evaluate(HEAD, [canvas])
        assert wide > 10
        assert wide == pytest.approx(high, abs=2 + 0.05 * high)


def test_remarks_about_a_file_are_shown_where_it_was_chosen(opened, recording):
    page = opened("#compare")
    remark = "read as metres, y up."

    def answer(route):
        reply = route.fetch().json()
        route.fulfill(json=reply | {"remarks": [remark]})

    page.route("**/gfp_serve.v1.ViewService/ReadFile", answer)
    slot = page.locator("section[aria-label='Your motion']")
    slot.locator("input[type=file]").set_input_files(recording)
    expect(slot.get_by_label("Recording of this file")).to_be_visible()  # it has two
    expect(slot.get_by_text(remark)).to_be_visible()
    slot.get_by_label("Recording of this file").select_option("1")
    expect(slot.get_by_text(remark)).to_be_visible()
