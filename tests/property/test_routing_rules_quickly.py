"""Plans under a rule are found without looking at every location: they are those that are found by looking."""

import random

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_routing_rule_plans import bounds
from test_routing_terms import (
    ORDER,
    STATES,
    TAKEN,
    a_network,
    a_place,
    costs_told,
    every_plan,
    least_with_each,
    networks,
    orders,
    prices,
    stocks,
)

from malha.network.model import Rate
from malha.routing.model import Network, Plan, Request, RequestLine, StockPrices
from malha.routing.rules import plan, record_json
from malha.routing.ruling.model import Bound
from malha.routing.terms import NO_TERMS, Goods, Taxes, TaxRate, Terms, runs


def planned(
    network: Network, request: Request, free: dict, priced: StockPrices | None, asked: Bound, *, costs: bool
) -> Plan:
    """Plan under a rule that speaks of location indexes."""

    def bind(lane) -> Bound:
        def here(indexes: list[int]) -> list:
            return list(runs(lane.position[index] for index in indexes if index in lane.position))

        return msgspec.structs.replace(
            asked, outside=here(asked.outside), far=here(asked.far), tiers=[here(tier) for tier in asked.tiers]
        )

    return plan(request, network, free, TAKEN, priced, costs=costs, bind=bind)


def told(found: Plan) -> bytes:
    """The record, without what every location would cost."""
    return record_json(msgspec.structs.replace(found, basis=msgspec.structs.replace(found.basis, costs=[])))


@settings(max_examples=300, deadline=None)
@given(networks(), orders(most=6), stocks, prices, bounds(), st.booleans())
def test_a_plan_under_a_rule_is_the_same_whether_every_location_is_looked_at_or_not(
    network: Network, request: Request, rows: dict, worth: dict, asked: Bound, every: bool
):
    free = {sku: units[: len(network.places)] for sku, units in rows.items()}
    priced = StockPrices(3, worth) if worth else None
    if every:  # rules that the short way is for
        asked = msgspec.structs.replace(asked, packages=None)
    quick = planned(network, request, free, priced, asked, costs=False)
    slow = planned(network, request, free, priced, asked, costs=True)
    assert told(quick) == told(slow), "byte for byte"


@settings(max_examples=200, deadline=None)
@given(networks(), orders(most=3, alike=False), stocks, st.integers(1, 3))
def test_within_its_packages_a_plan_costs_what_the_best_of_all_plans_costs_and_so_does_each_location(
    network: Network, request: Request, rows: dict, most: int
):
    free = {sku: units[: len(network.places)] for sku, units in rows.items()}
    every = list(every_plan(network, request, free, {}))
    assume(every)
    plans = [one for one in every if one[1] <= most]
    asked = Bound(number=1, run="Run", rule="Rule", packages=most, complete=True)
    found = planned(network, request, free, None, asked, costs=True)
    assert bool(found.parcels) == bool(plans)
    if plans:
        assert (found.cost, found.packages) == min((cost, packages) for cost, packages, _ in plans)
        # Where the cheapest of all keeps to the packages, the others are told as they are without a limit.
        told_of = every if min(one[:2] for one in every)[1] <= most else plans
        assert costs_told(network, found) == least_with_each(told_of)


def test_among_many_locations_that_cost_the_same_a_rule_finds_the_same_plan():
    """Stock worth 100 where picking is free and stock worth nothing where it costs 100 come to the same."""
    rng = random.Random(5)
    places = [
        a_place(n + 1, rng.choice(STATES), handling=rng.choice((0, 100, 200)), capacity=rng.choice((None, 3, 9)))
        for n in range(100)
    ]
    rates = [
        Rate(service_id=1, from_state=state, to_state="*", max_grams=grams, price=price, per_extra_kg=0, lead_days=2)
        for state in STATES
        for grams, price in ((500, 500), (3_000, 900), (30_000, 2_100))
    ]
    terms = Terms(
        split=200,
        busy=((50, 100), (90, 200)),
        credits={sku: {rng.randint(1, 100): 100 * rng.randint(1, 2) for _ in range(30)} for sku in range(0, 40, 3)},
        taxes=Taxes({("SP", "*", ""): TaxRate(1_000), ("PE", "*", ""): TaxRate(2_000)}),
    )
    plain, charged = (a_network(places, rates, of) for of in (NO_TERMS, terms))
    taken = [rng.randrange(12) for _ in places]
    shipped = 0
    for number in range(600):
        skus = rng.sample(range(40), rng.randint(1, 4))
        empty = rng.choice((0.2, 0.5, 0.8))
        free = {sku: [0 if rng.random() < empty else rng.randint(1, 5) for _ in places] for sku in skus}
        lines = [
            RequestLine(n, sku, rng.randint(1, 2), rng.choice((0, 200, 900)),
                        ((sku, 2),) if rng.random() < 0.1 else None)
            for n, sku in enumerate(skus, 1)
        ]  # fmt: skip
        goods = {line.line: Goods(1_000, "64039900") for line in lines}
        request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines, goods=goods)
        worth = {sku: {n: rng.randint(1, 3) * 100 for n in range(1, 101) if rng.random() < 0.7} for sku in skus}
        priced = StockPrices(1, worth) if number % 3 else None
        some = rng.sample(range(100), 70)
        part = rng.choice((5, 30))
        tiers = [sorted(some[:part]), sorted(some[part : 2 * part])][: rng.randint(0, 2)]
        asked = Bound(
            number=1, run="Run", rule="Rule", outside=list(runs(sorted(some[60 : rng.choice((60, 70))]))),
            tiers=[list(runs(tier)) for tier in tiers], keep=rng.choice((0, 0, 1)), complete=rng.random() < 0.3,
            packages=rng.choice((None, None, 2)),
        )  # fmt: skip

        def bind(_lane, asked: Bound = asked) -> Bound:
            return asked

        network = charged if number % 2 else plain
        quick = plan(request, network, free, taken, priced, costs=False, bind=bind)
        slow = plan(request, network, free, taken, priced, costs=True, bind=bind)
        assert told(quick) == told(slow), "byte for byte"
        shipped += bool(quick.parcels)
    assert shipped > 400
