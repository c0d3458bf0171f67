"""Groups of locations and of customers: the two lists, one of each with where it is used, their forms, and deleting."""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Stream

from malha.console import export, filling, record_form, render, shell, short_lists, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.console.record_form import Form
from malha.console.safety import amount_of, conditions_of
from malha.inventory.allotments import groups
from malha.inventory.allotments.groups import CustomerGroup, CustomerGroupDraft
from malha.inventory.safety import reads as safety
from malha.inventory.safety.model import SafetyRule
from malha.network import ownership, reads
from malha.network import rules as network_rules
from malha.network.model import LocationGroup, LocationGroupDraft
from malha.network.ownership import UnknownLocationGroup
from malha.network.service import refuse_limited
from malha.ordering import group_reads
from malha.ordering.group_reads import Bought
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import fold
from malha.routing.ruling import service as ruling

DAYS = 90
COLUMNS = (Column(N_("Code")), Column(N_("Name"), width=30), Column(N_("Locations"), width=60), Column(N_("Rules")))
CUSTOMER_COLUMNS = (
    Column(N_("Code")),
    Column(N_("Name"), width=30),
    Column(N_("Allotments"), width=40),
    Column(N_("Orders in 90 days"), SheetKind.WHOLE),
    Column(N_("Last order"), SheetKind.MOMENT),
    Column(N_("Note"), width=50),
)


def _may_shape(request: web.Asking, permission: str) -> bool:
    caller = web.caller_of(request)
    return caller.may(permission) and caller.locations is None


async def _rules_by_group(tx: Tx) -> dict[str, list[SafetyRule]]:
    found: dict[str, list[SafetyRule]] = {}
    for rule in await safety.rules_in_sight(tx):
        if rule.location_group is not None:
            found.setdefault(rule.location_group, []).append(rule)
    return found


# --- groups of locations ---


@get("/location-groups", opt={"permission": "network:read"})
async def group_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the groups of locations, each with its members and how many rules name it."""
    asked = _sought(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "groups")
        found, names = await _groups(tx, request, asked)
        used = await _rules_by_group(tx)
    listed = short_lists.shown(found, asked, "/location-groups")
    return render.html(
        "groups/list.html",
        shell=around,
        may=around.may,
        may_change=_may_shape(request, "network:write"),
        rows=[
            (g, [names[code] for code in g.locations if code in names], len(used.get(g.code, []))) for g in listed.rows
        ],
        listed=listed,
        asked=asked,
        exports=export.choices(asked.address, "/location-groups:export"),
    )


def _sought(request: web.Asking) -> short_lists.Sought:
    return short_lists.Sought(q=short_lists.text_of(request), page=short_lists.page_number(request))


async def _groups(tx: Tx, request: web.Asking, asked: short_lists.Sought) -> tuple[list[LocationGroup], dict[str, str]]:
    """Return the groups that have what is sought, and the names of the person's locations by code: by those alone."""
    names = {p.code: p.name for p in await reads.locations(tx) if web.caller_of(request).sees(p.id)}
    found = await reads.location_groups(tx)
    if asked.q:
        seen = {g.id: msgspec.structs.replace(g, locations=[c for c in g.locations if c in names]) for g in found}
        found = [g for g in found if network_rules.group_has(seen[g.id], asked.q, names)]
    return found, names


@get(export.paths("/location-groups:export"), opt={"permission": "network:read"})
async def group_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the groups of locations that have what is sought as a file."""
    async with web.reading(request) as tx:
        found, seen = await _groups(tx, request, _sought(request))
        used = await _rules_by_group(tx)

    def cells(g: LocationGroup) -> list[Any]:
        rules = " ".join(rule.code for rule in used.get(g.code, []))
        return [g.code, g.name, " ".join(code for code in g.locations if code in seen), rules]

    return export.send_all(request, "location-groups", COLUMNS, found, cells)


async def _group(tx: Tx, code: str) -> LocationGroup:
    found = next(iter(await reads.location_groups(tx, [code])), None)
    if found is None:
        raise UnknownLocationGroup(key=code)
    return found


@get("/location-groups/{code:str}", opt={"permission": "network:read"})
async def group_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one group: its locations, and the rules that name it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "groups")
        found = await _group(tx, code)
        places = {p.code: p for p in await reads.locations(tx) if web.caller_of(request).sees(p.id)}
        used = (await _rules_by_group(tx)).get(code, [])
    members = [places[member] for member in found.locations if member in places]
    return render.html(
        "groups/show.html",
        shell=around,
        may=around.may,
        may_change=_may_shape(request, "network:write"),
        may_rules=shell.may_shape(request),
        g=found,
        members=[(p, _(say.LOCATION_KIND[p.kind])) for p in members],
        hidden=len(found.locations) - len(members),
        rules=[(rule, amount_of(rule), conditions_of(rule)) for rule in used],
    )


async def _terms(tx: Tx, request: web.Asking, code: str | None) -> dict[str, Any]:
    refuse_limited(tx)
    around = await shell.around(tx, request, "groups")
    found = None if code is None else await _group(tx, code)
    places = sorted(await reads.locations(tx), key=lambda p: fold(p.name))
    members = set(found.locations) if found else set()
    return {
        "shell": around,
        "may": around.may,
        "g": found,
        "version": found.version if found else 0,
        "action": f"/location-groups/{quote(code, safe='')}/edit" if code else "/location-groups:new",
        "back": f"/location-groups/{quote(code, safe='')}" if code else "/location-groups",
        "places": [(p.code, p.name, _(say.LOCATION_KIND[p.kind]), p.code in members) for p in places],
    }


def _draft(read: Filled) -> LocationGroupDraft:
    chosen = sorted({str(code)[:80] for code in read.form.getall("locations", [])})
    return LocationGroupDraft(name=read.text("name", 201), locations=chosen)


async def _make(tx: Tx, read: Filled) -> str:
    read.refuse()
    return (await ownership.put_group(tx, read.text("code", 81), _draft(read), None)).code


async def _change(tx: Tx, _request: web.Asking, read: Filled, code: str) -> None:
    read.refuse()
    await ownership.put_group(tx, code, _draft(read), read.version())


GROUP_FORM = Form(
    path="/location-groups",
    template="groups/form.html",
    terms=_terms,
    make=_make,
    change=_change,
    made=N_("Group of locations created"),
    changed=N_("Group of locations saved"),
)


@post("/location-groups/{code:str}/delete", opt={"permission": "network:write"}, status_code=200)
async def group_delete(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Delete a group that no rule names."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await ruling.let_go_of_group(tx, code)
        await ownership.remove_group(tx, code, read.version())
    return web.go_on(request, "/location-groups", _("Group of locations deleted"))


# --- groups of customers ---


def _may_tally(request: web.Asking) -> bool:
    """Return whether the caller may know what buyers ordered: it is counted over all locations."""
    caller = web.caller_of(request)
    return caller.may("orders:read") and caller.locations is None


async def _bought(tx: Tx, request: web.Asking, codes: list[str]) -> dict[str, Bought]:
    return await group_reads.bought(tx, codes, DAYS) if _may_tally(request) else {}


@get("/customer-groups", opt={"permission": "stock:read"})
async def customer_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the customer groups, what names them and what their buyers ordered; and codes that only orders state."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "groups")
        found = await groups.groups(tx)
        stated = await group_reads.stated(tx) if _may_tally(request) else []
        bought = await _bought(tx, request, sorted({*stated, *(g.code for g in found)}))
    known = {g.code for g in found}
    return render.html(
        "groups/customers.html",
        shell=around,
        may=around.may,
        may_change=shell.may_shape(request),
        rows=[(g, bought.get(g.code)) for g in found],
        tallied=_may_tally(request),
        unnamed=[(code, bought.get(code)) for code in stated if code not in known],
        days=DAYS,
        exports=export.choices(str, "/customer-groups:export"),
    )


@get(export.paths("/customer-groups:export"), opt={"permission": "stock:read"})
async def customer_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the customer groups as a file."""
    async with web.reading(request) as tx:
        found = await groups.groups(tx)
        bought = await _bought(tx, request, [g.code for g in found])
    nothing = 0 if _may_tally(request) else None

    def cells(g: CustomerGroup) -> list[Any]:
        row = bought.get(g.code)
        orders, last = (row.orders, row.last) if row else (nothing, None)
        return [g.code, g.name, " ".join(g.allotments), orders, last, g.note]

    return export.send_all(request, "customer-groups", CUSTOMER_COLUMNS, found, cells)


async def _customer_form(tx: Tx, request: web.Asking, code: str | None, suggested: str = "") -> Response[str]:
    if code is None:
        refuse_limited(tx)
    around = await shell.around(tx, request, "groups")
    found = None if code is None else await groups.group(tx, code)
    bought = (await _bought(tx, request, [code])).get(code) if code else None
    return render.html(
        "groups/customer.html",
        shell=around,
        may=around.may,
        may_change=shell.may_shape(request),
        g=found,
        suggested=suggested,
        version=found.version if found else 0,
        tallied=_may_tally(request),
        bought=bought,
        days=DAYS,
        action=f"/customer-groups/{quote(code, safe='')}/edit" if code else "/customer-groups:new",
    )


@get("/customer-groups:new", opt={"permission": "stock:write"})
async def customer_new(request: Request[Any, Any, Any], code: FromQuery[str] = "") -> Response[str]:
    """Show the empty form, perhaps with a code that orders state."""
    async with web.reading(request) as tx:
        return await _customer_form(tx, request, None, code[: groups.MOST])


@get("/customer-groups/{code:str}/edit", opt={"permission": "stock:read"})
async def customer_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show a customer group: where it is used, and its form for who may change it."""
    async with web.reading(request) as tx:
        return await _customer_form(tx, request, code)


def _customer_draft(read: Filled) -> CustomerGroupDraft:
    return CustomerGroupDraft(name=read.text("name", 81), note=read.text("note", 501))


@post("/customer-groups:new", opt={"permission": "stock:write"}, status_code=200)
async def customer_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Name a customer group."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await groups.put(tx, read.text("code", 81), _customer_draft(read), None)
    return web.go_on(request, "/customer-groups", _("Customer group created"))


@post("/customer-groups/{code:str}/edit", opt={"permission": "stock:write"}, status_code=200)
async def customer_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change a customer group nobody else changed since the form was opened."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await groups.put(tx, code, _customer_draft(read), read.version())
    return web.go_on(request, "/customer-groups", _("Customer group saved"))


@post("/customer-groups/{code:str}/delete", opt={"permission": "stock:write"}, status_code=200)
async def customer_delete(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Forget a customer group that no allotment names."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await groups.remove(tx, code, read.version())
    return web.go_on(request, "/customer-groups", _("Customer group deleted"))


HANDLERS = [
    group_list,
    group_export,
    group_show,
    *record_form.handlers(GROUP_FORM),
    group_delete,
    customer_list,
    customer_export,
    customer_new,
    customer_create,
    customer_edit,
    customer_change,
    customer_delete,
]
