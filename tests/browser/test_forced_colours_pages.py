"""The colours of the system in place of ours, as people with low sight set them: where one is, and what Enter takes, is seen."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import NARROW, WIDE

# The colours of the system leave one ground to all that has any: what is marked by it has another.
MARKED = """each => ![getComputedStyle(document.body).backgroundColor, 'rgba(0, 0, 0, 0)'].includes(getComputedStyle(each).backgroundColor)
    && !getComputedStyle(each).backgroundColor.endsWith(', 0)')"""
EDGE = (
    "each => { const {borderTopStyle, outlineStyle} = getComputedStyle(each); return [borderTopStyle, outlineStyle]; }"
)


@pytest.fixture
def forced(browser: Browser, address: str, session_cookies: list[Any], nothing_kept: None) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, forced_colors="active", reduced_motion="reduce", base_url=address)
    context.add_cookies([*session_cookies, {"name": "malha_language", "value": "en", "url": address}])
    yield context.new_page()
    context.close()


def marked(these: Locator) -> list[bool]:
    return [one.evaluate(MARKED) for one in these.all()]


def test_where_one_is_can_be_told(forced: Page) -> None:
    forced.goto("/orders?view=all")
    for here, all_of_them in (("#menu nav a[aria-current]", "#menu nav a"), ("#views [aria-current]", "#views a")):
        assert marked(forced.locator(here)) == [True]
        assert sum(marked(forced.locator(all_of_them))) == 1
    forced.goto("/")
    assert marked(forced.locator(".m-seg").first.locator("a")) == [True, False, False]


def test_what_enter_opens_and_what_is_open_can_be_told(forced: Page) -> None:
    forced.goto("/orders?view=all")
    forced.keyboard.press("j")
    row = forced.locator("[data-rows] > tr[aria-current=true]")
    assert row.evaluate(EDGE)[1] == "solid"
    forced.keyboard.press("x")
    bar = forced.get_by_role("toolbar")
    expect(bar).to_be_visible()
    assert bar.evaluate(EDGE)[0] == "solid"
    forced.keyboard.press("Control+k")
    items = forced.locator("#cmd-list [role=option]")
    expect(items.first).to_have_attribute("aria-selected", "true")
    assert marked(items)[:3] == [True, False, False]
    forced.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_have_attribute("aria-selected", "true")
    assert marked(items)[:3] == [False, True, False]


def test_what_goes_on_beyond_the_edge_of_a_phone_fades_up_to_its_end(
    browser: Browser, address: str, session_cookies: list[Any], nothing_kept: None
) -> None:
    context = browser.new_context(viewport=NARROW, has_touch=True, reduced_motion="reduce")
    context.add_cookies(session_cookies)
    page = context.new_page()
    page.goto(f"{address}/orders?view=all")
    for bar in ("#filters", "#views"):
        shown = page.locator(bar)
        assert "gradient" in shown.evaluate("each => getComputedStyle(each, '::after').backgroundImage")
        shown.evaluate("each => { each.scrollLeft = each.scrollWidth; }")
        left = shown.locator("> :not(.m-3rd):visible").last.evaluate(
            "each => innerWidth - each.getBoundingClientRect().right"
        )
        assert left >= 16, bar  # whoever is at the end sees the last one whole
    context.close()
