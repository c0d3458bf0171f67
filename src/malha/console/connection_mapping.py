"""Which of ours a channel's variants are, on screen: suggestions to accept one by one or together, and back again."""

from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import mapping, mapping_reads, service
from malha.channels.connecting.mapping_reads import Named
from malha.channels.connecting.mapping_rules import Suggestion
from malha.console import export, filling, render, shell, web
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

SEE, CHANGE = "network:read", "network:write"
PAGE = 50
VIEWS = {"open": N_("To be mapped"), "mapped": N_("Mapped"), "ignored": N_("None of ours")}
HOW = {
    "exact": N_("the same code"),
    "gtin": N_("the same GTIN"),
    "sku": N_("the same SKU but for punctuation"),
    "name": N_("a name that is alike"),
    "person": N_("somebody said so"),
}
COLUMNS = (
    Column(N_("Code on the channel")), Column(N_("Name on the channel"), width=28), Column(N_("GTIN")),
    Column(N_("SKU")), Column(N_("Because of"), width=28), Column(N_("Suggested SKU")),
    Column(N_("Sure (%)"), Kind.WHOLE), Column(N_("Orders that wait"), Kind.WHOLE),
)  # fmt: skip


class Terms(msgspec.Struct, frozen=True):
    """What the list is narrowed to."""

    view: str
    q: str


class Row(NamedTuple):
    """A variant of the channel."""

    named: Named
    how: str
    suggestions: list[tuple[Suggestion, str]]
    waiting: int


def _asked(request: Request[Any, Any, Any]) -> tuple[Terms, str]:
    query = request.query_params
    view = query.get("view", "")
    return Terms(view if view in VIEWS else "open", web.said(query, "q").strip()[:200]), web.said(query, "after")[:200]


async def _rows(tx: Tx, connection_id: int, terms: Terms, after: str, most: int) -> list[Row]:
    found = await mapping_reads.rows(
        tx, connection_id, state=terms.view, after=after, sought=terms.q or None, most=most
    )
    suggested = await mapping_reads.suggestions(tx, found) if terms.view == "open" else {}
    waiting = await mapping_reads.waiting(tx, connection_id, [each.code for each in found])
    return [
        Row(
            each,
            _(HOW[each.how]) if each.how else "",
            [(s, _(HOW[s.how])) for s in suggested.get(each.code, [])],
            waiting.get(each.code, 0),
        )
        for each in found
    ]


@get("/connections/{code:str}/mapping", opt={"permission": SEE})
async def mapping_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what is to be mapped with suggestions, what is mapped, and what is none of ours."""
    terms, after = _asked(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        counts = await mapping_reads.counts(tx, found.id)
        rows = await _rows(tx, found.id, terms, after, PAGE + 1)
    base = f"/connections/{code}/mapping"
    usual = {"view": "open"}
    return render.html(
        "connections/mapping.html",
        shell=around,
        may=around.may,
        c=found,
        rows=rows[:PAGE],
        following=web.address(base, terms, {}, usual) if len(rows) > PAGE else None,
        last=rows[PAGE - 1].named.code if len(rows) > PAGE else "",
        views=[
            (_(word), web.address(base, Terms(view, ""), {}, usual), view == terms.view, counts[view])
            for view, word in VIEWS.items()
        ],
        view=terms.view,
        q=terms.q,
        least=mapping.LEAST_SCORE,
        exports=export.choices(lambda path: web.address(path, terms, {}, usual), f"{base}:export"),
    )


@get(export.paths("/connections/{code:str}/mapping:export"), opt={"permission": SEE})
async def mapping_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the list as a file, as it is filtered, with the surest suggestion of each."""
    terms, _after = _asked(request)
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)

    def cells(row: Row) -> list[Any]:
        best = row.suggestions[0][0] if row.suggestions else None
        return [
            row.named.code, row.named.name, row.named.gtin, row.named.sku or "", row.how, best.sku if best else "",
            best.score if best else None, row.waiting,
        ]  # fmt: skip

    pages = export.pages(
        request,
        lambda tx, after: _rows(tx, found.id, terms, after or "", export.BATCH),
        lambda row: row.named.code,
    )
    return export.send(request, f"mapping-{code}", COLUMNS, pages, cells)


@post("/connections/{code:str}/mapping", opt={"permission": CHANGE}, status_code=200)
async def mapping_act(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Map what was chosen to what stands beside it (`sku/<code>`), take it back, or set it aside (`act`, `pick`)."""
    form = await request.form()
    read = filling.filled(form)
    act, address = read.text("act"), f"/connections/{code}/mapping"
    if act == "accept":
        least = read.whole("at_least")
        read.refuse()
        async with web.writing(request) as tx:
            mapped, orders = await mapping.accept(tx, code, least)
        return web.go_on(request, address, _("{n} mapped; {orders} waiting orders go on", n=mapped, orders=orders))
    picked = [str(each)[:200] for each in form.getall("pick", [])]
    if not picked:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    if act == "map":
        pairs = [(each, read.text(f"sku/{each}", 80)) for each in picked]
        for theirs, ours in pairs:
            if not ours:
                read.wrong(f"sku/{theirs}", N_("Say which SKU {code} is."), code=theirs)
        read.refuse()
        async with web.writing(request) as tx:
            orders = await mapping.put(tx, code, pairs)
        return web.go_on(request, address, _("{n} mapped; {orders} waiting orders go on", n=len(pairs), orders=orders))
    read.refuse()
    async with web.writing(request) as tx:
        if act == "unmap":
            count = await mapping.unmap(tx, code, picked)
            return web.go_on(request, address, _("{n} are to be mapped again", n=count))
        count = await mapping.ignore(tx, code, picked, ignored=act != "consider")
    return web.go_on(request, address, _("{n} moved", n=count))


HANDLERS = [mapping_show, mapping_export, mapping_act]
