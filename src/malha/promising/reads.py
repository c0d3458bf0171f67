"""Learned days that are in force."""

from datetime import datetime, timedelta

import msgspec

from malha.platform.db import Tx
from malha.promising.lived import Lane

STALE = timedelta(hours=48)  # after which learned days are not used: nobody has looked at deliveries since

# The newest version by primary key, if it is in force: days never come back once a later version said no.
IN_FORCE = """
SELECT id, made_at FROM promise_days_version
WHERE id = (SELECT max(id) FROM promise_days_version) AND in_force
"""

# One version by the leading column of the primary key.
DAYS = """
SELECT service_id, from_state, to_state, days FROM promise_days WHERE version_id = %(version)s::int
"""

# The newest version by primary key.
MADE_WITHIN = """
SELECT in_force AND made_at > now() - make_interval(secs => %(seconds)s::float8)
FROM promise_days_version ORDER BY id DESC LIMIT 1
"""


class LearnedDays(msgspec.Struct, frozen=True):
    """Business days from the day a parcel is to leave until it is there, by lane, and until when they may be used."""

    version: int
    until: datetime
    days: dict[Lane, int]


async def in_force(tx: Tx) -> LearnedDays | None:
    """Return the learned days that dates are promised by; None: there are none."""
    for version, made_at in await tx.tuples(IN_FORCE):
        rows = await tx.tuples(DAYS, {"version": version})
        days = {(service, origin, target): found for service, origin, target, found in rows}
        return LearnedDays(version, made_at + STALE, days)
    return None


async def made_within(tx: Tx, seconds: float) -> bool:
    """Return whether days were learned so recently, and are in force."""
    return bool(await tx.value(MADE_WITHIN, {"seconds": seconds}))
