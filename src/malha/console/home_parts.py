"""The parts of the home page: figures, what needs a person, channels, locations and the map, as they are drawn."""

from datetime import date, datetime

import msgspec

from malha.console import brazil_map, plots, render, words
from malha.console.home_facts import Facts
from malha.console.home_reads import Deficit, Held, Load
from malha.console.orders import Asked
from malha.ordering.listing import View
from malha.ordering.model import HoldKind
from malha.platform import i18n
from malha.platform.brazil import STATE_NAMES
from malha.platform.clock import now
from malha.platform.i18n import N_, _, n_

SHOWN_TODOS = 6
SHOWN_LOCATIONS = 8
SHOWN_CHANNELS = 6
POINTS = 300  # on the map; more would hide each other
FULL, NEARLY = 1.0, 0.85  # of a day's capacity
MANIFOLD = 3.0  # from there on "3.4 times" is read faster than "240 %"


class Delta(msgspec.Struct, frozen=True):
    """A figure against its usual."""

    text: str
    up: bool
    good: bool | None = None  # None: more is better

    @property
    def tone(self) -> str:
        """Return the class it is coloured by: a good turn, a bad one, or nothing for less of what only comes in."""
        if self.good is None:
            return " m-delta-good" if self.up else ""
        return " m-delta-good" if self.good else " m-delta-bad"


class Kpi(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the strip. `before` and `after` are its unit, small."""

    label: str
    value: str
    href: str
    before: str = ""
    after: str = ""
    delta: Delta | None = None
    versus: str = ""
    foot: str = ""
    foot_class: str = ""
    spark: plots.Spark | None = None


class Todo(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs a person. `family` is its colour, `since` when it began."""

    icon: str
    family: str
    title: str
    detail: str
    since: datetime | None
    late: bool
    act: str
    href: str


class ChannelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's day."""

    name: str
    orders: int
    share: float  # of the widest bar, in percent
    usual: float | None  # the same, of what is usual by now
    delta: Delta | None
    href: str


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A location's work and its capacity of today."""

    name: str
    open: int
    late: int
    href: str
    share: float | None  # of the capacity, in percent, at most 100; None without a limit
    family: str
    capacity: str
    spoken: str


class StateShape(msgspec.Struct, frozen=True, kw_only=True):
    """A state of the map."""

    uf: str
    name: str
    path: str
    shade: int
    orders: int
    href: str
    spoken: str


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A location on the map."""

    x: float
    y: float
    r: float
    tone: str  # "", hot, full
    centre: bool  # drawn filled: a distribution centre, not a shop
    name: str
    href: str
    spoken: str
    label: brazil_map.Label | None


def delta_of(value: float, usual: float) -> Delta | None:
    """Return a figure against its usual, in percent or as its manifold; None where the usual says nothing yet."""
    if usual < 1:
        return None
    times = value / usual
    if times >= MANIFOLD:
        return Delta(f"{i18n.number(times, decimals=1)}\N{MULTIPLICATION SIGN}", up=True)
    if abs(times - 1) < 0.005:  # the same, as far as a percentage tells
        return None
    return Delta(i18n.percent(abs(times - 1)), times >= 1)


def greeting(at: datetime, name: str) -> str:
    """Greet a person by their first name, as the hour has it."""
    first = name.partition(" ")[0]
    if at.hour < 12:
        return _("Good morning, {name}", name=first)
    return _("Good afternoon, {name}", name=first) if at.hour < 18 else _("Good evening, {name}", name=first)


def thousands(minor: int, currency: str) -> tuple[str, str, str]:
    """Return an amount that is read at a glance: its currency's sign, its figure, and `k`, `M` or nothing."""
    whole = i18n.money(minor, currency)
    sign = "".join(c for c in whole if not (c.isdigit() or c in ".,-\N{NO-BREAK SPACE} ")) or currency
    amount = minor / 100
    for size, unit in ((1_000_000, N_("M")), (10_000, N_("k"))):
        if amount >= size:
            return sign, i18n.number(amount / (1_000 if unit == "k" else size), decimals=1), _(unit)
    return sign, i18n.number(amount, decimals=0), ""


def strip(facts: Facts) -> list[Kpi]:
    """Return the figures on top: of the whole retailer for whoever sees it, of their work for people of a store."""
    day, usual, at = facts.day, facts.usual, facts.hour
    by_now = plots.so_far(usual.by_hour, at) if usual.days else 0
    name = weekday(facts.today)  # a long one would not fit beside its line
    name = name if len(name) <= 7 else i18n.written(facts.today, "EEE")
    versus = _("vs. {day}", day=name) if usual.days else ""
    seen = int(at) + 1
    placed = Kpi(
        label=_("Orders today"),
        value=i18n.number(day.orders),
        href=facts.today_href(),
        delta=delta_of(day.orders, by_now),
        versus=versus,
        spark=plots.spark(day.by_hour[:seen]),
    )
    late = Kpi(
        label=_("Late"),
        value=render.capped(facts.counts[View.LATE]),
        href=facts.href(view=View.LATE),
        foot=_("oldest by {time}", time=render.span(now() - facts.latest)) if facts.latest else "",
        foot_class="m-late" if facts.latest else "",
    )
    held = Kpi(
        label=_("Held"),
        value=render.capped(facts.counts[View.ON_HOLD]),
        href=facts.href(view=View.ON_HOLD),
        foot=", ".join(f"{_(words.HOLD.get(h.kind, h.kind))} {i18n.number(h.orders)}" for h in facts.held[:1]),
    )
    if facts.scope is not None:
        return [placed, *work_kpis(facts), late, held]
    sign, figure, unit = thousands(day.total, day.currency)
    sold = Kpi(
        label=_("Sales today"),
        value=figure,
        before=sign,
        after=unit,
        href=facts.today_href(),
        delta=delta_of(day.total, plots.so_far(usual.total_by_hour, at)) if usual.days else None,
        spark=plots.spark(day.total_by_hour[:seen]),
    )
    units = facts.missing[0].all_units if facts.missing else 0
    waiting = Kpi(
        label=_("Waiting for stock"),
        value=render.capped(facts.counts[View.UNPLACED]),
        href=facts.href(view=View.UNPLACED),
        foot=n_("{n} unit", "{n} units", units) if units else "",
    )
    return [placed, sold, late, held, waiting]


def work_kpis(facts: Facts) -> list[Kpi]:
    """Return what a store has to do: to accept, and what waits at its counter."""
    accept, ready = sum(p.to_accept for p in facts.places), sum(p.ready for p in facts.places)
    board = facts.board()
    return [
        Kpi(label=_("To accept"), value=i18n.number(accept), href=board or facts.href(view=View.TO_PICK)),
        Kpi(label=_("Ready for pickup"), value=i18n.number(ready), href=facts.href(view=View.READY)),
    ]


def weekday(day: date) -> str:
    """Return the name of a day's weekday, as people say it in passing: `Tuesday`, `terça`."""
    return i18n.written(day, "EEEE")


def day_line(at: datetime) -> str:
    """Return a day in full, with the time: `Tuesday, 24 November, 10:42`."""
    pattern = {"pt-BR": "d 'de' MMMM"}.get(i18n.current_language(), "d MMMM")
    told = i18n.written(at.date(), pattern)
    name = weekday(at.date())
    return f"{name[:1].upper()}{name[1:]}, {told}, {i18n.time(at)}"


def todos(facts: Facts) -> list[Todo]:
    """Return what needs a person, the worst first: late, failed, held, missing."""
    found = [*late_todo(facts), *parked_todo(facts), *channel_todos(facts), *overdue_todos(facts)]
    found += deficit_todos(facts)
    found += [held_todo(h, facts) for h in facts.held]
    return found + waiting_todo(facts) + accept_todo(facts)


def accept_todo(facts: Facts) -> list[Todo]:
    """Return that work waits for an answer; for the people of its locations, whose day it is."""
    waiting, board = sum(p.to_accept for p in facts.places), facts.board()
    if not waiting or not board or facts.caller.locations is None:
        return []
    return [
        Todo(
            icon="package",
            family="wait",
            title=n_("{n} order to accept", "{n} orders to accept", waiting),
            detail=_("Accept what you can pick, reject what you cannot: it is offered elsewhere."),
            since=None,
            late=False,
            act=_("To the board"),
            href=board,
        )
    ]


def late_todo(facts: Facts) -> list[Todo]:
    """Return what is past its time, and where."""
    count = facts.counts[View.LATE]
    if not count:
        return []
    where = [_("{n} at {place}", n=i18n.number(p.late), place=p.name) for p in facts.places if p.late]
    more = len(where) - 2
    detail = ", ".join(where[:2])
    if more > 0:
        detail = _("{some} and {n} more", some=detail, n=more)
    return [
        Todo(
            icon="clock",
            family="fail",
            title=n_("{n} order is late", "{n} orders are late", count),
            detail=detail or _("Promised for a day that is over."),
            since=facts.latest,
            late=True,
            act=_("See what is late"),
            href=facts.href(view=View.LATE),
        )
    ]


def parked_todo(facts: Facts) -> list[Todo]:
    """Return what could not be handled; for those who can see why."""
    if facts.parked is None or not facts.parked.records:
        return []
    return [
        Todo(
            icon="alert-triangle",
            family="fail",
            title=n_("{n} record could not be handled", "{n} records could not be handled", facts.parked.records),
            detail=_("What came later for them waits."),
            since=facts.parked.since,
            late=True,
            act=_("See the cause"),
            href="/attention",
        )
    ]


def channel_todos(facts: Facts) -> list[Todo]:
    """Return the connections that do not work, and what of channels waits for a person, all of it together."""
    found = [
        Todo(
            icon="link",
            family="fail",
            title=trouble.title,
            detail=trouble.says,
            since=None,
            late=True,
            act=_("See the connection"),
            href=trouble.href,
        )
        for trouble in facts.stopped
    ]
    count = sum(cause.count for cause in facts.stuck)
    if count:
        names = list(dict.fromkeys(cause.name for cause in facts.stuck))
        detail = ", ".join(names[:3])
        if len(names) > 3:
            detail = _("{some} and {n} more", some=detail, n=len(names) - 3)
        found.append(
            Todo(
                icon="link",
                family="wait",
                title=n_("{n} thing of a channel waits for you", "{n} things of channels wait for you", count),
                detail=detail,
                since=min(cause.oldest for cause in facts.stuck),
                late=False,
                act=_("See the cause"),
                href="/attention#connections" if facts.caller.may("doctor:read") else "/connections",
            )
        )
    return found


def overdue_todos(facts: Facts) -> list[Todo]:
    """Return the logistics partners with requests that are overdue, the one that waits longest first."""
    return [
        Todo(
            icon="clock",
            family="fail",
            title=n_(
                "{n} request to {partner} is overdue",
                "{n} requests to {partner} are overdue",
                o.requests,
                partner=o.name,
            ),
            detail=_("No answer in time.") if not o.late else _("It should have left by now."),
            since=o.since,
            late=True,
            act=_("Ask the partner"),
            href=f"/connections/{o.connection}/partner?view=overdue",
        )
        for o in facts.overdue
    ]


def deficit_todos(facts: Facts) -> list[Todo]:
    """Return units that are promised and not there, the most first, each with the orders they are promised to."""
    todo = [deficit_todo(deficit) for deficit in facts.deficits]
    more = facts.deficits[0].all_open - len(todo) if todo else 0
    if more:
        todo[-1] = msgspec.structs.replace(todo[-1], detail=_("{some} and {n} more", some=todo[-1].detail, n=more))
    return todo


def deficit_todo(deficit: Deficit) -> Todo:
    """Return one deficit."""
    n, place = deficit.quantity, deficit.location
    return Todo(
        icon="package-off",
        family="fail",
        title=n_("{n} unit is short at {place}", "{n} units are short at {place}", n, place=place),
        detail=f"{deficit.name} ({deficit.sku})",
        since=deficit.found_at,
        late=False,
        act=_("See the orders"),
        href=Asked(view=View.OPEN, q=deficit.sku, location=deficit.location_code).address(),
    )


def held_todo(held: Held, facts: Facts) -> Todo:
    """Return one kind of hold: how many orders, how much money stands still."""
    review = held.kind == HoldKind.FRAUD
    return Todo(
        icon="eye" if review else "hand-stop",
        family="review" if review else "wait",
        title=f"{_(words.HOLD.get(held.kind, held.kind))}: {n_('{n} order', '{n} orders', held.orders)}",
        detail=_("{amount} stand still. {mend}", amount=i18n.money(held.total, held.currency), mend=mend_of(held.kind)),
        since=held.since,
        late=False,
        act=_("Review") if review else _("Resolve"),
        href=facts.href(view=View.OPEN, hold=held.kind),
    )


def mend_of(kind: str) -> str:
    """Return what a person does about a hold."""
    return _(words.HOLD_MEND[kind]) if kind in words.HOLD_MEND else ""


def waiting_todo(facts: Facts) -> list[Todo]:
    """Return what waits for stock, and for which goods."""
    count = facts.counts[View.UNPLACED]
    if not count:
        return []
    goods = [_("{name}: {units}", name=m.name, units=n_("{n} unit", "{n} units", m.units)) for m in facts.missing[:2]]
    return [
        Todo(
            icon="map-pin",
            family="wait",
            title=n_("{n} order has no location", "{n} orders have no location", count),
            detail=", ".join(goods),
            since=facts.waiting_since,
            late=False,
            act=_("Decide"),
            href=facts.href(view=View.UNPLACED),
        )
    ]


def channel_rows(facts: Facts) -> list[ChannelRow]:
    """Return each channel's orders of today beside what is usual by now, the busiest first."""
    usual = {id_: plots.so_far(hours, facts.hour) for id_, hours in facts.usual.by_channel.items()}
    widest = max([*facts.day.by_channel.values(), *usual.values(), 1])
    known = sorted(facts.channels, key=lambda c: (-facts.day.by_channel[c[0]], c[2]))
    return [
        ChannelRow(
            name=name,
            orders=facts.day.by_channel[id_],
            share=round(100 * facts.day.by_channel[id_] / widest, 1),
            usual=round(100 * usual[id_] / widest, 1) if usual.get(id_) else None,
            delta=delta_of(facts.day.by_channel[id_], usual.get(id_, 0)),
            href=facts.today_href(channel=code),
        )
        for id_, code, name in known[:SHOWN_CHANNELS]
    ]


def place_rows(facts: Facts) -> list[PlaceRow]:
    """Return the locations that have something to do or to spare today."""
    return [place_row(place, facts) for place in facts.places[:SHOWN_LOCATIONS]]


def used(place: Load) -> float | None:
    """Return how much of a day's capacity is taken; None without a limit. A capacity of nothing is full."""
    if place.daily_capacity is None:
        return None
    return place.taken / place.daily_capacity if place.daily_capacity else 1.0


def place_row(place: Load, facts: Facts) -> PlaceRow:
    """Return a location's row."""
    share = used(place)
    taken = i18n.number(place.taken)
    family = "work" if share is None or share < NEARLY else "wait" if share < FULL else "fail"
    return PlaceRow(
        name=place.name,
        open=place.open,
        late=place.late,
        href=facts.work_href(place),
        share=None if share is None else min(100.0, round(100 * share, 1)),
        family=family,
        capacity=taken if place.daily_capacity is None else f"{taken} / {i18n.number(place.daily_capacity)}",
        spoken=_("no limit") if share is None else _("{share} of today's capacity", share=i18n.percent(share)),
    )


def state_shapes(facts: Facts) -> list[StateShape]:
    """Return the states, shaded by today's orders to them."""
    most = max(facts.day.by_state.values(), default=0)
    return [
        StateShape(
            uf=uf,
            name=STATE_NAMES[uf],
            path=path,
            shade=plots.heat(facts.day.by_state[uf], most),
            orders=facts.day.by_state[uf],
            href=facts.today_href(state=uf),
            spoken=f"{STATE_NAMES[uf]}: {n_('{n} order', '{n} orders', facts.day.by_state[uf])}",
        )
        for uf, path in brazil_map.shapes().states.items()
    ]


def points(facts: Facts) -> list[Point]:
    """Return the locations on the map, the busiest last and so on top; names where there is room."""
    most = max((p.open for p in facts.places), default=0)
    on_map = [
        (place, at, plots.radius(place.open, most, least=3.2, largest=9.0))
        for place in facts.places
        if place.latitude is not None
        and place.longitude is not None
        and (at := brazil_map.place(place.latitude, place.longitude)) is not None
    ]
    on_map.sort(key=lambda each: (-each[0].late, -each[0].open, each[0].name))
    on_map = on_map[:POINTS]
    names = brazil_map.labels([(x, y, r, place.name) for place, (x, y), r in on_map])
    found = [
        Point(
            x=x,
            y=y,
            r=r,
            tone="hot" if place.late else "full" if (used(place) or 0) >= NEARLY else "",
            centre=place.kind == "distribution_centre",
            name=place.name,
            href=facts.work_href(place),
            spoken=_("{place}: {open} open, {late} late", place=place.name, open=place.open, late=place.late),
            label=label,
        )
        for (place, (x, y), r), label in zip(on_map, names, strict=True)
    ]
    return found[::-1]
