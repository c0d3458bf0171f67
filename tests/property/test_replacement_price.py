"""What a substitute costs: what it stands in for, or less where it is cheaper; nothing else of the order changes."""

from datetime import UTC, datetime

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from malha.ordering.model import Line, Order, OrderStatus
from malha.ordering.replacement import Price, price_replacement
from malha.ordering.rules import cancelled_worth, worth
from malha.platform.ids import new_id

ID = new_id()


def an_order(items, discount, shipping):
    return Order(
        id=ID, number=1, channel_id=1, currency="BRL", status=OrderStatus.UNPLACED, items_total=items,
        discount_total=discount, shipping_total=shipping, total=items - discount + shipping, cancelled_total=0,
        method="ship", service_id=None, pickup_location_id=None, buyer_name="", buyer_document=None, buyer_email=None,
        buyer_phone=None, ship_to=None, release_after=datetime(2026, 1, 1, tzinfo=UTC), seq=1,
    )  # fmt: skip


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
    order = an_order(items, discount, shipping)
    return order, lines, cancelled, line, quantity, draw(st.none() | st.integers(0, 30_000))


def replaced(case):
    """Return the order, its lines and what is cancelled after the replacement, and the new line's price."""
    order, lines, cancelled, line, quantity, listed = case
    price = price_replacement(order, lines, cancelled, line, quantity, listed)
    new = max(x.line for x in lines) + 1
    after = [*lines, Line(ID, new, 99, quantity, price.total, shares_discount=False)]
    grown = msgspec.structs.replace(order, total=order.total + price.total)
    return grown, after, {**cancelled, line.line: cancelled[line.line] + quantity, new: 0}, price


UNEVEN = Line(ID, 1, 1, 2, 3)


# Two units for three centavos, of which one was cancelled: the other is worth two.
@example((an_order(3, 0, 0), [UNEVEN], {1: 1}, UNEVEN, 1, None))
@given(cases())
def test_a_substitute_costs_what_it_stands_in_for_to_the_centavo_or_less_where_it_is_cheaper(case):
    order, lines, cancelled, line, quantity, listed = case
    grown, after, retired, price = replaced(case)
    assert price.total == price.unit_price * quantity - price.discount
    assert price.discount >= 0 <= price.total
    before = order.total - cancelled_worth(order, lines, cancelled)
    payable = grown.total - cancelled_worth(grown, after, retired)
    assert payable <= before
    gross = line.total * quantity // line.quantity
    if listed is None or listed * quantity >= gross:
        # Nothing is given away: without a discount of its own, quantity x price, all of it stays where it was.
        assert payable == before or not gross
    else:
        assert price.total <= listed * quantity
        # Its part of the order's discount, and no more: net of what is retired, times cheaper over dearer.
        net = worth(order, lines, {**cancelled, line.line: cancelled[line.line] + quantity}) - worth(
            order, lines, cancelled
        )
        assert before - payable == net - net * listed * quantity // gross


@given(cases(), st.data())
def test_a_substitution_moves_no_money_between_the_lines_that_stay(case, data):
    """Whatever is cancelled of other lines later takes off what it took off before; so does the rest of its own line."""
    order, lines, cancelled, line, quantity, _ = case
    grown, after, retired, price = replaced(case)
    more = {x.line: data.draw(st.integers(0, x.quantity - retired[x.line]), label=f"line {x.line}") for x in lines}
    later = {x.line: cancelled[x.line] + more[x.line] for x in lines}
    later_retired = {**retired, **{n: retired[n] + more[n] for n in more}}
    for x in lines:
        if x is line:
            continue
        mine = worth(order, lines, {**cancelled, x.line: later[x.line]}) - worth(order, lines, cancelled)
        same = worth(grown, after, {**retired, x.line: later_retired[x.line]}) - worth(grown, after, retired)
        assert mine == same
    # The units of a line are worth as much together, in however many steps they go.
    rest = {x.line: x.quantity if x is line else cancelled[x.line] for x in lines}
    gone = {**retired, line.line: line.quantity}
    assert worth(grown, after, gone) == worth(order, lines, rest)
    # The substitute is worth its own price: no discount of the order is taken off it once more.
    new = after[-1].line
    assert worth(grown, after, {**retired, new: quantity}) - worth(grown, after, retired) == price.total


def test_the_arithmetic_of_a_substitution_in_an_order_with_a_discount():
    """Two lines of R$ 100,00 with R$ 20,00 off the order: R$ 90,00 each, the substitute's R$ 90,00 as well."""
    order, lines, *_ = two_lines()
    case = (order, lines, {1: 0, 2: 0}, lines[1], 1, None)
    grown, after, retired, price = replaced(case)
    assert price == Price(unit_price=10_000, discount=1_000, total=9_000)
    assert grown.total - cancelled_worth(grown, after, retired) == 18_000
    # The line nobody touched is still worth R$ 90,00; shared anew, the discount made that R$ 93,33.
    assert cancelled_worth(grown, after, {**retired, 1: 1}) - cancelled_worth(grown, after, retired) == 9_000
    # At half the price by the catalogue it costs half of what it stands in for, with half of the discount.
    _, _, _, cheaper = replaced((order, lines, {1: 0, 2: 0}, lines[1], 1, 5_000))
    assert cheaper == Price(unit_price=5_000, discount=500, total=4_500)


def two_lines():
    """An order of two lines of one unit at R$ 100,00 each, with R$ 20,00 off."""
    lines = [Line(ID, n, n, 1, 10_000) for n in (1, 2)]
    return an_order(items=20_000, discount=2_000, shipping=0), lines
