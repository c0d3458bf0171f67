"""Whose goods moved in a real browser: the ledger of a SKU, receipts and transfers, by owner, at both sizes."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.inventory import service as stock
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import TransferDraft
from malha.network import ownership
from malha.network import service as network
from malha.network.model import EstablishmentDraft
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
BIA = Actor("person", str(new_id()), "Bia")
ORIGIN, OWN, FRANCHISE = "CD-JAB", "NAT-01", "BHZ-01"


async def fill(url: str) -> dict[str, Any]:
    """A franchise keeps its own goods at a shop; goods came there and elsewhere, and transfers are asked for."""
    async with Database(url) as db:
        async with db.transaction() as tx:
            draft = EstablishmentDraft(
                code="MINAS",
                name="Franquia Minas",
                cnpj="98765432000198",
                state="MG",
                legal_name="Casa de Minas Comércio de Utilidades Ltda.",
            )
            await network.put_establishments(tx, [draft])
            await ownership.set_owner(tx, FRANCHISE, "MINAS")
            places = dict(await tx.tuples("SELECT code, id FROM location"))
            ((sku_id, sku),) = await tx.tuples("SELECT id, sku FROM variant WHERE NOT is_kit ORDER BY sku LIMIT 1")
        async with db.transaction(BIA) as tx:
            for code in (ORIGIN, OWN, FRANCHISE):
                done = await supply.receive(
                    tx, ReceiptDraft(id=new_id(), location_id=places[code], lines=[ReceivedLine(sku_id, 30)])
                )
            await stock.adjust(tx, [Claim(sku_id, places[FRANCHISE], -2)], Reason.DAMAGE, Reference("console"))
            numbers = [
                await transfers.request(
                    tx,
                    TransferDraft(origin_id=places[ORIGIN], destination_id=places[code], lines=[(sku_id, 4)]),
                )
                for code in (OWN, FRANCHISE)
            ]
    return {"sku": sku, "own": numbers[0], "sold": numbers[1], "receipt": done.number}


async def give_back(url: str) -> None:
    """The shop is the retailer's own again: others' tests know it so."""
    async with Database(url) as db, db.transaction() as tx:
        await ownership.set_owner(tx, FRANCHISE, None)


@pytest.fixture(scope="module")
def owned(seeded: str) -> Iterator[dict[str, Any]]:
    yield apart(lambda: fill(seeded))
    apart(lambda: give_back(seeded))


PAGES = {
    "ledger": "/stock/{sku}/ledger",
    "ledger-of-one": "/stock/{sku}/ledger?owner=MINAS",
    "ledger-of-damaged": "/stock/{sku}/ledger?bucket=damaged",
    "balance-of-damaged": "/stock/{sku}/BHZ-01?bucket=damaged",
    "ledger-of-none": "/stock/{sku}/ledger?owner=NOPE",
    "balance": "/stock/{sku}/BHZ-01",
    "receipts": "/receipts",
    "receipt": "/receipts/{receipt}",
    "transfers": "/transfers",
    "transfers-between-companies": "/transfers?crosses=company",
    "transfer-own": "/transfers/{own}",
    "transfer-sold": "/transfers/{sold}",
}


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "dark"), (WIDE, "en", "dark"), (NARROW, "pt-BR", "light")],
    ids=["wide, pt-BR", "narrow, en", "wide, en", "narrow, pt-BR"],
)
def test_every_page_is_sound_at_both_sizes_in_both_languages(
    visit: Visit, owned: dict[str, Any], size: Any, language: str, theme: str
) -> None:
    wrong = {}
    paths = {name: path.format(**owned) for name, path in PAGES.items()}
    for name, (_, page) in zip(
        paths, walk(visit, paths.values(), size=size, language=language, theme=theme), strict=True
    ):
        expect(page.locator("#content h1")).to_be_visible()
        overflow = sideways(page)
        found = violations(page) + ([f"{overflow} px too wide"] if overflow > 0 else [])
        shot(page, f"owners-{name}-{'wide' if size == WIDE else 'narrow'}-{language}")
        if found:
            wrong[name] = found
    assert not wrong, wrong


def test_lists_are_narrowed_to_an_owner_without_leaving_the_page(visit: Visit, owned: dict[str, Any]) -> None:
    page = visit("/transfers?view=all", size=WIDE, language="en")
    page.get_by_label("Between owners").select_option("company")
    expect(page.locator("tbody[data-rows] tr")).to_have_count(1)
    expect(page.locator("tbody[data-rows]")).to_contain_text("to another company")
    page.get_by_label("Owner of the goods").select_option("MINAS")
    expect(page).to_have_url(re.compile("owner=MINAS.*crosses=company"))
    expect(page.locator("tbody[data-rows] tr")).to_have_count(1)
    page.get_by_role("link", name="Clear filters").click()
    page.goto(page.url.partition("/transfers")[0] + f"/stock/{owned['sku']}")
    page.get_by_role("link", name="Ledger").click()
    page.get_by_label("Owner of the goods").select_option("MINAS")
    expect(page.locator("a.m-chip", has_text="Clear filters")).to_be_visible()
    places = page.locator("td.m-ledger-by .m-id")
    expect(places.first).to_be_visible()
    assert len(set(places.all_inner_texts())) == 1
