"""Orders that wait for money hold stock only so long: the deadline, its end, more time, and money that comes late.

When the time is over the stock is free for others, and the order is kept a few days more without it. Money that comes
then finds the order: its units are placed again where stock is left, and what is missing is a shortage that a person
and the customer decide on. After those days the order is cancelled, which its customer is told.

Everything looks again under the order's lock, so of a payment and a deadline in the same moment exactly one happens
first, and the other finds what it left. Lock order: orders by id, then balances.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.rules import Wish
from malha.inventory.model import Claim, Reason, Reference
from malha.network import retailer
from malha.network.service import refuse_limited
from malha.ordering import cancelling
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind, Move, UnitState
from malha.ordering.rules import UNTOUCHED
from malha.payments import deadline_writes as writes
from malha.payments import service
from malha.payments.errors import NoPaymentAwaited, TermChanged, TermNeeded
from malha.payments.events import PaymentTimeExtended, PaymentTimeOver
from malha.payments.terms import ANY, Awaited, Due, Term, check_term, due_of
from malha.platform import audit
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded

AT_ONCE = 100
MOST_MINUTES = 60 * 24 * 60
_BEGIN = ("order.placed", "order.hold_placed", "payment.tender_added", "payment.refunded", "payment.charged_back")
TYPES = (*_BEGIN, "order.hold_resolved", "order.cancelled")

_UNTOUCHED = sorted(state.value for state in UNTOUCHED)
_awaited = msgspec.json.Decoder(list[Awaited]).decode


# --- setting deadlines, from the log ---


async def set_deadlines(tx: Tx, events: list[Recorded]) -> None:
    """Give orders that began to wait for money a deadline; end those of orders that do not wait any more."""
    orders = sorted({UUID(event.id) for event in events})
    await _set(tx, await tx.values(writes.UNPAID_OF, {"orders": orders, "untouched": _UNTOUCHED}))
    await tx.execute(writes.SETTLE, {"orders": orders})


async def sweep_deadlines(tx: Tx, since: int, reach: int) -> None:
    """As `set_deadlines`, for the events after `since` up to `reach`."""
    stretch = {"since": since, "reach": reach}
    await _set(
        tx, await tx.values(writes.UNPAID_OF_STRETCH, {**stretch, "types": list(_BEGIN), "untouched": _UNTOUCHED})
    )
    await tx.execute(writes.SETTLE_STRETCH, stretch)


async def _set(tx: Tx, orders: Sequence[UUID]) -> None:
    if not orders:
        return
    dues = await _dues(tx, orders)
    found = sorted(dues)
    await tx.execute(
        writes.PUT_DEADLINES,
        {
            "orders": found,
            "dues": [dues[o].at for o in found],
            "tenders": [dues[o].tender for o in found],
            "days": [dues[o].keep_days for o in found],
        },
    )


async def seconds_for(tx: Tx, tender: Awaited, channel_id: int) -> int:
    """Return how long from now a cart's stock waits for a tender; at least a second. 0 is no channel."""
    due = due_of(await terms(tx), [tender], channel_id, now(), (await retailer.zone(tx)).key)
    return max(int((due.at - now()).total_seconds()), 1)


async def _dues(tx: Tx, orders: Sequence[UUID]) -> dict[UUID, Due]:
    known = await terms(tx)
    zone = (await retailer.zone(tx)).key
    return {
        order_id: due_of(known, _awaited(tenders), channel_id, since, zone)
        for order_id, channel_id, since, tenders in await tx.tuples(writes.FACTS, {"orders": list(orders)})
    }


# --- when time is over ---


async def lapse_due(tx: Tx, limit: int = AT_ONCE) -> int:
    """Free the stock of orders whose time to pay is over; return of how many.

    Orders that somebody has in hand wait for the next round.
    """
    due = await tx.values(writes.DUE, {"limit": limit})
    if not due:
        return 0
    orders = await ordering.lock_orders(tx, due, skip_busy=True)
    await _count_money(tx, orders)
    lapsed = dict(await tx.tuples(writes.LAPSE, {"orders": list(orders)}))
    if not lapsed:
        return 0
    units = await ordering.units_of(tx, lapsed)
    moves: dict[UUID, list[Move]] = {}
    claims: list[tuple[UUID, Claim]] = []
    for order_id in sorted(lapsed):
        for u in units[order_id]:
            if u.state is UnitState.ALLOCATED and u.sku_id is not None and u.location_id is not None:
                moves.setdefault(order_id, []).append(
                    Move(u.line, u.part, u.quantity, UnitState.UNPLACED, location_id=None)
                )
                claims.append((order_id, Claim(u.sku_id, u.location_id, u.quantity)))
    waiting = await ahead.lock_for(tx, sorted(lapsed))
    all_of_it: dict[Wish, int] = {}
    for c in waiting:
        wish = c.order_id, c.line, c.sku_id
        all_of_it[wish] = all_of_it.get(wish, 0) + c.quantity
    claims += await ahead.give_back(tx, waiting, all_of_it)
    await order_holds.ensure_holds(tx, {order_id: {} for order_id in lapsed}, HoldKind.PAYMENT_LAPSED)
    events = [
        PaymentTimeOver(id=order_id, seq=0, units=sum(m.quantity for m in moves.get(order_id, ())), keep_days=days)
        for order_id, days in sorted(lapsed.items())
    ]
    await ordering.move_many(tx, {order_id: moves.get(order_id, []) for order_id in lapsed}, events)
    owners = [order_id for order_id, _ in claims]
    await inventory.release(tx, [claim for _, claim in claims], Reference("order"), Reason.LAPSE, owners)
    return len(lapsed)


async def end_lapsed(tx: Tx, limit: int = AT_ONCE) -> int:
    """Cancel what was kept for late money and got none; return of how many orders.

    Units a location works on already stay: their payment was taken back after work began, and a person decides.
    """
    due = await tx.values(writes.DUE_TO_CANCEL, {"limit": limit})
    if not due:
        return 0
    orders = await ordering.lock_orders(tx, due, skip_busy=True)
    await _count_money(tx, orders)
    ended = await tx.values(writes.END, {"orders": list(orders)})
    units = await ordering.units_of(tx, ended)
    moves = {
        order_id: [
            Move(u.line, u.part, u.quantity, UnitState.CANCELLED) for u in units[order_id] if u.state in UNTOUCHED
        ]
        for order_id in sorted(ended)
    }
    moves = {order_id: wanted for order_id, wanted in moves.items() if wanted}
    if moves:
        await cancelling.cancel_units(tx, moves, reason=N_("The payment did not arrive in time."))
    return len(ended)


async def _count_money(tx: Tx, orders: Collection[UUID]) -> None:
    """End the wait of locked orders whose money is recorded, though nobody who reacts to it came to that yet.

    They may be far behind, as after an outage: who paid in time keeps the stock, and who paid is not cancelled.
    """
    await service.settle_holds(tx, orders)
    await tx.execute(writes.SETTLE, {"orders": list(orders)})


async def welcome_late_money(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Let orders that were paid after their time go on: who hears of it finds their units a place again.

    Call it after `service.settle_holds`, which lifts the payment hold when enough is secured. Locks the orders.
    """
    orders = await ordering.lock_orders(tx, order_ids)
    holds = await ordering.open_holds(tx, orders)
    paid = [o for o in orders if HoldKind.PAYMENT_LAPSED in holds[o] and HoldKind.PAYMENT not in holds[o]]
    await order_holds.lift_holds(tx, paid, HoldKind.PAYMENT_LAPSED, N_("The payment came after its time."))


async def extend(tx: Tx, order_id: UUID, *, minutes: int, expected: int | None = None) -> datetime:
    """Give an order `minutes` from now to be paid; return until when. Never shortens; finds a lapsed order its stock.

    Raises:
        NoPaymentAwaited: the order does not wait for money.
        Invalid: not between one minute and sixty days.
    """
    order = await ordering.lock_order(tx, order_id, expected)
    if not 0 < minutes <= MOST_MINUTES:
        refuse([Flaw("minutes", N_("Give between one minute and 60 days."))])
    holds = (await ordering.open_holds(tx, [order_id]))[order_id]
    if HoldKind.PAYMENT not in holds:
        raise NoPaymentAwaited(number=order.number)
    due = (await _dues(tx, [order_id]))[order_id]
    until: datetime = await tx.value(
        writes.EXTEND,
        {
            "order_id": order_id,
            "until": now() + timedelta(minutes=minutes),
            "tender": due.tender,
            "days": due.keep_days,
            "actor": tx.actor.label,
        },
    )
    await ordering.record(tx, PaymentTimeExtended(id=order_id, seq=0, until=until))
    await order_holds.lift_holds(tx, [order_id], HoldKind.PAYMENT_LAPSED, N_("There is more time to pay."))
    return until


# --- terms ---


async def terms(tx: Tx) -> list[Term]:
    """Return the terms, those for every channel first."""
    return await tx.all(Term, writes.TERMS)


async def put_term(tx: Tx, term: Term) -> None:
    """State how long stock waits for a kind of tender; `version` 0 makes it. Deadlines that stand are not moved.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a number is out of its range, or there is no such tender.
        TermChanged: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    refuse(list(check_term(term)))
    before = next((t for t in await terms(tx) if (t.channel_id, t.tender) == (term.channel_id, term.tender)), None)
    row = {name: getattr(term, name) for name in Term.__struct_fields__ if name != "id"}
    if await tx.value(writes.PUT_TERM, row) is None:
        raise TermChanged(tender=term.tender)
    await audit.record(
        tx,
        action="change" if before else "create",
        entity="payment_term",
        entity_id=f"{term.tender}/{term.channel_id or ANY}",
        before=before,
        after=term,
    )


async def drop_term(tx: Tx, term_id: int, version: int) -> None:
    """Remove a term; what it held for falls under the next less specific one.

    Raises:
        TermNeeded: it is the one for everything else.
        TermChanged: it is gone, or somebody else changed it meanwhile.
    """
    before = next((t for t in await terms(tx) if t.id == term_id), None)
    if before is not None and before.tender == ANY and before.channel_id is None:
        raise TermNeeded
    if before is None or await tx.value(writes.DROP_TERM, {"id": term_id, "version": version}) is None:
        raise TermChanged(tender=before.tender if before else str(term_id))
    await audit.record(
        tx,
        action="remove",
        entity="payment_term",
        entity_id=f"{before.tender}/{before.channel_id or ANY}",
        before=before,
    )
