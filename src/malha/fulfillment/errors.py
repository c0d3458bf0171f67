"""Refusals about work at a location."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class WorkNotFound(NotFound):
    """There is no such fulfillment order, or it is another location's."""

    code = "fulfillment_not_found"
    says = "There is no fulfillment {key}."
    mend = "Check the identifier, and that you work for its location."


class CancelOvertaken(Conflict):
    """Units were cancelled or left since the asker chose among them: sent twice, a wish would count twice."""

    code = "cancel_overtaken"
    says = "What can be cancelled of this order changed meanwhile."
    mend = "Look at what is left of it before you cancel more."


class ShipmentNotFound(NotFound):
    """There is no such parcel."""

    code = "shipment_not_found"
    says = "There is no shipment {key}."
    mend = "Check the identifier."


class WrongState(MalhaError):
    """The work is not where this step begins."""

    status = 409
    code = "wrong_work_state"
    says = "Fulfillment {number} is {state}; this needs it to be {needed}."
    mend = "Read it again: somebody else may have worked on it."


class WorkChanged(Conflict):
    """The work is at another version than the asker saw."""

    code = "work_changed"
    says = "Fulfillment {number} was changed meanwhile: it is at version {version}, not {expected}."
    mend = "Read it again and repeat your change."


class PickingSlotFull(MalhaError):
    """Others have taken all that the slot has room for."""

    status = 409
    code = "picking_slot_full"
    says = "The picking slot of {location} on {day} at {starts} has no room left for this work."
    mend = "Choose another slot, or let this one take more."


class PickingSlotClosed(MalhaError):
    """The location states no such slot for the day, or picks nothing in it: closed, or paused until later."""

    status = 409
    code = "picking_slot_closed"
    says = "{location} picks nothing on {day} at {starts}: there is no such slot, or it is closed."
    mend = "Choose another slot, or open this one in the location's capacity."


class PickingSlotOver(MalhaError):
    """The slot has ended."""

    status = 409
    code = "picking_slot_over"
    says = "The picking slot of {location} on {day} at {starts} is over."
    mend = "Choose a slot that is to come."


class PickingSlotTooFar(MalhaError):
    """The slot is farther ahead than work is ever given to a location."""

    status = 409
    code = "picking_slot_too_far"
    says = "The picking slot of {location} on {day} at {starts} is too far ahead: {days} days at most."
    mend = "Choose an earlier slot."


class ReleaseHeld(MalhaError):
    """An order with an open hold is not released."""

    status = 409
    code = "release_held"
    says = "The order has open holds: {kinds}."
    mend = "Resolve them one by one; then the order is released."


class ReleaseUnpaid(MalhaError):
    """The channel wants its money before work begins."""

    status = 409
    code = "release_unpaid"
    says = "The payment does not cover the order yet: {missing} are missing."
    mend = "Record the payment; then the order is released."


class NothingToRelease(MalhaError):
    """No units are allocated and waiting for release."""

    status = 409
    code = "nothing_to_release"
    says = "Order {number} has no units waiting to be released."
    mend = "Units without a location are placed first; released units are worked on."


class NoCapacity(MalhaError):
    """The locations have no room in the coming weeks."""

    status = 409
    code = "no_capacity"
    says = "The locations of order {number} have no capacity left in the next {days} days."
    mend = "Raise the daily capacity of the location, or cancel and place the order elsewhere."


class AwaitsTransfer(MalhaError):
    """What is where the customer fetches it waits for what is on its way there, to be handed over together."""

    status = 409
    code = "awaits_transfer"
    says = "The goods of order {number} at the store wait for others that are on their way there."
    mend = "They are released together when those arrive; cancel what is not to be waited for."


class LocationShut(MalhaError):
    """The location that has the goods is closed for good: nobody is there to be asked."""

    status = 409
    code = "location_shut"
    says = "The location that has the goods of order {number} is closed."
    mend = "Once the order is due it is given another place by itself. Or open the location again, or cancel."


class NotThatMany(MalhaError):
    """More units are reported than the work asks for."""

    status = 409
    code = "not_that_many"
    says = "Line {line} has {open} units to pick here, not {quantity}."
    mend = "Report at most the units that are still to be picked."


class NotPicked(MalhaError):
    """Not everything is picked yet."""

    status = 409
    code = "not_picked"
    says = "{quantity} units are still to be picked."
    mend = "Pick them, or report them as short with a reason."


class WrongContents(MalhaError):
    """The parcels do not hold exactly what was picked."""

    status = 409
    code = "wrong_contents"
    says = "Line {line}: {picked} units were picked, {packed} are in the parcels."
    mend = "Put every picked unit in one parcel. A single parcel needs no contents."


class DocumentRequired(MalhaError):
    """Goods do not leave without their fiscal document."""

    status = 409
    code = "document_required"
    says = "{quantity} units wait for their fiscal document."
    mend = "Record the authorised document that covers exactly what was packed."


class OrderStopped(MalhaError):
    """A hold says that nothing leaves."""

    status = 409
    code = "order_stopped"
    says = "The order is stopped by a hold: {kind}."
    mend = "Leave the goods where they are until the hold is resolved."


class WrongMethod(MalhaError):
    """The step belongs to the other way of delivery."""

    status = 409
    code = "wrong_method"
    says = "Fulfillment {number} is for {method}."
    mend = "Ship what is to be sent; hand over what is collected."


class TrackingUnclear(MalhaError):
    """With several parcels, each tracking code says which parcel it is for."""

    status = 409
    code = "tracking_unclear"
    says = "The work has {count} parcels; say which one each tracking code is for."
    mend = "Give the shipment's identifier with each tracking code."


class WrongCode(MalhaError):
    """The code shown is not the order's."""

    status = 403
    code = "wrong_pickup_code"
    says = "The pickup code is wrong. Attempts left: {left}."
    mend = "Ask the customer to read the code again."


class CodeLocked(MalhaError):
    """Too many wrong codes were shown."""

    status = 403
    code = "pickup_code_locked"
    says = "Too many wrong pickup codes were shown."
    mend = "Check who is collecting, and give the customer a new code."


class PickupOver(MalhaError):
    """The window in which the customer collects is over."""

    status = 409
    code = "pickup_over"
    says = "The time to collect ended on {until}."
    mend = "Give the customer more time, then hand over."


class PickupGoodsGone(MalhaError):
    """Goods that went back to stock were promised to somebody else since."""

    status = 409
    code = "pickup_goods_gone"
    says = "The goods went back to stock and are not free there any more: {missing} of {quantity} units are missing."
    mend = "Place a new order, or have the goods sent from another location."


class PickupRefunded(MalhaError):
    """The money for goods that went back to stock has gone back too."""

    status = 409
    code = "pickup_refunded"
    says = "The payment no longer covers the order: {missing} is missing."
    mend = "Place a new order."


class ShipmentNotSent(MalhaError):
    """A parcel is delivered after it left."""

    status = 409
    code = "shipment_not_sent"
    says = "The parcel has not left yet."
    mend = "Record that it was shipped first."


class NotShort(MalhaError):
    """The order lacks nothing that a person could do something about."""

    status = 409
    code = "order_not_short"
    says = "Order {number} lacks nothing there any more."
    mend = "Read it again: goods may have come, or somebody else acted."


class WayClosed(MalhaError):
    """What was suggested would change nothing now."""

    status = 409
    code = "shortage_way_closed"
    says = "“{way}” is no longer possible for order {number}."
    mend = "Read the order again and choose from what is suggested now."


class BulkNotFound(NotFound):
    """There is no such bulk action, or it is somebody else's."""

    code = "bulk_action_not_found"
    says = "There is no bulk action {key}."
    mend = "Look at the list of bulk actions, or gather the orders again."


class BulkBegun(MalhaError):
    """It goes on already, or has ended."""

    status = 409
    code = "bulk_action_begun"
    says = "The bulk action {number} was begun already."
    mend = "Look at it again: it says how far it is."


class BulkEnded(MalhaError):
    """It is done, was stopped, or was never begun."""

    status = 409
    code = "bulk_action_ended"
    says = "The bulk action {number} does not go on."
    mend = "Look at it again: it says what was done."


class NoOrdersFound(MalhaError):
    """A list finds nothing any more."""

    status = 409
    code = "no_orders_found"
    says = "The list finds no orders any more."
    mend = "Load it again: others may have worked on them."


class TooManyOrders(MalhaError):
    """More than one action takes."""

    status = 409
    code = "too_many_orders"
    says = "The list finds more than {most} orders."
    mend = "Narrow it by a filter, such as a range of days, and do the rest after that."
