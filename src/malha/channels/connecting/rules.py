"""What the runtime decides without asking anybody: keys, redaction, causes and what to do about them."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from malha.channels.connecting.model import Posting, Trail
from malha.channels.contract import DocumentKind, DocumentRules
from malha.platform.i18n import N_
from malha.platform.ids import UUID

SPACE = uuid5(NAMESPACE_URL, "urn:malha:channel-op")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_NUMBER = re.compile(r"\d[\d.\-/ ]{9,}\d")  # documents, telephones, cards
_TELLING = re.compile(r"(?i)([?&;](?:[\w-]*(?:token|key|secret|signature|password|code)[\w-]*)=)[^&;#]*")
HIDDEN = "***"
LONGEST = 300
SHORTEST_SECRET = 4  # what is shorter is too common to be cut out of a text

# What stopped something, and what a person can do about it.
FIXES: dict[str, str] = {
    "unknown_outcome": N_("Look at the channel whether it arrived: if so, mark it as done; if not, send it again."),
    "invalid": N_("The channel will not take it as it is: correct what it names, then send it again."),
    "missing": N_("The channel does not have this order or product: check there, then send it again or drop it."),
    "conflict": N_("It was changed at the channel meanwhile: compare both sides, then send it again."),
    "auth": N_("The channel does not know us any more: enter the secrets again and test the connection."),
    "exhausted": N_("It failed too often: look at the log of the connection, then send it again."),
    "defect": N_("The connector has a defect here: keep the error for its maker, then try again with a newer one."),
    "unknown_status": N_("The channel says a status that the connector does not know: look at the order there."),
    "changed": N_("The order was changed at the channel after it was taken: change it here by hand, then drop this."),
    "field": N_(
        "A field rule cannot fill its field: mend the rule or the order at the channel; it then goes on by itself."
    ),
    "refused": N_("The order cannot be taken as it is: correct what the message names, then try again."),
    "left": N_("The channel cancelled what has left or has a document: settle it with the customer, then drop this."),
    "payment": N_("The payment does not fit what is known: compare both sides, then try again or drop this."),
    "declined": N_("Money that came is declined at the channel: look there, then record what went back, or drop this."),
    "unknown_request": N_("We asked the partner for nothing of this name: ask the partner what it means."),
    "unknown_notice": N_("We told the partner of nothing of this name: ask the partner what it means."),
    "unknown_location": N_("The partner names a location that is not its: add it to the connection, then try again."),
    "unknown_sku": N_("We have no such SKU: create its product, then try again."),
    "not_asked": N_("More is said to have left than was asked for: settle it with the partner, then drop this."),
    "receipt_differs": N_(
        "A receipt of this reference was taken before, with other goods: what else came has a reference of its own. "
        "Settle it with the partner, then drop this."
    ),
    "no_source": N_("Declare a stock source for the partner's locations and name it in the connection."),
    "awaits_sale": N_(
        "The ERP does not have the sale of this order: mend what keeps it back, and this follows by itself."
    ),
    "unread": N_(
        "Neither the product nor its listing is known here: correct it at the channel, and it is read with the next "
        "page that names it. To try again reads the whole catalogue."
    ),
    "unmapped": N_("Say what they mean, or which SKU it is: they go on by themselves."),
    "no_capability": N_("The connector cannot tell this channel such a thing: tell it by hand, then drop this."),
}


def op_key(connection: int, kind: str, name: str, version: int) -> UUID:
    """Return the key of an operation: the same for the same thing, whoever asks and however often."""
    return uuid5(SPACE, f"{connection}:{kind}:{name}:{version}")


def redacted(text: str, secrets: Collection[str]) -> str:
    """Return a text that may be kept and shown: no secret of the connection, nothing that looks personal, not long."""
    text = _TELLING.sub(rf"\g<1>{HIDDEN}", without_secrets(text, secrets))
    text = _NUMBER.sub(HIDDEN, _MAIL.sub(HIDDEN, text))
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:LONGEST]


def without_secrets(text: str, secrets: Collection[str]) -> str:
    """Return a text without the secrets of a connection."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text


def told(value: Any) -> str:
    """Return the short text that stands for a result in an attempt's row."""
    return str(value)[:LONGEST]


# --- what an order's events are to an ERP ---

LEFT = frozenset({"fulfillment.shipped", "fulfillment.collected"})


def follow(
    trail: Trail | None, rules: DocumentRules, *, seq: int, type_: str, facts: Mapping[str, Any], at: datetime
) -> tuple[Trail | None, list[Posting]]:
    """Return how a trail goes on with the next event of its order, and the documents that follow from it.

    The sale is of what is left when it is due; what happens before is in it, what happens later are documents of their
    own. Money that goes back is a document only beyond what was cancelled; when it is cancelled later after all, the
    credit is less by it. An event that was followed before changes nothing, and an order whose placing was not followed
    has no documents.
    """
    if trail is None:
        if type_ != "order.placed":
            return None, []
        total = int(facts["total"])
        trail = Trail(seq=seq, placed=total, worth=total, known="unknown_sku" not in facts["holds"])
    elif seq <= trail.seq:
        return trail, []
    trail, came = _followed(replace(trail, seq=seq), rules, type_, facts, at)
    if _is_due(trail, rules):
        trail, sale = _posted(
            trail, at, DocumentKind.SALE, trail.worth, lines=trail.gone, beside=trail.added, freight=1
        )
        trail, came = replace(trail, sale=True), [sale]
    back = trail.refunded - (trail.placed - trail.worth) - trail.extra
    if trail.sale and rules.document_refunds == "credit" and back > 0:
        trail, refund = _posted(replace(trail, extra=trail.extra + back), at, DocumentKind.REFUND, -back)
        came = [*came, refund]
    return trail, came


def _followed(
    trail: Trail, rules: DocumentRules, type_: str, facts: Mapping[str, Any], at: datetime
) -> tuple[Trail, list[Posting]]:
    match type_:
        case "order.line_mapped":
            return replace(trail, known=trail.known or bool(facts["complete"])), []
        case "order.cancelled":
            return _cancelled(trail, rules, facts, at)
        case "order.line_replaced":
            return _replaced(trail, facts, at)
        case "payment.refunded":
            return replace(trail, refunded=trail.refunded + int(facts["amount"])), []
        case _ if type_ in LEFT:
            return replace(trail, shipped=True), []
    return trail, []


def _is_due(trail: Trail, rules: DocumentRules) -> bool:
    begun = rules.document_when == "placed" or trail.shipped
    return begun and trail.known and not trail.sale and not trail.over


def _cancelled(
    trail: Trail, rules: DocumentRules, facts: Mapping[str, Any], at: datetime
) -> tuple[Trail, list[Posting]]:
    lines = {int(line): int(quantity) for line, quantity in facts["lines"].items()}
    amount = int(facts["amount"])
    trail = replace(trail, worth=trail.worth - amount, gone=_added(trail.gone, lines), over=bool(facts["whole"]))
    if not trail.sale or rules.document_cancels == "none":
        return trail, []
    taken = min(trail.extra, amount)  # went back as money already
    trail, credit = _posted(
        replace(trail, extra=trail.extra - taken),
        at,
        DocumentKind.CREDIT,
        taken - amount,
        lines={line: -quantity for line, quantity in lines.items()},
        freight=-1 if facts["whole"] else 0,
        reason=str(facts["reason"]),
    )
    return trail, [credit]


def _replaced(trail: Trail, facts: Mapping[str, Any], at: datetime) -> tuple[Trail, list[Posting]]:
    line, by_line, quantity = int(facts["line"]), int(facts["by_line"]), int(facts["quantity"])
    amount = int(facts["amount"])
    gone = _added(trail.gone, {line: quantity})
    trail = replace(trail, worth=trail.worth - amount, gone=gone, added=[*trail.added, by_line])
    if not trail.sale:
        return trail, []
    trail, change = _posted(trail, at, DocumentKind.CHANGE, -amount, lines={line: -quantity, by_line: quantity})
    return trail, [change]


def _posted(trail: Trail, at: datetime, kind: DocumentKind, total: int, **more: Any) -> tuple[Trail, Posting]:
    n = trail.documents + 1
    return replace(trail, documents=n, posted=trail.posted + total), Posting(kind=kind, n=n, total=total, at=at, **more)


def _added(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    return {line: one.get(line, 0) + other.get(line, 0) for line in sorted({*one, *other})}


def in_sale(posting: Posting, ordered: Mapping[int, tuple[int, bool]]) -> dict[int, int]:
    """Return the units of each line that a sale holds; `ordered` says of each how many, and whether it came later."""
    found = {
        line: quantity - posting.lines.get(line, 0)
        for line, (quantity, later) in ordered.items()
        if not later or line in posting.beside
    }
    return {line: quantity for line, quantity in found.items() if quantity > 0}
