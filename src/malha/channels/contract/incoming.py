"""What comes in by itself: messages of a peer, proved and taken apart; tokens."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from malha.channels.contract.orders import ExtOrder
from malha.channels.contract.partners import Answer, StockTold


class Trust(StrEnum):
    """Whether what came by webhook may be used as it is."""

    DATA = "data"
    HINT = "hint"  # it only says where to look


class RawRequest(msgspec.Struct, frozen=True):
    """A webhook as it came, byte for byte."""

    method: str
    url: str  # as the peer was told to call it, with the query
    headers: Mapping[str, str]
    body: bytes


class Verified(msgspec.Struct, frozen=True):
    """It is from the peer, or (`signed` False) nobody can tell and its events must be hints."""

    request: RawRequest
    signed: bool = True


class Ping(msgspec.Struct, frozen=True):
    """The peer tries the address: it is answered, and nothing is kept."""


class InboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a webhook tells. Events of one `entity` are handled in their order; the same `dedup` is one event."""

    dedup: str
    entity: str  # "order:1001"
    trust: Trust
    order: ExtOrder | None = None  # with trust DATA
    order_id: str = ""  # with trust HINT
    answer: Answer | StockTold | None = None  # of a partner, with trust DATA; `dedup` and `entity` are the runtime's


class Tokens(msgspec.Struct, frozen=True):
    """Tokens as the peer gave them."""

    access: str
    refresh: str
    expires_at: datetime | None = None
