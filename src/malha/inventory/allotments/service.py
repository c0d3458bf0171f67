"""Defining allotments: save, fill, end. What they do to claims is in `claims`.

A fence sets units apart from its start on, as far as common stock has them, and goes on as stock arrives until it has
what is wanted. Saves and ends are one at a time: whether fences overlap is a question about all of them.
"""

from collections.abc import Sequence
from typing import Any

from malha.catalog import reads as catalog
from malha.inventory import announcing
from malha.inventory.allotments import claims, reads, rules, writes
from malha.inventory.allotments.errors import AllotmentCodeTaken, AllotmentEnded, FencesOverlap, UnknownAllotment
from malha.inventory.allotments.model import (
    Allotment,
    AllotmentDraft,
    Fence,
    FenceChange,
    FenceKey,
    FenceReason,
    Kind,
    State,
)
from malha.inventory.writes import ENSURE_BALANCES
from malha.network import reads as network
from malha.network import rules as network_rules
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Database, Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word

MOST_ROWS = 20_000
MOST_UNITS = 2_000_000_000

NEEDED = N_("It must not be empty.")
NO_CHANNEL = N_("There is no channel {value}.")
NO_SKU = N_("There is no SKU {value}.")
NO_LOCATION = N_("There is no location {value}.")
NO_CATEGORY = N_("There is no category {value}.")
IS_KIT = N_("{value} is a kit: set its components apart.")
BAD_QUANTITY = N_("{value} is no possible quantity.")
BAD_TIME = N_("It must end after it starts.")
NOT_OF_FENCE = N_("A fence has no such limit.")
NOT_OF_CAP = N_("A cap sets no stock apart and lends nothing.")
OWN_BORROWER = N_("Channel {value} draws from this fence already.")
TWICE = N_("{value} is stated twice.")


async def put(tx: Tx, draft: AllotmentDraft, version: int | None) -> Allotment:
    """Create an allotment (`version` None), or change one that still has `version`; fill a fence that has started.

    A fence made smaller gives what it has too many back to common stock. A cap below what was already sold lets nothing
    more through.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: parts of it are not possible; every one is named.
        AllotmentCodeTaken, UnknownAllotment, AllotmentEnded, Conflict: as their words say.
        FencesOverlap: another fence sets the same balances apart for the same channels at that time.
    """
    refuse_limited(tx)
    await tx.tuples(writes.LOCK_ALL)
    before = next(iter(await reads.listed(tx, [draft.code])), None)
    _refuse_state(draft, before, version)
    found = await _resolve(tx, draft, before)
    row = {
        "code": draft.code,
        "name": draft.name.strip(),
        "kind": draft.kind.value,
        "starts_at": found["starts_at"],
        "ends_at": draft.ends_at,
        "customer_groups": sorted({g.strip() for g in draft.customer_groups}),
        "quota": draft.quota,
        "per_sku": draft.per_sku,
    }
    if draft.kind is Kind.FENCE:
        await _refuse_overlap(tx, draft, before, found)
    if before is None:
        id_ = await tx.value(writes.INSERT_ALLOTMENT, row)
    else:
        id_ = before.id
        if not await tx.values(writes.UPDATE_ALLOTMENT, row | {"id": id_, "version": version}):
            raise Conflict(what=Word(N_("Allotment")), key=draft.code)
    await tx.execute(writes.KNOW_GROUPS, {"codes": row["customer_groups"]})
    await _put_parts(tx, id_, draft, found)
    if draft.kind is Kind.FENCE:
        if found["starts_at"] <= await tx.now():
            await fill(tx, id_)
    else:
        await tx.execute(writes.RESOLVE_CATEGORIES)
    await revisions.bump(tx, reads.REVISION)
    (after,) = await reads.listed(tx, [draft.code])
    action = "create" if before is None else "change"
    await audit.record(tx, action=action, entity="allotment", entity_id=draft.code, before=before, after=after)
    return after


def _refuse_state(draft: AllotmentDraft, before: Allotment | None, version: int | None) -> None:
    if before is None:
        if version is not None:
            raise UnknownAllotment(key=draft.code)
        return
    if version is None:
        raise AllotmentCodeTaken(key=draft.code)
    if before.state is State.ENDED:
        raise AllotmentEnded(key=draft.code)
    if before.version != version:
        raise Conflict(what=Word(N_("Allotment")), key=draft.code)
    # What counted on a cap, and what drew from a fence, was remembered for what it was.
    if (before.kind, before.per_sku) != (draft.kind, draft.per_sku):
        where = "kind" if before.kind != draft.kind else "per_sku"
        refuse([Flaw(where, N_("It cannot be changed any more."), N_("End this allotment and create a new one."))])


async def _resolve(tx: Tx, draft: AllotmentDraft, before: Allotment | None) -> dict[str, Any]:
    """Find everything a draft names.

    Raises:
        Invalid: some of it does not exist or cannot be.
    """
    flaws: list[Flaw] = []
    flaws += [Flaw(name, NEEDED) for name in ("code", "name") if not getattr(draft, name).strip()]
    flaws += network_rules.check_new_code("code", draft.code) if before is None else ()
    known = before.customer_groups if before else ()
    for i, group in enumerate(draft.customer_groups):  # whose names are known from now on, and have addresses
        flaws += network_rules.check_new_code(f"customer_groups/{i}", group) if group not in known else ()
    starts_at = draft.starts_at or (before.starts_at if before else await tx.now())
    if draft.ends_at is not None and draft.ends_at <= starts_at:
        flaws.append(Flaw("ends_at", BAD_TIME))
    channels = {c.code: c.id for c in await network.channels(tx)}
    for name, codes in (("channels", draft.channels), ("borrowers", tuple(b.channel for b in draft.borrowers))):
        flaws += _unknown(name, codes, channels, NO_CHANNEL)
    flaws += [
        Flaw(f"borrowers/{i}/channel", OWN_BORROWER, facts={"value": b.channel})
        for i, b in enumerate(draft.borrowers)
        if b.channel in draft.channels
    ]
    cards = {c.sku: c for c in await catalog.by_skus(tx, sorted({*draft.skus, *(r.sku for r in draft.stock)}))}
    places = {x.code: x.id for x in await network.locations(tx)}
    categories = {c.code: c.id for c in await catalog.categories(tx)} if draft.categories else {}
    if draft.kind is Kind.FENCE:
        flaws += [Flaw(name, NEEDED) for name in ("channels", "stock") if not getattr(draft, name)]
        flaws += [
            Flaw(name, NOT_OF_FENCE)
            for name in ("quota", "per_sku", "skus", "categories", "locations")
            if getattr(draft, name)
        ]
        flaws += _stock_flaws(draft, cards, places)
    else:
        flaws += [Flaw(name, NOT_OF_CAP) for name in ("stock", "borrowers") if getattr(draft, name)]
        if draft.quota is None or not 0 <= draft.quota <= MOST_UNITS:
            flaws.append(Flaw("quota", NEEDED if draft.quota is None else BAD_QUANTITY, facts={"value": draft.quota}))
        flaws += _unknown("skus", draft.skus, {sku: card.id for sku, card in cards.items()}, NO_SKU)
        flaws += _unknown("categories", draft.categories, categories, NO_CATEGORY)
        flaws += _unknown("locations", draft.locations, places, NO_LOCATION)
        flaws += [
            Flaw(f"skus/{i}", IS_KIT, facts={"value": sku})
            for i, sku in enumerate(draft.skus)
            if sku in cards and cards[sku].is_kit
        ]
    refuse(flaws)
    return {
        "starts_at": starts_at,
        "channels": [channels[c] for c in draft.channels],
        "borrowers": {channels[b.channel]: b.since for b in draft.borrowers},
        "stock": {(cards[r.sku].id, places[r.location]): r.quantity for r in draft.stock},
        "skus": [cards[sku].id for sku in draft.skus],
        "categories": [categories[c] for c in draft.categories],
        "locations": [places[x] for x in draft.locations],
    }


def _unknown(name: str, codes: Sequence[str], known: dict[str, int], says: str) -> list[Flaw]:
    flaws = [Flaw(f"{name}/{i}", says, facts={"value": code}) for i, code in enumerate(codes) if code not in known]
    seen: set[str] = set()
    for i, code in enumerate(codes):
        if code in seen:
            flaws.append(Flaw(f"{name}/{i}", TWICE, facts={"value": code}))
        seen.add(code)
    return flaws


def _stock_flaws(draft: AllotmentDraft, cards: dict[str, Any], places: dict[str, int]) -> list[Flaw]:
    flaws: list[Flaw] = []
    seen: set[tuple[str, str]] = set()
    for i, row in enumerate(draft.stock):
        if row.sku not in cards:
            flaws.append(Flaw(f"stock/{i}/sku", NO_SKU, facts={"value": row.sku}))
        elif cards[row.sku].is_kit:
            flaws.append(Flaw(f"stock/{i}/sku", IS_KIT, facts={"value": row.sku}))
        if row.location not in places:
            flaws.append(Flaw(f"stock/{i}/location", NO_LOCATION, facts={"value": row.location}))
        if not 0 <= row.quantity <= MOST_UNITS:
            flaws.append(Flaw(f"stock/{i}/quantity", BAD_QUANTITY, facts={"value": row.quantity}))
        if (row.sku, row.location) in seen:
            flaws.append(Flaw(f"stock/{i}/sku", TWICE, facts={"value": f"{row.sku} {row.location}"}))
        seen.add((row.sku, row.location))
    return flaws


async def _refuse_overlap(tx: Tx, draft: AllotmentDraft, before: Allotment | None, found: dict[str, Any]) -> None:
    mine = Fence(
        id=0 if before is None else before.id,
        code=draft.code,
        starts_at=found["starts_at"],
        ends_at=draft.ends_at,
        channels=frozenset(found["channels"]),
        customer_groups=frozenset(draft.customer_groups),
        borrowers={},
        skus=frozenset(),
    )
    others = {f.id: f for f in (await reads.load(tx)).fences if f.id != mine.id and rules.overlaps(mine, f)}
    if not others:
        return
    stock = sorted(key for key, quantity in found["stock"].items() if quantity)
    params = {"skus": [s for s, _ in stock], "locations": [x for _, x in stock], "fences": sorted(others)}
    shared = await tx.tuples(reads.FENCED_BY, params)
    if shared:
        first = shared[0][0]
        raise FencesOverlap(other=others[first].code, count=sum(row[0] == first for row in shared))


async def _put_parts(tx: Tx, id_: int, draft: AllotmentDraft, found: dict[str, Any]) -> None:
    await tx.execute(writes.CLEAR_CHANNELS, {"id": id_})
    await tx.execute(writes.ADD_CHANNELS, {"id": id_, "channels": found["channels"]})
    if draft.kind is Kind.FENCE:
        borrowers = found["borrowers"]
        await tx.execute(writes.CLEAR_BORROWERS, {"id": id_})
        await tx.execute(
            writes.ADD_BORROWERS, {"id": id_, "channels": list(borrowers), "since": list(borrowers.values())}
        )
        stock = sorted(found["stock"])
        params = {"id": id_, "skus": [s for s, _ in stock], "locations": [x for _, x in stock]}
        await tx.execute(ENSURE_BALANCES, {"skus": params["skus"], "locations": params["locations"]})
        await tx.execute(writes.WANT_FENCES, params | {"quantities": [found["stock"][k] for k in stock]})
        await tx.execute(writes.UNWANT_FENCES, params)
    else:
        await tx.execute(writes.CLEAR_CAP_SKUS, {"id": id_})
        await tx.execute(writes.ADD_CAP_SKUS, {"id": id_, "skus": found["skus"]})
        await tx.execute(writes.CLEAR_CAP_CATEGORIES, {"id": id_})
        await tx.execute(writes.ADD_CAP_CATEGORIES, {"id": id_, "categories": found["categories"]})
        await tx.execute(writes.CLEAR_CAP_LOCATIONS, {"id": id_})
        await tx.execute(writes.ADD_CAP_LOCATIONS, {"id": id_, "locations": found["locations"]})


async def fill(tx: Tx, allotment_id: int, at: Sequence[tuple[int, int]] | None = None) -> int:
    """Bring a fence to what is wanted, as far as common stock has it; return the units it got (negative: gave back).

    With `at` on those balances (SKU, location) only.
    """
    if at is None:
        rows = await tx.tuples(writes.LOCK_FENCE, {"id": allotment_id, "unfilled": True})
    else:
        some = {"id": allotment_id, "skus": [sku for sku, _ in at], "locations": [loc for _, loc in at]}
        rows = await tx.tuples(writes.LOCK_FENCE_AT, some)
    lacking = [(sku, loc, wanted - granted) for sku, loc, wanted, granted, _ in rows if wanted > granted]
    spare = {
        (sku, loc): min(granted - wanted, remaining)
        for sku, loc, wanted, granted, remaining in rows
        if granted > wanted
    }
    apart: list[tuple[int, int, int]] = []
    if lacking:
        params = {
            "skus": [sku for sku, _, _ in lacking],
            "locations": [loc for _, loc, _ in lacking],
            "quantities": [units for _, _, units in lacking],
        }
        apart = [(int(s), int(x), int(n)) for s, x, n in await tx.tuples(writes.SET_APART, params)]
    if apart:
        changes = [(None, FenceChange(FenceKey(s, loc, allotment_id), remaining=n)) for s, loc, n in sorted(apart)]
        await claims.move(tx, changes, FenceReason.SET_APART)
        await announcing.decreased(tx, sorted((s, loc) for s, loc, _ in apart), "set_apart")
    back = {key: units for key, units in spare.items() if units}
    await _return(tx, allotment_id, back)
    return sum(n for _, _, n in apart) - sum(int(n) for n in back.values())


async def end(tx: Tx, code: str, version: int | None = None) -> Allotment:
    """End an allotment now; what a fence still has is common stock again. One that ended already stays as it is.

    `version`: the one that was seen; None: whatever it is.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownAllotment: there is none.
        Conflict: somebody else changed it since.
    """
    refuse_limited(tx)
    await tx.tuples(writes.LOCK_ALL)
    before = next(iter(await reads.listed(tx, [code])), None)
    if before is None:
        raise UnknownAllotment(key=code)
    if before.state is State.ENDED:
        return before
    if version is not None and before.version != version:
        raise Conflict(what=Word(N_("Allotment")), key=code)
    await _end(tx, before.id)
    (after,) = await reads.listed(tx, [code])
    await audit.record(tx, action="end", entity="allotment", entity_id=code, before=before, after=after)
    return after


async def _end(tx: Tx, allotment_id: int) -> None:
    await tx.values(writes.END_ALLOTMENT, {"id": allotment_id})
    rows = await tx.tuples(writes.LOCK_FENCE, {"id": allotment_id, "unfilled": False})
    await _return(tx, allotment_id, {(sku, loc): remaining for sku, loc, _, _, remaining in rows if remaining})
    await tx.execute(writes.CLOSE_FENCES, {"id": allotment_id})
    await revisions.bump(tx, reads.REVISION)


async def _return(tx: Tx, allotment_id: int, units: dict[tuple[int, int], int]) -> None:
    """Give units of a locked fence back to common stock, and tell those who wait for stock."""
    if not units:
        return
    keys = sorted(units)
    changes = [(None, FenceChange(FenceKey(*key, allotment_id), remaining=-units[key])) for key in keys]
    await claims.move(tx, changes, FenceReason.RETURNED)
    # In key order under one statement; the rows are only lowered, so nothing can be refused.
    await tx.tuples(writes.LOCK_COMMON, {"skus": [s for s, _ in keys], "locations": [x for _, x in keys]})
    await claims.fence_off(tx, {key: -n for key, n in units.items()})
    await announcing.increased(tx, keys, "fence_returned")


async def care(database: Database) -> list[str]:
    """End what is over, resolve categories, fill fences with stock that arrived; return the codes that ended.

    Each allotment in a transaction of its own. Safe to run at any time and from several processes.
    """
    async with database.transaction() as tx:
        due = await tx.values(writes.DUE)
        unfilled = await tx.values(reads.UNFILLED)
        by_category = await tx.value(reads.BY_CATEGORY)
    ended = []
    for id_ in due:
        async with database.transaction() as tx:
            await tx.tuples(writes.LOCK_ALL)
            if await tx.values(reads.STILL_ACTIVE, {"id": id_}):
                await _end(tx, id_)
                ended.append(str(id_))
    for id_ in unfilled:
        if id_ not in due:
            async with database.transaction() as tx:
                await fill(tx, id_)
    if by_category:
        async with database.transaction() as tx:
            await tx.tuples(writes.LOCK_ALL)
            if await tx.value(writes.RESOLVE_CATEGORIES):
                await revisions.bump(tx, reads.REVISION)
    return ended
