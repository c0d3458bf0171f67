"""Text twice as large, as people set it in their browser: nothing is cut, and what opens by keyboard only stays out of sight."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .conftest import CHROMIUM, FLAGS, NARROW, WIDE

# Controls whose words are higher than they are, and what a person has not asked for.
CUT = """() => {
    const seen = [...document.querySelectorAll('button, a.m-btn, a.m-view, .m-chip, .m-find, .m-pickf, input:not([type=hidden]), select, .m-tag')]
        .filter(each => each.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !each.closest('.m-sr'));
    const line = each => parseFloat(getComputedStyle(each).fontSize);
    const said = each => (each.innerText || each.ariaLabel || each.name || '').trim().slice(0, 40);
    const low = seen.filter(each => !['checkbox', 'radio'].includes(each.type) && each.clientHeight && each.clientHeight < line(each) * 1.15);
    const skip = document.querySelector('.m-skip').getBoundingClientRect();
    return [...low.map(each => `${each.localName} ${said(each)}: ${each.clientHeight} of ${line(each)}`), ...(skip.bottom > 0 ? ['skip link'] : [])];
}"""


@pytest.fixture(scope="module")
def large(browser: Browser) -> Iterator[Browser]:
    """A browser whose person reads text of 32 px."""
    opened = browser.browser_type.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--blink-settings=defaultFontSize=32,defaultFixedFontSize=26"]
    )
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_pages_follow_the_text_size_of_the_browser_and_cut_nothing(
    large: Browser, address: str, session_cookies: list[Any], nothing_kept: None, size: Any, language: str
) -> None:
    context = large.new_context(viewport=size, has_touch=size is NARROW, reduced_motion="reduce")
    context.add_cookies([*session_cookies, {"name": "malha_language", "value": language, "url": address}])
    page: Page = context.new_page()
    wrong = {}
    for path in ("/", "/orders?view=all", "/orders/new", "/stock", "/counts", "/routing-rules", "/simulations:new"):
        page.goto(address + path)
        assert page.evaluate("getComputedStyle(document.body).fontSize") == "26px"
        if found := page.evaluate(CUT):
            wrong[path] = found[:5]
    context.close()
    assert not wrong
