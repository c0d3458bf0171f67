"""What it means that a channel shows another quantity than we would have it show. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from malha.channels.contract import ExtStock
from malha.platform.i18n import N_

ALL = "*"  # the word for the only place of a peer that names none


class Cause(StrEnum):
    """Why a channel shows another quantity; the first that applies, in this order."""

    UNLISTED = "unlisted"
    DELISTED = "delisted"
    MISSING = "missing"
    REFUSED = "refused"
    PUSH_OFF = "push_off"
    NEVER_TOLD = "never_told"
    BEHIND = "behind"
    CHANGED = "changed"


# Those that telling it again can mend.
TELLABLE = frozenset({Cause.MISSING, Cause.REFUSED, Cause.NEVER_TOLD, Cause.BEHIND, Cause.CHANGED})
FIXES: dict[Cause, str] = {
    Cause.UNLISTED: N_("The channel sells something that is not listed here: list it, or take it out there."),
    Cause.DELISTED: N_("It is out of use here and the channel still shows stock: take it out there, or list it again."),
    Cause.MISSING: N_("The channel does not have it, or keeps no stock of it: create it there, then tell it again."),
    Cause.REFUSED: N_("The channel refused the last quantity: correct what it names, then tell it again."),
    Cause.PUSH_OFF: N_("The channel is not told of stock: switch that on in its settings."),
    Cause.NEVER_TOLD: N_("It was never told: tell it now."),
    Cause.BEHIND: N_("The channel has an older quantity: look whether it can be told, then tell it again."),
    Cause.CHANGED: N_("Somebody changed it there, or the channel reckons otherwise: tell it again."),
}


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A listing as it is here. `told` is what its channel was told last; `underway`: it is being told just now."""

    sku_id: int
    sku: str
    code: str
    active: bool
    told: int | None
    error: str | None
    pushed: bool  # the channel is told of stock at all
    underway: bool


class Shown(msgspec.Struct):
    """What a channel shows of a code, at all its places together."""

    quantity: int = 0
    places: dict[str, int] = {}
    unread: bool = False  # it says no number of units at one of them


def shown_of(rows: Iterable[ExtStock], apart: frozenset[str]) -> dict[str, Shown]:
    """Return what a channel shows, by code; places that are `apart` state stock instead of being told it."""
    found: dict[str, Shown] = {}
    for row in rows:
        if (row.location or ALL) in apart:
            continue
        one = found.setdefault(row.sku, Shown())
        if row.location in one.places:  # told twice in one reading: the later word is newer
            one.quantity -= one.places[row.location]
        one.unread = one.unread or bool(row.unread)
        one.places[row.location] = row.quantity
        one.quantity += row.quantity
    return found


def cause_of(ours: Ours, quantity: int, shown: int | None) -> Cause | None:
    """Return why a channel shows another quantity than `quantity`; None where it does not."""
    if not ours.active:
        return Cause.DELISTED if shown else None
    if shown == quantity:
        return None
    reasons = (
        (Cause.REFUSED, ours.error is not None),
        (Cause.MISSING, shown is None),
        (Cause.PUSH_OFF, not ours.pushed),
        (Cause.NEVER_TOLD, ours.told is None),
        (Cause.BEHIND, ours.told != quantity),
    )
    return next((cause for cause, holds in reasons if holds), Cause.CHANGED)


def unlisted(shown: Mapping[str, Shown], listed: frozenset[str]) -> list[str]:
    """Return the codes of which a channel sells something that is not listed here."""
    return sorted(code for code, one in shown.items() if one.quantity > 0 and code not in listed)
