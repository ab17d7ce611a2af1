"""A query beside its neighbours: a stored item, a dropped recording, a video."""

import importlib.util
import re

import pytest
from playwright.sync_api import expect

from tests.page.conftest import REFUSAL, ROOT, Held, drop

LOOKS = "() => [...document.querySelectorAll('.row canvas')].map(canvas => canvas.toDataURL())"
ALL_MOVED = f"before => ({LOOKS})().every((look, place) => look !== before[place])"


def test_an_item_and_its_five_neighbours_move_until_paused(opened):
    page = opened("#query?item=set/wave1", reduced_motion="no-preference")
    expect(page.locator(".neighbours article")).to_have_count(5)
    page.wait_for_function("() => document.querySelectorAll('.row canvas').length >= 5", polling=200)
    before = page.evaluate(LOOKS)
    page.wait_for_function(ALL_MOVED, arg=before, polling=200)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator(".verdict .class")).not_to_be_empty()
    expect(page.locator(".votes li").first).to_contain_text("%")
    expect(page.locator(".neighbours").get_by_text("similarity").first).to_be_visible()


def test_dragging_turns_all_and_arrow_keys_move_in_time(opened):
    page = opened("#query?item=set/wave1")
    page.wait_for_function("() => document.querySelectorAll('.row canvas').length >= 5", polling=200)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    before = page.evaluate(LOOKS)
    page.locator(".query-head h1").click()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(ALL_MOVED, arg=before, polling=200)
    before = page.evaluate(LOOKS)
    box = page.locator(".row canvas").first.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 130, box["y"] + 60)
    page.mouse.up()
    page.wait_for_function(ALL_MOVED, arg=before, polling=200)


def test_a_dropped_recording_is_read_and_its_parts_and_windows_are_searched(opened, recording):
    page = opened()
    drop(page, recording)
    expect(page.locator(".query-head h1")).to_have_text("dropped.npz")
    expect(page.locator(".neighbours article")).to_have_count(5)
    first = page.locator(".neighbours article").first
    expect(first.locator("h2")).to_have_text("wave")
    expect(first).to_contain_text("similarity 1.000")

    page.get_by_label("Recording of this file").select_option("1")
    expect(page.locator(".query-head .small").first).to_contain_text("6.0 s, 180 frames")
    expect(page.locator(".lane button").first).to_have_attribute(
        "title", re.compile(r"to \d.\d s, similarity \d.\d\d$")
    )
    end = page.get_by_role("slider", name="End of the part")
    expect(end).to_have_attribute("aria-valuenow", "6.00")
    with page.expect_request(lambda request: request.url.endswith("Search")) as searched:
        end.press("Shift+ArrowLeft")
    assert searched.value.post_data_json["queries"][0]["sequence"]["num_frames"] == 162
    expect(page.locator(".time-card")).to_contain_text("0.0 s to 5.4 s")

    with page.expect_request(lambda request: request.url.endswith("Search")) as searched:
        page.locator(".lane button").last.click()
    assert searched.value.post_data_json["queries"][0]["sequence"]["num_frames"] < 162


def test_a_high_threshold_makes_the_class_unknown_and_a_wrong_filter_is_said(opened):
    page = opened("#query?item=set/wave1")
    expect(page.locator(".verdict .class")).not_to_be_empty()
    page.get_by_role("slider", name="Similarity that a class needs").fill("100")
    expect(page.locator(".verdict .class")).to_have_text("unknown")
    page.get_by_label("Search only in items with").fill("subject>>3")
    expect(page.get_by_role("alert").first).to_have_text(re.compile("^The condition 'subject>>3'"))


def test_a_condition_that_no_item_meets_is_said(opened):
    page = opened("#query?item=set/wave1")
    expect(page.locator(".votes")).to_be_visible()
    page.get_by_label("Search only in items with").fill("label=wave 6")
    expect(page.locator(".result").get_by_text("No item meets the condition.")).to_have_count(1)
    expect(page.get_by_text("None of the nearest items has a label.")).to_have_count(0)


@pytest.mark.parametrize("refusal", [{}, REFUSAL])
def test_a_late_answer_does_not_bring_back_an_older_search(opened, refusal):
    page = opened("#query")
    held = Held(page, "GalleryService/Get", lambda message: len(message["ids"]) > 1)  # of the neighbours
    held.call(lambda: page.evaluate("location.hash = '#query?item=set/wave1'"))
    page.get_by_label("Search only in items with").fill("label=jump")
    names = page.locator(".neighbours h2")
    expect(names).to_have_text(["jump"] * 5)
    held.release(**refusal)
    expect(names).to_have_text(["jump"] * 5)
    expect(page.locator(".verdict .class")).to_have_text("jump")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_new_search_leaves_the_focus_on_a_neighbour_that_stays(opened):
    page = opened("#query?item=set/wave1")
    links = page.locator(".neighbours a")
    expect(links).to_have_count(5)
    name = links.nth(2).inner_text()
    page.get_by_label("Search only in items with").fill(f"subject={name[-1]}")
    links.nth(2).focus()  # the search begins a moment after the last letter
    expect(links).not_to_have_count(5)
    expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()


def test_only_a_recording_has_windows(opened, recording):
    page = opened("#query?item=set/wave1")
    expect(page.locator(".neighbours article")).to_have_count(5)
    windows = page.get_by_label("Windows of long recordings")
    expect(windows).to_be_hidden()
    drop(page, recording)
    expect(windows).to_be_visible()


def test_stages_of_neighbours_are_equally_high(opened):
    page = opened("#query?item=set/wave1")
    expect(page.locator(".neighbours article")).to_have_count(5)
    page.locator(".neighbours h2").first.evaluate("title => { title.textContent = 'words '.repeat(12) }")
    stages = page.locator(".neighbours .stage")
    assert len(set(stages.evaluate_all("all => all.map(stage => stage.clientHeight)"))) == 1
    assert stages.evaluate_all("all => all.every(stage => stage.clientWidth === stage.parentElement.clientWidth)")


def test_the_page_names_no_format_that_it_cannot_read(opened):
    page = opened("#query")
    expect(page.locator(".welcome")).to_contain_text("BVH")
    expect(page.locator(".welcome")).not_to_contain_text("AMC")


def test_a_file_that_cannot_be_read_is_refused_in_the_servers_words(opened, tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("no recording")
    page = opened("#query")
    drop(page, path)
    # The server says which field of the request is wrong; the reader knows no fields.
    expect(page.get_by_role("alert")).to_contain_text("notes.npz")
    expect(page.get_by_role("alert")).not_to_contain_text("content:")
    expect(page.get_by_role("button", name="Choose another file")).to_be_visible()


def test_a_file_without_a_usable_recording_gets_the_servers_remarks(opened, recording):
    page = opened("#query")
    reply = {"recordings": [], "num_left_out": 2, "remarks": ["the recording 'long' has 900000 frames: cut it."]}
    page.route("**/gfp_serve.v1.ViewService/ReadFile", lambda route: route.fulfill(json=reply))
    drop(page, recording)
    expect(page.get_by_role("alert")).to_contain_text("2 left out")
    expect(page.get_by_text("900000 frames: cut it.")).to_be_visible()


def test_windows_that_cannot_be_classified_are_an_error_and_not_called_nobody(opened, recording):
    page = opened("#query")
    asked = []

    def refuse(route):
        # The windows are many queries, and the search is one.
        if len(route.request.post_data_json["queries"]) == 1:
            route.fallback()
            return
        asked.append(route.request.url)
        route.fulfill(status=503, json=REFUSAL)

    page.route("**/gfp_serve.v1.GalleryService/Classify", refuse)
    drop(page, recording)
    page.get_by_label("Recording of this file").select_option("1")
    expect(page.locator(".time-card").get_by_role("alert")).to_contain_text("too busy")
    expect(page.locator(".lane button")).to_have_count(0)
    assert len(asked) == 1


def test_windows_are_classified_after_another_view_was_open_meanwhile(opened, recording):
    page = opened("#query")
    held = []

    def hold_the_first(route):
        if len(route.request.post_data_json["queries"]) > 1 and not held:
            held.append(route)
        else:
            route.fallback()

    page.route("**/gfp_serve.v1.GalleryService/Classify", hold_the_first)
    drop(page, recording)
    with page.expect_request(lambda made: made.url.endswith("Classify") and len(made.post_data_json["queries"]) > 1):
        page.get_by_label("Recording of this file").select_option("1")
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(page.locator(".gallery")).to_be_visible()
    page.get_by_role("link", name="Query", exact=True).click()
    expect(page.locator(".lane button").first).to_be_visible()


def test_another_part_with_the_same_neighbours_shows_how_near_they_are_now(opened, recording):
    page = opened("#query")
    similarities = iter([0.875, 0.625])

    def answer(route):
        reply = route.fetch()
        said = reply.json()
        similarity = next(similarities)
        for neighbour in said["results"][0]["neighbours"]:
            neighbour["similarity"] = similarity
        route.fulfill(response=reply, json=said)

    page.route("**/gfp_serve.v1.GalleryService/Search", answer)
    drop(page, recording)
    numbers = page.locator(".neighbours .number")
    expect(numbers).to_have_text(["similarity 0.875"] * 5)
    page.locator(".neighbours article").first.evaluate("card => card.classList.add('old')")
    page.get_by_label("Search only in items with").fill("set=tests")
    expect(numbers).to_have_text(["similarity 0.625"] * 5)
    expect(page.locator(".neighbours .old")).to_have_count(1)  # its skeleton moves on


def test_windows_that_are_classified_anew_leave_the_focus_where_it_is(opened, recording):
    page = opened("#query")
    drop(page, recording)
    page.get_by_label("Recording of this file").select_option("1")
    last = page.locator(".lane button").last
    last.evaluate("segment => segment.classList.add('old')")
    page.get_by_label("Search only in items with").fill("set=tests")  # all that have a motion: the classes stay
    last.focus()  # the search begins a moment after the last letter
    expect(page.locator(".lane .old")).to_have_count(0)
    expect(page.locator(".lane button").last).to_be_focused()


@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("av", "mediapipe"))), reason="needs the extra video")
def test_a_dropped_video_becomes_a_query_with_the_video_beside_it(opened):
    page = opened("#query")
    drop(page, ROOT / "examples" / "videos" / "basketball-006_08.mp4")
    expect(page.locator(".query-head h1")).to_have_text("basketball-006_08.mp4")
    expect(page.locator(".neighbours article")).to_have_count(5)
    expect(page.locator(".query-head")).to_contain_text("mediapipe33")
