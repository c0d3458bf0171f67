"""Drafts of what routing compares, on screen: what each changes, how it is tried, and the press that promotes it."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, render, routing_costs, shell, uploads, web
from malha.console.filling import Filled
from malha.console.words import Sign
from malha.network.service import refuse_limited
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.flaws import Invalid
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.routing import cost_draft_reads as reads
from malha.routing import cost_drafts, cost_reads
from malha.routing.cost_draft_model import Carriage, CostDraft, Drafted, Labour, Standing
from malha.routing.cost_draft_rules import print_of
from malha.routing.cost_files import read_markdowns, read_tax
from malha.routing.cost_model import Costs
from malha.simulation import reads as simulations
from malha.simulation.model import TAKEN_OFF, Bill, Costed, CostsTried

SEE, CHANGE = "network:read", "network:write"
HERE = "/cost-drafts"
MORE = 3  # empty rows at the end of a table
SIGNS = {
    "draft": Sign(N_("Draft"), "wait", "dash"),
    "force": Sign(N_("In force"), "done", "done"),
    "back": Sign(N_("Taken back"), "neutral", "x"),
}
TERMS = {
    "freight": N_("Freight"),
    "handling": N_("Handling"),
    "picking": N_("Picking of lines"),
    "split": N_("Further parcels"),
    "same_site": N_("Saved by one site"),
    "carton": N_("Cartons"),
    "rejection": N_("Risk of being given back"),
    "lateness": N_("Risk of being late"),
    "tax": N_("Tax"),
    "busy": N_("Capacity"),
    "credit": N_("Credit for aged stock"),
}


class Change(NamedTuple):
    """One thing that a draft changes: what it is, as it stands, and by the draft; empty: there is none."""

    what: str
    now: str
    draft: str


class TermRow(NamedTuple):
    """A term in the three columns of a trial; bars are in percent of the longest."""

    name: str
    then: int
    kept: int
    after: int
    kept_bar: float
    after_bar: float


def name_of(draft: CostDraft | CostsTried) -> str:
    """Return what people call a draft."""
    if draft.note:
        return draft.note
    return _("draft of costs {id}", id=draft.draft if isinstance(draft, CostsTried) else draft.id)


def sign_of(draft: CostDraft) -> Sign:
    """Return the state of a draft."""
    return SIGNS["force" if draft.in_force else "draft" if draft.promoted_at is None else "back"]


async def choices(tx: Tx) -> list[tuple[str, str]]:
    """Return the drafts that can be tried, the newest first."""
    return [(str(one.id), f"{name_of(one)} ({_(sign_of(one).word)})") for one in await reads.drafts(tx)]


# --- what a draft changes, in words ---


def changes_of(drafted: Drafted, now: Standing) -> Iterator[Change]:
    """Yield what a draft changes beside what stands."""
    if drafted.costs is not None and now.costs is not None:
        yield from _costs(now.costs, drafted.costs)
    was = {one.location: one for one in now.labour}
    for labour in drafted.labour:
        before = was.get(labour.location)
        for name, word in (("handling", N_("Parcel at {code}")), ("line", N_("Line picked at {code}"))):
            wanted = getattr(labour, name)
            if wanted is not None:
                stood = "" if before is None else i18n.money(getattr(before, name) or 0)
                yield Change(_(word, code=labour.location), stood, i18n.money(wanted))
    for one in drafted.carriage:
        ends = {"origin": one.from_state or _("anywhere"), "target": one.to_state or _("anywhere")}
        yield Change(_("Carriage from {origin} to {target}", **ends), "100%", f"{i18n.number(one.percent)}%")
    if drafted.taxes is not None:
        yield Change(_("Tax"), _rows(len(now.taxes or ())), _rows(len(drafted.taxes)))
    if drafted.markdowns is not None:
        yield Change(_("Credits for aged stock"), _rows(len(now.markdowns or ())), _rows(len(drafted.markdowns)))


def _rows(count: int) -> str:
    return n_("{n} row", "{n} rows", count)


def _costs(now: Costs, draft: Costs) -> Iterator[Change]:
    words = {
        "split_penalty": N_("Each parcel beyond the first"),
        "same_site": N_("A further owner's parcel from one site saves"),
        "reroute_cost": N_("An order that is given back costs"),
        "late_penalty": N_("A broken promise costs"),
        "day_cost": N_("A promise a working day longer costs"),
    }
    for name, word in words.items():
        was, would = getattr(now, name), getattr(draft, name)
        if was != would:
            yield Change(_(word), i18n.money(was), i18n.money(would))
    tables = {
        N_("Cartons"): [
            ", ".join(f"≤ {i18n.number(x.max_grams / 1000)} kg {i18n.money(x.price)}" for x in one.cartons)
            for one in (now, draft)
        ],
        N_("Capacity"): [
            ", ".join(f"≥ {x.percent}% {i18n.money(x.price)}" for x in one.capacity) for one in (now, draft)
        ],
        N_("By channel"): [
            ", ".join(
                " ".join(
                    [x.channel]
                    + ([] if x.split_penalty is None else [i18n.money(x.split_penalty)])
                    + ([] if x.max_km is None else [f"≤ {x.max_km} km"])
                )
                for x in one.channels
            )
            for one in (now, draft)
        ],
        N_("Reach of locations"): [
            ", ".join(f"{x.location} ≤ {x.max_km} km" for x in one.reach) for one in (now, draft)
        ],
        N_("Goods that not every location serves"): [
            ", ".join(f"{_(routing_costs.KINDS[x.kind])} {x.value}: {'=' if x.only else '≠'} {' '.join(x.locations)}"
                      for x in one.restrictions)
            for one in (now, draft)
        ],
    }  # fmt: skip
    tables[N_("Credit by age")] = [
        "" if one.aging is None
        else _("{amount} a day after {days} days, at most {most}", amount=i18n.money(one.aging.per_day),
               days=one.aging.after_days, most=i18n.money(one.aging.most))
        for one in (now, draft)
    ]  # fmt: skip
    for word, (was, would) in tables.items():
        if was != would:
            yield Change(_(word), was, would)


# --- the list ---


@get(HERE, opt={"permission": SEE})
async def cost_drafts_page(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the drafts, the newest first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "routing_costs")
        refuse_limited(tx)
        found = await reads.drafts(tx)
        rows = [(one, name_of(one), sign_of(one), said_in(one.content)) for one in found]
    exports = export.choices(str, f"{HERE}:export")
    return render.html("cost_drafts/list.html", shell=around, may=around.may, rows=rows, exports=exports)


def said_in(drafted: Drafted) -> str:
    """Return which parts a draft changes, in words."""
    said = []
    if drafted.costs is not None:
        said.append(_("costs"))
    if drafted.labour:
        said.append(n_("labour at {n} location", "labour at {n} locations", len(drafted.labour)))
    if drafted.carriage:
        said.append(_("carriage"))
    if drafted.taxes is not None:
        said.append(_("taxes"))
    if drafted.markdowns is not None:
        said.append(_("credits for aged stock"))
    return ", ".join(said)


COLUMNS = (
    Column(N_("Draft"), width=32), Column(N_("Changes"), width=40), Column(N_("State")), Column(N_("Who"), width=24),
    Column(N_("Changed"), Kind.MOMENT), Column(N_("In force since"), Kind.MOMENT),
    Column(N_("Taken back"), Kind.MOMENT),
)  # fmt: skip


@get(export.paths(f"{HERE}:export"), opt={"permission": SEE})
async def cost_drafts_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await reads.drafts(tx, 10_000)

    def cells(one: CostDraft) -> list[Any]:
        return [
            name_of(one), said_in(one.content), _(sign_of(one).word), one.created_by, one.changed_at, one.promoted_at,
            one.taken_back_at,
        ]  # fmt: skip

    return export.send_all(request, "cost-drafts", COLUMNS, found, cells)


# --- the form ---


async def _form(tx: Tx, request: Request[Any, Any, Any], draft: CostDraft | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "routing_costs")
    refuse_limited(tx)
    content = Drafted() if draft is None else draft.content
    channels, places = await routing_costs.named(tx)
    return {
        "shell": around,
        "may": around.may,
        "draft": draft,
        "name": _("New draft of costs") if draft is None else name_of(draft),
        "action": f"{HERE}:new" if draft is None else f"{HERE}/{draft.id}/edit",
        "labour": [*content.labour, *[None] * MORE],
        "carriage": [*content.carriage, *[None] * MORE],
        "states": sorted(STATES),
        **routing_costs.fields_of(content.costs or await cost_reads.costs(tx), channels, places),
    }


@get(f"{HERE}:new", opt={"permission": CHANGE})
async def cost_draft_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form, filled with what is in force."""
    async with web.reading(request) as tx:
        return render.html("cost_drafts/form.html", **await _form(tx, request, None))


@post(f"{HERE}:new", opt={"permission": CHANGE}, status_code=200)
async def cost_draft_start(request: Request[Any, Any, Any]) -> Response[Any]:
    """Save a new draft."""
    read = filling.filled(await request.form())
    stated, kept = routing_costs.stated_in(read)
    content = _content(read, kept)
    read.refuse()
    async with web.writing(request) as tx:
        live = await cost_reads.costs(tx)
        content = msgspec.structs.replace(content, costs=None if stated == live else stated)
        with _at_the_fields(kept):
            made = await cost_drafts.start_draft(tx, content, note=read.text("note", 500))
    return web.go_on(request, f"{HERE}/{made.id}", _("Draft saved: nothing is decided by it"))


@get(HERE + "/{id:int}/edit", opt={"permission": CHANGE})
async def cost_draft_edit(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the form of a draft."""
    async with web.reading(request) as tx:
        found = await cost_drafts.show(tx, id)
        return render.html("cost_drafts/form.html", **await _form(tx, request, found))


@post(HERE + "/{id:int}/edit", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def cost_draft_save(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Change a draft; its tables of taxes and credits stay."""
    read = filling.filled(await request.form())
    stated, kept = routing_costs.stated_in(read)
    content = _content(read, kept)
    version = read.version()
    read.refuse()
    async with web.writing(request) as tx:
        found = await cost_drafts.show(tx, id)
        live = await cost_reads.costs(tx)
        content = msgspec.structs.replace(
            content,
            costs=None if stated == live else stated,
            taxes=found.content.taxes,
            markdowns=found.content.markdowns,
        )
        with _at_the_fields(kept):
            await cost_drafts.save_draft(tx, id, content, version, note=read.text("note", 500))
    return web.go_on(request, f"{HERE}/{id}", _("Draft saved: nothing is decided by it"))


@contextlib.contextmanager
def _at_the_fields(kept: routing_costs.Kept) -> Iterator[None]:
    """Let a refusal point at the rows of the form."""
    with routing_costs.at_the_fields(kept):
        try:
            yield
        except Invalid as refused:
            flaws = [msgspec.structs.replace(flaw, at=flaw.at.removeprefix("costs/")) for flaw in refused.flaws]
            raise Invalid(flaws) from None


def _content(read: Filled, kept: routing_costs.Kept) -> Drafted:
    labour, carriage = [], []
    kept["labour"] = []
    for n in range(routing_costs.MOST_ROWS):
        at, on = f"labour/{n}/", f"carriage/{n}/"
        if f"{at}location" not in read.form and f"{on}percent" not in read.form:
            break
        code = read.text(f"{at}location", 80)
        handling, line = (read.maybe_scaled(f"{at}{name}", 2) for name in ("handling", "line"))
        for name, amount in (("handling", handling), ("line", line)):
            if amount is not None and not 0 <= amount <= 100_000_000:
                read.wrong(f"{at}{name}", N_("This amount is out of range."), N_("Write one from 0 to {most}."),
                           most="1.000.000,00")  # fmt: skip
        if code and (handling is not None or line is not None):
            kept["labour"].append(n)
            labour.append(Labour(location=code, handling=handling, line=line))
        elif handling is not None or line is not None:
            read.wrong(f"{at}location", N_("Which location is this about?"), N_("Choose one of the list."))
        percent = read.maybe_whole(f"{on}percent")
        if percent is not None and not 1 <= percent <= 1_000:
            read.wrong(f"{on}percent", N_("Carriage can be 1 to 1000 percent."), N_("100 is what it was."))
        elif percent is not None:
            ends = [read.text(f"{on}{end}", 2) or None for end in ("from", "to")]
            carriage.append(Carriage(percent=percent, from_state=ends[0], to_state=ends[1]))
    return Drafted(labour=labour, carriage=carriage)


@post(HERE + "/{id:int}/tax", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def cost_draft_tax(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Let a draft have a file's table of taxes."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rows, lines, problems = await asyncio.to_thread(read_tax, raw)
    routing_costs.refuse_rows(problems)
    return await _table(request, id, read.version(), lines, "taxes", rows, raw)


@post(HERE + "/{id:int}/markdowns", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def cost_draft_markdowns(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Let a draft have a file's credits for aged stock."""
    read = filling.filled(await request.form())
    raw = await read.file()
    rows, lines, problems = await asyncio.to_thread(read_markdowns, raw)
    routing_costs.refuse_rows(problems)
    return await _table(request, id, read.version(), lines, "markdowns", rows, raw)


async def _table(
    request: Request[Any, Any, Any], id_: int, version: int, lines: list[int], part: str, rows: list[Any], raw: bytes
) -> Response[Any]:
    async with web.writing(request) as tx:
        found = await cost_drafts.show(tx, id_)
        content = msgspec.structs.replace(found.content, **{part: rows})
        with routing_costs.at_the_lines(lines):
            try:
                await cost_drafts.save_draft(tx, id_, content, version)
            except Invalid as refused:
                flaws = [msgspec.structs.replace(f, at=f.at.replace(f"{part}/", "rows/", 1)) for f in refused.flaws]
                raise Invalid(flaws) from None
    notice = n_("The draft has {n} row now", "The draft has {n} rows now", len(rows))
    return web.go_on(request, f"{HERE}/{id_}", await uploads.told(notice, raw))


# --- one draft ---


@get(HERE + "/{id:int}", opt={"permission": SEE})
async def cost_draft(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show what a draft changes, what its last simulation came to, and what can be done with it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "routing_costs")
        refuse_limited(tx)
        found = await cost_drafts.show(tx, id)
        now = found.before or await reads.standing(tx, found.content)
        last = await simulations.last_of_costs(tx, id)
        result = None if last is None else await simulations.result(tx, last.id)
    return render.html(
        "cost_drafts/show.html",
        shell=around,
        may=around.may,
        d=found,
        name=name_of(found),
        sign_=sign_of(found),
        changes=list(changes_of(found.content, now)),
        last=last,
        terms=[] if result is None or result.costed is None else terms_of(result.costed),
        costed=None if result is None else result.costed,
    )


def terms_of(costed: Costed) -> list[TermRow]:
    """Return each term that costs anything, in the three columns of a trial."""
    rows = [
        (word, _amount(costed.then, name), _amount(costed.kept, name), _amount(costed.after, name))
        for name, word in TERMS.items()
    ]
    most = max((abs(amount) for _word, _then, kept, after in rows for amount in (kept, after)), default=0) or 1
    return [
        TermRow(_(word), then, kept, after, round(100 * abs(kept) / most, 1), round(100 * abs(after) / most, 1))
        for word, then, kept, after in rows
        if then or kept or after
    ]


def _amount(bill: Bill, name: str) -> int:
    amount: int = getattr(bill, name)
    return -amount if name in TAKEN_OFF else amount


@post(HERE + "/{id:int}/promote", opt={"permission": CHANGE}, status_code=200)
async def cost_draft_promote(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Put a draft into force."""
    read = filling.filled(await request.form())
    version = read.version()
    async with web.writing(request) as tx:
        await cost_drafts.promote(tx, id, version)
    return web.go_on(request, f"{HERE}/{id}", _("In force: orders planned from now on follow it"))


@post(HERE + "/{id:int}/take-back", opt={"permission": CHANGE}, status_code=200)
async def cost_draft_take_back(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Undo a promotion."""
    async with web.writing(request) as tx:
        await cost_drafts.take_back(tx, id)
    return web.go_on(request, f"{HERE}/{id}", _("Promotion taken back"))


@post(HERE + "/{id:int}/copy", opt={"permission": CHANGE, "everywhere": True}, status_code=200)
async def cost_draft_copy(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Start another draft like this one."""
    async with web.writing(request) as tx:
        found = await cost_drafts.show(tx, id)
        made = await cost_drafts.start_draft(tx, found.content, note=_("Copy of {name}", name=name_of(found))[:500])
    return web.go_on(request, f"{HERE}/{made.id}", _("Draft saved: nothing is decided by it"))


@post(HERE + "/{id:int}/delete", opt={"permission": CHANGE}, status_code=200)
async def cost_draft_delete(request: Request[Any, Any, Any], id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Throw a draft away."""
    read = filling.filled(await request.form())
    version = read.version()
    async with web.writing(request) as tx:
        await cost_drafts.drop_draft(tx, id, version)
    return web.go_on(request, HERE, _("Draft thrown away"))


# --- the panel of a trial ---


class CostsPanel(NamedTuple):
    """The costs that a trial tries. `stale`: they, or those in force, are not what was compared any more."""

    name: str
    href: str  # empty: the draft was thrown away
    stale: bool
    promoted_by: str
    promoted_at: Any
    back: bool  # promoted, and taken back
    changes: list[Change]
    terms: list[TermRow]
    costed: Costed | None


async def panel(tx: Tx, costs: CostsTried | None, content: Drafted | None, costed: Costed | None) -> CostsPanel | None:
    """Return what a page says of the costs that a trial tries; None: it tries none."""
    if costs is None or content is None:
        return None
    draft = await reads.draft(tx, costs.draft)
    now = await reads.standing(tx, content)
    stands = draft is not None and draft.version == costs.version and print_of(now) == costs.beside
    return CostsPanel(
        name=name_of(costs),
        href="" if draft is None else f"{HERE}/{draft.id}",
        stale=not stands,
        promoted_by="" if draft is None else draft.promoted_by or "",
        promoted_at=None if draft is None else draft.promoted_at,
        back=draft is not None and draft.taken_back_at is not None,
        changes=list(changes_of(content, now if draft is None or draft.before is None else draft.before)),
        terms=[] if costed is None else terms_of(costed),
        costed=costed,
    )


HANDLERS = [
    cost_drafts_page,
    cost_drafts_export,
    cost_draft_new,
    cost_draft_start,
    cost_draft,
    cost_draft_edit,
    cost_draft_save,
    cost_draft_tax,
    cost_draft_markdowns,
    cost_draft_promote,
    cost_draft_take_back,
    cost_draft_copy,
    cost_draft_delete,
]
