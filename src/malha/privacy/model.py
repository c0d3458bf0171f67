"""Words of what a person may ask of whoever keeps their data: all of it as a file, and that it be erased."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.customers.model import Customer
from malha.platform.ids import UUID

FORMAT = "malha.personal-data.1"
REASON_LENGTH = 200


class OrderData(msgspec.Struct, frozen=True, kw_only=True):
    """What an order holds of a person. Money is centavos of `currency`."""

    number: int
    channel: str
    external_id: str
    placed_at: datetime
    status: str
    currency: str
    total: int
    shipping_total: int
    discount_total: int
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, Any] | None
    customer_group: str | None
    details: dict[str, Any] | None  # as the channel stated them: notes, a gift message, ...
    tags: list[str]
    lines: list[dict[str, Any]]  # line, sku, name, quantity, unit_price, discount, total
    payments: list[dict[str, Any]]  # kind, amount, reference, installments; facts: kind, amount, reference, occurred_at
    documents: list[dict[str, Any]]  # model, series, number, access_key, total, state, issued_at
    parcels: list[dict[str, Any]]  # carrier, tracking_code, tracking_url, shipped_at, delivered_at, received_by
    pickups: list[dict[str, Any]]  # location, state, pickup_code, pickup_until
    holds: list[dict[str, Any]]  # kind, detail, placed_at, resolved_at, resolution
    notes: list[dict[str, Any]]  # at, author, text
    promises: list[dict[str, Any]]  # promised_at, made_at, reason, note
    messages: list[dict[str, Any]]  # kind, means, address, subject, body, state, created_at, done_at, ...
    timeline: list[dict[str, Any]]  # at, type, actor, facts


class Consented(msgspec.Struct, frozen=True, kw_only=True):
    """A yes or no of the person."""

    purpose: str
    means: str
    given: bool
    at: datetime
    source: str
    proof: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An address that takes no more messages."""

    means: str
    address: str
    reason: str
    since: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the audit trail about the person or their orders."""

    at: datetime
    by: str
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of what somebody sent, as it was kept: of a channel, a table, a partner, a program."""

    place: str  # table and column
    text: str


class PersonalData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything Malha holds of a person. Lists are in the order of time or of numbers; `format` names this shape."""

    format: str
    taken_at: datetime
    customer: Customer
    merged: list[Customer]  # profiles that went into this one, as they were
    also_known_by: list[str]  # documents, e-mails, telephones with names that lead here
    language: str | None
    declined: list[str]  # means by which no news of orders are wanted
    consents: list[Consented]
    refusals: list[Refused]
    orders: list[OrderData]
    trail: list[Entry]
    copies: list[Copy]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How far erasing a person is. Once it is done: in what, and what was kept; `again` where it was done before.

    In a large shop a worker looks through everything first: `looking`, until it is `done`, or `refused` for something
    that came meanwhile.
    """

    customer_id: UUID
    number: int
    state: Literal["looking", "refused", "done"]
    begun_at: Annotated[datetime | None, Meta(description="Since when a worker looks; none where it did not.")] = None
    looked: Annotated[float, Meta(ge=0, le=1, description="The share of everything that was looked through.")] = 0.0
    refused: Annotated[str | None, Meta(description="Why it was refused, in the language of the request.")] = None
    erased_at: datetime | None = None
    orders: int = 0
    messages: int = 0
    documents_kept: int = 0
    again: bool = False
