"""Words and signs of the domain on a page: what a status, a hold or a tender is called and how it is drawn.

A sign is a ring that fills as the order advances; a diamond is a failure, a square is ready. Families are the nine
state colours of `static/css/tokens.css`. Every word is a gettext message id; pages translate.
"""

from collections.abc import Callable
from typing import NamedTuple

from malha.fulfillment.bulk_model import Act
from malha.fulfillment.model import RejectReason
from malha.inventory.vendors.model import DropState
from malha.ordering.listing import Due, Sort, View
from malha.ordering.model import HOLD_WORDS, STATE_WORDS, HoldKind, OrderStatus, UnitState
from malha.platform.i18n import N_, n_


class Sign(NamedTuple):
    """How something is named and drawn."""

    word: str
    family: str  # neutral wait review work move ready done back fail; of units also work-1, work-2: work ahead
    glyph: str  # symbol g-<glyph> of templates/_signs.html


STATUS: dict[str, Sign] = {
    OrderStatus.PLACED: Sign(N_("Received"), "neutral", "ring"),
    OrderStatus.AWAITING_PAYMENT: Sign(N_("Awaiting payment"), "wait", "dash"),
    OrderStatus.ON_HOLD: Sign(N_("On hold"), "wait", "pause"),
    OrderStatus.UNPLACED: Sign(N_("No location"), "wait", "q"),
    OrderStatus.BACKORDERED: Sign(N_("Backordered"), "wait", "dash"),
    OrderStatus.ALLOCATED: Sign(N_("Allocated"), "work", "p25"),
    OrderStatus.PICKING: Sign(N_("Picking"), "work", "p50"),
    OrderStatus.PACKED: Sign(N_("Packed"), "work", "p75"),
    OrderStatus.INVOICED: Sign(N_("Invoiced"), "work", "p90"),
    OrderStatus.READY: Sign(N_("Ready for pickup"), "ready", "ready"),
    OrderStatus.SHIPPED: Sign(N_("In transit"), "move", "move"),
    OrderStatus.DELIVERED: Sign(N_("Delivered"), "done", "done"),
    OrderStatus.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
}
AWAITING_DOCUMENT = Sign(N_("Awaiting document"), "wait", "p75")
NOT_COLLECTED = Sign(N_("Not collected"), "fail", "fail")
REVIEW = Sign(N_("Under review"), "review", "eye")

UNIT: dict[str, Sign] = {
    UnitState.UNPLACED: Sign(STATE_WORDS[UnitState.UNPLACED], "wait", "q"),
    UnitState.BACKORDERED: Sign(STATE_WORDS[UnitState.BACKORDERED], "wait", "dash"),
    UnitState.ALLOCATED: Sign(STATE_WORDS[UnitState.ALLOCATED], "work-1", "p25"),
    UnitState.RELEASED: Sign(STATE_WORDS[UnitState.RELEASED], "work-1", "p25"),
    UnitState.PICKING: Sign(STATE_WORDS[UnitState.PICKING], "work-2", "p50"),
    UnitState.PICKED: Sign(STATE_WORDS[UnitState.PICKED], "work", "p50"),
    UnitState.AWAITING_DOCUMENT: Sign(STATE_WORDS[UnitState.AWAITING_DOCUMENT], "wait", "p75"),
    UnitState.PACKED: Sign(STATE_WORDS[UnitState.PACKED], "work", "p75"),
    UnitState.INVOICED: Sign(STATE_WORDS[UnitState.INVOICED], "work", "p90"),
    UnitState.IN_TRANSFER: Sign(STATE_WORDS[UnitState.IN_TRANSFER], "move", "move"),
    UnitState.READY: Sign(STATE_WORDS[UnitState.READY], "ready", "ready"),
    UnitState.SHIPPED: Sign(STATE_WORDS[UnitState.SHIPPED], "move", "move"),
    UnitState.DELIVERED: Sign(STATE_WORDS[UnitState.DELIVERED], "done", "done"),
    UnitState.COLLECTED: Sign(STATE_WORDS[UnitState.COLLECTED], "done", "done"),
    UnitState.CANCELLED: Sign(STATE_WORDS[UnitState.CANCELLED], "neutral", "x"),
}
# Units counted: other languages bend the word by the number.
UNIT_COUNT: dict[str, Callable[[int], str]] = {
    UnitState.UNPLACED: lambda n: n_("{n} without location", "{n} without location", n),
    UnitState.BACKORDERED: lambda n: n_("{n} backordered", "{n} backordered", n),
    UnitState.ALLOCATED: lambda n: n_("{n} allocated", "{n} allocated", n),
    UnitState.RELEASED: lambda n: n_("{n} to accept", "{n} to accept", n),
    UnitState.PICKING: lambda n: n_("{n} to pick", "{n} to pick", n),
    UnitState.PICKED: lambda n: n_("{n} picked", "{n} picked", n),
    UnitState.AWAITING_DOCUMENT: lambda n: n_("{n} awaiting document", "{n} awaiting document", n),
    UnitState.PACKED: lambda n: n_("{n} packed", "{n} packed", n),
    UnitState.INVOICED: lambda n: n_("{n} invoiced", "{n} invoiced", n),
    UnitState.IN_TRANSFER: lambda n: n_("{n} on its way to the store", "{n} on their way to the store", n),
    UnitState.READY: lambda n: n_("{n} ready for pickup", "{n} ready for pickup", n),
    UnitState.SHIPPED: lambda n: n_("{n} shipped", "{n} shipped", n),
    UnitState.DELIVERED: lambda n: n_("{n} delivered", "{n} delivered", n),
    UnitState.COLLECTED: lambda n: n_("{n} collected", "{n} collected", n),
    UnitState.CANCELLED: lambda n: n_("{n} cancelled", "{n} cancelled", n),
}
# The order in which a line's units are drawn: most advanced first, what waits last.
UNIT_ORDER = (
    UnitState.COLLECTED, UnitState.DELIVERED, UnitState.SHIPPED, UnitState.READY, UnitState.IN_TRANSFER,
    UnitState.INVOICED, UnitState.PACKED, UnitState.AWAITING_DOCUMENT, UnitState.PICKED, UnitState.PICKING,
    UnitState.RELEASED, UnitState.ALLOCATED, UnitState.BACKORDERED, UnitState.UNPLACED, UnitState.CANCELLED,
)  # fmt: skip

# What an order says besides what is bought.
DETAILS: dict[str, str] = {
    "gift_message": N_("Gift message"),
    "note": N_("Note of the customer"),
    "tags": N_("Tags"),
    "desired_on": N_("Desired day"),
    "seller": N_("Sold by"),
    "company": N_("Company"),
    "state_registration": N_("State registration"),
    "attributes": N_("Other details"),
    "lines": N_("Details of lines"),
}

HOLD: dict[str, str] = {str(kind): word for kind, word in HOLD_WORDS.items()}
# What a person does about a hold, one sentence.
HOLD_MEND: dict[str, str] = {
    HoldKind.UNKNOWN_SKU: N_("Identify the SKU; the order then goes on by itself."),
    HoldKind.UNKNOWN_LOCATION: N_("Register the location; the order then goes on by itself."),
    HoldKind.UNKNOWN_SERVICE: N_("Register the delivery service; the order then goes on by itself."),
    HoldKind.SHORTAGE: N_("Receive stock or cancel the missing units; the order then goes on by itself."),
    HoldKind.ROUTING_RULE: N_(
        "Receive stock where the rule looks, cancel the missing units, or override the hold: "
        "then any location that has the goods may send them."
    ),
    HoldKind.PAYMENT: N_("Record the payment when it arrives; the order then goes on by itself."),
    HoldKind.PAYMENT_LAPSED: N_(
        "Its stock is free for others. A payment, or more time to pay, finds it a place again."
    ),
    HoldKind.PAYMENT_ELSEWHERE: N_(
        "One payment pays one order. Compare both with the bank statement, then cancel the one that is not paid, "
        "or lift the hold if the money pays both."
    ),
    HoldKind.TOTALS: N_("Compare the totals with the channel, then resolve the hold."),
    HoldKind.ADDRESS: N_(
        "Correct the address; the order then goes on by itself. "
        "If the hold is lifted instead, it goes to the address as it is."
    ),
    HoldKind.ADDRESS_CHECK: N_("Ask the customer and correct the address, or lift the hold if it is right as it is."),
    HoldKind.CUSTOMER: N_("Check the document with the customer, then resolve the hold."),
    HoldKind.SLOT: N_("Move the order to another slot, or resolve the hold: it then goes without one."),
    HoldKind.QUANTITY: N_(
        "Ask the customer, then lift the hold: the order takes stock then, as far as there is any. Or cancel it."
    ),
    HoldKind.CHANNEL_CHANGE: N_(
        "Its channel changed or cancelled it after it was taken; its connection says what is stuck. "
        "Change or cancel it here, then lift the hold."
    ),
    HoldKind.FRAUD: N_("Review the order, then resolve the hold or cancel the order."),
    HoldKind.MANUAL: N_("Resolve the hold when its reason is gone."),
}

# Parts of an address without which a parcel goes nowhere, as a hold names them.
LACKING: dict[str, str] = {"street": N_("street"), "postal_code": N_("CEP"), "state": N_("state")}

# Holds that a person may place and lift, the usual first.
BY_HAND = tuple(
    kind.value for kind in (HoldKind.MANUAL, HoldKind.FRAUD, HoldKind.ADDRESS, HoldKind.CUSTOMER, HoldKind.TOTALS)
)

# What may be done with all orders that a list finds.
ACT: dict[str, str] = {
    Act.RELEASE: N_("Release"),
    Act.HOLD: N_("Hold"),
    Act.RESOLVE: N_("Lift the holds"),
    Act.PROMISE: N_("Promise another day"),
    Act.TAGS: N_("Tags"),
    Act.CANCEL: N_("Cancel"),
}

# Holds that a person may lift. That an order found no place in its slot, what its CEP says, how many it wants, that its
# payment is another order's or that its channel changed it, is no decision of a person.
LIFTED_BY_HAND = (
    *BY_HAND,
    HoldKind.SLOT.value,
    HoldKind.ADDRESS_CHECK.value,
    HoldKind.QUANTITY.value,
    HoldKind.PAYMENT_ELSEWHERE.value,
    HoldKind.CHANNEL_CHANGE.value,
)

# Holds that only their cause lifts, and what becomes of the order when somebody lifts them all the same.
OVERRIDDEN: dict[str, str] = {
    HoldKind.PAYMENT: N_("The order goes to its locations although its money is not there."),
    HoldKind.ROUTING_RULE: N_("Any location that has the goods may send them, whatever the rule says."),
}

SHORT_REASONS: dict[str, str] = {
    RejectReason.NOT_IN_STOCK: N_("Not found, the place is empty"),
    RejectReason.MISMATCH: N_("Fewer than the system says"),
    RejectReason.DAMAGED: N_("Damaged"),
    RejectReason.DISPLAY_ITEM: N_("Display piece"),
    RejectReason.STORE_CLOSED: N_("Store closed"),
    RejectReason.CAPACITY: N_("No capacity"),
    RejectReason.OTHER: N_("Another reason"),
}

VIEW: dict[View, str] = {
    View.ALL: N_("All"),
    View.OPEN: N_("Open"),
    View.LATE: N_("Late"),
    View.ON_HOLD: N_("Held"),
    View.UNPLACED: N_("No location"),
    View.AWAITING_PAYMENT: N_("To be paid"),
    View.TO_PICK: N_("To pick"),
    View.TO_SHIP: N_("To ship"),
    View.READY: N_("Ready for pickup"),
    View.IN_TRANSIT: N_("In transit"),
}
# What is true when a view is empty, and what comes next.
EMPTY: dict[View, tuple[str, str]] = {
    View.ALL: (N_("No orders yet"), N_("Orders appear here as soon as a channel sends the first one.")),
    View.OPEN: (N_("Nothing open"), N_("Every order has reached its customer or was cancelled.")),
    View.LATE: (N_("Nothing late"), N_("Every open order is within its time.")),
    View.ON_HOLD: (N_("Nothing on hold"), N_("No order waits for a decision of yours.")),
    View.UNPLACED: (N_("Every unit has a location"), N_("Orders that no location can serve appear here.")),
    View.AWAITING_PAYMENT: (N_("No payment is missing"), N_("Orders wait here until their payment is confirmed.")),
    View.TO_PICK: (N_("Nothing to pick"), N_("Orders appear here when their units are claimed at a location.")),
    View.TO_SHIP: (N_("Nothing to ship"), N_("Packed orders appear here until they leave.")),
    View.READY: (N_("Nothing waits for pickup"), N_("Orders appear here when a counter has them ready.")),
    View.IN_TRANSIT: (N_("Nothing in transit"), N_("Shipped orders appear here until they are delivered.")),
}

SORT: dict[Sort, str] = {
    Sort.NEWEST: N_("Newest first"),
    Sort.OLDEST: N_("Oldest first"),
    Sort.DUE: N_("Due first"),
}

DUE: dict[Due, str] = {
    Due.LATE: N_("Late, promise broken"),
    Due.TODAY: N_("For today"),
    Due.WEEK: N_("For this week"),
    Due.NONE: N_("Without a promise"),
}

METHOD = {"ship": N_("Delivery"), "pickup": N_("Pickup"), "transfer": N_("Transfer to a store")}

TENDER: dict[str, tuple[str, str]] = {
    "prepaid": (N_("Paid at the channel"), "world"),
    "cash": (N_("Cash"), "cash"),
    "card_terminal": (N_("Card terminal"), "credit-card"),
    "credit_card": (N_("Credit card"), "credit-card"),
    "debit_card": (N_("Debit card"), "credit-card"),
    "pix": (N_("Pix"), "qrcode"),
    "boleto": (N_("Boleto"), "barcode"),
    "voucher": (N_("Voucher"), "ticket"),
    "on_delivery": (N_("On delivery"), "truck-delivery"),
}
ENTRY: dict[str, str] = {
    "authorised": N_("Authorised"),
    "captured": N_("Captured"),
    "refunded": N_("Refunded"),
    "voided": N_("Voided"),
    "declined": N_("Declined"),
    "charged_back": N_("Charged back"),
}
PAYMENT: dict[str, Sign] = {
    "unpaid": Sign(N_("Unpaid"), "wait", "dash"),
    "pending": Sign(N_("Pending"), "wait", "dash"),
    "authorised": Sign(N_("Authorised"), "work", "p75"),
    "paid": Sign(N_("Paid"), "done", "done"),
    "partially_paid": Sign(N_("Partly paid"), "wait", "p50"),
    "refunded": Sign(N_("Refunded"), "back", "back"),
    "partially_refunded": Sign(N_("Partly refunded"), "back", "back"),
    "declined": Sign(N_("Declined"), "fail", "fail"),
}

LOCATION_KIND: dict[str, str] = {
    "store": N_("Store"),
    "distribution_centre": N_("Distribution centre"),
    "factory": N_("Factory"),
    "third_party": N_("Third party"),
    "vendor": N_("Vendor"),
    "pickup_point": N_("Pickup point"),
}

FULFILLMENT: dict[str, Sign] = {
    "open": Sign(N_("To accept"), "work", "p25"),
    "accepted": Sign(N_("To pick"), "work", "p25"),
    "picking": Sign(N_("Picking"), "work", "p50"),
    "picked": Sign(N_("Picked"), "work", "p50"),
    "packed": Sign(N_("Packed"), "work", "p75"),
    "ready": Sign(N_("Ready for pickup"), "ready", "ready"),
    "closed": Sign(N_("Done"), "done", "done"),
    "rejected": Sign(N_("Rejected"), "neutral", "x"),
    "cancelled": Sign(N_("Cancelled"), "neutral", "x"),
}

DROP: dict[str, Sign] = {
    DropState.ASKED: Sign(N_("To answer"), "review", "eye"),
    DropState.ACCEPTED: Sign(N_("To send"), "work", "p50"),
    DropState.SENT: Sign(N_("Left the vendor"), "done", "done"),
    DropState.REFUSED: Sign(N_("Refused by the vendor"), "fail", "fail"),
    DropState.CANCELLED: Sign(N_("Cancelled"), "neutral", "x"),
}
