"""Taking an order by hand: at the telephone, at the counter, in the place of a lost parcel.

The form is sent to the same gate as `POST /v1/orders`, under a natural key that it got when it was opened: sent twice,
it is one order. While it is filled in it asks for goods, customers and dates, and holds nothing; what was shown is
looked at again before the order is placed.
"""

from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from litestar import Request, get, post
from litestar.response import Response

from malha.capacity.errors import NoSuchSlot, SlotFull
from malha.console import filling, render, shell, web, words
from malha.console import taking_form as form_of
from malha.console import taking_order as order_of
from malha.console import taking_reads as reads
from malha.console.taking_form import ANY, NEW, Draft, Line
from malha.console.taking_order import Taking
from malha.customers import reads as customers
from malha.identity.model import Caller
from malha.intake.errors import OutOfStock
from malha.intake.gate import Gate
from malha.intake.model import Placed, Result
from malha.intake.reference import Reference, reference_in
from malha.network.model import Channel, ChannelKind, PaymentPolicy
from malha.ordering import reads as orders
from malha.payments import deadlines
from malha.payments import service as payments
from malha.payments.rules import identity_of
from malha.payments.terms import Awaited
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import N_, _
from malha.platform.text import whole_in

SUBMIT = {"permission": "intake:submit"}
PAYS = (
    ("pix", N_("Pix, to be paid"), N_("The stock is kept while the code can be paid.")),
    ("boleto", N_("Boleto, to be paid"), N_("The stock is kept until the bank has told of it.")),
    ("paid", N_("Paid already"), N_("By card on the telephone, at the till, by a link: with its reference.")),
    ("later", N_("On delivery or at pickup"), N_("It is sent before it is paid.")),
)


def _goods_allowed(caller: Caller) -> None:
    for permission in ("catalog:read", "stock:read"):
        if not caller.may(permission):
            raise Forbidden(permission=permission)


def _gate(request: web.Asking) -> Gate:
    return cast("Gate", request.app.state.services.extra["gate"])


async def _channel(tx: Tx, request: web.Asking) -> tuple[Reference, Channel]:
    """Return the channel that a question names; goods have stock and prices in one.

    Raises:
        Invalid: the person may not use it, or there is none.
    """
    reference, code = await reference_in(tx), web.said(request.query_params, "channel")
    for channel in reads.channels_of(reference, web.caller_of(request)):
        if channel.code == code:
            return reference, channel
    raise _no_channel()


def _no_channel() -> Invalid:
    return Invalid([Flaw("channel", N_("No sales channel was chosen."), N_("Choose one of the list."))])


# --- the form ---


@get("/orders/new", opt=SUBMIT)
async def order_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form: empty, for a customer (`customer`), or with the lines of an order (`again`)."""
    caller = web.caller_of(request)
    scope = shell.scope_of(caller)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "orders")
        reference = await reference_in(tx)
        channels = reads.channels_of(reference, caller)
        draft, left = await _begun(tx, request, reference, channels)
        channel = next((c for c in channels if c.code == draft.channel), None)
        goods = (
            {}
            if channel is None
            else await reads.goods(tx, reference, channel, {line.sku for line in draft.lines}, scope)
        )
        who = await _who(tx, request, draft.customer)
    return render.html(
        "orders/taking.html",
        shell=around,
        may=around.may,
        channels=[(c.code, c.name) for c in channels],
        draft=draft,
        left=left,
        lines=[_row(line, goods.get(line.sku)) for line in draft.lines],
        currency=channel.currency if channel else "BRL",
        pays=[p for p in PAYS if p[0] != "paid" or around.may("payments:record")],
        paid_with=[(kind, _(words.TENDER[kind][0])) for kind in order_of.PAID],
        next_line=len(draft.lines),
        finds_goods=around.may("catalog:read") and around.may("stock:read"),
        **who,
    )


async def _begun(tx: Tx, request: web.Asking, reference: Reference, channels: list[Channel]) -> tuple[Draft, list[str]]:
    """Return the form as it opens, and the SKUs of an order to repeat that are not on sale."""
    query = request.query_params
    scope = shell.scope_of(web.caller_of(request))
    draft = Draft(
        key=form_of.new_key(),
        channel=_usual(channels),
        customer=whole_in(web.said(query, "customer"), 18),
    )
    number = whole_in(web.said(query, "again"), 17)
    head = None if number is None else await orders.header(tx, number)
    caller = web.caller_of(request)
    if head is None or not caller.may("orders:read"):
        return draft, []
    if scope is not None and not await orders.is_at(tx, head.id, scope):
        return draft, []
    lines = await orders.lines(tx, head.id)
    cards = await reference.cards(tx, {line.sku for line in lines})
    channel = next((c for c in channels if c.code == head.channel_code), None)
    goods = {} if channel is None else await reads.goods(tx, reference, channel, set(cards), scope)
    wanted: dict[str, int] = {}
    for line in lines:
        if line.replaces is None and line.sku in cards:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    repeated = tuple(
        Line(at, sku, quantity, goods[sku].price if sku in goods else None, 0)
        for at, (sku, quantity) in enumerate(list(wanted.items())[: form_of.MOST_LINES])
    )
    buyer = None
    if head.customer_id is not None and caller.may("customers:read"):
        buyer = (await customers.by_ids(tx, [head.customer_id])).get(head.customer_id)
    again = msgspec.structs.replace(
        draft,
        channel=channel.code if channel else draft.channel,
        customer=buyer.number if buyer else None,
        address=str(head.number) if head.ship_to and head.ship_to.get("postal_code") and buyer else NEW,
        method="pickup" if head.method == "pickup" else "ship",
        lines=repeated,
    )
    return again, sorted({line.sku for line in lines} - cards.keys())


def _usual(channels: list[Channel]) -> str:
    """Return the channel that is chosen already: the only one, or the only one of the telephone."""
    by_phone = [c for c in channels if c.kind is ChannelKind.TELESALES]
    only = channels if len(channels) == 1 else by_phone
    return only[0].code if len(only) == 1 else ""


def _row(line: Line, known: reads.Goods | None) -> dict[str, Any]:
    """Return a line as it is drawn: its price is Malha's where it holds one, else it is typed."""
    return {
        "at": line.at,
        "sku": line.sku,
        "name": known.name if known else line.sku,
        "quantity": line.quantity,
        "price": known.price if known and known.price is not None else line.price,
        "fixed": known is not None and known.price is not None,
        "discount": line.discount,
    }


async def _who(tx: Tx, request: web.Asking, number: int | None) -> dict[str, Any]:
    """Return what the form says of who buys: the profile, masked, and the addresses to choose from."""
    caller = web.caller_of(request)
    finds = caller.may("customers:read")
    found = await reads.customer(tx, number, shell.scope_of(caller)) if finds else None
    known = []
    if found is not None:
        known = await reads.addresses(tx, found, shell.scope_of(caller), reveals=caller.may(customers.REVEAL))
    return {
        "buyer": found,
        "masked": customers.masked_customer(found) if found else None,
        "known": known,
        "finds_customers": finds,
    }


# --- what it asks while it is filled in ---


@get("/orders/new/goods", opt=SUBMIT)
async def order_new_goods(request: Request[Any, Any, Any]) -> Response[str]:
    """Answer what goods fit a text, with stock and price in the channel.

    Raises:
        Forbidden: the person may not see goods or stock.
        Invalid: no channel was chosen.
    """
    _goods_allowed(caller := web.caller_of(request))
    text = web.said(request.query_params, "goods")[:120].strip()
    found: list[reads.Goods] = []
    currency = "BRL"
    async with web.reading(request) as tx:
        if text:
            reference, channel = await _channel(tx, request)
            currency = channel.currency
            found = await reads.find_goods(tx, reference, channel, text, shell.scope_of(caller))
    return render.html("orders/taking_goods.html", found=found, text=text, currency=currency)


@get("/orders/new/line", opt=SUBMIT)
async def order_new_line(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the row of a code: a SKU or a GTIN.

    Raises:
        Forbidden: the person may not see goods or stock.
        Invalid: no channel was chosen, or nothing on sale has this code.
    """
    _goods_allowed(caller := web.caller_of(request))
    code = web.said(request.query_params, "code").strip()[:80]
    at = whole_in(web.said(request.query_params, "n"), 4) or 0
    async with web.reading(request) as tx:
        reference, channel = await _channel(tx, request)
        sku = await reads.sku_of(tx, code)
        found = {} if sku is None else await reads.goods(tx, reference, channel, {sku}, shell.scope_of(caller))
    if sku is None or sku not in found:
        refuse(
            [Flaw("goods", N_("No SKU or GTIN on sale is {code}."), N_("Search by part of its name."), {"code": code})]
        )
    known = found[cast("str", sku)]
    line = Line(at, known.sku, 1, known.price, 0)
    return render.html("orders/taking_line.html", line=_row(line, known), currency=channel.currency)


@get("/orders/new/customers", opt={"permission": "customers:read"})
async def order_new_customers(request: Request[Any, Any, Any]) -> Response[str]:
    """Answer which customers fit a text, masked: what their list tells to whoever may see it."""
    caller = web.caller_of(request)
    text = web.said(request.query_params, "who")[:200].strip()
    async with web.reading(request) as tx:
        found = await reads.find_customers(tx, text, shell.scope_of(caller))
    return render.html("orders/taking_customers.html", found=found, text=text)


@get("/orders/new/customer", opt=SUBMIT)
async def order_new_customer(request: Request[Any, Any, Any]) -> Response[str]:
    """Return who buys: a profile, or without a number the fields of somebody new; and the addresses to choose from."""
    number = whole_in(web.said(request.query_params, "number"), 18)
    async with web.reading(request) as tx:
        who = await _who(tx, request, number)
    draft = Draft(
        customer=who["buyer"].number if who["buyer"] else None, name=web.said(request.query_params, "who")[:200]
    )
    if who["known"]:
        draft = msgspec.structs.replace(draft, address=who["known"][0].value)
    return render.html("orders/taking_customer.html", draft=draft, **who)


@post("/orders/new/offers", opt=SUBMIT, status_code=200)
async def order_new_offers(request: Request[Any, Any, Any]) -> Response[str]:
    """Tell how what a form says so far can reach its customer, when, and what it comes to. Nothing is held."""
    read = filling.filled(await request.form())
    async with web.reading(request) as tx:
        taking = await _meant(tx, request, read)
        until = None if taking is None else await _kept_until(tx, taking)
    if taking is None:
        return render.html("orders/taking_offers.html", taking=None)
    draft = msgspec.structs.replace(taking.draft, option=taking.option)
    freight = order_of.freight_of(draft)
    return render.html(
        "orders/taking_offers.html",
        taking=taking,
        draft=draft,
        offers=taking.offers,
        channel=taking.channel,
        currency=taking.channel.currency,
        place=taking.to if taking.to is not None and taking.to.city else None,
        typed_cep=draft.address == NEW and bool(draft.postal_code),
        short=taking.offers.short(draft),
        rows=[_row(line, taking.goods.get(line.sku)) for line in draft.lines],
        goods=taking.goods,
        ship_option=order_of.ship_option,
        pickup_option=order_of.pickup_option,
        slot_value=order_of.slot_value,
        slot_field=form_of.slot_field(draft.method, draft.option),
        local=render.local,
        ANY=ANY,
        freight=freight,
        total=draft.items + freight,
        until=until,
        waits=taking.channel.payment_policy is PaymentPolicy.BEFORE_RELEASE,
        at=now(),
    )


async def _meant(tx: Tx, request: web.Asking, read: filling.Filled) -> Taking | None:
    """Return what a form means to the person who sent it; None where it names no channel that they may use."""
    caller = web.caller_of(request)
    return await order_of.meant(tx, await reference_in(tx), caller, form_of.drafted(read), shell.scope_of(caller))


async def _kept_until(tx: Tx, taking: Taking) -> datetime | None:
    """Return until when stock is kept for a payment that is to come; None where there is none."""
    if taking.draft.pay not in order_of.PENDING:
        return None
    at = now()
    awaited = Awaited(kind=taking.draft.pay, created_at=at)
    return at + timedelta(seconds=await deadlines.seconds_for(tx, awaited, taking.channel.id))


# --- placing it ---


@post("/orders/new", opt=SUBMIT, status_code=200)
async def order_take(request: Request[Any, Any, Any]) -> Response[Any]:
    """Place the order of a form, through the gate. The same form sent again is the same order.

    Raises:
        Invalid: fields are wrong, or what was shown is no longer so; nothing was placed.
        OrderDiffers: this form placed another order already.
    """
    read = filling.filled(await request.form())
    async with web.reading(request) as tx:
        taking = await _meant(tx, request, read)
        if taking is None:
            raise _no_channel()
        placed = await order_of.is_placed(tx, taking.channel, taking.draft.key)
        if not placed and taking.draft.pay == "paid":
            await _check_payment(tx, read, taking.draft)
    order = order_of.order_of(read, taking, placed=placed, may=web.caller_of(request).may)
    try:
        made = await _gate(request).submit(
            order, actor=web.actor_of(request), size=len(await request.body()), by_hand=True
        )
    except OutOfStock as error:
        refuse(order_of.short_flaws(read, taking, error.facts["shortages"]))
        raise
    except (SlotFull, NoSuchSlot):
        refuse(order_of.slot_flaws(read, taking))
        raise
    return await _go_to(request, made)


async def _check_payment(tx: Tx, read: filling.Filled, draft: Draft) -> None:
    """Refuse a payment that is another order's. Of two forms at once with the same one, the second's order waits."""
    identity = identity_of(draft.paid_with, draft.reference)
    refusal = await payments.elsewhere(tx, identity, draft.reference)
    if refusal is not None:
        read.wrong("reference", refusal.says, refusal.mend, **refusal.facts)


async def _go_to(request: web.Asking, made: Placed) -> Response[Any]:
    """Lead to the order's page; to an empty form where the person does not see it, for it is served elsewhere."""
    caller = web.caller_of(request)
    scope = shell.scope_of(caller)
    again = made.result is Result.DUPLICATE
    notice = _("This order was placed already") if again else _("Order {number} placed", number=f"#{made.number}")
    sees = caller.may("orders:read")
    if sees and scope is not None:
        async with web.reading(request) as tx:
            sees = await orders.is_at(tx, made.id, scope)
    if sees:
        return web.go_on(request, f"/orders/{made.number}", notice)
    unseen = _("Order {number} placed; other locations serve it.", number=f"#{made.number}")
    return web.go_on(request, "/orders/new", notice if again else unseen)


HANDLERS = [
    order_new,
    order_new_goods,
    order_new_line,
    order_new_customers,
    order_new_customer,
    order_new_offers,
    order_take,
]
