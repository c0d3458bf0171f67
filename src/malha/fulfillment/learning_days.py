"""Learning how long deliveries take from what became of promises: a small table, made anew every few hours.

No model and no NumPy: counts come from one statement, the life table is small and is worked out in a thread.
"""

import asyncio
from datetime import date

import structlog

from malha.network.calendar import add_business_days
from malha.platform.brazil import STATES
from malha.platform.db import Database, Tx
from malha.promising import keeping
from malha.promising import reads as learned
from malha.promising.lived import MOST_DAYS, Waited, learn

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3600.0
LEVEL = 0.9  # the share of promises to keep
LOOK_BACK = 75  # calendar days of days to leave
LOST = 60  # calendar days after which what nobody said to be there is lost, or was never told

# Deliveries by lane, day to leave and day of arrival, the open ones without one: by the index on promised days, which
# lie after the day to leave.
WAITED = """
SELECT p.service_id, p.from_state, p.to_state, (p.due_at AT TIME ZONE l.timezone)::date AS due,
       (p.delivered_at AT TIME ZONE l.timezone)::date AS came, count(*)::int, (now() AT TIME ZONE l.timezone)::date
FROM promise_outcome p JOIN location l ON l.id = p.location_id
WHERE p.promised_at > now() - make_interval(days => %(back)s::int) AND p.method = 'ship' AND p.service_id IS NOT NULL
  AND p.from_state IS NOT NULL AND p.to_state IS NOT NULL AND p.due_at <= now()
  AND (p.delivered_at IS NOT NULL OR p.due_at > now() - make_interval(days => %(lost)s::int))
GROUP BY 1, 2, 3, 4, 5, 7
"""


async def renew(db: Database, *, wanted: bool, level: float = LEVEL) -> bool:
    """Learn days anew where the last are some hours old; return whether some are in force now.

    Where they are not wanted, or too few deliveries are known, those in force are withdrawn.
    """
    async with db.transaction() as tx:
        if not wanted:
            await keeping.withdraw(tx)
            return False
        if await learned.made_within(tx, EVERY_S):
            return True
        rows = await waited(tx)
    lanes = await asyncio.to_thread(learn, rows, level)
    async with db.transaction() as tx:
        if not lanes:
            await keeping.withdraw(tx)
            return False
        version = await keeping.keep(tx, lanes, level)
    log.info("promise_days_learned", version=version, lanes=len(lanes))
    return True


async def waited(tx: Tx) -> list[Waited]:
    """Return how long deliveries took, and those on their way have waited, in business days of the destination."""
    found = await tx.tuples(WAITED, {"back": LOOK_BACK, "lost": LOST})
    return [
        Waited(service, origin, target, (today - due).days, _between(due, came or today, target), came is not None, n)
        for service, origin, target, due, came, n, today in found
        if origin in STATES and target in STATES
    ]


def _between(first: date, last: date, state: str) -> int:
    """Return how many business days after `first` a promise must say to hold `last`; at most `MOST_DAYS`."""
    calendar, days, day = f"BR-{state}", 0, first
    while day < last and days < MOST_DAYS:
        day = add_business_days(day, 1, calendar)
        days += 1
    return days
