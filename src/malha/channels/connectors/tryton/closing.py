"""Units that will never leave, closed on the sale they were sold by, so that Tryton waits for no parcel of them.

In Tryton that is a move of the line which was cancelled and is ignored. What is closed is seen by what is there: units
of documents that take back are closed on those documents first, and as many on the sale then. So whatever broke on the
way is gone on with, and nothing is closed twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from malha.channels.connectors.tryton.asking import ask, fields_of, search
from malha.channels.connectors.tryton.values import id_of, whole
from malha.channels.contract import Ctx, Document, DocumentKind

OPERATION = "close_units"
TAKING_BACK = frozenset({DocumentKind.CREDIT, DocumentKind.CHANGE})  # units that had not left
LINE = (
    "product.id",
    "unit",
    "unit_price",
    "quantity",
    "sale.id",
    "sale.currency",
    "from_location",
    "to_location",
    "moves.quantity",
    "moves.state",
    "moves.shipment",
    "moves_ignored.quantity",
)


async def close_units(ctx: Ctx, document: Document, document_id: str) -> None:
    """Close what a confirmed document takes back; where Tryton ships itself, its people do.

    Raises:
        Invalid: Tryton does not let its user do that.
    """
    if ctx.config.shipments == "tryton" or document.kind not in TAKING_BACK:
        return
    sale, here = id_of(document.sale), id_of(document_id)
    taken = await _lines(ctx, [["sale", "=", here], ["quantity", "<", 0]])
    for line in taken:
        await _close(ctx, line, -whole(line["quantity"]) - ignored_of(line))
    # All that was taken back of the sale by now, and where it was sold: on it, or on what stands in for other goods.
    of_sale = ["OR", ["sale", "=", sale], ["sale.origin", "=", f"sale.sale,{sale}"]]
    every = await _lines(ctx, [of_sale, ["sale.state", "in", ["processing", "done"]]])
    sold = [line for line in every if whole(line["quantity"]) > 0]
    for product in sorted({line["product"]["id"] for line in taken}):
        mine = [line for line in sold if line["product"]["id"] == product]
        back = [line for line in every if line["product"]["id"] == product and whole(line["quantity"]) < 0]
        left = sum(map(ignored_of, back)) - sum(map(ignored_of, mine))
        # What was sold at the same price first: that is the line it was taken from.
        prices = {line["unit_price"]["decimal"] for line in taken if line["product"]["id"] == product}
        for line in sorted(mine, key=lambda line: (line["unit_price"]["decimal"] not in prices, line["id"])):
            units = min(left, open_units(line))
            await _close(ctx, line, units)
            left -= max(0, units)
    # What a sale says of its parcels is worked out when it is processed; that was lost, maybe, when all is closed.
    for id_ in sorted({sale, here, *(line["sale"]["id"] for line in sold)}):
        await ask(ctx, "POST", f"sale.sale/{id_}/process", query=fields_of(["state"]), body={}, operation=OPERATION)


async def _lines(ctx: Ctx, domain: Sequence[Any]) -> list[dict[str, Any]]:
    return await search(ctx, "sale.line", [*domain, ["type", "=", "line"], ["product.type", "=", "goods"]], LINE)


def ignored_of(line: Mapping[str, Any]) -> int:
    """Return the units of a line that are closed."""
    return sum(whole(move["quantity"]) for move in line["moves_ignored"])


def open_units(line: Mapping[str, Any]) -> int:
    """Return the units of a line that are still to leave."""
    moved = sum(whole(move["quantity"]) for move in line["moves"] if move["state"] != "cancelled" and move["shipment"])
    return max(0, abs(whole(line["quantity"])) - moved - ignored_of(line))


async def _close(ctx: Ctx, line: Mapping[str, Any], units: int) -> None:
    """Close units of a line."""
    if units <= 0:
        return
    known = {move["id"] for move in line["moves_ignored"]}
    moves = [
        move
        for move in line["moves"]
        if not move["shipment"] and move["state"] in {"draft", "cancelled"} and move["id"] not in known
    ]  # of an attempt that broke off
    missing = units - sum(whole(move["quantity"]) for move in moves)
    if missing > 0:
        made = {
            "product": line["product"]["id"],
            "quantity": missing,
            "unit": line["unit"],
            "unit_price": line["unit_price"],
            "currency": line["sale"]["currency"],
            "company": ctx.config.company,
            "from_location": line["from_location"],
            "to_location": line["to_location"],
            "origin": f"sale.line,{line['id']}",
        }
        said = await ask(ctx, "POST", "stock.move", query=fields_of(["state"]), body=made, operation=OPERATION)
        moves.append(said.body)
    for move in moves:
        if move["state"] == "draft":
            path = f"stock.move/{move['id']}/cancel"
            await ask(ctx, "POST", path, query=fields_of(["state"]), body={}, operation=OPERATION)
    ignored = {"moves_ignored": [["add", [move["id"] for move in moves]]]}
    await ask(ctx, "PUT", f"sale.line/{line['id']}", query=fields_of(["id"]), body=ignored, operation=OPERATION)
