"""Whatever is received, moved, sent, found, lost and counted in whatever order: units are where the facts say, and no
ledger differs from its balances."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supply_rows import CENTRE, LEAD, OTHER, SHOP, a_retailer, there

from malha.doctor import examine
from malha.inventory.buckets.errors import NotInBucket
from malha.inventory.buckets.model import BY_HAND, Bucket
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft, Entry, Limits
from malha.inventory.supply import service as supply
from malha.inventory.supply.errors import ReceiptUndone
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.errors import NotEnoughToTransfer
from malha.inventory.transfers.model import (
    DECISIONS,
    Arrival,
    Arrived,
    Decision,
    Departure,
    DiscrepancyKind,
    TransferDraft,
)
from malha.platform.db import Database
from malha.platform.ids import new_id

PLACES = (CENTRE, SHOP, OTHER)
SKU = 1
UNITS = st.integers(1, 6)
PLACE = st.sampled_from(PLACES)
BUCKET = st.sampled_from(BY_HAND)
STEP = st.one_of(
    st.tuples(st.just("receive"), PLACE, BUCKET, UNITS),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.just("move"), PLACE, BUCKET, BUCKET, UNITS),
    st.tuples(st.just("send"), PLACE, PLACE, UNITS, st.integers(0, 6)),
    st.tuples(st.just("send_more"), st.integers(0, 5), st.integers(0, 6)),
    st.tuples(st.just("arrive"), st.integers(0, 5), st.integers(0, 8), BUCKET, st.booleans()),
    st.tuples(st.just("decide"), st.integers(0, 5), st.integers(0, 3), UNITS),
    st.tuples(st.just("count"), PLACE, st.integers(0, 12)),
)


class World:
    """Runs steps against the database and keeps one number of its own: how many units there are in all."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.total = 30
        self.receipts: list[tuple[int, int]] = []
        self.sent: list[int] = []

    async def do(self, step: tuple[Any, ...]) -> None:
        await getattr(self, step[0])(*step[1:])

    async def receive(self, place: int, bucket: Bucket, units: int) -> None:
        draft = ReceiptDraft(id=new_id(), location_id=place, lines=[ReceivedLine(SKU, units, bucket)])
        async with self.db.transaction(LEAD) as tx:
            done = await supply.receive(tx, draft)
        self.receipts.append((done.number, units))
        self.total += units

    async def undo(self, at: int) -> None:
        if not self.receipts:
            return
        number, units = self.receipts[at % len(self.receipts)]
        try:
            async with self.db.transaction(LEAD) as tx:
                await supply.undo_receipt(tx, number, "mistake")
        except (ReceiptUndone, NotInBucket):
            return
        self.total -= units

    async def move(self, place: int, source: Bucket, target: Bucket, units: int) -> None:
        if source is target:
            return
        try:
            async with self.db.transaction(LEAD) as tx:
                await supply.move_by_hand(tx, place, [(SKU, units)], source, target)
        except NotInBucket:
            return

    async def send(self, origin: int, destination: int, units: int, first: int) -> None:
        if origin == destination:
            return
        draft = TransferDraft(origin_id=origin, destination_id=destination, lines=[(SKU, units)])
        try:
            async with self.db.transaction(LEAD) as tx:
                number = await service.request(tx, draft)
                await service.approve(tx, number)
                part = {1: first} if 0 < first < units else {}
                await service.ship(tx, number, Departure(document="NF-e", quantities=part, more_follows=True))
        except NotEnoughToTransfer:
            return
        self.sent.append(number)

    async def send_more(self, at: int, units: int) -> None:
        """Ship more of what is left of a transfer; give it back with no units."""
        if not self.sent:
            return
        number = self.sent[at % len(self.sent)]
        async with self.db.transaction(LEAD) as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            if found.state != "partly_shipped":
                return
            (left,) = [line.to_ship for line in await reads.transfer_lines(tx, found.id) if line.to_ship]
            if units:
                departure = Departure(document="NF-e", quantities={1: min(units, left)}, more_follows=True)
                await service.ship(tx, number, departure)
            else:
                assert await service.close_rest(tx, number, "no more") == left

    async def arrive(self, at: int, units: int, bucket: Bucket, complete: bool) -> None:
        if not self.sent or (not units and not complete):
            return
        number = self.sent[at % len(self.sent)]
        async with self.db.transaction(LEAD) as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            if not any(one.coming for one in await reads.shipments(tx, found.id)):
                return
            lines = [Arrived(SKU, units, bucket)] if units else []
            done = await service.receive(tx, number, Arrival(id=new_id(), lines=lines, complete=complete))
        self.total += done.excess

    async def decide(self, at: int, which: int, units: int) -> None:
        if not self.sent:
            return
        number = self.sent[at % len(self.sent)]
        async with self.db.snapshot() as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            waiting = [d for d in await reads.discrepancies(tx, found.id) if d.decision is None]
        if not waiting:
            return
        kind = DiscrepancyKind(waiting[0].kind)
        decision = DECISIONS[kind][which % len(DECISIONS[kind])]
        units = min(units, waiting[0].quantity)
        try:
            async with self.db.transaction(LEAD) as tx:
                await service.decide(tx, number, waiting[0].id, decision, units=units, reference="SIN-1")
        except NotInBucket:
            return  # somebody moved the damaged ones meanwhile
        gone = decision in {Decision.LOST, Decision.CARRIER_CLAIM, Decision.TAKEN_FROM_ORIGIN}
        self.total -= units if gone else 0

    async def count(self, place: int, counted: int) -> None:
        async with self.db.transaction(LEAD) as tx:
            before = (await there(tx, SKU, place)).get("sellable", 0)
            draft = CountDraft(location_id=place, skus=[SKU], limits=Limits(999, 10_000_000))
            number = await counts.raise_count(tx, draft)
            await counts.enter(tx, number, [Entry(SKU, counted)], {})
            await counts.close(tx, number, {})
        self.total += counted - before

    async def check(self) -> None:
        async with self.db.snapshot() as tx:
            found = sum([sum((await there(tx, SKU, place)).values()) for place in PLACES])
        assert found == self.total
        report = await examine(self.db)
        assert not report.drift, [line for f in report.findings for line in (f.check, *f.lines("en"))]


async def test_units_are_neither_made_nor_lost(database: Database) -> None:
    await a_retailer(database, units=10)
    loop, world = asyncio.get_running_loop(), World(database)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(STEP, min_size=1, max_size=12))
    def stories(steps: list[tuple[Any, ...]]) -> None:
        async def tell() -> None:  # one world for all stories: the later ones begin where the earlier ended
            for step in steps:
                await world.do(step)
            await world.check()

        asyncio.run_coroutine_threadsafe(tell(), loop).result()

    await asyncio.to_thread(stories)
