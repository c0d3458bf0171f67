"""What vendors supply, on screen: a list, one offer, and all of them as a file that comes back changed."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.console import export, filling, goods_forms, render, shell, uploads, web
from malha.inventory.vendors import reads, service
from malha.inventory.vendors.errors import UnknownOffer
from malha.inventory.vendors.model import OfferDraft
from malha.inventory.vendors.reads import OfferRow
from malha.network import reads as network
from malha.network.errors import UnknownLocation
from malha.network.model import Location, LocationKind
from malha.platform import workbook
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Phrase, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.tabular import Column as Asked
from malha.platform.tabular import centavos, whole, yes_no
from malha.platform.text import whole_in

PAGE_SIZE = 50
MOST_OFFERS = 20_000  # of one file
Asking = Request[Any, Any, Any]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of the list says; `vendor` is the code of a location."""

    q: str = ""
    vendor: str = ""

    def address(self, path: str, **changes: Any) -> str:
        """Return the address of the list with parts changed."""
        return web.address(path, self, changes)


def _terms(request: web.Asking) -> Terms:
    query = request.query_params
    return Terms(q=web.said(query, "q").strip()[:80], vendor=web.said(query, "vendor").strip()[:80])


async def _vendors(tx: Tx) -> list[Location]:
    return [x for x in await network.locations(tx) if x.kind is LocationKind.VENDOR and tx.actor.sees(x.id)]


async def _offers(
    tx: Tx, asked: Terms, vendors: list[Location], after: tuple[int, int] | None, limit: int
) -> list[OfferRow]:
    return await reads.offers(
        tx,
        location_id=goods_forms.place_asked(vendors, asked.vendor),
        text=asked.q,
        scope=tx.actor.scope,
        after=after,
        limit=limit,
    )


def _place(row: OfferRow) -> tuple[int, int]:
    return row.location_id, row.sku_id


@get("/vendor-offers", opt={"permission": "stock:read"})
async def offer_list(request: Asking) -> Response[str]:
    """Show what vendors supply."""
    asked = _terms(request)
    first, _sep, second = request.query_params.get("after", "").partition("-")
    place, sku = whole_in(first, 9), whole_in(second, 9)
    after = None if place is None or sku is None else (place, sku)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "vendor_offers")
        vendors = await _vendors(tx)
        rows = await _offers(tx, asked, vendors, after, PAGE_SIZE + 1)
    more = "{}-{}".format(*_place(rows[PAGE_SIZE - 1])) if len(rows) > PAGE_SIZE else ""
    return render.html(
        "drop_ships/offers.html",
        shell=around,
        may=around.may,
        rows=rows[:PAGE_SIZE],
        q=asked.q,
        vendor=asked.vendor,
        vendors=[(x.code, x.name) for x in vendors],
        next=asked.address("/vendor-offers", after=more) if more else "",
        exports=export.choices(asked.address, "/vendor-offers:export"),
    )


OFFER_COLUMNS = (
    Column(N_("Vendor")), Column(N_("SKU")), Column(N_("Product"), width=40), Column(N_("Vendor's SKU")),
    Column(N_("Cost"), Kind.MONEY), Column(N_("Lead time, days"), Kind.WHOLE), Column(N_("Active")),
)  # fmt: skip


@get(export.paths("/vendor-offers:export"), opt={"permission": "stock:read"})
async def offer_export(request: Asking) -> Stream:
    """Send what vendors supply as a file; it may come back changed."""
    asked = _terms(request)
    async with web.reading(request) as tx:
        vendors = await _vendors(tx)

    pages = export.pages(request, lambda tx, after: _offers(tx, asked, vendors, after, export.BATCH), _place)

    def cells(row: OfferRow) -> list[Any]:
        return [
            row.location, row.sku, row.name, row.vendor_sku, row.unit_cost, row.lead_days,
            _("Yes") if row.active else _("No"),
        ]  # fmt: skip

    return export.send(request, "vendor-offers", OFFER_COLUMNS, pages, cells)


SHEET = (
    Asked("vendor", ("fornecedor", "location", "local"), required=True),
    Asked("sku", ("código", "código sku", "item", "ref", "referência"), required=True),
    Asked("vendor_sku", ("vendor's sku", "sku do fornecedor", "código do fornecedor", "referência do fornecedor")),
    Asked("unit_cost", ("cost", "custo", "custo unitário", "preço de custo"), parse=centavos, required=True),
    Asked("lead_days", ("lead time, days", "lead time", "prazo, dias", "prazo", "dias", "days"), parse=whole,
          required=True),
    Asked("active", ("ativo", "ativa"), parse=yes_no),
)  # fmt: skip


@post("/vendor-offers:put", opt={"permission": "network:write"}, status_code=200)
async def offer_put(request: Asking) -> Response[Any]:
    """State one offer, new or as it is now."""
    read = filling.filled(await request.form())
    row = {
        "vendor": read.text("vendor", 80),
        "sku": read.text("sku", 80),
        "vendor_sku": read.text("vendor_sku"),
        "unit_cost": read.scaled("unit_cost", 2),
        "lead_days": read.whole("lead_days"),
        "active": read.flag("active"),
    }
    read.refuse()
    async with web.writing(request) as tx:
        await service.state_offers(tx, await _drafts(tx, [row]))
    return web.go_on(request, "/vendor-offers", _("Offer saved"))


@post("/vendor-offers:upload", opt={"permission": "network:write"}, status_code=200)
async def offer_upload(request: Asking) -> Response[Any]:
    """State the offers of a file; those it does not name stay as they are."""
    body = await filling.filled(await request.form()).file()
    rows = await asyncio.to_thread(_rows_of, body)
    async with web.writing(request) as tx:
        changed = await service.state_offers(tx, await _drafts(tx, rows))
    notice = n_("{n} offer changed", "{n} offers changed", changed)
    return web.go_on(request, "/vendor-offers", await uploads.told(notice, body))


@post("/vendor-offers:remove", opt={"permission": "network:write"}, status_code=200)
async def offer_remove(request: Asking) -> Response[Any]:
    """Say that a vendor does not supply a SKU any more.

    Raises:
        UnknownLocation, UnknownOffer: as the names say.
    """
    read = filling.filled(await request.form())
    code, sku = read.text("vendor", 80), read.text("sku", 80)
    async with web.writing(request) as tx:
        place = next((x for x in await _vendors(tx) if x.code == code), None)
        if place is None:
            raise UnknownLocation(key=code or "-")
        cards = await catalog.by_skus(tx, [sku])
        if not cards:
            raise UnknownOffer(location=code, sku=sku)
        await service.remove_offer(tx, place.id, cards[0].id, location=code, sku=sku)
    return web.go_on(request, "/vendor-offers", _("Offer removed"))


def _rows_of(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a file, each with its line.

    Raises:
        Invalid: cells cannot be read, lines state the same offer, or there are too many.
    """
    rows: list[dict[str, Any]] = []
    flaws: list[Flaw] = []
    lines: dict[tuple[str, str], int] = {}
    with workbook.opened(body, SHEET) as table:
        for row in table:
            stated = {"line": row.line, **row.values}
            flaws += [_found_at(stated, flaw) for flaw in row.flaws]
            if not row.flaws:
                rows.append(stated)
                if (other := lines.setdefault((stated["vendor"], stated["sku"]), row.line)) != row.line:
                    says = N_("Line {other} states the same offer.")
                    flaws.append(
                        _found_at(stated, Flaw("sku", says, N_("Leave one of the two out."), {"other": other}))
                    )
    if not flaws and not 0 < len(rows) <= MOST_OFFERS:
        flaws = [Flaw("file", N_("Write 1 to {most} lines."), facts={"most": MOST_OFFERS})]
    refuse(flaws[:50])
    return rows


async def _drafts(tx: Tx, rows: list[dict[str, Any]]) -> list[OfferDraft]:
    """Return offers by the codes they name.

    Raises:
        Invalid: a vendor or SKU is not there, or a value cannot be; every one is named.
    """
    vendors = {x.code: x.id for x in await _vendors(tx)}
    cards = {card.sku: card for card in await catalog.by_skus(tx, sorted({row["sku"] for row in rows}))}
    flaws: list[Flaw] = []
    found = []
    for row in rows:
        place, card = vendors.get(row["vendor"]), cards.get(row["sku"])
        wrong = []
        if place is None:
            wrong.append(Flaw("vendor", N_("There is no vendor {value}."), facts={"value": row["vendor"]}))
        if card is None:
            wrong.append(Flaw("sku", N_("There is no SKU {value}."), facts={"value": row["sku"]}))
        elif card.is_kit:
            wrong.append(Flaw("sku", N_("A kit is sent in parts: state what it is made of.")))
        draft = OfferDraft(
            location_id=place or 0,
            sku_id=0 if card is None else card.id,
            vendor_sku=row.get("vendor_sku") or "",
            unit_cost=row["unit_cost"],
            lead_days=row["lead_days"],
            active=row.get("active", True),
        )
        flaws += [_found_at(row, flaw) for flaw in (*wrong, *service.flaws_of(draft))]
        found.append(draft)
    refuse(flaws[:50])
    return found


def _found_at(row: Mapping[str, Any], flaw: Flaw) -> Flaw:
    """Return what is wrong with a row, of a file with its line; a form has the field."""
    if "line" not in row:
        return flaw
    what = Phrase(flaw.says, web.amounts(flaw.facts))
    facts = {**flaw.facts, "line": row["line"], "column": flaw.at, "what": what}
    return Flaw("file", N_("Line {line}, {column}: {what}"), flaw.mend, facts)


HANDLERS = (offer_list, offer_export, offer_put, offer_upload, offer_remove)
