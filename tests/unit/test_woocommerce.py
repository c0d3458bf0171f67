"""What the WooCommerce connector makes of a shop: seconds, decimals, documents, statuses, parcels, refunds, webhooks.

Each request is judged by the recorded index, and what must not be lost by checks of its own, not by the simulator.
"""

import base64
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.woocommerce_sim import BEGIN, KEY, SECRET, WEBHOOK_SECRET, WooSim, woocommerce_sim
from tests.woocommerce_spec import watched_sim

from malha.channels.connectors.woocommerce.connector import WooCommerce
from malha.channels.connectors.woocommerce.money import digits_of, minor_of, text_of
from malha.channels.contract import (
    CancelPush,
    Ctx,
    ExtOrder,
    ExtState,
    Invalid,
    Missing,
    Ok,
    PaidState,
    Ping,
    PricePush,
    ProductPush,
    RawRequest,
    RefundPush,
    Rejected,
    Reply,
    Retryable,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Trust,
    Unsure,
    Verified,
)
from malha.platform.money import CURRENCY_DIGITS
from malha.testing.connectors import context

pytestmark = pytest.mark.shared

PARCEL = "019a0000-0000-7000-8000-000000000001"
SECOND_PARCEL = "019a0000-0000-7000-8000-000000000002"
A_KEY = "5f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d11"
B_KEY = "5f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d12"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
woo = WooCommerce()


class Rig:
    """What `context` of the kit needs of a shop."""

    def __init__(self, shop: WooSim, config: Mapping[str, Any]) -> None:
        self.config = {"base_url": shop.url, "page": 4, **config}
        self.secrets = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": WEBHOOK_SECRET}
        self.allowed = [shop.allowed]


@pytest.fixture
async def shop() -> AsyncIterator[WooSim]:
    async with watched_sim() as made:
        yield made


def at(shop: WooSim, **config: Any) -> Ctx:
    return context(woo, Rig(shop, config))  # type: ignore[arg-type]


async def sweep(ctx: Ctx, cursor: str | None = None) -> tuple[list[ExtOrder], str]:
    found: list[ExtOrder] = []
    for _ in range(200):
        page = await woo.pull_orders(ctx, cursor, None if cursor else AT - timedelta(days=30))
        found += page.items
        cursor = page.cursor
        if not page.more:
            return found, cursor
    pytest.fail("the pages have no end")


def parcel(order: str, *lines: ShippedLine, shipment: str = PARCEL, carrier: str = "Correios") -> ShipmentPush:
    return ShipmentPush(
        order=order, shipment=shipment, lines=lines, carrier=carrier, tracking=f"BR{shipment[-1]}", shipped_at=AT
    )


async def lines_of(ctx: Ctx, order: str) -> list[ShippedLine]:
    return [ShippedLine(line.sku, line.quantity, line.id) for line in (await woo.get_order(ctx, order)).lines]


def meta_of(shop: WooSim, order: str) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in shop.orders[int(order)]["meta_data"]}


# --- who asks ---


async def test_over_https_a_key_goes_as_basic_and_never_into_the_address():
    class Heard:
        async def send(self, method: str, url: str, **more: Any) -> Reply:
            self.url, self.headers = url, more["headers"]
            return Reply(404, {}, b'{"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID."}')

    async with woocommerce_sim() as shop:
        ctx = at(shop, base_url="https://shop.example/loja/")
    heard = Heard()
    with pytest.raises(Missing):
        await woo.get_order(msgspec.structs.replace(ctx, http=heard), "7")
    assert heard.url == "https://shop.example/loja/wp-json/wc/v3/orders/7?dp=2"
    assert base64.b64decode(heard.headers["authorization"].removeprefix("Basic ")) == f"{KEY}:{SECRET}".encode()


async def test_a_shop_whose_plugin_is_away_is_asked_again_later(shop: WooSim):
    order = shop.sell()
    shop.plugged = False
    with pytest.raises(Retryable):
        await woo.get_order(at(shop), order)


async def test_words_that_need_quoting_are_signed_as_the_shop_reads_them(shop: WooSim):
    shop.offer("A+B ~ç&=%", stock=1)
    update = StockUpdate(sku="x", code="A+B ~ç&=%", quantity=9, version=1, changed_at=AT)
    assert await woo.set_stock(at(shop), [update]) == [Ok("101")]
    assert shop.stock("A+B ~ç&=%") == 9


# --- check ---


async def test_a_check_tells_of_a_webhook_that_was_disabled(shop: WooSim):
    hook = {"topic": "order.updated", "delivery_url": "https://malha.example/in/kit"}
    shop.hooks = [{"id": 1, "status": "active", **hook}, {"id": 2, "status": "disabled", **hook}]
    shop.hooks.append({"id": 3, "status": "disabled", **hook, "delivery_url": "https://other.example/"})
    health = await woo.check(at(shop))
    assert (health.ok, "2 (order.updated) is disabled" in health.says) == (False, True)
    assert "3 (" not in health.says
    shop.hooks[1]["status"] = "active"
    assert (await woo.check(at(shop))).ok


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [("woocommerce_currency", "USD", "sells in USD"), ("woocommerce_price_num_decimals", "4", "4 decimals")],
)
async def test_a_check_refuses_another_currency_and_finer_decimals(shop: WooSim, setting: str, value: str, says: str):
    shop.settings[setting] = value
    health = await woo.check(at(shop))
    assert (health.ok, says in health.says) == (False, True)


# --- money ---


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("19.90", "BRL", 1990),
        ("0.1", "BRL", 10),
        ("12990", "JPY", 12990),
        ("12.345", "KWD", 12345),
        ("-5.00", "USD", -500),
    ],
)
def test_decimals_are_minor_units_exactly(text: str, currency: str, minor: int):
    assert minor_of(text, currency) == minor
    assert minor_of(text_of(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("19.905", "BRL"), ("0.5", "JPY"), ("abc", "BRL"), ("NaN", "BRL"), ("1e999999", "BRL"), ("Infinity", "BRL")],
)
def test_what_is_no_exact_amount_is_refused(text: str, currency: str):
    with pytest.raises(Invalid):
        minor_of(text, currency)


def test_currencies_have_the_decimals_that_malha_knows():
    assert {currency: digits_of(currency) for currency in CURRENCY_DIGITS} == CURRENCY_DIGITS


# --- an order ---


async def test_an_order_has_its_taxes_in_and_its_coupons_as_discounts(shop: WooSim):
    shop.offer("A", "10.00")
    order = shop.sell(("A", 3))
    line = shop.orders[int(order)]["line_items"][0]
    line |= {"subtotal": "30.00", "subtotal_tax": "3.01", "total": "27.00", "total_tax": "2.71"}
    shop.touch(
        order,
        total="50.30",
        shipping_tax="1.50",
        fee_lines=[
            {"id": 1, "name": "Embalagem", "total": "5.00", "total_tax": "0.00"},
            {"id": 2, "total": "-0.90", "total_tax": "0.00"},
        ],
        coupon_lines=[{"id": 3, "code": "natal", "discount": "3.00"}],
    )
    shop.orders[int(order)]["shipping_lines"][0]["total_tax"] = "-0.01"
    said = await woo.get_order(at(shop), order)
    (found,) = said.lines
    assert found.quantity * found.unit_price - found.discount == 2971
    assert (found.unit_price, found.discount) == (1101, 332)
    assert (said.total, said.discount) == (5030, 90)
    # 29.71 + 14.99 + 5.00 - 0.90 is 48.80; the shop says 50.30, which is no matter of rounding: the gate will ask.
    assert said.shipping == 1499 + 500
    shop.touch(order, total="48.82")
    said = await woo.get_order(at(shop), order)
    assert (
        sum(x.quantity * x.unit_price - x.discount for x in said.lines) + said.shipping - said.discount
        == said.total
        == 4882
    )


async def test_what_the_shop_keeps_of_an_order_besides_comes_under_its_own_names(shop: WooSim):
    made = shop.sell(customer_note="Deixar na portaria")
    order = shop.orders[int(made)]
    order["meta_data"] += [
        {"id": 8, "key": "_gift", "value": 1},
        {"id": 9, "key": "_parts", "value": {"a": "b"}},
        {"id": 10, "key": "_gift", "value": "yes "},
    ]
    order["line_items"][0]["meta_data"] = [{"id": 11, "key": "Gravação", "value": "Ana & Zé"}]
    said = await woo.get_order(at(shop), made)
    assert said.note == "Deixar na portaria"
    assert said.attributes["_gift"] == "yes"
    assert said.attributes["_billing_cpf"] == "529.982.247-25"
    assert said.attributes["billing.email"] == "maria@example.com"
    assert "_parts" not in said.attributes
    assert said.lines[0].attributes == {"Gravação": "Ana & Zé"}


async def test_documents_numbers_and_districts_are_where_brazilian_checkouts_put_them(shop: WooSim):
    person = shop.sell()
    said = await woo.get_order(at(shop), person)
    assert (said.buyer.document, said.buyer.name) == ("529.982.247-25", "Maria da Silva")
    assert said.ship_to is not None
    assert (said.ship_to.street, said.ship_to.number, said.ship_to.district) == (
        "Avenida Paulista",
        "1000",
        "Bela Vista",
    )
    assert (said.ship_to.postal_code, said.ship_to.complement) == ("01310-100", "ap. 12")

    billing = {
        **shop.orders[int(person)]["billing"],
        "persontype": "2",
        "cnpj": "11.222.333/0001-81",
        "company": "Loja SA",
    }
    meta = [
        {"id": 1, "key": "_billing_persontype", "value": "2"},
        {"id": 2, "key": "_billing_cnpj", "value": "11222333000181"},
    ]
    for more in ({"billing": billing}, {"meta_data": meta, "billing": {**billing, "persontype": "", "cnpj": ""}}):
        company = await woo.get_order(at(shop), shop.sell(**more))
        assert company.buyer.document in {"11.222.333/0001-81", "11222333000181"}
        assert company.buyer.name == "Loja SA"

    bare = {**billing, "address_1": "Rua das Flores, 12", "persontype": ""}
    elsewhere = await woo.get_order(at(shop), shop.sell(meta_data=[], billing=bare))
    assert elsewhere.ship_to is not None
    assert (elsewhere.ship_to.street, elsewhere.ship_to.number) == ("Rua das Flores", "12")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", ExtState.OPEN), ("on-hold", ExtState.OPEN), ("processing", ExtState.OPEN), ("failed", ExtState.OPEN),
        ("cancelled", ExtState.CANCELLED), ("refunded", ExtState.CANCELLED), ("completed", ExtState.UNKNOWN),
        ("em-separacao", ExtState.UNKNOWN), ("trash", ExtState.UNKNOWN),
    ],
)  # fmt: skip
async def test_a_status_that_malha_did_not_set_and_does_not_know_is_for_a_person(
    shop: WooSim, status: str, state: ExtState
):
    said = await woo.get_order(at(shop), shop.sell(status=status, paid=status not in {"pending", "failed", "on-hold"}))
    assert (said.state, said.status) == (state, status)
    unpaid = status in {"pending", "failed", "on-hold"}
    assert said.payments[0].state is (PaidState.PENDING if unpaid else PaidState.CAPTURED)


async def test_an_order_that_nobody_pays_is_never_taken_for_paid(shop: WooSim):
    """One that failed is awaited, not declined: without a payment that is waited for it would be sent."""
    (payment,) = (await woo.get_order(at(shop), shop.sell(status="failed", paid=False))).payments
    assert (payment.state, payment.amount) == (PaidState.PENDING, 3500 - 1000)


async def test_local_pickup_goes_to_the_location_of_the_settings(shop: WooSim):
    order = shop.sell()
    shop.orders[int(order)]["shipping_lines"][0]["method_id"] = "local_pickup"
    assert (await woo.get_order(at(shop, pickup_location="LOJA-1"), order)).pickup_location == "LOJA-1"
    plain = await woo.get_order(at(shop), order)
    assert (plain.pickup_location, plain.shipping_method) == ("", "local_pickup:1")


async def test_an_order_that_cannot_be_read_holds_up_no_others(shop: WooSim):
    broken, good = shop.sell(), shop.sell()
    shop.orders[int(broken)]["line_items"][0]["quantity"] = 1.5
    page = await woo.pull_orders(at(shop), None, None)
    assert ([o.id for o in page.items], list(page.unread)) == ([good], [broken])


# --- seconds ---


async def test_what_changes_twice_within_a_second_is_told_as_it_ends(shop: WooSim):
    shop.ahead = 0  # the second is not over when it is read
    order = shop.sell(status="pending", paid=False)
    first, cursor = await sweep(at(shop))
    shop.orders[int(order)]["billing"]["postcode"] = "04538-132"  # without another time of change
    assert await sweep(at(shop), cursor) == ([], cursor), "it looks the same"
    shop.orders[int(order)] |= {"status": "processing"}
    second, cursor = await sweep(at(shop), cursor)
    shop.ahead = 60
    last, cursor = await sweep(at(shop), cursor)
    told = [*first, *second, *last]
    assert [o.status for o in told] == ["pending", "processing", "processing"]
    assert [o.version for o in told] == sorted({o.version for o in told})
    assert last[0].ship_to is not None
    assert last[0].ship_to.postal_code == "04538-132"
    assert (await woo.get_order(at(shop), order)).version == last[0].version
    assert await sweep(at(shop), cursor) == ([], cursor)


async def test_a_cursor_stays_small_however_much_is_read(shop: WooSim):
    for n in range(120):
        shop.sell(at=n * 60)
    shop.clock = BEGIN + 120 * 60
    page = await woo.pull_orders(at(shop), None, None)
    longest = 0
    while page.more:
        page = await woo.pull_orders(at(shop), page.cursor, None)
        longest = max(longest, len(page.cursor))
    assert longest < 300


async def test_what_leaves_a_crowded_second_while_it_is_read_pushes_none_past(shop: WooSim):
    made = [shop.sell(at=500) for _ in range(14)]
    shop.clock = BEGIN + 600
    ctx, cursor, found = at(shop), None, []
    for n in range(60):
        page = await woo.pull_orders(ctx, cursor, None)
        found += page.items
        cursor = page.cursor
        if n < 10:  # others change, from the front and from the back, while the pages are read
            shop.touch(made[n if n % 2 else -n - 1], customer_note=str(n))
        if not page.more and n > 10:
            break
    assert {o.id for o in found} == set(made)


@pytest.mark.parametrize("seed", range(4))
async def test_the_last_word_on_every_order_is_told_whatever_changes_while_pages_are_read(  # noqa: C901
    shop: WooSim, seed: int
):
    """Checked on its own: the newest version of each order that was told is the order as it is, and no other bears it."""
    dice = random.Random(seed)
    ids: list[str] = []
    told: dict[str, ExtOrder] = {}
    by_version: dict[tuple[str, int], bytes] = {}
    cursor: str | None = None
    ctx = at(shop)
    shop.ahead = 0

    def note(orders: Sequence[ExtOrder]) -> None:
        for order in orders:
            if order.id not in told or order.version > told[order.id].version:
                told[order.id] = order
            if order.version % 100 == 99:
                body = msgspec.json.encode(order)
                assert by_version.setdefault((order.id, order.version), body) == body

    for step in range(50):
        for _ in range(dice.randint(0, 4)):
            if not ids or dice.random() < 0.4:
                ids.append(shop.sell(("A", dice.randint(1, 3)), at=shop.clock - BEGIN))
            else:
                shop.orders[int(dice.choice(ids))] |= {
                    "date_modified_gmt": datetime.fromtimestamp(shop.clock, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                    "customer_note": "",
                    "shipping_total": "0.00",
                } | {"billing": {"first_name": f"Maria {step}", "address_1": "Rua A, 1", "country": "BR"}}
        if dice.random() < 0.5:
            shop.clock += dice.randint(0, 20)
        page = await woo.pull_orders(ctx, cursor, AT - timedelta(days=30))
        cursor = page.cursor
        note(page.items)
    shop.ahead = 3_600
    for _ in range(2):  # the sweep that was under way, and one more
        found, cursor = await sweep(ctx, cursor)
        note(found)
    assert set(told) == set(ids)
    for id_ in ids:
        assert told[id_] == await woo.get_order(ctx, id_)


# --- parcels ---


async def test_an_order_is_completed_by_the_parcel_that_leaves_nothing(shop: WooSim):
    order = shop.sell(("A", 2), ("B", 1))
    ctx = at(shop)
    a, b = await lines_of(ctx, order)
    assert await woo.push_shipment(ctx, parcel(order, ShippedLine("A", 1, a.line), b), "k") == Ok(PARCEL)
    assert shop.orders[int(order)]["status"] == "processing"
    second = parcel(order, ShippedLine("A", 1, ""), shipment=SECOND_PARCEL, carrier="Loggi")
    assert await woo.push_shipment(ctx, second, "k") == Ok(SECOND_PARCEL)
    assert shop.orders[int(order)]["status"] == "completed"
    meta = meta_of(shop, order)
    assert [item["tracking_number"] for item in meta["_wc_shipment_tracking_items"]] == ["BR1", "BR2"]
    assert meta["_correios_tracking_code"] == "BR1", "Loggi's is none of theirs"
    assert [note["note"] for note in shop.notes[int(order)]] == [
        f"Correios BR1 #{PARCEL}",
        f"Loggi BR2 #{SECOND_PARCEL}",
    ]
    assert (await woo.get_order(ctx, order)).state is ExtState.OPEN, "Malha completed it: no person need look"


async def test_a_parcel_told_twice_is_one_and_the_note_that_was_lost_is_written(shop: WooSim):
    order = shop.sell(("A", 2))
    ctx = at(shop)
    told = parcel(order, *await lines_of(ctx, order))
    assert await woo.find_shipment(ctx, told, "k") is None
    await woo.push_shipment(ctx, told, "k")
    shop.notes[int(order)].clear()
    found = [await woo.find_shipment(ctx, told, "k") for _ in range(2)]
    assert [x.id for x in found if x] == [PARCEL, PARCEL]
    assert len(shop.notes[int(order)]) == 1
    assert len(meta_of(shop, order)["_wc_shipment_tracking_items"]) == 1


async def test_settings_keep_an_order_open_and_tell_the_shopper(shop: WooSim):
    order = shop.sell(("A", 1))
    ctx = at(shop, complete=False, customer_note=True)
    await woo.push_shipment(ctx, parcel(order, *await lines_of(ctx, order)), "k")
    assert shop.orders[int(order)]["status"] == "processing"
    assert shop.notes[int(order)][0]["customer_note"] is True


async def test_a_line_that_is_not_there_is_refused_and_an_order_that_is_not_is_missing(shop: WooSim):
    ctx = at(shop)
    result = await woo.push_shipment(ctx, parcel(shop.sell(), ShippedLine("Z", 1, "9")), "k")
    assert isinstance(result, Rejected)
    with pytest.raises(Missing):
        await woo.push_shipment(ctx, parcel("99999", ShippedLine("Z", 1, "9")), "k")


# --- cancels and refunds ---


async def test_units_that_will_not_come_are_a_refund_of_no_money_and_the_rest_completes_the_order(shop: WooSim):
    order = shop.sell(("A", 2), ("B", 1))
    ctx = at(shop)
    a, b = await lines_of(ctx, order)
    before = shop.stock("A")
    done = await woo.cancel(ctx, CancelPush(order=order, lines=[ShippedLine("A", 1, a.line)], whole=False), A_KEY)
    assert isinstance(done, Ok)
    (refund,) = shop.refunds[int(order)]
    assert (refund["amount"], refund["refunded_payment"], [x["quantity"] for x in refund["line_items"]]) == (
        "0.00",
        False,
        [-1],
    )
    assert shop.stock("A") == before, "stock is told apart"
    found = await woo.find_operation(ctx, order, A_KEY)
    assert found is not None
    assert found.id == done.ref
    assert await woo.find_operation(ctx, order, B_KEY) is None
    await woo.push_shipment(ctx, parcel(order, ShippedLine("A", 1, a.line), b), "k")
    assert shop.orders[int(order)]["status"] == "completed"


async def test_when_the_rest_is_cancelled_after_a_parcel_the_order_is_completed_not_cancelled(shop: WooSim):
    order = shop.sell(("A", 2), ("B", 1))
    ctx = at(shop)
    a, b = await lines_of(ctx, order)
    await woo.push_shipment(ctx, parcel(order, a), "k")
    await woo.cancel(ctx, CancelPush(order=order, lines=[b], whole=True), A_KEY)
    assert shop.orders[int(order)]["status"] == "completed"


async def test_a_whole_cancel_is_the_shops_own_and_puts_units_back(shop: WooSim):
    shop.offer("A", stock=10)
    order = shop.sell(("A", 2))
    ctx = at(shop)
    assert shop.stock("A") == 8
    await woo.cancel(ctx, CancelPush(order=order, lines=await lines_of(ctx, order), whole=True, reason="faltou"), A_KEY)
    assert (shop.orders[int(order)]["status"], shop.stock("A")) == ("cancelled", 10)
    assert await woo.find_operation(ctx, order, A_KEY) is not None


async def test_money_goes_back_through_the_gateway_or_is_noted_down(shop: WooSim):
    order = shop.sell(("A", 2))
    ask = RefundPush(order=order, payment=order, amount=500, currency="BRL")
    assert isinstance(await woo.refund(at(shop), ask, A_KEY), Ok)
    assert isinstance(await woo.refund(at(shop, refund_at_gateway=False), ask, B_KEY), Ok)
    assert [(r["amount"], r["refunded_payment"]) for r in shop.refunds[int(order)]] == [("5.00", True), ("5.00", False)]


async def test_what_the_shop_would_answer_with_a_500_is_refused_before(shop: WooSim):
    """After a 500 nobody knows, and it would be tried again and again."""
    order, by_cash = shop.sell(("A", 2)), shop.sell(("A", 2), payment_method="cod")
    ask = RefundPush(order=order, payment=order, amount=3_501, currency="BRL")
    result = await woo.refund(at(shop), ask, A_KEY)
    assert isinstance(result, Rejected)
    assert (result.code, "35.00" in result.message) == ("too_much", True)
    cash = await woo.refund(at(shop), msgspec.structs.replace(ask, order=by_cash, amount=100), A_KEY)
    assert isinstance(cash, Rejected)
    assert cash.code == "gateway_cannot_refund"
    assert shop.refunds[int(order)] == shop.refunds[int(by_cash)] == []


async def test_an_order_that_malha_refunded_in_full_stays_open_and_one_the_shop_refunded_is_cancelled(shop: WooSim):
    ours, theirs = shop.sell(("A", 2)), shop.sell(("A", 2))
    ctx = at(shop)
    await woo.refund(ctx, RefundPush(order=ours, payment=ours, amount=3_500, currency="BRL"), A_KEY)
    shop.refund(shop.orders[int(theirs)], {"amount": "35.00", "reason": "quis devolver"})
    assert [(await woo.get_order(ctx, x)).status for x in (ours, theirs)] == ["refunded", "refunded"]
    assert [(await woo.get_order(ctx, x)).state for x in (ours, theirs)] == [ExtState.OPEN, ExtState.CANCELLED]


async def by_staff(shop: WooSim, order: str, units: int, amount: str = "0", *, line: int = 0) -> None:
    row = shop.orders[int(order)]
    asked = {"id": row["line_items"][line]["id"], "quantity": units, "refund_total": amount}
    shop.refund(row, {"amount": amount, "reason": "faltou", "api_refund": False, "line_items": [asked]})


async def test_units_that_the_shop_refunds_are_cancelled_as_far_as_they_had_not_left(shop: WooSim):
    order = shop.sell(("A", 3), ("B", 1))
    ctx = at(shop)
    sold = await woo.get_order(ctx, order)
    a, b = await lines_of(ctx, order)
    await woo.push_shipment(ctx, parcel(order, ShippedLine("A", 2, a.line)), "k")
    await by_staff(shop, order, 2, "20.00")
    said = await woo.get_order(ctx, order)
    assert [(line.quantity, line.cancelled) for line in said.lines] == [(3, 1), (1, 0)], "one of the two was on its way"
    assert (said.total, said.discount, said.shipping) == (sold.total, sold.discount, sold.shipping)
    assert [(r.amount, r.payment, r.refunded_at is not None) for r in said.refunds] == [(2_000, order, True)]
    await woo.cancel(ctx, CancelPush(order=order, lines=[b], whole=False), A_KEY)
    both = await woo.get_order(ctx, order)
    assert [line.cancelled for line in both.lines] == [1, 1], "ours are counted with theirs"
    assert [r.amount for r in both.refunds] == [2_000], "a refund of no money is a cancel alone"
    page = await woo.pull_orders(ctx, None, None)
    assert [o.refunds for o in page.items] == [both.refunds], "a page tells the same"


async def test_an_order_that_the_shop_refunds_in_full_after_a_parcel_has_only_the_rest_cancelled(shop: WooSim):
    order = shop.sell(("A", 3))
    ctx = at(shop)
    (a,) = await lines_of(ctx, order)
    await woo.push_shipment(ctx, parcel(order, ShippedLine("A", 1, a.line)), "k")
    shop.refund(shop.orders[int(order)], {"amount": "45.00", "reason": "quis devolver"})
    said = await woo.get_order(ctx, order)
    assert (said.state, said.status, [line.cancelled for line in said.lines]) == (ExtState.OPEN, "refunded", [2])
    assert [r.amount for r in said.refunds] == [4_500]


@pytest.mark.parametrize(
    "meta",
    [
        {"key": "_wc_shipment_tracking_items", "value": [{"tracking_number": "BR1", "tracking_id": "x"}]},
        {"key": "_correios_tracking_code", "value": "AA123456789BR"},
    ],
)
async def test_what_a_plug_in_sent_is_said_to_have_left(shop: WooSim, meta: dict[str, Any]):
    plain, tracked, done = shop.sell(), shop.sell(meta_data=[meta]), shop.sell(status="completed")
    ctx = at(shop)
    assert [(await woo.get_order(ctx, order)).sent for order in (plain, tracked, done)] == [False, True, True]


# --- the day ---


async def test_a_day_counts_what_is_not_cancelled_in_the_retailers_zone(shop: WooSim):
    ctx = at(shop)
    shop.offer("A", "10.00")
    inside = shop.sell(("A", 3))
    cancelled = shop.sell(("A", 1), status="cancelled")
    late = shop.sell(("A", 1), date_created_gmt="2026-11-21T02:59:59")  # the last second of the 20th in São Paulo
    for created in ("2026-11-21T03:00:00", "2026-11-20T02:59:59"):
        shop.sell(("A", 1), date_created_gmt=created)
    first = shop.sell(("A", 1), date_created_gmt="2026-11-20T03:00:00")
    found = await woo.summarise(ctx, date(2026, 11, 20), "America/Sao_Paulo")
    assert (set(found.ids or ()), found.orders, found.total) == ({inside, late, first}, 3, 4500 + 2500 + 2500)
    assert cancelled not in (found.ids or ())
    (line,) = await lines_of(ctx, inside)
    await woo.cancel(ctx, CancelPush(order=inside, lines=[ShippedLine("A", 1, line.line)], whole=False), A_KEY)
    shop.refund(shop.orders[int(late)], {"amount": "1.00", "reason": "goodwill", "api_refund": False})
    after = await woo.summarise(ctx, date(2026, 11, 20), "America/Sao_Paulo")
    assert after.total == found.total - 1_000, "units that were cancelled are off; money that went back is not"
    assert after.refunds == {late: 100}
    await by_staff(shop, inside, 1, "10.00")
    await by_staff(shop, first, 1, "10.00")  # its only unit: nothing is left of it
    last = await woo.summarise(ctx, date(2026, 11, 20), "America/Sao_Paulo")
    assert (last.total, first in (last.ids or ())) == (found.total - 2_000 - 2_500, False)
    assert last.refunds == {late: 100, inside: 1_000}


# --- stock, prices, products ---


def units(code: str, quantity: int) -> StockUpdate:
    return StockUpdate(sku=code, code=code, quantity=quantity, version=1, changed_at=AT)


async def test_variations_are_written_by_their_product_and_what_is_right_is_not_written(shop: WooSim):
    shop.offer("A", stock=7)
    shop.offer("B", stock=1)
    shop.offer("KIT", stock=None, type="grouped")
    shop.vary("CAMISA", "AZUL", "VERDE")
    codes = {"A": 7, "B": 9, "CAMISA-AZUL": 3, "CAMISA-VERDE": 4, "NOPE": 1, "KIT": 1, "a,b": 1}
    results = await woo.set_stock(at(shop), [units(code, n) for code, n in codes.items()])
    said = ["ok" if isinstance(r, Ok) else getattr(r, "code", r) for r in results]
    assert said == ["ok", "ok", "ok", "ok", "unknown_sku", "not_stocked", "unknown_sku"]
    assert [shop.stock(code) for code in ("A", "B", "CAMISA-AZUL", "CAMISA-VERDE")] == [7, 9, 3, 4]
    written = [(target.split("?")[0].rpartition("/v3")[2]) for method, target, _ in shop.asked if method == "POST"]
    parent = shop.by_sku("CAMISA")["id"]
    assert written == ["/products/batch", f"/products/{parent}/variations/batch"]
    (body,) = [body for _, target, body in shop.asked if "v3/products/batch" in target]
    assert b'"id":101' not in body, "A was right"


async def test_many_skus_fit_into_addresses_and_batches(shop: WooSim):
    codes = [f"{n:03}-{'X' * 60}" for n in range(230)]
    for code in codes:
        shop.offer(code)
    results = await woo.set_stock(at(shop), [units(code, 50) for code in codes])
    assert all(isinstance(result, Ok) for result in results)
    assert {shop.stock(code) for code in codes} == {50}
    assert max(len(target) for _method, target, _body in shop.asked) < 2_000


async def read_stock(shop: WooSim, cursor: str | None = None, *, remove: Sequence[str] = ()) -> dict[str, int]:
    found: list[tuple[str, int]] = []
    leaving = list(remove)
    for _ in range(60):
        page = await woo.pull_stock(at(shop), cursor)
        found += [(item.sku, item.quantity) for item in page.items]
        cursor = page.cursor
        if not page.more:
            assert len(found) == len(dict(found)), "each once"
            return dict(found)
        if leaving:
            del shop.products[shop.by_sku(leaving.pop())["id"]]
    pytest.fail("the pages have no end")


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 14])
async def test_all_stock_is_read_wherever_a_page_ends(shop: WooSim, count: int):
    for n in range(count):
        shop.offer(f"S-{n}", stock=n)
    assert await read_stock(shop) == {f"S-{n}": n for n in range(count)}


async def test_variations_have_stock_of_their_own_or_none_and_products_without_any_are_left_out(shop: WooSim):
    shop.offer("A", stock=7)
    shop.offer("DOWNLOAD", stock=None)
    parent, _made = shop.vary("CAMISA", "AZUL", "VERDE")
    shop.by_sku("CAMISA-AZUL").update({"manage_stock": True, "stock_quantity": 3})
    shop.by_sku("CAMISA-VERDE").update({"manage_stock": "parent", "stock_quantity": 9})
    shop.products[parent].update({"manage_stock": True, "stock_quantity": 9})
    assert await read_stock(shop) == {"A": 7, "CAMISA": 9, "CAMISA-AZUL": 3}


async def test_stock_that_is_no_number_of_units_is_told_as_it_is_and_holds_up_no_other(shop: WooSim):
    for sku, stock in (("A", 7), ("TECIDO", 2.5), ("B", "4"), ("C", 3.0), ("FITA", "muitos"), ("D", 2**31)):
        shop.offer(sku, stock=stock)  # type: ignore[arg-type]
    shop.offer("DE", stock=1, regular_price=12.5)
    shop.vary("CAMISA", "AZUL", "VERDE")
    shop.by_sku("CAMISA-AZUL").update({"manage_stock": True, "stock_quantity": 0.5})
    shop.by_sku("CAMISA-VERDE").update({"manage_stock": True, "stock_quantity": 6})
    found, cursor, more = {}, None, True
    while more:
        page = await woo.pull_stock(at(shop), cursor)
        found |= {item.sku: item.unread or item.quantity for item in page.items}
        cursor, more = page.cursor, page.more
    odd = {"TECIDO": "2.5", "FITA": '"muitos"', "D": "2147483648", "CAMISA-AZUL": "0.5"}
    assert found == {"A": 7, "B": 4, "C": 3, "DE": 1, "CAMISA-VERDE": 6} | odd


async def test_a_listing_that_cannot_be_read_is_refused_alone_when_stock_and_prices_are_written(shop: WooSim):
    shop.offer("A", stock=7)
    shop.offer("TECIDO", stock=2.5)  # type: ignore[arg-type]
    shop.offer("ODD", stock=1, status=None)
    results = await woo.set_stock(at(shop), [units("A", 8), units("TECIDO", 2), units("ODD", 3)])
    assert [getattr(each, "code", "ok") for each in results] == ["ok", "ok", "unreadable"]
    assert [shop.stock(code) for code in ("A", "TECIDO", "ODD")] == [8, 2, 1]
    pushes = [PricePush(sku=code, code=code, price=900, currency="BRL", version=1) for code in ("A", "ODD")]
    priced = await woo.set_prices(at(shop), pushes)
    assert [getattr(each, "code", "ok") for each in priced] == ["ok", "unreadable"]


async def test_a_product_that_is_removed_while_stock_is_read_hides_no_other(shop: WooSim):
    for n in range(20):
        shop.offer(f"S-{n}", stock=n)
    gone = ["S-0", "S-1", "S-2", "S-3", "S-4", "S-5"]
    found = await read_stock(shop, remove=gone)
    assert set(found) >= {f"S-{n}" for n in range(6, 20)}


async def test_prices_end_a_sale_unless_the_shop_keeps_its_own(shop: WooSim):
    shop.offer("A", "20.00")
    shop.by_sku("A")["sale_price"] = "15.00"
    push = PricePush(sku="A", code="A", price=1_800, currency="BRL", version=1)
    await woo.set_prices(at(shop, keep_sale_prices=True), [push])
    assert (shop.by_sku("A")["regular_price"], shop.by_sku("A")["sale_price"]) == ("18.00", "15.00")
    await woo.set_prices(at(shop), [push])
    assert (shop.by_sku("A")["regular_price"], shop.by_sku("A")["sale_price"]) == ("18.00", "")
    before = len(shop.asked)
    assert [type(r) for r in await woo.set_prices(at(shop), [push])] == [Ok]
    assert len(shop.asked) == before + 1, "it is there already: nothing is written"


async def test_products_come_with_their_variations_and_only_when_they_change(shop: WooSim):
    shop.offer("A", "10.00", global_unique_id="7891000000003")
    shop.offer("RASCUNHO", status="draft")
    parent, variations = shop.vary("CAMISA", "AZUL", "VERDE")
    ctx = at(shop)
    page = await woo.pull_products(ctx, None)
    found = {product.sku: product for product in page.items}
    assert set(found) == {"A", "RASCUNHO", "CAMISA-AZUL", "CAMISA-VERDE"}
    assert (found["A"].gtin, found["A"].price, found["RASCUNHO"].active) == ("7891000000003", 1000, False)
    assert (found["CAMISA-AZUL"].id, found["CAMISA-AZUL"].name) == (str(variations[0]), "Ware CAMISA AZUL")
    again = await woo.pull_products(ctx, page.cursor)
    assert (list(again.items), again.cursor) == ([], page.cursor)
    shop.products[parent]["date_modified_gmt"] = "2026-11-20T13:00:00"
    assert {p.sku for p in (await woo.pull_products(ctx, page.cursor)).items} == {"CAMISA-AZUL", "CAMISA-VERDE"}


async def test_products_are_told_with_their_categories_from_the_root_on_and_in_the_units_of_the_shop(shop: WooSim):
    shop.offer(
        "A", categories=[{"id": shop.term("categories", "Mantas", shop.term("categories", "Casa"))}], weight="1.5"
    )
    shop.offer("B", images=[{"src": "https://loja.example/b.jpg"}])
    found = {said.sku: said for said in (await woo.pull_products(at(shop), None)).items}
    assert (found["A"].category, found["A"].weight_grams, found["A"].pictures) == ("Casa > Mantas", 1_500, [])
    assert (found["B"].category, found["B"].pictures) == ("", ["https://loja.example/b.jpg"])


async def test_products_are_made_once_and_changed_after(shop: WooSim):
    shop.vary("CAMISA", "AZUL")
    items = [
        ProductPush(sku="N", code="N", name="Nova", price=2_990, currency="BRL", gtin="7891000000003"),
        ProductPush(sku="V", code="CAMISA-AZUL", name="ignored", price=100, currency="BRL", active=False),
    ]
    before = shop.by_sku("CAMISA-AZUL")["regular_price"]
    assert before != "1.00"
    for _ in range(2):
        assert [type(r) for r in await woo.upsert_products(at(shop), items)] == [Ok, Ok]
    again = msgspec.structs.replace(items[0], price=1)
    assert [type(r) for r in await woo.upsert_products(at(shop), [again])] == [Ok], "its price is told by itself"
    made = [row for row in shop.products.values() if row["sku"] == "N"]
    assert [(row["name"], row["regular_price"], row["status"], row["stock_quantity"]) for row in made] == [
        ("Nova", "29.90", "publish", 0)
    ]
    varied = shop.by_sku("CAMISA-AZUL")
    assert (varied["name"], varied["regular_price"], varied["status"]) == ("Ware CAMISA-AZUL", before, "private")


# --- webhooks ---


def heard(shop: WooSim, id_: str, topic: str, **headers: str) -> Any:
    said, body = shop.hook(id_, topic)
    raw = RawRequest("POST", "https://malha.example/in/kit", {**said, **headers}, body)
    verified = woo.verify(raw, [WEBHOOK_SECRET], AT)
    return woo.parse(verified) if isinstance(verified, Verified) else verified


async def test_a_webhook_names_an_order_that_is_read_again_and_products_are_passed_over(shop: WooSim):
    order = shop.sell()
    for topic in ("order.created", "order.updated", "order.restored", "order.deleted"):
        (event,) = heard(shop, order, topic)
        assert (event.entity, event.order_id, event.trust, event.order) == (f"order:{order}", order, Trust.HINT, None)
    assert heard(shop, order, "product.updated") == []
    assert heard(shop, order, "coupon.created") == []
    assert isinstance(heard(shop, order, "order.updated", **{"x-wc-webhook-signature": "AAAA"}), Rejected)


@pytest.mark.parametrize(
    ("body", "ping"),
    [
        (b"webhook_id=7", True),
        (b"webhook_id=", False),
        (b"webhook_id=7&order=1", False),
        (b"", False),
        (b'{"id": 1}', False),
    ],
)
def test_only_the_bare_ping_may_come_without_a_signature(body: bytes, ping: bool):
    said = woo.verify(RawRequest("POST", "https://malha.example/in/kit", {}, body), [WEBHOOK_SECRET], AT)
    assert isinstance(said, Ping if ping else Rejected)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": "x"}', b'{"id": true}', b"nothing"])
def test_a_signed_message_that_names_nothing_is_told_to_a_person(body: bytes):
    with pytest.raises(Invalid):
        woo.parse(
            Verified(RawRequest("POST", "https://malha.example/in/kit", {"x-wc-webhook-topic": "order.updated"}, body))
        )


class Wrapped:
    """The way to a shop where a plug-in wraps what WooCommerce says of what was changed."""

    def __init__(self, http: Any) -> None:
        self.http = http
        self.learned = http.learned

    async def send(self, method: str, url: str, **asked: Any) -> Reply:
        reply: Reply = await self.http.send(method, url, **asked)
        if method == "GET" or reply.status >= 400:
            return reply
        return Reply(reply.status, reply.headers, b'{"success": true, "data": ' + reply.body + b"}")


async def test_a_refund_whose_answer_is_other_than_expected_is_looked_up_and_not_called_refused(shop: WooSim) -> None:
    order, ctx = shop.sell(("A", 2)), at(shop)
    wrapped = msgspec.structs.replace(ctx, http=Wrapped(ctx.http))
    with pytest.raises(Unsure, match="other than expected"):
        await woo.refund(wrapped, RefundPush(order=order, payment=order, amount=500, currency="BRL"), A_KEY)
    assert await woo.find_operation(ctx, order, A_KEY) is not None
