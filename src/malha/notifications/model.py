"""Words of messages: what there is to tell a customer, by which channel, with which facts, and how sending it ended."""

from collections.abc import Mapping
from datetime import date, datetime, time
from enum import StrEnum

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.money import Money


class Channel(StrEnum):
    """How a message reaches a person."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"


CHANNEL_WORDS: dict[Channel, str] = {
    Channel.EMAIL: N_("E-mail"),
    Channel.SMS: N_("SMS"),
    Channel.WHATSAPP: N_("WhatsApp"),
}
# How gateways write the languages of approved texts.
TEMPLATE_LANGUAGES = {"pt-BR": "pt_BR", "en": "en"}


class Kind(StrEnum):
    """What there is to tell."""

    PLACED = "placed"
    PAID = "paid"
    ON_HOLD = "on_hold"
    LATE = "late"
    REPROMISED = "repromised"
    SHIPPED = "shipped"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    READY = "ready"
    PICKUP_REMINDER = "pickup_reminder"
    CANCELLED = "cancelled"
    CANCELLED_IN_PART = "cancelled_in_part"
    REPLACED = "replaced"
    REFUNDED = "refunded"


class Shape(StrEnum):
    """What stands for a placeholder: a word within a sentence, or something that needs a paragraph of its own."""

    WORD = "word"
    BLOCK = "block"


class Placeholder(msgspec.Struct, frozen=True):
    """A fact that a text may name in braces, like `{order_number}`."""

    name: str
    shape: Shape
    says: str


_COMMON = (
    Placeholder("customer_name", Shape.WORD, N_("First name of the customer")),
    Placeholder("retailer", Shape.WORD, N_("Name of the shop")),
    Placeholder("order_number", Shape.WORD, N_("Number of the order")),
    Placeholder("order_total", Shape.WORD, N_("What the order costs without what was cancelled")),
    Placeholder("order_date", Shape.WORD, N_("Day the order was placed")),
    Placeholder("promised_day", Shape.WORD, N_("Promised day, of all of it; empty without a promise")),
    Placeholder("first_day", Shape.WORD, N_("Promised day of the first items; empty when all come on one day")),
    Placeholder("tracking_address", Shape.WORD, N_("Address of the page that shows the order")),
    Placeholder("items", Shape.BLOCK, N_("The items with quantities and amounts")),
    Placeholder("track_button", Shape.BLOCK, N_("Button that opens the page of the order")),
)
_AMOUNT = Placeholder("amount", Shape.WORD, N_("Amount this message is about"))
_PARCEL = Placeholder("tracking_code", Shape.WORD, N_("Tracking code of the first parcel"))
_PARCELS = Placeholder("parcels", Shape.BLOCK, N_("Carrier and tracking code of each parcel"))
_SENT = (
    _PARCEL,
    _PARCELS,
    Placeholder("sent_items", Shape.BLOCK, N_("The items in these parcels")),
    Placeholder("rest_note", Shape.WORD, N_("That the rest comes separately; empty when there is none")),
)
_WAITING_ITEMS = Placeholder("waiting_items", Shape.BLOCK, N_("The items that have not left yet"))
_PLACE = (
    Placeholder("pickup_code", Shape.WORD, N_("Code to show at the counter")),
    Placeholder("pickup_day", Shape.WORD, N_("Last day to collect")),
    Placeholder("pickup_counter", Shape.WORD, N_("Name of the counter")),
    Placeholder("pickup_place", Shape.BLOCK, N_("Name and address of the counter")),
    Placeholder("code_box", Shape.BLOCK, N_("The pickup code, large")),
)
_CANCELLED_ITEMS = Placeholder("cancelled_items", Shape.BLOCK, N_("The items that were cancelled"))


class KindRules(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind is treated."""

    word: str
    says: str  # when it is sent
    placeholders: tuple[Placeholder, ...]
    urgent: bool = True  # may come at night
    always: bool = False  # cannot be switched off, and a wish to get no mail does not stop it


KINDS: dict[Kind, KindRules] = {
    Kind.PLACED: KindRules(
        word=N_("Order received"),
        says=N_("As soon as an order is taken in."),
        placeholders=(
            *_COMMON,
            Placeholder("payment_note", Shape.WORD, N_("That payment is awaited; empty when it is not")),
        ),
    ),
    Kind.PAID: KindRules(
        word=N_("Payment confirmed"),
        says=N_("When all money of an order that waited for it has come."),
        placeholders=(*_COMMON, _AMOUNT),
    ),
    Kind.ON_HOLD: KindRules(
        word=N_("Order on hold"),
        says=N_("When the order waits for stock, or for something that the customer must correct."),
        placeholders=(
            *_COMMON,
            Placeholder("hold_reason", Shape.WORD, N_("Why it waits, in a sentence for the customer")),
        ),
        urgent=False,
    ),
    Kind.LATE: KindRules(
        word=N_("Order late"),
        says=N_("Once, when the promised day is over and not everything has left."),
        placeholders=(*_COMMON, _WAITING_ITEMS),
        urgent=False,
        always=True,
    ),
    Kind.REPROMISED: KindRules(
        word=N_("New promised day"),
        says=N_("When somebody promises the order, or some items, for another day."),
        placeholders=(
            *_COMMON,
            Placeholder("former_day", Shape.WORD, N_("Day that was promised before")),
            Placeholder("promise_reason", Shape.WORD, N_("Why the day changed, in a sentence for the customer")),
            Placeholder("repromised_items", Shape.BLOCK, N_("The items it is about; left out when it is all of them")),
        ),
        urgent=False,
        always=True,
    ),
    Kind.SHIPPED: KindRules(
        word=N_("On its way"),
        says=N_("When parcels leave a location; once for each departure."),
        placeholders=(*_COMMON, *_SENT),
    ),
    Kind.OUT_FOR_DELIVERY: KindRules(
        word=N_("Out for delivery"),
        says=N_("When the carrier, or your own courier, is on the way with a parcel."),
        placeholders=(*_COMMON, *_SENT),
    ),
    Kind.DELIVERED: KindRules(
        word=N_("Delivered"),
        says=N_("When a parcel has arrived."),
        placeholders=(*_COMMON, *_SENT),
        urgent=False,
    ),
    Kind.READY: KindRules(
        word=N_("Ready for pickup"),
        says=N_("When the goods wait at the counter, and again with a new code or more time."),
        placeholders=(*_COMMON, *_PLACE),
    ),
    Kind.PICKUP_REMINDER: KindRules(
        word=N_("Pickup reminder"),
        says=N_("Once, before the goods stop waiting at the counter."),
        placeholders=(*_COMMON, *_PLACE),
        urgent=False,
    ),
    Kind.CANCELLED: KindRules(
        word=N_("Order cancelled"),
        says=N_("When the whole order is cancelled, whoever did it and why."),
        placeholders=(*_COMMON, _AMOUNT, _CANCELLED_ITEMS),
        always=True,
    ),
    Kind.CANCELLED_IN_PART: KindRules(
        word=N_("Items cancelled"),
        says=N_("When some items of an order are cancelled and the rest goes on."),
        placeholders=(*_COMMON, _AMOUNT, _CANCELLED_ITEMS),
        always=True,
    ),
    Kind.REPLACED: KindRules(
        word=N_("Item replaced"),
        says=N_("When another item stands in for one that could not be had."),
        placeholders=(
            *_COMMON,
            Placeholder("amount", Shape.WORD, N_("What the order costs less; empty when it costs the same")),
            Placeholder("replaced_items", Shape.BLOCK, N_("The items that could not be had")),
            Placeholder("replacing_items", Shape.BLOCK, N_("The items that stand in for them")),
        ),
        urgent=False,
        always=True,
    ),
    Kind.REFUNDED: KindRules(
        word=N_("Refund made"),
        says=N_("When money went back to the customer."),
        placeholders=(*_COMMON, _AMOUNT),
        urgent=False,
    ),
}


class State(StrEnum):
    """Where a message stands. `sending` is the moment between taking it up and its outcome."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"  # for good
    UNCERTAIN = "uncertain"  # handed over or about to be, and the outcome was lost: never repeated by itself
    SKIPPED = "skipped"  # on purpose, `reason` says which
    FAILED = "failed"  # tried as often as it may be
    BOUNCED = "bounced"  # it was taken and came back later


# What a person may have sent again. One who sees `uncertain` asks the customer first.
REPEATABLE = frozenset({State.SENT, State.REFUSED, State.UNCERTAIN, State.SKIPPED, State.FAILED, State.BOUNCED})
# What somebody should look at.
TROUBLE = (State.REFUSED, State.UNCERTAIN, State.FAILED, State.BOUNCED)

STATE_WORDS: dict[State, str] = {
    State.QUEUED: N_("Waiting"),
    State.SENDING: N_("Being sent"),
    State.SENT: N_("Sent"),
    State.REFUSED: N_("Refused for good"),
    State.UNCERTAIN: N_("Outcome unknown"),
    State.SKIPPED: N_("Not sent out"),
    State.FAILED: N_("Given up"),
    State.BOUNCED: N_("Came back"),
}

REASON_WORDS: dict[str, str] = {
    "not_configured": N_("This channel was not set up when it was due."),
    "no_address": N_("The order has no usable address for this channel."),
    "suppressed": N_("Messages to this address came back before."),
    "declined": N_("The customer does not want messages on this channel."),
    "told_by_channel": N_("The sales channel tells its buyers itself."),
    "no_consent": N_("The customer has not agreed to messages by this means."),
    "refused": N_("The receiving server will not take it."),
    "attempts": N_("It was tried for a day without success."),
    "interrupted": N_("The program ended while it was being sent. It may have arrived."),
    "unanswered": N_("The server was given the message and did not answer. It may have arrived."),
    "order_gone": N_("The order is not there any more."),
    "text_broken": N_("The message could not be written."),
    "bounced": N_("The receiving server sent it back."),
    "erased": N_("The data of the customer were erased for good."),
    "overtaken": N_("By the time it was due it was not true any more: the order had gone on or was cancelled."),
    "postponed": N_("The server does not take it now; it is tried again."),
    "unreachable": N_("The server cannot be reached; it is tried again."),
}


class Text(msgspec.Struct, frozen=True):
    """A subject and a body with placeholders."""

    subject: str
    body: str


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A text as it counts now; version 0 is the one that comes with the program."""

    kind: Kind
    channel: Channel
    language: str
    version: int
    text: Text
    own: bool  # written by the retailer
    saved_at: datetime | None = None
    saved_by: str = ""


class MessageRules(msgspec.Struct, frozen=True, kw_only=True):
    """When messages rest and how long their words are kept. Equal ends are no quiet hours."""

    quiet_from: time = time(21, 0)
    quiet_until: time = time(8, 0)
    kept_days: int = 180
    version: int = 0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """By which means a kind is told, first choice first; with `every` by each of them, not by the first that works."""

    means: tuple[Channel, ...] = (Channel.EMAIL, Channel.WHATSAPP, Channel.SMS)
    every: bool = False
    version: int = 0


class Teller(StrEnum):
    """Who tells the buyers of a sales channel what happens to their orders."""

    US = "us"
    CHANNEL = "channel"
    LOSSES = "losses"  # we, but only of cancels, delays and new dates


TELLER_WORDS: dict[Teller, str] = {
    Teller.US: N_("We tell the buyer"),
    Teller.CHANNEL: N_("The channel tells the buyer"),
    Teller.LOSSES: N_("We tell the buyer of losses only"),
}


class Purpose(StrEnum):
    """What messages are for: an order that exists, or to sell."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


PURPOSE_WORDS: dict[Purpose, str] = {
    Purpose.TRANSACTIONAL: N_("News of your orders"),
    Purpose.MARKETING: N_("Offers and novelties"),
}


class ConsentSource(StrEnum):
    """How we know what a customer agreed to."""

    SHOPPER_PAGE = "shopper_page"
    ONE_CLICK = "one_click"
    CONSOLE = "console"
    API = "api"
    CHECKOUT = "checkout"
    STORE = "store"
    CALL = "call"
    IMPORT = "import"


SOURCE_WORDS: dict[ConsentSource, str] = {
    ConsentSource.SHOPPER_PAGE: N_("The customer, on the page of wishes"),
    ConsentSource.ONE_CLICK: N_("The customer, by “unsubscribe” in the mail program"),
    ConsentSource.CONSOLE: N_("Written down by a person"),
    ConsentSource.API: N_("A program"),
    ConsentSource.CHECKOUT: N_("The customer, at the checkout"),
    ConsentSource.STORE: N_("The customer, in a store"),
    ConsentSource.CALL: N_("The customer, in a conversation"),
    ConsentSource.IMPORT: N_("Taken over from another system"),
}


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a customer agreed to or took back."""

    purpose: Purpose
    channel: Channel
    given: bool
    source: ConsentSource
    proof: str = ""
    at: datetime | None = None  # when they said so; None: now
    key: str | None = None  # of whoever brings it: the same twice is one


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer wants: a language (None: the retailer's) and channels without anything but news of losses."""

    language: str | None = None
    declined: tuple[Channel, ...] = ()
    source: str = ""
    version: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell the buyer of an order, found in an event."""

    order_id: UUID
    event_seq: int
    kind: Kind
    at: datetime
    facts: Mapping[str, object] = {}


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How the buyer of an order can be reached, and what bears on whether to."""

    order_id: UUID
    email: str | None
    phone: str | None = None
    placed_at: datetime
    received_at: datetime
    teller: Teller = Teller.US
    state: str | None  # UF of the address or the counter
    language: str | None
    declined: tuple[str, ...] = ()  # means the customer does not want
    agreed: tuple[str, ...] = ()  # means the customer said yes to
    suppressed: tuple[str, ...] = ()  # means whose address takes nothing
    cancelled: bool = False  # nothing is left of the order
    holds: tuple[str, ...] = ()  # that are open

    def address(self, channel: Channel) -> str | None:
        """Return where a means reaches the buyer."""
        return self.email if channel is Channel.EMAIL else self.phone


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be written down."""

    told: Told
    channel: Channel
    language: str
    address: str | None
    state: State
    reason: str | None
    due_at: datetime
    rank: int = 0


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """Which means can be used now, and which of them only for people who said yes."""

    ready: frozenset[Channel] = frozenset({Channel.EMAIL})
    needing_consent: frozenset[Channel] = frozenset()


class Item(msgspec.Struct, frozen=True):
    """A line of the order, or a part of one."""

    name: str
    quantity: int
    total: Money


class Parcel(msgspec.Struct, frozen=True):
    """A parcel on its way."""

    carrier: str
    tracking_code: str
    tracking_url: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a text can name, of one order and one event."""

    order_number: int
    customer_name: str
    order_total: Money
    order_date: date
    promised_day: date | None  # by which all is there that the message is of; with the hour where one was promised
    tracking_address: str
    first_day: date | None = None  # of the first items, where that is sooner
    former_day: date | None = None
    promise_reason: str = ""  # ordering.model.PromiseReason
    repromised_items: tuple[Item, ...] = ()
    replaced_items: tuple[Item, ...] = ()
    replacing_items: tuple[Item, ...] = ()
    items: tuple[Item, ...] = ()
    sent_items: tuple[Item, ...] = ()  # in `parcels`
    waiting_items: tuple[Item, ...] = ()  # that have not left
    more_follows: bool = False  # something that is not in `parcels` is not there yet
    cancelled_items: tuple[Item, ...] = ()
    shipping: Money | None = None
    discount: Money | None = None  # below zero
    parcels: tuple[Parcel, ...] = ()
    amount: Money | None = None
    awaits_payment: bool = False
    hold_kind: str = ""
    pickup_code: str = ""
    pickup_day: date | None = None
    pickup_place: tuple[str, ...] = ()  # lines


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The retailer around a message."""

    retailer: str
    colour: str
    on_colour: str
    support_email: str = ""
    support_phone: str = ""
    website: str = ""
    wishes_address: str = ""  # where the reader changes what they want to get


class Rendered(msgspec.Struct, frozen=True):
    """A message ready to go, in plain words and as a page."""

    subject: str
    text: str
    html: str
    template: str = ""  # an approved text at the gateway
    template_language: str = ""
    parameters: tuple[str, ...] = ()


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this process has taken up; its `state` is `sending`."""

    id: UUID
    order_id: UUID
    event_seq: int
    kind: Kind
    channel: Channel
    language: str
    address: str
    facts: dict[str, object]
    attempts: int
