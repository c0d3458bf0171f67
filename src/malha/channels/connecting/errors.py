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


class NotCompared(MalhaError):
    """The connector cannot say what stock the channel shows, or takes none."""

    status = 409
    code = "stock_not_compared"
    says = "The connector {connector} does not both take stock and say what the channel shows."
    mend = "Compare at the channel, or use a connector that does."


class NothingToTell(MalhaError):
    """Of what was chosen nothing differs that telling again could mend."""

    status = 409
    code = "nothing_to_tell"
    says = "Nothing of this can be mended by telling {key} again."
    mend = "Look at the cause of each: what is not listed or out of use is to be mended there. Else compare again."


class StatesNoStock(MalhaError):
    """The connection states no stock, or its connector cannot."""

    status = 409
    code = "states_no_stock"
    says = "This connection ({connector}) states no stock."
    mend = "Declare it for a source of stock first, if its connector can say what stock there is."


class SourceTaken(MalhaError):
    """Another connection states stock for the source."""

    status = 409
    code = "stock_source_taken"
    says = "The connection {connection} states stock for {source} already."
    mend = "Choose another source, or take it from that connection first."


class ReadTooLong(MalhaError):
    """What is stated as a whole must be of one moment; reading it took too long for that."""

    status = 409
    code = "read_too_long"
    says = "Reading the stock of {source} took {took} s: with a tolerance of {tolerance} s it is not of one time."
    mend = "Widen the clock tolerance of the source, or let the connection state its stock in parts."


class StockRoleChanged(Conflict):
    """What the connection states changed since it was read."""

    code = "stock_role_changed"
    says = "What connection {key} states was changed by someone else meanwhile."


class FieldRulesChanged(Conflict):
    """Somebody saved other field rules since these were read."""

    code = "field_rules_changed"
    says = "The field rules of connection {key} were changed by someone else meanwhile."


class UnknownFieldRules(NotFound):
    """The connection has no such version of its field rules."""

    code = "unknown_field_rules"
    says = "The field rules of this connection have no version {key}."
    mend = "Choose one of the list of versions."


class TellsNoProducts(MalhaError):
    """The connector of a connection does not say what the channel sells."""

    status = 409
    code = "tells_no_products"
    says = "The connector {connector} does not say what is sold there, so it can keep no field of products."
    mend = "Choose a connection whose connector tells products."


class ProductRoleChanged(Conflict):
    """Which fields the connection keeps changed since it was read."""

    code = "product_role_changed"
    says = "Which fields of products connection {key} keeps was changed by someone else meanwhile."


class MakesNoProducts(Conflict):
    """The connection is not to make products."""

    code = "makes_no_products"
    says = "Connection {key} is not to make products of what it tells."
    mend = "Choose on its page of products that new ones are held for a person, or made at once."


class NotMadeAtOnce(Conflict):
    """Nothing of this was made at once, or it is being taken back already."""

    code = "not_made_at_once"
    says = "Nothing of {key} was made at once, or it is being taken back already."
    mend = "Load the list again."


class NothingToTakeBack(Conflict):
    """An acceptance is being taken back, or was."""

    code = "nothing_to_take_back"
    says = "Acceptance {key} has nothing left to be taken back."
    mend = "Load the list again."
