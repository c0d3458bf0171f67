"""Use cases of messages: write down what is to be told, take one up, say how it ended, and what a person may do.

**At most once.** A message's row is written in the transaction of the event's checkpoint, one for each event, kind and
channel. To send it, a process commits `sending`, hands the message over, and commits the outcome. Dies it between the
two, nobody knows whether the message left: after `INTERRUPTED_AFTER` it is `uncertain`, is not repeated by itself, and
waits on the list of messages for a person, who asks the customer and may send it again.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any

import msgspec

from malha.network import retailer
from malha.network.places import STATE_ZONES
from malha.notifications import reads, rules, writes
from malha.notifications.errors import (
    AddressSilent,
    KindAlways,
    MessageForgotten,
    MessageNotFound,
    MessageOnItsWay,
    NotBounceable,
)
from malha.notifications.model import (
    KINDS,
    REPEATABLE,
    Channel,
    Claimed,
    Contact,
    Draft,
    Kind,
    MessageRules,
    Preference,
    Rendered,
    State,
    Template,
    Text,
    Told,
)
from malha.platform import audit
from malha.platform.brazil import mask_email
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import DEFAULT_ZONE, LANGUAGES, N_, Word
from malha.platform.ids import UUID, new_id
from malha.platform.mail import MailAddressWrong, clean_address

INTERRUPTED_AFTER = timedelta(minutes=5)
FORGET_AT_ONCE = 2_000
SOURCE_LENGTH = 200
_encode = msgspec.json.Encoder().encode


# --- what is to be told ---


async def queue(tx: Tx, told: Sequence[Told]) -> int:
    """Write down what is to be told to the buyers of orders; return how many messages wait to be sent.

    What was written before for the same event, kind and channel stays as it is.
    """
    if not told:
        return 0
    contacts = await reads.contacts(tx, sorted({t.order_id for t in told}))
    channels = await reads.active(tx)
    resting = await reads.rules(tx)
    shop = await retailer.current(tx)
    at = await tx.now()
    drafts = [
        draft
        for t in told
        if (contact := contacts.get(t.order_id)) is not None
        for channel, kinds in channels.items()
        if t.kind in kinds
        and (
            draft := rules.plan_message(
                t,
                _reachable(contact),
                channel,
                _language(contact, shop.languages),
                resting,
                at=at,
                zone=STATE_ZONES.get(contact.state or "", shop.timezone or DEFAULT_ZONE),
            )
        )
    ]
    if drafts:
        await tx.execute(writes.ADD_MESSAGES, {"rows": _encode([_row(d) for d in drafts]).decode()})
    return sum(d.state is State.QUEUED for d in drafts)


def _language(contact: Contact, shop: Sequence[str]) -> str:
    return next((x for x in (contact.language, *shop) if x in LANGUAGES), LANGUAGES[0])


def _reachable(contact: Contact) -> Contact:
    """Return the contact without a mail address that no mail can be sent to."""
    if contact.email is None:
        return contact
    try:
        return msgspec.structs.replace(contact, email=clean_address(contact.email))
    except MailAddressWrong:
        return msgspec.structs.replace(contact, email=None)


def _row(draft: Draft) -> dict[str, Any]:
    return {
        "id": new_id(),
        "order_id": draft.told.order_id,
        "event_seq": draft.told.event_seq,
        "kind": draft.told.kind,
        "channel": draft.channel,
        "language": draft.language,
        "address": draft.address,
        "facts": dict(draft.told.facts),
        "state": draft.state,
        "reason": draft.reason,
        "due_at": draft.due_at,
    }


# --- sending ---


async def claim(tx: Tx) -> Claimed | None:
    """Take up the message that is due longest; None when there is none. Commit before it is sent."""
    found = await tx.maybe(dict, writes.CLAIM)
    return None if found is None else msgspec.convert(found, Claimed)


async def keep_words(tx: Tx, message_id: UUID, rendered: Rendered) -> None:
    """Keep what is about to be said."""
    words = {"id": message_id, "subject": rendered.subject, "body": rendered.text}
    await tx.execute(writes.SET_WORDS, words)


async def record_outcome(
    tx: Tx, message: Claimed, state: State, *, reason: str | None = None, answer: str | None = None
) -> None:
    """Say how sending a message ended. `QUEUED` is "not now": it is tried again later, or given up after the last try.

    A refusal that says the address itself is bad silences the address.
    """
    due_at = None
    if state is State.QUEUED:
        due_at = rules.next_attempt(message.attempts, await tx.now())
        if due_at is None:
            state, reason = State.FAILED, "attempts"
    # Servers like to repeat the address; the log shows it masked.
    shown = (
        re.sub(re.escape(message.address), mask_email(message.address), answer, flags=re.IGNORECASE) if answer else None
    )
    facts = {"id": message.id, "state": state.value, "reason": reason, "answer": shown, "due_at": due_at}
    await tx.execute(writes.SET_OUTCOME, facts)
    if state is State.REFUSED and rules.is_bad_address(answer or ""):
        await _suppress(tx, message.channel, message.address, "refused")


async def give_up_interrupted(tx: Tx) -> int:
    """Declare messages uncertain whose process went away while it sent them; return how many."""
    return len(await tx.values(writes.GIVE_UP_SENDING, {"after": INTERRUPTED_AFTER}))


async def skip_unconfigured(tx: Tx, channel: Channel) -> int:
    """Let what is due on a channel that is not set up rest for good; return how many."""
    return await tx.execute(writes.SKIP_DUE, {"channel": channel.value, "reason": "not_configured"})


async def forget_words(tx: Tx) -> int:
    """Forget addresses and words of old messages, some at a time; return of how many."""
    kept = await reads.rules(tx)
    return await tx.execute(writes.FORGET_WORDS, {"days": kept.kept_days, "limit": FORGET_AT_ONCE})


# --- what a person may do ---


async def send_again(tx: Tx, message_id: UUID) -> None:
    """Have a message sent again at once, to the address it has. The text is written anew.

    Raises:
        MessageNotFound, MessageOnItsWay, MessageForgotten, AddressSilent: what the names say.
    """
    found = await _locked(tx, message_id)
    if State(found["state"]) not in REPEATABLE:
        raise MessageOnItsWay
    if not found["address"]:
        raise MessageForgotten
    if await reads.suppressed(tx, Channel(found["channel"]), found["address"]):
        raise AddressSilent
    await tx.execute(writes.REQUEUE, {"id": message_id})
    await audit.record(
        tx, action="send_again", entity="message", entity_id=message_id, before={"state": found["state"]}
    )


async def mark_bounced(tx: Tx, message_id: UUID) -> None:
    """Write down that a message came back; its address gets no more messages on that channel.

    Raises:
        MessageNotFound: there is no such message.
        NotBounceable: it was never sent.
        MessageForgotten: its address was forgotten.
    """
    found = await _locked(tx, message_id)
    if State(found["state"]) not in {State.SENT, State.UNCERTAIN}:
        raise NotBounceable
    if not found["address"]:
        raise MessageForgotten
    key = {"channel": found["channel"], "address": found["address"], "id": message_id}
    await tx.execute(writes.SET_BOUNCED, key)
    await _suppress(tx, Channel(found["channel"]), found["address"], "bounced")
    await audit.record(tx, action="mark_bounced", entity="message", entity_id=message_id)


async def lift_suppression(tx: Tx, message_id: UUID) -> None:
    """Let the address of a message take messages again.

    Raises:
        MessageNotFound, MessageForgotten: there is no such message, or no address any more.
    """
    found = await _locked(tx, message_id)
    if not found["address"]:
        raise MessageForgotten
    key = {"channel": found["channel"], "address": found["address"]}
    if await tx.execute(writes.LIFT_SUPPRESSION, key):
        await audit.record(tx, action="lift_suppression", entity="message", entity_id=message_id)


async def _locked(tx: Tx, message_id: UUID) -> dict[str, Any]:
    found = await tx.maybe(dict, writes.LOCK_MESSAGE, {"id": message_id})
    if found is None:
        raise MessageNotFound(key=message_id)
    return found


async def _suppress(tx: Tx, channel: Channel, address: str, reason: str) -> None:
    key = {"channel": channel.value, "address": address, "reason": reason, "by": tx.actor.label}
    await tx.execute(writes.SUPPRESS, key)


# --- texts, switches, rules ---


async def save_template(tx: Tx, kind: Kind, channel: Channel, language: str, text: Text, *, version: int) -> Template:
    """Save a text as the next version, if `version` is still the newest; return it.

    Raises:
        Invalid: a placeholder is unknown or misplaced, or a part is empty or too long.
        Conflict: somebody else saved one meanwhile.
    """
    text = Text(text.subject.strip(), text.body.replace("\r\n", "\n").strip())
    refuse(rules.check_text(kind, text))
    return await _add_version(tx, kind, channel, language, text, version)


async def reset_template(tx: Tx, kind: Kind, channel: Channel, language: str, *, version: int) -> Template:
    """Go back to the text that comes with the program; the own one stays among the versions.

    Raises:
        Conflict: somebody else saved one meanwhile.
    """
    return await _add_version(tx, kind, channel, language, None, version)


async def _add_version(
    tx: Tx, kind: Kind, channel: Channel, language: str, text: Text | None, version: int
) -> Template:
    if language not in LANGUAGES:
        refuse([Flaw("language", N_("Messages are written in Portuguese or English."))])
    before = await reads.template(tx, kind, channel, language)
    row = {
        "kind": kind.value,
        "channel": channel.value,
        "language": language,
        "version": version + 1,
        "subject": text.subject if text else None,
        "body": text.body if text else None,
        "by": tx.actor.name,
    }
    if before.version != version or not await tx.execute(writes.ADD_TEMPLATE, row):
        raise Conflict(what=Word(N_("text")), key=f"{kind.value}/{channel.value}/{language}")
    after = await reads.template(tx, kind, channel, language)
    await audit.record(
        tx,
        action="change",
        entity="message_template",
        entity_id=f"{kind.value}/{channel.value}/{language}",
        before=before.text,
        after=after.text,
    )
    return after


async def switch(tx: Tx, kind: Kind, channel: Channel, *, on: bool) -> None:
    """Say whether a kind goes out on a channel.

    Raises:
        KindAlways: mail about cancelled and late orders, and refused parts of them, always goes out.
    """
    if not on and KINDS[kind].always:
        raise KindAlways(kind=Word(KINDS[kind].word))
    await tx.execute(writes.SET_SWITCH, {"kind": kind.value, "channel": channel.value, "active": on})
    await audit.record(
        tx, action="switch", entity="message_kind", entity_id=f"{kind.value}/{channel.value}", after={"on": on}
    )


async def change_rules(tx: Tx, *, quiet_from: time, quiet_until: time, kept_days: int, version: int) -> MessageRules:
    """Change the quiet hours and how long words are kept, if the rules still have `version` (0: never changed).

    Raises:
        Invalid: the days are not between 1 and 3650.
        Conflict: somebody else changed them meanwhile.
    """
    if not 1 <= kept_days <= 3650:
        refuse([Flaw("kept_days", N_("Keep messages for 1 to 3650 days."))])
    before = await reads.rules(tx)
    row: Mapping[str, Any] = {
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
        "kept_days": kept_days,
        "version": version,
    }
    if not await tx.execute(writes.SET_RULES if version else writes.PUT_RULES, row):
        raise Conflict(what=Word(N_("rules")), key="message_rules")
    after = await reads.rules(tx)
    await audit.record(tx, action="change", entity="message_rules", entity_id="rules", before=before, after=after)
    return after


# --- what customers want ---


async def set_preference(
    tx: Tx, customer_id: UUID, *, language: str | None, declined: Sequence[Channel], source: str, version: int
) -> Preference:
    """Write down what a customer wants and how we know, if what is known still has `version` (0: nothing).

    Raises:
        Invalid: there are no texts in the language, or the source is empty or too long.
        Conflict: somebody else changed it meanwhile.
    """
    flaws = []
    if language is not None and language not in LANGUAGES:
        flaws.append(Flaw("language", N_("Messages are written in Portuguese or English.")))
    if not 0 < len(source.strip()) <= SOURCE_LENGTH:
        flaws.append(Flaw("source", N_("Say in up to 200 characters how the customer said so.")))
    refuse(flaws)
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
    after = await reads.preference(tx, customer_id)
    await audit.record(
        tx, action="change", entity="message_preference", entity_id=customer_id, before=before, after=after
    )
    return after
