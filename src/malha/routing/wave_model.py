"""Words of waves: orders that are held, and what a wave proposes for them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from malha.platform.ids import UUID


class Held(NamedTuple):
    """An order that is placed and not released. `skus`, `units` and `locations` follow `lines`."""

    id: UUID
    seq: int
    channel_id: int
    service_id: int | None
    to_state: str
    lines: list[int]
    skus: list[int]
    units: list[int]
    locations: list[int]
    values: Sequence[int] = ()  # centavos of one unit, by line
    cep: str | None = None


class Step(msgspec.Struct, frozen=True):
    """One order of a proposal: where each line would go, if the order is still at the version that was seen."""

    order_id: UUID
    seq: int
    to: list[tuple[int, int]]  # (line, location id)


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """What a wave would move. Steps of a group need one another: all of them or none."""

    orders: int
    groups: list[list[Step]]
    bound_gap: float | None = None
    seconds: float = 0.0
