"""Use cases of selling ahead: claim supply, give it back, line a queue up when supply changed or goods came.

What is promised of a supply line is never more than it still expects: claims take units by a conditional update, and
whatever lowers what is expected moves or loses claims in the same statement. When goods come, those who wait get them
before anybody else can: in the transaction of the receipt, under the lock of the balance, they are allocated to the
orders first in the queue; the units of the orders follow (`ordering`), each under its order's lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, LiteralString

from psycopg import AsyncCursor

from malha.inventory import announcing
from malha.inventory import service as stock
from malha.inventory.ahead import reads, rules, writes
from malha.inventory.ahead.events import SupplyClaimsMoved
from malha.inventory.ahead.model import ClaimState, LinedUp, NewClaim, Part, SupplyClaim, SupplyLine
from malha.inventory.allotments import claims as allotted
from malha.inventory.allotments.model import Cap, Taker, Used
from malha.inventory.model import Claim
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id

AT_ONCE = 1000  # orders of one event

Key = tuple[int, int]  # (sku_id, location_id)


# --- locks ---


async def lock_queues(tx: Tx, keys: Iterable[Key], skus: Sequence[int] = ()) -> None:
    """Lock queues and their supply lines: until the transaction ends, nobody else moves or adds a claim there.

    What counts who waits is locked too, with the policies of `skus`: balances come after.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return
    params = _keys(wanted)
    await tx.execute(writes.ENSURE_QUEUES, params)
    await tx.tuples(writes.LOCK_QUEUES, params)
    await tx.tuples(writes.LOCK_LINES, params)
    await tx.tuples(writes.LOCK_POLICIES, params | {"more": list(skus)})


async def lock_for(
    tx: Tx,
    order_ids: Sequence[UUID],
    skus: Sequence[int] = (),
    takers: Collection[Taker] = (),
    taken: Sequence[int] | None = None,
) -> list[SupplyClaim]:
    """Lock the queues that locked orders stand in, and those of `skus` they could join; return the orders' claims.

    After them the counters of caps that the orders count on; with `takers` also those that count what they take
    afterwards, of `skus` or of what is `taken`. Once in a transaction, with all that is planned in it: supply that was
    stated since has a queue that was not locked, and to lock it behind balances is to wait in a circle with who
    receives there. Afterwards `claims_of` says how an order stands, and giving up what it claims locks nothing new.
    """
    keys = await tx.tuples(writes.QUEUES_FOR, {"orders": list(order_ids), "skus": list(skus)})
    if not keys:
        return []
    await lock_queues(tx, keys, skus)
    await allotted.lock_counted(tx, order_ids, takers, skus if taken is None else taken)
    return await _claims(tx, writes.CLAIMS_OF_ORDERS, {"orders": list(order_ids)})


async def _claims(tx: Tx, statement: LiteralString, params: Mapping[str, Any]) -> list[SupplyClaim]:
    return [SupplyClaim(*(*row[:5], ClaimState(row[5]), *row[6:])) for row in await tx.tuples(statement, params)]


def _keys(keys: Iterable[Key]) -> dict[str, Any]:
    columns = list(keys)
    return {"skus": [sku for sku, _ in columns], "locations": [place for _, place in columns]}


# --- claims of intake and of orders that are planned again ---


async def queue_claims(
    tx: Tx, claims: Sequence[NewClaim], *, planned: bool = False
) -> tuple[AsyncCursor[Any], int, AsyncCursor[Any], int]:
    """Claim supply for many orders at once. For `tx.pipeline()`: read both cursors when the round trip is over.

    Unless each counts as many as the number beside it, something was refused and the caller must roll back. What was
    `planned` on locked supply is not refused because units of it are missing for others since.
    """
    units: dict[int, int] = {}
    etas: dict[int, date] = {}
    policies: dict[int, int] = {}
    for c in claims:
        if c.supply_id is None:
            continue
        units[c.supply_id] = units.get(c.supply_id, 0) + c.quantity
        etas[c.supply_id] = c.eta
        if c.policy_id is not None and c.since is None:
            policies[c.policy_id] = policies.get(c.policy_id, 0) + c.quantity
    ids = sorted(units)
    granted = await tx.cursor_of(
        writes.CLAIM,
        {
            "ids": ids,
            "units": [units[id_] for id_ in ids],
            "etas": [etas[id_] for id_ in ids],
            "planned": planned,
        },
    )
    named = sorted(policies)
    counted = await tx.cursor_of(
        writes.COUNT_WAITING, {"ids": named, "units": [policies[p] for p in named], "regardless": False}
    )
    await _insert(
        tx,
        [
            (c.order_id, c.line, c.sku_id, c.location_id,
             ClaimState.ARRIVED if c.supply_id is None else ClaimState.WAITING, c.supply_id, c.quantity, c.since,
             c.days, c.not_before, c.eta if c.told else None, c.policy_id)
            for c in claims
        ],
    )  # fmt: skip
    return granted, len(ids), counted, len(named)


async def claim(
    tx: Tx, claims: Sequence[NewClaim], caps: Sequence[Cap] = (), uses: Sequence[tuple[UUID, Used]] = ()
) -> None:
    """Claim supply that was planned under locks (`lock_for`), and count it on caps."""
    if not claims:
        return
    await allotted.count_ahead(tx, caps, uses)
    granted, lines, counted, policies = await queue_claims(tx, claims, planned=True)
    if (await granted.fetchall())[0][0] != lines or (await counted.fetchall())[0][0] != policies:
        raise RuntimeError("claims planned on locked supply were refused")


async def _insert(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    names = (
        "orders", "lines", "skus", "locations", "states", "supplies", "quantities", "since", "days", "not_before",
        "told", "policies",
    )  # fmt: skip
    await tx.cursor_of(writes.INSERT_CLAIMS, {name: [row[i] for row in rows] for i, name in enumerate(names)})


async def give_back(
    tx: Tx, claims: Sequence[SupplyClaim], excess: Mapping[rules.Wish, int]
) -> list[tuple[UUID, Claim]]:
    """Let units of locked claims go, by (order, line, SKU); whoever waits behind them moves up.

    Returns:
        What of it had arrived, by order: claims on stock, which the caller releases.
    """
    given = rules.let_go(claims, excess)
    if not given:
        return []
    await _lower(tx, given)
    freed: dict[int, int] = {}
    for c, units in given:
        if c.supply_id is not None:
            freed[c.supply_id] = freed.get(c.supply_id, 0) + units
    if freed:
        await tx.execute(writes.GIVE_BACK, {"ids": list(freed), "units": list(freed.values())})
    waited = [(c, units) for c, units in given if c.state is not ClaimState.ARRIVED]
    await _count(tx, [(c.policy_id, -units) for c, units in waited])
    await allotted.uncount_ahead(tx, _owned(waited))
    await announcing.offered(tx, sorted({(c.sku_id, c.location_id) for c, _ in given if c.supply_id is not None}))
    return [(c.order_id, Claim(c.sku_id, c.location_id, units)) for c, units in given if c.state is ClaimState.ARRIVED]


async def _lower(tx: Tx, given: Sequence[tuple[SupplyClaim, int]]) -> None:
    whole = [c.id for c, units in given if units == c.quantity]
    part = [(c.id, units) for c, units in given if units < c.quantity]
    if whole:
        await tx.execute(writes.DROP_CLAIMS, {"ids": whole})
    if part:
        params = {"ids": [id_ for id_, _ in part], "units": [units for _, units in part]}
        await tx.execute(writes.SHRINK_CLAIMS, params)


def _owned(given: Iterable[tuple[SupplyClaim, int]]) -> list[tuple[UUID, Claim]]:
    return [(c.order_id, Claim(c.sku_id, c.location_id, units)) for c, units in given]


async def replace_lost(tx: Tx, lost: Sequence[SupplyClaim], found: Sequence[NewClaim], caps: Sequence[Cap]) -> None:
    """Drop lost claims as far as other supply was found; their units go on waiting, and count where they wait now.

    What was counted stays counted, also on caps that let nothing more through by now.
    """
    units_of: dict[rules.Wish, int] = {}
    for new in found:
        wish = new.order_id, new.line, new.sku_id
        units_of[wish] = units_of.get(wish, 0) + new.quantity
    given = rules.let_go(lost, units_of)
    counted = await allotted.uncount_ahead(tx, _owned(given))
    await allotted.recount_ahead(tx, rules.moved_uses(counted, found, caps))
    await _lower(tx, given)


async def claims_of(tx: Tx, order_id: UUID) -> list[SupplyClaim]:
    """Return the claims of a locked order."""
    return await _claims(tx, writes.CLAIMS_OF_ORDERS, {"orders": [order_id]})


async def end_arrived(tx: Tx, followed: Sequence[tuple[SupplyClaim, int]]) -> None:
    """Note that units of locked orders have followed their goods: the stock is claimed by the units from now on."""
    await _lower(tx, followed)


async def note_told(tx: Tx, order_id: UUID, lines: Iterable[int]) -> None:
    """Note that what customers were told of these lines fits their supply."""
    await tx.execute(writes.NOTE_TOLD, {"order_id": order_id, "lines": sorted(set(lines))})


# --- when supply changes or goods come ---


async def line_up(tx: Tx, keys: Iterable[Key], arrived: Mapping[Key, int] | None = None) -> None:
    """Give those who wait at SKUs and locations their units anew, after supply changed or goods came there.

    With goods, lock the queues (`lock_queues`) before the balances, and call this when the goods are on hand. Likewise
    when goods are taken away again: who misses theirs gets what comes before those who wait.

    Args:
        tx: the transaction of the change.
        keys: SKUs and locations.
        arrived: sellable units that came, by key.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return
    await lock_queues(tx, wanted)
    params = _keys(wanted)
    offered = {(sku, place) for sku, place in await tx.tuples(writes.ADD_LINES, params)}
    lines: dict[Key, list[tuple[SupplyLine, date, int]]] = {}
    for id_, sku, place, eta, expected, promised, was, was_expected in await tx.tuples(writes.LINES_OF_QUEUES, params):
        line = SupplyLine(id_, sku, place, eta, expected, promised)
        lines.setdefault((sku, place), []).append((line, was, was_expected))
        if expected > was_expected:
            offered.add((sku, place))
    queues: dict[Key, list[SupplyClaim]] = {}
    for c in await _claims(tx, writes.CLAIMS_OF_QUEUES, params):
        queues.setdefault((c.sku_id, c.location_id), []).append(c)
    usable = await _usable(tx, {key: units for key, units in (arrived or {}).items() if key in queues})
    missing = await _missing(tx, queues)
    done = {
        key: rules.line_up(
            [line for line, _, _ in lines.get(key, [])], queues.get(key, []), usable.get(key, 0), missing.get(key, 0)
        )
        for key in wanted
    }
    await _restate(tx, [(row, done[key]) for key, rows in lines.items() for row in rows])
    await _rewrite(tx, list(done.values()))
    await announcing.offered(tx, sorted(offered))
    moved = sorted(set[UUID]().union(*(one.orders for one in done.values())))
    await outbox.add_all(
        tx,
        [
            SupplyClaimsMoved(id=new_id(), seq=1, orders=moved[start : start + AT_ONCE])
            for start in range(0, len(moved), AT_ONCE)
        ],
    )


async def _usable(tx: Tx, arrived: Mapping[Key, int]) -> dict[Key, int]:
    """Return the units that came and are nobody's: goods that were missing for others are theirs first."""
    if not arrived:
        return {}
    rows = await tx.tuples(writes.ROOM_AT, _keys(sorted(arrived)))
    return {(sku, place): max(0, min(arrived[sku, place], room)) for sku, place, room in rows}


async def _missing(tx: Tx, keys: Collection[Key]) -> dict[Key, int]:
    if not keys:
        return {}
    return {(sku, place): units for sku, place, units in await tx.tuples(writes.MISSING_AT, _keys(sorted(keys)))}


async def _restate(tx: Tx, rows: Sequence[tuple[tuple[SupplyLine, date, int], LinedUp]]) -> None:
    changed = [
        (line, done.promised[line.id])
        for (line, was, was_expected), done in rows
        if (line.eta, line.expected, line.promised) != (was, was_expected, done.promised[line.id])
    ]
    if changed:
        columns = {
            "ids": [line.id for line, _ in changed],
            "etas": [line.eta for line, _ in changed],
            "expected": [line.expected for line, _ in changed],
            "promised": [promised for _, promised in changed],
        }
        await tx.execute(writes.RESTATE_LINES, columns)


async def _rewrite(tx: Tx, done: Sequence[LinedUp]) -> None:
    """Write what the queues are now, and allocate what came to those who get it."""
    gone = [id_ for one in done for id_ in one.gone]
    parts = [part for one in done for part in one.parts]
    if not gone:
        return
    await tx.execute(writes.DROP_CLAIMS, {"ids": gone})
    await _insert(tx, [_row(part) for part in parts])
    came = [part for part in parts if part.state is ClaimState.ARRIVED]
    if came:
        await _count(tx, [(part.claim.policy_id, -part.quantity) for part in came])
        claims = [Claim(part.claim.sku_id, part.claim.location_id, part.quantity) for part in came]
        await stock.claim_arrived(tx, claims, [part.claim.order_id for part in came])


def _row(part: Part) -> tuple[Any, ...]:
    c = part.claim
    return (
        c.order_id, c.line, c.sku_id, c.location_id, part.state, part.supply_id, part.quantity, c.since, c.days,
        c.not_before, c.told, c.policy_id,
    )  # fmt: skip


async def _count(tx: Tx, changes: Iterable[tuple[int | None, int]]) -> None:
    """Count waiting units of policies that claims fall under, whatever their caps say."""
    sums: dict[int, int] = {}
    for policy, units in changes:
        if policy is not None:
            sums[policy] = sums.get(policy, 0) + units
    ids = sorted(sums)
    if ids:
        params = {"ids": ids, "units": [sums[id_] for id_ in ids], "regardless": True}
        await tx.value(writes.COUNT_WAITING, params)


# --- for plans ---


async def queue_open(
    tx: Tx, skus: Sequence[int], policies: Sequence[int], *, lock: bool = False, behind_balances: bool = False
) -> tuple[AsyncCursor[Any], AsyncCursor[Any]]:
    """Ask for open supply lines of SKUs, and what caps let through by policy. For `tx.pipeline()`.

    `behind_balances` is for who locked queues, and balances after them: lines that came to be since, and that somebody
    else has, are left out, since he may wait for these balances.
    """
    lines: LiteralString = writes.LOCK_OPEN if lock else reads.OPEN
    if behind_balances:
        lines = writes.LOCK_OPEN_OF_NOBODY
    return (
        await tx.cursor_of(lines, {"skus": list(skus)}),
        await tx.cursor_of(writes.LOCK_ROOM if lock else reads.ROOM, {"policies": list(policies)}),
    )


async def queue_to_come(tx: Tx, skus: Sequence[int]) -> tuple[AsyncCursor[Any], AsyncCursor[Any]]:
    """Ask for open supply lines of SKUs, and what caps of policies let through by SKU and policy, whoever sells.

    For `tx.pipeline()`.
    """
    asked = {"skus": list(skus)}
    return await tx.cursor_of(reads.OPEN, asked), await tx.cursor_of(reads.ROOM_OF_SKUS, asked)


async def queue_ahead_of(tx: Tx, skus: Sequence[int]) -> AsyncCursor[Any]:
    """Ask how many units wait at (sku_id, location_id): stock that turns up there is theirs first. For `tx.pipeline()`.

    Asked after the balances: who was served meanwhile waits no more, and who is served later still takes nothing twice.
    """
    return await tx.cursor_of(reads.AHEAD_OF, {"skus": list(skus)})
