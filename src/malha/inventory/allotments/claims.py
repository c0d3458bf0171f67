"""What claims and holds do to allotments: draw and count, give back, leave. Called by `inventory.service` and intake.

Only claims that a fence or cap touches come here; all others pay at most one look-up by primary key. Every function
keeps the lock order: counters of caps, fences, balances.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.inventory.allotments import reads, rules, writes
from malha.inventory.allotments.events import FenceShrunk
from malha.inventory.allotments.model import (
    Allotments,
    Cap,
    Drawn,
    FenceChange,
    FenceKey,
    FenceReason,
    Standing,
    Taker,
    Used,
)
from malha.inventory.model import Claim, Shortfall
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id

Owned = Sequence[tuple[UUID, Claim]]  # (claim id, what of it)


class Returning(msgspec.Struct, frozen=True):
    """What claims on their way back or out take from fences and caps; its locks are taken."""

    draws: list[tuple[UUID, Drawn]]
    uses: list[tuple[UUID, Used]]
    open_fences: frozenset[FenceKey]


# --- taking ---


async def take(
    tx: Tx, allotments: Allotments, taker: Taker, claim_id: UUID, claims: Sequence[Claim], *, held: bool = False
) -> list[Shortfall]:
    """Claim (or hold) all of `claims` for a taker out of its fences, common stock and what it may borrow, or nothing.

    `claims` come summed and in key order. The ledger of movements is the caller's to write. Returns what could not be
    covered, with what the taker could have; nothing is changed then.
    """
    now = await tx.now()
    taken_from = rules.sources(allotments, taker, now)
    caps = rules.caps_of(allotments, taker, now)
    skus = sorted({c.sku_id for c in claims})
    standing = await lock(tx, skus, rules.counters(caps, skus))
    free = {(s, loc): units for s, loc, units in await tx.tuples(writes.LOCK_COMMON, _keys(claims))}
    wanted = {(c.sku_id, c.location_id): c.quantity for c in claims}
    short = [
        Shortfall(*balance, quantity, could)
        for balance, quantity in wanted.items()
        if (could := rules.open_to(free.get(balance, 0), standing, taken_from, balance)) < quantity
    ]
    if not short and (passed := rules.over(caps, standing.room, wanted)) is not None:
        cap, balances, left = passed
        short = [Shortfall(*balance, wanted[balance], left, cap.code) for balance in balances]
    if short:
        return short
    before = (await reads.claimed(tx, [claim_id])).get(claim_id)
    draws: list[Drawn] = []
    for balance, quantity in wanted.items():
        parts = rules.draw(standing, taken_from, free.get(balance, 0), balance, quantity)
        ranks = [d.rank for d in (before.draws if before else ()) if (d.sku_id, d.location_id) == balance]
        base = max(ranks) + 1 if ranks else 0
        draws += [msgspec.structs.replace(d, rank=d.rank + base) for d in parts]
    uses = rules.used(caps, standing.room, wanted)
    await apply(tx, caps, [(claim_id, d) for d in draws], [(claim_id, u) for u in uses])
    drawn = drawn_by_balance(draws)
    statement = writes.HOLD_DRAWN if held else writes.CLAIM_DRAWN
    applied = await tx.tuples(
        statement,
        {
            **_keys(claims),
            "quantities": [c.quantity for c in claims],
            "drawn": [drawn.get((c.sku_id, c.location_id), 0) for c in claims],
        },
    )
    if len(applied) != len(claims):
        raise RuntimeError("a claim planned on locked balances and fences was refused")
    return []


async def lock(tx: Tx, skus: Collection[int], counters: Collection[tuple[int, int]]) -> Standing:
    """Lock counters and all fences of SKUs and return what they have left."""
    room = await lock_counters(tx, counters)
    rows = await _lock_fences(tx, skus)
    return Standing({key: units for key, units, _ in rows if units}, room)


Held = list[tuple[FenceKey, int, bool]]  # what a fence has left, and whether it is open


async def _lock_fences(tx: Tx, skus: Collection[int]) -> Held:
    """Lock all fences of SKUs, in key order, and return what they have.

    Of SKUs whose fences this transaction has locked it is those: one that somebody made since would be locked behind
    others, and whoever has it may wait for them.
    """
    locked = _locked(tx)
    again = [key for sku in sorted({*skus} & locked.keys()) for key in locked[sku]]
    fresh = sorted({*skus} - locked.keys())
    held = _held(await tx.tuples(writes.LOCK_FENCES, {"skus": fresh})) if fresh else []
    locked.update({sku: [key for key, _, _ in held if key.sku_id == sku] for sku in fresh})
    return held + await _read_locked(tx, again)


async def _lock_fences_at(tx: Tx, balances: Collection[tuple[int, int]]) -> Held:
    """Lock the fences on balances, in key order, and return what they have; see `_lock_fences`."""
    locked = _locked(tx)
    again = [
        key
        for sku in sorted({sku for sku, _ in balances} & locked.keys())
        for key in locked[sku]
        if (sku, key.location_id) in balances
    ]
    fresh = sorted(balance for balance in balances if balance[0] not in locked)
    params = {"skus": [sku for sku, _ in fresh], "locations": [location for _, location in fresh]}
    held = _held(await tx.tuples(writes.LOCK_FENCES_AT, params)) if fresh else []
    return held + await _read_locked(tx, again)


def _locked(tx: Tx) -> dict[int, list[FenceKey]]:
    """Return the SKUs all of whose fences a transaction has locked, and those."""
    found: dict[int, list[FenceKey]] = tx.locked.setdefault("fences", {})
    return found


async def _read_locked(tx: Tx, keys: Sequence[FenceKey]) -> Held:
    if not keys:
        return []
    params = {
        "skus": [key.sku_id for key in keys],
        "locations": [key.location_id for key in keys],
        "fences": [key.fence_id for key in keys],
    }
    return _held(await tx.tuples(writes.FENCES_LOCKED, params))


def _held(rows: Iterable[tuple[int, int, int, int, bool]]) -> Held:
    return [(FenceKey(sku, location, fence), units, is_open) for sku, location, fence, units, is_open in rows]


async def lock_for(tx: Tx, takers: Collection[Taker], skus: Collection[int], *claim_ids: UUID) -> None:
    """Lock all that giving claims back and taking again could touch, before the balances."""
    in_force = await reads.current(tx)
    if any(rules.touches(in_force, taker.channel_id, skus) for taker in takers):
        await lock_claims(tx, claim_ids, skus, await _counters_for(tx, in_force, takers, skus))


async def _counters_for(
    tx: Tx, in_force: Allotments, takers: Collection[Taker], skus: Collection[int]
) -> set[tuple[int, int]]:
    """Return the counters that count what takers take of SKUs."""
    now = await tx.now()
    counters: set[tuple[int, int]] = set()
    for taker in set(takers):
        if rules.touches(in_force, taker.channel_id, skus):
            counters |= rules.counters(rules.caps_of(in_force, taker, now), skus)
    return counters


async def lock_claims(
    tx: Tx, claim_ids: Collection[UUID], skus: Collection[int], counters: Collection[tuple[int, int]] = ()
) -> None:
    """Lock what claims drew and count on together with other counters and all fences of SKUs: each kind at once."""
    claimed = await reads.claimed(tx, claim_ids) if claim_ids else {}
    uses = [(id_, u) for id_, found in claimed.items() for u in found.uses]
    drawn = {d.sku_id for found in claimed.values() for d in found.draws if d.fence_id is not None}
    await lock(tx, {*skus, *drawn}, {*counters, *(await _counters_of(tx, uses) if uses else ())})


async def lock_counted(
    tx: Tx, claim_ids: Collection[UUID], takers: Collection[Taker] = (), skus: Collection[int] = ()
) -> None:
    """Lock the counters that claims count on, and with `takers` those that taking more of `skus` would count on.

    For who gives up or claims supply: after queues and supply, before fences and balances, all in one statement.
    """
    counters: set[tuple[int, int]] = set()
    if takers:
        counters = await _counters_for(tx, await reads.current(tx), takers, skus)
    claimed = await reads.claimed(tx, claim_ids)
    counters |= await _counters_of(tx, [(id_, u) for id_, found in claimed.items() for u in found.uses])
    await lock_counters(tx, counters)


async def lock_counters(tx: Tx, counters: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Lock counters, made where nothing counted on them yet, and return the units their caps still let through."""
    if not counters:
        return {}
    keys = sorted(counters)
    params = {"caps": [cap for cap, _ in keys], "skus": [sku for _, sku in keys]}
    await tx.execute(writes.ENSURE_COUNTERS, params)
    return {(cap, sku): room for cap, sku, room in await tx.tuples(writes.LOCK_COUNTERS, params)}


async def apply(
    tx: Tx,
    caps: Iterable[Cap],
    draws: Sequence[tuple[UUID, Drawn]],
    uses: Sequence[tuple[UUID, Used]],
) -> None:
    """Count and draw what was planned under locks, and remember it."""
    if uses:
        counted = count_params(caps, uses)
        if len(await tx.tuples(writes.COUNT, counted)) != len(counted["caps"]):
            raise RuntimeError("units planned on locked counters were refused")
        await tx.execute(writes.RECORD_USES, use_params(uses))
    fenced = [(claim, d) for claim, d in draws if d.fence_id is not None]
    if fenced:
        changes = [(claim, FenceChange(key_of(d), remaining=-d.quantity, drawn=d.quantity)) for claim, d in fenced]
        await move(tx, changes, FenceReason.DRAWN)
    if draws:
        await tx.execute(writes.RECORD_DRAWS, draw_params(draws))


async def move(tx: Tx, changes: Sequence[tuple[UUID | None, FenceChange]], reason: FenceReason) -> None:
    """Move units of fences with their ledger. The caller holds their locks, so a refusal is a defect."""
    params = move_params(changes, [tx.actor.label] * len(changes), reason)
    if await tx.value(writes.MOVE_FENCES, params) != len({change.key for _, change in changes}):
        raise RuntimeError(f"units of locked fences could not be moved ({reason})")


# --- what is sold ahead: it counts on caps, and draws nothing ---


async def count_ahead(tx: Tx, caps: Iterable[Cap], uses: Sequence[tuple[UUID, Used]]) -> None:
    """Count units that wait for supply, as planned under the locks of their counters (`lock_counted`)."""
    await apply(tx, caps, [], uses)


async def uncount_ahead(tx: Tx, owned: Owned) -> list[tuple[UUID, Used]]:
    """Take units that waited for supply off the caps they counted on; return what was taken off."""
    claimed = await reads.claimed(tx, {claim for claim, _ in owned}) if owned else {}
    uses = [(owner, u) for owner, u in _uses_of(claimed, _summed(owned)) if u.quantity]
    await _uncount(tx, uses)
    return uses


async def recount_ahead(tx: Tx, uses: Sequence[tuple[UUID, Used]]) -> None:
    """Count units again that were counted until now, elsewhere: whatever the quotas are by now."""
    if uses:
        counted = _counted(await _counters_by_use(tx, uses))
        await tx.execute(writes.UNCOUNT, counted | {"quantities": [-units for units in counted["quantities"]]})
        await tx.execute(writes.RECORD_USES, use_params(uses))


async def _uncount(tx: Tx, uses: Sequence[tuple[UUID, Used]]) -> None:
    if uses:
        by_counter = await _counters_by_use(tx, uses)
        await lock_counters(tx, {counter for counter, _ in by_counter})
        await tx.execute(writes.UNCOUNT, _counted(by_counter))
        await tx.execute(writes.REMOVE_USES, use_params(uses))
        await tx.execute(writes.LOWER_USES, use_params(uses))


# --- giving back and leaving ---


async def prepare_return(tx: Tx, owned: Owned, *, leaves: bool = False) -> Returning | None:
    """Find what units on their way back (or out, with `leaves`) drew and counted, and lock it, before their balances.

    None where they drew and counted nothing, which is nearly always.
    """
    claimed = await reads.claimed(tx, {claim for claim, _ in owned}) if owned else {}
    if not claimed:
        return None
    draws: list[tuple[UUID, Drawn]] = []
    sums = _summed(owned)
    for (owner, sku, location), quantity in sums.items():
        found = claimed.get(owner)
        if found is None:
            continue
        here = [d for d in found.draws if (d.sku_id, d.location_id) == (sku, location)]
        draws += [(owner, d) for d in rules.part_off(here, quantity, from_end=not leaves)]
    uses = [] if leaves else _uses_of(claimed, sums)
    if not draws and not uses:
        return None
    if uses:
        await lock_counters(tx, await _counters_of(tx, uses))
    keys = {key_of(d) for _, d in draws if d.fence_id is not None}
    held = await _lock_fences_at(tx, {(key.sku_id, key.location_id) for key in keys}) if keys else []
    return Returning(draws, uses, frozenset(key for key, _, is_open in held if is_open))


def _summed(owned: Owned) -> dict[tuple[UUID, int, int], int]:
    """Return the units by (claim, SKU, location), in that order."""
    sums: dict[tuple[UUID, int, int], int] = {}
    for owner, c in owned:
        key = owner, c.sku_id, c.location_id
        sums[key] = sums.get(key, 0) + c.quantity
    return dict(sorted(sums.items(), key=lambda item: (item[0][0].hex, item[0][1:])))


def _uses_of(
    claimed: Mapping[UUID, reads.Claimed], sums: Mapping[tuple[UUID, int, int], int]
) -> list[tuple[UUID, Used]]:
    """Return what units of claims count on caps, no more than was counted."""
    return [
        (owner, msgspec.structs.replace(u, quantity=min(quantity, u.quantity)))
        for (owner, sku, location), quantity in sums.items()
        if owner in claimed
        for u in claimed[owner].uses
        if (u.sku_id, u.location_id) == (sku, location)
    ]


async def finish_return(tx: Tx, back: Returning) -> None:
    """Give units back to the fences they came from, after their balances let them go; take counted units off.

    A fence that ended gets nothing: the units are common stock. So are those that are not there any more.
    """
    await _uncount(tx, back.uses)
    if not back.draws:
        return
    changes = [
        (
            claim,
            FenceChange(key, remaining=d.quantity if key in back.open_fences else 0, drawn=-d.quantity),
        )
        for claim, d in back.draws
        if d.fence_id is not None
        for key in [key_of(d)]
    ]
    if changes:
        await move(tx, changes, FenceReason.GIVEN_BACK)
        again: dict[tuple[int, int], int] = {}
        for _, change in changes:
            balance = change.key.sku_id, change.key.location_id
            again[balance] = again.get(balance, 0) + change.remaining
        await fence_off(tx, again)
        await settle(tx, list(again))
    await _forget(tx, back.draws)


async def finish_leaving(tx: Tx, out: Returning) -> None:
    """Note that drawn units left: they are sold, and nothing of them can be given back."""
    changes = [
        (claim, FenceChange(key_of(d), drawn=-d.quantity, sold=d.quantity))
        for claim, d in out.draws
        if d.fence_id is not None
    ]
    if changes:
        await move(tx, changes, FenceReason.SOLD)
    await _forget(tx, out.draws)


async def pass_on(tx: Tx, hold_id: UUID, order_id: UUID) -> None:
    """Let a new order take over what a hold drew and counted."""
    await tx.execute(writes.HAND_ON_DRAWS, {"of": hold_id, "to": order_id})
    await tx.execute(writes.HAND_ON_USES, {"of": hold_id, "to": order_id})


async def _forget(tx: Tx, draws: Sequence[tuple[UUID, Drawn]]) -> None:
    params = draw_params(draws)
    del params["fences"]
    await tx.execute(writes.REMOVE_DRAWS, params)
    await tx.execute(writes.LOWER_DRAWS, params)


# --- what is there ---


async def lock_at(tx: Tx, claims: Sequence[Claim]) -> None:
    """Lock the fences on some balances, before the balances: a physical fact may leave fewer units than are fenced."""
    await _lock_fences_at(tx, {(c.sku_id, c.location_id) for c in claims})


async def settle(tx: Tx, balances: Collection[tuple[int, int]]) -> None:
    """Shrink the fences of balances of which fewer units are there than are fenced, and say so."""
    keys = sorted(balances)
    params = {"skus": [sku for sku, _ in keys], "locations": [location for _, location in keys]}
    short = await tx.tuples(writes.SHORT_OF_FENCED, params)
    if not short:
        return
    left: dict[tuple[int, int], dict[FenceKey, int]] = {}
    for key, remaining, _ in await _lock_fences_at(tx, {(sku, location) for sku, location, _ in short}):
        left.setdefault((key.sku_id, key.location_id), {})[key] = remaining
    shrunk = [s for sku, location, room in short for s in rules.shrink(left.get((sku, location), {}), room)]
    await move(tx, [(None, FenceChange(s.key, remaining=-s.quantity)) for s in shrunk], FenceReason.SHRUNK)
    fewer: dict[tuple[int, int], int] = {}
    for s in shrunk:
        balance = s.key.sku_id, s.key.location_id
        fewer[balance] = fewer.get(balance, 0) - s.quantity
    await fence_off(tx, fewer)
    await outbox.add_all(
        tx,
        [
            FenceShrunk(
                id=new_id(),
                seq=1,
                allotment_id=s.key.fence_id,
                sku_id=s.key.sku_id,
                location_id=s.key.location_id,
                quantity=s.quantity,
            )
            for s in shrunk
        ],
    )


async def fence_off(tx: Tx, units: Mapping[tuple[int, int], int]) -> None:
    """Move units of balances into fences (or out, negative). The caller holds the balances' locks."""
    keys = sorted(k for k, n in units.items() if n)
    if keys:
        await tx.execute(
            writes.FENCE_OFF,
            {
                "skus": [sku for sku, _ in keys],
                "locations": [location for _, location in keys],
                "quantities": [units[k] for k in keys],
            },
        )


# --- parameters ---


def key_of(d: Drawn) -> FenceKey:
    """Return the fence on a balance that units were drawn from."""
    assert d.fence_id is not None  # noqa: S101  (callers leave common stock out)
    return FenceKey(d.sku_id, d.location_id, d.fence_id)


def drawn_by_balance(draws: Iterable[Drawn]) -> dict[tuple[int, int], int]:
    """Return the units drawn from fences, by balance."""
    sums: dict[tuple[int, int], int] = {}
    for d in draws:
        if d.fence_id is not None:
            sums[d.sku_id, d.location_id] = sums.get((d.sku_id, d.location_id), 0) + d.quantity
    return sums


def count_params(caps: Iterable[Cap], uses: Sequence[tuple[UUID, Used]]) -> dict[str, list[int]]:
    """Return what to count, summed by counter."""
    by_id = {cap.id: cap for cap in caps}
    return _counted([(by_id[u.cap_id].counter(u.sku_id), u) for _, u in uses])


def _counted(uses: Iterable[tuple[tuple[int, int], Used]]) -> dict[str, list[int]]:
    sums: dict[tuple[int, int], int] = {}
    for counter, u in uses:
        sums[counter] = sums.get(counter, 0) + u.quantity
    keys = sorted(sums)
    return {"caps": [c for c, _ in keys], "skus": [s for _, s in keys], "quantities": [sums[k] for k in keys]}


def use_params(uses: Sequence[tuple[UUID, Used]]) -> dict[str, list[object]]:
    """Return uses, summed by claim, balance and cap, as the parallel arrays statements take."""
    sums: dict[tuple[UUID, int, int, int], int] = {}
    for claim, u in uses:
        key = claim, u.sku_id, u.location_id, u.cap_id
        sums[key] = sums.get(key, 0) + u.quantity
    rows = sorted(sums, key=lambda key: (key[0].hex, key[1:]))
    return {
        "claims": [claim for claim, _, _, _ in rows],
        "caps": [cap for _, _, _, cap in rows],
        "skus": [sku for _, sku, _, _ in rows],
        "locations": [location for _, _, location, _ in rows],
        "quantities": [sums[key] for key in rows],
    }


def draw_params(draws: Sequence[tuple[UUID, Drawn]]) -> dict[str, list[object]]:
    """Return draws as the parallel arrays statements take."""
    return {
        "claims": [claim for claim, _ in draws],
        "skus": [d.sku_id for _, d in draws],
        "locations": [d.location_id for _, d in draws],
        "ranks": [d.rank for _, d in draws],
        "fences": [d.fence_id for _, d in draws],
        "quantities": [d.quantity for _, d in draws],
    }


def move_params(
    changes: Sequence[tuple[UUID | None, FenceChange]], actors: Sequence[str], reason: FenceReason
) -> dict[str, object]:
    """Return changes summed by fence, and one ledger row for each, as the parallel arrays MOVE_FENCES takes."""
    sums: dict[FenceKey, tuple[int, int, int]] = {}
    for _, c in changes:
        r, d, s = sums.get(c.key, (0, 0, 0))
        sums[c.key] = r + c.remaining, d + c.drawn, s + c.sold
    keys = sorted(sums)
    return {
        "skus": [k.sku_id for k in keys],
        "locations": [k.location_id for k in keys],
        "fences": [k.fence_id for k in keys],
        "remaining": [sums[k][0] for k in keys],
        "drawn": [sums[k][1] for k in keys],
        "sold": [sums[k][2] for k in keys],
        "reason": reason.value,
        "led_skus": [c.key.sku_id for _, c in changes],
        "led_locations": [c.key.location_id for _, c in changes],
        "led_fences": [c.key.fence_id for _, c in changes],
        "led_remaining": [c.remaining for _, c in changes],
        "led_drawn": [c.drawn for _, c in changes],
        "led_sold": [c.sold for _, c in changes],
        "led_refs": [ref for ref, _ in changes],
        "led_actors": list(actors),
    }


async def _counters_by_use(tx: Tx, uses: Sequence[tuple[UUID, Used]]) -> list[tuple[tuple[int, int], Used]]:
    per_sku = dict(await tx.tuples(reads.COUNTS_PER_SKU, {"caps": sorted({u.cap_id for _, u in uses})}))
    return [((u.cap_id, u.sku_id if per_sku[u.cap_id] else 0), u) for _, u in uses]


async def _counters_of(tx: Tx, uses: Sequence[tuple[UUID, Used]]) -> set[tuple[int, int]]:
    return {counter for counter, _ in await _counters_by_use(tx, uses)}


def _keys(claims: Sequence[Claim]) -> dict[str, list[int]]:
    return {"skus": [c.sku_id for c in claims], "locations": [c.location_id for c in claims]}


# --- for intake, in one round trip ---


class Queued(msgspec.Struct, frozen=True):
    """Statements on their way; whether they did all that was asked is known when the round trip is over."""

    counted: AsyncCursor[tuple[Any, ...]] | None
    counters: int
    moved: AsyncCursor[tuple[Any, ...]] | None
    fences: int

    async def applied(self) -> bool:
        """Tell whether nothing was refused; otherwise the caller must roll back."""
        if self.counted is not None and len(await self.counted.fetchall()) != self.counters:
            return False
        return self.moved is None or (await self.moved.fetchall())[0][0] == self.fences


async def queue(
    tx: Tx,
    caps: Iterable[Cap],
    draws: Sequence[tuple[UUID, Drawn]],
    uses: Sequence[tuple[UUID, Used]],
    actors: Mapping[UUID, str],
) -> Queued:
    """Count, draw and remember for many new orders at once, conditionally. For `tx.pipeline()`, before their claims."""
    counted = moved = None
    counters = fences = 0
    if uses:
        counts = count_params(caps, uses)
        counters = len(counts["caps"])
        await tx.cursor_of(writes.ENSURE_COUNTERS, counts)
        counted = await tx.cursor_of(writes.COUNT, counts)
        await tx.cursor_of(writes.RECORD_USES, use_params(uses))
    changes = [
        (claim, FenceChange(key_of(d), remaining=-d.quantity, drawn=d.quantity))
        for claim, d in draws
        if d.fence_id is not None
    ]
    if changes:
        fences = len({change.key for _, change in changes})
        labels = [actors[claim] for claim, _ in changes]
        moved = await tx.cursor_of(writes.MOVE_FENCES, move_params(changes, labels, FenceReason.DRAWN))
    if draws:
        await tx.cursor_of(writes.RECORD_DRAWS, draw_params(draws))
    return Queued(counted, counters, moved, fences)
