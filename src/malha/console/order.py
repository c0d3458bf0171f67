"""One order: the four answers first, then all that belongs to it.

Where is it, is it late, what blocks it, what can I do: each is answered (`order_answers`) from units, holds, work and
payment (`order_facts`), so the page and the panel beside the list say the same. `order_steps.next_step` is the one
primary action; it is a suggestion of what the services would accept, and they decide.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from malha.console import messages, picking_view, pictures, render, shell, timeline, web, why_date, words
from malha.console import reads as page_reads
from malha.console.order_answers import (
    Answer,
    is_it_late,
    state_of,
    what_can_be_done,
    what_keeps_it,
    where_is_it,
)
from malha.console.order_facts import (
    TO_PICK,
    Facts,
    address_mark,
    cancel_mark,
    count_of,
    money_mark,
    places_of,
    read,
    standing_documents,
)
from malha.console.order_steps import Step, lacking, mending, next_step, other_slots, work_steps
from malha.console.why import drawn
from malha.console.words import Sign
from malha.fiscal import reads as fiscal
from malha.fulfillment import reads as jobs
from malha.intake import substituting
from malha.notifications.model import KINDS, TELLER_WORDS, Kind
from malha.ordering.errors import OrderNotFound
from malha.ordering.model import GONE, PROMISE_REASON_WORDS, WAITING, HoldKind, OrderStatus, UnitState
from malha.ordering.reads import LineRow, UnitRow
from malha.platform import brazil, i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import _
from malha.platform.ids import UUID
from malha.promising import reads as promising
from malha.routing import reads as routing


class Segment(msgspec.Struct, frozen=True):
    """A part of a line's bar."""

    family: str
    x: float
    width: float


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it is drawn."""

    line: int
    sku: str
    name: str
    known: bool
    quantity: int
    unit_price: int
    total: int
    discount: int
    segments: list[Segment]
    says: str
    cancellable: int
    places: str
    replaces: str  # the name of what it stands in for


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one SKU of one line at a location."""

    line: int
    sku_id: int | None
    sku: str
    name: str
    gtin: str
    quantity: int
    to_pick: int


class ParcelView(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel as it is drawn; of the only parcel of its work nobody asks what it holds. `leaves`: it is still here."""

    row: jobs.ShipmentRow
    holds: str
    leaves: bool


class WorkView(msgspec.Struct, frozen=True, kw_only=True):
    """One location's part of the order as it is drawn."""

    row: jobs.WorkRow
    sign: Sign
    units: int
    items: list[Item]
    awaiting_document: bool
    due: str
    due_class: str
    parcels: list[ParcelView]
    documents: list[fiscal.DocumentRow]
    standing: list[fiscal.DocumentRow]  # of them, those not cancelled
    steps: list[Step]
    slot: str  # in which its goods are picked; empty without
    others: list[picking_view.Option]  # in which they could be picked instead


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it is drawn."""

    facts: Facts
    number: int
    sign: Sign
    pill: str
    answers: list[Answer]
    step: Step | None
    mends: dict[str, Step]  # by kind of hold, what mends its cause here
    lacking: dict[str, str]  # by kind of hold, the parts of the address that it is for
    lines: list[LineView]
    legend: list[tuple[str, str]]
    works: list[WorkView]
    happenings: list[timeline.Happening]
    messages: list[messages.RowView]
    teller: str
    untold: str
    unit_count: int
    document: str
    phone: str
    email: str
    paid_sign: Sign | None
    cancellable: int
    address_mark: str
    cancel_mark: str
    money_mark: str
    untouched: bool
    to_come: list[LineView]
    instead: dict[int, substituting.Choice]  # by line: what could stand in for units that wait
    today: str
    promise_reasons: list[tuple[str, str]]


def _line_view(line: LineRow, units: Sequence[UnitRow], here: int, names: Mapping[int, str]) -> LineView:
    mine = [u for u in units if u.line == line.line]
    whole = sum(u.quantity for u in mine) or 1
    segments, words_, x = [], [], 0.0
    for state in words.UNIT_ORDER:
        quantity = sum(u.quantity for u in mine if u.state == state)
        if not quantity:
            continue
        sign = words.UNIT[state]
        width = 100 * quantity / whole
        segments.append(Segment(sign.family, round(x, 2), round(max(width - (0.6 if x + width < 99.9 else 0), 0.4), 2)))
        words_.append(words.UNIT_COUNT[state](quantity))
        x += width
    return LineView(
        line=line.line,
        sku=line.sku,
        name=line.name,
        known=line.known,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total=line.total,
        discount=line.discount,
        segments=segments,
        says=", ".join(words_),
        cancellable=here,
        places=places_of([u for u in mine if u.state != UnitState.CANCELLED]),
        replaces=names.get(line.replaces or 0, ""),
    )


def _work_view(facts: Facts, row: jobs.WorkRow) -> WorkView:
    had = [u for u in facts.units if u.fulfillment_id == row.id]
    mine = [u for u in had if u.state != UnitState.CANCELLED] or had  # nobody packs what was cancelled
    names = {line.line: line.name for line in facts.lines}
    open_ = row.state not in {"closed", "rejected", "cancelled", "ready"}
    awaiting = any(u.state == UnitState.AWAITING_DOCUMENT for u in mine)
    sign = words.FULFILLMENT.get(row.state, words.FULFILLMENT["open"])
    if awaiting:
        sign = words.AWAITING_DOCUMENT
    elif row.pickup_expired_at and row.state in {"ready", "cancelled"}:
        sign = words.NOT_COLLECTED
    groups: dict[tuple[int, int | None], list[UnitRow]] = {}
    for unit in mine:
        groups.setdefault((unit.line, unit.sku_id), []).append(unit)
    return WorkView(
        row=row,
        sign=sign,
        units=count_of(mine),
        items=[
            Item(
                line=line,
                sku_id=sku_id,
                sku=units[0].sku or "",
                name=names.get(line, units[0].sku or ""),
                gtin=facts.gtins.get(units[0].sku or "", ""),
                quantity=count_of(units),
                to_pick=count_of(units, TO_PICK),
            )
            for (line, sku_id), units in groups.items()
        ],
        awaiting_document=awaiting,
        due=render.deadline(row.due_at) if open_ else "",
        due_class=render.lateness(row.due_at) if open_ else "",
        slot=picking_view.said(row.slot) if row.slot else "",
        others=picking_view.free(other_slots(facts, row)),
        parcels=_parcels(facts, row, names),
        documents=[d for d in facts.documents if d.source_id == row.id],
        standing=standing_documents(facts, row),
        steps=work_steps(facts, row),
    )


def _parcels(facts: Facts, row: jobs.WorkRow, names: Mapping[int, str]) -> list[ParcelView]:
    """Return the parcels of work, each with what is in it where there are several."""
    mine = [s for s in facts.shipments if s.fulfillment_id == row.id]
    inside: dict[UUID | None, dict[str, int]] = {}
    here = set()  # parcels that did not leave, and of which something is left
    for unit in facts.living:
        held = inside.setdefault(unit.shipment_id, {})
        name = names.get(unit.line, unit.sku or "")
        held[name] = held.get(name, 0) + unit.quantity
        if unit.state not in GONE:
            here.add(unit.shipment_id)
    times = "\N{MULTIPLICATION SIGN}"
    said = {
        id_: ", ".join(f"{i18n.number(n)} {times} {name}" for name, n in held.items()) for id_, held in inside.items()
    }
    several = len(mine) > 1
    return [
        ParcelView(row=s, holds=said.get(s.id, "") if several else "", leaves=s.id in here and not s.shipped_at)
        for s in mine
    ]


def _pill(facts: Facts, sign: Sign) -> str:
    if facts.header.status == OrderStatus.PICKING:
        picked, alive = count_of(facts.living, {UnitState.PICKED}), count_of(facts.living)
        if picked:
            return _("Picking, {picked} of {all}", picked=picked, all=alive)
    return _(sign.word)


def view_of(
    facts: Facts,
    names: timeline.Names,
    instead: Sequence[substituting.Choice] = (),
    may: Callable[[str], bool] | None = None,
) -> OrderView:
    """Return an order as it is drawn, for a person who `may` do some things; None: everything."""
    header = facts.header
    fraud = any(hold.kind == HoldKind.FRAUD for hold in facts.open_holds)
    sign = words.REVIEW if fraud else words.STATUS[header.status]
    called = {line.line: line.name for line in facts.lines}
    lines = [_line_view(line, facts.units, facts.here.get(line.line, 0), called) for line in facts.lines]
    shown = {u.state for u in facts.units}
    families: dict[str, list[str]] = {}
    for state in words.UNIT_ORDER:
        if state in shown:
            families.setdefault(words.UNIT[state].family, []).append(_(words.UNIT[state].word))
    step = next_step(facts, instead, may)
    there = {UnitState.DELIVERED, UnitState.COLLECTED}
    coming = {u.line for u in facts.living if u.state not in there}
    mends = {hold.kind: mended for hold in facts.open_holds if (mended := mending(facts, hold))}
    return OrderView(
        facts=facts,
        number=header.number,
        sign=sign,
        pill=_pill(facts, sign),
        answers=[where_is_it(facts), is_it_late(facts), what_keeps_it(facts), what_can_be_done(facts, step, may)],
        step=step,
        mends=mends,
        lacking={hold.kind: said for hold in facts.open_holds if (said := lacking(hold))},
        lines=lines,
        legend=[(family, ", ".join(said)) for family, said in families.items()],
        works=[_work_view(facts, row) for row in facts.work],
        happenings=timeline.told(facts.timeline, names, facts.messages),
        messages=[messages.view_of(row) for row in facts.messages],
        teller=_(TELLER_WORDS[facts.teller]),
        untold=_(KINDS[Kind(facts.untold[0].kind)].word) if facts.untold else "",
        unit_count=count_of(facts.units),
        document=brazil.mask_document(header.buyer_document) if header.buyer_document else "",
        phone=brazil.mask_phone(header.buyer_phone) if header.buyer_phone else "",
        email=brazil.mask_email(header.buyer_email) if header.buyer_email else "",
        paid_sign=words.PAYMENT.get(facts.paid.state) if facts.paid else None,
        cancellable=sum(u.quantity for u in facts.living if u.state not in GONE),
        address_mark=address_mark(header.ship_to),
        cancel_mark=cancel_mark(header.ship_to, facts.paid, facts.holds),
        money_mark=money_mark(facts.paid),
        untouched=all(u.state in WAITING or u.state == UnitState.ALLOCATED for u in facts.living),
        to_come=[line for line in lines if line.line in coming],
        instead={choice.line: choice for choice in instead},
        today=render.local(now()).date().isoformat(),
        promise_reasons=promise_reasons(),
    )


def promise_reasons() -> list[tuple[str, str]]:
    """Return why an order may be promised for another day, as a form offers it."""
    return [(why.value, _(word)) for why, word in PROMISE_REASON_WORDS.items()]


async def names_of(tx: Tx, facts: Facts) -> timeline.Names:
    """Read what the ids in the timeline are called."""
    actors = {row.actor.partition(":")[2] for row in facts.timeline if ":" in row.actor}
    return timeline.Names(
        locations=await page_reads.location_names(tx, timeline.location_ids(facts.timeline)),
        people=await page_reads.actor_names(tx, sorted(actors)),
        currency=facts.header.currency,
        state=state_of(facts),
        fetched_in=facts.header.pickup_zone,
    )


async def peek_of(tx: Tx, request: Request[Any, Any, Any], number: int) -> OrderView | None:
    """Return the order beside the list; None when there is none the asker may see."""
    try:
        facts = await read(tx, number, shell.scope_of(web.caller_of(request)))
    except OrderNotFound:
        return None
    return view_of(facts, await names_of(tx, facts), may=web.caller_of(request).may)


@get("/orders/{number:int}/peek", opt={"permission": "orders:read"})
async def order_peek(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show an order beside the list."""
    async with web.reading(request) as tx:
        peek = await peek_of(tx, request, number)
    if peek is None:
        raise OrderNotFound(key=f"#{number}")
    return render.html("order/peek.html", peek=peek, may=web.caller_of(request).may)


@get("/orders/{number:int}", opt={"permission": "orders:read"})
async def order_show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show an order."""
    return await show(request, number)


async def show(request: Request[Any, Any, Any], number: int) -> Response[str]:
    """Draw an order's page, or its part for a script that has the rest."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "orders")
        facts = await read(tx, number, shell.scope_of(web.caller_of(request)))
        waits = around.may("orders:write") and any(u.state in WAITING for u in facts.units)
        instead = await substituting.choices(tx, facts.header.id) if waits else []
        order = view_of(facts, await names_of(tx, facts), instead, around.may)
        told = await routing.explanation(tx, facts.header.id)
        made = await promising.made_of(tx, facts.header.id)
        images = await pictures.of_skus(tx, request, sorted({line.sku for line in facts.lines}))
    if told is not None and not told.alternatives and web.caller_of(request).locations is not None:
        told = None  # all there is to tell concerns locations that are not shown
    template = "order/body.html" if web.wants_part(request) else "order/page.html"
    names = {line.line: line.name for line in facts.lines}
    return render.html(
        template,
        shell=around,
        order=order,
        images=images,
        may=around.may,
        why=drawn(told) if told else None,
        why_date=why_date.drawn(made, names),
    )
