"""Refusals about listings over a connection."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class NoListings(MalhaError):
    """The connector takes no products."""

    status = 409
    code = "listings_not_taken"
    says = "Connection {key} cannot be told what to sell: its connector takes no products."
    mend = "Make and end listings at the channel itself; stock, prices and orders go on as they do."


class UnknownListing(NotFound):
    """There is no such SKU."""

    code = "unknown_listing"
    says = "There is no SKU {key}."
    mend = "Check the SKU in the list of products."


class ListingChanged(Conflict):
    """What is said of a listing, or how fields are mapped, changed since it was read."""

    code = "listing_changed"
    says = "The listing of {key} was changed by someone else meanwhile."


class NothingToTakeBack(Conflict):
    """No change of the mapping is known that could be taken back."""

    code = "listing_mapping_unchanged"
    says = "No change of how the fields of {key} are mapped is known that could be taken back."
    mend = "Change the fields on their page."
