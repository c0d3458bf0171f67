"""Refusals of the gate. Each one leaves nothing behind: no order, no claim, no used-up key."""

from malha.platform.errors import FieldError, MalhaError
from malha.platform.i18n import N_

OVER_MOST_UNITS = N_("One order may have {most_units} of {sku}, {asked} are wanted.")


class UnknownChannel(FieldError):
    """The channel decides policy, so an order without one cannot even be held."""

    code = "no_active_channel"
    says = "There is no active sales channel {channel}."
    mend = "Create the channel, activate it, or correct its code in the order."


class OrderDiffers(MalhaError):
    """The natural key is taken by an order with another body."""

    status = 409
    code = "order_differs"
    says = "Channel {channel} already sent order {external_id}, with other contents: it is order {number}."
    mend = "If this is a change, use the order's actions (cancel, address); if it is another order, give it its own id."


class OrderDiffersUnnamed(OrderDiffers):
    """The same, for who is limited to locations: the order may be one of others, whose number is not told."""

    says = "Channel {channel} already sent order {external_id}, with other contents."
    mend = "If it is yours, find it by this id and use its actions; if this is another order, give it its own id."


class KeyMissing(FieldError):
    """Without a natural key a repeated request would be a second order."""

    code = "natural_key_missing"
    says = "The order has neither an external_id nor an Idempotency-Key."
    mend = "Send the channel's own order id as external_id, or an Idempotency-Key header."


class OutOfStock(MalhaError):
    """The channel's policy refuses what stock does not cover."""

    status = 409
    code = "out_of_stock"
    says = "Lines for which there is not enough stock: {count}."
    mend = "Offer the customer less or something else; `shortages` says how much there is."


class TooManyUnits(FieldError):
    """A cart wants more of a SKU than its channel takes unasked: its order would claim nothing and wait."""

    status = 409
    code = "too_many_units"
    says = "SKUs of which more is wanted than the {most_units} one order may have: {count}."
    mend = "Hold no more than that of each SKU. An order for more is taken, and a person looks at it first."


class WrongCurrency(FieldError):
    """One channel sells in one currency."""

    code = "wrong_currency"
    says = "The order is in {currency}, channel {channel} sells in {expected}."
    mend = "Send the order in the channel's currency."


class DiscountTooLarge(FieldError):
    """A discount is larger than what it is on."""

    code = "discount_too_large"
    says = "The discount at {at} is larger than the amount it reduces."
    mend = "Correct the discount or the price."


class Unprocessable(FieldError):
    """The database refused a value of this order and of no other in its batch."""

    code = "unprocessable_order"
    says = "The order holds a value that cannot be stored."
    mend = "Look for control characters and numbers that are out of range; the request id finds the log entry."


class BodyNotClean(FieldError):
    """A NUL character cannot be stored in a text."""

    code = "nul_character"
    says = "The body holds a NUL character (\\u0000)."
    mend = "Remove it from the text at its source."


class Overloaded(MalhaError):
    """The queue is full; nothing was taken."""

    status = 429
    code = "overloaded"
    says = "More orders are waiting than can be taken right now."
    mend = "Send the same order again after the time in Retry-After: it was not taken."
    retry_after = 1


class Unavailable(MalhaError):
    """The database did not answer for a while."""

    status = 503
    code = "unavailable"
    says = "Orders cannot be stored right now."
    mend = "Send the same order again: its natural key keeps it from being taken twice."
    retry_after = 2
