"""Reading people, keys, sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, LiteralString

import msgspec

from malha.identity.model import ROLES, Role
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Primary key look-up of the token, then of the person; runs for every page. Who chose no time zone has the retailer's.
SESSION_PERSON = """
SELECT s.id AS session_id, s.seen_at, s.expires_at, now() AS at,
       p.id, p.name, p.role, p.everywhere, p.language,
       coalesce(p.timezone, (SELECT timezone FROM retailer)) AS timezone, p.theme,
       ARRAY(SELECT location_id FROM person_location l WHERE l.person_id = p.id ORDER BY location_id) AS locations,
       EXISTS (SELECT FROM role_policy r WHERE r.role = p.role AND r.second_factor)
           AND NOT EXISTS (SELECT FROM second_factor f WHERE f.person_id = p.id) AND NOT s.vouched
           AS must_enrol
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

# By primary keys: what a person or a key has now, in whose name a worker goes on.
PERSON_RIGHTS = """
SELECT p.role, p.everywhere,
       ARRAY(SELECT location_id FROM person_location l WHERE l.person_id = p.id ORDER BY location_id) AS locations
FROM person p WHERE p.id = %(id)s::uuid AND p.active
"""
KEY_RIGHTS = """
SELECT k.permissions, k.everywhere,
       ARRAY(SELECT location_id FROM api_key_location l WHERE l.key_id = k.id ORDER BY location_id) AS locations
FROM api_key k
WHERE k.id = %(id)s::bigint AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
"""

# The whole table: a retailer has dozens of keys. A key that another one made goes back to the person who made that, or
# took it over: only people take keys over.
KEYS = """
WITH RECURSIVE made (id, maker) AS (
    SELECT id, coalesce(kept_by, created_by) FROM api_key
    UNION ALL
    SELECT m.id, coalesce(k.kept_by, k.created_by) FROM made m JOIN api_key k ON m.maker = 'key:' || k.id
)
SELECT k.id, k.name, k.prefix, k.permissions, k.everywhere, k.created_at, k.created_by, k.expires_at, k.revoked_at,
       k.last_used_at,
       ARRAY(SELECT c.code FROM api_key_location l JOIN location c ON c.id = l.location_id
             WHERE l.key_id = k.id ORDER BY c.code) AS locations,
       p.id AS maker_id, p.name AS maker_name, p.active AS maker_active, p.role AS maker_role,
       p.everywhere AS maker_everywhere,
       ARRAY(SELECT c.code FROM person_location l JOIN location c ON c.id = l.location_id
             WHERE l.person_id = p.id) AS maker_locations,
       k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AS works
FROM api_key k
LEFT JOIN (made m JOIN person p ON m.maker = 'person:' || p.id) ON m.id = k.id
WHERE (%(id)s::bigint IS NULL OR k.id = %(id)s::bigint)
  AND (%(within)s::int[] IS NULL OR NOT k.everywhere AND NOT EXISTS (
         SELECT FROM api_key_location l WHERE l.key_id = k.id AND l.location_id <> ALL(%(within)s::int[])))
ORDER BY k.id
"""

# Whom an actor may see who is limited to some locations: nobody who has another one.
_WITHIN: LiteralString = """(%(within)s::int[] IS NULL OR NOT everywhere AND NOT EXISTS (
    SELECT FROM person_location l WHERE l.person_id = p.id AND l.location_id <> ALL(%(within)s::int[])))"""

# Keyset by (name, id): hundreds of people at most, sorted in memory.
PEOPLE = f"""
SELECT id, name, email, role, everywhere, language, timezone, active, created_at, version,
       ARRAY(SELECT c.code FROM person_location l JOIN location c ON c.id = l.location_id
             WHERE l.person_id = p.id ORDER BY c.code) AS locations,
       password_hash IS NULL AND NOT EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.id) AS invited,
       EXISTS (SELECT FROM second_factor f WHERE f.person_id = p.id) AS second_factor,
       (SELECT max(seen_at) FROM session s WHERE s.person_id = p.id) AS seen_at
FROM person p
WHERE (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
  AND {_WITHIN}
  AND (%(role)s::text IS NULL OR role = %(role)s::text)
  AND (%(state)s::text IS NULL OR %(state)s::text = CASE
         WHEN NOT active THEN 'inactive'
         WHEN password_hash IS NULL AND NOT EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.id)
         THEN 'invited' ELSE 'active' END)
  AND (%(text)s::text IS NULL OR strpos(email, %(text)s::text) > 0
       OR strpos(translate(lower(name), 'áàâãäéèêëíìîïóòôõöúùûüçñ', 'aaaaaeeeeiiiiooooouuuucn'), %(text)s::text) > 0)
  AND (%(after_name)s::text IS NULL OR (name, id) > (%(after_name)s::text, %(after_id)s::uuid))
ORDER BY name, id
LIMIT %(limit)s::int
"""

# The whole table: hundreds of people at most.
PEOPLE_BY_STATE = f"""
SELECT CASE WHEN NOT active THEN 'inactive'
            WHEN password_hash IS NULL AND NOT EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.id)
            THEN 'invited' ELSE 'active' END AS state,
       count(*)::int
FROM person p WHERE {_WITHIN} GROUP BY 1
"""

# By the index on person_id.
SESSIONS = """
SELECT id, created_at, seen_at, expires_at, source, agent,
       coalesce(token_hash = %(token_hash)s::bytea, false) AS current,
       (SELECT name FROM login_provider p WHERE p.id = s.provider_id) AS provider
FROM session s
WHERE person_id = %(person_id)s::uuid AND expires_at > now()
ORDER BY seen_at DESC
"""

# By the unique e-mail.
WHOSE_EMAIL = """
SELECT id FROM person WHERE email = %(email)s::text
"""

# By primary key.
KEPT_HASH = """
SELECT password_hash FROM person WHERE id = %(id)s::uuid
"""

ANY_PERSON = """
SELECT EXISTS (SELECT FROM person)
"""

# The whole table, at most one row for each role.
DEMANDING_ROLES = """
SELECT role FROM role_policy WHERE second_factor
"""

# A retailer has hundreds of people at most.
PEOPLE_PER_ROLE = f"""
SELECT role, count(*) AS people, count(*) FILTER (WHERE f.person_id IS NULL) AS without_factor
FROM person p LEFT JOIN second_factor f ON f.person_id = p.id
WHERE active AND {_WITHIN} GROUP BY role
"""

# Primary keys; the codes by their leading column.
FACTOR_STATE = """
SELECT f.since,
       EXISTS (SELECT FROM role_policy r WHERE r.role = p.role AND r.second_factor) AS demanded,
       (SELECT count(*) FROM recovery_code c WHERE c.person_id = p.id)::int AS codes_left
FROM person p LEFT JOIN second_factor f ON f.person_id = p.id
WHERE p.id = %(id)s::uuid
"""

# By primary key, then the person's.
LINK = """
SELECT l.id, l.person_id, l.expires_at, l.sent_at, p.name, p.email, p.language, p.active,
       p.password_hash IS NULL AND NOT EXISTS (SELECT FROM person_identity i WHERE i.person_id = p.id) AS invited
FROM password_link l JOIN person p ON p.id = l.person_id
WHERE l.id = %(id)s::uuid AND l.expires_at > now()
"""

# By the index on person_id: the newest one.
LINK_OF = """
SELECT created_at, expires_at, mailed, sent_at, problem FROM password_link
WHERE person_id = %(person_id)s::uuid AND expires_at > now()
ORDER BY created_at DESC LIMIT 1
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
    must_enrol: bool


class PersonRights(msgspec.Struct, frozen=True):
    """What a person with access has now."""

    role: Role
    everywhere: bool
    locations: list[int]


class KeyRights(msgspec.Struct, frozen=True):
    """What a key that works has now."""

    permissions: list[str]
    everywhere: bool
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


class KeyMaker(msgspec.Struct, frozen=True):
    """Who made a key, themselves or by another key of theirs, or took it over from who did.

    A key is the retailer's and keeps the rights it was made with: `gone` says that its maker was deactivated, `less`
    that the maker has less than the key by now.
    """

    id: UUID
    name: str
    state: Literal["active", "less", "gone"]


class KeyFacts(msgspec.Struct, frozen=True):
    """What is shown of a key; the secret is nowhere."""

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
    works: bool


class KeyView(KeyFacts, frozen=True):
    """A key as lists show it; the secret is nowhere. `everywhere`: no limit to `locations`.

    `works`: it is neither revoked nor over. `maker` null: no person made it.
    """

    maker: KeyMaker | None


class _KeyRow(KeyFacts, frozen=True):
    maker_id: UUID | None
    maker_name: str | None
    maker_active: bool | None
    maker_role: Role | None
    maker_everywhere: bool | None
    maker_locations: list[str]

    def view(self) -> KeyView:
        """Return the key with who made it, and what became of them."""
        return KeyView(**{name: getattr(self, name) for name in KeyFacts.__struct_fields__}, maker=self._maker())

    def _maker(self) -> KeyMaker | None:
        if self.maker_id is None or self.maker_role is None:
            return None
        held = ROLES[Role(self.maker_role)]
        wider = not self.maker_everywhere and (self.everywhere or not set(self.locations) <= set(self.maker_locations))
        less = wider or not set(self.permissions) <= held
        state: Literal["active", "less", "gone"] = "gone" if not self.maker_active else "less" if less else "active"
        return KeyMaker(self.maker_id, self.maker_name or "", state)


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
    invited: bool  # never came in: no password chosen, no provider's account bound
    second_factor: bool
    seen_at: datetime | None  # in a session that still lives


class SessionView(msgspec.Struct, frozen=True):
    """One signed-in browser; `current` is the one that asks, `provider` what it was signed in by (None: a password)."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    source: str | None
    agent: str | None
    current: bool
    provider: str | None = None


class FactorState(msgspec.Struct, frozen=True):
    """A person's second factor: since when, whether the role demands one, how many recovery codes are left."""

    since: datetime | None
    demanded: bool
    codes_left: int


class LinkRow(msgspec.Struct, frozen=True):
    """A link that has not run out, and whose it is."""

    id: UUID
    person_id: UUID
    expires_at: datetime
    sent_at: datetime | None
    name: str
    email: str
    language: str | None
    active: bool
    invited: bool


class LinkView(msgspec.Struct, frozen=True):
    """What became of the newest link made for a person."""

    created_at: datetime
    expires_at: datetime
    mailed: bool
    sent_at: datetime | None
    problem: str | None


async def person_rights(tx: Tx, person_id: UUID) -> PersonRights | None:
    """Return what a person has now; None without access."""
    return await tx.maybe(PersonRights, PERSON_RIGHTS, {"id": person_id})


async def key_rights(tx: Tx, key_id: int) -> KeyRights | None:
    """Return what a key has now; None if it does not work any more."""
    return await tx.maybe(KeyRights, KEY_RIGHTS, {"id": key_id})


async def any_person(tx: Tx) -> bool:
    """Return whether there is a person yet."""
    return bool(await tx.value(ANY_PERSON))


async def keys(tx: Tx) -> list[KeyView]:
    """Return every key, revoked ones too."""
    return [row.view() for row in await tx.all(_KeyRow, KEYS, {"id": None, "within": tx.actor.scope})]


async def keys_of(tx: Tx, person_id: UUID) -> list[KeyView]:
    """Return the keys that still work and that a person made, themselves or by a key of theirs."""
    return [key for key in await keys(tx) if key.works and key.maker is not None and key.maker.id == person_id]


async def orphaned_keys(tx: Tx) -> list[KeyView]:
    """Return the keys that still work and that nobody with access answers for any more."""
    return [key for key in await keys(tx) if key.works and key.maker is not None and key.maker.state == "gone"]


async def key(tx: Tx, key_id: int) -> KeyView | None:
    """Return one key."""
    found = await tx.maybe(_KeyRow, KEYS, {"id": key_id, "within": tx.actor.scope})
    return None if found is None else found.view()


class PeopleWanted(msgspec.Struct, frozen=True):
    """Which people a list shows. `text` is folded; `state` is one of `active`, `invited`, `inactive`."""

    text: str | None = None
    role: Role | None = None
    state: str | None = None


async def people(
    tx: Tx, limit: int, after: tuple[str, UUID] | None = None, wanted: PeopleWanted | None = None
) -> list[PersonView]:
    """Return people by name, after a position."""
    return await _people(tx, limit, after, wanted or PeopleWanted())


async def person(tx: Tx, person_id: UUID) -> PersonView | None:
    """Return one person."""
    found = await _people(tx, 1, None, PeopleWanted(), person_id)
    return found[0] if found else None


async def _people(
    tx: Tx, limit: int, after: tuple[str, UUID] | None, wanted: PeopleWanted, person_id: UUID | None = None
) -> list[PersonView]:
    name, after_id = after or (None, None)
    asked = {
        "id": person_id,
        "within": tx.actor.scope,
        "text": wanted.text,
        "role": wanted.role,
        "state": wanted.state,
        "after_name": name,
        "after_id": after_id,
        "limit": limit,
    }
    return [_person(row) for row in await tx.tuples(PEOPLE, asked)]


async def people_by_state(tx: Tx) -> dict[str, int]:
    """Return how many people are `active`, `invited` and `inactive`, of those the actor may see."""
    return dict(await tx.tuples(PEOPLE_BY_STATE, {"within": tx.actor.scope}))


def _person(row: Sequence[object]) -> PersonView:
    view: PersonView = msgspec.convert(
        dict(zip(PersonView.__struct_fields__, row, strict=True)), PersonView, builtin_types=(UUID, datetime)
    )
    return view


async def sessions(tx: Tx, person_id: UUID, token_hash: bytes | None = None) -> list[SessionView]:
    """Return a person's signed-in browsers, the last used first; that of `token_hash` is the current one."""
    return await tx.all(SessionView, SESSIONS, {"person_id": person_id, "token_hash": token_hash})


async def location_ids(tx: Tx, codes: Sequence[str]) -> dict[str, int]:
    """Return the ids of the locations that exist among `codes`."""
    return dict(await tx.tuples(LOCATION_IDS, {"codes": list(codes)}))


async def demanding_roles(tx: Tx) -> frozenset[Role]:
    """Return the roles whose people need a second factor."""
    return frozenset(Role(role) for role in await tx.values(DEMANDING_ROLES))


async def people_per_role(tx: Tx) -> dict[Role, tuple[int, int]]:
    """Return for each role how many active people the actor may see have it, and how many of them no second factor."""
    found = await tx.tuples(PEOPLE_PER_ROLE, {"within": tx.actor.scope})
    return {Role(role): (people, without) for role, people, without in found}


async def has_password(tx: Tx, person_id: UUID) -> bool:
    """Return whether a person could come in by password: whoever came by a provider may never have chosen one."""
    return await tx.value(KEPT_HASH, {"id": person_id}) is not None


async def factor_state(tx: Tx, person_id: UUID) -> FactorState:
    """Return how it stands with a person's second factor."""
    return (await tx.maybe(FactorState, FACTOR_STATE, {"id": person_id})) or FactorState(None, False, 0)


async def link(tx: Tx, link_id: UUID) -> LinkRow | None:
    """Return a link that has not run out."""
    return await tx.maybe(LinkRow, LINK, {"id": link_id})


async def link_of(tx: Tx, person_id: UUID) -> LinkView | None:
    """Return the newest link made for a person that has not run out."""
    return await tx.maybe(LinkView, LINK_OF, {"person_id": person_id})
