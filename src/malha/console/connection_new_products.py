"""SKUs that a connection tells and nobody here knows, on screen: accepted one by one or together, and taken back."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.datastructures import FormMultiDict
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import (
    at_once,
    at_once_reads,
    making,
    making_reads,
    mapping,
    mapping_reads,
    master_reads,
    service,
    unmaking,
)
from malha.channels.connecting.at_once_reads import AtOnce
from malha.channels.connecting.making_reads import Batch, Unknown
from malha.channels.connecting.model import Linked
from malha.console import export, filling, render, shell, web
from malha.console.connection_products import said_of
from malha.platform.db import Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

SEE, MAKE, SET_ASIDE = "network:read", "catalog:write", "network:write"
PAGE = 50
VIEWS = {
    "waiting": N_("To be accepted"),
    "refused": N_("Could not be made"),
    "making": N_("Being made"),
    "accepted": N_("Acceptances"),
    "at_once": N_("Made at once"),
}
STATES = {
    "made": N_("made"),
    "going": N_("being taken back"),
    "undone": N_("gone again"),
    "kept": N_("could not be taken back"),
}
COLUMNS = (
    Column(N_("SKU")), Column(N_("Product on the channel"), width=24), Column(N_("Name on the channel"), width=28),
    Column(N_("GTIN")), Column(N_("Price there"), Kind.MONEY), Column(N_("Orders that wait"), Kind.WHOLE),
    Column(N_("What is wrong"), width=60), Column(N_("What to do"), width=40),
)  # fmt: skip

COLUMNS_AT_ONCE = (
    Column(N_("SKU")), Column(N_("Product")), Column(N_("Name on the channel"), width=28), Column(N_("GTIN")),
    Column(N_("Made"), Kind.MOMENT), Column(N_("What became of it"), width=24), Column(N_("Taken back by"), width=24),
    Column(N_("Taken back at"), Kind.MOMENT), Column(N_("What stands against taking it back"), width=60),
)  # fmt: skip


class Terms(msgspec.Struct, frozen=True):
    """What the list is narrowed to."""

    view: str
    q: str


class Row(NamedTuple):
    """A variant of the channel; `wrong` is why it was not made, or could not be: what, and what to do."""

    told: Unknown
    wrong: list[tuple[str, str]]
    waiting: int


class Made(NamedTuple):
    """What was made at once, and what stands against taking it back, in words."""

    of: AtOnce
    against: list[str]


def _asked(request: Request[Any, Any, Any]) -> tuple[Terms, str]:
    query = request.query_params
    view = query.get("view", "")
    terms = Terms(view if view in VIEWS else "waiting", web.said(query, "q").strip()[:200])
    return terms, web.said(query, "after")[:300]


async def _rows(tx: Tx, connection: Linked, terms: Terms, after: str, most: int) -> list[Row]:
    found = await making_reads.rows(tx, connection.id, view=terms.view, after=after, sought=terms.q or None, most=most)
    would = await making.plan(tx, connection, found) if terms.view == "waiting" else {}
    waiting = await mapping_reads.waiting(tx, connection.id, [each.code for each in found])
    return [Row(row, said_of(_flaws(row, would)), waiting.get(row.code, 0)) for row in found]


def _flaws(row: Unknown, would: dict[str, list[Flaw]]) -> list[Flaw]:
    if row.make_flaws is None:
        return would.get(row.code, [])
    return [msgspec.convert(flaw, Flaw) for flaw in row.make_flaws]


async def _at_once(tx: Tx, connection: Linked, terms: Terms, after: str, most: int) -> list[Made]:
    before = _place(after)
    found = await at_once_reads.rows(tx, connection.id, before=before, sought=terms.q or None, most=most)
    against = await at_once.against(tx, connection.id, found)
    return [Made(row, [_(unmaking.REASONS[each]) for each in against.get(row.sku) or row.reasons]) for row in found]


def _place(after: str) -> tuple[datetime, str]:
    """Return where a page goes on; from the beginning where that cannot be read."""
    at, _bar, code = after.partition("|")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return at_once_reads.FIRST
    return (moment, code) if moment.tzinfo is not None else at_once_reads.FIRST


def _mark(row: Made) -> str:
    return f"{row.of.made_at.isoformat()}|{row.of.code}"


def _before(after: str) -> int:
    at = whole_in(after, 18)
    return making_reads.NEWEST if at is None else at


@get("/connections/{code:str}/new-products", opt={"permission": SEE})
async def new_products_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what waits to be accepted, what could not be made and why, and what was accepted together."""
    terms, after = _asked(request)
    batches: list[Batch] = []
    rows: list[Row] = []
    made: list[Made] = []
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        role = await master_reads.master(tx, found.id)
        counts = await making_reads.counts(tx, found.id)
        at_once_now = await at_once_reads.count(tx, found.id)
        if terms.view == "accepted":
            batches = await making_reads.batches(tx, found.id, before=_before(after), most=PAGE + 1)
        elif terms.view == "at_once":
            made = await _at_once(tx, found, terms, after, PAGE + 1)
        else:
            rows = await _rows(tx, found, terms, after, PAGE + 1)
    base, usual = f"/connections/{code}/new-products", {"view": "waiting"}
    marks = [str(batch.id) for batch in batches] or [_mark(each) for each in made] or [row.told.code for row in rows]
    last = marks[PAGE - 1] if len(marks) > PAGE else ""
    numbers = {"waiting": counts.waiting, "refused": counts.refused, "making": counts.making, "at_once": at_once_now}
    return render.html(
        "connections/new_products.html",
        shell=around,
        may=around.may,
        c=found,
        creates=role.creates,
        rows=rows[:PAGE],
        batches=batches[:PAGE],
        made=made[:PAGE],
        states=STATES,
        following=web.address(base, terms, {}, usual) if last else None,
        last=last,
        views=[
            (_(word), web.address(base, Terms(view, ""), {}, usual), view == terms.view, numbers.get(view))
            for view, word in VIEWS.items()
        ],
        all_of=numbers.get(terms.view, 0),
        view=terms.view,
        q=terms.q,
        exports=export.choices(lambda path: web.address(path, terms, {}, usual), f"{base}:export")
        if terms.view != "accepted"
        else None,
    )


@get(export.paths("/connections/{code:str}/new-products:export"), opt={"permission": SEE})
async def new_products_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the list as a file, as it is filtered, each with what is wrong with it."""
    terms, _after = _asked(request)
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)

    if terms.view == "at_once":
        return export.send(
            request,
            f"products-made-at-once-{code}",
            COLUMNS_AT_ONCE,
            export.pages(request, lambda tx, after: _at_once(tx, found, terms, after or "", export.BATCH), _mark),
            _cells_at_once,
        )

    def cells(row: Row) -> list[Any]:
        t = row.told
        says, mends = " ".join(s for s, _m in row.wrong), " ".join(m for _s, m in row.wrong)
        return [t.code, t.parent, t.name, t.gtin, t.price, row.waiting, says, mends]

    pages = export.pages(
        request,
        lambda tx, after: _rows(tx, found, terms, after or "", export.BATCH),
        lambda row: row.told.code,
    )
    return export.send(request, f"new-products-{code}", COLUMNS, pages, cells)


def _cells_at_once(row: Made) -> list[Any]:
    m, went = row.of, row.of.state == "undone"
    by, at = (m.undo_person, m.undo_at) if m.undo_at is not None else ("", None)
    against = "" if went else " ".join(row.against)
    return [m.code, m.product, m.name, m.gtin, m.made_at, _(STATES[m.state]), by, at, against]


@post("/connections/{code:str}/new-products", opt={"permission": MAKE}, status_code=200)
async def new_products_act(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Have what was chosen (`pick`), or all, made products, take back what was made, or set aside what is none."""
    form = await request.form()
    read = filling.filled(form)
    act, base = read.text("act"), f"/connections/{code}/new-products"
    if act == "undo":
        batch = read.whole("batch")
        read.refuse()
        async with web.writing(request) as tx:
            await making.take_back(tx, code, batch)
        return web.go_on(request, f"{base}?view=accepted", _("It is being taken back"))
    if act in {"take-back", "take-all-back"}:
        return await _take_back(request, code, act, form, read)
    refused = read.text("of") == "refused"
    if act == "accept-all":
        async with web.writing(request) as tx:
            _batch, count = await making.accept(tx, code, None, refused=refused)
        return web.go_on(request, base, _("{n} are being made", n=count))
    picked = [str(each)[:200] for each in form.getall("pick", [])]
    if not picked:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    if act == "ignore" and not web.caller_of(request).may(SET_ASIDE):
        raise Forbidden(permission=SET_ASIDE)
    async with web.writing(request) as tx:
        if act == "ignore":
            count = await mapping.ignore(tx, code, picked)
            said = _("{n} set aside: they are on the page of mapping", n=count)
        else:
            _batch, count = await making.accept(tx, code, picked)
            said = _("{n} are being made", n=count)
    return web.go_on(request, f"{base}?view=refused" if refused else base, said)


async def _take_back(
    request: Request[Any, Any, Any], code: str, act: str, form: FormMultiDict, read: filling.Filled
) -> Response[Any]:
    """Take back what was made at once: what was chosen (`pick`), or all that is found so (`q`)."""
    picked = [str(each)[:200] for each in form.getall("pick", [])]
    if act == "take-back" and not picked:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    sought = read.text("q").strip()[:200] or None
    async with web.writing(request) as tx:
        if act == "take-back":
            count = await at_once.take_back(tx, code, picked)
        else:
            count = await at_once.take_back(tx, code, None, sought=sought)
    there = web.address(f"/connections/{code}/new-products", Terms("at_once", sought or ""), {}, {"view": "waiting"})
    return web.go_on(request, there, n_("{n} is being taken back", "{n} are being taken back", count))


HANDLERS = [new_products_show, new_products_export, new_products_act]
