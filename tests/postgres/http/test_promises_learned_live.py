"""Dates by learned days: shown, promised to the order, left alone where nothing was learned, stale or not wanted."""

import asyncio
from datetime import UTC, datetime, timedelta

from test_promises_offered import ADDRESS, ask, sold
from tests_http import Shop

from malha.fulfillment import learning_days
from malha.fulfillment import service as fulfillment
from malha.fulfillment.learning_days import renew
from malha.intake.reference import REFRESH_SECONDS
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.network import reads
from malha.network.calendar import add_business_days
from malha.platform import revisions
from malha.platform.ids import UUID
from malha.promising.lived import EARLIEST, day_of
from malha.testing.builders import in_days

__all__ = ["sold"]

# Parcels of `standard` from SP to a state that were to leave 20 days ago and took seven business days.
FILL = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, due_at, shipped_at, ready_at, delivered_at)
SELECT gen_random_uuid(), gen_random_uuid(), 1, l.id, %(method)s::text, s.id, 'SP', 'SP', now() - interval '21 days',
       now(), %(due)s::timestamptz, %(left)s::timestamptz, %(left)s::timestamptz, %(came)s::timestamptz
FROM generate_series(1, %(n)s::int), location l, service s WHERE l.code = %(place)s::text AND s.code = 'standard'
"""
DUE = datetime.combine(in_days(-20), datetime.min.time(), UTC) + timedelta(hours=15)


async def fill(shop: Shop, parcels: int, days: int = 7, late: int = 0, place: str = "DC", method: str = "ship") -> None:
    """Parcels that left so many working days late (the places work every day) and then took so many business days."""
    left = DUE + timedelta(days=late)
    came = datetime.combine(add_business_days(left.date(), days, "BR-SP"), DUE.timetz())
    facts = {"n": parcels, "due": DUE, "left": left, "came": came, "place": place, "method": method}
    async with shop.database.transaction() as tx:
        await tx.execute(FILL, facts)


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


async def test_a_location_that_leaves_late_makes_its_own_dates_later_and_no_lane_longer(sold: Shop) -> None:
    """Both are in SP: DC leaves as it should, S2 two days late, and their parcels take three days from then."""
    await fill(sold, 300, days=3)
    await fill(sold, 300, days=3, late=2, place="S2")
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE location SET state = 'SP' WHERE code = 'S2'")
        await revisions.bump(tx, reads.REVISION)
    assert await renew(sold.database, wanted=True)
    assert (await days_of(sold))[:2] == (3, True)
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE location SET can_ship = false WHERE code = 'DC'")
        await revisions.bump(tx, reads.REVISION)
    assert (await days_of(sold))[0] in {3, 4, 5}, "two days of a store that works on Sundays may be no business days"
    async with sold.database.transaction() as tx:
        days = dict(await tx.tuples("SELECT from_state, days FROM promise_days"))
        ready = await tx.tuples(
            "SELECT l.code, r.chances FROM promise_ready r JOIN location l ON l.id = r.location_id"
            " WHERE r.method = 'ship' AND r.weekday IS NULL ORDER BY 1"
        )
    assert days == {"SP": 3}
    assert [(code, day_of(chances, 0.9) + EARLIEST) for code, chances in ready] == [("DC", 0), ("S2", 2)]


async def test_what_a_location_is_late_with_is_told_with_the_date(sold: Shop) -> None:
    await fill(sold, 300, days=3, late=7)  # a week: five business days but for holidays
    assert await renew(sold.database, wanted=True)
    await asyncio.sleep(REFRESH_SECONDS + 0.1)
    order = {
        "channel": "web", "external_id": "1", "service": "standard", "ship_to": ADDRESS, "customer": {"name": "Ana"},
        "lines": [{"sku": "CUP", "quantity": 2, "unit_price": 1000}],
    }  # fmt: skip
    placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
    told = await sold.http.get(f"/v1/orders/{placed.json()['id']}/promises", headers=sold.headers)
    [parcel] = told.json()["made_of"][0]["parcels"]
    assert parcel["late_days"] == parcel["transit_days"] - 3
    assert 2 <= parcel["late_days"] <= 5
    assert parcel["said"] >= 0.9


async def test_goods_to_be_fetched_are_shown_ready_as_late_as_their_location_was(sold: Shop) -> None:
    async def ready() -> dict[str, datetime]:
        return {c["location"]: datetime.fromisoformat(c["ready_at"]) for c in (await ask(sold))["collections"]}

    before = await ready()
    await fill(sold, 300, method="ship")
    await fill(sold, 300, late=2, method="pickup")
    await fill(sold, 300, place="S2", method="pickup")
    assert await renew(sold.database, wanted=True)
    after = await ready()
    assert after["DC"] - before["DC"] == timedelta(days=2)
    assert after["S2"] == before["S2"]


async def test_lanes_that_a_worker_from_before_chances_were_kept_wrote_are_not_used(sold: Shop) -> None:
    await fill(sold, 250)
    assert await renew(sold.database, wanted=True)
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE promise_days SET chances = '{}'")
        await revisions.bump(tx, "promise_days")
    assert (await days_of(sold))[:2] == (3, False)


# Twelve parcels a day that leave on their day; every twelfth day forty more behind those, five days late, and none behind.
QUEUES = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, due_at, released_at, shipped_at, delivered_at)
SELECT gen_random_uuid(), gen_random_uuid(), 1, l.id, 'ship', s.id, 'SP', 'SP', t.at, t.at + interval '20 days',
       t.day + interval '15 hours', t.at, t.left_at, t.left_at + interval '4 hours'
FROM location l, service s, (
    SELECT d AS day, d + n * interval '1 minute' AS at,
           d + CASE WHEN n <= 12 THEN interval '15 hours' ELSE interval '5 days 15 hours' END AS left_at
    FROM (SELECT date_trunc('day', now()) - k * interval '1 day' + interval '9 hours' AS d, k
          FROM generate_series(6, 65) k) days, generate_series(1, 52) n
    WHERE (n <= 12 AND k %% 12 < 7) OR k %% 12 = 0
) t WHERE l.code = 'DC' AND s.code = 'standard'
"""


async def test_what_waits_at_a_location_makes_what_comes_behind_it_later(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(QUEUES)
        ((sku, place),) = await tx.tuples(
            "SELECT v.id, l.id FROM variant v, location l WHERE v.sku = 'CUP' AND l.code = 'DC'"
        )
        await inventory.set_on_hand(tx, [Claim(sku, place, 90)], Reference("count"))
    assert await renew(sold.database, wanted=True)
    async with sold.database.transaction() as tx:
        bands = await tx.tuples("SELECT band, chances FROM promise_queue ORDER BY band")
    days = [day_of(chances, 0.9) + EARLIEST for _, chances in bands]
    assert days[0] == 0
    assert days[-1] == 5
    short = await days_of(sold)
    assert short[1]
    await asyncio.sleep(REFRESH_SECONDS + 0.1)
    for n in range(31):
        order = {
            "channel": "web", "external_id": f"q{n}", "service": "standard", "ship_to": ADDRESS,
            "customer": {"name": "Ana"}, "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 1000}],
            "payments": [{"kind": "pix", "amount": 1000, "state": "captured"}],
        }  # fmt: skip
        placed = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
        assert placed.status_code == 201, placed.text
        async with sold.database.transaction() as tx:
            await fulfillment.release_order(tx, UUID(placed.json()["id"]))
    async with sold.database.transaction() as tx:  # what waits is looked at anew every few seconds, and with other days
        await revisions.bump(tx, "promise_days")
    long = await days_of(sold)
    assert long[0] > short[0]
