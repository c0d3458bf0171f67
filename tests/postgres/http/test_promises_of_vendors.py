"""What vendors send, in a promise: offered as an order would have it, promised the day the order then gets."""

from datetime import datetime
from random import Random
from typing import Any

import pytest
from test_promise_pages_api import get, grow_old
from test_promises_offered import ADDRESS, ask, sold
from tests_http import Shop

from malha.network import reads
from malha.platform import revisions
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, Where
from malha.testing.builders import a_product

__all__ = ["sold"]

LEADS = {"NET": {"FAB": 4, "TEC": 9}, "BED": {"FAB": 2}, "MUG": {}}
LINE_DAYS = """
SELECT o.promised_at, coalesce(json_object_agg(p.line, p.promised_at) FILTER (WHERE p.line IS NOT NULL), '{}')
FROM sales_order o LEFT JOIN order_line_promise p ON p.order_id = o.id WHERE o.id = %s::uuid GROUP BY o.id
"""


@pytest.fixture
async def shop_with_vendors(sold: Shop) -> Shop:
    """NET is nowhere, BED and MUG lie in a few units; two vendors in São Paulo send NET, one sends BED, nobody MUG."""
    async with sold.database.transaction() as tx:
        for sku, stock in (("NET", {}), ("BED", {"DC": 3, "S2": 1}), ("MUG", {"DC": 2})):
            await a_product(tx, sold.world, sku, stock=stock)
        for code in "FAB", "TEC":
            await tx.execute(
                "INSERT INTO location (code, name, kind, establishment_id, state)"
                " SELECT %s, %s, 'vendor', id, 'SP' FROM establishment WHERE code = 'SP1'",
                (code, code),
            )
        rule = Rule(name="Rest", where=Where(locations=["DC", "S2"]), unfilled=Unfilled.DROP_SHIP)
        draft = await rule_sets.start_draft(tx, Content(runs=[Run(name="All", rules=[rule])]))
        await rule_sets.publish(tx, draft.id, draft.version)
        await revisions.bump(tx, reads.REVISION)
    key = await sold.key(["stock:read", "stock:write", "network:write", "orders:read", "intake:submit"])
    for code in "FAB", "TEC":
        offers = [
            {"sku": sku, "unit_cost": 4200, "lead_days": own[code], "vendor_sku": sku}
            for sku, own in LEADS.items()
            if code in own
        ]
        stated = await sold.http.post(f"/v1/vendors/{code}/offers", json={"offers": offers}, headers=key)
        assert stated.status_code == 200, stated.text
    sold.headers = key
    sold.app.state.services.extra["gate"]._cache.expire()
    return sold


async def order(
    shop: Shop, number: str, service: str, lines: list[dict[str, Any]]
) -> tuple[datetime, dict[int, datetime]]:
    """Place an order; return what it is promised, and each of its lines."""
    shop.app.state.services.extra["gate"]._cache.expire()
    body = {
        "channel": "web", "external_id": number, "service": service, "ship_to": ADDRESS, "customer": {"name": "Ana"},
        "lines": [line | {"unit_price": 1000} for line in lines],
    }  # fmt: skip
    placed = await shop.http.post("/v1/orders", json=body, headers=shop.headers)
    assert placed.status_code == 201, placed.text
    async with shop.database.transaction() as tx:
        ((at, own),) = await tx.tuples(LINE_DAYS, [placed.json()["id"]])
    days = {int(line): datetime.fromisoformat(told) for line, told in own.items()}
    return at, days or dict.fromkeys(range(1, len(lines) + 1), at)


async def test_goods_that_only_a_vendor_has_are_promised_after_its_days_and_their_way(shop_with_vendors: Shop) -> None:
    shop = shop_with_vendors
    lines = [{"sku": "NET", "quantity": 2}]
    found = await ask(shop, lines=lines)
    assert found["collections"] == []  # nobody sends what is fetched
    assert [(d["service"], d["packages"], d["transit_days"], d["learned"]) for d in found["deliveries"]] == [
        ("fast", 1, 1, False),
        ("standard", 1, 3, False),
    ]
    at, days = await order(shop, "1", "fast", lines)
    shown = datetime.fromisoformat(found["deliveries"][0]["promised_at"])
    assert (at, days, found["deliveries"][0]["lines"]) == (shown, {1: shown}, [])
    alone = await ask(shop, lines=[{"sku": "CUP", "quantity": 1}])
    assert alone["deliveries"][0]["arrives"] < found["deliveries"][0]["arrives"]


async def test_nobody_is_promised_what_neither_we_nor_a_vendor_has(shop_with_vendors: Shop) -> None:
    found = await ask(shop_with_vendors, lines=[{"sku": "NET", "quantity": 1}, {"sku": "MUG", "quantity": 3}])
    assert found == {"deliveries": [], "collections": []}


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_basket_its_order_is_promised_line_by_line_what_was_shown(
    shop_with_vendors: Shop, seed: int
) -> None:
    shop, chance = shop_with_vendors, Random(seed)
    for number in range(4):
        skus = chance.sample(["CUP", "NET", "BED", "MUG"], chance.randint(1, 4))
        lines = [{"sku": sku, "quantity": chance.randint(1, 2)} for sku in skus]
        deliveries = (await ask(shop, lines=lines))["deliveries"]
        if not deliveries:
            assert "MUG" in skus
            continue
        shown = chance.choice(deliveries)
        told = {one["line"]: datetime.fromisoformat(one["promised_at"]) for one in shown["lines"]}
        last = datetime.fromisoformat(shown["complete_at"])
        told = told or dict.fromkeys(range(1, len(lines) + 1), last)
        at, days = await order(shop, f"{seed}-{number}", shown["service"], lines)
        assert (days, at, max(days.values())) == (told, datetime.fromisoformat(shown["promised_at"]), last)


async def test_a_product_page_says_what_the_basket_of_one_says_under_rules_and_of_vendors(
    shop_with_vendors: Shop,
) -> None:
    shop = shop_with_vendors
    await grow_old(shop)
    for sku, quantity in ("NET", 1), ("BED", 5), ("MUG", 2), ("MUG", 3):
        [item] = (await get(shop, sku=sku, quantity=quantity)).json()["items"]
        said = await ask(shop, lines=[{"sku": sku, "quantity": quantity}])
        assert item["deliveries"] == said["deliveries"]
        assert bool(item["deliveries"]) == (quantity < 3 or sku == "BED")


async def test_units_that_a_rule_keeps_back_are_not_promised_by_a_product_page(shop_with_vendors: Shop) -> None:
    """An answer that is kept knows when the units a rule keeps are touched, though nobody asked for so many."""
    shop = shop_with_vendors
    async with shop.database.transaction() as tx:
        rule = Rule(name="Rest", where=Where(locations=["DC"]), keep=2, unfilled=Unfilled.QUEUE)
        draft = await rule_sets.start_draft(tx, Content(runs=[Run(name="All", rules=[rule])]))
        await rule_sets.publish(tx, draft.id, draft.version)
    await grow_old(shop)
    [bed] = (await get(shop, sku="BED")).json()["items"]
    assert bed["deliveries"]
    await order(shop, "1", "fast", [{"sku": "BED", "quantity": 1}])
    await grow_old(shop)
    [bed] = (await get(shop, sku="BED")).json()["items"]
    assert bed["deliveries"] == []
