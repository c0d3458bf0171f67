"""Words of the event log: one event in it, and who wants which."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from malha.platform.db import Tx
from malha.platform.outbox import Event

E = TypeVar("E", bound=Event)
_Class = type[E]

BATCH = 500


class Recorded(msgspec.Struct, frozen=True):
    """One event in the log."""

    position: int
    at: datetime
    seq: int
    version: int
    key: str
    type: str
    actor: str
    payload: str  # JSON text
    waits: bool = False  # an earlier event of its key is parked for the subscriber that reads it

    @property
    def id(self) -> str:
        """Return the aggregate's identifier: the key after its kind."""
        return self.key.partition(":")[2]

    def facts(self) -> dict[str, Any]:
        """Return the payload decoded."""
        decoded: dict[str, Any] = msgspec.json.decode(self.payload)
        return decoded

    def read(self, into: _Class[E]) -> E:
        """Return the event as its class, like `event.read(OrderPlaced)`."""
        return msgspec.convert({**self.facts(), "seq": self.seq}, into, strict=False)


Handler = Callable[[Tx, list[Recorded]], Awaitable[None]]
Sweep = Callable[[Tx, int, int], Awaitable[None]]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who reacts to what: a literal of `flows.subscriptions.SUBSCRIPTIONS`.

    The handler gets events in the order of their positions, runs in one transaction with the checkpoint, makes no
    network call and may be given an event again (a replay): its writes say ON CONFLICT or compare versions.

    `sweep` does what the handler does for all events after one position up to another, in the database: thousands of
    events an hour need not travel through Python. It is used while nothing of the subscriber is set aside; when it
    fails, the handler finds out which event is to blame.
    """

    name: str
    handler: Handler
    sweep: Sweep | None = None
    types: tuple[str, ...] = ()  # () is every type
    kind: str | None = None  # only aggregates of this kind: "order" is the keys "order:..."
    batch: int = BATCH

    def wants(self, event_type: str, kind: str) -> bool:
        """Tell whether events of a type, of a kind of aggregate, are for this subscriber."""
        return (not self.types or event_type in self.types) and self.kind in {None, kind}
