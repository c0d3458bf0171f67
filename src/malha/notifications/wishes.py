"""Use cases of wishes and consent: what a customer wants to hear, by which means, and how we know.

The ledger (`message_consent`) only grows: every yes and every no stays, with its source and its proof. What counts is
the newest word on each purpose and means. Wishes about news of orders are kept beside it in `message_preference`,
which follows the ledger, because every message asks for them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from malha.customers.errors import CustomerErased
from malha.customers.merging import living
from malha.notifications import reads, writes
from malha.notifications.model import Channel, Consent, ConsentSource, Preference, Purpose
from malha.platform import audit, signing
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import LANGUAGES, N_, Word
from malha.platform.ids import UUID, new_id
from malha.platform.signing import Keys, TokenWrong

SOURCE_LENGTH = 200
PROOF_LENGTH = 1_000
MOST_AT_ONCE = 1_000
PATH = "/wishes/"
PURPOSE = "wishes"
DAYS = 365
_encode = msgspec.json.Encoder().encode
_CHANNELS = tuple(Channel)


async def record_consents(tx: Tx, customer_id: UUID, consents: Sequence[Consent]) -> int:
    """Write down what a customer agreed to or took back; return how many were new.

    One that was brought before under its key is not written again.

    Raises:
        Invalid: a proof is too long, a time is to come or has no zone, a key is no text, or there are too many.
        CustomerErased: there is nobody any more who could want something.
    """
    return await record_many(tx, [(customer_id, consent) for consent in consents])


async def record_many(tx: Tx, consents: Sequence[tuple[UUID, Consent]]) -> int:
    """As `record_consents`, for several customers. Of one that went into another since, it is that one's."""
    if len(consents) > MOST_AT_ONCE:
        says = N_("There are {count} consents, more than {most}.")
        facts = {"count": len(consents), "most": MOST_AT_ONCE}
        refuse([Flaw("items", says, N_("Send them in parts."), facts)])
    soon = await tx.now() + timedelta(minutes=5)
    flaws = []
    for n, (_customer, consent) in enumerate(consents):
        if len(consent.proof) > PROOF_LENGTH or "\x00" in consent.proof:
            says = N_("A proof has at most {most} characters.")
            flaws.append(Flaw(f"items/{n}/proof", says, facts={"most": PROOF_LENGTH}))
        if consent.at is not None and (consent.at.tzinfo is None or consent.at > soon):
            flaws.append(Flaw(f"items/{n}/at", N_("Consent is given in the past, at a time with its zone.")))
        if consent.key is not None and not 0 < len(consent.key) <= SOURCE_LENGTH:
            flaws.append(Flaw(f"items/{n}/key", N_("A key has between 1 and 200 characters.")))
    refuse(flaws)
    if not consents:
        return 0
    led = await living(tx, {customer for customer, _consent in consents})
    consents = [(led[customer], consent) for customer, consent in consents]
    erased = await tx.value(reads.ERASED, {"customers": sorted(led.values())})
    if erased is not None:
        raise CustomerErased(number=erased)
    rows = [
        {
            "id": new_id(),
            "customer_id": customer,
            "purpose": c.purpose,
            "channel": c.channel,
            "given": c.given,
            "source": c.source,
            "proof": c.proof,
            "at": c.at,
            "key": c.key,
        }
        for customer, c in consents
    ]
    key = {"rows": _encode(rows).decode(), "by": tx.actor.label}
    new = len(await tx.values(writes.ADD_CONSENTS, key))
    customers = sorted({customer for customer, c in consents if c.purpose is Purpose.TRANSACTIONAL})
    if new and customers:
        await tx.execute(writes.FOLLOW_CONSENTS, {"customers": customers, "source": consents[-1][1].source.value})
    return new


async def set_wishes(
    tx: Tx,
    customer_id: UUID,
    wanted: Mapping[tuple[Purpose, Channel], bool],
    *,
    source: ConsentSource,
    proof: str = "",
) -> int:
    """Write down what differs from what a customer wanted so far; return how much that is.

    News of orders are wanted until somebody says no, offers are not until somebody says yes.
    """
    customer_id = (await living(tx, [customer_id]))[customer_id]
    standing = await reads.standing(tx, customer_id)
    changed = [
        Consent(purpose=purpose, channel=channel, given=given, source=source, proof=proof)
        for (purpose, channel), given in wanted.items()
        if given is not standing.get((purpose, channel), purpose is Purpose.TRANSACTIONAL)
    ]
    return await record_consents(tx, customer_id, changed)


async def set_preference(
    tx: Tx, customer_id: UUID, *, language: str | None, declined: Sequence[Channel], source: str, version: int
) -> Preference:
    """Write down what a customer wants and how we know, if what is known still has `version` (0: nothing).

    What changes about a means is added to the ledger, with `source` as its proof.

    Raises:
        Invalid: there are no texts in the language, or the source is empty or too long.
        Conflict: somebody else changed it meanwhile.
        CustomerErased: there is nobody any more who could want something.
    """
    flaws = []
    if language is not None and language not in LANGUAGES:
        flaws.append(Flaw("language", N_("Messages are written in Portuguese or English.")))
    if not 0 < len(source.strip()) <= SOURCE_LENGTH:
        flaws.append(Flaw("source", N_("Say in up to 200 characters how the customer said so.")))
    refuse(flaws)
    customer_id = (await living(tx, [customer_id]))[customer_id]
    erased = await tx.value(reads.ERASED, {"customers": [customer_id]})
    if erased is not None:
        raise CustomerErased(number=erased)
    before = await reads.preference(tx, customer_id)
    row = {
        "customer": customer_id,
        "language": language,
        "declined": sorted({channel.value for channel in declined}),
        "source": source.strip(),
        "version": version,
    }
    if not await tx.execute(writes.SET_PREFERENCE if version else writes.PUT_PREFERENCE, row):
        raise Conflict(what=Word(N_("customer")), key=customer_id)
    changed = [
        Consent(
            purpose=Purpose.TRANSACTIONAL,
            channel=channel,
            given=channel not in declined,
            source=ConsentSource.API if tx.actor.kind == "key" else ConsentSource.CONSOLE,
            proof=source.strip(),
        )
        for channel in Channel
        if (channel in declined) is not (channel in before.declined)
    ]
    await record_consents(tx, customer_id, changed)
    after = await reads.preference(tx, customer_id)
    await audit.record(
        tx, action="change", entity="message_preference", entity_id=customer_id, before=before, after=after
    )
    return after


# --- the link in every message ---


def wishes_path(keys: Keys, order_id: UUID, channel: Channel, *, at: datetime) -> str:
    """Return the path under which the buyer of an order changes what they want to get, signed, for a year."""
    until = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=DAYS + 1)
    payload = order_id.bytes + bytes([_CHANNELS.index(channel)])
    return PATH + signing.sign(keys, PURPOSE, payload, until=until)


def wished_order(keys: Keys, token: str, *, at: datetime) -> tuple[UUID, Channel]:
    """Return whose wishes a token is for, by the order, and by which means it came.

    Raises:
        TokenWrong: it was not made here, or for something else.
        TokenExpired: its days are over.
    """
    payload = signing.read(keys, PURPOSE, token, at=at)
    if len(payload) != 17 or payload[16] >= len(_CHANNELS):
        raise TokenWrong
    return UUID(bytes=payload[:16]), _CHANNELS[payload[16]]
