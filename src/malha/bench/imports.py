"""`malha bench imports`: a very large table, uploaded, checked, applied and taken out again, in constant memory.

The whole way on a server of its own with production settings: the file goes into the database in pieces as it is made,
one worker's job reads it, and each chunk is a transaction. Then the same rows leave as CSV and as XLSX, in pieces as
they are read. Memory is that of the working process alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import bench_database
from malha.doctor import examine
from malha.exchange import kinds, reads, service
from malha.exchange.model import Kind, Run
from malha.platform import jobs
from malha.platform.db import Actor, Database
from malha.platform.ids import UUID
from malha.platform.migrate import migrate
from malha.platform.sheets import Format

LOCATIONS = 50
LINES_AT_ONCE = 10_000
ACTOR = Actor("person", "bench", "Bench")

Say = Callable[[str], None]


class ImportsReport(msgspec.Struct, frozen=True):
    """What `malha bench imports --json` prints. Memory in megabytes: before, at a tenth of the rows, and the most.

    `export_first_ms` is how long the first bytes of the workbook take; `export_peak_mb` the most memory of both files.
    """

    rows: int
    file_mb: float
    upload_s: float
    check_rows_per_s: float
    apply_rows_per_s: float
    rss_before_mb: float
    rss_at_a_tenth_mb: float
    rss_most_mb: float
    created: int
    refused: int
    export_csv_rows_per_s: float
    export_xlsx_rows_per_s: float
    export_csv_mb: float
    export_xlsx_mb: float
    export_first_ms: float
    export_peak_mb: float
    drift: int


def measure(rows: int, say: Say) -> ImportsReport:
    """Import so many rows of stock, and say how quick that was and what it took."""
    with bench_database() as url:
        return asyncio.run(_measure(url, rows, say))


async def _measure(url: str, rows: int, say: Say) -> ImportsReport:
    await migrate(url, "malha")
    await jobs.install(url)
    async with Database(url, "malha", min_size=2, max_size=4) as db:
        say("Making the catalogue")
        async with db.transaction() as tx:
            await tx.execute(NETWORK, {"locations": LOCATIONS})
            await tx.execute(SKUS, {"skus": -(-rows // LOCATIONS)})
        before = rss_mb()
        say("Uploading")
        begun = time.perf_counter()
        run_id = await service.take_in(db, ACTOR, Kind.STOCK, "bench.csv", _table(rows), limit_mb=10_000)
        uploaded = time.perf_counter() - begun
        memory = _Memory(rows)
        checked = await _go(db, run_id, memory, say, apply=False)
        applied = await _go(db, run_id, memory, say, apply=True)
        run = await _run(db, run_id)
        csv, xlsx = [await _take_out(db, format_, say) for format_ in (Format.CSV, Format.XLSX)]
        say("Examining")
        report = await examine(db)
        return ImportsReport(
            rows=rows,
            file_mb=round(run.bytes / (1 << 20), 1),
            upload_s=round(uploaded, 1),
            check_rows_per_s=round(rows / checked),
            apply_rows_per_s=round(rows / applied),
            rss_before_mb=round(before, 1),
            rss_at_a_tenth_mb=round(memory.at_a_tenth, 1),
            rss_most_mb=round(memory.most, 1),
            created=run.created,
            refused=run.bad,
            export_csv_rows_per_s=round(rows / csv.seconds),
            export_xlsx_rows_per_s=round(rows / xlsx.seconds),
            export_csv_mb=round(csv.megabytes, 1),
            export_xlsx_mb=round(xlsx.megabytes, 1),
            export_first_ms=round(xlsx.first_ms),
            export_peak_mb=round(max(csv.most_mb, xlsx.most_mb), 1),
            drift=sum(f.drifts for f in report.findings),
        )


class _Taken(msgspec.Struct, frozen=True):
    """A file that was taken out."""

    seconds: float
    first_ms: float
    megabytes: float
    most_mb: float


async def _take_out(db: Database, format_: Format, say: Say) -> _Taken:
    """Read everything as a page's export does, and throw it away."""
    begun = time.perf_counter()
    first, size, most = 0.0, 0, 0.0
    async for piece in kinds.export(Kind.STOCK, format_, db, ACTOR):
        first = first or time.perf_counter() - begun
        size += len(piece)
        most = max(most, rss_mb())
        say(f"Exporting {format_.value}: {size / (1 << 20):,.0f} MB, {rss_mb():.0f} MB of memory")
    return _Taken(time.perf_counter() - begun, first * 1000, size / (1 << 20), most)


async def _table(rows: int) -> AsyncIterator[bytes]:
    yield b"sku;location;on_hand\n"
    for start in range(0, rows, LINES_AT_ONCE):
        many = range(start, min(start + LINES_AT_ONCE, rows))
        yield "".join(f"SKU{n // LOCATIONS + 1};L{n % LOCATIONS + 1};{n % 90 + 1}\n" for n in many).encode()


class _Memory:
    def __init__(self, rows: int) -> None:
        self._tenth = rows // 10
        self.at_a_tenth = 0.0
        self.most = 0.0

    def look(self, seen: int) -> None:
        now = rss_mb()
        if seen <= self._tenth:
            self.at_a_tenth = max(self.at_a_tenth, now)
        self.most = max(self.most, now)


async def _go(db: Database, run_id: UUID, memory: _Memory, say: Say, *, apply: bool) -> float:
    async with db.transaction(ACTOR) as tx:
        await service.begin(tx, run_id, None, apply=apply)
    begun = time.perf_counter()
    job = asyncio.ensure_future(service.go_on.work(db, run_id=str(run_id)))
    while not job.done():
        await asyncio.wait([job], timeout=0.25)
        run = await _run(db, run_id)
        memory.look(run.seen)
        said = f"{run.seen:,} rows, {run.seen / (time.perf_counter() - begun):,.0f} a second, {rss_mb():.0f} MB"
        say(f"{'Applying' if apply else 'Checking'}: {said}")
    await job
    return time.perf_counter() - begun


async def _run(db: Database, run_id: UUID) -> Run:
    async with db.transaction(ACTOR) as tx:
        return await reads.run(tx, run_id)


def rss_mb() -> float:
    """Return the resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
