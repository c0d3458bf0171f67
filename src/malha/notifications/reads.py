"""Messages as people look at them, and what bears on sending one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.notifications import texts
from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Kind,
    MessageRules,
    Preference,
    State,
    Template,
    Text,
)
from malha.platform.db import Tx
from malha.platform.i18n import LANGUAGES
from malha.platform.ids import UUID

COUNT_LIMIT = 10_000

# Primary keys of a batch of orders and what hangs on them.
CONTACTS = """
SELECT o.id AS order_id, nullif(btrim(o.buyer_email), '') AS email, o.placed_at, o.received_at,
       c.kind = 'marketplace' AS by_channel, coalesce(o.ship_state, l.state) AS state, p.language,
       coalesce(p.declined, '{}'::text[]) AS declined,
       coalesce((SELECT array_agg(s.channel) FROM message_suppression s
                 WHERE s.channel = 'email' AND s.address = lower(btrim(o.buyer_email))), '{}'::text[]) AS suppressed
FROM sales_order o
JOIN channel c ON c.id = o.channel_id
LEFT JOIN location l ON l.id = o.pickup_location_id
LEFT JOIN order_customer k ON k.order_id = o.id
LEFT JOIN message_preference p ON p.customer_id = k.customer_id
WHERE o.id = ANY(%(orders)s::uuid[])
"""
# A handful of rows each.
SWITCHES = "SELECT kind, channel, active FROM message_switch"
RULES = "SELECT quiet_from, quiet_until, kept_days, version FROM message_rules"
# The newest version of each text.
TEMPLATES = """
SELECT DISTINCT ON (kind, channel, language) kind, channel, language, version, subject, body, saved_at, saved_by
FROM message_template
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s::text) AND (%(channel)s::text IS NULL OR channel = %(channel)s::text)
  AND (%(language)s::text IS NULL OR language = %(language)s::text)
ORDER BY kind, channel, language, version DESC
"""
VERSIONS = """
SELECT version, body IS NULL AS is_default, saved_at, saved_by FROM message_template
WHERE kind = %(kind)s::text AND channel = %(channel)s::text AND language = %(language)s::text
ORDER BY version DESC LIMIT 20
"""
VERSION = """
SELECT subject, body FROM message_template
WHERE kind = %(kind)s::text AND channel = %(channel)s::text AND language = %(language)s::text
  AND version = %(version)s::int
"""
ANY_DUE = "SELECT EXISTS (SELECT FROM message WHERE state = 'queued' AND due_at <= now())"
# By the unique key's first column.
OF_ORDER = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.subject, m.body
FROM message m JOIN sales_order o ON o.id = m.order_id WHERE m.order_id = %(order)s::uuid
ORDER BY m.created_at DESC, m.id DESC LIMIT 100
"""
ONE = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.subject, m.body
FROM message m JOIN sales_order o ON o.id = m.order_id WHERE m.id = %(id)s::uuid
"""
# Newest first, by the index on (created_at, id), or on (state, created_at, id) when states are asked for. `orders` and
# `address` narrow to a few rows.
LOG = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.subject, NULL AS body
FROM message m JOIN sales_order o ON o.id = m.order_id
WHERE (%(states)s::text[] IS NULL OR m.state = ANY (%(states)s::text[]))
  AND (%(kind)s::text IS NULL OR m.kind = %(kind)s::text)
  AND (%(orders)s::uuid[] IS NULL OR m.order_id = ANY (%(orders)s::uuid[]))
  AND (%(since)s::timestamptz IS NULL OR m.created_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR m.created_at < %(until)s::timestamptz)
  AND (%(at)s::timestamptz IS NULL OR (m.created_at, m.id) < (%(at)s::timestamptz, %(id)s::uuid))
  AND (%(scope)s::int[] IS NULL OR (
        SELECT true FROM order_unit u WHERE u.order_id = m.order_id AND u.location_id = ANY (%(scope)s::int[]) LIMIT 1))
ORDER BY m.created_at DESC, m.id DESC LIMIT %(limit)s::int
"""
STATE_COUNTS = """
SELECT s.state, (
    SELECT count(*) FROM (SELECT FROM message m WHERE m.state = s.state LIMIT %(most)s::int + 1) capped
)::int
FROM unnest(%(states)s::text[]) s (state)
"""
SUPPRESSED = """
SELECT reason FROM message_suppression WHERE channel = %(channel)s::text AND address = lower(%(address)s::text)
"""
PREFERENCE = """
SELECT language, declined, source, version FROM message_preference WHERE customer_id = %(customer)s::uuid
"""


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as lists and pages show it."""

    id: UUID
    order_id: UUID
    order_number: int
    buyer_name: str
    kind: str
    channel: str
    language: str
    address: str | None
    state: str
    reason: str | None
    answer: str | None
    attempts: int
    due_at: datetime
    created_at: datetime
    done_at: datetime | None
    subject: str | None
    body: str | None


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """When a text was changed and by whom."""

    version: int
    is_default: bool
    saved_at: datetime
    saved_by: str


class LogWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the log shall show."""

    states: tuple[State, ...] = ()
    kind: Kind | None = None
    orders: tuple[UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    scope: tuple[int, ...] | None = None


async def contacts(tx: Tx, orders: Sequence[UUID]) -> dict[UUID, Contact]:
    """Return how the buyers of orders can be reached; orders that do not exist are absent."""
    rows = await tx.all(dict, CONTACTS, {"orders": list(orders)})
    return {row["order_id"]: msgspec.convert(row, Contact) for row in rows}


async def active(tx: Tx) -> dict[Channel, frozenset[Kind]]:
    """Return which kinds go out on which channel: all but those that were switched off."""
    off = {(kind, channel) for kind, channel, on in await tx.tuples(SWITCHES) if not on}
    return {
        channel: frozenset(
            kind for kind, facts in KINDS.items() if facts.always or (kind.value, channel.value) not in off
        )
        for channel in Channel
    }


async def rules(tx: Tx) -> MessageRules:
    """Return when messages rest and how long their words are kept."""
    return await tx.maybe(MessageRules, RULES) or MessageRules()


def default_text(kind: Kind, language: str) -> Text:
    """Return the text that comes with the program."""
    return texts.default_text(kind, language if language in LANGUAGES else LANGUAGES[0])


async def template(tx: Tx, kind: Kind, channel: Channel, language: str) -> Template:
    """Return the text that counts now."""
    found = await tx.maybe(dict, TEMPLATES, {"kind": kind.value, "channel": channel.value, "language": language})
    return _template(kind, channel, language, found)


async def templates(tx: Tx) -> list[Template]:
    """Return every text that counts now, in the order of kinds, channels and languages."""
    rows = await tx.all(dict, TEMPLATES, {"kind": None, "channel": None, "language": None})
    own = {(row["kind"], row["channel"], row["language"]): row for row in rows}
    return [
        _template(kind, channel, language, own.get((kind.value, channel.value, language)))
        for kind in Kind
        for channel in Channel
        for language in LANGUAGES
    ]


def _template(kind: Kind, channel: Channel, language: str, row: dict[str, Any] | None) -> Template:
    if row is None or row["body"] is None:
        text, version = default_text(kind, language), row["version"] if row else 0
    else:
        text, version = Text(row["subject"] or "", row["body"]), row["version"]
    return Template(
        kind=kind,
        channel=channel,
        language=language,
        version=version,
        text=text,
        own=row is not None and row["body"] is not None,
        saved_at=row["saved_at"] if row else None,
        saved_by=row["saved_by"] if row else "",
    )


async def versions(tx: Tx, kind: Kind, channel: Channel, language: str) -> list[VersionRow]:
    """Return the last twenty versions of a text, newest first."""
    key = {"kind": kind.value, "channel": channel.value, "language": language}
    return await tx.all(VersionRow, VERSIONS, key)


async def text_of_version(tx: Tx, kind: Kind, channel: Channel, language: str, version: int) -> Text | None:
    """Return an older text; None when there is no such version."""
    key = {"kind": kind.value, "channel": channel.value, "language": language, "version": version}
    found = await tx.tuples(VERSION, key)
    if not found:
        return None
    subject, body = found[0]
    return default_text(kind, language) if body is None else Text(subject or "", body)


async def any_due(tx: Tx) -> bool:
    """Tell whether a message waits whose time has come."""
    return bool(await tx.value(ANY_DUE))


async def of_order(tx: Tx, order_id: UUID) -> list[MessageRow]:
    """Return the messages about an order, newest first, at most 100."""
    return await tx.all(MessageRow, OF_ORDER, {"order": order_id})


async def one(tx: Tx, message_id: UUID) -> MessageRow | None:
    """Return a message with its words."""
    return await tx.maybe(MessageRow, ONE, {"id": message_id})


async def log(
    tx: Tx, wanted: LogWanted, *, after: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[MessageRow]:
    """Return messages, newest first, without their words."""
    return await tx.all(
        MessageRow,
        LOG,
        {
            "states": [s.value for s in wanted.states] or None,
            "kind": wanted.kind.value if wanted.kind else None,
            "orders": None if wanted.orders is None else list(wanted.orders),
            "since": wanted.since,
            "until": wanted.until,
            "scope": None if wanted.scope is None else list(wanted.scope),
            "at": after and after[0],
            "id": after and after[1],
            "limit": limit,
        },
    )


async def counts(tx: Tx) -> dict[State, int]:
    """Return how many messages are in each state, at most `COUNT_LIMIT + 1` each."""
    rows = await tx.tuples(STATE_COUNTS, {"states": [s.value for s in State], "most": COUNT_LIMIT})
    return {State(state): count for state, count in rows}


async def suppressed(tx: Tx, channel: Channel, address: str) -> str | None:
    """Return why an address takes no messages, or None when it does."""
    reason: str | None = await tx.value(SUPPRESSED, {"channel": channel.value, "address": address})
    return reason


async def preference(tx: Tx, customer_id: UUID) -> Preference:
    """Return what a customer wants; nothing special when nobody said so."""
    found = await tx.maybe(dict, PREFERENCE, {"customer": customer_id})
    return msgspec.convert(found, Preference) if found else Preference()
