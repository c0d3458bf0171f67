"""Who reacts to what: the one table of subscriptions, in the order in which `drain` runs them.

A handler is thin: it turns events into one service call, runs in a transaction with its checkpoint, and may be given an
event again. A name is a checkpoint in the database: it is not changed and not used for something else.
"""

from malha.channels import pushing
from malha.channels.connecting import documenting, following
from malha.channels.partners import asking
from malha.flows import order_to_cash, stock_counts, telling
from malha.fulfillment import outcomes
from malha.ordering import projections
from malha.payments import deadlines
from malha.platform.subscribers import Subscription
from malha.webhooks import service as webhooks
from malha.webhooks.catalogue import PUBLIC

SUBSCRIPTIONS: tuple[Subscription, ...] = (
    Subscription(
        name="order_timeline",
        kind="order",
        handler=projections.record_timeline,
        sweep=projections.sweep_timeline,
        batch=2_000,
    ),
    Subscription(
        name="order_search",
        types=projections.SEARCHED_TYPES,
        handler=projections.index_orders,
        sweep=projections.sweep_search,
    ),
    Subscription(
        name="order_location",
        types=projections.LOCATION_TYPES,
        handler=projections.note_locations,
        sweep=projections.sweep_locations,
    ),
    Subscription(
        name="order_customer",
        types=projections.BUYER_TYPES,
        handler=projections.link_customers,
        sweep=projections.sweep_customers,
    ),
    Subscription(
        name="promise_outcomes",
        types=outcomes.TYPES,
        handler=outcomes.note_outcomes,
        sweep=outcomes.sweep_outcomes,
    ),
    Subscription(
        name="order_payments",
        types=(
            "payment.authorised",
            "payment.captured",
            "payment.refunded",
            "payment.charged_back",
            "payment.voided",
            "payment.declined",
            "order.cancelled",
            "order.line_replaced",
            "fulfillment.pickup_extended",
        ),
        handler=order_to_cash.settle_payments,
    ),
    Subscription(
        name="payment_deadlines",
        types=deadlines.TYPES,
        handler=deadlines.set_deadlines,
        sweep=deadlines.sweep_deadlines,
    ),
    Subscription(
        name="order_work",
        types=("order.cancelled", "fiscal.document_cancelled"),
        handler=order_to_cash.settle_work,
    ),
    Subscription(
        name="order_places",
        types=("order.address_changed", "order.line_mapped", "order.hold_resolved"),
        handler=order_to_cash.place_again,
        batch=50,
    ),
    Subscription(
        name="order_released_again",
        types=("order.routed", "order.hold_resolved"),
        handler=order_to_cash.release_again,
        batch=50,
    ),
    Subscription(name="order_slots", types=("order.routed",), handler=order_to_cash.follow_goods),
    Subscription(name="order_messages", types=telling.TYPES, handler=telling.tell_customers),
    Subscription(name="stock_changes", types=pushing.TYPES, handler=pushing.note_changes, sweep=pushing.sweep_changes),
    Subscription(name="connector_operations", types=following.TYPES, handler=following.note_operations),
    Subscription(name="partner_requests", types=asking.WORK_TYPES, handler=asking.note_work, batch=200),
    Subscription(name="partner_notices", types=asking.INBOUND_TYPES, handler=asking.note_inbound),
    Subscription(name="connector_documents", types=documenting.TYPES, handler=documenting.note_documents),
    Subscription(name="waiting_orders", types=("stock.increased",), handler=order_to_cash.look_for_waiting),
    Subscription(
        name="supply_followers",
        types=("supply.claims_moved", "supply.offered"),
        handler=order_to_cash.look_at_supply,
    ),
    Subscription(name="missing_goods", types=("stock.shortfall",), handler=order_to_cash.look_at_shortfalls),
    Subscription(name="transferred_orders", types=("transfer.shipped",), handler=order_to_cash.look_at_transfers),
    Subscription(name="order_arrivals", types=("fulfillment.arrived",), handler=order_to_cash.look_at_arrivals),
    Subscription(
        name="short_pick_counts",
        types=("fulfillment.short", "fulfillment.rejected"),
        handler=stock_counts.count_what_was_not_found,
    ),
    Subscription(
        name="counted_disagreements",
        types=("count.applied", "count.cancelled"),
        handler=stock_counts.end_counted_disagreements,
    ),
    Subscription(
        name=webhooks.SUBSCRIBER, types=tuple(PUBLIC), handler=webhooks.line_up, sweep=webhooks.sweep, batch=2_000
    ),
)
