"""Statements that change the network. Wide rows travel as one JSON parameter; upserts lock in code order."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from malha.platform.db import Statement, Tx

_encode = msgspec.json.Encoder().encode

# Companies come into being with their first establishment; a name stated later corrects them.
UPSERT_LEGAL_ENTITIES = """
INSERT INTO legal_entity AS l (name, cnpj_root, kind)
SELECT name, cnpj_root, kind
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (name text, cnpj_root text, kind text)
ORDER BY cnpj_root
ON CONFLICT (cnpj_root) DO UPDATE SET name = excluded.name, kind = excluded.kind, version = l.version + 1
WHERE (l.name, l.kind) IS DISTINCT FROM (excluded.name, excluded.kind)
"""

# Unchanged rows keep their version, so a repeated import changes nothing.
UPSERT_ESTABLISHMENTS = """
INSERT INTO establishment AS e
    (legal_entity_id, code, name, cnpj, state_registration, state, tax_regime, document_policy, active)
SELECT l.id, r.code, r.name, r.cnpj, r.state_registration, r.state, r.tax_regime, r.document_policy, r.active
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (code text, name text, cnpj text, state_registration text, state text, tax_regime text, document_policy text,
     active boolean)
JOIN legal_entity l ON l.cnpj_root = left(r.cnpj, 8)
ORDER BY r.code
ON CONFLICT (code) DO UPDATE SET
    legal_entity_id = excluded.legal_entity_id, name = excluded.name, cnpj = excluded.cnpj,
    state_registration = excluded.state_registration, state = excluded.state, tax_regime = excluded.tax_regime,
    document_policy = excluded.document_policy, active = excluded.active, version = e.version + 1
WHERE (e.legal_entity_id, e.name, e.cnpj, e.state_registration, e.state, e.tax_regime, e.document_policy, e.active)
    IS DISTINCT FROM (excluded.legal_entity_id, excluded.name, excluded.cnpj, excluded.state_registration,
                      excluded.state, excluded.tax_regime, excluded.document_policy, excluded.active)
"""

# Unchanged rows keep their version, so a repeated import changes nothing.
UPSERT_LOCATIONS = """
INSERT INTO location AS x
    (code, name, kind, establishment_id, status, address, state, postal_code, latitude, longitude, timezone,
     opening_hours, holiday_calendar, can_ship, can_pickup, can_curbside, can_return, cut_off, daily_capacity,
     handling_cost, line_cost, priority, pickup_days, site_id)
SELECT r.code, r.name, r.kind, e.id, r.status, r.address, r.address ->> 'state', r.address ->> 'postal_code',
       r.latitude, r.longitude, r.timezone, r.opening_hours, r.holiday_calendar, r.can_ship, r.can_pickup,
       r.can_curbside, r.can_return, r.cut_off, r.daily_capacity, r.handling_cost, r.line_cost, r.priority,
       r.pickup_days, s.id
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (code text, name text, kind text, establishment text, status text, address jsonb, latitude double precision,
     longitude double precision, timezone text, opening_hours jsonb, holiday_calendar text, can_ship boolean,
     can_pickup boolean, can_curbside boolean, can_return boolean, cut_off time, daily_capacity integer,
     handling_cost integer, line_cost integer, priority integer, pickup_days smallint, site text)
JOIN establishment e ON e.code = r.establishment
LEFT JOIN location s ON s.code = r.site
ORDER BY r.code
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, establishment_id = excluded.establishment_id, status = excluded.status,
    address = excluded.address, state = excluded.state, postal_code = excluded.postal_code,
    latitude = excluded.latitude, longitude = excluded.longitude, timezone = excluded.timezone,
    opening_hours = excluded.opening_hours, holiday_calendar = excluded.holiday_calendar,
    can_ship = excluded.can_ship, can_pickup = excluded.can_pickup, can_curbside = excluded.can_curbside,
    can_return = excluded.can_return, cut_off = excluded.cut_off, daily_capacity = excluded.daily_capacity,
    handling_cost = excluded.handling_cost, line_cost = excluded.line_cost, priority = excluded.priority,
    paused_reason = CASE WHEN excluded.status = 'paused' THEN x.paused_reason END,
    paused_until = CASE WHEN excluded.status = 'paused' THEN x.paused_until END,
    pickup_days = excluded.pickup_days, site_id = excluded.site_id, version = x.version + 1
WHERE (x.name, x.kind, x.establishment_id, x.status, x.address, x.latitude, x.longitude, x.timezone, x.opening_hours,
       x.holiday_calendar, x.can_ship, x.can_pickup, x.can_curbside, x.can_return, x.cut_off, x.daily_capacity,
       x.handling_cost, x.line_cost, x.priority, x.pickup_days, x.site_id)
    IS DISTINCT FROM (excluded.name, excluded.kind, excluded.establishment_id, excluded.status, excluded.address,
       excluded.latitude, excluded.longitude, excluded.timezone, excluded.opening_hours, excluded.holiday_calendar,
       excluded.can_ship, excluded.can_pickup, excluded.can_curbside, excluded.can_return, excluded.cut_off,
       excluded.daily_capacity, excluded.handling_cost, excluded.line_cost, excluded.priority, excluded.pickup_days,
       excluded.site_id)
"""

# Before a change of locations: all of their sites, in the order of codes, so that no other change parts a site.
LOCK_SITES = """
SELECT id FROM location
WHERE coalesce(site_id, id) IN (SELECT coalesce(site_id, id) FROM location WHERE code = ANY(%(codes)s::text[]))
ORDER BY code FOR NO KEY UPDATE
"""

# One table at a time: what it brings may not be there yet, and no row of it could be waited for.
LOCK_TABLES = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':location_tables'))
"""

# What a site shares is written to all of it, so that whoever reads a location reads what is so. One that is closed
# stays closed: an owner whose goods are gone.
FOLLOW_SITES = """
UPDATE location x SET
    status = CASE WHEN x.status = 'closed' THEN x.status ELSE s.status END,
    paused_reason = CASE WHEN x.status <> 'closed' THEN s.paused_reason END,
    paused_until = CASE WHEN x.status <> 'closed' THEN s.paused_until END,
    address = s.address, state = s.state, postal_code = s.postal_code, latitude = s.latitude, longitude = s.longitude,
    timezone = s.timezone, opening_hours = s.opening_hours, holiday_calendar = s.holiday_calendar,
    can_ship = s.can_ship, can_pickup = s.can_pickup, can_curbside = s.can_curbside, can_return = s.can_return,
    cut_off = s.cut_off, daily_capacity = s.daily_capacity, handling_cost = s.handling_cost, line_cost = s.line_cost,
    pickup_days = s.pickup_days, version = x.version + 1
FROM location s
WHERE x.site_id = s.id AND s.code = ANY(%(codes)s::text[])
  AND (CASE WHEN x.status = 'closed' THEN s.status ELSE x.status END,
       CASE WHEN x.status = 'closed' THEN s.paused_reason ELSE x.paused_reason END,
       CASE WHEN x.status = 'closed' THEN s.paused_until ELSE x.paused_until END, x.address, x.latitude, x.longitude,
       x.timezone, x.opening_hours, x.holiday_calendar, x.can_ship, x.can_pickup, x.can_curbside, x.can_return,
       x.cut_off, x.daily_capacity, x.handling_cost, x.line_cost, x.pickup_days)
    IS DISTINCT FROM (s.status, s.paused_reason, s.paused_until, s.address, s.latitude, s.longitude, s.timezone,
       s.opening_hours, s.holiday_calendar, s.can_ship, s.can_pickup, s.can_curbside, s.can_return, s.cut_off,
       s.daily_capacity, s.handling_cost, s.line_cost, s.pickup_days)
"""

# Whoever comes to a site is closed on its days, and on no others.
DROP_OTHER_CLOSURES = """
DELETE FROM location_closure c USING location x
WHERE c.location_id = x.id AND x.code = ANY(%(codes)s::text[]) AND x.site_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM location_closure s WHERE s.location_id = x.site_id AND s.day = c.day)
"""
COPY_CLOSURES = """
INSERT INTO location_closure AS c (location_id, day, reason)
SELECT x.id, s.day, s.reason
FROM location x JOIN location_closure s ON s.location_id = x.site_id
WHERE x.code = ANY(%(codes)s::text[])
ORDER BY x.id, s.day
ON CONFLICT (location_id, day) DO UPDATE SET reason = excluded.reason WHERE c.reason <> excluded.reason
"""

# The version is the caller's: zero rows means someone else was faster, or there is no such code.
SET_LOCATION_STATUS = """
UPDATE location SET status = %(status)s::text, paused_reason = %(reason)s::text,
       paused_until = %(until)s::timestamptz, version = version + 1
WHERE code = %(code)s::text AND (version = %(version)s::int OR %(version)s::int IS NULL)
RETURNING id, version
"""

# Many at once, locked in the order of their codes; what has another status than the expected ones is left alone.
LOCK_LOCATIONS = """
SELECT code, status, paused_reason, paused_until FROM location
WHERE code = ANY(%(codes)s::text[]) AND status = ANY(%(statuses)s::text[])
ORDER BY code FOR NO KEY UPDATE
"""

# What LOCK_LOCATIONS gave.
SET_LOCATIONS_STATUS = """
UPDATE location SET status = %(status)s::text, paused_reason = %(reason)s::text,
       paused_until = %(until)s::timestamptz, version = version + 1
WHERE code = ANY(%(codes)s::text[])
"""

# Those whose pause is over; skipped while somebody changes them, the next round finds them.
LOCK_DUE_LOCATIONS = """
SELECT code, status, paused_reason, paused_until FROM location
WHERE status = 'paused' AND paused_until <= now()
ORDER BY code FOR NO KEY UPDATE SKIP LOCKED
"""

# The version is the caller's.
UPDATE_LEGAL_ENTITY = """
UPDATE legal_entity SET name = %(name)s::text, kind = %(kind)s::text, version = version + 1
WHERE cnpj_root = %(root)s::text AND version = %(version)s::int
"""

# As for a location.
LOCK_LEGAL_ENTITY = """
SELECT version FROM legal_entity WHERE cnpj_root = %(code)s::text FOR NO KEY UPDATE
"""

# FOR NO KEY UPDATE: the row is about to be rewritten, rows that point to it need not wait. With its site, as LOCK_SITES
# does: who changes another location there would else wait for this one, and this one for that.
LOCK_LOCATION = """
WITH site AS MATERIALIZED (
    SELECT code, version FROM location
    WHERE code = %(code)s::text
       OR coalesce(site_id, id) = (SELECT coalesce(site_id, id) FROM location WHERE code = %(code)s::text)
    ORDER BY code FOR NO KEY UPDATE
)
SELECT version FROM site WHERE code = %(code)s::text
"""

# As above, for a channel.
LOCK_CHANNEL = """
SELECT version FROM channel WHERE code = %(code)s::text FOR NO KEY UPDATE
"""

# As above, for a service.
LOCK_SERVICE = """
SELECT version FROM service WHERE code = %(code)s::text FOR NO KEY UPDATE
"""

# As above, for an establishment.
LOCK_ESTABLISHMENT = """
SELECT version FROM establishment WHERE code = %(code)s::text FOR NO KEY UPDATE
"""

# A day closed twice keeps its newest reason. A site is closed as a whole.
ADD_CLOSURES = """
INSERT INTO location_closure AS c (location_id, day, reason)
SELECT x.id, r.day, r.reason
FROM unnest(%(codes)s::text[], %(days)s::date[], %(reasons)s::text[]) AS r (code, day, reason)
JOIN location n ON n.code = r.code
JOIN location x ON coalesce(x.site_id, x.id) = coalesce(n.site_id, n.id)
ORDER BY x.id, r.day
ON CONFLICT (location_id, day) DO UPDATE SET reason = excluded.reason
"""

# By primary key, of a whole site.
REMOVE_CLOSURES = """
DELETE FROM location_closure
WHERE location_id IN (SELECT id FROM location WHERE coalesce(site_id, id) IN
                          (SELECT coalesce(site_id, id) FROM location WHERE code = %(code)s::text))
  AND day = ANY(%(days)s::date[])
"""

# Unchanged rows keep their version.
UPSERT_CHANNELS = """
INSERT INTO channel AS c
    (code, name, kind, establishment_id, currency, shortage_policy, payment_policy, release_delay_minutes, priority,
     active, pickup_days, most_units)
SELECT r.code, r.name, r.kind, e.id, r.currency, r.shortage_policy, r.payment_policy, r.release_delay_minutes,
       r.priority, r.active, r.pickup_days, r.most_units
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (code text, name text, kind text, establishment text, currency text, shortage_policy text, payment_policy text,
     release_delay_minutes integer, priority integer, active boolean, pickup_days smallint, most_units integer)
LEFT JOIN establishment e ON e.code = r.establishment
ORDER BY r.code
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, establishment_id = excluded.establishment_id,
    currency = excluded.currency, shortage_policy = excluded.shortage_policy,
    payment_policy = excluded.payment_policy, release_delay_minutes = excluded.release_delay_minutes,
    priority = excluded.priority, active = excluded.active, pickup_days = excluded.pickup_days,
    most_units = excluded.most_units, version = c.version + 1
WHERE (c.name, c.kind, c.establishment_id, c.currency, c.shortage_policy, c.payment_policy, c.release_delay_minutes,
       c.priority, c.active, c.pickup_days, c.most_units)
    IS DISTINCT FROM (excluded.name, excluded.kind, excluded.establishment_id, excluded.currency,
       excluded.shortage_policy, excluded.payment_policy, excluded.release_delay_minutes, excluded.priority,
       excluded.active, excluded.pickup_days, excluded.most_units)
"""

# The rows of a channel are replaced as a whole: first what is no longer stated ...
REMOVE_CHANNEL_LOCATIONS = """
DELETE FROM channel_location x USING channel c
WHERE c.id = x.channel_id AND c.code = ANY(%(channels)s::text[])
"""

# ... then what is.
ADD_CHANNEL_LOCATIONS = """
INSERT INTO channel_location (channel_id, location_id)
SELECT c.id, x.id
FROM unnest(%(channels)s::text[], %(locations)s::text[]) AS r (channel, location)
JOIN channel c ON c.code = r.channel
JOIN location x ON x.code = r.location
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

# A tariff belongs to its service: the version moves even when only rates change.
UPSERT_SERVICES = """
INSERT INTO service AS s (code, name, carrier, method, active, channel_label)
SELECT code, name, carrier, method, active, channel_label
FROM jsonb_to_recordset(%(rows)s::jsonb)
     AS r (code text, name text, carrier text, method text, active boolean, channel_label boolean)
ORDER BY code
ON CONFLICT (code) DO UPDATE SET name = excluded.name, carrier = excluded.carrier, method = excluded.method,
    active = excluded.active, channel_label = excluded.channel_label, version = s.version + 1
"""

# The tariff of a service is replaced as a whole.
REMOVE_RATES = """
DELETE FROM service_rate r USING service s WHERE s.id = r.service_id AND s.code = ANY(%(services)s::text[])
"""

# See above.
ADD_RATES = """
INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, per_extra_kg, lead_days)
SELECT s.id, r.from_state, r.to_state, r.max_grams, r.price, r.per_extra_kg, r.lead_days
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (service text, from_state text, to_state text, max_grams integer, price integer, per_extra_kg integer,
     lead_days integer)
JOIN service s ON s.code = r.service
ORDER BY 1, 2, 3, 4
"""

# The version is the caller's, 0 before the first change; no row touched means that someone else was faster.
PUT_RETAILER = """
INSERT INTO retailer AS r (name, colour, languages, timezone, support_email, support_phone, website)
VALUES (%(name)s::text, %(colour)s::text, %(languages)s::text[], %(timezone)s::text, %(support_email)s::text,
        %(support_phone)s::text, %(website)s::text)
ON CONFLICT (only_row) DO UPDATE SET
    name = excluded.name, colour = excluded.colour, languages = excluded.languages, timezone = excluded.timezone,
    support_email = excluded.support_email, support_phone = excluded.support_phone, website = excluded.website,
    version = r.version + 1
WHERE r.version = %(version)s::int
"""

# Colour and languages are only for a row that this makes.
PUT_RETAILER_LOGO = """
INSERT INTO retailer AS r (logo, logo_type, colour, languages)
VALUES (%(logo)s::bytea, %(type)s::text, %(colour)s::text, %(languages)s::text[])
ON CONFLICT (only_row) DO UPDATE SET logo = excluded.logo, logo_type = excluded.logo_type, version = r.version + 1
"""

# Ids and versions after an upsert; unique index on code.
ESTABLISHMENT_IDS = """
SELECT code, id, version = 1 FROM establishment WHERE code = ANY(%(codes)s::text[])
"""

# As above.
LOCATION_IDS = """
SELECT code, id, version = 1 FROM location WHERE code = ANY(%(codes)s::text[])
"""

# As above.
CHANNEL_IDS = """
SELECT code, id, version = 1 FROM channel WHERE code = ANY(%(codes)s::text[])
"""

# As above.
SERVICE_IDS = """
SELECT code, id, version = 1 FROM service WHERE code = ANY(%(codes)s::text[])
"""

# Who has these CNPJs: a clash is told with its owner's name instead of a constraint's.
CNPJ_OWNERS = """
SELECT cnpj, code FROM establishment WHERE cnpj = ANY(%(cnpjs)s::text[])
"""


async def upsert(tx: Tx, statement: Statement, rows: Sequence[Any]) -> int:
    """Run an upsert over structs or dicts as one JSON parameter; return how many rows it wrote."""
    return await tx.execute(statement, {"rows": _encode(rows).decode()}) if rows else 0


async def ids(tx: Tx, statement: Statement, codes: Sequence[str]) -> dict[str, int]:
    """Return code -> id."""
    return {code: found for code, found, _ in await tx.tuples(statement, {"codes": list(codes)})}


async def lock(tx: Tx, statement: Statement, code: str) -> int | None:
    """Lock one record by code and return its version, or None when there is none."""
    version: int | None = await tx.value(statement, {"code": code})
    return version


async def add_closures(tx: Tx, rows: Sequence[tuple[str, date, str]]) -> None:
    """Add (location code, day, reason)."""
    codes, days, reasons = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    await tx.execute(ADD_CLOSURES, {"codes": codes, "days": days, "reasons": reasons})
