"""Pages of selling ahead in a real browser: at both sizes, in both languages and themes, and a policy stated by hand."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.catalog import service as catalog
from malha.catalog.model import ProductDraft, VariantDraft
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, Placed
from malha.inventory.ahead import policies
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft
from malha.platform.address import Address
from malha.platform.db import Database
from malha.testing.builders import in_days

from .conftest import NARROW, WIDE, apart, unsound

Visit = Callable[..., Page]
SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
CODE = "LV-0001"


async def fill(url: str) -> dict[str, Any]:
    """A book before its release, with goods on order, and readers who wait."""
    day = in_days(0)
    async with Database(url) as db:
        async with db.transaction() as tx:
            place = await tx.value("SELECT id FROM location WHERE code = 'CD-CAJ'")
            book = ProductDraft(
                code=CODE,
                name="O mapa das marés",
                variants=[VariantDraft(sku="LV-0001-BR", weight_grams=400, price=6990)],
            )
            product = await catalog.create_product(tx, book)
            sku = await tx.value("SELECT id FROM variant WHERE sku = 'LV-0001-BR'")
            site = await tx.value("SELECT id FROM channel WHERE code = 'site'")
            release = day + timedelta(days=40)
            await policies.put(
                tx, PolicyDraft(product_id=product.id, mode=Mode.PREORDER, release_on=release, cap=200), None
            )
            await policies.put(
                tx, PolicyDraft(product_id=product.id, sku_id=sku, channel_id=site, mode=Mode.BACKORDER), None
            )
            orders = [
                await supply.place_order(
                    tx,
                    InboundDraft(
                        kind=InboundKind.PURCHASE,
                        supplier="Editora Litoral",
                        location_id=place,
                        lines=[InboundLineDraft(sku, units, day + timedelta(days=days))],
                    ),
                )
                for units, days in ((6, 12), (8, 33))
            ]
        gate = Gate(db)
        placed = [
            await gate.submit(
                NewOrder(
                    channel=("site", "app")[n % 2],
                    external_id=f"LV-{n}",
                    lines=[NewLine("LV-0001-BR", 1 + n % 3, 6990)],
                    ship_to=SAO_PAULO,
                    customer=Buyer(name="Iara Nunes"),
                )
            )
            for n in range(6)
        ]
        await gate.close()
        async with db.transaction() as tx:
            await supply.drop_lines(tx, orders[0].number, None, "a gráfica parou")
    assert all(isinstance(p, Placed) for p in placed)
    return {"purchase": orders[1].number, "order": placed[3].number, "lost": placed[5].number}


@pytest.fixture(scope="module")
def ahead(seeded: str) -> dict[str, Any]:
    found: dict[str, Any] = apart(lambda: fill(seeded))
    return found


PAGES = {
    "waiting": "/waiting",
    "waiting-none": "/waiting?q=nada",
    "waiting-lost": "/waiting?view=lost",
    "policies": f"/products/{CODE}/ahead",
    "product": f"/products/{CODE}",
    "purchase": "/purchase-orders/{purchase}",
    "order": "/orders/{order}",
    "order-lost": "/orders/{lost}",
    "sku": "/stock/LV-0001-BR",
}


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "dark")],
    ids=["wide", "narrow"],
)
def test_every_page_of_selling_ahead_is_sound(
    visit: Visit, ahead: dict[str, Any], size: Any, language: str, theme: str
) -> None:
    paths = {name: path.format(**ahead) for name, path in PAGES.items()}
    wrong = unsound(visit, paths, size=size, language=language, theme=theme)
    assert not wrong, wrong


def test_a_person_states_changes_and_takes_away_what_may_be_sold_ahead(visit: Visit, ahead: dict[str, Any]) -> None:
    page = visit(f"/products/{CODE}/ahead", language="en")
    page.get_by_label("Sales channel").select_option("mktp")
    page.get_by_label("May be sold").select_option("none")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved")
    row = page.get_by_role("row").filter(has_text="Mercado Azul")
    expect(row).to_contain_text("Only what is there")
    row.get_by_role("link", name="Change it").click()
    page.get_by_label("May be sold").select_option("preorder")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#refusal")).to_contain_text("A pre-order needs the day of its release.")
    page.get_by_label("Released on").fill("2099-01-10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="Mercado Azul")).to_contain_text("Pre-order until its release")
    page.get_by_role("row").filter(has_text="Mercado Azul").get_by_role("button", name="Take away").click()
    expect(page.get_by_role("row").filter(has_text="Mercado Azul")).to_have_count(0)
