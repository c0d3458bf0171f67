"""Words of webhooks."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import msgspec

from malha.platform.i18n import N_, _
from malha.platform.ids import UUID

MANAGES = "webhooks:manage"
DISABLE_AFTER = timedelta(days=5)  # of failures without a success
# What waits is tried again within a day, so failures further apart are not of one row: nothing was tried in between.
APART_AFTER = timedelta(hours=36)


class EndpointState(StrEnum):
    """Whether an endpoint is told anything."""

    ACTIVE = "active"
    PAUSED = "paused"  # a person said so
    DISABLED = "disabled"  # we said so: it is gone, or failed for days


class DeliveryState(StrEnum):
    """How far one event is on its way to one endpoint."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


class Why(StrEnum):
    """Why we stopped telling an endpoint."""

    GONE = "gone"
    FAILING = "failing"


STATE_NAMES = {
    EndpointState.ACTIVE: N_("Active"),
    EndpointState.PAUSED: N_("Paused"),
    EndpointState.DISABLED: N_("Disabled"),
}
DELIVERY_NAMES = {
    DeliveryState.WAITING: N_("In line"),
    DeliveryState.DELIVERED: N_("Delivered"),
    DeliveryState.FAILED: N_("Not delivered"),
}
WHY_SAYS = {
    Why.GONE: N_("Its address answered 410: it is gone for good."),
    Why.FAILING: N_("Nothing has arrived there for {days} days."),
}


class EndpointDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Who shall be told what. `locations` and `channels` are codes; None is all of them."""

    name: str
    url: str
    types: tuple[str, ...]
    locations: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    ordered: bool = False


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told what, and how it does. Secrets are sealed."""

    id: int
    name: str
    url: str
    types: list[str]
    permissions: list[str]
    locations: list[int] | None
    channels: list[int] | None
    ordered: bool
    state: EndpointState
    why: Why | None
    secret: bytes
    former_secret: bytes | None
    former_until: datetime | None
    version: int
    created_at: datetime
    created_by: str
    stopped_at: datetime | None
    stopped_position: int | None
    failures: int
    opened: int
    open_until: datetime | None
    trial_until: datetime | None
    rest_until: datetime | None
    failing_since: datetime | None
    error: str | None

    def may(self, permission: str) -> bool:
        """Return whether it may know of what a permission covers."""
        return permission in self.permissions


class WebhookMaker(msgspec.Struct, frozen=True):
    """Who answers for a webhook: who made it, themselves or by a key of theirs, changed it last or took it over.

    A webhook is the retailer's and keeps its rights: `gone` says that this person was deactivated, `less` that they
    see less than the webhook tells by now.
    """

    id: UUID
    name: str
    state: Literal["active", "less", "gone"]


def silence_of(endpoint: Endpoint) -> str:
    """Return why an endpoint is told nothing, in the reader's words; empty where a person said so."""
    return _(WHY_SAYS[Why(endpoint.why)], days=DISABLE_AFTER.days) if endpoint.why else ""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that a worker has in hand, and its event."""

    position: int
    key: str
    type: str
    attempts: int
    at: datetime
    seq: int
    version: int
    actor: str
    payload: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt."""

    position: int
    delivered: bool
    status: int | None
    ms: int
    error: str | None = None
    answer: str | None = None
    after: float | None = None  # seconds the other side asked for
    gone: bool = False
    servers_fault: bool = False  # it could not be reached, did not answer, or answered 429 or 5xx
    url: str = ""  # which was asked
    lag_ms: int = 0
    attempts: int = 1  # with this one
    untried: bool = False  # given back: there was no time left for it


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to send again: a stretch of time, types of them, or whatever was given up."""

    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    failed: bool = False
