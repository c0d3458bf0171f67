"""Work out the hindsight bound of one day's decisions: a process that a simulation starts, and may kill.

It only reads. Arguments: the first and last instant of the day, the time zone, the channel's id or 0, the share of the
orders that is drawn, and the seconds it may take. It prints `[bound, certificate]`, or `null` where nothing is said.
"""

import asyncio
import os
import sys
from datetime import datetime

import msgspec

from malha.platform.db import Database
from malha.routing.pricing.hindsight import bound_of
from malha.routing.records import Record, read_record
from malha.simulation import reads
from malha.simulation.gap_rules import is_comparable, is_drawn
from malha.simulation.model import Decided
from malha.simulation.reads import Span

PIECE = 2_000


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


async def _run(since: str, until: str, zone: str, channel: str, share: str, seconds: str) -> None:
    answer = os.dup(1)
    os.dup2(2, 1)  # the answer is alone on standard output, whatever a library says there
    span = Span(
        since=datetime.fromisoformat(since),
        until=datetime.fromisoformat(until),
        channel=int(channel) or None,
        zone=zone,
    )
    async with Database(os.environ["DATABASE_URL"], os.environ["MALHA_RETAILER"], min_size=1, max_size=1) as db:
        records = await drawn_records(db, span, float(share))
    found = bound_of(records, float(seconds)) if records else None
    os.write(answer, msgspec.json.encode(None if found is None else (found.bound, found.gap)))


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(_run(*sys.argv[1:]))
