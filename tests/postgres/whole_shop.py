"""A small retailer on which everything that touches stock can be done, each thing in transactions of its own.

An act is a name and four numbers, which choose among what is there at that moment: so any list of acts makes sense, and
a failing one can be made smaller. Refusals of ours are part of the game; any other error is not.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import msgspec

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows import order_to_cash, stock_sync
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.intake import replanning, substituting
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, NewPayment
from malha.inventory import service as inventory
from malha.inventory.ahead import policies
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.allotments import reads as allotted
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind, State
from malha.inventory.buckets.model import BY_HAND
from malha.inventory.counts import service as counts
from malha.inventory.counts import suspicions
from malha.inventory.counts.model import CountDraft, Entry, Habits, Limits, Suspicion
from malha.inventory.model import Claim, Reference
from malha.inventory.safety import reads as safety_reads
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import Measure, SafetyRuleDraft
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft, ReceiptDraft, ReceivedLine
from malha.inventory.sync import applying, deltas, sources
from malha.inventory.sync.model import Delta, Scope, SourceDraft
from malha.inventory.sync.receiving import Statement
from malha.inventory.transfers import reads as transfer_reads
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import DECISIONS, Arrival, Arrived, Departure, DiscrepancyKind, TransferDraft
from malha.ordering import edits
from malha.ordering.model import Address, CancelWish
from malha.payments import deadlines
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Busy, MalhaError
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product, an_access_key, an_owner_at, in_days

PLACES = ("DC", "S1", "S2", "DC-SP9")  # at the last one the goods of a consignor, at the site of the first
STOCKED = ("CUP", "PLATE")
SOLD = ("CUP", "PLATE", "SET")  # a set is two cups and a plate
CHANNELS = ("web", "till", "mall")
PEOPLE = (Actor("person", "ana", "Ana"), Actor("person", "bia", "Bia"))
SHIP_TO = Address(
    postal_code="01310100", street="Avenida Paulista", number="1", district="Bela Vista", city="São Paulo", state="SP"
)
REASONS = tuple(RejectReason)

Act = Callable[["Shop", int, int, int, int], Awaitable[None]]
ACTS: dict[str, Act] = {}
# Acts that only take or give claims: whatever of them happens, nobody gets what common stock does not have.
CLAIMS: set[str] = set()

ORDERS = "SELECT id FROM sales_order ORDER BY number"
WORKS = "SELECT id FROM fulfillment_order WHERE state = ANY (%(states)s) ORDER BY number"
HOLDS = "SELECT reference FROM stock_hold WHERE state = 'active' AND reference !~ ' ' ORDER BY reference"
TRANSFERS = "SELECT number FROM transfer WHERE state = ANY (%(states)s) ORDER BY number"
COUNTS = "SELECT number FROM count_task WHERE state = ANY (%(states)s) ORDER BY number"
WAITING = """
SELECT o.id FROM sales_order o
WHERE EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.state IN ('unplaced', 'backordered'))
ORDER BY o.number
"""
EVERYTHING_STANDS_IN = """
INSERT INTO variant_substitute (variant_id, substitute_id, position)
SELECT v.id, s.id, s.id FROM variant v JOIN variant s ON s.id <> v.id
"""
CODE_OF = "SELECT pickup_code FROM fulfillment_order WHERE id = %(id)s"
EXPIRE = "UPDATE stock_hold SET expires_at = now() - interval '1 second' WHERE state = 'active' AND reference = %(ref)s"
TIME_OVER = """
UPDATE payment_deadline SET due_at = now() - interval '1 second' WHERE lapsed_at IS NULL AND settled_at IS NULL
"""
KEPT_LONG_ENOUGH = "UPDATE payment_deadline SET cancel_at = now() - interval '1 second' WHERE lapsed_at IS NOT NULL"
WINDOW_OVER = "UPDATE fulfillment_order SET pickup_until = now() - interval '1 second' WHERE state = 'ready'"
EXPECTED = """
SELECT o.number, o.id, l.location_id, l.sku_id FROM inbound_line l JOIN inbound_order o ON o.id = l.order_id
WHERE l.expected > 0 ORDER BY o.number
"""
A_KIT_WAITS = """
SELECT EXISTS (SELECT FROM supply_claim c JOIN order_component k ON k.order_id = c.order_id AND k.line = c.line)
"""
# How many kits could be made of what is free, and where most plates are left once they are.
KITS_THERE = """
SELECT b.location_id, greatest(least(b.cups / 2, b.plates), 0) AS kits, b.plates - least(b.cups / 2, b.plates) AS plates
FROM (
    SELECT location_id,
           coalesce(sum(on_hand - allocated - held - safety) FILTER (WHERE sku_id = %(cup)s), 0)::int AS cups,
           coalesce(sum(on_hand - allocated - held - safety) FILTER (WHERE sku_id = %(plate)s), 0)::int AS plates
    FROM balance GROUP BY 1
) AS b ORDER BY plates DESC, location_id
"""
CLAIMED = """
SELECT location_id, allocated + held + fenced + safety FROM balance WHERE sku_id = %(sku)s ORDER BY location_id
"""
UNPAID = """
SELECT t.order_id, t.position, t.amount FROM tender t JOIN sales_order o ON o.id = t.order_id
WHERE NOT EXISTS (SELECT FROM payment_entry e WHERE e.tender_id = t.id) ORDER BY o.number, t.position
"""


def act(function: Act) -> Act:
    ACTS[function.__name__] = function
    return function


def claim(function: Act) -> Act:
    CLAIMS.add(function.__name__)
    return act(function)


class Shop:
    """The retailer, as two processes see it: each has connections, a gate and a memory of its own."""

    def __init__(self, url: str) -> None:
        self.processes = [Database(url), Database(url)]
        self.gates = [Gate(db) for db in self.processes]
        self.db = self.processes[0]
        self.numbers = 0
        self.lowered: set[str] = set()  # caps that were made smaller: what was sold before may be more
        self.done: dict[str, int] = {}  # how often an act was not refused

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        for db in self.processes:
            await self._stack.enter_async_context(db)
        return self

    async def __aexit__(self, *_: object) -> None:
        for gate in self.gates:
            await gate.close()
        await self._stack.aclose()

    async def begin(self, stock: int) -> None:
        async with self.db.transaction() as tx:
            self.world = await a_network(tx)
            await an_owner_at(tx, self.world, "DC", "SP9", root="98765432")
            self.skus = {
                "CUP": await a_product(tx, self.world, "CUP", stock={"DC": stock, "S1": 5, "S2": 3, "DC-SP9": 4}),
                "PLATE": await a_product(tx, self.world, "PLATE", stock={"DC": stock, "S1": 4}),
            }
            parts = {self.skus["CUP"]: 2, self.skus["PLATE"]: 1}
            self.skus["SET"] = await a_product(tx, self.world, "SET", components=parts)
            await tx.execute("UPDATE channel SET release_delay_minutes = 0")
            await tx.execute(EVERYTHING_STANDS_IN)
            draft = SourceDraft(
                code="ERP", name="ERP", truth=["DC", "DC-SP9", "S1"], secondary=["S2"], zero_percent=100
            )
            await sources.add_source(tx, draft)

    async def carry_out(self, what: tuple[str, int, int, int, int]) -> None:
        """Do one thing; a refusal and a lost race are fine, and leave nothing behind."""
        name, *numbers = what
        try:
            await ACTS[name](self, *numbers)
        except (MalhaError, Busy):
            return
        self.done[name] = self.done.get(name, 0) + 1

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    async def some(self, at: int, statement: Any, **params: Any) -> Any:
        """Return one of the values of a statement, or None."""
        async with self.db.transaction() as tx:
            found = await tx.values(statement, params)
        return found[at % len(found)] if found else None

    def place(self, n: int) -> int:
        return self.world.locations[PLACES[n % len(PLACES)]]

    def sku(self, n: int) -> int:
        return self.skus[STOCKED[n % 2]]

    def an_order(self, a: int, b: int, c: int, d: int, **more: Any) -> NewOrder:
        channel = CHANNELS[a % 3]
        skus = [SOLD[b % 3], SOLD[(b + 1 + b // 3 % 2) % 3]][: 1 + b // 6 % 2]  # one or two lines, in any order
        lines = [NewLine(sku=sku, quantity=1 + (c + n) % 3, unit_price=1000) for n, sku in enumerate(skus)]
        total = sum(line.quantity * 1000 for line in lines)
        pickup = d % 4 == 0
        pays = NewPayment(kind="pix", amount=total, state="pending" if channel == "web" and d % 3 else "captured")
        return NewOrder(
            channel=channel,
            external_id=f"E{self.number()}",
            lines=lines,
            ship_to=None if pickup else SHIP_TO,
            method="pickup" if pickup else "ship",
            pickup_location=PLACES[d // 4 % len(PLACES)] if pickup else None,
            payments=[pays],
            customer_group="vip" if a % 5 == 0 else None,
            **more,
        )


# --- ways in which orders come ---


@claim
async def order(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    await shop.gates[a % 2].submit(shop.an_order(a // 2, b, c, d))


@claim
async def batch(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    gate = shop.gates[a % 2]
    for future in [gate.enqueue(shop.an_order(a // 2 + n, b + n, c + n, d)) for n in range(3)]:
        await future


@claim
async def history(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    """An import of orders: through a gate, to be released at once; then the same once more."""
    order = shop.an_order(a // 2, b, c, d)
    first = await shop.gates[a % 2].submit(order, release_now=True)
    again = await shop.gates[1 - a % 2].submit(order, release_now=True)
    assert again.id == first.id


@claim
async def cart(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    claims = [Claim(shop.sku(b), shop.place(d), 1 + c % 3)]
    if b % 3 == 0:
        claims.append(Claim(shop.sku(b + 1), shop.place(d // 3), 1))
    async with shop.processes[a % 2].transaction() as tx:
        await inventory.place_hold(
            tx, f"cart-{shop.number()}", claims, seconds=300, channel_id=shop.world.channels[CHANNELS[a // 2 % 3]]
        )


@claim
async def order_of_cart(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    reference = await shop.some(d, HOLDS)
    if reference:
        await shop.gates[a % 2].submit(shop.an_order(a // 2, b, c, d, hold_reference=reference))


@claim
async def give_up_cart(shop: Shop, a: int, *_: int) -> None:
    reference = await shop.some(a, HOLDS)
    if reference:
        async with shop.db.transaction() as tx:
            await inventory.release_hold(tx, reference)


# --- the clock ---


@claim
async def cart_expires(shop: Shop, a: int, *_: int) -> None:
    reference = await shop.some(a, HOLDS)
    async with shop.db.transaction() as tx:
        await tx.execute(EXPIRE, {"ref": reference})


@claim
async def sweep_holds(shop: Shop, *_: int) -> None:
    async with shop.db.transaction() as tx:
        await inventory.retire_expired(tx)


@claim
async def time_to_pay_ends(shop: Shop, a: int, *_: int) -> None:
    async with shop.db.transaction() as tx:
        await tx.execute(TIME_OVER)
        if a % 3 == 0:
            await tx.execute(KEPT_LONG_ENOUGH)
    await order_to_cash.watch_payments(shop.processes[a % 2])


@claim
async def pickup_window_ends(shop: Shop, a: int, *_: int) -> None:
    async with shop.db.transaction() as tx:
        await tx.execute(WINDOW_OVER)
    await order_to_cash.watch_pickups(shop.processes[a % 2])


# --- orders on their way ---


@claim
async def cancel(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    order_id = await shop.some(a, ORDERS)
    if order_id:
        wishes = None if b % 3 == 0 else [CancelWish(1 + b % 2, 1 + c % 2)]
        async with shop.db.transaction() as tx:
            await fulfillment.cancel(tx, order_id, reason="x", wishes=wishes, rest=b % 2 == 0 and wishes is None)
            await payments.restate(tx, [order_id])


@claim
async def pay(shop: Shop, a: int, *_: int) -> None:
    async with shop.db.transaction() as tx:
        waiting = await tx.tuples(UNPAID)
    if waiting:
        order_id, position, amount = waiting[a % len(waiting)]
        async with shop.db.transaction() as tx:
            fact = Fact(position=position, kind=FactKind.CAPTURED, amount=amount, reference="e2e")
            await payments.record_fact(tx, order_id, fact)
            await payments.settle_holds(tx, [order_id])
            await deadlines.welcome_late_money(tx, [order_id])


@claim
async def place_waiting(shop: Shop, a: int, *_: int) -> None:
    order_id = await shop.some(a, WAITING)
    if order_id:
        async with shop.db.transaction() as tx:
            await replanning.place_units(tx, order_id)


@claim
async def substitute(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    """Something else stands in for what an order waits for."""
    order_id = await shop.some(a, WAITING)
    if order_id:
        async with shop.processes[b % 2].transaction() as tx:
            await substituting.replace(tx, order_id, 1 + b // 2 % 4, SOLD[c % 3], None if c % 2 else 1)
            await payments.restate(tx, [order_id])


@claim
async def send_elsewhere(shop: Shop, a: int, b: int, *_: int) -> None:
    order_id = await shop.some(a, ORDERS)
    if order_id:
        other = Address(**{**_fields(SHIP_TO), "state": ("SP", "RJ", "MG")[b % 3]})
        async with shop.db.transaction() as tx:
            await edits.change_address(tx, order_id, other)
        async with shop.db.transaction() as tx:
            await replanning.replan(tx, order_id)


def _fields(address: Address) -> dict[str, Any]:
    return {name: getattr(address, name) for name in Address.__struct_fields__}


@claim
async def digest(shop: Shop, a: int, *_: int) -> None:
    """What happened is told to those who react to it."""
    await drain(shop.processes[a % 2], SUBSCRIPTIONS)


@claim
async def release(shop: Shop, a: int, *_: int) -> None:
    await order_to_cash.release_due(shop.processes[a % 2])


# --- work at locations ---


async def _work(shop: Shop, at: int, *states: str) -> UUID | None:
    found: UUID | None = await shop.some(at, WORKS, states=list(states))
    return found


@act
async def pick(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    work = await _work(shop, a, "open", "accepted", "picking")
    if work is None:
        return
    sku = shop.sku(c)
    async with shop.db.transaction() as tx:
        if b % 3 == 0:
            await fulfillment.confirm_pick(tx, work)
        elif b % 3 == 1:
            await fulfillment.confirm_pick(tx, work, [Picked(1 + c // 2 % 2, 1 + d % 2, sku)])
        else:
            short = [Short(1 + c // 2 % 2, 1 + d // 7 % 2, REASONS[d % 7], sku)]
            await fulfillment.confirm_pick(tx, work, None if d % 2 else [], short)


@act
async def reject(shop: Shop, a: int, b: int, *_: int) -> None:
    work = await _work(shop, a, "open", "accepted", "picking", "picked")
    if work is not None:
        async with shop.db.transaction() as tx:
            await fulfillment.reject(tx, work, REASONS[b % 7])


@act
async def go_on(shop: Shop, a: int, b: int, *_: int) -> None:
    """The next right things with a piece of work: pick, pack, document, let it leave."""
    work = await _work(shop, a, "open", "accepted", "picking", "picked", "packed", "ready")
    if work is None:
        return
    for step in (_picked, _packed, _documented, _left)[: 1 + b % 4]:
        try:
            await step(shop, work)
        except MalhaError:  # it is further, or somebody else has it
            continue


async def _picked(shop: Shop, work: UUID) -> None:
    async with shop.db.transaction() as tx:
        await fulfillment.confirm_pick(tx, work)


async def _packed(shop: Shop, work: UUID) -> None:
    async with shop.db.transaction() as tx:
        await fulfillment.pack(tx, work)


async def _documented(shop: Shop, work: UUID) -> None:
    number = shop.number()
    for issuer in ("SP1", "RJ1", "SP9"):  # one of them owns the stock, the other one is refused
        facts = DocumentFacts(access_key=an_access_key(shop.world, issuer, number=number))
        try:
            async with shop.db.transaction() as tx:
                await fiscal.record_document(tx, work, facts)
        except MalhaError:
            continue


async def _left(shop: Shop, work: UUID) -> None:
    try:
        async with shop.db.transaction() as tx:
            for parcel in await fulfillment.ship(tx, work):
                await fulfillment.deliver(tx, parcel)
    except MalhaError:
        async with shop.db.transaction() as tx:
            if await tx.value(CODE_OF, {"id": work}) is None:
                await fulfillment.make_ready(tx, work)
                return
        async with shop.db.transaction() as tx:
            code = await fulfillment.pickup_code(tx, work)
            await fulfillment.hand_over(tx, work, code=code, received_by="Maria")


# --- goods ---


@act
async def purchase(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    """Goods are ordered, and come: fewer, as many or more, some of them damaged."""
    place, sku = shop.place(a), shop.sku(b)
    line = InboundLineDraft(sku, 1 + c % 4, date(2027, 1, 1))
    draft = InboundDraft(kind=InboundKind.PURCHASE, supplier="Sul", location_id=place, lines=[line])
    async with shop.db.transaction() as tx:
        placed = await supply.place_order(tx, draft)
    arrived = [ReceivedLine(sku, 1 + d % 5, BY_HAND[d // 5 % 4])]
    receipt = ReceiptDraft(
        id=new_id(), location_id=place, lines=arrived, order_id=placed.id, accept_over=bool(d // 20 % 2)
    )
    async with shop.db.transaction() as tx:
        await supply.receive(tx, receipt)


@act
async def receive(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    lines = [ReceivedLine(shop.sku(b + n), 1 + c % 4, BY_HAND[d % 4]) for n in range(1 + b // 2 % 2)]
    async with shop.db.transaction() as tx:
        await supply.receive(tx, ReceiptDraft(id=new_id(), location_id=shop.place(a), lines=lines))


@act
async def take_receipt_back(shop: Shop, a: int, *_: int) -> None:
    number = await shop.some(a, "SELECT number FROM receipt ORDER BY number")
    if number is not None:
        async with shop.db.transaction() as tx:
            await supply.undo_receipt(tx, number, "mistake")


@act
async def move(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    async with shop.db.transaction() as tx:
        await supply.move_by_hand(
            tx, shop.place(a), [(shop.sku(b), 1 + c % 4)], BY_HAND[d % 4], BY_HAND[(d + 1 + d // 4 % 3) % 4]
        )


@claim
async def ask_for_transfer(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    draft = TransferDraft(
        origin_id=shop.place(a),
        destination_id=shop.place(a + 1 + b % 2),
        lines=[(shop.sku(c + n), 1 + d % 4) for n in range(1 + c // 2 % 2)],
    )
    async with shop.db.transaction() as tx:
        number = await transfers.request(tx, draft)
    async with shop.db.transaction() as tx:
        await transfers.approve(tx, number)


@act
async def send_transfer(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    number = await shop.some(a, TRANSFERS, states=["requested", "approved"])
    if number is not None:
        async with shop.db.transaction() as tx:
            if b % 4 == 0:
                await transfers.cancel(tx, number, "x")
            else:
                some = {1: 1} if b % 4 == 1 else {}
                await transfers.ship(tx, number, Departure(document="NF-e", quantities=some, more_follows=c % 3 > 0))


@act
async def send_more_of_a_transfer(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    number = await shop.some(a, TRANSFERS, states=["partly_shipped"])
    if number is not None:
        async with shop.db.transaction() as tx:
            if b % 4 == 0:
                await transfers.close_rest(tx, number, "x")
            else:
                some = {1: 1} if b % 4 == 1 else {}
                await transfers.ship(tx, number, Departure(document="NF-e", quantities=some, more_follows=c % 2 > 0))


@act
async def transfer_arrives(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    number = await shop.some(a, TRANSFERS, states=["shipped", "partly_shipped"])
    if number is None:
        return
    lines = [Arrived(shop.sku(b + n), 1 + c % 5, BY_HAND[d % 2]) for n in range(1 + b // 2 % 2)]
    shipment = (None, None, 1, 2)[c % 4]
    arrival = Arrival(id=new_id(), lines=lines, complete=bool(d // 2 % 2), shipment=shipment)
    async with shop.db.transaction() as tx:
        await transfers.receive(tx, number, arrival)


@act
async def decide(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    number = await shop.some(a, TRANSFERS, states=["partly_shipped", "shipped", "received"])
    if number is None:
        return
    async with shop.db.snapshot() as tx:
        transfer = await transfer_reads.transfer(tx, number)
        assert transfer is not None
        open_ = [x for x in await transfer_reads.discrepancies(tx, transfer.id) if x.decision is None]
    if open_:
        one = open_[b % len(open_)]
        choices = DECISIONS[DiscrepancyKind(one.kind)]
        async with shop.db.transaction() as tx:
            units = min(one.quantity, 1 + c % 3)
            await transfers.decide(tx, number, one.id, choices[b % len(choices)], units=units, reference="S-1")


# --- goods that are sold before they come ---


@claim
async def sell_ahead(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    sku = shop.sku(a)
    async with shop.db.transaction() as tx:
        product = await tx.value("SELECT product_id FROM variant WHERE id = %(id)s", {"id": sku})
        draft = PolicyDraft(product_id=product, sku_id=sku, mode=Mode.BACKORDER, cap=2 + c if b % 3 else None)
        standing = {p.sku_id: p.version for p in await ahead.of_product(tx, product)}
        await policies.put(tx, draft, standing.get(sku))


@claim
async def kit_sold_ahead(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    """A component is on order, and a kit is wanted more than could be made of what is there."""
    async with shop.db.snapshot() as tx:
        there = await tx.tuples(KITS_THERE, {"cup": shop.skus["CUP"], "plate": shop.skus["PLATE"]})
    names = {id_: PLACES.index(code) for code, id_ in shop.world.locations.items() if code in PLACES}
    await sell_ahead(shop, STOCKED.index("CUP"), 0, 0, 0)
    await expect(shop, names[there[0][0]], STOCKED.index("CUP"), 5, d)
    gate = shop.gates[a % 2]
    gate.cache.expire()  # it looks again at what may be sold ahead
    wanted = shop.an_order(c, SOLD.index("SET"), c, 1)
    quantity = sum(kits for _, kits, _ in there) + 1 + b % 2
    await gate.submit(msgspec.structs.replace(wanted, lines=[NewLine("SET", quantity, 1000)], payments=[]))
    async with shop.db.snapshot() as tx:
        if await tx.value(A_KIT_WAITS):
            shop.done["a kit waits"] = shop.done.get("a kit waits", 0) + 1


@claim
async def expect(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    day = in_days(1 + d)
    line = InboundLineDraft(shop.sku(b), 1 + c % 6, day)
    draft = InboundDraft(
        kind=InboundKind.PURCHASE, supplier="Sul", location_id=shop.place(a), lines=[line], over_percent=100
    )
    async with shop.processes[a % 2].transaction() as tx:
        await supply.place_order(tx, draft)


@act
async def what_was_expected_comes(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    async with shop.db.snapshot() as tx:
        rows = await tx.tuples(EXPECTED)
    if rows:
        _, id_, place, sku = rows[a % len(rows)]
        lines = [ReceivedLine(sku, 1 + c % 3, BY_HAND[d % 4] if d % 3 == 0 else BY_HAND[0])]
        async with shop.processes[b % 2].transaction() as tx:
            await supply.receive(tx, ReceiptDraft(id=new_id(), location_id=place, lines=lines, order_id=id_))


@claim
async def another_day(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    """What is expected comes on another day, or not at all."""
    async with shop.db.snapshot() as tx:
        rows = await tx.tuples(EXPECTED)
    if rows:
        number = rows[a % len(rows)][0]
        async with shop.processes[b % 2].transaction() as tx:
            if b % 3 == 0:
                await supply.drop_lines(tx, number, None, "gone")
            else:
                await supply.reschedule(tx, number, {1: in_days(1 + c)})


@claim
async def follow_supply(shop: Shop, a: int, b: int, *_: int) -> None:
    """The jobs that events of supply make: an order follows, a queue moves up."""
    order_id = await shop.some(a, WAITING)
    if order_id and b % 3:
        await order_to_cash.follow_supply.work(shop.processes[b % 2], order_id=str(order_id))
    else:
        await order_to_cash.line_up.work(shop.processes[b % 2], sku_id=shop.sku(a), location_id=shop.place(b))


# --- the last units ---


@act
async def last_units(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    """A unit or two are left at each place, and carts and orders want them at the same moment."""
    async with shop.db.transaction() as tx:
        claimed = await tx.tuples(CLAIMED, {"sku": shop.sku(b)})
        left = [Claim(shop.sku(b), place, units + 1 + c % 2) for place, units in claimed]
        await inventory.set_on_hand(tx, left, Reference("count"))
    wanted = [order(shop, a + n, b % 2, 0, 1) for n in range(6)] + [cart(shop, a + n, b % 2, 0, n) for n in range(6)]
    for refused in await asyncio.gather(*wanted, return_exceptions=True):
        if refused is not None and not isinstance(refused, (MalhaError, Busy)):
            raise refused


# --- counts ---


@act
async def begin_count(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    skus = None if c % 3 == 0 else [shop.sku(b)]
    limits = Limits(999, 10**9) if b % 2 else Limits(1, 10**9)
    zone = skus is not None and c % 6 == 1
    draft = CountDraft(
        location_id=shop.place(a),
        skus=skus,
        limits=limits,
        freeze=c % 6 == 0,
        freeze_zone=zone,
        zone="A" if zone else "",
    )
    async with shop.db.transaction(PEOPLE[0]) as tx:
        await counts.raise_count(tx, draft)


@act
async def count(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    number = await shop.some(a, COUNTS, states=["open"])
    if number is not None:
        async with shop.db.transaction(PEOPLE[d % 2]) as tx:
            await counts.enter(tx, number, [Entry(shop.sku(b), c % 14)], {})


@act
async def end_count(shop: Shop, a: int, b: int, *_: int) -> None:
    number = await shop.some(a, COUNTS, states=["open", "applying"])
    if number is None:
        return
    async with shop.db.transaction(PEOPLE[b % 2]) as tx:
        match b // 2 % 4:
            case 0:
                await counts.cancel(tx, number, "x")
            case 1:
                await counts.recount(tx, number, list(shop.skus.values()))
            case 2:
                await counts.approve(tx, number)
    if b // 2 % 4 >= 2:
        async with shop.db.transaction(PEOPLE[b % 2]) as tx:
            await counts.close(tx, number, {}, uncounted_is_zero=b % 9 == 0)


@claim
async def suspect(shop: Shop, a: int, b: int, *_: int) -> None:
    place, sku = shop.place(a), shop.sku(b)
    async with shop.db.transaction() as tx:
        rows = await tx.tuples(
            "SELECT on_hand - allocated - held - safety - fenced, on_hand FROM balance"
            " WHERE sku_id = %(sku)s AND location_id = %(place)s",
            {"sku": sku, "place": place},
        )
        if rows:
            free, on_hand = rows[0]
            habits = Habits(
                sku_id=sku,
                location_id=place,
                free=free,
                on_hand=on_hand,
                short_picks=2,
                sales=9,
                observed=9.0,
                silence=5.0,
            )
            await suspicions.keep_back(tx, [Suspicion(habits, 90, 0.001)])


# --- what sources state ---


@act
async def snapshot(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    """A source states some balances as of a moment ago."""
    rows = [(STOCKED[(b + n) % 2], PLACES[(a + n) % len(PLACES)], (c + 3 * n) % 16) for n in range(1 + b // 2 % 4)]
    file = "sku;location;on_hand\n" + "".join(f"{s};{p};{q}\n" for s, p, q in dict.fromkeys(rows))
    scope = Scope.WHOLE if d % 5 == 0 else Scope.PARTIAL

    async def body() -> AsyncIterator[bytes]:
        yield file.encode()

    as_of = datetime.now(UTC) - timedelta(seconds=d % 4)
    said = Statement(source="ERP", seq=shop.number(), as_of=as_of, scope=scope)
    taken = await stock_sync.receive(shop.processes[a % 2], PEOPLE[0], said, body(), limit_mb=1)
    await applying.apply(shop.processes[a % 2], taken.id, at_once=2)


@act
async def report(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    """A source reports changes; one of them twice."""
    number = shop.number()
    rows = [
        Delta(
            ref=f"{number}-{n}",
            sku=STOCKED[(b + n) % 2],
            location=PLACES[(a + n) % len(PLACES)],
            quantity=c % 12 if d % 3 == 0 else (c + n) % 5 - 2,
            sets=d % 3 == 0,
            expected=c % 8 if d % 7 == 0 else None,
        )
        for n in range(1 + d % 4)
    ]
    async with shop.processes[a % 2].transaction(PEOPLE[0]) as tx:
        await deltas.apply_deltas(tx, "ERP", [*rows, rows[0]])


# --- fences, caps, safety ---


@claim
async def fence(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    channels = (CHANNELS[a % 3],) if a % 2 else (CHANNELS[a % 3], CHANNELS[(a + 1) % 3])
    draft = AllotmentDraft(
        code=f"F{shop.number()}",
        name="Fence",
        kind=Kind.FENCE,
        channels=channels,
        customer_groups=("vip",) if d % 5 == 0 else (),
        stock=tuple(FenceRow(STOCKED[(b + n) % 2], PLACES[d % len(PLACES)], c % 7) for n in range(1 + b // 2 % 2)),
    )
    async with shop.db.transaction() as tx:
        await allotments.put(tx, draft, None)


@claim
async def change_allotment(shop: Shop, a: int, b: int, *_: int) -> None:
    async with shop.db.transaction() as tx:
        active = [x for x in await allotted.listed(tx) if x.state is State.ACTIVE]
        if not active:
            return
        one = active[a % len(active)]
        rows = (
            await tx.tuples(
                "SELECT v.sku, l.code FROM fence_stock f JOIN variant v ON v.id = f.sku_id"
                " JOIN location l ON l.id = f.location_id WHERE f.allotment_id = %(id)s ORDER BY 1, 2",
                {"id": one.id},
            )
            if one.kind is Kind.FENCE
            else []
        )
        draft = AllotmentDraft(
            code=one.code,
            name=one.name,
            kind=one.kind,
            channels=tuple(one.channels),
            customer_groups=tuple(one.customer_groups),
            quota=None if one.kind is Kind.FENCE else b % 9,
            per_sku=one.per_sku,
            locations=tuple(one.locations),
            stock=tuple(FenceRow(sku, place, (b + n) % 8) for n, (sku, place) in enumerate(rows)),
        )
        await allotments.put(tx, draft, one.version)
    if one.kind is Kind.CAP:
        shop.lowered.add(one.code)


@claim
async def end_allotment(shop: Shop, a: int, *_: int) -> None:
    async with shop.db.transaction() as tx:
        active = [x.code for x in await allotted.listed(tx) if x.state is State.ACTIVE]
    if active:
        async with shop.db.transaction() as tx:
            await allotments.end(tx, active[a % len(active)])


@claim
async def cap(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    draft = AllotmentDraft(
        code=f"C{shop.number()}",
        name="Cap",
        kind=Kind.CAP,
        channels=() if a % 4 == 0 else (CHANNELS[a % 3],),
        quota=b % 8,
        per_sku=bool(c % 2),
        locations=(PLACES[c % len(PLACES)],) if c % 4 == 0 else (),
    )
    async with shop.db.transaction() as tx:
        await allotments.put(tx, draft, None)


@claim
async def care(shop: Shop, *_: int) -> None:
    await allotments.care(shop.db)


@act
async def safety_rule(shop: Shop, a: int, b: int, c: int, _: int) -> None:
    """A rule is made or taken away; the sweep writes what rules say."""
    async with shop.db.transaction() as tx:
        rules = await safety_reads.all_rules(tx)
        if len(rules) > 1 or (rules and a % 2):
            await safety.remove(tx, rules[0].code, rules[0].version)
        else:
            measure = Measure.PERCENT if b % 2 else Measure.UNITS
            draft = SafetyRuleDraft(
                code=f"R{shop.number()}", name="Rule", amount=c % 4 * (10 if b % 2 else 1), measure=measure
            )
            await safety.put(tx, draft, None)
    await safety.sweep(shop.db)


@act
async def keep_back(shop: Shop, a: int, b: int, c: int, d: int) -> None:
    async with shop.db.transaction() as tx:
        if d % 3:
            await inventory.set_safety(tx, [Claim(shop.sku(a), shop.place(b), c % 4)])
        else:
            await safety.drop_overrides(tx, [(shop.sku(a), shop.place(b))])


async def balances(tx: Tx) -> dict[tuple[int, int], int]:
    """Return what of common stock may still be claimed, by balance; below zero where facts left too little."""
    rows = await tx.tuples(
        "SELECT sku_id, location_id, on_hand - allocated - held - safety - fenced FROM balance ORDER BY 1, 2"
    )
    return {(sku, place): free for sku, place, free in rows}
