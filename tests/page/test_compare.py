"""Two motions side by side."""

from playwright.sync_api import expect

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
