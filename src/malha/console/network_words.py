"""What the network's kinds and policies are called on screen, each with one sentence where a choice needs it."""

from malha.console.words import Sign
from malha.network.model import (
    ChannelKind,
    DocumentPolicy,
    EntityKind,
    LocationKind,
    LocationStatus,
    Method,
    PaymentPolicy,
    Repeat,
    ShortagePolicy,
    TaxRegime,
)
from malha.platform.i18n import N_

LOCATION_KIND = {
    LocationKind.STORE: N_("Store"),
    LocationKind.DISTRIBUTION_CENTRE: N_("Distribution centre"),
    LocationKind.FACTORY: N_("Factory"),
    LocationKind.THIRD_PARTY: N_("Logistics operator"),
    LocationKind.VENDOR: N_("Vendor"),
    LocationKind.PICKUP_POINT: N_("Pickup point"),
}
LOCATION_STATUS = {
    LocationStatus.ACTIVE: Sign(N_("Taking work"), "neutral", "ring"),
    LocationStatus.PAUSED: Sign(N_("Paused"), "wait", "pause"),
    LocationStatus.CLOSED: Sign(N_("Closed"), "neutral", "x"),
}
# field of a location: (short word, what it means)
CAPABILITIES = {
    "can_ship": (N_("Sends"), N_("Sends parcels to customers")),
    "can_pickup": (N_("Pickup"), N_("Customers collect at the counter")),
    "can_curbside": (N_("Curbside"), N_("Hands over at the customer's car")),
    "can_return": (N_("Returns"), N_("Takes goods back")),
}
WEEKDAY = {
    "mon": N_("Monday"),
    "tue": N_("Tuesday"),
    "wed": N_("Wednesday"),
    "thu": N_("Thursday"),
    "fri": N_("Friday"),
    "sat": N_("Saturday"),
    "sun": N_("Sunday"),
}
REPEAT = {
    Repeat.NEVER: N_("Only then"),
    Repeat.WEEKLY: N_("Every week"),
    Repeat.YEARLY: N_("Every year"),
}
ENTITY_KIND = {
    EntityKind.OWN: N_("Own company"),
    EntityKind.FRANCHISE: N_("Franchisee"),
    EntityKind.VENDOR: N_("Vendor"),
    EntityKind.OPERATOR: N_("Logistics operator"),
}
TAX_REGIME = {
    TaxRegime.NORMAL: N_("Normal regime"),
    TaxRegime.SIMPLES: N_("Simples Nacional"),
    TaxRegime.SIMPLES_EXCESS: N_("Simples Nacional, above the sublimit"),
    TaxRegime.MEI: N_("MEI"),
}
DOCUMENT_POLICY = {
    DocumentPolicy.REQUIRED: N_("Goods leave only with a fiscal document"),
    DocumentPolicy.NOT_REQUIRED: N_("Goods may leave without a fiscal document"),
}
CHANNEL_KIND = {
    ChannelKind.WEB: N_("Online shop"),
    ChannelKind.APP: N_("App"),
    ChannelKind.STORE: N_("Store till"),
    ChannelKind.TELESALES: N_("Telesales"),
    ChannelKind.SALES_REP: N_("Sales representative"),
    ChannelKind.FRANCHISE: N_("Franchise"),
    ChannelKind.MARKETPLACE: N_("Marketplace"),
}
PAYMENT_POLICY = {
    PaymentPolicy.BEFORE_RELEASE: N_("Paid before release"),
    PaymentPolicy.ON_DELIVERY: N_("Paid on delivery"),
    PaymentPolicy.SETTLED_BY_CHANNEL: N_("Settled by the channel"),
}
SHORTAGE_POLICY = {
    ShortagePolicy.HOLD: N_("Hold the order for a person"),
    ShortagePolicy.BACKORDER: N_("Accept, deliver when stock comes"),
    ShortagePolicy.REJECT: N_("Reject the order"),
}
METHOD = {
    Method.SHIP: N_("Delivery"),
    Method.PICKUP: N_("Pickup"),
}
