"""The network as others see it: the whole snapshot, and records by code. Every list is small (thousands)."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec

from malha.network.model import (
    Channel,
    ChannelDraft,
    Establishment,
    EstablishmentDraft,
    LegalEntity,
    Location,
    LocationDraft,
    LocationGroup,
    Rate,
    RateDraft,
    Service,
    ServiceDraft,
    StoreLane,
)
from malha.network.snapshot import NetworkSnapshot, build_snapshot
from malha.platform import revisions
from malha.platform.address import Address
from malha.platform.db import Tx

T = TypeVar("T")

REVISION = "network"

# All columns a Location has.
_LOCATION = """
SELECT id, code, name, kind, establishment_id, status, address, state, postal_code, latitude, longitude, timezone,
       opening_hours, holiday_calendar, can_ship, can_pickup, can_curbside, can_return, cut_off, daily_capacity,
       handling_cost, line_cost, priority, pickup_days, version, paused_reason, paused_until, owner_id, site_id,
       (SELECT s.code FROM location s WHERE s.id = x.site_id) AS site
FROM location x"""

# The table is read whole.
LOCATIONS = f"{_LOCATION} ORDER BY code"

# By primary key.
LOCATIONS_BY_ID = f"{_LOCATION} WHERE id = ANY(%(ids)s::int[]) ORDER BY code"

# By the unique index on code.
LOCATIONS_BY_CODE = f"{_LOCATION} WHERE code = ANY(%(codes)s::text[]) ORDER BY code"

# All that are at the sites of these, themselves included, by the index on sites.
LOCATIONS_AT_SITES = f"""{_LOCATION}
WHERE coalesce(site_id, id) IN (SELECT coalesce(site_id, id) FROM location WHERE code = ANY(%(codes)s::text[]))
ORDER BY site_id NULLS FIRST, code
"""

# Where the goods of owners are at sites, by the index on sites.
KEPT_AT_SITES = """
SELECT w.location, w.owner, m.code
FROM unnest(%(locations)s::text[], %(owners)s::text[]) AS w (location, owner)
JOIN location x ON x.code = w.location JOIN establishment e ON e.code = w.owner
JOIN location m ON coalesce(m.site_id, m.id) = coalesce(x.site_id, x.id)
               AND coalesce(m.owner_id, m.establishment_id) = e.id
"""

# The same of all locations and all owners at their sites.
ALL_KEPT = """
SELECT x.code, e.code, m.code
FROM location x JOIN location m ON coalesce(m.site_id, m.id) = coalesce(x.site_id, x.id)
JOIN establishment e ON e.id = coalesce(m.owner_id, m.establishment_id)
"""

# Joined with their companies: an establishment is shown with its legal name.
ESTABLISHMENTS = """
SELECT e.id, e.code, e.name, e.cnpj, e.state, e.state_registration, e.tax_regime, e.document_policy, e.active,
       e.version, e.legal_entity_id, l.name AS legal_name, l.kind
FROM establishment e JOIN legal_entity l ON l.id = e.legal_entity_id
ORDER BY e.code
"""

# Few rows, by whatever names one; all three are unique.
ESTABLISHMENTS_NAMED = """
SELECT e.id, e.code, e.name, e.cnpj, e.state, e.state_registration, e.tax_regime, e.document_policy, e.active,
       e.version, e.legal_entity_id, l.name AS legal_name, l.kind
FROM establishment e JOIN legal_entity l ON l.id = e.legal_entity_id
WHERE e.id = ANY(%(ids)s::int[]) OR e.code = ANY(%(codes)s::text[]) OR e.cnpj = ANY(%(cnpjs)s::text[])
ORDER BY e.code
"""

# Small table, read whole.
LEGAL_ENTITIES = """
SELECT id, name, cnpj_root, kind, version FROM legal_entity ORDER BY name, id
"""

# By the unique index on the root.
LEGAL_ENTITY_BY_ROOT = """
SELECT id, name, cnpj_root, kind, version FROM legal_entity WHERE cnpj_root = %(root)s::text
"""

# Channels with the locations that may serve them; an empty array means all.
CHANNELS = """
SELECT c.id, c.code, c.name, c.kind, c.establishment_id, c.currency, c.shortage_policy, c.payment_policy,
       c.release_delay_minutes, c.priority, c.active, c.pickup_days, c.most_units, c.version,
       ARRAY(SELECT location_id FROM channel_location x WHERE x.channel_id = c.id) AS location_ids,
       ARRAY(SELECT legal_entity_id FROM channel_owner x WHERE x.channel_id = c.id) AS owner_ids
FROM channel c ORDER BY c.code
"""

# Few rows, with the codes of their locations.
LOCATION_GROUPS = """
SELECT g.id, g.code, g.name, g.version,
       ARRAY(SELECT l.code FROM location_group_member m JOIN location l ON l.id = m.location_id
             WHERE m.group_id = g.id ORDER BY 1) AS locations
FROM location_group g WHERE %(codes)s::text[] IS NULL OR g.code = ANY (%(codes)s::text[]) ORDER BY g.code
"""

# Small table, read whole.
SERVICES = """
SELECT id, code, name, carrier, method, active, version, channel_label FROM service ORDER BY code
"""

# The whole tariff.
RATES = """
SELECT service_id, from_state, to_state, max_grams, price, per_extra_kg, lead_days
FROM service_rate ORDER BY service_id, from_state, to_state, max_grams
"""

# One service's tariff, by the beginning of the primary key.
RATES_OF = """
SELECT service_id, from_state, to_state, max_grams, price, per_extra_kg, lead_days
FROM service_rate WHERE service_id = %(service)s::int ORDER BY from_state, to_state, max_grams
"""

# The whole tariff, summed up.
TARIFF_TOTALS = """
SELECT service_id, count(DISTINCT (from_state, to_state))::int AS zones, count(*)::int AS brackets,
       min(price) AS cheapest, max(price) AS dearest, min(lead_days) AS soonest, max(lead_days) AS latest
FROM service_rate GROUP BY service_id
"""

# Closures of all locations, past ones too: imports decide with historical times.
CLOSURES = """
SELECT location_id, day, reason FROM location_closure ORDER BY location_id, day
"""

# One location's closures, by primary key.
CLOSURES_OF = """
SELECT day, reason FROM location_closure WHERE location_id = %(location)s::int ORDER BY day
"""

# Lanes to places where orders are fetched: as many as somebody stated.
STORE_LANES = "SELECT to_id, from_id, days, price FROM store_lane ORDER BY to_id, from_id"

# By the key; the origins of one place are few.
STORE_LANES_TO = """
SELECT f.code, f.name, l.days, l.price FROM store_lane l JOIN location f ON f.id = l.from_id
WHERE l.to_id = %(to_id)s::int ORDER BY f.name, f.code
"""

# What a location has taken on some days, for capacity shown and planned with: all of a site has one capacity.
CAPACITY_TAKEN = """
SELECT x.id, d.day, sum(d.taken)::int
FROM location x JOIN location m ON coalesce(m.site_id, m.id) = coalesce(x.site_id, x.id)
JOIN location_day d ON d.location_id = m.id
WHERE x.id = ANY(%(locations)s::int[]) AND d.day = ANY(%(days)s::date[])
GROUP BY x.id, d.day
"""

# One row always: the retailer's own, else what is true before its first change.
RETAILER = """
SELECT coalesce(nullif(r.name, ''), (SELECT name FROM legal_entity WHERE kind = 'own' ORDER BY id LIMIT 1), '') AS name,
       coalesce(r.name, '') AS stated_name, coalesce(r.colour, '#2a52b0') AS colour, left(md5(r.logo), 12) AS logo,
       coalesce(r.languages, '{pt-BR,en}') AS languages, r.timezone, r.support_email, r.support_phone, r.website,
       coalesce(r.version, 0) AS version
FROM (SELECT 1) AS one LEFT JOIN retailer r ON true
"""

# The one row.
RETAILER_LOGO = """
SELECT logo AS picture, logo_type AS media_type, left(md5(logo), 12) AS digest FROM retailer WHERE logo IS NOT NULL
"""

# Why some locations do not work on some days, by primary key.
CLOSURES_ON = """
SELECT location_id, day, reason FROM location_closure
WHERE location_id = ANY(%(locations)s::int[]) AND day = ANY(%(days)s::date[])
"""

# By primary key.
ESTABLISHMENTS_BY_ID = """
SELECT e.id, e.code, e.name, e.cnpj, e.state, e.state_registration, e.tax_regime, e.document_policy, e.active,
       e.version, e.legal_entity_id, l.name AS legal_name, l.kind
FROM establishment e JOIN legal_entity l ON l.id = e.legal_entity_id
WHERE e.id = ANY(%(ids)s::int[])
"""

# By the primary key of a table of hundreds.
ADDRESSES = "SELECT id, address FROM location WHERE id = ANY(%(ids)s::int[])"


class Closure(msgspec.Struct, frozen=True):
    """A day on which a location does not work."""

    day: date
    reason: str


class TariffTotals(msgspec.Struct, frozen=True, kw_only=True):
    """A tariff in a few numbers: zones, brackets, prices in centavos, business days."""

    service_id: int
    zones: int
    brackets: int
    cheapest: int
    dearest: int
    soonest: int
    latest: int


async def _all(tx: Tx, into: type[T], statement: Any, params: dict[str, Any] | None = None) -> list[T]:
    return [msgspec.convert(row, into) for row in await tx.all(dict, statement, params or {})]


async def snapshot(tx: Tx) -> NetworkSnapshot:
    """Return the whole network.

    The revision is read first: a change during the read shows as an older revision, and is read again.
    """
    revision = await revisions.current(tx, REVISION)
    closures: dict[int, set[date]] = defaultdict(set)
    for location_id, day, _ in await tx.tuples(CLOSURES):
        closures[location_id].add(day)
    return build_snapshot(
        revision=revision,
        establishments=await establishments(tx),
        locations=await locations(tx),
        channels=await channels(tx),
        services=await services(tx),
        rates=await rates(tx),
        closures={k: frozenset(v) for k, v in closures.items()},
        store_lanes=tuple(await tx.all(StoreLane, STORE_LANES)),
    )


async def brought_to(tx: Tx) -> set[int]:
    """Return the sites that goods are brought to, as the ids of their first locations."""
    return {lane.to_id for lane in await tx.all(StoreLane, STORE_LANES)}


async def revision(tx: Tx) -> int:
    """Return the network's revision, for caches."""
    return await revisions.current(tx, REVISION)


async def legal_entities(tx: Tx) -> list[LegalEntity]:
    """Return all companies by name."""
    return await _all(tx, LegalEntity, LEGAL_ENTITIES)


async def legal_entity(tx: Tx, root: str) -> LegalEntity | None:
    """Return the company whose CNPJ begins with these eight characters."""
    return next(iter(await _all(tx, LegalEntity, LEGAL_ENTITY_BY_ROOT, {"root": root})), None)


async def establishments(tx: Tx) -> list[Establishment]:
    """Return all establishments by code."""
    return await _all(tx, Establishment, ESTABLISHMENTS)


async def establishments_seen(tx: Tx) -> list[Establishment]:
    """Return the establishments that the actor may see by code: in a scope, those that issue for its locations."""
    everyone = await establishments(tx)
    if tx.actor.locations is None:
        return everyone
    issuers = {place.establishment_id for place in await locations(tx) if tx.actor.sees(place.id)}
    return [each for each in everyone if each.id in issuers]


async def establishments_by_id(tx: Tx, ids: Sequence[int]) -> dict[int, Establishment]:
    """Return the establishments with these ids."""
    return {e.id: e for e in await _all(tx, Establishment, ESTABLISHMENTS_BY_ID, {"ids": list(ids)})}


async def establishments_by_code(tx: Tx, codes: Sequence[str]) -> dict[str, Establishment]:
    """Return the establishments that have these codes."""
    found = await _all(tx, Establishment, ESTABLISHMENTS_NAMED, {"codes": list(codes), "ids": [], "cnpjs": []})
    return {e.code: e for e in found}


async def establishments_named(
    tx: Tx, *, ids: Collection[int], codes: Collection[str] = (), cnpjs: Collection[str] = ()
) -> list[Establishment]:
    """Return the establishments that have one of these ids, codes or CNPJs, by code."""
    asked = {"ids": sorted(ids), "codes": sorted(codes), "cnpjs": sorted(cnpjs)}
    return await _all(tx, Establishment, ESTABLISHMENTS_NAMED, asked)


async def locations(tx: Tx) -> list[Location]:
    """Return all locations by code."""
    return await _all(tx, Location, LOCATIONS)


async def locations_by_id(tx: Tx, ids: Collection[int]) -> dict[int, Location]:
    """Return the locations with these ids."""
    return {x.id: x for x in await _all(tx, Location, LOCATIONS_BY_ID, {"ids": sorted(ids)})}


async def locations_by_code(tx: Tx, codes: Sequence[str]) -> dict[str, Location]:
    """Return the locations that have these codes."""
    return {x.code: x for x in await _all(tx, Location, LOCATIONS_BY_CODE, {"codes": list(codes)})}


async def location_by_code(tx: Tx, code: str) -> Location | None:
    """Return the location with this code."""
    return (await locations_by_code(tx, [code])).get(code)


async def locations_at_sites(tx: Tx, codes: Sequence[str]) -> list[Location]:
    """Return all locations at the sites of some, these included: the first of each site before the others."""
    return await _all(tx, Location, LOCATIONS_AT_SITES, {"codes": list(codes)})


async def kept_at(tx: Tx, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return, for (location, owner's establishment), which location of its site keeps the owner's goods, by codes.

    Pairs of which nobody knows one, or whose owner keeps nothing there, are absent.
    """
    asked = sorted(set(pairs))
    if not asked:
        return {}
    columns = {"locations": [location for location, _ in asked], "owners": [owner for _, owner in asked]}
    return {(location, owner): code for location, owner, code in await tx.tuples(KEPT_AT_SITES, columns)}


async def all_kept(tx: Tx) -> dict[tuple[str, str], str]:
    """Return what `kept_at` does of all there are."""
    return {(location, owner): code for location, owner, code in await tx.tuples(ALL_KEPT)}


async def location_groups(tx: Tx, codes: Sequence[str] | None = None) -> list[LocationGroup]:
    """Return all groups of locations by code, or those with some codes."""
    return await tx.all(LocationGroup, LOCATION_GROUPS, {"codes": None if codes is None else list(codes)})


async def channels(tx: Tx) -> list[Channel]:
    """Return all channels by code."""
    return await _all(tx, Channel, CHANNELS)


async def services(tx: Tx) -> list[Service]:
    """Return all services by code."""
    return await _all(tx, Service, SERVICES)


async def rates(tx: Tx) -> list[Rate]:
    """Return the whole tariff."""
    return await _all(tx, Rate, RATES)


async def rates_of(tx: Tx, service_id: int) -> list[Rate]:
    """Return one service's tariff."""
    return await _all(tx, Rate, RATES_OF, {"service": service_id})


async def tariff_totals(tx: Tx) -> dict[int, TariffTotals]:
    """Return every service's tariff in a few numbers; a service without prices is absent."""
    return {t.service_id: t for t in await _all(tx, TariffTotals, TARIFF_TOTALS)}


async def closures(tx: Tx, location_id: int) -> list[Closure]:
    """Return a location's closures by day."""
    return await tx.all(Closure, CLOSURES_OF, {"location": location_id})


async def capacity_taken(tx: Tx, locations: Sequence[int], days: Sequence[date]) -> dict[tuple[int, date], int]:
    """Return how many fulfillment orders the site of each (location, day) has taken; days without any are absent."""
    rows = await tx.tuples(CAPACITY_TAKEN, {"locations": list(locations), "days": list(days)})
    return {(location, day): taken for location, day, taken in rows}


async def closures_on(tx: Tx, locations: Sequence[int], days: Sequence[date]) -> dict[tuple[int, date], str]:
    """Return why (location, day) is closed; open ones are absent."""
    rows = await tx.tuples(CLOSURES_ON, {"locations": list(locations), "days": list(days)})
    return {(location, day): reason for location, day, reason in rows}


# --- records as drafts: what a person edits, what an import overlays ---


def establishment_draft(e: Establishment) -> EstablishmentDraft:
    """Return an establishment in the form in which it is stated."""
    return EstablishmentDraft(
        code=e.code,
        name=e.name,
        cnpj=e.cnpj,
        state=e.state,
        state_registration=e.state_registration,
        tax_regime=e.tax_regime,
        document_policy=e.document_policy,
        active=e.active,
        legal_name=e.legal_name,
        kind=e.kind,
    )


def location_draft(x: Location, establishment: str) -> LocationDraft:
    """Return a location in the form in which it is stated; `establishment` is its establishment's code."""
    return LocationDraft(
        code=x.code,
        name=x.name,
        kind=x.kind,
        establishment=establishment,
        status=x.status,
        address=x.address,
        latitude=x.latitude,
        longitude=x.longitude,
        timezone=x.timezone,
        opening_hours=x.opening_hours,
        holiday_calendar=x.holiday_calendar,
        can_ship=x.can_ship,
        can_pickup=x.can_pickup,
        can_curbside=x.can_curbside,
        can_return=x.can_return,
        cut_off=x.cut_off,
        daily_capacity=x.daily_capacity,
        handling_cost=x.handling_cost,
        line_cost=x.line_cost,
        priority=x.priority,
        pickup_days=x.pickup_days,
        site=x.site,
    )


def channel_draft(c: Channel, network: NetworkSnapshot) -> ChannelDraft:
    """Return a channel in the form in which it is stated."""
    return ChannelDraft(
        code=c.code,
        name=c.name,
        kind=c.kind,
        establishment=network.establishments[c.establishment_id].code if c.establishment_id else None,
        currency=c.currency,
        shortage_policy=c.shortage_policy,
        payment_policy=c.payment_policy,
        release_delay_minutes=c.release_delay_minutes,
        priority=c.priority,
        active=c.active,
        pickup_days=c.pickup_days,
        most_units=c.most_units,
        locations=sorted(network.locations[i].code for i in c.location_ids),
    )


def service_draft(s: Service, tariff: Sequence[Rate]) -> ServiceDraft:
    """Return a service with its rates in the form in which it is stated."""
    return ServiceDraft(
        code=s.code,
        name=s.name,
        carrier=s.carrier,
        method=s.method,
        active=s.active,
        channel_label=s.channel_label,
        rates=[
            RateDraft(
                from_state=r.from_state,
                to_state=r.to_state,
                max_grams=r.max_grams,
                price=r.price,
                lead_days=r.lead_days,
                per_extra_kg=r.per_extra_kg,
            )
            for r in tariff
            if r.service_id == s.id
        ],
    )


async def addresses(tx: Tx, location_ids: Sequence[int]) -> dict[int, Address]:
    """Return where locations are."""
    rows = await tx.tuples(ADDRESSES, {"ids": list(location_ids)})
    return {location_id: msgspec.convert(address, Address) for location_id, address in rows}
