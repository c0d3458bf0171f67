"""Orders by webhook at an even rate, signed, through the inbox that `malha serve` answers at and the worker beside it.

Messages leave at fixed instants whether or not earlier ones were answered, and an answer's time counts from the instant
its message was due: a server that falls behind cannot hide it. One message in fifty is sent twice, one order in a
hundred is told twice by different messages, as channels do. What became of them is read back from the tables of orders,
money and stock, not from those of the inbox.
"""

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from malha.bench.seed import seed
from malha.bench.server import Grounds, drift, own_ground, served
from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform import signing
from malha.platform.clock import now
from malha.platform.db import Actor, Database
from malha.platform.settings import Settings

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
CODE, SECRET = "bench", "webhook-secret-of-the-bench"
SECRET_KEY = "a key that a benchmark signs and seals with"  # noqa: S105 -- of a retailer that is gone in a minute
SETTINGS = {"MALHA_SECRET_KEY": SECRET_KEY, "MALHA_OUTWARD_ALLOW": "127.0.0.1/32"}
RATE = 300  # messages a second
SENDERS = 64  # connections
SKUS, LOCATIONS, UNITS = 2_000, 10, 100_000
REPEATED, TOLD_TWICE = 50, 100  # one in so many
STATES = ("SP", "RJ", "MG", "BA", "PE", "CE", "PR", "RS", "GO", "AM")
SETTLE_S = 120.0

_encode = msgspec.json.Encoder().encode

WAITING = "SELECT count(*) FROM channel_inbox WHERE state = 'waiting'"
STATES_LEFT = "SELECT state || coalesce(': ' || cause || ' ' || error, '') FROM channel_inbox WHERE state <> 'done'"
# From the first to the last order that was taken: how long one waited is told apart.
LASTED = "SELECT extract(epoch FROM max(done_at) - min(done_at))::float8 FROM channel_inbox WHERE state = 'done'"
# How long a message waited for the worker.
WAITED = """
SELECT percentile_disc(%(share)s::float8) WITHIN GROUP (ORDER BY extract(epoch FROM done_at - received_at))::float8
FROM channel_inbox WHERE state = 'done'
"""
LINES = """
SELECT o.external_id, l.sku_text, l.quantity, l.unit_price FROM sales_order o JOIN order_line l ON l.order_id = o.id
WHERE o.external_id LIKE %(like)s::text
"""
MONEY = """
SELECT o.external_id, sum(e.amount)::bigint FROM sales_order o JOIN tender t ON t.order_id = o.id
JOIN payment_entry e ON e.tender_id = t.id
WHERE e.kind = 'captured' AND o.external_id LIKE %(like)s::text GROUP BY o.external_id
"""
ALLOCATED = "SELECT coalesce(sum(allocated), 0)::bigint FROM balance"


class Message(msgspec.Struct, frozen=True):
    """A webhook, ready to be sent."""

    order: str
    data: bytes


class Sold(msgspec.Struct, frozen=True):
    """What a channel sold, as it wrote it."""

    id: str
    lines: tuple[tuple[str, int, int], ...]  # SKU, quantity, price

    @property
    def total(self) -> int:
        """Return what the goods cost together."""
        return sum(quantity * price for _, quantity, price in self.lines)


def sold(rng: random.Random, id_: str, skus: int = SKUS) -> Sold:
    """Return an order of two different SKUs."""
    first, second = rng.sample(range(1, skus + 1), 2)
    return Sold(id_, ((f"SKU{first}", 1, 1_990), (f"SKU{second}", rng.randint(1, 3), 4_990)))


def told(order: Sold, version: int, placed_at: str, state: str = "SP") -> dict[str, Any]:
    """Return an order as the protocol of the generic connector says it, paid in full."""
    lines = [
        {"id": f"l{n}", "sku": sku, "quantity": quantity, "unit_price": price}
        for n, (sku, quantity, price) in enumerate(order.lines)
    ]
    paid = {"id": f"pay-{order.id}", "method": "pix", "amount": order.total, "state": "captured", "paid_at": placed_at}
    return {
        "id": order.id,
        "version": version,
        "placed_at": placed_at,
        "currency": "BRL",
        "status": "open",
        "total": order.total,
        "lines": lines,
        "payments": [paid],
        "shipping_method": "standard",
        "buyer": {"name": "Maria da Silva", "email": f"{order.id}@example.com"},
        "ship_to": {
            "postal_code": "01310100",
            "street": "Avenida Paulista",
            "number": "1000",
            "city": "Cidade",
            "state": state,
        },
    }


def message(body: bytes, id_: str, port: int, code: str = CODE) -> bytes:
    """Return a request that brings a signed webhook to a connection's inbox, as bytes."""
    stamp = str(int(now().timestamp()))
    digest = hmac.digest(SECRET.encode(), f"{id_}.{stamp}.".encode() + body, hashlib.sha256)
    lines = [
        f"POST /in/{code} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"webhook-id: {id_}",
        f"webhook-timestamp: {stamp}",
        f"webhook-signature: v1,{base64.b64encode(digest).decode()}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def messages(orders: Sequence[Sold], port: int, rng: random.Random) -> list[Message]:
    """Return the messages about orders, some of them sent or told twice, in the order they are sent."""
    made: list[Message] = []
    at = now().isoformat()
    for n, order in enumerate(orders):
        body = _encode({"type": "order.changed", "order": told(order, 1, at, rng.choice(STATES))})
        made.append(Message(order.id, message(body, f"msg_{order.id}", port)))
        if n % REPEATED == 0:
            made.append(made[-1])
        if n % TOLD_TWICE == 0:
            made.append(Message(order.id, message(body, f"msg_again_{order.id}", port)))
    return made


class Sender(asyncio.Protocol):
    """One connection to the inbox: a message, its answer, the next. As little HTTP as that needs."""

    def __init__(self) -> None:
        self._data = b""
        self._answered: asyncio.Future[int] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for an answer hears of it."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Take an answer apart as far as its status and its length."""
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) >= length and self._answered is not None and not self._answered.done():
            self._data = rest[length:]
            self._answered.set_result(int(head[9:12]))

    async def send(self, data: bytes) -> int:
        """Send a message and return the status of its answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await asyncio.wait_for(self._answered, 30)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def send_all(port: int, due: Sequence[Message], rate: float) -> tuple[list[float], Counter[int], float]:
    """Send messages at an even rate; return milliseconds from due to answered, the statuses, and the seconds it took.

    Status 0 stands for a message that was not answered.
    """
    queue: asyncio.Queue[tuple[float, Message] | None] = asyncio.Queue()
    delays: list[float] = []
    statuses: Counter[int] = Counter()
    loop = asyncio.get_running_loop()

    async def sender() -> None:
        _, connection = await loop.create_connection(Sender, "127.0.0.1", port)
        while (next_ := await queue.get()) is not None:
            at, what = next_
            try:
                statuses[await connection.send(what.data)] += 1
            except OSError:  # TimeoutError is one
                statuses[0] += 1
                _, connection = await loop.create_connection(Sender, "127.0.0.1", port)
            delays.append((time.monotonic() - at) * 1000)
        connection.close()

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(SENDERS):
            tasks.create_task(sender())
        await asyncio.sleep(0.2)
        began = time.monotonic()
        for n, each in enumerate(due):
            at = began + n / rate
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            queue.put_nowait((at, each))
        for _ in range(SENDERS):
            queue.put_nowait(None)
    return sorted(delays), statuses, time.monotonic() - began


async def connect(
    db: Database, *, base_url: str, code: str = CODE, channel: str = "web", config: dict[str, Any] | None = None
) -> None:
    """Connect a channel by the generic connector."""
    keys = signing.keys_of(Settings(secret_key=SECRET_KEY))
    draft = ConnectionDraft(
        code=code,
        name="Bench",
        connector="generic",
        channel=channel,
        config={"base_url": base_url, **(config or {})},
        secrets={"api_key": "key-of-the-bench", "webhook_secret": SECRET},
    )
    async with db.transaction(ACTOR) as tx:
        await service.add_connection(tx, draft, keys)
        await service.resume(tx, code)


async def _seeded(url: str) -> str:
    async with Database(url, "malha", min_size=1, max_size=2) as db:
        key = await seed(db, skus=SKUS, locations=LOCATIONS, units=UNITS)
        await connect(db, base_url="http://127.0.0.1:9")  # nobody reads there: all comes by webhook
    return key


async def settled(db: Database, say: Say) -> bool:
    """Wait until the worker has handled all that came; tell whether it did within `SETTLE_S`."""
    ends = time.monotonic() + SETTLE_S
    while time.monotonic() < ends:
        async with db.transaction() as tx:
            left: int = await tx.value(WAITING)
        if not left:
            return True
        say(f"{left:,} messages wait for the worker")
        await asyncio.sleep(0.25)
    return False


async def compared(db: Database, orders: Sequence[Sold], like: str, *, stock: bool = True) -> tuple[int, int]:
    """Return how many orders are lost, and how many are doubled or other than they were sold.

    An order counts as here when its lines are those that were sold and its money was captured once. With `stock`, units
    set aside that nobody sold count as doubled, those that are missing as lost: only before anything leaves.
    """
    async with db.transaction() as tx:
        rows = await tx.tuples(LINES, {"like": like})
        money: dict[str, int] = dict(await tx.tuples(MONEY, {"like": like}))
        allocated: int = await tx.value(ALLOCATED)
    here: dict[str, Counter[tuple[str, int, int]]] = {}
    for external_id, sku, quantity, price in rows:
        here.setdefault(external_id, Counter())[sku, quantity, price] += 1
    wanted = {order.id: order for order in orders}
    lost = sum(1 for id_ in wanted if id_ not in here)
    doubled = sum(1 for id_ in here if id_ not in wanted)
    for id_, order in wanted.items():
        if id_ in here and (here[id_] != Counter(order.lines) or money.get(id_) != order.total):
            doubled += 1
    units = sum(quantity for order in orders for _, quantity, _ in order.lines) if stock else allocated
    return lost + max(0, units - allocated), doubled + max(0, allocated - units)


async def _measure(url: str, port: int, seconds: float, rate: int, say: Say) -> dict[str, Any]:
    rng = random.Random(7)  # noqa: S311 -- the same orders every time
    async with Database(url, "malha", min_size=1, max_size=2) as db:
        warm = [sold(rng, f"bench-warm-{n}") for n in range(rate)]
        orders = [sold(rng, f"bench-{n}") for n in range(int(rate * seconds))]
        say("Warming up")
        await send_all(port, messages(warm, port, rng), rate)
        await settled(db, say)
        async with db.transaction() as tx:
            await tx.execute("DELETE FROM channel_inbox")
        due = messages(orders, port, rng)
        say(f"{len(due):,} signed webhooks, {rate} a second")
        delays, statuses, _took = await send_all(port, due, rate)
        handled = await settled(db, say)
        async with db.transaction() as tx:
            lasted: float = await tx.value(LASTED) or 0.0
            waited = [await tx.value(WAITED, {"share": share}) or 0.0 for share in (0.5, 0.99)]
            left = Counter(str(state)[:80] for state in await tx.values(STATES_LEFT))
        lost, doubled = await compared(db, [*warm, *orders], "bench-%")
    if left:
        say(f"Not done: {dict(left)}")
    return {
        "webhook_messages": len(due),
        "webhook_rate": rate,
        "webhook_orders_per_s": round(len(orders) / lasted, 1) if lasted else 0.0,
        "webhook_refused": sum(count for status, count in statuses.items() if status != 202),
        "inbox_p50_ms": round(delays[len(delays) // 2], 1),
        "inbox_p99_ms": round(delays[int(len(delays) * 0.99)], 1),
        "inbox_to_order_p50_ms": round(waited[0] * 1000, 1),
        "inbox_to_order_p99_ms": round(waited[1] * 1000, 1),
        "webhook_settled": handled,
        "webhook_lost": lost,
        "webhook_doubled": doubled,
    }


def webhooks(
    seconds: float, port: int, say: Say, grounds: Grounds = own_ground, *, rate: int = RATE, web_workers: int = 2
) -> dict[str, Any]:
    """Measure; return how quickly the inbox answers, how many orders a second are taken, what is lost or doubled."""
    with served(port, web_workers, _seeded, say, grounds, SETTINGS) as shop:
        figures = asyncio.run(_measure(shop.url, shop.port, seconds, rate, say))
        return {**figures, "webhook_drift": asyncio.run(drift(shop.url))}
