"""What the runtime decides without asking anybody: keys, redaction, causes and what to do about them."""

import re
from collections.abc import Collection, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

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
    "refused": N_("The order cannot be taken as it is: correct what the message names, then try again."),
    "left": N_("The channel cancelled what has left or has a document: settle it with the customer, then drop this."),
    "payment": N_("The payment does not fit what is known: compare both sides, then try again or drop this."),
    "unknown_request": N_("We asked the partner for nothing of this name: ask the partner what it means."),
    "unknown_notice": N_("We told the partner of nothing of this name: ask the partner what it means."),
    "unknown_location": N_("The partner names a location that is not its: add it to the connection, then try again."),
    "unknown_sku": N_("We have no such SKU: create its product, then try again."),
    "not_asked": N_("More is said to have left than was asked for: settle it with the partner, then drop this."),
    "no_source": N_("Declare a stock source for the partner's locations and name it in the connection."),
    "no_capability": N_("The connector cannot tell this channel such a thing: tell it by hand, then drop this."),
}


def op_key(connection: int, kind: str, name: str, version: int) -> UUID:
    """Return the key of an operation: the same for the same thing, whoever asks and however often."""
    return uuid5(SPACE, f"{connection}:{kind}:{name}:{version}")


def redacted(text: str, secrets: Collection[str]) -> str:
    """Return a text that may be kept and shown: no secret of the connection, nothing that looks personal, not long."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    text = _TELLING.sub(rf"\g<1>{HIDDEN}", text)
    text = _NUMBER.sub(HIDDEN, _MAIL.sub(HIDDEN, text))
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:LONGEST]


def wanted_words(kind: str, words: Collection[str], known: Mapping[tuple[str, str], str | None]) -> list[str]:
    """Return the words of a kind that nobody mapped yet."""
    return sorted({word for word in words if known.get((kind, word)) is None})


def told(value: Any) -> str:
    """Return the short text that stands for a result in an attempt's row."""
    return str(value)[:LONGEST]
