"""Drafts that decide beside the live network: starting and stopping them, and deciding what is placed from now on.

A sweep of the worker follows the event log. It decides each new order again from the record of its live decision, and
writes nothing but its own rows: neither stock nor orders know of it. It takes small pieces and rests after each, so
that it has a part of one processor at most; what comes faster than that is sampled, by order, and counted.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit
from malha.platform.db import Database, Tx
from malha.platform.flaws import refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id
from malha.simulation import service, shadow_reads, shadow_writes, trying
from malha.simulation.errors import ShadowNotFound, ShadowOver, ShadowRunning, TooManyShadows
from malha.simulation.model import Decided, Draft
from malha.simulation.rules import Outcome, Replay
from malha.simulation.shadow_model import Comparison, Running, Shadow, ShadowDraft, ShadowStatus
from malha.simulation.shadow_reads import PlacedEvent

MOST_RUNNING = 3
KEEP_DAYS = 90  # after its end
WINDOW = 1_000  # positions of the log looked at in one step
LATE = timedelta(seconds=60)  # further behind than this, orders are sampled
MOST_SPARSE = 64  # at the least one order in so many is decided
log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class _Kept(msgspec.Struct):
    """A draft as a worker has it in memory between two pieces."""

    replay: Replay
    running: Running
    zone: str
    position: int
    network: int
    sparse: int = 1  # one order in so many is decided


_memory: dict[tuple[str, str, UUID], _Kept] = {}


# --- by people ---


async def start(tx: Tx, draft: ShadowDraft) -> Shadow:
    """Let a draft decide what is placed from now on.

    Raises:
        SharedByAll: the actor is limited to some locations; a draft tells of all.
        Invalid: a code is unknown or named twice.
        RuleSetNotFound, CostDraftNotFound: there are no such rules, or costs.
        TooManyShadows: `MOST_RUNNING` decide already.
    """
    refuse_limited(tx)
    known = await network.snapshot(tx)
    today = (await tx.now()).date()
    refuse(service.flaws_of(Draft(name=draft.name, since=today, until=today, scenario=draft.scenario), known))
    await tx.execute(shadow_writes.TAKE_TURNS)
    if await tx.value(shadow_writes.COUNT_RUNNING) >= MOST_RUNNING:
        raise TooManyShadows(most=MOST_RUNNING)
    id_ = new_id()
    await tx.execute(
        shadow_writes.ADD_SHADOW,
        {
            "id": id_,
            "name": draft.name.strip(),
            "scenario": _encode(draft.scenario).decode(),
            "days": draft.days,
            "by": tx.actor.name,
            **await trying.chosen(tx, draft.rule_set, draft.cost_draft),
        },
    )
    after = {"name": draft.name, "days": draft.days}
    await audit.record(tx, action="start", entity="shadow", entity_id=str(id_), after=after)
    return await _one(tx, id_)


async def stop(tx: Tx, id_: UUID) -> Shadow:
    """Let a draft decide no more; what it came to stays.

    Raises:
        SharedByAll: the actor is limited to some locations.
        ShadowNotFound: there is none.
        ShadowOver: it has ended.
    """
    found = await _locked(tx, id_)
    if found.status is not ShadowStatus.RUNNING:
        raise ShadowOver(name=found.name)
    await tx.value(shadow_writes.END, {"id": id_, "status": ShadowStatus.STOPPED.value, "problem": ""})
    await audit.record(tx, action="stop", entity="shadow", entity_id=str(id_))
    return await _one(tx, id_)


async def promote(tx: Tx, id_: UUID, *, effective_from: datetime | None = None) -> Shadow:
    """Let the rules, or the costs, that a draft decides by decide new orders. The draft goes on.

    Raises:
        ShadowNotFound: there is none.
        NoRulesTried, NotOnlyRules, AlreadyPromoted, RulesMovedOn, RulesStand, CostsMovedOn, CostsComeAtOnce: see
            `trying.promote`.
        SharedByAll, Invalid, EffectiveInThePast: as above.
    """
    found = await _locked(tx, id_)
    await trying.promote(tx, found, "shadow", shadow_writes.PROMOTED, effective_from=effective_from)
    return await _one(tx, id_)


async def take_back(tx: Tx, id_: UUID) -> Shadow:
    """Undo a draft's promotion: what stood before is in force again.

    Raises:
        ShadowNotFound, NotPromoted, RulesMovedOn, SharedByAll, Invalid: see `trying.take_back`.
    """
    await trying.take_back(tx, await _locked(tx, id_), "shadow", shadow_writes.TAKEN_BACK)
    return await _one(tx, id_)


async def forget(tx: Tx, id_: UUID) -> None:
    """Delete a draft that has ended, and what it came to.

    Raises:
        SharedByAll: the actor is limited to some locations.
        ShadowNotFound: there is none.
        ShadowRunning: it still decides.
    """
    found = await _locked(tx, id_)
    if found.status is ShadowStatus.RUNNING:
        raise ShadowRunning(name=found.name)
    await tx.execute(shadow_writes.DROP_SHADOW, {"id": id_})
    await audit.record(tx, action="delete", entity="shadow", entity_id=str(id_), before={"name": found.name})


async def forget_old(tx: Tx) -> None:
    """Delete drafts `KEEP_DAYS` after they ended; the trail keeps who started them."""
    await tx.execute(shadow_writes.FORGET_OLD, {"days": KEEP_DAYS})


async def listed(tx: Tx) -> list[Shadow]:
    """Return the drafts, the newest first.

    Raises:
        SharedByAll: the actor is limited to some locations.
    """
    refuse_limited(tx)
    return await shadow_reads.shadows(tx)


async def show(tx: Tx, id_: UUID) -> Shadow:
    """Return a draft.

    Raises:
        SharedByAll: the actor is limited to some locations.
        ShadowNotFound: there is none.
    """
    refuse_limited(tx)
    return await _one(tx, id_)


async def outcome(tx: Tx, id_: UUID) -> Comparison:
    """Return what a draft came to so far.

    Raises:
        SharedByAll: the actor is limited to some locations.
        ShadowNotFound: there is none.
    """
    await show(tx, id_)
    return await shadow_reads.comparison(tx, id_)


async def _one(tx: Tx, id_: UUID) -> Shadow:
    found = await shadow_reads.shadow(tx, id_)
    if found is None:
        raise ShadowNotFound(key=id_)
    return found


async def _locked(tx: Tx, id_: UUID) -> Shadow:
    refuse_limited(tx)
    await tx.value(shadow_writes.LOCK_SHADOW, {"id": id_})
    return await _one(tx, id_)


# --- by the worker ---


async def sweep(db: Database) -> AsyncGenerator[None, None]:
    """Decide what was placed since, on every draft, in steps after which the caller rests."""
    async with db.transaction() as tx:
        wanted = await shadow_reads.running(tx)
    here = (db.url, db.retailer)
    for key in [key for key in _memory if key[:2] == here and key[2] not in wanted]:
        del _memory[key]
    for id_ in wanted:
        while await _go_on(db, id_):
            yield
        yield


async def _go_on(db: Database, id_: UUID) -> bool:
    """Decide the next piece on a draft; return whether there may be more."""
    key = (db.url, db.retailer, id_)
    try:
        return await _piece(db, id_)
    except (OperationalError, PoolTimeout):  # the database is away: the next sweep goes on
        _memory.pop(key, None)
        raise
    except Exception:
        _memory.pop(key, None)
        log.exception("shadow_failed", shadow=str(id_))
        async with db.transaction() as tx:
            problem = N_("A defect stopped the draft; it is in the log.")
            await tx.value(shadow_writes.END, {"id": id_, "status": ShadowStatus.FAILED.value, "problem": problem})
        return False


async def _piece(db: Database, id_: UUID) -> bool:
    async with db.transaction() as tx:
        row = await tx.maybe(dict, shadow_writes.TAKE_SHADOW, {"id": id_})
        if row is None:
            return False
        if row["over"]:
            await tx.value(shadow_writes.END, {"id": id_, "status": ShadowStatus.STOPPED.value, "problem": ""})
            return False
        head = int(await tx.value(shadow_reads.HEAD) or 0)
        if head <= row["position"]:
            return False
        kept = await _remembered(tx, (db.url, db.retailer, id_), row)
        until = min(head, row["position"] + WINDOW * min(kept.sparse, 16))
        events = await shadow_reads.placed(tx, row["position"], until)
        late = bool(events) and await tx.now() - events[0].at > LATE
        kept.sparse = min(kept.sparse * 2, MOST_SPARSE) if late else max(kept.sparse // 2, 1)
        chosen = [e for e in events if kept.sparse == 1 or e.order_id.int % kept.sparse == 0]
        found = await shadow_reads.decisions(tx, [e.order_id for e in chosen], kept.zone)
        pairs = [(e, found[e.order_id]) for e in chosen if e.order_id in found]
        if kept.replay.asks_goods or kept.replay.asks_kinds:
            await trying.learn(tx, kept.replay, [decided for _, decided in pairs])
        rows = await asyncio.to_thread(_decide, kept, pairs)
        await _keep(tx, id_, kept, until, events, rows, passed_over=len(events) - len(chosen))
        kept.position = until
    return bool(until < head)


async def _keep(
    tx: Tx,
    id_: UUID,
    kept: _Kept,
    position: int,
    events: list[PlacedEvent],
    rows: list[dict[str, Any]],
    *,
    passed_over: int,
) -> None:
    if rows:
        await tx.execute(shadow_writes.ADD_ORDERS, {"id": id_, "rows": _encode(rows).decode()})
    await tx.execute(
        shadow_writes.KEEP,
        {
            "id": id_,
            "position": position,
            "seen_at": events[-1].at if events else None,
            "decided": len(rows),
            "passed_over": passed_over,
            "result": _encode(kept.running).decode() if rows else None,
        },
    )


async def _remembered(tx: Tx, key: tuple[str, str, UUID], row: dict[str, Any]) -> _Kept:
    """Return the draft as it stood after the last piece: from memory, or from what is stored."""
    revision = await network.revision(tx)
    kept = _memory.get(key)
    if kept is not None and kept.position == row["position"] and kept.network == revision:
        return kept
    found = await shadow_reads.shadow(tx, key[2])
    assert found is not None  # noqa: S101  (its row is locked)
    known = await network.snapshot(tx)
    zone = await service.zone_of(tx)
    running = Running() if row["result"] is None else msgspec.json.decode(row["result"], type=Running)
    content = await shadow_reads.rule_content(tx, key[2])
    drafted = await shadow_reads.cost_content(tx, key[2])
    replay = await trying.replay_of(tx, found.scenario, known, found.rules, content, drafted)
    today = (await tx.now()).astimezone(ZoneInfo(zone)).date()
    since = today - timedelta(days=found.scenario.replenished_after)
    replay.resume(running.result, await shadow_reads.shifts(tx, key[2], since))
    kept = _memory[key] = _Kept(replay, running, zone, row["position"], revision)
    return kept


def _decide(kept: _Kept, pairs: list[tuple[PlacedEvent, Decided]]) -> list[dict[str, Any]]:
    """Decide orders again; return the rows to keep, and count them in."""
    rows = []
    for event, decided in pairs:
        told = kept.replay.step(decided)
        if told is not None:
            rows.append(_row(event, decided, told))
            _count(kept.running, told)
    kept.replay.finish()
    return rows


def _count(running: Running, told: Outcome) -> None:
    if told.before.units == told.after.units:
        saved = told.before.cost - told.after.cost
        running.alike += 1
        running.saved += saved
        running.squares += saved * saved
    running.differs += told.differs
    was, would = told.before.transit, told.after.transit
    if was is not None and would is not None:
        running.sooner += would < was
        running.later += would > was


def _row(event: PlacedEvent, decided: Decided, told: Outcome) -> dict[str, Any]:
    return {
        "order_id": decided.order_id,
        "position": event.position,
        "number": decided.number,
        "day": decided.day,
        "cost_live": told.before.cost,
        "cost_shadow": told.after.cost,
        "packages_live": told.before.packages,
        "packages_shadow": told.after.packages,
        "days_live": told.before.transit,
        "days_shadow": told.after.transit,
        "locations_live": told.before.locations,
        "locations_shadow": told.after.locations,
        "differs": told.differs,
        "shifts": told.shifts or None,
    }
