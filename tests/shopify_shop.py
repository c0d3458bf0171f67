"""A Shopify shop for tests: it executes what it is asked by Shopify's own schema, so questions and answers are both checked.

async with shopify_shop() as shop:
    shop.stock("A", 40)
    order = shop.sell(("A", 2))
    shop.say_webhook(order)        # what Shopify would post, signed

It keeps stock (available, committed, on hand), fulfillment orders, transactions and refunds as Shopify documents them, refuses
what Shopify says it refuses, and counts points. What it cannot answer it fails on, instead of saying null. It does not
judge the connector: `shopify_invariants` does.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    execute,
    parse,
    validate,
)
from graphql.execution.values import get_directive_values
from tests.shopify_answers import DOMAIN, Root, resolve
from tests.shopify_artefacts import admin_schema
from tests.shopify_state import ADDRESS, START, Line, Order, Picture, Product, Transaction, Variant, Work, gid

from malha.channels.connectors.shopify.operations import SUPPORTED, VERSION
from malha.testing.peers import read_request, write_answer

TOKEN = "shpat_of-a-test-only-000"
CLIENT_SECRET = "shpss_of-a-test-only-1111"
MOST_POINTS = 1_000  # of one query
SCOPES = (
    "write_orders", "write_products", "write_inventory", "read_locations", "write_merchant_managed_fulfillment_orders",
    "write_files",
)  # fmt: skip


# --- the schema, strict about its scalars ---


def _is_time(value: Any) -> str:
    if not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is None:
        raise GraphQLError(f"{value!r} is no DateTime")
    return value


def _is_amount(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"{value!r} is no decimal text")
    Decimal(value)
    return value


def _is_number(value: Any) -> str:
    if not isinstance(value, str) or not value.isdigit():
        raise GraphQLError(f"{value!r} is no UnsignedInt64")
    return value


STRICT: dict[str, Callable[[Any], str]] = {
    "DateTime": _is_time,
    "Money": _is_amount,
    "Decimal": _is_amount,
    "UnsignedInt64": _is_number,
}


def strict(schema: GraphQLSchema) -> GraphQLSchema:
    """Have the scalars that every client must know by heart say no to what they are not."""
    for name, check in STRICT.items():
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.parse_value = check  # type: ignore[method-assign]
        scalar.serialize = check  # type: ignore[method-assign]
    return schema


@cache
def judged(version: str, text: str) -> tuple[DocumentNode, list[GraphQLError]]:
    """A query, and what is wrong with it by the schema."""
    document = parse(text)
    return document, validate(admin_schema(version), document)


# --- the shop ---


class Shop:
    """See the module. `points` is the bucket, which fills up by `restore` a second of the real clock."""

    def __init__(self, *, currency: str = "BRL", points: float = 10_000_000, restore: float = 100.0) -> None:
        self.port = 0
        self.currency = currency
        self.most_points, self.points, self.restore = points, points, restore
        self._points_at = time.monotonic()
        self.now = START
        self._ids = 1_000
        self.job_s = 0.2
        self.locations = {11: "Centro", 12: "Loja"}
        self.scopes = [*SCOPES]
        self.variants: dict[int, Variant] = {}
        self.products: dict[int, Product] = {}
        self.pictures: dict[int, Picture] = {}  # files of the shop, on products or not
        self.orders: dict[int, Order] = {}
        self.refuses: set[str] = set()
        self.before_set: Callable[[], None] | None = None  # somebody is quicker
        self.asked: list[tuple[str, dict[str, Any]]] = []  # operations, with their variables
        self.sets: list[tuple[int, int, int | None, int]] = []  # variant, location, from, to
        self.cancels: list[int] = []
        self._keys: dict[str, tuple[str, Any]] = {}
        self.defects: list[str] = []  # of this shop, or of who asks it for what it has no answer to
        self.throttled = 0
        self.drained = False  # somebody else asks for all there is, just before the next request
        self.dear = 0

    # --- what a merchant does ---

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def tick(self, seconds: int = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def list(self, sku: str, price: str = "10.00", *, product: Product | None = None, **more: Any) -> Variant:
        if product is None:
            id_ = self.next_id()
            product = Product(id_, f"Ware {sku}", f"ware-{id_}")
            self.products[id_] = product
        product.updated = self.tick()
        variant = Variant(self.next_id(), sku, Decimal(price), product, **more)
        product.variants.append(variant)
        self.variants[variant.id] = variant
        for place in self.locations:
            variant.available[place] = variant.committed[place] = variant.on_hand[place] = 0
        return variant

    def picture(self, url: str, alt: str | None = None) -> Picture:
        """A new file: as often as it is said, whatever its address."""
        made = Picture(self.next_id(), url, alt)
        self.pictures[made.id] = made
        return made

    def need_scope(self, what: str, *any_of: str) -> None:
        if not set(any_of) & set(self.scopes):
            says = f"Access denied for {what} field. Required access: `{any_of[0]}` access scope."
            raise GraphQLError(says, extensions={"code": "ACCESS_DENIED"})

    def variant(self, sku: str) -> Variant:
        return next(v for v in self.variants.values() if v.sku == sku)

    def stock(self, sku: str, units: int, location: int = 11) -> None:
        variant = self.variant(sku)
        variant.on_hand[location] += units - variant.available[location]
        variant.available[location] = units

    def sell(
        self,
        *wanted: tuple[str, int],
        at: datetime | None = None,
        pay: str = "SALE",
        hold: bool = False,
        location: int = 11,
        method: str = "SHIPPING",
        paid_status: str = "SUCCESS",
        **more: Any,
    ) -> Order:
        """Have a shopper check out."""
        now = at or self.tick()
        lines = [Line(self.next_id(), v := self.variant(sku), units, v.price) for sku, units in wanted]
        more.setdefault("address", ADDRESS)
        id_ = self.next_id()
        order = Order(id_, f"#{id_}", now, now, lines, self.currency, more.pop("presentment", self.currency), **more)
        work = Work(self.next_id(), location, [[self.next_id(), line, line.quantity, line.quantity] for line in lines])
        work.method = method
        work.status = "ON_HOLD" if hold else "OPEN"
        order.works.append(work)
        for line in lines:
            self._commit(line.variant, location, line.quantity)
        if pay:
            order.transactions.append(Transaction(self.next_id(), pay, order.total, status=paid_status, at=now))
        self.orders[id_] = order
        return order

    @staticmethod
    def _commit(variant: Variant, location: int, units: int) -> None:
        variant.available[location] -= units
        variant.committed[location] += units

    def touch(self, order: Order, at: datetime | None = None) -> None:
        order.updated = at or self.tick()
        order.changes += 1

    def edit(self, order: Order, n: int, units: int) -> None:
        """Take units of a line out by an edit of the order."""
        line = order.lines[n]
        line.removed += units
        self._take_out(order, line, units)
        order.edited = True
        self.touch(order)

    def give_back(
        self, order: Order, amount: str = "0", *, units: int = 0, n: int = 0, restock: str = "CANCEL"
    ) -> None:
        """Have the shop's own staff refund units of a line, money of the first payment, or both."""
        asked: dict[str, Any] = {"orderId": gid("Order", order.id)}
        if units:
            line = gid("LineItem", order.lines[n].id)
            asked["refundLineItems"] = [{"lineItemId": line, "quantity": units, "restockType": restock}]
        if Decimal(amount):
            took = next(t for t in order.done if t.kind in {"SALE", "CAPTURE"})
            parent = gid("OrderTransaction", took.id)
            asked["transactions"] = [
                {"parentId": parent, "kind": "REFUND", "gateway": took.gateway, "amount": amount}
            ]  # fmt: skip
        said = Root(self)._pay_back(asked)
        assert not said["userErrors"], said

    def send(self, order: Order, n: int, units: int) -> None:
        """Have the shop's own staff send units of a line."""
        work = next(w for w in order.works for row in w.lines if row[1] is order.lines[n] and row[2])
        row = next(r for r in work.lines if r[1] is order.lines[n])
        wish = {"id": gid("FulfillmentOrderLineItem", row[0]), "quantity": units}
        part = {"fulfillmentOrderId": gid("FulfillmentOrder", work.id), "fulfillmentOrderLineItems": [wish]}
        said = Root(self).fulfillmentCreate(None, {"lineItemsByFulfillmentOrder": [part]})
        assert not said["userErrors"], said

    def _unsell(self, order: Order, line: Line, units: int, restock: str) -> None:
        """Take units off what is to leave, then off what has left; put them back where that was said."""
        open_ = 0 if restock == "RETURN" else sum(r[2] for w in order.works for r in w.lines if r[1] is line)
        inside = min(units, open_)
        place = order.works[0].location
        if restock == "NO_RESTOCK":  # they are gone: neither to sell nor on the shelf
            line.variant.available[place] -= inside
            line.variant.on_hand[place] -= inside
        elif restock == "RETURN":
            line.variant.available[place] += units
            line.variant.on_hand[place] += units
        self._take_out(order, line, inside)
        line.returned += units - inside

    def _take_out(self, order: Order, line: Line, units: int) -> None:
        for work in order.works:
            for row in work.lines:
                if row[1] is line and (gone := min(units, row[2])):
                    row[2] -= gone
                    units -= gone
                    self._commit(line.variant, work.location, -gone)
            self._close(work)

    @staticmethod
    def _close(work: Work) -> None:
        if not any(row[2] for row in work.lines) and work.status in {"OPEN", "IN_PROGRESS"}:
            work.status = "CLOSED"

    def capture(self, order: Order, amount: Decimal | None = None) -> None:
        root = order.transactions[0]
        order.transactions.append(
            Transaction(
                self.next_id(), "CAPTURE", amount or root.amount, parent=root.id, gateway=root.gateway, at=self.now
            )
        )
        self.touch(order)

    def webhook(
        self, topic: str, body: Any, *, event: str, secret: str = CLIENT_SECRET, shop: str = DOMAIN
    ) -> tuple[dict[str, str], bytes]:
        """What Shopify posts: head and body."""
        raw = json.dumps(body).encode()
        digest = base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode()
        return {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-SHA256": digest,
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-API-Version": "2026-07",
            "X-Shopify-Event-Id": event,
            "X-Shopify-Webhook-Id": f"w-{event}-{topic}",
        }, raw

    # --- what it is asked ---

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _method, target, headers, body = await read_request(reader)
            try:
                status, said = self.answer(target, headers, body)
            except Exception:  # noqa: BLE001 -- told at the end of the test
                self.defects.append(traceback.format_exc())
                status, said = 500, {}
            await write_answer(writer, status, json.dumps(said).encode())
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def answer(self, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if headers.get("x-shopify-access-token") != TOKEN:
            return 401, {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
        path = re.fullmatch(r"/admin/api/(\d{4}-\d\d)/graphql\.json", target)
        if path is None or path[1] not in SUPPORTED:
            return 404, {"errors": "Not Found"}
        schema = strict(admin_schema(path[1]))
        asked = json.loads(body)
        document, errors = judged(path[1], asked["query"])
        if errors:
            return 200, {"errors": [{"message": e.message, "extensions": {"code": "undefinedField"}} for e in errors]}
        variables = asked.get("variables") or {}
        cost = points_of(document, variables)
        self._settle()
        filled = self.points + (time.monotonic() - self._points_at) * self.restore
        self.points, self._points_at = 0 if self.drained else min(self.most_points, filled), time.monotonic()
        self.drained = False
        if cost > MOST_POINTS:
            self.dear += 1
            return 200, self._no(
                "MAX_COST_EXCEEDED", f"Query cost is {cost}, which exceeds the single query max cost limit", cost
            )
        if cost > self.points:
            self.throttled += 1
            return 200, self._no("THROTTLED", "Throttled", cost)
        self.points -= cost
        done = execute(schema, document, Root(self), variable_values=variables, field_resolver=resolve)
        assert not asyncio.iscoroutine(done)
        operation = document.definitions[0]
        self.asked.append((operation.name.value, variables))  # type: ignore[union-attr]
        said: dict[str, Any] = {"data": done.data, "extensions": self._cost(cost)}
        if done.errors:
            self.defects += [
                "".join(traceback.format_exception(e.original_error))
                for e in done.errors
                if e.original_error and not isinstance(e.original_error, GraphQLError)
            ]
            said["errors"] = [
                {"message": e.message, "extensions": e.extensions or {"code": "INTERNAL_SERVER_ERROR"}}
                for e in done.errors
            ]
        return 200, said

    def _no(self, code: str, message: str, cost: float) -> dict[str, Any]:
        return {"errors": [{"message": message, "extensions": {"code": code}}], "extensions": self._cost(cost)}

    def _cost(self, cost: float) -> dict[str, Any]:
        return {
            "cost": {
                "requestedQueryCost": cost,
                "actualQueryCost": cost,
                "throttleStatus": {
                    "maximumAvailable": self.most_points,
                    "currentlyAvailable": int(self.points),
                    "restoreRate": self.restore,
                },
            }
        }

    def _settle(self) -> None:
        """End the jobs that are due."""
        for order in self.orders.values():
            if order.cancelling is None or time.monotonic() < order.cancelling:
                continue
            order.cancelling = None
            order.cancelled = self.tick()
            order.note = order.pending_note
            for work in order.works:
                for row in work.lines:
                    self._commit(row[1].variant, work.location, -row[2])
                    row[1].removed += row[2]
                    row[1].refunded += row[2]
                    row[2] = 0
                work.status = "CANCELLED" if work.status != "CLOSED" else work.status
            authorised = [t for t in order.done if t.kind == "AUTHORIZATION"]
            if authorised and not order.paid:
                order.transactions.append(
                    Transaction(self.next_id(), "VOID", authorised[0].amount, parent=authorised[0].id, at=self.now)
                )
            self.touch(order, order.cancelled)

    def once(self, info: GraphQLResolveInfo, params: Any, do: Callable[[], Any]) -> Any:
        """Do something under the key of `@idempotent`, which must be there; the same again has the same answer."""
        directive = info.schema.get_directive("idempotent")
        assert directive is not None
        values = get_directive_values(directive, info.field_nodes[0], info.variable_values)
        if not values or not values.get("key"):
            raise GraphQLError("The @idempotent directive is required", extensions={"code": "BAD_REQUEST"})
        key, content = str(values["key"]), json.dumps(params, sort_keys=True, default=str)
        if key in self._keys:
            if self._keys[key][0] != content:
                return {"refund": None, "inventoryAdjustmentGroup": None, "userErrors": [
                    {"message": "other parameters", "code": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "field": None}]}  # fmt: skip
            return self._keys[key][1]
        said = do()
        if not said["userErrors"]:
            self._keys[key] = (content, said)
        return said


def points_of(document: Any, variables: dict[str, Any]) -> float:
    """Points of a query: one for each object that it may return, ten for a change."""
    fragments = {each.name.value: each for each in document.definitions if each.kind == "fragment_definition"}

    def count(selections: Any) -> float:
        total = 0.0
        for node in selections.selections if selections else ():
            if isinstance(node, FragmentSpreadNode):
                total += count(fragments[node.name.value].selection_set)
            elif isinstance(node, FieldNode):
                if node.selection_set is None:
                    continue
                inner = count(node.selection_set)
                total += _times(node) * (1 + inner if node.name.value not in {"nodes", "pageInfo"} else max(1.0, inner))
            else:
                total += count(node.selection_set)
        return total

    def _times(node: FieldNode) -> float:
        for argument in node.arguments or ():
            if argument.name.value in {"first", "ids"}:
                said: Any = argument.value
                value = variables[said.name.value] if said.kind == "variable" else said.value
                return float(len(value) if isinstance(value, list) else value)
        return 1.0

    operation = next(each for each in document.definitions if each.kind == "operation_definition")
    return (10.0 if operation.operation.value == "mutation" else 0.0) + count(operation.selection_set)


@asynccontextmanager
async def shopify_shop(**more: Any) -> AsyncIterator[Shop]:
    """Serve a shop for the block."""
    strict(admin_schema(VERSION))  # now, not while somebody waits for an answer
    shop = Shop(**more)
    server = await asyncio.start_server(shop.talk, "127.0.0.1", 0)
    shop.port = server.sockets[0].getsockname()[1]
    try:
        yield shop
    finally:
        server.close()
