"""Orders of a Shopify shop become ours whole and to the last centavo, or wait for a person with the reason."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.shopify_rig import ShopifyRig, shopify_rig
from tests.shopify_state import ADDRESS, Order, Transaction

from malha.channels.connectors.shopify import Shopify
from malha.channels.connectors.shopify.money import decimal, minor
from malha.channels.contract import AuthExpired, Ctx, ExtOrder, ExtState, Invalid, PaidState, RateLimited, RefundState
from malha.testing.connectors import context

connector = Shopify()
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def rig() -> AsyncIterator[ShopifyRig]:
    async with shopify_rig() as made:
        yield made


def asking(rig: ShopifyRig, **config: Any) -> Ctx:
    rig.config = {**rig.config, **config}
    return context(connector, rig)


async def read(rig: ShopifyRig, order: Order, **config: Any) -> ExtOrder:
    return await connector.get_order(asking(rig, **config), str(order.id))


def adds_up(order: ExtOrder) -> bool:
    return order.total == sum(line.quantity * line.unit_price - line.discount for line in order.lines) + order.shipping


async def test_an_order_has_its_lines_money_buyer_and_address(rig: ShopifyRig):
    made = rig.shop.sell(("A", 2), ("B", 1), fields={"TAX_CREDENTIAL_BR": "123.456.789-09"})
    made.lines[0].discount = Decimal("1.50")
    made.transactions[0].amount = made.total
    order = await read(rig, made)
    assert [(line.sku, line.quantity, line.unit_price, line.discount) for line in order.lines] == [
        ("A", 2, 1_000, 150),
        ("B", 1, 1_000, 0),
    ]
    assert (order.total, order.shipping, order.currency, order.shipping_method) == (4_350, 1_500, "BRL", "standard")
    assert (order.buyer.name, order.buyer.document) == ("Maria da Silva", "12345678909")
    assert order.ship_to is not None
    assert (order.ship_to.street, order.ship_to.number, order.ship_to.state) == ("Avenida Paulista", "1000", "SP")
    assert order.state is ExtState.OPEN


@pytest.mark.parametrize("units", [1, 2, 3, 7])
@pytest.mark.parametrize("tax", ["0.01", "1.00", "2.47", "13.33"])
async def test_tax_that_is_not_in_the_prices_is_in_the_total_to_the_last_centavo(rig: ShopifyRig, units: int, tax: str):
    made = rig.shop.sell(("A", units), taxes_included=False, shipping_tax=Decimal("1.23"), tip=Decimal("3.00"))
    made.lines[0].tax, made.lines[0].discount = Decimal(tax), Decimal("0.37")
    order = await read(rig, made)
    assert order.state is ExtState.OPEN, order.status
    assert adds_up(order)
    assert order.total == minor(made.total, "BRL")
    assert order.lines[0].discount >= 0


async def test_a_total_that_its_parts_do_not_make_up_waits_for_a_person(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), taxes_included=False)
    made.shipping_tax = Decimal("2.00")
    rows = await _rows(rig, made)
    rows["totalPriceSet"]["shopMoney"]["amount"] = "25.00"
    order = connector_order(rig, rows)
    assert order.state is ExtState.UNKNOWN
    assert "+200 in minor units" in order.status


async def _rows(rig: ShopifyRig, order: Order) -> Any:
    """An order as it comes over the wire."""
    from malha.channels.connectors.shopify.asking import ask

    found = await ask(asking(rig), "get_order", {"id": f"gid://shopify/Order/{order.id}"})
    return found["order"]


def connector_order(rig: ShopifyRig, row: Any) -> ExtOrder:
    from malha.channels.connectors.shopify.orders import order_of

    return order_of(asking(rig), row)


@pytest.mark.parametrize(
    ("field", "value"),
    [("displayFinancialStatus", "ON_THE_MOON"), ("displayFinancialStatus", None), ("displayFulfillmentStatus", "LOST")],
)
async def test_a_status_of_a_later_version_is_not_guessed(rig: ShopifyRig, field: str, value: Any):
    row = await _rows(rig, rig.shop.sell(("A", 1)))
    assert connector_order(rig, row).state is ExtState.OPEN
    assert connector_order(rig, {**row, field: value}).state is ExtState.UNKNOWN


async def test_kinds_and_states_of_payments_that_are_not_known_are_said_to_be(rig: ShopifyRig):
    row = await _rows(rig, rig.shop.sell(("A", 1)))
    for field, value in (("kind", "BARTER"), ("status", "UNKNOWN"), ("status", "PONDERING")):
        row["transactions"][0] = {**row["transactions"][0], "kind": "SALE", "status": "SUCCESS", field: value}
        assert connector_order(rig, row).payments[0].state is PaidState.UNKNOWN


async def test_what_cannot_be_read_is_asked_for_again_and_holds_up_no_others(rig: ShopifyRig):
    bad, good = rig.shop.sell(("A", 1)), rig.shop.sell(("B", 1))
    bad.lines[0].unit = Decimal("10.001")
    page = await connector.pull_orders(asking(rig), None, SINCE)
    assert ([o.id for o in page.items], list(page.unread)) == ([str(good.id)], [str(bad.id)])
    with pytest.raises(Invalid, match="finer than BRL"):
        await connector.get_order(asking(rig), str(bad.id))


async def test_an_authorised_payment_is_captured_voided_or_lapses(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), pay="AUTHORIZATION")
    first = (await read(rig, made)).payments[0]
    assert (first.state, first.amount) == (PaidState.AUTHORISED, 2_500)
    before = (await read(rig, made)).version
    rig.shop.capture(made, Decimal("20.00"))
    made.updated = made.created  # within the same second
    after = await read(rig, made)
    assert (after.payments[0].state, after.payments[0].amount) == (PaidState.CAPTURED, 2_000)
    assert after.version > before, "two changes within one second are told apart"
    other = rig.shop.sell(("A", 1), pay="AUTHORIZATION")
    root = other.transactions[0]
    other.transactions.append(Transaction(rig.shop.next_id(), "VOID", root.amount, parent=root.id))
    assert (await read(rig, other)).payments[0].state is PaidState.DECLINED


async def test_of_an_authorisation_that_was_captured_in_part_and_voided_then_the_rest_is_given_up(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), pay="AUTHORIZATION")
    rig.shop.capture(made, Decimal("20.00"))
    before = await read(rig, made)
    assert not before.payments[0].given_up
    root = made.transactions[0]
    made.transactions.append(Transaction(rig.shop.next_id(), "VOID", root.amount, parent=root.id))
    after = await read(rig, made)
    found = after.payments[0]
    assert (found.state, found.amount, found.given_up) == (PaidState.CAPTURED, 2_000, True)
    assert after.version > before.version


async def test_what_nobody_began_to_pay_is_a_payment_that_is_waited_for_until_somebody_does(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), pay="")
    (waiting,) = (await read(rig, made)).payments
    assert (waiting.state, waiting.amount) == (PaidState.PENDING, 2_500)
    made.transactions.append(Transaction(rig.shop.next_id(), "SALE", made.total))
    paid, former = (await read(rig, made)).payments
    assert (paid.state, former.state, former.id) == (PaidState.CAPTURED, PaidState.DECLINED, waiting.id)


async def test_a_gift_card_and_cash_with_change_pay_what_they_pay(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), pay="")
    card = Transaction(rig.shop.next_id(), "SALE", Decimal("5.00"), gateway="gift_card")
    cash = Transaction(rig.shop.next_id(), "SALE", Decimal("50.00"), gateway="cash")
    change = Transaction(rig.shop.next_id(), "CHANGE", Decimal("30.00"), gateway="cash", parent=cash.id)
    made.transactions += [card, cash, change]
    paid = [(p.method, p.amount) for p in (await read(rig, made)).payments if p.state is PaidState.CAPTURED]
    assert paid == [("gift_card", 500), ("cash", 2_000)]


@pytest.mark.parametrize(
    ("more", "document"),
    [
        ({"fields": {"TAX_CREDENTIAL_BR": "12.345.678/0001-95"}}, "12345678000195"),
        ({"attributes": {"CPF": "123.456.789-09"}}, "12345678909"),
        ({"attributes": {"cpf/cnpj": "12ABC34501DE35"}}, "12ABC34501DE35"),
        ({"attributes": {"gift": "12345678909"}}, None),
        ({"attributes": {"cpf": "see below"}}, None),
        ({"address": {**ADDRESS, "company": "123.456.789-09"}}, "12345678909"),
        ({"address": {**ADDRESS, "company": "Casa Ltda"}}, None),
        ({"fields": {"TAX_CREDENTIAL_BR": "12345678909"}, "attributes": {"cpf": "98765432100"}}, "12345678909"),
    ],
)
async def test_a_document_is_found_where_shops_of_brazil_ask_for_it(rig: ShopifyRig, more: Any, document: str | None):
    assert (await read(rig, rig.shop.sell(("A", 1), **more))).buyer.document == document


async def test_what_shopify_keeps_of_an_order_besides_comes_under_its_own_names(rig: ShopifyRig):
    made = rig.shop.sell(
        ("A", 1), fields={"TAX_CREDENTIAL_BR": "12345678909"}, attributes={"gift": "yes"}, buyer_note="Oi"
    )
    made.lines[0].attributes = {"Gravação": "Ana & Zé"}
    order = await read(rig, made)
    assert order.note == "Oi"
    assert order.attributes == {"TAX_CREDENTIAL_BR": "12345678909", "gift": "yes"}
    assert order.lines[0].attributes == {"Gravação": "Ana & Zé"}


async def test_an_address_that_shopify_keeps_in_one_line_is_taken_apart(rig: ShopifyRig):
    parts = {"address1": "Rua Augusta,\u2060 99", "address2": "bloco 2,\u2060 Consolação"}
    order = await read(rig, rig.shop.sell(("A", 1), address={**ADDRESS, **parts}))
    assert order.ship_to is not None
    said = (order.ship_to.street, order.ship_to.number, order.ship_to.complement, order.ship_to.district)
    assert said == ("Rua Augusta", "99", "bloco 2", "Consolação")


async def test_orders_of_the_till_wait_or_are_left_or_taken_as_it_was_said(rig: ShopifyRig):
    till, web = rig.shop.sell(("A", 1), source="pos"), rig.shop.sell(("A", 1))
    parked = {o.id: o for o in (await connector.pull_orders(asking(rig), None, SINCE)).items}
    assert parked[str(till.id)].state is ExtState.UNKNOWN
    left = await connector.pull_orders(asking(rig, pos_orders="leave"), None, SINCE)
    assert [o.id for o in left.items] == [str(web.id)]
    day = await connector.summarise(asking(rig), date(2026, 11, 27), "America/Sao_Paulo")
    assert list(day.ids or ()) == [str(web.id)], "what is not told is not counted"
    taken = await connector.pull_orders(asking(rig, pos_orders="take"), None, SINCE)
    assert {o.state for o in taken.items} == {ExtState.OPEN}


async def test_a_test_order_is_never_sent(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), test=True)
    assert (await connector.pull_orders(asking(rig), None, SINCE)).items == []
    assert (await read(rig, made)).state is ExtState.UNKNOWN, "nor when a webhook told of it"
    assert (await read(rig, made, test_orders=True)).state is ExtState.OPEN


async def test_a_pickup_is_at_our_location_or_waits(rig: ShopifyRig):
    made = rig.shop.sell(("A", 1), method="PICK_UP", location=12)
    assert (await read(rig, made)).state is ExtState.UNKNOWN
    order = await read(rig, made, locations={"LOJA-1": "12"})
    assert (order.pickup_location, order.state, order.shipping_method) == ("LOJA-1", ExtState.OPEN, "")


async def test_units_that_an_edit_took_out_are_gone_and_those_paid_back_are_not(rig: ShopifyRig):
    made = rig.shop.sell(("A", 3), ("B", 2))
    rig.shop.edit(made, 0, 1)
    order = await read(rig, made)
    assert [(line.sku, line.quantity) for line in order.lines] == [("A", 2), ("B", 2)]
    assert (order.state, adds_up(order)) == (ExtState.OPEN, True), order.status
    line = made.lines[1]
    line.removed, line.refunded = 1, 1
    rig.shop._take_out(made, line, 1)
    from tests.shopify_state import Refund

    made.refunds.append(Refund(rig.shop.next_id(), "", [(line, 1)], Decimal(0)))
    order = await read(rig, made)
    assert [(each.sku, each.quantity) for each in order.lines] == [("A", 2), ("B", 2)]
    assert adds_up(order)


async def test_units_that_staff_took_off_before_they_left_are_cancelled_however_they_restocked(rig: ShopifyRig):
    made = rig.shop.sell(("A", 6), ("B", 2))
    sold = await read(rig, made)
    rig.shop.send(made, 0, 2)
    rig.shop.give_back(made, "10.00", units=1, restock="CANCEL")
    rig.shop.give_back(made, units=2, restock="NO_RESTOCK")
    rig.shop.give_back(made, units=1, n=1, restock="CANCEL")
    order = await read(rig, made)
    assert [(line.quantity, line.cancelled) for line in order.lines] == [(6, 3), (2, 1)]
    assert (order.total, order.sent, order.state) == (sold.total, True, ExtState.OPEN)
    assert order.version > sold.version
    day = await connector.summarise(asking(rig), date(2026, 11, 27), "America/Sao_Paulo")
    assert (day.total, day.refunds) == ((sold.total or 0) - 4_000, {str(made.id): 1_000})


async def test_units_that_came_back_or_were_paid_back_after_they_left_are_no_cancel(rig: ShopifyRig):
    made = rig.shop.sell(("A", 4))
    rig.shop.send(made, 0, 4)
    rig.shop.give_back(made, "10.00", units=1, restock="RETURN")
    rig.shop.give_back(made, "10.00", units=1, restock="NO_RESTOCK")
    order = await read(rig, made)
    assert [(line.quantity, line.cancelled) for line in order.lines] == [(4, 0)]
    assert [refund.amount for refund in order.refunds] == [1_000, 1_000]
    day = await connector.summarise(asking(rig), date(2026, 11, 27), "America/Sao_Paulo")
    assert day.total == order.total, "money that went back is told apart, and off no total"
    assert day.refunds == {order.id: 2_000}


async def test_units_that_an_edit_took_out_are_not_taken_for_cancelled_ones(rig: ShopifyRig):
    made = rig.shop.sell(("A", 5))
    rig.shop.edit(made, 0, 1)
    rig.shop.give_back(made, units=1, restock="NO_RESTOCK")
    order = await read(rig, made)
    assert [(line.quantity, line.cancelled) for line in order.lines] == [(4, 1)]
    assert adds_up(order)


async def test_an_order_of_which_staff_left_nothing_is_not_counted(rig: ShopifyRig):
    made, other = rig.shop.sell(("A", 2)), rig.shop.sell(("A", 1))
    rig.shop.give_back(made, units=2)
    day = await connector.summarise(asking(rig), date(2026, 11, 27), "America/Sao_Paulo")
    assert list(day.ids or ()) == [str(other.id)]


async def test_money_that_went_back_is_of_the_payment_that_it_came_by_and_as_far_as_shopify_says(rig: ShopifyRig):
    made = rig.shop.sell(("A", 2), pay="AUTHORIZATION")
    rig.shop.capture(made)
    rig.shop.give_back(made, "3.00")
    rig.shop.give_back(made, "2.00")
    for transaction, status in zip(made.transactions[2:], ("SUCCESS", "PENDING"), strict=True):
        transaction.status = status
    order = await read(rig, made)
    assert [(r.amount, r.state, r.payment) for r in order.refunds] == [
        (300, RefundState.DONE, order.payments[0].id),
        (200, RefundState.PENDING, order.payments[0].id),
    ]
    made.refunds.pop()  # the shop of the tests counts what was done
    made.transactions[3].status = "FAILURE"
    assert (await read(rig, made)).refunds[1].state is RefundState.FAILED
    made.transactions[3].status = "UNKNOWN"
    assert (await read(rig, made)).refunds[1].state is RefundState.UNKNOWN


async def test_an_order_with_more_lines_than_come_at_once_is_whole(rig: ShopifyRig):
    for n in range(130):
        rig.shop.list(f"MANY-{n}")
    made = rig.shop.sell(*[(f"MANY-{n}", 1 + n % 3) for n in range(130)])
    page = await connector.pull_orders(asking(rig), None, SINCE)
    (order,) = page.items
    assert [line.sku for line in order.lines] == [f"MANY-{n}" for n in range(130)]
    assert adds_up(order)
    assert order.total == minor(made.total, "BRL")


async def test_an_order_with_many_payments_has_them_all(rig: ShopifyRig):
    made = rig.shop.sell(("A", 10), pay="")
    made.transactions += [Transaction(rig.shop.next_id(), "SALE", Decimal("1.00")) for _ in range(40)]
    order = await read(rig, made)
    assert sum(p.amount for p in order.payments if p.state is PaidState.CAPTURED) == 4_000


# --- points ---


async def test_who_asks_for_more_than_there_is_waits_as_long_as_the_bucket_needs(rig: ShopifyRig):
    rig.shop.sell(("A", 1))
    rig.shop.restore = 50.0
    rig.shop.points = 0.0
    ctx = asking(rig)
    with pytest.raises(RateLimited) as caught:
        await connector.pull_orders(ctx, None, SINCE)
    asked = rig.shop._cost(0)["cost"]["throttleStatus"]
    assert caught.value.after is not None
    assert 0 < caught.value.after < 10
    assert asked["restoreRate"] == 50.0
    assert ctx.http.left == 0, "the budget of the connection hears of it"  # type: ignore[attr-defined]
    rig.shop.points = 10_000_000
    assert len((await connector.pull_orders(ctx, None, SINCE)).items) == 1


async def test_every_answer_tells_the_budget_how_many_more_such_requests_there_are(rig: ShopifyRig):
    rig.shop.most_points = rig.shop.points = 2_000
    rig.shop.restore = 0.0
    ctx = asking(rig)
    await connector.check(ctx)
    first = ctx.http.left  # type: ignore[attr-defined]
    await connector.check(ctx)
    assert 0 < ctx.http.left < first  # type: ignore[attr-defined]


async def test_what_is_too_dear_at_once_is_asked_for_in_parts(rig: ShopifyRig):
    made = [rig.shop.sell(("A", 1)) for _ in range(9)]
    page = await connector.pull_orders(asking(rig, page=100), None, SINCE)
    assert [o.id for o in page.items] == [str(o.id) for o in made]
    assert rig.shop.dear > 0, "it was refused at first"


async def test_what_the_token_may_not_do_is_said_so(rig: ShopifyRig):
    rig.shop.scopes = ["read_orders"]
    health = await connector.check(asking(rig))
    assert not health.ok
    assert "write_orders" in health.says
    rig.shop.scopes = ["write_orders", "write_products", "write_inventory", "read_locations"]
    assert "merchant_managed" in (await connector.check(asking(rig))).says
    rig.config = {**rig.config, "shop": "other.myshopify.com"}
    assert "not of other" in (await connector.check(asking(rig))).says
    rig.config = {**rig.config, "shop": "loja.myshopify.com", "location": "99"}
    rig.shop.scopes.append("write_merchant_managed_fulfillment_orders")
    health = await connector.check(asking(rig))
    assert (health.says, health.facts["orders"][:3]) == ("There is no location 99.", "of ")
    assert "write_files" in health.facts["pictures that left"]
    wrong = {**rig.secrets, "access_token": "shpat_wrong"}
    rig.secrets = wrong
    with pytest.raises(AuthExpired):
        await connector.check(asking(rig))


# --- amounts ---


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("10.00", "BRL", 1_000),
        ("10.0", "BRL", 1_000),
        ("0.01", "USD", 1),
        ("12990.0", "JPY", 12_990),
        ("1.234", "KWD", 1_234),
    ],
)
def test_amounts_are_whole_minor_units_and_go_back_as_they_came(amount: str, currency: str, units: int):
    assert minor(amount, currency) == units
    assert Decimal(decimal(units, currency)) == Decimal(amount)


@pytest.mark.parametrize("amount", ["", "ten", "1.005", "NaN", "Infinity", None, "1e400"])
def test_what_is_no_amount_is_refused(amount: Any):
    with pytest.raises(Invalid):
        minor(amount, "BRL")


def test_a_configuration_names_a_shop_and_a_location():
    for config in (
        {"shop": "loja.example"},
        {"shop": "loja.myshopify.com"},
        {"shop": "evil.com/loja.myshopify.com", "location": "1"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(config, connector.config_model)
