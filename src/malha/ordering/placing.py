"""Writing new orders, many in a handful of statements, for intake.

Columns are collected as parallel arrays, one `unnest` per table. Nothing here decides: intake did.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from psycopg import AsyncCursor

from malha.ordering import placing_writes as writes
from malha.ordering import tag_writes
from malha.ordering import writes as shared
from malha.platform import arrays
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Column by column, how its values become an array literal. Ids and instants arrive as text.
Columns = Mapping[str, Callable[[Any], str]]
ORDER_COLUMNS: Columns = {
    "id": arrays.bare,
    "channel_id": arrays.ints,
    "external_id": arrays.texts,
    "body_hash": arrays.bare,
    "request_key": arrays.texts,
    "placed_at": arrays.bare,
    "currency": arrays.bare,
    "status": arrays.bare,
    "items_total": arrays.ints,
    "discount_total": arrays.ints,
    "shipping_total": arrays.ints,
    "total": arrays.ints,
    "method": arrays.bare,
    "service_id": arrays.ints,
    "pickup_location_id": arrays.ints,
    "buyer_name": arrays.texts,
    "buyer_document": arrays.texts,
    "buyer_email": arrays.texts,
    "buyer_phone": arrays.texts,
    "ship_to": arrays.texts,
    "ship_state": arrays.texts,
    "promised_at": arrays.texts,
    "release_after": arrays.bare,
    "customer_group": arrays.texts,
}
LINE_COLUMNS: Columns = {
    "order_id": arrays.bare,
    "line": arrays.ints,
    "sku_id": arrays.ints,
    "sku_text": arrays.texts,
    "name": arrays.texts,
    "quantity": arrays.ints,
    "unit_price": arrays.ints,
    "discount": arrays.ints,
    "external_id": arrays.texts,
}
COMPONENT_COLUMNS: Columns = {
    "order_id": arrays.bare,
    "line": arrays.ints,
    "sku_id": arrays.ints,
    "quantity": arrays.ints,
}
UNIT_COLUMNS: Columns = {
    "order_id": arrays.bare,
    "line": arrays.ints,
    "part": arrays.ints,
    "sku_id": arrays.ints,
    "quantity": arrays.ints,
    "state": arrays.bare,
    "location_id": arrays.ints,
}
HOLD_COLUMNS: Columns = {
    "id": arrays.bare,
    "order_id": arrays.bare,
    "kind": arrays.bare,
    "detail": arrays.texts,
}
PROMISE_COLUMNS: Columns = {
    "order_id": arrays.bare,
    "line": arrays.ints,
    "promised_at": arrays.bare,
}
DETAIL_COLUMNS: Columns = {
    "order_id": arrays.bare,
    "details": arrays.texts,
}
MERGE_COLUMNS: Columns = {
    "orders": arrays.bare,
    "locations": arrays.ints,
}
TAG_COLUMNS: Columns = {
    "keys": arrays.texts,
    "orders": arrays.bare,
    "tags": arrays.texts,
}


class NewOrders:
    """Rows of new orders, collected before they are written together. Each tuple follows its `*_COLUMNS`."""

    __slots__ = ("components", "details", "holds", "lines", "merges", "orders", "promises", "tags", "units")

    def __init__(self) -> None:
        self.orders: list[tuple[Any, ...]] = []
        self.lines: list[tuple[Any, ...]] = []
        self.components: list[tuple[Any, ...]] = []
        self.units: list[tuple[Any, ...]] = []
        self.holds: list[tuple[Any, ...]] = []
        self.promises: list[tuple[Any, ...]] = []  # of lines whose day is not the order's
        self.details: list[tuple[Any, ...]] = []  # of the few orders that say anything besides
        self.tags: list[tuple[Any, ...]] = []  # of fewer still
        self.merges: list[tuple[Any, ...]] = []  # (order, location) of those whose goods come together


def _columns(
    columns: Mapping[str, Callable[[Any], str]], rows: Sequence[tuple[Any, ...]], prefix: str = ""
) -> dict[str, str]:
    return {
        prefix + name: literal(values)
        for (name, literal), values in zip(columns.items(), zip(*rows, strict=True), strict=True)
    }


async def insert_orders(tx: Tx, new: NewOrders) -> AsyncCursor[tuple[Any, ...]]:
    """Write orders with everything in them; the cursor gives (id as text, number) of those that were new.

    If one is missing, its natural key was taken meanwhile: the caller must roll back. Usable inside `tx.pipeline()`:
    read the cursor after everything is queued.
    """
    rows = sorted(new.orders, key=itemgetter(1, 2))
    inserted = await tx.cursor_of(
        writes.INSERT_ORDERS,
        _columns(ORDER_COLUMNS, rows)
        | _columns(LINE_COLUMNS, new.lines, "line_")
        | _columns(UNIT_COLUMNS, new.units, "unit_"),
    )
    if new.components:
        await tx.cursor_of(writes.INSERT_COMPONENTS, _columns(COMPONENT_COLUMNS, new.components))
    if new.holds:
        await tx.cursor_of(writes.INSERT_HOLDS, _columns(HOLD_COLUMNS, new.holds))
    if new.promises:
        await tx.cursor_of(writes.INSERT_LINE_PROMISES, _columns(PROMISE_COLUMNS, new.promises))
    if new.details:
        await tx.cursor_of(writes.INSERT_DETAILS, _columns(DETAIL_COLUMNS, new.details))
    if new.merges:
        await tx.cursor_of(shared.MERGE_AT, _columns(MERGE_COLUMNS, new.merges))
    if new.tags:
        await tx.cursor_of(tag_writes.ADD_TAGS, _columns(TAG_COLUMNS, new.tags))
    return inserted


async def find_by_keys(tx: Tx, channels: list[int], keys: list[str]) -> AsyncCursor[tuple[Any, ...]]:
    """Look up natural keys: (channel_id, external_id, id, number, status, body_hash, total, currency) by the cursor."""
    return await tx.cursor_of(writes.FIND_BY_KEYS, {"channels": arrays.ints(channels), "keys": arrays.texts(keys)})


async def find_by_request_keys(tx: Tx, keys: Sequence[str]) -> dict[str, str]:
    """Return the body hashes of the orders that came under these request keys."""
    rows = await tx.tuples(writes.FIND_BY_REQUEST_KEYS, {"keys": arrays.texts(keys)})
    return {key: body_hash.hex for key, body_hash in rows}


async def contents_of(
    tx: Tx, orders: Sequence[UUID]
) -> tuple[dict[UUID, list[tuple[Any, ...]]], dict[UUID, list[str]]]:
    """Return, per order, its (line, sku, quantity, state, location code) rows and the kinds of its open holds."""
    lines: dict[UUID, list[tuple[Any, ...]]] = {}
    for order_id, *row in await tx.tuples(writes.LINES_OF, {"orders": list(orders)}):
        lines.setdefault(order_id, []).append(tuple(row))
    holds: dict[UUID, list[str]] = {}
    for order_id, kind in await tx.tuples(writes.OPEN_HOLDS_OF, {"orders": list(orders)}):
        holds.setdefault(order_id, []).append(kind)
    return lines, holds
