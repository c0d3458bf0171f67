"""What one person fetches in one walk: the goods of all owners at a site, shelf by shelf, and whose each are."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.console import export, fulfillment, picking_view, render, shell, web, words
from malha.fulfillment import reads as jobs
from malha.fulfillment import taking
from malha.fulfillment.model import WorkState
from malha.fulfillment.reads import PickRow
from malha.platform.clock import now
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID, id_in
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind

PERMISSION = "fulfillment:work"
MOST_EXPORTED = 10_000  # pieces of work in a file; a page has as many as a person fetches in a walk


class Piece(msgspec.Struct, frozen=True):
    """Units that are for one order; `has` says who took its work on, empty while nobody did."""

    order: int
    units: int
    has: str
    due: str
    late: bool


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Where a walk stops: one SKU of one owner, and the orders it is for."""

    sku: str
    name: str
    gtin: str
    category: str
    place: str
    owner: str
    units: int
    pieces: list[Piece]


def stops_of(rows: Sequence[PickRow]) -> list[Stop]:
    """Return the stops of a walk, in its order."""
    found: dict[tuple[str, str], list[PickRow]] = {}
    for row in rows:
        found.setdefault((row.sku, row.location), []).append(row)
    return [_stop(there) for there in found.values()]


def _stop(rows: Sequence[PickRow]) -> Stop:
    first, at = rows[0], now()
    return Stop(
        sku=first.sku,
        name=first.name,
        gtin=first.gtin or "",
        category=first.category or "",
        place=first.location_name,
        owner=first.owner_name,
        units=sum(row.units for row in rows),
        pieces=[
            Piece(row.order_number, row.units, _has(row), render.moment(row.due_at), row.due_at < at) for row in rows
        ],
    )


def _has(row: PickRow) -> str:
    return "" if row.state == WorkState.OPEN else row.assignee or _(words.FULFILLMENT[row.state].word)


def free(rows: Sequence[PickRow]) -> list[UUID]:
    """Return the work of a list that nobody has."""
    return list(dict.fromkeys(row.fulfillment_id for row in rows if not row.assignee))


@get("/fulfillment/pick-list", opt={"permission": PERMISSION})
async def pick_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what is to be fetched for the work that is due first: everywhere in sight, at a site, or at one location."""
    return await _page(request, request.query_params)


async def _page(request: Request[Any, Any, Any], query: Any) -> Response[str]:
    slot = picking_view.chosen(query.get("slot", ""))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "fulfillment")
        place = await fulfillment.place_of(tx, query, shell.scope_of(web.caller_of(request)))
        rows = await jobs.pick_list(tx, place.wanted, slot=slot)
        counts = await jobs.queue_counts(tx, place.wanted, slot=slot)
        slots = picking_view.options(await jobs.slots_at_work(tx, place.wanted), slot)
    address = fulfillment.address_of(place, slot)
    here = f"/fulfillment/pick-list{address}"
    work = {row.fulfillment_id for row in rows}
    part = web.wants_part(request)
    return render.html(
        "fulfillment/pick_list.html" if part else "fulfillment/pick_list_page.html",
        headers={"HX-Push-Url": here} if part else {},
        shell=around,
        stops=stops_of(rows),
        units=sum(row.units for row in rows),
        orders=len({row.order_number for row in rows}),
        free=free(rows),
        left=max(sum(counts.get(state, (0, 0))[0] for state in fulfillment.TO_PICK) - len(work), 0),
        place=place,
        slots=slots,
        slot=fulfillment.written(slot),
        here=here,
        board=f"/fulfillment{address}",
        exports=export.choices(lambda path: f"{path}{address}", "/fulfillment/pick-list/export"),
        may=around.may,
    )


@post("/fulfillment/pick-list:take", opt={"permission": PERMISSION}, status_code=200)
async def take_list(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take the work of a list on, as it was shown.

    Raises:
        Invalid: none is named.
        WorkNotFound: some of it is not in the person's sight.
    """
    form = await request.form()
    ids = [id_ for text in form.getall("work", [])[: jobs.QUEUE_LIMIT] if (id_ := id_in(str(text)))]
    refuse([] if ids else [Flaw("work", N_("There is no work in this list to take on."))])
    async with web.writing(request) as tx:
        taken = await taking.take_on(tx, ids, assignee=tx.actor.name)
    notice = n_("{n} piece of work is yours", "{n} pieces of work are yours", len(taken))
    if not web.wants_part(request):
        return web.go_on(request, web.safe_address(str(form.get("here", "")), "/fulfillment/pick-list"), notice)
    shown = await _page(request, web.page_query(request))
    shown.headers["HX-Trigger"] = web.trigger("toast", notice)
    return shown


COLUMNS = (
    Column(N_("SKU"), width=22), Column(N_("Name"), width=40), Column(N_("GTIN"), width=16),
    Column(N_("Category"), width=24), Column(N_("Location"), width=26), Column(N_("Owner of the goods"), width=28),
    Column(N_("Units"), SheetKind.WHOLE), Column(N_("Order"), SheetKind.WHOLE), Column(N_("Work"), SheetKind.WHOLE),
    Column(N_("State"), width=20), Column(N_("Who has it"), width=24), Column(N_("Due"), SheetKind.MOMENT, 18),
)  # fmt: skip


def _cells(row: PickRow) -> list[Any]:
    return [
        row.sku, row.name, row.gtin, row.category, row.location_name, row.owner_name, row.units, row.order_number,
        row.number, _(words.FULFILLMENT[row.state].word), row.assignee, row.due_at,
    ]  # fmt: skip


@get(export.paths("/fulfillment/pick-list/export"), opt={"permission": PERMISSION})
async def pick_list_export(request: Request[Any, Any, Any]) -> Stream:
    """Send all that is to be fetched as a file, what is due later too, in the order of the walk, a row for an order."""
    slot = picking_view.chosen(request.query_params.get("slot", ""))
    async with web.reading(request) as tx:
        place = await fulfillment.place_of(tx, request.query_params, shell.scope_of(web.caller_of(request)))
        rows = await jobs.pick_list(tx, place.wanted, slot=slot, most=MOST_EXPORTED)
    return export.send_all(request, "pick-list", COLUMNS, rows, _cells)


HANDLERS = [pick_list, take_list, pick_list_export]
