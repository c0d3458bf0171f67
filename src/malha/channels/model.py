"""Words of listings and of how a channel hears of stock."""

from datetime import datetime
from enum import StrEnum

import msgspec


class PushKind(StrEnum):
    """Who calls whom."""

    WEBHOOK = "webhook"  # we call an address of theirs
    FEED = "feed"  # they ask for what changed
    CONNECTOR = "connector"  # a connection of the channel hands it over


class PushDraft(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel shall hear of stock. A `secret` of None keeps the one there is."""

    kind: PushKind
    url: str | None = None
    secret: str | None = None
    active: bool = True
    all_skus: bool = True


class ListingDraft(msgspec.Struct, frozen=True):
    """A SKU on a channel; without a code the channel calls it as we do.

    `price`: what it costs there, in centavos; None: what the catalogue says. Left out, it stays.
    """

    sku: str
    code: str | None = None
    active: bool = True
    price: int | msgspec.UnsetType | None = msgspec.UNSET


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A push that this worker has in hand."""

    channel_id: int
    channel: str
    kind: str
    url: str | None
    secret: bytes | None
    position: int
    resend_after: int | None
    failures: int
    all_skus: bool
    taken_until: datetime  # the lease, and what tells this turn from another one
    next_at: datetime


class Change(msgspec.Struct, frozen=True):
    """A listing whose stock may have changed."""

    sku_id: int
    sku: str
    code: str
    version: int
    changed_at: datetime
    sent_quantity: int | None
