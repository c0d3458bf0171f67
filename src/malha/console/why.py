"""Why this location: a routing decision as it is drawn. Bars are drawn to the dearest alternative shown."""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.console import render, words
from malha.platform import i18n
from malha.platform.i18n import N_, _, n_
from malha.routing.telling import Alternative, Explanation, Rejected

NAMED = 8  # locations named in one rejection
SHOWN = 6  # alternatives and rejections before "show all"
# The terms of a cost, in the order of the bar.
TERMS = (
    ("freight", "c1", N_("Freight")),
    ("handling", "c2", N_("Handling")),
    ("picking", "c4", N_("Picking work")),
    ("onward", "c6", N_("Sent on together")),
    ("worth", "c3", N_("Price of stock")),
    ("tax", "c5", N_("Tax")),
    ("carton", "ready", N_("Carton")),
    ("split", "neutral", N_("Further parcels")),
    ("rejection", "back", N_("Risk of being given back")),
    ("lateness", "done", N_("Risk of being late")),
    ("busy", "wait", N_("Capacity")),
)
ALWAYS = {"freight", "handling", "picking"}


class Bar(msgspec.Struct, frozen=True):
    """A part of a cost bar."""

    fill: str
    x: float
    width: float


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One alternative as it is drawn."""

    rank: int
    chosen: bool
    name: str
    detail: str
    bars: list[Bar]
    says: str
    cost: str
    difference: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Locations that could serve nothing, for one and the same reason."""

    name: str
    others: str
    says: str
    tag: str


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The panel."""

    title: str
    subtitle: str
    headline: str
    sentences: list[str]
    choices: list[Choice]
    more: list[Choice]
    legend: list[tuple[str, str]]
    rejected: list[Refused]
    rejected_more: list[Refused]
    rejected_count: int
    considered: int


def drawn(told: Explanation) -> Why:
    """Return an explanation as it is drawn."""
    most = max((a.cost for a in told.alternatives[: SHOWN * 4]), default=1) or 1
    choices = [_choice(a, most, told.currency) for a in told.alternatives]
    chosen = next((c for c in choices if c.chosen), None)
    rejected = _refused(told.rejected)
    facts = [_("decided {time}", time=render.moment(told.decided_at))]
    if told.attempts > 1:
        facts.append(_("decision {n} of {all}", n=told.attempt, all=told.attempts))
    return Why(
        title=_("Why {place}?", place=chosen.name) if chosen else _("Why no location?"),
        subtitle=", ".join(facts),
        headline=told.headline,
        sentences=told.sentences,
        choices=choices[:SHOWN],
        more=choices[SHOWN:],
        legend=[(fill, _(word)) for name, fill, word in TERMS if name in ALWAYS or _there(told, name)],
        rejected=rejected[:SHOWN],
        rejected_more=rejected[SHOWN:],
        rejected_count=len(told.rejected),
        considered=told.considered,
    )


def _there(told: Explanation, name: str) -> bool:
    if name == "worth":
        return told.prices is not None
    return any(getattr(one, name) for one in told.alternatives)


def _choice(one: Alternative, most: int, currency: str) -> Choice:
    places = one.locations
    detail: list[str] = []
    if len(places) == 1:
        detail.append(_(words.LOCATION_KIND.get(places[0].kind, places[0].kind)))
    if one.packages is not None:
        detail.append(n_("{n} parcel", "{n} parcels", one.packages))
    if len(places) == 1 and places[0].distance_km is not None:
        detail.append(_("{n} km", n=i18n.number(places[0].distance_km)))
    bars, said, x = [], [], 0.0
    for name, fill, word in TERMS:
        amount: Any = getattr(one, name)
        if amount and amount > 0:
            width = 100 * amount / most
            bars.append(Bar(fill, round(x, 2), round(max(width - 0.5, 0.4), 2)))
            said.append(f"{_(word)} {i18n.money(amount, currency)}")
            x += width
    if one.credit:
        said.append(f"{_('Aged stock')} {i18n.money(one.credit, currency)}")
        detail.append(_("aged stock {amount}", amount=i18n.money(one.credit, currency)))
    if one.same_site:
        said.append(f"{_('From one site')} {i18n.money(one.same_site, currency)}")
        detail.append(_("from one site {amount}", amount=i18n.money(one.same_site, currency)))
    if one.split and one.split < 0:
        said.append(f"{_('Handed over together')} {i18n.money(one.split, currency)}")
        detail.append(_("handed over together {amount}", amount=i18n.money(one.split, currency)))
    if not bars:
        bars.append(Bar("c6", 0, round(100 * one.cost / most, 2)))
    return Choice(
        rank=one.rank,
        chosen=one.chosen,
        name=" + ".join(place.name for place in places),
        detail=", ".join(detail),
        bars=bars,
        says=", ".join(said) or i18n.money(one.cost, currency),
        cost=i18n.money(one.cost, currency),
        difference=_("chosen")
        if one.chosen
        else f"{'+' if one.difference >= 0 else '-'} {i18n.money(abs(one.difference), currency)}",
    )


REASONS: dict[str, str] = {
    "paused": N_("paused"),
    "closed": N_("closed"),
    "channel": N_("channel"),
    "issuer": N_("company"),
    "method": N_("method"),
    "elsewhere": N_("way"),
    "no_service": N_("carrier"),
    "capacity": N_("capacity"),
    "excluded": N_("gave back"),
    "stock": N_("stock"),
    "product": N_("product"),
    "distance": N_("distance"),
    "owner": N_("owner"),
    "rule": N_("rule"),
    "rule_distance": N_("distance"),
    "kept": N_("kept back"),
}


def _named(names: Sequence[str]) -> str:
    """Return the first of many names, and how many there are beyond them."""
    shown, left = ", ".join(names[:NAMED]), len(names) - NAMED
    return n_("{names} and {n} more", "{names} and {n} more", left, names=shown) if left > 0 else shown


def _refused(rejected: Sequence[Rejected]) -> list[Refused]:
    """Return the rejections, those with the same sentence as one; what is particular to few comes first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in rejected:
        tag = _(REASONS.get(one.reason.value, one.reason.value))
        groups.setdefault((one.says, tag), []).append(one.location.name)
    return [
        Refused(
            name=names[0] if len(names) == 1 else n_("{n} location", "{n} locations", len(names)),
            others=_named(names) if len(names) > 1 else "",
            says=says,
            tag=tag,
        )
        for (says, tag), names in sorted(groups.items(), key=lambda group: len(group[1]))
    ]
