"""Counts: the list, asking for one, counting on a phone, reviewing variances; and stock that is suspected.

Who counts sees what they scanned and never what is expected. Who may approve sees both.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.console import export, filling, goods_forms, render, shell, uploads, web
from malha.console import goods_words as words
from malha.console.stock_reads import Place
from malha.fulfillment import reads as fulfillment
from malha.inventory.counts import reads, service, suspicions
from malha.inventory.counts.errors import UnknownCount
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, LineState, Source
from malha.inventory.counts.reads import LineRow, TaskHead, TasksWanted
from malha.inventory.supply import scanning
from malha.inventory.sync import reads as sync
from malha.inventory.sync.model import Drift
from malha.platform import audit, idempotency, paging
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

PAGE_SIZE = 50
LINES_SHOWN = 200
SHEET_SHOWN = 60  # of a telephone
SHOWN: tuple[tuple[str, str, tuple[LineState, ...] | None], ...] = (
    ("review", N_("To approve"), (LineState.REVIEW,)),
    ("recount", N_("To count again"), (LineState.RECOUNT,)),
    ("pending", N_("To count"), (LineState.PENDING,)),
    ("done", N_("Done"), (LineState.ACCEPTED, LineState.APPLIED)),
    ("skipped", N_("Not counted"), (LineState.SKIPPED,)),
    ("all", N_("All"), None),
)

LIST_COLUMNS = (
    Column(N_("Count"), Kind.WHOLE),
    Column(N_("Code")),
    Column(N_("Location"), width=28),
    Column(N_("Kind")),
    Column(N_("Why")),
    Column(N_("Zone")),
    Column(N_("State")),
    Column(N_("Lines"), Kind.WHOLE),
    Column(N_("Counted"), Kind.WHOLE),
    Column(N_("To recount"), Kind.WHOLE),
    Column(N_("To approve"), Kind.WHOLE),
    Column(N_("Difference"), Kind.WHOLE),
    Column(N_("Created"), Kind.MOMENT),
    Column(N_("Closed"), Kind.MOMENT),
)


VIEWS: tuple[tuple[str, str], ...] = (("open", N_("Open")), ("all", N_("All")))
_KEYS = tuple(key for key, _word in VIEWS)


def _wanted(
    request: web.Asking, asked: goods_forms.Terms, places: Sequence[Place], owned: tuple[int, ...] | None
) -> TasksWanted:
    """Return the list's terms; at a location that is none, or not the person's, nothing is counted."""
    since, until = asked.bounds()
    return TasksWanted(
        open_only=asked.view == "open",
        text=asked.q,
        location_id=goods_forms.place_asked(places, asked.destination),
        owned=owned,
        since=since,
        until=until,
        scope=shell.scope_of(web.caller_of(request)),
    )


@get("/counts", opt={"permission": "stock:read"})
async def count_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show counts, the newest first."""
    asked = goods_forms.terms_of(request, _KEYS)
    text = request.query_params.get("before", "")
    before = whole_in(text, 17)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "counts")
        places = await goods_forms.places_of(tx, request)
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, places, owners.location_ids)
        rows = await reads.tasks(tx, wanted, before=before, limit=PAGE_SIZE + 1)
        suspected = await reads.suspected(tx, wanted.scope)
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else 0
    return render.html(
        "counts/list.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        asked=asked,
        places=[(place.code, place.name) for place in places],
        owners=owners,
        views=[(_(word), asked.address("/counts", view=key), key == asked.view) for key, word in VIEWS],
        unfiltered=f"/counts?view={asked.view}",
        words=words,
        suspected=suspected,
        next=asked.address("/counts", before=more) if more else "",
        exports=export.choices(asked.address, "/counts:export"),
    )


@get(export.paths("/counts:export"), opt={"permission": "stock:read"})
async def list_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file. Who only counts is not told differences here either."""
    asked = goods_forms.terms_of(request, _KEYS)
    told = web.caller_of(request).may(service.APPROVE)
    async with web.reading(request) as tx:
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, await goods_forms.places_of(tx, request), owners.location_ids)

    pages = export.pages(
        request,
        lambda tx, before: reads.tasks(tx, wanted, before=before, limit=export.BATCH),
        lambda row: row.number,
    )

    def cells(row: reads.TaskRow) -> list[Any]:
        kind, source, state = words.COUNT_KIND[row.kind], words.SOURCE[row.source], words.TASK[row.state].word
        return [
            row.number, row.location, row.location_name, _(kind), _(source), row.zone, _(state), row.lines, row.done,
            row.recount, row.review, row.variance if told else None, row.created_at, row.closed_at,
        ]  # fmt: skip

    return export.send(request, "counts", LIST_COLUMNS, pages, cells)


@get("/counts:new", opt={"permission": "stock:count"})
async def count_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "counts")
        places = await goods_forms.places_of(tx, request)
    return render.html(
        "counts/new.html",
        shell=around,
        may=around.may,
        places=[(place.code, place.name) for place in places],
        parted=any(place.owner for place in places),
    )


@post("/counts:new", opt={"permission": "stock:count"}, status_code=200)
async def count_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Have goods counted: listed ones, those of a class, or everything."""
    form = await request.form()
    read = filling.filled(form)
    what, limit_units, limit_value = read.text("what"), read.maybe_whole("limit_units"), read.centavos("limit_value")
    most = read.maybe_whole("most") or 50
    if not 0 < most <= 1_000:
        read.wrong("most", N_("Write a number from 1 to 1,000."))
    location = read.chosen("location")
    read.refuse()
    async with web.writing(request) as tx:
        place = await goods_forms.place_of(tx, request, location)
        skus, source, kind = None, Source.PERSON, CountKind.CYCLE
        raw: bytes | None = None
        zone = read.text("zone", 80)
        if what in {"A", "B", "C"}:
            skus = await service.of_class(tx, place.id, what, most, owner_alone=read.flag("owner_alone"))
            source = Source.ABC
        elif what == "all":
            kind = CountKind.PHYSICAL
        elif what == "zone":
            skus = await service.of_zone(tx, place.id, zone)
        else:
            skus = [line.card.id for line in await goods_forms.sheet_of(tx, form)]
            raw = await goods_forms.file_in(form)
        draft = CountDraft(
            location_id=place.id,
            skus=skus,
            kind=kind,
            source=source,
            zone=zone,
            note=read.text("note", 200),
            blind=not read.flag("open"),
            freeze=kind is CountKind.PHYSICAL and read.flag("freeze"),
            freeze_zone=kind is CountKind.CYCLE and read.flag("freeze_zone"),
            owner_alone=read.flag("owner_alone"),
            limits=Limits(limit_units or 0, limit_value),
        )
        number = await service.raise_count(tx, draft)
    return web.go_on(request, f"/counts/{number}", await uploads.told(_("Count begun"), raw))


async def _one(tx: Tx, request: web.Asking, number: int) -> TaskHead:
    found = await reads.task(tx, number)
    if found is None or not web.caller_of(request).sees(found.location_id):
        raise UnknownCount(number=number)
    return found


@get("/counts/{number:int}", opt={"permission": "stock:read"})
async def count_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show how far a count is and its lines; variances only to who may approve them, while it is open."""
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "counts")
        task = await _one(tx, request, number)
        progress = await reads.progress(tx, task.id)
        asked = request.query_params.get("show", "")
        fitting = "review" if "review" in progress else "recount" if "recount" in progress else "all"
        shown = next(((key, states) for key, _w, states in SHOWN if key == asked), None)
        key, states = shown or next((k, s) for k, _w, s in SHOWN if k == fitting)
        text, after = (
            request.query_params.get("q", "").replace("\x00", "").strip()[:80],
            request.query_params.get("after"),
        )
        lines = await reads.lines(tx, task.id, states=states, after=after or None, text=text, limit=LINES_SHOWN + 1)
        people = [who for line in lines for who in line.counters]
        names = await goods_forms.names_of(tx, [task.created_by, task.closed_by, *people])
        mark = await reads.waiting_mark(tx, task.id)
        drifts: dict[int, list[Drift]] = {}
        for drift in await sync.drifts_of_count(tx, task.id):
            drifts.setdefault(drift.sku_id, []).append(drift)
    told = caller.may(service.APPROVE) or not task.blind
    if not told:
        lines = [reads.blind(line) for line in lines]
    by_state = {state: row.lines for state, row in progress.items()}
    more = len(lines) > LINES_SHOWN
    lines = lines[:LINES_SHOWN]
    done = sum(by_state.get(state, 0) for state in ("accepted", "applied"))
    return render.html(
        "counts/show.html",
        shell=around,
        may=around.may,
        task=task,
        lines=lines,
        mark=mark,
        q=text,
        after=after,
        next=f"/counts/{number}?{urlencode({'show': key, 'q': text, 'after': lines[-1].sku})}" if more else "",
        names=names,
        drifts=drifts,
        words=words,
        told=told,
        me=f"person:{caller.id}",
        show=key,
        tabs=[
            (_(word), f"/counts/{number}?show={k}", k == key,
             sum(by_state.values()) if s is None else sum(by_state.get(state.value, 0) for state in s))
            for k, word, s in SHOWN
            if k != "skipped" or "skipped" in by_state
        ],
        total=sum(by_state.values()),
        done=done,
        by_state=by_state,
        variance=sum(row.variance for row in progress.values()) if told else 0,
        value=sum(row.value for row in progress.values()) if told else 0,
        exports=export.choices(lambda path: path, f"/counts/{number}/lines:export"),
    )  # fmt: skip


LINE_COLUMNS = (
    Column(N_("SKU")), Column(N_("Name"), width=40), Column(N_("GTIN")), Column(N_("Place")), Column(N_("State")),
    Column(N_("Counted"), Kind.WHOLE), Column(N_("Expected"), Kind.WHOLE), Column(N_("Variance"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/counts/{number:int}/lines:export"), opt={"permission": "stock:read"})
async def count_export(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send the lines of a count as a file; its columns are read back by the sheet of entries."""
    async with web.reading(request) as tx:
        task = await _one(tx, request, number)
    told = web.caller_of(request).may(service.APPROVE) or not task.blind

    async def read(tx: Tx, after: str | None) -> list[LineRow]:
        rows = await reads.lines(tx, task.id, after=after, limit=export.BATCH)
        return rows if told else [reads.blind(row) for row in rows]

    pages = export.pages(request, read, lambda row: row.sku)

    def cells(row: LineRow) -> list[Any]:
        return [
            row.sku, row.name, row.gtin, row.bin, _(words.LINE[row.state].word), row.counted, row.expected,
            row.variance,
        ]  # fmt: skip

    return export.send(request, f"count-{number}", LINE_COLUMNS, pages, cells)


# --- counting ---


@get("/counts/{number:int}/count", opt={"permission": "stock:count"})
async def counting(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show the page on which a person counts: a field for the scanner, and what was scanned."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "counts")
        terms = await _counting(tx, request, number)
    return render.html("counts/count.html", shell=around, may=around.may, **terms)


async def _counting(tx: Tx, request: web.Asking, number: int) -> dict[str, Any]:
    task = await _one(tx, request, number)
    me = f"person:{web.caller_of(request).id}"
    waiting = await reads.to_count(tx, task.id, me, limit=SHEET_SHOWN)
    to_come = await reads.left(tx, task.id, me)
    tallies = await reads.tallies(tx, task.id)
    progress = await reads.progress(tx, task.id)
    total = sum(row.lines for row in progress.values())
    left = sum(progress[state].lines for state in ("pending", "recount") if state in progress)
    return {
        "task": task,
        "mine": [line for line in tallies if line.tallied_by == me],
        "others": sum(1 for line in tallies if line.tallied_by != me),
        "waiting": waiting,
        "left": to_come.mine,
        "second": to_come.others,
        "total": total,
        "counted": total - left,
        "words": words,
    }


def _asked(tx: Tx, mark: str, what: str) -> idempotency.Command:
    return idempotency.command(tx.actor.label, mark, "count-scan", what.encode())


@post("/counts/{number:int}/scan", opt={"permission": "stock:count"}, status_code=200)
async def scan(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Note a scan, or with `set` how many there are; the answer is the sheet drawn anew.

    A page that got no answer sends its scan again under the same `scan`: it is noted once.
    """
    read = filling.filled(await request.form())
    quantity, add = read.maybe_whole("quantity"), not read.flag("set")
    if quantity is not None and quantity < 0:
        read.wrong("quantity", N_("Write a whole number, 0 or more."))
    read.refuse()
    code = read.text("code", 80)
    refuse([] if code else [Flaw("code", N_("Scan or type a code."))])
    async with web.writing(request) as tx:
        (card,) = await scanning.goods_of(tx, [code], "code")
        amount = quantity if quantity is not None else 1
        if add and read.flag("minus"):
            amount = -amount
        bin_, mark = read.text("bin", 80), read.text("scan", 60)
        asked = _asked(tx, mark, f"{number} {card.id} {amount} {add}") if mark else None
        if asked is None or await idempotency.begin(tx, asked) is None:
            await service.tally(tx, number, card.id, amount, add=add, bin_=bin_)
            if asked is not None:
                await idempotency.keep(tx, asked, idempotency.Reply(200, {}, b""))
        terms = await _counting(tx, request, number)
    if not web.wants_part(request):
        return web.see_other(f"/counts/{number}/count")
    return render.html("counts/sheet.html", last=card.sku, **terms)


@post("/counts/{number:int}/finish", opt={"permission": "stock:count"}, status_code=200)
async def finish(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Take what the person scanned as counted."""
    async with web.writing(request) as tx:
        task = await _one(tx, request, number)
        aside = await fulfillment.set_aside(tx, task.places)
        states = await service.finish(tx, number, aside)
    again = sum(1 for state in states.values() if state is LineState.RECOUNT)
    notice = n_("{n} SKU counted", "{n} SKUs counted", len(states))
    if again:
        notice = f"{notice}. {n_('{n} goes to a second person', '{n} go to a second person', again)}"
    return web.go_on(request, f"/counts/{number}/count", notice)


@post("/counts/{number:int}/entries", opt={"permission": "stock:count"}, status_code=200)
async def entries(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Take a sheet of counted quantities, typed or as a file."""
    form = await request.form()
    async with web.writing(request) as tx:
        task = await _one(tx, request, number)
        lines = await goods_forms.sheet_of(tx, form)
        aside = await fulfillment.set_aside(tx, task.places, [line.card.id for line in lines])
        states = await service.enter(tx, number, [Entry(x.card.id, x.quantity) for x in lines], aside)
    notice = n_("{n} SKU counted", "{n} SKUs counted", len(states))
    return web.go_on(request, f"/counts/{number}", await uploads.told(notice, await goods_forms.file_in(form)))


# --- deciding ---


@post("/counts/{number:int}/decide", opt={"permission": "stock:approve"}, status_code=200)
async def decide(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Approve the ticked lines or all that wait for it, or have the ticked ones counted again.

    What was counted again since the page was drawn has another variance than it shows, and is not approved unseen.
    """
    form = await request.form()
    read, skus = filling.filled(form), goods_forms.skus_of(form)
    act = read.text("act")
    refuse([] if skus or act == "approve_all" else [Flaw("sku", N_("Choose at least one SKU."))])
    async with web.writing(request) as tx:
        if act == "approve_all":
            done = await service.approve(tx, number, mark=read.text("mark", 32) or None)
            notice = n_("{n} variance approved", "{n} variances approved", done)
            if left := await reads.to_approve(tx, number):
                also = n_("{n} that you counted waits", "{n} that you counted wait", left)
                notice = _("{done}; {more} for somebody else", done=notice, more=also)
        elif act == "recount":
            notice = n_("{n} SKU to count again", "{n} SKUs to count again", await service.recount(tx, number, skus))
        else:
            seen = {sku: n for sku in skus if (n := whole_in(read.text(f"n{sku}", 5), 5)) is not None}
            done = await service.approve(tx, number, skus, seen=seen)
            notice = n_("{n} variance approved", "{n} variances approved", done)
    return web.go_on(request, f"/counts/{number}", notice)


@post("/counts/{number:int}/close", opt={"permission": "stock:approve"}, status_code=200)
async def close(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """End a count and apply it."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        task = await _one(tx, request, number)
        aside = await fulfillment.set_aside(tx, task.places)
        done = await service.close(tx, number, aside, uncounted_is_zero=read.text("uncounted") == "zero")
    notice = n_("Count applied: {n} SKU", "Count applied: {n} SKUs", done.lines)
    if done.left:
        notice = n_("{n} SKU is applied in the background", "{n} SKUs are applied in the background", done.left)
    return web.go_on(request, f"/counts/{number}", notice)


@post("/counts/{number:int}/cancel", opt={"permission": "stock:count"}, status_code=200)
async def cancel(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Give a count up."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.cancel(tx, number, read.text("reason", 200))
    return web.go_on(request, f"/counts/{number}", _("Count cancelled"))


# --- suspected stock ---


class Suspected(web.Terms, frozen=True, kw_only=True):
    """What the address of the list says."""

    PATH: ClassVar[str] = "/suspicions"


@get("/suspicions", opt={"permission": "stock:read"})
async def suspicion_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show stock that is probably not there, with the reasons."""
    asked = Suspected.of(request.query_params)
    try:
        after: Any = paging.position(asked.after, asked.PATH, (int, datetime, int, int))
    except paging.BadCursor:
        after = None
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "suspicions", here=asked.address(after=asked.after))
        rows = await reads.suspicions(tx, scope, after=after, limit=PAGE_SIZE + 1)
        if after is not None and not rows:  # what stood on this page was lifted meanwhile
            after, rows = None, await reads.suspicions(tx, scope, after=None, limit=PAGE_SIZE + 1)
    page = paging.page_of(rows, PAGE_SIZE, asked.PATH, lambda row: row.place)
    return render.html(
        "counts/suspicions.html",
        shell=around,
        may=around.may,
        rows=page.items,
        asked=asked,
        first=asked.address(after="") if after else "",
        next=asked.address(after=page.next) if page.next else "",
        exports=export.choices(str, "/suspicions:export"),
    )


SUSPICION_COLUMNS = (
    Column(N_("SKU")), Column(N_("Name"), width=32), Column(N_("Code")), Column(N_("Location"), width=28),
    Column(N_("Held back"), Kind.WHOLE), Column(N_("Suspicion"), Kind.WHOLE), Column(N_("Not found"), Kind.WHOLE),
    Column(N_("Sales"), Kind.WHOLE), Column(N_("Days without a sale"), Kind.WHOLE), Column(N_("Since"), Kind.MOMENT),
)  # fmt: skip


@get(export.paths("/suspicions:export"), opt={"permission": "stock:read"})
async def suspicion_export(request: Request[Any, Any, Any]) -> Stream:
    """Send everything that is suspected as a file."""
    scope = shell.scope_of(web.caller_of(request))
    pages = export.pages(
        request,
        lambda tx, after: reads.suspicions(tx, scope, after=after, limit=export.BATCH),
        lambda row: row.place,
    )

    def cells(row: reads.SuspicionRow) -> list[Any]:
        return [
            row.sku, row.name, row.location, row.location_name, row.kept_back, row.score, row.why.short_picks,
            row.why.sales, round(row.why.silent_days or 0), row.found_at,
        ]  # fmt: skip

    return export.send(request, "suspicions", SUSPICION_COLUMNS, pages, cells)


@post("/suspicions:lift", opt={"permission": "stock:approve"}, status_code=200)
async def lift(request: Request[Any, Any, Any]) -> Response[Any]:
    """Say that the ticked stock was seen: it may be sold again."""
    form = await request.form()
    read = filling.filled(form)
    keys = [str(value).partition("/") for value in form.getall("key", [])][:PAGE_SIZE]
    chosen: dict[str, list[str]] = {}
    for location, _slash, sku in keys:
        chosen.setdefault(location, []).append(sku)
    refuse([] if chosen else [Flaw("key", N_("Choose at least one SKU."))])
    lifted = 0
    async with web.writing(request) as tx:
        for code, skus in sorted(chosen.items()):
            place = await goods_forms.place_of(tx, request, code)
            cards = await catalog.by_skus(tx, skus)
            reason = read.text("reason", 200) or "seen"
            lifted += await suspicions.lift(tx, [place.id], [card.id for card in cards], reason)
            facts = {"location": code, "skus": sorted(skus), "reason": reason}
            await audit.record(tx, action="lift_suspicion", entity="stock", entity_id="-", after=facts)
    return web.go_on(request, "/suspicions", n_("{n} suspicion lifted", "{n} suspicions lifted", lifted))


HANDLERS = [
    count_list,
    list_export,
    count_new,
    count_create,
    count_show,
    count_export,
    counting,
    scan,
    finish,
    entries,
    decide,
    close,
    cancel,
    suspicion_list,
    suspicion_export,
    lift,
]
