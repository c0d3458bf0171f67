"""Use cases of field rules: what of a channel's order goes into which field here, tried before it counts.

Rules are kept by versions. Whatever waits because a rule could not fill its field is looked at again as soon as there
are other rules; orders that were taken stay as they are.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.channels.connecting import field_reads, field_rules, field_writes, writes
from malha.channels.connecting.errors import FieldRulesChanged, UnknownFieldRules
from malha.channels.connecting.field_reads import RuleSet, Told
from malha.channels.connecting.field_rules import Applied, Failed, FieldRule
from malha.channels.connecting.service import connection_of
from malha.channels.contract import ExtOrder
from malha.network import retailer
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import refuse

CAUSE = "field"  # why an order waits; see `rules.FIXES`
TRIED = 20
MOST_TRIED = 100

newest = field_reads.newest


class Ruled(msgspec.Struct, frozen=True):
    """An order as it was told, and what rules make of it. Where one failed, it is as it was told."""

    told: ExtOrder
    order: ExtOrder
    details: dict[str, Any] | None = None
    customer_group: str | None = None
    version: int = 0
    failed: Sequence[Failed] = ()


class Tried(msgspec.Struct, frozen=True):
    """An order that was told, and what rules would give it."""

    told: Told
    applied: Applied


def ruled(rules: RuleSet, order: ExtOrder, zone: str) -> Ruled:
    """Return what rules make of an order."""
    if not rules.rules:
        return Ruled(order, order)
    made = field_rules.apply(rules.rules, order, zone)
    return Ruled(order, made.order, made.details, made.customer_group, rules.version, made.failed)


async def put(tx: Tx, code: str, rules: Sequence[FieldRule], version: int) -> tuple[int, int]:
    """Have other rules count from now on; `version` is the one they were made from.

    Returns:
        Their version, and how many orders that waited are looked at again.

    Raises:
        SharedByAll, UnknownConnection: as the names say.
        FieldRulesChanged: somebody else was quicker.
        Invalid: rules cannot be as they are.
    """
    found = await connection_of(tx, code)
    refuse(field_rules.check(rules))
    stored = await tx.value(
        field_writes.PUT_RULES,
        {
            "connection_id": found.id,
            "former": version,
            "rules": msgspec.json.encode(list(rules)).decode(),
            "made_by": tx.actor.label,
        },
    )
    if stored is None:
        raise FieldRulesChanged(key=code)
    woken = await tx.values(writes.REPLAY_CAUSE_CAME, {"connection_id": found.id, "cause": CAUSE})
    facts = {"version": stored, "rules": len(rules), "orders": len(woken)}
    await audit.record(tx, action="put_field_rules", entity="connection", entity_id=code, after=facts)
    return stored, len(woken)


async def restore(tx: Tx, code: str, number: int, version: int) -> tuple[int, int]:
    """Have the rules of a former version count again, as a new version; see `put`.

    Raises:
        UnknownFieldRules: there is no such version.
        SharedByAll, UnknownConnection, FieldRulesChanged, Invalid: as `put`.
    """
    found = await connection_of(tx, code)
    former = await field_reads.version(tx, found.id, number)
    if former is None:
        raise UnknownFieldRules(key=number)
    return await put(tx, code, former.rules, version)


async def tried(tx: Tx, code: str, rules: Sequence[FieldRule], most: int = TRIED) -> list[Tried]:
    """Return what the orders that the channel told last would have got by rules; nothing is written.

    Raises:
        SharedByAll, UnknownConnection: as the names say.
        Invalid: rules cannot be as they are.
    """
    found = await connection_of(tx, code)
    refuse(field_rules.check(rules))
    orders = await field_reads.told(tx, found.id, min(most, MOST_TRIED))
    zone = (await retailer.zone(tx)).key
    return [Tried(each, field_rules.apply(rules, each.order, zone)) for each in orders]
