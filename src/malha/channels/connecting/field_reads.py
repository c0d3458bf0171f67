"""Field rules of connections, and the orders on which they are tried."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.channels.connecting.field_rules import FieldRule
from malha.channels.contract import ExtOrder
from malha.platform.db import Tx

# The last entry of the primary key of each.
NEWEST = """
SELECT w.id AS connection_id, r.version, r.rules
FROM unnest(%(connections)s::int[]) AS w(id)
CROSS JOIN LATERAL (SELECT version, rules FROM order_field_rules WHERE connection_id = w.id
                    ORDER BY version DESC LIMIT 1) AS r
"""
VERSIONS = """
SELECT version, rules, made_at, made_by FROM order_field_rules
WHERE connection_id = %(connection_id)s::int ORDER BY version DESC LIMIT %(most)s::int
"""
VERSION = """
SELECT version, rules, made_at, made_by FROM order_field_rules
WHERE connection_id = %(connection_id)s::int AND version = %(version)s::int
"""
# By the index on what was told, backwards; a little more than is shown, since versions of one order are one.
TOLD = """
SELECT payload, state, received_at FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND trust = 'data' AND starts_with(entity, 'order:')
ORDER BY id DESC LIMIT %(most)s::int
"""
# By the index on what is stuck.
HELD = """
SELECT payload, state, received_at FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND state IN ('unmapped', 'parked') AND cause = 'field'
  AND trust = 'data'
ORDER BY id DESC LIMIT %(most)s::int
"""
COUNT_HELD = """
SELECT count(*) FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND state IN ('unmapped', 'parked') AND cause = 'field'
"""

_order = msgspec.json.Decoder(ExtOrder).decode


class RuleSet(msgspec.Struct, frozen=True):
    """The rules of a connection; version 0: there are none yet."""

    version: int
    rules: list[FieldRule]


class FormerFieldRules(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the rules, and who made it."""

    version: int
    rules: list[FieldRule]
    made_at: datetime
    made_by: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a channel told it, and what became of that."""

    order: ExtOrder
    state: str
    received_at: datetime


async def newest(tx: Tx, connections: Sequence[int]) -> dict[int, RuleSet]:
    """Return the rules that count now, of each connection."""
    found = {id_: RuleSet(0, []) for id_ in connections}
    for id_, version, rules in await tx.tuples(NEWEST, {"connections": list(connections)}):
        found[id_] = RuleSet(version, msgspec.convert(rules, list[FieldRule]))
    return found


async def versions(tx: Tx, connection_id: int, most: int = 50) -> list[FormerFieldRules]:
    """Return the versions of a connection's rules, the newest first."""
    return [_former(row) for row in await tx.tuples(VERSIONS, {"connection_id": connection_id, "most": most})]


async def version(tx: Tx, connection_id: int, number: int) -> FormerFieldRules | None:
    """Return one version of a connection's rules."""
    found = await tx.tuples(VERSION, {"connection_id": connection_id, "version": number})
    return _former(found[0]) if found else None


def _former(row: tuple[int, list[dict[str, Any]], datetime, str]) -> FormerFieldRules:
    number, rules, made_at, made_by = row
    read = msgspec.convert(rules, list[FieldRule])
    return FormerFieldRules(version=number, rules=read, made_at=made_at, made_by=made_by)


async def told(tx: Tx, connection_id: int, most: int) -> list[Told]:
    """Return the orders that a channel told last, the newest first, each as it was told last."""
    rows = await tx.tuples(TOLD, {"connection_id": connection_id, "most": most * 3})
    once: dict[str, Told] = {}
    for each in _read(rows):
        once.setdefault(each.order.id, each)
    return list(once.values())[:most]


async def waiting(tx: Tx, connection_id: int) -> int:
    """Return how many orders wait because a rule failed."""
    count: int = await tx.value(COUNT_HELD, {"connection_id": connection_id})
    return count


async def held(tx: Tx, connection_id: int, most: int) -> list[Told]:
    """Return the newest orders that wait because a rule failed."""
    return _read(await tx.tuples(HELD, {"connection_id": connection_id, "most": most}))


def _read(rows: Sequence[tuple[bytes, str, datetime]]) -> list[Told]:
    found = []
    for payload, state, at in rows:
        try:
            found.append(Told(order=_order(payload), state=state, received_at=at))
        except msgspec.DecodeError:  # what another version of Malha kept
            continue
    return found
