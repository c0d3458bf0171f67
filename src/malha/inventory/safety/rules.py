"""Which rule wins, as a total order that does not depend on the balance: the first rule of it that fits is the one.

The order is that of IBM's Sterling inventory visibility: most conditions, then the earlier end, then the more telling
dimension, then the name, then the later change; a deeper category is told from a higher one before the names are.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from malha.inventory.safety.model import Match, Precedence, SafetyRule

# The more telling first.
DIMENSIONS = (
    "location_id",
    "group_id",
    "sku_id",
    "product_id",
    "location_kind",
    "state",
    "brand",
    "category_path",
    "channel_id",
)
_NEVER = datetime.max.replace(tzinfo=UTC)


def conditions(rule: SafetyRule) -> tuple[int, ...]:
    """Return the places in `DIMENSIONS` of what a rule asks for."""
    return tuple(n for n, name in enumerate(DIMENSIONS) if getattr(rule, name) is not None)


def _keys(rule: SafetyRule) -> tuple[tuple[Precedence, Any], ...]:
    asked = conditions(rule)
    depth = rule.category_path.count("/") if rule.category_path else -1
    return (
        (Precedence.MORE_CONDITIONS, -len(asked)),
        (Precedence.ENDS_EARLIER, rule.ends_at or _NEVER),
        (Precedence.DIMENSION, asked),
        (Precedence.DEEPER_CATEGORY, -depth),
        (Precedence.NAME, rule.name),
        (Precedence.CHANGED_LATER, (-rule.changed_at.timestamp(), -rule.id)),
    )


def in_order(rules: Iterable[SafetyRule]) -> list[SafetyRule]:
    """Return rules by precedence, the winner first."""
    return sorted(rules, key=lambda rule: tuple(value for _, value in _keys(rule)))


def why_before(first: SafetyRule, second: SafetyRule) -> Precedence:
    """Return what puts one rule before another."""
    for (reason, mine), (_, theirs) in zip(_keys(first), _keys(second), strict=True):
        if mine != theirs:
            return reason
    return Precedence.CHANGED_LATER


def is_in_force(rule: SafetyRule, now: datetime) -> bool:
    """Tell whether a rule counts at a time."""
    started = rule.starts_at is None or rule.starts_at <= now
    return rule.active and started and (rule.ends_at is None or now < rule.ends_at)


def told(matches: list[tuple[SafetyRule, int]]) -> list[Match]:
    """Return the rules that fit a balance, in order, each with why it comes before the next."""
    found = []
    for n, (rule, units) in enumerate(matches):
        after = matches[n + 1][0] if n + 1 < len(matches) else None
        found.append(Match(rule, units, None if after is None else why_before(rule, after)))
    return found
