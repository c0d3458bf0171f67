"""Customers as others see them: lists with masked identities, profiles by id, number or identity."""

from collections.abc import Sequence
from typing import Any, LiteralString

import msgspec

from malha.customers.model import Customer, CustomerRow
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

FOUND_LIMIT = 1_000  # customers a search looks at; one that finds more is too wide to be read anyway
RECENT = 20_000  # customers a search looks through one by one, before it asks the index about all of them

# Primary key.
CUSTOMERS_BY_ID = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE id = ANY(%(ids)s::uuid[])
"""

# Unique index on number: what people say on the telephone.
CUSTOMER_BY_NUMBER = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE number = %(number)s::bigint
"""

# Everyone who might be one of these people; one index per arm.
CANDIDATES = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE document = ANY(%(documents)s::text[])
UNION
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE email = ANY(%(emails)s::text[])
UNION
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE phone = ANY(%(phones)s::text[])
"""

_ROW: LiteralString = """
SELECT id, number, kind, name, document, email, phone,
       coalesce(address ->> 'city', '') AS city, coalesce(address ->> 'state', '') AS state
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
# A whole CPF or CNPJ, e-mail or telephone: one index per arm.
FIND_IDENTITY = """
SELECT id FROM customer WHERE document = %(document)s::text
UNION
SELECT id FROM customer WHERE email = %(email)s::text
UNION
SELECT id FROM customer WHERE phone = %(phone)s::text
"""
# What many have, the newest have too: a frequent name is found among them at once. Unique index on number, backwards.
FIND_RECENT = """
SELECT c.id FROM (SELECT id, number, folded FROM customer ORDER BY number DESC LIMIT %(recent)s::int) c
WHERE c.folded LIKE ALL(%(patterns)s::text[])
ORDER BY c.number DESC LIMIT %(most)s::int
"""
# Trigram index, by the two longest words: LIKE ALL cannot use it, so it only filters what they found.
FIND_TEXT = """
SELECT c.id FROM customer c
WHERE c.folded LIKE %(longest)s::text AND c.folded LIKE %(second)s::text AND c.folded LIKE ALL(%(patterns)s::text[])
ORDER BY c.number DESC LIMIT %(most)s::int
"""

# A walk through all profiles in pages, by the unique index on number.
CUSTOMERS_AFTER = """
SELECT id, number, kind, name, document, email, phone, address, created_at, updated_at, version
FROM customer WHERE number > %(after)s::bigint ORDER BY number LIMIT %(limit)s::int
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


async def page(tx: Tx, *, query: str = "", before: int | None = None, limit: int = 50) -> list[CustomerRow]:
    """Return customers whose name, document, e-mail or telephone hold every word of `query`, newest first, masked.

    `before` is the number of the last one seen.
    """
    asked = {"before": before, "limit": limit}
    found = await find(tx, query)
    if found is None:
        rows = await tx.all(dict, CUSTOMER_PAGE, asked)
    else:
        rows = await tx.all(dict, CUSTOMERS_FOUND, {"ids": found, **asked})
    return [masked(row) for row in rows]


async def find(tx: Tx, query: str) -> list[UUID] | None:
    """Return the customers a person may mean, newest first, at most `FOUND_LIMIT`; None where nothing is asked.

    A whole CPF, CNPJ, e-mail or telephone answers from its index, however it is typed; so it answers completely.
    Anything else is looked for by parts of words in name, document, e-mail and telephone.
    """
    if not (words := patterns(query)):
        return None
    identity = {
        "document": normalise_document(query),
        "email": normalise_email(query),
        "phone": normalise_phone(query),
    }
    if any(identity.values()) and (known := await tx.values(FIND_IDENTITY, identity)):
        return known
    words.sort(key=len, reverse=True)
    asked = {"patterns": words, "most": FOUND_LIMIT}
    recent = await tx.values(FIND_RECENT, {**asked, "recent": RECENT})
    if len(recent) == FOUND_LIMIT:
        return recent
    return await tx.values(FIND_TEXT, {**asked, "longest": words[0], "second": words[min(1, len(words) - 1)]})


def patterns(query: str) -> list[str]:
    """Return the LIKE patterns that find every word of a query in a profile's `folded`."""
    return ["%" + w.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for w in search_words(query)]


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
