"""Goods sold ahead, in a promise: offered as the gate sells them, said as such, for the day their order then gets."""

from datetime import date, datetime
from random import Random
from typing import Any

import pytest
from test_promise_pages_api import by, fresh, get, grow_old
from test_promises_offered import ADDRESS, ask, sold
from tests_http import Shop

from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.network import reads
from malha.platform import revisions
from malha.promising.rules import end_of, there_on
from malha.testing.builders import a_product, in_days

__all__ = ["sold"]

LINE_DAYS = """
SELECT o.promised_at, coalesce(json_object_agg(p.line, p.promised_at) FILTER (WHERE p.line IS NOT NULL), '{}')
FROM sales_order o LEFT JOIN order_line_promise p ON p.order_id = o.id WHERE o.id = %s::uuid GROUP BY o.id
"""
RIGHTS = ["stock:read", "stock:write", "catalog:read", "catalog:write", "orders:read", "intake:submit"]


@pytest.fixture
async def ahead(sold: Shop) -> Shop:
    """CUP is there. BOOK is nowhere, BED in one unit; both are on order. SET is a kit of a BED and a CUP."""
    async with sold.database.transaction() as tx:
        await a_product(tx, sold.world, "BOOK")
        bed = await a_product(tx, sold.world, "BED", stock={"DC": 1})
        cup = await tx.value("SELECT id FROM variant WHERE sku = 'CUP'")
        await a_product(tx, sold.world, "SET", components={bed: 1, cup: 1})
        await revisions.bump(tx, "catalog")
    sold.headers = await sold.key(RIGHTS)
    return sold


def seen(shop: Shop) -> None:
    """Have every process part look at its reference data again."""
    for name in "gate", "promise_pages":
        shop.app.state.services.extra[name]._cache.expire()


async def post(shop: Shop, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await shop.http.post(path, json=body, headers=shop.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def allow(shop: Shop, sku: str, **terms: Any) -> None:
    await post(shop, f"/v1/products/{sku}/ahead", {"mode": "backorder"} | terms, 200)
    seen(shop)


async def on_order(shop: Shop, sku: str, units: int, days: int, place: str = "DC") -> date:
    day = in_days(days)
    lines = [{"sku": sku, "quantity": units, "eta": day.isoformat()}]
    await post(shop, "/v1/purchase-orders", {"kind": "purchase", "supplier": "Sul", "location": place, "lines": lines})
    return day


async def order(shop: Shop, number: str, lines: list[dict[str, Any]], status: int = 201, **more: Any) -> dict[str, Any]:
    """Place an order; return what it is promised, first, last and by line, as the database and the API have it."""
    seen(shop)
    body = {
        "channel": "web", "external_id": number, "ship_to": ADDRESS, "customer": {"name": "Ana"},
        "lines": [line | {"unit_price": 1000} for line in lines],
    }  # fmt: skip
    placed = await post(shop, "/v1/orders", body | more, status)
    if status != 201:
        return placed
    async with shop.database.transaction() as tx:
        ((at, own),) = await tx.tuples(LINE_DAYS, [placed["id"]])
    days = {int(line): datetime.fromisoformat(told) for line, told in own.items()}
    return {
        "id": placed["id"],
        "number": placed["number"],
        "at": at,
        "days": days or dict.fromkeys(range(1, len(lines) + 1), at),
    }


def told(shown: dict[str, Any], lines: int) -> dict[int, datetime]:
    """What an offer says of each line."""
    days = {one["line"]: datetime.fromisoformat(one["promised_at"]) for one in shown["lines"]}
    end = shown.get("complete_at") or shown["ready_at"]
    return days or dict.fromkeys(range(1, lines + 1), datetime.fromisoformat(end))


async def test_goods_that_are_still_to_come_are_offered_as_sold_ahead_with_the_day_their_order_gets(
    ahead: Shop,
) -> None:
    day = await on_order(ahead, "BOOK", 5, 20)
    lines = [{"sku": "BOOK", "quantity": 2}]
    assert await ask(ahead, lines=lines) == {"deliveries": [], "collections": []}  # nothing says that it may be
    await allow(ahead, "BOOK", handling_days=2)
    found = await ask(ahead, lines=lines)
    waits = [{"line": 1, "units": 2, "from_day": day.isoformat(), "release_on": None}]
    assert [(d["service"], d["transit_days"], d["packages"], d["learned"]) for d in found["deliveries"]] == [
        ("fast", 1, 1, False),
        ("standard", 3, 1, False),
    ]
    for shown in found["deliveries"]:
        arrives = there_on(day, 2 + 1 + shown["transit_days"], "SP")
        assert (shown["ahead"], shown["arrives"], shown["lines"]) == (waits, arrives.isoformat(), [])
        assert day.isoformat() <= shown["leaves"] < shown["arrives"]
        assert shown["price"] == {"fast": 4000, "standard": 1500}[shown["service"]]
    [place] = found["collections"]
    assert (place["location"], place["ahead"]) == ("DC", waits)
    shown = found["deliveries"][0]
    bought = await order(ahead, "1", lines, service="fast")
    assert bought["days"] == {1: end_of(date.fromisoformat(shown["arrives"]), "SP")} == told(shown, 1)
    rest = await ask(ahead, lines=[{"sku": "BOOK", "quantity": 3}])
    fetched = next(c for c in rest["collections"] if c["location"] == "DC")
    bought = await order(
        ahead, "2", [{"sku": "BOOK", "quantity": 3}], method="pickup", pickup_location="DC", ship_to=None
    )
    assert bought["at"] == datetime.fromisoformat(fetched["ready_at"])
    assert (await ask(ahead, lines=[{"sku": "BOOK", "quantity": 1}]))["deliveries"] == []  # all five are promised


async def test_a_cart_of_goods_that_are_there_and_goods_to_come_says_the_day_of_each_line(ahead: Shop) -> None:
    await on_order(ahead, "BOOK", 5, 20)
    await on_order(ahead, "BED", 5, 30)
    await allow(ahead, "BOOK")
    await allow(ahead, "BED")
    lines = [
        {"sku": "CUP", "quantity": 1}, {"sku": "BOOK", "quantity": 1}, {"sku": "BED", "quantity": 3},
    ]  # fmt: skip
    found = await ask(ahead, lines=lines)
    shown = found["deliveries"][0]
    assert [(a["line"], a["units"]) for a in shown["ahead"]] == [(2, 1), (3, 2)]  # one bed is there
    assert [one["line"] for one in shown["lines"]] == [1, 2, 3]
    days = [one["arrives"] for one in shown["lines"]]
    assert days == sorted(set(days))
    assert (shown["arrives"], shown["packages"]) == (days[-1], 3)
    assert shown["promised_at"] == shown["lines"][0]["promised_at"]
    assert shown["complete_at"] == shown["lines"][2]["promised_at"]
    bought = await order(ahead, "1", lines, service=shown["service"])
    assert bought["days"] == told(shown, 3)
    assert bought["at"] == datetime.fromisoformat(shown["promised_at"])
    page = (await ahead.http.get(f"/orders/{bought['number']}", headers=await ahead.session())).text
    assert "What is there arrives" in page
    assert "All of it is promised for" in page


async def test_a_fetched_cart_says_when_each_line_is_ready_and_its_order_the_same(ahead: Shop) -> None:
    await on_order(ahead, "BOOK", 5, 20)
    await allow(ahead, "BOOK")
    lines = [{"sku": "CUP", "quantity": 1}, {"sku": "BOOK", "quantity": 1}]
    [place] = (await ask(ahead, lines=lines))["collections"]
    assert (place["location"], [a["line"] for a in place["ahead"]]) == ("DC", [2])
    first, last = (datetime.fromisoformat(one["promised_at"]) for one in place["lines"])
    assert first < last == datetime.fromisoformat(place["ready_at"])
    bought = await order(ahead, "1", lines, method="pickup", pickup_location="DC", ship_to=None)
    assert (bought["at"], bought["days"]) == (first, {1: first, 2: last})


async def test_a_pre_order_is_offered_until_its_release_and_not_before_it(ahead: Shop) -> None:
    await on_order(ahead, "BOOK", 5, 5)
    release = in_days(40)
    await allow(ahead, "BOOK", mode="preorder", release_on=release.isoformat())
    lines = [{"sku": "BOOK", "quantity": 1}]
    shown = (await ask(ahead, lines=lines))["deliveries"][0]
    assert shown["ahead"] == [
        {"line": 1, "units": 1, "from_day": release.isoformat(), "release_on": release.isoformat()}
    ]
    bought = await order(ahead, "1", lines, service=shown["service"])
    assert bought["days"] == told(shown, 1)


@pytest.mark.parametrize(
    ("terms", "units", "offered"),
    [
        ({}, 5, True),
        ({}, 6, False),  # more than is to come
        ({"cap": 3}, 3, True),
        ({"cap": 3}, 4, False),
        ({"channel": "mall"}, 1, False),  # another channel sells it ahead
        ({"mode": "none"}, 1, False),
        ({"horizon_days": 19}, 1, False),  # too far away
        ({"horizon_days": 20}, 1, True),
    ],
)
async def test_no_more_is_offered_than_policy_and_supply_let_and_nothing_an_order_would_not_get(
    ahead: Shop, terms: dict[str, Any], units: int, *, offered: bool
) -> None:
    await on_order(ahead, "BOOK", 5, 20)
    await allow(ahead, "BOOK", **terms)
    lines = [{"sku": "BOOK", "quantity": units}]
    found = await ask(ahead, lines=lines)
    assert (bool(found["deliveries"]), bool(found["collections"])) == (offered, offered)
    async with ahead.database.transaction() as tx:
        await tx.execute("UPDATE channel SET shortage_policy = 'reject' WHERE code = 'web'")
        await revisions.bump(tx, reads.REVISION)
    await order(ahead, "1", lines, 201 if offered else 409)


async def test_who_came_first_has_the_first_supply(ahead: Shop) -> None:
    soon, late = await on_order(ahead, "BOOK", 2, 10), await on_order(ahead, "BOOK", 2, 30)
    await allow(ahead, "BOOK")
    lines = [{"sku": "BOOK", "quantity": 2}]
    days = []
    for number in "1", "2":
        shown = (await ask(ahead, lines=lines))["deliveries"][0]
        days.append(shown["ahead"][0]["from_day"])
        assert (await order(ahead, number, lines, service=shown["service"]))["days"] == told(shown, 1)
    assert days == [soon.isoformat(), late.isoformat()]
    assert (await ask(ahead, lines=lines))["deliveries"] == []


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_the_cart_its_order_is_promised_line_by_line_what_was_shown(ahead: Shop, seed: int) -> None:
    chance = Random(seed)
    for sku, place in ("BOOK", "DC"), ("BOOK", "S2"), ("BED", "DC"), ("BED", "DC"):
        await on_order(ahead, sku, chance.randint(1, 4), chance.randint(1, 60), place)
    await allow(ahead, "BOOK", handling_days=chance.randint(0, 3), cap=chance.choice([None, 2, 3]))
    await allow(ahead, "BED", handling_days=chance.randint(0, 3), horizon_days=chance.choice([None, 30]))
    promised = 0
    for number in range(5):
        skus = chance.sample(["CUP", "BOOK", "BED", "SET"], chance.randint(1, 4))
        lines = [{"sku": sku, "quantity": chance.randint(1, 2)} for sku in skus]
        found = await ask(ahead, lines=lines)
        offers = [*found["deliveries"], *found["collections"]]
        if not offers:
            continue
        promised += 1
        shown = chance.choice(offers)
        if "service" in shown:
            bought = await order(ahead, f"{number}", lines, service=shown["service"])
            assert bought["at"] == datetime.fromisoformat(shown["promised_at"])
            assert max(bought["days"].values()) == datetime.fromisoformat(shown["complete_at"])
        else:
            where = {"method": "pickup", "pickup_location": shown["location"], "ship_to": None}
            bought = await order(ahead, f"{number}", lines, **where)
            if not shown["ahead"] and not shown["brought"]:
                continue  # its location's calendar says when it is ready
        assert bought["days"] == told(shown, len(lines)), shown
    assert promised


async def test_a_product_page_sells_ahead_as_the_basket_of_one_does_and_sees_supply_go(ahead: Shop) -> None:
    await on_order(ahead, "BOOK", 2, 20)
    await on_order(ahead, "BED", 4, 20)
    await allow(ahead, "BOOK")
    await allow(ahead, "BED", cap=3)
    await grow_old(ahead)
    for sku, quantity in ("BOOK", 1), ("BOOK", 3), ("BED", 1), ("BED", 2), ("SET", 3), ("SET", 5):
        answer = await get(ahead, sku=sku, quantity=quantity)
        [item] = answer.json()["items"]
        assert by(answer) != "asked"
        assert item == {"sku": sku} | await fresh(ahead, lines=[{"sku": sku, "quantity": quantity}])
        assert bool(item["deliveries"]) == ((sku, quantity) not in {("BOOK", 3), ("SET", 5)})
    await order(ahead, "1", [{"sku": "BOOK", "quantity": 2}])
    await grow_old(ahead)
    [item] = (await get(ahead, sku="BOOK")).json()["items"]
    assert item == {"sku": "BOOK", "deliveries": [], "collections": []}


async def test_what_a_cap_lets_through_counts_stock_and_supply_together_in_a_promise(ahead: Shop) -> None:
    await on_order(ahead, "BED", 9, 20)
    await allow(ahead, "BED")
    async with ahead.database.transaction() as tx:
        draft = AllotmentDraft(code="FEW", name="Few", kind=Kind.CAP, quota=3, channels=("web",), skus=("BED",))
        await allotments.put(tx, draft, None)
    seen(ahead)
    shown = (await ask(ahead, lines=[{"sku": "BED", "quantity": 3}]))["deliveries"]
    assert [a["units"] for a in shown[0]["ahead"]] == [2]
    assert (await ask(ahead, lines=[{"sku": "BED", "quantity": 4}]))["deliveries"] == []
