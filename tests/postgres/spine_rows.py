"""A small consistent retailer written straight into the tables, for tests that look at stored rows as such."""

from datetime import UTC, datetime

from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id

PLACED = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


async def a_network(tx: Tx) -> None:
    """One establishment with the locations 1 (CD01) and 2 (LJ01), one channel, and the SKUs 1 to 3; 3 is a kit of 2x1 + 1x2."""
    await tx.execute("INSERT INTO legal_entity (name, cnpj_root) VALUES ('Malha', '11222333')")
    await tx.execute(
        "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES (1, 'MTZ', 'Matriz', '11222333000181', 'SP')"
    )
    await tx.execute(
        "INSERT INTO location (code, name, kind, establishment_id, state) VALUES"
        " ('CD01', 'CD', 'distribution_centre', 1, 'SP'), ('LJ01', 'Loja', 'store', 1, 'SP')"
    )
    await tx.execute("INSERT INTO channel (code, name, kind) VALUES ('web', 'Site', 'web')")
    await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'Produto')")
    await tx.execute(
        "INSERT INTO variant (product_id, sku, name, is_kit) VALUES"
        " (1, 'SKU-1', 'Um', false), (1, 'SKU-2', 'Dois', false), (1, 'KIT-3', 'Kit', true)"
    )
    await tx.execute("INSERT INTO kit_component (kit_id, component_id, quantity) VALUES (3, 1, 2), (3, 2, 1)")


async def stock(tx: Tx, sku: int, location: int, on_hand: int = 0, allocated: int = 0, held: int = 0) -> None:
    """Move a balance, with its ledger row."""
    row = {"sku": sku, "location": location, "on_hand": on_hand, "allocated": allocated, "held": held}
    await tx.execute(
        "INSERT INTO balance (sku_id, location_id, on_hand, allocated, held) VALUES (%(sku)s, %(location)s, %(on_hand)s, %(allocated)s, %(held)s)"
        " ON CONFLICT (sku_id, location_id) DO UPDATE SET on_hand = balance.on_hand + excluded.on_hand,"
        " allocated = balance.allocated + excluded.allocated, held = balance.held + excluded.held",
        row,
    )
    await tx.execute(
        "INSERT INTO movement (sku_id, location_id, d_on_hand, d_allocated, d_held, reason)"
        " VALUES (%(sku)s, %(location)s, %(on_hand)s, %(allocated)s, %(held)s, 'set')",
        row,
    )


async def an_order(tx: Tx, *, external_id: str = "w-1", quantity: int = 3, price: int = 1000, **buyer: str) -> UUID:
    """An allocated order: `quantity` of SKU 1 on line 1 and one kit on line 2, all at location 1, with its stock."""
    order_id = new_id()
    await stock(tx, 1, 1, on_hand=quantity + 2, allocated=quantity + 2)
    await stock(tx, 2, 1, on_hand=1, allocated=1)
    total = quantity * price + 5000
    await tx.execute(
        "INSERT INTO sales_order (id, channel_id, external_id, body_hash, placed_at, status, items_total, shipping_total, total,"
        " method, buyer_name, buyer_document, buyer_email, buyer_phone, release_after)"
        " VALUES (%(id)s, 1, %(external_id)s, gen_random_uuid(), %(placed)s, 'allocated', %(total)s, 700, %(total)s + 700, 'ship', %(name)s,"
        " %(document)s, %(email)s, %(phone)s, %(placed)s)",
        {
            "id": order_id,
            "external_id": external_id,
            "placed": PLACED,
            "total": total,
            "name": buyer.get("name", "João da Silva"),
            "document": buyer.get("document"),
            "email": buyer.get("email"),
            "phone": buyer.get("phone"),
        },
    )
    await tx.execute(
        "INSERT INTO order_line (order_id, line, sku_id, sku_text, quantity, unit_price, total)"
        " VALUES (%(id)s, 1, 1, 'SKU-1', %(quantity)s, %(price)s, %(quantity)s * %(price)s), (%(id)s, 2, 3, 'KIT-3', 1, 5000, 5000)",
        {"id": order_id, "quantity": quantity, "price": price},
    )
    await tx.execute(
        "INSERT INTO order_component (order_id, line, sku_id, quantity) VALUES (%(id)s, 2, 1, 2), (%(id)s, 2, 2, 1)",
        {"id": order_id},
    )
    await tx.execute(
        "INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id) VALUES"
        " (%(id)s, 1, 1, 1, %(quantity)s, 'allocated', 1), (%(id)s, 2, 1, 1, 2, 'allocated', 1), (%(id)s, 2, 2, 2, 1, 'allocated', 1)",
        {"id": order_id, "quantity": quantity},
    )
    return order_id


async def told(tx: Tx, order_id: UUID) -> None:
    """Write what subscribers would have written of an order's first event."""
    at = {"id": order_id, "at": PLACED}
    await tx.execute(
        "INSERT INTO order_timeline (order_id, seq, at, type) VALUES (%(id)s, 1, %(at)s, 'order.placed')", at
    )
    await tx.execute("INSERT INTO order_search (order_id, placed_at, document) VALUES (%(id)s, %(at)s, 'w-1')", at)
