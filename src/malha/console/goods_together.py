"""Goods that come together on paper, on screen: in how many orders, and of which ones it cannot be told."""

from typing import NamedTuple

from malha.platform.i18n import N_, _, n_
from malha.simulation.model import Kept, Together, Unknown

WHY = {
    Unknown.PLACE: N_("Where they would come together was not there yet."),
    Unknown.CARRIAGE: N_("What one shipment of all of it, or parcels apart, would have cost was not looked at."),
    Unknown.STOCK: N_("A location could have taken part whose stock was not looked at."),
    Unknown.NETWORK: N_("The network or its costs changed since: what parcels apart would have cost is not known."),
    Unknown.TERMS: N_("Taxes, or how far locations may ship, were not looked at for parcels apart."),
    Unknown.NEXT: N_("They can no longer come together, and what the next rule asked is not kept."),
}
SHOWN = 8


class Reason(NamedTuple):
    """Why so many orders stay as they were; the first of them are named."""

    says: str
    orders: int
    named: list[Kept]


class View(NamedTuple):
    """What the panel says."""

    says: str
    today: str  # empty: nothing was taken from today
    unknown: str  # empty: all could be told
    reasons: list[Reason]


def view(together: Together | None) -> View | None:
    """Return what is said of goods that come together; None: none do."""
    if together is None:
        return None
    # In Portuguese none is said as a word: a count of 0 would take the singular.
    told = n_("{n} order came together", "{n} orders came together", together.before)
    told = told if together.before else _("No order came together")
    unknown = sum(together.unknown.values())
    return View(
        says=_("{told}, on paper {n}.", told=told, n=together.after),
        today=n_(
            "{n} order was decided in another network: the ways by which goods are brought are today's.",
            "{n} orders were decided in other networks: the ways by which goods are brought are today's.",
            together.today,
        )
        if together.today
        else "",
        unknown=n_(
            "Of {n} order it cannot be told: it stays as it was, on both sides.",
            "Of {n} orders it cannot be told: they stay as they were, on both sides.",
            unknown,
        )
        if unknown
        else "",
        reasons=[
            Reason(_(WHY[why]), orders, [kept for kept in together.kept if kept.why is why][:SHOWN])
            for why, orders in sorted(together.unknown.items(), key=lambda item: -item[1])
        ],
    )
