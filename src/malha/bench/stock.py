"""`malha bench stock`: what stock costs, part by part, each on an empty server of its own with production settings.

A part is a function from a size to figures; all figures of a run are one flat object, so that a part added later adds
names and changes none. The quick form is small enough for a check on every change and says so by `rows`; `--full` is
the size that is published, and runs every part twice: the second time a ledger of 100,000,000 rows lies behind it
(`ledger`), and `full_<part>_ratio` says how quick it still is.

Parts:
    snapshot: a snapshot of so many rows, one in twenty changed, over the application's own HTTP interface, beside a
        bare COPY of the same file into an unlogged table over one connection. `snapshot_ratio` is the one by the other.
        Both have been there before: of three COPY the best counts, and the process that serves takes in an earlier
        statement first, in which nothing has changed (`snapshot_first_s`; it loads the reader of files with it).
    deltas: changes reported over HTTP in batches of 500 by a few connections, each with its reference.
    races: last units, many buyers over five channels, by every way orders come in (`stock_race`).
    availability: what a channel may sell of 50 SKUs at 200 locations (`stock_race`).
    push: from the commit of a change to its hand-over to the senders of ten channels (`stock_push`).
    shelves: orders cancelled for stock where records are wrong, without and with safety (`stock_shelves`).
"""

import asyncio
import io
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from malha.bench import stock_push, stock_race, stock_shelves
from malha.bench.ledger import ledger
from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import Grounds, Served, own_ground, served
from malha.bench.server import drift as examined
from malha.identity import service as identity
from malha.inventory.sync import sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import Actor, Database

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
LOCATIONS = 50
CHANGED = 20  # one row in so many
BATCH = 500
SENDERS = 4
PIECE = 1 << 18

# Balances with the ledger rows they are the sum of, as COPY would: what is measured comes after.
FILL = """
WITH filled AS (
    INSERT INTO balance (sku_id, location_id, on_hand)
    SELECT v.id, l.id, (v.id * 7 + l.id) %% 90 + 1 FROM variant v CROSS JOIN location l ORDER BY v.id, l.id
    RETURNING sku_id, location_id, on_hand
)
INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind, occurred_at, recorded_at)
SELECT sku_id, location_id, on_hand, 'initial', 'bench', now() - interval '2 days', now() - interval '2 days'
FROM filled
"""
BARE = "CREATE UNLOGGED TABLE bench_bare_{n} (sku text, location text, on_hand text)"


class Size(msgspec.Struct, frozen=True):
    """How much of everything; with `ledger_rows` all parts run again in front of a ledger of so many."""

    rows: int
    seconds: float
    full: bool
    ledger_rows: int = 0


QUICK = Size(100_000, 3.0, full=False)
FULL = Size(1_000_000, 15.0, full=True, ledger_rows=100_000_000)


class Round(msgspec.Struct, frozen=True):
    """What a part is run with."""

    size: Size
    port: int
    say: Say
    grounds: Grounds


# What is the same work in both rounds, as a rate or as a cost. The ratio of the large ledger to the small one is good
# when it is 1, and less when years of movements cost something.
RATES = {"deltas": "deltas_per_s"}
COSTS = {
    "races": "race_s",
    "snapshot": "snapshot_ratio",
    "availability": "atp_p50_ms",
    "push": "commit_to_send_p50_ms",
}


def run(size: Size, only: Sequence[str], port: int, say: Say) -> dict[str, Any]:
    """Run the parts that are wanted (all without a wish); return their figures.

    With a ledger, each runs again in front of it at once afterwards, so that both meet the same machine: `large_`
    stands before those figures, and `full_<part>_ratio` is how the two compare.

    Raises:
        KeyError: there is no part of that name.
    """
    wanted = [name.strip() for name in only if name.strip()] or list(PARTS)
    found: dict[str, Any] = {"full": size.full, "parts": ",".join(wanted)}
    if not size.ledger_rows:
        for name in wanted:
            found |= PARTS[name](Round(size, port, say, own_ground))
        return found
    with ledger(size.ledger_rows, say) as (behind, figures):
        found |= figures
        for name in wanted:
            small = PARTS[name](Round(size, port, say, own_ground))
            if name not in RATES | COSTS:  # a simulation: it counts, and takes as long as it takes
                found |= small
                continue
            say(f"Again with {figures['ledger_rows']:,} rows of ledger: {name}")
            large = PARTS[name](Round(size, port, say, behind.ground))
            found |= small | {f"large_{key}": figure for key, figure in large.items()}
            ratio = found[f"full_{name}_ratio"] = compared(name, small, large)
            say(f"{name}: {ratio}, from {small} to {large}")  # at once: so long a run may be interrupted
    return found


def compared(name: str, small: dict[str, Any], large: dict[str, Any]) -> float:
    """Return how quick a part is with the large ledger, as a share of how quick it is with the small one."""
    if name in RATES:
        return round(float(large[RATES[name]] / small[RATES[name]]), 2)
    return round(float(small[COSTS[name]] / large[COSTS[name]]), 2)


def _world(rows: int, web_workers: int, of: Round) -> AbstractContextManager[Served]:
    return served(of.port, web_workers, lambda url: _seeded(url, rows), of.say, of.grounds)


async def _seeded(url: str, rows: int) -> str:
    async with Database(url, "malha") as db, db.transaction(ACTOR) as tx:
        await tx.execute(NETWORK, {"locations": LOCATIONS})
        await tx.execute(SKUS, {"skus": -(-rows // LOCATIONS)})
        await tx.execute(FILL, {})
        places = [f"L{n}" for n in range(1, LOCATIONS + 1)]
        await sources.add_source(tx, SourceDraft(code="ERP", name="ERP", truth=places))
        key = await identity.create_key(tx, name="bench", permissions=["stock:read", "stock:write"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE, FREEZE) malha.balance, malha.movement_default, malha.variant")
        connection.execute("CHECKPOINT")
    return key.secret


def _file(rows: int, changed: random.Random | None) -> bytes:
    """Return a snapshot of all balances, one row in `CHANGED` with another number; none without `changed`."""
    out = io.StringIO()
    out.write("sku;location;on_hand\n")
    for n in range(rows):
        sku, place = n // LOCATIONS + 1, n % LOCATIONS + 1
        units = (sku * 7 + place) % 90 + 1 + (changed is not None and changed.randrange(CHANGED) == 0)
        out.write(f"SKU{sku};L{place};{units}\n")
    return out.getvalue().encode()


def snapshot(of: Round) -> dict[str, Any]:
    """Measure a snapshot, from the first byte sent to the last ledger row, beside a bare COPY of its file."""
    rows = of.size.rows // LOCATIONS * LOCATIONS
    with _world(rows, 1, of) as world:
        file = _file(rows, random.Random(1))  # noqa: S311 -- the same file every time
        bare = min(_bare(world.url, file, n) for n in range(3))
        of.say("Sending a snapshot in which nothing has changed")
        first = _sent(world, _file(rows, None), seq=1)
        of.say("Sending the snapshot")
        sent = _sent(world, file, seq=2)
        standing, answered, took = sent.standing, sent.answered_s, sent.took_s
        of.say("Examining")
        drift = asyncio.run(examined(world.url))
        return {
            "snapshot_rows": rows,
            "snapshot_changed": standing["changed"],
            "snapshot_state": standing["state"],
            "snapshot_file_mb": round(len(file) / (1 << 20), 1),
            "snapshot_bare_copy_s": round(bare, 3),
            "snapshot_first_s": round(first.took_s, 3),
            "snapshot_accepted_s": round(answered, 3),
            "snapshot_s": round(took, 3),
            "snapshot_ratio": round(took / bare, 2),
            "snapshot_accepted_ratio": round(answered / bare, 2),
            "snapshot_drift": drift,
        }


def _bare(url: str, file: bytes, n: int) -> float:
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(BARE.format(n=n))
        begun = time.perf_counter()
        with cursor.copy(f"COPY bench_bare_{n} FROM STDIN (FORMAT csv, DELIMITER ';', HEADER)") as copy:
            for start in range(0, len(file), PIECE):
                copy.write(file[start : start + PIECE])
        return time.perf_counter() - begun


class _Sent(msgspec.Struct, frozen=True):
    """A snapshot that was sent: how it stands, and the seconds until it was accepted and until it was applied."""

    standing: dict[str, Any]
    answered_s: float
    took_s: float


def _sent(world: Served, file: bytes, seq: int) -> _Sent:
    """Send a snapshot of an hour ago, a later one with each `seq`, and wait until it is applied."""
    as_of = (datetime.now(UTC) - timedelta(minutes=60 - seq)).isoformat().replace("+00:00", "Z")
    path = f"/v1/stock/snapshots?source=ERP&seq={seq}&as_of={as_of}&covers=whole"
    begun = time.perf_counter()
    standing = answer = _ask(world, "PUT", path, file, "text/csv")
    answered = time.perf_counter() - begun
    while standing["state"] == "applying":
        time.sleep(0.02)
        standing = _get(world, f"/v1/stock/snapshots/{answer['id']}")
    return _Sent(standing, answered, time.perf_counter() - begun)


def _get(world: Served, path: str) -> dict[str, Any]:
    return _ask(world, "GET", path, None, "application/json")


def _ask(world: Served, method: str, path: str, body: bytes | None, media_type: str) -> dict[str, Any]:
    import http.client  # noqa: PLC0415 -- only here

    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=600)
    headers = {"authorization": f"Bearer {world.key}", "content-type": media_type}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {said[:500]!r}")
    found: dict[str, Any] = msgspec.json.decode(said)
    return found


def deltas(of: Round) -> dict[str, Any]:
    """Measure changes a second over HTTP: batches of `BATCH` from `SENDERS` connections for some seconds."""
    with _world(100_000, 2, of) as world:
        of.say("Reporting changes")
        context = multiprocessing.get_context("spawn")
        with context.Pool(SENDERS) as pool:
            wanted = [(of.port, world.key, n, of.size.seconds) for n in range(SENDERS)]
            sent = pool.starmap(_report, wanted)
        drift = asyncio.run(examined(world.url))
        rows = sum(done for done, _took, _worst in sent)
        return {
            "deltas_batch": BATCH,
            "deltas_connections": SENDERS,
            "deltas_rows": rows,
            "deltas_per_s": round(rows / max(took for _done, took, _worst in sent)),
            "deltas_slowest_batch_ms": round(max(worst for _done, _took, worst in sent) * 1000),
            "deltas_drift": drift,
        }


def _report(port: int, key: str, sender: int, seconds: float) -> tuple[int, float, float]:
    """Send batches until the time is over; return rows applied, seconds, and the slowest batch."""
    import http.client  # noqa: PLC0415 -- in its own process

    rnd = random.Random(sender)  # noqa: S311 -- the same changes every time
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    batches = []
    for n in range(40):
        rows = [
            {
                "ref": f"{sender}-{n}-{i}-XXXXXXXX",
                "sku": f"SKU{rnd.randrange(2_000) + 1}",
                "location": f"L{rnd.randrange(LOCATIONS) + 1}",
                "delta": rnd.choice([-1, 1, 2]),
                "reason": "adjustment",
                "document": f"NF {n}",
            }
            for i in range(BATCH)
        ]
        batches.append(json.dumps({"source": "ERP", "rows": rows}))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    done, worst, sent = 0, 0.0, 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        body = batches[sent % len(batches)].replace("XXXXXXXX", str(sent))
        sent += 1
        at = time.perf_counter()
        connection.request("POST", "/v1/stock/deltas", body, headers)
        answer = connection.getresponse()
        said = msgspec.json.decode(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"deltas answered {answer.status}: {said}")
        worst = max(worst, time.perf_counter() - at)
        done += said["applied"]
    return done, time.perf_counter() - begun, worst


def races(of: Round) -> dict[str, Any]:
    """Measure the race for last units."""
    return stock_race.races(of.port, of.say, grounds=of.grounds)


def availability(of: Round) -> dict[str, Any]:
    """Measure questions about what a channel may sell."""
    return stock_race.availability(of.port, of.say, of.grounds)


def push(of: Round) -> dict[str, Any]:
    """Measure how long a change takes to the senders of channels."""
    return stock_push.push(of.size.seconds, of.say, of.grounds)


def shelves(of: Round) -> dict[str, Any]:
    """Simulate shops whose records are wrong."""
    return stock_shelves.shelves(stock_shelves.FULL if of.size.full else stock_shelves.QUICK, of.say)


PARTS: dict[str, Callable[[Round], dict[str, Any]]] = {
    "races": races,
    "snapshot": snapshot,
    "deltas": deltas,
    "availability": availability,
    "push": push,
    "shelves": shelves,
}
