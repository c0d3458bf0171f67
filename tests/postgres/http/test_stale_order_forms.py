"""Forms of an order's page: what they offer to cancel, what two people send at once, and what they do not ask for."""

import asyncio
import html
import re

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.ordering import edits
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import Address, HoldKind, UnitState
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_network, a_product, an_order, in_days

FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*?value="([^"]*)"')


async def sold(shop: Shop, *, kit: bool = False) -> UUID:
    """An order of three units, or of three kits of a sheet and two pillows each."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 20})
        if kit:
            pillow = await a_product(tx, world, "B", stock={"DC": 20})
            sku = await a_product(tx, world, "K", components={sku: 1, pillow: 2})
        return await an_order(tx, world, [Sold(sku, 3, at="DC")])


async def form_of(shop: Shop, headers: dict[str, str], dialog: str) -> dict[str, str]:
    """Return what the form of a dialog would send as it is."""
    page = (await shop.http.get("/orders/1", headers=headers)).text
    body = page.partition(f'id="{dialog}"')[2].partition("</dialog>")[0]
    return {name: html.unescape(value) for name, value in FIELD.findall(body)}


async def living(shop: Shop, order_id: UUID) -> int:
    async with shop.database.transaction() as tx:
        units = (await ordering.units_of(tx, [order_id]))[order_id]
    return sum(u.quantity for u in units if u.state is not UnitState.CANCELLED)


async def test_the_form_offers_to_cancel_kits_as_they_were_sold_not_their_parts(shop: Shop) -> None:
    order_id = await sold(shop, kit=True)
    desk = await shop.session(Role.CUSTOMER_SERVICE)
    form = await form_of(shop, desk, "dlg-cancel")
    assert form["q1"] == "3"
    answer = await shop.http.post("/orders/1/cancel", data={**form, "reason": "gave up"}, headers=desk)
    assert (answer.status_code, await living(shop, order_id)) == (303, 0)


async def test_one_unit_that_two_people_are_asked_to_cancel_is_cancelled_once(shop: Shop) -> None:
    order_id = await sold(shop)
    ana = await shop.session(Role.CUSTOMER_SERVICE, email="ana@loja.test")
    bia = await shop.session(Role.MANAGER, email="bia@loja.test")
    one = {"q1": "1", "reason": "the customer called"}
    first, second = [{**await form_of(shop, who, "dlg-cancel"), **one} for who in (ana, bia)]
    assert (await shop.http.post("/orders/1/cancel", data=first, headers=ana)).status_code == 303
    late = await shop.http.post("/orders/1/cancel", data=second, headers=bia)
    assert (late.status_code, "was changed meanwhile" in late.text) == (409, True)
    assert await living(shop, order_id) == 2
    # Who looks again may cancel another one, whatever else happened to the order meanwhile.
    async with shop.database.transaction() as tx:
        again = {**await form_of(shop, bia, "dlg-cancel"), **one}
        await edits.add_note(tx, order_id, "called again")
    assert (await shop.http.post("/orders/1/cancel", data=again, headers=bia)).status_code == 303
    assert await living(shop, order_id) == 1


async def address_of(shop: Shop) -> dict[str, str]:
    async with shop.database.transaction() as tx:
        return await tx.value("SELECT ship_to FROM sales_order")


async def test_an_address_that_a_colleague_changed_meanwhile_is_not_put_back(shop: Shop) -> None:
    order_id = await sold(shop)
    ana = await shop.session(Role.CUSTOMER_SERVICE, email="ana@loja.test")
    bia = await shop.session(Role.MANAGER, email="bia@loja.test")
    first, second = [await form_of(shop, who, "dlg-address") for who in (ana, bia)]
    sent = await shop.http.post("/orders/1/address", data={**first, "number": "2000"}, headers=ana)
    assert sent.status_code == 303
    late = await shop.http.post("/orders/1/address", data={**second, "complement": "Apto 3"}, headers=bia)
    assert (late.status_code, "was changed meanwhile" in late.text) == (409, True)
    assert (await address_of(shop))["number"] == "2000"
    again = await form_of(shop, bia, "dlg-address")
    async with shop.database.transaction() as tx:
        await edits.add_note(tx, order_id, "called again")
    assert (
        await shop.http.post("/orders/1/address", data={**again, "complement": "Apto 3"}, headers=bia)
    ).status_code == 303
    now = await address_of(shop)
    assert (now["number"], now["complement"]) == ("2000", "Apto 3")


async def test_a_changed_address_keeps_the_code_of_its_municipality_in_the_same_city(shop: Shop) -> None:
    order_id = await sold(shop)
    at = {"street": "Avenida Paulista", "number": "1000", "city": "São Paulo", "state": "SP", "postal_code": "01310100"}
    async with shop.database.transaction() as tx:
        await edits.change_address(tx, order_id, Address(**at, ibge="3550308"))
    desk = await shop.session(Role.CUSTOMER_SERVICE)
    form = await form_of(shop, desk, "dlg-address")
    assert (await shop.http.post("/orders/1/address", data={**form, "number": "9"}, headers=desk)).status_code == 303
    now = await address_of(shop)
    assert (now["number"], now.get("ibge")) == ("9", "3550308")
    key = await shop.key(["orders:read", "orders:write"])
    there = {**at, "city": "Santos", "postal_code": "11010000"}
    assert (await shop.http.put(f"/v1/orders/{order_id}/address", json=there, headers=key)).status_code == 200
    assert "ibge" not in await address_of(shop)


async def test_one_unit_that_two_people_are_asked_to_replace_is_replaced_once(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        red = await a_product(tx, world, "RED")
        blue = await a_product(tx, world, "BLUE", stock={"DC": 9})
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position) VALUES (%(of)s::int, %(by)s::int, 0)",
            {"of": red, "by": blue},
        )
        order_id = await an_order(tx, world, [Sold(red, 3, at=None)], channel="mall", holds=[HoldKind.SHORTAGE])
    ana = await shop.session(Role.CUSTOMER_SERVICE, email="ana@loja.test")
    bia = await shop.session(Role.MANAGER, email="bia@loja.test")
    one = {"sku": "BLUE", "quantity": "1"}
    first, second = [{**await form_of(shop, who, "dlg-replace-1"), **one} for who in (ana, bia)]
    sent = await shop.http.post("/orders/1/replace", data=first, headers=ana)
    assert sent.status_code == 303, sent.text
    late = await shop.http.post("/orders/1/replace", data=second, headers=bia)
    assert (late.status_code, "was changed meanwhile" in late.text) == (409, True), late.text
    replaced = "SELECT sum(quantity)::int FROM order_line WHERE replaces IS NOT NULL"
    async with shop.database.transaction() as tx:
        assert await tx.value(replaced) == 1
        again = {**await form_of(shop, bia, "dlg-replace-1"), **one}
        await edits.add_note(tx, order_id, "called again")
    assert (await shop.http.post("/orders/1/replace", data=again, headers=bia)).status_code == 303
    async with shop.database.transaction() as tx:
        assert await tx.value(replaced) == 2


async def test_a_hold_that_a_colleague_placed_in_the_place_of_the_one_that_was_seen_is_not_lifted(shop: Shop) -> None:
    order_id = await sold(shop)
    ana = await shop.session(Role.MANAGER, email="ana@loja.test")
    bia = await shop.session(Role.MANAGER, email="bia@loja.test")
    held = {"kind": "manual", "note": "the customer is asked for the floor"}
    assert (await shop.http.post("/orders/1/hold", data=held, headers=ana)).status_code == 303
    stale = await form_of(shop, bia, "dlg-resolve-manual")
    done = await form_of(shop, ana, "dlg-resolve-manual")
    assert (await shop.http.post("/orders/1/resolve", data=done, headers=ana)).status_code == 303
    gone = await shop.http.post("/orders/1/resolve", data=stale, headers=bia)
    assert (gone.status_code, "no open hold" in gone.text) == (404, True), gone.text
    again = {"kind": "manual", "note": "the card may be stolen"}
    assert (await shop.http.post("/orders/1/hold", data=again, headers=ana)).status_code == 303
    late = await shop.http.post("/orders/1/resolve", data=stale, headers=bia)
    assert (late.status_code, "was changed meanwhile" in late.text) == (409, True), late.text
    async with shop.database.transaction() as tx:
        assert HoldKind.MANUAL in (await ordering.open_holds(tx, [order_id]))[order_id]
        await edits.add_note(tx, order_id, "called again")
    seen = await form_of(shop, bia, "dlg-resolve-manual")
    assert (await shop.http.post("/orders/1/resolve", data=seen, headers=bia)).status_code == 303


async def test_a_cancel_is_not_carried_out_on_an_order_that_was_paid_held_or_readdressed_meanwhile(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 20})
        order_id = await an_order(tx, world, [Sold(sku, 3, at="DC")], paid="pending")
    desk = await shop.session(Role.MANAGER)

    async def pays() -> None:
        async with shop.database.transaction() as tx:
            fact = Fact(position=1, kind=FactKind.CAPTURED, amount=3_000, reference="E2E")
            await payments.record_fact(tx, order_id, fact)

    async def holds() -> None:
        async with shop.database.transaction() as tx:
            await order_holds.place_hold(tx, order_id, HoldKind.MANUAL, note="I have them on the line: they keep it")

    async def moves() -> None:
        async with shop.database.transaction() as tx:
            at = {"street": "Rua A", "number": "1", "city": "São Paulo", "state": "SP", "postal_code": "01310100"}
            await edits.change_address(tx, order_id, Address(**at))

    for meanwhile in (pays, holds, moves):
        form = await form_of(shop, desk, "dlg-cancel") | {"reason": "never paid"}
        await meanwhile()
        late = await shop.http.post("/orders/1/cancel", data=form, headers=desk)
        assert (late.status_code, "was changed meanwhile" in late.text) == (409, True), meanwhile
        assert await living(shop, order_id) == 3
    again = await form_of(shop, desk, "dlg-cancel") | {"reason": "they are sure"}
    assert (await shop.http.post("/orders/1/cancel", data=again, headers=desk)).status_code == 303
    assert await living(shop, order_id) == 0


async def test_of_two_people_who_give_the_same_money_back_the_second_sees_first_what_the_other_did(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 20})
        order_id = await an_order(tx, world, [Sold(sku, 3, at="DC")], paid="captured")
    ana = await shop.session(Role.MANAGER, email="ana@loja.test")
    bia = await shop.session(Role.MANAGER, email="bia@loja.test")

    async def refunded() -> int:
        async with shop.database.transaction() as tx:
            return (await payments.standing(tx, order_id)).refunded

    back = {"position": "1", "amount": "5,00"}
    first, second = [
        {**await form_of(shop, who, "dlg-refund"), **back, "reference": name}
        for who, name in ((ana, "R1"), (bia, "R2"))
    ]
    answers = await asyncio.gather(
        shop.http.post("/orders/1/payment", data=first, headers=ana),
        shop.http.post("/orders/1/payment", data=second, headers=bia),
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409], [a.text for a in answers]
    assert any("was changed meanwhile" in answer.text for answer in answers)
    assert await refunded() == 500
    # The same one said once more is no other, and who looks again may give more.
    done = first if answers[0].status_code == 303 else second
    assert (await shop.http.post("/orders/1/payment", data=done, headers=ana)).status_code == 303
    more = {**await form_of(shop, bia, "dlg-refund"), **back, "reference": "R3"}
    assert (await shop.http.post("/orders/1/payment", data=more, headers=bia)).status_code == 303
    assert await refunded() == 1_000


VERSIONS = re.compile(r'name="(v[0-9]+)" value="([0-9]+)"')


@pytest.mark.parametrize("act", ["cancel", "resolve"])
async def test_of_chosen_orders_those_that_somebody_changed_meanwhile_are_told_and_left(shop: Shop, act: str) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 20})
        one, two = [
            await an_order(tx, world, [Sold(sku, 3, at="DC")], holds=[HoldKind.MANUAL], channel="mall")
            for _ in range(2)
        ]
    desk = await shop.session(Role.MANAGER)
    seen = dict(VERSIONS.findall((await shop.http.get("/orders?view=all", headers=desk)).text))
    assert set(seen) == {"v1", "v2"}
    async with shop.database.transaction() as tx:  # it was lifted, and is held again for something else
        await order_holds.resolve_hold(tx, two, HoldKind.MANUAL, resolution="asked")
        await order_holds.place_hold(tx, two, HoldKind.MANUAL, note="the wrong colour")
    form = {"act": act, "order": ["1", "2"], "why": "sold out", **seen}
    done = await shop.http.post("/orders/bulk", data=form, headers=desk | {"hx-request": "true"})
    assert "1 refused" in html.unescape(done.headers["hx-trigger"])
    assert "was changed meanwhile" in done.text
    async with shop.database.transaction() as tx:
        open_ = await ordering.open_holds(tx, [one, two])
        units = await ordering.units_of(tx, [one, two])
    assert [bool(open_[o]) for o in (one, two)] == [False, True]
    gone = [all(u.state is UnitState.CANCELLED for u in units[o]) for o in (one, two)]
    assert gone == [act == "cancel", False]


@pytest.mark.parametrize(
    ("act", "more"),
    [("release", {}), ("promise", {"day": in_days(12).isoformat(), "promise_reason": "capacity"})],
    ids=["release", "promise"],
)
async def test_chosen_orders_are_not_released_or_promised_anew_where_somebody_changed_them_meanwhile(
    shop: Shop, act: str, more: dict[str, str]
) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 20})
        one, two = [await an_order(tx, world, [Sold(sku, 3, at="DC")]) for _ in range(2)]
    desk = await shop.session(Role.MANAGER)
    seen = dict(VERSIONS.findall((await shop.http.get("/orders?view=all", headers=desk)).text))
    async with shop.database.transaction() as tx:
        at = {"street": "Rua A", "number": "1", "city": "São Paulo", "state": "SP", "postal_code": "01310100"}
        await edits.change_address(tx, two, Address(**at))
        before = await versions(tx, one, two)
    form = {"act": act, "order": ["1", "2"], **more, **seen}
    done = await shop.http.post("/orders/bulk", data=form, headers=desk | {"hx-request": "true"})
    assert "1 refused" in html.unescape(done.headers["hx-trigger"]), done.headers["hx-trigger"]
    assert "was changed meanwhile" in done.text
    async with shop.database.transaction() as tx:
        after = await versions(tx, one, two)
    assert (after[one] > before[one], after[two] == before[two]) == (True, True)


async def versions(tx: Tx, *orders: UUID) -> dict[UUID, int]:
    return {order_id: (await ordering.look_at(tx, order_id)).seq for order_id in orders}


async def test_a_hold_is_placed_on_chosen_orders_whatever_happened_to_them_meanwhile(shop: Shop) -> None:
    order_id = await sold(shop)
    desk = await shop.session(Role.MANAGER)
    seen = dict(VERSIONS.findall((await shop.http.get("/orders?view=all", headers=desk)).text))
    async with shop.database.transaction() as tx:
        await edits.add_note(tx, order_id, "called")
    form = {"act": "hold", "order": ["1"], "reason": "the card may be stolen", **seen}
    assert (await shop.http.post("/orders/bulk", data=form, headers=desk)).status_code == 303
    async with shop.database.transaction() as tx:
        assert HoldKind.MANUAL in (await ordering.open_holds(tx, [order_id]))[order_id]


async def test_a_program_that_names_what_it_saw_lifts_no_other_hold(shop: Shop) -> None:
    order_id = await sold(shop)
    key = await shop.key(["orders:read", "orders:write", "orders:release_hold"])
    path = f"/v1/orders/{order_id}/holds"
    placed = await shop.http.post(path, json={"kind": "manual"}, headers=key)
    seen = key | {"if-match": placed.headers["etag"]}
    assert (await shop.http.post(f"{path}/manual/resolve", json={}, headers=key)).status_code in {200, 201}
    await shop.http.post(path, json={"kind": "manual", "note": "the wrong colour"}, headers=key)
    late = await shop.http.post(f"{path}/manual/resolve", json={}, headers=seen)
    assert late.status_code == 412, late.text
    async with shop.database.transaction() as tx:
        assert (await ordering.open_holds(tx, [order_id]))[order_id]
