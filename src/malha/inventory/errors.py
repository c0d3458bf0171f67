"""Refusals of stock operations."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class HoldExists(MalhaError):
    """A cart or payment has at most one active hold."""

    status = 409
    code = "hold_exists"
    says = "There is already an active hold for {reference}."
    mend = "Extend that hold, or release it first."


class HoldNotFound(NotFound):
    """No active hold under this reference."""

    code = "hold_not_found"
    says = "There is no active hold for {reference}."
    mend = "It may have expired or been used: place a new hold."


class ClaimNotHeld(MalhaError):
    """A claim that the balance does not have is to be moved: a defect in the caller, nothing is changed."""

    status = 409
    code = "claim_not_held"
    says = "SKU {sku} at location {location} has {allocated} units allocated, not the {quantity} to be moved."
    mend = "Run `malha doctor`; the stock of this SKU needs a look before it moves."


class InvalidQuantity(FieldError):
    """A quantity is outside what a balance can hold."""

    code = "invalid_quantity"
    says = "{quantity} is not a quantity of stock."
    mend = "Give a whole number between 0 and 2,000,000,000."


class BeyondBalance(MalhaError):
    """A change is too large for its balance: added to what is there it is no number that the balance can hold."""

    status = 422
    code = "beyond_balance"
    says = "{quantity} units of SKU {sku} at location {location}, where there are {on_hand}, are beyond its balance."
    mend = "Check the quantity: a balance holds at most 2,147,483,647 units. Nothing was changed."


class UnknownBalance(NotFound):
    """SKUs or locations that do not exist."""

    code = "unknown_stock_key"
    says = "These SKUs or locations are not known: {keys}."
    mend = "Create them first, or correct the codes."


class NotHappenedYet(MalhaError):
    """A movement of tomorrow would be added again to every snapshot until then."""

    status = 422
    code = "not_happened_yet"
    says = "Stock cannot have changed at {at}: that has not come yet."
    mend = "Set the clock, or give the time with its zone. Leave it out for now."


class TooLongAgo(MalhaError):
    """No shop's books go back so far: a year was mistyped, or a system sent what it has where it has no time."""

    status = 422
    code = "too_long_ago"
    says = "Stock cannot be of {at}: nothing from before the year 2000 is taken."
    mend = "Check the year, and write the time like 2026-11-27T03:00:00-03:00. Leave it out for now."


class BecameKit(MalhaError):
    """A SKU was made a kit in the moment in which goods came; nothing of it was noted."""

    status = 409
    code = "became_kit"
    says = "A kit was made of {skus}: stock is kept of its components."
    mend = "Note the goods on the components, or make the kit a SKU of its own."
