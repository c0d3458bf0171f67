"""A small retailer for what sources state: SKUs S1.. at L1, L2 (truth of ERP) and L3 (secondary)."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from malha.flows import stock_sync
from malha.inventory import service
from malha.inventory.model import Claim, Reference
from malha.inventory.sync import applying, reads, sources
from malha.inventory.sync.model import Scope, Snapshot, SourceDraft, State
from malha.inventory.sync.receiving import Statement
from malha.inventory.sync.sieve import FROM_ROWS
from malha.platform.db import Actor, Database, Tx

ACTOR = Actor("person", "tester", "Tester")
NETWORK = (
    "WITH e AS (INSERT INTO legal_entity (name, cnpj_root) VALUES ('E', '12345678') RETURNING id), "
    "s AS (INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) "
    "SELECT id, 'E1', 'E', '12345678000195', 'SP' FROM e RETURNING id) "
    "INSERT INTO location (code, name, kind, establishment_id, state) "
    "SELECT 'L' || n, 'L', 'store', s.id, 'SP' FROM s, generate_series(1, 4) n"
)
Stock = Mapping[tuple[int, int], int]
# From how many rows on files are sifted; a test sets it to have the same story told both ways.
WAY = {"sift_from": FROM_ROWS}


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def a_retailer(database: Database, *, skus: int = 6, units: int = 10, **source: Any) -> None:
    """Every balance at L1, L2, L3 has `units`, which came a day ago."""
    async with database.transaction(ACTOR) as tx:
        await tx.execute(NETWORK)
        await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'P')")
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name, gtin) SELECT 1, 'S' || n, 'S', CASE n WHEN 1 THEN '7891000315507' END "
            "FROM generate_series(1, %(n)s::int) n",
            {"n": skus},
        )
        if units:
            goods = [Claim(s, place, units) for s in range(1, skus + 1) for place in (1, 2, 3)]
            await service.set_on_hand(tx, goods, Reference("test"), occurred_at=hours_ago(24))
        fields = {"truth": ["L1", "L2"], "secondary": ["L3"], "zero_percent": 100, **source}
        await sources.add_source(tx, SourceDraft(code="ERP", name="ERP", **fields))


def table(stock: Stock) -> bytes:
    rows = "".join(f"S{sku};L{place};{units}\n" for (sku, place), units in stock.items())
    return f"sku;location;on_hand\n{rows}".encode()


async def state(
    database: Database,
    stock: Stock | bytes,
    *,
    seq: int,
    as_of: datetime,
    scope: Scope = Scope.PARTIAL,
    apply: bool = True,
    actor: Actor = ACTOR,
    **more: Any,
) -> Snapshot:
    """Send a snapshot and have it applied."""
    file = stock if isinstance(stock, bytes) else table(stock)

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(file), 1000):
            yield file[start : start + 1000]

    said = Statement(**{"source": "ERP", "seq": seq, "as_of": as_of, "scope": scope, **more})
    taken = await stock_sync.receive(database, actor, said, body(), limit_mb=50, sift_from=WAY["sift_from"])
    if apply and taken.state is State.APPLYING:
        await applying.apply(database, taken.id, at_once=7)
    async with database.transaction() as tx:
        return await reads.snapshot(tx, taken.id)


async def on_hand(database: Database) -> dict[tuple[int, int], int]:
    async with database.transaction() as tx:
        return {(s, p): n for s, p, n in await tx.tuples("SELECT sku_id, location_id, on_hand FROM balance")}


async def moved(tx: Tx, changes: Stock, hours: float, **more: Any) -> None:
    """Something moved so many hours ago, by ourselves."""
    from malha.inventory.model import Reason

    claims = [Claim(sku, place, units) for (sku, place), units in changes.items()]
    await service.adjust(tx, claims, more.get("reason", Reason.ADJUSTMENT), Reference("test"), hours_ago(hours))
