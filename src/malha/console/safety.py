"""Safety rules on screen: the list in the order in which they win, and a form that tells what would change."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, short_lists, web
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.inventory.safety import reads, rules, service
from malha.inventory.safety.errors import UnknownSafetyRule
from malha.inventory.safety.model import Measure, Precedence, Purpose, SafetyRule, SafetyRuleDraft
from malha.network import reads as network
from malha.network.model import LocationKind
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold

PURPOSE = {Purpose.ROUTING: N_("Not sold"), Purpose.ONLINE: N_("Not published")}
MEASURE = {
    Measure.UNITS: N_("units"),
    Measure.PERCENT: N_("percent of what is on hand"),
    Measure.DAYS: N_("days of what lately left"),
}
PRECEDENCE = {
    Precedence.MORE_CONDITIONS: N_("has more conditions"),
    Precedence.ENDS_EARLIER: N_("ends earlier"),
    Precedence.DIMENSION: N_("names something more telling"),
    Precedence.DEEPER_CATEGORY: N_("names a deeper category"),
    Precedence.NAME: N_("its name comes first"),
    Precedence.CHANGED_LATER: N_("was changed later"),
}
# (field of a rule, message id), in the order in which they are told.
CONDITIONS = (
    ("location", N_("location {value}")),
    ("location_group", N_("group {value}")),
    ("sku", N_("SKU {value}")),
    ("product", N_("product {value}")),
    ("state", N_("state {value}")),
    ("brand", N_("brand {value}")),
    ("category", N_("category {value}")),
    ("channel", N_("channel {value}")),
)


def amount_of(rule: SafetyRule | SafetyRuleDraft) -> str:
    """Return what a rule keeps back, in words."""
    if rule.measure is Measure.UNITS:
        return n_("{n} unit", "{n} units", rule.amount)
    if rule.measure is Measure.PERCENT:
        return _("{n}% of what is on hand", n=rule.amount)
    return n_("{n} day of what lately left", "{n} days of what lately left", rule.amount)


def conditions_of(rule: SafetyRule) -> str:
    """Return what a rule asks for, in words."""
    told = [_(says, value=value) for name, says in CONDITIONS if (value := getattr(rule, name))]
    if rule.location_kind:
        told.insert(0, _(say.LOCATION_KIND[LocationKind(rule.location_kind)]))
    return ", ".join(told) or _("everywhere, everything")


class Asked(short_lists.Sought, frozen=True, kw_only=True):
    """What the address of the list says."""

    purpose: str = "routing"


def _asked(request: web.Asking) -> Asked:
    online = request.query_params.get("purpose") == "online"
    return Asked(
        q=short_lists.text_of(request),
        page=short_lists.page_number(request),
        purpose=(Purpose.ONLINE if online else Purpose.ROUTING).value,
    )


async def _found(tx: Tx, asked: Asked) -> tuple[list[SafetyRule], dict[int, int]]:
    """Return the rules of both purposes that have what is sought, and by id the rank of each in its own purpose.

    A word that is said of a rule in the reader's language is found as well as what the rule itself says.
    """
    everything = await reads.rules_in_sight(tx)
    ranks = {r.id: n for p in Purpose for n, r in enumerate((r for r in everything if r.purpose is p), start=1)}
    if asked.q:
        said = await reads.texts(tx)
        everything = [r for r in everything if short_lists.holds(f"{said[r.id]} {fold(conditions_of(r))}", asked.q)]
    return everything, ranks


@get("/safety-rules", opt={"permission": "stock:read"})
async def safety_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the rules of one purpose in the order in which they win."""
    asked = _asked(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "safety")
        everything, ranks = await _found(tx, asked)
    found = [r for r in everything if r.purpose == asked.purpose]
    why = {a.id: rules.why_before(a, b) for a, b in pairwise(found)}
    at = now()
    listed = short_lists.shown(found, asked, "/safety-rules")
    rows = [
        {
            "rule": rule,
            "rank": ranks[rule.id],
            "conditions": conditions_of(rule),
            "amount": amount_of(rule),
            "why": _(PRECEDENCE[why[rule.id]]) if rule.id in why else "",
            "on": rules.is_in_force(rule, at),
        }
        for rule in listed.rows
    ]
    counts = {p: sum(r.purpose is p for r in everything) for p in Purpose}
    return render.html(
        "safety/list.html",
        shell=around,
        may=around.may,
        may_shape=shell.may_shape(request),
        rows=rows,
        listed=listed,
        asked=asked,
        tabs=[
            (p.value, _(PURPOSE[p]), counts[p], asked.address("/safety-rules", purpose=p.value), p == asked.purpose)
            for p in Purpose
        ],
        exports=export.choices(asked.address, "/safety-rules:export"),
    )


COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=32), Column(N_("Purpose"), width=18), Column(N_("Order"), Kind.WHOLE),
    Column(N_("For"), width=40), Column(N_("Keeps back"), width=32), Column(N_("From"), Kind.MOMENT),
    Column(N_("Until"), Kind.MOMENT), Column(N_("In force")),
)  # fmt: skip


@get(export.paths("/safety-rules:export"), opt={"permission": "stock:read"})
async def safety_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the rules of both purposes that have what is sought as a file, in the order in which they win."""
    async with web.reading(request) as tx:
        everything, ranks = await _found(tx, _asked(request))
    at = now()
    ranked = [(ranks[rule.id], rule) for p in Purpose for rule in everything if rule.purpose is p]

    def cells(row: tuple[int, SafetyRule]) -> list[Any]:
        place, rule = row
        in_force = _("yes") if rules.is_in_force(rule, at) else _("no")
        return [
            rule.code, rule.name, _(PURPOSE[rule.purpose]), place, conditions_of(rule), amount_of(rule),
            rule.starts_at, rule.ends_at, in_force,
        ]  # fmt: skip

    return export.send_all(request, "safety-rules", COLUMNS, ranked, cells)


async def _one(tx: Tx, code: str) -> SafetyRule:
    found = next((r for r in await reads.rules_in_sight(tx) if r.code == code), None)
    if found is None:
        raise UnknownSafetyRule(key=code)
    return found


async def _form(tx: Tx, request: Request[Any, Any, Any], code: str | None) -> dict[str, Any]:
    refuse_limited(tx)
    around = await shell.around(tx, request, "safety")
    found = None if code is None else await _one(tx, code)
    places = sorted(await network.locations(tx), key=lambda x: fold(x.name))
    return {
        "shell": around,
        "may": around.may,
        "r": found,
        "version": found.version if found else 0,
        "action": f"/safety-rules/{code}/edit" if found else "/safety-rules:new",
        "back": "/safety-rules" + ("?purpose=online" if found and found.purpose is Purpose.ONLINE else ""),
        "purposes": list(filling.options(PURPOSE)),
        "measures": list(filling.options(MEASURE)),
        "kinds": list(filling.options(say.LOCATION_KIND)),
        "states": [(s, s) for s in sorted(STATES)],
        "places": [(x.code, f"{x.name} ({x.code})") for x in places],
        "groups": [(g.code, g.name) for g in await network.location_groups(tx)],
        "channels": [(c.code, c.name) for c in sorted(await network.channels(tx), key=lambda c: fold(c.name))],
        "starts": _local(found.starts_at) if found else "",
        "ends": _local(found.ends_at) if found else "",
    }


def _local(at: datetime | None) -> str:
    return render.local_input(at) if at else ""


@get("/safety-rules:new", opt={"permission": "stock:write"})
async def safety_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        return render.html("safety/form.html", **await _form(tx, request, None))


@get("/safety-rules/{code:str}/edit", opt={"permission": "stock:write"})
async def safety_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show a rule's form."""
    async with web.reading(request) as tx:
        return render.html("safety/form.html", **await _form(tx, request, code))


@post("/safety-rules:new", opt={"permission": "stock:write", "everywhere": True}, status_code=200)
async def safety_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Create a rule."""
    read = filling.filled(await request.form())
    draft = _draft(read, read.text("code", 40))
    read.refuse()
    async with web.writing(request) as tx:
        await service.put(tx, draft, None)
    return web.go_on(request, f"/safety-rules?purpose={draft.purpose}", _("Safety rule created"))


@post("/safety-rules/{code:str}/edit", opt={"permission": "stock:write", "everywhere": True}, status_code=200)
async def safety_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change a rule that nobody else changed since the form was opened."""
    read = filling.filled(await request.form())
    draft = _draft(read, code)
    read.refuse()
    async with web.writing(request) as tx:
        await service.put(tx, draft, read.version())
    return web.go_on(request, f"/safety-rules?purpose={draft.purpose}", _("Safety rule saved"))


@post("/safety-rules/{code:str}/delete", opt={"permission": "stock:write"}, status_code=200)
async def safety_delete(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Delete a rule that nobody else changed since the form was opened."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.remove(tx, code, read.version())
    return web.go_on(request, "/safety-rules", _("Safety rule deleted"))


@post("/safety-rules:try", opt={"permission": "stock:write", "everywhere": True}, status_code=200)
async def safety_try(request: Request[Any, Any, Any]) -> Response[str]:
    """Tell what the form would change; nothing is written."""
    read = filling.filled(await request.form())
    draft = _draft(read, read.text("code", 40) or "-")
    read.refuse()
    async with web.reading(request) as tx:
        trial = await service.try_out(tx, draft)
    return render.html("safety/trial.html", trial=trial, online=draft.purpose is Purpose.ONLINE)


def _draft(read: Filled, code: str) -> SafetyRuleDraft:
    zone = i18n.current_zone()
    return SafetyRuleDraft(
        code=code,
        name=read.text("name") or (code if code != "-" else ""),
        purpose=read.choice("purpose", Purpose),
        measure=read.choice("measure", Measure),
        amount=read.whole("amount"),
        location=read.text("location", 80) or None,
        location_group=read.text("location_group", 80) or None,
        location_kind=read.text("location_kind", 40) or None,
        state=read.text("state", 2) or None,
        sku=read.text("sku", 80) or None,
        product=read.text("product", 80) or None,
        category=read.text("category", 80) or None,
        brand=read.text("brand", 120) or None,
        channel=read.text("channel", 80) or None,
        starts_at=read.instant("starts_at", zone),
        ends_at=read.instant("ends_at", zone),
        active=read.flag("active"),
    )


HANDLERS = [
    safety_list,
    safety_export,
    safety_new,
    safety_create,
    safety_edit,
    safety_change,
    safety_delete,
    safety_try,
]
