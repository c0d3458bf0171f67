"""Decision tables: the rows that count are those whose conditions hold, and a row said never to count never does."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from malha.network.model import Method
from malha.platform.brazil import STATES
from malha.routing.ruling.model import Facts, Hit, Row, Table, Then, Traits, Unfilled, When
from malha.routing.ruling.planning import _goods, fits
from malha.routing.ruling.tables import Hits, together

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
maybe = st.one_of(st.none(), st.integers(0, 6))


def some(*values: object):
    return st.lists(st.sampled_from(values), max_size=2, unique=True)


@st.composite
def whens(draw) -> When:
    """Conditions, few values of each so that rows meet."""
    return When(
        channels=draw(some("web", "app", "shop")),
        methods=draw(some(*Method)),
        states=draw(some("SP", "RJ", "PE")),
        customer_groups=draw(some("gold", "staff")),
        min_value=draw(maybe),
        max_value=draw(maybe),
        min_units=draw(maybe),
        max_grams=draw(maybe),
        brands=draw(some("acme", "best")),
        categories=draw(some("a", "b")),
        attributes=draw(st.sampled_from(({}, {}, {"size": ["s"]}, {"size": ["s", "m"]}))),
        goods=draw(st.sampled_from(("any", "all"))),
        weekdays=draw(some(1, 2, 7)),
        from_hour=draw(st.sampled_from((None, None, 0, 8, 22))),
        to_hour=draw(st.sampled_from((None, None, 6, 18, 24))),
    )


facts = st.builds(
    Facts,
    channel=st.sampled_from(("web", "app", "shop", "other")),
    method=st.sampled_from(("ship", "pickup")),
    to_state=st.sampled_from((None, "SP", "RJ", "AM")),
    postal_code=st.none(),
    customer_group=st.sampled_from((None, "gold", "other")),
    value=maybe,
    units=st.integers(0, 6),
    grams=st.integers(0, 6),
    skus=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    at=st.one_of(st.none(), st.integers(0, 7 * 24 - 1).map(lambda hours: MONDAY + timedelta(hours=hours))),
)
TRAITS = {
    1: Traits("acme", frozenset(("a",)), {"size": "s"}),
    2: Traits("best", frozenset(("a", "b")), {"size": "m"}),
    3: Traits(None, frozenset(), {}),
}
rows = st.lists(whens(), min_size=1, max_size=8).map(lambda found: [Row(when=when) for when in found])


@settings(max_examples=120, deadline=None)
@given(rows, st.lists(facts, min_size=1, max_size=5))
def test_the_rows_that_count_are_those_whose_conditions_all_hold(rows: list[Row], orders: list[Facts]):
    for order in orders:
        slowly = [n for n, row in enumerate(rows) if fits(row.when, order, TRAITS, order.at)]
        collected = Hits(Table(hit=Hit.COLLECT, rows=rows)).of(order, order.at, TRAITS, _goods)
        first = Hits(Table(rows=rows)).of(order, order.at, TRAITS, _goods)
        assert list(collected) == slowly
        assert list(first) == slowly[:1]


@settings(max_examples=120, deadline=None)
@given(rows, st.lists(facts, min_size=1, max_size=30))
def test_a_row_said_never_to_count_does_not_and_the_rows_named_are_before_it(rows: list[Row], orders: list[Facts]):
    table = Hits(Table(rows=rows))
    never = dict(table.never())
    for order in orders:
        for n in table.of(order, order.at, TRAITS, _goods):
            assert n not in never
    assert all(m < n for n, before in never.items() for m in before)
    assert Hits(Table(hit=Hit.COLLECT, rows=rows)).never() == []


def test_rows_that_together_take_all_of_a_later_one_are_named():
    rows = [
        Row(when=When(channels=["web"], max_value=99)),
        Row(when=When(states=["AM"])),
        Row(when=When(channels=["web"], min_value=100, methods=[Method.SHIP])),
        Row(when=When(channels=["web"], min_value=50, max_value=150, methods=[Method.SHIP])),
        Row(when=When(channels=["web"], methods=[Method.SHIP])),  # a basket's value is not known: it is reached
        Row(when=When(channels=["web"], weekdays=[1], from_hour=8, to_hour=12, methods=[Method.SHIP])),
        Row(when=When(methods=[Method.SHIP])),
        Row(when=When(methods=[Method.PICKUP])),
        Row(),
    ]
    assert Hits(Table(rows=rows)).never() == [(3, [0, 2]), (5, [4]), (8, [6, 7])]


def test_a_row_of_more_goods_hides_one_of_fewer_and_not_the_other_way_round():
    wide, narrow = When(brands=["acme", "best"]), When(brands=["acme"], categories=["a"])
    assert Hits(Table(rows=[Row(when=wide), Row(when=narrow)])).never() == [(1, [0])]
    assert Hits(Table(rows=[Row(when=narrow), Row(when=wide)])).never() == []
    every = When(brands=["acme"], goods="all")
    assert Hits(Table(rows=[Row(when=every), Row(when=narrow)])).never() == []


def test_rows_together_say_of_each_thing_what_the_earliest_says():
    rows = [
        Row(then=Then(max_packages=2)),
        Row(then=Then(run="A", max_packages=1, groups=["south"])),
        Row(then=Then(unfilled=Unfilled.QUEUE, groups=["north"])),
    ]
    assert together(rows, (0, 1, 2)) == Then(run="A", max_packages=2, groups=["south"], unfilled=Unfilled.QUEUE)
    assert together(rows, (2,)) == rows[2].then


def test_when_an_order_is_cancelled_is_said_by_the_row_that_lets_it_wait():
    rows = [
        Row(then=Then(unfilled=Unfilled.QUEUE)),
        Row(then=Then(unfilled=Unfilled.DROP_SHIP, vendors=["V1"], cancel_after_days=2)),
        Row(then=Then(keep=1)),
    ]
    assert together(rows, (0, 1, 2)) == Then(unfilled=Unfilled.QUEUE, keep=1)
    assert together(rows, (2, 1)) == Then(unfilled=Unfilled.DROP_SHIP, vendors=["V1"], cancel_after_days=2, keep=1)


def test_hours_over_midnight_and_days_are_the_retailers():
    night = When(weekdays=[1], from_hour=22, to_hour=6)
    base = Facts(
        channel="web",
        method="ship",
        to_state="SP",
        postal_code=None,
        customer_group=None,
        value=1,
        units=1,
        grams=1,
        skus=[],
    )
    assert fits(night, base, {}, MONDAY.replace(hour=23))
    assert fits(night, base, {}, MONDAY.replace(hour=5))
    assert not fits(night, base, {}, MONDAY.replace(hour=6))
    assert not fits(night, base, {}, MONDAY.replace(day=24, hour=23))
    assert not fits(night, base, {}, None)


def test_a_table_in_which_everything_overlaps_is_looked_at_only_so_often():
    """To prove of each of these rows that no order reaches it would take minutes, of a page that somebody waits for."""
    rows = [
        Row(
            when=When(
                states=[state for k, state in enumerate(sorted(STATES)) if n >> k % 9 & 1] or ["SP"],
                channels=[f"c{k}" for k in range(20) if n * 2654435761 >> k & 1] or ["c0"],
                customer_groups=[f"g{k}" for k in range(20) if n * 40503 >> k & 1] or ["g"],
                weekdays=[day for day in range(1, 8) if n >> day & 1] or [1],
                from_hour=n % 24,
                to_hour=n * 7 % 24 + 1,
                min_value=n,
                max_value=1000 - n,
            )
        )
        for n in range(500)
    ]
    assert Hits(Table(rows=rows)).never() == []
    few = Hits(Table(rows=[Row(), Row(when=When(states=["SP"]))]))
    assert (few.never(), few.never(most=1)) == ([(1, [0])], [])
