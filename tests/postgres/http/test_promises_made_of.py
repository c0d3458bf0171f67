"""What the date of an order was made of, kept with the decision and told over HTTP."""

import asyncio
from datetime import UTC, date, datetime

import pytest
from test_promises_offered import ADDRESS, sold
from tests_http import Shop

from malha.fulfillment.learning_days import renew
from malha.intake.reference import REFRESH_SECONDS
from malha.intake.replanning import replan
from malha.network.calendar import add_business_days
from malha.platform.ids import UUID

__all__ = ["sold"]

FILL = """
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, due_at, delivered_at)
SELECT gen_random_uuid(), gen_random_uuid(), 1, l.id, 'ship', s.id, 'SP', 'SP', now() - interval '31 days', now(),
       now() - interval '30 days', now() - interval '18 days'
FROM generate_series(1, 250), location l, service s WHERE l.code = 'DC' AND s.code = 'standard'
"""


async def place(shop: Shop, external_id: str, **changes: object) -> str:
    order = {
        "channel": "web", "external_id": external_id, "service": "standard", "ship_to": ADDRESS,
        "customer": {"name": "Ana"}, "lines": [{"sku": "CUP", "quantity": 2, "unit_price": 1000}],
    } | changes  # fmt: skip
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    placed = await shop.http.post("/v1/orders", json=order, headers=shop.headers)
    assert placed.status_code == 201, placed.text
    return str(placed.json()["id"])


async def promises(shop: Shop, order_id: str) -> dict:
    answer = await shop.http.get(f"/v1/orders/{order_id}/promises", headers=shop.headers)
    assert answer.status_code == 200, answer.text
    found: dict = answer.json()
    return found


async def test_a_date_is_the_sum_of_its_parts(sold: Shop) -> None:
    found = await promises(sold, await place(sold, "1"))
    [made] = found["made_of"]
    [parcel] = made["parcels"]
    assert (parcel["location"], parcel["service"], parcel["lines"]) == ("DC", "standard", [1])
    assert (parcel["transit_days"], parcel["learned"], parcel["cut_off"]) == (3, False, "23:59:00")
    leaves = date.fromisoformat(parcel["leaves"])
    assert parcel["arrives"] == add_business_days(leaves, 3, "BR-SP").isoformat() == made["arrives"]
    assert datetime.fromisoformat(found["present"]).date().isoformat() == made["arrives"]
    assert datetime.fromisoformat(made["released_at"]) <= datetime.now(UTC)
    assert (made["stated"], made["version"], made["level"], made["to_state"]) == (False, None, None, "SP")


async def test_learned_days_name_their_version_and_level(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(FILL)
    assert await renew(sold.database, wanted=True)
    [made] = (await promises(sold, await place(sold, "1")))["made_of"]
    assert made["parcels"][0]["learned"]
    assert (made["version"], made["level"]) == (1, 0.9)


async def test_a_day_the_channel_states_is_told_apart_from_ours(sold: Shop) -> None:
    stated = datetime(2031, 1, 2, 20, tzinfo=UTC)
    found = await promises(sold, await place(sold, "1", promised_at=stated.isoformat()))
    [made] = found["made_of"]
    assert made["stated"]
    assert made["arrives"] < "2031-01-02"
    assert datetime.fromisoformat(found["present"]) == stated


async def test_a_new_decision_says_what_it_comes_to_and_the_first_stays(sold: Shop) -> None:
    order_id = await place(sold, "1")
    async with sold.database.transaction() as tx:
        await replan(tx, UUID(order_id))
    first, last = (await promises(sold, order_id))["made_of"]
    assert (first["attempt"], last["attempt"]) == (1, 2)
    assert last["parcels"][0]["lines"] == [1]


@pytest.mark.parametrize("change", [{"method": "pickup", "pickup_location": "DC", "service": None}, {"old": True}])
async def test_what_was_not_kept_is_an_empty_list(sold: Shop, change: dict) -> None:
    old = change.pop("old", False)
    order_id = await place(sold, "1", **change)
    if old:  # from before it was kept
        async with sold.database.transaction() as tx:
            await tx.execute("UPDATE routing_decision SET promise = NULL")
    assert (await promises(sold, order_id))["made_of"] == []


async def test_who_is_limited_to_other_locations_sees_that_there_is_a_parcel_and_no_more(sold: Shop) -> None:
    order_id = await place(sold, "1", lines=[{"sku": "CUP", "quantity": 12, "unit_price": 1000}])
    limited = await sold.key(["orders:read"], locations=["S2"])
    answer = await sold.http.get(f"/v1/orders/{order_id}/promises", headers=limited)
    assert answer.status_code == 200, answer.text
    [made] = answer.json()["made_of"]
    assert [parcel["location"] for parcel in made["parcels"]] == ["S2"]
    assert made["hidden"] == 1
