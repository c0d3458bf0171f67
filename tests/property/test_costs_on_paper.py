"""Costs tried on past orders: those that decided come to what happened, others to plans that are cheaper by them."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Rate, RateDraft
from malha.network.tariff import ANY, Tariff
from malha.platform.ids import UUID
from malha.routing.cost_draft_model import Carriage
from malha.routing.cost_draft_rules import percent_of, rescaled
from malha.routing.model import Door, Network, Place, Request, RequestLine
from malha.routing.records import read_record
from malha.routing.records import replay as replay_of
from malha.routing.rules import plan, record_json
from malha.routing.terms import Goods, Taxes, TaxRate, Terms
from malha.simulation import costing
from malha.simulation.costing import CostsOnPaper
from malha.simulation.model import Decided, Scenario, Site
from malha.simulation.rules import Leads, Replay

STATES = ("SP", "PE", "RS")
ALL = frozenset(
    (costing.SPLIT, costing.SITES, costing.CARTONS, costing.FEES, costing.BUSY, costing.TAXES, costing.CREDITS, costing.UNSERVED,
     costing.FAR)
)  # fmt: skip
KINDS = {sku: Goods(5_000 * sku, f"6302{sku}000", (f"brand:b{sku % 2}",)) for sku in range(1, 6)}


class Past:
    """A network under some costs, and decisions that were taken in it one after the other."""

    def __init__(self, seed: int, locations: int, skus: int, orders: int, units: int, terms: Terms) -> None:
        pick = random.Random(seed)
        rates = [
            Rate(service_id=1, from_state=origin, to_state=to, max_grams=grams, price=pick.randrange(500, 3000) + grams // 10,
                 per_extra_kg=100, lead_days=pick.randrange(1, 9))
            for origin in STATES for to in STATES for grams in (1_000, 5_000)
        ]  # fmt: skip
        places = [
            Place(id=10 + n, status="active", state=STATES[n % 3], can_ship=True, can_pickup=True, handling=pick.randrange(300),
                  line=pick.randrange(50), daily_capacity=20, entity_id=1, entity_kind="own", priority=100,
                  site_id=10 + n % 3 if n > 2 else None)  # each a further owner's goods at one of the first three
            for n in range(locations)
        ]  # fmt: skip
        network = Network(
            revision=1, places=places, channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
            services=[1], rates={1: [(r.max_grams, r.per_extra_kg) for r in rates]}, tariff=Tariff(rates), terms=terms,
        )  # fmt: skip
        stock = {sku: [pick.randrange(units + 1) for _ in places] for sku in range(1, skus + 1)}
        self.sites = {place.id: Site(place.id, f"L{place.id}", place.state, 20, place.home) for place in places}
        self.leads = Leads(Tariff(rates), [1])
        self.decided: list[Decided] = []
        self.worths: dict[UUID, dict[int, int]] = {}
        taken: Counter[int] = Counter()
        for number in range(orders):
            if number % 5 == 0:
                taken.clear()
            wanted = pick.sample(range(1, skus + 1), pick.randrange(1, min(3, skus) + 1))
            lines = [
                RequestLine(n, sku, pick.randrange(1, 3), pick.choice((400, 900, 2600)))
                for n, sku in enumerate(wanted, 1)
            ]
            worth = {line.line: pick.randrange(100, 90_000) for line in lines}
            to, id_ = pick.choice(STATES), UUID(int=number + 1)
            goods = {line.line: msgspec.structs.replace(KINDS[line.sku_id], value=worth[line.line]) for line in lines}
            request = Request(order_id=id_, channel_id=1, to_state=to, lines=lines, goods=goods, to_cep="50030230")
            found = plan(request, network, stock, [taken[place.home] for place in places])  # as a site's are counted
            for line, index, quantity in found.assignments:
                stock[lines[line - 1].sku_id][index] -= quantity
            taken.update(places[index].home for index in {index for _, index, _ in found.assignments})
            at = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(days=number // 5)
            self.worths[id_] = worth
            self.decided.append(
                Decided(id_, str(number), at, at.date(), to, 1, record_json(found).decode(), postal_code="50030230")
            )

    def replay(self, costs: CostsOnPaper | None) -> Replay:
        replay = Replay(Scenario(), self.sites, self.leads, None, costs)
        replay.kinds, replay.worths = dict(KINDS), self.worths
        return replay


money = st.integers(0, 3_000)
terms = st.builds(
    Terms,
    split=money,
    same_site=st.sampled_from((0, 120, 4_000)),
    homes=st.just({10 + n: 10 + n % 3 for n in range(9)}),
    cartons=st.lists(st.tuples(st.sampled_from((300, 1_000, 2_000, 9_000)), money), max_size=3).map(
        lambda rows: tuple(sorted(dict(rows).items()))
    ),
    risks=st.dictionaries(st.integers(10, 15), st.tuples(money, money), max_size=4),
    taxes=st.dictionaries(
        st.tuples(
            st.sampled_from((*STATES, ANY)), st.sampled_from((*STATES, ANY)), st.sampled_from(("", "6302", "63021"))
        ),
        st.builds(TaxRate, st.integers(0, 3_000), st.integers(0, 500)),
        max_size=6,
    ).map(Taxes),
    busy=st.lists(money, max_size=2).map(lambda prices: tuple(zip((0, 10), sorted(prices), strict=False))),
    credits=st.dictionaries(
        st.integers(1, 5), st.dictionaries(st.integers(10, 15), st.integers(1, 4_000), max_size=3), max_size=3
    ),
    unserved=st.dictionaries(
        st.sampled_from(("brand:b0", "brand:b1")), st.sets(st.integers(10, 15), max_size=2).map(frozenset), max_size=2
    ),
    reach=st.dictionaries(st.integers(10, 15), st.integers(100, 3_000), max_size=2),
    spots=st.just({10: (-23.5, -46.6), 11: (-8.05, -34.9), 12: (-30.03, -51.2), 13: (-23.4, -46.5)}),
)
SHAPES = st.tuples(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 5), st.integers(1, 20), st.integers(0, 6))


@settings(max_examples=80, deadline=None)
@given(SHAPES, terms)
def test_the_costs_that_decided_come_to_what_happened_when_they_are_tried(shape, stated):
    past = Past(*shape, stated)
    replay = past.replay(CostsOnPaper(stated, ALL))
    for decided in past.decided:
        told = replay.step(decided)
        assert told is not None
        record = read_record(decided.record)
        assert told.before.cost == told.after.cost == record.cost
        assert told.then == (record.cost, record.cost)
        assert not told.differs
    costed = replay.finish().costed
    assert costed is not None
    assert costed.then == costed.kept == costed.after
    assert costed.then.total == replay.result.before.total.cost == replay.result.after.total.cost


@settings(max_examples=80, deadline=None)
@given(SHAPES, terms, terms)
def test_a_plan_on_paper_costs_no_more_by_the_costs_tried_and_no_less_by_those_that_decided(shape, stated, tried):
    tried = msgspec.structs.replace(tried, unserved={}, reach={})  # both ways may go everywhere
    plain = msgspec.structs.replace(stated, unserved={}, reach={})
    past = Past(*shape, plain)
    costs = CostsOnPaper(tried, ALL - {costing.UNSERVED, costing.FAR})
    for decided in past.decided:  # each by itself: nothing is carried on
        replay = past.replay(costs)
        told = replay.step(decided)
        assert told is not None
        assert told.then is not None
        assert told.before.units == told.after.units
        if read_record(decided.record).exact:
            assert told.after.cost <= told.before.cost
            assert told.then[0] <= told.then[1]
        costed = replay.finish().costed
        assert costed is not None
        assert (costed.then.total, costed.kept.total, costed.after.total) == (
            told.then[0], told.before.cost, told.after.cost,
        )  # fmt: skip
        for order in replay.moved():
            assert order.record is not None
            record = read_record(order.record)
            again = replay_of(record)
            assert (record.cost, again.cost) == (order.cost_after, order.cost_after)


@settings(max_examples=60, deadline=None)
@given(SHAPES, terms, terms)
def test_a_draft_that_changes_no_part_leaves_every_order_as_it_was_whatever_else_it_says(shape, stated, tried):
    past = Past(*shape, stated)
    replay = past.replay(CostsOnPaper(tried, frozenset()))
    for decided in past.decided:
        replay.step(decided)
    result = replay.finish()
    assert result.moved == 0
    assert result.before == result.after


zones = st.sampled_from((*STATES, ANY))
changes = st.builds(
    Carriage,
    percent=st.integers(1, 300),
    from_state=st.sampled_from((None, *STATES)),
    to_state=st.sampled_from((None, *STATES)),
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.tuples(zones, zones, st.sampled_from((500, 2_000))), st.integers(100, 9_000), min_size=1),
    st.lists(changes, min_size=1, max_size=4),
)
def test_a_tariff_that_is_changed_costs_its_percent_between_every_two_states(rows, carriage):
    def tariff(brackets):
        return Tariff(
            Rate(service_id=1, from_state=b.from_state, to_state=b.to_state, max_grams=b.max_grams, price=b.price,
                 per_extra_kg=b.per_extra_kg, lead_days=b.lead_days)
            for b in brackets
        )  # fmt: skip

    before = [
        RateDraft(from_state=a, to_state=b, max_grams=grams, price=price, lead_days=3, per_extra_kg=0)
        for (a, b, grams), price in rows.items()
    ]
    was, now = tariff(before), tariff(rescaled({"x": before}, carriage)["x"])
    for origin in (*STATES, "BA"):
        for target in (*STATES, "BA"):
            for grams in (400, 1_500, 3_000):
                then, found = (one.quote(1, origin, target, grams) for one in (was, now))
                if then is None:
                    assert found is None
                else:
                    assert found is not None
                    percent = percent_of(carriage, origin, target)
                    assert found.price == (then.price * percent + 50) // 100
