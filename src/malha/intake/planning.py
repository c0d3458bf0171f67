"""One order planned against its batch's running balances. Nothing here asks the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.capacity.errors import SlotFull
from malha.intake import beyond, dropping, ruled
from malha.intake.batch import Batch
from malha.intake.covering import at_hand, by_balance, expected
from malha.intake.errors import OutOfStock
from malha.intake.holding import hold_for_shortage, holds_of, with_state
from malha.intake.model import NewOrder, Placed, Result, Submission
from malha.intake.new_units import units_of
from malha.intake.order_days import is_brought, made_of, promises_of, release_after, uncovered_by
from malha.intake.reference import Channel, Reference
from malha.inventory.ahead.model import NewClaim
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.ordering.events import OrderPlaced
from malha.ordering.model import HoldKind
from malha.ordering.rules import derive_status, tags_of
from malha.payments import service as payments
from malha.platform.brazil import normalise_document, normalise_email, normalise_phone
from malha.platform.errors import MalhaError
from malha.platform.ids import new_id
from malha.promising.making import stored
from malha.routing import rules as routing
from malha.routing import service as decisions
from malha.routing.model import Plan, Request, RequestLine, parts_of

_json = msgspec.json.Encoder().encode


def plan_one(
    batch: Batch,
    position: int,
    submission: Submission,
    reference: Reference,
    skus: dict[str, Any],
    instant: datetime,
) -> MalhaError | None:
    """Plan one order against the batch's running balances and collect its rows; return why it is refused, if it is."""
    submission = with_state(submission, reference)
    order = submission.order
    channel = reference.channels[order.channel]
    items = sum([line.quantity * line.unit_price - line.discount for line in order.lines])
    total = items - order.discount + order.shipping
    holds, target = holds_of(submission, channel, reference, skus, total)
    plan: Plan | None = None
    order_id = submission.id
    covers: list[NewClaim] = []
    seat = batch.slotting.seat(submission)
    if seat.refused and (channel.shortage_policy == "reject" or submission.taken_by is not None):
        return SlotFull()
    holds |= seat.holds
    if target is not None:
        request = seat.narrow(_request(submission, order, channel, skus, target, reference), reference)
        if reference.rules is not None:
            request = ruled.of_new(reference, order, request, total, instant)
        taker = _taker_of(batch, order, channel, request)
        caps: list[str] = []
        if taker is None or batch.allotting is None:
            plan = routing.plan(request, reference.network, batch.free, reference.taken, reference.prices)
        else:
            plan, caps = batch.allotting.plan(taker, request, batch.free, reference.taken, reference.prices)
        goods = {line.line: skus[order.lines[line.line - 1].sku] for line in request.lines} if plan.unplaced else {}
        covers, caps = beyond.claims_of(request, plan, goods, batch.covering, batch.free, batch.allotting, taker, caps)
        uncovered = uncovered_by(plan, covers)
        if uncovered and channel.shortage_policy == "reject" and ruled.ending_of(plan) is None:
            seat.give_up()
            return _out_of_stock(order, uncovered, caps)
        holds |= hold_for_shortage(channel, plan, uncovered, caps, instant)
        if taker is not None and batch.allotting is not None:
            stock_of = _added(batch.allotting.wanted(request, plan), by_balance(at_hand(covers)))
            batch.allotting.take(order_id, taker, stock_of, batch.free, by_balance(expected(covers)))
        batch.covering.take(covers)
        batch.drops += dropping.asked(plan, order_id, reference.rules, reference.snapshot, instant)
    holds |= _pay(batch, submission, channel.id)
    id_text = str(order_id)
    now = instant.isoformat()
    released = release_after(submission, channel, instant, batch.covering, reference, skus)
    released = released if is_brought(order, plan) else seat.not_before(released, submission, reference)
    # A clock that goes wrong would keep its order at the head of every list, and out of every day, until then.
    placed_at = order.placed_at.isoformat() if order.placed_at and order.placed_at < instant else now
    states, lines, locations = units_of(batch, submission, id_text, reference, skus, plan, channel, covers)
    stated = order.promised_at or seat.promised_at
    made = None if plan is None else made_of(order, plan, covers, reference, released)
    promise, line_promises = promises_of(order, stated, plan, made, covers, reference, released)
    batch.new.promises += [(id_text, line, at.isoformat()) for line, at in line_promises.items()]
    status = derive_status(states, holds)
    buyer = order.customer
    ship_to = order.ship_to
    batch.new.orders.append(
        (
            id_text,
            channel.id,
            submission.external_id,
            submission.body_hash,
            submission.request_key,
            placed_at,
            channel.currency,
            status.value,
            items,
            order.discount,
            order.shipping,
            total,
            order.method,
            None if target is None else target[0],
            reference.locations.get(order.pickup_location) if order.pickup_location else None,
            buyer.name,
            (normalise_document(buyer.document) or buyer.document) if buyer.document else None,
            (normalise_email(buyer.email) or buyer.email) if buyer.email else None,
            (normalise_phone(buyer.phone) or buyer.phone) if buyer.phone else None,
            None if ship_to is None else _json(ship_to).decode(),
            None if ship_to is None else ship_to.state,
            None if promise is None else promise.isoformat(),
            released.isoformat(),
            order.customer_group,
        )
    )
    batch.new.details += _details_of(order, id_text)
    batch.new.tags += _tags_of(order, id_text)
    for kind, detail in holds.items():
        batch.new.holds.append((str(new_id()), id_text, kind.value, _json(detail).decode()))
    if plan is not None:
        kept = None if promise is None or made is None else stored(made)
        batch.keep(decisions.Decision(id_text, 1, plan, kept, ruled.asked_of(reference, order, plan, total)))
    kinds = [kind.value for kind in holds]
    batch.events.append(
        OrderPlaced(
            id=id_text,
            seq=1,
            channel_id=channel.id,
            total=total,
            status=status.value,
            holds=kinds,
            locations=locations,
        )
    )
    batch.actors.append(submission.actor)
    batch.ats.append(placed_at)
    batch.placed[id_text] = (
        position,
        Placed(
            id=order_id,
            number=0,
            channel=order.channel,
            external_id=submission.external_id,
            status=status.value,
            result=Result.ACCEPTED,
            total=total,
            currency=channel.currency,
            holds=kinds,
            lines=lines,
        ),
    )
    return None


def _pay(batch: Batch, submission: Submission, channel_id: int) -> dict[HoldKind, dict[str, Any]]:
    """Take the payments of an order for it; return the hold for one that is an order's of another channel.

    A channel parts what was bought at once into orders that one payment pays. What an order of the past was paid with
    nobody asks.
    """
    order, order_id = submission.order, submission.id
    if not order.payments:
        return {}
    batch.tenders.append((order_id, order))
    if submission.release_now:
        return {}
    taken = []
    for identity in payments.identities_of(payments_said(submission)):
        paid_for, of_channel = batch.paid_for.setdefault(identity, (order_id, channel_id))
        if paid_for == order_id:
            batch.paying[identity] = order_id
        elif of_channel != channel_id:
            taken.append(identity)
    return {HoldKind.PAYMENT_ELSEWHERE: {"reference": taken[0]}} if taken else {}


def _added(one: Mapping[tuple[int, int], int], other: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in [*one, *(k for k in other if k not in one)]}


def _taker_of(batch: Batch, order: NewOrder, channel: Channel, request: Request) -> Taker | None:
    """Return who takes stock, for an order that a fence or cap touches."""
    if batch.allotting is None:
        return None
    stocked = [sku for line in request.lines for sku, _ in parts_of(line)]
    if not touches(batch.allotting.allotments, channel.id, stocked):
        return None
    return Taker(channel.id, order.customer_group)


def _request(
    submission: Submission,
    order: NewOrder,
    channel: Channel,
    skus: dict[str, Any],
    target: tuple[int | None, int | None, str | None],
    reference: Reference,
) -> Request:
    service_id, location_id, state = target
    lines: list[RequestLine] = []
    terms = reference.network.terms
    worth: dict[int, tuple[Sequence[int], int]] = {}
    for n, line in enumerate(order.lines, 1):
        card = skus.get(line.sku)
        if card is not None:
            lines.append(RequestLine(n, card.id, line.quantity, card.grams, card.components))
            if terms.asks_goods:
                value = (line.quantity * line.unit_price - line.discount) // line.quantity
                worth[n] = (card.id, *card.stocked), value
    return Request(
        order_id=submission.id,
        channel_id=channel.id,
        method=order.method,
        service_id=service_id,
        pickup_location_id=location_id,
        to_state=state,
        lines=lines,
        goods=reference.goods(worth),
        to_cep=order.ship_to.postal_code if terms.asks_cep and order.ship_to is not None else None,
    )


def _out_of_stock(order: NewOrder, uncovered: Sequence[tuple[int, int]], caps: Sequence[str]) -> MalhaError:
    limited = {"caps": list(caps)} if caps else {}
    shortages = [
        {"line": n, "sku": order.lines[n - 1].sku, "asked": order.lines[n - 1].quantity, "missing": missing} | limited
        for n, missing in uncovered
    ]
    return OutOfStock(count=len(shortages), shortages=shortages)


def _details_of(order: NewOrder, order_id: str) -> list[tuple[str, str]]:
    return [] if order.details is None else [(order_id, _json(order.details).decode())]


def _tags_of(order: NewOrder, order_id: str) -> list[tuple[str, str, str]]:
    said = () if order.details is None else order.details.tags
    return [(key, order_id, tag) for key, tag in tags_of(said).items()]


def payments_said(submission: Submission) -> list[tuple[str, str | None, str]]:
    """Return the payments of an order as it states them: kind, reference, state."""
    return [(paid.kind, paid.reference, paid.state) for paid in submission.order.payments]
