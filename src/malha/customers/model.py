"""Words about customers: one profile per person or company, however many channels it buys in."""

from datetime import datetime
from enum import StrEnum

import msgspec

from malha.platform.address import Address
from malha.platform.flaws import Flaw
from malha.platform.ids import UUID


class CustomerKind(StrEnum):
    """Who the profile is of."""

    PERSON = "person"
    COMPANY = "company"


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who placed an order, as the channel told it: nothing is certain to be there or to be valid."""

    name: str = ""
    document: str | None = None
    email: str | None = None
    phone: str | None = None
    address: Address | None = None


class CustomerDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile as someone states it."""

    name: str
    document: str | None = None
    email: str | None = None
    phone: str | None = None
    address: Address = Address()


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with everything in it."""

    id: UUID
    number: int
    kind: CustomerKind
    name: str
    document: str | None
    email: str | None
    phone: str | None
    address: Address
    created_at: datetime
    updated_at: datetime
    version: int
    erased_at: datetime | None = None  # since when nothing of the person is here any more


class CustomerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list: enough to recognise a customer, not enough to copy them."""

    id: UUID
    number: int
    kind: CustomerKind
    name: str
    document: str | None  # masked: "•••.456.789-••"
    email: str | None  # masked
    phone: str | None  # masked
    city: str
    state: str
    erased_at: datetime | None = None


class Saved(msgspec.Struct, frozen=True):
    """What saving one profile did."""

    id: UUID
    created: bool


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What merging rows did; two rows of one person count once as created or changed, then as unchanged.

    Rows with `flaws`, by line, did nothing. `warnings` are of rows that did.
    """

    created: int
    changed: int
    unchanged: int
    written: list[tuple[Customer | None, Customer]] = []  # as it was, None for a new one, and as it is now
    flaws: dict[int, list[Flaw]] = {}
    warnings: dict[int, list[Flaw]] = {}
    lines: dict[UUID, int] = {}  # which row, the last if several, said what was written of a profile


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """Two profiles that a person put together: what both were, and the orders that followed."""

    id: UUID
    at: datetime
    person: str
    kept_id: UUID
    gone_id: UUID
    gone_number: int
    kept_before: Customer
    gone_before: Customer
    kept_version: int
    orders: list[UUID]
    undone_at: datetime | None


class Alike(msgspec.Struct, frozen=True):
    """Two profiles that may be one person, and what they share: `email`, `phone` or `name`."""

    one_id: UUID
    other_id: UUID
    shares: str
