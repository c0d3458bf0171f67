"""Importing the Olist dataset: every order through intake and the life cycle to its real end, and a report.

Running it again continues: sellers, products and orders have natural keys, and an order that came to its end is left
alone.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from malha.catalog import reads as catalog
from malha.catalog import service as catalog_service
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.history import olist, reads
from malha.history.life import Ends, Story, live
from malha.history.olist import CARRIER, CHANNEL, Dataset, Past, Status
from malha.intake.gate import Gate
from malha.intake.model import Placed
from malha.inventory import reads as stock_reads
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.network import reads as network
from malha.network import service as network_service
from malha.ordering import cancelling
from malha.platform import outbox
from malha.platform.db import Database, in_turn
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.subscribers import drain

CHUNK = 400
LIVES_AT_ONCE = 20  # orders in one transaction
CONNECTIONS = 3
ATTEMPTS = 5

# What a dataset status means here. Its `invoiced` orders hold no access key, so they wait packed; `unavailable` ones
# met no stock and wait on hold for it.
_ENDS = {
    Status.PROCESSING: Ends.ACCEPTED,
    Status.INVOICED: Ends.PACKED,
    Status.SHIPPED: Ends.LEFT,
    Status.DELIVERED: Ends.ARRIVED,
}

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # what is done, how far, of how many


class Difference(msgspec.Struct, frozen=True):
    """An order whose items and freight are not what was paid. Amounts in centavos."""

    order: str
    total: int
    paid: int


class OlistReport(msgspec.Struct):
    """What an import did. Amounts in centavos."""

    orders_in_dataset: int = 0
    submitted: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: dict[str, int] = {}
    left_out: dict[str, int] = {}
    moved_sellers: dict[str, tuple[str, str]] = {}
    intake_orders_per_s: float = 0.0
    life_orders_per_s: float = 0.0
    ends: dict[str, dict[str, int]] = {}  # dataset status -> our status -> orders
    holds: dict[str, int] = {}
    cancelled_after_leaving: list[str] = []  # our orders cannot be: what left comes back as a return
    paid_in_dataset: int = 0
    captured_here: int = 0
    pending_here: int = 0
    differences: list[Difference] = []
    drift: int = 0
    parked: int = 0
    seconds: float = 0.0

    @property
    def reconciled(self) -> bool:
        """Tell whether every centavo of the submitted orders' payments is here, captured or pending."""
        return self.captured_here + self.pending_here == self.paid_in_dataset


async def run(db: Database, data: Dataset, *, progress: Progress, limit: int | None = None) -> OlistReport:
    """Import the dataset, or its first `limit` orders by time; events are digested on the way."""
    began = time.monotonic()
    everything = len(data.past) + len(data.left_out)
    if limit is not None:
        data = olist.first(data, limit)
    past = data.past
    report = OlistReport(
        orders_in_dataset=everything,
        left_out=dict(Counter(data.left_out.values())),
        moved_sellers=data.moved_sellers,
        paid_in_dataset=sum(p.paid for p in past),
        differences=[Difference(p.order.external_id or "", p.total, p.paid) for p in past if p.total != p.paid],
    )
    await _reference_data(db, data, progress)
    await _stock(db, data, progress)
    placed = await _intake(db, past, report, progress)
    await drain(db, SUBSCRIPTIONS)
    await _lives(db, past, placed, report, progress)
    await drain(db, SUBSCRIPTIONS)
    await _summarise(db, past, report)
    report.seconds = round(time.monotonic() - began, 1)
    return report


async def _reference_data(db: Database, data: Dataset, progress: Progress) -> None:
    async with db.transaction() as tx:
        await catalog_service.put_categories(tx, data.categories)
        await network_service.put_channels(tx, [data.channel])
        await network_service.put_services(tx, [data.service])
    for done, chunk in _chunks(data.establishments):
        async with db.transaction() as tx:
            await network_service.put_establishments(tx, chunk)
        progress("Sellers", done, 2 * len(data.establishments))
    for done, places in _chunks(data.locations):
        async with db.transaction() as tx:
            await network_service.put_locations(tx, places)
        progress("Sellers", len(data.establishments) + done, 2 * len(data.establishments))
    for done, products in _chunks(data.products):
        async with db.transaction() as tx:
            await catalog_service.put_products(tx, products)
        progress("Products", done, len(data.products))


async def _stock(db: Database, data: Dataset, progress: Progress) -> None:
    """State, for every seller's offer, the units its orders will take: the dataset knows no stock."""
    async with db.transaction() as tx:
        places = (await network.snapshot(tx)).location_ids
    wanted = sorted(data.stock.items())
    for done, chunk in _chunks(wanted):
        async with db.transaction() as tx:
            ids = {card.sku: card.id for card in await catalog.by_skus(tx, [sku for (sku, _), _ in chunk])}
            known = await stock_reads.known_pairs(tx, list(ids.values()))
            goods = [
                Claim(ids[sku], places[seller], units)
                for (sku, seller), units in chunk
                if (ids[sku], places[seller]) not in known
            ]
            await inventory.set_on_hand(tx, goods, Reference("import", text="olist"), Reason.INITIAL)
        progress("Stock", done, len(wanted))


async def _intake(db: Database, past: Sequence[Past], report: OlistReport, progress: Progress) -> dict[str, Placed]:
    """Submit every order; return those that are here by the dataset's id."""
    placed: dict[str, Placed] = {}
    refused: Counter[str] = Counter()
    gate = Gate(db)
    began = time.monotonic()
    # The stock is what the others took: orders that met none must not be served from it.
    turns = sorted(past, key=lambda p: p.status is Status.UNAVAILABLE)
    for done, chunk in _chunks(turns):
        outcomes = await asyncio.gather(*(gate.enqueue(p.order, release_now=True) for p in chunk))
        for p, outcome in zip(chunk, outcomes, strict=True):
            if isinstance(outcome, MalhaError):
                refused[outcome.code] += 1
            else:
                placed[p.order.external_id or ""] = outcome
        progress("Orders", done, len(past))
    await gate.close()
    report.submitted = len(past)
    report.duplicates = sum(o.result == "duplicate" for o in placed.values())
    report.accepted = len(placed) - report.duplicates
    report.refused = dict(refused)
    report.intake_orders_per_s = round(len(past) / (time.monotonic() - began), 1)
    return placed


async def _lives(
    db: Database, past: Sequence[Past], placed: dict[str, Placed], report: OlistReport, progress: Progress
) -> None:
    """Bring orders to their ends, a few per transaction, on a few connections."""
    stories, cancels = _plots(past, placed, report)
    began = time.monotonic()
    done = 0
    total = len(stories) + len(cancels)
    work = iter(_chunks(stories, LIVES_AT_ONCE))

    async def one_connection() -> None:
        nonlocal done
        for _, chunk in work:
            await _live(db, dict(chunk))
            done += len(chunk)
            progress("Lives", done, total)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one_connection())
    for _, some in _chunks(sorted(cancels), LIVES_AT_ONCE):
        async with db.transaction() as tx:
            for order_id, _at in some:
                await cancelling.cancel(tx, order_id, reason="canceled")
            # When that was is not known; it is no news in any case.
            await outbox.restate(tx, [(f"order:{order_id}", "order.cancelled", at) for order_id, at in some])
        done += len(some)
        progress("Lives", done, total)
    report.life_orders_per_s = round(total / max(time.monotonic() - began, 0.001), 1)


async def _live(db: Database, stories: dict[UUID, Story]) -> None:
    """Bring some orders to their ends in one transaction; two that take capacity crosswise try again."""

    async def together() -> None:
        async with db.transaction() as tx:
            await live(tx, stories)

    await in_turn(together, ATTEMPTS)


def _plots(
    past: Sequence[Past], placed: dict[str, Placed], report: OlistReport
) -> tuple[list[tuple[UUID, Story]], list[tuple[UUID, datetime]]]:
    """Return what becomes of the orders that are allocated: stories, and those to cancel with when they began."""
    stories: list[tuple[UUID, Story]] = []
    cancels: list[tuple[UUID, datetime]] = []
    for p in past:
        order = placed.get(p.order.external_id or "")
        if order is None or order.status != "allocated":
            continue
        if p.status is Status.CANCELED and p.shipped_at is None:
            cancels.append((order.id, _released_at(p)))
        elif p.status is Status.CANCELED:
            report.cancelled_after_leaving.append(p.order.external_id or "")
            stories.append((order.id, _story(p, Ends.ARRIVED if p.delivered_at else Ends.LEFT)))
        elif p.status in _ENDS:
            stories.append((order.id, _story(p, _ENDS[p.status])))
    return stories, cancels


def _released_at(p: Past) -> datetime:
    placed_at: datetime | None = p.order.placed_at
    released_at = p.approved_at or placed_at
    if released_at is None:
        raise ValueError("every order of the dataset has a purchase time")
    return released_at


def _story(p: Past, ends: Ends) -> Story:
    return Story(
        ends=ends,
        released_at=_released_at(p),
        left_at=p.shipped_at,
        arrived_at=p.delivered_at,
        carrier=CARRIER,
    )


async def _summarise(db: Database, past: Sequence[Past], report: OlistReport) -> None:
    theirs = {p.order.external_id: p.status.value for p in past}
    async with db.snapshot() as tx:
        channel = (await network.snapshot(tx)).channel_ids[CHANNEL]
        for external_id, status in await reads.statuses(tx, channel):
            if external_id in theirs:
                ends = report.ends.setdefault(theirs[external_id], {})
                ends[status] = ends.get(status, 0) + 1
        report.holds = dict(await reads.open_holds(tx, channel))
        report.captured_here, report.pending_here = await reads.money(tx, channel)
    health = await examine(db)
    report.drift = health.drift


def _chunks(items: Sequence[T], size: int = CHUNK) -> list[tuple[int, Sequence[T]]]:
    """Split items; each part comes with how many are done after it."""
    return [(min(n + size, len(items)), items[n : n + size]) for n in range(0, len(items), size)]
