"""Customers as others see them: lists with masked identities, profiles by id, number or identity."""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.customers.model import Customer, CustomerRow
from malha.customers.rules import search_words
from malha.platform.brazil import mask_document, mask_email, mask_phone
from malha.platform.db import Tx
from malha.platform.ids import UUID

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

# Newest first by number; the trigram index on `folded` serves the words.
CUSTOMER_PAGE = """
SELECT id, number, kind, name, document, email, phone,
       coalesce(address ->> 'city', '') AS city, coalesce(address ->> 'state', '') AS state
FROM customer
WHERE (%(words)s::text[] IS NULL OR folded LIKE ALL (%(words)s::text[]))
  AND (%(before)s::bigint IS NULL OR number < %(before)s::bigint)
ORDER BY number DESC
LIMIT %(limit)s::int
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
    rows = await tx.all(dict, CUSTOMER_PAGE, {"words": patterns(query) or None, "before": before, "limit": limit})
    return [masked(row) for row in rows]


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
