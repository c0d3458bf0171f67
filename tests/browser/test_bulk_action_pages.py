"""All that a list finds, beyond its page: chosen, shown before it begins, its progress, and what refused, in every look."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.fulfillment import bulk
from malha.fulfillment import bulk_reads as reads
from malha.ordering import edits
from malha.platform.db import SYSTEM, Database
from malha.platform.ids import UUID

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
LOOKS = pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("pt-BR", NARROW, "dark"), ("en", WIDE, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide", "pt-narrow-dark", "en-wide-dark", "en-narrow"],
)


def work(seeded: str, most: int | None = None) -> None:
    """Do what the worker would, as far as so many orders."""

    async def go() -> None:
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                action = (await reads.actions(tx))[0]
            if most is None:
                await bulk.go_on.work(database, action_id=str(action.id))
            for _ in range(most or 0):
                await bulk.do_one(database, SYSTEM, action)

    apart(go)


@pytest.fixture
def untagged(seeded: str) -> Iterator[None]:
    """What is tagged here is as it was for other tests."""
    yield

    async def untag() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute("DELETE FROM order_tag WHERE starts_with(tag, 'black ')")

    apart(untag)


def choose_all(page: Page, *, portuguese: bool) -> None:
    page.get_by_role("checkbox", name="Selecionar todos" if portuguese else "Select all").check()
    page.get_by_role("button", name=re.compile("^Selecionar todos: " if portuguese else "^Select all ")).click()


@LOOKS
@pytest.mark.usefixtures("untagged")
def test_all_that_the_list_finds_is_tagged_with_its_progress(
    visit: Visit, seeded: str, language: str, size: dict[str, int], theme: str
) -> None:
    portuguese = language == "pt-BR"
    page = visit("/orders?view=all", size=WIDE, language=language, theme=theme)
    choose_all(page, portuguese=portuguese)
    page.set_viewport_size(size)  # a phone's list has no box for all of its page
    shot(page, f"bulk-all-{language}-{size['width']}-{theme}", whole=False)
    assert not violations(page)
    expect(
        page.get_by_role("button", name=re.compile("^Selecionar todos: " if portuguese else "^Select all "))
    ).to_be_hidden()
    assert int(re.sub(r"\D", "", page.locator("[data-bulk-count]").inner_text())) > 50
    page.get_by_role("button", name="Etiquetas" if portuguese else "Tags").last.click()
    page.locator("#bulk-add").fill(f"black {language} {size['width']}")
    page.locator("#bulk-tags").get_by_role("button", name="Pôr as etiquetas" if portuguese else "Set the tags").click()
    expect(page).to_have_url(re.compile(r"/bulk-actions/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Etiquetar estes pedidos?" if portuguese else "Tag these orders?"
    )
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"bulk-ready-{language}-{size['width']}-{theme}")
    page.get_by_role("main").locator("button[type=submit]").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    work(seeded, 20)
    expect(bar).not_to_have_attribute("value", "0")  # the page asks by itself
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"bulk-going-{language}-{size['width']}-{theme}")
    work(seeded)
    expect(page.get_by_text("Concluído" if portuguese else "Finished", exact=True)).to_be_visible()
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"bulk-done-{language}-{size['width']}-{theme}")
    page.get_by_role("navigation", name="Você está aqui" if portuguese else "You are here").get_by_role(
        "link"
    ).last.click()
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"bulk-list-{language}-{size['width']}-{theme}")


def test_a_phone_chooses_all_of_its_page_and_then_all_that_the_list_finds(visit: Visit) -> None:
    page = visit("/orders?view=all", size=NARROW)
    whole = page.get_by_role("button", name="Todos desta página")
    expect(whole).to_be_hidden()
    page.locator("[data-select-row]").first.check()
    whole.click()
    expect(page.locator("[data-bulk-count]")).to_have_text("50")
    expect(whole).to_be_hidden()
    everything = page.get_by_role("button", name=re.compile("^Selecionar todos: "))
    expect(everything).to_be_focused()
    everything.click()
    expect(page.locator("[data-bulk-count]")).not_to_have_text("50")
    shot(page, "bulk-phone-all", whole=False)
    assert not violations(page)


OBSCURED = """() => {
    const one = document.activeElement, box = one.getBoundingClientRect();
    if (!one.closest('[data-rows]')) return '';
    const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return at && (one.contains(at) || at.contains(one)) ? '' : (one.ariaLabel || one.textContent).trim();
}"""


@pytest.mark.parametrize("size", [WIDE, {"width": 683, "height": 384}], ids=["wide", "enlarged"])
def test_what_the_keyboard_goes_to_is_not_behind_what_can_be_done_with_the_chosen(
    visit: Visit, size: dict[str, int]
) -> None:
    page = visit("/orders?view=all", size=size)
    page.locator("[data-select-row]").first.check()
    hidden = []
    for _ in range(60):
        page.keyboard.press("Tab")
        hidden.append(page.evaluate(OBSCURED))
    for _ in range(45):
        page.keyboard.press("Shift+Tab")
        hidden.append(page.evaluate(OBSCURED))
    assert [name for name in hidden if name] == []


def test_all_of_the_list_is_given_up_with_any_order_of_the_page(visit: Visit) -> None:
    page = visit("/orders?view=all", size=WIDE, language="en")
    choose_all(page, portuguese=False)
    counted = page.locator("[data-bulk-count]")
    expect(page.locator("input[name=all]")).to_be_enabled()
    page.locator("[data-select-row]").first.uncheck()
    expect(counted).to_have_text("49")
    expect(page.locator("input[name=all]")).to_be_disabled()
    page.locator("[data-select-row]").first.check()
    expect(counted).to_have_text("50")  # it has to be asked for again
    expect(page.locator("input[name=all]")).to_be_disabled()
    choose_all(page, portuguese=False)
    page.get_by_role("button", name="Clear selection").click()
    page.locator("[data-select-row]").first.check()
    expect(counted).to_have_text("1")
    expect(page.locator("input[name=all]")).to_be_disabled()


def test_an_order_that_changed_before_its_turn_is_left_and_listed_with_why(visit: Visit, seeded: str) -> None:
    page = visit("/orders?view=open", size=WIDE, language="en")
    choose_all(page, portuguese=False)
    page.get_by_role("button", name="Release now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Release these orders?")
    page.get_by_role("main").locator("button[type=submit]").click()
    expect(page.get_by_role("progressbar")).to_be_visible()

    async def meddle() -> int:
        """Somebody writes on the first that would be released."""
        async with Database(seeded) as database, database.transaction() as tx:
            id_: UUID = await tx.value(
                "SELECT order_id FROM bulk_action_order WHERE outcome IS NULL ORDER BY order_id DESC LIMIT 1"
            )
            await edits.add_note(tx, id_, "Waits for a call")
            number: int = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s::uuid", {"id": id_})
            return number

    changed = apart(meddle)
    page.get_by_role("button", name="Stop").click()  # the others shall stay for other tests
    expect(page.get_by_text("Stopped halfway", exact=True)).to_be_visible()
    assert changed
