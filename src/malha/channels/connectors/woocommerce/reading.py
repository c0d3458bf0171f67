"""An order of the shop as Malha takes it."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from malha.channels.connectors.woocommerce.marking import is_ours, is_sent, left_by, parcels_of, withdrawn
from malha.channels.connectors.woocommerce.money import minor_of
from malha.channels.connectors.woocommerce.words import OPEN, Charge, Entry, Item, Order, Refund
from malha.channels.contract import (
    Ctx,
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtPayment,
    ExtRefund,
    ExtState,
    Invalid,
    PaidState,
)

LOCAL_PICKUP = frozenset({"local_pickup", "pickup_location"})


def order_of(ctx: Ctx, said: Order, version: int, refunds: Mapping[int, Refund]) -> ExtOrder:
    """Return an order as Malha takes it, with what its refunds, by their ids, took back of it.

    Raises:
        Invalid: it has no lines, or an amount that is none.
    """
    cancelled = _cancelled(said, refunds)
    lines = [line_of(line, said.currency, cancelled.get(line.id, 0)) for line in said.line_items if line.quantity]
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
        note=said.customer_note or "",
        attributes=texts_of(said.meta_data) | _parts("billing", said.billing) | _parts("shipping", said.shipping),
        refunds=_refunds(said, refunds),
        sent=is_sent(said),
    )


def _cancelled(said: Order, refunds: Mapping[int, Refund]) -> dict[int, int]:
    """Return the units of each line that had not left and will not.

    WooCommerce does not say whether refunded units had left: they are taken off those that had not first, as it takes
    them off what is to be sent. What the shop refunded in full is not sent any more.
    """
    gone, back = left_by(said), withdrawn(refunds.values())
    open_ = {line.id: max(0, line.quantity - gone.get(line.id, 0)) for line in said.line_items}
    if is_given_up(said):
        return open_
    return {id_: min(units, open_.get(id_, 0)) for id_, units in back.items()}


def is_given_up(said: Order) -> bool:
    """Tell whether the shop, and not Malha, refunded an order in full."""
    return said.status == "refunded" and not (said.refunds and all(is_ours(each.reason) for each in said.refunds))


def _refunds(said: Order, refunds: Mapping[int, Refund]) -> list[ExtRefund]:
    """Return the refunds of any money, the first one first: what is refunded by hand is noted down there as well."""
    found = []
    for each in sorted(said.refunds, key=lambda each: each.id):
        known, amount = refunds.get(each.id), -minor_of(each.total, said.currency)
        at = None if known is None else known.date_created_gmt
        if amount > 0:
            found.append(
                ExtRefund(
                    id=str(each.id),
                    amount=amount,
                    payment=str(said.id),
                    reason=(each.reason or "")[:200],
                    refunded_at=None if at is None else at.replace(tzinfo=UTC),
                )
            )
    return found


def _charged(said: Charge, currency: str) -> int:
    return minor_of(said.total, currency) + minor_of(said.total_tax, currency)


def state_of(said: Order) -> ExtState:
    """Return what a status means. What a person did in the shop that Malha knows nothing of, a person looks at."""
    if said.status in OPEN:
        return ExtState.OPEN
    if said.status == "completed":
        return ExtState.OPEN if parcels_of(said) else ExtState.UNKNOWN
    if said.status == "refunded":
        return ExtState.CANCELLED if is_given_up(said) and not parcels_of(said) else ExtState.OPEN
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


def line_of(said: Item, currency: str, cancelled: int = 0) -> ExtLine:
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
        attributes=texts_of(said.meta_data),
        name=html.unescape(said.name),
        cancelled=cancelled,
    )


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


def texts_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the texts and numbers among metadata by key, the last one of a key; what is made of parts is no text."""
    return {e.key: str(e.value).strip() for e in entries if e.key and isinstance(e.value, str | int | float)}


def _parts(name: str, address: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of an address by their places, with what plug-ins add."""
    return {f"{name}.{key}": text for key in address if (text := _word(address, key))}


def _word(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    return str(found).strip() if isinstance(found, str | int) else ""


def _extra(said: Order, part: str, name: str) -> str:
    """Return what a plug-in adds to an address: within it, or in the metadata, with or without the underscore."""
    within = said.billing if part == "billing" else said.shipping
    meta = said.meta
    return _word(within, name) or _word(meta, f"_{part}_{name}") or _word(meta, f"{part}_{name}")


# --- what has left, and what will not come ---
