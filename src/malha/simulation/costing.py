"""Costs on paper: what a draft of them says of past orders, and what plans cost by one and by the other. Pure.

A part of the costs that the draft does not change stays as it was when each order was decided. A part that it changes
is worked out anew, as `routing.charging` does it for orders of today, from what is known of that moment: stock, lines,
the destination; how full a location was is what the orders replayed so far gave it that day.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from malha.network.model import Method
from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.routing import lanes
from malha.routing.charging import Charges, Prices, price_of
from malha.routing.lane_facts import Onward, Rates
from malha.routing.lanes import Lane, carton_of
from malha.routing.model import RequestLine
from malha.routing.records import Record
from malha.routing.siting import saved
from malha.routing.terms import NOTHING, Goods, OrderTerms, Run, Terms, runs
from malha.simulation.model import Bill
from malha.simulation.together import gathers

SPLIT, SITES, CARTONS, FEES, BUSY = "split", "sites", "cartons", "fees", "busy"
TAXES, CREDITS, UNSERVED, FAR = "taxes", "credits", "unserved", "far"
Units = Sequence[tuple[int, int]]  # (line, quantity)


class CostsOnPaper(NamedTuple):
    """A draft of costs as the planner takes it, and which parts of it are others than those in force."""

    terms: Terms
    changed: frozenset[str]

    @property
    def asks_goods(self) -> bool:
        """Tell whether it has to be known what lines are and what a unit of them is worth."""
        return TAXES in self.changed or UNSERVED in self.changed


class Ground(NamedTuple):
    """What a lane on paper says of its positions, and what is known of the lines that are to be placed in it."""

    lane: Lane
    ids: Sequence[int]  # of locations
    origins: Mapping[int, str]  # by zone: its state
    worth: Mapping[int, int]  # by line: centavos of a unit
    goods: Mapping[int, Goods]  # by SKU; the value is the reference price


def split_of(costs: CostsOnPaper | None, record: Record) -> int:
    """Return centavos of a parcel beyond the first, on paper."""
    if costs is None or SPLIT not in costs.changed or record.method != Method.SHIP or gathers(record):
        return record.split
    return costs.terms.split_of(record.channel)


def sites_of(
    costs: CostsOnPaper | None, record: Record, ids: Sequence[int], handling: Sequence[int], split: int
) -> list[tuple[int, list[int]]]:
    """Return what parcels from one site save, on paper: never more than they cost for certain. Lists follow positions.

    Where the draft changes it, sites are those of today.
    """
    if costs is None or not costs.changed & {SPLIT, SITES} or record.method != Method.SHIP:
        found = [(min(saving, split + min(handling[p] for p in those)), those) for saving, those in record.sites]
        return [(saving, those) for saving, those in found if saving]
    homes = costs.terms.homes
    return lanes.sites_of([homes.get(id_, id_) for id_ in ids], handling, costs.terms.same_site, split)


def fees_of(costs: CostsOnPaper | None, record: Record, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return (rejection, lateness) by position, on paper; nothing: no position has any."""
    if costs is None or FEES not in costs.changed or record.method != Method.SHIP:
        return [record.fees[k] for k in record.klass()] if record.fees else []
    risks = costs.terms.risks
    return [risks.get(id_, (0, 0)) for id_ in ids] if any(id_ in risks for id_ in ids) else []


def with_cartons(costs: CostsOnPaper | None, record: Record, rates: Sequence[Rates]) -> Sequence[Rates]:
    """Return rates with the cartons of the draft: brackets also end where a carton does.

    A parcel that takes several packages takes so many equal ones, as far as cartons go: how it was parted is not kept.
    """
    if costs is None or CARTONS not in costs.changed or record.method != Method.SHIP or not rates:
        return rates
    cartons = costs.terms.cartons
    limits = {rate.limit: rate for rate in rates}
    for grams, _ in cartons:
        above = min((rate for rate in rates if rate.limit >= grams), key=lambda rate: rate.limit, default=None)
        if above is not None:
            limits.setdefault(grams, above)
    found = []
    for limit, rate in sorted(limits.items()):
        packages = rate.packages or [1] * len(rate.prices)
        boxes = [n * carton_of(cartons, -(-limit // max(n, 1))) for n in packages]
        found.append(Rates(limit, rate.prices, rate.packages, boxes if any(boxes) else None))
    return found


def order_terms(
    costs: CostsOnPaper,
    kept: OrderTerms | None,
    record: Record,
    ground: Ground,
    stock: Mapping[int, Sequence[int]],
    cep: str | None,
    load: Callable[[int], tuple[int, int] | None],
) -> OrderTerms | None:
    """Return what the draft says of an order.

    Args:
        costs: the draft.
        kept: what was said when it was decided.
        record: the decision.
        ground: its lane and lines on paper.
        stock: free units on paper, by SKU and position.
        cep: of the destination.
        load: (orders of the day, capacity) of a position; None where it has no limit.
    """
    base, terms, changed = kept or OrderTerms(), costs.terms, costs.changed
    hub = record.pickup if gathers(record) else None  # then it counts how far that place may ship
    ships = record.method == Method.SHIP
    found = OrderTerms(
        taxes=base.taxes if TAXES not in changed else _taxes(terms, record, ground) if ships else (),
        busy=base.busy if BUSY not in changed else _busy(terms, ground, load) if ships else (),
        credits=base.credits if CREDITS not in changed else _credits(terms, ground, stock),
        unserved=base.unserved if UNSERVED not in changed else _unserved(terms, record, ground),
        far=base.far if FAR not in changed else _far(terms, record, ground, cep, hub) if ships else (),
    )
    return None if found == OrderTerms() else found


def _skus(line: RequestLine) -> list[int]:
    return [line.sku_id, *(sku for sku, _ in line.components or ())]


def _taxes(terms: Terms, record: Record, ground: Ground) -> list[tuple[int, list[int]]]:
    found = []
    zones = 1 + max(ground.lane.zone_at, default=-1)
    for line in record.lines:
        what = ground.goods.get(line.sku_id)
        if what is None:
            continue
        value = ground.worth.get(line.line, what.value)
        by_zone = []
        for zone in range(zones):
            rate = terms.taxes.rate(ground.origins.get(zone, ""), record.to or "", what.ncm)
            by_zone.append(0 if rate is None else (rate.basis_points * value + 5_000) // 10_000 + rate.centavos)
        if any(by_zone):
            found.append((line.line, by_zone))
    return found


def _busy(terms: Terms, ground: Ground, load: Callable[[int], tuple[int, int] | None]) -> list[tuple[int, int]]:
    found = []
    for position in range(len(ground.ids)):
        taken = load(position)
        if taken is not None and (price := price_of(terms.busy, *taken)):
            found.append((position, price))
    return found


def _credits(
    terms: Terms, ground: Ground, stock: Mapping[int, Sequence[int]]
) -> list[tuple[int, list[tuple[int, int]]]]:
    found = []
    for sku, units in stock.items():
        by_location = terms.credits.get(sku)
        if by_location:
            here = [
                (position, credit)
                for position, id_ in enumerate(ground.ids)
                if units[position] and (credit := by_location.get(id_, 0))
            ]
            if here:
                found.append((sku, here))
    return found


def _unserved(terms: Terms, record: Record, ground: Ground) -> list[tuple[int, tuple[Run, ...]]]:
    found = []
    for line in record.lines:
        named = {trait for sku in _skus(line) if sku in ground.goods for trait in ground.goods[sku].traits}
        ids: set[int] = set()
        for trait in named:
            ids |= terms.unserved.get(trait, frozenset())
        positions = tuple(runs(position for position, id_ in enumerate(ground.ids) if id_ in ids))
        if positions:
            found.append((line.line, positions))
    return found


def _far(terms: Terms, record: Record, ground: Ground, cep: str | None, hub: int | None) -> tuple[Run, ...]:
    target = locate(cep or "")
    if target is None:
        return ()
    widest = terms.reaches.get(record.channel)
    positions = []
    for position, own in enumerate(ground.ids):
        id_ = own if hub is None else hub
        limits = [km for km in (widest, terms.reach.get(id_)) if km is not None]
        spot = terms.spots.get(id_)
        if limits and spot is not None and distance_km(*spot, target.latitude, target.longitude) > min(limits):
            positions.append(position)
    return tuple(runs(positions))


def onward_of(costs: CostsOnPaper | None, onward: Onward, percent: int) -> Onward:
    """Return how what came together goes on, on paper: at a percent of its carriage, in the draft's carton."""
    carton = onward.carton
    if costs is not None and CARTONS in costs.changed:
        carton = onward.packages * carton_of(costs.terms.cartons, -(-onward.grams // max(onward.packages, 1)))
    return msgspec.structs.replace(onward, freight=(onward.freight * percent + 50) // 100, carton=carton)


# --- what plans cost ---


def bill_of(onward: Onward) -> Bill:
    """Return what it costs to send on what came together."""
    return Bill(freight=onward.freight, carton=onward.carton)


def recorded_bill(record: Record) -> Bill:
    """Return what the real plan cost by the costs that decided it."""
    found = Bill()
    klass = record.klass()
    together = saved(record.sites, [parcel[0] for parcel in record.parcels])
    for n, (position, _service, freight, packages, units) in enumerate(record.parcels):
        _zone, handling, line = record.classes[klass[position]]
        amounts = record.amounts[n] if record.amounts else NOTHING
        found.add(
            Bill(
                freight=freight,
                handling=packages * handling,
                picking=line * len(units),
                split=record.split if n else 0,
                carton=amounts.carton,
                rejection=amounts.rejection,
                lateness=amounts.lateness,
                tax=amounts.tax,
                busy=amounts.busy,
                credit=amounts.credit,
                same_site=together[n],
            )
        )
    if record.onward is not None:
        found.add(bill_of(record.onward))
    return found


def bills(
    lane: Lane,
    lines: Sequence[RequestLine],
    terms: OrderTerms | None,
    parcels: Sequence[tuple[int, Units]],
    penalty: int = 0,
    prices: Prices | None = None,
) -> list[Bill]:
    """Return what parcels cost in a lane, each (position, units); the split penalty is with all but the first.

    `penalty` is in the lane's prices, and is no cost.
    """
    place = {line.line: n for n, line in enumerate(lines)}
    charges = Charges(lane, lines, prices, terms)
    together = saved(lane.sites, [position for position, _ in parcels])
    found = []
    for n, (position, units) in enumerate(parcels):
        grams = sum(lines[place[number]].grams * quantity for number, quantity in units)
        row = lane.row(grams, len(units))
        zone, handling, line = lane.classes[lane.klass[position]]
        amounts = charges.amounts(position, row, [(place[number], quantity) for number, quantity in units])
        found.append(
            Bill(
                freight=row.bracket.prices[zone] - penalty,
                handling=row.bracket.packages[zone] * handling,
                picking=line * len(units),
                split=lane.split if n else 0,
                carton=amounts.carton,
                rejection=amounts.rejection,
                lateness=amounts.lateness,
                tax=amounts.tax,
                busy=amounts.busy,
                credit=amounts.credit,
                same_site=together[n],
            )
        )
    return found
