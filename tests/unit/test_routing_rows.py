"""What parcels cost in parts is what they cost, and looking by zone finds what looking at every position does."""

import random

import pytest

from malha.routing.charging import MANY_ZONES, Charges
from malha.routing.lane_facts import LaneFacts
from malha.routing.lanes import NO_LIMIT, Lane, prices_at
from malha.routing.model import RULES_VERSION, Network, Place, RequestLine, StockPrices
from malha.routing.parting import part_lines
from malha.routing.rows import SCALE_BITS, Besides, Bracket, Rows
from malha.routing.subsets import rows_of
from malha.routing.terms import OrderTerms

POSITIONS = 120


def a_lane(rng: random.Random, zones: int, *, tolls: bool = False) -> Lane:
    """Return a lane with so many zones, few different costs, and so many ties."""
    classes = [
        (zone, handling, line)
        for zone in range(zones)
        for handling, line in rng.sample([(100, 30), (100, 50), (200, 30), (300, 0)], 3)
    ]
    klass = [k % len(classes) if k < len(classes) else rng.randrange(len(classes)) for k in range(POSITIONS)]
    rng.shuffle(klass)
    charged = [rng.choice((0, 0, 50)) for _ in classes] if tolls else []
    prices = {grams: [rng.choice((900, 1_000, 1_300)) for _ in range(zones)] for grams in (1_000, 3_000)}
    several = {1_000: [1] * zones, 3_000: [rng.choice((1, 1, 2)) for _ in range(zones)]}

    def price(grams: int) -> Bracket:
        boxes = [grams // 100] * zones
        return Bracket(grams, prices[grams], several[grams], [2] * zones, [1] * zones, boxes if tolls else None)

    facts = LaneFacts(
        rules=RULES_VERSION, network=1, channel=1, method="ship", to="SP", locations=[(1, POSITIONS)],
        classes=classes, members=klass,
    )  # fmt: skip
    rows = Rows(classes, klass, [1_000, 3_000], price, charged)
    return Lane(facts, list(range(POSITIONS)), [], [NO_LIMIT] * zones, rows)


@pytest.mark.parametrize("tolls", [False, True])
@pytest.mark.parametrize("zones", [1, 7, MANY_ZONES + 5])
def test_a_row_says_of_classes_zones_and_positions_the_same(zones, tolls):
    lane = a_lane(random.Random(zones), zones, tolls=tolls)
    for grams, lines in ((500, 1), (500, 3), (2_500, 2)):
        row = lane.row(grams, lines)
        bracket = row.bracket
        for position, k in enumerate(lane.klass):
            zone, handling, line = lane.classes[k]
            packages = bracket.packages[zone]
            box = 0 if bracket.cartons is None else bracket.cartons[zone]
            least = bracket.prices[zone] + box + packages * handling + lines * line << SCALE_BITS
            assert row.by_class[k] == row.cost(position)
            assert row.cost(position) - least in ({packages, packages + (50 << SCALE_BITS)} if tolls else {packages})
        costs = [row.cost(position) for position in range(POSITIONS)]
        assert row.ranked == sorted(range(POSITIONS), key=costs.__getitem__)
        for zone, own in enumerate(row.beside.own):
            here = [p for p in range(POSITIONS) if lane.zone_at[p] == zone]
            assert own == sorted(here, key=costs.__getitem__)
            assert row.firsts[zone] == min(costs[p] for p in here)
        assert row.least == min(costs)
        assert row.least == row.firsts[row.first]


def test_parcels_of_several_packages_share_nothing_with_those_of_one():
    besides = Besides([(0, 100, 10), (1, 100, 10)], [0, 1], [])
    assert besides.of(2, [1, 1]).at == [120, 120]
    assert besides.of(2, [1, 3]).at == [120, 320]
    assert besides.of(2, [1, 1]) is besides.of(2, [1, 1])


@pytest.mark.parametrize("zones", [1, 7, MANY_ZONES + 5])
@pytest.mark.parametrize("priced", [False, True])
def test_the_cheapest_parcel_is_the_first_of_the_cheapest_there_are(zones, priced):
    for seed in range(60):
        rng = random.Random(seed)
        lane = a_lane(rng, zones)
        have = [[rng.choice((0, 1, 2)) for _ in range(POSITIONS)] for _ in range(2)]
        worth = [({p: rng.choice((50, 100, 200)) for p in range(0, POSITIONS, 2)}, 1)] * 2 if priced else None
        found = part_lines(lane, [400, 400], have, [1, 1], worth)
        assert found is not None
        row = rows_of(lane, [400, 400], [1, 1])[3]
        extra = [sum(by.get(p, 0) * n for by, n in worth or []) << SCALE_BITS for p in range(POSITIONS)]
        able = [p for p in range(POSITIONS) if have[0][p] and have[1][p]]
        best = min((row.cost(p) + extra[p], row.cost(p), p) for p in able)[2]
        assert found[0] == [(3, best)]


@pytest.mark.parametrize("zones", [1, 7, MANY_ZONES + 5])
def test_with_charges_it_is_too(zones):
    for seed in range(60):
        rng = random.Random(seed)
        lane = a_lane(rng, zones)
        lines = [RequestLine(n + 1, n, 1 + seed % 2, 300) for n in range(2)]
        have = [[rng.choice((0, 2, 3)) for _ in range(POSITIONS)] for _ in lines]
        prices = {n: {p: rng.choice((50, 100, 200)) for p in range(0, POSITIONS, 3)} for n in range(1)}
        terms = OrderTerms(
            taxes=[(line.line, [rng.choice((0, 20, 300)) for _ in range(zones)]) for line in lines[seed % 3 :]],
            busy=[(p, 150) for p in range(0, POSITIONS, 5)],
            credits=[(0, [(p, rng.choice((10, 900))) for p in range(POSITIONS) if rng.random() < 0.1])],
        )
        charges = Charges(lane, lines, prices, terms)
        grams = [line.quantity * line.grams for line in lines]
        found = part_lines(lane, grams, have, [line.quantity for line in lines], None, charges)
        assert found is not None
        rows = rows_of(lane, grams, [1, 1])
        whole = [(n, line.quantity) for n, line in enumerate(lines)]

        def cheapest(s: int) -> tuple[int, int, int]:
            content = [whole[n] for n in range(2) if s >> n & 1]  # noqa: B023 - used at once
            able = [p for p in range(POSITIONS) if all(have[n][p] >= q for n, q in content)]  # noqa: B023
            return min((charges.parcel(p, rows[s], content), rows[s].cost(p), p) for p in able)  # noqa: B023

        together, one, other = cheapest(3), cheapest(1), cheapest(2)
        apart = one[0] + other[0]
        assert found[0] == ([(3, together[2])] if together[0] <= apart else [(1, one[2]), (2, other[2])])


def test_prices_of_stock_are_told_where_there_are_units_and_known_once_for_lanes_alike():
    places = [
        Place(
            id=n, status="active", state="SP", can_ship=True, can_pickup=True, handling=100, line=10,
            daily_capacity=None, entity_id=1, entity_kind="own", priority=100,
        )
        for n in range(1, POSITIONS + 1)
    ]  # fmt: skip
    network = Network(revision=1, places=places, channels={}, services=[], rates={}, tariff=None)
    one, other = (a_lane(random.Random(1), 3) for _ in range(2))
    priced = StockPrices(1, {7: {4: 30, 2: 0, 3: 500, 9_999: 5}})
    known = prices_at(priced, network, one)
    here = known.of(7, priced, network, one)
    assert here == {2: 500, 3: 30}
    assert prices_at(priced, network, other) is known
    units = [0] * POSITIONS
    units[3] = 1
    assert known.told(7, here, units) == known.told(7, dict(here), units) == [(3, 30)]
    again = prices_at(StockPrices(2, {}), network, one)
    assert again is not known
    assert again.of(7, StockPrices(2, {}), network, one) == {}
