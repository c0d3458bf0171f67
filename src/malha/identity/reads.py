"""Reading people, keys, sessions."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.identity.model import Role
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Primary key look-up of the token, then of the person; runs for every page.
SESSION_PERSON = """
SELECT s.id AS session_id, s.seen_at, s.expires_at, now() AS at,
       p.id, p.name, p.role, p.everywhere, p.language, p.timezone, p.theme,
       ARRAY(SELECT location_id FROM person_location l WHERE l.person_id = p.id ORDER BY location_id) AS locations
FROM session s JOIN person p ON p.id = s.person_id
WHERE s.token_hash = %(token_hash)s::bytea AND s.expires_at > now() AND p.active
"""

# By the unique prefix.
KEY_BY_PREFIX = """
SELECT id, name, secret_hash, permissions, everywhere, expires_at,
       ARRAY(SELECT location_id FROM api_key_location l WHERE l.key_id = k.id ORDER BY location_id) AS locations
FROM api_key k
WHERE prefix = %(prefix)s::text AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""

# The whole table: a retailer has dozens of keys.
KEYS = """
SELECT id, name, prefix, permissions, everywhere, created_at, created_by, expires_at, revoked_at, last_used_at,
       ARRAY(SELECT c.code FROM api_key_location l JOIN location c ON c.id = l.location_id
             WHERE l.key_id = k.id ORDER BY c.code) AS locations
FROM api_key k
WHERE %(id)s::int IS NULL OR id = %(id)s::int
ORDER BY id
"""

# Keyset by (name, id): hundreds of people at most, sorted in memory.
PEOPLE = """
SELECT id, name, email, role, everywhere, language, timezone, active, created_at, version,
       ARRAY(SELECT c.code FROM person_location l JOIN location c ON c.id = l.location_id
             WHERE l.person_id = p.id ORDER BY c.code) AS locations
FROM person p
WHERE (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
  AND (%(after_name)s::text IS NULL OR (name, id) > (%(after_name)s::text, %(after_id)s::uuid))
ORDER BY name, id
LIMIT %(limit)s::int
"""

# By the index on person_id.
SESSIONS = """
SELECT id, created_at, seen_at, expires_at, source, agent
FROM session
WHERE person_id = %(person_id)s::uuid AND expires_at > now()
ORDER BY seen_at DESC
"""

# By primary key.
KEPT_HASH = """
SELECT password_hash FROM person WHERE id = %(id)s::uuid
"""

ANY_PERSON = """
SELECT EXISTS (SELECT FROM person)
"""

# By the unique code.
LOCATION_IDS = """
SELECT code, id FROM location WHERE code = ANY(%(codes)s::text[])
"""


class SessionPerson(msgspec.Struct, frozen=True):
    """A living session and its person."""

    session_id: UUID
    seen_at: datetime
    expires_at: datetime
    at: datetime
    id: UUID
    name: str
    role: str
    everywhere: bool
    language: str | None
    timezone: str | None
    theme: str | None
    locations: list[int]


class KeyRow(msgspec.Struct, frozen=True):
    """What checking a key needs."""

    id: int
    name: str
    secret_hash: bytes
    permissions: list[str]
    everywhere: bool
    expires_at: datetime | None
    locations: list[int]


class KeyView(msgspec.Struct, frozen=True):
    """A key as lists show it; the secret is nowhere. `everywhere`: no limit to `locations`."""

    id: int
    name: str
    prefix: str
    permissions: list[str]
    everywhere: bool
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    locations: list[str]


class PersonView(msgspec.Struct, frozen=True):
    """A person as lists show it. `everywhere`: no limit to `locations`."""

    id: UUID
    name: str
    email: str
    role: Role
    everywhere: bool
    language: str | None
    timezone: str | None
    active: bool
    created_at: datetime
    version: int
    locations: list[str]


class SessionView(msgspec.Struct, frozen=True):
    """One signed-in browser."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    source: str | None
    agent: str | None


async def any_person(tx: Tx) -> bool:
    """Return whether there is a person yet."""
    return bool(await tx.value(ANY_PERSON))


async def keys(tx: Tx) -> list[KeyView]:
    """Return every key, revoked ones too."""
    return await tx.all(KeyView, KEYS, {"id": None})


async def key(tx: Tx, key_id: int) -> KeyView | None:
    """Return one key."""
    return await tx.maybe(KeyView, KEYS, {"id": key_id})


async def people(tx: Tx, limit: int, after: tuple[str, UUID] | None = None) -> list[PersonView]:
    """Return people by name, after a position."""
    name, person_id = after or (None, None)
    rows = await tx.tuples(PEOPLE, {"id": None, "after_name": name, "after_id": person_id, "limit": limit})
    return [_person(row) for row in rows]


async def person(tx: Tx, person_id: UUID) -> PersonView | None:
    """Return one person."""
    rows = await tx.tuples(PEOPLE, {"id": person_id, "after_name": None, "after_id": None, "limit": 1})
    return _person(rows[0]) if rows else None


def _person(row: Sequence[object]) -> PersonView:
    view: PersonView = msgspec.convert(
        dict(zip(PersonView.__struct_fields__, row, strict=True)), PersonView, builtin_types=(UUID, datetime)
    )
    return view


async def sessions(tx: Tx, person_id: UUID) -> list[SessionView]:
    """Return a person's signed-in browsers, the last used first."""
    return await tx.all(SessionView, SESSIONS, {"person_id": person_id})


async def location_ids(tx: Tx, codes: Sequence[str]) -> dict[str, int]:
    """Return the ids of the locations that exist among `codes`."""
    return dict(await tx.tuples(LOCATION_IDS, {"codes": list(codes)}))
