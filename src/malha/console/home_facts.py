"""What the home page is drawn from: the day, a usual day, what is open and where; a fixed number of statements."""

import time as clock
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request

from malha.channels.connecting import reads as connections
from malha.channels.partners import list_reads as partners
from malha.console import connection_troubles, home_reads, render, shell, web
from malha.console import reads as page_reads
from malha.console.connection_troubles import Trouble
from malha.console.home_reads import Cell, Deficit, Held, Load, Scope
from malha.console.orders import Asked
from malha.fulfillment import reads as jobs
from malha.identity.model import Caller
from malha.ordering import list_reads
from malha.ordering.listing import View
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.db import Tx

USUAL_WEEKS = 4  # a usual Tuesday is the mean of the last four
USUAL_SECONDS = 3600.0  # how long a process remembers it: what is past hardly changes


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What came in on a day, as every part of the page counts it."""

    orders: int
    total: int
    currency: str
    by_hour: list[int]
    total_by_hour: list[int]
    by_channel: Counter[int]
    by_state: Counter[str]


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """A usual such day: the mean of those that there were. Without any, nothing is compared."""

    days: int
    by_hour: list[float]
    total_by_hour: list[float]
    by_channel: dict[int, list[float]]


NO_USUAL = Usual(days=0, by_hour=[], total_by_hour=[], by_channel={})


def day_of(cells: Iterable[Cell]) -> Day:
    """Sum a day. Money is that of the currency that most was sold in: amounts of two currencies do not add up."""
    cells = list(cells)
    by_currency: Counter[str] = Counter()
    by_hour, total_by_hour = [0] * 24, [0] * 24
    by_channel: Counter[int] = Counter()
    by_state: Counter[str] = Counter()
    for cell in cells:
        by_currency[cell.currency] += cell.total
        by_hour[cell.hour] += cell.orders
        by_channel[cell.channel_id] += cell.orders
        if cell.state:
            by_state[cell.state] += cell.orders
    currency = max(by_currency, key=lambda name: by_currency[name], default="BRL")
    for cell in cells:
        if cell.currency == currency:
            total_by_hour[cell.hour] += cell.total
    return Day(
        orders=sum(by_hour),
        total=by_currency[currency],
        currency=currency,
        by_hour=by_hour,
        total_by_hour=total_by_hour,
        by_channel=by_channel,
        by_state=by_state,
    )


def usual_of(cells: Sequence[Cell], currency: str) -> Usual:
    """Return the mean of the days that had orders: a retailer of two weeks has two, not four."""
    count = len({cell.day for cell in cells})
    if not count:
        return NO_USUAL
    by_hour, total_by_hour = [0.0] * 24, [0.0] * 24
    by_channel: dict[int, list[float]] = {}
    for cell in cells:
        by_hour[cell.hour] += cell.orders / count
        if cell.currency == currency:
            total_by_hour[cell.hour] += cell.total / count
        by_channel.setdefault(cell.channel_id, [0.0] * 24)[cell.hour] += cell.orders / count
    return Usual(days=count, by_hour=by_hour, total_by_hour=total_by_hour, by_channel=by_channel)


def bounds_of(day: date, zone: ZoneInfo) -> tuple[date, datetime, datetime]:
    """Return a day with its first instant and the one after its last, in a zone."""
    midnight = datetime.combine(day, time.min, zone)
    return day, midnight, datetime.combine(day + timedelta(days=1), time.min, zone)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page was read from."""

    caller: Caller
    scope: Scope
    today: date
    hour: float
    day: Day
    usual: Usual
    counts: dict[View, int]
    held: list[Held]
    missing: list[home_reads.Missing]
    waiting_since: datetime | None
    deficits: list[Deficit]
    parked: home_reads.Parked | None
    overdue: list[partners.Overdue]  # requests to logistics partners
    stopped: list[Trouble]  # connections that do not work
    stuck: list[connections.Trouble]  # what of channels waits for a person, by connection and cause
    places: list[Load]
    every_place: list[Load]  # those the person may look at one by one
    location: str  # code of the one they look at; empty is all
    channels: page_reads.Named

    @property
    def latest(self) -> datetime | None:
        """Return when the work was due that is late for longest."""
        return min((p.due for p in self.places if p.late and p.due), default=None)

    def today_href(self, **narrowed: Any) -> str:
        """Return the address of today's orders."""
        return self.href(view=View.ALL, since=self.today, until=self.today, **narrowed)

    def href(self, **asked: Any) -> str:
        """Return the address of a list of orders, at the location that is looked at."""
        return Asked(location=self.location, **asked).address()

    def board(self) -> str:
        """Return the address of the board, for those who may see it."""
        if not self.caller.may("fulfillment:work"):
            return ""
        return f"/fulfillment?location={self.location}" if self.location else "/fulfillment"

    def work_href(self, place: Load) -> str:
        """Return where a location's work is seen."""
        if self.board():
            return f"/fulfillment?location={place.code}"
        return Asked(view=View.OPEN, location=place.code).address()


async def facts_of(tx: Tx, request: Request[Any, Any, Any]) -> Facts:
    """Read the page's facts: a fixed number of statements, however large the retailer."""
    caller = web.caller_of(request)
    scope = shell.scope_of(caller)
    every_place = await home_reads.locations(tx, scope)
    chosen = next((p for p in every_place if p.code == request.query_params.get("location")), None)
    if chosen is not None:
        scope = (chosen.id,)
    zone = i18n.current_zone()
    at = render.local(now())
    day = day_of(await home_reads.days(tx, [bounds_of(at.date(), ZoneInfo(zone))], zone, scope))
    everything = scope is None and caller.may("network:read")  # connections are nobody's location
    return Facts(
        caller=caller,
        scope=scope,
        today=at.date(),
        hour=at.hour + at.minute / 60,
        day=day,
        usual=await usual_day(tx, request, at.date(), scope, day.currency),
        counts=await counts_of(tx, scope),
        held=await home_reads.holds(tx, scope),
        missing=await home_reads.missing(tx) if scope is None else [],
        waiting_since=await home_reads.waiting_since(tx, scope),
        deficits=await home_reads.deficits(tx, scope) if caller.may("stock:read") else [],
        parked=await home_reads.parked(tx) if caller.may("doctor:read") else None,
        overdue=await partners.overdue(tx) if everything else [],
        stopped=await connection_troubles.stopped(tx) if everything else [],
        stuck=await connections.all_causes(tx) if everything else [],
        places=[chosen] if chosen else every_place,
        every_place=every_place,
        location=chosen.code if chosen else "",
        channels=await page_reads.channels(tx),
    )


async def counts_of(tx: Tx, scope: Scope) -> dict[View, int]:
    """Return the counts of the views the page shows, as the order list counts them."""
    overdue = tuple(await jobs.overdue_orders(tx))
    if scope is None:
        return (await list_reads.counts(tx, overdue)).by_view
    return await list_reads.open_counts(tx, overdue, scope)


async def usual_day(tx: Tx, request: Request[Any, Any, Any], today: date, scope: Scope, currency: str) -> Usual:
    """Return a usual day such as today, remembered for a while: it is four times the work of the rest of the page."""
    zone = i18n.current_zone()
    remembered: dict[Any, tuple[float, Usual]] = request.app.state.services.extra.setdefault("usual_days", {})
    key = (today, zone, scope, currency)
    found = remembered.get(key)
    if found is not None and found[0] > clock.monotonic():
        return found[1]
    days = [bounds_of(today - timedelta(weeks=week), ZoneInfo(zone)) for week in range(1, USUAL_WEEKS + 1)]
    usual = usual_of(await home_reads.days(tx, days, zone, scope), currency)
    if len(remembered) >= 200:  # as many scopes as there are; forgotten days make room
        remembered.clear()
    remembered[key] = (clock.monotonic() + USUAL_SECONDS, usual)
    return usual
