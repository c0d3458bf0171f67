"""Transfers: the list, asking for one, and one of them with the step that comes next and what waits for a decision."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, goods_forms, render, shell, stock_words, uploads, web
from malha.console import goods_words as words
from malha.fulfillment import bringing
from malha.fulfillment import reads as jobs
from malha.inventory.buckets.model import BY_HAND, Bucket
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.errors import UnknownTransfer
from malha.inventory.transfers.model import (
    DECISIONS,
    Arrival,
    Arrived,
    Decision,
    Departure,
    DiscrepancyKind,
    TransferDraft,
    TransferState,
)
from malha.inventory.transfers.reads import TransferHead, TransferRow, TransfersWanted
from malha.network import reads as network
from malha.network.errors import UnknownLocation
from malha.network.model import Location
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.i18n import N_, Word, _, n_
from malha.platform.ids import id_in, new_id
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

PAGE_SIZE = 50
OPEN = (
    TransferState.REQUESTED, TransferState.APPROVED, TransferState.PARTLY_SHIPPED, TransferState.SHIPPED,
    TransferState.RECEIVED,
)  # fmt: skip
VIEWS: tuple[tuple[str, str, tuple[TransferState, ...] | None], ...] = (
    ("open", N_("Open"), OPEN),
    ("requested", N_("To approve"), (TransferState.REQUESTED,)),
    ("approved", N_("To ship"), (TransferState.APPROVED, TransferState.PARTLY_SHIPPED)),
    ("shipped", N_("In transit"), (TransferState.PARTLY_SHIPPED, TransferState.SHIPPED)),
    ("late", N_("Overdue"), OPEN),
    ("received", N_("To decide"), (TransferState.RECEIVED,)),
    ("all", N_("All"), None),
)
_KEYS = tuple(key for key, _word, _states in VIEWS)


def _today() -> date:
    return render.local(now()).date()


def _wanted(
    request: web.Asking, asked: goods_forms.Terms, places: Sequence[Location], owned: tuple[int, ...] | None
) -> TransfersWanted:
    """Return the list's terms; of a location that is none nothing comes and nothing goes."""
    states = next(states for key, _word, states in VIEWS if key == asked.view)
    since, until = asked.bounds()
    scope = shell.scope_of(web.caller_of(request))
    return TransfersWanted(
        states=states,
        text=asked.q,
        origin_id=goods_forms.place_asked(places, asked.origin),
        destination_id=goods_forms.place_asked(places, asked.destination),
        since=since,
        until=until,
        late=_today() if asked.view == "late" else None,
        owned=owned,
        crosses=goods_forms.CROSSINGS[asked.crosses][1] if asked.crosses else None,
        scope=scope,
    )


@get("/transfers", opt={"permission": "stock:read"})
async def transfer_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show transfers from and to the person's locations, the newest first."""
    asked = goods_forms.terms_of(request, _KEYS)
    text = request.query_params.get("before", "")
    before = whole_in(text, 17)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "transfers")
        places = await network.locations(tx)
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, places, owners.location_ids)
        rows = await reads.transfers(tx, wanted, before=before, limit=PAGE_SIZE + 1)
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else 0
    return render.html(
        "transfers/list.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        asked=asked,
        today=_today(),
        places=[(place.code, place.name) for place in places],
        owners=owners,
        crossings=[(key, _(word)) for key, (word, _kinds) in goods_forms.CROSSINGS.items()],
        views=[(_(word), asked.address("/transfers", view=key), key == asked.view) for key, word, _states in VIEWS],
        unfiltered=f"/transfers?view={asked.view}",
        words=words,
        next=asked.address("/transfers", before=more) if more else "",
        exports=export.choices(asked.address, "/transfers:export"),
    )


COLUMNS = (
    Column(N_("Number"), Kind.WHOLE), Column(N_("State")), Column(N_("Origin")), Column(N_("Owner at the origin")),
    Column(N_("Destination")), Column(N_("Owner at the destination")), Column(N_("Between owners")),
    Column(N_("Document")), Column(N_("Expected")), Column(N_("Asked"), Kind.WHOLE), Column(N_("To ship"), Kind.WHOLE),
    Column(N_("Shipments"), Kind.WHOLE), Column(N_("Sent"), Kind.WHOLE), Column(N_("Arrived"), Kind.WHOLE),
    Column(N_("In transit"), Kind.WHOLE), Column(N_("To decide"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/transfers:export"), opt={"permission": "stock:read"})
async def transfer_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    asked = goods_forms.terms_of(request, _KEYS)
    async with web.reading(request) as tx:
        owners = await goods_forms.owners_of(tx, request, asked.owner)
        wanted = _wanted(request, asked, await network.locations(tx), owners.location_ids)

    pages = export.pages(
        request,
        lambda tx, before: reads.transfers(tx, wanted, before=before, limit=export.BATCH),
        lambda row: row.number,
    )

    def cells(row: TransferRow) -> list[Any]:
        return [
            row.number, _(words.TRANSFER[row.state].word), row.origin, row.origin_owner_name, row.destination,
            row.destination_owner_name, _(words.CROSSES[row.crosses]), row.document,
            row.eta.isoformat() if row.eta else None, row.asked, row.to_ship, row.shipments, row.shipped, row.arrived,
            row.transit, row.undecided,
        ]  # fmt: skip

    return export.send(request, "transfers", COLUMNS, pages, cells)


@get("/transfers:new", opt={"permission": "stock:count"})
async def transfer_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the empty form: goods come to, or go from, a location of the person."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "transfers")
        everywhere = [(p.code, p.name) for p in await network.locations(tx) if p.status != "closed"]
        mine = await goods_forms.places_of(tx, request)
    return render.html(
        "transfers/new.html",
        shell=around,
        may=around.may,
        places=everywhere,
        here=mine[0].code if len(mine) == 1 else "",
    )


@post("/transfers:new", opt={"permission": "stock:count"}, status_code=200)
async def transfer_create(request: Request[Any, Any, Any]) -> Response[Any]:
    """Ask for a transfer."""
    form = await request.form()
    read = filling.filled(form)
    eta = read.day("eta")
    codes = [read.chosen("origin"), read.chosen("destination")]
    read.refuse()
    async with web.writing(request) as tx:
        places = await network.locations_by_code(tx, codes)
        for code in codes:
            if code not in places:
                raise UnknownLocation(key=code)
        lines = await goods_forms.sheet_of(tx, form)
        draft = TransferDraft(
            origin_id=places[codes[0]].id,
            destination_id=places[codes[1]].id,
            lines=[(line.card.id, line.quantity) for line in lines],
            eta=eta,
            note=read.text("note", 200),
        )
        number = await service.request(tx, draft)
    notice = await uploads.told(_("Transfer requested"), await goods_forms.file_in(form))
    return web.go_on(request, f"/transfers/{number}", notice)


async def _one(tx: Tx, request: web.Asking, number: int) -> TransferHead:
    found = await reads.transfer(tx, number)
    caller = web.caller_of(request)
    if found is None or not (caller.sees(found.origin_id) or caller.sees(found.destination_id)):
        raise UnknownTransfer(number=number)
    return found


@get("/transfers/{number:int}", opt={"permission": "stock:read"})
async def transfer_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show one transfer."""
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "transfers")
        found = await _one(tx, request, number)
        lines = await reads.transfer_lines(tx, found.id)
        discrepancies = await reads.discrepancies(tx, found.id)
        moves = await reads.moves(tx, found.id)
        shipments = await reads.shipments(tx, found.id)
        labels = [found.requested_by, found.approved_by, found.closed_short_by, *(d.decided_by for d in discrepancies)]
        labels += [shipment.shipped_by for shipment in shipments]
        labels += [move.actor for move in moves]
        names = await goods_forms.names_of(tx, labels)
        for_order = await jobs.order_of_transfer(tx, number)
    return render.html(
        "transfers/show.html",
        shell=around,
        may=around.may,
        transfer=found,
        lines=lines,
        discrepancies=discrepancies,
        moves=moves,
        shipments=shipments,
        today=_today(),
        decisions={kind.value: [(d.value, _(words.DECISION[d])) for d in DECISIONS[kind]] for kind in DiscrepancyKind},
        names=names,
        for_order=for_order,
        words=words,
        at_origin=caller.sees(found.origin_id),
        at_destination=caller.sees(found.destination_id),
        totals={
            name: sum(getattr(line, name) or 0 for line in lines)
            for name in ("asked", "approved", "to_ship", "shipped", "arrived", "transit", "dropped")
        },
    )


def _quantities(read: filling.Filled) -> dict[int, int]:
    found = {}
    for name in read.form:
        head, _slash, line = str(name).partition("/")
        if head == "quantities" and (number := whole_in(line, 4)) is not None:
            found[number] = read.whole(str(name))
    return found


@post("/transfers/{number:int}/approve", opt={"permission": "stock:approve"}, status_code=200)
async def transfer_approve(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Set the units aside."""
    read = filling.filled(await request.form())
    quantities = _quantities(read)
    read.refuse()
    async with web.writing(request) as tx:
        await service.approve(tx, number, quantities or None)
    return web.go_on(request, f"/transfers/{number}", _("Transfer approved"))


@post("/transfers/{number:int}/ship", opt={"permission": "stock:count"}, status_code=200)
async def transfer_ship(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Let the goods leave."""
    read = filling.filled(await request.form())
    quantities, eta, version = _quantities(read), read.day("eta"), read.maybe_whole("version")
    read.refuse()
    departure = Departure(
        quantities=quantities,
        more_follows=read.flag("more_follows"),
        document=read.text("document", 120) or None,
        carrier=read.text("carrier", 120) or None,
        tracking_code=read.text("tracking_code", 120) or None,
        eta=eta,
    )
    async with web.writing(request) as tx:
        await _unchanged(tx, number, version)
        found = await _one(tx, request, number)
        left = await service.ship(tx, number, departure)
    says = _("The goods have changed their owner") if found.changes_owner else _("Goods are on their way")
    if left.to_ship:
        rest = n_("{n} unit is left to ship", "{n} units are left to ship", left.to_ship)
        says = f"{says}. {rest}"
    return web.go_on(request, f"/transfers/{number}", stock_words.with_missing(says, left.deficits))


@post("/transfers/{number:int}/close", opt={"permission": "stock:count"}, status_code=200)
async def transfer_close(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Give back what has not left."""
    read = filling.filled(await request.form())
    version = read.maybe_whole("version")
    read.refuse()
    async with web.writing(request) as tx:
        await _unchanged(tx, number, version)
        units = await service.close_rest(tx, number, read.text("reason", 200))
    says = n_("{n} unit is free again at the origin", "{n} units are free again at the origin", units)
    return web.go_on(request, f"/transfers/{number}", says)


async def _unchanged(tx: Tx, number: int, version: int | None) -> None:
    """Refuse a form that was opened before somebody else did something to the transfer."""
    transfer = await service.lock_transfer(tx, number)
    if version is not None and transfer.seq != version:
        raise Conflict(what=Word(N_("Transfer")), key=f"T{number}")


@get("/transfers/{number:int}/receive", opt={"permission": "stock:count"})
async def receive_form(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show the scan sheet of one shipment that is on its way: the one asked for, else the first to leave."""
    text = request.query_params.get("shipment", "")
    wanted = whole_in(text, 5) or 0
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "transfers")
        found = await _one(tx, request, number)
        shipments = await reads.shipments(tx, found.id)
    coming = [one for one in shipments if one.coming and wanted in {0, one.number}]
    return render.html(
        "transfers/receive.html",
        shell=around,
        may=around.may,
        transfer=found,
        shipment=coming[0] if coming else None,
        several=len(shipments) > 1,
        lines=[line for line in coming[0].lines if line.coming] if coming else [],
        receipt_id=str(new_id()),
        buckets=[(b.value, _(words.BUCKET[b])) for b in BY_HAND if b is not Bucket.DISPLAY],
    )


@post("/transfers/{number:int}/receive", opt={"permission": "stock:count"}, status_code=200)
async def receive(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Take in what arrived."""
    form = await request.form()
    read = filling.filled(form)
    id_, shipment = id_in(read.text("id", 40)) or new_id(), read.maybe_whole("shipment")
    read.refuse()
    arrival = Arrival(
        id=id_,
        shipment=shipment,
        lines=[Arrived(sku, units, bucket) for sku, bucket, units in goods_forms.scanned(form)],
        complete=read.flag("complete"),
        note=read.text("note", 200),
    )
    async with web.writing(request) as tx:
        done = await bringing.receive(tx, number, arrival)
    waiting = done.missing + done.damaged + done.excess
    notice = n_("{n} unit waits for a decision", "{n} units wait for a decision", waiting) if waiting else ""
    notice = f"{_('The goods are received')}. {notice}" if notice else _("The goods are received")
    return web.go_on(request, f"/transfers/{number}", notice)


@post("/transfers/{number:int}/reschedule", opt={"permission": "stock:count"}, status_code=200)
async def reschedule(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Say on which day the goods come."""
    read = filling.filled(await request.form())
    eta, version, shipment = read.day("eta"), read.whole("version"), read.maybe_whole("shipment")
    if eta is None and not read.flaws:
        read.wrong("eta", N_("This field is empty."), N_("Fill it in."))
    read.refuse()
    async with web.writing(request) as tx:
        await _unchanged(tx, number, version)
        moved = await service.reschedule(tx, number, eta or _today(), read.text("reason", 200), shipment)
    return web.go_on(request, f"/transfers/{number}", _("Day moved") if moved else _("It was expected on that day"))


@post("/transfers/{number:int}/decide", opt={"permission": "stock:approve"}, status_code=200)
async def decide(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Say what became of units that did not arrive as they left."""
    read = filling.filled(await request.form())
    decision, units = read.choice("decision", Decision), read.maybe_whole("units")
    read.refuse()
    id_ = id_in(read.text("discrepancy", 40)) or new_id()
    async with web.writing(request) as tx:
        left = await service.decide(
            tx,
            number,
            id_,
            decision,
            units=units,
            note=read.text("note", 200),
            reference=read.text("reference", 120) or None,
        )
    return web.go_on(request, f"/transfers/{number}", stock_words.with_missing(_("Decided"), left))


@post("/transfers/{number:int}/cancel", opt={"permission": "stock:count"}, status_code=200)
async def cancel(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Give a transfer up."""
    read = filling.filled(await request.form())
    async with web.writing(request) as tx:
        await service.cancel(tx, number, read.text("reason", 200))
    return web.go_on(request, f"/transfers/{number}", _("Transfer cancelled"))


HANDLERS = [
    transfer_list,
    transfer_export,
    transfer_new,
    transfer_create,
    transfer_show,
    transfer_approve,
    transfer_ship,
    transfer_close,
    receive_form,
    receive,
    reschedule,
    decide,
    cancel,
]
