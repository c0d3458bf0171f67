"""Goods in motion at the demo: what suppliers owe, what is between places, what is counted, set apart and disputed.

A retailer whose orders are alive and whose goods stand still would hide half of the console.
"""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime, timedelta

import msgspec

from malha.catalog import reads as catalog
from malha.demo.retailer import CONSIGNED
from malha.flows import stock_sync
from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.inventory import reads as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, BorrowerDraft, FenceRow
from malha.inventory.allotments.model import Kind as Setting
from malha.inventory.buckets.model import Bucket
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, LineState
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import Measure, Purpose, SafetyRuleDraft
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft, ReceiptDraft, ReceivedLine
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import Scope, SourceDraft, State
from malha.inventory.sync.receiving import Statement
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Arrival, Arrived, Departure, TransferDraft
from malha.network import reads as network
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id

# A person works at the places named here; at all of them where it is None.
STAFF: tuple[tuple[str, str, Role, list[str] | None], ...] = (
    ("Josué Lins", "josue@aroeira.example", Role.STORE_ASSOCIATE, ["MG-SAVASSI"]),
    ("Tainá Moura", "taina@aroeira.example", Role.MANAGER, None),
    ("Renato Queiroz", "renato@aroeira.example", Role.STORE_LEAD, ["CD-CONTAGEM", "CD-CAJAMAR", CONSIGNED]),
    ("Luísa Tavares", "luisa@aroeira.example", Role.CUSTOMER_SERVICE, None),
)
DEPOT, OTHER, SHOP, TOLD = "CD-CAJAMAR", "CD-CONTAGEM", "SP-PAULISTA", "RJ-BARRA"


class Shelf(msgspec.Struct, frozen=True):
    """What these stories are about: places by code, and well stocked goods as (SKU, id)."""

    places: dict[str, int]
    goods: list[tuple[str, int]]
    today: date


async def staff(db: Database) -> None:
    """Employ people, without passwords: they would choose one by a link."""
    async with db.transaction() as tx:
        for name, email, role, places in STAFF:
            draft = PersonDraft(name=name, email=email, role=role, locations=places)
            await identity.create_person(tx, draft, password=None)


async def move(db: Database, stock: Sequence[tuple[str, str, int]], rng: random.Random) -> None:
    """Let goods come, travel, be counted, be set apart and be disputed."""
    deep = sorted({sku for sku, place, units in stock if place == DEPOT and units > 60})
    at_other = {sku for sku, place, units in stock if place == OTHER and units > 60}
    chosen = [sku for sku in deep if sku in at_other][:24]
    async with db.transaction() as tx:
        places = (await network.snapshot(tx)).location_ids
        ids = {card.sku: card.id for card in await catalog.by_skus(tx, chosen)}
        today = (await tx.now()).date()
    shelf = Shelf(places, [(sku, ids[sku]) for sku in chosen], today)
    await _supply(db, shelf)
    await _transfers(db, shelf)
    await _counts(db, shelf, rng)
    await _apart(db, shelf)
    await _disputed(db, shelf, stock)
    await _mixed_up(db, shelf, stock)


async def _supply(db: Database, shelf: Shelf) -> None:
    """Five orders: late, partly here, all here, far away, and from the retailer's own factory."""
    ids, depot = [id_ for _, id_ in shelf.goods], shelf.places[DEPOT]

    def order(reference: str, supplier: str, days: int, skus: list[int], **more: object) -> InboundDraft:
        lines = [
            InboundLineDraft(sku, 40 + 20 * (n % 4), shelf.today + timedelta(days=days), unit_cost=2_490 + 310 * n)
            for n, sku in enumerate(skus)
        ]
        facts = {"kind": InboundKind.PURCHASE, "location_id": depot, **more}
        return InboundDraft(supplier=supplier, lines=lines, reference=reference, **facts)  # type: ignore[arg-type]

    async with db.transaction() as tx:
        late = await supply.place_order(tx, order("OC-2207", "Tecelagem Sul", -3, ids[0:4], over_percent=5))
        here = await supply.place_order(tx, order("OC-2211", "Cerâmica Tracunhaém", -1, ids[4:7]))
        await supply.place_order(tx, order("OC-2214", "Tecelagem Sul", 9, ids[7:13]))
        await supply.place_order(
            tx, order("OC-2219", "Fiação Borborema", 24, ids[2:5], location_id=shelf.places[OTHER])
        )
        made = order("OP-318", "Fábrica Blumenau", 5, ids[13:16], kind=InboundKind.PRODUCTION)
        moved = await supply.place_order(tx, made)
        await supply.reschedule(tx, moved.number, {2: shelf.today + timedelta(days=12)}, "Falta de fio tinto")
        arrived = [
            ReceivedLine(ids[0], 36),
            ReceivedLine(ids[0], 2, Bucket.DAMAGED),
            ReceivedLine(ids[1], 60),
            ReceivedLine(ids[2], 4, Bucket.QUALITY_CONTROL),
        ]
        complete = [ReceivedLine(ids[4 + n], 40 + 20 * n) for n in range(3)]
        for placed, lines, document in ((late, arrived, "NF-e 4417"), (here, complete, "NF-e 90233")):
            draft = ReceiptDraft(id=new_id(), location_id=depot, order_id=placed.id, lines=lines, document=document)
            await supply.receive(tx, draft)


async def _transfers(db: Database, shelf: Shelf) -> None:
    """One asked for, one packed at its origin, one on its way, one that arrived with pieces missing and broken."""
    ids, places = [id_ for _, id_ in shelf.goods], shelf.places
    eta = shelf.today + timedelta(days=2)
    drafts = [
        TransferDraft(origin_id=places[DEPOT], destination_id=places[SHOP], lines=[(s, 4) for s in ids[0:3]], eta=eta),
        TransferDraft(origin_id=places[OTHER], destination_id=places["MG-SAVASSI"], lines=[(ids[5], 6)], eta=eta),
        TransferDraft(origin_id=places[DEPOT], destination_id=places[OTHER], lines=[(s, 10) for s in ids[6:9]]),
        TransferDraft(origin_id=places[DEPOT], destination_id=places[SHOP], lines=[(s, 5) for s in ids[9:12]]),
    ]
    key = "35261111222333000181550010000044171000044170"
    async with db.transaction() as tx:
        numbers = [await transfers.request(tx, draft) for draft in drafts]
        for number in numbers[1:]:
            await transfers.approve(tx, number)
        for number in numbers[2:]:
            await transfers.ship(tx, number, Departure(document=key, carrier="Jadlog", eta=shelf.today))
        lines = [Arrived(ids[9], 5), Arrived(ids[10], 3), Arrived(ids[11], 4), Arrived(ids[11], 1, Bucket.DAMAGED)]
        await transfers.receive(tx, numbers[3], Arrival(id=new_id(), lines=lines))


async def _counts(db: Database, shelf: Shelf, rng: random.Random) -> None:
    """A count to be done, one that somebody else must count again, one that waits for approval, one of everything."""
    ids, places = [id_ for _, id_ in shelf.goods], shelf.places
    first, second = (Actor("person", str(new_id()), name) for name in ("Josué Lins", "Renato Queiroz"))
    async with db.transaction(first) as tx:
        await counts.raise_count(tx, CountDraft(location_id=places[DEPOT], skus=ids[0:6], zone="Corredor 3"))
        review = await counts.raise_count(
            tx, CountDraft(location_id=places[OTHER], skus=ids[6:10], zone="Vitrine", limits=Limits(2, 20_000))
        )
        await counts.raise_count(tx, CountDraft(location_id=places["SP-SANTOS"], kind=CountKind.PHYSICAL))
        on_hand = {s: 60 + rng.randrange(40) for s in ids[6:10]}
        told = await counts.enter(tx, review, [Entry(sku, units) for sku, units in on_hand.items()], {})
    # A number may have come near enough to what is there to be taken at once: nobody counts that again.
    again = [sku for sku in ids[6:10] if told[sku] is LineState.RECOUNT][:1]
    async with db.transaction(second) as tx:
        await counts.enter(tx, review, [Entry(sku, on_hand[sku]) for sku in again], {})


async def _apart(db: Database, shelf: Shelf) -> None:
    """Stock set apart for a campaign, a quota for a marketplace, and safety stock by rule."""
    skus = [sku for sku, _ in shelf.goods]
    shown = skus[0].rpartition("-")[0]
    async with db.transaction() as tx:
        now = await tx.now()
        await allotments.put(
            tx,
            AllotmentDraft(
                code="BF-APP",
                name="Black Friday no app",
                kind=Setting.FENCE,
                ends_at=now + timedelta(days=4),
                channels=("app",),
                borrowers=(BorrowerDraft(channel="site", since=now + timedelta(days=2)),),
                stock=tuple(FenceRow(sku, place, 12) for sku in skus[:5] for place in (DEPOT, OTHER)),
            ),
            None,
        )
        await allotments.put(
            tx,
            AllotmentDraft(
                code="ML-COTA",
                name="Cota do Mercado Livre",
                kind=Setting.CAP,
                channels=("mercado-livre",),
                quota=300,
                skus=tuple(skus[:12]),
            ),
            None,
        )
        for draft in (
            SafetyRuleDraft(
                code="VITRINE", name="Uma peça fica na vitrine", amount=1, location_kind="store", product=shown
            ),
            SafetyRuleDraft(
                code="ML-FOLGA",
                name="Folga no Mercado Livre",
                purpose=Purpose.ONLINE,
                measure=Measure.PERCENT,
                amount=10,
                channel="mercado-livre",
            ),
        ):
            await safety.put(tx, draft, None)


async def _disputed(db: Database, shelf: Shelf, stock: Sequence[tuple[str, str, int]]) -> None:
    """An ERP that states the stock of a store, and is compared at another place; its last file would empty too much."""
    wanted = {sku for sku, place, _ in stock if place == TOLD}
    wanted |= set([sku for sku, place, _ in stock if place == OTHER][:40])
    now = await _declared(db, SourceDraft(code="ERP", name="ERP", truth=[TOLD], secondary=[OTHER]))
    at = await _on_hand(db, shelf, wanted, (TOLD, OTHER))
    # One piece more on some shelves than we know of; a few less at the place that is only compared.
    store = [f"{sku};{TOLD};{units + (n % 40 == 0)}" for n, (sku, units) in enumerate(at[TOLD])]
    compared = [f"{sku};{OTHER};{max(units - (n % 9 == 0) * 2, 0)}" for n, (sku, units) in enumerate(at[OTHER][:40])]
    odd = [f"AR-DESCONTINUADO;{TOLD};4", f"{shelf.goods[0][0]};RJ-LEBLON;2", f"{shelf.goods[1][0]};{TOLD};-2"]
    await _send(db, "ERP", 1, [*store, *compared, *odd], Scope.PARTIAL, now)
    await _send(db, "ERP", 2, store[:5], Scope.WHOLE, now + timedelta(seconds=1))


async def _mixed_up(db: Database, shelf: Shelf, stock: Sequence[tuple[str, str, int]]) -> None:
    """A warehouse system that takes some of the consignor's goods for the retailer's, and misses a few of either."""
    places = (DEPOT, CONSIGNED)
    of_both = {sku for sku, place, _ in stock if place == DEPOT} & {
        sku for sku, place, _ in stock if place == CONSIGNED
    }
    now = await _declared(db, SourceDraft(code="WMS", name="WMS Cajamar", secondary=list(places)))
    at = await _on_hand(db, shelf, of_both, places)
    rows = []
    for place, sign in zip(places, (1, -1), strict=True):
        for n, (sku, units) in enumerate(at[place][:24]):
            taken = (2 + n % 3) * sign if n % 4 == 0 else -1 if n % 7 == 3 and sign < 0 else 0
            rows.append(f"{sku};{place};{max(units + taken, 0)}")
    await _send(db, "WMS", 1, rows, Scope.PARTIAL, now)


async def _declared(db: Database, draft: SourceDraft) -> datetime:
    """Declare a source; return the time then."""
    async with db.transaction() as tx:
        await sources.add_source(tx, draft)
        return await tx.now()


async def _on_hand(
    db: Database, shelf: Shelf, wanted: Iterable[str], places: Sequence[str]
) -> dict[str, list[tuple[str, int]]]:
    """Return (SKU, units there) of some SKUs, by place."""
    async with db.transaction() as tx:
        skus = {card.id: card.sku for card in await catalog.by_skus(tx, sorted(wanted))}
        there = await inventory.availability(tx, sorted(skus), [shelf.places[place] for place in places])
    return {
        place: [(skus[one.sku_id], one.on_hand) for one in there if one.location_id == shelf.places[place]]
        for place in places
    }


async def _send(db: Database, source: str, seq: int, rows: Sequence[str], scope: Scope, as_of: datetime) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield ("sku;local;saldo\n" + "\n".join(rows)).encode()

    said = Statement(source=source, seq=seq, as_of=as_of, scope=scope, name=f"saldos-{seq}.csv")
    taken = await stock_sync.receive(db, Actor("person", source.lower(), source), said, body(), limit_mb=10)
    if taken.state is State.APPLYING:
        await applying.apply(db, taken.id)
