"""Words of safety rules: what a rule asks of a balance, and what it keeps back there."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]


class Purpose(StrEnum):
    """What the units are kept back from."""

    ROUTING = "routing"  # being claimed at all
    ONLINE = "online"  # being published to channels; an order that comes may still have them


class Measure(StrEnum):
    """How many units a rule keeps back."""

    UNITS = "units"
    PERCENT = "percent"  # of what is on hand, rounded up
    DAYS = "days"  # of what left per day in the last 28 days, rounded up


class Precedence(StrEnum):
    """Why one rule comes before another: the first difference, in this order."""

    MORE_CONDITIONS = "more_conditions"
    ENDS_EARLIER = "ends_earlier"
    DIMENSION = "dimension"  # names something more telling
    DEEPER_CATEGORY = "deeper_category"
    NAME = "name"
    CHANGED_LATER = "changed_later"


class SafetyRuleDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule as someone states it. Conditions that are None do not matter; all others must hold."""

    code: str
    name: str
    purpose: Purpose = Purpose.ROUTING
    measure: Measure = Measure.UNITS
    amount: int
    location: str | None = None
    location_group: str | None = None
    location_kind: str | None = None
    state: str | None = None
    sku: str | None = None
    product: str | None = None
    category: str | None = None  # and everything below it
    brand: str | None = None
    channel: str | None = None  # online only
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    active: bool = True


class SafetyRule(msgspec.Struct, frozen=True, kw_only=True):
    """A stored rule, or a draft under trial (id 0). `category_path` is the category's, from the root."""

    id: int
    code: str
    name: str
    purpose: Purpose
    measure: Measure
    amount: int
    location_id: int | None = None
    group_id: int | None = None
    location_kind: str | None = None
    state: str | None = None
    sku_id: int | None = None
    product_id: int | None = None
    category_path: str | None = None
    brand: str | None = None
    channel_id: int | None = None
    location: str | None = None
    location_group: str | None = None
    sku: str | None = None
    product: str | None = None
    category: str | None = None
    channel: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    active: bool = True
    changed_at: datetime
    version: int = 0


class Match(msgspec.Struct, frozen=True):
    """A rule that fits a balance, with the units it would keep back, and why it comes before the next one."""

    rule: SafetyRule
    units: int
    before_next: Precedence | None  # None: it is the last


class Kept(msgspec.Struct, frozen=True):
    """Why a balance keeps back what it does: the override if there is one, else the first match."""

    sku_id: int
    location_id: int
    units: int  # in force; the sweep may be a moment behind
    override: int | None
    overridden_by: str | None
    routing: list[Match]
    online: list[Match]  # of one channel, or of all


class Difference(msgspec.Struct, frozen=True):
    """What a rule under trial would change at one balance."""

    sku: str
    location: str
    before: int
    after: int


class Trial(msgspec.Struct, frozen=True):
    """What a rule under trial would change."""

    balances: int  # that would change
    more: int  # units kept back more
    fewer: int  # units kept back less
    examined: int  # SKUs looked at
    complete: bool  # whether those are all the rule could concern
    rows: list[Difference]  # the largest first
