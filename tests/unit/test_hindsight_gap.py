"""The gap to hindsight: which orders are compared, what is counted, and a bound that no decisions undercut."""

import random
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from malha.platform.ids import UUID, new_id
from malha.routing.pricing.hindsight import bound_of
from malha.routing.records import read_record
from malha.routing.terms import Amounts, OrderTerms
from malha.simulation import gap_rules
from malha.simulation.gap_rules import Compared
from malha.simulation.model import Beyond, DayGap, Decided
from malha.simulation.rules import Outcome, Told

DAY = date(2026, 11, 25)


def a_record(lines, free, parcels, cost, **more):
    """An order of one state: three places, the first cheap, each parcel 1000, 1500 or 4000 centavos, a line nothing."""
    said = {
        "rules": 2, "network": 1, "channel": 1, "method": "ship", "to": "SP", "locations": [11, 12, 13],
        "classes": [[0, 0, 0], [1, 0, 0], [2, 0, 0]], "rates": [[30_000, [1000, 1500, 4000]]],
        "lines": lines, "free": free, "parcels": parcels, "cost": cost, **more,
    }  # fmt: skip
    return read_record(msgspec.json.encode(said))


def one(sku, at, free):
    """One unit of a SKU that went to a place (position), having seen so many free at each."""
    price = [1000, 1500, 4000][at]
    return a_record([[1, sku, 1, 500]], [free], [[at, None, price, 1, [[1, 1]]]], price)


def test_hindsight_gives_the_last_cheap_unit_to_whom_it_helps_most():
    # The first order takes the only unit of B at the cheap place; the second wants A and B and gets B from far away.
    first = one(2, 0, [1, 1, 9])
    second = a_record(
        [[1, 1, 1, 500], [2, 2, 1, 500]],
        [[5, 0, 0], [0, 0, 9]],
        [[0, None, 1000, 1, [[1, 1]]], [2, None, 4000, 1, [[2, 1]]]],
        5000,
    )
    real = 1000 + 5000
    found = bound_of([first, second], seconds=10.0)
    # In hindsight the first is served from the second place for 1500, and the second whole for 1000.
    assert found.bound == pytest.approx(2500, rel=2e-3)
    assert found.bound <= real


def test_a_day_decided_as_well_as_can_be_has_no_gap():
    records = [one(1, 0, [3 - n, 0, 5]) for n in range(3)]
    assert bound_of(records, seconds=10.0).bound == pytest.approx(3000, rel=2e-3)


def test_no_decisions_are_below_the_bound():
    rng = random.Random(7)
    for _ in range(20):
        stock = {sku: [rng.randint(0, 3), rng.randint(0, 3), 50] for sku in range(4)}
        records, real = [], 0
        for _order in range(rng.randint(1, 12)):
            sku = rng.randrange(4)
            at = next(p for p, units in enumerate(stock[sku]) if units)
            records.append(one(sku, at, list(stock[sku])))
            real += records[-1].cost
            stock[sku][at] -= 1
        assert bound_of(records, seconds=10.0).bound <= real * (1 + 1e-9)


def test_the_penalty_of_further_parcels_is_in_the_bound_for_those_alone():
    def with_penalty(record, parcels):
        return msgspec.structs.replace(record, split=300, cost=record.cost + 300 * (parcels - 1))

    records = [with_penalty(one(1, 0, [9 - n, 0, 5]), 1) for n in range(3)]
    assert bound_of(records, seconds=10.0).bound == pytest.approx(3000, rel=2e-3)
    # Nobody has both: two parcels, one penalty.
    parted = a_record(
        [[1, 1, 1, 500], [2, 2, 1, 500]],
        [[5, 0, 0], [0, 5, 0]],
        [[0, None, 1000, 1, [[1, 1]]], [1, None, 1500, 1, [[2, 1]]]],
        2500,
    )
    found = bound_of([with_penalty(parted, 2)], seconds=10.0)
    assert found.bound == pytest.approx(2800, rel=2e-3)
    assert found.bound <= 2800 * (1 + 1e-9)


def test_what_a_location_may_not_send_it_does_not_send_in_hindsight_either():
    record = a_record([[1, 1, 1, 500]], [[5, 0, 5]], [[2, None, 4000, 1, [[1, 1]]]], 4000, excluded=[[1, [0]]])
    assert bound_of([record], seconds=10.0).bound == pytest.approx(4000, rel=2e-3)


def test_orders_of_which_the_programme_cannot_speak_are_left_out():
    plain = one(1, 0, [1, 0, 0])
    assert gap_rules.is_comparable(plain)
    kit = a_record([[1, 1, 1, 500, [[7, 2]]]], [[2, 0, 0]], [[0, None, 1000, 1, [[1, 1]]]], 1000)
    parted = a_record([[1, 1, 2, 500]], [[1, 1, 0]], [[0, None, 1000, 1, [[1, 1]]], [1, None, 1500, 1, [[1, 1]]]], 2500)
    nowhere = a_record([[1, 1, 1, 500]], [[0, 0, 0]], [], 0, unplaced=[[1, 1]])
    rough = msgspec.structs.replace(plain, exact=False)
    aged = msgspec.structs.replace(plain, terms=OrderTerms(credits=[(1, [(0, 150)])]))
    assert not any(gap_rules.is_comparable(record) for record in (kit, parted, nowhere, rough, aged))
    lines = [[1, 1, 1, 500], [2, 2, 1, 500]]
    went = [[0, None, 1000, 1, [[1, 1]]]]
    short = a_record(lines, [[1, 0, 0], [0, 0, 0]], went, 1000, unplaced=[[2, 1]], exact=False)
    why = [gap_rules.beyond(record) for record in (kit, parted, nowhere, short, rough, aged)]
    assert why == [Beyond.KIT, Beyond.PARTED, Beyond.NOWHERE, Beyond.SHORT, Beyond.PARTED, Beyond.AGED]


def noted(compared, day, record, before, after):
    """Count an order that is known to have come to something in both worlds."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    compared.note(Decided(new_id(), "1", at, day, "SP", 1, "{}"), Outcome(record, before, after, []))


def test_a_draft_that_has_other_goods_come_together_gains_nothing_of_the_gap():
    apart = Told(1200, 1, 1, 2, ["A"])
    for after, alike in ((apart, True), (apart._replace(together="HUB"), False), (apart._replace(units=0), False)):
        compared = Compared({DAY: 1})
        noted(compared, DAY, one(1, 0, [1, 0, 0]), apart, after)
        day = compared.finish({DAY: (1000.0, 0.0)}, 1.0).days[DAY.isoformat()]
        assert day.alike is alike
        assert (gap_rules.captured(day) is None) is not alike


def test_places_on_busy_days_are_counted_of_days_with_a_bound_alone():
    other = DAY + timedelta(days=1)
    compared = Compared({DAY: 1, other: 1})
    told = Told(1200, 1, 1, 2, ["A"])
    for day, busy in ((DAY, 40), (other, 500)):
        record = msgspec.structs.replace(one(1, 0, [1, 0, 0]), amounts=[Amounts(busy=busy)])
        noted(compared, day, record, told, told)
    gap = compared.finish({DAY: (1000.0, 0.0)}, 1.0)
    assert (gap.busy, gap.left) == (40, 1)


def test_the_sample_is_the_same_for_everybody_and_of_the_size_that_was_said():
    ids = [new_id() for _ in range(20_000)]
    drawn = [id_ for id_ in ids if gap_rules.is_drawn(id_, 0.25)]
    assert drawn == [id_ for id_ in ids if gap_rules.is_drawn(UUID(str(id_)), 0.25)]
    assert 0.2 < len(drawn) / len(ids) < 0.3
    assert all(gap_rules.is_drawn(id_, 1.0) for id_ in ids)


def test_large_days_are_sampled_and_long_times_thinned_evenly():
    days = {DAY + timedelta(days=n): 500 if n else 4 * gap_rules.SAMPLE for n in range(100)}
    shares = gap_rules.drawn(days)
    assert len(shares) == gap_rules.MOST_DAYS
    assert (min(shares), max(shares)) == (DAY, DAY + timedelta(days=99))
    assert shares[DAY] == 0.25
    assert shares[DAY + timedelta(days=99)] == 1.0


def test_what_the_draft_captures_is_a_share_of_what_hindsight_leaves():
    day = DayGap(orders=10, compared=10, live=1200, draft=1100, bound=1000.0, certificate=0.01)
    assert gap_rules.captured(day) == 0.5
    assert gap_rules.ratio(day.live, day.bound) == 1.2
    assert gap_rules.captured(msgspec.structs.replace(day, alike=False)) is None
    assert gap_rules.captured(msgspec.structs.replace(day, bound=1200.0)) is None
    both = gap_rules.whole([day, msgspec.structs.replace(day, certificate=0.03)])
    assert (both.live, both.bound) == (2400, 2000.0)
    assert both.certificate == pytest.approx(0.02)


def test_a_bound_that_is_cut_short_is_a_bound_too():
    records = [one(1, 0, [3 - n, 0, 5]) for n in range(3)]
    assert bound_of(records, seconds=0.0).bound <= 3000
