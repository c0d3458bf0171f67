"""Words of drafts that decide beside the live network. Money is centavos."""

import math
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.platform.ids import UUID
from malha.simulation.model import CostsTried, Result, RulesTried, Scenario

MOST_DAYS = 60


class ShadowStatus(StrEnum):
    """Whether a draft still decides."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class ShadowDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A draft that is to decide what is placed from now on, beside the live network, for some days."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    scenario: Scenario
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] = 14
    rule_set: int | None = None  # id of the rules that decide; absent: those that decide live
    cost_draft: int | None = None  # id of a draft of costs by which plans are compared; absent: those in force


class Running(msgspec.Struct, kw_only=True):
    """What a draft came to so far. Differences of cost (live less draft, centavos) and their squares are added up.

    They are of `alike` orders, with as many units placed in both worlds: an order that finds nothing costs nothing.
    """

    result: Result = msgspec.field(default_factory=Result)
    alike: int = 0
    saved: int = 0
    squares: int = 0
    differs: int = 0
    sooner: int = 0  # orders that would have been fewer business days on the way
    later: int = 0


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A draft beside the live network, without what it came to. `lag` is how far behind it is, in seconds."""

    id: UUID
    name: str
    scenario: Scenario
    status: ShadowStatus
    decided: int
    passed_over: int
    behind: int  # events of the log it has not looked at
    lag: float
    problem: str
    until: datetime
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    rules: RulesTried | None = None
    promoted: int | None = None  # number of the rule set that came of it
    promoted_at: datetime | None = None
    promoted_by: str | None = None
    taken_back: int | None = None  # number of the set that replaced it again; 0: withdrawn before its time
    costs: CostsTried | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a draft came to beside live decisions.

    `saved` is centavos an order costs less by the draft, on average over `alike` orders, with as many units placed in
    both worlds. With 95% confidence it is between `saved_least` and `saved_most` (normal approximation; orders that
    share stock are not independent, so it is a little too narrow).
    """

    orders: int
    alike: int
    differs: int
    saved: float
    saved_least: float
    saved_most: float
    sooner: int
    later: int
    result: Result


class ShadowOrder(msgspec.Struct, frozen=True):
    """One order in both worlds; `days` on the way are business days, null where nothing travels."""

    position: int
    order_id: UUID
    number: int
    day: date
    cost_live: int
    cost_shadow: int
    packages_live: int
    packages_shadow: int
    days_live: int | None
    days_shadow: int | None
    locations_live: list[str]
    locations_shadow: list[str]
    differs: bool


def compare(running: Running) -> Comparison:
    """Return the comparison of what a draft came to so far."""
    n = running.alike
    mean = running.saved / n if n else 0.0
    variance = max(running.squares - n * mean * mean, 0.0) / (n - 1) if n > 1 else 0.0
    half = 1.96 * math.sqrt(variance / n) if n > 1 else 0.0
    return Comparison(
        orders=running.result.before.total.orders,
        alike=n,
        differs=running.differs,
        saved=round(mean, 2),
        saved_least=round(mean - half, 2),
        saved_most=round(mean + half, 2),
        sooner=running.sooner,
        later=running.later,
        result=running.result,
    )
