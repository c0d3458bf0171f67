"""Refusals of drop-shipping."""

from malha.platform.errors import MalhaError, NotFound


class UnknownDrop(NotFound):
    """No drop-ship order has this number, or it is with a vendor outside of one's scope."""

    code = "unknown_drop_ship"
    says = "There is no drop-ship order {number}."
    mend = "Check the number, and that its vendor is one of your locations."


class DropEnded(MalhaError):
    """The vendor is not to send anything of it any more."""

    status = 409
    code = "drop_ship_ended"
    says = "Drop-ship order {number} is {state}: nothing of it is to be sent."
    mend = "Look at its order. If the goods have left all the same, ask them back."


class DropHeld(MalhaError):
    """The customer's order is on hold."""

    status = 409
    code = "drop_ship_held"
    says = "The order of drop-ship order {number} is on hold: {kinds}."
    mend = "Nothing is to be sent before the hold is lifted."


class DropDocuments(MalhaError):
    """Goods that wait for a document of ours would be stock of ours at the vendor's."""

    status = 409
    code = "drop_ship_documents"
    says = "Drop-ship order {number}: the vendor's establishment is stated to need a fiscal document of ours."
    mend = "A vendor sends under its own documents: state so at its establishment."


class NoVendor(MalhaError):
    """Only a vendor sends goods for us."""

    status = 409
    code = "no_vendor"
    says = "The location {location} is no vendor."
    mend = "Make a location of the kind vendor, and state there what it supplies."


class UnknownOffer(NotFound):
    """The vendor does not supply it."""

    code = "unknown_vendor_offer"
    says = "{location} is not stated to supply {sku}."
    mend = "Look at what the vendor supplies."
