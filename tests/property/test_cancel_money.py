"""Cancelling piecewise sums to cancelling the whole, to the cent, and no unit is made or lost."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.ordering import rules
from malha.ordering.errors import DocumentStands, NothingToCancel, QuantityTooLarge, UnitsLeft
from malha.ordering.model import (
    CLAIMING,
    GONE,
    MONEY_HOLDS,
    TRANSITIONS,
    CancelWish,
    HoldKind,
    Line,
    Move,
    Order,
    OrderStatus,
    Unit,
    UnitState,
)
from malha.platform.ids import new_id

ORDER = new_id()


def an_order_of(lines, discount=0, shipping=0):
    items = sum(line.total for line in lines)
    return Order(
        id=ORDER,
        number=1,
        channel_id=1,
        currency="BRL",
        status=OrderStatus.ALLOCATED,
        items_total=items,
        discount_total=discount,
        shipping_total=shipping,
        total=items - discount + shipping,
        cancelled_total=0,
        method="ship",
        service_id=None,
        pickup_location_id=None,
        buyer_name="",
        buyer_document=None,
        buyer_email=None,
        buyer_phone=None,
        ship_to=None,
        release_after=datetime.now(UTC),
        seq=1,
    )


@st.composite
def sold_orders(draw):
    lines = []
    for n in range(1, draw(st.integers(1, 4)) + 1):
        quantity, price = draw(st.integers(1, 7)), draw(st.integers(0, 999))
        components = draw(st.sampled_from([{}, {}, {10: 1, 11: 3}]))
        lines.append(Line(ORDER, n, n, quantity, quantity * price - draw(st.integers(0, quantity * price)), components))
    items = sum(line.total for line in lines)
    return an_order_of(lines, draw(st.integers(0, items)), draw(st.integers(0, 500))), lines


def units_of(lines, state=UnitState.ALLOCATED):
    units = []
    for line in lines:
        for part, (sku, each) in enumerate(rules.per_unit(line).items(), 1):
            units.append(Unit(ORDER, line.line, part, sku, line.quantity * each, state, location_id=1))
    return units


@given(sold_orders(), st.data())
def test_cancelling_piecewise_takes_off_exactly_the_total_and_never_a_negative_amount(sold, data):
    order, lines = sold
    units = units_of(lines)
    left = {line.line: line.quantity for line in lines}
    taken = 0
    worth = 0
    while any(left.values()):
        line = data.draw(st.sampled_from([n for n, q in left.items() if q]))
        quantity = data.draw(st.integers(1, left[line]))
        moves = rules.plan_cancel(lines, units, [CancelWish(line, quantity)])
        units = rules.plan_moves(units, moves).units
        left[line] -= quantity
        cancelled = rules.cancelled_quantities(lines, units)
        assert cancelled == {x.line: x.quantity - left[x.line] for x in lines}
        now = rules.cancelled_worth(order, lines, cancelled)
        assert now - worth >= 0
        taken += now - worth
        worth = now
    assert taken == order.total == rules.cancelled_worth(order, lines, {x.line: x.quantity for x in lines})
    with pytest.raises(NothingToCancel):
        rules.plan_cancel(lines, units, None)


@given(sold_orders(), st.data())
def test_moves_conserve_the_units_of_every_line_and_sku_and_refuse_what_may_not_follow(sold, data):
    _, lines = sold
    units = units_of(lines, UnitState.ALLOCATED)

    def count(rows):
        sums = {}
        for u in rows:
            sums[u.line, u.sku_id] = sums.get((u.line, u.sku_id), 0) + u.quantity
        return sums

    whole = count(units)
    for _ in range(data.draw(st.integers(1, 12))):
        unit = data.draw(st.sampled_from(units))
        to = data.draw(st.sampled_from(list(UnitState)))
        move = Move(unit.line, unit.part, data.draw(st.integers(1, unit.quantity)), to, location_id=7)
        if to not in TRANSITIONS[unit.state]:
            with pytest.raises(rules.IllegalTransition):
                rules.plan_moves(units, [move])
            continue
        plan = rules.plan_moves(units, [move])
        keys = [(u.line, u.part) for u in plan.units]
        assert len(set(keys)) == len(keys)
        assert {(u.line, u.part) for u in units} <= set(keys)
        assert count(plan.units) == whole
        assert all(u.quantity > 0 for u in plan.units)
        assert all((u.location_id is not None) for u in plan.units if u.state in CLAIMING)
        untouched = {(u.line, u.part): u for u in units} | {(u.line, u.part): u for u in plan.changed + plan.added}
        assert [untouched[key] for key in sorted(untouched)] == plan.units
        units = plan.units


def test_a_cancel_takes_the_least_advanced_units_first_and_keeps_kits_whole():
    kit = Line(ORDER, 1, 5, 3, 3000, {10: 1, 11: 2})
    units = [
        Unit(ORDER, 1, 1, 10, 2, UnitState.PICKING, 1),
        Unit(ORDER, 1, 2, 11, 4, UnitState.PICKING, 1),
        Unit(ORDER, 1, 3, 10, 1, UnitState.BACKORDERED),
        Unit(ORDER, 1, 4, 11, 2, UnitState.BACKORDERED),
    ]
    moves = rules.plan_cancel([kit], units, [CancelWish(1, 2)])
    assert {(m.part, m.quantity) for m in moves} == {(3, 1), (1, 1), (4, 2), (2, 2)}


def test_what_has_left_or_is_covered_by_a_document_refuses_and_says_why():
    line = Line(ORDER, 1, 5, 4, 4000)
    document = new_id()
    units = [
        Unit(ORDER, 1, 1, 5, 1, UnitState.SHIPPED, 1),
        Unit(ORDER, 1, 2, 5, 2, UnitState.INVOICED, 1, document_id=document),
        Unit(ORDER, 1, 3, 5, 1, UnitState.ALLOCATED, 1),
    ]
    assert len(rules.plan_cancel([line], units, [CancelWish(1, 1)])) == 1
    with pytest.raises(DocumentStands) as refused:
        rules.plan_cancel([line], units, [CancelWish(1, 3)])
    assert refused.value.facts["quantity"] == 2
    with pytest.raises(UnitsLeft):
        rules.plan_cancel([line], units, [CancelWish(1, 4)])
    with pytest.raises(UnitsLeft):
        rules.plan_cancel([line], units, None)
    with pytest.raises(DocumentStands):
        rules.plan_cancel([line], units, None, rest=True)
    with pytest.raises(QuantityTooLarge):
        rules.plan_cancel([line], units, [CancelWish(1, 5)])
    gone_and_free = [units[0], units[2]]
    assert rules.plan_cancel([line], gone_and_free, None, rest=True) == [Move(1, 3, 1, UnitState.CANCELLED)]


@given(st.lists(st.sampled_from(list(UnitState)), max_size=6), st.sets(st.sampled_from(list(HoldKind)), max_size=3))
def test_the_status_names_the_least_advanced_thing_a_person_must_know(states, holds):
    status = rules.derive_status(states, holds)
    living = [s for s in states if s is not UnitState.CANCELLED]
    if not states:
        assert status is OrderStatus.PLACED
    elif not living:
        assert status is OrderStatus.CANCELLED
    elif holds and not set(living) <= GONE:
        assert status is (OrderStatus.AWAITING_PAYMENT if holds <= MONEY_HOLDS else OrderStatus.ON_HOLD)
    else:
        assert status is rules.derive_status([min(living, key=rules.PROGRESS.index)], ())
        assert status not in {OrderStatus.ON_HOLD, OrderStatus.AWAITING_PAYMENT, OrderStatus.CANCELLED}
