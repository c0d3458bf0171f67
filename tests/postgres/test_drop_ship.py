"""What a rule cannot place goes to a vendor: asked with the order, accepted, refused, sent, cancelled; nothing drifts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from two_wares import a_gate, an_order, open_shop, stocked

from malha.doctor import examine
from malha.fulfillment import drop_reads, dropping, short_reads
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking
from malha.intake import replanning
from malha.intake.gate import Gate
from malha.intake.model import Placed
from malha.intake.trying_rules import Trial, TrialLine, try_rules
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.errors import DropEnded, DropHeld, UnknownDrop
from malha.inventory.vendors.model import DropLine, DropState, NewDrop, OfferDraft
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind, UnitState
from malha.platform import revisions
from malha.platform.db import Actor, Database
from malha.platform.flaws import Invalid
from malha.platform.i18n import speaking
from malha.platform.ids import UUID, new_id
from malha.routing import reads as routing
from malha.routing.replaying import Replayer
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Row, Rule, Run, Table, Then, Unfilled, When, Where
from malha.testing.builders import in_days

ANA = Actor("person", "ana", "Ana")
V1, V2 = 3, 4  # location ids
A, B = 1, 2  # SKU ids


@pytest.fixture
async def retailer(database: Database) -> AsyncIterator[Database]:
    """L1 in SP and L2 in RJ have one A; B is nowhere. V1 (MG) and V2 (PR) are vendors of both. Nothing may drift."""
    async with database.transaction() as tx:
        await open_shop(tx, [("Near", "SP", 1000), ("Far", "RJ", 1100)], shortage="hold", release_after=30)
        await tx.execute("INSERT INTO legal_entity (name, cnpj_root, kind) VALUES ('V', '98765432', 'vendor')")
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state, document_policy) "
            "VALUES (2, 'V', 'V', '98765432000198', 'MG', 'not_required')"
        )
        for code, state in ("V1", "MG"), ("V2", "PR"):
            await tx.execute(
                "INSERT INTO location (code, name, kind, establishment_id, state) "
                "VALUES (%s, %s || ' Ltda', 'vendor', 2, %s)",
                (code, code, state),
            )
            await tx.execute(
                "INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days) "
                "VALUES (1, %s, '*', 30000, 1200, 2)",
                (state,),
            )
        await stocked(tx, {(A, 1): 1, (A, 2): 1})
    async with database.transaction(ANA) as tx:
        await vendors.state_offers(
            tx,
            [
                OfferDraft(location_id=V1, sku_id=A, vendor_sku="VA", unit_cost=900, lead_days=2),
                OfferDraft(location_id=V1, sku_id=B, vendor_sku="VB", unit_cost=900, lead_days=2),
                OfferDraft(location_id=V2, sku_id=A, unit_cost=800, lead_days=5),
            ],
        )
    yield database
    report = await examine(database)
    assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    async with a_gate(retailer) as gate:
        yield gate


DROP = Rule(name="Near first", where=Where(locations=["L1"]), unfilled=Unfilled.DROP_SHIP)


async def published(database: Database, *rules: Rule, table: Table | None = None) -> None:
    content = Content(runs=[Run(name="All", when=When(), rules=list(rules))], table=table or Table())
    async with database.transaction(ANA) as tx:
        draft = await rule_sets.start_draft(tx, content)
        await rule_sets.publish(tx, draft.id, draft.version)


async def place(gate: Gate, number: int | str, *skus: str) -> Placed:
    gate._cache.expire()
    return await gate.submit(an_order(number, *skus))


async def drops(database: Database, placed: Placed | None = None) -> list[drop_reads.DropRow]:
    async with database.snapshot() as tx:
        wanted = drop_reads.DropsWanted(order_id=None if placed is None else placed.id)
        return sorted(await drop_reads.drops(tx, wanted), key=lambda row: row.number)


async def states(database: Database, order_id: UUID) -> list[tuple[str, int, int | None]]:
    async with database.snapshot() as tx:
        units = (await ordering.units_of(tx, [order_id]))[order_id]
    return sorted(((u.state.value, u.quantity, u.location_id) for u in units), key=str)


async def holds(database: Database, order_id: UUID) -> dict[HoldKind, dict[str, Any]]:
    async with database.snapshot() as tx:
        return {kind: hold.detail for kind, hold in (await ordering.open_holds(tx, [order_id]))[order_id].items()}


async def test_what_the_rule_cannot_place_is_asked_of_the_cheapest_vendor_with_the_order(
    gate: Gate, retailer: Database
):
    await published(retailer, DROP)
    first = await place(gate, 1, "A")
    assert [(line.state, line.location) for line in first.lines] == [("allocated", "L1")]
    placed = await place(gate, 2, "A")
    assert [(line.state, line.location) for line in placed.lines] == [("backordered", "V2")]
    (row,) = await drops(retailer)
    assert (row.order_number, row.location, row.state, row.units, row.cost, row.held) == (
        placed.number, "V2", DropState.ASKED, 1, 800, False
    )  # fmt: skip
    assert await states(retailer, placed.id) == [("backordered", 1, None)]
    assert await holds(retailer, placed.id) == {}
    async with retailer.snapshot() as tx:
        promised = await tx.value("SELECT promised_at FROM sales_order WHERE id = %s::uuid", [placed.id])
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
        stored = await tx.value("SELECT record::text FROM routing_decision WHERE order_id = %s::uuid", [placed.id])
    assert promised is not None
    assert promised.date() > row.leaves_on  # it travels after it leaves
    assert told is not None
    assert told.headline == "No location has it in stock: a vendor sends it."
    assert "V2 Ltda is asked to send 1 unit: R$8.00 each, 7 working days until it is there." in told.sentences
    assert Replayer().again(stored.encode()) == stored.encode()


async def test_a_rule_names_who_comes_first_and_a_vendor_takes_a_line_whole(gate: Gate, retailer: Database):
    await published(retailer, Rule(name="R", where=Where(locations=["L1"]), complete=True,
                                   unfilled=Unfilled.DROP_SHIP, vendors=["V1", "V2"]))  # fmt: skip
    placed = await place(gate, 1, "A", "B")
    (row,) = await drops(retailer, placed)
    assert (row.location, row.units, row.cost) == ("V1", 2, 1800)
    async with retailer.snapshot() as tx:
        lines = await drop_reads.drop_lines(tx, row.id)
    assert [(line.line, line.sku, line.vendor_sku, line.expected) for line in lines] == [
        (1, "A", "VA", 1), (2, "B", "VB", 1)
    ]  # fmt: skip


async def test_where_no_vendor_supplies_all_of_it_the_next_rule_is_tried_and_after_the_last_a_person(
    gate: Gate, retailer: Database
):
    only = Rule(name="V2 only", where=Where(locations=["L1"]), unfilled=Unfilled.DROP_SHIP, vendors=["V2"])
    await published(retailer, only, Rule(name="Far", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE))
    await place(gate, 1, "A")
    placed = await place(gate, 2, "B")  # V2 does not supply B
    assert await drops(retailer) == []
    assert (await holds(retailer, placed.id))[HoldKind.ROUTING_RULE]["rule"] == "Far"
    await published(retailer, only)
    both = await place(gate, 3, "A", "B")  # the last rule: what a vendor supplies goes to it, the rest waits
    assert sorted(line.state for line in both.lines) == ["backordered", "unplaced"]
    assert (await holds(retailer, both.id))[HoldKind.ROUTING_RULE]["lines"] == [2]
    (row,) = await drops(retailer, both)
    assert (row.location, row.held) == ("V2", True)
    async with retailer.transaction(ANA) as tx:
        with pytest.raises(DropHeld):
            await dropping.accept(tx, row.number)


async def test_a_vendor_accepts_and_sends_and_the_parcel_is_one_like_any_other(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    placed = await place(gate, 1, "B", "B")
    (row,) = await drops(retailer)
    async with retailer.transaction(ANA) as tx:
        accepted = await dropping.accept(tx, row.number, reference="PV-77")
        assert (accepted.state, accepted.reference) == (DropState.ACCEPTED, "PV-77")
        await replanning.place_units(tx, placed.id)  # planned again, it still waits for the vendor
    assert await states(retailer, placed.id) == [("backordered", 1, None), ("backordered", 1, None)]
    async with retailer.transaction(ANA) as tx:
        sent = await dropping.send(tx, row.number, lines={1: 1}, tracking=Tracking(tracking_code="BR1"))
        assert sent.number == 1
    assert await states(retailer, placed.id) == [("backordered", 1, None), ("shipped", 1, V1)]
    async with retailer.transaction(ANA) as tx:
        with pytest.raises(Invalid):
            await dropping.send(tx, row.number, lines={1: 1})
        second = await dropping.send(tx, row.number, tracking=Tracking(tracking_code="BR2"))
        await fulfillment.deliver(tx, second.shipment)
        with pytest.raises(DropEnded):
            await dropping.refuse_drop(tx, row.number, "too late")
    (done,) = await drops(retailer)
    assert (done.state, done.sent, done.expected) == (DropState.SENT, 2, 0)
    async with retailer.snapshot() as tx:
        ledger = await tx.tuples(
            "SELECT reason, d_on_hand, d_allocated FROM movement WHERE location_id = %s::int ORDER BY id", [V1]
        )
        codes = await tx.values("SELECT tracking_code FROM shipment ORDER BY 1")
    assert [tuple(row) for row in ledger[:3]] == [("order", 0, 1), ("receipt", 1, 0), ("ship", -1, -1)]
    assert codes == ["BR1", "BR2"]


async def test_who_refuses_is_not_asked_again_and_stock_or_another_vendor_has_it(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    await place(gate, 1, "A")
    placed = await place(gate, 2, "A")
    (row,) = await drops(retailer, placed)
    async with retailer.transaction(ANA) as tx:
        assert await dropping.refuse_drop(tx, row.number, "no stock") == 0
    first, second = await drops(retailer, placed)
    assert (first.state, first.reason, first.location) == (DropState.REFUSED, "no stock", "V2")
    assert (second.state, second.location) == (DropState.ASKED, "V1")
    async with retailer.transaction(ANA) as tx:
        await inventory.adjust(tx, [Claim(A, 1, 1)], Reason.FOUND, Reference("test"))
        assert await dropping.take_back(tx, second.number, "no answer") == 0
    assert await states(retailer, placed.id) == [("allocated", 1, 1)]
    third = await place(gate, 3, "A")
    (row,) = await drops(retailer, third)
    async with retailer.transaction(ANA) as tx:
        assert await dropping.refuse_drop(tx, row.number, "no") == 0
    (_, row) = await drops(retailer, third)
    async with retailer.transaction(ANA) as tx:
        assert await dropping.refuse_drop(tx, row.number, "no") == 1
    assert await states(retailer, third.id) == [("unplaced", 1, None)]
    assert HoldKind.ROUTING_RULE in await holds(retailer, third.id)


async def test_a_cancel_takes_it_off_the_vendor(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    placed = await place(gate, 1, "A", "A", "B")
    own, others = await drops(retailer)  # one A is at L1; the other costs least at V2, and only V1 has B
    assert [(row.location, row.units) for row in (own, others)] == [("V1", 1), ("V2", 1)]
    async with retailer.transaction(ANA) as tx:
        await dropping.accept(tx, own.number)
        await fulfillment.cancel(tx, placed.id, reason="changed their mind", wishes=[CancelWish(3)])
    assert sum(row.expected for row in await drops(retailer)) == 1
    async with retailer.transaction(ANA) as tx:
        await fulfillment.cancel(tx, placed.id, reason="all of it")
    assert {row.state for row in await drops(retailer)} == {DropState.CANCELLED}
    assert {state for state, _, _ in await states(retailer, placed.id)} == {"cancelled"}


async def test_who_accepted_keeps_what_is_left_and_who_has_not_answered_gives_up(database: Database):
    order_id = new_id()
    async with database.transaction(ANA) as tx:
        asked = [NewDrop(order_id, place, in_days(3), [DropLine(1, A, 1)]) for place in (V1, V2)]
        await vendors.queue_asks(tx, asked)
        second = max(await vendors.open_of(tx, [order_id]), key=lambda drop: drop.number)
        await vendors.restate(tx, [second.id], state=DropState.ACCEPTED, ended=DropState.CANCELLED, answered=True)
        drops = await vendors.open_of(tx, [order_id])
        await vendors.give_up(tx, drops, {(order_id, 1, A): 1}, {(order_id, 1)})
        assert [drop.id for drop in await vendors.open_of(tx, [order_id])] == [second.id]


async def test_of_a_vendor_who_sends_and_a_customer_who_cancels_at_once_one_is_first(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    for n in range(6):
        placed = await place(gate, n, "B")
        (row,) = await drops(retailer, placed)

        async def send(number: int = row.number) -> None:
            async with retailer.transaction(ANA) as tx:
                await dropping.send(tx, number)

        async def cancel(order_id: UUID = placed.id) -> None:
            async with retailer.transaction(ANA) as tx:
                await fulfillment.cancel(tx, order_id, reason="no", rest=True)

        await asyncio.gather(send(), cancel(), send(), return_exceptions=True)
        ((state, quantity, _),) = await states(retailer, placed.id)
        (row,) = await drops(retailer, placed)
        assert quantity == 1
        assert (state, row.state, row.sent) in {("shipped", "sent", 1), ("cancelled", "cancelled", 0)}


async def test_a_kit_is_sent_whole_by_who_has_its_parts(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        kit = await tx.value(
            "INSERT INTO variant (product_id, sku, name, weight_grams, is_kit) VALUES (1, 'K', 'K', 300, true) RETURNING id"
        )
        await tx.execute(
            "INSERT INTO kit_component (kit_id, component_id, quantity) VALUES (%s, 1, 1), (%s, 2, 2)", [kit, kit]
        )
        await revisions.bump(tx, "catalog")
    await published(retailer, DROP)
    placed = await place(gate, 1, "K", "K")
    (row,) = await drops(retailer, placed)
    assert (row.location, row.units, row.cost) == ("V1", 6, 5400)  # V2 has no B
    async with retailer.transaction(ANA) as tx:
        assert await dropping.sold_left(tx, row.number, {2}) == {2: 1}
        await dropping.send(tx, row.number, lines={2: 1})
        await fulfillment.cancel(tx, placed.id, reason="one is enough", rest=True)
    assert sorted({state for state, _, _ in await states(retailer, placed.id)}) == ["cancelled", "shipped"]
    (row,) = await drops(retailer, placed)
    assert (row.state, row.sent, row.expected) == (DropState.SENT, 3, 0)


async def test_a_row_of_the_table_sends_to_a_vendor_and_trying_it_says_so(gate: Gate, retailer: Database):
    row = Row(when=When(channels=["web"]), then=Then(unfilled=Unfilled.DROP_SHIP, vendors=["V1"], groups=[]))
    await published(retailer, Rule(name="Near", where=Where(locations=["L1"])), table=Table(rows=[row]))
    placed = await place(gate, 1, "B")
    assert [row.location for row in await drops(retailer, placed)] == ["V1"]
    async with retailer.transaction(ANA) as tx:
        with speaking("en"):
            tried = await try_rules(tx, Trial(channel="web", postal_code="01310100", lines=[TrialLine("B")]))
    assert tried.ending is Unfilled.DROP_SHIP
    assert any(sentence.startswith("V1 Ltda is asked to send 1 unit") for sentence in tried.sentences)
    assert len(await drops(retailer)) == 1  # nothing was asked


async def test_vendors_of_a_rule_have_to_be_vendors_and_a_vendor_sees_its_own(gate: Gate, retailer: Database):
    with pytest.raises(Invalid) as refused:
        await published(retailer, Rule(name="R", unfilled=Unfilled.DROP_SHIP, vendors=["L1", "X"]))
    assert [flaw.at for flaw in refused.value.flaws] == ["runs/0/rules/0/vendors/0", "runs/0/rules/0/vendors/1"]
    with pytest.raises(Invalid) as refused:
        await published(retailer, Rule(name="R", vendors=["V1"]))
    assert [flaw.at for flaw in refused.value.flaws] == ["runs/0/rules/0/vendors"]
    await published(retailer, DROP)
    await place(gate, 1, "B")
    (row,) = await drops(retailer)
    theirs = Actor("person", "v2", "V2", locations=frozenset({V2}))
    async with retailer.transaction(theirs) as tx:
        with pytest.raises(UnknownDrop):
            await dropping.accept(tx, row.number)
    mine = Actor("person", "v1", "V1", locations=frozenset({V1}))
    async with retailer.transaction(mine) as tx:
        assert (await dropping.accept(tx, row.number)).state is DropState.ACCEPTED
    assert UnitState.BACKORDERED.value == (await states(retailer, (await drops(retailer))[0].order_id))[0][0]


async def test_what_a_vendor_is_to_send_is_not_missing_and_what_it_refuses_is(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    await place(gate, 1, "B")
    (row,) = await drops(retailer)
    async with retailer.transaction(ANA) as tx:
        assert await short_reads.short_orders(tx) == []
        draft = await rule_sets.start_draft(tx, Content(runs=[]))
        await rule_sets.publish(tx, draft.id, draft.version)
    async with retailer.transaction(ANA) as tx:
        await dropping.refuse_drop(tx, row.number, "nothing left")
        (short,) = await short_reads.short_orders(tx)
        assert [(line.line, line.quantity) for line in short.lines] == [(1, 1)]


async def test_goods_of_an_order_leave_a_vendor_whose_own_balance_lacks_units(gate: Gate, retailer: Database):
    """What a vendor's balance lacks is not made up by goods that were never there for anybody else."""
    await published(retailer, DROP)
    await place(gate, 1, "B")
    (row,) = await drops(retailer)
    async with retailer.transaction(ANA) as tx:
        await inventory.adjust(tx, [Claim(B, V1, -2)], Reason.ADJUSTMENT, Reference("test"))
    async with retailer.transaction(ANA) as tx:
        await dropping.send(tx, row.number)
    async with retailer.snapshot() as tx:
        standing = "SELECT on_hand, allocated FROM balance WHERE sku_id = %s AND location_id = %s"
        assert await tx.tuples(standing, (B, V1)) == [(-2, 0)]


async def test_a_vendor_sends_what_somebody_lets_go_without_its_money(gate: Gate, retailer: Database):
    await published(retailer, DROP)
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE channel SET payment_policy = 'before_release'")
        await revisions.bump(tx, "network")
    placed = await place(gate, 1, "B")
    (row,) = await drops(retailer)
    async with retailer.transaction(ANA) as tx:
        with pytest.raises(DropHeld):
            await dropping.send(tx, row.number)
    async with retailer.transaction(ANA) as tx:
        await order_holds.ensure_holds(tx, {placed.id: {}}, HoldKind.PAYMENT)
        await order_holds.resolve_hold(tx, placed.id, HoldKind.PAYMENT, resolution="By invoice", force=True)
        await dropping.send(tx, row.number)
    assert [state for state, _, _ in await states(retailer, placed.id)] == ["shipped"]
