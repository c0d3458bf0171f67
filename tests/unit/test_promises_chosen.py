"""The day that is promised: from chances, levels, costs and doubt; and what a process keeps of learned dates."""

from datetime import UTC, date, datetime, time

import pytest

from malha.network.calendar import Calendar
from malha.network.model import Hours, Location, LocationKind, LocationStatus
from malha.platform.address import Address
from malha.promising.choosing import HIGHEST, LOWEST, choose, together
from malha.promising.correcting import BOUNDS, LOOK_BACK, Due, doubts
from malha.promising.foretelling import LearnedDays
from malha.promising.lived import EARLIEST, LATEST

SURE = [0.0, 0.95, 0.04, 0.01]
WIDE = [0.05] * 20
WEEK: Hours = {day: [("09:00", "18:00")] for day in ("mon", "tue", "wed", "thu", "fri", "sat")}
MONDAY, FRIDAY = date(2026, 11, 23), date(2026, 11, 27)
LANE = (1, "SP", "RJ")


def ready(**days: float) -> list[float]:
    """Chances to leave, by working days after the day; `m` before a number is before it."""
    found = [0.0] * (LATEST - EARLIEST + 1)
    for name, chance in days.items():
        found[int(name[1:]) * (-1 if name[0] == "m" else 1) - EARLIEST] = chance
    return found


def a_calendar(hours: Hours = WEEK) -> Calendar:
    return Calendar(
        Location(
            id=1, code="L", name="L", kind=LocationKind.STORE, establishment_id=1, status=LocationStatus.ACTIVE,
            address=Address(), state="SP", postal_code=None, latitude=None, longitude=None,
            timezone="America/Sao_Paulo", opening_hours=hours, holiday_calendar="BR-SP", can_ship=True, can_pickup=True,
            can_curbside=False, can_return=False, cut_off=time(14), daily_capacity=None, handling_cost=0, line_cost=0,
            priority=1, pickup_days=7, version=1,
        )
    )  # fmt: skip


def learned(**changes: object) -> LearnedDays:
    return LearnedDays(**{
        "version": 1, "until": datetime(2030, 1, 1, tzinfo=UTC), "level": 0.9, "worth": None,
        "lanes": {LANE: [0.0, 0.0, 1.0]}, "ready": {}, **changes,
    })  # fmt: skip


def test_without_costs_the_day_is_the_first_that_reaches_the_level() -> None:
    assert choose(SURE, level=0.9)[:2] == (1, 0.95)
    assert choose(SURE, level=0.97).day == 2
    assert choose(WIDE, level=0.9).day == 17


def test_with_costs_what_is_sure_gets_a_higher_chance_than_what_is_not() -> None:
    sure, wide = choose(SURE, worth=30.0), choose(WIDE, worth=15.0)
    assert (sure.day, sure.said) == (2, pytest.approx(0.99))
    assert wide.said == pytest.approx(LOWEST)


def test_a_dearer_broken_promise_never_makes_a_sooner_day() -> None:
    chances = [0.1, 0.3, 0.3, 0.1, 0.08, 0.05, 0.03, 0.02, 0.01, 0.01]
    days = [choose(chances, worth=worth).day for worth in (0.1, 1, 5, 10, 20, 50, 100, 1_000)]
    assert days == sorted(days)
    assert days[0] < days[-1]
    assert all(choose(chances, worth=worth).said >= LOWEST - 1e-6 for worth in (0.1, 1, 10, 1_000))
    assert choose(chances, worth=1e6).said <= HIGHEST + 0.011, "the first day that reaches the highest"


def test_doubt_moves_the_day_and_the_chance_that_is_said_but_not_what_was_foretold() -> None:
    plain, doubted = choose(WIDE, level=0.9), choose(WIDE, level=0.9, doubt=2.0)
    assert (plain.day, doubted.day) == (17, 18)
    assert (doubted.foretold, doubted.said) == (pytest.approx(0.95), pytest.approx(0.9))
    assert choose(WIDE, level=0.9, doubt=0.5).day == 15


def test_chances_of_leaving_and_of_travelling_make_one() -> None:
    found = together(ready(d0=0.5, d1=0.5), lambda n: n, [0.0, 0.8, 0.2])
    assert found == pytest.approx([0.0, 0.4, 0.5, 0.1])
    early = together(ready(m2=1.0), lambda n: n, [0.0, 0.8, 0.2])
    assert sum(early) == pytest.approx(1)
    assert early[0] == pytest.approx(1), "before the day it is to leave nothing is promised"


def due(kept: int, broken: int, *, foretold: float = 0.9, to: str = "RJ", age: int = 1, service: int = 1) -> list[Due]:
    return [Due(service, "SP", to, age, foretold, yes, n) for yes, n in ((True, kept), (False, broken)) if n]


def test_promises_that_were_kept_as_foretold_are_not_doubted() -> None:
    assert doubts(due(900, 100))[1, "3", "3"].factor == pytest.approx(1.0, abs=0.02)
    assert doubts([]) == {}


def test_a_zone_whose_promises_are_broken_oftener_than_others_is_doubted_and_the_others_are_not() -> None:
    found = doubts([*due(1_900, 100), *due(400, 100, to="AM")])
    assert found[1, "3", "1"].factor > 1.2
    assert found[1, "3", "3"].factor < found[1, "3", "1"].factor
    assert found[1, "3", "1"][1:] == (500, 400, pytest.approx(0.9))


def test_a_service_whose_promises_are_all_broken_oftener_is_doubted_less_than_it_was_wrong_and_never_without_end() -> (
    None
):
    found = doubts(due(500, 500))
    assert 1.05 < found[1, "", ""].factor < 5
    worst = doubts([*due(100_000, 0), *due(0, 100_000, to="AM")])
    assert worst[1, "3", "1"].factor == BOUNDS[1]
    assert worst[1, "3", "3"].factor >= BOUNDS[0]


def test_few_promises_lean_on_their_service_and_old_ones_do_not_count() -> None:
    few = doubts([*due(900, 100), *due(0, 1, to="AM")])
    assert few[1, "3", "1"].factor < 1.1
    assert doubts(due(0, 500, age=LOOK_BACK + 1)) == {}
    assert doubts(due(0, 500, age=LOOK_BACK))[1, "", ""].factor > 1


def test_services_are_doubted_apart() -> None:
    found = doubts([*due(500, 500), *due(900, 100, service=2)])
    assert found[2, "", ""].factor < found[1, "", ""].factor


def test_a_late_location_is_promised_later_and_another_on_the_same_lane_is_not() -> None:
    places = {(1, "ship", None): ready(d2=1.0), (None, "ship", None): ready(d0=1.0)}
    days = learned(ready=places)
    calendar = a_calendar()
    late = days.parcel(1, calendar, MONDAY, MONDAY, LANE)
    assert late is not None
    assert (late.days, late.late_days, late.chosen.foretold) == (4, 2, 1.0)
    usual = days.parcel(2, calendar, MONDAY, MONDAY, LANE)
    assert usual is not None
    assert (usual.days, usual.late_days) == (2, 0)
    assert days.parcel(1, calendar, MONDAY, MONDAY, (1, "SP", "AC")) is None


def test_a_weekday_of_its_own_counts_before_the_location() -> None:
    places = {(1, "ship", None): ready(d0=1.0), (1, "ship", 4): ready(d1=1.0)}
    days = learned(ready=places)
    calendar = a_calendar()
    monday, friday = (days.parcel(1, calendar, day, day, LANE) for day in (MONDAY, FRIDAY))
    assert monday is not None
    assert friday is not None
    assert (monday.days, friday.days) == (2, 2), "leaving on Saturday instead of Friday loses no business day"
    closed = a_calendar({day: hours for day, hours in WEEK.items() if day != "sat"})
    later = learned(ready=places).parcel(1, closed, FRIDAY, FRIDAY, LANE)
    assert later is not None
    assert later.days == 3


def test_goods_never_leave_before_the_order_is_released() -> None:
    places = {(1, "ship", None): ready(m3=1.0)}
    days = learned(ready=places, lanes={LANE: [0.0, 0.0, 0.0, 0.0, 1.0]})
    calendar = a_calendar()
    at_once = days.parcel(1, calendar, FRIDAY, FRIDAY, LANE)
    before = days.parcel(1, calendar, MONDAY, FRIDAY, LANE)
    assert at_once is not None
    assert before is not None
    assert at_once.days == 4
    assert before.days == 1


def test_a_zones_doubt_counts_before_that_of_its_service() -> None:
    days = learned(lanes={LANE: WIDE}, doubts={(1, "", ""): 2.0, (1, "3", "1"): 1.5})
    assert days.doubt(LANE) == 2.0
    assert days.doubt((1, "SP", "AM")) == 1.5
    assert days.doubt((2, "SP", "AM")) == 1.0
    found = days.parcel(1, a_calendar(), MONDAY, MONDAY, LANE)
    assert found is not None
    assert found.days == 18


def test_work_to_be_fetched_is_ready_as_late_as_was_learned() -> None:
    days = learned(ready={(1, "pickup", None): ready(m1=0.2, d0=0.6, d1=0.15, d2=0.05)})
    assert days.late_days(1, MONDAY) == 1
    assert days.late_days(2, MONDAY) == 0
    assert learned().late_days(1, MONDAY) == 0


def test_working_days_are_counted_by_the_locations_own_calendar() -> None:
    calendar = a_calendar()
    sunday, saturday = date(2026, 11, 29), date(2026, 11, 28)
    assert calendar.shifted(FRIDAY, 1) == saturday
    assert calendar.shifted(FRIDAY, 2) == date(2026, 11, 30)
    assert calendar.shifted(FRIDAY, -4) == MONDAY
    assert calendar.shifted(sunday, 0) == sunday
    assert calendar.working_days(FRIDAY, FRIDAY, 9) == 0
    assert calendar.working_days(FRIDAY, saturday, 9) == 1
    assert calendar.working_days(FRIDAY, sunday, 9) == 2, "a promise must say Monday to hold Sunday"
    assert calendar.working_days(FRIDAY, MONDAY, 9) == -4
    assert calendar.working_days(MONDAY, date(2027, 11, 23), 9) == 9
    assert calendar.closing_on(sunday) is None
    assert calendar.closing_on(FRIDAY) == datetime(2026, 11, 27, 21, tzinfo=UTC)
