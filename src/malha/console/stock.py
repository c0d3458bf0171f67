"""The list of stock: SKUs by locations, saved views, search, one balance beside it, safety stock for many, export.

The address is the state, as in the list of orders. A person with a location scope sees the columns of it and no other;
what is summed is summed over the columns that are shown.
"""

import time as clock
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.console import balance, export, live, product_reads, render, shell, stock_view, web
from malha.console import stock_reads as page_reads
from malha.console import stock_words as words
from malha.console.stock_reads import Place, SkuRow, View, Wanted
from malha.inventory import reads as inventory
from malha.inventory.model import Availability
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

PAGE_SIZE = 30
HOT = frozenset({View.OUT, View.DEFICIT})
EXPORT_SKUS = 200
# A pass over so many balances takes tens of milliseconds: what it found is good for some seconds.
MANY_BALANCES = 100_000
REMEMBERED_SECONDS = 10.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the list says. Nonsense in it is ignored: an old link still shows a list."""

    view: View = View.ALL
    q: str = ""
    location: str = ""
    owner: str = ""  # name of the establishment whose goods are shown
    category: str = ""
    after: str = ""
    before: str = ""
    open: str = ""  # SKU/location of the balance beside the list

    @property
    def filtered(self) -> bool:
        """Return whether anything but the view narrows the list."""
        return bool(self.q or self.location or self.owner or self.category)

    def address(self, path: str = "/stock", **changes: Any) -> str:
        """Return the address of this list with parts changed; a change of what is listed goes to its first page."""
        if not {"after", "before", "open"} >= changes.keys() or not changes:
            changes = {"after": "", "before": "", "open": "", **changes}
        return web.address(path, self, changes, usual={"view": View.ALL})


class Tab(NamedTuple):
    """A saved view with its count."""

    view: View
    word: str
    href: str
    found: int
    current: bool
    hot: bool


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One SKU as it is drawn: its cells are in the order of the columns; None where it never had stock."""

    id: int
    sku: str
    name: str
    href: str
    active: bool
    mark: str
    total: stock_view.Cell
    cells: list[tuple[str, stock_view.Cell | None]]  # address of the balance, cell


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks."""
    texts = {name: web.said(query, name)[:200].strip() for name in Asked.__struct_fields__ if name != "view"}
    view = query.get("view", "")
    return Asked(view=View(view) if view in set(View) else View.ALL, **texts)


async def wanted_of(tx: Tx, asked: Asked, places: list[Place], *, whole: bool) -> tuple[Wanted, list[Place]]:
    """Return the read model's terms and the columns; `whole` says that the caller sees all locations."""
    shown = page_reads.shown_of(places, asked.location, asked.owner)
    categories = await catalog.categories(tx) if asked.category else []
    narrowed = len(shown) < len(places)
    wanted = Wanted(
        places=tuple(place.id for place in shown),
        view=asked.view,
        search=asked.q,
        category=product_reads.path_of(categories, asked.category),
        every=whole and not narrowed and asked.view is View.ALL,
    )
    return wanted, shown


async def row_views(tx: Tx, rows: list[SkuRow], places: list[Place]) -> list[RowView]:
    """Return rows as they are drawn: one more statement, however many rows."""
    found = await inventory.availability(tx, [row.id for row in rows], [place.id for place in places])
    by_key = {(stock.sku_id, stock.location_id): stock for stock in found}
    return [_row_view(row, places, by_key) for row in rows]


def _row_view(row: SkuRow, places: list[Place], stock: Mapping[tuple[int, int], Availability]) -> RowView:
    here = [(place, stock.get((row.id, place.id))) for place in places]
    return RowView(
        id=row.id,
        sku=row.sku,
        name=row.name,
        href=stock_view.address_of(row.sku),
        active=row.active,
        mark=stock_view.mark_of(found for _place, found in here if found),
        total=stock_view.cell_of(summed(row.id, [found for _place, found in here if found]), _("Total")),
        cells=[
            (stock_view.address_of(row.sku, place.code), stock_view.cell_of(found, place.name) if found else None)
            for place, found in here
        ],
    )


def summed(sku_id: int, stock: list[Availability]) -> Availability:
    """Return balances of one SKU as one. What can be promised is summed where there is some: no store lends another."""
    return Availability(
        sku_id=sku_id,
        location_id=0,
        on_hand=sum(s.on_hand for s in stock),
        allocated=sum(s.allocated for s in stock),
        held=sum(s.held for s in stock),
        safety=sum(s.safety for s in stock),
        free=sum(max(s.free, 0) for s in stock),
        fenced=sum(s.fenced for s in stock),
    )


async def list_of(tx: Tx, request: Request[Any, Any, Any], asked: Asked) -> dict[str, Any]:
    """Read one page of the list and the views' counts; return the template's terms."""
    scope = shell.scope_of(web.caller_of(request))
    places = await page_reads.places(tx, scope)
    wanted, shown = await wanted_of(tx, asked, places, whole=scope is None)
    known = await _kept(tx, request, wanted, everywhere=scope is None and len(shown) == len(places))
    wanted = msgspec.structs.replace(wanted, out=known.out)
    page = await page_reads.skus(tx, wanted, after=asked.after, before=asked.before, size=PAGE_SIZE)
    counts = await page_reads.view_counts(tx, wanted.places, known)
    if asked.q or asked.category or wanted.every:
        total = await page_reads.count(tx, wanted)
    else:
        total = min(counts[asked.view], page_reads.COUNT_LIMIT + 1)
    if wanted.every and not asked.filtered:
        counts[View.ALL] = total
    rows = await row_views(tx, page.rows, shown)
    categories = await catalog.categories(tx)
    return {
        "view": asked.view,
        "search": asked.q,
        "location": asked.location,
        "gone": asked.location if all(place.code != asked.location for place in places) else "",
        "category": asked.category,
        "categories": [(c.code, "\N{NO-BREAK SPACE}" * 3 * c.path.count("/") + c.name) for c in categories],
        "filtered": asked.filtered,
        "unfiltered": Asked(view=asked.view).address(),
        "tabs": [
            Tab(view, words.VIEW[view], asked.address(view=view), counts[view], view is asked.view, view in HOT)
            for view in View
        ],
        "places": places,
        "owners": sorted({place.owner for place in places if place.owner} | ({asked.owner} - {""})),
        "owner": asked.owner,
        "columns": [(place, asked.address(location=place.code)) for place in shown],
        "kinds": words.PLACE_KIND,
        "rows": rows,
        "total": total,
        "previous": asked.address(before=page.rows[0].sku, after="", open="") if page.more_before and rows else "",
        "next": asked.address(after=page.rows[-1].sku, before="", open="") if page.more_after and rows else "",
        "empty": words.EMPTY[asked.view],
        "none_at_all": asked.view is View.ALL,
        "exports": export.choices(asked.address, "/stock:export"),
    }


async def _kept(tx: Tx, request: Request[Any, Any, Any], wanted: Wanted, *, everywhere: bool) -> page_reads.Kept:
    """Return what is kept at the columns, and what is out; where there is much of it, as of a few seconds ago."""
    remembered: dict[tuple[int, ...], tuple[float, page_reads.Kept]]
    remembered = request.app.state.services.extra.setdefault("stock_kept", {})
    found = remembered.get(wanted.places)
    if found is not None and found[0] > clock.monotonic():
        return found[1]
    known = await page_reads.kept(tx, wanted.places, everywhere=everywhere)
    if known.kept * len(wanted.places) > MANY_BALANCES:
        if len(remembered) >= 200:  # as many as there are scopes and filters; what is old makes room
            remembered.clear()
        remembered[wanted.places] = (clock.monotonic() + REMEMBERED_SECONDS, known)
    return known


@get("/stock", opt={"permission": "stock:read"})
async def stock_list(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the list."""
    return await list_page(request, asked_of(request.query_params))


async def list_page(request: Request[Any, Any, Any], asked: Asked) -> Response[str]:
    """Draw the list, or its part for a script that has the rest."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock", here=asked.address(open=asked.open))
        terms = await list_of(tx, request, asked)
        sku, _slash, code = asked.open.partition("/")
        opened = await balance.find_view(tx, request, sku, code) if code else None
    part = web.wants_part(request)
    headers = {"HX-Push-Url": asked.address(after=asked.after, before=asked.before)} if part else {}
    template = "stock/list.html" if part else "stock/page.html"
    return render.html(template, headers=headers, shell=around, list=terms, drawer=opened, may=around.may)


async def row_again(tx: Tx, request: Request[Any, Any, Any], card: VariantCard) -> RowView:
    """Return one row of the list that the person has on the page, after it changed."""
    scope = shell.scope_of(web.caller_of(request))
    places = await page_reads.places(tx, scope)
    _wanted, shown = await wanted_of(tx, asked_of(web.page_query(request)), places, whole=scope is None)
    row = SkuRow(card.id, card.sku, card.name, card.gtin, "", card.active)
    return (await row_views(tx, [row], shown))[0]


@get("/stock:rows", opt={"permission": "stock:read"})
async def stock_rows(request: Request[Any, Any, Any]) -> Response[str]:
    """Return given rows of the list drawn anew: what a live update asks for."""
    ids = live.skus_of(request)
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        places = await page_reads.places(tx, scope)
        asked = request.query_params
        shown = page_reads.shown_of(places, asked.get("location", ""), asked.get("owner", ""))
        cards = await catalog.by_ids(tx, ids)
        rows = [SkuRow(card.id, card.sku, card.name, card.gtin, "", card.active) for card in cards]
        drawn = await row_views(tx, rows, shown)
    return render.html("stock/rows.html", rows=drawn, may=web.caller_of(request).may)


COLUMNS = (
    Column(N_("SKU")), Column(N_("Name"), width=40), Column(N_("GTIN")), Column(N_("Product")),
    Column(N_("Location code")), Column(N_("Location"), width=26), Column(N_("On hand"), Kind.WHOLE),
    Column(N_("Allocated"), Kind.WHOLE), Column(N_("Held stock"), Kind.WHOLE), Column(N_("Safety stock"), Kind.WHOLE),
    Column(N_("Available"), Kind.WHOLE),
)  # fmt: skip


@get(export.paths("/stock:export"), opt={"permission": "stock:read"})
async def stock_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file, one row for each balance."""
    asked = asked_of(request.query_params)
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        wanted, shown = await wanted_of(tx, asked, await page_reads.places(tx, scope), whole=scope is None)
        if wanted.view is View.OUT:
            known = await page_reads.kept(tx, wanted.places, everywhere=False)
            wanted = msgspec.structs.replace(wanted, out=known.out)
    names = {place.id: place for place in shown}

    async def pages() -> AsyncIterator[list[tuple[SkuRow, Availability]]]:
        after = ""
        while True:
            async with web.reading(request) as tx:
                page = await page_reads.skus(tx, wanted, after=after, size=EXPORT_SKUS)
                skus = {row.id: row for row in page.rows}
                found = await inventory.availability(tx, list(skus), list(names))
            places = {place.id: at for at, place in enumerate(shown)}
            order = {sku_id: at for at, sku_id in enumerate(skus)}
            found.sort(key=lambda stock: (order[stock.sku_id], places[stock.location_id]))
            yield [(skus[stock.sku_id], stock) for stock in found]
            if not page.more_after:
                return
            after = page.rows[-1].sku

    def cells(item: tuple[SkuRow, Availability]) -> list[Any]:
        row, stock = item
        place = names[stock.location_id]
        return [
            row.sku, row.name, row.gtin, row.product, place.code, place.name, stock.on_hand, stock.allocated,
            stock.held, stock.safety, stock.free,
        ]  # fmt: skip

    return export.send(request, "stock", COLUMNS, pages(), cells)


HANDLERS = [stock_list, stock_rows, stock_export]
