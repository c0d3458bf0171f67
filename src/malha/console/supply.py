"""Purchase and production orders and receipts: lists, one of them, placing, receiving by scanner, taking back."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, forms, goods_forms, render, shell, stock_words, uploads, web
from malha.console import goods_words as words
from malha.console.goods_forms import names_of
from malha.console.stock_reads import Place
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.buckets.model import BY_HAND, Bucket
from malha.inventory.supply import changing, reads, scanning, service
from malha.inventory.supply.errors import InboundEnded, UnknownInbound, UnknownReceipt
from malha.inventory.supply.model import (
    INBOUND_WORDS,
    InboundChange,
    InboundDraft,
    InboundKind,
    InboundLineDraft,
    InboundState,
    LineChange,
    ReceiptDraft,
    ReceivedLine,
)
from malha.inventory.supply.reads import CameWith, OrderHead, OrderRow, OrdersWanted, ReceiptRow, ReceiptsWanted
from malha.ordering import waiting_reads
from malha.ordering.waiting_reads import WaitingRow, WaitingWanted
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word, _, n_
from malha.platform.ids import id_in, new_id
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

PAGE_SIZE = 50
QUEUE = 20  # of those who wait for an order's goods
VIEWS: tuple[tuple[str, str, tuple[InboundState, ...] | None], ...] = (
    ("open", N_("To come"), None),
    ("late", N_("Late"), None),
    ("partial", N_("Partly received"), (InboundState.PARTIAL,)),
    ("received", N_("Received"), (InboundState.RECEIVED,)),
    ("ended", N_("Closed or cancelled"), (InboundState.CLOSED, InboundState.CANCELLED)),
    ("all", N_("All"), None),
)
_KEYS = tuple(key for key, _word, _states in VIEWS)
DEFAULT_ETA = timedelta(days=14)
Form = Any


def today() -> date:
    """Return the reader's day."""
    return render.local(now()).date()


def _wanted(
    request: web.Asking, asked: goods_forms.Terms, places: Sequence[Place], owned: tuple[int, ...] | None
) -> OrdersWanted:
    """Return the list's terms; for a location that is none, or not the person's, nothing is ordered."""
    return OrdersWanted(
        open=asked.view in {"open", "late", "partial"},
        states=next(states for key, _word, states in VIEWS if key == asked.view),
        late=today() if asked.view == "late" else None,
        text=asked.q,
        location_id=goods_forms.place_asked(places, asked.destination),
        since=asked.since,
        until=asked.until,
        owned=owned,
        scope=shell.scope_of(web.caller_of(request)),
    )


def _before(request: web.Asking) -> int | None:
    text = request.query_params.get("before", "")
    return whole_in(text, 17)


@get("/purchase-orders", opt={"permission": "stock:read"})
async def order_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show purchase and production orders, the newest first."""
    asked = goods_forms.terms_of(request, _KEYS)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "purchases")
        places = await goods_forms.places_of(tx, request)
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, places, owners.location_ids)
        rows = await reads.orders(tx, wanted, before=_before(request), limit=PAGE_SIZE + 1)
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else 0
    return render.html(
        "supply/orders.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        today=today(),
        words=words,
        asked=asked,
        places=[(place.code, place.name) for place in places],
        owners=owners,
        views=[(_(word), asked.address("/purchase-orders", view=key), key == asked.view) for key, word, _s in VIEWS],
        unfiltered=f"/purchase-orders?view={asked.view}",
        next=asked.address("/purchase-orders", before=more) if more else "",
        exports=export.choices(asked.address, "/purchase-orders:export"),
    )


ORDER_COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("Kind")), Column(N_("Supplier"), width=30), Column(N_("Reference")),
    Column(N_("Location code")), Column(N_("Owner of the goods")), Column(N_("State")),
    Column(N_("Units"), Kind.WHOLE), Column(N_("Received"), Kind.WHOLE), Column(N_("To come"), Kind.WHOLE),
    Column(N_("Next date")),
)  # fmt: skip


@get(export.paths("/purchase-orders:export"), opt={"permission": "stock:read"})
async def order_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    asked = goods_forms.terms_of(request, _KEYS)
    async with web.reading(request) as tx:
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, await goods_forms.places_of(tx, request), owners.location_ids)

    pages = export.pages(
        request, lambda tx, before: reads.orders(tx, wanted, before=before, limit=export.BATCH), lambda row: row.number
    )

    def cells(row: OrderRow) -> list[Any]:
        return [
            row.number, _(words.INBOUND_KIND[row.kind]), row.supplier, row.reference, row.location,
            row.owner_name, _(words.INBOUND[row.state].word), row.units, row.received, row.expected,
            row.next_eta.isoformat() if row.next_eta else None,
        ]  # fmt: skip

    return export.send(request, "purchase-orders", ORDER_COLUMNS, pages, cells)


@get("/purchase-orders:new", opt={"permission": "stock:write"})
async def order_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "purchases")
        places = await goods_forms.places_of(tx, request)
    return render.html(
        "supply/new_order.html",
        shell=around,
        may=around.may,
        kinds=[(kind.value, _(words.INBOUND_KIND[kind])) for kind in InboundKind],
        places=[(place.code, place.name) for place in places],
        eta=(today() + DEFAULT_ETA).isoformat(),
    )


@post("/purchase-orders:new", opt={"permission": "stock:write"}, status_code=200)
async def order_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Place an order; its lines are typed, pasted or come as a file."""
    form = await request.form()
    read = filling.filled(form)
    eta = read.day("eta")
    kind, over = read.choice("kind", InboundKind), read.maybe_whole("over_percent") or 0
    if eta is None and not read.flaws:
        read.wrong("eta", N_("This field is empty."), N_("Fill it in."))
    if not 0 <= over <= 100:
        read.wrong("over_percent", N_("Write a number from 0 to 100."))
    location = read.chosen("location")
    read.refuse()
    async with web.writing(request) as tx:
        place = await goods_forms.place_of(tx, request, location)
        lines = await goods_forms.sheet_of(tx, form)
        draft = InboundDraft(
            kind=kind,
            supplier=read.text("supplier", 120),
            location_id=place.id,
            lines=[InboundLineDraft(x.card.id, x.quantity, x.eta or eta or today(), x.unit_cost) for x in lines],
            reference=read.text("reference", 80) or None,
            over_percent=over,
            note=read.text("note", 200),
        )
        done = await service.place_order(tx, draft)
    notice = _("Order placed") if done.created else _("This order was there already")
    told = await uploads.told(notice, await goods_forms.file_in(form))
    return web.go_on(request, f"/purchase-orders/{done.number}", told)


async def _one(tx: Tx, request: web.Asking, number: int) -> OrderHead:
    order = await reads.order(tx, number)
    if order is None or not web.caller_of(request).sees(order.location_id):
        raise UnknownInbound(number=number)
    return order


@get("/purchase-orders/{number:int}", opt={"permission": "stock:read"})
async def order_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show one order with its lines, every move of their dates, and its receipts."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "purchases")
        order = await _one(tx, request, number)
        lines = await reads.order_lines(tx, order.id)
        receipts = await reads.receipts(tx, ReceiptsWanted(order_id=order.id))
        promised = {row.line: row for row in await ahead_reads.supply_from(tx, order.id)}
        queue: list[WaitingRow] = []
        if around.may("orders:read"):
            asked = WaitingWanted(today=today(), source_id=order.id, scope=shell.scope_of(web.caller_of(request)))
            queue = await waiting_reads.waiting(tx, asked, limit=QUEUE + 1)
        names = await names_of(tx, [order.created_by, *(move.actor for line in lines for move in line.moves)])
    return render.html(
        "supply/order.html",
        shell=around,
        may=around.may,
        order=order,
        lines=lines,
        receipts=receipts,
        promised=promised,
        queue=queue[:QUEUE],
        more=len(queue) > QUEUE,
        words=words,
        names=names,
        today=today(),
        expected=sum(line.expected for line in lines),
        received=sum(line.received for line in lines),
        units=sum(line.quantity for line in lines),
        next_eta=min((line.eta for line in lines if line.expected), default=None),
    )


@get("/purchase-orders/{number:int}/edit", opt={"permission": "stock:write"})
async def order_edit(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show what may be changed of an order: its head, each line, and more lines."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "purchases")
        order = await _one(tx, request, number)
        if order.state not in {InboundState.OPEN, InboundState.PARTIAL}:
            raise InboundEnded(number=number, state=Word(INBOUND_WORDS[order.state]))
        lines = await reads.order_lines(tx, order.id)
        promised = {row.line: row.promised for row in await ahead_reads.supply_from(tx, order.id)}
    return render.html(
        "supply/edit_order.html",
        shell=around,
        may=around.may,
        order=order,
        lines=lines,
        promised=promised,
        eta=max([today(), *(line.eta for line in lines if line.expected)]).isoformat(),
    )


@post("/purchase-orders/{number:int}/edit", opt={"permission": "stock:write"}, status_code=200)
async def order_change(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Change an order that nobody else changed, and nothing of which came, since the form was opened."""
    form = await request.form()
    read = filling.filled(form)
    over, eta = read.maybe_whole("over_percent") or 0, read.day("eta")
    if not 0 <= over <= 100:
        read.wrong("over_percent", N_("Write a number from 0 to 100."))
    lines = [_line_of(read, i) for i in range(sum(name.endswith("/line") for name in form))]
    read.refuse()
    async with web.writing(request) as tx:
        await _one(tx, request, number)
        added = await goods_forms.sheet_of(tx, form) if goods_forms.has_sheet(form) else []
        change = InboundChange(
            reference=read.text("reference", 80) or None,
            note=read.text("note", 200),
            over_percent=over,
            lines=lines,
            added=[InboundLineDraft(x.card.id, x.quantity, x.eta or eta or today(), x.unit_cost) for x in added],
            reason=read.text("reason", 200),
        )
        done = await changing.change(tx, number, change, read.version())
    notice = _("Purchase order changed") if done.changed else _("Nothing was different")
    told = await uploads.told(notice, await goods_forms.file_in(form))
    return web.go_on(request, f"/purchase-orders/{number}", told)


def _line_of(read: filling.Filled, i: int) -> LineChange:
    """Return what a form says of the line at a place; a field that it does not have stays."""
    at = f"lines/{i}"
    return LineChange(
        line=read.whole(f"{at}/line"),
        quantity=read.whole(f"{at}/quantity"),
        eta=read.day(f"{at}/eta"),
        unit_cost=read.maybe_scaled(f"{at}/unit_cost", 2),
    )


@post("/purchase-orders/{number:int}/reschedule", opt={"permission": "stock:write"}, status_code=200)
async def order_reschedule(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Move the dates of the ticked lines, or of all that are to come."""
    form = await request.form()
    read = filling.filled(form)
    eta = read.day("eta")
    if eta is None and not read.flaws:
        read.wrong("eta", N_("This field is empty."), N_("Fill it in."))
    read.refuse()
    async with web.writing(request) as tx:
        order = await _one(tx, request, number)
        chosen = _lines_of(form) or [line.line for line in await reads.order_lines(tx, order.id) if line.expected]
        moved = await service.reschedule(tx, number, dict.fromkeys(chosen, eta or today()), read.text("reason", 200))
    notice = n_("{n} date moved", "{n} dates moved", moved)
    return web.go_on(request, f"/purchase-orders/{number}", notice)


@post("/purchase-orders/{number:int}/close", opt={"permission": "stock:write"}, status_code=200)
async def order_close(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Give up what is still to come of the ticked lines, or of all."""
    form = await request.form()
    read = filling.filled(form)
    async with web.writing(request) as tx:
        units = await service.drop_lines(tx, number, _lines_of(form) or None, read.text("reason", 200))
    notice = n_("{n} unit is no longer expected", "{n} units are no longer expected", units)
    return web.go_on(request, f"/purchase-orders/{number}", notice)


def _lines_of(form: Form) -> list[int]:
    """Return the ticked lines; where some were ticked and none is a number, one that no order has: not all of them."""
    return forms.numbers(form, "line", 4) or [0] * bool(forms.chosen(form, "line"))


# --- receipts ---


RECEIPT_VIEWS: tuple[tuple[str, str, CameWith | None], ...] = (
    ("all", N_("All"), None),
    ("order", N_("Of orders"), CameWith.ORDER),
    ("transfer", N_("Of transfers"), CameWith.TRANSFER),
    ("none", N_("Without either"), CameWith.NONE),
    ("undone", N_("Taken back"), CameWith.UNDONE),
)
_RECEIPT_KEYS = tuple(key for key, _word, _came in RECEIPT_VIEWS)


def _receipts_wanted(
    request: web.Asking, asked: goods_forms.Terms, places: Sequence[Place], owned: tuple[int, ...] | None
) -> ReceiptsWanted:
    """Return the list's terms; at a location that is none, or not the person's, nothing arrived."""
    since, until = asked.bounds()
    scope = shell.scope_of(web.caller_of(request))
    return ReceiptsWanted(
        text=asked.q,
        location_id=goods_forms.place_asked(places, asked.destination),
        came_with=next(came for key, _word, came in RECEIPT_VIEWS if key == asked.view),
        since=since,
        until=until,
        owned=owned,
        scope=scope,
    )


@get("/receipts", opt={"permission": "stock:read"})
async def receipt_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show receipts, the newest first."""
    asked = goods_forms.terms_of(request, _RECEIPT_KEYS)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "receipts")
        places = await goods_forms.places_of(tx, request)
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _receipts_wanted(request, asked, places, owners.location_ids)
        rows = await reads.receipts(tx, wanted, before=_before(request), limit=PAGE_SIZE + 1)
        names = await names_of(tx, [row.received_by for row in rows])
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else 0
    return render.html(
        "supply/receipts.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        names=names,
        asked=asked,
        places=[(place.code, place.name) for place in places],
        owners=owners,
        views=[(_(word), asked.address("/receipts", view=key), key == asked.view) for key, word, _c in RECEIPT_VIEWS],
        unfiltered=f"/receipts?view={asked.view}",
        next=asked.address("/receipts", before=more) if more else "",
        exports=export.choices(asked.address, "/receipts:export"),
    )


RECEIPT_COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("Location code")), Column(N_("Owner of the goods")),
    Column(N_("Order"), Kind.WHOLE), Column(N_("Transfer"), Kind.WHOLE), Column(N_("Shipments")),
    Column(N_("Document")), Column(N_("Units"), Kind.WHOLE), Column(N_("Not sellable"), Kind.WHOLE),
    Column(N_("Received at")), Column(N_("Taken back")),
)  # fmt: skip


@get(export.paths("/receipts:export"), opt={"permission": "stock:read"})
async def receipt_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    asked = goods_forms.terms_of(request, _RECEIPT_KEYS)
    async with web.reading(request) as tx:
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _receipts_wanted(request, asked, await goods_forms.places_of(tx, request), owners.location_ids)

    pages = export.pages(
        request,
        lambda tx, before: reads.receipts(tx, wanted, before=before, limit=export.BATCH),
        lambda row: row.number,
    )

    def cells(row: ReceiptRow) -> list[Any]:
        return [
            row.number, row.location, row.owner_name, row.order_number, row.transfer_number,
            ", ".join(map(str, row.shipments)), row.document, row.units, row.unsellable,
            row.received_at.isoformat(timespec="minutes"), row.undo_reason,
        ]  # fmt: skip

    return export.send(request, "receipts", RECEIPT_COLUMNS, pages, cells)


@get("/receipts/{number:int}", opt={"permission": "stock:read"})
async def receipt_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show one receipt."""
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "receipts")
        wanted = ReceiptsWanted(number=number, scope=scope)
        found = await reads.receipts(tx, wanted)
        if not found:
            raise UnknownReceipt(number=number)
        lines = await reads.receipt_lines(tx, number)
        names = await names_of(tx, [found[0].received_by])
    return render.html(
        "supply/receipt.html", shell=around, may=around.may, receipt=found[0], lines=lines, names=names, words=words
    )


@post("/receipts/{number:int}/undo", opt={"permission": "stock:write"}, status_code=200)
async def receipt_undo(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Take a receipt back."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        left = await service.undo_receipt(tx, number, read.text("reason", 200))
    return web.go_on(request, f"/receipts/{number}", stock_words.with_missing(_("Receipt taken back"), left))


@get("/receive", opt={"permission": "stock:count"})
async def receive_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the scan sheet of an order, or an empty one."""
    text = request.query_params.get("order", "")
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "receipts")
        places = await goods_forms.places_of(tx, request)
        order, lines = None, []
        if (number := whole_in(text, 17)) is not None:
            order = await _one(tx, request, number)
            lines = [line for line in await reads.order_lines(tx, order.id) if line.expected]
    return render.html(
        "supply/receive.html",
        shell=around,
        may=around.may,
        order=order,
        lines=lines,
        places=[(place.code, place.name) for place in places],
        receipt_id=str(new_id()),
        buckets=[(b.value, _(words.BUCKET[b])) for b in BY_HAND if b is not Bucket.DISPLAY],
    )


@get("/receive/row", opt={"permission": "stock:count"})
async def receive_row(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the row of a scanned code that the sheet has not: its SKU with a field for each bucket."""
    code = web.said(request.query_params, "code").strip()[:80]
    async with web.reading(request) as tx:
        (card,) = await scanning.goods_of(tx, [code], "code")
    buckets = [(b.value, _(words.BUCKET[b])) for b in BY_HAND if b is not Bucket.DISPLAY]
    return render.html("supply/scan_row.html", sku=card, expected=None, buckets=buckets)


@post("/receive", opt={"permission": "stock:count"}, status_code=200)
async def receive(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take in what a scan sheet, or a file, says."""
    form = await request.form()
    read = filling.filled(form)
    number = read.maybe_whole("order")
    location = "" if number else read.chosen("location")
    read.refuse()
    raw: bytes | None = None
    async with web.writing(request) as tx:
        order = await _one(tx, request, number) if number else None
        place = order.location_id if order else (await goods_forms.place_of(tx, request, location)).id
        lines = [ReceivedLine(sku, units, bucket) for sku, bucket, units in goods_forms.scanned(form)]
        if not lines and not goods_forms.has_sheet(form):
            refuse([Flaw("lines", N_("Scan what arrived, or write how much of it."))])
        if not lines:
            lines = [ReceivedLine(x.card.id, x.quantity) for x in await goods_forms.sheet_of(tx, form)]
            raw = await goods_forms.file_in(form)
        draft = ReceiptDraft(
            id=id_in(read.text("id", 40)) or new_id(),
            location_id=place,
            order_id=order.id if order else None,
            lines=lines,
            document=read.text("document", 120) or None,
            note=read.text("note", 200),
            accept_over=read.flag("accept_over"),
            same_document=read.flag("same_document"),
        )
        done = await service.receive(tx, draft)
    again = _("These goods were received already")
    notice = again if done.repeated else _("Goods received: R{number}", number=done.number)
    return web.go_on(request, f"/receipts/{done.number}", await uploads.told(notice, raw))


HANDLERS = [
    order_list,
    order_export,
    order_new,
    order_create,
    order_show,
    order_edit,
    order_change,
    order_reschedule,
    order_close,
    receipt_list,
    receipt_export,
    receipt_show,
    receipt_undo,
    receive_form,
    receive_row,
    receive,
]
