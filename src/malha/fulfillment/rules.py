"""Pure decisions on work at a location: may an order be released, where work stands, what a pick and a parcel take."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from malha.fulfillment.errors import NotThatMany, WrongContents
from malha.fulfillment.model import ENDED, Content, NotReleased, Parcel, Picked, Short, WorkState
from malha.ordering.model import GONE, HoldKind, Line, Move, Order, Unit, UnitState
from malha.ordering.rules import whole_units
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

AHEAD = timedelta(minutes=10)  # clocks differ
BEFORE_ORDER = timedelta(days=1)  # an order may be told late, without its own date

_STATE_OF = {
    UnitState.RELEASED: WorkState.OPEN,
    UnitState.PICKING: WorkState.ACCEPTED,
    UnitState.PICKED: WorkState.PICKED,
    UnitState.AWAITING_DOCUMENT: WorkState.PACKED,
    UnitState.PACKED: WorkState.PACKED,
    UnitState.INVOICED: WorkState.PACKED,
    UnitState.READY: WorkState.READY,
}


def why_not_release(
    order: Order,
    units: Sequence[Unit],
    holds: Collection[HoldKind],
    now: datetime,
    *,
    paid: bool,
    forced: bool,
) -> NotReleased | None:
    """Return why an order may not be released, or None. A person may force it before its window is over."""
    if not any(u.state is UnitState.ALLOCATED for u in units):
        return NotReleased.NOTHING_TO_RELEASE
    if holds:
        return NotReleased.ON_HOLD
    if not paid:
        return NotReleased.NOT_PAID
    if now < order.release_after and not forced:
        return NotReleased.TOO_EARLY
    return None


def derive_state(units: Iterable[Unit], ended: WorkState) -> WorkState:
    """Return where work stands: the least advanced of its units that were not cancelled; `ended` when none are left.

    What was sent to where it is fetched has left.
    """
    living = {u.state for u in units if u.state is not UnitState.CANCELLED}
    if not living:
        return ended
    here = living - GONE - {UnitState.IN_TRANSFER}
    if not here:
        return WorkState.CLOSED
    state = min((_STATE_OF[s] for s in here), key=list(WorkState).index)
    return WorkState.PICKING if state is WorkState.ACCEPTED and len(living) > 1 else state


def is_over(state: WorkState) -> bool:
    """Tell whether nothing is left to do."""
    return state in ENDED


def take(units: Sequence[Unit], asked: Picked | Short | Content, taken: dict[tuple[int, int], int]) -> list[Unit]:
    """Choose rows for units of a line, each with the quantity to take; `taken` remembers what earlier choices took.

    Raises:
        NotThatMany: there are fewer.
        Invalid: the quantity is below 1, or the line has several SKUs and none is named.
    """
    mine = [u for u in units if u.line == asked.line and asked.sku_id in {None, u.sku_id}]
    if asked.quantity < 1:
        refuse([Flaw("lines", N_("The quantity must be at least 1."))])
    if asked.sku_id is None and len({u.sku_id for u in mine}) > 1:
        says = N_("Line {line} is a kit: name the SKU.")
        refuse([Flaw("lines", says, facts={"line": asked.line})])
    left = {(u.line, u.part): u.quantity - taken.get((u.line, u.part), 0) for u in mine}
    if sum(left.values()) < asked.quantity:
        raise NotThatMany(line=asked.line, open=sum(left.values()), quantity=asked.quantity)
    chosen = []
    need = asked.quantity
    for unit in mine:
        key = (unit.line, unit.part)
        quantity = min(need, left[key])
        if quantity:
            chosen.append(_part(unit, quantity))
            taken[key] = taken.get(key, 0) + quantity
            need -= quantity
    return chosen


def _part(unit: Unit, quantity: int) -> Unit:
    return Unit(unit.order_id, unit.line, unit.part, unit.sku_id, quantity, unit.state, unit.location_id)


def _by_line(units: Iterable[Unit]) -> dict[int, list[Unit]]:
    """Return units by their line: who looks through all of them for each of many contents is not done in minutes."""
    found: dict[int, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.line, []).append(unit)
    return found


def plan_pick(
    units: Sequence[Unit], picked: Sequence[Picked] | None, short: Sequence[Short]
) -> tuple[list[Unit], list[tuple[Unit, Short]]]:
    """Return which rows are picked and which are short, each with its quantity. `picked` None: all that is not short.

    Raises:
        NotThatMany, Invalid: as `take`.
    """
    taken: dict[tuple[int, int], int] = {}
    lines = _by_line(units)
    missing = [(unit, wish) for wish in short for unit in take(lines.get(wish.line, ()), wish, taken)]
    if picked is not None:
        return [unit for wish in picked for unit in take(lines.get(wish.line, ()), wish, taken)], missing
    rest = [(u, u.quantity - taken.get((u.line, u.part), 0)) for u in units]
    return [_part(u, quantity) for u, quantity in rest if quantity], missing


def plan_companions(
    lines: Sequence[Line], units: Sequence[Unit], missing: Sequence[Unit], found: Sequence[Unit]
) -> tuple[list[Unit], list[Unit]]:
    """Keep kits whole: return what goes back beside the missing components, and what is still found then.

    A kit is sold as one and comes from one place, so a kit unit that lost a component leaves with all of it: as many
    whole kits stay as the scarcest component makes. What nobody has in hand goes first, then what was found just now,
    then what was picked before.

    Args:
        lines: The order's lines.
        units: All units of the work, before anything moved.
        missing: Those reported short.
        found: Those reported picked.
    """
    lost, now = _sums(missing), _sums(found)
    before = {(u.line, u.part): u.quantity for u in units if u.state is UnitState.PICKED}
    open_ = {(u.line, u.part): u.quantity for u in units if u.state is not UnitState.PICKED}
    waiting = {key: quantity - lost.get(key, 0) - now.get(key, 0) for key, quantity in open_.items()}
    companions: list[Unit] = []
    for line in lines:
        if not line.components or all(u.line != line.line for u in missing):
            continue
        mine = [u for u in units if u.line == line.line]
        stays = [_part(u, u.quantity - lost.get((u.line, u.part), 0)) for u in mine]
        kept = whole_units(line, stays)
        for sku_id, each in line.components.items():
            surplus = sum(u.quantity for u in stays if u.sku_id == sku_id) - kept * each
            for source in (waiting, now, before):
                for u in mine:
                    key = (u.line, u.part)
                    quantity = min(surplus, source.get(key, 0)) if u.sku_id == sku_id else 0
                    if quantity:
                        companions.append(_part(u, quantity))
                        source[key] -= quantity
                        surplus -= quantity
    return companions, [_part(u, quantity) for u in units if (quantity := now.get((u.line, u.part), 0))]


def _sums(units: Iterable[Unit]) -> dict[tuple[int, int], int]:
    sums: dict[tuple[int, int], int] = {}
    for u in units:
        sums[u.line, u.part] = sums.get((u.line, u.part), 0) + u.quantity
    return sums


def plan_parcels(units: Sequence[Unit], parcels: Sequence[Parcel]) -> list[list[Unit]]:
    """Return the rows in each parcel, each with its quantity. One parcel holds everything.

    Raises:
        Invalid: there is no parcel, or several without contents, or a weight below zero.
        NotThatMany, WrongContents: the contents are not exactly what was picked.
    """
    flaws = []
    if not parcels:
        flaws.append(Flaw("parcels", N_("At least one parcel is needed.")))
    for i, parcel in enumerate(parcels):
        if parcel.weight_grams is not None and parcel.weight_grams < 0:
            flaws.append(Flaw(f"parcels/{i}/weight_grams", N_("The weight must not be negative.")))
        if parcel.contents is None and len(parcels) > 1:
            flaws.append(Flaw(f"parcels/{i}/contents", N_("With several parcels, say what each holds.")))
    refuse(flaws)
    if len(parcels) == 1 and parcels[0].contents is None:
        return [[_part(u, u.quantity) for u in units]]
    taken: dict[tuple[int, int], int] = {}
    lines = _by_line(units)
    _refuse_too_many(lines, parcels)
    packed = [
        [unit for c in parcel.contents or () for unit in take(lines.get(c.line, ()), c, taken)] for parcel in parcels
    ]
    for unit in units:
        inside = taken.get((unit.line, unit.part), 0)
        if inside != unit.quantity:
            raise WrongContents(line=unit.line, picked=unit.quantity, packed=inside)
    return packed


def _refuse_too_many(lines: Mapping[int, Sequence[Unit]], parcels: Sequence[Parcel]) -> None:
    """Say of what all parcels together hold more than was picked, be it of a line that is not here."""
    inside: dict[tuple[int, int | None], int] = {}
    for c in (c for parcel in parcels for c in parcel.contents or ()):
        inside[c.line, c.sku_id] = inside.get((c.line, c.sku_id), 0) + c.quantity
    for (line, sku_id), packed in inside.items():
        picked = sum(u.quantity for u in lines.get(line, ()) if sku_id in {None, u.sku_id})
        if packed > picked:
            raise WrongContents(line=line, picked=picked, packed=packed)


def check_told(at: datetime | None, field: str, placed_at: datetime | None, now: datetime) -> list[Flaw]:
    """Return what is wrong with when a parcel is said to have been somewhere: still to come, or before its order.

    It may be from before it left: what people record late they record in one go.
    """
    mend = N_("Check the date and its time zone.")
    if at is not None and at > now + AHEAD:
        return [Flaw(field, N_("{at} is still to come."), mend, {"at": at})]
    if at is not None and placed_at is not None and at < placed_at - BEFORE_ORDER:
        says = N_("{at} is from before {placed_at}, when the order was placed.")
        return [Flaw(field, says, mend, {"at": at, "placed_at": placed_at})]
    return []


def moves_to(units: Sequence[Unit], to: UnitState) -> list[Move]:
    """Return the moves that bring whole or partial rows to a state."""
    return [Move(u.line, u.part, u.quantity, to) for u in units]
