"""Held rows and disagreements as files, a page of rows to a transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from malha.inventory.sync import reads
from malha.inventory.sync.model import PROBLEMS, Drift, SiteDrift
from malha.platform.db import Actor, Database, Tx
from malha.platform.i18n import N_, translate
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind

AT_ONCE = 1_000
T = TypeVar("T")
P = TypeVar("P")

PROBLEM_WORDS: dict[str, str] = {problem.value: words for problem, words in PROBLEMS.items()}
KIND_WORDS: dict[str, str] = {
    "window": N_("Moved near the time of the snapshot"),
    "compared": N_("A secondary source says otherwise"),
    "negative": N_("More left since than was stated"),
    "late": N_("A change that may be in the snapshot"),
}
STATE_WORDS: dict[str, str] = {
    "open": N_("Open"),
    "explained": N_("Explained"),
    "agreed": N_("Agrees again"),
    "theirs": N_("Theirs taken"),
    "ours": N_("Ours kept"),
    "counting": N_("To be counted"),
    "counted": N_("Counted"),
}

HELD_COLUMNS = (
    Column("sku", width=22, fixed=True),
    Column("location", fixed=True),
    Column("on_hand", fixed=True),
    Column(N_("Row of the file"), Kind.WHOLE),
    Column(N_("What is wrong"), width=60),
)
EXPECTED_COLUMNS = (
    Column(N_("SKU"), width=22),
    Column(N_("Name"), width=40),
    Column(N_("Location")),
    Column(N_("We have"), Kind.WHOLE),
    Column(N_("They said"), Kind.WHOLE),
    Column(N_("Under way then"), Kind.WHOLE),
    Column(N_("Difference"), Kind.WHOLE),
)
DRIFT_COLUMNS = (
    Column(N_("Source")),
    Column(N_("SKU"), width=22),
    Column(N_("Name"), width=40),
    Column(N_("Location")),
    Column(N_("Site")),
    Column(N_("Owner of the goods"), width=28),
    Column(N_("State")),
    Column(N_("Why it is here"), width=36),
    Column(N_("As of"), Kind.MOMENT),
    Column(N_("They said"), Kind.WHOLE),
    Column(N_("Under way then"), Kind.WHOLE),
    Column(N_("Moved since"), Kind.WHOLE),
    Column(N_("In the window"), Kind.WHOLE),
    Column(N_("We have"), Kind.WHOLE),
    Column(N_("Allocated"), Kind.WHOLE),
    Column(N_("Unexplained"), Kind.WHOLE),
    Column(N_("Found"), Kind.MOMENT),
)
SITE_DRIFT_COLUMNS = (*DRIFT_COLUMNS, Column(N_("Unexplained at the site"), Kind.WHOLE))


async def _pages(
    db: Database, actor: Actor, read: Callable[[Tx, P | None], Awaitable[Sequence[T]]], place: Callable[[T], P]
) -> AsyncIterator[Sequence[T]]:
    """Yield a list in pages, each read in a transaction of its own: what `read` gives after a place, None at first."""
    after: P | None = None
    while True:
        async with db.transaction(actor) as tx:
            found = await read(tx, after)
        if not found:
            return
        after = place(found[-1])
        yield found


async def held_pages(db: Database, actor: Actor, id_: UUID, language: str) -> AsyncIterator[list[list[Any]]]:
    """Yield the held rows of a snapshot; the first columns are those of the file to send again."""

    def read(tx: Tx, after: int | None) -> Awaitable[list[reads.HeldRow]]:
        return reads.held(tx, id_, after=after or 0, limit=AT_ONCE)

    async for rows in _pages(db, actor, read, lambda row: row.row):
        yield [
            [r.sku, r.location, r.stated, r.row, translate(language, PROBLEM_WORDS.get(r.problem, r.problem))]
            for r in rows
        ]


async def expected_pages(db: Database, actor: Actor, id_: UUID) -> AsyncIterator[list[list[Any]]]:
    """Yield what a waiting snapshot would change, a row per balance."""

    def read(tx: Tx, after: tuple[int, int] | None) -> Awaitable[list[reads.Expected]]:
        return reads.expected(tx, id_, after=after or (0, 0), limit=AT_ONCE)

    async for rows in _pages(db, actor, read, lambda row: (row.sku_id, row.location_id)):
        yield [[r.sku, r.name, r.location, r.on_hand, r.stated, r.underway, r.difference] for r in rows]


async def drift_pages(
    db: Database, actor: Actor, asked: reads.DriftAsked, language: str
) -> AsyncIterator[list[list[Any]]]:
    """Yield disagreements, the newest first."""

    def read(tx: Tx, before: tuple[datetime, UUID] | None) -> Awaitable[list[Drift]]:
        return reads.drifts(tx, asked, before=before, limit=AT_ONCE)

    async for rows in _pages(db, actor, read, lambda row: (row.found_at, row.id)):
        yield [_cells(row, language) for row in rows]


async def site_drift_pages(
    db: Database, actor: Actor, asked: reads.DriftAsked, language: str
) -> AsyncIterator[list[list[Any]]]:
    """Yield disagreements by source, SKU and site, the newest first, each with what is unexplained at its site."""

    def read(tx: Tx, before: reads.SitePosition | None) -> Awaitable[list[tuple[reads.SitePosition, SiteDrift]]]:
        return reads.site_drifts(tx, asked, before=before, limit=AT_ONCE)

    async for found in _pages(db, actor, read, lambda each: each[0]):
        yield [[*_cells(row, language), one.sum.unexplained] for _key, one in found for row in one.rows]


def _cells(row: Drift, language: str) -> list[Any]:
    numbers = msgspec.structs.asdict(row)
    counted = ("theirs", "underway", "later", "in_window", "ours", "allocated", "unexplained")
    return [
        row.source,
        row.sku,
        row.sku_name,
        row.location,
        row.site,
        row.owner_name,
        translate(language, STATE_WORDS[row.state.value]),
        translate(language, KIND_WORDS[row.kind.value]),
        row.as_of,
        *(numbers[name] for name in counted),
        row.found_at,
    ]
