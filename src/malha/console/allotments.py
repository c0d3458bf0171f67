"""Allotments on screen: the list with how much is left of each, one with its days and balances, and its form."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.words import Sign
from malha.inventory.allotments import groups, reads, service
from malha.inventory.allotments.errors import UnknownAllotment
from malha.inventory.allotments.model import (
    Allotment,
    AllotmentDraft,
    BorrowerDraft,
    FenceLine,
    FenceRow,
    Kind,
    State,
)
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as Cells
from malha.platform.text import fold

KIND = {Kind.FENCE: N_("Fence"), Kind.CAP: N_("Cap")}
RUNNING = Sign(N_("In force"), "done", "ring")
PLANNED = Sign(N_("Not started"), "neutral", "clock")
ENDED = Sign(N_("Ended"), "neutral", "x")
MOST_ROWS = 2_000
SHOWN_GROUPS = 20
COLUMNS = (
    Column(N_("SKU"), Cells.TEXT, 20),
    Column(N_("Location"), Cells.TEXT, 16),
    Column(N_("Wanted"), Cells.WHOLE, 12),
    Column(N_("Set apart"), Cells.WHOLE, 12),
    Column(N_("Left"), Cells.WHOLE, 12),
    Column(N_("In orders"), Cells.WHOLE, 12),
    Column(N_("Shipped"), Cells.WHOLE, 12),
)
# What the third column is called where the rows come from, our own export among it.
_HEADINGS = {"quantity", "quantidade", "qtd", "qtde", "qty", "wanted", "desejado", "units", "unidades"}
_CELL = re.compile(r"[\t;]|,(?=\s*\S)")


LIST_COLUMNS = (
    Column(N_("Code")),
    Column(N_("Name"), width=28),
    Column(N_("Kind")),
    Column(N_("Sales channels")),
    Column(N_("Customer groups")),
    Column(N_("From"), Cells.MOMENT),
    Column(N_("Until"), Cells.MOMENT),
    Column(N_("Units"), Cells.WHOLE),
    Column(N_("Left"), Cells.WHOLE),
    Column(N_("State")),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One allotment of the list: the share of it that is used up, in percent, in two parts."""

    a: Allotment
    kind: str
    sign: Sign
    gone: int  # of a fence: what left; of a cap: what was sold
    open: int  # of a fence: what orders have
    left: int
    whole: int


def _row(a: Allotment, at: datetime) -> Row:
    sign = ENDED if a.state is State.ENDED else PLANNED if a.starts_at > at else RUNNING
    if a.kind is Kind.FENCE:
        gone, claimed, left, whole = a.sold, a.drawn, a.remaining, max(a.wanted, a.granted)
    else:
        whole = (a.quota or 0) * (max(a.counters, 1) if a.per_sku else 1)
        gone, claimed, left = a.used, 0, max(0, whole - a.used)
    share = [min(100, 100 * n // whole) if whole else 0 for n in (gone, claimed)]
    return Row(a=a, kind=_(KIND[a.kind]), sign=sign, gone=share[0], open=share[1], left=left, whole=whole)


@get("/allotments", opt={"permission": "stock:read"})
async def allotment_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the allotments, those that run first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "allotments")
        found = await reads.listed(tx)
        names = {c.code: c.name for c in await network.channels(tx)}
    rows = [_row(a, now()) for a in found]
    return render.html(
        "allotments/list.html",
        shell=around,
        may=around.may,
        may_shape=shell.may_shape(request),
        rows=[r for r in rows if r.a.state is State.ACTIVE],
        ended=[r for r in rows if r.a.state is State.ENDED],
        names=names,
        exports=export.choices(str, "/allotments:export"),
    )


@get(export.paths("/allotments:export"), opt={"permission": "stock:read"})
async def list_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        found = await reads.listed(tx)

    def cells(a: Allotment) -> list[Any]:
        row = _row(a, now())
        groups, channels = " ".join(a.customer_groups), " ".join(a.channels)
        return [
            a.code, a.name, row.kind, channels, groups, a.starts_at, a.ends_at, row.whole, row.left, _(row.sign.word),
        ]  # fmt: skip

    return export.send_all(request, "allotments", LIST_COLUMNS, found, cells)


async def _one(tx: Tx, code: str) -> Allotment:
    found = next(iter(await reads.listed(tx, [code])), None)
    if found is None:
        raise UnknownAllotment(key=code)
    return found


@get("/allotments/{code:str}", opt={"permission": "stock:read"})
async def allotment_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one allotment."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "allotments")
        found = await _one(tx, code)
        lines = await reads.fence_lines(tx, found.id)
        counters = await reads.counter_lines(tx, found.id)
        days = await reads.fence_days(tx, found.id, i18n.current_zone())
        names = {c.code: c.name for c in await network.channels(tx)}
    most = max((units for _day, units in days), default=0) or 1
    path = f"/allotments/{code}/stock"
    return render.html(
        "allotments/show.html",
        shell=around,
        may=around.may,
        may_shape=shell.may_shape(request),
        row=_row(found, now()),
        lines=lines,
        counters=counters,
        days=[(day, units, max(0, 100 * units // most)) for day, units in days[-30:]],
        names=names,
        downloads=export.choices(lambda where: where, path),
    )


@get(["/allotments/{code:str}/stock.xlsx", "/allotments/{code:str}/stock.csv"], opt={"permission": "stock:read"})
async def allotment_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the balances of a fence as a file; its first three columns can be pasted back into the form."""
    async with web.reading(request) as tx:
        found = await _one(tx, code)

    async def pages() -> AsyncIterator[list[FenceLine]]:
        async with web.reading(request) as tx:
            yield await reads.fence_lines(tx, found.id)

    def cells(line: FenceLine) -> list[Any]:
        return [line.sku, line.location, line.wanted, line.granted, line.remaining, line.drawn, line.sold]

    return export.send(request, f"allotment-{code}", COLUMNS, pages(), cells)


async def _form(tx: Tx, request: Request[Any, Any, Any], code: str | None, kind: Kind) -> dict[str, Any]:
    refuse_limited(tx)
    around = await shell.around(tx, request, "allotments")
    found = None if code is None else await _one(tx, code)
    lines = await reads.fence_lines(tx, found.id) if found else []
    channels = sorted(await network.channels(tx), key=lambda c: fold(c.name))
    places = sorted(await network.locations(tx), key=lambda x: fold(x.name))
    lent = {b.channel for b in found.borrowers} if found else set()
    return {
        "shell": around,
        "may": around.may,
        "a": found,
        "kind": found.kind.value if found else kind.value,
        "version": found.version if found else 0,
        "action": f"/allotments/{code}/edit" if found else "/allotments:new",
        "back": f"/allotments/{code}" if found else "/allotments",
        "starts": _local(found.starts_at) if found else "",
        "ends": _local(found.ends_at) if found else "",
        "lends_from": _local(found.borrowers[0].since) if found and found.borrowers else "",
        "channels": [(c.code, c.name, _(say.CHANNEL_KIND[c.kind]), found is not None and c.code in found.channels)
                     for c in channels],
        "borrowers": [(c.code, c.name, _(say.CHANNEL_KIND[c.kind]), c.code in lent) for c in channels],
        "places": [(x.code, x.name, _(say.LOCATION_KIND[x.kind]), found is not None and x.code in found.locations)
                   for x in places],
        "stock": "\n".join(f"{line.sku}\t{line.location}\t{line.wanted}" for line in lines if line.wanted),
        "skus": "\n".join(found.skus) if found else "",
        "categories": "\n".join(found.categories) if found else "",
        "groups": ", ".join(found.customer_groups) if found else "",
        "known_groups": [g.code for g in await groups.groups(tx)][:SHOWN_GROUPS],
    }  # fmt: skip


def _local(at: datetime | None) -> str:
    return render.local_input(at) if at else ""


@get("/allotments:new", opt={"permission": "stock:write"})
async def allotment_new(request: Request[Any, Any, Any], kind: FromQuery[str] = "fence") -> Response[str]:
    """Show the empty form of a fence or a cap."""
    async with web.reading(request) as tx:
        asked = Kind.CAP if kind == "cap" else Kind.FENCE
        return render.html("allotments/form.html", **await _form(tx, request, None, asked))


@get("/allotments/{code:str}/edit", opt={"permission": "stock:write"})
async def allotment_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show an allotment's form."""
    async with web.reading(request) as tx:
        return render.html("allotments/form.html", **await _form(tx, request, code, Kind.FENCE))


@post("/allotments:new", opt={"permission": "stock:write", "everywhere": True}, status_code=200)
async def allotment_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Create an allotment."""
    read = filling.filled(await request.form())
    draft = _draft(read, read.text("code", 40))
    read.refuse()
    async with web.writing(request) as tx:
        made = await service.put(tx, draft, None)
    return web.go_on(request, f"/allotments/{made.code}", _("Allotment created"))


@post("/allotments/{code:str}/edit", opt={"permission": "stock:write", "everywhere": True}, status_code=200)
async def allotment_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change an allotment that nobody else changed since the form was opened."""
    read = filling.filled(await request.form())
    draft = _draft(read, code)
    read.refuse()
    async with web.writing(request) as tx:
        await service.put(tx, draft, read.version())
    return web.go_on(request, f"/allotments/{code}", _("Allotment saved"))


@post("/allotments/{code:str}/end", opt={"permission": "stock:write"}, status_code=200)
async def allotment_end(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """End an allotment that nobody else changed since its page was shown."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.end(tx, code, read.version())
    return web.go_on(request, f"/allotments/{code}", _("Allotment ended"))


def _draft(read: Filled, code: str) -> AllotmentDraft:
    kind = read.choice("kind", Kind)
    zone = i18n.current_zone()
    since = read.instant("lends_from", zone)
    fence = kind is Kind.FENCE
    return AllotmentDraft(
        code=code,
        name=read.text("name"),
        kind=kind,
        starts_at=read.instant("starts_at", zone),
        ends_at=read.instant("ends_at", zone),
        customer_groups=tuple(g.strip() for g in read.text("customer_groups").split(",") if g.strip()),
        channels=_chosen(read, "channels"),
        borrowers=tuple(BorrowerDraft(channel=c, since=since) for c in _chosen(read, "borrowers")) if fence else (),
        stock=tuple(_rows(read)) if fence else (),
        quota=None if fence else read.maybe_whole("quota"),
        per_sku=not fence and read.flag("per_sku"),
        skus=() if fence else _words(read, "skus"),
        categories=() if fence else _words(read, "categories"),
        locations=() if fence else _chosen(read, "locations"),
    )


def _chosen(read: Filled, name: str) -> tuple[str, ...]:
    return tuple(str(code)[:40] for code in read.form.getall(name, []))


def _words(read: Filled, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(read.text(name, 100_000).split()))


def _rows(read: Filled) -> list[FenceRow]:
    """Read rows as they are pasted from a spreadsheet or a CSV file: SKU, location, quantity."""
    rows: list[FenceRow] = []
    for n, line in enumerate(read.text("stock", 500_000).splitlines(), 1):
        cells = [cell.strip().strip('"') for cell in _CELL.split(line.strip())]
        if len(cells) == 1:  # typed, not pasted
            cells = line.rsplit(maxsplit=2)
        if not line.strip() or (n == 1 and len(cells) >= 3 and fold(cells[2]) in _HEADINGS):
            continue
        if len(cells) < 3 or not cells[2].isascii() or not cells[2].isdigit() or len(cells[2]) > 10:
            says, mend = N_("Row {row} cannot be read."), N_("Write SKU, location and quantity in three columns.")
            read.wrong("stock", says, mend, row=n)
            continue
        rows.append(FenceRow(cells[0], cells[1], int(cells[2])))
    if len(rows) > MOST_ROWS:
        read.wrong("stock", N_("These are too many rows."), N_("Bring at most {most} at once."), most=MOST_ROWS)
    return rows[:MOST_ROWS]


HANDLERS = [
    allotment_list,
    list_export,
    allotment_new,
    allotment_create,
    allotment_show,
    allotment_export,
    allotment_edit,
    allotment_change,
    allotment_end,
]
