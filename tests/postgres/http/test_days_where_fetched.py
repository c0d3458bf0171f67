"""Lists and files show the day, or the hour, of what is fetched by the clock of its counter, whoever reads them.

The store is in Rio Branco: the last second of a day is there the next day of São Paulo, where the reader is.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests_http import Shop

from malha.console import render
from malha.platform import i18n
from malha.testing.builders import a_network, an_order, in_days

THERE = ZoneInfo("America/Rio_Branco")
SLIP = """
INSERT INTO promise_slip (order_id, promised_at, expected_at, lines, reason, location_id)
SELECT id, promised_at, promised_at + interval '1 day', '{1}', 'overdue', pickup_location_id FROM sales_order
"""
BROKEN = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, placed_at, promised_at, present_at)
SELECT id, id, channel_id, pickup_location_id, method, placed_at - interval '9 days', %(promised)s, %(present)s
FROM sales_order
"""
WAITS = """
INSERT INTO supply_claim (order_id, line, sku_id, location_id, state, quantity, since, days)
SELECT o.id, 1, l.sku_id, o.pickup_location_id, 'lost', 1, now(), 1
FROM sales_order o JOIN order_line l ON l.order_id = o.id AND l.line = 1
"""


def ends(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), THERE).astimezone(UTC)


@pytest.fixture(autouse=True)
def words() -> Iterator[None]:
    with i18n.speaking("en", "America/Sao_Paulo"):
        yield


@pytest.fixture
async def fetched(shop: Shop) -> Shop:
    """An order that is promised for a day at a counter in Rio Branco; its buyer lives elsewhere."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute("UPDATE location SET timezone = %s WHERE code = 'S1'", (THERE.key,))
        await an_order(tx, world, method="pickup", pickup_at="S1")
        await tx.execute(
            "UPDATE sales_order SET promised_at = %s, ship_to = '{\"state\": \"SP\"}', ship_state = 'SP'",
            (ends(in_days(5)),),
        )
    shop.owner = await shop.session()
    return shop


async def do(shop: Shop, statement: str, facts: dict[str, datetime] | None = None) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(statement, facts or {})


async def of(shop: Shop, path: str, heads: tuple[str, ...]) -> list[str]:
    """Return what a file says under some of its heads, in its only row."""
    text = (await shop.http.get(path, headers=shop.owner)).text.strip()
    head, row = (line.split(";") for line in text.lstrip("\ufeff").splitlines())
    return [row[head.index(name)] for name in heads]


async def page(shop: Shop, path: str) -> str:
    answer = await shop.http.get(path, headers=shop.owner)
    assert answer.status_code == 200
    return answer.text


async def test_orders_say_the_counters_day(fetched: Shop) -> None:
    day = in_days(5)
    heads = ("Promised for", "All of it by")
    assert await of(fetched, "/orders/export.csv", heads) == [day.isoformat()] * 2
    assert i18n.day(day, in_days(0)) in await page(fetched, "/orders")


async def test_who_waits_for_goods_is_told_with_the_counters_day(fetched: Shop) -> None:
    await do(fetched, WAITS)
    day = in_days(5)
    assert await of(fetched, "/waiting:export.csv", ("Promised",)) == [day.isoformat()]
    assert i18n.day(day, in_days(0)) in await page(fetched, "/waiting")
    (row,) = (await fetched.http.get("/v1/supply-claims", headers=await fetched.key(["orders:read"]))).json()["items"]
    assert (row["to_state"], row["pickup_zone"]) == (None, THERE.key)


async def test_orders_without_stock_say_the_counters_day(fetched: Shop) -> None:
    await do(fetched, "UPDATE order_unit SET state = 'unplaced', location_id = NULL")
    await do(fetched, "UPDATE balance SET allocated = 0")
    assert i18n.day(in_days(5), in_days(0)) in await page(fetched, "/shortages")


async def test_what_slips_is_listed_by_the_counters_clock(fetched: Shop) -> None:
    at = datetime.combine(in_days(5), time(21, 30), THERE)
    await do(fetched, "UPDATE sales_order SET promised_at = %(at)s", {"at": at})
    await do(fetched, SLIP)
    days = [in_days(n).isoformat() for n in (5, 6)]
    assert await of(fetched, "/promises/slipping:export.csv", ("Promised for", "Arrives on its plan")) == days
    shown = await page(fetched, "/promises/slipping")
    assert render.moment(at, THERE.key) in shown
    assert render.moment(at, "America/Sao_Paulo") not in shown


async def test_broken_promises_say_the_counters_clock_and_how_many_of_its_days_they_are_late(fetched: Shop) -> None:
    at = datetime.combine(in_days(-5), time(21, 30), THERE)
    await do(fetched, BROKEN, {"promised": at, "present": at + timedelta(days=2)})
    await do(fetched, "UPDATE promise_outcome SET ready_at = promised_at + interval '1 hour'")
    says = await of(fetched, "/promises:export.csv", ("Promised for", "Promised anew for", "Days late"))
    assert says == [in_days(-5).isoformat(), in_days(-3).isoformat(), "0"]
    shown = await page(fetched, "/promises")
    assert render.moment(at, THERE.key) in shown
    assert render.moment(at, "America/Sao_Paulo") not in shown
    asked = await fetched.http.get("/v1/promises/broken", headers=await fetched.key(["orders:read"]))
    assert [row["pickup_zone"] for row in asked.json()["items"]] == [THERE.key]
