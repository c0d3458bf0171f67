"""Goods that no location has, on screen: the orders that lack them, what was tried, and one press for each way out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from litestar import Request, post
from litestar import get as get_
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, forms, render, shell, web, words
from malha.fulfillment import short_reads, shortfalls
from malha.fulfillment.short_model import ShortOrder, Step, Suggestion, Taken, Tried, Way
from malha.fulfillment.suggesting import suggest
from malha.ordering import reads as orders
from malha.ordering.errors import OrderNotFound
from malha.ordering.promised_days import ends_at
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.db import Actor, Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind

PAGE_SIZE = 25
VIEWS = (("all", N_("All")), ("decide", N_("A person decides")))
ICONS = {
    Way.RETRY: "refresh",
    Way.SUBSTITUTE: "arrows-left-right",
    Way.WAIT: "clock",
    Way.TRANSFER: "transfer",
    Way.SPLIT: "truck",
    Way.CANCEL: "ban",
}


class Button(NamedTuple):
    """One way out as it is offered: what it says, what it sends, and more to say of it."""

    says: str
    icon: str
    hint: str
    fields: list[tuple[str, str]]
    final: bool


class Row(NamedTuple):
    """One order as it is drawn."""

    order: ShortOrder
    tried: list[str]
    steps: list[str]
    due: str
    due_class: str
    buttons: list[Button]


# --- the list ---


def _wanted(request: web.Asking) -> tuple[str, str]:
    query = request.query_params
    view = query.get("view", "all")
    return (view if view in {key for key, _word in VIEWS} else "all"), web.said(query, "q").strip()[:80]


@get_("/shortages", opt={"permission": "orders:read"})
async def shortages(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the orders that lack goods, the oldest first."""
    view, text = _wanted(request)
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "shortages")
        policy = await short_reads.policy(tx)
        least = policy.most_decisions if view == "decide" else None
        found = await short_reads.short_orders(
            tx,
            text=text,
            least=least,
            scope=scope,
            after=web.place_in(request.query_params.get("after", "")),
            limit=PAGE_SIZE + 1,
        )
        counts = await short_reads.counts(tx, policy.most_decisions, scope=scope)
        shown = found[:PAGE_SIZE]
        ways = await suggest(tx, shown)
        actor = tx.actor
    said = {"view": view, "q": text}

    def address(path: str = "/shortages", **changes: Any) -> str:
        return f"{path}?{urlencode({k: v for k, v in {**said, **changes}.items() if v})}"

    last = shown[-1] if len(found) > PAGE_SIZE else None
    return render.html(
        "shortages/list.html",
        shell=around,
        may=around.may,
        rows=[_row(order, ways[order.order_id], actor) for order in shortfalls.seen_by(actor, shown)],
        policy=policy,
        most=shortfalls.MOST,
        q=text,
        view=view,
        here=address(),
        views=[(_(word), address(view=key), key == view, n) for (key, word), n in zip(VIEWS, counts, strict=True)],
        next=address(after=web.place(last.placed_at, last.order_id)) if last else "",
        exports=export.choices(address, "/shortages:export"),
        waits=lambda order: render.span(now() - order.placed_at),
    )


def _row(order: ShortOrder, ways: Sequence[Suggestion], actor: Actor) -> Row:
    at = order.promised_at and ends_at(order.promised_at)
    return Row(
        order=order,
        tried=[_tried(order, x) for x in order.tried],
        steps=[_step(x) for x in order.steps],
        due=render.due_text(at, promise=True, state=order.ship_state, fetched_in=order.pickup_zone) if at else "",
        due_class=render.lateness(at) if at else "",
        buttons=[_button(order, way) for way in ways if actor.may(shortfalls.NEEDS.get(way.way, "orders:write"))],
    )


def _tried(order: ShortOrder, tried: Tried) -> str:
    reason = _(words.SHORT_REASONS[tried.reason]) if tried.reason in words.SHORT_REASONS else tried.reason
    said = f"{tried.location}: {reason}"
    return f"{said} ({_('line {n}', n=tried.line)})" if len(order.lines) > 1 else said


def _step(step: Step) -> str:
    units = int(step.facts.get("units", 0))
    match step.way:
        case Way.TRANSFER:
            said = n_("transfer {number} of {n} unit asked for", "transfer {number} of {n} units asked for", units,
                      number=step.facts.get("transfer"))  # fmt: skip
        case Way.SPLIT:
            said = n_("{n} unit may go first", "{n} units may go first", units)
        case Way.SUBSTITUTE:
            said = n_("{n} unit replaced by {sku}", "{n} units replaced by {sku}", units, sku=step.facts.get("sku"))
        case Way.WAIT:
            said = n_("{n} unit waits for supply", "{n} units wait for supply", units)
        case Way.CANCEL:
            said = n_("{n} unit cancelled", "{n} units cancelled", units)
        case _:
            said = n_("{n} unit placed", "{n} units placed", units)
    return f"{said}, {step.by}, {render.moment(step.at)}"


def _button(order: ShortOrder, s: Suggestion) -> Button:
    """Say what a press would do; which SKU is meant is said where several lack."""
    hint = f"{s.sku or ''}" if len(order.lines) > 1 and s.way is not Way.SUBSTITUTE else ""
    match s.way:
        case Way.RETRY:
            says = n_("Place {n} unit now", "Place {n} units now", s.quantity)
        case Way.SUBSTITUTE:
            price = f", {i18n.money(s.price, order.currency)}" if s.price is not None else ""
            says, hint = _("Replace by {sku}", sku=s.sku), f"{s.name}{price}"
        case Way.WAIT:
            assert s.day is not None  # noqa: S101  (supply has a day)
            says = _("Wait until {day}", day=render.short_date(s.day))
            hint = " · ".join(x for x in (hint, s.source, s.destination) if x)
        case Way.TRANSFER:
            says = n_("Transfer {n} unit", "Transfer {n} units", s.quantity)
            hint = " · ".join(x for x in (hint, f"{s.origin} → {s.destination}") if x)
        case Way.SPLIT:
            says = n_("Send the other {n} unit now", "Send the other {n} units now", s.quantity)
        case _:
            says = n_("Cancel {n} unit", "Cancel {n} units", s.quantity)
    fields = [("way", s.way.value), ("line", str(s.line)), ("sku", s.sku if s.way is Way.SUBSTITUTE else ""),
              ("origin", s.origin), ("destination", s.destination if s.way is Way.TRANSFER else "")]  # fmt: skip
    return Button(says, ICONS[s.way], hint, [(k, v) for k, v in fields if v], s.way is Way.CANCEL)


COLUMNS = (
    Column(N_("Order"), Kind.WHOLE), Column(N_("Sales channel")), Column(N_("Placed"), Kind.MOMENT),
    Column(N_("Promised"), Kind.MOMENT), Column(N_("Line"), Kind.WHOLE), Column(N_("SKU")),
    Column(N_("Item"), width=30), Column(N_("Units that lack"), Kind.WHOLE), Column(N_("Decisions"), Kind.WHOLE),
    Column(N_("Tried"), width=40),
    Column(N_("Done about it"), width=40),
)  # fmt: skip


@get_(export.paths("/shortages:export"), opt={"permission": "orders:read"})
async def shortages_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered list as a file, a row for each line."""
    view, text = _wanted(request)
    scope = shell.scope_of(web.caller_of(request))

    async def read(tx: Tx, after: tuple[datetime, UUID] | None) -> list[ShortOrder]:
        least = (await short_reads.policy(tx)).most_decisions if view == "decide" else None
        found = await short_reads.short_orders(tx, text=text, least=least, scope=scope, after=after, limit=export.BATCH)
        return shortfalls.seen_by(tx.actor, found)

    async def lines() -> Any:
        async for found in export.pages(request, read, lambda order: (order.placed_at, order.order_id)):
            yield [(order, line) for order in found for line in order.lines]

    def cells(row: tuple[ShortOrder, Any]) -> list[Any]:
        order, line = row
        return [
            order.number, order.channel, order.placed_at, order.promised_at, line.line, line.sku, line.name,
            line.quantity, order.decisions, "; ".join(_tried(order, x) for x in order.tried),
            "; ".join(_step(x) for x in order.steps),
        ]  # fmt: skip

    return export.send(request, "shortages", COLUMNS, lines(), cells)


# --- what is done ---


async def _order(tx: Tx, request: Request[Any, Any, Any], number: int) -> UUID:
    order_id = await orders.id_of(tx, number)
    scope = shell.scope_of(web.caller_of(request))
    if order_id is None or (scope is not None and not await orders.is_at(tx, order_id, scope)):
        raise OrderNotFound(key=f"#{number}")
    return order_id


@post("/shortages/{number:int}", opt={"permission": "orders:write"}, status_code=200)
async def shortage_end(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
    """Carry out one of the ways out of an order's shortage."""
    read = filling.filled(await request.form())
    way = read.choice("way", Way)
    line, sku = read.maybe_whole("line") or 0, read.text("sku", 80)
    origin, destination = read.text("origin", 80), read.text("destination", 80)
    read.refuse()
    async with web.writing(request) as tx:
        order_id = await _order(tx, request, number)
        done = await shortfalls.take(tx, order_id, way, line, sku=sku, origin=origin, destination=destination)
    return web.go_on(request, web.safe_address(read.text("next", 400), "/shortages"), _told(number, done))


def _told(number: int, done: Taken) -> str:
    facts: dict[str, Any] = {"order": f"#{number}"}
    match done.way:
        case Way.TRANSFER:
            return _("{order}: transfer {transfer} asked for", transfer=done.transfer, **facts)
        case Way.SPLIT:
            return n_("{order}: {n} unit goes first", "{order}: {n} units go first", done.quantity, **facts)
        case Way.SUBSTITUTE:
            return _("{order}: replaced; the customer is told", **facts)
        case Way.WAIT:
            return n_(
                "{order}: {n} unit waits for supply", "{order}: {n} units wait for supply", done.quantity, **facts
            )
        case Way.CANCEL:
            return n_("{order}: {n} unit cancelled", "{order}: {n} units cancelled", done.quantity, **facts)
        case _:
            return n_("{order}: {n} unit placed", "{order}: {n} units placed", done.quantity, **facts)


@post("/shortages:retry", opt={"permission": "orders:write"}, status_code=200)
async def shortages_retry(request: Request[Any, Any, Any]) -> Response[Any]:
    """Ask every location again for the orders that are chosen, each in a transaction of its own."""
    form = await request.form()
    read = filling.filled(form)
    numbers = forms.numbers(form, "order", 17, PAGE_SIZE * 8)
    placed = 0
    for number in numbers:
        try:
            async with web.writing(request) as tx:
                done = await shortfalls.take(tx, await _order(tx, request, number), Way.RETRY)
        except MalhaError:  # somebody else was faster, or nobody has them still
            continue
        placed += done.quantity
    told = n_("{n} unit placed", "{n} units placed", placed) if placed else _("No location has them yet")
    return web.go_on(request, web.safe_address(read.text("next", 400), "/shortages"), told)


@post("/shortages:policy", opt={"permission": "settings:manage"}, status_code=200)
async def reroutes_change(request: Request[Any, Any, Any]) -> Response[Any]:
    """State how often an order is decided by itself."""
    read = filling.filled(await request.form())
    most, version = read.maybe_whole("most_decisions") or 0, read.version()
    async with web.writing(request) as tx:
        await shortfalls.change_policy(tx, most, version)
    return web.go_on(request, "/shortages", _("Saved"))


HANDLERS = [shortages, shortages_export, shortage_end, shortages_retry, reroutes_change]
