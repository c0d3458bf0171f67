"""Capacity on screen: a week of slots per location as a grid, what they state, dates that differ, several at once."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.capacity import reads, rules, service
from malha.capacity.model import KIND_WORDS, MEASURE_WORDS, Kind, Measure, Override, Plan, Slot
from malha.console import capacity_form as grid
from malha.console import capacity_view as drawn
from malha.console import export, filling, locations, picking_view, render, shell, uploads, web
from malha.console import network_words as say
from malha.console.capacity_view import KINDS
from malha.console.filling import Filled
from malha.network import reads as network
from malha.network.errors import UnknownLocation
from malha.network.model import WEEKDAYS, Location
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as Cells
from malha.platform.text import fold

PAGE_SIZE = 20
FILE_BYTES = 2 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address says; nonsense in it is ignored."""

    kind: str = Kind.PICKUP.value
    week: str = ""  # its Monday
    q: str = ""
    group: str = ""
    page: int = 1

    def address(self, path: str = "/capacity", **changes: Any) -> str:
        """Return the address of this page with parts changed."""
        return web.address(path, self, {"page": 1, **changes}, usual={"page": 1, "kind": Kind.PICKUP.value})

    @property
    def monday(self) -> date:
        """Return the first day of the week."""
        try:
            day = date.fromisoformat(self.week)
        except ValueError:
            day = i18n.local(now()).date()
        return day - timedelta(days=day.weekday())


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    said = {name: web.said(query, name)[:80].strip() for name in ("kind", "week", "q", "group")}
    kind = said["kind"] if said["kind"] in set(Kind) else Kind.PICKUP.value
    page = query.get("page", "1")
    number = int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1
    asked = Asked(kind=kind, week=said["week"], q=said["q"], group=said["group"], page=max(number, 1))
    return asked if maybe_day(asked.week) else msgspec.structs.replace(asked, week="")


async def _wanted(tx: Tx, request: Request[Any, Any, Any], asked: Asked) -> tuple[list[Location], int]:
    """Return the locations in sight that state slots of the kind and fit the filters, and how many state any."""
    stating = set(await reads.stating(tx, Kind(asked.kind)))
    here = [x for x in await locations.in_scope(tx, request) if x.id in stating]
    members = None
    if asked.group:
        groups = await network.location_groups(tx, [asked.group])
        members = set(groups[0].locations) if groups else set()
    words = fold(asked.q).split()
    fitting = [
        x
        for x in here
        if (members is None or x.code in members)
        and all(w in fold(f"{x.name} {x.code} {x.address.city}") for w in words)
    ]
    return sorted(fitting, key=lambda x: fold(x.name)), len(here)


def _fits(x: Location, words: Sequence[str]) -> bool:
    text = fold(f"{x.name} {x.code} {x.address.city}")
    return all(word in text for word in words)


def _days(monday: date) -> list[date]:
    return reads.days_from(monday, 7)


@get("/capacity", opt={"permission": "network:read"})
async def capacity_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show a week of slots per location."""
    asked = asked_of(request.query_params)
    kind, monday = Kind(asked.kind), asked.monday
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "capacity", here=asked.address(page=asked.page))
        places, known = await _wanted(tx, request, asked)
        first = min((asked.page - 1) * PAGE_SIZE, max(len(places) - 1, 0) // PAGE_SIZE * PAGE_SIZE)
        shown = places[first : first + PAGE_SIZE]
        views = await drawn.views(tx, shown, kind, monday)
        is_now = monday <= i18n.local(now()).date() < monday + timedelta(days=7)
        loads = await picking_view.loads(tx, shown, now()) if kind is Kind.PICK and is_now else {}
        groups = [(g.code, g.name) for g in await network.location_groups(tx)]
        stated = {k: len(await reads.stating(tx, k)) for k in KINDS}
    number = first // PAGE_SIZE + 1
    weeks = {"week": monday.isoformat()}
    return render.html(
        "capacity/page.html",
        shell=around,
        may=around.may,
        asked=asked,
        kinds=[(k.value, _(KIND_WORDS[k]), asked.address(kind=k.value), stated[k]) for k in KINDS],
        kind_word=_(KIND_WORDS[kind]),
        days=_days(monday),
        today=i18n.local(now()).date(),
        previous_week=asked.address(week=(monday - timedelta(days=7)).isoformat()),
        this_week=asked.address(week=""),
        next_week=asked.address(week=(monday + timedelta(days=7)).isoformat()),
        views=views,
        loads=loads,
        known=known,
        total=len(places),
        groups=groups,
        previous=asked.address(page=number - 1) if number > 1 else "",
        next=asked.address(page=number + 1) if first + PAGE_SIZE < len(places) else "",
        unfiltered=asked.address(q="", group=""),
        exports=[
            *export.choices(lambda path: asked.address(path, **weeks), "/capacity:export"),
            export.Choice(_("Slots to import again (CSV)"), asked.address("/capacity:slots.csv")),
        ],
    )


COLUMNS = (
    Column(N_("Code")), Column(N_("Location"), width=32), Column(N_("Kind"), width=14), Column(N_("Day"), Cells.DAY),
    Column(N_("From")), Column(N_("To")), Column(N_("Places"), Cells.WHOLE), Column(N_("Held"), Cells.WHOLE),
    Column(N_("Confirmed"), Cells.WHOLE), Column(N_("Counted in")), Column(N_("Units"), Cells.WHOLE),
    Column(N_("Taken"), Cells.WHOLE), Column(N_("Left"), Cells.WHOLE),
)  # fmt: skip


@get(export.paths("/capacity:export"), opt={"permission": "network:read"})
async def capacity_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the week at hand as a file, all locations that fit."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        places, _known = await _wanted(tx, request, asked)
        found = await reads.slots(tx, places, [Kind(asked.kind)], _days(asked.monday))
    names = {place.id: place for place in places}

    def cells(slot: Slot) -> list[Any]:
        place = names[slot.key.location_id]
        return [
            place.code, place.name, _(KIND_WORDS[Kind(slot.key.kind)]), slot.key.day, f"{slot.key.starts:%H:%M}",
            f"{slot.ends:%H:%M}", slot.quota, slot.held, slot.confirmed, _(MEASURE_WORDS[slot.measure]),
            slot.units, slot.taken, slot.left,
        ]  # fmt: skip

    return export.send_all(request, "capacity", COLUMNS, found, cells)


STATED = (
    Column(N_("location")), Column(N_("kind")), Column(N_("weekday"), Cells.WHOLE), Column(N_("starts")),
    Column(N_("ends")), Column(N_("quota"), Cells.WHOLE), Column(N_("measure")),
)  # fmt: skip


@get("/capacity:slots.csv", opt={"permission": "network:read"})
async def slots_export(request: Request[Any, Any, Any]) -> Stream:
    """Send what the locations state, of all kinds, as a file that can be imported again."""
    rows: list[list[Any]] = []
    async with web.reading(request) as tx:
        places = {x.id: x for x in await locations.in_scope(tx, request)}
        for id_, plan in sorted((await reads.plans(tx, places)).items(), key=lambda item: places[item[0]].code):
            for kind, templates in sorted(plan.templates.items()):
                rows += [
                    [
                        places[id_].code,
                        kind.value,
                        t.weekday,
                        f"{t.starts:%H:%M}",
                        f"{t.ends:%H:%M}",
                        t.quota,
                        plan.measure.value if kind is Kind.PICK else Measure.ORDERS.value,
                    ]
                    for t in templates
                ]
    return export.send_all(request, "capacity-slots", STATED, rows, lambda row: row)


# --- what one location states ---


async def _form(tx: Tx, request: Request[Any, Any, Any], code: str, kind: Kind) -> dict[str, Any]:
    around = await shell.around(tx, request, "capacity")
    place = await locations.home_of(tx, request, code)
    today = service.today_at(place, now())
    plan = await reads.plan_of(tx, place.id, today)
    return {
        "shell": around,
        "may": around.may,
        "x": place,
        "kind": kind,
        "kinds": [(k.value, _(KIND_WORDS[k]), f"/capacity/{code}/edit?{urlencode({'kind': k})}") for k in KINDS],
        "kind_word": _(KIND_WORDS[kind]),
        "version": plan.version,
        "measure": plan.measure.value,
        "measures": _measures(),
        "weekdays": [_(say.WEEKDAY[day]) for day in WEEKDAYS],
        "rows": grid.rows_of(plan.templates.get(kind, [])),
        "dates": _dates(plan, kind),
        "today": today,
        "back": f"/capacity?{urlencode({'kind': kind})}",
    }


def _measures() -> list[tuple[str, str]]:
    return [(m.value, _(word)) for m, word in MEASURE_WORDS.items()]


def _measure_of(read: Filled, kind: Kind) -> Measure | None:
    """Return what a form says picking slots count; None: it leaves that as it is."""
    return read.choice("measure", Measure) if kind is Kind.PICK and read.text("measure") else None


def _dates(plan: Plan, kind: Kind) -> list[dict[str, Any]]:
    days: dict[date, list[Override]] = {}
    for dated in plan.overrides:
        if dated.kind is kind:
            days.setdefault(dated.day, []).append(dated.override)
    return [
        {
            "day": day,
            "text": render.calendar_day(day),
            "says": [_override(o, plan.measure if kind is Kind.PICK else Measure.ORDERS) for o in rows],
            "reason": next((o.reason for o in rows if o.reason), ""),
        }
        for day, rows in sorted(days.items())
    ]


def _override(o: Override, measure: Measure) -> str:
    if o.starts is None or o.ends is None:
        return _("no slots")
    in_units = measure is Measure.UNITS
    places = n_("{n} unit", "{n} units", o.quota) if in_units else n_("{n} place", "{n} places", o.quota)
    places = places if o.quota else _("closed")
    return _("{from_} to {to}: {places}", from_=f"{o.starts:%H:%M}", to=f"{o.ends:%H:%M}", places=places)


@get("/capacity/{code:str}/edit", opt={"permission": "network:write"})
async def capacity_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what a location states of one kind."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        return render.html("capacity/edit.html", **await _form(tx, request, code, Kind(asked.kind)))


@post("/capacity/{code:str}/week", opt={"permission": "network:write"}, status_code=200)
async def capacity_week(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State a location's week of one kind, unless somebody else changed it since the form was opened."""
    read = filling.filled(await request.form())
    kind = read.choice("kind", Kind)
    week, measure = grid.week_of(read), _measure_of(read, kind)
    read.refuse()
    async with web.writing(request) as tx:
        place = await locations.home_of(tx, request, code)
        done = await service.set_templates(tx, place, {kind: week}, measure=measure, expected=read.version())
    return web.go_on(request, f"/capacity/{code}/edit?{urlencode({'kind': kind})}", _told(done))


def _told(done: service.Stated) -> str:
    """Say that it was saved, and of slots that have more reserved than they now offer."""
    saved = _("Slots saved")
    if not done.above:
        return saved
    above = n_("{n} slot has more reserved than it now offers", "{n} slots have more reserved than they now offer",
               len(done.above))  # fmt: skip
    return f"{saved}. {above}"


def _day_of(read: Filled) -> tuple[date, list[Override]]:
    """Return the date and what a form states for it."""
    day = read.day("day")
    if day is None:
        read.wrong("day", N_("This field is empty."), N_("Fill it in."))
    reason = read.text("reason", 200)
    if read.flag("closed"):
        return day or date.min, [Override(reason=reason)]
    starts, ends, quota = read.clock("starts"), read.clock("ends"), read.whole("quota")
    return day or date.min, [Override(starts=starts, ends=ends, quota=quota, reason=reason)]


def _beside(plan: Plan, kind: Kind, day: date, stated: Sequence[Override]) -> list[Override]:
    """Return a date's overrides with one more; a day without slots stands alone, as does what replaces it."""
    (new,) = stated
    rest = [o for o in rules.overrides_of(plan, kind, day) if o.starts is not None and o.starts != new.starts]
    return [new] if new.starts is None else [*rest, new]


@post("/capacity/{code:str}/day", opt={"permission": "network:write"}, status_code=200)
async def capacity_day(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State what differs on a date, or let it be as its weekday again."""
    read = filling.filled(await request.form())
    kind = read.choice("kind", Kind)
    again = read.flag("again")
    day, stated = (read.day("day") or date.min, []) if again else _day_of(read)
    read.refuse()
    async with web.writing(request) as tx:
        place = await locations.home_of(tx, request, code)
        await service.lock_plan(tx, place, read.version())
        if not again:
            stated = _beside(await reads.plan_of(tx, place.id, day, day), kind, day, stated)
        done = await service.set_overrides(tx, place, {(kind, day): stated})
    return web.go_on(request, f"/capacity/{code}/edit?{urlencode({'kind': kind})}", _told(done))


# --- several at once, and files ---


async def _several(tx: Tx, request: Request[Any, Any, Any], kind: Kind) -> dict[str, Any]:
    around = await shell.around(tx, request, "capacity")
    places = sorted(await locations.in_scope(tx, request), key=lambda x: fold(x.name))
    return {
        "shell": around,
        "may": around.may,
        "places": places,
        "kind": kind,
        "kinds": [(k.value, _(KIND_WORDS[k])) for k in KINDS],
        "weekdays": [_(say.WEEKDAY[day]) for day in WEEKDAYS],
        "rows": grid.rows_of([]),
        "measures": _measures(),
        "today": i18n.local(now()).date(),
    }


@get("/capacity:several", opt={"permission": "network:write"})
async def capacity_several(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the forms that state slots for several locations at once."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        return render.html("capacity/several.html", **await _several(tx, request, Kind(asked.kind)))


async def _chosen(tx: Tx, request: Request[Any, Any, Any], read: Filled) -> list[Location]:
    codes = sorted({str(code)[:80] for code in read.form.getall("code", [])})
    if not codes:
        refuse([Flaw("code", N_("No location was chosen."), N_("Choose at least one."))])
    found = await network.locations_by_code(tx, codes)
    places = [x for x in found.values() if web.caller_of(request).sees(x.id)]
    if len(places) < len(codes):
        raise UnknownLocation(key=", ".join(sorted(set(codes) - {x.code for x in places})))
    return sorted(places, key=lambda x: x.id)  # the order in which plans are locked


@post("/capacity:several", opt={"permission": "network:write"}, status_code=200)
async def several_week(request: Request[Any, Any, Any]) -> Response[Any]:
    """State the same week, or what differs on a date, for the chosen locations."""
    read = filling.filled(await request.form())
    kind = read.choice("kind", Kind)
    by_date = read.text("act") == "day"
    day, stated = _day_of(read) if by_date else (date.min, [])
    week = [] if by_date else grid.week_of(read)
    measure = None if by_date else _measure_of(read, kind)
    read.refuse()
    async with web.writing(request) as tx:
        places = await _chosen(tx, request, read)
        for place in places:
            if by_date:
                await service.lock_plan(tx, place)
                plan = await reads.plan_of(tx, place.id, day, day)
                await service.set_overrides(tx, place, {(kind, day): _beside(plan, kind, day, stated)})
            else:
                await service.set_templates(tx, place, {kind: week}, measure=measure)
    notice = n_("Slots of {n} location saved", "Slots of {n} locations saved", len(places))
    return web.go_on(request, f"/capacity?{urlencode({'kind': kind})}", notice)


@post("/capacity:import", opt={"permission": "network:write"}, status_code=200)
async def capacity_import(request: Request[Any, Any, Any]) -> Response[Any]:
    """State weeks by a file: what it names of a location and kind replaces what was stated; all of it, or nothing."""
    upload = await uploads.file_of(request)
    raw = bytearray()
    async for piece in upload.body:
        raw += piece
        if len(raw) > FILE_BYTES:
            refuse([Flaw("file", N_("The file is larger than {n} MB."), facts={"n": FILE_BYTES // 2**20})])
    stated, measures, flaws = await asyncio.to_thread(grid.read_file, bytes(raw))
    if not stated and not flaws:
        flaws = [Flaw("file", N_("The file states no slot."))]
    async with web.writing(request) as tx:
        found = await network.locations_by_code(tx, sorted({code for code, _kind in stated}))
        sees = web.caller_of(request).sees
        for code in sorted({code for code, _kind in stated}):
            if code not in found or not sees(found[code].id):
                flaws.append(Flaw("file", N_("There is no location {location}."), facts={"location": code}))
        refuse(flaws)
        for code, place in sorted(found.items(), key=lambda item: item[1].id):
            weeks = {kind: rows for (of, kind), rows in stated.items() if of == code}
            await service.set_templates(tx, place, weeks, measure=measures.get(code))
    notice = n_("Slots of {n} location saved", "Slots of {n} locations saved", len(found))
    return web.go_on(request, "/capacity", await uploads.told(notice, bytes(raw)))


HANDLERS = [
    capacity_page,
    capacity_export,
    slots_export,
    capacity_edit,
    capacity_week,
    capacity_day,
    capacity_several,
    several_week,
    capacity_import,
]
