"""The home page of some days: what came in, how much left in time, how soon and at which cost, against the days before.

The days are whole ones, up to yesterday, so that both spans are as long as one another. What is past hardly changes, so
a process remembers each day for a while and only the first look at a span reads all of it.
"""

import time as clock
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request

from malha.console import brazil_map, home_reads, plots, render
from malha.console.home_facts import Day, Facts, bounds_of, day_of
from malha.console.home_parts import SHOWN_CHANNELS, ChannelRow, Delta, Kpi, StateShape, delta_of, thousands
from malha.console.home_reads import Scope
from malha.ordering.listing import View
from malha.platform import i18n
from malha.platform.brazil import STATE_NAMES
from malha.platform.db import Tx
from malha.platform.i18n import _, n_

PERIODS = (7, 30)
STEP = 5  # minutes
REMEMBERED_SECONDS = 1800.0
MOST_REMEMBERED = 3_000  # days of all scopes
SHOWN_PLACES = 12


class PastDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day that is over."""

    came: Day
    took: Counter[int]  # steps of five minutes until the goods left -> how often
    due: int
    late: int
    by_place: dict[int, tuple[int, int]]  # due, late
    routed: int
    cost: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Some days in one."""

    orders: int
    total: int
    currency: str
    took: Counter[int]
    due: int
    late: int
    routed: int
    cost: int
    by_channel: Counter[int]
    by_state: Counter[str]
    by_place: dict[int, tuple[int, int]]

    @property
    def on_time(self) -> float | None:
        """Return the share of the work that left in time; None where none was due."""
        return 1 - self.late / self.due if self.due else None

    @property
    def median(self) -> int | None:
        """Return the minutes that half of the work took at most, to five minutes."""
        left = sum(self.took.values()) / 2
        for step in sorted(self.took):
            left -= self.took[step]
            if left <= 0:
                return step * STEP
        return None

    @property
    def mean_cost(self) -> float | None:
        """Return what routing reckoned for an order, in minor units."""
        return self.cost / self.routed if self.routed else None


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A location's work in the span."""

    name: str
    href: str
    due: int
    late: int
    share: float  # on time, in percent
    family: str
    on_time: str


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The span and the one before it, as they are drawn."""

    days: int
    line: str
    kpis: list[Kpi]
    plot: plots.Days
    by_day: list[tuple[str, int, int]]
    orders: int
    orders_before: int
    channels: list[ChannelRow]
    states: list[StateShape]
    most: int
    pickups: int
    places: list[PlaceRow]


async def past_days(tx: Tx, request: Request[Any, Any, Any], days: Sequence[date], scope: Scope) -> list[PastDay]:
    """Return days that are over; those that this process remembers are not read."""
    zone = i18n.current_zone()
    remembered: dict[Any, tuple[float, PastDay]] = request.app.state.services.extra.setdefault("past_days", {})
    at = clock.monotonic()
    missing = [day for day in days if remembered.get((day, zone, scope), (0.0,))[0] <= at]
    if missing:
        bounds = [bounds_of(day, ZoneInfo(zone)) for day in missing]
        cells: dict[date, list[home_reads.Cell]] = {day: [] for day in missing}
        for cell in await home_reads.days(tx, bounds, zone, scope):
            cells[cell.day].append(cell)
        work: dict[date, list[home_reads.Work]] = {day: [] for day in missing}
        for row in await home_reads.work(tx, bounds, scope):
            work[row.day].append(row)
        costs = {row.day: row for row in await home_reads.costs(tx, bounds)} if scope is None else {}
        if len(remembered) + len(missing) > MOST_REMEMBERED:
            remembered.clear()
        for day in missing:
            found = _past_day(cells[day], work[day], costs.get(day))
            remembered[day, zone, scope] = (at + REMEMBERED_SECONDS, found)
    return [remembered[day, zone, scope][1] for day in days]


def _past_day(cells: list[home_reads.Cell], work: list[home_reads.Work], cost: home_reads.Cost | None) -> PastDay:
    places = {row.location_id: (row.due, row.late) for row in work if row.location_id is not None}
    return PastDay(
        came=day_of(cells),
        took=Counter({row.bucket: row.done for row in work if row.bucket is not None}),
        due=sum(due for due, _late in places.values()),
        late=sum(late for _due, late in places.values()),
        by_place=places,
        routed=cost.orders if cost else 0,
        cost=cost.cost if cost else 0,
    )


def span_of(days: Sequence[PastDay]) -> Span:
    """Return some days in one. Money is that of the currency that most was sold in."""
    sold: Counter[str] = Counter()
    took: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    states: Counter[str] = Counter()
    places: dict[int, tuple[int, int]] = {}
    for day in days:
        sold[day.came.currency] += day.came.total
        took += day.took
        channels += day.came.by_channel
        states += day.came.by_state
        for place, (due, late) in day.by_place.items():
            before = places.get(place, (0, 0))
            places[place] = (before[0] + due, before[1] + late)
    currency = max(sold, key=lambda name: sold[name], default="BRL")
    return Span(
        orders=sum(day.came.orders for day in days),
        total=sold[currency],
        currency=currency,
        took=took,
        due=sum(day.due for day in days),
        late=sum(day.late for day in days),
        routed=sum(day.routed for day in days),
        cost=sum(day.cost for day in days),
        by_channel=channels,
        by_state=states,
        by_place=places,
    )


async def period_of(tx: Tx, request: Request[Any, Any, Any], facts: Facts, count: int) -> Period:
    """Return the last `count` whole days beside as many before them."""
    first = facts.today - timedelta(days=count)
    now_days = [first + timedelta(days=n) for n in range(count)]
    then_days = [day - timedelta(days=count) for day in now_days]
    found = await past_days(tx, request, [*then_days, *now_days], facts.scope)
    then, now = found[:count], found[count:]
    before, here = span_of(then), span_of(now)
    orders, orders_before = [day.came.orders for day in now], [day.came.orders for day in then]
    return Period(
        days=count,
        line=_("{first} to {last}, against {before} to {end}", first=render.short_date(first),
               last=render.short_date(now_days[-1]), before=render.short_date(then_days[0]),
               end=render.short_date(then_days[-1])),
        kpis=_strip(here, before, now, facts, first),
        plot=plots.days(orders, orders_before if sum(orders_before) else []),
        by_day=[
            (render.short_date(day), n, m)
            for day, n, m in zip(now_days, orders, orders_before, strict=True)
        ],
        orders=here.orders,
        orders_before=before.orders,
        channels=_channels(here, before, facts, first),
        states=_states(here, facts, first),
        most=max(here.by_state.values(), default=0),
        pickups=here.orders - sum(here.by_state.values()),
        places=_places(here, facts),
    )  # fmt: skip


def _orders_href(facts: Facts, first: date, **narrowed: Any) -> str:
    return facts.href(view=View.ALL, since=first, until=facts.today - timedelta(days=1), **narrowed)


def _strip(here: Span, before: Span, days: Sequence[PastDay], facts: Facts, first: date) -> list[Kpi]:
    href = _orders_href(facts, first)
    sign, figure, unit = thousands(here.total, here.currency)
    found = [
        Kpi(
            label=_("Orders"), value=i18n.number(here.orders), href=href, delta=delta_of(here.orders, before.orders),
            versus=_("vs. before") if before.orders else "",
            spark=plots.spark([day.came.orders for day in days]),
        ),
        Kpi(
            label=_("Sales"), value=figure, before=sign, after=unit, href=href,
            delta=delta_of(here.total, before.total), spark=plots.spark([day.came.total for day in days]),
        ),
        _on_time(here, before, days, facts),
        _until_left(here, before, days, facts),
    ]  # fmt: skip
    return [*found, _mean_cost(here, before, days, href)] if facts.scope is None else found


def _on_time(here: Span, before: Span, days: Sequence[PastDay], facts: Facts) -> Kpi:
    delta = None
    if here.on_time is not None and before.on_time is not None:
        points = 100 * (here.on_time - before.on_time)
        if abs(points) >= 0.05:
            delta = Delta(_("{n} p.p.", n=i18n.number(abs(points), decimals=1)), points > 0, good=points > 0)
    return Kpi(
        label=_("On time"),
        value=i18n.number(100 * here.on_time, decimals=1) if here.on_time is not None else "\N{EN DASH}",
        after="%" if here.on_time is not None else "",
        href=facts.board() or facts.href(view=View.LATE),
        delta=delta,
        foot=n_("{n} late", "{n} late", here.late) if here.late else "",
        spark=plots.spark([100 * (1 - day.late / day.due) if day.due else 100.0 for day in days]),
    )


def _until_left(here: Span, before: Span, days: Sequence[PastDay], facts: Facts) -> Kpi:
    delta = None
    if here.median is not None and before.median is not None and here.median != before.median:
        less = here.median - before.median
        delta = Delta(render.span(timedelta(minutes=abs(less))), less > 0, good=less < 0)
    medians = [span_of([day]).median for day in days]
    return Kpi(
        label=_("Until it leaves, median"),
        value=render.span(timedelta(minutes=here.median)) if here.median is not None else "\N{EN DASH}",
        href=facts.board() or facts.href(view=View.OPEN),
        delta=delta,
        spark=plots.spark([m for m in medians if m is not None]),
    )


def _mean_cost(here: Span, before: Span, days: Sequence[PastDay], href: str) -> Kpi:
    delta = None
    if here.mean_cost is not None and before.mean_cost is not None:
        less = round(here.mean_cost - before.mean_cost)
        if less:
            delta = Delta(i18n.money(abs(less), here.currency), less > 0, good=less < 0)
    mean = i18n.money(round(here.mean_cost), here.currency) if here.mean_cost is not None else "\N{EN DASH}"
    return Kpi(
        label=_("Delivery cost per order"),
        value=mean,
        href=href,
        delta=delta,
        spark=plots.spark([day.cost / day.routed for day in days if day.routed]),
    )


def _channels(here: Span, before: Span, facts: Facts, first: date) -> list[ChannelRow]:
    widest = max([*here.by_channel.values(), *before.by_channel.values(), 1])
    known = sorted(facts.channels, key=lambda c: (-here.by_channel[c[0]], c[2]))
    return [
        ChannelRow(
            name=name,
            orders=here.by_channel[id_],
            share=round(100 * here.by_channel[id_] / widest, 1),
            usual=round(100 * before.by_channel[id_] / widest, 1) if before.by_channel[id_] else None,
            delta=delta_of(here.by_channel[id_], before.by_channel[id_]),
            href=_orders_href(facts, first, channel=code),
        )
        for id_, code, name in known[:SHOWN_CHANNELS]
    ]


def _states(here: Span, facts: Facts, first: date) -> list[StateShape]:
    most = max(here.by_state.values(), default=0)
    return [
        StateShape(
            uf=uf,
            name=STATE_NAMES[uf],
            path=path,
            shade=plots.heat(here.by_state[uf], most),
            orders=here.by_state[uf],
            href=_orders_href(facts, first, state=uf),
            spoken=f"{STATE_NAMES[uf]}: {n_('{n} order', '{n} orders', here.by_state[uf])}",
        )
        for uf, path in brazil_map.shapes().states.items()
    ]


def _places(here: Span, facts: Facts) -> list[PlaceRow]:
    """Return the locations that had work, the least punctual first."""
    rows = []
    for place in facts.places:
        due, late = here.by_place.get(place.id, (0, 0))
        if due:
            share = 1 - late / due
            family = "work" if share >= 0.95 else "wait" if share >= 0.85 else "fail"
            on_time = i18n.percent(share)
            rows.append(
                PlaceRow(name=place.name, href=facts.work_href(place), due=due, late=late,
                         share=round(100 * share, 1), family=family, on_time=on_time)
            )  # fmt: skip
    rows.sort(key=lambda row: (row.share, -row.due))
    return rows[:SHOWN_PLACES]
