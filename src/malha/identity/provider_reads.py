"""Reading providers, who is bound to them, and how people may log in."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from malha.identity.model import Role
from malha.identity.provider_model import FactorPolicy, Rule
from malha.platform.db import Tx
from malha.platform.ids import UUID

# The whole table: a retailer has a handful of providers. Locations and rules by the indexes on provider_id.
PROVIDERS = """
SELECT id, code, name, issuer, client_id, client_secret IS NOT NULL AS has_secret, scopes, domains, creates, links,
       claim, role, everywhere, second_factor, proofs, active, version, created_at,
       ARRAY(SELECT c.code FROM login_provider_location l JOIN location c ON c.id = l.location_id
             WHERE l.provider_id = p.id ORDER BY c.code) AS locations,
       (SELECT count(*) FROM person_identity i WHERE i.provider_id = p.id)::int AS people,
       (SELECT max(last_at) FROM person_identity i WHERE i.provider_id = p.id) AS last_at
FROM login_provider p
WHERE (%(code)s::text IS NULL OR code = %(code)s::text)
ORDER BY name, id
"""

# By the unique (provider_id, place).
RULES = """
SELECT r.provider_id, r.value, r.role, r.everywhere,
       ARRAY(SELECT c.code FROM login_rule_location l JOIN location c ON c.id = l.location_id
             WHERE l.rule_id = r.id ORDER BY c.code) AS locations
FROM login_rule r
WHERE r.provider_id = ANY(%(ids)s::int[])
ORDER BY r.provider_id, r.place
"""

# The whole table: a handful.
BUTTONS = """
SELECT code, name FROM login_provider WHERE active ORDER BY name, id
"""

# The one row, if there is one; owners by a scan of hundreds of people at most.
POLICY = """
SELECT coalesce((SELECT provider_only FROM login_policy), false) AS provider_only,
       coalesce((SELECT version FROM login_policy), 0) AS version,
       (SELECT count(*) FROM login_provider WHERE active)::int AS providers,
       (SELECT count(*) FROM person p
        WHERE p.role = 'owner' AND p.active AND p.everywhere AND p.password_hash IS NOT NULL
          AND EXISTS (SELECT FROM second_factor f WHERE f.person_id = p.id))::int AS ways_back
"""

# By primary key.
BOUND = """
SELECT person_id FROM person_identity WHERE issuer = %(issuer)s::text AND subject = %(subject)s::text
"""

# By the unique e-mail.
PERSON_OF_EMAIL = """
SELECT id FROM person WHERE email = %(email)s::text
"""

# By the index on person_id.
IDENTITIES = """
SELECT i.issuer, i.subject, i.since, i.last_at, p.name AS provider
FROM person_identity i LEFT JOIN login_provider p ON p.id = i.provider_id
WHERE i.person_id = %(person_id)s::uuid
ORDER BY i.since, i.issuer, i.subject
"""

# By primary keys.
SESSION_PROVIDER = """
SELECT p.code, s.id_token FROM session s JOIN login_provider p ON p.id = s.provider_id
WHERE s.token_hash = %(token_hash)s::bytea AND p.active
"""

# By primary key.
HAS_FACTOR = """
SELECT version, EXISTS (SELECT FROM second_factor f WHERE f.person_id = p.id) AS factor
FROM person p WHERE id = %(id)s::uuid AND active
"""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    code: str
    name: str
    issuer: str
    client_id: str
    has_secret: bool
    scopes: list[str]
    domains: list[str]
    creates: bool
    links: bool
    claim: str | None
    role: str | None
    everywhere: bool
    second_factor: str
    proofs: list[str]
    active: bool
    version: int
    created_at: datetime
    locations: list[str]
    people: int
    last_at: datetime | None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as lists show it; of its secret only whether it is set. `locations` None is everywhere.

    `people` are bound to it, the last of whom came in at `last_at`. For whoever is limited to locations, it and its
    rules name those only; `others` then tells how many more they name, and is absent otherwise.
    """

    id: int
    code: str
    name: str
    issuer: str
    client_id: str
    has_secret: bool
    scopes: list[str]
    domains: list[str]
    creates: bool
    links: bool
    claim: str | None
    rules: list[Rule]
    role: Role | None
    locations: list[str] | None
    second_factor: FactorPolicy
    proofs: list[str]
    active: bool
    version: int
    created_at: datetime
    people: int
    last_at: datetime | None
    others: int | UnsetType = UNSET


class Policy(msgspec.Struct, frozen=True):
    """How people may log in.

    `providers` are in use; `ways_back` are owners of all places who could come in by password and second factor.
    """

    provider_only: bool
    version: int
    providers: int
    ways_back: int


class Button(msgspec.Struct, frozen=True):
    """A provider on the log-in page."""

    code: str
    name: str


class Identity(msgspec.Struct, frozen=True):
    """Who a person is at a provider; `provider` None was deleted here."""

    issuer: str
    subject: str
    since: datetime
    last_at: datetime
    provider: str | None


class SessionProvider(msgspec.Struct, frozen=True):
    """By which provider a session was opened, and its sealed ID token."""

    code: str
    id_token: bytes | None


async def providers(tx: Tx) -> list[Provider]:
    """Return every provider, by name."""
    return await _providers(tx, None)


async def provider(tx: Tx, code: str) -> Provider | None:
    """Return one provider."""
    found = await _providers(tx, code)
    return found[0] if found else None


async def _providers(tx: Tx, code: str | None) -> list[Provider]:
    rows = await tx.all(_Row, PROVIDERS, {"code": code})
    rules: dict[int, list[Rule]] = {row.id: [] for row in rows}
    for of, value, role, everywhere, places in await tx.tuples(RULES, {"ids": list(rules)}):
        rules[of].append(Rule(value=value, role=Role(role), locations=None if everywhere else list(places)))
    return [
        Provider(
            **{
                **{name: getattr(row, name) for name in row.__struct_fields__ if name != "everywhere"},
                "role": None if row.role is None else Role(row.role),
                "locations": None if row.everywhere else row.locations,
                "second_factor": FactorPolicy(row.second_factor),
                "rules": rules[row.id],
            }
        )
        for row in rows
    ]


async def buttons(tx: Tx) -> Sequence[Button]:
    """Return the providers one can log in by."""
    return await tx.all(Button, BUTTONS)


async def policy(tx: Tx) -> Policy:
    """Return how people may log in."""
    return await tx.one(Policy, POLICY)


async def bound(tx: Tx, issuer: str, subject: str) -> UUID | None:
    """Return the person who is bound to an account of a provider."""
    found: UUID | None = await tx.value(BOUND, {"issuer": issuer, "subject": subject})
    return found


async def person_of_email(tx: Tx, email: str) -> UUID | None:
    """Return the person who has a normal e-mail."""
    found: UUID | None = await tx.value(PERSON_OF_EMAIL, {"email": email})
    return found


async def identities(tx: Tx, person_id: UUID) -> list[Identity]:
    """Return who a person is at providers."""
    return await tx.all(Identity, IDENTITIES, {"person_id": person_id})


async def session_provider(tx: Tx, token_hash: bytes) -> SessionProvider | None:
    """Return by which provider, still in use, a session was opened."""
    return await tx.maybe(SessionProvider, SESSION_PROVIDER, {"token_hash": token_hash})


async def version_and_factor(tx: Tx, person_id: UUID) -> tuple[int, bool] | None:
    """Return an active person's version and whether they have a second factor."""
    found = await tx.tuples(HAS_FACTOR, {"id": person_id})
    return (int(found[0][0]), bool(found[0][1])) if found else None
