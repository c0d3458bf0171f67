"""Dates by learned days: shown, promised to the order, left alone where nothing was learned, stale or not wanted."""

import asyncio
from datetime import UTC, datetime, timedelta

from test_promises_offered import ADDRESS, ask, sold
from tests_http import Shop

from malha.fulfillment import learning_days
from malha.fulfillment.learning_days import renew
from malha.intake.reference import REFRESH_SECONDS
from malha.network.calendar import add_business_days
from malha.testing.builders import in_days

__all__ = ["sold"]

# Parcels of `standard` from SP to a state that were to leave 20 days ago and took seven business days.
FILL = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, due_at, delivered_at)
SELECT gen_random_uuid(), gen_random_uuid(), 1, l.id, 'ship', s.id, 'SP', 'SP', now() - interval '21 days', now(),
       %(due)s::timestamptz, %(came)s::timestamptz
FROM generate_series(1, %(n)s::int), location l, service s WHERE l.code = 'DC' AND s.code = 'standard'
"""
DUE = datetime.combine(in_days(-20), datetime.min.time(), UTC) + timedelta(hours=15)


async def fill(shop: Shop, parcels: int, days: int = 7) -> None:
    came = datetime.combine(add_business_days(DUE.date(), days, "BR-SP"), DUE.timetz())
    async with shop.database.transaction() as tx:
        await tx.execute(FILL, {"n": parcels, "due": DUE, "came": came})


async def days_of(shop: Shop, service: str = "standard") -> tuple[int, bool, str]:
    [found] = [d for d in (await ask(shop))["deliveries"] if d["service"] == service]
    return found["transit_days"], found["learned"], found["promised_at"]


async def test_learned_days_are_shown_and_promised_and_withdrawn_when_not_wanted(sold: Shop) -> None:
    assert (await days_of(sold))[:2] == (3, False)
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    days, learned, shown = await days_of(sold)
    assert (days, learned) == (7, True)
    assert (await days_of(sold, "fast"))[:2] == (1, False)  # nothing is known of it
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    order = {
        "channel": "web", "external_id": "1", "service": "standard", "ship_to": ADDRESS, "customer": {"name": "Ana"},
        "lines": [{"sku": "CUP", "quantity": 2, "unit_price": 1000}],
    }  # fmt: skip
    placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
    assert placed.status_code == 201, placed.text
    async with sold.database.transaction() as tx:
        promised = await tx.value("SELECT promised_at FROM sales_order")
    assert promised == datetime.fromisoformat(shown)
    assert not await renew(sold.database, wanted=False)
    assert (await days_of(sold))[:2] == (3, False)


async def test_too_few_deliveries_teach_nothing(sold: Shop) -> None:
    await fill(sold, 199)
    assert not await renew(sold.database, wanted=True)
    assert (await days_of(sold))[:2] == (3, False)


async def test_days_are_learned_again_after_some_hours_only_and_stale_ones_are_not_used(sold: Shop) -> None:
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    await fill(sold, 5_000, days=5)
    assert await renew(sold.database, wanted=True)
    assert (await days_of(sold))[0] == 7
    age = "UPDATE promise_days_version SET made_at = made_at - make_interval(hours => %s)"
    async with sold.database.transaction() as tx:
        await tx.execute(age, (int(learning_days.EVERY_S / 3600) + 1,))
    assert await renew(sold.database, wanted=True)
    assert (await days_of(sold))[:2] == (5, True)
    async with sold.database.transaction() as tx:
        await tx.execute(age, (49,))
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'promise_days'")
    assert (await days_of(sold))[:2] == (3, False)
