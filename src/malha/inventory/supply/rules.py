"""Pure decisions of supply: the state of an order, and which lines arriving goods belong to."""

from collections.abc import Sequence

from malha.inventory.supply.model import InboundLine, InboundState, Over, ReceivedLine


def derive_state(lines: Sequence[InboundLine]) -> InboundState:
    """Return what the lines say: nothing, some or all came, or what did not was given up."""
    received = sum(line.received for line in lines)
    if any(line.expected for line in lines):
        return InboundState.PARTIAL if received else InboundState.OPEN
    if any(line.dropped for line in lines):
        return InboundState.CLOSED if received else InboundState.CANCELLED
    return InboundState.RECEIVED


def match_lines(lines: Sequence[InboundLine], arrived: Sequence[ReceivedLine]) -> list[ReceivedLine]:
    """Return what arrived with the line of the order each part belongs to.

    Goods without a line fill what is expected of their SKU, the earliest date first; what is left over goes to the
    SKU's last line. A SKU that nobody ordered keeps no line.
    """
    left = {line.line: line.expected for line in lines}
    for one in arrived:
        if one.order_line in left:
            left[one.order_line] = max(left[one.order_line] - one.quantity, 0)
    matched: list[ReceivedLine] = []
    for one in arrived:
        mine = sorted((line for line in lines if line.sku_id == one.sku_id), key=lambda line: (line.eta, line.line))
        if one.order_line is not None or not mine:
            matched.append(one)
            continue
        rest = one.quantity
        for line in mine:
            part = min(rest, left[line.line])
            if line is mine[-1]:
                part = rest
            if part:
                matched.append(ReceivedLine(one.sku_id, part, one.bucket, line.line))
                left[line.line] = max(left[line.line] - part, 0)
                rest -= part
    return matched


def allowed(quantity: int, over_percent: int) -> int:
    """Return how many units of a line may come without anybody being asked: a part of a unit is not one."""
    return quantity + quantity * over_percent // 100


def beyond(lines: Sequence[InboundLine], matched: Sequence[ReceivedLine], over_percent: int) -> list[Over]:
    """Return what is more than the order allows, and what nobody ordered."""
    by_line = {line.line: line for line in lines}
    coming: dict[int, int] = {}
    strange: dict[int, int] = {}
    for one in matched:
        if one.order_line in by_line and by_line[one.order_line].sku_id == one.sku_id:
            coming[one.order_line] = coming.get(one.order_line, 0) + one.quantity
        else:
            strange[one.sku_id] = strange.get(one.sku_id, 0) + one.quantity
    found = []
    for number, units in sorted(coming.items()):
        line = by_line[number]
        most = allowed(line.quantity, over_percent)
        if line.received + units > most:
            found.append(Over(number, line.sku_id, max(most - line.received, 0), units))
    return found + [Over(None, sku, 0, units) for sku, units in sorted(strange.items())]
