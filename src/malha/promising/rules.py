"""From when work is done and how long a parcel travels to a date, on the calendar. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import lru_cache

from malha.network.calendar import add_business_days
from malha.network.places import zone_of
from malha.platform.brazil import STATES
from malha.platform.i18n import DEFAULT_ZONE
from malha.promising.model import Leg

END_OF_DAY = time(23, 59, 59)


def arrival(legs: Iterable[Leg], to_state: str | None) -> date | None:
    """Return the business day by whose end all parcels are there; None where there is none."""
    return max([there_on(leg.leaves, leg.transit_days, to_state) for leg in legs], default=None)


def there_on(leaves: date, transit_days: int, to_state: str | None) -> date:
    """Return the day on which goods are there that leave on a day.

    Transit counts business days of the destination: Monday to Friday, holidays of the country and its state left out.
    """
    return _after(leaves, transit_days, f"BR-{to_state}" if to_state in STATES else "BR")


@lru_cache(8192)
def _after(day: date, days: int, calendar: str) -> date:
    return add_business_days(day, days, calendar)


def end_of(day: date, to_state: str | None, zone: str = DEFAULT_ZONE) -> datetime:
    """Return the instant (UTC) a promise for a day is kept until: the end of that day where the goods go.

    `zone` is where that is, of goods that go to no state: they are fetched.
    """
    return datetime.combine(day, END_OF_DAY, zone_of(to_state, zone)).astimezone(UTC)


def day_promised(promised_at: datetime, to_state: str | None, zone: str = DEFAULT_ZONE) -> date:
    """Return the day a promise means, by the clock of where the goods go; see `end_of`."""
    return promised_at.astimezone(zone_of(to_state, zone)).date()
