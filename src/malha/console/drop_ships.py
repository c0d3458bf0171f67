"""Drop-ship orders on screen: what vendors are asked to send, their answers, their parcels."""

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, forms, goods_forms, render, shell, web
from malha.console.supply import today
from malha.console.words import DROP
from malha.fulfillment import drop_reads, dropping
from malha.fulfillment.drop_reads import DropRow, DropsWanted
from malha.fulfillment.model import Tracking
from malha.inventory.vendors.model import DropState
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

PAGE_SIZE = 50
VIEWS: tuple[tuple[str, str], ...] = (
    ("open", N_("Open")),
    ("asked", N_("To answer")),
    ("accepted", N_("To send")),
    ("late", N_("Late")),
    ("all", N_("All")),
)
_KEYS = tuple(key for key, _word in VIEWS)
Asking = Request[Any, Any, Any]


def _wanted(request: web.Asking, asked: goods_forms.Terms) -> DropsWanted:
    return DropsWanted(
        open=asked.view == "open",
        state=DropState(asked.view) if asked.view in {"asked", "accepted"} else None,
        late=today() if asked.view == "late" else None,
        text=asked.q,
        scope=shell.scope_of(web.caller_of(request)),
    )


@get("/drop-ships", opt={"permission": "orders:read"})
async def drop_list(request: Asking) -> Response[str]:
    """Show what vendors are asked to send, the newest first."""
    asked = goods_forms.terms_of(request, _KEYS)
    before = whole_in(request.query_params.get("before", ""), 17)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "drop_ships")
        rows = await drop_reads.drops(tx, _wanted(request, asked), before=before, limit=PAGE_SIZE + 1)
        opens = await drop_reads.orders_seen(tx, [row.order_id for row in rows], tx.actor.scope)
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else 0
    return render.html(
        "drop_ships/list.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        opens=opens,
        signs=DROP,
        today=today(),
        q=asked.q,
        view=asked.view,
        views=[(_(word), asked.address("/drop-ships", view=key), key == asked.view) for key, word in VIEWS],
        next=asked.address("/drop-ships", before=more) if more else "",
        exports=export.choices(asked.address, "/drop-ships:export"),
    )


DROP_COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("Order"), Kind.WHOLE), Column(N_("Vendor"), width=30),
    Column(N_("State")), Column(N_("Leaves the vendor")), Column(N_("Units"), Kind.WHOLE),
    Column(N_("Already left"), Kind.WHOLE), Column(N_("Cost"), Kind.MONEY), Column(N_("Vendor's number")),
    Column(N_("Asked"), Kind.MOMENT),
)  # fmt: skip


@get(export.paths("/drop-ships:export"), opt={"permission": "orders:read"})
async def drop_export(request: Asking) -> Stream:
    """Send the filtered list as a file."""
    wanted = _wanted(request, goods_forms.terms_of(request, _KEYS))
    pages = export.pages(
        request,
        lambda tx, before: drop_reads.drops(tx, wanted, before=before, limit=export.BATCH),
        lambda row: row.number,
    )

    def cells(row: DropRow) -> list[Any]:
        return [
            row.number, row.order_number, row.location_name, _(DROP[row.state].word), row.leaves_on.isoformat(),
            row.units, row.sent, row.cost, row.reference, row.asked_at,
        ]  # fmt: skip

    return export.send(request, "drop-ships", DROP_COLUMNS, pages, cells)


@get("/drop-ships/{number:int}", opt={"permission": "orders:read"})
async def drop_show(request: Asking, number: FromPath[int]) -> Response[str]:
    """Show a drop-ship order: what is to be sent, to whom, and what the vendor may say."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "drop_ships")
        row = await dropping.drop_of(tx, number)
        lines = await drop_reads.drop_lines(tx, row.id)
        to = await drop_reads.destination(tx, row.order_id, reveals=around.may("customers:reveal"))
        opens = await drop_reads.orders_seen(tx, [row.order_id], tx.actor.scope)
        there = await dropping.today_at(tx, row.location_id)
    return render.html(
        "drop_ships/show.html",
        shell=around,
        may=around.may,
        row=row,
        opens=bool(opens),
        lines=lines,
        to=to,
        signs=DROP,
        today=there,
    )


@post("/drop-ships/{number:int}/accept", opt={"permission": "fulfillment:work"}, status_code=200)
async def drop_accept(request: Asking, number: FromPath[int]) -> Response[Any]:
    """Note that the vendor sends it."""
    read = filling.filled(await request.form())
    day = read.day("leaves_on")
    read.refuse()
    async with web.writing(request) as tx:
        await dropping.accept(tx, number, leaves_on=day, reference=read.text("reference", 80) or None)
    return web.go_on(request, f"/drop-ships/{number}", _("Accepted by the vendor"))


@post("/drop-ships/{number:int}/refuse", opt={"permission": "fulfillment:work"}, status_code=200)
async def drop_refuse(request: Asking, number: FromPath[int]) -> Response[Any]:
    """Note that the vendor does not send the ticked lines, or any of it."""
    form = await request.form()
    read = filling.filled(form)
    lines = forms.numbers(form, "line", 4)
    async with web.writing(request) as tx:
        waiting = await dropping.refuse_drop(tx, number, read.text("reason", 200), lines or None)
    return web.go_on(request, f"/drop-ships/{number}", _placed_says(waiting))


@post("/drop-ships/{number:int}/cancel", opt={"permission": "orders:write"}, status_code=200)
async def drop_cancel(request: Asking, number: FromPath[int]) -> Response[Any]:
    """Take it back from the vendor."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        waiting = await dropping.take_back(tx, number, read.text("reason", 200))
    return web.go_on(request, f"/drop-ships/{number}", _placed_says(waiting))


def _placed_says(waiting: int) -> str:
    if not waiting:
        return _("Another place has it")
    return n_("{n} unit found no other place", "{n} units found no other place", waiting)


@post("/drop-ships/{number:int}/send", opt={"permission": "fulfillment:work"}, status_code=200)
async def drop_send(request: Asking, number: FromPath[int]) -> Response[Any]:
    """Note that the ticked lines, or all of it, left in one parcel."""
    form = await request.form()
    read = filling.filled(form)
    url = read.text("tracking_url", 400)
    if url and not url.startswith(("http://", "https://")):
        read.wrong("tracking_url", N_("This is no address of a page."), N_("Begin it with https://."))
    read.refuse()
    chosen = forms.numbers(form, "line", 4)
    tracking = Tracking(None, read.text("carrier", 120) or None, read.text("tracking_code", 120) or None, url or None)
    async with web.writing(request) as tx:
        lines = await dropping.sold_left(tx, number, chosen) if chosen else None
        sent = await dropping.send(tx, number, tracking=tracking, lines=lines)
    return web.go_on(request, f"/drop-ships/{number}", _("Sent as work {number}", number=sent.number))


HANDLERS = (drop_list, drop_export, drop_show, drop_accept, drop_refuse, drop_cancel, drop_send)
