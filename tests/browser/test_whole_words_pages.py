"""What a page names is read whole: choices, names of settings, items to be picked and what a figure is compared with.

What is written in a box is measured in the font of the box; a page that merely does not scroll sideways may still cut words.
"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.network import reads as network
from malha.platform.db import Actor, Database
from malha.routing.ruling import service
from malha.routing.ruling.model import Content, Rule, Run, Where

from .conftest import NARROW, WIDE, apart, shot, sideways, violations
from .test_console import number_of

Visit = Callable[..., Page]
# The longest choice of each list whose longest is short, like names of states: that of a list of places may be any name.
CUT_CHOICES = """() => {
    const wide = (text, font) => {
        const canvas = document.createElement('canvas').getContext('2d');
        canvas.font = font;
        return canvas.measureText(text).width;
    };
    return [...document.querySelectorAll('#content select')].filter(one => one.checkVisibility()).map(one => {
        const look = getComputedStyle(one);
        const room = one.clientWidth - parseFloat(look.paddingLeft) - parseFloat(look.paddingRight) - 18; // its arrow
        const longest = [...one.options].map(o => o.text).sort((a, b) => b.length - a.length)[0];
        return longest.length < 22 && wide(longest, `${look.fontWeight} ${look.fontSize} ${look.fontFamily}`) > room ? longest : '';
    }).filter(Boolean);
}"""
CUT = """(where) => [...document.querySelectorAll(where)].filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth)
    .map(one => one.textContent.trim())"""


@pytest.fixture
def draft(seeded: str) -> Iterator[int]:
    """A draft of routing rules, gone afterwards."""

    async def write() -> int:
        async with Database(seeded) as database, database.transaction(Actor("person", "ana", "Ana Prado")) as tx:
            code = next(x.code for x in await network.locations(tx))
            content = Content(runs=[Run(name="Todos", rules=[Rule(name="Perto", where=Where(locations=[code]))])])
            return (await service.start_draft(tx, content, note="Natal", based_on=None)).id

    async def clear() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM routing_rule_set")

    yield apart(write)
    apart(clear)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_fields_of_a_dialog_stand_below_its_text_as_wide_as_the_dialog(
    visit: Visit, draft: int, size: dict[str, int]
) -> None:
    page = visit(f"/routing-rules/{draft}", size=size)
    page.locator("[data-open=dlg-publish]").first.click()
    dialog = page.locator("#dlg-publish")
    expect(dialog).to_be_visible()
    text, fields = dialog.locator("p").first.bounding_box(), dialog.locator(".m-form-grid").bounding_box()
    assert text is not None
    assert fields is not None
    assert fields["y"] >= text["y"] + text["height"]
    assert fields["width"] == pytest.approx(text["width"], abs=1)
    assert dialog.evaluate("(it) => it.scrollWidth - it.clientWidth") == 0
    shot(page, f"rules-publish-{size['width']}", whole=False)
    assert violations(page) == []


@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.parametrize("path", ["/cost-drafts:new", "/routing-costs"])
def test_choices_of_costs_are_read_whole_on_a_phone(visit: Visit, path: str, language: str) -> None:
    page = visit(path, size=NARROW, language=language)
    assert page.locator("#content select").count() > 0
    assert page.evaluate(CUT_CHOICES) == []
    assert sideways(page) == 0
    shot(page, f"costs-{path[1:5]}-{language}")
    assert violations(page) == []


def test_settings_of_the_process_are_named_in_full_on_a_phone(visit: Visit) -> None:
    page = visit("/settings", size=NARROW)
    assert page.locator(".m-process tbody tr").count() > 10
    assert page.evaluate(CUT, ".m-process .m-cell > *") == []


def test_what_a_figure_is_compared_with_is_read_whole(visit: Visit) -> None:
    page = visit("/", size=WIDE)
    page.evaluate(
        """() => {
            const foot = document.querySelector('.m-kpi:has(.m-spark) .m-kpi-foot > .m-clip');
            foot.innerHTML = '<span class="m-delta">114,4x</span> <span class="m-3rd">vs. segunda</span>';
        }"""
    )
    assert page.locator(".m-kpi .m-spark").first.bounding_box()["width"] > 20  # type: ignore[index]
    assert page.evaluate(CUT, ".m-kpi-foot, .m-kpi-foot > .m-clip") == []


def test_an_item_to_be_picked_is_named_in_full_on_a_phone(visit: Visit, seeded: str) -> None:
    """Its last words are its colour and size, by which it is told from its neighbours on the shelf."""
    number = number_of(seeded, "id IN (SELECT order_id FROM fulfillment_order WHERE state = 'accepted')")
    page = visit(f"/orders/{number}", size=NARROW)
    page.evaluate(
        """() => {
            for (const name of document.querySelectorAll('li[data-codes] .m-cell > span'))
                name.textContent = 'Jogo de cama Percal 300 fios Mandacaru, terracota, queen';
        }"""
    )
    page.locator("dialog:has(li[data-codes])").first.evaluate("(it) => it.showModal()")
    assert page.locator("li[data-codes]:visible").count() > 0
    assert page.evaluate(CUT, "dialog[open] li[data-codes] .m-cell > *") == []
    field = page.locator("dialog[open] [data-pick-code]")
    assert "mono" not in field.evaluate("(it) => getComputedStyle(it, '::placeholder').fontFamily").lower()
