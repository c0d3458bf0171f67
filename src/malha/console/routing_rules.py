"""Routing rules on screen: what is in force, drafts and history; the runs of a set as cards; forms; trying; comparing.

A draft is changed run by run and rule by rule, each time under its version.
"""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.console import export, filling, render, rule_tables, shell, web
from malha.console import network_words as say
from malha.console import routing_rule_words as words
from malha.console.filling import Filled
from malha.console.routing_rule_forms import rule_of, run_of, tiers_of
from malha.console.words import Sign
from malha.intake.trying_rules import Trial, TrialLine, Tried, try_rules
from malha.network import reads as network
from malha.network.model import LocationKind
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.i18n import N_, Word, _
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold
from malha.routing.ruling import reads, service
from malha.routing.ruling.errors import RuleSetNotFound
from malha.routing.ruling.model import Content, Rule, RuleSet, Run, Status, Where

DRAFT = Sign(N_("Draft"), "neutral", "dash")
IN_FORCE = Sign(N_("In force"), "done", "done")
TO_COME = Sign(N_("To come"), "wait", "dash")
EARLIER = Sign(N_("Earlier"), "neutral", "dash")
ENDED = Sign(N_("Ended by its date"), "neutral", "dash")
WITHDRAWN = Sign(N_("Withdrawn"), "neutral", "x")
MOST_EXPORTED = 10_000
Asking = Request[Any, Any, Any]


def sign_of(found: RuleSet, at: datetime) -> Sign:
    """Return how a rule set stands."""
    if found.status is Status.DRAFT:
        return DRAFT
    if found.status is Status.WITHDRAWN:
        return WITHDRAWN
    if found.in_force:
        return IN_FORCE
    if found.effective_until is not None and found.effective_until <= at:
        return ENDED
    return TO_COME if found.effective_from is not None and found.effective_from > at else EARLIER


async def _names(tx: Tx) -> words.Names:
    return {
        "channels": {c.code: c.name for c in await network.channels(tx)},
        "groups": {g.code: g.name for g in await network.location_groups(tx)},
        "locations": {x.code: x.name for x in await network.locations(tx)},
        "categories": {c.code: c.name for c in await catalog.categories(tx)},
    }


def _cards(content: Content, names: words.Names) -> list[dict[str, Any]]:
    return [
        {
            "name": run.name,
            "when": words.when_says(run.when, names),
            "rules": [
                {
                    "name": rule.name,
                    "where": words.where_says(rule.where, names),
                    "order": words.order_says(rule, names),
                    "limits": words.limits_say(rule, names),
                    "ending": words.ending_says(rule, names),
                    "stops": rule.unfilled != "next",
                }
                for rule in run.rules
            ],
        }
        for run in content.runs
    ]


# --- the list ---


@get("/routing-rules", opt={"permission": "network:read"})
async def rule_sets(request: Asking) -> Response[str]:
    """Show what is in force, the drafts and the history."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "routing_rules")
        refuse_limited(tx)
        found = await reads.rule_sets(tx)
        counts = await reads.decided_by(tx, [x.number for x in found if x.number is not None])
        names = await _names(tx)
        table = (
            None
            if (force := next((x for x in found if x.in_force), None)) is None
            else await rule_tables.view(tx, force, names)
        )
    at = now()
    current = next((x for x in found if x.in_force), None)
    return render.html(
        "routing_rules/list.html",
        shell=around,
        may=around.may,
        current=current,
        table=table,
        cards=[] if current is None else _cards(current.content, names),
        drafts=[x for x in found if x.status is Status.DRAFT],
        history=[(x, sign_of(x, at), counts.get(x.number or 0, 0)) for x in found if x.status is not Status.DRAFT],
        exports=export.choices(str, "/routing-rules:export"),
    )


COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("State")), Column(N_("From"), Kind.MOMENT),
    Column(N_("Until"), Kind.MOMENT), Column(N_("Orders"), Kind.WHOLE), Column(N_("Note"), width=48),
    Column(N_("Runs"), Kind.WHOLE), Column(N_("Published by"), width=24), Column(N_("Published"), Kind.MOMENT),
    Column(N_("Began as"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/routing-rules:export"), opt={"permission": "network:read"})
async def rule_sets_export(request: Asking) -> Stream:
    """Send the rule sets as a file."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await reads.rule_sets(tx, MOST_EXPORTED)
        counts = await reads.decided_by(tx, [x.number for x in found if x.number is not None])
    at = now()

    def cells(x: RuleSet) -> list[Any]:
        return [
            x.number, _(sign_of(x, at).word), x.effective_from, x.effective_until,
            counts.get(x.number or 0, 0), x.note,
            len(x.content.runs), x.published_by, x.published_at, x.based_on,
        ]  # fmt: skip

    return export.send_all(request, "routing-rules", COLUMNS, found, cells)


@post("/routing-rules:new", opt={"permission": "network:write"}, status_code=200)
async def rule_set_start(request: Asking) -> Response[Any]:
    """Start a draft, empty or as a published set."""
    read = filling.filled(await request.form())
    number = read.maybe_whole("based_on")
    read.refuse()
    async with web.writing(request) as tx:
        made = await service.start_draft(tx, based_on=number)
    return web.go_on(request, f"/routing-rules/{made.id}", _("Draft started"))


@post("/routing-rules:rollback", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rule_set_back(request: Asking) -> Response[Any]:
    """Publish an earlier set anew."""
    read = filling.filled(await request.form())
    number = read.whole("number")
    at = read.instant("effective_from", i18n.current_zone())
    until = read.instant("effective_until", i18n.current_zone())
    read.refuse()
    async with web.writing(request) as tx:
        note = read.text("note", 500)
        made = await service.roll_back(tx, number, effective_from=at, effective_until=until, note=note)
    return web.go_on(request, f"/routing-rules/{made.id}", _("Rule set {number} published", number=made.number))


# --- one set ---


@get("/routing-rules/{id:int}", opt={"permission": "network:read"})
async def rule_set(request: Asking, id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show a rule set: its runs, what it changes, and a form to try it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "routing_rules")
        refuse_limited(tx)
        found = await service.show(tx, id)
        everything = await reads.rule_sets(tx)
        names = await _names(tx)
        table = await rule_tables.view(tx, found, names)
        counts = await reads.decided_by(tx, [] if found.number is None else [found.number])
        channels = sorted(await network.channels(tx), key=lambda c: fold(c.name))
    at = now()
    other = _compared(found, everything)
    return render.html(
        "routing_rules/show.html",
        shell=around,
        may=around.may,
        s=found,
        sign_=sign_of(found, at),
        draft=found.status is Status.DRAFT,
        to_come=sign_of(found, at) is TO_COME,
        lasts=sign_of(found, at) in {TO_COME, IN_FORCE, EARLIER},
        cards=_cards(found.content, names),
        table=table,
        orders=counts.get(found.number or 0, 0),
        other=other,
        changes=words.changes(Content() if other is None else other.content, found.content, names),
        channels=[(c.code, c.name) for c in channels],
        methods=list(filling.options(words.METHODS)),
    )


def _compared(found: RuleSet, everything: list[RuleSet]) -> RuleSet | None:
    """Return what a set is compared with: the one in force, or, for a published one, the one before it."""
    if found.status is Status.DRAFT:
        return next((x for x in everything if x.in_force), None)
    before = [x for x in everything if x.number is not None and found.number is not None and x.number < found.number]
    return max(before, key=lambda x: x.number or 0, default=None)


def _edit(found: RuleSet, read: Filled) -> list[Run]:
    """Return the runs of a draft that nobody changed since the form was opened."""
    if found.version != read.version():
        raise Conflict(what=Word(N_("Routing rules")), key=str(found.id))
    return list(found.content.runs)


async def _save(tx: Tx, found: RuleSet, runs: list[Run], at: str = "") -> None:
    """Save a draft's runs; what is wrong with the part that was edited is told by the fields of its form."""
    try:
        content = msgspec.structs.replace(found.content, runs=runs)
        await service.save_draft(tx, found.id, content, found.version)
    except Invalid as refused:
        raise Invalid(
            [msgspec.structs.replace(flaw, at=_field(flaw.at, at)) for flaw in refused.flaws]
        ) from refused  # fmt: skip


def _field(pointer: str, at: str) -> str:
    inside = pointer.removeprefix(f"{at}/") if at else pointer
    inside = inside.removeprefix("when/")
    head, _sep, last = inside.rpartition("/")
    # A field of the form holds a whole list of codes; conditions on attributes are one field.
    inside = head if last.isdigit() and not head.endswith("prefer") else inside
    return "attributes" if inside.startswith("attributes") else inside


@post("/routing-rules/{id:int}/move", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rule_set_move(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Move a run, or a rule in its run, one place up or down."""
    read = filling.filled(await request.form())
    run, rule, up = read.whole("run"), read.maybe_whole("rule"), read.text("to") == "up"
    read.refuse()
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        runs = _edit(found, read)
        _known(found, run, rule)
        if rule is None:
            _swap(runs, run, up=up)
        else:
            rules = list(runs[run].rules)
            _swap(rules, rule, up=up)
            runs[run] = msgspec.structs.replace(runs[run], rules=rules)
        await _save(tx, found, runs)
    return web.go_on(request, f"/routing-rules/{id}", _("Order changed"))


def _swap(rows: list[Any], n: int, *, up: bool) -> None:
    other = n - 1 if up else n + 1
    if 0 <= other < len(rows):
        rows[n], rows[other] = rows[other], rows[n]


def _known(found: RuleSet, run: int, rule: int | None = None) -> Run:
    if not 0 <= run < len(found.content.runs):
        raise RuleSetNotFound(key=f"{found.id}/{run + 1}")
    known = found.content.runs[run]
    if rule is not None and not 0 <= rule < len(known.rules):
        raise RuleSetNotFound(key=f"{found.id}/{run + 1}/{rule + 1}")
    return known


@post("/routing-rules/{id:int}/remove", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rule_set_remove(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Take a run, or a rule of one, out of a draft."""
    read = filling.filled(await request.form())
    run, rule = read.whole("run"), read.maybe_whole("rule")
    read.refuse()
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        runs = _edit(found, read)
        known = _known(found, run, rule)
        if rule is None:
            del runs[run]
        else:
            rules = [r for n, r in enumerate(known.rules) if n != rule]
            runs[run] = msgspec.structs.replace(known, rules=rules)
        await _save(tx, found, runs)
    return web.go_on(request, f"/routing-rules/{id}", _("Run removed") if rule is None else _("Rule removed"))


@post("/routing-rules/{id:int}/publish", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rule_set_publish(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Publish a draft, at once or from a time on."""
    read = filling.filled(await request.form())
    at = read.instant("effective_from", i18n.current_zone())
    until = read.instant("effective_until", i18n.current_zone())
    note = read.text("note", 500)
    read.refuse()
    async with web.writing(request) as tx:
        made = await service.publish(
            tx, id, read.version(), effective_from=at, effective_until=until, note=note or None
        )
    return web.go_on(request, f"/routing-rules/{id}", _("Rule set {number} published", number=made.number))


@post("/routing-rules/{id:int}/end", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def rule_set_end(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """State when a published set ends, as long as it is as the person saw it; empty: not by itself."""
    read = filling.filled(await request.form())
    until = read.instant("effective_until", i18n.current_zone())
    read.refuse()
    async with web.writing(request) as tx:
        await service.end_at(tx, id, until, read.version())
    return web.go_on(request, f"/routing-rules/{id}", _("End changed"))


@post("/routing-rules/{id:int}/withdraw", opt={"permission": "network:write"}, status_code=200)
async def rule_set_withdraw(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Take back a set whose time has not come, as long as it is as the person saw it."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.withdraw(tx, id, read.version())
    return web.go_on(request, f"/routing-rules/{id}", _("Rule set withdrawn"))


@post("/routing-rules/{id:int}/discard", opt={"permission": "network:write"}, status_code=200)
async def rule_set_discard(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Throw a draft away."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.drop_draft(tx, id, read.version())
    return web.go_on(request, "/routing-rules", _("Draft thrown away"))


@post("/routing-rules/{id:int}/try", opt={"permission": "network:read"}, status_code=200)
async def rule_set_try(request: Asking, id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Tell what a set would do now with an order or an example; nothing is written."""
    read = filling.filled(await request.form())
    trial = _trial(read, id)
    read.refuse()
    async with web.writing(request) as tx:
        tried = await try_rules(tx, trial)
    return render.html("routing_rules/tried.html", tried=tried, plan=_plan(tried))


def _trial(read: Filled, id_: int) -> Trial:
    order = read.maybe_whole("order")
    if order is not None:
        return Trial(rule_set=id_, order=max(order, 1))
    lines = []
    for part in read.text("lines", 2_000).replace("\n", ",").split(","):
        sku, _sep, quantity = part.strip().partition(" ")
        if sku:
            count = quantity.strip().lstrip("x") or "1"
            if not (count.isascii() and count.isdigit() and 0 < int(count[:9]) <= 1_000_000):
                read.wrong(
                    "lines", N_("{value} is no quantity."), N_("Write the SKU, a space and how many."), value=count[:20]
                )
                count = "1"
            lines.append(TrialLine(sku[:80], int(count)))
    return Trial(
        rule_set=id_,
        channel=read.text("channel", 80) or None,
        to_state=read.text("to_state", 2).upper() or None,
        postal_code=read.text("postal_code", 9) or None,
        value=read.maybe_scaled("value", 2),
        lines=lines,
    )


def _plan(tried: Tried) -> list[tuple[str, list[str]]]:
    """Return what leaves each location."""
    found: dict[str, list[str]] = {}
    for place in tried.places:
        found.setdefault(place.name, []).append(f"{i18n.number(place.quantity)} x {place.sku}")
    return list(found.items())


# --- forms ---


async def _run_form(tx: Tx, request: Asking, id_: int, run: int | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "routing_rules")
    refuse_limited(tx)
    found = await service.show(tx, id_)
    known = None if run is None else _known(found, run)
    when = known.when if known else Run(name="-").when
    return {
        "shell": around,
        "may": around.may,
        "s": found,
        "run": known,
        "w": when,
        "action": f"/routing-rules/{id_}/runs:new" if run is None else f"/routing-rules/{id_}/runs/{run}/edit",
        "channels": [(c.code, c.name) for c in sorted(await network.channels(tx), key=lambda c: fold(c.name))],
        "methods": list(filling.options(words.METHODS)),
        "attributes": "\n".join(f"{name}: {', '.join(values)}" for name, values in when.attributes.items()),
        "weekdays": [(str(n), _(day)) for n, day in enumerate(words.DAYS, 1)],
        "goods": [("any", _("at least one line")), ("all", _("every line"))],
    }


@get("/routing-rules/{id:int}/runs:new", opt={"permission": "network:write"})
async def run_new(request: Asking, id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the empty form of a run."""
    async with web.reading(request) as tx:
        return render.html("routing_rules/run.html", **await _run_form(tx, request, id, None))


@get("/routing-rules/{id:int}/runs/{run:int}/edit", opt={"permission": "network:write"})
async def run_edit(request: Asking, id: FromPath[int], run: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the form of a run."""
    async with web.reading(request) as tx:
        return render.html("routing_rules/run.html", **await _run_form(tx, request, id, run))


@post("/routing-rules/{id:int}/runs:new", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def run_create(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Add a run at the end."""
    read = filling.filled(await request.form())
    made = run_of(read, None)
    read.refuse()
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        runs = [*_edit(found, read), made]
        await _save(tx, found, runs, f"runs/{len(runs) - 1}")
    return web.go_on(request, f"/routing-rules/{id}", _("Run added"))


@post(
    "/routing-rules/{id:int}/runs/{run:int}/edit",
    opt={"permission": "network:write", "everywhere": True},
    status_code=200,
)
async def run_change(request: Asking, id: FromPath[int], run: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Change a run's name and conditions."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        runs = _edit(found, read)
        before = _known(found, run)
        runs[run] = run_of(read, before)
        read.refuse()
        await _save(tx, _renamed(found, before.name, runs[run].name), runs, f"runs/{run}")
    return web.go_on(request, f"/routing-rules/{id}", _("Run saved"))


def _renamed(found: RuleSet, before: str, after: str) -> RuleSet:
    """Return a rule set whose table names a run as it is called from now on."""
    table = found.content.table
    if before == after or all(row.then.run != before for row in table.rows):
        return found
    rows = [
        msgspec.structs.replace(row, then=msgspec.structs.replace(row.then, run=after))
        if row.then.run == before
        else row
        for row in table.rows
    ]
    content = msgspec.structs.replace(found.content, table=msgspec.structs.replace(table, rows=rows))
    return msgspec.structs.replace(found, content=content)


async def _rule_form(tx: Tx, request: Asking, id_: int, run: int, rule: int | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "routing_rules")
    refuse_limited(tx)
    found = await service.show(tx, id_)
    known = _known(found, run, rule)
    shown = None if rule is None else known.rules[rule]
    places = await network.locations(tx)
    brought = await network.brought_to(tx)
    at = f"/routing-rules/{id_}/runs/{run}/rules"
    return {
        "shell": around,
        "may": around.may,
        "s": found,
        "run": known,
        "r": shown,
        "where": shown.where if shown else Where(),
        "tiers": tiers_of(shown),
        "action": f"{at}:new" if rule is None else f"{at}/{rule}/edit",
        "kinds": list(filling.options(say.LOCATION_KIND)),
        "groups": [(g.code, g.name) for g in await network.location_groups(tx)],
        "unfilled": list(filling.options(words.UNFILLED)),
        "vendors": [(x.code, x.name) for x in places if x.kind is LocationKind.VENDOR],
        "hubs": [(x.code, x.name) for x in places if x.home in brought and x.can_ship],
    }


@get("/routing-rules/{id:int}/runs/{run:int}/rules:new", opt={"permission": "network:write"})
async def rule_new(request: Asking, id: FromPath[int], run: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the empty form of a rule."""
    async with web.reading(request) as tx:
        return render.html("routing_rules/rule.html", **await _rule_form(tx, request, id, run, None))


@get("/routing-rules/{id:int}/runs/{run:int}/rules/{rule:int}/edit", opt={"permission": "network:write"})
async def rule_edit(request: Asking, id: FromPath[int], run: FromPath[int], rule: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the form of a rule."""
    async with web.reading(request) as tx:
        return render.html("routing_rules/rule.html", **await _rule_form(tx, request, id, run, rule))


@post(
    "/routing-rules/{id:int}/runs/{run:int}/rules:new",
    opt={"permission": "network:write", "everywhere": True},
    status_code=200,
)
async def rule_create(request: Asking, id: FromPath[int], run: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Add a rule at the end of a run."""
    read = filling.filled(await request.form())
    made = rule_of(read)
    read.refuse()
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        await _put_rule(tx, found, read, run, len(_known(found, run).rules), made)
    return web.go_on(request, f"/routing-rules/{id}", _("Rule added"))


@post(
    "/routing-rules/{id:int}/runs/{run:int}/rules/{rule:int}/edit",
    opt={"permission": "network:write", "everywhere": True},
    status_code=200,
)
async def rule_change(request: Asking, id: FromPath[int], run: FromPath[int], rule: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Change a rule."""
    read = filling.filled(await request.form())
    made = rule_of(read)
    read.refuse()
    async with web.writing(request) as tx:
        found = await service.show(tx, id)
        _known(found, run, rule)
        await _put_rule(tx, found, read, run, rule, made)
    return web.go_on(request, f"/routing-rules/{id}", _("Rule saved"))


async def _put_rule(tx: Tx, found: RuleSet, read: Filled, run: int, n: int, made: Rule) -> None:
    runs = _edit(found, read)
    rules = list(runs[run].rules)
    rules[n : n + 1] = [made]
    runs[run] = msgspec.structs.replace(runs[run], rules=rules)
    await _save(tx, found, runs, f"runs/{run}/rules/{n}")


HANDLERS = [
    rule_sets,
    rule_sets_export,
    rule_set_start,
    rule_set_back,
    rule_set,
    rule_set_move,
    rule_set_remove,
    rule_set_publish,
    rule_set_end,
    rule_set_withdraw,
    rule_set_discard,
    rule_set_try,
    run_new,
    run_edit,
    run_create,
    run_change,
    rule_new,
    rule_edit,
    rule_create,
    rule_change,
    *rule_tables.HANDLERS,
]
