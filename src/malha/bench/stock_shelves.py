"""Shops whose records are wrong: orders cancelled for stock, without and with what the product does about it.

Every step is the product's own, on PostgreSQL: orders come through the gate, are routed, released, picked, found short,
asked of another shop, cancelled for what nobody has, counted, replenished. Behind it is a shelf that the product never
sees: it decides whether a picker finds what the record says. Records are right for 85 to 95 of 100 of a shop's SKUs at
the start. Then shelves drift: people who walk in take goods that the till reports hours later, sometimes as another
SKU; some goods vanish; some deliveries are short. Replenishment goes by the record, so stock that is not there is not
replenished either.

Both runs have the same shops, shelves, orders and people who walk in, by one seed. `before` has no safety rule and
nobody looks for phantom stock; what a picker did not find is counted that evening, as the product asks. `after` has one
unit kept back in every shop, and every evening suspects what has not sold for too long; suspicions are counted, too.

The quick form has fewer shops and orders, so its rate for 10,000 orders rests on few cancellations; `shelves_orders`
says on how many orders.

What safety costs is told with it: orders refused, and among them those whose goods did lie on shelves.

A simulated day is a day: the ledger is dated back by one every evening, so habits and silence are measured in days.
"""

import asyncio
import random
import time
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import bench_database, drift
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import batch
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason, Short
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import service as inventory
from malha.inventory.counts import service as counts
from malha.inventory.counts import suspicions
from malha.inventory.counts.model import Entry
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.sync import deltas, sources
from malha.inventory.sync.model import Delta, SourceDraft
from malha.ordering.model import CancelWish
from malha.platform import jobs
from malha.platform.address import Address
from malha.platform.db import Actor, Database
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID, new_id
from malha.platform.migrate import migrate
from malha.platform.subscribers import drain

Say = Callable[[str], None]
Key = tuple[int, int]  # (SKU, shop), both counted from 1: their ids in an empty database

SEED = 20261126
STATES = ("SP", "RJ", "MG", "BA", "PE", "CE", "PR", "RS", "GO", "AM")
SKU_COUNT = 60
KEPT_AT = 0.5  # of the SKUs, the share a shop has
COLLECTED = 0.35  # of the orders: collected at a shop of the customer's choice, so no other shop can help
ACCURACY = (0.85, 0.95)
PARTS_OF_A_DAY = 3  # orders are worked, and tills report, so often
MISREAD, SHORT_RECEIPT = 0.02, 0.02  # of sales at a till, of deliveries
VANISHING = 0.003  # the chance that a unit of a SKU of a shop is gone by the end of a part of a day
WEIGHTS = [1 / (n + 3) for n in range(SKU_COUNT)]
SHARES = list(accumulate(WEIGHTS))
WALK_INS = 0.6  # for each order; one unit each
COUNTERS = tuple(Actor("person", name, name.title()) for name in ("ana", "bia", "lead"))
ENDS = {"ship": batch.Step.LEFT, "pickup": batch.Step.ARRIVED}

NO_DOCUMENTS = "UPDATE establishment SET document_policy = 'not_required'"
SHOPS = "UPDATE location SET kind = 'store', can_pickup = true"
AT_ONCE = "UPDATE channel SET release_delay_minutes = 0"
OPEN_WORK = """
SELECT f.id, f.method, f.location_id, u.line, u.sku_id, sum(u.quantity)::int
FROM fulfillment_order f JOIN order_unit u ON u.fulfillment_id = f.id
WHERE f.state = 'open' AND u.state = 'released' GROUP BY f.number, 1, 2, 3, 4, 5 ORDER BY f.number, u.line
"""
WAITING = """
SELECT order_id, line, sum(quantity)::int FROM order_unit WHERE state = 'unplaced' GROUP BY 1, 2 ORDER BY 1, 2
"""
RECORDS = "SELECT sku_id, location_id, on_hand - allocated FROM balance ORDER BY location_id, sku_id"
TO_BE_COUNTED = """
SELECT t.number, t.location_id, l.sku_id FROM count_task t JOIN count_line l ON l.task_id = t.id
WHERE t.state = 'open' ORDER BY t.number, l.sku_id
"""
TO_COUNT_AGAIN = """
SELECT l.sku_id FROM count_line l JOIN count_task t ON t.id = l.task_id
WHERE t.number = %(number)s::bigint AND l.state = 'recount'
"""
# A day passes: what was recorded is a day older.
DATE_BACK = """
UPDATE movement SET recorded_at = recorded_at - interval '1 day', occurred_at = occurred_at - interval '1 day'
"""
DATE_BACK_COUNTS = "UPDATE count_line SET as_of = as_of - interval '1 day' WHERE as_of IS NOT NULL"


class Size(msgspec.Struct, frozen=True):
    """How large the retailer is, and for how long it is watched."""

    shops: int
    days: int
    orders: int  # a day


QUICK = Size(shops=10, days=10, orders=80)
FULL = Size(shops=40, days=25, orders=400)


class Figures(msgspec.Struct):
    """What one run saw."""

    submitted: int = 0
    refused: int = 0  # for stock, at once
    refused_though_there: int = 0  # shelves had all of it
    cancelled: int = 0  # orders accepted of which something was cancelled for stock
    short_picks: int = 0
    counted: int = 0  # SKUs of a shop
    suspected: int = 0
    drift: int = 0

    @property
    def accepted(self) -> int:
        """Return the orders that were taken in."""
        return self.submitted - self.refused

    @property
    def cancels_per_10k(self) -> float:
        """Return for how many of 10,000 orders accepted something was cancelled for stock."""
        return round(self.cancelled * 10_000 / max(self.accepted, 1), 1)


class Part(msgspec.Struct, frozen=True):
    """What customers want in a part of a day."""

    orders: list[NewOrder]
    walk_ins: list[Key]
    vanishing: list[Key]


class Plan(msgspec.Struct, frozen=True):
    """What happens in both runs: shelves and records at the start, what is wanted, and up to what is replenished."""

    accuracy: list[float]
    shelves: dict[Key, int]
    records: dict[Key, int]
    levels: dict[Key, int]
    days: list[list[Part]]


def plan(size: Size) -> Plan:
    """Draw everything that does not depend on what the product does."""
    rng = random.Random(SEED)  # noqa: S311 -- the same shops every time
    accuracy = [rng.uniform(*ACCURACY) for _ in range(size.shops)]
    kept = {
        shop: [sku for sku in range(1, SKU_COUNT + 1) if rng.random() < KEPT_AT] for shop in range(1, size.shops + 1)
    }
    levels = {(sku, shop): 2 + round(16 * WEIGHTS[sku - 1]) for shop, skus in kept.items() for sku in skus}
    records = {key: rng.randint(1, level) for key, level in levels.items()}
    shelves = dict(records)
    for shop, skus in kept.items():
        for sku in rng.sample(skus, round((1 - accuracy[shop - 1]) * len(skus))):
            # Too few are there more often than too many; often none is.
            shelves[sku, shop] = max(0, shelves[sku, shop] + rng.choice((-99, -3, -2, -1, -1, 1)))
    days = [
        [_part(rng, kept, f"{day}-{part}", _share(size.orders, part, PARTS_OF_A_DAY)) for part in range(PARTS_OF_A_DAY)]
        for day in range(size.days)
    ]
    return Plan(accuracy, shelves, records, levels, days)


def _part(rng: random.Random, kept: dict[int, list[int]], name: str, orders: int) -> Part:
    walk_ins: list[Key] = []
    while len(walk_ins) < orders * WALK_INS:
        sku, shop = _a_sku(rng), rng.choice(list(kept))
        if sku in kept[shop]:
            walk_ins.append((sku, shop))
    every = [(sku, shop) for shop, skus in kept.items() for sku in skus]
    vanishing = [key for key in every if rng.random() < VANISHING]
    return Part([_order(rng, kept, f"{name}-{n}") for n in range(orders)], walk_ins, vanishing)


def _a_sku(rng: random.Random) -> int:
    return bisect(SHARES, rng.random() * SHARES[-1]) + 1


def _share(total: int, part: int, parts: int) -> int:
    return total * (part + 1) // parts - total * part // parts


def _order(rng: random.Random, kept: dict[int, list[int]], name: str) -> NewOrder:
    skus = dict.fromkeys(_a_sku(rng) for _ in range(1 if rng.random() < 0.7 else 2))
    lines = [NewLine(sku=f"SKU{sku}", quantity=1 if rng.random() < 0.9 else 2, unit_price=1990) for sku in skus]
    shops = [shop for shop, there in kept.items() if skus.keys() <= set(there)]
    if shops and rng.random() < COLLECTED:
        at = f"L{rng.choice(shops)}"
        return NewOrder(channel="web", external_id=name, lines=lines, method="pickup", pickup_location=at)
    return NewOrder(
        channel="web",
        external_id=name,
        lines=lines,
        ship_to=Address(city="Cidade", state=rng.choice(STATES), street="Rua", number="1"),
    )


class Shops:
    """One run: the product at work before shelves of which it only knows the records."""

    def __init__(self, db: Database, drawn: Plan, *, guarded: bool) -> None:
        self.db = db
        self.drawn = drawn
        self.guarded = guarded
        self.shelves = dict(drawn.shelves)
        self.gate = Gate(db)
        self.rng = random.Random(SEED + 1)  # noqa: S311 -- the same slips every time
        self.seen = Figures()
        self.cancelled: set[UUID] = set()
        self.reports = 0

    async def open(self, size: Size) -> None:
        """Write the network and the records; with `guarded`, the safety rule."""
        async with self.db.transaction() as tx:
            await tx.execute(NETWORK, {"locations": size.shops})
            for statement in (NO_DOCUMENTS, SHOPS, AT_ONCE):
                await tx.execute(statement)
            await tx.execute(SKUS, {"skus": SKU_COUNT})
            goods = [Claim(sku, shop, units) for (sku, shop), units in sorted(self.drawn.records.items())]
            await inventory.set_on_hand(tx, goods, Reference("bench"), Reason.INITIAL)
            shops = [f"L{n}" for n in range(1, size.shops + 1)]
            await sources.add_source(tx, SourceDraft(code="TILLS", name="Tills", secondary=shops))
            if self.guarded:
                rule = SafetyRuleDraft(code="SHOPS", name="One of each", amount=1, location_kind="store")
                await safety.put(tx, rule, None)
        async with self.db.transaction() as tx:
            await tx.execute("ANALYZE")
        await self.gate.open()

    async def live(self, say: Say) -> Figures:
        """Live through all days; return what was seen."""
        for number, day in enumerate(self.drawn.days, 1):
            say(f"Day {number} of {len(self.drawn.days)}, {'guarded' if self.guarded else 'as it was'}")
            await safety.sweep(self.db)
            for part in day:
                await self._take_orders(part.orders)
                sold = self._walk_in(part.walk_ins)
                self._vanish(part.vanishing)
                await self._work()
                await self._report(sold)
            await drain(self.db, SUBSCRIPTIONS)
            await self._count()
            if self.guarded:
                self.seen.suspected += sum([n async for n in suspicions.look_everywhere(self.db)])
            await self._replenish()
            await self._sleep()
        await drain(self.db, SUBSCRIPTIONS)
        await self.gate.close()
        self.seen.cancelled = len(self.cancelled)
        return self.seen

    async def _take_orders(self, orders: Sequence[NewOrder]) -> None:
        outcomes = await asyncio.gather(*(self.gate.enqueue(order) for order in orders))
        self.seen.submitted += len(orders)
        for order, outcome in zip(orders, outcomes, strict=True):
            if not isinstance(outcome, MalhaError):
                continue
            if outcome.code != "out_of_stock":
                raise outcome
            self.seen.refused += 1
            self.seen.refused_though_there += self._lies_there(order)

    def _lies_there(self, order: NewOrder) -> bool:
        """Tell whether shelves have all of an order: of its shop, or of all shops together."""
        at = order.pickup_location
        return all(
            sum(
                units
                for (sku, shop), units in self.shelves.items()
                if f"SKU{sku}" == line.sku and at in {None, f"L{shop}"}
            )
            >= line.quantity
            for line in order.lines
        )

    def _walk_in(self, wanted: Iterable[Key]) -> list[Key]:
        """Let people take what they see; return what the tills will say they took."""
        told = []
        for key in wanted:
            if self.shelves[key] <= 0:
                continue
            self.shelves[key] -= 1
            other = (key[0] % SKU_COUNT + 1, key[1])
            told.append(other if self.rng.random() < MISREAD and other in self.shelves else key)
        return told

    def _vanish(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.shelves[key] = max(0, self.shelves[key] - 1)

    async def _work(self) -> None:
        """Release, pick and send until nothing is open; what was short is asked of another shop, then cancelled."""
        while True:
            while await order_to_cash.release_due(self.db):
                pass
            async with self.db.transaction() as tx:
                rows = await tx.tuples(OPEN_WORK)
            if not rows:
                break
            work: dict[tuple[UUID, str], list[tuple[int, int, int, int]]] = {}
            for work_id, method, shop, line, sku, units in rows:
                work.setdefault((work_id, method), []).append((shop, line, sku, units))
            whole: list[batch.Errand] = []
            for (work_id, method), wanted in work.items():
                missing = self._pick(wanted)
                if not missing:
                    whole.append(batch.Errand(work_id=work_id, until=ENDS[method], received_by="Customer"))
                    continue
                self.seen.short_picks += len(missing)
                async with self.db.transaction() as tx:
                    await fulfillment.confirm_pick(tx, work_id, None, missing)
                if sum(units for *_, units in wanted) > sum(s.quantity for s in missing):
                    await self._send_rest(work_id, method)
            async with self.db.transaction() as tx:
                await batch.carry_out(tx, whole)
        await self._give_up()

    def _pick(self, wanted: Sequence[tuple[int, int, int, int]]) -> list[Short]:
        """Take from the shelf; return what was not there."""
        missing = []
        for shop, line, sku, units in wanted:
            found = min(units, self.shelves[sku, shop])
            self.shelves[sku, shop] -= found
            if found < units:
                missing.append(Short(line, units - found, RejectReason.NOT_IN_STOCK, sku))
        return missing

    async def _send_rest(self, work_id: UUID, method: str) -> None:
        async with self.db.transaction() as tx:
            await fulfillment.pack(tx, work_id)
            if method == "ship":
                await fulfillment.ship(tx, work_id)
                return
            await fulfillment.make_ready(tx, work_id)
        async with self.db.transaction() as tx:
            code = await fulfillment.pickup_code(tx, work_id)
            await fulfillment.hand_over(tx, work_id, code=code, received_by="Customer")

    async def _give_up(self) -> None:
        """Cancel what no shop has."""
        async with self.db.transaction() as tx:
            rows = await tx.tuples(WAITING)
        wishes: dict[UUID, list[CancelWish]] = {}
        for order_id, line, units in rows:
            wishes.setdefault(order_id, []).append(CancelWish(line, units))
        for order_id, wanted in wishes.items():
            async with self.db.transaction() as tx:
                await fulfillment.cancel(tx, order_id, reason="out of stock", wishes=wanted)
            self.cancelled.add(order_id)

    async def _report(self, sold: Sequence[Key]) -> None:
        """Tills say what they sold since they last did."""
        rows = []
        for sku, shop in sold:
            self.reports += 1
            ref = f"till-{self.reports}"
            rows.append(Delta(ref=ref, sku=f"SKU{sku}", location=f"L{shop}", quantity=-1, reason="hand_over"))
        for start in range(0, len(rows), 500):
            async with self.db.transaction() as tx:
                await deltas.apply_deltas(tx, "TILLS", rows[start : start + 500])

    async def _count(self) -> None:
        """Count in the evening what the product asks to have counted: nothing is set aside then."""
        async with self.db.transaction() as tx:
            rows = await tx.tuples(TO_BE_COUNTED)
        tasks: dict[int, list[Entry]] = {}
        for number, shop, sku in rows:
            tasks.setdefault(number, []).append(Entry(sku, self.shelves.get((sku, shop), 0)))
        for number, entries in tasks.items():
            self.seen.counted += len(entries)
            async with self.db.transaction(COUNTERS[0]) as tx:
                await counts.enter(tx, number, entries, {})
            async with self.db.transaction(COUNTERS[1]) as tx:  # what differs is counted again by somebody else
                again = set(await tx.values(TO_COUNT_AGAIN, {"number": number}))
                if again:
                    await counts.enter(tx, number, [entry for entry in entries if entry.sku_id in again], {})
            async with self.db.transaction(COUNTERS[2]) as tx:
                await counts.approve(tx, number)
                await counts.close(tx, number, {})

    async def _replenish(self) -> None:
        """Fill up what the record says is low; a few deliveries are one short, and nobody notices."""
        async with self.db.transaction() as tx:
            rows = await tx.tuples(RECORDS)
        arriving: dict[int, list[ReceivedLine]] = {}
        for sku, shop, recorded in rows:
            level = self.drawn.levels.get((sku, shop), 0)
            if recorded <= level // 3 < level:
                units = level - max(recorded, 0)
                arriving.setdefault(shop, []).append(ReceivedLine(sku, units))
                self.shelves[sku, shop] += units - (self.rng.random() < SHORT_RECEIPT)
        for shop, lines in arriving.items():
            async with self.db.transaction() as tx:
                await supply.receive(tx, ReceiptDraft(id=new_id(), location_id=shop, lines=lines))

    async def _sleep(self) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(DATE_BACK)
            await tx.execute(DATE_BACK_COUNTS)


async def _run(drawn: Plan, size: Size, url: str, say: Say, *, guarded: bool) -> Figures:
    await migrate(url, "malha")
    await jobs.install(url)
    async with Database(url, "malha") as db:
        shops = Shops(db, drawn, guarded=guarded)
        await shops.open(size)
        seen = await shops.live(say)
    seen.drift = await drift(url)
    return seen


def shelves(size: Size, say: Say) -> dict[str, Any]:
    """Simulate the same days without and with safety rules and phantom detection; return what each saw."""
    drawn = plan(size)
    begun = time.perf_counter()
    seen: dict[str, Figures] = {}
    for name, guarded in (("before", False), ("after", True)):
        with bench_database() as url:
            seen[name] = asyncio.run(_run(drawn, size, url, say, guarded=guarded))

    def both(of: Callable[[Figures], float]) -> dict[str, float]:
        return {name: of(figures) for name, figures in seen.items()}

    wrong = sum(drawn.shelves[key] != drawn.records[key] for key in drawn.records)
    return {
        "shelves_shops": size.shops,
        "shelves_days": size.days,
        "shelves_orders": size.orders * size.days,
        "shelves_record_accuracy": round(1 - wrong / len(drawn.records), 3),
        "shelves_worst_shop_accuracy": round(min(drawn.accuracy), 3),
        "stock_cancels_per_10k": both(lambda f: f.cancels_per_10k),
        "stock_cancelled_orders": both(lambda f: f.cancelled),
        "stock_accepted_orders": both(lambda f: f.accepted),
        "stock_refused_orders": both(lambda f: f.refused),
        "stock_refused_though_there": both(lambda f: f.refused_though_there),
        "stock_short_picks": both(lambda f: f.short_picks),
        "stock_counted": both(lambda f: f.counted),
        "stock_suspected": both(lambda f: f.suspected),
        "shelves_s": round(time.perf_counter() - begun, 1),
        "shelves_drift": sum(figures.drift for figures in seen.values()),
    }
