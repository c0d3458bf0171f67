"""When a location works: opening hours, holidays, closures and the cut-off, in its own time zone.

A location that states no hours works Monday to Friday until 18:00, or until its cut-off where that is later. On a day
on which it closes before its cut-off, a Saturday say, what comes after that is work of the next. Holidays are those of
the `holidays` package: "BR" (national) or "BR-SP" (with the state's); "-" observes none. Municipal holidays and days
off are closures.
"""

import gzip
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from malha.network.model import WEEKDAYS, Hours, Location

NO_HOLIDAYS = "-"
DEFAULT_HOURS: Hours = {day: [("09:00", "18:00")] for day in WEEKDAYS[:5]}
FARTHEST_DAYS = 400
REMEMBERED = 1_000  # answers a calendar keeps at most
TABLE_YEARS = range(2015, 2041)
_DAY = timedelta(days=1)


@lru_cache(maxsize=512)
def holidays_of(calendar: str, year: int) -> frozenset[date]:
    """Return the public holidays of a calendar ("BR", "BR-SP", "-") in one year.

    Raises:
        ValueError: there is no such calendar.
    """
    if calendar == NO_HOLIDAYS:
        return frozenset()
    table = _table()
    if calendar in table and year in TABLE_YEARS:
        return frozenset(day for day in table["BR"] | table[calendar] if day.year == year)
    import holidays  # noqa: PLC0415  (a second and 20 MB: only for what the table does not hold)

    country, _, state = calendar.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=state or None, years=year))
    except NotImplementedError as error:
        raise ValueError(f"there is no holiday calendar {calendar!r}") from error


@lru_cache(maxsize=1)
def _table() -> dict[str, frozenset[date]]:
    """Return Brazil's holidays in `TABLE_YEARS`: the country's, and what each state adds (see the tool)."""
    raw = gzip.decompress((files("malha.network") / "data" / "holidays.txt.gz").read_bytes()).decode()
    lines = (line.split() for line in raw.splitlines())
    return {name: frozenset(date.fromisoformat(day) for day in days) for name, *days in lines}


def is_holiday(calendar: str, day: date) -> bool:
    """Tell whether a day is a public holiday of the calendar."""
    return day in holidays_of(calendar, day.year)


def is_business_day(day: date, calendar: str = "BR") -> bool:
    """Tell whether a day is one from Monday to Friday, and no holiday of the calendar."""
    return day.weekday() < 5 and not is_holiday(calendar, day)


def add_business_days(day: date, days: int, calendar: str = "BR") -> date:
    """Return the day `days` business days (Monday to Friday, no holiday) after `day`; 0 is the day itself."""
    while days > 0:
        day += _DAY
        if is_business_day(day, calendar):
            days -= 1
    return day


class Calendar:
    """The working days of one location. Built once per network snapshot; remembers what it worked out.

    `by_slots`: its work is done in slots, which may lie after it closes; only the cut-off says what is in time.
    """

    __slots__ = ("_closings", "_days", "_due", "_last", "closures", "cut_off", "holiday_calendar", "zone")

    def __init__(self, location: Location, closures: frozenset[date] = frozenset(), *, by_slots: bool = False) -> None:
        self.zone = ZoneInfo(location.timezone)
        self.cut_off = location.cut_off
        self.holiday_calendar = location.holiday_calendar
        self.closures = closures
        hours = location.opening_hours or DEFAULT_HOURS
        closings = [max((_clock(end) for _, end in hours.get(day, ())), default=None) for day in WEEKDAYS]
        if not location.opening_hours:
            closings = [None if end is None else max(end, self.cut_off) for end in closings]
        self._closings = closings
        self._last = [
            self.cut_off if by_slots or end is None else min(end, self.cut_off) for end in closings
        ]  # by weekday, when what is released is still work of the day
        self._due: dict[tuple[date, bool], datetime | None] = {}
        self._days: dict[float, date | None] = {}  # by the minute, counted from 1970

    def local(self, at: datetime) -> datetime:
        """Return an instant on the location's clock."""
        return at.astimezone(self.zone)

    def is_open_on(self, day: date) -> bool:
        """Tell whether the location works on a day: it has hours then, no holiday, no closure."""
        return (
            self._closings[day.weekday()] is not None
            and day not in self.closures
            and not is_holiday(self.holiday_calendar, day)
        )

    def next_open_day(self, day: date) -> date | None:
        """Return the first working day on or after `day`, or None when there is none within 400 days."""
        for ahead in range(FARTHEST_DAYS):
            candidate = day + ahead * _DAY
            if self.is_open_on(candidate):
                return candidate
        return None

    def shifted(self, day: date, days: int) -> date:
        """Return the working day so many after a day, or (below 0) before it; 0 is the day itself.

        The last day looked at, where the location does not work so often.
        """
        step = _DAY if days > 0 else -_DAY
        for _ in range(FARTHEST_DAYS):
            if days == 0:
                break
            day += step
            if self.is_open_on(day):
                days -= step.days
        return day

    def working_days(self, first: date, last: date, most: int) -> int:
        """Return how many working days after `first` a promise must say to hold `last`; below 0 before it.

        At most `most`, either way.
        """
        count, day = 0, first
        while day != last and abs(count) < most:
            day += _DAY if day < last else -_DAY
            if self.is_open_on(day):
                count += 1 if last > first else -1
        return count + (last > first and count < most and not self.is_open_on(last))

    def closing_on(self, day: date) -> datetime | None:
        """Return the instant (UTC) at which the location closes on a day; None: it has no hours then."""
        closing = self._closings[day.weekday()]
        return None if closing is None else datetime.combine(day, closing, self.zone).astimezone(UTC)

    def due_day(self, released_at: datetime, units: int = 1) -> date | None:  # noqa: ARG002
        """Return the working day on which work released at an instant is done, however many units it has.

        The same day until the cut-off (the cut-off's own minute counts) and while it is open, else the next working
        day.
        """
        return self.first_day(released_at)

    def first_day(self, released_at: datetime) -> date | None:
        """Return the same, whether that day has room or not."""
        # Orders that are placed together are released in the same minute, and a minute here is a minute in every zone.
        minute = released_at.timestamp() // 60
        if minute not in self._days:
            if len(self._days) > REMEMBERED:
                self._days.clear()
            self._days[minute] = self._due_day(released_at)
        return self._days[minute]

    def claimed_day(self, released_at: datetime, units: int = 1) -> date | None:
        """Return the same for work that is claimed: what else waits to be released is not before it."""
        return self.due_day(released_at, units)

    def _due_day(self, released_at: datetime) -> date | None:
        local = released_at.astimezone(self.zone)
        return self.next_open_day(local.date() if self._is_in_time(local) else local.date() + _DAY)

    def _is_in_time(self, local: datetime) -> bool:
        return local.time().replace(second=0, microsecond=0) <= self._last[local.weekday()]

    def due_at(self, released_at: datetime, units: int = 1) -> datetime | None:  # noqa: ARG002
        """Return the instant (UTC) work released at an instant is due: the closing hour of its working day.

        None when the location does not work within 400 days.
        """
        local = released_at.astimezone(self.zone)
        key = local.date(), self._is_in_time(local)
        if key not in self._due:
            day = self.first_day(released_at)
            if len(self._due) > REMEMBERED:
                self._due.clear()
            self._due[key] = None if day is None else self.closing_on(day)
        return self._due[key]


def due_at(location: Location, released_at: datetime, closures: frozenset[date] = frozenset()) -> datetime | None:
    """Return when work released to a location at an instant is due; see `Calendar.due_at`."""
    return Calendar(location, closures).due_at(released_at)


def next_open_day(location: Location, day: date, closures: frozenset[date] = frozenset()) -> date | None:
    """Return a location's first working day on or after `day`; see `Calendar.next_open_day`."""
    return Calendar(location, closures).next_open_day(day)


def _clock(text: str) -> time:
    """Return "18:00" as a time; "24:00" is the last minute of the day."""
    return time(23, 59) if text == "24:00" else time.fromisoformat(text)
