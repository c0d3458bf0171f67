"""Refusals on the shopper's pages."""

from malha.platform.errors import MalhaError, NotFound


class TooManyVisits(MalhaError):
    """One network address asks for more pages than people do."""

    status = 429
    code = "too_many_visits"
    says = "Too many pages were asked for from your network."
    mend = "Try again in {seconds} seconds."


class NoSuchPage(NotFound):
    """The link leads to no order (any more)."""

    code = "no_such_page"
    says = "There is nothing here."
    mend = "Open the link exactly as it was sent, or look your order up by its number."


class OutOfOrder(MalhaError):
    """Something the page needs does not answer, or failed. Why is in the log, not on a shopper's page."""

    status = 503
    code = "out_of_order"
    says = "This page cannot be shown right now."
    mend = "Your order is safe. Try again in a minute."
    retry_after = 5


class AskTheChannel(MalhaError):
    """An order of a marketplace is changed there."""

    status = 409
    code = "ask_the_channel"
    says = "This order was placed on {channel} and can only be changed there."
    mend = "Open your order on {channel} and ask there."


class ChooseUnits(MalhaError):
    """Nothing was chosen to be cancelled."""

    status = 422
    code = "choose_units"
    says = "Nothing was chosen."
    mend = "Choose how many units to cancel."
