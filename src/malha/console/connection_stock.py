"""Stock that a channel shows, on screen: what differs and why, told again by a press; whether it states stock."""

from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import (
    failures,
    reads,
    registry,
    service,
    stock_looks,
    stock_reads,
    stock_rules,
    stock_service,
)
from malha.channels.connecting.stock_reads import Difference
from malha.channels.connecting.stock_rules import TELLABLE, Cause
from malha.channels.connecting.stock_service import RoleDraft
from malha.channels.contract import Capability
from malha.console import export, filling, meanwhile, plots, render, shell, web
from malha.inventory.sync import reads as sources
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

SEE, CHANGE, DECLARE = "network:read", "network:write", "settings:manage"
PAGE = 50
LOOKS = 30
CAUSES = {
    Cause.CHANGED: N_("Changed at the channel"),
    Cause.MISSING: N_("Not at the channel"),
    Cause.REFUSED: N_("Refused by the channel"),
    Cause.BEHIND: N_("An older quantity"),
    Cause.NEVER_TOLD: N_("Never told"),
    Cause.PUSH_OFF: N_("The channel is not told"),
    Cause.DELISTED: N_("Out of use here"),
    Cause.UNLISTED: N_("Not listed here"),
}
SCOPES = {
    "partial": N_("What it mentions, and nothing else"),
    "whole": N_("All there is: what it does not mention is zero"),
}
COLUMNS = (
    Column(N_("Code on the channel")), Column(N_("SKU")), Column(N_("Product"), width=28), Column(N_("Cause")),
    Column(N_("Shown there"), Kind.WHOLE), Column(N_("Told"), Kind.WHOLE), Column(N_("Should be"), Kind.WHOLE),
    Column(N_("Differs since"), Kind.MOMENT), Column(N_("Told again"), Kind.MOMENT),
    Column(N_("Told again in vain"), Kind.WHOLE), Column(N_("What to do"), width=40),
)  # fmt: skip


class Terms(msgspec.Struct, frozen=True):
    """What the list is narrowed to."""

    cause: str
    q: str


class Row(NamedTuple):
    """A listing that differs."""

    found: Difference
    cause: str
    mend: str
    can_tell: bool


def _row(found: Difference) -> Row:
    cause = Cause(found.cause)
    return Row(found, _(CAUSES[cause]), _(stock_rules.FIXES[cause]), cause in TELLABLE)


def _asked(request: Request[Any, Any, Any]) -> tuple[str | None, str, str]:
    """Return the cause, what is sought, and the code after which the page begins."""
    query = request.query_params
    cause = query.get("cause", "")
    return (
        cause if cause in {c.value for c in Cause} else None,
        web.said(query, "q").strip()[:200],
        web.said(query, "after")[:200],
    )


@get("/connections/{code:str}/stock", opt={"permission": SEE})
async def stock_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what differed at the newest comparison, by cause, and the comparisons before it."""
    cause, sought, after = _asked(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        looks = await stock_reads.looks(tx, found.id, LOOKS)
        rows, causes = [], []
        if looks:
            rows = await stock_reads.differences(
                tx, looks[0].id, after=after, cause=cause, sought=sought or None, most=PAGE + 1
            )
            causes = await stock_reads.by_cause(tx, looks[0].id)
        cursors = {c.stream: c for c in await reads.cursors(tx, found.id)}
        role = await stock_reads.role(tx, found.id)
        places = await stock_reads.places(tx, found.id)
        declared = [(s.code, s.name) for s in await sources.sources(tx) if s.active]
    connector = registry.connectors().get(found.connector)
    return render.html(
        "connections/stock.html",
        shell=around,
        may=around.may,
        c=found,
        looks=looks,
        newest=looks[0] if looks else None,
        spark=plots.spark([look.differing for look in reversed(looks)]),
        rows=[_row(row) for row in rows[:PAGE]],
        following=rows[PAGE - 1].code if len(rows) > PAGE else None,
        views=_views(code, causes, cause),
        tellable=sum(each.count for each in causes if each.cause in TELLABLE),
        cause=cause,
        q=sought,
        turn=cursors.get(stock_looks.STREAM),
        statements=cursors.get(stock_service.STATEMENTS),
        comparable=stock_looks.comparable(found.connector),
        can_state=connector is not None and Capability.STOCK_SOURCE in connector.capabilities,
        role=role,
        places=sorted(places.items()),
        sources=declared,
        scopes=[(value, _(word)) for value, word in SCOPES.items()],
        scope=_(SCOPES[role.scope]) if role else "",
        exports=export.choices(
            lambda path: web.address(path, Terms(cause or "", sought), {}), f"/connections/{code}/stock:export"
        ),
    )


def _views(code: str, causes: list[stock_reads.CauseCount], now: str | None) -> list[tuple[str, str, bool, int]]:
    base = f"/connections/{code}/stock"
    found = [(_("All"), base, now is None, sum(each.count for each in causes))]
    found += [
        (_(CAUSES[each.cause]), f"{base}?cause={each.cause.value}", now == each.cause.value, each.count)
        for each in causes
    ]
    return found


@get(export.paths("/connections/{code:str}/stock:export"), opt={"permission": SEE})
async def stock_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send what differed at the newest comparison as a file, as it is filtered."""
    cause, sought, _after = _asked(request)
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)
        newest = await stock_reads.looks(tx, found.id, 1)
    look_id = newest[0].id if newest else 0

    def cells(row: Difference) -> list[Any]:
        said = _row(row)
        return [
            row.code, row.sku or "", row.name or "", said.cause, row.shown, row.told, row.ours, row.since,
            row.told_again_at, row.repairs, " ".join(part for part in (failures.shown(row.error), said.mend) if part),
        ]  # fmt: skip

    pages = export.pages(
        request,
        lambda tx, after: stock_reads.differences(
            tx, look_id, after=after or "", cause=cause, sought=sought or None, most=export.BATCH
        ),
        lambda row: row.code,
    )
    return export.send(request, f"stock-{code}", COLUMNS, pages, cells)


@post("/connections/{code:str}/stock", opt={"permission": CHANGE}, status_code=200)
async def stock_act(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Compare now, read now what the channel states, or tell again what was chosen, or all of it (`act`)."""
    form = await request.form()
    read = filling.filled(form)
    act, address = read.text("act"), f"/connections/{code}/stock"
    picked = [str(each)[:200] for each in form.getall("pick", [])]
    if act == "tell" and not picked:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    async with web.writing(request) as tx:
        if act == "compare":
            await stock_service.compare(tx, code)
            return web.go_on(request, address, _("It is being compared: look again in a few minutes"))
        if act == "state":
            await stock_service.state_now(tx, code)
            return web.go_on(request, address, _("What the channel states is being read"))
        count = await stock_service.tell_again(tx, code, codes=picked if act == "tell" else None)
    return web.go_on(request, address, _("{n} are told again", n=count))


def _meanwhile(request: Request[Any, Any, Any], code: str) -> AbstractAsyncContextManager[None]:
    actions = {"state_stock", "state_no_stock"}
    return meanwhile.told(request, f"/connections/{code}/stock", "connection", code, actions)


@post("/connections/{code:str}/stock-role", opt={"permission": DECLARE}, status_code=200)
async def stock_role(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Say that the channel states stock, or that it does not any more (`act`)."""
    read = filling.filled(await request.form())
    address = f"/connections/{code}/stock"
    if read.text("act") == "remove":
        async with _meanwhile(request, code), web.writing(request) as tx:
            await stock_service.drop_role(tx, code, read.version())
        return web.go_on(request, address, _("The channel states no stock any more"))
    draft = RoleDraft(source=read.text("source", 40), scope=read.text("scope", 10), minutes=read.whole("minutes"))
    read.refuse()
    async with _meanwhile(request, code), web.writing(request) as tx:
        await stock_service.put_role(tx, code, draft, read.version())
    return web.go_on(request, address, _("Saved"))


HANDLERS = [stock_show, stock_export, stock_act, stock_role]
