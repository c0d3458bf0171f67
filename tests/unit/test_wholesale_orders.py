"""Orders of hundreds of lines in many parcels: what is worked out for them grows with them, not with their square."""

import sys
from collections.abc import Callable
from typing import Any

from malha.fulfillment import rules
from malha.fulfillment.model import Content, Parcel, Picked
from malha.ordering.model import Move, Unit, UnitState
from malha.ordering.rules import plan_moves
from malha.platform.ids import new_id

ORDER = new_id()


def lines_of(n: int, quantity: int, state: UnitState) -> list[Unit]:
    return [Unit(ORDER, line, 1, line, quantity, state, 1) for line in range(1, n + 1)]


def steps_of(work: Callable[[], object]) -> int:
    """Return how many functions of Python are entered meanwhile: the same on every machine."""
    entered = 0

    def count(_frame: Any, event: str, _about: Any) -> None:
        nonlocal entered
        entered += event == "call"

    former = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(former)
    return entered


class Read(list[Unit]):
    """Units that know how often somebody looked through all of them."""

    times = 0

    def __iter__(self) -> Any:
        self.times += 1
        return super().__iter__()


def test_what_parcels_hold_is_found_without_looking_through_the_order_for_each_content():
    units = Read(lines_of(50, 20, UnitState.PICKED))
    parcel = Parcel(contents=[Content(line, 1) for line in range(1, 51)])
    packed = rules.plan_parcels(units, [parcel] * 20)
    assert [sum(u.quantity for u in inside) for inside in packed] == [50] * 20
    assert units.times < 5


def test_a_pick_of_many_lines_does_not_look_through_the_order_for_each():
    units = Read(lines_of(50, 20, UnitState.PICKING))
    found, _ = rules.plan_pick(units, [Picked(line, 20) for line in range(1, 51)], [])
    assert sum(u.quantity for u in found) == 1_000
    assert units.times < 5


def test_moving_twice_as_many_pieces_is_twice_the_work():
    def moving(parcels: int) -> int:
        units = lines_of(20, parcels, UnitState.PICKED)
        ids = [new_id() for _ in range(parcels)]
        moves = [Move(u.line, u.part, 1, UnitState.PACKED, shipment_id=id_) for id_ in ids for u in units]
        plan: Any = None

        def work() -> None:
            nonlocal plan
            plan = plan_moves(units, moves)

        steps = steps_of(work)
        assert len(plan.units) == len(moves)
        assert sum(u.quantity for u in plan.units) == sum(u.quantity for u in units)
        return steps

    assert moving(40) < 3 * moving(20)
