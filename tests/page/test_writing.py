"""Tokens, and what only those who may write see."""

from playwright.sync_api import expect


def give(page, token):
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a token")
    dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button", name="Use it").click()


def test_a_token_is_asked_for_again_until_it_is_right_and_stays_out_of_the_address(opened, guarded):
    page = opened(of=guarded, ready="dialog")
    give(page, "wrong")
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
    expect(page.locator(".item canvas")).to_be_visible()

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(".item header h2")).to_have_text("newer")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".item")).to_be_hidden()
    expect(page.locator(".side .status")).to_contain_text("13 items")
