"""Refusals about payments. Amounts in facts are `Money`, shown in the reader's language."""

from malha.platform.errors import MalhaError, NotFound


class TenderNotFound(NotFound):
    """The order has no such tender."""

    code = "tender_not_found"
    says = "Order {number} has no tender {position}."
    mend = "Read the order's payments and use the position of one of its tenders."


class FactDiffers(MalhaError):
    """The same fact was recorded before with another amount."""

    status = 409
    code = "payment_fact_differs"
    says = "{reference} was already recorded on this tender with {recorded}, not {amount}."
    mend = "Use the reference of the other fact, or leave it: what is recorded stays."


class ReferenceTaken(MalhaError):
    """What is due now is another refund than the one of before, though it may be of as much."""

    status = 409
    code = "refund_reference_taken"
    says = "A refund of order {number} was recorded under {reference} before."
    mend = "Give this one a reference of its own."


class PaymentElsewhere(MalhaError):
    """One payment pays one order; whoever asks may see the other one."""

    status = 409
    code = "payment_on_another_order"
    says = "The payment {reference} is recorded on order {other} already."
    mend = (
        "Check the reference and the bank statement. If that money really pays this order too, "
        "add something to the reference, such as the number of this order."
    )


class PaymentElsewhereUnseen(PaymentElsewhere):
    """The same, where the other order is none of their business."""

    says = "The payment {reference} is recorded on another order already."


class AuthorisedTooMuch(MalhaError):
    """A tender is authorised up to its amount."""

    status = 409
    code = "authorised_too_much"
    says = "At most {most} of this tender can still be authorised, not {amount}."
    mend = "Record the amount that was authorised, or add a tender for the rest."


class CapturedTooMuch(MalhaError):
    """A capture is covered by the tender's authorisation, or by its amount when it needs none."""

    status = 409
    code = "captured_too_much"
    says = "At most {most} of this tender can still be captured, not {amount}."
    mend = "Check the amount; money above the tender is a tender of its own."


class RefundedTooMuch(MalhaError):
    """No tender gives back more than it took."""

    status = 409
    code = "refunded_too_much"
    says = "At most {most} of this tender can still be refunded, not {amount}."
    mend = "Refund less, or from another tender of the order."


class ChargedBackTooMuch(MalhaError):
    """No bank fetches back more than was taken, whatever of it was refunded."""

    status = 409
    code = "charged_back_too_much"
    says = "At most {most} of this tender can still be charged back, not {amount}."
    mend = "Check the amount, and of which tender the bank fetched it back."


class VoidedTooMuch(MalhaError):
    """What was captured cannot be voided any more, only refunded."""

    status = 409
    code = "voided_too_much"
    says = "At most {most} of this tender can still be voided, not {amount}."
    mend = "Refund what was captured."


class NotAFavour(MalhaError):
    """A refund was recorded as what was due, and is now told as a favour."""

    status = 409
    code = "refund_not_a_favour"
    says = "The refund {reference} was recorded as what was due, not as a favour."
    mend = "If it was another refund, use its own reference."


class NoRefundDue(MalhaError):
    """Money is given back that we have beyond what is payable."""

    status = 409
    code = "no_refund_due"
    says = "Nothing is to be given back of order {number}."
    mend = "Nothing to do: what was due was recorded meanwhile, or what is payable is more again."


class RefundDueDiffers(MalhaError):
    """Somebody gave back what was due, and since then something else is."""

    status = 409
    code = "refund_due_differs"
    says = "Of order {number} {due} is to be given back now, not {seen}."
    mend = "Compare it with what was given back, then record that on the order."


class NoRefundsFound(MalhaError):
    """None is due, or others are recording them."""

    status = 409
    code = "no_refunds_found"
    says = "None of these refunds is to be recorded any more."
    mend = "Look at the list again: somebody recorded them meanwhile, or is just having them recorded."


class RefundsChanged(MalhaError):
    """All refunds are recorded only as somebody saw them: what came since they cannot have given back."""

    status = 409
    code = "refunds_changed"
    says = "What is to be given back is no longer what you saw."
    mend = "Load the list again and compare it with what was given back."


class BatchNotFound(NotFound):
    """No refunds were recorded together under this number."""

    code = "refund_batch_not_found"
    says = "No refunds were recorded together as number {key}."
    mend = "Look at the list below the refunds that are due."


class BatchEnded(MalhaError):
    """It is done or was stopped."""

    status = 409
    code = "refund_batch_ended"
    says = "The recording number {number} has ended."
    mend = "Look at it again: it says what was recorded."


class NoPaymentAwaited(MalhaError):
    """Time to pay is given to orders that wait for their money."""

    status = 409
    code = "no_payment_awaited"
    says = "Order {number} does not wait for a payment."
    mend = "Nothing to do: it is paid, or nothing is left of it to pay."


class TermChanged(MalhaError):
    """A payment term changed, or went, since it was read."""

    status = 409
    code = "payment_term_changed"
    says = "The payment term for {tender} was changed by someone else meanwhile."
    mend = "Read the terms again and repeat your change."


class TermNeeded(MalhaError):
    """One term holds for everything that has none of its own."""

    status = 409
    code = "payment_term_needed"
    says = "The term for all other tenders cannot be removed."
    mend = "Change its times instead."
