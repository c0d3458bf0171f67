"""From when work is done and how long a parcel travels to a date, on the calendar. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import lru_cache

from malha.network.calendar import add_business_days
from malha.platform.brazil import STATES
from malha.promising.model import Leg

# The end of a day in UTC lies within the same day everywhere in Brazil.
END_OF_DAY = time(23, 59, 59, tzinfo=UTC)


def arrival(legs: Iterable[Leg], to_state: str | None) -> date | None:
    """Return the business day by whose end all parcels are there; None where there is none.

    Transit counts business days of the destination: Monday to Friday, holidays of the country and its state left out.
    """
    calendar = f"BR-{to_state}" if to_state in STATES else "BR"
    days = [_after(leg.leaves, leg.transit_days, calendar) for leg in legs]
    return max(days, default=None)


@lru_cache(8192)
def _after(day: date, days: int, calendar: str) -> date:
    return add_business_days(day, days, calendar)


def end_of(day: date) -> datetime:
    """Return the instant a promise for a day is kept until."""
    return datetime.combine(day, END_OF_DAY)
