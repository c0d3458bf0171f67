"""What comes to a place for orders that are fetched there, and from where goods may be brought to it."""

import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import filling, locations, render, shell, web
from malha.console import words as say
from malha.console.words import Sign
from malha.fulfillment import reads as jobs
from malha.fulfillment.reads import ComingRow
from malha.network import reads, store_lanes
from malha.network.model import StoreLaneDraft
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.tabular import BadCell, centavos

MOST_LINES = 1_000
ON_ITS_WAY = Sign(N_("On its way"), "move", "move")
_LINE = re.compile(r"^(?P<origin>[^\s;]+)[\s;]+(?P<days>\d{1,3})(?:[\s;]+(?P<price>[^;]+?))?;?$")


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """Goods of one order as the page draws them."""

    row: ComingRow
    sign: Sign
    day: str  # on which they are expected, or are to leave
    late: bool


@get("/locations/{code:str}/brought", opt={"permission": "orders:read"})
async def brought(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what comes to a place for whom, and from where it may come."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "locations")
        found = await locations.one(tx, request, code)
        there = [x.id for x in await reads.locations_at_sites(tx, [code]) if tx.actor.sees(x.id)]
        rows = await jobs.coming(tx, there)
        origins = await store_lanes.origins_of(tx, found) if around.may("network:read") else []
    today = now().astimezone(ZoneInfo(found.timezone)).date()
    return render.html(
        "brought/page.html",
        shell=around,
        may=around.may,
        limited=web.caller_of(request).locations is not None,
        x=found,
        coming=[_coming(row, today, found.timezone) for row in rows],
        units=sum(row.units for row in rows),
        origins=origins,
        typed="\n".join(f"{o.code}; {o.days}; {i18n.number(o.price / 100, decimals=2)}" for o in origins),
    )


def _coming(row: ComingRow, today: date, zone: str) -> Coming:
    sent = row.transfer is not None
    day = row.expected if sent else row.due_at.astimezone(ZoneInfo(zone)).date()
    return Coming(
        row=row,
        sign=ON_ITS_WAY if sent else say.FULFILLMENT.get(row.state, say.FULFILLMENT["open"]),
        day="" if day is None else render.calendar_day(day),
        late=day is not None and day < today,
    )


@post("/locations/{code:str}/brought", opt={"permission": "network:write"}, status_code=200)
async def state_origins(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """State from where goods may be brought to a place, all origins at once; none turns it off."""
    read = filling.filled(await request.form())
    drafts = _typed(read.text("origins", 100_000))
    async with web.writing(request) as tx:
        await locations.one(tx, request, code)
        await store_lanes.state(tx, code, drafts, read.version())
    notice = (
        _("Orders that come together here may be filled from elsewhere")
        if drafts
        else _("Nothing is brought here any more")
    )
    return web.go_on(request, f"/locations/{code}/brought", notice)


def _typed(text: str) -> list[StoreLaneDraft]:
    drafts, flaws = [], []
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > MOST_LINES:
        refuse([Flaw("origins", N_("Write 1 to {most} lines."), facts={"most": MOST_LINES})])
    for number, line in lines:
        found = _LINE.match(line)
        try:
            price = centavos(found["price"]) if found and found["price"] else 0
        except BadCell:
            found = None
        if found is None:
            mend = N_("Write a location, its days and what the way costs, like CD1; 2; 5.00.")
            flaws.append(Flaw("origins", N_("Line {number} cannot be read."), mend, {"number": number}))
        else:
            drafts.append(StoreLaneDraft(origin=found["origin"], days=int(found["days"]), price=price))
    refuse(flaws)
    return drafts


HANDLERS = [brought, state_origins]
