"""Whatever is changed on paper: nothing is sold twice there either, and what is not changed stays as it was."""

import random
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.model import Door, Network, Place, Request, RequestLine
from malha.routing.rules import plan, record_json
from malha.simulation.model import At, Decided, Freight, Opening, Scenario, Site
from malha.simulation.rules import Leads, Replay

STATES = ("SP", "PE", "RS")
MONDAY = date(2026, 11, 2)


def a_past(seed: int, locations: int, skus: int, orders: int, units: int, least: int = 0):
    """A network, its stock, and decisions that were taken one after the other while the stock went down."""
    pick = random.Random(seed)
    rates = [
        Rate(service_id=1, from_state=origin, to_state=to, max_grams=grams, price=pick.randrange(500, 3000) + grams // 10,
             per_extra_kg=100, lead_days=pick.randrange(1, 9))
        for origin in STATES for to in STATES for grams in (1_000, 5_000)
    ]  # fmt: skip
    places = [
        Place(id=10 + n, status="active", state=STATES[n % 3], can_ship=True, can_pickup=True, handling=pick.randrange(300),
              line=pick.randrange(50), daily_capacity=None, entity_id=1, entity_kind="own", priority=100)
        for n in range(locations)
    ]  # fmt: skip
    door = Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)
    network = Network(
        revision=1, places=places, channels={1: door}, services=[1],
        rates={1: [(r.max_grams, r.per_extra_kg) for r in rates]}, tariff=Tariff(rates),
    )  # fmt: skip
    stock = {sku: [pick.randrange(least, units + 1) for _ in places] for sku in range(1, skus + 1)}
    initial = {(sku, place.id): stock[sku][n] for sku in stock for n, place in enumerate(places)}
    past = []
    for number in range(orders):
        wanted = pick.sample(range(1, skus + 1), pick.randrange(1, min(3, skus) + 1))
        lines = [RequestLine(n, sku, pick.randrange(1, 3), 400) for n, sku in enumerate(wanted, 1)]
        to = pick.choice(STATES)
        found = plan(Request(order_id=UUID(int=number), channel_id=1, to_state=to, lines=lines), network, stock)
        for line, index, quantity in found.assignments:
            stock[lines[line - 1].sku_id][index] -= quantity
        day = MONDAY + timedelta(days=number // 5)
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        past.append((Decided(UUID(int=number + 1), str(number), at, day, to, 1, record_json(found).decode()), lines))
    sites = {place.id: Site(place.id, f"L{place.id}", place.state, place.daily_capacity) for place in places}
    return past, initial, sites, Leads(Tariff(rates), [1])


def run(past, scenario: Scenario, sites, leads) -> tuple[Replay, dict[tuple[int, str], int]]:
    """Replay all; also how many units of each SKU left each location on paper."""
    replay, taken = Replay(scenario, sites, leads), {}
    for decided, lines in past:
        before = {code: load.units for code, load in replay.result.after.locations.items()}
        replay.step(decided)
        if len({line.sku_id for line in lines}) == 1:
            for code, load in replay.result.after.locations.items():
                key = (lines[0].sku_id, code)
                taken[key] = taken.get(key, 0) + load.units - before.get(code, 0)
    return replay, taken


PASTS = st.tuples(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 4), st.integers(1, 30), st.integers(0, 6))


@settings(max_examples=60, deadline=None)
@given(PASTS)
def test_a_scenario_that_changes_nothing_comes_to_what_happened_even_when_all_is_decided_again(shape):
    past, _, sites, leads = a_past(*shape)
    unbounded = Scenario(locations=[At(location=site.code, capacity=1_000_000) for site in sites.values()])
    for scenario in (Scenario(), unbounded):
        result = run(past, scenario, sites, leads)[0].finish()
        assert result.moved == 0
        assert result.after == result.before
        assert result.before.total.orders == len(past)


@settings(max_examples=60, deadline=None)
@given(PASTS.map(lambda shape: (*shape[:2], 1, *shape[3:])), st.integers(0, 5))
def test_no_unit_is_taken_twice_on_paper_while_shelves_are_not_filled(shape, closed):
    past, initial, sites, leads = a_past(*shape)
    shut = sites[10 + closed % len(sites)].code
    scenario = Scenario(locations=[At(location=shut, closed=True)], replenished_after=365)
    replay, taken = run(past, scenario, sites, leads)
    assert shut not in replay.result.after.locations
    for (sku, code), units in taken.items():
        location = next(site.id for site in sites.values() if site.code == code)
        assert units <= initial[sku, location]
    total = replay.result
    assert (
        total.after.total.units + total.after.total.unplaced == total.before.total.units + total.before.total.unplaced
    )


@settings(max_examples=40, deadline=None)
@given(PASTS, st.integers(1, 300))
def test_cheaper_carriage_costs_no_more_and_a_penalty_makes_no_more_parcels_where_stock_is_ample(shape, percent):
    seed, locations, skus, orders, _ = shape
    past, _, sites, leads = a_past(seed, locations, skus, orders, 500, least=100)  # nobody runs out
    freight = run(past, Scenario(freight=[Freight(percent=percent)]), sites, leads)[0].finish()
    if percent <= 100:
        assert freight.after.total.cost <= freight.before.total.cost + 2 * freight.after.total.packages
    else:
        assert freight.after.total.cost >= freight.before.total.cost - 2 * freight.before.total.packages
    careful = run(past, Scenario(split_penalty=100_000), sites, leads)[0].finish()
    assert careful.after.total.split <= careful.before.total.split
    assert careful.after.total.cost >= careful.before.total.cost


@settings(max_examples=40, deadline=None)
@given(PASTS)
def test_a_new_location_takes_no_more_than_its_share(shape):
    seed, locations, _, orders, units = shape
    past, initial, sites, leads = a_past(seed, locations, 1, orders, units)
    opened = Opening(name="Novo", state="PE", stock_from="L10", share=50)
    replay, taken = run(past, Scenario(opened=[opened], replenished_after=365), sites, leads)
    both = taken.get((1, "+ Novo"), 0) + taken.get((1, "L10"), 0)
    assert both <= initial[1, 10]
    result = replay.finish()
    assert (
        result.after.total.units + result.after.total.unplaced
        == result.before.total.units + result.before.total.unplaced
    )
