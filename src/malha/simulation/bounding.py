"""Work out the hindsight bounds of some days' decisions: a process that a simulation starts, and may kill.

It only reads. Arguments: the time zone, the channel's id or 0, the seconds that a day may take, and of each day its
first and last instant and the share of the orders that is drawn. It prints a line for each, as soon as it is known:
`[bound, certificate, orders]`, `null` where there is nothing to say, or the kind of the defect that left the day
without a bound: the others go on, and it ends as failed. Starting it takes longer than the bound of a usual day.
"""

import asyncio
import os
import sys
from datetime import datetime

import msgspec
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.platform.db import Database
from malha.routing.pricing.hindsight import bound_of
from malha.routing.records import Record, read_record
from malha.simulation import reads
from malha.simulation.gap_rules import is_comparable, is_drawn
from malha.simulation.model import Decided
from malha.simulation.reads import Span

PIECE = 2_000
log = structlog.get_logger(__name__)


async def drawn_records(db: Database, span: Span, share: float) -> list[Record]:
    """Return the decisions of a span that are drawn and comparable, oldest first."""
    found: list[Record] = []
    last: Decided | None = None
    while True:
        async with db.transaction() as tx:
            piece = await reads.decisions(tx, span, last, PIECE)
        for decided in piece:
            if is_drawn(decided.order_id, share):
                try:
                    record = read_record(decided.record)
                except msgspec.MsgspecError:
                    continue
                if is_comparable(record):
                    found.append(record)
        if len(piece) < PIECE:
            return found
        last = piece[-1]


async def _said(db: Database, span: Span, share: float, seconds: float) -> tuple[float, float, int] | str | None:
    """Return what is to be said of a day."""
    try:
        records = await drawn_records(db, span, share)
        found = bound_of(records, seconds) if records else None
    except (OperationalError, PoolTimeout):
        raise
    except Exception as error:
        log.exception("bound_failed")
        return type(error).__name__
    return None if found is None else (found.bound, found.gap, len(records))


async def _run(zone: str, channel: str, seconds: str, *days: str) -> int:
    """Tell the bounds; return how many days a defect left without one."""
    failed = 0
    answer = os.dup(1)
    os.dup2(2, 1)  # the answer is alone on standard output, whatever a library says there
    async with Database(os.environ["DATABASE_URL"], os.environ["MALHA_RETAILER"], min_size=1, max_size=1) as db:
        for since, until, share in zip(*[iter(days)] * 3, strict=True):
            span = Span(
                since=datetime.fromisoformat(since),
                until=datetime.fromisoformat(until),
                channel=int(channel) or None,
                zone=zone,
            )
            said = await _said(db, span, float(share), float(seconds))
            failed += isinstance(said, str)
            os.write(answer, msgspec.json.encode(said) + b"\n")
    return failed


if __name__ == "__main__":
    os.nice(10)
    sys.exit(min(asyncio.run(_run(*sys.argv[1:])), 1))
