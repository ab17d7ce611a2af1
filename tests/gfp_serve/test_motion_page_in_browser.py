"""The page of moving skeletons in a browser: Debian's Chromium, without access to any host."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from gfp_serve.layouts import NTU25
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, write_motion_page
from tests.support.browser import AFTER_FRAMES, launched
from tests.support.tiny_bundle import walk

EVIL = "</script><img src=x onerror='window.harmed = true'><b>bold</b>"

# The present picture of all skeletons, as text that changes with any pixel.
LOOK = "() => [...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(tmp_path_factory.mktemp("browser"), "--disable-gpu") as browser:
        yield browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a query and four neighbours: one person, two, one without a recording, and one with hostile names."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    lost = walk(4)
    lost[3:] = np.nan
    neighbours = [
        MotionPanel(title="wave", subtitle="a/c2", similarity=0.91, right=True, motion=motion(walk(2))),
        MotionPanel(title="hug", subtitle="a/c3", similarity=0.82, right=False, motion=motion(walk(3, bodies=2))),
        MotionPanel(title="sit", subtitle="b/c1", similarity=0.73, missing="Give its recording with --recordings."),
        MotionPanel(title=EVIL, subtitle=EVIL, similarity=0.64, verdict=EVIL, motion=motion(lost)),
    ]
    query = MotionPanel(title="wave", subtitle="a/c1", motion=motion(walk(1, frames=90)))
    write_motion_page(path, [MotionRow(query=query, neighbours=neighbours)], title=EVIL, note=EVIL)
    return path


def motion(sequence: np.ndarray) -> Motion:
    return Motion(sequence=sequence, layout=NTU25, fps=30.0)


@pytest.fixture
def opened(browser: Browser, path: Path) -> Iterator[Callable[..., Page]]:
    """A function that opens the page. Fails if the page writes to the console or asks a host for anything."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def opened(**how: object) -> Page:
        contexts.append(browser.new_context(**how))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) == {path.as_uri()}


def wait_for_change(page: Page, look: str) -> str:
    page.wait_for_function(f"look => ({LOOK})() !== look", arg=look)
    return page.evaluate(LOOK)


def is_still(page: Page) -> bool:
    page.evaluate(AFTER_FRAMES, 2)  # the frame in progress
    look = page.evaluate(LOOK)
    page.evaluate(AFTER_FRAMES, 20)
    return page.evaluate(LOOK) == look


def test_skeletons_move_until_paused_and_go_on_when_played(opened):
    page = opened()
    wait_for_change(page, page.evaluate(LOOK))
    page.get_by_role("button", name="Pause").click()
    assert is_still(page)

    look = page.evaluate(LOOK)
    page.keyboard.press("Space")  # the button has the focus
    wait_for_change(page, look)
    page.locator("h1").click()
    page.get_by_label("Place in the motion").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Play").wait_for()
    assert is_still(page)


def test_arrows_and_the_slider_move_in_time_and_pause(opened):
    page = opened()
    slider = page.get_by_label("Place in the motion")
    slider.fill("500")
    assert is_still(page)
    middle = page.evaluate(LOOK)
    page.keyboard.press("ArrowRight")
    later = wait_for_change(page, middle)
    page.keyboard.press("ArrowLeft")

    assert wait_for_change(page, later) == middle
    assert slider.input_value() == "500"


def test_dragging_one_skeleton_turns_all_and_the_front_view_button_turns_them_back(opened):
    page = opened(reduced_motion="reduce")
    assert is_still(page)
    each = page.locator("canvas")
    front = [each.nth(number).evaluate("canvas => canvas.toDataURL()") for number in range(3)]
    box = each.first.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.up()
    assert is_still(page)

    turned = [each.nth(number).evaluate("canvas => canvas.toDataURL()") for number in range(3)]
    assert all(before != after for before, after in zip(front, turned, strict=True))
    page.get_by_role("button", name="Front view").click()
    assert is_still(page)
    assert [each.nth(number).evaluate("canvas => canvas.toDataURL()") for number in range(3)] == front


def test_in_step_all_are_at_the_same_fraction_and_in_real_time_at_the_same_second(opened):
    page = opened(reduced_motion="reduce")
    time = page.locator("#time")
    page.get_by_label("Place in the motion").fill("500")
    assert time.text_content() == "50 %"
    in_step = page.evaluate(LOOK)
    page.get_by_label("How clips of different length").select_option("real time")
    wait_for_change(page, in_step)
    assert time.text_content() == "1.5 of 3.0 s"  # 90 frames at 30 a second


def test_with_reduced_motion_skeletons_stand_still_until_played(opened):
    page = opened(reduced_motion="reduce")
    page.get_by_role("button", name="Play").wait_for()
    assert is_still(page)
    look = page.evaluate(LOOK)
    page.get_by_role("button", name="Play").click()
    wait_for_change(page, look)


def test_the_page_describes_each_skeleton_and_names_stay_text(opened):
    page = opened()
    cards = page.locator("article")
    texts = [" ".join(cards.nth(number).inner_text().split()) for number in range(5)]

    assert texts[0] == "Query wave a/c1 · 3.0 s"
    assert texts[1] == "1 wave ✓ right similarity 0.910 a/c2 · 0.3 s"
    assert texts[2] == "2 hug ✗ wrong similarity 0.820 a/c3 · 0.3 s"
    assert texts[3] == "Give its recording with --recordings. 3 sit similarity 0.730 b/c1"
    assert EVIL in texts[4]
    assert page.title() == EVIL
    assert page.locator("h1").text_content() == page.locator("#note").text_content() == EVIL
    assert page.locator("b, img").count() == 0
    assert page.evaluate("window.harmed") is None


def test_a_person_who_is_no_longer_seen_is_no_longer_drawn(opened):
    page = opened(reduced_motion="reduce")
    coloured = """() => {
      const canvas = [...document.querySelectorAll('canvas')].at(-1);
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
      copy.drawImage(canvas, 0, 0);
      const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4) count += pixels[i + 2] > 120 && pixels[i] < 60;  // blue limbs
      return count;
    }"""
    seen = []
    for place in ("0", "1000"):
        page.get_by_label("Place in the motion").fill(place)
        page.evaluate(AFTER_FRAMES, 2)
        seen.append(page.evaluate(coloured))
    assert seen[0] > 50
    assert seen[1] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_systems_scheme_and_nothing_is_wider_than_a_phone(opened, scheme):
    page = opened(viewport={"width": 360, "height": 740}, color_scheme=scheme, device_scale_factor=2)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(",")))

    assert brightness > 600 if scheme == "light" else brightness < 150
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    bar, query = page.locator(".bar").bounding_box(), page.locator(".query").bounding_box()
    assert query["y"] + query["height"] < bar["y"]  # the whole query is visible above the controls
