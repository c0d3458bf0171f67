"""An order as Shopify has it becomes one of the contract. Pure.

Everything is in the shop's own currency. Malha knows no tax of a line: where Shopify's prices are without tax, a line's
tax is put into its price, and what the price is then too much by, into its discount; so the total is Shopify's to the
last centavo, or the order waits for a person. What is charged beside the goods (tax on shipping, duties, fees, tips) is
part of the shipping.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from malha.channels.connectors.shopify.config import TillOrders, number_of, own_location
from malha.channels.connectors.shopify.money import shop_money
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
    RefundState,
)

POS = "pos"
FINANCIAL = frozenset(
    {"AUTHORIZED", "EXPIRED", "PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED", "VOIDED"}
)
# ON_HOLD and SCHEDULED are not among them: nothing of such an order may leave, and no one here would know.
FULFILLMENT = frozenset(
    {
        "FULFILLED",
        "FULFILLMENT_NOT_REQUIRED",
        "IN_PROGRESS",
        "OPEN",
        "PARTIALLY_FULFILLED",
        "PENDING_FULFILLMENT",
        "REQUEST_DECLINED",
        "RESTOCKED",
        "UNFULFILLED",
    }
)
SENT = frozenset({"FULFILLED", "PARTIALLY_FULFILLED"})
ROOTS = frozenset({"AUTHORIZATION", "EMV_AUTHORIZATION", "SALE"})
FOLLOW = frozenset({"CAPTURE", "VOID", "REFUND", "CHANGE", "SUGGESTED_REFUND"})
STATUS: Mapping[str, PaidState] = {
    "SUCCESS": PaidState.CAPTURED,
    "PENDING": PaidState.PENDING,
    "AWAITING_RESPONSE": PaidState.PENDING,
    "FAILURE": PaidState.DECLINED,
    "ERROR": PaidState.DECLINED,
}
BACK: Mapping[str, RefundState] = {
    "SUCCESS": RefundState.DONE,
    "PENDING": RefundState.PENDING,
    "AWAITING_RESPONSE": RefundState.PENDING,
    "FAILURE": RefundState.FAILED,
    "ERROR": RefundState.FAILED,
}
DOCUMENT_FIELDS = ("TAX_CREDENTIAL_BR", "SHIPPING_CREDENTIAL_BR")
DOCUMENT_NOTES = re.compile(r"^[\s_]*(cpf|cnpj)([\s_/-]*(cpf|cnpj))?[\s_:]*$", re.IGNORECASE)
DOCUMENT = re.compile(r"^(\d{11}|[0-9A-Z]{12}\d{2})$")
BETWEEN = "\u2060"  # what Shopify puts between the parts of an address that it keeps in one line


class TakenBack(msgspec.Struct, frozen=True):
    """Units that refunds took back, by line: all of them, and those that had not left and will not."""

    units: Mapping[str, int] = {}
    cancelled: Mapping[str, int] = {}


NOTHING = TakenBack()


def version_of(row: Mapping[str, Any]) -> int:
    """Return a number that grows with each change of an order.

    Shopify tells changes to the second. Within one, what only ever grows in the life of an order is counted.
    """
    settled = sum(1 for t in row["transactions"] if t["status"] in {"SUCCESS", "FAILURE", "ERROR"})
    return _version(row, len(row["transactions"]) + settled + len(row["refunds"]))


def listed_version(row: Mapping[str, Any]) -> int:
    """Return such a number of an order of which little is known; only good to compare with its like."""
    return _version(row, (row["transactionsCount"] or {}).get("count", 0))


def _version(row: Mapping[str, Any], grown: int) -> int:
    updated = (instant(row["updatedAt"]) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    grown += (row["fulfillmentsCount"] or {}).get("count", 0) + bool(row["cancelledAt"]) + bool(row["edited"])
    return updated + min(999_999, grown)


def instant(text: Any) -> datetime:
    """Return a moment as Shopify writes it.

    Raises:
        Invalid: it is none.
    """
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def is_ours(ctx: Ctx, row: Mapping[str, Any]) -> bool:
    """Tell whether an order concerns us at all; what is left to Shopify is not told."""
    if row["test"] and not ctx.config.test_orders:
        return False
    return not (row["sourceName"] == POS and ctx.config.pos_orders is TillOrders.LEAVE)


def order_of(ctx: Ctx, row: Mapping[str, Any], back: TakenBack = NOTHING) -> ExtOrder:
    """Return an order as it was sold, with what was taken back of it since.

    Raises:
        Invalid: it cannot be read.
    """
    try:
        return _order(ctx, row, back)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Invalid(f"the order cannot be read: {type(error).__name__} {error}"[:200]) from None


def _order(ctx: Ctx, row: Mapping[str, Any], back: TakenBack) -> ExtOrder:
    included = bool(row["taxesIncluded"])
    lines = [line for said in row["lineItems"]["nodes"] if (line := _line(row, said, back, included=included))]
    shipping, method = _shipping(row, included=included)
    total = shop_money(row["totalPriceSet"])
    parts = sum(line.quantity * line.unit_price - line.discount for line in lines) + shipping
    pickup, place = _pickup(ctx, row)
    why = _trouble(ctx, row, lines, parts - total, "" if pickup else place)
    state = ExtState.UNKNOWN if why else ExtState.OPEN
    return ExtOrder(
        id=str(row["legacyResourceId"]),
        version=version_of(row),
        placed_at=instant(row["createdAt"]),
        currency=str(row["currencyCode"]),
        lines=lines,
        state=ExtState.CANCELLED if row["cancelledAt"] else state,
        status="cancelled" if row["cancelledAt"] else why or f"{row['displayFinancialStatus']}",
        total=total,
        shipping=shipping,
        buyer=_buyer(row),
        ship_to=_address(row["shippingAddress"]),
        shipping_method="" if pickup else method,
        pickup_location=pickup,
        payments=_payments(row),
        note=str(row["note"] or ""),
        attributes=_texts([*row["localizedFields"]["nodes"], *row["customAttributes"]]),
        refunds=_refunds(row),
        sent=row["displayFulfillmentStatus"] in SENT,
    )


def _trouble(ctx: Ctx, row: Mapping[str, Any], lines: Sequence[ExtLine], off: int, unmapped: str) -> str:
    """Return why a person must look at an order; empty where nobody must."""
    paid, sent, pos = row["displayFinancialStatus"], row["displayFulfillmentStatus"], row["sourceName"] == POS
    troubles = (
        (row["test"] and not ctx.config.test_orders, "a test order"),
        (pos and ctx.config.pos_orders is not TillOrders.TAKE, "an order of the point of sale"),
        (paid not in FINANCIAL, f"payment {paid}"),
        (sent not in FULFILLMENT, f"fulfillment {sent}"),
        (unmapped, f"a pickup at {unmapped}, which is none of `locations`"),
        (not lines, "nothing of it is left: an edit took all lines out"),
        (off, f"its parts are {off:+d} in minor units from its total"),
    )
    return next((says for so, says in troubles if so), "")


def ordered_of(row: Mapping[str, Any], said: Mapping[str, Any], back: Mapping[str, int]) -> int:
    """Return the units of a line without those that an edit took out, which are gone and were not taken back."""
    asked = int(said["quantity"])
    gone = asked - int(said["currentQuantity"]) - back.get(str(said["id"]), 0) if row["edited"] else 0
    return asked - max(0, gone)


def _line(row: Mapping[str, Any], said: Mapping[str, Any], back: TakenBack, *, included: bool) -> ExtLine | None:
    """Return a line as it was ordered: with the units that were paid back since, without those an edit took out."""
    name, asked, quantity = str(said["id"]), int(said["quantity"]), ordered_of(row, said, back.units)
    if quantity <= 0:
        return None
    unit = shop_money(said["originalUnitPriceSet"])
    discount = sum(shop_money(each["allocatedAmountSet"]) for each in said["discountAllocations"])
    tax = 0 if included else sum(shop_money(each["priceSet"]) for each in said["taxLines"])
    if quantity < asked:  # discounts and taxes are of all units
        discount, tax = discount * quantity // asked, tax * quantity // asked
    above = -(-tax // quantity)
    variant = said["variant"] or {}
    return ExtLine(
        quantity=quantity,
        unit_price=unit + above,
        discount=discount + above * quantity - tax,
        id=number_of(str(said["id"])),
        item=str(variant.get("legacyResourceId") or ""),
        sku=str(said["sku"] or ""),
        gtin=str(variant.get("barcode") or ""),
        name=str(said["name"]),
        attributes=_texts(said["customAttributes"]),
        cancelled=min(quantity, back.cancelled.get(name, 0)),
    )


def _shipping(row: Mapping[str, Any], *, included: bool) -> tuple[int, str]:
    """Return what is charged beside the goods, and what the way there is called."""
    charged, method = 0, ""
    for line in row["shippingLines"]["nodes"]:
        charged += shop_money(line["discountedPriceSet"])
        charged += 0 if included else sum(shop_money(each["priceSet"]) for each in line["taxLines"])
        method = method or str(line["code"] or line["title"] or "")
    beside = ("originalTotalDutiesSet", "originalTotalAdditionalFeesSet", "totalTipReceivedSet")
    return charged + sum(shop_money(row[name]) for name in beside), method


def _pickup(ctx: Ctx, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return our code of where an order is picked up, and Shopify's id of it."""
    for work in row["fulfillmentOrders"]["nodes"]:
        if (work["deliveryMethod"] or {}).get("methodType") == "PICK_UP":
            place = ((work["assignedLocation"] or {}).get("location") or {}).get("legacyResourceId")
            return own_location(ctx, str(place)), str(place)
    return "", ""


# --- payments ---


def _payments(row: Mapping[str, Any]) -> list[ExtPayment]:
    """Return one payment for each authorisation or sale, with what became of it since."""
    after: dict[str, list[Mapping[str, Any]]] = {}
    for each in row["transactions"]:
        if each["parentTransaction"]:
            after.setdefault(str(each["parentTransaction"]["id"]), []).append(each)
    found = [_payment(each, after.get(str(each["id"]), [])) for each in row["transactions"] if _is_root(each)]
    return found + _outstanding(row, found)


def _is_root(said: Mapping[str, Any]) -> bool:
    kind = said["kind"]
    return kind in ROOTS or (kind == "CAPTURE" and not said["parentTransaction"]) or kind not in ROOTS | FOLLOW


def _payment(said: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> ExtPayment:
    amount = shop_money(said["amountSet"])
    state = STATUS.get(said["status"], PaidState.UNKNOWN)
    done = [each for each in after if each["status"] == "SUCCESS"]
    captured = sum(shop_money(each["amountSet"]) for each in done if each["kind"] == "CAPTURE")
    at = said["processedAt"]
    voided = any(each["kind"] == "VOID" for each in done)
    if said["kind"] in {"AUTHORIZATION", "EMV_AUTHORIZATION"} and state is PaidState.CAPTURED:
        if captured:
            amount = captured
            at = next(each["processedAt"] for each in done if each["kind"] == "CAPTURE")
        elif voided:
            state = PaidState.DECLINED
        else:
            state = PaidState.AUTHORISED
    elif said["kind"] not in ROOTS | {"CAPTURE"}:
        state = PaidState.UNKNOWN
    # Cash that was handed back at the till.
    amount -= sum(shop_money(each["amountSet"]) for each in done if each["kind"] == "CHANGE")
    expires = said["authorizationExpiresAt"]
    return ExtPayment(
        id=number_of(str(said["id"])),
        method=str(said["gateway"] or "unknown"),
        amount=amount,
        state=state,
        paid_at=instant(at) if at and state is PaidState.CAPTURED else None,
        expires_at=instant(expires) if expires and state is PaidState.AUTHORISED else None,
        given_up=voided and state is PaidState.CAPTURED,
    )


def _outstanding(row: Mapping[str, Any], found: Sequence[ExtPayment]) -> list[ExtPayment]:
    """Return what is still to be paid where nobody has begun to: else the goods would leave unpaid.

    It has a name of its own, and once somebody pays it is told as declined: which undoes it where it was told before.
    """
    id_ = f"{row['legacyResourceId']}-outstanding"
    open_ = shop_money(row["totalOutstandingSet"])
    if open_ > 0 and all(each.state is PaidState.DECLINED for each in found):
        method = str(next(iter(row["paymentGatewayNames"]), "") or "pending")
        return [ExtPayment(id=id_, method=method, amount=open_)]
    return [ExtPayment(id=id_, method="pending", amount=shop_money(row["totalPriceSet"]), state=PaidState.DECLINED)]


def _refunds(row: Mapping[str, Any]) -> list[ExtRefund]:
    """Return each movement of money back by its own id, with the payment that its money once came by.

    What Shopify calls a refund may hold several of them, and units without any money.
    """
    parents = {str(each["id"]): str((each["parentTransaction"] or {}).get("id", "")) for each in row["transactions"]}
    return [
        ExtRefund(
            id=number_of(str(each["id"])),
            amount=shop_money(each["amountSet"]),
            payment=number_of(_root_of(parents, str(each["id"]))),
            state=BACK.get(each["status"], RefundState.UNKNOWN),
            refunded_at=instant(each["processedAt"]) if each["processedAt"] else None,
        )
        for each in row["transactions"]
        if each["kind"] == "REFUND"
    ]


def _root_of(parents: Mapping[str, str], id_: str) -> str:
    """Return the authorisation or sale that a movement of money goes back to; empty where it has none."""
    found, left = "", len(parents)
    above = parents.get(id_, "")
    while above and left:
        found, above, left = above, parents.get(above, ""), left - 1
    return found


# --- people and places ---


def _buyer(row: Mapping[str, Any]) -> ExtBuyer:
    address, bill = row["shippingAddress"] or {}, row["billingAddress"] or {}
    name = bill.get("name") or address.get("name") or ""
    phone = row["phone"] or address.get("phone") or bill.get("phone") or None
    return ExtBuyer(name=str(name), document=_document(row), email=row["email"] or None, phone=phone)


def _document(row: Mapping[str, Any]) -> str | None:
    """Return a CPF or CNPJ: from Shopify's field for it, a note of the checkout, or the line of the company."""
    fields = {each["key"]: each["value"] for each in row["localizedFields"]["nodes"]}
    said = [fields.get(key) for key in DOCUMENT_FIELDS]
    said += [each["value"] for each in row["customAttributes"] if DOCUMENT_NOTES.match(each["key"])]
    said += [(row[name] or {}).get("company") for name in ("billingAddress", "shippingAddress")]
    for text in said:
        bare = re.sub(r"[\s./-]", "", str(text or "")).upper()
        if DOCUMENT.match(bare):
            return bare
    return None


def _texts(said: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what Shopify keeps by keys, the last one of a key."""
    return {str(each["key"]): str(each["value"] or "") for each in said}


def _address(said: Mapping[str, Any] | None) -> ExtAddress | None:
    if said is None or not said["address1"]:
        return None
    street, number = _split(str(said["address1"]), ",")
    complement, district = _split(str(said["address2"] or ""), None)
    return ExtAddress(
        postal_code=str(said["zip"] or ""),
        street=street,
        number=number,
        complement=complement,
        district=district,
        city=str(said["city"] or ""),
        state=str(said["provinceCode"] or ""),
        country=str(said["countryCodeV2"] or "BR"),
    )


def _split(text: str, otherwise: str | None) -> tuple[str, str]:
    """Split a line where Shopify marked it, else at the last of a mark that people use."""
    if BETWEEN in text:
        first, _, second = text.partition(BETWEEN)
        return first.strip(" ,"), second.strip(" ,")
    if otherwise is None or otherwise not in text:
        return text.strip(), ""
    first, _, second = text.rpartition(otherwise)
    return first.strip(), second.strip()
