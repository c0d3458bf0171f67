"""Prices of a channel's own on the page of its stock: given, refused and taken back, also without a connection."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels import service as channels
from malha.channels.model import ListingDraft
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations

Visit = Callable[..., Page]


@pytest.fixture
def listed(seeded: str) -> Iterator[str]:
    """A SKU that is listed on the website, beside another."""
    found: list[str] = []

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            found.extend(await tx.values("SELECT sku FROM variant WHERE price > 0 ORDER BY id LIMIT 2"))
            await channels.put_listings(tx, "site", [ListingDraft(sku) for sku in found])

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            for table in ("listing", "listing_price"):
                await tx.execute(
                    f"DELETE FROM {table} WHERE sku_id IN (SELECT id FROM variant WHERE sku = ANY (%s::text[]))",
                    [found],
                )

    apart(run)
    yield found[0]
    apart(away)


def test_a_channel_is_given_a_price_on_its_page_and_has_the_catalogues_again(visit: Visit, listed: str) -> None:
    page = visit("/channels/site/stock", language="pt-BR")
    dialog = page.locator("dialog[open]")

    def give(price: str, *, usual: bool = False) -> None:
        page.get_by_role("button", name="Anunciar um SKU").click()
        dialog.locator("[name=sku]").fill(listed)
        dialog.locator("[name=price]").fill(price)
        dialog.locator("[name=usual_price]").set_checked(usual)
        shot(page, "channel_price_dialog")
        dialog.locator("[type=submit]").click()

    give("88,80", usual=True)
    expect(dialog).to_contain_text("não os dois")
    dialog.locator("[name=usual_price]").uncheck()
    dialog.locator("[type=submit]").click()
    cell = page.locator("tr", has_text=listed).locator("[data-cell=price]")
    expect(cell).to_contain_text("88,80")
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        page.goto(page.url.split("?")[0])
        assert violations(page) == []
        assert sideways(page) == 0
        shot(page, f"channel_price-{size['width']}")
    give("", usual=True)
    expect(cell).to_have_text("–")
