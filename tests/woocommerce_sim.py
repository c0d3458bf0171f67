"""A WooCommerce for tests: a real HTTP server that answers as a shop of 9.4 was seen to, keeps state and verifies who asks.

async with woocommerce_sim() as shop:
    order = shop.sell(("A", 2))
    shop.orders[order]["status"]

Times are whole seconds; rows that changed in the same second come in an order that changes from one request to the next,
because a database promises none. What it answers is judged in tests/postgres/test_woocommerce_spec.py.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from malha.testing.peers import read_request, write_answer

KEY, SECRET = "ck_" + "0a1b2c3d4e" * 4, "cs_" + "5f6a7b8c9d" * 4
WEBHOOK_SECRET = "webhook-secret-of-the-shop"
API = "/wp-json/wc/v3"
BEGIN = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
HIDDEN = {"trash", "auto-draft", "checkout-draft"}
STOCKED_BY = ("processing", "on-hold", "completed")  # in these WooCommerce has taken the units of an order


class Refused(Exception):
    """An error as WooCommerce says it."""

    def __init__(self, status: int, code: str, message: str, **data: Any) -> None:
        self.status = status
        self.body = {"code": code, "message": message, "data": {"status": status, **data}}
        super().__init__(code)


def moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


AMOUNTS = {"total", "total_tax", "subtotal", "subtotal_tax", "discount_total", "discount_tax", "shipping_total"}
AMOUNTS |= {"shipping_tax", "cart_tax", "tax_total", "shipping_tax_total", "discount"}


def rounded(said: Any, asked: dict[str, str]) -> Any:
    """What is said of an order with as many decimals as were asked for."""
    digits = int(asked.get("dp", "2"))
    if isinstance(said, list):
        return [rounded(each, asked) for each in said]
    if not isinstance(said, dict):
        return said
    return {
        name: f"{Decimal(each):.{digits}f}" if name in AMOUNTS else rounded(each, asked) for name, each in said.items()
    }


class WooSim:
    """The shop. `clock` is its time; `ahead` is how much later every answer says it is."""

    def __init__(self) -> None:
        self.port = 0
        self.clock = BEGIN
        self.ahead = 3_600
        self.orders: dict[int, dict[str, Any]] = {}
        self.products: dict[int, dict[str, Any]] = {}
        self.refunds: dict[int, list[dict[str, Any]]] = {}
        self.notes: dict[int, list[dict[str, Any]]] = {}
        self.hooks: list[dict[str, Any]] = []
        self.gateways = {"pix": ["products", "refunds"], "cod": ["products"]}
        self.settings = {"woocommerce_currency": "BRL", "woocommerce_price_num_decimals": "2"}
        self.units = {"weight": "kg", "dimension": "cm"}
        self.plugged = True
        self.asked: list[tuple[str, str, bytes]] = []
        self.nonces: set[str] = set()
        self.terms: dict[str, dict[int, dict[str, Any]]] = {"categories": {}, "tags": {}, "brands": {}}
        self.attributes: list[dict[str, Any]] = []
        self.has_brands = True
        self.pictures: dict[int, str] = {}  # what was fetched, by the ids of the library
        self.broken: set[str] = set()  # addresses at which there is no picture
        self.refuses: set[str] = set()
        self._ids = 100
        self._dice = random.Random(1)
        self.uncategorised = 1
        self.terms["categories"][1] = {"id": 1, "name": "Sem categoria", "slug": "sem-categoria", "parent": 0}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    # --- what a seller and shoppers do ---

    def offer(self, sku: str, price: str = "10.00", stock: int | None = 5, **more: Any) -> int:
        id_ = self.new_id()
        self.products[id_] = {
            "id": id_, "name": f"Ware {sku}", "slug": f"ware-{sku.lower()}", "permalink": f"{self.url}/product/{id_}",
            "date_created_gmt": moment(self.clock), "date_modified_gmt": moment(self.tick()), "type": "simple",
            "status": "publish", "sku": sku, "price": price, "regular_price": price, "sale_price": "",
            "manage_stock": stock is not None, "stock_quantity": stock, "parent_id": 0, "global_unique_id": "",
            "attributes": [], "description": "", "short_description": "", "tags": [], "brands": [], "images": [],
            "weight": "", "dimensions": dict.fromkeys(("length", "width", "height"), ""),
            "meta_data": [], "categories": [{"id": self.uncategorised}], **more,
        }  # fmt: skip
        return id_

    def term(self, kind: str, name: str, parent: int = 0) -> int:
        """A category, a tag or a brand; it is made where there is none of that name there."""
        known = self.terms[kind]
        for id_, each in known.items():
            if (each["name"].casefold(), each["parent"]) == (kept(name).casefold(), parent):
                return id_
        id_ = self.new_id()
        known[id_] = {"id": id_, "name": kept(name), "slug": name.lower().replace(" ", "-"), "parent": parent}
        return id_

    def picture(self, url: str) -> dict[str, Any]:
        """A picture that somebody put into the library."""
        id_ = self.new_id()
        self.pictures[id_] = url
        return self.shown_picture(id_)

    def vary(self, sku: str, *options: str, price: str = "10.00") -> tuple[int, list[int]]:
        """A product with a variation for each option, named by SKU and option."""
        parent = self.offer(sku, "", None, type="variable")
        made = [
            self.offer(
                f"{sku}-{o}", price, None, type="variation", parent_id=parent, attributes=[{"name": "Cor", "option": o}]
            )
            for o in options
        ]
        return parent, made

    def sell(
        self,
        *wanted: tuple[str, int],
        status: str = "processing",
        paid: bool = True,
        at: int | None = None,
        shipping: str = "15.00",
        **more: Any,
    ) -> str:
        """Have a shopper check out; units come off the shop's stock, as WooCommerce takes them."""
        id_ = self.new_id()
        second = self.tick() if at is None else BEGIN + at
        lines = [self._line(sku, n) for sku, n in wanted or (("A", 1),)]
        total = sum(Decimal(line["total"]) for line in lines) + Decimal(shipping)
        self.orders[id_] = {
            "id": id_, "parent_id": 0, "number": str(id_), "order_key": f"wc_order_{id_}", "created_via": "checkout",
            "version": "9.4.0", "status": status, "currency": "BRL", "currency_symbol": "R$",
            "date_created": moment(second - 10_800), "date_created_gmt": moment(second),
            "date_modified": moment(second - 10_800), "date_modified_gmt": moment(second),
            "discount_total": "0.00", "discount_tax": "0.00", "shipping_total": shipping, "shipping_tax": "0.00",
            "cart_tax": "0.00", "total": str(total), "total_tax": "0.00", "prices_include_tax": False,
            "customer_id": 0, "customer_ip_address": "", "customer_user_agent": "", "customer_note": "",
            "billing": {
                "first_name": "Maria", "last_name": "da Silva", "company": "", "address_1": "Avenida Paulista",
                "address_2": "ap. 12", "city": "São Paulo", "state": "SP", "postcode": "01310-100", "country": "BR",
                "email": "maria@example.com", "phone": "+55 11 91234-5678",
            },
            "shipping": dict.fromkeys(
                ("first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode", "country"),
                "",
            ),
            "payment_method": "pix", "payment_method_title": "Pix", "transaction_id": "",
            "date_paid": moment(second - 10_800) if paid else None, "date_paid_gmt": moment(second) if paid else None,
            "date_completed": None, "date_completed_gmt": None, "cart_hash": "",
            "meta_data": [
                {"id": self.new_id(), "key": "_billing_cpf", "value": "529.982.247-25"},
                {"id": self.new_id(), "key": "_billing_number", "value": "1000"},
                {"id": self.new_id(), "key": "_billing_neighborhood", "value": "Bela Vista"},
            ],
            "line_items": lines, "tax_lines": [],
            "shipping_lines": [
                {
                    "id": self.new_id(), "method_title": "Sedex", "method_id": "flat_rate", "instance_id": "1",
                    "total": shipping, "total_tax": "0.00", "taxes": [], "meta_data": [],
                }
            ],
            "fee_lines": [], "coupon_lines": [], "refunds": [],
            "_links": {"self": [{"href": f"{self.url}{API}/orders/{id_}"}], "collection": [{"href": "orders"}]},
            **more,
        }  # fmt: skip
        self.refunds[id_], self.notes[id_] = [], []
        if status in STOCKED_BY:
            self._take(id_, -1)
        return str(id_)

    def _line(self, sku: str, n: int) -> dict[str, Any]:
        row = next((p for p in self.products.values() if p["sku"] == sku), None)
        if row is None:
            row = self.products[self.offer(sku)]
        total = str(Decimal(row["price"]) * n)
        varies = row["type"] == "variation"
        return {
            "id": self.new_id(), "name": row["name"], "product_id": row["parent_id"] if varies else row["id"],
            "variation_id": row["id"] if varies else 0, "quantity": n, "tax_class": "", "subtotal": total,
            "subtotal_tax": "0.00", "total": total, "total_tax": "0.00", "taxes": [], "meta_data": [], "sku": sku,
            "price": float(row["price"]),
        }  # fmt: skip

    def touch(self, id_: str, **more: Any) -> None:
        self.orders[int(id_)] |= {**more, "date_modified_gmt": moment(self.tick())}

    def _take(self, id_: int, sign: int) -> None:
        for line in self.orders[id_]["line_items"]:
            row = self.products[line["variation_id"] or line["product_id"]]
            if row["stock_quantity"] is not None:
                row["stock_quantity"] += sign * line["quantity"]

    def by_sku(self, sku: str) -> dict[str, Any]:
        return next(row for row in self.products.values() if row["sku"] == sku)

    def stock(self, sku: str) -> int | None:
        found: int | None = self.by_sku(sku)["stock_quantity"]
        return found

    def hook(
        self, id_: str, topic: str = "order.updated", secret: str = WEBHOOK_SECRET
    ) -> tuple[dict[str, str], bytes]:
        """What the shop sends about an order."""
        body = json.dumps({k: v for k, v in self.orders[int(id_)].items() if k != "_links"}).encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
        headers = {
            "content-type": "application/json", "x-wc-webhook-source": self.url, "x-wc-webhook-topic": topic,
            "x-wc-webhook-resource": topic.split(".", maxsplit=1)[0], "x-wc-webhook-event": topic.split(".")[1],
            "x-wc-webhook-signature": signature, "x-wc-webhook-id": "1",
            "x-wc-webhook-delivery-id": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        }  # fmt: skip
        return headers, body

    # --- the server ---

    def said_of(self, row: dict[str, Any], *, raw: bool = True) -> dict[str, Any]:
        """A product as the shop says it; texts are as its page shows them unless they are to be edited."""
        said = {k: v for k, v in row.items() if k != "brands" or self.has_brands}
        for kind in self.terms:
            if kind in said:
                said[kind] = [dict(self.terms[kind][each["id"]]) for each in said[kind]]
        return deepcopy(said) if raw else {**deepcopy(said), "description": f"<p>{said['description']}</p>\n"}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, target, headers, body = await read_request(reader)
            more = {"Date": format_datetime(datetime.fromtimestamp(self.clock + self.ahead, UTC), usegmt=True)}
            try:
                status, said, extra = self.answer(method, target, headers, body)
            except Refused as refused:
                status, said, extra = refused.status, refused.body, {}
            await write_answer(writer, status, json.dumps(said).encode(), {**more, **extra})
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the test is over, or whoever asked went away
        finally:
            writer.close()

    def answer(  # noqa: C901, PLR0911, PLR0912 -- a table of routes
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(target)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.asked.append((method, target, body))
        if not self.plugged:
            raise Refused(404, "rest_no_route", "No route was found matching the URL and request method.")
        self._prove(method, f"http://{headers['host']}{parts.path}", asked)
        path = unquote(parts.path).removeprefix(API).strip("/").split("/")
        sent = json.loads(body) if body else {}
        match (method, path):
            case ("GET", ["settings", "general"]):
                return 200, [{"id": name, "value": text} for name, text in self.settings.items()], {}
            case ("GET", ["settings", "products"]):
                return 200, [{"id": f"woocommerce_{name}_unit", "value": text} for name, text in self.units.items()], {}
            case ("GET", ["webhooks"]):
                return self._page(iter(self.hooks), asked)
            case ("GET", ["payment_gateways", name]):
                if name not in self.gateways:
                    raise Refused(404, "woocommerce_rest_payment_gateway_invalid", "Resource does not exist.")
                return 200, {"id": name, "method_supports": self.gateways[name]}, {}
            case ("GET", ["orders"]):
                status, rows, totals = self._page((r for r in self.orders.values() if r["status"] not in HIDDEN), asked)
                return status, [rounded(row, asked) for row in rows], totals
            case ("GET", ["orders", id_]):
                return 200, rounded(self._order(id_), asked), {}
            case ("PUT", ["orders", id_]):
                return 200, self._change(id_, sent), {}
            case ("GET", ["orders", id_, "notes"]):
                return 200, list(reversed(self.notes[self._order(id_)["id"]])), {}
            case ("POST", ["orders", id_, "notes"]):
                note = {"id": self.new_id(), "author": "WooCommerce", "customer_note": False, **sent}
                self.notes[self._order(id_)["id"]].append(note)
                return 201, note, {}
            case ("GET", ["orders", id_, "refunds"]):
                return self._page(reversed(self.refunds[self._order(id_)["id"]]), asked)
            case ("POST", ["orders", id_, "refunds"]):
                return 201, self.refund(self._order(id_), sent), {}
            case ("GET", ["products"]):
                skus = asked["sku"].split(",") if asked.get("sku") else None
                rows = (
                    row
                    for row in self.products.values()
                    if (row["sku"] in skus if skus is not None else row["type"] != "variation")
                )
                status, page, totals = self._page(rows, asked)
                return status, [self.said_of(row, raw=asked.get("context") == "edit") for row in page], totals
            case ("GET", ["products", "categories"]):
                size, n = int(asked.get("per_page", "10")), int(asked.get("page", "1"))
                rows = sorted(self.terms["categories"].values(), key=lambda row: int(row["id"]))
                return 200, rows[(n - 1) * size : n * size], {}
            case ("GET", ["products", "attributes"]):
                return 200, self.attributes, {}
            case ("POST", ["products", ("categories" | "tags" | "brands") as kind, "batch"]) if (
                kind != "brands" or self.has_brands
            ):
                return 200, {"create": [self._name(kind, **item) for item in sent["create"]]}, {}
            case ("GET", ["products", id_, "variations"]):
                return self._page((r for r in self.products.values() if r["parent_id"] == int(id_)), asked)
            case ("POST", ["products", "batch"]):
                return 200, {verb: [self._put(item, 0) for item in items] for verb, items in sent.items()}, {}
            case ("POST", ["products", parent, "variations", "batch"]):
                return 200, {verb: [self._put(i, int(parent)) for i in items] for verb, items in sent.items()}, {}
        raise Refused(404, "rest_no_route", "No route was found matching the URL and request method.")

    def _prove(self, method: str, address: str, asked: dict[str, str]) -> None:
        """As RFC 5849 has it, written anew from it: one leg, and each nonce once."""
        said = asked.pop("oauth_signature", "")
        line = "&".join(sorted(f"{quote(k, safe='-._~')}={quote(v, safe='-._~')}" for k, v in asked.items()))
        base = f"{method}&{quote(address, safe='-._~')}&{quote(line, safe='-._~')}"
        fits = base64.b64encode(hmac.new(f"{SECRET}&".encode(), base.encode(), "sha256").digest()).decode()
        known = asked.get("oauth_consumer_key") == KEY and hmac.compare_digest(said, fits)
        if not known or asked["oauth_nonce"] in self.nonces:
            raise Refused(
                401, "woocommerce_rest_authentication_error", "Invalid signature - provided signature does not match."
            )
        self.nonces.add(asked["oauth_nonce"])

    def _page(self, rows: Iterator[dict[str, Any]], asked: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        after, before = asked.get("modified_after"), asked.get("modified_before")
        found = [
            row
            for row in rows
            if (after is None or second_of(row["date_modified_gmt"]) > second_of(after))
            and (before is None or second_of(row["date_modified_gmt"]) < second_of(before))
            and ("after" not in asked or second_of(row["date_created_gmt"]) > second_of(asked["after"]))
            and ("before" not in asked or second_of(row["date_created_gmt"]) < second_of(asked["before"]))
        ]
        if asked.get("orderby") == "modified":
            self._dice.shuffle(found)  # no order within a second
            found.sort(key=lambda row: row["date_modified_gmt"])
        elif asked.get("orderby") == "id":
            found.sort(key=lambda row: row["id"])
        size, page = int(asked.get("per_page", "10")), int(asked.get("page", "1"))
        totals = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
        start = int(asked.get("offset", (page - 1) * size))
        return 200, deepcopy(found[start : start + size]), totals

    def _order(self, id_: str) -> dict[str, Any]:
        if not id_.isdigit():
            raise Refused(404, "rest_no_route", "No route was found matching the URL and request method.")
        if int(id_) not in self.orders:
            raise Refused(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return self.orders[int(id_)]

    def _change(self, id_: str, sent: dict[str, Any]) -> dict[str, Any]:
        order = self._order(id_)
        for entry in sent.get("meta_data", ()):  # of one key, the first is changed
            former = next((each for each in order["meta_data"] if each["key"] == entry["key"]), None)
            if former is None:
                order["meta_data"].append({"id": self.new_id(), **entry})
            else:
                former["value"] = entry["value"]
        if sent.get("status", order["status"]) != order["status"]:
            was, order["status"] = order["status"], sent["status"]
            if was in STOCKED_BY and order["status"] == "cancelled":
                self._take(order["id"], 1)
            if order["status"] == "completed":
                order["date_completed_gmt"] = moment(self.clock)
                if order["date_paid_gmt"] is None:
                    order["date_paid_gmt"] = moment(self.clock)
            order["date_modified_gmt"] = moment(self.tick())  # metadata alone does not move it
        return order

    def refund(self, order: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        amount = Decimal(sent["amount"])
        left = Decimal(order["total"]) + sum(Decimal(r["total"]) for r in order["refunds"])
        if amount > left or amount < 0:
            raise Refused(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.")
        if sent.get("api_refund", True) and "refunds" not in self.gateways.get(order["payment_method"], ()):
            raise Refused(500, "woocommerce_rest_cannot_create_order_refund", "The payment gateway cannot refund.")
        lines = {line["id"]: line for line in order["line_items"]}
        for item in sent.get("line_items", ()) if sent.get("api_restock", True) else ():
            row = self.products[lines[item["id"]]["variation_id"] or lines[item["id"]]["product_id"]]
            if row["stock_quantity"] is not None:
                row["stock_quantity"] += item["quantity"]
        refund = {
            "id": self.new_id(), "date_created_gmt": moment(self.clock), "date_created": moment(self.clock - 10_800),
            "amount": f"{amount:.2f}", "reason": sent.get("reason", ""), "refunded_by": 1,
            "refunded_payment": sent.get("api_refund", True), "meta_data": [],
            "line_items": [
                {
                    **lines[item["id"]], "id": self.new_id(), "quantity": -item["quantity"],
                    "total": f"{-Decimal(str(item.get('refund_total', 0))):.2f}", "subtotal": "0.00",
                    "meta_data": [{"id": self.new_id(), "key": "_refunded_item_id", "value": str(item["id"])}],
                }
                for item in sent.get("line_items", ())
            ],
            "shipping_lines": [], "tax_lines": [], "fee_lines": [],
            "_links": {name: [{"href": "refunds"}] for name in ("self", "collection", "up")},
        }  # fmt: skip
        self.refunds[order["id"]].append(refund)
        order["refunds"].insert(0, {"id": refund["id"], "reason": refund["reason"], "total": f"-{amount:.2f}"})
        if amount and amount == left:
            order["status"] = "refunded"
        order["date_modified_gmt"] = moment(self.tick())
        return refund

    def _name(self, kind: str, name: str, parent: int = 0) -> dict[str, Any]:
        """One term of a batch: as it was made, or that it is there."""
        if name in self.refuses:
            return _error(0, "invalid_term_name", "That name is not wanted.", {"status": 400})
        had = len(self.terms[kind])
        id_ = self.term(kind, name, parent)
        if len(self.terms[kind]) > had:
            return dict(self.terms[kind][id_])
        says = "A term with the name provided already exists with this parent."
        return _error(0, "term_exists", says, {"status": 400, "resource_id": id_})

    def _put(self, item: dict[str, Any], parent: int) -> dict[str, Any]:  # noqa: PLR0911 -- a table of refusals
        """One item of a batch: a row, or its own error."""
        id_ = item.get("id", 0)
        if "id" not in item:
            same = next((row for row in self.products.values() if row["sku"] == item["sku"]), None)
            if same is not None:
                data = {"status": 400, "resource_id": same["id"]}
                return _error(0, "product_invalid_sku", "Invalid or duplicated SKU.", data)
            if item["sku"] in self.refuses:
                return _error(0, "woocommerce_rest_cannot_create", "Sorry, you may not.", {"status": 401})
            id_ = self.offer(item["sku"], item.get("regular_price", ""))
        row = self.products.get(id_)
        if row is None or row["parent_id"] != parent:
            if row is not None and parent == 0:
                says = "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/"
                return _error(id_, "woocommerce_rest_invalid_product_id", says, {"status": 404})
            return _error(id_, "woocommerce_rest_product_invalid_id", "Invalid ID.", {"status": 400})
        if row["sku"] in self.refuses:
            return _error(id_, "woocommerce_rest_cannot_edit", "Sorry, you may not edit this.", {"status": 401})
        gtin = item.get("global_unique_id")
        if gtin and any(each["global_unique_id"] == gtin for each in self.products.values() if each is not row):
            says = "Invalid or duplicated GTIN, UPC, EAN or ISBN."
            return _error(id_, "product_invalid_global_unique_id", says, {"status": 400, "resource_id": 1})
        try:
            row |= {name: self._kept(row, name, value) for name, value in item.items() if name != "id"}
        except Refused as refused:
            return _error(id_, refused.body["code"], refused.body["message"], refused.body["data"])
        row["price"] = row["sale_price"] or row["regular_price"]
        row["date_modified_gmt"] = moment(self.tick())
        return self.said_of(row)

    def _kept(self, row: dict[str, Any], name: str, value: Any) -> Any:  # noqa: C901, PLR0911 -- a table of fields
        """What the shop makes of a field that it is told."""
        match name:
            case "name" | "description" | "short_description":
                return kept(value)
            case "categories":
                known = [{"id": each["id"]} for each in value if each["id"] in self.terms[name]]
                return known or [{"id": self.uncategorised}]
            case "tags":
                return [{"id": each["id"]} for each in value if each["id"] in self.terms[name]]
            case "brands":  # an empty list is passed over
                return [{"id": each["id"]} for each in value] or row[name]
            case "dimensions":
                return {**row[name], **value}
            case "attributes":
                return [self._attribute(each) for each in value]
            case "images":
                return [self._image(each) for each in value]
            case "meta_data":
                meta = list(row[name])
                for entry in value:
                    former = next((each for each in meta if each["key"] == entry["key"]), None)
                    if former is None:
                        meta.append({"id": self.new_id(), **entry})
                    else:
                        former["value"] = entry["value"]
                return meta
        return value

    def _attribute(self, said: dict[str, Any]) -> dict[str, Any]:
        shared = next((each for each in self.attributes if each["id"] == said.get("id")), None)
        name = said["name"] if shared is None else shared["name"]
        usual = {"position": 0, "visible": False, "variation": False}
        return {**usual, **said, "id": 0 if shared is None else shared["id"], "name": name}

    def _image(self, said: dict[str, Any]) -> dict[str, Any]:
        if "src" not in said:
            if said["id"] not in self.pictures:
                raise Refused(400, "woocommerce_product_invalid_image_id", f"#{said['id']} is an invalid image ID.")
            return self.shown_picture(said["id"])
        if said["src"] in self.broken:
            says = f"Error getting remote image {said['src']}. Error: Not Found"
            raise Refused(400, "woocommerce_product_image_upload_error", says)
        return {**self.picture(said["src"]), "alt": said.get("alt", "")}

    def shown_picture(self, id_: int) -> dict[str, Any]:
        return {"id": id_, "src": f"{self.url}/wp-content/uploads/{id_}.jpg", "name": str(id_), "alt": ""}


def kept(text: str) -> str:
    """A text as WordPress keeps it: an ampersand that begins no entity is written as one."""
    return re.sub(r"&(?!#?\w+;)", "&amp;", text)


def _error(id_: int, code: str, message: str, data: Any) -> dict[str, Any]:
    return {"id": id_, "error": {"code": code, "message": message, "data": data}}


@asynccontextmanager
async def woocommerce_sim() -> AsyncIterator[WooSim]:
    """Serve a shop for the block."""
    shop = WooSim()
    server = await asyncio.start_server(shop.talk, "127.0.0.1", 0)
    shop.port = server.sockets[0].getsockname()[1]
    try:
        yield shop
    finally:
        server.close()
