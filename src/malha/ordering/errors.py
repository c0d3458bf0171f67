"""Refusals about orders."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class OrderNotFound(NotFound):
    """There is no such order, or the asker may not see it."""

    code = "order_not_found"
    says = "There is no order {key}."
    mend = "Check the number, and that you may see this order."


class OrderChanged(Conflict):
    """`If-Match` names another version than the order has."""

    code = "order_changed"
    says = "Order {number} was changed meanwhile: it is at version {version}, not {expected}."
    mend = "Read it again and repeat your change."


class LineNotFound(NotFound):
    """The order has no such line."""

    code = "line_not_found"
    says = "Order {number} has no line {line}."
    mend = "Read the order again and use one of its lines."


class IllegalTransition(MalhaError):
    """Units may not go from one state to another; nothing was changed."""

    status = 409
    code = "illegal_transition"
    says = "Units that are {state} cannot become {to}."
    mend = "Read the order again: its units have moved on."


class UnitsNotThere(MalhaError):
    """A move asks for more units than the row has."""

    status = 409
    code = "units_not_there"
    says = "Line {line} has {open} units in this state, not {quantity}."
    mend = "Read the order again and repeat your change with the quantity that is left."


class NothingToCancel(MalhaError):
    """Everything asked for is cancelled already, or has left."""

    status = 409
    code = "nothing_to_cancel"
    says = "Nothing is left to cancel."
    mend = "What has left can only come back as a return."


class UnitsLeft(MalhaError):
    """Units have left: they cannot be cancelled any more."""

    status = 409
    code = "units_left"
    says = "{quantity} units of line {line} have already left."
    mend = "Cancel only the rest, and take back what has left as a return."


class QuantityTooLarge(MalhaError):
    """More units are to be cancelled than the line still has."""

    status = 409
    code = "quantity_too_large"
    says = "Line {line} has {open} units that can be cancelled, not {quantity}."
    mend = "Cancel at most that many."


class DocumentStands(MalhaError):
    """A fiscal document covers the units: it must be cancelled first."""

    status = 409
    code = "document_stands"
    says = "{quantity} units of line {line} are covered by an authorised fiscal document."
    mend = "Cancel the fiscal document first; the units then wait for a new one and can be cancelled."


class HoldNotOpen(NotFound):
    """The order has no open hold of this kind: there is nothing to resolve."""

    code = "hold_not_open"
    says = "Order {number} has no open hold of kind {kind}."
    mend = "Read the order again; the hold may have been resolved meanwhile."


class HoldAlreadyOpen(MalhaError):
    """An order has at most one open hold of a kind."""

    status = 409
    code = "hold_already_open"
    says = "Order {number} already has an open hold of kind {kind}."
    mend = "Resolve that hold first, or add a note to the order."


class NothingToHold(Conflict):
    """A cancelled order goes nowhere: there is nothing to stop."""

    code = "nothing_to_hold"
    says = "Order {number} is cancelled: nothing of it is left to hold."
    mend = "Add a note to the order instead."


class HoldAutomatic(MalhaError):
    """Only its cause lifts this hold; a person needs a permission and a reason to override it."""

    status = 403
    code = "hold_automatic"
    says = "The hold {kind} is lifted by its cause, not by hand."
    mend = "Remove the cause, or ask someone who may override holds; a reason is required."


class NothingToPromise(MalhaError):
    """What is to be promised anew is with the customer already, or was cancelled."""

    status = 409
    code = "nothing_to_promise"
    says = "Nothing of this is still to come in order {number}."
    mend = "Read the order again and choose units that are neither delivered nor cancelled."


class WorkBegan(MalhaError):
    """A location is already working on the order."""

    status = 409
    code = "work_began"
    says = "Order {number} was already released to a location; this can no longer be changed."
    mend = "Ask the location to reject the work, or cancel and place the order again."


class NothingToSend(Conflict):
    """A cancelled order goes nowhere: no other address makes it go."""

    code = "nothing_to_send"
    says = "Order {number} is cancelled: nothing of it is sent to any address."
    mend = "Place a new order, or add a note to this one."


class NotShipped(MalhaError):
    """An order collected at a counter has no delivery address."""

    status = 409
    code = "not_shipped"
    says = "Order {number} is collected by the customer: it has no delivery address."
    mend = "Cancel it and place it again for delivery."


class LineMapped(MalhaError):
    """The line's SKU is already known."""

    status = 409
    code = "line_mapped"
    says = "Line {line} of order {number} already has a known SKU."
    mend = "Cancel the line and place a new order to sell something else."


class NothingWaits(MalhaError):
    """Only units that wait for stock may be replaced: the others are claimed, worked on, gone or cancelled."""

    status = 409
    code = "nothing_waits"
    says = "Line {line} of order {number} has {open} units that wait for stock, not {quantity}."
    mend = "Replace at most that many. What is at a location already must be rejected there, or cancelled, first."


class NotASubstitute(MalhaError):
    """The product does not name this SKU as a substitute."""

    status = 409
    code = "not_a_substitute"
    says = "{sku} is no substitute for {instead_of} that is on sale."
    mend = "Choose one that the product names, or name it there first."


class SubstituteNotFree(MalhaError):
    """No location could serve the substitute; nothing was changed."""

    status = 409
    code = "substitute_not_free"
    says = "{missing} of {quantity} units of {sku} have no location that could serve the order."
    mend = "Choose another substitute or fewer units; somebody may have bought them a moment ago."


class ReplacedUnpaid(MalhaError):
    """Whose time to pay is over gets no stock, not even of a substitute."""

    status = 409
    code = "replaced_unpaid"
    says = "The time to pay order {number} is over, so nothing is set aside for it."
    mend = "Give it more time to pay, or wait for its money."


class ReplacedUnasked(MalhaError):
    """Who wants unusually many gets no stock before a person has said so, not even of a substitute."""

    status = 409
    code = "replaced_unasked"
    says = "Order {number} wants unusually many units, so nothing is set aside for it."
    mend = "Lift its hold first."


class SkuNotKnown(NotFound):
    """A line can only be mapped to a SKU of the catalogue."""

    code = "sku_not_known"
    says = "There is no SKU {sku} in the catalogue."
    mend = "Create the product first, or correct the SKU."


class TooManyTags(MalhaError):
    """An order would have more tags than it may; it is as it was."""

    status = 409
    code = "too_many_tags"
    says = "The order would have more than {most} tags."
    mend = "Take away some of them first."


class BuyerErased(Conflict):
    """Nothing of the buyer is here any more, for good; words about them would bring them back."""

    code = "buyer_erased"
    says = "The data of the customer of order {number} were erased for good."
    mend = "Nothing about the customer can be added to it; money and goods can still be recorded."
