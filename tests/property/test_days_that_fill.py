"""How full a location's days are, against orders that are released one by one."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from malha.intake.loads import FilledCalendar, Given, load_of
from malha.network.calendar import Calendar
from malha.network.model import Location, LocationKind, LocationStatus
from malha.platform.address import Address

MONDAY = date(2026, 11, 30)
DAYS = 9
HOURS = {"mon": [("09:00", "18:00")], "tue": [("09:00", "18:00")], "thu": [("09:00", "18:00")]}


def a_location(cut_off: time) -> Location:
    return Location(
        id=1, code="S1", name="S1", kind=LocationKind.STORE, establishment_id=1, status=LocationStatus.ACTIVE,
        address=Address(), state="SP", postal_code=None, latitude=None, longitude=None, timezone="UTC",
        opening_hours=HOURS, holiday_calendar="-", can_ship=True, can_pickup=True, can_curbside=False, can_return=True,
        cut_off=cut_off, daily_capacity=None, handling_cost=0, line_cost=0, priority=100, pickup_days=5, version=1,
    )  # fmt: skip


works = st.lists(st.tuples(st.integers(0, DAYS), st.integers(1, 4)), max_size=6)


@given(
    limit=st.integers(4, 9),  # all of it finds a day within `loads.HORIZON_DAYS`
    released=works,
    claimed=works,
    hour=st.integers(0, 23),
    day=st.integers(0, 6),
)
def test_days_are_full_as_releasing_order_by_order_fills_them(limit, released, claimed, hour, day):
    place = a_location(time(14))
    calendar = Calendar(place)
    now = datetime.combine(MONDAY + timedelta(days=day), time(hour), UTC)
    first = calendar.due_day(now)
    assert first is not None
    rows = [Given(1, first + timedelta(days=n), work, claimed=False) for n, work in released]
    rows += [Given(1, first + timedelta(days=n - 3), work, claimed=True) for n, work in claimed]
    load = load_of(calendar, lambda _day: limit, rows, now)

    taken: dict[date, int] = {}
    for row in rows:
        if not row.claimed:
            taken[row.day] = taken.get(row.day, 0) + row.work
    booked = {on for on, work in taken.items() if work >= limit and calendar.is_open_on(on)}
    due_now = taken.get(first, 0) + sum(row.work for row in rows if row.claimed and row.day <= first)
    assert load.taken == (due_now if rows else 0)
    assert load.booked == booked
    for row in sorted((row for row in rows if row.claimed), key=lambda row: row.day):
        for _ in range(row.work):  # each asks for its day, and goes on to the next while that is full
            on = calendar.next_open_day(max(row.day, first))
            while on is not None and taken.get(on, 0) >= limit:
                on = calendar.next_open_day(on + timedelta(days=1))
            assert on is not None
            taken[on] = taken.get(on, 0) + 1
    filled = FilledCalendar(place)
    filled.load = load
    expected = first
    while taken.get(expected, 0) >= limit:
        later = calendar.next_open_day(expected + timedelta(days=1))
        assert later is not None
        expected = later
    assert filled.due_day(now) == expected
    assert filled.due_at(now) == calendar.closing_on(expected)
    mine = first
    while mine in booked:
        later = calendar.next_open_day(mine + timedelta(days=1))
        assert later is not None
        mine = later
    assert filled.claimed_day(now) == mine


def test_a_location_without_a_limit_is_never_full():
    calendar = Calendar(a_location(time(14)))
    now = datetime.combine(MONDAY, time(9), UTC)
    rows = [Given(1, MONDAY, 500, claimed=False), Given(1, MONDAY, 500, claimed=True)]
    load = load_of(calendar, lambda _day: None, rows, now)
    assert (load.taken, load.full, load.booked) == (1_000, frozenset(), frozenset())
