"""What the page of an order is drawn from, read in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec

from malha.capacity.model import Slot
from malha.catalog import reads as catalog
from malha.console import order_slot
from malha.fiscal import reads as fiscal
from malha.fulfillment import drop_reads, moving, slip_reads
from malha.fulfillment import reads as jobs
from malha.fulfillment.service import CODE_ATTEMPTS
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.model import ClaimState
from malha.inventory.vendors.model import DropState
from malha.notifications import reads as notifications
from malha.notifications.model import Teller
from malha.ordering import reads, rules
from malha.ordering.errors import OrderNotFound
from malha.ordering.model import HoldKind, Line, OrderDetails, Unit, UnitState
from malha.ordering.reads import Header, HoldRow, LineRow, NoteRow, UnitRow
from malha.payments import reads as payments
from malha.payments import service as paying
from malha.platform.db import Tx
from malha.platform.ids import UUID


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


def count_of(units: Sequence[UnitRow], states: Any = None) -> int:
    """Return how many units there are, in some states or any."""
    return sum(u.quantity for u in units if states is None or u.state in states)


def places_of(units: Sequence[UnitRow]) -> str:
    """Return the names of where units are, each once."""
    return ", ".join(dict.fromkeys(u.location for u in units if u.location))


def asked_now(facts: Facts, units: Sequence[UnitRow]) -> str:
    """Return which locations are asked when an order is released: where it comes together, only when all is there."""
    allocated = [u for u in units if u.state == UnitState.ALLOCATED]
    at = facts.header.merge_location or facts.header.pickup_location
    return places_of([u for u in allocated if u.location != at]) or places_of(allocated)


def open_work(facts: Facts) -> list[jobs.WorkRow]:
    """Return the work that is still to do."""
    return [row for row in facts.work if row.state not in {"closed", "rejected", "cancelled"}]


def is_locked(row: jobs.WorkRow) -> bool:
    """Return whether too many wrong codes were shown: nothing is handed over until there is a new one."""
    return row.state == "ready" and row.pickup_expired_at is None and row.pickup_misses >= CODE_ATTEMPTS


def standing_documents(facts: Facts, row: jobs.WorkRow) -> list[fiscal.DocumentRow]:
    """Return the documents of a location's part that were not cancelled."""
    return [d for d in facts.documents if d.source_id == row.id and d.cancelled_at is None]
