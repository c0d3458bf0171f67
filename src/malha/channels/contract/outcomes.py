"""What a connector can do and how much is asked of it; what became of what was handed over, and what may be raised."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class Capability(StrEnum):
    """What a connector can do."""

    CATALOG_SOURCE = "catalog_source"
    CATALOG_SINK = "catalog_sink"
    STOCK = "stock"
    STOCK_SOURCE = "stock_source"
    PRICES = "prices"
    ORDERS = "orders"
    SHIPMENTS = "shipments"
    CANCELS = "cancels"
    WEBHOOKS = "webhooks"
    SUMMARIES = "summaries"  # how many orders a day the peer counts, for reconciliation
    TOKENS = "tokens"  # access by tokens that run out
    FULFILMENT = "fulfilment"  # a partner is asked to pick and ship
    FILES = "files"  # what it answers comes as files, and products and orders, where it says so and pulls none
    DOCUMENTS = "documents"  # an ERP: takes sales documents


class Tier(StrEnum):
    """What decides that a connector is right."""

    A = "A"  # the actual product runs and answers
    B = "B"  # the vendor's SDK, schema or recorded traffic
    C = "C"  # our simulator, gated by the official specification
    D = "D"  # nothing: written from documentation


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a peer a connection asks for before it learns more from answers."""

    rate: float = 5.0  # requests a second
    burst: float = 10.0
    in_flight: int = 4  # operations under way at once
    batch: int = 100  # items of one call


# What went wrong. Whatever else a connector raises is taken for its defect, and for `Unsure` where it was writing.


class ChannelError(Exception):
    """Base of what a peer can answer that is no result. `why` is for people and holds no secret."""

    def __init__(self, why: str = "") -> None:
        self.why = why or type(self).__name__
        super().__init__(self.why)


class Retryable(ChannelError):
    """Nothing happened at the peer; the same again later, at the earliest after so many seconds."""

    def __init__(self, why: str = "", *, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class RateLimited(Retryable):
    """Too many requests: the peer wants rest."""


class Unsure(ChannelError):
    """The request was sent and nobody knows what became of it: it is looked up before anything is tried again."""


class AuthExpired(ChannelError):
    """The peer does not know us (any more): a token is renewed once, else a person must look."""


class Invalid(ChannelError):
    """The peer will never take this. `field` says which part of it, where it is known."""

    def __init__(self, why: str = "", *, field: str = "", code: str = "") -> None:
        super().__init__(why)
        self.field = field
        self.code = code


class Missing(ChannelError):
    """The peer has no such thing."""


class Conflicting(ChannelError):
    """The peer has another version of it (`version`, where it is known)."""

    def __init__(self, why: str = "", *, version: str = "") -> None:
        super().__init__(why)
        self.version = version


class Misfit(ValueError):
    """What a configuration says does not fit: raised by its `__post_init__`, told at the field.

    Both texts are English with `{facts}`; our own connectors' are also told in the reader's language.
    """

    def __init__(self, field: str, says: str, mend: str = "", **facts: str) -> None:
        super().__init__(says.format_map(facts))
        self.field = field
        self.says = says
        self.mend = mend
        self.facts = facts


# What became of a thing that was handed over.


class Ok(msgspec.Struct, frozen=True, tag="ok"):
    """The peer has it; `ref` is its name for it."""

    ref: str = ""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """The peer took it and works on it; `handle` is what to ask about later."""

    handle: str


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """The peer will not take it; the others of its batch are not affected. `others`: what else is wrong with it."""

    code: str
    message: str = ""
    field: str = ""
    others: Sequence["Rejected"] = ()


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """Nobody knows: it is looked up before it is tried again."""

    why: str = ""


Result = Ok | Pending | Rejected | Unknown
