"""Refusals of messages."""

from malha.platform.errors import MalhaError


class MessageNotFound(MalhaError):
    """There is no such message, or it is none of the asker's business."""

    status = 404
    code = "message_not_found"
    says = "There is no message {key}."
    mend = "Look for it in the list of messages."


class MessageOnItsWay(MalhaError):
    """A message that waits or is being sent is not sent a second time beside it."""

    status = 409
    code = "message_on_its_way"
    says = "The message is already waiting to be sent."
    mend = "Wait for its outcome, then send it again if need be."


class MessageForgotten(MalhaError):
    """The address was forgotten after its time, or there never was one."""

    status = 409
    code = "message_without_address"
    says = "The message has no address it could go to."
    mend = "Correct the e-mail address of the order; later messages go there."


class KindAlways(MalhaError):
    """Some news cannot be kept from a customer."""

    status = 409
    code = "message_always_sent"
    says = "“{kind}” cannot be switched off for e-mail: a customer always hears of it."
    mend = "Change its text instead."


class NotBounceable(MalhaError):
    """Only what was sent can come back."""

    status = 409
    code = "message_not_sent"
    says = "The message was not sent, so it cannot have come back."
    mend = "Choose a message that was sent."


class AddressSilent(MalhaError):
    """Nothing is sent to an address that messages came back from, until a person allows it again."""

    status = 409
    code = "message_address_silent"
    says = "Messages to this address came back before."
    mend = "Allow the address again first, when it is known to work."
