"""Building the demo: the same services that people and channels use, in the order in which a retailer would start."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from malha.capacity import service as capacity
from malha.capacity.model import Kind
from malha.catalog import reads as catalog
from malha.catalog import service as catalog_service
from malha.catalog.model import ProductDraft
from malha.demo import motion, planning, retailer, windows
from malha.demo.orders import Fate, Person, Shoppers, Tale, people, tales
from malha.demo.retailer import CONSIGNED
from malha.demo.words import CONSIGNED_AT
from malha.fiscal.model import DocumentFacts, Issuer, Provider
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason, Short, Work
from malha.history import reads as history_reads
from malha.history.life import live
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, NewPayment, Placed
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.network import reads as network
from malha.network import service as network_service
from malha.ordering import cancelling, edits, holds
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform import outbox
from malha.platform.brazil import build_access_key
from malha.platform.db import Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.subscribers import drain

CUSTOMERS = 900
AT_ONCE = 200  # lives in one transaction: a life costs a third of what it costs among twenty
Progress = Callable[[str, int, int], None]


class Built(msgspec.Struct):
    """What was built."""

    orders: int
    work: int
    refused: int


class Documents:
    """Issues fiscal documents as the retailer's ERP would: numbered without gaps per establishment."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last: dict[str, int] = {}

    async def go_on(self, tx: Tx) -> None:
        """Go on after the numbers that are in the books, if this has not begun."""
        if not self._last:
            self._last = await history_reads.last_numbers(tx)

    def issue(self, work: Work, issuer: Issuer, at: datetime) -> DocumentFacts:
        """Return the document of packed work."""
        number = self._last.get(issuer.cnpj, 0) + 1
        self._last[issuer.cnpj] = number
        key = build_access_key(
            state=issuer.state,
            year=at.year,
            month=at.month,
            issuer=issuer.cnpj,
            model="65" if work.method == "pickup" else "55",
            series=1,
            number=number,
            code=f"{self._rng.randrange(10**8):08}",
        )
        return DocumentFacts(access_key=key, issued_at=at, provider=Provider.ERP)


async def build(db: Database, *, orders: int, seed: int, progress: Progress) -> Built:
    """Write the retailer and its last thirty days; deterministic but for the instants, which end now."""
    rng = random.Random(seed)
    goods = retailer.products(rng)
    kits = retailer.kits(goods)
    await _reference_data(db, [*goods, *kits], progress)
    stock = retailer.stock(rng, [v.sku for draft in goods for v in draft.variants])
    await _stock(db, stock, progress)
    await planning.rule(db)
    customers = people(rng, CUSTOMERS)
    shoppers = Shoppers(rng, customers, [*goods, *kits], stock)
    told = list(tales(rng, shoppers, orders, datetime.now(UTC)))
    placed, refused = await _intake(db, told, progress)
    await _picking(db, orders)  # after a month was placed in a minute, which no day has room for
    await planning.draft(db)
    await planning.supply(db, [v.sku for draft in goods for v in draft.variants])
    await windows.open_(db, [v.sku for draft in goods for v in draft.variants])
    await drain(db, SUBSCRIPTIONS)
    documents = Documents(rng)
    work = await _lives(db, told, placed, documents, progress)
    await _fates(db, told, placed, rng, progress)
    progress("Digesting events", 0, 1)
    await drain(db, SUBSCRIPTIONS)
    await _one_walk(db, goods, stock, customers)
    await motion.staff(db)
    await motion.move(db, stock, rng)
    await drain(db, SUBSCRIPTIONS)
    progress("Digesting events", 1, 1)
    return Built(len(placed), work, refused)


async def _reference_data(db: Database, goods: Sequence[ProductDraft], progress: Progress) -> None:
    async with db.transaction() as tx:
        await network_service.put_establishments(tx, retailer.establishments())
        await network_service.put_locations(tx, retailer.locations())
        await network_service.put_channels(tx, retailer.channels())
        await network_service.put_services(tx, retailer.services())
        await catalog_service.put_categories(tx, retailer.categories())
    for start in range(0, len(goods), 40):
        async with db.transaction() as tx:
            await catalog_service.put_products(tx, goods[start : start + 40])
        progress("Catalogue", start, len(goods))


async def _picking(db: Database, orders: int) -> None:
    """Let some places prepare their orders in slots of the day."""
    async with db.transaction() as tx:
        for code, week in retailer.picking_slots(orders).items():
            place = await network.location_by_code(tx, code)
            assert place is not None  # noqa: S101 -- it was written before
            await capacity.set_templates(tx, place, {Kind.PICK: week})


async def _stock(db: Database, rows: Sequence[tuple[str, str, int]], progress: Progress) -> None:
    async with db.transaction() as tx:
        places = (await network.snapshot(tx)).location_ids
        ids = {card.sku: card.id for card in await catalog.by_skus(tx, sorted({sku for sku, _, _ in rows}))}
    for start in range(0, len(rows), 4_000):
        goods = [Claim(ids[sku], places[place], units) for sku, place, units in rows[start : start + 4_000]]
        async with db.transaction() as tx:
            await inventory.set_on_hand(tx, goods, Reference("import", text="demo"), Reason.INITIAL)
        progress("Stock", start, len(rows))


async def _intake(db: Database, told: Sequence[Tale], progress: Progress) -> tuple[dict[str, Placed], int]:
    gate = Gate(db)
    placed: dict[str, Placed] = {}
    refused = 0
    for start in range(0, len(told), 200):
        part = told[start : start + 200]
        outcomes = await asyncio.gather(*(gate.enqueue(tale.order) for tale in part))
        for tale, outcome in zip(part, outcomes, strict=True):
            if isinstance(outcome, MalhaError):
                refused += 1
            else:
                placed[tale.order.external_id or ""] = outcome
        progress("Orders", start, len(told))
    await gate.close()
    return placed, refused


async def _lives(
    db: Database, told: Sequence[Tale], placed: dict[str, Placed], documents: Documents, progress: Progress
) -> int:
    stories = [
        (order.id, tale.story)
        for tale in told
        if tale.story is not None
        and (order := placed.get(tale.order.external_id or "")) is not None
        and order.status == "allocated"
    ]
    work = 0
    for start in range(0, len(stories), AT_ONCE):
        async with db.transaction() as tx:
            work += await live(tx, dict(stories[start : start + AT_ONCE]), documents.issue)
        progress("Life of the orders", start, len(stories))
    return work


async def _fates(
    db: Database, told: Sequence[Tale], placed: dict[str, Placed], rng: random.Random, progress: Progress
) -> None:
    """Let people do what they do: cancel, hold, miss a piece on the shelf, leave a note."""
    for n, tale in enumerate(told):
        if n % 100 == 0:
            progress("Deeds of people", n, len(told))
        order = placed.get(tale.order.external_id or "")
        if order is None or tale.fate is Fate.NONE or (order.status != "allocated" and tale.fate is not Fate.NOTE):
            continue
        async with db.transaction() as tx:
            await _meet(tx, tale, order, rng)


async def _meet(tx: Tx, tale: Tale, order: Placed, rng: random.Random) -> None:
    match tale.fate:
        case Fate.CANCELLED:
            done = await cancelling.cancel(tx, order.id, reason="Cliente desistiu")
            await _refund(tx, order.id, done.amount)
            await _soon_after(tx, tale, order.id)
        case Fate.PART_CANCELLED:
            done = await cancelling.cancel(
                tx, order.id, reason="Cliente desistiu de um item", wishes=[CancelWish(1, 1)]
            )
            await _refund(tx, order.id, done.amount)
            await _soon_after(tx, tale, order.id)
        case Fate.FRAUD:
            await holds.place_hold(tx, order.id, HoldKind.FRAUD, note="Endereço novo e valor alto")
        case Fate.NOTE:
            await edits.add_note(tx, order.id, rng.choice(_NOTES))
        case Fate.SHORT_PICK:
            await _miss_a_piece(tx, order.id)
        case Fate.NONE:
            pass


async def _one_walk(
    db: Database, goods: Sequence[ProductDraft], stock: Sequence[tuple[str, str, int]], customers: Sequence[Person]
) -> None:
    """Let orders of this moment want the goods of both owners at one depot: they are fetched in one walk."""
    prices = {v.sku: v.price or 0 for draft in goods for v in draft.variants}
    of_both = {sku for sku, place, _ in stock if place == CONSIGNED_AT}
    theirs = [sku for sku, place, units in stock if place == CONSIGNED and units > 20 and sku not in of_both][:4]
    ours = [sku for sku, place, units in stock if place == CONSIGNED_AT and units > 20][:3]
    near = [person for person in customers if person.address.state == "SP"]
    baskets = (theirs[:1], theirs[1:3], ours[:1], theirs[3:], ours[1:])
    async with db.transaction() as tx:
        at = await tx.now()
    gate = Gate(db)
    placed = []
    for n, (skus, person) in enumerate(zip(baskets, near, strict=False), 1):
        lines = [NewLine(sku, 1 + n % 2, prices[sku]) for sku in skus]
        total = sum(line.quantity * line.unit_price for line in lines)
        order = NewOrder(
            channel="site",
            external_id=f"D-{CONSIGNED}-{n}",
            placed_at=at,
            customer=person.buyer,
            ship_to=person.address,
            lines=lines,
            payments=[NewPayment(kind="pix", amount=total, state="captured", reference=f"E{CONSIGNED}{n}", paid_at=at)],
        )
        placed.append((await gate.submit(order)).id)
    await gate.close()
    await drain(db, SUBSCRIPTIONS)
    async with db.transaction() as tx:
        await fulfillment.release(tx, placed, forced=True)


async def _refund(tx: Tx, order_id: UUID, amount: int) -> None:
    standing = await payments.standing(tx, order_id)
    due = min(amount, standing.captured - standing.refunded)
    if due > 0:
        # The demo's orders have one tender each.
        fact = Fact(position=1, kind=FactKind.REFUNDED, amount=due, reference=f"R{order_id.hex[:10]}")
        await payments.record_fact(tx, order_id, fact)


async def _soon_after(tx: Tx, tale: Tale, order_id: UUID) -> None:
    """Have been cancelled on the day it was placed: nobody is told today of what happened weeks ago."""
    if tale.order.placed_at is not None:
        at = min(tale.order.placed_at + timedelta(hours=3), await tx.now())
        await outbox.restate(
            tx, [(f"order:{order_id}", type_, at) for type_ in ("order.cancelled", "payment.refunded")]
        )


async def _miss_a_piece(tx: Tx, order_id: UUID) -> None:
    for work_id, line, sku_id in await history_reads.to_pick(tx, order_id):
        await fulfillment.confirm_pick(tx, work_id, short=[Short(line, 1, RejectReason.NOT_IN_STOCK, sku_id)])
        break


_NOTES = (
    "Cliente pediu para deixar com o porteiro.",
    "Ligou perguntando do prazo; avisei que sai hoje.",
    "É presente: embalar sem nota visível.",
    "Confirmar o endereço antes de despachar.",
)
