"""Pure decisions of supply: the state of an order, and which lines arriving goods belong to."""

from collections.abc import Sequence

from malha.inventory.supply.model import InboundChange, InboundLine, InboundState, LineChange, Over, ReceivedLine
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MOST_LINES = 1_000
MAX_UNITS = 1_000_000_000
MOST_COST = 1_000_000_000_000  # centavos


def derive_state(lines: Sequence[InboundLine]) -> InboundState:
    """Return what the lines say: nothing, some or all came, or what did not was given up."""
    received = sum(line.received for line in lines)
    if any(line.expected for line in lines):
        return InboundState.PARTIAL if received else InboundState.OPEN
    if any(line.dropped for line in lines):
        return InboundState.CLOSED if received else InboundState.CANCELLED
    return InboundState.RECEIVED


def flaws_of_change(lines: Sequence[InboundLine], change: InboundChange) -> list[Flaw]:
    """Return what of a change an order with these lines cannot have."""
    by_line = {line.line: line for line in lines}
    flaws = []
    if len(lines) + len(change.added) > MOST_LINES:
        flaws.append(Flaw("lines", N_("An order has 1 to {most} lines."), facts={"most": MOST_LINES}))
    seen: set[int] = set()
    for i, one in enumerate(change.lines):
        if one.line not in by_line:
            flaws.append(Flaw(f"lines/{i}/line", N_("The order has no line {line}."), facts={"line": one.line}))
        elif one.line in seen:
            flaws.append(Flaw(f"lines/{i}/line", N_("Line {line} is there twice."), facts={"line": one.line}))
        else:
            flaws += _flaws_of_line(by_line[one.line], one, f"lines/{i}")
        seen.add(one.line)
    flaws += [
        Flaw(f"added/{i}/quantity", N_("Write a whole number, 1 or more."))
        for i, one in enumerate(change.added)
        if not 0 < one.quantity <= MAX_UNITS
    ]
    return flaws


def _flaws_of_line(line: InboundLine, change: LineChange, at: str) -> list[Flaw]:
    quantity = line.quantity if change.quantity is None else change.quantity
    if quantity != line.quantity and not line.least <= quantity <= MAX_UNITS:
        if line.received + line.dropped == 0:
            mend = N_("To expect nothing of it any more, close the line short.")
            return [Flaw(f"{at}/quantity", N_("Write a whole number, 1 or more."), mend)]
        says = N_("{received} have come and {dropped} were given up: it cannot be less than {least}.")
        facts = {"received": line.received, "dropped": line.dropped, "least": line.least}
        return [Flaw(f"{at}/quantity", says, facts=facts)]
    cost = change.unit_cost
    if isinstance(cost, int) and not 0 <= cost <= MOST_COST:
        return [Flaw(f"{at}/unit_cost", N_("Write an amount of 0 or more."))]
    moved = change.eta is not None and change.eta != line.eta
    if moved and quantity <= line.received + line.dropped:
        return [Flaw(f"{at}/eta", N_("Nothing more is to come of this line: its day stays."))]
    return []


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
