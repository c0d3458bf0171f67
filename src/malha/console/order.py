"""One order: the four answers first, then all that belongs to it.

Where is it, is it late, what blocks it, what can I do: each is decided here from units, holds, work and payment, so
the page and the panel beside the list say the same. `next_step` is the one primary action; it is a suggestion of what
the services would accept, and they decide.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Response

from malha.capacity.model import Slot
from malha.catalog import reads as catalog
from malha.console import messages, order_slot, picking_view, pictures, render, shell, timeline, web, why_date, words
from malha.console import reads as page_reads
from malha.console.why import drawn
from malha.console.words import Sign
from malha.fiscal import reads as fiscal
from malha.fulfillment import drop_reads, moving, slip_reads
from malha.fulfillment import reads as jobs
from malha.fulfillment.service import CODE_ATTEMPTS
from malha.intake import substituting
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.model import ClaimState
from malha.inventory.vendors.model import DropState
from malha.notifications import reads as notifications
from malha.notifications.model import KINDS, TELLER_WORDS, Kind, Teller
from malha.ordering import listing, reads, rules
from malha.ordering.errors import OrderNotFound
from malha.ordering.model import (
    AUTOMATIC_HOLDS,
    GONE,
    PROMISE_REASON_WORDS,
    WAITING,
    HoldKind,
    Line,
    OrderDetails,
    OrderStatus,
    Unit,
    UnitState,
)
from malha.ordering.promised_days import ends_at, is_by_day
from malha.ordering.reads import Header, HoldRow, LineRow, NoteRow, UnitRow
from malha.payments import reads as payments
from malha.payments import service as paying
from malha.platform import brazil, i18n
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.text import within
from malha.promising import reads as promising
from malha.promising.slipping import SLIP_WORDS, Slip
from malha.routing import reads as routing


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything read of one order."""

    header: Header
    lines: list[LineRow]
    units: list[UnitRow]
    here: Mapping[int, int]  # sold units by line that are neither cancelled nor gone; a kit is one of them
    holds: list[HoldRow]
    notes: list[NoteRow]
    details: OrderDetails | None
    tags: list[str]
    timeline: list[reads.TimelineRow]
    work: list[jobs.WorkRow]
    shipments: list[jobs.ShipmentRow]
    documents: list[fiscal.DocumentRow]
    tenders: list[payments.TenderRow]
    entries: list[payments.EntryRow]
    paid: payments.Totals | None
    deadline: payments.Deadline | None
    messages: list[notifications.MessageRow]
    teller: Teller
    untold: list[notifications.UntoldRow]
    first_promise: datetime | None
    line_promises: dict[int, datetime]
    awaits: list[ahead.ClaimRow] = []
    drops: list[drop_reads.DropRow] = []  # of vendors that the reader sees
    at_others: int = 0  # units that vendors are to send whom the reader does not see
    unanswered: bool = False  # a vendor, seen or not, is still to answer
    slip: slip_reads.OneSlip | None = None
    slot: order_slot.SlotView = order_slot.SlotView()
    under_way: Sequence[UUID] = ()  # parcels of the reader's locations
    to_go_out: Sequence[UUID] = ()  # of these, those not out for delivery
    scope: tuple[int, ...] | None = None  # the reader's locations; None: all
    gtins: Mapping[str, str] = {}  # barcodes of what is to be picked, by SKU
    room: Mapping[int, list[Slot]] = {}  # picking slots that are free, by the location whose work may move there
    pays_for: int | None = None  # the order that a payment of this one is recorded on, where the reader sees it

    @property
    def awaited(self) -> int:
        """Return how many units wait for supply that is expected, or have just come."""
        return sum(row.quantity for row in self.awaits if row.state != ClaimState.LOST)

    @property
    def at_vendors(self) -> int:
        """Return how many units vendors are to send."""
        return self.at_others + sum(row.expected for row in self.drops if row.is_open)

    @property
    def open_holds(self) -> list[HoldRow]:
        """Return the holds that stop it now."""
        return [hold for hold in self.holds if hold.resolved_at is None]

    @property
    def came_to(self) -> int:
        """Return what the order comes to, or came to before it was cancelled, in centavos."""
        return reads.came_to(self.header)

    @property
    def owed(self) -> int:
        """Return how much of the order nobody paid, whatever tenders promise, in centavos."""
        captured = self.paid.captured if self.paid else 0
        return max(self.header.total - self.header.cancelled_total - captured, 0)

    @property
    def living(self) -> list[UnitRow]:
        """Return the units that are not cancelled."""
        return [unit for unit in self.units if unit.state != UnitState.CANCELLED]


TO_PICK = frozenset({UnitState.RELEASED, UnitState.PICKING})


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the four answers: a strong line and a supporting one."""

    icon: str
    asks: str
    says: str
    tone: str = ""  # m-ok, m-soon, m-late
    rest: str = ""  # continues the strong line without the tone
    more: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The primary action: what it is called, which dialog it opens, which form it sends, or to which page it leads."""

    act: str
    label: str
    icon: str
    hint: str = ""
    dialog: str = ""
    work_id: str = ""
    href: str = ""
    permission: str = "orders:write"


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


async def read(tx: Tx, number: int, scope: tuple[int, ...] | None) -> Facts:
    """Read everything of one order, a statement per kind of thing.

    Raises:
        OrderNotFound: there is none, or none the asker may see.
    """
    header = await reads.header(tx, number)
    if header is None:
        raise OrderNotFound(key=f"#{number}")
    units = await reads.units(tx, header.id)
    places = {unit.location_id for unit in units} - {None}
    if scope is not None and not places & set(scope):
        raise OrderNotFound(key=f"#{number}")
    work = await jobs.of_order(tx, header.id)
    drops = await drop_reads.drops_of_order(tx, header.id)
    seen = [row for row in drops if scope is None or row.location_id in scope]
    shipments = await jobs.shipments(tx, header.id)
    under_way = jobs.under_way(shipments, work, scope)
    lines = await reads.lines(tx, header.id)
    rows = [
        Unit(header.id, u.line, u.part, u.sku_id, u.quantity, UnitState(u.state), u.location_id, u.fulfillment_id)
        for u in units
    ]
    to_pick = sorted({u.sku for u in units if u.sku and u.state in TO_PICK})
    cards = await catalog.by_skus(tx, to_pick) if to_pick else []
    holds = await reads.holds(tx, header.id)
    return Facts(
        scope=scope,
        gtins={card.sku: card.gtin for card in cards if card.gtin},
        header=header,
        lines=lines,
        units=units,
        here=still_here(header.id, lines, rows, await reads.components(tx, header.id)),
        holds=holds,
        pays_for=await _pays_for(tx, header.id, holds),
        notes=await reads.notes(tx, header.id),
        details=await reads.details(tx, header.id),
        tags=(await reads.tags(tx, [header.id])).get(header.id, []),
        timeline=await reads.timeline(tx, header.id),
        work=work,
        shipments=shipments,
        under_way=under_way,
        to_go_out=await jobs.still_to_go_out(tx, under_way),
        documents=await fiscal.of_order(tx, header.id),
        tenders=await payments.tenders(tx, header.id),
        entries=await payments.entries(tx, header.id),
        paid=(await payments.totals(tx, [header.id])).get(header.id),
        deadline=await payments.deadline(tx, header.id),
        messages=await notifications.of_order(tx, header.id),
        teller=await notifications.teller_of_order(tx, header.id),
        untold=await notifications.untold(tx, order_id=header.id, limit=1),
        first_promise=await reads.first_promise(tx, header),
        line_promises=await reads.line_promises(tx, header.id),
        awaits=await ahead.claims_of_order(tx, header.id),
        drops=seen,
        at_others=sum(row.expected for row in drops if row.is_open and row not in seen),
        unanswered=any(row.state == DropState.ASKED for row in drops),
        slip=await slip_reads.slip_of(tx, header.id),
        slot=await order_slot.view(tx, header.id, rows),
        room=await moving.choices(tx, {row.location_id for row in work if row.state in moving.MOVABLE}),
    )


async def _pays_for(tx: Tx, order_id: UUID, holds: Sequence[HoldRow]) -> int | None:
    """Return the number of the order that has the payment for which this one waits; None where it is unseen."""
    held = [h.detail for h in holds if h.kind == HoldKind.PAYMENT_ELSEWHERE and h.resolved_at is None]
    identity = str(held[0].get("reference", "")) if held else ""
    refusal = await paying.elsewhere(tx, identity, identity, order_id)
    return None if refusal is None else refusal.facts.get("other")


def still_here(
    order_id: UUID, lines: Sequence[LineRow], units: Sequence[Unit], kits: Mapping[int, dict[int, int]]
) -> dict[int, int]:
    """Return by line how many sold units of an order may be asked to be cancelled; `kits` is what they are made of."""
    sold = [Line(order_id, x.line, x.sku_id, x.quantity, x.total, kits.get(x.line, {})) for x in lines]
    return {line.line: rules.still_here(line, units) for line in sold}


def cancel_mark(address: Mapping[str, Any] | None, paid: payments.Totals | None, holds: Sequence[HoldRow]) -> str:
    """Return what tells whether an order is still the one that a cancel was decided on.

    Beside its units: where it goes, what was paid, and what keeps it. A note, or goods that move on, are none.
    """
    open_ = sorted(str(hold.id) for hold in holds if hold.resolved_at is None)
    return f"{crc32(msgspec.json.encode([address, _money(paid), open_], order='sorted')):08x}"


def money_mark(paid: payments.Totals | None) -> str:
    """Return what tells whether an order's money is still what it was when somebody began to record some of it."""
    return f"{crc32(msgspec.json.encode(_money(paid))):08x}"


def _money(paid: payments.Totals | None) -> list[int]:
    return [] if paid is None else [paid.authorised, paid.captured, paid.refunded, paid.voided, paid.charged_back]


def address_mark(address: Mapping[str, Any] | None) -> str:
    """Return what tells whether an address is still the one that a form was filled with."""
    return f"{crc32(msgspec.json.encode(address, order='sorted')):08x}"


def _count(units: Sequence[UnitRow], states: Any = None) -> int:
    return sum(u.quantity for u in units if states is None or u.state in states)


def _places(units: Sequence[UnitRow]) -> str:
    return ", ".join(dict.fromkeys(u.location for u in units if u.location))


def _asked_now(facts: Facts, units: Sequence[UnitRow]) -> str:
    """Return which locations are asked when an order is released: where it comes together, only when all is there."""
    allocated = [u for u in units if u.state == UnitState.ALLOCATED]
    at = facts.header.merge_location or facts.header.pickup_location
    return _places([u for u in allocated if u.location != at]) or _places(allocated)


def open_work(facts: Facts) -> list[jobs.WorkRow]:
    """Return the work that is still to do."""
    return [row for row in facts.work if row.state not in {"closed", "rejected", "cancelled"}]


def _nowhere(facts: Facts, done: dict[str, str], alive: int) -> Answer:
    """Return where an order is of which no location has anything: with vendors, or nowhere."""
    if alive == facts.at_vendors:
        names = dict.fromkeys(row.location_name for row in facts.drops if row.is_open)
        others = [_("outside of your locations")] if facts.at_others else []
        return Answer(**done, says=_("At a vendor"), more=", ".join([*names, *others]))
    return Answer(
        **done, says=_("Without a location"), more=n_("{n} unit waits for one.", "{n} units wait for one.", alive)
    )


def _where(facts: Facts) -> Answer:
    asks, units, header = _("Where is it?"), facts.living, facts.header
    done = {"icon": "map-pin", "asks": asks}
    if not units:
        return Answer(**done, says=_("Nowhere: cancelled"), more=_("Its stock was given back."))
    states = {u.state for u in units}
    alive = _count(units)
    if states <= {UnitState.DELIVERED, UnitState.COLLECTED}:
        return Answer(**done, says=_("With the customer"), more=_delivered_text(facts))
    if states <= GONE:
        parcel = next((s for s in facts.shipments if s.shipped_at), None)
        carrier = (parcel and parcel.carrier) or header.carrier or _("the carrier")
        code = (parcel and parcel.tracking_code) or ""
        left = (
            _("Left {place} {time}.", place=_places(units), time=render.moment(parcel.shipped_at))
            if parcel and parcel.shipped_at
            else ""
        )
        return Answer(
            **done, says=_("On its way with {carrier}", carrier=carrier), more=" ".join(x for x in (left, code) if x)
        )
    if states <= WAITING:
        return _nowhere(facts, done, alive)
    placed = [u for u in units if u.location]
    if UnitState.READY in states:
        return Answer(**done, says=_("At the counter of {place}", place=_places(placed)), more=_ready_text(facts))
    more = _progress_text(units, pickup=header.method == "pickup")
    sent = states == {UnitState.IN_TRANSFER}
    where = _places(placed)
    return Answer(**done, says=_("On its way to {place}", place=where) if sent else where, more=more)


def _last_seen(facts: Facts) -> datetime | None:
    """Return when the last parcel arrived or, where nobody said so, left."""
    return max((at for s in facts.shipments if (at := s.delivered_at or s.shipped_at)), default=None)


def _delivered_text(facts: Facts) -> str:
    last = _last_seen(facts)
    who = next((s.received_by for s in facts.shipments if s.received_by), None)
    when = _("Since {time}.", time=render.moment(last)) if last else ""
    return " ".join(x for x in (when, _("Received by {name}.", name=who) if who else "") if x)


def _ready_text(facts: Facts) -> str:
    waiting = [w for w in facts.work if w.state == "ready" and w.pickup_until]
    until = next((w.pickup_until for w in waiting), None)
    if until and waiting[0].pickup_expired_at:
        return _("Not collected until {day}: cancel the document, or give more time.", day=render.day(until))
    return _("Waits for the customer until {day}.", day=render.day(until)) if until else _("Waits for the customer.")


def _progress_text(units: Sequence[UnitRow], *, pickup: bool) -> str:
    alive, parts = _count(units), []
    placed = {u.location_id for u in units if u.location_id}
    waiting = _count(units, WAITING)
    for states, says in (
        ({UnitState.ALLOCATED}, N_("{n} of {all} allocated")),
        ({UnitState.RELEASED}, N_("{n} of {all} to accept")),
        ({UnitState.PICKING}, N_("{n} of {all} to pick")),
        ({UnitState.PICKED}, N_("{n} of {all} picked")),
        ({UnitState.PACKED, UnitState.INVOICED, UnitState.AWAITING_DOCUMENT}, N_("{n} of {all} packed")),
        (
            {UnitState.IN_TRANSFER},
            N_("{n} of {all} on the way to the store") if pickup else N_("{n} of {all} on the way to be sent together"),
        ),
        (GONE, N_("{n} of {all} shipped")),
    ):
        count = _count(units, states)
        if count:
            parts.append(_(says, n=count, all=alive))
    if waiting:
        parts.append(words.UNIT_COUNT[UnitState.UNPLACED](waiting))
    parcels = n_("{n} location", "{n} locations", len(placed)) if len(placed) > 1 else ""
    return ", ".join(x for x in (*parts, parcels) if x)


def _promise(facts: Facts) -> str:
    """Say what was promised, and what was promised first."""
    present = facts.header.promised_at
    if present is None:
        return ""
    last = facts.header.complete_at
    says = _("Promised for {day}.", day=_promised_for(facts, present))
    if last and last > present:
        says += " " + _("All of it is promised for {day}.", day=_promised_for(facts, last))
    first = facts.first_promise
    if not first or first == present:
        return says
    return f"{says} {_('First for {day}.', day=_promised_for(facts, first))}"


def _promised_for(facts: Facts, at: datetime) -> str:
    """Return the day a promise means where the order goes or is fetched, as people say it, or its hour."""
    fetched_in = facts.header.pickup_zone
    if fetched_in is not None and not is_by_day(at, ZoneInfo(fetched_in)):
        return render.moment(at)
    return render.promise_text(at, _state_of(facts), fetched_in)


def _state_of(facts: Facts) -> str | None:
    """Return the state an order goes to; None where it is fetched."""
    header = facts.header
    return None if header.method == "pickup" else (header.ship_to or {}).get("state")


def _slips(facts: Facts) -> str:
    """Say that its plan cannot keep its day, and why, as the last look found it."""
    slip = facts.slip
    if slip is None or ends_at(slip.promised_at) <= now():
        return ""
    why = _(SLIP_WORDS[Slip(slip.reason)])
    if slip.expected_at is None:
        return _("It cannot keep that day, and no other can be said: {why}.", why=why)
    return _("Its plan comes to {day}: {why}.", day=_promised_for(facts, slip.expected_at), why=why)


def _late(facts: Facts) -> Answer:  # noqa: PLR0911 -- a table of cases, one sentence each
    header, at = facts.header, now()
    promised = header.promised_at and ends_at(header.promised_at)
    base = {"icon": "clock", "asks": _("Is it late?")}
    promise = _promise(facts)
    if header.status == OrderStatus.CANCELLED:
        return Answer(**base, says=_("No longer counts"), more=promise)
    if header.method == "pickup" and header.status in {OrderStatus.READY, OrderStatus.DELIVERED}:
        # To be ready is what was promised: when the customer comes is theirs to say.
        collected = header.status == OrderStatus.DELIVERED
        return Answer(**base, says=_("Collected") if collected else _("Ready to collect"), tone="m-ok", more=promise)
    due = min((w.due_at for w in open_work(facts) if w.state != "ready"), default=None)
    if header.status == OrderStatus.DELIVERED:
        last, until = _last_seen(facts), header.complete_at and ends_at(header.complete_at)
        if last and until and last > until:
            return Answer(
                **base,
                says=_("Arrived late"),
                tone="m-late",
                rest=_(", by {time}", time=render.span(last - until)),
                more=promise,
            )
        return Answer(**base, says=_("Arrived in time"), tone="m-ok", more=promise)
    deadline = due or promised
    if deadline is None:
        return _undated(facts, base)
    leave = (
        _("Leave by {time}.", time=render.moment(due))
        if due and header.method == "ship"
        else _("Ready by {time}.", time=render.moment(due))
        if due
        else ""
    )
    slips = _slips(facts)
    more = " ".join(x for x in (leave, promise, slips) if x)
    if deadline < at:
        return Answer(
            **base,
            says=_("It is late"),
            tone="m-late",
            rest=_(", by {time}", time=render.span(at - deadline)),
            more=more,
        )
    if slips:
        return Answer(**base, says=_("It will be late on its plan"), tone="m-late", more=more)
    if deadline - at < render.SOON:
        return Answer(
            **base,
            says=_("Soon due"),
            tone="m-soon",
            rest=_(", {time} left", time=render.span(deadline - at)),
            more=more,
        )
    return Answer(
        **base, says=_("On time"), tone="m-ok", rest=_(", {time} to spare", time=render.span(deadline - at)), more=more
    )


def _undated(facts: Facts, base: dict[str, Any]) -> Answer:
    """Return why nobody can say by when an order is to be there."""
    if _count(facts.living, WAITING):
        return Answer(**base, says=_("Nothing promised yet"), more=_("It is, once all of its goods have a place."))
    if facts.header.method == "pickup":
        counts = _("The deadline of who picks it counts from its release.")
        return Answer(**base, says=_("No deadline yet"), more=counts)
    return Answer(**base, says=_("No promise was made"), more=_("The channel sent no date for this order."))


def _waits(facts: Facts, base: dict[str, Any], waiting: int) -> Answer:
    """Return for what units without a place wait: a vendor, goods on order, or somebody who finds them a place."""
    if waiting == facts.at_vendors:
        leaves = max((row.leaves_on for row in facts.drops if row.is_open), default=None)
        return Answer(
            **base,
            says=_("A vendor is to answer") if facts.unanswered else _("A vendor is to send it"),
            more=_("It is to leave the vendor by {day}.", day=render.calendar_day(leaves)) if leaves else "",
        )
    if waiting == facts.awaited + facts.at_vendors:
        soonest = next((row.eta for row in facts.awaits if row.eta), None)
        return Answer(
            **base,
            says=n_("{n} unit waits for goods on order", "{n} units wait for goods on order", waiting),
            more=_("Expected on {day}.", day=render.calendar_day(soonest)) if soonest else "",
        )
    return Answer(
        **base,
        says=n_("{n} unit has no location", "{n} units have no location", waiting),
        tone="m-soon",
        more=_("No location could serve them when they were last tried."),
    )


def _blocks(facts: Facts) -> Answer:
    base: dict[str, Any] = {"icon": "lock", "asks": _("What blocks it?")}
    holds = facts.open_holds
    if holds:
        first = holds[0]
        says = _(words.HOLD.get(first.kind, first.kind))
        note = str(first.detail.get("note", ""))
        more = note or _(words.HOLD_MEND.get(first.kind, ""))
        due = facts.deadline
        if due and not due.lapsed_at:
            more = f"{_('Its stock waits for the money until {time}.', time=render.moment(due.due_at))} {more}"
        if len(holds) > 1:
            more = (
                _("And {others}.", others=", ".join(within(_(words.HOLD.get(h.kind, h.kind))) for h in holds[1:]))
                + " "
                + more
            )
        return Answer(**base, says=says, tone="m-soon", more=more)
    if any(is_locked(row) for row in open_work(facts)):
        more = _("Check who is collecting, and give the customer a new code.")
        return Answer(**base, says=_("Too many wrong pickup codes were shown."), tone="m-soon", more=more)
    waiting = _count(facts.living, WAITING)
    if waiting:
        return _waits(facts, base, waiting)
    documents = _count(facts.living, {UnitState.AWAITING_DOCUMENT})
    if documents:
        return Answer(
            **base,
            says=_("The fiscal document is missing"),
            tone="m-soon",
            more=n_("{n} packed unit may not leave before it.", "{n} packed units may not leave before it.", documents),
        )
    if facts.header.release_after > now() and _count(facts.living, {UnitState.ALLOCATED}):
        return Answer(
            **base,
            says=_("Nothing"),
            rest=_(", it waits on purpose"),
            more=_("The customer may change it until {time}.", time=render.moment(facts.header.release_after)),
        )
    return Answer(**base, says=_("Nothing"))


def next_step(
    facts: Facts, instead: Sequence[substituting.Choice] = (), may: Callable[[str], bool] | None = None
) -> Step | None:
    """Return what is to be done next, in the order a person would do it; None when nothing is.

    What the person `may` do goes before what they have to leave to somebody else.
    """
    steps = list(_steps(facts, instead))
    return next((step for step in steps if may is None or may(step.permission)), next(iter(steps), None))


def _steps(  # noqa: C901 -- a list of cases in a person's order
    facts: Facts, instead: Sequence[substituting.Choice]
) -> Iterator[Step]:
    units = facts.living
    states = {u.state for u in units}
    for hold in facts.open_holds:
        mended = _mending(facts, hold)
        if mended is not None:
            yield mended
        elif hold.kind not in AUTOMATIC_HOLDS:
            yield Step(
                act="resolve",
                label=_("Lift hold"),
                icon="lock-open",
                dialog=f"dlg-resolve-{hold.kind}",
                permission="orders:release_hold",
            )
    if instead and _count(units, WAITING) > facts.awaited + facts.at_vendors:
        yield Step(
            act="replace",
            label=_("Replace the item"),
            icon="arrows-left-right",
            hint=_("No location has it; {name} could stand in.", name=instead[0].substitutes[0].name),
            dialog=f"dlg-replace-{instead[0].line}",
        )
    if _count(units, WAITING) > facts.awaited + facts.at_vendors:
        yield Step(
            act="place",
            label=_("Try to place again"),
            icon="route",
            hint=_("Asks every location again with the stock of now."),
        )
    for row in open_work(facts):
        steps = work_steps(facts, row)
        if steps:
            yield steps[0]
    if any(row.is_open for row in facts.drops):
        yield Step(
            act="vendor",
            label=_("To the drop-ship order"),
            icon="truck-delivery",
            hint=_("Note there what the vendor says."),
            href=f"/drop-ships/{next(row.number for row in facts.drops if row.is_open)}",
            permission="orders:read",
        )
    if UnitState.ALLOCATED in states and not facts.open_holds:
        yield Step(
            act="release",
            label=_("Release now"),
            icon="player-play",
            hint=_("Asks {place} to pick it now.", place=_asked_now(facts, units)),
        )
    if states and states <= GONE and facts.under_way:
        yield Step(act="deliver", label=_("Record delivery"), icon="circle-check", permission="fulfillment:work")


def _mending(facts: Facts, hold: HoldRow) -> Step | None:
    """Return what mends the cause of a hold, other than to lift it; None: nothing on this page does."""
    if hold.kind in {HoldKind.PAYMENT, HoldKind.PAYMENT_LAPSED} and (facts.tenders or facts.owed):
        label, who = _("Record payment"), "payments:record"
        return Step(act="payment", label=label, icon="cash", dialog="dlg-payment", permission=who)
    if hold.kind in {HoldKind.ADDRESS, HoldKind.ADDRESS_CHECK}:
        return Step(act="address", label=_("Correct address"), icon="map-pin", dialog="dlg-address")
    if hold.kind == HoldKind.UNKNOWN_SKU:
        return Step(act="map", label=_("Identify SKU"), icon="barcode", dialog="dlg-map")
    if hold.kind in REGISTERED:
        return _register(hold.kind, hold.detail)
    if hold.kind == HoldKind.SLOT and facts.slot.choices:
        return Step(act="slot", label=_("Choose another slot"), icon="calendar-event", dialog="dlg-slot")
    return None


def _lacking(hold: HoldRow) -> str:
    """Return the parts of an address that a hold says are missing, in the reader's language; empty: it says none."""
    if hold.kind != HoldKind.ADDRESS:  # of a payment it is an amount that is missing
        return ""
    return ", ".join(_(words.LACKING[part]) for part in hold.detail.get("missing", ()) if part in words.LACKING)


# What is registered so that an order goes on: the name of the code in the hold, the page, the icon.
REGISTERED = {
    HoldKind.UNKNOWN_SERVICE: ("service", "/services:new", "truck"),
    HoldKind.UNKNOWN_LOCATION: ("location", "/locations:new", "building-store"),
}


def _register(kind: str, detail: Mapping[str, Any]) -> Step:
    name, page, icon = REGISTERED[HoldKind(kind)]
    code = str(detail.get(name) or "")
    label = _("Register the service") if kind == HoldKind.UNKNOWN_SERVICE else _("Register the location")
    hint = _("The channel asked for “{code}”.", code=code) if code else ""
    href = f"{page}?code={quote(code, safe='')}"
    return Step(act="register", label=label, icon=icon, hint=hint, href=href, permission="network:write")


def work_steps(facts: Facts, row: jobs.WorkRow) -> list[Step]:
    """Return what a location may do with its part, the usual first; nothing where it is not the reader's."""
    if facts.scope is not None and row.location_id not in facts.scope:
        return []
    steps = _next_steps(facts, row)
    if _other_slots(facts, row):
        dialog, label = f"dlg-move-{str(row.id)[-12:]}", _("Move to another slot")
        job: dict[str, Any] = {"work_id": str(row.id), "permission": "fulfillment:work"}
        steps.append(Step(act="move-work", label=label, icon="calendar-event", dialog=dialog, **job))
    return steps


def _next_steps(facts: Facts, row: jobs.WorkRow) -> list[Step]:
    mine = [u for u in facts.living if u.fulfillment_id == row.id]
    states = {u.state for u in mine}
    work_id = str(row.id)
    job: dict[str, Any] = {"work_id": work_id, "permission": "fulfillment:work"}
    short = work_id[-12:]
    steps: list[Step] = []
    if row.state == "open":
        steps = [
            Step(act="accept", label=_("Accept at {place}", place=row.location), icon="check", **job),
            Step(act="reject", label=_("Reject"), icon="hand-stop", dialog=f"dlg-reject-{short}", **job),
        ]
    elif row.state in {"accepted", "picking"}:
        steps = [
            Step(act="pick", label=_("Confirm pick"), icon="clipboard-check", dialog=f"dlg-pick-{short}", **job),
        ]
    elif row.state == "picked":
        steps = [_leave_the_shelf(row, job, _count(mine))]
    elif UnitState.AWAITING_DOCUMENT in states:
        steps = [
            Step(
                act="document",
                label=_("Record document"),
                icon="file-invoice",
                dialog=f"dlg-document-{short}",
                work_id=work_id,
                permission="fiscal:record",
            ),
        ]
    elif row.state == "packed" and row.method == "ship":
        steps = [Step(act="ship", label=_("Ship"), icon="truck-delivery", dialog=f"dlg-ship-{short}", **job)]
    elif row.state == "packed":
        steps = [Step(act="ready", label=_("Ready for pickup"), icon="building-store", **job)]
    elif row.state == "ready":
        steps = _counter_steps(row, job)
    elif row.state == "cancelled" and row.pickup_returned:
        steps = [_more_time(work_id, _("Set aside again"), "arrow-back-up")]
    if any(u.document_id is not None and u.state not in GONE for u in mine) and standing_documents(facts, row):
        steps.append(_dialog_step("cancel-document", _("Document cancelled"), "ban", row, permission="fiscal:record"))
    return steps


def _counter_steps(row: jobs.WorkRow, job: Mapping[str, Any]) -> list[Step]:
    """Return what may be done with goods that wait for their customer."""
    dialog, work_id = f"dlg-hand-{str(row.id)[-12:]}", str(row.id)
    more = _more_time(work_id, _("More time"), "clock-plus")
    if row.pickup_expired_at is not None:
        return [more]
    fresh = _dialog_step("new-code", _("New code"), "refresh", row, permission="orders:write")
    if is_locked(row):
        return [fresh, more]
    return [Step(act="hand-over", label=_("Hand over"), icon="hand-grab", dialog=dialog, **job), more, fresh]


def is_locked(row: jobs.WorkRow) -> bool:
    """Return whether too many wrong codes were shown: nothing is handed over until there is a new one."""
    return row.state == "ready" and row.pickup_expired_at is None and row.pickup_misses >= CODE_ATTEMPTS


def standing_documents(facts: Facts, row: jobs.WorkRow) -> list[fiscal.DocumentRow]:
    """Return the documents of a location's part that were not cancelled."""
    return [d for d in facts.documents if d.source_id == row.id and d.cancelled_at is None]


def _dialog_step(act: str, label: str, icon: str, row: jobs.WorkRow, *, permission: str) -> Step:
    dialog, work_id = f"dlg-{act}-{str(row.id)[-12:]}", str(row.id)
    return Step(act=act, label=label, icon=icon, dialog=dialog, work_id=work_id, permission=permission)


def _leave_the_shelf(row: jobs.WorkRow, job: dict[str, Any], units: int) -> Step:
    """Return what follows once all is picked: goods are packed here, or where they are brought to.

    One unit is one parcel; of several a person may say which go in which.
    """
    if row.to_location is None:
        dialog = f"dlg-pack-{str(row.id)[-12:]}" if units > 1 else ""
        return Step(act="pack", label=_("Pack"), icon="package", dialog=dialog, **job)
    dialog = f"dlg-send-{str(row.id)[-12:]}"
    label = _("Send to {place}", place=row.to_location_name)
    return Step(act="send", label=label, icon="truck-delivery", dialog=dialog, **job)


def _other_slots(facts: Facts, row: jobs.WorkRow) -> list[Slot]:
    """Return the picking slots that work could move to, with room for all of it."""
    if row.state not in moving.MOVABLE:
        return []
    has = None if row.slot is None else (row.slot.day, row.slot.starts)
    room = facts.room.get(row.location_id, ())
    return [s for s in room if (s.key.day, f"{s.key.starts:%H:%M}") != has and s.has_room_for(row.units)]


def _more_time(work_id: str, label: str, icon: str) -> Step:
    dialog = f"dlg-extend-{work_id[-12:]}"
    return Step(act="extend", label=label, icon=icon, dialog=dialog, work_id=work_id, permission="orders:write")


def _can(facts: Facts, step: Step | None, may: Callable[[str], bool] | None) -> Answer:
    base: dict[str, Any] = {"icon": "bulb", "asks": _("What can I do?")}
    if step is not None and may is not None and not may(step.permission):
        return Answer(**base, says=step.label, more=_("Somebody else has to: your role does not allow it."))
    if step is None:
        done = facts.header.status in listing.CLOSED
        return Answer(**base, says=_("Nothing to do"), more=_("The order is finished.") if done else "")
    return Answer(**base, says=step.label, more=step.hint)


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
        places=_places([u for u in mine if u.state != UnitState.CANCELLED]),
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
        units=_count(mine),
        items=[
            Item(
                line=line,
                sku_id=sku_id,
                sku=units[0].sku or "",
                name=names.get(line, units[0].sku or ""),
                gtin=facts.gtins.get(units[0].sku or "", ""),
                quantity=_count(units),
                to_pick=_count(units, TO_PICK),
            )
            for (line, sku_id), units in groups.items()
        ],
        awaiting_document=awaiting,
        due=render.deadline(row.due_at) if open_ else "",
        due_class=render.lateness(row.due_at) if open_ else "",
        slot=picking_view.said(row.slot) if row.slot else "",
        others=picking_view.free(_other_slots(facts, row)),
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
        picked, alive = _count(facts.living, {UnitState.PICKED}), _count(facts.living)
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
    mends = {hold.kind: mended for hold in facts.open_holds if (mended := _mending(facts, hold))}
    return OrderView(
        facts=facts,
        number=header.number,
        sign=sign,
        pill=_pill(facts, sign),
        answers=[_where(facts), _late(facts), _blocks(facts), _can(facts, step, may)],
        step=step,
        mends=mends,
        lacking={hold.kind: said for hold in facts.open_holds if (said := _lacking(hold))},
        lines=lines,
        legend=[(family, ", ".join(said)) for family, said in families.items()],
        works=[_work_view(facts, row) for row in facts.work],
        happenings=timeline.told(facts.timeline, names, facts.messages),
        messages=[messages.view_of(row) for row in facts.messages],
        teller=_(TELLER_WORDS[facts.teller]),
        untold=_(KINDS[Kind(facts.untold[0].kind)].word) if facts.untold else "",
        unit_count=_count(facts.units),
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
        state=_state_of(facts),
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
