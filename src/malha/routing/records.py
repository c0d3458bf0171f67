"""Stored decisions: how one reads, and how it is recomputed from what it holds. Pure."""

from typing import Any

import msgspec

from malha.routing.lane_facts import LaneFacts, Onward, Rates
from malha.routing.lanes import reopen_lane
from malha.routing.model import REASONS, Plan, Reason, RequestLine, stock_of
from malha.routing.rules import decide
from malha.routing.ruling.model import Bound
from malha.routing.terms import Amounts, OrderTerms, unfold


class Record(LaneFacts, frozen=True, kw_only=True):
    """A decision as stored. Lists follow positions: the order of `locations`. Money is centavos.

    Everything up to `heavy` is what was decided from, everything from `costs` on what came of it.
    """

    rates: list[Rates]
    lines: list[RequestLine]
    free: list[list[int]]  # per SKU in order of first mention
    costs: list[int] = msgspec.field(default_factory=list)  # absent: not worked out then; see `costs_of`
    parcels: list[tuple[int, int | None, int, int, list[tuple[int, int]]]]
    cost: int
    full: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    excluded: list[tuple[int, list[int]]] = msgspec.field(default_factory=list)
    heavy: list[tuple[int, list[int]]] = msgspec.field(default_factory=list)
    unplaced: list[tuple[int, int]] = msgspec.field(default_factory=list)
    lead_days: int | None = None
    exact: bool = True
    version: int | None = None
    prices: list[tuple[int, list[tuple[int, int]]]] = msgspec.field(default_factory=list)
    worth: int = 0
    terms: OrderTerms | None = None
    amounts: list[Amounts] = msgspec.field(default_factory=list)
    bound: Bound | None = None  # what a routing rule asked
    later: list[tuple[int, int, int]] = msgspec.field(default_factory=list)  # full, and asked all the same
    onward: Onward | None = None  # how goods that come together go on

    def stock_prices(self) -> dict[int, dict[int, int]]:
        """Return what units were worth where they were: centavos by SKU and position."""
        return {sku: dict(by_position) for sku, by_position in self.prices}

    def facts(self) -> LaneFacts:
        """Return the part that its lane said."""
        return LaneFacts(**{name: getattr(self, name) for name in LaneFacts.__struct_fields__})

    def location_ids(self) -> list[int]:
        """Return the ids of the locations that were open to the order, by position."""
        return unfold(self.locations)

    def closed(self) -> dict[Reason, list[int]]:
        """Return the ids of the locations that were not, by reason."""
        return {REASONS[code]: unfold(ids) for code, ids in self.refused}

    def stock(self) -> dict[int, list[int]]:
        """Return the free units of every SKU that was needed, by position."""
        return stock_of(self.lines, self.free)


_decode = msgspec.json.Decoder(Record).decode


def read_record(stored: bytes | str | dict[str, Any]) -> Record:
    """Return a stored decision.

    Raises:
        msgspec.ValidationError: it is none.
    """
    if isinstance(stored, dict):
        return msgspec.convert(stored, Record)
    return _decode(stored)


def costs_of(record: Record) -> list[int]:
    """Return, by position, centavos of the cheapest plan that uses it, -1 where none does."""
    return record.costs or replay(record).basis.costs


def replay(record: Record) -> Plan:
    """Decide again from the stored inputs alone. A location's index is its position in the record.

    Carriers and transit times are no inputs and are not known again: `service_id` and `lead_days` are None.
    """
    lane = reopen_lane(record.facts(), record.rates)
    plan = decide(
        lane,
        record.lines,
        record.stock(),
        record.full,
        record.excluded,
        record.heavy,
        record.stock_prices(),
        record.version,
        costs=True,
        terms=record.terms,
        bound=record.bound,
        onward=record.onward,
    )
    return msgspec.structs.replace(plan, basis=msgspec.structs.replace(plan.basis, later=record.later))
