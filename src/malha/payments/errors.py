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


class VoidedTooMuch(MalhaError):
    """What was captured cannot be voided any more, only refunded."""

    status = 409
    code = "voided_too_much"
    says = "At most {most} of this tender can still be voided, not {amount}."
    mend = "Refund what was captured."


class NoRefundDue(MalhaError):
    """Money is given back that we have beyond what is payable."""

    status = 409
    code = "no_refund_due"
    says = "Nothing is to be given back of order {number}."
    mend = "Nothing to do: what was due was recorded meanwhile, or what is payable is more again."


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
