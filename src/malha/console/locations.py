"""The locations: the list with its filters and bulk acts, and one location with hours, closures, capacity and costs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.capacity.model import Measure
from malha.console import audit_words, brazil_map, capacity_view, export, filling, picking_view, render, shell, web
from malha.console import network_words as say
from malha.console.words import Sign
from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.fulfillment import reads as jobs
from malha.inventory.counts import freezing
from malha.network import reads, rules, service, store_lanes
from malha.network.calendar import Calendar, holidays_of
from malha.network.errors import UnknownLocation
from malha.network.imports import location_rows
from malha.network.model import WEEKDAYS, Establishment, Location, LocationKind, LocationStatus, Repeat
from malha.platform import audit, i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.text import fold

PAGE_SIZE = 50
HISTORY = 5
NEXT_HOLIDAYS = 6
# The tabs: what each one holds, and its word.
TABS: dict[str, tuple[frozenset[LocationStatus], str]] = {
    "": (frozenset({LocationStatus.ACTIVE, LocationStatus.PAUSED}), N_("In use")),
    "active": (frozenset({LocationStatus.ACTIVE}), N_("Taking work")),
    "paused": (frozenset({LocationStatus.PAUSED}), N_("Paused")),
    "closed": (frozenset({LocationStatus.CLOSED}), N_("Closed")),
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of the list says; nonsense in it is ignored."""

    status: str = ""
    q: str = ""
    kind: str = ""
    state: str = ""
    can: str = ""
    page: int = 1

    @property
    def filtered(self) -> bool:
        """Return whether anything but the tab narrows the list."""
        return bool(self.q or self.kind or self.state or self.can)

    def address(self, path: str = "/locations", **changes: Any) -> str:
        """Return the address of this list with parts changed; what changes the list goes to its first page."""
        return web.address(path, self, {"page": 1, **changes}, usual={"page": 1})


class LocationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One location as the list draws it."""

    code: str
    name: str
    kind: str
    town: str
    issuer: str
    site: str  # name of the location at whose site it is; empty: its own
    can: list[str]
    hours: str
    taken: int
    capacity: int | None
    units: bool  # what is taken are units, else orders
    used: int  # per cent
    tone: str
    sign: Sign
    note: str


class Answer(NamedTuple):
    """One of the four answers a location's page opens with."""

    icon: str
    asks: str
    says: str
    tone: str
    more: str
    href: str = ""


class Day(NamedTuple):
    """One weekday's hours: as text, and as bars of a day that is 1,440 wide."""

    word: str
    text: str
    bars: list[tuple[int, int]]
    today: bool


class ClosureRow(NamedTuple):
    """A day on which the location does not work."""

    day: date
    text: str
    reason: str
    past: bool


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    page = query.get("page", "")
    return Asked(
        status=query.get("status", "") if query.get("status", "") in TABS else "",
        q=web.said(query, "q")[:200].strip(),
        kind=query.get("kind", "") if query.get("kind", "") in set(LocationKind) else "",
        state=query.get("state", "")[:2].upper(),
        can=query.get("can", "") if query.get("can", "") in say.CAPABILITIES else "",
        page=max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
    )


def _fits(location: Location, asked: Asked, words: Sequence[str]) -> bool:
    if asked.kind and location.kind != asked.kind:
        return False
    if asked.state and location.state != asked.state:
        return False
    if asked.can and not getattr(location, asked.can):
        return False
    if not words:
        return True
    text = fold(f"{location.code} {location.name} {location.address.city} {location.state}")
    return all(word in text for word in words)


async def in_scope(tx: Tx, request: Request[Any, Any, Any]) -> list[Location]:
    """Return the locations the caller may see, by name."""
    caller = web.caller_of(request)
    return sorted((x for x in await reads.locations(tx) if caller.sees(x.id)), key=lambda x: fold(x.name))


def _hours_of(location: Location, closed: str | None) -> str:
    today = now().astimezone(ZoneInfo(location.timezone)).date()
    if closed is not None:
        return _("Closed today: {reason}", reason=closed)
    if not Calendar(location).is_open_on(today):
        return _("Closed today")
    hours = location.opening_hours.get(WEEKDAYS[today.weekday()])
    return ", ".join(f"{opens}{render.DASH.strip()}{closes}" for opens, closes in hours) if hours else _("Until 18:00")


def _pause_note(location: Location) -> str:
    if location.status is not LocationStatus.PAUSED:
        return ""
    until = location.paused_until
    end = _("until {time}", time=render.moment(until, location.timezone)) if until else ""
    why = _(freezing.WHY) if location.paused_reason == freezing.WHY else location.paused_reason
    return ", ".join(x for x in (why, end) if x)


def _by_site(found: Sequence[Location], names: Mapping[int, str]) -> list[Location]:
    """Return locations by name, those of a site together: its first one, then the others."""
    return sorted(
        found, key=lambda x: (fold(names.get(x.home, x.name)), x.home, x.site is not None, fold(x.name), x.code)
    )


async def _rows(
    tx: Tx, shown: Sequence[Location], issuers: Mapping[int, Establishment], names: Mapping[int, str]
) -> list[LocationRow]:
    at = now()
    days = {x.id: at.astimezone(ZoneInfo(x.timezone)).date() for x in shown}
    taken = await reads.capacity_taken(tx, list(days), sorted(set(days.values())))
    limits = await capacity_view.limits(tx, days, shown, taken)
    closed = await reads.closures_on(tx, list(days), sorted(set(days.values())))
    return [_row(x, limits[x.id], closed.get((x.id, days[x.id])), issuers, names) for x in shown]


def _row(
    x: Location,
    limit: capacity_view.Limit,
    closed: str | None,
    issuers: Mapping[int, Establishment],
    names: Mapping[int, str],
) -> LocationRow:
    taken, room = limit.taken, limit.capacity
    used = min(100, round(100 * taken / room)) if room else 100 if room == 0 and taken else 0
    return LocationRow(
        code=x.code,
        name=x.name,
        kind=_(say.LOCATION_KIND[x.kind]),
        town=render.DASH.join(part for part in (x.address.city, x.state) if part),
        issuer=issuers[x.keeps].name,
        site=names.get(x.home, x.site or "") if x.site else "",
        can=[_(word) for name, (word, _means) in say.CAPABILITIES.items() if getattr(x, name)],
        hours=_hours_of(x, closed),
        taken=taken,
        capacity=room,
        units=limit.measure is Measure.UNITS,
        used=used,
        tone="fail" if used >= 100 else "wait" if used >= 85 else "work",
        sign=say.LOCATION_STATUS[x.status],
        note=_pause_note(x),
    )


@get("/locations", opt={"permission": "network:read"})
async def location_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the list."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "locations", here=asked.address(page=asked.page))
        everything = await in_scope(tx, request)
        words = fold(asked.q).split()
        fitting = [x for x in everything if _fits(x, asked, words)]
        counts = {key: sum(x.status in statuses for x in fitting) for key, (statuses, _word) in TABS.items()}
        names = {x.id: x.name for x in everything}
        found = _by_site([x for x in fitting if x.status in TABS[asked.status][0]], names)
        first = min((asked.page - 1) * PAGE_SIZE, max(len(found) - 1, 0) // PAGE_SIZE * PAGE_SIZE)
        issuers = {e.id: e for e in await reads.establishments(tx)}
        rows = await _rows(tx, found[first : first + PAGE_SIZE], issuers, names)
    number = first // PAGE_SIZE + 1
    part = web.wants_part(request)
    return render.html(
        "locations/list.html" if part else "locations/page.html",
        headers={"HX-Push-Url": asked.address(page=asked.page)} if part else {},
        shell=around,
        may=around.may,
        asked=asked,
        rows=rows,
        total=len(found),
        known=len(everything),
        first=first + 1,
        last=first + len(rows),
        previous=asked.address(page=number - 1) if number > 1 else "",
        next=asked.address(page=number + 1) if first + PAGE_SIZE < len(found) else "",
        tabs=[
            (_(word), asked.address(status=key), counts[key], key == asked.status) for key, (_s, word) in TABS.items()
        ],
        kinds=[(kind.value, _(word)) for kind, word in say.LOCATION_KIND.items()],
        states=sorted({x.state for x in everything}),
        capabilities=[(name, _(word)) for name, (word, _means) in say.CAPABILITIES.items()],
        exports=export.choices(asked.address, "/locations:export"),
        unfiltered=Asked(status=asked.status).address(),
    )


@post("/locations:bulk", opt={"permission": "network:write"}, status_code=200)
async def bulk(request: Request[Any, Any, Any]) -> Response[Any]:
    """Pause or resume the chosen locations; those that are not in the state for it are left alone."""
    form = await request.form()
    read = filling.filled(form)
    codes = [str(code)[:40] for code in form.getall("code", [])]
    async with web.writing(request) as tx:
        if read.text("act") == "resume":
            changed = await service.resume_locations(tx, codes)
            notice = n_("{n} location takes work again", "{n} locations take work again", len(changed))
        else:
            until = read.instant("until", i18n.current_zone())
            read.refuse()
            changed = await service.pause_locations(tx, codes, read.text("reason"), until)
            notice = n_("{n} location paused", "{n} locations paused", len(changed))
    return web.go_on(request, web.safe_address(read.text("next"), "/locations"), notice)


@get(export.paths("/locations:export"), opt={"permission": "network:read"})
async def location_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a table that can be imported again."""
    asked = asked_of(request.query_params)
    words = fold(asked.q).split()
    async with web.reading(request) as tx:
        fitting = [x for x in await in_scope(tx, request) if _fits(x, asked, words)]
        owners = {e.id: e for e in await reads.establishments(tx)}
    found = [x for x in fitting if x.status in TABS[asked.status][0]]

    async def pages() -> AsyncIterator[list[list[object]]]:
        yield location_rows(found, owners)

    format_ = export.format_of(request)
    return export.file("locations", format_, kinds.file_of(format_, pages(), kinds.numbers_of(Kind.LOCATIONS)))


# --- one location ---


async def one(tx: Tx, request: Request[Any, Any, Any], code: str) -> Location:
    """Return a location the caller may see.

    Raises:
        UnknownLocation: there is none, or it is outside their scope.
    """
    found = await reads.location_by_code(tx, code)
    if found is None or not web.caller_of(request).sees(found.id):
        raise UnknownLocation(key=code)
    return found


async def home_of(tx: Tx, request: Request[Any, Any, Any], code: str) -> Location:
    """Return the first location at the site of one the caller may see: what a site shares is stated of that one.

    Raises:
        UnknownLocation: as `one`.
    """
    found = await one(tx, request, code)
    return found if found.site is None else await one(tx, request, found.site)


@get("/locations/{code:str}", opt={"permission": "network:read"})
async def location_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one location."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "locations")
        found = await one(tx, request, code)
        issuer = (await reads.establishments_by_id(tx, [found.establishment_id]))[found.establishment_id]
        closures = await reads.closures(tx, found.id)
        today = now().astimezone(ZoneInfo(found.timezone)).date()
        taken = await reads.capacity_taken(tx, [found.id], [today])
        monday = today - timedelta(days=today.weekday())
        slots = await capacity_view.of_location(tx, found, monday)
        limit = (await capacity_view.limits(tx, {found.id: today}, [found], taken))[found.id]
        loads = (await picking_view.loads(tx, [found], now())).get(found.home, [])
        waiting = await jobs.queue_counts(tx, [found.id]) if around.may("fulfillment:work") else {}
        seen = await in_scope(tx, request)
        others = [x for x in seen if x.id != found.id]
        owners = await _owners_at(tx, [x for x in seen if x.home == found.home], found)
        comes = found.can_pickup or found.can_ship
        coming = await jobs.coming(tx, [found.id]) if comes and around.may("orders:read") else []
        origins = await store_lanes.origins_of(tx, found) if found.can_pickup else []
        history = (
            await audit.trail(tx, entity="location", entity_id=code, limit=HISTORY) if around.may("audit:read") else []
        )
    calendar = Calendar(found, frozenset(c.day for c in closures))
    return render.html(
        "locations/show.html",
        shell=around,
        may=around.may,
        x=found,
        issuer=issuer,
        kind=_(say.LOCATION_KIND[found.kind]),
        sign_of=say.LOCATION_STATUS[found.status],
        slots=slots,
        loads=loads,
        slot_days=[monday + timedelta(days=n) for n in range(7)],
        note=_pause_note(found),
        owners=owners,
        coming=len({row.order_number for row in coming}),
        origins=origins,
        site=next((x for x in seen if x.id == found.site_id), None),
        answers=_answers(found, calendar, limit, waiting, around.may("fulfillment:work")),
        week=week_of(found),
        closures=[_closure(c, today) for c in closures if c.day >= today - timedelta(days=1)],
        past=sum(c.day < today - timedelta(days=1) for c in closures),
        holidays=_holidays(found, today),
        can=[(_(word), _(means), getattr(found, name)) for name, (word, means) in say.CAPABILITIES.items()],
        repeats=list(filling.options(say.REPEAT)),
        today=today,
        map=brazil_map.shapes(),
        point=_point(found),
        others=[point for x in others[:400] if (point := _point(x))],
        history=[
            (audit_words.act(e.action), audit_words.summary(e), e.actor_name, render.moment(e.at)) for e in history
        ],
    )


class OwnerRow(NamedTuple):
    """One owner of goods at a site: its establishment and company, and the location that keeps its goods."""

    owner: Establishment
    place: Location
    sign: Sign
    here: bool


async def _owners_at(tx: Tx, places: Sequence[Location], shown: Location) -> list[OwnerRow]:
    keepers = await reads.establishments_by_id(tx, sorted({x.keeps for x in places}))
    ordered = sorted(places, key=lambda x: (x.site is not None, fold(keepers[x.keeps].name)))
    return [OwnerRow(keepers[x.keeps], x, say.LOCATION_STATUS[x.status], x.id == shown.id) for x in ordered]


def _point(x: Location) -> tuple[float, float] | None:
    return None if x.latitude is None or x.longitude is None else brazil_map.place(x.latitude, x.longitude)


def _answers(
    x: Location,
    calendar: Calendar,
    limit: capacity_view.Limit,
    waiting: Mapping[str, tuple[int, int]],
    sees_work: bool,
) -> list[Answer]:
    status = say.LOCATION_STATUS[x.status]
    if x.status is LocationStatus.ACTIVE:
        takes = Answer("player-play", _("Does it take work?"), _("Yes"), "", _("Routing may choose it"))
    else:
        tone = "m-soon" if x.status is LocationStatus.PAUSED else ""
        more = _pause_note(x) or _("New work goes to other locations")
        takes = Answer("player-pause", _("Does it take work?"), _("No: {state}", state=_(status.word)), tone, more)
    answers = [takes, _open_answer(x, calendar), _capacity_answer(limit)]
    if sees_work:
        open_ = sum(all_ for all_, _late in waiting.values())
        late = sum(late for _all, late in waiting.values())
        more = n_("{n} late", "{n} late", late) if late else _("within time") if open_ else _("Nothing waits")
        says = n_("{n} order", "{n} orders", open_)
        answers.append(
            Answer(
                "package",
                _("What waits there?"),
                says,
                "m-late" if late else "",
                more,
                f"/fulfillment?location={x.code}",
            )
        )
    return answers


def _open_answer(x: Location, calendar: Calendar) -> Answer:
    local = calendar.local(now())
    clock = local.strftime("%H:%M")
    today = (x.opening_hours or {}).get(WEEKDAYS[local.weekday()], [])
    cut_off = _("Cut-off {time}", time=i18n.time(x.cut_off))
    if calendar.is_open_on(local.date()):
        for opens, closes in sorted(today):
            if opens <= clock < closes:
                return Answer("clock", _("Is it open?"), _("Until {time}", time=closes), "", cut_off)
            if clock < opens:
                return Answer("clock", _("Is it open?"), _("Opens at {time}", time=opens), "", cut_off)
        if not x.opening_hours:
            return Answer("clock", _("Is it open?"), _("Works today"), "", cut_off)
    following = calendar.next_open_day(local.date() + timedelta(days=1))
    says = _("Opens {day}", day=_day(following)) if following else _("Never")
    return Answer("clock", _("Is it open?"), says, "" if following else "m-late", cut_off)


def _capacity_answer(limit: capacity_view.Limit) -> Answer:
    asks = _("Capacity today")
    if limit.capacity is None:
        return Answer("package", asks, _("{n} taken", n=i18n.number(limit.taken)), "", _("No limit"))
    if not limit.capacity and not limit.taken:
        return Answer("package", asks, _("Takes no work"), "", _("New work is due the next day"))
    left = max(limit.capacity - limit.taken, 0)
    taken, all_ = i18n.number(limit.taken), i18n.number(limit.capacity)
    in_units = limit.measure is Measure.UNITS
    says = (
        _("{used} of {all} units", used=taken, all=all_) if in_units else _("{taken} of {all}", taken=taken, all=all_)
    )
    more = n_("{n} more fits", "{n} more fit", left) if left else _("Full: new work is due the next day")
    return Answer("package", asks, says, "" if left else "m-late", more)


def _day(day: date) -> str:
    return render.day(datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(i18n.current_zone())))


def week_of(x: Location) -> list[Day]:
    """Return the opening hours by weekday."""
    today = now().astimezone(ZoneInfo(x.timezone)).weekday()
    week = []
    for i, day in enumerate(WEEKDAYS):
        intervals = sorted(x.opening_hours.get(day, []))
        text = ", ".join(f"{opens} – {closes}" for opens, closes in intervals)  # noqa: RUF001 -- a range's own dash
        bars = [(_minute(opens), _minute(closes) - _minute(opens)) for opens, closes in intervals]
        week.append(Day(_(say.WEEKDAY[day]), text or _("Closed"), bars, i == today))
    return week


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _closure(closure: reads.Closure, today: date) -> ClosureRow:
    return ClosureRow(closure.day, _day(closure.day), closure.reason, closure.day < today)


def _holidays(x: Location, today: date) -> list[str]:
    days = holidays_of(x.holiday_calendar, today.year) | holidays_of(x.holiday_calendar, today.year + 1)
    return [_day(day) for day in sorted(days) if day >= today][:NEXT_HOLIDAYS]


# --- acts on one location ---


@post("/locations/{code:str}/status", opt={"permission": "network:write"}, status_code=200)
async def set_status(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Pause, resume or close a location."""
    read = filling.filled(await request.form())
    status = read.choice("status", LocationStatus)
    async with web.writing(request) as tx:
        found = await one(tx, request, code)
        until = read.instant("until", found.timezone)
        read.refuse()
        await service.set_location_status(tx, code, status, read.version(), reason=read.text("reason"), until=until)
    says = {
        LocationStatus.PAUSED: _("Paused: new work goes elsewhere"),
        LocationStatus.ACTIVE: _("It takes work again"),
        LocationStatus.CLOSED: _("Closed"),
    }[status]
    return web.go_on(request, f"/locations/{code}", says)


@post("/locations/{code:str}/close-days", opt={"permission": "network:write"}, status_code=200)
async def close_days(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Close a location on a day or a range of days, perhaps every week or year."""
    read = filling.filled(await request.form())
    first = read.day("first")
    last = read.day("last") or first
    repeat = read.choice("repeat", Repeat)
    times = read.maybe_whole("times") or 1
    if first is None:
        read.wrong("first", N_("This field is empty."), N_("Fill it in."))
    elif last is not None and not first <= last <= first + timedelta(days=366):
        read.wrong("last", N_("The last day is before the first, or more than a year after it."))
    read.refuse()
    days = rules.closed_days(first or date.min, last or date.min, repeat, times)
    async with web.writing(request) as tx:
        await one(tx, request, code)
        await service.close_days(tx, code, days, read.text("reason", 200))
    notice = n_("Closed on {n} day", "Closed on {n} days", len(days))
    return web.go_on(request, f"/locations/{code}", notice)


@post("/locations/{code:str}/open-days", opt={"permission": "network:write"}, status_code=200)
async def open_days(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Take one closure back."""
    read = filling.filled(await request.form())
    day = read.day("day")
    read.refuse()
    async with web.writing(request) as tx:
        await one(tx, request, code)
        await service.open_days(tx, code, [day] if day else [])
    return web.go_on(request, f"/locations/{code}", _("It works on that day again"))


HANDLERS = [location_list, location_export, bulk, location_show, set_status, close_days, open_days]
