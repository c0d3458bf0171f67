"""What goes wrong with connections in our own words, kept in English and shown in the reader's language.

See `malha.platform.failures`. So is what connectors of ours say (`CHECKS`, `refusals.SAID`); what a peer says, or a
connector of somebody else, is shown as it is.
"""

import re
from collections.abc import Iterable

from malha.channels.connecting import refusals
from malha.platform import failures, shapes
from malha.platform.i18n import N_, _
from malha.platform.outward import OutwardUnreachable

MISFIT = N_("the configuration does not fit: {field}: {what}")
BREAKS_DOWN = N_("the connector breaks down over its configuration: {why}")
NO_SECRET = N_("the secret {name} was not entered")
NO_TOKEN = N_("no token was entered")
TOKEN_OVER = N_("the token ran out, and this connector cannot renew it")
RENEWED_BY_ANOTHER = N_("somebody else renews the token and does not end")
RESTS = N_("the peer failed often and rests")
BUDGET_OVER = N_("the budget is used up")
CUT_OFF = N_("cut off")
NOT_TOLD = N_("the connector cannot tell it")
NO_ORDERS = N_("the connector reads no orders")
UNREADABLE_ORDERS = N_("the connector cannot read orders")
NO_SHOWN_STOCK = N_("the connector does not say what stock the channel shows")
NO_PRODUCTS = N_("the connector does not say what the channel sells")
KEEPS_PRICE = N_("the channel keeps this price itself and is told none")
NOTHING_SAID = N_("the channel said nothing of it")
DOUBTFUL = N_("nobody knows whether the channel took it, so it is told again by itself: {why}")
SAME_PAGE = N_("the channel promises more pages and gives the same one again")
UNREAD_STOCK = N_("of these the channel says no number of units, they wait until it does: {codes}")
NOT_MAPPED = N_("not mapped: {places}")
READING_BROKEN_OFF = N_("the reading was broken off")
LOOK_BROKEN_OFF = N_("the comparison was broken off")
UNREACHABLE = OutwardUnreachable.says
NO_KEY = N_("{host} shows no key")
OTHER_KEY = N_("{host} shows another key than the one that was trusted")
KEY_NOT_TRUSTED = N_("nobody has trusted the key of {host} yet")
LOGIN_REFUSED = N_("{host} refuses the login: {why}")
NO_FILES = N_("{host} offers no files: {why}")
PRIVATE_KEY_UNREADABLE = N_("the private key cannot be read: {why}")
TOO_LARGE = N_("it is larger than {most} bytes")

OURS = (
    MISFIT,
    BREAKS_DOWN,
    NO_SECRET,
    NO_TOKEN,
    TOKEN_OVER,
    RENEWED_BY_ANOTHER,
    RESTS,
    BUDGET_OVER,
    CUT_OFF,
    NOT_TOLD,
    NO_ORDERS,
    UNREADABLE_ORDERS,
    NO_SHOWN_STOCK,
    NO_PRODUCTS,
    KEEPS_PRICE,
    NOTHING_SAID,
    DOUBTFUL,
    SAME_PAGE,
    UNREAD_STOCK,
    NOT_MAPPED,
    READING_BROKEN_OFF,
    LOOK_BROKEN_OFF,
    NO_KEY,
    OTHER_KEY,
    KEY_NOT_TRUSTED,
    LOGIN_REFUSED,
    NO_FILES,
    PRIVATE_KEY_UNREADABLE,
    TOO_LARGE,
)

# What connectors of ours say of a check; they know no catalogues. A test reads their source for what is not here.
CHECKS = (
    N_("The shop sells in {theirs}, not in {ours}."),
    N_("The shop counts {decimals} decimals of {currency}, which has {digits}."),
    N_("Webhook {hooks}: orders come by reading alone until it is made active again."),
    N_("{currency}, webhooks: {hooks}"),
    N_("The token is of {theirs}, not of {ours}."),
    N_("The app lacks {scopes}."),
    N_("There is no location {code}."),
    N_("There is no stock location {code}."),
    N_("The channel sells in {theirs}, not in {ours}."),
    N_("There is no company {company}, or the user may not see it."),
    N_("The company counts in {theirs}, not in {ours}."),
    N_("Tryton lacks products ({products}), places of stock ({places}), parties ({parties})."),
    N_("{waiting} in {incoming}, {written} in {outgoing}"),
)

# What a check says is said of no thing that is handed over.
_refused = failures.Failures(*failures.OUTWARD, *shapes.SENTENCES, *OURS, *refusals.SAID)
_known = failures.Failures(*failures.OUTWARD, *shapes.SENTENCES, *OURS, *CHECKS, *refusals.SAID)
found = _known.found
# A refusal is kept with its code and its field before its sentence: words of programs, without a blank.
_MARKED = (re.compile(r"(\S+) (\S.*)", re.DOTALL), re.compile(r"(\S+ \S+) (\S.*)", re.DOTALL))


def unread_stock(codes: Iterable[str]) -> str | None:
    """Return what is wrong where a channel says of some codes no number of units; None where there are none."""
    named = ", ".join(sorted(set(codes)))
    return UNREAD_STOCK.format(codes=named[:300]) if named else None


def shown(text: str | None) -> str:
    """Return a kept text in the reader's language, with code and field after it; what is not ours as it is."""
    text = text or ""
    if found(text) is None:
        for form in _MARKED:
            marked = form.fullmatch(text)
            if marked is not None and _refused.found(marked[2]) is not None:
                return f"{_refused.shown(marked[2])} ({marked[1]})"
    return _known.shown(text)


def is_ours(text: str) -> bool:
    """Tell whether a refusal is in words of ours, or of a connector of ours: a sentence without code and field."""
    return _refused.found(text) is not None


def told(text: str) -> str:
    """Return why a channel did not take something: our words in the reader's language, its own marked as such."""
    said = shown(text)
    return said if not text or said != text or is_ours(text) else theirs(text)


def theirs(words: str) -> str:
    """Return what a channel said, marked as its own words."""
    return _("the channel says: “{words}”", words=words)
