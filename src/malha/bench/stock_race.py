"""Last units: many buyers over five channels at once, by every way orders come in, and what a channel may sell, asked.

Two hundred buyers want twenty SKUs and kits of them, far more than there is, in orders whose lines come in any order:
one by one, in batches, and by carts that hold before they order. Meanwhile a process of its own imports orders, as
`malha import olist` does: dozens at once into a gate beside those of the web processes, to be released at once, and
every piece of them twice. What was accepted is compared with what there was, on one and on two web processes.
"""

import asyncio
import http.client
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import msgspec

from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import Grounds, Served, drift, own_ground, served
from malha.identity import service as identity
from malha.intake.gate import Gate
from malha.intake.model import NewOrder, Result
from malha.platform.db import Actor, Database
from malha.platform.errors import MalhaError

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
BUYERS, ROUNDS = 200, 5
IMPORTED, IMPORTED_AT_ONCE = 200, 50
SKU_COUNT, KITS, PLACES, UNITS = 20, 5, 4, 5
CHANNELS = ("web", "race-2", "race-3", "race-4", "race-5")
ATP_SKUS, ATP_PLACES, ATP_ROUNDS = 50, 200, 400
MOST_BUSY = 50
REFUSALS = {"out_of_stock", "not_enough_stock"}
SHIP_TO = {"postal_code": "01310100", "city": "Sao Paulo", "state": "SP", "street": "Av Paulista", "number": "1"}

ADD_CHANNELS = """
INSERT INTO channel (code, name, kind, payment_policy, shortage_policy)
SELECT code, code, 'web', 'settled_by_channel', 'reject' FROM unnest(%(codes)s::text[]) AS w(code)
"""
FILL = """
WITH filled AS (
    INSERT INTO balance (sku_id, location_id, on_hand)
    SELECT v.id, l.id, %(units)s::int FROM variant v CROSS JOIN location l WHERE NOT v.is_kit ORDER BY v.id, l.id
    RETURNING sku_id, location_id, on_hand
)
INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind)
SELECT sku_id, location_id, on_hand, 'initial', 'bench' FROM filled
"""
# A kit is two of one SKU and one of the next but ten.
ADD_KITS = """
WITH made AS (
    INSERT INTO variant (product_id, sku, name, weight_grams, price, is_kit)
    SELECT (SELECT min(id) FROM product), 'KIT' || n, 'Kit ' || n, 500, 4990, true
    FROM generate_series(1, %(kits)s::int) n
    RETURNING id, sku
)
INSERT INTO kit_component (kit_id, component_id, quantity)
SELECT m.id, v.id, CASE WHEN v.sku = 'SKU' || substr(m.sku, 4) THEN 2 ELSE 1 END
FROM made m JOIN variant v ON v.sku IN ('SKU' || substr(m.sku, 4), 'SKU' || (substr(m.sku, 4)::int + 10))
"""
OVERSOLD = """
SELECT coalesce(sum(greatest(allocated + held - on_hand, 0)), 0)::int, coalesce(sum(allocated), 0)::int FROM balance
"""


def _world(
    port: int, web_workers: int, size: tuple[int, int, int], say: Say, grounds: Grounds
) -> AbstractContextManager[Served]:
    return served(port, web_workers, lambda url: _seed(url, *size), say, grounds)


async def _seed(url: str, skus: int, places: int, units: int) -> str:
    async with Database(url, "malha") as db:
        async with db.transaction(ACTOR) as tx:
            await tx.execute(NETWORK, {"locations": places})
            await tx.execute(SKUS, {"skus": skus})
            if skus == SKU_COUNT:
                await tx.execute(ADD_KITS, {"kits": KITS})
            await tx.execute(ADD_CHANNELS, {"codes": list(CHANNELS[1:])})
            await tx.execute(FILL, {"units": units})
            key = await identity.create_key(tx, name="bench", permissions=["intake:submit", "stock:read"])
        async with db.transaction() as tx:
            await tx.execute("ANALYZE")
    return key.secret


# --- races ---


class _Seen:
    """What buyers saw."""

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.refused = 0
        self.busy = 0
        self.errors: list[str] = []
        self.times: list[float] = []

    def take(self, status: int, code: str) -> bool:
        """Count one outcome; tell whether it was accepted."""
        if status < 300:
            self.accepted += 1
            return True
        if code in REFUSALS:
            self.refused += 1
        else:
            self.errors.append(f"{status} {code}")
        return False


def races(port: int, say: Say, buyers: int = BUYERS, grounds: Grounds = own_ground) -> dict[str, Any]:
    """Race on two web processes, then on one; return what was accepted, oversold and wrong, and how long it took."""
    found: dict[str, Any] = {}
    for web_workers, prefix in ((2, ""), (1, "one_process_")):
        with _world(port, web_workers, (SKU_COUNT, PLACES, UNITS), say, grounds) as world:
            say(f"Racing on {web_workers} web process(es)")
            begun = time.perf_counter()
            seen, imported = asyncio.run(_race(world, buyers))
            took = time.perf_counter() - begun
            oversold, sold, drifting = asyncio.run(_after(world.url))
        seen.times.sort()
        found |= {
            f"{prefix}race_units": SKU_COUNT * PLACES * UNITS,
            f"{prefix}race_units_sold": sold,
            f"{prefix}accepted": seen.accepted,
            f"{prefix}refused": seen.refused,
            f"{prefix}imported": imported.accepted,
            f"{prefix}import_refused": imported.refused,
            f"{prefix}import_duplicates": imported.duplicates,
            f"{prefix}oversold": oversold,
            f"{prefix}busy": seen.busy,
            f"{prefix}errors": len(seen.errors) + len(imported.errors),
            f"{prefix}race_s": round(took, 2),
            f"{prefix}race_p99_ms": round(seen.times[int(len(seen.times) * 0.99)] * 1000, 1),
            f"{prefix}race_drift": drifting,
        }
        if seen.errors or imported.errors:
            found[f"{prefix}race_first_error"] = [*seen.errors, *imported.errors][0]
    return found


async def _after(url: str) -> tuple[int, int, int]:
    async with Database(url, "malha") as db, db.transaction() as tx:
        ((oversold, sold),) = await tx.tuples(OVERSOLD)
    return oversold, sold, await drift(url)


async def _race(world: Served, buyers: int) -> tuple[_Seen, _Seen]:
    """Let buyers and an import loose at once; return what each saw."""
    seen, imported = _Seen(), _Seen()
    limits = httpx.Limits(max_connections=buyers, max_keepalive_connections=buyers)
    headers = {"authorization": f"Bearer {world.key}"}
    base = f"http://127.0.0.1:{world.port}"
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=60) as client,
        Database(world.url, "malha") as db,
    ):
        gate = Gate(db)
        await gate.open()
        ways = (_single, _single, _batch, _cart)
        await asyncio.gather(
            *(_buyer(client, n, ways[n % len(ways)], seen) for n in range(buyers)), _import(gate, imported)
        )
        await gate.close()
    return seen, imported


async def _import(gate: Gate, seen: _Seen) -> None:
    """Import orders as the import of a dataset does, every piece of them twice, as after a break."""
    rng = random.Random(IMPORTED)  # noqa: S311 -- the same wishes every time
    wishes = [msgspec.convert(_order(rng, f"past-{n}"), NewOrder) for n in range(IMPORTED)]
    for start in range(0, IMPORTED, IMPORTED_AT_ONCE):
        piece = wishes[start : start + IMPORTED_AT_ONCE]
        for orders in (piece, piece[::-1]):
            for outcome in await asyncio.gather(*(gate.enqueue(order, release_now=True) for order in orders)):
                if isinstance(outcome, MalhaError):
                    seen.take(outcome.status, outcome.code)
                elif outcome.result is Result.DUPLICATE:
                    seen.duplicates += 1
                else:
                    seen.take(201, "")


Way = Callable[[httpx.AsyncClient, random.Random, str, _Seen], Any]


async def _buyer(client: httpx.AsyncClient, number: int, way: Way, seen: _Seen) -> None:
    rng = random.Random(number)  # noqa: S311 -- the same wishes every time
    for turn in range(ROUNDS):
        await way(client, rng, f"{number}-{turn}", seen)


def _order(rng: random.Random, name: str) -> dict[str, Any]:
    wanted = [f"SKU{n}" for n in range(1, SKU_COUNT + 1)] + [f"KIT{n}" for n in range(1, KITS + 1)]
    skus = rng.sample(wanted, rng.randint(1, 3))  # in any order
    lines = [{"sku": sku, "quantity": rng.randint(1, 2), "unit_price": 1990} for sku in skus]
    return {"channel": rng.choice(CHANNELS), "external_id": name, "lines": lines, "ship_to": SHIP_TO}


async def _send(client: httpx.AsyncClient, path: str, body: dict[str, Any] | list[Any], key: str, seen: _Seen) -> Any:
    """Send a request, and again while it is answered `busy`: nothing was done then."""
    while True:
        begun = time.perf_counter()
        answer = await client.post(path, json=body, headers={"idempotency-key": key})
        seen.times.append(time.perf_counter() - begun)
        if answer.status_code != 409 or answer.json().get("code") != "busy" or seen.busy >= MOST_BUSY:
            return answer
        seen.busy += 1


async def _single(client: httpx.AsyncClient, rng: random.Random, name: str, seen: _Seen) -> None:
    answer = await _send(client, "/v1/orders", _order(rng, name), name, seen)
    seen.take(answer.status_code, str(answer.json().get("code")))


async def _batch(client: httpx.AsyncClient, rng: random.Random, name: str, seen: _Seen) -> None:
    orders = [_order(rng, f"{name}-{n}") for n in range(3)]
    answer = await _send(client, "/v1/orders:batch", orders, name, seen)
    if answer.status_code >= 300:
        seen.take(answer.status_code, str(answer.json().get("code")))
        return
    for item in answer.json()["results"]:
        problem = item.get("problem") or {}
        seen.take(int(item.get("status") or problem.get("status") or 500), str(problem.get("code")))


async def _cart(client: httpx.AsyncClient, rng: random.Random, name: str, seen: _Seen) -> None:
    order = _order(rng, name)
    items = [
        {"sku": line["sku"], "location": f"L{rng.randint(1, PLACES)}", "quantity": line["quantity"]}
        for line in order["lines"]
        if line["sku"].startswith("SKU")
    ]
    if items:
        hold = {"reference": f"cart-{name}", "items": items, "channel": order["channel"], "seconds": 300}
        held = await _send(client, "/v1/holds", hold, f"hold-{name}", seen)
        if held.status_code >= 300:
            if str(held.json().get("code")) not in REFUSALS:
                seen.errors.append(f"{held.status_code} {held.json().get('code')}")
            return
        order["hold_reference"] = hold["reference"]
    answer = await _send(client, "/v1/orders", order, name, seen)
    if not seen.take(answer.status_code, str(answer.json().get("code"))) and items:
        await client.post(f"/v1/holds/cart-{name}/release", headers={"idempotency-key": f"release-{name}"})


# --- availability ---


def availability(port: int, say: Say, grounds: Grounds = own_ground) -> dict[str, Any]:
    """Ask what a channel may sell of many SKUs at many locations, one question after the other, over HTTP.

    `atp_p99_ms` is what the server says it took (`Server-Timing`), `atp_seen_p99_ms` what the caller waited.
    """
    with _world(port, 1, (ATP_SKUS, ATP_PLACES, 40), say, grounds) as world:
        say("Asking for availability")
        path = "/v1/availability?channel=web&" + "&".join(f"sku=SKU{n}" for n in range(1, ATP_SKUS + 1))
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
        times, seen = [], []
        for n in range(ATP_ROUNDS + 50):
            begun = time.perf_counter()
            connection.request("GET", path, headers={"authorization": f"Bearer {world.key}"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"availability answered {answer.status}: {said[:300]!r}")
            if n >= 50:
                seen.append((time.perf_counter() - begun) * 1000)
                times.append(float(str(answer.getheader("server-timing")).partition("dur=")[2]))
    times.sort()
    seen.sort()
    return {
        "atp_skus": ATP_SKUS,
        "atp_locations": ATP_PLACES,
        "atp_p50_ms": round(times[len(times) // 2], 2),
        "atp_p99_ms": round(times[int(len(times) * 0.99)], 2),
        "atp_seen_p50_ms": round(seen[len(seen) // 2], 2),
        "atp_seen_p99_ms": round(seen[int(len(seen) * 0.99)], 2),
    }
