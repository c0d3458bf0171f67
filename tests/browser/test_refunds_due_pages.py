"""Refunds that are due: no barrier in any look, the refund of one order at hand, and of many recorded at once."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect

from malha.payments import giving_back
from malha.payments import giving_back_reads as together
from malha.payments import service as payments
from malha.payments.errors import NoRefundDue
from malha.payments.model import NewTender
from malha.platform.db import SYSTEM, Database
from malha.platform.ids import UUID, new_id

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]
# Delivered orders, which no other test carries on with.
CHOSEN = """
SELECT o.id, o.number FROM sales_order o JOIN order_payment p ON p.order_id = o.id
WHERE p.refund_due = 0 AND p.captured > 0 AND o.status = 'delivered' ORDER BY o.number LIMIT 3
"""


@pytest.fixture
def owing(seeded: str) -> Iterator[list[int]]:
    """The numbers of three orders that were paid 25,00 too much; given back afterwards."""

    async def pay() -> dict[UUID, int]:
        async with Database(seeded) as database, database.transaction() as tx:
            chosen = {id_: int(number) for id_, number in await tx.tuples(CHOSEN)}
            for id_ in chosen:
                own = f"again-{new_id()}"  # a payment is known by its reference: the same one again would be none
                more = NewTender(order_id=id_, position=0, kind="pix", amount=2500, state="captured", reference=own)
                await payments.add_tender(tx, id_, more)
            return chosen

    async def give_back(chosen: dict[UUID, int]) -> None:
        async with Database(seeded) as database:
            for id_ in chosen:
                with suppress(NoRefundDue):  # recorded by the test
                    async with database.transaction() as tx:
                        await payments.record_given_back(tx, id_, f"back-{new_id()}")

    chosen = apart(pay)
    assert len(chosen) == 3
    yield list(chosen.values())
    apart(lambda: give_back(chosen))


LOOKS = pytest.mark.parametrize(
    ("language", "size", "theme"),
    [("pt-BR", WIDE, "light"), ("pt-BR", NARROW, "dark"), ("en", WIDE, "dark"), ("en", NARROW, "light")],
    ids=["pt-wide", "pt-narrow-dark", "en-wide-dark", "en-narrow"],
)
WORDS = {"pt-BR": "Reembolsos a fazer", "en": "Refunds due"}


@LOOKS
def test_refunds_due_have_no_barrier_in_any_look(
    visit: Visit, owing: list[int], language: str, size: dict[str, int], theme: str
) -> None:
    page = visit("/refunds-due", size=size, language=language, theme=theme)
    expect(page.get_by_role("heading", level=1)).to_have_text(WORDS[language])
    assert not violations(page)
    shot(page, f"refunds-due-{language}-{size['width']}-{theme}")
    assert sideways(page) == 0
    page = visit("/attention", size=size, language=language, theme=theme)
    expect(page.locator("#refunds-due")).to_be_visible()
    page = visit(f"/orders/{owing[0]}", size=size, language=language, theme=theme)
    expect(page.locator("#refund-due")).to_be_visible()
    assert not violations(page)
    shot(page, f"refunds-due-order-{language}-{size['width']}-{theme}")


def test_the_refund_of_the_difference_is_ready_to_record(visit: Visit, owing: list[int]) -> None:
    page = visit("/refunds-due", size=WIDE, language="pt-BR")
    page.get_by_role("link", name=f"#{owing[0]}").click()
    page.locator("#refund-due").get_by_role("button").click()
    expect(page.locator("#dlg-refund #refund-amount")).to_have_value("25,00")
    shot(page, "refunds-due-refund", whole=False)


def test_many_refunds_are_recorded_under_one_reference(visit: Visit, owing: list[int]) -> None:
    page = visit("/refunds-due", size=WIDE, language="en")
    for number in owing[:2]:
        page.get_by_role("checkbox", name=f"#{number}").check()
    page.get_by_role("button", name="Record refunds").first.click()
    dialog = page.locator("#dlg-record")
    dialog.get_by_role("button", name="Record refunds").click()
    shot(page, "refunds-due-record", whole=False)
    dialog.get_by_label("Reference").fill("batch 7")
    dialog.get_by_role("button", name="Record refunds").click()
    expect(page.get_by_text("2 refunds recorded")).to_be_visible()
    for number in owing[:2]:
        expect(page.get_by_role("link", name=f"#{number}", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name=f"#{owing[2]}", exact=True)).to_be_visible()


@LOOKS
def test_all_that_is_found_is_recorded_with_its_progress_and_what_was_refused(
    visit: Visit, seeded: str, owing: list[int], language: str, size: dict[str, int], theme: str
) -> None:
    async def record(most: int, by_hand: int | None = None) -> None:
        """Do what the worker would, as far as so many orders; one is recorded by somebody else before."""
        async with Database(seeded) as database:
            async with database.transaction() as tx:
                batch = (await together.batches(tx))[0]
                if by_hand is not None:
                    id_ = await tx.value("SELECT id FROM sales_order WHERE number = %(n)s::bigint", {"n": by_hand})
                    await payments.record_given_back(tx, id_, f"by hand, {lot}")
            if most:
                await giving_back.record_one(database, SYSTEM, batch)
            else:
                await giving_back.go_on.work(database, batch_id=str(batch.id))

    portuguese = language == "pt-BR"
    lot = f"Pix 27/11, {language} {size['width']}"  # the same orders are given back to in every look
    page = visit("/refunds-due", size=size, language=language, theme=theme)
    page.get_by_role("button", name="Registrar todos" if portuguese else "Record all").click()
    dialog = page.locator("#dlg-all")
    expect(dialog).to_contain_text(
        "Tudo o que há a devolver" if portuguese else "All that is due, not of this page alone."
    )
    shot(page, f"refunds-all-dialog-{language}-{size['width']}-{theme}", whole=False)
    assert not violations(page)
    dialog.get_by_label("Referência" if portuguese else "Reference").fill(lot)
    dialog.get_by_role("button", name="Registrar" if portuguese else "Record").click()
    expect(page).to_have_url(re.compile(r"/refunds-due/together/\d+$"))
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    apart(lambda: record(1, owing[0]))
    expect(bar).not_to_have_attribute("value", "0")  # the page asks by itself
    shot(page, f"refunds-all-going-{language}-{size['width']}-{theme}")
    assert not violations(page)
    apart(lambda: record(0))
    expect(page.get_by_text("Concluído" if portuguese else "Finished", exact=True)).to_be_visible()
    expect(page.locator("section[aria-labelledby=refused-h]")).to_contain_text(f"#{owing[0]}")
    assert sideways(page) == 0
    assert not violations(page)
    shot(page, f"refunds-all-done-{language}-{size['width']}-{theme}")
    page.get_by_role("navigation", name="Você está aqui" if portuguese else "You are here").get_by_role("link").click()
    expect(page.locator("#together")).to_contain_text(lot)
    assert sideways(page) == 0
    assert not violations(page)
    shot(page, f"refunds-all-list-{language}-{size['width']}-{theme}")


@LOOKS
def test_where_nothing_matches_the_page_says_what_to_look_for(
    visit: Visit, language: str, size: dict[str, int], theme: str
) -> None:
    page = visit("/refunds-due?q=nobody", size=size, language=language, theme=theme)
    expect(page.get_by_role("link", name="Limpar filtros" if language == "pt-BR" else "Clear filters")).to_be_visible()
    assert not violations(page)
    assert sideways(page) == 0
    shot(page, f"refunds-due-none-{language}-{size['width']}-{theme}")
