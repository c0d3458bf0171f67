"""Refusals about listings and the push of stock."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class PushNotFound(NotFound):
    """The channel hears of stock in no way."""

    code = "stock_push_not_found"
    says = "Channel {channel} is not told of stock."
    mend = "Say how it shall hear of stock first."


class PushChanged(Conflict):
    """How a channel hears of stock changed since it was read."""

    code = "stock_push_changed"
    says = "How channel {channel} hears of stock was changed by someone else meanwhile."


class FeedOnly(MalhaError):
    """A channel that is called has no feed to read: two readers of one position would miss each other's changes."""

    status = 409
    code = "stock_feed_only"
    says = "Channel {channel} is called at its address; it has no feed."
    mend = "Change how it hears of stock to a feed."
