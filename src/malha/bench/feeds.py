"""`malha bench feeds`: a channel's whole catalogue as a file, and what changed in it, in constant memory.

The way a worker's job goes: pages read, what may be sold worked out as intake would, rows mapped and checked, packed
and kept with all that is counted. On a server of its own with production settings. Memory is that of the working
process alone; the catalogue is made in the same process before, by COPY, and let go of.
"""

import asyncio
import gc
import time
import zlib
from collections.abc import Callable, Iterator

import msgspec

from malha.bench.imports import rss_mb
from malha.bench.seed import NETWORK
from malha.bench.server import bench_database
from malha.channels.feeds import building, reads, service
from malha.channels.feeds.model import Build, BuildKind, FeedDraft
from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.migrate import migrate
from malha.platform.signing import Keys

QUICK, FULL = 20_000, 1_000_000
LOCATIONS = 3
CODE = "bench"
KEYS = Keys(b"b" * 32)
_AT_ONCE = 50_000

Say = Callable[[str], None]


class FeedsReport(msgspec.Struct, frozen=True):
    """What `malha bench feeds --json` prints. Memory in megabytes: before, and the most while building.

    `feed_changes_s` is the whole build of changes after one listing in a hundred got another price or other stock.
    `feed_wrong` counts rows that are not in the file as they should be: it must be 0.
    """

    feed_listings: int
    feed_rows: int
    feed_rows_per_s: int
    feed_s: float
    feed_mb: float
    feed_packed_mb: float
    feed_before_mb: float
    feed_peak_mb: float
    feed_growth_mb: float
    feed_changes_looked: int
    feed_changes_rows: int
    feed_changes_s: float
    feed_wrong: int


def measure(listings: int, say: Say) -> FeedsReport:
    """Build a feed of so many listings, and say how quick that was and what it took."""
    with bench_database() as url:
        return asyncio.run(_measure(url, listings, say))


async def _measure(url: str, listings: int, say: Say) -> FeedsReport:
    await migrate(url, "malha")
    await jobs.install(url)
    async with Database(url, "malha", min_size=2, max_size=4) as db:
        say("Making the catalogue")
        await _fill(db, listings)
        async with db.transaction() as tx:
            plan = service.usual_plan("google_products", "BRL")
            mapping = [
                msgspec.structs.replace(m, value=m.value.replace("{website}", "https://shop.example"))
                for m in plan.mapping
            ]
            plan = msgspec.structs.replace(plan, mapping=mapping)
            draft = FeedDraft(name="Bench", channel="web", plan=plan, full_minutes=1440, changes_minutes=60)
            await service.put_feed(tx, CODE, draft, 0, KEYS)
        gc.collect()
        before = rss_mb()
        full, seconds, peak = await _build(db, BuildKind.FULL, say)
        say("Changing one listing in a hundred")
        async with db.transaction() as tx:
            await tx.execute(_NEW_PRICES)
            await tx.execute(_NEW_STOCK)
        changes, quick, peak_changes = await _build(db, BuildKind.CHANGES, say)
        wrong = listings - full.rows + abs(changes.rows - -(-listings // 100)) + await _unsound(db, full)
        most = max(peak, peak_changes)
        return FeedsReport(
            feed_listings=listings,
            feed_rows=full.rows,
            feed_rows_per_s=round(full.rows / seconds),
            feed_s=round(seconds, 1),
            feed_mb=round(full.size / (1 << 20), 1),
            feed_packed_mb=round(full.packed / (1 << 20), 1),
            feed_before_mb=round(before, 1),
            feed_peak_mb=round(most, 1),
            feed_growth_mb=round(most - before, 1),
            feed_changes_looked=changes.looked,
            feed_changes_rows=changes.rows,
            feed_changes_s=round(quick, 2),
            feed_wrong=wrong,
        )


async def _build(db: Database, kind: BuildKind, say: Say) -> tuple[Build, float, float]:
    """Build as the worker's job does; return the build, the seconds and the most memory meanwhile."""
    async with db.transaction() as tx:
        begun = await service.start_build(tx, CODE, kind)
    if begun is None:
        raise RuntimeError("the feed is being built")
    at = time.perf_counter()
    most = rss_mb()
    job = asyncio.ensure_future(building.build.work(db, build_id=str(begun.id)))
    while not job.done():
        await asyncio.wait([job], timeout=0.2)
        most = max(most, rss_mb())
        async with db.transaction() as tx:
            now = await reads.build(tx, begun.id) or begun
        said = f"{now.looked:,} listings, {now.looked / (time.perf_counter() - at):,.0f} a second, {rss_mb():.0f} MB"
        say(f"Building {'all rows' if kind is BuildKind.FULL else 'changes'}: {said}")
    await job
    seconds = time.perf_counter() - at
    async with db.transaction() as tx:
        done = await reads.build(tx, begun.id) or begun
    return done, seconds, most


async def _unsound(db: Database, build: Build) -> int:
    """Return by how many lines a file read back by another program differs from what its build counted."""
    reader = _Reader()
    async for piece in reads.packed_parts(db, build.id):
        reader.take(piece)
    return abs(reader.lines - build.rows - 1)


class _Reader:
    """Counts lines of a gzip file as its pieces come."""

    def __init__(self) -> None:
        self.lines = 0
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def take(self, piece: bytes) -> None:
        self.lines += self._inflate.decompress(piece).count(b"\n")


# --- the catalogue ---

_PRODUCTS = "COPY product (id, code, name, description, brand, attributes) FROM STDIN"
_VARIANTS = "COPY variant (id, product_id, sku, name, gtin, weight_grams, price) FROM STDIN"
_MEDIA = "COPY media (product_id, url) FROM STDIN"
_LISTINGS = "COPY listing (channel_id, sku_id, code) FROM STDIN"
_BALANCES = "COPY balance (sku_id, location_id, on_hand) FROM STDIN"
_NEW_PRICES = "UPDATE variant SET price = price + 100, version = version + 1 WHERE mod(id, 200) = 1"
# As a subscriber notes it: what a cancelled order or a count does to availability is in `test_feeds`.
_NEW_STOCK = """
WITH emptied AS (
    UPDATE balance SET on_hand = 0 WHERE mod(sku_id, 200) = 101 RETURNING sku_id
)
INSERT INTO stock_change (sku_id, version, changed_at)
SELECT DISTINCT sku_id, 1000000, now() FROM emptied
"""
_ADVANCE = """
SELECT setval(pg_get_serial_sequence('product', 'id'), %(n)s::int), setval(pg_get_serial_sequence('variant', 'id'),
       %(n)s::int)
"""


async def _fill(db: Database, listings: int) -> None:
    async with db.transaction() as tx:
        await tx.execute(NETWORK, {"locations": LOCATIONS})
    for first in range(1, listings + 1, _AT_ONCE):
        last = min(first + _AT_ONCE, listings + 1)
        async with db.transaction() as tx:
            ids = range(first, last)
            await tx.copy(_PRODUCTS, (_product(n) for n in ids))
            await tx.copy(_VARIANTS, (_variant(n) for n in ids))
            await tx.copy(_MEDIA, ((n, f"https://img.example/{n}-{k}.jpg") for n in ids for k in range(3)))
            await tx.copy(_LISTINGS, ((1, n, f"SKU-{n:07d}") for n in ids))
            await tx.copy(_BALANCES, _balances(ids))
    async with db.transaction() as tx:
        await tx.execute(_ADVANCE, {"n": listings})
        await tx.execute("ANALYZE")


def _product(n: int) -> tuple[object, ...]:
    words = "Fabric that keeps its shape, washed before it is cut, with seams that hold. " * 4
    return n, f"P{n}", f"Product {n}", f"{words}Number {n}.", f"Brand {n % 200}", '{"material": "cotton"}'


def _variant(n: int) -> tuple[object, ...]:
    base = f"789{n:09d}"
    check = -sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(base)) % 10
    return n, n, f"SKU-{n:07d}", f"Product {n} blue M", f"{base}{check}", 100 + n % 2000, 1_990 + n % 50_000


def _balances(ids: range) -> Iterator[tuple[int, int, int]]:
    return ((n, location, (n + location) % 40) for n in ids for location in range(1, LOCATIONS + 1))
