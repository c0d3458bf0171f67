"""What left, as customer shipments."""

from collections.abc import Mapping, Sequence
from typing import Any

from malha.channels.connectors.tryton.asking import ask, fields_of, moved_to, search
from malha.channels.connectors.tryton.closing import LINE, open_units
from malha.channels.connectors.tryton.goods import named, warehouses
from malha.channels.connectors.tryton.values import id_of, parcel_of
from malha.channels.contract import Ctx, ExtRef, Invalid, Missing, Ok, Rejected, Result, ShipmentPush, Unsure

SHIPMENT = ("state", "reference", "warehouse_storage", "warehouse_output")
NEXT_OF_SHIPMENT = {
    "draft": "wait",
    "waiting": "assign_force",
    "assigned": "pick",
    "picked": "pack",
    "packed": "ship",
    "shipped": "do",
}


async def find_shipment(ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
    """Return the customer shipment that bears a parcel's mark; one that is not done yet is."""
    del key
    found = await _done(ctx, parcel_of(shipment))
    return None if found is None else ExtRef(found)


async def push_shipment(ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
    """Make a customer shipment of exactly what left, and bring it to done."""
    del key
    if ctx.config.shipments == "tryton":
        return Ok()  # Tryton makes the shipments of what it sells: there is nothing to tell
    made = await _packed(ctx, shipment)
    if isinstance(made, Rejected):
        return made
    await ask(ctx, "POST", "stock.shipment.out", query=fields_of(SHIPMENT), body=made, operation="push_shipment")
    found = await _done(ctx, parcel_of(shipment))
    if found is None:
        raise Unsure("the shipment that was made is not found")
    return Ok(found)


async def _done(ctx: Ctx, mark: str) -> str | None:
    found = await search(ctx, "stock.shipment.out", [["reference", "=", mark]], SHIPMENT)
    if not found:
        return None
    found.sort(key=lambda each: (each["state"] in {"draft", "cancelled"}, each["id"]))
    parcel, others = found[0], found[1:]
    for other in others:
        if other["state"] == "draft":
            await ask(ctx, "DELETE", f"stock.shipment.out/{other['id']}", operation="push_shipment")
    if parcel["state"] == "cancelled":
        raise Invalid("the shipment was cancelled in Tryton")
    state = parcel["state"]
    while state in NEXT_OF_SHIPMENT:
        act = NEXT_OF_SHIPMENT[state]
        if act == "pick" and parcel["warehouse_storage"] == parcel["warehouse_output"]:
            act = "pack"  # there is no way between the two
        path = f"stock.shipment.out/{parcel['id']}/{act}"
        # What left has left, whatever Tryton would warn of.
        sure = {"_skip_warnings": True}
        moved = await ask(
            ctx, "POST", path, query=fields_of(SHIPMENT), body={}, context=sure, operation="push_shipment"
        )
        state = moved_to(state, moved.body["state"])
    return str(parcel["id"])


async def _packed(ctx: Ctx, shipment: ShipmentPush) -> dict[str, Any] | Rejected:
    id_ = id_of(shipment.order)
    sales = await search(
        ctx,
        "sale.sale",
        [["id", "=", id_]],
        ["party.id", "party.customer_location", "shipment_address", "currency"],
    )
    if not sales:
        raise Missing(f"there is no sale {shipment.order}")
    sale = sales[0]
    places = await warehouses(ctx)
    code = named(ctx).get(shipment.location, shipment.location)
    place = places.get(code) if code else next(iter(places.values()), None)
    if place is None:
        return Rejected("unknown_warehouse", f"Tryton has no warehouse with the code {code}", "location")
    # What stands in for other goods is on a document of its own, which refers to the sale.
    mine = ["OR", ["sale.id", "=", id_], ["sale.origin", "=", f"sale.sale,{id_}"]]
    fields = (*LINE, "product.code")
    lines = await search(ctx, "sale.line", [mine, ["quantity", ">", 0], ["product.type", "=", "goods"]], fields)
    moves = []
    for sku, quantity in _summed(shipment).items():
        mine_of = [line for line in lines if line["product"]["code"] == sku]
        if not mine_of:
            return Rejected("unknown_line", f"the sale has no line of {sku}", "lines")
        moves += [
            {
                "product": line["product"]["id"],
                "quantity": units,
                "unit": line["unit"],
                "unit_price": line["unit_price"],
                "currency": sale["currency"],
                "company": ctx.config.company,
                "from_location": place["output_location"]["id"],
                "to_location": sale["party"]["customer_location"],
                "origin": f"sale.line,{line['id']}",
            }
            for line, units in _shared(mine_of, quantity)
        ]
    return {
        "company": ctx.config.company,
        "customer": sale["party"]["id"],
        "delivery_address": sale["shipment_address"],
        "warehouse": place["id"],
        "warehouse_storage": (place["picking_location"] or place["storage_location"])["id"],
        "warehouse_output": place["output_location"]["id"],
        "reference": parcel_of(shipment),
        "moves": [["create", moves]],
    }


def _summed(shipment: ShipmentPush) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in shipment.lines:
        found[line.sku] = found.get(line.sku, 0) + line.quantity
    return found


def _shared(lines: Sequence[Mapping[str, Any]], quantity: int) -> list[tuple[Mapping[str, Any], int]]:
    """Share units among lines of one product: as many as each still has to ship, the rest on the last."""
    shared: list[tuple[Mapping[str, Any], int]] = []
    for n, line in enumerate(lines, 1):
        units = quantity if n == len(lines) else min(quantity, open_units(line))
        quantity -= units
        if units:
            shared.append((line, units))
    return shared
