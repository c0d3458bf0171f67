"""Live traffic for the demo: shoppers order over the API as channels do, staff take the work a step on.

Runs in a process of its own beside the web processes, through the same doors as everybody: HTTP with an API key, and
the services.
"""

import asyncio
import http.client
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from malha.demo import retailer
from malha.demo.build import CUSTOMERS, Documents
from malha.demo.orders import Shoppers, people
from malha.fiscal import service as fiscal
from malha.fulfillment import reads as work_reads
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Parcel, RejectReason, Tracking, Work
from malha.fulfillment.reads import QueueRow
from malha.fulfillment.work import take_up
from malha.history import reads as history
from malha.platform.db import Database, Tx
from malha.platform.errors import MalhaError

log = structlog.get_logger(__name__)

BETWEEN_ORDERS_S = (0.6, 3.0)
BETWEEN_STEPS_S = (0.4, 1.6)
_encode = msgspec.json.Encoder().encode


async def run(url: str, name: str, key: str, port: int, seed: int) -> None:
    """Order and work until the process is ended; what is refused is somebody's bad luck, not an end."""
    rng = random.Random(seed + 1)
    same = random.Random(seed)  # as `build` drew them: the shelves shoppers see are those that were filled
    goods = retailer.products(same)
    stock = retailer.stock(same, [v.sku for draft in goods for v in draft.variants])
    shoppers = Shoppers(rng, people(rng, CUSTOMERS), goods, stock)
    async with Database(url, name, min_size=1, max_size=2) as db:
        await asyncio.gather(_shop(rng, shoppers, key, port), _work(db, random.Random(seed + 2)))


async def _shop(rng: random.Random, shoppers: Shoppers, key: str, port: int) -> None:
    session = f"L{datetime.now(UTC):%d%H%M}"
    while True:
        await asyncio.sleep(rng.uniform(*BETWEEN_ORDERS_S))
        order = shoppers.order(None, prefix=session, paid=rng.random() > 0.06)
        if rng.random() < 0.02:
            order = shoppers.odd(order)
        try:
            await asyncio.to_thread(_submit, _encode(order), key, port)
        except (OSError, http.client.HTTPException):
            await asyncio.sleep(2)  # the server is starting, or gone; the next order tries again


def _submit(body: bytes, key: str, port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request("POST", "/v1/orders", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


async def _work(db: Database, rng: random.Random) -> None:
    documents = Documents(rng)
    while True:
        await asyncio.sleep(rng.uniform(*BETWEEN_STEPS_S))
        try:
            async with db.transaction() as tx:
                await documents.go_on(tx)
                await _step(tx, rng, documents)
        except MalhaError as refused:
            log.info("demo_step_refused", code=refused.code)
        except OSError:
            await asyncio.sleep(2)


async def _step(tx: Tx, rng: random.Random, documents: Documents) -> None:
    """Take one piece of work, or one parcel, a step on."""
    if rng.random() < 0.25:
        parcels = await history.on_the_way(tx)
        if parcels:
            await fulfillment.deliver(tx, rng.choice(parcels))
        return
    row = _choose(rng, await work_reads.queue(tx))
    if row is None:
        return
    match row.state:
        case "open" if rng.random() < 0.03:
            await fulfillment.reject(tx, row.id, rng.choice((RejectReason.MISMATCH, RejectReason.CAPACITY)))
        case "open":
            await fulfillment.accept(tx, row.id)
        case "accepted" | "picking":
            await fulfillment.confirm_pick(tx, row.id)
        case "picked":
            await fulfillment.pack(tx, row.id, [Parcel(rng.randint(400, 6000))])
        case _:
            await _leave(tx, row, rng, documents)


async def _leave(tx: Tx, row: QueueRow, rng: random.Random, documents: Documents) -> None:
    """Let packed work go, document first."""
    if row.state == "ready":
        code = await fulfillment.pickup_code(tx, row.id)
        await fulfillment.hand_over(tx, row.id, code=code, received_by=row.buyer_name)
    elif row.awaiting_document:
        work: Work = (await take_up(tx, row.id)).work
        issuer = await fiscal.issuer_of(tx, row.location_id)
        await fiscal.record_document(tx, row.id, documents.issue(work, issuer, datetime.now(UTC)))
    elif row.method == "pickup":
        await fulfillment.make_ready(tx, row.id)
    else:
        await fulfillment.ship(tx, row.id, [Tracking(tracking_code=f"BR{rng.randrange(10**9):09}BR")])


def _choose(rng: random.Random, rows: Sequence[QueueRow]) -> QueueRow | None:
    """Prefer what is due first, as people do; what is ready waits for its customer."""
    open_ = [row for row in rows if row.state != "ready"]
    ready = [row for row in rows if row.state == "ready"]
    if ready and rng.random() < 0.15:
        return rng.choice(ready)
    if not open_:
        return None
    return open_[min(int(rng.expovariate(0.12)), len(open_) - 1)]
