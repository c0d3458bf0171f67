"""Which picking slots work may be given, and when it is due by them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from malha.capacity.model import DatedOverride, Kind, Measure, Override, Plan, Template
from malha.capacity.picking import PROMISED_DAYS, Picking, PickingCalendar
from malha.network.model import Location, LocationKind, LocationStatus
from malha.platform.address import Address

ZONE = ZoneInfo("America/Sao_Paulo")
MONDAY, TUESDAY = date(2026, 11, 30), date(2026, 12, 1)
NINE, NOON, TWO, SIX = time(9), time(12), time(14), time(18)
HOURS = {day: [("09:00", "18:00")] for day in ("mon", "tue", "wed", "thu", "fri")}
PLACE = Location(
    id=1, code="S1", name="S1", kind=LocationKind.STORE, establishment_id=1, status=LocationStatus.ACTIVE,
    address=Address(), state="SP", postal_code=None, latitude=None, longitude=None, timezone=ZONE.key,
    opening_hours=HOURS, holiday_calendar="BR-SP", can_ship=True, can_pickup=True, can_curbside=False, can_return=False,
    cut_off=TWO, daily_capacity=None, handling_cost=0, line_cost=0, priority=1, pickup_days=7, version=1,
)  # fmt: skip
WEEK = [Template(d, starts, ends, 2) for d in range(1, 6) for starts, ends in ((NINE, NOON), (NOON, SIX))]


def at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, ZONE).astimezone(UTC)


def a_picking(*overrides: DatedOverride, **changes: object) -> Picking:
    return Picking(msgspec.structs.replace(PLACE, **changes), Plan(1, {Kind.PICK: WEEK}, list(overrides)))


def starts(picking: Picking, day: date, now: datetime) -> list[time]:
    return [w.starts for w in picking.windows(day, now)]


def test_a_slot_takes_work_until_it_is_over() -> None:
    assert starts(a_picking(), MONDAY, at(MONDAY, time(8))) == [NINE, NOON]
    assert starts(a_picking(), MONDAY, at(MONDAY, time(11, 59))) == [NINE, NOON]
    assert starts(a_picking(), MONDAY, at(MONDAY, NOON)) == [NOON]
    assert starts(a_picking(), MONDAY, at(MONDAY, SIX)) == []


def test_a_slot_without_places_takes_nobody() -> None:
    none = DatedOverride(Kind.PICK, MONDAY, Override(starts=NINE, ends=NOON, quota=0))
    assert starts(a_picking(none), MONDAY, at(MONDAY, time(8))) == [NOON]
    assert a_picking(none).quota(MONDAY) == 2


def test_routing_may_give_a_location_what_its_day_has_room_for_and_on_a_day_without_slots_what_waits_for_the_next() -> (
    None
):
    sunday = date(2026, 11, 29)
    assert a_picking().limit(MONDAY) == 4
    assert (a_picking().quota(sunday), a_picking().limit(sunday)) == (0, None)
    nothing = Picking(PLACE, Plan(1, {Kind.PICK: [Template(1, NINE, NOON, 0)]}, []))
    assert nothing.limit(sunday) == 0


def test_a_pause_with_an_end_closes_what_begins_before_it_and_one_without_closes_nothing() -> None:
    eight = at(MONDAY, time(8))
    paused = {"status": LocationStatus.PAUSED}
    assert starts(a_picking(**paused, paused_until=at(MONDAY, NOON)), MONDAY, eight) == [NOON]
    assert starts(a_picking(**paused, paused_until=at(MONDAY, TWO)), MONDAY, eight) == []
    assert starts(a_picking(**paused), MONDAY, eight) == [NINE, NOON]


@pytest.mark.parametrize(
    ("released", "full", "due"),
    [
        (at(MONDAY, time(8)), {}, at(MONDAY, NOON)),
        (at(MONDAY, time(13)), {}, at(MONDAY, SIX)),
        (at(MONDAY, time(14, 1)), {}, at(TUESDAY, NOON)),  # the cut-off is over
        (at(MONDAY, time(8)), {(MONDAY, NINE): 0}, at(MONDAY, SIX)),
        (at(MONDAY, time(8)), dict.fromkeys([(MONDAY, NINE), (MONDAY, NOON), (TUESDAY, NINE)], 0), at(TUESDAY, SIX)),
        (at(date(2026, 12, 4), time(15)), {}, at(date(2026, 12, 7), NOON)),  # Friday afternoon
    ],
)
def test_work_is_due_when_the_first_slot_with_room_ends(
    released: datetime, full: dict[tuple[date, time], int], due: datetime
) -> None:
    calendar = PickingCalendar(a_picking(), frozenset(), full)
    assert calendar.due_at(released) == due
    assert calendar.due_day(released) == due.astimezone(ZONE).date()


def test_a_closed_day_has_no_slots_and_beyond_what_is_known_closing_time_counts() -> None:
    eight = at(MONDAY, time(8))
    assert PickingCalendar(a_picking(), frozenset({MONDAY})).due_at(eight) == at(TUESDAY, NOON)
    days = [MONDAY + timedelta(days=n) for n in range(PROMISED_DAYS + 1)]
    full = {(day, clock): 0 for day in days for clock in (NINE, NOON)}
    assert PickingCalendar(a_picking(), frozenset(), full).due_at(eight) == at(date(2026, 12, 15), SIX)


def test_where_units_count_work_is_due_when_the_first_slot_with_room_for_all_of_it_ends() -> None:
    eight = at(MONDAY, time(8))
    picking = Picking(PLACE, Plan(1, {Kind.PICK: WEEK}, [], Measure.UNITS))
    calendar = PickingCalendar(picking, frozenset(), {(MONDAY, NINE): 1})
    assert [calendar.due_at(eight, units) for units in (1, 2, 9)] == [
        at(MONDAY, NOON), at(MONDAY, SIX), at(MONDAY, SIX),
    ]  # fmt: skip
    in_orders = PickingCalendar(a_picking(), frozenset(), {(MONDAY, NINE): 1})
    assert in_orders.due_at(eight, 9) == at(MONDAY, NOON)
    assert (picking.pieces(MONDAY), a_picking().pieces(MONDAY)) == (None, 4)
