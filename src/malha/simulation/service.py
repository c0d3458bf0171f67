"""Starting, running, stopping and forgetting simulations.

A run is one background job. It reads past decisions in pieces, replays each piece in a thread, so that the worker's
other work goes on, and writes how far it is. It changes nothing but its own row: killed, it is run again from the start
and comes to the same.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.network import reads as network
from malha.network import retailer
from malha.network.service import refuse_limited
from malha.network.snapshot import NetworkSnapshot
from malha.platform import arrays, audit, jobs
from malha.platform.days import is_far
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id
from malha.platform.shapes import NO_YEAR
from malha.routing import reads as routing
from malha.routing.solving import ask
from malha.routing.telling import Explanation
from malha.simulation import reads, trying, writes
from malha.simulation.errors import NoResult, SimulationNotFound, SimulationOver, SimulationRunning, TooManySimulations
from malha.simulation.gap_rules import Compared, Without
from malha.simulation.model import OVER, Decided, Draft, Gap, Moved, NoBound, Result, Simulation, Status
from malha.simulation.reads import Span
from malha.simulation.rules import Replay

PIECE = 2_000  # decisions replayed between two looks at whether somebody stopped it
MAX_DAYS = 800
MOST_OPEN = 20  # that wait or run at a time: they run one after the other
KEEP_DAYS = 90  # after its end
BOUNDING = "malha.simulation.bounding"
DAY_S = 20.0  # for the programme of one day's bound
PATIENCE_S = 60.0  # with its process
TOGETHER = 1_000  # orders of days whose bounds one process works out
GAP_S = 180.0  # for the bounds of all days
log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class _Stopped(Exception):
    """A person stopped it, or deleted it."""


async def start(tx: Tx, draft: Draft) -> Simulation:
    """Have past orders decided again in the background.

    Raises:
        SharedByAll: the actor is limited to some locations; a simulation tells of all.
        Invalid: a code is unknown, named twice, or the days make no sense.
        RuleSetNotFound, CostDraftNotFound: there are no such rules, or costs.
        TooManySimulations: `MOST_OPEN` have not ended.
    """
    refuse_limited(tx)
    known = await network.snapshot(tx)
    refuse(flaws_of(draft, known))
    await tx.execute(writes.TAKE_TURNS)
    if await tx.value(writes.COUNT_OPEN) >= MOST_OPEN:
        raise TooManySimulations(most=MOST_OPEN)
    tried = await trying.chosen(tx, draft.rule_set, draft.cost_draft)
    span = await span_of(tx, draft, known)
    id_ = new_id()
    total = await reads.count(tx, span)
    await tx.execute(
        writes.ADD_SIMULATION,
        {
            "id": id_,
            "name": draft.name.strip(),
            "since": draft.since,
            "until": draft.until,
            "channel": draft.channel,
            "scenario": _encode(draft.scenario).decode(),
            "total": total,
            "by": tx.actor.name,
            **tried,
        },
    )
    await jobs.defer(tx, run, lock=f"simulation-{tx.retailer}", simulation_id=str(id_))
    after = {"name": draft.name, "since": draft.since, "until": draft.until}
    await audit.record(tx, action="start", entity="simulation", entity_id=str(id_), after=after)
    return await _one(tx, id_)


async def stop(tx: Tx, id_: UUID) -> Simulation:
    """Stop a simulation that has not ended.

    Raises:
        SimulationNotFound: there is none.
        SimulationOver: it has ended.
    """
    found = await _locked(tx, id_)
    if found.status in OVER:
        raise SimulationOver(name=found.name)
    await tx.value(writes.END_SIMULATION, {"id": id_, "status": Status.CANCELLED.value, "result": None, "problem": ""})
    await audit.record(tx, action="stop", entity="simulation", entity_id=str(id_))
    return await _one(tx, id_)


async def forget(tx: Tx, id_: UUID) -> None:
    """Delete a simulation that has ended.

    Raises:
        SimulationNotFound: there is none.
        SimulationRunning: it still runs.
    """
    found = await _locked(tx, id_)
    if found.status not in OVER:
        raise SimulationRunning(name=found.name)
    await tx.execute(writes.DROP_SIMULATION, {"id": id_})
    await audit.record(tx, action="delete", entity="simulation", entity_id=str(id_), before={"name": found.name})


async def forget_old(tx: Tx) -> None:
    """Delete simulations `KEEP_DAYS` after they ended; the trail keeps who started them."""
    await tx.execute(writes.FORGET_OLD, {"days": KEEP_DAYS})


async def show(tx: Tx, id_: UUID) -> Simulation:
    """Return a simulation.

    Raises:
        SharedByAll: the actor is limited to some locations.
        SimulationNotFound: there is none.
    """
    refuse_limited(tx)
    return await _one(tx, id_)


async def outcome(tx: Tx, id_: UUID) -> Result:
    """Return what came of a simulation; its gap is None until the bounds of its days are known.

    Raises:
        SharedByAll: the actor is limited to some locations.
        SimulationNotFound: there is none.
        NoResult: its orders are not decided yet, or it did not end well.
    """
    found = await show(tx, id_)
    result = await reads.result(tx, id_)
    if result is None:
        raise NoResult(name=found.name)
    return result


async def promote(tx: Tx, id_: UUID, *, effective_from: datetime | None = None) -> Simulation:
    """Let the rules that a simulation tried decide new orders, at once or from a time on, or the costs at once.

    Raises:
        SimulationNotFound: there is none.
        NoResult: it has not ended, or not well.
        NoRulesTried, NotOnlyRules, AlreadyPromoted, RulesMovedOn, RulesStand, CostsMovedOn, CostsComeAtOnce: see
            `trying.promote`.
        SharedByAll, Invalid, EffectiveInThePast: as above.
    """
    found = await _locked(tx, id_)
    if found.status is not Status.DONE:
        raise NoResult(name=found.name)
    await trying.promote(tx, found, "simulation", writes.PROMOTED, effective_from=effective_from)
    return await _one(tx, id_)


async def take_back(tx: Tx, id_: UUID) -> Simulation:
    """Undo a simulation's promotion: what stood before is in force again.

    Raises:
        SimulationNotFound, NotPromoted, RulesMovedOn, SharedByAll, Invalid: see `trying.take_back`.
    """
    await trying.take_back(tx, await _locked(tx, id_), "simulation", writes.TAKEN_BACK)
    return await _one(tx, id_)


async def moved_order(tx: Tx, id_: UUID, order_id: UUID) -> tuple[Moved, Explanation | None, Explanation | None]:
    """Return an order that would have gone elsewhere, why it went where it went, and why it would not have on paper.

    Raises:
        SharedByAll: the actor is limited to some locations.
        SimulationNotFound: there is none, or it keeps no such order.
    """
    await show(tx, id_)
    found = await reads.moved_order(tx, id_, order_id)
    if found is None:
        raise SimulationNotFound(key=f"{id_}/{order_id}")
    before = await routing.explanation(tx, order_id, 1)
    after = None if found.record is None else await routing.explanation(tx, order_id, 1, on_paper=found.record)
    return found, before, after


async def _one(tx: Tx, id_: UUID) -> Simulation:
    found = await reads.simulation(tx, id_)
    if found is None:
        raise SimulationNotFound(key=id_)
    return found


async def _locked(tx: Tx, id_: UUID) -> Simulation:
    refuse_limited(tx)
    await tx.value(writes.LOCK_SIMULATION, {"id": id_})
    return await _one(tx, id_)


def flaws_of(draft: Draft, known: NetworkSnapshot) -> list[Flaw]:
    """Return what is wrong with a simulation that is wanted."""
    found = [Flaw(name, NO_YEAR) for name in ("since", "until") if is_far(getattr(draft, name))]
    if draft.until < draft.since:
        found.append(Flaw("until", N_("The last day is before the first."), N_("Swap the days.")))
    elif (draft.until - draft.since).days >= MAX_DAYS:
        found.append(
            Flaw("until", N_("More than {days} days."), N_("Take a shorter time."), {"days": MAX_DAYS})
        )  # fmt: skip
    if draft.channel is not None and known.channel(draft.channel) is None:
        found.append(_unknown("channel", N_("There is no channel {code}."), draft.channel))
    seen: set[str] = set()
    for n, at in enumerate(draft.scenario.locations):
        where = f"scenario/locations/{n}/location"
        if known.location(at.location) is None:
            found.append(_unknown(where, N_("There is no location {code}."), at.location))
        elif at.location in seen:
            mend = N_("Say everything about a location in one place.")
            found.append(Flaw(where, N_("The location {code} is named twice."), mend, {"code": at.location}))
        seen.add(at.location)
    found += [
        _unknown(f"scenario/opened/{n}/stock_from", N_("There is no location {code}."), opening.stock_from)
        for n, opening in enumerate(draft.scenario.opened)
        if known.location(opening.stock_from) is None
    ]
    return found


def _unknown(at: str, says: str, code: str) -> Flaw:
    return Flaw(at, says, N_("Check the code; case counts."), {"code": code})


async def zone_of(tx: Tx) -> str:
    """Return the time zone in which days of simulations are meant: the retailer's."""
    return (await retailer.zone(tx)).key


async def span_of(tx: Tx, draft: Draft, known: NetworkSnapshot) -> Span:
    """Return the decisions that a simulation is about. Days are the retailer's."""
    zone = await zone_of(tx)
    day = ZoneInfo(zone)
    since = datetime(draft.since.year, draft.since.month, draft.since.day, tzinfo=day)
    last = draft.until + timedelta(days=1)
    channel = None if draft.channel is None else known.channel(draft.channel)
    return Span(
        since=since,
        until=datetime(last.year, last.month, last.day, tzinfo=day),
        channel=None if channel is None else channel.id,
        zone=zone,
    )


async def pieces(db: Database, span: Span, size: int = PIECE) -> AsyncIterator[list[Decided]]:
    """Yield past decisions in pieces, oldest first, each read in a transaction of its own."""
    last: Decided | None = None
    while True:
        async with db.transaction() as tx:
            piece = await reads.decisions(tx, span, last, size)
        if piece:
            yield piece
        if len(piece) < size:
            return
        last = piece[-1]


def take(replay: Replay, piece: list[Decided], compared: Compared) -> None:
    """Replay a piece, and note what is compared with hindsight."""
    for decided in piece:
        compared.note(decided, replay.step(decided))


Going = Callable[[int], Awaitable[bool]]  # told how many days are done; says whether to go on


async def gap_of(db: Database, span: Span, compared: Compared, going: Going) -> Gap:
    """Work out the hindsight bounds of the days that were drawn, in processes that are killed when they are to stop.

    One process works out days of `TOGETHER` orders, or one that has more. Days for which there is no time, or no bound,
    are left out and counted, with the reason. `going` is asked about every second.
    """
    began = time.monotonic()
    bounds: dict[date, tuple[float, float]] = {}
    without: dict[date, Without] = {}
    days = [day for day in sorted(compared.days) if compared.days[day].compared]
    done = 0
    for some in _together(days, compared):
        left = GAP_S - (time.monotonic() - began)
        if left <= 0:
            break
        patience_s = min(PATIENCE_S + DAY_S * (len(some) - 1), left)
        for day, told in (await _bounds(db, span, compared, some, patience_s, partial(going, done))).items():
            if isinstance(told, Without):
                without[day] = told
            else:
                bounds[day] = told
        done += len(some)
    await going(len(days))
    return compared.finish(bounds, time.monotonic() - began, without)


async def gap_or_why(db: Database, span: Span, compared: Compared, going: Going) -> Gap:
    """Work out the bounds; where a defect keeps them from being worked out, say so: the rest of a result stands."""
    try:
        return await gap_of(db, span, compared, going)
    except (OperationalError, PoolTimeout):
        raise
    except Exception as error:
        log.exception("bounds_failed")
        return compared.fail(type(error).__name__)


def _together(days: Sequence[date], compared: Compared) -> Iterator[list[date]]:
    """Yield the days of each process."""
    some: list[date] = []
    orders = 0
    for day in days:
        if some and orders + compared.days[day].compared > TOGETHER:
            yield some
            some, orders = [], 0
        some.append(day)
        orders += compared.days[day].compared
    if some:
        yield some


async def _bounds(
    db: Database,
    span: Span,
    compared: Compared,
    days: Sequence[date],
    patience_s: float,
    going: Callable[[], Awaitable[bool]],
) -> dict[date, tuple[float, float] | Without]:
    """Return the bounds of some days, or why a day has none.

    Days for which there was no time are absent: a process was killed before it came to them.
    """
    zone = ZoneInfo(span.zone)
    arguments = [span.zone, str(span.channel or 0), str(DAY_S)]
    for day in days:
        next_ = day + timedelta(days=1)
        since = max(datetime(day.year, day.month, day.day, tzinfo=zone), span.since)
        until = min(datetime(next_.year, next_.month, next_.day, tzinfo=zone), span.until)
        arguments += [since.isoformat(), until.isoformat(), repr(compared.shares[day])]
    stop = asyncio.Event()
    asking = asyncio.create_task(ask(BOUNDING, db, stop, patience_s=patience_s, arguments=arguments))
    try:
        while not asking.done():
            await asyncio.wait({asking}, timeout=1.0)
            if not await going():
                stop.set()
                await asking
                return {}
    finally:
        stop.set()
    answer = await asking
    if answer.why is not None:
        log.warning("bound_not_found", days=[day.isoformat() for day in days], said=answer.why)
    # The last line may be cut off.
    told = [line for line in answer.output.splitlines(keepends=True) if line.endswith(b"\n")]
    found: dict[date, tuple[float, float] | Without] = {}
    if answer.why is not None and not answer.late:  # what it did not come to, it did not for what it ended with
        found = dict.fromkeys(days, Without(NoBound.ENDED))
    for day, line in zip(days, told, strict=False):
        said = msgspec.json.decode(line, type=tuple[float, float, int] | str | None)
        if said is None:
            log.warning("bound_empty", day=day.isoformat())
            found[day] = Without(NoBound.DEFECT, "empty")
        elif isinstance(said, str):
            found[day] = Without(NoBound.DEFECT, said)
        else:
            bound, certificate, orders = said
            found[day] = (bound, certificate) if orders == compared.days[day].compared else Without(NoBound.MOVED)
    return found


@jobs.task("simulation.run", attempts=3)
async def run(db: Database, *, simulation_id: str) -> None:
    """Replay the orders of a simulation from the first to the last."""
    id_ = UUID(simulation_id)
    async with db.transaction() as tx:
        found = await reads.simulation(tx, id_)
        if found is None or found.status in OVER:
            return
        known = await network.snapshot(tx)
        draft = Draft(
            name=found.name, since=found.since, until=found.until, channel=found.channel, scenario=found.scenario
        )
        span = await span_of(tx, draft, known)
        content = await reads.rule_content(tx, id_)
        drafted = await reads.cost_content(tx, id_)
        replay = await trying.replay_of(tx, found.scenario, known, found.rules, content, drafted)
    try:
        result = await _replayed(db, id_, replay, span)
    except _Stopped:
        log.info("simulation_left", simulation=simulation_id)
        return
    except (OperationalError, PoolTimeout):  # the database is away: the job is tried again
        raise
    except Exception:
        await _end(db, id_, Status.FAILED, None, N_("A defect stopped the simulation; it is in the log."))
        raise
    await _end(db, id_, Status.DONE, result, "")


async def _replayed(db: Database, id_: UUID, replay: Replay, span: Span) -> Result:
    began, done = time.monotonic(), 0

    async def keep_pace(_days: int = 0) -> bool:
        async with db.transaction() as tx:
            return bool(await tx.value(writes.KEEP_PACE, {"id": id_, "done": done}))

    async with db.transaction() as tx:
        compared = Compared(await reads.count_by_day(tx, span))
    async for piece in pieces(db, span):
        if replay.asks_goods or replay.asks_kinds:
            async with db.transaction() as tx:
                await trying.learn(tx, replay, piece)
        await asyncio.to_thread(take, replay, piece, compared)
        done += len(piece)
        if not await keep_pace():
            raise _Stopped
    result = replay.finish()
    result.seconds = round(time.monotonic() - began, 2)
    if not await _tell(db, id_, result, replay.moved()):
        raise _Stopped
    result.gap = await gap_or_why(db, span, compared, keep_pace)
    if not await keep_pace():
        raise _Stopped
    return result


async def _end(db: Database, id_: UUID, status: Status, result: Result | None, problem: str) -> None:
    async with db.transaction() as tx:
        told = None if result is None else _encode(result).decode()
        await tx.value(writes.END_SIMULATION, {"id": id_, "status": status.value, "result": told, "problem": problem})


async def _tell(db: Database, id_: UUID, result: Result, moved: Sequence[Moved]) -> bool:
    """Tell what came of it before the bounds of its days are known; False where somebody stopped it."""
    async with db.transaction() as tx:
        if not await tx.value(writes.TELL_RESULT, {"id": id_, "result": _encode(result).decode()}):
            return False
        await tx.execute(writes.DROP_MOVED, {"id": id_})
        if moved:
            rows = [
                {"place": n, **msgspec.to_builtins(msgspec.structs.replace(order, record=None))}
                for n, order in enumerate(moved, 1)
            ]
            records = arrays.texts([order.record for order in moved])
            await tx.execute(writes.KEEP_MOVED, {"id": id_, "rows": _encode(rows).decode(), "records": records})
        return True
