"""Who reacts to what: the one table of subscriptions, in the order in which `drain` runs them.

A handler is thin: it turns events into one service call, runs in a transaction with its checkpoint, and may be given an
event again. A name is a checkpoint in the database: it is not changed and not used for something else.
"""

from malha.ordering import projections
from malha.platform.subscribers import Subscription

SUBSCRIPTIONS: tuple[Subscription, ...] = (
    Subscription(name="order_timeline", kind="order", handler=projections.record_timeline, batch=2_000),
    Subscription(
        name="order_search",
        types=("order.placed", "order.buyer_changed", "order.line_mapped"),
        handler=projections.index_orders,
    ),
    Subscription(
        name="order_customer", types=("order.placed", "order.buyer_changed"), handler=projections.link_customers
    ),
)
