"""Promises, on screen: how many were kept, by week and by what they have in common, and those that were not."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.response import Response, Stream

from malha.console import export, plots, promises_learned, render, shell, web
from malha.fulfillment import outcome_reads as outcomes
from malha.fulfillment.model import METHOD_WORDS
from malha.fulfillment.outcome_reads import Broken, Sum
from malha.network import reads as network
from malha.ordering import listing
from malha.platform import i18n
from malha.platform.brazil import STATE_NAMES
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind

SEE = "orders:read"
WEEKS = (4, 13)
PAGE_SIZE = 25
SHOWN = 12  # rows of each grouping
GOOD, FAIR = 0.95, 0.85  # shares


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address says; nonsense in it is ignored."""

    weeks: str = "4"
    location: str = ""
    service: str = ""
    state: str = ""
    before: str = ""

    def address(self, path: str = "/promises", **changes: str) -> str:
        """Return the address of this page with parts changed."""
        if changes and "before" not in changes:
            changes["before"] = ""
        return web.address(path, self, changes, usual={"weeks": "4"})


class Group(NamedTuple):
    """Promises that have something in common, as they are drawn; `share` is in percent."""

    name: str
    note: str
    href: str
    sum: Sum
    share: float
    family: str


class Names(NamedTuple):
    """What ids are called: of services (name, carrier, code) and of locations (name, code)."""

    services: dict[int, tuple[str, str, str]]
    places: dict[int, tuple[str, str]]


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    said = {name: web.said(query, name)[:80].strip() for name in Asked.__struct_fields__}
    weeks = said["weeks"] if said["weeks"] in {str(n) for n in WEEKS} else "4"
    return Asked(**{**said, "weeks": weeks, "state": said["state"] if said["state"] in STATE_NAMES else ""})


async def _names(tx: Tx, scope: tuple[int, ...] | None) -> Names:
    return Names(
        {s.id: (s.name, s.carrier, s.code) for s in await network.services(tx)},
        {p.id: (p.name, p.code) for p in await network.locations(tx) if scope is None or p.id in scope},
    )


def _wanted(asked: Asked, names: Names, scope: tuple[int, ...] | None) -> outcomes.Wanted:
    """Return which promises are meant: whole weeks, the present one included."""
    zone = i18n.current_zone()
    today = i18n.local(now()).date()
    first = today - timedelta(days=today.weekday() + 7 * (int(asked.weeks) - 1))
    since, until = listing.day_bounds(first, today, ZoneInfo(zone))
    place = next((id_ for id_, (_name, code) in names.places.items() if code == asked.location), None)
    service = next((id_ for id_, (*_words, code) in names.services.items() if code == asked.service), None)
    return outcomes.Wanted(
        since=since or now(),
        until=until or now(),
        zone=zone,
        scope=scope,
        location_id=place if place is not None or not asked.location else 0,
        service_id=service if service is not None or not asked.service else 0,
        state=asked.state or None,
    )


def family_of(share: float | None) -> str:
    """Return the colour of a share of kept promises."""
    return "neutral" if share is None else "done" if share >= GOOD else "wait" if share >= FAIR else "fail"


def _group(name: str, note: str, href: str, sum_: Sum) -> Group:
    return Group(name, note, href, sum_, round(100 * (sum_.share or 0), 1), family_of(sum_.share))


def _groups(asked: Asked, found: outcomes.Kept, names: Names) -> list[tuple[str, str, list[Group], int]]:
    services = []
    for id_, sum_ in found.services:
        name, carrier, code = names.services.get(id_ or 0, (_("No service chosen"), "", ""))
        services.append(_group(name, carrier, asked.address(service=code) if code else "", sum_))
    places = []
    for id_, sum_ in found.locations:
        name, code = names.places.get(id_ or 0, (_("No location yet"), ""))
        places.append(_group(name, code, asked.address(location=code) if code else "", sum_))
    states = [
        _group(STATE_NAMES[state], state, asked.address(state=state), sum_)
        if state in STATE_NAMES
        else _group(_("Fetched by the customer"), "", "", sum_)
        for state, sum_ in found.states
    ]
    tables = (
        (_("By service"), _("Service"), services),
        (_("By location"), _("Location"), places),
        (_("By destination"), _("State"), states),
    )
    return [(title, head, rows[:SHOWN], max(0, len(rows) - SHOWN)) for title, head, rows in tables]


def late_by(row: Broken) -> int:
    """Return by how many calendar days a promise was broken, or is by now: of a delivery at least one.

    To be ready for pickup is promised by the hour, so that it can be late on its day: 0.
    """
    done = render.day_for(row, row.done_at or now())
    return max(0 if row.method == "pickup" else 1, (done - render.day_for(row, row.promised_at)).days)


def lateness(row: Broken) -> str:
    """Return how late a promise was, or is by now, as people say it: `2 days`; of a pickup `47 min`."""
    if row.method == "pickup":
        return render.span((row.done_at or now()) - row.promised_at)
    return n_("{n} day", "{n} days", late_by(row))


def promised_for(row: Broken) -> str:
    """Return what was promised: a day, or the moment by which goods are ready for pickup."""
    if row.method == "pickup":
        return render.moment(row.promised_at, row.pickup_zone)
    return render.short_date(render.day_for(row, row.promised_at))


async def _page(tx: Tx, request: Request[Any, Any, Any], asked: Asked) -> dict[str, Any]:
    scope = shell.scope_of(web.caller_of(request))
    names = await _names(tx, scope)
    wanted = _wanted(asked, names, scope)
    found = await outcomes.kept(tx, wanted)
    rows = await outcomes.broken(tx, wanted, before=web.place_in(asked.before), limit=PAGE_SIZE + 1)
    shown = rows[:PAGE_SIZE]
    more = web.place(shown[-1].promised_at, shown[-1].work_id) if len(rows) > PAGE_SIZE else ""
    return {
        "asked": asked,
        "total": found.total,
        "weeks": _weeks(found.weeks),
        "plot": _plot(found.weeks),
        "groups": _groups(asked, found, names),
        "learned": await promises_learned.panel(tx, request, wanted),
        "rows": [(row, promised_for(row), lateness(row)) for row in shown],
        "first": asked.address(before="") if asked.before else "",
        "next": asked.address(before=more) if more else "",
        "periods": [(n, asked.address(weeks=str(n)), str(n) == asked.weeks) for n in WEEKS],
        "places": sorted((name, code) for name, code in names.places.values()),
        "services": sorted((name, code) for name, _carrier, code in names.services.values()),
        "states": sorted((name, state) for state, name in STATE_NAMES.items()),
        "filtered": bool(asked.location or asked.service or asked.state),
        "unfiltered": Asked(weeks=asked.weeks).address(),
        "exports": export.choices(asked.address, "/promises:export"),
        "methods": METHOD_WORDS,
    }


def _weeks(weeks: Sequence[tuple[date, Sum]]) -> list[tuple[str, Sum]]:
    return [(render.short_date(monday), sum_) for monday, sum_ in weeks]


def _plot(weeks: Sequence[tuple[date, Sum]]) -> plots.Days | None:
    """Return the bars of the share kept in percent; None of fewer than two weeks."""
    kept = [round(100 * (sum_.share or 0)) for _week, sum_ in weeks]
    return plots.days(kept, [], whole=100) if len(weeks) > 1 else None


@get("/promises", opt={"permission": SEE})
async def promises_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show how promises were kept, and those that were not."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "promises", here=asked.address(before=asked.before))
        page = await _page(tx, request, asked)
    part = web.wants_part(request)
    headers = {"HX-Push-Url": asked.address(before=asked.before)} if part else {}
    template = "promises/body.html" if part else "promises/page.html"
    return render.html(
        template,
        headers=headers,
        shell=around,
        may=around.may,
        page=page,
        percent=i18n.percent,
        day_for=render.day_for,
    )


COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Sales channel"), width=22), Column(N_("Location"), width=26),
    Column(N_("Method")), Column(N_("Service"), width=22), Column(N_("Destination")),
    Column(N_("Placed"), Kind.MOMENT, 18), Column(N_("Promised for"), Kind.DAY),
    Column(N_("Promised anew for"), Kind.DAY),
    Column(N_("To leave by"), Kind.MOMENT, 18), Column(N_("Left on"), Kind.MOMENT, 18),
    Column(N_("Came"), Kind.MOMENT, 18), Column(N_("Days late"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/promises:export"), opt={"permission": SEE})
async def promises_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the promises that were not kept, as they are filtered, as a file."""
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        wanted = _wanted(asked_of(request.query_params), await _names(tx, scope), scope)

    pages = export.pages(
        request,
        lambda tx, before: outcomes.broken(tx, wanted, before=before, limit=export.BATCH),
        lambda row: (row.promised_at, row.work_id),
    )

    def cells(row: Broken) -> list[Any]:
        return [
            row.number, row.channel, row.location, _(METHOD_WORDS[row.method]), row.service, row.to_state,
            row.placed_at, render.day_for(row, row.promised_at),
            None if row.present_at is None else render.day_for(row, row.present_at),
            row.due_at, row.shipped_at, row.done_at, late_by(row),
        ]  # fmt: skip

    return export.send(request, "broken-promises", COLUMNS, pages, cells)


HANDLERS = [promises_page, promises_export, *promises_learned.HANDLERS]
