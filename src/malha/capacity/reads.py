"""Slots as others see them: what locations state, what is taken, and who has a place."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from malha.capacity import rules
from malha.capacity.model import DatedOverride, Key, Kind, Measure, Override, Plan, Reservation, Slot, State, Template
from malha.network import reads as network
from malha.network.calendar import is_holiday
from malha.network.model import Location, LocationStatus
from malha.platform.db import Tx
from malha.platform.ids import UUID

REVISION = "capacity"
EARLIEST, LATEST = date.min, date.max

PLANS = """
SELECT location_id, version, measure FROM capacity_plan WHERE location_id = ANY (%(locations)s::int[])
"""

# By the leading column of the primary key.
TEMPLATES = """
SELECT location_id, kind, weekday, starts, ends, quota FROM capacity_template
WHERE location_id = ANY (%(locations)s::int[]) ORDER BY location_id, kind, weekday, starts
"""

# By the leading columns of the unique index.
OVERRIDES = """
SELECT location_id, kind, day, starts, ends, quota, reason FROM capacity_override
WHERE location_id = ANY (%(locations)s::int[]) AND day BETWEEN %(since)s::date AND %(until)s::date
ORDER BY location_id, kind, day, starts NULLS FIRST
"""

# By the primary key of closures.
CLOSED = """
SELECT location_id, day FROM location_closure
WHERE location_id = ANY (%(locations)s::int[]) AND day BETWEEN %(since)s::date AND %(until)s::date
"""

# By the primary key. Expired holds, which keep their place until somebody needs it, count as free; they are found by
# the partial index on their expiry.
TAKEN = """
SELECT s.location_id, s.kind, s.day, s.starts, s.ends, s.measure, s.held - coalesce(e.n, 0)::int, s.confirmed, s.units
FROM capacity_slot s
LEFT JOIN (SELECT location_id, kind, day, starts, count(*) AS n FROM capacity_reservation
           WHERE state = 'held' AND expires_at <= clock_timestamp() GROUP BY location_id, kind, day, starts) e
  ON e.location_id = s.location_id AND e.kind = s.kind AND e.day = s.day AND e.starts = s.starts
WHERE s.location_id = ANY (%(locations)s::int[]) AND s.kind = ANY (%(kinds)s::text[])
  AND s.day = ANY (%(days)s::date[])
"""

# What is left of slots that are full, and where units count of those with something in them: not all work fits. The
# others need not be known to say which is the first with room. By the primary key.
FULL_PICKING = """
SELECT location_id, day, starts,
       greatest(quota - CASE measure WHEN 'units' THEN units ELSE held + confirmed END, 0) AS places
FROM capacity_slot
WHERE location_id = ANY (%(locations)s::int[]) AND kind = 'pick' AND day BETWEEN %(since)s::date AND %(until)s::date
  AND CASE measure WHEN 'units' THEN units > 0 OR quota = 0 ELSE held + confirmed >= quota END
"""

# Units of open work that is in no slot of its day, as it was released before slots were stated. By the partial index on
# open work. Slots are those of a site's first location.
LOOSE_UNITS = """
SELECT coalesce(m.site_id, m.id), f.capacity_day, sum(f.units)::int
FROM location m JOIN fulfillment_order f ON f.location_id = m.id
WHERE coalesce(m.site_id, m.id) = ANY (%(homes)s::int[]) AND f.capacity_day = ANY (%(days)s::date[])
  AND f.slot_starts IS NULL AND f.state NOT IN ('closed', 'rejected', 'cancelled')
GROUP BY 1, 2
"""

# Picking slots from a day on that hold work. By the primary key.
PICKING_WORK = """
SELECT location_id, day, starts, ends, confirmed, units FROM capacity_slot
WHERE location_id = ANY (%(locations)s::int[]) AND kind = 'pick' AND day >= %(since)s::date AND confirmed > 0
ORDER BY location_id, day, starts
"""

_ROW = "id, location_id, kind, day, starts, ends, state, reference, order_id, expires_at"

# By the partial unique index on held references.
HOLDS = f"""
SELECT {_ROW} FROM capacity_reservation WHERE reference = ANY (%(references)s::text[]) AND state = 'held'
"""

# By the partial unique index on orders that have a slot.
OF_ORDERS = f"""
SELECT {_ROW} FROM capacity_reservation WHERE order_id = ANY (%(orders)s::uuid[]) AND state = 'confirmed'
"""

# Few rows: whether anybody states slots of a kind.
STATES_KIND = """
SELECT location_id FROM capacity_template WHERE kind = %(kind)s::text
UNION SELECT location_id FROM capacity_override WHERE kind = %(kind)s::text
"""


async def plans(tx: Tx, locations: Collection[int], since: date = EARLIEST, until: date = LATEST) -> dict[int, Plan]:
    """Return what locations state, with the overrides of some days; a location that states nothing is absent."""
    params = {"locations": sorted(locations), "since": since, "until": until}
    heads = await tx.tuples(PLANS, {"locations": params["locations"]})
    if not heads:
        return {}
    templates: dict[int, dict[Kind, list[Template]]] = defaultdict(lambda: defaultdict(list))
    for location, kind, weekday, starts, ends, quota in await tx.tuples(TEMPLATES, {"locations": params["locations"]}):
        templates[location][Kind(kind)].append(Template(weekday, starts, ends, quota))
    dated: dict[int, list[DatedOverride]] = defaultdict(list)
    for location, kind, day, starts, ends, quota, reason in await tx.tuples(OVERRIDES, params):
        override = Override(starts=starts, ends=ends, quota=quota, reason=reason)
        dated[location].append(DatedOverride(Kind(kind), day, override))
    return {id_: Plan(version, dict(templates[id_]), dated[id_], Measure(measure)) for id_, version, measure in heads}


async def plan_of(tx: Tx, location_id: int, since: date = EARLIEST, until: date = LATEST) -> Plan:
    """Return what one location states; version 0 when it states nothing."""
    return (await plans(tx, [location_id], since, until)).get(location_id) or Plan(0, {}, [])


async def closed_days(tx: Tx, locations: Collection[int], since: date, until: date) -> set[tuple[int, date]]:
    """Return the (location, day) of closures."""
    return set(await tx.tuples(CLOSED, {"locations": sorted(locations), "since": since, "until": until}))


def takes_work(location: Location, kind: Kind, day: date, starts: time) -> bool:
    """Tell whether a location takes reservations of a kind for a time: it is not closed, paused or without the means.

    A pause whose end is known ends what starts before it.
    """
    if (kind is Kind.PICKUP and not location.can_pickup) or (kind is Kind.DELIVERY and not location.can_ship):
        return False
    if location.status is LocationStatus.PAUSED and location.paused_until is not None:
        return rules.instant(day, starts, ZoneInfo(location.timezone)) >= location.paused_until
    return location.status is LocationStatus.ACTIVE


async def slots(tx: Tx, locations: Iterable[Location], kinds: Collection[Kind], days: Collection[date]) -> list[Slot]:
    """Return the slots of locations on some days, with what is taken, by location, kind, day and start.

    Slots are those of a site, under the id of its first location.

    What is reserved in a slot that is stated no more is there as well, with the quota 0. Work of a day that is in none
    of its picking slots, as it was released before they were stated, fills what they have left from the first on.
    """
    places = {place.home: place for place in locations}
    wanted = sorted(set(days))
    if not wanted or not places:
        return []
    stated = await plans(tx, places, wanted[0], wanted[-1])
    if not stated:
        return []
    closed = await closed_days(tx, stated, wanted[0], wanted[-1])
    params = {"locations": sorted(stated), "kinds": [k.value for k in kinds], "days": wanted}
    taken = {Key(*row[:4]): row[4:] for row in await tx.tuples(TAKEN, params)}
    found: list[Slot] = []
    for id_, day, kind in product(stated, wanted, kinds):
        place = places[id_]
        holiday = is_holiday(place.holiday_calendar, day)
        for window in rules.windows_on(stated[id_], kind, day, holiday=holiday, closed=(id_, day) in closed):
            key = Key(id_, kind.value, day, window.starts)
            counted = key in taken
            _, _, held, confirmed, units = taken.pop(key, (None, None, 0, 0, 0))
            found.append(
                Slot(
                    key=key,
                    ends=window.ends,
                    quota=window.quota,
                    held=held,
                    confirmed=confirmed,
                    measure=stated[id_].measure if kind is Kind.PICK else Measure.ORDERS,
                    units=units,
                    open=takes_work(place, kind, day, window.starts),
                    counted=counted,
                )
            )
    found += [
        Slot(
            key=key,
            ends=ends,
            quota=0,
            held=held,
            confirmed=confirmed,
            measure=Measure(measure),
            units=units,
            open=False,
        )
        for key, (ends, measure, held, confirmed, units) in taken.items()
        if held or confirmed
    ]
    found.sort(key=lambda slot: slot.key)
    if Kind.PICK in kinds:
        counted_in_units = {id_ for id_, plan in stated.items() if plan.measure is Measure.UNITS}
        loose = await loose_units(tx, counted_in_units, wanted)
        return rules.fill_picking(found, await network.capacity_taken(tx, list(stated), wanted), loose)
    return found


async def loose_units(tx: Tx, homes: Collection[int], days: Collection[date]) -> dict[tuple[int, date], int]:
    """Return the units of open work that is in no picking slot, by the first location of its site and day."""
    if not homes:
        return {}
    rows = await tx.tuples(LOOSE_UNITS, {"homes": sorted(homes), "days": sorted(days)})
    return {(home, day): units for home, day, units in rows}


def days_from(since: date, count: int) -> list[date]:
    """Return so many days from one on."""
    return [since + timedelta(days=n) for n in range(count)]


async def holds(tx: Tx, references: Sequence[str]) -> dict[str, Reservation]:
    """Return what is held under references; those that hold nothing are absent. An expired one may be among them."""
    return {r.reference or "": r for r in _all(await tx.tuples(HOLDS, {"references": list(references)}))}


async def of_orders(tx: Tx, orders: Collection[UUID]) -> dict[UUID, Reservation]:
    """Return the slots that orders have."""
    rows = _all(await tx.tuples(OF_ORDERS, {"orders": list(orders)}))
    return {r.order_id: r for r in rows if r.order_id is not None}


def reservation_of(row: Sequence[Any]) -> Reservation:
    """Return a reservation as it was read."""
    id_, location_id, kind, day, starts, ends, state, reference, order_id, expires_at = row
    return Reservation(
        id=id_,
        location_id=location_id,
        kind=Kind(kind),
        day=day,
        starts=starts,
        ends=ends,
        state=State(state),
        reference=reference,
        order_id=order_id,
        expires_at=expires_at,
    )


def _all(rows: Iterable[Sequence[Any]]) -> list[Reservation]:
    return [reservation_of(row) for row in rows]


async def stating(tx: Tx, kind: Kind) -> list[int]:
    """Return the locations that state slots of a kind."""
    return await tx.values(STATES_KIND, {"kind": kind.value})
