"""Use cases of an order on real rows: cancels, holds, edits, and what they leave in stock and on the timeline."""

import asyncio

import pytest

from malha.inventory import reads as stock
from malha.ordering import cancelling, service
from malha.ordering import edits as order_edits
from malha.ordering import holds as order_holds
from malha.ordering.errors import (
    DocumentStands,
    HoldAlreadyOpen,
    HoldAutomatic,
    HoldNotOpen,
    LineMapped,
    LineNotFound,
    NothingToHold,
    NothingToSend,
    OrderChanged,
    OrderNotFound,
    SkuNotKnown,
    WorkBegan,
)
from malha.ordering.model import Address, CancelWish, HoldKind, Move, UnitState
from malha.ordering.rules import Buyer
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.testing.builders import Sold, a_network, a_product, an_order


async def allocated(tx, sku, location):
    found = await stock.availability(tx, [sku], [location])
    return found[0].allocated if found else 0


async def state_of(tx, order_id):
    order = await service.lock_order(tx, order_id)
    units = (await service.units_of(tx, [order_id]))[order_id]
    return order, {(u.line, u.state.value): u.quantity for u in units}


async def events_of(tx, order_id):
    return await tx.tuples(
        "SELECT seq, type, payload FROM outbox WHERE key = %(key)s ORDER BY seq", {"key": f"order:{order_id}"}
    )


async def test_cancelling_a_part_gives_claims_back_and_takes_its_exact_share_off(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        lines = [Sold(sku, 3, price=100, discount=1)]
        order_id = await an_order(tx, world, lines, discount=10, shipping=50)
    async with database.transaction() as tx:
        done = await cancelling.cancel(tx, order_id, reason="changed mind", wishes=[CancelWish(1, 1)])
        assert (done.lines, done.amount, done.whole) == ({1: 1}, 96, False)  # (300 - 1 - 10) / 3 rounded down
        order, units = await state_of(tx, order_id)
        assert order.cancelled_total == 96
        assert units == {(1, "allocated"): 2, (1, "cancelled"): 1}
        assert await allocated(tx, sku, world.locations["DC"]) == 2
        done = await cancelling.cancel(tx, order_id, reason="all of it")
        assert (done.lines, done.amount, done.whole) == ({1: 2}, 243, True)
        order, units = await state_of(tx, order_id)
        assert (order.status, order.payable) == ("cancelled", 0)
        assert await allocated(tx, sku, world.locations["DC"]) == 0
        seqs = [(seq, type_) for seq, type_, _ in await events_of(tx, order_id)]
        assert seqs == [(1, "order.placed"), (2, "order.cancelled"), (3, "order.cancelled")]
        assert order.seq == 3


async def test_a_cancelled_order_keeps_no_open_hold_and_a_cancel_lifts_the_shortage_it_ends(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        lines = [Sold(sku, 1), Sold(sku, 2, at=None)]
        order_id = await an_order(tx, world, lines, holds=[HoldKind.SHORTAGE, HoldKind.MANUAL])
        await cancelling.cancel(tx, order_id, reason="no stock", wishes=[CancelWish(2)])
        assert set((await service.open_holds(tx, [order_id]))[order_id]) == {HoldKind.MANUAL}
        await cancelling.cancel(tx, order_id, reason="fraud")
        assert not (await service.open_holds(tx, [order_id]))[order_id]
        order, _ = await state_of(tx, order_id)
        assert order.status == "cancelled"


async def test_units_under_a_document_refuse_to_be_cancelled_and_nothing_changes(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        path = ("released", "picking", "picked", "awaiting_document", "invoiced")
        for to in path:
            document = new_id() if to == "invoiced" else None
            await service.move_units(tx, order_id, [Move(1, 1, 1, UnitState(to), document_id=document)])
        with pytest.raises(DocumentStands):
            await cancelling.cancel(tx, order_id, reason="late")
        order, units = await state_of(tx, order_id)
        assert (order.status, units) == ("invoiced", {(1, "invoiced"): 1})


async def test_bad_cancels_say_what_is_wrong(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        with pytest.raises(Invalid):
            await cancelling.cancel(tx, order_id, reason="  ")
        with pytest.raises(Invalid):
            await cancelling.cancel(tx, order_id, reason="x", wishes=[CancelWish(1, 0), CancelWish(1)])
        with pytest.raises(Invalid):
            await cancelling.cancel(tx, order_id, reason="x", wishes=[])
        with pytest.raises(LineNotFound):
            await cancelling.cancel(tx, order_id, reason="x", wishes=[CancelWish(9)])
        with pytest.raises(OrderChanged) as refused:
            await cancelling.cancel(tx, order_id, reason="x", expected=7)
        assert refused.value.facts["version"] == 1
        with pytest.raises(OrderNotFound):
            await cancelling.cancel(tx, new_id(), reason="x")


async def test_two_cancels_of_the_same_unit_at_once_cancel_it_once(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2)])

    async def cancel_one(quantity):
        async with database.transaction() as tx:
            await cancelling.cancel(tx, order_id, reason="race", wishes=[CancelWish(1, quantity)])

    results = await asyncio.gather(*[cancel_one(2) for _ in range(5)], return_exceptions=True)
    assert [r for r in results if r is None] == [None]
    async with database.transaction() as tx:
        assert await allocated(tx, sku, world.locations["DC"]) == 0
        order, units = await state_of(tx, order_id)
        assert units == {(1, "cancelled"): 2}
        assert order.payable == 0


async def test_holds_stack_stop_the_order_and_are_resolved_one_by_one(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        await order_holds.place_hold(tx, order_id, HoldKind.FRAUD, note="two cards")
        await order_holds.place_hold(tx, order_id, HoldKind.MANUAL)
        with pytest.raises(HoldAlreadyOpen):
            await order_holds.place_hold(tx, order_id, HoldKind.FRAUD)
        assert (await service.lock_order(tx, order_id)).status == "on_hold"
        await order_holds.resolve_hold(tx, order_id, HoldKind.FRAUD, resolution="called")
        assert (await service.lock_order(tx, order_id)).status == "on_hold"
        await order_holds.resolve_hold(tx, order_id, HoldKind.MANUAL)
        assert (await service.lock_order(tx, order_id)).status == "allocated"
        with pytest.raises(HoldNotOpen):
            await order_holds.resolve_hold(tx, order_id, HoldKind.FRAUD)
        count = await tx.value("SELECT count(*) FROM order_hold WHERE order_id = %(id)s", {"id": order_id})
        assert count == 2  # resolving a hold that is not there makes none


async def test_a_cancelled_order_takes_no_hold(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        await cancelling.cancel(tx, order_id, reason="bought twice")
        with pytest.raises(NothingToHold):
            await order_holds.place_hold(tx, order_id, HoldKind.MANUAL)


async def test_an_automatic_hold_is_lifted_by_hand_only_by_force_and_with_a_reason(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="pending", holds=[HoldKind.PAYMENT])
        with pytest.raises(HoldAutomatic):
            await order_holds.place_hold(tx, order_id, HoldKind.SHORTAGE)
        with pytest.raises(HoldAutomatic):
            await order_holds.resolve_hold(tx, order_id, HoldKind.PAYMENT, resolution="trust me")
        with pytest.raises(Invalid):
            await order_holds.resolve_hold(tx, order_id, HoldKind.PAYMENT, force=True)
        await order_holds.resolve_hold(tx, order_id, HoldKind.PAYMENT, resolution="paid in another shop", force=True)
        payload = (await events_of(tx, order_id))[-1][2]
        assert payload["forced"]
        assert payload["resolution"] == "paid in another shop"


async def test_address_and_buyer_are_corrected_until_work_begins(database):
    good = Address(postal_code="20040-002", street="Rua da Assembleia", number="10", city="Rio de Janeiro", state="rj")
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, holds=[HoldKind.ADDRESS, HoldKind.CUSTOMER])
        with pytest.raises(Invalid) as refused:
            await order_edits.change_address(tx, order_id, Address(postal_code="123", state="XX", city="Rio"))
        assert {p["at"] for p in refused.value.facts["problems"]} == {
            "/street",
            "/number",
            "/state",
            "/postal_code",
        }
        with pytest.raises(Invalid) as refused:
            await order_edits.change_address(tx, order_id, Address())
        assert {p["says"].removesuffix(" is missing.") for p in refused.value.facts["problems"]} == {
            "The street", "The house number is missing: write S/N when there is none.", "The city", "The state", "The CEP",
        }  # fmt: skip
        stored = await order_edits.change_address(tx, order_id, good)
        assert (stored.postal_code, stored.state) == ("20040002", "RJ")
        with pytest.raises(Invalid):
            await order_edits.change_buyer(tx, order_id, Buyer("Ana", "111.111.111-11", "no mail", "1"))
        await order_edits.change_buyer(tx, order_id, Buyer(" Ana  Lima ", "529.982.247-25", "ANA@EXAMPLE.COM"))
        order, _ = await state_of(tx, order_id)
        assert (order.buyer_name, order.buyer_document, order.buyer_email) == (
            "Ana Lima",
            "52998224725",
            "ana@example.com",
        )
        assert order.status == "allocated"
        assert order.ship_to["state"] == "RJ"
        facts = {type_: payload for _, type_, payload in await events_of(tx, order_id)}
        assert facts["order.address_changed"]["former_state"] == "SP"
        assert "Ana" not in str(facts)  # events hold no personal data
        await service.move_units(tx, order_id, [Move(1, 1, 1, UnitState.RELEASED)])
        with pytest.raises(WorkBegan):
            await order_edits.change_address(tx, order_id, good)
        with pytest.raises(WorkBegan):
            await order_edits.change_buyer(tx, order_id, Buyer("Ana"))


async def test_a_cancelled_order_is_sent_to_no_other_address(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        await cancelling.cancel(tx, order_id, reason="changed her mind")
        with pytest.raises(NothingToSend):
            await order_edits.change_address(
                tx,
                order_id,
                Address(postal_code="20040002", street="Rua A", number="1", city="Rio de Janeiro", state="RJ"),
            )


async def test_an_unknown_sku_is_mapped_a_kit_is_taken_apart_and_the_hold_is_lifted_with_the_last(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 5})
        plate = await a_product(tx, world, "PLATE", stock={"DC": 5})
        await a_product(tx, world, "SET", components={cup: 2, plate: 1})
        lines = [Sold(None, 2), Sold(None, 3), Sold(cup, 1)]
        order_id = await an_order(tx, world, lines, holds=[HoldKind.UNKNOWN_SKU])
        with pytest.raises(SkuNotKnown):
            await order_edits.map_line(tx, order_id, 1, "NOPE")
        with pytest.raises(LineMapped):
            await order_edits.map_line(tx, order_id, 3, "CUP")
        assert not await order_edits.map_line(tx, order_id, 1, "PLATE")
        assert await order_edits.map_line(tx, order_id, 2, "SET")
        units = (await service.units_of(tx, [order_id]))[order_id]
        assert sorted((u.line, u.sku_id, u.quantity) for u in units) == sorted(
            [(1, plate, 2), (2, cup, 6), (2, plate, 3), (3, cup, 1)]
        )
        assert not (await service.open_holds(tx, [order_id]))[order_id]
        assert (await service.lines_of(tx, [order_id]))[order_id][1].components == {cup: 2, plate: 1}


async def test_a_note_is_kept_and_its_text_stays_out_of_the_log(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        with pytest.raises(Invalid):
            await order_edits.add_note(tx, order_id, " ")
        await order_edits.add_note(tx, order_id, "Call Maria at 5 pm")
        assert await tx.value("SELECT text FROM order_note") == "Call Maria at 5 pm"
        assert "Maria" not in str(await events_of(tx, order_id))
