"""Every view is checked with axe, in light and dark, and fits a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1, "has_touch": True}
# What of a view must be there before it is looked at.
VIEWS = {
    "#gallery?item=set/wave1": ".near .items button",
    "#query": ".welcome",
    "#query?item=set/wave1": ".neighbours article",
    "#compare?motion=set/wave1&wanted=set/walk1": ".joints tbody tr",
    "#live": ".count-card h2",
}


@pytest.fixture(scope="module")
def axe(packages: Path) -> str:
    return (packages / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.install
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(opened, axe, scheme):
    page = opened(color_scheme=scheme)
    page.evaluate(axe)
    for view, part in VIEWS.items():
        page.evaluate("view => { location.hash = view }", view)
        page.locator(part).first.wait_for()
        expect(page.locator(".waits")).to_have_count(0)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(view, each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_a_phone_in_the_systems_colours(opened, scheme):
    page = opened(color_scheme=scheme, **PHONE)
    for view, part in VIEWS.items():
        page.evaluate("view => { location.hash = view }", view)
        page.locator(part).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 390, view
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(",")))
    assert brightness > 600 if scheme == "light" else brightness < 150
