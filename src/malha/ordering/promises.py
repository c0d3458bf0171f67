"""Promises made anew: a new day for an order or some of its lines, why, and what was promised before.

Every promise stays (`order_promise`), so what was promised first can be measured. `sales_order.promised_at` is what
counts: the day of the whole order or, where lines differ, the first day that is still to be kept. Lateness is counted
from it. When all of it is there is the last day of its lines (`promised_days.complete_at`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from malha.network import reads as network
from malha.network.places import zone_of
from malha.ordering import promise_writes as writes
from malha.ordering import rules
from malha.ordering import service as ordering
from malha.ordering.errors import LineNotFound, NothingToPromise
from malha.ordering.events import OrderRepromised
from malha.ordering.model import Order, PromiseReason, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

NOTE_LENGTH = 400


async def repromise(
    tx: Tx,
    order_id: UUID,
    promised_at: datetime,
    *,
    reason: PromiseReason,
    note: str = "",
    lines: Collection[int] | None = None,
    expected: int | None = None,
) -> datetime:
    """Promise an order, or some of its lines, for another day; return the first day that is now to be kept.

    The customer is told (`OrderRepromised`). What was promised before stays on record.

    Args:
        tx: The transaction.
        order_id: The order.
        promised_at: The end of the day that is promised from now on.
        reason: Why.
        note: For colleagues; required with `PromiseReason.OTHER`. At most 400 characters.
        lines: Only these lines; None is the whole order.
        expected: The version the asker saw.

    Raises:
        Invalid: the day is over, too far away or promised already, or words are missing.
        LineNotFound: the order has no such line.
        NothingToPromise: what is asked for is with the customer, or cancelled.
        OrderNotFound, OrderChanged: there is no such order, or it is at another version.
    """
    order = await ordering.lock_order(tx, order_id, expected)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    former = await tx.value(writes.PROMISE_OF, {"order_id": order_id})
    standing = {int(line): at for line, at in await tx.tuples(writes.LINE_PROMISES, {"order_id": order_id})}
    chosen = _chosen(order, units, lines)
    if standing and chosen is None and any(_has_come(u) for u in units):
        chosen = sorted({u.line for u in units if rules.is_to_come(u)})  # what has come keeps the day it had
    flaws = rules.check_promise(
        promised_at,
        at=await tx.now(),
        former=former,
        standing=[standing.get(n) for n in chosen or ()],
        part=bool(chosen),
    )
    if len(note.strip()) > NOTE_LENGTH:
        flaws.append(Flaw("note", N_("A note has at most {most} characters."), facts={"most": NOTE_LENGTH}))
    if reason is PromiseReason.OTHER and not note.strip():
        flaws.append(Flaw("note", N_("This needs a reason."), N_("Say why in a few words.")))
    refuse(flaws)
    kept = promised_at if not chosen else await _promise_lines(tx, order, units, standing, chosen, promised_at, former)
    await tx.execute(writes.SET_PROMISE, {"order_id": order_id, "at": kept})
    if not chosen:
        await tx.execute(writes.DROP_LINE_PROMISES, {"order_id": order_id})
    said = _by_former_day(units, standing, chosen, former)
    row = {
        "order_id": order_id, "promised_at": promised_at, "reason": reason.value, "note": note.strip(),
        "by": tx.actor.label, "author": tx.actor.name,
    }  # fmt: skip
    for before, of in said:
        await tx.execute(writes.ADD_PROMISE, row | {"id": new_id(), "former_at": before, "lines": of})
    before = said[0][0]
    told = OrderRepromised(
        id=order_id, seq=0, promised_at=promised_at, former_at=before, why=reason.value, lines=chosen or []
    )
    await ordering.record(tx, told)
    return kept


def _has_come(unit: Unit) -> bool:
    return not rules.is_to_come(unit) and unit.state is not UnitState.CANCELLED


def _by_former_day(
    units: Sequence[Unit], standing: Mapping[int, datetime], chosen: Sequence[int] | None, former: datetime | None
) -> list[tuple[datetime | None, list[int] | None]]:
    """Return what was promised before, the soonest first, and for which lines: all that is on record of it.

    Lines None: the whole order. Where its lines had days of their own, each of these is a row.
    """
    lines = chosen or sorted({u.line for u in units if rules.is_to_come(u)})
    if not standing or former is None:
        return [(former, list(chosen) if chosen else None)]
    days: dict[datetime, list[int]] = {}
    for line in lines:
        days.setdefault(standing.get(line, former), []).append(line)
    if len(days) == 1 and chosen is None:
        return [(before, None) for before in days]
    return sorted(days.items())


async def zone_promised(tx: Tx, order: Order, otherwise: str) -> ZoneInfo:
    """Return by whose clock a promised day of an order ends: of where it is fetched, or goes; else another zone's."""
    if order.method != "pickup":
        return zone_of((order.ship_to or {}).get("state"), otherwise)
    at = order.pickup_location_id
    places = {} if at is None else await network.locations_by_id(tx, [at])
    return ZoneInfo(places[at].timezone if at in places else otherwise)


async def standing(tx: Tx, order_id: UUID) -> tuple[datetime | None, dict[int, datetime]]:
    """Return what a locked order is promised for, and the days of lines where they differ."""
    lines = {int(line): at for line, at in await tx.tuples(writes.LINE_PROMISES, {"order_id": order_id})}
    return await tx.value(writes.PROMISE_OF, {"order_id": order_id}), lines


def _chosen(order: Order, units: Sequence[Unit], lines: Collection[int] | None) -> list[int] | None:
    """Return the lines that get a day of their own; None when it is all that is still to come."""
    known = {u.line for u in units}
    coming = {u.line for u in units if rules.is_to_come(u)}
    if not coming:
        raise NothingToPromise(number=order.number)
    if lines is None:
        return None
    for line in lines:
        if line not in known:
            raise LineNotFound(number=order.number, line=line)
    if not lines:
        refuse([Flaw("lines", N_("Name at least one line."))])
    if not set(lines) <= coming:
        raise NothingToPromise(number=order.number)
    return None if set(lines) == coming else sorted(set(lines))


async def _promise_lines(
    tx: Tx,
    order: Order,
    units: Sequence[Unit],
    standing: Mapping[int, datetime],
    chosen: Sequence[int],
    promised_at: datetime,
    former: datetime,
) -> datetime:
    """Give some lines a day of their own; return the first day that is still to be kept."""
    days = {u.line: standing.get(u.line, former) for u in units} | dict.fromkeys(chosen, promised_at)
    columns = {"order_id": order.id, "lines": list(days), "instants": list(days.values())}
    await tx.execute(writes.PUT_LINE_PROMISES, columns)
    return min((days[u.line] for u in units if rules.is_to_leave(u)), default=max(days.values()))
