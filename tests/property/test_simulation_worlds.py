"""Whatever is changed on paper: nothing is sold twice there either, and what is not changed stays as it was."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.model import Door, Network, Place, Request, RequestLine
from malha.routing.records import read_record
from malha.routing.records import replay as replay_of
from malha.routing.replaying import Replayer
from malha.routing.rules import plan, record_json
from malha.routing.ruling.model import (
    Asked,
    Content,
    Facts,
    Hit,
    Row,
    Rule,
    Run,
    Table,
    Then,
    Unfilled,
    When,
    Where,
)
from malha.routing.ruling.planning import Rules
from malha.simulation.model import At, Decided, Freight, Opening, Scenario, Site
from malha.simulation.rules import Leads, OnPaper, Replay

STATES = ("SP", "PE", "RS")


def a_past(
    seed: int, locations: int, skus: int, orders: int, units: int, least: int = 0, content: Content | None = None
):
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
        request = Request(order_id=UUID(int=number), channel_id=1, to_state=to, lines=lines)
        asked = Asked(number * 10, None, None)
        at = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(days=number // 5)
        if content is not None:
            facts = Facts(
                channel="web", method="ship", to_state=to, postal_code=None, customer_group=None, value=number * 10,
                units=sum(line.quantity for line in lines), grams=sum(line.quantity * 400 for line in lines), skus=wanted, at=at,
            )  # fmt: skip
            request = msgspec.structs.replace(request, under=rules_over(content, places).under(facts, {}))
        found = plan(request, network, stock)
        for line, index, quantity in found.assignments:
            stock[lines[line - 1].sku_id][index] -= quantity
        stored = record_json(found).decode()
        kept = msgspec.json.encode(asked).decode()
        past.append((Decided(UUID(int=number + 1), str(number), at, at.date(), to, 1, stored, asked=kept), lines))
    sites = {
        place.id: Site(place.id, f"L{place.id}", place.state, place.daily_capacity, place.home) for place in places
    }
    return past, initial, sites, Leads(Tariff(rates), [1])


def rules_over(content: Content, places) -> Rules:
    """Rules over the places of a past: those of one state are a group."""
    known = SimpleNamespace(
        locations={p.id: SimpleNamespace(id=p.id, state=p.state, kind="store", latitude=None, longitude=None) for p in places},
        location_ids={f"L{p.id}": p.id for p in places},
        tariff=Tariff([]),
        active_services=list,
        offered_services=list,
    )  # fmt: skip
    groups = {state: [f"L{p.id}" for p in places if p.state == state] for state in STATES}
    return Rules(1, content, known, groups)  # type: ignore[arg-type]  # the fields it reads


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


groups = st.lists(st.sampled_from(STATES), max_size=2, unique=True)
thens = st.builds(
    Then,
    run=st.sampled_from((None, "A", "B")),
    groups=groups,
    prefer=groups,
    keep=st.sampled_from((None, 1)),
    complete=st.sampled_from((None, True)),
    max_packages=st.sampled_from((None, 1)),
    unfilled=st.sampled_from((None, Unfilled.QUEUE)),
)
contents = st.builds(
    Content,
    runs=st.builds(
        lambda first, second: [
            Run(name="A", when=When(states=["SP"]), rules=[Rule(name="a", where=Where(groups=first))]),
            Run(name="B", rules=[Rule(name="b", where=Where(groups=second)), Rule(name="c", max_packages=1)]),
        ],
        groups,
        groups,
    ),
    table=st.builds(
        Table,
        hit=st.sampled_from(Hit),
        rows=st.lists(
            st.builds(
                Row,
                when=st.builds(
                    When,
                    states=groups,
                    min_value=st.sampled_from((None, 50)),
                    weekdays=st.sampled_from(([], [1, 2])),
                    max_units=st.sampled_from((None, 2)),
                ),
                then=thens,
            ),
            max_size=4,
        ),
    ),
)
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
@given(PASTS, contents)
def test_rules_that_decided_then_decide_the_same_on_paper_and_every_decision_is_replayed_to_the_byte(shape, content):
    past, _, sites, leads = a_past(*shape, content=content)
    for decided, _ in past:
        assert Replayer().again(decided.record.encode()) == decided.record.encode()
    rules = rules_over(content, list(sites.values()))
    replay = Replay(Scenario(), sites, leads, OnPaper(rules, {1: "web"}, None))
    for decided, _ in past:
        replay.step(decided)
    result = replay.finish()
    assert (result.moved, replay.moved()) == (0, [])
    assert result.after == result.before
    assert result.ruled is not None
    bounds = [bound for decided, _ in past if (bound := read_record(decided.record).bound) is not None]
    assert sum(result.ruled.runs.values()) == len(bounds)
    assert sum(result.ruled.rows.values()) >= sum(len(bound.rows) for bound in bounds)


@settings(max_examples=60, deadline=None)
@given(PASTS, contents)
def test_whatever_rules_decide_on_paper_no_unit_is_lost_and_what_moved_is_told(shape, content):
    past, _, sites, leads = a_past(*shape)
    replay = Replay(Scenario(), sites, leads, OnPaper(rules_over(content, list(sites.values())), {1: "web"}, None))
    for decided, _ in past:
        replay.step(decided)
    result = replay.finish()
    for sums in (result.before.total, result.after.total):
        assert sums.units + sums.unplaced == sum(line.quantity for _, lines in past for line in lines)
    moved = replay.moved()
    assert len(moved) == result.moved
    for order in moved:
        assert order.record is not None
        record = read_record(order.record)
        assert record.cost == order.cost_after
        again = replay_of(record)
        assert (again.cost, again.unplaced) == (record.cost, record.unplaced)
        assert [parcel[0] for parcel in again.basis.parcels] == [parcel[0] for parcel in record.parcels]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 30), st.integers(0, 4), st.sampled_from((None, "L10", "L11")))
def test_locations_at_one_site_share_its_capacity_on_paper(seed, orders, most, stated):
    """Three locations have plenty, two of them are at one site. Its capacity is today's, or stated for one of them."""
    past, _, places, leads = a_past(seed, 3, 1, orders, 1_000, least=1_000)
    today = most if stated is None else None
    sites = {
        id_: msgspec.structs.replace(site, home=10, daily_capacity=today) if id_ < 12 else site
        for id_, site in places.items()
    }
    capped = [At(location=stated, capacity=most)] if stated else []
    dearer = At(location="L12", handling=1_000_000)  # everybody would rather have the site
    replay = Replay(Scenario(locations=[dearer, *capped]), sites, leads)
    limited = {"L11"} if stated == "L11" else {"L10", "L11"}  # what is stated for the first is for all of its site
    was, would = Counter(), Counter()  # orders of the site, by day
    for decided, _ in past:
        outcome = replay.step(decided)
        if limited.intersection(outcome.after.locations):
            taken, really = would[decided.day], was[decided.day]
            assert taken < most or (stated is None and taken <= really)
        for loads, told in ((was, outcome.before), (would, outcome.after)):
            loads[decided.day] += len({"L10", "L11"}.intersection(told.locations))
    result = replay.finish()
    assert result.after.total.unplaced == 0
    assert max((load.peak for code, load in result.after.locations.items() if code != "L12"), default=0) == max(
        would.values(), default=0
    )
    if stated == "L10":
        assert would == Counter({day: min(most, n) for day, n in Counter(d.day for d, _ in past).items()})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 30), st.integers(0, 4))
def test_capacity_on_paper_holds_though_the_real_day_was_counted_otherwise(seed, orders, most):
    """What was counted for the real day is less than its orders: some of them were work of the next one."""
    past, _, sites, leads = a_past(seed, 3, 1, orders, 1_000, least=1_000)
    was = []
    for number, (decided, lines) in enumerate(past):
        record = msgspec.json.decode(decided.record)
        for parcel in record["parcels"]:
            parcel[0] = 0 if number % 5 < 4 else 1
        if number % 5 == 4:
            record["full"] = [[0, 1, 1]]
        was.append((msgspec.structs.replace(decided, record=msgspec.json.encode(record).decode()), lines))
    others = [At(location=code, handling=1_000_000) for code in ("L11", "L12")]
    replay = Replay(Scenario(locations=[At(location="L10", capacity=most), *others]), sites, leads)
    would = Counter()
    for decided, _ in was:
        would[decided.day] += "L10" in replay.step(decided).after.locations
    assert max(would.values()) <= most
    assert replay.finish().after.total.unplaced == 0


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
