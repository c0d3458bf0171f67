"""Words of tables that come and go: kinds, the states of an import, and one import as it stands."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID


class Kind(StrEnum):
    """What the rows of a table are."""

    PRODUCTS = "products"
    PRICES = "prices"
    STOCK = "stock"
    LOCATIONS = "locations"
    CUSTOMERS = "customers"


class Rules(msgspec.Struct, frozen=True):
    """What a kind is called, and who may bring or take it."""

    word: str
    write: str
    read: str
    undo: str  # how an import is taken back, or why it cannot be


KINDS: dict[Kind, Rules] = {
    Kind.PRODUCTS: Rules(
        N_("Products"),
        "catalog:write",
        "catalog:read",
        N_("There is no undo. Export the products first; importing that file puts back what they were."),
    ),
    Kind.PRICES: Rules(
        N_("Prices"),
        "catalog:write",
        "catalog:read",
        N_("There is no undo. Export the prices first; importing that file puts back what they were."),
    ),
    Kind.STOCK: Rules(
        N_("Stock"),
        "stock:write",
        "stock:read",
        N_(
            "There is no undo: orders are promised from the new quantities at once. Each change is a row of the ledger."
        ),
    ),
    Kind.LOCATIONS: Rules(
        N_("Locations"),
        "network:write",
        "network:read",
        N_("There is no undo. Export the locations first; importing that file puts back what they were."),
    ),
    Kind.CUSTOMERS: Rules(
        N_("Customers"),
        "customers:write",
        "customers:reveal",
        N_("There is no undo: customers that were put together cannot be told apart again."),
    ),
}


class State(StrEnum):
    """Where an import stands."""

    UPLOADING = "uploading"
    MAPPING = "mapping"  # the file is here; a person says what its headings mean
    CHECKING = "checking"  # every row is looked at, nothing is written
    CHECKED = "checked"
    APPLYING = "applying"
    DONE = "done"
    STOPPED = "stopped"  # by a person; what was written stays
    FAILED = "failed"  # the file cannot be read, or the job gave up


BUSY = frozenset({State.CHECKING, State.APPLYING})
OPEN = frozenset({State.MAPPING, State.CHECKED})


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One import."""

    id: UUID
    number: int
    kind: Kind
    name: str
    state: State
    bytes: int
    encoding: str
    delimiter: str
    header: list[str]
    sample: list[list[str]]
    mapping: dict[str, str]
    turn: int
    at_line: int
    total: int | None
    seen: int
    created: int
    changed: int
    unchanged: int
    bad: int
    warned: int
    error: dict[str, Any] | None
    actor: str
    person: str
    permissions: list[str] | None
    locations: list[int] | None
    uploaded_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def share(self) -> int:
        """Return how much of the rows was read, in percent; 0 while nobody knows how many there are."""
        return min(100, 100 * self.seen // self.total) if self.total else 0


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that was refused, or only looks odd: its cells as the file has them, and what is wrong."""

    line: int
    refused: bool
    cells: list[str]
    problems: list[dict[str, Any]]
