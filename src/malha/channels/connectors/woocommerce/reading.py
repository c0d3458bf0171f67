"""An order of the shop as Malha takes it."""

import html
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from malha.channels.connectors.woocommerce.marking import is_ours, parcels_of
from malha.channels.connectors.woocommerce.money import minor_of
from malha.channels.connectors.woocommerce.words import OPEN, Charge, Item, Order
from malha.channels.contract import (
    Ctx,
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtPayment,
    ExtState,
    Invalid,
    PaidState,
)

LOCAL_PICKUP = frozenset({"local_pickup", "pickup_location"})


def order_of(ctx: Ctx, said: Order, version: int) -> ExtOrder:
    """Return an order as Malha takes it.

    Raises:
        Invalid: it has no lines, or an amount that is none.
    """
    lines = [line_of(line, said.currency) for line in said.line_items if line.quantity]
    if not lines:
        raise Invalid(f"{said.id}: it has no lines", field="line_items")
    shipping = sum(_charged(each, said.currency) for each in said.shipping_lines)
    fees = [_charged(each, said.currency) for each in said.fee_lines]
    shipping += sum(fee for fee in fees if fee > 0)
    discount = -sum(fee for fee in fees if fee < 0)
    total = minor_of(said.total, said.currency)
    # Taxes are rounded line by line or on the whole, as the shop likes: the total is right, to a cent for each amount.
    off = total - (sum(line.quantity * line.unit_price - line.discount for line in lines) + shipping - discount)
    if abs(off) <= len(lines) + len(said.shipping_lines) + len(fees):
        shipping, discount = shipping + max(0, off), discount + max(0, -off)
    first = said.shipping_lines[0] if said.shipping_lines else None
    method = "" if first is None else (first.method_id or "")
    instance = "" if first is None or not first.instance_id else f":{first.instance_id}"
    return ExtOrder(
        id=str(said.id),
        version=version,
        placed_at=said.date_created_gmt.replace(tzinfo=UTC),
        currency=said.currency,
        lines=lines,
        state=state_of(said),
        status=said.status,
        total=total,
        shipping=shipping,
        discount=discount,
        buyer=_buyer(said),
        ship_to=_address(said),
        shipping_method=method + instance,
        pickup_location=ctx.config.pickup_location if method in LOCAL_PICKUP else "",
        payments=[_payment(said, total)],
    )


def _charged(said: Charge, currency: str) -> int:
    return minor_of(said.total, currency) + minor_of(said.total_tax, currency)


def state_of(said: Order) -> ExtState:
    """Return what a status means. What a person did in the shop that Malha knows nothing of, a person looks at."""
    if said.status in OPEN:
        return ExtState.OPEN
    if said.status == "completed":
        return ExtState.OPEN if parcels_of(said) else ExtState.UNKNOWN
    if said.status == "refunded":
        ours = all(is_ours(refund.reason) for refund in said.refunds)
        return ExtState.OPEN if said.refunds and ours else ExtState.CANCELLED
    return ExtState.CANCELLED if said.status == "cancelled" else ExtState.UNKNOWN


def _payment(said: Order, total: int) -> ExtPayment:
    """Return the payment: an order has one there, by one method. One that failed may be tried again: it is awaited."""
    paid = said.date_paid_gmt
    return ExtPayment(
        id=str(said.id),
        method=said.payment_method or "other",
        amount=total,
        state=PaidState.PENDING if paid is None else PaidState.CAPTURED,
        paid_at=None if paid is None else paid.replace(tzinfo=UTC),
    )


def line_of(said: Item, currency: str) -> ExtLine:
    """Return a line with taxes in its price, which WooCommerce keeps apart, and coupons as its discount."""
    paid = minor_of(said.total, currency) + minor_of(said.total_tax, currency)
    before = max(paid, minor_of(said.subtotal, currency) + minor_of(said.subtotal_tax, currency))
    unit = -(-before // said.quantity)
    return ExtLine(
        quantity=said.quantity,
        unit_price=unit,
        discount=unit * said.quantity - paid,
        id=str(said.id),
        item=str(said.variation_id or said.product_id or ""),
        sku=said.sku or "",
        name=html.unescape(said.name),
    )


def share_of(line: Item, units: int, currency: str) -> int:
    """Return what units of a line cost."""
    said = line_of(line, currency)
    whole = said.quantity * said.unit_price - said.discount
    return whole * min(units, said.quantity) // said.quantity


def _buyer(said: Order) -> ExtBuyer:
    """Return who buys; documents are where the Brazilian checkout plug-ins put them."""
    billing = said.billing
    cpf, cnpj = _extra(said, "billing", "cpf"), _extra(said, "billing", "cnpj")
    company = _extra(said, "billing", "persontype") == "2" or not cpf
    name = f"{_word(billing, 'first_name')} {_word(billing, 'last_name')}".strip()
    return ExtBuyer(
        name=(_word(billing, "company") or name) if company and cnpj else (name or _word(billing, "company")),
        document=((cnpj or cpf) if company else cpf) or None,
        email=_word(billing, "email") or None,
        phone=_word(billing, "phone") or _extra(said, "billing", "cellphone") or None,
    )


def _address(said: Order) -> ExtAddress | None:
    at = "shipping" if _word(said.shipping, "address_1") else "billing"
    part = said.shipping if at == "shipping" else said.billing
    line = _word(part, "address_1")
    if not line:
        return None
    street, number = line, _extra(said, at, "number")
    if not number and "," in line:
        street, _comma, number = (each.strip() for each in line.rpartition(","))
    return ExtAddress(
        postal_code=_word(part, "postcode"),
        street=street,
        number=number,
        complement=_word(part, "address_2"),
        district=_extra(said, at, "neighborhood"),
        city=_word(part, "city"),
        state=_word(part, "state"),
        country=_word(part, "country") or "BR",
    )


def _word(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    return str(found).strip() if isinstance(found, str | int) else ""


def _extra(said: Order, part: str, name: str) -> str:
    """Return what a plug-in adds to an address: within it, or in the metadata, with or without the underscore."""
    within = said.billing if part == "billing" else said.shipping
    meta = said.meta
    return _word(within, name) or _word(meta, f"_{part}_{name}") or _word(meta, f"{part}_{name}")


# --- what has left, and what will not come ---
