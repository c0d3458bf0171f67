"""Use cases of stock. Every change writes its ledger rows in the same transaction; corrections never edit history.

Claims and holds are conditional: what the database's RETURNING leaves out was refused. Physical facts (set, adjust,
receive) are always applied and may leave a deficit, which is work for a person. Lock order is (sku_id, location_id), so
callers that lock more take their own rows first: order, fulfillment order, capacity, then balances. Holds that end come
before caps, fences and balances of what they held, which are locked together with those the caller goes on to change.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import AsyncCursor

from malha.inventory import announcing, lateness, reads, standing, writes
from malha.inventory.allotments import claims as allotted
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.inventory.allotments.writes import CLAIM_DRAWN_FOR_ORDERS
from malha.inventory.errors import (
    BeyondBalance,
    ClaimNotHeld,
    HoldExists,
    HoldNotFound,
    InvalidQuantity,
    NotHappenedYet,
    TooLongAgo,
)
from malha.inventory.events import StockShortfall
from malha.inventory.model import (
    Availability,
    Claim,
    Deficit,
    HoldState,
    Kept,
    Reason,
    Reference,
    Shortfall,
    Stated,
)
from malha.inventory.rules import arrays, deficit, sum_claims
from malha.inventory.safety.writes import STATE_OVERRIDES
from malha.platform import arrays as literals
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

MAX_QUANTITY = 2_000_000_000
MAX_DIFFERENCE = 2_147_483_647  # what a row of the ledger, and a balance, can hold
EXPIRED_AT_ONCE = 500
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # what is said to be from before is a mistake
CLOCK_FAST = timedelta(minutes=1)  # what is said to be so little ahead happened now
OWN = " "  # in the references of holds that Malha places itself, for transfers and suspicions; callers cannot name them


async def reserve(
    tx: Tx,
    wanted: Sequence[Claim],
    reference: Reference,
    reason: Reason = Reason.ORDER,
    taker: Taker | None = None,
    *,
    locked: bool = False,
) -> list[Shortfall]:
    """Claim all of `wanted`, or nothing.

    Expired holds on these SKUs are retired before, and their balances are locked with those of `wanted`: to retire them
    after a refusal would lock them after those. Unless the balances are `locked`, and expired holds went, already.
    With a `taker` its fences are drawn before common stock and its caps count; without, only common stock is claimed.

    Returns:
        What could not be covered, with what is free now; empty when everything is claimed.
    """
    claims = sum_claims(wanted)
    if not claims:
        return []
    in_force = await allotments.current(tx)
    skus = sorted({c.sku_id for c in claims})
    if taker is not None and reference.id is not None and touches(in_force, taker.channel_id, skus):
        expired = [] if locked else await _expired(tx, skus)
        await allotted.lock_for(tx, [taker], skus, reference.id, *expired)
        await _give_back(tx, expired, Reason.HOLD_EXPIRED, claims)
        short = await allotted.take(tx, in_force, taker, reference.id, claims)
        if not short:
            await _record(tx, claims, reason, reference, allocated=1)
            await announcing.decreased(tx, _at(claims), reason.value)
        return short
    if not locked:  # what holds give back to fences is locked before any balance
        await retire_expired(tx, skus, also=claims)
    refused = await _claim_all(tx, claims)
    if refused:
        free = {(a.sku_id, a.location_id): a.free for a in await reads.availability(tx, [c.sku_id for c in refused])}
        return [Shortfall(c.sku_id, c.location_id, c.quantity, free.get((c.sku_id, c.location_id), 0)) for c in refused]
    await _record(tx, claims, reason, reference, allocated=1)
    await announcing.decreased(tx, _at(claims), reason.value)
    return []


async def _claim_all(tx: Tx, claims: Sequence[Claim]) -> list[Claim]:
    """Run the conditional update; on any refusal undo the rest and return what was refused."""
    applied = set(await tx.tuples(writes.CLAIM, arrays(claims)))
    refused = [c for c in claims if (c.sku_id, c.location_id) not in applied]
    if refused and applied:
        await tx.execute(writes.UNCLAIM, arrays([c for c in claims if (c.sku_id, c.location_id) in applied]))
    return refused


async def lock_stock(tx: Tx, sku_ids: Sequence[int], takers: Mapping[UUID, Taker]) -> None:
    """Lock all balances of SKUs, and before them the fences and caps that matter to orders. Expired holds go first.

    For those who give claims back and take others afterwards: two of them could otherwise wait for each other.
    """
    expired = await _expired(tx, sku_ids)
    await allotted.lock_for(tx, takers.values(), sku_ids, *takers, *expired)
    await _let_go(tx, [], expired, sku_ids)
    await (await reads.queue_free_stock(tx, sku_ids, lock=True)).fetchall()


async def queue_claims(
    tx: Tx,
    wanted: Mapping[tuple[int, int], int],
    ledger: tuple[list[int], list[int], list[int], list[str], list[str]],
    drawn: Mapping[tuple[int, int], int] | None = None,
) -> AsyncCursor[tuple[Any, ...]]:
    """Claim for many orders at once and write the ledger, for intake.

    The cursor gives how many of the keys were granted, and the revision of the allotments in force; unless that is all
    of them, under the revision that was planned with, the caller must roll back. For `tx.pipeline()`: read the cursor
    when everything of the round trip is queued.

    Args:
        tx: the transaction.
        wanted: units by (sku_id, location_id).
        ledger: SKUs, locations, quantities, order ids and actors, one entry per order and balance.
        drawn: units of `wanted` that fences gave, by balance; the rest is common stock.
    """
    keys = sorted(wanted)
    skus, locations, quantities, orders, actors = ledger
    return await tx.cursor_of(
        CLAIM_DRAWN_FOR_ORDERS if drawn else writes.CLAIM_FOR_ORDERS,
        {
            **({"drawn": literals.ints([drawn.get(key, 0) for key in keys])} if drawn else {}),
            "skus": literals.ints([sku for sku, _ in keys]),
            "locations": literals.ints([location for _, location in keys]),
            "quantities": literals.ints([wanted[key] for key in keys]),
            "order_skus": literals.ints(skus),
            "order_locations": literals.ints(locations),
            "order_quantities": literals.ints(quantities),
            "orders": literals.bare(orders),
            "actors": literals.texts(actors),
        },
    )


async def release(
    tx: Tx,
    claims: Sequence[Claim],
    reference: Reference,
    reason: Reason = Reason.CANCEL,
    orders: Sequence[UUID] | None = None,
) -> None:
    """Give claims back: what they held is free again.

    With `orders`, one for each claim, many orders give back at once and each has its own ledger rows.

    Raises:
        ClaimNotHeld: a balance has fewer units allocated; nothing is changed.
    """
    given = sum_claims(claims)
    if not given:
        return
    back = await allotted.prepare_return(tx, _owned(claims, reference, orders))
    applied = set(await tx.tuples(writes.RELEASE, arrays(given)))
    await _refuse_missing(tx, given, applied)
    if back is not None:
        await allotted.finish_return(tx, back)
    if orders is None:
        await _record(tx, given, reason, reference, allocated=-1)
    else:
        await _record_rows(tx, claims, orders, reason, reference, allocated=-1)
    await _resolve_deficits(tx, _at(given))
    await announcing.increased(tx, _at(given), reason.value)


async def ship(
    tx: Tx,
    claims: Sequence[Claim],
    reference: Reference,
    reason: Reason = Reason.SHIP,
    orders: Sequence[UUID] | None = None,
    *,
    by: Reference | None = None,
) -> list[Deficit]:
    """Let claimed units leave: physical stock and claim fall together.

    With `orders`, one for each claim, many orders leave at once and each has its own ledger rows. What an order's units
    leave `by` is what their ledger rows say instead of the order.

    Raises:
        ClaimNotHeld: a balance has fewer units allocated; nothing is changed.
    """
    leaving = sum_claims(claims)
    if not leaving:
        return []
    out = await allotted.prepare_return(tx, _owned(claims, reference, orders), leaves=True)
    rows = await tx.tuples(writes.SHIP, arrays(leaving))
    await _refuse_missing(tx, leaving, {(sku, location) for sku, location, _, _ in rows})
    if out is not None:
        await allotted.finish_leaving(tx, out)
    if orders is None or by is not None:
        await _record(tx, leaving, reason, by or reference, on_hand=-1, allocated=-1)
    else:
        await _record_rows(tx, claims, orders, reason, reference, on_hand=-1, allocated=-1)
    return await _settle_deficits(tx, rows, reason)


async def receive(
    tx: Tx, goods: Sequence[Claim], reference: Reference, occurred_at: datetime | None = None
) -> list[Deficit]:
    """Add goods that arrived."""
    for g in goods:
        if not 0 < g.quantity <= MAX_QUANTITY:
            raise InvalidQuantity(quantity=g.quantity)
    return await adjust(tx, goods, Reason.RECEIPT, reference, occurred_at)


async def claim_arrived(tx: Tx, claims: Sequence[Claim], orders: Sequence[UUID]) -> None:
    """Claim goods that just came for the orders they were promised to, one for each claim, safety stock or not.

    The balances are locked and have the units: anything else is a defect of the caller.
    """
    wanted = sum_claims(claims)
    applied = await tx.tuples(writes.CLAIM_ARRIVED, arrays(wanted))
    if len(applied) != len(wanted):
        raise RuntimeError("goods that came were claimed beyond what is there")
    await _record_rows(tx, claims, orders, Reason.ORDER, Reference("order"), allocated=1)
    await announcing.decreased(tx, _at(wanted), Reason.ORDER.value)


async def claim_brought(tx: Tx, claims: Sequence[Claim], order_id: UUID) -> None:
    """Claim goods for an order that they come for, by a transfer of its own or as its vendor sends them.

    The caller adds them in the same transaction. What is missing there for others stays missing: these goods were never
    theirs.
    """
    wanted = sum_claims(claims)
    if not wanted:
        return
    await tx.execute(writes.ENSURE_BALANCES, _keys(wanted))
    await tx.execute(writes.CLAIM_BROUGHT, arrays(wanted))
    await _record(tx, wanted, Reason.ORDER, Reference("order", order_id), allocated=1)


async def adjust(
    tx: Tx, changes: Sequence[Claim], reason: Reason, reference: Reference, occurred_at: datetime | None = None
) -> list[Deficit]:
    """Apply physical differences (`quantity` is signed). Always applied; returns the deficits it left.

    Of a time that the newest snapshot of the location's source of truth may include, a disagreement says so.

    Raises:
        NotHappenedYet, TooLongAgo: they are said to be of a time that has not come, or of none that can be.
        BecameKit: one of which units come is a kit since the caller looked.
        BeyondBalance: a balance cannot hold what would come of it.
    """
    occurred_at = await happened(tx, occurred_at)
    deltas = [c for c in sum_claims(changes) if c.quantity]
    if not deltas:
        return []
    await refuse_beyond(tx, [c for c in deltas if abs(c.quantity) > MAX_QUANTITY])
    left = await _change(tx, deltas, reason, reference, occurred_at)
    await lateness.doubt(tx, deltas, occurred_at)
    return left


async def _change(
    tx: Tx, deltas: Sequence[Claim], reason: Reason, reference: Reference, occurred_at: datetime | None
) -> list[Deficit]:
    await refuse_beyond(tx, [c for c in deltas if abs(c.quantity) > MAX_DIFFERENCE])
    await standing.come(tx, {c.sku_id for c in deltas if c.quantity > 0})
    await tx.execute(writes.ENSURE_BALANCES, _keys(deltas))
    await allotted.lock_at(tx, [c for c in deltas if c.quantity < 0])
    found = await tx.tuples(writes.ADJUST, arrays(deltas))
    if len(found) < len(deltas):
        fitted = {(row[0], row[1]) for row in found}
        await refuse_beyond(tx, [c for c in deltas if (c.sku_id, c.location_id) not in fitted])
    rows = [row[:4] for row in found]
    await _record(tx, deltas, reason, reference, on_hand=1, occurred_at=occurred_at)
    await _shrink_suspected(tx, [c for c in deltas if c.quantity < 0])
    short_of_fenced = [(row[0], row[1]) for row in found if row[4]]
    if short_of_fenced:
        await allotted.settle(tx, short_of_fenced)
    await announcing.increased(tx, _at([c for c in deltas if c.quantity > 0]), reason.value)
    await announcing.decreased(tx, _at([c for c in deltas if c.quantity < 0]), reason.value)
    return await _settle_deficits(tx, rows, reason)


async def _shrink_suspected(tx: Tx, fewer: Sequence[Claim]) -> None:
    """Keep no more back as suspected than is there, at locked balances that have fewer units than before."""
    if not fewer:
        return
    rows = await tx.tuples(writes.SHRINK_SUSPECTED, _keys(fewer))
    if rows:
        claims = [Claim(sku, location, units) for _, sku, location, units in rows]
        await _record_rows(
            tx, claims, [hold for hold, _, _, _ in rows], Reason.HOLD_RELEASED, Reference("hold"), held=-1
        )


async def refuse_beyond(tx: Tx, changes: Sequence[Claim]) -> None:
    """Refuse the first of changes that no balance can hold, by the names of its SKU and location; without any, nothing.

    Raises:
        BeyondBalance: there is one.
    """
    if changes:
        first = changes[0]
        params = {"sku": first.sku_id, "location": first.location_id}
        ((sku, location, on_hand),) = await tx.tuples(reads.NAMED_BALANCE, params)
        raise BeyondBalance(sku=sku, location=location, quantity=first.quantity, on_hand=on_hand)


def refuse_too_long_ago(*moments: datetime | None) -> None:
    """Refuse moments of stock that nobody's books go back to; None is now.

    Raises:
        TooLongAgo: one is before `EARLIEST`.
    """
    for at in moments:
        if at is not None and at < EARLIEST:
            raise TooLongAgo(at=at.isoformat())


async def happened(tx: Tx, occurred_at: datetime | None) -> datetime | None:
    """Return when a fact happened, at the latest now: snapshots are rebased on what came after them.

    Raises:
        NotHappenedYet: it is said to be of a time further ahead than a clock is fast.
        TooLongAgo: it is said to be of a time before `EARLIEST`.
    """
    refuse_too_long_ago(occurred_at)
    if occurred_at is None or occurred_at <= (now := await tx.now()):
        return occurred_at
    if occurred_at > now + CLOCK_FAST:
        raise NotHappenedYet(at=occurred_at.isoformat())
    return now


async def set_on_hand(
    tx: Tx,
    stated: Sequence[Claim],
    reference: Reference,
    reason: Reason = Reason.SET,
    occurred_at: datetime | None = None,
) -> list[Deficit]:
    """State physical quantities as `state_on_hand` does; return the deficits it left."""
    return (await state_on_hand(tx, stated, reference, reason, occurred_at)).deficits


async def state_on_hand(
    tx: Tx,
    stated: Sequence[Claim],
    reference: Reference,
    reason: Reason = Reason.SET,
    occurred_at: datetime | None = None,
) -> Stated:
    """State physical quantities: the ledger gets the differences. The last statement of a repeated key counts.

    Of a moment that is over, what moved since is added on top; what was stated of a later one stands, and is returned
    as kept.

    Raises:
        NotHappenedYet, TooLongAgo: they are said to be of a time that has not come, or of none that can be.
    """
    occurred_at = await happened(tx, occurred_at)
    last = {(c.sku_id, c.location_id): c for c in stated}
    wanted = [last[key] for key in sorted(last)]
    if any(not 0 <= c.quantity <= MAX_QUANTITY for c in wanted):
        raise InvalidQuantity(quantity=next(c.quantity for c in wanted if not 0 <= c.quantity <= MAX_QUANTITY))
    await tx.execute(writes.ENSURE_BALANCES, _keys(wanted))
    await allotted.lock_at(tx, wanted)
    had = {(s, loc): q for s, loc, q in await tx.tuples(writes.LOCK_BALANCES, _keys(wanted))}
    kept: list[Kept] = []
    if occurred_at is not None:
        for sku, place, moved, since in await tx.tuples(writes.MOVED_SINCE, _keys(wanted) | {"at": occurred_at}):
            if since is not None:
                kept.append(Kept(sku, place, had[sku, place], since))
            had[sku, place] = had[sku, place] - moved if since is None else last[sku, place].quantity
    changes = [
        Claim(c.sku_id, c.location_id, c.quantity - had[c.sku_id, c.location_id])
        for c in wanted
        if c.quantity != had[c.sku_id, c.location_id]
    ]
    # How far it is to a number that is one is no quantity of its own: a balance may have been far beyond.
    left = await _change(tx, changes, reason, reference, occurred_at) if changes else []
    return Stated(left, kept)


async def ensure_balances(tx: Tx, keys: Sequence[tuple[int, int]]) -> None:
    """Make empty balances by (SKU, location) where there are none."""
    await tx.execute(writes.ENSURE_BALANCES, _keys([Claim(sku, place, 0) for sku, place in sorted(keys)]))


async def lock_balances(tx: Tx, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Availability]:
    """Lock balances by (SKU, location) in key order, and return them as they stand; those that are none are absent."""
    claims = [Claim(sku, place, 0) for sku, place in sorted(keys)]
    await tx.tuples(writes.LOCK_BALANCES, _keys(claims))
    found = await reads.availability(tx, sorted({c.sku_id for c in claims}), sorted({c.location_id for c in claims}))
    wanted = set(keys)
    return {key: row for row in found if (key := (row.sku_id, row.location_id)) in wanted}


async def set_safety(tx: Tx, stated: Sequence[Claim]) -> None:
    """Set the units a balance keeps back from being claimed. No movement: nothing physical changes.

    What is stated so wins over every safety rule, until `safety.service.drop_overrides`. What it frees and takes is
    announced.
    """
    if any(not 0 <= c.quantity <= MAX_QUANTITY for c in stated):
        raise InvalidQuantity(quantity=min(c.quantity for c in stated))
    await tx.execute(writes.ENSURE_BALANCES, _keys(stated))
    await tx.tuples(writes.LOCK_BALANCES, _keys(sorted(stated, key=lambda c: (c.sku_id, c.location_id))))
    await tx.execute(STATE_OVERRIDES, arrays(stated) | {"by": tx.actor.label})
    more = sorted(await tx.tuples(writes.SET_SAFETY, arrays(stated)))
    await announcing.increased(tx, [(sku, place) for sku, place, kept in more if kept < 0], "safety")
    await announcing.decreased(tx, [(sku, place) for sku, place, kept in more if kept > 0], "safety")


async def place_hold(
    tx: Tx,
    reference: str,
    claims: Sequence[Claim],
    *,
    seconds: float,
    channel_id: int | None = None,
    customer_group: str | None = None,
    locked: bool = False,
) -> list[Shortfall]:
    """Hold units for a cart or a payment for `seconds` from now (database clock); all or nothing.

    For a channel, its fences are drawn before common stock and its caps count. Expired holds are retired before, unless
    the balances are `locked` already: see `reserve`. One under the same reference is, whatever it held: a basket that
    is looked at again holds anew.

    Raises:
        HoldExists: the reference already has an active hold, and its time is not over.
    """
    wanted = sum_claims(claims)
    hold_id = new_id()
    row = {"id": hold_id, "reference": reference, "channel_id": channel_id, "seconds": seconds}
    over: list[UUID] = []
    if not await tx.tuples(writes.INSERT_HOLD, row):
        over = await tx.values(writes.EXPIRE_HOLD_OF, {"reference": reference})
        if not over or not await tx.tuples(writes.INSERT_HOLD, row):
            raise HoldExists(reference=reference)
    in_force = await allotments.current(tx)
    skus = sorted({c.sku_id for c in wanted})
    if channel_id is not None and touches(in_force, channel_id, skus):
        taker = Taker(channel_id, customer_group)
        expired = over + ([] if locked else await _expired(tx, skus))
        await allotted.lock_for(tx, [taker], skus, hold_id, *expired)
        await _give_back(tx, expired, Reason.HOLD_EXPIRED, wanted)
        short = await allotted.take(tx, in_force, taker, hold_id, wanted, held=True)
        if short:
            await tx.tuples(writes.RETIRE_HOLD, {"reference": reference, "state": HoldState.RELEASED.value})
            return short
        await tx.execute(writes.INSERT_HOLD_LINES, arrays(wanted) | {"hold_id": hold_id})
        await _record(tx, wanted, Reason.HOLD, Reference("hold", hold_id, reference), held=1)
        await announcing.decreased(tx, _at(wanted), Reason.HOLD.value)
        return []
    if over or not locked:
        await _give_back(tx, over + ([] if locked else await _expired(tx, skus)), Reason.HOLD_EXPIRED, wanted)
    refused = await _hold_all(tx, wanted)
    if refused:
        await tx.tuples(writes.RETIRE_HOLD, {"reference": reference, "state": HoldState.RELEASED.value})
        free = {(a.sku_id, a.location_id): a.free for a in await reads.availability(tx, [c.sku_id for c in refused])}
        return [Shortfall(c.sku_id, c.location_id, c.quantity, free.get((c.sku_id, c.location_id), 0)) for c in refused]
    await tx.execute(writes.INSERT_HOLD_LINES, arrays(wanted) | {"hold_id": hold_id})
    await _record(tx, wanted, Reason.HOLD, Reference("hold", hold_id, reference), held=1)
    await announcing.decreased(tx, _at(wanted), Reason.HOLD.value)
    return []


async def _hold_all(tx: Tx, claims: Sequence[Claim]) -> list[Claim]:
    applied = set(await tx.tuples(writes.HOLD, arrays(claims)))
    refused = [c for c in claims if (c.sku_id, c.location_id) not in applied]
    if refused and applied:
        await tx.execute(writes.UNHOLD, arrays([c for c in claims if (c.sku_id, c.location_id) in applied]))
    return refused


async def extend_hold(tx: Tx, reference: str, *, seconds: float) -> datetime:
    """Make a hold last at least `seconds` from now; return when it ends.

    Raises:
        HoldNotFound: there is no active hold under this reference, it is at locations the actor does not see, or
            Malha itself placed it.
    """
    if not await _sees_hold(tx, reference):
        raise HoldNotFound(reference=reference)
    ends: datetime | None = await tx.value(writes.EXTEND_HOLD, {"reference": reference, "seconds": seconds})
    if ends is None:
        raise HoldNotFound(reference=reference)
    return ends


async def release_hold(tx: Tx, reference: str) -> None:
    """Let a hold go before its time; what it held is free again. No active hold under the reference: nothing to do.

    A hold at locations the actor does not see is none, and so is one that Malha itself placed: `release_holds`.
    """
    if not await _sees_hold(tx, reference):
        return
    holds = await tx.values(writes.RETIRE_HOLD, {"reference": reference, "state": HoldState.RELEASED.value})
    await _give_back(tx, holds, Reason.HOLD_RELEASED)


async def release_by_hand(tx: Tx, references: Collection[str], reason: str) -> list[str]:
    """Let holds of carts and payments go before their time, because a person says so and why; return those that went.

    Each is noted in the audit trail. What is over meanwhile, what the actor does not see whole, and what Malha itself
    placed is left. An order that comes with such a reference afterwards finds no hold, and claims what is free.

    Raises:
        Invalid: no reason is given.
    """
    if not reason.strip():
        refuse([Flaw("reason", N_("Say why: whoever looks for the goods later reads it."))])
    scope = tx.actor.scope
    params = {"references": sorted(set(references)), "scope": None if scope is None else list(scope)}
    gone = sorted(await tx.tuples(writes.RETIRE_SEEN, params), key=lambda row: str(row[1]))
    await _give_back(tx, [hold for hold, _, _ in gone], Reason.HOLD_RELEASED)
    changes = [(reference, None, {"units": units or 0, "reason": reason.strip()}) for _, reference, units in gone]
    await audit.record_many(tx, action="release", entity="hold", changes=changes)
    return [reference for _, reference, _ in gone]


async def _sees_hold(tx: Tx, reference: str) -> bool:
    if OWN in reference:
        return False
    if tx.actor.locations is None:
        return True
    return all(tx.actor.sees(at) for at in await reads.locations_of_hold(tx, reference))


async def release_holds(tx: Tx, references: Sequence[str], also: Sequence[Claim] = ()) -> None:
    """Let holds go whoever asks, with the balances of `also` locked at the same time: the caller changes them next.

    So are the fences there, before any balance.
    """
    holds = []
    for reference in sorted(references):
        params = {"reference": reference, "state": HoldState.RELEASED.value}
        holds += await tx.values(writes.RETIRE_HOLD, params)
    held = [Claim(*row) for row in await tx.tuples(writes.HOLD_LINES, {"holds": holds})]
    await allotted.lock_at(tx, [*held, *also])
    await tx.tuples(writes.LOCK_BALANCES, _keys(sum_claims([*held, *also])))
    await _give_back(tx, holds, Reason.HOLD_RELEASED)


async def take_from_hold(
    tx: Tx, reference: str, claims: Sequence[Claim], *, seconds: float, also: Sequence[Claim] = ()
) -> bool:
    """Let units of a hold go that lasts at least `seconds` from now, whoever asks; the caller changes them next.

    It is one that Malha itself placed, which draws on no fence. Of units that it does not hold nothing happens. The
    balances of `also` are locked at the same time, and the fences there before any balance: where no hold is left the
    caller may place one of them anew.

    Returns:
        Whether there was a hold: its time may be over, and its units may have been given back.
    """
    wanted = sum_claims(claims)
    holds: list[UUID] = await tx.values(writes.KEEP_HOLD, {"reference": reference, "seconds": seconds})
    # Where some is placed anew, expired holds go; what they give back goes to fences before any balance is locked.
    expired = [] if holds else await _expired(tx, sorted({c.sku_id for c in also}))
    await allotted.lock_claims(tx, expired, {c.sku_id for c in (*claims, *also)})
    await _give_back(tx, expired, Reason.HOLD_EXPIRED, [*claims, *also])
    rows = await tx.tuples(writes.HOLD_LINES, {"holds": holds})
    held = {(sku, location): quantity for sku, location, quantity in rows}
    taken = [
        Claim(c.sku_id, c.location_id, min(c.quantity, held[c.sku_id, c.location_id]))
        for c in wanted
        if (c.sku_id, c.location_id) in held
    ]
    await tx.tuples(writes.LOCK_BALANCES, _keys(sum_claims([*claims, *also])))
    if not taken:
        return bool(holds)
    await tx.execute(writes.TAKE_FROM_HOLD, arrays(taken) | {"hold_id": holds[0]})
    await tx.execute(writes.UNHOLD, arrays(taken))
    await _record(tx, taken, Reason.HOLD_RELEASED, Reference("hold", holds[0], reference), held=-1)
    await announcing.increased(tx, _at(taken), Reason.HOLD_RELEASED.value)
    return True


async def convert_hold(tx: Tx, reference: str, order: Reference) -> list[Claim] | None:
    """Turn a hold into claims of an order, without a moment in which the units are free.

    An expired hold converts too, as long as nobody claimed of its SKUs. None: there is no such hold (any more).
    """
    holds = await tx.values(writes.RETIRE_HOLD, {"reference": reference, "state": HoldState.CONVERTED.value})
    if not holds:
        return None
    claims = [Claim(*row) for row in await tx.tuples(writes.HOLD_LINES, {"holds": holds})]
    await tx.tuples(writes.LOCK_BALANCES, _keys(claims))
    await tx.execute(writes.CONVERT, arrays(claims))
    if order.id is not None:
        await allotted.pass_on(tx, holds[0], order.id)
    await _record(tx, claims, Reason.HOLD_CONVERTED, Reference("hold", holds[0], reference), held=-1)
    await _record(tx, claims, Reason.ORDER, order, allocated=1)
    return claims


async def retire_expired(
    tx: Tx, skus: Sequence[int] = (), limit: int = EXPIRED_AT_ONCE, *, also: Sequence[Claim] = ()
) -> int:
    """Retire holds whose time is over (of some SKUs, or any); return how many.

    `also` are claims the caller goes on to make: their balances are locked with those of the holds, in one order.
    """
    holds = await _expired(tx, skus, limit)
    await _give_back(tx, holds, Reason.HOLD_EXPIRED, also)
    return len(holds)


async def make_way(
    tx: Tx, sku_ids: Sequence[int], hold: str | None = None, *, counters: Collection[tuple[int, int]] | None = None
) -> bool:
    """Let expired holds of SKUs go, and one `hold` before its time; return whether there was any.

    For those who lock all balances of the SKUs next, and before them, with `counters`, these and all fences of the
    SKUs. Where a hold goes all that is locked here, with what the holds have, of other SKUs too, in one order: two of
    them could otherwise wait for each other. The holds themselves come first, as for everybody who ends one.
    """
    let_go: list[UUID] = []
    if hold is not None and await _sees_hold(tx, hold):
        let_go = await tx.values(writes.RETIRE_HOLD, {"reference": hold, "state": HoldState.RELEASED.value})
    expired = await _expired(tx, sku_ids)
    if not let_go and not expired:
        return False
    if counters is not None:
        await allotted.lock_claims(tx, [*let_go, *expired], sku_ids, counters)
    await _let_go(tx, let_go, expired, sku_ids)
    return True


async def _expired(tx: Tx, sku_ids: Sequence[int], limit: int = EXPIRED_AT_ONCE) -> list[UUID]:
    """End holds whose time is over and return them; what they hold is the caller's to give back."""
    return await tx.values(writes.RETIRE_EXPIRED, {"skus": list(sku_ids), "limit": limit})


async def _let_go(tx: Tx, released: Sequence[UUID], expired: Sequence[UUID], sku_ids: Sequence[int]) -> None:
    """Give back what holds had that were ended, with all balances of SKUs locked at the same time."""
    if not released and not expired:
        return
    lines = await tx.tuples(writes.HOLD_LINES_EACH, {"holds": [*released, *expired]})
    await allotted.prepare_return(tx, [(owner, Claim(sku, location, n)) for owner, sku, location, n in lines])
    keys = _keys([Claim(sku, location, n) for _, sku, location, n in lines])
    await tx.tuples(writes.LOCK_SKUS_AND_BALANCES, keys | {"all_of": list(sku_ids)})
    await _give_back(tx, released, Reason.HOLD_RELEASED)
    await _give_back(tx, expired, Reason.HOLD_EXPIRED)


async def _give_back(tx: Tx, holds: Sequence[UUID], reason: Reason, also: Sequence[Claim] = ()) -> None:
    if not holds:
        return
    lines = await tx.tuples(writes.HOLD_LINES_EACH, {"holds": list(holds)})
    claims = sum_claims(Claim(sku, location, quantity) for _, sku, location, quantity in lines)
    back = await allotted.prepare_return(tx, [(hold, Claim(sku, loc, n)) for hold, sku, loc, n in lines])
    await tx.tuples(writes.LOCK_BALANCES, _keys(sum_claims([*claims, *also])))
    await tx.execute(writes.UNHOLD, arrays(claims))
    if back is not None:
        await allotted.finish_return(tx, back)
    await _record_rows(
        tx,
        [Claim(sku, location, quantity) for _, sku, location, quantity in lines],
        [hold for hold, _, _, _ in lines],
        reason,
        Reference("hold"),
        held=-1,
    )
    await announcing.increased(tx, _at(claims), reason.value)


def _owned(claims: Sequence[Claim], reference: Reference, orders: Sequence[UUID] | None) -> list[tuple[UUID, Claim]]:
    """Return claims with the order each belongs to; those of nobody cannot have drawn from a fence."""
    if orders is not None:
        return list(zip(orders, claims, strict=True))
    return [] if reference.id is None else [(reference.id, c) for c in claims]


def _keys(claims: Sequence[Claim]) -> dict[str, list[int]]:
    return {"skus": [c.sku_id for c in claims], "locations": [c.location_id for c in claims]}


async def _record(
    tx: Tx,
    claims: Sequence[Claim],
    reason: Reason,
    reference: Reference,
    *,
    on_hand: int = 0,
    allocated: int = 0,
    held: int = 0,
    occurred_at: datetime | None = None,
) -> None:
    """Write one ledger row per claim; the keyword signs say which columns its quantity moves, and which way."""
    refs = [reference.id] * len(claims)
    await _record_rows(
        tx,
        claims,
        refs,
        reason,
        reference,
        on_hand=on_hand,
        allocated=allocated,
        held=held,
        occurred_at=occurred_at,
    )


async def _record_rows(
    tx: Tx,
    claims: Sequence[Claim],
    refs: Sequence[UUID | None],
    reason: Reason,
    reference: Reference,
    *,
    on_hand: int = 0,
    allocated: int = 0,
    held: int = 0,
    occurred_at: datetime | None = None,
) -> None:
    await tx.execute(
        writes.RECORD_MOVEMENTS,
        arrays(claims)
        | {
            "refs": list(refs),
            "on_hand": on_hand,
            "allocated": allocated,
            "held": held,
            "reason": reason.value,
            "ref_kind": reference.kind,
            "ref_text": reference.text,
            "actor": tx.actor.label,
            "occurred_at": occurred_at,
        },
    )


async def _refuse_missing(tx: Tx, claims: Sequence[Claim], applied: set[tuple[int, int]]) -> None:
    missing = [c for c in claims if (c.sku_id, c.location_id) not in applied]
    if missing:
        stock = await reads.availability(tx, [missing[0].sku_id], [missing[0].location_id])
        raise ClaimNotHeld(
            sku=missing[0].sku_id,
            location=missing[0].location_id,
            quantity=missing[0].quantity,
            allocated=stock[0].allocated if stock else 0,
        )


async def _settle_deficits(tx: Tx, rows: Sequence[tuple[int, int, int, int]], reason: Reason) -> list[Deficit]:
    """Raise a deficit where fewer are there than are promised, end those that are covered again."""
    short = [(sku, loc, deficit(on_hand, allocated)) for sku, loc, on_hand, allocated in sorted(rows)]
    missing = [row for row in short if row[2]]
    found: list[Deficit] = []
    if missing:
        raised = await tx.tuples(
            writes.RAISE_DEFICITS,
            {
                "ids": [new_id() for _ in missing],
                "skus": [sku for sku, _, _ in missing],
                "locations": [loc for _, loc, _ in missing],
                "quantities": [quantity for _, _, quantity in missing],
                "reason": reason.value,
            },
        )
        await outbox.add_all(
            tx,
            [
                StockShortfall(id=id_, seq=seq, sku_id=sku, location_id=loc, quantity=quantity, reason=why)
                for id_, sku, loc, quantity, why, seq in raised
            ],
        )
        there = {(sku, loc): on_hand for sku, loc, on_hand, _ in rows}
        found = [Deficit(sku, loc, n, why, max(0, -there[sku, loc])) for _, sku, loc, n, why, _ in raised]
    covered = [(sku, loc) for sku, loc, missing_units in short if not missing_units]
    if covered:
        await _resolve_deficits(tx, covered)
    return found


async def _resolve_deficits(tx: Tx, keys: Sequence[tuple[int, int]]) -> None:
    """End the deficits at balances that are covered; what is on order there may be promised again."""
    params = {"skus": [sku for sku, _ in keys], "locations": [place for _, place in keys], "actor": tx.actor.label}
    await announcing.offered(tx, await tx.tuples(writes.RESOLVE_DEFICITS, params))


def _at(claims: Sequence[Claim]) -> list[tuple[int, int]]:
    return [(c.sku_id, c.location_id) for c in claims]


async def follow_physical(
    tx: Tx,
    reason: Reason,
    *,
    changed: Sequence[tuple[int, int, int, int]],
    more: Sequence[Claim],
    fewer: Sequence[Claim] = (),
    short_of_fenced: Sequence[tuple[int, int]] = (),
) -> list[Deficit]:
    """Tell what a change of physical stock means, for packages that write it with statements of their own.

    They have locked the fences of balances that may have fallen, and then the balances (`lock_fences`).

    Args:
        tx: the transaction of the change.
        reason: why.
        changed: (sku_id, location_id, on hand, allocated) where a deficit may have begun or ended.
        more: balances that have more than before: orders may wait for it.
        fewer: balances that have fewer.
        short_of_fenced: balances with fewer units than are set apart.
    """
    await _shrink_suspected(tx, fewer)
    if short_of_fenced:
        await allotted.settle(tx, short_of_fenced)
    await announcing.increased(tx, _at(more), reason.value)
    await announcing.decreased(tx, _at(fewer), reason.value)
    return await _settle_deficits(tx, changed, reason)


async def lock_fences(tx: Tx, claims: Sequence[Claim]) -> None:
    """Lock what is set apart at balances that may fall, before the balances themselves are locked."""
    await allotted.lock_at(tx, claims)
