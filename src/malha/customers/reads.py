"""Customers as others see them: lists with masked identities, profiles by id, number or identity."""

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec

from malha.customers.model import Alike, Customer, CustomerRow, Merge
from malha.customers.rules import search_words
from malha.platform.brazil import (
    mask_document,
    mask_email,
    mask_phone,
    normalise_document,
    normalise_email,
    normalise_phone,
)
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

REVEAL = "customers:reveal"
FOUND_LIMIT = 1_000  # customers a search looks at; one that finds more is too wide to be read anyway
RECENT = 20_000  # customers a search looks through one by one, before it asks the index about all of them

# Primary key.
CUSTOMERS_BY_ID = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE id = ANY(%(ids)s::uuid[])
"""

# Unique index on number: what people say on the telephone.
CUSTOMER_BY_NUMBER = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE number = %(number)s::bigint
"""

# Everyone who might be one of these people; one index per arm.
CANDIDATES = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE document = ANY(%(documents)s::text[])
UNION
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE email = ANY(%(emails)s::text[])
UNION
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE phone = ANY(%(phones)s::text[])
"""

_ROW: LiteralString = """
SELECT id, number, kind, name, document, email, phone,
       coalesce(address ->> 'city', '') AS city, coalesce(address ->> 'state', '') AS state, erased_at
"""
# Newest first by the unique index on number.
CUSTOMER_PAGE = f"""{_ROW} FROM customer
WHERE %(before)s::bigint IS NULL OR number < %(before)s::bigint
ORDER BY number DESC LIMIT %(limit)s::int
"""
# Profiles by id, in the same order.
CUSTOMERS_FOUND = f"""{_ROW} FROM customer
WHERE id = ANY(%(ids)s::uuid[]) AND (%(before)s::bigint IS NULL OR number < %(before)s::bigint)
ORDER BY number DESC LIMIT %(limit)s::int
"""
# A whole CPF or CNPJ, e-mail or telephone, also of a profile that went into another: one index per arm.
FIND_IDENTITY = """
SELECT id FROM customer WHERE document = %(document)s::text
UNION
SELECT id FROM customer WHERE email = %(email)s::text
UNION
SELECT id FROM customer WHERE phone = %(phone)s::text
UNION
SELECT customer_id FROM customer_alias WHERE value IN (%(document)s::text, %(email)s::text)
"""
# What lists show of a profile (`masked`), folded: only that answers parts of words to who may not see the rest. Else
# the hidden digits of a CPF were read by asking for them one after the other.
SHOWN: LiteralString = """concat_ws(' ', lower(regexp_replace(normalize(c.name, NFKD), '[\\u0300-\\u036f]', '', 'g')),
    CASE WHEN length(c.document) = 14 THEN lower(c.document) ELSE substr(c.document, 4, 6) END,
    left(c.email, 1), '@' || split_part(c.email, '@', 2), substr(c.phone, 4, 2), right(c.phone, 4))"""
# What many have, the newest have too: a frequent name is found among them at once. Unique index on number, backwards.
FIND_RECENT = f"""
SELECT c.id
FROM (SELECT id, number, folded, name, document, email, phone FROM customer
      ORDER BY number DESC LIMIT %(recent)s::int) c
WHERE c.folded LIKE ALL(%(patterns)s::text[])
  AND (%(reveals)s::boolean OR {SHOWN} LIKE ALL(%(patterns)s::text[]))
ORDER BY c.number DESC LIMIT %(most)s::int
"""
# Trigram index, by the two longest words: LIKE ALL cannot use it, so it only filters what they found.
FIND_TEXT = f"""
SELECT c.id FROM customer c
WHERE c.folded LIKE %(longest)s::text AND c.folded LIKE %(second)s::text AND c.folded LIKE ALL(%(patterns)s::text[])
  AND (%(reveals)s::boolean OR {SHOWN} LIKE ALL(%(patterns)s::text[]))
ORDER BY c.number DESC LIMIT %(most)s::int
"""

# A walk through all profiles in pages, by the unique index on number.
CUSTOMERS_AFTER = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version, erased_at
FROM customer WHERE number > %(after)s::bigint ORDER BY number LIMIT %(limit)s::int
"""


# What led to a profile that is gone, by primary key.
ALIASES = "SELECT value, customer_id FROM customer_alias WHERE value = ANY(%(values)s::text[])"
# Index customer_alias_customer.
ALIASES_TO = "SELECT value FROM customer_alias WHERE customer_id = ANY(%(customers)s::uuid[])"

_MERGE = """
SELECT id, at, person, kept_id, gone_id, gone_number, kept_before, gone_before, kept_version, orders, undone_at
FROM customer_merge
"""
# By primary key.
MERGE = f"{_MERGE} WHERE id = %(id)s::uuid"
# Index customer_merge_kept.
MERGES_INTO = f"{_MERGE} WHERE kept_id = %(customer)s::uuid ORDER BY at DESC"
# By primary key; whom a worker looks for (`privacy.searching`).
BEING_ERASED = """
SELECT c.number FROM erasure_search s JOIN customer c ON c.id = s.customer_id
WHERE s.customer_id = ANY (%(ids)s::uuid[]) AND s.refused IS NULL
"""
# The partial index on profiles that are gone.
WENT_INTO = """
SELECT gone_id, kept_id FROM customer_merge WHERE gone_id = ANY(%(ids)s::uuid[]) AND undone_at IS NULL
"""
# The partial index on numbers that are gone, then up the chain by the one on profiles that are.
GONE_INTO = """
WITH RECURSIVE chain AS (
    SELECT kept_id FROM customer_merge WHERE gone_number = %(number)s::bigint AND undone_at IS NULL
    UNION
    SELECT m.kept_id FROM chain JOIN customer_merge m ON m.gone_id = chain.kept_id AND m.undone_at IS NULL
)
SELECT c.number FROM chain JOIN customer c ON c.id = chain.kept_id
"""

# Values that several profiles have, each found by its own index; pairs that a person told apart are left out, and so
# are two that have a document each: those are two people.
ALIKE = """
WITH pair AS (
    SELECT a.id AS one_id, b.id AS other_id, 'email' AS shares, greatest(a.number, b.number) AS newest
    FROM (SELECT email FROM customer WHERE email IS NOT NULL GROUP BY email HAVING count(*) > 1) same
    JOIN customer a ON a.email = same.email JOIN customer b ON b.email = same.email AND a.number < b.number
    WHERE a.document IS NULL OR b.document IS NULL
    UNION ALL
    SELECT a.id, b.id, 'phone', greatest(a.number, b.number)
    FROM (SELECT phone FROM customer WHERE phone IS NOT NULL GROUP BY phone HAVING count(*) BETWEEN 2 AND 20) same
    JOIN customer a ON a.phone = same.phone JOIN customer b ON b.phone = same.phone AND a.number < b.number
    WHERE (a.document IS NULL OR b.document IS NULL) AND (a.email IS DISTINCT FROM b.email)
)
SELECT one_id, other_id, shares FROM pair p
WHERE NOT EXISTS (SELECT FROM customer_distinct d
                  WHERE d.one_id = least(p.one_id, p.other_id) AND d.other_id = greatest(p.one_id, p.other_id))
ORDER BY newest DESC, one_id LIMIT %(limit)s::int
"""


def _customer(row: dict[str, Any]) -> Customer:
    return msgspec.convert(row, Customer)


async def by_ids(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Customer]:
    """Return profiles by id."""
    rows = await tx.all(dict, CUSTOMERS_BY_ID, {"ids": list(ids)})
    return {row["id"]: _customer(row) for row in rows}


async def by_number(tx: Tx, number: int) -> Customer | None:
    """Return the profile with this number."""
    row = await tx.maybe(dict, CUSTOMER_BY_NUMBER, {"number": number})
    return _customer(row) if row else None


async def candidates(
    tx: Tx, *, documents: Sequence[str] = (), emails: Sequence[str] = (), phones: Sequence[str] = ()
) -> list[Customer]:
    """Return everyone who has one of these normalised identities."""
    params = {"documents": list(documents), "emails": list(emails), "phones": list(phones)}
    return [_customer(row) for row in await tx.all(dict, CANDIDATES, params)]


async def page(
    tx: Tx, *, query: str = "", found: Sequence[UUID] | None = None, before: int | None = None, limit: int = 50
) -> list[CustomerRow]:
    """Return customers whose name, document, e-mail or telephone hold every word of `query`, newest first, masked.

    `found` are those of another search instead; `before` is the number of the last one seen.
    """
    asked = {"before": before, "limit": limit}
    ids = await find(tx, query) if found is None else found
    if ids is None:
        rows = await tx.all(dict, CUSTOMER_PAGE, asked)
    else:
        rows = await tx.all(dict, CUSTOMERS_FOUND, {"ids": list(ids), **asked})
    return [masked(row) for row in rows]


async def find(tx: Tx, query: str) -> list[UUID] | None:
    """Return the customers a person may mean, newest first, at most `FOUND_LIMIT`; None where nothing is asked.

    A whole CPF, CNPJ, e-mail or telephone answers from its index, however it is typed; so it answers completely. Also
    one by which a profile was found that went into another.
    Anything else is looked for by parts of words in name, document, e-mail and telephone; of these three, for who may
    not see personal data, in what lists show of them.
    """
    if not (words := patterns(query)):
        return None
    if known := await _of_identity(tx, query):
        return known
    words.sort(key=len, reverse=True)
    asked = {"patterns": words, "most": FOUND_LIMIT, "reveals": tx.actor.may(REVEAL)}
    recent = await tx.values(FIND_RECENT, {**asked, "recent": RECENT})
    if len(recent) == FOUND_LIMIT:
        return recent
    return await tx.values(FIND_TEXT, {**asked, "longest": words[0], "second": words[min(1, len(words) - 1)]})


async def _of_identity(tx: Tx, query: str) -> list[UUID]:
    identity = {
        "document": normalise_document(query),
        "email": normalise_email(query),
        "phone": normalise_phone(query),
    }
    return await tx.values(FIND_IDENTITY, identity) if any(identity.values()) else []


async def is_identity(tx: Tx, query: str) -> bool:
    """Tell whether a text is the whole CPF, CNPJ, e-mail or telephone of a customer."""
    return bool(await _of_identity(tx, query))


def patterns(query: str) -> list[str]:
    """Return the LIKE patterns that find every word of a query in a profile's `folded`."""
    return [f"%{literal(word)}%" for word in search_words(query)]


def masked(row: dict[str, Any]) -> CustomerRow:
    """Return a row with its identities masked."""
    hidden = {
        "document": mask_document(row["document"]) if row["document"] else None,
        "email": mask_email(row["email"]) if row["email"] else None,
        "phone": mask_phone(row["phone"]) if row["phone"] else None,
    }
    return CustomerRow(**{**row, **hidden})


def masked_customer(customer: Customer) -> CustomerRow:
    """Return a profile as lists show it."""
    row = {name: getattr(customer, name) for name in CustomerRow.__struct_fields__ if hasattr(customer, name)}
    return masked({**row, "city": customer.address.city, "state": customer.address.state})


async def walk(tx: Tx, *, after: int = 0, limit: int = 1000) -> list[Customer]:
    """Return profiles in the order of their numbers, after `after`: the way through all of them in pages."""
    return [_customer(row) for row in await tx.all(dict, CUSTOMERS_AFTER, {"after": after, "limit": limit})]


async def aliases(tx: Tx, values: Sequence[str]) -> dict[str, UUID]:
    """Return whose profile the aliases (`rules.aliases_of`) of profiles that are gone lead to."""
    return dict(await tx.tuples(ALIASES, {"values": list(values)})) if values else {}


async def aliases_to(tx: Tx, customers: Sequence[UUID]) -> list[str]:
    """Return what leads to profiles besides what they have themselves."""
    return await tx.values(ALIASES_TO, {"customers": list(customers)})


async def merges_into(tx: Tx, customer_id: UUID) -> list[Merge]:
    """Return the profiles that went into one, the newest first."""
    return [msgspec.convert(row, Merge) for row in await tx.all(dict, MERGES_INTO, {"customer": customer_id})]


async def gone_into(tx: Tx, number: int) -> int | None:
    """Return the number of the profile that one under a number went into."""
    found: int | None = await tx.value(GONE_INTO, {"number": number})
    return found


async def alike(tx: Tx, limit: int = 100) -> list[Alike]:
    """Return pairs of profiles that may be one person, the newest first."""
    return await tx.all(Alike, ALIKE, {"limit": limit})
