"""Costs of routing: what is compared besides freight and handling, what was learned of locations, tables as files."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, uploads, web
from malha.console.filling import Filled
from malha.fiscal import tax_cost_reads, tax_costs
from malha.fiscal.tax_cost_reads import TaxCost
from malha.network import reads as network
from malha.network.model import Channel, Location
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.imports import Problem
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as Cell
from malha.platform.text import fold
from malha.routing import cost_reads, costs
from malha.routing.cost_files import MARKDOWN_HEADER, TAX_HEADER, read_markdowns, read_tax
from malha.routing.cost_model import Aging, Carton, ChannelCosts, Costs, Kind, Markdown, Reach, Restriction, Risk, Step
from malha.routing.cost_rules import LEAST_OUTCOMES, centavos_of

SEE, CHANGE = "network:read", "network:write"
HERE = "/routing-costs"
MORE = 3  # empty rows at the end of each small table
MOST_ROWS = 500  # that a form is read for
MOST_PROBLEMS = 20
KINDS = {
    Kind.BRAND: N_("Brand"),
    Kind.CATEGORY: N_("Category (code)"),
    Kind.NCM: N_("NCM, first digits"),
    Kind.ATTRIBUTE: N_("Attribute (name=value)"),
}
TAX_COLUMNS = tuple(Column(name, Cell.MONEY if name == "per_unit" else Cell.TEXT, fixed=True) for name in TAX_HEADER)
MARKDOWN_COLUMNS = tuple(
    Column(name, Cell.MONEY if name == "credit" else Cell.TEXT, fixed=True) for name in MARKDOWN_HEADER
)
RISK_COLUMNS = (
    Column(N_("Location")),
    Column(N_("Name"), width=28),
    Column(N_("Orders asked for"), Cell.WHOLE),
    Column(N_("Given back"), Cell.WHOLE),
    Column(N_("Chance of being given back, %")),
    Column(N_("Promises"), Cell.WHOLE),
    Column(N_("Broken"), Cell.WHOLE),
    Column(N_("Chance of being late, %")),
)


class Read(NamedTuple):
    """The tables of the document as they are read: words and numbers."""

    cartons: list[tuple[str, str]]
    capacity: list[tuple[str, str]]
    channels: list[tuple[str, ChannelCosts]]
    reach: list[tuple[str, str]]
    restrictions: list[tuple[str, str, bool, str]]  # what, value, whether only these serve it, codes


class Learned(NamedTuple):
    """A location's risks as they are drawn: the share as text and as the length of a bar, and what it costs."""

    risk: Risk
    rejection: str
    rejection_bar: float
    rejection_cost: int
    lateness: str
    lateness_bar: float
    lateness_cost: int


@get(HERE, opt={"permission": SEE})
async def page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show each cost with its form, what was learned, and the two tables."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "routing_costs")
        stated = await cost_reads.costs_seen(tx)
        version = await cost_reads.version(tx)
        risks = await _risks(tx)
        taxes = await tax_cost_reads.tax_costs(tx)
        tax_version = await tax_cost_reads.version(tx)
        markdowns = await cost_reads.markdowns_seen(tx)
        markdowns_version = await cost_reads.markdowns_version(tx)
        channels, places = await named(tx)
    caller = web.caller_of(request)
    return render.html(
        "routing_costs/page.html",
        shell=around,
        may=around.may,
        may_change=caller.may(CHANGE) and caller.locations is None,
        limited=caller.locations is not None,
        read=_read(stated, channels, places),
        version=version,
        **fields_of(stated, channels, places),
        learned=_learned(risks, stated),
        outcomes=(sum(r.works for r in risks), sum(r.promises for r in risks), LEAST_OUTCOMES),
        taxes=taxes[:12],
        tax_count=len(taxes),
        tax_version=tax_version,
        markdowns=markdowns[:12],
        markdown_count=len(markdowns),
        markdowns_version=markdowns_version,
        tax_exports=export.choices(str, f"{HERE}/tax:export"),
        markdown_exports=export.choices(str, f"{HERE}/markdowns:export"),
        risk_exports=export.choices(str, f"{HERE}/risks:export"),
    )


async def named(tx: Tx) -> tuple[list[Channel], list[Location]]:
    """Return the channels and locations that a form names."""
    channels = sorted((c for c in await network.channels(tx) if c.active), key=lambda c: (c.priority, fold(c.name)))
    places = [p for p in await network.locations(tx) if p.status != "closed" and tx.actor.sees(p.id)]
    return channels, sorted(places, key=lambda p: fold(p.name))


def fields_of(stated: Costs, channels: Sequence[Channel], places: Sequence[Location]) -> dict[str, Any]:
    """Return what the fields of the document are drawn from, with empty rows at the end of each table."""
    own = {one.channel: one for one in stated.channels}
    return {
        "c": stated,
        "decimal": i18n.number,
        "cartons": [*stated.cartons, *[None] * MORE],
        "capacity": [*stated.capacity, *[None] * MORE],
        "reach": [*stated.reach, *[None] * MORE],
        "restrictions": [*stated.restrictions, *[None] * MORE],
        "channels": [(one, own.get(one.code)) for one in channels],
        "places": [(p.code, p.name) for p in places],
        "kinds": [(kind.value, _(word)) for kind, word in KINDS.items()],
    }


def _read(stated: Costs, channels: Sequence[Channel], places: Sequence[Location]) -> Read:
    """Return the tables as they are read."""
    names = {place.code: place.name for place in places}
    own = {one.channel: one for one in stated.channels}
    return Read(
        cartons=[(i18n.number(one.max_grams / 1000), i18n.money(one.price)) for one in stated.cartons],
        capacity=[(f"{one.percent} %", i18n.money(one.price)) for one in stated.capacity],
        channels=[(one.name, own[one.code]) for one in channels if one.code in own],
        reach=[(names.get(one.location, one.location), i18n.number(one.max_km)) for one in stated.reach],
        restrictions=[
            (_(KINDS[one.kind]), one.value, one.only, " ".join(one.locations) or _("none of yours"))
            for one in stated.restrictions
        ],
    )


async def _risks(tx: Tx) -> list[Risk]:
    return [risk for risk in await cost_reads.risks(tx) if tx.actor.sees(risk.location_id)]


def _learned(risks: Sequence[Risk], stated: Costs) -> list[Learned]:
    """Return the risks, the riskiest first; bars are drawn to the longest one of each kind."""
    most_rejected = max((r.rejection or 0.0 for r in risks), default=0.0) or 1.0
    most_late = max((r.lateness or 0.0 for r in risks), default=0.0) or 1.0
    found = [
        Learned(
            risk,
            _share(risk.rejection),
            round(100 * (risk.rejection or 0.0) / most_rejected, 1),
            centavos_of(risk.rejection, stated.reroute_cost),
            _share(risk.lateness),
            round(100 * (risk.lateness or 0.0) / most_late, 1),
            centavos_of(risk.lateness, stated.late_penalty),
        )
        for risk in risks
    ]
    return sorted(found, key=lambda one: -((one.risk.rejection or 0.0) + (one.risk.lateness or 0.0)))


def _share(probability: float | None) -> str:
    return "" if probability is None else f"{i18n.number(round(probability * 100, 1))} %"


# --- the form ---


@post(HERE, opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def save(request: Request[Any, Any, Any]) -> Response[Any]:
    """Replace what is set. Rows left empty go away."""
    read = filling.filled(await request.form())
    stated, kept = stated_in(read)
    read.refuse()
    async with web.writing(request) as tx:
        with at_the_fields(kept):
            await costs.set_costs(tx, stated, read.version())
    return web.go_on(request, HERE, _("Saved: orders planned from now on follow it"))


Kept = dict[str, list[int]]  # by table: the row of the form that each row of the document was


def stated_in(read: Filled) -> tuple[Costs, Kept]:
    """Return the document that a form states, and which of its rows became which of the document's."""
    kept: Kept = {}

    def rows(table: str, *fields: str) -> Iterator[str]:
        kept[table] = []
        for n in range(MOST_ROWS):
            names = [f"{table}/{n}/{field}" for field in fields]
            if not any(name in read.form for name in names):
                return
            if any(read.text(name) for name in names):
                kept[table].append(n)
                yield f"{table}/{n}/"

    stated = Costs(
        split_penalty=read.centavos("split_penalty"),
        same_site=read.centavos("same_site"),
        reroute_cost=read.centavos("reroute_cost"),
        late_penalty=read.centavos("late_penalty"),
        day_cost=read.centavos("day_cost"),
        cartons=[
            Carton(max_grams=read.maybe_scaled(f"{at}max_grams", 3) or 0, price=read.centavos(f"{at}price"))
            for at in rows("cartons", "max_grams", "price")
        ],
        capacity=[
            Step(percent=read.whole(f"{at}percent"), price=read.centavos(f"{at}price"))
            for at in rows("capacity", "percent", "price")
        ],
        channels=[
            ChannelCosts(
                channel=read.text(f"{at}channel"),
                split_penalty=read.maybe_scaled(f"{at}split_penalty", 2),
                max_km=read.maybe_whole(f"{at}max_km"),
            )
            for at in rows("channels", "channel", "split_penalty", "max_km")
            if read.text(f"{at}split_penalty") or read.text(f"{at}max_km")
        ],
        reach=[
            Reach(location=read.text(f"{at}location"), max_km=read.whole(f"{at}max_km"))
            for at in rows("reach", "location", "max_km")
        ],
        restrictions=[
            Restriction(
                kind=read.choice(f"{at}kind", Kind),
                value=read.text(f"{at}value"),
                locations=[code for code in read.text(f"{at}locations", 4_000).replace(",", " ").split() if code],
                only=read.text(f"{at}only") == "only",
            )
            for at in rows("restrictions", "value", "locations")
        ],
    )
    aging = [read.text(f"aging/{name}") for name in ("after_days", "per_day", "most")]
    if any(aging):
        stated = msgspec.structs.replace(
            stated,
            aging=Aging(
                after_days=read.whole("aging/after_days"),
                per_day=read.centavos("aging/per_day"),
                most=read.centavos("aging/most"),
            ),
        )
    kept["channels"] = [
        n for n in kept["channels"] if read.text(f"channels/{n}/split_penalty") or read.text(f"channels/{n}/max_km")
    ]
    return stated, kept


@contextlib.contextmanager
def at_the_fields(kept: Kept) -> Iterator[None]:
    """Let a refusal point at the rows of the form: those that were left empty are no rows of the document."""
    try:
        yield
    except Invalid as refused:
        flaws = []
        for flaw in refused.flaws:
            table, _slash, rest = flaw.at.partition("/")
            number, slash, field = rest.partition("/")
            at = f"{table}/{kept[table][int(number)]}{slash}{field}" if number and table in kept else flaw.at
            flaws.append(msgspec.structs.replace(flaw, at=at))
        raise Invalid(flaws) from None


# --- the tables as files ---


@get(export.paths(f"{HERE}/tax:export"), opt={"permission": SEE})
async def tax_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the table of tax costs as a file, which may be sent back."""
    async with web.reading(request) as tx:
        rows = await tax_cost_reads.tax_costs(tx)

    def cells(row: TaxCost) -> list[Any]:
        return [row.from_state, row.to_state, row.ncm, f"{row.basis_points / 100:.2f}", row.centavos]

    return export.send_all(request, "tax-costs", TAX_COLUMNS, rows, cells)


@get(export.paths(f"{HERE}/markdowns:export"), opt={"permission": SEE})
async def markdowns_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the credits for aged stock as a file, which may be sent back."""
    async with web.reading(request) as tx:
        rows = await cost_reads.markdowns_seen(tx)

    def cells(row: Markdown) -> list[Any]:
        return [row.sku, row.location, row.centavos]

    return export.send_all(request, "markdown-credits", MARKDOWN_COLUMNS, rows, cells)


@get(export.paths(f"{HERE}/risks:export"), opt={"permission": SEE})
async def risks_export(request: Request[Any, Any, Any]) -> Stream:
    """Send what was learned of each location as a file."""
    async with web.reading(request) as tx:
        rows = await _risks(tx)

    def cells(risk: Risk) -> list[Any]:
        return [
            risk.location,
            risk.name,
            risk.works,
            risk.refused,
            _share(risk.rejection),
            risk.promises,
            risk.broken,
            _share(risk.lateness),
        ]

    return export.send_all(request, "routing-risks", RISK_COLUMNS, rows, cells)


@post(f"{HERE}/tax", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def tax_import(request: Request[Any, Any, Any]) -> Response[Any]:
    """Replace the table of tax costs by a file's, if nothing in it is wrong."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rows, lines, problems = await asyncio.to_thread(read_tax, raw)
    refuse_rows(problems)
    async with web.writing(request) as tx:
        with at_the_lines(lines):
            await tax_costs.replace(tx, rows, read.version())
    notice = n_("The table has {n} row now", "The table has {n} rows now", len(rows))
    return web.go_on(request, HERE, await uploads.told(notice, raw))


@post(f"{HERE}/markdowns", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def markdowns_import(request: Request[Any, Any, Any]) -> Response[Any]:
    """Replace the credits for aged stock by a file's, if nothing in it is wrong."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rows, lines, problems = await asyncio.to_thread(read_markdowns, raw)
    refuse_rows(problems)
    async with web.writing(request) as tx:
        with at_the_lines(lines):
            await costs.set_markdowns(tx, rows, read.version())
    notice = n_("The table has {n} row now", "The table has {n} rows now", len(rows))
    return web.go_on(request, HERE, await uploads.told(notice, raw))


def refuse_rows(problems: Sequence[Problem]) -> None:
    """Refuse a file whose rows cannot be read, and say which.

    Raises:
        Invalid: there is a problem.
    """
    refuse([Flaw("file", p.says, p.mend, {**p.facts, "line": p.line}) for p in problems[:MOST_PROBLEMS]])


@contextlib.contextmanager
def at_the_lines(lines: Sequence[int]) -> Iterator[None]:
    """Let a refusal of rows point at the file, and say the line."""
    try:
        yield
    except Invalid as refused:
        flaws = []
        for flaw in refused.flaws[:MOST_PROBLEMS]:
            number = flaw.at.split("/")[1] if flaw.at.startswith("rows/") else ""
            facts = {**flaw.facts, "line": lines[int(number)]} if number else flaw.facts
            flaws.append(msgspec.structs.replace(flaw, at="file", facts=facts))
        raise Invalid(flaws) from None


HANDLERS: Sequence[Callable[..., Any] | Any] = [
    page,
    save,
    tax_export,
    markdowns_export,
    risks_export,
    tax_import,
    markdowns_import,
]
