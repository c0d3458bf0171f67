"""What a substitute costs: pure.

The customer pays what the units it stands in for would have cost him, or less where the substitute is cheaper; never
more, not even by a centavo that a discount on the order rounds the other way.
"""

from collections.abc import Mapping, Sequence

import msgspec

from malha.ordering.model import Line, Order
from malha.platform.money import share_out


class Price(msgspec.Struct, frozen=True):
    """What a new line costs, in centavos: `total` = quantity x unit_price - discount."""

    unit_price: int
    discount: int
    total: int


def worth(order: Order, lines: Sequence[Line], cancelled: Mapping[int, int]) -> int:
    """Return what cancelled units take off an order of which something is left; see `rules.cancelled_worth`."""
    discounts = share_out(order.discount_total, [line.total for line in lines])
    return sum(
        (line.total - discount) * cancelled.get(line.line, 0) // line.quantity
        for line, discount in zip(lines, discounts, strict=True)
    )


def price_replacement(
    order: Order, lines: Sequence[Line], cancelled: Mapping[int, int], line: Line, quantity: int, listed: int | None
) -> Price:
    """Return the price of `quantity` units that stand in for as many of a line.

    Args:
        order: Its header.
        lines: Its lines.
        cancelled: Sold units cancelled before, by line.
        line: The line whose units are retired.
        quantity: How many.
        listed: The substitute's price by the catalogue, in centavos; None is not known.
    """
    gross = line.total * quantity // line.quantity
    wanted = gross if listed is None else min(gross, listed * quantity)
    retired = {**cancelled, line.line: cancelled.get(line.line, 0) + quantity}
    net = worth(order, lines, retired) - worth(order, lines, cancelled)
    # A discount on the order stays with what it was given on: a cheaper substitute takes its part of it.
    payable = order.total - worth(order, lines, cancelled) - net + (net * wanted // gross if gross else 0)
    new = max(one.line for one in lines) + 1
    total = wanted
    while total:
        stands = [*lines, Line(order.id, new, None, quantity, total)]
        over = order.total + total - worth(order, stands, retired) - payable
        if over <= 0:
            break
        total = max(total - over, 0)
    unit_price = -(-wanted // quantity)
    return Price(unit_price, unit_price * quantity - total, total)
