"""From what happened to what the customer hears: which events tell something, and the job that sends it.

`TELLS` and `SILENT` name every event of an order; a test refuses one that is in neither, so nobody adds a way to lose
an order without deciding what its customer is told.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
import structlog

from malha.fulfillment import reads as work
from malha.fulfillment.model import WorkState
from malha.network import reads as network
from malha.network import retailer
from malha.network.places import STATE_ZONES
from malha.notifications import means as means_of_contact
from malha.notifications import reads, rendering, returns, rules, wishes
from malha.notifications import service as notifications
from malha.notifications.http_carrier import HttpCarrier
from malha.notifications.means import Opened
from malha.notifications.model import (
    KINDS,
    Channel,
    Claimed,
    Facts,
    Item,
    Kind,
    Look,
    Means,
    Parcel,
    Rendered,
    State,
    Template,
    Told,
)
from malha.notifications.sending import Outcome, Outlets
from malha.ordering import reads as orders
from malha.ordering import rules as ordering_rules
from malha.ordering import service as ordering
from malha.ordering.model import GONE, HoldKind, OrderStatus, Unit, UnitState
from malha.ordering.promised_days import is_by_day
from malha.ordering.tracking import tracking_address
from malha.platform import jobs, mail, signing
from malha.platform import settings as configuration
from malha.platform.address import Address
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID
from malha.platform.money import Money
from malha.platform.outward import Outward
from malha.platform.sealing import SealBroken
from malha.platform.settings import Settings
from malha.platform.subscribers import Recorded

log = structlog.get_logger(__name__)

Kinds = Callable[[Mapping[str, object]], list[Kind]]


def _always(kind: Kind) -> Kinds:
    return lambda _facts: [kind]


TELLS: dict[str, Kinds] = {
    "order.placed": rules.kinds_of_placed,
    "order.hold_placed": rules.kinds_of_hold,
    "order.late": _always(Kind.LATE),
    "order.repromised": _always(Kind.REPROMISED),
    "order.cancelled": rules.kinds_of_cancel,
    "order.line_replaced": _always(Kind.REPLACED),
    "payment.authorised": rules.kinds_of_payment,
    "payment.captured": rules.kinds_of_payment,
    "payment.refunded": _always(Kind.REFUNDED),
    "fulfillment.shipped": _always(Kind.SHIPPED),
    "fulfillment.pickup_extended": rules.kinds_of_extension,
    "fulfillment.ready": _always(Kind.READY),
    "fulfillment.pickup_expiring": _always(Kind.PICKUP_REMINDER),
    "shipment.out_for_delivery": _always(Kind.OUT_FOR_DELIVERY),
    "shipment.delivered": _always(Kind.DELIVERED),
}
# What is no news for a customer, and why.
SILENT: dict[str, str] = {
    "order.hold_resolved": "the next step is told",
    "order.address_changed": "whoever changed it spoke with the customer",
    "order.buyer_changed": "whoever changed it spoke with the customer",
    "order.note_added": "internal",
    "order.details_changed": "the customer said it at the channel",
    "order.tagged": "internal",
    "order.line_mapped": "internal",
    "order.supplied": "internal: the customer hears when goods leave",
    "order.awaits_supply": "the day it is promised for is told",
    "order.routed": "internal: the customer hears when goods leave",
    "payment.voided": "no money moved",
    "payment.charged_back": "the customer did it",
    "payment.declined": "the channel that took the payment tells it at once",
    "order.slot_changed": "a move promises anew, which is told",
    "payment.tender_added": "the customer did it",
    "payment.time_over": "late money is still welcome; the cancel that follows without it is told",
    "payment.time_extended": "whoever gave it spoke with the customer",
    "fulfillment.released": "internal",
    "fulfillment.moved": "internal: what it does to the promise is told when the promise is changed",
    "fulfillment.accepted": "internal",
    "fulfillment.rejected": "internal: without another location it becomes a shortage hold, which is told",
    "fulfillment.picked": "internal",
    "fulfillment.short": "internal: without another location it becomes a shortage hold, which is told",
    "fulfillment.packed": "internal",
    "fulfillment.sent": "internal: the customer hears when the goods are ready at the store",
    "fulfillment.arrived": "internal: the customer hears when the goods are ready at the store",
    "fulfillment.pickup_expired": "what it cancels is told; until then the goods still wait",
    "fulfillment.pickup_returned": "internal: the cancel of the units is told",
    "fulfillment.pickup_refused": "whoever stood at the counter knows",
    "fulfillment.collected": "whoever stood at the counter knows",
    "fulfillment.cancelled": "internal: the cancel of the units is told",
    "fiscal.document_recorded": "internal",
    "fiscal.document_cancelled": "internal",
}
# Nothing is told of it, but what waits goes where the buyer is reached now.
CORRECTED = "order.buyer_changed"
TYPES = (*TELLS, CORRECTED)
AT_ONCE = 100  # messages of a job, before others have their turn
PATIENCE = 2  # messages in a row that a means may leave without an answer
# Of an event's facts, those that its message needs; never what a person typed.
_KEPT = (
    "kind", "holds", "amount", "lines", "whole", "fulfillment_id", "shipment_id", "shipments",
    "promised_at", "former_at", "why", "line", "by_line", "quantity",
)  # fmt: skip


async def tell_customers(tx: Tx, events: list[Recorded]) -> None:
    """Write down what there is to tell, and have it sent after the commit; what waits follows a corrected address.

    Where no way to send is set up, only what a customer must hear is written down, as not sent: an operator sees it.
    """
    told = []
    corrected = set()
    for event in events:
        facts = event.facts()
        if event.type == CORRECTED:
            corrected.add(UUID(event.id))
            continue
        kept = {name: facts[name] for name in _KEPT if name in facts}
        told += [
            Told(order_id=UUID(event.id), event_seq=event.seq, kind=kind, at=event.at, facts=kept)
            for kind in TELLS[event.type](facts)
        ]
    means = await means_now(tx)
    if not means.ready:
        told = [t for t in told if KINDS[t.kind].always]
    waiting = await notifications.queue(tx, told, means) if told else 0
    if corrected:
        await notifications.readdress(tx, sorted(corrected), means)
    if waiting:
        await jobs.defer(tx, send_messages)


async def send_soon(tx: Tx) -> None:
    """Have what waits sent after the commit."""
    await jobs.defer(tx, send_messages)


async def means_now(tx: Tx) -> Means:
    """Return by which means customers can be told now."""
    return await reads.means(tx, mail=mail.is_set_up(configuration.load()))


@jobs.task("messages.send", attempts=5)
async def send_messages(db: Database) -> None:
    """Send what is due, one message after the other; nothing to do when somebody else did.

    After so many the rest goes to the end of the queue: with thousands due, senders would have every place of the
    worker, and nobody who forgot a password would get a link.
    """
    if await send_due(db, configuration.load(), most=AT_ONCE) == AT_ONCE:
        async with db.transaction() as tx:
            await jobs.defer(tx, send_messages)


async def care_for_messages(db: Database) -> None:
    """Send what waited for its time, settle what a lost process left, forget what is old."""
    async with db.transaction() as tx:
        lost = await notifications.give_up_interrupted(tx)
        await notifications.forget_words(tx)
        await returns.forget_receipts(tx)
        due = await reads.any_due(tx)
    if lost:
        log.warning("messages_uncertain", count=lost)
    if due:
        await send_due(db, configuration.load())


async def outlets_of(db: Database, settings: Settings) -> Outlets:
    """Return the ways messages leave by: the mail server of the settings, and the gateways that are in use."""
    keys = signing.keys_of(settings)
    outward = Outward(settings.outward_allow)
    carriers = []
    async with db.transaction() as tx:
        for channel in await reads.ready_gateways(tx):
            try:
                opened = await means_of_contact.open_gateway(tx, keys, channel)
            except SealBroken:  # an administrator must enter the secret again: until then the means is not set up
                log.exception("gateway_unreadable", channel=channel)
                continue
            if opened is not None:
                carriers.append(HttpCarrier(opened, outward, receipt_address(settings, opened)))
    return Outlets(settings, carriers)


def receipt_address(settings: Settings, opened: Opened) -> str:
    """Return where a gateway is to send receipts: with its token, where it cannot put that into a header."""
    address = f"{settings.address}/v1/messages/receipts/{opened.channel.value}"
    receipts = opened.gateway.receipts
    if receipts.proof == "token" and not receipts.header and opened.receipt_secret:
        return f"{address}?token={quote(opened.receipt_secret, safe='')}"
    return address


async def send_due(db: Database, settings: Settings, *, most: int | None = None) -> int:
    """Send every message that is due, or `most` of them; return how many were taken up.

    Each is committed as being sent before it is handed over, and its outcome after: no transaction is open while a
    server is spoken to. A means that does not answer twice running is left alone for the rest of the round: what waits
    for it stays as it is, and neither the other means nor the worker wait for it.
    """
    taken = 0
    unanswered: dict[Channel, int] = {}
    async with await outlets_of(db, settings) as outlets:
        async with db.transaction() as tx:
            means = msgspec.structs.replace(await reads.means(tx, mail=False), ready=outlets.ready)
            for channel in set(Channel) - outlets.ready:
                await notifications.skip_unconfigured(tx, channel, means)
        while taken != most:
            async with db.transaction() as tx:
                silent = [channel for channel, times in unanswered.items() if times >= PATIENCE]
                message = await notifications.claim(tx, silent)
                written = await _written(tx, message, settings, means) if message else None
            if message is None:
                return taken
            taken += 1
            if written is None:
                continue
            outcome = await outlets.send(message, *written)
            # A server may hang up after so many messages: once is no silence.
            lost = outcome.reason in {"unreachable", "unanswered"}
            unanswered[message.channel] = unanswered.get(message.channel, 0) + 1 if lost else 0
            await _record(db, message, outcome, means)
    return taken


async def _record(db: Database, message: Claimed, outcome: Outcome, means: Means) -> None:
    async with db.transaction() as tx:
        await notifications.record_outcome(
            tx,
            message,
            outcome.state,
            reason=outcome.reason,
            answer=outcome.answer,
            reference=outcome.reference,
            bad_address=outcome.bad_address,
            not_before_s=outcome.not_before_s,
            means=means,
        )
        if outcome.reference:
            await returns.apply_waiting(tx, message.channel, outcome.reference, means)
    if outcome.state is not State.SENT:
        log.info("message_not_sent", message=str(message.id), channel=message.channel, reason=outcome.reason)


Written = tuple[Rendered, tuple[str, str]]


async def _written(tx: Tx, message: Claimed, settings: Settings, means: Means) -> Written | None:
    """Return the message in words, and keep them; None when it must not or cannot be sent, which is its outcome."""
    objection = await notifications.objection(tx, message, means)
    if objection is None and message.channel not in means.ready:
        objection = "not_configured"
    if objection:
        # What is not so any more is not so by any other means.
        others = None if objection == rules.OVERTAKEN else means
        await notifications.record_outcome(tx, message, State.SKIPPED, reason=objection, means=others)
        return None
    try:
        async with tx.savepoint():
            facts = await facts_of(tx, message.order_id, message.facts, settings, message.channel)
            if facts is None:
                await notifications.record_outcome(tx, message, State.FAILED, reason="order_gone")
                return None
            if message.kind in rules.TO_COLLECT and not facts.pickup_code:  # nothing waits at the counter any more
                await notifications.record_outcome(tx, message, State.SKIPPED, reason=rules.OVERTAKEN)
                return None
            template = await reads.template(tx, message.kind, message.channel, message.language)
            look = await look_of(tx)
            links = wishes_of(message.kind, message.channel, message.order_id, settings)
            rendered = written_as(template, facts, msgspec.structs.replace(look, wishes_address=links[0]))
            subject, said = (rules.without_keys(x, facts.pickup_code) for x in (rendered.subject, rendered.text))
            await notifications.keep_words(tx, message.id, Rendered(subject, said, ""))
            return rendered, links
    except (LookupError, TypeError, ValueError) as error:
        log.exception("message_not_written", message=str(message.id))
        answer = str(error)[:200]
        await notifications.record_outcome(tx, message, State.FAILED, reason="text_broken", answer=answer, means=means)
        return None


def written_as(template: Template, facts: Facts, look: Look) -> Rendered:
    """Return a text in words as its means takes it."""
    if template.channel is Channel.EMAIL:
        return rendering.render(template.text, template.kind, facts, look, template.language)
    return rendering.render_short(template.text, template.kind, facts, look, template.language, template.channel)


def wishes_of(kind: Kind, channel: Channel, order_id: UUID, settings: Settings) -> tuple[str, str]:
    """Return where the buyer changes what they want to get, and where one click ends it; news of losses has no end."""
    path = wishes.wishes_path(signing.keys_of(settings), order_id, channel, at=now())
    page = f"{settings.address}{path}"
    return page, "" if KINDS[kind].always else f"{page}/stop"


async def look_of(tx: Tx) -> Look:
    """Return how the retailer appears around a message."""
    shop = await retailer.current(tx)
    shades = retailer.shades(shop.colour)
    return Look(
        retailer=shop.name,
        colour=shades["brand"],
        on_colour=shades["on-brand"],
        support_email=shop.support_email or "",
        support_phone=shop.support_phone or "",
        website=shop.website or "",
    )


async def facts_of(
    tx: Tx, order_id: UUID, event: Mapping[str, Any], settings: Settings, channel: Channel = Channel.EMAIL
) -> Facts | None:
    """Return everything a text can name: of the order as it stands, and of the event. None when the order is gone.

    `channel` is the means by which it is told: the link is good as long as the buyer is reached there.
    """
    number = (await orders.numbers_of(tx, [order_id])).get(order_id)
    header = await orders.header(tx, number) if number is not None else None
    if header is None:
        return None
    rows = {row.line: row for row in await orders.lines(tx, order_id)}
    lines = (await ordering.lines_of(tx, [order_id]))[order_id]
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    gone = ordering_rules.cancelled_quantities(lines, units)
    told = _told_parcels(event)
    sent = [u for u in units if str(u.shipment_id) in told]
    living = [u for u in units if u.state is not UnitState.CANCELLED]
    currency = header.currency

    def item(line: int, quantity: int) -> Item:
        row = rows[line]
        return Item(row.name, quantity, Money(row.total * quantity // row.quantity, currency))

    def among(some: Sequence[Unit]) -> tuple[Item, ...]:
        """Return lines by their units; of a kit of which only some components are among them, one."""
        here = {u.line for u in some}
        return tuple(item(x.line, max(1, ordering_rules.whole_units(x, some))) for x in lines if x.line in here)

    cancelled = {int(n): int(q) for n, q in (event.get("lines") or {}).items()} if _is_cancel(event) else gone
    repromised = set(event.get("lines") or ()) if "promised_at" in event else set()
    zone = ZoneInfo(await _zone(tx, header))
    pickup = await _pickup(tx, order_id, event, zone)
    replaced = _replaced(event)
    hours = header.method == "pickup"
    days = [_said(at, zone, hours=hours) for at in await _promises_told(tx, order_id, header, event)]
    # Nothing is said of an amount when the substitute costs what the customer had agreed to.
    amount = (event.get("amount") or None) if replaced else event.get("amount")
    keys = signing.keys_of(settings)
    to = header.buyer_email if channel is Channel.EMAIL else header.buyer_phone
    return Facts(
        order_number=header.number,
        customer_name=rules.first_name(header.buyer_name),
        order_total=Money(header.total - header.cancelled_total, currency),
        order_date=header.placed_at.astimezone(zone).date(),
        promised_day=_day(event.get("promised_at"), zone, hours=hours) or (days[-1] if days else None),
        first_day=days[0] if days and not event.get("promised_at") and days[0] != days[-1] else None,
        former_day=_day(event.get("former_at"), zone, hours=hours),
        promise_reason=str(event.get("why", "")),
        tracking_address=tracking_address(keys, settings.address, order_id, at=now(), to=to),
        items=tuple(item(n, row.quantity - gone[n]) for n, row in rows.items() if row.quantity > gone[n]),
        sent_items=among(sent),
        waiting_items=among([u for u in living if u.state not in GONE]),
        more_follows=bool(sent) and any(ordering_rules.is_to_come(u) and str(u.shipment_id) not in told for u in units),
        repromised_items=tuple(item(n, row.quantity - gone[n]) for n, row in rows.items() if n in repromised),
        replaced_items=tuple(item(old, n) for old, _new, n in replaced if old in rows),
        replacing_items=tuple(item(new, n) for _old, new, n in replaced if new in rows),
        cancelled_items=tuple(item(n, q) for n, q in cancelled.items() if q and n in rows),
        shipping=Money(header.shipping_total, currency) if header.shipping_total else None,
        discount=Money(-header.discount_total, currency) if header.discount_total else None,
        parcels=await _parcels(tx, order_id, event),
        amount=Money(amount, currency) if isinstance(amount, int) else None,
        awaits_payment=header.status == OrderStatus.AWAITING_PAYMENT,
        hold_kind=_hold_told(event),
        **pickup,
    )


async def _zone(tx: Tx, header: orders.Header) -> str:
    """Return by whose calendar days are told: where the order goes or is fetched, else the retailer's."""
    state = (header.ship_to or {}).get("state", "")
    return header.pickup_zone or STATE_ZONES.get(state) or (await retailer.zone(tx)).key


async def _promises_told(tx: Tx, order_id: UUID, header: orders.Header, event: Mapping[str, Any]) -> list[datetime]:
    """Return the promises of what a message is of, soonest first: of parcels an event names, else of all to come."""
    first = header.promised_at
    own = await orders.line_promises(tx, order_id) if first is not None else {}
    if first is None or not own:
        return [] if first is None else [first]
    living = [u for u in await orders.units(tx, order_id) if u.state != UnitState.CANCELLED]
    sent = [u for u in living if str(u.shipment_id) in _told_parcels(event)]
    left = [u for u in living if u.state not in GONE]
    return sorted(own.get(u.line, first) for u in sent or left or living)


def _day(said: object, zone: ZoneInfo, *, hours: bool) -> date | None:
    """Return the day of an instant, as an event or a row says it; see `_said`."""
    if isinstance(said, str):
        said = datetime.fromisoformat(said)
    return _said(said, zone, hours=hours) if isinstance(said, datetime) else None


def _said(promised_at: datetime, zone: ZoneInfo, *, hours: bool) -> date:
    """Return what is said of a promise: its day; with `hours` (it is fetched) the hour as well, if it is for one."""
    there = promised_at.astimezone(zone)
    return there if hours and not is_by_day(promised_at, zone) else there.date()


def _replaced(event: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Return the line that could not be had, the one in its place, and how many units."""
    said = [event.get(name) for name in ("line", "by_line", "quantity")]
    return [(said[0], said[1], said[2])] if all(isinstance(n, int) for n in said) else []  # type: ignore[list-item]


def _is_cancel(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("lines"), Mapping) and "whole" in event


def _hold_told(event: Mapping[str, Any]) -> str:
    told = [kind for kind in (event.get("kind"), *(event.get("holds") or ())) if kind in rules.HOLDS_TOLD]
    # What the customer can mend is said before what we mend.
    return min(told, key=lambda kind: kind == HoldKind.SHORTAGE, default="")


async def _parcels(tx: Tx, order_id: UUID, event: Mapping[str, Any]) -> tuple[Parcel, ...]:
    told = _told_parcels(event)
    return tuple(
        Parcel(row.carrier or "", row.tracking_code or "", row.tracking_url or "")
        for row in await work.shipments(tx, order_id)
        if row.shipped_at and (str(row.id) in told or not told)
    )


def _told_parcels(event: Mapping[str, Any]) -> set[str]:
    """Return the ids of the parcels that an event names."""
    return {str(event.get("shipment_id")), *(str(s.get("id")) for s in event.get("shipments") or ())} - {"None"}


async def _pickup(tx: Tx, order_id: UUID, event: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    told = str(event.get("fulfillment_id"))
    waiting = [row for row in await work.of_order(tx, order_id) if row.pickup_code and row.state == WorkState.READY]
    row = next((r for r in reversed(waiting) if str(r.id) == told or told == "None"), None)
    if row is None or row.pickup_until is None:
        return {}
    place = (await network.addresses(tx, [row.location_id])).get(row.location_id, Address())
    street = ", ".join(x for x in (place.street, place.number, place.complement, place.district) if x)
    town = " \N{EN DASH} ".join(x for x in (place.city, place.state) if x)
    return {
        "pickup_code": row.pickup_code or "",
        "pickup_day": row.pickup_until.astimezone(zone).date(),
        "pickup_place": tuple(x for x in (row.location, street, town) if x),
    }
