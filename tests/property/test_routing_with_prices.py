"""Plans with prices of stock, against every plan there is."""

from itertools import product

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.model import Door, Network, Place, Plan, Request, RequestLine, StockPrices
from malha.routing.records import costs_of, read_record, replay
from malha.routing.rules import plan, record_json

SKUS = (11, 12, 13)
STATES = ("SP", "RS")


@st.composite
def networks(draw) -> Network:
    places = [
        Place(
            id=n + 1, status="active", state=draw(st.sampled_from(STATES)), can_ship=True, can_pickup=True,
            handling=draw(st.sampled_from((0, 100, 350))), line=draw(st.sampled_from((0, 50))), daily_capacity=None,
            entity_id=1, entity_kind="own", priority=100,
        )
        for n in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    rates = [
        Rate(
            service_id=1, from_state=state, to_state="*", max_grams=grams, price=draw(st.integers(0, 900)),
            per_extra_kg=100 if grams == 9_000 else 0, lead_days=2,
        )
        for state in STATES
        for grams in (500, 1_500, 9_000)
    ]  # fmt: skip
    return Network(
        revision=1, places=places, channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=[1], rates={1: [(r.max_grams, r.per_extra_kg) for r in rates]}, tariff=Tariff(rates),
    )  # fmt: skip


def an_order(*lines: RequestLine) -> Request:
    return Request(order_id=UUID(int=7), channel_id=1, to_state="BA", lines=list(lines))


@st.composite
def orders(draw) -> Request:
    """Lines of different SKUs, and at times a kit of two others."""
    skus = draw(st.permutations(SKUS))[: draw(st.integers(1, 3))]
    return an_order(
        *(
            RequestLine(n, sku, draw(st.integers(1, 2)), draw(st.sampled_from((100, 400, 900))))
            for n, sku in enumerate(skus, 1)
        )
    )


stocks = st.fixed_dictionaries({sku: st.lists(st.integers(0, 4), min_size=3, max_size=3) for sku in SKUS})
prices = st.fixed_dictionaries(
    {}, optional={sku: st.dictionaries(st.integers(1, 3), st.integers(0, 600), max_size=3) for sku in SKUS}
)


def parcel(network: Network, index: int, lines: list[RequestLine]) -> int:
    place = network.places[index]
    quote = network.tariff.quote(1, place.state, "BA", sum(line.grams * line.quantity for line in lines))
    assert quote is not None
    return quote.price + place.handling + place.line * len(lines)


def parted(lines: list[RequestLine]):
    if not lines:
        yield []
        return
    head, *rest = lines
    for smaller in parted(rest):
        yield [[head], *smaller]
        for n, part in enumerate(smaller):
            yield [*smaller[:n], [head, *part], *smaller[n + 1 :]]


def cheapest_by_hand(network: Network, request: Request, free, price) -> int | None:
    best = None
    for parts in parted(request.lines):
        for where in product(range(len(network.places)), repeat=len(parts)):
            chosen = list(zip(parts, where, strict=True))
            if any(free[line.sku_id][index] < line.quantity for part, index in chosen for line in part):
                continue
            cost = sum(
                parcel(network, index, part)
                + sum(price.get(x.sku_id, {}).get(network.places[index].id, 0) * x.quantity for x in part)
                for part, index in chosen
            )
            best = cost if best is None else min(best, cost)
    return best


def decided(network: Network, request: Request, stock, price) -> tuple[Plan, dict[int, list[int]]]:
    free = {sku: units[: len(network.places)] for sku, units in stock.items()}
    return plan(request, network, free, None, StockPrices(5, price)), free


@settings(deadline=None)
@given(networks(), orders(), stocks, prices)
def test_the_plan_with_prices_is_the_cheapest_of_all_and_pays_none_of_them(network, request_, stock, price):
    found, free = decided(network, request_, stock, price)
    by_hand = cheapest_by_hand(network, request_, free, price)
    if by_hand is None:
        return
    assert found.cost + found.basis.worth == by_hand
    lines = {line.line: line for line in request_.lines}
    paid = sum(parcel(network, p.index, [lines[number] for number, _ in p.units]) for p in found.parcels)
    assert found.cost == paid
    used = {p.index for p in found.parcels}
    costs = [cost for cost in found.basis.costs if cost >= 0]
    assert min(costs) == by_hand
    assert all(found.basis.costs[index] == by_hand for index in used)


@settings(deadline=None)
@given(networks(), orders(), stocks, prices)
def test_prices_move_units_but_never_give_one_up(network, request_, stock, price):
    found, free = decided(network, request_, stock, price)
    without = plan(request_, network, free)
    assert found.unplaced == without.unplaced
    assert found.cost >= without.cost or not without.basis.exact


@settings(deadline=None)
@given(networks(), orders(), stocks, prices)
def test_a_decision_with_prices_is_decided_again_from_its_record_byte_for_byte(network, request_, stock, price):
    found, _ = decided(network, request_, stock, price)
    stored = record_json(found)
    record = read_record(stored)
    again = replay(record)
    assert again.basis.costs == found.basis.costs
    assert (again.cost, again.basis.worth, again.unplaced) == (found.cost, found.basis.worth, found.unplaced)
    assert again.basis.prices == found.basis.prices
    assert record.version == 5
    told = explain(record)
    for option in told.options:
        if option.loads is not None:
            terms = ("freight", "handling", "picking", "worth")
            assert option.cost == sum(option.term(name) or 0 for name in terms)
    chosen = next((option for option in told.options if option.chosen), None)
    if chosen is not None and record.exact:
        assert chosen.cost == min(option.cost for option in told.options)


@settings(max_examples=200, deadline=None)
@given(networks(), orders(), stocks, prices)
def test_with_prices_a_plan_without_the_cost_of_every_location_is_the_same(network, request_, stock, price):
    free = {sku: units[: len(network.places)] for sku, units in stock.items()}
    full = plan(request_, network, free, None, StockPrices(5, price), costs=True)
    quick = plan(request_, network, free, None, StockPrices(5, price), costs=False)
    assert (quick.parcels, quick.cost, quick.basis.worth) == (full.parcels, full.cost, full.basis.worth)
    assert costs_of(read_record(record_json(quick))) == full.basis.costs


def test_a_kit_is_worth_what_its_components_are():
    first = Place(
        id=1, status="active", state="SP", can_ship=True, can_pickup=True, handling=0, line=0, daily_capacity=None,
        entity_id=1, entity_kind="own", priority=100,
    )  # fmt: skip
    rates = [Rate(service_id=1, from_state="*", to_state="*", max_grams=9_000, price=100, per_extra_kg=0, lead_days=2)]
    network = Network(
        revision=1, places=[first, msgspec.structs.replace(first, id=2)],
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)}, services=[1],
        rates={1: [(9_000, 0)]}, tariff=Tariff(rates),
    )  # fmt: skip
    kit = RequestLine(1, 99, 1, 100, ((11, 2), (12, 1)))
    free = {11: [9, 9], 12: [9, 9]}
    found = plan(an_order(kit), network, free, None, StockPrices(1, {11: {1: 30, 2: 10}, 12: {2: 5}}))
    assert network.location_ids[found.assignments[0][1]] == 2
    assert (found.cost, found.basis.worth) == (100, 25)
    assert found.basis.costs == [160, 125]
