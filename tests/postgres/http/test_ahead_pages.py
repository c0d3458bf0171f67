"""Pages of selling ahead: a policy is stated, orders wait, and every page says for what."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ahead_world import Shop as Sold
from ahead_world import a_shop

from malha.identity.model import Role
from malha.inventory.supply import service as supply
from malha.testing.builders import in_days

HTMX = {"hx-request": "true"}


@pytest.fixture
async def sold(shop: Shop) -> Sold:
    return await a_shop(shop.database, stock=1)


async def page(shop: Shop, who: dict[str, str], path: str, status: int = 200) -> str:
    answer = await shop.http.get(path, headers=who)
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


async def send(shop: Shop, who: dict[str, str], path: str, status: int = 200, **fields: Any) -> str:
    answer = await shop.http.post(path, data=fields, headers={**who, **HTMX})
    assert answer.status_code == status, answer.text[:2000]
    return answer.headers.get("hx-redirect", answer.text)


async def test_a_policy_is_stated_and_who_waits_is_shown_everywhere(shop: Shop, sold: Sold) -> None:
    lead = await shop.session(Role.MANAGER)
    assert "Nobody waits for goods" in await page(shop, lead, "/waiting")
    assert "only what is there is sold" in await page(shop, lead, "/products/CUP")
    form = {"mode": "backorder", "sku": "CUP", "channel": "mall", "cap": "9", "horizon_days": "", "handling_days": "2"}
    where = await send(shop, lead, "/products/CUP/ahead", version="0", **form)
    assert where == "/products/CUP/ahead"
    said = await page(shop, lead, where)
    assert "at most 9 units wait, 2 business days to hand over" in said
    assert "Backorder when stock is out" in await page(shop, lead, "/products/CUP")
    assert "changed meanwhile" in await send(shop, lead, "/products/CUP/ahead", 409, version="0", **form)
    wrong = form | {"mode": "preorder", "channel": "nowhere"}
    assert "There is no nowhere" in await send(shop, lead, "/products/CUP/ahead", 422, version="0", **wrong)
    _, number = await sold.order_goods(5, 6)
    (order,) = await sold.sold(4)
    async with shop.database.snapshot() as tx:
        order_number = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s::uuid", {"id": order})
    assert "3 promised, 2 free" in await page(shop, lead, f"/purchase-orders/{number}")
    assert f'href="/orders/{order_number}"' in await page(shop, lead, f"/purchase-orders/{number}")
    assert "3 promised" in await page(shop, lead, "/stock/CUP")
    shown = await page(shop, lead, f"/orders/{order_number}")
    assert "3 units wait for goods on order" in shown
    assert f'href="/purchase-orders/{number}"' in shown
    listed = await page(shop, lead, f"/waiting?q={order_number}")
    assert f'href="/orders/{order_number}"' in listed
    assert "No goods are late" in await page(shop, lead, "/waiting?view=late")
    table = await page(shop, lead, "/waiting:export.csv")
    assert in_days(6).isoformat() in table
    assert f"P{number}" in table
    async with shop.database.transaction() as tx:
        await supply.drop_lines(tx, number, None, "gone")
    await sold.settle()
    assert "No goods are expected for them any more" in await page(shop, lead, f"/orders/{order_number}")
    assert f'href="/orders/{order_number}"' in await page(shop, lead, "/waiting?view=lost")
    away = {"policy": "1", "version": "1"}
    assert await send(shop, lead, "/products/CUP/ahead/remove", **away) == "/products/CUP/ahead"
    assert "only what is there is sold" in await page(shop, lead, "/products/CUP/ahead")


async def test_pages_of_the_queue_follow_each_other_and_nonsense_begins_again(shop: Shop, sold: Sold) -> None:
    lead = await shop.session(Role.MANAGER)
    await sold.allow()
    await sold.order_goods(100, 6)
    await sold.sold(*[1] * 54)
    first = await page(shop, lead, "/waiting")
    assert first.count('href="/orders/') == 50
    link = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert (await page(shop, lead, link)).count('href="/orders/') == 3
    for after in ("x", "2026-01-01/1", f"{in_days(0)}T00:00:00+00:00/{'9' * 30}"):
        assert (await page(shop, lead, f"/waiting?after={after}")).count('href="/orders/') == 50


async def test_who_is_limited_sees_what_is_on_order_for_their_own_locations(shop: Shop, sold: Sold) -> None:
    _, here = await sold.order_goods(41, 6, at="S1")
    _, there = await sold.order_goods(83, 6, at="DC")
    keeper = await shop.session(Role.MANAGER, locations=["S1"])
    for path in ("/products/CUP/ahead", "/stock/CUP"):
        shown = await page(shop, keeper, path)
        assert f"/purchase-orders/{here}" in shown
        assert f"/purchase-orders/{there}" not in shown
    key = await shop.key(["stock:read"], locations=["S1"])
    told = (await shop.http.get("/v1/supply", params={"sku": "CUP"}, headers=key)).json()
    assert [row["location"] for row in told] == ["S1"]
