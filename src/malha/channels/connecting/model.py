"""Words of connections."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

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
    PUSH_SHIPMENT = "push_shipment"
    CANCEL = "cancel"
    REFUND = "refund"
    ASK = "ask"  # of a logistics partner


NEWEST_WINS = frozenset({OpKind.SET_PRICE})


class ConnectionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to make or change. Secrets that are not mentioned stay."""

    code: str
    name: str
    connector: str
    channel: str
    config: dict[str, Any]
    secrets: dict[str, str] = {}


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the runtime needs it."""

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


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that this worker reads."""

    connection_id: int
    stream: str
    value: str | None
    since: datetime | None
    failures: int
    handles: Sequence[str]
