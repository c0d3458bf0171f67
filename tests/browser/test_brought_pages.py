"""What is brought to a store, on its page, the order's and the transfer's: at both sizes, in both languages."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from malha.fulfillment import bringing
from malha.fulfillment import service as work
from malha.fulfillment.bringing import Sending
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.inventory import service as stock
from malha.inventory.model import Claim, Reference
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id

from . import seeding
from .conftest import NARROW, WIDE, apart, shot, unsound

Visit = Callable[..., Page]
DEPOT = "CD-JAB"
# Goods that are at the depot and not at the store: none of those that others need to be rare.
GOODS = "SELECT id, sku FROM variant WHERE NOT is_kit AND sku <> %(rare)s ORDER BY sku DESC LIMIT 3"


async def fill(url: str) -> dict[str, Any]:
    """Three orders for the store: one asked of the depot, one on its way, one picked."""
    async with Database(url) as db:
        async with db.transaction() as tx:
            places = dict(await tx.tuples("SELECT code, id FROM location"))
            store = await tx.value(
                "SELECT code FROM location WHERE kind = 'store' AND can_pickup AND status = 'active' ORDER BY code DESC LIMIT 1"
            )
            goods = await tx.tuples(GOODS, {"rare": seeding.RARE[0]})
            stated = [Claim(sku, places[DEPOT], 40) for sku, _ in goods] + [
                Claim(s, places[store], 0) for s, _ in goods
            ]
            await stock.set_on_hand(tx, stated, Reference("test"))
            await tx.execute("UPDATE location SET daily_capacity = NULL WHERE code = %(c)s", {"c": DEPOT})
            channel = await tx.value(
                "SELECT code FROM channel WHERE kind = 'web' AND payment_policy = 'before_release' ORDER BY id LIMIT 1"
            )
            await store_lanes.state(tx, store, [StoreLaneDraft(origin=DEPOT, days=1, price=790)])
        gate = Gate(db)
        await gate.open()
        made: list[UUID] = []
        for name in ("Maria Souza", "João Batista Ferreira", "Ana Lima"):
            placed = await gate.submit(
                NewOrder(
                    channel=channel,
                    external_id=f"brought-{new_id()}",
                    lines=[NewLine(sku, 1, 5_990) for _, sku in goods],
                    customer=Buyer(name=name),
                    method="pickup",
                    pickup_location=store,
                    payments=[NewPayment("pix", 5_990 * len(goods), "captured")],
                )
            )
            made.append(UUID(str(placed.id)))
        await gate.close()
        numbers = []
        transfer = 0
        for at, order_id in enumerate(made):
            async with db.transaction() as tx:
                (one,) = await work.release_order(tx, order_id)
                if at:
                    await work.confirm_pick(tx, one.id)
                if at == 1:
                    transfer = await bringing.send(tx, one.id, Sending(carrier="Van da rede", document="NF-e 7781"))
                numbers.append(await tx.value("SELECT number FROM sales_order WHERE id = %(i)s", {"i": order_id}))
    return {"store": store, "asked": numbers[0], "sent": numbers[1], "picked": numbers[2], "transfer": transfer}


@pytest.fixture(scope="module")
def coming(seeded: str) -> dict[str, Any]:
    found: dict[str, Any] = apart(lambda: fill(seeded))
    return found


PAGES = {
    "brought": "/locations/{store}/brought",
    "brought-location": "/locations/{store}",
    "brought-order": "/orders/{sent}",
    "brought-picked": "/orders/{picked}",
    "brought-transfer": "/transfers/{transfer}",
}


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "dark")],
    ids=["wide", "narrow"],
)
def test_every_page_is_sound_at_both_sizes_in_both_languages(
    visit: Visit, coming: dict[str, Any], size: Any, language: str, theme: str
) -> None:
    paths = {name: path.format(**coming) for name, path in PAGES.items()}
    wrong = unsound(visit, paths, size=size, language=language, theme=theme)
    assert not wrong, wrong
    shot(visit(paths["brought"], size=size, language=language, theme=theme), f"brought-{language}")
    shot(visit(paths["brought-order"], size=size, language=language, theme=theme), f"brought-order-{language}")


def test_picked_goods_are_sent_and_where_they_come_from_is_changed(visit: Visit, coming: dict[str, Any]) -> None:
    page = visit(f"/orders/{coming['picked']}", language="en")
    page.get_by_role("button", name="Send to").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Carrier").fill("Van")
    dialog.get_by_label("Fiscal document").fill("NF-e 7782")
    shot(page, "brought-dialog", whole=False)
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#content")).to_contain_text("on its way to the store")
    page = visit(f"/locations/{coming['store']}/brought", language="en")
    expect(page.locator("tbody").first.locator("tr")).to_have_count(3)
    page.get_by_label("One line per location").fill("what?")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#refusal")).to_contain_text("Line 1 cannot be read")
    shot(page, "brought-refused", whole=False)
    page.get_by_label("One line per location").fill("CD-JAB; 2; 9,90")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#content")).to_contain_text("9.90")
