"""Slots of orders taken by hand: what is offered and full, what filled meanwhile, and the trail of who took them."""

import asyncio
import html
import re
from typing import Any

import pytest
from test_taking_orders import (  # noqa: F401 - a fixture
    balanced,
    count,
    counter,
    filled,
    opened,
    options,
    place,
    refused,
    send,
    with_option,
)
from tests_http import Shop

from malha.network import reads as network
from malha.platform import revisions
from malha.testing.builders import a_product

CHOICE = re.compile(r'<option value="(\d[^"]*)"( selected| disabled)?>([^<]*)</option>')
STATE = """
INSERT INTO capacity_template (location_id, kind, weekday, starts, ends, quota)
SELECT %(location)s::int, kind, weekday, starts, ends, quota
FROM unnest(ARRAY['pickup', 'delivery']) kind, generate_series(1, 7) weekday,
     (VALUES ('00:00'::time, '12:00'::time, 1), ('12:00', '18:00', 1), ('18:00', '23:59', 2)) t (starts, ends, quota)
"""
TAKEN = """
SELECT o.external_id, r.kind, r.day::text, r.starts::text, r.state FROM capacity_reservation r
JOIN sales_order o ON o.id = r.order_id
"""
TRAIL = """
SELECT actor_kind, actor_name, source, action, entity, entity_id, before, after ->> 'external_id',
       (after ->> 'number')::int
FROM audit WHERE entity = 'order'
"""


@pytest.fixture
async def slots(counter: Shop) -> Shop:  # noqa: F811
    """S1 takes appointments and delivers in slots, two customers a day and two in the evening."""
    async with counter.database.transaction() as tx:
        location = counter.world.locations["S1"]
        await tx.execute("INSERT INTO capacity_plan (location_id) VALUES (%(location)s::int)", {"location": location})
        await tx.execute(STATE, {"location": location})
        await revisions.bump(tx, "capacity")
    return counter


async def offered(shop: Shop, form: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Ask what is offered; return the slots by value: the mark, and what is said."""
    told = await shop.http.post("/orders/new/offers", data=form, headers=shop.headers)
    assert told.status_code == 200, told.text
    return {html.unescape(value): (mark.strip(), says) for value, mark, says in CHOICE.findall(told.text)}


async def to_fetch(shop: Shop, key: str) -> dict[str, str]:
    form = filled(key, channel="till", pay="later", method="pickup", **{"lines/0/quantity": "1"})
    option = next(value for value in await options(shop, form) if value.startswith("S1|"))
    return form | {"option": option}


def with_slot(form: dict[str, str], value: str) -> dict[str, str]:
    return form | {("slot/S1" if form["method"] == "pickup" else "slot"): value}


async def ways(shop: Shop, kind: str, key: str) -> dict[str, str]:
    return await (
        to_fetch(shop, key) if kind == "pickup" else with_option(shop, filled(key, **{"lines/0/quantity": "1"}))
    )


@pytest.mark.parametrize("kind", ["pickup", "delivery"])
async def test_a_slot_is_chosen_and_the_order_has_it_as_one_from_the_api_does(slots: Shop, kind: str) -> None:
    form = await ways(slots, kind, await opened(slots))
    found = await offered(slots, form)
    assert all(value.endswith("|S1") and "place" in says for value, (_mark, says) in found.items())
    (value, *_rest) = found
    await place(slots, with_slot(form, value))
    day, starts, _location = value.split("|")
    async with slots.database.transaction() as tx:
        assert await tx.tuples(TAKEN) == [(form["key"], kind, day, f"{starts}:00", "confirmed")]
    where = "SELECT DISTINCT l.code FROM order_unit u JOIN location l ON l.id = u.location_id"
    assert await count(slots, where) == "S1"  # whose slot it is sends or hands over all of it
    ends = "SELECT (o.promised_at AT TIME ZONE l.timezone)::text FROM sales_order o, location l WHERE l.code = 'S1'"
    assert str(await count(slots, ends)).startswith(day)
    assert await balanced(slots)


@pytest.mark.parametrize("kind", ["pickup", "delivery"])
async def test_a_full_slot_is_shown_as_full_and_cannot_be_chosen(slots: Shop, kind: str) -> None:
    form = await ways(slots, kind, await opened(slots))
    first = next(value for value, (_, says) in (await offered(slots, form)).items() if "(1 place)" in says)
    await place(slots, with_slot(form, first))
    again = await ways(slots, kind, await opened(slots))
    mark, says = (await offered(slots, again))[first]
    assert (mark, says.endswith("(full)")) == ("disabled", True)


@pytest.mark.parametrize("kind", ["pickup", "delivery"])
async def test_a_slot_that_filled_meanwhile_is_told_at_its_field_and_stays_in_the_form(slots: Shop, kind: str) -> None:
    one, two = await ways(slots, kind, await opened(slots)), await ways(slots, kind, await opened(slots))
    first = next(value for value, (_, says) in (await offered(slots, one)).items() if "(1 place)" in says)
    await place(slots, with_slot(one, first))
    late = with_slot(two, first)
    told = refused(await send(slots, late))
    assert list(told) == ["slot/S1" if kind == "pickup" else "slot"]
    assert "is full now" in next(iter(told.values()))
    assert await count(slots) == 1
    assert (await offered(slots, late))[first][0] == "selected"  # it does not silently become an order without a slot
    another = next(value for value, (mark, _) in (await offered(slots, late)).items() if not mark)
    await place(slots, with_slot(two, another))


@pytest.mark.parametrize("kind", ["pickup", "delivery"])
async def test_two_sellers_who_choose_the_last_place_at_once_have_one_order(slots: Shop, kind: str) -> None:
    """Both channels take what is not covered, and would hold the order: whoever has the customer there is told."""
    forms = [await ways(slots, kind, await opened(slots)) for _ in range(4)]
    first = next(value for value, (_, says) in (await offered(slots, forms[0])).items() if "(1 place)" in says)
    answers = await asyncio.gather(*(send(slots, with_slot(form, first)) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
    for answer in answers:
        if answer.status_code != 200:
            assert "is full now" in refused(answer)["slot/S1" if kind == "pickup" else "slot"]
    assert await count(slots) == 1
    assert await count(slots, "SELECT count(*) FROM order_hold WHERE kind = 'slot'") == 0
    assert await balanced(slots)


@pytest.mark.parametrize("value", ["2020-01-01|09:00|S1", "2999-12-31|09:00|DC", "tomorrow", "||"])
async def test_a_slot_that_is_none_is_refused_at_its_field(slots: Shop, value: str) -> None:
    form = await with_option(slots, filled(await opened(slots)))
    assert list(refused(await send(slots, form | {"slot": value}))) == ["slot"]
    assert await count(slots) == 0


async def test_only_locations_that_can_send_all_of_it_offer_their_delivery_slots(slots: Shop) -> None:
    form = filled(await opened(slots), **{"lines/0/quantity": "4"})  # S1 has three
    assert await offered(slots, await with_option(slots, form)) == {}
    async with slots.database.transaction() as tx:
        await a_product(tx, slots.world, "MUG", stock={"S1": 9})
        await revisions.bump(tx, network.REVISION)
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'catalog'")
    form |= {"lines/0/sku": "MUG", "lines/0/price": "10"}
    assert await offered(slots, await with_option(slots, form))


async def test_without_slots_nothing_is_asked_for(counter: Shop) -> None:  # noqa: F811
    form = await with_option(counter, filled(await opened(counter)))
    told = await counter.http.post("/orders/new/offers", data=form, headers=counter.headers)
    assert "f-slot" not in told.text


async def trail(shop: Shop) -> list[Any]:
    async with shop.database.transaction() as tx:
        return await tx.tuples(TRAIL)


async def test_who_took_an_order_and_from_where_stands_in_the_audit_trail_once(counter: Shop) -> None:  # noqa: F811
    form = await with_option(counter, filled(await opened(counter)))
    answers = await asyncio.gather(*(send(counter, form) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    number = await count(counter, "SELECT number FROM sales_order")
    id_ = await count(counter, "SELECT id::text FROM sales_order")
    ((kind, name, source, *rest),) = await trail(counter)
    assert (kind, name) == ("person", "Customer_Service")
    assert source
    assert rest == ["take", "order", id_, None, form["key"], number]


async def test_an_order_that_is_refused_leaves_no_trail_and_two_of_one_batch_say_each_their_own(
    counter: Shop,  # noqa: F811
) -> None:
    form = filled(await opened(counter), channel="mall", pay="paid", paid_with="pix", reference="E1")
    one = await with_option(counter, form | {"lines/0/quantity": "10"})
    two = await with_option(counter, one | {"key": await opened(counter), "lines/0/quantity": "2"})
    await asyncio.gather(send(counter, one), send(counter, two))
    assert sorted(row[7] for row in await trail(counter)) == sorted(
        await values(counter, "SELECT external_id FROM sales_order")
    )


async def values(shop: Shop, statement: str) -> list[Any]:
    async with shop.database.transaction() as tx:
        return await tx.values(statement)


async def test_an_order_of_a_system_is_no_act_of_a_person(counter: Shop) -> None:  # noqa: F811
    key = await counter.key(["intake:submit"])
    order = {"channel": "web", "external_id": "W1", "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 1000}]}
    answer = await counter.http.post("/v1/orders", json=order, headers=key)
    assert answer.status_code == 201
    assert await trail(counter) == []
