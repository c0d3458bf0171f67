"""Refusals of transfers."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class UnknownTransfer(NotFound):
    """No transfer has this number, or neither of its ends is in one's scope."""

    code = "unknown_transfer"
    says = "There is no transfer {number}."
    mend = "Check the number, and that one of its locations is yours."


class WrongTransferState(MalhaError):
    """The step does not follow from where the transfer is."""

    status = 409
    code = "wrong_transfer_state"
    says = "Transfer {number} is {state}: this step is not possible now."
    mend = "Read it again; somebody may have done this step already."


class NothingOnItsWay(MalhaError):
    """A shipment was received to its end already, or the transfer has no such shipment."""

    status = 409
    code = "nothing_on_its_way"
    says = "Nothing of shipment {shipment} of transfer {number} is on its way."
    mend = "Read the transfer again; somebody may have received it already."


class NotYourEnd(MalhaError):
    """The step belongs to whoever works at the other end."""

    status = 403
    code = "not_your_end"
    says = "This step is for whoever works at {location}."
    mend = "Ask somebody there, or somebody who works at all locations."


class NotEnoughToTransfer(FieldError):
    """What is to be set aside is not free at the origin; nothing is set aside."""

    status = 409
    code = "not_enough_to_transfer"
    says = "Items that are not free at the origin in this quantity: {count}."
    mend = "Approve less, or free units there first."


class DocumentNeeded(MalhaError):
    """Goods do not leave one establishment for another without a fiscal document."""

    status = 409
    code = "transfer_document_needed"
    says = "Transfer {number} goes to another establishment: it needs a fiscal document before it leaves."
    mend = "Give the number or access key of its document."


class OrderGoodsNeedDocument(MalhaError):
    """An order's goods do not leave one establishment for another without a fiscal document."""

    status = 409
    code = "order_goods_need_document"
    says = "Goods of order {number} go to another establishment, {location}: they need a fiscal document to leave."
    mend = "Give the number or access key of the document of their transfer."


class UnknownDiscrepancy(NotFound):
    """There is no such discrepancy, or it was decided already."""

    code = "unknown_discrepancy"
    says = "There is no such open discrepancy on transfer {number}."
    mend = "Read the transfer again; somebody may have decided it already."
