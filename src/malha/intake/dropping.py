"""What vendors are asked to send, of a plan under a routing rule that says so."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from malha.inventory.ahead.model import NewClaim
from malha.inventory.vendors.model import DropLine, NewDrop
from malha.network.calendar import add_business_days
from malha.network.snapshot import NetworkSnapshot
from malha.platform.ids import UUID
from malha.routing.model import Plan, RequestLine, parts_of
from malha.routing.ruling.dropping import Vendors
from malha.routing.ruling.model import Dropped
from malha.routing.ruling.planning import Rules

NOBODY = UUID(int=0)  # these claims are told of, and never made


def dropped_in(plan: Plan | None) -> Sequence[Dropped]:
    """Return what of a plan vendors are asked to send."""
    bound = None if plan is None else plan.basis.bound
    return () if bound is None else bound.dropped


def units_in(plan: Plan | None) -> dict[int, int]:
    """Return how many units of what a plan left vendors are asked to send, by line."""
    return {one.line: one.units for one in dropped_in(plan)}


def supply_of(plan: Plan | None, known: NetworkSnapshot, at: datetime) -> list[NewClaim]:
    """Return what vendors send as the date of an order is made of it: like goods that come on the day they leave."""
    if plan is None or not dropped_in(plan):
        return []
    lines = {line.line: line for line in plan.basis.lines}
    return [
        NewClaim(
            order_id=NOBODY,
            line=one.line,
            sku_id=lines[one.line].sku_id,
            location_id=one.location,
            supply_id=None,
            quantity=one.units,
            eta=leaves_on([one], known, at),
            days=one.days,
            not_before=None,
            policy_id=None,
            told=True,
            transit=one.days,
        )
        for one in dropped_in(plan)
    ]


def leaves_on(asked: Sequence[Dropped], known: NetworkSnapshot, at: datetime) -> date:
    """Return the day by which units that are asked of one vendor at an instant are to leave it, by the clock there."""
    zone = ZoneInfo(known.locations[asked[0].location].timezone)
    return add_business_days(at.astimezone(zone).date(), max(one.lead_days for one in asked))


def waiting(
    covered: Mapping[int, int], plan: Plan | None, known: NetworkSnapshot
) -> dict[int, list[tuple[int, str | None]]]:
    """Return the units that wait for supply (`covered`), then those that vendors send with who does, by line."""
    found: dict[int, list[tuple[int, str | None]]] = {n: [(units, None)] for n, units in covered.items()}
    for one in dropped_in(plan):
        found.setdefault(one.line, []).append((one.units, known.locations[one.location].code))
    return found


def asked(
    plan: Plan,
    order_id: UUID,
    rules: Rules | None,
    known: NetworkSnapshot,
    at: datetime,
    line_of: Mapping[int, int] | None = None,
) -> list[NewDrop]:
    """Return the drop-ship orders of a plan, one for each vendor; most plans have none.

    `line_of` says which line of the order a line of the plan is, where they differ.
    """
    return [] if rules is None else _drops_of(plan, order_id, rules.vendors, known, at, line_of)


def _drops_of(
    plan: Plan,
    order_id: UUID,
    vendors: Vendors,
    known: NetworkSnapshot,
    at: datetime,
    line_of: Mapping[int, int] | None,
) -> list[NewDrop]:
    by_vendor: dict[int, list[Dropped]] = {}
    for one in dropped_in(plan):
        by_vendor.setdefault(one.location, []).append(one)
    lines = {line.line: line for line in plan.basis.lines}
    found = []
    for location, asked in sorted(by_vendor.items()):
        wanted: dict[tuple[int, int], DropLine] = {}
        for one in asked:
            number = one.line if line_of is None else line_of[one.line]
            for part in _parts(lines[one.line], number, one, vendors):
                before = wanted.get((number, part.sku_id))
                units = part.quantity + (0 if before is None else before.quantity)
                wanted[number, part.sku_id] = DropLine(
                    number, part.sku_id, units, 0, 0, part.unit_cost, part.vendor_sku
                )
        found.append(NewDrop(order_id, location, leaves_on(asked, known, at), [wanted[key] for key in sorted(wanted)]))
    return found


def _parts(line: RequestLine, number: int, one: Dropped, vendors: Vendors) -> list[DropLine]:
    found = []
    for sku, per in parts_of(line):
        offer = next(offer for offer in vendors.offers[sku] if offer.location_id == one.location)
        found.append(DropLine(number, sku, one.units * per, 0, 0, offer.cost, offer.vendor_sku))
    return found
