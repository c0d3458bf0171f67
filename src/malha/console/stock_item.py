"""The stock of one SKU: every location with its numbers and its days, who has claims, what is held, what is missing."""

from datetime import date
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.console import balance, goods_words, render, shell, stock, stock_reads, stock_view, web
from malha.console import stock_words as words
from malha.console.safety import PRECEDENCE
from malha.console.stock_reads import Place
from malha.inventory import balance_reads
from malha.inventory import reads as inventory
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.allotments import reads as allotments
from malha.inventory.buckets import reads as bucket_reads
from malha.inventory.buckets.model import BY_HAND
from malha.inventory.model import Availability
from malha.inventory.safety import reads as safety
from malha.inventory.supply import reads as supply_reads
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import _


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """One location's stock of the SKU as it is drawn."""

    place: Place
    href: str
    stock: Availability
    plot: stock_view.Plot
    missing: int


@get("/stock/{sku:str}", opt={"permission": "stock:read"})
async def sku_page(request: Request[Any, Any, Any], sku: FromPath[str]) -> Response[str]:
    """Show the stock of one SKU."""
    async with web.reading(request) as tx:
        return await draw(tx, request, sku)


async def draw(tx: Tx, request: Request[Any, Any, Any], sku: str) -> Response[str]:
    """Draw the page of a SKU's stock, or its part for a script that has the rest."""
    around = await shell.around(tx, request, "stock")
    card = await balance.sku_of(tx, sku)
    places = {place.id: place for place in await stock_reads.places(tx, shell.scope_of(web.caller_of(request)))}
    found = {row.location_id: row for row in await inventory.availability(tx, [card.id], list(places))}
    short = await balance_reads.deficits(tx, [card.id], list(places))
    plots = await balance.plots_of(tx, card.id, {id_: row.on_hand for id_, row in found.items()})
    missing = {row.location_id: row.quantity for row in short}
    total = stock.summed(card.id, list(found.values()))
    terms: dict[str, Any] = {
        "shell": around,
        "card": card,
        "product": (await catalog.products_of_skus(tx, [card.sku])).get(card.sku, ""),
        "total": total,
        "mark": stock_view.mark_of(found.values()),
        "plot": plots[0],
        "plot_days": balance.PLOT_DAYS,
        "rows": [
            PlaceView(
                place=place,
                href=stock_view.address_of(card.sku, place.code),
                stock=found[place.id],
                plot=plots[place.id],
                missing=missing.get(place.id, 0),
            )
            for place in places.values()
            if place.id in found
        ],
        "places": list(places.values()),
        "names": places,
        "buckets": await bucket_reads.buckets(tx, [card.id], list(places)),
        "incoming": await supply_reads.incoming(tx, [card.id], list(places)),
        "promised": await promised_of(tx, card.id, list(places)),
        "today": render.local(now()).date(),
        "goods_words": goods_words,
        "by_hand": [(bucket.value, _(goods_words.BUCKET[bucket])) for bucket in BY_HAND],
        "claims": await balance.claims_of(tx, [card.id], places),
        "holds": await balance_reads.holds(tx, card.id, list(places)),
        "deficits": short,
        "missing": words.missing,
        "reasons": words.REASON,
        "kinds": words.PLACE_KIND,
        "kept": [k for k in await safety.explain(tx, card.id, list(places)) if k.units or k.routing or k.online],
        "precedence": PRECEDENCE,
        "fences": [f for f in await allotments.fences_on(tx, [card.id]) if f.location_id in places],
        "may": around.may,
    }
    part = web.wants_part(request)
    return render.html("stock/sku_body.html" if part else "stock/sku.html", **terms)


async def promised_of(tx: Tx, sku_id: int, places: list[int]) -> dict[tuple[str, int, int, date], int]:
    """Return how many of the units that are to come are promised, by source, number, location and day."""
    found: dict[tuple[str, int, int, date], int] = {}
    for row in await ahead_reads.supply_of(tx, [sku_id], places):
        key = row.kind, row.number, row.location_id, row.eta
        found[key] = found.get(key, 0) + row.promised
    return {key: units for key, units in found.items() if units}


HANDLERS = [sku_page]
