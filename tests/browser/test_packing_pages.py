"""Packing on the page of an order: one parcel, or as many as a person says, each with what goes in it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from malha.fulfillment import service
from malha.platform.db import Tx

from .conftest import NARROW, WIDE, shot, sideways, violations
from .test_capacity_pages import within

Visit = Callable[..., Page]
# An order of several units that one location may still pick, and no other work.
TO_PICK = """
SELECT o.number, f.id FROM fulfillment_order f JOIN sales_order o ON o.id = f.order_id
WHERE f.state IN ('open', 'accepted') AND f.method = 'ship' AND f.to_location_id IS NULL
  AND (SELECT count(*) = 1 FROM fulfillment_order x WHERE x.order_id = o.id)
  AND (SELECT count(*) >= 2 AND max(u.quantity) >= 2 AND count(*) = count(DISTINCT u.line)
       FROM order_unit u WHERE u.fulfillment_id = f.id)
ORDER BY o.number LIMIT 1
"""


def picked(seeded: str) -> int:
    """Pick an order of several units; return its number."""

    async def pick(tx: Tx) -> int:
        ((number, work),) = await tx.tuples(TO_PICK)
        await service.confirm_pick(tx, work)
        return int(number)

    return int(within(seeded, pick))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_another_parcel_is_added_filled_and_packed(seeded: str, visit: Visit, size: object, language: str) -> None:
    page = visit(f"/orders/{picked(seeded)}", size=size, language=language)
    pack, another, none = {
        "en": ("Pack", "Another parcel", "No such parcel"),
        "pt-BR": ("Embalar", "Outro volume", "Sem este volume"),
    }[language]
    page.get_by_role("button", name=pack, exact=True).first.click()
    dialog = page.locator("dialog[open]")
    expect(dialog.locator("fieldset")).to_have_count(0)
    for _ in range(2):
        dialog.get_by_role("button", name=another).click()
    expect(dialog.locator("fieldset")).to_have_count(2)
    dialog.get_by_role("button", name=none).last.click()
    expect(dialog.locator("fieldset")).to_have_count(1)
    wide = dialog.evaluate("d => d.scrollWidth - d.clientWidth")
    assert (wide, sideways(page), violations(page)) == (0, 0, [])
    dialog.get_by_role("button", name=pack, exact=True).click()  # with nothing in it
    expect(dialog.locator(".m-slot [data-at]")).to_have_count(1)
    dialog.locator("fieldset input").first.fill("1")
    shot(page, f"pack-{language}-{'wide' if size is WIDE else 'narrow'}", whole=False)
    dialog.get_by_role("button", name=pack, exact=True).click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".m-work .m-doc")).to_have_count(2)
    page.locator(".m-work").scroll_into_view_if_needed()
    shot(page, f"packed-{language}-{'wide' if size is WIDE else 'narrow'}", whole=False)


def test_who_packs_one_parcel_presses_enter_and_is_told_what_they_press(seeded: str, visit: Visit) -> None:
    page = visit(f"/orders/{picked(seeded)}", language="en")
    page.get_by_role("button", name="Pack", exact=True).first.press("Enter")
    dialog = page.locator("dialog[open]")
    expect(dialog.get_by_role("button", name="Pack", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".m-work .m-doc")).to_have_count(1)
