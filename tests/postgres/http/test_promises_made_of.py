"""What the date of an order was made of, kept with the decision and told over HTTP."""

import asyncio
from datetime import UTC, date, datetime, time

import pytest
from test_promises_offered import ADDRESS, sold
from tests_http import Shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.learning_days import renew
from malha.intake.reference import REFRESH_SECONDS
from malha.intake.replanning import replan
from malha.network import reads as network
from malha.network.calendar import add_business_days
from malha.platform import revisions
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.promising.rules import day_promised
from malha.routing import costs
from malha.routing.cost_model import Costs

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
    assert day_promised(datetime.fromisoformat(found["present"]), "SP").isoformat() == made["arrives"]
    assert datetime.fromisoformat(made["released_at"]) <= datetime.now(UTC)
    assert (made["stated"], made["version"], made["level"], made["to_state"]) == (False, None, None, "SP")


async def test_learned_days_name_their_version_and_level(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(FILL)
    assert await renew(sold.database, wanted=True)
    [made] = (await promises(sold, await place(sold, "1")))["made_of"]
    assert made["parcels"][0]["learned"]
    assert (made["version"], made["level"]) == (1, 0.9)
    assert (made["parcels"][0]["late_days"], made["parcels"][0]["said"]) == (0, pytest.approx(1.0))


@pytest.mark.parametrize("stated", [False, True])
async def test_with_what_chance_a_promise_was_made_is_kept_with_what_became_of_it(sold: Shop, stated: bool) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute(FILL)
        await tx.execute("UPDATE channel SET payment_policy = 'on_delivery'")
        await revisions.bump(tx, network.REVISION)
    assert await renew(sold.database, wanted=True)
    changes = {"promised_at": datetime(2031, 1, 2, 20, tzinfo=UTC).isoformat()} if stated else {}
    order_id = await place(sold, "1", **changes)
    async with sold.database.transaction() as tx:
        await fulfillment.release_order(tx, UUID(order_id))
    await drain(sold.database, [s for s in SUBSCRIPTIONS if s.name == "promise_outcomes"])
    async with sold.database.transaction() as tx:
        asked = "SELECT foretold, said FROM promise_outcome WHERE order_id = %(id)s::uuid"
        [(foretold, said)] = await tx.tuples(asked, {"id": order_id})
    if stated:
        assert (foretold, said) == (None, None)
    else:
        assert foretold == said == pytest.approx(1.0)


DUE = """
UPDATE promise_outcome SET foretold = 0.9,
       promised_at = delivered_at + CASE WHEN n <= 125 THEN interval '1 hour' ELSE -interval '1 hour' END
FROM (SELECT work_id AS id, row_number() OVER (ORDER BY work_id) AS n FROM promise_outcome) o WHERE o.id = work_id
"""


async def test_promises_that_were_broken_oftener_than_foretold_are_doubted(sold: Shop) -> None:
    async def doubts() -> list[tuple[str, float, int, int]]:
        await renew(sold.database, wanted=True)
        async with sold.database.transaction() as tx:
            return await tx.tuples("SELECT from_region, doubt, promises, kept FROM promise_doubt ORDER BY from_region")

    async with sold.database.transaction() as tx:
        await tx.execute(FILL)
    assert await doubts() == [], "no promise came due that was made by learned days"
    async with sold.database.transaction() as tx:
        await tx.execute(DUE)
        await tx.execute("UPDATE promise_days_version SET made_at = made_at - interval '7 hours'")
    service, zone = await doubts()
    assert (service[0], zone[0]) == ("", "3")
    assert service[2:] == zone[2:] == (250, 125)
    assert 1.2 < service[1] <= zone[1] <= 2


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


FETCHED = {"method": "pickup", "pickup_location": "DC", "service": None}


@pytest.mark.parametrize("change", [FETCHED, {}])
async def test_what_was_not_kept_is_an_empty_list(sold: Shop, change: dict) -> None:
    order_id = await place(sold, "1", **change)
    async with sold.database.transaction() as tx:  # from before it was kept
        await tx.execute("UPDATE routing_decision SET promise = NULL")
    assert (await promises(sold, order_id))["made_of"] == []


async def test_the_hour_at_which_goods_are_ready_is_told_with_its_parts(sold: Shop) -> None:
    found = await promises(sold, await place(sold, "1", **FETCHED))
    [made] = found["made_of"]
    ready = made["ready"]
    assert (ready["location"], ready["lines"], ready["late_days"], ready["there_at"]) == ("DC", [1], 0, None)
    assert found["present"] == ready["ready_at"] == ready["due_at"]
    assert (made["parcels"], made["arrives"], made["to_state"]) == ([], None, "")
    limited = await sold.key(["orders:read"], locations=["S2"])
    answer = await sold.http.get(f"/v1/orders/{await place(sold, '2', **FETCHED)}/promises", headers=limited)
    assert answer.status_code == 404  # nothing of it is theirs


async def test_who_is_limited_to_other_locations_sees_that_there_is_a_parcel_and_no_more(sold: Shop) -> None:
    order_id = await place(sold, "1", lines=[{"sku": "CUP", "quantity": 12, "unit_price": 1000}])
    limited = await sold.key(["orders:read"], locations=["S2"])
    answer = await sold.http.get(f"/v1/orders/{order_id}/promises", headers=limited)
    assert answer.status_code == 200, answer.text
    [made] = answer.json()["made_of"]
    assert [parcel["location"] for parcel in made["parcels"]] == ["S2"]
    assert made["hidden"] == 1


async def test_stated_costs_say_how_sure_dates_are_and_count_without_waiting_for_the_next_hours(sold: Shop) -> None:
    """Parcels that take one to ten business days: a broken promise of 20 is worth fewer of them than one of 100."""
    spread = FILL.replace("now() - interval '18 days'", "came").replace(
        "generate_series(1, 250)", "generate_series(1, 25), unnest(%s::timestamptz[]) AS came"
    )
    async with sold.database.transaction() as tx:
        left = await tx.value("SELECT ((now() - interval '30 days') AT TIME ZONE 'America/Sao_Paulo')::date")
        days = [add_business_days(left, n, "BR-SP") for n in range(1, 11)]
        await tx.execute(spread, ([datetime.combine(day, time(15), UTC) for day in days],))

    async def learned(**stated: int) -> tuple[float | None, float, int]:
        async with sold.database.transaction() as tx:
            await costs.set_costs(tx, Costs(**stated), None)
        assert await renew(sold.database, wanted=True)
        async with sold.database.transaction() as tx:
            newest = "SELECT id, worth, level FROM promise_days_version WHERE in_force"
            [(version, worth, level)] = await tx.tuples(newest)
        return worth, level, version

    assert await learned() == (None, 0.9, 1)
    assert await learned(late_penalty=2_000) == (None, 0.9, 1), "one cost alone says nothing"
    cheap = await learned(late_penalty=100, day_cost=100)
    dear = await learned(late_penalty=10_000, day_cost=100)
    assert (cheap[0], dear[0]) == (1.0, 100.0)
    assert 0.8 <= cheap[1] < 0.9 < dear[1] <= 1.0
    assert (cheap[2], dear[2]) == (2, 3)
    assert await learned(late_penalty=10_000, day_cost=100) == dear, "nothing changed: the same version"
