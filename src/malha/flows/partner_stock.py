"""Stock that a partner states becomes a snapshot of its source: compared, applied, its drift shown."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime

from malha.channels.partners import reads
from malha.channels.partners.filing import Stated
from malha.flows import stock_sync
from malha.fulfillment import underway_reads
from malha.inventory.sync import reads as sync_reads
from malha.inventory.sync import receiving
from malha.inventory.sync.model import PROBLEMS, Leaves, Problem, Scope
from malha.inventory.sync.receiving import Statement
from malha.platform import i18n
from malha.platform.db import Actor, Database, Tx

LIMIT_MB = 128
PIECE = 1 << 18
MOST_HELD = 5_000


async def take_stock(db: Database, actor: Actor, stated: Stated, table: Iterator[bytes]) -> Mapping[int, str]:
    """Take a stock in and have it applied; return the rows that are held, each with why.

    What the partner says left before that moment, and we heard of later, counts as gone: it is in neither side's stock.

    Raises:
        MalhaError: the source, the moment or the table was refused; see `inventory.sync.receiving.receive`.
    """
    said = Statement(
        source=stated.source,
        seq=int(stated.as_of.timestamp() * 1_000),
        as_of=stated.as_of,
        scope=Scope.WHOLE,
        locations=list(stated.locations),
        name=stated.name,
        key=stated.key,
        media_type="text/csv",
    )

    async def body() -> AsyncIterator[bytes]:
        piece = bytearray()
        for row in table:
            piece += row
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    taken = await receiving.receive(
        db, actor, said, body(), underway=_underway, begin=stock_sync.begin, limit_mb=LIMIT_MB
    )
    async with db.transaction(actor) as tx:
        held = await sync_reads.held(tx, taken.id, limit=MOST_HELD)
    language = i18n.current_language()
    return {row.row - 1: i18n.translate(language, PROBLEMS[Problem(row.problem)]) for row in held}


async def _underway(tx: Tx, leaves: Leaves, at: datetime, locations: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return what left the partner's books and was on our shelves still: set aside there, or told later."""
    found: dict[tuple[int, int], int] = {}
    if leaves is not Leaves.SHIP:
        for sku, place, units in await underway_reads.underway(tx, leaves.value, at, locations):
            found[sku, place] = found.get((sku, place), 0) + units
    else:
        for sku, place, units in await reads.left_earlier(tx, at, locations):
            found[sku, place] = found.get((sku, place), 0) + units
    return [(sku, place, units) for (sku, place), units in sorted(found.items())]
