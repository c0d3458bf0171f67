"""`malha bench promise-page`: what a product page waits for its promise, over HTTP, while stock moves.

A retailer of 200 locations and 2,000 SKUs on `malha serve`; wrk asks over 64 connections for SKUs by a Zipf law and
postal codes of ten states, while a process of its own changes stock, a thousand balances a second if the machine can.
Each answer says what it cost the server (`Server-Timing`) and how it was come by; wrk reads that from each.

Callers who wait for their answers saturate a server: that says how many answers it can give, and little of how long one
takes. So it is asked again at a quarter, half and three quarters of that many, at fixed instants (`bench.offered`).

Two things show whether an answer is ever older than it says. Some SKUs are there and gone again at known instants: an
answer must fit a stretch that lies between its `as_of` and its arrival. And when all is still, answers are compared
with those of `POST /v1/promises`, which reads everything anew.
"""

import asyncio
import http.client
import json
import multiprocessing
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from malha.bench.load import LoadMissing
from malha.bench.offered import PATIENCE_S, Offered, offer
from malha.bench.seed import seed
from malha.bench.server import Server, bench_home
from malha.identity import service as identity
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.migrate import migrate

LOCATIONS, SKUS, UNITS = 200, 2_000, 3
WATCHED = 8  # SKUs that come and go at known instants
AT_ONCE = 50  # balances in one change
STILL = 300  # answers compared when all is still
GOAL_MS = 5.0
SHARES = (25, 50, 75)  # of what saturates the server, in percent
CODES = (
    "01310100", "20040002", "30130010", "40015080", "50030230",
    "60025001", "80010010", "90010001", "74003010", "69005141",
)  # fmt: skip

Say = Callable[[str], None]
BUCKETS = (0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 50, 100, 200, 500, 1e9)

SCRIPT = """
local skus, total = {skus}, 0
local sums = {{}}
local codes = {{ {codes} }}
local bounds = {{ {bounds} }}
function setup(thread) all = thread end
function init(args)
  math.randomseed({seed})
  for n = 1, skus do total = total + 1 / n; sums[n] = total end
  headers = {{ ["Authorization"] = "Bearer {key}" }}
  counts, kept, planned, read, asked, failed = {{}}, 0, 0, 0, 0, 0
  slow_kept, slow_planned, slow_read, slow_asked = 0, 0, 0, 0
  for n = 1, #bounds do counts[n] = 0 end
end
local function zipf()
  local at, low, high = math.random() * total, 1, skus
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] < at then low = middle + 1 else high = middle end
  end
  return low
end
function request()
  return wrk.format("GET", string.format("/v1/promises?channel=web&sku=SKU%d&postal_code=%s", zipf(),
    codes[math.random(1, #codes)]), headers)
end
function response(status, heads, body)
  local said = heads["server-timing"] or heads["Server-Timing"]
  if status ~= 200 or said == nil then failed = failed + 1; return end
  local by, took = string.match(said, 'desc="(%a+)";dur=([%d.]+)')
  took = tonumber(took)
  if by == "kept" then kept = kept + 1 elseif by == "planned" then planned = planned + 1
  elseif by == "read" then read = read + 1 else asked = asked + 1 end
  for n = 1, #bounds do if took <= bounds[n] then counts[n] = counts[n] + 1; break end end
  if took > {goal} then
    if by == "kept" then slow_kept = slow_kept + 1 elseif by == "planned" then slow_planned = slow_planned + 1
    elseif by == "read" then slow_read = slow_read + 1 else slow_asked = slow_asked + 1 end
  end
end
function done(summary, latency, requests)
  local said = {{}}
  local found = all:get("counts")
  for n = 1, #bounds do said[n] = tostring(found[n] or 0) end
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d %d %d %d %d %s\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), all:get("kept"), all:get("planned"), all:get("read"),
    all:get("asked"), all:get("failed"), all:get("slow_kept"), all:get("slow_planned"), all:get("slow_read"),
    all:get("slow_asked"), table.concat(said, ",")))
end
"""


class PageReport(msgspec.Struct, frozen=True):
    """What `malha bench promise-page --json` prints. Times in milliseconds."""

    per_s: float
    server_p50_ms: float  # at most: the bound of the bucket it lies in
    server_p99_ms: float
    server_below_5ms: float  # share
    seen_p50_ms: float  # by the client, its queue included
    seen_p99_ms: float
    hit_rate: float  # kept answers, whose stock was young enough or read again in time
    planned: int
    read: int
    failed: int
    slow: dict[str, int]  # answers above 5 ms, by how they were come by; "read" waited for stock
    changes_per_s: float
    watched: int
    stale: int  # answers that fit no stretch since their `as_of`
    oldest_ms: float  # of `as_of`, among the watched
    compared: int
    differ: int  # from a fresh computation when all was still
    locations: int
    skus: int
    connections: int
    web_workers: int
    seconds: int
    offered: dict[str, float]  # see `_offered`

    def figures(self) -> dict[str, object]:
        """Return all of it by name, what was offered beside the rest."""
        found: dict[str, object] = msgspec.structs.asdict(self)
        del found["offered"]
        return found | self.offered


def run(*, seconds: int, connections: int, web_workers: int, port: int, changes: int, say: Say) -> PageReport:
    """Measure product pages. Needs wrk.

    Raises:
        LoadMissing: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise LoadMissing("The benchmark needs wrk. Install it: apt-get install wrk")
    with bench_home() as home:
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            say(f"Writing {SKUS} SKUs at {LOCATIONS} locations")
            key = asyncio.run(_prepare(url))
            server = Server(home, port, web_workers, url)
            try:
                server.wait()
                say("Warming up")
                _load(server.base, key, home, seconds=max(3, seconds // 2), connections=connections)
                world = _World(url, server, key, home)
                report = _measure(world, seconds, connections, web_workers, changes, say)
                offered = _offered(world, report.per_s, seconds, connections, changes, say)
                return msgspec.structs.replace(report, offered=offered)
            finally:
                server.stop()
        finally:
            postgres.stop()


class _World(NamedTuple):
    url: str
    server: Server
    key: str
    home: Path


def _measure(world: _World, seconds: int, connections: int, web_workers: int, changes: int, say: Say) -> PageReport:
    url, server, key, home = world
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        for ready in [pool.apply_async(_ready) for _ in range(2)]:
            ready.get(120)
        say("Asking while stock moves")
        until = time.time() + seconds
        moved = pool.apply_async(_move, (url, changes, until))
        watched = pool.apply_async(_watch, (url, server.port, key, until))
        result = _load(server.base, key, home, seconds=seconds, connections=connections)
        done, stretch = moved.get(seconds + 60)
        answers, stale, oldest = watched.get(seconds + 60)
    say("Comparing with what is worked out anew")
    time.sleep(3)
    compared, differ = _compare(server.port, key)
    requests, micros, p50, p99, kept, planned, read, asked, failed, *slow, counts = result
    return PageReport(
        per_s=round(requests / (micros / 1e6), 1),
        server_p50_ms=_percentile(counts, 0.50),
        server_p99_ms=_percentile(counts, 0.99),
        server_below_5ms=round(
            sum(n for n, bound in zip(counts, BUCKETS, strict=True) if bound <= GOAL_MS) / max(1, sum(counts)), 5
        ),
        seen_p50_ms=round(p50 / 1e3, 2),
        seen_p99_ms=round(p99 / 1e3, 2),
        hit_rate=round(kept / max(1, kept + planned + read + asked), 4),
        planned=planned,
        read=read,
        failed=failed,
        slow=dict(zip(("kept", "planned", "read", "asked"), slow, strict=True)),
        changes_per_s=round(done / stretch, 1),
        watched=answers,
        stale=stale,
        oldest_ms=round(oldest * 1e3, 1),
        compared=compared,
        differ=differ,
        locations=LOCATIONS,
        skus=SKUS,
        connections=connections,
        web_workers=web_workers,
        seconds=seconds,
        offered={},
    )


def _offered(
    world: _World, saturation: float, seconds: int, connections: int, changes: int, say: Say
) -> dict[str, float]:
    """Ask at shares of what saturated the server, by an open loop, while stock moves as before; see `bench.offered`.

    `offered_50_...` is half of it: what was answered a second, how much of it below 5 ms by the server's own count and
    as the caller saw it (from the instant a request was due), percentiles of both, and how late requests left.
    """
    found: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        for ready in [pool.apply_async(_ready) for _ in range(2)]:
            ready.get(120)
        for share in SHARES:
            rate = saturation * share / 100
            say(f"Asking {rate:,.0f} times a second while stock moves")
            moved = pool.apply_async(_move, (world.url, changes, time.time() + seconds))
            asked = pool.apply_async(_offer, (world.server.port, world.key, rate, seconds, connections))
            load = asked.get(seconds + 2 * PATIENCE_S)
            moved.get(seconds + 60)
            found |= {
                f"offered_{share}_{name}": figure
                for name, figure in (
                    ("per_s", round(load.per_s, 1)),
                    ("below_5ms", round(load.share("server", GOAL_MS), 5)),
                    ("p50_ms", round(load.at("server", 0.5), 2)),
                    ("p99_ms", round(load.at("server", 0.99), 2)),
                    ("seen_below_5ms", round(load.share("seen", GOAL_MS), 5)),
                    ("seen_p50_ms", round(load.at("seen", 0.5), 2)),
                    ("seen_p99_ms", round(load.at("seen", 0.99), 2)),
                    ("late_p99_ms", round(load.at("late", 0.99), 2)),
                    ("failed", load.failed),
                )
            }
    return found


def _offer(port: int, key: str, rate: float, seconds: float, connections: int) -> Offered:
    dice = random.Random(11)  # noqa: S311 - a load, no secret
    weights = [1 / n for n in range(1, SKUS + 1)]
    skus = iter(dice.choices(range(1, SKUS + 1), weights, k=round(rate * seconds) + connections))

    def request() -> bytes:
        asked = f"channel=web&sku=SKU{next(skus)}&postal_code={dice.choice(CODES)}"
        return f"GET /v1/promises?{asked} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n\r\n".encode()

    return asyncio.run(offer(port, request, rate=rate, seconds=seconds, connections=connections))


def _ready() -> None:
    """Be there: a process of its own takes seconds to begin on a busy machine."""
    time.sleep(0.5)  # the other one has the second question


def _percentile(counts: list[int], share: float) -> float:
    """Return the upper bound of the bucket a percentile lies in."""
    left = share * sum(counts)
    for n, bound in zip(counts, BUCKETS, strict=True):
        left -= n
        if left <= 0:
            return float(bound)
    return float(BUCKETS[-1])


def _load(base: str, key: str, work: Path, *, seconds: int, connections: int) -> tuple[Any, ...]:
    script = work / "pages.lua"
    script.write_text(
        SCRIPT.format(
            skus=SKUS,
            codes=", ".join(f'"{code}"' for code in CODES),
            bounds=", ".join(str(bound) for bound in BUCKETS),
            seed=seconds,
            goal=GOAL_MS,
            key=key,
        )
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), base]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own arguments
    found = re.search(r"RESULT (.+) (\S+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return (*map(int, found[1].split()), [int(n) for n in found[2].split(",")])


async def _prepare(url: str) -> str:
    await migrate(url, "malha")
    async with Database(url, "malha") as db:
        await seed(db, skus=SKUS + WATCHED, locations=LOCATIONS, units=UNITS)
        async with db.transaction() as tx:
            await tx.execute("UPDATE location SET can_pickup = true")
            made = await identity.create_key(tx, name="pages", permissions=["stock:read"])
        for n in range(WATCHED):
            await _set(db, SKUS + 1 + n, 0, range(1, LOCATIONS + 1))
    return made.secret


async def _set(db: Database, sku: int, units: int, places: range) -> None:
    async with db.transaction() as tx:
        goods = [Claim(sku, place, units) for place in places]
        await inventory.set_on_hand(tx, goods, Reference("bench"), Reason.COUNT)


def _move(url: str, changes: int, until: float) -> tuple[int, float]:
    """Change stock of SKUs by the law they are asked by; return how many balances, in how many seconds."""
    return asyncio.run(_moving(url, changes, until))


async def _moving(url: str, changes: int, until: float) -> tuple[int, float]:
    dice = random.Random(7)  # noqa: S311 - a load, no secret
    weights = [1 / n for n in range(1, SKUS + 1)]
    done, began = 0, time.time()
    async with Database(url, "malha", min_size=1, max_size=2) as db:
        while (now := time.time()) < until:
            skus = dice.choices(range(1, SKUS + 1), weights, k=AT_ONCE)
            goods = {(sku, dice.randint(1, LOCATIONS)): dice.choice((0, 1, 2, 3)) for sku in skus}
            async with db.transaction() as tx:
                claims = [Claim(*pair, units) for pair, units in sorted(goods.items())]
                await inventory.set_on_hand(tx, claims, Reference("bench"), Reason.COUNT)
            done += len(goods)
            await asyncio.sleep(max(0.0, began + done / changes - now))
    return done, time.time() - began


def _watch(url: str, port: int, key: str, until: float) -> tuple[int, int, float]:
    """Let SKUs come and go and look at them; return answers, those that fit no stretch since `as_of`, the oldest."""
    return asyncio.run(_watching(url, port, key, until))


async def _watching(url: str, port: int, key: str, until: float) -> tuple[int, int, float]:
    first = datetime.now(UTC)
    changes: dict[int, list[tuple[datetime, datetime, bool]]] = {n: [(first, first, False)] for n in range(WATCHED)}
    answers: list[tuple[int, datetime, datetime, bool]] = []

    async def come_and_go(n: int, db: Database) -> None:
        dice = random.Random(n)  # noqa: S311 - a load, no secret
        there = False
        while time.time() < until:
            await asyncio.sleep(dice.uniform(0.2, 1.5))
            there, began = not there, datetime.now(UTC)
            await _set(db, SKUS + 1 + n, 5 if there else 0, range(1, 2))
            changes[n].append((began, datetime.now(UTC), there))

    def look() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        dice = random.Random(99)  # noqa: S311 - a load, no secret
        while time.time() < until:
            n = dice.randrange(WATCHED)
            found = _get(connection, key, f"SKU{SKUS + 1 + n}", dice.choice(CODES))
            seen = bool(found["items"][0]["deliveries"])
            answers.append((n, datetime.fromisoformat(found["as_of"]), datetime.now(UTC), seen))
            time.sleep(0.002)
        connection.close()

    async with Database(url, "malha", min_size=1, max_size=WATCHED) as db:
        await asyncio.gather(asyncio.to_thread(look), *(come_and_go(n, db) for n in range(WATCHED)))
    stale = sum(not _fits(changes[n], since, at, seen) for n, since, at, seen in answers)
    oldest = max((at - since for _, since, at, _ in answers), default=timedelta())
    return len(answers), stale, oldest.total_seconds()


def _fits(changes: list[tuple[datetime, datetime, bool]], since: datetime, until: datetime, seen: bool) -> bool:
    """Return whether goods were there, or gone, as was seen, at any instant between two.

    What was so at the first instant is the last change that was done by then; changes under way count both ways.
    """
    before = [there for _, done, there in changes if done <= since]
    possible = {before[-1] if before else changes[0][2]}
    possible |= {there for began, done, there in changes if done >= since and began <= until}
    return seen in possible


def _get(connection: http.client.HTTPConnection, key: str, sku: str, code: str) -> dict[str, Any]:
    asked = urlencode({"channel": "web", "sku": sku, "postal_code": code})
    connection.request("GET", f"/v1/promises?{asked}", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body.decode()[:300]}")
    found: dict[str, Any] = json.loads(body)
    return found


def _compare(port: int, key: str) -> tuple[int, int]:
    """Compare answers with fresh ones, now that nothing moves; return how many, and how many differ."""
    dice = random.Random(5)  # noqa: S311 - a load, no secret
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    heads = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    differ = 0
    for _ in range(STILL):
        sku, code = f"SKU{dice.randint(1, SKUS + WATCHED)}", dice.choice(CODES)
        while datetime.now(UTC).second > 57:  # a minute that passes between the two is no difference
            time.sleep(0.5)
        [item] = _get(connection, key, sku, code)["items"]
        body = {"channel": "web", "postal_code": code, "lines": [{"sku": sku, "quantity": 1}]}
        connection.request("POST", "/v1/promises", json.dumps(body), heads)
        fresh = json.loads(connection.getresponse().read())
        for place in fresh["collections"]:
            place.pop("slots", None)  # of which a page says nothing
        differ += item != {"sku": sku} | fresh
    connection.close()
    return STILL, differ
