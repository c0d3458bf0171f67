"""`Idempotency-Key`: a command sent twice is carried out once, and answered twice with the same reply.

The command and its kept reply are one transaction. "In flight" is a transaction-scoped advisory lock on the key, so it
holds across processes, costs no commit of its own and vanishes with a crashed process; the reply's row is the proof
that the command was carried out. Refusals are not kept: they changed nothing, and the same key may be sent again after
mending.

A command of many transactions keeps in its first one that it is `UNDER_WAY`, and its reply in the last one. Whoever
sends it again meanwhile is told so, and can go on with what a crash cut off.

Replies are kept for `KEEP_HOURS`. They hold identifiers, not personal data and no secrets (see `Work.keep` of the API).
"""

import hashlib

import msgspec

from malha.platform.db import Tx
from malha.platform.errors import Conflict, MalhaError

KEEP_HOURS = 48
MAX_KEY = 200
UNDER_WAY = 102  # the status of what stands in a reply's place until there is one; nobody is answered with it

# Taken before the look-up, in a statement of its own: the next statement's snapshot then sees what the last holder
# committed.
TRY_LOCK = """
SELECT pg_try_advisory_xact_lock(hashtextextended(%(subject)s::text, 7237))
"""

# Primary key look-up.
KEPT_REPLY = """
SELECT operation, body_hash, status, headers, reply
FROM idempotency
WHERE client = %(client)s::text AND key = %(key)s::text AND expires_at > now()
"""

# An expired row of the same key may still be there: it is overwritten. A living one cannot be, the lock is ours.
KEEP_REPLY = """
INSERT INTO idempotency (client, key, operation, body_hash, status, headers, reply, expires_at)
VALUES (%(client)s::text, %(key)s::text, %(operation)s::text, %(body_hash)s::bytea, %(status)s::smallint,
        %(headers)s::json, %(reply)s::bytea, now() + make_interval(hours => %(hours)s::int))
ON CONFLICT (client, key) DO UPDATE
SET operation = excluded.operation, body_hash = excluded.body_hash, status = excluded.status,
    headers = excluded.headers, reply = excluded.reply, at = now(), expires_at = excluded.expires_at
"""

FORGET = "DELETE FROM idempotency WHERE client = %(client)s::text AND key = %(key)s::text"

# By the index on expires_at; in bounded chunks, so that no transaction is long.
DELETE_EXPIRED = """
DELETE FROM idempotency
WHERE (client, key) IN (SELECT client, key FROM idempotency WHERE expires_at < now() LIMIT %(limit)s::int)
"""


class InFlight(Conflict):
    """The same command is being carried out right now, perhaps by another process."""

    code = "in_flight"
    says = "A request with this Idempotency-Key is being carried out."
    mend = "Wait for its answer, or send the same request again in a moment."
    retry_after = 1


class KeyReused(MalhaError):
    """One key names one command: this one came with another body, or for another operation."""

    status = 422
    code = "idempotency_key_reused"
    says = "This Idempotency-Key was used for another request."
    mend = "Use a new key for a new request; repeat a request with exactly the same body."


class KeyTooLong(MalhaError):
    """Keys are stored: they are bounded."""

    status = 422
    code = "idempotency_key_unusable"
    says = "The Idempotency-Key must have 1 to {limit} visible characters."
    mend = "Send a UUID."


class Reply(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Command(msgspec.Struct, frozen=True):
    """One keyed request: who sent it, what it asks, and the hash of its body."""

    client: str
    key: str
    operation: str
    body_hash: bytes


class _Kept(msgspec.Struct, frozen=True):
    operation: str
    body_hash: bytes
    status: int
    headers: dict[str, str]
    reply: bytes


def refuse_key(key: str) -> None:
    """Refuse a key that cannot be one.

    Raises:
        KeyTooLong: the key is empty, too long, or has characters that are not visible ASCII.
    """
    if not 0 < len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise KeyTooLong(limit=MAX_KEY)


def command(client: str, key: str, operation: str, body: bytes) -> Command:
    """Return the identity of a keyed request.

    Raises:
        KeyTooLong: see `refuse_key`.
    """
    refuse_key(key)
    return Command(client, key, operation, hashlib.sha256(body).digest())


async def begin(tx: Tx, asked: Command) -> Reply | None:
    """Claim the key until the end of this transaction; return the kept reply if the command was already carried out.

    A reply that is `UNDER_WAY` says by its headers what was begun.

    Raises:
        InFlight: another transaction holds the key.
        KeyReused: the key was used for another operation or body.
    """
    if not await tx.value(TRY_LOCK, {"subject": f"{tx.retailer}\n{asked.client}\n{asked.key}"}):
        raise InFlight
    kept = await tx.maybe(_Kept, KEPT_REPLY, {"client": asked.client, "key": asked.key})
    if kept is None:
        return None
    if (kept.operation, bytes(kept.body_hash)) != (asked.operation, asked.body_hash):
        raise KeyReused
    return Reply(kept.status, kept.headers, bytes(kept.reply))


async def keep(tx: Tx, asked: Command, reply: Reply) -> None:
    """Store the reply with the command's own writes."""
    await tx.execute(
        KEEP_REPLY,
        {
            "client": asked.client,
            "key": asked.key,
            "operation": asked.operation,
            "body_hash": asked.body_hash,
            "status": reply.status,
            "headers": msgspec.json.encode(reply.headers).decode(),
            "reply": reply.body,
            "hours": KEEP_HOURS,
        },
    )


async def forget(tx: Tx, asked: Command) -> None:
    """Forget a command that was under way and changed nothing: its key may be sent with another one."""
    await tx.execute(FORGET, {"client": asked.client, "key": asked.key})


async def forget_expired(tx: Tx, limit: int = 5_000) -> int:
    """Delete replies past their time, at most `limit`; return how many."""
    return await tx.execute(DELETE_EXPIRED, {"limit": limit})
