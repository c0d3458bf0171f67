"""Words of an order: unit states and how they may follow one another, header status, typed holds.

The unit is the truth. A header status is derived from units, open holds and payment (`rules.derive_status`), stored on the
order for lists, and never drives anything.
"""

from enum import StrEnum
from typing import NewType

import msgspec

from malha.platform.ids import UUID

OrderId = NewType("OrderId", UUID)


class UnitState(StrEnum):
    """Where one unit of a line stands."""

    UNPLACED = "unplaced"  # no location has it yet: unknown SKU, shortage held, every location tried
    BACKORDERED = "backordered"  # accepted without stock, waits for supply
    ALLOCATED = "allocated"  # claimed at a location, work not yet released
    RELEASED = "released"  # a fulfillment order asks the location for it
    PICKING = "picking"  # the location accepted the work
    PICKED = "picked"
    AWAITING_DOCUMENT = "awaiting_document"  # packed; may not leave before its fiscal document
    PACKED = "packed"  # packed; needs no document
    INVOICED = "invoiced"  # packed and covered by an authorised document
    READY = "ready"  # ready for pickup
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COLLECTED = "collected"  # handed over at a counter
    CANCELLED = "cancelled"


# A unit in one of these is counted in `balance.allocated` at its location.
CLAIMING = frozenset(
    {
        UnitState.ALLOCATED,
        UnitState.RELEASED,
        UnitState.PICKING,
        UnitState.PICKED,
        UnitState.AWAITING_DOCUMENT,
        UnitState.PACKED,
        UnitState.INVOICED,
        UnitState.READY,
    }
)
WAITING = frozenset({UnitState.UNPLACED, UnitState.BACKORDERED})
GONE = frozenset({UnitState.SHIPPED, UnitState.DELIVERED, UnitState.COLLECTED})

_BACK = frozenset({UnitState.UNPLACED, UnitState.BACKORDERED, UnitState.ALLOCATED, UnitState.CANCELLED})

# What may follow what. A unit goes back to waiting or to another location after a rejection or a short pick.
TRANSITIONS: dict[UnitState, frozenset[UnitState]] = {
    UnitState.UNPLACED: frozenset({UnitState.BACKORDERED, UnitState.ALLOCATED, UnitState.CANCELLED}),
    UnitState.BACKORDERED: frozenset({UnitState.UNPLACED, UnitState.ALLOCATED, UnitState.CANCELLED}),
    UnitState.ALLOCATED: frozenset({UnitState.RELEASED}) | _BACK,
    UnitState.RELEASED: frozenset({UnitState.PICKING}) | _BACK,
    UnitState.PICKING: frozenset({UnitState.PICKED}) | _BACK,
    UnitState.PICKED: frozenset({UnitState.AWAITING_DOCUMENT, UnitState.PACKED}) | _BACK,
    UnitState.AWAITING_DOCUMENT: frozenset({UnitState.INVOICED}) | _BACK,
    UnitState.PACKED: frozenset({UnitState.READY, UnitState.SHIPPED}) | _BACK,
    UnitState.INVOICED: frozenset({UnitState.READY, UnitState.SHIPPED, UnitState.AWAITING_DOCUMENT}),
    UnitState.READY: frozenset({UnitState.COLLECTED, UnitState.AWAITING_DOCUMENT}) | _BACK,
    UnitState.SHIPPED: frozenset({UnitState.DELIVERED}),
    UnitState.DELIVERED: frozenset(),
    UnitState.COLLECTED: frozenset(),
    UnitState.CANCELLED: frozenset(),
}


class OrderStatus(StrEnum):
    """Derived header status: the least advanced thing a person must know about the order."""

    PLACED = "placed"  # received, nothing claimed yet
    AWAITING_PAYMENT = "awaiting_payment"
    ON_HOLD = "on_hold"
    UNPLACED = "unplaced"
    BACKORDERED = "backordered"
    ALLOCATED = "allocated"
    PICKING = "picking"  # released, picking or picked
    PACKED = "packed"  # packed or awaiting its document
    INVOICED = "invoiced"
    READY = "ready"
    SHIPPED = "shipped"
    DELIVERED = "delivered"  # or collected: everything that was not cancelled is with the customer
    CANCELLED = "cancelled"


class HoldKind(StrEnum):
    """Why an order waits. Holds stack; each is resolved by itself."""

    UNKNOWN_SKU = "unknown_sku"
    UNKNOWN_LOCATION = "unknown_location"
    SHORTAGE = "shortage"
    PAYMENT = "payment"
    TOTALS = "totals"  # the channel's total is not the sum of its parts
    ADDRESS = "address"  # missing or unusable
    CUSTOMER = "customer"  # invalid CPF or CNPJ
    FRAUD = "fraud"
    MANUAL = "manual"


# Holds that only their cause can lift; a person may lift the others.
AUTOMATIC_HOLDS = frozenset({HoldKind.PAYMENT, HoldKind.SHORTAGE, HoldKind.UNKNOWN_SKU, HoldKind.UNKNOWN_LOCATION})


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a parcel goes. `state` is the UF, `postal_code` the CEP without punctuation, `ibge` the city's code."""

    postal_code: str = ""
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    city: str = ""
    state: str = ""
    country: str = "BR"
    ibge: str = ""


class Unit(msgspec.Struct, frozen=True):
    """One row of equal units."""

    order_id: UUID
    line: int
    part: int
    sku_id: int | None
    quantity: int
    state: UnitState
    location_id: int | None = None
    fulfillment_id: UUID | None = None
    shipment_id: UUID | None = None
    document_id: UUID | None = None
