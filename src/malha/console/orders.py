"""The order list: saved views, filters, search, pages by keyset, bulk actions, export.

The address is the state: every tab, filter and page is a link that can be kept, shared and gone back to. A request by
htmx gets the list alone, a browser the whole page around it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.response import Response, Stream

from malha.console import export, render, shell, views, web, words
from malha.console import order as order_page
from malha.console import reads as page_reads
from malha.console.words import Sign
from malha.fulfillment import finding
from malha.fulfillment import reads as jobs
from malha.ordering import list_reads, listing, reads
from malha.ordering.listing import Due, OrderRow, Place, Sort, View, Wanted
from malha.ordering.model import GONE, WAITING, HoldKind, OrderStatus
from malha.ordering.promised_days import ends_at
from malha.payments import reads as payments
from malha.platform import i18n, paging
from malha.platform.brazil import STATE_NAMES, STATES
from malha.platform.clock import now
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.sheets import Column, Kind
from malha.platform.text import fold, whole_in

PAGE_SIZE = 50
NOBODYS = 0  # the id of no channel and of no location
LISTING = "console-orders"
MOST_TAGS = 10  # that one list is narrowed to
# The tabs, in the order of urgency after the two general ones.
TABS = (
    View.ALL, View.OPEN, View.LATE, View.ON_HOLD, View.UNPLACED, View.AWAITING_PAYMENT, View.TO_PICK, View.TO_SHIP,
    View.READY, View.IN_TRANSIT,
)  # fmt: skip
HOT = frozenset({View.LATE})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the list says. Nonsense in it is ignored: an old link still shows a list."""

    view: View = View.OPEN
    q: str = ""
    channel: str = ""
    status: str = ""
    location: str = ""
    method: str = ""
    hold: str = ""
    state: str = ""  # UF of the destination
    tag: tuple[str, ...] = ()
    tags: str = ""  # any: one of several tags is enough
    since: date | None = None
    until: date | None = None
    due: str = ""  # a `Due`
    due_from: date | None = None
    due_to: date | None = None
    sort: Sort = Sort.NEWEST
    after: str = ""
    before: str = ""
    open: int | None = None

    @property
    def filtered(self) -> bool:
        """Return whether anything but the view narrows the list."""
        texts = (
            self.q,
            self.channel,
            self.status,
            self.location,
            self.method,
            self.hold,
            self.state,
            self.due,
        )
        return any(texts) or bool(self.tag or self.since or self.until or self.due_from or self.due_to)

    def address(self, path: str = "/orders", **changes: Any) -> str:
        """Return the address of this list with parts changed; a change of what is listed goes to its first page."""
        if not {"after", "before", "open"} >= changes.keys() or not changes:
            changes = {"after": "", "before": "", "open": None, **changes}
        said = {**{name: getattr(self, name) for name in self.__struct_fields__}, **changes}
        # As `asked_of` reads it: a search without a view looks everywhere.
        default = {"view": View.ALL if said["q"] else View.OPEN, "sort": Sort.NEWEST}
        shown = {k: v for k, v in said.items() if v not in {None, "", ()} and v != default.get(k)}
        # A bare address opens in the person's default view: one that means all that is open says so.
        return f"{path}?{urlencode(shown or {'view': View.OPEN}, doseq=True)}"


class Reference(msgspec.Struct, frozen=True):
    """Names for the filters."""

    channels: list[tuple[int, str, str]]  # id, code, name
    locations: list[tuple[int, str, str]]
    tags: list[str]


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it is drawn."""

    id: Any
    number: int
    version: int
    channel: str
    buyer: str
    town: str
    tags: list[str]
    sign: Sign
    where: str
    due: str
    due_class: str
    total: int
    currency: str


class Field(NamedTuple):
    """A filter with a list of values."""

    name: str
    label: str
    options: list[tuple[str, str]]
    chosen: str
    rare: bool = False  # asked for seldom: folded away until it is chosen


class Tab(NamedTuple):
    """A saved view with its live count."""

    view: View
    word: str
    href: str
    found: int
    most: int  # where counting stopped
    current: bool
    hot: bool


def sorts_of(view: View) -> tuple[Sort, ...]:
    """Return the orders a view can be in. What is long done is not due: sorting all orders ever by it helps nobody."""
    return (Sort.NEWEST, Sort.OLDEST) if view is View.ALL else tuple(Sort)


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks; a value that means nothing is left out."""

    def one(name: str, into: Any) -> Any:
        try:
            return msgspec.convert(query[name], into, strict=False)
        except (KeyError, msgspec.ValidationError):
            return None

    given: dict[str, Any] = {
        "view": one("view", View),
        "sort": one("sort", Sort),
        "since": maybe_day(query.get("since")),
        "until": maybe_day(query.get("until")),
        "due": one("due", Due) or "",
        "due_from": maybe_day(query.get("due_from")),
        "due_to": maybe_day(query.get("due_to")),
        "open": one("open", int),
        **{name: web.said(query, name)[:200].strip() for name in ("q", "channel", "location")},
        "tag": _tags_of(web.every(query, "tag")),
        "status": one("status", OrderStatus) or "",
        "method": query.get("method", "") if query.get("method") in words.METHOD else "",
        "hold": one("hold", HoldKind) or "",
        "state": query.get("state", "") if query.get("state") in STATES else "",
        "after": query.get("after", "")[:500],
        "before": query.get("before", "")[:500],
    }
    if query.get("tags") == "any" and len(given["tag"]) > 1:
        given["tags"] = "any"
    if given["sort"] not in sorts_of(given["view"] or View.OPEN):
        given["sort"] = None
    # A search without a view looks everywhere: that is what a person who types a number means.
    if given["view"] is None and given["q"]:
        given["view"] = View.ALL
    return Asked(**{name: value for name, value in given.items() if value is not None})


def _tags_of(said: Sequence[str]) -> tuple[str, ...]:
    """Return tags that are asked for, each once by any spelling."""
    known: dict[str, str] = {}
    for tag in said:
        if key := fold(tag.replace("\x00", "")[:200]):
            known.setdefault(key, tag.replace("\x00", "")[:200].strip())
    return tuple(known.values())[:MOST_TAGS]


async def reference(tx: Tx) -> Reference:
    """Read the names of channels, and of the locations that the person sees."""
    places = [place for place in await page_reads.locations(tx) if tx.actor.sees(place[0])]
    return Reference(await page_reads.channels(tx), places, await reads.known_tags(tx))


async def wanted_of(tx: Tx, asked: Asked, names: Reference, scope: tuple[int, ...] | None) -> Wanted:
    """Return the read model's terms: codes become ids, days become instants in the reader's zone.

    A channel or location that is not there, or out of sight, has no orders: a saved view would show all of them.
    """
    zone = ZoneInfo(i18n.current_zone())
    since, until = listing.day_bounds(asked.since, asked.until, zone)
    due = Due(asked.due) if asked.due else None
    days = listing.day_bounds(asked.due_from, asked.due_to, zone)
    promised_since, promised_until = listing.promised_between(due, *days, now(), zone)
    channel = next((id_ for id_, code, _name in names.channels if code == asked.channel), NOBODYS)
    location = next((id_ for id_, code, _name in names.locations if code == asked.location), NOBODYS)
    wanted = Wanted(
        view=asked.view,
        statuses=(OrderStatus(asked.status),) if asked.status else (),
        channel_ids=(channel,) if asked.channel else (),
        location_id=location if asked.location else None,
        scope=scope,
        since=since,
        until=until,
        due=due,
        promised_since=promised_since,
        promised_until=promised_until,
        method=asked.method or None,
        hold=asked.hold or None,
        ship_state=asked.state or None,
        tags=asked.tag,
        any_tag=bool(asked.tags),
        search=asked.q,
        overdue=tuple(await jobs.overdue_orders(tx)) if asked.view is View.LATE else (),
    )
    return await finding.sought(tx, wanted)


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    try:
        found = paging.position(cursor, LISTING, (str, Any, int))
    except paging.BadCursor:
        return None
    if found is None:
        return None
    try:
        if found[0] != "infinity":
            datetime.fromisoformat(found[0])
        return msgspec.convert(found, Place, strict=False)
    except (ValueError, msgspec.ValidationError):
        return None


def _cursor(place: Place) -> str:
    return paging.cursor_of(LISTING, (place.key, place.id, place.before))


def _sign(row: OrderRow) -> Sign:
    return words.REVIEW if HoldKind.FRAUD in row.holds else words.STATUS[row.status]


def _units(row: OrderRow, states: Any) -> int:
    return sum(quantity for state, quantity in row.units.items() if state in states)


def _where(row: OrderRow, waiting: payments.Waiting | None) -> str:  # noqa: PLR0911 -- one case per status
    """Return the second line of a row's state: where it is, or why it waits."""
    places = ", ".join(row.locations)
    alive = sum(q for state, q in row.units.items() if state != "cancelled")
    if HoldKind.PAYMENT_LAPSED in row.holds:
        return _(words.HOLD[HoldKind.PAYMENT_LAPSED])
    if row.status == OrderStatus.AWAITING_PAYMENT and waiting:
        kind = _(words.TENDER[waiting.kind][0])
        return (
            _("{kind} until {time}", kind=kind, time=render.moment(waiting.expires_at)) if waiting.expires_at else kind
        )
    if row.status == OrderStatus.ON_HOLD or (row.holds and row.status == OrderStatus.AWAITING_PAYMENT):
        return ", ".join(_(words.HOLD.get(kind, kind)) for kind in row.holds)
    if row.status in {OrderStatus.UNPLACED, OrderStatus.BACKORDERED}:
        return n_("{n} unit waits", "{n} units wait", _units(row, WAITING))
    if row.status == OrderStatus.PICKING and (picked := row.units.get("picked", 0)):
        return _("{picked} of {all} picked, {places}", picked=picked, all=alive, places=places)
    if row.status == OrderStatus.PACKED and row.units.get("awaiting_document"):
        return _("Awaiting document, {places}", places=places)
    if row.status == OrderStatus.SHIPPED and (gone := _units(row, GONE)) < alive:
        return _("{gone} of {all} shipped", gone=gone, all=alive)
    return places


async def row_views(tx: Tx, rows: list[OrderRow]) -> list[RowView]:
    """Return rows as they are drawn: two more statements, however many rows."""
    ids = [row.id for row in rows]
    due = await jobs.due(tx, ids)
    waiting = await payments.waiting(tx, [r.id for r in rows if r.status == OrderStatus.AWAITING_PAYMENT])
    return [_row_view(row, due.get(row.id), waiting.get(row.id)) for row in rows]


def _row_view(row: OrderRow, due: datetime | None, waiting: payments.Waiting | None) -> RowView:
    deadline = due or (row.promised_at and ends_at(row.promised_at))
    closed = row.status in {*listing.CLOSED, OrderStatus.READY}  # ready is what was promised
    return RowView(
        id=row.id,
        number=row.number,
        version=row.version,
        channel=row.channel,
        buyer=row.buyer_name or _("Name not given"),
        town=_("Pickup") if row.method == "pickup" else render.DASH.join(x for x in (row.city, row.state) if x),
        tags=row.tags,
        sign=_sign(row),
        where=_where(row, waiting),
        due=""
        if closed or deadline is None
        else render.due_text(deadline, promise=due is None, state=row.state, fetched_in=row.pickup_zone),
        due_class="" if closed or deadline is None else render.lateness(deadline),
        total=reads.came_to(row),
        currency=row.currency,
    )


async def list_of(tx: Tx, request: Request[Any, Any, Any], asked: Asked) -> tuple[dict[str, Any], int, list[RowView]]:
    """Read one page of the list and the views' counts; return the template's terms, the open orders, the rows."""
    caller = web.caller_of(request)
    scope = shell.scope_of(caller)
    names = await reference(tx)
    wanted = await wanted_of(tx, asked, names, scope)
    page = await list_reads.page(
        tx, wanted, sort=asked.sort, after=_place(asked.after), before=_place(asked.before), size=PAGE_SIZE
    )
    overdue = wanted.overdue or tuple(await jobs.overdue_orders(tx))
    counted = await list_reads.counts(tx, overdue, scope)
    counts = counted.by_view
    narrowed = asked.filtered
    most = listing.FILTERED_LIMIT if narrowed else counted.most(asked.view)
    total = await list_reads.count(tx, wanted, most) if narrowed else counts[asked.view]
    rows = await row_views(tx, page.rows)
    last = page.first + len(rows) - 1 if rows else 0
    if total > most:  # further than it was counted, what was seen counts
        most, total = max(most, last), max(total, last + bool(page.next))
    open_number = asked.open if asked.open is not None else (rows[0].number if rows else None)
    return (
        {
            "view": asked.view,
            "search": asked.q,
            "since": asked.since.isoformat() if asked.since else "",
            "until": asked.until.isoformat() if asked.until else "",
            "range_text": _range_text(asked.since, asked.until),
            "due": asked.due,
            "due_from": asked.due_from.isoformat() if asked.due_from else "",
            "due_to": asked.due_to.isoformat() if asked.due_to else "",
            "due_text": _due_text(asked),
            "dues": [(due.value, _(word)) for due, word in words.DUE.items()],
            "sort": asked.sort,
            "sorts": [(sort, _(word)) for sort, word in words.SORT.items() if sort in sorts_of(asked.view)],
            "tabs": [
                Tab(
                    view,
                    words.VIEW[view],
                    asked.address(view=view),
                    counts[view],
                    counted.most(view),
                    view is asked.view,
                    view in HOT,
                )
                for view in TABS
            ],
            "fields": _fields(asked, names),
            "tags": (tags := _tags(asked, names)),
            "any_tag": bool(asked.tags),
            "tag_text": _tag_text([tag for tag, chosen in tags if chosen], any_=bool(asked.tags)),
            "filtered": narrowed,
            "unfiltered": Asked(view=asked.view, sort=asked.sort).address(),
            "everywhere": asked.address(view=View.ALL),
            "exports": export.choices(asked.address, "/orders/export"),
            "rows": rows,
            "most": most,
            "total": max(total, last),
            "first": page.first,
            "last": last,
            "open": open_number,
            "previous": asked.address(before=_cursor(page.previous), after="", open=None) if page.previous else "",
            "next": asked.address(after=_cursor(page.next), before="", open=None) if page.next else "",
            "empty": words.EMPTY[asked.view if counts[View.ALL] else View.ALL],
            # Before the first order home says what is still to be done, to whoever may do it.
            "begins": not counts[View.ALL] and caller.locations is None and caller.may("network:write"),
            "views": await views.bar(tx, request, "orders", asked.address().partition("?")[2]),
            "today": render.local(now()).date().isoformat(),
            "known_tags": names.tags,
            "promise_reasons": order_page.promise_reasons(),
            "can_bulk": any(caller.may(p) for p in ("orders:write", "orders:cancel", "orders:release_hold")),
        },
        counts[View.OPEN],
        rows,
    )


def _range_text(first: date | None, last: date | None) -> str:
    ends = [i18n.date(first) if first else "…", i18n.date(last) if last else "…"]
    return ends[0] if first and first == last else render.DASH.join(ends)


def _due_text(asked: Asked) -> str:
    said = [_(words.DUE[Due(asked.due)])] if asked.due else []
    if asked.due_from or asked.due_to:
        said.append(_range_text(asked.due_from, asked.due_to))
    return ", ".join(said)


def _fields(asked: Asked, names: Reference) -> list[Field]:
    def named(options: Sequence[tuple[Any, str, str]], chosen: str) -> list[tuple[str, str]]:
        """Return codes with names. A filter whose code is gone says so: it looked as if nothing narrowed the list."""
        known = [(code, name) for _id, code, name in options]
        lost = chosen and chosen not in {code for code, _name in known}
        return [*known, (chosen, _("{code} (not found)", code=chosen))] if lost else known

    statuses = [(status.value, _(sign.word)) for status, sign in ((OrderStatus(k), v) for k, v in words.STATUS.items())]
    return [
        Field("channel", N_("Channel"), named(names.channels, asked.channel), asked.channel),
        Field("status", N_("State"), statuses, asked.status),
        Field("location", N_("Location"), named(names.locations, asked.location), asked.location),
        Field("method", N_("Method"), [(value, _(word)) for value, word in words.METHOD.items()], asked.method),
        Field(
            "hold",
            N_("Reason of the hold"),
            [(value, _(word)) for value, word in words.HOLD.items()],
            asked.hold,
            rare=True,
        ),
        Field("state", N_("Destination"), [(uf, STATE_NAMES[uf]) for uf in sorted(STATES)], asked.state, rare=True),
    ]


def _tags(asked: Asked, names: Reference) -> list[tuple[str, bool]]:
    """Return the tags to choose from, those that are chosen first; one that is in the address alone is there, too."""
    chosen = {fold(tag): tag for tag in asked.tag}
    known = {fold(tag): tag for tag in names.tags}
    return [
        *((known.get(key, tag), True) for key, tag in chosen.items()),
        *((tag, False) for key, tag in known.items() if key not in chosen),
    ]


def _tag_text(chosen: Sequence[str], *, any_: bool) -> str:
    return i18n.any_of(chosen) if any_ else " + ".join(chosen)


@get("/orders", opt={"permission": "orders:read"})
async def order_list(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the list; asked for nothing in particular, in the person's default view."""
    return await views.opening(request, "orders") or await list_page(request, asked_of(request.query_params))


async def list_page(
    request: Request[Any, Any, Any], asked: Asked, refused: Sequence[tuple[int, str]] = ()
) -> Response[str]:
    """Draw the list, or its part for a script that has the rest; `refused` says what a bulk act left alone."""
    async with web.reading(request) as tx:
        terms, open_orders, rows = await list_of(tx, request, asked)
        around = await shell.around(tx, request, "orders", open_orders=open_orders, here=asked.address(open=asked.open))
        peek = await order_page.peek_of(tx, request, terms["open"]) if rows and terms["open"] else None
    part = web.wants_part(request)
    # The address bar gets the short form of what was asked: no empty filters.
    headers = {"HX-Push-Url": asked.address(after=asked.after, before=asked.before)} if part else {}
    template = "orders/list.html" if part else "orders/page.html"
    return render.html(template, headers=headers, shell=around, list=terms, peek=peek, may=around.may, refused=refused)


@get("/orders/rows", opt={"permission": "orders:read"})
async def order_rows(request: Request[Any, Any, Any]) -> Response[str]:
    """Return given rows drawn anew: what a live update asks for."""
    asked = (whole_in(n, 18) for n in request.query_params.get("numbers", "").split(",")[:100])
    numbers = [number for number in asked if number is not None]
    async with web.reading(request) as tx:
        ids = await reads.ids_of(tx, numbers)
        rows = await row_views(
            tx, await list_reads.rows_of(tx, list(ids.values()), shell.scope_of(web.caller_of(request)))
        )
    opened = {"open": whole_in(request.query_params.get("open", ""), 18)}
    return render.html("orders/rows.html", rows=rows, list=opened)


@get("/orders/counts", opt={"permission": "orders:read"})
async def order_counts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the counts of the views as JSON, spelled for the reader."""
    async with web.reading(request) as tx:
        scope = shell.scope_of(web.caller_of(request))
        counts = await list_reads.counts(tx, await jobs.overdue_orders(tx), scope)
    body = msgspec.json.encode(
        {view.value: render.capped(count, counts.most(view)) for view, count in counts.by_view.items()}
    )
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Channel order")), Column(N_("Channel")),
    Column(N_("Placed at"), Kind.MOMENT, 18), Column(N_("State"), width=20), Column(N_("Holds"), width=20),
    Column(N_("Customer"), width=32), Column(N_("City"), width=22), Column(N_("UF"), width=6), Column(N_("Method")),
    Column(N_("Locations"), width=26), Column(N_("Units"), Kind.WHOLE), Column(N_("Promised for"), Kind.DAY),
    Column(N_("Total"), Kind.MONEY), Column(N_("Cancelled"), Kind.MONEY), Column(N_("Currency"), width=8),
    Column(N_("Tags"), width=26), Column(N_("All of it by"), Kind.DAY),
)  # fmt: skip


def _export_row(row: OrderRow) -> list[Any]:
    promised = render.promised_day(row.promised_at, row.state, row.pickup_zone) if row.promised_at else None
    complete = render.promised_day(row.complete_at, row.state, row.pickup_zone) if row.complete_at else None
    return [
        row.number, row.external_id, row.channel, row.placed_at, _(words.STATUS[row.status].word),
        ", ".join(_(words.HOLD.get(kind, kind)) for kind in row.holds), row.buyer_name, row.city, row.state,
        _(words.METHOD[row.method]), ", ".join(row.locations), sum(row.units.values()), promised, row.total,
        row.cancelled_total, row.currency, ", ".join(row.tags), complete,
    ]  # fmt: skip


@get(export.paths("/orders/export"), opt={"permission": "orders:read"})
async def order_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file."""
    asked = asked_of(request.query_params)
    async with web.reading(request) as tx:
        wanted = await wanted_of(tx, asked, await reference(tx), shell.scope_of(web.caller_of(request)))

    async def pages() -> AsyncIterator[list[OrderRow]]:
        place = None
        while True:
            async with web.reading(request) as tx:
                page = await list_reads.page(tx, wanted, sort=asked.sort, after=place, size=export.BATCH)
            yield page.rows
            place = page.next
            if place is None:
                return

    return export.send(request, f"orders-{asked.view}", COLUMNS, pages(), _export_row)


HANDLERS = [order_list, order_rows, order_counts, order_export]
