"""Pages on paper: all that they hold, on as many sheets as it takes, without the menu, dark on white."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

Visit = Callable[..., Page]
SHEET = {"width": 703, "height": 1032}  # what is left of A4 between its margins, in CSS pixels
# What is beyond the edge of something that scrolls, or of the sheet, is not on paper.
LOST = """() => {
    const lost = (node) => {
        const box = node.getBoundingClientRect();
        for (let up = node.parentElement; up; up = up.parentElement) {
            if (getComputedStyle(up).overflowY === "visible" || up === document.body) continue;
            if (box.bottom > up.getBoundingClientRect().bottom + 1) return true;
        }
        return box.right > innerWidth + 1;
    };
    return [...document.querySelectorAll("#content :is(tbody tr, .m-card, .m-panel)")].filter(lost).length;
}"""
INK = "() => getComputedStyle(document.querySelector('h1')).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"


def sheets(page: Page) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4", prefer_css_page_size=True)))


@pytest.mark.parametrize(
    "path", ["/orders?view=all", "/fulfillment/pick-list", "/fulfillment", "/counts", "/receipts", "/"]
)
def test_a_page_is_on_paper_as_a_whole_and_alone(visit: Visit, path: str) -> None:
    page = visit(path, theme="dark")
    page.emulate_media(media="print")
    page.set_viewport_size(SHEET)
    for part in (".m-side", ".m-top", "#content button"):
        expect(page.locator(part).filter(visible=True)).to_have_count(0)
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".m-print-head")).to_contain_text(re.compile(r"20\d\d, \d\d:\d\d"))
    assert page.evaluate(LOST) == 0
    assert max(page.evaluate(INK)) < 100, "light ink on white paper"


def test_a_list_that_is_longer_than_a_sheet_goes_on_on_the_next(visit: Visit) -> None:
    page = visit("/orders?view=all")
    assert page.locator("[data-rows] tr").count() == 50
    assert sheets(page) == 3


def test_the_grid_of_stock_is_on_paper_with_every_location_of_each_sku(visit: Visit) -> None:
    page = visit("/stock")
    row = page.locator(".m-matrix tbody tr").first
    places = row.locator("[data-cell]:not(.m-mx-none)")
    assert places.count() > 3
    page.emulate_media(media="print")
    page.set_viewport_size(SHEET)
    over = "() => [...document.querySelectorAll('.m-matrix *')].filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1).length"
    assert page.evaluate(over) == 0
    for n in range(places.count()):
        expect(places.nth(n)).to_be_visible()
        said = places.nth(n).evaluate("one => getComputedStyle(one, '::after').content")
        assert said.strip('"') in places.nth(n).locator(".m-sr").inner_text()
        assert len(said) > 4


def test_what_was_chosen_is_on_paper_and_what_could_be_chosen_is_not(visit: Visit) -> None:
    page = visit("/fulfillment/pick-list")
    chosen = page.locator("select[name=location]")
    code, name = chosen.locator("option").nth(1).evaluate("one => [one.value, one.text]")
    page.goto(f"{page.url}?location={code}")
    page.emulate_media(media="print")
    expect(page.locator(".m-pickf").filter(visible=True)).to_have_count(1)
    expect(chosen).to_be_visible()
    assert chosen.evaluate("one => one.selectedOptions[0].text") == name
