"""The page of moving skeletons in a browser: Debian's Chromium, without access to any host."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from gfp_serve.layouts import NTU25
from gfp_serve.motion_page import Motion, MotionPanel, MotionRow, MotionView, write_motion_page
from gfp_serve.preprocess import rotate_about_vertical
from tests.support.browser import AFTER_FRAMES, WEBGL, launched
from tests.support.servers import HANG_S
from tests.support.tiny_bundle import walk

EVIL = "</script><img src=x onerror='window.harmed = true'><b>bold</b>"

# How many skeletons were drawn so far: a canvas has its own size then. And whether the last one was.
DRAWN = "() => [...document.querySelectorAll('canvas')].filter(canvas => canvas.width !== 300).length"
LAST_IS_DRAWN = "() => [...document.querySelectorAll('canvas')].at(-1).width !== 300"
# The present picture of all skeletons, as text that changes with any pixel.
LOOK = "() => [...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL()).join()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(tmp_path_factory.mktemp("browser"), *WEBGL) as browser:
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
    row = MotionRow(query=query, neighbours=neighbours, heading=EVIL)
    write_motion_page(path, [row], title=EVIL, note=EVIL)
    return path


def motion(sequence: np.ndarray) -> Motion:
    return Motion(sequence=sequence, layout=NTU25, fps=30.0)


@pytest.fixture
def opened(browser: Browser, path: Path) -> Iterator[Callable[..., Page]]:
    """A function that opens the page, or another file. Fails if it writes to the console or asks a host for anything.

    `before` is a script that runs before those of the page.
    """
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []
    files = set()

    def opened(file: Path = path, *, before: str = "", **how: object) -> Page:
        files.add(file.as_uri())
        contexts.append(browser.new_context(**how))
        contexts[-1].add_init_script(before)
        page = contexts[-1].new_page()
        page.set_default_timeout(HANG_S * 1000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert set(requests) == files


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


def test_in_step_all_are_at_the_same_fraction_and_by_the_clock_at_the_same_second(opened):
    page = opened(reduced_motion="reduce")
    time = page.locator(".time")
    page.get_by_label("Place in the motion").fill("500")
    assert time.text_content() == "50 %"
    in_step = page.evaluate(LOOK)
    page.get_by_label("How clips of different length").select_option("by the clock")
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

    assert texts[0] == "Query 3.0 s wave a/c1"
    assert texts[1] == "1 0.3 s wave ✓ right similarity 0.910 a/c2"
    assert texts[2] == "2 0.3 s hug ✗ wrong similarity 0.820 a/c3"
    assert texts[3] == "Give its recording with --recordings. 3 sit similarity 0.730 b/c1"
    assert EVIL in texts[4]
    assert page.title() == EVIL
    assert page.locator("h1").text_content() == page.locator(".note").text_content() == EVIL
    assert page.locator(".heading").text_content() == EVIL
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
      // Blue limbs. Colours of what is nearly clear, as the floor is at its rim, are rounded.
      for (let i = 0; i < pixels.length; i += 4)
        count += pixels[i + 2] > 120 && pixels[i] < 60 && pixels[i + 3] > 128;
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
    bar, query = page.locator(".bottom-bar").bounding_box(), page.locator(".query-card").bounding_box()
    assert query["y"] + query["height"] < bar["y"]  # the whole query is visible above the controls


def test_whichever_way_a_person_faced_they_face_the_reader(opened, tmp_path):
    sequence = walk(5)
    turned = rotate_about_vertical(sequence, 2.0)
    panels = [MotionPanel(title="", motion=motion(each)) for each in (sequence, turned, walk(6))]
    write_motion_page(tmp_path / "page.html", [MotionRow(query=None, neighbours=panels)], title="")
    page = opened(tmp_path / "page.html", reduced_motion="reduce")
    page.wait_for_function(f"() => ({DRAWN})() === 3")
    far = """([one, other]) => {
      const pixels = [one, other].map(number => {
        const canvas = document.querySelectorAll('canvas')[number];
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
        copy.drawImage(canvas, 0, 0);
        return copy.getImageData(0, 0, canvas.width, canvas.height).data;
      });
      return pixels[0].filter((value, i) => Math.abs(value - pixels[1][i]) > 40).length;
    }"""
    same, another = (page.evaluate(far, [0, other]) for other in (1, 2))
    assert same < another / 10


def test_of_many_rows_only_those_on_the_screen_are_drawn(opened, tmp_path):
    panel = MotionPanel(title="wave", motion=motion(walk(1)))
    rows = [MotionRow(query=panel, neighbours=[panel] * 5)] * 60
    write_motion_page(tmp_path / "page.html", rows, title="")
    page = opened(tmp_path / "page.html", reduced_motion="reduce")
    page.wait_for_function(f"() => ({DRAWN})() > 0")
    page.evaluate(AFTER_FRAMES, 5)
    assert page.evaluate(DRAWN) <= 5 * 6
    assert not page.evaluate(LAST_IS_DRAWN)
    page.keyboard.press("End")
    page.wait_for_function(LAST_IS_DRAWN)


def test_without_webgl_a_text_stands_where_skeletons_would(opened):
    page = opened(before="OffscreenCanvas.prototype.getContext = () => null;")
    assert page.locator(".missing").first.text_content().startswith("This browser has no WebGL")
    assert page.locator(".missing").count() == 5
    assert page.locator("canvas").count() == 0


def test_the_frame_of_a_notebook_shows_moving_skeletons(opened, tmp_path):
    panel = MotionPanel(title="wave", motion=motion(walk(1)))
    shown = MotionView(rows=[MotionRow(query=panel, neighbours=[panel])], title="Found")._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>Notebook</title>{shown}", encoding="utf-8")
    page = opened(tmp_path / "notebook.html")
    frame = page.frames[1]
    frame.wait_for_function(f"() => ({DRAWN})() === 2")
    assert frame.locator("h1").text_content() == "Found"
    look = frame.evaluate(LOOK)
    frame.wait_for_function(f"look => ({LOOK})() !== look", arg=look)
    assert frame.evaluate("() => { try { return parent.document.title } catch { return 'refused' } }") == "refused"
