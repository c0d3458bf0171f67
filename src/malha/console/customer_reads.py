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
from malha.ordering import finding_customers
from malha.ordering.list_reads import NEWEST
from malha.platform.db import Tx
from malha.platform.ids import UUID

COUNT_LIMIT = 10_000
FILTERED_LIMIT = 1_000  # of customers who have to be looked for
MOST_ORDERS = 20

# An order of the customer that is, in part, at a location of the scope: index order_customer_orders, then units by key.
# A scalar question, here and below: the planner cannot answer it for everybody at once, by reading all units there are.
_OF_SCOPE = """
    SELECT true FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
    WHERE k.customer_id = c.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1
"""
_CONDITIONS = f"""
WHERE (%(kind)s::text IS NULL OR c.kind = %(kind)s::text)
  AND (%(scope)s::int[] IS NULL OR ({_OF_SCOPE}))
"""
# All of them, or those that a search found, by primary key: statements of their own, because a plan made for one would
# walk everybody for the other.
_EVERYBODY = f"FROM customer c {_CONDITIONS}"
_FOUND = f"FROM unnest(%(found)s::uuid[]) AS f (id) JOIN customer c ON c.id = f.id {_CONDITIONS}"
_ROW = """
SELECT page.*, b.orders, b.latest
FROM (SELECT c.id, c.number, c.kind, c.name, c.document, c.email, c.phone,
             coalesce(c.address ->> 'city', '') AS city, coalesce(c.address ->> 'state', '') AS state,
             c.erased_at"""
# What was bought is summed for the rows of the page only.
_BOUGHT = """) page
CROSS JOIN LATERAL (
    SELECT count(*)::int AS orders, max(o.placed_at) AS latest
    FROM order_customer k JOIN sales_order o ON o.id = k.order_id
    WHERE k.customer_id = page.id AND (%(scope)s::int[] IS NULL OR (
        SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
) b
"""

_OLDER = f"""AND (%(place)s::bigint IS NULL OR c.number < %(place)s::bigint)
ORDER BY c.number DESC LIMIT %(limit)s::int {_BOUGHT} ORDER BY page.number DESC
"""
_NEWER = f"""AND c.number > %(place)s::bigint
ORDER BY c.number LIMIT %(limit)s::int {_BOUGHT} ORDER BY page.number
"""
# Newest first by the unique index on number, either way.
CUSTOMERS_OLDER = f"{_ROW} {_EVERYBODY} {_OLDER}"
CUSTOMERS_NEWER = f"{_ROW} {_EVERYBODY} {_NEWER}"
FOUND_OLDER = f"{_ROW} {_FOUND} {_OLDER}"
FOUND_NEWER = f"{_ROW} {_FOUND} {_NEWER}"
CUSTOMERS_COUNT = f"""
SELECT count(*)::int FROM (SELECT 1 {_EVERYBODY} ORDER BY c.number DESC LIMIT %(limit)s::int) found
"""
# Of the latest orders of each location, by the projection, which may be moments behind: so of the
# newest orders of all, too. A location of a thousand customers has them among its latest orders.
CUSTOMERS_AT = """
SELECT count(DISTINCT (SELECT k.customer_id FROM order_customer k WHERE k.order_id = o.order_id))::int
FROM (
    SELECT x.order_id FROM unnest(%(scope)s::int[]) AS w (place) CROSS JOIN LATERAL (
        SELECT l.order_id FROM order_location l WHERE l.location_id = w.place
        ORDER BY l.placed_at DESC, l.order_id DESC LIMIT %(orders)s::int) x
    UNION
    (SELECT n.id FROM sales_order n ORDER BY n.placed_at DESC, n.id DESC LIMIT %(newest)s::int)
) o
WHERE (SELECT true FROM order_unit u WHERE u.order_id = o.order_id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1)
"""
FOUND_COUNT = f"SELECT count(*)::int FROM (SELECT 1 {_FOUND} LIMIT %(limit)s::int) found"
# Index order_customer_orders.
IN_SCOPE = f"SELECT EXISTS (SELECT FROM customer c WHERE c.id = %(id)s::uuid AND EXISTS ({_OF_SCOPE}))"

# Index order_customer_orders; a customer has few orders.
ORDERS = """
SELECT o.id FROM order_customer k JOIN sales_order o ON o.id = k.order_id
WHERE k.customer_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR (
    SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
ORDER BY o.placed_at DESC, o.id DESC LIMIT %(most)s::int
"""
BOUGHT = """
SELECT count(*)::int AS orders, count(*) FILTER (WHERE o.status = 'cancelled')::int AS cancelled,
       coalesce(sum(o.total - o.cancelled_total) FILTER (WHERE o.status <> 'cancelled'), 0)::bigint AS total,
       min(o.placed_at) AS first, max(o.placed_at) AS latest
FROM order_customer k JOIN sales_order o ON o.id = k.order_id
WHERE k.customer_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR (
    SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
"""


# Index order_customer_orders.
ORDER_COUNTS = """
SELECT customer_id, count(*)::int FROM order_customer WHERE customer_id = ANY(%(ids)s::uuid[]) GROUP BY customer_id
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which customers are wanted; `scope` None is all."""

    search: str = ""
    kind: str | None = None
    scope: tuple[int, ...] | None = None
    found: tuple[UUID, ...] | None = None  # what `search` found, once somebody has looked (`sought`)

    @property
    def most(self) -> int:
        """Return where counting stops."""
        return COUNT_LIMIT if self.found is None and self.scope is None and self.kind is None else FILTERED_LIMIT


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
    scope = None if wanted.scope is None else list(wanted.scope)
    found = {} if wanted.found is None else {"found": list(wanted.found)}
    return {"kind": wanted.kind, "scope": scope, **found}


async def sought(tx: Tx, wanted: Wanted) -> Wanted:
    """Return what is wanted with what its search finds: a page and its count need not look twice."""
    found = await finding_customers.find(tx, wanted.search) if wanted.found is None else wanted.found
    return msgspec.structs.replace(wanted, found=None if found is None else tuple(found))


async def customers(
    tx: Tx, wanted: Wanted, *, older: int | None = None, newer: int | None = None, size: int
) -> CustomerPage:
    """Return a page of customers: with numbers below `older`, or above `newer`."""
    wanted = await sought(tx, wanted)
    params = {**_params(wanted), "place": older if newer is None else newer, "limit": size + 1}
    both = (CUSTOMERS_OLDER, CUSTOMERS_NEWER) if wanted.found is None else (FOUND_OLDER, FOUND_NEWER)
    found = await tx.all(dict, both[newer is not None], params)
    more = len(found) > size
    rows = [Row(orders=row.pop("orders"), latest=row.pop("latest"), who=masked(row)) for row in found[:size]]
    if newer is not None:
        return CustomerPage(rows[::-1], more, more_older=True)
    return CustomerPage(rows, older is not None, more)


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many customers are wanted, counted up to `most` + 1."""
    wanted = await sought(tx, wanted)
    if wanted.scope is not None and wanted.found is None and wanted.kind is None:
        at = {"scope": list(wanted.scope), "newest": NEWEST}
        some: int = await tx.value(CUSTOMERS_AT, {**at, "orders": 2 * wanted.most})
        return some if some > wanted.most else int(await tx.value(CUSTOMERS_AT, {**at, "orders": None}))
    statement = CUSTOMERS_COUNT if wanted.found is None else FOUND_COUNT
    found: int = await tx.value(statement, {**_params(wanted), "limit": wanted.most + 1})
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


async def order_counts(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many orders customers have; those without any are absent."""
    return dict(await tx.tuples(ORDER_COUNTS, {"ids": list(ids)}))
