"""What hindsight would have let past orders cost: the bound of the configuration LP over their stored decisions. Pure.

Stock is what the decisions saw: for every SKU and place the most that was free when an order of them was decided, with
what they had taken until then. That is never less than they took, so their own plans are among those it chooses from.
Full days are taken as open: hindsight could have given the capacity to others, and the price of a busy day is none:
decided otherwise, the day was less busy. Tax is what it was for each order. What a further parcel of a site saves is
not known parcel by parcel: each that is not its whole order is let off as much as parcels of so many lines can save on
average, which is never less than they do. What came together does so again, wherever it is brought from.
"""

from collections.abc import Sequence

import numpy as np

from malha.routing.lanes import Lane, reopen_lane
from malha.routing.pricing.baskets import BIG, Baskets, Floats, Ints, apart_if_cheaper
from malha.routing.pricing.columns import Configurations, Prices
from malha.routing.records import Record
from malha.routing.rows import SCALE_BITS
from malha.routing.terms import OrderTerms, unfold

LOST = 10  # times the dearest parcel: nothing is left behind that had a place
TOLERANCE = 1e-3
ROUNDS = 60


def bound_of(records: Sequence[Record], seconds: float) -> Prices:
    """Return the bound, in centavos, of decisions in the order in which they were taken.

    Args:
        records: at least one; each with few plain lines, placed whole from one location or not at all, without credits.
        seconds: for the programme; what it found until then is a bound, too.

    Raises:
        SolverFailed: HiGHS did not solve a linear programme.
    """
    places: dict[int, int] = {}
    skus: dict[int, int] = {}
    for record in records:
        for id_ in record.location_ids():
            places.setdefault(id_, len(places))
        for line in record.lines:
            skus.setdefault(line.sku_id, len(skus))
    stock = np.zeros((len(places), len(skus)))
    taken = np.zeros_like(stock)
    groups: dict[int, list[tuple[Floats, list[int], list[int], list[int]]]] = {}
    for record in records:
        at = np.array([places[id_] for id_ in record.location_ids()], dtype=np.int64)
        for sku, free in record.stock().items():
            column = skus[sku]
            stock[at, column] = np.maximum(stock[at, column], np.array(free, dtype=np.float64) + taken[at, column])
        where = {number: int(at[parcel[0]]) for parcel in record.parcels for number, _ in parcel[4]}
        lines = [line for line in record.lines if line.line in where]
        for line in lines:
            taken[where[line.line], skus[line.sku_id]] += line.quantity
        groups.setdefault(len(lines), []).append(
            (
                _parcels(record, at, len(places)),
                [skus[line.sku_id] for line in lines],
                [line.quantity for line in lines],
                [where[line.line] for line in lines],
            )
        )
    dearest = max(float(found[found < BIG].max()) for group in groups.values() for found, *_ in group)
    baskets, plans = {}, {}
    for n, group in groups.items():
        parcels = np.stack([found for found, *_ in group], axis=1)
        for subset in range(1, 1 << n):
            parcels[subset, :, -1] = LOST * dearest * subset.bit_count()
        every = Baskets(
            parcels,
            np.array([columns for _, columns, _, _ in group], dtype=np.int64),
            np.array([units for _, _, units, _ in group], dtype=np.int64),
        )
        baskets[n] = apart_if_cheaper(every)
        plans[n] = np.array([at for *_, at in group], dtype=np.int64)
    programme = Configurations(baskets, (len(places), len(skus)))
    for n, chosen in plans.items():
        programme.suggest(n, chosen)
    counts = {n: np.ones(len(group)) for n, group in groups.items()}
    found = programme.solve(counts, stock, tolerance=TOLERANCE, rounds=ROUNDS, seconds=seconds)
    # A lane has the penalty in every parcel, an order pays it for those after its first.
    beside = -sum(record.split for record in records if record.parcels)
    beside += sum(record.onward.cost for record in records if record.onward is not None)  # whatever it is brought from
    return found._replace(bound=found.bound + beside, objective=found.objective + beside)


def _parcels(record: Record, at: Ints, places: int) -> Floats:
    """Return (2^n, places + 1): what a parcel of some of the placed lines of an order costs from each place."""
    lane: Lane = reopen_lane(record.facts(), record.rates)
    placed = {number for parcel in record.parcels for number, _ in parcel[4]}
    lines = [line for line in record.lines if line.line in placed]
    barred = {number: set(where) for number, where in record.excluded}
    for number, where in record.heavy:
        barred.setdefault(number, set()).update(where)
    terms = record.terms or OrderTerms()
    for line in lines:
        unserved = dict(terms.unserved).get(line.line, ())
        barred.setdefault(line.line, set()).update(unfold(terms.far), unfold(unserved))
    taxes = {number: np.array(by_zone, dtype=np.float64) for number, by_zone in terms.taxes}
    zones = np.array(lane.zone_at, dtype=np.int64)
    # Of k parcels, k - 1 save at most; k is at most the number of lines.
    saving = np.zeros(len(zones))
    for centavos, members in lane.sites:
        saving[members] = centavos * (len(lines) - 1) / len(lines)
    klass = np.array(lane.klass, dtype=np.int64)
    found = np.full((1 << len(lines), places + 1), BIG)
    found[0] = 0.0
    for subset in range(1, 1 << len(lines)):
        chosen = [line for k, line in enumerate(lines) if subset >> k & 1]
        row = lane.row(sum(line.grams * line.quantity for line in chosen), len(chosen))
        costs = np.array([scaled >> SCALE_BITS for scaled in row.by_class], dtype=np.float64)[klass]
        if len(chosen) < len(lines):
            costs -= saving
        for line in chosen:
            if line.line in taxes:
                costs += taxes[line.line][zones] * line.quantity
            for position in barred.get(line.line, ()):
                costs[position] = BIG
        found[subset, at] = costs
    return found
