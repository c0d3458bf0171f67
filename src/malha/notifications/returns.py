"""What comes back about messages: receipts of gateways, and mail that could not be delivered.

A receipt is about a message by the gateway's reference, or by our own id. One that comes before we know the reference
waits (`message_receipt`) until we do. A bounce marks the message; one that says the address itself is bad silences the
address; the next means is tried either way.
"""

import hmac
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.notifications import service, writes
from malha.notifications.contract import Receipt, Status
from malha.notifications.model import Channel, Means
from malha.platform import signing
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.signing import Keys

_MAC = 8  # bytes: guessing one takes longer than the mail server lives
_RETURN = re.compile(r"\+([0-9a-f]{32})-([0-9a-f]{16})@", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class Done(msgspec.Struct, frozen=True):
    """What became of some receipts."""

    known: int  # about messages of ours
    bounced: int
    kept: int  # about messages we do not know (yet)


async def record_receipts(tx: Tx, channel: Channel, receipts: Sequence[Receipt], means: Means) -> Done:
    """Write down what a gateway reports about messages; each may be reported again."""
    if not receipts:
        return Done(0, 0, 0)
    ids = [_id_in(r.reference) for r in receipts]
    key = {"channel": channel.value, "references": [r.reference for r in receipts], "ids": ids}
    locked = await tx.all(dict, writes.LOCK_RECEIVED, key)
    by_reference: dict[str, dict[str, object]] = {str(row["reference"]): row for row in locked}
    at = await tx.now()
    known = [(by_reference[r.reference], r) for r in receipts if r.reference in by_reference]
    arrived = [(row, r) for row, r in known if r.status is not Status.BOUNCED]
    await tx.execute(
        writes.SET_RECEIVED,
        {
            "ids": [row["id"] for row, _ in arrived],
            "instants": [_moment(r, at) for _, r in arrived],
            "reads": [r.status is Status.READ for _, r in arrived],
        },
    )
    bounced = 0
    for row, receipt in known:
        if receipt.status is Status.BOUNCED:
            bounced += await _bounce(tx, row, receipt, means)
    strangers = [r for r in receipts if r.reference not in by_reference]
    if strangers:
        await tx.execute(
            writes.KEEP_RECEIPTS,
            {
                "channel": channel.value,
                "references": [r.reference for r in strangers],
                "statuses": [r.status.value for r in strangers],
                "instants": [_moment(r, at) for r in strangers],
                "words": [r.words for r in strangers],
                "bad": [r.bad_address for r in strangers],
            },
        )
    return Done(len(known), bounced, len(strangers))


async def apply_waiting(tx: Tx, channel: Channel, reference: str, means: Means) -> None:
    """Apply receipts that came before the reference was known."""
    rows = await tx.tuples(writes.TAKE_RECEIPTS, {"channel": channel.value, "reference": reference})
    waiting = [
        Receipt(reference=reference, status=Status(status), words=words, bad_address=bad, at=at)
        for status, at, words, bad in rows
    ]
    await record_receipts(tx, channel, waiting, means)


async def forget_receipts(tx: Tx) -> int:
    """Forget receipts about messages that never were ours; return how many."""
    return await tx.execute(writes.FORGET_RECEIPTS)


async def _bounce(tx: Tx, row: dict[str, object], receipt: Receipt, means: Means) -> int:
    if not await tx.execute(writes.SET_BOUNCED, {"id": row["id"], "words": receipt.words}):
        return 0
    address = row["address"]
    if receipt.bad_address and isinstance(address, str):
        await service.suppress(tx, Channel(str(row["channel"])), address, "bounced")
    message_id = row["id"]
    assert isinstance(message_id, UUID)  # noqa: S101 -- a column of ids
    await service.try_next(tx, message_id, means)
    return 1


def _moment(receipt: Receipt, at: datetime) -> datetime:
    """Return when it was so; a clock that runs ahead does not count."""
    return min(receipt.at, at) if receipt.at else at


def _id_in(reference: str) -> UUID | None:
    """Return our id in a reference: itself, or before the @ of a Message-ID."""
    found = _ID.search(reference)
    return UUID(found[0]) if found else None


# --- the way back of a mail ---


def return_path(keys: Keys, bounces: str, message_id: UUID) -> str:
    """Return the address a mail comes back to: it names the message and is signed, so nobody can bounce another's."""
    local, _at, domain = bounces.partition("@")
    return f"{local}+{message_id.hex}-{_mac(keys.current, message_id).hex()}@{domain}"


def returned_message(keys: Keys, address: str) -> UUID | None:
    """Return which message an address for bounces is about; None when it was not made here."""
    found = _RETURN.search(address)
    if found is None:
        return None
    message_id, mac = UUID(hex=found[1]), bytes.fromhex(found[2])
    fits = [hmac.compare_digest(_mac(key, message_id), mac) for key in (keys.current, keys.previous) if key]
    return message_id if any(fits) else None


def _mac(key: bytes, message_id: UUID) -> bytes:
    return hmac.digest(signing.derive(key, "return-path"), message_id.bytes, "sha256")[:_MAC]
