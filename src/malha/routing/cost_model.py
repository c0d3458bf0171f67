"""What a retailer sets of routing's costs and filters, in codes: one document. Money is centavos."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What of a product a restriction names."""

    BRAND = "brand"
    CATEGORY = "category"  # by code, with those below it
    NCM = "ncm"  # the first 2, 4, 6 or 8 digits
    ATTRIBUTE = "attribute"  # name=value


class Carton(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the packaging of a package up to a weight costs; the heaviest bracket also counts above it."""

    max_grams: int
    price: int


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From what share of today's capacity on a parcel costs so much more."""

    percent: int
    price: int


class ChannelCosts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one channel has of its own; None: as for all."""

    channel: str
    split_penalty: int | None = None
    max_km: int | None = None


class Reach(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a location ships at most."""

    location: str
    max_km: int


class Restriction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Goods that some locations do not serve; with `only` nobody but them does (a licence, a fridge)."""

    kind: Kind
    value: str
    locations: list[str]
    only: bool = False


class Aging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it is worth that a unit leaves which has lain long: `per_day` for each day beyond `after_days`.

    At most `most` a unit. A SKU's credit of its own at a location stands before it.
    """

    after_days: int
    per_day: int
    most: int


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. Zero, or an empty list, is off."""

    split_penalty: int = 0  # each parcel beyond an order's first
    same_site: int = 0  # what each further owner's parcel from one site saves: at most its penalty and a handling
    cartons: list[Carton] = []
    reroute_cost: int = 0  # what an order that a location gives back costs
    late_penalty: int = 0  # what a broken promise costs
    day_cost: int = 0  # what a promise that is a working day longer costs: with `late_penalty`, how sure promises are
    capacity: list[Step] = []
    channels: list[ChannelCosts] = []
    reach: list[Reach] = []
    restrictions: list[Restriction] = []
    aging: Aging | None = None


class Markdown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What getting rid of a unit of aged stock is worth where it is."""

    sku: str
    location: str
    centavos: int


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a location: how often it gave work back, and how often its promises were broken.

    `rejection` and `lateness` are probabilities, drawn to the mean of all; None: there are too few outcomes of all.
    """

    location: str
    name: str
    location_id: int
    works: int
    refused: int
    promises: int
    broken: int
    rejection: float | None
    lateness: float | None
