"""No plans of a small day, all of them tried, cost less than the bound of hindsight, whatever its costs are made of."""

import random
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.routing.lane_facts import LaneFacts, Onward, Rates
from malha.routing.lanes import reopen_lane
from malha.routing.model import RequestLine
from malha.routing.pricing.hindsight import bound_of
from malha.routing.records import Record, read_record
from malha.routing.rules import decide, record_json
from malha.routing.terms import OrderTerms
from malha.simulation.gap_rules import is_comparable

PLACES = 3
LIGHT, HEAVY = 1_000, 30_000


class Day:
    """Orders of one day, decided one after the other while stock goes down, each in a lane of its own costs."""

    def __init__(self, seed: int, orders: int, units: int, *, sites: bool, taxed: bool, busy: bool) -> None:
        self._pick = pick = random.Random(seed)
        self._sites, self._taxed, self._busy = sites, taxed, busy
        self.stock = {sku: [pick.randrange(units + 1) for _ in range(PLACES)] for sku in (1, 2, 3)}
        self._left = {sku: list(row) for sku, row in self.stock.items()}
        self.records: list[Record] = []
        for number in range(orders):
            lines = [
                RequestLine(n, sku, pick.randrange(1, 3), 450)
                for n, sku in enumerate(pick.sample((1, 2, 3), pick.randrange(1, 3)), 1)
            ]
            record = self._decided(lines, together=pick.random() < 0.3 and number % 2 == 0)
            if is_comparable(record):
                self.records.append(record)
                for position, _service, _freight, _packages, content in record.parcels:
                    for line, quantity in content:
                        self._left[lines[line - 1].sku_id][position] -= quantity

    def _decided(self, lines: list[RequestLine], *, together: bool) -> Record:
        pick = self._pick
        handling = [pick.randrange(300) for _ in range(PLACES)]
        split = -min(handling) if together else pick.choice((0, 250))
        saving = min(pick.randrange(400), split + min(handling[:2]))
        facts = LaneFacts(
            rules=7, network=1, channel=1, method="ship", to="SP", locations=[(11, 13)],
            classes=[(n, handling[n], pick.randrange(40)) for n in range(PLACES)], split=split,
            sites=[(saving, [0, 1])] if self._sites and not together and saving else [],
            brought=[0, 1, 2] if together else [], pickup=11 if together else None,
        )  # fmt: skip
        rates = [Rates(limit, [pick.randrange(200, 3_000) for _ in range(PLACES)]) for limit in (LIGHT, HEAVY)]
        terms = OrderTerms(
            taxes=[(line.line, [pick.randrange(900) for _ in range(PLACES)]) for line in lines] if self._taxed else (),
            busy=[(pick.randrange(PLACES), 400)] if self._busy else (),
            unserved=[(1, (pick.randrange(PLACES),))] if pick.random() < 0.2 else (),
            far=(pick.randrange(PLACES),) if pick.random() < 0.1 else (),
        )
        stock = {line.sku_id: list(self._left[line.sku_id]) for line in lines}
        onward = Onward(11, 1, 900, 1, 1_200, 30, 2) if together else None
        excluded = [(1, [pick.randrange(PLACES)])] if pick.random() < 0.2 else []
        made = decide(
            reopen_lane(facts, rates), lines, stock, [], excluded, [],
            terms=None if terms == OrderTerms() else terms, onward=onward,
        )  # fmt: skip
        return read_record(record_json(made))

    def best(self) -> float:
        """Return what the cheapest plans of all orders together cost, of all there are."""
        ways = [list(ways_of(record)) for record in self.records]
        least = float("inf")
        for chosen in product(*ways):
            taken: dict[tuple[int, int], int] = {}
            for _cost, units in chosen:
                for sku, position, quantity in units:
                    taken[sku, position] = taken.get((sku, position), 0) + quantity
            if all(n <= self.stock[sku][position] for (sku, position), n in taken.items()):
                least = min(least, sum(cost for cost, _ in chosen))
        return least


def ways_of(record: Record):
    """Yield (cost, [(sku, position, units)]) of every way to send what an order sent, from what may send it."""
    placed = {number for parcel in record.parcels for number, _ in parcel[4]}
    lines = [line for line in record.lines if line.line in placed]
    for partition in partitions(lines):
        for positions in product(range(PLACES), repeat=len(partition)):
            if all(may(record, line, at) for at, part in zip(positions, partition, strict=True) for line in part):
                costs = [parcel_cost(record, part, at) for at, part in zip(positions, partition, strict=True)]
                cost = sum(costs) + record.split * (len(partition) - 1)
                if record.sites and {0, 1} <= set(positions):
                    cost -= record.sites[0][0]
                if record.onward is not None:
                    cost += record.onward.freight + record.onward.carton
                yield cost, [
                    (line.sku_id, at, line.quantity)
                    for at, part in zip(positions, partition, strict=True) for line in part
                ]  # fmt: skip


def partitions(lines):
    """Yield the ways to part up to two lines into parcels."""
    yield [lines]
    if len(lines) == 2:
        yield [[lines[0]], [lines[1]]]


def may(record: Record, line: RequestLine, at: int) -> bool:
    if any(number == line.line and at in positions for number, positions in record.excluded):
        return False
    terms = record.terms or OrderTerms()
    return at not in terms.far and not any(n == line.line and at in where for n, where in terms.unserved)


def parcel_cost(record: Record, part, at: int) -> int:
    """Return what a parcel costs beside busy days, which another way of deciding could have had none of."""
    grams = sum(line.grams * line.quantity for line in part)
    freight = next(rate.prices[at] for rate in record.rates if rate.limit >= grams)
    _zone, handling, per_line = record.classes[at]
    taxes = dict((record.terms or OrderTerms()).taxes)
    tax = sum(taxes[line.line][at] * line.quantity for line in part if line.line in taxes)
    return freight + handling + per_line * len(part) + tax


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 4), st.integers(1, 5), st.booleans(), st.booleans(), st.booleans())
def test_the_bound_is_below_the_cheapest_of_all_plans(seed, orders, units, sites, taxed, busy):
    day = Day(seed, orders, units, sites=sites, taxed=taxed, busy=busy)
    if not day.records:
        return
    found = bound_of(day.records, seconds=10.0)
    best = day.best()
    assert found.bound <= best + 1e-6 * (1 + best)
    assert best <= sum(record.cost for record in day.records)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 4))
def test_with_taxes_and_what_comes_together_it_is_the_cheapest_where_nobody_runs_out(seed, orders):
    day = Day(seed, orders, 5, sites=False, taxed=True, busy=False)
    day.stock = {sku: [1_000] * PLACES for sku in day.stock}
    day.records = [
        msgspec.structs.replace(record, free=[[1_000] * PLACES for _ in record.free]) for record in day.records
    ]
    if day.records:
        assert bound_of(day.records, seconds=10.0).bound == pytest.approx(day.best(), rel=3e-3)
