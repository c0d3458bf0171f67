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
    says = "“{kind}” cannot be switched off: a customer always hears of it."
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


class GatewayNotReady(MalhaError):
    """The means has no gateway, or its description is not saved."""

    status = 409
    code = "gateway_not_ready"
    says = "There is no gateway for {means} yet."
    mend = "Describe the gateway and save it first."


class TooManyTests(MalhaError):
    """Tests cost money and reach people: a gateway takes a few a minute."""

    status = 429
    code = "too_many_tests"
    says = "This gateway was tested too often. Try again in {seconds} seconds."
    mend = "Wait, then test once more."


class GatewayExists(MalhaError):
    """A means has one gateway at most."""

    status = 409
    code = "gateway_exists"
    says = "There is a gateway for {means} already."
    mend = "Read it and change that one."


class GatewayRefused(MalhaError):
    """A test did not go through; nothing about an order was sent."""

    status = 422
    code = "gateway_refused"
    says = "The gateway did not take the test: {answer}"
    mend = "Compare the description with the gateway's documentation and try again."


class ReceiptNotProved(MalhaError):
    """Whoever sent a receipt does not know the secret."""

    status = 403
    code = "receipt_not_proved"
    says = "This receipt does not prove that it comes from the gateway."
    mend = "Give the gateway the same secret that is entered here."


class WishesNotKept(MalhaError):
    """The order has no customer whose wishes could be kept: it came without any way to reach its buyer."""

    status = 404
    code = "wishes_not_kept"
    says = "There is nobody yet whose wishes could be kept."
    mend = "Try again in a minute, or tell us by telephone or e-mail."
