"""Words of the network: who sells and invoices, from where, to which channels, by which services."""

from datetime import datetime, time
from enum import StrEnum

import msgspec

from malha.platform.address import Address

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Weekday -> intervals ["09:00", "18:00"] in the location's zone.
Hours = dict[str, list[tuple[str, str]]]


class EntityKind(StrEnum):
    """Whose company it is."""

    OWN = "own"
    FRANCHISE = "franchise"
    VENDOR = "vendor"
    OPERATOR = "operator"  # third-party logistics


class TaxRegime(StrEnum):
    """How the establishment is taxed (CRT of the NF-e)."""

    NORMAL = "normal"
    SIMPLES = "simples"
    SIMPLES_EXCESS = "simples_excess"
    MEI = "mei"


class DocumentPolicy(StrEnum):
    """Whether goods may leave without a fiscal document."""

    REQUIRED = "required"
    NOT_REQUIRED = "not_required"


class LocationKind(StrEnum):
    """What a location is."""

    STORE = "store"
    DISTRIBUTION_CENTRE = "distribution_centre"
    FACTORY = "factory"
    THIRD_PARTY = "third_party"
    VENDOR = "vendor"
    PICKUP_POINT = "pickup_point"


class Repeat(StrEnum):
    """How often a closure comes again."""

    NEVER = "never"
    WEEKLY = "weekly"
    YEARLY = "yearly"


class LocationStatus(StrEnum):
    """Whether a location takes work. A paused one finishes what it has."""

    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"


class ChannelKind(StrEnum):
    """Where orders come from."""

    WEB = "web"
    APP = "app"
    STORE = "store"
    TELESALES = "telesales"
    SALES_REP = "sales_rep"
    FRANCHISE = "franchise"
    MARKETPLACE = "marketplace"


class ShortagePolicy(StrEnum):
    """What becomes of an order that stock cannot cover."""

    REJECT = "reject"
    BACKORDER = "backorder"
    HOLD = "hold"


class PaymentPolicy(StrEnum):
    """When an order's work may start, seen from its payment."""

    BEFORE_RELEASE = "before_release"
    ON_DELIVERY = "on_delivery"
    SETTLED_BY_CHANNEL = "settled_by_channel"


class Method(StrEnum):
    """How goods reach the customer."""

    SHIP = "ship"
    PICKUP = "pickup"


class LegalEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A company: the establishments that share the first eight characters of their CNPJ."""

    id: int
    name: str
    cnpj_root: str
    kind: EntityKind
    version: int


class LegalEntityDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of a company."""

    name: str
    kind: EntityKind


class EstablishmentDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An establishment as someone states it.

    Its company is found by the root of the CNPJ, or made with `legal_name` and `kind`.
    """

    code: str
    name: str
    cnpj: str
    state: str
    state_registration: str | None = None
    tax_regime: TaxRegime = TaxRegime.NORMAL
    document_policy: DocumentPolicy = DocumentPolicy.REQUIRED
    active: bool = True
    legal_name: str | None = None
    kind: EntityKind = EntityKind.OWN


class Establishment(msgspec.Struct, frozen=True, kw_only=True):
    """One CNPJ: it owns stock, issues documents, pays tax in its state."""

    id: int
    code: str
    name: str
    cnpj: str
    state: str
    state_registration: str | None
    tax_regime: TaxRegime
    document_policy: DocumentPolicy
    active: bool
    version: int
    legal_entity_id: int
    legal_name: str
    kind: EntityKind


class LocationDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A location as someone states it; its CEP may tell the rest (`rules.complete_location`)."""

    code: str
    name: str
    kind: LocationKind
    establishment: str  # code
    status: LocationStatus = LocationStatus.ACTIVE
    address: Address = Address()
    latitude: float | None = None
    longitude: float | None = None
    timezone: str | None = None
    opening_hours: Hours = {}
    holiday_calendar: str | None = None  # None: the state's
    can_ship: bool = True
    can_pickup: bool = False
    can_curbside: bool = False
    can_return: bool = False
    cut_off: time = time(14, 0)
    daily_capacity: int | None = None
    handling_cost: int = 0
    line_cost: int = 0
    priority: int = 100
    pickup_days: int = 7  # that goods wait for a customer who collects
    site: str | None = None  # code of the location whose shelf, people and hours it shares; None: a site of its own


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place that keeps or hands over goods, and what it can do. Costs are centavos."""

    id: int
    code: str
    name: str
    kind: LocationKind
    establishment_id: int
    status: LocationStatus
    address: Address
    state: str
    postal_code: str | None
    latitude: float | None
    longitude: float | None
    timezone: str
    opening_hours: Hours
    holiday_calendar: str
    can_ship: bool
    can_pickup: bool
    can_curbside: bool
    can_return: bool
    cut_off: time
    daily_capacity: int | None
    handling_cost: int
    line_cost: int
    priority: int
    pickup_days: int
    version: int
    paused_reason: str | None = None
    paused_until: datetime | None = None
    owner_id: int | None = None  # establishment whose goods it keeps; None: its own
    site_id: int | None = None  # location at whose site it is; None: a site of its own
    site: str | None = None  # that location's code

    @property
    def home(self) -> int:
        """Return the id of the site's first location: what it shares with others there is stated of that one."""
        return self.id if self.site_id is None else self.site_id

    @property
    def keeps(self) -> int:
        """Return the id of the establishment whose goods it keeps, which invoices them."""
        return self.establishment_id if self.owner_id is None else self.owner_id


class StoreLaneDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where goods are brought to a place where orders are fetched, as someone states it.

    `origin` is the code of a location, `days` the working days until the goods are there when the place opens, `price`
    the centavos that bringing what an order has there costs.
    """

    origin: str
    days: int
    price: int = 0


class StoreLane(msgspec.Struct, frozen=True, kw_only=True):
    """A lane by which goods are brought to a place (the first location of its site) where orders are fetched."""

    to_id: int
    from_id: int
    days: int
    price: int


class LocationGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Locations under one name, for rules and questions about several."""

    id: int
    code: str
    name: str
    version: int
    locations: list[str]  # codes


class LocationGroupDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of locations as someone states it."""

    name: str
    locations: list[str]


class ChannelDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sales channel as someone states it."""

    code: str
    name: str
    kind: ChannelKind
    establishment: str | None = None  # code
    currency: str = "BRL"
    shortage_policy: ShortagePolicy = ShortagePolicy.HOLD
    payment_policy: PaymentPolicy = PaymentPolicy.BEFORE_RELEASE
    release_delay_minutes: int = 15
    priority: int = 100
    active: bool = True
    pickup_days: int | None = None  # None: as the location says
    most_units: int | None = None  # of one SKU in one order, before a person looked at it; None: any quantity
    locations: list[str] = []  # codes of the locations that may serve it; empty: all


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where orders come from, and the policies they come under."""

    id: int
    code: str
    name: str
    kind: ChannelKind
    establishment_id: int | None
    currency: str
    shortage_policy: ShortagePolicy
    payment_policy: PaymentPolicy
    release_delay_minutes: int
    priority: int
    active: bool
    pickup_days: int | None
    most_units: int | None
    version: int
    location_ids: frozenset[int] = frozenset()
    owner_ids: frozenset[int] = frozenset()  # legal entities whose goods it may sell; empty: anybody's

    def may_use(self, location_id: int) -> bool:
        """Tell whether this location may serve the channel."""
        return not self.location_ids or location_id in self.location_ids


class RateDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One weight bracket of a service between two states; `*` is any state."""

    from_state: str
    to_state: str
    max_grams: int
    price: int
    lead_days: int
    per_extra_kg: int = 0


class ServiceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shipping service with its whole tariff: saving it replaces the rates."""

    code: str
    name: str
    carrier: str
    method: Method = Method.SHIP
    active: bool = True
    channel_label: bool = False  # the channel that sold it gives the label: its parcels need no street of ours
    rates: list[RateDraft] = []


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How a parcel travels."""

    id: int
    code: str
    name: str
    carrier: str
    method: Method
    active: bool
    version: int
    channel_label: bool = False


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a tariff: price in centavos per parcel up to `max_grams`, `lead_days` in business days."""

    service_id: int
    from_state: str
    to_state: str
    max_grams: int
    price: int
    per_extra_kg: int
    lead_days: int


DEFAULT_COLOUR = "#2a52b0"
DEFAULT_LANGUAGES = ("pt-BR", "en")


class RetailerDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the retailer wants to appear to shoppers."""

    name: str = ""  # empty: the first own legal entity's
    colour: str = DEFAULT_COLOUR
    languages: tuple[str, ...] = DEFAULT_LANGUAGES  # the first is spoken when a browser wishes none of them
    timezone: str | None = None  # None: the setting's
    support_email: str | None = None
    support_phone: str | None = None
    website: str | None = None


class Retailer(msgspec.Struct, frozen=True, kw_only=True):
    """How the retailer appears to shoppers."""

    name: str
    stated_name: str  # empty when `name` is the legal entity's
    colour: str
    logo: str | None  # digest of the picture, for its address
    languages: tuple[str, ...]
    timezone: str | None
    support_email: str | None
    support_phone: str | None
    website: str | None
    version: int  # 0: never changed


class Logo(msgspec.Struct, frozen=True):
    """A picture as it was given."""

    picture: bytes
    media_type: str
    digest: str


class Saved(msgspec.Struct, frozen=True):
    """What saving one record did."""

    code: str
    id: int
    created: bool
