"""A ledger of years behind a retailer that is otherwise empty.

Movements are spread evenly over the twelve months before this one and the days of this one, a partition a month, over
as many balances as the largest part of `malha bench stock` has. They come in pairs that cancel each other out, so that
any retailer, with any stock, may stand in front of them and the doctor still finds nothing. Months that are over are
closed as `malha` closes them.

They are written by the server itself, a few connections at once, into tables without indexes that are not logged: a
benchmark's ledger is not kept. Each part finds a schema of its own; the ledger moves from one to the next by catalog
changes alone.
"""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from malha.bench.server import Ground, bench_home, prepare
from malha.inventory import closing
from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres

Say = Callable[[str], None]
SKUS, LOCATIONS = 20_000, 50
MONTHS = 12
RESERVED = timedelta(days=3)  # what a part writes lies after the ledger
WRITERS = 2
AT_ONCE = 1_000_000
BYTES_A_ROW = 190  # with its indexes and closings, and room for sorting
KEPT = 8 << 30  # of the disk, for everybody else
SHELF = "bench_ledger"

MAKE = "CREATE UNLOGGED TABLE {name} (LIKE {parent} INCLUDING DEFAULTS) WITH (autovacuum_enabled = off)"
BOUND = "ALTER TABLE {name} ADD CHECK (recorded_at >= {since} AND recorded_at < {until})"
# Goods come and go, claims are made and given up: both sides of a pair are of one balance and one reference.
FILL = """
INSERT INTO {name} (id, recorded_at, occurred_at, sku_id, location_id, d_on_hand, d_allocated, reason, ref_kind, ref_id,
                    actor)
SELECT {first} + g, m.at, m.at, 1 + m.pair * 7919 %% {skus}, 1 + m.pair %% {locations},
       CASE WHEN m.pair %% 4 = 0 THEN m.sign ELSE 0 END, CASE WHEN m.pair %% 4 = 0 THEN 0 ELSE m.sign END,
       CASE WHEN m.pair %% 4 = 0 THEN 'adjustment' WHEN m.sign > 0 THEN 'order' ELSE 'release' END, 'order',
       lpad(to_hex(m.pair), 32, '0')::uuid, 'system'
FROM generate_series({since_row}::bigint, {until_row}::bigint - 1) g
CROSS JOIN LATERAL (SELECT {since}::timestamptz + g * {step}::interval AS at, ({first} + g) / 2 AS pair,
                           1 - 2 * (({first} + g) %% 2)::int AS sign) m
"""
INDEXES = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'malha.movement'::regclass"
LAST_NUMBER = "SELECT setval(pg_get_serial_sequence('malha.movement', 'id'), %s)"
ATTACH = "ALTER TABLE malha.movement ATTACH PARTITION {name} FOR VALUES FROM ({since}) TO ({until})"
DETACH = "ALTER TABLE malha.movement DETACH PARTITION {name}"
MOVE = "ALTER TABLE {name} SET SCHEMA {schema}"
CLOSINGS = ("movement_closing", "movement_partition")


class Month(msgspec.Struct, frozen=True):
    """A partition: its name, its time, and which rows of the ledger it has."""

    name: str
    since: datetime
    until: datetime
    first: int
    rows: int


def months(rows: int, now: datetime) -> list[Month]:
    """Return the partitions of a ledger of about so many rows that ends some days before now, all rows in pairs."""
    end = datetime(now.year, now.month, now.day, tzinfo=UTC) - RESERVED
    starts = [datetime(now.year, now.month, 1, tzinfo=UTC)]
    for _ in range(MONTHS):
        starts.insert(0, (starts[0] - timedelta(days=1)).replace(day=1))
    spans = [(since, min(until, end)) for since, until in zip(starts, [*starts[1:], end], strict=True) if since < end]
    whole = spans[-1][1] - spans[0][0]
    found: list[Month] = []
    first = 2
    for since, until in spans:
        some = max(round(rows * ((until - since) / whole)) // 2 * 2, 2)
        found.append(Month(f"movement_{since:%Y_%m}", since, until, first, some))
        first += some
    return found


def affordable(rows: int, place: str) -> int:
    """Return how many of these rows the disk has room for."""
    return max(min(rows, (shutil.disk_usage(place).free - KEPT) // BYTES_A_ROW), 0)


class Ledger:
    """A server with a ledger; `ground` gives an empty retailer in front of it, one after the other."""

    def __init__(self, ground: Ground, found: list[Month]) -> None:
        self._home = ground.home
        self._url = ground.url
        self._months = found
        self._stood = True

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        """Give an empty retailer whose ledger this is."""
        if not self._stood:
            self._stand()
        self._stood = False
        yield Ground(self._home, self._url)

    def _stand(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SHELF)))
            with connection.transaction():
                for month in self._months:
                    connection.execute(sql.SQL(DETACH).format(name=sql.Identifier("malha", month.name)))
                _move(connection, [month.name for month in self._months] + list(CLOSINGS), "malha", SHELF)
            connection.execute("DROP SCHEMA malha CASCADE")
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(jobs.SCHEMA)))
        asyncio.run(prepare(self._url))
        with psycopg.connect(self._url, autocommit=True) as connection, connection.transaction():
            for name in CLOSINGS:
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("malha", name)))
            _move(connection, [month.name for month in self._months] + list(CLOSINGS), SHELF, "malha")
            _attach(connection, self._months)


def _move(connection: psycopg.Connection[Any], names: list[str], source: str, to: str) -> None:
    for name in names:
        connection.execute(sql.SQL(MOVE).format(name=sql.Identifier(source, name), schema=sql.Identifier(to)))


def _attach(connection: psycopg.Connection[Any], found: list[Month]) -> None:
    for month in found:
        bounds = {"since": sql.Literal(month.since.isoformat()), "until": sql.Literal(month.until.isoformat())}
        connection.execute(sql.SQL(ATTACH).format(name=sql.Identifier("malha", month.name), **bounds))
    connection.execute(LAST_NUMBER, (found[-1].first + found[-1].rows,))


@contextmanager
def ledger(rows: int, say: Say) -> Iterator[tuple[Ledger, dict[str, Any]]]:
    """Make a ledger of about `rows` rows, or of as many as there is room for; give it and figures about it."""
    with bench_home() as home:
        wanted, rows = rows, affordable(rows, str(home))
        if rows < wanted:
            say(f"The disk has room for {rows:,} rows of ledger, not for {wanted:,}")
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            asyncio.run(prepare(url))
            begun = time.monotonic()
            found = months(rows, datetime.now(UTC))
            _write(url, found, say)
            say("Closing the months that are over")
            asyncio.run(_close(url))
            made = time.monotonic() - begun
            say("Starting the server again: what it keeps of its pages follows its data")
            postgres.stop()
            url = postgres.start()
            figures = {
                "ledger_rows": sum(month.rows for month in found),
                "ledger_rows_wanted": wanted,
                "ledger_partitions": len(found),
                "ledger_made_s": round(made, 1),
                "ledger_shared_buffers_mb": _shared_buffers(url),
            }
            yield Ledger(Ground(home, url), found), figures
        finally:
            postgres.stop()


def _shared_buffers(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_size_bytes(current_setting('shared_buffers')) >> 20").fetchone()
    return int(row[0]) if row else 0


def _write(url: str, found: list[Month], say: Say) -> None:
    """Write the partitions, index them and make them the ledger's."""
    queue = sorted(found, key=lambda month: month.rows)
    all_rows = sum(month.rows for month in found)
    told = threading.Lock()
    done, broken = 0, threading.Event()
    failures: list[BaseException] = []

    def progress(some: int, what: str) -> None:
        nonlocal done
        with told:
            done += some
            say(f"Writing the ledger: {done:,} of {all_rows:,} rows ({what})")

    def work() -> None:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("SET search_path = malha, malha_ext, public")
                connection.execute("SET maintenance_work_mem = '512MB'")
                connection.execute("SET max_parallel_maintenance_workers = 0")
                while not broken.is_set():
                    try:
                        month = queue.pop()
                    except IndexError:
                        return
                    _month(connection, month, progress, broken)
        except BaseException as error:  # noqa: BLE001 -- raised again where the threads are waited for
            failures.append(error)
            broken.set()

    threads = [threading.Thread(target=work) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        broken.set()
    if failures:
        raise failures[0]
    with psycopg.connect(url, autocommit=True) as connection:
        _attach(connection, found)


def _month(
    connection: psycopg.Connection[Any],
    month: Month,
    progress: Callable[[int, str], None],
    broken: threading.Event,
) -> None:
    name = sql.Identifier("malha", month.name)
    times = {"since": sql.Literal(month.since.isoformat()), "until": sql.Literal(month.until.isoformat())}
    connection.execute(sql.SQL(MAKE).format(name=name, parent=sql.Identifier("malha", "movement")))
    step = (month.until - month.since) / month.rows
    for start in range(0, month.rows, AT_ONCE):
        if broken.is_set():
            return
        end = min(start + AT_ONCE, month.rows)
        fill = sql.SQL(FILL.replace("%%", "%")).format(
            name=name,
            first=sql.Literal(month.first),
            since=times["since"],
            since_row=sql.Literal(start),
            until_row=sql.Literal(end),
            step=sql.Literal(f"{step.total_seconds():.9f} seconds"),
            skus=sql.Literal(SKUS),
            locations=sql.Literal(LOCATIONS),
        )
        connection.execute(fill)
        progress(end - start, month.name)
    for (definition,) in connection.execute(INDEXES).fetchall():
        # The parent's own, by another name; attaching makes them parts of it.
        _, _, rest = definition.partition(" USING ")
        connection.execute(sql.SQL("CREATE INDEX ON {} USING ").format(name) + sql.SQL(rest))
        progress(0, f"{month.name} indexed")
    connection.execute(sql.SQL(BOUND).format(name=name, **times))
    connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))


async def _close(url: str) -> None:
    async with Database(url, "malha") as db:
        while True:
            async with db.transaction() as tx:
                if await closing.close_one(tx, await tx.now()) is None:
                    return
