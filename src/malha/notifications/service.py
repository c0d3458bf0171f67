"""Use cases of messages: write down what is to be told, take one up, say how it ended, and what a person may do.

**At most once.** A message's row is written in the transaction of the event's checkpoint, one for each event and kind
whatever the means; a further one, for the next means, only in the transaction that found the former refused for good.
To send it, a process commits `sending`, hands the message over, and commits the outcome. Dies it between the
two, nobody knows whether the message left: after `INTERRUPTED_AFTER` it is `uncertain`, is not repeated by itself, and
waits on the list of messages for a person, who asks the customer and may send it again.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress as suppress_errors
from datetime import time, timedelta
from typing import Any

import msgspec

from malha.network import retailer
from malha.network.places import STATE_ZONES
from malha.network.service import refuse_limited
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
    Means,
    MessageRules,
    Rendered,
    State,
    Template,
    Text,
    Told,
)
from malha.platform import audit
from malha.platform.brazil import mask_email, mask_phone, normalise_phone
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import DEFAULT_ZONE, LANGUAGES, N_, Word
from malha.platform.ids import UUID, new_id
from malha.platform.mail import MailAddressWrong, clean_address

INTERRUPTED_AFTER = timedelta(minutes=5)
FORGET_AT_ONCE = 2_000
_encode = msgspec.json.Encoder().encode


# --- what is to be told ---


async def queue(tx: Tx, told: Sequence[Told], means: Means) -> int:
    """Write down what is to be told to the buyers of orders; return how many messages wait to be sent.

    What was written before for the same event and kind stays as it is, by whichever means it was.
    """
    if not told:
        return 0
    contacts = await reads.contacts(tx, sorted({t.order_id for t in told}))
    kinds = await reads.active(tx)
    routes = await reads.routes(tx)
    resting = await reads.rules(tx)
    shop = await retailer.current(tx)
    at = await tx.now()
    drafts = [
        draft
        for t in told
        if (contact := contacts.get(t.order_id)) is not None and t.kind in kinds
        for draft in rules.plan_messages(
            t,
            contact,
            reads.route_of(routes, t.kind),
            means,
            _language(contact, shop.languages),
            resting,
            at=at,
            zone=_zone(contact, shop.timezone),
        )
    ]
    if drafts:
        await tx.execute(writes.ADD_MESSAGES, {"rows": _encode([_row(d) for d in drafts]).decode()})
    return sum(d.state is State.QUEUED for d in drafts)


def _language(contact: Contact, shop: Sequence[str]) -> str:
    return next((x for x in (contact.language, *shop) if x in LANGUAGES), LANGUAGES[0])


def _zone(contact: Contact, shop: str | None) -> str:
    return STATE_ZONES.get(contact.state or "", shop or DEFAULT_ZONE)


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
        "rank": draft.rank,
    }


# --- sending ---


async def claim(tx: Tx, silent: Collection[Channel] = ()) -> Claimed | None:
    """Take up the message that is due longest; None when there is none. Commit before it is sent.

    `silent` are means to be left alone: what waits for them stays as it is.
    """
    found = await tx.maybe(dict, writes.CLAIM, {"silent": [channel.value for channel in silent]})
    return None if found is None else msgspec.convert(found, Claimed)


async def keep_words(tx: Tx, message_id: UUID, rendered: Rendered) -> None:
    """Keep what is about to be said."""
    words = {"id": message_id, "subject": rendered.subject, "body": rendered.text}
    await tx.execute(writes.SET_WORDS, words)


async def objection(tx: Tx, message: Claimed, means: Means) -> str | None:
    """Return why a message that was taken up must not go out after all; None when it may."""
    contact = (await reads.contacts(tx, [message.order_id])).get(message.order_id)
    return rules.objection(message.kind, contact, message.channel, means) if contact else None


async def record_outcome(
    tx: Tx,
    message: Claimed,
    state: State,
    *,
    reason: str | None = None,
    answer: str | None = None,
    reference: str | None = None,
    bad_address: bool = False,
    not_before_s: int | None = None,
    means: Means | None = None,
) -> None:
    """Say how sending a message ended. `QUEUED` is "not now": it is tried again later, or given up after the last try.

    A refusal that says the address itself is bad silences the address. After a failure for good the next means is
    tried, if `means` says which there are; after an unknown outcome it is not: the message may have arrived.
    """
    due_at = None
    if state is State.QUEUED:
        due_at = rules.next_attempt(message.attempts, await tx.now(), not_before_s)
        if due_at is None:
            state, reason = State.FAILED, "attempts"
    # Servers like to repeat the address; the log shows it masked.
    shown = answer.replace("\x00", "") if answer else None
    for spelt in {message.address, message.address.lstrip("+")} if shown else ():
        hidden = mask_email(spelt) if "@" in spelt else mask_phone(spelt)
        shown = re.sub(re.escape(spelt), hidden.replace("\\", r"\\"), shown or "", flags=re.IGNORECASE)
    facts = {
        "id": message.id, "state": state.value, "reason": reason, "answer": shown, "due_at": due_at,
        "reference": reference or None,
    }  # fmt: skip
    if not await tx.execute(writes.SET_OUTCOME, facts):
        return
    if state is State.REFUSED and bad_address:
        await suppress(tx, message.channel, message.address, "refused")
    if means is not None and state in {State.REFUSED, State.FAILED, State.SKIPPED}:
        await try_next(tx, message.id, means)


async def try_next(tx: Tx, message_id: UUID, means: Means) -> bool:
    """Write down a message that failed for good for the next means that can work; return whether there is one.

    Nothing is told by another means two days after it happened: it is news to nobody.
    """
    told = await tx.one(dict, writes.TRIED, {"id": message_id})
    kind = Kind(told["kind"])
    contact = (await reads.contacts(tx, [told["order_id"]])).get(told["order_id"])
    at = await tx.now()
    if contact is None or at - told["since"] > rules.FRESH:
        return False
    route = reads.route_of(await reads.routes(tx), kind)
    left = [channel for channel in route.means if channel.value not in told["tried"] and channel in means.ready]
    chosen = rules.choose_means(KINDS[kind], contact, left, means)
    if not chosen:
        return False
    due = at
    if not KINDS[kind].urgent:
        shop = await retailer.current(tx)
        due = rules.after_quiet(at, await reads.rules(tx), _zone(contact, shop.timezone))
    row = {
        "id": new_id(), "order_id": told["order_id"], "event_seq": told["event_seq"], "kind": kind.value,
        "channel": chosen[0].value, "language": told["language"], "address": contact.address(chosen[0]),
        "facts": _encode(told["facts"]).decode(), "due_at": due, "rank": told["rank"],
    }  # fmt: skip
    return bool(await tx.execute(writes.ADD_NEXT, row))


async def readdress(tx: Tx, orders: Sequence[UUID], means: Means) -> None:
    """Have what waits for the buyers of orders go where they are reached now, after their data were corrected.

    Where a means reaches them no more, its messages rest for good, and the next means is tried.
    """
    found = await reads.contacts(tx, orders)
    at = [(o, channel, contact.address(channel)) for o, contact in found.items() for channel in Channel]
    reached = [(o, channel.value, address) for o, channel, address in at if address]
    await tx.execute(
        writes.READDRESS,
        {
            "orders": [o for o, _channel, _address in reached],
            "channels": [channel for _order, channel, _address in reached],
            "addresses": [address for _order, _channel, address in reached],
        },
    )
    lost = [(o, channel.value) for o, channel, address in at if not address]
    key = {"orders": [o for o, _channel in lost], "channels": [channel for _order, channel in lost]}
    for message_id in await tx.values(writes.SKIP_UNREACHED, key):
        await try_next(tx, message_id, means)


async def give_up_interrupted(tx: Tx) -> int:
    """Declare messages uncertain whose process went away while it sent them; return how many."""
    return len(await tx.values(writes.GIVE_UP_SENDING, {"after": INTERRUPTED_AFTER}))


async def skip_unconfigured(tx: Tx, channel: Channel, means: Means) -> int:
    """Let what is due by a means that is not set up rest for good, and try the next one; return how many."""
    skipped = await tx.values(writes.SKIP_DUE, {"channel": channel.value, "reason": "not_configured"})
    for message_id in skipped if means.ready else ():
        await try_next(tx, message_id, means)
    return len(skipped)


async def forget_words(tx: Tx) -> int:
    """Forget addresses and words of old messages, some at a time; return of how many."""
    kept = await reads.rules(tx)
    return await tx.execute(writes.FORGET_WORDS, {"days": kept.kept_days, "limit": FORGET_AT_ONCE})


# --- what a person may do ---


async def send_again(tx: Tx, message_id: UUID, address: str | None = None) -> None:
    """Have a message sent again at once, to the address it has, or to another one that is given. Its text is new.

    Raises:
        Invalid: the address that is given is none.
        MessageNotFound, MessageOnItsWay, MessageForgotten, AddressSilent: what the names say.
    """
    found = await _locked(tx, message_id)
    if State(found["state"]) not in REPEATABLE:
        raise MessageOnItsWay
    channel = Channel(found["channel"])
    to = _clean_address(channel, address) if address and address.strip() else found["address"]
    if not to:
        raise MessageForgotten
    if await reads.suppressed(tx, channel, to):
        raise AddressSilent
    await tx.execute(writes.REQUEUE, {"id": message_id, "address": to})
    await audit.record(
        tx, action="send_again", entity="message", entity_id=message_id, before={"state": found["state"]}
    )


def _clean_address(channel: Channel, said: str) -> str:
    found = None
    if channel is Channel.EMAIL:
        with suppress_errors(MailAddressWrong):
            found = clean_address(said)
    else:
        found = normalise_phone(said)
        found = found if found and (channel is not Channel.SMS or rules.is_mobile(found)) else None
    if found is None:
        refuse([Flaw("address", N_("No message can be sent to this address."), N_("Correct it."))])
    return found or ""


async def mark_bounced(tx: Tx, message_id: UUID, means: Means | None = None) -> None:
    """Write down that a message came back: its address gets no more messages, and the next means is tried.

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
    await tx.execute(writes.SET_BOUNCED, {"id": message_id, "words": ""})
    await suppress(tx, Channel(found["channel"]), found["address"], "bounced")
    if means is not None:
        await try_next(tx, message_id, means)
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


async def suppress(tx: Tx, channel: Channel, address: str, reason: str) -> None:
    """Let an address take no more messages, until somebody allows it again."""
    key = {"channel": channel.value, "address": address, "reason": reason, "by": tx.actor.label}
    await tx.execute(writes.SUPPRESS, key)


# --- texts, switches, rules ---


async def save_template(tx: Tx, kind: Kind, channel: Channel, language: str, text: Text, *, version: int) -> Template:
    """Save a text as the next version, if `version` is still the newest; return it.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a placeholder is unknown or misplaced, or a part is empty or too long.
        Conflict: somebody else saved one meanwhile.
    """
    refuse_limited(tx)
    text = Text(text.subject.strip(), text.body.replace("\r\n", "\n").strip())
    refuse(rules.check_text(kind, text, channel))
    return await _add_version(tx, kind, channel, language, text, version)


async def reset_template(tx: Tx, kind: Kind, channel: Channel, language: str, *, version: int) -> Template:
    """Go back to the text that comes with the program; the own one stays among the versions.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Conflict: somebody else saved one meanwhile.
    """
    refuse_limited(tx)
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


async def switch(tx: Tx, kind: Kind, *, on: bool) -> None:
    """Say whether a kind goes out, by whichever means.

    Raises:
        SharedByAll: the actor is limited to some locations.
        KindAlways: what tells a loss always goes out.
    """
    refuse_limited(tx)
    if not on and KINDS[kind].always:
        raise KindAlways(kind=Word(KINDS[kind].word))
    await tx.execute(writes.SET_SWITCH, {"kind": kind.value, "channel": Channel.EMAIL.value, "active": on})
    await audit.record(tx, action="switch", entity="message_kind", entity_id=kind.value, after={"on": on})


async def change_rules(tx: Tx, *, quiet_from: time, quiet_until: time, kept_days: int, version: int) -> MessageRules:
    """Change the quiet hours and how long words are kept, if the rules still have `version` (0: never changed).

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: the days are not between 1 and 3650.
        Conflict: somebody else changed them meanwhile.
    """
    refuse_limited(tx)
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
