"""A small network for stories of stock: a factory's centre and two shops of two establishments, and four SKUs."""

from datetime import date

from malha.inventory import service as stock
from malha.inventory.buckets import reads as bucket_reads
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Claim, Reference
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft
from malha.platform.db import Actor, Database, Tx

CENTRE, SHOP, OTHER = 1, 2, 3  # OTHER belongs to another establishment
SKUS = (1, 2, 3, 4)
DAY = date(2026, 12, 10)

LEAD = Actor("person", "lead", "Lead")
COUNTING = frozenset({"stock:read", "stock:count"})
ANA = Actor("person", "ana", "Ana", permissions=COUNTING, locations=frozenset({SHOP}))
BIA = Actor("person", "bia", "Bia", permissions=COUNTING, locations=frozenset({SHOP}))


async def a_retailer(database: Database, units: int = 0) -> Database:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO legal_entity (name, cnpj_root) VALUES ('Malha', '11222333'), ('Franquia', '44555666')"
        )
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES"
            " (1, 'MTZ', 'Matriz', '11222333000181', 'SP'), (2, 'FRQ', 'Franquia', '44555666000181', 'RJ')"
        )
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state) VALUES"
            " ('CD01', 'CD Barueri', 'distribution_centre', 1, 'SP'), ('LJ01', 'Loja Centro', 'store', 1, 'SP'),"
            " ('FR01', 'Franquia Niterói', 'store', 2, 'RJ')"
        )
        await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'Camiseta')")
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, gtin, price) VALUES"
            " (1, 'CAM-P', 'Camiseta P', '7891000315507', 5000), (1, 'CAM-M', 'Camiseta M', '7891000053508', 5000),"
            " (1, 'CAM-G', 'Camiseta G', '7891000100103', 5000), (1, 'CAM-GG', 'Camiseta GG', NULL, 5000)"
        )
        if units:
            goods = [Claim(sku, place, units) for sku in SKUS for place in (CENTRE, SHOP, OTHER)]
            await stock.set_on_hand(tx, goods, Reference("test"))
    return database


def an_order(*lines: tuple[int, int], reference: str | None = None, over: int = 0, place: int = SHOP) -> InboundDraft:
    """A purchase of (SKU id, quantity) for the shop, due on DAY."""
    return InboundDraft(
        kind=InboundKind.PURCHASE,
        supplier="Tecelagem Sul",
        location_id=place,
        lines=[InboundLineDraft(sku, quantity, DAY) for sku, quantity in lines],
        reference=reference,
        over_percent=over,
    )


async def there(tx: Tx, sku: int, place: int) -> dict[str, int]:
    """What is in every bucket; the sellable one is on hand."""
    found = {b.bucket: b.quantity for b in await bucket_reads.buckets(tx, [sku], [place])}
    rows = await tx.tuples(
        "SELECT on_hand FROM balance WHERE sku_id = %(sku)s AND location_id = %(place)s", {"sku": sku, "place": place}
    )
    return {str(k): v for k, v in ({Bucket.SELLABLE: rows[0][0] if rows else 0} | found).items() if v}
