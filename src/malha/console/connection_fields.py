"""Field rules of a connection on screen: a grid to fill in, tried on the last orders before it counts, and as a file.

Rows move and go without anything being written. The grid is saved as a whole, under the version that was read, and what
is wrong stands in the cell it is about.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import field_reads, field_rules, fields, service
from malha.channels.connecting.field_rules import Failed, FieldRule, Form
from malha.channels.connecting.fields import Tried
from malha.console import export, filling, grids, meanwhile, render, shell, uploads, web
from malha.console.filling import Filled
from malha.console.grids import Cell, Texts, chosen
from malha.network import retailer
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, _, n_
from malha.platform.tabular import BadCell

SEE, CHANGE = "network:read", "network:write"
SHOWN_HELD = 20
Asking = Request[Any, Any, Any]

NAMES = {
    "gift_message": N_("Gift message"),
    "note": N_("Note of the customer"),
    "tags": N_("Tags"),
    "desired_on": N_("Desired day"),
    "promised_on": N_("Promised day"),
    "seller": N_("Sold by"),
    "company": N_("Company"),
    "state_registration": N_("State registration"),
    "customer_group": N_("Customer group"),
    "pickup_location": N_("Pickup location"),
    "shipping_method": N_("Way to ship"),
    "status": N_("Status at the channel"),
    "id": N_("Number at the channel"),
    "buyer.name": N_("Name of the buyer"),
    "buyer.document": N_("CPF or CNPJ"),
    "buyer.email": N_("E-mail"),
    "buyer.phone": N_("Phone"),
    "ship_to.postal_code": N_("CEP"),
    "ship_to.street": N_("Street"),
    "ship_to.number": N_("House number"),
    "ship_to.complement": N_("Complement"),
    "ship_to.district": N_("District"),
    "ship_to.city": N_("City"),
    "ship_to.state": N_("State"),
    "line.sku": N_("SKU of a line"),
    "line.name": N_("Name of a line"),
    "line.item": N_("Number of the item of a line"),
    "line.gtin": N_("GTIN of a line"),
}
FORMS = {
    Form.AS_IS.value: N_("as it is"),
    Form.DIGITS.value: N_("digits only"),
    Form.UPPER.value: N_("in capitals"),
    Form.LOWER.value: N_("in small letters"),
    Form.DAY_FIRST.value: N_("day as 31/12/2026"),
    Form.MONTH_FIRST.value: N_("day as 12/31/2026"),
    Form.YEAR_FIRST.value: N_("day as 2026-12-31"),
    Form.SECONDS.value: N_("day in seconds since 1970"),
    Form.DOCUMENT.value: N_("CPF or CNPJ"),
}
YES = {"yes": N_("Yes")}
STATES = {
    "done": N_("taken"),
    "stale": N_("older than what is known"),
    "dropped": N_("given up"),
    "waiting": N_("waits for its turn"),
    "unmapped": N_("waits for a person"),
    "parked": N_("waits for a person"),
}


def _values(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.replace("\n", ";").split(";"):
        if not part.strip():
            continue
        theirs, sign, ours = part.partition("=")
        if not sign or not theirs.strip():
            mend = N_("Write it like 1 = Centro; 2 = Norte.")
            raise BadCell(N_("{value} says nothing of what it becomes."), mend, value=part.strip())
        found[theirs.strip()] = ours.strip()
    if len(found) > field_rules.MOST_VALUES:
        raise BadCell(N_("More than {most} values."), N_("Leave some out."), most=field_rules.MOST_VALUES)
    return found


def _bounded(most: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > most:
            mend = N_("Use at most {longest}.")
            raise BadCell(N_("The text has {length} characters."), mend, length=len(text), longest=most)
        return text

    return read


CELLS = (
    Cell("to", N_("Field here"), N_("Like gift_message"), _bounded(120), str),
    Cell("source", N_("Text of the channel"), N_("Like attributes.cpf"), _bounded(220), str),
    Cell("if_field", N_("Only where"), N_("A text of the channel"), _bounded(220), str),
    Cell("if_value", N_("is"), N_("A value, * is any"), _bounded(200), str),
    Cell("capture", N_("Pattern"), N_("Like ^([0-9]+)-"), _bounded(200), str),
    Cell(
        "values", N_("Values"), N_("Like 1 = Centro; 2 = Norte"), _values,
        lambda said: "; ".join(f"{theirs} = {ours}" for theirs, ours in said.items()),
    ),
    Cell("form", N_("Format"), "", lambda text: Form(chosen(text, FORMS)),
         lambda form: "" if form is Form.AS_IS else form.value,
         {value: word for value, word in FORMS.items() if value != Form.AS_IS.value}),
    Cell("default", N_("If it is missing"), N_("A default"), _bounded(500), str),
    Cell("required", N_("Required"), "", lambda text: bool(chosen(text, YES)), lambda on: "yes" if on else "", YES),
)  # fmt: skip


def texts_of(rule: FieldRule) -> Texts:
    """Return a rule as it is written, by the names of its columns; empty cells are left out."""
    said = {cell.name: cell.show(getattr(rule, cell.name)) for cell in CELLS}
    return {name: text for name, text in said.items() if text}


class Got(NamedTuple):
    """What a field of an order would get."""

    name: str
    value: str
    was: str


class TriedView(NamedTuple):
    """An order that was told, what it would get, and why it would wait."""

    order: str
    at: Any
    state: str
    got: list[Got]
    wrong: list[str]


def _named(to: str, line: int | None = None) -> str:
    name = _(NAMES[to]) if to in NAMES else to.removeprefix(field_rules.LINE_ATTRIBUTE).removeprefix("attributes.")
    return _("{name}, line {line}", name=name, line=line) if line else name


def _says(failed: Failed) -> str:
    where = _("Row {n}, {field}:", n=failed.rule, field=_named(failed.to, failed.line))
    facts = web.amounts(failed.facts)
    return f"{where} {_(failed.says, **facts)} {_(failed.mend, **facts)}"


def _tried(found: Sequence[Tried], may: Callable[[str], bool]) -> list[TriedView]:
    return [
        TriedView(
            order=each.told.order.id,
            at=each.told.received_at,
            state=_(STATES[each.told.state]),
            got=[Got(_named(g.to, g.line), g.value, g.was) for g in shown.given],
            wrong=[_says(flaw) for flaw in shown.failed],
        )
        for each in found
        for shown in [field_rules.shown_to(each.applied, may)]
    ]


# --- the grid ---


async def _page(
    tx: Tx, request: Asking, code: str, rows: Sequence[Texts] | None, focus: str = "", tried: list[Tried] | None = None
) -> dict[str, Any]:
    """Return the page with the rows that were sent, or (None) with the rules that count."""
    around = await shell.around(tx, request, "connections")
    found = await service.connection_of(tx, code)
    rules = (await fields.newest(tx, [found.id]))[found.id]
    zone = (await retailer.zone(tx)).key
    if rows is None:
        rows = grids.with_spare([texts_of(rule) for rule in rules.rules])
    told = await field_reads.told(tx, found.id, fields.TRIED)
    held = await field_reads.held(tx, found.id, SHOWN_HELD)
    why = [Tried(each, field_rules.apply(rules.rules, each.order, zone)) for each in held]
    own = field_rules.names_of([each.order for each in told])
    return {
        "shell": around,
        "may": around.may,
        "c": found,
        "at": f"/connections/{code}/fields",
        "version": rules.version,
        "rows": list(rows)[: field_rules.MOST],
        "most": field_rules.MOST,
        "cells": [grids.head(cell, grids.options(cell)) for cell in CELLS],
        "targets": [(name, _named(name)) for name in field_rules.FIELDS],
        "sources": [(name, _named(name) if name in NAMES else "") for name in own],
        "seen": len(told),
        "focus": focus,
        "tried": None if tried is None else _tried(tried, around.may),
        "waiting": await field_reads.waiting(tx, found.id),
        "held": _tried(why, around.may),
        "versions": await field_reads.versions(tx, found.id, 10),
        "exports": export.choices(str, f"/connections/{code}/fields:export"),
    }


@get("/connections/{code:str}/fields", opt={"permission": SEE})
async def fields_show(request: Asking, code: FromPath[str]) -> Response[str]:
    """Show the rules of a connection, the orders that wait because of one, and former versions."""
    async with web.reading(request) as tx:
        page = await _page(tx, request, code, None)
    return render.html("connections/fields.html", **page)


@post("/connections/{code:str}/fields:arrange", opt={"permission": CHANGE}, status_code=200)
async def fields_arrange(request: Asking, code: FromPath[str]) -> Response[str]:
    """Draw the grid as it was filled in, with a row moved, copied, added or gone; nothing is written."""
    read = filling.filled(await request.form())
    rows = _texts(read)
    focus = grids.arrange(rows, read.text("do", 20), "to")
    async with web.reading(request) as tx:
        page = await _page(tx, request, code, rows or [Texts()], focus)
    return render.html("connections/fields.html", **page)


@post("/connections/{code:str}/fields", opt={"permission": CHANGE}, status_code=200)
async def fields_save(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Try the rules as they are filled in on the last orders (`act` is try), or save them; empty rows are left out."""
    read = filling.filled(await request.form())
    given = _texts(read)
    rules: list[FieldRule] = []
    places: list[int] = []
    for n, texts in enumerate(given):
        if any(text.strip() for text in texts.values()):
            rules.append(_rule(texts, read, n))
            places.append(n)
    read.refuse()
    try:
        if read.text("act", 10) == "try":
            async with web.reading(request) as tx:
                tried = await fields.tried(tx, code, rules)
                page = await _page(tx, request, code, given or [Texts()], tried=tried)
            page["version"] = read.version()
            answer = render.html("connections/fields.html", **page)
            answer.headers |= {
                "HX-Retarget": "#content",
                "HX-Reselect": "#content",
                "HX-Reswap": "outerHTML show:#tried:top",
            }
            return answer
        async with _meanwhile(request, code), web.writing(request) as tx:
            _version, orders = await fields.put(tx, code, rules, read.version())
    except Invalid as refused:
        raise Invalid([_at_cell(flaw, places) for flaw in refused.flaws]) from refused
    return web.go_on(request, f"/connections/{code}/fields", _saved(len(rules), orders))


def _meanwhile(request: Asking, code: str) -> AbstractAsyncContextManager[None]:
    return meanwhile.told(request, f"/connections/{code}/fields", "connection", code, {"put_field_rules"})


def _saved(count: int, orders: int) -> str:
    says = n_("{n} rule saved", "{n} rules saved", count)
    return says if not orders else f"{says}; {n_('{n} order goes on', '{n} orders go on', orders)}"


def _rule(texts: Texts, read: Filled, n: int) -> FieldRule:
    said: dict[str, Any] = {"to": ""}
    for cell in CELLS:
        text = texts.get(cell.name, "").strip()
        if text:
            try:
                said[cell.name] = cell.read(text)
            except BadCell as bad:
                read.wrong(f"rows/{n}/{cell.name}", bad.says, bad.mend, **bad.facts)
    return FieldRule(**said)


def _texts(read: Filled) -> list[Texts]:
    return grids.texts(read, CELLS, field_rules.MOST, 20_000)


def _at_cell(flaw: Flaw, places: Sequence[int]) -> Flaw:
    parts = flaw.at.split("/")
    if len(parts) != 3:
        return flaw
    return Flaw(f"rows/{places[int(parts[1])]}/{parts[2]}", flaw.says, flaw.mend, flaw.facts)


@post("/connections/{code:str}/fields:restore", opt={"permission": CHANGE}, status_code=200)
async def fields_restore(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Have the rules of a former version (`number`) count again."""
    read = filling.filled(await request.form())
    number = read.whole("number")
    read.refuse()
    async with _meanwhile(request, code), web.writing(request) as tx:
        version, _orders = await fields.restore(tx, code, number, read.version())
    return web.go_on(request, f"/connections/{code}/fields", _("They count again, as version {n}", n=version))


# --- as a file ---

COLUMNS = grids.sheet(CELLS, 24)


@get(export.paths("/connections/{code:str}/fields:export"), opt={"permission": SEE})
async def fields_export(request: Asking, code: FromPath[str]) -> Stream:
    """Send the rules as a file, as the import takes it."""
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)
        rules = (await fields.newest(tx, [found.id]))[found.id]

    def line(rule: FieldRule) -> list[Any]:
        texts = texts_of(rule)
        return [texts.get(cell.name, "") for cell in CELLS]

    return export.send_all(request, f"field-rules-{code}", COLUMNS, rules.rules, line)


@post("/connections/{code:str}/fields:import", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def fields_import(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Replace the rules by a file's, if nothing in it is wrong."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rows, lines = grids.read_file(raw, CELLS, field_rules.MOST, N_("Leave some out."), required="to")
    rules = [FieldRule(**{"to": "", **values}) for values in rows]
    try:
        async with _meanwhile(request, code), web.writing(request) as tx:
            _version, orders = await fields.put(tx, code, rules, read.version())
    except Invalid as refused:
        raise Invalid([_at_line(flaw, lines) for flaw in refused.flaws[: grids.MOST_PROBLEMS]]) from refused
    notice = await uploads.told(_saved(len(rules), orders), raw)
    return web.go_on(request, f"/connections/{code}/fields", notice)


def _at_line(flaw: Flaw, lines: Sequence[int]) -> Flaw:
    parts = flaw.at.split("/")
    facts = {**flaw.facts, "line": lines[int(parts[1])]} if len(parts) == 3 else flaw.facts
    return Flaw("file", flaw.says, flaw.mend, facts)


HANDLERS = [fields_show, fields_arrange, fields_save, fields_restore, fields_export, fields_import]
