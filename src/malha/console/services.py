"""The shipping services: the list, one service with its tariff as a grid, as a file, and what a parcel would cost."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote as quoted

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, rate_grid, record_form, render, shell, uploads, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.record_form import Form
from malha.network import reads, service
from malha.network.errors import UnknownService
from malha.network.model import Method, RateDraft, Service, ServiceDraft
from malha.network.places import locate
from malha.network.rates_file import HEADER, read_rates
from malha.network.tariff import ANY
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.imports import Problem
from malha.platform.sheets import Column, Kind
from malha.platform.tabular import decimal_text
from malha.platform.text import fold

BLANK = ServiceDraft(code="", name="", carrier="")
MOST_PROBLEMS = 20


class Change(msgspec.Struct, frozen=True):
    """What a file does to a tariff."""

    new: int
    changed: int
    gone: int


@get("/services", opt={"permission": "network:read"})
async def service_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the services."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "services")
        found = sorted(await reads.services(tx), key=lambda s: (not s.active, fold(s.name)))
        totals = await reads.tariff_totals(tx)
    return render.html(
        "services/list.html",
        shell=around,
        may=around.may,
        exports=export.choices(str, "/services:export"),
        rows=[(s, _(say.METHOD[s.method]), totals.get(s.id)) for s in found],
        **_quote_terms("", "", ""),
    )


COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=26), Column(N_("Carrier"), width=22), Column(N_("Method"), width=18),
    Column(N_("Zones"), Kind.WHOLE), Column(N_("Lowest price"), Kind.MONEY), Column(N_("Highest price"), Kind.MONEY),
    Column(N_("Fewest business days"), Kind.WHOLE), Column(N_("Most business days"), Kind.WHOLE), Column(N_("In use")),
)  # fmt: skip


@get(export.paths("/services:export"), opt={"permission": "network:read"})
async def service_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file; prices go with each service."""
    async with web.reading(request) as tx:
        found = sorted(await reads.services(tx), key=lambda s: (not s.active, fold(s.name)))
        totals = await reads.tariff_totals(tx)

    def cells(s: Service) -> list[Any]:
        t = totals.get(s.id)
        known = [t.zones, t.cheapest, t.dearest, t.soonest, t.latest] if t else [None] * 5
        return [s.code, s.name, s.carrier, _(say.METHOD[s.method]), *known, _("yes") if s.active else _("no")]

    return export.send_all(request, "services", COLUMNS, found, cells)


async def _one(tx: Tx, code: str) -> tuple[Service, ServiceDraft]:
    found = next((s for s in await reads.services(tx) if s.code == code), None)
    if found is None:
        raise UnknownService(key=code)
    return found, reads.service_draft(found, await reads.rates_of(tx, found.id))


@get("/services/{code:str}", opt={"permission": "network:read"})
async def service_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one service, with the prices from one state of origin."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "services")
        found, draft = await _one(tx, code)
    origins = sorted({rate.from_state for rate in draft.rates}, key=lambda state: (state != ANY, state))
    asked = request.query_params.get("origin", "")
    chosen = asked if asked in STATES or asked == ANY else origins[0] if origins else ANY
    return render.html(
        "services/show.html",
        shell=around,
        may=around.may,
        s=found,
        method=_(say.METHOD[found.method]),
        origin=chosen,
        origins=[(state, _zone(state)) for state in origins],
        new_origins=[(state, _zone(state)) for state in (ANY, *sorted(STATES)) if state not in origins],
        exports=export.choices(lambda path: path, f"/services/{quoted(code, safe='')}/rates"),
        grid=rate_grid.grid_of(draft.rates, chosen),
        brackets=len(draft.rates),
        **_quote_terms("" if chosen == ANY else chosen, "", ""),
    )


def _zone(state: str) -> str:
    return _("Any state") if state == ANY else state


@post("/services/{code:str}/rates", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rates_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change the prices from one state of origin; those from other origins stay."""
    read = filling.filled(await request.form())
    origin = read.text("origin", 2)
    async with web.writing(request) as tx:
        _found, draft = await _one(tx, code)
        changed = rate_grid.read_grid(read, draft.rates, origin)
        read.refuse()
        await service.update_service(tx, msgspec.structs.replace(draft, rates=changed), read.version())
    return web.go_on(request, f"/services/{code}?origin={origin}", _("Prices saved"))


# --- the file ---

_NUMBERS = {"price": Kind.MONEY, "per_extra_kg": Kind.MONEY, "lead_days": Kind.WHOLE}
RATE_COLUMNS = [Column(name, _NUMBERS.get(name, Kind.TEXT), fixed=True) for name in HEADER]


@get(export.paths("/services/{code:str}/rates"), opt={"permission": "network:read"})
async def rates_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the whole tariff as a table that can be sent back."""
    async with web.reading(request) as tx:
        _found, draft = await _one(tx, code)

    def cells(r: RateDraft) -> list[Any]:
        return [r.from_state, r.to_state, decimal_text(r.max_grams, 3), r.price, r.lead_days, r.per_extra_kg]

    return export.send_all(request, code, RATE_COLUMNS, draft.rates, cells)


@post("/services/{code:str}/rates/preview", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rates_preview(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Say what a file would do to the tariff, or what is wrong with it."""
    raw = await filling.filled(await request.form()).file()
    async with web.reading(request) as tx:
        _found, draft = await _one(tx, code)
    try:
        rates, problems = await asyncio.to_thread(read_rates, raw)
    except MalhaError as error:
        says = web.refusal_text(error)
        return render.html("services/preview.html", says=says, change=None, problems=[], more=0, beside="")
    told = [_told(problem) for problem in problems[:MOST_PROBLEMS]]
    return render.html(
        "services/preview.html",
        says=None,
        change=_compared(draft.rates, rates),
        problems=told,
        more=max(len(problems) - MOST_PROBLEMS, 0),
        beside=await uploads.unseen(raw),
    )


@post("/services/{code:str}/rates/import", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rates_import(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Replace the whole tariff by a file's, if nothing in it is wrong."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rates, problems = await asyncio.to_thread(read_rates, raw)
    refuse([Flaw("file", p.says, p.mend, {**p.facts, "line": p.line}) for p in problems[:MOST_PROBLEMS]])
    async with web.writing(request) as tx:
        _found, draft = await _one(tx, code)
        change = _compared(draft.rates, rates)
        await service.update_service(tx, msgspec.structs.replace(draft, rates=rates), read.version())
    count = change.new + change.changed + change.gone
    notice = n_("{n} price changed", "{n} prices changed", count)
    return web.go_on(request, f"/services/{code}", await uploads.told(notice, raw))


def _told(problem: Problem) -> str:
    text = problem.text(i18n.current_language())
    return _("Line {line}: {text}", line=problem.line, text=text) if problem.line else text


def _compared(before: Sequence[RateDraft], after: Sequence[RateDraft]) -> Change:
    def keyed(rates: Sequence[RateDraft]) -> dict[tuple[str, str, int], RateDraft]:
        return {(rate.from_state, rate.to_state, rate.max_grams): rate for rate in rates}

    old, new = keyed(before), keyed(after)
    return Change(
        new=len(new.keys() - old.keys()),
        changed=sum(old[key] != rate for key, rate in new.items() if key in old),
        gone=len(old.keys() - new.keys()),
    )


# --- what a parcel would cost ---


def _quote_terms(origin: str, target: str, weight: str) -> dict[str, Any]:
    return {"from_": origin, "to": target, "kg": weight, "quotes": None, "refused": None}


def _state(text: str) -> str | None:
    """Return the state that a person names by its letters or by a CEP."""
    bare = text.strip().upper()
    if bare in STATES:
        return bare
    place = locate(bare)
    return place.state if place else None


@get("/services:quote", opt={"permission": "network:read"})
async def quote(request: Request[Any, Any, Any]) -> Response[str]:
    """Say what every service in use asks for a parcel, the cheapest first."""
    said = {name: web.said(request.query_params, name)[:20] for name in ("from", "to", "kg")}
    terms = _quote_terms(said["from"], said["to"], said["kg"])
    origin, target = _state(said["from"]), _state(said["to"])
    grams = rate_grid.grams_of(said["kg"])
    if origin is None or target is None or grams is None:
        wrong = N_("Give both places by UF or CEP, and a weight like 1,5.")
        return render.html("services/quotes.html", **{**terms, "refused": _(wrong)})
    async with web.reading(request) as tx:
        network = await reads.snapshot(tx)
    quotes = [
        (one, found)
        for one in network.active_services(Method.SHIP)
        if (found := network.tariff.quote(one.id, origin, target, grams)) is not None
    ]
    quotes.sort(key=lambda pair: (pair[1].price, pair[1].lead_days, pair[0].code))
    route = _("{kg} kg from {origin} to {target}", kg=i18n.number(grams / 1000), origin=origin, target=target)
    return render.html("services/quotes.html", **{**terms, "quotes": quotes}, route=route)


# --- the form ---


async def _form(tx: Tx, request: Request[Any, Any, Any], code: str | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "services")
    asked = msgspec.structs.replace(BLANK, code=request.query_params.get("code", "")[:40])  # a held order waits for it
    found, draft = await _one(tx, code) if code is not None else (None, asked)
    return {
        "shell": around,
        "may": around.may,
        "draft": draft,
        "version": found.version if found else 0,
        "action": f"/services/{draft.code}/edit" if found else "/services:new",
        "back": f"/services/{draft.code}" if found else "/services",
        "methods": list(filling.options(say.METHOD)),
    }


async def _make(tx: Tx, read: Filled) -> str:
    draft = _draft(read, msgspec.structs.replace(BLANK, code=read.text("code", 40)))
    read.refuse()
    return (await service.create_service(tx, draft)).code


async def _change(tx: Tx, _request: Request[Any, Any, Any], read: Filled, code: str) -> None:
    _found, before = await _one(tx, code)
    draft = _draft(read, before)
    read.refuse()
    await service.update_service(tx, draft, read.version())


def _draft(read: Filled, before: ServiceDraft) -> ServiceDraft:
    return msgspec.structs.replace(
        before,
        name=read.text("name"),
        carrier=read.text("carrier"),
        method=read.choice("method", Method),
        active=read.flag("active"),
        channel_label=read.flag("channel_label"),
    )


FORM = Form(
    path="/services",
    template="services/form.html",
    terms=_form,
    make=_make,
    change=_change,
    made=N_("Shipping service created"),
    changed=N_("Shipping service saved"),
)
HANDLERS = [
    service_list,
    service_export,
    quote,
    service_show,
    *record_form.handlers(FORM),
    rates_change,
    rates_export,
    rates_preview,
    rates_import,
]
