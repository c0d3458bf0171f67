"""What a shop's own staff took back of an order: units that will not leave, and money.

A refund in Shopify holds units, money or both. Of its units it says whether they were put back before they left
(`CANCEL`), came back afterwards (`RETURN`), or neither: then what has left and what is still to leave is asked for,
and what is in neither is cancelled. Goods that came back are a return, and no cancel.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from malha.channels.connectors.shopify.asking import ask
from malha.channels.connectors.shopify.orders import TakenBack, ordered_of
from malha.channels.connectors.shopify.reading import UNREAD, rest
from malha.channels.connectors.shopify.telling import GONE, sent_by, units_of, works_of
from malha.channels.contract import Ctx

CANCELLED, RETURNED = "CANCEL", "RETURN"


async def read(ctx: Ctx, row: Mapping[str, Any]) -> TakenBack:
    """Return the units that the refunds of an order took back."""
    order = (await ask(ctx, "returns", {"id": row["id"]}))["order"] or {"refunds": []}
    units: Counter[str] = Counter()
    cancelled: Counter[str] = Counter()
    unsaid: Counter[str] = Counter()
    for refund in order["refunds"]:
        for each in await rest(ctx, "returned", ("refund", "refundLineItems"), refund["id"], UNREAD):
            line, n, how = str(each["lineItem"]["id"]), int(each["quantity"]), str(each["restockType"])
            units[line] += n
            if how == CANCELLED:
                cancelled[line] += n
            elif how != RETURNED:
                unsaid[line] += n
    if unsaid:
        elsewhere = await _sent(ctx, row["id"]) + await _open(ctx, row["id"])
        for said in row["lineItems"]["nodes"]:
            line, ordered = str(said["id"]), ordered_of(row, said, units)
            nowhere = ordered - cancelled[line] - elsewhere[line]
            cancelled[line] += max(0, min(unsaid[line], nowhere))
    return TakenBack(dict(units), dict(cancelled))


async def _sent(ctx: Ctx, order: str) -> Counter[str]:
    """Return the units that left, by line."""
    found = (await ask(ctx, "whereabouts", {"id": order}))["order"] or {"fulfillments": []}
    sent: Counter[str] = Counter()
    for each in found["fulfillments"]:
        if each["status"] not in GONE:
            sent.update(units_of(await sent_by(ctx, str(each["id"]))))
    return sent


async def _open(ctx: Ctx, order: str) -> Counter[str]:
    """Return the units that are still to leave, by line."""
    left: Counter[str] = Counter()
    for work in await works_of(ctx, order):
        for line in work["rows"]:
            left[str(line["lineItem"]["id"])] += int(line["remainingQuantity"])
    return left
