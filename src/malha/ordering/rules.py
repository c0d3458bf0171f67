"""Pure decisions on an order: its status, how units move, what a cancel takes and what it is worth.

Invariants: a plan never makes or loses a unit; the worth of what is cancelled depends only on what is cancelled, not
on the order or the pieces in which it was, so cancelling piecewise sums to cancelling the whole, to the cent.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.ordering.errors import (
    DocumentStands,
    IllegalTransition,
    NothingToCancel,
    QuantityTooLarge,
    UnitsLeft,
    UnitsNotThere,
)
from malha.ordering.model import (
    CLAIMING,
    GONE,
    MONEY_HOLDS,
    TRANSITIONS,
    WAITING,
    Address,
    CancelWish,
    HoldKind,
    Line,
    Move,
    Order,
    OrderStatus,
    Unit,
    UnitState,
    word_of,
)
from malha.platform import brazil
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.money import share_out
from malha.platform.text import fold

# From the least to the most advanced. Cancelling takes units from the front, a status names the front.
PROGRESS: tuple[UnitState, ...] = tuple(UnitState)[:-1]
_RANK = {state: i for i, state in enumerate(PROGRESS)}

_STATUS_OF = {
    UnitState.UNPLACED: OrderStatus.UNPLACED,
    UnitState.BACKORDERED: OrderStatus.BACKORDERED,
    UnitState.ALLOCATED: OrderStatus.ALLOCATED,
    UnitState.RELEASED: OrderStatus.PICKING,
    UnitState.PICKING: OrderStatus.PICKING,
    UnitState.PICKED: OrderStatus.PICKING,
    UnitState.AWAITING_DOCUMENT: OrderStatus.PACKED,
    UnitState.PACKED: OrderStatus.PACKED,
    UnitState.INVOICED: OrderStatus.INVOICED,
    UnitState.IN_TRANSFER: OrderStatus.PACKED,
    UnitState.READY: OrderStatus.READY,
    UnitState.SHIPPED: OrderStatus.SHIPPED,
    UnitState.DELIVERED: OrderStatus.DELIVERED,
    UnitState.COLLECTED: OrderStatus.DELIVERED,
}

# The states in which no location has begun to work: the customer may still change the order.
UNTOUCHED = WAITING | {UnitState.ALLOCATED}


def derive_status(states: Iterable[UnitState], open_holds: Collection[HoldKind]) -> OrderStatus:
    """Return the header status: the least advanced thing a person must know.

    Cancelled units do not count unless all are. Holds count until everything has left; holds for money alone
    are `awaiting_payment`, any other makes `on_hold`.
    """
    present = set(states)
    living = present - {UnitState.CANCELLED}
    if not living:
        return OrderStatus.CANCELLED if present else OrderStatus.PLACED
    if open_holds and not living <= GONE:
        return OrderStatus.AWAITING_PAYMENT if set(open_holds) <= MONEY_HOLDS else OrderStatus.ON_HOLD
    return _STATUS_OF[min(living, key=_RANK.__getitem__)]


class MovePlan(msgspec.Struct, frozen=True):
    """Rows to write after moves: `changed` by key, `added` with new parts; `units` is how all rows stand then."""

    changed: list[Unit]
    added: list[Unit]
    units: list[Unit]


def plan_moves(units: Sequence[Unit], moves: Sequence[Move]) -> MovePlan:
    """Work out the rows that moves leave behind.

    A row that moves as a whole changes in place; a part of it joins a row that is equal then, or becomes a new one.

    Raises:
        UnitsNotThere: a row does not exist or has fewer units than moves take from it.
        IllegalTransition: a state may not follow (`model.TRANSITIONS`).
        ValueError: a claim without a location: a defect of the caller.
    """
    before = {(u.line, u.part): u for u in units}
    left = {key: u.quantity for key, u in before.items()}
    arriving: list[tuple[tuple[int, int], Unit]] = []
    for move in moves:
        key = (move.line, move.part)
        unit = before.get(key)
        if unit is None or not 0 < move.quantity <= left[key]:
            raise UnitsNotThere(line=move.line, quantity=move.quantity, open=left.get(key, 0))
        if move.to not in TRANSITIONS[unit.state]:
            raise IllegalTransition(state=word_of(unit.state), to=word_of(move.to))
        left[key] -= move.quantity
        arriving.append((key, _moved(unit, move)))
    rows = _Rows(before, left)
    for key, unit in arriving:
        rows.settle(key, unit)
    after = [rows.rows[key] for key in sorted(rows.rows)]
    return MovePlan(
        changed=[u for u in after if (u.line, u.part) in before and before[u.line, u.part] != u],
        added=[u for u in after if (u.line, u.part) not in before],
        units=after,
    )


class _Rows:
    """The rows while moves settle, found by what makes units equal: a wholesale order has many thousands of them."""

    __slots__ = ("_last", "_twins", "rows")

    def __init__(self, before: Mapping[tuple[int, int], Unit], left: Mapping[tuple[int, int], int]) -> None:
        self.rows: dict[tuple[int, int], Unit] = {}
        self._twins: dict[Unit, tuple[int, int]] = {}  # the first row of equal units
        self._last: dict[int, int] = {}  # the last part of each line
        for (line, part), unit in before.items():
            self._last[line] = max(part, self._last.get(line, part))
            if left[line, part]:
                self._put((line, part), msgspec.structs.replace(unit, quantity=left[line, part]))

    def settle(self, key: tuple[int, int], unit: Unit) -> None:
        """Give moved units their row: the one they left empty, else one that is equal, else a new part of the line."""
        twin = self._twins.get(_kind_of(unit))
        if key not in self.rows:
            self._put(key, unit)
        elif twin is not None:
            there = self.rows[twin]
            self.rows[twin] = msgspec.structs.replace(there, quantity=there.quantity + unit.quantity)
        else:
            part = self._last[unit.line] = self._last[unit.line] + 1
            self._put((unit.line, part), msgspec.structs.replace(unit, part=part))

    def _put(self, key: tuple[int, int], unit: Unit) -> None:
        self.rows[key] = unit
        self._twins.setdefault(_kind_of(unit), key)


def _moved(unit: Unit, move: Move) -> Unit:
    location = unit.location_id if move.location_id is msgspec.UNSET else move.location_id
    fulfillment = unit.fulfillment_id if move.fulfillment_id is msgspec.UNSET else move.fulfillment_id
    shipment = unit.shipment_id if move.shipment_id is msgspec.UNSET else move.shipment_id
    document = unit.document_id if move.document_id is msgspec.UNSET else move.document_id
    if move.to in WAITING:
        location = fulfillment = shipment = document = None
    elif move.to is UnitState.ALLOCATED:
        fulfillment = shipment = document = None
    elif move.to in {UnitState.CANCELLED, UnitState.AWAITING_DOCUMENT}:
        document = None
    if move.to in CLAIMING and (location is None or unit.sku_id is None):
        raise ValueError(f"line {unit.line} cannot be {move.to} without a SKU and a location")
    return msgspec.structs.replace(
        unit,
        quantity=move.quantity,
        state=move.to,
        location_id=location,
        fulfillment_id=fulfillment,
        shipment_id=shipment,
        document_id=document,
    )


def _kind_of(unit: Unit) -> Unit:
    """Return what equal units have in common: all but their row and how many they are."""
    return msgspec.structs.replace(unit, part=0, quantity=0)


# --- cancel ---


def per_unit(line: Line) -> dict[int | None, int]:
    """Return how many units of which SKU make one sold unit of a line."""
    if line.components:
        return dict[int | None, int](line.components.items())
    return {line.sku_id: 1}


def whole_units(line: Line, units: Iterable[Unit]) -> int:
    """Return how many sold units of a line are complete among `units`: for kits, what the scarcest component makes."""
    per = per_unit(line)
    counts = dict.fromkeys(per, 0)
    for unit in units:
        if unit.line == line.line and unit.sku_id in counts:
            counts[unit.sku_id] += unit.quantity
    return min(counts[sku] // each for sku, each in per.items())


def still_here(line: Line, units: Iterable[Unit]) -> int:
    """Return how many sold units of a line are neither cancelled nor gone."""
    return whole_units(line, [u for u in units if u.state is not UnitState.CANCELLED and u.state not in GONE])


def is_cancellable(unit: Unit) -> bool:
    """Tell whether a unit may be cancelled now: it has not left and no fiscal document covers it."""
    return UnitState.CANCELLED in TRANSITIONS[unit.state] and unit.document_id is None


def plan_cancel(
    lines: Sequence[Line], units: Sequence[Unit], wishes: Sequence[CancelWish] | None, *, rest: bool = False
) -> list[Move]:
    """Choose the unit rows a cancel takes, the least advanced first.

    `wishes` None asks for every line; with `rest` what has left is passed over, otherwise it refuses.

    Raises:
        QuantityTooLarge: more than the line still has.
        UnitsLeft: units asked for have left.
        DocumentStands: units asked for are covered by a fiscal document, which must be cancelled first.
        NothingToCancel: there is nothing left of what was asked for.
    """
    moves: list[Move] = []
    by_line = {line.line: line for line in lines}
    asked = [CancelWish(line.line) for line in lines] if wishes is None else wishes
    for wish in asked:
        line = by_line[wish.line]
        mine = [u for u in units if u.line == line.line]
        living = whole_units(line, [u for u in mine if u.state is not UnitState.CANCELLED])
        gone = whole_units(line, [u for u in mine if u.state in GONE])
        takeable = whole_units(line, [u for u in mine if is_cancellable(u)])
        wanted = wish.quantity if wish.quantity is not None else living - gone if rest else living
        if wanted > living:
            raise QuantityTooLarge(line=line.line, open=takeable, quantity=wanted)
        if wanted > takeable:
            documented = living - gone - takeable
            if documented <= 0 or wanted > living - gone:
                raise UnitsLeft(line=line.line, quantity=gone)
            raise DocumentStands(line=line.line, quantity=documented)
        moves += _take(line, mine, wanted)
    if not moves:
        raise NothingToCancel
    return moves


def _take(line: Line, units: Sequence[Unit], wanted: int) -> list[Move]:
    """Take sold units, the least advanced first. Of a kit all components of one place: no half is left anywhere."""
    free = sorted((u for u in units if is_cancellable(u)), key=lambda u: (_RANK[u.state], u.location_id or 0, u.part))
    left = {u.part: u.quantity for u in free}
    moves: list[Move] = []
    places = list(dict.fromkeys((u.location_id, u.fulfillment_id) for u in free)) if line.components else []
    for place in places:
        here = [u for u in free if (u.location_id, u.fulfillment_id) == place]
        whole = min(wanted, whole_units(line, here))
        wanted -= whole
        moves += _take_rows(line, here, left, whole)
    return moves + _take_rows(line, free, left, wanted)


def _take_rows(line: Line, units: Sequence[Unit], left: dict[int, int], wanted: int) -> list[Move]:
    moves = []
    for sku_id, each in per_unit(line).items():
        need = wanted * each
        for unit in units:
            take = min(need, left[unit.part]) if unit.sku_id == sku_id else 0
            if take:
                moves.append(Move(unit.line, unit.part, take, UnitState.CANCELLED))
                left[unit.part] -= take
                need -= take
    return moves


def cancelled_worth(order: Order, lines: Sequence[Line], cancelled: Mapping[int, int]) -> int:
    """Return in centavos what the cancelled units (sold units per line) take off the order's total.

    Each line that it was sold with bears its share of the order's discount by largest remainder; of a line, n of q
    units are worth n/q rounded down, so its last unit takes the rest. Shipping is given back when nothing is left of
    the order.
    """
    if all(cancelled.get(line.line, 0) >= line.quantity for line in lines):
        return order.total
    return worth(order, lines, cancelled)


def worth(order: Order, lines: Sequence[Line], cancelled: Mapping[int, int]) -> int:
    """Return what cancelled units take off an order of which something is left; see `cancelled_worth`."""
    discounts = share_out(order.discount_total, [line.total if line.shares_discount else 0 for line in lines])
    return sum(
        (line.total - discount) * cancelled.get(line.line, 0) // line.quantity
        for line, discount in zip(lines, discounts, strict=True)
    )


def cancelled_quantities(lines: Sequence[Line], units: Sequence[Unit]) -> dict[int, int]:
    """Return per line how many sold units are cancelled."""
    gone = [u for u in units if u.state is UnitState.CANCELLED]
    return {line.line: whole_units(line, gone) for line in lines}


# --- edits ---


def is_untouched(units: Iterable[Unit]) -> bool:
    """Tell whether no location works on the order yet."""
    return all(u.state in UNTOUCHED or u.state is UnitState.CANCELLED for u in units)


_NEEDED = (
    ("street", N_("The street is missing.")),
    ("number", N_("The house number is missing: write S/N when there is none.")),
    ("city", N_("The city is missing.")),
    ("state", N_("The state is missing.")),
    ("postal_code", N_("The CEP is missing.")),
)


def check_address(address: Address) -> tuple[Address, list[Flaw]]:
    """Return a delivery address in its stored form, and what is wrong with it."""
    flaws = [Flaw(field, says) for field, says in _NEEDED if not getattr(address, field).strip()]
    state = address.state.strip().upper()
    postal_code = brazil.normalise_cep(address.postal_code)
    if state and state not in brazil.STATES:
        flaws.append(Flaw("state", N_("{value} is not a Brazilian state."), facts={"value": address.state}))
    if postal_code is None and address.postal_code.strip():
        says = N_("{value} is not a CEP: it has eight digits.")
        flaws.append(Flaw("postal_code", says, facts={"value": address.postal_code}))
    clean = msgspec.structs.replace(address, state=state, postal_code=postal_code or address.postal_code)
    return clean, flaws


class Buyer(msgspec.Struct, frozen=True):
    """Who buys, as given for one order."""

    name: str
    document: str | None = None
    email: str | None = None
    phone: str | None = None


def check_buyer(buyer: Buyer) -> tuple[Buyer, list[Flaw]]:
    """Return the buyer's data in stored form, and what is wrong with them. Empty texts are taken as not given."""
    flaws: list[Flaw] = []
    name = " ".join(buyer.name.split())
    if not name:
        flaws.append(Flaw("buyer/name", N_("The buyer's name is missing.")))
    document = brazil.normalise_document(buyer.document) if buyer.document else None
    email = brazil.normalise_email(buyer.email) if buyer.email else None
    phone = brazil.normalise_phone(buyer.phone) if buyer.phone else None
    if buyer.document and document is None:
        says = N_("{value} is neither a CPF nor a CNPJ: the check digits do not agree.")
        flaws.append(Flaw("buyer/document", says, facts={"value": buyer.document}))
    if buyer.email and email is None:
        flaws.append(Flaw("buyer/email", N_("{value} is not an e-mail address."), facts={"value": buyer.email}))
    if buyer.phone and phone is None:
        says = N_("{value} is not a telephone number with its area code.")
        flaws.append(Flaw("buyer/phone", says, facts={"value": buyer.phone}))
    return Buyer(name, document, email, phone), flaws


# --- promises ---

FARTHEST = timedelta(days=730)
_THERE = frozenset({UnitState.DELIVERED, UnitState.COLLECTED, UnitState.CANCELLED})


def is_to_come(unit: Unit) -> bool:
    """Tell whether a unit is still on its way to the customer."""
    return unit.state not in _THERE


def is_to_leave(unit: Unit) -> bool:
    """Tell whether the promise of a unit can still be broken by us: it has not left, nor waits at a counter."""
    return is_to_come(unit) and unit.state not in {UnitState.SHIPPED, UnitState.READY}


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the last second of a day by the clock of a zone: what a promise for that day means."""
    return datetime.combine(day, time(23, 59, 59), zone).astimezone(UTC)


def check_promise(
    promised_at: datetime,
    *,
    at: datetime,
    former: datetime | None,
    standing: Sequence[datetime | None] = (),
    part: bool = False,
) -> list[Flaw]:
    """Return what is wrong with a new promise.

    Args:
        promised_at: The new day's end.
        at: Now.
        former: What the order is promised for.
        standing: What each chosen line is promised for, where it has a day of its own.
        part: Some lines are chosen, not the whole order.
    """
    flaws = []
    if promised_at.tzinfo is None or promised_at <= at:
        flaws.append(Flaw("promised_at", N_("The promised day must be to come.")))
    elif promised_at > at + FARTHEST:
        flaws.append(Flaw("promised_at", N_("The promised day is more than two years away.")))
    elif part and former is None:
        says = N_("Nothing is promised for this order yet.")
        flaws.append(Flaw("lines", says, N_("Promise the whole order first.")))
    elif all(x == promised_at for x in ([day or former for day in standing] or [former])):
        flaws.append(Flaw("promised_at", N_("This is what is promised already.")))
    return flaws


def tags_of(said: Iterable[str]) -> dict[str, str]:
    """Return tags by what makes two of them one: case, accents and spaces do not. The first spelling stays."""
    tags: dict[str, str] = {}
    for tag in said:
        if key := fold(tag):
            tags.setdefault(key, " ".join(tag.replace("\x00", "").split()))
    return tags
