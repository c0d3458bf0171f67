"""Another SKU in the place of one that cannot be had: named by the product, reserved at once, never dearer."""

import asyncio

import pytest

from malha.catalog import reads as catalog
from malha.catalog import service as products
from malha.catalog.model import ProductDraft, Substitute, VariantDraft
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason, Short
from malha.intake import availability, substituting
from malha.intake.reference import reference_in
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import holds as order_holds
from malha.ordering import reads as orders
from malha.ordering import service as ordering
from malha.ordering.errors import LineNotFound, NotASubstitute, NothingWaits, ReplacedUnpaid, SubstituteNotFree
from malha.ordering.model import HoldKind, UnitState
from malha.payments import service as payments
from malha.platform.flaws import Invalid
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

NAME = """
INSERT INTO variant_substitute (variant_id, substitute_id, position, both_ways)
VALUES (%(of)s::int, %(by)s::int, %(position)s::smallint, %(both)s::boolean)
"""


async def name(tx, of, by, *, position=0, both=False):
    await tx.execute(NAME, {"of": of, "by": by, "position": position, "both": both})


class Shop:
    """A red cup that is sold out, a blue one that may stand in for it, at ten reais each unless said."""


@pytest.fixture
async def shop(database):
    made = Shop()
    async with database.transaction() as tx:
        made.world = await a_network(tx)
        made.red = await a_product(tx, made.world, "RED")
        made.blue = await a_product(tx, made.world, "BLUE", stock={"DC": 3}, price=1500)
        made.green = await a_product(tx, made.world, "GREEN", stock={"DC": 5}, price=700)
        await name(tx, made.red, made.blue)
        await name(tx, made.red, made.green, position=1)
    yield made
    report = await examine(database)
    assert report.healthy, [line for f in report.findings for line in (f.check, *f.lines("en"))]


async def waiting(tx, shop, quantity=2, **more):
    return await an_order(
        tx, shop.world, [Sold(shop.red, quantity, at=None, **more)], channel="mall", holds=[HoldKind.SHORTAGE]
    )


async def payable(tx, order_id):
    return (await ordering.look_at(tx, order_id)).payable


async def free(tx, sku):
    return sum(a.free for a in await stock.availability(tx, [sku]))


# --- choosing ---


async def test_an_order_that_waits_offers_what_its_product_names_and_there_is(database, shop):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop)
        (choice,) = await substituting.choices(tx, order_id)
    assert (choice.line, choice.sku, choice.waiting) == (1, "RED", 2)
    assert [(one.sku, one.available, one.price) for one in choice.substitutes] == [("BLUE", 3, 1500), ("GREEN", 5, 700)]


async def test_what_goes_both_ways_is_offered_the_other_way_round_too(database, shop):
    async with database.transaction() as tx:
        other = await a_product(tx, shop.world, "WHITE", stock={"DC": 1})
        await name(tx, other, shop.red, both=True)
        found = await catalog.substitutes_of(tx, [shop.red, shop.blue, other])
    assert [card.sku for card in found[shop.red]] == ["BLUE", "GREEN", "WHITE"]
    assert found[shop.blue] == []  # the red cup names it, not the other way round
    assert [card.sku for card in found[other]] == ["RED"]


async def test_what_is_off_sale_or_sold_out_is_not_offered(database, shop):
    async with database.transaction() as tx:
        await tx.execute("UPDATE variant SET active = false WHERE id = %(id)s", {"id": shop.green})
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'catalog'")
        await inventory.set_on_hand(tx, [Claim(shop.blue, shop.world.locations["DC"], 0)], Reference("test"))
        order_id = await waiting(tx, shop)
        assert await substituting.choices(tx, order_id) == []


async def test_a_customer_who_collects_is_offered_what_the_counter_has(database, shop):
    async with database.transaction() as tx:
        order_id = await an_order(
            tx, shop.world, [Sold(shop.red, at=None)], channel="mall", method="pickup", holds=[HoldKind.SHORTAGE]
        )
        assert await substituting.choices(tx, order_id) == []
        await inventory.receive(tx, [Claim(shop.green, shop.world.locations["S1"], 1)], Reference("test"))
        (choice,) = await substituting.choices(tx, order_id)
    assert [(one.sku, one.available) for one in choice.substitutes] == [("GREEN", 1)]


async def test_an_answer_on_availability_names_substitutes(database, shop):
    async with database.transaction() as tx:
        reference = await reference_in(tx)
        found = await substituting.available(tx, reference, reference.channels["web"], {shop.red})
        told = await availability.offers(tx, reference, reference.channels["web"], await reference.cards(tx, {"RED"}))
    assert told.skus[0].available == 0
    assert [one.sku for one in found[shop.red]] == ["BLUE", "GREEN"]


# --- replacing ---


async def test_a_dearer_substitute_is_reserved_at_the_price_that_was_ordered(database, shop):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop)
        before = await payable(tx, order_id)
    async with database.transaction() as tx:
        done = await substituting.replace(tx, order_id, 1, "BLUE")
        assert (done.by_line, done.quantity, done.amount) == (2, 2, 0)
    async with database.transaction() as tx:
        assert await payable(tx, order_id) == before
        assert await free(tx, shop.blue) == 1
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        holds = (await ordering.open_holds(tx, [order_id]))[order_id]
        lines = await orders.lines(tx, order_id)
    assert [(u.line, u.sku_id, u.quantity, u.state) for u in units] == [
        (1, shop.red, 2, UnitState.CANCELLED),
        (2, shop.blue, 2, UnitState.ALLOCATED),
    ]
    assert holds == {}
    assert [(row.sku, row.quantity, row.replaces) for row in lines] == [("RED", 2, None), ("BLUE", 2, 1)]


async def test_a_cheaper_substitute_costs_its_own_price_and_the_difference_is_due(database, shop):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop)
        done = await substituting.replace(tx, order_id, 1, "GREEN")
        await payments.restate(tx, [order_id])
        standing = await payments.standing(tx, order_id)
    assert done.amount == 600
    assert (standing.payable, standing.refund_due) == (1400, 600)


async def test_some_of_the_units_can_be_replaced_and_the_rest_waits_on(database, shop):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop, 4)
        await substituting.replace(tx, order_id, 1, "BLUE", 3)
        (choice,) = await substituting.choices(tx, order_id)
        holds = (await ordering.open_holds(tx, [order_id]))[order_id]
    assert choice.waiting == 1
    assert HoldKind.SHORTAGE in holds


async def test_what_a_picker_did_not_find_anywhere_is_replaced(database, shop):
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(shop.red, shop.world.locations["S1"], 1)], Reference("test"))
        order_id = await an_order(tx, shop.world, [Sold(shop.red, 1, at="S1")], channel="mall")
        (work,) = await fulfillment.release_order(tx, order_id)
        with pytest.raises(NothingWaits):
            await substituting.replace(tx, order_id, 1, "BLUE", 1)  # a location has it in hand
        await fulfillment.confirm_pick(tx, work.id, [], [Short(1, 1, RejectReason.NOT_IN_STOCK)])
    async with database.transaction() as tx:
        await substituting.replace(tx, order_id, 1, "BLUE")
        assert (await ordering.look_at(tx, order_id)).status == "allocated"
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id)
    async with database.transaction() as tx:
        with pytest.raises(NothingWaits):
            await substituting.replace(tx, order_id, 2, "GREEN", 1)


async def test_kits_stand_in_whole_and_are_replaced_whole(database, shop):
    async with database.transaction() as tx:
        plate = await a_product(tx, shop.world, "PLATE", stock={"S1": 9})
        kit = await a_product(tx, shop.world, "SET", components={shop.blue: 1, plate: 2}, price=4000)
        other = await a_product(tx, shop.world, "PAIR", components={shop.green: 2, shop.blue: 1}, price=4000)
        await name(tx, kit, other)
        order_id = await an_order(
            tx, shop.world, [Sold(kit, 1, price=4000, at=None)], channel="mall", holds=[HoldKind.SHORTAGE]
        )
        await substituting.replace(tx, order_id, 1, "PAIR")
        units = (await ordering.units_of(tx, [order_id]))[order_id]
    assert sorted((u.sku_id, u.quantity, u.state.value) for u in units if u.line == 2) == sorted(
        [(shop.blue, 1, "allocated"), (shop.green, 2, "allocated")]
    )
    assert {u.state for u in units if u.line == 1} == {UnitState.CANCELLED}


async def test_what_is_no_substitute_or_not_there_is_refused_and_changes_nothing(database, shop):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop, 4)
        stood = await ordering.look_at(tx, order_id)
    for sku, line, quantity, refusal in (
        ("RED", 1, 1, NotASubstitute),
        ("NONE", 1, 1, NotASubstitute),
        ("BLUE", 9, 1, LineNotFound),
        ("BLUE", 1, 5, NothingWaits),
        ("BLUE", 1, 4, SubstituteNotFree),
    ):
        with pytest.raises(refusal):
            async with database.transaction() as tx:
                await substituting.replace(tx, order_id, line, sku, quantity)
    async with database.transaction() as tx:
        assert await ordering.look_at(tx, order_id) == stood
        assert await free(tx, shop.blue) == 3


async def test_whose_time_to_pay_is_over_gets_no_substitute_before_the_money_comes(database, shop):
    async with database.transaction() as tx:
        order_id = await an_order(
            tx, shop.world, [Sold(shop.red, at=None)], paid="pending",
            holds=[HoldKind.PAYMENT, HoldKind.PAYMENT_LAPSED],
        )  # fmt: skip
        assert await substituting.choices(tx, order_id) == []
        with pytest.raises(ReplacedUnpaid):
            await substituting.replace(tx, order_id, 1, "BLUE")
    async with database.transaction() as tx:
        await order_holds.lift_holds(tx, [order_id], HoldKind.PAYMENT_LAPSED, "late money")
        await substituting.replace(tx, order_id, 1, "BLUE")


async def test_the_customer_is_told_once_and_the_trail_keeps_it(database, shop, mail_set_up):
    async with database.transaction() as tx:
        order_id = await waiting(tx, shop)
        await tx.execute("UPDATE sales_order SET buyer_email = 'maria@example.com'")
        await substituting.replace(tx, order_id, 1, "GREEN")
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        told = await tx.tuples("SELECT kind, facts FROM message WHERE kind IN ('replaced', 'cancelled_in_part')")
        events = await tx.values("SELECT type FROM order_timeline ORDER BY seq")
        found = await tx.value("SELECT document FROM order_search")
    assert [kind for kind, _ in told] == ["replaced"]
    # Nothing could be promised while its goods had no place: now a day can.
    assert events[-3:] == ["order.routed", "order.hold_resolved", "order.repromised"]
    assert "order.line_replaced" in events
    assert "green" in found


async def test_two_who_want_the_last_substitute_do_not_both_get_it(database, shop):
    async with database.transaction() as tx:
        wanted = [await waiting(tx, shop, 2) for _ in range(6)]

    async def one(order_id):
        try:
            async with database.transaction() as tx:
                await substituting.replace(tx, order_id, 1, "BLUE")
        except SubstituteNotFree:
            return 0
        return 1

    got = await asyncio.gather(*(one(order_id) for order_id in wanted))
    assert sum(got) == 1  # three there are, two each wants
    async with database.transaction() as tx:
        assert await free(tx, shop.blue) == 1


# --- naming them ---


async def test_a_product_names_substitutes_and_keeps_them_where_nothing_is_said(database):
    def draft(*named, said=True):
        substitutes = list(named) if said else None
        variants = [VariantDraft(sku="A", substitutes=substitutes), VariantDraft(sku="B"), VariantDraft(sku="C")]
        return ProductDraft(code="P", name="P", options=["n"], variants=[
            VariantDraft(**{f: getattr(v, f) for f in v.__struct_fields__} | {"options": {"n": v.sku}})
            for v in variants
        ])  # fmt: skip

    async def named():
        async with database.transaction() as tx:
            product = await catalog.product_by_code(tx, "P")
        return next(v.substitutes for v in product.variants if v.sku == "A")

    both = Substitute("C", both_ways=True)
    async with database.transaction() as tx:
        await products.put_products(tx, [draft(both, Substitute("B"))])
    assert await named() == [both, Substitute("B")]
    async with database.transaction() as tx:
        await products.put_products(tx, [draft(said=False)])
    assert await named() == [both, Substitute("B")]
    async with database.transaction() as tx:
        await products.put_products(tx, [draft(Substitute("B"))])
    assert await named() == [Substitute("B")]
    for wrong in ([Substitute("A")], [Substitute("B"), Substitute("B")], [Substitute("NONE")]):
        with pytest.raises(Invalid):
            async with database.transaction() as tx:
                await products.put_products(tx, [draft(*wrong)])
