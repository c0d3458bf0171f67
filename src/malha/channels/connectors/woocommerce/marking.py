"""What Malha writes to an order: what has left and what will not come, so that it is found again."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from malha.channels.connectors.woocommerce.asking import pages, read_as
from malha.channels.connectors.woocommerce.words import OPEN, Order, Refund
from malha.channels.contract import Ctx, Rejected, ShipmentPush, ShippedLine

SHIPMENT, OPERATION = "_malha_shipment_", "_malha_operation_"
TRACKING = "_wc_shipment_tracking_items"  # of "Shipment Tracking" and of "Advanced Shipment Tracking"
CORREIOS = "_correios_tracking_code"
CANCELLED = "-"  # before the mark of a refund of no money: units that will not come


def mark_of(what: str) -> str:
    """Return what ends a text, so that it is found by a name."""
    return f"#{what}"


def parcels_of(order: Order) -> dict[str, Mapping[str, Any]]:
    """Return what Malha wrote of parcels, by their names."""
    return {
        key.removeprefix(SHIPMENT): value if isinstance(value, dict) else {}
        for key, value in order.meta.items()
        if key.startswith(SHIPMENT)
    }


def lines_of(order: Order, wanted: Sequence[ShippedLine]) -> dict[int, int] | Rejected:
    """Return units by the ids of WooCommerce: by those Malha was told, else by what they are of."""
    ids = {str(line.id): line.id for line in order.line_items}
    skus = {line.sku: line.id for line in order.line_items if line.sku}
    found: dict[int, int] = {}
    for line in wanted:
        id_ = ids.get(line.line) or skus.get(line.sku)
        if id_ is None:
            return Rejected("unknown_line", f"the order has no line of {line.sku}", "lines")
        found[id_] = found.get(id_, 0) + line.quantity
    return found


def tracked(order: Order, shipment: ShipmentPush, lines: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return the metadata that a parcel leaves: ours, and what the plug-ins for tracking read."""
    ours = {
        "lines": {str(id_): n for id_, n in lines.items()},
        "carrier": shipment.carrier,
        "tracking": shipment.tracking,
        "shipped_at": shipment.shipped_at.isoformat(),
    }
    meta: list[dict[str, Any]] = [{"key": SHIPMENT + shipment.shipment, "value": ours}]
    if not shipment.tracking:
        return meta
    name = hashlib.sha256(shipment.shipment.encode()).hexdigest()[:32]
    former = order.meta.get(TRACKING)
    others = [
        each for each in (former if isinstance(former, list) else ())
        if isinstance(each, dict) and each.get("tracking_id") != name
    ]  # fmt: skip
    item = {
        "tracking_provider": "",
        "custom_tracking_provider": shipment.carrier,
        "custom_tracking_link": "",
        "tracking_number": shipment.tracking,
        "date_shipped": str(int(shipment.shipped_at.timestamp())),
        "tracking_id": name,
    }
    meta.append({"key": TRACKING, "value": [*others, item]})
    if "correios" in shipment.carrier.casefold():
        codes = [code for code in str(order.meta.get(CORREIOS) or "").split(",") if code and code != shipment.tracking]
        meta.append({"key": CORREIOS, "value": ",".join([*codes, shipment.tracking])})
    return meta


async def is_all_gone(
    ctx: Ctx, order: Order, shipment: str = "", lines: Mapping[int, int] = MappingProxyType({})
) -> bool:
    """Tell whether with a parcel every unit of an open order has left or will not come."""
    if order.status not in OPEN:
        return False
    gone = left_by(order, but=shipment)
    gone.update(lines)
    if _covers(gone, order):
        return True
    if shipment and not order.refunds:
        return False
    gone.update(withdrawn(await _refunds(ctx, order.id)))
    return _covers(gone, order)


def _covers(gone: Mapping[int, int], order: Order) -> bool:
    return all(gone.get(line.id, 0) >= line.quantity for line in order.line_items)


def is_ours(reason: str | None) -> bool:
    """Tell whether a refund bears the mark of a key, which is a UUID."""
    _before, hash_, key = (reason or "").rpartition("#")
    return bool(hash_) and len(key) == 36 and key.count("-") == 4


async def refunds_of(ctx: Ctx, order: Order) -> dict[int, Refund]:
    """Return the refunds that an order names, by their ids; one that came meanwhile is of its next version."""
    known = {each.id for each in order.refunds}
    return {each.id: each for each in await _refunds(ctx, order.id) if each.id in known} if known else {}


async def _refunds(ctx: Ctx, order: int) -> list[Refund]:
    return [read_as(row, Refund) async for row in pages(ctx, f"/orders/{order}/refunds", {}, "find_refunds")]


def left_by(order: Order, *, but: str = "") -> Counter[int]:
    """Return the units of each line that left in parcels of Malha; of all but one that is named."""
    gone: Counter[int] = Counter()
    for name, parcel in parcels_of(order).items():
        told = parcel.get("lines")
        if name != but and isinstance(told, dict):
            gone.update({int(id_): int(n) for id_, n in told.items()})
    return gone


def is_sent(order: Order) -> bool:
    """Tell whether anything of an order left: a parcel of Malha, a plug-in's tracking code, or the shop says so."""
    codes = bool(order.meta.get(TRACKING)) or bool(str(order.meta.get(CORREIOS) or "").strip())
    return order.status == "completed" or bool(parcels_of(order)) or codes


def withdrawn(refunds: Iterable[Refund]) -> dict[int, int]:
    """Return the units of each line that refunds took off an order."""
    found: dict[int, int] = {}
    for refund in refunds:
        for line in refund.line_items:
            of = next((entry.value for entry in line.meta_data if entry.key == "_refunded_item_id"), None)
            if of is not None:
                found[int(of)] = found.get(int(of), 0) + abs(line.quantity)
    return found
