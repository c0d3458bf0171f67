"""What the kit tells a peer: a parcel, a document, stock, prices."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from malha.channels.contract import (
    Document,
    DocumentKind,
    DocumentLine,
    ExtAddress,
    ExtBuyer,
    PricePush,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
)


class Told(msgspec.Struct, frozen=True):
    """An order as what is told of it names its parts: as the connector read them, where it reads orders."""

    order: str
    line: ShippedLine = ShippedLine("A", 1, "l1")
    payment: str = "p1"


def shipment_of(told: Told, n: int = 1) -> ShipmentPush:
    """Return a parcel of an order."""
    order, lines = told.order, [told.line]
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return ShipmentPush(order=order, shipment=f"parcel-{n}", lines=lines, carrier="C", tracking="BR1", shipped_at=at)


def stock_of(code: str, quantity: int, version: int) -> StockUpdate:
    """Return a quantity as a peer is told of it."""
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    return StockUpdate(sku=code, code=code, quantity=quantity, version=version, changed_at=at)


def price_of(code: str, price: int, version: int, currency: str = "BRL") -> PricePush:
    """Return a price as a peer is told of it."""
    return PricePush(sku=code, code=code, price=price, currency=currency, version=version)


CPF = "52998224725"  # of nobody


def document_of(total: int = 2_690, **more: Any) -> Document:
    """Return two of A at 9.99 with 8.92 for freight and 2.00 off, as a sale; or what `more` says."""
    asked: dict[str, Any] = {
        "kind": DocumentKind.SALE,
        "number": "1001",
        "order": "1001",
        "reference": "W-1",
        "channel": "web",
        "order_day": "2026-11-27",
        "day": "2026-11-27",
        "currency": "BRL",
        "total": total,
        "lines": [DocumentLine(sku="A", code="A", quantity=2, unit_price=999, name="Ware A")],
        "freight": 892,
        "adjustment": -200,
        "party": ExtBuyer(name="Maria da Silva", document=CPF, email="maria@example.com"),
        "ship_to": ExtAddress(postal_code="01310100", street="Avenida Paulista", number="1", city="SP", state="SP"),
    }
    return Document(**{**asked, **more})
