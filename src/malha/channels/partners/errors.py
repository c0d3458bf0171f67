"""Refusals about partners."""

from malha.platform.errors import MalhaError, NotFound


class NotAPartner(MalhaError):
    """The connection is to no partner who fulfils."""

    status = 409
    code = "not_a_partner"
    says = "Connection {key} is to no logistics partner."
    mend = "Choose a connection whose connector can fulfil."


class NoFiles(MalhaError):
    """The connection has no file server."""

    status = 409
    code = "no_file_server"
    says = "Connection {key} has no file server."
    mend = "Only a connection by files has a key to be trusted."


class LocationTaken(MalhaError):
    """A location is fulfilled by one partner."""

    status = 409
    code = "location_fulfilled_by_another"
    says = "Location {location} is fulfilled over connection {other}."
    mend = "Take it away there first."


class HostKeyChanged(MalhaError):
    """The server shows another key than the one that was to be trusted."""

    status = 409
    code = "host_key_changed"
    says = "The server shows another key now: {shown}."
    mend = "Ask the partner for the fingerprint of the server's key, and compare."


class NothingSent(NotFound):
    """Nothing of this name was sent."""

    code = "nothing_sent"
    says = "Nothing of this name was sent, or it is too long ago: {key}."
    mend = "Load the list again."


class UnknownFile(NotFound):
    """There is no such file."""

    code = "unknown_partner_file"
    says = "There is no file {key}."
    mend = "Files are kept for 30 days after they were handled."


class HostUnreachable(MalhaError):
    """A file server does not answer, or may not be asked."""

    status = 422
    code = "file_server_unreachable"
    says = "The file server cannot be reached: {why}."
    mend = "Check the name, the port, and that the partner lets us in."
