"""From a working day and a transit time to a promised day, and when it is over."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from malha.network.places import zone_of
from malha.ordering.promised_days import ends_at
from malha.ordering.rules import end_of_day
from malha.platform.brazil import STATES
from malha.promising.model import Leg
from malha.promising.rules import arrival, day_promised, end_of

BRAZIL = ZoneInfo("America/Sao_Paulo")


def test_a_day_that_is_promised_is_over_with_its_last_second_in_brazil():
    ends = ends_at(end_of(date(2026, 11, 27), "SP"))
    assert ends.astimezone(BRAZIL) == datetime(2026, 11, 27, 23, 59, 59, tzinfo=BRAZIL)
    assert ends_at(datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)) == ends, "as days were kept before, in UTC"


def test_an_hour_that_is_promised_is_over_when_it_strikes():
    for at in (datetime(2026, 11, 27, 18, 0, tzinfo=UTC), datetime(2026, 11, 27, 23, 59, 59, tzinfo=BRAZIL)):
        assert ends_at(at) == at
        assert ends_at(at + timedelta(microseconds=1)) == at + timedelta(microseconds=1)


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


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ("SP", datetime(2026, 11, 28, 2, 59, 59, tzinfo=UTC)),
        ("AM", datetime(2026, 11, 28, 3, 59, 59, tzinfo=UTC)),
        ("AC", datetime(2026, 11, 28, 4, 59, 59, tzinfo=UTC)),
        (None, datetime(2026, 11, 28, 2, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_promise_is_kept_until_the_end_of_its_day_where_the_goods_go(state: str | None, ends: datetime) -> None:
    day = date(2026, 11, 27)
    assert end_of(day, state) == ends
    assert day_promised(ends, state) == day
    assert day_promised(ends + timedelta(seconds=1), state) == date(2026, 11, 28)


def test_goods_that_are_fetched_are_promised_by_the_clock_of_their_place() -> None:
    ends = end_of(date(2026, 11, 27), None, "America/Rio_Branco")
    assert ends == datetime(2026, 11, 28, 4, 59, 59, tzinfo=UTC)
    assert day_promised(ends, None, "America/Rio_Branco") == date(2026, 11, 27)


def test_the_end_of_a_day_is_what_people_promise_by_hand_too() -> None:
    day = date(2026, 11, 27)
    assert all(end_of(day, state) == end_of_day(day, zone_of(state)) for state in STATES)


def test_promises_that_were_made_for_the_end_of_a_day_in_utc_mean_that_day() -> None:
    before = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
    assert {day_promised(before, state) for state in STATES} == {date(2026, 11, 27)}
