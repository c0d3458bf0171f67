"""Learned days that are in force, and what the dates of an order are made of."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

import msgspec

from malha.platform.db import Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.ids import UUID
from malha.promising.foretelling import LearnedDays
from malha.promising.making import read_made
from malha.promising.model import MadeReady, MadeSupply
from malha.promising.queues import Queue

STALE = timedelta(hours=48)  # after which learned days are not used: nobody has looked at deliveries since

# The newest version by primary key, if it is in force: days never come back once a later version said no.
IN_FORCE = """
SELECT id, made_at, level, worth FROM promise_days_version
WHERE id = (SELECT max(id) FROM promise_days_version) AND in_force
"""

# One version by the leading column of the primary key. A worker from before chances were kept may still run beside.
DAYS = """
SELECT service_id, from_state, to_state, chances FROM promise_days
WHERE version_id = %(version)s::int AND chances <> '{}'
"""
READY = """
SELECT location_id, method, weekday, chances FROM promise_ready WHERE version_id = %(version)s::int
"""
QUEUES = """
SELECT location_id, method, max(usual), array_agg(chances::text ORDER BY band) FROM promise_queue
WHERE version_id = %(version)s::int GROUP BY location_id, method
"""
DOUBTS = """
SELECT service_id, from_region, to_region, doubt FROM promise_doubt WHERE version_id = %(version)s::int
"""

# The newest version by primary key.
MADE_WITHIN = """
SELECT in_force AND made_at > now() - make_interval(secs => %(seconds)s::float8)
       AND worth IS NOT DISTINCT FROM %(worth)s::float8
FROM promise_days_version ORDER BY id DESC LIMIT 1
"""

# One row, or none: nobody has said anything.
WANTED = "SELECT wanted FROM promise_learning"

# The newest version by primary key.
STANDING = """
SELECT since, made_at, level, worth, outcomes,
       (SELECT count(DISTINCT location_id)::int FROM promise_ready WHERE version_id = v.id) AS locations,
       (SELECT count(*)::int FROM promise_days WHERE version_id = v.id) AS lanes
FROM promise_days_version v WHERE id = (SELECT max(id) FROM promise_days_version) AND in_force
"""

# The primary key begins with the order; decisions before this was kept have nothing to say.
MADE = """
SELECT d.attempt, d.decided_at, d.promise::text AS promise FROM routing_decision d
WHERE d.order_id = %(order_id)s::uuid AND d.promise IS NOT NULL ORDER BY d.attempt
"""

_GONE = "", "", DEFAULT_ZONE  # what is said of a location that is not there any more

# By primary key, a handful each.
PLACES = "SELECT id, code, name, timezone FROM location WHERE id = ANY(%(ids)s::int[])"
SERVICES = "SELECT id, code, name FROM service WHERE id = ANY(%(ids)s::int[])"


class MadeParcel(msgspec.Struct, frozen=True, kw_only=True):
    """One parcel a date is made of: it leaves on a working day of its location and is so many business days under way.

    `cut_off` is the location's then, on its clock: what is released after it leaves on the next working day.
    `learned`: the days are from what became of earlier deliveries, lateness in leaving included (`late_days` of them);
    else the tariff's. `said` is the chance to be there by then that was counted on; null where another parcel decides
    the date.
    """

    location: str
    location_name: str
    service: str | None
    service_name: str | None
    lines: list[int]
    cut_off: time
    leaves: date
    transit_days: int
    late_days: int
    learned: bool
    said: float | None
    arrives: date


class MadeAtPickup(msgspec.Struct, frozen=True, kw_only=True):
    """When goods are ready where they are fetched: when work is due there, and `late_days` later where it was learned.

    `cut_off` is the location's then, on its clock. `there_at`: from when all of it is there, where some of it is
    brought from elsewhere; null where it is all there.
    """

    location: str
    location_name: str
    lines: list[int]
    cut_off: time
    there_at: datetime | None
    due_at: datetime
    late_days: int
    ready_at: datetime
    timezone: str


class MadeOf(msgspec.Struct, frozen=True, kw_only=True):
    """What the date of one decision was made of. The first decision made the promise; later ones say what they come to.

    `level` is the share of promises that learned days are to keep, `version` which of them were in force. `stated`: the
    channel promised a day of its own, and this is what ours would have been. `hidden` parcels leave locations that are
    not the asker's. `ready`: of an order that is fetched, unless that is at a location that is not the asker's;
    `to_state` is empty then.
    """

    attempt: int
    decided_at: datetime
    released_at: datetime
    to_state: str
    arrives: date | None
    parcels: list[MadeParcel]
    ready: MadeAtPickup | None
    supply: list[MadeSupply]
    version: int | None
    level: float | None
    stated: bool
    hidden: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Learned days in force: since when without a break, and when the newest were learned.

    `level` is the share of promises to be kept. `worth`: what a broken promise costs in working days that a promise is
    longer, where both costs are stated; null: the level counts for every promise. `outcomes`: deliveries that were
    learned from, of so many `locations` and `lanes`.
    """

    since: datetime
    made_at: datetime
    level: float
    worth: float | None
    outcomes: int
    locations: int
    lanes: int


async def is_wanted(tx: Tx) -> bool:
    """Return whether people want dates by learned days: until one says no."""
    return (await tx.value(WANTED)) is not False


async def standing(tx: Tx) -> Standing | None:
    """Return the learned days in force, as people look at them; None: there are none."""
    found = await tx.maybe(Standing, STANDING)
    return None if found is None or found.made_at + STALE < await tx.now() else found


async def in_force(tx: Tx) -> LearnedDays | None:
    """Return the learned days that dates are promised by; None: there are none."""
    for version, made_at, level, worth in await tx.tuples(IN_FORCE):
        asked = {"version": version}
        return LearnedDays(
            version=version,
            until=made_at + STALE,
            level=level,
            worth=worth,
            lanes={(service, *states): chances for service, *states, chances in await tx.tuples(DAYS, asked)},
            ready={(place, method, weekday): of for place, method, weekday, of in await tx.tuples(READY, asked)},
            queues={
                (place, method): Queue(usual, tuple(tuple(map(float, of[1:-1].split(","))) for of in bands))
                for place, method, usual, bands in await tx.tuples(QUEUES, asked)
            },
            doubts={(service, *zone): doubt for service, *zone, doubt in await tx.tuples(DOUBTS, asked)},
        )
    return None


async def made_within(tx: Tx, seconds: float, worth: float | None) -> bool:
    """Return whether days were learned so recently, at these costs, and are in force."""
    return bool(await tx.value(MADE_WITHIN, {"seconds": seconds, "worth": worth}))


async def made_of(tx: Tx, order_id: UUID) -> list[MadeOf]:
    """Return what the dates of an order are made of, by decision; none of orders from before it was kept."""
    rows = [(attempt, at, read_made(found)) for attempt, at, found in await tx.tuples(MADE, {"order_id": order_id})]
    legs = [leg for _, _, made in rows for leg in made.legs]
    if not rows:
        return []
    wanted = [leg.location for leg in legs] + [made.ready.location for _, _, made in rows if made.ready is not None]
    places = {id_: (code, name, zone) for id_, code, name, zone in await tx.tuples(PLACES, {"ids": wanted})}
    asked = [leg.service for leg in legs if leg.service is not None]
    services = {id_: (code, name) for id_, code, name in await tx.tuples(SERVICES, {"ids": asked})}
    found = []
    for attempt, at, made in rows:
        parcels = []
        for leg in made.legs:
            if not tx.actor.sees(leg.location):
                continue
            code, name, _zone = places.get(leg.location, _GONE)
            service, service_name = services.get(leg.service or 0, (None, None))
            parcels.append(
                MadeParcel(
                    location=code, location_name=name, service=service, service_name=service_name, lines=leg.lines,
                    cut_off=leg.cut_off, leaves=leg.leaves, transit_days=leg.days, late_days=leg.late_days,
                    learned=leg.learned, said=leg.said,
                    arrives=leg.arrives,
                )
            )  # fmt: skip
        found.append(
            MadeOf(
                attempt=attempt, decided_at=at, released_at=made.released_at, to_state=made.to_state,
                arrives=max((leg.arrives for leg in made.legs), default=None), parcels=parcels,
                ready=_ready(tx, made.ready, places), supply=made.supply,
                version=made.version, level=made.level, stated=made.stated, hidden=len(made.legs) - len(parcels),
            )
        )  # fmt: skip
    return found


def _ready(tx: Tx, ready: MadeReady | None, places: Mapping[int, tuple[str, str, str]]) -> MadeAtPickup | None:
    if ready is None or not tx.actor.sees(ready.location):
        return None
    code, name, zone = places.get(ready.location, _GONE)
    return MadeAtPickup(
        location=code, location_name=name, lines=ready.lines, cut_off=ready.cut_off, there_at=ready.there_at,
        due_at=ready.due_at, late_days=ready.late_days, ready_at=ready.ready_at, timezone=zone,
    )  # fmt: skip
