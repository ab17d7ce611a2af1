"""Tokens, and what only those who may write see."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from gfp_serve.client import Client
from gfp_serve.server import Server
from tests.page.conftest import drop
from tests.support.http_calls import http_config
from tests.support.servers import server_in_thread


@pytest.fixture
def empty(tmp_path) -> Iterator[Server]:
    """A server whose gallery is empty."""
    with server_in_thread(tmp_path, http_config()) as server:
        yield server


def give(page, token):
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a token")
    expect(dialog).not_to_contain_text("Bearer")
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button", name="Use it").click()


def test_a_token_is_asked_for_again_until_it_is_right_and_stays_out_of_the_address(opened, guarded):
    page = opened(of=guarded, ready="dialog")
    expect(page.get_by_label("Gallery", exact=True)).to_be_hidden()
    give(page, "wrong")
    expect(page.get_by_role("dialog")).to_contain_text("does not know")
    give(page, "read-token-of-tests")
    expect(page.locator(".side .status")).to_contain_text("13 items")
    assert "token" not in page.url
    assert page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
    page.reload()
    expect(page.locator(".side .status")).to_contain_text("13 items")
    page.goto(f"{guarded.http_url}/#gallery?item=set/wave1")
    expect(page.locator(".item header .id")).to_have_text("set/wave1")
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.get_by_role("button", name="Forget token").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_who_may_write_adds_a_recording_changes_its_label_and_deletes_it(opened, guarded, recording):
    page = opened("#query", of=guarded, ready="dialog")
    give(page, "write-token-of-tests")
    page.get_by_role("link", name="Gallery", exact=True).click()
    status = page.locator(".side .status")
    expect(status).to_contain_text("13 items")
    page.get_by_role("link", name="Query", exact=True).click()
    page.set_input_files("input[type=file]", recording)
    page.get_by_text("Add this to the gallery").click()
    page.get_by_label("Label").fill("new")
    page.get_by_role("button", name="Add to the gallery").click()
    expect(page.get_by_text("dropped/short is in the gallery")).to_be_visible()

    # The page is not loaded again: what it showed before the item was added is old.
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(status).to_contain_text("14 items")
    expect(page.locator("header option")).to_have_text("default · 14")
    page.get_by_role("button", name="List").click()
    page.get_by_label("Find an item by id or label").fill("dropped")
    page.locator(".part .items button").click()
    expect(page.locator(".item header h2")).to_have_text("new")
    expect(page.locator(".item canvas")).to_be_visible()
    page.get_by_role("button", name="Change label").click()
    page.get_by_role("dialog").get_by_label("Label").fill("newer")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".item header h2")).to_have_text("newer")
    expect(page.get_by_role("button", name="Change label")).to_be_focused()
    expect(page.locator(".item canvas")).to_be_visible()

    page.get_by_role("button", name="Delete").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    expect(page.locator(".item header h2")).to_have_text("newer")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".item")).to_be_hidden()
    expect(page.locator(".side .status")).to_contain_text("13 items")


def test_an_item_is_replaced_only_after_a_question(opened, empty, recording):
    page = opened("#query", of=empty)
    with Client(f"127.0.0.1:{empty.port}") as client:
        drop(page, recording)
        page.get_by_text("Add this to the gallery").click()
        add = page.get_by_role("button", name="Add to the gallery")
        added = page.get_by_text("dropped/short is in the gallery")
        add.click()
        expect(added).to_be_visible()

        page.get_by_label("Label", exact=True).fill("other")
        add.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("An item with this id exists. Replace it?")
        dialog.get_by_role("button", name="Cancel").click()
        expect(added).to_have_count(0)
        assert client.get(["dropped/short"])[0].label == "wave"
        add.click()
        dialog.get_by_role("button", name="Replace").click()
        expect(added).to_be_visible()
        assert client.get(["dropped/short"])[0].label == "other"

        page.get_by_label("Id", exact=True).fill("")
        add.click()
        expect(added).to_have_count(0)


def test_an_empty_gallery_says_what_can_be_done_and_is_searched_once_something_is_in_it(opened, empty, recording):
    page = opened(of=empty)
    expect(page.locator(".map-card .empty")).to_contain_text("Drop a recording onto this page")
    drop(page, recording)
    page.get_by_label("Recording of this file").select_option("1")
    note = page.get_by_text("This gallery is empty")
    expect(note.first).to_be_visible()
    expect(note).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_text("Add this to the gallery").click()
    page.get_by_role("button", name="Add to the gallery").click()
    expect(page.locator(".neighbours article")).to_have_count(1)
    expect(page.locator(".lane button").first).to_be_visible()
    expect(note).to_have_count(0)


def test_who_may_only_read_is_told_that_nothing_is_there_yet(opened, guarded):
    page = opened("#query", of=guarded, ready="dialog")
    give(page, "read-token-of-tests")
    refusal = {"code": "failed_precondition", "message": "the gallery is empty.", "reason": "EMPTY_GALLERY"}
    page.route("**/gfp_serve.v1.ViewService/MapItems", lambda route: route.fulfill(status=400, json=refusal))
    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(page.locator(".map-card .empty")).to_contain_text("Nothing has been added to it yet.")
    expect(page.locator(".map-card .empty button")).to_have_count(0)
