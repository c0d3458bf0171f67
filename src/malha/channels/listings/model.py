"""Words of listings over a connection."""

from enum import StrEnum
from typing import Any

import msgspec

from malha.channels.contract import ProductPush
from malha.channels.feeds.model import Severity


class Status(StrEnum):
    """Where a listing stands at its channel."""

    DRAFT = "draft"  # never published
    SUBMITTED = "submitted"  # on its way: the channel did not answer yet
    LIVE = "live"
    REJECTED = "rejected"  # by the channel, for good, as it was
    ENDED = "ended"  # not for sale there any more


class Source(StrEnum):
    """Where the value of a field comes from."""

    PRODUCT = "product"  # the catalogue, as it is
    MAPPING = "mapping"  # an attribute, a constant, a template, or a word replaced by the channel's
    OVERRIDE = "override"
    MISSING = "missing"


class Teller(StrEnum):
    """Who found an error."""

    CHANNEL = "channel"  # in its own words
    CONNECTOR = "connector"  # ours, while it was told: never kept, found when it is read
    CHECK = "check"  # our own, before anything was sent


class ListingError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a listing is not as it should be: the field it concerns, where that is known, and in whose words."""

    code: str
    field: str = ""
    message: str = ""
    teller: Teller = Teller.CHANNEL


class Found(msgspec.Struct, frozen=True):
    """What a rule finds in a field: see `feeds.rules.RULES`."""

    rule: str
    severity: Severity


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One field: what the channel gets and from where, and what it would get if nothing were said here.

    `usual_source` is where the latter comes from. `shared`: said once for all variants of the product.
    """

    field: str
    kind: str
    required: bool
    shared: bool
    longest: int
    words: tuple[str, ...]
    value: Any  # a text, or texts
    source: Source
    usual: Any
    usual_source: Source
    origin: str  # how the usual value is made: `feeds.model.Origin` and its value, as `attribute: Color`
    found: list[Found] = []


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What the channel gets of a listing. `push` is None while there are errors: nothing is sent then."""

    fields: list[Explained]
    errors: list[ListingError]
    push: ProductPush | None
    digest: bytes
