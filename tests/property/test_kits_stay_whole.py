"""A kit comes from one place: whatever of it is missing, whole kits stay and whole kits leave."""

from hypothesis import given
from hypothesis import strategies as st

from malha.fulfillment import rules
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.ordering.model import Line, Unit, UnitState
from malha.platform.ids import new_id

ORDER = new_id()
KIT = {10: 2, 11: 1, 12: 3}


@st.composite
def picks(draw):
    """Some kits at a location, each component partly picked before, partly found and partly short now."""
    kits = draw(st.integers(1, 5))
    line = Line(ORDER, 1, 9, kits, 100, KIT)
    units, found, short = [], [], []
    for sku, each in KIT.items():
        before = draw(st.integers(0, kits * each))
        for quantity, state in ((before, UnitState.PICKED), (kits * each - before, UnitState.PICKING)):
            if quantity:
                units.append(Unit(ORDER, 1, len(units) + 1, sku, quantity, state, 1))
        lost = draw(st.integers(0, kits * each - before))
        if lost:
            short.append(Short(1, lost, RejectReason.DAMAGED, sku))
        if more := draw(st.integers(0, kits * each - before - lost)):
            found.append(Picked(1, more, sku))
    return line, units, found, short


def count(rows, sku):
    return sum(u.quantity for u in rows if u.sku_id == sku)


@given(picks())
def test_whole_kits_stay_and_whole_kits_leave(case):
    line, units, picked, short = case
    open_ = [u for u in units if u.state is UnitState.PICKING]
    found, missing = rules.plan_pick(open_, picked, short)
    companions, still = rules.plan_companions([line], units, [u for u, _ in missing], found)
    gone = [*(u for u, _ in missing), *companions]
    stay = {(count(units, sku) - count(gone, sku)) / each for sku, each in KIT.items()}
    leave = {count(gone, sku) / each for sku, each in KIT.items()}
    assert len(stay) == len(leave) == 1
    broken = max((-(-wish.quantity // KIT[wish.sku_id]) for wish in short), default=0)
    assert leave == {broken}  # no more kits leave than lost a component
    for sku in KIT:
        assert count(still, sku) <= count(found, sku)
        assert count(still, sku) + count(gone, sku) <= count(units, sku)
    if not short:
        assert (companions, still) == ([], found)


@given(picks())
def test_what_is_in_hand_is_put_back_last(case):
    line, units, picked, short = case
    open_ = [u for u in units if u.state is UnitState.PICKING]
    found, missing = rules.plan_pick(open_, picked, short)
    companions, still = rules.plan_companions([line], units, [u for u, _ in missing], found)
    for sku in KIT:
        waiting = count(open_, sku) - count(found, sku) - count([u for u, _ in missing], sku)
        assert count(found, sku) - count(still, sku) <= max(count(companions, sku) - waiting, 0)
