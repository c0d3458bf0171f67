"""What a substitute costs: never more than what it stands in for, and not less than the customer's part of its price."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from malha.ordering.model import Line, Order, OrderStatus
from malha.ordering.replacement import price_replacement
from malha.ordering.rules import cancelled_worth
from malha.platform.ids import new_id

ID = new_id()


@st.composite
def cases(draw):
    """An order with a discount, some units of it cancelled, some of one line to be replaced."""
    lines, items = [], 0
    for n in range(1, draw(st.integers(1, 5)) + 1):
        quantity = draw(st.integers(1, 6))
        total = draw(st.integers(0, 60_000))
        lines.append(Line(ID, n, n, quantity, total))
        items += total
    discount = draw(st.integers(0, items))
    shipping = draw(st.integers(0, 5_000))
    line = draw(st.sampled_from(lines))
    cancelled = {x.line: draw(st.integers(0, x.quantity - (x is line))) for x in lines}
    quantity = draw(st.integers(1, line.quantity - cancelled[line.line]))
    order = Order(
        id=ID, number=1, channel_id=1, currency="BRL", status=OrderStatus.UNPLACED, items_total=items,
        discount_total=discount, shipping_total=shipping, total=items - discount + shipping, cancelled_total=0,
        method="ship", service_id=None, pickup_location_id=None, buyer_name="", buyer_document=None, buyer_email=None,
        buyer_phone=None, ship_to=None, release_after=datetime(2026, 1, 1, tzinfo=UTC), seq=1,
    )  # fmt: skip
    return order, lines, cancelled, line, quantity, draw(st.none() | st.integers(0, 30_000))


@given(cases())
def test_a_substitute_never_makes_an_order_dearer_and_gives_away_no_more_than_rounding(case):
    order, lines, cancelled, line, quantity, listed = case
    price = price_replacement(order, lines, cancelled, line, quantity, listed)
    assert price.total == price.unit_price * quantity - price.discount
    assert price.discount >= 0 <= price.total
    new = max(x.line for x in lines) + 1
    after = [*lines, Line(ID, new, 99, quantity, price.total)]
    grown = msgspec.structs.replace(order, total=order.total + price.total)
    retired = {**cancelled, line.line: cancelled[line.line] + quantity, new: 0}
    before = order.total - cancelled_worth(order, lines, cancelled)
    payable = grown.total - cancelled_worth(grown, after, retired)
    assert payable <= before
    gross = line.total * quantity // line.quantity
    if listed is None or listed * quantity >= gross:
        # It costs the same, but for centavos that the shares of a discount round away: one a line at most.
        assert before - payable <= len(after) + 1
    else:
        assert price.total <= listed * quantity
