"""What a substitute costs: pure.

The customer pays what the units it stands in for would have cost him, to the centavo, or less where the substitute is
cheaper. What any other unit of the order is worth stays what it was.
"""

from collections.abc import Mapping, Sequence

import msgspec

from malha.ordering.model import Line, Order
from malha.ordering.rules import worth


class Price(msgspec.Struct, frozen=True):
    """What a new line costs, in centavos: `total` = quantity x unit_price - discount."""

    unit_price: int
    discount: int
    total: int


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
    # A discount on the order stays with what it was given on: the new line has its part of it in its own discount, and
    # the shares of all others are what they were.
    net = worth(order, lines, retired) - worth(order, lines, cancelled)
    total = net * wanted // gross if gross else 0
    # Of a line that does not part evenly, the last units are worth a centavo more: no discount is below nothing.
    unit_price = -(-max(wanted, total) // quantity)
    return Price(unit_price, unit_price * quantity - total, total)
