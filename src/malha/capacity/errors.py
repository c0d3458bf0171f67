"""Refusals of slots."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class SlotFull(MalhaError):
    """Every place in the slot is taken: as many as its quota; `alternatives` are free slots."""

    status = 409
    code = "slot_full"
    says = "The slot of {location} on {day} at {starts} has no place left: {taken} of {quota} are taken."
    mend = "Offer the customer one of `alternatives`, the next slots with a place."


class SlotClosed(SlotFull):
    """Nobody has a place in the slot, because the location takes no work then; `alternatives` are free slots."""

    says = "{location} has no places on {day} at {starts}: it is closed or paused then, or has this slot no more."


class NoSuchSlot(FieldError):
    """The location states no such slot for the day, or the slot is over."""

    code = "no_such_slot"
    says = "{location} has no slot on {day} at {starts}, or it is over."
    mend = "Offer the customer one of `alternatives`, or look at the slots of the location."


class SlotHoldExists(MalhaError):
    """A cart holds at most one slot."""

    status = 409
    code = "slot_hold_exists"
    says = "{reference} already holds a slot."
    mend = "Release that hold first; the same request with the same Idempotency-Key is answered as before."


class SlotHoldNotFound(NotFound):
    """Nothing is held under this reference."""

    code = "slot_hold_not_found"
    says = "There is no slot held for {reference}."
    mend = "It may have expired, or an order has it: hold a slot again."


class OrderHasSlot(MalhaError):
    """An order has one slot."""

    status = 409
    code = "order_has_slot"
    says = "Order {number} already has a slot."
    mend = "Move the order to another slot instead."


class OrderHasNoSlot(MalhaError):
    """There is nothing to give back."""

    status = 409
    code = "order_has_no_slot"
    says = "Order {number} has no slot."
    mend = "Read the order again: its slot may have been given back."


class SlotNotForOrder(MalhaError):
    """The slot is of another place or kind than the order needs."""

    status = 422
    code = "slot_not_for_order"
    says = "Order {number} cannot have this slot: it is of another kind, or of a location the order does not come from."
    mend = "Choose a pickup slot of the order's pickup location, or a delivery slot of the location that delivers it."
