"""Words of connections."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from malha.channels.contract import DocumentKind
from malha.platform.ids import UUID


class Status(StrEnum):
    """Whether a connection works."""

    ACTIVE = "active"
    PAUSED = "paused"  # by a person: what comes in is kept, nothing is asked or sent
    BROKEN = "broken"  # the peer does not know us any more


class InboxState(StrEnum):
    """What became of a thing that came in."""

    WAITING = "waiting"
    UNMAPPED = "unmapped"  # waits for a mapping of a person
    PARKED = "parked"  # waits for a person
    DONE = "done"
    STALE = "stale"  # we know something newer
    DROPPED = "dropped"  # by a person


class OpState(StrEnum):
    """What became of a thing that goes out."""

    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"  # waits for a person
    SUPERSEDED = "superseded"  # a newer version went
    DROPPED = "dropped"  # by a person


class OpKind(StrEnum):
    """What is told to a peer."""

    SET_PRICE = "set_price"
    PUT_LISTING = "put_listing"
    PUSH_SHIPMENT = "push_shipment"
    CANCEL = "cancel"
    REFUND = "refund"
    ASK = "ask"  # of a logistics partner
    POST_DOCUMENT = "post_document"


NEWEST_WINS = frozenset({OpKind.SET_PRICE, OpKind.PUT_LISTING})


class ConnectionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to make or change. Secrets that are not mentioned stay; one that sells nothing has no channel."""

    code: str
    name: str
    connector: str
    channel: str = ""
    config: dict[str, Any]
    secrets: dict[str, str] = {}


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the runtime needs it. One that sells nothing has no channel: 0, and empty words."""

    id: int
    code: str
    name: str
    connector: str
    channel_id: int
    channel: str
    currency: str
    config: dict[str, Any]
    secrets: bytes | None
    former_secrets: bytes | None
    former_until: datetime | None
    status: Status
    version: int

    def __repr__(self) -> str:
        return f"Linked({self.code})"


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that came in, in the hands of this worker."""

    id: int
    connection_id: int
    entity: str
    trust: str
    payload: bytes
    attempts: int
    failures: int
    received_at: datetime


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that goes out, in the hands of this worker."""

    key: UUID
    connection_id: int
    kind: OpKind
    entity: str
    version: int
    payload: dict[str, Any]
    attempts: int
    failures: int
    doubtful: bool


class NewOp(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell a peer. `version` makes another key of the same kind and entity, and orders them."""

    connection_id: int
    kind: OpKind
    entity: str
    name: str  # what makes it this one and no other, within connection and kind
    payload: Any
    version: int = 0


class Trail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the events of an order, up to `seq`, came to for an ERP. Money in minor units, lines in sold units."""

    seq: int
    placed: int  # the total as it was placed
    worth: int  # what is left of it after cancels and replacements
    known: bool  # every line is of a SKU we know
    shipped: bool = False
    over: bool = False  # nothing is left of it
    sale: bool = False  # a sale was queued
    documents: int = 0  # so many were queued
    posted: int = 0  # their sum
    refunded: int = 0
    extra: int = 0  # of it was posted as money without goods
    gone: dict[int, int] = {}  # cancelled or replaced units by line
    added: list[int] = []  # lines that came instead of others


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it is queued. Who buys and what SKUs are called is looked up when it is sent."""

    kind: DocumentKind
    n: int  # the how many-eth of its order
    total: int
    at: datetime
    lines: dict[int, int] = {}  # sold units by line, negative: taken back; of a sale: what is not in it, by line
    beside: list[int] = []  # of a sale: lines in it that came instead of others
    freight: int = 0  # 1: the order's, -1: given back
    reason: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that this worker reads."""

    connection_id: int
    stream: str
    value: str | None
    since: datetime | None
    failures: int
    handles: Sequence[str]
