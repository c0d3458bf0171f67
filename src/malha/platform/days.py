"""Days as people and programs write them: those on which something can be sold.

The ends of the calendar have no day beside them and no instant in every zone: whoever asked for the next day, or for
the last second of that day somewhere, would meet an overflow instead of an answer.
"""

from datetime import date, datetime

FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)


def read_day(text: str) -> date:
    """Read a day like `2026-12-24`.

    Raises:
        ValueError: it is no day, or none of the years 1900 to 2999.
    """
    return checked(date.fromisoformat(text))


def maybe_day(text: str | None) -> date | None:
    """Read a day as `read_day`; None for anything that is none."""
    try:
        return read_day(text or "")
    except ValueError:
        return None


def checked(day: date) -> date:
    """Return a day that was read otherwise.

    Raises:
        ValueError: it is none of the years 1900 to 2999.
    """
    if not FIRST <= day <= LAST:
        raise ValueError(f"{day} is none of the years {FIRST.year} to {LAST.year}")
    return day


def is_far(at: date) -> bool:
    """Tell whether a day, or the day of an instant where it was written, is none of the years 1900 to 2999.

    Such an instant may have no day in another zone, and what the database makes of it cannot be read any more.
    """
    return not FIRST <= (at.date() if isinstance(at, datetime) else at) <= LAST
