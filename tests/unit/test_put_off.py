"""Until when a care is put off, also over a change of clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from malha.console.care import until_of

ZONE = ZoneInfo("America/Santiago")


@pytest.mark.parametrize("at", [datetime(2026, 4, 5, 2, 30, tzinfo=UTC), datetime(2026, 9, 6, 3, 30, tzinfo=UTC)])
def test_an_hour_is_an_hour_when_clocks_change_within_it(at: datetime) -> None:
    here = at.astimezone(ZONE)
    until = until_of("hour", here)
    assert until is not None
    assert until.astimezone(ZONE).utcoffset() != here.utcoffset()  # they change within it
    assert until.astimezone(UTC) - at == timedelta(hours=1)


def test_a_day_and_a_week_are_of_the_clock() -> None:
    here = datetime(2026, 4, 4, 12, tzinfo=ZONE)
    assert until_of("tomorrow", here) == datetime(2026, 4, 5, 8, tzinfo=ZONE)
    assert until_of("week", here) == datetime(2026, 4, 11, 12, tzinfo=ZONE)
    assert until_of("end", here) is None
