"""Why the data of a person cannot be erased, or not yet."""

from malha.platform.errors import Conflict, NotFound


class OrdersOpen(Conflict):
    """Somebody is still to get goods, or an order of theirs just came."""

    code = "orders_open"
    says = "Orders of this customer are not finished: {numbers}."
    mend = "Have them delivered, collected or cancelled first; who is to get goods has to be known."


class HoldsOpen(Conflict):
    """Something of an order waits to be decided."""

    code = "holds_open"
    says = "Orders of this customer have holds: {numbers}."
    mend = "Lift or settle them first."


class RefundsOpen(Conflict):
    """The person is to get money back."""

    code = "refunds_open"
    says = "Orders of this customer have refunds to be made: {numbers}."
    mend = "Record the refunds first; without a name nobody could get the money."


class MessagesLeaving(Conflict):
    """A message is being handed over, or its order still to be told to another system, this very moment."""

    code = "messages_leaving"
    says = "Orders of this customer are being told to somebody just now: {numbers}."
    mend = "Try again in a minute. What is stuck at a connection has to be settled there first."
    retry_after = 60


class OrdersComing(Conflict):
    """A connection brought an order that is not taken yet, and that names the person."""

    code = "orders_coming"
    says = "An order that names this customer waits at a connection: {numbers}."
    mend = "Let it be taken, or drop it, on the page of the connection."


class ImportsOpen(Conflict):
    """A table of customers is being read this moment: it may name the person, and bring them back."""

    code = "imports_open"
    says = "An import of customers is going on: {numbers}."
    mend = "Wait for its end, or stop it, on the page of imports."


class NoErasure(NotFound):
    """Nobody asked for a person to be erased."""

    code = "no_erasure"
    says = "Nobody asked for this customer to be erased."
