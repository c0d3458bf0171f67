"""A channel for benchmarks, in a process of its own: it speaks the protocol of the generic connector, and fails.

It keeps what it is told in memory and takes what is sent twice twice, so that a double is seen. In front of it stands a
proxy that hands requests on and fails some of them, by a seed: cut off before the channel hears of it, after it acted,
in the middle of its answer, silent until the other side gives up, or an error in the place of the answer.
"""

import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import msgspec

SILENCE_S = 60.0
PAGE = 200


class Failure(StrEnum):
    """What the proxy does with a request."""

    CUT = "cut"  # nothing is handed on
    BROKEN = "broken"  # 500, nothing is handed on
    AWAY = "away"  # 503, nothing is handed on
    LIMITED = "limited"  # 429, nothing is handed on
    LOST = "lost"  # handed on; the connection is cut before the answer
    SILENT = "silent"  # handed on; no answer until the other side gives up
    TRUNCATED = "truncated"  # handed on; half of the answer
    CRASHED = "crashed"  # handed on; 500 for an answer
    GATEWAY = "gateway"  # handed on; 502 and a page


CHANCES = {
    Failure.CUT: 0.02,
    Failure.BROKEN: 0.01,
    Failure.AWAY: 0.01,
    Failure.LIMITED: 0.002,
    Failure.LOST: 0.02,
    Failure.SILENT: 0.004,
    Failure.TRUNCATED: 0.01,
    Failure.CRASHED: 0.01,
    Failure.GATEWAY: 0.01,
}
SAYS = {
    Failure.BROKEN: (500, ""),
    Failure.AWAY: (503, "Retry-After: 1\r\n"),
    Failure.LIMITED: (429, "Retry-After: 1\r\n"),
    Failure.CRASHED: (500, ""),
    Failure.GATEWAY: (502, ""),
}
UNHEARD = {Failure.CUT, Failure.BROKEN, Failure.AWAY, Failure.LIMITED}

_encode = msgspec.json.Encoder().encode


class Shop:
    """What the channel knows. `sold` fills it from outside, over HTTP like everything."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.told: dict[str, list[str]] = {"shipments": [], "cancellations": [], "refunds": []}
        self.operations: dict[str, str] = {}
        self.stock: list[tuple[int, str, int]] = []  # when, code, quantity

    def answer(  # noqa: PLR0911 -- one case for each page
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        """Do what is asked; return the status and what to say."""
        parts = urlsplit(target)
        match method, parts.path.strip("/").split("/"):
            case "POST", [("stock" | "prices") as what]:
                return self._state(what, msgspec.json.decode(body)["items"])
            case "GET", ["orders"]:
                return 200, self._page({k: v[0] for k, v in parse_qs(parts.query).items()})
            case "GET", ["orders", "summary"]:
                return 200, self._summary({k: v[0] for k, v in parse_qs(parts.query).items()})
            case "GET", ["orders", id_]:
                return (200, self.orders[id_]) if id_ in self.orders else (404, {})
            case "GET", ["operations", key]:
                return (200, {"id": self.operations[key]}) if key in self.operations else (404, {})
            case "POST", [("shipments" | "cancellations" | "refunds") as what]:
                return self._take(what, headers.get("idempotency-key", ""), msgspec.json.decode(body))
            case "POST", ["bench", "sold"]:
                self.orders |= {order["id"]: order for order in msgspec.json.decode(body)}
                return 200, {}
            case "GET", ["bench", "told"]:
                return 200, self.told
            case "GET", ["bench", "stock"]:
                return 200, self.stock
        return 404, {}

    def _state(self, what: str, items: list[dict[str, Any]]) -> tuple[int, Any]:
        if what == "stock":
            at = time.monotonic_ns()
            self.stock += [(at, item["code"], item["quantity"]) for item in items]
        return 200, {"results": [{"status": "ok"}] * len(items)}

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        after: Any = tuple(json.loads(query["cursor"])) if "cursor" in query else (0, "")
        found = sorted((o["version"], o["id"]) for o in self.orders.values() if (o["version"], o["id"]) > after)
        page = found[: int(query.get("limit", PAGE))]
        cursor = json.dumps(page[-1] if page else after)
        return {"orders": [self.orders[id_] for _, id_ in page], "cursor": cursor, "more": len(found) > len(page)}

    def _summary(self, query: dict[str, str]) -> dict[str, Any]:
        zone = ZoneInfo(query["zone"])
        found = [o for o in self.orders.values() if _day(o, zone) == query["day"] and o["status"] != "cancelled"]
        return {"orders": len(found), "total": sum(o["total"] for o in found), "ids": [o["id"] for o in found]}

    def _take(self, what: str, key: str, push: dict[str, Any]) -> tuple[int, Any]:
        if push["order"] not in self.orders:
            return 422, {"code": "no_order", "message": "no such order", "field": "order"}
        self.told[what].append(push["order"])
        if what == "cancellations":
            self.orders[push["order"]]["status"] = "cancelled"
        self.operations[key] = f"{what}-{len(self.told[what])}"
        return 200, {"id": self.operations[key]}


def _day(order: dict[str, Any], zone: ZoneInfo) -> str:
    return datetime.fromisoformat(order["placed_at"]).astimezone(zone).date().isoformat()


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", "0")))


def _reply(status: int, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Server:
    """The channel, and what goes wrong on the way to it where `chances` are given."""

    def __init__(self, shop: Shop, chances: dict[Failure, float], seed: int) -> None:
        self._shop = shop
        self._chances = chances
        self._rng = random.Random(seed)  # noqa: S311 -- the same faults every time
        self.failures = dict.fromkeys(Failure, 0)

    def _drawn(self) -> Failure | None:
        at = self._rng.random()
        for failure, chance in self._chances.items():
            if at < chance:
                self.failures[failure] += 1
                return failure
            at -= chance
        return None

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection, until one fails or the other side has no more."""
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, or fail it; tell whether the connection is good for another."""
        method, target, headers, body = await _read(reader)
        if target == "/bench/failures":
            writer.write(_reply(200, _encode(self.failures)))
            return True
        failure = None if target.startswith("/bench") else self._drawn()
        if failure not in UNHEARD:
            status, said = self._shop.answer(method, target, headers, body)
            answer = _reply(status, _encode(said))
        match failure:
            case None:
                writer.write(answer)
            case Failure.TRUNCATED:
                writer.write(answer[: -max(1, len(_encode(said)) // 2)])
            case Failure.SILENT:
                await asyncio.wait_for(reader.read(), SILENCE_S)
            case failure if failure in SAYS:
                status, more = SAYS[failure]
                writer.write(_reply(status, b"<html><body>no</body></html>", more))
            case _:
                pass
        await writer.drain()
        return failure is None or failure in SAYS


async def _serve(count: int, chances: dict[Failure, float], seed: int, say: Any) -> None:
    servers = []
    for n in range(count):
        shop = Shop()
        server = await asyncio.start_server(_Server(shop, chances, seed + n).talk, "127.0.0.1", 0)
        servers.append(server)
    say.send([server.sockets[0].getsockname()[1] for server in servers])
    await asyncio.Event().wait()


def _process(count: int, chances: dict[Failure, float], seed: int, say: Any) -> None:
    asyncio.run(_serve(count, chances, seed, say))


@contextmanager
def shops(count: int, chances: dict[Failure, float] | None = None, seed: int = 7) -> Iterator[list[int]]:
    """Have so many channels in one process of their own; give their ports."""
    spawn = multiprocessing.get_context("spawn")
    hear, say = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_process, args=(count, chances or {}, seed, say), daemon=True)
    process.start()
    try:
        if not hear.poll(30):
            raise TimeoutError("the channel did not start")
        yield hear.recv()
    finally:
        process.kill()
        process.join()
