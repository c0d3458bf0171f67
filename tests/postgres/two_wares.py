"""A retailer small enough to reckon by hand: A and B of 100 g, stores one parcel of which costs 100 and the carriage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.platform.address import Address
from malha.platform.db import Database, Tx

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


async def open_shop(
    tx: Tx, stores: list[tuple[str, str, int]], *, shortage: str, release_after: int | None = None
) -> None:
    """Make stores L1, L2... of (name, state, carriage to anywhere); `release_after` minutes where not the usual."""
    await tx.execute("INSERT INTO legal_entity (name, cnpj_root) VALUES ('E', '12345678')")
    await tx.execute(
        "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES (1, 'E', 'E', '12345678000195', 'SP')"
    )
    await tx.execute("INSERT INTO service (code, name, carrier) VALUES ('std', 'Standard', 'C')")
    for n, (name, state, price) in enumerate(stores, 1):
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state, handling_cost, can_pickup) "
            "VALUES (%s, %s, 'store', 1, %s, 100, true)",
            (f"L{n}", name, state),
        )
        await tx.execute(
            "INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days) "
            "VALUES (1, %s, '*', 30000, %s, 3)",
            (state, price),
        )
    await tx.execute(
        "INSERT INTO channel (code, name, kind, payment_policy, shortage_policy) "
        "VALUES ('web', 'W', 'web', 'settled_by_channel', %s)",
        (shortage,),
    )
    if release_after is not None:
        await tx.execute("UPDATE channel SET release_delay_minutes = %s", (release_after,))
    await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'P')")
    await tx.execute(
        "INSERT INTO variant (product_id, sku, name, weight_grams) VALUES (1, 'A', 'A', 100), (1, 'B', 'B', 100)"
    )
    await tx.execute("UPDATE variant SET is_kit = false")


async def stocked(tx: Tx, units: dict[tuple[int, int], int]) -> None:
    """State what is on hand, by (number of the ware, number of the store)."""
    await inventory.set_on_hand(tx, [Claim(sku, at, n) for (sku, at), n in units.items()], Reference("test"))


@asynccontextmanager
async def a_gate(database: Database) -> AsyncIterator[Gate]:
    gate = Gate(database)
    await gate.open()
    yield gate
    await gate.close()


def an_order(number: int | str, *skus: str) -> NewOrder:
    """One of each, to São Paulo."""
    lines = [NewLine(sku, 1, 1990) for sku in skus]
    return NewOrder(channel="web", external_id=str(number), lines=lines, ship_to=SAO_PAULO)
