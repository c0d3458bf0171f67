"""Whatever happens while a shelf is counted, in whatever order: the count ends with what lies on the shelf.

The model is a shelf. Goods come and go there and in all books; some are missing or too many. A count says what lies
there. A picker or a person who notices some of the difference corrects it; a system that knows of none states its books
again, one that knows states the truth, and a third tells late what it thought before anybody counted. All the model
knows of rules is which of two counts is the later.
"""

import asyncio
import os
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supply_rows import LEAD, SHOP, a_retailer, there

from malha.doctor import examine
from malha.inventory import service as stock
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft, Entry, Limits
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Database

SKU = 1
UNITS = st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.just("count")),
    st.tuples(st.just("close"), st.integers(0, 5)),
    st.tuples(st.just("count_on_the_page")),
    st.tuples(st.just("sell"), UNITS),
    st.tuples(st.just("receive"), UNITS),
    st.tuples(st.just("pick_short"), UNITS),
    st.tuples(st.just("note"), st.sampled_from(["console", "api"]), UNITS),
    st.tuples(st.just("state_the_books")),
    st.tuples(st.just("state_the_truth")),
    st.tuples(st.just("state_late"), st.integers(0, 25)),
)
SHELVED = """
SELECT b.on_hand, (SELECT sum(m.d_on_hand) FROM movement m
                   WHERE m.sku_id = b.sku_id AND m.location_id = b.location_id AND m.bucket = 'sellable')
FROM balance b WHERE b.sku_id = %(sku)s::int AND b.location_id = %(place)s::int
"""
DEEP = int(os.environ.get("COUNT_STORIES", "0"))


class Shelf:
    """One shelf, and what everybody believes of it."""

    def __init__(self, db: Database, before: datetime, balance: int, truth: int) -> None:
        self.db = db
        self.before = before
        self.balance = self.books = balance
        self.truth = truth
        self.open: list[tuple[int, int]] = []  # (when it was counted, its number)
        self.counted = self.known = 0  # how often it was counted, and the newest of which that is known
        self.moved = 0  # what came and went since `before`, by the ledger
        self.stated = False  # whether the ledger has a number of a later moment

    async def do(self, step: tuple[Any, ...]) -> None:
        await getattr(self, step[0])(*step[1:])
        async with self.db.snapshot() as tx:
            ((on_hand, ledger),) = await tx.tuples(SHELVED, {"sku": SKU, "place": SHOP})
        assert (on_hand, ledger) == (self.balance, self.balance), step

    @property
    def missing(self) -> int:
        """What of the difference to the books is not corrected; nothing where a late number lies beyond both."""
        between = min(self.truth, self.books) <= self.balance <= max(self.truth, self.books)
        return self.balance - self.truth if between else 0

    async def count(self) -> None:
        if not self.missing and self.balance != self.truth:
            return  # the books of one count would be no other's
        async with self.db.transaction(LEAD) as tx:
            draft = CountDraft(location_id=SHOP, skus=[SKU], limits=Limits(999, 10_000_000))
            number = await counts.raise_count(tx, draft)
            await counts.enter(tx, number, [Entry(SKU, self.truth)], {})
        self.books = self.balance
        self.counted += 1
        self.open.append((self.counted, number))

    async def close(self, at: int) -> None:
        if not self.open:
            return
        when, number = self.open.pop(at % len(self.open))
        async with self.db.transaction(LEAD) as tx:
            await counts.close(tx, number, {})
        if when > self.known:
            self.known = when
            self._stand_at(self.truth)

    async def count_on_the_page(self) -> None:
        async with self.db.transaction(LEAD) as tx:
            await counts.count_shelf(tx, SKU, SHOP, self.truth)
        self.counted += 1
        self.known = self.counted
        self._stand_at(self.truth)

    async def sell(self, units: int) -> None:
        units = max(min(units, self.truth, self.balance, self.books), 0)
        await self._adjust(-units, Reason.HAND_OVER, "till")
        self.truth -= units
        self.books -= units

    async def receive(self, units: int) -> None:
        async with self.db.transaction() as tx:
            await stock.receive(tx, [Claim(SKU, SHOP, units)], Reference("receipt"))
        self.balance += units
        self.moved += units
        self.truth += units
        self.books += units

    async def pick_short(self, units: int) -> None:
        await self._adjust(-min(units, max(self.missing, 0)), Reason.SHORT_PICK, "order")

    async def note(self, where: str, units: int) -> None:
        units = max(min(units, -self.missing), 0) - max(min(units, self.missing), 0)
        await self._adjust(units, Reason.ADJUSTMENT, where)

    async def state_the_books(self) -> None:
        await self._state(self.books)
        self._stand_at(self.books)

    async def state_the_truth(self) -> None:
        await self._state(self.truth)
        self._stand_at(self.truth)

    async def state_late(self, number: int) -> None:
        """What moved since is added on top; a number of a later moment stands."""
        await self._state(number, self.before)
        if not self.stated:
            self.balance = number + self.moved

    async def _state(self, number: int, occurred_at: datetime | None = None) -> None:
        async with self.db.transaction() as tx:
            await stock.set_on_hand(tx, [Claim(SKU, SHOP, number)], Reference("source"), occurred_at=occurred_at)

    def _stand_at(self, number: int) -> None:
        self.stated = self.stated or number != self.balance
        self.balance = number

    async def _adjust(self, units: int, reason: Reason, about: str) -> None:
        async with self.db.transaction() as tx:
            await stock.adjust(tx, [Claim(SKU, SHOP, units)], reason, Reference(about))
        self.balance += units
        self.moved += units

    async def end(self) -> None:
        for _ in range(len(self.open)):
            await self.do(("close", 0))


async def test_a_count_ends_with_what_lies_on_the_shelf_whatever_happens_meanwhile(database: Database) -> None:
    await a_retailer(database, units=10)
    loop = asyncio.get_running_loop()

    @settings(max_examples=DEEP or 40, suppress_health_check=list(HealthCheck), deadline=None, derandomize=not DEEP)
    @given(st.integers(4, 16), st.lists(STEP, min_size=2, max_size=12))
    def stories(truth: int, steps: list[tuple[Any, ...]]) -> None:
        async def tell() -> None:
            async with database.transaction() as tx:
                before = await tx.value("SELECT clock_timestamp()")
                balance = (await there(tx, SKU, SHOP)).get("sellable", 0)
            shelf = Shelf(database, before, balance, truth)
            await shelf.do(("count",))
            for step in steps:
                await shelf.do(step)
            await shelf.end()

        asyncio.run_coroutine_threadsafe(tell(), loop).result()

    await asyncio.to_thread(stories)
    report = await examine(database)
    assert not report.drift, [line for f in report.findings for line in (f.check, *f.lines("en"))]
