"""Statements that change customers. Identities are locked first, in order; rows then follow by id."""

from collections.abc import Sequence

import msgspec

from malha.customers import rules
from malha.customers.model import Customer
from malha.platform.address import Address
from malha.platform.db import Tx

_encode = msgspec.json.Encoder().encode

# Transactions that speak of one person come one after the other: a unique index alone cannot see that an e-mail now
# and a document later are the same customer. Sorted in the subquery, so that no two transactions wait for each other.
LOCK_IDENTITIES = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':customers'), b)
FROM (SELECT DISTINCT b FROM unnest(%(buckets)s::int[]) AS u (b) ORDER BY b) AS sorted
"""

# New profiles; what clashes here was not seen under the identity locks and is a fault.
ADD_CUSTOMERS = """
INSERT INTO customer (id, kind, name, document, email, phone, address, folded)
SELECT id, kind, name, document, email, phone, address, folded
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (id uuid, kind text, name text, document text, email text, phone text, address jsonb, folded text)
ORDER BY id
"""

# Profiles that exist, in id order; unchanged ones keep their version.
SET_CUSTOMERS = """
UPDATE customer c SET kind = r.kind, name = r.name, document = r.document, email = r.email, phone = r.phone,
    address = r.address, folded = r.folded, updated_at = now(), version = c.version + 1
FROM (SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS u
          (id uuid, kind text, name text, document text, email text, phone text, address jsonb, folded text)
      ORDER BY id) AS r
WHERE c.id = r.id
  AND (c.name, c.document, c.email, c.phone, c.address)
      IS DISTINCT FROM (r.name, r.document, r.email, r.phone, r.address)
"""

# Locked before it is compared with the version a person saw.
LOCK_CUSTOMER = """
SELECT version FROM customer WHERE id = %(id)s::uuid FOR NO KEY UPDATE
"""


# Several at once, in id order as SET_CUSTOMERS has it.
LOCK_CUSTOMERS = """
SELECT id FROM customer WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE
"""

# Several that are to stay what they are until the transaction ends: nobody puts one of them into another meanwhile.
KEEP_CUSTOMERS = """
SELECT id FROM customer WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR KEY SHARE
"""

# What an undone import had added.
REMOVE_CUSTOMERS = "DELETE FROM customer WHERE id = ANY(%(ids)s::uuid[])"


# Both profiles as they were; which orders followed is written by whoever moves them.
ADD_MERGE = """
INSERT INTO customer_merge (id, actor, person, kept_id, gone_id, gone_number, kept_before, gone_before, kept_version)
VALUES (%(id)s::uuid, %(actor)s::text, %(person)s::text, %(kept)s::uuid, %(gone)s::uuid, %(number)s::bigint,
        %(kept_before)s::jsonb, %(gone_before)s::jsonb, %(version)s::int)
"""

# Index customer_alias_customer.
MOVE_ALIASES = "UPDATE customer_alias SET customer_id = %(to)s::uuid WHERE customer_id = %(from)s::uuid"

ADD_ALIASES = """
INSERT INTO customer_alias (value, customer_id, merge_id)
SELECT value, %(customer)s::uuid, %(merge)s::uuid FROM unnest(%(values)s::text[]) AS w(value) ORDER BY value
ON CONFLICT (value) DO UPDATE SET customer_id = excluded.customer_id, merge_id = excluded.merge_id
"""

DROP_ALIASES = "DELETE FROM customer_alias WHERE merge_id = %(merge)s::uuid"

# What had led to the profile that is there again before it went: of those that went into it, and into those. Index
# customer_merge_kept.
RETURN_ALIASES = """
WITH RECURSIVE into_it AS (
    SELECT id, gone_id FROM customer_merge WHERE kept_id = %(gone)s::uuid AND undone_at IS NULL
    UNION
    SELECT m.id, m.gone_id FROM into_it i JOIN customer_merge m ON m.kept_id = i.gone_id AND m.undone_at IS NULL
)
UPDATE customer_alias SET customer_id = %(gone)s::uuid WHERE merge_id IN (SELECT id FROM into_it)
"""

# What a profile was before others went into it, once what it had from a third one is that one's again.
SET_BEFORE = """
UPDATE customer_merge m SET kept_before = w.before
FROM unnest(%(ids)s::uuid[], %(before)s::jsonb[]) AS w(id, before) WHERE m.id = w.id
"""
DROP_SOME_ALIASES = """
DELETE FROM customer_alias a USING unnest(%(values)s::text[], %(merges)s::uuid[]) AS w(value, merge_id)
WHERE a.value = w.value AND a.merge_id = w.merge_id
"""

# Once the people are locked.
LOCK_MERGE = "SELECT id FROM customer_merge WHERE id = %(id)s::uuid FOR NO KEY UPDATE"

END_MERGE = """
UPDATE customer_merge SET undone_at = now(), undone_person = %(person)s::text WHERE id = %(id)s::uuid
"""

ADD_DISTINCT = """
INSERT INTO customer_distinct (one_id, other_id, actor)
VALUES (%(one)s::uuid, %(other)s::uuid, %(actor)s::text) ON CONFLICT DO NOTHING
"""

# Under the id and the number it had.
ADD_BACK = """
INSERT INTO customer (id, number, kind, name, document, email, phone, address, folded, created_at)
OVERRIDING SYSTEM VALUE
SELECT id, %(number)s::bigint, kind, name, document, email, phone, address, folded, %(created_at)s::timestamptz
FROM jsonb_to_record(%(row)s::jsonb) AS r
    (id uuid, kind text, name text, document text, email text, phone text, address jsonb, folded text)
"""

# For good; nothing finds it by a name, a document or an address any more.
EMPTY_CUSTOMER = """
UPDATE customer SET name = '', document = NULL, email = NULL, phone = NULL,
    address = %(address)s::jsonb, folded = '', updated_at = now(), erased_at = now(), version = version + 1
WHERE id = %(id)s::uuid
"""
# What the profiles were before they were put together, or told apart: no more than that they were there.
EMPTY_MERGES = """
UPDATE customer_merge SET
    kept_before = kept_before || '{"name": "", "document": null, "email": null, "phone": null, "address": {}}',
    gone_before = gone_before || '{"name": "", "document": null, "email": null, "phone": null, "address": {}}'
WHERE kept_id = ANY (%(ids)s::uuid[]) OR gone_id = ANY (%(ids)s::uuid[])
"""
DROP_ALIASES_TO = "DELETE FROM customer_alias WHERE customer_id = ANY (%(ids)s::uuid[])"


async def lock_identities(tx: Tx, buckets: Sequence[int]) -> None:
    """Wait for other transactions that speak of the same people; held until the end of this one."""
    if buckets:
        await tx.execute(LOCK_IDENTITIES, {"buckets": list(buckets)})


def _row(customer: Customer) -> dict[str, object]:
    return {
        "id": customer.id,
        "kind": rules.kind_of(customer.document),
        "name": customer.name,
        "document": customer.document,
        "email": customer.email,
        "phone": customer.phone,
        "address": customer.address or Address(),
        "folded": rules.folded_customer(customer.name, customer.document, customer.email, customer.phone),
    }


async def add(tx: Tx, customers: Sequence[Customer]) -> None:
    """Insert new profiles."""
    if customers:
        await tx.execute(ADD_CUSTOMERS, {"rows": _encode([_row(c) for c in customers]).decode()})


async def set_all(tx: Tx, customers: Sequence[Customer]) -> int:
    """Rewrite existing profiles; return how many differed."""
    if not customers:
        return 0
    return await tx.execute(SET_CUSTOMERS, {"rows": _encode([_row(c) for c in customers]).decode()})


async def add_back(tx: Tx, customer: Customer) -> None:
    """Insert a profile that was there before, under its id and number."""
    facts = {"number": customer.number, "created_at": customer.created_at}
    await tx.execute(ADD_BACK, {**facts, "row": _encode(_row(customer)).decode()})
