"""Refusals about connections."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class UnknownConnection(NotFound):
    """No connection has this code."""

    code = "unknown_connection"
    says = "There is no connection {key}."
    mend = "Check the code in the list of connections."


class UnknownConnector(NotFound):
    """No connector has this key."""

    code = "unknown_connector"
    says = "There is no connector {key}."
    mend = "Choose one of those that are installed; `malha connector list` names them."


class ConnectionChanged(Conflict):
    """The connection changed since it was read."""

    code = "connection_changed"
    says = "Connection {key} was changed by someone else meanwhile."


class ConnectionExists(MalhaError):
    """The code is taken."""

    status = 409
    code = "connection_exists"
    says = "A connection {key} is there already."
    mend = "Choose another code."


class NotProved(MalhaError):
    """A webhook does not prove where it comes from. Nothing was kept of it."""

    status = 401
    code = "webhook_not_proved"
    says = "The signature of this message does not fit."
    mend = "Check that both sides have the same secret and that the clocks agree."


class NoWebhooks(MalhaError):
    """The connection takes none."""

    status = 404
    code = "no_webhooks"
    says = "Nothing is received here."
    mend = "Check the address."


class WebhookUnreadable(MalhaError):
    """It is from the peer, but says nothing that can be read."""

    status = 422
    code = "webhook_unreadable"
    says = "The message is signed but cannot be read: {why}."
    mend = "Send it as the connector's page describes."


class UnknownEntry(NotFound):
    """No such thing waits for a person."""

    code = "unknown_entry"
    says = "Nothing of this name waits for a person: {key}."
    mend = "Load the list again."
