"""One balance: what is there, what is promised of it, and its ledger, beside the list or as a page of its own."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.console import export, goods_words, render, shell, stock_reads, stock_view, web
from malha.console import reads as page_reads
from malha.console import stock_words as words
from malha.console import words as order_words
from malha.console.stock_reads import Place
from malha.console.timeline import Names
from malha.inventory import balance_reads
from malha.inventory import reads as inventory
from malha.inventory.balance_reads import LedgerAsked, PlacedLine
from malha.inventory.buckets import reads as bucket_reads
from malha.inventory.buckets.model import Bucket, BucketStock
from malha.inventory.errors import UnknownBalance
from malha.inventory.model import Availability, Reason
from malha.network import owner_reads
from malha.network.errors import UnknownLocation
from malha.ordering import listing
from malha.ordering import reads as ordering
from malha.platform import i18n, paging
from malha.platform.clock import now
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

LISTING = "console-ledger"
IN_DRAWER = 12  # movements beside the list
ON_PAGE = 50
PLOT_DAYS = 30


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Movements as they are drawn, with what narrows them."""

    lines: list[stock_view.Line]
    bucket: Bucket = Bucket.SELLABLE
    reason: str = ""
    since: str = ""
    until: str = ""
    range_text: str = ""
    filtered: bool = False
    deeper: bool = False
    newest: str = ""
    next: str = ""
    exports: tuple[export.Choice, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One balance as it is drawn."""

    card: VariantCard
    product: str
    place: Place
    owner: str  # whose goods they are
    stock: Availability
    href: str
    ledger: Ledger
    aside: list[BucketStock]  # there, or on its way, and not for sale
    deficit: balance_reads.DeficitRow | None
    can_write: bool


class LedgerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What an address says about the ledger: of one bucket, the sellable one unless it says so. Nonsense is ignored."""

    bucket: Bucket = Bucket.SELLABLE
    reason: Reason | None = None
    since: date | None = None
    until: date | None = None
    cursor: str = ""

    @property
    def filtered(self) -> bool:
        """Return whether anything narrows the ledger, or leads to another."""
        return bool(self.aside or self.reason or self.since or self.until)

    @property
    def aside(self) -> bool:
        """Return whether it is the ledger of goods that are not for sale."""
        return self.bucket is not Bucket.SELLABLE

    def address(self, path: str, cursor: str = "") -> str:
        """Return the address of these movements under a path."""
        said = {**self.said(), "cursor": cursor}
        shown = {name: value for name, value in said.items() if value}
        return f"{path}?{urlencode(shown)}" if shown else path

    def said(self) -> dict[str, Any]:
        """Return what the address says, without the place where the list goes on."""
        bucket = self.bucket.value if self.aside else ""
        return {"bucket": bucket, "reason": self.reason, "since": self.since, "until": self.until}

    def name_of(self, *codes: str) -> str:
        """Return the name of a file of these movements."""
        return "-".join(("ledger", *codes, *([self.bucket.value] if self.aside else [])))


def filter_of(query: Mapping[str, str]) -> LedgerFilter:
    """Return what an address asks of a ledger."""

    def one(name: str, into: Any) -> Any:
        try:
            return msgspec.convert(query[name], into, strict=False)
        except (KeyError, msgspec.ValidationError):
            return None

    return LedgerFilter(
        bucket=one("bucket", Bucket) or Bucket.SELLABLE, reason=one("reason", Reason),
        since=maybe_day(query.get("since")), until=maybe_day(query.get("until")), cursor=query.get("cursor", "")[:200],
    )  # fmt: skip


async def sku_of(tx: Tx, sku: str) -> VariantCard:
    """Return a SKU that keeps stock.

    Raises:
        UnknownBalance: there is none, or it is a kit.
    """
    card = next(iter(await catalog.by_skus(tx, [sku])), None)
    if card is None or card.is_kit:
        raise UnknownBalance(keys=sku)
    return card


async def place_of(tx: Tx, request: Request[Any, Any, Any], code: str) -> Place:
    """Return a location that the caller may see.

    Raises:
        UnknownLocation: there is none, for this caller.
    """
    scope = shell.scope_of(web.caller_of(request))
    place = next((place for place in await stock_reads.places(tx, scope) if place.code == code), None)
    if place is None:
        raise UnknownLocation(key=code)
    return place


async def find_view(tx: Tx, request: Request[Any, Any, Any], sku: str, code: str) -> View | None:
    """Return a balance as it is drawn beside the list; None when there is none, for this caller."""
    try:
        return await view_of(tx, request, await sku_of(tx, sku), await place_of(tx, request, code), limit=IN_DRAWER)
    except (UnknownBalance, UnknownLocation):
        return None


async def view_of(
    tx: Tx,
    request: Request[Any, Any, Any],
    card: VariantCard,
    place: Place,
    *,
    wanted: LedgerFilter | None = None,
    limit: int = ON_PAGE,
) -> View:
    """Read a balance, its open deficit and its movements."""
    found = await inventory.availability(tx, [card.id], [place.id])
    short = await balance_reads.deficits(tx, [card.id], [place.id])
    product = (await catalog.products_of_skus(tx, [card.sku])).get(card.sku, "")
    return View(
        card=card,
        product=product,
        place=place,
        owner=await owner_of(tx, place),
        stock=found[0] if found else Availability(card.id, place.id, 0, 0, 0, 0, 0),
        href=stock_view.address_of(card.sku, place.code),
        ledger=await _ledger(tx, card, place, wanted or LedgerFilter(), limit),
        aside=await bucket_reads.buckets(tx, [card.id], [place.id]),
        deficit=short[0] if short else None,
        can_write=web.caller_of(request).may("stock:write"),
    )


def ledger_of(card: VariantCard, location_ids: Iterable[int], wanted: LedgerFilter) -> LedgerAsked:
    """Return which movements of a SKU at locations an address asks for, by the reader's days."""
    since, until = listing.day_bounds(wanted.since, wanted.until, ZoneInfo(i18n.current_zone()))
    there = tuple(sorted(location_ids))
    return LedgerAsked(
        sku_id=card.id, location_ids=there, bucket=wanted.bucket, reason=wanted.reason, since=since, until=until
    )


async def _ledger(tx: Tx, card: VariantCard, place: Place, wanted: LedgerFilter, limit: int) -> Ledger:
    try:
        before: Any = paging.position(wanted.cursor, LISTING, (datetime, int))
    except paging.BadCursor:
        before = None
    rows = await balance_reads.ledger(tx, ledger_of(card, [place.id], wanted), before=before, limit=limit + 1)
    page = paging.page_of(rows, limit, LISTING, lambda row: (row.recorded_at, row.id))
    path = stock_view.address_of(card.sku, place.code)
    ends = [i18n.date(end) if end else "\N{HORIZONTAL ELLIPSIS}" for end in (wanted.since, wanted.until)]
    return Ledger(
        lines=await lines_of(tx, card.sku, page.items, wanted.bucket),
        bucket=wanted.bucket,
        reason=wanted.reason or "",
        since=wanted.since.isoformat() if wanted.since else "",
        until=wanted.until.isoformat() if wanted.until else "",
        range_text=ends[0] if wanted.since == wanted.until else render.DASH.join(ends),
        filtered=wanted.filtered,
        deeper=before is not None,
        newest=wanted.address(path),
        next=wanted.address(path, page.next) if page.next else "",
        exports=export.choices(wanted.address, f"{path}/ledger"),
    )


async def lines_of(tx: Tx, sku: str, rows: Sequence[PlacedLine], bucket: Bucket) -> list[stock_view.Line]:
    """Return movements of a SKU in a bucket as they are drawn: two more statements, however many."""
    orders = await ordering.numbers_of(tx, [row.ref_id for row in rows if row.ref_kind == "order" and row.ref_id])
    actors = {row.actor.partition(":")[2] for row in rows if ":" in row.actor}
    names = Names(locations={}, people=await page_reads.actor_names(tx, sorted(actors)))
    return [stock_view.line_of(row, sku, bucket, orders, names) for row in rows]


class ClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """What one order has of a SKU, as it is drawn."""

    number: int
    channel: str
    place: str
    placed: str
    sign: Any
    quantity: int


async def claims_of(tx: Tx, sku_ids: list[int], places: Mapping[int, Place]) -> list[ClaimView]:
    """Return what orders have of SKUs at locations, as it is drawn."""
    return [
        ClaimView(
            number=claim.number,
            channel=claim.channel,
            place=places[claim.location_id].name,
            placed=render.moment(claim.placed_at),
            sign=order_words.UNIT[claim.state],
            quantity=claim.quantity,
        )
        for claim in await stock_reads.claims(tx, sku_ids, list(places))
    ]


async def plots_of(tx: Tx, sku_id: int, on_hand: Mapping[int, int]) -> dict[int, stock_view.Plot]:
    """Return the line of the last days for each location, and under 0 for all of them together."""
    zone = ZoneInfo(i18n.current_zone())
    today = now().astimezone(zone).date()
    since = datetime.combine(today - timedelta(days=PLOT_DAYS - 2), datetime.min.time(), zone)
    changes = await balance_reads.changes_by_day(tx, sku_id, list(on_hand), since, i18n.current_zone())
    by_place: dict[int, dict[date, int]] = {0: {}, **{place: {} for place in on_hand}}
    for (place, day), change in changes.items():
        by_place[place][day] = change
        by_place[0][day] = by_place[0].get(day, 0) + change
    totals = {0: sum(on_hand.values()), **on_hand}
    return {place: stock_view.plot_of(totals[place], days, PLOT_DAYS, today) for place, days in by_place.items()}


@get("/stock/{sku:str}/{code:str}", opt={"permission": "stock:read"})
async def balance_page(request: Request[Any, Any, Any], sku: FromPath[str], code: FromPath[str]) -> Response[str]:
    """Show one balance; for a script that has the list, what stands beside it."""
    beside = request.query_params.get("beside") == "list" and web.wants_part(request)
    async with web.reading(request) as tx:
        card, place = await sku_of(tx, sku), await place_of(tx, request, code)
        if beside:
            view = await view_of(tx, request, card, place, limit=IN_DRAWER)
            return render.html("stock/drawer.html", drawer=view, may=web.caller_of(request).may)
        return await draw(tx, request, card, place, filter_of(request.query_params))


async def draw(
    tx: Tx, request: Request[Any, Any, Any], card: VariantCard, place: Place, wanted: LedgerFilter
) -> Response[str]:
    """Draw the page of one balance, or its part for a script that has the rest."""
    around = await shell.around(tx, request, "stock")
    view = await view_of(tx, request, card, place, wanted=wanted)
    places = {place.id: place}
    terms: dict[str, Any] = {
        "shell": around,
        "balance": view,
        "mark": stock_view.mark_of([view.stock]),
        "plot": (await plots_of(tx, card.id, {place.id: view.stock.on_hand}))[0],
        "claims": await claims_of(tx, [card.id], places),
        "holds": await balance_reads.holds(tx, card.id, list(places)),
        "reasons": [(reason.value, _(words.REASON[reason])) for reason in Reason],
        "buckets": [(bucket.value, _(goods_words.BUCKET[bucket])) for bucket in Bucket],
        "goods_words": goods_words,
        "plot_days": PLOT_DAYS,
        "may": around.may,
    }
    part = web.wants_part(request)
    return render.html("stock/balance_body.html" if part else "stock/balance.html", **terms)


COLUMNS = (
    Column(N_("When"), Kind.MOMENT, 18), Column(N_("Location code")), Column(N_("Owner of the goods"), width=26),
    Column(N_("Movement"), width=26), Column(N_("About"), width=22), Column(N_("By"), width=22),
    Column(N_("On hand, change"), Kind.WHOLE), Column(N_("Allocated, change"), Kind.WHOLE),
    Column(N_("Held, change"), Kind.WHOLE), Column(N_("On hand after"), Kind.WHOLE),
    Column(N_("Condition")),
)  # fmt: skip


def cells_of(line: stock_view.Line, condition: str) -> list[Any]:
    """Return a movement as cells under `COLUMNS`; all of a file are of goods in one condition."""
    return [
        line.at, line.location, line.owner, line.what, line.about, line.who, line.on_hand, line.allocated, line.held,
        line.after, condition,
    ]  # fmt: skip


async def owner_of(tx: Tx, place: Place) -> str:
    """Return the name of the establishment whose goods a location keeps."""
    (owner,) = await owner_reads.owners(tx, [place.id])
    return owner.name


@get(export.paths("/stock/{sku:str}/{code:str}/ledger"), opt={"permission": "stock:read"})
async def ledger_export(request: Request[Any, Any, Any], sku: FromPath[str], code: FromPath[str]) -> Stream:
    """Send the ledger of one balance, as it is filtered, as a file."""
    async with web.reading(request) as tx:
        card, place = await sku_of(tx, sku), await place_of(tx, request, code)
    wanted = filter_of(request.query_params)
    return send_ledger(request, wanted.name_of(card.sku, place.code), card.sku, ledger_of(card, [place.id], wanted))


def send_ledger(request: Request[Any, Any, Any], name: str, sku: str, asked: LedgerAsked) -> Stream:
    """Send movements of a SKU as a file."""
    reader = (i18n.current_language(), i18n.current_zone())
    condition = _(goods_words.BUCKET[asked.bucket])

    async def pages() -> AsyncIterator[list[stock_view.Line]]:
        walk = balance_reads.LedgerWalk(asked, export.BATCH)
        while not walk.over:
            async with web.reading(request) as tx:
                rows = await walk.page(tx)
                with i18n.speaking(*reader):
                    lines = await lines_of(tx, sku, rows, asked.bucket)
            yield lines

    return export.send(request, name, COLUMNS, pages(), lambda line: cells_of(line, condition))


HANDLERS = [balance_page, ledger_export]
