"""Plans within what a routing rule asks, against every plan there is; and what holds for all of them."""

import random
from collections.abc import Collection, Iterator
from itertools import combinations, product

import msgspec
import pytest
from deciding import SKUS as DECIDED
from deciding import a_network, an_order
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_routing_plans import (
    ORDER,
    SKUS,
    TAKEN,
    check_plan,
    may_serve,
    needs_of,
    networks,
    orders,
    parcel_cost,
    partitions,
    stocks,
)
from test_routing_plans import world as world_of

from malha.routing.explaining import explain
from malha.routing.model import Network, Plan, Reason, Request, RequestLine, StockPrices
from malha.routing.records import costs_of, read_record, replay
from malha.routing.replaying import Replayer
from malha.routing.rules import plan, record_json, with_later
from malha.routing.ruling.model import Bound
from malha.routing.terms import runs


@st.composite
def bounds(draw) -> Bound:
    """What a rule may ask, by location index."""
    sides = draw(st.lists(st.sampled_from(("in", "in", "in", "out", "far")), min_size=4, max_size=4))
    tiers = draw(st.lists(st.sampled_from((0, 1, 2)), min_size=4, max_size=4))
    count = draw(st.sampled_from((0, 0, 1, 2)))
    return Bound(
        number=1,
        run="Run",
        rule="Rule",
        outside=[n for n, side in enumerate(sides) if side == "out"],
        far=[n for n, side in enumerate(sides) if side == "far"],
        tiers=[[n for n, tier in enumerate(tiers) if tier == t] for t in range(count)],
        keep=draw(st.sampled_from((0, 0, 1, 3))),
        complete=draw(st.booleans()),
        packages=draw(st.sampled_from((None, 1, 2, 3))),
        rows=draw(st.sampled_from(([], [3], [1, 4]))),
    )


@st.composite
def plain_orders(draw) -> Request:
    """Orders of lines that want different SKUs."""
    skus = draw(st.permutations(SKUS))[: draw(st.integers(1, 4))]
    weights = st.sampled_from((0, 200, 700, 1_600))
    lines = [RequestLine(n, sku, draw(st.integers(1, 3)), draw(weights)) for n, sku in enumerate(skus, 1)]
    return Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines)


def planned(
    network: Network, request: Request, free: dict[int, list[int]], asked: Bound, later: Collection[int] = ()
) -> Plan:
    """Plan under a rule that speaks of location indexes, as `ruling.planning` would."""

    def bind(lane) -> Bound:
        def here(indexes: list[int]) -> list[int]:
            return [lane.position[index] for index in indexes if index in lane.position]

        return msgspec.structs.replace(
            asked,
            outside=runs(here(asked.outside)),
            far=runs(here(asked.far)),
            tiers=[runs(here(tier)) for tier in asked.tiers],
        )

    return plan(request, network, free, TAKEN, bind=bind, later=later)


def allowed(network: Network, free: dict[int, list[int]], asked: Bound) -> dict[int, list[int]]:
    """The stock as a rule lets it be taken."""
    shut = {*asked.outside, *asked.far}
    return {
        sku: [0 if n in shut else max(0, u - asked.keep) for n, u in enumerate(units)] for sku, units in free.items()
    }


def tier_of(asked: Bound, index: int) -> int:
    return next((t for t, members in enumerate(asked.tiers) if index in members), len(asked.tiers))


def ways(
    network: Network, request: Request, free: dict[int, list[int]], asked: Bound
) -> Iterator[tuple[tuple[int, ...], int, int, frozenset[int]]]:
    """All whole-line plans of the rule: (lines by tier, cost, packages, locations); what is served, most first."""
    for n in range(len(request.lines), 0, -1):
        found = []
        for lines in combinations(request.lines, n):
            part = msgspec.structs.replace(request, lines=list(lines))
            for (cost, packages), indexes, tiers in every_way(network, part, free, asked):
                if asked.packages is None or packages <= asked.packages:
                    found.append((tiers, cost, packages, frozenset(indexes)))
        if found:
            yield from found
            return


def every_way(
    network: Network, request: Request, free: dict[int, list[int]], asked: Bound
) -> Iterator[tuple[tuple[int, int], set[int], tuple[int, ...]]]:
    """Every plan with how many of its lines leave from each tier: fewer from the first is worse, so negative."""

    for parts in partitions(list(request.lines)):
        for indexes in product(range(len(network.places)), repeat=len(parts)):
            fits = all(
                may_serve(network, request, line, index)
                and all(free[sku][index] >= per * line.quantity for sku, per in needs_of(line))
                for part, index in zip(parts, indexes, strict=True)
                for line in part
            )
            if fits:
                costs = [
                    parcel_cost(network, index, [(line, line.quantity) for line in part])
                    for part, index in zip(parts, indexes, strict=True)
                ]
                counts = [0] * (len(asked.tiers) + 1)
                for part, index in zip(parts, indexes, strict=True):
                    counts[tier_of(asked, index)] += len(part)
                yield (sum(c for c, _ in costs), sum(p for _, p in costs)), set(indexes), tuple(-c for c in counts)


@settings(max_examples=300, deadline=None)
@given(networks(), plain_orders(), stocks, bounds())
def test_a_plan_under_a_rule_serves_most_lines_then_prefers_then_costs_least(
    network: Network, request: Request, rows: list[list[int]], asked: Bound
):
    free = world_of(network, rows)
    left = allowed(network, free, asked)
    # A line that nobody has in full is split: that has no plan of whole lines to be compared with.
    for line in request.lines:
        assume(
            any(
                may_serve(network, request, line, n) and left[line.sku_id][n] >= line.quantity
                for n in range(len(network.places))
            )
        )
    found = planned(network, request, free, asked)
    plans = list(ways(network, request, left, asked))
    served = len(request.lines) - len(found.unplaced)
    if asked.complete and found.unplaced:
        assert not found.assignments
        assert not plans or sum(-n for n in plans[0][0]) < len(request.lines)
        return
    assert (served, bool(found.assignments)) == (sum(-n for n in plans[0][0]) if plans else 0, bool(plans))
    if not plans:
        return
    best = min(plan[:3] for plan in plans)
    counts = [0] * (len(asked.tiers) + 1)
    for _, index, _ in found.assignments:
        counts[tier_of(asked, index)] += 1
    assert (tuple(-c for c in counts), found.cost, found.packages) == best
    open_ = network.lanes[1, "ship", None, "BA", None].open
    if served == len(request.lines) and (asked.tiers or asked.packages is None):
        forced: dict[int, tuple[tuple[int, ...], int]] = {}
        for tiers, cost, _, indexes in plans:
            for index in indexes:
                forced[index] = min((tiers, cost), forced.get(index, (tiers, cost)))
        told = {i: c for i, c in zip(open_, found.basis.costs, strict=True) if c >= 0}
        assert told == {index: cost for index, (_, cost) in forced.items()}


@settings(max_examples=250, deadline=None)
@given(networks(), orders(most=10), stocks, bounds())
def test_no_order_takes_what_its_rule_closes_or_keeps_back_or_more_packages(
    network: Network, request: Request, rows: list[list[int]], asked: Bound
):
    free = world_of(network, rows)
    left = allowed(network, free, asked)
    found = planned(network, request, free, asked)
    taken: dict[tuple[int, int], int] = {}
    lines = {line.line: line for line in request.lines}
    for n, index, quantity in found.assignments:
        assert may_serve(network, request, lines[n], index)
        for sku, per in needs_of(lines[n]):
            taken[sku, index] = taken.get((sku, index), 0) + per * quantity
    assert all(units <= left[sku][index] for (sku, index), units in taken.items())
    placed = dict.fromkeys(lines, 0)
    for n, _, quantity in found.assignments:
        placed[n] += quantity
    unplaced = dict(found.unplaced)
    assert all(placed[n] + unplaced.get(n, 0) == line.quantity for n, line in lines.items())
    if asked.complete:
        assert not found.unplaced or not found.assignments
    if asked.packages is not None:
        assert found.packages <= asked.packages
    if not asked.complete and asked.packages is None:
        check_plan(network, request, left, found, waits=False)  # nothing is given up beside stock


@settings(max_examples=250, deadline=None)
@given(networks(), orders(most=10), stocks, bounds())
def test_a_decision_under_a_rule_is_replayed_exactly_and_can_be_explained(
    network: Network, request: Request, rows: list[list[int]], asked: Bound
):
    free = world_of(network, rows)
    found = planned(network, request, free, asked)
    record = read_record(record_json(found))
    again = replay(record)
    strip = [(p, freight, packages, units) for p, _, freight, packages, units in record.parcels]
    assert [(p, freight, packages, units) for p, _, freight, packages, units in again.basis.parcels] == strip
    assert (again.cost, again.unplaced, again.packages) == (found.cost, found.unplaced, found.packages)
    assert costs_of(record) == again.basis.costs
    assert Replayer().again(record_json(found)) == record_json(found)
    explained = explain(record)
    ids = network.location_ids
    for index in asked.outside:
        if index < len(ids) and index in network.lanes[1, "ship", None, "BA", None].position:
            assert [x.reason for x in explained.obstacles[ids[index]]] == [Reason.RULE]
    for option in explained.options:
        if asked.packages is not None and option.packages is not None:
            assert option.packages <= asked.packages
    if found.parcels and asked.tiers:
        assert explained.options[0].chosen


@settings(max_examples=100, deadline=None)
@given(networks(), orders(most=10), stocks)
def test_a_rule_that_asks_nothing_decides_as_no_rule_does(network: Network, request: Request, rows: list[list[int]]):
    free = world_of(network, rows)
    free_of_rules = plan(request, network, free, TAKEN)
    nothing = Bound(number=1, run="Run", rule="Rule")
    ruled = with_later(
        planned(network, request, free, nothing),
        lambda later: planned(network, request, free, nothing, later),
        lambda _made: network.lanes[request.lane].open,
    )
    assert ruled.assignments == free_of_rules.assignments
    assert msgspec.structs.replace(ruled.basis, bound=None) == free_of_rules.basis


@pytest.mark.parametrize("seed", range(12))
def test_a_parcel_of_a_parted_line_costs_the_same_under_a_rule_that_prefers_all_locations_alike(seed: int):
    rng = random.Random(seed)
    network = a_network(rng, 4)
    one = RequestLine(1, 3, 2, 200, None)
    request = msgspec.structs.replace(
        an_order(rng, 1, 4), lines=[one], method="ship", excluded=None, service_id=None, goods={}, to_state="SP"
    )
    free = {sku: [0, 1, 1, 0] if sku == one.sku_id else [0] * 4 for sku in DECIDED}
    prices = StockPrices(3, {one.sku_id: {1: 50, 2: 70, 3: 90}})

    def alike(lane) -> Bound:
        return Bound(number=1, run="Run", rule="Rule", tiers=[list(runs(sorted(lane.position.values())))])

    told = [plan(request, network, free, [0] * 4, prices, bind=bind) for bind in (None, alike)]
    assert told[0].cost == told[1].cost
    plain, ruled = (costs_of(read_record(record_json(each))) for each in told)
    assert plain == ruled
