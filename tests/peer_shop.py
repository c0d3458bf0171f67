"""A channel for tests: a real HTTP server that speaks the protocol of the generic connector, keeps state, and fails on cue.

async with peer_shop() as peer:
    peer.sell("1001", lines=[{"sku": "A", "quantity": 1, "unit_price": 1000}])
    peer.fail("POST /shipments", "commit_then_cut")

It takes no key twice for one thing: what is sent twice is there twice, so that a double is seen. Every answer to a
request that changes something is written down in `asked`.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from malha.testing.peers import read_request, write_answer

API_KEY = "key-of-the-shop-4711"
WEBHOOK_SECRET = "webhook-secret-of-the-shop"
PAGE = 3


class Peer:
    """Its state, and what it was asked. `faults` are taken one by one by requests that begin with their name."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, str, Any]] = []
        self.faults: list[tuple[str, str]] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.stock: dict[str, tuple[int, int]] = {}  # code: (version, quantity)
        # In the order in which they changed; None: it changed again later.
        self.products: list[dict[str, Any] | None] = []
        self.places: list[dict[str, Any]] = []  # stock at places of its own, where it is asked for these instead
        self.prices: dict[str, tuple[int, int]] = {}
        self.listings: dict[str, dict[str, Any]] = {}  # by code, as they were told last
        self.refuses: dict[str, str] = {}  # code: why
        self.mumbles: set[str] = set()  # codes of which it does not say what became of them
        self.wants: dict[str, list[str]] = {}  # code: fields of a listing that are refused when they are empty
        self.shipments: list[dict[str, Any]] = []
        self.cancellations: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.operations: dict[str, str] = {}
        self.pending: set[str] = set()  # paths that are worked on later
        self.works = False  # whether it says of what it was asked that it still works on it
        self.access_token = ""  # where set, it is asked for instead of the key
        self.refresh_token = "first-refresh"
        self.refreshed = 0
        self.slow_s = 0.0
        self.heard: asyncio.Event | None = None  # set by the next request
        self.answers: asyncio.Event | None = None  # nothing is answered before it is set
        self.under_way = 0
        self.most_under_way = 0
        self.keeps = True  # connections stay open for the next request
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._clock = 0
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    def fail(self, request: str, how: str, times: int = 1) -> None:
        self.faults += [(request, how)] * times

    def sell(self, id_: str, *, version: int | None = None, **more: Any) -> dict[str, Any]:
        """Make an order, or change it; its version grows unless one is given."""
        self._clock += 1
        former = self.orders.get(id_, {})
        order = {
            "id": id_,
            "placed_at": "2026-11-26T12:00:00+00:00",
            "currency": "BRL",
            "status": "open",
            "lines": [{"sku": "A", "quantity": 1, "unit_price": 1000, "id": "l1"}],
            "ship_to": {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista"},
            "buyer": {"name": "Maria da Silva", "email": "maria@example.com"},
            "something_new": {"we": ["never", "heard", "of"]},
            **former,
            **more,
            "version": version if version is not None else self._clock,
        }
        self.orders[id_] = order
        return order

    def cancel_units(self, id_: str, line: str, units: int) -> dict[str, Any]:
        """Cancel so many more units of a line, as the shop's own staff does."""
        lines = [dict(x) for x in self.orders[id_]["lines"]]
        for x in lines:
            if x["id"] == line:
                x["cancelled"] = x.get("cancelled", 0) + units
        return self.sell(id_, lines=lines)

    def give_back(self, id_: str, refund: str, amount: int, **more: Any) -> dict[str, Any]:
        """Give money back, as the shop's own staff does."""
        refunds = [*self.orders[id_].get("refunds", ()), {"id": refund, "amount": amount, **more}]
        return self.sell(id_, refunds=refunds)

    def webhook(self, order: Any, *, secret: str = WEBHOOK_SECRET, id_: str = "", at: datetime | None = None) -> "Sent":
        """A signed message about an order (a dict), or a hint about one (a str)."""
        told = {"order_id": order} if isinstance(order, str) else {"order": order}
        return sign({"type": "order.changed", **told}, secret=secret, id_=id_, at=at)

    # --- the server ---

    async def rise(self) -> None:
        """Begin to answer, where it answered before; what it knows it still knows."""
        self._server = await asyncio.start_server(self.talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Answer nobody any more: not even a connection."""
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._one(reader, writer) and self.keeps:
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        method, target, headers, body = await read_request(reader)
        if self.heard is not None:
            self.heard.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.slow_s:
                await asyncio.sleep(self.slow_s)
            if self.answers is not None:
                await self.answers.wait()
            return await self._answer(writer, method, target, headers, body)
        finally:
            self.under_way -= 1

    async def _answer(self, writer: Any, method: str, target: str, headers: dict[str, str], body: bytes) -> bool:
        """Answer, or fail; tell whether the connection may go on."""
        path = urlsplit(target).path
        said = f"{method} {path}"
        self.asked.append((method, target, json.loads(body) if body else None))
        how = next((fault for fault in self.faults if said.startswith(fault[0])), None)
        if how is not None:
            self.faults.remove(how)
        kind = how[1] if how is not None else ""
        if kind == "cut":
            return False
        if kind.startswith("status "):
            _, status, *after = kind.split(" ")
            more = {"Retry-After": after[0]} if after else {}
            page = b"<html><body>Bad Gateway</body></html>" if status == "502" else b"{}"
            await write_answer(writer, int(status), page, more)
            return False
        status, answer = self._do(method, target, headers, json.loads(body) if body else None)
        if kind.startswith("commit_then_"):
            if kind.startswith("commit_then_status "):
                await write_answer(
                    writer, int(kind.rpartition(" ")[2]), b"<html><body>A timeout occurred</body></html>"
                )
            elif kind == "commit_then_silence":
                await asyncio.sleep(30)
            return False
        text = json.dumps(answer).encode()
        if kind == "truncated":
            text = text[: len(text) // 2]
        if self.keeps and not kind:
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
            return True
        await write_answer(writer, status, text, pause_s=0.05 if kind == "drip" else 0.0)
        return False

    def _do(  # noqa: C901, PLR0911, PLR0912 -- one case for each page
        self, method: str, target: str, headers: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        parts = urlsplit(target)
        path, query = parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}
        if path == "/token":
            return self._token(body)
        known = self.access_token or API_KEY
        if headers.get("authorization") != f"Bearer {known}":
            return 401, {"message": "who are you"}
        match method, path.strip("/").split("/"):
            case "GET", ["ping"]:
                return 200, {"name": "Loja de teste"}
            case "GET", ["orders"]:
                return self._orders(query)
            case "GET", ["orders", "summary"]:
                found = [o for o in self.orders.values() if o["placed_at"][:10] == query["day"]]
                found = [o for o in found if o["status"] != "cancelled"]
                return 200, {
                    "orders": len(found),
                    "total": sum(_total(o) for o in found),
                    "ids": [o["id"] for o in found],
                    "refunds": {o["id"]: _given_back(o) for o in found if _given_back(o)},
                }
            case "GET", ["orders", id_]:
                return (200, self.orders[id_]) if id_ in self.orders else (404, {"message": "no such order"})
            case "GET", ["products"]:
                after, size = int(query.get("cursor", "0")), min(int(query.get("limit", PAGE)), PAGE)
                page = self.products[after : after + size]
                more = len(self.products) > after + size
                told = [row for row in page if row is not None]
                return 200, {"products": told, "cursor": str(after + len(page)), "more": more}
            case "GET", ["stock"]:
                return self._levels(query)
            case "POST", ["stock"]:
                return 200, {
                    "results": [self._set(self.stock, i["code"], i["version"], i["quantity"]) for i in body["items"]]
                }
            case "POST", ["prices"]:
                return 200, {
                    "results": [self._set(self.prices, i["code"], i["version"], i["price"]) for i in body["items"]]
                }
            case "POST", ["listings"]:
                return 200, {"results": [self._list(item) for item in body["items"]]}
            case "GET", ["operations", key]:
                if key not in self.operations:
                    return 404, {}
                return 200, {"pending" if self.works else "id": self.operations[key]}
            case "POST", [("shipments" | "cancellations" | "refunds") as what]:
                if body["order"] not in self.orders:
                    return 422, {"code": "no_order", "message": "no such order", "field": "order"}
                getattr(self, what).append(body)
                id_ = f"{what}-{len(getattr(self, what))}"
                self._act(what, id_, body)
                self.operations[headers["idempotency-key"]] = id_
                return 200, {"pending": id_} if f"/{what}" in self.pending else {"id": id_}
        return 404, {"message": "no such page"}

    def _act(self, what: str, id_: str, body: Any) -> None:
        """Do what we asked for, as a shop does: its order changes, and it tells of that later."""
        if what == "cancellations" and body["whole"]:
            self.sell(body["order"], status="cancelled")
        elif what == "cancellations":
            for line in body["lines"]:
                self.cancel_units(body["order"], line["line"], line["quantity"])
        elif what == "refunds":
            self.give_back(body["order"], id_, body["amount"], payment=body["payment"])

    def _token(self, body: Any) -> tuple[int, Any]:
        if body["refresh_token"] != self.refresh_token:
            return 401, {"message": "spent"}
        self.refreshed += 1
        self.refresh_token, self.access_token = f"refresh-{uuid4().hex}", f"access-{uuid4().hex}"
        return 200, {"access_token": self.access_token, "refresh_token": self.refresh_token, "expires_in": 3600}

    def _orders(self, query: dict[str, str]) -> tuple[int, Any]:
        after = tuple(json.loads(query["cursor"])) if "cursor" in query else (0, "")
        found = sorted((o["version"], o["id"]) for o in self.orders.values() if (o["version"], o["id"]) > after)
        size = min(int(query.get("limit", PAGE)), PAGE)
        page = found[:size]
        cursor = json.dumps(page[-1] if page else after)
        return 200, {"orders": [self.orders[i] for _, i in page], "cursor": cursor, "more": len(found) > size}

    def _levels(self, query: dict[str, str]) -> tuple[int, Any]:
        shown = [{"sku": c, "quantity": q, "version": v} for c, (v, q) in sorted(self.stock.items())]
        rows = self.places or shown
        after = int(query.get("cursor", "0"))
        size = min(int(query.get("limit", PAGE)), PAGE)
        page = rows[after : after + size]
        return 200, {"items": page, "cursor": str(after + len(page)), "more": len(rows) > after + size}

    def _set(self, table: dict[str, tuple[int, int]], code: str, version: int, value: int) -> dict[str, Any]:
        if code in self.refuses:
            return {"status": "rejected", "code": "no_product", "message": self.refuses[code]}
        if code in self.mumbles:
            return {"status": "reindexing"}
        if version >= table.get(code, (-1, 0))[0]:
            table[code] = (version, value)
        return {"status": "ok", "id": code}

    def _list(self, item: dict[str, Any]) -> dict[str, Any]:
        code = item["code"]
        if code in self.refuses:
            return {"status": "rejected", "code": "not_sold", "message": self.refuses[code]}
        wrong = [
            {"code": "empty", "message": f"{name} must not be empty", "field": name}
            for name in self.wants.get(code, [])
            if not item["fields"].get(name)
        ]
        if wrong and item["active"]:
            return {"status": "rejected", **wrong[0], "others": wrong[1:]}
        self.listings[code] = item
        return {"status": "ok", "id": f"listing-{code}"}


def _total(order: dict[str, Any]) -> int:
    """What is left to pay of an order: cancelled units are off it, money that was given back is not."""
    left = [(x["quantity"] - x.get("cancelled", 0)) * x["unit_price"] for x in order["lines"]]
    return sum(left) + order.get("shipping", 0)


def _given_back(order: dict[str, Any]) -> int:
    return sum(r["amount"] for r in order.get("refunds", ()) if r.get("state", "done") == "done")


class Sent:
    """A webhook: its headers and its body."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body


def sign(told: Any, *, secret: str = WEBHOOK_SECRET, id_: str = "", at: datetime | None = None) -> Sent:
    """A message signed as Standard Webhooks says."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    id_ = id_ or f"msg_{uuid4().hex}"
    stamp = str(int((at or datetime.now(UTC)).timestamp()))
    digest = hmac.digest(secret.encode(), f"{id_}.{stamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return Sent({"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": signature}, body)


STALE = timedelta(minutes=10)


@asynccontextmanager
async def peer_shop() -> AsyncIterator[Peer]:
    """Serve a channel for the block."""
    peer = Peer()
    await peer.rise()
    try:
        yield peer
    finally:
        await peer.die()
