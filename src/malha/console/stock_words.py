"""Words of stock on a page: why a balance changed, what a view is called and what an empty one says."""

from collections.abc import Iterable

from malha.console.stock_reads import View
from malha.inventory.balance_reads import DeficitRow
from malha.inventory.model import Deficit, Reason
from malha.platform.i18n import N_, n_

REASON: dict[str, str] = {
    Reason.INITIAL: N_("Opening stock"),
    Reason.SET: N_("Stated by a system"),
    Reason.RECEIPT: N_("Goods received"),
    Reason.ADJUSTMENT: N_("Adjustment"),
    Reason.COUNT: N_("Count"),
    Reason.DAMAGE: N_("Damage"),
    Reason.LOSS: N_("Loss or theft"),
    Reason.FOUND: N_("Found"),
    Reason.ORDER: N_("Allocated to an order"),
    Reason.CANCEL: N_("Allocation given back"),
    Reason.REROUTE: N_("Moved to another location"),
    Reason.LAPSE: N_("Not paid in time"),
    Reason.SHORT_PICK: N_("Short pick"),
    Reason.SHIP: N_("Shipped"),
    Reason.HAND_OVER: N_("Handed over"),
    Reason.HOLD: N_("Held for a cart or payment"),
    Reason.HOLD_RELEASED: N_("Hold released"),
    Reason.HOLD_EXPIRED: N_("Hold expired"),
    Reason.HOLD_CONVERTED: N_("Hold became an order"),
    Reason.TRANSFER: N_("Transfer"),
    Reason.MOVE: N_("Moved to another bucket"),
    Reason.RECEIPT_UNDONE: N_("Receipt taken back"),
    Reason.EXCESS: N_("More than was sent"),
}
# Why a person corrects stock by a difference, the usual first.
BY_HAND = (Reason.ADJUSTMENT, Reason.DAMAGE, Reason.LOSS, Reason.FOUND)

VIEW: dict[View, str] = {
    View.ALL: N_("All SKUs"),
    View.OUT: N_("Nothing left"),
    View.SAFETY: N_("Safety reached"),
    View.DEFICIT: N_("Deficits"),
    View.HELD: N_("With holds"),
}
EMPTY: dict[View, tuple[str, str]] = {
    View.ALL: (N_("No stock yet"), N_("SKUs appear here as soon as the catalogue has some.")),
    View.OUT: (N_("Everything can be promised"), N_("SKUs of which no location has a free unit appear here.")),
    View.SAFETY: (N_("Safety stock is whole"), N_("SKUs that are down to their safety stock somewhere appear here.")),
    View.DEFICIT: (N_("No deficits"), N_("Everything that is promised is there.")),
    View.HELD: (N_("Nothing is held"), N_("SKUs that carts and payments hold appear here.")),
}
PLACE_KIND: dict[str, str] = {
    "distribution_centre": N_("DC"),
    "factory": N_("factory"),
    "third_party": N_("third party"),
    "store": N_("store"),
    "vendor": N_("vendor"),
    "pickup_point": N_("pickup point"),
}


def with_missing(says: str, deficits: Iterable[Deficit | DeficitRow]) -> str:
    """Return the notice of what was done, and what is missing since."""
    return ". ".join(filter(None, (says, missing(deficits))))


def missing(deficits: Iterable[Deficit | DeficitRow]) -> str:
    """Return what is promised and not there, and how far stock is recorded below zero; "" where nothing is wrong."""
    rows = list(deficits)
    below = sum(row.below_zero for row in rows)
    promised = sum(row.quantity for row in rows) - below
    said = [n_("{n} promised unit is missing", "{n} promised units are missing", promised)] if promised else []
    if below:
        said.append(
            n_(
                "Stock is recorded {n} unit below zero: count it",
                "Stock is recorded {n} units below zero: count it",
                below,
            )
        )
    return ". ".join(said)
