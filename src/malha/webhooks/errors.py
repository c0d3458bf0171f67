"""Refusals about webhooks and the feed of events."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class WebhookNotFound(NotFound):
    """There is no such webhook, or its locations are not the asker's."""

    code = "webhook_not_found"
    says = "There is no webhook {key}."
    mend = "List the webhooks and use one of their ids."


class DeliveryNotFound(NotFound):
    """The event was not meant for this webhook, or its delivery is too old to be kept."""

    code = "webhook_delivery_not_found"
    says = "Webhook {webhook} has no delivery {key}."
    mend = "Replay a stretch of time instead: it takes events from the log."


class DeliveryBeyond(MalhaError):
    """The webhook was told of this once, or was about to be; by the rights it has now it is not."""

    status = 409
    code = "webhook_delivery_beyond"
    says = "Webhook {webhook} may not be told of {key} any more."
    mend = "Its permissions, locations or channels were changed since. Change them if it shall be told."


class WebhookBeyondKeeper(MalhaError):
    """Somebody would answer for a webhook that tells of more than they may see."""

    status = 409
    code = "webhook_beyond_keeper"
    says = "This webhook tells of things or locations that {name} does not see."
    mend = "Hand it to somebody who sees them, or have it tell less."


class WebhookChanged(Conflict):
    """The webhook changed since it was read."""

    code = "webhook_changed"
    says = "Webhook {key} was changed by someone else meanwhile."


class WebhookNotActive(MalhaError):
    """A webhook that is told nothing has nothing in line."""

    status = 409
    code = "webhook_not_active"
    says = "Webhook {key} is paused or disabled."
    mend = "Start it again; it can be given what it missed."


class EventsGone(MalhaError):
    """The log does not reach back so far any more."""

    status = 410
    code = "events_gone"
    says = "The log no longer holds the events after {cursor}; it begins at {first}."
    mend = "Read the present state by the lists, then follow the feed from the newest cursor."


class CursorAhead(MalhaError):
    """A cursor of a log that was longer: the database was restored to an earlier moment."""

    status = 409
    code = "cursor_ahead"
    says = "The cursor {cursor} lies beyond the end of the log, which is at {last}."
    mend = "The data was restored to an earlier moment: read the present state, then follow the feed from its end."


class TooManyStreams(MalhaError):
    """This process serves as many open feeds as it can."""

    status = 503
    code = "too_many_streams"
    says = "Too many readers follow the events at the same time."
    mend = "Try again in a moment with the last cursor."
    retry_after = 5
