"""Pages of stock that others state: disagreements with their repair, snapshots with their progress, sources."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, plots, render, shell, stock_view, web
from malha.console import network_words as network_say
from malha.console import sync_words as say
from malha.console.words import Sign
from malha.flows import stock_sync
from malha.inventory.sync import applying, drift, exports, reads, sources
from malha.inventory.sync.errors import SnapshotNotFound
from malha.inventory.sync.model import LIVE, Drift, Leaves, SiteDrift, Snapshot, Source, SourceDraft, State, ZeroRule
from malha.inventory.sync.reads import DriftAsked
from malha.network import reads as network
from malha.network import sites
from malha.network.errors import UnknownLocation
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind
from malha.platform.text import fold, literal, whole_in

SEE, CHANGE, DECLARE = "stock:read", "stock:write", "network:write"
PAGE_SIZE = 50
TREND_DAYS = 30
SHOWN_HELD = 100
SHOWN_EXPECTED = 20
SHOWN_COUNTS = 5
MANY_ROWS = 300_000  # of more, what would change is summed and ordered by nobody while a page waits
BLANK = SourceDraft(code="", name="")
ALL_SITES = "*"
MOST_KEY = 2_147_483_647
BULK = {"theirs": drift.Repair.THEIRS, "ours": drift.Repair.OURS, "count": drift.Repair.COUNT}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the drift report says; nonsense in it is ignored."""

    view: str = "open"
    source: str = ""
    location: str = ""
    site: str = ""  # code of a site; ALL_SITES: each location's rows with those of its site
    q: str = ""
    before: str = ""

    def address(self, path: str = "/stock-sync", **changes: str) -> str:
        """Return the address of this report with parts changed."""
        if changes and "before" not in changes:
            changes["before"] = ""
        return web.address(path, self, changes, usual={"view": "open"})


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    said = {name: web.said(query, name)[:120].strip() for name in Asked.__struct_fields__}
    return Asked(**{**said, "view": said["view"] if said["view"] in say.VIEWS else "open"})


async def _wanted(tx: Tx, asked: Asked, scope: tuple[int, ...] | None) -> DriftAsked:
    """Return which disagreements are wanted; a site that is not in sight has none."""
    there: tuple[int, ...] | None = None
    if asked.site not in {"", ALL_SITES}:
        try:
            there = tuple(await sites.in_sight(tx, asked.site))
        except UnknownLocation:
            there = ()
    return DriftAsked(
        states=tuple(state.value for state in say.VIEWS[asked.view][1]),
        source=asked.source or None,
        location=asked.location or None,
        site=there,
        query=literal(fold(asked.q)) if asked.q else None,
        scope=scope,
    )


def _site_before(text: str) -> reads.SitePosition | None:
    at, *keys = text.split("|")
    try:
        source, home, sku = (int(key) for key in keys)
        return (datetime.fromisoformat(at), source, home, sku) if max(source, home, sku) <= MOST_KEY else None
    except ValueError:
        return None


class Together(NamedTuple):
    """What the page shows as one: a disagreement, or several at one site with their sum."""

    rows: list[tuple[Drift, Sign, str]]
    whole: SiteDrift | None  # None: one that stands alone


def _together(found: SiteDrift) -> Together:
    return Together([_row(row) for row in found.rows], found if len(found.rows) > 1 else None)


def _row(row: Drift) -> tuple[Drift, Sign, str]:
    return row, say.DRIFT[row.state], say.KIND[row.kind]


async def _rows(tx: Tx, asked: Asked, wanted: DriftAsked) -> tuple[list[Together], str]:
    """Return a page of disagreements, and the address of the next one."""
    if asked.site:
        sited = await reads.site_drifts(tx, wanted, before=_site_before(asked.before), limit=PAGE_SIZE + 1)
        at, *keys = sited[:PAGE_SIZE][-1][0] if sited else (None,)
        more = f"{at.isoformat()}|{'|'.join(map(str, keys))}" if at and len(sited) > PAGE_SIZE else ""
        shown = [_together(one) for _key, one in sited[:PAGE_SIZE]]
    else:
        found = await reads.drifts(tx, wanted, before=web.place_in(asked.before), limit=PAGE_SIZE + 1)
        more = web.place(found[PAGE_SIZE - 1].found_at, found[PAGE_SIZE - 1].id) if found[PAGE_SIZE:] else ""
        shown = [Together([_row(row)], None) for row in found[:PAGE_SIZE]]
    return shown, asked.address(before=more) if more else ""


async def _list(tx: Tx, request: Request[Any, Any, Any], asked: Asked) -> dict[str, Any]:
    scope = shell.scope_of(web.caller_of(request))
    places = [p for p in await network.locations(tx) if scope is None or p.id in scope]
    shared = sites.shared(places)
    # A site may be named by any location there; the page names it as its choice does.
    called = {p.code: site.code for site in shared for p in places if p.id in site.places}
    asked = msgspec.structs.replace(asked, site=called.get(asked.site, asked.site))
    wanted = await _wanted(tx, asked, scope)
    shown, more = await _rows(tx, asked, wanted)
    counts = await reads.drift_counts(tx, scope)
    every = await reads.sources(tx)
    return {
        "asked": asked,
        "rows": shown,
        "sum": await reads.sum_of_drifts(tx, wanted) if shown and asked.site not in {"", ALL_SITES} else None,
        "tabs": [
            (word, asked.address(view=view), sum(counts.get(s.value, 0) for s in states), view == asked.view)
            for view, (word, states) in say.VIEWS.items()
        ],
        "sources": [(s.code, s.name) for s in every],
        "places": [(p.code, p.name) for p in places],
        "sites": [(s.code, s.name, len(s.places)) for s in shared],
        "all_sites": ALL_SITES,
        "open": asked.view in {"open", "counting", "explained"},
        "empty": say.EMPTY[asked.view],
        "filtered": bool(asked.source or asked.location or asked.q or asked.site not in {"", ALL_SITES}),
        "unfiltered": Asked(view=asked.view).address(),
        "first": asked.address(before="") if asked.before else "",
        "next": more,
        "exports": export.choices(asked.address, "/stock-sync:export"),
    }


async def _page(request: Request[Any, Any, Any], asked: Asked) -> Response[str]:
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync", here=asked.address(before=asked.before))
        terms = await _list(tx, request, asked)
    part = web.wants_part(request)
    headers = {"HX-Push-Url": asked.address(before=asked.before)} if part else {}
    template = "stock_sync/list.html" if part else "stock_sync/page.html"
    return render.html(template, headers=headers, shell=around, may=around.may, list=terms)


@get("/stock-sync", opt={"permission": SEE})
async def drift_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the disagreements."""
    return await _page(request, asked_of(request.query_params))


@get("/stock-sync/drift/{drift_id:uuid}", opt={"permission": SEE})
async def drift_show(request: Request[Any, Any, Any], drift_id: FromPath[UUID]) -> Response[str]:
    """Show one disagreement and what explains it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        found = await reads.drift(tx, drift_id)
        because = await reads.explaining(tx, drift_id)
        pending = await reads.pending_at(tx, found.sku_id, found.location_id)
        source = await reads.source(tx, found.source, anywhere=True)  # it spoke for that location once
    return render.html(
        "stock_sync/drift.html",
        shell=around,
        may=around.may,
        d=found,
        sign_of=say.DRIFT[found.state],
        kind=say.KIND[found.kind],
        leaves=say.LEAVES[source.leaves],
        skew=source.skew_seconds,
        net=found.unexplained + found.allocated == 0 and found.allocated > 0,
        because=[row for row in because if row.d_on_hand],
        sides=say.SIDE,
        pending=pending,
        open=found.state.value in {"open", "counting", "explained"},
        balance=stock_view.address_of(found.sku, found.location),
        together=Asked(view=found.state.value, site=found.location, q=found.sku).address() if found.shared else "",
    )


@post("/stock-sync:repair", opt={"permission": CHANGE}, status_code=200)
async def drift_repair(request: Request[Any, Any, Any]) -> Response[Any]:
    """Settle the chosen disagreements, all or none.

    Raises:
        Invalid: nothing is chosen.
    """
    form = await request.form()
    how = BULK.get(str(form.get("how", "")))
    chosen = drift.usable([str(x) for x in form.getall("item", [])])
    flaws = [] if chosen else [Flaw("item", N_("Choose at least one disagreement."))]
    if how is None:
        flaws.append(Flaw("how", N_("Choose what shall be done.")))
    refuse(flaws)
    async with web.writing(request) as tx:
        done = await drift.repair(tx, chosen, how or drift.Repair.COUNT)
    notice = _told(how or drift.Repair.COUNT, len(done))
    if counts := sorted({row.count for row in done if row.count is not None}):
        notice = f"{notice}: {', '.join(f'C{number}' for number in counts[:SHOWN_COUNTS])}"
    if "alone" in form or not web.wants_part(request):
        back = f"/stock-sync/drift/{done[0].id}" if "alone" in form else "/stock-sync"
        return web.go_on(request, back, notice)
    shown = await _page(request, asked_of(web.page_query(request)))
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


def _told(how: drift.Repair, count: int) -> str:
    match how:
        case drift.Repair.THEIRS:
            return n_("Their number taken for {n} balance", "Their number taken for {n} balances", count)
        case drift.Repair.OURS:
            return n_("Our number kept for {n} balance", "Our number kept for {n} balances", count)
    return n_("{n} balance to be counted", "{n} balances to be counted", count)


@get(export.paths("/stock-sync:export"), opt={"permission": SEE})
async def drift_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered report as a file."""
    said = asked_of(request.query_params)
    async with web.reading(request) as tx:
        asked = await _wanted(tx, said, shell.scope_of(web.caller_of(request)))
    reader = web.database_of(request), web.actor_of(request), asked, i18n.current_language()
    if said.site:
        pages = exports.site_drift_pages(*reader)
        return export.send(request, "drift-by-site", exports.SITE_DRIFT_COLUMNS, pages, _as_it_is)
    return export.send(request, "drift", exports.DRIFT_COLUMNS, exports.drift_pages(*reader), _as_it_is)


def _as_it_is(row: Any) -> Any:
    return row


# --- snapshots ---


@get("/stock-sync/snapshots", opt={"permission": SEE})
async def snapshot_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the newest snapshots, of all sources or of one."""
    source = request.query_params.get("source", "")[:40]
    text = request.query_params.get("before", "")
    before = whole_in(text, 9)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        found = await reads.snapshots(tx, source=source or None, before=before, limit=PAGE_SIZE + 1)
        every = await reads.sources(tx)
    rows = found[:PAGE_SIZE]
    more = {"before": str(rows[-1].number), **({"source": source} if source else {})} if len(found) > PAGE_SIZE else {}
    return render.html(
        "stock_sync/snapshots.html",
        shell=around,
        may=around.may,
        rows=rows,
        signs=say.SNAPSHOT,
        scopes=say.SCOPE,
        busy=any(row.state in LIVE for row in rows),
        source=source,
        sources=[(s.code, s.name) for s in every],
        next=f"/stock-sync/snapshots?{urlencode(more)}" if more else "",
        here=f"/stock-sync/snapshots?{urlencode({'source': source})}" if source else "/stock-sync/snapshots",
        exports=export.choices(
            lambda path: f"{path}?{urlencode({'source': source})}" if source else path, "/stock-sync/snapshots:export"
        ),
    )


SNAPSHOT_COLUMNS = (
    Column(N_("Snapshot"), SheetKind.WHOLE), Column(N_("Source"), width=24), Column(N_("Sequence"), SheetKind.WHOLE),
    Column(N_("As of"), SheetKind.MOMENT), Column(N_("Scope"), width=24), Column(N_("State"), width=20),
    Column(N_("Rows"), SheetKind.WHOLE), Column(N_("Held"), SheetKind.WHOLE), Column(N_("Differing"), SheetKind.WHOLE),
    Column(N_("Changed"), SheetKind.WHOLE), Column(N_("To zero"), SheetKind.WHOLE),
    Column(N_("Received"), SheetKind.MOMENT), Column(N_("Ended"), SheetKind.MOMENT), Column(N_("Who"), width=24),
)  # fmt: skip


@get(export.paths("/stock-sync/snapshots:export"), opt={"permission": SEE})
async def snapshots_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list of snapshots as a file, of all sources or of one."""
    source = request.query_params.get("source", "")[:40] or None

    pages = export.pages(
        request,
        lambda tx, before: reads.snapshots(tx, source=source, before=before, limit=export.BATCH),
        lambda row: row.number,
    )

    def cells(s: Snapshot) -> list[Any]:
        return [
            s.number, s.source_name, s.seq, s.as_of, _(say.SCOPE[s.scope]), _(say.SNAPSHOT[s.state].word), s.rows,
            s.held, s.differing, s.changed, s.zeroed, s.received_at, s.ended_at, s.person,
        ]  # fmt: skip

    return export.send(request, "snapshots", SNAPSHOT_COLUMNS, pages, cells)


@get("/stock-sync/snapshots/{number:int}", opt={"permission": SEE})
async def snapshot_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show one snapshot: how far it is, what it did by location, and the rows that were held."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        found = await _snapshot(tx, number)
        places = await reads.snapshot_places(tx, found.id)
        held = await reads.held(tx, found.id, limit=SHOWN_HELD)
        by_problem = await reads.held_by_problem(tx, found.id)
        looks = found.state is State.WAITING and found.differing <= MANY_ROWS
        expected = await reads.expected_places(tx, found.id) if looks else {}
        biggest = await reads.biggest(tx, found.id, SHOWN_EXPECTED) if looks else []
        may_decide = await reads.speaks_elsewhere(tx, found.id) is None
    reason = found.reason or {}
    return render.html(
        "stock_sync/snapshot.html",
        shell=around,
        may=around.may,
        s=found,
        state_sign=say.SNAPSHOT[found.state],
        scope=say.SCOPE[found.scope],
        places=places,
        most=max([p.more + p.fewer for p in places] + [m + f for _n, m, f in expected.values()], default=0) or 1,
        expected=expected,
        biggest=biggest,
        address_of=stock_view.address_of,
        unmentioned=int(reason.get("rows", 0)) if found.absent_wait else 0,
        only_check=reason.get("code") == "check",
        may_decide=may_decide,
        held=[(row, exports.PROBLEM_WORDS.get(row.problem, row.problem)) for row in held],
        problems=[(exports.PROBLEM_WORDS.get(problem, problem), count) for problem, count in by_problem],
        busy=found.state in LIVE,
        superseded=reason.get("last") if found.state is State.CANCELLED else None,
        size=_size(found.bytes),
        percent=found.zeroed * 100 // found.stocked if found.stocked else 0,
    )


async def _snapshot(tx: Tx, number: int) -> Snapshot:
    if number > say.MOST_NUMBER:
        raise SnapshotNotFound(key=number)
    return await reads.snapshot_by_number(tx, number)


def _size(count: int) -> str:
    if count < 1 << 20:
        return f"{i18n.number(max(count / 1024, 0.1), decimals=1)} kB"
    return f"{i18n.number(count / (1 << 20), decimals=1)} MB"


def _act(act: str) -> Any:
    @post(
        f"/stock-sync/snapshots/{{number:int}}/{act}",
        opt={"permission": CHANGE},
        status_code=200,
        name=f"console-snapshot-{act}",
    )
    async def run(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
        async with web.writing(request) as tx:
            found = await _snapshot(tx, number)
            if await reads.speaks_elsewhere(tx, found.id) is not None:
                raise SnapshotNotFound(key=number)
            if act == "confirm":
                await applying.confirm(tx, found.id, stock_sync.begin)
            else:
                await applying.cancel(tx, found.id)
        said = _("Snapshot confirmed") if act == "confirm" else _("Snapshot cancelled")
        return web.go_on(request, f"/stock-sync/snapshots/{number}", said)

    return run


@get(export.paths("/stock-sync/snapshots/{number:int}/held"), opt={"permission": SEE})
async def snapshot_held(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send the held rows as a file to mend and send again."""
    async with web.reading(request) as tx:
        found = await _snapshot(tx, number)
    language = i18n.current_language()
    pages = exports.held_pages(web.database_of(request), web.actor_of(request), found.id, language)
    return export.send(request, f"snapshot-{number}-held", exports.HELD_COLUMNS, pages, _as_it_is)


# --- sources ---


class Bar(NamedTuple):
    """One day of the trend: what snapshots added (up) and took away (down)."""

    x: float
    width: float
    up: float
    down: float
    title: str


class Trend(NamedTuple):
    """The plot of a source's corrections."""

    bars: list[Bar]
    top: int
    first: str
    last: str
    off: int
    rows: int


WIDTH, HALF = 640.0, 54.0


def trend_of(rows: Sequence[tuple[Any, int, int, int, int]], days: int, today: Any) -> Trend | None:
    """Return the plot of days; None when no snapshot came in them."""
    if not rows:
        return None
    top, _step = plots.nice_top(max([max(more, fewer) for _d, _r, _o, more, fewer in rows]))
    slot = WIDTH / days
    bars = []
    for day, _said, off, more, fewer in rows:
        at = days - 1 - (today - day).days
        if at < 0:
            continue
        title = _("{day}: {more} more, {fewer} fewer, {n} rows differed", day=render.short_date(day),
                  more=i18n.number(more), fewer=i18n.number(fewer), n=i18n.number(off))  # fmt: skip
        up, down = (round(max(HALF * v / top, 1.5 if v else 0), 1) for v in (more, fewer))
        bars.append(Bar(round(slot * (at + 0.14), 1), round(slot * 0.72, 1), up, down, title))
    first = today - timedelta(days=days - 1)
    said, off = sum(r[1] for r in rows), sum(r[2] for r in rows)
    return Trend(bars, top, render.short_date(first), render.short_date(today), off, said)


@get("/stock-sync/sources", opt={"permission": SEE})
async def source_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show those who state stock, each with its last snapshot."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        rows = []
        for every in await reads.sources(tx):  # a handful
            found = sources.seen_by(tx.actor, every)
            last = await reads.snapshots(tx, source=found.code, limit=1)
            rows.append((found, last[0] if last else None, say.LEAVES[found.leaves]))
    return render.html(
        "stock_sync/sources.html",
        shell=around,
        may=around.may,
        rows=rows,
        signs=say.SNAPSHOT,
        exports=export.choices(str, "/stock-sync/sources:export"),
    )


SOURCE_COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=28), Column(N_("Units leave its books"), width=28),
    Column(N_("Its word is the truth at"), width=40), Column(N_("It only compares at"), width=40),
    Column(N_("Clock tolerance (s)"), SheetKind.WHOLE), Column(N_("Last sequence"), SheetKind.WHOLE),
    Column(N_("In use")),
)  # fmt: skip


@get(export.paths("/stock-sync/sources:export"), opt={"permission": SEE})
async def sources_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list of those who state stock as a file."""
    async with web.reading(request) as tx:
        found = [sources.seen_by(tx.actor, every) for every in await reads.sources(tx)]

    def cells(s: Source) -> list[Any]:
        return [
            s.code, s.name, _(say.LEAVES[s.leaves]), ", ".join(sorted(s.truths)), ", ".join(sorted(s.secondaries)),
            s.skew_seconds, s.last_seq if s.last_seq >= 0 else None, _("yes") if s.active else _("no"),
        ]  # fmt: skip

    return export.send_all(request, "stock-sources", SOURCE_COLUMNS, found, cells)


@get("/stock-sync/sources/{code:str}", opt={"permission": SEE})
async def source_show(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show one source: its locations, what it stated last, and how much its snapshots differed."""
    wanted = request.query_params.get("location", "")
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        found = await reads.source(tx, code)
        places = [p for p in await reads.standing(tx, found.id) if tx.actor.sees(p.location_id)]
        names = {p.id: p.name for p in await network.locations(tx)}
        one = next((p for p in places if p.code == wanted), None)
        now = await tx.now()
        rows = await reads.trend(
            tx, found.id, now - timedelta(days=TREND_DAYS), i18n.current_zone(), one.location_id if one else None
        )
        last = await reads.snapshots(tx, source=code, limit=5)
    return render.html(
        "stock_sync/source.html",
        shell=around,
        may=around.may,
        s=found,
        leaves=say.LEAVES[found.leaves],
        zero=say.ZERO[found.zero_rule],
        places=[(p, names.get(p.location_id, p.code)) for p in places],
        chosen=one.code if one else "",
        trend=trend_of(rows, TREND_DAYS, render.local(now).date()),
        half=HALF,
        last=last,
        signs=say.SNAPSHOT,
    )


async def _form(tx: Tx, request: Request[Any, Any, Any], found: Source | None) -> dict[str, Any]:
    around = await shell.around(tx, request, "stock-sync")
    draft = sources.draft_of(found) if found else BLANK
    truths = {c: s.code for s in await reads.sources(tx) for c in s.truths if found is None or s.id != found.id}
    places = [p for p in await network.locations(tx) if web.caller_of(request).sees(p.id) and p.status != "closed"]
    return {
        "shell": around,
        "may": around.may,
        "draft": draft,
        "version": found.version if found else 0,
        "action": f"/stock-sync/sources/{draft.code}/edit" if found else "/stock-sync/sources:new",
        "back": f"/stock-sync/sources/{draft.code}" if found else "/stock-sync/sources",
        "leaves": list(filling.options(say.LEAVES)),
        "zeros": list(filling.options(say.ZERO)),
        "places": [
            (p.code, p.name, _(network_say.LOCATION_KIND[p.kind]), _role(draft, p.code), truths.get(p.code, ""))
            for p in sorted(places, key=lambda p: fold(p.name))
        ],
    }


def _role(draft: SourceDraft, code: str) -> str:
    return "truth" if code in draft.truth else "secondary" if code in draft.secondary else ""


@get("/stock-sync/sources:new", opt={"permission": DECLARE})
async def source_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        return render.html("stock_sync/source_form.html", **await _form(tx, request, None))


@get("/stock-sync/sources/{code:str}/edit", opt={"permission": DECLARE})
async def source_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show a source's form."""
    async with web.reading(request) as tx:
        return render.html("stock_sync/source_form.html", **await _form(tx, request, await reads.source(tx, code)))


async def _draft(request: Request[Any, Any, Any], code: str | None) -> tuple[SourceDraft, int]:
    read = filling.filled(await request.form())
    roles = {str(k)[5:]: str(v) for k, v in read.form.multi_items() if str(k).startswith("role/")}
    draft = SourceDraft(
        code=read.text("code", 40) if code is None else code,
        name=read.text("name", 121),
        leaves=read.choice("leaves", Leaves),
        skew_seconds=read.whole("skew_seconds"),
        zero_percent=read.whole("zero_percent"),
        zero_rule=read.choice("zero_rule", ZeroRule),
        active=read.flag("active"),
        truth=sorted(place for place, role in roles.items() if role == "truth"),
        secondary=sorted(place for place, role in roles.items() if role == "secondary"),
    )
    read.refuse()
    return draft, read.version()


@post("/stock-sync/sources:new", opt={"permission": DECLARE, "everywhere": True}, status_code=200)
async def source_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Declare a source."""
    draft, _version = await _draft(request, None)
    async with web.writing(request) as tx:
        made = await sources.add_source(tx, draft)
    return web.go_on(request, f"/stock-sync/sources/{made.code}", _("Stock source declared"))


@post("/stock-sync/sources/{code:str}/edit", opt={"permission": DECLARE, "everywhere": True}, status_code=200)
async def source_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change a source nobody else changed since the form was opened."""
    draft, version = await _draft(request, code)
    async with web.writing(request) as tx:
        await sources.change_source(tx, draft, version)
    return web.go_on(request, f"/stock-sync/sources/{code}", _("Stock source saved"))


HANDLERS = [
    drift_list,
    drift_show,
    drift_repair,
    drift_export,
    snapshot_list,
    snapshots_export,
    snapshot_show,
    snapshot_held,
    *(_act(act) for act in ("confirm", "cancel")),
    source_list,
    sources_export,
    source_new,
    source_create,
    source_show,
    source_edit,
    source_change,
]
