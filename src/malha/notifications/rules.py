"""Pure decisions about messages: whether and when one goes out, when it is tried again, and whether a text is good.

A text is words, `{placeholders}` and `**bold**`; a doubled brace is a brace. It is no program: nothing in it is
evaluated, so a retailer can break a sentence but nothing else.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Draft,
    Kind,
    MessageRules,
    Placeholder,
    Shape,
    State,
    Text,
    Told,
)
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

SUBJECT_LENGTH = 150
BODY_LENGTH = 8_000
# What is older is news to nobody: it comes from a log that is read anew, or from before this was switched on.
FRESH = timedelta(hours=48)
# An order that was taken in long after it was placed comes from an import of the past.
HISTORY = timedelta(days=3)
# After each attempt that failed for now; then it is given up.
PAUSES = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720))

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]|\*\*")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")


class Span(msgspec.Struct, frozen=True):
    """Words, or a placeholder to be filled."""

    text: str
    placeholder: bool = False
    bold: bool = False


class Paragraph(msgspec.Struct, frozen=True):
    """Spans in their order; `block` when it is one block placeholder and nothing else."""

    spans: tuple[Span, ...]
    block: str = ""

    @property
    def names(self) -> list[str]:
        """Return the placeholders in it."""
        return [span.text for span in self.spans if span.placeholder]


# --- texts ---


def parse(text: str, placeholders: Collection[Placeholder]) -> list[Paragraph]:
    """Return the paragraphs of a text that `check_text` found good; what is wrong in it stays as it is written."""
    blocks = {p.name for p in placeholders if p.shape is Shape.BLOCK}
    known = {p.name for p in placeholders}
    found = []
    for part in _PARAGRAPHS.split(text.replace("\r\n", "\n").strip()):
        spans = tuple(_spans(part.strip(), known))
        alone = len(spans) == 1 and spans[0].placeholder and spans[0].text in blocks
        if spans:
            found.append(Paragraph(spans, spans[0].text if alone else ""))
    return found


def _spans(text: str, known: Collection[str]) -> Iterator[Span]:
    at, bold, words = 0, False, ""
    for match in _TOKEN.finditer(text):
        words += text[at : match.start()]
        at = match.end()
        mark = match[0]
        if mark == "**" or (match[1] is not None and match[1].strip() in known):
            if words:
                yield Span(words, bold=bold)
            words = ""
            if mark == "**":
                bold = not bold
            else:
                yield Span(match[1].strip(), placeholder=True, bold=bold)
        else:
            words += {"{{": "{", "}}": "}"}.get(mark, mark)
    words += text[at:]
    if words:
        yield Span(words, bold=bold)


def check_text(kind: Kind, text: Text) -> list[Flaw]:
    """Return what is wrong with a text for a kind of message; nothing is, when it can be sent."""
    flaws = [*_check_length("subject", text.subject, SUBJECT_LENGTH)]
    if any(ord(c) < 32 for c in text.subject):
        flaws.append(Flaw("subject", N_("A subject is one line."), N_("Take the line break out.")))
    flaws += _check_placeholders("subject", text.subject, KINDS[kind].placeholders, blocks=False)
    flaws += _check_length("body", text.body, BODY_LENGTH)
    flaws += _check_placeholders("body", text.body, KINDS[kind].placeholders, blocks=True)
    return flaws


def _check_length(at: str, text: str, longest: int) -> Iterator[Flaw]:
    if not text.strip():
        yield Flaw(at, N_("This may not be empty."), N_("Write something, or go back to the default text."))
    if len(text) > longest:
        facts = {"length": len(text), "longest": longest}
        yield Flaw(at, N_("The text has {length} characters."), N_("Use at most {longest}."), facts)
    if "\x00" in text:
        yield Flaw(at, N_("The text has control characters."), N_("Type it again without them."))


def _check_placeholders(at: str, text: str, placeholders: Collection[Placeholder], *, blocks: bool) -> Iterator[Flaw]:
    by_name = {p.name: p for p in placeholders}
    allowed = sorted(n for n, p in by_name.items() if blocks or p.shape is Shape.WORD)
    for part in _PARAGRAPHS.split(text.strip()):
        for match in _TOKEN.finditer(part):
            if match[0] in {"{", "}"}:
                says = N_("There is a brace without its other half.")
                yield Flaw(at, says, N_("Close the brace, or double one that is meant as itself."))
                continue
            if match[1] is None:
                continue
            name = match[1].strip()
            if name not in by_name:
                near = difflib.get_close_matches(name, allowed, n=1)
                mend = N_("Did you mean {near}?") if near else N_("This message knows: {known}.")
                facts = {"name": name[:60], "near": near[0] if near else "", "known": ", ".join(allowed)}
                yield Flaw(at, N_("There is no placeholder {name}."), mend, facts)
            elif by_name[name].shape is Shape.BLOCK and not blocks:
                says = N_("{name} is more than a word and has no place here.")
                yield Flaw(at, says, N_("Take it out."), {"name": name})
            elif by_name[name].shape is Shape.BLOCK and part.strip() != match[0]:
                says, mend = N_("{name} needs a paragraph of its own."), N_("Put an empty line before and after it.")
                yield Flaw(at, says, mend, {"name": name})


# --- whether and when ---


def plan_message(
    told: Told, contact: Contact, channel: Channel, language: str, rules: MessageRules, *, at: datetime, zone: str
) -> Draft | None:
    """Decide about one thing to tell on one channel: a message to send, one that says why not, or nothing at all.

    Nothing is written about what is long past, and nothing about a missing address where the kind does not demand it.
    """
    if at - told.at > FRESH or contact.received_at - contact.placed_at > HISTORY:
        return None
    kind = KINDS[told.kind]
    address = contact.email
    reason = None
    # An address that must not be used is not written down either: nobody can send there from the log.
    if contact.by_channel:
        reason, address = "told_by_channel", None
    elif not address:
        reason = "no_address"
    elif channel in contact.declined and not kind.always:
        reason, address = "declined", None
    elif channel in contact.suppressed:
        reason = "suppressed"
    if reason and not kind.always:
        return (
            None
            if reason in {"no_address", "told_by_channel"}
            else _draft(told, channel, language, address, at, reason)
        )
    due = at if kind.urgent else after_quiet(at, rules, zone)
    return _draft(told, channel, language, address, due, reason)


def _draft(
    told: Told, channel: Channel, language: str, address: str | None, due: datetime, reason: str | None
) -> Draft:
    return Draft(
        told=told,
        channel=channel,
        language=language,
        address=address or None,
        state=State.SKIPPED if reason else State.QUEUED,
        reason=reason,
        due_at=due,
    )


def after_quiet(at: datetime, rules: MessageRules, zone: str) -> datetime:
    """Return `at`, or the end of the quiet hours it falls into, by the clock of a zone."""
    local = at.astimezone(ZoneInfo(zone))
    start, end = rules.quiet_from, rules.quiet_until
    if start == end or not _is_between(local.time(), start, end):
        return at
    morning = datetime.combine(local.date(), end, local.tzinfo)
    if morning <= local:
        morning = datetime.combine(local.date() + timedelta(days=1), end, local.tzinfo)
    return morning.astimezone(at.tzinfo)


def _is_between(moment: time, start: time, end: time) -> bool:
    return start <= moment < end if start < end else moment >= start or moment < end


def next_attempt(attempts: int, at: datetime) -> datetime | None:
    """Return when to try again after `attempts` that failed for now; None when it is given up."""
    return at + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def is_bad_address(answer: str) -> bool:
    """Tell whether a server's refusal says that the address itself is bad (RFC 3463: 5.1.1, 5.1.2, 5.1.3, 5.1.10).

    Other refusals may be about us, and must not silence a good address.
    """
    return re.search(r"\b5\.1\.(1|2|3|10)\b", answer) is not None


# --- what an event tells ---

HOLDS_TOLD = frozenset({"address", "customer", "shortage"})


def kinds_of_placed(facts: Mapping[str, object]) -> list[Kind]:
    """Return what there is to tell of an order that was taken in."""
    held = HOLDS_TOLD.intersection(_words(facts.get("holds")))
    return [Kind.PLACED, Kind.ON_HOLD] if held else [Kind.PLACED]


def kinds_of_hold(facts: Mapping[str, object]) -> list[Kind]:
    """Return what there is to tell of a hold: only holds that the customer feels or can end are told."""
    return [Kind.ON_HOLD] if facts.get("kind") in HOLDS_TOLD else []


def kinds_of_payment(facts: Mapping[str, object]) -> list[Kind]:
    """Return what there is to tell of money that came: once it is all there."""
    return [Kind.PAID] if facts.get("state") == "paid" else []


def kinds_of_extension(facts: Mapping[str, object]) -> list[Kind]:
    """Return what there is to tell of more time to collect; goods set aside anew get a new code, which is told."""
    return [] if facts.get("taken_back") else [Kind.READY]


def kinds_of_cancel(facts: Mapping[str, object]) -> list[Kind]:
    """Return what there is to tell of a cancel."""
    return [Kind.CANCELLED if facts.get("whole") else Kind.CANCELLED_IN_PART]


def _words(found: object) -> list[str]:
    return [str(x) for x in found] if isinstance(found, list) else []
