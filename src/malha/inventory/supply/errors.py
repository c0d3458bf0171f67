"""Refusals of supply."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class UnknownInbound(NotFound):
    """No purchase or production order has this number, or it is for a location outside of one's scope."""

    code = "unknown_inbound_order"
    says = "There is no purchase or production order {number}."
    mend = "Check the number, and that its location is one of yours."


class InboundEnded(MalhaError):
    """Nothing is expected of the order any more."""

    status = 409
    code = "inbound_order_ended"
    says = "Order {number} is {state}: nothing more is expected of it."
    mend = "Receive the goods without an order, or place a new one."


class OverReceipt(FieldError):
    """More arrived than was ordered, or something nobody ordered; nothing is changed."""

    status = 409
    code = "over_receipt"
    says = "Items of which there is more than was ordered: {count}."
    mend = "Count again. Somebody who may approve can take the surplus, or send it back."


class UnknownReceipt(NotFound):
    """No receipt has this number, or it is at a location outside of one's scope."""

    code = "unknown_receipt"
    says = "There is no receipt {number}."
    mend = "Check the number, and that its location is one of yours."


class ReceiptUndone(MalhaError):
    """The receipt was taken back before."""

    status = 409
    code = "receipt_undone"
    says = "Receipt {number} was taken back already."
    mend = "Receive the goods again if they are there."


class TransferReceipt(MalhaError):
    """What a transfer brought is corrected on the transfer."""

    status = 409
    code = "transfer_receipt"
    says = "Receipt {number} belongs to a transfer and cannot be taken back."
    mend = "Decide what is missing or too much on the transfer, or correct the stock."
