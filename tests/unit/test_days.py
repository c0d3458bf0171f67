"""A day that is read has days beside it, and instants in every zone."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.ordering.listing import day_bounds
from malha.ordering.rules import end_of_day
from malha.platform.days import maybe_day, read_day

ZONES = [ZoneInfo(name) for name in ("America/Noronha", "America/Rio_Branco", "Pacific/Kiritimati", "Etc/GMT+12")]


@pytest.mark.parametrize(
    "text", ["", "x", "2026-02-30", "10000-01-01", "0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31"]
)
def test_what_is_no_day_on_which_anything_is_sold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_day(text)
    assert maybe_day(text) is None


@given(st.dates(), st.sampled_from(ZONES))
def test_a_day_that_is_read_can_be_reckoned_with(day: date, zone: ZoneInfo) -> None:
    found = maybe_day(day.isoformat())
    if found is not None:
        assert found == day
        assert found - timedelta(days=366) < found < found + timedelta(days=366)
        since, until = day_bounds(found, found, zone)
        assert since is not None
        assert until is not None
        assert since < end_of_day(found, zone) < until
