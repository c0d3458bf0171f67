"""An order of Vendure's as the contract has it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from malha.channels.connectors.vendure.reading import micros_of
from malha.channels.connectors.vendure.words import Address, Customer, Line, Order, Payment
from malha.channels.contract import (
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtPayment,
    ExtRefund,
    ExtState,
    PaidState,
    RefundState,
)

OPEN = frozenset(
    {"PaymentAuthorized", "PaymentSettled", "PartiallyShipped", "Shipped", "PartiallyDelivered", "Delivered"}
)
REFUNDED: Mapping[str, RefundState] = {
    "Pending": RefundState.PENDING,
    "Settled": RefundState.DONE,
    "Failed": RefundState.FAILED,
}
PAID: Mapping[str, PaidState] = {
    "Created": PaidState.PENDING,
    "Authorized": PaidState.AUTHORISED,
    "Settled": PaidState.CAPTURED,
    "Declined": PaidState.DECLINED,
    "Error": PaidState.DECLINED,
    "Cancelled": PaidState.DECLINED,
}


def order_of(row: Mapping[str, Any]) -> ExtOrder:
    """Return an order, as it was sold, with what was taken back of it since."""
    said = msgspec.convert(row, Order)
    lines = [_line(line) for line in said.lines]
    paid = said.payments or ()
    return ExtOrder(
        id=said.id,
        # A refund does not touch the order: what is newest of both makes the version.
        version=max(micros_of(at) for at in (said.updated_at, *(r.updated_at for p in paid for r in p.refunds or ()))),
        placed_at=said.order_placed_at,
        currency=said.currency_code,
        lines=lines,
        state=_state(said.state),
        status=said.state,
        total=sum(line.quantity * line.unit_price - line.discount for line in lines) + said.shipping_with_tax,
        shipping=said.shipping_with_tax,
        buyer=_buyer(said),
        ship_to=_address(said.shipping_address),
        shipping_method=next((line.shipping_method.code for line in said.shipping_lines), ""),
        payments=[
            ExtPayment(
                id=payment.id,
                method=payment.method,
                amount=payment.amount,
                state=PAID.get(payment.state, PaidState.UNKNOWN),
                paid_at=payment.created_at if payment.state == "Settled" else None,
            )
            for payment in paid
        ],
        refunds=[refund for payment in paid for refund in _refunds(payment)],
    )


def _state(word: str) -> ExtState:
    if word == "Cancelled":
        return ExtState.CANCELLED
    return ExtState.OPEN if word in OPEN else ExtState.UNKNOWN


def _line(said: Line) -> ExtLine:
    """Return a line as it was ordered: what was cancelled since, Vendure takes off the quantity."""
    ordered, left = said.order_placed_quantity, said.quantity
    discount = left * said.unit_price_with_tax - said.prorated_line_price_with_tax
    if left != ordered:
        discount = round(discount * ordered / left) if left else 0
    return ExtLine(
        quantity=ordered,
        unit_price=said.unit_price_with_tax,
        discount=discount,
        id=said.id,
        item=said.product_variant.id,
        sku=said.product_variant.sku,
        name=said.product_variant.name,
        cancelled=ordered - left,
    )


def _refunds(payment: Payment) -> list[ExtRefund]:
    return [
        ExtRefund(
            id=refund.id,
            amount=refund.total,
            payment=payment.id,
            state=REFUNDED.get(refund.state, RefundState.UNKNOWN),
            reason=(refund.reason or "")[:200],
            refunded_at=refund.updated_at if refund.state == "Settled" else None,
        )
        for refund in payment.refunds or ()
    ]


def given_back(row: Mapping[str, Any]) -> int:
    """Return how much money of an order went back."""
    refunds = [refund for payment in row["payments"] or () for refund in payment["refunds"]]
    return sum(int(refund["total"]) for refund in refunds if refund["state"] == "Settled")


def _buyer(said: Order) -> ExtBuyer:
    customer, address = said.customer or Customer(), said.shipping_address or Address()
    name = f"{customer.first_name} {customer.last_name}".strip() or address.full_name or ""
    phone = customer.phone_number or address.phone_number or None
    return ExtBuyer(name=name, email=customer.email_address or None, phone=phone)


def _address(said: Address | None) -> ExtAddress | None:
    if said is None or not said.street_line1:
        return None
    street, _comma, number = said.street_line1.rpartition(",")
    return ExtAddress(
        postal_code=said.postal_code or "",
        street=street.strip() or number.strip(),
        number=number.strip() if street else "",
        complement=said.street_line2 or "",
        city=said.city or "",
        state=said.province or "",
        country=said.country_code or "BR",
    )
