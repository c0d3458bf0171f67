"""Orders that cannot keep their day, over HTTP and on the console's page: listed, promised anew by hand, by scope."""

import asyncio

import pytest
from test_promises_made_of import place
from test_promises_offered import sold
from tests_http import Shop

from malha.flows import promises_slip
from malha.fulfillment import slipping
from malha.network import reads
from malha.platform import revisions

__all__ = ["sold"]


@pytest.fixture
async def slow(sold: Shop) -> tuple[Shop, list[str]]:
    """Three orders whose carrier takes four days longer since; a look has found it."""
    sold.headers = await sold.key(["stock:read", "intake:submit", "orders:read", "orders:write"])
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE channel SET payment_policy = 'on_delivery'")
        await revisions.bump(tx, reads.REVISION)
    orders = [await place(sold, str(n)) for n in range(3)]
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE service_rate SET lead_days = lead_days + 4")
        await revisions.bump(tx, reads.REVISION)
        await slipping.look(tx)
    return sold, orders


async def listed(shop: Shop, headers: dict[str, str] | None = None, **asked: str) -> list[dict]:
    answer = await shop.http.get("/v1/promises/slipping", params=asked, headers=headers or shop.headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_what_slips_is_listed_and_promised_anew_for_those_that_are_named(slow: tuple[Shop, list[str]]) -> None:
    shop, orders = slow
    found = await listed(shop)
    assert {row["order_id"] for row in found} == set(orders)
    assert {(row["reason"], row["location"]) for row in found} == {("carrier", "DC")}
    assert all(row["expected_at"] > row["promised_at"] for row in found)
    assert await listed(shop, reason="closed") == []
    answer = await shop.http.post(
        "/v1/promises/slipping:promise", json={"orders": orders[:2]}, headers=shop.headers | {"idempotency-key": "a"}
    )
    assert answer.json() == {"promised": 2}, answer.text
    assert [row["order_id"] for row in await listed(shop)] == [orders[2]]
    again = await shop.http.post(
        "/v1/promises/slipping:promise", json={"orders": orders[:2]}, headers=shop.headers | {"idempotency-key": "b"}
    )
    assert again.json() == {"promised": 0}


async def test_who_is_limited_to_other_locations_neither_sees_nor_promises(slow: tuple[Shop, list[str]]) -> None:
    shop, orders = slow
    limited = await shop.key(["orders:read", "orders:write"], locations=["S2"])
    assert await listed(shop, limited) == []
    answer = await shop.http.post(
        "/v1/promises/slipping:promise", json={"orders": orders}, headers=limited | {"idempotency-key": "a"}
    )
    assert answer.json() == {"promised": 0}
    assert len(await listed(shop)) == 3


async def test_all_of_a_reason_are_promised_in_the_background(slow: tuple[Shop, list[str]]) -> None:
    shop, _orders = slow
    await promises_slip.promise_all.work(shop.database, reason="closed")
    assert len(await listed(shop)) == 3
    await promises_slip.promise_all.work(shop.database, reason=None)
    assert await listed(shop) == []
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*)::int FROM order_promise") == 3


async def test_two_who_promise_the_same_orders_promise_each_once(slow: tuple[Shop, list[str]]) -> None:
    shop, orders = slow
    answers = await asyncio.gather(
        *(
            shop.http.post(
                "/v1/promises/slipping:promise",
                json={"orders": orders},
                headers=shop.headers | {"idempotency-key": key},
            )
            for key in "abc"
        )
    )
    assert sum(answer.json()["promised"] for answer in answers) == 3
