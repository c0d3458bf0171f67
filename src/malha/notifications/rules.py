"""Pure decisions about messages: whether and when one goes out, when it is tried again, and whether a text is good.

A text is words, `{placeholders}` and `**bold**`; a doubled brace is a brace. It is no program: nothing in it is
evaluated, so a retailer can break a sentence but nothing else.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Draft,
    Kind,
    KindRules,
    Means,
    MessageRules,
    Placeholder,
    Route,
    Shape,
    State,
    Teller,
    Text,
    Told,
)
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

SUBJECT_LENGTH = 150
BODY_LENGTH = 8_000
SHORT_LENGTH = 700  # of an SMS or an approved text
TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(:[A-Za-z]{2,3}(_[A-Za-z]{2,4})?)?")
# What is older is news to nobody: it comes from a log that is read anew, or from before this was switched on.
FRESH = timedelta(hours=48)
# What being taken in brings about by itself is no news of an order that was placed so long before: it was placed, paid
# and held then, as far as the customer knows. What is done to it from then on is news like that of any other order.
HISTORY = timedelta(days=3)
OF_TAKING_IN = frozenset({Kind.PLACED, Kind.PAID, Kind.ON_HOLD})
TAKING_IN = timedelta(hours=1)
# An order that was placed so long before it was taken in comes from an import of the past, whatever is done to it here.
LONG_PAST = timedelta(days=90)
# Holds that the customer feels or can end.
HOLDS_TOLD = frozenset({"address", "address_check", "customer", "shortage"})
# What says that an order goes on: of a cancelled one it is not true.
TO_COME = frozenset({Kind.PAID, Kind.ON_HOLD, Kind.LATE, Kind.REPROMISED, Kind.READY, Kind.PICKUP_REMINDER})
# What asks somebody to the counter.
TO_COLLECT = frozenset({Kind.READY, Kind.PICKUP_REMINDER})
OVERTAKEN = "overtaken"
# After each attempt that failed for now; then it is given up.
PAUSES = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720))

# What a message calls its reader. Anybody can order in somebody else's name, and mail and telephone programs make links
# of what looks like an address or a number: what is not plainly a name is left out, and the greeting with it.
_CALLED = re.compile(r"[^\W\d_](?:[\w'\u2019&-]{0,28}[\w'\u2019])?\.?")
_MOST_DIGITS = 3

# The end of a link that opens the page of an order, or of what a customer wants to get: a signed token.
_OPENS = re.compile(r"(/(?:track|wishes)/)[A-Za-z0-9_-]{20,}")
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


def check_text(kind: Kind, text: Text, channel: Channel = Channel.EMAIL) -> list[Flaw]:
    """Return what is wrong with a text for a kind of message; nothing is, when it can be sent."""
    if channel is not Channel.EMAIL:
        return _check_short(kind, text, channel)
    flaws = [*_check_length("subject", text.subject, SUBJECT_LENGTH)]
    if any(ord(c) < 32 for c in text.subject):
        flaws.append(Flaw("subject", N_("A subject is one line."), N_("Take the line break out.")))
    flaws += _check_placeholders("subject", text.subject, KINDS[kind].placeholders, blocks=False)
    flaws += _check_length("body", text.body, BODY_LENGTH)
    flaws += _check_placeholders("body", text.body, KINDS[kind].placeholders, blocks=True)
    return flaws


def _check_short(kind: Kind, text: Text, channel: Channel) -> list[Flaw]:
    flaws = [*_check_length("body", text.body, SHORT_LENGTH)]
    flaws += _check_placeholders("body", text.body, KINDS[kind].placeholders, blocks=False)
    if channel is Channel.WHATSAPP and not TEMPLATE_NAME.fullmatch(text.subject):
        says = N_("This is no name of an approved text.")
        flaws.append(
            Flaw("subject", says, N_("Write it as the gateway knows it, like order_shipped or order_shipped:pt_BR."))
        )
    return flaws


def numbered(text: str, placeholders: Collection[Placeholder]) -> tuple[str, list[str]]:
    """Return a text as a gateway approves it, with `{{1}}`, `{{2}}`, ..., and the placeholders behind the numbers."""
    names: list[str] = []
    paragraphs = []
    for paragraph in parse(text, placeholders):
        words = ""
        for span in paragraph.spans:
            if span.placeholder and span.text not in names:
                names.append(span.text)
            star = "*" if span.bold else ""
            words += (
                f"{star}{{{{{names.index(span.text) + 1}}}}}{star}" if span.placeholder else f"{star}{span.text}{star}"
            )
        paragraphs.append(words)
    return "\n\n".join(paragraphs), names


def without_keys(words: str, code: str = "") -> str:
    """Return what was said without what opens something: the pickup code, and links that are good for who has them.

    The log is read by people who may see neither: with the link of an order comes its code.
    """
    hidden = words.replace(code, "\N{BULLET}" * 6) if code else words
    return _OPENS.sub("\\1\N{BULLET}\N{BULLET}\N{BULLET}", hidden)


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


def plan_messages(
    told: Told,
    contact: Contact,
    route: Route,
    means: Means,
    language: str,
    rules: MessageRules,
    *,
    at: datetime,
    zone: str,
) -> list[Draft]:
    """Decide about one thing to tell: messages to send, one that says why not, or nothing at all.

    It goes out by the first means of the route that can work (with `every` by each of those), so a person hears it
    once. Nothing is written about what is long past, and nothing about a missing address where the kind does not
    demand it.
    """
    if is_past(told, contact, at):
        return []
    kind = KINDS[told.kind]
    if contact.teller is Teller.CHANNEL or (contact.teller is Teller.LOSSES and not kind.always):
        # An address that must not be used is not written down either: nobody can send there from the log.
        reason = "told_by_channel"
        return [_draft(told, route.means[0], language, None, at, reason)] if kind.always else []
    due = at if kind.urgent else after_quiet(at, rules, zone)
    chosen = choose_means(kind, contact, route.means, means)
    if chosen:
        wanted = chosen if route.every else chosen[:1]
        return [_draft(told, c, language, contact.address(c), due, None, rank) for rank, c in enumerate(wanted)]
    # No means at all: why, of the one that would have been the best.
    order = ("declined", "no_consent", "suppressed", "no_address")
    found = {_obstacle(contact, channel, means): channel for channel in reversed(route.means)}
    reason = next((each for each in order if each in found), "no_address")
    channel = found.get(reason, route.means[0])
    if reason in {"no_address", "no_consent"} and not kind.always:
        return []
    address = contact.address(channel) if reason == "suppressed" else None
    return [_draft(told, channel, language, address, at, reason)]


def first_name(buyer: str) -> str:
    """Return what a message calls a buyer by: the first word of their name; empty where that is no plain name."""
    word = next(iter(buyer.split()), "").rstrip(",;")
    plain = _CALLED.fullmatch(word) is not None and sum(c.isdigit() for c in word) <= _MOST_DIGITS
    return word if plain else ""


def is_past(told: Told, contact: Contact, at: datetime) -> bool:
    """Tell whether something happened too long ago to be news, by when it happened and not by when it was heard of."""
    late = contact.received_at - contact.placed_at
    if at - told.at > FRESH or late > LONG_PAST:
        return True
    return late > HISTORY and told.kind in OF_TAKING_IN and told.at - contact.received_at <= TAKING_IN


def choose_means(kind: KindRules, contact: Contact, wanted: Sequence[Channel], means: Means) -> list[Channel]:
    """Return the means by which a kind can be told, the best first; none when there is no way.

    A wish for silence, and a yes that was never said, stop everything but news of losses; those take first what nobody
    objected to. A means that is not set up comes last: what waits there is seen in the log as not sent.
    """
    free = [c for c in wanted if _obstacle(contact, c, means) is None]
    if kind.always and not free:
        free = [c for c in wanted if _obstacle(contact, c, means) in {"declined", "no_consent"}]
    ready = [c for c in free if c in means.ready]
    return ready or free[:1]


def _obstacle(contact: Contact, channel: Channel, means: Means) -> str | None:
    """Return why a means cannot be used for a person, or None."""
    if not contact.address(channel) or (channel is Channel.SMS and not is_mobile(contact.phone or "")):
        return "no_address"
    if channel in contact.suppressed:
        return "suppressed"
    if channel in contact.declined:
        return "declined"
    return "no_consent" if channel in means.needing_consent and channel not in contact.agreed else None


def is_mobile(phone: str) -> bool:
    """Tell whether an SMS can reach a number in E.164: in Brazil nine digits that begin with 9; elsewhere who knows."""
    return bool(phone) and (not phone.startswith("+55") or (len(phone) == 14 and phone[5] == "9"))


def objection(kind: Kind, contact: Contact, channel: Channel, means: Means) -> str | None:
    """Return why a message that waited must not go out after all: somebody said so, or it is not so any more."""
    if is_overtaken(kind, contact):
        return OVERTAKEN
    found = _obstacle(contact, channel, means)
    if found == "suppressed" or (found in {"declined", "no_consent"} and not KINDS[kind].always):
        return found
    return None


def is_overtaken(kind: Kind, contact: Contact) -> bool:
    """Tell whether what waited to be said is wrong by now: of what is cancelled, or of a hold that is gone.

    Money may come after the end, and the night may lie between a hold and its message.
    """
    if contact.cancelled:
        return kind in TO_COME
    return kind is Kind.ON_HOLD and not HOLDS_TOLD.intersection(contact.holds)


def _draft(
    told: Told, channel: Channel, language: str, address: str | None, due: datetime, reason: str | None, rank: int = 0
) -> Draft:
    return Draft(
        told=told,
        channel=channel,
        language=language,
        address=address or None,
        state=State.SKIPPED if reason else State.QUEUED,
        reason=reason,
        due_at=due,
        rank=rank,
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


def next_attempt(attempts: int, at: datetime, not_before_s: int | None = None) -> datetime | None:
    """Return when to try again after `attempts` that failed for now; None when it is given up.

    `not_before_s` is how long the other side asked to be left alone.
    """
    if attempts > len(PAUSES):
        return None
    return at + max(PAUSES[attempts - 1], timedelta(seconds=not_before_s or 0))


def is_bad_address(answer: str) -> bool:
    """Tell whether a server's refusal says that the address itself is bad (RFC 3463: 5.1.1, 5.1.2, 5.1.3, 5.1.10).

    Other refusals may be about us, and must not silence a good address.
    """
    return re.search(r"\b5\.1\.(1|2|3|10)\b", answer) is not None


# --- what an event tells ---


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
