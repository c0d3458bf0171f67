"""A retailer as the demo builds it, and what its records are called: for requests that a machine makes up."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import schemathesis
from hypothesis import strategies as st

from malha.demo.build import build
from malha.platform.db import Database

# What records are called, by the parameter or the field that takes the name.
NAMES = {
    "order_id": "SELECT id::text FROM sales_order ORDER BY number",
    "fulfillment_id": "SELECT id::text FROM fulfillment_order ORDER BY id",
    "customer_id": "SELECT id::text FROM customer ORDER BY number LIMIT 20",
    "person_id": "SELECT id::text FROM person ORDER BY id",
    "document_id": "SELECT id::text FROM fiscal_document ORDER BY id LIMIT 20",
    "shipment_id": "SELECT id::text FROM shipment ORDER BY id LIMIT 20",
    "message_id": "SELECT id::text FROM message ORDER BY id LIMIT 20",
    "import_id": "SELECT id::text FROM import_run ORDER BY id",
    "access_key": "SELECT access_key FROM fiscal_document ORDER BY id LIMIT 20",
    "reference": "SELECT reference FROM stock_hold ORDER BY id",
    "sku": "SELECT sku FROM variant ORDER BY id LIMIT 30",
    "location": "SELECT code FROM location ORDER BY id",
    "channel": "SELECT code FROM channel ORDER BY id",
    "service": "SELECT code FROM service ORDER BY id",
    "establishment": "SELECT code FROM establishment ORDER BY id",
    "category": "SELECT code FROM category ORDER BY id",
    "product": "SELECT code FROM product ORDER BY id LIMIT 20",
    "root": "SELECT cnpj_root FROM legal_entity ORDER BY id",
    "location_group": "SELECT code FROM location_group ORDER BY id",
    "allotment": "SELECT code FROM allotment ORDER BY id",
    "safety_rule": "SELECT code FROM safety_rule ORDER BY id",
    "source": "SELECT code FROM stock_source ORDER BY id",
    "provider": "SELECT code FROM login_provider ORDER BY id",
    "snapshot_id": "SELECT id::text FROM stock_snapshot ORDER BY id",
    "drift_id": "SELECT id::text FROM stock_drift ORDER BY id",
    "discrepancy_id": "SELECT id::text FROM transfer_discrepancy ORDER BY id",
    "inbound_order": "SELECT number FROM inbound_order ORDER BY number",
    "receipt": "SELECT number FROM receipt ORDER BY number",
    "transfer": "SELECT number FROM transfer ORDER BY number",
    "count": "SELECT number FROM count_task ORDER BY number",
    "customer_group": "SELECT code FROM customer_group ORDER BY id",
    "simulation": "SELECT id::text FROM simulation ORDER BY id",
    "policy_id": "SELECT id FROM ahead_policy ORDER BY id",
    "webhook_id": "SELECT id FROM webhook_endpoint ORDER BY id",
    "means": "SELECT unnest(ARRAY['sms', 'whatsapp', 'email'])",
}
SAME = {
    "pickup_location": "location",
    "hold_reference": "reference",
    "parent": "category",
    "component": "sku",
    "locations": "location",
    "origin": "location",
    "destination": "location",
    "skus": "sku",
    "channels": "channel",
    "categories": "category",
    "legal_entities": "root",
    "truth": "location",
    "secondary": "location",
    "order": "inbound_order",
    "stock_from": "location",
    "customer_groups": "customer_group",
}
# `code`, `number` and `id` are of what stands before them.
CODES = {
    "/v1/channels/": "channel",
    "/v1/establishments/": "establishment",
    "/v1/locations/": "location",
    "/v1/services/": "service",
    "/v1/products/": "product",
    "/v1/categories/": "category",
    "/v1/allotments/": "allotment",
    "/v1/safety-rules/": "safety_rule",
    "/v1/location-groups/": "location_group",
    "/v1/stock/sources/": "source",
    "/v1/login-providers/": "provider",
    "/v1/purchase-orders/": "inbound_order",
    "/v1/receipts/": "receipt",
    "/v1/transfers/": "transfer",
    "/v1/counts/": "count",
    "/v1/customer-groups/": "customer_group",
    "/v1/simulations/": "simulation",
    "/v1/stock/drift:repair": "drift_id",
}
# What breaks programs, wherever a text may stand.
NASTY = (
    "\x00", "a\x00b", "\ud800", "\U0010ffff", "\u202e", "ﷺ" * 40, "' OR 1=1 --", "%00", "..%2f..", "{0.__class__}", "%s%n",
    "=1+1", "-1", "9223372036854775808", "1e309", "NaN", "\r\nx-injected: 1", "<script>", "﻿", "İ" * 200, "0" * 5000,
)  # fmt: skip
# In an address there is nothing that UTF-8 cannot say.
SENDABLE = tuple(text for text in NASTY if text != "\ud800")

Names = Mapping[str, tuple[Any, ...]]


async def build_world(database: Database) -> None:
    """Write a small retailer with a past: orders of every kind, from placed to delivered."""
    await build(database, orders=60, seed=1, progress=lambda *_: None)


async def names_in(database: Database) -> dict[str, tuple[Any, ...]]:
    async with database.transaction() as tx:
        return {field: tuple(await tx.values(statement)) for field, statement in NAMES.items()}


def known(names: Names, field: str, path: str) -> tuple[Any, ...]:
    """The records that a parameter or field of an operation can name."""
    if field == "channel" and path.startswith("/v1/message-gateways"):
        return names["means"]
    if field in {"code", "number", "id"}:
        kinds = [kind for prefix, kind in CODES.items() if path.startswith(prefix)]
        return names[kinds[0]] if kinds else ()
    return names.get(SAME.get(field, field), ())


def _may_be_a_name(value: Any, name: Any) -> bool:
    """Whether a name may stand there instead: what was made to be refused stays."""
    if isinstance(name, int):
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    return isinstance(value, str) and 0 < len(value) <= 36


class Namer:
    """Puts names of records, and now and then a nasty text, where a made-up request has texts."""

    def __init__(self, names: Names, path: str, nasty: Sequence[str]) -> None:
        self.names, self.path, self.nasty = names, path, nasty

    def strategy(self, value: Any) -> st.SearchStrategy[Any]:
        """What the value may become."""
        return st.integers(0, 2**32).map(lambda seed: self.named(value, random.Random(seed)))

    def named(self, value: Any, rng: random.Random) -> Any:
        if isinstance(value, dict):
            return {field: self._field(field, item, rng) for field, item in value.items()}
        if isinstance(value, list):
            return [self.named(item, rng) for item in value]
        return value

    def _field(self, field: str, item: Any, rng: random.Random) -> Any:
        pool = known(self.names, field, self.path)
        parts = item if isinstance(item, list) else [item]
        if pool and all(_may_be_a_name(part, pool[0]) for part in parts) and rng.random() < 0.8:
            return [rng.choice(pool) for _ in parts] if isinstance(item, list) else rng.choice(pool)
        if isinstance(item, str) and rng.random() < 0.05:
            return rng.choice(self.nasty)
        return self.named(item, rng)


@schemathesis.serializer("application/x-ndjson")
def one_a_line(_context: Any, value: Any) -> bytes:
    """Many orders, or what is meant to be some."""
    items = value if isinstance(value, list) else [value]
    return b"\n".join(item if isinstance(item, bytes) else json.dumps(item).encode() for item in items)


@schemathesis.serializer("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
def a_workbook(_context: Any, value: Any) -> bytes:
    """Bytes that claim to be a workbook."""
    return value if isinstance(value, bytes) else b"PK\x03\x04" + str(value).encode("utf-8", "replace")


# The ends of the calendar have no next day, and beside them no instant in every zone.
_LAST_DAYS = st.sampled_from(["0001-01-01", "1582-10-15", "9999-12-31"])
_LAST_INSTANTS = st.sampled_from(
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"]
)
schemathesis.openapi.format("date", st.dates().map(str) | _LAST_DAYS)
schemathesis.openapi.format("date-time", st.datetimes().map(lambda at: f"{at.isoformat()}Z") | _LAST_INSTANTS)


def hook_in(schema: Any, names: Names, *, spared: Iterable[tuple[str, str]] = ()) -> None:
    """Let the schema's operations name records that exist; `spared` (parameter, value) are never asked for."""
    never = set(spared)

    def flatmap_path_parameters(context: Any, path_parameters: Any) -> st.SearchStrategy[Any]:
        return Namer(names, context.operation.path, SENDABLE).strategy(path_parameters)

    def flatmap_query(context: Any, query: Any) -> st.SearchStrategy[Any]:
        return Namer(names, context.operation.path, SENDABLE).strategy(query)

    def flatmap_body(context: Any, body: Any) -> st.SearchStrategy[Any]:
        return Namer(names, context.operation.path, NASTY).strategy(body)

    def filter_case(context: Any, case: Any) -> bool:
        return not any((name, str(value)) in never for name, value in (case.path_parameters or {}).items())

    for hook in (flatmap_path_parameters, flatmap_query, flatmap_body, filter_case):
        schema.hook(hook)
