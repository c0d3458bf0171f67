"""What is told once: parcels, cancels, refunds; and how each is found again.

Shopify takes our key for a refund, and for a time only. So a cancel and a refund bear it in their note, where people
may read it, and are looked for there first. A fulfillment has no room for it: it is known by its tracking number and
its lines. A parcel without a tracking number is known by nothing: where one like it is there, a person must look.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from malha.channels.connectors.shopify.asking import ask, refused
from malha.channels.connectors.shopify.config import gid, number_of
from malha.channels.connectors.shopify.money import decimal, shop_money
from malha.channels.connectors.shopify.reading import UNREAD, rest
from malha.channels.contract import (
    CancelPush,
    Ctx,
    ExtRef,
    Missing,
    Ok,
    Pending,
    RefundPush,
    Rejected,
    Result,
    ShipmentPush,
    ShippedLine,
)

READY = frozenset({"OPEN", "IN_PROGRESS"})
GONE = frozenset({"CANCELLED", "ERROR", "FAILURE"})  # a fulfillment that is none any more
WAITS_S = (0.1, 0.3, 1.0, 2.0)  # between looks at a job


# --- parcels ---


async def find_shipment(ctx: Ctx, shipment: ShipmentPush) -> ExtRef | None:
    """Return the fulfillment that is this parcel.

    Raises:
        NotImplementedError: one may be, and nothing tells it from others.
    """
    order = await _order(ctx, "fulfillments", shipment.order)
    for each in order["fulfillments"]:
        numbers = [str(info["number"]) for info in each["trackingInfo"] if info["number"]]
        may_be = shipment.tracking in numbers if shipment.tracking else not numbers
        if each["status"] in GONE or not may_be or not await _same_lines(ctx, str(each["id"]), shipment.lines):
            continue
        if not shipment.tracking:
            raise NotImplementedError
        return ExtRef(number_of(str(each["id"])))
    return None


async def _same_lines(ctx: Ctx, fulfillment: str, wanted: Sequence[ShippedLine]) -> bool:
    nodes = await sent_by(ctx, fulfillment)
    return _lines([node["lineItem"] for node in nodes], wanted) == units_of(nodes)


async def sent_by(ctx: Ctx, fulfillment: str) -> list[Any]:
    """Return the lines of a fulfillment."""
    return await rest(ctx, "sent", ("fulfillment", "fulfillmentLineItems"), fulfillment, UNREAD)


def units_of(nodes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the units of lines of a fulfillment, by line of the order."""
    units: dict[str, int] = {}
    for node in nodes:
        line = str(node["lineItem"]["id"])
        units[line] = units.get(line, 0) + int(node["quantity"] or 0)
    return units


async def push_shipment(ctx: Ctx, shipment: ShipmentPush) -> Result:
    """Fulfill what left, in one fulfillment; what Shopify has elsewhere is moved to where it left from first."""
    await _order(ctx, "marks", shipment.order)
    works = await works_of(ctx, gid("Order", shipment.order))
    lines = _lines([row["lineItem"] | {"sku": row["sku"]} for work in works for row in work["rows"]], shipment.lines)
    if isinstance(lines, Rejected):
        return lines
    parts = _parts(works, lines)
    if isinstance(parts, Rejected):
        return parts
    place = ctx.config.locations.get(shipment.location, "")
    target = gid("Location", place) if place else parts[0].place
    asked: list[dict[str, Any]] = []
    for part in parts:
        settled = part if part.place == target else await _moved(ctx, part, target)
        if isinstance(settled, Rejected):
            return settled
        asked.append({"fulfillmentOrderId": settled.work, "fulfillmentOrderLineItems": settled.lines})
    fulfillment: dict[str, Any] = {"lineItemsByFulfillmentOrder": asked, "notifyCustomer": ctx.config.notify}
    if shipment.tracking or shipment.carrier:
        info = {"company": shipment.carrier or None, "number": shipment.tracking or None}
        fulfillment["trackingInfo"] = {name: said for name, said in info.items() if said}
    made = (await ask(ctx, "ship", {"fulfillment": fulfillment}))["fulfillmentCreate"]
    if made["userErrors"]:
        return refused(made["userErrors"])
    return Ok(number_of(str(made["fulfillment"]["id"])))


async def works_of(ctx: Ctx, order: str) -> list[dict[str, Any]]:
    """Return Shopify's fulfillment orders of an order, each with all its lines as `rows`."""
    works = await rest(ctx, "work", ("order", "fulfillmentOrders"), order, UNREAD)
    return [{**work, "rows": await _rows(ctx, work)} for work in works]


async def _rows(ctx: Ctx, work: Mapping[str, Any]) -> list[Any]:
    return await rest(ctx, "more_work", ("fulfillmentOrder", "lineItems"), str(work["id"]), work["lineItems"])


class _Part:
    """Some lines of one of Shopify's fulfillment orders, and where that one is assigned."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        self.work = str(work["id"])
        self.place = str(((work["assignedLocation"] or {}).get("location") or {}).get("id") or "")
        self.lines: list[dict[str, Any]] = []
        self.of: dict[str, int] = {}  # by line of the order


def _parts(works: Sequence[Mapping[str, Any]], lines: Mapping[str, int]) -> list[_Part] | Rejected:
    """Return from which fulfillment orders the units are taken, the one with most of them first."""
    left = dict(lines)
    parts: list[_Part] = []
    for work in works:
        actions = {each["action"] for each in work["supportedActions"]}
        if work["status"] not in READY or "CREATE_FULFILLMENT" not in actions:
            continue
        part = _Part(work)
        for row in work["rows"]:
            line = str(row["lineItem"]["id"])
            taken = min(left.get(line, 0), int(row["remainingQuantity"]))
            if taken > 0:
                part.lines.append({"id": row["id"], "quantity": taken})
                part.of[line] = part.of.get(line, 0) + taken
                left[line] -= taken
        if part.lines:
            parts.append(part)
    short = {line: quantity for line, quantity in left.items() if quantity > 0}
    if short:
        held = sorted({str(work["status"]) for work in works})
        says = ", ".join(f"{quantity} of line {number_of(line)}" for line, quantity in sorted(short.items()))
        return Rejected("not_fulfillable", f"nothing open is left for {says}; its work is {', '.join(held)}", "lines")
    return sorted(parts, key=lambda part: -sum(part.of.values()))


async def _moved(ctx: Ctx, part: _Part, target: str) -> _Part | Rejected:
    asked = {"id": part.work, "location": target, "lines": part.lines}
    said = (await ask(ctx, "move", asked))["fulfillmentOrderMove"]
    if said["userErrors"]:
        return refused(said["userErrors"])
    work = said["movedFulfillmentOrder"]
    moved = _Part(work)
    left = dict(part.of)
    for row in await _rows(ctx, work):
        line = str(row["lineItem"]["id"])
        taken = min(left.get(line, 0), int(row["remainingQuantity"]))
        if taken > 0:
            moved.lines.append({"id": row["id"], "quantity": taken})
            left[line] -= taken
    if any(left.values()):
        return Rejected("not_moved", "Shopify moved fewer units than were asked for", "lines")
    return moved


def _lines(nodes: Sequence[Mapping[str, Any]], wanted: Sequence[ShippedLine]) -> dict[str, int] | Rejected:
    """Return units by line of the order: by Shopify's own ids, else by what the lines are of."""
    by_name = {str(node["sku"]): str(node["id"]) for node in nodes if node["sku"]}
    by_name |= {number_of(str(node["id"])): str(node["id"]) for node in nodes}
    found: dict[str, int] = {}
    for line in wanted:
        id_ = by_name.get(line.line) or by_name.get(line.sku)
        if id_ is None:
            return Rejected("unknown_line", f"the order has no line of {line.sku}", "lines")
        found[id_] = found.get(id_, 0) + line.quantity
    return found


# --- cancels and refunds ---


def mark(key: str) -> str:
    """Return how a note bears a key."""
    return f"#{key}"


async def find_operation(ctx: Ctx, order: str, key: str) -> ExtRef | None:
    """Return the cancel or refund whose note bears a key."""
    found = await _order(ctx, "marks", order)
    if found["cancelledAt"] and _bears((found["cancellation"] or {}).get("staffNote"), key):
        return ExtRef(order)
    refund = next((each for each in found["refunds"] if _bears(each["note"], key)), None)
    return None if refund is None else ExtRef(number_of(str(refund["id"])))


def _bears(note: Any, key: str) -> bool:
    return str(note or "").endswith(mark(key))


async def cancel(ctx: Ctx, push: CancelPush, key: str) -> Result:
    """Cancel the whole order, or take units out of it; money goes back only by `refund`.

    Shopify cancels an order when it gets round to it: it is looked at a few times, and then later.
    """
    note = f"{push.reason} {mark(key)}".strip()
    if not push.whole:
        return await _take_out(ctx, push, note, key)
    if await _is_cancelled(ctx, push.order):
        return Ok(push.order)  # by us or by others: it is what was asked for
    asked = {"order": gid("Order", push.order), "reason": "OTHER", "note": note, "notify": ctx.config.notify}
    said = (await ask(ctx, "cancel", asked))["orderCancel"]
    errors, job = said["orderCancelUserErrors"], said["job"]
    if job is None or errors:
        # What is being cancelled already may be refused as well: only the order itself knows, after a while.
        no = refused(errors or [{"code": "refused", "message": "Shopify did not begin to cancel it"}])
        waits: Sequence[float] = WAITS_S
    elif await _done(ctx, job):
        no, waits = Rejected("not_cancelled", "Shopify worked on it and did not cancel it: look at the order there"), ()
    else:
        return Pending(str(job["id"]))
    return Ok(push.order) if await _is_cancelled(ctx, push.order, waits) else no


async def _is_cancelled(ctx: Ctx, order: str, waits: Sequence[float] = ()) -> bool:
    """Tell whether an order is cancelled, now or after some waits."""
    for wait in waits:
        if (await _order(ctx, "marks", order))["cancelledAt"]:
            return True
        await asyncio.sleep(wait)
    return bool((await _order(ctx, "marks", order))["cancelledAt"])


async def _done(ctx: Ctx, job: Mapping[str, Any]) -> bool:
    done = bool(job["done"])
    for wait in WAITS_S:
        if done:
            break
        await asyncio.sleep(wait)
        found = (await ask(ctx, "job", {"id": job["id"]}))["job"]
        done = found is None or bool(found["done"])
    return done


async def _take_out(ctx: Ctx, push: CancelPush, note: str, key: str) -> Result:
    nodes = await rest(ctx, "lines", ("order", "lineItems"), gid("Order", push.order), UNREAD)
    lines = _lines(nodes, push.lines)
    if isinstance(lines, Rejected):
        return lines
    wanted = [{"lineItemId": id_, "quantity": units, "restockType": "CANCEL"} for id_, units in lines.items()]
    return await _refund(ctx, {"orderId": gid("Order", push.order), "note": note, "refundLineItems": wanted}, key)


async def refund(ctx: Ctx, push: RefundPush, key: str) -> Result:
    """Have money go back the way it came."""
    order = await _order(ctx, "payments", push.order)
    if order["presentmentCurrencyCode"] != order["currencyCode"]:
        says = f"the shopper paid in {order['presentmentCurrencyCode']}: only Shopify knows how much that is"
        return Rejected("other_currency", says, "currency")
    if push.currency != order["currencyCode"]:
        return Rejected("currency", f"the order is in {order['currencyCode']}", "currency")
    parts = _shares(order, push)
    if isinstance(parts, Rejected):
        return parts
    asked = {"orderId": gid("Order", push.order), "note": mark(key), "transactions": parts}
    return await _refund(ctx, asked, key)


def _shares(order: Mapping[str, Any], push: RefundPush) -> list[dict[str, Any]] | Rejected:
    """Return what goes back on which of the transactions that took the money of a payment."""
    rows = [each for each in order["transactions"] if each["status"] == "SUCCESS"]
    root = gid("OrderTransaction", push.payment)
    parents = [
        each
        for each in rows
        if (each["id"] == root and each["kind"] in {"SALE", "CAPTURE"})
        or (each["kind"] == "CAPTURE" and (each["parentTransaction"] or {}).get("id") == root)
    ]
    if not parents:
        return Rejected("unknown_payment", f"no money was taken by the payment {push.payment}", "payment")
    left = push.amount
    shares: list[dict[str, Any]] = []
    for parent in parents:
        back = sum(
            shop_money(each["amountSet"])
            for each in rows
            if each["kind"] in {"REFUND", "CHANGE"} and (each["parentTransaction"] or {}).get("id") == parent["id"]
        )
        share = min(left, shop_money(parent["amountSet"]) - back)
        if share > 0:
            shares.append(
                {
                    "orderId": gid("Order", push.order),
                    "parentId": parent["id"],
                    "kind": "REFUND",
                    "gateway": parent["gateway"],
                    "amount": decimal(share, push.currency),
                }
            )
            left -= share
    return Rejected("too_much", f"{left} more than is left of what was paid", "amount") if left else shares


async def _refund(ctx: Ctx, asked: Mapping[str, Any], key: str) -> Result:
    said = (await ask(ctx, "refund", {"input": asked, "key": key}))["refundCreate"]
    return refused(said["userErrors"]) if said["userErrors"] else Ok(number_of(str(said["refund"]["id"])))


async def _order(ctx: Ctx, operation: str, id_: str) -> dict[str, Any]:
    """Return an order as an operation asks for it.

    Raises:
        Missing: there is none.
    """
    found = (await ask(ctx, operation, {"id": gid("Order", id_)}))["order"] if is_id(id_) else None
    if found is None:
        raise Missing(f"there is no order {id_}")
    order: dict[str, Any] = found
    return order


def is_id(text: str) -> bool:
    """Tell whether a text may be an id; what Shopify could never have said it is not asked about."""
    return text.isascii() and text.isdigit() and len(text) <= 20
