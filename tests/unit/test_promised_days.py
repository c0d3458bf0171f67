"""From a working day and a transit time to a promised day."""

from datetime import UTC, date, datetime

from malha.promising.model import Leg
from malha.promising.rules import arrival, end_of


def test_transit_counts_business_days_of_the_destination():
    friday = date(2026, 11, 27)
    assert arrival([Leg(friday, 0)], "SP") == friday
    assert arrival([Leg(friday, 3)], "SP") == date(2026, 12, 2)


def test_a_holiday_of_the_destinations_state_makes_a_day_longer():
    # 9 July is a holiday in São Paulo (2026: a Thursday), not in Rio de Janeiro.
    wednesday = date(2026, 7, 8)
    assert arrival([Leg(wednesday, 1)], "RJ") == date(2026, 7, 9)
    assert arrival([Leg(wednesday, 1)], "SP") == date(2026, 7, 10)


def test_the_slowest_parcel_decides_and_nothing_that_travels_is_no_day():
    legs = [Leg(date(2026, 11, 23), 1), Leg(date(2026, 11, 25), 2)]
    assert arrival(legs, "SP") == date(2026, 11, 27)
    assert arrival([], "SP") is None


def test_an_unknown_state_keeps_the_countrys_holidays():
    assert arrival([Leg(date(2026, 12, 24), 1)], None) == date(2026, 12, 28)


def test_a_promise_is_kept_until_the_end_of_its_day_everywhere_in_brazil():
    end = end_of(date(2026, 11, 27))
    assert end == datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
