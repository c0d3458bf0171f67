"""Messages as people look at them, and what bears on sending one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.notifications import rules as decisions
from malha.notifications import texts
from malha.notifications.gateways import Gateway
from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Kind,
    Means,
    MessageRules,
    Preference,
    Purpose,
    Route,
    State,
    Teller,
    Template,
    Text,
)
from malha.platform import brazil
from malha.platform.db import Tx
from malha.platform.i18n import LANGUAGES
from malha.platform.ids import UUID
from malha.platform.mail import MailAddressWrong, clean_address

COUNT_LIMIT = 10_000

# Primary keys of a batch of orders and what hangs on them; the ledger of consents and open holds by their indexes.
CONTACTS = """
SELECT o.id AS order_id, nullif(btrim(o.buyer_email), '') AS email, nullif(btrim(o.buyer_phone), '') AS phone,
       o.placed_at, o.received_at, coalesce(o.ship_state, l.state) AS state, p.language,
       coalesce(t.teller, CASE WHEN c.kind = 'marketplace' THEN 'channel' ELSE 'us' END) AS teller,
       coalesce(p.declined, '{}'::text[]) AS declined,
       coalesce((
           SELECT array_agg(channel) FROM (
               SELECT DISTINCT ON (channel) channel, given FROM message_consent
               WHERE customer_id = k.customer_id AND purpose = 'transactional' ORDER BY channel, at DESC, id DESC
           ) newest WHERE given), '{}'::text[]) AS agreed,
       o.status = 'cancelled' AS cancelled,
       ARRAY(SELECT h.kind FROM order_hold h WHERE h.order_id = o.id AND h.resolved_at IS NULL) AS holds
FROM sales_order o
JOIN channel c ON c.id = o.channel_id
LEFT JOIN message_teller t ON t.channel_id = c.id
LEFT JOIN location l ON l.id = o.pickup_location_id
LEFT JOIN order_customer k ON k.order_id = o.id
LEFT JOIN message_preference p ON p.customer_id = k.customer_id
WHERE o.id = ANY(%(orders)s::uuid[])
"""
# Primary key.
SUPPRESSIONS = """
SELECT s.channel, s.address FROM message_suppression s
JOIN unnest(%(channels)s::text[], %(addresses)s::text[]) AS w (channel, address)
  ON s.channel = w.channel AND s.address = w.address
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
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.delivered_at, m.read_at, m.rank, m.subject,
       m.body
FROM message m JOIN sales_order o ON o.id = m.order_id WHERE m.order_id = %(order)s::uuid
ORDER BY m.created_at DESC, m.id DESC LIMIT 100
"""
ONE = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.delivered_at, m.read_at, m.rank, m.subject,
       m.body
FROM message m JOIN sales_order o ON o.id = m.order_id WHERE m.id = %(id)s::uuid
"""
# Newest first, by the index on (created_at, id), or on (state, created_at, id) when states are asked for. `orders` and
# `address` narrow to a few rows.
LOG = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.delivered_at, m.read_at, m.rank, m.subject,
       NULL AS body
FROM message m JOIN sales_order o ON o.id = m.order_id
WHERE (%(states)s::text[] IS NULL OR m.state = ANY (%(states)s::text[]))
  AND (%(kind)s::text IS NULL OR m.kind = %(kind)s::text)
  AND (%(orders)s::uuid[] IS NULL OR m.order_id = ANY (%(orders)s::uuid[]))
  AND (%(ids)s::uuid[] IS NULL OR m.id = ANY (%(ids)s::uuid[]))
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
# A handful of rows each.
GATEWAY = """
SELECT channel, active, config, secret, receipt_secret, version FROM message_gateway
WHERE channel = %(channel)s::text
"""
READY = """
SELECT channel, coalesce((config ->> 'needs_consent')::bool, false) FROM message_gateway
WHERE active AND channel <> 'email'
"""
ROUTES = "SELECT kind, means, every, version FROM message_route"
TELLER_OF = """
SELECT coalesce(t.teller, CASE WHEN c.kind = 'marketplace' THEN 'channel' ELSE 'us' END)
FROM channel c LEFT JOIN message_teller t ON t.channel_id = c.id WHERE c.id = %(channel)s::int
"""
TELLER_OF_ORDER = """
SELECT coalesce(t.teller, CASE WHEN c.kind = 'marketplace' THEN 'channel' ELSE 'us' END)
FROM sales_order o JOIN channel c ON c.id = o.channel_id LEFT JOIN message_teller t ON t.channel_id = c.id
WHERE o.id = %(order)s::uuid
"""
# By the index on (customer_id, purpose, channel, at, id).
CONSENTS = """
SELECT purpose, channel, given, source, proof, at, recorded_at, recorded_by FROM message_consent
WHERE customer_id = %(customer)s::uuid ORDER BY at DESC, id DESC LIMIT %(limit)s::int
"""
STANDING = """
SELECT DISTINCT ON (purpose, channel) purpose, channel, given FROM message_consent
WHERE customer_id = %(customer)s::uuid ORDER BY purpose, channel, at DESC, id DESC
"""
# The messages of all orders of a customer: the index on a customer's orders, then the unique key's first column.
OF_CUSTOMER = """
SELECT m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.language, m.address, m.state,
       m.reason, m.answer, m.attempts, m.due_at, m.created_at, m.done_at, m.delivered_at, m.read_at, m.rank, m.subject,
       NULL AS body
FROM order_customer k JOIN message m ON m.order_id = k.order_id JOIN sales_order o ON o.id = m.order_id
WHERE k.customer_id = %(customer)s::uuid
  AND (%(scope)s::int[] IS NULL OR EXISTS (
      SELECT FROM order_unit u WHERE u.order_id = m.order_id AND u.location_id = ANY (%(scope)s::int[])))
ORDER BY m.created_at DESC, m.id DESC LIMIT %(limit)s::int
"""
# The number of one of these customers who was erased for good. Primary keys.
ERASED = """
SELECT c.number FROM customer_erasure e JOIN customer c ON c.id = e.customer_id
WHERE e.customer_id = ANY (%(customers)s::uuid[]) LIMIT 1
"""
CUSTOMER_OF_ORDER = """
SELECT k.customer_id FROM order_customer k WHERE k.order_id = %(order)s::uuid
  AND NOT EXISTS (SELECT FROM customer_erasure e WHERE e.customer_id = k.customer_id)
"""
# News of a loss that reached nobody: the last means that was tried failed for good. By the index on (state, created_at,
# id), or of one order by the unique one; what is older than two weeks is settled otherwise.
UNTOLD = """
SELECT DISTINCT ON (m.order_id) m.id, m.order_id, o.number AS order_number, o.buyer_name, m.kind, m.channel, m.reason,
       m.created_at
FROM message m JOIN sales_order o ON o.id = m.order_id
WHERE m.state IN ('refused', 'failed', 'bounced', 'skipped') AND m.kind = ANY (%(kinds)s::text[])
  AND m.created_at > now() - interval '14 days' AND coalesce(m.reason, '') NOT IN ('told_by_channel', 'not_configured',
                                                                                              'overtaken')
  AND NOT EXISTS (SELECT FROM message later WHERE later.order_id = m.order_id AND later.event_seq = m.event_seq
                  AND later.kind = m.kind AND later.state IN ('queued', 'sending', 'sent', 'uncertain'))
  AND (%(order)s::uuid IS NULL OR m.order_id = %(order)s::uuid)
  AND (%(scope)s::int[] IS NULL OR EXISTS (
      SELECT FROM order_unit u WHERE u.order_id = m.order_id AND u.location_id = ANY (%(scope)s::int[])))
ORDER BY m.order_id, m.created_at DESC LIMIT %(limit)s::int
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
    delivered_at: datetime | None
    read_at: datetime | None
    rank: int
    subject: str | None
    body: str | None


class GatewayRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a gateway is described; secrets are sealed."""

    channel: Channel
    active: bool
    gateway: Gateway
    secret: bytes | None
    receipt_secret: bytes | None
    version: int


class ConsentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger of consents."""

    purpose: str
    channel: str
    given: bool
    source: str
    proof: str
    at: datetime
    recorded_at: datetime
    recorded_by: str


class UntoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """News of a loss that reached nobody."""

    id: UUID
    order_id: UUID
    order_number: int
    buyer_name: str
    kind: str
    channel: str
    reason: str | None
    created_at: datetime


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
    ids: tuple[UUID, ...] | None = None


async def contacts(tx: Tx, orders: Sequence[UUID]) -> dict[UUID, Contact]:
    """Return how the buyers of orders can be reached; orders that do not exist are absent.

    Addresses are as they go on the wire; one that nothing can be sent to is none.
    """
    found = []
    for row in await tx.all(dict, CONTACTS, {"orders": list(orders)}):
        contact = msgspec.convert(row, Contact)
        phone = brazil.normalise_phone(contact.phone) if contact.phone else None
        found.append(msgspec.structs.replace(contact, email=_mailable(contact.email), phone=phone))
    asked = [(c, channel, a.lower()) for c in found for channel in Channel if (a := c.address(channel))]
    key = {"channels": [channel.value for _, channel, _ in asked], "addresses": [a for _, _, a in asked]}
    silent = set(await tx.tuples(SUPPRESSIONS, key)) if asked else set()
    of_order: dict[UUID, list[str]] = {}
    for contact, channel, address in asked:
        if (channel.value, address) in silent:
            of_order.setdefault(contact.order_id, []).append(channel.value)
    return {c.order_id: msgspec.structs.replace(c, suppressed=tuple(of_order.get(c.order_id, ()))) for c in found}


def _mailable(email: str | None) -> str | None:
    try:
        return clean_address(email) if email else None
    except MailAddressWrong:
        return None


async def active(tx: Tx) -> frozenset[Kind]:
    """Return which kinds go out: all but those that were switched off."""
    off = {kind for kind, channel, on in await tx.tuples(SWITCHES) if not on and channel == Channel.EMAIL}
    return frozenset(kind for kind, facts in KINDS.items() if facts.always or kind.value not in off)


async def ready_gateways(tx: Tx) -> dict[Channel, bool]:
    """Return the gateways that are in use, and whether each is only for people who said yes."""
    return {Channel(channel): bool(consent) for channel, consent in await tx.tuples(READY)}


async def means(tx: Tx, *, mail: bool) -> Means:
    """Return which means can be used now; `mail` says whether a mail server is set up."""
    gateways = await ready_gateways(tx)
    ready = {*gateways, Channel.EMAIL} if mail else set(gateways)
    return Means(ready=frozenset(ready), needing_consent=frozenset(c for c, consent in gateways.items() if consent))


async def routes(tx: Tx) -> dict[str, Route]:
    """Return by which means kinds are told, where somebody said so; `*` is every other kind."""
    return {
        kind: Route(means=tuple(Channel(c) for c in means_), every=every, version=version)
        for kind, means_, every, version in await tx.tuples(ROUTES)
    }


def route_of(found: Mapping[str, Route], kind: Kind) -> Route:
    """Return by which means a kind is told."""
    return found.get(kind.value) or found.get("*") or Route()


async def gateway(tx: Tx, channel: Channel) -> GatewayRow | None:
    """Return how a gateway is described, its secrets sealed; None when it never was."""
    row = await tx.maybe(dict, GATEWAY, {"channel": channel.value})
    if row is None:
        return None
    return GatewayRow(
        channel=channel,
        active=row["active"],
        gateway=msgspec.convert(row["config"], Gateway),
        secret=None if row["secret"] is None else bytes(row["secret"]),
        receipt_secret=None if row["receipt_secret"] is None else bytes(row["receipt_secret"]),
        version=row["version"],
    )


async def teller(tx: Tx, channel_id: int) -> Teller:
    """Return who tells the buyers of a sales channel."""
    return Teller(await tx.value(TELLER_OF, {"channel": channel_id}))


async def teller_of_order(tx: Tx, order_id: UUID) -> Teller:
    """Return who tells the buyer of an order."""
    return Teller(await tx.value(TELLER_OF_ORDER, {"order": order_id}))


async def consents(tx: Tx, customer_id: UUID, limit: int = 100) -> list[ConsentRow]:
    """Return what a customer agreed to and took back, newest first."""
    return await tx.all(ConsentRow, CONSENTS, {"customer": customer_id, "limit": limit})


async def standing(tx: Tx, customer_id: UUID) -> dict[tuple[Purpose, Channel], bool]:
    """Return what counts now of what a customer said; what they never spoke of is absent."""
    rows = await tx.tuples(STANDING, {"customer": customer_id})
    return {(Purpose(purpose), Channel(channel)): given for purpose, channel, given in rows}


async def of_customer(
    tx: Tx, customer_id: UUID, scope: Sequence[int] | None = None, limit: int = 100
) -> list[MessageRow]:
    """Return the messages about all orders of a customer, newest first."""
    key = {"customer": customer_id, "scope": None if scope is None else list(scope), "limit": limit}
    return await tx.all(MessageRow, OF_CUSTOMER, key)


async def customer_of(tx: Tx, order_id: UUID) -> UUID | None:
    """Return whose order it is, as far as that is known; nobody's, of somebody who was erased."""
    found: UUID | None = await tx.value(CUSTOMER_OF_ORDER, {"order": order_id})
    return found


async def untold(
    tx: Tx, *, order_id: UUID | None = None, scope: Sequence[int] | None = None, limit: int = 100
) -> list[UntoldRow]:
    """Return orders whose customer did not hear of a loss because no address works: somebody must find another."""
    key = {
        "kinds": [kind.value for kind, facts in KINDS.items() if facts.always],
        "order": order_id,
        "scope": None if scope is None else list(scope),
        "limit": limit,
    }
    return await tx.all(UntoldRow, UNTOLD, key)


async def rules(tx: Tx) -> MessageRules:
    """Return when messages rest and how long their words are kept."""
    return await tx.maybe(MessageRules, RULES) or MessageRules()


def default_text(kind: Kind, language: str, channel: Channel = Channel.EMAIL) -> Text:
    """Return the text that comes with the program."""
    return texts.default_text(kind, language if language in LANGUAGES else LANGUAGES[0], channel)


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
        text, version = default_text(kind, language, channel), row["version"] if row else 0
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
    return default_text(kind, language, channel) if body is None else Text(subject or "", body)


async def any_due(tx: Tx) -> bool:
    """Tell whether a message waits whose time has come."""
    return bool(await tx.value(ANY_DUE))


async def of_order(tx: Tx, order_id: UUID) -> list[MessageRow]:
    """Return the messages about an order, newest first, at most 100."""
    return [_without_keys(row) for row in await tx.all(MessageRow, OF_ORDER, {"order": order_id})]


async def one(tx: Tx, message_id: UUID) -> MessageRow | None:
    """Return a message with its words."""
    row = await tx.maybe(MessageRow, ONE, {"id": message_id})
    return None if row is None else _without_keys(row)


def _without_keys(row: MessageRow) -> MessageRow:
    """Words of long ago were kept with their links."""
    return msgspec.structs.replace(row, body=decisions.without_keys(row.body)) if row.body else row


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
            "ids": None if wanted.ids is None else list(wanted.ids),
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
