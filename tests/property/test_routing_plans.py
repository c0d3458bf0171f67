"""Routing's plans against every plan there is, and what holds for all of them."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cache
from itertools import combinations, product
from math import inf

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.model import Door, Network, Place, Plan, Request, RequestLine, StockPrices
from malha.routing.records import costs_of, read_record, replay
from malha.routing.rules import plan, record_json

ORDER = UUID(int=7)
STATES = ("SP", "PE", "RS")
SKUS = (11, 12, 13, 14)


def a_network(places: list[Place], rates: list[Rate]) -> Network:
    by_service: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for rate in rates:
        by_service[rate.service_id].append((rate.max_grams, rate.per_extra_kg))
    return Network(
        revision=1,
        places=sorted(places, key=lambda p: (p.priority, p.id)),
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=sorted(by_service),
        rates=dict(by_service),
        tariff=Tariff(rates),
    )


@st.composite
def networks(draw) -> Network:
    places = [
        Place(
            id=n + 1,
            status="active",
            state=draw(st.sampled_from(STATES)),
            can_ship=True,
            can_pickup=True,
            handling=draw(st.sampled_from((0, 100, 350))),
            line=draw(st.sampled_from((0, 50))),
            daily_capacity=draw(st.sampled_from((None, None, 3, 0))),
            priority=draw(st.sampled_from((10, 100))),
            entity_id=1,
            entity_kind="own",
        )
        for n in range(draw(st.integers(1, 4)))
    ]
    rates = []
    for service in (1, 2):
        limited = draw(st.booleans())
        for state in draw(st.sets(st.sampled_from(STATES), min_size=1)):
            prices = draw(st.lists(st.integers(0, 2_000), min_size=3, max_size=3))
            rates += [
                Rate(
                    service_id=service,
                    from_state=state,
                    to_state="*",
                    max_grams=grams,
                    price=price,
                    per_extra_kg=0 if limited or grams < 4_000 else 300,
                    lead_days=draw(st.integers(0, 9)),
                )
                for grams, price in zip((500, 1_500, 4_000), prices, strict=True)
            ]
    return a_network(places, rates)


@st.composite
def orders(draw, most: int = 4) -> Request:
    lines = []
    for n in range(draw(st.integers(1, most))):
        kit = draw(st.integers(0, 5)) == 0
        skus = draw(st.lists(st.sampled_from(SKUS), min_size=1, max_size=2, unique=True))
        lines.append(
            RequestLine(
                n + 1,
                99 if kit else skus[0],
                draw(st.integers(1, 3)),
                draw(st.sampled_from((0, 200, 700, 1_600, 4_500))),
                tuple((sku, draw(st.integers(1, 2))) for sku in skus) if kit else None,
            )
        )
    excluded = draw(st.dictionaries(st.integers(1, len(lines)), st.sets(st.integers(1, 4)), max_size=2))
    return Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines, excluded=excluded or None)


stocks = st.lists(st.lists(st.integers(0, 7), min_size=4, max_size=4), min_size=4, max_size=4)


def world(network: Network, rows: list[list[int]]) -> dict[int, list[int]]:
    size = len(network.location_ids)
    return {sku: row[:size] for sku, row in zip(SKUS, rows, strict=True)}


TAKEN = [5, 0, 3, 2]


# --- what a plan may be, and what it costs, written down without any cleverness ---


def needs_of(line: RequestLine) -> list[tuple[int, int]]:
    return [(line.sku_id, 1)] if line.components is None else list(line.components)


def offer(network: Network, state: str, grams: int) -> int | None:
    quotes = [network.tariff.quote(service, state, "BA", grams) for service in network.services]
    return min((q.price for q in quotes if q is not None), default=None)


def carriage(network: Network, state: str, grams: int) -> tuple[int, int]:
    """Centavos and packages of a parcel: whole parcels of the most a carrier takes, and the rest."""
    price = offer(network, state, grams)
    if price is not None:
        return price, 1
    whole, rest = divmod(grams, 4_000)
    return whole * offer(network, state, 4_000) + (offer(network, state, rest) if rest else 0), whole + bool(rest)


def parcel_cost(network: Network, index: int, content: list[tuple[RequestLine, int]]) -> tuple[int, int]:
    place = network.places[index]
    price, packages = carriage(network, place.state, sum(line.grams * q for line, q in content))
    return price + packages * place.handling + len(content) * place.line, packages


def later_of(network: Network, found: Plan) -> set[int]:
    """Return the locations whose day is full and that serve all the same, as a plan says."""
    open_ = network.lanes[1, "ship", None, "BA", None].open
    return {open_[position] for position, _, _ in found.basis.later}


def may_serve(
    network: Network, request: Request, line: RequestLine, index: int, later: Collection[int] = frozenset()
) -> bool:
    place = network.places[index]
    if offer(network, place.state, 0) is None or offer(network, place.state, line.grams) is None:
        return False
    if place.daily_capacity is not None and TAKEN[index] >= place.daily_capacity and index not in later:
        return False
    return place.id not in (request.excluded or {}).get(line.line, ())


def partitions(items: list[RequestLine]) -> Iterator[list[list[RequestLine]]]:
    if not items:
        yield []
        return
    head, *rest = items
    for smaller in partitions(rest):
        yield [[head], *smaller]
        for n in range(len(smaller)):
            yield [*smaller[:n], [head, *smaller[n]], *smaller[n + 1 :]]


def every_plan(
    network: Network, request: Request, free: dict[int, list[int]], later: Collection[int] = frozenset()
) -> Iterator[tuple[tuple[int, int], set[int]]]:
    """All ways to place every line in full: ((cost, packages), locations)."""
    locations = range(len(network.places))
    for parts in partitions(list(request.lines)):
        for indexes in product(locations, repeat=len(parts)):
            left = {sku: list(units) for sku, units in free.items()}
            fits = True
            for part, index in zip(parts, indexes, strict=True):
                for line in part:
                    fits = fits and may_serve(network, request, line, index, later)
                    for sku, per in needs_of(line):
                        left[sku][index] -= per * line.quantity
                        fits = fits and left[sku][index] >= 0
            if fits:
                costs = [
                    parcel_cost(network, index, [(line, line.quantity) for line in part])
                    for part, index in zip(parts, indexes, strict=True)
                ]
                yield (sum(c for c, _ in costs), sum(p for _, p in costs)), set(indexes)


def check_plan(
    network: Network, request: Request, free: dict[int, list[int]], found: Plan, *, waits: bool = True
) -> None:
    """What must hold for every plan, however hard the order. One rule alone does not wait for days that are full."""
    lines = {line.line: line for line in request.lines}
    later = later_of(network, found)
    whole = {index for index, place in enumerate(network.places) if waits and place.daily_capacity != 0}
    placed: dict[int, int] = defaultdict(int)
    left = {sku: list(units) for sku, units in free.items()}
    for n, index, quantity in found.assignments:
        assert quantity > 0
        assert may_serve(network, request, lines[n], index, later)
        placed[n] += quantity
        for sku, per in needs_of(lines[n]):
            left[sku][index] -= per * quantity
            assert left[sku][index] >= 0, "more than there is"
    unplaced = dict(found.unplaced)
    for n, line in lines.items():
        assert placed[n] + unplaced.get(n, 0) == line.quantity
    for n, missing in unplaced.items():
        assert missing > 0
        for index in range(len(network.places)):
            if may_serve(network, request, lines[n], index, whole):
                assert any(left[sku][index] < per for sku, per in needs_of(lines[n])), "given up beside stock"
    costs = [parcel_cost(network, p.index, [(lines[n], q) for n, q in p.units]) for p in found.parcels]
    assert found.cost == sum(c for c, _ in costs)
    assert found.packages == sum(p for _, p in costs)
    assert sorted((n, p.index, q) for p in found.parcels for n, q in p.units) == sorted(found.assignments)


@settings(max_examples=250, deadline=None)
@given(networks(), orders(), stocks)
def test_a_plan_costs_what_the_best_of_all_plans_costs_and_each_location_what_the_best_plan_with_it_costs(
    network: Network, request: Request, rows: list[list[int]]
):
    free = world(network, rows)
    before = {sku: list(units) for sku, units in free.items()}
    found = plan(request, network, free, TAKEN)
    assert free == before, "planning changed the stock"
    check_plan(network, request, free, found)
    later = later_of(network, found)
    if later:
        assert not list(every_plan(network, request, free)), "a full day was asked of while others had everything"
    plans = list(every_plan(network, request, free, later))
    if not plans:
        assert not found.basis.exact
        return
    assert found.basis.exact
    assert not found.unplaced
    assert (found.cost, found.packages) == min(key for key, _ in plans)
    forced: dict[int, int] = {}
    for (cost, _), indexes in plans:
        for index in indexes:
            forced[index] = min(cost, forced.get(index, cost))
    open_ = network.lanes[1, "ship", None, "BA", None].open
    assert {i: c for i, c in zip(open_, found.basis.costs, strict=True) if c >= 0} == forced
    assert min(forced.values()) == found.cost


@settings(max_examples=40, deadline=None)
@given(
    networks(),
    st.lists(
        st.tuples(
            st.integers(1, 3), st.sampled_from((0, 200, 700)), st.lists(st.integers(0, 4), min_size=4, max_size=4)
        ),
        min_size=5,
        max_size=10,
    ),
)
def test_five_to_ten_lines_cost_what_the_recurrence_says(network: Network, wanted: list[tuple[int, int, list[int]]]):
    size = len(network.places)
    lines = [RequestLine(n, n, quantity, grams) for n, (quantity, grams, _) in enumerate(wanted, 1)]
    free = {n: units[:size] for n, (_, _, units) in enumerate(wanted, 1)}
    request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines)
    found = plan(request, network, free, TAKEN)
    check_plan(network, request, free, found)
    later = later_of(network, found)

    @cache
    def parcel(part: frozenset[int], index: int) -> tuple[float, int]:
        content = [(lines[n - 1], lines[n - 1].quantity) for n in part]
        if all(may_serve(network, request, line, index, later) and free[line.line][index] >= q for line, q in content):
            return parcel_cost(network, index, content)
        return inf, 0

    @cache
    def best(rest: frozenset[int]) -> tuple[float, int]:
        if not rest:
            return 0, 0
        head = min(rest)
        parts = [frozenset({head, *chosen}) for chosen in subsets(rest - {head})]
        offers = [(parcel(part, index), best(rest - part)) for part in parts for index in range(size)]
        return min((a + c, b + d) for (a, b), (c, d) in offers)

    whole = frozenset(range(1, len(lines) + 1))
    if best(whole)[0] == inf:
        assert not found.basis.exact
        return
    assert (found.cost, found.packages) == best(whole)
    forced = [
        min(parcel(part, index)[0] + best(whole - part)[0] for part in subsets(whole) if part) for index in range(size)
    ]
    open_ = network.lanes[1, "ship", None, "BA", None].open
    assert found.basis.costs == [-1 if forced[index] == inf else forced[index] for index in open_]


def subsets(whole: frozenset[int]) -> list[frozenset[int]]:
    members = sorted(whole)
    return [frozenset(c) for k in range(len(members) + 1) for c in combinations(members, k)]


@settings(max_examples=200, deadline=None)
@given(networks(), orders(), stocks)
def test_the_explanation_ranks_the_chosen_plan_first_and_then_the_cheapest_that_uses_other_locations(
    network: Network, request: Request, rows: list[list[int]]
):
    free = world(network, rows)
    found = plan(request, network, free, TAKEN)
    explained = explain(read_record(record_json(found)))
    later = later_of(network, found)
    plans = [(cost, frozenset(indexes)) for (cost, _), indexes in every_plan(network, request, free, later)]
    ids = network.location_ids
    if found.parcels:
        first, *others = explained.options
        assert first.chosen
        assert first.cost == found.cost
        assert sorted(first.location_ids) == sorted({ids[p.index] for p in found.parcels})
        assert (first.packages, first.term("freight")) == (found.packages, sum(p.freight for p in found.parcels))
    if plans:
        used = frozenset(p.index for p in found.parcels)
        rest = [cost for cost, indexes in plans if indexes != used]
        assert [option.cost for option in others][:1] == sorted(rest)[:1]
        for option in explained.options:
            if option.loads is not None:
                terms = [option.term(name) for name in ("freight", "handling", "picking")]
                assert option.cost == sum(t for t in terms if t is not None)
                indexes = frozenset(ids.index(id_) for id_ in option.location_ids)
                assert option.cost == min(cost for cost, those in plans if those == indexes)
    for index, id_ in enumerate(ids):
        for line in request.lines:
            whole = all(free[sku][index] >= per * line.quantity for sku, per in needs_of(line))
            told = explained.obstacles.get(id_, [])
            stopped = any(x.line in {None, line.line} for x in told)
            assert stopped == (not (may_serve(network, request, line, index, later) and whole))
    assert explained.later.keys() == {ids[index] for index in later} & {ids[p.index] for p in found.parcels}


@settings(max_examples=150, deadline=None)
@given(networks(), orders(most=14), stocks)
def test_an_order_of_many_lines_is_placed_as_far_as_stock_goes(
    network: Network, request: Request, rows: list[list[int]]
):
    free = world(network, [[units * 3 for units in row] for row in rows])
    found = plan(request, network, free, TAKEN)
    check_plan(network, request, free, found)
    open_ = network.lanes[1, "ship", None, "BA", None].open
    costs = dict(zip(open_, found.basis.costs, strict=True))
    for parcel in found.parcels:
        assert costs[parcel.index] == found.cost
    assert all(cost == -1 or cost >= found.cost for cost in costs.values())


@settings(max_examples=200, deadline=None)
@given(networks(), orders(most=10), stocks)
def test_a_stored_decision_is_recomputed_from_its_record_alone(
    network: Network, request: Request, rows: list[list[int]]
):
    free = world(network, rows)
    found = plan(request, network, free, TAKEN)
    again = plan(request, network, free, TAKEN)
    assert again == found, "the same question has the same answer"
    stored = record_json(found)
    assert record_json(again) == stored
    record = read_record(stored)
    replayed = replay(record)
    open_ = network.lanes[1, "ship", None, "BA", None].open
    assert [(n, open_[p], q) for n, p, q in replayed.assignments] == found.assignments
    assert [(open_[p.index], p.grams, p.freight, p.units) for p in replayed.parcels] == [
        (p.index, p.grams, p.freight, p.units) for p in found.parcels
    ]
    assert (replayed.unplaced, replayed.cost, replayed.packages) == (found.unplaced, found.cost, found.packages)
    assert replayed.basis.costs == found.basis.costs
    assert record.location_ids() == [network.location_ids[i] for i in open_]


@settings(max_examples=300, deadline=None)
@given(networks(), orders(most=6), stocks)
def test_a_plan_without_the_cost_of_every_location_is_the_same_and_its_record_gives_them(
    network: Network, request: Request, rows: list[list[int]]
):
    free = world(network, rows)
    full = plan(request, network, free, TAKEN, costs=True)
    quick = plan(request, network, free, TAKEN, costs=False)
    assert quick.basis.costs in ([], full.basis.costs)
    assert (quick.assignments, quick.unplaced, quick.cost) == (full.assignments, full.unplaced, full.cost)
    assert (quick.parcels, quick.packages, quick.lead_days) == (full.parcels, full.packages, full.lead_days)
    stored, record = read_record(record_json(full)), read_record(record_json(quick))
    assert costs_of(record) == stored.costs
    assert msgspec.structs.replace(record, costs=stored.costs) == stored
    assert explain(record) == explain(stored)


def test_a_thousand_locations_are_planned_alike_with_and_without_the_cost_of_each():
    rng = random.Random(11)
    places = [
        Place(
            id=n + 1, status="active", state=rng.choice(STATES), can_ship=True, can_pickup=True,
            handling=rng.choice((0, 100, 350)), line=rng.choice((0, 50)), daily_capacity=rng.choice((None, 3)),
            entity_id=1, entity_kind="own", priority=rng.choice((10, 100)),
        )
        for n in range(1_000)
    ]  # fmt: skip
    rates = [
        Rate(service_id=1, from_state=state, to_state="*", max_grams=grams, price=price, per_extra_kg=0, lead_days=2)
        for state, base in (("SP", 500), ("PE", 900), ("RS", 700))
        for grams, price in ((500, base), (1_500, base + 300), (90_000, base + 900))
    ]
    network = a_network(places, rates)
    for empty in (0.2, 0.6, 0.8, 0.95, 0.99):
        for _ in range(6):
            free = {sku: [0 if rng.random() < empty else rng.randint(1, 4) for _ in places] for sku in range(6)}
            lines = [
                RequestLine(n + 1, n, rng.choice((1, 2)), rng.choice((200, 700))) for n in range(rng.randint(1, 6))
            ]
            request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines)
            prices = {n: {rng.randint(1, 1_000): rng.randint(1, 800) for _ in range(300)} for n in range(6)}
            taken = [rng.choice((0, 5)) for _ in places]
            for priced in (None, StockPrices(rng.randrange(9), prices)):
                full = plan(request, network, free, taken, priced, costs=True)
                quick = plan(request, network, free, taken, priced)
                assert quick.basis.costs == [] or not quick.basis.exact
                assert (quick.parcels, quick.cost, quick.basis.worth) == (full.parcels, full.cost, full.basis.worth)
                assert costs_of(read_record(record_json(quick))) == full.basis.costs


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 10, 11, 30])
def test_a_line_of_every_count_is_placed_when_one_location_has_all(n: int):
    place = Place(
        id=1, status="active", state="SP", can_ship=True, can_pickup=True, handling=1, line=1, daily_capacity=None,
        entity_id=1, entity_kind="own", priority=1,
    )  # fmt: skip
    rate = Rate(
        service_id=1, from_state="*", to_state="*", max_grams=1_000, price=100, per_extra_kg=10, lead_days=2
    )  # fmt: skip
    network = a_network([place], [rate])
    lines = [RequestLine(k + 1, 100 + k, 2, 300) for k in range(n)]
    found = plan(
        Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines), network, {100 + k: [2] for k in range(n)}
    )
    assert found.assignments == [(k + 1, 0, 2) for k in range(n)]
    assert found.lead_days == 2


def test_units_that_a_location_with_a_full_day_has_are_not_given_up_where_another_plan_places_as_many() -> None:
    """Two plans place as much of a scarce order; the one that waits for nobody left beside stock what it gave up."""
    places = [
        Place(
            id=n, status="active", state=state, can_ship=True, can_pickup=True, handling=0, line=0, daily_capacity=most,
            priority=priority, entity_id=1, entity_kind="own",
        )
        for n, state, most, priority in ((1, "PE", None, 10), (2, "PE", None, 10), (3, "RS", 3, 100), (4, "SP", 3, 10))
    ]  # fmt: skip
    rates = [
        Rate(service_id=2, from_state=state, to_state="*", max_grams=grams, price=price, per_extra_kg=0, lead_days=days)
        for state, grams, price, days in (("SP", 4_000, 0, 3), ("PE", 500, 100, 1))
    ]
    network = a_network(places, rates)
    lines = [
        RequestLine(1, 99, 2, 0, ((14, 2), (11, 2))),
        RequestLine(2, 12, 2, 0, None),
        RequestLine(3, 99, 2, 0, ((12, 2),)),
        RequestLine(4, 11, 1, 0, None),
    ]
    request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines)
    free = world(network, [[0, 1, 2, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0]])
    found = plan(request, network, free, TAKEN)
    check_plan(network, request, free, found)
    assert later_of(network, found) == {2}
    replayed = replay(read_record(record_json(found)))
    assert (replayed.unplaced, replayed.cost, replayed.basis.later) == (found.unplaced, found.cost, found.basis.later)
