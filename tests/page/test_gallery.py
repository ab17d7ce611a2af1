"""The map of a gallery, its legend, filter and list, and an item that is opened."""

import io
import re
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from gfp_serve.client import Client, ClipItem
from gfp_serve.items import Item
from tests.page.conftest import WITHOUT_MOTION, Held
from tests.support.browser import AFTER_FRAMES
from tests.support.tiny_bundle import SIZE, walk

LOOK = "canvas => canvas.toDataURL()"


def test_the_map_shows_all_items_and_a_filter_leaves_those_that_it_names(opened):
    page = opened()
    status = page.locator(".side .status")
    expect(status).to_contain_text("13 items")
    expect(page.locator(".legend li")).to_have_text(
        [re.compile(f"{name}.*{count}") for name, count in (("jump", 5), ("walk", 4), ("wave", 4))]
    )
    expect(page.locator(".names span").first).to_be_visible()

    page.get_by_label("Show only", exact=True).fill("label=wave subject>=2")
    expect(status).to_contain_text("2 items of 13")
    assert "where=label%3Dwave+subject%3E%3D2" in page.url

    page.get_by_label("Show only", exact=True).fill("nonsense")
    expect(page.get_by_role("alert")).to_contain_text("nonsense")
    expect(status).to_be_empty()
    expect(page.get_by_label("Show only", exact=True)).to_have_attribute("aria-invalid", "true")


def test_an_item_is_found_by_keyboard_and_moves_with_its_neighbours_beside_it(opened):
    page = opened()
    page.get_by_role("button", name="List").press("Enter")
    page.get_by_label("Find an item by id or label").fill("walk2")
    expect(page.locator(".side .items button")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="walk", level=2)).to_be_visible()
    canvas = page.locator(".item canvas")
    look = canvas.evaluate(LOOK)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "([canvas, look]) => canvas.toDataURL() !== look", arg=[canvas.element_handle(), look], polling=200
    )
    expect(page.locator(".near .items button")).to_have_count(5)
    assert "item=set%2Fwalk2" in page.url

    page.locator(".near .items button").first.click()
    expect(page.locator(".item header .id")).not_to_have_text("set/walk2")
    page.go_back()
    expect(page.locator(".item header .id")).to_have_text("set/walk2")
    page.keyboard.press("Escape")
    expect(page.locator(".item")).to_be_hidden()


def point_at_an_item(page, hover):
    """Look for an item along lines: where items lie is the projection's business."""
    box = page.locator(".map").bounding_box()
    for y in range(20, int(box["height"]), 18):
        for x in range(20, int(box["width"]) - 20, 18):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if hover.is_visible():
                return


def test_the_pointer_shows_a_moving_item_and_a_click_opens_it(opened):
    page = opened()
    expect(page.locator(".side .status")).to_contain_text("13 items")
    page.evaluate(AFTER_FRAMES, 5)
    picture = np.asarray(Image.open(io.BytesIO(page.locator(".map").screenshot())).convert("HSV"))
    assert (picture[..., 1] > 100).sum() > 200  # pixels with a strong colour
    hover = page.locator(".map .hover")
    point_at_an_item(page, hover)
    expect(hover.locator("strong")).to_have_text(re.compile("wave|walk|jump"))
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".item header h2")).to_have_text(re.compile("wave|walk|jump"))
    # Of an item that is opened beside another one, the map stays below the pointer.
    point_at_an_item(page, hover)
    page.mouse.down()
    page.mouse.up()
    expect(hover).to_be_hidden()


def test_an_item_without_a_kept_motion_says_so(opened):
    page = opened(f"#gallery?item={WITHOUT_MOTION}")
    expect(page.locator(".item .missing")).to_contain_text("keeps no motion of this item")


def test_an_attribute_colours_the_map_and_an_entry_of_the_legend_singles_out_its_items(opened):
    page = opened()
    page.get_by_label("Colour by").select_option("subject")
    expect(page.locator(".legend li")).to_have_text(
        [re.compile(f"^{n}.*3$") for n in range(4)] + [re.compile("none.*1")]
    )
    page.locator(".legend button").first.click()
    page.get_by_role("button", name="List").click()
    expect(page.locator(".part .items button")).to_have_count(3)


def test_a_better_map_is_shown_after_another_view_was_open(opened):
    page = opened("#query")
    replies = []

    def answer(route):
        reply = route.fetch()
        replies.append(reply.json() | {"is_improving": not replies})
        route.fulfill(response=reply, json=replies[-1])

    page.route("**/gfp_serve.v1.ViewService/MapItems", answer)
    page.get_by_role("link", name="Gallery", exact=True).click()
    status = page.locator(".side .status")
    expect(status).to_contain_text("A better map is being made.")
    page.get_by_role("link", name="Query", exact=True).click()
    expect(page.locator(".query")).to_be_visible()
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(status).to_contain_text("13 items")
    expect(status).not_to_contain_text("A better map")


@pytest.mark.parametrize(
    ("part", "wanted"), [("List", ".items [data-key='set/walk2']"), ("Colours", ".legend [data-key='walk']")]
)
def test_a_better_map_leaves_the_focus_where_it_is(opened, part, wanted):
    page = opened("#query")
    replies = []

    def answer(route):
        reply = route.fetch()
        replies.append(reply.json() | {"is_improving": not replies})
        route.fulfill(response=reply, json=replies[-1])

    page.route("**/gfp_serve.v1.ViewService/MapItems", answer)
    page.get_by_role("link", name="Gallery", exact=True).click()
    page.get_by_role("button", name=part).click()
    entry = page.locator(wanted)
    entry.focus()
    expect(page.locator(".side .status")).to_contain_text("A better map is being made.")
    expect(page.locator(".side .status")).not_to_contain_text("A better map")
    expect(entry).to_be_focused()


def test_the_skip_link_leads_to_the_content_of_the_view_that_is_open(opened):
    page = opened("#query")
    page.locator(".skip").press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.evaluate(AFTER_FRAMES, 2)
    assert page.url.endswith("#query")
    expect(page.locator(".query")).to_be_visible()


def test_a_map_without_attributes_says_why_it_has_only_the_labels_colours(opened):
    page = opened("#query")

    def answer(route):
        reply = route.fetch()
        said = reply.json() | {"attributes_left_out": True}
        route.fulfill(response=reply, json=said)

    page.route("**/gfp_serve.v1.ViewService/MapItems", answer)
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(page.get_by_text("Colours by attribute are missing")).to_be_visible()
    expect(page.get_by_label("Colour by").locator("option")).to_have_text(["label"])


def test_a_gallery_that_is_not_there_is_not_replaced_by_another(opened):
    page = opened("#gallery?in=gone&item=set/wave1", ready="main > .failed")
    expect(page.get_by_role("alert")).to_contain_text("There is no gallery “gone” here")
    expect(page.locator(".item")).to_have_count(0)
    page.get_by_role("link", name="default", exact=True).click()
    expect(page.locator(".side .status")).to_contain_text("13 items")


def test_a_gallery_that_was_made_after_the_page_was_opened_is_found(opened, server):
    page = opened()
    expect(page.locator(".side .status")).to_contain_text("13 items")
    with Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("later")
        client.upsert([Item("only/one", np.ones(SIZE, dtype=np.float32), "jump")], gallery="later")
        try:
            page.goto(f"{server.http_url}/#gallery?in=later")
            expect(page.locator(".side .status")).to_contain_text("1 item")
        finally:
            client.drop_gallery("later")


def test_marks_of_direction_in_names_do_not_turn_the_words_of_the_page_around(opened, server):
    evil = "set/\u202eevil"
    with Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("turned")
        client.upsert([Item(evil, np.ones(SIZE, dtype=np.float32), "jump\u2067")], gallery="turned")
        try:
            page = opened(f"#gallery?in=turned&item={quote(evil)}")
            expect(page.locator(".item header .id")).to_have_text("set/\\u202eevil")
            expect(page.locator(".item header h2")).to_have_text("jump\\u2067")
            assert not set("\u202e\u2067") & set(page.locator("body").inner_text())
        finally:
            client.drop_gallery("turned")


def test_an_attribute_may_be_called_as_what_every_object_has(opened, server):
    items = [
        Item("a", np.ones(SIZE, dtype=np.float32), "x", {"constructor": "built"}),
        Item("b", np.ones(SIZE, dtype=np.float32), "x"),
    ]
    with Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("named")
        client.upsert(items, gallery="named")
        try:
            page = opened("#gallery?in=named")
            page.get_by_label("Colour by").select_option("constructor")
            expect(page.locator(".legend li")).to_have_text([re.compile("^built.*1"), re.compile("none.*1")])
        finally:
            client.drop_gallery("named")


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ('label="sequence 6"', ['label="sequence 6"']),
        ('"label=sequence 6"', ["label=sequence 6"]),
        ("label=sequence 6", ["label=sequence 6"]),
        ("subject >= 3 label=walk, run !set=old", ["subject >= 3", "label=walk, run", "!set=old"]),
        (r'"label=\"sequence 6\"" subject=2', ['label="sequence 6"', "subject=2"]),
        ('label=a,"b=c" camera!=2', ['label=a,"b=c"', "camera!=2"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_conditions_are_parted_as_a_shell_and_people_part_them(opened, typed, sent):
    page = opened()
    page.route("**/gfp_serve.v1.ViewService/MapItems", lambda route: route.abort())
    with page.expect_request("**/gfp_serve.v1.ViewService/MapItems") as asked:
        page.get_by_label("Show only", exact=True).fill(typed)
    assert asked.value.post_data_json["filter"] == {"where": sent}


def test_a_filter_that_nothing_meets_says_so_on_the_map_and_the_example_finds_something(opened):
    page = opened()
    where = page.get_by_label("Show only", exact=True)
    status = page.locator(".side .status")
    example = where.get_attribute("placeholder").removeprefix("e.g. ")
    where.fill(example)
    expect(status).to_contain_text("1 item of 13")
    where.fill("label=nothing")
    expect(page.locator(".map-card .empty")).to_have_text("No item meets the condition.")
    where.fill("")
    expect(page.locator(".map-card .empty")).to_be_hidden()


def test_colours_of_classes_stay_when_a_filter_leaves_some(opened):
    page = opened("#gallery?where=label%3Dwave")
    colour = "entry => entry.style.getPropertyValue('--own')"
    expect(page.locator(".side .status")).to_contain_text("4 items of 13")
    before = page.locator(".legend button", has_text="wave").evaluate(colour)
    page.get_by_label("Show only", exact=True).fill("")
    expect(page.locator(".side .status")).to_contain_text("13 items")
    assert page.locator(".legend button", has_text="wave").evaluate(colour) == before


def test_the_name_of_a_class_does_not_cover_its_only_point(opened):
    page = opened("#query")
    places = {"left": (-1, 0.5), "right": (1, -0.5), "lone": (0, 0)}
    items = [{"id": name, "label": name, "x": x, "y": y} for name, (x, y) in places.items()]

    def answer(route):
        reply = route.fetch()
        route.fulfill(response=reply, json=reply.json() | {"items": items, "is_improving": False})

    page.route("**/gfp_serve.v1.ViewService/MapItems", answer)
    page.get_by_role("link", name="Gallery", exact=True).click()
    name = page.locator(".names span", has_text="lone")
    expect(name).to_be_visible()
    box, whole = name.bounding_box(), page.locator(".map").bounding_box()
    middle = whole["y"] + whole["height"] / 2
    assert not box["y"] - 4 < middle < box["y"] + box["height"] + 4


def test_an_item_that_its_address_opened_gives_the_focus_to_the_side_when_it_is_closed(opened):
    page = opened("#gallery?item=set/walk2")
    page.get_by_role("button", name="Close this item").press("Enter")
    expect(page.locator(".item")).to_be_hidden()
    expect(page.get_by_label("Show only")).to_be_focused()


def test_the_focus_goes_into_an_item_that_a_list_opens_and_back(opened):
    page = opened()
    page.get_by_role("button", name="List").click()
    entry = page.locator(".part .items button", has_text="walk2")
    entry.press("Enter")
    expect(page.locator(".item")).to_be_focused()
    page.locator(".near .items button").first.wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Close this item")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".item")).to_be_hidden()
    expect(entry).to_be_focused()


def test_the_focus_stays_in_the_panel_when_an_item_beside_is_opened(opened):
    page = opened("#gallery?item=set/walk2")
    near = page.locator(".near .items button").first
    wanted = near.locator(".id").inner_text()
    near.press("Enter")
    expect(page.locator(".item header .id")).to_have_text(wanted)
    expect(page.locator(".item")).to_be_focused()


def test_motions_of_one_gallery_are_not_taken_for_those_of_another(opened, server):
    with Client(f"127.0.0.1:{server.port}") as client:
        client.create_gallery("later")
        try:
            page = opened("#query")
            held = Held(page, "GalleryService/Get", lambda message: len(message["ids"]) > 1)  # of the neighbours
            asked = held.call(lambda: page.evaluate("location.hash = '#query?item=set/wave1'"))
            name = asked["ids"][0]
            client.upsert([ClipItem(name, walk(1), "other", fps=30.0)], gallery="later")
            page.evaluate("location.hash = '#gallery?in=later'")
            expect(page.locator(".side .status")).to_contain_text("1 item")
            held.release()
            page.evaluate("name => { location.hash = `#gallery?in=later&item=${name}` }", name)
            expect(page.locator(".item header h2")).to_have_text("other")
        finally:
            client.drop_gallery("later")
