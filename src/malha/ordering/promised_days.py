"""When what was promised is over.

A promised day ends where the goods go (`promising.rules.end_of`), and so does any other instant: the end of a slot, an
hour that a channel stated. Days that were promised before that, and by channels that say the last second of a day in
UTC, are nine in the evening in Brazil, where the day goes on for three hours more.

An order whose lines come on several days has two of them: `sales_order.promised_at`, the first day that is still to be
kept, by which it is sorted, found late and watched; and the day by which all of it is there (`complete_at`).
"""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import LiteralString

_STORED = time(23, 59, 59)
_GOES_ON = timedelta(hours=3)


def ends_at(promised_at: datetime) -> datetime:
    """Return the instant at which a promise is over."""
    return promised_at + _GOES_ON if promised_at.astimezone(UTC).time() == _STORED else promised_at


def is_by_day(promised_at: datetime, zone: tzinfo) -> bool:
    """Tell whether a promise is for a day, and not for an hour of it; `zone` is that of where the goods go."""
    return ends_at(promised_at) != promised_at or promised_at.astimezone(zone).time() == _STORED


def ends(promised_at: LiteralString) -> LiteralString:
    """Return the same in SQL, of a column."""
    return (
        f"({promised_at} + CASE WHEN ({promised_at} AT TIME ZONE 'UTC')::time = '23:59:59' "
        "THEN interval '3 hours' ELSE interval '0' END)"
    )


def complete_at(order: LiteralString) -> LiteralString:
    """Return in SQL when all of an order is there, of a row of `sales_order` by its alias: the last day of its lines.

    Lines that are cancelled do not count. By primary keys; orders whose lines come on one day have no rows there.
    """
    return (
        f"greatest({order}.promised_at, (SELECT max(l.promised_at) FROM order_line_promise l "
        f"WHERE l.order_id = {order}.id AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = l.order_id "
        "AND u.line = l.line AND u.state <> 'cancelled')))"
    )


def fetched_in(order: LiteralString) -> LiteralString:
    """Return in SQL the time zone an order is fetched in, of a row by its alias; NULL of one that is delivered."""
    return f"(SELECT l.timezone FROM location l WHERE l.id = {order}.pickup_location_id AND {order}.method = 'pickup')"


def is_over(promised_at: LiteralString) -> LiteralString:
    """Return the condition in SQL that a promise is over; the column's index finds what may be."""
    return f"({promised_at} < now() AND {ends(promised_at)} < now())"
