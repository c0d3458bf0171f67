"""What the pages of customers ask across capabilities: profiles with what they bought, and who is whose customer.

Somebody with a location scope sees the customers who have an order with units at one of those locations, and of each
only such orders.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.customers.model import CustomerRow
from malha.customers.reads import masked
from malha.customers.rules import search_words
from malha.platform.db import Tx
from malha.platform.ids import UUID

COUNT_LIMIT = 10_000
MOST_ORDERS = 20

# An order of the customer that is, in part, at a location of the scope: index order_customer_orders, then units by key.
_OF_SCOPE = """
    SELECT FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
    WHERE k.customer_id = c.id AND u.location_id = ANY(%(scope)s::int[])
"""
_CONDITIONS = f"""
FROM customer c
WHERE (%(words)s::text[] IS NULL OR c.folded LIKE ALL (%(words)s::text[]))
  AND (%(kind)s::text IS NULL OR c.kind = %(kind)s::text)
  AND (%(scope)s::int[] IS NULL OR EXISTS ({_OF_SCOPE}))
"""
_ROW = """
SELECT page.*, b.orders, b.latest
FROM (SELECT c.id, c.number, c.kind, c.name, c.document, c.email, c.phone,
             coalesce(c.address ->> 'city', '') AS city, coalesce(c.address ->> 'state', '') AS state"""
# What was bought is summed for the rows of the page only.
_BOUGHT = """) page
CROSS JOIN LATERAL (
    SELECT count(*)::int AS orders, max(o.placed_at) AS latest
    FROM order_customer k JOIN sales_order o ON o.id = k.order_id
    WHERE k.customer_id = page.id AND (%(scope)s::int[] IS NULL OR EXISTS (
        SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[])))
) b
"""

# Newest first by the unique index on number, either way; the trigram index serves the words.
CUSTOMERS_OLDER = f"""{_ROW} {_CONDITIONS} AND (%(place)s::bigint IS NULL OR c.number < %(place)s::bigint)
ORDER BY c.number DESC LIMIT %(limit)s::int {_BOUGHT} ORDER BY page.number DESC
"""
CUSTOMERS_NEWER = f"""{_ROW} {_CONDITIONS} AND c.number > %(place)s::bigint
ORDER BY c.number LIMIT %(limit)s::int {_BOUGHT} ORDER BY page.number
"""
CUSTOMERS_COUNT = f"""
SELECT count(*)::int FROM (SELECT 1 {_CONDITIONS} ORDER BY c.number DESC LIMIT %(limit)s::int) found
"""
# Index order_customer_orders.
IN_SCOPE = f"SELECT EXISTS (SELECT FROM customer c WHERE c.id = %(id)s::uuid AND EXISTS ({_OF_SCOPE}))"

# Index order_customer_orders; a customer has few orders.
ORDERS = """
SELECT o.id FROM order_customer k JOIN sales_order o ON o.id = k.order_id
WHERE k.customer_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR EXISTS (
    SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[])))
ORDER BY o.placed_at DESC, o.id DESC LIMIT %(most)s::int
"""
BOUGHT = """
SELECT count(*)::int AS orders, count(*) FILTER (WHERE o.status = 'cancelled')::int AS cancelled,
       coalesce(sum(o.total - o.cancelled_total) FILTER (WHERE o.status <> 'cancelled'), 0)::bigint AS total,
       min(o.placed_at) AS first, max(o.placed_at) AS latest
FROM order_customer k JOIN sales_order o ON o.id = k.order_id
WHERE k.customer_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR EXISTS (
    SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[])))
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which customers are wanted; `scope` None is all."""

    search: str = ""
    kind: str | None = None
    scope: tuple[int, ...] | None = None


class Row(msgspec.Struct, frozen=True):
    """One customer of the list: masked, with what they bought."""

    who: CustomerRow
    orders: int
    latest: datetime | None


class CustomerPage(msgspec.Struct, frozen=True):
    """Some customers, the newest first, and whether there are more on either side."""

    rows: list[Row]
    more_newer: bool
    more_older: bool


class Bought(msgspec.Struct, frozen=True):
    """What a customer bought; `total` is centavos, without what was cancelled."""

    orders: int
    cancelled: int
    total: int
    first: datetime | None
    latest: datetime | None


def _params(wanted: Wanted) -> dict[str, Any]:
    found = search_words(wanted.search)
    words = ["%" + w.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for w in found]
    scope = None if wanted.scope is None else list(wanted.scope)
    return {"words": words or None, "kind": wanted.kind, "scope": scope}


async def customers(
    tx: Tx, wanted: Wanted, *, older: int | None = None, newer: int | None = None, size: int
) -> CustomerPage:
    """Return a page of customers: with numbers below `older`, or above `newer`."""
    params = {**_params(wanted), "place": older if newer is None else newer, "limit": size + 1}
    found = await tx.all(dict, CUSTOMERS_OLDER if newer is None else CUSTOMERS_NEWER, params)
    more = len(found) > size
    rows = [Row(orders=row.pop("orders"), latest=row.pop("latest"), who=masked(row)) for row in found[:size]]
    if newer is not None:
        return CustomerPage(rows[::-1], more, more_older=True)
    return CustomerPage(rows, older is not None, more)


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many customers are wanted, counted up to `COUNT_LIMIT` + 1."""
    found: int = await tx.value(CUSTOMERS_COUNT, {**_params(wanted), "limit": COUNT_LIMIT + 1})
    return found


async def is_seen(tx: Tx, customer_id: UUID, scope: Sequence[int] | None) -> bool:
    """Return whether somebody with this scope may see a customer."""
    return scope is None or bool(await tx.value(IN_SCOPE, {"id": customer_id, "scope": list(scope)}))


async def orders(tx: Tx, customer_id: UUID, scope: Sequence[int] | None) -> list[UUID]:
    """Return a customer's latest orders, the newest first, at most `MOST_ORDERS`."""
    params = {"id": customer_id, "scope": None if scope is None else list(scope), "most": MOST_ORDERS}
    return await tx.values(ORDERS, params)


async def bought(tx: Tx, customer_id: UUID, scope: Sequence[int] | None) -> Bought:
    """Return what a customer bought."""
    return await tx.one(Bought, BOUGHT, {"id": customer_id, "scope": None if scope is None else list(scope)})
