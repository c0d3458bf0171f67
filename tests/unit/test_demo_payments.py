"""One PIX pays one order, in the demo too, though its shoppers are the same each time."""

import random

from malha.demo import retailer
from malha.demo.orders import Shoppers, people


def references(session: str) -> set[str]:
    """Those of the first orders of a session of live orders, as each begins: from the same seed."""
    rng = random.Random(8)
    goods = retailer.products(random.Random(7))
    stock = retailer.stock(random.Random(7), [v.sku for draft in goods for v in draft.variants])
    shoppers = Shoppers(rng, people(rng, 20), goods, stock)
    made = [shoppers.order(None, prefix=session) for _ in range(60)]
    return {payment.reference or "" for order in made for payment in order.payments if payment.kind == "pix"}


def test_live_orders_that_begin_anew_pay_with_payments_of_their_own() -> None:
    first, second = references("L300812"), references("L300931")
    assert first
    assert not first & second
