"""What became of promises: kept and broken."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.supply import Code, place_of
from malha.api.work import Work, command, query
from malha.fulfillment import learned_state, slip_reads, slipping
from malha.fulfillment import outcome_reads as outcomes
from malha.fulfillment.learned_state import State as LearnedAs
from malha.fulfillment.outcome_reads import Broken, Sum
from malha.fulfillment.slip_reads import SlipRow
from malha.network import reads as network
from malha.network import retailer
from malha.ordering import listing
from malha.platform import paging
from malha.platform.brazil import STATES
from malha.platform.clock import now
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.promising import keeping
from malha.promising.reads import Standing
from malha.promising.slipping import Slip

TAG = "promises"
LISTING = "promises-broken"
USUAL_DAYS, MOST_DAYS = 28, 92
State = Annotated[str, Meta(min_length=2, max_length=2)]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Promises whose day is over, together. Shares are from 0 to 1, days are mean days from the purchase."""

    due: int
    kept: int
    broken: int
    under_way: Annotated[int, Meta(description="Of the broken ones: what has not come yet.")]
    promised_anew: int
    share: float | None
    days_promised: float | None
    days_taken: float | None


class WeekShare(Share, frozen=True, kw_only=True):
    """A week of promised days, by its Monday."""

    week: date


class KeyShare(Share, frozen=True, kw_only=True):
    """Promises of one service, location or destination state; null where there is none."""

    key: str | None


class KeptPromises(msgspec.Struct, frozen=True, kw_only=True):
    """How many promises were kept, together and apart; the most promises first, weeks by their day."""

    total: Share
    weeks: list[WeekShare]
    services: list[KeyShare]
    locations: list[KeyShare]
    states: list[KeyShare]


def _of(sum_: Sum) -> dict[str, int | float | None]:
    share = {} if sum_.share is None else {"share": round(sum_.share, 4)}
    return {**msgspec.structs.asdict(sum_), "broken": sum_.broken, "share": None, **share}


async def _wanted(
    work: Work, since: date | None, until: date | None, location: str | None, service: str | None, to_state: str | None
) -> outcomes.Wanted:
    zone = await retailer.zone(work.tx)
    last = until or now().astimezone(zone).date()
    first = since or last - timedelta(days=USUAL_DAYS - 1)
    flaws = []
    if not 0 <= (last - first).days < MOST_DAYS:
        says = N_("The days are {n} at most, and the first is not after the last.")
        flaws.append(Flaw("?since", says, facts={"n": MOST_DAYS}))
    if to_state is not None and to_state not in STATES:
        flaws.append(Flaw("?to_state", N_("There is no state {state}."), facts={"state": to_state}))
    services = {s.code: s.id for s in await network.services(work.tx)} if service else {}
    if service is not None and service not in services:
        flaws.append(Flaw("?service", N_("There is no {value}."), facts={"value": service}))
    refuse(flaws)
    from_, to = listing.day_bounds(first, last, zone)
    return outcomes.Wanted(
        since=from_ or datetime.min.replace(tzinfo=UTC),
        until=to or datetime.max.replace(tzinfo=UTC),
        zone=zone.key,
        scope=work.actor.fixed_scope,
        location_id=(await place_of(work, location)).id if location else None,
        service_id=services[service] if service else None,
        state=to_state,
    )


@query("/promises/kept", permission="orders:read", snapshot=True, tag=TAG)
async def show_kept_promises(
    work: Work,
    since: date | None = None,
    until: date | None = None,
    location: Code | None = None,
    service: Code | None = None,
    to_state: State | None = None,
) -> KeptPromises:
    """Return how many promises were kept, of those whose promised day lies in these days and is over.

    The first promise counts, whatever was promised later. One promise is the goods of one location for an order. Goods
    to be fetched are promised to be ready. Days are the retailer's. Without them: the last 28, today included.
    """
    wanted = await _wanted(work, since, until, location, service, to_state)
    found = await outcomes.kept(work.tx, wanted)
    services = {s.id: s.code for s in await network.services(work.tx)}
    places = await network.locations_by_id(work.tx, [id_ for id_, _ in found.locations if id_ is not None])
    codes = {id_: place.code for id_, place in places.items()}
    return KeptPromises(
        total=msgspec.convert(_of(found.total), Share),
        weeks=[msgspec.convert({**_of(sum_), "week": week}, WeekShare) for week, sum_ in found.weeks],
        services=[_keyed(services.get(id_ or 0), sum_) for id_, sum_ in found.services],
        locations=[_keyed(codes.get(id_ or 0), sum_) for id_, sum_ in found.locations],
        states=[_keyed(code, sum_) for code, sum_ in found.states],
    )


def _keyed(key: str | None, sum_: Sum) -> KeyShare:
    return msgspec.convert({**_of(sum_), "key": key}, KeyShare)


@query("/promises/broken", permission="orders:read", tag=TAG)
async def list_broken_promises(
    work: Work,
    since: date | None = None,
    until: date | None = None,
    location: Code | None = None,
    service: Code | None = None,
    to_state: State | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[Broken]:
    """List promises that were not kept, the latest promised day first; the same promises as `/promises/kept` counts."""
    size = paging.bounded(limit)
    before = paging.position(cursor, LISTING, (datetime, UUID))
    wanted = await _wanted(work, since, until, location, service, to_state)
    rows = await outcomes.broken(work.tx, wanted, before=(before[0], before[1]) if before else None, limit=size + 1)
    return paging.page_of(list(rows), size, LISTING, lambda row: (row.promised_at, row.work_id))


SLIPS = "promises-slipping"


class ChosenOrders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Orders by id."""

    orders: Annotated[list[UUID], Meta(min_length=1, max_length=500)]


class PromisedAnew(msgspec.Struct, frozen=True):
    """How many orders were promised anew; the others can be in time, have no day, or somebody has them in hand."""

    promised: int


@query("/promises/slipping", permission="orders:read", tag=TAG)
async def list_slipping_promises(
    work: Work, reason: Slip | None = None, cursor: str | None = None, limit: int | None = None
) -> Page[SlipRow]:
    """List orders whose plan cannot keep their day, the soonest promised first, with the day it comes to and why.

    `expected_at` null: no day can be said before somebody finds the goods a place. The worker looks every ten minutes.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, SLIPS, (datetime, UUID))
    rows = await slip_reads.slipping(
        work.tx,
        scope=work.actor.fixed_scope,
        reason=reason,
        after=(after[0], after[1]) if after else None,
        most=size + 1,
    )
    return paging.page_of(rows, size, SLIPS, lambda row: (row.promised_at, row.order_id))


@command("/promises/slipping:promise", permission="orders:write", tag=TAG)
async def promise_slipping_orders(work: Work, data: ChosenOrders) -> PromisedAnew:
    """Promise orders that cannot keep their day for the day their plan comes to now, and tell their customers."""
    return PromisedAnew(
        await slipping.promise_many(work.tx, await slip_reads.seen(work.tx, data.orders, work.actor.fixed_scope))
    )


class LearnedDates(msgspec.Struct, frozen=True, kw_only=True):
    """Whether dates are promised by learned days, how sure they are made, and how good they were.

    `state`: `in_force`; `too_few` deliveries are known; `soon`: the worker learns within ten minutes; `off`: a person
    turned them off; `off_by_setting`. `known` deliveries are counted up to the `needed` ones. `due`, `kept` and `said`
    are of promises by learned days that came due in the last 28 days: how many, the share kept, and the mean chance
    they were made with.
    """

    state: LearnedAs
    known: int
    needed: int
    in_force: Standing | None
    due: int
    kept: float | None
    said: float | None


class LearnedWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether dates shall be promised by learned days."""

    on: bool


@query("/promises/learned", permission="orders:read", tag=TAG)
async def show_learned_dates(work: Work) -> LearnedDates:
    """Return whether dates are promised by learned days, at what level, and how good they were."""
    return await _learned(work)


@command("/promises/learned:turn", permission="network:write", tag=TAG)
async def turn_learned_dates(work: Work, data: LearnedWish) -> LearnedDates:
    """Have dates promised by learned days, or by the tariff. Off counts at once; on, within ten minutes."""
    await keeping.turn(work.tx, on=data.on)
    return await _learned(work)


async def _learned(work: Work) -> LearnedDates:
    found = await learned_state.state_of(work.tx, by_setting=work.services.settings.learned_promises)
    good = await outcomes.kept_learned(work.tx, await _wanted(work, None, None, None, None, None))
    return LearnedDates(
        state=found.state,
        known=found.known,
        needed=found.needed,
        in_force=found.standing,
        due=good.due,
        kept=good.share,
        said=good.said,
    )


handlers = [
    show_kept_promises,
    list_broken_promises,
    list_slipping_promises,
    promise_slipping_orders,
    show_learned_dates,
    turn_learned_dates,
]
