"""Refusals of supply."""

from malha.platform.errors import Conflict, FieldError, MalhaError, NotFound


class UnknownInbound(NotFound):
    """No purchase or production order has this number, or it is for a location outside of one's scope."""

    code = "unknown_inbound_order"
    says = "There is no purchase or production order {number}."
    mend = "Check the number, and that its location is one of yours."


class InboundDiffers(Conflict):
    """The supplier's reference is that of an order with other goods, or for another location; nothing is changed."""

    code = "inbound_order_differs"
    says = "An order {reference} of {supplier} is there already, with other quantities or for another location."
    mend = "Change that order, or place these goods under a reference of their own."


class ReferenceTaken(Conflict):
    """Another order of the supplier has the reference that this one is to get; nothing is changed."""

    code = "inbound_reference_taken"
    says = "Another order of {supplier} has the reference {reference}."
    mend = "Look for that order, or give this one a reference of its own."


class InboundEnded(MalhaError):
    """Nothing is expected of the order any more."""

    status = 409
    code = "inbound_order_ended"
    says = "Order {number} is {state}: nothing more is expected of it."
    mend = "Receive the goods without an order, or place a new one."


class InboundMoved(Conflict):
    """Somebody changed the order, or goods of it came, since it was read; nothing is changed."""

    code = "inbound_order_changed"
    says = "Order {number} has changed meanwhile, or goods of it came."
    mend = "Look at it again and repeat your change."


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


class ReceiptDiffers(Conflict):
    """What was sent under this id before were other goods, or for something else; nothing is changed."""

    code = "receipt_differs"
    says = (
        "Receipt {number} was sent under the same id, with other goods, for another place, order or transfer, or with "
        "another word on whether more comes."
    )
    mend = "Look at that receipt. What else arrived is a receipt under an id of its own."


class DocumentReceived(Conflict):
    """Another receipt of these goods names the same document: who has its number there, typed it in twice."""

    code = "document_received"
    says = "The same goods were received by document {document} already, with receipt {number}."
    mend = "There is nothing more to do, unless as much came again by the same document: then say so."


class ReceiptUndone(MalhaError):
    """The receipt was taken back before."""

    status = 409
    code = "receipt_undone"
    says = "Receipt {number} was taken back already."
    mend = "Receive the goods again, under a new id, if they are there."


class TransferReceipt(MalhaError):
    """What a transfer brought is corrected on the transfer."""

    status = 409
    code = "transfer_receipt"
    says = "Receipt {number} belongs to a transfer and cannot be taken back."
    mend = "Decide what is missing or too much on the transfer, or correct the stock."
